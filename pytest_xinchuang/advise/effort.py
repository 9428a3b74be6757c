"""How long mending may take: rough minutes for each kind of cause, by what such changes took in public ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_xinchuang.core.finding import Certainty, Finding

USUAL = 30
"""Minutes for a cause whose kind is not in the table."""

MINUTES: Mapping[str, int] = {
    "XC-ADV-020": 60,
    "XC-ADV-023": 60,
    "XC-ADV-025": 240,
    "XC-ADV-026": 60,
    "XC-ADV-027": 60,
    "XC-ADV-030": 10,
    "XC-ADV-031": 30,
}
"""Finding's code -> minutes."""


def minutes_of(findings: Iterable[Finding]) -> int:
    """Minutes for all certain findings together."""
    return sum(MINUTES.get(f.code, USUAL) for f in findings if f.certainty is Certainty.CERTAIN)
