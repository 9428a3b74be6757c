"""Small source trees, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_xinchuang.advise.engine import advise
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import baseline
from pytest_xinchuang.advise.work import Survey, Work
from pytest_xinchuang.core.advice import Advice
from pytest_xinchuang.core.finding import Certainty, load_findings
from pytest_xinchuang.core.platform import Arch, Platforms


def written(root: Path, files: dict[str, str]) -> Path:
    """A tree of files."""
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root


def advised(
    root: Path,
    survey: Survey,
    platforms: Platforms,
    names: Sequence[str] = ("kunpeng", "loongson"),
    *,
    scratch: Path,
    kept: Path | None = None,
    offline: bool = True,
) -> dict[str, Advice]:
    """What one survey says of a tree, by the names that were asked about."""
    chosen = platforms.select(names)
    scratch.mkdir(exist_ok=True)
    work = Work(
        platforms=chosen,
        baseline=baseline(chosen, platforms.file.architectures[Arch.AMD64]),
        scratch=scratch,
        kept=kept,
        offline=offline,
    )
    return dict(zip(names, advise(SourceTree(root), work, [survey]), strict=True))


def said(advice: Advice, certainty: Certainty | None = None) -> list[tuple[str, str]]:
    """(code, place) of the findings; each has a whole text in both languages."""
    catalogue = load_findings()
    for finding in advice.findings:
        for text in (catalogue.text(finding), catalogue.mend(finding)):
            assert not any(mark in text.render(language) for language in ("en", "zh") for mark in "{}"), text
    return sorted((f.code, f.object) for f in advice.findings if certainty is None or f.certainty is certainty)
