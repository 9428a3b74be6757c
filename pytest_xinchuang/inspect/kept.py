"""The bytes of objects that are looked at again after they were read: on disk, by digest."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.inspect.record import ElfRecord


class Kept:
    """Objects in a directory.

    Attributes:
        left_out: digests of objects that were too many or too large.
    """

    def __init__(self, directory: Path, most_bytes: int = 1 << 30) -> None:
        self.directory = directory
        self.left_out: set[str] = set()
        self._most, self._size = most_bytes, 0

    def keep(self, digest: str, data: bytes) -> None:
        """Keep the bytes of an object, once for all objects that are the same."""
        place = self.directory / digest
        if place.exists():
            return
        if self._size + len(data) > self._most:
            self.left_out.add(digest)
            return
        self._size += len(data)
        place.write_bytes(data)

    def has(self, record: ElfRecord) -> bool:
        """Whether the bytes of an object were kept."""
        return (self.directory / record.sha256).exists()

    def data(self, record: ElfRecord) -> bytes | None:
        """The bytes of an object; None: they were not kept."""
        place = self.directory / record.sha256
        return place.read_bytes() if place.exists() else None
