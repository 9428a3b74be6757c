"""Checks what a good run of a unit shows, requirement by requirement."""

from __future__ import annotations

from typing import Any

from pytest_xinchuang.building.built import Built, build, plain_target
from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.subject import Unit
from pytest_xinchuang.core.verdict import Cause, Fidelity
from pytest_xinchuang.messages import NOTHING, Message, _, joined, n_, verbatim
from pytest_xinchuang.packages.mru.bench import ELSEWHERE, Bench
from pytest_xinchuang.packages.mru.counterfactuals import Counterfactuals
from pytest_xinchuang.packages.mru.differences import cause_of_difference
from pytest_xinchuang.packages.mru.findings import UnitFinding, UnitRecord
from pytest_xinchuang.packages.mru.outside import touched_outside
from pytest_xinchuang.packages.mru.requirements import (
    IDENTITY,
    IN_PLACE,
    KERNEL,
    KNOWN_ANSWER,
    LOCALE,
    NO_LEFTOVERS,
    OFFLINE,
    PAGE_SIZE,
    POOREST,
    SAME_AS_X86,
    START_BUDGET,
    VENDOR,
)
from pytest_xinchuang.sandbox.circumstances import CpuVariant
from pytest_xinchuang.sandbox.emulators import ANSWERED_MEND, answered_text, to_be_refused
from pytest_xinchuang.sandbox.protocol import Ended, Outcome, Sandbox, logs_apart
from pytest_xinchuang.sandbox.situation import instead_of
from pytest_xinchuang.sandbox.tracing import TRACE_MEND, Trace, is_whole

SIGILL = 4
_EXCERPT = 60
"""Characters of a line that a reason quotes."""
_BEFORE = 20
"""Characters that it quotes before those that differ, in longer lines."""


class RunChecks:
    """Checks the runs of units on one platform that ended with the expected status."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.platform = bench.platform
        self.pool = bench.pool
        self.findings = bench.findings
        self._counterfactuals = Counterfactuals(bench)

    def _check_circumstances(
        self, unit: Unit, record: UnitRecord, built: Built, sandbox: Sandbox, outcome: Outcome, seen: dict[str, Any]
    ) -> None:
        """Check the system calls, the identity and the vendor's name that a good run depended on."""
        fingerprint = sandbox.fingerprint
        if self.platform.system.kernel.value is None:
            system = self.platform.os_name
            record.undecided(
                KERNEL,
                Cause.MISSING_FACT,
                _("the kernel of {system} is not known", system=system),
                _("add systems.{system}.kernel to a platforms file of your own", system=system),
            )
        elif not fingerprint.isolation["kernel_floor"]:
            kernel = self.platform.system.kernel.value
            told = _("this sandbox has system calls that Linux {kernel} lacks", kernel=kernel)
            record.undecided(KERNEL, Cause.HOST, told, instead_of(fingerprint.backend))
        else:
            record.saw((KERNEL,), fingerprint.fidelity, {**seen, "kernel": self.platform.system.kernel.value})
            self._check_answers(record, built, sandbox, outcome)
            self._check_shmat(unit, record, built, sandbox)
        if unit.kind == "shell" and fingerprint.isolation["identity"]:
            record.saw((IDENTITY,), fingerprint.fidelity, seen)
        elif unit.kind == "shell":
            record.undecided(
                IDENTITY,
                Cause.HOST,
                _("this sandbox does not have the system's identity"),
                instead_of(fingerprint.backend),
            )
        if self._counterfactuals.other_vendors():
            self._check_vendor(unit, record, built, outcome, fingerprint.fidelity)

    def _check_answers(self, record: UnitRecord, built: Built, sandbox: Sandbox, outcome: Outcome) -> None:
        """A unit that calls what the platform's kernel may lack, in a sandbox that answers the call, proves nothing."""
        lacking = to_be_refused(sandbox, self.platform)
        if not lacking:
            return
        traced = self.bench.traced(sandbox, built)
        trace = Trace.of(traced)
        if (
            (traced.ended, traced.code) != (outcome.ended, outcome.code)
            or traced.truncated
            or not is_whole(sandbox, traced)
        ):
            told = _(
                "the trace is incomplete, so that calls that the platform's kernel lacks may be missed: {end}",
                end=traced.describe(),
            )
            record.undecided(KERNEL, Cause.HOST, told, ANSWERED_MEND)
        elif called := trace.answered(lacking):
            record.undecided(KERNEL, Cause.FIDELITY, answered_text(called, self.platform), ANSWERED_MEND)

    def _check_shmat(self, unit: Unit, record: UnitRecord, built: Built, sandbox: Sandbox) -> None:
        attaches = any(b"shmat" in data for data in built.objects.values())
        if not attaches or not fingerprint_traces(sandbox):
            return
        call = Trace.of(self.bench.traced(sandbox, built)).misplaced_shmat(self.platform.architecture.shmlba)
        if call is not None:
            params = {"call": call, "shmlba": str(self.platform.architecture.shmlba)}
            found = Finding("XC-RUN-009", Certainty.CERTAIN, unit.name, self.platform.id, params)
            record.fails(KERNEL, self.findings.coded(found), self.findings.mend(found))

    def _check_vendor(self, unit: Unit, record: UnitRecord, built: Built, outcome: Outcome, fidelity: Fidelity) -> None:
        try:
            found, seen = self._counterfactuals.vendor_differs(unit, built, outcome)
        except HostFault as fault:
            record.undecided(VENDOR, Cause.HOST, fault.what, fault.mend)
            return
        runs = [{"kind": "run", "unit": unit.name, "vendor": name, **o.as_evidence()} for name, o in seen.items()]
        record.saw((VENDOR,), fidelity, *runs)
        if found is not None:
            record.fails(VENDOR, self.findings.coded(found), self.findings.mend(found))

    def _check_locale(self, unit: Unit, record: UnitRecord, built: Built, sandbox: Sandbox) -> None:
        """Compare the outputs under another locale and time zone, on the platform and on x86-64."""
        here = self.bench.execute(sandbox, built, env=ELSEWHERE)
        there = self.bench.reference(unit, elsewhere=True)
        if here.is_fault or isinstance(there, XcError) or there.is_fault:
            cause = there.what if isinstance(there, XcError) else (here if here.is_fault else there).describe()
            mend = there.mend if isinstance(there, XcError) else NOTHING
            record.undecided(LOCALE, Cause.HOST, _("a run under another locale is missing: {why}", why=cause), mend)
            return
        record.saw((LOCALE,), sandbox.fingerprint.fidelity, observation(sandbox, unit, here))
        if (here.ended, here.code) != (there.ended, there.code):
            record.fails(
                LOCALE,
                _(
                    "{end} under {locale} and {time_zone}",
                    end=here.describe(),
                    locale=ELSEWHERE["LC_ALL"],
                    time_zone=ELSEWHERE["TZ"],
                ),
            )
        elif here.stdout != there.stdout:
            source = _("x86-64 under the same locale and time zone")
            record.fails(LOCALE, difference(here.stdout, there.stdout, source))

    def _check_isolation(
        self,
        record: UnitRecord,
        sandbox: Sandbox,
        outcome: Outcome,
        changes: tuple[str, ...] | None,
        seen: dict[str, Any],
    ) -> None:
        isolation, fidelity = sandbox.fingerprint.isolation, sandbox.fingerprint.fidelity
        if isolation["no_network"]:
            record.saw((OFFLINE,), fidelity, seen)
        else:
            record.undecided(
                OFFLINE,
                Cause.HOST,
                _("this sandbox cannot cut off the network"),
                instead_of(sandbox.fingerprint.backend),
            )
        if changes is None:
            record.undecided(
                IN_PLACE,
                Cause.HOST,
                _("this sandbox cannot tell what was written where"),
                instead_of(sandbox.fingerprint.backend),
            )
        else:
            # What was made and removed again is seen in the trace alone.
            gone = touched_outside(outcome.log) if outcome.log is not None else ()
            changes = (*changes, *(path for path in gone if path not in changes))
            record.saw((IN_PLACE,), fidelity, {**seen, "changes": list(changes[:20])})
            if changes:
                record.fails(
                    IN_PLACE, _("wrote {names} outside of its working directory", names=joined(changes[:3], _(", ")))
                )
            elif logs_apart(sandbox) and not is_whole(sandbox, outcome):
                told = _("the trace is not whole, so that files that were written and removed again may be missed")
                record.undecided(IN_PLACE, Cause.HOST, told, TRACE_MEND)
        record.saw((NO_LEFTOVERS,), fidelity, seen)
        if outcome.leftovers:
            record.fails(
                NO_LEFTOVERS,
                n_(
                    "left {n} process running when it ended",
                    "left {n} processes running when it ended",
                    outcome.leftovers,
                ),
            )

    def _check_output(
        self,
        unit: Unit,
        record: UnitRecord,
        outcome: Outcome,
        seen: dict[str, Any],
        fidelity: Fidelity,
        behaviour: str | None,
    ) -> None:
        expected = unit.expect.stdout.encode() if unit.expect.stdout is not None else None
        if behaviour is not None:
            if expected is not None:
                if outcome.stdout != expected:
                    record.fails(behaviour, difference(outcome.stdout, expected, verbatim(unit.expect.source)))
                return
            reference = self.bench.reference(unit)
            if isinstance(reference, XcError):
                _no_reference(record, behaviour, reference)
            elif reference.stdout != outcome.stdout:
                record.fails(behaviour, difference(outcome.stdout, reference.stdout, _("the x86-64 run")))
            return
        reference = self.bench.reference(unit)
        if isinstance(reference, XcError):
            _no_reference(record, SAME_AS_X86, reference)
        elif reference.is_fault or reference.ended is not Ended.EXITED:
            record.undecided(
                SAME_AS_X86,
                Cause.HOST,
                _("the x86-64 run cannot serve as the reference: {end}", end=reference.describe()),
            )
        else:
            whose = self.bench.recorded_evidence(unit)
            twin = {"kind": "reference", "unit": unit.name, **reference.as_evidence(), **whose}
            record.saw((SAME_AS_X86,), fidelity, seen, twin)
        same = not isinstance(reference, XcError) and reference.stdout == outcome.stdout
        if expected is not None:
            record.saw((KNOWN_ANSWER,), fidelity, seen)
            if outcome.stdout != expected:
                right_on_x86 = not isinstance(reference, XcError) and reference.stdout == expected
                # Right on x86-64 and wrong here is a fault of porting; wrong everywhere is a fault of the answer.
                if not right_on_x86:
                    record.fails(KNOWN_ANSWER, difference(outcome.stdout, expected, verbatim(unit.expect.source)))
                    return
        if SAME_AS_X86 in record.looked_at and not same and not isinstance(reference, XcError):
            finding = self._differs(unit, record, outcome, reference)
            if expected is not None and outcome.stdout != expected:
                record.looked_at.pop(KNOWN_ANSWER, None)
                record.blocked_by = finding

    def _differs(self, unit: Unit, record: UnitRecord, outcome: Outcome, reference: Outcome) -> UnitFinding:
        """Fail for an output that differs from x86-64's, with the cause if another build of the source reveals it."""
        text = difference(outcome.stdout, reference.stdout, _("the x86-64 run"))
        code = cause_of_difference(
            self.bench.subject, unit, self.platform.arch, outcome, reference, self.bench.run_variant
        )
        if code is None:
            return record.fails(SAME_AS_X86, text)
        found = Finding(code, Certainty.CERTAIN, unit.name, self.platform.id)
        return record.fails(
            SAME_AS_X86,
            _("{difference}: {found}", difference=text, found=self.findings.coded(found)),
            self.findings.mend(found),
        )

    def _check_poorest(self, unit: Unit, record: UnitRecord, built: Built, outcome: Outcome) -> None:
        """Run the unit, built for the plainest CPU of the architecture, on a CPU without the optional features.

        A unit that comes built, or with flags of its own, may rightly need what the platform's CPU has: its illegal
        instruction is kept as evidence and does not fail here (the baseline requirement judges it).
        """
        model = self.platform.cpu.emulation.poorest.value
        if model is None:
            record.undecided(
                POOREST,
                Cause.MISSING_FACT,
                _(
                    "no CPU with fewer features than {cpu} is known",
                    cpu=self.platform.cpu.title.message(),
                ),
            )
            return
        if unit.kind in ("c", "go", "go-cgo"):
            rootfs = self.pool.store.rootfs_for(self.platform)
            built = build(self.bench.builder, self.bench.subject, unit, plain_target(self.platform, rootfs), rootfs)
        sandbox = self.pool.sandbox(self.platform, CpuVariant.POOREST)
        poor = self.bench.execute(sandbox, built)
        record.saw((POOREST,), sandbox.fingerprint.fidelity, observation(sandbox, unit, poor))
        tuned = unit.kind in ("binary", "artifact") or self.platform.arch in unit.c_flags
        if tuned and poor.ended is Ended.SIGNALED and poor.signal == SIGILL:
            return
        if poor.is_fault:
            record.undecided(POOREST, Cause.HOST, poor.describe())
        elif poor.ended is not outcome.ended or poor.code != outcome.code:
            record.fails(
                POOREST,
                self.findings.coded(
                    Finding(
                        "XC-RUN-007",
                        Certainty.CERTAIN,
                        unit.name,
                        self.platform.id,
                        {"how": poor.describe(), "model": verbatim(model.partition(",")[0])},
                    )
                ),
            )
        elif poor.stdout != outcome.stdout:
            record.fails(POOREST, _("another output under {model}", model=model.partition(",")[0]))

    def _check_real_machine(
        self, unit: Unit, record: UnitRecord, sandbox: Sandbox, outcome: Outcome, seen: dict[str, Any]
    ) -> None:
        """Check what only a board or a real kernel decides; an emulated measurement is kept, and decides nothing."""
        fidelity = sandbox.fingerprint.fidelity
        baseline = sandbox.fingerprint.baseline_ms
        ratio = round(outcome.wall_ms / baseline, 2) if baseline else None
        record.saw((START_BUDGET,), fidelity, {**seen, "kind": "start-up", "times_an_empty_program": ratio})
        if fidelity < Fidelity.NATIVE:
            record.undecided(
                START_BUDGET, Cause.FIDELITY, _("an emulator's clock says nothing of the machine's; needs native")
            )
        elif unit.start_budget_ms is None:
            record.undecided(
                START_BUDGET,
                Cause.MISSING_FACT,
                _("the manifest states no budget"),
                _("add start_budget_ms to {unit}", unit=unit.name),
            )
        elif outcome.wall_ms > unit.start_budget_ms:
            record.fails(
                START_BUDGET,
                _(
                    "took {taken:.0f} ms, its budget is {budget:g} ms",
                    taken=outcome.wall_ms,
                    budget=unit.start_budget_ms,
                ),
            )
        real = sandbox.fingerprint.observed.get("page_size")
        known = self.platform.page_size
        record.saw((PAGE_SIZE,), fidelity, {**seen, "page_size": real})
        if fidelity < Fidelity.EMULATED_SYSTEM:
            record.undecided(
                PAGE_SIZE, Cause.FIDELITY, _("qemu-user has the host's page size; needs a kernel of the platform")
            )
        elif known is None or known.value is None:
            record.undecided(
                PAGE_SIZE,
                Cause.MISSING_FACT,
                _("the page size of {system} is not known", system=self.platform.os_name),
            )
        elif real != str(known.value):
            record.undecided(
                PAGE_SIZE,
                Cause.FIDELITY,
                _("ran with pages of {real} bytes, the platform has {wanted}", real=real, wanted=known.value),
            )


def _no_reference(record: UnitRecord, requirement: str, missing: XcError) -> None:
    told = _("the x86-64 run is missing: {why}", why=missing.what)
    record.undecided(requirement, Cause.HOST, told, missing.mend)


def fingerprint_traces(sandbox: Sandbox) -> bool:
    """Whether the sandbox can trace system calls: qemu-user logs them."""
    return sandbox.fingerprint.emulated


def observation(sandbox: Sandbox, unit: Unit, outcome: Outcome) -> dict[str, Any]:
    """A run as evidence."""
    return {"kind": "run", "unit": unit.name, "sandbox": sandbox.fingerprint.platform, **outcome.as_evidence()}


def with_tail(end: Message, stderr: bytes) -> Message:
    """How a run ended, with the last line of its standard error."""
    lines = stderr.decode(errors="replace").strip().splitlines()
    return _("{end} ({said})", end=end, said=verbatim(lines[-1][:160])) if lines else end


def difference(found: bytes, expected: bytes, source: Message) -> Message:
    """Describe the first line that differs, with the part of it that does."""
    ours, theirs = found.decode(errors="backslashreplace"), expected.decode(errors="backslashreplace")
    for number, (one, other) in enumerate(zip(ours.splitlines(), theirs.splitlines(), strict=False), 1):
        if one != other:
            start = _start_ofdifference(one, other)
            return _(
                "line {number} is {found}, expected {wanted} ({source})",
                number=number,
                found=_excerpt(one, start),
                wanted=_excerpt(other, start),
                source=source,
            )
    lines, wanted = len(ours.splitlines()), len(theirs.splitlines())
    if lines == wanted:
        return _("the lines are the same, but not the characters that end them ({source})", source=source)
    return n_(
        "{n} line, expected {wanted} ({source})",
        "{n} lines, expected {wanted} ({source})",
        lines,
        wanted=wanted,
        source=source,
    )


def _start_ofdifference(one: str, other: str) -> int:
    """Where excerpts of two lines have to start, so that they show where the lines differ."""
    if max(len(one), len(other)) <= _EXCERPT:
        return 0
    pairs = enumerate(zip(one, other, strict=False))
    same = next((at for at, (ours, theirs) in pairs if ours != theirs), min(len(one), len(other)))
    return max(0, same - _BEFORE) if same > _EXCERPT - _BEFORE else 0


def _excerpt(line: str, start: int) -> Message:
    return verbatim(repr(("..." if start else "") + line[start : start + _EXCERPT]))
