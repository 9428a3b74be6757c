"""Places in SARIF documents."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_xinchuang.report.sarif import place_of


@pytest.mark.parametrize(
    ("text", "uri", "region"),
    [
        ("a.go:12", "a.go", {"startLine": 12}),
        ("C:a.go:1", "C:a.go", {"startLine": 1}),
        ("a.go", "a.go", None),
        ("a.go:x", "a.go:x", None),
        # Lines count from 1: SARIF has no other.
        ("a.go:0", "a.go", None),
        ("a.go:²", "a.go:²", None),
        ("a.go:" + "9" * 5000, "a.go:" + "9" * 5000, None),
        (":3", ":3", None),
        ("", "go.mod", None),
    ],
)
def test_a_file_and_its_line(text: str, uri: str, region: dict[str, int] | None) -> None:
    expected: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    assert place_of(text, "go.mod") == {**expected, **({"region": region} if region else {})}
