"""The hello of a harness, and the ways in which a harness can break its protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.validation import mistake
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim

Request = Mapping[str, Any]

HelloModel = TypeVar("HelloModel", bound=BaseModel)


class ViolationKind(StrEnum):
    """How a harness breaks its protocol."""

    NO_HELLO = "no-hello"
    """It ended before its hello, or did not say it in time."""
    BAD_HELLO = "bad-hello"
    """Its first line is no hello."""
    OTHER_VERSION = "other-version"
    """Its hello is one of another version of the protocol."""
    OTHER_HELLO = "other-hello"
    """It said another hello after a restart."""
    UNASKED = "unasked"
    """A line that answers no request."""
    BAD_REPLY = "bad-reply"
    """A reply of another form than the protocol says."""
    NO_REPLY = "no-reply"
    """It ended, or fell silent, instead of replying."""


@dataclass(frozen=True)
class Violation:
    """A breach of the protocol after which the harness could still be asked."""

    kind: ViolationKind
    what: Message

    def __str__(self) -> str:
        return self.what


class ProtocolError(XcError):
    """A harness breaks its protocol, so that it cannot be asked any more."""

    def __init__(self, kind: ViolationKind, what: Message, *, mend: Message = NOTHING) -> None:
        super().__init__(what, mend=mend)
        self.kind = kind


@dataclass(frozen=True)
class HarnessProtocol(Generic[HelloModel]):
    """One protocol of harnesses.

    Attributes:
        id: its name and version, as every hello gives it: ``xc-sm-harness/1``.
        hello: the model of a hello. Its field ``hello`` is the id.
        page: where the protocol is written down.
    """

    id: str
    hello: type[HelloModel]
    page: str

    def read_hello(self, line: bytes) -> HelloModel:
        """The hello on a harness's first line.

        Raises:
            ProtocolError: it is none, or one of another version.
        """
        try:
            return self.hello.model_validate_json(line)
        except ValidationError as error:
            problem = error.errors()[0]
        mend = _(
            'print {{"hello": "{protocol}", ...}} first, and nothing else, on standard output ({page})',
            protocol=self.id,
            page=self.page,
        )
        shown = verbatim(repr(line[:120].decode(errors="replace").strip()))
        if (version := self._other_version(line)) is not None:
            what = _(
                "the harness's first line is not a hello of {protocol}: it speaks {version}",
                protocol=self.id,
                version=verbatim(version),
            )
            raise ProtocolError(ViolationKind.OTHER_VERSION, what, mend=mend)
        what = _(
            "the harness's first line is not a hello: {where}: {problem}; it was {shown}",
            where=verbatim(".".join(map(str, problem["loc"]))) if problem["loc"] else _("the line"),
            problem=mistake(problem),
            shown=shown,
        )
        raise ProtocolError(ViolationKind.BAD_HELLO, what, mend=mend)

    def _other_version(self, line: bytes) -> str | None:
        """The version of this protocol that a line names, if it is another one."""
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return None
        said = found.get("hello") if isinstance(found, dict) else None
        family = self.id.partition("/")[0]
        if not isinstance(said, str) or said == self.id or said.partition("/")[0] != family:
            return None
        return said[:60]


def encode(number: int, request: Request) -> bytes:
    """One line of the wire."""
    return json.dumps({"id": number, **request}, separators=(",", ":")).encode() + b"\n"
