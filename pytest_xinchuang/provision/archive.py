"""Unpacking tar archives. Debian 12's Python 3.11.2 has no tarfile filters, so the checks are ours."""

from __future__ import annotations

import contextlib
import errno
import io
import lzma
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.messages import Message, _, system_error, verbatim
from pytest_xinchuang.provision.places import landing
from pytest_xinchuang.provision.trees import make_directory

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Errors that are the host's, and never an archive's."""


def pack(tree: Path, archive: Path) -> None:
    """Write ``tree`` to ``archive`` without owners and times: the same bytes from the same tree."""
    with archive.open("wb") as stream:
        pack_stream(tree, stream)


def pack_stream(tree: Path, stream: IO[bytes]) -> None:
    """Write ``tree`` to a stream, as ``pack`` does. A file with several names is written as several files."""
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as tar:
        _add(tar, tree, ".")


def _add(tar: tarfile.TarFile, place: Path, name: str) -> None:
    info = tarfile.TarInfo(name)
    mode = place.lstat().st_mode
    info.mode = stat.S_IMODE(mode)
    info.uname = info.gname = "root"
    if stat.S_ISLNK(mode):
        info.type, info.linkname = tarfile.SYMTYPE, str(place.readlink())
        tar.addfile(info)
    elif stat.S_ISDIR(mode):
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
        for child in sorted(place.iterdir()):
            _add(tar, child, f"{name}/{child.name}")
    elif stat.S_ISREG(mode):
        info.size = place.stat().st_size
        with place.open("rb") as file:
            tar.addfile(info, file)


def unpack(archive: Path, tree: Path) -> None:
    """Unpack ``archive`` into the empty directory ``tree``.

    Devices and FIFOs are left out, set-id bits are dropped. Links may point anywhere, as links of a root filesystem do:
    nothing is written through one that leaves the tree.

    Raises:
        DataFileError: it is no tar archive, is cut off, or a member would land outside of ``tree``.
    """
    with _told(archive), tarfile.open(archive) as tar:
        _unpack(archive, tar, _Strict(archive, tree))


def unpack_stream(archive: Path, stream: IO[bytes] | io.RawIOBase, tree: Path) -> None:
    """Unpack a tar archive that is read from a stream into the empty directory ``tree``, as ``unpack`` does.

    Args:
        archive: what the stream is part of, as errors name it.
    """
    with _told(archive), tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as tar:
        _unpack(archive, tar, _Strict(archive, tree))


def unpack_package(
    archive: Path, stream: IO[bytes], tree: Path, wanted: Callable[[str], bool], most: int | None = None
) -> None:
    """Unpack what a Debian package installs into ``tree``, beside what others have brought, as dpkg does.

    A link of ``tree`` on a member's way is followed inside of it. A directory never takes the place of a link to a
    directory, nor a link that of a directory: so packages of split and of merged /usr come to lie together.

    Args:
        archive: the package, as errors name it.
        stream: its ``data.tar``, decompressed.
        wanted: whether a member is; its name has no leading slash.
        most: stop behind so many wanted files.

    Raises:
        DataFileError: as ``unpack``.
    """
    with _told(archive), tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as tar:
        _unpack(archive, tar, _Merging(archive, tree), wanted, most)


@contextlib.contextmanager
def _told(archive: Path) -> Iterator[None]:
    """Says what is wrong with an archive, whichever reader has found it."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, IndexError) as error:
        raise DataFileError(
            _("{archive}: cannot be unpacked: {why}", archive=archive, why=_why(archive, error))
        ) from error
    except OSError as error:
        if error.errno in FULL:
            raise
        raise DataFileError(
            _("{archive}: cannot be unpacked: {value}", archive=archive, value=system_error(error))
        ) from error


def _unpack(
    archive: Path,
    tar: tarfile.TarFile,
    places: _Strict,
    wanted: Callable[[str], bool] | None = None,
    most: int | None = None,
) -> None:
    modes: list[tuple[Path, int]] = []
    files = 0
    for member in tar:
        tar.members = []  # type: ignore[attr-defined]  # it would keep them all
        if wanted is not None and not wanted(member.name.removeprefix(".").lstrip("/")):
            continue
        place = places.of(member.name)
        if place is not None:
            _unpack_one(archive, tar, member, places, place, modes)
        files += member.isfile()
        if files == most:
            break
    # Last and innermost first: a directory without write permission could not have been filled.
    for directory, mode in reversed(modes):
        directory.chmod(mode)


def _why(archive: Path, error: Exception) -> Message:
    """What is wrong with an archive; of which kind an error of ``tarfile`` is, its text alone tells of some."""
    said = str(error)
    if isinstance(error, EOFError) or said in ("unexpected end of data", "truncated header"):
        return _("it is cut off")
    if not archive.stat().st_size:
        return _("it is empty")
    if isinstance(error, tarfile.CompressionError):
        return _("this Python cannot read its compression: {why}", why=verbatim(said))
    if said.startswith("file could not be opened successfully"):
        return _("it is no tar archive, or of a compression that is not known")
    return _("it is damaged: {why}", why=verbatim(said))


def _parts(archive: Path, name: str) -> list[str]:
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", ".")]
    if ".." in parts:
        raise DataFileError(
            _("{archive}: the member {name} would leave the archive", archive=archive, name=verbatim(repr(name)))
        )
    return parts


class _Strict:
    """Where members go: nothing is written through a link that leaves the tree, and the last of a name stays."""

    merges = False

    def __init__(self, archive: Path, tree: Path) -> None:
        self.archive, self.tree = archive, tree
        self._inside = tree.resolve()

    def of(self, name: str) -> Path | None:
        """The place of a member; None for the tree itself."""
        if not (parts := _parts(self.archive, name)):
            return None
        place = self.tree.joinpath(*parts)
        if not place.parent.resolve().is_relative_to(self._inside):
            raise DataFileError(
                _(
                    "{archive}: the member {name} would be written through a link that leaves the archive",
                    archive=self.archive,
                    name=verbatim(repr(name)),
                )
            )
        return place


class _Merging(_Strict):
    """Where members of packages go: links of the tree are followed inside of it."""

    merges = True

    def __init__(self, archive: Path, tree: Path) -> None:
        super().__init__(archive, tree)
        self._known: dict[tuple[str, ...], Path] = {}

    def of(self, name: str) -> Path | None:
        if not (parts := _parts(self.archive, name)):
            return None
        above = tuple(parts[:-1])
        if above not in self._known:
            self._known[above] = landing(self.tree, "/".join(above))
            make_directory(self._known[above])
        return self._known[above] / parts[-1]


def _unpack_one(
    archive: Path,
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    places: _Strict,
    place: Path,
    modes: list[tuple[Path, int]],
) -> None:
    mode = member.mode & 0o1777
    make_directory(place.parent)
    if places.merges and (member.isdir() or member.issym()) and _is_directory(places.tree, place):
        if member.isdir() and not place.is_symlink():
            modes.append((place, mode))
        return
    if not member.isdir() and (place.is_symlink() or place.exists()):
        shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
    if member.isdir():
        place.mkdir(exist_ok=True)
        modes.append((place, mode))
    elif member.issym():
        place.symlink_to(member.linkname)
    elif member.islnk():
        target = places.of(member.linkname)
        if target is None or target.is_symlink() or not target.is_file():
            raise DataFileError(
                _(
                    "{archive}: the member {name} is a link to {linkname}, which is no file in it",
                    archive=archive,
                    name=verbatim(repr(member.name)),
                    linkname=verbatim(repr(member.linkname)),
                )
            )
        os.link(target, place)
    elif member.isfile():
        source = tar.extractfile(member)
        assert source is not None
        with source, place.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        place.chmod(mode)


def _is_directory(tree: Path, place: Path) -> bool:
    """Whether there is a directory at a place, or a link that leads to one inside of the tree."""
    if place.is_symlink():
        return landing(tree, str(place.relative_to(tree))).is_dir()
    return place.is_dir()
