"""Manifests and locks as texts, JSON, YAML and TOML: what is malformed is told of the file, and never raised."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from pytest_xinchuang.messages import _, told, verbatim
from pytest_xinchuang.packages.supply_chain.locked import Lines, Reading

LARGEST = 256 << 20
"""Bytes; the largest locks of monorepos have some ten megabytes."""


class Doubled(ValueError):
    """A key that an object has twice."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Doubled(key)
        found[key] = value
    return found


class _Once(yaml.SafeLoader):
    """Refuses a key given twice, and the aliases by which a small file grows without a bound."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _value in node.value if isinstance(key, yaml.ScalarNode)]
        doubled = next((key for key in keys if keys.count(key) > 1), None) if len(keys) < 200 else _doubled(keys)
        if doubled is not None:
            raise Doubled(doubled)
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("an alias")
        return super().compose_node(parent, index)


def _doubled(keys: list[str]) -> str | None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    return None


def text_of(reading: Reading, directory: Path, name: str) -> Lines | None:
    """A file of a product; None where it is not there, or cannot be read, which is told."""
    path = directory / name
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(_("it has more than {most} MiB", most=LARGEST >> 20))
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        _malformed(reading, name, error)
        return None
    reading.files.append(name)
    return Lines(name, text.removeprefix("\ufeff"))


def json_of(reading: Reading, lines: Lines) -> dict[str, Any] | None:
    """The object of a JSON file; a key given twice is told, since programs differ in which of them they take."""
    return _object(reading, lines, lambda text: json.loads(text, object_pairs_hook=_once))


def yaml_of(reading: Reading, lines: Lines) -> dict[str, Any] | None:
    """The mapping of a YAML file."""
    return _object(reading, lines, lambda text: yaml.load(text, _Once))


def toml_of(reading: Reading, lines: Lines) -> dict[str, Any] | None:
    """The table of a TOML file."""
    return _object(reading, lines, tomllib.loads)


def above(
    directory: Path, name: str, read: Callable[[Reading, Lines], dict[str, Any] | None]
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The files of a name in the directories above a product, nearest first, that can be read, and what they say."""
    for parent in directory.resolve().parents:
        probe = Reading("")
        lines = text_of(probe, parent, name)
        data = read(probe, lines) if lines is not None else None
        if data is not None:
            yield parent / name, data


def has_member(root: Path, patterns: list[Any], directory: Path) -> bool:
    """Whether patterns of a workspace name a directory below it: ``*`` within a name, ``**`` over several."""
    inner = directory.resolve().relative_to(root.resolve()).as_posix()
    for pattern in patterns:
        plain = re.sub(r"\*{2,}(/\*{2,})*", "**", words(pattern)[:200].removeprefix("./").rstrip("/"))
        parts = re.split(r"(\*\*/?|\*|\?)", plain)
        stars = {"**": ".*", "**/": "(.*/)?", "*": "[^/]*", "?": "[^/]"}
        if re.fullmatch("".join(stars.get(part) or re.escape(part) for part in parts), inner):
            return True
    return False


def _object(reading: Reading, lines: Lines, read: Callable[[str], Any]) -> dict[str, Any] | None:
    try:
        found = read(lines.text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        _malformed(reading, lines.name, error)
        return None
    if not isinstance(found, dict):
        reading.add("XC-SUP-101", lines.name, detail=_("it is no object of keys and values"))
        return None
    return found


def _malformed(reading: Reading, name: str, error: Exception) -> None:
    detail = told(error)
    if isinstance(error, Doubled):
        detail = _("the key {key} is given twice", key=verbatim(repr(error.key)))
    elif isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        detail = _("line {n}: {why}", n=error.problem_mark.line + 1, why=verbatim(error.problem or ""))
    elif isinstance(error, RecursionError):
        detail = _("it is nested too deeply")
    elif isinstance(error, UnicodeDecodeError):
        detail = _("it is not UTF-8")
    reading.add("XC-SUP-101", name, detail=detail)


def table(value: Any) -> dict[str, Any]:
    """A value where a table is expected; what is none is empty."""
    return {k: v for k, v in value.items() if isinstance(k, str)} if isinstance(value, dict) else {}


def words(value: Any) -> str:
    """A value where a text is expected; what is none is empty."""
    return value if isinstance(value, str) else ""


def listed(value: Any) -> list[Any]:
    """A value where a list is expected; what is none is empty."""
    return value if isinstance(value, list) else []


def tables(value: Any) -> list[dict[str, Any]]:
    """A value where a list of tables is expected."""
    return [table(one) for one in value if isinstance(one, dict)] if isinstance(value, list) else []
