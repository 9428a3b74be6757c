"""Unpacking tar archives. Debian 12's Python 3.11.2 has no tarfile filters, so the checks are ours."""

from __future__ import annotations

import lzma
import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.messages import Message, _, system_error, verbatim


def pack(tree: Path, archive: Path) -> None:
    """Write ``tree`` to ``archive`` without owners and times."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        info.mtime = 0
        return info

    with tarfile.open(archive, "w") as tar:
        tar.add(tree, arcname=".", filter=plain)


def unpack(archive: Path, tree: Path) -> None:
    """Unpack ``archive`` into the empty directory ``tree``.

    Devices and FIFOs are left out, set-id bits are dropped. Links may point anywhere, as links of a root filesystem do:
    nothing is written through one that leaves the tree.

    Raises:
        DataFileError: it is no tar archive, is cut off, or a member would land outside of ``tree``.
    """
    modes: list[tuple[Path, int]] = []
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                place = _place(archive, tree, member.name)
                if place is not None:
                    _unpack_one(archive, tar, member, tree, place, modes)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataFileError(
            _("{archive}: cannot be unpacked: {why}", archive=archive, why=_why(archive, error))
        ) from error
    except OSError as error:
        raise DataFileError(
            _("{archive}: cannot be unpacked: {value}", archive=archive, value=system_error(error))
        ) from error
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


def _place(archive: Path, tree: Path, name: str) -> Path | None:
    """Where a member goes; None for the tree itself."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", ".")]
    if ".." in parts:
        raise DataFileError(
            _("{archive}: the member {name} would leave the archive", archive=archive, name=verbatim(repr(name)))
        )
    if not parts:
        return None
    place = tree.joinpath(*parts)
    if not place.parent.resolve().is_relative_to(tree.resolve()):
        raise DataFileError(
            _(
                "{archive}: the member {name} would be written through a link that leaves the archive",
                archive=archive,
                name=verbatim(repr(name)),
            )
        )
    return place


def _unpack_one(
    archive: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, tree: Path, place: Path, modes: list[tuple[Path, int]]
) -> None:
    mode = member.mode & 0o1777
    place.parent.mkdir(parents=True, exist_ok=True)
    if not member.isdir() and (place.is_symlink() or place.exists()):
        shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
    if member.isdir():
        place.mkdir(exist_ok=True)
        modes.append((place, mode))
    elif member.issym():
        place.symlink_to(member.linkname)
    elif member.islnk():
        target = _place(archive, tree, member.linkname)
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
