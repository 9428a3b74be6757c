"""What the runs of one unit say: the one cause when it goes wrong, and what a good run has shown."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any

from pytest_xinchuang.building.built import Built, build, plain_target
from pytest_xinchuang.building.shims import REQUESTS
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.subject import Unit
from pytest_xinchuang.core.verdict import Cause, Fidelity
from pytest_xinchuang.inspect.elf import NotElf
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.packages.mru import static
from pytest_xinchuang.packages.mru.bench import ELSEWHERE, Bench
from pytest_xinchuang.packages.mru.counterfactuals import Counterfactuals
from pytest_xinchuang.packages.mru.diagnosis import what_it_said
from pytest_xinchuang.packages.mru.differences import cause_of_difference
from pytest_xinchuang.packages.mru.findings import UnitFinding, UnitRecord
from pytest_xinchuang.packages.mru.installers import wrong_requests
from pytest_xinchuang.packages.mru.requirements import (
    ANSWERS,
    BASELINE,
    BEHAVIOURS,
    ENDS,
    IDENTITY,
    IN_PLACE,
    INSTALLER,
    KERNEL,
    KNOWN_ANSWER,
    LOCALE,
    NO_LEFTOVERS,
    OFFLINE,
    PAGE_SIZE,
    POOREST,
    SAME_AS_X86,
    START_BUDGET,
    STARTS,
    VENDOR,
)
from pytest_xinchuang.sandbox.circumstances import CpuVariant
from pytest_xinchuang.sandbox.emulators import ANSWERED_MEND, answered_text, to_be_refused
from pytest_xinchuang.sandbox.protocol import Ended, Limits, Outcome, Sandbox
from pytest_xinchuang.sandbox.tracing import Trace

SIGILL = 4
SMALL_PAGE = 4096
"""The page that qemu-user and every x86-64 kernel have, bytes."""


class RunJudge:
    """Judges the runs of units on one platform."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.platform = bench.platform
        self.pool = bench.pool
        self.findings = bench.findings
        self._counterfactuals = Counterfactuals(bench)

    def run(self, unit: Unit, record: UnitRecord, built: Built) -> None:
        sandbox = self.pool.sandbox(self.platform)
        if unit.kind == "installer":
            self._judge_installer(unit, record, built, sandbox)
            return
        outcome = self.bench.execute(sandbox, built)
        changes = sandbox.changes()
        seen = observation(sandbox, unit, outcome)
        fidelity = sandbox.fingerprint.fidelity
        behaviour = BEHAVIOURS[unit.behaviour] if unit.behaviour else None

        def looked(*requirements: str) -> None:
            record.saw(requirements, fidelity, seen)

        astray = self._children_astray(unit, built, sandbox)
        if astray and (unit.kind == "shell" or not self._is_good(unit, outcome)):
            record.blocked_by = record.undecided(
                behaviour or STARTS, Cause.HOST, astray, "--xc-backend=qemu; xc doctor"
            )
            return
        if refused := self._refused_by_emulator(unit, built, sandbox, outcome):
            record.blocked_by = record.undecided(
                behaviour or STARTS,
                Cause.FIDELITY,
                f"{outcome.describe()}; it calls {', '.join(refused)}, which the emulator has not got and the platform has",
                "xc provision --system; --xc-backend=system",
            )
            return
        root = self._root_cause(unit, record, built, sandbox, outcome)
        if root is not None:
            looked(root.requirement)
            record.blocked_by = root
            return
        looked(BASELINE, ENDS)
        if astray:
            record.undecided(BASELINE, Cause.HOST, astray, "--xc-backend=qemu; xc doctor")
        if other := self._other_cpu(sandbox):
            record.undecided(BASELINE, Cause.FIDELITY, other, "--xc-backend=qemu")
        self._check_isolation(record, sandbox, outcome, changes, seen)
        if behaviour:
            looked(behaviour)
        else:
            looked(STARTS, ANSWERS)
        self._check_output(unit, record, outcome, seen, fidelity, behaviour)
        if unit.behaviour is None and not record.of(SAME_AS_X86):
            self._check_locale(unit, record, built, sandbox)
        wrong = [f for f in record.findings if f.requirement in (KNOWN_ANSWER, SAME_AS_X86, behaviour)]
        if wrong:
            record.blocked_by = wrong[0]
        else:
            self._check_poorest(unit, record, built, outcome)
            self._check_circumstances(unit, record, built, sandbox, outcome, seen)
        self._check_real_machine(unit, record, sandbox, outcome, seen)

    @staticmethod
    def _other_cpu(sandbox: Sandbox) -> str:
        """Why a kernel of the platform ran on another CPU than the platform's, if it did."""
        fingerprint = sandbox.fingerprint
        apart = fingerprint.fidelity >= Fidelity.EMULATED_SYSTEM and not fingerprint.isolation["cpu_pinned"]
        return fingerprint.degraded if apart else ""

    @staticmethod
    def _is_good(unit: Unit, outcome: Outcome) -> bool:
        return outcome.ended is Ended.EXITED and outcome.code == unit.expect.exit

    def _is_expected(self, unit: Unit, outcome: Outcome) -> bool:
        """Whether a run ended as it should and said what it should, as far as that is known."""
        expected = unit.expect.stdout
        if not self._is_good(unit, outcome) or (expected is not None and outcome.stdout != expected.encode()):
            return False
        reference = self.bench.reference(unit)
        if isinstance(reference, str) or reference.ended is not Ended.EXITED:
            return True
        return reference.stdout == outcome.stdout

    def _refused_by_emulator(self, unit: Unit, built: Built, sandbox: Sandbox, outcome: Outcome) -> tuple[str, ...]:
        if outcome.is_fault or self._is_expected(unit, outcome):
            return ()
        return self._counterfactuals.refused_by_emulator(built, sandbox, lambda other: self._is_expected(unit, other))

    @staticmethod
    def _children_astray(unit: Unit, built: Built, sandbox: Sandbox) -> str | None:
        """Why a child of this unit may run outside the emulated CPU, or not at all: the sandbox's doing, not the unit's."""
        if sandbox.fingerprint.isolation["children_emulated"]:
            return None
        if unit.kind == "shell":
            return f"the unit is a script, and {sandbox.fingerprint.degraded}"
        objects = []
        for name, data in built.objects.items():
            with contextlib.suppress(NotElf):
                objects.append(read_elf(data, name))
        why = static.shows("children", objects)
        return f"{why}, and {sandbox.fingerprint.degraded}" if why else None

    def _root_cause(
        self, unit: Unit, record: UnitRecord, built: Built, sandbox: Sandbox, outcome: Outcome
    ) -> UnitFinding | None:
        """The one thing that kept a run from being a good one, if it was not."""
        behaviour = BEHAVIOURS.get(unit.behaviour or "")
        if outcome.ended in (Ended.EMULATOR_FAULT, Ended.HOST_FAULT, Ended.OVER_LIMIT):
            return record.undecided(behaviour or STARTS, Cause.HOST, outcome.describe())
        if outcome.ended is Ended.TIMED_OUT:
            return self._judge_hang(unit, record, sandbox, behaviour or ENDS)
        if outcome.ended is Ended.SIGNALED and outcome.signal == SIGILL:
            if other := self._other_cpu(sandbox):
                return record.undecided(BASELINE, Cause.FIDELITY, f"illegal instruction; {other}", "--xc-backend=qemu")
            return self._judge_illegal(record, built)
        if not self._is_good(unit, outcome):
            return self._explain(unit, record, built, sandbox, outcome, behaviour)
        if not outcome.stdout and unit.expect.stdout != "":
            return record.fails(behaviour or ANSWERS, f"nothing on standard output{_tail(outcome.stderr)}")
        return None

    def _judge_hang(self, unit: Unit, record: UnitRecord, sandbox: Sandbox, requirement: str) -> UnitFinding:
        """A time-out of ours is the subject's only when it hangs on x86-64 as well, and the sandbox is well."""
        check = sandbox.run(["true"], cwd="/", limits=Limits(wall_s=5))
        if not check.ok:
            return record.undecided(
                requirement, Cause.HOST, f"timed out, and then `true` did not run: {check.describe()}"
            )
        reference = self.bench.reference(unit)
        if isinstance(reference, str):
            return record.undecided(requirement, Cause.HOST, f"timed out, and the x86-64 run is missing: {reference}")
        if reference.ended is Ended.TIMED_OUT:
            return record.fails(requirement, f"still running after its limit of {unit.limit_s:g} s, on x86-64 as well")
        return record.undecided(
            requirement,
            Cause.FIDELITY,
            "timed out under emulation but ended on x86-64: a deadlock of this "
            "architecture, or a slow emulator; needs native",
            "run it on a board: --xc-backend=native there",
        )

    def _judge_illegal(self, record: UnitRecord, built: Built) -> UnitFinding:
        """An illegal instruction is the subject's only when the CPU that trapped has all that the real one has."""
        emulation = self.platform.cpu.emulation
        title = self.platform.cpu.title.en
        if emulation.unmodelled is not None and emulation.unmodelled.value is not None:
            pattern = re.compile(emulation.unmodelled.value.encode("latin-1"), re.DOTALL)
            if any(pattern.search(data) for data in built.objects.values()):
                return record.undecided(
                    BASELINE,
                    Cause.FIDELITY,
                    f"illegal instruction, and the unit holds some of the {title} that no emulated CPU has; needs native",
                    "run it on a board",
                )
        if emulation.exact:
            return record.fails(
                BASELINE, f"illegal instruction under {emulation.strict.value}, which has all of {title}"
            )
        if emulation.superset.value is None:
            return record.undecided(
                BASELINE,
                Cause.FIDELITY,
                f"illegal instruction, but no emulated CPU has all of {title}: not emulable; needs native",
                "run it on a board",
            )
        richer = self.bench.execute(self.pool.sandbox(self.platform, CpuVariant.SUPERSET), built)
        if richer.ended is Ended.SIGNALED and richer.signal == SIGILL:
            return record.fails(
                BASELINE, f"illegal instruction even under {emulation.superset.value}, which has all of {title}"
            )
        return record.undecided(
            BASELINE,
            Cause.FIDELITY,
            f"illegal instruction under {emulation.strict.value}, none under "
            f"{emulation.superset.value}; {title} lies between the two: needs native",
            "run it on a board",
        )

    def _explain(
        self, unit: Unit, record: UnitRecord, built: Built, sandbox: Sandbox, outcome: Outcome, behaviour: str | None
    ) -> UnitFinding:
        """Why a run ended otherwise than it should: the one thing that makes it work, else what it said."""

        def works(other: Outcome) -> bool:
            return self._is_good(unit, other)

        trace = Trace.of(self.bench.traced(sandbox, built))
        if network := trace.network_attempt():
            return record.fails(OFFLINE, f"{outcome.describe()} without a network: {network}")
        if (paged := self._paged(unit, built, sandbox, outcome, trace, works)) is not None:
            return record.fails(PAGE_SIZE, f"{self.findings.text(paged)} [{paged.code}]", self.findings.mend(paged))
        found = said = what_it_said(self.findings, outcome, self.platform.id)
        requirement = behaviour or (
            STARTS if outcome.ended is Ended.SIGNALED or outcome.code in (126, 127) else ANSWERS
        )
        if said is None:
            # A counterfactual that cannot be tried here explains nothing; the failure stays one.
            with contextlib.suppress(HostFault):
                if found := self._counterfactuals.missing_call(unit, built, sandbox, outcome, works):
                    requirement = KERNEL
                elif found := self._counterfactuals.vendor_refused(unit, built, outcome, works):
                    requirement = VENDOR
                elif unit.kind == "shell" and (
                    found := self._counterfactuals.identity_refused(unit, built, outcome, works)
                ):
                    requirement = IDENTITY
        if found is not None and requirement in (KERNEL, VENDOR, IDENTITY):
            return record.fails(requirement, f"{self.findings.text(found)} [{found.code}]", self.findings.mend(found))
        expected = f", expected {unit.expect.exit}" if outcome.ended is Ended.EXITED else ""
        reason = f"{outcome.describe()}{expected}{_tail(outcome.stderr)}"
        if said is None:
            return record.fails(requirement, reason)
        return record.fails(requirement, f"{reason} [{said.code}]", self.findings.mend(said))

    def _paged(
        self,
        unit: Unit,
        built: Built,
        sandbox: Sandbox,
        outcome: Outcome,
        trace: Trace,
        works: Callable[[Outcome], bool],
    ) -> Finding | None:
        """Whether the kernel's page is what a unit cannot do with: by a call that was refused, or by a run with another."""
        page = int(sandbox.fingerprint.observed.get("page_size") or 0)
        if sandbox.fingerprint.fidelity < Fidelity.EMULATED_SYSTEM or page <= SMALL_PAGE:
            return None
        how = outcome.describe()
        if call := trace.misaligned(page):
            params = {"how": how, "page": str(page), "why": f"{call} suits pages of {SMALL_PAGE} bytes"}
        elif self._counterfactuals.works_with_small_pages(built, works):
            params = {"how": how, "page": str(page), "why": f"it works on a kernel with pages of {SMALL_PAGE} bytes"}
        else:
            return None
        return Finding("XC-RUN-030", Certainty.CERTAIN, unit.name, self.platform.id, params)

    def _judge_installer(self, unit: Unit, record: UnitRecord, built: Built, sandbox: Sandbox) -> None:
        """By what it asks for, not by how it ends: what it fetches is a stand-in, which it may rightly refuse."""

        def requests() -> list[str]:
            try:
                return sandbox.get(f"{built.directory}/{REQUESTS}").decode(errors="replace").splitlines()
            except OSError:
                return []

        def works(other: Outcome) -> bool:
            return self._is_good(unit, other) or bool(requests())

        outcome = self.bench.execute(sandbox, built)
        asked = requests()
        fidelity = sandbox.fingerprint.fidelity
        seen = {**observation(sandbox, unit, outcome), "requests": asked[:50]}
        if outcome.is_fault or not sandbox.fingerprint.isolation["identity"]:
            cause = outcome.describe() if outcome.is_fault else "this sandbox has not got the system's identity"
            record.blocked_by = record.undecided(IDENTITY, Cause.HOST, cause, "--xc-backend=qemu")
            return
        record.saw((IDENTITY,), fidelity, seen)
        if asked or outcome.stderr:
            record.saw((INSTALLER,), fidelity, seen)
        if not asked:
            # Nothing asked for is nothing to judge; a manager of another family shows in what it said.
            record.undecided(
                INSTALLER, Cause.HOST, "it asked for nothing that could be judged", "see what it needs to start"
            )
        wrong = wrong_requests(self.platform, self.pool.store.platforms.file.architectures, asked, outcome)
        for each in wrong:
            found = Finding(each.code, Certainty.CERTAIN, unit.name, self.platform.id, each.params)
            record.fails(INSTALLER, f"{self.findings.text(found)} [{each.code}]", self.findings.mend(found))
        if wrong or works(outcome):
            return
        refused = self._counterfactuals.identity_refused(unit, built, outcome, works)
        if refused is not None:
            text = f"{self.findings.text(refused)} [{refused.code}]"
            record.fails(IDENTITY, text, self.findings.mend(refused))
        else:
            record.fails(IDENTITY, f"{outcome.describe()}{_tail(outcome.stderr)}, and it asked for nothing")

    def _check_circumstances(
        self, unit: Unit, record: UnitRecord, built: Built, sandbox: Sandbox, outcome: Outcome, seen: dict[str, Any]
    ) -> None:
        """What a good run has shown by itself, and the same run with one thing otherwise."""
        fingerprint = sandbox.fingerprint
        if self.platform.system.kernel.value is None:
            fact = f"the kernel of {self.platform.os_name} is not known"
            mend = f"add systems.{self.platform.os_name}.kernel to a platforms file of your own"
            record.undecided(KERNEL, Cause.MISSING_FACT, fact, mend)
        elif not fingerprint.isolation["kernel_floor"]:
            told = f"this sandbox has system calls that Linux {self.platform.system.kernel.value} lacks"
            record.undecided(KERNEL, Cause.HOST, told, "--xc-backend=qemu, or --xc-backend=system")
        else:
            record.saw((KERNEL,), fingerprint.fidelity, {**seen, "kernel": self.platform.system.kernel.value})
            self._check_answers(record, built, sandbox, outcome)
            self._check_shmat(unit, record, built, sandbox)
        if unit.kind == "shell" and fingerprint.isolation["identity"]:
            record.saw((IDENTITY,), fingerprint.fidelity, seen)
        elif unit.kind == "shell":
            record.undecided(
                IDENTITY, Cause.HOST, "this sandbox has not got the system's identity", "--xc-backend=qemu"
            )
        if self._counterfactuals.other_vendors():
            self._check_vendor(unit, record, built, outcome, fingerprint.fidelity)

    def _check_answers(self, record: UnitRecord, built: Built, sandbox: Sandbox, outcome: Outcome) -> None:
        """A unit that makes a call which the platform's kernel may lack has shown nothing where that is answered."""
        lacking = to_be_refused(sandbox, self.platform)
        if not lacking:
            return
        traced = self.bench.traced(sandbox, built)
        trace = Trace.of(traced)
        if (traced.ended, traced.code) != (outcome.ended, outcome.code) or traced.truncated or not trace.is_whole:
            told = f"no whole trace says whether it makes calls that the platform's kernel lacks: {traced.describe()}"
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
            record.fails(KERNEL, f"{self.findings.text(found)} [XC-RUN-009]", self.findings.mend(found))

    def _check_vendor(self, unit: Unit, record: UnitRecord, built: Built, outcome: Outcome, fidelity: Fidelity) -> None:
        try:
            found, seen = self._counterfactuals.vendor_differs(unit, built, outcome)
        except HostFault as fault:
            record.undecided(VENDOR, Cause.HOST, fault.what, fault.mend)
            return
        runs = [{"kind": "run", "unit": unit.name, "vendor": name, **o.as_evidence()} for name, o in seen.items()]
        record.saw((VENDOR,), fidelity, *runs)
        if found is not None:
            record.fails(VENDOR, f"{self.findings.text(found)} [{found.code}]", self.findings.mend(found))

    def _check_locale(self, unit: Unit, record: UnitRecord, built: Built, sandbox: Sandbox) -> None:
        """The output under another locale and time zone, here and on x86-64."""
        here = self.bench.execute(sandbox, built, env=ELSEWHERE)
        there = self.bench.reference(unit, elsewhere=True)
        if here.is_fault or isinstance(there, str) or there.is_fault:
            cause = there if isinstance(there, str) else (here if here.is_fault else there).describe()
            record.undecided(LOCALE, Cause.HOST, f"a run under another locale is missing: {cause}")
            return
        record.saw((LOCALE,), sandbox.fingerprint.fidelity, observation(sandbox, unit, here))
        if (here.ended, here.code) != (there.ended, there.code):
            record.fails(LOCALE, f"{here.describe()} under {ELSEWHERE['LC_ALL']} and {ELSEWHERE['TZ']}")
        elif here.stdout != there.stdout:
            record.fails(LOCALE, _difference(here.stdout, there.stdout, "x86-64 under the same locale and time zone"))

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
            record.undecided(OFFLINE, Cause.HOST, "this sandbox cannot take the network away", "xc doctor")
        if changes is None:
            record.undecided(IN_PLACE, Cause.HOST, "this sandbox cannot tell what was written where", "xc doctor")
        else:
            record.saw((IN_PLACE,), fidelity, {**seen, "changes": list(changes[:20])})
            if changes:
                record.fails(IN_PLACE, f"wrote {', '.join(changes[:3])} outside of its working directory")
        record.saw((NO_LEFTOVERS,), fidelity, seen)
        if outcome.leftovers:
            record.fails(NO_LEFTOVERS, f"left {outcome.leftovers} process(es) running when it ended")

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
                    record.fails(behaviour, _difference(outcome.stdout, expected, unit.expect.source))
                return
            reference = self.bench.reference(unit)
            if isinstance(reference, str):
                record.undecided(behaviour, Cause.HOST, f"the x86-64 run is missing: {reference}")
            elif reference.stdout != outcome.stdout:
                record.fails(behaviour, _difference(outcome.stdout, reference.stdout, "the x86-64 run"))
            return
        reference = self.bench.reference(unit)
        if isinstance(reference, str):
            record.undecided(SAME_AS_X86, Cause.HOST, f"the x86-64 run is missing: {reference}")
        elif reference.is_fault or reference.ended is not Ended.EXITED:
            record.undecided(SAME_AS_X86, Cause.HOST, f"the x86-64 run is no measure: {reference.describe()}")
        else:
            twin = {"kind": "reference", "unit": unit.name, **reference.as_evidence()}
            record.saw((SAME_AS_X86,), fidelity, seen, twin)
        same = not isinstance(reference, str) and reference.stdout == outcome.stdout
        if expected is not None:
            record.saw((KNOWN_ANSWER,), fidelity, seen)
            if outcome.stdout != expected:
                right_on_x86 = not isinstance(reference, str) and reference.stdout == expected
                # Right on x86-64 and wrong here is one fault, of porting; wrong everywhere is another, of the answer.
                if not right_on_x86:
                    record.fails(KNOWN_ANSWER, _difference(outcome.stdout, expected, unit.expect.source))
                    return
        if SAME_AS_X86 in record.looked_at and not same and not isinstance(reference, str):
            finding = self._differs(unit, record, outcome, reference)
            if expected is not None and outcome.stdout != expected:
                record.looked_at.pop(KNOWN_ANSWER, None)
                record.blocked_by = finding

    def _differs(self, unit: Unit, record: UnitRecord, outcome: Outcome, reference: Outcome) -> UnitFinding:
        """Another output than x86-64's, with the cause where a build of the same source otherwise tells it."""
        text = _difference(outcome.stdout, reference.stdout, "the x86-64 run")
        code = cause_of_difference(
            self.bench.subject, unit, self.platform.arch, outcome, reference, self.bench.run_variant
        )
        if code is None:
            return record.fails(SAME_AS_X86, text)
        found = Finding(code, Certainty.CERTAIN, unit.name, self.platform.id)
        return record.fails(SAME_AS_X86, f"{text}: {self.findings.text(found)} [{code}]", self.findings.mend(found))

    def _check_poorest(self, unit: Unit, record: UnitRecord, built: Built, outcome: Outcome) -> None:
        """The same unit, built for no CPU in particular, on a CPU without the optional features.

        A unit that comes built, or with flags of its own, may rightly need what the platform's CPU has: an illegal
        instruction of such a one is kept as evidence and is no failure here (the baseline requirement judges it).
        """
        model = self.platform.cpu.emulation.poorest.value
        if model is None:
            record.undecided(POOREST, Cause.MISSING_FACT, f"no poorer CPU than {self.platform.cpu_name} is known")
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
                f"{poor.describe()} under {model.partition(',')[0]}, where it has to take another path [XC-RUN-007]",
            )
        elif poor.stdout != outcome.stdout:
            record.fails(POOREST, f"another output under {model.partition(',')[0]}")

    def _check_real_machine(
        self, unit: Unit, record: UnitRecord, sandbox: Sandbox, outcome: Outcome, seen: dict[str, Any]
    ) -> None:
        """What only a board or a real kernel decides: emulated, the measurement is kept and the verdict is left open."""
        fidelity = sandbox.fingerprint.fidelity
        baseline = sandbox.fingerprint.baseline_ms
        ratio = round(outcome.wall_ms / baseline, 2) if baseline else None
        record.saw((START_BUDGET,), fidelity, {**seen, "kind": "start-up", "times_an_empty_program": ratio})
        if fidelity < Fidelity.NATIVE:
            record.undecided(
                START_BUDGET, Cause.FIDELITY, "an emulator's clock says nothing of the machine's; needs native"
            )
        elif unit.start_budget_ms is None:
            record.undecided(
                START_BUDGET, Cause.MISSING_FACT, "the manifest states no budget", f"add start_budget_ms to {unit.name}"
            )
        elif outcome.wall_ms > unit.start_budget_ms:
            record.fails(START_BUDGET, f"took {outcome.wall_ms:.0f} ms, its budget is {unit.start_budget_ms:g} ms")
        real = sandbox.fingerprint.observed.get("page_size")
        known = self.platform.page_size
        record.saw((PAGE_SIZE,), fidelity, {**seen, "page_size": real})
        if fidelity < Fidelity.EMULATED_SYSTEM:
            record.undecided(
                PAGE_SIZE, Cause.FIDELITY, "qemu-user has the host's pages; needs a kernel of the platform"
            )
        elif known is None or known.value is None:
            record.undecided(PAGE_SIZE, Cause.MISSING_FACT, f"the page size of {self.platform.os_name} is not known")
        elif real != str(known.value):
            record.undecided(
                PAGE_SIZE, Cause.FIDELITY, f"ran with pages of {real} bytes, the platform has {known.value}"
            )


def fingerprint_traces(sandbox: Sandbox) -> bool:
    """Whether a trace of system calls can be had: qemu-user logs them."""
    return sandbox.fingerprint.emulated


def observation(sandbox: Sandbox, unit: Unit, outcome: Outcome) -> dict[str, Any]:
    """A run as evidence."""
    return {"kind": "run", "unit": unit.name, "sandbox": sandbox.fingerprint.platform, **outcome.as_evidence()}


def _tail(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return f" ({lines[-1][:160]})" if lines else ""


def _difference(found: bytes, expected: bytes, source: str) -> str:
    """The first line that differs."""
    ours, theirs = found.decode(errors="backslashreplace"), expected.decode(errors="backslashreplace")
    for number, (one, other) in enumerate(zip(ours.splitlines(), theirs.splitlines(), strict=False), 1):
        if one != other:
            return f"line {number} is {one[:60]!r}, expected {other[:60]!r} ({source})"
    return f"{len(ours.splitlines())} lines, expected {len(theirs.splitlines())} ({source})"
