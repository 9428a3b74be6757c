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
        unexplained: the rule of what a client shows and no other rule tells.
    """

    shown: Message
    unexplained: str

    @property
    def prefix(self) -> str:
        """What the ids of its rules begin with, before a hyphen."""
        return self.unexplained.partition("-")[0]


LANGUAGES: Mapping[str, Described] = {
    "go": Described(verbatim("Go"), "GO-UNEXPLAINED"),
    "c": Described(verbatim("C"), "C-UNEXPLAINED"),
    "cpp": Described(verbatim("C++"), "CPP-UNEXPLAINED"),
    "java": Described(verbatim("Java"), "JAVA-UNEXPLAINED"),
    "python": Described(verbatim("Python"), "PY-UNEXPLAINED"),
    "typescript": Described(verbatim("TypeScript"), "TS-UNEXPLAINED"),
    "rust": Described(verbatim("Rust"), "RUST-UNEXPLAINED"),
    "protobuf": Described(verbatim("protobuf"), "PROTO-UNEXPLAINED"),
    "openapi": Described(verbatim("OpenAPI"), "OPENAPI-UNEXPLAINED"),
    "sql": Described(verbatim("SQL"), "SQL-UNEXPLAINED"),
}
assert tuple(LANGUAGES) == get_args(Language)
