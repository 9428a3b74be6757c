"""`xc advise`: what stops a port, from the source."""

from __future__ import annotations

import datetime
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_xinchuang.commands.common import Commands, Context, Exit, add_format, add_platform
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.messages import _, verbatim

if TYPE_CHECKING:
    from pytest_xinchuang.core.accepted import Suppression


def add_commands(commands: Commands) -> None:
    """Add the command of this file to ``xc``."""
    commands.command(
        "advise",
        _("what stops a source tree from being built for a platform, as compilers and build tools say"),
        _advise,
        _fill,
    )


def _fill(parser: XcParser) -> None:
    parser.add_argument("tree", metavar="DIRECTORY", help=_("the source tree"))
    add_platform(parser, several=True, default="all", help=_("as for --xc-platform; all: all short names"))
    add_format(parser, "text", "json", "sarif", "junit", "markdown")
    parser.add_argument("--notes", action="store_true", help=_("show notes too"))
    parser.add_argument("--no-build", action="store_true", help=_("read the tree, and run nothing of its build"))
    parser.add_argument(
        "--run",
        action="store_true",
        help=_("build programs of the tree in which a doubt stands, run them on x86-64 and the platform, and compare"),
    )
    parser.add_argument("--offline", action="store_true", help=_("fetch nothing"))
    parser.add_argument(
        "--time-budget", type=float, metavar="SECONDS", help=_("judge what fits into so much time; the rest is open")
    )
    parser.add_argument(
        "--baseline",
        metavar="FILE",
        help=_("an earlier report in JSON: what it has is shown, and no longer complained of"),
    )
    parser.add_argument(
        "--suppressions",
        metavar="FILE",
        help=_(
            "what is accepted, with reasons and last days (default: {file} in the tree)",
            file=verbatim("xc-suppressions.yaml"),
        ),
    )
    parser.add_argument("--quiet", action="store_true", help=_("do not tell what is being done"))


def _advise(context: Context) -> int:
    from pytest_xinchuang.advise.engine import advise
    from pytest_xinchuang.advise.surveys import all_surveys
    from pytest_xinchuang.advise.tree import SourceTree
    from pytest_xinchuang.advise.triple import baseline
    from pytest_xinchuang.advise.work import Budget, Running, Work
    from pytest_xinchuang.core.accepted import accept
    from pytest_xinchuang.core.finding import load_findings
    from pytest_xinchuang.core.platform import Arch
    from pytest_xinchuang.report import advice as report

    options = context.options
    chosen = context.selected()
    tree = SourceTree(Path(options.tree))
    baseline_of, suppressions = _acceptance(context, tree.root)
    running = None
    if options.run:
        pool = context.pool()
        running = Running(pool, context.builder(pool))
    with tempfile.TemporaryDirectory(prefix="xc-advise-") as scratch:
        work = Work(
            platforms=chosen,
            baseline=baseline(chosen, context.platforms.file.architectures[Arch.AMD64]),
            scratch=Path(scratch).resolve(),
            kept=context.cache.root / "advice",
            budget=Budget(options.time_budget),
            offline=options.offline,
            build=not options.no_build,
            tell=_teller(context),
            running=running,
        )
        advice = advise(tree, work, all_surveys())
    accepted = accept(
        (f for a in advice for f in a.findings), baseline_of, suppressions, datetime.datetime.now(datetime.UTC).date()
    )
    for note in accepted.notes:
        context.tell(note)
    result = report.AdviceResult(options.tree, chosen, tuple(advice), load_findings(), context.language, accepted)
    makers: dict[str, Callable[[report.AdviceResult], str]] = {
        "text": lambda r: report.as_text(r, notes=options.notes),
        "json": report.as_json,
        "sarif": report.as_sarif,
        "junit": report.as_junit,
        "markdown": report.as_markdown,
    }
    context.write(makers[options.format](result))
    if result.stopped:
        return Exit.FINDINGS
    return Exit.INCOMPLETE if result.open else Exit.CLEAN


def _acceptance(context: Context, root: Path) -> tuple[frozenset[str], tuple[Suppression, ...]]:
    """The baseline and the suppressions that are asked for, before anything is judged.

    Raises:
        DataFileError: one is malformed.
    """
    from pytest_xinchuang.core.accepted import SUPPRESSIONS, read_baseline, read_suppressions

    options = context.options
    known = read_baseline(Path(options.baseline)) if options.baseline else frozenset()
    own = root / SUPPRESSIONS
    if options.suppressions:
        return known, read_suppressions(Path(options.suppressions))
    return known, read_suppressions(own) if own.is_file() else ()


def _teller(context: Context) -> Callable[[str, int, int], None]:
    """Tells what is being done, where somebody sees it."""
    if context.options.quiet or not sys.stderr.isatty():
        return lambda _what, _done, _total: None

    def tell(what: str, done: int, total: int) -> None:
        sys.stderr.write(f"\r\x1b[K{what} {done}/{total}" if done < total else "\r\x1b[K")
        sys.stderr.flush()

    return tell
