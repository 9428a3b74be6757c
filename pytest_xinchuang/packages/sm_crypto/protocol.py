"""The harness protocol, version 1 (docs/harness.md): what a harness declares, and which requests that covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from pytest_xinchuang.harness.protocol import HarnessProtocol
from pytest_xinchuang.messages import Message, _, verbatim

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
    "aad_splits": None,
    "in_place": False,
    "offset": 0,
    "standard": None,
    "confirm": False,
    "clone": False,
    "purpose": None,
    "encryption": None,
    "crls": None,
}
"""Features that a harness offers one by one -> the plain value. Every harness has the plain value, unless it lists the values
that it has and leaves this one out. None, false and 0 mean that the feature is not used: every harness has those."""

RANGES = {
    "iv": "iv_bytes",
    "tag": "tag_bytes",
    "msg": "msg_bytes",
    "ct": "msg_bytes",
    "user_id": "user_id_bytes",
    "peer_id": "user_id_bytes",
    "aad": "aad_bytes",
    "info": "info_bytes",
    "secret": "secret_bytes",
}
"""Request field (hexadecimal) -> the capability that limits its length in bytes, as [least, most]."""

NUMBERS = {n: n for n in ("tag_bytes", "size", "iterations", "times", "threads", "repeat")}
"""Request field (a number) -> the capability that limits it, as [least, most]."""


PARTS_OF_BLOCKS = "blocks"
"""A value of ``splits``: parts are taken where each of them is a whole number of blocks of 16 bytes."""

_PARTS = ("splits", "aad_splits")
_GIVEN = ("k", *_PARTS, "encryption", "crls")
"""Features of which a harness says that it takes them, whatever their value."""

_IDS = ("user_id", "peer_id")
_LIMITS = frozenset((*RANGES.values(), *NUMBERS.values()))


class LackKind(StrEnum):
    """Which part of a request a harness does not offer."""

    OPERATION = "operation"
    FEATURE = "feature"
    """A feature of an operation, or this value of it."""
    GIVEN_K = "given-k"
    """The random number k, without which nothing of a vector can be asked."""


@dataclass(frozen=True)
class Lack:
    """A part of a request that a harness has declared unsupported.

    Attributes:
        name: of the operation or feature.
        value: of the feature, where the harness offers the feature but not this value.
    """

    kind: LackKind
    name: str = ""
    value: str = ""

    @property
    def text(self) -> Message:
        """The part that is not offered, as a noun."""
        if self.kind is LackKind.OPERATION:
            return _("operation {name}", name=self.name)
        if self.kind is LackKind.GIVEN_K:
            return _("a given k")
        return verbatim(f"{self.name} {self.value}".rstrip())


class SmHello(BaseModel):
    """What a harness says first.

    Attributes:
        default_id: the user id (hexadecimal) that SM2 signatures have where a request gives none; None: an id must be given.
        ids: what user ids are to the library: ``bytes``, or ``text`` of which it takes the UTF-8 bytes.
        parses_der: whether the library under test or the harness around it takes DER apart.
        operations: name -> what of it is there beyond the plain form: features with their values, limits as [least, most].
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    hello: Literal["xc-sm-harness/1"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    version: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    language: str = ""
    default_id: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$")] | None = None
    ids: Literal["bytes", "text"] = "bytes"
    parses_der: Literal["library", "harness"] = "library"
    operations: dict[str, Capability] = Field(min_length=1)

    @field_validator("operations")
    @classmethod
    def _limits_are_numbers(cls, operations: dict[str, Capability]) -> dict[str, Capability]:
        for operation, capability in operations.items():
            for name in _LIMITS & capability.keys():
                limits = capability[name]
                pair = len(limits) == 2 or name in DEFAULTS
                if not pair or not all(type(limit) in (int, float) for limit in limits):
                    raise ValueError(_("{name} of {operation} has to be [least, most]", name=name, operation=operation))
        return operations

    def lacks(self, request: Mapping[str, Any]) -> Lack | None:
        """The part of ``request`` that the harness has declared unsupported, if there is one."""
        capability = self.operations.get(request["op"])
        if capability is None:
            return Lack(LackKind.OPERATION, request["op"])
        for name, default in DEFAULTS.items():
            plain = request.get(name, default) == default
            if name == "order" and request.get("encoding") == "der":
                continue  # DER names its parts: there is one order alone
            if plain and (not default or name not in capability):
                continue
            given = name in _GIVEN
            wanted = True if given else request.get(name, default)
            offered = capability.get(name, ())
            if name in _PARTS and PARTS_OF_BLOCKS in offered and not any(size % 16 for size in request[name]):
                continue
            if name in NUMBERS:
                if len(offered) != 2 or not offered[0] <= wanted <= offered[1]:
                    return Lack(LackKind.FEATURE, name, str(wanted))
            elif wanted not in offered:
                return Lack(LackKind.FEATURE, name, "" if given else str(wanted))
        for name, limit in RANGES.items():
            # A tag may have been cut: its limit is of the length that was agreed on, where the request says which.
            if name in request and limit in capability and not (name == "tag" and limit in request):
                least, most = capability[limit]
                if not least <= len(request[name]) // 2 <= most:
                    return Lack(LackKind.FEATURE, limit, str(len(request[name]) // 2))
        if self.ids == "text" and any(not _is_text(request[name]) for name in _IDS if name in request):
            return Lack(LackKind.FEATURE, "ids", "bytes")
        for name, offered in capability.items():
            if name in request and name not in DEFAULTS and name not in NUMBERS and request[name] not in offered:
                return Lack(LackKind.FEATURE, name, str(request[name]))
        for name, limit in NUMBERS.items():
            if name in request and limit in capability and name not in DEFAULTS:
                least, most = capability[limit]
                if not least <= request[name] <= most:
                    return Lack(LackKind.FEATURE, limit, str(request[name]))
        return None


def _is_text(hexadecimal: str) -> bool:
    try:
        bytes.fromhex(hexadecimal).decode()
    except UnicodeDecodeError:
        return False
    return True


PROTOCOL = HarnessProtocol("xc-sm-harness/1", SmHello, "docs/harness.md")
