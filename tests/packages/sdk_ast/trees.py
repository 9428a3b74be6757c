"""Small Go modules on disk, and what differs between two."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache

GO_MOD = "module example.com/m\n\ngo 1.21\n"


def tree(directory: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files; a go.mod is added where there is none, and no workspace."""
    own = {} if "go.work" in files else {"go.mod": GO_MOD}
    for name, content in {**own, **files}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return directory


def read(directory: Path, keep: Path | None = None, **options: Any) -> Snapshot:
    """The snapshot of a module; its file is kept at ``keep``."""
    with Sources(Cache(), ReadOptions(offline=True, **options)) as sources:
        found = sources.read(str(directory))
        place = keep or directory.with_suffix(".jsonl")
        place.write_bytes(found.path.read_bytes())
    return Snapshot(place, directory.name)


def diff(
    directory: Path,
    old: Mapping[str, str | bytes],
    new: Mapping[str, str | bytes],
    policy: ApiPolicy | None = None,
    **options: Any,
) -> Comparison:
    """Compare two modules."""
    before = read(tree(directory / "old", old), **options)
    return compare(before, read(tree(directory / "new", new), **options), Rules(), policy)


def rules_of(comparison: Comparison, weight: str | None = None) -> dict[str, list[str]]:
    """Rule -> symbols."""
    found: dict[str, list[str]] = {}
    for one in comparison.changes:
        if weight is None or one.weight == weight:
            found.setdefault(one.rule.id, []).append(one.change.symbol)
    return found
