"""Requirements: the catalogue that grades are computed from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.remembered import by_content
from pytest_xinchuang.core.verdict import Fidelity, Level
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import Message, _, both

RequirementId = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]*(-[A-Z0-9]+)*-[0-9]{3}$")]


class Text(FrozenData):
    """One text in the two languages that reports are written in."""

    zh: str
    en: str

    def message(self, **params: object) -> Message:
        """The text as a message, filled in with ``params``."""
        return both({"en": self.en, "zh": self.zh}, **params)


class Requirement(FrozenData):
    """One line of the catalogue: a stable id, a level, what it demands, and the least fidelity that can prove it."""

    id: RequirementId
    package: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    level: Level
    title: Text
    clause: str = Field(description="what the requirement traces to: a standard and clause, an ABI, or this suite")
    min_fidelity: Fidelity
    mandatory: bool = True
    may_not_apply: bool = Field(default=False, description="a subject may lack what this one asks about")
    mend: Text
    needs: tuple[RequirementId, ...] = Field(
        default=(),
        description="requirements that must not have failed before this one can be looked at: when one has, this one is "
        "not tested, whatever its own check says",
    )


class Catalogue(FrozenData):
    """The versioned list of requirements."""

    format: Literal["xc-requirements/1"] = Field(alias="schema")
    version: str
    requirements: tuple[Requirement, ...]

    def of(self, packages: frozenset[str]) -> tuple[Requirement, ...]:
        """The requirements of these conformance packages, in the order of the catalogue."""
        return tuple(r for r in self.requirements if r.package in packages)

    def get(self, requirement_id: str) -> Requirement | None:
        return next((r for r in self.requirements if r.id == requirement_id), None)

    @property
    def packages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(r.package for r in self.requirements))

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the whole list: two suites with one digest demand the same."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@by_content
def _read(path: Path) -> tuple[YamlFile, Catalogue]:
    source = YamlFile(path)
    return source, source.parse(Catalogue)


@by_content
def load_catalogue(*paths: Path) -> Catalogue:
    """Read one or more catalogues and join them, in order.

    Raises:
        DataFileError: a file is malformed, an id is given twice, or ``needs`` names an id that is not there.
    """
    version = ""
    joined: list[Requirement] = []
    seen: dict[str, Path] = {}
    for path in paths:
        source, part = _read(path)
        version = version or part.version
        for index, requirement in enumerate(part.requirements):
            if requirement.id in seen:
                raise source.error(
                    ("requirements", index, "id"),
                    _("{id} is already defined in {seen}", id=requirement.id, seen=seen[requirement.id]),
                )
            for need in requirement.needs:
                if need not in seen:
                    raise source.error(
                        ("requirements", index, "needs"),
                        _("{need} is not a requirement that stands before this one", need=need),
                    )
            seen[requirement.id] = path
            joined.append(requirement)
    return Catalogue.model_validate({"schema": "xc-requirements/1", "version": version, "requirements": joined})
