"""`xc subject` and `xc report`: the data that a run begins with, and what it leaves."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.cli.drafting import draft
from pytest_xinchuang.commands.common import Commands, Context, Exit, add_platform
from pytest_xinchuang.commands.context import as_json
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, joined, n_, verbatim


def add_subject(commands: Commands) -> None:
    """Add ``xc subject``."""

    def fill(parser: XcParser) -> None:
        parser.add_argument(
            "action",
            choices=["init", "check", "schema"],
            help=_("write a template, check a manifest, or print the JSON Schema of manifests"),
        )
        parser.add_argument(
            "directory",
            nargs="?",
            help=_(
                "where the manifest is (default: {default}, with --from the directory that PATH is in)", default="."
            ),
        )
        parser.add_argument(
            "--from",
            dest="product",
            metavar="PATH",
            help=_("init: what is delivered; its manifest is written from what is there, and programs are tried"),
        )
        add_platform(parser, several=True, default="all", help=_("where programs are tried; all: all short names"))

    commands.command("subject", _("write or check a manifest"), _subject, fill)


def add_report(commands: Commands) -> None:
    """Add ``xc report``."""

    def fill(parser: XcParser) -> None:
        parser.add_argument("journal", nargs="?", help=_("the journal of a run: journal.ndjson"))
        parser.add_argument("--output", metavar="DIR", help=_("where to write (default: beside the journal)"))
        parser.add_argument(
            "--format",
            choices=["text", "markdown"],
            default="text",
            help=_("what is printed: the table, or a comment for a merge request (default: {default})", default="text"),
        )
        parser.add_argument(
            "--artifacts",
            metavar="URL",
            default="",
            help=_("markdown: the address where the reports can be seen or fetched, to be linked"),
        )
        parser.add_argument("--schema", action="store_true", help=_("print the JSON Schema of report.json instead"))

    commands.command("report", _("rebuild the reports of a journal"), _report, fill)


def _subject(context: Context) -> int:
    from pytest_xinchuang.core.subject import MANIFEST, subject_model
    from pytest_xinchuang.packages.registry import installed

    options = context.options
    if options.action == "schema":
        context.write_json(subject_model(installed().sections).model_json_schema(by_alias=True))
        return Exit.CLEAN
    if options.product is not None and options.action != "init":
        raise XcError(_("--from is for init"), mend=verbatim(f"xc subject init --from {options.product}"))
    beside = Path(options.product).absolute().parent if options.product is not None else Path()
    directory = Path(options.directory) if options.directory is not None else beside
    if options.action == "init":
        template = resources.fixtures_dir() / "template"
        target = directory / MANIFEST
        if target.exists():
            raise XcError(
                _("{file} is already there", file=verbatim(str(target))), mend=verbatim(f"xc subject check {directory}")
            )
        if options.product is not None:
            if not Path(options.product).exists():
                what = _("{path}: there is no such file or directory", path=verbatim(options.product))
                raise XcError(what, mend=_("name what is delivered"))
            draft(context, Path(options.product), directory)
            return Exit.CLEAN
        directory.mkdir(parents=True, exist_ok=True)
        for name in (MANIFEST, "unit.c"):
            if not (directory / name).exists():
                (directory / name).write_bytes((template / name).read_bytes())
        context.say(
            _(
                "wrote {manifest} and {source}; now: {command}",
                manifest=verbatim(str(target)),
                source=verbatim("unit.c"),
                command=verbatim(f"pytest --xc-platform=kunpeng --xc-subject={directory}"),
            )
        )
        return Exit.CLEAN
    subject = installed().subject(directory)
    context.say(
        _(
            "{manifest}: good, {units}, {digest}",
            manifest=verbatim(str(subject.manifest)),
            units=n_("{n} unit", "{n} units", len(subject.file.units)),
            digest=verbatim(subject.digest),
        )
    )
    return Exit.CLEAN


def _report(context: Context) -> int:
    from pytest_xinchuang.core.grade import grade_run
    from pytest_xinchuang.core.journal import read_journal
    from pytest_xinchuang.core.proof import Known, prove
    from pytest_xinchuang.packages.registry import installed
    from pytest_xinchuang.report.files import remove_reports, write_reports
    from pytest_xinchuang.report.json_report import report_schema
    from pytest_xinchuang.report.markdown import comment
    from pytest_xinchuang.report.terminal import write_table

    options = context.options
    if options.schema:
        context.say(as_json(report_schema()), end="")
        return Exit.CLEAN
    if not options.journal:
        raise XcError(_("no journal is named"), mend=verbatim("xc report .xc/journal.ndjson"))
    path = Path(options.journal)
    output = Path(options.output) if options.output else path.parent
    if path.is_file():
        remove_reports(output, but=path)
    journal, registry = read_journal(path), installed()
    prove(journal, Known.installed(registry.catalogue()))
    result = grade_run(journal, registry.parts)
    written = write_reports(result, output, context.language)
    wrote = _("wrote {files}", files=joined([verbatim(str(p)) for p in written], _(", ")))
    if options.format == "markdown":
        context.say(comment(result, language=context.language, artifacts=options.artifacts), end="")
        context.tell(wrote)
    else:
        write_table(result, lambda text, **_markup: context.say(text), language=context.language)
        context.say(wrote)
    if journal.refused:
        return Exit.INCOMPLETE
    reached = all(grade.reaches_required for grade in result.grades)
    return Exit.CLEAN if reached and not result.journal.problems else Exit.FINDINGS
