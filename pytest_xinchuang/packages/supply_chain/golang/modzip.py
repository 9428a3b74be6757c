"""The rules of module zips, which the go command refuses a zip by (golang.org/x/mod/zip, CheckZip; module, CheckFilePath)."""

from __future__ import annotations

import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.tools.gomod import ModuleVersion

MAX_ZIP = 500 << 20
"""Bytes, of the zip and of all its files together (golang.org/x/mod/zip, MaxZipFile)."""
MAX_FILE = 16 << 20
"""Bytes of go.mod and of LICENSE (MaxGoMod, MaxLICENSE)."""

_PUNCTUATION = frozenset("!#$%&()+,-.=@[]^_{}~ ")
_RESERVED = frozenset({"CON", "PRN", "AUX", "NUL", *(f"{name}{n}" for name in ("COM", "LPT") for n in range(1, 10))})
"""Names of devices of Windows (golang.org/x/mod/module, badWindowsNames)."""


def path_fault(path: str) -> Message | None:
    """What is wrong with the name of a file in a module (golang.org/x/mod/module, CheckFilePath)."""
    for element in path.split("/"):
        if not element:
            return _("an element of the path is empty")
        if not element.strip("."):
            return _("the path leads through {element}", element=verbatim(element))
        if element.endswith("."):
            return _("an element of the path ends with a dot")
        for char in element:
            good = char.isascii() and char.isalnum() if char.isascii() else unicodedata.category(char).startswith("L")
            if not good and char not in _PUNCTUATION:
                return _("the character {char} is not allowed", char=ascii(char))
        if element.partition(".")[0].upper() in _RESERVED:
            return _("{name} is the name of a device on Windows", name=verbatim(element))
    return None


def entry_name(entry: zipfile.ZipInfo) -> str | None:
    """The name of an entry as the go command reads it; None: it is not UTF-8.

    Python's reader cuts a name off at a NUL, and takes one without the flag of UTF-8 for code page 437 (APPNOTE, 4.4.4).
    """
    whole = entry.orig_filename
    if entry.flag_bits & 0x800 or whole.isascii():
        return whole
    try:
        return whole.encode("cp437").decode("utf-8")
    except UnicodeError:
        return None


def zip_faults(module: ModuleVersion, path: Path) -> Iterator[tuple[str, Message]]:
    """Each entry that breaks a rule, with which one; the entry is "" for a rule about the whole.

    Raises:
        zipfile.BadZipFile: it is no zip.
        OSError: it cannot be read.
    """
    if path.stat().st_size > MAX_ZIP:
        yield "", _("the zip has more than {most} MiB", most=MAX_ZIP >> 20)
        return
    prefix = f"{module}/"
    seen: dict[str, tuple[str, bool]] = {}
    total = 0
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            fault, size = _entry_fault(entry, prefix, seen)
            if fault is not None:
                yield entry_name(entry) or ascii(entry.orig_filename), fault
            total += size
        if total > MAX_ZIP:
            yield "", _("the files have more than {most} MiB together", most=MAX_ZIP >> 20)


def _entry_fault(entry: zipfile.ZipInfo, prefix: str, seen: dict[str, tuple[str, bool]]) -> tuple[Message | None, int]:
    whole = entry_name(entry)
    if whole is None:
        return _("the name is not UTF-8"), 0
    if not whole.startswith(prefix):
        return _("it is outside of {prefix}", prefix=verbatim(prefix)), 0
    name = whole.removeprefix(prefix)
    if not name:
        return None, 0
    directory = name.endswith("/")
    name = name.removesuffix("/")
    if fault := path_fault(name) or _collision(name, seen, directory=directory):
        return fault, 0
    mode = entry.external_attr >> 16
    if entry.create_system == 3 and stat.S_IFMT(mode) not in (0, stat.S_IFDIR if directory else stat.S_IFREG):
        return _("it is a link or no regular file"), 0
    if directory:
        return None, 0
    base = name.rpartition("/")[2]
    if base.lower() == "go.mod" and name != "go.mod":
        return (_("a go.mod that is not at the root") if base != name else _("go.mod is not in small letters")), 0
    if name in ("go.mod", "LICENSE") and entry.file_size > MAX_FILE:
        return _("{name} has more than {most} MiB", name=verbatim(name), most=MAX_FILE >> 20), entry.file_size
    return None, entry.file_size


def _collision(name: str, seen: dict[str, tuple[str, bool]], *, directory: bool) -> Message | None:
    """The rules about two entries of one name, of which a file system without capitals keeps one (zip, collisionChecker)."""
    while name:
        folded = "".join(c.casefold() if len(c.casefold()) == 1 else c for c in name)
        other, was_directory = seen.get(folded, ("", directory))
        if other and other != name:
            return _("{other} and {name} differ in capitals alone", other=verbatim(other), name=verbatim(name))
        if was_directory is not directory:
            return _("it is a file and a directory")
        if other and not directory:
            return _("it is there twice")
        seen[folded] = (name, directory)
        name, directory = name.rpartition("/")[0], True
    return None
