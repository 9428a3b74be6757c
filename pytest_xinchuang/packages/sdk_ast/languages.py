"""The languages that APIs are described in: by which each is chosen, what it is called, and how the ids of its rules begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pytest_xinchuang.messages import Message, verbatim

Language = Literal["go", "c", "cpp", "java", "python", "typescript", "rust", "protobuf", "openapi", "sql"]
"""As options, manifests and snapshots have it."""


@dataclass(frozen=True)
class Described:
    """A language.

    Attributes:
        shown: what people call it.
        prefix: what the ids of its rules begin with, before a hyphen.
    """

    shown: Message
    prefix: str

    @property
    def unexplained(self) -> str:
        """The rule of what a client shows and no other rule tells."""
        return f"{self.prefix}-UNEXPLAINED"


LANGUAGES: Mapping[str, Described] = {
    "go": Described(verbatim("Go"), "GO"),
    "c": Described(verbatim("C"), "C"),
    "cpp": Described(verbatim("C++"), "CPP"),
    "java": Described(verbatim("Java"), "JAVA"),
    "python": Described(verbatim("Python"), "PY"),
    "typescript": Described(verbatim("TypeScript"), "TS"),
    "rust": Described(verbatim("Rust"), "RUST"),
    "protobuf": Described(verbatim("protobuf"), "PROTO"),
    "openapi": Described(verbatim("OpenAPI"), "OPENAPI"),
    "sql": Described(verbatim("SQL"), "SQL"),
}
assert tuple(LANGUAGES) == get_args(Language)


def shown(language: str) -> Message:
    """What people call a language; one that is not known as it is."""
    known = LANGUAGES.get(language)
    return known.shown if known is not None else verbatim(language)
