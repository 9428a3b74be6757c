"""The rules of API comparison: data, each with a client that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.errors import UnknownName
from pytest_xinchuang.core.requirement import Text
from pytest_xinchuang.core.yamlfile import YamlFile

RuleId = Annotated[str, StringConstraints(pattern=r"^(GO|C|JAVA|PY)(-[A-Z0-9]+)+$")]
Axis = Literal["source", "binary", "wire", "behaviour"]
Level = Literal["major", "minor", "patch"]
LEVELS: tuple[Level, ...] = ("major", "minor", "patch")
"""Semantic versioning 2.0.0, clauses 6 to 8: what the next version has to be."""


class Witness(FrozenData):
    """Two versions of a library and a client of it: what the rule says, shown by a compiler.

    Attributes:
        breaks: the client compiles with the old version and not with the new one; false: with both.
        files: more files of the library, by path, for both versions or (under ``old:`` or ``new:``) for one.
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
    """

    id: RuleId
    axes: tuple[Axis, ...] = ()
    level: Level
    policy: str = ""
    title: Text
    found: Text
    mend: Text
    witness: Witness | None = None

    @property
    def breaking(self) -> bool:
        return self.level == "major"

    @property
    def fragile(self) -> bool:
        return self.level != "major" and bool(self.axes)


class RulesFile(FrozenData):
    """The catalogue."""

    format: Literal["xc-api-rules/1"] = Field(alias="schema")
    rules: tuple[Rule, ...]


class Rules:
    """The rules by id.

    Raises:
        DataFileError: the file is malformed.
    """

    def __init__(self, path: Path | None = None) -> None:
        source = YamlFile(path or resources.conformance_dir() / "api_rules.yaml")
        self.by_id: dict[str, Rule] = {}
        for index, rule in enumerate(source.parse(RulesFile).rules):
            if rule.id in self.by_id:
                raise source.error(("rules", index, "id"), f"{rule.id} is given twice")
            self.by_id[rule.id] = rule

    def get(self, rule_id: str) -> Rule:
        """
        Raises:
            UnknownName: there is none.
        """
        if rule_id not in self.by_id:
            raise UnknownName(f"no rule is called {rule_id!r}", mend="xc api rules")
        return self.by_id[rule_id]
