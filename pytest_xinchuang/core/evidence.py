"""What the facts of platforms.yaml are known by: ``conformance/evidence.yaml``."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.platform import Confidence, Fact, Name, PlatformsFile
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import Message, _, verbatim


class Kind(StrEnum):
    """What kind of thing a fact was seen in."""

    MACHINE = "machine"
    PROBE = "probe"
    REPORT = "report"
    PACKAGES = "packages"
    DOCUMENT = "document"
    SOURCE = "source"
    INDEX = "index"


_REFERENCES = {
    Kind.INDEX: r"index [0-9]{6,12}",
    Kind.PROBE: r"sha256:[0-9a-f]{64}",
}
_ADDRESS = r"https://[a-z0-9.-]+\.[a-z]{2,}(/\S*)?"
_PRINTED = r"[A-Z][^\n]{8,}, (?:volume|section|chapter) [^\n]+"
"""A printed document by title and place in it."""


class Evidence(FrozenData):
    """One thing that was seen."""

    kind: Kind
    reference: str = Field(description="an address, `index NUMBER`, or the digest of a probe")
    seen: datetime.date
    says: str = Field(min_length=10, description="what it shows, in our words")
    of: Name | None = Field(default=None, description="the CPU or system of platforms.yaml that a machine was")
    cpuinfo: str | None = Field(default=None, description="/proc/cpuinfo of that machine, its first processor at least")
    os_release: str | None = Field(default=None, description="/etc/os-release of that machine")

    @model_validator(mode="after")
    def _is_found_again(self) -> Evidence:
        wanted = _REFERENCES.get(self.kind, f"{_ADDRESS}|{_PRINTED}")
        if not re.fullmatch(wanted, self.reference):
            raise ValueError(
                _(
                    "{reference} is no reference of evidence of the kind {kind}",
                    reference=verbatim(repr(self.reference)),
                    kind=self.kind,
                )
            )
        if (self.of is None) != (self.cpuinfo is None and self.os_release is None):
            raise ValueError(_("`of` and a text of that machine go together, and only together"))
        return self

    @property
    def weight(self) -> int:
        """How much it counts: two are enough for a fact that is `sourced`, which an address has alone."""
        return 1 if self.kind is Kind.INDEX else 2


class EvidenceFile(FrozenData):
    """The whole of an evidence.yaml."""

    format: Literal["xc-evidence/1"] = Field(alias="schema")
    evidence: dict[Name, Evidence]


def load_evidence(path: Path | None = None) -> dict[str, Evidence]:
    """The evidence of a file, the shipped one if none is given.

    Raises:
        DataFileError: the file is malformed.
    """
    return YamlFile(path or resources.conformance_dir() / "evidence.yaml").parse(EvidenceFile).evidence


def facts_of(model: BaseModel, where: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Fact[Any]]]:
    """Every fact below a part of a platforms file, with its place."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        members = value.items() if isinstance(value, dict) else [(None, value)]
        for key, member in members:
            place = (*where, name) if key is None else (*where, name, str(key))
            if isinstance(member, Fact):
                yield place, member
            elif isinstance(member, BaseModel):
                yield from facts_of(member, place)


def unfounded(file: PlatformsFile, evidence: dict[str, Evidence]) -> Iterator[tuple[str, Message]]:
    """Facts whose confidence is better than their evidence: where they stand, and what is wrong."""
    for place, fact in facts_of(file):
        where = ".".join(place)
        for name in fact.evidence:
            if name not in evidence:
                yield where, _("there is no evidence called {name}", name=verbatim(repr(name)))
        if fact.confidence is Confidence.SOURCED:
            weight = sum(evidence[name].weight for name in dict.fromkeys(fact.evidence) if name in evidence)
            if weight < 2:
                yield (
                    where,
                    _("it is sourced, and names no evidence that can be found again, nor two entries of an index"),
                )
