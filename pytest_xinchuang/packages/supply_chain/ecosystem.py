"""What an ecosystem has to tell, for the one check that is the same for all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pytest_xinchuang.core.finding import Finding
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone
from pytest_xinchuang.packages.supply_chain.locked import Locked, Reading
from pytest_xinchuang.packages.supply_chain.registries import Published, PublishedFile, Registries


@dataclass(frozen=True)
class Tree:
    """A package that is laid out below the product: installed, or vendored.

    Attributes:
        where: its directory, below the product's.
        files: name below it -> path; links stand here as what they are.
        entry: the locked package that it is; None: no lock has it.
        name, version: what it says that it is.
    """

    where: str
    files: Mapping[str, Path]
    entry: Locked | None
    name: str = ""
    version: str = ""


@dataclass(frozen=True)
class Layout:
    """What an installer makes of an archive.

    Attributes:
        files: name -> SHA-256 of each form that it may have.
        may_lack: names that an installer leaves out.
        may_add: whether a file is one that an installer writes.
        built: whether a script of the package may have written more, which nobody published.
    """

    files: Mapping[str, frozenset[str]]
    may_lack: frozenset[str] = frozenset()
    may_add: Callable[[str], bool] = field(default=lambda _name: False)
    built: bool = False


class Ecosystem(Protocol):
    """An ecosystem of packages."""

    @property
    def name(self) -> str:
        """By which it is chosen."""

    @property
    def osv(self) -> str:
        """Its name in advisories (OSV schema, affected[].package field)."""

    @property
    def purl(self) -> str:
        """Its type in package URLs."""

    def found(self, directory: Path) -> bool:
        """Whether a directory has one of its manifests or locks."""

    def read(self, directory: Path, registries: Registries) -> Reading:
        """What its manifests and locks say, of which registries to take packages from too."""

    def published(self, entry: Locked, registries: Registries) -> Published | Gone:
        """What was published under a locked name and version."""

    def chosen(self, entry: Locked, files: Sequence[PublishedFile]) -> Sequence[PublishedFile]:
        """Of the files that an entry may be, those whose bytes have to be seen."""

    def trees(self, directory: Path, reading: Reading) -> tuple[Iterable[Tree], Iterable[Finding]]:
        """What is installed or vendored, and what is wrong with how it is laid out."""

    def artifact(self, tree: Tree, files: Sequence[PublishedFile]) -> PublishedFile | None:
        """The published file that a tree was made of."""

    def layout(self, tree: Tree, artifact: Path) -> Layout:
        """What an installer makes of an archive. Raises BadArchive."""

    def licence(self, artifact: Path) -> str:
        """What an archive says of its licence; "" where it says nothing."""

    def key(self, version: str) -> object:
        """A version as something that is ordered. Raises ValueError."""

    def same(self, name: str) -> str:
        """A name in the form in which the registry compares names."""


def files_below(root: Path, skip: Callable[[str], bool] = lambda _name: False) -> dict[str, Path]:
    """The files below a directory; a directory whose name is to be skipped is not entered, and no link is followed."""
    found: dict[str, Path] = {}

    def walk(directory: Path, before: str) -> None:
        for path in sorted(directory.iterdir()):
            name = before + path.name
            if path.is_symlink() or not path.is_dir():
                found[name] = path
            elif not skip(name):
                walk(path, name + "/")

    if root.is_dir():
        walk(root, "")
    return found


def sha256_of(path: Path) -> str:
    """Raises OSError."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
