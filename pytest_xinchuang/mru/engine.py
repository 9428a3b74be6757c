"""Decides the MRU requirements of one subject on one platform, from one set of observations."""

from __future__ import annotations

import contextlib
import hashlib
import re
from functools import cached_property
from typing import Any

from pytest_xinchuang import resources
from pytest_xinchuang.errors import BuildFailed, HostFault, XcError
from pytest_xinchuang.inspect.elf import ElfObject, NotElf, read_elf
from pytest_xinchuang.model.finding import FindingCatalogue
from pytest_xinchuang.model.platform import Arch, Platform
from pytest_xinchuang.model.requirement import Catalogue
from pytest_xinchuang.model.subject import Subject, Unit
from pytest_xinchuang.model.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.mru import static
from pytest_xinchuang.mru.built import (
    Built,
    build,
    plain_target,
    provided_libraries,
    reference_target,
    subject_objects,
    target_for,
)
from pytest_xinchuang.mru.findings import Finding, UnitRecord, decide
from pytest_xinchuang.sandbox.pool import CpuVariant, Pool
from pytest_xinchuang.sandbox.protocol import Ended, Limits, Outcome, Sandbox
from pytest_xinchuang.toolchain.builder import Builder

BUILDS, STARTS, ANSWERS, ENDS = "XC-MRU-004", "XC-MRU-005", "XC-MRU-006", "XC-MRU-007"
KNOWN_ANSWER, SAME_AS_X86, BASELINE = "XC-MRU-010", "XC-MRU-011", "XC-MRU-013"
POOREST, OFFLINE, IN_PLACE, NO_LEFTOVERS = "XC-MRU-025", "XC-MRU-026", "XC-MRU-027", "XC-MRU-028"
START_BUDGET, PAGE_SIZE, REPRODUCIBLE = "XC-MRU-040", "XC-MRU-041", "XC-MRU-042"
BEHAVIOURS = {
    "children": "XC-MRU-020",
    "threads": "XC-MRU-021",
    "tls": "XC-MRU-022",
    "signals": "XC-MRU-023",
    "dlopen": "XC-MRU-024",
}
PLAIN_RUN = (STARTS, ANSWERS, ENDS, KNOWN_ANSWER, SAME_AS_X86)

SIGILL = 4


class MruEngine:
    """All observations of ``subject`` on ``platform``, each made once, when it is first asked for."""

    def __init__(
        self, platform: Platform, subject: Subject, catalogue: Catalogue, pool: Pool, builder: Builder
    ) -> None:
        self.platform = platform
        self.subject = subject
        self.catalogue = catalogue
        self.pool = pool
        self.builder = builder
        self.findings = FindingCatalogue(resources.conformance_dir() / "findings.yaml")
        self._elves: list[ElfObject] = []

    @cached_property
    def _subject_digest(self) -> str:
        return self.subject.digest

    def decision(self, requirement_id: str) -> Decision:
        """The decision about one requirement; host faults become inconclusive, never the subject's failure."""
        requirement = self.catalogue.get(requirement_id)
        if requirement is None:
            return Decision(Verdict.INCONCLUSIVE, Cause.HOST, f"{requirement_id} is not in the catalogue")
        try:
            records = self._records
        except HostFault as fault:
            return Decision(Verdict.INCONCLUSIVE, _cause_of(self.platform, fault), fault.what, fault.mend)
        scope = [r for r in records if self._in_scope(requirement_id, r)]
        if not scope and (said := self._not_applicable(requirement_id)):
            return said
        if not scope and requirement_id == BUILDS:
            units = [{"kind": "manifest", "unit": u.name, "comes_as": u.kind} for u in self.subject.file.units]
            return Decision(Verdict.NOT_APPLICABLE, reason="no unit comes as source", evidence=tuple(units))
        return decide(requirement_id, scope, requirement.mend.en)

    def _unit(self, record: UnitRecord) -> Unit | None:
        return next((u for u in self.subject.file.units if u.name == record.name), None)

    def _in_scope(self, requirement_id: str, record: UnitRecord) -> bool:
        """Which units have to show which requirement."""
        unit = self._unit(record)
        if unit is None:  # the subject's own objects in the root filesystem: looked at, not run
            return requirement_id in static.STATIC
        if requirement_id in static.STATIC:
            return unit.kind != "shell"
        if requirement_id == BUILDS:
            return unit.kind in ("c", "go", "go-cgo", "binary")
        if requirement_id == REPRODUCIBLE:
            return unit.kind in ("c", "go", "go-cgo")
        if requirement_id in BEHAVIOURS.values():
            return unit.behaviour is not None and BEHAVIOURS[unit.behaviour] == requirement_id
        if requirement_id == KNOWN_ANSWER:
            return unit.behaviour is None and unit.expect.stdout is not None
        if requirement_id in PLAIN_RUN:
            return unit.behaviour is None
        return True

    def _not_applicable(self, requirement_id: str) -> Decision | None:
        """A behaviour that the manifest says the subject lacks: believed when no object speaks against it."""
        said = next((n for n in self.subject.file.not_applicable if n.requirement == requirement_id), None)
        behaviour = next((b for b, r in BEHAVIOURS.items() if r == requirement_id), None)
        if said is None or behaviour is None:
            return None
        against = static.shows(behaviour, self._elves)
        if against or not self._elves:
            return Decision(
                Verdict.INCONCLUSIVE,
                Cause.SUBJECT,
                f"the manifest says that {behaviour} do not apply ({said.reason}), but "
                f"{against or 'none of its objects could be read'}",
                f"add a unit with behaviour: {behaviour}",
            )
        looked = [{"kind": "static", "object": e.name, "imports": len(e.imports)} for e in self._elves]
        return Decision(Verdict.NOT_APPLICABLE, reason=said.reason, evidence=tuple(looked))

    # -- observations

    @cached_property
    def _records(self) -> list[UnitRecord]:
        rootfs = self.pool.store.rootfs_for(self.platform)
        provided = provided_libraries(rootfs, self.platform.architecture)
        records = []
        own = UnitRecord("(objects)")
        if objects := subject_objects(self.subject, rootfs):
            allowed = self.subject.file.allowed_libraries
            self._elves += static.inspect(
                own, objects, self.platform, self.findings, allowed=allowed, shipped=frozenset(), provided=provided
            )
            records.append(own)
        for unit in self.subject.file.units:
            record = UnitRecord(unit.name)
            records.append(record)
            self._observe(unit, record, provided)
        return records

    def _observe(self, unit: Unit, record: UnitRecord, provided: frozenset[str]) -> None:
        rootfs = self.pool.store.rootfs_for(self.platform)
        target = target_for(self.platform, rootfs)
        try:
            built = build(self.builder, self.subject, unit, target, rootfs)
        except BuildFailed as error:
            record.saw((BUILDS,), Fidelity.STATIC, {"kind": "build", "unit": unit.name, "output": error.output[-2000:]})
            record.blocked_by = record.fails(BUILDS, error.what)
            return
        except HostFault as fault:
            record.blocked_by = record.undecided(BUILDS, Cause.HOST, fault.what, fault.mend)
            return
        record.saw(
            (BUILDS,),
            Fidelity.STATIC,
            {
                "kind": "build",
                "unit": unit.name,
                "libc": target.libc_version,
                "flags": list(target.c_flags),
                "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in built.files.items()},
            },
        )
        self._elves += static.inspect(
            record,
            built.objects,
            self.platform,
            self.findings,
            allowed=self.subject.file.allowed_libraries,
            shipped=built.shipped,
            provided=provided,
        )
        self._check_reproducible(unit, record, built)
        in_the_way = [f for r in (static.MACHINE, static.LIBRARIES, static.SYMBOLS) for f in record.of(r)]
        failed = [f for f in in_the_way if f.verdict is Verdict.FAIL]
        if failed:
            record.blocked_by = failed[0]
            return
        try:
            self._run(unit, record, built)
        except HostFault as fault:
            cause = _cause_of(self.platform, fault)
            record.blocked_by = Finding(STARTS, unit.name, Verdict.INCONCLUSIVE, cause, fault.what, fault.mend)

    def _check_reproducible(self, unit: Unit, record: UnitRecord, built: Built) -> None:
        if unit.kind not in ("c", "go", "go-cgo"):
            return
        rootfs = self.pool.store.rootfs_for(self.platform)
        try:
            again = build(self.builder, self.subject, unit, target_for(self.platform, rootfs), rootfs, salt="again")
        except XcError as error:
            record.undecided(REPRODUCIBLE, Cause.HOST, f"the second build: {error.what}")
            return
        record.saw(
            (REPRODUCIBLE,),
            Fidelity.STATIC,
            {
                "kind": "rebuild",
                "unit": unit.name,
                "same": again.files == built.files,
            },
        )
        if again.files != built.files:
            record.fails(REPRODUCIBLE, "two builds of the same source differ")

    def _execute(self, sandbox: Sandbox, built: Built, *, trace: bool = False) -> Outcome:
        sandbox.reset()
        for path, data in built.files.items():
            sandbox.put(path, data, executable=True)
        limits = Limits(wall_s=built.unit.limit_s)
        return sandbox.run(
            built.argv, stdin=built.unit.stdin.encode(), env=built.env, cwd=built.directory, limits=limits, trace=trace
        )

    def _run(self, unit: Unit, record: UnitRecord, built: Built) -> None:
        sandbox = self.pool.sandbox(self.platform)
        outcome = self._execute(sandbox, built)
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
        root = self._root_cause(unit, record, built, sandbox, outcome)
        if root is not None:
            looked(root.requirement)
            record.blocked_by = root
            return
        looked(BASELINE, ENDS)
        if astray:
            record.undecided(BASELINE, Cause.HOST, astray, "--xc-backend=qemu; xc doctor")
        self._check_isolation(record, sandbox, outcome, changes, seen)
        if behaviour:
            looked(behaviour)
        else:
            looked(STARTS, ANSWERS)
        self._check_output(unit, record, outcome, seen, fidelity, behaviour)
        wrong = [f for f in record.findings if f.requirement in (KNOWN_ANSWER, SAME_AS_X86, behaviour)]
        if wrong:
            record.blocked_by = wrong[0]
        else:
            self._check_poorest(unit, record, built, outcome)
        self._check_real_machine(unit, record, sandbox, outcome, seen)

    @staticmethod
    def _is_good(unit: Unit, outcome: Outcome) -> bool:
        return outcome.ended is Ended.EXITED and outcome.code == unit.expect.exit

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
    ) -> Finding | None:
        """The one thing that kept a run from being a good one, if it was not."""
        behaviour = BEHAVIOURS.get(unit.behaviour or "")
        if outcome.ended in (Ended.EMULATOR_FAULT, Ended.HOST_FAULT, Ended.OVER_LIMIT):
            return record.undecided(behaviour or STARTS, Cause.HOST, outcome.describe())
        if outcome.ended is Ended.TIMED_OUT:
            return self._judge_hang(unit, record, sandbox, behaviour or ENDS)
        if outcome.ended is Ended.SIGNALED and outcome.signal == SIGILL:
            return self._judge_illegal(record, built)
        good = self._is_good(unit, outcome)
        if not good and (network := self._network_attempt(sandbox, built)):
            return record.fails(OFFLINE, f"{outcome.describe()} without a network: {network}")
        if outcome.ended is Ended.SIGNALED or outcome.code in (126, 127):
            return record.fails(behaviour or STARTS, f"{outcome.describe()}{_tail(outcome.stderr)}")
        if not good:
            return record.fails(
                behaviour or ANSWERS, f"{outcome.describe()}, expected {unit.expect.exit}{_tail(outcome.stderr)}"
            )
        if not outcome.stdout and unit.expect.stdout != "":
            return record.fails(behaviour or ANSWERS, f"nothing on standard output{_tail(outcome.stderr)}")
        return None

    def _judge_hang(self, unit: Unit, record: UnitRecord, sandbox: Sandbox, requirement: str) -> Finding:
        """A time-out of ours is the subject's only when it hangs on x86-64 as well, and the sandbox is well."""
        check = sandbox.run(["true"], cwd="/", limits=Limits(wall_s=5))
        if not check.ok:
            return record.undecided(
                requirement, Cause.HOST, f"timed out, and then `true` did not run: {check.describe()}"
            )
        reference = self._reference(unit)
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

    def _judge_illegal(self, record: UnitRecord, built: Built) -> Finding:
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
        richer = self._execute(self.pool.sandbox(self.platform, CpuVariant.SUPERSET), built)
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

    def _network_attempt(self, sandbox: Sandbox, built: Built) -> str | None:
        """The network call that failed, when the system call trace of a failing unit shows one."""
        trace = self._execute(sandbox, built, trace=True).stderr.decode(errors="replace")
        for line in trace.splitlines():
            call = line.partition(" ")[2].strip()
            if call.startswith(("connect(", "sendto(", "sendmsg(", "bind(")) and any(
                name in line
                for name in (
                    "ENETUNREACH",
                    "EADDRNOTAVAIL",
                    "ENETDOWN",
                    "EHOSTUNREACH",
                    "Network is unreachable",
                    "Cannot assign requested address",
                    "Network is down",
                    "No route to host",
                )
            ):
                return call[:120]
        return None

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
            reference = self._reference(unit)
            if isinstance(reference, str):
                record.undecided(behaviour, Cause.HOST, f"the x86-64 run is missing: {reference}")
            elif reference.stdout != outcome.stdout:
                record.fails(behaviour, _difference(outcome.stdout, reference.stdout, "the x86-64 run"))
            return
        reference = self._reference(unit)
        if isinstance(reference, str):
            record.undecided(SAME_AS_X86, Cause.HOST, f"the x86-64 run is missing: {reference}")
        elif reference.is_fault or reference.ended is not Ended.EXITED:
            record.undecided(SAME_AS_X86, Cause.HOST, f"the x86-64 run is no measure: {reference.describe()}")
        else:
            twin = {"kind": "reference", "unit": unit.name, **digest_of(reference)}
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
            finding = record.fails(SAME_AS_X86, _difference(outcome.stdout, reference.stdout, "the x86-64 run"))
            if expected is not None and outcome.stdout != expected:
                record.looked_at.pop(KNOWN_ANSWER, None)
                record.blocked_by = finding

    def _reference(self, unit: Unit) -> Outcome | str:
        """The run of the unit's x86-64 twin, or why there is none."""
        cache = self.pool.shared.setdefault(("reference", self._subject_digest), {})
        if unit.name not in cache:
            cache[unit.name] = self._run_reference(unit)
        found: Outcome | str = cache[unit.name]
        return found

    def _run_reference(self, unit: Unit) -> Outcome | str:
        try:
            sandbox = self.pool.reference()
            name = self.pool.store.platforms.file.reference or ""
            rootfs = self.pool.store.rootfs(name)
            architecture = self.pool.store.platforms.file.architectures[Arch.AMD64]
            twin = build(self.builder, self.subject, unit, reference_target(architecture, rootfs), rootfs)
            return self._execute(sandbox, twin)
        except XcError as error:
            return error.what

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
            built = build(self.builder, self.subject, unit, plain_target(self.platform, rootfs), rootfs)
        sandbox = self.pool.sandbox(self.platform, CpuVariant.POOREST)
        poor = self._execute(sandbox, built)
        record.saw((POOREST,), sandbox.fingerprint.fidelity, observation(sandbox, unit, poor))
        tuned = unit.kind == "binary" or self.platform.arch in unit.c_flags
        if tuned and poor.ended is Ended.SIGNALED and poor.signal == SIGILL:
            return
        if poor.is_fault:
            record.undecided(POOREST, Cause.HOST, poor.describe())
        elif poor.ended is not outcome.ended or poor.code != outcome.code:
            record.fails(
                POOREST, f"{poor.describe()} under {model.partition(',')[0]}, where it has to take another path"
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


def observation(sandbox: Sandbox, unit: Unit, outcome: Outcome) -> dict[str, Any]:
    """A run as evidence."""
    return {"kind": "run", "unit": unit.name, "sandbox": sandbox.fingerprint.platform, **digest_of(outcome)}


def digest_of(outcome: Outcome) -> dict[str, Any]:
    """What of an outcome goes into the journal."""
    return {
        "argv": list(outcome.argv),
        "cpu": outcome.cpu,
        "ended": str(outcome.ended),
        "code": outcome.code,
        "signal": outcome.signal,
        "cause": outcome.cause,
        "stdout": outcome.stdout[:2000].decode(errors="backslashreplace"),
        "stdout_sha256": hashlib.sha256(outcome.stdout).hexdigest(),
        "stderr": outcome.stderr[-1000:].decode(errors="backslashreplace"),
        "truncated": outcome.truncated,
        "leftovers": outcome.leftovers,
        "wall_ms": outcome.wall_ms,
        "cpu_ms": outcome.cpu_ms,
    }


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


def _cause_of(platform: Platform, fault: HostFault) -> Cause:
    """An old-world platform or one without a stand-in is a matter of fidelity, not of the host."""
    if platform.rootfs_name is None and "no stand-in" in fault.what:
        return Cause.FIDELITY
    return Cause.HOST
