"""Lists of Go modules whose own tests are run."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pytest_xinchuang.core.requirement import Text


class SuiteModule(BaseModel):
    """One module of a suite."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    module: str
    version: str
    note: Text = Text(en="", zh="")


class SuiteFile(BaseModel):
    """A suite of modules."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["xc-ecosystem/1"] = Field(alias="schema")
    modules: tuple[SuiteModule, ...]
