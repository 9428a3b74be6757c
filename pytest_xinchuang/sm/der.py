"""The part of DER that SM2 signatures and ciphertexts need; reading is strict (X.690 clause 10)."""

from __future__ import annotations

from pytest_xinchuang.messages import _


def length(n: int) -> bytes:
    """The encoding of a length, in the shortest form."""
    if n < 128:
        return bytes([n])
    body = n.to_bytes((n.bit_length() + 7) // 8)
    return bytes([0x80 | len(body)]) + body


def tlv(tag: int, body: bytes) -> bytes:
    """A value: tag, length and content."""
    return bytes([tag]) + length(len(body)) + body


def integer(n: int) -> bytes:
    """A non-negative INTEGER."""
    return tlv(2, n.to_bytes(n.bit_length() // 8 + 1))


def sequence(*parts: bytes) -> bytes:
    """A SEQUENCE of encoded values."""
    return tlv(0x30, b"".join(parts))


class DerReader:
    """Reads values one after another; every method raises ValueError for what is not DER."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, tag: int) -> bytes:
        """The content of the next value, which must have this tag."""
        data = self.data
        if len(data) < 2 or data[0] != tag:
            raise ValueError(_("DER: tag {tag:#04x} expected", tag=tag))
        size, at = data[1], 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[2 : 2 + count]), 2 + count
            if not 1 <= count <= 4 or len(data) < at or length(size) != data[1:at]:
                raise ValueError(_("DER: a length is not encoded in the shortest form"))
        if len(data) < at + size:
            raise ValueError(_("DER: truncated"))
        self.data = data[at + size :]
        return data[at : at + size]

    def integer(self) -> int:
        """The next value, which must be a non-negative INTEGER in its shortest form."""
        body = self.take(2)
        if not body or body[0] & 0x80:
            raise ValueError(_("DER: a negative or empty INTEGER"))
        if len(body) > 1 and not body[0] and not body[1] & 0x80:
            raise ValueError(_("DER: an INTEGER with leading zeros"))
        return int.from_bytes(body)

    def end(self) -> None:
        """Make sure that nothing follows."""
        if self.data:
            raise ValueError(_("DER: bytes behind the end"))


def read_sequence(data: bytes) -> DerReader:
    """A reader of the one SEQUENCE that ``data`` consists of. Raises ValueError: something else is there, or more."""
    outer = DerReader(data)
    inner = DerReader(outer.take(0x30))
    outer.end()
    return inner
