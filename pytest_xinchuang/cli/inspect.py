"""`xc inspect`, `xc explain` and `xc flags`: what reads, and runs nothing."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_xinchuang.commands.common import EXIT_CLEAN, EXIT_ERROR, EXIT_FINDINGS, EXIT_INCOMPLETE, Command, Load
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, verbatim

if TYPE_CHECKING:
    from pytest_xinchuang.core.finding import Finding
    from pytest_xinchuang.core.platform import Platform


def add_commands(command: Command, load: Load) -> None:
    """Add the commands of this file to ``xc``."""
    inspect = command(
        "inspect", lambda o: _inspect(o, load), "read artifacts and name what a platform cannot do with; runs nothing"
    )
    inspect.add_argument("paths", nargs="+", metavar="PATH", help="files, packages, archives, images, directories")
    inspect.add_argument(
        "--platform", default="all", metavar="ID[,ID...]", help="as for --xc-platform (default: all short names)"
    )
    inspect.add_argument("--format", choices=["text", "json", "sarif"], default="text")
    inspect.add_argument("--output", metavar="FILE", help="write there instead of to standard output")
    inspect.add_argument("--language", choices=["en", "zh"], default="en")
    inspect.add_argument("--no-isa", action="store_true", help="do not scan instructions")
    inspect.add_argument("--notes", action="store_true", help="show notes too")
    inspect.add_argument("--strict", action="store_true", help="findings that may be guarded are findings")
    inspect.add_argument("--freestanding", action="store_true", help="undefined symbols are findings")
    inspect.add_argument("--compare", action="store_true", help="compare the objects of the same name in all PATHs")

    explain = command("explain", _explain, "what a finding's code means: cause, evidence, mend")
    explain.add_argument("codes", nargs="*", metavar="CODE", help="e.g. XC-ELF-010 (default: list all)")
    explain.add_argument("--language", choices=["en", "zh"], default="en")
    explain.add_argument(
        "--porting", action="store_true", help="print docs/porting.md: the known failures, and how each is found"
    )

    flags = command("flags", lambda o: _flags(o, load), "check a build's flags against a platform's libc and CPU")
    flags.add_argument("platform", help="a platform, or a libc: glibc, musl, liteos_m")
    flags.add_argument("flags", nargs=argparse.REMAINDER, metavar="-- FLAG...")
    flags.add_argument("--language", choices=["en", "zh"], default="en")


def _inspect(options: argparse.Namespace, load: Load) -> int:
    from pytest_xinchuang.core.finding import Certainty, load_findings
    from pytest_xinchuang.inspect.compare import compare
    from pytest_xinchuang.inspect.inspector import Inspection, Inspector, Verdicts, problems_as_findings
    from pytest_xinchuang.report.inspection import InspectionResult, as_json, as_sarif, as_text

    platforms = load(options)
    chosen = platforms.select(options.platform.split(","))
    machines = {p.architecture.elf_machine for p in chosen}
    inspector = Inspector(isa=not options.no_isa, machines=machines)
    inspections: dict[str, Inspection] = {}
    errors: list[XcError] = []
    for name in dict.fromkeys(options.paths):
        try:
            inspections[name] = inspector.read(Path(name))
        except XcError as error:
            errors.append(error)
            print(f"xc: {error}", file=sys.stderr)
    findings: list[Finding] = []
    for platform in chosen:
        for inspection in inspections.values():
            verdicts = Verdicts(platform, platforms.file.architectures, freestanding=options.freestanding)
            findings += verdicts.of(inspection)
            findings += problems_as_findings(inspection.problems, platform.id)
        if options.compare:
            findings += compare(platform.id, {n: i.records for n, i in inspections.items()})
    result = InspectionResult(chosen, inspections, tuple(findings), load_findings(), options.language)
    if inspections:
        text = {"text": lambda r: as_text(r, notes=options.notes), "json": as_json, "sarif": as_sarif}[options.format](
            result
        )
        _write(text, options.output)
    if errors:
        return EXIT_ERROR
    guarded = any(f.certainty is Certainty.GUARDED for f in findings)
    if result.fails or (options.strict and guarded):
        return EXIT_FINDINGS
    return EXIT_INCOMPLETE if result.incomplete else EXIT_CLEAN


def _write(text: str, output: str | None) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise XcError(_("{output}: cannot be written: {why}", output=output, why=error.strerror)) from error


def _explain(options: argparse.Namespace) -> int:
    from pytest_xinchuang.core.finding import load_findings
    from pytest_xinchuang.core.porting import load_porting
    from pytest_xinchuang.report.inspection import explain
    from pytest_xinchuang.report.porting import as_markdown

    catalogue = load_findings()
    table = load_porting(resources.conformance_dir() / "porting.yaml")
    if options.porting:
        print(as_markdown(table, catalogue, options.language), end="")
        return EXIT_CLEAN
    if not options.codes:
        for rule in catalogue.rules.values():
            print(f"{rule.code}  {getattr(rule.title, options.language)}")
        return EXIT_CLEAN
    rows: dict[str, list[str]] = {}
    for row in table:
        for code in row.codes:
            rows.setdefault(code, []).append(f"{row.number}. {getattr(row.title, options.language)}")
    print(explain(catalogue, options.codes, options.language, rows), end="")
    return EXIT_CLEAN


def _flags(options: argparse.Namespace, load: Load) -> int:
    from pytest_xinchuang.core.finding import Certainty, load_findings
    from pytest_xinchuang.toolchain.flags import LIBCS, check_flags

    words = options.flags[1:] if options.flags[:1] == ["--"] else options.flags
    if not words:
        raise XcError(_("no flags are given"), mend=verbatim("xc flags kunpeng -- -O2 -march=native -lm"))
    platform: Platform | None = None
    libc = options.platform
    if libc not in LIBCS:
        platform = load(options).get(options.platform)
        libc = platform.system.libc
    findings = check_flags(words, libc, platform)
    catalogue = load_findings()
    for finding in findings:
        print(f"{finding.certainty.value} {finding.code} {catalogue.text(finding, options.language)}")
        print(f"  mend: {catalogue.mend(finding, options.language)}")
    if not findings:
        print("good")
    return EXIT_FINDINGS if any(f.certainty is Certainty.CERTAIN for f in findings) else EXIT_CLEAN
