"""`xc inspect`, `xc explain` and `xc flags`: what reads, and runs nothing of what it reads."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_xinchuang.commands.common import (
    Commands,
    Context,
    Exit,
    add_format,
    add_output,
    add_place,
    add_platform,
    completed_by,
)
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import UnknownName, XcError
from pytest_xinchuang.messages import _, joined, verbatim

if TYPE_CHECKING:
    from pytest_xinchuang.core.finding import Finding, FindingCatalogue
    from pytest_xinchuang.core.platform import Platform
    from pytest_xinchuang.inspect.delivered import Inspection


def add_commands(commands: Commands) -> None:
    """Add the commands of this file to ``xc``."""
    commands.command(
        "inspect",
        _("read artifacts and name what a platform cannot do with; runs nothing"),
        _inspect,
        _fill_inspect,
    )
    commands.command(
        "explain",
        _("what a finding's code or a requirement's id means: cause, evidence, mend"),
        _explain,
        _fill_explain,
    )
    commands.command(
        "flags",
        _("check a build's flags against a platform's libc and CPU, by asking the compilers"),
        _flags,
        _fill_flags,
    )


def _fill_inspect(parser: XcParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help=_("files, packages, archives, images, directories"))
    add_platform(parser, several=True, default="all", help=_("as for --xc-platform; all: all short names"))
    add_format(parser, "text", "json", "sarif")
    parser.add_argument("--no-isa", action="store_true", help=_("do not scan instructions"))
    parser.add_argument(
        "--load",
        action="store_true",
        help=_("open each library and start each program in the platform's sandbox, under its CPU"),
    )
    parser.add_argument("--notes", action="store_true", help=_("show notes too"))
    parser.add_argument("--strict", action="store_true", help=_("findings that may be guarded are findings"))
    parser.add_argument("--freestanding", action="store_true", help=_("undefined symbols are findings"))
    parser.add_argument("--compare", action="store_true", help=_("compare the objects of the same name in all PATHs"))


def _codes(**_asked: Any) -> list[str]:
    from pytest_xinchuang.core.finding import load_findings
    from pytest_xinchuang.packages.registry import installed

    return [*load_findings().rules, *(requirement.id for requirement in installed().catalogue().requirements)]


def _fill_explain(parser: XcParser) -> None:
    codes = parser.add_argument(
        "codes",
        nargs="*",
        metavar="CODE",
        help=_("a finding's code, XC-ELF-010, or a requirement's id, XC-MRU-020 (default: list all codes)"),
    )
    completed_by(codes, _codes)
    parser.add_argument(
        "--porting", action="store_true", help=_("print docs/porting.md: the known failures, and how each is found")
    )
    add_output(parser)


def _fill_flags(parser: XcParser) -> None:
    add_place(parser, _("a platform, or a libc: {libcs}", libcs=verbatim("glibc, musl, liteos_m")))
    parser.add_argument(
        "--from",
        dest="sources",
        action="append",
        default=[],
        metavar="FILE",
        help=_(
            "read the flags from compile_commands.json, what make has printed, CMakeCache.txt, .cargo/config.toml, an object"
        ),
    )
    parser.add_words(
        "FLAG...", _("the flags; a compiler's name and variables like CFLAGS=... may stand before them"), options=True
    )


def _inspect(context: Context) -> int:
    from pytest_xinchuang.core.finding import Certainty, load_findings
    from pytest_xinchuang.inspect.compare import compare
    from pytest_xinchuang.inspect.inspector import Inspector, Verdicts, problems_as_findings
    from pytest_xinchuang.report.inspection import InspectionResult, as_json, as_sarif, as_text
    from pytest_xinchuang.tools.processors import processors

    options = context.options
    chosen = context.selected()
    with contextlib.ExitStack() as stack:
        loading = stack.enter_context(_Loading(context)) if options.load else None
        machines = {p.architecture.elf_machine for p in chosen}
        kept = loading.kept if loading is not None else None
        inspector = Inspector(isa=not options.no_isa, machines=machines, kept=kept, jobs=processors())
        inspections: dict[str, Inspection] = {}
        errors: list[XcError] = []
        for name in dict.fromkeys(options.paths):
            try:
                inspections[name] = inspector.read(Path(name))
            except XcError as error:
                errors.append(error)
                context.tell(error.told)
        findings: list[Finding] = []
        for platform in chosen:
            for inspection in inspections.values():
                verdicts = Verdicts(platform, context.platforms.file.architectures, freestanding=options.freestanding)
                findings += verdicts.of(inspection)
                findings += problems_as_findings(inspection.problems, platform.id)
                if loading is not None:
                    findings += loading.findings(platform, inspection)
            if options.compare:
                findings += compare(platform.id, {n: i.records for n, i in inspections.items()})
    result = InspectionResult(chosen, inspections, tuple(findings), load_findings(), context.language)
    if inspections:
        makers = {"text": lambda r: as_text(r, notes=options.notes), "json": as_json, "sarif": as_sarif}
        context.write(makers[options.format](result))
    if errors:
        return Exit.ERROR
    guarded = any(f.certainty is Certainty.GUARDED for f in findings)
    if result.fails or (options.strict and guarded):
        return Exit.FINDINGS
    return Exit.INCOMPLETE if result.incomplete else Exit.CLEAN


class _Loading:
    """Opens what was inspected in the platforms' sandboxes."""

    def __init__(self, context: Context) -> None:
        from pytest_xinchuang.inspect.kept import Kept

        self._context = context
        self._directory = tempfile.TemporaryDirectory(prefix="xc-load-")
        self.kept = Kept(Path(self._directory.name))
        self._pool = context.pool(backend="auto")

    def findings(self, platform: Platform, inspection: Inspection) -> list[Finding]:
        from pytest_xinchuang.loading.findings import loaded

        return loaded(self._pool, platform, self._context.platforms.file.architectures, self.kept, inspection)

    def __enter__(self) -> _Loading:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()
        self._directory.cleanup()


def _explain(context: Context) -> int:
    from pytest_xinchuang.core.finding import load_findings
    from pytest_xinchuang.core.porting import load_porting
    from pytest_xinchuang.report.porting import as_markdown

    options, language = context.options, context.language
    catalogue = load_findings()
    table = load_porting(resources.conformance_dir() / "porting.yaml")
    if options.porting:
        context.write(as_markdown(table, catalogue, language))
        return Exit.CLEAN
    if not options.codes:
        context.write("".join(f"{r.code}  {getattr(r.title, language)}\n" for r in catalogue.rules.values()))
        return Exit.CLEAN
    rows: dict[str, list[str]] = {}
    for row in table:
        for code in row.codes:
            rows.setdefault(code, []).append(f"{row.number}. {getattr(row.title, language)}")
    context.write("\n".join(_told(code, catalogue, language, rows) for code in options.codes))
    return Exit.CLEAN


def _told(code: str, findings: FindingCatalogue, language: str, rows: dict[str, list[str]]) -> str:
    """What a requirement's id, or a finding's code, means."""
    from pytest_xinchuang.packages.registry import installed
    from pytest_xinchuang.report.inspection import explain, explain_requirement

    if code.upper() not in findings.rules and (requirement := installed().catalogue().get(code.upper())) is not None:
        return explain_requirement(requirement, language)
    return explain(findings, [code], language, rows)


def _platform_of(context: Context, name: str) -> Platform:
    from pytest_xinchuang.core.near import near, near_names
    from pytest_xinchuang.toolchain.flags import LIBCS

    try:
        return context.platforms.get(name)
    except UnknownName:
        if not near_names(name, LIBCS, cutoff=0.7):
            raise
    libcs = joined(map(verbatim, LIBCS), _(", "))
    raise UnknownName(
        _(
            "{name} is neither a platform nor a libc{hint}; libcs are {libcs}",
            name=verbatim(repr(name)),
            hint=near(name, LIBCS),
            libcs=libcs,
        ),
        mend=verbatim("xc platforms list"),
    )


def _flags(context: Context) -> int:
    from pytest_xinchuang.core.finding import Certainty, load_findings
    from pytest_xinchuang.toolchain.flags import LIBCS, Line, check_lines, read_source

    example = verbatim("xc flags kunpeng -- -O2 -march=native -lm")
    libc = context.place(example)
    sources = context.options.sources
    if not context.words and not sources:
        raise XcError(_("no flags are given"), mend=example)
    platform: Platform | None = None
    if libc not in LIBCS:
        platform = _platform_of(context, libc)
        libc = platform.system.libc
    lines = [Line(tuple(context.words))] if context.words else []
    lines += [line for source in sources for line in read_source(Path(source))]
    findings = check_lines(lines, libc, platform)
    catalogue = load_findings()
    words = {
        Certainty.CERTAIN: _("certain"),
        Certainty.GUARDED: _("guarded?"),
        Certainty.UNDECIDED: _("undecided"),
        Certainty.NOTE: _("note"),
    }
    for finding in findings:
        text = verbatim(catalogue.text(finding).render(context.language))
        context.say(_("{certainty} {code} {text}", certainty=words[finding.certainty], code=finding.code, text=text))
        context.say(_("  mend: {mend}", mend=verbatim(catalogue.mend(finding).render(context.language))))
    seen = {finding.certainty for finding in findings}
    if Certainty.CERTAIN in seen:
        return Exit.FINDINGS
    if seen & {Certainty.GUARDED, Certainty.UNDECIDED}:
        return Exit.INCOMPLETE
    context.say(_("good"))
    return Exit.CLEAN
