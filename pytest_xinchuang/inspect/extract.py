"""The files of an artifact, to be put into a sandbox. In memory alone; bounded like the walk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.formats.contained import CannotRead, TooMuch
from pytest_xinchuang.inspect.formats.image import prefixes, removed_by
from pytest_xinchuang.inspect.formats.magic import kind_of
from pytest_xinchuang.inspect.formats.members import members
from pytest_xinchuang.inspect.images import images
from pytest_xinchuang.inspect.walk import Bounds, Walker
from pytest_xinchuang.messages import _
from pytest_xinchuang.tools.process import Runner

MAX_BYTES = 400 << 20
"""What fits into a sandbox's private layer (512 MiB) beside what the program writes itself."""
PEEKED = 512
"""Bytes of a file by which is chosen whether it is wanted."""

Wanted = Callable[[str, bytes], bool]
"""(path, the first ``PEEKED`` bytes of the file) -> whether its content is wanted."""


T = TypeVar("T")


@dataclass(frozen=True)
class Reader(Generic[T]):
    """Makes something of each regular file while an artifact is unpacked.

    Attributes:
        wanted: whose content it is given; that of other files is empty.
        read: path and content -> what is made of it.
    """

    wanted: Wanted
    read: Callable[[str, bytes], T]


@dataclass(frozen=True)
class Unpacked(Generic[T]):
    """A file system. Attributes: files: as ``extract`` gives them; read: path of a regular file -> what was made of it."""

    files: dict[str, bytes]
    read: dict[str, T]


class _Account:
    """Bounds of an extraction."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self._walker = Walker(lambda *_: None, Bounds(expanded=2 << 30), runner)

    def expanded(self, size: int, so_far: int, compressed: int) -> None:
        self._walker.expanded(size, so_far, compressed)


def extract(
    path: Path,
    arch: str = "",
    runner: Runner | None = None,
    *,
    wanted: Wanted | None = None,
    links: bool = True,
    most: int = MAX_BYTES,
) -> dict[str, bytes]:
    """Path inside of the artifact -> content of every regular file in it; links are given as copies of what they lead to.

    Links that lead out of the artifact are left out: on the target they lead to files of the target.

    Args:
        arch: which of an image's platforms is meant, by OCI's name; empty: the first.
        wanted: whose content is wanted: that of other files is given as empty. None: all.
        links: whether links are given, as copies of what they lead to.
        most: bytes of content that are taken in.

    Raises:
        XcError: it cannot be read, or holds more than ``most``.
    """
    account = _Account(runner or Runner())
    tree = _Tree(wanted, most)
    with _unpacking(path):
        if not tree.take_artifact(path, account, links=links):
            return _bounded(tree.files, path, most)
        saved = tree.node
        if "" in prefixes(saved):
            tree = _image(tree, saved, arch, account)
        return _bounded(tree.whole() if links else tree.files, path, most)


@contextlib.contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    """Raises XcError for what the readers of containers raise."""
    try:
        yield
    except (CannotRead, TooMuch) as error:
        raise XcError(_("{name}: cannot be unpacked: {why}", name=path.name, why=error)) from error


def unpack(
    path: Path,
    arch: str = "",
    runner: Runner | None = None,
    *,
    wanted: Wanted,
    reader: Reader[T],
    most: int = MAX_BYTES,
) -> list[Unpacked[T]]:
    """The same for every platform of an image, from one reading of it, with what a reader made of its files on the way.

    What is read is not kept: the content that is given is that of the files that are wanted.

    Args:
        arch: the one platform that is meant, by OCI's name; empty: all that are there.

    Raises:
        XcError: as ``extract``.
    """
    runner = runner or Runner()
    tree = _Tree(wanted, most, reader)
    with _unpacking(path):
        inner = tree.take_artifact(path, _Account(runner), links=True)
        trees = [tree]
        if inner and "" in prefixes(saved := tree.node):
            there = dict.fromkeys(image.arch for image in images(saved) if image.present)
            trees = [_image(tree, saved, one, _Account(runner)) for one in ([arch] if arch else there or [""])]
        return [Unpacked(_bounded(each.whole(), path, most), each.read) for each in trees]


class _Tree:
    """Files and links by their paths, and what a reader made of the files."""

    def __init__(self, wanted: Wanted | None, most: int, reader: Reader[Any] | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.links: dict[str, str] = {}
        self.read: dict[str, Any] = {}
        self.wanted, self.most, self.reader = wanted, most, reader
        self._bytes = 0

    def take(self, kind: str, data: bytes, account: _Account) -> None:
        """Add what a container holds."""
        for member in members(kind, data, account):
            name = member.name.removeprefix("./").lstrip("/")
            if ".." in name.split("/"):
                continue
            if member.link is not None:
                self.links[name] = member.link
                self._put(name, None)
                self.read.pop(name, None)
                continue
            head = bytes(member.peek(PEEKED))
            of_deb = kind == "deb" and name.startswith("data.tar")
            content = b"".join(member.chunks()) if of_deb or self._looks_at(name, head) else b""
            member.close()
            if kind == "deb":
                if of_deb:
                    self.take(str(kind_of(content, name)), content, account)
                continue
            self._add(name, head, content)
            self.links.pop(name, None)

    @property
    def node(self) -> Node:
        """The same, as what an image is looked for in."""
        return Node("image", "", "", texts=self.files, links=self.links)

    def take_artifact(self, path: Path, account: _Account, *, links: bool) -> bool:
        """Add what a directory or a container holds, else the file itself; whether it was one of the two."""
        if path.is_dir():
            self.take_directory(path, links=links)
            return True
        data = path.read_bytes()
        kind = kind_of(data, path.name)
        if kind in (None, "elf", "jar"):
            self._add(path.name, data[:PEEKED], data)
            return False
        self.take(str(kind), data, account)
        return True

    def take_directory(self, directory: Path, *, links: bool) -> None:
        """Add what a directory holds; a link that leads out of it is left out."""
        root = directory.resolve()
        for path in sorted(directory.rglob("*")):
            if (links or not path.is_symlink()) and path.is_file() and path.resolve().is_relative_to(root):
                name = path.relative_to(directory).as_posix()
                with path.open("rb") as file:
                    head = file.read(PEEKED)
                    content = head + file.read() if self._looks_at(name, head) else b""
                if path.is_symlink():
                    self._put(name, content if self._wants(name, head) else b"")
                else:
                    self._add(name, head, content)

    def _looks_at(self, name: str, head: bytes) -> bool:
        return self._wants(name, head) or (self.reader is not None and self.reader.wanted(name, head))

    def _add(self, name: str, head: bytes, content: bytes) -> None:
        """A regular file: the reader is given it, and its content is kept where it is wanted."""
        if self.reader is not None:
            self.read[name] = self.reader.read(name, content if self.reader.wanted(name, head) else b"")
        self._put(name, content if self._wants(name, head) else b"")

    def _wants(self, name: str, head: bytes) -> bool:
        # What an image keeps its layers in is needed whatever is wanted of them.
        return (
            self.wanted is None
            or name.startswith("blobs/")
            or name.endswith((".tar", ".json"))
            or self.wanted(name, head)
        )

    def _put(self, name: str, content: bytes | None) -> None:
        self._bytes -= len(self.files.pop(name, b""))
        if content is not None:
            self.files[name] = content
            self._bytes += len(content)
        if self._bytes > self.most:
            raise TooMuch(_("more than {limit} MiB", limit=self.most >> 20))

    def lay(self, above: _Tree) -> None:
        """Put a layer of an image on top: what it marks as removed goes first."""
        for path in above.files:
            for gone in removed_by(path) or ():
                self._remove(gone)
        for path, content in above.files.items():
            if removed_by(path) is None:
                self.files[path] = content
                self.links.pop(path, None)
                self.read.pop(path, None)
        self.read |= {path: made for path, made in above.read.items() if removed_by(path) is None}
        for path, target in above.links.items():
            self.links[path] = target
            self.files.pop(path, None)
            self.read.pop(path, None)

    def _remove(self, gone: str) -> None:
        inside = gone if gone.endswith("/") else f"{gone}/"
        for path in [p for p in (*self.files, *self.links) if p == gone or p.startswith(inside) or gone == "/"]:
            self.files.pop(path, None)
            self.links.pop(path, None)
            self.read.pop(path, None)

    def whole(self) -> dict[str, bytes]:
        """The files, and copies of those that links lead to."""
        copies = {name: self.files[real] for name in self.links if (real := self.real(name)) in self.files}
        return self.files | copies

    def real(self, name: str) -> str:
        """Where a path leads, through links to files and to directories."""
        for _step in range(MAX_LINKS):
            parts = name.split("/")
            first = next((n for n in range(1, len(parts) + 1) if "/".join(parts[:n]) in self.links), None)
            if first is None:
                return name
            at, rest = "/".join(parts[:first]), parts[first:]
            target = self.links[at]
            leads = target.lstrip("/") if target.startswith("/") else _join(at, target)
            name = "/".join((leads, *rest)) if leads else "/".join(rest)
        return name


MAX_LINKS = 40
"""As Linux follows them, path_resolution(7)."""


def _image(saved: _Tree, node: Node, arch: str, account: _Account) -> _Tree:
    """The file system of an OCI layout or docker-save archive: its layers on top of one another.

    Raises:
        CannotRead: it has no image for the platform, or not all layers of one.
    """
    mine = [image for image in images(node) if image.present and (not arch or image.arch in ("", arch))]
    if not mine:
        raise CannotRead(_("the image's index leads to no manifest"))
    merged = _Tree(saved.wanted, saved.most, saved.reader)
    for name in mine[0].layers:
        data = saved.files.get(saved.real(name))
        if data is None:
            raise CannotRead(_("the layer {name} is not in the image", name=name))
        kind = kind_of(data, "")
        layer = _Tree(saved.wanted, saved.most, saved.reader)
        if kind in ("tar", "compressed"):
            layer.take(kind, data, account)
        merged.lay(layer)
    return merged


def _join(name: str, target: str) -> str:
    parts = name.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _bounded(files: dict[str, bytes], path: Path, most: int) -> dict[str, bytes]:
    if sum(map(len, files.values())) > most:
        raise XcError(_("{name}: more than {value} MiB are not taken in", name=path.name, value=most >> 20))
    return files
