"""`xc api`: snapshots of APIs, and what differs between two."""

from __future__ import annotations

import gzip
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_xinchuang.commands.common import (
    Commands,
    Context,
    Exit,
    add_format,
    add_offline,
    add_output,
    completed_by,
)
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, joined, n_, verbatim
from pytest_xinchuang.packages.sdk_ast.languages import LANGUAGES

if TYPE_CHECKING:
    from pytest_xinchuang.packages.sdk_ast.compare import Comparison
    from pytest_xinchuang.packages.sdk_ast.source import Sources

ARCHES = {"amd64": "linux/amd64", "arm64": "linux/arm64", "loong64": "linux/loong64"}


def add_commands(commands: Commands) -> None:
    """Add ``xc api``."""
    text = _(
        "snapshots of an API (an SDK's, protobuf's, OpenAPI's, a SQL schema's), "
        "and what differs between two versions or architectures"
    )
    commands.group("api", text, _fill)


def _fill(api: Commands) -> None:
    api.command(
        "snapshot", _("write an API down as JSON lines, to be committed as a baseline"), _snapshot, _fill_snapshot
    )
    api.command("diff", _("compare two versions, or one across architectures"), _diff, _fill_diff)
    api.command("rules", _("list the rules, or explain some"), _rules, _fill_rules)


def _fill_snapshot(parser: XcParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=_("a directory, MODULE@VERSION or a git revision"))
    parser.add_argument("--output", metavar="FILE", help=_("write there (.gz compresses), not to standard output"))
    _add_reading(parser)


def _fill_diff(parser: XcParser) -> None:
    parser.add_argument("old", metavar="OLD", help=_("a snapshot, a directory, a git revision, or MODULE@VERSION"))
    parser.add_argument("new", metavar="NEW", nargs="?", help=_("the same; left out with --across"))
    parser.add_argument(
        "--across", metavar="ARCH[,ARCH...]", help=_("compare OLD's API on these architectures instead")
    )
    add_format(parser, "text", "json", "sarif", "junit", "markdown")
    parser.add_argument("--all", action="store_true", help=_("show compatible changes too"))
    parser.add_argument("--policy", metavar="FILE", help=_("xc-api.yaml: contested rules, package map, suppressions"))
    parser.add_argument(
        "--fast", action="store_true", help=_("by rules alone: try no clients with compilers and linkers")
    )
    parser.add_argument(
        "--fail-on",
        choices=["breaking", "undecided", "fragile", "any"],
        help=_("exit with 0 unless there is a change at least this grave (default: a code for each kind)"),
    )
    _add_reading(parser)


def _add_reading(parser: XcParser) -> None:
    """How an API is read."""
    parser.add_argument(
        "--targets",
        default="",
        metavar="TARGET[,...]",
        help=_("GOOS/GOARCH, or an architecture (default: for Go every one whose files differ; else amd64)"),
    )
    parser.add_argument(
        "--kind",
        choices=list(LANGUAGES),
        default="",
        help=_("the API's programming language (default: by its files)"),
    )
    parser.add_argument("--tags", default="", metavar="TAG[,...]", help=_("Go build tags, by commas"))
    parser.add_argument(
        "--c-flags",
        default="",
        metavar="FLAGS",
        help=_("more for the C compiler: {example}", example=verbatim('"-DX -Iinclude"')),
    )
    parser.add_argument(
        "--sql-dialect",
        default="",
        metavar="NAME",
        help=_("postgres, mysql, sqlite, or a database that speaks one (default: by what the files say)"),
    )
    parser.add_argument("--no-cgo", action="store_true", help=_("leave out files that import C"))
    add_offline(parser)


def _ids(**_asked: Any) -> list[str]:
    from pytest_xinchuang.packages.sdk_ast.rules import Rules

    return list(Rules().by_id)


def _fill_rules(parser: XcParser) -> None:
    completed_by(parser.add_argument("ids", nargs="*", metavar="RULE", help=_("a rule's id (default: list all)")), _ids)
    add_output(parser)


def targets_of(text: str) -> tuple[str, ...]:
    """``arm64,linux/amd64`` as targets.

    Raises:
        XcError: none is named.
    """
    found = tuple(dict.fromkeys(ARCHES.get(t.strip(), t.strip()) for t in text.split(",") if t.strip()))
    if not found or any("/" not in t for t in found):
        raise XcError(
            _("{text} names no target", text=verbatim(repr(text))),
            mend=_("name targets, {example}", example=verbatim("amd64,arm64,loong64, linux/riscv64")),
        )
    return found


def _sources(context: Context) -> Sources:
    from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
    from pytest_xinchuang.provision.cache import Cache

    options = context.options
    asked = getattr(options, "across", None) or options.targets
    read = ReadOptions(
        targets=targets_of(asked) if asked else (),
        tags=tuple(t for t in options.tags.split(",") if t),
        cgo=not options.no_cgo,
        offline=options.offline,
        language=options.kind,
        c_flags=tuple(shlex.split(options.c_flags)),
        sql_dialect=options.sql_dialect,
    )
    return Sources(Cache(), read)


def _tell_fallback(context: Context, sources: Sources) -> None:
    if sources.fallback:
        context.tell(_("{why}; only the syntax of Go was read, which decides nothing", why=sources.fallback))


def _snapshot(context: Context) -> int:
    with _sources(context) as sources:
        code = _write_snapshot(context, sources)
        _tell_fallback(context, sources)
    return code


def _write_snapshot(context: Context, sources: Sources) -> int:
    from pytest_xinchuang.packages.sdk_ast.words import GRADES, word

    options = context.options
    found = sources.read(options.source)
    for problem in found.problems:
        context.tell(problem.told)
    code = Exit.CLEAN if found.grade == "typed" else Exit.INCOMPLETE
    if options.output is None:
        with found.path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        return code
    output = Path(options.output)
    part = output.with_name(output.name + ".part")
    with found.path.open("rb") as file:
        if output.suffix == ".gz":
            with part.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
                shutil.copyfileobj(file, packed)
        else:
            with part.open("wb") as plain:
                shutil.copyfileobj(file, plain)
    part.rename(output)
    symbols = sum(p.record.symbols for packages in found.packages.values() for p in packages)
    context.tell(
        _(
            "{file}: {packages}, {symbols}, {grade}, {digest}",
            file=verbatim(str(output)),
            packages=n_("{n} package", "{n} packages", len(found.packages)),
            symbols=n_("{n} symbol", "{n} symbols", symbols),
            grade=word(GRADES, found.grade),
            digest=verbatim(found.digest),
        )
    )
    return code


def _diff(context: Context) -> int:
    with _sources(context) as sources:
        comparison = _compared(context, sources)
        context.write(_formatted(comparison, context))
        _tell_fallback(context, sources)
    return exit_code(comparison, context.options.fail_on)


def _compared(context: Context, sources: Sources) -> Comparison:
    from pytest_xinchuang.packages.sdk_ast.compare import compare, compare_across
    from pytest_xinchuang.packages.sdk_ast.judge.court import judged
    from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy, load_policy
    from pytest_xinchuang.packages.sdk_ast.rules import Rules

    options = context.options
    policy = load_policy(Path(options.policy)) if options.policy else ApiPolicy()
    rules = Rules()
    if options.across:
        if options.new:
            raise XcError(_("--across compares one version with itself: NEW is left out"))
        return compare_across(sources.read(options.old), rules, policy)
    if not options.new:
        raise XcError(_("there is nothing to compare with: NEW is missing"), mend=verbatim("xc api diff OLD NEW"))
    comparison = compare(*sources.pair(options.old, options.new), rules, policy)
    if options.fast:
        return replace(comparison, unjudged=verbatim("--fast"))
    return judged(comparison, sources, rules, policy)


def _formatted(comparison: Comparison, context: Context) -> str:
    from pytest_xinchuang.packages.sdk_ast import report as api

    options, language = context.options, context.language
    if options.format == "text":
        return api.as_text(comparison, language, everything=options.all)
    if options.format == "json":
        return api.as_json(comparison)
    makers = {"sarif": api.as_sarif, "junit": api.as_junit, "markdown": api.as_markdown}
    return makers[options.format](comparison, language)


def exit_code(comparison: Comparison, fail_on: str | None) -> int:
    """The code of the gravest change; with ``fail_on``, 0 below that."""
    if fail_on is not None:
        order = ["breaking", "undecided", "fragile", "any"]
        counted = order[: order.index(fail_on) + 1]
        grave = [w for w in counted if (comparison.changes if w == "any" else comparison.of(w))]
        return Exit.CLEAN if not grave else Exit.INCOMPLETE if grave == ["undecided"] else Exit.FINDINGS
    if comparison.breaking:
        return Exit.FINDINGS
    if comparison.undecided:
        return Exit.INCOMPLETE
    return Exit.COMPATIBLE if comparison.changes else Exit.CLEAN


def _rules(context: Context) -> int:
    from pytest_xinchuang.packages.sdk_ast.rules import Rules
    from pytest_xinchuang.packages.sdk_ast.words import AXES, LEVELS, listed, word
    from pytest_xinchuang.report.columns import padded

    rules = Rules()
    if not context.options.ids:
        context.write(
            "".join(
                f"{rule.id:<34} {padded(word(LEVELS, rule.level).render(context.language), 8)} "
                f"{getattr(rule.title, context.language)}\n"
                for rule in rules.by_id.values()
            )
        )
        return Exit.CLEAN
    lines: list[str] = []
    for rule_id in context.options.ids:
        rule = rules.get(rule_id.upper())
        lines.append(f"{rule.id}  {getattr(rule.title, context.language)}")
        facts = [
            _("level: {level}", level=word(LEVELS, rule.level)),
            _("axes: {axes}", axes=listed(word(AXES, axis) for axis in rule.axes) if rule.axes else verbatim("-")),
        ]
        if rule.policy:
            facts.append(_("policy: {policy}", policy=verbatim(rule.policy)))
        lines.append(_("  {facts}", facts=joined(facts)))
        lines.append(_("  mend: {mend}", mend=rule.mend.message()))
        if rule.witness:
            titles = {"old": _("  old:"), "new": _("  new:"), "client": _("  client:")}
            for name, title in titles.items():
                lines += [title, *("    " + line for line in getattr(rule.witness, name).splitlines())]
    context.write(context.lines(lines))
    return Exit.CLEAN
