"""Secrets that reach a run by its arguments, its URLs or its environment, taken out of whatever is kept."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

HIDDEN = "***"
_IN_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/\s@\"'<>\\]+@")
"""Who somebody is, and by which password: the user information of RFC 3986, 3.2.1."""
_NAME = re.compile(r"token|secret|passw|passphrase|credential|api[-_]?key|private[-_]?key", re.IGNORECASE)
_IN_QUERY = re.compile(
    r"([?&;#][^=&\s\"'<>\\]*(?:token|secret|passw|credential|api[-_]?key|private[-_]?key|signature)[^=&\s\"'<>\\]*=)"
    r"[^&;#\s\"'<>\\]+",
    re.IGNORECASE,
)
"""A parameter with a telling name in the query of a URL, or in its fragment."""
_SHORTEST = 8
"""Characters of a value of the environment that is a secret: a shorter one would be found by chance in other texts."""


class Redactor:
    """Takes secrets out of texts and data.

    Args:
        environment: whose variables with telling names (``..._TOKEN``) hold secrets.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        values = {
            v for n, v in environment.items() if _NAME.search(n) and len(v) >= _SHORTEST and not v.startswith("/")
        }
        words = "|".join(re.escape(value) for value in sorted(values, key=len, reverse=True))
        self._values = re.compile(words) if words else None

    def text(self, text: str) -> str:
        """A text without them."""
        text = _IN_QUERY.sub(rf"\g<1>{HIDDEN}", _IN_URL.sub(rf"\g<1>{HIDDEN}@", text))
        return self._values.sub(HIDDEN, text) if self._values else text

    def argv(self, words: Sequence[str]) -> tuple[str, ...]:
        """A command line without them: also what follows an option, or another word, with a telling name."""
        found: list[str] = []
        hide_next = False
        for word in words:
            option, equals, value = word.partition("=")
            if not _NAME.search(option) and "=" in value and "://" not in value:
                # An option that sets another: -o token=abc, --override-ini=token=abc.
                inner, _equals, _value = value.partition("=")
                option = f"{option}={inner}"
            telling = _NAME.search(option) is not None
            if hide_next and not word.startswith("-"):
                word = HIDDEN
            elif telling and equals and " " not in option:
                word = f"{option}={HIDDEN}"
            hide_next = telling and not equals and option.startswith("-")
            found.append(self.text(word))
        return tuple(found)

    def data(self, value: Any) -> Any:
        """Data as JSON has it, without them."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.data(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(item) for item in value]
        return value
