"""Headers as texts: which macros one defines, and which words another has."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
_DEFINED = re.compile(r"^[ \t]*#[ \t]*(?:define|undef)[ \t]+(\w+)", re.M)
_WORD = re.compile(r"[A-Za-z_]\w*")


def without_comments(file: Path) -> str:
    """The text of a header."""
    return COMMENT.sub(" ", file.read_text(encoding="utf-8", errors="replace"))


@dataclass
class Texts:
    """The words of headers, each read once."""

    _words: dict[Path, tuple[frozenset[str], frozenset[str]]] = field(default_factory=dict)
    _touches: dict[tuple[Path, Path], bool] = field(default_factory=dict)

    def touches(self, first: Path, second: Path) -> bool:
        """Whether the first defines, or undefines, what the second speaks of: behind it, the second may be another."""
        key = (first, second)
        if key not in self._touches:
            self._touches[key] = not self._of(first)[0].isdisjoint(self._of(second)[1])
        return self._touches[key]

    def _of(self, file: Path) -> tuple[frozenset[str], frozenset[str]]:
        """What it defines, and all of its words."""
        if file not in self._words:
            text = without_comments(file)
            self._words[file] = frozenset(_DEFINED.findall(text)), frozenset(_WORD.findall(text))
        return self._words[file]
