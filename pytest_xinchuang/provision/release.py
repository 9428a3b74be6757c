"""What was provisioned as one file: a tar archive with an index, the same bytes from the same entries.

The first member is ``index.json``; each other one is the tree of an entry, ``KIND/NAME.tar.xz``. Only stand-ins and emulators
travel so: a vendor's own root filesystem is brought by ``xc rootfs import``, which looks whether it is that vendor's.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import lzma
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from pytest_xinchuang.core.errors import DataFileError, HostFault, XcError
from pytest_xinchuang.messages import NOTHING, Message, _, system_error, told, verbatim
from pytest_xinchuang.provision.archive import pack_stream, unpack_stream
from pytest_xinchuang.provision.cache import IMPORTED, VENDOR, Cache, Entry
from pytest_xinchuang.provision.debs import threads
from pytest_xinchuang.provision.fetch import Downloads, Wish
from pytest_xinchuang.provision.trees import tree_digest

SCHEMA = "xc-release/1"

KINDS = ("agent", "emulator", "kernel", "rootfs", "system-emulator")

MOST_UNPACKED = 2 << 30
"""Bytes of one tree as a tar archive: many times a root filesystem with a Java runtime."""
MOST_PACKED = 1 << 30
"""Bytes of one tree in the archive."""
MEMORY = 256 << 20
"""Bytes that decompressing may take; what we write takes 9 MiB."""
MOST_INDEX = 1 << 20
"""Bytes of an index."""
MOST_BESIDE = 4096
"""Bytes of a ``.sha256`` file."""

PINNED, BESIDE, UNPINNED = "pinned", "by .sha256", "unpinned"
"""Who vouches for an archive's digest: who took it in, the file beside it, or nobody."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.+-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FROM = ", from "
"""Stands in an entry's source before the archive that it came by."""
_CHUNK = 1 << 20


# -- writing


def write_release(cache: Cache, entries: Sequence[Entry], place: Path) -> str:
    """Write entries of the cache to ``place``, and the archive's SHA-256 beside it; returns the SHA-256.

    Raises:
        HostFault: it cannot be written.
    """
    entries = sorted(entries, key=lambda entry: (entry.kind, entry.name))
    part = place.with_name(f".{place.name}.part")
    try:
        with tempfile.TemporaryDirectory(dir=place.parent) as scratch, ThreadPoolExecutor(threads()) as pool:
            packed = list(pool.map(lambda entry: _packed(cache, entry, Path(scratch)), entries))
            index = json.dumps(
                {"schema": SCHEMA, "entries": [one.fields() for one in packed]}, indent=1, sort_keys=True
            )
            with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
                _add(tar, "index.json", len(index.encode()), io.BytesIO(index.encode()))
                for one in packed:
                    with one.place.open("rb") as file:
                        _add(tar, one.file, one.size, file)
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        part.replace(place)
        _beside(place).write_text(f"{digest}  {place.name}\n", encoding="utf-8")
    except OSError as error:
        raise HostFault(
            _("{place}: cannot be written: {why}", place=place, why=system_error(error)),
            mend=_("give a file in a directory that has room and can be written"),
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return digest


@dataclass(frozen=True)
class _Packed:
    entry: Entry
    place: Path
    size: int
    sha256: str
    unpacked: int

    @property
    def file(self) -> str:
        return _file(self.entry)

    def fields(self) -> dict[str, Any]:
        # By which archive it came here is no part of what it is.
        entry = asdict(self.entry) | {"source": self.entry.source.partition(_FROM)[0]}
        return {"file": self.file, "size": self.size, "sha256": self.sha256, "unpacked": self.unpacked, "entry": entry}


def _file(entry: Entry) -> str:
    return f"{entry.kind}/{entry.name}.tar.xz"


def _packed(cache: Cache, entry: Entry, scratch: Path) -> _Packed:
    place = scratch / f"{entry.kind}-{entry.name}.tar.xz"
    with lzma.open(place, "wb", preset=6) as stream:
        pack_stream(cache.tree(entry.kind, entry.name), stream)
        unpacked = stream.tell()
    with place.open("rb") as file:
        return _Packed(entry, place, place.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest(), unpacked)


def _add(tar: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    tar.addfile(info, content)


def _beside(place: Path) -> Path:
    return place.with_name(f"{place.name}.sha256")


# -- fetching


@dataclass(frozen=True)
class Release:
    """An archive that was brought.

    Attributes:
        trust: what is known of its digest, for people; it becomes part of what the entries say of their source.
    """

    file: Path
    name: str
    trust: str


def fetch_release(downloads: Downloads, source: str, sha256: str = "", *, offline: bool = False) -> Release:
    """An archive from a path or a URL, whole: its digest is the one given, or the one that a file beside it says.

    Raises:
        XcError: the source or the digest cannot be used.
        DataFileError: it is another file than it should be.
        HostFault: it cannot be had.
    """
    sha256 = sha256.lower().removeprefix("sha256:")
    if sha256 and not _SHA256.fullmatch(sha256):
        raise XcError(
            _("{value} is no SHA-256", value=verbatim(repr(sha256))), mend=_("give its 64 hexadecimal digits")
        )
    parts = urlsplit(source) if re.match(r"[a-z]+://", source) else None
    if parts is None or parts.scheme == "file":
        return _local(Path(unquote(parts.path) if parts else source), sha256)
    name = parts.path.rpartition("/")[2] or source
    if parts.scheme not in ("https", "http") or not parts.netloc:
        raise XcError(_("{source} is neither a path nor a URL of https", source=verbatim(source)))
    if parts.scheme == "http" and not sha256:
        raise XcError(
            _("{source}: what comes over http may be anybody's", source=verbatim(source)),
            mend=_("give its SHA-256 with --sha256, or a URL of https"),
        )
    if offline:
        raise XcError(_("{source}: nothing is fetched with --offline", source=verbatim(source)), mend=_("give a path"))
    if sha256:
        return Release(downloads.one(Wish((source,), 0, sha256)), name, f"SHA-256 {sha256}, {PINNED}")
    said = _said(downloads.small(f"{source}.sha256", MOST_BESIDE))
    if said:
        return Release(downloads.one(Wish((source,), 0, said)), name, f"SHA-256 {said}, {BESIDE}")
    file = downloads.unknown(source)
    return Release(file, name, f"SHA-256 {_sha256(file)}, {UNPINNED}")


def _said(data: bytes | None) -> str:
    words = (data or b"").decode("ascii", "replace").split()
    return words[0].lower() if words and _SHA256.fullmatch(words[0].lower()) else ""


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _local(file: Path, sha256: str) -> Release:
    try:
        found = _sha256(file)
        said = ""
        with contextlib.suppress(FileNotFoundError):
            said = _said(_beside(file).read_bytes()[:MOST_BESIDE])
    except OSError as error:
        raise DataFileError(_("{path}: cannot be read: {why}", path=file, why=system_error(error))) from error
    wanted = sha256 or said
    if wanted and found != wanted:
        raise DataFileError(
            _("{file}: its SHA-256 is {found}, not {wanted}", file=file, found=found, wanted=wanted),
            mend=_("fetch it again"),
        )
    return Release(file, file.name, f"SHA-256 {found}, {PINNED if sha256 else BESIDE if said else UNPINNED}")


# -- reading


@dataclass(frozen=True)
class Item:
    """An entry of an archive, as its index tells of it."""

    entry: Entry
    size: int
    sha256: str
    unpacked: int


@dataclass(frozen=True)
class Taken:
    """What became of an archive.

    Attributes:
        others: entries that this release has no use for, since it makes them of other packages.
    """

    names: list[str]
    others: list[str]


def take_release(
    cache: Cache,
    release: Release,
    wanted: Callable[[Entry], bool],
    trees: Mapping[tuple[str, str], str],
    finish: Callable[[Entry, Path], None],
) -> Taken:
    """Bring the entries of an archive into the cache.

    Args:
        wanted: whether an entry is what this release would make itself.
        trees: (kind, name) -> the digest that an entry's tree must have, where it is pinned.
        finish: called with an entry and its unpacked tree.

    Raises:
        DataFileError: it is no such archive, is damaged, or says what it may not say. What came before it has been brought.
    """
    names, others = [], []
    with _read(release.file), tarfile.open(release.file, "r:") as tar:
        for item, content in _items(release.file, tar):
            entry = item.entry
            pinned = trees.get((entry.kind, entry.name))
            if not wanted(entry):
                others.append(entry.name)
                continue
            if pinned is not None and pinned != entry.digest:
                raise _bad(
                    release.file,
                    _(
                        "{name} is not what its packages make: it has digest {found}",
                        name=entry.name,
                        found=entry.digest,
                    ),
                )

            def build(tree: Path, item: Item = item, content: IO[bytes] = content) -> tuple[str, dict[str, str]]:
                _unpack(release.file, item, content, tree)
                finish(item.entry, tree)
                return f"{item.entry.source}{_FROM}{release.name} ({release.trust})", item.entry.facts

            cache.make(entry.kind, entry.name, entry.recipe, build)
            names.append(entry.name)
    return Taken(names, others)


@contextlib.contextmanager
def _read(file: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise _bad(file, _("it is no archive of entries, or is cut off")) from error
    except OSError as error:
        raise DataFileError(_("{path}: cannot be read: {why}", path=file, why=system_error(error))) from error


def _bad(file: Path, why: Message, mend: Message = NOTHING) -> DataFileError:
    return DataFileError(_("{archive}: cannot be taken in: {why}", archive=file, why=why), mend=mend)


def _items(file: Path, tar: tarfile.TarFile) -> Iterator[tuple[Item, IO[bytes]]]:
    """The entries with their content, in the order of the index; each content has the digest that the index says."""
    for item in _index(file, tar):
        member = tar.next()
        if member is None:
            raise _bad(file, _("{name} is not in it: it is cut off", name=_file(item.entry)))
        if member.name != _file(item.entry) or not member.isreg() or member.size != item.size:
            raise _bad(
                file, _("it has {found} where {name} is due", found=verbatim(repr(member.name)), name=_file(item.entry))
            )
        content = tar.extractfile(member)
        assert content is not None
        digest = hashlib.sha256()
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
        if digest.hexdigest() != item.sha256:
            raise _bad(file, _("{name} has another SHA-256 than the index says", name=_file(item.entry)))
        content.seek(0)
        yield item, content
        tar.members = []  # type: ignore[attr-defined]
    if tar.next() is not None:
        raise _bad(file, _("it has more in it than its index"))


def _index(file: Path, tar: tarfile.TarFile) -> list[Item]:
    member = tar.next()
    if member is None or member.name != "index.json" or not member.isreg() or member.size > MOST_INDEX:
        raise _bad(file, _("it has no index"))
    content = tar.extractfile(member)
    assert content is not None
    try:
        data = json.loads(content.read().decode("utf-8"))
        schema = data["schema"]
        if schema == SCHEMA:
            items = [_item(fields) for fields in data["entries"]]
            if len({(item.entry.kind, item.entry.name) for item in items}) != len(items):
                raise ValueError(_("an entry is there twice"))
            return items
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        ours = isinstance(error, KeyError | ValueError | RecursionError)
        why = told(error) if ours else _("it has not the form of one")
        raise _bad(file, _("its index cannot be used: {why}", why=why)) from error
    raise _bad(
        file,
        _("its schema is {schema}, and {known} is known here", schema=verbatim(repr(schema)), known=verbatim(SCHEMA)),
        _("take the archive of this release of pytest-xinchuang"),
    )


def _item(fields: Any) -> Item:
    entry = Entry(**fields["entry"])
    numbers = ((fields["size"], MOST_PACKED), (fields["unpacked"], MOST_UNPACKED))
    if not all(type(number) is int and 0 < number <= most for number, most in numbers):
        raise ValueError(_("an entry says no size, or one beyond all that is provisioned"))
    if not entry.is_well_formed or entry.kind not in KINDS or not _NAME.fullmatch(entry.name) or ".." in entry.name:
        raise ValueError(_("no entry of a cache: {name}", name=verbatim(repr(entry.name))))
    if entry.recipe == IMPORTED or entry.name.startswith(VENDOR) or not entry.stand_in or not entry.says_what_it_is:
        raise ValueError(
            _(
                "{name} says that it is a vendor's: what is a vendor's is brought by xc rootfs import and xc kernel import",
                name=verbatim(repr(entry.name)),
            )
        )
    if fields["file"] != _file(entry) or not (
        isinstance(fields["sha256"], str) and _SHA256.fullmatch(fields["sha256"])
    ):
        raise ValueError(_("no file of an entry: {name}", name=verbatim(repr(fields["file"]))))
    return Item(entry, fields["size"], fields["sha256"], fields["unpacked"])


class _Bounded(io.RawIOBase):
    """What an xz stream holds, and no more of it than it was said to hold."""

    def __init__(self, file: Path, content: IO[bytes], most: int) -> None:
        self._file, self._content, self._left = file, content, most
        self._reader = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = b""
        while not chunk and not self._reader.eof:
            data = self._content.read(_CHUNK) if self._reader.needs_input else b""
            if self._reader.needs_input and not data:
                raise EOFError
            chunk = self._reader.decompress(data, len(buffer))
        self._left -= len(chunk)
        if self._left < 0:
            raise _bad(self._file, _("a tree holds more than the index says"))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _unpack(file: Path, item: Item, content: IO[bytes], tree: Path) -> None:
    unpack_stream(file, _Bounded(file, content, item.unpacked), tree)
    found = tree_digest(tree)
    if found != item.entry.digest:
        raise _bad(
            file,
            _(
                "the tree of {name} has digest {found}, the index says {digest}",
                name=item.entry.name,
                found=found,
                digest=item.entry.digest,
            ),
        )
