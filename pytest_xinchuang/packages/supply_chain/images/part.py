"""A package that was found inside of an image or a root filesystem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_xinchuang.messages import Message


@dataclass(frozen=True)
class Part:
    """One package.

    Attributes:
        ecosystem: by OSV's names (``Debian:12``, ``openEuler:22.03-LTS``, ``PyPI``); a system that OSV has no name for is
            named by its own (``Kylin Linux Advanced Server:V10``); "" for a program that says of no package.
        kind: of its package URL: ``deb``, ``rpm``, ``apk``, ``pypi``, ``npm``, ``maven``, ``golang``, ``cargo``, ``gem``,
            ``composer``, ``nuget``; ``generic`` for a program.
        source: the source package that it was built from, by which distributions' advisories name it; as ``name``, if none.
        licence: as the package says it.
        where: the file inside that says so.
        sha256: of a program that says of no package.
        qualifiers: of its package URL.
    """

    ecosystem: str
    kind: str
    name: str
    version: str
    where: str
    source: str = ""
    source_version: str = ""
    licence: str = ""
    namespace: str = ""
    sha256: str = ""
    qualifiers: Mapping[str, str] = field(default_factory=dict)

    @property
    def advised_as(self) -> tuple[str, str]:
        """Name and version by which advisories know it."""
        full = f"{self.namespace}{_JOINED.get(self.kind, '/')}{self.name}" if self.namespace else self.name
        if self.kind in _OF_SYSTEM:
            return self.source or self.name, self.source_version or self.version
        return full, self.version


_OF_SYSTEM = ("deb", "rpm", "apk")
_JOINED = {"maven": ":"}
"""Kind -> what stands between group and name in OSV's name of a package; elsewhere a slash."""


@dataclass
class Inside:
    """All that was found.

    Attributes:
        system: what os-release says, name -> value; empty without one.
        doubts: (file inside, why) of what could not be read: the list of parts is then not whole.
    """

    system: Mapping[str, str] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    doubts: list[tuple[str, Message]] = field(default_factory=list)
