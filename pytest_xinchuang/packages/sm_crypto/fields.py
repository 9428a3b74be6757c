"""The fields of a request, read strictly: what is malformed is refused, and no value stands for another one.

The texts of refusals go over the wire of the harness protocol, which is English.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

_OCTETS = re.compile(r"(?:[0-9a-f]{2})*\Z")
_SCALAR = re.compile(r"[0-9a-f]{1,64}\Z")

MOST_BYTES = 1 << 22
"""Bytes of one result: in hexadecimal, half of the 16 MiB that a line of the protocol may have (docs/harness.md, The wire)."""
MOST_ROUNDS = 1 << 21
"""Repetitions that one request may ask for, PBKDF2's iterations too: 2**21 take the reference some minutes."""


def as_octets(value: Any, name: str) -> bytes:
    """The bytes of a lower-case hexadecimal string. Raises ValueError: it is none."""
    if not isinstance(value, str) or not _OCTETS.match(value):
        raise ValueError(f"{name} has to be bytes in lower-case hexadecimal")
    return bytes.fromhex(value)


def octets(request: Mapping[str, Any], name: str) -> bytes:
    """The bytes of a field. Raises ValueError: it is not there, or no lower-case hexadecimal string."""
    return as_octets(request.get(name), name)


def many_octets(request: Mapping[str, Any], name: str) -> list[bytes]:
    """The byte strings of a field. Raises ValueError: it is no list of lower-case hexadecimal strings."""
    return [as_octets(value, name) for value in items(request, name)]


def items(request: Mapping[str, Any], name: str) -> list[Any]:
    """The list of a field, empty without it. Raises ValueError: it is no list."""
    found = request.get(name, [])
    if not isinstance(found, list):
        raise ValueError(f"{name} has to be a list")
    return found


def scalar(request: Mapping[str, Any], name: str) -> int:
    """A number of at most 32 bytes, in hexadecimal digits. Raises ValueError: it is none."""
    value = request.get(name)
    if not isinstance(value, str) or not _SCALAR.match(value):
        raise ValueError(f"{name} has to be a number of at most 64 lower-case hexadecimal digits")
    return int(value, 16)


def as_number(value: Any, name: str, least: int, most: int) -> int:
    """A whole number from ``least`` to ``most``. Raises ValueError: it is none."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name} has to be a whole number from {least} to {most}, not {str(value)[:40]}")
    return value


def number(request: Mapping[str, Any], name: str, least: int, most: int, default: int | None = None) -> int:
    """A whole number of a field. Raises ValueError: it is none from ``least`` to ``most``, or missing without a default."""
    return as_number(request.get(name, default), name, least, most)


def choice(request: Mapping[str, Any], name: str, known: Collection[Any], default: Any = None) -> Any:
    """One of the values that a field may have. Raises ValueError: it is another one, or missing without a default."""
    value = request.get(name, default)
    if not any(type(value) is type(one) and value == one for one in known):
        raise ValueError(f"{name} has to be one of {', '.join(map(str, known))}, not {str(value)[:40]}")
    return value
