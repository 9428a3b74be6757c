"""The little DER that SM2 signatures and ciphertexts need, strict in reading (X.690 clause 10)."""

from __future__ import annotations


def length(n: int) -> bytes:
    if n < 128:
        return bytes([n])
    body = n.to_bytes((n.bit_length() + 7) // 8)
    return bytes([0x80 | len(body)]) + body


def tlv(tag: int, body: bytes) -> bytes:
    return bytes([tag]) + length(len(body)) + body


def integer(n: int) -> bytes:
    """An INTEGER that is not negative."""
    return tlv(2, n.to_bytes(n.bit_length() // 8 + 1))


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, b"".join(parts))


class DerReader:
    """Reads values one after another; every method raises ValueError for what is not DER."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, tag: int) -> bytes:
        """The content of the next value, which must have this tag."""
        data = self.data
        if len(data) < 2 or data[0] != tag:
            raise ValueError(f"DER: tag {tag:#04x} expected")
        size, at = data[1], 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[2 : 2 + count]), 2 + count
            if not 1 <= count <= 4 or len(data) < at or length(size) != data[1:at]:
                raise ValueError("DER: a length that is not the shortest")
        if len(data) < at + size:
            raise ValueError("DER: truncated")
        self.data = data[at + size :]
        return data[at : at + size]

    def integer(self) -> int:
        body = self.take(2)
        if not body or body[0] & 0x80:
            raise ValueError("DER: a negative or empty INTEGER")
        if len(body) > 1 and not body[0] and not body[1] & 0x80:
            raise ValueError("DER: an INTEGER with leading zeros")
        return int.from_bytes(body)

    def end(self) -> None:
        if self.data:
            raise ValueError("DER: bytes behind the end")


def read_sequence(data: bytes) -> DerReader:
    """The inside of a SEQUENCE that is all there is."""
    outer = DerReader(data)
    inner = DerReader(outer.take(0x30))
    outer.end()
    return inner
