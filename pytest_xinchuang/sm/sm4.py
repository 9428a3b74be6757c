"""SM4 (GB/T 32907-2016) and its modes (GB/T 17964-2021, SP 800-38A/C/D, IEEE 1619)."""

from __future__ import annotations

import struct
from collections.abc import Callable

from pytest_xinchuang.messages import _

_MASK = 0xFFFFFFFF


def _sbox() -> bytes:
    """The S-box, from its algebra: x -> A * inverse(A * x + c) + c over GF(2)[x]/(x^8+x^7+x^6+x^5+x^4+x^2+1), c = 0xD3.

    The same 256 bytes as the table in GB/T 32907-2016 clause 6.2; that they are is tested.
    """

    def times(a: int, b: int) -> int:
        out = 0
        while b:
            out ^= a if b & 1 else 0
            a = (a << 1) ^ (0x1F5 if a & 0x80 else 0)
            b >>= 1
        return out

    def affine(x: int) -> int:
        bits = 0
        for row in range(8):
            mask = ((0xA7 << row) | (0xA7 >> (8 - row))) & 0xFF
            bits |= (bin(x & mask).count("1") & 1) << row
        return bits ^ 0xD3

    inverse = [0] * 256
    for a in range(1, 256):
        inverse[a] = next(b for b in range(1, 256) if times(a, b) == 1)
    return bytes(affine(inverse[affine(x)]) for x in range(256))


SBOX = _sbox()
_FK = (0xA3B1BAC6, 0x56AA3350, 0x677D9197, 0xB27022DC)
_CK = tuple(sum(((4 * i + j) * 7 % 256) << (24 - 8 * j) for j in range(4)) for i in range(32))
"""GB/T 32907-2016 clause 7.3."""


def _rotate(x: int, n: int) -> int:
    return ((x << n) | (x >> (32 - n))) & _MASK


def _tau(x: int) -> int:
    return SBOX[x >> 24] << 24 | SBOX[x >> 16 & 255] << 16 | SBOX[x >> 8 & 255] << 8 | SBOX[x & 255]


def _table(shift: int) -> tuple[int, ...]:
    out = []
    for x in range(256):
        b = SBOX[x] << shift
        out.append(b ^ _rotate(b, 2) ^ _rotate(b, 10) ^ _rotate(b, 18) ^ _rotate(b, 24))
    return tuple(out)


_T0, _T1, _T2, _T3 = (_table(s) for s in (24, 16, 8, 0))


class Sm4:
    """The block cipher under one key.

    Raises:
        ValueError: the key is not of 16 bytes.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != 16:
            raise ValueError(_("an SM4 key has 16 bytes, this one has {n}", n=len(key)))
        k = [a ^ b for a, b in zip(struct.unpack(">4I", key), _FK, strict=True)]
        for i in range(32):
            x = _tau(k[i + 1] ^ k[i + 2] ^ k[i + 3] ^ _CK[i])
            k.append(k[i] ^ x ^ _rotate(x, 13) ^ _rotate(x, 23))
        self.keys = tuple(k[4:])
        self.back = self.keys[::-1]

    @staticmethod
    def _rounds(block: bytes, keys: tuple[int, ...]) -> bytes:
        a, b, c, d = struct.unpack(">4I", block)
        for key in keys:
            x = b ^ c ^ d ^ key
            a, b, c, d = b, c, d, a ^ _T0[x >> 24] ^ _T1[x >> 16 & 255] ^ _T2[x >> 8 & 255] ^ _T3[x & 255]
        return struct.pack(">4I", d, c, b, a)

    def encrypt(self, block: bytes) -> bytes:
        """One block of 16 bytes."""
        return self._rounds(block, self.keys)

    def decrypt(self, block: bytes) -> bytes:
        """One block of 16 bytes."""
        return self._rounds(block, self.back)


def xor(a: bytes, b: bytes) -> bytes:
    """The exclusive or of two texts, as long as the shorter one."""
    n = min(len(a), len(b))
    return (int.from_bytes(a[:n]) ^ int.from_bytes(b[:n])).to_bytes(n)


def blocks(data: bytes) -> list[bytes]:
    return [data[i : i + 16] for i in range(0, len(data), 16)]


def pad(data: bytes) -> bytes:
    """``data`` with PKCS#7 padding (RFC 5652, 6.3)."""
    n = 16 - len(data) % 16
    return data + bytes([n]) * n


def unpad(data: bytes) -> bytes:
    """``data`` without its PKCS#7 padding. Raises ValueError: the padding is wrong."""
    n = data[-1] if data else 0
    if not 1 <= n <= 16 or data[-n:] != bytes([n]) * n:
        raise ValueError(_("wrong padding"))
    return data[:-n]


def whole(data: bytes) -> bytes:
    """``data``, which must be whole blocks. Raises ValueError: it is not."""
    if len(data) % 16:
        raise ValueError(_("{n} bytes are no whole number of blocks", n=len(data)))
    return data


def check_iv(iv: bytes) -> bytes:
    """``iv``, which must have 16 bytes. Raises ValueError: it has not."""
    if len(iv) != 16:
        raise ValueError(_("an IV has 16 bytes, this one has {n}", n=len(iv)))
    return iv


def ecb(cipher: Sm4, data: bytes, *, encrypt: bool) -> bytes:
    one = cipher.encrypt if encrypt else cipher.decrypt
    return b"".join(one(b) for b in blocks(whole(data)))


def cbc(cipher: Sm4, iv: bytes, data: bytes, *, encrypt: bool) -> bytes:
    out, last = b"", check_iv(iv)
    for block in blocks(whole(data)):
        if encrypt:
            last = cipher.encrypt(xor(block, last))
            out += last
        else:
            out += xor(cipher.decrypt(block), last)
            last = block
    return out


def count(block: bytes, bits: int) -> bytes:
    """The next counter block: its last ``bits`` bits, of 1 to 128, are counted, modulo 2**bits.

    Raises:
        ValueError: so many bits are not counted.
    """
    if not 1 <= bits <= 128:
        raise ValueError(_("a counter has 1 to 128 bits, not {n}", n=bits))
    number, modulus = int.from_bytes(block), 1 << bits
    return (number // modulus * modulus + (number + 1) % modulus).to_bytes(16)


def ctr(cipher: Sm4, iv: bytes, data: bytes, *, wrap: int = 128) -> bytes:
    """Counter mode; the same in both directions."""
    out, counter = b"", check_iv(iv)
    for block in blocks(data):
        out += xor(block, cipher.encrypt(counter))
        counter = count(counter, wrap)
    return out


def ofb(cipher: Sm4, iv: bytes, data: bytes) -> bytes:
    """Output feedback; the same in both directions."""
    out, last = b"", check_iv(iv)
    for block in blocks(data):
        last = cipher.encrypt(last)
        out += xor(block, last)
    return out


def cfb(cipher: Sm4, iv: bytes, data: bytes, *, encrypt: bool) -> bytes:
    """Cipher feedback of whole blocks (CFB128)."""
    out, last = b"", check_iv(iv)
    for block in blocks(data):
        done = xor(block, cipher.encrypt(last))
        out += done
        last = done if encrypt else block
    return out


def ghash(h: bytes, data: bytes) -> bytes:
    """GHASH (SP 800-38D, 6.4) of whole blocks."""
    v, table = int.from_bytes(h), []
    for _round in range(128):
        table.append(v)
        v = (v >> 1) ^ (0xE1 << 120 if v & 1 else 0)
    y = 0
    for block in blocks(data):
        y ^= int.from_bytes(block)
        z = 0
        for i in range(128):
            if y >> (127 - i) & 1:
                z ^= table[i]
        y = z
    return y.to_bytes(16)


def filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


def gcm_lengths(aad: bytes, ct: bytes) -> bytes:
    return struct.pack(">QQ", len(aad) * 8, len(ct) * 8)


def gcm(
    cipher: Sm4,
    iv: bytes,
    aad: bytes,
    data: bytes,
    *,
    encrypt: bool,
    lengths: Callable[[bytes, bytes], bytes] = gcm_lengths,
    wrap: int = 32,
) -> tuple[bytes, bytes]:
    """GCM (SP 800-38D): the other text, and the tag of 16 bytes.

    Raises:
        ValueError: the IV is empty, or the text is longer than the counter of 32 bits covers.
    """
    if not iv:
        raise ValueError(_("a GCM IV has at least one bit (SP 800-38D, 5.2.1.1)"))
    if len(data) > GCM_MOST:
        raise ValueError(_("GCM takes at most {most} bytes (SP 800-38D, 5.2.1.1)", most=GCM_MOST))
    h = cipher.encrypt(bytes(16))
    j0 = iv + b"\0\0\0\1" if len(iv) == 12 else ghash(h, filled(iv) + struct.pack(">QQ", 0, len(iv) * 8))
    out = ctr(cipher, count(j0, wrap), data, wrap=wrap)
    ct = out if encrypt else data
    tag = xor(ghash(h, filled(aad) + filled(ct) + lengths(aad, ct)), cipher.encrypt(j0))
    return out, tag


GCM_TAGS = (4, 8, 12, 13, 14, 15, 16)
"""Bytes of a tag (SP 800-38D, 5.2.1.2)."""

GCM_MOST = (1 << 36) - 32
"""Bytes of a text: 2**39 - 256 bits (SP 800-38D, 5.2.1.1)."""


def gcm_check(tag_bytes: int) -> None:
    """Raises ValueError: a tag has one of seven lengths (SP 800-38D, 5.2.1.2)."""
    if tag_bytes not in GCM_TAGS:
        raise ValueError(_("GCM has no tag of {tag} bytes", tag=tag_bytes))


CCM_TAGS = (4, 6, 8, 10, 12, 14, 16)
"""SP 800-38C, A.1."""


def ccm_aad(aad: bytes) -> bytes:
    """The encoding of the associated data (SP 800-38C, A.2.2)."""
    if not aad:
        return b""
    if len(aad) < 0xFF00:
        return filled(struct.pack(">H", len(aad)) + aad)
    if len(aad) < 1 << 32:
        return filled(b"\xff\xfe" + struct.pack(">I", len(aad)) + aad)
    return filled(b"\xff\xff" + struct.pack(">Q", len(aad)) + aad)


def ccm_check(iv: bytes, tag_bytes: int) -> None:
    """Raises ValueError: a nonce has 7 to 13 bytes, and a tag one of seven lengths (SP 800-38C, A.1)."""
    if not 7 <= len(iv) <= 13 or tag_bytes not in CCM_TAGS:
        raise ValueError(_("CCM has no nonce of {nonce} bytes with a tag of {tag} bytes", nonce=len(iv), tag=tag_bytes))


def ccm(
    cipher: Sm4,
    iv: bytes,
    aad: bytes,
    data: bytes,
    tag_bytes: int,
    *,
    encrypt: bool,
    encode: Callable[[bytes], bytes] = ccm_aad,
) -> tuple[bytes, bytes]:
    """CCM (SP 800-38C): the other text, and the tag. The caller has called :func:`ccm_check`.

    Raises:
        ValueError: the text is longer than the field of its length can say (A.1).
    """
    width = 15 - len(iv)
    if len(data) >> 8 * width:
        raise ValueError(
            _("CCM with a nonce of {nonce} bytes takes less than {most} bytes", nonce=len(iv), most=1 << 8 * width)
        )
    first = bytes([width - 1]) + iv + bytes(width)
    out = ctr(cipher, count(first, 8 * width), data, wrap=8 * width)
    msg = data if encrypt else out
    flags = (64 if aad else 0) | ((tag_bytes - 2) // 2) << 3 | (width - 1)
    b0 = bytes([flags]) + iv + len(msg).to_bytes(width)
    mac = bytes(16)
    for block in blocks(b0 + encode(aad) + filled(msg)):
        mac = cipher.encrypt(xor(mac, block))
    return out, xor(mac, cipher.encrypt(first))[:tag_bytes]


def double_ieee(tweak: bytes) -> bytes:
    """The tweak of the next block in IEEE 1619: bytes are little-endian, polynomial 0x87."""
    n = int.from_bytes(tweak, "little") << 1
    return ((n ^ 0x87) & ((1 << 128) - 1) if n >> 128 else n).to_bytes(16, "little")


def double_gb(tweak: bytes) -> bytes:
    """The tweak of the next block in GB/T 17964-2021: bits are counted as in GCM, polynomial 0xE1."""
    n = int.from_bytes(tweak)
    return ((n >> 1) ^ (0xE1 << 120 if n & 1 else 0)).to_bytes(16)


def xts(
    key: bytes,
    iv: bytes,
    data: bytes,
    *,
    encrypt: bool,
    standard: str = "ieee",
    make: Callable[[bytes], Sm4] = Sm4,
) -> bytes:
    """XTS with ciphertext stealing; ``key`` is of 32 bytes, ``standard`` is ``gb`` or ``ieee``.

    Raises:
        ValueError: there are fewer than 16 bytes, or the key or the tweak has another length.
    """
    if len(key) != 32 or len(data) < 16:
        raise ValueError(_("XTS takes two keys of 16 bytes and at least one block"))
    double = double_gb if standard == "gb" else double_ieee
    cipher = make(key[:16])
    tweak = make(key[16:]).encrypt(check_iv(iv))
    one = cipher.encrypt if encrypt else cipher.decrypt
    parts, out = blocks(data), []
    rest = parts.pop() if len(parts[-1]) < 16 else b""
    for index, block in enumerate(parts):
        following = double(tweak)
        if rest and index == len(parts) - 1:
            first, second = (tweak, following) if encrypt else (following, tweak)
            stolen = xor(one(xor(block, first)), first)
            last = rest + stolen[len(rest) :]
            out += [xor(one(xor(last, second)), second), stolen[: len(rest)]]
        else:
            out.append(xor(one(xor(block, tweak)), tweak))
        tweak = following
    return b"".join(out)
