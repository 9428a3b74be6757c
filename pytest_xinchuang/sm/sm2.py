"""SM2 (GB/T 32918-2016 parts 2 to 4, GM/T 0009-2012 encodings) with the random number given from outside.

Each step that implementations get wrong is a method of its own, so that a known-bad subject differs by one method.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from pytest_xinchuang.messages import _, told
from pytest_xinchuang.sm import curve, der
from pytest_xinchuang.sm.curve import N, P, Point
from pytest_xinchuang.sm.sm3 import sm3, x963kdf_sm3

DEFAULT_ID = b"1234567812345678"
"""GM/T 0009-2012 clause 10: the user id to take where none has been agreed on."""


class Refused(ValueError):
    """An input that must not be accepted."""


@dataclass(frozen=True)
class Exchanged:
    """What one side of a key exchange has at the end: the key and the two confirmation values (part 3, clause 6.1).

    Attributes:
        confirm_b: S_B, which B sends and A compares (prefix 0x02).
        confirm_a: S_A, which A sends and B compares (prefix 0x03).
    """

    key: bytes
    confirm_b: bytes
    confirm_a: bytes


def number32(n: int) -> bytes:
    return n.to_bytes(32)


class Sm2:
    """The algorithms. Every method raises Refused (a ValueError) for an input that must not be accepted."""

    # -- keys

    def encode_point(self, point: Point) -> bytes:
        assert point is not None
        return b"\x04" + number32(point[0]) + number32(point[1])

    def decode_point(self, data: bytes) -> Point:
        """An uncompressed or compressed point (part 1, clause 4.2.9), checked to be on the curve."""
        if len(data) == 65 and data[0] == 4:
            point: Point = (int.from_bytes(data[1:33]), int.from_bytes(data[33:]))
        elif len(data) == 33 and data[0] in (2, 3):
            try:
                point = curve.lift(int.from_bytes(data[1:]), data[0] & 1)
            except ValueError as error:
                raise Refused(told(error)) from None
        else:
            raise Refused(_("not the encoding of a point"))
        return self.check_point(point)

    def check_point(self, point: Point) -> Point:
        """``point``, if it is on the curve (part 1, clause 6.2.1). The cofactor is 1: the curve's equation suffices."""
        if not curve.on_curve(point):
            raise Refused(_("the point is not on the curve"))
        return point

    def check_private(self, data: bytes) -> int:
        """The private key, a number from 1 to n-2 in 32 bytes (part 1, clause 6.1)."""
        d = int.from_bytes(data)
        if len(data) != 32 or not 1 <= d <= N - 2:
            raise Refused(_("a private key has 32 bytes and is from 1 to n-2"))
        return d

    def check_ephemeral(self, k: int) -> int:
        """``k``, a number from 1 to n-1 as parts 2 to 4 draw it (clauses 6.1)."""
        if not 1 <= k <= N - 1:
            raise Refused(_("a random number is from 1 to n-1"))
        return k

    def public_of(self, d: int) -> Point:
        return curve.multiply_base(d)

    def generate(self) -> int:
        return 1 + secrets.randbelow(N - 2)

    def decode_spki(self, data: bytes) -> Point:
        """SubjectPublicKeyInfo of an SM2 key: id-ecPublicKey with the curve 1.2.156.10197.1.301 (GB/T 35276-2017)."""
        try:
            outer = der.read_sequence(data)
            algorithm = der.DerReader(outer.take(0x30))
            oids = (algorithm.take(6), algorithm.take(6))
            algorithm.end()
            bits = outer.take(3)
            outer.end()
        except ValueError as error:
            raise Refused(told(error)) from None
        if oids != (OID_EC, OID_SM2) or not bits or bits[0]:
            raise Refused(_("not an SM2 public key"))
        return self.decode_point(bits[1:])

    # -- signature (part 2)

    def id_length(self, user: bytes) -> bytes:
        """ENTL: the length of the id in bits, two bytes, big-endian."""
        if len(user) > 8191:
            raise Refused(_("the id is longer than 8191 bytes"))
        return (len(user) * 8).to_bytes(2)

    def z_input(self, user: bytes, point: Point) -> bytes:
        assert point is not None
        domain = b"".join(number32(v) for v in (curve.A, curve.B, *curve.G))
        return self.id_length(user) + user + domain + number32(point[0]) + number32(point[1])

    def z(self, user: bytes, point: Point) -> bytes:
        """The hash of the id, the curve and the public key (part 2, clause 5.5)."""
        return sm3(self.z_input(user, point))

    def digest(self, user: bytes | None, point: Point, msg: bytes) -> bytes:
        return sm3(self.z(DEFAULT_ID if user is None else user, point) + msg)

    def encode_signature(self, r: int, s: int, encoding: str) -> bytes:
        return der.sequence(der.integer(r), der.integer(s)) if encoding == "der" else number32(r) + number32(s)

    def decode_signature(self, data: bytes, encoding: str) -> tuple[int, int]:
        if encoding == "raw":
            if len(data) != 64:
                raise Refused(_("a raw signature has 64 bytes, this one has {n}", n=len(data)))
            return int.from_bytes(data[:32]), int.from_bytes(data[32:])
        try:
            reader = der.read_sequence(data)
            r, s = reader.integer(), reader.integer()
            reader.end()
        except ValueError as error:
            raise Refused(told(error)) from None
        return r, s

    def nonce(self) -> int:
        return 1 + secrets.randbelow(N - 1)

    def sign_digest(self, d: int, digest: bytes, k: int | None = None) -> tuple[int, int]:
        """``(r, s)`` (part 2, clause 6.1). A given ``k`` that the standard says to replace is refused."""
        e = int.from_bytes(digest)
        while True:
            used = self.nonce() if k is None else k
            point = curve.multiply_base(used)
            assert point is not None
            r = (e + point[0]) % N
            s = pow(1 + d, -1, N) * (used - r * d) % N
            if self.acceptable(r, s, used):
                return r, s
            if k is not None:
                raise Refused(_("this k has to be replaced: r = 0, r + k = n or s = 0"))

    def acceptable(self, r: int, s: int, k: int) -> bool:
        return bool(r and (r + k) % N and s)

    def verify_digest(self, point: Point, digest: bytes, r: int, s: int) -> bool:
        """Whether the signature is valid (part 2, clause 7.1)."""
        if not (self.in_range(r) and self.in_range(s)):
            return False
        t = (r + s) % N
        if not self.sum_is_good(t):
            return False
        found = curve.combine(s, t, point)
        return self.agrees(int.from_bytes(digest), found, r)

    def in_range(self, value: int) -> bool:
        return 1 <= value < N

    def sum_is_good(self, t: int) -> bool:
        return t != 0

    def agrees(self, e: int, found: Point, r: int) -> bool:
        return found is not None and (e + found[0]) % N == r

    # -- encryption (part 4)

    def kdf(self, secret: bytes, size: int) -> bytes:
        return x963kdf_sm3(secret, b"", size)

    def coordinate(self, value: int) -> bytes:
        """A coordinate of the shared point as it goes into KDF and C3: always 32 bytes."""
        return number32(value)

    def key_stream(self, x: int, y: int, size: int) -> bytes:
        """The output of the KDF. Raises Refused: it is all zeros (GB/T 32918.4-2016 clause 6.1 step A5)."""
        stream = self.kdf(self.coordinate(x) + self.coordinate(y), size)
        if size and not any(stream):
            raise Refused(_("the key stream is all zeros"))
        return stream

    def mask(self, data: bytes, stream: bytes) -> bytes:
        return bytes(a ^ b for a, b in zip(data, stream, strict=True))

    def encrypt(self, point: Point, msg: bytes, k: int | None = None) -> tuple[Point, bytes, bytes]:
        """C1, C3 and C2; a given ``k`` whose key stream is all zeros is refused."""
        while True:
            used = self.nonce() if k is None else k
            shared = curve.multiply(used, point)
            assert shared is not None
            try:
                stream = self.key_stream(*shared, len(msg))
            except Refused:
                if k is not None:
                    raise
                continue
            x, y = (self.coordinate(v) for v in shared)
            return curve.multiply_base(used), sm3(x + msg + y), self.mask(msg, stream)

    def decrypt(self, d: int, c1: Point, c3: bytes, c2: bytes) -> bytes:
        shared = self.shared(d, c1)
        if shared is None:
            raise Refused(_("C1 leads to the point at infinity"))
        msg = self.mask(c2, self.key_stream(*shared, len(c2)))
        x, y = (self.coordinate(v) for v in shared)
        self.check_c3(c3, sm3(x + msg + y), msg)
        return msg

    def shared(self, d: int, c1: Point) -> Point:
        return curve.multiply(d, c1)

    def check_c3(self, c3: bytes, expected: bytes, _msg: bytes) -> None:
        if c3 != expected:
            raise Refused(_("C3 is not the hash of the decrypted message"))

    def encode_ciphertext(self, c1: Point, c3: bytes, c2: bytes, encoding: str, order: str) -> bytes:
        """``der`` is GM/T 0009-2012 clause 7.2; ``raw`` joins the parts in the given order, C1 with its 04."""
        if encoding == "der":
            assert c1 is not None
            return der.sequence(der.integer(c1[0]), der.integer(c1[1]), der.tlv(4, c3), der.tlv(4, c2))
        head = self.encode_point(c1)
        return head + (c3 + c2 if order == "c1c3c2" else c2 + c3)

    def decode_ciphertext(self, data: bytes, encoding: str, order: str) -> tuple[Point, bytes, bytes]:
        if encoding == "der":
            try:
                reader = der.read_sequence(data)
                x, y, c3, c2 = reader.integer(), reader.integer(), reader.take(4), reader.take(4)
                reader.end()
            except ValueError as error:
                raise Refused(told(error)) from None
            return self.check_c1((x, y)), self.hash_part(c3), c2
        if len(data) < 65 + 32 or data[0] != 4:
            raise Refused(_("too short for C1 and C3, or C1 is not uncompressed"))
        c1 = self.check_c1((int.from_bytes(data[1:33]), int.from_bytes(data[33:65])))
        rest = data[65:]
        return (c1, rest[:32], rest[32:]) if order == "c1c3c2" else (c1, rest[-32:], rest[:-32])

    def hash_part(self, c3: bytes) -> bytes:
        if len(c3) != 32:
            raise Refused(_("C3 has 32 bytes, this one has {n}", n=len(c3)))
        return c3

    def check_c1(self, point: Point) -> Point:
        """``point``, if it is on the curve (part 4, clause 7.1 step B1)."""
        return self.check_point(point)

    # -- key exchange (part 3)

    def reduced(self, x: int) -> int:
        """``2**w + (x & (2**w - 1))`` with w = 127 (part 3, clause 6.1 step A4)."""
        return (1 << 127) + (x & ((1 << 127) - 1))

    def exchange(
        self,
        *,
        initiator: bool,
        d: int,
        r: int,
        user: bytes | None,
        peer: Point,
        peer_ephemeral: Point,
        peer_user: bytes | None,
        size: int,
    ) -> Exchanged:
        """The key of ``size`` bytes that two sides agree on; ``r`` is our own ephemeral number."""
        self.check_ephemeral(r)
        own_ephemeral = curve.multiply_base(r)
        assert own_ephemeral is not None and peer_ephemeral is not None
        t = (d + self.reduced(own_ephemeral[0]) * r) % N
        sum_ = curve.add(peer, curve.multiply(self.reduced(peer_ephemeral[0]), peer_ephemeral))
        shared = curve.multiply(t, sum_)
        if shared is None:
            raise Refused(_("the shared point is at infinity"))
        own_z = self.z(DEFAULT_ID if user is None else user, self.public_of(d))
        peer_z = self.z(DEFAULT_ID if peer_user is None else peer_user, peer)
        za, zb = (own_z, peer_z) if initiator else (peer_z, own_z)
        ra, rb = (own_ephemeral, peer_ephemeral) if initiator else (peer_ephemeral, own_ephemeral)
        x, y = number32(shared[0]), number32(shared[1])
        points = b"".join(map(number32, (*ra, *rb)))
        inner = sm3(x + za + zb + points)
        return Exchanged(self.kdf(x + y + za + zb, size), sm3(b"\x02" + y + inner), sm3(b"\x03" + y + inner))


OID_EC = bytes.fromhex("2a8648ce3d0201")
"""1.2.840.10045.2.1, id-ecPublicKey (RFC 5480)."""
OID_SM2 = bytes.fromhex("2a811ccf5501822d")
"""1.2.156.10197.1.301, the curve SM2 (GB/T 33560-2017)."""
OID_SM2_SIGN_SM3 = bytes.fromhex("2a811ccf55018375")
"""1.2.156.10197.1.501, SM2 signature with SM3 (GB/T 33560-2017)."""


def encode_spki(point: bytes, algorithm: bytes = OID_EC, parameters: bytes = OID_SM2) -> bytes:
    """SubjectPublicKeyInfo around the encoding of a point."""
    oids = der.sequence(der.tlv(6, algorithm), der.tlv(6, parameters))
    return der.sequence(oids, der.tlv(3, b"\0" + point))


assert P % 4 == 3  # curve.lift takes its roots by that
