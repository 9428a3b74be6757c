"""The problems that pydantic finds in data from outside, as messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pytest_xinchuang.messages import Message, _, verbatim

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_PLAIN: Mapping[str, Message] = {
    str(message): message
    for message in (
        _("Field required"),
        _("Extra inputs are not permitted"),
        _("Input should be an object"),
        _("Input should be a valid array"),
        _("Input should be a valid string"),
        _("Input should be a valid integer"),
        _("Input should be a valid number"),
        _("Input should be a valid boolean"),
    )
}
"""Pydantic's sentences that have no parameters."""


def problem_of(details: ErrorDetails) -> Message:
    """One of ``ValidationError.errors()`` as a message; verbatim where we have no words of our own for it."""
    given = details.get("ctx", {})
    match details["type"]:
        case "literal_error":
            return _("Input should be {expected}", expected=verbatim(given["expected"].replace(" or ", ", ")))
        case "json_invalid":
            return _("Invalid JSON: {why}", why=verbatim(str(given["error"])))
        case "greater_than_equal":
            return _("Input should be at least {least}", least=given["ge"])
        case "less_than_equal":
            return _("Input should be at most {most}", most=given["le"])
        case "string_too_short" | "too_short":
            return _("too short: the length should be at least {least}", least=given["min_length"])
        case "string_too_long" | "too_long":
            return _("too long: the length should be at most {most}", most=given["max_length"])
        case "string_pattern_mismatch":
            return _("String should match the pattern {pattern}", pattern=verbatim(repr(given["pattern"])))
    said = details["msg"]
    return _PLAIN.get(said.partition(", unable")[0]) or verbatim(said)
