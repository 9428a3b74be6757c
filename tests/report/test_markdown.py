"""The comment of a merge request: bounded, and nothing that a subject writes is more than text in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.grade import RunResult, grade_run
from pytest_xinchuang.core.journal import read_journal
from pytest_xinchuang.report.markdown import LIMIT, MARK, code, comment
from tests.core.test_grade import PLATFORM, SANDBOX, decided, required, started
from tests.journals import write_journal
from tests.outputs.test_reports import everything

HOSTILE = [
    "a | b || c\\| d \\\\| e",
    "`code` ``two`` ``` three\n```sh\nrm\n```",
    "</details><script>alert(1)</script><img src=x onerror=y>",
    "@everyone #1 !2 :tada: GH-1 user@host.example https://evil.example www.evil.example",
    "[text](https://evil.example) ![i](https://evil.example/i.png)",
    "line\r\nline\u2028line\x00\x1b[31m\u202ereversed\u2066 zero\u200bwidth",
    "# heading\n- list\n> quote\n\n| a |\n| - |",
    "trailing backslash \\",
]

SPAN = re.compile(r"`[^`\n]*`")


def of(tmp_path: Path, texts: list[str], platforms: int = 1, requirements: int = 1) -> RunResult:
    """A run of a subject that has put these texts wherever it can."""
    ids = [f"T-{n}" for n in range(requirements)]
    names = [PLATFORM, *(f"{PLATFORM}_{n}" for n in range(1, platforms))]
    text = "\n".join(texts)
    asked = [{**required(i, "L1"), "title": {"en": text, "zh": text}, "mend": {"en": text, "zh": text}} for i in ids]
    declared = [{"id": name, "uname": "aarch64", "facts": "shipped"} for name in names]
    begun = started(required=asked, platforms=declared)
    begun["subject"] = {**begun["subject"], "name": text, "version": text}
    events: list[dict[str, Any]] = [begun]
    events += [{**SANDBOX, "platform": name} for name in names]
    events += [
        {**decided(i, "fail", cause="subject"), "platform": name, "reason": text, "mend": text}
        for name in names
        for i in ids
    ]
    write_journal(tmp_path / "journal.ndjson", events)
    return grade_run(read_journal(tmp_path / "journal.ndjson"))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_subject_writes_is_text_in_a_code_span(text: str, language: str, tmp_path: Path) -> None:
    said = comment(of(tmp_path, [text]), language=language)
    assert said.startswith(f"{MARK}\n")
    for line in said.splitlines():
        assert line.count("`") % 2 == 0, line
        outside = SPAN.sub("", line.replace(MARK, ""))
        assert not re.search(r"@|#\d|https?:|www\.|evil|\[|\]\(|script|<(?!/?details>|/?summary>)", outside), line
        assert not re.search("[\x00-\x1f\u2028\u202a-\u202e\u2066-\u2069\u200b]", line)
    table = [line for line in said.splitlines() if line.startswith("|")]
    assert len(table) == 3 and len({line.count("|") for line in table}) == 1
    assert [line[:9] for line in said.splitlines()].count("<details>") == said.splitlines().count("</details>") == 1


def test_a_span_is_as_long_as_it_may_be() -> None:
    assert code("") == "" and code("\n\x00") == ""
    assert code("`a`|b\\") == "`'a'¦b\\`"
    assert len(code("x" * 10_000)) <= 302


@pytest.mark.parametrize(("platforms", "requirements"), [(212, 4), (5, 200), (1, 1)])
def test_it_is_bounded_however_much_there_is(platforms: int, requirements: int, tmp_path: Path) -> None:
    said = comment(of(tmp_path, ["字" * 2000], platforms, requirements), language="zh")
    assert len(said) <= LIMIT
    assert said.count("<details>") == said.count("</details>") > 0


def test_the_reports_are_linked_where_their_address_is_one(tmp_path: Path) -> None:
    write_journal(tmp_path / "journal.ndjson", everything())
    result = grade_run(read_journal(tmp_path / "journal.ndjson"))
    said = comment(result, artifacts="https://ci.example/job/1/artifacts/browse/.xc (x)")
    assert said.endswith("](https://ci.example/job/1/artifacts/browse/.xc%20%28x%29)\n")
    for wrong in ("javascript:alert(1)", "ftp://x/y", "reports", "http:///x", "http://[x"):
        with pytest.raises(XcError, match="no address of HTTP"):
            comment(result, artifacts=wrong)
