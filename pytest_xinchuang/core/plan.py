"""The plan of a run, as grading reads it: which checks had to decide, and which of them did not.

What was planned is written before anything is deselected, so that a check that never ran is missed, whatever kept it from
running.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pytest_xinchuang.core.events import Planned
from pytest_xinchuang.messages import Message, _


def plan_of(planned: Sequence[Planned], platform: str) -> dict[str, list[Planned]]:
    """The plan of one platform: requirement -> its checks."""
    found: dict[str, list[Planned]] = {}
    for check in planned:
        if check.platform in ("", platform):
            for requirement in check.requirements:
                found.setdefault(requirement, []).append(check)
    return found


def missed(planned: Sequence[Planned], decided: Collection[str]) -> list[Planned]:
    """The checks of one requirement on one platform that had to decide, and did not.

    A check that is for other platforms alone is missed where one of this platform is for every platform: the former asks for
    more than the latter, and nothing stands in its place. Where all name their platforms, each stands in for the others.
    """
    here = [check for check in planned if check.state != "other_platforms"]
    for_all = any(not check.alternative for check in here)
    return [
        check
        for check in planned
        if check.check not in decided and (check.state != "other_platforms" or for_all or not here)
    ]


def why_missed(check: Planned) -> Message:
    """Why a planned check decided nothing, as a reason of the verdict."""
    match check.state:
        case "selected":
            return _(
                "{check} was planned and decided nothing: something ended the run, or the check",
                check=check.check,
            )
        case "deselected":
            return _("{check} was planned and deselected: {why}", check=check.check, why=check.said("reason"))
        case "not_collected":
            return _("{check} was not collected: {why}", check=check.check, why=check.said("reason"))
        case "other_platforms":
            return _(
                "{check} is for other platforms alone ({why}), and no check stands in its place here",
                check=check.check,
                why=check.said("reason"),
            )
