"""Recognises the cause of a failed run by its output."""

from __future__ import annotations

import re

from pytest_xinchuang.core.finding import Certainty, Finding, FindingCatalogue
from pytest_xinchuang.sandbox.protocol import Outcome


def what_it_said(catalogue: FindingCatalogue, outcome: Outcome, platform: str) -> Finding | None:
    """The known failure whose text stands in a run's output, or None."""
    text = (outcome.stderr + b"\n" + outcome.stdout).decode(errors="replace")
    for rule in catalogue.rules.values():
        if rule.says is None:
            continue
        found = re.search(rule.says, text)
        if found:
            start = text.rfind("\n", 0, found.start()) + 1
            line = text[start:].split("\n", 1)[0].strip()
            return Finding(rule.code, Certainty.CERTAIN, " ".join(outcome.argv[:1]), platform, {"line": line[:200]})
    return None
