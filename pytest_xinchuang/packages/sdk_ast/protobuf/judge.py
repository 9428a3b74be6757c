"""Data of one version read by the other, with the codec of google.protobuf: the wire, JSON, and what generated code takes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import _, told, verbatim
from pytest_xinchuang.packages.sdk_ast.compare import Comparison
from pytest_xinchuang.packages.sdk_ast.judge.client import Client, Outcome, Trial
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.protobuf.compiler import Schema, compile_schema
from pytest_xinchuang.packages.sdk_ast.protobuf.values import filled, single_values, value_at
from pytest_xinchuang.packages.sdk_ast.source import Sources

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor
    from google.protobuf.message import Message as Proto

READ, WRITE, JSON, USE = "read", "write", "json", "use"
"""Old data in a new program, new data in an old one, JSON in either, and the names and types of generated classes."""


class ProtobufJudge:
    """Tries messages of a schema, a field at a time."""

    def __init__(self, sources: Sources) -> None:
        self.runner = sources.runner

    def trials(self, comparison: Comparison, policy: ApiPolicy) -> Sequence[Trial]:
        """Raises HostFault: there is no protoc or no protobuf for Python."""
        with optional("sdk_ast"):
            import google.protobuf

        schemas = [compile_schema(_place(side.place), self.runner) for side in (comparison.old, comparison.new)]
        tool = f"google.protobuf {google.protobuf.__version__}"
        found: list[Trial] = []
        for label, old, new in _pairs(schemas[0], schemas[1], policy.package_map):
            found += _Exchange(label, old, new, tool).trials()
        return found


def _place(place: Path | None) -> Path:
    assert place is not None  # hindrance() says so before
    return place


def _pairs(old: Schema, new: Schema, names: Any) -> Iterator[tuple[str, type[Proto], type[Proto]]]:
    """Messages that both versions have, by name."""
    from google.protobuf.message_factory import GetMessageClass

    for file in old.files:
        if file.name not in old.own:
            continue
        queue = list(old.pool.FindFileByName(file.name).message_types_by_name.values())
        while queue:
            made = queue.pop()
            queue += made.nested_types
            if made.GetOptions().map_entry:
                continue
            name = made.full_name
            if file.package in names:
                name = names[file.package] + name[len(file.package) :]
            try:
                other = new.pool.FindMessageTypeByName(name)
            except KeyError:
                continue
            yield made.full_name, GetMessageClass(made), GetMessageClass(other)


@dataclass
class _Exchange:
    """One message as two versions have it."""

    label: str
    old: type[Proto]
    new: type[Proto]
    tool: str

    def trials(self) -> Iterator[Trial]:
        before, after = self.old.DESCRIPTOR, self.new.DESCRIPTOR
        for field in before.fields:
            yield from self._field(field)
        for field in after.fields:
            was = before.fields_by_name.get(field.name) or before.fields_by_number.get(field.number)
            if was is not None:
                yield self._data(was, WRITE, field, self.new, self.old)
                if was.name == field.name:
                    yield self._json(was, field, self.new, self.old)
        for source, target, relation in ((self.old, self.new, READ), (self.new, self.old, WRITE)):
            yield from self._required(source, target, relation)
        for oneof in {f.containing_oneof for f in after.fields if f.containing_oneof is not None}:
            yield from self._together([f.name for f in oneof.fields])

    def _field(self, field: FieldDescriptor) -> Iterator[Trial]:
        yield self._data(field, READ, field, self.old, self.new)
        yield self._json(field, field, self.old, self.new)
        yield self._use(field)

    def _trial(self, field: FieldDescriptor, relation: str, text: str, said: str, *, source: bool = False) -> Trial:
        symbol = f"{self.label}.{field.name}"
        client = Client(symbol, relation, {"message.txtpb": text}, also=(self.label, *_types(field)))
        outcome = Outcome.FAILS if said else Outcome.HOLDS
        if source:
            return Trial(client, Outcome.HOLDS, source=outcome, said=said, tool=self.tool)
        return Trial(client, Outcome.HOLDS, binary=outcome, said=said, tool=self.tool)

    def _data(
        self, symbol: FieldDescriptor, relation: str, field: FieldDescriptor, source: type[Proto], target: type[Proto]
    ) -> Trial:
        """Every edge value of a field, encoded by one version and decoded by the other."""
        text = ""
        for message in single_values(
            source, field, deep=_deep(field, target), known=_known(field, target) if relation == WRITE else None
        ):
            text = str(message)
            said = _decoded(message, field, target)
            if said:
                return self._trial(symbol, relation, text, said)
        return self._trial(symbol, relation, text, "")

    def _json(self, symbol: FieldDescriptor, field: FieldDescriptor, source: type[Proto], target: type[Proto]) -> Trial:
        from google.protobuf.json_format import MessageToJson, Parse

        text = ""
        # A name that the other version came with is nobody's loss: the old one may be asked for what it knows alone.
        known = _named(field) & _named(target.DESCRIPTOR.fields_by_name[field.name]) if source is self.new else None
        for message in single_values(source, field, deep=_deep(field, target), names=True, known=known):
            try:
                text = MessageToJson(message)
                Parse(text, source())
            except Exception:  # what JSON cannot carry in the version itself either
                continue
            try:
                read = Parse(text, target())
            except Exception as error:  # json_format raises ParseError, and what its parts raise
                return self._trial(symbol, JSON, text, _short(error))
            if said := _differs(message, field, read, by_name=True):
                return self._trial(symbol, JSON, text, said)
        return self._trial(symbol, JSON, text, "")

    def _use(self, field: FieldDescriptor) -> Trial:
        """What a program that was written for the old version does with the field."""
        text = f"{self.old.DESCRIPTOR.name}().{field.name}"
        try:
            getattr(self.new(), field.name)
            if field.has_presence:
                self.new().HasField(field.name)
            if field.containing_oneof is not None and field.containing_oneof.name != f"_{field.name}":
                self.new().WhichOneof(field.containing_oneof.name)
            if field.message_type is None:
                for message in single_values(self.old, field):
                    value = value_at(message, field)
                    text = f"{self.old.DESCRIPTOR.name}({field.name}={value!r})"
                    self.new(**{field.name: value})
                if field.enum_type is not None and not field.is_repeated:
                    self._enum_names(field)
            else:
                now = self.new.DESCRIPTOR.fields_by_name[field.name].message_type
                if now is None or (now.full_name != field.message_type.full_name and not now.GetOptions().map_entry):
                    raise TypeError(f"{field.name} is no {field.message_type.full_name}")
        except Exception as error:  # ValueError, TypeError, AttributeError of the runtime
            return self._trial(field, USE, text, _short(error), source=True)
        return self._trial(field, USE, text, "", source=True)

    def _enum_names(self, field: FieldDescriptor) -> None:
        """Raises ValueError: the new version calls a value otherwise."""
        for name in field.enum_type.values_by_name:
            self.new(**{field.name: name})

    def _required(self, source: type[Proto], target: type[Proto], relation: str) -> Iterator[Trial]:
        message = filled(source)
        read = target()
        try:
            read.MergeFromString(message.SerializePartialToString())
        except Exception:  # told of the field that it is about
            return
        for field in target.DESCRIPTOR.fields:
            if field.is_required and not read.HasField(field.name):
                said = _("{message} has no {field}, which is required", message=self.label, field=field.name)
                yield self._trial(field, relation, str(message), said)

    def _together(self, names: Sequence[str]) -> Iterator[Trial]:
        """Fields that stand in one oneof now, set together as the old version allows."""
        fields = [
            self.old.DESCRIPTOR.fields_by_name[name] for name in names if name in self.old.DESCRIPTOR.fields_by_name
        ]
        if len(fields) < 2 or len({f.containing_oneof.name if f.containing_oneof else f.name for f in fields}) < 2:
            return
        message = self.old()
        for field in fields:
            one = next((m for m in single_values(self.old, field) if m.ByteSize()), None)
            if one is not None:
                message.MergeFrom(one)
        held = [f for f in fields if not f.has_presence or message.HasField(f.name)]
        for field in held:
            if (said := _decoded(message, field, self.new)) and value_at(message, field) != field.default_value:
                yield self._trial(field, READ, str(message), said)


def _types(field: FieldDescriptor) -> tuple[str, ...]:
    """Further symbols that a field's data says something about: its enumeration and the values of it."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        field = field.message_type.fields_by_name["value"]
    if field.enum_type is None:
        return ()
    name = field.enum_type.full_name
    return (name, *(f"{name}.{value.name}" for value in field.enum_type.values))


def _named(field: FieldDescriptor) -> frozenset[int]:
    return frozenset(field.enum_type.values_by_number) if field.enum_type is not None else frozenset()


def _known(field: FieldDescriptor, target: type[Proto]) -> frozenset[int] | None:
    """The numbers that a closed enumeration of the other version has; None: it takes any."""
    now = target.DESCRIPTOR.fields_by_name.get(field.name)
    return _named(now) if now is not None and now.enum_type is not None and now.enum_type.is_closed else None


def _same_message(field: FieldDescriptor, now: FieldDescriptor | None) -> bool:
    """Whether both are of one message: what stands in it is told of that message."""
    if now is None or field.message_type is None or now.message_type is None:
        return False
    return bool(field.message_type.full_name == now.message_type.full_name)


def _deep(field: FieldDescriptor, target: type[Proto]) -> bool:
    there = target.DESCRIPTOR
    return not _same_message(field, there.fields_by_name.get(field.name) or there.fields_by_number.get(field.number))


def _short(error: Exception) -> str:
    return " ".join(told(error).split())[:300] or type(error).__name__


def _decoded(message: Proto, field: FieldDescriptor, target: type[Proto]) -> str:
    """What is wrong with a message when the other version has read it; empty: nothing."""
    data = message.SerializePartialToString(deterministic=True)
    read = target()
    try:
        read.MergeFromString(data)
    except Exception as error:  # DecodeError
        return _short(error)
    return _differs(message, field, read)


def _differs(message: Proto, field: FieldDescriptor, read: Proto, *, by_name: bool = False) -> str:
    """What became of a field; what readers do not know they keep, and give back as it was."""
    there = read.DESCRIPTOR
    now = there.fields_by_name.get(field.name) or there.fields_by_number.get(field.number)
    if now is None:
        return ""
    if not by_name and now.name != field.name and now.number != field.number:
        return _("{field} is not there", field=field.name)
    was, is_now = _plain(value_at(message, field), field), _plain(value_at(read, now), now)
    if _same_message(field, now) and not field.is_repeated and not now.is_repeated:
        was = is_now = None
    if field.has_presence and now.has_presence and not field.is_repeated and not now.is_repeated:
        was, is_now = (message.HasField(field.name), was), (read.HasField(now.name), is_now)
    if _same(was, is_now):
        return ""
    texts = {"was": verbatim(_brief(was)), "now": verbatim(_brief(is_now))}
    return _("{field}: {was} was written, and {now} is read", field=field.name, **texts)


def _same(was: Any, now: Any) -> bool:
    if isinstance(was, float) and isinstance(now, float) and math.isnan(was) and math.isnan(now):
        return True
    if isinstance(was, dict) and isinstance(now, dict):
        return was.keys() == now.keys() and all(_same(was[key], now[key]) for key in was)
    if isinstance(was, tuple | list) and isinstance(now, tuple | list) and type(was) is type(now):
        return len(was) == len(now) and all(_same(a, b) for a, b in zip(was, now, strict=True))
    return bool(was == now)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else text[:77] + "..."


def _plain(value: Any, field: FieldDescriptor) -> Any:
    """A value that values of another version can be compared with."""
    if field.type in (field.TYPE_MESSAGE, field.TYPE_GROUP):
        if field.message_type.GetOptions().map_entry:
            inner = field.message_type.fields_by_name["value"]
            return {key: _plain(one, inner) if inner.message_type is None else "message" for key, one in value.items()}
        return [_message(one) for one in value] if field.is_repeated else _message(value)
    value = list(value) if field.is_repeated else value
    # Text that is ASCII is the same as bytes; a bool as an integer, and 1 as 1.0.
    if isinstance(value, str):
        return value.encode()
    return [one.encode() if isinstance(one, str) else one for one in value] if isinstance(value, list) else value


def _message(value: Proto) -> Any:
    return ("message", value.SerializePartialToString(deterministic=True))
