"""Builds and vets a Go module for an architecture, as its users would."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools.go import GoCommand, GoRun
from pytest_xinchuang.tools.process import Runner


def run_go(
    cache: Cache,
    directory: Path,
    words: tuple[str, ...],
    goarch: str,
    *,
    offline: bool = False,
    runner: Runner | None = None,
) -> GoRun:
    """Run ``go WORDS`` for linux on an architecture, without cgo.

    Raises:
        ToolchainFault: there is no Go, or it does not end.
    """
    go = GoCommand(runner or Runner(), offline, build_cache=cache.root / "gocache")
    return go.run(words, directory, changes={"GOOS": "linux", "GOARCH": goarch, "CGO_ENABLED": "0"}, workspace=True)
