"""Lines that go on in the next are joined as the tool joins them that reads them."""

from __future__ import annotations

import pytest

from pytest_xinchuang.tools.lines import of_requirements, of_shell


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a==1 \\\n  --hash=x\nb==2\n", [(1, "a==1   --hash=x"), (3, "b==2")]),
        ("a==1.\\\n0\n", [(1, "a==1.0")]),
        ("a==1\\", [(1, "a==1")]),
        ("a==1 \\\n", [(1, "a==1")]),
        ("a==1\\\\\nb", [(1, "a==1b")]),
        ("# said \\\nevil==1\n", [(2, "evil==1")]),
        ("  # said \\\nevil==1\n", [(2, "evil==1")]),
        ("a==1 \\\n# said \\\nevil==1\n", [(1, "a==1"), (3, "evil==1")]),
        ("a==1 # said \\\nb==1\n", [(1, "a==1")]),
        ("a#b==1\n", [(1, "a#b==1")]),
        ("# \n\n  \nb", [(4, "b")]),
        ("\\\n\\\n", []),
        ("", []),
    ],
)
def test_requirements(text: str, wanted: list[tuple[int, str]]) -> None:
    assert list(of_requirements(text)) == wanted


@pytest.mark.tools
def test_requirements_are_joined_as_pip_joins_them() -> None:
    req_file = pytest.importorskip("pip._internal.req.req_file")
    for text in (
        "a \\\nb",
        "a\\",
        "# c \\\nb",
        "a \\\n # c \\\nb\\\n",
        "a # c \\\nb\nc",
        "\\a\\\n\\b",
        "a\\\\\nb\\\\",
        "a\n\\",
    ):
        assert list(of_requirements(text)) == list(req_file.preprocess(text)), text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("gcc -O\\\n2 a.c\ngcc b.c", [(1, "gcc -O2 a.c"), (3, "gcc b.c")]),
        ("gcc \\\n\t-O2", [(1, "gcc \t-O2")]),
        ("gcc 'a\\\\'\n", [(1, "gcc 'a\\\\'")]),
        ("gcc a\\\\\ngcc b", [(1, "gcc a\\\\"), (2, "gcc b")]),
        ("gcc a\\\\\\\nb", [(1, "gcc a\\\\b")]),
        ("gcc a\\", [(1, "gcc a")]),
        ("\n\n", [(1, ""), (2, "")]),
        ("", []),
    ],
)
def test_a_shell(text: str, wanted: list[tuple[int, str]]) -> None:
    assert list(of_shell(text)) == wanted
