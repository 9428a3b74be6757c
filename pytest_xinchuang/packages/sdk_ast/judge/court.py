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
from pytest_xinchuang.packages.sdk_ast.languages import LANGUAGES
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import Sources


class Judge(Protocol):
    """Writes clients of one language, and tries them."""

    def trials(self, comparison: Comparison, policy: ApiPolicy) -> Sequence[Trial]:
        """Every client of every symbol that differs, tried with both versions.

        Raises:
            HostFault: the tools are not there, or broke.
        """


def _go(sources: Sources) -> Judge:
    from pytest_xinchuang.packages.sdk_ast.golang.judge import GoJudge

    return GoJudge(sources)


def _c(sources: Sources) -> Judge:
    from pytest_xinchuang.packages.sdk_ast.c.judge import CJudge

    return CJudge(sources)


def _cpp(sources: Sources) -> Judge:
    from pytest_xinchuang.packages.sdk_ast.cpp.judge import CppJudge

    return CppJudge(sources)


def _java(sources: Sources) -> Judge:
    from pytest_xinchuang.packages.sdk_ast.java.judge import JavaJudge

    return JavaJudge(sources)


def _python(sources: Sources) -> Judge:
    from pytest_xinchuang.packages.sdk_ast.python.judge import PythonJudge

    return PythonJudge(sources)


def _typescript(sources: Sources) -> Judge:
    from pytest_xinchuang.packages.sdk_ast.typescript.judge import TypeScriptJudge

    return TypeScriptJudge(sources)


def _rust(sources: Sources) -> Judge:
    from pytest_xinchuang.packages.sdk_ast.rust.judge import RustJudge

    return RustJudge(sources)


def _protobuf(sources: Sources) -> Judge:
    from pytest_xinchuang.packages.sdk_ast.protobuf.judge import ProtobufJudge

    return ProtobufJudge(sources)


def _openapi(_sources: Sources) -> Judge:
    from pytest_xinchuang.packages.sdk_ast.openapi.judge import OpenApiJudge

    return OpenApiJudge()


def _sql(sources: Sources) -> Judge:
    from pytest_xinchuang.packages.sdk_ast.sql.judge import SqlJudge

    return SqlJudge(sources)


JUDGES: dict[str, Callable[[Sources], Judge]] = {
    "go": _go,
    "c": _c,
    "cpp": _cpp,
    "java": _java,
    "python": _python,
    "typescript": _typescript,
    "rust": _rust,
    "protobuf": _protobuf,
    "openapi": _openapi,
    "sql": _sql,
}
"""Language -> its judge."""


def hindrance(comparison: Comparison) -> Message | None:
    """Why no client can be tried; None: they can."""
    for side in (comparison.old, comparison.new):
        if side.place is None:
            return _("{side} is a snapshot, which no client can be built with", side=side.label)
    if comparison.across:
        return _("one version is compared with itself")
    return None


def judged(
    comparison: Comparison, sources: Sources, rules: Rules, policy: ApiPolicy, *, trusting: bool = True
) -> Comparison:
    """The comparison with what clients say; as it was, with the reason, where none can be tried.

    Args:
        trusting: as in `hear`.
    """
    if (why := hindrance(comparison)) is not None:
        return replace(comparison, unjudged=why)
    try:
        trials = JUDGES[comparison.old.header.language](sources).trials(comparison, policy)
    except HostFault as fault:
        return replace(comparison, unjudged=fault.what)
    return hear(comparison, trials, rules, policy, trusting=trusting)


def hear(
    comparison: Comparison, trials: Sequence[Trial], rules: Rules, policy: ApiPolicy, *, trusting: bool = True
) -> Comparison:
    """The comparison with what the clients say.

    A breaking change whose symbol clients used in all the ways that its rule names, and that none of them shows, is fragile.
    A client that fails, and whose symbol has no breaking change, is a change by itself.

    Args:
        trusting: the silence of clients counts that had the product's own code beside them. Whoever grades somebody else's
            product does not trust it.
    """
    evidence = [trial for trial in trials if trial.counts]
    heard = [_heard(one, evidence, comparison.targets, trusting=trusting) for one in comparison.changes]
    rule = rules.get(LANGUAGES[comparison.old.header.language].unexplained)
    known = _Known(heard, [one for one, _suppression in comparison.accepted])
    unexplained: dict[tuple[str, str], list[Trial]] = {}
    for trial in evidence:
        if trial.breaks and not known.explains(trial):
            unexplained.setdefault((trial.client.symbol, trial.client.relation), []).append(trial)
    for (symbol, relation), broken in unexplained.items():
        first = next((trial for trial in broken if trial.client.promised), broken[0])
        targets = {trial.target for trial in broken if trial.client.promised == first.client.promised}
        # Where one of them has no target, or one that nobody asked for, it is broken everywhere.
        everywhere = not targets <= set(comparison.targets) or targets == set(comparison.targets)
        seen_by = () if everywhere else tuple(t for t in comparison.targets if t in targets)
        change = Change(rule.id, symbol, relation, first.said, targets=seen_by)
        level = rule.level if first.client.promised else "minor"
        heard.append(Judged(change, rule, level, policy.harmless(rule), first, 1))
    heard.sort(key=lambda one: (WEIGHTS.index(one.weight), one.change.order))
    return replace(comparison, changes=heard, trials=tuple(trials))


class _Known:
    """What rules tell already, and for which targets."""

    def __init__(self, heard: Sequence[Judged], accepted: Sequence[Judged]) -> None:
        self._broken = [one.change for one in heard if one.weight in ("breaking", "undecided")]
        self._broken += [one.change for one in accepted]
        self._fragile = [one.change for one in heard if one.weight == "fragile"]

    def explains(self, trial: Trial) -> bool:
        """Whether a change of what the client is about says that it fails; what was never promised may be fragile alone."""
        changes = self._broken if trial.client.promised else [*self._broken, *self._fragile]
        return any(_for_target(trial, one.targets) and trial.client.about(one.symbol) for one in changes)


def _for_target(trial: Trial, targets: Sequence[str]) -> bool:
    return not trial.target or not targets or trial.target in targets


def _heard(one: Judged, evidence: Sequence[Trial], targets: Sequence[str], *, trusting: bool) -> Judged:
    mine = [t for t in evidence if t.client.about(one.change.symbol) and _for_target(t, one.change.targets)]
    mine.sort(key=lambda trial: trial.client.symbol != one.change.symbol)
    shown = next((trial for trial in mine if trial.breaks and trial.client.promised), None)
    silent = [trial for trial in mine if trusting or not trial.alongside]
    asked = len(silent) if one.rule.relations and _all_tried(silent, one, targets) else 0
    return replace(one, trial=shown or next((trial for trial in mine if trial.breaks), None), asked=asked)


def _all_tried(mine: Sequence[Trial], one: Judged, targets: Sequence[str]) -> bool:
    """Whether the symbol was used in all the ways that the rule names, for every target that the change is about."""
    return all(
        {t.client.relation for t in mine if t.target in ("", target) or t.target not in targets}.issuperset(
            one.rule.relations
        )
        for target in one.change.targets or targets
    )
