"""Compilers' flags, as builds write them: which of them say what a source means, and which are for one machine."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_JOINED_OR_NEXT = ("-D", "-U", "-I", "-iquote", "-isystem", "-idirafter", "-include", "-imacros", "-ivfsoverlay", "-F")
"""Flags whose value is the rest of the word, or the next word (GCC manual, Preprocessor Options, Directory Options)."""

PATHS = ("-I", "-iquote", "-isystem", "-idirafter", "-include", "-imacros")
"""Those of them whose value is a path."""

_DIRECTORIES = ("-I", "-isystem", "-idirafter")
_OF_THE_SYSTEM = frozenset({"/usr/include", "/usr/local/include", "/usr/include/x86_64-linux-gnu"})
"""Where compilers look by themselves: GCC passes over a flag that names them (GCC manual, -I), and they are this host's own,
the last on Debian (Debian Policy, 9.1.1)."""

_MEANING = re.compile(
    r"-(?:std=.+|ansi|trigraphs|pthread|undef|nostdinc\+\+|"
    r"f(?:no-)?(?:signed-char|unsigned-char|short-enums|short-wchar|builtin(?:-.+)?|gnu89-inline|exceptions|rtti|char8_t|"
    r"ms-extensions|permissive|openmp|common|PIC|pic|PIE|pie|blocks|coroutines|concepts|lax-vector-conversions|"
    r"asm|dollars-in-identifiers|wrapv|strict-flex-arrays(?:=.+)?|plan9-extensions|sized-deallocation|aligned-new(?:=.+)?)|"
    r"f(?:reestanding|hosted))"
)
"""Flags that change what a source means or whether it is accepted. Others (optimisation, warnings, debugging, dependencies,
where results go, options of GCC alone) decide nothing of this, and clang refuses some of them."""

_MACHINE = re.compile(r"-m(?!acosx|iphoneos|windows|console|thread).+")
"""Flags of one machine (GCC manual, Machine-Dependent Options)."""

_NEXT = (
    "-o",
    "-include-pch",
    "-MF",
    "-MT",
    "-MQ",
    "-x",
    "-arch",
    "-target",
    "-L",
    "-l",
    "-T",
    "-u",
    "-z",
    "-Xlinker",
    "-Xassembler",
    "-Xclang",
    "-Xpreprocessor",
    "-aux-info",
    "--param",
    "-B",
    "-isysroot",
    "--sysroot",
    "-specs",
    "-wrapper",
    "-mllvm",
    "-G",
    "-A",
)
"""Flags whose next word is their value, and which are left out with it."""


@dataclass(frozen=True)
class Words:
    """The flags of one unit.

    Attributes:
        meaning: those that every machine's compiler is given.
        machine: those of one machine, e.g. ``-mavx2``.
    """

    meaning: tuple[str, ...]
    machine: tuple[str, ...]


def sorted_out(words: Sequence[str]) -> Words:
    """The flags that say what a source means, and those of one machine."""
    meaning: list[str] = []
    machine: list[str] = []
    rest = iter(_of_the_preprocessor(words))
    for word in rest:
        if word in _NEXT:
            next(rest, None)
            continue
        option = next((o for o in sorted(_JOINED_OR_NEXT, key=len, reverse=True) if word.startswith(o)), None)
        if option is not None:
            joined = word[len(option) :].removeprefix("=" if option.startswith("-i") else "")
            value = next(rest, None) if word == option else joined
            own = option in _DIRECTORIES and (value or "").rstrip("/") in _OF_THE_SYSTEM
            if value is not None and option != "-F" and word != "-I-" and not own:
                meaning += [option, value]
        elif _MEANING.fullmatch(word):
            meaning.append(word)
        elif _MACHINE.fullmatch(word) and not word.endswith("=native"):
            # what `native` means, the machine of a build decides, and not this one
            machine.append(word)
    return Words(tuple(meaning), tuple(machine))


def _of_the_preprocessor(words: Iterable[str]) -> Iterable[str]:
    for word in words:
        if word.startswith("-Wp,"):
            yield from word.split(",")[1:]
        else:
            yield word


def defined(words: Sequence[str]) -> frozenset[str]:
    """The macros that flags define."""
    pairs = itertools.pairwise(words)
    return frozenset(re.split(r"[=(]", value, maxsplit=1)[0] for option, value in pairs if option == "-D")
