"""Headers that are not the tree's: those of this host, and empty ones in the place of what is not there.

A library's headers help both sides alike; what libc and the kernel bring is taken from the target's own alone. So this host's
directories are shown without whatever zig has for any target.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from pytest_xinchuang.provision.trees import remove_tree

HOST = Path("/usr/include")
_OF_GCC = ("lib/gcc", "*-linux-gnu/*/include/omp.h")
"""Below /usr: the header of a library that comes with GCC, and that compilers for each machine have (GCC, libgomp)."""
_NEVER = frozenset({"c++", "asm", "asm-generic", "bits", "gnu", "sys", "linux", "python3"})
"""Entries of it that belong to a libc, a kernel or a compiler, beside those whose names zig has."""
_OF_LINUX = re.compile(r"linux|glibc|musl")
"""Names of zig's directories of headers for Linux: those for other systems have zlib.h and such, which no libc has here."""
LONGEST = 200
"""Characters of the name of a header."""


class HostHeaders:
    """Makes directories of headers in a run's scratch directory; their names say what they hold.

    Args:
        lib: the directory of zig's headers.
        host: where this host's lie.
    """

    def __init__(self, scratch: Path, lib: Path, host: Path = HOST) -> None:
        self._scratch, self._lib, self._host = scratch, lib, host
        self._made: tuple[str, ...] | None = None

    def words(self) -> tuple[str, ...]:
        """Flags by which libraries' headers of this host are found, behind all others; none where there are none."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def _make(self) -> tuple[str, ...]:
        if not self._host.is_dir():
            return ()
        farm = self._scratch / "host"
        places = {"all": self._host} | {place.name: place for place in sorted(self._host.glob("*-linux-gnu*"))}
        if not farm.exists():
            # Builds of several guises are opened side by side: what is seen is whole.
            part = self._scratch / f"host.{threading.get_ident()}"
            self._link(part, places)
            try:
                part.rename(farm)
            except OSError:  # another has made it meanwhile
                remove_tree(part)
        return tuple(word for name in places for word in ("-idirafter", str(farm / name)))

    def _link(self, farm: Path, places: Mapping[str, Path]) -> None:
        owned = _NEVER | {
            entry.name
            for place in (self._lib / "libc/include").glob("*")
            if place.is_dir() and _OF_LINUX.search(place.name)
            for entry in place.iterdir()
        }
        for name, place in places.items():
            (farm / name).mkdir(parents=True)
            for entry in sorted(place.iterdir()):
                if entry.name not in owned and not entry.name.endswith(("-linux-gnu", "-linux-gnuabi64")):
                    (farm / name / entry.name).symlink_to(entry)
        below, pattern = _OF_GCC
        for header in sorted((self._host.parent / below).glob(pattern))[-1:]:
            if not (farm / "all" / header.name).exists():
                (farm / "all" / header.name).symlink_to(header)

    def stubs(self, names: Iterable[str]) -> tuple[str, ...]:
        """Flags by which empty headers of these names are found, behind all others."""
        usable = sorted({name for name in names if _may_stand(name)})
        place = self._scratch / "stubs" / hashlib.sha256("\0".join(usable).encode()).hexdigest()[:32]
        for name in usable:
            try:
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).touch()
            except OSError:  # one is the directory of another
                continue
        return ("-idirafter", str(place)) if usable else ()


def _may_stand(name: str) -> bool:
    """Whether a header of this name can be made below a directory."""
    plain = os.path.normpath(name)
    return name == plain and not name.startswith(("/", "..")) and len(name) <= LONGEST and name.isprintable()
