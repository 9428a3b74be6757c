"""The bank of defects: data of the suite that flags, reports and known-bad subjects are named by."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.requirement import RequirementId
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import _, verbatim

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


class Flag(FrozenData):
    """What vectors with this flag look at."""

    flag: str = Field(pattern=r"^[A-Z][A-Za-z0-9]+$")
    bug: BugType
    zh: str
    en: str


class Defect(Flag):
    """A defect that was met in the field.

    Attributes:
        code: its name in reports; a code never changes its meaning.
        where: what shows it.
        seen: where it was met: an issue of a public project, a CVE, or the clause that it breaks.
    """

    code: str = Field(pattern=r"^SMD-[0-9]{2}$")
    where: Literal["vector", "property", "stream", "concurrency", "timing", "tls"]
    requirement: RequirementId
    seen: tuple[str, ...] = Field(min_length=1)
    clause: str

    @property
    def id(self) -> int:
        """The number in the code."""
        return int(self.code.removeprefix("SMD-"))


class DefectBank(FrozenData):
    """All of them."""

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


def load_bank(path: Path | None = None) -> DefectBank:
    """The shipped bank. Raises DataFileError: it is malformed."""
    return YamlFile(path or resources.conformance_dir() / "sm_crypto" / "defects.yaml").parse(DefectBank)
