"""Chooses the ecosystems of a directory, and checks each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_xinchuang.core.errors import UnknownName, XcError
from pytest_xinchuang.core.near import near
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.supply_chain.check import Lists, PackageCheck
from pytest_xinchuang.packages.supply_chain.ecosystems.all import ECOSYSTEMS
from pytest_xinchuang.packages.supply_chain.ecosystems.maven.poms import MAVEN
from pytest_xinchuang.packages.supply_chain.ecosystems.maven.signatures import key_bytes
from pytest_xinchuang.packages.supply_chain.registries import Key, Registries

GO = "go"
"""The ecosystem that is checked by itself: it has hashes of its own, and a proxy instead of a registry."""


@dataclass(frozen=True)
class Chosen:
    """The ecosystems to check: Go, and others by name."""

    go: bool
    others: tuple[str, ...] = field(default=())


def choose(directory: Path, asked: str = "") -> Chosen:
    """The ecosystems that are asked for, else those that a directory has; Go where it has none that is known.

    Args:
        asked: names by commas.

    Raises:
        UnknownName: there is no such ecosystem.
        XcError: one that is asked for is not there.
    """
    names = [name.strip() for name in asked.split(",") if name.strip()]
    for name in names:
        _known(name)
        if name != GO and not ECOSYSTEMS[name].found(directory):
            raise XcError(
                _("{directory} has no manifest or lock of {ecosystem}", directory=directory, ecosystem=verbatim(name))
            )
    if names:
        return Chosen(GO in names, tuple(n for n in ECOSYSTEMS if n in names))
    found = tuple(name for name, one in ECOSYSTEMS.items() if one.found(directory))
    return Chosen((directory / "go.mod").is_file() or not found, found)


def _known(name: str) -> None:
    known = (GO, *ECOSYSTEMS)
    if name not in known:
        raise UnknownName(
            _("there is no ecosystem {name}{hint}", name=verbatim(repr(name)), hint=near(name, known)),
            mend=verbatim("--ecosystem " + ",".join(known)),
        )


def places(given: Sequence[str]) -> dict[str, list[str]]:
    """``ECOSYSTEM=DIR|URL`` as ecosystem -> places.

    Raises:
        XcError: one of them is not of this form.
    """
    found: dict[str, list[str]] = {}
    for text in given:
        name, equals, place = text.partition("=")
        if not equals or not place:
            raise XcError(
                _("{text} is not ECOSYSTEM=DIR|URL", text=verbatim(repr(text))),
                mend=verbatim("--registry npm=/srv/npm"),
            )
        _known(name)
        if name == GO:
            raise XcError(_("a place of Go modules is named by --proxy"), mend=verbatim(f"--proxy {place}"))
        found.setdefault(name, []).append(place)
    return found


def keys(given: Sequence[str]) -> dict[str, list[Key]]:
    """``maven[:GROUP]=FILE`` as ecosystem -> keys of publishers.

    Raises:
        XcError: one of them is not of this form, or has no keys.
    """
    found: dict[str, list[Key]] = {}
    for text in given:
        name, equals, file = text.partition("=")
        ecosystem, _colon, below = name.partition(":")
        if not equals or not file or ecosystem != MAVEN:
            raise XcError(
                _("{text} is not maven[:GROUP]=FILE", text=verbatim(repr(text))),
                mend=verbatim("--registry-key maven:org.springframework=spring.asc"),
            )
        found.setdefault(ecosystem, []).append(Key(below, key_bytes(Path(file))))
    return found


def checks(directory: Path, names: Sequence[str], registries: Registries, lists: Lists) -> list[PackageCheck]:
    """A check of each ecosystem, done."""
    made = [PackageCheck(directory, ECOSYSTEMS[name], registries, lists) for name in names]
    for one in made:
        one.run()
    return made
