"""Lines that go on in the next one, as each tool joins them."""

from __future__ import annotations

import re
from collections.abc import Iterator

_COMMENT = re.compile(r"(^|\s+)#.*$")
"""pip, req_file.py, COMMENT_RE."""


def of_shell(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a shell, each with the number of its first: a backslash and the end of its line are taken away.

    One that stands for itself, behind another backslash, joins nothing (POSIX, Shell Command Language, 2.2.1).
    """
    held, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start or number
        if (len(line) - len(line.rstrip("\\"))) % 2:
            held += line[:-1]
            continue
        yield start, held + line
        held, start = "", 0
    if held:
        yield start, held


def of_requirements(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a file of requirements that say something, without comments, each with the number of its first line.

    As pip joins them (req_file.py, join_lines and ignore_comments): nothing is put between, every backslash at either end of a
    line that goes on is dropped, a comment ends what goes on whatever it ends with, and so does the end of the file.
    """
    held: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        comment = _COMMENT.match(line)
        start = start or number
        if line.endswith("\\") and not comment:
            held.append(line.strip("\\"))
            continue
        yield from _said(start, "".join([*held, f" {line}" if comment else line]))
        held, start = [], 0
    yield from _said(start, "".join(held))


def _said(number: int, line: str) -> Iterator[tuple[int, str]]:
    plain = _COMMENT.sub("", line).strip()
    if plain:
        yield number, plain
