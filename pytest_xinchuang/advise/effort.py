"""How long mending may take: rough minutes for each kind of cause, by what such changes took in public ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_xinchuang.core.finding import Certainty, Finding

USUAL = 30
"""Minutes for a cause whose kind is not in the table."""

MINUTES: Mapping[str, int] = {
    "XC-ADV-002": 120,  # SIMDe takes an hour or two; an arm of its own takes longer
    "XC-ADV-003": 30,
    "XC-ADV-004": 20,
    "XC-ADV-005": 20,
    "XC-ADV-007": 45,
    "XC-ADV-008": 60,
    "XC-ADV-012": 240,
    "XC-ADV-020": 60,
    "XC-ADV-023": 60,
    "XC-ADV-025": 240,
    "XC-ADV-026": 60,
    "XC-ADV-027": 60,
    "XC-ADV-030": 10,
    "XC-ADV-031": 30,
    "XC-ADV-040": 60,
    "XC-ADV-041": 15,
    "XC-ADV-042": 10,  # a later config.sub and config.guess, or autoreconf
    "XC-ADV-043": 60,
    "XC-ADV-045": 20,
    "XC-ADV-046": 30,
    "XC-ADV-060": 45,  # a file with a twin in plain Go
    "XC-ADV-061": 60,
    "XC-ADV-062": 20,  # a later version, where there is one
    "XC-ADV-063": 60,  # assembler written again in Go
    "XC-ADV-064": 45,
    "XC-ADV-070": 45,
    "XC-ADV-071": 20,
    "XC-ADV-073": 5,
}
"""Finding's code -> minutes."""


def minutes_of(findings: Iterable[Finding]) -> int:
    """Minutes for all certain findings together."""
    return sum(MINUTES.get(f.code, USUAL) for f in findings if f.certainty is Certainty.CERTAIN)
