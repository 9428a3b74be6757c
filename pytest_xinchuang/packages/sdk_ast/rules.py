"""The rules of API comparison: data, a folder each, with a client that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, StringConstraints

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.errors import DataFileError, UnknownName
from pytest_xinchuang.core.near import near
from pytest_xinchuang.core.requirement import Text
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import _, system_error, verbatim
from pytest_xinchuang.packages.sdk_ast.languages import LANGUAGES

_PREFIXES = "|".join(language.prefix for language in LANGUAGES.values())
RuleId = Annotated[str, StringConstraints(pattern=rf"^({_PREFIXES})(-[A-Z0-9]+)+$")]
Axis = Literal["source", "binary", "wire", "behaviour"]
Level = Literal["major", "minor", "patch"]
LEVELS: tuple[Level, ...] = ("major", "minor", "patch")
"""Semantic versioning 2.0.0, clauses 6 to 8: what the next version has to be."""


class WitnessFiles(FrozenData):
    """Where the files of a language's witnesses stand in the folder of a rule, and how each of them begins.

    The files are read by editors and compilers where they stand: the client names the old library by its place, which
    ``{rule}``, the id, is part of in Go. Whoever compiles a witness gives the library the one name ``w/p`` or ``lib``.

    Attributes:
        library: the first file of the library, below ``old/`` and ``new/``.
        place, name: what the client calls the old library, and what a `Witness` calls it.
    """

    library: str
    library_head: str = ""
    client: str
    client_head: str
    place: str = ""
    name: str = ""


WITNESSES: dict[str, WitnessFiles] = {
    "go": WitnessFiles(
        library="p.go",
        library_head="package p\n",
        client="client/client.go",
        client_head='package client\n\nimport p "w/{rule}/old"\n',
        place='"w/{rule}/old',
        name='"w/p',
    ),
    "c": WitnessFiles(library="lib.h", client="client.c", client_head='#include "old/lib.h"\n'),
    "cpp": WitnessFiles(library="lib.hpp", client="client.cc", client_head='#include "old/lib.hpp"\n'),
    "java": WitnessFiles(
        library="lib/L.java",
        library_head="package lib;\n",
        client="client/Use.java",
        client_head="package client;\n\nimport lib.*;\n",
    ),
    "python": WitnessFiles(
        library="lib.py",
        client="client.py",
        client_head="from old import lib\n",
        place="from old.lib import ",
        name="from lib import ",
    ),
    "typescript": WitnessFiles(
        library="index.d.ts",
        client="client.ts",
        client_head='import * as lib from "./old/index.js";\n',
    ),
    "rust": WitnessFiles(library="src/lib.rs", client="client.rs", client_head="#![allow(unused)]\n"),
    "protobuf": WitnessFiles(library="lib.proto", client="client.py", client_head="import lib_pb2 as lib\n"),
    "openapi": WitnessFiles(library="openapi.yaml", library_head="openapi: ", client="client.yaml", client_head="- "),
    "sql": WitnessFiles(library="schema.sql", client="client.sql", client_head=""),
}
"""Folder of a language's rules -> its witnesses; in the order in which rules are listed."""


class Witness(FrozenData):
    """Two versions of a library and a client of it: what the rule says, shown by a compiler.

    Attributes:
        old, new: the library's first file without its head. Its further files follow in sections ``-- path --``.
        client: a user of the library, without the lines that every client of the language begins with.
        breaks: the client compiles with the old version and not with the new one; false: with both.
    """

    old: str
    new: str
    client: str
    breaks: bool


class Rule(FrozenData):
    """One kind of change.

    Attributes:
        axes: what it can break for somebody; empty: nothing.
        level: what the next version has to be. A change with axes that is not ``major`` is fragile.
        policy: the policy that decides the level, where users differ.
        found: the sentence that is filled in with symbol, old and new.
        breaks: of the witness; None: the rule has none.
        relations: the ways in which clients have to have used the symbol before their silence makes a breaking change a
            fragile one; none: no client's silence does.
    """

    format: Literal["xc-api-rule/1"] = Field(alias="schema")
    id: RuleId
    axes: tuple[Axis, ...] = ()
    level: Level
    policy: str = ""
    title: Text
    found: Text
    mend: Text
    breaks: bool | None = None
    relations: tuple[str, ...] = ()
    _folder: Path = PrivateAttr()

    @property
    def breaking(self) -> bool:
        return self.level == "major"

    @property
    def fragile(self) -> bool:
        return self.level != "major" and bool(self.axes)

    @cached_property
    def witness(self) -> Witness | None:
        """The sources in the rule's folder, read when they are asked for; None: the rule has none.

        Raises:
            DataFileError: a file is missing, is not UTF-8, or does not begin as it has to.
        """
        if self.breaks is None:
            return None
        files = WITNESSES[self._folder.parent.name]
        client_head, place = (text.replace("{rule}", self.id) for text in (files.client_head, files.place))
        client = _body(self._folder / files.client, client_head)
        return Witness(
            old=_library(self._folder / "old", files),
            new=_library(self._folder / "new", files),
            client=client.replace(place, files.name) if place else client,
            breaks=self.breaks,
        )


class Rules:
    """The rules by id, those of a language by name.

    Raises:
        DataFileError: a rule is malformed, or its folder has another name or stands among those of another language.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.by_id: dict[str, Rule] = {
            rule.id: rule for rule in _read_rules(directory or resources.conformance_dir() / "sdk_ast" / "rules")
        }

    def get(self, rule_id: str) -> Rule:
        """
        Raises:
            UnknownName: there is none.
        """
        if rule_id not in self.by_id:
            raise UnknownName(
                _("no rule is called {name}{hint}", name=verbatim(repr(rule_id)), hint=near(rule_id, self.by_id)),
                mend=verbatim("xc api rules"),
            )
        return self.by_id[rule_id]


def _read_rules(directory: Path) -> Iterator[Rule]:
    for language, described in LANGUAGES.items():
        prefix = f"{described.prefix}-"
        for folder in sorted(path for path in (directory / language).glob("*") if path.is_dir()):
            source = YamlFile(folder / "rule.yaml")
            rule = source.parse(Rule)
            if rule.id != folder.name:
                raise source.error(
                    ("id",), _("found {id}, expected {folder}, the name of its folder", id=rule.id, folder=folder.name)
                )
            if not rule.id.startswith(prefix):
                raise source.error(
                    ("id",),
                    _(
                        "found {id}: rules of {language} begin with {prefix}",
                        id=rule.id,
                        language=language,
                        prefix=prefix,
                    ),
                )
            rule._folder = folder
            yield rule


def _library(root: Path, files: WitnessFiles) -> str:
    first = root / files.library
    more = sorted(path for path in root.rglob(f"*{first.suffix}") if path != first)
    sections = (f"-- {path.relative_to(root).as_posix()} --\n{_read(path)}" for path in more)
    return "\n".join((_body(first, files.library_head), *sections))


def _body(path: Path, head: str) -> str:
    text = _read(path)
    if not text.startswith(head):
        raise DataFileError(_("{path}:1: expected to begin with {head}", path=str(path), head=repr(head)))
    return text.removeprefix(head).strip("\n")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataFileError(_("{path}: cannot be read: {why}", path=str(path), why=system_error(error))) from error
    except UnicodeDecodeError as error:
        raise DataFileError(_("{path}: not UTF-8 (byte {n})", path=str(path), n=error.start)) from error
