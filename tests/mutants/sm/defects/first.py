"""Known-bad subjects of the first eighty defects."""

from __future__ import annotations

import os
import secrets
import struct
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from pytest_xinchuang.packages.sm_crypto.certificates import Certificate, ChainJudge, parse
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, Reply, Request, pieces
from pytest_xinchuang.sm import curve, der, sm4
from pytest_xinchuang.sm.curve import N, P, Point
from pytest_xinchuang.sm.sm2 import OID_SM2, Refused, Sm2, number32
from pytest_xinchuang.sm.sm3 import HmacSm3, Sm3, sm3, x963kdf_sm3
from pytest_xinchuang.sm.sm4 import Sm4
from tests.mutants.sm.registry import defect, use_sm2
from tests.mutants.sm.steady import Steady


def crash() -> None:
    """What a segmentation fault or a panic looks like from outside."""
    sys.stderr.write("panic: index out of range\n")
    sys.stderr.flush()
    os._exit(70)


# -- SM2 signature


@defect(1)
def signature_range(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def in_range(self, value: int) -> bool:
            return True

        def agrees(self, e: int, found: Point, r: int) -> bool:
            return found is not None and (e + found[0] - r) % N == 0

    use_sm2(h, Bad)


@defect(2)
def sum_zero(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def sum_is_good(self, t: int) -> bool:
            return True

    use_sm2(h, Bad)


@defect(3)
def infinity(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def agrees(self, e: int, found: Point, r: int) -> bool:
            return (e + (found[0] if found else 0)) % N == r

    use_sm2(h, Bad)


@defect(4)
def zero_public_key(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def check_point(self, point: Point) -> Point:
            return point if point == (0, 0) else super().check_point(point)

        check_c1 = Sm2.check_point

    use_sm2(h, Bad)


@defect(5)
def wrong_domain(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def check_point(self, point: Point) -> Point:
            if point == (0, 0):
                raise Refused("not a point")
            return point

        def check_c1(self, point: Point) -> Point:
            return super().check_point(point)

    Bad.check_c1 = Sm2.check_point  # type: ignore[method-assign]
    use_sm2(h, Bad)


@defect(6)
def no_retry(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def acceptable(self, r: int, s: int, k: int) -> bool:
            return True

    use_sm2(h, Bad)


@defect(7)
def private_key_range(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def check_private(self, data: bytes) -> int:
            d = int.from_bytes(data)
            if not 1 <= d < N:
                raise Refused("out of range")
            return d

    use_sm2(h, Bad)


@defect(8)
def default_id_hashes_twice(h: ReferenceHarness) -> None:
    good = h.message_digest

    def bad(request: Request, point: Point) -> bytes:
        if "user_id" not in request and request.get("input") != "digest":
            return sm3(sm3(bytes.fromhex(request["msg"])))
        return good(request, point)

    h.message_digest = bad  # type: ignore[method-assign]


@defect(9)
def default_id_is_empty(h: ReferenceHarness) -> None:
    h.user = lambda request, name="user_id": bytes.fromhex(request.get(name, ""))  # type: ignore[method-assign]


@defect(10)
def long_id(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def id_length(self, user: bytes) -> bytes:
            if len(user) >= 8191:
                raise Refused("too long")
            return super().id_length(user)

    use_sm2(h, Bad)


@defect(11)
def entl_in_bytes(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def id_length(self, user: bytes) -> bytes:
            return len(user).to_bytes(2)

    use_sm2(h, Bad)


@defect(12)
def z_with_sign_byte(h: ReferenceHarness) -> None:
    def signed(n: int) -> bytes:
        return n.to_bytes(33) if n >> 255 else number32(n)

    class Bad(Sm2):
        def z_input(self, user: bytes, point: Point) -> bytes:
            assert point is not None
            domain = b"".join(number32(v) for v in (curve.A, curve.B, *curve.G))
            return self.id_length(user) + user + domain + signed(point[0]) + signed(point[1])

    use_sm2(h, Bad)


@defect(13)
def lstrip_04(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decode_point(self, data: bytes) -> Point:
            if len(data) != 65:
                return super().decode_point(data)
            text = data.hex().lstrip("04")
            return self.check_point((int(text[:64] or "0", 16), int(text[64:] or "0", 16)))

    use_sm2(h, Bad)


@defect(14)
def hash_of_hash(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def digest(self, user: bytes | None, point: Point, msg: bytes) -> bytes:
            return sm3(super().digest(user, point, msg))

    use_sm2(h, Bad)


@defect(15)
def lost_carry(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def agrees(self, e: int, found: Point, r: int) -> bool:
            # A carry into a limb that is all zeros or all ones is lost.
            if found and {0, 0xFFFFFFFF} & {found[0] >> 32 * at & 0xFFFFFFFF for at in range(8)}:
                found = ((found[0] + (1 << 32)) % P, found[1])
            return super().agrees(e, found, r)

    use_sm2(h, Bad)


@defect(16)
def vector_path(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def verify_digest(self, point: Point, digest: bytes, r: int, s: int) -> bool:
            return bool(s >> 224) and super().verify_digest(point, digest, r, s)

    use_sm2(h, Bad)


class _Lenient(der.DerReader):
    """BER, as careless parsers read it: any form of a length, zeros in front, anything behind."""

    def take(self, tag: int) -> bytes:
        data = self.data
        if len(data) < 2 or data[0] != tag:
            raise ValueError("another tag")
        size, at = data[1], 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[2 : 2 + count]), 2 + count
        self.data = data[at + size :]
        return data[at : at + size]

    def integer(self) -> int:
        return int.from_bytes(self.take(2))

    def end(self) -> None:
        pass


@defect(17)
def ber_signature(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decode_signature(self, data: bytes, encoding: str) -> tuple[int, int]:
            if encoding != "der":
                return super().decode_signature(data, encoding)
            inner = _Lenient(_Lenient(data).take(0x30))
            return inner.integer(), inner.integer()

    use_sm2(h, Bad)


@defect(18)
def raw_signature_length(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decode_signature(self, data: bytes, encoding: str) -> tuple[int, int]:
            return super().decode_signature(data[:64] if encoding == "raw" else data, encoding)

    use_sm2(h, Bad)


@defect(19)
def compressed_point(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decode_point(self, data: bytes) -> Point:
            found = super().decode_point(data)
            return curve.negate(found) if len(data) == 33 and data[0] == 3 else found

    use_sm2(h, Bad)


@defect(20)
def private_key_of_33_bytes(h: ReferenceHarness) -> None:
    good = h.op_sm2_keygen

    def bad(request: Request) -> Reply:
        reply = good(request)
        if int(reply["private"], 16) >> 255:
            reply["private"] = "00" + reply["private"]
        return reply

    h.op_sm2_keygen = bad  # type: ignore[method-assign, assignment]


@defect(21)
def low_s(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def sign_digest(self, d: int, digest: bytes, k: int | None = None) -> tuple[int, int]:
            r, s = super().sign_digest(d, digest, k)
            return r, min(s, N - s)

    use_sm2(h, Bad)


@defect(22)
def signer_not_reset(h: ReferenceHarness) -> None:
    good, before = h.op_sm2_sign, []

    def bad(request: Request) -> Reply:
        if request.get("input") != "digest":
            before.append(request["msg"])
            request = {**request, "msg": "".join(before[-2:])}
        return good(request)

    h.op_sm2_sign = bad  # type: ignore[method-assign]


@defect(23)
def weak_nonce(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def nonce(self) -> int:
            return 1 + secrets.randbelow(1 << 250)

    use_sm2(h, Bad)


@defect(24)
def timing(h: ReferenceHarness) -> None:
    class Bad(Steady):
        def check_private(self, data: bytes) -> int:
            d = super().check_private(data)
            for _ in range(300 * d.bit_count()):
                pass
            return d

    use_sm2(h, Bad)


# -- SM2 encryption


@defect(25)
def short_coordinates(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decode_ciphertext(self, data: bytes, encoding: str, order: str) -> tuple[Point, bytes, bytes]:
            c1, c3, c2 = super().decode_ciphertext(data, encoding, order)
            assert c1 is not None
            size = sum(len(der.integer(v)) - 2 for v in c1)
            return c1, c3, c2[: len(c2) - max(0, 64 - size)] if encoding == "der" else c2

    use_sm2(h, Bad)


@defect(26)
def output_overrun(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decrypt(self, d: int, c1: Point, c3: bytes, c2: bytes) -> bytes:
            msg = super().decrypt(d, c1, c3, c2)
            return msg + b"\0" if len(msg) > 100 else msg

    use_sm2(h, Bad)


@defect(27)
def c3_unchecked(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def check_c3(self, c3: bytes, expected: bytes, _msg: bytes) -> None:
            pass

    use_sm2(h, Bad)


@defect(28)
def zero_key_stream(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def key_stream(self, x: int, y: int, size: int) -> bytes:
            return self.kdf(self.coordinate(x) + self.coordinate(y), size)

    use_sm2(h, Bad)


@defect(29)
def leading_zero_shared(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def coordinate(self, value: int) -> bytes:
            return value.to_bytes((value.bit_length() + 7) // 8)

    use_sm2(h, Bad)


@defect(30)
def leading_zero_c1(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decode_ciphertext(self, data: bytes, encoding: str, order: str) -> tuple[Point, bytes, bytes]:
            if encoding == "raw" and data[:1] == b"\x04" and len(data) > 97:
                data = b"\x04" + data[1:].lstrip(b"\0").ljust(len(data) - 1, b"\0")
            return super().decode_ciphertext(data, encoding, order)

    use_sm2(h, Bad)


@defect(31)
def invalid_curve(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def check_c1(self, point: Point) -> Point:
            if point == (0, 0):
                raise Refused("not a point")
            return point

    use_sm2(h, Bad)


@defect(32)
def c1_at_infinity(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def check_c1(self, point: Point) -> Point:
            return point if point == (0, 0) else super().check_c1(point)

        def shared(self, d: int, c1: Point) -> Point:
            return c1 if c1 == (0, 0) else super().shared(d, c1)

    use_sm2(h, Bad)


@defect(33, "sm2_rob")
def off_curve_panics(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def check_c1(self, point: Point) -> Point:
            try:
                return super().check_c1(point)
            except Refused:
                if point is not None and point[0] < P and point[0] and curve.multiply(2, (point[0], 1)) is not None:
                    try:
                        curve.lift(point[0], 0)
                    except ValueError:
                        raise Refused("no such x") from None
                    if point[1] < P:
                        crash()
                raise

    use_sm2(h, Bad)


@defect(34)
def c3_length(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def hash_part(self, c3: bytes) -> bytes:
            return c3

        def check_c3(self, c3: bytes, expected: bytes, msg: bytes) -> None:
            size = min(len(c3), len(expected))
            super().check_c3(c3[:size], expected[:size], msg)

    use_sm2(h, Bad)


@defect(35)
def offset_ignored(h: ReferenceHarness) -> None:
    good = h.handle

    def bad(request: Request) -> Reply:
        skip = request.get("offset", 0)
        name = "msg" if "msg" in request else "ct"
        if skip and not request.get("in_place"):
            text = request[name]
            request = {**request, name: ("00" * skip + text)[: len(text)]}
        return good(request)

    h.handle = bad  # type: ignore[method-assign]


@defect(36, "sm2_rob")
def short_ciphertext(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decode_ciphertext(self, data: bytes, encoding: str, order: str) -> tuple[Point, bytes, bytes]:
            if len(data) < 2:
                crash()
            return super().decode_ciphertext(data, encoding, order)

    use_sm2(h, Bad)


@defect(37)
def kdf_one_block(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def key_stream(self, x: int, y: int, size: int) -> bytes:
            first = super().key_stream(x, y, min(size, 32))
            return (first * (size // 32 + 1))[:size]

    use_sm2(h, Bad)


@defect(38)
def kdf_counter_byte(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def kdf(self, secret: bytes, size: int) -> bytes:
            most = x963kdf_sm3(secret, b"", min(size, 8160))
            return most + x963kdf_sm3(secret, b"", size - 8160) if size > 8160 else most

    use_sm2(h, Bad)


@defect(39)
def key_stream_byte(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def mask(self, data: bytes, stream: bytes) -> bytes:
            return super().mask(data, bytes(min(b, 0xFE) for b in stream))

    use_sm2(h, Bad)


@defect(40)
def plaintext_before_check(h: ReferenceHarness) -> None:
    class Told(Refused):
        def __init__(self, msg: bytes) -> None:
            super().__init__("C3 is wrong")
            self.plaintext = msg

    class Bad(Sm2):
        def check_c3(self, c3: bytes, expected: bytes, msg: bytes) -> None:
            if c3 != expected:
                raise Told(msg)

    use_sm2(h, Bad)
    good = h.op_sm2_decrypt

    def bad(request: Request) -> Reply:
        try:
            return good(request)
        except Told as told:
            return {"error": str(told), "msg": told.plaintext.hex()}

    h.op_sm2_decrypt = bad  # type: ignore[method-assign]


@defect(41)
def ciphertext_order(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decode_ciphertext(self, data: bytes, encoding: str, order: str) -> tuple[Point, bytes, bytes]:
            return super().decode_ciphertext(data, encoding, "c1c2c3")

    use_sm2(h, Bad)


@defect(42, "sm2_rob")
def empty_plaintext(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def key_stream(self, x: int, y: int, size: int) -> bytes:
            if not size:
                crash()
            return super().key_stream(x, y, size)

    use_sm2(h, Bad)


@defect(43)
def ciphertext_trailing(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decode_ciphertext(self, data: bytes, encoding: str, order: str) -> tuple[Point, bytes, bytes]:
            if encoding != "der":
                return super().decode_ciphertext(data, encoding, order)
            inner = _Lenient(_Lenient(data).take(0x30))
            c1 = (inner.integer(), inner.integer())
            return self.check_c1(c1), self.hash_part(inner.take(4)), inner.take(4)

    use_sm2(h, Bad)


# -- SM2 key exchange


@defect(44)
def exchange_order(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def exchange(self, *, initiator: bool, **rest: Any) -> Any:
            if initiator:
                return super().exchange(initiator=True, **rest)
            # ZB before ZA: as if it had begun itself, with the right points.
            return super().exchange(initiator=True, **rest)

    use_sm2(h, Bad)


@defect(45)
def exchange_ids(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def exchange(self, **rest: Any) -> Any:
            return super().exchange(**{**rest, "peer_user": rest["user"]})

    use_sm2(h, Bad)


@defect(46)
def exchange_long_key(h: ReferenceHarness) -> None:
    good = h.op_sm2_exchange

    def bad(request: Request) -> Reply:
        reply = good({**request, "size": min(request["size"], 16)})
        reply["key"] = reply["key"].ljust(2 * request["size"], "0")
        return reply

    h.op_sm2_exchange = bad  # type: ignore[method-assign]


# -- SM3


@defect(47)
def padding_two_blocks(h: ReferenceHarness) -> None:
    class Bad(Sm3):
        def padding(self) -> bytes:
            good = super().padding()
            return good[:1] + bytes(64) + good[1:] if self.length % 64 >= 56 else good

    h.sm3_type = Bad


@defect(48)
def padding_exact(h: ReferenceHarness) -> None:
    class Bad(Sm3):
        def padding(self) -> bytes:
            good = super().padding()
            return good[:1] + bytes(64) + good[1:] if self.length % 64 == 55 else good

    h.sm3_type = Bad


@defect(49)
def several_blocks(h: ReferenceHarness) -> None:
    class Bad(Sm3):
        def update(self, data: bytes) -> None:
            skipped = max(0, len(data) // 64 - 2) * 64
            super().update(data[:128] + data[128 + skipped :])
            self.length += skipped

    h.sm3_type = Bad


@defect(50)
def stale_count(h: ReferenceHarness) -> None:
    class Bad(Sm3):
        lost = 0

        def update(self, data: bytes) -> None:
            before = len(self.tail)
            super().update(data)
            if before and before + len(data) >= 64:
                self.lost += 64 - before

        def padding(self) -> bytes:
            return super().padding()[:-8] + struct.pack(">Q", (self.length - self.lost) * 8)

    h.sm3_type = Bad


@defect(51)
def rotate_count(h: ReferenceHarness) -> None:
    class Bad(Sm3):
        constants = (*Sm3.constants[:32], *([0] * 32))

    h.sm3_type = Bad


@defect(52)
def hash_endianness(h: ReferenceHarness) -> None:
    class Bad(Sm3):
        def digest(self) -> bytes:
            return struct.pack("<8I", *struct.unpack(">8I", super().digest()))

    h.sm3_type = Bad


@defect(53)
def digest_twice(h: ReferenceHarness) -> None:
    class Bad(Sm3):
        def digest(self) -> bytes:
            self.update(self.padding())
            return struct.pack(">8I", *self.state)

    h.sm3_type = Bad


@defect(54)
def input_changed(h: ReferenceHarness) -> None:
    def bad(request: Request) -> Reply:
        state, unit = Sm3(), bytearray.fromhex(request["msg"])
        for _ in range(request.get("repeat", 1)):
            for part in pieces(bytes(unit), request.get("splits", [])):
                state.update(part)
            unit.append(0x80)  # padded in the caller's own list
        return {"digest": state.digest().hex()}

    h.op_sm3 = bad  # type: ignore[method-assign]


# -- SM4


@defect(56)
def counter_wrap(h: ReferenceHarness) -> None:
    def bad(request: Request, data: bytes, *, encrypt: bool) -> tuple[bytes, bytes]:
        iv, aad = bytes.fromhex(request["iv"]), bytes.fromhex(request["aad"])
        return sm4.gcm(h.cipher(request), iv, aad, data, encrypt=encrypt, wrap=128)

    h.gcm = bad  # type: ignore[method-assign]


@defect(57)
def zero_length_iv(h: ReferenceHarness) -> None:
    good = h.gcm

    def bad(request: Request, data: bytes, *, encrypt: bool) -> tuple[bytes, bytes]:
        if request["iv"]:
            return good(request, data, encrypt=encrypt)
        cipher, aad = h.cipher(request), bytes.fromhex(request["aad"])
        key = cipher.encrypt(bytes(16))
        j0 = sm4.ghash(key, bytes(16))
        out = sm4.ctr(cipher, sm4.count(j0, 32), data, wrap=32)
        ct = out if encrypt else data
        whole = sm4.filled(aad) + sm4.filled(ct) + sm4.gcm_lengths(aad, ct)
        return out, sm4.xor(sm4.ghash(key, whole), cipher.encrypt(j0))

    h.gcm = bad  # type: ignore[method-assign]


@defect(58)
def ghash_lengths(h: ReferenceHarness) -> None:
    def bad(request: Request, data: bytes, *, encrypt: bool) -> tuple[bytes, bytes]:
        iv, aad = bytes.fromhex(request["iv"]), bytes.fromhex(request["aad"])
        wrong = lambda a, c: struct.pack(">QQ", len(a), len(c))  # noqa: E731
        return sm4.gcm(h.cipher(request), iv, aad, data, encrypt=encrypt, lengths=wrong)

    h.gcm = bad  # type: ignore[method-assign]


@defect(59)
def partial_block(h: ReferenceHarness) -> None:
    good = h.gcm

    def bad(request: Request, data: bytes, *, encrypt: bool) -> tuple[bytes, bytes]:
        out, tag = good(request, data, encrypt=encrypt)
        return out[: len(out) // 16 * 16], tag

    h.gcm = bad  # type: ignore[method-assign]


@defect(60)
def ccm_extra_block(h: ReferenceHarness) -> None:
    def encode(aad: bytes) -> bytes:
        good = sm4.ccm_aad(aad)
        return good + bytes(16) if aad and (len(aad) + 2) % 16 == 0 else good

    def bad(request: Request, data: bytes, tag_bytes: int, *, encrypt: bool) -> tuple[bytes, bytes]:
        iv, aad = bytes.fromhex(request["iv"]), bytes.fromhex(request["aad"])
        sm4.ccm_check(iv, tag_bytes)
        return sm4.ccm(h.cipher(request), iv, aad, data, tag_bytes, encrypt=encrypt, encode=encode)

    h.ccm = bad  # type: ignore[method-assign]


@defect(61)
def ccm_tag_sizes(h: ReferenceHarness) -> None:
    def bad(request: Request, data: bytes, tag_bytes: int, *, encrypt: bool) -> tuple[bytes, bytes]:
        iv, aad = bytes.fromhex(request["iv"]), bytes.fromhex(request["aad"])
        sm4.ccm_check(iv, 16)
        return sm4.ccm(h.cipher(request), iv, aad, data, tag_bytes, encrypt=encrypt)

    h.ccm = bad  # type: ignore[method-assign]


@defect(62)
def unverified_plaintext(h: ReferenceHarness) -> None:
    good = h.op_sm4_ccm_decrypt

    def bad(request: Request) -> Reply:
        try:
            return good(request)
        except Refused as refused:
            msg, _ = h.ccm(request, bytes.fromhex(request["ct"]), 16, encrypt=False)
            return {"error": str(refused), "msg": msg.hex()}

    h.op_sm4_ccm_decrypt = bad  # type: ignore[method-assign]


@defect(63)
def in_place(h: ReferenceHarness) -> None:
    good = h.op_sm4_cbc_decrypt

    def bad(request: Request) -> Reply:
        if not request.get("in_place"):
            return good(request)
        cipher, last, out = h.cipher(request), bytes.fromhex(request["iv"]), b""
        for block in sm4.blocks(bytes.fromhex(request["ct"])):
            last = sm4.xor(cipher.decrypt(block), last)  # the block before has been overwritten
            out += last
        return {"msg": out.hex()}

    h.op_sm4_cbc_decrypt = bad  # type: ignore[method-assign]


@defect(64)
def shared_scratch(h: ReferenceHarness) -> None:
    scratch: list[bytes] = [b""]

    class Bad(Sm4):
        def encrypt(self, block: bytes) -> bytes:
            scratch[0] = block
            time.sleep(0)
            return super().encrypt(scratch[0])

    h.sm4_type = Bad


@defect(65)
def global_iv(h: ReferenceHarness) -> None:
    iv: list[str] = [""]
    good = {name: getattr(h, name) for name in ("op_sm4_cbc_encrypt", "op_sm4_cbc_decrypt", "op_sm4_ctr_encrypt")}
    for name, operation in good.items():

        def bad(request: Request, operation: Callable[[Request], Reply] = operation) -> Reply:
            iv[0] = request["iv"]
            time.sleep(0.0001)
            return operation({**request, "iv": iv[0]})

        setattr(h, name, bad)


@defect(66)
def xts_tail(h: ReferenceHarness) -> None:
    good = h.op_sm4_xts_encrypt

    def bad(request: Request) -> Reply:
        reply = good(request)
        ((name, text),) = reply.items()
        rest = len(text) % 32
        if rest:
            whole, last, tail = text[: -rest - 32], text[-rest - 32 : -rest], text[-rest:]
            reply[name] = whole + last[rest:] + last[:rest] + tail
        return reply

    h.op_sm4_xts_encrypt = h.op_sm4_xts_decrypt = bad  # type: ignore[method-assign]


@defect(67)
def cipher_endianness(h: ReferenceHarness) -> None:
    def swap(block: bytes) -> bytes:
        return struct.pack("<4I", *struct.unpack(">4I", block))

    class Bad(Sm4):
        def encrypt(self, block: bytes) -> bytes:
            return swap(super().encrypt(swap(block)))

        def decrypt(self, block: bytes) -> bytes:
            return swap(super().decrypt(swap(block)))

    h.sm4_type = Bad


@defect(68)
def iv_not_carried(h: ReferenceHarness) -> None:
    good = h.handle

    def bad(request: Request) -> Reply:
        name = "msg" if "msg" in request else "ct"
        chained = str(request["op"]).startswith(("sm4_cbc", "sm4_ctr", "sm4_ofb", "sm4_cfb"))
        if not request.get("splits") or not chained or request.get("padding") == "pkcs7":
            return good(request)
        parts = pieces(bytes.fromhex(request[name]), request["splits"])
        replies = [good({**request, name: part.hex()}) for part in parts]
        other = "ct" if name == "msg" else "msg"
        refused = [r for r in replies if other not in r]
        return refused[0] if refused else {other: "".join(r[other] for r in replies)}

    h.handle = bad  # type: ignore[method-assign]


@defect(69)
def bad_padding(h: ReferenceHarness) -> None:
    def bad(data: bytes, request: Request) -> bytes:
        return data[: max(0, len(data) - data[-1])] if request.get("padding") == "pkcs7" and data else data

    h.unpadded = bad  # type: ignore[method-assign]


@defect(70)
def hmac_copy(h: ReferenceHarness) -> None:
    class Bad(HmacSm3):
        def copy(self) -> HmacSm3:
            twin = super().copy()
            twin.inner = self.inner
            return twin

    h.hmac_type = Bad


# -- certificates


def use_chains(h: ReferenceHarness, kind: type[ChainJudge]) -> None:
    h.chains = kind(h.sm2)


@defect(72)
def encryption_certificate(h: ReferenceHarness) -> None:
    class Bad(ChainJudge):
        def judge(self, chain: Any, roots: Any, time: int, usage: str, **more: Any) -> None:
            if usage != "encrypt":
                super().judge(chain, roots, time, usage, **more)

    use_chains(h, Bad)


@defect(73)
def rsa_certificate(h: ReferenceHarness) -> None:
    class Bad(ChainJudge):
        def check_leaf(self, leaf: Certificate, usage: str) -> None:
            self.check_usage(leaf, usage)

    use_chains(h, Bad)


@defect(78)
def chain_order(h: ReferenceHarness) -> None:
    class Bad(ChainJudge):
        def judge(self, chain: Any, roots: Any, time: int, usage: str, **more: Any) -> None:
            parsed = [parse(c) for c in chain]
            for lower, upper in pairwise(parsed):
                if lower.names[1] != upper.names[0]:
                    raise Refused("the chain is not in order")
            super().judge(chain, roots, time, usage, **more)

    use_chains(h, Bad)


@defect(79)
def spki_oid(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decode_spki(self, data: bytes) -> Point:
            point = super().decode_spki(data)
            if data.count(OID_SM2) < 2:
                raise Refused("another algorithm")
            return point

    h.sm2 = Bad()


@defect(80)
def empty_basic_constraints(h: ReferenceHarness) -> None:
    class Bad(ChainJudge):
        def check_extensions(self, certificate: Certificate) -> None:
            value = certificate.asn1.basic_constraints_value
            if value is not None and value.contents == b"":
                raise Refused("BasicConstraints are empty")
            super().check_extensions(certificate)

    use_chains(h, Bad)
