"""Whether a grade was made in a sealed process, and what could have bent it where it was not."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_xinchuang.core.events import Surrounded
from pytest_xinchuang.core.journal import JOURNAL, Journal
from pytest_xinchuang.core.surroundings import AssessorSeen, Installed
from pytest_xinchuang.core.trust import caution
from pytest_xinchuang.messages import Message, _, joined, verbatim

SUITE = "pytest-xinchuang"
"""The distribution whose files are looked at first."""

_SHOWN = 4


def is_sealed(journal: Journal) -> bool:
    """Whether the checks ran in a sealed process."""
    seen = journal.surroundings
    return seen is not None and seen.sealed and not foreign(journal)


def foreign(journal: Journal) -> tuple[Message, ...]:
    """What could have bent the result, in the order of the journal."""
    seen = journal.surroundings
    if seen is None:
        return (_("the journal does not say what ran beside the checks"),)
    sandboxes = [sandbox for opened in journal.sandboxes.values() for sandbox in opened]
    cautions = dict.fromkeys(said for sandbox in sandboxes if (said := caution(sandbox)) is not None)
    return (*cautions, *seen.said_all("foreign"))


def standing(journal: Journal) -> Message:
    """In a sentence: sealed, and whose files; or not sealed, and why."""
    seen = journal.surroundings
    if seen is not None and is_sealed(journal):
        return _sealed(seen)
    things = foreign(journal)
    if not things:
        bare = _(
            "not sealed: pytest itself ran the checks, and nothing foreign was seen beside them; `xc grade` seals a run"
        )
        if seen is None or seen.assessor is None:
            return _and(bare, seen)
        return _("not sealed, and nothing foreign was seen here; {assessor}", assessor=assessor(seen.assessor))
    shown = joined(things[:_SHOWN])
    if len(things) > _SHOWN:
        shown = _("{things} and {n} more", things=shown, n=len(things) - _SHOWN)
    if seen is not None and seen.assessor is not None:
        return _("not sealed: {things}; {assessor}", things=shown, assessor=assessor(seen.assessor))
    return _and(_("not sealed: {things}; `xc grade` seals a run", things=shown), seen)


def assessor(seen: AssessorSeen) -> Message:
    """Which process decided the checks of the suite, and where its own report is."""
    if not seen.finished:
        journal = verbatim(f"{seen.reports}/{JOURNAL}")
        return _("the sealed process that decides the checks of the suite did not finish: {journal}", journal=journal)
    report = verbatim(f"{seen.reports}/report.json")
    if not seen.sealed:
        return _(
            "a process of its own, which is not sealed either, decided the checks of the suite: {report}", report=report
        )
    return _("a sealed process decided the checks of the suite: {report}", report=report)


def _and(text: Message, seen: Surrounded | None) -> Message:
    """A sentence with why the checks of the suite were decided in this process, where that needs a reason."""
    if seen is None or not seen.in_process:
        return text
    return joined([text, _("the checks of the suite were decided in this process: {why}", why=seen.said("in_process"))])


def _sealed(seen: Surrounded) -> Message:
    words = [_whose(seen.distributions)]
    if seen.packages:
        names = joined([verbatim(f"{p.name} {p.version} ({p.digest[:12]})") for p in seen.packages], _(", "))
        words.append(_("with packages of others: {names}", names=names))
    return _("sealed: {how}", how=joined(words))


def _whose(distributions: Iterable[Installed]) -> Message:
    suite = next((d for d in distributions if d.name == SUITE), None)
    if suite is None or not suite.record:
        digest = suite.digest[:12] if suite else "?"
        return _("the suite's files are those of a checkout, which no record vouches for ({digest})", digest=digest)
    return _("the suite's files are as they were released ({digest})", digest=suite.digest[:12])
