"""SM3 (GB/T 32905-2016), HMAC (RFC 2104), HKDF (RFC 5869), PBKDF2 (RFC 8018) and the X9.63 KDF over it."""

from __future__ import annotations

import struct

from pytest_xinchuang.messages import _

_IV = (0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E)
"""GB/T 32905-2016 clause 4.1."""

_MASK = 0xFFFFFFFF


def rotate(value: int, count: int) -> int:
    """Rotate 32 bits left; ``count`` is taken modulo 32."""
    count %= 32
    return ((value << count) | (value >> (32 - count))) & _MASK


_T = tuple(rotate(0x79CC4519 if j < 16 else 0x7A879D8A, j) for j in range(64))
"""GB/T 32905-2016 clause 4.2, rotated by j as clause 5.3.3 asks."""


def compress(state: tuple[int, ...], block: bytes, constants: tuple[int, ...] = _T) -> tuple[int, ...]:
    """The compression function of clause 5.3: 8 words and a block of 64 bytes to 8 words."""
    w = list(struct.unpack(">16I", block))
    for j in range(16, 68):
        x = w[j - 16] ^ w[j - 9] ^ rotate(w[j - 3], 15)
        w.append(x ^ rotate(x, 15) ^ rotate(x, 23) ^ rotate(w[j - 13], 7) ^ w[j - 6])
    a, b, c, d, e, f, g, h = state
    for j in range(64):
        a12 = rotate(a, 12)
        ss1 = rotate((a12 + e + constants[j]) & _MASK, 7)
        if j < 16:
            tt1 = (a ^ b ^ c) + d + (ss1 ^ a12) + (w[j] ^ w[j + 4])
            tt2 = (e ^ f ^ g) + h + ss1 + w[j]
        else:
            tt1 = ((a & b) | (a & c) | (b & c)) + d + (ss1 ^ a12) + (w[j] ^ w[j + 4])
            tt2 = ((e & f) | (~e & g)) + h + ss1 + w[j]
        tt2 &= _MASK
        d, c, b, a = c, rotate(b, 9), a, tt1 & _MASK
        h, g, f, e = g, rotate(f, 19), e, tt2 ^ rotate(tt2, 9) ^ rotate(tt2, 17)
    return tuple(x ^ y for x, y in zip(state, (a, b, c, d, e, f, g, h), strict=True))


class Sm3:
    """A hash in progress."""

    constants = _T

    def __init__(self, data: bytes = b"") -> None:
        self.state: tuple[int, ...] = _IV
        self.tail = b""
        self.length = 0
        self.update(data)

    def update(self, data: bytes) -> None:
        """Take in more of the message."""
        self.length += len(data)
        data = self.tail + data
        whole = len(data) - len(data) % 64
        for at in range(0, whole, 64):
            self.state = compress(self.state, data[at : at + 64], self.constants)
        self.tail = data[whole:]

    def padding(self) -> bytes:
        """What clause 5.2 puts behind the message: a one bit, zeros, the length in bits (64 bits, big-endian)."""
        return b"\x80" + bytes((55 - self.length) % 64) + struct.pack(">Q", self.length * 8)

    def digest(self) -> bytes:
        """The digest of what came until now; more may come after."""
        end = self.copy()
        data = end.tail + self.padding()
        for at in range(0, len(data), 64):
            end.state = compress(end.state, data[at : at + 64], self.constants)
        return struct.pack(">8I", *end.state)

    def copy(self) -> Sm3:
        """An independent hash that has taken in the same."""
        twin = type(self)()
        twin.state, twin.tail, twin.length = self.state, self.tail, self.length
        return twin


class HmacSm3:
    """HMAC (RFC 2104) over SM3, in progress."""

    def __init__(self, key: bytes, hash_type: type[Sm3] = Sm3) -> None:
        if len(key) > 64:
            key = hash_type(key).digest()
        key = key.ljust(64, b"\0")
        self.inner = hash_type(bytes(b ^ 0x36 for b in key))
        self.outer = hash_type(bytes(b ^ 0x5C for b in key))

    def update(self, data: bytes) -> None:
        self.inner.update(data)

    def digest(self) -> bytes:
        outer = self.outer.copy()
        outer.update(self.inner.digest())
        return outer.digest()

    def copy(self) -> HmacSm3:
        twin = type(self).__new__(type(self))
        twin.inner, twin.outer = self.inner.copy(), self.outer.copy()
        return twin


def sm3(data: bytes) -> bytes:
    return Sm3(data).digest()


def hmac_sm3(key: bytes, msg: bytes) -> bytes:
    mac = HmacSm3(key)
    mac.update(msg)
    return mac.digest()


def hkdf_sm3(ikm: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """HKDF (RFC 5869). Raises ValueError: ``size`` is beyond 255 blocks."""
    if size > 255 * 32:
        raise ValueError(_("HKDF gives at most 255 blocks (RFC 5869, 2.3)"))
    return hkdf_expand(hmac_sm3(salt or bytes(32), ikm), info, size)


def hkdf_expand(prk: bytes, info: bytes, size: int) -> bytes:
    """HKDF-Expand (RFC 5869, 2.3)."""
    out, block, counter = b"", b"", 1
    while len(out) < size:
        block = hmac_sm3(prk, block + info + bytes([counter]))
        out += block
        counter += 1
    return out[:size]


def pbkdf2_sm3(password: bytes, salt: bytes, iterations: int, size: int) -> bytes:
    """PBKDF2 (RFC 8018, 5.2) with HMAC-SM3. Raises ValueError: there are no iterations."""
    if iterations < 1:
        raise ValueError(_("PBKDF2 has at least one iteration, not {n} (RFC 8018, 5.2)", n=iterations))
    start = HmacSm3(password)
    out = b""
    for number in range(1, -(-size // 32) + 1):
        last, total = salt + struct.pack(">I", number), 0
        for _round in range(iterations):
            mac = start.copy()
            mac.update(last)
            last = mac.digest()
            total ^= int.from_bytes(last)
        out += total.to_bytes(32)
    return out[:size]


def x963kdf_sm3(secret: bytes, info: bytes, size: int) -> bytes:
    """The KDF of ANSI X9.63 with SM3; without ``info`` it is the KDF of GB/T 32918.3-2016 clause 5.4.3."""
    out = b""
    for counter in range(1, -(-size // 32) + 1):
        out += sm3(secret + struct.pack(">I", counter) + info)
    return out[:size]
