"""Comparisons of APIs as text, JSON, SARIF, JUnit and a migration guide: pure functions of the comparison."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Any

from junit_xml import TestCase, TestSuite

from pytest_xinchuang import __version__
from pytest_xinchuang.messages import Message, _, joined, n_, render, verbatim
from pytest_xinchuang.packages.sdk_ast.compare import WEIGHTS, Comparison, Judged
from pytest_xinchuang.packages.sdk_ast.policy import Suppression
from pytest_xinchuang.packages.sdk_ast.rules import Rule
from pytest_xinchuang.packages.sdk_ast.snapshot import Problem, Snapshot
from pytest_xinchuang.packages.sdk_ast.words import GRADES, LEVELS, listed, word
from pytest_xinchuang.report.columns import padded
from pytest_xinchuang.report.junit import clean, strict_suite
from pytest_xinchuang.report.sarif import place_of, sarif_document

WORDS: Mapping[str, Message] = {
    "breaking": _("BREAKS"),
    "undecided": _("open"),
    "fragile": _("may"),
    "compatible": _("fine"),
}

TITLES: Mapping[str, Message] = {
    "breaking": _("Breaking changes"),
    "undecided": _("Not decided"),
    "fragile": _("May concern some"),
    "compatible": _("Compatible changes"),
}
"""What a guide calls the changes of a weight."""

_TOLD = 12
"""So many problems of a side are told; JSON has them all."""

SARIF_LEVELS = {"breaking": "error", "undecided": "warning", "fragile": "warning", "compatible": "note"}


def mend(rule: Rule, language: str) -> str:
    """How clients, or the SDK, get over a change."""
    return str(getattr(rule.mend, language))


def summary(comparison: Comparison, language: str) -> str:
    """The counts, and what the next version has to be."""
    counts = {weight: len(comparison.of(weight)) for weight in WEIGHTS}
    counted = _("{breaking} breaking, {undecided} undecided, {fragile} fragile, {compatible} compatible", **counts)
    parts = [counted if comparison.changes else _("no difference")]
    if comparison.across:
        return parts[0].render(language)
    if comparison.next_version and comparison.changes:
        parts.append(_("the next version is at least {version}", version=comparison.next_version))
    elif comparison.level:
        parts.append(_("a {level} release", level=word(LEVELS, comparison.level)))
    return joined(parts).render(language)


def _on(one: Judged, language: str) -> str:
    return _("on {targets} alone", targets=listed(one.change.targets)).render(language)


def _from(cause: str, language: str) -> str:
    """The common cause of a group, in words; what is gone stands there without its mark."""
    return render(cause, language).removeprefix("- ")


def _accepted(suppression: Suppression) -> Message:
    return _("accepted until {expires}: {reason}", expires=suppression.expires, reason=suppression.reason)


def _notes(comparison: Comparison, language: str) -> list[str]:
    lines = []
    for state in comparison.suppressions:
        values = {"rule": state.suppression.rule, "symbol": state.suppression.symbol}
        if state.expired:
            expires = state.suppression.expires
            lines.append(
                _("suppression {rule} {symbol} expired on {expires} and has no effect", expires=expires, **values)
            )
        elif not state.count:
            lines.append(_("suppression {rule} {symbol} matches nothing: remove it", **values))
    return [line.render(language) for line in lines]


def as_text(comparison: Comparison, language: str = "en", *, everything: bool = False) -> str:
    """For people: groups of changes with one cause stand together, and each mend is told once."""
    lines = [f"{comparison.old.label} -> {comparison.new.label} ({', '.join(comparison.targets)})"]
    shown = [j for j in comparison.changes if everything or j.weight != "compatible"]
    told: set[tuple[str, str]] = set()
    for cause, group in comparison.groups:
        part = [j for j in group if j in shown]
        if not part:
            continue
        indent = "  "
        if cause:
            heading = _("all from {cause} ({n})", cause=_from(cause, language), n=len(part))
            lines.append("  " + heading.render(language))
            indent = "    "
        for one in part:
            where = f" [{_on(one, language)}]" if one.change.targets else ""
            at = f"  {one.change.at}" if one.change.at else ""
            weight = padded(WORDS[one.weight].render(language), 6)
            lines.append(f"{indent}{weight} {one.rule.id} {one.sentence().render(language)}{where}{at}")
            lines += [f"{indent}       {line.render(language)}" for line in _shown(one)]
            if one.weight != "compatible" and (one.rule.id, cause) not in told:
                told.add((one.rule.id, cause))
                lines.append(f"{indent}       {_mended(mend(one.rule, language), language)}")
    hidden = len(comparison.changes) - len(shown)
    if hidden:
        lines.append(
            "  "
            + n_(
                "{n} compatible change is not shown (--all)", "{n} compatible changes are not shown (--all)", hidden
            ).render(language)
        )
    for one, suppression in comparison.accepted:
        what = verbatim(f"{one.rule.id} {one.change.symbol}")
        lines.append("  " + _("{what}: {accepted}", what=what, accepted=_accepted(suppression)).render(language))
    lines += [f"  {line}" for line in _notes(comparison, language)]
    if comparison.unjudged:
        lines.append("  " + _("not judged by clients: {why}", why=comparison.unjudged).render(language))
    for snapshot in {id(s): s for s in (comparison.old, comparison.new)}.values():
        lines += [f"  {line.render(language)}" for line in _problems(snapshot)]
    lines.append(summary(comparison, language))
    return "\n".join(lines) + "\n"


def _shown(one: Judged) -> list[Message]:
    """What clients say about a change."""
    if one.trial is not None:
        values = {"relation": one.trial.client.relation, "said": verbatim(one.trial.said)}
        return [_("shown by a client ({relation}): {said}", **values)]
    if one.unconfirmed:
        return [n_("{n} client was tried, and is not broken", "{n} clients were tried, and none is broken", one.asked)]
    return []


def _trial(one: Judged) -> dict[str, Any] | None:
    if one.trial is None:
        return None
    trial = one.trial
    return {
        "relation": trial.client.relation,
        "axes": list(trial.axes),
        "said": trial.said,
        "tool": trial.tool,
        "target": trial.target,
        "files": dict(trial.client.files),
    }


def _mended(text: str, language: str) -> str:
    return _("mend: {mend}", mend=text).render(language)


def _problems(snapshot: Snapshot) -> list[Message]:
    """What could not be read of one side; the first dozen is told, and how many more there are."""
    label, problems = snapshot.label, snapshot.problems
    lines = [_("{label}: {problem}", label=label, problem=problem.told) for problem in problems[:_TOLD]]
    if len(problems) > _TOLD:
        lines.append(
            n_(
                "{label}: ... {n} more could not be read as it should",
                "{label}: ... {n} more could not be read as they should",
                len(problems) - _TOLD,
                label=label,
            )
        )
    return lines


def as_json(comparison: Comparison) -> str:
    """For programs; ``schema`` is xc-api-diff/1."""
    data = {
        "schema": "xc-api-diff/1",
        "suite": {"version": __version__},
        **{
            side: {
                "label": s.label,
                "name": s.header.name,
                "version": s.header.version,
                "language": s.header.language,
                "grade": s.grade,
                "digest": s.digest,
                "problems": [_problem(p) for p in s.problems],
            }
            for side, s in (("old", comparison.old), ("new", comparison.new))
        },
        "across": comparison.across,
        "targets": list(comparison.targets),
        "summary": {weight: len(comparison.of(weight)) for weight in WEIGHTS},
        "level": comparison.level,
        "next_version": comparison.next_version,
        "clients": {
            "tried": len(comparison.trials),
            "counted": sum(trial.counts for trial in comparison.trials),
            "broken": sum(trial.breaks for trial in comparison.trials),
            "unjudged": {lang: comparison.unjudged.render(lang) for lang in ("zh", "en")},
        },
        "changes": [_change(one) for one in comparison.changes],
        "accepted": [
            {**_change(one), "reason": s.reason, "expires": s.expires.isoformat()} for one, s in comparison.accepted
        ],
        "suppressions": [
            {"rule": s.suppression.rule, "symbol": s.suppression.symbol, "count": s.count, "expired": s.expired}
            for s in comparison.suppressions
        ],
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "message": problem.message,
        "code": problem.code,
        "text": {lang: problem.told.render(lang) for lang in ("zh", "en")},
    }


def _change(one: Judged) -> dict[str, Any]:
    change = one.change
    return {
        "rule": change.rule,
        "weight": one.weight,
        "level": one.level,
        "axes": list(one.rule.axes),
        "symbol": change.symbol,
        "old": change.old,
        "new": change.new,
        "cause": change.cause,
        "targets": list(change.targets),
        "undecided": change.undecided,
        "at": change.at,
        "fingerprint": change.fingerprint,
        "clients": one.asked,
        "client": _trial(one),
        "text": {lang: one.sentence().render(lang) for lang in ("zh", "en")},
        "mend": {lang: mend(one.rule, lang) for lang in ("zh", "en")},
    }


def _sentence_with_mend(one: Judged) -> Message:
    return _("{found}. {mend}", found=one.sentence(), mend=one.rule.mend.message())


def as_sarif(comparison: Comparison, language: str = "en") -> str:
    """SARIF 2.1.0, for code scanning services; compatible changes are left out."""
    shown = [j for j in comparison.changes if j.weight != "compatible"]
    ids = sorted({j.rule.id for j in shown})
    by_id = {j.rule.id: j.rule for j in shown}
    rules = [
        {
            "id": rule_id,
            "shortDescription": {"text": getattr(by_id[rule_id].title, language)},
            "help": {"text": mend(by_id[rule_id], language)},
            "properties": {"axes": list(by_id[rule_id].axes)},
        }
        for rule_id in ids
    ]
    results = []
    for one in shown:
        results.append(
            {
                "ruleId": one.rule.id,
                "ruleIndex": ids.index(one.rule.id),
                "level": SARIF_LEVELS[one.weight],
                "message": {"text": _sentence_with_mend(one).render(language)},
                "locations": [
                    {
                        "physicalLocation": place_of(one.change.at, "go.mod"),
                        "logicalLocations": [{"fullyQualifiedName": one.change.symbol, "kind": "member"}],
                    }
                ],
                "partialFingerprints": {"xc/v1": one.change.fingerprint},
                "properties": {"weight": one.weight},
            }
        )
    return sarif_document("xc api", rules, results)


def as_junit(comparison: Comparison, language: str = "en") -> str:
    """A suite for each package, a case for each change: what breaks has failed, what is undecided is an error."""
    packages: dict[str, list[TestCase]] = {}
    for one in comparison.changes:
        if one.weight == "compatible":
            continue
        directory, _, last = one.change.symbol.rpartition("/")
        first, _, name = last.partition(".") if directory else ("", "", last)
        package = f"{directory}/{first}".strip("./") or "module"
        case = TestCase(clean(f"{one.rule.id} {name or one.change.symbol}"), package)
        text = clean(one.sentence().render(language))
        if one.weight == "breaking":
            case.add_failure_info(text, mend(one.rule, language))
        elif one.weight == "undecided":
            case.add_error_info(text, mend(one.rule, language))
        else:
            case.stdout = text
        packages.setdefault(package, []).append(case)
    if not packages:
        packages["api"] = [TestCase("compatible", "api")]
    root = ElementTree.Element("testsuites")
    for number, (package, cases) in enumerate(packages.items()):
        # Nothing is timed here, and the same comparison gives the same bytes: the time stands for none.
        suite = TestSuite(f"api.{package}", cases, hostname="localhost", timestamp="1970-01-01T00:00:00")
        root.append(strict_suite(suite.build_xml_doc(), package, number))
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def as_markdown(comparison: Comparison, language: str = "en") -> str:
    """A migration guide: what clients have to change, by cause; what may concern them; what is new."""
    grades = {"old": word(GRADES, comparison.old.grade), "new": word(GRADES, comparison.new.grade)}
    known = _("what was known: {old} (old), {new} (new)", **grades)
    lines = [
        "# "
        + _("Migration guide: {old} to {new}", old=comparison.old.label, new=comparison.new.label).render(language),
        "",
        summary(comparison, language),
        "",
        known.render(language),
        "",
    ]
    for weight in WEIGHTS:
        groups = [(cause, [j for j in group if j.weight == weight]) for cause, group in comparison.groups]
        groups = [(cause, group) for cause, group in groups if group]
        if not groups:
            continue
        count = sum(len(group) for _cause, group in groups)
        lines += ["## " + _("{what} ({n})", what=TITLES[weight], n=count).render(language), ""]
        told: set[str] = set()
        for cause, group in groups:
            if cause:
                heading = _("all from {cause}", cause="`" + _from(cause, language) + "`")
                lines += ["### " + heading.render(language), ""]
            for one in group:
                lines.append(f"- **{one.rule.id}** {_escaped(one.sentence().render(language))}")
                if one.change.targets:
                    lines.append(f"  - {_on(one, language)}")
            if weight in ("breaking", "undecided"):
                mends = dict.fromkeys(mend(one.rule, language) for one in group)
                lines += [f"  - {_mended(text, language)}" for text in mends if text not in told]
                told.update(mends)
            if cause:
                lines.append("")
        lines.append("")
    if comparison.accepted:
        lines += ["## " + _("Accepted").render(language), ""]
        for one, suppression in comparison.accepted:
            accepted = _accepted(suppression).render(language)
            lines.append(f"- {_escaped(one.sentence().render(language))} — {accepted}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _escaped(text: str) -> str:
    return "".join("\\" + c if c in "*_`<>[]" else c for c in text)
