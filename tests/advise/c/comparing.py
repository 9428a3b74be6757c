"""What is said of the code of a small tree, each source of which is a unit."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.advise.c.compiler import Compilers
from pytest_xinchuang.advise.c.deeds import Deeds
from pytest_xinchuang.advise.c.units import Unit, Units, language_of
from pytest_xinchuang.core.advice import Surveyed
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import verbatim
from tests.advise.c.trees import ARM, LOONG, X86, platforms, tree_of, work_of


def surveyed(
    root: Path,
    files: dict[str, str],
    *names: str,
    guessed: bool = False,
    leave: tuple[str, ...] = (),
    words: tuple[str, ...] = ("-Iinclude",),
) -> Surveyed:
    """Compare a tree.

    Args:
        leave: sources that are no units.
        words: flags of each unit.
    """
    tree = tree_of(root / "tree", files)
    work = work_of(root, *(names or (ARM, LOONG)))
    units = tuple(
        Unit(name, "", words, language) for name in tree.files if (language := language_of(name)) and name not in leave
    )
    return Deeds(tree, work, Compilers(tree, work), lambda _triple: Units(units, verbatim("test"), guessed)).surveyed()


def short(platform: str) -> str:
    """The short name of a platform's id."""
    return next(name for name in (ARM, LOONG, X86) if platforms(name)[0].id == platform)


def told(said: Surveyed, *, notes: bool = False) -> set[tuple[str, str, str, str]]:
    """Platform (by its short name), code, certainty and place of each finding."""
    return {
        (short(f.platform), f.code, f.certainty.value, f.object)
        for f in said.findings
        if notes or f.certainty is not Certainty.NOTE
    }
