"""The grades as a table for a terminal."""

from __future__ import annotations

from collections.abc import Callable

from pytest_xinchuang.core.grade import Grade, RunResult
from pytest_xinchuang.core.result import RequirementResult
from pytest_xinchuang.core.verdict import Level, Verdict

Writer = Callable[..., None]

_CELL = {
    Verdict.FAIL: "FAIL",
    Verdict.INCONCLUSIVE: "open",
    Verdict.NOT_TESTED: "-",
}


def write_table(result: RunResult, line: Writer, *, width: int = 100) -> None:
    """Write platforms x levels, and below each platform what blocks its next level and how to mend it.

    ``line(text, **markup)`` writes one line, as pytest's ``write_line`` does.
    """
    started = result.journal.started
    subject = started["subject"]
    line(
        f"subject {subject['name']} ({subject['version']}), profile {started['profile']['id']}, "
        f"suite {started['suite']['version']}, packages {', '.join(started['packages']) or 'none'}"
    )
    name_width = max([len(g.platform) for g in result.grades], default=8)
    rows = [
        [_cell([r for r in result.of(grade.platform) if r.level is level]) for level in Level]
        for grade in result.grades
    ]
    widths = [max(9, *(len(row[n]) + 1 for row in rows)) if rows else 9 for n in range(len(Level))]
    heads = "".join(f"{level.value:<{w}}" for level, w in zip(Level, widths, strict=True))
    line(f"{'platform':<{name_width}}  grade  {heads}evidence", bold=True)
    for grade, row in zip(result.grades, rows, strict=True):
        results = result.of(grade.platform)
        cells = "".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True))
        how = grade.fidelity + (", stand-in root filesystem" if grade.rootfs == "stand-in" else "")
        how += ", facts overridden" if grade.facts != "shipped" else ""
        shown = (grade.level or "none") + ("*" if grade.with_waivers else "")
        line(f"{grade.platform:<{name_width}}  {shown:<5}  {cells}{how}", **_colour(grade, results))
    for grade in result.grades:
        _write_blocking(grade, result.of(grade.platform), line, width)
    if any(g.with_waivers for g in result.grades):
        line("* with waivers: " + ", ".join(sorted({i for g in result.grades for i in g.with_waivers})))
    for note in result.waiver_notes:
        line(f"! {note}", yellow=True)
    if any(g.fidelity.startswith("emulated") for g in result.grades):
        line("Emulated: this is not a certificate for the real system. `needs native` asks for a board.")


def _cell(results: list[RequirementResult]) -> str:
    mandatory = [r for r in results if r.mandatory]
    if not mandatory:
        return "none"
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_TESTED):
        if any(r.effective is verdict for r in mandatory):
            good = sum(r.clears for r in mandatory)
            return f"{_CELL[verdict]} {good}/{len(mandatory)}"
    return f"ok {len(mandatory)}/{len(mandatory)}"


def _colour(grade: Grade, results: list[RequirementResult]) -> dict[str, bool]:
    if any(r.effective is Verdict.FAIL for r in results) or not grade.reaches_required:
        return {"red": True}
    return {"yellow": True} if grade.level in (None, "L0") else {"green": True}


def _write_blocking(grade: Grade, results: list[RequirementResult], line: Writer, width: int) -> None:
    if grade.level is None:
        line(f"{grade.platform}: {grade.capped_by}", red=True)
    by_id = {r.id: r for r in results}
    shown = list(grade.blocking) if grade.level is not None else []
    shown += [r.id for r in results if r.effective is Verdict.FAIL and r.id not in shown]
    if shown:
        line("")
        line(f"{grade.platform}: what stands in the way", bold=True)
    for identifier in shown[:8]:
        r = by_id[identifier]
        line(f"  {r.id} {r.level} {r.effective}: {r.title['en']}")
        line(f"      {_short(r.reason, 2 * width)}")
        if r.mend and r.verdict is not Verdict.NOT_TESTED:
            line(f"      mend: {_short(r.mend, width)}")
    if len(shown) > 8:
        line(f"  ... and {len(shown) - 8} more in report.json")
    flaky = [r.id for r in results if r.flaky]
    if flaky:
        line(f"  flaky: {', '.join(flaky)}", yellow=True)


def _short(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."
