"""Which packages make what is provisioned, to the byte: the lock that scripts/pin writes."""

from __future__ import annotations

import functools
import hashlib
import json
import platform as host
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import DataFileError, HostFault
from pytest_xinchuang.messages import _, told, verbatim
from pytest_xinchuang.provision.debian import Package

LOCK = Path(__file__).with_name("packages.lock.json")
SCHEMA = "xc-packages/1"

EMULATOR_SUITES = {"amd64": "trixie", "arm64": "trixie", "loong64": "forky"}
"""The suite that emulators come from, by the host. Debian 13 has QEMU 10.0; LoongArch LSX needs at least 8.2, the Dhyana,
YongFeng and la464 models 10.0."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_POOL = re.compile(r"pool/[A-Za-z0-9+._~%/-]+/([a-z0-9][a-z0-9+.-]*)_[A-Za-z0-9+._~%-]+\.deb")
_INDEX = re.compile(r"dists/[a-z0-9-]+/main/binary-[a-z0-9]+/Packages\.xz")
_SNAPSHOT = re.compile(r"[0-9]{8}T[0-9]{6}Z")


@dataclass(frozen=True)
class Index:
    """A suite's index of packages for one architecture.

    Attributes:
        snapshot: the time of an archive that had it, as Debian's archive of snapshots names it.
        path: its place below the root of the archive.
    """

    snapshot: str
    path: str
    size: int
    sha256: str

    @property
    def by_hash(self) -> str:
        """Where archives keep it for a while after a newer one has come (Debian Repository Format, by-hash)."""
        return f"{self.path.rpartition('/')[0]}/by-hash/SHA256/{self.sha256}"


@dataclass(frozen=True)
class Pinned:
    """What one entry of the cache is made of.

    Attributes:
        asked: the packages that it was asked for by name; all others are what these need.
        tree: the digest of the tree that they make; empty: scripts/pin could not make it.
        spans: of one package's members that are wanted, offset and size in its ``data.tar``: the rest need not be decompressed.
    """

    suite: str
    arch: str
    asked: tuple[str, ...]
    packages: tuple[Package, ...]
    tree: str = ""
    spans: dict[str, tuple[int, int]] = field(default_factory=dict, hash=False)

    @property
    def digest(self) -> str:
        """SHA-256 over the digests of the packages, in their order."""
        return hashlib.sha256(" ".join(package.sha256 for package in self.packages).encode()).hexdigest()


class Pins:
    """The lock.

    Raises:
        DataFileError: it cannot be read, or says what no lock may say.
    """

    def __init__(self, path: Path = LOCK) -> None:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data["schema"] != SCHEMA:
                raise ValueError(_("the schema is {schema}", schema=verbatim(repr(data["schema"]))))
            self.indexes = {tuple(name.split("/")): _index(fields) for name, fields in data["indexes"].items()}
            self._pinned = {
                (kind, name): _pinned(fields)
                for kind, names in data["pinned"].items()
                for name, fields in names.items()
            }
            self.trees = {key: pinned.tree for key, pinned in self._pinned.items() if pinned.tree}
            """(kind, name) -> the digest of the tree that these packages make."""
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DataFileError(_("{path}: not a lock of packages: {why}", path=path, why=told(error))) from error

    def names(self, kind: str) -> list[str]:
        """What of a kind is pinned."""
        return [name for each, name in self._pinned if each == kind]

    def pinned(self, kind: str, name: str, suite: str, arch: str, asked: Iterable[str]) -> Pinned | None:
        """What an entry is made of, where just that is pinned; None where somebody asks for something else."""
        found = self._pinned.get((kind, name))
        return found if found and (found.suite, found.arch, found.asked) == (suite, arch, tuple(asked)) else None

    def named(self, kind: str, name: str) -> Pinned:
        """What an entry of ours is made of, an emulator.

        Raises:
            HostFault: nothing of that name is pinned.
        """
        found = self._pinned.get((kind, name))
        if found is None:
            raise HostFault(_("no packages of {kind} {name} are pinned", kind=verbatim(kind), name=verbatim(name)))
        return found

    def index(self, suite: str, arch: str) -> Index:
        """The index of a suite for an architecture.

        Raises:
            HostFault: none is pinned: what an archive says of itself today, nobody has vouched for.
        """
        found = self.indexes.get((suite, arch))
        if found is None:
            known = ", ".join("/".join(name) for name in self.indexes)
            raise HostFault(
                _(
                    "the packages of {suite} {arch} are not pinned; those of {known} are",
                    suite=verbatim(suite),
                    arch=verbatim(arch),
                    known=verbatim(known),
                ),
                mend=_("make the root filesystem yourself, and xc rootfs import PLATFORM TARBALL"),
            )
        return found

    def snapshot(self, suite: str, arch: str) -> str:
        """The time of an archive that had the pinned packages."""
        return self.index(suite, arch).snapshot


def _index(fields: Any) -> Index:
    index = Index(**fields)
    if not (_SNAPSHOT.fullmatch(index.snapshot) and _INDEX.fullmatch(index.path)) or not _file(
        index.size, index.sha256
    ):
        raise ValueError(_("no index of packages: {fields}", fields=verbatim(repr(fields))))
    return index


def _pinned(fields: Any) -> Pinned:
    packages = []
    for path, size, sha256 in fields["packages"]:
        named = _POOL.fullmatch(path)
        if named is None or ".." in path or not _file(size, sha256):
            raise ValueError(_("no package: {fields}", fields=verbatim(repr(path))))
        packages.append(Package(named[1], path, size, sha256))
    tree = fields.get("tree", "")
    if tree and not (isinstance(tree, str) and _SHA256.fullmatch(tree.removeprefix("sha256:"))):
        raise ValueError(_("no digest of a tree: {fields}", fields=verbatim(repr(tree))))
    spans = {str(name): (begin, size) for name, (begin, size) in fields.get("spans", {}).items()}
    if not all(type(n) is int and 0 <= n < 1 << 40 for span in spans.values() for n in span):
        raise ValueError(_("no places of members: {fields}", fields=verbatim(repr(spans))))
    asked = tuple(map(str, fields["asked"]))
    return Pinned(str(fields["suite"]), str(fields["arch"]), asked, tuple(packages), tree, spans)


def _file(size: Any, sha256: Any) -> bool:
    return type(size) is int and 0 < size < 1 << 32 and isinstance(sha256, str) and bool(_SHA256.fullmatch(sha256))


@functools.cache
def shipped() -> Pins:
    """The lock that comes with the suite."""
    return Pins()


def host_architecture() -> str:
    """Debian's name of the host's architecture.

    Raises:
        HostFault: a host for which no emulators are pinned.
    """
    known = {"x86_64": "amd64", "aarch64": "arm64", "loongarch64": "loong64"}
    machine = host.machine()
    if machine not in known:
        raise HostFault(
            _(
                "no emulator can be provisioned for a {machine} host; x86_64, aarch64 and loongarch64 are supported",
                machine=machine,
            ),
            mend=_("grade on a machine of one of these; what runs nothing of the platform (xc inspect) works here"),
        )
    return known[machine]
