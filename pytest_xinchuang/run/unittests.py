"""Tests of ``unittest.TestCase``: pytest does not parametrize them, so they are made once for each platform here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.run.platforms import FIXTURE, POSITIONS, function_of


def is_case(collector: pytest.Collector) -> bool:
    """Whether a collector is a ``unittest.TestCase``."""
    import unittest

    made_of = getattr(collector, "obj", None) if isinstance(collector, pytest.Class) else None
    return isinstance(made_of, type) and issubclass(made_of, unittest.TestCase)


def for_each_platform(item: pytest.Function, platforms: Sequence[Platform]) -> list[pytest.Function]:
    """A test of a ``TestCase``, once for each platform, with the platform in its callspec as any other test has it."""
    from _pytest import python, scope

    make: Any = getattr(python, "CallSpec", None) or python.CallSpec2
    found = []
    for number, platform in enumerate(platforms):
        callspec = make(
            params={FIXTURE: platform},
            indices={FIXTURE: number},
            _arg2scope={FIXTURE: scope.Scope.Session},
            _idlist=[platform.id],
        )
        # Its name stays that of the method, which unittest asks for by it; the node id tells the platforms apart.
        one: Any = type(item).from_parent(item.parent, name=item.name, callspec=callspec)
        if f"[{platform.id}]" not in one.nodeid:
            one._nodeid = f"{one.nodeid}[{platform.id}]"
        found.append(one)
    item.config.stash.setdefault(POSITIONS, {})[function_of(item)] = 0
    return found
