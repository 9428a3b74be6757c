"""Judges the runs of one unit: finds the one cause of a bad run, and checks what a good run shows."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

from pytest_xinchuang.building.built import Built
from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.subject import Unit
from pytest_xinchuang.core.verdict import Cause, Fidelity
from pytest_xinchuang.inspect.elf import NotElf
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim
from pytest_xinchuang.packages.mru import static
from pytest_xinchuang.packages.mru.behaviours import BehaviourChecks
from pytest_xinchuang.packages.mru.checks import SIGILL, RunChecks, observation, with_tail
from pytest_xinchuang.packages.mru.diagnosis import what_it_said
from pytest_xinchuang.packages.mru.findings import UnitFinding, UnitRecord
from pytest_xinchuang.packages.mru.installers import wrong_requests
from pytest_xinchuang.packages.mru.requirements import (
    ANSWERS,
    BASELINE,
    BEHAVIOURS,
    ENDS,
    IDENTITY,
    INSTALLER,
    KERNEL,
    KNOWN_ANSWER,
    OFFLINE,
    PAGE_SIZE,
    SAME_AS_X86,
    STARTS,
    VENDOR,
)
from pytest_xinchuang.sandbox.circumstances import CpuVariant
from pytest_xinchuang.sandbox.protocol import Ended, Limits, Outcome, Sandbox
from pytest_xinchuang.sandbox.shims import REQUESTS
from pytest_xinchuang.sandbox.situation import instead_of
from pytest_xinchuang.sandbox.tracing import Trace

SMALL_PAGE = 4096
"""The page size of qemu-user and of every x86-64 kernel, bytes."""


class RunJudge(RunChecks, BehaviourChecks):
    """Judges the runs of units on one platform."""

    def run(self, unit: Unit, record: UnitRecord, built: Built) -> None:
        """Run a unit and put findings and evidence into ``record``.

        Raises:
            HostFault: a sandbox could not be had, or broke.
        """
        sandbox = self.pool.sandbox(self.platform)
        if unit.kind == "installer":
            self._judge_installer(unit, record, built, sandbox)
            return
        outcome = self.bench.judged(sandbox, built)
        changes = sandbox.changes()
        self._note_behaviours(unit, built, sandbox, outcome)
        seen = observation(sandbox, unit, outcome)
        fidelity = sandbox.fingerprint.fidelity
        behaviour = BEHAVIOURS[unit.behaviour] if unit.behaviour else None

        def looked(*requirements: str) -> None:
            record.saw(requirements, fidelity, seen)

        astray = self._children_astray(unit, built, sandbox)
        if astray and (unit.kind == "shell" or not self._is_good(unit, outcome)):
            record.blocked_by = record.undecided(
                behaviour or STARTS, Cause.HOST, astray, instead_of(sandbox.fingerprint.backend)
            )
            return
        if refused := self._refused_by_emulator(unit, built, sandbox, outcome):
            record.blocked_by = record.undecided(
                behaviour or STARTS,
                Cause.FIDELITY,
                _(
                    "{end}; it calls {calls}, which the platform has and the emulator lacks",
                    end=outcome.describe(),
                    calls=joined(refused, _(", ")),
                ),
                verbatim("xc provision --system; --xc-backend=system"),
            )
            return
        root = self._root_cause(unit, record, built, sandbox, outcome)
        if root is not None:
            looked(root.requirement)
            record.blocked_by = root
            return
        looked(BASELINE, ENDS)
        if astray:
            record.undecided(BASELINE, Cause.HOST, astray, instead_of(sandbox.fingerprint.backend))
        if other := self._other_cpu(sandbox):
            record.undecided(BASELINE, Cause.FIDELITY, other, instead_of(sandbox.fingerprint.backend))
        self._check_isolation(record, sandbox, outcome, changes, seen)
        if behaviour is None:
            looked(STARTS, ANSWERS)
        self._check_output(unit, record, outcome, seen, fidelity, behaviour)
        if behaviour and record.of(behaviour):
            looked(behaviour)
        elif behaviour:
            self._check_behaviour(unit, record, built, sandbox, outcome, seen)
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
    def _other_cpu(sandbox: Sandbox) -> Message:
        """Why a kernel of the platform ran on another CPU than the platform's; empty when it did not."""
        fingerprint = sandbox.fingerprint
        apart = fingerprint.fidelity >= Fidelity.EMULATED_SYSTEM and not fingerprint.isolation["cpu_pinned"]
        return verbatim(fingerprint.degraded) if apart else NOTHING

    @staticmethod
    def _is_good(unit: Unit, outcome: Outcome) -> bool:
        return outcome.ended is Ended.EXITED and outcome.code == unit.expect.exit

    def _is_expected(self, unit: Unit, outcome: Outcome) -> bool:
        """Whether a run ended with the expected status and output, as far as these are known."""
        expected = unit.expect.stdout
        if not self._is_good(unit, outcome) or (expected is not None and outcome.stdout != expected.encode()):
            return False
        reference = self.bench.reference(unit)
        if isinstance(reference, XcError) or reference.ended is not Ended.EXITED:
            return True
        return reference.stdout == outcome.stdout

    def _refused_by_emulator(self, unit: Unit, built: Built, sandbox: Sandbox, outcome: Outcome) -> tuple[str, ...]:
        if outcome.is_fault or self._is_expected(unit, outcome):
            return ()
        return self._counterfactuals.refused_by_emulator(built, sandbox, lambda other: self._is_expected(unit, other))

    @staticmethod
    def _children_astray(unit: Unit, built: Built, sandbox: Sandbox) -> Message | None:
        """Why this sandbox may run children of the unit outside the emulated CPU, or not at all; None when it does not."""
        if sandbox.fingerprint.isolation["children_emulated"]:
            return None
        if unit.kind == "shell":
            return _("the unit is a script, and {why}", why=sandbox.fingerprint.degraded)
        objects = []
        for name, data in built.objects.items():
            with contextlib.suppress(NotElf):
                objects.append(read_elf(data, name))
        why = static.shows("children", objects)
        return _("{behaviour}, and {why}", behaviour=why, why=sandbox.fingerprint.degraded) if why else None

    def _root_cause(
        self, unit: Unit, record: UnitRecord, built: Built, sandbox: Sandbox, outcome: Outcome
    ) -> UnitFinding | None:
        """The one cause of a bad run; None for a good one."""
        behaviour = BEHAVIOURS.get(unit.behaviour or "")
        if outcome.ended in (Ended.EMULATOR_FAULT, Ended.HOST_FAULT, Ended.OVER_LIMIT):
            return record.undecided(behaviour or STARTS, Cause.HOST, outcome.describe())
        if outcome.ended is Ended.TIMED_OUT:
            return self._judge_hang(unit, record, sandbox, behaviour or ENDS)
        if outcome.ended is Ended.SIGNALED and outcome.signal == SIGILL:
            if other := self._other_cpu(sandbox):
                return record.undecided(
                    BASELINE,
                    Cause.FIDELITY,
                    _("illegal instruction; {other}", other=other),
                    instead_of(sandbox.fingerprint.backend),
                )
            return self._judge_illegal(record, built)
        if not self._is_good(unit, outcome):
            return self._explain(unit, record, built, sandbox, outcome, behaviour)
        if not outcome.stdout and unit.expect.stdout != "":
            return record.fails(
                behaviour or ANSWERS, with_tail(_("it wrote nothing to standard output"), outcome.stderr)
            )
        return None

    def _judge_hang(self, unit: Unit, record: UnitRecord, sandbox: Sandbox, requirement: str) -> UnitFinding:
        """A time-out is the subject's failure only when it hangs on x86-64 as well, and the sandbox still works."""
        check = sandbox.run(["true"], cwd="/", limits=Limits(wall_s=5))
        if not check.ok:
            return record.undecided(
                requirement,
                Cause.HOST,
                _("timed out, and then `true` did not run: {end}", end=check.describe()),
            )
        reference = self.bench.reference(unit)
        if isinstance(reference, XcError):
            return record.undecided(
                requirement,
                Cause.HOST,
                _("timed out, and the x86-64 run is missing: {why}", why=reference.what),
                reference.mend,
            )
        if reference.ended is Ended.TIMED_OUT and self.bench.reference_emulated:
            return record.undecided(
                requirement,
                Cause.FIDELITY,
                _(
                    "timed out under emulation, on x86-64 as well: a program that hangs, or slow emulators; needs native"
                ),
                _("run it on a board: --xc-backend=native there"),
            )
        if reference.ended is Ended.TIMED_OUT:
            return record.fails(
                requirement,
                _("still running after its limit of {limit:g} s, on x86-64 as well", limit=unit.limit_s),
            )
        return record.undecided(
            requirement,
            Cause.FIDELITY,
            _(
                "timed out under emulation but ended on x86-64: a deadlock of this architecture, or a slow "
                "emulator; needs native"
            ),
            _("run it on a board: --xc-backend=native there"),
        )

    def _judge_illegal(self, record: UnitRecord, built: Built) -> UnitFinding:
        """An illegal instruction is the subject's failure only when the emulated CPU has all instructions of the real one."""
        emulation = self.platform.cpu.emulation
        title = self.platform.cpu.title.message()
        if emulation.unmodelled is not None and emulation.unmodelled.value is not None:
            pattern = re.compile(emulation.unmodelled.value.encode("latin-1"), re.DOTALL)
            if any(pattern.search(data) for data in built.objects.values()):
                return record.undecided(
                    BASELINE,
                    Cause.FIDELITY,
                    _(
                        "illegal instruction, and the unit contains instructions of {title} that no emulated CPU has; "
                        "needs native",
                        title=title,
                    ),
                    _("run it on a board"),
                )
        if emulation.exact:
            return record.fails(
                BASELINE,
                _(
                    "illegal instruction under {model}, which has all of {title}",
                    model=emulation.strict.value,
                    title=title,
                ),
            )
        if emulation.superset.value is None:
            return record.undecided(
                BASELINE,
                Cause.FIDELITY,
                _(
                    "illegal instruction, but no emulated CPU has all of {title}: not emulable; needs native",
                    title=title,
                ),
                _("run it on a board"),
            )
        richer = self.bench.execute(self.pool.sandbox(self.platform, CpuVariant.SUPERSET), built)
        if richer.ended is Ended.SIGNALED and richer.signal == SIGILL:
            return record.fails(
                BASELINE,
                _(
                    "illegal instruction even under {model}, which has all of {title}",
                    model=emulation.superset.value,
                    title=title,
                ),
            )
        return record.undecided(
            BASELINE,
            Cause.FIDELITY,
            _(
                "illegal instruction under {model}, none under {richer}; {title} lies between the two: needs native",
                model=emulation.strict.value,
                richer=emulation.superset.value,
                title=title,
            ),
            _("run it on a board"),
        )

    def _explain(
        self, unit: Unit, record: UnitRecord, built: Built, sandbox: Sandbox, outcome: Outcome, behaviour: str | None
    ) -> UnitFinding:
        """Why a run ended badly: the one change that makes it work, else the last line of its standard error."""

        def works(other: Outcome) -> bool:
            return self._is_good(unit, other)

        trace = Trace.of(self.bench.traced(sandbox, built))
        if network := trace.network_attempt():
            return record.fails(OFFLINE, _("{end} without a network: {call}", end=outcome.describe(), call=network))
        if (paged := self._paged(unit, built, sandbox, outcome, trace, works)) is not None:
            return record.fails(PAGE_SIZE, self.findings.coded(paged), self.findings.mend(paged))
        found = said = what_it_said(self.findings, outcome, self.platform.id)
        requirement = behaviour or (
            STARTS if outcome.ended is Ended.SIGNALED or outcome.code in (126, 127) else ANSWERS
        )
        if said is None:
            # A counterfactual that cannot be tried here explains nothing; the run has failed all the same.
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
            return record.fails(
                requirement,
                self.findings.coded(found),
                self.findings.mend(found),
            )
        reason = outcome.describe()
        if outcome.ended is Ended.EXITED:
            reason = _("{end}, expected {wanted}", end=reason, wanted=unit.expect.exit)
        reason = with_tail(reason, outcome.stderr)
        if said is None:
            return record.fails(requirement, reason)
        return record.fails(requirement, _("{found} [{code}]", found=reason, code=said.code), self.findings.mend(said))

    def _paged(
        self,
        unit: Unit,
        built: Built,
        sandbox: Sandbox,
        outcome: Outcome,
        trace: Trace,
        works: Callable[[Outcome], bool],
    ) -> Finding | None:
        """Find that a unit depends on the page size: by a call that was refused, or by a run with smaller pages."""
        page = int(sandbox.fingerprint.observed.get("page_size") or 0)
        if sandbox.fingerprint.fidelity < Fidelity.EMULATED_SYSTEM or page <= SMALL_PAGE:
            return None
        how = outcome.describe()
        if call := trace.misaligned(page):
            params = {
                "how": how,
                "page": str(page),
                "why": _("{call} suits pages of {bytes} bytes", call=call, bytes=SMALL_PAGE),
            }
        elif self._counterfactuals.works_with_small_pages(built, works):
            params = {
                "how": how,
                "page": str(page),
                "why": _("it works on a kernel with pages of {bytes} bytes", bytes=SMALL_PAGE),
            }
        else:
            return None
        return Finding("XC-RUN-030", Certainty.CERTAIN, unit.name, self.platform.id, params)

    def _judge_installer(self, unit: Unit, record: UnitRecord, built: Built, sandbox: Sandbox) -> None:
        """Judge an installer by its requests, not by its end: it gets stand-in files, which it may rightly refuse."""

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
            cause = outcome.describe() if outcome.is_fault else _("this sandbox does not have the system's identity")
            record.blocked_by = record.undecided(IDENTITY, Cause.HOST, cause, instead_of(sandbox.fingerprint.backend))
            return
        record.saw((IDENTITY,), fidelity, seen)
        if asked or outcome.stderr:
            record.saw((INSTALLER,), fidelity, seen)
        if not asked:
            # Without requests there is nothing to judge; only a missing package manager shows in its standard error.
            record.undecided(
                INSTALLER,
                Cause.HOST,
                _("it requested nothing that could be judged"),
                _("find out what it needs to start"),
            )
        wrong = wrong_requests(self.platform, self.pool.store.platforms.file.architectures, asked, outcome)
        for each in wrong:
            found = Finding(each.code, Certainty.CERTAIN, unit.name, self.platform.id, each.params)
            record.fails(INSTALLER, self.findings.coded(found), self.findings.mend(found))
        if wrong or works(outcome):
            return
        refused = self._counterfactuals.identity_refused(unit, built, outcome, works)
        if refused is not None:
            record.fails(IDENTITY, self.findings.coded(refused), self.findings.mend(refused))
        else:
            record.fails(
                IDENTITY,
                _("{end}, and it requested nothing", end=with_tail(outcome.describe(), outcome.stderr)),
            )
