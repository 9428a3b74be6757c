"""Walks artifacts: directories, archives in archives, packages, images. Reads alone, writes nothing where names lead.

Everything is bounded (:class:`Bounds`), and a bad member is a :class:`ReadProblem` of that member alone.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.inspect.artifact import Node, ReadProblem, printable
from pytest_xinchuang.inspect.formats.behind import behind_program, payload
from pytest_xinchuang.inspect.formats.contained import CannotRead, ContainedFile, TooMuch
from pytest_xinchuang.inspect.formats.image import settle
from pytest_xinchuang.inspect.formats.magic import is_script, kind_of, unread_format
from pytest_xinchuang.inspect.formats.members import members
from pytest_xinchuang.messages import Message, _, system_error, told
from pytest_xinchuang.tools.process import Runner

OnObject = Callable[[Node, str, bytes], None]

KEPT_TEXTS = (
    "WHEEL",
    "METADATA",
    "pom.xml",
    "pom.properties",
    "MANIFEST.MF",
    "index.json",
    "manifest.json",
    "oci-layout",
    "repositories",
    "os-release",
    "control",
    "package.json",
)


@dataclass(frozen=True)
class Bounds:
    """What one artifact may cost.

    Attributes:
        depth: archives inside of archives.
        members: files in all.
        expanded: bytes that decompression may give in all.
        ratio: expanded to compressed bytes of one stream, looked at from ``ratio_from`` bytes on: gzip can do 1030.
        object_bytes: the largest object that is read.
        seconds: wall-clock time, before it is scaled as time-outs are.
    """

    depth: int = 8
    members: int = 500_000
    expanded: int = 16 << 30
    ratio: int = 250
    ratio_from: int = 256 << 20
    object_bytes: int = 2 << 30
    seconds: float = 900.0
    in_memory: int = 64 << 20


class Walker:
    """Walks one artifact into a tree of nodes; ``on_object`` is called for each ELF object while its bytes are at hand."""

    def __init__(self, on_object: OnObject, bounds: Bounds | None = None, runner: Runner | None = None) -> None:
        self.on_object = on_object
        self.runner = runner or Runner()
        self.bounds = bounds or Bounds()
        self.problems: list[ReadProblem] = []
        self.unread = 0
        self._seconds = self.runner.seconds(self.bounds.seconds)
        self._deadline = time.monotonic() + self._seconds
        self._expanded = 0
        self._members = 0

    def walk(self, path: Path, label: str = "") -> Node:
        """The tree of ``path``, which is called ``label`` (by default the path itself).

        Raises:
            XcError: there is no such file or directory, or it cannot be opened.
        """
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise XcError(_("{printable}: {why}", printable=printable(str(path)), why=system_error(error))) from error
        place = printable(label or str(path))
        if stat.S_ISDIR(mode):
            node = Node("directory", place, path.name)
            self._directory(node, path)
            settle(node)
            return node
        if not stat.S_ISREG(mode):
            raise XcError(
                _("{place}: neither a regular file nor a directory", place=place),
                mend=_("name a file, package or directory"),
            )
        node = Node("file", place, path.name)
        try:
            with _mapped(path) as data:
                self._blob(node, path.name, data, 0, top=True)
        except OSError as error:
            raise XcError(_("{place}: {why}", place=place, why=system_error(error))) from error
        return node

    # -- bounds

    def problem(self, code: str, place: str, detail: Message) -> None:
        if len(self.problems) < 1000:
            self.problems.append(ReadProblem(code, place, detail))
        else:
            self.unread += 1

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise TooMuch(_("took longer than {seconds:g} s", seconds=self._seconds))

    def _count_member(self) -> None:
        self._members += 1
        if self._members > self.bounds.members:
            raise TooMuch(_("more than {members} files", members=self.bounds.members))
        if not self._members % 64:
            self._check_time()

    def expanded(self, size: int, so_far: int, compressed: int) -> None:
        """Account for ``size`` more bytes of a stream that has given ``so_far`` bytes out of ``compressed``."""
        self._expanded += size
        self._check_time()
        if self._expanded > self.bounds.expanded:
            raise TooMuch(_("expands to more than {value} MiB", value=self.bounds.expanded >> 20))
        if so_far > self.bounds.ratio_from and so_far > self.bounds.ratio * max(compressed, 1):
            raise TooMuch(
                _(
                    "expands to more than {ratio} times its size ({value} MiB so far)",
                    ratio=self.bounds.ratio,
                    value=so_far >> 20,
                )
            )

    # -- places

    def _directory(self, node: Node, root: Path) -> None:
        for directory, names, files in os.walk(root, onerror=lambda e: self._cannot_list(node, e)):
            names.sort()
            for name in sorted(names + files):
                path = Path(directory) / name
                inside = os.path.relpath(path, root).replace(os.sep, "/")
                try:
                    self._entry(node, path, inside, is_dir=name in names)
                except TooMuch as error:
                    self.problem("XC-BAD-003", node.place, told(error))
                    return
                except OSError as error:
                    self.problem("XC-BAD-006", node.within(inside), system_error(error))

    def _cannot_list(self, node: Node, error: OSError) -> None:
        self.problem("XC-BAD-006", node.within(Path(str(error.filename)).name), system_error(error))

    def _entry(self, node: Node, path: Path, inside: str, *, is_dir: bool) -> None:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            node.links[inside] = str(path.readlink())
            self._check_loop(node, path, inside)
        elif stat.S_ISREG(mode) and not is_dir:
            self._count_member()
            node.members.append(inside)
            with _mapped(path) as data:
                self._blob(node, inside, data, 0)

    def _check_loop(self, node: Node, path: Path, inside: str) -> None:
        try:
            path.stat()
        except FileNotFoundError:
            return
        except OSError:
            self.problem(
                "XC-BAD-007",
                node.within(inside),
                _("a symbolic link to {printable}, without end", printable=printable(str(path.readlink()))),
            )

    def _blob(self, node: Node, name: str, data: bytes, depth: int, *, top: bool = False) -> None:
        """Look into one file: an object, a container, or neither."""
        kind = kind_of(data, name)
        if kind is None:
            self._unknown(node, name, data, depth, top=top)
            if (is_text(name) and len(data) < 1 << 20 and len(node.texts) < 4096) or (
                node.kind in ("tar", "compressed", "directory")
                and name.startswith("blobs/")
                and data[:1] == b"{"
                and len(data) < 1 << 20
            ):
                node.texts[name] = bytes(data)
            return
        # A deb's inner archives are its own business: people know its files as the package's.
        transparent = node.kind == "deb" and name.startswith(("data.tar", "control.tar"))
        place = node.place if top or transparent else node.within(name)
        if len(data) > self.bounds.object_bytes:
            self._too_large(place, len(data))
            return
        if kind == "elf":
            self.on_object(node, name, data)
            try:
                behind = behind_program(data)
            except CannotRead as error:
                self.problem(error.code, place, told(error))
                return
            if behind is None:
                return
            kind, top = behind, False
        if depth >= self.bounds.depth:
            self.problem("XC-BAD-005", place, _("more than {depth} archives in one another", depth=self.bounds.depth))
            return
        if top:
            child = node
            child.kind = kind
        else:
            child = Node(kind, place, name, node)
            node.children.append(child)
        self._container(child, data, depth + 1)

    def _too_large(self, place: str, size: int) -> None:
        detail = _("{size} MiB, at most {most} are read", size=size >> 20, most=self.bounds.object_bytes >> 20)
        self.problem("XC-BAD-008", place, detail)

    def _unknown(self, node: Node, name: str, data: bytes, depth: int, *, top: bool) -> None:
        """Neither an object nor a container that is read: what it hides is told, or looked into."""
        place = node.place if top else node.within(name)
        closed = unread_format(data)
        if closed is not None:
            self.problem("XC-BAD-006", place, _("{closed}, which is not read here", closed=closed))
        elif is_script(data):
            if len(data) > self.bounds.object_bytes:
                self._too_large(place, len(data))
                return
            try:
                behind = payload(data, self)
                if behind is None:
                    return
                behind.peek(512)
                with self._read(behind, place) as rest:
                    if rest is not None:
                        self._blob(node, name, rest, depth, top=top)
            except CannotRead as error:
                self.problem(error.code, place, told(error))

    def _container(self, node: Node, data: bytes, depth: int) -> None:
        try:
            for member in members(node.kind, data, self):
                self._count_member()
                self._member(node, member, depth)
        except TooMuch as error:
            if depth > 1:
                # The outer one has to stop as well: the bound is of the whole.
                self.problem("XC-BAD-003", node.place, told(error))
                if time.monotonic() > self._deadline or self._expanded > self.bounds.expanded:
                    raise
            else:
                self.problem("XC-BAD-003", node.place, told(error))
        except CannotRead as error:
            self.problem(error.code, node.place, told(error))
        except (OSError, ValueError, EOFError, KeyError, IndexError, RuntimeError, OverflowError, MemoryError) as error:
            # What the standard library's readers raise on damaged archives, zlib.error and struct.error among ValueErrors
            # and their own classes, which members makes CannotRead of.
            self.problem("XC-BAD-002", node.place, _("damaged: {error}", error=told(error)))
        settle(node)

    def _member(self, node: Node, member: ContainedFile, depth: int) -> None:
        name = member.name.removeprefix("./").rstrip("/")
        if name.startswith("/") or ".." in name.split("/"):
            self.problem("XC-BAD-004", node.within(name), _("its name leads out of the archive"))
            name = "/".join(part for part in name.split("/") if part not in ("", ".."))
        if member.link is not None:
            node.links[name] = member.link
            return
        node.members.append(name)
        if node.kind == "static-archive" and member.name in ("/", "//", "/SYM64/"):
            return
        try:
            head = member.peek(512)
            named = is_text(name) or name.startswith("blobs/")
            hides = unread_format(head) is not None or is_script(head)
            if kind_of(head, name) is None and not named and not hides:
                return
            with self._read(member, node.within(name)) as data:
                if data is not None:
                    self._blob(node, name, data, depth)
        except CannotRead as error:
            self.problem(error.code, node.within(name), told(error))
        finally:
            member.close()

    def _read(self, member: ContainedFile, place: str) -> _Held:
        """The whole of a member: in memory when it is small, else in a temporary file without a name."""
        held = _Held()
        limit = self.bounds.object_bytes
        total = 0
        parts: list[bytes] = []
        spool: Any = None
        try:
            for chunk in member.chunks():
                total += len(chunk)
                if total > limit:
                    self.problem("XC-BAD-008", place, _("more than {limit} MiB", limit=limit >> 20))
                    return held
                if spool is None and total > self.bounds.in_memory:
                    # What does not fit on our disk is no fault of the archive.
                    spool = held.stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
                    for part in parts:
                        self._spool(spool, part)
                    parts = []
                if spool is None:
                    parts.append(chunk)
                else:
                    self._spool(spool, chunk)
            if spool is None:
                held.data = b"".join(parts)
            else:
                spool.flush()
                held.data = held.stack.enter_context(mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ))
        except BaseException:
            held.stack.close()
            raise
        return held

    @staticmethod
    def _spool(file: Any, data: bytes) -> None:
        try:
            file.write(data)
        except OSError as error:
            raise CannotRead(_("no room for it here: {why}", why=system_error(error)), "XC-BAD-006") from error


class _Held:
    """Bytes with what has to be closed after them."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.data: Any = None

    def __enter__(self) -> Any:
        return self.data

    def __exit__(self, *_: object) -> None:
        self.data = None
        self.stack.close()


def _mapped(path: Path) -> _Held:
    held = _Held()
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if os.fstat(fd).st_size:
            held.data = held.stack.enter_context(mmap.mmap(fd, 0, access=mmap.ACCESS_READ))
        else:
            held.data = b""
    finally:
        os.close(fd)
    return held


def is_text(name: str) -> bool:
    """Whether a file of this name says something of the whole."""
    last = name.rpartition("/")[2]
    # Older Docker engines save an image's configuration under its digest.
    saved = re.fullmatch(r"[0-9a-f]{64}\.json", name) is not None
    return last in KEPT_TEXTS or saved or name.endswith((".runtimeconfig.json", ".pom"))
