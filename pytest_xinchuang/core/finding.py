"""Findings: the catalogue of stable codes, and what was found under them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.errors import UnknownName
from pytest_xinchuang.core.near import near
from pytest_xinchuang.core.requirement import Text
from pytest_xinchuang.core.verdict import Level
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import Message, _, both, verbatim

FindingCode = Annotated[str, StringConstraints(pattern=r"^XC-[A-Z]+-[0-9]{3}$")]


class FindingRule(FrozenData):
    """One code of the catalogue.

    Attributes:
        level: the level that a certain finding stands in the way of; None: it is worth knowing and stands in no way.
        found: the sentence that is filled in with what was seen.
        clause: what it traces to: a standard and clause, or public references.
        says: regular expression over the output of a run that shows it.
    """

    code: FindingCode
    level: Level | None = None
    title: Text
    cause: Text
    found: Text
    mend: Text
    clause: str
    says: str | None = None


class FindingsFile(FrozenData):
    """One file of the catalogue of codes."""

    format: Literal["xc-findings/1"] = Field(alias="schema")
    findings: tuple[FindingRule, ...]


class Certainty(StrEnum):
    """How sure a finding is. Only ``CERTAIN`` is a failure by itself."""

    CERTAIN = "certain"
    GUARDED = "guarded?"
    """Something may keep it from happening; a run on the poorest CPU or the real kernel decides."""
    UNDECIDED = "undecided"
    """A fact or a tool is missing."""
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """Something that was found for one platform.

    Attributes:
        object: the artifact's object, as ``outer!inner``.
        params: what the texts of the rule are filled in with.
        evidence: JSON-serialisable details.
    """

    code: str
    certainty: Certainty
    object: str
    platform: str
    params: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)


class FindingCatalogue:
    """The codes of one or more files, with their texts.

    Raises:
        DataFileError: a file is malformed, or a code is given twice.
    """

    def __init__(self, *paths: Path) -> None:
        self.rules: dict[str, FindingRule] = {}
        for source in map(YamlFile, paths):
            for index, rule in enumerate(source.parse(FindingsFile).findings):
                if rule.code in self.rules:
                    raise source.error(("findings", index, "code"), _("{code} is given twice", code=rule.code))
                self.rules[rule.code] = rule

    def get(self, code: str) -> FindingRule:
        """The rule of a code.

        Raises:
            UnknownName: there is none.
        """
        if code.upper() not in self.rules:
            raise UnknownName(
                _("no finding has the code {code}{hint}", code=verbatim(repr(code)), hint=near(code, self.rules)),
                mend=verbatim("xc explain"),
            )
        return self.rules[code.upper()]

    def text(self, finding: Finding) -> Message:
        """What was found, as a sentence."""
        return _filled(self.get(finding.code).found, finding)

    def coded(self, finding: Finding) -> Message:
        """What was found, with its code behind it, as reasons of verdicts tell it."""
        return _("{found} [{code}]", found=self.text(finding), code=finding.code)

    def mend(self, finding: Finding) -> Message:
        """How to put it right."""
        return _filled(self.get(finding.code).mend, finding)

    def fails(self, finding: Finding) -> bool:
        """Whether the platform cannot do with it."""
        return finding.certainty is Certainty.CERTAIN and self.get(finding.code).level is not None


def load_findings() -> FindingCatalogue:
    """The shipped catalogue of findings."""
    return FindingCatalogue(*resources.finding_files())


def _filled(text: Text, finding: Finding) -> Message:
    return both(text.model_dump(), **{"object": finding.object, "platform": finding.platform, **finding.params})
