"""What a file that was not collected would have decided."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.run.unread import ids_in

KNOWN = {"ACME-001", "ACME-002", "ACME-003"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('@pytest.mark.xc_requirement("ACME-001")\ndef test_a(): pass', {"ACME-001"}),
        (
            'IDS = ["ACME-001", "ACME-003"]\n@pytest.mark.xc_requirement(*IDS)\ndef test_a(): pass',
            {"ACME-001", "ACME-003"},
        ),
        ("@pytest.mark.xc_requirement(*IDS)\ndef test_a(): pass", KNOWN),
        ('mark = xc_requirement("ACME-002")\ndef test_a(): pass', {"ACME-002"}),
        ('@pytest.mark.xc_requirement(f"ACME-{1:03}")\ndef test_a(): pass', KNOWN),
        ('print("ACME-001")\ndef test_a(): pass', set()),
        ('@pytest.mark.xc_requirement("OTHER-1")\ndef test_a(): pass', set()),
        ('@pytest.mark.xc_requirement("ACME-001")\ndef test_a(:', {"ACME-001"}),
        ("@pytest.mark.xc_requirement(\ndef test_a(:", KNOWN),
        ("", set()),
    ],
)
def test_ids_are_read_from_the_text(tmp_path: Path, text: str, found: set[str]) -> None:
    path = tmp_path / "test_x.py"
    path.write_text(text)
    assert ids_in(path, KNOWN) == found


def test_a_file_that_cannot_be_read_may_decide_anything(tmp_path: Path) -> None:
    assert ids_in(tmp_path, KNOWN) == KNOWN
