"""Supply chains as text, JSON and SARIF: pure functions of the findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang import __version__
from pytest_xinchuang.core.finding import Certainty, Finding, FindingCatalogue
from pytest_xinchuang.messages import Message, _, joined, n_
from pytest_xinchuang.report.inspection import ORDER, SARIF_LEVELS, WORDS, sarif_rules, told
from pytest_xinchuang.report.sarif import place_of, sarif_document

LOOKED_AT: Mapping[str, Callable[[int], Message]] = {
    "modules": lambda n: n_("{n} module", "{n} modules", n),
    "go.sum lines compared": lambda n: n_("{n} go.sum line compared", "{n} go.sum lines compared", n),
    "vendored files compared": lambda n: n_("{n} vendored file compared", "{n} vendored files compared", n),
    "packages": lambda n: n_("{n} package", "{n} packages", n),
    "packages verified": lambda n: n_("{n} package verified", "{n} packages verified", n),
    "installed files compared": lambda n: n_("{n} installed file compared", "{n} installed files compared", n),
    "modules vouched for": lambda n: n_("{n} module vouched for", "{n} modules vouched for", n),
    "files verified": lambda n: n_("{n} file verified", "{n} files verified", n),
}
"""What was counted, for people; JSON has the keys.

Verified is what somebody outside of the caches vouches for; what agrees with what is here has been compared.
"""


@dataclass(frozen=True)
class SupplyResult:
    """All that a report is made of; ``counts`` says what was looked at."""

    subject: str
    findings: Sequence[Finding]
    catalogue: FindingCatalogue
    counts: Mapping[str, int]
    language: str = "en"

    @property
    def fails(self) -> bool:
        return any(self.catalogue.fails(f) for f in self.findings)

    @property
    def incomplete(self) -> bool:
        return any(f.certainty is Certainty.UNDECIDED for f in self.findings)

    @property
    def ordered(self) -> list[Finding]:
        return sorted(self.findings, key=lambda f: (ORDER.index(self.shown(f)), f.code, f.object))

    def shown(self, finding: Finding) -> Certainty:
        """A finding that stands in no way is a note, however certain it is."""
        if finding.certainty is Certainty.CERTAIN and not self.catalogue.fails(finding):
            return Certainty.NOTE
        return finding.certainty


def as_text(result: SupplyResult, *, notes: bool = False) -> str:
    """For people; the same mend is told once."""
    looked = joined([LOOKED_AT[name](n) for name, n in result.counts.items()], _(", "))
    lines = [_("{subject}: {looked}", subject=result.subject, looked=looked).render(result.language)]
    shown = [f for f in result.ordered if notes or result.shown(f) is not Certainty.NOTE]
    told = None
    for finding in shown:
        if finding.code != told:
            title = getattr(result.catalogue.get(finding.code).title, result.language)
            lines.append(f"  {WORDS[result.shown(finding).value].render(result.language)} {finding.code} {title}")
            lines.append("      " + _("mend: {mend}", mend=result.catalogue.mend(finding)).render(result.language))
            told = finding.code
        lines.append(f"      {result.catalogue.text(finding).render(result.language)}")
    hidden = len(result.findings) - len(shown)
    if not result.findings:
        lines.append("  " + _("nothing found").render(result.language))
    if hidden:
        lines.append(
            "  "
            + n_("{n} note is not shown (--notes)", "{n} notes are not shown (--notes)", hidden).render(result.language)
        )
    return "\n".join(lines) + "\n"


def as_json(result: SupplyResult) -> str:
    """For programs; ``schema`` is xc-supply-chain/1."""
    data = {
        "schema": "xc-supply-chain/1",
        "suite": {"version": __version__},
        "subject": result.subject,
        "looked_at": dict(result.counts),
        "findings": [_finding(result, f) for f in result.ordered],
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _finding(result: SupplyResult, finding: Finding) -> dict[str, Any]:
    rule = result.catalogue.get(finding.code)
    return {
        "code": finding.code,
        "certainty": result.shown(finding).value,
        "level": rule.level.value if rule.level else None,
        "object": finding.object,
        "params": dict(finding.params),
        "text": {lang: result.catalogue.text(finding).render(lang) for lang in ("zh", "en")},
        "mend": {lang: result.catalogue.mend(finding).render(lang) for lang in ("zh", "en")},
    }


def as_sarif(result: SupplyResult) -> str:
    """SARIF 2.1.0."""
    codes = sorted({f.code for f in result.findings})
    rules = sarif_rules(result.catalogue, codes, result.language)
    results = [
        {
            "ruleId": f.code,
            "ruleIndex": codes.index(f.code),
            "level": SARIF_LEVELS[result.shown(f)],
            "message": {"text": told(result.catalogue, f).render(result.language)},
            "locations": [{"physicalLocation": place_of(f.object)}],
            "partialFingerprints": {"xc/v1": f"{f.code}:{f.object}:{f.params.get('module', '')}"},
        }
        for f in result.ordered
    ]
    return sarif_document("xc supply-chain", rules, results)
