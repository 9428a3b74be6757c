"""Inspections as text, JSON and SARIF: pure functions of the findings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang import __version__
from pytest_xinchuang.core.finding import Certainty, Finding, FindingCatalogue
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.core.requirement import Requirement
from pytest_xinchuang.inspect.delivered import Inspection
from pytest_xinchuang.inspect.inspector import describe
from pytest_xinchuang.inspect.kinds import kind_word
from pytest_xinchuang.messages import Message, _, joined, n_, verbatim
from pytest_xinchuang.report.sarif import sarif_document

ORDER = (Certainty.CERTAIN, Certainty.UNDECIDED, Certainty.GUARDED, Certainty.NOTE)

SARIF_LEVELS = {
    Certainty.CERTAIN: "error",
    Certainty.UNDECIDED: "warning",
    Certainty.GUARDED: "warning",
    Certainty.NOTE: "note",
}


@dataclass(frozen=True)
class InspectionResult:
    """All that a report of inspections is made of."""

    platforms: tuple[Platform, ...]
    inspections: Mapping[str, Inspection]
    findings: tuple[Finding, ...]
    catalogue: FindingCatalogue
    language: str = "en"

    def of(self, platform: str) -> list[Finding]:
        found = [f for f in self.findings if f.platform == platform]
        return sorted(found, key=lambda f: (ORDER.index(f.certainty), f.object, f.code))

    @property
    def fails(self) -> bool:
        return any(self.catalogue.fails(f) for f in self.findings)

    @property
    def incomplete(self) -> bool:
        """Something was not read, or a fact is missing, so that clean cannot be said."""
        return any(f.certainty is Certainty.UNDECIDED for f in self.findings)


WORDS: Mapping[str, Message] = {
    "certain": _("FAIL"),
    "undecided": _("open"),
    "guarded?": _("may"),
    "note": _("note"),
}


def as_text(result: InspectionResult, *, notes: bool = False) -> str:
    """For people: a block for each platform; the same mend is told once."""
    lines = []
    for name, inspection in result.inspections.items():
        objects = n_("{n} object", "{n} objects", len(inspection.records))
        looked = _(
            "{name}: {kind}, {objects}",
            name=name,
            kind=kind_word(inspection.root.kind),
            objects=objects,
        )
        lines.append(looked.render(result.language))
    for platform in result.platforms:
        found = result.of(platform.id)
        cpu, system = platform.cpu.title.message(), platform.system.title.message()
        lines += [
            "",
            _("{platform} ({cpu}, {system})", platform=platform.id, cpu=cpu, system=system).render(result.language),
        ]
        shown = [f for f in found if notes or f.certainty is not Certainty.NOTE]
        for (certainty, code, mend), group in _grouped(shown, result).items():
            rule = result.catalogue.get(code)
            lines.append(f"  {WORDS[certainty].render(result.language)} {code} {getattr(rule.title, result.language)}")
            lines += [f"      {result.catalogue.text(f).render(result.language)}" for f in group[:12]]
            if len(group) > 12:
                lines.append(f"      ... +{len(group) - 12}")
            lines.append("      " + _("mend: {mend}", mend=mend).render(result.language))
        hidden = len(found) - len(shown)
        if not found:
            lines.append("  " + _("nothing found").render(result.language))
        else:
            count = {c: sum(f.certainty is c for f in found) for c in Certainty}
            lines.append(
                "  "
                + _(
                    "{certain} certain, {undecided} undecided, {guarded} guarded?, {notes} notes",
                    certain=count[Certainty.CERTAIN],
                    undecided=count[Certainty.UNDECIDED],
                    guarded=count[Certainty.GUARDED],
                    notes=count[Certainty.NOTE],
                ).render(result.language)
            )
        if hidden:
            lines.append(
                "  "
                + n_("{n} note is not shown (--notes)", "{n} notes are not shown (--notes)", hidden).render(
                    result.language
                )
            )
    return "\n".join(lines) + "\n"


def _grouped(found: Sequence[Finding], result: InspectionResult) -> dict[tuple[str, str, str], list[Finding]]:
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in found:
        key = (finding.certainty.value, finding.code, result.catalogue.mend(finding).render(result.language))
        groups.setdefault(key, []).append(finding)
    return groups


def as_json(result: InspectionResult) -> str:
    """For programs; ``schema`` is xc-inspection/1."""
    data = {
        "schema": "xc-inspection/1",
        "suite": {"version": __version__},
        "platforms": [p.id for p in result.platforms],
        "artifacts": [
            {
                "path": name,
                "kind": inspection.root.kind,
                "objects": [{"object": r.place, "sha256": r.sha256, **describe(r.elf)} for r in inspection.records],
                "problems": [{"code": p.code, "object": p.place, "detail": p.detail} for p in inspection.problems],
            }
            for name, inspection in result.inspections.items()
        ],
        "findings": [_finding(result, f) for p in result.platforms for f in result.of(p.id)],
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _finding(result: InspectionResult, finding: Finding) -> dict[str, Any]:
    rule = result.catalogue.get(finding.code)
    return {
        "code": finding.code,
        "certainty": finding.certainty.value,
        "level": rule.level.value if rule.level else None,
        "platform": finding.platform,
        "object": finding.object,
        "text": {lang: result.catalogue.text(finding).render(lang) for lang in ("zh", "en")},
        "mend": {lang: result.catalogue.mend(finding).render(lang) for lang in ("zh", "en")},
        "evidence": dict(finding.evidence),
    }


def sarif_rules(catalogue: FindingCatalogue, codes: Iterable[str], language: str) -> list[dict[str, Any]]:
    """What SARIF says of the codes that were found."""
    return [
        {
            "id": code,
            "name": code.replace("-", ""),
            "shortDescription": {"text": getattr(catalogue.get(code).title, language)},
            "fullDescription": {"text": getattr(catalogue.get(code).cause, language)},
            "help": {"text": catalogue.get(code).clause},
        }
        for code in codes
    ]


def as_sarif(result: InspectionResult) -> str:
    """SARIF 2.1.0, for code scanning services. The place inside of an archive is a logical location."""
    codes = sorted({f.code for f in result.findings})
    rules = sarif_rules(result.catalogue, codes, result.language)
    results = [
        {
            "ruleId": f.code,
            "ruleIndex": codes.index(f.code),
            "level": SARIF_LEVELS[f.certainty],
            "message": {"text": told(result.catalogue, f).render(result.language)},
            "locations": [
                {
                    "physicalLocation": {"artifactLocation": {"uri": _uri(f.object.partition("!")[0])}},
                    "logicalLocations": [{"fullyQualifiedName": f.object, "kind": "object"}],
                }
            ],
            "partialFingerprints": {"xc/v1": f"{f.code}:{f.platform}:{f.object.partition('!')[2] or f.object}"},
            "properties": {"platform": f.platform, "certainty": f.certainty.value},
        }
        for p in result.platforms
        for f in result.of(p.id)
    ]
    return sarif_document("xc inspect", rules, results)


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path.encode("utf-8", "backslashreplace"))


def explain(catalogue: FindingCatalogue, codes: Iterable[str], language: str, rows: Mapping[str, Sequence[str]]) -> str:
    """What codes mean: cause, what is shown as evidence, mend, and what they trace to."""
    parts = []
    for code in codes:
        rule = catalogue.get(code)
        level = rule.level.value if rule.level else "-"
        lines = [
            _("cause: {text}", text=rule.cause.message()),
            _("evidence: {text}", text=rule.found.message()),
            _("mend: {mend}", mend=rule.mend.message()),
            _("traces to: {text}", text=rule.clause),
            _("stands in the way of: {level}", level=level),
        ]
        if rows.get(rule.code):
            lines.append(_("known failures: {text}", text="; ".join(rows[rule.code])))
        title = f"{rule.code}  {rule.title.message().render(language)}"
        parts.append("\n".join([title, *(f"  {line.render(language)}" for line in lines)]))
    return "\n\n".join(parts) + "\n"


def explain_requirement(requirement: Requirement, language: str) -> str:
    """What a requirement demands, on which evidence it is decided, and what it needs."""
    lines = [
        _("package: {package}", package=verbatim(requirement.package)),
        _("traces to: {text}", text=verbatim(requirement.clause)),
        _("decided on evidence of at least: {fidelity}", fidelity=requirement.min_fidelity.word),
        _("mend: {mend}", mend=requirement.mend.message()),
    ]
    if requirement.needs:
        lines.append(_("needs: {requirements}", requirements=joined(map(verbatim, requirement.needs), _(", "))))
    if not requirement.mandatory:
        lines.append(_("it stands in the way of no level"))
    title = f"{requirement.id}  {requirement.level.value}  {requirement.title.message().render(language)}"
    return "\n".join([title, *(f"  {line.render(language)}" for line in lines)]) + "\n"


def told(catalogue: FindingCatalogue, finding: Finding) -> Message:
    """A finding with its mend, as code scanning services show it."""
    return _("{found}. {mend}", found=catalogue.text(finding), mend=catalogue.mend(finding))
