"""Where a build's flags are written down: compilation databases, what make and ninja print, CMake's cache, cargo's
configuration, and the objects themselves."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.build_info import BuildInfo, read_build_info
from pytest_xinchuang.inspect.elf import NotElf
from pytest_xinchuang.messages import NOTHING, Message, _, n_, system_error, told, verbatim
from pytest_xinchuang.toolchain.flags.texts import of
from pytest_xinchuang.toolchain.flags.words import RUST_VARIABLES, is_compiler, is_flag_variable, is_starter, split
from pytest_xinchuang.tools.ar import MAGIC as AR
from pytest_xinchuang.tools.ar import ar_members
from pytest_xinchuang.tools.lines import of_shell

LARGEST = 1 << 30
"""Bytes of a file that is read; a compilation database of Chromium has some 100 MB."""

_LARGEST_RESPONSE = 1 << 22
"""Bytes of a response file."""


@dataclass(frozen=True)
class Line:
    """One line of flags, and where it comes from.

    Attributes:
        place: the file, and the source that it is for; empty: it was given as it is.
        unread: what the place does not tell.
        certainty: how that is to be taken.
    """

    words: tuple[str, ...] = ()
    place: str = ""
    unread: Message = NOTHING
    mend: Message = NOTHING
    certainty: Certainty = Certainty.UNDECIDED


def read_source(path: Path) -> list[Line]:
    """The lines that a file tells, or a directory's compile_commands.json and CMakeCache.txt.

    Raises:
        XcError: it cannot be read, or is nothing that flags stand in.
    """
    if path.is_dir():
        inside = [path / name for name in ("compile_commands.json", "CMakeCache.txt") if (path / name).is_file()]
        if not inside:
            raise XcError(
                _("{path}: neither compile_commands.json nor CMakeCache.txt is in it", path=str(path)),
                mend=verbatim("cmake -DCMAKE_EXPORT_COMPILE_COMMANDS=ON"),
            )
        return [line for one in inside[:1] for line in read_source(one)]
    try:
        if path.stat().st_size > LARGEST:
            raise XcError(_("{path}: larger than {mib} MiB", path=str(path), mib=LARGEST >> 20))
        data = path.read_bytes()
    except OSError as error:
        raise XcError(_("{path}: cannot be read: {why}", path=str(path), why=system_error(error))) from error
    name = str(path)
    if data[:4] == b"\x7fELF":
        return list(_of_object(data, name))
    if data[: len(AR)] == AR:
        return list(_of_archive(data, name))
    text = data.decode("utf-8", errors="replace")
    if path.suffix == ".json" or (data.lstrip()[:1] == b"[" and path.name.startswith("compile_commands")):
        return list(_of_database(text, path))
    if path.name == "CMakeCache.txt" or "This is the CMakeCache file." in text[:200]:
        return list(_of_cache(text, name))
    if path.suffix == ".toml":
        return list(_of_cargo(text, path))
    if b"\0" in data:
        raise XcError(_("{path}: neither an object nor a text that flags stand in", path=name))
    return list(_of_output(text, path))


# -- compilation databases (clang, JSON Compilation Database)


def _of_database(text: str, path: Path) -> Iterator[Line]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise XcError(_("{path}: not JSON: {why}", path=str(path), why=told(error))) from error
    if not isinstance(entries, list):
        raise XcError(_("{path}: not a compilation database: it is no list", path=str(path)))
    broken = 0
    for entry in entries:
        words = _words_of(entry) if isinstance(entry, dict) else None
        if not words:
            broken += 1
            continue
        place = f"{path}: {entry.get('file', '?')}"
        directory = path.parent / str(entry.get("directory") or ".")
        known = is_compiler(words[0]) or is_starter(words[0])
        unknown = NOTHING if known else _("{name} is no compiler that is known here", name=verbatim(words[0]))
        yield Line(_essential(_expanded(words, directory)), place, unknown, _INSPECT)
    if broken or not entries:
        why = (
            n_("{n} entry tells no command", "{n} entries tell no command", broken) if broken else _("it has no entry")
        )
        yield Line(place=str(path), unread=why, mend=_("have it made anew"))


def _words_of(entry: Mapping[str, Any]) -> list[str] | None:
    arguments = entry.get("arguments")
    if isinstance(arguments, list) and all(isinstance(word, str) for word in arguments):
        return arguments
    command = entry.get("command")
    return split(command) if isinstance(command, str) else None


def _expanded(words: Sequence[str], directory: Path, depth: int = 0) -> list[str]:
    """With the words of response files in their place, as GCC and clang read them."""
    found: list[str] = []
    for word in words:
        inner = _response(directory / word[1:]) if word.startswith("@") and len(word) > 1 and depth < 5 else None
        found += _expanded(inner, directory, depth + 1) if inner is not None else [word]
    return found


def _response(path: Path) -> list[str] | None:
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_RESPONSE:
            return None
        return split(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError):
        return None


_PLACES = of("-o -I -isystem -iquote -idirafter -include -D -U -MF -MT -MQ -L -x")


def _essential(words: Sequence[str]) -> tuple[str, ...]:
    """Without names of files, places and macros, so that lines that mean the same are the same."""
    found: list[str] = []
    left = iter(words)
    named = False
    for word in left:
        if word in _PLACES:
            next(left, None)
        elif word.startswith("-"):
            if not re.match(r"-(?:D(?!CMAKE_).|[IUL].|isystem|iquote|idirafter|W(?!l,|a,))|-[cgS]$|-MM?[DP]?$", word):
                found.append(word)
                if word in (
                    "-target",
                    "--target",
                    "-Xclang",
                    "-mllvm",
                    "-Xlinker",
                    "-z",
                    "-T",
                    "-C",
                    "--codegen",
                    "-Z",
                    "-Xassembler",
                ):
                    found.append(next(left, ""))
        elif word.startswith("@") or not named or "=" in word:
            found.append(word)
            named = named or is_compiler(word)
    return tuple(found)


# -- what make, ninja and cargo print

_SILENT = re.compile(r"\s*(?:(?:CC|CXX|LD|CCLD|CXXLD|AS|HOSTCC)(?:\s+\[M\])?\s+\S|\[\s*\d+%\] (?:Building|Linking) )")
_RUNNING = re.compile(r"\s*Running `(.*)`\s*$")
_STEP = re.compile(r"^\s*(?:\[\d+/\d+\]\s*|\+\s+|libtool: (?:compile|link):\s*)")
_SHELL = re.compile(r"(?:ba|da|k)?sh|libtool|.*-libtool|:|--tag=.*|--mode=.*|--silent|--quiet|-c")


def _of_output(text: str, path: Path) -> Iterator[Line]:
    found = silent = broken = 0
    for number, line in of_shell(text):
        place = f"{path}:{number}"
        line = match[1] if (match := _RUNNING.match(line)) else re.sub(r"`[^`]*`", "x", line)
        line = _STEP.sub("", line)
        commands = _commands(line)
        if commands is None:
            broken += any(is_compiler(word) for word in line.split()[:4])
            continue
        mine = [words for command in commands if (words := _compiled(command))]
        silent += not mine and bool(_SILENT.match(line))
        broken += not mine and any(map(_may_compile, commands))
        for words in mine:
            found += 1
            yield Line(_essential(_expanded(words, path.parent)), place)
    mend = _("print the commands: make V=1 VERBOSE=1, ninja -v, cargo build -v")
    if silent:
        why = n_("{n} line names what was made and not how", "{n} lines name what was made and not how", silent)
        yield Line(place=str(path), unread=why, mend=mend)
    if broken:
        why = n_("{n} line of a compiler cannot be taken apart", "{n} lines of compilers cannot be taken apart", broken)
        yield Line(place=str(path), unread=why, mend=mend)
    if not (found or silent or broken):
        yield Line(place=str(path), unread=_("no line of a compiler is in it"), mend=mend)


def _commands(line: str) -> list[list[str]] | None:
    """The commands of a line of a shell; None: it cannot be taken apart."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    commands: list[list[str]] = [[]]
    try:
        for word in lexer:
            if word and set(word) <= set(";&|()<>"):
                commands.append([])
            else:
                commands[-1].append(word)
    except ValueError:
        return None
    return [c for c in commands if c]


_SOURCE = re.compile(r".*\.(?:c|cc|cpp|cxx|c\+\+|C|S|m|mm|f|f90|F90|cu)")
_NO_COMPILER = of(
    "echo printf rm mv cp ln install test [ sed awk grep cat touch mkdir python python3 perl tar git patch diff bash sh"
)


def _may_compile(command: Sequence[str]) -> bool:
    """Whether a command of a name that is not known looks like a compiler's: it makes an object of a source."""
    return "-c" in command and command[0] not in _NO_COMPILER and any(map(_SOURCE.fullmatch, command))


def _compiled(command: Sequence[str]) -> list[str]:
    """The command from its variables and compiler on; empty where it starts none."""
    variables: list[str] = []
    exported = command[0] == "export"
    for at, word in enumerate(command[1:] if exported else command):
        if is_compiler(word) and not exported:
            return [*variables, *command[at:]]
        name, equals, _value = word.partition("=")
        if equals and name.isidentifier():
            if is_flag_variable(name) or name in RUST_VARIABLES or name.startswith("GO"):
                variables.append(word)
        elif not (is_starter(word) or _SHELL.fullmatch(PurePosixPath(word).name)):
            return []
    return variables if exported else []


# -- CMake and cargo

_ENTRY = re.compile(r"^([\w.+-]+):[A-Z]+=(.*)$", re.MULTILINE)
_LANGUAGES = ("C", "CXX", "ASM", "Fortran", "OBJC", "OBJCXX", "CUDA")
_LINKERS = ("EXE", "SHARED", "MODULE")


def _of_cache(text: str, name: str) -> Iterator[Line]:
    cache = dict(_ENTRY.findall(text))
    configs = [
        c for c in (cache.get("CMAKE_BUILD_TYPE") or cache.get("CMAKE_CONFIGURATION_TYPES", "")).split(";") if c
    ] or [""]
    known = 0
    for config in configs:
        for language in _LANGUAGES:
            key = f"CMAKE_{language}_FLAGS"
            if key not in cache and f"CMAKE_{language}_COMPILER" not in cache:
                continue
            known += 1
            texts = [cache.get(key, ""), cache.get(f"{key}_{config.upper()}", "")]
            target = cache.get(f"CMAKE_{language}_COMPILER_TARGET", "")
            start = [w for w in (cache.get(f"CMAKE_{language}_COMPILER", ""),) if w and is_compiler(w)]
            yield from _cached([*start, *([f"--target={target}"] if target else [])], texts, f"{name}: {key}")
        for kind in _LINKERS:
            key = f"CMAKE_{kind}_LINKER_FLAGS"
            yield from _cached([], [cache.get(key, ""), cache.get(f"{key}_{config.upper()}", "")], f"{name}: {key}")
    if not known:
        yield Line(
            place=name,
            unread=_("it tells no compiler's flags"),
            mend=verbatim("cmake -DCMAKE_EXPORT_COMPILE_COMMANDS=ON"),
        )
    else:
        note = _("what targets add to these flags is not in it")
        mend = _("read compile_commands.json: cmake -DCMAKE_EXPORT_COMPILE_COMMANDS=ON")
        yield Line(place=name, unread=note, mend=mend, certainty=Certainty.NOTE)


def _cached(start: Sequence[str], texts: Sequence[str], place: str) -> Iterator[Line]:
    words = [split(text) for text in texts]
    if any(w is None for w in words):
        yield Line(place=place, unread=_("its quotes do not match"), mend=_("have it made anew"))
    flags = [word for some in words if some for word in some]
    if flags or start:
        yield Line((*start, *flags), place)


def _of_cargo(text: str, path: Path) -> Iterator[Line]:
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise XcError(_("{path}: not TOML: {why}", path=str(path), why=told(error))) from error
    places = {"build": data.get("build"), **{f"target.{k}": v for k, v in _table(data.get("target")).items()}}
    found = False
    for name, table in places.items():
        flags = _table(table).get("rustflags")
        words = flags.split() if isinstance(flags, str) else flags
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            found = True
            triple = name.partition(".")[2]
            target = (f"--target={triple}",) if triple and not triple.startswith("cfg(") else ()
            yield Line(("rustc", *target, *words), f"{path}: {name}.rustflags")
    variables = [f"{k}={v}" for k, v in _table(data.get("env")).items() if isinstance(v, str) and is_flag_variable(k)]
    if variables:
        found = True
        yield Line(tuple(variables), f"{path}: env")
    if not found:
        yield Line(place=str(path), unread=_("it tells no compiler's flags"), mend=verbatim("cargo build -v"))


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


# -- objects

_MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64", "EM_LOONGARCH": "loongarch64", "EM_386": "i686", "EM_ARM": "arm",
             "EM_RISCV": "riscv64", "EM_MIPS": "mips64el", "EM_PPC64": "powerpc64", "EM_S390": "s390x"}  # fmt: skip
_GNU = re.compile(r"GNU (?!AS)\S+(?: \S+)*? (?=-)")
_CLANG = re.compile(r".*\bclang\b.*?(?= -)")


def _of_archive(data: bytes, name: str) -> Iterator[Line]:
    try:
        for member in ar_members(data):
            content = data[member.begin : member.end]
            if content[:4] == b"\x7fELF":
                yield from _of_object(content, f"{name}({member.name})")
            elif member.name not in ("/", "/SYM64/", "//") and not member.name.startswith("__.SYMDEF"):
                why = _("it is no object")
                yield Line(place=f"{name}({member.name})", unread=why, mend=_INSPECT)
    except ValueError as error:
        yield Line(place=name, unread=verbatim(error.args[0]), mend=_INSPECT)


_INSPECT = _("`xc inspect` reads its instructions")


def _of_object(data: bytes, name: str) -> Iterator[Line]:
    try:
        info = read_build_info(data, name)
    except NotElf as error:
        yield Line(place=name, unread=verbatim(error.what), mend=_INSPECT)
        return
    machine = _MACHINES.get(info.machine, info.machine.lower())
    start = f"{machine}-linux-gnu-gcc"
    recorded = list(_recorded(info, start))
    for words in dict.fromkeys(recorded):
        yield Line(words, name)
    if info.go is not None:
        yield from _of_go(info, name)
        return
    yield Line((start,), name)
    why = _silence(info, bool(recorded))
    if why:
        yield Line(place=name, unread=why, mend=_INSPECT)


def _silence(info: BuildInfo, recorded: bool) -> Message:
    """What an object does not tell of its build."""
    if not recorded:
        return _(
            "nothing in it tells the flags that it was built with (-g, -frecord-gcc-switches, -grecord-command-line)"
        )
    quiet = [p for p in info.producers if not _flags_of(p) and not p.startswith("GNU AS")]
    if quiet and (not info.switches or info.units > 1):
        return _("{producer} has not recorded its flags", producer=verbatim(quiet[0][:80]))
    if info.silent_units:
        return n_(
            "{n} unit of its debugging information cannot be read",
            "{n} units of its debugging information cannot be read",
            info.silent_units,
        )
    if info.linked:
        return _("parts of it may have been built without debugging information, and tell nothing")
    return NOTHING


def _flags_of(text: str) -> list[str]:
    """The words behind the compiler's name in a producer, or in what GCC and clang record."""
    for pattern in (_GNU, _CLANG):
        if match := pattern.match(text):
            return split(text[match.end() :].strip()) or []
    words = split(text) or []
    if len(words) > 1 and words[0].startswith(("/", ".")):  # clang: its own path, and every word that it was given
        return words[1:]
    return []


def _recorded(info: BuildInfo, start: str) -> Iterator[tuple[str, ...]]:
    for text in (*info.producers, *info.switches):
        flags = _flags_of(text)
        if flags:
            clang = not _GNU.match(text)
            yield (start.replace("-gcc", "-clang") if clang else start, *_essential(["cc", *flags])[1:])
        elif text.startswith("-") and " " not in text.strip():
            yield (start, text)  # each switch by itself, whichever unit it was for
        elif text.startswith("-"):
            yield (start, *(split(text) or []))


def _of_go(info: BuildInfo, name: str) -> Iterator[Line]:
    assert info.go is not None
    settings = dict(info.go.settings)
    if not settings:
        mend = _INSPECT
        yield Line(
            place=name,
            unread=_("{version} has not recorded its settings", version=verbatim(info.go.version)),
            mend=mend,
        )
        return
    variables = [f"{k}={v}" for k, v in settings.items() if k.isupper() and v]
    flags = [f"{k}={v}" for k, v in settings.items() if k.startswith("-")]
    yield Line((*variables, "go", "build", *flags), name)
    if "GOARCH" not in settings:
        yield Line((f"{_MACHINES.get(info.machine, info.machine)}-gcc",), name)
    if (
        settings.get("CGO_ENABLED") == "1"
        and any(key.startswith("CGO_") and key != "CGO_ENABLED" for key in settings) is False
    ):
        yield Line(place=name, unread=_("its parts in C tell no flags"), mend=_INSPECT)
