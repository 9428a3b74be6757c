"""A Debian archive's index of packages: which there are, and which of them others need (deb-control(5), Debian Policy 7)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from pytest_xinchuang.core.errors import DataFileError, HostFault
from pytest_xinchuang.core.near import near
from pytest_xinchuang.messages import _, joined, verbatim


@dataclass(frozen=True, order=True)
class Package:
    """One package of an archive, by what pins it.

    Attributes:
        path: its place below the root of the archive.
        size: bytes.
        sha256: of the whole file, in hexadecimal digits.
    """

    name: str
    path: str
    size: int
    sha256: str


_RELATION = re.compile(r"([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9-]+))?(?:\s*\((<<|<=|=|>=|>>)\s*([^)\s]+)\s*\))?")
_OF_KERNELS = ("linux-image-", "linux-binary-", "linux-base-")
_PRIORITIES = ("required", "important", "standard", "optional", "extra")
_PATH = re.compile(r"pool/[A-Za-z0-9+._~%/-]+\.deb")


@dataclass(frozen=True)
class _Relation:
    """A package that another asks for, with the bound of its version."""

    name: str
    sign: str
    version: str

    def holds(self, version: str) -> bool:
        if not self.sign:
            return True
        order = compare_versions(version, self.version)
        return {"<<": order < 0, "<=": order <= 0, "=": order == 0, ">=": order >= 0, ">>": order > 0}[self.sign]


def _relations(text: str) -> Iterator[list[_Relation]]:
    """What a field asks for: of each group one."""
    for group in filter(None, (group.strip() for group in text.split(","))):
        found = []
        for one in group.split("|"):
            match = _RELATION.fullmatch(one.strip())
            if match is None:
                raise DataFileError(_("not a relation to a package: {text}", text=verbatim(repr(one.strip()))))
            found.append(_Relation(match[1], match[3] or "", match[4] or ""))
        yield found


class PackageIndex:
    """A ``Packages`` file.

    Args:
        text: the file, decompressed.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._places: dict[str, list[int]] = {}
        self._providers: dict[str, list[tuple[str, str]]] = {}
        name = ""
        for found in re.finditer(r"^(?:Package: (\S+)|Provides: (.+))$", text, re.MULTILINE):
            if found[1]:
                name = found[1]
                self._places.setdefault(name, []).append(found.start())
            elif name:
                for group in _relations(found[2]):
                    self._providers.setdefault(group[0].name, []).append((name, group[0].version))

    def _fields(self, name: str) -> dict[str, str] | None:
        """The fields of a package, of its newest version; None: there is none of that name."""
        found = []
        for start in self._places.get(name, ()):
            end = self._text.find("\n\n", start)
            lines = self._text[start : end if end >= 0 else len(self._text)].splitlines()
            found.append(dict(line.split(": ", 1) for line in lines if ": " in line and not line.startswith(" ")))
        best: dict[str, str] | None = None
        for fields in found:
            if best is None or compare_versions(fields.get("Version", ""), best.get("Version", "")) > 0:
                best = fields
        return best

    def package(self, name: str) -> Package:
        """A package by its name.

        Raises:
            HostFault: there is none.
            DataFileError: what the index says of it cannot be used.
        """
        fields = self._fields(name)
        if fields is None:
            raise HostFault(
                _(
                    "the archive has no package {name}{hint}",
                    name=verbatim(repr(name)),
                    hint=near(name, self._places),
                )
            )
        path, size, digest = (fields.get(key, "") for key in ("Filename", "Size", "SHA256"))
        if not (_PATH.fullmatch(path) and ".." not in path and re.fullmatch(r"[0-9]{1,10}", size)) or not re.fullmatch(
            r"[0-9a-f]{64}", digest
        ):
            raise DataFileError(_("the index of packages says no file of {name}", name=verbatim(repr(name))))
        return Package(name, path, int(size), digest)

    def images(self, name: str) -> list[Package]:
        """A kernel's package, and the packages of kernels and modules that it leads to: nothing of what installs them."""
        found: list[Package] = []
        waiting = [name]
        while waiting:
            one = self.package(waiting.pop(0))
            if one not in found:
                found.append(one)
                fields = self._fields(one.name) or {}
                groups = _relations(fields.get("Depends", ""))
                waiting += [group[0].name for group in groups if group[0].name.startswith(_OF_KERNELS)]
        return sorted(found)

    def closure(self, names: Iterable[str]) -> list[Package]:
        """Packages with all that they need to run, sorted by name; base-files first, which brings the links of merged /usr.

        Of alternatives the one that is there anyway is taken, else the first that can be had, as apt does. Recommendations
        are left out, conflicts are not looked at.

        Raises:
            HostFault: a package, or what it needs, is not in the archive.
        """
        chosen: dict[str, Package] = {}
        waiting = list(names)
        asked = set(waiting)
        while waiting:
            name = waiting.pop(0)
            if name in chosen:
                continue
            if self._fields(name) is None and name in self._providers:
                name = min((provider for provider, _version in self._providers[name]), key=self._order)
            chosen[name] = self.package(name)
            fields = self._fields(name) or {}
            for key in ("Pre-Depends", "Depends"):
                for group in _relations(fields.get(key, "")):
                    one = self._one_of(group, asked | chosen.keys())
                    if one is None:
                        raise HostFault(
                            _(
                                "the package {name} needs {others}, which the archive has not got",
                                name=verbatim(name),
                                others=joined([verbatim(relation.name) for relation in group], _(", ")),
                            )
                        )
                    asked.add(one)
                    waiting.append(one)
        return sorted(chosen.values(), key=lambda package: (package.name != "base-files", package.name))

    def _one_of(self, group: list[_Relation], have: set[str]) -> str | None:
        able = [name for relation in group for name in self._able(relation)]
        return next((name for name in able if name in have), able[0] if able else None)

    def _order(self, name: str) -> tuple[int, str]:
        """Which provider comes first: the one of the higher priority (Debian Policy 2.5)."""
        priority = (self._fields(name) or {}).get("Priority", "")
        return (_PRIORITIES.index(priority) if priority in _PRIORITIES else len(_PRIORITIES), name)

    def _able(self, relation: _Relation) -> list[str]:
        """The packages that are as a relation asks: the one of its name, else those that provide it."""
        found: list[str] = []
        fields = self._fields(relation.name)
        if fields is not None and relation.holds(fields.get("Version", "")):
            found.append(relation.name)
        for name, version in sorted(
            self._providers.get(relation.name, ()), key=lambda provider: self._order(provider[0])
        ):
            # One that says no version provides what asks for none alone (Debian Policy 7.5).
            if not relation.sign or (version and relation.holds(version)):
                found.append(name)
        return found


def compare_versions(one: str, other: str) -> int:
    """Below, at or above zero as a version is older than, equal to or newer than another (deb-version(7))."""
    for left, right in zip(_parts(one), _parts(other), strict=True):
        for a, b in zip_longest(_words(left), _words(right), fillvalue=("", 0)):
            if a != b:
                return -1 if (_rank(a[0]), a[1]) < (_rank(b[0]), b[1]) else 1
    return 0


def _parts(version: str) -> tuple[str, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    return (epoch, upstream, revision) if dash else (epoch, rest, "0")


def _words(text: str) -> list[tuple[str, int]]:
    """Pairs of what is no number and the number behind it."""
    return [(a, int(b or "0")) for a, b in re.findall(r"([^0-9]*)([0-9]*)", text) if a or b]


def _rank(text: str) -> list[int]:
    """How letters sort: a tilde before the end, the end before letters, letters before all else."""
    return [-1 if c == "~" else ord(c) if c.isalpha() else ord(c) + 256 for c in text] + [0]
