"""`xc api`: snapshots of APIs, and what differs between two."""

from __future__ import annotations

import argparse
import gzip
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_xinchuang.commands.common import EXIT_CLEAN, EXIT_FINDINGS, EXIT_INCOMPLETE, Command
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, verbatim

if TYPE_CHECKING:
    from pytest_xinchuang.packages.sdk_ast.compare import Comparison
    from pytest_xinchuang.packages.sdk_ast.source import Sources

EXIT_COMPATIBLE = 4
"""Something changed, and it breaks nobody (0: nothing changed; 1: it breaks clients; 3: a fact is missing)."""

ARCHES = {"amd64": "linux/amd64", "arm64": "linux/arm64", "loong64": "linux/loong64"}


def add_command(command: Command) -> None:
    """Add ``xc api``."""
    api = command(
        "api",
        _api,
        "snapshots of an SDK's API (Go, C, Java, Python), and what differs between two versions or architectures",
    )
    actions = api.add_subparsers(required=True, metavar="ACTION", dest="action")

    snapshot = actions.add_parser("snapshot", help="write an API down as JSON lines, to be committed as a baseline")
    snapshot.add_argument("source", metavar="SOURCE", help="a directory, MODULE@VERSION or a git revision")
    snapshot.add_argument("--output", metavar="FILE", help="write there (.gz compresses) instead of to standard output")

    diff = actions.add_parser("diff", help="compare two versions, or one across architectures")
    diff.add_argument("old", metavar="OLD", help="a snapshot, a directory, a git revision, or MODULE@VERSION")
    diff.add_argument("new", metavar="NEW", nargs="?", help="the same; left out with --across")
    diff.add_argument("--across", metavar="ARCH[,ARCH...]", help="compare OLD's API on these architectures instead")
    diff.add_argument("--format", choices=["text", "json", "sarif", "junit", "markdown"], default="text")
    diff.add_argument("--output", metavar="FILE", help="write there instead of to standard output")
    diff.add_argument("--language", choices=["en", "zh"], default="en")
    diff.add_argument("--all", action="store_true", help="show compatible changes too")
    diff.add_argument("--policy", metavar="FILE", help="xc-api.yaml: contested rules, package map, suppressions")
    diff.add_argument(
        "--fail-on",
        choices=["breaking", "undecided", "fragile", "any"],
        help="exit with 0 unless there is a change at least this grave (default: a code for each kind)",
    )
    for sub in (snapshot, diff):
        sub.add_argument("--targets", default="amd64", metavar="TARGET[,...]", help="GOOS/GOARCH, or an architecture")
        sub.add_argument(
            "--kind",
            choices=["go", "c", "java", "python"],
            default="",
            help="the API's language (default: by its files)",
        )
        sub.add_argument("--tags", default="", help="Go build tags, by commas")
        sub.add_argument("--c-flags", default="", metavar="FLAGS", help='more for the C compiler: "-DX -Iinclude"')
        sub.add_argument("--no-cgo", action="store_true", help="leave out files that import C")
        sub.add_argument("--offline", action="store_true", help="fetch nothing")

    rules = actions.add_parser("rules", help="list the rules, or explain some")
    rules.add_argument("ids", nargs="*", metavar="RULE")
    rules.add_argument("--language", choices=["en", "zh"], default="en")


def targets_of(text: str) -> tuple[str, ...]:
    """``arm64,linux/amd64`` as targets.

    Raises:
        XcError: none is named.
    """
    found = tuple(dict.fromkeys(ARCHES.get(t.strip(), t.strip()) for t in text.split(",") if t.strip()))
    if not found or any("/" not in t for t in found):
        raise XcError(
            _("{text} names no target", text=verbatim(repr(text))), mend=_("e.g. amd64,arm64,loong64 or linux/riscv64")
        )
    return found


def _api(options: argparse.Namespace) -> int:
    if options.action == "rules":
        return _rules(options)
    from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
    from pytest_xinchuang.provision.cache import Cache

    across = getattr(options, "across", None)
    read = ReadOptions(
        targets=targets_of(across or options.targets),
        tags=tuple(t for t in options.tags.split(",") if t),
        cgo=not options.no_cgo,
        offline=options.offline,
        language=options.kind,
        c_flags=tuple(shlex.split(options.c_flags)),
    )
    with Sources(Cache(), read) as sources:
        code = _snapshot(options, sources) if options.action == "snapshot" else _diff(options, sources)
        if sources.fallback:
            print(f"xc: {sources.fallback}; only the syntax of Go was read, which decides nothing", file=sys.stderr)
        return code


def _snapshot(options: argparse.Namespace, sources: Sources) -> int:
    found = sources.read(options.source)
    for problem in found.problems:
        print(f"xc: {problem}", file=sys.stderr)
    if options.output is None:
        with found.path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        return EXIT_CLEAN if found.grade == "typed" else EXIT_INCOMPLETE
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
    print(
        f"{output}: {len(found.packages)} packages, {symbols} symbols, {found.grade}, {found.digest}", file=sys.stderr
    )
    return EXIT_CLEAN if found.grade == "typed" else EXIT_INCOMPLETE


def _diff(options: argparse.Namespace, sources: Sources) -> int:
    from pytest_xinchuang.packages.sdk_ast.compare import compare, compare_across
    from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy, load_policy
    from pytest_xinchuang.packages.sdk_ast.rules import Rules

    policy = load_policy(Path(options.policy)) if options.policy else ApiPolicy()
    rules = Rules()
    if options.across:
        if options.new:
            raise XcError(verbatim("--across compares one version with itself: NEW is left out"))
        comparison = compare_across(sources.read(options.old), rules, policy)
    else:
        if not options.new:
            raise XcError(_("there is nothing to compare with: NEW is missing"), mend=verbatim("xc api diff OLD NEW"))
        old = sources.read(options.old)
        new = sources.read(options.new, known=old)
        comparison = compare(old, new, rules, policy)
    _write(_formatted(comparison, options), options.output)
    return exit_code(comparison, options.fail_on)


def _formatted(comparison: Comparison, options: argparse.Namespace) -> str:
    from pytest_xinchuang.packages.sdk_ast import report as api

    if options.format == "text":
        return api.as_text(comparison, options.language, everything=options.all)
    if options.format == "json":
        return api.as_json(comparison)
    makers = {"sarif": api.as_sarif, "junit": api.as_junit, "markdown": api.as_markdown}
    return makers[options.format](comparison, options.language)


def exit_code(comparison: Comparison, fail_on: str | None) -> int:
    """The code of the gravest change; with ``fail_on``, 0 below that."""
    if fail_on is not None:
        order = ["breaking", "undecided", "fragile", "any"]
        counted = order[: order.index(fail_on) + 1]
        grave = [w for w in counted if (comparison.changes if w == "any" else comparison.of(w))]
        return EXIT_CLEAN if not grave else EXIT_INCOMPLETE if grave == ["undecided"] else EXIT_FINDINGS
    if comparison.breaking:
        return EXIT_FINDINGS
    if comparison.undecided:
        return EXIT_INCOMPLETE
    return EXIT_COMPATIBLE if comparison.changes else EXIT_CLEAN


def _write(text: str, output: str | None) -> None:
    if output is None:
        sys.stdout.write(text)
    else:
        Path(output).write_text(text, encoding="utf-8")


def _rules(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.sdk_ast.rules import Rules

    rules = Rules()
    if not options.ids:
        for rule in rules.by_id.values():
            print(f"{rule.id:<34} {rule.level:<6} {getattr(rule.title, options.language)}")
        return EXIT_CLEAN
    for rule_id in options.ids:
        rule = rules.get(rule_id.upper())
        print(f"{rule.id}  {getattr(rule.title, options.language)}")
        print(
            f"  level: {rule.level}; axes: {', '.join(rule.axes) or '-'}"
            + (f"; policy: {rule.policy}" if rule.policy else "")
        )
        print(f"  mend: {getattr(rule.mend, options.language)}")
        if rule.witness:
            for name in ("old", "new", "client"):
                print(f"  {name}:")
                print("\n".join("    " + line for line in getattr(rule.witness, name).splitlines()))
    return EXIT_CLEAN
