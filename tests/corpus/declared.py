"""The corpus: real artifacts and the truth of each on the platforms' families, as the files beside this one declare them."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pytest_xinchuang.core.finding import load_findings

PLACE = Path(__file__).parent
FAMILIES = ("kunpeng", "phytium", "hygon", "zhaoxin", "loongson")
"""The short names of the platforms that each artifact is judged for."""

Ecosystem = Literal["pypi", "npm", "maven", "go", "debian", "made"]
Verdict = Literal["clean", "refused", "undecided"]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9@][A-Za-z0-9@._+~%!-]*$")]


@functools.cache
def _codes() -> frozenset[str]:
    return frozenset(load_findings().rules)


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Truth:
    """What is so on one platform.

    Attributes:
        codes: of a refusal, the findings that have to be told; of ``A|B`` one or the other.
    """

    verdict: Verdict
    codes: frozenset[str] = frozenset()

    @staticmethod
    def parse(text: str) -> Truth:
        """A truth as it is written: ``clean``, ``undecided``, or the codes of the findings that have to be told.

        Raises:
            ValueError: it is none of these, or no finding has such a code.
        """
        if text in ("clean", "undecided"):
            return Truth("clean" if text == "clean" else "undecided")
        codes = frozenset(text.split())
        if not codes or {code for word in codes for code in word.split("|")} - _codes():
            raise ValueError(f"neither clean nor undecided nor codes of findings: {text!r}")
        return Truth("refused", codes)

    def told_by(self, codes: frozenset[str]) -> bool:
        """Whether what has to be told is among codes."""
        return all(codes & frozenset(word.split("|")) for word in self.codes)

    def __str__(self) -> str:
        return self.verdict if not self.codes else f"refused {' '.join(sorted(self.codes))}"


class Artifact(_Data):
    """One artifact.

    Attributes:
        name: the ecosystem's name of the package; of Maven ``group:artifact``.
        source: Debian's directory of its pool.
        parts: of what is made, the artifacts that it is made of, by their file names: the lowest layer first.
        truth: family -> what is so there where it is not what its group says.
        why: how that is known; needed where ``truth`` is given.
        known: family -> why what `xc inspect` says there is wrong, and stays so for now.
        small: it is judged by the tests too.
    """

    name: str
    version: str = ""
    file: FileName
    sha256: Digest | Literal[""] = ""
    size: int = Field(default=0, ge=0)
    source: str = ""
    parts: tuple[FileName, ...] = ()
    truth: dict[str, str] = Field(default_factory=dict)
    why: str = ""
    known: dict[str, str] = Field(default_factory=dict)
    small: bool = False


class Group(_Data):
    """Artifacts of one kind with one truth.

    Attributes:
        kind: what the table has a row for.
        why: the reason of the truth, which is not what `xc inspect` says.
        truth: family -> ``clean``, ``undecided``, or the codes that have to be told.
    """

    kind: str
    ecosystem: Ecosystem
    why: str = Field(min_length=10)
    truth: dict[str, str]
    artifacts: tuple[Artifact, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Group:
        if set(self.truth) != set(FAMILIES):
            raise ValueError(f"the truth of a group is told of {', '.join(FAMILIES)}")
        for one in self.artifacts:
            made = self.ecosystem == "made"
            if made != bool(one.parts) or made == bool(one.sha256 and one.size and one.version):
                raise ValueError(f"{one.file}: what is made has parts, all else a version, a size and a digest")
            if (self.ecosystem == "debian") != bool(one.source):
                raise ValueError(f"{one.file}: a package of Debian's, and nothing else, has a directory of the pool")
            if one.source and (".." in PurePosixPath(one.source).parts or not re.match(r"pool/", one.source)):
                raise ValueError(f"{one.file}: no directory of the pool: {one.source}")
            if bool(one.truth) != bool(one.why):
                raise ValueError(f"{one.file}: a truth of its own has a reason, and a reason a truth")
            if unknown := {*one.truth, *one.known} - set(FAMILIES):
                raise ValueError(f"{one.file}: no family {', '.join(sorted(unknown))}")
        return self


@dataclass(frozen=True)
class Item:
    """An artifact with its group."""

    group: Group
    artifact: Artifact

    @property
    def file(self) -> str:
        return self.artifact.file

    @property
    def kind(self) -> str:
        return self.group.kind

    def truth(self, family: str) -> Truth:
        """What is so on a family's platform."""
        return Truth.parse(self.artifact.truth.get(family, self.group.truth[family]))

    @property
    def why(self) -> str:
        return self.artifact.why or self.group.why


class Corpus:
    """All declared artifacts, by their file names.

    Raises:
        ValueError: a file is not what it should be, or what it says does not fit together.
    """

    def __init__(self, place: Path = PLACE) -> None:
        self.items: dict[str, Item] = {}
        for path in sorted(place.glob("*.yaml")):
            for item in _read(path):
                if item.file in self.items:
                    raise ValueError(f"{path.name}: {item.file} is declared twice")
                self.items[item.file] = item
        for item in self.items.values():
            if missing := [part for part in item.artifact.parts if part not in self.items]:
                raise ValueError(f"{item.file}: no artifact {', '.join(missing)} is declared")

    def select(self, words: tuple[str, ...]) -> list[Item]:
        """The artifacts of which a word is the kind or in the file's name; all where there is no word.

        Raises:
            ValueError: nothing is meant by a word.
        """
        chosen: Mapping[str, Item] = {} if words else self.items
        for word in words:
            meant = {name: item for name, item in self.items.items() if word == item.kind or word in name}
            if not meant:
                raise ValueError(f"no kind and no artifact is called {word!r}")
            chosen = {**chosen, **meant}
        return list(chosen.values())


def _read(path: Path) -> Iterator[Item]:
    try:
        declared = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
        if not isinstance(declared, dict):
            raise ValueError("it is no mapping of groups")
        for name, fields in declared.items():
            group = Group.model_validate(fields)
            items = [Item(group, artifact) for artifact in group.artifacts]
            for item, family in ((item, family) for item in items for family in FAMILIES):
                try:
                    item.truth(family)
                except ValueError as error:
                    raise ValueError(f"{name}: {item.file}: {error}") from error
            yield from items
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path.name}: {error}") from error
