"""Whether everything that one JSON Schema allows is allowed by another (JSON Schema 2020-12, "Validation" and "Core")."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Defs = Mapping[str, Any]

TYPES = frozenset({"null", "boolean", "object", "array", "number", "string", "integer"})
_LOWER, _UPPER = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
_KNOWN = frozenset(
    {
        "type", "enum", "const", "format", "pattern", "multipleOf", "required", "properties", "additionalProperties", "items",
        "uniqueItems", "allOf", "anyOf", "oneOf", "not", "discriminator", "readOnly", "writeOnly", "default", "$ref", "$defs",
        "unevaluatedProperties", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
        *_LOWER, *_UPPER,
    }
)  # fmt: skip
_WITHIN = {("int32", "int64"), ("float", "double")}
"""Formats of which the first has no value that the second lacks (OpenAPI 3.0.3, 4.4)."""
DEEPEST_CHOICE = 12
"""Steps in which choices, and those among their alternatives, are taken apart; a schema may be an alternative of itself."""
MOST_BRANCHES = 64
"""Combinations of ``oneOf`` and ``anyOf`` that are looked at one by one."""


@dataclass(frozen=True)
class Finding:
    """A place at which one schema allows more than the other.

    Attributes:
        kind: ``type``, ``null``, ``enum``, ``format``, ``pattern``, ``length``, ``range``, ``count``, ``required``,
            ``removed`` (a required property is not described any more), ``undeclared`` (a property that one side does not
            describe), ``additional``, ``combination``, ``other`` (a keyword that is not understood here).
        where: property names behind dots, ``[]`` for elements, ``{}`` for further properties.
        wide, narrow: what the one allows, and the other asks for.
    """

    kind: str
    where: str
    wide: str = ""
    narrow: str = ""


@dataclass(frozen=True)
class Flat:
    """A schema without references and ``allOf``."""

    types: frozenset[str] = TYPES
    enum: tuple[str, ...] | None = None
    bounds: Mapping[str, Any] = field(default_factory=dict)
    patterns: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    multiples: frozenset[Any] = frozenset()
    unique: bool = False
    required: frozenset[str] = frozenset()
    properties: Mapping[str, Any] = field(default_factory=dict)
    additional: Any = True
    items: Any = True
    choices: tuple[tuple[Any, ...], ...] = ()
    nots: tuple[Any, ...] = ()
    other: Mapping[str, Any] = field(default_factory=dict)
    discriminator: str = ""


def flat(schema: Any, defs: Defs, seen: frozenset[str] = frozenset()) -> Flat:
    """A schema with its references and ``allOf`` put into one."""
    if schema is True or schema == {}:
        return Flat()
    if schema is False or not isinstance(schema, dict):
        return Flat(types=frozenset())
    made = _own(schema)
    parts: list[tuple[Any, frozenset[str]]] = [(one, seen) for one in schema.get("allOf", ())]
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        parts.append((defs.get(reference.removeprefix("#/$defs/"), True), seen | {reference}))
    for part, known in parts:
        made = both(made, flat(part, defs, known))
    return made


def _own(schema: Mapping[str, Any]) -> Flat:
    types = schema.get("type")
    named = frozenset(types if isinstance(types, list) else [types] if isinstance(types, str) else TYPES)
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    bounds: dict[str, Any] = {}
    for key in ("minLength", "minItems", "minProperties", "maxLength", "maxItems", "maxProperties"):
        if isinstance(schema.get(key), int | float):
            bounds[key] = (schema[key], 0)
    # An exclusive bound is a little further in than an inclusive one of the same number.
    for name, keys, sign in (("minimum", _LOWER, 1), ("maximum", _UPPER, -1)):
        found = [(schema[k], sign if k == keys[1] else 0) for k in keys if isinstance(schema.get(k), int | float)]
        if found:
            bounds[name] = max(found) if sign > 0 else min(found)
    branches = tuple(tuple(schema[key]) for key in ("anyOf", "oneOf") if isinstance(schema.get(key), list))
    discriminator = schema.get("discriminator")
    return Flat(
        types=named & TYPES | ({"integer"} if "number" in named else frozenset()),
        enum=tuple(sorted(_text(v) for v in values)) if isinstance(values, list) else None,
        bounds=bounds,
        patterns=_texts(schema, "pattern"),
        formats=_texts(schema, "format"),
        multiples=frozenset([schema["multipleOf"]] if isinstance(schema.get("multipleOf"), int | float) else ()),
        unique=schema.get("uniqueItems") is True,
        required=frozenset(map(str, schema["required"])) if isinstance(schema.get("required"), list) else frozenset(),
        properties=schema["properties"] if isinstance(schema.get("properties"), dict) else {},
        # Where all of a schema is put into one, what is not evaluated is what is not described.
        additional=_together(schema.get("additionalProperties", True), schema.get("unevaluatedProperties", True)),
        items=schema.get("items", True),
        choices=branches,
        nots=(schema["not"],) if "not" in schema else (),
        other={k: v for k, v in schema.items() if k not in _KNOWN},
        discriminator=_text(discriminator) if discriminator is not None else "",
    )


def _texts(schema: Mapping[str, Any], key: str) -> frozenset[str]:
    return frozenset([schema[key]]) if isinstance(schema.get(key), str) else frozenset()


def both(one: Flat, two: Flat) -> Flat:
    """What two schemas allow together."""
    enum = (
        one.enum if two.enum is None else two.enum if one.enum is None else tuple(v for v in one.enum if v in two.enum)
    )
    bounds = dict(one.bounds)
    for key, value in two.bounds.items():
        bounds[key] = (max if key.startswith("min") else min)(bounds[key], value) if key in bounds else value
    properties = dict(one.properties)
    for name, schema in two.properties.items():
        known = properties.get(name)
        properties[name] = schema if known is None or known == schema else {"allOf": [known, schema]}
    return Flat(
        types=one.types & two.types,
        enum=enum,
        bounds=bounds,
        patterns=one.patterns | two.patterns,
        formats=one.formats | two.formats,
        multiples=one.multiples | two.multiples,
        unique=one.unique or two.unique,
        required=one.required | two.required,
        properties=properties,
        additional=_together(one.additional, two.additional),
        items=_together(one.items, two.items),
        choices=one.choices + two.choices,
        nots=one.nots + two.nots,
        other={**one.other, **two.other},
        discriminator=one.discriminator or two.discriminator,
    )


def _together(one: Any, two: Any) -> Any:
    if one is False or two is False:
        return False
    if one in (True, {}) or one == two:
        return two
    return one if two in (True, {}) else {"allOf": [one, two]}


def branches(one: Flat, defs: Defs) -> list[Flat]:
    """The schemas of which at least one holds for each value; one alone where there are no choices, or too many."""
    found = [one]
    for _level in range(DEEPEST_CHOICE):
        if not any(made.choices for made in found):
            return found
        # Each step takes one choice apart; an alternative may be a choice itself.
        found = [part for made in found for part in _apart(made, defs)]
        if len(found) > MOST_BRANCHES:
            break
    return [one]


def _apart(one: Flat, defs: Defs) -> list[Flat]:
    if not one.choices:
        return [one]
    rest = replace(one, choices=one.choices[1:])
    return [both(rest, flat(branch, defs)) for branch in one.choices[0]]


class Containment:
    """Compares what ``wide`` allows with what ``narrow`` does; each pair of references once, so that cycles end."""

    def __init__(self, narrow: Defs, wide: Defs) -> None:
        self.narrow_defs, self.wide_defs = narrow, wide
        self._pairs: set[str] = set()

    def findings(self, narrow: Any, wide: Any, where: str = "") -> Iterator[Finding]:
        """The places at which ``wide`` allows what ``narrow`` does not."""
        if narrow in (True, {}):
            return
        pair = _text([narrow, wide])
        if "$ref" in pair:
            if pair in self._pairs:
                return
            self._pairs.add(pair)
        yield from self._flat(flat(narrow, self.narrow_defs), flat(wide, self.wide_defs), where)

    def _flat(self, narrow: Flat, wide: Flat, where: str) -> Iterator[Finding]:
        if narrow.discriminator != wide.discriminator and narrow.discriminator and wide.discriminator:
            yield Finding("combination", where, wide.discriminator, narrow.discriminator)
        seen = set()
        for one in branches(wide, self.wide_defs):
            for finding in self._branch(narrow, one, where):
                if finding not in seen:
                    seen.add(finding)
                    yield finding

    def _branch(self, narrow: Flat, wide: Flat, where: str) -> Iterator[Finding]:
        if not wide.types:
            return
        yield from self._values(narrow, wide, where)
        if "object" in wide.types:
            yield from self._object(narrow, wide, where)
        if "array" in wide.types and "array" in narrow.types:
            yield from self.findings(narrow.items, wide.items, f"{where}[]")
        for choice in narrow.choices:
            if not any(self._fits(branch, wide) for branch in choice):
                yield Finding("combination", where, _brief(wide), f"{len(choice)} alternatives")
        for one in narrow.nots:
            if not any(self._equal(one, other) for other in wide.nots):
                yield Finding("combination", where, "-", f"not {_text(one)[:60]}")
        for key, value in narrow.other.items():
            if not (key in wide.other and self._equal(value, wide.other[key])):
                yield Finding("other", where, _text(wide.other.get(key, "-"))[:60], f"{key}: {_text(value)[:60]}")

        key = "patternProperties"
        closed = narrow.additional not in (True, {})
        if closed and key in wide.other and not self._equal(narrow.other.get(key, {}), wide.other[key]):
            yield Finding(
                "other",
                where,
                f"{key}: {_text(wide.other[key])[:60]}",
                f"{key}: {_text(narrow.other.get(key, '-'))[:60]}",
            )

    def _equal(self, narrow: Any, wide: Any) -> bool:
        """Whether two say the same, with all that they refer to."""
        return bool(narrow == wide) and reached(narrow, self.narrow_defs) == reached(wide, self.wide_defs)

    def _fits(self, branch: Any, wide: Flat) -> bool:
        narrow = flat(branch, self.narrow_defs)
        mine = Containment(self.narrow_defs, self.wide_defs)
        mine._pairs = set(self._pairs)
        # A choice within a branch counts as a whole: what is one of its own alternatives is one of the outer ones.
        return not any(finding.kind != "undeclared" for finding in mine._branch(narrow, replace(wide, choices=()), ""))

    def _values(self, narrow: Flat, wide: Flat, where: str) -> Iterator[Finding]:
        types = _types(wide)
        lost = types - narrow.types
        if lost == {"null"}:
            yield Finding("null", where, "null", "-")
        elif lost and not (lost <= {"null"} and narrow.enum is not None):
            yield Finding("type", where, _listed(types), _listed(narrow.types))
        if narrow.enum is not None and (wide.enum is None or set(wide.enum) - set(narrow.enum)):
            more = ", ".join(sorted(set(wide.enum) - set(narrow.enum))) if wide.enum is not None else "-"
            yield Finding("enum", where, more, ", ".join(narrow.enum))
        if wide.enum is not None:
            return  # its values are all that there is
        if "string" in types:
            if narrow.patterns - wide.patterns:
                yield Finding("pattern", where, _listed(wide.patterns), _listed(narrow.patterns - wide.patterns))
            yield from self._bounds(narrow, wide, where, "length", "minLength", "maxLength")
        if types & {"integer", "number"}:
            yield from self._bounds(narrow, wide, where, "range", "minimum", "maximum")
            for step in narrow.multiples:
                if not any(_is_multiple(other, step) for other in wide.multiples) and not (
                    step == 1 and "number" not in types
                ):
                    yield Finding("range", where, _listed(map(str, wide.multiples)), f"multipleOf {step}")
        if types & {"string", "integer", "number"}:
            for name in narrow.formats:
                if name not in wide.formats and not any((other, name) in _WITHIN for other in wide.formats):
                    yield Finding("format", where, _listed(wide.formats), name)
        if "array" in types:
            yield from self._bounds(narrow, wide, where, "count", "minItems", "maxItems")
            if narrow.unique and not wide.unique:
                yield Finding("count", where, "-", "uniqueItems")
        if "object" in types:
            yield from self._bounds(narrow, wide, where, "count", "minProperties", "maxProperties")

    def _bounds(self, narrow: Flat, wide: Flat, where: str, kind: str, low: str, high: str) -> Iterator[Finding]:
        for key in (low, high):
            mine, theirs = narrow.bounds.get(key), wide.bounds.get(key)
            if mine is None or (key in ("minLength", "minItems", "minProperties") and mine[0] <= 0):
                continue
            if theirs is None or (theirs < mine if key == low else theirs > mine):
                yield Finding(kind, where, f"{key} {_bound(theirs)}", f"{key} {_bound(mine)}")

    def _object(self, narrow: Flat, wide: Flat, where: str) -> Iterator[Finding]:
        if "object" not in narrow.types:
            return
        for name in sorted(narrow.required - wide.required):
            removed = name not in wide.properties and name in narrow.properties
            yield Finding("removed" if removed else "required", f"{where}.{name}", "-", name)
        for name, schema in wide.properties.items():
            if schema is False:
                continue
            if name in narrow.properties:
                yield from self.findings(narrow.properties[name], schema, f"{where}.{name}")
            elif narrow.additional is False:
                yield Finding("additional", f"{where}.{name}", name, "additionalProperties: false")
            elif narrow.additional not in (True, {}):
                yield from self.findings(narrow.additional, schema, f"{where}.{name}")
        for name, schema in narrow.properties.items():
            if name in wide.properties or wide.additional is False or name in narrow.required - wide.required:
                continue
            if wide.additional in (True, {}):
                yield Finding("undeclared", f"{where}.{name}", "-", name)
            else:
                yield from self.findings(schema, wide.additional, f"{where}.{name}")
        if wide.additional is not False and narrow.additional not in (True, {}):
            if narrow.additional is False:
                yield Finding("additional", where, "additionalProperties", "additionalProperties: false")
            else:
                yield from self.findings(narrow.additional, wide.additional, f"{where}{{}}")


def _types(one: Flat) -> frozenset[str]:
    """The types that its values have: those of its enumeration, where it has one."""
    if one.enum is None:
        return one.types
    names = {
        bool: "boolean",
        int: "integer",
        float: "number",
        str: "string",
        list: "array",
        dict: "object",
        type(None): "null",
    }
    return one.types & frozenset(names[type(json.loads(value))] for value in one.enum)


def _is_multiple(value: Any, step: Any) -> bool:
    return bool(step) and abs(value / step - round(value / step)) < 1e-9


def _bound(value: tuple[Any, int] | None) -> str:
    return "-" if value is None else f"{value[0]}{' (exclusive)' if value[1] else ''}"


def _listed(values: Any) -> str:
    return ", ".join(sorted(values)) or "-"


def _brief(one: Flat) -> str:
    return _listed(one.types) if one.types != TYPES else "-"


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def reached(schema: Any, defs: Defs) -> dict[str, Any]:
    """What a schema refers to, directly or not."""
    found: dict[str, Any] = {}
    waiting = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()
            name = str(one.get("$ref", "")).removeprefix("#/$defs/")
            if name in defs and name not in found:
                found[name] = defs[name]
                waiting.append(defs[name])
    return found


def directed(schema: Any, defs: Defs, leave: str) -> Any:
    """A schema without the properties of one direction (OpenAPI 3.1, 4.8.24: ``readOnly``, ``writeOnly``).

    Args:
        leave: ``readOnly`` for requests, ``writeOnly`` for responses.
    """
    if isinstance(schema, list):
        return [directed(one, defs, leave) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: directed(one, defs, leave) for key, one in schema.items() if key not in ("enum", "const", "default")}
    made |= {key: schema[key] for key in ("enum", "const", "default") if key in schema}
    properties = schema.get("properties")
    if isinstance(properties, dict):
        gone = {name for name, one in properties.items() if _flagged(one, defs, leave)}
        made["properties"] = {name: one for name, one in made["properties"].items() if name not in gone}
        if isinstance(schema.get("required"), list):
            made["required"] = [name for name in schema["required"] if name not in gone]
    return made


def _flagged(schema: Any, defs: Defs, leave: str, seen: Sequence[str] = ()) -> bool:
    if not isinstance(schema, dict):
        return False
    reference = schema.get("$ref")
    if schema.get(leave) is True:
        return True
    if isinstance(reference, str) and reference not in seen:
        return _flagged(defs.get(reference.removeprefix("#/$defs/"), True), defs, leave, (*seen, reference))
    return any(_flagged(one, defs, leave, seen) for one in schema.get("allOf", ()) if isinstance(one, dict))
