"""Rules about a root: which of its files the platform takes, and whether its programs find the libraries that they need."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Architecture
from pytest_xinchuang.inspect.artifact import Node, printable
from pytest_xinchuang.inspect.delivery import Doubt, Kind, Root
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.roles import Choice, Roles
from pytest_xinchuang.inspect.rules.closure import LIBC
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.inspect.rules.needs import other_series
from pytest_xinchuang.inspect.rules.npm import STEPS, fetches, manifest_of
from pytest_xinchuang.inspect.search import How, Search, Supply
from pytest_xinchuang.inspect.starting import startup_of
from pytest_xinchuang.messages import Message, _, verbatim

SOURCES = ("binding.gyp", "CMakeLists.txt", "Cargo.toml", "setup.py")
"""What an installer builds from where it finds no file that was built before."""


OF_DEVICE = re.compile(
    r"lib(?:cuda|nvidia-|nvcuvid|ascend_|drvdsmi|dcmi|amdhip|rocm|cndrv|cnrt|mxc-|mxsml|mcruntime|topsrt)[a-z_0-9-]*\.so"
)
"""Libraries of a device's driver, which its engine mounts into a container: NVIDIA's container toolkit,
Ascend's docker runtime, ROCm and DTK (Hygon's DCU), Cambricon, MetaX, Enflame."""


def check_choices(
    judge: Judge,
    node: Node,
    choices: Sequence[tuple[ElfRecord, Choice]],
    architectures: Mapping[Any, Architecture],
    roles: Roles,
) -> None:
    """The objects of a container that the platform does not take, and that nobody takes in their place."""
    lacking = [r for r, choice in choices if choice is Choice.LACKING]
    if node.kind == "jar":
        # Whoever loads a native file from a jar looks it up by os.arch.
        lacking += [r for r, choice in choices if choice is Choice.FOREIGN]
    if lacking:
        _check_lacking(judge, node, lacking, architectures)
    for record, choice in choices:
        if choice is Choice.UNKNOWN:
            judge.find(
                "XC-DLV-005", Certainty.GUARDED, record.place, machine=record.elf.machine, name=roles.beside(record)
            )
        elif choice is Choice.DATA:
            judge.find("XC-DLV-006", Certainty.NOTE, record.place, machine=record.elf.machine)


def _check_lacking(
    judge: Judge, node: Node, lacking: Sequence[ElfRecord], architectures: Mapping[Any, Architecture]
) -> None:
    known = {a.elf_machine: str(name) for name, a in architectures.items()}
    have = sorted({known.get(record.elf.machine, record.elf.machine) for record in lacking})
    certainty = Certainty.GUARDED if all(is_built(node, record) for record in lacking) else Certainty.CERTAIN
    judge.find(
        "XC-JAR-001" if node.kind == "jar" else "XC-PKG-008",
        certainty,
        node.place,
        {"files": [record.place for record in lacking[:50]]},
        package=node.package,
        have=", ".join(have),
        wanted=judge.arch_name,
        os_arch=judge.platform.architecture.names.get("os_arch", ""),
    )


def is_built(node: Node, record: ElfRecord) -> bool:
    """Whether an installer can build the file: ``prebuilds`` beside the sources of npm's package, or any file of a package that
    npm builds by node-gyp when it is installed.
    """
    before, found, _after = f"/{record.path}".rpartition("/prebuilds/")
    if found and any(posixpath.join(before, name).strip("/") in node.members for name in SOURCES):
        return True
    # What stands in node_modules was installed before, and is not built again.
    return is_tried(node, record) or (record.path.startswith(PACKAGE) and f"{PACKAGE}binding.gyp" in node.members)


def is_tried(node: Node, record: ElfRecord) -> bool:
    """Whether a program that npm runs when it installs the package takes the file, or another one that it fetches or builds."""
    if not record.path.startswith(PACKAGE):
        return False
    name, said = manifest_of(node)
    scripts = said.get("scripts") if said is not None else None
    if not isinstance(scripts, dict):
        return False
    texts = [str(scripts.get(step, "")) for step in STEPS]
    directory = posixpath.dirname(name)
    return any(_TRYING.search(t) or fetches(t) or fetches(t, node, directory, scripts) for t in texts)


PACKAGE = "package/"
"""The directory of a tarball of `npm pack`."""

_TRYING = re.compile(r"\b(?:node-gyp-build|cmake-js|cmake-ts|cnoke|pkg-prebuilds-verify)\b")
"""Programs that look whether a file can be loaded, and build another one from the sources where it cannot."""


def check_supply(
    judge: Judge, root: Root, search: Search, taken: Sequence[ElfRecord], shipped: frozenset[str] = frozenset()
) -> None:
    """Whether the loader finds what each program needs, and what its libraries need.

    Args:
        shipped: names of the libraries of the whole delivery.
    """
    told: set[tuple[str, str]] = set()
    foreign = {finding.object for finding in judge.findings if finding.code == "XC-ELF-001"}
    whole = root.whole or root.libc(judge.platform.architecture.elf_machine) is not None
    startup = startup_of(root)
    started = {id(program) for program in startup.programs}
    if startup.lacking:
        # A volume may bring it, and whoever starts the image may name something else.
        judge.find("XC-DLV-009", Certainty.UNDECIDED, root.place, program=startup.lacking)
    for fault in startup.faults:
        judge.find("XC-DLV-011", Certainty.CERTAIN, root.place, script=printable(fault.script), why=fault.why)
    programs = [record for record in taken if record.elf.interpreter is not None]
    for program in sorted(programs, key=lambda record: id(record) not in started):
        # Of an image some programs are started for certain; not each of the others ever is.
        certainty = Certainty.CERTAIN if id(program) in started else Certainty.GUARDED
        loader = root.loader_of(program)
        if root.whole and (loader is None or loader.elf.machine != program.elf.machine):
            judge.find("XC-DLV-008", certainty, program.place, interpreter=program.elf.interpreter)
        for user, name, supply in search.closure(program):
            if (user.place, name) in told or (supply.how is How.FOUND and supply.doubt is None):
                continue
            told.add((user.place, name))
            if supply.doubt is not None:
                _tell_doubt(judge, user.place, name, supply.instead, supply.doubt)
                continue
            if supply.how is How.ABSENT and supply.instead in foreign:
                continue  # that it is for another machine was said
            # A library elsewhere in the image may be in ld.so.cache, and that of a driver is mounted.
            certain = supply.how is not How.NEARBY and OF_DEVICE.match(name) is None
            _tell(judge, root, user, name, supply, certainty if certain else Certainty.GUARDED, whole=whole)
            if supply.how is How.ABSENT and not whole and not supply.machine and name not in shipped:
                _tell_unknown(judge, root, user, name)
    if root.takes is not None and taken:
        _tell_doubt(judge, root.place, taken[0].path, _("what is delivered"), root.takes)
    if root.doubts:
        _check_doubts(judge, root, search, taken, told)


def _check_doubts(
    judge: Judge, root: Root, search: Search, taken: Sequence[ElfRecord], told: set[tuple[str, str]]
) -> None:
    """What scripts of packages take away of what libraries need, and of what links are there for."""
    for record in taken:
        if record.elf.interpreter is None:
            for user, name, supply in search.closure(record):
                if supply.doubt is not None and (user.place, name) not in told:
                    told.add((user.place, name))
                    _tell_doubt(judge, user.place, name, supply.instead, supply.doubt)
    for record in taken:
        named = record.elf.interpreter
        doubt = root.doubt(named) if named is not None else None
        if named is not None and doubt is not None:
            _tell_doubt(judge, record.place, named, named, doubt)
    for path, target in root.links.items():
        met = root.doubt(path)
        if path in root.doubts or met is None or met.record is None:
            continue
        if not is_library(met.record):
            _tell_doubt(judge, f"{root.place}!{path}", target, met.record.place, met)


def is_library(record: ElfRecord) -> bool:
    """Whether nobody starts an object: it is shared, and names no loader."""
    return record.elf.kind == "dyn" and record.elf.interpreter is None and not record.elf.pie


def _tell_doubt(judge: Judge, place: str, name: str, instead: str | Message, doubt: Doubt) -> None:
    if doubt.sure:
        what = _("takes {file} away", file=instead)
    elif doubt.made:
        what = _("makes {file} only under a condition that is not known here", file=instead)
    else:
        what = _("may take {file} away, under a condition that is not known here", file=instead)
    judge.find(
        "XC-DLV-010",
        Certainty.CERTAIN if doubt.sure else Certainty.UNDECIDED,
        place,
        needed=name,
        package=doubt.package,
        command=verbatim(doubt.command),
        what=what,
    )


def _tell_unknown(judge: Judge, root: Root, user: ElfRecord, name: str) -> None:
    """A library that nothing brings to a program which is put anywhere: a package's are its package manager's to bring."""
    asked = any(needed.library == name and not needed.weak for needed in user.elf.needed)
    if root.kind is not Kind.TREE or LIBC.match(name) is not None or name in judge.inventory.libraries:
        return
    if asked or other_series(judge.inventory, name):
        return  # that its versions are not known is told, or which series of it there is
    system = judge.platform.system.title.message()
    judge.find("XC-DLV-012", Certainty.UNDECIDED, user.place, library=name, system=system)


def _tell(
    judge: Judge, root: Root, user: ElfRecord, name: str, supply: Supply, missing: Certainty, *, whole: bool
) -> None:
    how, machine = supply.how, supply.machine
    params: dict[str, Any] = {"library": name, "instead": supply.instead, "machine": machine}
    # A script of a package may make what is missing.
    sure = Certainty.UNDECIDED if root.computed else Certainty.CERTAIN
    of_system = LIBC.match(name) is not None and not whole
    if how is How.RENAMED and not of_system:
        judge.find("XC-DLV-002", missing if root.whole else sure, user.place, **params)
    elif how is How.NO_OBJECT:
        judge.find("XC-DLV-003", sure, user.place, **params)
    elif how is How.NOWHERE and not of_system:
        judge.find("XC-DLV-003", Certainty.UNDECIDED, user.place, **params)
    elif how is How.NEARBY and root.kind is not Kind.SYSTEM and not of_system:
        judge.find("XC-DLV-004", Certainty.GUARDED, user.place, **params)
    elif how is How.ABSENT and machine and not of_system:
        judge.find("XC-DLV-001", sure if whole else Certainty.UNDECIDED, user.place, **params)
    elif how in (How.ABSENT, How.NEARBY) and whole:
        judge.find("XC-DLV-007", missing, user.place, **params)
