"""Whether pip on a platform finds a wheel among the files of a release, and what it does where it finds none.

Sources: PEP 425, 600 and 656 (tags), packaging.tags (which tags a Python takes, the best first).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_xinchuang.advise.triple import NEWEST_GLIBC, Triple
from pytest_xinchuang.core.platform import Arch
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.inspect.rules.wheels import OLDEST_TAG, POLICIES, wheel_tags

if TYPE_CHECKING:
    from packaging.tags import Tag

MINORS = range(6, 16)
"""Pythons 3 that are asked about: 3.6 is the oldest that a system of platforms.yaml has."""

_LEGACY = {(2, 5): "manylinux1", (2, 12): "manylinux2010", (2, 17): "manylinux2014"}
"""PEP 600: the older names of three policies."""
_MUSL_MINORS = range(6)
"""musllinux_1_0 to 1_5: musl 1.2 is the newest series."""


def machine_of(triple: Triple) -> str:
    """The architecture's name in tags."""
    return triple.architecture.names.get("wheel", triple.architecture.uname)


@functools.lru_cache(64)
def _platforms(machine: str, oldest: tuple[int, ...], libc: str, version: str) -> tuple[str, ...]:
    if libc == "musl":
        return (*(f"musllinux_1_{minor}_{machine}" for minor in reversed(_MUSL_MINORS)), f"linux_{machine}")
    newest = version_key(version) if version else max(version_key(NEWEST_GLIBC), POLICIES[-1].glibc)
    names = []
    for minor in range(newest[1], oldest[1] - 1, -1):
        names.append(f"manylinux_2_{minor}_{machine}")
        if (2, minor) in _LEGACY:
            names.append(f"{_LEGACY[2, minor]}_{machine}")
    return (*names, f"linux_{machine}")


@functools.lru_cache(512)
def accepted(triple: Triple, minor: int) -> frozenset[Tag]:
    """The tags that pip of CPython 3.``minor`` takes for a triple."""
    from packaging.tags import compatible_tags, cpython_tags

    oldest = OLDEST_TAG.get(triple.architecture.elf_machine, (2, 17))
    names = _platforms(machine_of(triple), oldest, triple.libc, triple.libc_version)
    own = cpython_tags((3, minor), abis=[f"cp3{minor}{'m' if minor < 8 else ''}"], platforms=names)
    return frozenset((*own, *compatible_tags((3, minor), interpreter=f"cp3{minor}", platforms=names)))


@dataclass(frozen=True)
class Release:
    """The files of one release, told apart.

    Attributes:
        wheels: name -> tags.
        sdist: there is a source distribution.
    """

    wheels: tuple[tuple[str, frozenset[Tag]], ...]
    sdist: bool

    @staticmethod
    def of(files: Iterable[str]) -> Release:
        """What is neither a wheel nor a source distribution is passed over."""
        from packaging.utils import InvalidWheelFilename

        wheels, sdist = [], False
        for name in files:
            if name.endswith(".whl"):
                try:
                    wheels.append((name, wheel_tags(name)))
                except InvalidWheelFilename:
                    continue
            elif name.endswith((".tar.gz", ".zip", ".tar.bz2", ".tar.xz")):
                sdist = True
        return Release(tuple(wheels), sdist)

    def pythons(self, triple: Triple, minors: Iterable[int]) -> set[int]:
        """For which Pythons 3 a wheel is taken."""
        return {m for m in minors if any(not tags.isdisjoint(accepted(triple, m)) for _name, tags in self.wheels)}

    def of_machine(self, triple: Triple) -> list[str]:
        """The wheels for an architecture on Linux, whatever their C library."""
        end = f"_{machine_of(triple)}"
        return [n for n, tags in self.wheels if any(t.platform.endswith(end) and "linux" in t.platform for t in tags)]


@dataclass(frozen=True)
class Lack:
    """What a release lacks on a platform.

    Attributes:
        pythons: the minor versions for which there is a wheel on x86-64 and none on the platform.
        none: there is none for any Python.
        sdist: it is built from source there.
        near: wheels for the platform's architecture that it does not take all the same: of a newer C library.
    """

    pythons: tuple[int, ...]
    none: bool
    sdist: bool
    near: tuple[str, ...]


def lack(release: Release, target: Triple, base: Triple, minors: Sequence[int], own: int | None) -> Lack | None:
    """What a release lacks on a platform and has for x86-64; None: nothing.

    Args:
        minors: the Pythons 3 in question.
        own: the system's own Python, where it is known and the release is made for it: it alone is asked about then.
    """
    have = release.pythons(base, minors)
    if not have:
        return None
    there = release.pythons(target, minors)
    missing = have - there
    if own in have and own in there:
        return None
    if not missing:
        return None
    near = () if target.arch is Arch.AMD64 and not release.of_machine(target) else tuple(release.of_machine(target))
    return Lack(tuple(sorted(missing)), not (there & have), release.sdist, near)
