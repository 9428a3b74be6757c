"""Lists of Go modules whose own tests are run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.requirement import Text


class SuiteModule(FrozenData):
    """One module of a suite."""

    module: str
    version: str
    note: Text = Text(en="", zh="")


class SuiteFile(FrozenData):
    """A suite of modules."""

    format: Literal["xc-ecosystem/1"] = Field(alias="schema")
    modules: tuple[SuiteModule, ...]
