"""What texts name: commands of ``xc``, options, files of the repository, keys of the manifest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from pytest_xinchuang.cli.entry import commands_of
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.packages.base import loadable
from pytest_xinchuang.run import options as of_runs

_COMMAND = re.compile(r"(?<![\w./-])xc (?P<words>[a-z][^\n`&；;，。“”\"#]*)")
_END = re.compile(r" \| |[.,:?)](?=\s|$)|[)'（）、：]|\s--(?=\s|$)")
"""Where a command ends that stands in a sentence; what follows a lone ``--`` is another program's."""
_OPTION = re.compile(r"(?<![\w/.=<-])--[a-z][a-z0-9-]*[a-z0-9]")
_FILE = re.compile(r"(?<![\w./~$<>-])[\w.<>*-]+(?:/[\w.<>*-]+)*(?:/|\.(?:py|yaml|md|json|jsonl|go|c|toml|sh))(?![\w/])")
_KEY = re.compile(r"(?<![\w./-])([a-z_]+)\.([a-z_]+)(?![\w./(-])")
_PLACEHOLDER = re.compile(r"\{[^}]*\}")
_SNAKE = re.compile(r"(?<![\w./-])[a-z]+(?:_[a-z]+)+(?![\w./-])")


class Tree:
    """The commands of ``xc`` and the options of pytest that the plugin and the shipped packages add."""

    @cached_property
    def commands(self) -> Mapping[str, XcParser]:
        return {parser.prog: parser for parser in commands_of("en").parser.walk()}

    @cached_property
    def of_pytest(self) -> frozenset[str]:
        own = [option for package in loadable() for option in package.options]
        return frozenset([*(o.flag for o in (*of_runs._OPTIONS, *own)), *(flag for flag, _text in of_runs._FLAGS)])

    @cached_property
    def options(self) -> frozenset[str]:
        """Of pytest and of every command."""
        return self.of_pytest.union(*(parser._option_string_actions for parser in self.commands.values()))

    def wrong_commands(self, text: str) -> Iterator[str]:
        """``xc`` with a command that there is not, or with an option that this command does not have."""
        for match in _COMMAND.finditer(text):
            words = _END.split(match["words"], maxsplit=1)[0].split()
            yield from self._wrong(words)

    def _wrong(self, words: list[str]) -> Iterator[str]:
        parsers = [self.commands["xc"]]
        at = 0
        while at < len(words) and any(p._commands for p in parsers):
            named = words[at].split("|")
            below = [p._commands.choices.get(name) for p in parsers if p._commands for name in named]
            if not all(below):
                if not (all(p.default_command for p in parsers) or not re.fullmatch(r"[a-z][a-z|-]*", words[at])):
                    yield f"xc {' '.join(words[: at + 1])}"
                    return
                break
            parsers = [p for p in below if p is not None]
            at += 1
        parsers += [
            parser._commands.choices[parser.default_command]
            for parser in parsers
            if parser._commands and parser.default_command
        ]
        known = {option for parser in parsers for option in parser.options()}
        for option in _OPTION.findall(" ".join(words[at:])):
            if option not in known:
                yield f"xc {' '.join(words[:at])} {option}"


def without_commands(text: str) -> str:
    """A text without what ``wrong_commands`` looks at."""
    return _COMMAND.sub(lambda m: m["words"][_length(m["words"]) :], text)


def _length(words: str) -> int:
    end = _END.search(words)
    return end.start() if end else len(words)


def options_in(text: str) -> list[str]:
    """The options of whatever program that a text names."""
    return _OPTION.findall(text)


def files_in(text: str) -> list[str]:
    """What has the form of a path of a file, or of a folder, in a repository; ``<name>`` stands for any."""
    return _FILE.findall(text)


class Files:
    """The files of a repository, and the folders below which its texts name them without saying so."""

    def __init__(self, paths: Iterable[str], roots: Iterable[str]) -> None:
        self.paths = frozenset(paths)
        self.folders = frozenset(f"{parent}/" for path in self.paths for parent in PurePosixPath(path).parents)
        self.roots = tuple(roots)

    def has(self, name: str) -> bool:
        """Whether a path that begins with one of our folders leads somewhere. What begins otherwise may be anybody's."""
        first, slash, _rest = name.partition("/")
        if not slash or not any(f"{root}{first}/" in self.folders for root in self.roots):
            return True
        pattern = re.sub(r"<[^>]*>", "*", name)
        known = self.folders if name.endswith("/") else self.paths
        return any(fnmatchcase(each, root + pattern) for root in self.roots for each in known)


def keys_of(schema: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Each key at the top of a JSON Schema -> the keys below it; "" -> every key at any depth."""
    every: set[str] = set()
    found: dict[str, frozenset[str]] = {}

    def walk(node: Any, into: set[str], depth: int) -> None:
        if isinstance(node, list):
            for each in node:
                walk(each, into, depth)
        if isinstance(node, dict):
            if "$ref" in node and depth < 8:
                walk(schema["$defs"][node["$ref"].rpartition("/")[2]], into, depth + 1)
            for name, value in node.get("properties", {}).items():
                into.add(name)
                walk(value, into, depth)
            for key in ("items", "anyOf", "oneOf", "allOf", "additionalProperties"):
                walk(node.get(key), into, depth)
            for value in node.get("patternProperties", {}).values():
                walk(value, into, depth)

    for name, value in schema["properties"].items():
        below: set[str] = set()
        walk(value, below, 0)
        found[name] = frozenset(below)
        every |= {name, *below}
    return {**found, "": frozenset(every)}


def section_keys(text: str, keys: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """``section.key`` where the section has no such key."""
    for section, key in _KEY.findall(text):
        if keys.get(section) and key not in keys[section] | {"yaml", "json", "py", "md"}:
            yield f"{section}.{key}"


def loose_keys(text: str, keys: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """In a text that speaks of the manifest, a name of the form of a key that is none."""
    if re.search(r"\bmanifest\b|清单", text):
        yield from (name for name in _SNAKE.findall(_PLACEHOLDER.sub("", text)) if name not in keys[""])


def leaves(data: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """(path of keys, text) of every text of a data file."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from leaves(value, f"{at}.{key}" if at else str(key))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            name = value.get("id") or value.get("code") if isinstance(value, Mapping) else None
            yield from leaves(value, f"{at}[{name or number}]")
    elif isinstance(data, str):
        yield at, data
