"""Instances of a JSON Schema: each property at the edges of what its schema allows, the others as plain as can be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from pytest_xinchuang.packages.sdk_ast.openapi.schemas import Flat, branches, flat

DEEPEST = 4
"""Levels of optional properties; schemas may refer to themselves."""
MOST_SAMPLES = 500
"""Samples of one value."""
_PRINTABLE = tuple(map(chr, range(0x20, 0x7F)))
"""The characters of ASCII that print (ECMA-6): classes of patterns differ in them."""

_FORMATS = {
    "date": ("2024-02-29", "1970-01-01"),
    "date-time": ("2024-02-29T12:00:00Z", "1999-12-31T23:59:59.5+08:00"),
    "time": ("12:00:00Z",),
    "duration": ("P1D",),
    "uuid": ("00000000-0000-4000-8000-000000000000",),
    "email": ("a@b.example",),
    "uri": ("https://a.example/b",),
    "uri-reference": ("/b",),
    "hostname": ("a.example",),
    "ipv4": ("192.0.2.1",),
    "ipv6": ("2001:db8::1",),
    "byte": ("YQ==",),
}
"""JSON Schema 2020-12, "Validation", section 7.3, and OpenAPI 3.0.3, 4.4."""
_TEXTS = (
    "a", "", "abc", "ABC", "A1", "0", "123", "1234", "12345678", "-1", "1.5", "a-b", "a_b", "a.b", "a b", "信创", "\U0001f600",
    "/", "#ffffff",
    "v1.2.3", "1.2.3", "zh-CN", "CN", "x" * 64, "x" * 300, "2024-02-29", "a@b.example", "https://a.example/b", "+8613800000000",
)  # fmt: skip
_NUMBERS = (0, 1, -1, 2, 10, 100, 2**31 - 1, -(2**31), 2**53)


class Hints:
    """Values that schemas speak of: those that they name, and those at their bounds and around the words of their patterns."""

    def __init__(self, schemas: Iterable[Any]) -> None:
        self.texts: dict[str, None] = {}
        self.numbers: dict[Any, None] = {}
        waiting = list(schemas)
        while waiting:
            one = waiting.pop()
            if isinstance(one, list):
                waiting += one
            elif isinstance(one, dict):
                waiting += one.values()
                self._of(one)

    def _of(self, schema: Mapping[str, Any]) -> None:
        named = schema.get("enum")
        for value in [*(named if isinstance(named, list) else []), schema.get("const"), schema.get("default")]:
            if isinstance(value, str):
                self.texts |= dict.fromkeys((value, value.upper(), value.lower(), f"{value}x"))
            elif isinstance(value, int | float) and not isinstance(value, bool):
                self.numbers[value] = None
        for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"):
            if isinstance(bound := schema.get(key), int | float):
                self.numbers |= dict.fromkeys((bound, bound - 1, bound + 1, bound * 2))
        for key in ("minLength", "maxLength"):
            if isinstance(length := schema.get(key), int):
                self._lengths(length)
        if isinstance(pattern := schema.get("pattern"), str):
            self.texts |= dict.fromkeys(re.findall(r"\w+", pattern))
            for number in re.findall(r"[0-9]{1,4}", pattern):
                self._lengths(int(number))
            self.texts |= dict.fromkeys(text for c in _PRINTABLE for text in (c, f"a{c}", f"{c}a"))

    def _lengths(self, length: int) -> None:
        around = (n for n in (length - 1, length, length + 1) if 0 <= n <= 10_000)
        self.texts |= dict.fromkeys(c * n for n in around for c in "a0A")


class Instances:
    """Makes instances of schemas that refer to ``defs``. Not every one is valid: a validator has to say so.

    Args:
        hints: what the schemas speak of that the instances are checked with.
        valid: whether a value is an instance of a schema: parts that are none would spoil all that holds them.
    """

    def __init__(self, defs: Mapping[str, Any], hints: Hints, valid: Callable[[Any, Any], bool]) -> None:
        self.defs, self.hints, self.valid = defs, hints, valid
        self._known: dict[tuple[str, int], list[Any]] = {}

    def of(self, schema: Any) -> Iterator[Any]:
        """Instances, each once."""
        seen = set()
        for value in self._samples(schema, 0):
            text = json.dumps(value, sort_keys=True)
            if text not in seen:
                seen.add(text)
                yield value

    def _samples(self, schema: Any, depth: int) -> Iterator[Any]:
        for one in branches(flat(schema, self.defs), self.defs):
            yield from self._flat(replace(one, choices=()), depth)

    def _few(self, schema: Any, depth: int) -> list[Any]:
        key = (json.dumps(schema, sort_keys=True), depth)
        if key not in self._known:
            tried = islice(self._samples(schema, depth), 4 * MOST_SAMPLES)
            self._known[key] = list(islice((v for v in tried if self.valid(schema, v)), MOST_SAMPLES))
        return self._known[key]

    def _flat(self, one: Flat, depth: int) -> Iterator[Any]:
        if one.enum is not None:
            yield from (json.loads(value) for value in one.enum)
            return
        # Plain values first: what refers to this schema takes the first one.
        if "object" in one.types:
            yield from self._objects(one, depth)
        if "string" in one.types:
            yield from _strings(one)
            yield from self.hints.texts
        if one.types & {"integer", "number"}:
            yield from self.hints.numbers
            yield from _numbers(one)
        if "boolean" in one.types:
            yield from (True, False)
        if "array" in one.types:
            yield from self._arrays(one, depth)
        if "null" in one.types:
            yield None

    def _objects(self, one: Flat, depth: int) -> Iterator[dict[str, Any]]:
        values = {}
        for name in sorted({*one.properties, *one.required}):
            if name in one.required or depth < DEEPEST:
                schema = one.properties.get(name, one.additional if isinstance(one.additional, dict) else True)
                if depth > 3 * DEEPEST or schema is False:
                    continue
                values[name] = self._few(schema, depth + 1)
        whole = {name: found[0] for name, found in values.items() if found}
        yield whole
        yield {name: value for name, value in whole.items() if name in one.required}
        for name, found in values.items():
            for value in found[1:]:
                yield {**whole, name: value}
        for name in whole:
            if name not in one.required:
                yield {other: value for other, value in whole.items() if other != name}
        if one.additional is not False:
            schema = one.additional
            found = [True] if schema in (True, {}) else self._few(schema, depth + 1)[:4]
            for value in found:
                yield {**whole, "x-undescribed": value}

    def _arrays(self, one: Flat, depth: int) -> Iterator[list[Any]]:
        found = [] if depth > DEEPEST else self._few(one.items, depth + 1)
        least, most = int(one.bounds.get("minItems", (0, 0))[0]), int(one.bounds.get("maxItems", (8, 0))[0])
        different = found * (1 + 100 // max(1, len(found)))
        for count in sorted({least, most, 0, 1, 2, least + 1} & set(range(min(most, 100) + 1))):
            if count <= len(different):
                yield different[:count]
        for value in found:
            yield [value] * max(1, least)


def _strings(one: Flat) -> Iterator[str]:
    for name in one.formats:
        yield from _FORMATS.get(name, ())
    least, most = int(one.bounds.get("minLength", (0, 0))[0]), int(one.bounds.get("maxLength", (64, 0))[0])
    yield "a" * max(least, min(1, most))
    for length in (least, least + 1, min(most, 10_000)):
        yield "a" * min(length, 10_000)
    yield from _TEXTS


def _numbers(one: Flat) -> Iterator[Any]:
    low, high = one.bounds.get("minimum"), one.bounds.get("maximum")
    steps = [step for step in one.multiples if step]
    whole = "number" not in one.types
    for bound in (low, high):
        if bound is not None:
            yield from (bound[0], bound[0] + 1, bound[0] - 1)
            yield from (round(bound[0] / step) * step for step in steps)
    yield from _NUMBERS
    yield from (step * factor for step in steps for factor in (1, 2, 3, -1))
    if "int64" in one.formats or not one.formats:
        yield from (2**63 - 1, -(2**63))
    if not whole:
        yield from (0.5, -1.25, 1e30)
