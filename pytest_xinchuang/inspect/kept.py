"""The bytes of objects that are looked at again after they were read: on disk, by digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.record import ElfRecord


class Kept:
    """Objects in a directory.

    Attributes:
        left_out: digests of objects that were too many or too large.
    """

    def __init__(self, directory: Path, most_bytes: int = 1 << 30) -> None:
        self.directory = directory
        self.left_out: set[str] = set()
        self._wheels: dict[str, Path] = {}
        self._most, self._size = most_bytes, 0

    def keep(self, digest: str, data: bytes) -> None:
        """Keep the bytes of an object, once for all objects that are the same."""
        self._keep(digest, data)

    def keep_wheel(self, node: Node, data: bytes) -> None:
        """Keep a wheel as a whole: an interpreter needs what is no object in it too."""
        place = self._keep(hashlib.sha256(data).hexdigest(), data)
        if place is not None:
            self._wheels[node.place] = place

    def _keep(self, digest: str, data: bytes) -> Path | None:
        place = self.directory / digest
        if place.exists():
            return place
        if self._size + len(data) > self._most:
            self.left_out.add(digest)
            return None
        self._size += len(data)
        place.write_bytes(data)
        return place

    def wheel(self, node: Node) -> bytes | None:
        """The bytes of a wheel; None: they were not kept."""
        place = self._wheels.get(node.place)
        return place.read_bytes() if place is not None else None

    def has(self, record: ElfRecord) -> bool:
        """Whether the bytes of an object were kept."""
        return (self.directory / record.sha256).exists()

    def data(self, record: ElfRecord) -> bytes | None:
        """The bytes of an object; None: they were not kept."""
        place = self.directory / record.sha256
        return place.read_bytes() if place.exists() else None
