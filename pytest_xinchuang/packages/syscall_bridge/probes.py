"""Probes as data: what is asked of a kernel or a bridge, and what has to come back under which profile."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.errors import UnknownName
from pytest_xinchuang.core.near import near
from pytest_xinchuang.core.requirement import RequirementId, Text
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import _, joined, verbatim

Scalar = int | str


class KernelProfile(FrozenData):
    """An operating system as far as its kernel's answers go.

    Attributes:
        inherits: the profile whose expectations hold where this one has none of its own.
        unknown: probes whose answers nobody documents there.
    """

    title: Text
    inherits: str = ""
    unknown: tuple[str, ...] = ()


class KernelProbe(FrozenData):
    """A scenario of the reference harness, with the values that it has to say."""

    id: str = Field(pattern=r"^k\.[a-z][a-z0-9_]*$")
    group: str
    source: str = Field(min_length=5)
    values: dict[str, Any] = Field(min_length=1)


class ProbeStep(BaseModel):
    """One operation of a bridge probe; what is not named here is an argument of it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    do: str
    expected: Any = Field(default=None, alias="is")
    keep: Any = Field(default=None, alias="as")
    has: dict[str, Any] = Field(default_factory=dict)
    gives: str | None = None
    hex: str | None = None
    text: str | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class BridgeProbe(FrozenData):
    """A sequence of operations, each with what has to come back."""

    id: str = Field(pattern=r"^[a-z]+\.[a-z0-9-]+$")
    requirement: RequirementId
    source: str = Field(min_length=5)
    steps: tuple[ProbeStep, ...] = Field(min_length=1)


class ProbesFile(FrozenData):
    """The whole of a probes.yaml."""

    format: str = Field(alias="schema", pattern=r"^xc-probes/1$")
    profiles: dict[str, KernelProfile] = Field(default_factory=dict)
    kernel: tuple[KernelProbe, ...] = ()
    bridge: tuple[BridgeProbe, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> ProbesFile:
        ids = [p.id for p in self.kernel] + [p.id for p in self.bridge]
        if twice := sorted({i for i in ids if ids.count(i) > 1}):
            raise ValueError(f"the probe {twice[0]} is there twice")
        for name, profile in self.profiles.items():
            if profile.inherits and profile.inherits not in self.profiles:
                raise ValueError(f"the profile {name} inherits {profile.inherits!r}, which is not there")
        return self


class Probes:
    """Probes and profiles of one or more files; a later file adds probes, and profiles by name.

    Raises:
        DataFileError: a file is malformed.
    """

    def __init__(self, paths: list[Path]) -> None:
        files = [YamlFile(path).parse(ProbesFile) for path in paths]
        self.profiles = {name: profile for file in files for name, profile in file.profiles.items()}
        self.kernel = {p.id: p for file in files for p in file.kernel}
        self.bridge = {p.id: p for file in files for p in file.bridge}

    def lineage(self, profile: str) -> list[str]:
        """A profile and those that it inherits from, the nearest first. Raises UnknownName."""
        found: list[str] = []
        while profile and profile not in found:
            if profile not in self.profiles:
                raise UnknownName(
                    _(
                        "unknown OS profile {name}{hint}; there are {known}",
                        name=verbatim(repr(profile)),
                        hint=near(profile, self.profiles),
                        known=joined(map(verbatim, self.profiles), _(", ")),
                    )
                )
            found.append(profile)
            profile = self.profiles[profile].inherits
        return found

    def expected(self, probe: str, value: Any, profile: str, page: int) -> Scalar | None:
        """What is expected of a value under a profile, on a kernel with pages of ``page`` bytes; None: nobody documents it."""
        lineage = self.lineage(profile)
        if any(probe in self.profiles[name].unknown for name in lineage):
            return None
        if not isinstance(value, dict):
            # Plain expectations are Linux's; a profile that inherits nothing has them not.
            return value if "linux" in lineage else None
        if "page" in value:
            if "linux" not in lineage:
                return None
            chosen: Scalar = value["is"] if page == value["page"] else value["otherwise"]
            return chosen
        for name in lineage:
            if name in value:
                own: Scalar | None = value[name]
                return own
        return value.get("is") if "linux" in lineage else None

    def assertions(self) -> Iterator[tuple[str, str]]:
        """Each thing that is looked at, with the rule that it comes from."""
        for probe in self.kernel.values():
            for name, value in probe.values.items():
                source = value.get("source", probe.source) if isinstance(value, dict) else probe.source
                yield f"{probe.id}.{name}", source
        for bridge in self.bridge.values():
            for number, step in enumerate(bridge.steps, 1):
                if step.expected is not None:
                    yield f"{bridge.id}#{number}", bridge.source
                for name in (*step.has, *(["data"] if step.gives is not None or step.hex is not None else [])):
                    yield f"{bridge.id}#{number}.{name}", bridge.source


def probes_file() -> Path:
    return resources.conformance_dir() / "syscall_bridge" / "probes.yaml"


@functools.cache
def load_probes() -> Probes:
    """The shipped probes."""
    return Probes([probes_file()])
