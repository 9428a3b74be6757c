"""Small trees, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_xinchuang.advise.engine import advise
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import baseline
from pytest_xinchuang.advise.work import Survey, Work
from pytest_xinchuang.core.advice import Advice
from pytest_xinchuang.core.platform import Arch, Platforms

ASKED = ("kunpeng", "loongson", "hygon")
"""One platform of each architecture."""


def written(root: Path, files: dict[str, str]) -> Path:
    """Write a tree: name -> text; a script is executable."""
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        if text.startswith("#!"):
            place.chmod(0o755)
    return root


def work_for(platforms: Platforms, scratch: Path, *, build: bool = True, kept: Path | None = None) -> Work:
    """What a survey works with, for the three."""
    chosen = platforms.select(ASKED)
    return Work(
        platforms=chosen,
        baseline=baseline(chosen, platforms.file.architectures[Arch.AMD64]),
        scratch=scratch,
        kept=kept,
        build=build,
    )


def said(
    platforms: Platforms,
    tmp_path: Path,
    files: dict[str, str],
    *surveys: Survey,
    build: bool = True,
    kept: Path | None = None,
) -> dict[str, Advice]:
    """What surveys say of a tree, by the platforms' short names."""
    tree = SourceTree(written(tmp_path / "tree", files))
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    found = advise(tree, work_for(platforms, scratch, build=build, kept=kept), surveys)
    return dict(zip(ASKED, found, strict=True))


def told(advice: Advice) -> list[tuple[str, str, str]]:
    """Code, certainty and place of each finding."""
    return sorted((f.code, f.certainty.value, f.object) for f in advice.findings)


def whole(several: Sequence[Advice]) -> bool:
    """Whether each has judged all of the tree."""
    return all(part.whole for advice in several for part in advice.parts)
