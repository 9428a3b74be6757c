"""What Kotlin's compiler notes in ``kotlin.Metadata`` of who may see a declaration.

``d1`` holds protocol buffers, which metadata.proto and jvm_metadata.proto below core/ of Kotlin's sources describe: a table of
names behind its length, then a ``Class`` (kind 1) or a ``Package`` (kinds 2 and 5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

METADATA = "kotlin.Metadata"
_CLASS_FLAGS, _OLD_FUNCTION_FLAGS, _FUNCTION_FLAGS, _FUNCTION_NAME = 1, 1, 9, 2
_FUNCTIONS = {1: 9, 2: 3, 5: 3}
"""Kind of the metadata -> the field of its message that holds functions."""
_DEFAULT_FLAGS = 6
"""Flags of what has none: final and public."""
_INTERNAL = 0
"""Of the enum ``Visibility``; its three bits begin at bit 1 of the flags."""


class _BadMetadata(ValueError):
    pass


def is_internal(annotations: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a class of Kotlin is ``internal``."""
    values = annotations.get(METADATA)
    if not values or values.get("k") != 1:
        return False
    try:
        message = _message(values)
        flags = next((value for number, value in _fields(message) if number == _CLASS_FLAGS), _DEFAULT_FLAGS)
    except _BadMetadata:
        return False
    return isinstance(flags, int) and flags >> 1 & 7 == _INTERNAL


def internal_names(annotations: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Names of functions of which every one of the name is ``internal``."""
    values = annotations.get(METADATA)
    kind = values.get("k") if values else None
    if not values or kind not in _FUNCTIONS:
        return frozenset()
    try:
        seen = list(_functions(_message(values), _FUNCTIONS[kind], values.get("d2")))
    except _BadMetadata:
        return frozenset()
    hidden = {name for name, flags in seen if flags >> 1 & 7 == _INTERNAL}
    return frozenset(hidden - {name for name, flags in seen if flags >> 1 & 7 != _INTERNAL})


def _functions(message: bytes, field: int, strings: Any) -> Iterator[tuple[str, int]]:
    for number, value in _fields(message):
        if number == field and isinstance(value, bytes):
            inner = dict(_fields(value))
            index, flags = (
                inner.get(_FUNCTION_NAME),
                inner.get(_FUNCTION_FLAGS, inner.get(_OLD_FUNCTION_FLAGS, _DEFAULT_FLAGS)),
            )
            if isinstance(index, int) and isinstance(flags, int) and isinstance(strings, list) and index < len(strings):
                yield str(strings[index]), flags


def _message(values: Mapping[str, Any]) -> bytes:
    """The bytes of ``d1`` behind the table of names.

    They are written a byte a character behind a first NUL (``UTF8_MODE_MARKER`` of BitEncoding).
    """
    parts = values.get("d1")
    text = "".join(map(str, parts)) if isinstance(parts, list) else ""
    if not text.startswith("\0") or any(ord(c) > 255 for c in text):
        raise _BadMetadata
    data = bytes(ord(c) for c in text[1:])
    length, at = _varint(data, 0)
    return data[at + length :]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise _BadMetadata


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field (protobuf encoding: the wire type is in the low three bits of a tag)."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            number, at = _varint(data, at)
            yield tag >> 3, number
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise _BadMetadata
        if at + size > len(data):
            raise _BadMetadata
        yield tag >> 3, data[at : at + size]
        at += size
