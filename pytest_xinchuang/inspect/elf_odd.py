"""What can be odd in an object's headers and dynamic segment, and what those who look for it are handed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol


class Odd(StrEnum):
    """One oddity."""

    VERSION = "version"
    """EI_VERSION or e_version is not 1."""
    NO_DYNAMIC = "no-dynamic"
    RELA_ENTRY = "rela-entry"
    """DT_RELAENT is not 24."""
    PLT_KIND = "plt-kind"
    """DT_PLTREL is not DT_RELA."""
    RELR_ENTRY = "relr-entry"
    """DT_RELRENT is not 8."""
    NEEDS = "needs"
    """The first record of version needs is of an unknown version."""
    DEFINITIONS = "definitions"
    BLOOM = "bloom"
    """The words of DT_GNU_HASH's filter are no power of two."""
    NO_OPEN = "no-open"
    """DF_1_NOOPEN."""
    PIE = "pie"
    """DF_1_PIE."""


class Headed(Protocol):
    """A program header."""

    @property
    def kind(self) -> int: ...


class Tables(Protocol):
    """An object whose headers were read, with the tables that its dynamic segment names."""

    data: Any
    order: str
    wide: bool
    type: int
    machine: str

    @property
    def segments(self) -> Sequence[Headed]: ...

    @property
    def symbols(self) -> Sequence[tuple[str, int, int, int, int]]: ...

    @property
    def relocations(self) -> frozenset[int]: ...

    def tag(self, number: int) -> int | None: ...

    def dynamic_bytes(self, address_tag: int, size: int | None) -> bytes: ...
