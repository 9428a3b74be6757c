"""Small trees of sources, and what surveys are handed beside them."""

from __future__ import annotations

import functools
from pathlib import Path

from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import baseline
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.platform import Arch, Platform, load_platforms

ARM, LOONG, X86 = "kunpeng", "loongson", "hygon"


def tree_of(root: Path, files: dict[str, str]) -> SourceTree:
    """A tree of files: name -> text."""
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return SourceTree(root)


@functools.cache
def platforms(*names: str) -> tuple[Platform, ...]:
    known = load_platforms(resources.platforms_file())
    return tuple(known.get(name) for name in names)


def work_of(root: Path, *names: str, kept: Path | None = None) -> Work:
    """What a survey is handed, with its scratch directory below ``root``."""
    chosen = platforms(*(names or (ARM, LOONG)))
    amd64 = load_platforms(resources.platforms_file()).file.architectures[Arch.AMD64]
    scratch = root / "scratch"
    scratch.mkdir(exist_ok=True)
    return Work(platforms=chosen, baseline=baseline(chosen, amd64), scratch=scratch.resolve(), kept=kept, jobs=2)
