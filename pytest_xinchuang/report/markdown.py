"""The grades as a comment of a merge request: short, bounded, and safe, whatever the subject has put into the texts.

What the subject, its journal or its tools may have written stands in code spans, in which nothing is a link, a mention, an
emoji or HTML (CommonMark 0.31, 6.1; so it is on GitHub, GitLab and Gitee). It can end neither the span nor a cell of the table.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, urlsplit

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.grade import Grade, RunResult
from pytest_xinchuang.core.result import RequirementResult
from pytest_xinchuang.core.sealed import standing
from pytest_xinchuang.core.verdict import Level, Verdict
from pytest_xinchuang.messages import LANGUAGES, Message, _, both, n_, verbatim
from pytest_xinchuang.report.columns import shortened
from pytest_xinchuang.report.terminal import evidence_kind, level_cell

MARK = "<!-- xc-report -->"
"""The first line: whoever writes the comment again finds the old one by it."""

LIMIT = 60_000
"""Characters of a comment: GitHub takes 65,536, GitLab a million."""

_SHOWN = 8
"""So many requirements that stand in the way are told for each platform; report.json has them all."""

_TEXT = 300
"""Characters of a reason or a mend."""

_FILES = ("report.json", "junit.xml", "journal.ndjson")


def comment(result: RunResult, *, language: str = LANGUAGES[0], artifacts: str = "") -> str:
    """The comment.

    Args:
        artifacts: the address where the report directory can be seen or fetched; "": it is not linked.

    Raises:
        XcError: the address is none of HTTP.
    """
    return _Comment(result, language, _address(artifacts)).text()


def code(text: str, limit: int = _TEXT) -> str:
    """A text of others as a code span in one line; what could end it is replaced by what looks like it."""
    plain = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)
    plain = shortened(" ".join(plain.replace("`", "'").replace("|", "¦").split()), limit)
    # A span of nothing is none, and a backslash before its end is no escape.
    return f"`{plain}`" if plain else ""


def _address(text: str) -> str:
    """An address as it may stand in a link.

    Raises:
        XcError: it is none of HTTP.
    """
    if not text:
        return ""
    try:
        good = urlsplit(text).scheme in ("http", "https") and bool(urlsplit(text).netloc)
    except ValueError:
        good = False
    if not good:
        raise XcError(_("--artifacts={given}: no address of HTTP", given=verbatim(text)))
    return quote(text, safe="/:?#@!$&*+,;=%~-._").rstrip("/")


class _Comment:
    def __init__(self, result: RunResult, language: str, artifacts: str) -> None:
        self.result, self.language, self.artifacts = result, language, artifacts

    def say(self, text: Message) -> str:
        return text.render(self.language)

    def text(self) -> str:
        head, tail = [MARK, self._heading(), "", *self._table(), ""], self._tail()
        room = LIMIT - sum(len(line) + 1 for line in (*head, *tail)) - 200
        body: list[str] = []
        left_out = 0
        for grade in self.result.grades:
            block = self._platform(grade)
            size = sum(len(line) + 1 for line in block)
            if size > room:
                left_out += bool(block)
                continue
            room -= size
            body += block
        if left_out:
            body += [self.say(n_("... and {n} more platform", "... and {n} more platforms", left_out)), ""]
        return "\n".join([*head, *body, *tail]) + "\n"

    def _heading(self) -> str:
        started = self.result.journal.started
        heading = _(
            "Xinchuang grade of {subject} {version}",
            subject=verbatim(code(started.subject.name, 80)),
            version=verbatim(code(started.subject.version, 40)),
        )
        return f"### {self.say(heading)}"

    def _table(self) -> list[str]:
        """A row for each platform, as long as they fit into half of the room."""
        required = any(grade.required_level for grade in self.result.grades)
        heads = [_("platform"), _("grade"), *([_("required")] if required else []), *(verbatim(x.value) for x in Level)]
        heads.append(_("evidence"))
        rows = ["| " + " | ".join(self.say(head) for head in heads) + " |", "|" + " --- |" * len(heads)]
        size = 0
        for number, grade in enumerate(self.result.grades):
            row = self._row(grade, required)
            size += len(row) + 1
            if size > LIMIT // 2:
                more = len(self.result.grades) - number
                return [*rows, "", self.say(n_("... and {n} more platform", "... and {n} more platforms", more))]
            rows.append(row)
        return rows

    def _row(self, grade: Grade, required: bool) -> str:
        results = self.result.of(grade.platform)
        failed = any(r.effective is Verdict.FAIL for r in results) or not grade.reaches_required
        sign = "❌" if failed else "⚠️" if grade.level in (None, "L0") else "✅"
        level = grade.level or self.say(_("none"))
        level = f"{sign} **{level}**" + ("\\*" if grade.with_waivers else "")
        cells = [code(grade.platform, 80), level, *([grade.required_level or ""] if required else [])]
        cells += [self.say(level_cell([r for r in results if r.level is one])) for one in Level]
        return "| " + " | ".join([*cells, self.say(evidence_kind(grade))]) + " |"

    def _platform(self, grade: Grade) -> list[str]:
        """What stands in the way on a platform, folded."""
        by_id = {r.id: r for r in self.result.of(grade.platform)}
        shown = list(grade.blocking)
        shown += [r.id for r in by_id.values() if r.effective is Verdict.FAIL and r.id not in shown]
        if not shown and grade.level is not None:
            return []
        # Markdown is not read here, and HTML is: an id of letters, digits and the like alone.
        name = re.sub(r"[^\w.-]", "_", grade.platform)[:80]
        title = self.say(_("{platform}: what stands in the way", platform=verbatim(name)))
        lines = [f"<details><summary>{title}</summary>", ""]
        if grade.level is None:
            lines.append(f"- {code(self.say(grade.capped_by))}")
        for identifier in shown[:_SHOWN]:
            lines += self._requirement(by_id[identifier])
        if len(shown) > _SHOWN:
            more = len(shown) - _SHOWN
            lines.append(
                "- " + self.say(n_("... and {n} more in report.json", "... and {n} more in report.json", more))
            )
        return [*lines, "", "</details>", ""]

    def _requirement(self, r: RequirementResult) -> list[str]:
        word, title = self.say(r.effective.word), self.say(both(r.title))
        lines = [f"- **{word}** {r.level.value} {code(r.id, 60)} {code(title, 160)}"]
        if r.reason:
            lines.append(f"  - {code(self.say(r.reason))}")
        if r.mend and (r.verdict is not Verdict.NOT_TESTED or r.advised):
            mend = self.say(_("mend: {mend}", mend=verbatim(code(self.say(r.mend)))))
            lines.append(f"  - {mend}")
        return lines

    def _tail(self) -> list[str]:
        lines = [code(self.say(standing(self.result.journal)))]
        if any(grade.with_waivers for grade in self.result.grades):
            lines.append(self.say(_("\\* with waivers")))
        if any(g.fidelity.startswith("emulated") for g in self.result.grades):
            lines.append(self.say(_("Emulated: this is not a certificate for the real system.")))
        if self.artifacts:
            lines.append(f"[{', '.join(_FILES)}]({self.artifacts})")
        return [line for text in lines for line in (text, "")][:-1]
