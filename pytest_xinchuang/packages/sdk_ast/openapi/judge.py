"""Instances of the schemas of one version, checked with those of the other by a validator of JSON Schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.packages.sdk_ast.compare import Comparison
from pytest_xinchuang.packages.sdk_ast.judge.client import Client, Outcome, Trial
from pytest_xinchuang.packages.sdk_ast.openapi.comparer import FLOWS, Exchanged, defs_of, exchanged
from pytest_xinchuang.packages.sdk_ast.openapi.instances import Hints, Instances
from pytest_xinchuang.packages.sdk_ast.openapi.schemas import directed, reached
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy

INSTANCE = "instance"
MOST_INSTANCES = 1500
"""Instances of one body or parameter."""


class OpenApiJudge:
    """Makes requests as the old version allows them, and responses as the new one does."""

    def trials(self, comparison: Comparison, policy: ApiPolicy) -> Sequence[Trial]:
        """Raises HostFault: there is no validator."""
        with optional("sdk_ast"):
            import jsonschema
        from importlib.metadata import version

        tool = f"{jsonschema.__name__} {version('jsonschema')}"
        found: list[Trial] = []
        for path, packages in comparison.old.packages.items():
            new = comparison.new.package(policy.package_map.get(path, path), comparison.targets[0])
            if new is None:
                continue
            old = packages[0]
            defs = {flow: (defs_of(old.symbols, flow), defs_of(new.symbols, flow)) for flow in FLOWS}
            prefix = "" if path == "api" else f"{path} "
            for name, symbol in old.symbols.items():
                other = new.symbols.get(name)
                if symbol["facts"]["of"] == "operation" and other is not None:
                    label = prefix + symbol["facts"]["label"]
                    for one in exchanged(label, symbol["facts"], other["facts"]):
                        known = [c.change.symbol for c in comparison.changes if c.change.symbol.startswith(one.label)]
                        found += _tried(one, defs[one.flow], known, tool)
        return found


def _tried(
    one: Exchanged, defs: tuple[Mapping[str, Any], Mapping[str, Any]], known: Sequence[str], tool: str
) -> Iterator[Trial]:
    if one.old is None or one.new is None:
        return
    old, new = (directed(schema, side, FLOWS[one.flow]) for schema, side in zip((one.old, one.new), defs, strict=True))
    before, after = (old, reached(old, defs[0])), (new, reached(new, defs[1]))
    if before == after:
        return
    sent, checked = (before, after) if one.flow == "REQUEST" else (after, before)
    try:
        sender, checker = _validator(*sent), _validator(*checked)
        good: set[str] = set()
        told: set[str] = set()
        count = 0
        hints = Hints([checked[0], *checked[1].values()])
        for instance in Instances(sent[1], hints, _checks(sent[1])).of(sent[0]):
            if count >= MOST_INSTANCES:
                break
            if not sender.is_valid(instance):
                continue
            count += 1
            error = next(iter(checker.iter_errors(instance)), None)
            places = {one.label + place for place in _places(instance)}
            if error is None:
                good |= places
                continue
            symbol, also = _blamed(one.label, error)
            # A schema that stands in several places, or in itself, is told of where it stands first.
            ends = {_end(place) for place in also} - {""}
            also = (*also, *(name for name in known if _end(name.removeprefix(one.label)) in ends))
            if symbol not in told:
                told.add(symbol)
                client = Client(symbol, INSTANCE, {"instance.json": _text(instance)}, also=also)
                yield Trial(client, Outcome.HOLDS, binary=Outcome.FAILS, said=str(error.message)[:300], tool=tool)
    except Exception:  # a schema that the validator cannot use (a pattern of another dialect): evidence of nothing
        return
    if good - told:
        client = Client(one.label, INSTANCE, {"instance.json": ""}, also=tuple(sorted(good - {one.label})))
        yield Trial(client, Outcome.HOLDS, binary=Outcome.HOLDS, tool=tool)


def _checks(defs: Mapping[str, Any]) -> Callable[[Any, Any], bool]:
    known: dict[str, Any] = {}

    def valid(schema: Any, value: Any) -> bool:
        text = json.dumps(schema, sort_keys=True)
        if text not in known:
            known[text] = _validator(schema, defs)
        return bool(known[text].is_valid(value))

    return valid


def _validator(schema: Any, defs: Mapping[str, Any]) -> Any:
    from jsonschema import Draft202012Validator

    whole = {**schema, "$defs": dict(defs)} if isinstance(schema, dict) else schema
    return Draft202012Validator(_closed(whole, defs), format_checker=Draft202012Validator.FORMAT_CHECKER)


def _closed(value: Any, defs: Mapping[str, Any]) -> Any:
    """Without references that lead nowhere, which the reader told of."""
    if isinstance(value, list):
        return [_closed(one, defs) for one in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.removeprefix("#/$defs/") not in defs:
        return True
    return {key: _closed(one, defs) for key, one in value.items()}


def _blamed(label: str, error: Any) -> tuple[str, tuple[str, ...]]:
    """Where an instance is refused, and every place around it."""
    places, steps = [label], ""
    for step in error.absolute_path:
        steps += "[]" if isinstance(step, int) else f".{step}"
        places.append(label + steps)
        places.append(label + re.sub(r"\.[^.]*$", "{}", steps))
    names: Iterable[str] = ()
    if error.validator == "required":
        names = [name for name in error.validator_value if name not in error.instance]
    elif error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {})
        names = [name for name in error.instance if name not in known]
    further = [f"{label}{steps}.{name}" for name in names]
    return (further or [label + steps])[0], tuple(dict.fromkeys([*further, *places]))


def _end(place: str) -> str:
    """The last step of a place in a schema."""
    return re.split(r"(?=\.|\[\]|\{\})", place)[-1] if re.search(r"\.|\[\]|\{\}", place) else ""


def _places(value: Any, where: str = "") -> Iterator[str]:
    yield where
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _places(one, f"{where}.{name}")
    elif isinstance(value, list):
        for one in value:
            yield from _places(one, f"{where}[]")


def _text(instance: Any) -> str:
    return json.dumps(instance, ensure_ascii=False, indent=1)
