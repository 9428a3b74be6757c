"""Results of Go modules' own tests, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_xinchuang.gotest.result import ModuleResult, PackageResult, TestVerdict
from pytest_xinchuang.messages import LANGUAGES, Message, _, joined
from pytest_xinchuang.report.columns import padded

_VERDICT_WIDTH = 8
"""Columns for the verdict in front of a package's path."""
_REASON_LENGTH = 160
"""Characters of a reason in a table."""
_TOLD = (TestVerdict.FAIL, TestVerdict.NOT_JUDGED)
"""Verdicts of packages that get a line in the second table."""


def as_text(result: ModuleResult, language: str = LANGUAGES[0]) -> str:
    """A module's result: a line for each package, with the reason below it when the package did not pass."""
    where = {"module": result.module, "platform": result.platform}
    lines = [
        _("{module} on {platform} (emulated)", **where)
        if result.percent is None
        else _("{module} on {platform} (emulated), coverage {percent:.1f} %", **where, percent=result.percent)
    ]
    if result.error:
        lines.append(_("  not tried: {why}", why=result.error))
    texts = [line.render(language) for line in lines]
    for package in result.packages:
        texts += _package_lines(package, language)
    return "\n".join(texts) + "\n"


def _package_lines(package: PackageResult, language: str) -> list[str]:
    counts = [_("{count} {verdict}", count=package.count(v), verdict=v.word) for v in TestVerdict if package.count(v)]
    told = _(
        "({tests}; {seconds:.1f} s)",
        tests=joined(counts, _(", ")) if counts else _("no test"),
        seconds=package.wall_s,
    ).render(language)
    percent = f"  {package.percent:.1f} %" if package.percent is not None else ""
    verdict = padded(package.verdict.word.render(language), _VERDICT_WIDTH)
    lines = [f"  {verdict} {package.path}{percent}  {told}"]
    if package.reason:
        lines.append(f"  {'':{_VERDICT_WIDTH}} {package.reason.render(language)}")
    return lines


def as_markdown(data: Mapping[str, Any], language: str = LANGUAGES[0]) -> str:
    """Tables of what `xc go-test --format json` writes: one of modules and platforms, and one of packages that did not pass.

    Args:
        data: the JSON; its reasons are in ``language`` already.
    """

    def row(*cells: object) -> str:
        return f"| {' | '.join(map(str, cells))} |"

    def head(*titles: str) -> list[str]:
        return [row(*titles), "| --- " * len(titles) + "|"]

    def put(*words: Message) -> list[str]:
        return [word.render(language) for word in words]

    lines = head(*put(_("module"), _("platform"), _("coverage"), _("packages"), *(v.word for v in TestVerdict)))
    trouble = []
    for result in data["results"]:
        tests = (sum(p["tests"][v.value] for p in result["packages"]) for v in TestVerdict)
        percent = f"{result['coverage_percent']} %" if result["coverage_percent"] is not None else "-"
        lines.append(row(result["module"], result["platform"], percent, len(result["packages"]), *tests))
        for package in result["packages"]:
            verdict = TestVerdict(package["verdict"])
            if verdict in _TOLD:
                reason = package["reason"].replace("|", "\\|").replace("\n", " ")[:_REASON_LENGTH]
                trouble.append(row(package["package"], result["platform"], *put(verdict.word), reason))
    if trouble:
        lines += ["", *head(*put(_("package"), _("platform"), _("verdict"), _("why"))), *trouble]
    return "\n".join(lines) + "\n"
