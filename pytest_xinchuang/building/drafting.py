"""A manifest for a product that has none: what is delivered for which architecture, and how its programs can be started.

A program becomes a unit only where a run has shown how: it ends well with an argument that asks for its version, or the
platform cannot even load it. A wheel becomes one where the Python of the root filesystem is of a version that it is for, and
imports it. What nobody knows how to start is named in the manifest, and is no unit: it is inspected alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_xinchuang.core.errors import DataFileError, XcError
from pytest_xinchuang.core.platform import Arch, Architecture
from pytest_xinchuang.core.subject import MANIFEST
from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.extract import extract
from pytest_xinchuang.inspect.inspector import Inspector
from pytest_xinchuang.messages import _, joined, render, system_error, verbatim
from pytest_xinchuang.sandbox.protocol import WORK_DIR, Ended, Limits, Outcome, Sandbox

_SAYING_NOTHING = frozenset(
    {"dist", "build", "out", "output", "release", "releases", "target", "bin", "package", "packages"}
)
"""Names of directories that tell nothing of a product."""
MOST_PROGRAMS = 20
"""Programs that are tried; a product has few that a user starts."""
MOST_ENTRIES = 1000
"""Files and directories of a delivery, beside each other: more is no ``dist/``."""
VERSION_WORDS = ("--version", "-version", "version", "-V")
"""What programs take for the question which version they are (GNU Coding Standards, 4.8.1, and the usual others)."""
TRY_S = 5.0
IMPORT_S = 60.0
"""Seconds for the import of one wheel: large ones read some hundred modules."""
MOST_MODULES = 20
"""Modules at the top of a wheel that are imported."""
PYTHON = "/usr/bin/python3"
_NOT_A_NAME = re.compile(r"[^a-z0-9_-]+")
_LIBRARY = re.compile(r"\.so(\.[0-9]+)*$")
_MODULE = re.compile(r"(?!__)([A-Za-z_][A-Za-z0-9_]*)(?:/__init__\.py|\.py|(?:\.[A-Za-z0-9_-]+)?\.so)")
_UNPACKED = f"{WORK_DIR}/it"
_NOT_LOADED = 127
"""What glibc's and musl's loaders, and shells, exit with where a program cannot be loaded."""


@dataclass
class Delivered:
    """One thing that is delivered, for each architecture.

    Attributes:
        files: architecture -> path relative to the manifest.
        programs: architecture -> paths of programs inside of it.
        single: whether it is, for each architecture, one program and nothing else.
        wheels: architecture -> the modules at the top of a wheel.
    """

    name: str
    files: dict[Arch, str] = field(default_factory=dict)
    programs: dict[Arch, list[str]] = field(default_factory=dict)
    single: bool = True
    wheels: dict[Arch, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """How a program of something delivered is started; ``words`` None: nobody knows.

    Attributes:
        imports: ``program`` is what Python imports, and ``words`` the whole command.
    """

    delivered: Delivered
    program: str
    words: tuple[str, ...] | None
    imports: bool = False


class Delivery:
    """What stands in a directory, or a file, that is delivered.

    Args:
        place: where the manifest is to stand: what is delivered is below it.

    Raises:
        XcError: it cannot be read, or nothing in it runs anywhere.
    """

    def __init__(self, path: Path, place: Path, architectures: Mapping[Arch, Architecture]) -> None:
        self._place = place
        self._words = {word: arch for arch, one in architectures.items() for word in (*one.aliases, one.uname)}
        self._machines = {one.elf_machine: arch for arch, one in architectures.items()}
        names = [_plain(p.name) for p in (path.resolve(), *path.resolve().parents)]
        self.name = next((name for name in names if name and name not in _SAYING_NOTHING), "product")
        self.delivered: list[Delivered] = []
        self.left_out: list[str] = []
        """Names in which nothing was found that runs on some architecture and not on another."""
        for entry in _entries(path):
            self._look_at(entry, named=path.is_dir())
        if not self.delivered:
            raise XcError(
                _("{path}: no program, library, package or image in it", path=verbatim(str(path))),
                mend=_("name what is delivered, or a directory with {manifest}", manifest=verbatim(MANIFEST)),
            )

    def _look_at(self, entry: Path, *, named: bool) -> None:
        inspection = Inspector(isa=False).read(entry)
        records = [r for r in inspection.records if r.elf.machine in self._machines]
        archs = sorted({self._machines[r.elf.machine] for r in records})
        role, told = self._role(entry.name)
        relative = str(entry.resolve().relative_to(self._place.resolve()))
        if not archs:
            # A package without objects, such as a jar, is for every machine; a text is no product.
            kinds = {node.kind for node in inspection.root.walk()} - {"file", "directory"}
            if not kinds:
                self.left_out.append(relative)
                return
            archs = [told] if told is not None else sorted(self._machines.values())
        elif told is not None:
            # What its name says is what a user takes it for; the objects in it are judged by that.
            archs = [told]
        one = self._of(role if named and role else self.name, archs)
        for arch in archs:
            one.files[arch] = relative
            programs = [r.path for r in records if self._machines[r.elf.machine] is arch and _is_program(r.path, r.elf)]
            single = inspection.root.kind == "file"
            one.programs[arch] = [entry.name for _program in programs] if single else programs
            one.single = one.single and single and bool(programs)
            if inspection.root.kind == "wheel":
                one.wheels[arch] = _modules(inspection.root.members)

    def _of(self, role: str, archs: Sequence[Arch]) -> Delivered:
        """What has this role, and nothing for these architectures yet."""
        number = 1
        while True:
            name = role if number == 1 else f"{role}-{number}"
            known = next((d for d in self.delivered if d.name == name), None)
            if known is None:
                known = Delivered(name)
                self.delivered.append(known)
            if not known.files.keys() & set(archs):
                return known
            number += 1

    def _role(self, name: str) -> tuple[str, Arch | None]:
        """A name without the word for an architecture in it, and which that is."""
        for word in sorted(self._words, key=len, reverse=True):
            found = re.search(rf"(?i)(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", name)
            if found:
                return _plain(name[: found.start()] + "-" + name[found.end() :]), self._words[word]
        return _plain(name), None

    def starts(self, arch: Arch, try_one: Callable[[Path, str, str], Outcome]) -> list[Start]:
        """How the programs for an architecture are started, by trying.

        Args:
            try_one: runs (file or directory that is delivered, program in it, argument).
        """
        found: list[Start] = []
        for one in self.delivered:
            for program in one.programs.get(arch, [])[: MOST_PROGRAMS - len(found)]:
                words = next(
                    ((w,) for w in VERSION_WORDS if _shows(try_one(self._place / one.files[arch], program, w))), None
                )
                found.append(Start(one, program, words))
        return found

    def wheels(self, arch: Arch) -> list[str]:
        """The wheels for an architecture, by their paths."""
        return [one.files[arch] for one in self.delivered if one.wheels.get(arch)]

    def imports(self, arch: Arch, try_with: Mapping[str, Callable[[Path, Sequence[str]], Outcome]]) -> list[Start]:
        """How the wheels for an architecture are imported, by trying.

        Args:
            try_with: a wheel -> what runs a command on (its path, the words, with ``{here}`` where it is unpacked), for the
                wheels that are for the Python which is there.
        """
        found: list[Start] = []
        for one in self.delivered:
            modules = one.wheels.get(arch, ())
            if not modules:
                continue
            names, file = ", ".join(modules), one.files[arch]
            code = f"import sys; sys.path.insert(0, sys.argv[1]); import {names}; print('imported {names}')"
            # -B: the bytecode that root would write beside Python's own modules is no doing of the wheel's.
            words = (PYTHON, "-B", "-c", code, "{here}")
            try_one = try_with.get(file)
            good = try_one is not None and _shows(try_one(self._place / file, words))
            found.append(Start(one, f"import {names}", words if good else None, imports=True))
        return found

    def manifest(self, starts: Iterable[Start], language: str) -> str:
        """The manifest, with what is not known in remarks at its head."""
        import yaml

        units, unknown, taken = list[dict[str, object]](), list[str](), set[str]()
        for start in starts:
            one = start.delivered
            if start.words is None:
                unknown.append(f"{one.name}: {start.program}")
                continue
            name = one.name if one.single else _plain(f"{one.name}-{start.program.rpartition('/')[2]}")
            if start.imports:
                name = f"{one.name}-import"
            while name in taken:
                name += "-again"
            taken.add(name)
            what: dict[str, object] = {"kind": "artifact", "artifact": one.name}
            if start.imports:
                what |= {"command": list(start.words)}
            elif one.single:
                what = {"kind": "binary", "files": _files(one), "args": list(start.words)}
            else:
                what |= {"program": start.program, "args": list(start.words)}
            units.append({"name": name, **what})
        data: dict[str, object] = {"schema": "xc-subject/1", "name": self.name, "version": "0"}
        data["artifacts"] = [{"name": one.name, "files": _files(one)} for one in self.delivered]
        if any("command" in unit for unit in units):
            data["rootfs_packages"] = ["python3"]
        if units:
            data["units"] = units
        remarks = [_("Written from what is there: check it, and say how each program is started.")]
        if unknown:
            names = joined([verbatim(name) for name in unknown])
            remarks.append(_("Nobody knows how these are started: {names}", names=names))
        if self.left_out:
            names = joined([verbatim(name) for name in self.left_out[:50]])
            remarks.append(_("Nothing that runs was found in: {names}", names=names))
        told = [line for remark in remarks for line in render(remark, language).splitlines()]
        body: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=4096)
        return "".join(f"# {line}\n" for line in told) + body


def _modules(members: Iterable[str]) -> tuple[str, ...]:
    """The modules and packages at the top of a wheel, by the files that stand there (PEP 427)."""
    found = {match[1] for name in members if (match := _MODULE.fullmatch(name.removeprefix("./")))}
    return tuple(sorted(found))[:MOST_MODULES]


def _files(one: Delivered) -> dict[str, str]:
    return {arch.value: path for arch, path in sorted(one.files.items())}


def _plain(name: str) -> str:
    """A name as manifests have them."""
    return re.sub("-{2,}", "-", _NOT_A_NAME.sub("-", name.lower())).strip("-_")


def _is_program(path: str, elf: ElfObject) -> bool:
    """Libraries may have an interpreter too, as libc has."""
    return elf.kind == "exec" or elf.static_pie or (elf.interpreter is not None and not _LIBRARY.search(path))


def _entries(path: Path) -> list[Path]:
    """What is delivered side by side: the file, or the entries of the directory but for those that a system hides.

    A directory that is one unpacked product, with ``bin`` or ``usr`` in it, is one entry.
    """
    try:
        if not path.is_dir():
            return [path]
        entries = sorted(p for p in path.iterdir() if not p.name.startswith("."))
    except OSError as error:
        raise XcError(_("{path}: {why}", path=verbatim(str(path)), why=system_error(error))) from error
    if len(entries) > MOST_ENTRIES:
        raise XcError(
            _("{path}: more than {n} files beside each other", path=verbatim(str(path)), n=MOST_ENTRIES),
            mend=_("name the directory that is delivered"),
        )
    if any(p.name in ("bin", "usr", "opt", "lib") and p.is_dir() for p in entries):
        return [path]
    return entries


def _shows(outcome: Outcome) -> bool:
    """Whether a run shows how a program is started: it answered and ended well, or it cannot be loaded whatever it is told."""
    if outcome.ended is not Ended.EXITED:
        return outcome.ended is Ended.SIGNALED
    return outcome.code == _NOT_LOADED or (outcome.code == 0 and bool(outcome.stdout.strip()))


def trial(sandbox: Sandbox, arch: str) -> Callable[[Path, str, str], Outcome]:
    """Runs programs of what is delivered in a sandbox; what is unpacked stays for the next program of it.

    Args:
        arch: the architecture by OCI's name.
    """
    there: list[Path] = []
    libraries: set[str] = set()

    def run(file: Path, program: str, word: str) -> Outcome:
        if there != [file]:
            there[:] = [file]
            libraries.clear()
            for path in _put(sandbox, file, arch):
                if _LIBRARY.search(path):
                    libraries.add(path.rpartition("/")[0])
        env = {"LD_LIBRARY_PATH": ":".join(sorted(libraries))} if libraries else {}
        return sandbox.run([f"{_UNPACKED}/{program}", word], env=env, limits=Limits(wall_s=TRY_S))

    return run


def import_trial(sandbox: Sandbox, arch: str) -> Callable[[Path, Sequence[str]], Outcome]:
    """Runs commands on wheels, in a sandbox that has the Python for it.

    Args:
        arch: the architecture by OCI's name.
    """

    def run(file: Path, words: Sequence[str]) -> Outcome:
        _put(sandbox, file, arch)
        return sandbox.run([word.replace("{here}", _UNPACKED) for word in words], limits=Limits(wall_s=IMPORT_S))

    return run


def _put(sandbox: Sandbox, file: Path, arch: str) -> list[str]:
    """Unpack what is delivered in an empty sandbox; returns where its files are."""
    sandbox.reset()
    places = []
    for path, data in extract(file, arch).items():
        places.append(f"{_UNPACKED}/{path}")
        sandbox.put(places[-1], data, executable=True)
    return places


def write_manifest(text: str, place: Path) -> Path:
    """Write a manifest where none is.

    Raises:
        XcError: there is one, or it cannot be written.
    """
    target = place / MANIFEST
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise DataFileError(
            _("{file}: cannot be written: {error}", file=verbatim(str(target)), error=system_error(error)),
            mend=_("add {option}", option=verbatim("--subject DIR")),
        ) from error
    return target
