"""What differs between two APIs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Change:
    """One difference, under one rule.

    Attributes:
        rule: the rule's id.
        symbol: the module-relative package, a dot, the name; ``.Member`` behind it where a member changed.
        old, new: both sides as text, or empty. Words among them are messages.
        cause: what several changes follow from; reports show such changes together.
        targets: the targets that see the change; empty: all.
        undecided: the fact that is missing; without it nobody knows whether there is a change.
        at: place in the new source, else in the old one.
    """

    rule: str
    symbol: str
    old: str = ""
    new: str = ""
    cause: str = ""
    targets: tuple[str, ...] = ()
    undecided: str = ""
    at: str = ""
    params: dict[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Stable over places and releases of this suite: 16 hexadecimal digits over rule, symbol and both sides."""
        text = "\n".join((self.rule, self.symbol, self.old, self.new))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def order(self) -> tuple[str, str, str, str]:
        return (self.symbol, self.rule, self.old, self.new)

    def seen_by(self, targets: tuple[str, ...]) -> Change:
        return replace(self, targets=targets)
