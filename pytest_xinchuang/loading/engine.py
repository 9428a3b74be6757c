"""Opens the objects of a delivery in a platform's sandbox, under its CPU, and says what its loader says.

A library is opened with all its symbols bound, a program is started up to ``main``. What the root filesystem stands in for is
not the platform's: a library that it lacks, or an older one, says nothing, and the object stays open.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any

from pytest_xinchuang.core.linux import LinuxSignal
from pytest_xinchuang.core.platform import Architecture, Platform
from pytest_xinchuang.inspect.delivered import Delivered, Inspection
from pytest_xinchuang.inspect.disassembly import function_at, instruction_at
from pytest_xinchuang.inspect.elf import NotElf
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.inspect.hosts import OF_HOSTS
from pytest_xinchuang.inspect.kept import Kept
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.search import How, Search
from pytest_xinchuang.loading import probes
from pytest_xinchuang.loading.nodejs import Required, require
from pytest_xinchuang.loading.own import Entered, Via, enter
from pytest_xinchuang.loading.python import Imported, Python, by_path, wheels_of
from pytest_xinchuang.loading.stub import stub
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import WORK_DIR, Ended, Limits, Sandbox

PLACE = f"{WORK_DIR}/d"
PROBES = f"{WORK_DIR}/.probe"
REPORT = f"{WORK_DIR}/.probe/report"

AT_ONCE = 64
"""Objects that one run of the probe is given."""
SECONDS_EACH = 2.0
MOST_PROGRAMS = 200
"""Programs that are started for one platform; others are told as not started."""

OF_ANY_HOST = ("libpthread.so.0", "libdl.so.2", "libm.so.6", "librt.so.1")
"""What each interpreter and each server has loaded before it opens a plug-in, so that those who need it may leave it unsaid."""

_OF_FILE = re.compile(
    r"ELF load command|invalid ELF header|ELF file|wrong ELF class|file too short|unexpected reloc|unsupported reloc"
    r"|executable stack|segment prot|cannot make segment|only ET_DYN|object file has no (?:loadable|dynamic)"
    r"|unsupported version|ABI version|OS ABI|unknown ELF|cannot apply additional memory protection|no GNU_|gABI"
)
"""What a loader says of a file alone: no other file that is missing here can be the cause."""
_MISSING = re.compile(r"(?P<name>[^\s:]+): cannot open shared object file")


class End(StrEnum):
    """How opening an object ended."""

    LOADED = "loaded"
    REFUSED = "refused"
    """The loader refuses the file itself."""
    DIED = "died"
    """By a signal."""
    LATE = "late"
    """It is loaded, and a function that it needs is missed when it is first called."""
    OPEN = "open"
    """It was not decided: something is missing here that the platform may have, or it took too long."""


@dataclass(frozen=True)
class Opened:
    """How one object was opened.

    Attributes:
        why: what the loader said, or why it was not decided.
        signal: the number, of one that died.
        culprit: the object that the signal struck in, if it was delivered; ``function`` and ``instruction`` are in it.
        missing: the library that the root filesystem lacks.
    """

    record: ElfRecord
    end: End
    why: Message = NOTHING
    signal: int = 0
    culprit: ElfRecord | None = None
    function: str = ""
    instruction: str = ""
    missing: str = ""


@dataclass
class Loads:
    """What came of all objects of a delivery on one platform, and where they were opened.

    Attributes:
        imported: what a real Python said of wheels; ``required``, a real Node.js of its modules.
        stood_in: the plug-ins that were opened with a stand-in for their program alone.
    """

    opened: list[Opened] = field(default_factory=list)
    sandbox: dict[str, Any] = field(default_factory=dict)
    imported: list[Imported] = field(default_factory=list)
    required: list[Required] = field(default_factory=list)
    stood_in: list[ElfRecord] = field(default_factory=list)

    def take(self, said: dict[int, Opened], done: set[int]) -> None:
        """Take what a real program said, by ``id``, in place of what was seen with a stand-in.

        What died before with its place is told no better by a program that does not know the place.
        """
        self.stood_in = [record for record in self.stood_in if id(record) not in done and id(record) not in said]
        for index, each in enumerate(self.opened):
            new = said.get(id(each.record))
            if new is not None and not (each.end is End.DIED and each.culprit is not None and new.culprit is None):
                self.opened[index] = new
            elif new is None and id(each.record) in done and _is_of_stand_in(each):
                self.opened[index] = Opened(each.record, End.LOADED)


class Loader:
    """Opens deliveries for one platform.

    Args:
        kept: has the bytes of the objects.
    """

    def __init__(self, pool: Pool, platform: Platform, architectures: Mapping[Any, Architecture], kept: Kept) -> None:
        self._pool, self._platform, self._architectures, self._kept = pool, platform, architectures, kept

    def load(self, inspection: Inspection) -> Loads:
        """Open all that the platform takes of an inspection.

        Raises:
            HostFault: there is no sandbox here.
        """
        sandbox = self._pool.sandbox(self._platform)
        sandbox.reset()
        result = Loads(sandbox={"backend": sandbox.fingerprint.backend, "cpu": sandbox.fingerprint.cpu_model})
        delivered = inspection.delivered(self._platform, self._architectures)
        placed, machine = _Placed(), self._platform.architecture.elf_machine
        entered: dict[int, Entered] = {}
        for number, root in enumerate(delivered.roots):
            here = entered[id(root)] = enter(inspection.search(root), machine, f"{PLACE}/{number}", f"{PROBES}/lib")
            fit = []
            for record in (r for r in delivered.taken_of(root.records) if r.elf.kind in ("dyn", "exec")):
                why = self._not_here(here, record)
                if why:
                    result.opened.append(Opened(record, End.OPEN, why))
                else:
                    fit.append(record)
            self._place(sandbox, placed, here, fit)
        for name in (probes.OPEN, probes.START):
            sandbox.put(f"{PROBES}/{name}", self._probe(name), executable=True)
        # Since glibc 2.34 what it has is in libc, and an image may lack it.
        sandbox.put(f"{PROBES}/lib/libdl.so.2", stub(machine, "libdl.so.2", []))
        by_loader: dict[Via, list[tuple[ElfRecord, str]]] = {}
        programs: list[tuple[ElfRecord, str, Via]] = []
        for record, path in placed.of.values():
            root_of = delivered.root_of(record)
            via = entered[id(root_of)].via if root_of is not None else Via()
            if _is_started(record):
                programs.append((record, path, via))
            else:
                by_loader.setdefault(via, []).append((record, path))
        shipped = _exports(placed)
        for via, libraries in by_loader.items():
            if via.lists:
                result.opened += self._listed(sandbox, libraries, via)
            else:
                result.opened += self._open(sandbox, placed, libraries, entered, delivered, via)
                result.stood_in += [record for record, _path in libraries if self._of_host(record, shipped)]
        died = {id(each.record): each for each in result.opened if each.end is End.DIED}
        for each in self._start(sandbox, placed, programs):
            its = delivered.root_of(each.record)
            if each.end is End.DIED and each.culprit is None and its is not None:
                # A constructor of a library runs before the probe sees signals: the library by itself has told where.
                needed = (supply.record for _user, _name, supply in entered[id(its)].search.closure(each.record))
                by = next((died[id(r)] for r in needed if r is not None and id(r) in died), None)
                if by is not None and by.signal == each.signal:
                    each = replace(by, record=each.record)
            result.opened.append(each)
        self._import(result, inspection, delivered)
        self._require(result, delivered, entered)
        return result

    def _require(self, result: Loads, delivered: Delivered, entered: Mapping[int, Entered]) -> None:
        """What a real Node.js says of its modules, in place of what was seen without one."""
        modules = [
            o.record
            for o in result.opened
            if o.record.file_name.endswith(".node")
            and not o.missing
            and (root := delivered.root_of(o.record)) is not None
            and not entered[id(root)].own
        ]

        def place(sandbox: Sandbox) -> dict[int, str]:
            placed = _Placed()
            for here in entered.values():
                mine = [r for r in delivered.taken_of(here.root.records) if not self._not_here(here, r)]
                if any(r.file_name.endswith(".node") for r in mine):
                    self._place(sandbox, placed, here, mine)
            return {number: path for number, (_record, path) in placed.of.items()}

        result.required = require(self._pool, self._platform, modules, place)
        said = {
            **{
                id(r): Opened(r, End.OPEN, verbatim(text[:300])) for each in result.required for r, text in each.refused
            },
            **{id(r): Opened(r, End.DIED, signal=number) for each in result.required for r, number in each.died},
        }
        result.take(said, {number for each in result.required for number in each.done})

    def _import(self, result: Loads, inspection: Inspection, delivered: Delivered) -> None:
        """What a real Python says of the extensions of wheels, in place of what was seen without one."""
        taken = set(map(id, delivered.taken))
        result.imported = Python(self._pool, self._platform, self._kept, partial(self._probe, probes.START)).imports(
            inspection.root, taken
        )
        there = _Placed.of_files(by_path(list(wheels_of(inspection.root, taken))))
        said: dict[int, Opened] = {}
        for each in result.imported:
            for record, text in each.refused:
                said[id(record)] = Opened(record, End.OPEN, verbatim(text[:300]))
            for record, line in each.died:
                died = self._judged(record, "", line, there)
                said[id(died.culprit or record)] = replace(died, record=died.culprit or record)
        result.take(said, {number for each in result.imported for number in each.done})

    def _probe(self, name: str) -> bytes:
        architecture = self._platform.architecture
        return probes.probe(self._pool.store.cache, self._pool.runner, name, self._platform.arch, architecture)

    def _not_here(self, here: Entered, record: ElfRecord) -> Message:
        libc = here.libc or self._platform.system.libc
        if here.own:
            if why := here.lacking(record):
                return why
        elif here.root.libc_of(record) is not None:
            return _("it comes with a C library of its own, whose root file system is not entered here")
        elif libc != "glibc":
            return _("there is no sandbox with its C library, {libc}", libc=verbatim(record.elf.libc or libc))
        if record.elf.libc not in (None, libc):
            return _("there is no sandbox with its C library, {libc}", libc=verbatim(record.elf.libc or libc))
        if not self._kept.has(record):
            return _("it is too large to be kept")
        return NOTHING

    def _place(self, sandbox: Sandbox, placed: _Placed, here: Entered, records: Sequence[ElfRecord]) -> None:
        root, fit = here.root, {id(record) for record in records}
        for path in (*root.files, *root.links):
            found = root.resolve(path)
            record = root.files[found] if found is not None else None
            if record is None or id(record) not in fit:
                continue
            data = self._kept.data(record)
            assert data is not None
            there = posixpath.normpath(f"{here.base}/{path}")
            sandbox.put(there, data, executable=True)
            placed.add(record, there, first=path == found)

    # -- libraries

    def _open(
        self,
        sandbox: Sandbox,
        placed: _Placed,
        items: Sequence[tuple[ElfRecord, str]],
        entered: Mapping[int, Entered],
        delivered: Delivered,
        via: Via,
    ) -> Iterator[Opened]:
        shipped = _exports(placed)
        for begin in range(0, len(items), AT_ONCE):
            part = items[begin : begin + AT_ONCE]
            lines = []
            for number, (record, path) in enumerate(part):
                root = delivered.root_of(record)
                before = [
                    *OF_ANY_HOST,
                    *(_before(entered[id(root)].search, record, placed) if root is not None else ()),
                ]
                names = self._of_host(record, shipped)
                if names:
                    host = f"{PROBES}/host-{begin + number}.so"
                    sandbox.put(host, stub(record.elf.machine, posixpath.basename(host), names))
                    before.insert(0, host)
                lines.append("\t".join([*before, path]))
            outcome = sandbox.run(
                [*via.words, f"{PROBES}/{probes.OPEN}"],
                stdin="".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"),
                limits=Limits(wall_s=30 + SECONDS_EACH * len(part)),
            )
            said = outcome.stdout.decode("utf-8", "surrogateescape").splitlines()
            for (record, path), answer in zip(part, said, strict=False):
                yield self._judged(record, path, answer, placed)
            for record, _path in part[len(said) :]:
                yield Opened(record, End.OPEN, _("the sandbox ended: {how}", how=outcome.describe()))

    def _listed(self, sandbox: Sandbox, items: Sequence[tuple[ElfRecord, str]], via: Via) -> Iterator[Opened]:
        """What a loader says that loads and binds an object and starts nothing."""
        for record, path in items:
            outcome = sandbox.run([*via.words, path], limits=Limits(wall_s=20))
            if outcome.ended is Ended.SIGNALED and outcome.signal is not None:
                yield Opened(record, End.DIED, signal=outcome.signal)
            elif outcome.ended is Ended.EXITED and outcome.code == 0:
                yield Opened(record, End.LOADED)
            elif outcome.ended is Ended.EXITED:
                refused = _refused(record, outcome.stderr.decode(errors="replace").strip())
                # All that a program needs is there, and it is bound before it starts; a library may be for a program's names.
                unbound = record.elf.interpreter is not None and "symbol not found" in refused.why
                yield replace(refused, end=End.REFUSED) if unbound else refused
            else:
                yield Opened(record, End.OPEN, outcome.describe_with_tail())

    def _of_host(self, record: ElfRecord, shipped: frozenset[str]) -> list[str]:
        """The names that a plug-in wants of its program, and that nothing which is loaded here brings."""
        versioned = {symbol for needed in record.elf.needed for symbol in needed.symbols}
        return sorted(
            n for n in record.elf.imports if n not in versioned and n not in shipped and OF_HOSTS.fullmatch(n)
        )

    def _judged(self, record: ElfRecord, path: str, answer: str, placed: _Placed) -> Opened:
        word, _space, rest = answer.partition(" ")
        if word in ("ok", "main"):
            return Opened(record, End.LOADED)
        if word == "lazy":
            return replace(_refused(record, rest), end=End.LATE)
        if word == "refused":
            return _refused(record, rest)
        if word == "signal":
            number, found, offset, file = (rest.split(" ", 3) + [""] * 4)[:4]
            return self._died(record, int(number), placed.at(file or path) if found == "1" else None, int(offset, 16))
        if word == "time":
            return Opened(record, End.OPEN, _("its constructors did not end in time"))
        return Opened(record, End.OPEN, _("it ended its process: {answer}", answer=verbatim(answer)))

    def _died(self, record: ElfRecord, signal: int, culprit: ElfRecord | None, address: int) -> Opened:
        data = self._kept.data(culprit) if culprit is not None else None
        if culprit is None or data is None:
            return Opened(record, End.DIED, signal=signal)
        try:
            elf = read_elf(data, culprit.place)
        except NotElf:
            return Opened(record, End.DIED, signal=signal)
        text = instruction_at(elf, data, address)
        return Opened(record, End.DIED, NOTHING, signal, culprit, function_at(elf, address), text)

    # -- programs

    def _start(
        self, sandbox: Sandbox, placed: _Placed, items: Sequence[tuple[ElfRecord, str, Via]]
    ) -> Iterator[Opened]:
        for number, (record, path, via) in enumerate(items):
            if number >= MOST_PROGRAMS:
                yield Opened(record, End.OPEN, _("at most {most} programs are started", most=MOST_PROGRAMS))
            elif record.elf.interpreter is None:
                yield self._whole(sandbox, record, path)
            elif via.lists:
                yield from self._listed(sandbox, [(record, path)], via)
            else:
                yield self._to_main(sandbox, placed, record, path, via)

    def _to_main(self, sandbox: Sandbox, placed: _Placed, record: ElfRecord, path: str, via: Via) -> Opened:
        sandbox.put(REPORT, b"")
        outcome = sandbox.run(
            [*via.words, path],
            env={"LD_PRELOAD": f"{PROBES}/{probes.START}", "LD_BIND_NOW": "1", "XC_PROBE": REPORT},
            limits=Limits(wall_s=20),
        )
        report = sandbox.get(REPORT).decode("utf-8", "surrogateescape").splitlines()
        if report:
            return self._judged(record, path, report[0], placed)
        if outcome.ended is Ended.SIGNALED and outcome.signal is not None:
            return Opened(record, End.DIED, signal=outcome.signal)
        if outcome.is_fault or outcome.code != 127:
            return Opened(record, End.OPEN, _("it did not come to main: {how}", how=outcome.describe_with_tail()))
        return _refused(record, outcome.stderr.decode(errors="replace").strip())

    def _whole(self, sandbox: Sandbox, record: ElfRecord, path: str) -> Opened:
        """A program without a loader has no place to stop it at: it is asked for its version, for a bounded time."""
        outcome = sandbox.run([path, "--version"], limits=Limits(wall_s=10))
        if outcome.ended is Ended.SIGNALED and outcome.signal in (LinuxSignal.SIGILL, LinuxSignal.SIGSYS):
            return Opened(record, End.DIED, signal=outcome.signal or 0)
        if outcome.ended in (Ended.EXITED, Ended.TIMED_OUT):
            return Opened(record, End.LOADED)
        return Opened(record, End.OPEN, outcome.describe_with_tail())


def _is_started(record: ElfRecord) -> bool:
    """Whether an object is a program; libraries may have an interpreter too, as libc has."""
    elf = record.elf
    return elf.kind == "exec" or elf.static_pie or (elf.interpreter is not None and elf.soname is None)


class _Placed:
    """Where objects stand in the sandbox."""

    def __init__(self) -> None:
        self.of: dict[int, tuple[ElfRecord, str]] = {}
        self._at: dict[str, ElfRecord] = {}

    @classmethod
    def of_files(cls, files: Mapping[str, ElfRecord]) -> _Placed:
        placed = cls()
        for path, record in files.items():
            placed.add(record, path, first=False)
        return placed

    def add(self, record: ElfRecord, path: str, *, first: bool) -> None:
        if first or id(record) not in self.of:
            self.of[id(record)] = (record, path)
        self._at[path] = record

    def at(self, path: str) -> ElfRecord | None:
        return self._at.get(path)

    def path(self, record: ElfRecord) -> str | None:
        found = self.of.get(id(record))
        return found[1] if found is not None else None


def _exports(placed: _Placed) -> frozenset[str]:
    return frozenset(name for record, _path in placed.of.values() for name in record.elf.exports)


def _before(search: Search, record: ElfRecord, placed: _Placed) -> list[str]:
    """What whoever loads an object has loaded before: its libraries that the loader does not find by itself."""
    nearby: list[str] = []
    for _user, _name, supply in search.closure(record):
        if supply.how is How.NEARBY and supply.record is not None:
            path = placed.path(supply.record)
            if path is not None and path not in nearby:
                nearby.insert(0, path)
    return nearby


def _refused(record: ElfRecord, said: str) -> Opened:
    text = verbatim(re.sub(rf"(?:{re.escape(PLACE)}/\d+|{re.escape(WORK_DIR)})/", "", said)[:300])
    missing = _MISSING.search(said)
    if missing is not None:
        why = _("the root filesystem here lacks {name}", name=verbatim(missing["name"]))
        return Opened(record, End.OPEN, why, missing=missing["name"])
    if _OF_FILE.search(said):
        return Opened(record, End.REFUSED, text)
    return Opened(record, End.OPEN, text)


def _is_of_stand_in(opened: Opened) -> bool:
    """Whether the end of an object may be for want of its program: neither the loader's doing, nor the CPU's."""
    if opened.end is End.DIED:
        return opened.signal != LinuxSignal.SIGILL
    # What the C library of this root filesystem lacks, another one's tells nothing of.
    return opened.end is End.LATE or (opened.end is End.OPEN and "undefined symbol" in opened.why)


def in_words(opened: Iterable[Opened]) -> dict[str, int]:
    """How many objects ended in which way."""
    counts: dict[str, int] = {}
    for each in opened:
        counts[each.end.value] = counts.get(each.end.value, 0) + 1
    return counts
