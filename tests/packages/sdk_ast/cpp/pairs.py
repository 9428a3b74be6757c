"""Two versions of a small library in C++ on disk, and what differs between them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache

RULES = Rules()
Files = Mapping[str, str | bytes]


def put(directory: Path, files: Files) -> Path:
    """Write files below a directory."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return directory


def diff(directory: Path, old: Files, new: Files, *, clients: bool = False, language: str = "cpp") -> Comparison:
    """What differs, by rules, or by clients too."""
    sides = [put(directory / "old", old), put(directory / "new", new)]
    with Sources(Cache(), ReadOptions(language=language, offline=True)) as sources:
        before, after = (sources.read(str(side)) for side in sides)
        found = compare(before, after, RULES)
        return judged(found, sources, RULES, ApiPolicy()) if clients else found


def told(comparison: Comparison, weight: str = "") -> set[str]:
    """The rules that were found, of a weight or of any."""
    return {one.rule.id for one in comparison.changes if weight in ("", one.weight)}
