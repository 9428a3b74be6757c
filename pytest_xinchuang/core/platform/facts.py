"""Facts: a value with its source and how far it can be trusted."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field, StringConstraints, model_validator

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.messages import Message, _

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.]*$")]
RootfsName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$")]
ValueT = TypeVar("ValueT")


class Arch(StrEnum):
    """Instruction set architectures, by the names that Go, dpkg and OCI use."""

    AMD64 = "amd64"
    ARM64 = "arm64"
    LOONG64 = "loong64"


class Confidence(StrEnum):
    """How far a fact can be trusted."""

    MEASURED = "measured"
    SOURCED = "sourced"
    INFERRED = "inferred"
    UNVERIFIED = "unverified"

    @property
    def word(self) -> Message:
        return {
            Confidence.MEASURED: _("measured"),
            Confidence.SOURCED: _("sourced"),
            Confidence.INFERRED: _("inferred"),
            Confidence.UNVERIFIED: _("unverified"),
        }[self]


class Fact(FrozenData, Generic[ValueT]):
    """A value, where it comes from, and how far to trust it. ``null`` means: not known."""

    value: ValueT | None
    source: str = Field(min_length=3)
    confidence: Confidence
    evidence: tuple[Name, ...] = Field(default=(), description="entries of conformance/evidence.yaml that show it")

    @model_validator(mode="after")
    def _unknown_is_unverified(self) -> Fact[ValueT]:
        if (self.value is None) != (self.confidence is Confidence.UNVERIFIED):
            raise ValueError(_("a value of null and the confidence 'unverified' go together, and only together"))
        return self


NOT_GIVEN: Any = Fact(value=None, source="not given", confidence=Confidence.UNVERIFIED)
"""What an entry that does not speak of a fact says of it."""
