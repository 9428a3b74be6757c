"""Many runs at once, on one cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_xinchuang.provision.cache import Cache

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

MANIFEST = """
schema: xc-subject/1
name: hello
version: "1"
units:
  - {name: hello, kind: rootfs, program: /bin/echo, args: [hello], expect: {stdout: "hello\\n", source: POSIX echo}}
  - {name: c, kind: c, sources: [u.c], expect: {stdout: "hello\\n", source: its own text}}
"""


def test_ten_runs_at_once_share_a_cache_that_lacks_the_builds(small_cache: Path, tmp_path: Path) -> None:
    runs = []
    for number in range(10):
        place = tmp_path / f"run{number}"
        place.mkdir()
        (place / "xinchuang.yaml").write_text(MANIFEST)
        (place / "u.c").write_text('#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n')
        argv = [
            sys.executable,
            "-m",
            "pytest",
            "--xc-platform=phytium",
            "--xc-subject=.",
            "-p",
            "no:cacheprovider",
            "-q",
        ]
        environment = {**os.environ, "XC_CACHE": str(small_cache)}
        runs.append((place, subprocess.Popen(argv, cwd=place, env=environment, stdout=subprocess.PIPE, text=True)))
    for place, process in runs:
        said, _ = process.communicate(timeout=300)
        report = json.loads((place / ".xc/report.json").read_text())
        assert report["grades"][0]["level"] == "L2", said[-3000:]
        assert not [r["id"] for r in report["requirements"] if r["verdict"] == "fail"]
    assert not list((small_cache / "tmp").iterdir())
    assert Cache(small_cache).clean() == []
