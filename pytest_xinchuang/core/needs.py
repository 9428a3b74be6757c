"""What a requirement needs: others that must not have failed before it can be looked at.

The rule is kept by grading (``core/grade.py``), from the list that stands at the journal's start, for every package and for
vendors' own requirements. :class:`InOrder` asks in that order, which saves what a subject that is broken early would cost;
no grade relies on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pytest_xinchuang.core import interruption
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Cause, Decision, Verdict
from pytest_xinchuang.messages import Message, _, joined, verbatim


def all_needs(requirement_id: str, needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Everything that a requirement needs, also through others, what comes first first; never itself.

    Args:
        needs: requirement -> what it needs directly. What is not in it is nobody's requirement here, and is left out.
    """
    found: dict[str, None] = {}
    seen = {requirement_id}
    # By a list of what is still to be done: a journal may come from anywhere, with chains of any length, or circles.
    waiting = [(name, False) for name in reversed(needs.get(requirement_id, ()))]
    while waiting:
        name, done = waiting.pop()
        if done:
            found[name] = None
        elif name in needs and name not in seen:
            seen.add(name)
            waiting.append((name, True))
            waiting += [(before, False) for before in reversed(needs[name])]
    return tuple(found)


def blocked_reason(failed: Sequence[str], reason: str) -> Message:
    """Why a requirement was not tested: the needs that failed, and what was wrong with the first."""
    names = joined([verbatim(name) for name in failed], _(", "))
    return _("it needs {needs}, which failed: {reason}", needs=names, reason=verbatim(reason))


class InOrder:
    """Asks an engine for decisions, and about no requirement before those that it needs.

    Needs of another package are another engine's to decide: they are left to grading.
    """

    def __init__(self, catalogue: Catalogue, decide: Callable[[str], Decision]) -> None:
        self._catalogue = catalogue
        self._decide = decide
        self._decided: dict[str, Decision] = {}
        self._broken: Decision | None = None

    def decision(self, requirement_id: str) -> Decision:
        """The decision about one requirement; not tested, and blocked, when one that it needs has failed."""
        for need in self._needs(requirement_id):
            if need not in self._decided:
                self.decision(need)
        failed = [n for n in self._needs(requirement_id) if self._decided[n].verdict is Verdict.FAIL]
        if failed:
            first = self._decided[failed[0]]
            decision = Decision(Verdict.NOT_TESTED, Cause.BLOCKED, blocked_reason(failed, first.reason), first.mend)
        else:
            decision = self._broken or self._asked(requirement_id)
        self._decided[requirement_id] = decision
        return decision

    def _asked(self, requirement_id: str) -> Decision:
        """What the engine says. One that broke by an error of its own is asked no more: it would break at each check."""
        try:
            return self._decide(requirement_id)
        except XcError:
            raise
        except Exception as error:
            if interruption.seen():
                raise KeyboardInterrupt from error
            from pytest_xinchuang.core.mishap import mend_of, what_broke, write_report

            mend = mend_of(write_report(error, ["check", requirement_id]))
            self._broken = Decision(
                Verdict.INCONCLUSIVE,
                Cause.HOST,
                _("it was not looked at: {what}, at {requirement}", what=what_broke(error), requirement=requirement_id),
                mend,
            )
            return Decision(Verdict.INCONCLUSIVE, Cause.HOST, what_broke(error), mend)

    def _needs(self, requirement_id: str) -> tuple[str, ...]:
        asked = self._catalogue.get(requirement_id)
        if asked is None:
            return ()
        mine = {r.id: r.needs for r in self._catalogue.of(frozenset({asked.package}))}
        return all_needs(requirement_id, mine)
