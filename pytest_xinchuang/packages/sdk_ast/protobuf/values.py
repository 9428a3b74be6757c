"""Messages with one field set to each value at the edges of its type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor
    from google.protobuf.message import Message as Proto

_INT32, _INT64 = (0, 1, -1, 2**31 - 1, -(2**31)), (0, 1, -1, 2**31, 2**63 - 1, -(2**63))
_UINT32, _UINT64 = (0, 1, 2**31, 2**32 - 1), (0, 1, 2**32, 2**64 - 1)
_EDGES: dict[int, tuple[Any, ...]] = {
    1: (0.0, 1.5, -1.0, 1e300, float("inf"), float("nan")),
    2: (0.0, 1.5, -1.0, float("inf"), float("nan")),
    3: _INT64,
    4: _UINT64,
    5: _INT32,
    6: _UINT64,
    7: _UINT32,
    8: (True, False),
    9: ("", "a", "信创 \u20ac \U0001f600", "x" * 300),
    12: (b"", b"a", b"\x00\xff\xfe", b"\x08\x96\x01"),
    13: _UINT32,
    15: _INT32,
    16: _INT64,
    17: _INT32,
    18: _INT64,
}
"""``FieldDescriptorProto.Type`` -> least and greatest values, zero, negative ones, text and what is no text."""

UNKNOWN = 2**20 + 7
"""A number that hardly an enumeration has: what an open one lets through."""


def single_values(
    message: type[Proto],
    field: FieldDescriptor,
    *,
    deep: bool = True,
    names: bool = False,
    known: frozenset[int] | None = None,
) -> Iterator[Proto]:
    """Messages in which one field alone is set, for each value at the edges of its type; the first has nothing set.

    Args:
        deep: fields of a message that stands in the field are set, too.
        names: values of enumerations that have a name alone, as JSON spells them.
        known: the only values of its enumeration; None: all.
    """
    if not field.is_required:
        yield message()
    if _is_map(field):
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        values = [None] if value.message_type is not None else list(_edges(value, names, known))
        keys = list(_edges(key, names))
        # Every key with the first value, and every value with the first key; None is a message with nothing set.
        pairs = [*((one, values[0]) for one in keys), *((keys[0], one) for one in values[1:])] if values else []
        for one, held in pairs:
            yield _mapped(message, field, one, held)
        return
    if field.type in (field.TYPE_MESSAGE, field.TYPE_GROUP):
        made = message()
        holder = getattr(made, field.name)
        inner = holder.add() if field.is_repeated else holder
        inner.SetInParent()
        yield made
        for one in field.message_type.fields if deep else ():
            if one.message_type is None and not one.is_repeated:
                made = message()
                holder = getattr(made, field.name)
                inner = holder.add() if field.is_repeated else holder
                for edge in list(_edges(one, names))[1:2]:
                    setattr(inner, one.name, edge)
                    yield made
        return
    edges = list(_edges(field, names, known))
    if field.is_repeated:
        for edge in edges:
            yield message(**{field.name: [edge]})
        yield message(**{field.name: [e for e in edges for _ in range(2)]})
        return
    for edge in edges:
        yield message(**{field.name: edge})


def filled(message: type[Proto]) -> Proto:
    """A message with all the fields that it has to have, and no other."""
    made = message()
    for field in message.DESCRIPTOR.fields:
        if field.is_required:
            if field.message_type is not None:
                getattr(made, field.name).SetInParent()
            else:
                setattr(made, field.name, next(_edges(field, names=True)))
    return made


def value_at(message: Proto, field: FieldDescriptor) -> Any:
    """What a message has for a field of its own type."""
    return getattr(message, field.name)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _mapped(message: type[Proto], field: FieldDescriptor, key: Any, value: Any) -> Proto:
    made = message()
    if value is None:
        getattr(made, field.name)[key].SetInParent()
    else:
        getattr(made, field.name)[key] = value
    return made


def _edges(field: FieldDescriptor, names: bool, known: frozenset[int] | None = None) -> Iterator[Any]:
    if field.type == field.TYPE_ENUM:
        yield from (value.number for value in field.enum_type.values if known is None or value.number in known)
        if known is None and not names and not field.enum_type.is_closed:
            yield UNKNOWN
        return
    yield from _EDGES.get(field.type, ())
