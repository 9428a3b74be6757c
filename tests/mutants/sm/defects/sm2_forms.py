"""Known-bad subjects of SM2 whose defects show in one form alone: an encoding, a message, an order, an entry."""

from __future__ import annotations

from typing import Any

from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, Reply, Request
from pytest_xinchuang.sm import curve, der
from pytest_xinchuang.sm.curve import N, Point
from pytest_xinchuang.sm.sm2 import OID_EC, OID_SM2, Exchanged, Refused, Sm2
from pytest_xinchuang.sm.sm3 import sm3
from tests.mutants.sm.defects.first import crash
from tests.mutants.sm.registry import defect, use_sm2

SIGNATURES = ("sm2_verify", "sm2_sign")
DECRYPTION = ("sm2_decrypt",)
EXCHANGE = ("sm2_exchange",)
MASK = (1 << 256) - 1


class Loose(der.DerReader):
    """Reads what is wrong in one way alone; each way is a flag of the class."""

    any_length = any_tag = any_integer = any_end = False
    bits = 0
    """Numbers are cut to so many bits; 0: they are not."""

    def take(self, tag: int) -> bytes:
        if self.any_tag and self.data:
            tag = self.data[0]
        if not self.any_length or len(self.data) < 2 or self.data[0] & 0xDF != tag & 0xDF or not self.data[1] & 0x80:
            return super().take(tag)
        count = self.data[1] & 0x7F
        if not count:
            body, _end, self.data = self.data[2:].partition(b"\0\0") if tag != 0x30 else (self.data[2:-2], b"", b"")
            return body
        size, at = int.from_bytes(self.data[2 : 2 + count]), 2 + count
        body, self.data = self.data[at : at + size], self.data[at + size :]
        return body

    def integer(self) -> int:
        if self.bits or self.any_integer:
            found = int.from_bytes(self.take(2))
            return found & ((1 << self.bits) - 1) if self.bits else found
        return super().integer()

    def end(self) -> None:
        if not self.any_end:
            super().end()


def loose_ciphertext(h: ReferenceHarness, reader: type[Loose]) -> None:
    """Have ciphertexts in DER read by ``reader``."""

    class Bad(Sm2):
        def decode_ciphertext(self, data: bytes, encoding: str, order: str) -> tuple[Point, bytes, bytes]:
            if encoding != "der":
                return super().decode_ciphertext(data, encoding, order)
            outer = reader(data)
            inner = reader(outer.take(0x30))
            outer.end()
            point = inner.integer(), inner.integer()
            c3, c2 = inner.take(4), inner.take(4)
            inner.end()
            return self.check_c1(point), self.hash_part(c3), c2

    use_sm2(h, Bad)


@defect(100, *DECRYPTION)
def ber_ciphertext(h: ReferenceHarness) -> None:
    class Reader(Loose):
        any_length = True

    loose_ciphertext(h, Reader)


@defect(101, *DECRYPTION)
def ciphertext_integers(h: ReferenceHarness) -> None:
    class Reader(Loose):
        any_integer = True

    loose_ciphertext(h, Reader)


@defect(102, *DECRYPTION)
def ciphertext_tags(h: ReferenceHarness) -> None:
    class Reader(Loose):
        any_tag = True

    loose_ciphertext(h, Reader)


@defect(103, *DECRYPTION)
def ciphertext_integer_cut(h: ReferenceHarness) -> None:
    class Reader(Loose):
        bits = 256

    loose_ciphertext(h, Reader)


@defect(104, *SIGNATURES)
def signature_integer_cut(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decode_signature(self, data: bytes, encoding: str) -> tuple[int, int]:
            r, s = super().decode_signature(data, encoding)
            return r & MASK, s & MASK

    use_sm2(h, Bad)


@defect(105, *SIGNATURES)
def raw_signature_range(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        checked = True

        def decode_signature(self, data: bytes, encoding: str) -> tuple[int, int]:
            self.checked = encoding == "der"
            r, s = super().decode_signature(data, encoding)
            return (r, s) if self.checked else (r % N, s % N)

        def in_range(self, value: int) -> bool:
            return super().in_range(value) or not self.checked

    use_sm2(h, Bad)


@defect(106, *SIGNATURES)
def sum_carry(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def verify_digest(self, point: Point, digest: bytes, r: int, s: int) -> bool:
            if not (self.in_range(r) and self.in_range(s)):
                return False
            return self.agrees(int.from_bytes(digest), curve.combine(s, (r + s & MASK) % N, point), r)

    use_sm2(h, Bad)


@defect(107, *SIGNATURES)
def hash_carry(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def agrees(self, e: int, found: Point, r: int) -> bool:
            return found is not None and (e + found[0] & MASK) % N == r

    use_sm2(h, Bad)


@defect(108, *SIGNATURES)
def hash_above_order(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def agrees(self, e: int, found: Point, r: int) -> bool:
            return e < N and super().agrees(e, found, r)

    use_sm2(h, Bad)


@defect(109, "sm2_key")
def key_first_byte(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decode_point(self, data: bytes) -> Point:
            return super().decode_point(b"\x04" + data[1:] if len(data) == 65 else data)

    use_sm2(h, Bad)


@defect(110, *DECRYPTION)
def c1_first_byte(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decode_ciphertext(self, data: bytes, encoding: str, order: str) -> tuple[Point, bytes, bytes]:
            return super().decode_ciphertext(b"\x04" + data[1:] if encoding == "raw" else data, encoding, order)

    use_sm2(h, Bad)


@defect(111, *DECRYPTION)
def c3_as_string(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def check_c3(self, c3: bytes, expected: bytes, msg: bytes) -> None:
            super().check_c3(c3.partition(b"\0")[0], expected.partition(b"\0")[0], msg)

    use_sm2(h, Bad)


@defect(112, *DECRYPTION)
def c3_in_part(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def check_c3(self, c3: bytes, expected: bytes, msg: bytes) -> None:
            super().check_c3(c3[:16], expected[:16], msg)

    use_sm2(h, Bad)


@defect(113, *DECRYPTION)
def ciphertext_zeros(h: ReferenceHarness) -> None:
    good = h.op_sm2_decrypt

    def bad(request: Request) -> Reply:
        return good({**request, "ct": bytes.fromhex(request["ct"]).rstrip(b"\0").hex()})

    h.op_sm2_decrypt = bad  # type: ignore[method-assign]


@defect(114, *DECRYPTION)
def plaintext_zeros(h: ReferenceHarness) -> None:
    good = h.op_sm2_decrypt

    def bad(request: Request) -> Reply:
        return {"msg": bytes.fromhex(good(request)["msg"]).partition(b"\0")[0].hex()}

    h.op_sm2_decrypt = bad  # type: ignore[method-assign]


@defect(115, *DECRYPTION)
def ciphertext_order_guessed(h: ReferenceHarness) -> None:
    good = h.op_sm2_decrypt

    def bad(request: Request) -> Reply:
        try:
            return good(request)
        except Refused:
            other = "c1c2c3" if request.get("order", "c1c3c2") == "c1c3c2" else "c1c3c2"
            return good({**request, "order": other})

    h.op_sm2_decrypt = bad  # type: ignore[method-assign]


@defect(116, *SIGNATURES)
def message_zeros(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def digest(self, user: bytes | None, point: Point, msg: bytes) -> bytes:
            return super().digest(user, point, msg.partition(b"\0")[0])

    h.sm2 = Bad()


@defect(117, *SIGNATURES)
def id_zeros(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def z_input(self, user: bytes, point: Point) -> bytes:
            return super().z_input(user.partition(b"\0")[0], point)

    h.sm2 = Bad()


@defect(118, *SIGNATURES)
def id_characters(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def id_length(self, user: bytes) -> bytes:
            return super().id_length(user.decode(errors="ignore").encode("latin-1", "replace"))

    h.sm2 = Bad()


@defect(119, *SIGNATURES)
def id_too_long(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def id_length(self, user: bytes) -> bytes:
            return (len(user) * 8 & 0xFFFF).to_bytes(2)

    h.sm2 = Bad()


@defect(120, *SIGNATURES)
def empty_id(h: ReferenceHarness) -> None:
    good = h.user
    h.user = lambda request, name="user_id": good(request, name) or h.default_id  # type: ignore[method-assign]


@defect(121, "sm2_key_v")
def own_key_range(h: ReferenceHarness) -> None:
    def bad(request: Request) -> int:
        d = int(request["private"], 16)
        if (d + 1) % N == 0:
            return d - 1  # one that can be inverted
        return d % N or 1

    h.private = bad  # type: ignore[method-assign]
    good = h.op_sm2_decrypt

    def decrypt(request: Request) -> Reply:
        if int(request["private"], 16) < N - 1:
            return good(request)
        encoding, order = request.get("encoding", "der"), request.get("order", "c1c3c2")
        parts = h.sm2.decode_ciphertext(bytes.fromhex(request["ct"]), encoding, order)
        return {"msg": h.sm2.decrypt(int(request["private"], 16) % N, *parts).hex()}

    h.op_sm2_decrypt = decrypt  # type: ignore[method-assign]


def exchanging(h: ReferenceHarness, request: Request, d: int, r: int) -> Exchanged:
    return h.sm2.exchange(
        initiator=request["role"] == "initiator",
        d=d,
        r=r,
        user=h.user(request),
        peer=h.point(request, "peer_public"),
        peer_ephemeral=h.point(request, "peer_ephemeral"),
        peer_user=h.user(request, "peer_id"),
        size=request["size"],
    )


def shown(done: Exchanged) -> Reply:
    return {"key": done.key.hex(), "confirm_a": done.confirm_a.hex(), "confirm_b": done.confirm_b.hex()}


@defect(122, *EXCHANGE)
def exchange_own_key(h: ReferenceHarness) -> None:
    def bad(request: Request) -> Reply:
        d = int(request["private"], 16) % N or 1
        return shown(exchanging(h, request, d, int(request["ephemeral"], 16)))

    h.op_sm2_exchange = bad  # type: ignore[method-assign]


@defect(123, *EXCHANGE)
def exchange_ephemeral(h: ReferenceHarness) -> None:
    def bad(request: Request) -> Reply:
        r = int(request["ephemeral"], 16) % N or 1
        return shown(exchanging(h, request, h.private(request), r))

    h.op_sm2_exchange = bad  # type: ignore[method-assign]


@defect(124, *EXCHANGE)
def exchange_infinity(h: ReferenceHarness) -> None:
    good = h.op_sm2_exchange

    def bad(request: Request) -> Reply:
        try:
            return good(request)
        except Refused as refused:
            if "infinity" not in str(refused):
                raise
            return {"key": h.sm2.kdf(bytes(64), request["size"]).hex(), "confirm_a": sm3(b"\x03").hex()}

    h.op_sm2_exchange = bad  # type: ignore[method-assign]


@defect(125, *EXCHANGE)
def exchange_confirm(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def exchange(self, **rest: Any) -> Exchanged:
            done = super().exchange(**rest)
            return Exchanged(done.key, done.confirm_a, done.confirm_b)

    use_sm2(h, Bad)


@defect(126, "sm2_keys")
def spki_encoding(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def decode_spki(self, data: bytes) -> Point:
            outer = der.DerReader(der.DerReader(data).take(0x30))
            algorithm = der.DerReader(outer.take(0x30))
            if (algorithm.take(6), algorithm.take(6)) != (OID_EC, OID_SM2):
                raise Refused("another algorithm")
            return self.decode_point(outer.take(3)[1:])

    use_sm2(h, Bad)


@defect(127, "sm2_keys")
def private_key_bytes(h: ReferenceHarness) -> None:
    class Bad(Sm2):
        def check_private(self, data: bytes) -> int:
            return super().check_private(data[-32:])

    use_sm2(h, Bad)


@defect(128, "sm2_rob")
def lying_length(h: ReferenceHarness) -> None:
    good = h.handle

    def bad(request: Request) -> Reply:
        for name in ("ct",):
            text = bytes.fromhex(request.get(name, ""))
            if (
                text[:1] == b"\x30"
                and text[1:2] > b"\x82"
                and int.from_bytes(text[2 : 2 + (text[1] & 0x7F)]) > len(text)
            ):
                crash()
        return good(request)

    h.handle = bad  # type: ignore[method-assign]
