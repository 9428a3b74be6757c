"""The bank of defects: the names that the flags of vectors, reports and known-bad subjects use."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.requirement import RequirementId, Text
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import Message, _, verbatim

BugType = Literal[
    "BASIC",
    "FUNCTIONALITY",
    "AUTH_BYPASS",
    "CONFIDENTIALITY",
    "LEAK",
    "MISSING_STEP",
    "WEAK_PARAMS",
    "EDGE_CASE",
    "BER_ENCODING",
    "SIGNATURE_MALLEABILITY",
]


class Flag(Text):
    """What vectors with this flag test."""

    flag: str = Field(pattern=r"^[A-Z][A-Za-z0-9]+$")
    bug: BugType

    @property
    def told(self) -> Message:
        """The flag and its meaning."""
        return _("{flag}: {meaning}", flag=self.flag, meaning=self.message())


class Defect(Flag):
    """A defect that implementations have had.

    Attributes:
        code: its name in reports; a code never changes its meaning.
        where: the kind of check that finds it.
        seen: where it was met: an issue of a public project, a CVE, or the clause that it breaks; a phrase in both languages.
        clause: the clause that it breaks.
    """

    code: str = Field(pattern=r"^SMD-[0-9]{2,3}$")
    where: Literal["vector", "property", "stream", "concurrency", "randomness", "timing", "tls"]
    requirement: RequirementId
    seen: tuple[str | Text, ...] = Field(min_length=1)
    clause: str | Text

    @property
    def id(self) -> int:
        """The number in the code."""
        return int(self.code.removeprefix("SMD-"))

    @property
    def told(self) -> Message:
        return _("{code} {flag}: {meaning}", code=self.code, flag=self.flag, meaning=self.message())

    @property
    def origins(self) -> list[Message]:
        """Where it was met, and the clause that it breaks; each once."""
        return [_origin(one) for one in dict.fromkeys((*self.seen, self.clause))]


def _origin(one: str | Text) -> Message:
    return verbatim(one) if isinstance(one, str) else one.message()


class DefectBank(FrozenData):
    """The bank: defects, and the other flags of vectors."""

    format: Literal["xc-sm-defects/1"] = Field(alias="schema")
    defects: tuple[Defect, ...]
    flags: tuple[Flag, ...]

    @model_validator(mode="after")
    def _names_differ(self) -> DefectBank:
        flags = [f.flag for f in (*self.defects, *self.flags)]
        for kind, names in ((_("flag"), flags), (_("code"), [d.code for d in self.defects])):
            if twice := sorted({n for n in names if names.count(n) > 1}):
                raise ValueError(_("the {kind} {name} is there twice", kind=kind, name=verbatim(twice[0])))
        return self

    def flag(self, name: str) -> Flag | None:
        """A defect or a plain flag by its name."""
        return next((f for f in (*self.defects, *self.flags) if f.flag == name), None)

    def first_of(self, names: Collection[str]) -> Flag | None:
        """The first defect among these flags, else the first flag that the bank has."""
        return next((f for f in (*self.defects, *self.flags) if f.flag in names), None)


def load_bank(path: Path | None = None) -> DefectBank:
    """The shipped bank. Raises DataFileError: it is malformed."""
    return YamlFile(path or resources.conformance_dir() / "sm_crypto" / "defects.yaml").parse(DefectBank)
