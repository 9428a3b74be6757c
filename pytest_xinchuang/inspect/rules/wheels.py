"""Rules about Python wheels: what the tags promise, what the objects need, what pip on the platform takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.choosers import choosers
from pytest_xinchuang.inspect.rules.closure import Closure
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import NOTHING, Message, _, told, verbatim

if TYPE_CHECKING:
    from packaging.tags import Tag

Number = tuple[int, ...]


@dataclass(frozen=True)
class ManylinuxPolicy:
    """The newest symbol versions that a manylinux policy allows."""

    glibc: Number
    glibcxx: Number
    cxxabi: Number
    gcc: Number

    @property
    def name(self) -> str:
        return f"manylinux_{self.glibc[0]}_{self.glibc[1]}"


def _policy(glibc: str, glibcxx: str, cxxabi: str, gcc: str) -> ManylinuxPolicy:
    return ManylinuxPolicy(version_key(glibc), version_key(glibcxx), version_key(cxxabi), version_key(gcc))


POLICIES = (
    # PEPs 513, 571, 599 and 600, and the distribution whose libraries stand behind each.
    _policy("2.5", "3.4.8", "1.3.1", "4.2.0"),
    _policy("2.12", "3.4.13", "1.3.3", "4.3.0"),
    _policy("2.17", "3.4.19", "1.3.7", "4.8.0"),
    _policy("2.24", "3.4.22", "1.3.10", "4.8.0"),
    _policy("2.26", "3.4.24", "1.3.11", "7.0.0"),
    _policy("2.27", "3.4.24", "1.3.11", "7.0.0"),
    _policy("2.28", "3.4.24", "1.3.11", "7.0.0"),
    _policy("2.31", "3.4.28", "1.3.12", "7.0.0"),
    _policy("2.34", "3.4.29", "1.3.13", "11.0"),
    _policy("2.35", "3.4.30", "1.3.13", "12.0.0"),
    _policy("2.36", "3.4.30", "1.3.13", "12.0.0"),
    _policy("2.37", "3.4.30", "1.3.13", "12.0.0"),
    _policy("2.38", "3.4.30", "1.3.13", "12.0.0"),
    _policy("2.39", "3.4.33", "1.3.15", "14.0.0"),
    _policy("2.40", "3.4.33", "1.3.15", "14.0.0"),
    _policy("2.41", "3.4.33", "1.3.15", "14.0.0"),
)

FIRST = {"i386": (2, 5), "EM_386": (2, 5), "EM_X86_64": (2, 5), "EM_LOONGARCH": (2, 36), "EM_RISCV": (2, 31)}
"""The first policy of an architecture: 2.17 but for these (PEP 513, PEP 599, auditwheel's table)."""

ALLOWED = frozenset(
    [
        "libgcc_s.so.1",
        "libstdc++.so.6",
        "libm.so.6",
        "libmvec.so.1",
        "libanl.so.1",
        "libdl.so.2",
        "librt.so.1",
        "libc.so.6",
        "libnsl.so.1",
        "libutil.so.1",
        "libpthread.so.0",
        "libX11.so.6",
        "libXext.so.6",
        "libXrender.so.1",
        "libICE.so.6",
        "libSM.so.6",
        "libGL.so.1",
        "libgobject-2.0.so.0",
        "libgthread-2.0.so.0",
        "libglib-2.0.so.0",
        "libresolv.so.2",
        "libexpat.so.1",
        "libz.so.1",
        "libatomic.so.1",
    ]
)
"""Libraries that every manylinux system has (PEP 600, with PEP 599's list); libatomic since 2_24."""

OLDEST_TAG = {"EM_X86_64": (2, 5), "EM_386": (2, 5), "i386": (2, 5)}
"""The oldest glibc of a tag that pip takes: 2.17 but for these (packaging.tags: no older manylinux has other architectures)."""

MUSL_ALLOWED = re.compile(r"^(libc\.so|libc\.musl-.*\.so\.1|ld-musl-.*|libz\.so\.1)$")


@dataclass(frozen=True)
class NeededPolicy:
    """The oldest policy that allows what a wheel's objects need, and what asks for it."""

    policy: str
    asker: ElfRecord | None = None
    version: str = ""


def needed_policy(records: Iterable[ElfRecord]) -> NeededPolicy:
    """The oldest manylinux or musllinux policy of a wheel's objects; ``linux`` where none allows them."""
    closure = Closure(records)
    if not closure.records:
        return NeededPolicy("any")
    if any(r.elf.libc == "musl" for r in closure.records):
        return _musl_policy(closure)
    first = max(FIRST.get(closure.records[0].elf.machine, (2, 17)), (2, 5))
    best = NeededPolicy("")
    floor = next(p for p in POLICIES if p.glibc >= first)
    needed = floor
    for record in closure.records:
        for library in record.elf.libraries:
            if (
                library not in closure.by_name
                and library not in ALLOWED
                and not library.startswith(("ld-linux", "ld64.so", "ld.so"))
            ):
                return NeededPolicy("linux", record, library)
            if library == "libatomic.so.1" and library not in closure.by_name and needed.glibc < (2, 24):
                needed, best = next(p for p in POLICIES if p.glibc >= (2, 24)), NeededPolicy("", record, library)
        for version in record.elf.needed:
            if version.library in closure.by_name:
                continue
            found = _policy_of(version.family, version.number, needed)
            if found is None:
                return NeededPolicy("linux", record, version.version)
            if found.glibc > needed.glibc:
                needed, best = found, NeededPolicy("", record, version.version)
    return NeededPolicy(needed.name, best.asker, best.version)


def _policy_of(family: str, number: Number | None, least: ManylinuxPolicy) -> ManylinuxPolicy | None:
    attribute = {"GLIBC": "glibc", "GLIBCXX": "glibcxx", "CXXABI": "cxxabi", "GCC": "gcc"}.get(family)
    if attribute is None or number is None:
        return least
    for policy in POLICIES:
        if policy.glibc >= least.glibc and number <= getattr(policy, attribute):
            return policy
    return None


def _musl_policy(closure: Closure) -> NeededPolicy:
    for record in closure.records:
        for library in record.elf.libraries:
            if library not in closure.by_name and not MUSL_ALLOWED.match(library):
                return NeededPolicy("linux", record, library)
    # musl has no symbol versions: which of its releases is needed cannot be told from an object, and 1.2 is the first with
    # 64-bit time everywhere.
    return NeededPolicy("musllinux_1_2")


LONGEST_NAME = 255
"""Characters of a wheel's name. A file system has no longer ones (Linux, NAME_MAX), an archive may: sets of tags multiply."""


def wheel_tags(wheel: str) -> frozenset[Tag]:
    """The tags in a wheel's file name (PEP 425), of each set every one.

    Raises:
        InvalidWheelFilename: it is not the name of a wheel.
    """
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    name = wheel.rpartition("/")[2]
    if len(name) > LONGEST_NAME:
        raise InvalidWheelFilename(f"{name[:50]}...: {len(name)} characters")
    return parse_wheel_filename(name)[3]


_CPYTHON = re.compile(r"cp3([0-9]{0,3})")


def takes_wheel(python: Number, wheel: str) -> bool:
    """Whether a Python 3 takes a wheel by the interpreters and binary interfaces in its file name (PEP 425)."""
    from packaging.utils import InvalidWheelFilename

    try:
        tags = wheel_tags(wheel)
    except InvalidWheelFilename:
        return False
    for tag in tags:
        if tag.interpreter in ("py3", f"py3{python[1]}", f"cp3{python[1]}"):
            return True
        least = _CPYTHON.fullmatch(tag.interpreter) if tag.abi == "abi3" else None
        if least is not None and int(least[1] or 0) <= python[1]:
            return True
    return False


def cpythons_of(wheel: str) -> list[str]:
    """The tags of CPython 3 in a wheel's name, the oldest first; none where it is of no version, or no wheel's."""
    from packaging.utils import InvalidWheelFilename

    try:
        named = {tag.interpreter for tag in wheel_tags(wheel)}
    except InvalidWheelFilename:
        return []
    return sorted((name for name in named if re.fullmatch(r"cp3[0-9]{1,3}", name)), key=lambda name: int(name[3:]))


def check_wheel(judge: Judge, node: Node, records: list[ElfRecord]) -> bool:
    """Tags against objects and platform; False where the wheel is for other platforms altogether."""
    from packaging.utils import InvalidWheelFilename

    try:
        tags = sorted({tag.platform for tag in wheel_tags(node.name)})
    except InvalidWheelFilename as error:
        judge.find(
            "XC-BAD-002", Certainty.UNDECIDED, node.place, detail=_("not the name of a wheel: {why}", why=told(error))
        )
        return True
    shown = ".".join(tags)
    if tags == ["any"]:
        certainty = _certainty_of_any(judge, node, records)
        for record in records if certainty is not None else ():
            judge.find(
                "XC-PKG-007",
                certainty or Certainty.CERTAIN,
                node.place,
                package=node.package,
                tag="any",
                object=record.place,
                machine=record.elf.machine,
            )
        return True
    machines = {tag: _machine_of(tag) for tag in tags}
    wrong = next(((t, r) for t, m in machines.items() for r in records if m is not None and r.elf.machine != m), None)
    if wrong is not None:
        tag, record = wrong
        judge.find(
            "XC-PKG-001", Certainty.CERTAIN, record.place, package=node.package, tag=tag, machine=record.elf.machine
        )
    else:
        _check_promise(judge, node, tags, records)
    _check_extensions(judge, node, records)
    accepted = _accepted(judge, tags)
    if accepted:
        judge.find("XC-PKG-003", Certainty.CERTAIN, node.place, package=node.package, tags=shown, accepted=accepted)
    return not accepted


def _certainty_of_any(judge: Judge, node: Node, records: list[ElfRecord]) -> Certainty | None:
    """How certain it is that a wheel for every platform is none; None: its Python chooses among files for architectures.

    It chooses where each file has a word for its architecture in its path and a source asks for the machine. That the
    platform's own is not among them is told of their roles.
    """
    own = judge.platform.architecture
    words = {record.place: _words_of(record.path) for record in records}
    if not records or not all(words.values()) or len({record.elf.machine for record in records}) < 2:
        return Certainty.CERTAIN
    mine = [record for record in records if record.elf.machine == own.elf_machine]
    asking = choosers(node)
    if not mine:
        return None if asking else Certainty.CERTAIN
    said = {chooser.may_choose(own) for chooser in asking}
    if True in said:
        return None
    # Without a word of its own it uses what the machine is called, and so the path has to.
    called = own.names.get("wheel", own.uname)
    return None if None in said and all(called in record.path for record in mine) else Certainty.UNDECIDED


def _words_of(path: str) -> bool:
    return _ARCHITECTURES.search(path) is not None


_ARCHITECTURES = re.compile(
    r"(?:^|[/_.-])(?:amd64|x86[_-]64|x64|arm64|aarch_?64|loong(?:arch)?_?64|i[3-6]86|x86|armv?[5-8]?\w{0,2}|ppc64\w*|s390x|riscv64|"
    r"win(?:32|64)|mips\w*)(?=$|[/_.-])"
)
"""Words for architectures in a path."""


_EXTENSION = re.compile(
    r"(?P<stem>.*)\.(?P<python>cpython-(?P<number>[0-9]{2,3})(?P<flags>[a-z]*)|pypy(?P<pypy>[0-9]{2,3})-\w+|graalpy\w*-[\w-]+)"
    r"(?:-(?:(?P<arch>\w+)-linux-(?P<libc>gnu|musl)\w*|(?P<system>darwin|cygwin|freebsd\w*|netbsd\w*)))?\.so"
)
"""The name of an extension module: its stem, the interpreter's tag and the multiarch triplet (PEP 3149; CPython, SOABI)."""


def _check_extensions(judge: Judge, node: Node, records: list[ElfRecord]) -> None:
    """Modules in whose place no interpreter that takes the wheel finds a file: named for another Python or architecture."""
    pythons = {tag.interpreter for tag in wheel_tags(node.name)}
    any_python = any(not name.startswith(("cp", "pp")) or name in ("cp3", "cp2") for name in pythons)
    abis = {tag.abi for tag in wheel_tags(node.name)}
    # Of a wheel for musl that is said once, by its tags.
    of_musl = any(tag.platform.startswith("musllinux") for tag in wheel_tags(node.name))
    stems: dict[str, list[tuple[ElfRecord, str]]] = {}
    for record in records:
        match = _EXTENSION.fullmatch(record.path)
        if match is None:
            continue
        machine = MACHINE_OF_TAG.get(match["arch"] or "", record.elf.machine)
        number = (match["number"] and f"cp{match['number']}") or (match["pypy"] and f"pp{match['pypy']}")
        fits = any_python or number is None or number in pythons
        if machine != record.elf.machine:
            why = match["arch"]
        elif match["system"] or (match["libc"] == "musl" and judge.platform.system.libc == "glibc" and not of_musl):
            # No Python of glibc has musl's name there. The other way round some have: before CPython 3.13 it was always gnu.
            why = match["system"] or match["libc"]
        elif fits and not any_python and match["number"] and _is_of_other_build(match["number"] + match["flags"], abis):
            why = match["python"]
        else:
            why = "" if fits else match["python"]
        stems.setdefault(match["stem"], []).append((record, why))
    plain = {record.path.removesuffix(".so").removesuffix(".abi3") for record in records}
    for stem, found in stems.items():
        if stem not in plain and all(why for _record, why in found):
            record, why = found[0]
            shown = ", ".join(sorted(pythons))
            judge.find("XC-PKG-009", Certainty.CERTAIN, record.place, package=node.package, named=why, pythons=shown)


def _is_of_other_build(number: str, abis: set[str]) -> bool:
    """Whether a file is for another build of its Python than those that the wheel is for: for debugging, or without the GIL.

    ``m`` and ``u``, which stood there until 3.7, are of every usual build (PEP 3149).
    """
    exact = {abi.rstrip("mu") for abi in abis if re.match(r"cp[0-9]", abi)}
    return bool(exact) and f"cp{number}".rstrip("mu") not in exact


def _check_promise(judge: Judge, node: Node, tags: list[str], records: list[ElfRecord]) -> None:
    # A tag of its own fault is told by itself: there is no such promise.
    promised = [(n, t) for t in tags if (n := glibc_of(t)) is not None and n >= oldest_tag(judge)]
    if not promised or not records:
        return
    need = needed_policy(records)
    number, tag = min(promised)
    if need.policy == "linux" or (need.policy.startswith("manylinux") and glibc_of(need.policy + "_x") > number):  # type: ignore[operator]
        place = need.asker.place if need.asker else node.place
        # The promise is broken for others: a system of that glibc runs it all the same.
        limit = judge.glibc
        runs = need.policy.startswith("manylinux") and limit is not None
        kept = runs and glibc_of(need.policy + "_x") <= version_key(limit)  # type: ignore[operator, arg-type]
        certainty = Certainty.NOTE if kept else Certainty.CERTAIN
        judge.find(
            "XC-PKG-002", certainty, place, package=node.package, tag=tag, version=need.version, policy=need.policy
        )


_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
MACHINE_OF_TAG = {
    "x86_64": "EM_X86_64",
    "i686": "EM_386",
    "aarch64": "EM_AARCH64",
    "armv7l": "EM_ARM",
    "ppc64le": "EM_PPC64",
    "ppc64": "EM_PPC64",
    "s390x": "EM_S390",
    "riscv64": "EM_RISCV",
    "loongarch64": "EM_LOONGARCH",
    "armv6l": "EM_ARM",
}


def _machine_of(tag: str) -> str | None:
    match = re.match(r"^(?:many|musl)?linux(?:_\d+_\d+|1|2010|2014)?_(.+)$", tag)
    return MACHINE_OF_TAG.get(match.group(1)) if match else None


def glibc_of(tag: str) -> Number | None:
    """The glibc that a manylinux tag promises to be content with; None for others."""
    for name, number in _LEGACY.items():
        if tag.startswith(name + "_"):
            return number
    match = re.match(r"^manylinux_(\d+)_(\d+)_", tag)
    return (int(match.group(1)), int(match.group(2))) if match else None


def oldest_tag(judge: Judge) -> Number:
    """The oldest glibc of a manylinux tag that pip on the platform takes."""
    return OLDEST_TAG.get(judge.platform.architecture.elf_machine, (2, 17))


def _accepted(judge: Judge, tags: list[str]) -> Message:
    """What pip on the platform would take, where it takes none of these tags; else nothing."""
    platform = judge.platform
    name = platform.architecture.names.get("wheel", platform.architecture.uname)
    system = platform.system
    if system.libc == "musl":
        good = any(t.startswith("musllinux") and t.endswith("_" + name) for t in tags)
        return NOTHING if good or f"linux_{name}" in tags else verbatim(f"musllinux_1_2_{name}")
    limit = system.libc_version.value
    for tag in tags:
        if not tag.endswith("_" + name):
            continue
        number = glibc_of(tag)
        if tag == f"linux_{name}":
            return NOTHING
        if number is not None and oldest_tag(judge) <= number and (limit is None or number <= version_key(limit)):
            return NOTHING
    newest = f"manylinux_{'_'.join((limit or '2.17').split('.')[:2])}_{name}"
    oldest = f"manylinux_{'_'.join(map(str, oldest_tag(judge)))}_{name}"
    return _("{tag} or older, down to {oldest}", tag=newest, oldest=oldest)
