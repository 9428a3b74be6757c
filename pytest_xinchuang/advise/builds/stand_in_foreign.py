"""What a linker refuses because it is of another machine, and an empty object in its place does not: files, and words.

A part of ``stand_in.py``, which loads it where something is linked. It uses the standard library alone and imports nothing of
this package.
"""

from __future__ import annotations

import itertools
import os
import re

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


X86_64 = 62
"""EM_X86_64 (System V gABI, e_machine)."""

EMULATIONS_OF_X86 = frozenset({"elf_x86_64", "elf_i386", "elf32_x86_64", "elf_iamcu"})
"""Of ld's emulations those that GNU ld for AArch64 or LoongArch has not (binutils, ld/configure.tgt)."""

FORMS_OF_X86 = ("elf64-x86-64", "elf32-x86-64", "elf32-i386", "pei-x86-64")
"""Names that BFD has for x86's files (binutils, bfd/config.bfd)."""

_SCRIPT = re.compile(r"OUTPUT_ARCH\s*\(\s*\"?(i386[:\w-]*)|OUTPUT_FORMAT\s*\(\s*\"?([\w-]+)")
"""The commands of a linker script that name a machine (GNU ld manual, 3.4.3 and 3.4.5)."""


def linker_words(flags: Sequence[str]) -> list[str]:
    """What a compiler's call hands to the linker (GCC manual, 3.15: -Wl, and -Xlinker), and its script."""
    found: list[str] = []
    words = iter(flags)
    for word in words:
        if word.startswith("-Wl,"):
            found += word[4:].split(",")
        elif word == "-Xlinker":
            found.append(next(words, ""))
        elif word == "-T":
            found += [word, next(words, "")]
    return found


def named(words: Sequence[str], *options: str) -> list[str]:
    """What follows options of a linker: behind ``=``, in the same word, or as the next one."""
    pairs = itertools.pairwise([*words, ""])
    return [
        word[len(o) :].removeprefix("=") or following
        for word, following in pairs
        for o in options
        if word.startswith(o)
    ]


def refused_words(own: bytes, words: Sequence[str]) -> list[str]:
    """What a linker says of words that name x86's emulation or form of file, or a script that does."""
    if machine(own[:HEAD]) == X86_64:
        return []
    said = [f"unrecognised emulation mode: {name}" for name in named(words, "-m") if name in EMULATIONS_OF_X86]
    forms = named(words, "--oformat", "-oformat", "--format", "-b")
    for path in named(words, "-T", "--script"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        for arch, form in _SCRIPT.findall(text):
            forms.append(form)
            if arch:
                said.append(f"{path}: cannot represent machine `{arch}'")
    return said + [f"cannot find the target `{form}'" for form in forms if form in FORMS_OF_X86]


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
