"""The result of one requirement on one platform, and the waiver that may lie over it."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_xinchuang.core.verdict import Cause, Level, Verdict
from pytest_xinchuang.messages import NOTHING, Message


@dataclass(frozen=True)
class WaiverUse:
    """A waiver that has effect."""

    owner: str
    reason: str
    clause: str
    expires: str


@dataclass
class RequirementResult:
    """One requirement on one platform.

    Attributes:
        verdict: the result itself; a waiver never changes it.
        waived: a waiver that has effect lies over it.
        advised: the mend is that of the check which decided, and not the requirement's, which is for what has failed.
        flaky: an attempt that was not a pass came before the pass.
    """

    id: str
    package: str
    platform: str
    level: Level
    mandatory: bool
    title: dict[str, str]
    verdict: Verdict
    cause: Cause
    reason: Message = NOTHING
    mend: Message = NOTHING
    advised: bool = False
    flaky: bool = False
    waived: WaiverUse | None = None
    checks: tuple[str, ...] = ()
    evidence: tuple[int, ...] = ()
    attempts: int = 0

    @property
    def effective(self) -> Verdict:
        return Verdict.WAIVED if self.waived is not None else self.verdict

    @property
    def clears(self) -> bool:
        """Whether it does not stand in the way of its level."""
        return self.effective in (Verdict.PASS, Verdict.WAIVED, Verdict.NOT_APPLICABLE)
