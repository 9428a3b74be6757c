"""The one place where commands print."""

from __future__ import annotations

import sys

from pytest_xinchuang.messages import render


def speak(text: str, language: str, *, end: str = "\n", error: bool = False) -> None:
    """Print a text in a language, at once; ``error``: to standard error."""
    stream = sys.stderr if error else sys.stdout
    told = render(text, language)
    try:
        print(told, end=end, file=stream, flush=True)
    except UnicodeEncodeError:
        # Names of files may be no text at all, and not every terminal can show Chinese: what it cannot is shown by number.
        code = stream.encoding or "ascii"
        print(told.encode(code, "backslashreplace").decode(code), end=end, file=stream, flush=True)
