"""x86-64 runs that were recorded elsewhere: the same runs come back, and what is not just that is refused."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.subject import Subject
from pytest_xinchuang.packages.mru import recorded
from pytest_xinchuang.packages.mru.bench import Bench
from pytest_xinchuang.packages.mru.recorded import read_record, record
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.sandbox.protocol import Ended, Outcome

SUBJECT = cast(Subject, SimpleNamespace(digest="sha256:one"))
ROOTFS = "sha256:root"


def run(
    stdout: bytes = b"a\n", ended: Ended = Ended.EXITED, code: int | None = 0, *, truncated: bool = False
) -> Outcome:
    return Outcome(("/xc/u/u",), ended, code, None, stdout, b"told\n", 3.0, 2.0, truncated)


def written(place: Path, change: Callable[[dict[str, Any]], None] | None = None, *, seal: bool = False) -> Path:
    data = record(SUBJECT, ROOTFS, False, {"u": run(), "u elsewhere": run(b"\xff\x00" * 1000)})
    if change:
        change(data)
    if seal:
        data["digest"] = recorded._digest(data)
    file = place / "reference.json"
    file.write_text(json.dumps(data))
    return file


def test_the_same_runs_come_back(tmp_path: Path) -> None:
    found = read_record(written(tmp_path), SUBJECT, ROOTFS)
    assert {key: (r.stdout, r.code, r.ended) for key, r in found.runs.items()} == {
        "u": (b"a\n", 0, Ended.EXITED),
        "u elsewhere": (b"\xff\x00" * 1000, 0, Ended.EXITED),
    }
    assert (found.emulated, found.evidence["recorded"]) == (False, found.digest)


def test_what_is_no_reference_is_left_out() -> None:
    runs = {"killed": run(ended=Ended.SIGNALED, code=None), "late": run(ended=Ended.TIMED_OUT, code=None)}
    data = record(SUBJECT, ROOTFS, False, {**runs, "cut": run(truncated=True), "good": run()})
    assert list(data["runs"]) == ["good"]


def bomb() -> str:
    return base64.b64encode(zlib.compress(bytes(1 << 20))).decode()


def _set(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for name in path[:-1]:
            data = data[name]
        data[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "seal", "told"),
    [
        (_set("runs", "u", "stdout", to=base64.b64encode(zlib.compress(b"b\n")).decode()), False, "it was changed"),
        (_set("emulated", to=True), False, "it was changed"),
        (_set("subject", to="sha256:two"), True, "another subject: sha256:two, and here is sha256:one"),
        (_set("suite", to="0.0.1"), True, "another suite: 0.0.1"),
        (_set("rootfs", to="sha256:other"), True, "another x86-64 root filesystem"),
        (_set("schema", to="xc-reference/2"), True, "no record of x86-64 runs"),
        (_set("runs", "u", "stdout", to="!"), True, "no record of x86-64 runs"),
        (_set("runs", "u", "stdout", to=base64.b64encode(zlib.compress(b"a")[:-2]).decode()), True, "no record"),
        (_set("runs", "u", "code", to=None), True, "no record of x86-64 runs"),
        (_set("runs", "u", "more", to=1), True, "no record of x86-64 runs"),
    ],
)
def test_what_is_not_this_record_is_refused(
    change: Callable[[dict[str, Any]], None], seal: bool, told: str, tmp_path: Path
) -> None:
    with pytest.raises(DataFileError, match=told):
        read_record(written(tmp_path, change, seal=seal), SUBJECT, ROOTFS)


def test_output_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, _set("runs", "u", "stdout", to=bomb()), seal=True)
    monkeypatch.setattr(recorded, "MOST_BYTES", 1 << 19)
    with pytest.raises(DataFileError, match="no record of x86-64 runs"):
        read_record(file, SUBJECT, ROOTFS)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"schema": "xc-reference/1"}'])
def test_what_is_no_json_of_ours_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "r").write_text(text)
    with pytest.raises(DataFileError, match="no record of x86-64 runs"):
        read_record(tmp_path / "r", SUBJECT, ROOTFS)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="No such file"):
        read_record(tmp_path / "r", SUBJECT, ROOTFS)


def test_a_run_that_was_recorded_is_taken_and_told_and_none_is_made(tmp_path: Path, platforms: Platforms) -> None:
    (tmp_path / "xinchuang.yaml").write_text(
        'schema: xc-subject/1\nname: x\nversion: "1"\nunits:\n  - {name: u, kind: rootfs, program: /bin/true}\n'
    )
    subject = load_subject(tmp_path)
    found = read_record(written(tmp_path), SUBJECT, ROOTFS)
    bench = Bench(platforms.get("kunpeng"), subject, cast(Any, None), cast(Any, None), found)
    unit = subject.file.units[0]
    assert bench.reference(unit) is found.runs["u"]
    assert bench.recorded_evidence(unit) == {"recorded": found.digest, "recorded_on": found.host}
    assert bench.reference_emulated is False
    assert Bench(platforms.get("kunpeng"), subject, cast(Any, None), cast(Any, None)).recorded_evidence(unit) == {}
