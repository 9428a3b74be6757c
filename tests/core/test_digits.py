"""Numbers that others have written as digits."""

from __future__ import annotations

import pytest

from pytest_xinchuang.core.digits import number_in


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_a_number(text: str, number: int) -> None:
    assert number_in(text) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1\n", "1_0", "1e3", "²", "٣", "9" * 19, "9" * 5000])
def test_what_is_none(text: str) -> None:
    assert number_in(text) is None
