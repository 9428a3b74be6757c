"""Inspects the delivered artifacts for a platform. A finding fails the requirement of its level."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty, Finding, FindingCatalogue
from pytest_xinchuang.core.platform import Platform, PlatformsFile
from pytest_xinchuang.core.subject import Artifact, Subject
from pytest_xinchuang.core.verdict import Cause, Fidelity, Level
from pytest_xinchuang.inspect.delivered import Inspection
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts, problems_as_findings
from pytest_xinchuang.inspect.kept import Kept
from pytest_xinchuang.loading.findings import loaded
from pytest_xinchuang.messages import _, joined
from pytest_xinchuang.packages.mru.findings import UnitRecord
from pytest_xinchuang.packages.mru.requirements import BEHAVES, FITS, LOADS
from pytest_xinchuang.sandbox.pool import Pool

BY_LEVEL = {Level.L1: LOADS, Level.L2: FITS, Level.L3: BEHAVES}

_UNDECIDED_BY = {
    **dict.fromkeys(("XC-ELF-013", "XC-ELF-021", "XC-ELF-002", "XC-CPU-001"), Cause.MISSING_FACT),
    "XC-CPU-002": Cause.FIDELITY,
}


class Inspections(dict[str, Inspection]):
    """Inspections of a subject's artifacts by file; platforms with the same file share one, and the bytes of its objects."""

    def __init__(self) -> None:
        super().__init__()
        directory = Path(tempfile.mkdtemp(prefix="xc-artifacts-"))
        weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        self.kept = Kept(directory)


def inspect_artifacts(
    subject: Subject,
    platform: Platform,
    file: PlatformsFile,
    catalogue: FindingCatalogue,
    read: Inspections,
    pool: Pool,
) -> list[UnitRecord]:
    """A record for each artifact. ``read`` keeps the inspections, for other platforms with the same file."""
    short = file.short_of(platform.id)
    return [
        _one(subject, artifact, platform, short, file, catalogue, read, pool) for artifact in subject.file.artifacts
    ]


def _one(
    subject: Subject,
    artifact: Artifact,
    platform: Platform,
    short: str | None,
    file: PlatformsFile,
    catalogue: FindingCatalogue,
    read: Inspections,
    pool: Pool,
) -> UnitRecord:
    record = UnitRecord(f"artifact {artifact.name}", _("artifact {name}", name=artifact.name))
    name = artifact.file_for(platform, short)
    if name is None:
        absent = {"kind": "manifest", "artifact": artifact.name, "files": dict(artifact.files)}
        record.saw((LOADS,), Fidelity.STATIC, absent)
        record.blocked_by = record.fails(
            LOADS,
            _(
                "nothing is delivered for {id} ({arch}); there is {names}",
                id=platform.id,
                arch=platform.arch,
                names=joined(artifact.files, _(", ")),
            ),
            _("add artifacts: files: {arch}: PATH to the manifest", arch=platform.arch),
        )
        return record
    try:
        if name not in read:
            read[name] = Inspector(runner=pool.runner, kept=read.kept).read(subject.path(name), name)
    except XcError as error:
        record.blocked_by = record.undecided(LOADS, Cause.HOST, error.what, error.mend)
        return record
    inspection = read[name]
    if inspection.root.kind == "file" and not inspection.records:
        text = _(
            "{name} is not an object, a package, an archive or an image that can be read here: it was not inspected",
            name=name,
        )
        record.blocked_by = record.undecided(
            LOADS, Cause.HOST, text, _("list the delivered files themselves in the manifest")
        )
        return record
    findings = Verdicts(platform, file.architectures).of(inspection)
    findings += problems_as_findings(inspection.problems, platform.id)
    run = any(unit.artifact == artifact.name or unit.files.get(platform.arch) == name for unit in subject.file.units)
    opened = loaded(pool, platform, file.architectures, read.kept, inspection)
    # A unit that runs it decides what opening it left open, and so does what is certain of the object by itself.
    known = {f.object for f in findings if f.certainty is Certainty.CERTAIN}
    findings += [f for f in opened if f.certainty is not Certainty.UNDECIDED or not (run or f.object in known)]
    told = [{"code": f.code, "certainty": f.certainty.value, "text": catalogue.text(f)} for f in findings]
    seen: dict[str, object] = {
        "kind": "inspection",
        "artifact": name,
        "objects": len(inspection.records),
        "sha256": {r.place: r.sha256 for r in inspection.records[:200]},
        "findings": told[:200],
    }
    record.saw(BY_LEVEL.values(), Fidelity.STATIC, seen)
    for finding in findings:
        _take(record, finding, catalogue, run)
    return record


def _take(record: UnitRecord, finding: Finding, catalogue: FindingCatalogue, run: bool) -> None:
    level = catalogue.get(finding.code).level
    reason, mend = catalogue.coded(finding), catalogue.mend(finding)
    if finding.certainty is Certainty.UNDECIDED:
        cause = _UNDECIDED_BY.get(finding.code, Cause.HOST)
        record.undecided(BY_LEVEL.get(level or Level.L1, LOADS), cause, reason, mend)
    elif level is None:
        return
    elif finding.certainty is Certainty.CERTAIN:
        record.fails(BY_LEVEL.get(level, BEHAVES), reason, mend)
    elif finding.certainty is Certainty.GUARDED and not run:
        record.undecided(
            BY_LEVEL.get(level, BEHAVES),
            Cause.FIDELITY,
            _("{reason}: a run decides, and no unit runs the artifact", reason=reason),
            _("add a unit that runs it"),
        )
