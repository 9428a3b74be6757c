"""Inspects artifacts: reads them once, and judges what was read for each platform."""

from __future__ import annotations

import gc
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Architecture, Platform
from pytest_xinchuang.inspect.artifact import Node, ReadProblem
from pytest_xinchuang.inspect.delivered import Delivered, Inspection
from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.formats.occurrences import Occurrences
from pytest_xinchuang.inspect.kept import Kept
from pytest_xinchuang.inspect.kinds import kind_word
from pytest_xinchuang.inspect.marks import TEXTS
from pytest_xinchuang.inspect.objects import SCANNED_MACHINES, ObjectReader, Task
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.roles import Choice
from pytest_xinchuang.inspect.rules import elf_rules, npm, packages, supply, systems, wheels
from pytest_xinchuang.inspect.rules.brought import brought
from pytest_xinchuang.inspect.rules.closure import Closure, check_closure, check_from_system
from pytest_xinchuang.inspect.rules.elf_rules import PLAIN_RULES, Surroundings, check_machine, check_symbols
from pytest_xinchuang.inspect.rules.elsewhere import check_elsewhere
from pytest_xinchuang.inspect.rules.embedded import check_embedded, is_embedded
from pytest_xinchuang.inspect.rules.go_rules import check_go, check_system
from pytest_xinchuang.inspect.rules.interpreters import check_interpreters
from pytest_xinchuang.inspect.rules.isa_rules import check_isa
from pytest_xinchuang.inspect.rules.java import check_java
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.inspect.rules.kernels import check_kernel
from pytest_xinchuang.inspect.rules.modules import Kernels, check_module
from pytest_xinchuang.inspect.rules.needs import check_bpf, check_series, check_undefined
from pytest_xinchuang.inspect.side_by_side import SideBySide
from pytest_xinchuang.inspect.walk import Bounds, Walker
from pytest_xinchuang.messages import _
from pytest_xinchuang.tools.process import Runner

PACKAGE_KINDS = ("wheel", "jar", "deb", "rpm", "image")
"""Containers that are judged as such, be there no object in them."""


class Inspector:
    """Reads artifacts.

    Args:
        isa: scan the instructions of objects too.
        machines: e_machine names whose instructions are scanned; by default all that can be.
        kept: keeps the bytes of the objects, for who looks at them again.
        jobs: processes that read objects side by side, where there are many of them; what is read is the same.
    """

    def __init__(
        self,
        *,
        isa: bool = True,
        bounds: Bounds | None = None,
        machines: Iterable[str] = SCANNED_MACHINES,
        runner: Runner | None = None,
        kept: Kept | None = None,
        jobs: int = 1,
    ) -> None:
        self.kept = kept
        self.runner = runner
        self.bounds = bounds
        self.reader = ObjectReader(isa, frozenset(machines))
        self.jobs = jobs

    def read(self, path: Path, label: str = "") -> Inspection:
        """Read an artifact: a file, a package, an archive, an image or a directory; it is called ``label`` in what is found.

        Raises:
            XcError: there is nothing there that can be opened.
        """
        met: list[_Met] = []

        def on_object(node: Node, name: str, data: Any, marks: Occurrences | None) -> None:
            place = node.place if node.kind == "file" else node.within(name)
            digest = hashlib.sha256(data).hexdigest()
            if self.kept is not None:
                self.kept.keep(digest, data)
            source = getattr(data, "path", None)
            if source is None and isinstance(data, bytes):
                source = data
            marked = marks is None or any(marks.known(text) != [] for text in TEXTS)
            task = Task(source, len(data), place, name, digest, marked)
            met.append(_Met(node, place, _libc_in(name, data)))
            reading.add(task, data)

        def on_wheel(node: Node, data: bytes) -> None:
            if self.kept is not None:
                self.kept.keep_wheel(node, data)

        with _rarely_collected(), SideBySide(self.reader, self.jobs) as reading:
            walker = Walker(on_object, self.bounds, self.runner, on_wheel)
            root = walker.walk(path, label)
            outcomes = reading.outcomes()
        problems: list[ReadProblem] = []
        for each, outcome in zip(met, outcomes, strict=True):
            if isinstance(outcome, ElfRecord):
                each.node.objects.append(outcome)
                _note_libc(each)
            else:
                problems.append(outcome)
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
        return self.reader.read(data, place, path)


@contextmanager
def _rarely_collected() -> Iterator[None]:
    """Symbols are many small objects that are no garbage: to look through them over and over takes a tenth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], 50_000) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@dataclass(frozen=True)
class _Met:
    """An object on the way of a walk. ``libc``: the version of glibc that it is the C library of."""

    node: Node
    place: str
    libc: str


def _libc_in(name: str, data: Any) -> str:
    if re.search(r"(?:^|/)libc(?:-2\.\d+)?\.so(?:\.6)?$", name) is None:
        return ""
    found = re.search(rb"GNU C Library .{0,200}?version (\d+\.\d+)", data)
    return found.group(1).decode() if found else ""


def _note_libc(met: _Met) -> None:
    """The glibc version of a root filesystem goes to all the containers that it stands in."""
    here: Node | None = met.node
    while met.libc and here is not None:
        here.facts.setdefault("libc", met.libc)
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
        self._closures: dict[int, Closure] = {}
        self._kernels = Kernels()
        self._nodes: list[Node] = []

    def of(self, inspection: Inspection) -> list[Finding]:
        """All findings about ``inspection``, in the order of its tree."""
        delivered = inspection.delivered(self.platform, self.architectures)
        self._closures.clear()
        self._kernels = Kernels(inspection.root)
        self._nodes.clear()
        self._node(inspection.root, delivered, judged=False)
        taken = delivered.taken
        elf_rules.check_mixture(self.judge, taken)
        closure = Closure(taken)
        check_closure(self.judge, closure)
        self._run_times(inspection.root, delivered)
        for root in delivered.roots:
            mine = delivered.taken_of(root.records)
            supply.check_supply(self.judge, root, inspection.search(root), mine, closure.shipped)
        check_from_system(self.judge, closure, inspection.root.place)
        packages.check_system(self.judge, inspection.root)
        return self.judge.findings

    def _run_times(self, root: Node, delivered: Delivered) -> None:
        """What is run by something else: by what comes along, else by what the system has."""
        machine = self.platform.architecture.elf_machine
        along = brought(root, delivered.taken, whole=any(r.libc(machine) is not None for r in delivered.roots))
        check_java(self.judge, self._nodes, along)
        check_interpreters(self.judge, self._nodes, set(map(id, delivered.taken)), along)
        check_elsewhere(self.judge, self._nodes, self.architectures)

    def _node(self, node: Node, delivered: Delivered, *, judged: bool) -> None:
        """One container, then what it holds. ``judged``: its tag has said once for all that its machine is another."""
        judge = self.judge
        records: list[ElfRecord] = list(node.objects)
        proceed = True
        if node.kind == "wheel":
            proceed = wheels.check_wheel(judge, node, records)
            judged = judged or any(
                f.code in ("XC-PKG-001", "XC-PKG-007") and f.certainty is Certainty.CERTAIN and node.place in f.object
                for f in judge.findings
            )
        elif node.kind in ("deb", "rpm"):
            proceed = packages.check_package(judge, node)
        elif node.kind == "image":
            proceed = packages.check_image(judge, node, self.architectures)
        hidden = is_embedded(node)
        if hidden:
            records = check_embedded(judge, node, records)
        for record in node.objects:
            check_bpf(judge, record)
        if node.texts:
            packages.check_classifiers(judge, node, self.architectures)
            packages.check_dotnet(judge, node)
            npm.check_npm(judge, node, self.architectures)
        proceed = proceed and systems.check_systems(judge, node)
        if not proceed:
            return
        self._nodes.append(node)
        choices = [(record, delivered.choice[id(record)]) for record in records]
        if not judged and not hidden:
            supply.check_choices(judge, node, choices, self.architectures, delivered.roles)
            packages.check_names(judge, [r for r, choice in choices if choice is not Choice.DATA], delivered.roles)
        asks = ""
        if node.kind == "static-archive":
            asks = next((f"{r.file_name}: {r.isa.asks}" for r in records if r.isa is not None and r.isa.asks), "")
        for record, choice in choices:
            if choice is Choice.TAKEN or (choice is Choice.FOREIGN and not judged and node.kind != "jar"):
                begin = len(judge.findings)
                self.record(record, self._around(record, delivered, asks))
                if supply.is_tried(node, record):
                    judge.soften(begin)
        for child in node.children:
            self._node(child, delivered, judged=judged)

    def _around(self, record: ElfRecord, delivered: Delivered, asks: str) -> Surroundings:
        """What stands around an object in its root."""
        root = delivered.root_of(record)
        if root is None:
            return Surroundings(asks=asks)
        closure = self._closures.get(id(root))
        if closure is None:
            closure = self._closures[id(root)] = Closure(delivered.taken_of(root.records))
        # The platform's C library is not in an image: of a program without one no version is asked. A library there may be
        # copied out to the host.
        libc = root.libc_of(record) or (record.elf.libc if root.whole and record.elf.interpreter else None)
        release = closure.glibc if libc == "glibc" else None
        below = root.has_loader_below(record)
        return Surroundings(closure.pulled(record), closure.shipped, asks, libc, release, closure, below)

    def record(self, record: ElfRecord, around: Surroundings) -> None:
        """One object by itself."""
        if self.freestanding:
            elf_rules.check_freestanding(self.judge, record)
        if not (check_system(self.judge, record) and check_machine(self.judge, record, around)):
            return
        check_symbols(self.judge, record, around)
        if around.libc is None:
            check_undefined(self.judge, record, around.closure)
            check_series(self.judge, record, around.shipped)
        elf_rules.check_loader(self.judge, record, around)
        elf_rules.check_loading(self.judge, record, around)
        for rule in PLAIN_RULES:
            rule(self.judge, record)
        check_isa(self.judge, record, around.asks)
        check_go(self.judge, record)
        check_module(self.judge, record, self._kernels)
        check_kernel(self.judge, record)


def problems_as_findings(problems: Iterable[ReadProblem], platform: str) -> list[Finding]:
    """Problems of reading, as findings of one platform: undecided, for what was not read may be anything."""
    return [Finding(p.code, Certainty.UNDECIDED, p.place, platform, {"detail": p.detail}) for p in problems]


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
        "rpath": list(elf.rpath),
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
