"""The words of a compiler's line by what they are for: what it is asked about, what the linker gets, what changes no code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath

from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.toolchain.flags.texts import of
from pytest_xinchuang.toolchain.permitted import is_plain

_COMPILER = re.compile(
    r"(?:(?P<triple>[\w.]+(?:-[\w.]+)*)-)?(?P<name>gcc|g\+\+|gfortran|gnat|gccgo|clang|clang\+\+|clang-cl|flang|cc|c\+\+|cpp|rustc|zig)"
    r"(?:-[\d.]+)?(?:\.exe)?"
)
_KINDS = {
    "gcc": "gcc", "g++": "gcc", "gfortran": "gcc", "gnat": "gcc", "gccgo": "gcc", "clang": "clang", "clang++": "clang",
    "clang-cl": "other", "flang": "clang", "cc": "", "c++": "", "cpp": "", "rustc": "rustc", "zig": "zig", "go": "go",
}  # fmt: skip
_LINKER = re.compile(r"(?:(?P<triple>[\w.]+(?:-[\w.]+)*)-)?(?:ld(?:\.(?:bfd|gold|lld))?|mold|lld)")
_OTHERS = re.compile(
    r"(?:icc|icpc|icx|icpx|ifort|ifx|dpcpp|nvcc|nvc|nvc\+\+|nvfortran|pgcc|pgc\+\+|armclang|armflang|craycc|xlc|xlC|tcc|hipcc|dmd|ldc2"
    r"|gdc|swiftc|ghc|ocamlopt|cl)(?:\.exe)?"
)
"""Compilers that are not here to be asked, and whose flags mean what no other says."""

_BEFORE = of("ccache sccache distcc icecc time nice env command exec /usr/bin/env")
"""Programs that start the compiler that is named after them."""

_HARMLESS_WITH_WORD = of(
    "-o -I -isystem -iquote -idirafter -iprefix -iwithprefix -isysroot -iframework -include -imacros -include-pch "
    "-D -U -L -l -x -u -e -A -G -MF -MT -MQ -MJ -framework -aux-info -dumpdir -dumpbase -dumpbase-ext --sysroot "
    "-rpath -soname -h -F -J -Xpreprocessor -arch_only -install_name -working-directory --serialize-diagnostics "
    "-index-store-path"
)
"""Flags of two words that make no other code: places, names and macros."""

_HARMLESS = re.compile(
    r"""
      -[IDULlFJ].* | -i(?:system|quote|dirafter|prefix|withprefix|sysroot|framework|macros).+ | -include.+ | -o.+
    | -x(?:c|c\+\+|c-header|c\+\+-header|cpp-output|objective-c|objective-c\+\+
        |assembler|assembler-with-cpp|f77|f95|none|cuda|hip|ir)
    | -W(?!l,|a,|p,).* | -Wp,.* | -w | -O.* | -std=.* | --std=.* | -ansi | -pedantic.* | -trigraphs | -undef | -traditional.*
    | -g(?!host|old).* | -c | -S | -E | -P | -C | -CC | -H | -v | -V | -Q | -p | -pg | -s | -t | -r | -q | -k | -pipe
    | -M[MDGPV]* | -M[FTQJ].+
    | -d[A-Za-z]+ | -save-temps.* | --save-temps.* | -print-.* | --print-.* | --version | --help.* | -dump.*
    | -static.* | -shared.* | -pie | -no-pie | -nopie | -rdynamic | -pthreads? | -nostdlib.* | -nostartfiles
    | -nodefaultlibs | -nolibc
    | -nostdinc.* | -no-canonical-prefixes | -no-integrated-cpp | -symbolic | -stdlib=.* | -rtlib=.* | -unwindlib=.*
    | --gcc-toolchain=.*
    | --gcc-install-dir=.* | --sysroot=.* | --driver-mode=.* | -resource-dir.* | -e.+ | -u.+ | -B.+ | -A.+ | -nocudalib
    | -Qunused-arguments
    | -fprofile-.* | -fno-profile.* | -fauto-profile.* | -fdump-.*
    | -f(?:file|debug|macro|coverage|profile)-prefix-map=.* | -fdiagnostics-.*
    | -fno-diagnostics-.* | -ftime-(?:report|trace).* | -fstack-usage | -fcallgraph-info.*
    | -fsave-optimization-record.* | -fopt-info.*
    | -fmodules?(?:-.*|=.*)? | -fno-modules?.* | -fmodule-.* | -fprebuilt-.* | -fimplicit-.* | -fmessage-length=.*
    | -frandom-seed=.* | -fcoverage-.*
    | -f(?:no-)?(?:color|caret|show)-.* | -fdebug-.* | -fworking-directory | -fno-working-directory
    | -fcrash-diagnostics.* | -fbuild-.*
    | -fuse-ld=.* | -fpch-.* | -fintegrated-.* | -fno-integrated-.* | -f(?:no-)?record-.* | -ftest-coverage | -ftrace.*
    | -fxray.*
    | -fsanitize-[a-z]+list=.* | -fproc-stat.*
    """,
    re.X | re.S,
)
_MACHINE = re.compile(r"-m(?!llvm|crash)[A-Za-z0-9_][\w.-]*(?:=[\w.,+:=-]*)?")
_TRIPLE = re.compile(r"[\w.]+(?:-[\w.]+)*")
_CC1_PAIRS = ("-target-feature", "-target-cpu", "-tune-cpu", "-target-abi")
_FEATURE = re.compile(r"[+-]?[\w.+-]+")
_FILE = re.compile(r"(?![-@+]).*|-", re.S)

_RUST = re.compile(
    r"(?:-C\s*|--codegen[= ])(?:target-(?:cpu|feature)|link-args?|linker(?:-[a-z-]+)?|opt-level|codegen-units|lto|panic"
    r"|debuginfo|relocation-model|llvm-args|code-model|embed-bitcode|strip|prefer-dynamic|rpath|split-debuginfo|metadata"
    r"|extra-filename)(?:=.*)?"
    r"|-Z\s*[a-z-]+(?:=.*)?|--(?:crate-(?:name|type)|edition|emit|cap-lints|extern|check-cfg)(?:=.*)?",
    re.S,
)

_OTHER_FLAGS = frozenset(
    {"MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS", "ARFLAGS", "CARGOFLAGS", "JAVAFLAGS", "RUSTDOCFLAGS", "RUSTFLAGS"}
)
"""Variables that hold flags of no C compiler."""

RUST_VARIABLES = frozenset({"RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTDOCFLAGS"})
_COMPILER_VARIABLES = frozenset({"CC", "CXX", "HOSTCC", "FC"})
_HANDED_ON = re.compile(
    r"-D(?:CMAKE_\w*FLAGS\w*(?::\w+)?|\w+_(?:link_)?args)=(.*)|--extra-(?:c|cxx|ld)flags=(.*)", re.S
)
"""Flags as CMake, Meson and the configure scripts of FFmpeg and QEMU are given them."""

_ASSIGNED = re.compile(r"([A-Z][A-Z0-9_]*)\+?=(.*)", re.S)


@dataclass
class Parts:
    """One line, taken apart.

    Attributes:
        compiler: gcc, clang, zig, rustc, go, ld; other: one that is not here; empty: it is not said which.
        named: the compiler, as it is named.
        machine: the first word of the target triple in the compiler's name.
        given: all words, for the rules that look at one alone.
        asked: what the compiler is asked about; one flag may have several words.
        linker, assembler: the words for those, each list with the flag that held it.
        settings: variables of Go's environment.
        rust: the words for rustc.
        unknown: flags that nobody can be asked about, and why.
    """

    compiler: str = ""
    named: str = ""
    machine: str = ""
    target: str = ""
    given: list[str] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    linker: list[tuple[str, str]] = field(default_factory=list)
    assembler: list[tuple[str, str]] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    rust: list[str] = field(default_factory=list)
    unknown: list[tuple[str, Message]] = field(default_factory=list)


def split(text: str) -> list[str] | None:
    """A text of words as a shell takes it apart; None: its quotes do not match."""
    try:
        return shlex.split(text)
    except ValueError:
        return None


def is_compiler(word: str) -> bool:
    """Whether a word is the name of a compiler or linker, with or without its place."""
    name = PurePosixPath(word.replace("\\", "/")).name
    return any(p.fullmatch(name) for p in (_COMPILER, _OTHERS, _LINKER)) or name in ("go", "go.exe")


def is_flag_variable(name: str) -> bool:
    """Whether a variable of this name holds flags for C compilers and what links."""
    return name.endswith("FLAGS") and not name.startswith("GO") and name not in _OTHER_FLAGS


def is_starter(word: str) -> bool:
    """Whether a word is a program that starts the compiler that is named after it, as ccache is."""
    return word in _BEFORE or PurePosixPath(word).name in _BEFORE


def take_apart(words: Sequence[str]) -> Parts:
    """The words of one line; a compiler may stand before them."""
    parts = Parts()
    left = list(words)
    while left and (_starts(left, parts)):
        left.pop(0)
    if parts.compiler == "zig":
        while left and left[0] in ("cc", "c++", "build-exe", "build-lib", "build-obj"):
            left.pop(0)
    if parts.compiler == "rustc" or (not parts.compiler and _is_rust(left)):
        parts.compiler = "rustc"
        parts.given, parts.rust = left, [*parts.rust, *left]
    elif parts.compiler == "ld":
        parts.given, parts.linker = left, [(word, word) for word in left]
    elif parts.compiler == "go":
        parts.given = left
        _of_go(left, parts)
    else:
        _of_c(left, parts)
    return parts


def _is_rust(words: Sequence[str]) -> bool:
    """Whether flags that no compiler is named with are rustc's."""
    return any(_RUST.fullmatch(w) for w in words) or any(_RUST.fullmatch(f"{a} {b}") for a, b in pairwise(words))


def _starts(left: list[str], parts: Parts) -> bool:
    """Take what stands before the flags: programs that start the compiler, variables, the compiler."""
    word = left[0]
    if assigned := _ASSIGNED.fullmatch(word):
        _variable(assigned[1], assigned[2], parts)
        return True
    if parts.compiler:
        return False
    if is_starter(word):
        return True
    if word.startswith(("-", "@")) or not is_compiler(word):
        return False
    _compiler(word, parts)
    return True


def _compiler(word: str, parts: Parts) -> None:
    name = parts.named = PurePosixPath(word.replace("\\", "/")).name
    if name in ("go", "go.exe"):
        parts.compiler = "go"
    elif found := _COMPILER.fullmatch(name):
        parts.compiler, parts.machine = _KINDS[found["name"]], (found["triple"] or "").split("-")[0]
        if parts.compiler == "clang" and found["triple"]:
            parts.target = found["triple"]
    elif found := _LINKER.fullmatch(name):
        parts.compiler, parts.machine = "ld", (found["triple"] or "").split("-")[0]
    else:
        parts.compiler = "other"


def _variable(name: str, value: str, parts: Parts) -> None:
    if name in _COMPILER_VARIABLES:
        words = split(value) or []
        if words and is_compiler(words[0]) and parts.compiler in ("", "gcc", "clang", "zig"):
            _compiler(words[0], parts)
            _of_c([w for w in words[1:] if w not in ("cc", "c++")], parts)
    elif name in RUST_VARIABLES or name.endswith("_RUSTFLAGS"):
        parts.compiler = parts.compiler or "rustc"
        parts.rust += value.split("\x1f") if name == "CARGO_ENCODED_RUSTFLAGS" else value.split()
        parts.given += parts.rust
    elif name.startswith("GO"):
        parts.settings[name] = value
    elif is_flag_variable(name) or (value.startswith("-") and name not in _OTHER_FLAGS):
        _text_of_c(f"{name}={value}", value, parts)


def _text_of_c(word: str, text: str, parts: Parts) -> None:
    """Flags of C that stand in one word."""
    words = split(text)
    if words is None:
        parts.unknown.append((word, _("its quotes do not match")))
    else:
        _of_c(words, parts)


def _of_go(words: Sequence[str], parts: Parts) -> None:
    left = iter(words)
    for word in left:
        if assigned := _ASSIGNED.fullmatch(word):
            _variable(assigned[1], assigned[2], parts)
        elif re.search(r"GO(?:AMD64|ARM64)_v\d", word):
            parts.unknown.append((word, _("it tells the assembler of another CPU")))
        elif found := re.match(r"--?ldflags(?:=(.*)|$)", word, re.S):
            inner = split(found[1] if found[1] is not None else next(left, "")) or []
            for at, name in enumerate(inner):
                if re.fullmatch(r"--?extldflags(?:=.*)?", name, re.S):
                    text = name.partition("=")[2] or next(iter(inner[at + 1 : at + 2]), "")
                    _text_of_c(word, text, parts)


def _of_c(words: Sequence[str], parts: Parts) -> None:
    parts.given += words
    left = iter(words)
    for word in left:
        _one(word, left, parts)


def _one(word: str, left: Iterator[str], parts: Parts) -> None:
    if assigned := _ASSIGNED.fullmatch(word):
        _variable(assigned[1], assigned[2], parts)
    elif handed := _HANDED_ON.fullmatch(word):
        _text_of_c(word, handed[1] or handed[2] or "", parts)
    elif word in ("-target", "--target") or word.startswith("--target="):
        target = word.partition("=")[2] or next(left, "")
        if _TRIPLE.fullmatch(target):
            parts.target = target
        else:
            parts.unknown.append((f"{word} {target}", _("it is no target")))
    elif word in ("-Xlinker", "-z"):
        value = next(left, "")
        parts.linker += (
            [(f"{word} {value}", "-z"), (f"{word} {value}", value)] if word == "-z" else [(f"{word} {value}", value)]
        )
    elif word.startswith("-Wl,"):
        parts.linker += [(word, token) for token in word.split(",")[1:]]
    elif word.startswith("-z") and len(word) > 2:
        parts.linker += [(word, "-z"), (word, word[2:])]
    elif word.startswith("-Wa,"):
        parts.assembler += [(word, token) for token in word.split(",")[1:]]
    elif word == "-Xassembler":
        value = next(left, "")
        parts.assembler.append((f"{word} {value}", value))
    elif word == "-Xclang":
        _cc1(left, parts)
    elif word == "--param" or word in _HARMLESS_WITH_WORD:
        next(left, "")
    elif _MACHINE.fullmatch(word):
        parts.asked.append((word,))
    elif word == "-arch":
        value = next(left, "")
        parts.unknown.append((f"{word} {value}", _("it is of another system's compiler")))
    elif word in ("-mllvm", "-Xarch_host", "-specs", "-T", "-wrapper"):
        value = next(left, "")
        parts.unknown.append(
            (f"{word} {value}", _("it changes what the compiler does, and it cannot be asked about it"))
        )
    elif word.startswith(("-fplugin", "-fpass-plugin", "-specs=", "--specs=", "-T", "--config", "-Xarch_", "-load")):
        parts.unknown.append((word, _("it changes what the compiler does, and it cannot be asked about it")))
    elif word.startswith("@"):
        parts.unknown.append((word, _("the file with more flags was not read")))
    elif re.fullmatch(r"/(?:arch|favor|Q\w*|vlen|feature)[:=]\w[\w.+-]*", word):
        parts.unknown.append((word, _("it is of another system's compiler")))
    elif _HARMLESS.fullmatch(word) or _FILE.fullmatch(word) or word.startswith("--param="):
        pass
    elif word == "-fast" or word.startswith("-x"):
        parts.unknown.append((word, _("it is of another compiler")))
    elif is_plain(word) or re.fullmatch(r"--?(?!f)[A-Za-z][\w-]*(?:=[\w.,:+-]*)?", word):
        parts.asked.append((word,))
    else:
        parts.unknown.append((word, _("it is no flag that is known here")))


def _cc1(left: Iterator[str], parts: Parts) -> None:
    """``-Xclang``: words for the compiler behind the driver; a name and a value stand in one each."""
    name = next(left, "")
    if name not in _CC1_PAIRS:
        parts.unknown.append(
            (f"-Xclang {name}", _("it changes what the compiler does, and it cannot be asked about it"))
        )
        return
    again, value = next(left, ""), next(left, "")
    if again != "-Xclang" or not _FEATURE.fullmatch(value):
        parts.unknown.append((f"-Xclang {name} {again} {value}", _("it is not whole")))
        return
    parts.asked.append(("-Xclang", name, "-Xclang", value))
