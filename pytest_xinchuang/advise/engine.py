"""Runs the surveys that apply to a tree, and puts together what they say of each platform."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pytest_xinchuang.advise.effort import minutes_of
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Survey, Work
from pytest_xinchuang.core.advice import Advice, Part, Surveyed
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Finding
from pytest_xinchuang.messages import verbatim


def advise(tree: SourceTree, work: Work, surveys: Sequence[Survey]) -> list[Advice]:
    """What is said of a tree for each platform, in their order."""
    said: list[Surveyed] = []
    for survey in surveys:
        if not survey.applies(tree):
            continue
        try:
            said.append(survey.survey(tree, work))
        except XcError as fault:
            lost = Surveyed()
            lost.add(
                (p.id for p in work.platforms), Part(verbatim(survey.name), judged=0, total=1, why=((fault.what, 1),))
            )
            said.append(lost)
    return [_of(platform.id, said) for platform in work.platforms]


def _of(platform: str, said: Sequence[Surveyed]) -> Advice:
    findings = tuple(_once(f for s in said for f in s.findings if f.platform == platform))
    return Advice(
        platform,
        parts=tuple(part for s in said for part in s.parts.get(platform, ())),
        findings=findings,
        minutes=minutes_of(findings),
    )


def _once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """A native file that was told already, by whoever loads it or by its language, is not told again for being there."""
    told: set[object] = set()
    for finding in findings:
        files = finding.evidence.get("files", ())
        if finding.code == "XC-ADV-083" and (finding.object in told or (files and told.issuperset(files))):
            continue
        if files:
            told |= {*files, finding.object}
        yield finding
