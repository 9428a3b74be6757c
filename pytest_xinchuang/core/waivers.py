"""Waivers as an overlay: they lie over a result and never change it."""

from __future__ import annotations

import datetime
from typing import Any

from pytest_xinchuang.core.result import RequirementResult, WaiverUse
from pytest_xinchuang.core.verdict import Verdict


def apply_waivers(started: dict[str, Any], results: list[RequirementResult]) -> list[str]:
    """Lay each waiver of the run over the result that it is for; returns notes on those without effect.

    A waiver can lie over ``fail`` and ``inconclusive``: what was never tested cannot be waived.
    """
    notes = []
    today = datetime.date.fromisoformat(started["t"][:10])
    subject = started["subject"]
    for waiver in started.get("waivers", []):
        name = f"waiver of {waiver['requirement']} by {waiver['owner']}"
        if datetime.date.fromisoformat(waiver["expires"]) < today:
            notes.append(f"{name} has no effect: it expired on {waiver['expires']}")
            continue
        if (waiver["subject"], waiver["version"]) != (subject["name"], subject["version"]):
            notes.append(f"{name} has no effect: it is for {waiver['subject']} {waiver['version']}")
            continue
        matching = [r for r in results if r.id == waiver["requirement"] and r.platform == waiver["platform"]]
        if not matching:
            notes.append(f"{name} has no effect: no such requirement on {waiver['platform']} in this run")
            continue
        for result in matching:
            if result.verdict not in (Verdict.FAIL, Verdict.INCONCLUSIVE):
                notes.append(f"{name} has no effect: the verdict on {result.platform} is {result.verdict}")
                continue
            result.waived = WaiverUse(waiver["owner"], waiver["reason"], waiver["clause"], waiver["expires"])
    return notes
