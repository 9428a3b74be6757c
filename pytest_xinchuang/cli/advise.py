"""`xc advise`: what stops a port, from the source."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pytest_xinchuang.commands.common import Commands, Context, Exit, add_format, add_platform
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.messages import _


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
    add_format(parser, "text", "json", "sarif")
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


def _advise(context: Context) -> int:
    from pytest_xinchuang.advise.engine import advise
    from pytest_xinchuang.advise.surveys import all_surveys
    from pytest_xinchuang.advise.tree import SourceTree
    from pytest_xinchuang.advise.triple import baseline
    from pytest_xinchuang.advise.work import Budget, Running, Work
    from pytest_xinchuang.core.finding import load_findings
    from pytest_xinchuang.core.platform import Arch
    from pytest_xinchuang.report.advice import AdviceResult, as_json, as_sarif, as_text

    options = context.options
    chosen = context.selected()
    tree = SourceTree(Path(options.tree))
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
            running=running,
        )
        advice = advise(tree, work, all_surveys())
    result = AdviceResult(options.tree, chosen, tuple(advice), load_findings(), context.language)
    makers = {"text": lambda r: as_text(r, notes=options.notes), "json": as_json, "sarif": as_sarif}
    context.write(makers[options.format](result))
    if result.stopped:
        return Exit.FINDINGS
    return Exit.INCOMPLETE if result.open else Exit.CLEAN
