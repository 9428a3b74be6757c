"""Decides whether the product's source trees build for a platform, by what `xc advise` asks."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pytest_xinchuang.advise.engine import advise
from pytest_xinchuang.advise.surveys import all_surveys
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import baseline
from pytest_xinchuang.advise.work import Budget, Work
from pytest_xinchuang.core.advice import OF_WHAT_IT_DOES, Advice
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty, FindingCatalogue
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.core.subject import Subject
from pytest_xinchuang.core.verdict import Cause, Fidelity
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.mru.findings import UnitRecord
from pytest_xinchuang.packages.mru.requirements import SOURCE_BUILDS
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder

BUDGET_S = 900.0
"""Seconds for one tree and platform; a tree of a hundred units takes some 20."""


def advised(
    subject: Subject, platform: Platform, catalogue: FindingCatalogue, pool: Pool, builder: Builder
) -> list[UnitRecord]:
    """A record for each source tree. Suppressions and baselines are not asked: a grade says what is so."""
    return [_one(subject, name, platform, catalogue, pool, builder) for name in subject.file.source_trees]


def _one(
    subject: Subject, name: str, platform: Platform, catalogue: FindingCatalogue, pool: Pool, builder: Builder
) -> UnitRecord:
    record = UnitRecord(f"source {name}", _("source tree {name}", name=verbatim(name)))
    try:
        (advice,) = _advice(subject.path(name), platform, pool, builder)
    except XcError as error:
        record.blocked_by = record.undecided(SOURCE_BUILDS, Cause.HOST, error.what, error.mend)
        return record
    parts = [{"judged": p.judged, "total": p.total, "name": p.name, "by": p.by, "found": p.found} for p in advice.parts]
    told = [
        {"code": f.code, "certainty": f.certainty.value, "place": f.object, "text": catalogue.text(f)}
        for f in advice.findings
    ]
    seen: dict[str, object] = {"kind": "advice", "tree": name, "parts": parts, "findings": told[:200]}
    record.saw((SOURCE_BUILDS,), Fidelity.STATIC, seen)
    for finding in advice.findings:
        reason, mend = catalogue.coded(finding), catalogue.mend(finding)
        if finding.certainty is Certainty.CERTAIN and finding.code in OF_WHAT_IT_DOES:
            # It builds; what that does to the product is seen where it runs.
            record.undecided(SOURCE_BUILDS, Cause.FIDELITY, reason, mend)
        elif finding.certainty is Certainty.CERTAIN:
            record.fails(SOURCE_BUILDS, reason, mend)
        elif finding.certainty is Certainty.GUARDED:
            record.undecided(SOURCE_BUILDS, Cause.FIDELITY, reason, mend)
        elif finding.certainty is Certainty.UNDECIDED:
            record.undecided(SOURCE_BUILDS, Cause.HOST, reason, mend)
    _take_parts(record, advice, name)
    return record


def _take_parts(record: UnitRecord, advice: Advice, name: str) -> None:
    """What was not judged leaves it open."""
    if not advice.parts:
        text = _("there is nothing in {tree} that we know how to judge", tree=verbatim(name))
        record.undecided(SOURCE_BUILDS, Cause.HOST, text)
    for part in advice.parts:
        if not part.whole:
            unsaid = part.found if part.guessed else _("there was nothing to judge")
            why = part.why[0][0] if part.why else unsaid
            text = _(
                "{name}: {judged} of {total} judged: {why}",
                name=part.name,
                judged=part.judged,
                total=part.total,
                why=why,
            )
            record.undecided(SOURCE_BUILDS, Cause.HOST, text, verbatim("xc advise"))


def _advice(place: Path, platform: Platform, pool: Pool, builder: Builder) -> list[Advice]:
    amd64 = pool.store.platforms.file.architectures[Arch.AMD64]
    with tempfile.TemporaryDirectory(prefix="xc-advise-") as scratch:
        work = Work(
            platforms=(platform,),
            baseline=baseline([platform], amd64),
            scratch=Path(scratch).resolve(),
            kept=builder.cache.root / "advice",
            runner=pool.runner,
            jail=builder.jail,
            budget=Budget(BUDGET_S),
            offline=True,
        )
        return advise(SourceTree(place), work, all_surveys())
