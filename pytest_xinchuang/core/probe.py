"""What ``xc platforms probe`` wrote on a real machine, and how it compares with platforms.yaml."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.platform import Arch, Confidence, Cpu, Fact, OsProfile, Platform, PlatformsFile
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim

FORMAT = "xc-probe/1"
_FIRST = f"format\t{FORMAT}"
MOST_BYTES, MOST_LINES = 1 << 20, 5000
"""Of a probe: the script writes some 20 KB."""

_UNPRINTED = {"lamcas", "lam_bh", "llacq_screl", "frecipe", "scq"}
"""Features of LoongArch v1.1 that no kernel names in /proc/cpuinfo."""
_ALSO = {"abm": "lzcnt"}
"""What Linux calls a feature -> what platforms.yaml calls it."""


class Agreement(StrEnum):
    """How a machine's word stands to a fact."""

    SAME = "same"
    DIFFERS = "differs"
    NEW = "new"
    UNTOLD = "untold"

    @property
    def word(self) -> Message:
        return {
            Agreement.SAME: _("same"),
            Agreement.DIFFERS: _("DIFFERS"),
            Agreement.NEW: _("not known here"),
            Agreement.UNTOLD: _("not told"),
        }[self]


@dataclass(frozen=True)
class Compared:
    """One fact and what a machine says of it.

    Attributes:
        fact: its place in platforms.yaml, ``systems.kylin_v10_sp3.page_size.arm64``.
        ours, seen: both values as text; "" where there is none.
        stronger: the machine has what the fact does not promise, so that a good run on it shows nothing of the platform:
            a later kernel or libc, a feature more, pages of another size.
    """

    fact: str
    ours: str
    confidence: Confidence
    seen: str
    agreement: Agreement
    stronger: bool = False


@dataclass(frozen=True)
class Probe:
    """The lines of a probe by key, and the digest of the file."""

    lines: Mapping[str, tuple[str, ...]]
    digest: str

    def first(self, key: str) -> str:
        return next(iter(self.lines.get(key, ())), "")

    def text(self, key: str) -> str:
        return "".join(f"{line}\n" for line in self.lines.get(key, ()))

    @property
    def os_release(self) -> str:
        return self.text("os_release")

    @property
    def cpuinfo(self) -> str:
        return self.text("cpuinfo")


@dataclass(frozen=True)
class Comparison:
    """A probe beside the facts.

    Attributes:
        arch: None: no architecture of the file.
        cpus, systems: entries whose identity the machine matches.
        facts: compared with the first CPU and the first system of those.
        doubts: why the machine may not be what it tells.
        unsupported: why no platform can be made of such a machine.
    """

    arch: Arch | None
    cpus: tuple[str, ...]
    systems: tuple[str, ...]
    facts: tuple[Compared, ...] = ()
    doubts: tuple[Message, ...] = field(default=())
    unsupported: Message = NOTHING

    @property
    def differs(self) -> bool:
        return any(each.agreement is Agreement.DIFFERS for each in self.facts)


def read_probe(data: bytes) -> Probe:
    """The probe in a file's bytes.

    Raises:
        XcError: it is none, is cut off, or is too long to be one.
    """
    mend = verbatim("xc platforms probe --output FILE")
    if len(data) > MOST_BYTES or data.count(b"\n") > MOST_LINES:
        raise XcError(_("the file is too long for a probe"), mend=mend)
    lines: dict[str, list[str]] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        if not line:
            continue
        key, tab, value = line.partition("\t")
        if not tab or not re.fullmatch(r"[a-z][a-z0-9_./-]{0,80}", key):
            raise XcError(_("line {number} is no line of a probe: KEY, tab, value", number=number), mend=mend)
        shown = "".join(c if c.isprintable() else " " for c in value)
        lines.setdefault(key, []).append(shown)
    if lines.get("format") != [FORMAT]:
        raise XcError(_("the file is no probe: its first line has to be {line}", line=verbatim(_FIRST)), mend=mend)
    if "end" not in lines:
        raise XcError(_("the probe is cut off: its last line is missing"), mend=mend)
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    return Probe({key: tuple(values) for key, values in lines.items()}, digest)


def compare(probe: Probe, file: PlatformsFile) -> Comparison:
    """What the machine is of the file's entries, and every fact of them beside what it tells."""
    machine = probe.first("machine")
    arch = next((a for a, facts in file.architectures.items() if facts.uname == machine), None)
    if arch is None:
        family = file.unsupported_machine(machine)
        return Comparison(None, (), (), unsupported=family.why.message() if family else NOTHING)
    cpus = tuple(_matching({n: c for n, c in file.cpus.items() if c.arch is arch}, probe.cpuinfo))
    systems = tuple(_matching({n: s for n, s in file.systems.items() if arch in s.rootfs}, probe.os_release))
    facts: list[Compared] = []
    if cpus:
        facts += _of_cpu(cpus[0], file.cpus[cpus[0]], probe, file.cpus.values())
    if systems:
        facts += _of_system(systems[0], file.systems[systems[0]].of(arch), arch, probe)
    return Comparison(arch, cpus, systems, tuple(facts), tuple(doubts(probe)))


def beside(probe: Probe, platform: Platform, cpus: Iterable[Cpu] = ()) -> tuple[Compared, ...]:
    """The facts of one platform beside what a machine tells that was recognised as it.

    Args:
        cpus: those whose features count as well, as for :func:`compare`.
    """
    return (
        *_of_cpu(platform.cpu_name, platform.cpu, probe, (*cpus, platform.cpu)),
        *_of_system(platform.os_name, platform.system, platform.arch, probe),
    )


def _matching(entries: Mapping[str, Any], text: str) -> Iterator[str]:
    for name, entry in entries.items():
        patterns = entry.identity.value
        if patterns and all(re.search(pattern, text, re.M) for pattern in patterns):
            yield name


def doubts(probe: Probe) -> Iterator[Message]:
    """Why a machine may not be what it tells."""
    if container := probe.first("container"):
        yield _("it ran in a container ({name}): the kernel may be another system's", name=verbatim(container))
    virtual = probe.first("virtual")
    if virtual and virtual not in ("none", container):
        yield _("it ran under {name}, which decides what the processor shows", name=verbatim(virtual))
    if re.search(r"QEMU|TCG", probe.text("dmi.sys_vendor") + probe.text("tree.model")):
        yield _("its board is an emulator's")


def _compared(place: str, fact: Fact[Any], seen: str, same: bool, stronger: bool = False) -> Compared:
    ours = "" if fact.value is None else " ".join(fact.value) if isinstance(fact.value, tuple) else str(fact.value)
    if not seen:
        agreement = Agreement.UNTOLD
    elif fact.value is None:
        agreement = Agreement.NEW
    else:
        agreement = Agreement.SAME if same else Agreement.DIFFERS
    return Compared(place, ours, fact.confidence, seen, agreement, stronger and agreement is Agreement.DIFFERS)


def _of_cpu(name: str, cpu: Cpu, probe: Probe, cpus: Iterable[Cpu]) -> Iterator[Compared]:
    line = re.search(r"^(?:Features|flags|features)\s*: (.*)$", probe.cpuinfo, re.M)
    told = {_ALSO.get(word, word) for word in line.group(1).split()} if line else set()
    known = set(cpu.features.value or ())
    # Only words that some entry of the architecture uses: Linux lists a hundred that no rule asks about.
    universe = {
        f
        for each in cpus
        if each.arch is cpu.arch
        for f in (*(each.features.value or ()), *((each.unsure.value or ()) if each.unsure else ()))
    } - _UNPRINTED
    if cpu.features.value is None:
        # All of it is news.
        yield _compared(f"cpus.{name}.features", cpu.features, " ".join(sorted(told)), same=False)
        return
    lacks, more = (known & universe) - told, (told & universe) - known
    seen = (
        " ".join([*sorted(told & known), *(f"+{f}" for f in sorted(more)), *(f"-{f}" for f in sorted(lacks))])
        if told
        else ""
    )
    unsure = set(cpu.unsure.value or ()) if cpu.unsure is not None else set()
    yield _compared(f"cpus.{name}.features", cpu.features, seen, not lacks and not more, bool(more - unsure))


def _of_system(name: str, system: OsProfile, arch: Arch, probe: Probe) -> Iterator[Compared]:
    place = f"systems.{name}"
    for key, fact, seen in (
        ("kernel", system.kernel, probe.first("kernel.release")),
        ("libc_version", system.libc_version, _number(probe.first("libc.version"), r"glibc ([0-9.]+)")),
        ("openssl", system.openssl, _number(probe.first("openssl"), r"OpenSSL ([0-9][0-9a-z.]*)")),
    ):
        later = {"kernel": _series(seen) > _series(fact.value), "libc_version": _key(seen) > _key(fact.value or "")}
        yield _compared(f"{place}.{key}", fact, seen, _begins(seen, fact.value), later.get(key, False))
    newest = max(probe.lines.get("libstdcxx.symbols", ()), key=_key, default="").removeprefix("GLIBCXX_")
    known = system.glibcxx_max.value
    yield _compared(
        f"{place}.glibcxx_max", system.glibcxx_max, newest, newest == known, _key(newest) > _key(known or "")
    )
    if (page := system.page_size.get(arch)) is not None:
        seen = probe.first("page_size")
        yield _compared(f"{place}.page_size.{arch}", page, seen, seen == str(page.value), stronger=True)
    kinds = [kind for kind in ("deb", "rpm") if probe.lines.get({"deb": "dpkg.version", "rpm": "rpm.version"}[kind])]
    # A deb system can have rpm as a tool: what its own packages are in decides.
    packaging = next((k for k in kinds if probe.lines.get(f"{k}.packages")), "")
    yield _compared(f"{place}.packaging", system.packaging, packaging, packaging == system.packaging.value)
    yield from _of_software(f"{place}.software", system, probe, packaging)


def _of_software(place: str, system: OsProfile, probe: Probe, packaging: str) -> Iterator[Compared]:
    software = system.software
    manager = probe.first("dpkg.version" if packaging == "deb" else "rpm.version")
    java = _number(probe.first("java"), r'version "(?:1\.)?([0-9]+)')
    for key, fact, seen in (
        ("package_manager", software.package_manager, _number(manager, r"version ([0-9.]+)")),
        ("python", software.python, _number(probe.first("python"), r"Python ([0-9.]+)")),
        ("java", software.java, java),
        ("node", software.node, _number(probe.first("node"), r"v([0-9.]+)")),
        ("gcc", software.gcc, _number(probe.first("gcc"), r"([0-9.]+)")),
        ("systemd", software.systemd, _number(probe.first("systemd"), r"systemd ([0-9]+)")),
    ):
        yield _compared(f"{place}.{key}", fact, seen, _begins(seen, fact.value))
    told = _compressors(probe, packaging)
    same = software.compressors.value is not None and set(told.split()) == set(software.compressors.value)
    yield _compared(f"{place}.compressors", software.compressors, told, same)


def _compressors(probe: Probe, packaging: str) -> str:
    """What the package manager says that it reads: dpkg what it writes as well, rpm by its features."""
    if packaging == "deb" and (told := set(re.findall(r"[a-z0-9]+", probe.first("dpkg.compressors")))):
        # It reads bzip2 and lzma too, and no longer writes them (deb(5)).
        return " ".join(sorted(told | {"none", "bzip2", "lzma"}))
    features = set(probe.lines.get("rpm.features", ())) if packaging == "rpm" else set()
    names = {"rpmlib(PayloadIsBzip2)": "bzip2", "rpmlib(PayloadIsLzma)": "lzma", "rpmlib(PayloadIsXz)": "xz"}
    names["rpmlib(PayloadIsZstd)"] = "zstd"
    return " ".join(sorted({"none", "gzip", *(names[f] for f in features & names.keys())})) if features else ""


def _number(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found.group(1).rstrip(".") if found else ""


def _begins(seen: str, ours: str | None) -> bool:
    """Whether a version is ours, or one of ours' line: 4.19.90-52.22 of 4.19.90, 1.1.1f of 1.1.1."""
    return ours is not None and re.match(re.escape(ours) + r"(?![0-9])", seen) is not None


def _series(kernel: str | None) -> tuple[int, ...]:
    """Which series a kernel is of: system calls are added between 4.19 and 5.10, not between 4.19.0 and 4.19.90."""
    return _key(kernel or "")[:2]


def _key(symbol: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"[0-9]+", symbol))
