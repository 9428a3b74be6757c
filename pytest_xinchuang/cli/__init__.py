"""The ``xc`` command."""

from __future__ import annotations


def main(arguments: list[str] | None = None) -> int:
    """Run ``xc``; returns the exit code."""
    from pytest_xinchuang.cli.entry import main as run

    return run(arguments)
