"""Rules about the names that libraries lie under: a loader looks for files, and sonames are of no use to it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.rules.judge import ElfRecord, Judge
from pytest_xinchuang.messages import Message, _

_LDCONFIG = re.compile(r"(?:\./|/)?(?:usr/(?:local/)?)?lib(?:64)?(?:/[a-z0-9_]+-linux-gnu[a-z0-9_]*)?/[^/]+")
"""Directories of a system whose soname links ldconfig makes when a package is installed."""


@dataclass
class _Delivered:
    """The names in a delivery.

    Attributes:
        objects: file names of ELF objects for the platform.
        sonames: soname -> an object that has it.
        others: file names of what is no object -> where it lies.
        installed: places of objects that a package manager puts where ldconfig looks.
        links: names of symbolic links -> where a relative one leads to, empty where that is delivered or cannot be told.
    """

    objects: set[str] = field(default_factory=set)
    sonames: dict[str, ElfRecord] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    installed: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)


def check_links(judge: Judge, root: Node, records: Iterable[ElfRecord]) -> None:
    """Libraries that are delivered, but not under the name that somebody needs them by.

    Args:
        root: the whole delivery.
        records: its objects for the platform's architecture.
    """
    records = [r for r in records if r.elf.kind != "rel"]
    delivered = _delivered(root, records)
    for record in records:
        for name in record.elf.libraries:
            if "/" in name or name in delivered.objects:
                continue
            provider = delivered.sonames.get(name)
            if provider is not None and provider.elf.machine != record.elf.machine:
                continue
            why = _why(delivered, name, provider)
            if why is None:
                continue
            # A program's own libraries are looked for before anything of it runs; what a library needs may have been
            # loaded before, from any path, and then its soname counts.
            sure = Certainty.CERTAIN if record.elf.program else Certainty.GUARDED
            judge.find("XC-ELF-044", sure, record.place, library=name, why=why)


def _why(delivered: _Delivered, name: str, provider: ElfRecord | None) -> Message | None:
    if name in delivered.links:
        target = delivered.links[name]
        return _("its link leads to {target}, which is not delivered", target=target) if target else None
    if name in delivered.others and (provider is not None or ".so." in name):
        return _("{place} is no ELF object", place=delivered.others[name])
    if provider is not None and provider.place not in delivered.installed:
        return _("it is delivered as {place} alone, without a link", place=provider.place)
    return None


def _delivered(root: Node, records: list[ElfRecord]) -> _Delivered:
    found = _Delivered()
    for record in records:
        found.objects.add(record.file_name)
        if record.elf.soname and not record.elf.detached:
            found.sonames.setdefault(record.elf.soname, record)
    for node in root.walk():
        objects = {r.path for r in node.objects}
        if _is_package(node):
            found.installed |= {r.place for r in node.objects if _LDCONFIG.fullmatch(r.path)}
        files = {posixpath.normpath(m.lstrip("/")) for m in node.members}
        links = {posixpath.normpath(m.lstrip("/")): target for m, target in node.links.items()}
        for path in files - {posixpath.normpath(o.lstrip("/")) for o in objects}:
            name = posixpath.basename(path)
            if ".so" in name and name not in found.objects:
                found.others.setdefault(name, node.within(path))
        for path, target in links.items():
            name = posixpath.basename(path)
            lost = "" if _leads(path, files, links) else target
            # One link that leads somewhere is enough.
            found.links[name] = lost if found.links.get(name, "x") else ""
    return found


def _is_package(node: Node) -> bool:
    here: Node | None = node
    while here is not None and here.kind not in ("deb", "rpm"):
        here = here.parent
    return here is not None


def _leads(path: str, files: set[str], links: dict[str, str]) -> bool:
    """Whether a relative link ends at a file of its container; an absolute one is the system's affair."""
    for _hop in range(40):
        if path not in links:
            return path in files
        target = links[path]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if target.startswith("/") or path.startswith("../"):
            return True
        directory = posixpath.dirname(path)
        if directory in links:
            return True
    return False
