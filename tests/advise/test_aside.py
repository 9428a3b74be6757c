"""Files that no product needs."""

from __future__ import annotations

import pytest

from pytest_xinchuang.advise.aside import is_aside


@pytest.mark.parametrize(
    "name", ["tests/a.py", "src/test/java/A.java", "a/test_b.py", "x.spec.ts", "Docs/uv.lock", "conftest.py"]
)
def test_aside(name: str) -> None:
    assert is_aside(name)


@pytest.mark.parametrize(
    "name", ["a.py", "src/main/java/A.java", "testament/a.py", "contest.py", "latest/uv.lock", "spectrum.js"]
)
def test_of_the_product(name: str) -> None:
    assert not is_aside(name)
