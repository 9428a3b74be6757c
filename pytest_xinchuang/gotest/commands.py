"""`xc go-test`: third-party Go modules' own tests on a platform."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.commands.common import (
    Commands,
    Context,
    Exit,
    add_format_or_file,
    add_offline,
    add_platform,
)
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, verbatim


def add_commands(commands: Commands) -> None:
    """Add ``xc go-test``."""
    commands.command("go-test", _("run Go modules' own tests on a platform, package by package"), _go_test, _fill)


def _fill(parser: XcParser) -> None:
    parser.add_argument("modules", nargs="*", metavar="MODULE@VERSION", help=_("Go modules"))
    parser.add_argument("--suite", choices=["ecosystem"], help=_("the modules of a shipped list"))
    add_platform(parser, several=True, default="kunpeng,loongson")
    parser.add_argument("--cover", action="store_true", help=_("measure coverage"))
    parser.add_argument("--race", choices=["yes", "no"], default="no", help=_("build with the race detector"))
    parser.add_argument("--run", dest="only", default="", metavar="REGEXP", help=_("only the tests whose names match"))
    add_offline(parser)
    add_format_or_file(parser, "json", "markdown")


def _go_test(context: Context) -> int:
    from pytest_xinchuang.core.yamlfile import YamlFile
    from pytest_xinchuang.gotest.engine import GoTestEngine
    from pytest_xinchuang.gotest.report import as_markdown, as_text
    from pytest_xinchuang.gotest.result import ModuleResult, TestVerdict
    from pytest_xinchuang.gotest.suite import SuiteFile
    from pytest_xinchuang.tools.gomod import ModuleVersion

    options = context.options
    names = list(options.modules)
    if options.suite:
        suite = YamlFile(resources.conformance_dir() / f"{options.suite}.yaml").parse(SuiteFile)
        names += [f"{m.module}@{m.version}" for m in suite.modules]
    if not names:
        example = "xc go-test github.com/gin-gonic/gin@v1.10.1 --platform kunpeng"
        raise XcError(
            _("no module is named"),
            mend=_("{command}, or {option}", command=verbatim(example), option=verbatim("--suite ecosystem")),
        )
    wanted = [ModuleVersion.parse(name) for name in names]
    platforms = context.selected()
    pool = context.pool(packages=("tzdata",))  # tests load time zones by name
    texts: list[str] = []
    results: list[ModuleResult] = []
    for platform in platforms:
        engine = GoTestEngine(
            platform, pool, cover=options.cover, race=options.race == "yes", only=options.only, say=context.tell
        )
        for module in wanted:
            result = engine.run(module, offline=options.offline)
            results.append(result)
            texts.append(as_text(result, context.language))
            if options.format == "text" and not options.output:
                context.say(texts[-1], end="")
    data = {"schema": "xc-go-test/1", "results": [r.as_dict(context.language) for r in results]}
    if options.format == "json":
        context.write_json(data)
    elif options.format == "markdown":
        context.write(as_markdown(data, context.language))
    elif options.output:
        context.write("".join(texts))
    if options.markdown_file:
        context.write(as_markdown(data, context.language), Path(options.markdown_file))
    if options.json_file:
        context.write_json(data, Path(options.json_file))
    if any(r.has(TestVerdict.FAIL) for r in results):
        return Exit.FINDINGS
    if any(r.error for r in results):
        return Exit.ERROR
    open_ = any(r.has(TestVerdict.NOT_JUDGED) or r.has(TestVerdict.FAILS_EVERYWHERE) for r in results)
    return Exit.INCOMPLETE if open_ else Exit.CLEAN
