"""What somebody has accepted of what was found: baselines, and suppressions with a reason and a last day."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from pytest_xinchuang.core.accepted import accept, fingerprint, read_baseline, read_suppressions
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.finding import Certainty, Finding

DAY = datetime.date(2026, 6, 1)
GOOD = """schema: xc-suppressions/1
suppressions:
  - {code: XC-ADV-001, path: "third_party/*", platform: "loongson*", reason: we do not build it, expires: 2026-12-31}
"""


def _finding(place: str = "third_party/x.c:7", error: str = "x.c:7:3: no", **more: str) -> Finding:
    params = {"error": error, "units": "1 unit", "advice": "a", "advice_zh": "a"}
    values = {"code": "XC-ADV-001", "platform": "loongson_3a5000-kylin_v11", **more}
    return Finding(values["code"], Certainty.CERTAIN, place, values["platform"], params)


def test_a_fingerprint_outlives_moved_lines_and_more_units() -> None:
    one = _finding()
    assert fingerprint(one) == fingerprint(_finding("third_party/x.c:12", "x.c:12:3: no"))
    others = [_finding(error="else"), _finding("b.c:7"), _finding(platform="kunpeng"), _finding(code="XC-ADV-020")]
    assert fingerprint(one) not in map(fingerprint, others) and len(set(map(fingerprint, others))) == 4


def test_a_suppression_is_for_its_code_path_and_platform(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(GOOD)
    own = _finding()
    others = [_finding("src/x.c:7"), _finding(platform="kunpeng920-kylin_v10"), _finding(code="XC-ADV-020")]
    accepted = accept([own, *others], frozenset(), read_suppressions(file), DAY)
    assert "we do not build it" in str(accepted.of(own)) and not accepted.notes
    assert [accepted.of(f) for f in others] == [None] * 3


def test_one_that_has_expired_accepts_nothing_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(GOOD)
    suppressions = read_suppressions(file)
    last = accept([_finding()], frozenset(), suppressions, datetime.date(2026, 12, 31))
    assert last.of(_finding()) is not None
    late = accept([_finding()], frozenset(), suppressions, datetime.date(2027, 1, 1))
    assert late.of(_finding()) is None and "expired on 2026-12-31" in str(late.notes[0])
    nothing = accept([_finding("src/y.c")], frozenset(), suppressions, DAY)
    assert "for nothing that was found" in str(nothing.notes[0])


@pytest.mark.parametrize(
    "text",
    [
        "schema: xc-suppressions/2\n",
        GOOD.replace("reason: we do not build it, ", ""),
        GOOD.replace("2026-12-31", "soon"),
        GOOD.replace("XC-ADV-001", "all"),
        "- a",
        "\0",
    ],
)
def test_a_malformed_file_of_suppressions_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(text)
    with pytest.raises(DataFileError):
        read_suppressions(file)


def test_a_baseline_has_what_it_knows_by_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    known = {"fingerprint": fingerprint(_finding())}
    file.write_text(json.dumps({"schema": "xc-advice/1", "platforms": [{"findings": [known]}]}))
    accepted = accept([_finding("third_party/x.c:70"), _finding("n.c:1")], read_baseline(file), (), DAY)
    assert "baseline" in str(accepted.of(_finding())) and accepted.of(_finding("n.c:1")) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[" * 100_000, '{"schema": "xc-advice/1", "platforms": [{}]}', "null"]
)
def test_what_is_no_baseline_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    file.write_text(text)
    with pytest.raises(DataFileError):
        read_baseline(file)
    with pytest.raises(DataFileError):
        read_baseline(tmp_path / "none.json")
