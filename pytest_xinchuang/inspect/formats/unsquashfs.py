"""Squashfs images that squashfs-tools have to unpack."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from pytest_xinchuang.inspect.formats.contained import CHUNK, Account, CannotRead, ContainedFile, TooMuch
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.tools.host import situation
from pytest_xinchuang.tools.process import End, Finished, first_line

UNSQUASH_SECONDS = 300
MAX_UNSQUASHED = 4 << 30


def unsquashed(data: Any, offset: int, account: Account) -> Iterator[ContainedFile]:
    """By squashfs-tools, into a directory that is removed afterwards."""
    if (program := shutil.which("unsquashfs")) is None:
        how = verbatim(situation().install("squashfs-tools")) or _("install squashfs-tools")
        raise CannotRead(_("a squashfs; to look into it: {how}", how=how), "XC-BAD-006")
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
                    opened = partial(_opened, path)
                    mode = stat.S_IMODE(path.stat().st_mode)
                    yield ContainedFile(inside, opened, account, compressed=len(data), mode=mode)


def _opened(path: Path) -> IO[bytes]:
    return path.open("rb")


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
