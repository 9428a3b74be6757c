"""The one place where commands print."""

from __future__ import annotations

import sys

from pytest_xinchuang.messages import render


def speak(text: str, language: str, *, end: str = "\n", error: bool = False) -> None:
    """Print a text in a language, at once; ``error``: to standard error."""
    print(render(text, language), end=end, file=sys.stderr if error else sys.stdout, flush=True)
