"""Many runs at once, on one cache."""

from __future__ import annotations

import json
import os
import shutil
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


def test_ten_runs_at_once_share_a_cache_that_lacks_the_builds(tmp_path: Path) -> None:
    cache, shared = tmp_path / "cache", Cache()
    (cache / "entries").parent.mkdir()
    shutil.copytree(shared.root / "entries", cache / "entries", symlinks=True)
    if os.geteuid() == 0:  # what root provisions belongs to the sandboxes' user
        for directory, names, files in os.walk(cache / "entries/rootfs"):
            for name in (*names, *files):
                os.chown(Path(directory, name), 64321, 64321, follow_symlinks=False)
    (cache / "zig").symlink_to(shared.root / "zig")
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
        environment = {**os.environ, "XC_CACHE": str(cache)}
        runs.append((place, subprocess.Popen(argv, cwd=place, env=environment, stdout=subprocess.PIPE, text=True)))
    for place, process in runs:
        said, _ = process.communicate(timeout=300)
        report = json.loads((place / ".xc/report.json").read_text())
        assert report["grades"][0]["level"] == "L2", said[-3000:]
        assert not [r["id"] for r in report["requirements"] if r["verdict"] == "fail"]
    assert not list((cache / "tmp").iterdir())
    assert Cache(cache).clean() == []
