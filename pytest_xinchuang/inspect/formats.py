"""Container formats: what a file is by its first bytes, and its members one after the other."""

from __future__ import annotations

import functools
import io
import lzma
import os
import re
import shutil
import stat
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from pytest_xinchuang.core.errors import MissingDependency
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.tools.ar import ar_members
from pytest_xinchuang.tools.compressed import compression, decompressing
from pytest_xinchuang.tools.host import situation
from pytest_xinchuang.tools.process import End, Finished, Runner, first_line

CHUNK = 1 << 20
UNSQUASH_SECONDS = 300
MAX_UNSQUASHED = 4 << 30


class TooMuch(Exception):
    """A bound of the walk was reached."""

    def __init__(self, text: Message) -> None:
        super().__init__(text)


class CannotRead(Exception):
    """A container or member that cannot be read; ``code`` is its XC-BAD code."""

    def __init__(self, text: Message, code: str = "XC-BAD-002") -> None:
        super().__init__(text)
        self.code = code


class Account(Protocol):
    """Who bounds the walk, and runs programs for it."""

    runner: Runner

    def expanded(self, size: int, so_far: int, compressed: int) -> None: ...


class ContainedFile:
    """One file of a container. ``peek`` before ``chunks``; each is read once."""

    def __init__(
        self,
        name: str,
        stream: Callable[[], IO[bytes]] | None,
        account: Account,
        *,
        link: str | None = None,
        compressed: int | None = None,
    ) -> None:
        self.name = name
        self.link = link
        self._open = stream
        self._account = account
        self._compressed = compressed
        self._stream: IO[bytes] | None = None
        self._head = b""

    def peek(self, size: int) -> bytes:
        assert self._open is not None
        with _translated():
            self._stream = self._open()
            self._head = self._stream.read(size) or b""
        return self._head

    def chunks(self) -> Iterator[bytes]:
        assert self._stream is not None
        total = len(self._head)
        yield self._head
        with _translated():
            while chunk := self._stream.read(CHUNK):
                total += len(chunk)
                if self._compressed is not None:
                    self._account.expanded(len(chunk), total, self._compressed)
                yield chunk

    def close(self) -> None:
        if self._stream is not None and not isinstance(self._stream, _Part):
            self._stream.close()


class _translated:  # noqa: N801  (a context manager that reads as a word)
    """Whatever a decompressor or archive reader raises on damaged input, as CannotRead."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, (CannotRead, TooMuch)) or not isinstance(error, Exception):
            return
        # zipfile raises these for compressions that it does not know, and for encrypted members.
        if type(error) in (NotImplementedError, RuntimeError):
            raise CannotRead(
                _("encrypted, or of an unsupported compression: {why}", why=told(error)), "XC-BAD-006"
            ) from error
        # What zstandard raises is no ValueError, and the name of its module differs between versions.
        zstd = getattr(sys.modules.get("zstandard"), "ZstdError", ())
        if isinstance(error, (_DAMAGE, zstd)):
            raise CannotRead(_("damaged: {error}", error=error)) from error


_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    RuntimeError,
    OverflowError,
)


def kind_of(data: bytes, name: str) -> str | None:
    """What kind of container (or ``elf``) starts with ``data``; None for anything else. 512 bytes are enough."""
    head = bytes(data[:4])
    if head == b"\x7fELF":
        return "elf"
    if head in (b"PK\x03\x04", b"PK\x05\x06"):
        lower = name.lower()
        for kind, endings in (("wheel", (".whl",)), ("jar", (".jar", ".war", ".ear", ".aar"))):
            if lower.endswith(endings):
                return kind
        return "zip"
    if bytes(data[:8]) == b"!<arch>\n":
        return "deb" if bytes(data[8:21]) == b"debian-binary" else "static-archive"
    if head == b"\xed\xab\xee\xdb":
        return "rpm"
    if head == b"hsqs":
        return "squashfs"
    if bytes(data[:6]) in (b"070701", b"070702"):
        return "cpio"
    if bytes(data[257:262]) == b"ustar" or _is_old_tar(data):
        return "tar"
    if compression(head):
        return "compressed"
    return None


def _is_old_tar(data: bytes) -> bool:
    """Before POSIX.1-1988 a tar archive had no magic, but the same sum of its header (tar(5), "Old-Style Archive Format")."""
    header = bytes(data[:512])
    told = header[148:156].strip(b" \0")
    if len(header) < 512 or not header[0] or not told.isdigit() or told.strip(b"01234567"):
        return False
    return int(told, 8) == sum(header) - sum(header[148:156]) + 8 * ord(" ")


UNREAD_FORMATS = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"070707": _('a cpio archive in the "old ASCII" format'),
    b"LZIP": _("compressed with lzip"),
    b"LRZI": _("compressed with lrzip"),
    b"\x04\x22\x4d\x18": _("compressed with lz4"),
    b"\x89LZO\0": _("compressed with lzop"),
    b"\x1f\x9d\x90": _("compressed with compress"),
    b"\x5d\0\0": _("compressed with lzma"),
    b"flatpak\0": _("a Flatpak bundle"),
    b"QFI\xfb": "a qcow2 disk image",
}
"""First bytes of containers that are known and not read (file(1)'s magic): what they hold is unknown, and may be anything.

Those of Windows and macOS alone (cabinet, MSI, xar) are left out: to ship them beside one's packages is no fault."""


def unread_format(data: bytes) -> str | None:
    """The name of a container format that is known here but cannot be read; 512 bytes are enough."""
    head = bytes(data[:16])
    return next((text for magic, text in UNREAD_FORMATS.items() if head.startswith(magic)), None)


def is_script(data: bytes) -> bool:
    return bytes(data[:2]) == b"#!"


_PAYLOAD = re.compile(
    rb"\n(?=\x7fELF|PK\x03\x04|\x1f\x8b\x08|\xfd7zXZ\0|BZh[1-9]1AY&SY|\x28\xb5\x2f\xfd|!<arch>\n|\xed\xab\xee\xdb|07070[12]|hsqs|7z\xbc\xaf\x27\x1c"
    rb"|[^\n\0].{256}ustar)",
    re.DOTALL,
)


def payload(data: bytes, account: Account) -> ContainedFile | None:
    """What stands behind a script: a self-extracting installer (Makeself), an executable jar, a zipapp. None: it is text alone.

    Raises:
        CannotRead: there are binary data of no kind that is known here.
    """
    if data.find(b"\0") < 0:
        return None
    found = _PAYLOAD.search(data)
    if found is None:
        raise CannotRead(_("a script with binary data behind it, of no kind that is known here"), "XC-BAD-006")
    begin = found.end()

    def stream() -> IO[bytes]:
        rest = _file(data)
        rest.seek(begin)
        return rest

    return ContainedFile("", stream, account)


PYINSTALLER = b"MEI\x0c\x0b\x0a\x0b\x0e"
"""The cookie at the end of PyInstaller's CArchive (PyInstaller, "Advanced Topics": the CArchive); 88 bytes since 2.1."""


def behind_program(data: bytes) -> str | None:
    """The kind of container that an ELF program carries behind itself: ``squashfs``, ``zip`` or None.

    An AppImage of type 2 has AI\\2 in the padding of its identification, and a squashfs. A zip archive ends with the file.

    Raises:
        CannotRead: a container of PyInstaller, whose libraries are not read.
    """
    if bytes(data[8:11]) == b"AI\x02":
        return "squashfs"
    tail = bytes(data[-(1 << 16) - 22 :])
    if PYINSTALLER in tail[-4096:]:
        raise CannotRead(_("a program of PyInstaller: the libraries that it unpacks are not read here"), "XC-BAD-006")
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(tail):
        return None
    size, _rest, comment = struct.unpack_from("<IIH", tail, at + 12)
    directory = len(data) - len(tail) + at - size
    # Programs that write zip archives have the mark among their constants: there no directory stands before it.
    whole = at + 22 + comment == len(tail) and directory > 0
    return "zip" if whole and bytes(data[directory : directory + 4]) == b"PK\x01\x02" else None


class _Counted(io.RawIOBase):
    """A decompressing stream whose output is accounted for."""

    def __init__(self, inner: Any, account: Account, compressed: int) -> None:
        self._inner = inner
        self._account = account
        self._compressed = compressed
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._inner.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self._total += len(chunk)
        self._account.expanded(len(chunk), self._total, self._compressed)
        return len(chunk)


def _decompressed(data: bytes, kind: str, account: Account) -> IO[bytes]:
    raw: Any = io.BytesIO(data) if isinstance(data, bytes) else _View(data)
    try:
        inner = decompressing(raw, kind)
    except MissingDependency as missing:
        told = _("compressed with zstd; to look into it: {command}", command=missing.mend)
        raise CannotRead(told, "XC-BAD-006") from None
    return io.BufferedReader(_Counted(inner, account, len(data)), CHUNK)


class _View(io.RawIOBase):
    """A seekable stream over a memory map, without a copy of it."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, len(self._data))[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        chunk = self._data[self._at : self._at + len(buffer)]
        buffer[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)


def _file(data: Any) -> IO[bytes]:
    return io.BytesIO(data) if isinstance(data, bytes) else io.BufferedReader(_View(data))


def members(kind: str, data: bytes, account: Account) -> Iterator[ContainedFile]:
    """The members of a container, in order.

    Raises:
        CannotRead: it is damaged, encrypted or of an unknown variant; members before that were given.
        TooMuch: a bound was reached.
    """
    reader = {
        "zip": _zip,
        "wheel": _zip,
        "jar": _zip,
        "tar": _tar,
        "deb": _ar,
        "static-archive": _ar,
        "rpm": _rpm,
        "cpio": _cpio_file,
        "compressed": _compressed,
        "squashfs": _squashfs,
    }.get(kind)
    if reader is None:
        raise CannotRead(_("of no kind that is known here"), "XC-BAD-006")
    found = reader(data, account)
    while True:
        with _translated():
            member = next(found, None)
        if member is None:
            return
        yield member


def _zip(data: bytes, account: Account) -> Iterator[ContainedFile]:
    with zipfile.ZipFile(_file(data)) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            if stat.S_ISLNK(info.external_attr >> 16):
                target = archive.open(info).read(4096).decode("utf-8", "surrogateescape")
                yield ContainedFile(info.filename, None, account, link=target)
                continue
            opened = functools.partial(archive.open, info)
            yield ContainedFile(info.filename, opened, account, compressed=info.compress_size)


def _tar(data: bytes, account: Account) -> Iterator[ContainedFile]:
    yield from _tar_stream(_file(data), account)


def _tar_stream(stream: IO[bytes], account: Account) -> Iterator[ContainedFile]:
    with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as archive:
        for info in archive:
            if info.issym():
                yield ContainedFile(info.name, None, account, link=info.linkname)
            elif info.islnk():
                # The same file under another name: it was looked at under its first.
                yield ContainedFile(info.name, None, account, link="/" + info.linkname.removeprefix("./"))
            elif info.isfile():
                yield ContainedFile(info.name, lambda info=info: archive.extractfile(info), account)  # type: ignore[misc,arg-type]
            archive.members = []  # type: ignore[attr-defined]  # it would keep them all


def _compressed(data: bytes, account: Account) -> Iterator[ContainedFile]:
    """A compressed stream: of a tar or cpio archive, whose members are ours, or of one file."""
    kind = compression(bytes(data[:4]))
    assert kind is not None
    yield from _inside(_decompressed(data, kind, account), account)


def _inside(stream: IO[bytes], account: Account) -> Iterator[ContainedFile]:
    head = stream.peek(512)[:512]  # type: ignore[attr-defined]
    inner = kind_of(head, "")
    if inner == "tar":
        yield from _tar_stream(stream, account)
    elif inner == "cpio":
        yield from _cpio(stream, account)
    else:
        yield ContainedFile("(content)", lambda: stream, account)


def _ar(data: bytes, account: Account) -> Iterator[ContainedFile]:
    """A deb is an ar archive, and so is a static library."""
    try:
        for member in ar_members(data):
            content = data[member.begin : member.end]
            yield ContainedFile(member.name, lambda content=content: io.BytesIO(content), account)  # type: ignore[misc]
    except ValueError as error:
        raise CannotRead(_("damaged: {why}", why=told(error))) from error


def _rpm(data: bytes, account: Account) -> Iterator[ContainedFile]:
    """An RPM package (LSB, rpm file format): lead, signature, header, and a compressed cpio archive."""
    at, _rest = _rpm_header(data, 96)
    at = (at + 7) // 8 * 8
    at, tags = _rpm_header(data, at)
    text = "".join(f"{key}: {value}\n" for key, value in tags.items())
    yield ContainedFile("control", lambda: io.BytesIO(text.encode()), account)
    payload = data[at:]
    kind = compression(bytes(payload[:4])) or ("lzma" if payload[:1] == b"\x5d" else None)
    stream = _decompressed(payload, kind, account) if kind else io.BufferedReader(io.BytesIO(bytes(payload)))
    if bytes(stream.peek(6)[:6]) not in (b"070701", b"070702"):  # type: ignore[attr-defined]
        raise CannotRead(_("its payload is no cpio archive that is known here"), "XC-BAD-006")
    yield from _cpio(stream, account)


RPM_TAGS = {1000: "Package", 1001: "Version", 1002: "Release", 1022: "Architecture", 1125: "Compressor", 1000000: ""}


def _rpm_header(data: bytes, at: int) -> tuple[int, dict[str, str]]:
    if bytes(data[at : at + 3]) != b"\x8e\xad\xe8":
        raise CannotRead(_("damaged: no RPM header at byte {at}", at=at))
    count, size = struct.unpack_from(">II", data, at + 8)
    begin = at + 16 + 16 * count
    end = begin + size
    if end > len(data):
        raise CannotRead(_("damaged: its RPM header leaves the file"))
    tags = {}
    for index in range(count):
        tag, kind, offset, _rest = struct.unpack_from(">IIII", data, at + 16 + 16 * index)
        if RPM_TAGS.get(tag) and kind in (6, 9):
            raw = bytes(data[begin + offset : min(begin + offset + 256, end)])
            tags[RPM_TAGS[tag]] = raw.split(b"\0")[0].decode(errors="replace")
    return end, tags


def _cpio_file(data: bytes, account: Account) -> Iterator[ContainedFile]:
    yield from _cpio(_file(data), account)


def _cpio(stream: IO[bytes], account: Account) -> Iterator[ContainedFile]:
    """cpio's "new ASCII" format (cpio(5))."""
    while True:
        header = stream.read(110)
        if header[:6] not in (b"070701", b"070702"):
            raise CannotRead(_("damaged: no cpio member where one is due"))
        fields = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        if length > 4097:
            raise CannotRead(_("damaged: a name of {length} bytes", length=length))
        name = stream.read(length + (-(110 + length) % 4))[: length - 1].decode("utf-8", "surrogateescape")
        if name == "TRAILER!!!":
            return
        part = _Part(stream, size)
        if stat.S_ISREG(mode):
            yield ContainedFile(name, lambda part=part: part, account)  # type: ignore[misc]
        elif stat.S_ISLNK(mode):
            yield ContainedFile(name, None, account, link=part.read(4096).decode("utf-8", "surrogateescape"))
        part.finish()
        stream.read(-size % 4)


class _Part(io.RawIOBase):
    """The next ``size`` bytes of a stream."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        chunk = self._stream.read(wanted)
        if wanted and not chunk:
            raise CannotRead(_("damaged: cut off"))
        self._left -= len(chunk)
        return chunk

    def finish(self) -> None:
        while self._left:
            self.read(CHUNK)


def _squashfs(data: bytes, account: Account) -> Iterator[ContainedFile]:
    """By squashfs-tools, into a directory that is removed afterwards."""
    if (program := shutil.which("unsquashfs")) is None:
        how = verbatim(situation().install("squashfs-tools")) or _("install squashfs-tools")
        raise CannotRead(_("a squashfs; to look into it: {how}", how=how), "XC-BAD-006")
    offset = _squashfs_offset(data)
    if offset is None:
        raise CannotRead(_("an AppImage without the squashfs that belongs to it"))
    with tempfile.TemporaryDirectory(prefix="xc-squashfs-") as scratch:
        image, out = Path(scratch) / "image", Path(scratch) / "out"
        with image.open("wb") as file:
            for at in range(offset, len(data), CHUNK):
                file.write(data[at : at + CHUNK])
        _check_unsquashed_size(program, image, account)
        words = [program, "-no-xattrs", "-no-progress", "-processors", "1", "-dest", str(out), str(image)]
        done = _unsquashfs(words, account)
        if not out.is_dir():
            said = first_line(done.errors).replace(f"{scratch}/", "")  # the same in each run
            raise CannotRead(_("unsquashfs unpacks nothing: {why}", why=said))
        for directory, names, files in os.walk(out):
            names.sort()
            for name in sorted(names + files):
                path = Path(directory) / name
                inside = os.path.relpath(path, out).replace(os.sep, "/")
                if path.is_symlink():
                    yield ContainedFile(inside, None, account, link=str(path.readlink()))
                elif path.is_file():
                    yield ContainedFile(inside, lambda path=path: path.open("rb"), account, compressed=len(data))  # type: ignore[misc]


def _unsquashfs(argv: list[str], account: Account) -> Finished:
    done = account.runner.run(argv, timeout_s=UNSQUASH_SECONDS)
    if done.end in (End.TIMED_OUT, End.TOO_LARGE):
        raise TooMuch(done.told())
    if done.end is not End.EXITED:
        raise CannotRead(done.told())
    return done


def _check_unsquashed_size(program: str, image: Path, account: Account) -> None:
    """Before anything is written to disk: what the files in it would take."""
    total = 0
    for line in _unsquashfs([program, "-lln", str(image)], account).stdout.splitlines():
        words = line.split()
        if len(words) > 5 and words[0][:1] == b"-" and words[2].isdigit():
            total += int(words[2])
    if total > MAX_UNSQUASHED:
        raise TooMuch(
            _(
                "its files would take {value} MiB, at most {value_2} are unpacked",
                value=total >> 20,
                value_2=MAX_UNSQUASHED >> 20,
            )
        )


def _squashfs_offset(data: bytes) -> int | None:
    if bytes(data[:4]) == b"hsqs":
        return 0
    # Behind the ELF program: the end of its section headers, else the magic itself.
    (shoff,) = struct.unpack_from("<Q", data, 40)
    shentsize, shnum = struct.unpack_from("<HH", data, 58)
    end = shoff + shentsize * shnum
    if bytes(data[end : end + 4]) == b"hsqs":
        return int(end)
    found = data.find(b"hsqs", 64)
    return found if found >= 0 else None


def settle(node: Node) -> None:
    """What a container turned out to be, once its members are known."""
    if node.kind in ("tar", "compressed", "directory") and {"index.json", "manifest.json"} & set(node.texts):
        node.kind = "image"
