"""Decides the system call requirements of one subject's bridge on one platform."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pytest_xinchuang.building.built import Built, build, made_of, target_for
from pytest_xinchuang.core.deciding import cause_of
from pytest_xinchuang.core.errors import BuildFailed, HostFault, SandboxFault, XcError
from pytest_xinchuang.core.found import Found
from pytest_xinchuang.core.linux import ERRORS
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.core.requirement import Catalogue, Requirement
from pytest_xinchuang.core.subject import Subject
from pytest_xinchuang.core.syscall_names import tables
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.harness.protocol import ProtocolError, ViolationKind
from pytest_xinchuang.messages import NOTHING, Message, _, both, joined, verbatim
from pytest_xinchuang.packages.syscall_bridge.bridge import BridgeClient, BridgeHello, ReplyFault
from pytest_xinchuang.packages.syscall_bridge.clocks import SAMPLES, TIMER_PERIOD_NS, judge_clocks
from pytest_xinchuang.packages.syscall_bridge.gostructs import check_go, pairs_of, read_go
from pytest_xinchuang.packages.syscall_bridge.headers import ARCHITECTURES
from pytest_xinchuang.packages.syscall_bridge.layouts import Layout, load_snapshot, shipped_layouts
from pytest_xinchuang.packages.syscall_bridge.manifest import SyscallBridge
from pytest_xinchuang.packages.syscall_bridge.probes import BridgeProbe, Probes, load_probes
from pytest_xinchuang.packages.syscall_bridge.reference import LIMITS, build_reference, emulator_of, launch_in, page_of
from pytest_xinchuang.packages.syscall_bridge.runner import ProbeOutcome, ProbeResult, run_bridge
from pytest_xinchuang.sandbox.emulators import (
    ANSWERED_MEND,
    answered_text,
    known_difference,
    not_emulated,
    to_be_refused,
)
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Ended, Launch, Outcome, Process, Sandbox
from pytest_xinchuang.sandbox.tracing import Trace, is_whole
from pytest_xinchuang.toolchain.builder import Builder

HELLO, PRESENT = "XC-SYS-001", "XC-SYS-002"
NUMBERS, LAYOUTS, GO_STRUCTS = "XC-SYS-010", "XC-SYS-011", "XC-SYS-012"
MEMORY, PAGES, CLOCKS = "XC-SYS-025", "XC-SYS-030", "XC-SYS-031"

TIMEOUT_S = 5.0
EMULATED_SCALE = 3.0
"""How long one operation of a bridge may take; the longest of the probes sleeps 0.2 s."""

_NOT_AGAIN = frozenset(
    [
        "spawn",
        "waitpid",
        "kill",
        "block",
        "alarm",
        "sleep",
        "read",
        "read_all",
        "write",
        "write_all",
        "epoll_wait",
        "timer_samples",
        "clock_samples",
    ]
)
"""Operations that wait for somebody, or that others wait for."""

STRUCTS = ("struct stat", "struct statx", "struct statfs", "struct epoll_event", "struct timespec", "struct flock")
"""Structures that a bridge is asked for, where it has the operation layout."""


def os_profile(platform: Platform) -> str:
    """The profile of a platform's kernel: LoongArch's old world has its own."""
    return "linux-old-world" if platform.world == "old" and platform.arch is Arch.LOONG64 else "linux"


@dataclass(frozen=True)
class Asked:
    """The answers of a subject's bridge and of the reference bridge in one sandbox.

    Attributes:
        requests: to the subject's bridge.
    """

    seen: tuple[ProbeOutcome, ...]
    reference: dict[str, ProbeOutcome]
    fidelity: Fidelity
    profile: str
    page: int
    emulator: str
    requests: tuple[dict[str, Any], ...] = ()


class ReferenceAnswers(dict[str, dict[str, ProbeOutcome]]):
    """Answers of the reference bridge: by the requirement that was asked for alone, and the probe."""


class SyscallEngine:
    """All observations of ``subject``'s bridge on ``platform``, each made once, when it is first asked for."""

    def __init__(
        self, platform: Platform, subject: Subject, catalogue: Catalogue, pool: Pool, builder: Builder
    ) -> None:
        self.platform, self.subject, self.catalogue = platform, subject, catalogue
        self.pool, self.builder = pool, builder

    @property
    def section(self) -> SyscallBridge | None:
        return self.subject.section(SyscallBridge)

    @cached_property
    def probes(self) -> Probes:
        return load_probes()

    @cached_property
    def profile(self) -> str:
        chosen = (self.section.os_profile if self.section else "") or os_profile(self.platform)
        self.probes.lineage(chosen)
        return chosen

    # -- decisions

    def close(self) -> None:
        """It holds nothing: sandboxes are the pool's."""

    def decision(self, requirement_id: str) -> Decision:
        """The decision about one requirement; host faults become inconclusive, never the subject's failure."""
        requirement = self.catalogue.get(requirement_id)
        if requirement is None:
            return Decision(
                Verdict.INCONCLUSIVE,
                Cause.HOST,
                _("{requirement_id} is not in the catalogue", requirement_id=requirement_id),
            )
        if self.section is None:
            evidence = ({"kind": "manifest", "syscall_bridge": None, "subject": self.subject.name},)
            return Decision(
                Verdict.NOT_APPLICABLE, reason=_("the manifest has no syscall_bridge section"), evidence=evidence
            )
        try:
            return self._decide(requirement)
        except HostFault as fault:
            return Decision(Verdict.INCONCLUSIVE, cause_of(fault), fault.what, fault.mend)
        except ProtocolError as error:
            return Decision(Verdict.FAIL, Cause.SUBJECT, error.what, error.mend, self.fidelity)
        except XcError as error:
            return Decision(Verdict.INCONCLUSIVE, Cause.HOST, error.what, error.mend)

    def _decide(self, requirement: Requirement) -> Decision:
        mend = requirement.mend.message()
        if requirement.id == GO_STRUCTS:
            return self._go_structs().decision(Fidelity.STATIC, mend)
        if requirement.id == HELLO:
            return self._hello().decision(self.fidelity, mend)
        if requirement.id == PAGES:
            return self._pages(requirement)
        if requirement.min_fidelity > self.fidelity:
            reason = _(
                "needs {least}; this sandbox is {fidelity}",
                least=requirement.min_fidelity.word,
                fidelity=self.fidelity.word,
            )
            return Decision(Verdict.INCONCLUSIVE, Cause.FIDELITY, reason, fidelity=self.fidelity)
        checks: dict[str, Callable[[], Found]] = {
            PRESENT: self._present,
            NUMBERS: self._numbers,
            LAYOUTS: self._layouts,
            CLOCKS: self._clocks,
        }
        check = checks.get(requirement.id, lambda: self._probed(requirement.id, self.asked))
        found = check()
        # Numbers and layouts are compiled in: no call that is refused makes them wrong.
        if found.wrong and requirement.id not in (NUMBERS, LAYOUTS) and (lacking := self._not_emulated()):
            missing = _("it calls {calls}, which the emulator does not implement", calls=joined(lacking, _(", ")))
            found.undecided, found.cause = joined([found.wrong[0], missing]), Cause.FIDELITY
            found.wrong, found.mend = [], verbatim("--xc-backend=system")
        return found.decision(self.fidelity, mend)

    # -- the harness

    @property
    def fidelity(self) -> Fidelity:
        return self.sandbox.fingerprint.fidelity

    @property
    def sandbox(self) -> Sandbox:
        return self.pool.sandbox(self.platform)

    @cached_property
    def _built(self) -> Built:
        assert self.section is not None
        rootfs = self.pool.store.rootfs_for(self.platform)
        short = self.pool.store.platforms.file.short_of(self.platform.id)
        target = target_for(self.platform, rootfs)
        return build(self.builder, self.subject, self.section.harness, target, rootfs, "", self.platform, short)

    def _launch(self, sandbox: Sandbox) -> Launch:
        built = self._built

        def launch() -> Process:
            self._place(sandbox)
            return sandbox.start(built.argv, env=built.env, cwd=built.directory, limits=LIMITS)

        return launch

    def _place(self, sandbox: Sandbox) -> None:
        """Put the harness into an emptied sandbox: a file that an earlier run left would be an answer to this one."""
        sandbox.reset()
        for path, data in self._built.files.items():
            sandbox.put(path, data, executable=True)

    def _client(self, sandbox: Sandbox) -> BridgeClient:
        return BridgeClient(self._launch(sandbox), timeout_s=self._timeout(sandbox))

    def _timeout(self, sandbox: Sandbox) -> float:
        return TIMEOUT_S * (EMULATED_SCALE if sandbox.fingerprint.emulated else 1) * self.pool.timeout_scale

    @cached_property
    def _first(self) -> BridgeHello | Found:
        found = Found()
        try:
            with self._client(self.sandbox) as client:
                return client.hello
        except BuildFailed as error:
            found.wrong.append(_("the harness {what}", what=error.what))
            found.evidence.append({"kind": "build", "output": error.output[-2000:]})
        except ProtocolError as error:
            found.wrong.append(error.what)
            found.mend = error.mend
        return found

    def _hello(self) -> Found:
        first = self._first
        if isinstance(first, Found):
            return first
        hello = {"kind": "hello", **first.model_dump(mode="json")}
        made = [made_of(self.builder, self._built)] if "_built" in self.__dict__ else []
        return Found(evidence=[*made, hello])

    # -- probes

    def _ask(self, sandbox: Sandbox, *, only: str = "") -> Asked:
        """Ask both bridges the same probes in the same sandbox: a probe that both fail does not blame the subject."""
        page = page_of(sandbox)
        chosen = self._chosen(only)
        seen: list[ProbeOutcome] = []
        requests: list[dict[str, Any]] = []
        # One harness for each probe: the state or death of one does not reach the next.
        for probe in chosen:
            with self._client(sandbox) as client:
                seen += run_bridge(client, self.probes, [probe], self.profile, page)
                requests += client.sent
        said = sandbox.fingerprint
        reference = self._reference(sandbox, only, page)
        return Asked(tuple(seen), reference, said.fidelity, self.profile, page, emulator_of(sandbox), tuple(requests))

    def _reference(self, sandbox: Sandbox, only: str, page: int) -> dict[str, ProbeOutcome]:
        """The reference bridge's answers, which are the same for every subject of a run."""
        said = sandbox.fingerprint
        key = (said.backend, said.platform, said.observed.get("uname_r"), page, self.profile)
        kept = self.pool.shared.slot(ReferenceAnswers, key)
        if only not in kept:
            chosen = [
                p for p in self.probes.bridge.values() if (p.requirement == only if only else p.requirement != PAGES)
            ]
            libc = "2.36" if self.platform.arch is Arch.LOONG64 else "2.28"
            program = build_reference(self.builder, self.platform.arch, self.platform.architecture, libc)
            with BridgeClient(launch_in(sandbox, program), timeout_s=self._timeout(sandbox)) as client:
                kept[only] = {s.id: s for s in run_bridge(client, self.probes, chosen, self.profile, page)}
        return kept[only]

    def _chosen(self, only: str) -> list[BridgeProbe]:
        """The probes of a run; those of memory are asked again where the pages are the platform's."""
        wanted = {PAGES, MEMORY} if only == PAGES else None
        every = self.probes.bridge.values()
        return [p for p in every if (p.requirement in wanted if wanted else p.requirement != PAGES)]

    @cached_property
    def asked(self) -> Asked:
        return self._ask(self.sandbox)

    def _probed(self, requirement_id: str, asked: Asked) -> Found:
        """Judge the probes of one requirement."""
        seen = [s for s in asked.seen if s.requirement == requirement_id]
        found = Found()
        if not seen:
            found.undecided = _("no probe is about this")
            return found
        count = Counter(s.result for s in seen)
        found.evidence.append(_summary(requirement_id, seen, asked))
        for one in seen:
            if one.result not in (ProbeResult.FAILED, ProbeResult.NOT_REACHED):
                continue
            same = asked.reference.get(one.id)
            if same is not None and same.result is not ProbeResult.PASSED:
                known = known_difference(one.id, self.platform.arch.value, asked.emulator)
                why = known.reason.message() if known else _("the reference bridge fails here as well")
                found.undecided = found.undecided or joined([_told(one), why])
            elif one.result is ProbeResult.FAILED:
                found.wrong.append(one.text())
        if count[ProbeResult.NOT_REACHED] and not found.wrong:
            first = next(s for s in seen if s.result is ProbeResult.NOT_REACHED)
            found.undecided = found.undecided or _told(first)
        decided = count[ProbeResult.PASSED] + count[ProbeResult.FAILED]
        if not decided and count[ProbeResult.UNSUPPORTED]:
            found.lacking = _(
                "the bridge has {next}", next=next(s.found for s in seen if s.result is ProbeResult.UNSUPPORTED)
            )
        elif count[ProbeResult.UNDOCUMENTED]:
            told = _(
                "{n} of {all} answers are documented nowhere for {profile}",
                n=count[ProbeResult.UNDOCUMENTED],
                all=len(seen),
                profile=self.profile,
            )
            found.undecided, found.cause = found.undecided or told, Cause.MISSING_FACT
        return found

    def _present(self) -> Found:
        """Whether everything that the bridge offers is there on the platform's kernel."""
        found = Found()
        seen = [s for s in self.asked.seen if s.result is not ProbeResult.UNSUPPORTED]
        found.evidence.append(_summary(PRESENT, seen, self.asked))
        for one in seen:
            if one.error == ERRORS["ENOSYS"] and one.expected != "ENOSYS":
                system = both(self.platform.system.title.model_dump())
                found.wrong.append(_("{probe}: ENOSYS on {system}", probe=one.id, system=system))
            elif one.fault is ReplyFault.UNKNOWN_OPERATION:
                told = _("{probe}: the hello offers it, and the harness does not know it", probe=one.id)
                found.wrong.append(told)
        if not seen:
            found.undecided, found.cause = _("the bridge offers nothing that a probe asks for"), Cause.SUBJECT
        elif not self.sandbox.fingerprint.isolation["kernel_floor"]:
            found.undecided = _("this sandbox has system calls that the platform's kernel may lack")
        elif called := self._answered():
            found.undecided, found.mend = answered_text(called, self.platform), ANSWERED_MEND
            found.cause = Cause.FIDELITY
        return found

    @cached_property
    def _traced(self) -> Outcome:
        """The traced bridge: asked the same once more, except requests that would wait, or name processes and addresses of
        the first run.

        Raises:
            SandboxFault: there is no trace of it.
        """
        sandbox, built = self.sandbox, self._built
        again = [r for r in self.asked.requests if not ({"pid", "address"} & r.keys() or r["op"] in _NOT_AGAIN)]
        lines = b"".join(json.dumps(r).encode() + b"\n" for r in again)
        limits = replace(LIMITS, wall_s=TIMEOUT_S)

        def run() -> Outcome:
            self._place(sandbox)
            return sandbox.run(built.argv, stdin=lines, env=built.env, cwd=built.directory, limits=limits, trace=True)

        done = Trace.whole(run)
        if done.ended is not Ended.EXITED or done.truncated or not is_whole(sandbox, done):
            raise SandboxFault(
                _("the bridge could not be traced: {describe}", describe=done.describe()),
                mend=verbatim("--xc-backend=system"),
            )
        return done

    def _answered(self) -> Sequence[str]:
        """Calls of the bridge that the platform's kernel lacks or may lack, and that this sandbox answers."""
        lacking = to_be_refused(self.sandbox, self.platform)
        return Trace.of(self._traced).answered(lacking) if lacking else ()

    def _not_emulated(self) -> Sequence[str]:
        """Calls of the bridge that were refused because the emulator does not implement them."""
        if self.fidelity is not Fidelity.EMULATED_USER:
            return ()
        try:
            return not_emulated(self._traced, self.platform)
        except SandboxFault:
            # The bridge cannot be asked again: the first verdict stands.
            return ()

    def _said(self, operation: str, **arguments: Any) -> dict[str, Any] | None:
        """The values of one operation; None if the bridge lacks it."""
        found = self._all_said(operation, [arguments])
        return found[0] if found else None

    def _all_said(self, operation: str, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The values of one operation for each request to one harness; none if the bridge lacks it."""
        first = self._first
        if isinstance(first, Found) or operation not in first.operations:
            return []
        # 10,000 timers of a millisecond take a quarter of a minute.
        seconds = 12 * self._timeout(self.sandbox)
        with BridgeClient(self._launch(self.sandbox), timeout_s=seconds) as client:
            replies = [client.ask(operation, **arguments) for arguments in requests]
        for reply in replies:
            if not reply.good:
                kind = ViolationKind.BAD_REPLY if reply.kind is ReplyKind.REPLY else ViolationKind.NO_REPLY
                raise ProtocolError(kind, _("{operation}: {problem}", operation=operation, problem=reply.detail))
        return [dict(reply.values) for reply in replies]

    def _numbers(self) -> Found:
        """Compare the numbers that are compiled into the bridge to the architecture's table."""
        found = Found()
        said = self._said("numbers")
        if not said:
            found.lacking = _("the bridge has no operation numbers, or names no call")
            found.evidence.append({"kind": "numbers", "calls": 0})
            return found
        table = tables()[self.platform.architecture.names["go"]]
        found.evidence.append({"kind": "numbers", "calls": len(said), "arch": self.platform.arch.value})
        newest = max(table.values())
        for name, number in sorted(said.items()):
            if type(number) is not int:
                found.wrong.append(
                    _("{name} is {number}, which is no number", name=name, number=verbatim(repr(number)))
                )
            elif name not in table and number > newest and not any(name in other for other in tables().values()):
                # Compiled with the headers of a newer kernel than the table's.
                found.undecided, found.cause = (
                    _("{name} ({number}) is not in the table, which may be older", name=name, number=number),
                    Cause.MISSING_FACT,
                )
            elif name not in table:
                found.wrong.append(_("{name} is no system call of {arch}", name=name, arch=self.platform.arch))
            elif number != table[name]:
                found.wrong.append(
                    _(
                        "{name} is {number}, and {table} on {arch}",
                        name=name,
                        number=number,
                        table=table[name],
                        arch=self.platform.arch,
                    )
                )
        return found

    def _layouts(self) -> Found:
        """Compare the structures that the bridge was compiled with to the kernel's."""
        found = Found()
        known = load_snapshot(shipped_layouts()).of(self.platform.architecture.names["go"])
        asked: dict[str, int] = {}
        for name, said in zip(STRUCTS, self._all_said("layout", [{"struct": name} for name in STRUCTS]), strict=False):
            if said:
                asked[name] = len(said.keys() - {"size", "align"})
                found.wrong += [
                    _("{name}: {text}", name=name, text=text) for text in _layout_differences(said, known[name])
                ]
        found.evidence.append({"kind": "layouts", "fields": asked, "arch": self.platform.arch.value})
        if not asked:
            found.lacking = _("the bridge has no operation layout, or knows no structure")
        elif bare := [name for name, fields in asked.items() if not fields]:
            found.undecided, found.cause = (
                _("the bridge says no field of {names}", names=joined(bare, _(", "))),
                Cause.SUBJECT,
            )
        return found

    def _go_structs(self) -> Found:
        """Go structures that are handed to the kernel."""
        assert self.section is not None
        found = Found(evidence=[{"kind": "go-structs", "package": self.section.go_structs}])
        if not self.section.go_structs:
            found.lacking = _("the manifest names no go_structs")
            return found
        arch = self.platform.architecture.names["go"]
        package = read_go(
            self.subject.path(self.section.go_structs),
            ARCHITECTURES[arch].goarch,
            self.pool.store.cache,
            self.builder.runner,
        )
        pairs = pairs_of(package, self.section.structs)
        found.evidence.append(
            {"kind": "structs", "checked": pairs, "others": sorted(package.structs.keys() - pairs)[:50]}
        )
        if not pairs:
            found.undecided = _(
                "no structure of {go_structs} has the name of one that Go itself hands to the kernel",
                go_structs=self.section.go_structs,
            )
            found.cause, found.mend = (
                Cause.SUBJECT,
                _("add `structs: {{NAME: struct stat}}` to syscall_bridge in the manifest"),
            )
        found.wrong += [m.told for m in check_go(package, load_snapshot(shipped_layouts()), arch, pairs)]
        return found

    # -- what only a kernel of the platform, or the machine itself, decides

    def _pages(self, requirement: Requirement) -> Decision:
        """The same bridge on a kernel with the platform's pages, whatever the backend of this run."""
        known = self.platform.page_size
        if known is None or known.value is None:
            name = self.platform.os_name
            reason = _("the page size of {system} is not known", system=name)
            mend = _("add {fact} to a platforms file of your own", fact=verbatim(f"systems.{name}.page_size"))
            return Decision(Verdict.INCONCLUSIVE, Cause.MISSING_FACT, reason, mend)
        here = self.sandbox
        sandbox = here if here.fingerprint.fidelity >= Fidelity.EMULATED_SYSTEM else self.pool.system(self.platform)
        asked = self._ask(sandbox, only=PAGES)
        # A probe that fails with small pages too is not about pages; one that passes with them has to pass here too.
        before = {s.id for s in self.asked.seen if s.result in (ProbeResult.FAILED, ProbeResult.NOT_REACHED)}
        about = tuple(replace(s, requirement=PAGES) for s in asked.seen if s.id not in before)
        found = self._probed(PAGES, replace(asked, seen=about))
        if asked.page != known.value:
            # Code for 64K fails with less, and code for 4K fails with more: neither tells anything about the platform.
            there = _("; there: {what}", what=found.wrong[0]) if found.wrong else NOTHING
            found.wrong = []
            found.undecided = _(
                "ran with pages of {page} bytes, the platform has {value}{there}",
                page=asked.page,
                value=known.value,
                there=there,
            )
            found.cause = Cause.FIDELITY
            found.mend = _(
                "{command}: a kernel with pages of {page} bytes",
                command=verbatim(f"xc kernel import {self.platform.id} FILE"),
                page=known.value,
            )
        return found.decision(asked.fidelity, requirement.mend.message())

    def _clocks(self) -> Found:
        """10,000 readings and timers, on the machine itself."""
        clock = self._said("clock_samples", clock="CLOCK_MONOTONIC_RAW", samples=SAMPLES)
        begun = time.monotonic()
        timer = self._said("timer_samples", samples=SAMPLES, period_ns=TIMER_PERIOD_NS)
        return judge_clocks(clock, timer, time.monotonic() - begun)


def _summary(requirement_id: str, seen: Iterable[ProbeOutcome], asked: Asked) -> dict[str, Any]:
    rows = list(seen)
    return {
        "kind": "probes",
        "requirement": requirement_id,
        "fidelity": str(asked.fidelity),
        "profile": asked.profile,
        "page": asked.page,
        "results": dict(Counter(str(s.result) for s in rows)),
        "otherwise": [
            {"probe": s.id, "expected": s.expected, "found": s.found, "source": s.source}
            for s in rows
            if s.result in (ProbeResult.FAILED, ProbeResult.NOT_REACHED)
        ][:20],
    }


def _told(one: ProbeOutcome) -> Message:
    return _("{probe}: {found}", probe=one.id, found=one.found)


def _layout_differences(said: dict[str, Any], layout: Layout) -> list[Message]:
    found: list[Message] = []
    for name, here, there in (("size", said.get("size"), layout.size), ("align", said.get("align"), layout.align)):
        if here != there:
            shown = verbatim(repr(here))
            found.append(_("{field} {here}, the kernel's is {there}", field=name, here=shown, there=there))
    for name, offset in said.items():
        member = layout.member(name)
        if name in ("size", "align"):
            continue
        if member is None:
            found.append(_("the kernel's has no {field}", field=name))
        elif member.offset // 8 != offset:
            here, there = verbatim(repr(offset)), member.offset // 8
            found.append(_("{field} at {here}, the kernel's is at {there}", field=name, here=here, there=there))
    return found
