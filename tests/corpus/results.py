"""What was judged, as a table of kinds and a list of what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tests.corpus.judging import Judged, Outcome


def unexplained(judged: Sequence[Judged]) -> list[Judged]:
    """The wrong verdicts that nobody knows of."""
    return [each for each in judged if each.outcome is Outcome.WRONG and not each.known]


def outdated(judged: Sequence[Judged]) -> list[Judged]:
    """Verdicts that are listed as wrong, and are not."""
    return [each for each in judged if each.outcome is not Outcome.WRONG and each.known]


def table(judged: Sequence[Judged]) -> str:
    """Right, wrong and undecided verdicts of each kind: one for each artifact and platform."""
    rows: dict[str, Counter[Outcome]] = {}
    for each in judged:
        rows.setdefault(each.kind, Counter())[each.outcome] += 1
    files = {kind: len({each.file for each in judged if each.kind == kind}) for kind in rows}
    lines = [f"{'kind':24} {'files':>5} {'right':>6} {'wrong':>6} {'undecided':>10}"]
    for kind, counts in sorted(rows.items()):
        lines.append(_row(kind, files[kind], counts))
    lines.append(_row("all", sum(files.values()), sum(rows.values(), Counter())))
    return "\n".join(lines)


def _row(kind: str, files: int, counts: Counter[Outcome]) -> str:
    return f"{kind:24} {files:5} {counts[Outcome.RIGHT]:6} {counts[Outcome.WRONG]:6} {counts[Outcome.UNDECIDED]:10}"


def wrongs(judged: Sequence[Judged]) -> str:
    """Each wrong verdict with what was found, what is so, and why."""
    lines = []
    for each in judged:
        if each.outcome is not Outcome.WRONG:
            continue
        lines.append(f"wrong: {each.file} on {each.family}: {each.found}; the truth: {each.expected}")
        lines += [f"    {code} {place}" for code, place in each.codes.items()]
        lines.append(f"    truth: {each.why}")
        lines.append(f"    listed: {each.known}" if each.known else "    not explained")
    return "\n".join(lines)


def told_missing(faults: Mapping[str, str]) -> str:
    """The artifacts that could not be judged."""
    return "\n".join(f"not judged: {name}: {why}" for name, why in faults.items())
