"""Versions in each ecosystem's order, and npm's ranges."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pytest_xinchuang.packages.supply_chain.ecosystems.npm.ranges import satisfies
from pytest_xinchuang.packages.supply_chain.versions import Key, loose, maven, pep440, semver

ORDERED: dict[str, tuple[Key, list[str]]] = {
    "npm and Cargo": (semver, ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta", "1.0.0", "1.0.1", "1.10.0", "2.0.0"]),
    "PyPI": (pep440, ["1.0.dev1", "1.0a1", "1.0rc1", "1.0", "1.0.post1", "1.1", "1!0.1"]),
    # Maven, POM reference, version order specification.
    "Maven": (
        maven,
        ["1-alpha-1", "1-beta-1", "1-milestone-1", "1-rc-1", "1-snapshot", "1", "1-sp", "1-xyz", "1-1", "1.1", "1.10"],
    ),
    "Conan and vcpkg": (loose, ["1.2.3-rc1", "1.2.3", "1.2.3#1", "1.2.10", "2.0"]),
}


@pytest.mark.parametrize("name", ORDERED)
def test_versions_are_ordered(name: str) -> None:
    key, versions = ORDERED[name]
    for lower, higher in pairwise(versions):
        assert key(lower) < key(higher), (lower, higher)


@pytest.mark.parametrize(
    ("one", "other"), [("1", "1.0"), ("1.0.0", "1-ga"), ("1-final", "1.0-release"), ("1a1", "1-alpha-1")]
)
def test_versions_of_maven_that_are_the_same(one: str, other: str) -> None:
    assert maven(one) == maven(other)


@pytest.mark.parametrize("key", [semver, pep440, maven, loose])
def test_what_is_no_version_is_refused(key: Key) -> None:
    with pytest.raises(ValueError):
        key("")


RANGES = [
    ("1.2.3", "^1.2.0", True),
    ("2.0.0", "^1.2.0", False),
    ("0.2.9", "^0.2.3", True),
    ("0.3.0", "^0.2.3", False),
    ("0.0.4", "^0.0.3", False),
    ("1.2.9", "~1.2.3", True),
    ("1.3.0", "~1.2.3", False),
    ("1.9.0", "1.x", True),
    ("2.0.0", "1.x", False),
    ("1.5.0", "1.2.3 - 2", True),
    ("3.0.0", "1.2.3 - 2", False),
    ("0.9.0", ">=1.0.0 <2.0.0 || 0.9.0", True),
    ("2.0.0", ">=1.0.0 <2.0.0 || 0.9.0", False),
    ("1.0.0", "*", True),
    ("1.0.0", "", True),
    ("2.1.0", ">2", False),
    ("3.0.0", ">2", True),
    ("1.0.0", "latest", None),
    ("1.0.0", "https://example.org/x.tgz", None),
]


@pytest.mark.parametrize(("version", "text", "wanted"), RANGES)
def test_ranges_of_npm(version: str, text: str, wanted: bool | None) -> None:
    assert satisfies(version, text) is wanted
