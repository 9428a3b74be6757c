"""Profiles (what a target system demands) and waivers (what somebody answers for)."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.errors import UnknownName
from pytest_xinchuang.core.near import near
from pytest_xinchuang.core.remembered import by_content
from pytest_xinchuang.core.requirement import RequirementId, Text
from pytest_xinchuang.core.verdict import Level
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import _, joined, verbatim


class Profile(FrozenData):
    """One profile; ``required_level`` None asks for nothing."""

    title: Text
    required_level: Level | None


class ProfilesFile(FrozenData):
    format: Literal["xc-profiles/1"] = Field(alias="schema")
    profiles: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")], Profile]


class Waiver(FrozenData):
    """An overlay over one requirement's verdict; it never changes the result itself.

    Attributes:
        subject, version, platform: the scope; each must match exactly.
        expires: the last day on which it has effect.
    """

    requirement: RequirementId
    subject: str = Field(min_length=1)
    version: str = Field(min_length=1)
    platform: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    reason: str = Field(min_length=10)
    clause: str = Field(min_length=1)
    expires: datetime.date


class WaiversFile(FrozenData):
    format: Literal["xc-waivers/1"] = Field(alias="schema")
    waivers: tuple[Waiver, ...]


@by_content
def _read(path: Path) -> ProfilesFile:
    return YamlFile(path).parse(ProfilesFile)


def load_profiles(path: Path) -> dict[str, Profile]:
    """All profiles of a file.

    Raises:
        DataFileError: the file is malformed.
    """
    return _read(path).profiles


def load_profile(path: Path, name: str) -> Profile:
    """The profile called ``name``.

    Raises:
        UnknownName: there is none; the message has near matches.
    """
    profiles = load_profiles(path)
    if name not in profiles:
        raise UnknownName(
            _(
                "unknown profile {name}{hint}; there are {known}",
                name=verbatim(repr(name)),
                hint=near(name, profiles),
                known=joined(map(verbatim, profiles), _(", ")),
            )
        )
    return profiles[name]


def load_waivers(path: Path) -> tuple[Waiver, ...]:
    """The waivers of a file.

    Raises:
        DataFileError: the file is malformed; a waiver without owner, reason, clause, expiry or scope is refused.
    """
    return YamlFile(path).parse(WaiversFile).waivers
