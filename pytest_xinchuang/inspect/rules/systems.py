"""Rules about packages against the system that installs them: its package format and compressors."""

from __future__ import annotations

import re

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Confidence
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import _, joined, verbatim

SUFFIXES = {"": "none", "gz": "gzip", "bz2": "bzip2", "lzma": "lzma", "xz": "xz", "zst": "zstd"}
"""What follows ``data.tar`` in a deb (deb(5)) -> how platforms.yaml calls the compressor."""

ALWAYS = frozenset({"none", "gzip", "bzip2", "lzma", "xz"})
"""What every dpkg since 1.15.6 (2010) and every rpm since 4.7 (2009) reads, and so every system of platforms.yaml."""

DELIVERIES = frozenset({"directory", "tar", "zip", "compressed"})
"""What holds packages that are to be installed."""


def check_systems(judge: Judge, node: Node) -> bool:
    """What the platform's system says to one container; False where it cannot install it at all."""
    if node.kind in ("deb", "rpm"):
        if not check_family(judge, node):
            return False
        check_compressors(judge, node)
    return True


def check_family(judge: Judge, node: Node) -> bool:
    """A deb for a system of rpm packages, or the other way round, where none of the right kind comes along."""
    fact = judge.platform.system.packaging
    if fact.value is None or fact.value == node.kind:
        return True
    root = node
    while root.parent is not None:
        root = root.parent
        if root.kind not in DELIVERIES:
            return True  # a file of an image or of another package, which nobody is told to install
    if any(other.kind == fact.value for other in root.walk()):
        return False  # there is one of each kind: the other one is for this system
    sure = fact.confidence is not Confidence.INFERRED
    judge.find(
        "XC-DIST-001",
        Certainty.CERTAIN if sure else Certainty.UNDECIDED,
        node.place,
        package=node.package,
        kind=node.kind,
        wanted=fact.value,
        system=judge.platform.system.title.message(),
    )
    return True


def compressors_of(node: Node) -> dict[str, str]:
    """Member or payload -> its compressor, by the names in a deb and the header of an rpm."""
    if node.kind == "rpm":
        control = node.texts.get("control", b"").decode(errors="replace")
        found = re.search(r"^Compressor: *(\S+)", control, re.M)
        return {"payload": found.group(1)} if found else {}
    members = {*node.members, *(child.name for child in node.children)}
    found_in = {}
    for name in sorted(members):
        match = re.fullmatch(r"((?:control|data)\.tar)(?:\.([a-z0-9]+))?", name)
        if match:
            suffix = match.group(2) or ""
            found_in[name] = SUFFIXES.get(suffix, suffix)
    return found_in


def check_compressors(judge: Judge, node: Node) -> None:
    """A compressor that the system's dpkg or rpm cannot read."""
    fact = judge.platform.system.software.compressors
    for member, compressor in compressors_of(node).items():
        if compressor in ALWAYS:
            continue
        sure = fact.value is not None and fact.confidence is not Confidence.INFERRED
        if sure and compressor in (fact.value or ()):
            continue
        judge.find(
            "XC-DIST-002",
            Certainty.CERTAIN if sure else Certainty.UNDECIDED,
            node.place,
            package=node.package,
            member=member,
            compressor=compressor,
            system=judge.platform.system.title.message(),
            why=_known(judge, compressor, sure=sure),
        )


def _known(judge: Judge, compressor: str, *, sure: bool) -> object:
    system = judge.platform.system
    fact = system.software.compressors
    if sure:
        return _("it reads {names}", names=joined(map(verbatim, fact.value or ()), _(", ")))
    if fact.value is None:
        return _("whether it reads {name} is not known", name=verbatim(compressor))
    return _(
        "whether it reads {name} is only inferred: {source}", name=verbatim(compressor), source=verbatim(fact.source)
    )
