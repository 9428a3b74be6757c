"""The first grade of a product that is prebuilt: no manifest, no tool chains, one command."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.sandbox

# write(1, "1\n", 2) and exit(0), in machine code of x86-64 and AArch64; the text stands behind it.
_CODE = {
    62: bytes.fromhex("b801000000bf01000000488d3510000000ba020000000f05b83c00000031ff0f05") + b"1\n",
    183: bytes.fromhex("080880d2200080d2c1000010420080d2010000d4a80b80d2000080d2010000d4") + b"1\n",
}


def program(machine: int) -> bytes:
    """A static program that prints 1 and ends well, whatever it is told (elf(5))."""
    code, at, start = _CODE[machine], 0x400000, 120
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, at + start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = start + len(code)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, at, at, size, size, 0x10000) + code


def grade(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-P",
        "-m",
        "pytest_xinchuang.cli",
        "grade",
        *words,
        "--platform",
        "kunpeng",
        "--offline",
    ]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)


def test_what_is_delivered_is_graded_without_a_manifest(tmp_path: Path) -> None:
    dist = tmp_path / "acme" / "dist"
    dist.mkdir(parents=True)
    (dist / "acme-arm64").write_bytes(program(183))
    (dist / "acme-amd64").write_bytes(program(62))
    first = grade(dist.parent, "dist")
    report = json.loads((dist.parent / ".xc/report.json").read_text())
    manifest = (dist.parent / "xinchuang.yaml").read_text()
    assert f"xc: wrote {dist.parent}/xinchuang.yaml" in first.stderr, first.stderr
    assert yaml.safe_load(manifest)["units"][0]["args"] == ["--version"]
    assert [(g["platform"], g["level"]) for g in report["grades"]] == [("kunpeng920-kylin_v10_sp3", "L1")], first.stdout
    again = grade(dist.parent, "dist")
    assert f"{dist.parent}/xinchuang.yaml is there, and is used" in again.stderr
    assert (dist.parent / "xinchuang.yaml").read_text() == manifest


def test_what_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    said = grade(tmp_path, "dist")
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == "xc: dist: there is no such file or directory\n"


def test_a_program_that_the_platform_kills_is_graded_and_fails(tmp_path: Path) -> None:
    dist = tmp_path / "acme" / "dist"
    dist.mkdir(parents=True)
    # An undefined instruction (udf #0) instead of the first one.
    (dist / "acme-arm64").write_bytes(program(183).replace(_CODE[183][:4], bytes(4)))
    said = grade(dist.parent, "dist")
    report = json.loads((dist.parent / ".xc/report.json").read_text())
    assert report["grades"][0]["level"] == "L0", said.stdout
    assert "XC-MRU-005" in report["grades"][0]["blocking"]
    assert said.returncode == 1


def test_x86_64_runs_that_were_recorded_are_compared_with(tmp_path: Path) -> None:
    for machine, arch in ((62, "amd64"), (183, "arm64")):
        (tmp_path / f"acme-{arch}").write_bytes(program(machine))
    (tmp_path / "xinchuang.yaml").write_text(
        'schema: xc-subject/1\nname: acme\nversion: "1"\n'
        "units:\n  - {name: acme, kind: binary, files: {amd64: acme-amd64, arm64: acme-arm64}}\n"
    )
    words = [
        sys.executable,
        "-P",
        "-m",
        "pytest_xinchuang.cli",
        "reference",
        "--platform",
        "kunpeng",
        "--output",
        "r.json",
    ]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    digest = json.loads((tmp_path / "r.json").read_text())["digest"]
    assert f"xc: 2 runs, {digest}" in done.stderr
    grade(tmp_path, "--reference", "r.json")
    report = json.loads((tmp_path / ".xc/report.json").read_text())
    assert {r["verdict"] for r in report["requirements"] if r["id"] == "XC-MRU-011"} == {"pass"}
    assert f'"recorded": "{digest}"' in (tmp_path / ".xc/journal.ndjson").read_text()
    (tmp_path / "acme-arm64").write_bytes(program(183) + b"\0")
    refused = grade(tmp_path, "--reference", "r.json")
    assert refused.returncode == 2
    assert "recorded with another subject" in refused.stdout + refused.stderr
