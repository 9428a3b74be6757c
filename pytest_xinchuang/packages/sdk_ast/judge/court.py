"""What clients say about each change: confirmed, confirmed by none, or broken without a rule that explains it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.packages.sdk_ast.change import Change
from pytest_xinchuang.packages.sdk_ast.compare import WEIGHTS, Comparison, Judged
from pytest_xinchuang.packages.sdk_ast.judge.client import Trial
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import Sources
from pytest_xinchuang.packages.sdk_ast.words import LANGUAGES, word


class Judge(Protocol):
    """Writes clients of one language, and tries them."""

    def trials(self, comparison: Comparison, policy: ApiPolicy) -> Sequence[Trial]:
        """Every client of every symbol that differs, tried with both versions.

        Raises:
            HostFault: the tools are not there, or broke.
        """


def _python(sources: Sources) -> Judge:
    from pytest_xinchuang.packages.sdk_ast.judge.python.judge import PythonJudge

    return PythonJudge(sources)


JUDGES: dict[str, Callable[[Sources], Judge]] = {"python": _python}
"""Language -> its judge."""

UNEXPLAINED = {"go": "GO-UNEXPLAINED", "c": "C-UNEXPLAINED", "java": "JAVA-UNEXPLAINED", "python": "PY-UNEXPLAINED"}
"""Language -> the rule of what a client shows and no other rule tells."""


def hindrance(comparison: Comparison) -> Message | None:
    """Why no client can be tried; None: they can."""
    language = comparison.old.header.language
    if language not in JUDGES:
        return _("there are no clients in {language} yet", language=word(LANGUAGES, language))
    for side in (comparison.old, comparison.new):
        if side.place is None:
            return _("{side} is a snapshot, which no client can be built with", side=side.label)
    if comparison.across:
        return _("one version is compared with itself")
    return None


def judged(comparison: Comparison, sources: Sources, rules: Rules, policy: ApiPolicy) -> Comparison:
    """The comparison with what clients say; as it was, with the reason, where none can be tried."""
    if (why := hindrance(comparison)) is not None:
        return replace(comparison, unjudged=why)
    try:
        trials = JUDGES[comparison.old.header.language](sources).trials(comparison, policy)
    except HostFault as fault:
        return replace(comparison, unjudged=fault.what)
    return hear(comparison, trials, rules, policy)


def hear(comparison: Comparison, trials: Sequence[Trial], rules: Rules, policy: ApiPolicy) -> Comparison:
    """The comparison with what the clients say.

    A breaking change whose symbol clients used in all the ways that its rule names, and that none of them shows, is fragile.
    A client that fails, and whose symbol has no breaking change, is a change by itself.
    """
    evidence = [trial for trial in trials if trial.counts]
    heard = [_heard(one, evidence) for one in comparison.changes]
    explained = {one.change.symbol for one in heard if one.weight in ("breaking", "undecided")}
    accepted = {one.change.symbol for one, _suppression in comparison.accepted}
    rule = rules.get(UNEXPLAINED[comparison.old.header.language])
    told: set[tuple[str, str]] = set()
    for trial in evidence:
        client = trial.client
        if not trial.breaks or {client.symbol, *client.also} & (explained | accepted):
            continue
        if (client.symbol, client.relation) in told:
            continue
        told.add((client.symbol, client.relation))
        change = Change(rule.id, client.symbol, client.relation, trial.said)
        level = rule.level if client.promised else "minor"
        heard.append(Judged(change, rule, level, policy.harmless(rule), trial, 1))
    heard.sort(key=lambda one: (WEIGHTS.index(one.weight), one.change.order))
    return replace(comparison, changes=heard, trials=tuple(trials))


def _heard(one: Judged, evidence: Sequence[Trial]) -> Judged:
    mine = [trial for trial in evidence if trial.client.about(one.change.symbol)]
    shown = next((trial for trial in mine if trial.breaks and trial.client.promised), None)
    tried = {trial.client.relation for trial in mine}
    asked = len(mine) if one.rule.relations and tried.issuperset(one.rule.relations) else 0
    return replace(one, trial=shown or next((trial for trial in mine if trial.breaks), None), asked=asked)
