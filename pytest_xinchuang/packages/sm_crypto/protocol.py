"""The harness protocol, version 1 (docs/harness.md): what a harness says of itself, and which requests that covers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pytest_xinchuang.core.errors import XcError

PROTOCOL = "xc-sm-harness/1"
MAX_LINE = 16 << 20
"""Bytes of one line, in both directions; the largest request of the shipped vectors is below 1 MiB."""

Capability = dict[str, tuple[Any, ...]]

DEFAULTS: Mapping[str, Any] = {
    "encoding": None,
    "input": "message",
    "order": "c1c3c2",
    "padding": "none",
    "wrap": 128,
    "times": 1,
    "repeat": 1,
    "compressed": False,
    "k": None,
    "splits": None,
    "in_place": False,
    "offset": 0,
    "standard": None,
    "confirm": False,
    "clone": False,
}
"""Features that a harness offers one by one, and the value that is plain: every harness has it, unless it lists what it
has and leaves it out. None, false and 0 are always there: the feature is not used."""

RANGES = {
    "iv": "iv_bytes",
    "tag": "tag_bytes",
    "msg": "msg_bytes",
    "ct": "msg_bytes",
    "user_id": "user_id_bytes",
    "aad": "aad_bytes",
    "info": "info_bytes",
    "secret": "secret_bytes",
}
"""Request field (hexadecimal) -> the capability that limits its length in bytes, as [least, most]."""

NUMBERS = {n: n for n in ("tag_bytes", "size", "iterations", "times", "threads", "repeat")}
"""Request field (a number) -> the capability that limits it, as [least, most]."""


class ProtocolError(XcError):
    """A harness that does not keep the protocol."""


class Hello(BaseModel):
    """What a harness says first.

    Attributes:
        default_id: the user id (hexadecimal) that SM2 signatures have where a request gives none; None: an id must be given.
        parses_der: whether the library under test or the harness around it takes DER apart.
        operations: name -> what of it is there beyond the plain form: features with their values, limits as [least, most].
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    hello: Literal["xc-sm-harness/1"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    version: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    language: str = ""
    default_id: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$")] | None = None
    parses_der: Literal["library", "harness"] = "library"
    operations: dict[str, Capability] = Field(min_length=1)

    def lacks(self, request: Mapping[str, Any]) -> str:
        """What of ``request`` the harness has said that it does not do; "" when it does all of it."""
        capability = self.operations.get(request["op"])
        if capability is None:
            return f"no operation {request['op']}"
        for name, default in DEFAULTS.items():
            plain = request.get(name, default) == default
            if plain and (not default or name not in capability):
                continue
            wanted = True if name in ("k", "splits") else request.get(name, default)
            offered = capability.get(name, ())
            if name in NUMBERS:
                if len(offered) != 2 or not offered[0] <= wanted <= offered[1]:
                    return f"{name} {wanted}"
            elif wanted not in offered:
                return f"{name} {wanted}" if name not in ("k", "splits") else name
        for name, limit in RANGES.items():
            if name in request and limit in capability:
                least, most = capability[limit]
                if not least <= len(request[name]) // 2 <= most:
                    return f"{limit} {len(request[name]) // 2}"
        for name, offered in capability.items():
            if name in request and name not in DEFAULTS and name not in NUMBERS and request[name] not in offered:
                return f"{name} {request[name]}"
        for name, limit in NUMBERS.items():
            if name in request and limit in capability and name not in DEFAULTS:
                least, most = capability[limit]
                if not least <= request[name] <= most:
                    return f"{limit} {request[name]}"
        return ""


def read_hello(line: bytes) -> Hello:
    """Raises ProtocolError: the line is not a hello of this version."""
    try:
        return Hello.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the line"
        shown = line[:120].decode(errors="replace").strip()
        raise ProtocolError(
            f"the harness's first line is not a hello: {where}: {first['msg']}; it was {shown!r}",
            mend=f'print {{"hello": "{PROTOCOL}", ...}} first, and nothing else, on standard output (docs/harness.md)',
        ) from None


def encode(number: int, request: Mapping[str, Any]) -> bytes:
    """One line of the wire."""
    return json.dumps({"id": number, **request}, separators=(",", ":")).encode() + b"\n"
