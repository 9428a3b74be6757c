"""Compares functions: their overloads, parameters, results and type parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_xinchuang.packages.sdk_ast.typescript.trees import Relation, Signature, Text, is_basic, same

Differences = Iterator[tuple[str, str, str]]
"""Rule, the old text and the new one."""

_TEXT = Text()


def compare_overloads(
    old: Sequence[Signature], new: Sequence[Signature], making: Relation, reading: Relation, *, method: str = ""
) -> Differences:
    """What differs between two sets of signatures.

    Args:
        making, reading: whether an old type can stand where the new one is expected, and the other way round.
        method: ``class`` or ``interface`` for a member that others may implement.
    """
    if len(old) == len(new) == 1:
        yield from _signature(old[0], new[0], making, reading, method)
        return
    left = [one for one in old if not any(same(one, other) for other in new)]
    came = [one for one in new if not any(same(one, other) for other in old)]
    if len(old) == len(new) and len(left) == len(came) == 1:
        yield from _signature(left[0], came[0], making, reading, method)
        return
    for one in left:
        covered = any(making.signatures(other, one) for other in new) or any(
            reading.signatures(other, one) for other in new
        )
        yield "TS-OVERLOAD-COVERED" if covered else "TS-OVERLOAD-REMOVED", _TEXT.signature(one), _joined(new)
    for one in came:
        yield "TS-OVERLOAD-ADDED", "", _TEXT.signature(one)
    if not left and not came and [_TEXT.signature(one) for one in old] != [_TEXT.signature(one) for one in new]:
        yield "TS-OVERLOADS-REORDERED", _joined(old), _joined(new)


def _joined(signatures: Sequence[Signature]) -> str:
    return "; ".join(map(_TEXT.signature, signatures))


def _signature(old: Signature, new: Signature, making: Relation, reading: Relation, method: str) -> Differences:
    if same(old, new):
        return
    whole = _TEXT.signature(old), _TEXT.signature(new)
    yield from compare_type_parameters(old.get("tp") or [], new.get("tp") or [], making, of_type=False)
    yield from _parameters(old["params"], new["params"], making, reading, method)
    if not same(old.get("this"), new.get("this")) and "this" in new:
        yield "TS-THIS-CHANGED", *whole
    if not same(old.get("pred"), new.get("pred")):
        yield ("TS-PREDICATE-CHANGED" if "pred" in old else "TS-PREDICATE-ADDED"), *whole
    if not same(old["ret"], new["ret"]):
        yield _result(old, new, making, reading, method), _TEXT.type(old["ret"]), _TEXT.type(new["ret"])


def _result(old: Signature, new: Signature, making: Relation, reading: Relation, method: str) -> str:
    if is_basic(old["ret"], "void") or reading.holds(new["ret"], old["ret"]):
        return "TS-METHOD-RETURN-NARROWED" if method == "interface" else "TS-RETURN-NARROWED"
    if making.holds(old["ret"], new["ret"]):
        return "TS-RETURN-WIDENED"
    return "TS-RETURN-TYPE-CHANGED"


def _parameters(
    old: Sequence[Mapping[str, Any]],
    new: Sequence[Mapping[str, Any]],
    making: Relation,
    reading: Relation,
    method: str,
) -> Differences:
    before, after = _TEXT.parameters({"params": old}), _TEXT.parameters({"params": new})
    rest = next((one for one in new if one.get("rest")), None)
    for number, one in enumerate(old):
        if number >= len(new) or (new[number].get("rest") and not one.get("rest")):
            if rest is None:
                yield ("TS-REST-REMOVED" if one.get("rest") else "TS-PARAM-REMOVED"), before[number], ""
            elif not same(rest["t"], {"k": "a", "of": one["t"]}):
                yield "TS-PARAM-TYPE-CHANGED", before[number], _TEXT.parameters({"params": [rest]})[0]
            continue
        other = new[number]
        texts = before[number], after[number]
        if one.get("rest") and not other.get("rest"):
            yield "TS-REST-REMOVED", *texts
            continue
        if one.get("opt") and not other.get("opt") and not other.get("rest"):
            yield "TS-PARAM-REQUIRED", *texts
        elif other.get("opt") and not one.get("opt"):
            yield "TS-PARAM-OPTIONAL", *texts
        if not same(one["t"], other["t"]):
            if making.holds(one["t"], other["t"]):
                yield ("TS-METHOD-PARAM-WIDENED" if method == "interface" else "TS-PARAM-WIDENED"), *texts
            elif reading.holds(other["t"], one["t"]):
                yield "TS-PARAM-NARROWED", *texts
            else:
                yield "TS-PARAM-TYPE-CHANGED", *texts
    swallowed = any(one.get("rest") for one in old)
    for number in range(len(old), len(new)):
        other = new[number]
        if other.get("rest"):
            yield "TS-REST-ADDED", "", after[number]
        elif other.get("opt"):
            yield ("TS-PARAM-TYPE-CHANGED" if swallowed else "TS-PARAM-ADDED-OPTIONAL"), "", after[number]
        else:
            yield "TS-PARAM-ADDED-REQUIRED", "", after[number]


def compare_type_parameters(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], making: Relation, *, of_type: bool
) -> Differences:
    """What differs between two lists of type parameters; those of functions are mostly inferred, those of types are written."""
    texts = _TEXT.type_parameters(old), _TEXT.type_parameters(new)
    if same(list(old), list(new)):
        return
    extra = new[len(old) :]
    if len(new) < len(old):
        yield "TS-TYPEPARAM-REMOVED", *texts
    elif any("def" not in one for one in extra):
        yield ("TS-TYPEPARAM-ADDED-REQUIRED" if of_type or old else "TS-FUNC-TO-GENERIC"), *texts
    elif extra:
        yield "TS-TYPEPARAM-ADDED", *texts
    for one, other in zip(old, new, strict=False):
        if "def" in one and "def" not in other:
            yield "TS-TYPEPARAM-DEFAULT-REMOVED", *texts
        elif not same(one.get("def"), other.get("def")) and "def" in one:
            yield "TS-TYPEPARAM-DEFAULT-CHANGED", *texts
        if same(one.get("ext"), other.get("ext")):
            continue
        if "ext" not in other or ("ext" in one and making.holds(one["ext"], other["ext"])):
            yield "TS-CONSTRAINT-LOOSENED", *texts
        else:
            yield "TS-CONSTRAINT-TIGHTENED", *texts
