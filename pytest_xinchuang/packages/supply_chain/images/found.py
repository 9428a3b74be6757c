"""Everything that an image or a root filesystem says that it is made of."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.inspect.extract import Reader, Unpacked, unpack
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.supply_chain.images import languages, systems
from pytest_xinchuang.packages.supply_chain.images.part import Inside
from pytest_xinchuang.tools.process import Runner

MOST_BYTES = 4 << 30
"""Bytes of an image that are taken in, layers and what is read of them together."""


def look_inside(path: Path, arch: str = "", runner: Runner | None = None) -> Inside:
    """The packages of an image (OCI layout or ``docker save``), of an archive, or of a directory with a root filesystem.

    Args:
        arch: which of an image's platforms is meant, by OCI's name; empty: all of them.

    Raises:
        XcError: it cannot be read.
    """
    reader = Reader(languages.is_of_language, languages.read)
    inside = Inside()
    for one in unpack(path, arch, runner, wanted=_is_of_system, reader=reader, most=MOST_BYTES):
        more = _look(one)
        inside.system = inside.system or more.system
        inside.parts += [part for part in more.parts if part not in inside.parts]
        inside.doubts += [doubt for doubt in more.doubts if doubt not in inside.doubts]
    inside.parts.sort(key=lambda p: (p.kind, p.namespace, p.name, p.version, p.where))
    return inside


def _is_of_system(name: str, _head: bytes) -> bool:
    return systems.is_of_system(name)


def _look(found: Unpacked[Inside]) -> Inside:
    inside = Inside()
    owned = systems.find(found.files, inside)
    for name in sorted(found.read.keys() - owned):  # what a package of the system owns is that package's
        inside.parts += found.read[name].parts
        inside.doubts += found.read[name].doubts
    if not any(part.kind in ("deb", "rpm", "apk") for part in inside.parts) and inside.system:
        # A system has packages: their database was taken away, or is of a kind that is not known here.
        inside.doubts.append((_release(found.files), _("it names a system, and no database of its packages is there")))
    return inside


def _release(files: dict[str, bytes]) -> str:
    return next(name for name in systems.OS_RELEASE if files.get(name))
