"""What is said of a source tree as text, JSON, SARIF, JUnit and Markdown: pure functions of it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from junit_xml import TestCase, TestSuite

from pytest_xinchuang import __version__
from pytest_xinchuang.core.accepted import NOTHING_ACCEPTED, Accepted, fingerprint
from pytest_xinchuang.core.advice import Advice, Part, Standing
from pytest_xinchuang.core.finding import Certainty, Finding, FindingCatalogue
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.messages import Message, _, n_, verbatim
from pytest_xinchuang.report.inspection import ORDER, SARIF_LEVELS, WORDS, sarif_rules, told
from pytest_xinchuang.report.junit import clean, strict_suite
from pytest_xinchuang.report.markdown import code
from pytest_xinchuang.report.sarif import place_of, sarif_document

_SHOWN = 12
"""So many findings of one cause are shown as text."""
_REASONS = 8
"""So many reasons for which units were not judged are shown as text."""


@dataclass(frozen=True)
class AdviceResult:
    """All that a report of advice is made of.

    Attributes:
        tree: the tree as the user named it.
        accepted: what of the findings somebody has accepted: it is shown, and nobody complains of it.
    """

    tree: str
    platforms: tuple[Platform, ...]
    advice: tuple[Advice, ...]
    catalogue: FindingCatalogue
    language: str = "en"
    accepted: Accepted = NOTHING_ACCEPTED

    @property
    def stopped(self) -> bool:
        """Something stops the tree on a platform or makes it wrong there, and nobody has accepted it."""
        return any(self.accepted.of(f) is None for a in self.advice for f in a.certain)

    @property
    def open(self) -> bool:
        """Something was not judged, or only a run decides, and nobody has accepted it."""
        return any(
            not a.parts
            or not all(part.whole for part in a.parts)
            or any(self.accepted.of(f) is None for f in a.findings if f.certainty in _OPEN)
            for a in self.advice
        )

    def findings(self, advice: Advice) -> list[Finding]:
        """In the order in which they are told."""
        return sorted(advice.findings, key=lambda f: (ORDER.index(f.certainty), f.code, f.object))


_OPEN = (Certainty.GUARDED, Certainty.UNDECIDED)


def summary(advice: Advice, accepted: Accepted = NOTHING_ACCEPTED) -> Message:
    """How a tree stands on a platform, in one line."""
    if advice.standing is Standing.BUILDS:
        return _("builds as it is")
    causes, wrong = len(advice.stoppers), len(advice.certain) - len(advice.stoppers)
    if causes or wrong:
        time = _time(advice.minutes)
        line = n_("{n} cause stops it, {time}", "{n} causes stop it, {time}", causes, time=time)
        if not causes:
            line = n_(
                "nothing was seen that stops it, and {n} cause makes it wrong, {time}",
                "nothing was seen that stops it, and {n} causes make it wrong, {time}",
                wrong,
                time=time,
            )
        known = sum(accepted.of(f) is not None for f in advice.certain)
        return _("{line}; {n} of them accepted", line=line, n=known) if known else line
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
    lines += [_("  not judged: {n}: {why}", n=n, why=why) for why, n in part.why[:_REASONS]]
    rest = sum(n for _why, n in part.why[_REASONS:])
    if rest:
        lines.append(_("  not judged: {n}: for other reasons (the report in JSON has each)", n=rest))
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
        line(_("{platform}: {summary}", platform=named, summary=summary(advice, result.accepted)))
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
        for (certainty, name, mend), group in groups.items():
            title = getattr(result.catalogue.get(name).title, result.language)
            lines.append(f"  {WORDS[certainty].render(result.language)} {name} {title}")
            for finding in group[:_SHOWN]:
                line(result.catalogue.text(finding), 6)
                if why := result.accepted.of(finding):
                    line(why, 8)
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
                "summary": _both(summary(advice, result.accepted)),
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
        "guessed": part.guessed,
        "not_judged": [{"why": _both(why), "number": n} for why, n in part.why],
    }


def _finding(result: AdviceResult, finding: Finding) -> dict[str, Any]:
    level = result.catalogue.get(finding.code).level
    why = result.accepted.of(finding)
    return {
        "fingerprint": fingerprint(finding),
        "accepted": _both(why) if why else None,
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
            "partialFingerprints": {"xc/v1": fingerprint(f)},
            "properties": {"platform": f.platform, "certainty": f.certainty.value},
            **_suppressed(result, f),
        }
        for a in result.advice
        for f in result.findings(a)
    ]
    return sarif_document("xc advise", sarif_rules(result.catalogue, codes, result.language), results)


def _suppressed(result: AdviceResult, finding: Finding) -> dict[str, Any]:
    """SARIF 2.1.0, 3.27.23: who accepts a result outside of the source, and why."""
    why = result.accepted.of(finding)
    if why is None:
        return {}
    return {"suppressions": [{"kind": "external", "justification": why.render(result.language)}]}


def as_junit(result: AdviceResult) -> str:
    """JUnit: a suite for each platform, a case for each part and each finding.

    What was not judged, or what only a run decides, is an ``<error>``: a skipped case counts as harmless nearly everywhere.
    """
    root = ElementTree.Element("testsuites")
    for advice in result.advice:
        cases = [_part_case(part, advice, result) for part in advice.parts] or [_nothing_case(advice, result)]
        cases += [_finding_case(f, result) for f in result.findings(advice)]
        suite = TestSuite(f"advise.{advice.platform}", cases)
        root.append(strict_suite(suite.build_xml_doc(), "advise", len(root)))
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _part_case(part: Part, advice: Advice, result: AdviceResult) -> TestCase:
    first, *others = [clean(line.render(result.language)) for line in part_told(part)]
    case = TestCase(clean(part.name.render(result.language)), f"advise.{advice.platform}")
    if not part.whole:
        case.add_error_info(first, "\n".join(others) or first)
    return case


def _nothing_case(advice: Advice, result: AdviceResult) -> TestCase:
    case = TestCase("-", f"advise.{advice.platform}")
    text = clean(summary(advice).render(result.language))
    case.add_error_info(text, text)
    return case


def _finding_case(finding: Finding, result: AdviceResult) -> TestCase:
    case = TestCase(clean(f"{finding.code} {finding.object}"), f"advise.{finding.platform}")
    text = clean(result.catalogue.text(finding).render(result.language))
    more = clean(told(result.catalogue, finding).render(result.language))
    if why := result.accepted.of(finding):
        case.add_skipped_info(clean(why.render(result.language)), more)
    elif finding.certainty is Certainty.CERTAIN:
        case.add_failure_info(text, more)
    elif finding.certainty in _OPEN:
        case.add_error_info(text, more)
    return case


def as_markdown(result: AdviceResult) -> str:
    """A comment for merge requests: a table of platforms, then what stops each; bounded, and safe whatever sources say."""
    say = result.language
    heads = [_("platform"), _("standing"), _("judged")]
    rows = ["| " + " | ".join(head.render(say) for head in heads) + " |", "| --- | --- | --- |"]
    for advice in result.advice:
        judged, total = sum(p.judged for p in advice.parts), sum(p.total for p in advice.parts)
        text = summary(advice, result.accepted).render(say)
        rows.append(f"| {code(advice.platform)} | {text} | {judged}/{total} |")
    for advice in result.advice:
        new = [f for f in result.findings(advice) if f in advice.stoppers and result.accepted.of(f) is None]
        if not new:
            continue
        rows += ["", f"**{code(advice.platform)}**", ""]
        for finding in new[:_SHOWN]:
            text, mend = result.catalogue.text(finding).render(say), result.catalogue.mend(finding).render(say)
            rows.append(f"- {finding.code} {code(text)}: {code(mend)}")
        if len(new) > _SHOWN:
            rows.append(f"- +{len(new) - _SHOWN}")
    return "\n".join(rows) + "\n"
