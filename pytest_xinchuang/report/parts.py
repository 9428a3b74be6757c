"""What conformance packages add to reports. A part that breaks is told of, and takes no report with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pytest_xinchuang.core import interruption
from pytest_xinchuang.core.grade import Grade, ReportPart, RunResult
from pytest_xinchuang.messages import Message, _, verbatim

T = TypeVar("T")


def details(result: RunResult, grade: Grade) -> dict[str, Any]:
    """For ``report.json``: package -> its details; packages that have none are left out."""
    found = {}
    for package, part in _parts(result, grade):
        said = _ask(lambda part=part: json.loads(json.dumps(part.as_json(result, grade))))  # type: ignore[misc]
        if isinstance(said, Message):
            found[package] = {"broken": str(said)}
        elif said:
            found[package] = said
    return found


def lines(result: RunResult, grade: Grade) -> list[Message]:
    """For the terminal."""
    found: list[Message] = []
    for package, part in _parts(result, grade):
        said = _ask(lambda part=part: list(part.lines(result, grade)))  # type: ignore[misc]
        if isinstance(said, Message):
            found.append(_("the report part of {package} broke: {why}", package=package, why=said))
        else:
            found += [verbatim(line) for line in said]
    return found


def properties(result: RunResult, grade: Grade, package: str) -> dict[str, str]:
    """For the package's suite in ``junit.xml``."""
    part = result.parts.get(package)
    if part is None:
        return {}
    said = _ask(lambda: dict(part.properties(result, grade)))
    if isinstance(said, Message):
        return {f"{package}.broken": str(said)}
    return {f"{package}.{name}": str(value) for name, value in said.items()}


def _parts(result: RunResult, grade: Grade) -> Sequence[tuple[str, ReportPart]]:
    return [(package, result.parts[package]) for package in grade.packages if package in result.parts]


def _ask(part: Callable[[], T]) -> T | Message:
    try:
        return part()
    except Exception as error:
        if interruption.seen():
            raise KeyboardInterrupt from error
        return verbatim(f"{type(error).__name__}: {error}")
