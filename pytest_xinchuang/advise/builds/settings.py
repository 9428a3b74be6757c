"""The variables without which make builds a tree on no x86-64: what it compiles there is what a port begins with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from pytest_xinchuang.advise.builds.kinds import Build, Outcome, builds_of
from pytest_xinchuang.advise.c.baseline import Baseline
from pytest_xinchuang.advise.c.causes import Reader
from pytest_xinchuang.advise.c.compiler import Compilers
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work

MOST = 4
"""Settings of one makefile that are tried."""

_CONDITION = re.compile(r"^[ \t]*(?:else[ \t]+)?ifn?eq[ \t]*(.+)$", re.MULTILINE)
_OPERANDS = re.compile(r"""\(([^,]*),(.*)\)\s*$|(["'])(.*?)\3\s*(["'])(.*?)\5\s*$""")
"""The two forms of a comparison (GNU make manual, 7.2)."""
_VARIABLE = re.compile(r"\$[({](?:strip\s+\$[({])?([A-Za-z_][A-Za-z_0-9]*)[)}]+")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_OTHERS = re.compile(
    r"i?[3-6x]86(?:[-_]64)?|x64|amd64|ia64|aarch\w*|arm\w*|loong\w*|(?:power)?ppc\w*|powerpc\w*|mips\w*|s390x?|sparc\w*|riscv\w*|alpha"
    r"|windows\w*|win(?:32|64)?|mingw\w*|cygwin\w*|msys\w*|darwin|mac\w*|osx|ios|\w*bsd|dragonfly|sunos|solaris|aix|haiku|linux|android",
    re.IGNORECASE,
)
"""Words of machines and systems: a build for another one is none for x86-64."""

Run = Callable[[tuple[Build, ...]], tuple[Outcome, ...]]
"""Runs builds in the guise of x86-64."""


def compared(text: str) -> tuple[str, ...]:
    """The settings that a makefile asks for by comparing a variable with a word: ``BACKEND=x86emu``.

    A variable that the makefile computes, and a word that names a machine or a system, say where the build runs.
    """
    found: dict[str, None] = {}
    for condition in _CONDITION.finditer(text):
        operands = _OPERANDS.match(condition[1].strip())
        if operands is None:
            continue
        pair = [(operand or "").strip() for operand in (operands[1] or operands[4], operands[2] or operands[6])]
        for one, other in (pair, pair[::-1]):
            name, word = _VARIABLE.fullmatch(one), _WORD.fullmatch(other)
            if name and word and not _OTHERS.fullmatch(word[0]) and not _computed(text, name[1]):
                found[f"{name[1]}={word[0]}"] = None
    return tuple(found)


def _computed(text: str, name: str) -> bool:
    """Whether what a makefile assigns to a variable is made of others, or of what a program says."""
    assigned = re.compile(rf"^[ \t]*(?:override[ \t]+|export[ \t]+)*{name}[ \t]*(?:[:?+!]|:::?)?=(.*)$", re.MULTILINE)
    return any("$" in value for value in assigned.findall(text))


def needed(tree: SourceTree, work: Work, run: Run) -> tuple[Build, ...]:
    """The builds of a tree, each as x86-64 compiles what it hands to a compiler.

    Where x86-64 refuses a source of make's as it is, and all of what make compiles with a setting that its makefile knows, the
    build is one with that setting: as it is, it builds nowhere.
    """
    builds = builds_of(tree)
    chosen = list(builds)
    for index, build in enumerate(builds):
        settings = compared(tree.text(build.file) or "") if build.kind == "make" else ()
        if not settings:
            continue
        taken, refused = _compiled(tree, work, run(builds)[index])
        if not refused:
            continue
        for setting in settings[:MOST]:
            other = replace(build, settings=(setting,))
            more, refused = _compiled(tree, work, run((*builds[:index], other, *builds[index + 1 :]))[index])
            if not refused and taken < more:
                chosen[index] = other
                break
    return tuple(chosen)


def _compiled(tree: SourceTree, work: Work, outcome: Outcome) -> tuple[frozenset[str], frozenset[str]]:
    """The sources that x86-64 compiles, and those in which it refuses something that is no missing header."""
    compilers = Compilers(tree, work)
    base = Baseline(compilers, Reader(tree, compilers.targets.lib), [work.baseline])
    done = base.compile(outcome.units, machine=True)
    taken = frozenset(c.unit.source for c in done if c.ok)
    return taken, frozenset(c.unit.source for c in done if not c.ok and not c.answer.lost and not c.stubs)
