"""What an artifact turned out to hold: a tree of containers with their objects, texts and problems."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pytest_xinchuang.messages import Message

T = TypeVar("T")


@dataclass(frozen=True)
class ReadProblem:
    """Something that could not be read, or not wholly. The rest was read all the same.

    Attributes:
        code: a code of findings.yaml, XC-BAD-...
        place: the object, as ``outer!inner``.
        detail: what was found there.
    """

    code: str
    place: str
    detail: Message


@dataclass(frozen=True)
class Script:
    """What a script does when it is run.

    Attributes:
        fetches: it brings something from elsewhere, or may.
        names: files that it runs or imports, as it names them.
    """

    fetches: bool
    names: tuple[str, ...] = ()


@dataclass
class Node:
    """A container: a directory, an archive, a package, an image, or a single file.

    Attributes:
        kind: ``file``, ``directory``, ``zip``, ``wheel``, ``jar``, ``tar``, ``deb``, ``rpm``, ``static-archive``, ``squashfs``,
            ``image`` or ``cpio``.
        place: how a person finds it: ``outer!inner``.
        name: its file name, or its path inside of its parent.
        members: paths of the files in it.
        links: path -> target of the symbolic links in it.
        texts: contents of small files that say something of the whole (a control file, a wheel's tags, a pom.xml).
        objects: what ``on_object`` made of the ELF objects in it.
        removed: paths that a layer takes away from those below it; one with a ``/`` at its end takes what is in a directory.
        modes: permission bits of the files in it, where the container has them.
        classes: path -> class file format of Java's classes that need more than Java 8.
        scripts: path -> the beginning of the scripts in it, with the line that names what runs them; of other texts that may be
            executed, where the container has modes, nothing.
        installing: path -> what is known of the scripts in it that may be run when it is installed.
        natives: path -> ``windows`` or ``macos`` of the libraries in it for these.
        facts: what else it says of itself: ``layer``, the place of a layer in its image from the bottom up; ``image``, which
            image of several that is; ``libc``, the version of the glibc in it; ``all``, ``data`` where all that is in it stands
            among a program's data.
    """

    kind: str
    place: str
    name: str
    parent: Node | None = None
    members: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    objects: list[Any] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    modes: dict[str, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    natives: dict[str, str] = field(default_factory=dict)
    scripts: dict[str, bytes] = field(default_factory=dict)
    installing: dict[str, Script] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    _said: dict[str, tuple[bytes, Any]] = field(default_factory=dict, repr=False, compare=False)

    def is_inner(self, name: str) -> bool:
        """Whether a member is one of the archives that a deb is made of (deb(5)): people know its files as the package's."""
        return self.kind == "deb" and name.startswith(("data.tar", "control.tar"))

    @property
    def package(self) -> str:
        """The name by which people know it: of the archives that a deb is made of, the package's."""
        return self.parent.package if self.parent is not None and self.parent.is_inner(self.name) else self.name

    def within(self, name: str) -> str:
        return f"{self.place}!{printable(name)}" if self.kind != "directory" else f"{self.place}/{printable(name)}"

    def json(self, name: str) -> Any:
        """What a text of it says as JSON; None: there is no such text, or it is none."""
        text = self.texts.get(name)
        if text is None:
            return None
        known = self._said.get(name)
        if known is None or known[0] is not text:
            known = self._said[name] = text, _as_json(text)
        return known[1]

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()

    def all_objects(self) -> Iterator[Any]:
        for node in self.walk():
            yield from node.objects


def _as_json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # a million brackets are none
        return None


def taken(known: dict[str, T], prefix: str) -> dict[str, T]:
    """Take what is below a directory, which ends with a slash, out of a table; by its paths there."""
    return {path[len(prefix) :]: known.pop(path) for path in [path for path in known if path.startswith(prefix)]}


def above(path: str) -> Iterator[str]:
    """The directories that a path lies in, the nearest first, and "" at last; it may be absolute."""
    directory, before = posixpath.dirname(path), path
    while directory not in ("", before):
        yield directory
        directory, before = posixpath.dirname(directory), directory
    yield ""


def printable(name: str) -> str:
    """A name that a terminal and a JSON file can carry: bytes that are no text and control characters are escaped."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
