"""Numbers that others have written as digits."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"[0-9]{1,18}")
"""As many as a 64-bit number surely has; Python refuses to read 4,300 of them, and calls ``²`` a digit."""


def number_in(text: str) -> int | None:
    """The number that a text of ASCII digits is; None: it is none, or one that no machine word holds."""
    return int(text) if _DIGITS.fullmatch(text) else None
