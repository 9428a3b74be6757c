"""What probes of several kernels found, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.syscall_bridge.reference import Column, Divergence
from pytest_xinchuang.packages.syscall_bridge.runner import ProbeResult


def probes_as_dict(columns: Sequence[Column], divergences: Sequence[Divergence], profile: str) -> dict[str, Any]:
    """Everything, as plain data."""
    return {
        "schema": "xc-probe-report/1",
        "profile": profile,
        "columns": [
            {
                "name": c.name,
                "arch": c.arch,
                "fidelity": c.fidelity,
                "page": c.page,
                "kernel": c.kernel,
                "emulator": c.emulator,
                "results": dict(Counter(str(s.result) for s in c.seen)),
                "assertions": {
                    s.id: {"found": s.found, "expected": s.expected, "result": str(s.result)} for s in c.seen
                },
            }
            for c in columns
        ],
        "divergences": [{**asdict(d), "answers": dict(d.answers)} for d in divergences],
    }


def table_as_text(columns: Sequence[Column]) -> str:
    """Every assertion with each answer."""
    tables = [c.of() for c in columns]
    names = dict.fromkeys(name for table in tables for name in table)
    lines = ["assertion | " + " | ".join(c.name for c in columns)]
    for name in names:
        lines.append(f"{name} | " + " | ".join(table[name].found if name in table else "-" for table in tables))
    return "\n".join(lines) + "\n"


def divergences_as_text(columns: Sequence[Column], divergences: Sequence[Divergence], profile: str) -> str:
    """How each one did, and where they differ, with whose answer holds."""
    lines = []
    for c in columns:
        count = Counter(s.result for s in c.seen)
        bad = count[ProbeResult.FAILED] + count[ProbeResult.NOT_REACHED]
        rest = f", {count[ProbeResult.UNDOCUMENTED]} undocumented" if count[ProbeResult.UNDOCUMENTED] else ""
        lines.append(
            f"{c.name}: {count[ProbeResult.PASSED]} of {len(c.seen)} as {profile} has it, {bad} otherwise{rest} "
            f"({c.fidelity}, Linux {c.kernel}, pages of {c.page} bytes)"
        )
    for d in divergences:
        lines.append(f"\n{d.id}: expected {d.expected} ({d.source})")
        lines += [f"  {name}: {found}" for name, found in d.answers]
        lines.append(f"  why: {d.reason}; believe {d.believe}" if d.reason else "  UNEXPLAINED")
    unexplained = sum(not d.reason for d in divergences)
    lines.append(_("\n{n} differences, {unexplained} of them unexplained", n=len(divergences), unexplained=unexplained))
    return "\n".join(lines) + "\n"
