"""The bank of defects: its mistakes are told by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.packages.sm_crypto.defects import load_bank

SHIPPED = resources.conformance_dir() / "sm_crypto" / "defects.yaml"


def test_codes_count_from_one_and_rise() -> None:
    """The first eighty without a gap; later ones have a ten for each matter."""
    defects = load_bank().defects
    assert defects[0].code == "SMD-01"
    ids = [d.id for d in defects]
    assert ids[:80] == list(range(1, 81)) and ids == sorted(set(ids))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("code: SMD-02", "code: SMD-01"), "the code SMD-01 is there twice"),
        (("flag: SumZero", "flag: SignatureRange"), "the flag SignatureRange is there twice"),
        (("code: SMD-02", "code: 2"), r"defects.yaml:16: defects.1.code: found 2"),
        (("code: SMD-02", "code: SMD-2"), r"defects.yaml:16: defects.1.code: found 'SMD-2'"),
        (("bug: AUTH_BYPASS", "bug: BAD"), r"defects.yaml:8: defects.0.bug: found 'BAD'"),
        (("    zh: 接受 r+s", "    zn: 接受 r+s"), r"zn: .*no such key here"),
    ],
)
def test_a_wrong_bank_is_told_by_line(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    path = tmp_path / "defects.yaml"
    assert change[0] in SHIPPED.read_text()
    path.write_text(SHIPPED.read_text().replace(*change, 1))
    with pytest.raises(DataFileError, match=expected):
        load_bank(path)
