"""Which language run times a delivery brings along, as far as its files for the platform tell."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pytest_xinchuang.inspect.artifact import Node, above
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.inspect.record import ElfRecord

Number = tuple[int, ...]

_PYTHON = re.compile(r"(?:^|/)(?:libpython|python)(3\.[0-9]+)[a-z]*(?:\.so|$|/)")
_JAVA_VERSION = re.compile(r'^JAVA_VERSION="?([0-9][0-9._]*)', re.M)

_HOSTS = {
    "java": frozenset({"JNI_CreateJavaVM"}),
    "node": frozenset({"napi_create_object", "napi_module_register"}),
    "python": frozenset({"PyModule_Create2", "Py_RunMain", "Py_Main"}),
    "dotnet": frozenset({"coreclr_initialize", "hostfxr_main"}),
}
"""What each run time exports, by the interfaces that its programs and modules are written for."""


@dataclass
class Brought:
    """Run times in a delivery, for the platform.

    Attributes:
        versions: name -> the versions that are told there; none is told where the tuple is empty.
        whole: a system comes along, as in an image: what the platform's own system has does not count.
    """

    versions: dict[str, tuple[Number, ...]] = field(default_factory=dict)
    whole: bool = False

    def has(self, name: str) -> bool:
        return name in self.versions

    def newest(self, name: str) -> Number | None:
        return max(self.versions.get(name, ()), default=None)


def brought(root: Node, taken: Iterable[ElfRecord], *, whole: bool) -> Brought:
    """What comes along.

    Args:
        taken: the objects that the platform takes.
        whole: a root of the delivery has a C library of its own.
    """
    mine = {id(record) for record in taken}
    found: dict[str, list[Number]] = {}
    for node in root.walk():
        for record in node.objects:
            if id(record) not in mine:
                continue
            for name, exports in _HOSTS.items():
                if not exports.isdisjoint(record.elf.exports):
                    found.setdefault(name, []).extend(_versions(name, node, record))
    return Brought({name: tuple(numbers) for name, numbers in found.items()}, whole)


def _versions(name: str, node: Node, record: ElfRecord) -> Sequence[Number]:
    if name == "python":
        match = _PYTHON.search(record.path)
        return [version_key(match[1])] if match else []
    if name == "java":
        for directory in above(record.path):
            text = node.texts.get(posixpath.join(directory, "release"), b"").decode(errors="replace")
            if match := _JAVA_VERSION.search(text):
                return [java_number(match[1])]
    return []


def java_number(version: str) -> Number:
    """A version of Java with its feature release first: 1.8.0_402 is 8."""
    number = version_key(version.replace("_", "."))
    return number[1:] if number[:1] == (1,) and len(number) > 1 else number
