"""What differs between two protobuf schemas: on the wire, in JSON, and in generated code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sdk_ast.change import Change
from pytest_xinchuang.packages.sdk_ast.comparer import Comparer, PackageRules, place_of
from pytest_xinchuang.packages.sdk_ast.snapshot import ApiPackage, Symbol

Field = Mapping[str, Any]

_GROUPS = ({"int32", "uint32", "int64", "uint64", "bool", "enum"}, {"sint32", "sint64"}, {"fixed32", "sfixed32"},
           {"fixed64", "sfixed64"}, {"string", "bytes"})  # fmt: skip
"""Types that readers take for each other, with values cut to size (protobuf language guide, "Updating A Message Type")."""

_REMOVED = {
    "message": "PROTO-MESSAGE-REMOVED",
    "enum": "PROTO-ENUM-REMOVED",
    "service": "PROTO-SERVICE-REMOVED",
    "rpc": "PROTO-RPC-REMOVED",
    "extension": "PROTO-EXTENSION-REMOVED",
}
_RPC = {
    "request": "PROTO-RPC-REQUEST-CHANGED",
    "response": "PROTO-RPC-RESPONSE-CHANGED",
    "client_streaming": "PROTO-RPC-CLIENT-STREAMING-CHANGED",
    "server_streaming": "PROTO-RPC-SERVER-STREAMING-CHANGED",
    "idempotency": "PROTO-RPC-IDEMPOTENCY-CHANGED",
}
_OPTIONS = {"jstype": "PROTO-FIELD-JSTYPE-CHANGED", "ctype": "PROTO-FIELD-CTYPE-CHANGED"}


class ProtobufComparer(Comparer):
    """Compares packages."""

    package_rules = PackageRules(
        added="PROTO-PKG-ADDED", removed="PROTO-PKG-REMOVED", unverifiable="PROTO-UNVERIFIABLE"
    )

    def label(self, path: str, name: str = "") -> str:
        return (name if path == "." else f"{path}.{name}") if name else path

    def new_path(self, path: str) -> str:
        return self.package_map.get(path, path)

    def compare_package(self, old: ApiPackage, new: ApiPackage) -> None:
        self._old, self._new = old.symbols, new.symbols
        super().compare_package(old, new)

    def placed(self, change: Change) -> Change:
        if change.rule == self.package_rules.removed and (self.old.snapshot.problems or self.new.snapshot.problems):
            # What does not compile may be what seems to be gone: nobody knows its package.
            return replace(change, undecided=_("a file did not compile, which may be of this package"))
        return change

    # -- what went and came

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        label = self.label(path, name)
        if symbol["kind"] == "module":
            self.add("PROTO-FILE-REMOVED", name, name)
            return
        owner = name.rpartition(".")[0]
        if owner in self._old and owner not in self._new:
            return  # told of what held it
        self.add(_REMOVED[symbol["facts"]["of"]], label, text_of(symbol), at=place_of(symbol))

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        owner = name.rpartition(".")[0]
        if symbol["kind"] != "module" and not (owner in self._new and owner not in self._old):
            self.add("PROTO-ADDED", self.label(path, name), "", text_of(symbol), at=place_of(symbol))

    # -- what changed

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        before, after = old["facts"], new["facts"]
        if old["kind"] == "module":
            self._file(name, before, after)
            return
        label, at = self.label(path, name), place_of(new)
        if before["of"] != after["of"]:
            self.add("PROTO-KIND-CHANGED", label, before["of"], after["of"], at=at)
            return
        if before.get("file") != after.get("file"):
            self.add("PROTO-FILE-CHANGED", label, before["file"], after["file"], at=at)
        if new.get("deprecated") and not old.get("deprecated"):
            self.add("PROTO-DEPRECATED", label, at=at)
        compare = {"message": self._message, "enum": self._enum, "rpc": self._rpc, "extension": self._extension}
        if before["of"] in compare:
            compare[before["of"]](label, before, after, at)

    def _file(self, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        for option in sorted({*before["options"], *after["options"]}):
            was, now = (str(side["options"].get(option, "-")) for side in (before, after))
            if was != now:
                self.add("PROTO-FILE-OPTION-CHANGED", f"{name}({option})", was, now)
        if before["syntax"] != after["syntax"]:
            self.add("PROTO-SYNTAX-CHANGED", name, before["syntax"], after["syntax"])
        for lost in sorted({*before["public"]} - {*after["public"]}):
            self.add("PROTO-IMPORT-PUBLIC-REMOVED", f"{name}({lost})", lost)

    def _message(self, label: str, before: Mapping[str, Any], after: Mapping[str, Any], at: str) -> None:
        if before["message_set"] != after["message_set"]:
            self.add("PROTO-MESSAGE-SET-CHANGED", label, str(before["message_set"]), str(after["message_set"]), at=at)
        old, new = ({f["number"]: f for f in side["fields"]} for side in (before, after))
        old_names, new_names = ({f["name"]: f for f in side["fields"]} for side in (before, after))
        for number, was in old.items():
            field, now = f"{label}.{was['name']}", new.get(number)
            moved = new_names.get(was["name"])
            if moved is not None and moved["number"] != number:
                self.add("PROTO-FIELD-NUMBER-CHANGED", field, str(number), str(moved["number"]), at=at)
                if now is not None and now["name"] not in old_names:
                    self.add("PROTO-FIELD-NUMBER-REUSED", field, field_text(was), field_text(now), at=at)
            elif now is None:
                kept = _within(number, after["reserved"]) and was["name"] in after["reserved_names"]
                rule = "PROTO-FIELD-REMOVED-RESERVED" if kept else "PROTO-FIELD-REMOVED"
                self.add(rule, field, field_text(was), at=at)
                if was["label"] == "required":
                    self.add("PROTO-FIELD-REQUIRED-REMOVED", field, field_text(was), at=at)
            elif now["name"] != was["name"] and _shape(was) != _shape(now):
                self.add("PROTO-FIELD-NUMBER-REUSED", field, field_text(was), field_text(now), at=at)
            else:
                if now["name"] != was["name"]:
                    self.add("PROTO-FIELD-RENAMED", field, was["name"], now["name"], at=at)
                self._field(field, was, now, at)
        for number, now in new.items():
            if number not in old and now["name"] not in old_names:
                self._field_added(label, now, before, at)
        for oneof in before["oneofs"]:
            if oneof not in after["oneofs"]:
                self.add("PROTO-ONEOF-REMOVED", f"{label}.{oneof}", oneof, at=at)
        self._reserved(label, before, after, [[n, n] for n in new], new_names, at)
        lost = [r for r in before["extensions"] if not _covered(r, after["extensions"])]
        if lost:
            self.add("PROTO-EXTENSION-RANGE-REMOVED", label, _ranges(lost), _ranges(after["extensions"]), at=at)

    def _field_added(self, label: str, now: Field, before: Mapping[str, Any], at: str) -> None:
        field = f"{label}.{now['name']}"
        if _within(now["number"], before["reserved"]) or now["name"] in before["reserved_names"]:
            self.add("PROTO-RESERVED-REUSED", field, "", field_text(now), at=at)
        elif now["label"] == "required":
            self.add("PROTO-FIELD-REQUIRED-ADDED", field, "", field_text(now), at=at)
        elif now.get("oneof") in before["oneofs"]:
            self.add("PROTO-ONEOF-FIELD-ADDED", field, "", field_text(now), at=at)
        else:
            self.add("PROTO-FIELD-ADDED", field, "", field_text(now), at=at)

    def _reserved(
        self,
        label: str,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        used: Sequence[Sequence[int]],
        names: Mapping[str, Any],
        at: str,
    ) -> None:
        """What was reserved and neither is any more nor is used: nothing keeps the next change from using it."""
        ranges = [r for r in before["reserved"] if not _covered(r, [*after["reserved"], *used])]
        lost = [n for n in before["reserved_names"] if n not in after["reserved_names"] and n not in names]
        if ranges or lost:
            self.add("PROTO-RESERVED-REMOVED", label, ", ".join(filter(None, (_ranges(ranges), *lost))), at=at)

    def _field(self, label: str, was: Field, now: Field, at: str) -> None:
        texts = field_text(was), field_text(now)
        if was["json"] != now["json"]:
            self.add("PROTO-FIELD-JSON-NAME-CHANGED", label, was["json"], now["json"], at=at)
        if was["label"] != now["label"]:
            labels = {was["label"], now["label"]}
            if labels == {"singular", "required"}:
                rule = "PROTO-FIELD-REQUIRED" if now["label"] == "required" else "PROTO-FIELD-REQUIRED-LOST"
            else:
                rule = "PROTO-FIELD-CARDINALITY-CHANGED"
            self.add(rule, label, *texts, at=at)
        for rule in _type_rules(was, now):
            self.add(rule, label, *texts, at=at)
        if was["label"] == now["label"] == "singular":
            if was["presence"] != now["presence"] and was.get("oneof") == now.get("oneof"):
                rule = "PROTO-FIELD-PRESENCE-ADDED" if now["presence"] else "PROTO-FIELD-PRESENCE-LOST"
                self.add(rule, label, *texts, at=at)
            if was.get("oneof") != now.get("oneof"):
                rule = "PROTO-FIELD-ONEOF-LEFT" if "oneof" not in now else "PROTO-FIELD-ONEOF-CHANGED"
                self.add(rule, label, was.get("oneof", "-"), now.get("oneof", "-"), at=at)
        if "default" in was and "default" in now and was["type"] == now["type"] and was["default"] != now["default"]:
            same_number = was["type"] == "enum" and was["default"].split(" = ")[-1] == now["default"].split(" = ")[-1]
            if not same_number:
                self.add("PROTO-FIELD-DEFAULT-CHANGED", label, was["default"], now["default"], at=at)
        if "packed" in was and "packed" in now and was["packed"] != now["packed"]:
            self.add("PROTO-FIELD-PACKED-CHANGED", label, str(was["packed"]), str(now["packed"]), at=at)
        if "utf8" in was and "utf8" in now and was["utf8"] != now["utf8"]:
            rule = "PROTO-FIELD-UTF8-CHECKED" if now["utf8"] else "PROTO-FIELD-UTF8-UNCHECKED"
            self.add(rule, label, *texts, at=at)
        for option, rule in _OPTIONS.items():
            if was.get(option, 0) != now.get(option, 0):
                self.add(rule, label, str(was.get(option, 0)), str(now.get(option, 0)), at=at)
        if now.get("deprecated") and not was.get("deprecated"):
            self.add("PROTO-DEPRECATED", label, at=at)

    def _enum(self, label: str, before: Mapping[str, Any], after: Mapping[str, Any], at: str) -> None:
        if before["closed"] != after["closed"]:
            self.add("PROTO-ENUM-CLOSED" if after["closed"] else "PROTO-ENUM-OPENED", label, at=at)
        old, new = dict(before["values"]), dict(after["values"])
        for name, number in old.items():
            value, there = f"{label}.{name}", [n for n, at_number in new.items() if at_number == number]
            if name in new:
                if new[name] != number:
                    self.add("PROTO-ENUM-VALUE-NUMBER-CHANGED", value, str(number), str(new[name]), at=at)
            elif came := [n for n in there if n not in old]:
                self.add("PROTO-ENUM-VALUE-RENAMED", value, name, came[0], at=at)
            else:
                kept = _within(number, after["reserved"]) and name in after["reserved_names"]
                rule = "PROTO-ENUM-VALUE-REMOVED-RESERVED" if kept else "PROTO-ENUM-VALUE-REMOVED"
                self.add(rule, value, f"{name} = {number}", ", ".join(there), at=at)
        for name, number in new.items():
            if name in old or (
                number in old.values() and not {n for n, at_number in old.items() if at_number == number} & new.keys()
            ):
                continue
            value = f"{label}.{name}"
            if _within(number, before["reserved"]) or name in before["reserved_names"]:
                self.add("PROTO-RESERVED-REUSED", value, "", f"{name} = {number}", at=at)
            elif number in old.values():
                self.add("PROTO-ENUM-ALIAS-ADDED", value, "", f"{name} = {number}", at=at)
            else:
                rule = "PROTO-ENUM-VALUE-ADDED-CLOSED" if before["closed"] else "PROTO-ENUM-VALUE-ADDED"
                self.add(rule, value, "", f"{name} = {number}", at=at)
        for name in sorted({*after["deprecated_values"]} - {*before["deprecated_values"]}):
            self.add("PROTO-DEPRECATED", f"{label}.{name}", at=at)
        self._reserved(label, before, after, [[n, n] for n in new.values()], new, at)

    def _rpc(self, label: str, before: Mapping[str, Any], after: Mapping[str, Any], at: str) -> None:
        for fact, rule in _RPC.items():
            if before[fact] != after[fact]:
                self.add(rule, label, str(before[fact]), str(after[fact]), at=at)

    def _extension(self, label: str, before: Mapping[str, Any], after: Mapping[str, Any], at: str) -> None:
        was, now = before["field"], after["field"]
        if before["extends"] != after["extends"] or was["number"] != now["number"]:
            sides = (f"{side['extends']} {side['field']['number']}" for side in (before, after))
            self.add("PROTO-EXTENSION-CHANGED", label, *sides, at=at)
        self._field(label, was, now, at)


def _type_rules(was: Field, now: Field) -> Iterator[str]:
    if was["label"] == now["label"] == "map" and was["key"] != now["key"]:
        yield "PROTO-FIELD-TYPE-CHANGED"
    elif was["type"] != now["type"]:
        if {was["type"], now["type"]} == {"group", "message"} and was["name_of_type"] == now["name_of_type"]:
            yield "PROTO-FIELD-ENCODING-CHANGED"
        elif any({was["type"], now["type"]} <= group for group in _GROUPS):
            yield "PROTO-FIELD-TYPE-RELATED"
        else:
            yield "PROTO-FIELD-TYPE-CHANGED"
    elif was.get("name_of_type") != now.get("name_of_type"):
        yield "PROTO-FIELD-TYPE-NAME-CHANGED"


def _shape(field: Field) -> tuple[Any, ...]:
    return field["label"] if field["label"] != "required" else "singular", field["type"], field.get("name_of_type")


def _within(number: int, ranges: Sequence[Sequence[int]]) -> bool:
    return any(first <= number <= last for first, last in ranges)


def _covered(wanted: Sequence[int], ranges: Sequence[Sequence[int]]) -> bool:
    """Whether ranges together hold every number of one (both ends are inside)."""
    at = wanted[0]
    for first, last in sorted(map(tuple, ranges)):
        if first <= at <= last:
            at = last + 1
    return at > wanted[1]


def _ranges(ranges: Sequence[Sequence[int]]) -> str:
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ranges)


def field_text(field: Field) -> str:
    """A field as a schema has it."""
    kind = field.get("name_of_type") or field["type"]
    shown = f"map<{field['key']}, {kind}>" if field["label"] == "map" else kind
    label = {"map": "", "singular": "optional " if field.get("presence") and "oneof" not in field else ""}
    return f"{label.get(field['label'], field['label'] + ' ')}{shown} {field['name']} = {field['number']}"


def text_of(symbol: Symbol) -> str:
    """A symbol in a few words."""
    facts = symbol["facts"]
    if facts["of"] == "rpc":
        streams = ["stream " if facts[side] else "" for side in ("client_streaming", "server_streaming")]
        return f"rpc ({streams[0]}{facts['request']}) returns ({streams[1]}{facts['response']})"
    return field_text(facts["field"]) if facts["of"] == "extension" else str(facts["of"])
