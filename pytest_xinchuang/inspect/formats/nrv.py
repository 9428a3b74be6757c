"""UCL's compressions NRV2B, NRV2D and NRV2E, by their decompressors' description (UCL 1.03, src/n2b_d.c, n2d_d.c, n2e_d.c)."""

from __future__ import annotations

import struct
from collections.abc import Callable

FAR = {"b": 0xD00, "d": 0x500, "e": 0x500}
"""Offsets beyond which a match is one byte longer than its code says."""

END = 0xFFFFFFFF


def nrv(raw: bytes, size: int, variant: str, *, wide: bool) -> bytes:
    """What ``raw`` expands to, at most ``size`` bytes.

    Args:
        variant: ``b``, ``d`` or ``e``.
        wide: the bits come in words of 32 bits, in little endian order, and not in bytes.

    Raises:
        ValueError, IndexError: it is damaged.
    """
    out = bytearray()
    at = bits = left = 0
    step = 4 if wide else 1
    word: Callable[..., tuple[int, ...]] = struct.Struct("<I" if wide else "B").unpack_from
    top = step * 8 - 1
    last = 1
    far = FAR[variant]
    length_of = _LENGTHS[variant]

    def bit() -> int:
        nonlocal at, bits, left
        if left:
            left -= 1
            return bits >> left & 1
        try:
            (bits,) = word(raw, at)
        except struct.error:
            raise ValueError("cut off") from None
        at += step
        left = top
        return bits >> top

    while True:
        # The literals, with the bits at hand: most of the time is spent here.
        while True:
            if left:
                left -= 1
                set_ = bits >> left & 1
            else:
                set_ = bit()
            if not set_:
                break
            out.append(raw[at])
            at += 1
        if len(out) > size:
            raise ValueError("too long")
        offset = 1
        if variant == "b":
            while True:
                offset = offset * 2 + bit()
                if bit():
                    break
        else:
            while True:
                offset = offset * 2 + bit()
                if bit():
                    break
                offset = (offset - 1) * 2 + bit()
        if offset > 1 << 32:
            raise ValueError("no such offset")
        low = -1
        if offset == 2:
            offset = last
        else:
            offset = (offset - 3) * 256 + raw[at]
            at += 1
            if offset == END:
                return bytes(out)
            if variant != "b":
                low = ~offset & 1
                offset >>= 1
            offset += 1
            last = offset
        if variant != "b" and low < 0:
            low = bit()
        length = length_of(bit, low) + (offset > far) + 1
        begin = len(out) - offset
        if begin < 0 or len(out) + length > size:
            raise ValueError("no such match")
        if length <= offset:
            out += out[begin : begin + length]
        else:
            piece = bytes(out[begin:])
            out += (piece * (length // offset + 1))[:length]


def _counted(bit: Callable[[], int], more: int) -> int:
    length = 1
    while True:
        length = length * 2 + bit()
        if length > 1 << 32:
            raise ValueError("no such length")
        if bit():
            return length + more


def _length_b(bit: Callable[[], int], _low: int) -> int:
    length = bit() * 2
    length += bit()
    return length or _counted(bit, 2)


def _length_d(bit: Callable[[], int], low: int) -> int:
    length = low * 2 + bit()
    return length or _counted(bit, 2)


def _length_e(bit: Callable[[], int], low: int) -> int:
    if low:
        return 1 + bit()
    return 3 + bit() if bit() else _counted(bit, 3)


_LENGTHS: dict[str, Callable[[Callable[[], int], int], int]] = {"b": _length_b, "d": _length_d, "e": _length_e}
