"""The grades as a table for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_xinchuang.core.events import ChosenProfile
from pytest_xinchuang.core.grade import Grade, RunResult
from pytest_xinchuang.core.result import RequirementResult
from pytest_xinchuang.core.sealed import standing
from pytest_xinchuang.core.verdict import Cause, Fidelity, Level, Verdict
from pytest_xinchuang.messages import LANGUAGES, Message, _, both, joined, n_, render, verbatim
from pytest_xinchuang.report import parts
from pytest_xinchuang.report.columns import padded, shortened, width_of, wrapped

Writer = Callable[..., None]

_CELL = {
    Verdict.FAIL: _("FAIL"),
    Verdict.INCONCLUSIVE: _("open"),
    Verdict.NOT_TESTED: verbatim("-"),
}
_SHOWN = 8
"""So many requirements that stand in the way are told; report.json has them all."""


def write_table(result: RunResult, line: Writer, *, language: str = LANGUAGES[0], width: int = 100) -> None:
    """Write platforms x levels, and below each platform what blocks its next level and how to mend it.

    ``line(text, **markup)`` writes one line, as pytest's ``write_line`` does.

    Args:
        width: of the terminal, in columns.
    """
    _Table(result, line, language, width).write()


class _Table:
    def __init__(self, result: RunResult, line: Writer, language: str, width: int) -> None:
        self.result, self.language, self.width = result, language, width
        self._line = line

    def line(self, text: Message, indent: int = 0, **markup: bool) -> None:
        for line in wrapped(text.render(self.language), self.width - indent) or [""]:
            self._line(" " * indent + line, **markup)

    def write(self) -> None:
        result, started = self.result, self.result.journal.started
        self.line(
            _(
                "subject {subject} ({version}), profile {profile}, suite {suite}, packages {packages}",
                subject=started.subject.name,
                version=started.subject.version,
                profile=_profile(started.profile),
                suite=started.suite.version,
                packages=_names(started.packages) if started.packages else _("none"),
            )
        )
        self._grades()
        for grade in result.grades:
            self._blocking(grade, result.of(grade.platform))
        if any(g.with_waivers for g in result.grades):
            waived = sorted({i for g in result.grades for i in g.with_waivers})
            self.line(_("* with waivers: {requirements}", requirements=_names(waived)))
        for note in (*result.journal.notes, *result.waiver_notes):
            self.line(_("! {note}", note=note), yellow=True)
        self.line(standing(result.journal))
        if any(g.fidelity.startswith("emulated") for g in result.grades):
            self.line(_("Emulated: this is not a certificate for the real system. `needs native` asks for a board."))

    def _grades(self) -> None:
        result, say = self.result, self.language
        # No platform may be named shorter than its heading: CJK headings are as wide as they are.
        heading, grade_heading = _("platform").render(say), _("grade").render(say)
        names = max([width_of(g.platform) for g in result.grades], default=0)
        names = max(names, width_of(heading)) if result.grades else width_of(heading)
        shown = [(g.level or _("none").render(say)) + ("*" if g.with_waivers else "") for g in result.grades]
        grades = max(5, width_of(grade_heading), *(width_of(text) for text in shown)) if shown else 5
        rows = [
            [render(level_cell([r for r in result.of(grade.platform) if r.level is level]), say) for level in Level]
            for grade in result.grades
        ]
        widths = [max(9, *(width_of(row[n]) + 1 for row in rows)) if rows else 9 for n in range(len(Level))]
        heads = "".join(padded(level.value, w) for level, w in zip(Level, widths, strict=True))
        first = f"{padded(heading, names)}  {padded(grade_heading, grades)}  {heads}"
        # Where a row would be broken, the evidence stands on a line of its own.
        apart = any(
            width_of(first) + width_of(evidence_kind(grade).render(say)) > self.width for grade in result.grades
        )
        self._line(first.rstrip() if apart else first + _("evidence").render(say), bold=True)
        for grade, text, row in zip(result.grades, shown, rows, strict=True):
            cells = "".join(padded(cell, w) for cell, w in zip(row, widths, strict=True))
            how = evidence_kind(grade).render(say)
            row_text = f"{padded(grade.platform, names)}  {padded(text, grades)}  {cells}"
            self._line(row_text.rstrip() if apart else row_text + how, **_colour(grade, result.of(grade.platform)))
            if apart:
                self.line(_("evidence: {text}", text=verbatim(how)), 2)
        for ways in dict.fromkeys(grade.passed_over for grade in result.grades if grade.passed_over):
            self.line(_("passed over on this host: {ways}", ways=joined(ways)), 2)

        for grade in result.grades:
            if grade.fidelity == "native" and grade.differs:
                told = _(
                    "{platform}: the machine differs from what is written of it: {what}",
                    platform=grade.platform,
                    what=joined(grade.differs),
                )
                self.line(told, 2, yellow=True)

    def _blocking(self, grade: Grade, results: list[RequirementResult]) -> None:
        if grade.level is None:
            self.line(_("{platform}: {why}", platform=grade.platform, why=grade.capped_by), red=True)
        by_id = {r.id: r for r in results}
        shown = list(grade.blocking) if grade.level is not None else []
        shown += [r.id for r in results if r.effective is Verdict.FAIL and r.id not in shown]
        if shown:
            self._line("")
            self.line(_("{platform}: what stands in the way", platform=grade.platform), bold=True)
        for identifier in shown[:_SHOWN]:
            self._requirement(by_id[identifier])
        if len(shown) > _SHOWN:
            more = len(shown) - _SHOWN
            self.line(n_("... and {n} more in report.json", "... and {n} more in report.json", more), 2)
        blocked = [r.id for r in results if r.cause is Cause.BLOCKED and r.effective is Verdict.NOT_TESTED]
        if silent := [name for name in blocked if name not in shown[:_SHOWN]]:
            names = _names(silent[:_SHOWN])
            if len(silent) > _SHOWN:
                names = _("{names} and {n} more", names=names, n=len(silent) - _SHOWN)
            self.line(_("not tested, because what it needs has failed: {requirements}", requirements=names), 2)
        for text in parts.lines(self.result, grade):
            self.line(text, 2)
        flaky = [r.id for r in results if r.flaky]
        if flaky:
            self.line(_("flaky: {requirements}", requirements=_names(flaky)), 2, yellow=True)

    def _requirement(self, r: RequirementResult) -> None:
        self.line(
            _(
                "{requirement} {level} {verdict}: {title}",
                requirement=r.id,
                level=r.level.value,
                verdict=r.effective.word,
                title=both(r.title),
            ),
            2,
        )
        reason = shortened(r.reason.render(self.language), max(3 * self.width, 240))
        for line in wrapped(reason, self.width - 6):
            self._line(" " * 6 + line)
        if r.mend and (r.verdict is not Verdict.NOT_TESTED or r.advised):
            # Whole: whoever reads it copies the command out of it.
            first, *more = wrapped(_("mend: {mend}", mend=r.mend).render(self.language), self.width - 6)
            self._line(" " * 6 + first)
            for line in more:
                self._line(" " * 8 + line)


def _profile(profile: ChosenProfile) -> Message:
    """The profile's id, and its name where the journal has it."""
    if profile.title is None:
        return verbatim(profile.id)
    return _("{profile} ({title})", profile=profile.id, title=profile.title.message())


def _names(names: Sequence[str]) -> Message:
    return joined([verbatim(name) for name in names], _(", "))


def evidence_kind(grade: Grade) -> Message:
    """Of which kind the evidence is."""
    parts = [Fidelity(grade.fidelity).word]
    if grade.rootfs == "stand-in":
        parts.append(_("stand-in root filesystem"))
    if grade.facts != "shipped":
        parts.append(_("facts overridden"))
    return joined(parts, _(", "))


def level_cell(results: list[RequirementResult]) -> Message:
    mandatory = [r for r in results if r.mandatory]
    if not mandatory:
        return _("none")
    good = sum(r.clears for r in mandatory)
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_TESTED):
        if any(r.effective is verdict for r in mandatory):
            return _("{cell} {good}/{all}", cell=_CELL[verdict], good=good, all=len(mandatory))
    return _("{cell} {good}/{all}", cell=_("ok"), good=good, all=len(mandatory))


def _colour(grade: Grade, results: list[RequirementResult]) -> dict[str, bool]:
    if any(r.effective is Verdict.FAIL for r in results) or not grade.reaches_required:
        return {"red": True}
    return {"yellow": True} if grade.level in (None, "L0") else {"green": True}
