"""What is pinned, from a real mirror, is what it was when it was pinned."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.provision.cache import tree_digest
from pytest_xinchuang.provision.pins import shipped
from pytest_xinchuang.provision.rootfs import build_rootfs
from pytest_xinchuang.provision.supply import Supply

pytestmark = pytest.mark.registry

NAME = "bullseye-arm64"
"""Its suite has had its last release: mirrors keep what is pinned of it."""


def test_the_pinned_packages_make_the_pinned_tree(tmp_path: Path, platforms: Platforms) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    _source, facts = build_rootfs(Supply(tmp_path / "packages"), NAME, platforms.file.rootfs[NAME], tree)
    assert facts["libc"] == "2.31"
    assert tree_digest(tree) == shipped().trees["rootfs", NAME]


def test_the_pinned_index_leads_to_the_pinned_packages(tmp_path: Path, platforms: Platforms) -> None:
    """So that what a manifest asks for besides comes from the same archive, and fits."""
    recipe = platforms.file.rootfs[NAME]
    supply = Supply(tmp_path / "packages")
    found = supply.index(recipe.suite, recipe.arch).closure(recipe.packages)
    assert tuple(found) == supply.rootfs(NAME, recipe).packages
