"""Markers: what they mean, and errors that quote their signature."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_xinchuang.packages.base import N_
from pytest_xinchuang.run.options import in_the_locale, usage_error

if TYPE_CHECKING:
    from pytest_xinchuang.core.platform import Platform, Platforms
    from pytest_xinchuang.messages import Message

SIGNATURES = {
    "xc_platform": N_(
        "xc_platform(*ids, arch=None, os=None): run on these platforms alone (ids or short names), on this "
        "architecture, under this system"
    ),
    "xc_requirement": N_("xc_requirement(*ids): the requirements that this test decides"),
    "xc_fidelity": N_(
        "xc_fidelity(least): the least fidelity that can decide this test: static, emulated-user, emulated-system or "
        "native"
    ),
}


def register(config: pytest.Config) -> None:
    for text in SIGNATURES.values():
        config.addinivalue_line("markers", in_the_locale(text))


def allows(config: pytest.Config, mark: pytest.Mark, platform: Platform, shorts: dict[str, str]) -> bool:
    """Whether an ``xc_platform`` marker lets its test run on ``platform``.

    Raises:
        pytest.UsageError: wrong arguments.
    """
    unknown = set(mark.kwargs) - {"arch", "os"}
    if unknown or not all(isinstance(a, str) for a in mark.args) or not (mark.args or mark.kwargs):
        words = [*map(repr, mark.args), *(f"{name}={value!r}" for name, value in mark.kwargs.items())]
        found = f"xc_platform({', '.join(words)})"
        raise _wrong(config, found, "xc_platform")
    ids = {shorts.get(name, name) for name in mark.args}
    families = {platform.id, platform.cpu_name, platform.cpu.family}
    return (
        (not ids or bool(ids & families))
        and mark.kwargs.get("arch") in (None, str(platform.arch))
        and mark.kwargs.get("os") in (None, platform.os_name)
    )


def platforms_for(item: pytest.Item, platforms: Iterable[Platform], known: Platforms) -> list[Platform]:
    """Those platforms of a run that every ``xc_platform`` marker of a test lets it run on.

    Raises:
        pytest.UsageError: wrong arguments.
    """
    marks = list(item.iter_markers("xc_platform"))
    return [p for p in platforms if all(allows(item.config, mark, p, known.file.shorts) for mark in marks)]


def _wrong(config: pytest.Config, found: str, marker: str) -> pytest.UsageError:
    from pytest_xinchuang.messages import Message, _  # every pytest run comes by here, and most have no such mistake

    signature = Message.of(SIGNATURES[marker])
    return usage_error(config, _("{found}: wrong arguments; it is {signature}", found=found, signature=signature))


def requirement_ids(item: pytest.Item) -> list[str]:
    """The requirement ids that a test is marked with.

    Raises:
        pytest.UsageError: an argument that is no id.
    """
    found: list[str] = []
    for mark in item.iter_markers("xc_requirement"):
        if mark.kwargs or not mark.args or not all(isinstance(a, str) for a in mark.args):
            raise _wrong(item.config, item.nodeid, "xc_requirement")
        found += [a for a in mark.args if a not in found]
    return found


def unknown_markers(item: pytest.Item) -> Iterator[Message]:
    """Markers that are called like ours and are not: pytest only warns of them, and their test would decide nothing."""
    for name in dict.fromkeys(mark.name for mark in item.iter_markers()):
        if name in SIGNATURES or not name.startswith("xc_"):
            continue
        registered = {re.split(r"[(:\s]", line, maxsplit=1)[0] for line in item.config.getini("markers")}
        if name not in registered:
            from pytest_xinchuang.core.near import near
            from pytest_xinchuang.messages import _, verbatim

            yield _(
                "{test}: there is no marker {marker}{hint}",
                test=verbatim(item.nodeid),
                marker=verbatim(name),
                hint=near(name, SIGNATURES),
            )


def least_fidelity(item: pytest.Item) -> str | None:
    """The argument of ``xc_fidelity``.

    Raises:
        pytest.UsageError: it is not a fidelity.
    """
    mark = item.get_closest_marker("xc_fidelity")
    if mark is None:
        return None
    if len(mark.args) != 1 or mark.args[0] not in ("static", "emulated-user", "emulated-system", "native"):
        raise _wrong(item.config, item.nodeid, "xc_fidelity")
    return str(mark.args[0])
