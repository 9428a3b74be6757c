"""For which platform a test runs, and what its check is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.platform import Platform

FIXTURE = "xc_platform"
NONE_CHOSEN = "NOTSET"
"""What pytest itself calls the one case of a test that has none."""


@dataclass(frozen=True)
class Checked:
    """What a marked test is, once it was planned.

    Attributes:
        check: a name that is the same wherever the suite is installed, and on every platform; no two tests share one.
        platforms: the one that it runs for; all, where it runs once and cannot be told apart by them.
        requirements: the ids that it decides.
    """

    check: str
    platforms: tuple[Platform, ...]
    requirements: tuple[str, ...]


CHECKED: pytest.StashKey[Checked] = pytest.StashKey()
POSITIONS: pytest.StashKey[dict[str, int]] = pytest.StashKey()
"""Test function -> where in its parameters the platform stands: others may be called like one."""


def platform_of(item: pytest.Item) -> Platform | None:
    """The platform of a test's callspec."""
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get(FIXTURE) if callspec else None
    return found if isinstance(found, Platform) else None


def function_of(item: pytest.Item) -> str:
    """The test function of a test: its node id without parameters."""
    name = getattr(item, "originalname", None) or item.name
    return f"{item.parent.nodeid if item.parent else ''}::{name}"


def check_of(item: pytest.Item) -> str:
    """The name of a test's check: file, classes, function, and its parameters but for the platform."""
    root = resources.conformance_dir().parent
    place = item.path.relative_to(root).as_posix() if item.path.is_relative_to(root) else item.nodeid.split("::")[0]
    classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    callspec = getattr(item, "callspec", None)
    ids: Sequence[str] = getattr(callspec, "_idlist", ())
    position = item.config.stash.get(POSITIONS, {}).get(function_of(item))
    if callspec is None or position is None or position >= len(ids):
        return "::".join((place, *classes, item.name))
    own = [name for number, name in enumerate(ids) if number != position]
    name = str(getattr(item, "originalname", None) or item.name)
    return "::".join((place, *classes, f"{name}[{'-'.join(own)}]" if own else name))
