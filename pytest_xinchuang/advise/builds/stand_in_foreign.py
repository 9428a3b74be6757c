"""Which files that are linked are of another machine: a linker refuses them, and an empty object in its place does not.

A part of ``stand_in.py``, which loads it where something is linked. It uses the standard library alone and imports nothing of
this package.
"""

from __future__ import annotations

import itertools
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEAD = 20
"""Bytes of an ELF file up to the end of e_machine (System V gABI, chapter 4)."""
MEMBER = 60
"""Bytes of the head of an archive's member (ar(5))."""


def machine(head: bytes) -> int:
    """The machine of an ELF file (e_machine); 0 for what is none."""
    if len(head) < HEAD or head[:4] != b"\x7fELF":
        return 0
    return int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")


def machines(path: str) -> set[int]:
    """The machines of an object, or of the members of an archive; none where a linker reads something else of it."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            if head[:8] != b"!<arch>\n":
                return {machine(head)} - {0}
            found: set[int] = set()
            at = 8
            while True:
                file.seek(at)
                member = file.read(MEMBER + HEAD)
                size = member[48:58].strip()
                if len(member) < MEMBER or not size.isdigit():
                    return found - {0}
                found.add(machine(member[MEMBER:]))
                at += MEMBER + int(size) + int(size) % 2
    except OSError:
        return set()


def libraries(flags: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The libraries of a link: the word, and the files that it may name, in the order in which a linker looks (ld(1), -l)."""
    pairs = [*itertools.pairwise(flags), (flags[-1], "")] if flags else []
    places = [word[2:] or following for word, following in pairs if word.startswith("-L")]
    for word, following in pairs:
        name = (word[2:] or following) if word.startswith("-l") else ""
        if name:
            files = [name[1:]] if name.startswith(":") else [f"lib{name}.so", f"lib{name}.a"]
            yield f"-l{name}", [path for place in places for file in files if os.path.isfile(path := f"{place}/{file}")]


def foreign(own: bytes, inputs: Sequence[str], flags: Sequence[str]) -> list[str]:
    """What a linker says of each file of another machine.

    Args:
        own: an object of the machine that is linked for.
    """
    mine = machine(own[:HEAD])
    said = [f"{path}: file in wrong format" for path in inputs if (of := machines(path)) and mine not in of]
    for word, files in libraries(flags):
        kinds = [machines(path) for path in files]
        if files and all(of and mine not in of for of in kinds):
            said.append(f"skipping incompatible {files[0]} when searching for {word}; cannot find {word}")
    return said
