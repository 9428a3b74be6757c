"""What stands at a place of a source: a directive, a macro, an assembler's statement, and the conditions around it.

A compiler has said that something is wrong there; these say what it is, so that its words need not be understood.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

_INCLUDE = re.compile(r'\s*#\s*(?:include|include_next|import)\s*[<"]([^">]+)[">]')
_INCLUDES = re.compile(r"\s*#\s*(?:include|include_next|import)\b")
_ERROR = re.compile(r"\s*#\s*error\b")
_DEFINE = re.compile(r"\s*#\s*define\s+(\w+)(?:\(([^)]*)\))?")
_IF = re.compile(r"\s*#\s*(if|ifdef|ifndef|elif|elifdef|elifndef|else|endif)\b(.*)", re.DOTALL)
_ASM = re.compile(r"\b(?:asm|__asm|__asm__)\b")
_ASSERTION = re.compile(r"\b(?:_Static_assert|static_assert|BUILD_BUG_ON\w*|BOOST_STATIC_ASSERT\w*|C_ASSERT)\b")
_NAME = re.compile(r"[A-Za-z_]\w*")
_LITERAL = re.compile(r"[-+~]?\s*(?:0[xX][\da-fA-F']+|\d[\d']*|'(?:\\.[\da-fA-F]*|[^'\\])')[uUlLzZ]*")
_COMMENT = re.compile(r"/\*.*?(?:\*/|$)|//.*", re.DOTALL)
_HAS_INCLUDE = re.compile(r'\b__has_include\s*\(\s*[<"]([^">]+)[">]\s*\)')
_KEYWORDS = frozenset(
    {"defined", "__has_include", "__has_include_next", "__has_builtin", "__has_attribute", "and", "or", "not"}
)

_STATEMENT = 60
"""Lines that an assembler's statement is looked for above a place within it."""


@dataclass(frozen=True)
class Macro:
    """The definition of a macro.

    Attributes:
        line: of its ``#define``.
        text: with its continuations.
    """

    name: str
    line: int
    text: str


class Text:
    """A source's lines; their numbers start at 1."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")

    def line(self, number: int) -> str:
        """A line; "" for one that is not there."""
        return self._lines[number - 1].rstrip("\r") if 0 < number <= len(self._lines) else ""

    def _whole(self, number: int) -> tuple[int, str]:
        """The logical line that a line belongs to: its first number, and all of its text."""
        first = number
        while first > 1 and self.line(first - 1).endswith("\\"):
            first -= 1
        parts, last = [], first
        while self.line(last).endswith("\\"):
            parts.append(self.line(last)[:-1])
            last += 1
        return first, "\n".join([*parts, self.line(last)])

    def included(self, number: int) -> str:
        """The header that an ``#include`` names; "" where there is none."""
        found = _INCLUDE.match(self.line(number))
        return found[1] if found else ""

    def includes(self, number: int) -> bool:
        """Whether the line is an ``#include``, also of what a macro names."""
        return bool(_INCLUDES.match(self.line(number)))

    def is_error(self, number: int) -> bool:
        """Whether the line is an ``#error``."""
        return bool(_ERROR.match(self.line(number)))

    def macro(self, number: int) -> Macro | None:
        """The macro whose definition a line is within."""
        first, text = self._whole(number)
        found = _DEFINE.match(text)
        return Macro(found[1], first, text) if found else None

    def name_at(self, number: int, column: int) -> str:
        """The identifier at a place; columns count bytes from 1."""
        before = self.line(number).encode()[: max(0, column - 1)].decode(errors="replace")
        found = _NAME.match(self.line(number), len(before))
        return found[0] if found else ""

    def literal_at(self, number: int, column: int) -> str:
        """The constant that is written at a place, with its sign; "" where something else is."""
        before = self.line(number).encode()[: max(0, column - 1)].decode(errors="replace")
        found = _LITERAL.match(self.line(number), len(before))
        return found[0] if found else ""

    def in_assembly(self, number: int) -> bool:
        """Whether a line is part of an assembler's statement."""
        if _ASM.search(self.line(number)):
            return True
        macro = self.macro(number)
        if macro is not None:
            return bool(_ASM.search(macro.text))
        for above in range(number - 1, max(0, number - _STATEMENT), -1):
            line = _COMMENT.sub("", self.line(above)).rstrip()
            if self.macro(above) is not None:
                return False
            if _ASM.search(line):
                return not line.endswith(";")
            if line.endswith((";", "}")):
                return False
        return False

    def in_assertion(self, number: int) -> bool:
        """Whether a line asserts something of what the compiler knows."""
        return bool(_ASSERTION.search(self.line(number)) or _ASSERTION.search(self.line(number - 1)))

    def conditions(self, number: int) -> frozenset[str]:
        """The macros that decide whether a line is compiled: those of each ``#if`` around it, and of its branches before."""
        return frozenset(name for text in self._around(number) for name in _NAME.findall(text)) - _KEYWORDS

    def asks_for(self, number: int, header: str) -> bool:
        """Whether a line is compiled where ``__has_include`` finds a header."""
        return any(header in _HAS_INCLUDE.findall(text) for text in self._around(number))

    def _around(self, number: int) -> list[str]:
        """The conditions around a line: of each ``#if`` and of its branches before, without comments."""
        around: list[list[str]] = []
        current = 1
        while current < number:
            first, text = self._whole(current)
            found = _IF.match(text)
            if found:
                condition = _COMMENT.sub("", found[2])
                match found[1]:
                    case "if" | "ifdef" | "ifndef":
                        around.append([condition])
                    case "endif":
                        del around[-1:]
                    case _:
                        if around:
                            around[-1].append(condition)
            current = first + text.count("\n") + 1
        return [text for branches in around for text in branches]

    def defines(self) -> frozenset[str]:
        """All macros that it defines."""
        return frozenset(found[1] for line in self._lines if (found := _DEFINE.match(line)))


def words_of(path: str) -> Sequence[str]:
    """The words of a path: ``src/x86/crc32_sse42.c`` -> src, x86, crc32, sse42, c; with pairs, as x86_64 is one."""
    words = [word for word in re.split(r"[^a-z0-9]+", path.lower()) if word]
    pairs = [f"{a}_{b}" for a, b in itertools.pairwise(words)]
    return [*words, *pairs]
