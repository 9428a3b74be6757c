"""What a lock file says: packages with their versions and digests, in one form for every ecosystem."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import Message, _, verbatim

LENGTHS = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
"""Bytes of a digest (RFC 1321; FIPS 180-4)."""

WEAK = frozenset({"md5", "sha1"})
"""Two files of one digest can be made (RFC 6151 for MD5; Stevens et al. 2017, "SHAttered", for SHA-1)."""


@dataclass(frozen=True, order=True)
class Digest:
    """A digest of a file: the algorithm by hashlib's name, and small hexadecimal digits."""

    algorithm: str
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def digest(algorithm: str, digits: str) -> Digest | None:
    """A digest in hexadecimal; None where it is of no algorithm that is known, or not of its length."""
    name, small = algorithm.lower().replace("-", ""), digits.lower()
    if name not in LENGTHS or not re.fullmatch(f"[0-9a-f]{{{LENGTHS[name] * 2}}}", small):
        return None
    return Digest(name, small)


def integrity(text: str) -> tuple[Digest, ...] | None:
    """The digests of Subresource Integrity metadata, ``sha512-BASE64`` (W3C SRI 3.5); None: one of them is malformed."""
    found = []
    for word in text.split():
        algorithm, _dash, rest = word.partition("?")[0].partition("-")
        try:
            one = digest(algorithm, base64.b64decode(rest, validate=True).hex())
        except (binascii.Error, ValueError):
            return None
        if one is None:
            return None
        found.append(one)
    return tuple(found)


def digests_of(path: Path, algorithms: Iterable[str]) -> dict[str, Digest]:
    """The digests of a file by algorithm.

    Raises:
        OSError: it cannot be read.
    """
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in sorted(set(algorithms))}
    with path.open("rb") as opened:
        while block := opened.read(1 << 20):
            for one in hashes.values():
                one.update(block)
    return {name: Digest(name, one.hexdigest()) for name, one in hashes.items()}


class Origin(StrEnum):
    """Where a locked package comes from."""

    REGISTRY = "registry"
    GIT = "git"
    URL = "url"
    PATH = "path"
    """A directory or file beside the product."""
    OWN = "own"
    """A part of the product itself: a member of its workspace."""
    BUNDLED = "bundled"
    """Inside the archive of another package, whose digest is its own."""


@dataclass(frozen=True)
class LockedFile:
    """A file that a lock admits.

    Attributes:
        name: of the file; "" where the lock gives the digest alone.
        url: where the lock says that it comes from.
    """

    digests: tuple[Digest, ...]
    name: str = ""
    url: str = ""


@dataclass(frozen=True)
class Locked:
    """A package of a lock.

    Attributes:
        ecosystem: as in ``ECOSYSTEMS``.
        name: by which the registry knows it.
        where: the place in the lock, ``FILE:LINE``.
        source: the URL, path or commit, where it is from no registry; else the registry's address where the lock names one.
        tree: where it is laid out below the product's directory; "" where the lock does not say.
        scripts: whether the lock says that it runs a script when it is installed; None: it does not say.
        extra: what else the ecosystem has to know.
    """

    ecosystem: str
    name: str
    version: str
    where: str
    files: tuple[LockedFile, ...] = ()
    origin: Origin = Origin.REGISTRY
    source: str = ""
    tree: str = ""
    scripts: bool | None = None
    dev: bool = False
    extra: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name

    @property
    def digests(self) -> tuple[Digest, ...]:
        return tuple(one for file in self.files for one in file.digests)


@dataclass
class Reading:
    """What the manifests and locks of a directory say.

    Attributes:
        files: the names of those that were read.
        locks: the names of the locks among them.
        trusts: whether an address is of a registry that whoever checks takes packages from; a message: why that is not known.
    """

    ecosystem: str
    trusts: Callable[[str], bool | Message] = field(default=lambda _url: False)
    files: list[str] = field(default_factory=list)
    locks: list[str] = field(default_factory=list)
    entries: list[Locked] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def add(self, code: str, where: str, certainty: Certainty = Certainty.CERTAIN, **params: object) -> None:
        """A finding about one of the files."""
        self.findings.append(told(code, where, self.ecosystem, certainty, **params))

    def above(self, where: str, path: Path) -> None:
        """Tell of a workspace or of settings above the product, which may decide what it is built from."""
        detail = _("{file} may decide what it is built from", file=verbatim(str(path)))
        self.add("XC-SUP-160", where, Certainty.UNDECIDED, module="-", detail=detail)

    def takes_from(self, where: str, url: str, setting: str) -> None:
        """Tell of a setting that takes packages from an address, unless it is one that is trusted."""
        trusted = self.trusts(url)
        if trusted is True:
            return
        host = urllib.parse.urlsplit(url).hostname or "-"
        if isinstance(trusted, Message):
            detail = _("{setting} ({why})", setting=verbatim(setting), why=trusted)
            self.add("XC-SUP-145", where, Certainty.UNDECIDED, detail=detail, host=host)
        else:
            self.add("XC-SUP-145", where, detail=verbatim(setting), host=host)


def told(code: str, where: str, ecosystem: str, certainty: Certainty = Certainty.CERTAIN, **params: object) -> Finding:
    """A finding of an ecosystem; a parameter is a message or what it is shown as."""
    texts = {name: value if isinstance(value, str) else str(value) for name, value in params.items()}
    return Finding(code, certainty, where, ecosystem, texts)


class Lines:
    """A text with the numbers of its lines by what they begin with."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text

    @cached_property
    def _first(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for number, line in enumerate(self.text.splitlines(), 1):
            found.setdefault(line.strip(), number)
            found.setdefault(re.split(r"[:=\s{]", line.strip(), maxsplit=1)[0], number)
            quoted = re.match(r"""\s*["']([^"']+)["']""", line)
            if quoted:
                found.setdefault(f'"{quoted[1]}"', number)
        return found

    def of(self, *words: str) -> str:
        """``FILE:LINE`` of the first of the words that a line begins with, else the file alone."""
        for word in words:
            for tried in (word, f'"{word}"', f"{word}:"):
                if tried in self._first:
                    return f"{self.name}:{self._first[tried]}"
        return self.name


def duplicates(entries: Sequence[Locked]) -> list[tuple[Locked, Locked]]:
    """(entry, an earlier one) of one name, version and origin whose digests contradict each other."""
    first: dict[tuple[str, str, Origin, str], Locked] = {}
    found = []
    for entry in entries:
        if entry.origin is not Origin.REGISTRY or len(entry.files) != 1:
            continue
        for one in entry.digests:
            other = first.setdefault((entry.name, entry.version, entry.origin, one.algorithm), entry)
            if other is not entry and one not in other.digests:
                found.append((entry, other))
    return found
