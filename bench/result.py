"""What a benchmark found."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Row:
    """One way of doing the thing: the median of ``n`` samples in ``unit``."""

    name: str
    median: float
    unit: str
    n: int


@dataclass
class Result:
    """Rows, and ratios by name; ``notes`` say what could not be measured and why."""

    bench: str
    rows: list[Row] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)
    goals: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, samples: list[float], unit: str = "ms") -> float:
        median = statistics.median(samples)
        self.rows.append(Row(name, round(median, 2), unit, len(samples)))
        return median

    def json(self) -> str:
        return json.dumps(
            {"bench": self.bench, "rows": [asdict(r) for r in self.rows], "ratios": self.ratios, "notes": self.notes}
        )

    def table(self) -> str:
        width = max((len(r.name) for r in self.rows), default=0)
        lines = [f"{r.name:<{width}}  {r.median:>10.2f} {r.unit}  (n={r.n})" for r in self.rows]
        lines += [f"{name} = {value:.3f}   goal: {self.goals.get(name, '-')}" for name, value in self.ratios.items()]
        return "\n".join(lines + self.notes)
