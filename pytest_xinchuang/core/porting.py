"""The failures that people really have on these platforms, and how this suite finds each."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.finding import FindingCode
from pytest_xinchuang.core.requirement import RequirementId, Text
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import _

Way = Literal["S", "E", "H", "D", "F", "R"]
"""How it is found: static, emulated run, table of facts, difference from x86-64, faked identity, real hardware or kernel."""


class Tried(FrozenData):
    """What this suite said of a report that was searched out after it was written, before anything was mended for it.

    Attributes:
        what: what was tried: the artifact that was reported where registries have it, else one that was built like it.
        seen: what was said of it, and of its twin that is right.
        ended: whether that was right, or what was missing was mended; ``native``: a board alone tells.
    """

    when: date
    what: Text
    seen: Text
    ended: Literal["right", "mended", "native"]


class PortingRow(FrozenData):
    """One failure.

    Attributes:
        tried: the log, for reports that were searched out to try the suite on them.
        codes: findings that name it.
        requirements: requirements of the catalogue that it fails.
        native: what to run on a board, where emulation cannot decide it all.
    """

    number: int = Field(ge=1)
    title: Text
    ways: tuple[Way, ...]
    codes: tuple[FindingCode, ...] = ()
    requirements: tuple[RequirementId, ...] = ()
    mend: Text
    native: Text | None = None
    references: tuple[Annotated[str, StringConstraints(min_length=3)], ...]
    tried: Tried | None = None

    @model_validator(mode="after")
    def _found_or_native(self) -> PortingRow:
        if set(self.ways) - {"R"} and not (self.codes or self.requirements):
            raise ValueError(
                _("a failure that can be found without a board needs the codes or requirements that find it")
            )
        if "R" in self.ways and self.native is None:
            raise ValueError(_("a failure that needs real hardware needs 'native': what to run there"))
        return self


class PortingFile(FrozenData):
    """The table."""

    format: Literal["xc-porting/1"] = Field(alias="schema")
    rows: tuple[PortingRow, ...]


def load_porting(path: Path) -> tuple[PortingRow, ...]:
    """The rows, in order of their numbers.

    Raises:
        DataFileError: the file is malformed, or a number is missing or given twice.
    """
    source = YamlFile(path)
    rows = source.parse(PortingFile).rows
    for index, row in enumerate(rows):
        if row.number != index + 1:
            raise source.error(
                ("rows", index, "number"), _("found {found}, expected {expected}", found=row.number, expected=index + 1)
            )
    return rows
