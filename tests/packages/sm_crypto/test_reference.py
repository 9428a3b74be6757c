"""The reference gives what the standards print, and refuses what is malformed."""

from __future__ import annotations

import hashlib

import pytest

from pytest_xinchuang.sm import curve, der, sm4
from pytest_xinchuang.sm.sm2 import Refused, Sm2, encode_spki
from pytest_xinchuang.sm.sm3 import Sm3, hkdf_sm3, sm3
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
