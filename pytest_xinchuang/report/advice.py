"""What is said of a source tree as text, JSON and SARIF: pure functions of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang import __version__
from pytest_xinchuang.core.advice import Advice, Part, Standing
from pytest_xinchuang.core.finding import Certainty, Finding, FindingCatalogue
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.messages import Message, _, n_, verbatim
from pytest_xinchuang.report.inspection import ORDER, SARIF_LEVELS, WORDS, sarif_rules, told
from pytest_xinchuang.report.sarif import place_of, sarif_document

_SHOWN = 12
"""So many findings of one cause are shown as text."""


@dataclass(frozen=True)
class AdviceResult:
    """All that a report of advice is made of.

    Attributes:
        tree: the tree as the user named it.
    """

    tree: str
    platforms: tuple[Platform, ...]
    advice: tuple[Advice, ...]
    catalogue: FindingCatalogue
    language: str = "en"

    @property
    def stopped(self) -> bool:
        return any(a.standing is Standing.STOPPED for a in self.advice)

    @property
    def open(self) -> bool:
        return any(a.standing is Standing.OPEN for a in self.advice)

    def findings(self, advice: Advice) -> list[Finding]:
        """In the order in which they are told."""
        return sorted(advice.findings, key=lambda f: (ORDER.index(f.certainty), f.code, f.object))


def summary(advice: Advice) -> Message:
    """How a tree stands on a platform, in one line."""
    if advice.standing is Standing.BUILDS:
        return _("builds as it is")
    causes = len(advice.stoppers)
    if causes:
        return n_("{n} cause stops it, {time}", "{n} causes stop it, {time}", causes, time=_time(advice.minutes))
    if not any(part.judged for part in advice.parts):
        return _("nothing of it was judged")
    return _("nothing was seen that stops it, and not all of it was judged")


def _time(minutes: int) -> Message:
    if minutes < 60:
        return _("about {minutes} min", minutes=max(5, minutes))
    return _("about {hours} h", hours=round(minutes / 60))


def part_told(part: Part) -> list[Message]:
    """How much of a part was judged, by what, and why the rest was not."""
    lines = [_("{name}: {judged} of {total} judged", name=part.name, judged=part.judged, total=part.total)]
    if part.by:
        lines[0] = _("{what} by {by}", what=lines[0], by=part.by)
    if part.found:
        lines[0] = _("{what} ({found})", what=lines[0], found=part.found)
    lines += [_("  not judged: {n}: {why}", n=n, why=why) for why, n in part.why]
    return lines


def as_text(result: AdviceResult, *, notes: bool = False) -> str:
    """For people: a block for each platform; the same mend is told once."""
    lines: list[str] = []

    def line(text: Message, indent: int = 0) -> None:
        lines.append(" " * indent + text.render(result.language))

    titles: Mapping[str, Platform] = {p.id: p for p in result.platforms}
    for advice in result.advice:
        platform = titles[advice.platform]
        cpu, system = platform.cpu.title.message(), platform.system.title.message()
        named = _("{platform} ({cpu}, {system})", platform=platform.id, cpu=cpu, system=system)
        lines.append("") if lines else None
        line(_("{platform}: {summary}", platform=named, summary=summary(advice)))
        for part in advice.parts:
            for text in part_told(part):
                line(text, 2)
        if not advice.parts:
            line(_("there is nothing in {tree} that we know how to judge", tree=verbatim(result.tree)), 2)
        groups: dict[tuple[Certainty, str, str], list[Finding]] = {}
        for finding in result.findings(advice):
            if notes or finding.certainty is not Certainty.NOTE:
                mend = result.catalogue.mend(finding).render(result.language)
                groups.setdefault((finding.certainty, finding.code, mend), []).append(finding)
        for (certainty, code, mend), group in groups.items():
            title = getattr(result.catalogue.get(code).title, result.language)
            lines.append(f"  {WORDS[certainty].render(result.language)} {code} {title}")
            lines += [f"      {result.catalogue.text(f).render(result.language)}" for f in group[:_SHOWN]]
            if len(group) > _SHOWN:
                lines.append(f"      ... +{len(group) - _SHOWN}")
            line(_("mend: {mend}", mend=verbatim(mend)), 6)
        hidden = 0 if notes else sum(f.certainty is Certainty.NOTE for f in advice.findings)
        if hidden:
            line(n_("{n} note is not shown (--notes)", "{n} notes are not shown (--notes)", hidden), 2)
    return "\n".join(lines) + "\n"


def as_json(result: AdviceResult) -> str:
    """For programs; ``schema`` is xc-advice/1."""
    data = {
        "schema": "xc-advice/1",
        "suite": {"version": __version__},
        "tree": result.tree,
        "platforms": [
            {
                "platform": advice.platform,
                "standing": advice.standing.value,
                "minutes": advice.minutes,
                "summary": _both(summary(advice)),
                "parts": [_part(part) for part in advice.parts],
                "findings": [_finding(result, f) for f in result.findings(advice)],
            }
            for advice in result.advice
        ],
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _both(text: Message) -> dict[str, str]:
    return {language: text.render(language) for language in ("zh", "en")}


def _part(part: Part) -> dict[str, Any]:
    return {
        "name": _both(part.name),
        "judged": part.judged,
        "total": part.total,
        "by": _both(part.by),
        "found": _both(part.found),
        "not_judged": [{"why": _both(why), "number": n} for why, n in part.why],
    }


def _finding(result: AdviceResult, finding: Finding) -> dict[str, Any]:
    level = result.catalogue.get(finding.code).level
    return {
        "code": finding.code,
        "certainty": finding.certainty.value,
        "level": level.value if level else None,
        "place": finding.object,
        "text": _both(result.catalogue.text(finding)),
        "mend": _both(result.catalogue.mend(finding)),
        "evidence": dict(finding.evidence),
    }


def as_sarif(result: AdviceResult) -> str:
    """SARIF 2.1.0, with the file and line of each finding."""
    codes = sorted({f.code for a in result.advice for f in a.findings})
    results = [
        {
            "ruleId": f.code,
            "ruleIndex": codes.index(f.code),
            "level": SARIF_LEVELS[f.certainty],
            "message": {"text": told(result.catalogue, f).render(result.language)},
            "locations": [{"physicalLocation": place_of(f.object)}],
            "partialFingerprints": {"xc/v1": f"{f.code}:{f.platform}:{f.object.rpartition(':')[0] or f.object}"},
            "properties": {"platform": f.platform, "certainty": f.certainty.value},
        }
        for a in result.advice
        for f in result.findings(a)
    ]
    return sarif_document("xc advise", sarif_rules(result.catalogue, codes, result.language), results)
