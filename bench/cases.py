"""Pairs of small APIs with what is true of them, one file each below ``bench/verdicts/LANGUAGE/``.

A file begins with its facts in YAML, and has the files of both versions and of a client behind them::

    truth: [source]
    why: an abstract method was added, which implementers lack
    -- old/lib/L.java --
    ...
    -- new/lib/L.java --
    ...
    -- client/Use.java --
    ...

``truth`` is found by tools, not by opinion: ``source`` if the client builds with the old version and not with the new one,
``binary`` if it was built with the old version and does not link or load with the new one, ``wire`` if data that one version
writes is wrong in the other, ``behaviour`` if it runs and says
something else. An empty one means that the client notices nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.messages import verbatim

HERE = Path(__file__).parent / "verdicts"
_SECTION = re.compile(r"^-- ((?:old|new|client)/[^ ]+) --\n", re.MULTILINE)

Axis = Literal["source", "binary", "wire", "behaviour"]


class Facts(FrozenData):
    """What is true of a case.

    Attributes:
        promised: users may count on what the client does. Where they may not, it is right to call the change fragile.
        options: more words for ``xc api diff``.
    """

    truth: tuple[Axis, ...]
    promised: bool = True
    why: str = Field(min_length=10)
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One pair with a client.

    Attributes:
        files: path below ``old/``, ``new/`` or ``client/`` -> text.
    """

    language: str
    name: str
    facts: Facts
    files: Mapping[str, str]

    @property
    def breaks(self) -> bool:
        """Whether the next version has to be a major one."""
        return self.facts.promised and bool({"source", "binary", "wire"} & set(self.facts.truth))

    def write(self, directory: Path) -> None:
        """Make ``old/``, ``new/`` and ``client/`` below a directory."""
        for side in ("old", "new", "client"):
            (directory / side).mkdir(parents=True, exist_ok=True)
        for path, text in self.files.items():
            place = directory / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")


def cases(language: str) -> list[Case]:
    """The cases of a language by name.

    Raises:
        DataFileError: a file has no facts, or no old or new version.
    """
    return [_case(language, path) for path in sorted((HERE / language).glob("*.txtar"))]


def _case(language: str, path: Path) -> Case:
    head, *parts = _SECTION.split(path.read_text(encoding="utf-8"))
    files = dict(zip(parts[::2], parts[1::2], strict=True))
    if {name.partition("/")[0] for name in files} != {"old", "new", "client"}:
        raise DataFileError(verbatim(f"{path}: found {sorted(files)}, expected files below old/, new/ and client/"))
    return Case(language, path.stem, Facts.model_validate(yaml.safe_load(head)), files)
