"""Reports the probes of several kernels side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import NOTHING, Message, _, joined, n_, verbatim
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


def table_lines(columns: Sequence[Column]) -> list[Message]:
    """Every assertion with each answer."""
    tables = [c.of() for c in columns]
    names = dict.fromkeys(name for table in tables for name in table)
    bar = verbatim(" | ")
    lines = [joined([_("assertion"), *(verbatim(c.name) for c in columns)], bar)]
    for name in names:
        answers = (table[name].found if name in table else verbatim("-") for table in tables)
        lines.append(joined([verbatim(name), *answers], bar))
    return lines


def divergence_lines(columns: Sequence[Column], divergences: Sequence[Divergence], profile: str) -> list[Message]:
    """The results of each column, and each difference with its reason."""
    lines: list[Message] = []
    for c in columns:
        count = Counter(s.result for s in c.seen)
        bad = count[ProbeResult.FAILED] + count[ProbeResult.NOT_REACHED]
        undocumented = count[ProbeResult.UNDOCUMENTED]
        lines.append(
            _(
                "{name}: {passed} of {all} as {profile} has it, {bad} otherwise{rest} "
                "({fidelity}, Linux {kernel}, pages of {page} bytes)",
                name=c.name,
                passed=count[ProbeResult.PASSED],
                all=len(c.seen),
                profile=profile,
                bad=bad,
                rest=_(", {n} undocumented", n=undocumented) if undocumented else NOTHING,
                fidelity=Fidelity.parse(c.fidelity).word,
                kernel=c.kernel,
                page=c.page,
            )
        )
    for d in divergences:
        lines.append(NOTHING)
        lines.append(_("{id}: expected {expected} ({source})", id=d.id, expected=d.expected, source=d.source))
        lines += [_("  {name}: {found}", name=name, found=found) for name, found in d.answers]
        believed = Fidelity.parse(d.believe).word
        why = _("  why: {reason}; believe {fidelity}", reason=d.reason, fidelity=believed)
        lines.append(why if d.reason else _("  UNEXPLAINED"))
    lines.append(NOTHING)
    unexplained = sum(not d.reason for d in divergences)
    told = n_(
        "{n} difference, {unexplained} of them unexplained",
        "{n} differences, {unexplained} of them unexplained",
        len(divergences),
        unexplained=unexplained,
    )
    return [*lines, told]
