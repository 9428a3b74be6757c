"""Inspects artifacts: reads them once, and judges what was read for each platform."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Architecture, Platform
from pytest_xinchuang.inspect.artifact import Node, ReadProblem
from pytest_xinchuang.inspect.elf import ElfObject, NotElf
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.inspect.isa import scan_isa
from pytest_xinchuang.inspect.kinds import kind_word
from pytest_xinchuang.inspect.rules import elf_rules, packages, wheels
from pytest_xinchuang.inspect.rules.closure import Closure, check_closure, check_from_system
from pytest_xinchuang.inspect.rules.elf_rules import PLAIN_RULES, Surroundings, check_machine, check_symbols
from pytest_xinchuang.inspect.rules.embedded import check_embedded
from pytest_xinchuang.inspect.rules.go_rules import check_go
from pytest_xinchuang.inspect.rules.isa_rules import check_isa
from pytest_xinchuang.inspect.rules.judge import ElfRecord, Judge
from pytest_xinchuang.inspect.walk import Bounds, Walker
from pytest_xinchuang.messages import _
from pytest_xinchuang.tools.process import Runner

PACKAGE_KINDS = ("wheel", "jar", "deb", "rpm", "image")
"""Containers that are judged as such, be there no object in them."""

SCANNED_MACHINES = ("EM_X86_64", "EM_AARCH64", "EM_LOONGARCH")


@dataclass
class Inspection:
    """What was read of one artifact.

    Attributes:
        root: the tree of containers; the objects in it are :class:`ElfRecord`.
        problems: what could not be read. Whatever depends on it is unknown.
        unread: problems beyond those that were kept.
    """

    root: Node
    problems: list[ReadProblem] = field(default_factory=list)
    unread: int = 0

    @property
    def records(self) -> list[ElfRecord]:
        return list(self.root.all_objects())


class Inspector:
    """Reads artifacts.

    Args:
        isa: scan the instructions of objects too.
        machines: e_machine names whose instructions are scanned; by default all that can be.
    """

    def __init__(
        self,
        *,
        isa: bool = True,
        bounds: Bounds | None = None,
        machines: Iterable[str] = SCANNED_MACHINES,
        runner: Runner | None = None,
    ) -> None:
        self.isa = isa
        self.runner = runner
        self.bounds = bounds
        self.machines = frozenset(machines)

    def read(self, path: Path, label: str = "") -> Inspection:
        """Read an artifact: a file, a package, an archive, an image or a directory; it is called ``label`` in what is found.

        Raises:
            XcError: there is nothing there that can be opened.
        """
        problems: list[ReadProblem] = []

        def on_object(node: Node, name: str, data: bytes) -> None:
            top = node.kind == "file"
            place = node.place if top else node.within(name)
            try:
                record = self.object(data, place, name)
            except NotElf as error:
                problems.append(ReadProblem("XC-BAD-001", place, error.what))
                return
            node.objects.append(record)
            _note_libc(node, name, data)

        walker = Walker(on_object, self.bounds, self.runner)
        root = walker.walk(path, label)
        problems += walker.problems
        if not problems and not any(n.objects or n.texts or n.kind in PACKAGE_KINDS for n in root.walk()):
            # Nothing wrong was found for want of evidence.
            problems.append(
                ReadProblem(
                    "XC-BAD-009",
                    root.place,
                    _("a {kind} with neither an object nor a package in it", kind=kind_word(root.kind)),
                )
            )
        return Inspection(root, problems, walker.unread)

    def object(self, data: bytes, place: str, path: str = "") -> ElfRecord:
        """Read one object.

        Raises:
            NotElf: it is none, or a damaged one.
        """
        elf = read_elf(data, place)
        scan, fault = None, None
        if self.isa and elf.machine in self.machines and elf.kind != "core":
            try:
                scan = scan_isa(elf, data, path or place)
            except HostFault as error:
                fault = (error.what, error.mend)
        # Functions have served the scan, and are by far the largest part of an object.
        slim = replace(elf, functions=())
        return ElfRecord(
            place, path or place, slim, scan, fault, elf_rules.embeds(elf, data), hashlib.sha256(data).hexdigest()
        )


def _note_libc(node: Node, name: str, data: bytes) -> None:
    """The glibc version of a root filesystem goes to all the containers that it stands in."""
    if re.search(r"(?:^|/)libc(?:-2\.\d+)?\.so(?:\.6)?$", name) is None:
        return
    found = re.search(rb"GNU C Library .*?version (\d+\.\d+)", data)
    here: Node | None = node
    while found and here is not None:
        here.facts.setdefault("libc", found.group(1).decode())
        here = here.parent


class Verdicts:
    """Findings of an inspection for one platform."""

    def __init__(
        self, platform: Platform, architectures: Mapping[Any, Architecture], *, freestanding: bool = False
    ) -> None:
        self.platform = platform
        self.architectures = architectures
        self.freestanding = freestanding
        self.judge = Judge(platform)

    def of(self, inspection: Inspection) -> list[Finding]:
        """All findings about ``inspection``, in the order of its tree."""
        self._node(inspection.root, chosen=False)
        mine = [r for r in inspection.records if r.elf.machine == self.platform.architecture.elf_machine]
        elf_rules.check_mixture(self.judge, mine)
        closure = Closure(mine)
        check_closure(self.judge, closure)
        check_from_system(self.judge, closure, inspection.root.place)
        if inspection.root.facts.get("libc") or _has_release(inspection.root):
            packages.check_system(self.judge, inspection.root, mine)
        return self.judge.findings

    def _node(self, node: Node, *, chosen: bool) -> None:
        """One container, then what it holds. ``chosen``: an outer one picks objects by architecture: others are no fault."""
        judge = self.judge
        records: list[ElfRecord] = list(node.objects)
        proceed = True
        if node.kind == "wheel":
            proceed = wheels.check_wheel(judge, node, records)
            # A wheel with the wrong tag is judged by its tag: each object once more would be the same fault again.
            chosen = chosen or any(
                f.code in ("XC-PKG-001", "XC-PKG-007") and node.place in f.object for f in judge.findings
            )
        elif node.kind in ("deb", "rpm"):
            proceed = packages.check_package(judge, node)
        elif node.kind == "image":
            proceed = packages.check_image(judge, node, self.architectures)
        elif node.kind == "jar" or (
            node.kind in ("zip", "tar", "compressed", "directory") and _several_machines(records)
        ):
            proceed = packages.check_choice(judge, node, records, self.architectures)
            packages.check_names(judge, records, self.architectures)
            chosen = True
        elif node.kind == "embedded":
            records = check_embedded(judge, node, records)
        if node.texts:
            packages.check_classifiers(judge, node, self.architectures)
            packages.check_dotnet(judge, node)
        if not proceed:
            return
        closure = Closure(records)
        shipped = closure.shipped
        asks = ""
        if node.kind == "static-archive":
            asks = next((f"{r.file_name}: {r.isa.asks}" for r in records if r.isa is not None and r.isa.asks), "")
        for record in records:
            if chosen and not self._would_be_chosen(record, records):
                continue
            self.record(record, Surroundings(closure.pulled(record), shipped, asks))
        for child in node.children:
            self._node(child, chosen=chosen)

    def _would_be_chosen(self, record: ElfRecord, others: list[ElfRecord]) -> bool:
        """Whether an outer one that picks by machine and libc would take this object on the platform."""
        if record.elf.machine != self.platform.architecture.elf_machine:
            return False
        wanted = self.platform.system.libc
        if record.elf.libc in (None, wanted):
            return True
        # One for another libc is no fault where there is one for this.
        return not any(o.elf.machine == record.elf.machine and o.elf.libc in (None, wanted) for o in others)

    def record(self, record: ElfRecord, around: Surroundings) -> None:
        """One object by itself."""
        if self.freestanding:
            elf_rules.check_freestanding(self.judge, record)
        if not check_machine(self.judge, record):
            return
        check_symbols(self.judge, record, around)
        elf_rules.check_loading(self.judge, record, around)
        for rule in PLAIN_RULES:
            rule(self.judge, record)
        check_isa(self.judge, record, around.asks)
        check_go(self.judge, record)


def problems_as_findings(problems: Iterable[ReadProblem], platform: str) -> list[Finding]:
    """Problems of reading, as findings of one platform: undecided, for what was not read may be anything."""
    return [Finding(p.code, Certainty.UNDECIDED, p.place, platform, {"detail": p.detail}) for p in problems]


def _several_machines(records: list[ElfRecord]) -> bool:
    return len({r.elf.machine for r in records if r.elf.kind in ("dyn", "exec")}) > 1


def _has_release(root: Node) -> bool:
    return any(name.endswith("os-release") for node in root.walk() for name in node.texts)


def describe(elf: ElfObject) -> dict[str, Any]:
    """What was read of an object, as plain data."""
    return {
        "machine": elf.machine,
        "bits": elf.bits,
        "data_model": elf.data_model,
        "kind": elf.kind,
        "linking": elf.linking,
        "flags": elf.flags,
        "interpreter": elf.interpreter,
        "soname": elf.soname,
        "libraries": list(elf.libraries),
        "runpath": list(elf.runpath),
        "versions": sorted({n.version for n in elf.needed}),
        "load_alignments": sorted(set(elf.load_alignments)),
        "static_tls": elf.static_tls,
        "tls_size": elf.tls_size,
        "exec_stack": elf.exec_stack,
        "relro": elf.relro,
        "pie": elf.pie,
        "build_id": elf.build_id,
        "abi_note": ".".join(map(str, elf.abi_note)) if elf.abi_note else None,
        "compilers": list(elf.compilers),
        "go": {"version": elf.go.version, "path": elf.go.path, "settings": dict(elf.go.settings)} if elf.go else None,
    }
