from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.pofile import read_po

import pytest_xinchuang
from tests.messages.english import english_in

ROOT = Path(pytest_xinchuang.__file__).parent
CATALOGUES = sorted(ROOT.rglob("zh.po"))


def test_the_search_for_english_finds_some() -> None:
    assert english_in("  --offline   fetch nothing at all") == ["fetch nothing at"]
    assert english_in("u：it's not here, and was not") == ["and was not"]
    assert english_in("u：XC-MRU-004：no unit shows this") == ["no unit shows"]


def test_names_and_quotations_are_no_english() -> None:
    for text in (
        "用法：xc sm run [--platform ID]，不下载 OpenSSL 3.0",
        "第 1 行为 'one two three'，应为 'one two four'",
        "运行 `sudo make it so`，见 https://example.org/one/two three",
        "先运行 go mod download，或 pip install zstandard",
        "需要 libc.so.6 的 GLIBC_2.34 与 /usr/lib/a b",
    ):
        assert not english_in(text)


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.relative_to(ROOT).parts[-3])
def test_no_translation_has_english_left_in_it(path: Path) -> None:
    with path.open("rb") as file:
        texts = [
            text
            for m in read_po(file, locale="zh")
            if m.id
            for text in ([m.string] if isinstance(m.string, str) else m.string or ())
        ]
    assert not [(text, english_in(text)) for text in texts if english_in(text)]
