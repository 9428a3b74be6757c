"""What the hosts' reports say, as rows of one table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.hosts.declared import Host
from tests.hosts.machine import Ended


@dataclass(frozen=True)
class Row:
    """What was seen on one host.

    Attributes:
        grades: platform -> level, with what stands in the way of the next one.
        ways: platform -> how it was run there.
        seconds: what the grade took on the host. whole_s: with making the host. cpu_s: processor time of all that.
        hardware: why the grade may differ.
        problem: why there is no grade at all.
    """

    host: str
    grades: dict[str, str] = field(default_factory=dict)
    ways: dict[str, str] = field(default_factory=dict)
    blocking: dict[str, list[str]] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    seconds: int | None = None
    whole_s: float = 0.0
    cpu_s: float = 0.0
    hardware: str = ""
    problem: str = ""

    @property
    def told(self) -> str:
        if self.problem:
            return self.problem
        grades = ", ".join(
            f"{name.partition('-')[0]} {level} by {self.ways.get(name, '?')}" for name, level in self.grades.items()
        )
        took = f"{self.seconds} s ({self.whole_s:.0f} s in all, {self.cpu_s:.0f} s of a processor)"
        return f"{grades}; exit {self.status}, {took}"

    @property
    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def read_row(name: str, host: Host, ended: Ended, whole_s: float) -> Row:
    """A host's row."""
    if ended.problem:
        return Row(name, whole_s=whole_s, hardware=host.hardware, problem=ended.problem)
    said = ended.results / "said.txt"
    try:
        report = json.loads((ended.results / ".xc/report.json").read_text(encoding="utf-8"))
        status, seconds = (int((ended.results / file).read_text()) for file in ("status", "seconds"))
    except (OSError, ValueError) as error:
        lines = said.read_text(errors="replace").strip().splitlines()[-4:] if said.is_file() else []
        return Row(name, whole_s=whole_s, hardware=host.hardware, problem=f"no report ({error}): {' | '.join(lines)}")
    grades = {grade["platform"]: grade["level"] for grade in report["grades"]}
    blocking = {grade["platform"]: list(grade["blocking"]) for grade in report["grades"]}
    why = {grade["platform"]: str(grade.get("capped_by") or "") for grade in report["grades"]}
    return Row(
        name,
        grades,
        _ways(ended.results / ".xc"),
        blocking,
        why,
        status=status,
        seconds=seconds,
        whole_s=round(whole_s, 1),
        hardware=host.hardware,
    )


def _ways(reports: Path) -> dict[str, str]:
    """How each platform was run: the backend, who emulates children, and what the writable layer is."""
    found: dict[str, list[str]] = {}
    for journal in sorted(reports.rglob("journal.ndjson")):
        for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
            if '"kind": "sandbox"' not in line:
                continue
            event = json.loads(line)
            extra = event.get("extra") or {}
            more = [str(extra[key]) for key in ("children", "layer", "accelerator") if extra.get(key)]
            way = event["backend"] + (f" ({', '.join(more)})" if more else "")
            if event.get("degraded"):
                way += " degraded"
            ways = found.setdefault(event["platform"], [])
            if way not in ways:
                ways.append(way)
    return {platform: " + ".join(ways) for platform, ways in found.items()}


def best(rows: list[Row], level: str) -> dict[str, str]:
    """The best grade of each platform: ``level``, or what a host had beyond it."""
    platforms = {platform for row in rows for platform in row.grades}
    return {one: max([level, *(row.grades.get(one, "") for row in rows)]) for one in platforms}


def wrong(rows: list[Row], level: str) -> list[str]:
    """The hosts whose grades are not those of the best, where their hardware is not the reason."""
    top = best(rows, level)
    told = [row for row in rows if not row.hardware]
    return [row.host for row in told if row.problem or any(row.grades[one] != top[one] for one in row.grades)]


def table(rows: list[Row], level: str) -> str:
    """For people."""
    top = best(rows, level)
    lines = [f"{'host':22} {'platform':28} {'grade':6} {'s':>5}  way"]
    for row in rows:
        if row.problem:
            lines.append(f"{row.host:22} {'':28} {'-':6} {'':>5}  {row.problem}")
        for platform, grade in row.grades.items():
            mark = "" if grade == top[platform] else f"  not {top[platform]}: {row.hardware or row.why[platform]}"
            lines.append(f"{row.host:22} {platform:28} {grade:6} {row.seconds:>5}  {row.ways.get(platform, '?')}{mark}")
    return "\n".join(lines)
