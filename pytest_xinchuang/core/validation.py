"""What pydantic finds wrong with data, as messages: pydantic itself speaks English alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pytest_xinchuang.messages import Message, _, joined, n_, told, verbatim

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_CHOICE = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s'",]+)"""
_CHOICES = re.compile(rf"((?:{_CHOICE}, )*{_CHOICE}) or ({_CHOICE})")
_JSON_FAULT = re.compile(r"(.+) at line (\d+) column (\d+)")


def mistake(problem: ErrorDetails) -> Message:
    """One entry of ``ValidationError.errors()`` as a clause: pydantic's own words, beginning in lower case."""
    put = _OF_JSON.get(problem["msg"]) or _SAID.get(problem["type"])
    if put is None:
        return verbatim(problem["msg"][:1].lower() + problem["msg"][1:])
    return put(problem.get("ctx", {}))


def _choices(text: str) -> Message:
    """pydantic's ``'a', 'b' or 'c'``."""
    found = _CHOICES.fullmatch(text)
    if found is None:
        return verbatim(text)
    first = joined([verbatim(name) for name in re.findall(_CHOICE, found.group(1))], _(", "))
    return _("{first} or {last}", first=first, last=verbatim(found.group(2)))


def _json_fault(text: str) -> Message:
    found = _JSON_FAULT.fullmatch(text)
    if found is None:
        return verbatim(text)
    fault, line, column = found.groups()
    return _("{fault} at line {line} column {column}", fault=verbatim(fault), line=int(line), column=int(column))


def _number(value: object) -> object:
    """A limit as pydantic writes it: 3600.0 is 3600."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _count(context: Mapping[str, Any], key: str) -> int:
    return int(context.get(key, 0))


def _kind(context: Mapping[str, Any]) -> Message:
    name = str(context.get("field_type", ""))
    words = {"List": _("list"), "Tuple": _("tuple"), "Dictionary": _("dictionary"), "Set": _("set")}
    return words.get(name, verbatim(name.lower()))


def _error(context: Mapping[str, Any]) -> Message:
    error = context.get("error", "")
    return told(error) if isinstance(error, BaseException) else verbatim(str(error))


_OF_JSON: dict[str, Callable[[Mapping[str, Any]], Message]] = {
    "Input should be an object": lambda _c: _("input should be an object"),
    "Input should be a valid array": lambda _c: _("input should be a valid array"),
    "Input should be null": lambda _c: _("input should be null"),
}
"""What pydantic says otherwise, under the same type, where the data are JSON."""

_SAID: dict[str, Callable[[Mapping[str, Any]], Message]] = {
    "missing": lambda _c: _("field required"),
    "extra_forbidden": lambda _c: _("extra inputs are not permitted"),
    "invalid_key": lambda _c: _("keys should be strings"),
    "json_invalid": lambda c: _("invalid JSON: {error}", error=_json_fault(str(c.get("error", "")))),
    "recursion_loop": lambda _c: _("recursion error - cyclic reference detected"),
    "model_type": lambda c: _(
        "input should be a valid dictionary or instance of {name}", name=verbatim(str(c.get("class_name", "")))
    ),
    "model_attributes_type": lambda _c: _("input should be a valid dictionary or object to extract fields from"),
    "none_required": lambda _c: _("input should be None"),
    "greater_than": lambda c: _("input should be greater than {limit}", limit=_number(c.get("gt"))),
    "greater_than_equal": lambda c: _("input should be greater than or equal to {limit}", limit=_number(c.get("ge"))),
    "less_than": lambda c: _("input should be less than {limit}", limit=_number(c.get("lt"))),
    "less_than_equal": lambda c: _("input should be less than or equal to {limit}", limit=_number(c.get("le"))),
    "multiple_of": lambda c: _("input should be a multiple of {limit}", limit=_number(c.get("multiple_of"))),
    "finite_number": lambda _c: _("input should be a finite number"),
    "too_short": lambda c: n_(
        "{kind} should have at least {n} item after validation, not {found}",
        "{kind} should have at least {n} items after validation, not {found}",
        _count(c, "min_length"),
        kind=_kind(c),
        found=_count(c, "actual_length"),
    ),
    "too_long": lambda c: n_(
        "{kind} should have at most {n} item after validation, not {found}",
        "{kind} should have at most {n} items after validation, not {found}",
        _count(c, "max_length"),
        kind=_kind(c),
        found=_count(c, "actual_length"),
    ),
    "string_type": lambda _c: _("input should be a valid string"),
    "string_unicode": lambda _c: _("input should be a valid string, unable to parse raw data as a unicode string"),
    "string_too_short": lambda c: n_(
        "string should have at least {n} character",
        "string should have at least {n} characters",
        _count(c, "min_length"),
    ),
    "string_too_long": lambda c: n_(
        "string should have at most {n} character",
        "string should have at most {n} characters",
        _count(c, "max_length"),
    ),
    "string_pattern_mismatch": lambda c: _(
        "string should match pattern '{pattern}'", pattern=verbatim(str(c.get("pattern", "")))
    ),
    "enum": lambda c: _("input should be {choices}", choices=_choices(str(c.get("expected", "")))),
    "literal_error": lambda c: _("input should be {choices}", choices=_choices(str(c.get("expected", "")))),
    "dict_type": lambda _c: _("input should be a valid dictionary"),
    "list_type": lambda _c: _("input should be a valid list"),
    "tuple_type": lambda _c: _("input should be a valid tuple"),
    "set_type": lambda _c: _("input should be a valid set"),
    "frozen_set_type": lambda _c: _("input should be a valid frozenset"),
    "bool_type": lambda _c: _("input should be a valid boolean"),
    "bool_parsing": lambda _c: _("input should be a valid boolean, unable to interpret input"),
    "int_type": lambda _c: _("input should be a valid integer"),
    "int_parsing": lambda _c: _("input should be a valid integer, unable to parse string as an integer"),
    "int_parsing_size": lambda _c: _("unable to parse input string as an integer, exceeded maximum size"),
    "int_from_float": lambda _c: _("input should be a valid integer, got a number with a fractional part"),
    "float_type": lambda _c: _("input should be a valid number"),
    "float_parsing": lambda _c: _("input should be a valid number, unable to parse string as a number"),
    "bytes_type": lambda _c: _("input should be a valid bytes"),
    "value_error": lambda c: _("value error, {error}", error=_error(c)),
    "assertion_error": lambda c: _("assertion failed, {error}", error=_error(c)),
    "date_type": lambda _c: _("input should be a valid date"),
    "date_parsing": lambda c: _("input should be a valid date in the format YYYY-MM-DD, {error}", error=_error(c)),
    "date_from_datetime_parsing": lambda c: _("input should be a valid date or datetime, {error}", error=_error(c)),
    "date_from_datetime_inexact": lambda _c: _(
        "datetimes provided to dates should have zero time - e.g. be exact dates"
    ),
    "is_instance_of": lambda c: _("input should be an instance of {name}", name=verbatim(str(c.get("class", "")))),
    "union_tag_not_found": lambda c: _(
        "unable to extract tag using discriminator {name}", name=verbatim(str(c.get("discriminator", "")))
    ),
    "union_tag_invalid": lambda c: _(
        "input tag '{tag}' found using {name} does not match any of the expected tags: {tags}",
        tag=verbatim(str(c.get("tag", ""))),
        name=verbatim(str(c.get("discriminator", ""))),
        tags=verbatim(str(c.get("expected_tags", ""))),
    ),
}
"""By pydantic's type of error: what it says, of what it gives along. https://docs.pydantic.dev/latest/errors/validation_errors/"""
