"""What a run shows of the behaviours that a unit declares: by its system calls, its signals and its objects."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from pytest_xinchuang.building.built import Built
from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.subject import Unit
from pytest_xinchuang.core.verdict import Cause
from pytest_xinchuang.inspect.elf import ElfObject, NotElf
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.messages import NOTHING, _
from pytest_xinchuang.packages.mru.bench import Bench
from pytest_xinchuang.packages.mru.findings import UnitRecord
from pytest_xinchuang.packages.mru.requirements import BEHAVIOURS
from pytest_xinchuang.sandbox.call_log import CallLog
from pytest_xinchuang.sandbox.protocol import Outcome, Sandbox, logs_apart
from pytest_xinchuang.sandbox.situation import instead_of
from pytest_xinchuang.sandbox.strace import MAKING, OPENING, Call, has_flag
from pytest_xinchuang.sandbox.tracing import TRACE_MEND, is_whole

CLONE_THREAD = 0x00010000
"""linux/sched.h."""
PROT_EXEC = 4
"""asm-generic/mman-common.h."""
_WAIT = frozenset({"wait4", "waitid"})
_HANDLED = frozenset({"rt_sigreturn", "sigreturn"})
_OF_GO = frozenset({"SIGURG"})
"""Go's run time sends it to its own threads (runtime/signal_unix.go, sigPreempt)."""
_OF_SHELLS = frozenset({"SIGCHLD"})
"""A shell handles it for its own purposes."""
_OF_LIBC = re.compile(r"libnss_|/gconv/|libgcc_s\.so\.1$")
"""Libraries that libc opens for itself: name services, character sets, unwinding of cancelled threads."""
_LIBRARY = re.compile(r"\.so(\.[0-9.]+)?$")

NOT_SEEN = {
    "children": _("no child ran and was waited for"),
    "threads": _("no thread ran"),
    "tls": _("no object of the subject that ran has thread-local variables"),
    "signals": _("no signal came to a handler"),
    "dlopen": _("no library was opened and mapped besides those that the loader brings at the start"),
}


class Ran:
    """What ran: the log of a traced run, and the objects that it loaded.

    Args:
        sandbox: as it is after the run.
    """

    def __init__(self, unit: Unit, built: Built, log: CallLog, sandbox: Sandbox) -> None:
        self._unit, self._built, self._log, self._sandbox = unit, built, log, sandbox
        self._elves: dict[str, ElfObject | None] = {}

    def shows(self, behaviour: str) -> dict[str, Any] | None:
        """What shows a behaviour, as evidence; None when nothing does."""
        return {
            "children": self._child,
            "threads": self._thread,
            "tls": self._tls,
            "signals": self._signal,
            "dlopen": self._opened,
        }[behaviour]()

    def _child(self) -> dict[str, Any] | None:
        threads = {call.thread for call in self._log.calls}
        waits = [c for c in self._log.calls if c.name in _WAIT and c.answer is not None and c.errno is None]
        for call in self._log.calls:
            if call.name in MAKING and not _is_thread(call) and (pid := call.returned) and pid in threads and waits:
                last = next(c for c in reversed(self._log.calls) if c.thread == pid)
                return {"made": _told(call), "ended": _told(last), "waited": _told(waits[0])}
        return None

    def _thread(self) -> dict[str, Any] | None:
        for call in self._log.calls:
            if call.name in MAKING and _is_thread(call) and (thread := call.returned):
                own = [c for c in self._log.calls if c.thread == thread]
                if own:
                    return {"made": _told(call), "thread": thread, "calls": len(own)}
        return None

    def _tls(self) -> dict[str, Any] | None:
        mapped = {PurePosixPath(path).name for _call, path in self._mapped()}
        for name, data in self._built.objects.items():
            elf = self._read(name, data)
            if elf is None or not elf.tls_size:
                continue
            if not _LIBRARY.search(name) or PurePosixPath(name).name in mapped or elf.soname in mapped:
                return {"object": name, "tls_bytes": elf.tls_size}
        return None

    def _signal(self) -> dict[str, Any] | None:
        passed = (_OF_GO if any(e is not None and e.is_go for e in self._own()) else frozenset()) | (
            _OF_SHELLS if self._unit.kind == "shell" else frozenset()
        )
        for taken in self._log.taken:
            before = self._log.calls[: taken.before]
            handler = next((c for c in before if c.name == "rt_sigaction" and _sets(c, taken.signal)), None)
            after = (c for c in self._log.calls[taken.before :] if c.thread == taken.thread)
            done = next((c for c in after if c.name in _HANDLED), None)
            if handler is not None and done is not None and taken.signal not in passed:
                return {"handler": _told(handler), "signal": taken.signal, "returned": _told(done)}
        for call in self._log.calls:
            if call.name == "rt_sigtimedwait" and call.returned:
                return {"waited": _told(call)}
        return None

    def _opened(self) -> dict[str, Any] | None:
        mapped = list(self._mapped())
        by_name = {PurePosixPath(path).name: path for _call, path in mapped}
        waiting = [elf for elf in self._own() if elf is not None and not _LIBRARY.search(elf.name)]
        if not waiting:
            waiting = self._interpreters(self._built.argv[0])
        if not waiting:
            return None
        machine, at_start = waiting[0].machine, set[str]()
        while waiting:
            for soname in waiting.pop().libraries:
                if soname not in at_start:
                    at_start.add(soname)
                    if soname in by_name and (elf := self._file(by_name[soname])) is not None:
                        waiting.append(elf)
        for call, path in mapped:
            if PurePosixPath(path).name in at_start or _OF_LIBC.search(path):
                continue
            elf = self._file(path)
            if elf is not None and elf.machine == machine and elf.interpreter is None and elf.soname not in at_start:
                return {"opened": _told(call), "library": path}
        return None

    def _interpreters(self, program: str) -> list[ElfObject]:
        """The program, or those that a script of this name is run by (execve(2), "Interpreter scripts")."""
        if (elf := self._file(program)) is not None:
            return [elf]
        words = self._content(program)[:256].partition(b"\n")[0].decode(errors="replace").removeprefix("#!").split()
        names = [word for word in words[:2] if not word.startswith("-")]
        paths = (f"{place}{n}" for n in names for place in (("",) if "/" in n else ("/usr/bin/", "/bin/")))
        found = (self._file(path) for path in paths)
        return [elf for elf in found if elf is not None]

    def _mapped(self) -> Iterable[tuple[Call, str]]:
        """Files that were opened and mapped as code, in this order, each with the call that opened it."""
        opened: dict[tuple[int | None, int], tuple[Call, str]] = {}
        for call in self._log.calls:
            if call.name in OPENING and (fd := call.returned) is not None:
                path = re.search(r'"([^"]*)"', call.arguments)
                if path is not None:
                    opened[call.thread, fd] = call, path[1]
            elif call.name == "mmap" and call.answer is not None and call.errno is None:
                words = [word.strip() for word in call.arguments.rstrip(")").split(",")]
                if len(words) > 4 and has_flag(words[2], "PROT_EXEC", PROT_EXEC):
                    with contextlib.suppress(ValueError):
                        if (found := opened.pop((call.thread, int(words[4], 0)), None)) is not None:
                            yield found

    def _own(self) -> list[ElfObject | None]:
        return [self._read(name, data) for name, data in self._built.objects.items()]

    def _file(self, path: str) -> ElfObject | None:
        """A file of the sandbox as an object."""
        if path in self._elves:
            return self._elves[path]
        return self._read(path, self._content(path))

    def _content(self, path: str) -> bytes:
        at = path if path.startswith("/") else f"{self._built.directory}/{path}"
        if at in self._built.files:
            return self._built.files[at]
        with contextlib.suppress(OSError, SandboxFault):
            return self._sandbox.get(at)
        return b""

    def _read(self, name: str, data: bytes) -> ElfObject | None:
        if name not in self._elves:
            self._elves[name] = None
            with contextlib.suppress(NotElf):
                self._elves[name] = read_elf(data, name)
        return self._elves[name]


class BehaviourChecks:
    """Checks that a good run of a unit shows the behaviour that the unit declares, and notes what every run shows."""

    bench: Bench

    def _note_behaviours(self, unit: Unit, built: Built, sandbox: Sandbox, outcome: Outcome) -> None:
        """Keep what a unit's own program was seen to do, against what the manifest says that the product has none of.

        An object does not tell of calls that are made by number, or of functions that are looked up by name.
        """
        claimed = {n.requirement for n in self.bench.subject.file.not_applicable}
        wanted = [name for name, requirement in BEHAVIOURS.items() if requirement in claimed]
        if outcome.log is None or not built.objects or not wanted:
            return
        ran = Ran(unit, built, of_the_program(outcome.log), sandbox)
        for behaviour in wanted:
            if behaviour not in self.bench.shown and (shown := ran.shows(behaviour)) is not None:
                self.bench.shown[behaviour] = unit.name, next(map(str, shown.values()))

    def _check_behaviour(
        self, unit: Unit, record: UnitRecord, built: Built, sandbox: Sandbox, outcome: Outcome, seen: dict[str, Any]
    ) -> None:
        assert unit.behaviour is not None
        requirement = BEHAVIOURS[unit.behaviour]
        if not logs_apart(sandbox):
            why = _(
                "this sandbox has no trace that the unit cannot write, so that {behaviour} cannot be seen",
                behaviour=unit.behaviour,
            )
            record.undecided(requirement, Cause.HOST, why, instead_of(sandbox.fingerprint.backend))
            return
        traced = outcome if outcome.log is not None else self.bench.traced(sandbox, built)
        shown = None if traced.log is None else Ran(unit, built, traced.log, sandbox).shows(unit.behaviour)
        if shown is not None:
            record.saw((requirement,), sandbox.fingerprint.fidelity, seen, {"kind": "behaviour", **shown})
            return
        why = _("it declares {behaviour}, and {why}", behaviour=unit.behaviour, why=NOT_SEEN[unit.behaviour])
        if not is_whole(sandbox, traced):
            lost = traced.log.lost if traced.log is not None else NOTHING
            why = _("{why}; the trace is not whole: {lost}", why=why, lost=lost or _("a program was not traced"))
            record.undecided(requirement, Cause.HOST, why, TRACE_MEND)
            return
        record.saw((requirement,), sandbox.fingerprint.fidelity, seen)
        record.fails(
            requirement,
            why,
            _("let the unit do what it declares, or take `behaviour: {name}` off it", name=unit.behaviour),
        )


def of_the_program(log: CallLog) -> CallLog:
    """The calls of a program itself and of what it forks, without those of other programs that they start."""
    calls: list[Call] = []
    places: list[int] = []
    others: set[int | None] = set()
    for call in log.calls:
        places.append(len(calls))
        if call.thread not in others:
            calls.append(call)
            if call.name in ("execve", "execveat") and call.errno is None and len(calls) > 1:
                others.add(call.thread)
        elif call.name in MAKING and (made := call.returned):
            others.add(made)
    places.append(len(calls))
    taken = (replace(one, before=places[one.before]) for one in log.taken if one.thread not in others)
    return replace(log, calls=tuple(calls), taken=tuple(taken))


def _is_thread(call: Call) -> bool:
    if "CLONE_" in call.arguments:
        return "CLONE_THREAD" in call.arguments
    with contextlib.suppress(ValueError):
        return bool(int(call.arguments.split(",")[0], 0) & CLONE_THREAD)
    return False


def _sets(call: Call, signal: str) -> bool:
    """Whether a rt_sigaction gives a signal an action."""
    words = [word.strip() for word in call.arguments.split(",")]
    return call.errno is None and len(words) > 1 and words[0] == signal and words[1] not in ("NULL", "(nil)", "0x0")


def _told(call: Call) -> str:
    return str(call)[:160]
