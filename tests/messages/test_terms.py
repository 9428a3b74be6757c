"""One word for one thing in Chinese too, as docs/glossary.md has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

import pytest_xinchuang
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.verdict import Verdict

PACKAGE = Path(pytest_xinchuang.__file__).parent
CHECKOUT = PACKAGE.parent
TERMS = {
    "许可清单": "允许清单",
    "准入清单": "允许清单",
    "桥接库": "系统调用桥",
    "OSV 公告": "安全公告",
    "未知目标系统": "等级方案",
}
"""A word that was used for something -> the glossary's."""
VERDICTS = {
    "fail": Verdict.FAIL,
    "failed": Verdict.FAIL,
    "FAIL": Verdict.FAIL,
    "pass": Verdict.PASS,
    "passed": Verdict.PASS,
    "open": Verdict.INCONCLUSIVE,
    "waived": Verdict.WAIVED,
}
"""What means a verdict in a cell or a line of its own, whatever the English form is."""


def _texts() -> list[Path]:
    found = [resources.platforms_file(), *sorted(resources.conformance_dir().rglob("*.yaml"))]
    return [*found, *sorted(PACKAGE.rglob("zh.po")), CHECKOUT / "README.zh-CN.md", *(CHECKOUT / "docs").glob("*.md")]


def test_the_glossary_has_the_words() -> None:
    glossary = (CHECKOUT / "docs" / "glossary.md").read_text()
    assert not [word for word in TERMS.values() if word not in glossary]
    assert not [word for word in TERMS if word in glossary]


@pytest.mark.parametrize("path", _texts(), ids=lambda path: "-".join(path.parts[-3:]))
def test_no_other_word_is_used(path: Path) -> None:
    text = path.read_text()
    assert not {word: TERMS[word] for word in TERMS if word in text}


def test_a_verdict_is_called_by_one_word() -> None:
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("zh.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale="zh"):
                if message.id in VERDICTS:
                    found.setdefault(str(message.id), set()).add(str(message.string))
    assert {"fail", "failed", "FAIL", "pass", "passed"} <= found.keys()
    words = {verdict: verdict.word.render("zh").removeprefix("已") for verdict in Verdict}
    assert not {
        text: said
        for text, said in found.items()
        if {re.sub(r"[（(].*", "", one).removeprefix("已") for one in said} != {words[VERDICTS[text]]}
    }
