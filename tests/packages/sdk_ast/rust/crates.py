"""Small crates on disk, and what differs between two."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache

MANIFEST = '[package]\nname = "lib"\nversion = "1.0.0"\nedition = "2021"\n'
RULES = Rules()

needs_rust = pytest.mark.skipif(
    shutil.which("rustc") is None and shutil.which("rustc", path=str(Path.home() / ".cargo/bin")) is None,
    reason="there is no Rust here",
)


def crate(directory: Path, files: Mapping[str, str | bytes] | str) -> Path:
    """Write a crate; a text alone is its ``src/lib.rs``, and a Cargo.toml is added where there is none."""
    given: dict[str, str | bytes] = {"src/lib.rs": files} if isinstance(files, str) else dict(files)
    for name, content in {"Cargo.toml": MANIFEST, **given}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return directory


def compared(directory: Path, *, fast: bool = False) -> Comparison:
    """The comparison of ``old/`` and ``new/``, with that of clients unless it has to be fast."""
    policy = ApiPolicy()
    with Sources(Cache(), ReadOptions(language="rust", offline=True)) as sources:
        old, new = (sources.read(str(directory / side)) for side in ("old", "new"))
        found = compare(old, new, RULES, policy)
        return found if fast else judged(found, sources, RULES, policy)


def diff(
    directory: Path, old: Mapping[str, str | bytes] | str, new: Mapping[str, str | bytes] | str, *, fast: bool = False
) -> Comparison:
    """The comparison of two crates."""
    crate(directory / "old", old)
    crate(directory / "new", new)
    return compared(directory, fast=fast)
