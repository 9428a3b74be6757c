"""Builds and vets a Go module for an architecture, as its users would."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import find_go

TIMEOUT_S = 1200

# What the go command says when a module could not be fetched: the host's fault, not the subject's.
_UNREACHABLE = re.compile(
    r"dial tcp|no such host|connection refused|i/o timeout|TLS handshake|disabled by GOPROXY=off|50[0-9] |"
    r"No space left on device|cannot allocate memory"
)


@dataclass(frozen=True)
class GoRun:
    """One run of the go command over a module.

    Attributes:
        unreachable: a module could not be fetched, or the host was full.
    """

    argv: tuple[str, ...]
    code: int
    output: str

    @property
    def unreachable(self) -> bool:
        return self.code != 0 and bool(_UNREACHABLE.search(self.output))

    @property
    def telling(self) -> list[str]:
        """The lines that say what is wrong."""
        lines = [
            line for line in self.output.splitlines() if line.strip() and not line.startswith(("#", "go: downloading"))
        ]
        return lines or ["no message"]


def run_go(cache: Cache, directory: Path, words: tuple[str, ...], goarch: str, *, offline: bool = False) -> GoRun:
    """Run ``go WORDS`` for linux on an architecture, without cgo.

    Raises:
        ToolchainFault: there is no Go, or it does not end.
    """
    environment = {
        "GOOS": "linux",
        "GOARCH": goarch,
        "CGO_ENABLED": "0",
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",
        "GOCACHE": str(cache.root / "gocache"),
        **({"GOPROXY": "off"} if offline else {}),
    }
    argv = (find_go(), *words)
    try:
        done = subprocess.run(
            argv,
            cwd=directory,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainFault(f"go {words[0]} did not end: {error}") from error
    if done.returncode < 0:
        raise ToolchainFault(f"go {words[0]} was killed by signal {-done.returncode}")
    return GoRun(("go", *words), done.returncode, done.stdout + done.stderr)
