"""Results of Go modules' own tests, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_xinchuang.gotest.result import ModuleResult, TestVerdict


def as_text(result: ModuleResult) -> str:
    """A module's result: a line for each package, and the first of what did not pass."""
    covered = f", coverage {result.percent:.1f} %" if result.percent is not None else ""
    lines = [f"{result.module} on {result.platform} (emulated){covered}"]
    if result.error:
        lines.append(f"  not tried: {result.error}")
    for package in result.packages:
        counts = [f"{package.count(v)} {v.value}" for v in TestVerdict if package.count(v)]
        percent = f"  {package.percent:.1f} %" if package.percent is not None else ""
        told = f"({', '.join(counts) or 'no test'}; {package.wall_s:.1f} s)"
        lines.append(f"  {package.verdict.value:<8} {package.path}{percent}  {told}")
        if package.reason:
            lines.append(f"           {package.reason}")
    return "\n".join(lines) + "\n"


def as_markdown(data: Mapping[str, Any]) -> str:
    """The JSON of `xc go-test --json` as tables: one of modules and platforms, and one of what did not pass."""
    verdicts = [v.value for v in TestVerdict]
    lines = [
        "| module | platform | coverage | packages | " + " | ".join(verdicts) + " |",
        "| --- " * (4 + len(verdicts)) + "|",
    ]
    trouble = []
    for result in data["results"]:
        tests = {v: sum(p["tests"][v] for p in result["packages"]) for v in verdicts}
        percent = f"{result['coverage_percent']} %" if result["coverage_percent"] is not None else "-"
        cells = [
            result["module"],
            result["platform"],
            percent,
            str(len(result["packages"])),
            *(str(tests[v]) for v in verdicts),
        ]
        lines.append(f"| {' | '.join(cells)} |")
        for package in result["packages"]:
            if package["verdict"] in ("fail", "cannot be judged under emulation"):
                reason = package["reason"].replace("|", "\\|").replace("\n", " ")[:160]
                trouble.append(f"| {package['package']} | {result['platform']} | {package['verdict']} | {reason} |")
    if trouble:
        lines += ["", "| package | platform | verdict | why |", "| --- | --- | --- | --- |", *trouble]
    return "\n".join(lines) + "\n"
