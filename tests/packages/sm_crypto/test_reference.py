"""The reference gives what the standards print, and refuses what is malformed."""

from __future__ import annotations

import hashlib
import sys
import threading

import pytest

from pytest_xinchuang.sm import curve, der, sm4
from pytest_xinchuang.sm.sm2 import Refused, Sm2, encode_spki
from pytest_xinchuang.sm.sm3 import Sm3, hkdf_expand, hkdf_sm3, pbkdf2_sm3, sm3, x963kdf_sm3
from pytest_xinchuang.sm.sm4 import SBOX, Sm4

D = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8


def test_the_sbox_is_the_standards_table() -> None:
    # GB/T 32907-2016 clause 6.2, the first and the last row; and it is a permutation.
    assert SBOX[:16].hex() == "d690e9fecce13db716b614c228fb2c05"
    assert SBOX[-16:].hex() == "18f07dec3adc4d2079ee5f3ed7cb3948"
    assert sorted(SBOX) == list(range(256))


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000])
def test_sm3_is_openssls(size: int) -> None:
    data = bytes(i * 7 & 255 for i in range(size))
    assert sm3(data) == hashlib.new("sm3", data).digest()


def test_a_hash_can_be_asked_copied_and_gone_on_with() -> None:
    state = Sm3(b"abc")
    twin = state.copy()
    assert state.digest() == state.digest() == sm3(b"abc")
    twin.update(b"d")
    assert (state.digest(), twin.digest()) == (sm3(b"abc"), sm3(b"abcd"))


def test_the_curve_adds_up() -> None:
    k, m = 12345678901234567890, 98765432109876543210
    p, q = curve.multiply_base(k), curve.multiply_base(m)
    assert curve.add(p, q) == curve.multiply_base(k + m)
    assert curve.multiply(m, p) == curve.multiply(k, q)
    assert curve.add(p, curve.negate(p)) is None
    assert curve.multiply(curve.N, p) is None
    assert curve.combine(k, m, curve.G) == curve.multiply_base(k + m)
    assert p is not None and curve.lift(p[0], p[1] & 1) == p


def test_sm2_refuses_what_it_must() -> None:
    sm2, point = Sm2(), curve.multiply_base(D)
    digest = sm2.digest(None, point, b"x")
    r, s = sm2.sign_digest(D, digest)
    assert sm2.verify_digest(point, digest, r, s)
    assert not sm2.verify_digest(point, digest, r, curve.N - r)
    for bad in (b"", bytes(65), b"\x04" + bytes(64), b"\x05" + bytes(64), b"\x02" + b"\xff" * 32):
        with pytest.raises(Refused):
            sm2.decode_point(bad)
    for d in (0, curve.N - 1, curve.N):
        with pytest.raises(Refused):
            sm2.check_private(d.to_bytes(32))
    spki = encode_spki(sm2.encode_point(point))
    assert sm2.decode_spki(spki) == point
    for bad in (spki + b"\0", spki[:-1], b"", spki[:20]):
        with pytest.raises(Refused):
            sm2.decode_spki(bad)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "3000",
        "3003020101",
        "300602010102020001",
        "30060201ff020101",
        "308006020101020101",
        "3006020101020101ff",
        "30070201010201010500",
    ],
)
def test_der_is_strict(text: str) -> None:
    with pytest.raises(Refused):
        Sm2().decode_signature(bytes.fromhex(text), "der")
    assert der.read_sequence(bytes.fromhex("3006020101020102")).integer() == 1


class Long(bytes):
    """Bytes that say that they are more than anybody has."""

    def __new__(cls, size: int) -> Long:
        made = super().__new__(cls, b"")
        made.size = size
        return made

    size: int

    def __len__(self) -> int:
        return self.size


def test_modes_refuse_wrong_lengths() -> None:
    cipher = Sm4(bytes(16))
    for attempt in (
        lambda: Sm4(bytes(15)),
        lambda: sm4.ecb(cipher, bytes(15), encrypt=True),
        lambda: sm4.cbc(cipher, bytes(15), bytes(16), encrypt=True),
        lambda: sm4.ctr(cipher, b"", b"x"),
        lambda: sm4.gcm(cipher, b"", b"", b"", encrypt=True),
        lambda: sm4.ccm_check(bytes(6), 16),
        lambda: sm4.ccm_check(bytes(12), 5),
        lambda: sm4.xts(bytes(32), bytes(16), bytes(15), encrypt=True),
        lambda: sm4.unpad(bytes(16)),
        lambda: sm4.unpad(b""),
        lambda: hkdf_sm3(b"", b"", b"", 8161),
        lambda: hkdf_sm3(b"", b"", b"", -1),
        lambda: hkdf_expand(bytes(32), b"", 8161),
        lambda: pbkdf2_sm3(b"", b"", 0, 16),
        lambda: pbkdf2_sm3(b"", b"", -1, 16),
        lambda: pbkdf2_sm3(b"", b"", 1, 0),
        lambda: pbkdf2_sm3(b"", b"", 1, (1 << 32) * 32),
        lambda: x963kdf_sm3(b"", b"", -1),
        lambda: x963kdf_sm3(b"", b"", (1 << 32) * 32),
        lambda: sm4.gcm_check(0),
        lambda: sm4.gcm_check(5),
        lambda: sm4.gcm_check(17),
        lambda: sm4.gcm(cipher, bytes(12), b"", Long(sm4.GCM_MOST + 1), encrypt=True),
        lambda: sm4.ccm(cipher, bytes(13), b"", bytes(1 << 16), 16, encrypt=True),
        lambda: sm4.ctr(cipher, bytes(16), bytes(16), wrap=0),
        lambda: sm4.ctr(cipher, bytes(16), bytes(16), wrap=129),
    ):
        with pytest.raises(ValueError):
            attempt()


def test_million_times_is_the_standards_value_in_the_vectors() -> None:
    # The reference's own thousand; the million is asked of the subjects.
    block = cipher_input = bytes.fromhex("0123456789abcdeffedcba9876543210")
    cipher = Sm4(cipher_input)
    for _ in range(1000):
        block = cipher.encrypt(block)
    for _ in range(1000):
        block = cipher.decrypt(block)
    assert block == cipher_input


def test_the_longest_that_are_good() -> None:
    assert len(sm4.ccm(Sm4(bytes(16)), bytes(13), b"", bytes((1 << 16) - 1), 16, encrypt=True)[0]) == 65535
    assert len(hkdf_sm3(b"", b"", b"", 8160)) == 8160 and hkdf_sm3(b"", b"", b"", 0) == b""
    assert len(pbkdf2_sm3(b"", b"", 1, 1)) == 1
    assert x963kdf_sm3(b"x", b"", 0) == b""


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_a_digest_has_32_bytes(size: int) -> None:
    sm2, point = Sm2(), curve.multiply_base(D)
    r, s = sm2.sign_digest(D, bytes(32), 7)
    assert sm2.verify_digest(point, bytes(32), r, s)
    with pytest.raises(Refused, match="32 bytes"):
        sm2.verify_digest(point, bytes(size), r, s)
    with pytest.raises(Refused, match="32 bytes"):
        sm2.sign_digest(D, bytes(size), 7)


@pytest.mark.parametrize("k", [-1, 0, curve.N, curve.N + 1, 1 << 256])
def test_a_random_number_is_from_1_to_n_less_1(k: int) -> None:
    sm2, point = Sm2(), curve.multiply_base(D)
    for attempt in (
        lambda: sm2.sign_digest(D, bytes(32), k),
        lambda: sm2.encrypt(point, b"text", k),
        lambda: exchange(r=k),
    ):
        with pytest.raises(Refused, match="from 1 to n-1"):
            attempt()


def exchange(**change: object) -> bytes:
    good = {
        "initiator": True, "d": D, "r": 5, "user": None, "peer": curve.multiply_base(3), "peer_user": None, "size": 16,
        "peer_ephemeral": curve.multiply_base(4),
    }  # fmt: skip
    return Sm2().exchange(**{**good, **change}).key  # type: ignore[arg-type]


def test_an_exchange_refuses_what_it_must() -> None:
    assert len(exchange()) == 16 and exchange(r=1) != exchange(r=curve.N - 1)
    fourth = curve.multiply_base(4)
    assert fourth is not None
    # P = -[x]R leads to infinity: part 3, clause 6.1 step A7.
    away = curve.negate(curve.multiply(Sm2().reduced(fourth[0]), fourth))
    for change in (
        {"d": 0}, {"d": curve.N - 1}, {"d": curve.N}, {"d": -1}, {"peer": None}, {"peer_ephemeral": None},
        {"peer_ephemeral": (0, 0)}, {"peer_ephemeral": (1, 1)}, {"peer": away}, {"size": -1},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            exchange(**change)


def test_no_standard_lets_a_point_be_at_infinity() -> None:
    sm2 = Sm2()
    for attempt in (
        lambda: sm2.encode_point(None),
        lambda: sm2.z(b"", None),
        lambda: sm2.verify_digest(None, bytes(32), 1, 2),
        lambda: sm2.encrypt(None, b"text"),
        lambda: sm2.encode_ciphertext(None, bytes(32), b"", "der", "c1c3c2"),
        lambda: sm2.decrypt(curve.N, curve.G, bytes(32), b"text"),
        lambda: sm2.sign_digest(curve.N - 1, bytes(32)),
    ):
        with pytest.raises(Refused):
            attempt()
    with pytest.raises(ValueError):
        curve.multiply(-1, curve.G)
    with pytest.raises(ValueError):
        curve.lift(-1, 0)


def test_the_table_of_multiples_is_seen_whole_or_not_at_all() -> None:
    expected = curve.multiply_base(D)
    for _round in range(4):
        curve._comb = ()
        together = threading.Barrier(8)
        seen: list[curve.Point] = []

        def work(together: threading.Barrier = together, seen: list[curve.Point] = seen) -> None:
            together.wait()
            seen.append(curve.multiply_base(D))

        threads = [threading.Thread(target=work) for _ in range(8)]
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(before)
        assert seen == [expected] * 8
        assert [len(row) for row in curve._comb_made()] == [16] * 64
