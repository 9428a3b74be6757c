"""Walks artifacts: directories, archives in archives, packages, images. Reads alone, writes nothing where names lead.

Everything is bounded (:class:`Bounds`), and a bad member is a :class:`ReadProblem` of that member alone.
"""

from __future__ import annotations

import mmap
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.inspect.artifact import Node, ReadProblem, printable
from pytest_xinchuang.inspect.formats import sqlite, upx
from pytest_xinchuang.inspect.formats.among import MARKS, among, debug_data
from pytest_xinchuang.inspect.formats.behind import behind_program, payload, rest_of, zip_at_end
from pytest_xinchuang.inspect.formats.choosers import is_chooser
from pytest_xinchuang.inspect.formats.contained import CannotRead, ContainedFile, Pieces, TooMuch, translated
from pytest_xinchuang.inspect.formats.elsewhere import note_elsewhere, note_script
from pytest_xinchuang.inspect.formats.encoded import decoded_by_script, encoded
from pytest_xinchuang.inspect.formats.entropy import looks_encrypted
from pytest_xinchuang.inspect.formats.fetching import note_fetching
from pytest_xinchuang.inspect.formats.hidden import MAGIC, MOST, Hidden, begin_hidden, embedded
from pytest_xinchuang.inspect.formats.image import settle
from pytest_xinchuang.inspect.formats.magic import PROBED, is_inert, is_plain, is_script, kind_of, unread_format
from pytest_xinchuang.inspect.formats.members import members
from pytest_xinchuang.inspect.formats.occurrences import Occurrences
from pytest_xinchuang.inspect.formats.sqlite import is_sqlite
from pytest_xinchuang.inspect.held import Held, Regions, mapped, part_of
from pytest_xinchuang.inspect.kernel_module import MOST_SYMVERS, is_symvers
from pytest_xinchuang.inspect.maintainer import MOST as MOST_READ
from pytest_xinchuang.inspect.maintainer import SCRIPTS as MAINTAINER_SCRIPTS
from pytest_xinchuang.inspect.marks import TEXTS
from pytest_xinchuang.inspect.names import SCRIPTS, is_blob, is_text
from pytest_xinchuang.messages import Message, _, system_error, told
from pytest_xinchuang.tools.process import Runner

OnObject = Callable[[Node, str, bytes, Occurrences | None], None]
"""Is called with a container, the name of an object in it, its bytes, and where ``SOUGHT`` stand in them, if that is known."""

SOUGHT = {**MARKS, **TEXTS}
"""What is sought in each object: in one pass, for it is the whole of the object that is read."""


CORE = (b"\x04\0", b"\0\x04")
"""ET_CORE, in either byte order."""

MOST_SCRIPT = 256 << 20
MOST_TEXT = 1 << 20
HEAD = PROBED
"""Bytes from which it is told what a member is."""


@dataclass(frozen=True)
class Bounds:
    """What one artifact may cost.

    Attributes:
        depth: archives inside of archives.
        members: files in all.
        expanded: bytes that decompression may give in all.
        ratio: expanded to compressed bytes of one stream, looked at from ``ratio_from`` bytes on: gzip can do 1030.
        object_bytes: the largest object that is read.
        texts: bytes of the small files that are kept.
        seconds: wall-clock time, before it is scaled as time-outs are.
    """

    depth: int = 8
    members: int = 500_000
    expanded: int = 16 << 30
    ratio: int = 250
    ratio_from: int = 256 << 20
    object_bytes: int = 2 << 30
    seconds: float = 900.0
    texts: int = 256 << 20
    in_memory: int = 64 << 20


class Walker:
    """Walks one artifact into a tree of nodes.

    Args:
        on_object: is called for each ELF object while its bytes are at hand, ``on_wheel`` for each wheel.
    """

    def __init__(
        self,
        on_object: OnObject,
        bounds: Bounds | None = None,
        runner: Runner | None = None,
        on_wheel: Callable[[Node, bytes], None] = lambda _node, _data: None,
    ) -> None:
        self.on_object = on_object
        self.on_wheel = on_wheel
        self.runner = runner or Runner()
        self.bounds = bounds or Bounds()
        self.problems: list[ReadProblem] = []
        self.unread = 0
        self._seconds = self.runner.seconds(self.bounds.seconds)
        self._deadline = time.monotonic() + self._seconds
        self._expanded = 0
        self._members = 0
        self._kept = 0
        self._broken: Node | None = None
        """The container whose last member could not be read: where they share a stream, it ends there, and that is told."""

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
            self._settle(node)
            return node
        if not stat.S_ISREG(mode):
            raise XcError(
                _("{place}: neither a regular file nor a directory", place=place),
                mend=_("name a file, package or directory"),
            )
        node = Node("file", place, path.name)
        try:
            with (held := mapped(path)) as data:
                self._blob(node, path.name, data, 0, top=True, regions=held.regions)
        except TooMuch as error:
            self.problem("XC-BAD-003", place, told(error))
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
            node.modes[inside] = stat.S_IMODE(mode)
            with (held := mapped(path)) as data:
                note_elsewhere(node, inside, bytes(data[:4096]))
                note_script(node, inside, bytes(data[:HEAD]))
                self._blob(node, inside, data, 0, regions=held.regions)

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

    def _blob(
        self, node: Node, name: str, data: Any, depth: int, *, top: bool = False, regions: Regions | None = None
    ) -> None:
        """Look into one file: an object, a container, or neither. ``regions``: where it is not a hole."""
        kind = kind_of(data, name)
        if kind is None:
            self._keep_text(node, name, data)
            note_fetching(node, name, data)
            self._unknown(node, name, data, depth, regions, top=top)
            return
        place = node.place if top or node.is_inner(name) else node.within(name)
        if len(data) > self.bounds.object_bytes:
            self._too_large(place, len(data))
        elif kind == "elf":
            self._object(node, name, data, depth, top=top)
        else:
            self._child(node, kind, name, data, depth, place=place, top=top)

    def _child(self, node: Node, kind: str, name: str, data: Any, depth: int, *, place: str, top: bool) -> None:
        """Look into a container that stands in ``node``, or that is ``node`` itself."""
        if self._too_deep(place, depth):
            return
        if top:
            child = node
            child.kind = kind
        else:
            child = Node(kind, place, name, node)
            node.children.append(child)
        if kind == "wheel":
            self.on_wheel(child, data)
        self._container(child, data, depth + 1)

    def _too_deep(self, place: str, depth: int) -> bool:
        if depth < self.bounds.depth:
            return False
        self.problem("XC-BAD-005", place, _("more than {depth} archives in one another", depth=self.bounds.depth))
        return True

    def _object(self, node: Node, name: str, data: Any, depth: int, *, top: bool) -> None:
        """An ELF object, what it is once it is unpacked, and what it carries among its data and behind itself."""
        place = node.place if top else node.within(name)
        try:
            if upx.is_packed(data):
                self._packed(node, name, data, depth, place)
                return
            if len(data) < 64:
                self.on_object(node, name, data, None)
                return
            with translated():
                closed = looks_encrypted(data)
            marks = Occurrences(SOUGHT, data, 0, len(data))
            self.on_object(node, name, data, marks)
            if closed is not None:
                raise CannotRead(closed, "XC-BAD-011")
            with translated():
                behind = behind_program(data)
            end = len(data) if behind is None else behind[1]
            if bytes(data[16:18]) not in CORE:  # what was mapped when it died is in it
                self._among(node, name, data, end, marks, depth, place)
            if behind is None:
                return
            kind, begin = behind
            if kind in ("squashfs", "zip", "iso", "pyinstaller"):
                self._child(node, kind, name, data, depth, place=place, top=False)
            else:
                self._rest(node, name, data, begin, depth, place)
        except CannotRead as error:
            self.problem(error.code, place, told(error))

    def _packed(self, node: Node, name: str, data: Any, depth: int, place: str) -> None:
        """A program of UPX: its own headers are what the kernel maps, the code that they name is compressed."""
        self.on_object(node, name, data, None)
        if self._too_deep(place, depth):
            return
        child = Node("upx", place, name, node)
        with translated():
            program = upx.unpacked(data, self)
        node.children.append(child)
        marks = Occurrences(SOUGHT, program, 0, len(program))
        self.on_object(child, name.rpartition("/")[2], program, marks)
        self._among(child, name, program, len(program), marks, depth + 1, place)

    def _among(self, node: Node, name: str, data: Any, end: int, marks: Occurrences, depth: int, place: str) -> None:
        """What a program has among its data, as it is and compressed."""
        plain = list(embedded(data, 64, end, marks.known(MAGIC)))
        self._embedded(node, name, plain, data, depth, place)
        ranges = [*debug_data(data), *((hidden.begin, hidden.end) for hidden in plain)]
        with translated():
            self._embedded(
                node, name, among(data, 64, end, marks, ranges, self), data, depth, place, data_of_program=True
            )

    def _rest(self, node: Node, name: str, data: Any, begin: int, depth: int, place: str) -> None:
        """What stands behind something else, as a file of the same name."""
        rest = rest_of(data, begin, self)
        rest.peek(512)
        with self._read(rest, place) as content:
            if content is not None and not self._too_deep(place, depth):
                self._blob(node, name, content, depth + 1)

    def _embedded(
        self,
        node: Node,
        name: str,
        found: Iterable[Hidden],
        data: Any,
        depth: int,
        place: str,
        base: int = 0,
        *,
        data_of_program: bool = False,
    ) -> None:
        """Objects and containers that a file has among its bytes: told as such, for whether they are used cannot be seen."""
        child: Node | None = None
        for number, hidden in enumerate(found):
            if number >= MOST:
                self.problem("XC-BAD-003", place, _("more than {members} files", members=MOST))
                return
            if child is None:
                if self._too_deep(place, depth):
                    return
                child = Node("embedded", place, name, node)
                if data_of_program:
                    child.facts["all"] = "data"
                node.children.append(child)
            self._count_member()
            inside = hidden.name or f"0x{base + hidden.begin:x}"
            child.members.append(inside)
            if hidden.content is not None:
                self.expanded(len(hidden.content), len(hidden.content), hidden.end - hidden.begin)
                self._blob(child, inside, hidden.content, depth + 1)
                continue
            member = ContainedFile(inside, partial(part_of, data, hidden.begin, hidden.end), self)
            member.peek(64)
            with self._read(member, child.within(inside)) as content:
                if content is not None:
                    self._blob(child, inside, content, depth + 1)

    def _too_large(self, place: str, size: int) -> None:
        detail = _("{size} MiB, at most {most} are read", size=size >> 20, most=self.bounds.object_bytes >> 20)
        self.problem("XC-BAD-008", place, detail)

    def _keep_text(self, node: Node, name: str, data: Any) -> None:
        """Keep the content of a small file that says something of the whole."""
        blob = node.kind in ("tar", "compressed", "directory") and is_blob(name) and bytes(data[:1]) == b"{"
        if node.kind == "compressed" and is_symvers(node.name):
            name = node.name
        most = MOST_SYMVERS if is_symvers(name) else MOST_TEXT
        if name.rpartition("/")[2] in MAINTAINER_SCRIPTS:
            data = data[: MOST_READ + 1]  # of a longer one it is left open what it makes
        elif not (is_text(name) or blob or is_chooser(node, name, data)) or len(data) >= most:
            return
        self._kept += len(data)
        if self._kept > self.bounds.texts:
            raise TooMuch(_("more than {limit} MiB of texts that describe it", limit=self.bounds.texts >> 20))
        node.texts[name] = bytes(data)

    def _unknown(self, node: Node, name: str, data: Any, depth: int, regions: Regions | None, *, top: bool) -> None:
        """Neither an object nor a container that is read: what it hides is told, or looked into."""
        place = node.place if top else node.within(name)
        closed = unread_format(data)
        try:
            if closed is not None:
                self.problem("XC-BAD-006", place, _("{closed}, which is not read here", closed=closed))
            elif is_script(data):
                if len(data) > self.bounds.object_bytes:
                    self._too_large(place, len(data))
                    return
                behind = payload(data, self)
                if behind is None and len(data) > MOST_SCRIPT:
                    self._too_large(place, len(data))
                    return
                if behind is None:
                    self._text(node, name, bytes(data), depth, place, script=True)
                    return
                behind.peek(512)
                with self._read(behind, place) as rest:
                    if rest is not None:
                        self._blob(node, name, rest, depth, top=top)
            elif is_plain(data) and len(data) <= self.bounds.in_memory:
                self._text(node, name, bytes(data), depth, place, script=name.endswith(SCRIPTS))
            elif is_sqlite(data):
                self._embedded(node, name, sqlite.values(data, self), data, depth, place, data_of_program=True)
            elif not is_inert(data, name):
                begin = zip_at_end(data)
                if begin is not None:
                    self._child(node, "zip", name, data, depth, place=place, top=top)
                ends = [
                    (first, min(last, len(data) if begin is None else begin))
                    for first, last in ([(0, len(data))] if regions is None else regions)
                ]
                found = (hidden for first, last in ends for hidden in embedded(data, first, last))
                self._embedded(node, name, found, data, depth, place)
        except CannotRead as error:
            self.problem(error.code, place, told(error))

    def _text(self, node: Node, name: str, text: bytes, depth: int, place: str, *, script: bool) -> None:
        """What a text carries in letters."""
        self._embedded(node, name, encoded(text, script=script), text, depth, place)
        if script and decoded_by_script(text, name):
            raise CannotRead(_("a script that decodes data of no kind that is known here"), "XC-BAD-006")

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
            if self._broken is not node:
                self.problem(error.code, node.place, told(error))
        except (OSError, ValueError, EOFError, KeyError, IndexError, RuntimeError, OverflowError, MemoryError) as error:
            # What the standard library's readers raise on damaged archives, zlib.error and struct.error among ValueErrors
            # and their own classes, which members makes CannotRead of.
            self.problem("XC-BAD-002", node.place, _("damaged: {error}", error=told(error)))
        self._settle(node)

    def _settle(self, node: Node) -> None:
        for code, place, detail in settle(node):
            self.problem(code, place, detail)

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
        self._broken = None
        if member.mode is not None:
            node.modes[name] = member.mode
        try:
            head = member.peek(HEAD)
            note_elsewhere(node, name, head)
            note_script(node, name, head)
            if kind_of(head, name) is None and not is_text(name) and not is_blob(name) and is_inert(head, name):
                return
            if self._opaque(head, name):
                self._stream(node, name, member, depth)
                return
            with self._read(member, node.within(name)) as data:
                if data is not None:
                    self._blob(node, name, data, depth)
        except CannotRead as error:
            self.problem(error.code, node.within(name), told(error))
            self._broken = node
        finally:
            member.close()

    @staticmethod
    def _opaque(head: bytes, name: str) -> bool:
        """Whether a member is data of no kind that can be told from its beginning."""
        known = kind_of(head, name) is not None or unread_format(head) is not None
        known = known or is_sqlite(head)
        return not known and not is_text(name) and not is_blob(name) and not is_script(head) and not is_plain(head)

    def _stream(self, node: Node, name: str, member: ContainedFile, depth: int) -> None:
        """Data that may be large and rarely hide anything: held only from where an object seems to begin."""
        place = node.within(name)
        begun = begin_hidden(member.chunks())
        if begun is None:
            return
        first, rest = begun
        held = ContainedFile(name, lambda: Pieces(rest), self)
        held.peek(HEAD)
        with self._read(held, place) as data:
            if data is not None:
                self._embedded(node, name, embedded(data, 0, len(data)), data, depth, place, first)

    def _read(self, member: ContainedFile, place: str) -> Held:
        """The whole of a member: in memory when it is small, else in a temporary file without a name."""
        held = Held()
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
