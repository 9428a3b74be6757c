"""Which compiler it is: where it was found, its version, its digest, and whether it is what its package recorded."""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.messages import _, system_error
from pytest_xinchuang.provision.cache import Cache, stat_index
from pytest_xinchuang.toolchain.digests import Digests, stamp_of
from pytest_xinchuang.tools.versions import toolchains


@dataclass(frozen=True)
class Tool:
    """A program that builds.

    Attributes:
        sha256: of the program, and of what it calls by itself.
        package: the distribution that recorded it, with its version; empty for a program of the system, and for one that stands
            in a package's place without a record.
        recorded: whether the record has this digest of it; None where there is no record.
    """

    path: str
    version: str
    sha256: str
    package: str = ""
    recorded: bool | None = None

    def told(self) -> dict[str, Any]:
        """Itself, for evidence."""
        return asdict(self)


class Identities:
    """Looks at programs; what has not changed is looked at once."""

    def __init__(self, cache: Cache, digests: Digests) -> None:
        self._cache, self._digests = cache, digests

    def of(self, program: str, version: str, helpers: tuple[str, ...] = ()) -> Tool:
        """Identify a program.

        Args:
            helpers: other programs that it calls.

        Raises:
            ToolchainFault: it cannot be read, or its package recorded another.
        """
        try:
            digest = self._digests.of(program)
            every = [digest, *(f"{Path(name).name} {self._digests.of(name)}" for name in helpers)]
        except OSError as error:
            raise ToolchainFault(
                _("{program} cannot be read: {why}", program=program, why=system_error(error)), mend=toolchains()
            ) from error
        whole = hashlib.sha256("\n".join(every).encode()).hexdigest() if helpers else digest
        package, recorded = self._recorded(program)
        if not package:
            return Tool(program, version, whole)
        if recorded != digest:
            raise _altered(program)
        return Tool(program, version, whole, package, recorded=True)

    def _recorded(self, program: str) -> tuple[str, str]:
        """The distribution that recorded a program, and the digest that it recorded; both empty where there is none."""
        kept = self._kept(program, "record")
        try:
            place, stamp, package, digest = json.loads(kept.read_text(encoding="utf-8"))
            if list(stamp_of(place)) == stamp:
                return str(package), str(digest)
        except (OSError, ValueError, TypeError):
            pass
        record = _record_of(Path(program))
        if record is None:
            return "", ""
        place, name = record
        package, digest = place.parent.name.removesuffix(".dist-info"), dict(_lines(place))[name]
        self._keep(kept, [str(place), stamp_of(str(place)), package, digest])
        return package, digest

    def _kept(self, path: str, what: str) -> Path:
        return self._cache.root / "digests" / f"{hashlib.sha256(path.encode()).hexdigest()[:32]}.{what}.json"

    @staticmethod
    def _keep(place: Path, data: object) -> None:
        with contextlib.suppress(OSError):  # it is found out anew the next time
            place.parent.mkdir(exist_ok=True)
            part = place.with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps(data), encoding="utf-8")
            part.replace(place)

    def check_package(self, program: str) -> None:
        """See that all of a program's package is what was installed; read anew when anything of it has changed.

        Raises:
            ToolchainFault: a file differs from the record, is missing, or was added.
        """
        record = _record_of(Path(program))
        if record is None:
            return
        place, name = record
        top = name.split("/")[0]
        package = place.parent.parent / top
        index = f"{stat_index(package)} {hashlib.sha256(place.read_bytes()).hexdigest()}"
        kept = self._kept(str(package), "package")
        try:
            if json.loads(kept.read_text(encoding="utf-8")) == index:
                return
        except (OSError, ValueError):
            pass
        listed = {name: digest for name, digest in _lines(place) if name.startswith(f"{top}/")}
        found = {
            path.relative_to(place.parent.parent).as_posix(): path for path in package.rglob("*") if path.is_file()
        }
        for name, path in found.items():
            if "__pycache__" not in path.parts and listed.get(name) != _sha256(path):
                raise _altered(str(path))
        for name in listed.keys() - found.keys():
            if "__pycache__" not in name:
                raise _altered(str(place.parent.parent / name))
        self._keep(kept, index)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _altered(path: str) -> ToolchainFault:
    return ToolchainFault(
        _("{path} is not the file that its package installed", path=path),
        mend=_("remove its package with pip, and install it again"),
    )


def _record_of(program: Path) -> tuple[Path, str] | None:
    """The RECORD beside a package that lists the program, and its name there (PyPA, recording installed projects)."""
    for site in list(program.parents)[1:4]:
        for place in sorted(site.glob("*.dist-info/RECORD")):
            name = program.relative_to(site).as_posix()
            top = name.split("/")[0]
            # A quick look: most records are of other packages.
            if f"\n{top}/" in f"\n{place.read_text(encoding='utf-8', errors='replace')}" and name in dict(
                _lines(place)
            ):
                return place, name
    return None


def _lines(place: Path) -> Iterator[tuple[str, str]]:
    """The files of a RECORD that have a digest, with it in hexadecimal."""
    for row in csv.reader(place.read_text(encoding="utf-8", errors="replace").splitlines()):
        if len(row) >= 2 and row[1].startswith("sha256="):
            padded = row[1].removeprefix("sha256=") + "=="
            yield row[0], base64.urlsafe_b64decode(padded).hex()
