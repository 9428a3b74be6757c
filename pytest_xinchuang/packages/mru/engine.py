"""Decides the MRU requirements of one subject on one platform, from one set of observations."""

from __future__ import annotations

from functools import cached_property

from pytest_xinchuang.building.built import Built, made_of, provided_libraries, subject_objects, target_for
from pytest_xinchuang.core.deciding import cause_of
from pytest_xinchuang.core.errors import BuildFailed, HostFault, XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.subject import Subject, Unit
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.packages.mru import static
from pytest_xinchuang.packages.mru.artifacts import Inspections, inspect_artifacts
from pytest_xinchuang.packages.mru.bench import Bench
from pytest_xinchuang.packages.mru.findings import UnitFinding, UnitRecord, join_units
from pytest_xinchuang.packages.mru.judge import RunJudge
from pytest_xinchuang.packages.mru.recorded import Recorded
from pytest_xinchuang.packages.mru.requirements import (
    ARTIFACTS,
    BEHAVES,
    BEHAVIOURS,
    BUILDS,
    FITS,
    FLAGS,
    IDENTITY,
    INSTALLER,
    KNOWN_ANSWER,
    LOADS,
    PLAIN_RUN,
    REPRODUCIBLE,
    SOURCE_BUILDS,
    STARTS,
    VENDOR,
)
from pytest_xinchuang.packages.mru.sources import advised
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder
from pytest_xinchuang.toolchain.flags import LACKS_FACT, Asker, check_flags

_NOT_THERE = {
    BUILDS: _("no unit comes as source"),
    LOADS: _("the manifest lists no artifacts"),
    FITS: _("the manifest lists no artifacts"),
    BEHAVES: _("the manifest lists no artifacts"),
    FLAGS: _("the manifest lists no build_flags"),
    SOURCE_BUILDS: _("the manifest lists no source_trees"),
    IDENTITY: _("no unit is a script or an installer"),
    INSTALLER: _("no unit is an installer"),
    VENDOR: _("programs do not ask for a vendor's name on this architecture"),
}
"""Requirement -> why it does not apply to a subject without anything of its kind."""


class MruEngine:
    """Decides about ``subject`` on ``platform``. Each observation is made once, when it is first needed."""

    def __init__(
        self,
        platform: Platform,
        subject: Subject,
        catalogue: Catalogue,
        pool: Pool,
        builder: Builder,
        recorded: Recorded | None = None,
    ) -> None:
        self.platform = platform
        self.subject = subject
        self.catalogue = catalogue
        self.pool = pool
        self.builder = builder
        self.bench = Bench(platform, subject, pool, builder, recorded)
        self.findings = self.bench.findings
        self._elves: list[ElfObject] = []
        self._unread: list[str] = []
        """Artifacts of which not every object could be read, or that have none."""
        self._without_objects: set[str] = set()
        """Units without ELF objects of their own; static requirements skip them, and judge the artifact instead."""

    def close(self) -> None:
        """Nothing to close: the pool owns the sandboxes."""

    def decision(self, requirement_id: str) -> Decision:
        """Decide one requirement. A host fault makes it inconclusive, and never fails the subject."""
        requirement = self.catalogue.get(requirement_id)
        if requirement is None:
            return Decision(
                Verdict.INCONCLUSIVE,
                Cause.HOST,
                _("{requirement_id} is not in the catalogue", requirement_id=requirement_id),
            )
        try:
            records = self._records
        except HostFault as fault:
            cause = cause_of(fault)
            old_world = cause is Cause.FIDELITY and self.platform.world == "old"
            reason = _("{found} [{code}]", found=fault.what, code="XC-RUN-004") if old_world else fault.what
            return Decision(Verdict.INCONCLUSIVE, cause, reason, fault.mend)
        scope = [r for r in records if self._in_scope(requirement_id, r)]
        if not scope and (said := self._not_applicable(requirement_id)):
            return said
        if not scope and requirement_id in static.STATIC and self._without_objects:
            files = [
                {"kind": "manifest", "artifact": a.name, "files": dict(a.files)} for a in self.subject.file.artifacts
            ]
            reason = _(
                "no unit has an ELF object of its own; {loads} and {fits} judge the artifacts",
                loads=LOADS,
                fits=FITS,
            )
            return Decision(Verdict.NOT_APPLICABLE, reason=reason, evidence=tuple(files))
        if not scope and requirement_id in _NOT_THERE:
            units = [{"kind": "manifest", "unit": u.name, "comes_as": u.kind} for u in self.subject.file.units]
            where = {"kind": "platform", "id": self.platform.id, "arch": self.platform.arch.value}
            reason = _NOT_THERE[requirement_id]
            return Decision(Verdict.NOT_APPLICABLE, reason=reason, evidence=(where, *units))
        if not scope and requirement_id == REPRODUCIBLE and self.subject.file.units:
            # Another build would tell, and it takes what the product is built of.
            reason = _("what was delivered came built: what it was built of is not here")
            return Decision(Verdict.INCONCLUSIVE, Cause.FIDELITY, reason, _("add units that come as source"))
        mend = requirement.mend.message()
        return join_units(requirement_id, scope, mend if scope else _how_to_show(requirement_id) or mend)

    def _unit(self, record: UnitRecord) -> Unit | None:
        return next((u for u in self.subject.file.units if u.name == record.name), None)

    def _in_scope(self, requirement_id: str, record: UnitRecord) -> bool:
        """Whether a unit has to show a requirement."""
        unit = self._unit(record)
        if record.name.startswith("artifact "):
            return requirement_id in ARTIFACTS
        if record.name == "(flags)":
            return requirement_id == FLAGS
        if record.name.startswith("source "):
            return requirement_id == SOURCE_BUILDS
        if unit is None:  # the subject's own objects in the root filesystem: inspected, not run
            return requirement_id in static.STATIC
        if requirement_id in (*ARTIFACTS, FLAGS, SOURCE_BUILDS):
            return False
        if requirement_id == INSTALLER or unit.kind == "installer":
            return unit.kind == "installer" and requirement_id in (INSTALLER, IDENTITY)
        if requirement_id == IDENTITY:
            return unit.kind == "shell"
        if requirement_id in static.STATIC:
            return unit.kind != "shell" and unit.name not in self._without_objects
        if requirement_id == VENDOR:
            return self.platform.cpu.vendors is not None
        if requirement_id == BUILDS:
            return unit.kind in ("c", "go", "go-cgo", "binary", "artifact")
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
        """Decide a behaviour that the manifest says does not apply: it holds unless an object or a run shows otherwise."""
        said = next((n for n in self.subject.file.not_applicable if n.requirement == requirement_id), None)
        behaviour = next((b for b, r in BEHAVIOURS.items() if r == requirement_id), None)
        if said is None or behaviour is None:
            return None
        against = static.shows(behaviour, self._elves) or self._was_seen(behaviour) or self._unseen(behaviour)
        if against or not self._elves:
            return Decision(
                Verdict.INCONCLUSIVE,
                Cause.SUBJECT,
                _(
                    "the manifest says that {behaviour} do not apply ({reason}), but {against}",
                    behaviour=behaviour,
                    reason=said.reason,
                    against=against or _("none of its objects could be read"),
                ),
                _("add a unit with behaviour: {behaviour}", behaviour=behaviour),
            )
        looked = [{"kind": "static", "object": e.name, "imports": len(e.imports)} for e in self._elves]
        return Decision(Verdict.NOT_APPLICABLE, reason=verbatim(said.reason), evidence=tuple(looked))

    def _was_seen(self, behaviour: str) -> Message | None:
        """Which unit's run has shown a behaviour, and by what; None when none has."""
        if behaviour not in self.bench.shown:
            return None
        unit, by = self.bench.shown[behaviour]
        return _("a run of {unit} has shown it: {by}", unit=unit, by=verbatim(by))

    def _unseen(self, behaviour: str) -> Message | None:
        """What of the product may show a behaviour without an object that says so; None when there is no such thing."""
        if self._unread:
            return _("{artifact} could not be read whole", artifact=self._unread[0])
        scripts = [u.name for u in self.subject.file.units if u.kind in ("shell", "installer")]
        if behaviour == "children" and scripts:
            return _("{unit} is a script, which starts programs", unit=scripts[0])
        return None

    def _look_at_artifacts(self, read: Inspections) -> None:
        """Take what is delivered into account for what the manifest says does not apply, whether a unit runs it or not."""
        for artifact in self.subject.file.artifacts:
            name = artifact.file_for(self.platform, self.bench.short)
            inspection = read.get(name) if name is not None else None
            if inspection is None or inspection.problems or inspection.unread or not inspection.records:
                self._unread.append(artifact.name)
            if inspection is not None:
                self._elves += [record.elf for record in inspection.records]

    # -- observations

    @cached_property
    def _records(self) -> list[UnitRecord]:
        rootfs = self.pool.store.rootfs_for(self.platform)
        provided = provided_libraries(rootfs, self.platform.architecture)
        records = []
        own = UnitRecord("(objects)", _("(objects)"))
        if objects := subject_objects(self.subject, rootfs):
            allowed = self.subject.file.allowed_libraries
            self._elves += static.inspect(
                own,
                objects,
                self.platform,
                self.findings,
                allowed=allowed,
                shipped=frozenset(),
                provided=provided,
                of_rootfs=True,
            )
            records.append(own)
        read = self.pool.shared.slot(Inspections, self.bench.subject_digest)
        records += inspect_artifacts(
            self.subject, self.platform, self.pool.store.platforms.file, self.findings, read, self.pool
        )
        self._look_at_artifacts(read)
        if self.subject.file.build_flags:
            records.append(self._check_flags())
        records += advised(self.subject, self.platform, self.findings, self.pool, self.builder)
        for unit in self.subject.file.units:
            record = UnitRecord(unit.name)
            records.append(record)
            self._observe(unit, record, provided)
        return records

    def _check_flags(self) -> UnitRecord:
        record = UnitRecord("(flags)", _("(flags)"))
        flags = self.subject.file.build_flags
        record.saw((FLAGS,), Fidelity.STATIC, {"kind": "flags", "flags": list(flags)})
        asker = self.pool.shared.slot(Asker, "flags")
        for finding in check_flags(flags, self.platform.system.libc, self.platform, asker):
            if finding.certainty is Certainty.CERTAIN:
                record.fails(FLAGS, self.findings.coded(finding), self.findings.mend(finding))
            elif finding.certainty is not Certainty.NOTE:
                cause = Cause.MISSING_FACT if finding.evidence.get(LACKS_FACT) else Cause.HOST
                if finding.certainty is Certainty.GUARDED:
                    cause = Cause.FIDELITY  # what was built with it would tell
                record.undecided(FLAGS, cause, self.findings.coded(finding), self.findings.mend(finding))
        return record

    def _observe(self, unit: Unit, record: UnitRecord, provided: frozenset[str]) -> None:
        target = target_for(self.platform, self.pool.store.rootfs_for(self.platform))
        try:
            built = self.bench.built(unit)
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
            {**made_of(self.builder, built), "libc": target.libc_version, "flags": list(target.c_flags)},
        )
        if unit.kind == "artifact" and not built.objects:
            self._without_objects.add(unit.name)
        self._elves += static.inspect(
            record,
            built.objects,
            self.platform,
            self.findings,
            allowed=self.subject.file.allowed_libraries,
            shipped=built.shipped,
            provided=provided,
            of_rootfs=unit.kind in ("c", "go-cgo", "rootfs"),
        )
        self._check_reproducible(unit, record, built)
        in_the_way = [f for r in (static.MACHINE, static.LIBRARIES, static.SYMBOLS) for f in record.of(r)]
        failed = [f for f in in_the_way if f.verdict is Verdict.FAIL]
        if failed:
            record.blocked_by = failed[0]
            return
        try:
            RunJudge(self.bench).run(unit, record, built)
        except HostFault as fault:
            cause = cause_of(fault)
            record.blocked_by = UnitFinding(STARTS, record.shown, Verdict.INCONCLUSIVE, cause, fault.what, fault.mend)

    def _check_reproducible(self, unit: Unit, record: UnitRecord, built: Built) -> None:
        if unit.kind not in ("c", "go", "go-cgo"):
            return
        try:
            again = self.bench.built(unit, "again")
        except XcError as error:
            record.undecided(REPRODUCIBLE, Cause.HOST, _("the second build: {what}", what=error.what), error.mend)
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
            record.fails(REPRODUCIBLE, _("two builds of the same source differ"))


def _how_to_show(requirement_id: str) -> Message | None:
    """What to do about a behaviour that no unit shows; None for a requirement that is no behaviour."""
    behaviour = next((b for b, r in BEHAVIOURS.items() if r == requirement_id), None)
    if behaviour is None:
        return None
    return _(
        "add a unit with {behaviour} to the manifest, or say under {not_applicable} that the product has none of it",
        behaviour=verbatim(f"`behaviour: {behaviour}`"),
        not_applicable=verbatim(f"`not_applicable: [{{requirement: {requirement_id}, reason: ...}}]`"),
    )
