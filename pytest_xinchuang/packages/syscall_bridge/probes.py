"""Probes as data: the questions to a kernel or a bridge, and the answers that each profile demands."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.errors import UnknownName
from pytest_xinchuang.core.near import near
from pytest_xinchuang.core.requirement import RequirementId, Text
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import Message, _, joined, verbatim

Scalar = int | str

Source = Annotated[str, StringConstraints(min_length=5)] | Text
"""The rule that an expectation comes from: names of manual pages alone, or a text in both languages."""


def told_source(source: str | Text) -> Message:
    """A rule for people."""
    return source.message() if isinstance(source, Text) else verbatim(source)


class KernelProfile(FrozenData):
    """The answers of one operating system's kernel.

    Attributes:
        inherits: the profile whose expectations hold where this one has none of its own.
        unknown: probes whose answers nobody documents for this system.
    """

    title: Text
    inherits: str = ""
    unknown: tuple[str, ...] = ()


class KernelProbe(FrozenData):
    """A scenario of the reference harness, with the values that it has to report."""

    id: str = Field(pattern=r"^k\.[a-z][a-z0-9_]*$")
    group: str
    source: Source
    values: dict[str, Any] = Field(min_length=1)

    @model_validator(mode="after")
    def _sources_are_texts(self) -> KernelProbe:
        for value in self.values:
            self.rule(value)
        return self

    def rule(self, value: str) -> Message:
        """The rule that the expectation of one value comes from: its own, or the probe's."""
        expected = self.values[value]
        if not isinstance(expected, dict) or "source" not in expected:
            return told_source(self.source)
        own = expected["source"]
        return told_source(own if isinstance(own, str) else Text.model_validate(own))


class ProbeStep(BaseModel):
    """One operation of a bridge probe; keys that are not named here are its arguments."""

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
    """A sequence of operations, each with the answer that it has to get."""

    id: str = Field(pattern=r"^[a-z]+\.[a-z0-9-]+$")
    requirement: RequirementId
    source: Source
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
            raise ValueError(_("the probe {name} is there twice", name=verbatim(twice[0])))
        for name, profile in self.profiles.items():
            if profile.inherits and profile.inherits not in self.profiles:
                inherited = verbatim(repr(profile.inherits))
                raise ValueError(
                    _("the profile {name} inherits {inherited}, which is not there", name=name, inherited=inherited)
                )
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
        """The expectation for a value under a profile, with pages of ``page`` bytes; None where nobody documents it."""
        lineage = self.lineage(profile)
        if any(probe in self.profiles[name].unknown for name in lineage):
            return None
        if not isinstance(value, dict):
            # Plain expectations are Linux's; a profile that inherits nothing does not have them.
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

    def assertions(self) -> Iterator[tuple[str, Message]]:
        """The id of each assertion, with the rule that it comes from."""
        for probe in self.kernel.values():
            for name in probe.values:
                yield f"{probe.id}.{name}", probe.rule(name)
        for bridge in self.bridge.values():
            source = told_source(bridge.source)
            for number, step in enumerate(bridge.steps, 1):
                if step.expected is not None:
                    yield f"{bridge.id}#{number}", source
                for name in (*step.has, *(["data"] if step.gives is not None or step.hex is not None else [])):
                    yield f"{bridge.id}#{number}.{name}", source


def probes_file() -> Path:
    return resources.conformance_dir() / "syscall_bridge" / "probes.yaml"


@functools.cache
def load_probes() -> Probes:
    """The shipped probes."""
    return Probes([probes_file()])
