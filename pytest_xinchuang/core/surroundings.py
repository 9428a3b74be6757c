"""What ran beside the checks of a run and could have bent its result, as the journal has it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

Standing = Literal["ours", "pytest", "known", "foreign"]
"""Whose a plugin is: of the suite, of pytest, of a distribution that is known to report or to distribute, of somebody else."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Installed(_Part):
    """An installed distribution whose code ran.

    Attributes:
        digest: SHA-256 over the names and the digests of its files.
        record: whether it says itself what its files are; a checkout does not.
        changed: files that are not what the record says, are missing, or are not in it.
    """

    name: str
    version: str = ""
    digest: str = ""
    files: int = Field(default=0, ge=0)
    record: StrictBool = False
    changed: tuple[str, ...] = ()


class PluginSeen(_Part):
    """A plugin of pytest that was loaded.

    Attributes:
        digest: SHA-256 over the file, for what is not pytest's and not ours.
        hooks: those of its hooks that reach every test, ours too.
    """

    name: str
    standing: Standing
    distribution: str = ""
    version: str = ""
    file: str = ""
    digest: str = ""
    conftest: StrictBool = False
    hooks: tuple[str, ...] = ()


class FixtureSeen(_Part):
    """A fixture of our name that somebody else defines too; the tests of the suite get ours."""

    name: str
    file: str


class AssessorSeen(_Part):
    """The sealed process that decided the checks of the suite, beside a run of plain pytest.

    Attributes:
        reports: the directory of its own journal and report, below that of this run.
        run_id: of its own run. head: the chain of the last line of its journal.
        sealed: nothing in it was somebody else's. finished: it came to its end.
    """

    reports: str
    run_id: str
    head: str = ""
    sealed: StrictBool = False
    finished: StrictBool = False
