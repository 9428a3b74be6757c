"""The catalogue of findings: what it says is what reports said before."""

from __future__ import annotations

import hashlib
import json

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.finding import FindingCatalogue


def test_the_shipped_findings_say_what_they_did() -> None:
    """Who adds or changes a finding changes this line with it: a move between files must not."""
    rules = FindingCatalogue(*resources.finding_files()).rules
    text = json.dumps({c: r.model_dump(mode="json") for c, r in rules.items()}, sort_keys=True, ensure_ascii=False)
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "5dcdfbb57e76daae60a2b9bebc3fb51ef21e92bde9bfb51777dfb2de905c0160"
    )


def test_runs_are_read_by_the_first_rule_that_fits() -> None:
    """The order of rules with ``says`` decides which one names a run's end."""
    rules = FindingCatalogue(*resources.finding_files()).rules
    assert [code for code, rule in rules.items() if rule.says is not None] == [
        "XC-RUN-001",
        "XC-RUN-002",
        "XC-RUN-003",
        "XC-RUN-005",
        "XC-RUN-010",
        "XC-RUN-011",
        "XC-RUN-012",
        "XC-RUN-013",
        "XC-RUN-014",
    ]
