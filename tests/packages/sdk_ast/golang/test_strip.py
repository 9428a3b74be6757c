"""The Go program reads a source without its bodies and comments as the whole source: its own tests, run by Go."""

from __future__ import annotations

import os
import subprocess

import pytest

from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.goprograms import GOAPI, SOURCES
from pytest_xinchuang.tools.go import find_go

pytestmark = pytest.mark.tools


def test_the_programs_own_tests_pass() -> None:
    environment = {
        "GOFLAGS": "-mod=mod",
        "GOWORK": "off",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GOCACHE": str(Cache().root / "gocache"),
    }
    done = subprocess.run(
        [find_go(), "test", "-vet=all", "./..."],
        cwd=SOURCES / GOAPI,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
