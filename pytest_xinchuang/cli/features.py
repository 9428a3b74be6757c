"""A line of ``xc doctor``."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_xinchuang.messages import NOTHING, Message, _, render


@dataclass(frozen=True)
class HostFeature:
    """One feature of the host. ``state`` is ok, missing or unknown."""

    feature: Message
    state: str
    detail: Message
    matters: Message
    mend: Message = NOTHING
    needed: bool = True
    """Whether grading with the default backend comes to nothing, or to less, without it."""

    @property
    def ok(self) -> bool:
        return self.state == "ok"

    @property
    def word(self) -> Message:
        """The state, as users read it."""
        return {"ok": _("ok"), "missing": _("missing")}.get(self.state) or _("unknown")

    def as_dict(self, language: str) -> dict[str, str]:
        """As JSON; ``feature`` is English in every language, so that a program finds it."""
        texts = {name: render(getattr(self, name), language) for name in ("detail", "matters", "mend")}
        return {"feature": str(self.feature), "state": self.state, **texts}
