"""Draws one operation of the harness protocol: most are good, the others extreme or malformed; the same for the same number."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import Any

from pytest_xinchuang.sm import curve, der
from pytest_xinchuang.sm.curve import N, P
from pytest_xinchuang.sm.sm2 import DEFAULT_ID, Refused, Sm2, encode_spki

Request = dict[str, Any]
Draw = Callable[[Random], Request]

SM2_SHARE = 0.055
"""Of all operations: a multiplication on the curve takes Python as long as a hundred blocks."""

_SM2 = Sm2()
_SIZES = (0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 55, 56, 63, 64, 65, 96, 119, 120, 127, 128, 129)
_EDGES = (0, 1, 2, N - 2, N - 1, N, N + 1, P - 1, P, P + 1, (1 << 256) - 1, 1 << 255, 1 << 128, 1 << 64)


def operation(seed: int, number: int) -> Request:
    """The operation of this number."""
    draw = Random(f"sm:{seed}:{number}")
    make = draw.choice(SM2 if draw.random() < SM2_SHARE else SYMMETRIC)
    return make(draw)


def size(draw: Random) -> int:
    return draw.choice(_SIZES) if draw.random() < 0.5 else draw.randrange(200)


def octets(draw: Random, n: int) -> bytes:
    """Random bytes, at times all alike."""
    kind = draw.random()
    if kind < 0.03:
        return bytes(n)
    return b"\xff" * n if kind < 0.06 else draw.randbytes(n)


def off(draw: Random, n: int, chance: float = 0.04) -> int:
    """``n``, or now and then another length near it, or none."""
    if draw.random() >= chance:
        return n
    return draw.choice((0, 1, max(n - 1, 0), n + 1, 2 * n))


# -- SM3


def _sm3(draw: Random) -> Request:
    msg = octets(draw, size(draw))
    out: Request = {"op": "sm3", "msg": msg.hex()}
    if draw.random() < 0.4:
        out["splits"], left = [], len(msg)
        while left and draw.random() < 0.7:
            out["splits"].append(draw.randrange(left + 1))
            left -= out["splits"][-1]
    if draw.random() < 0.1:
        out["repeat"] = draw.choice((1, 2, 3, 10))
    return out


def _stream(draw: Random) -> Request:
    steps: list[Request] = []
    for _ in range(draw.randrange(1, 6)):
        kind = draw.choice(("update", "update", "clone", "digest", "reset"))
        steps.append({kind: octets(draw, _short(draw)).hex() if kind in ("update", "clone") else True})
    out: Request = {"op": draw.choice(("sm3_stream", "hmac_sm3_stream")), "steps": steps}
    if out["op"] == "hmac_sm3_stream":
        out["key"] = octets(draw, size(draw)).hex()
    if any("clone" in step for step in steps):
        out["clone"] = True
    return out


def _hmac(draw: Random) -> Request:
    return {"op": "hmac_sm3", "key": octets(draw, size(draw)).hex(), "msg": octets(draw, _short(draw)).hex()}


def _short(draw: Random) -> int:
    return size(draw) if draw.random() < 0.15 else draw.randrange(50)


def _wanted(draw: Random) -> int:
    return draw.choice((1, 16, 31, 32, 33, 64, 100, 160)) if draw.random() < 0.3 else draw.randrange(1, 33)


def _hkdf(draw: Random) -> Request:
    parts = {name: octets(draw, _short(draw)).hex() for name in ("ikm", "salt", "info")}
    return {"op": "hkdf_sm3", **parts, "size": 8161 if draw.random() < 0.01 else _wanted(draw)}


def _pbkdf2(draw: Random) -> Request:
    password, salt = octets(draw, _short(draw)), octets(draw, _short(draw))
    iterations = draw.choice((1, 1, 2, 3))
    return {
        "op": "pbkdf2_sm3", "password": password.hex(), "salt": salt.hex(), "iterations": iterations, "size": _wanted(draw),
    }  # fmt: skip


def _x963(draw: Random) -> Request:
    secret, info = octets(draw, size(draw)), octets(draw, draw.choice((0, 0, size(draw))))
    return {"op": "x963kdf_sm3", "secret": secret.hex(), "info": info.hex(), "size": _wanted(draw)}


# -- SM4


def _mode(mode: str) -> Draw:
    def make(draw: Random) -> Request:
        way, length = draw.choice(("encrypt", "decrypt")), size(draw)
        out: Request = {"op": f"sm4_{mode}_{way}", "key": octets(draw, off(draw, 32 if mode == "xts" else 16)).hex()}
        if mode != "ecb":
            out["iv"] = octets(draw, off(draw, 16)).hex()
        if mode in ("ecb", "cbc"):
            out["padding"] = draw.choice(("none", "pkcs7"))
            whole = out["padding"] == "none" or way == "decrypt"
            length = length // 16 * 16 if whole and draw.random() < 0.95 else length
        if mode == "xts":
            out["standard"] = draw.choice(("gb", "ieee"))
            length = max(length, 16) if draw.random() < 0.95 else length
        data = octets(draw, length)
        if out.get("padding") == "pkcs7" and way == "decrypt" and data and draw.random() < 0.8:
            data = _padded_badly(draw, out, data)
        out["msg" if way == "encrypt" else "ct"] = data.hex()
        if mode in ("ofb", "cfb", "ctr", "cbc") and draw.random() < 0.2 and length:
            out["splits"] = [draw.randrange(length + 1)]
        return out

    return make


def _padded_badly(draw: Random, request: Request, data: bytes) -> bytes:
    """A ciphertext whose plaintext ends in a padding that is good, or nearly."""
    from pytest_xinchuang.sm import sm4

    if len(request["key"]) != 32 or ("iv" in request and len(request["iv"]) != 32):
        return data
    end = draw.choice((1, 2, 15, 16, 16, 0, 17, draw.randrange(1, 17)))
    plain = bytearray(sm4.filled(data)[:-16] + draw.randbytes(16))
    plain[max(0, len(plain) - min(end, 16)) :] = bytes([end]) * min(end, 16)
    if draw.random() < 0.2:
        plain[-draw.randrange(1, 17)] ^= 1
    cipher = sm4.Sm4(bytes.fromhex(request["key"]))
    if "iv" in request:
        return sm4.cbc(cipher, bytes.fromhex(request["iv"]), bytes(plain), encrypt=True)
    return sm4.ecb(cipher, bytes(plain), encrypt=True)


def _aead(mode: str) -> Draw:
    def make(draw: Random) -> Request:
        from pytest_xinchuang.sm import sm4

        key, aad, msg = octets(draw, off(draw, 16)), octets(draw, size(draw)), octets(draw, size(draw))
        length = draw.randrange(7, 14) if mode == "ccm" else draw.choice((12, 12, 12, 8, 16, 1, 60))
        iv = octets(draw, off(draw, length))
        tags = (4, 6, 8, 10, 12, 14, 16) if mode == "ccm" else (12, 13, 14, 15, 16, 16, 16, 4, 8)
        tag_bytes = draw.choice(tags) if draw.random() < 0.97 else draw.randrange(17)
        out: Request = {"key": key.hex(), "iv": iv.hex(), "aad": aad.hex()}
        if draw.random() < 0.5:
            return {"op": f"sm4_{mode}_encrypt", **out, "msg": msg.hex(), "tag_bytes": tag_bytes}
        ct, tag = msg, draw.randbytes(tag_bytes)
        if len(key) == 16 and iv and (mode == "gcm" or 7 <= len(iv) <= 13) and tag_bytes:
            if mode == "gcm":
                ct, tag = sm4.gcm(sm4.Sm4(key), iv, aad, msg, encrypt=True)
            elif tag_bytes in sm4.CCM_TAGS:
                ct, tag = sm4.ccm(sm4.Sm4(key), iv, aad, msg, tag_bytes, encrypt=True)
            tag = tag[:tag_bytes]
            if draw.random() < 0.3:
                ct, tag = _changed(draw, ct, tag)
        agreed = tag_bytes if draw.random() < 0.97 else draw.choice(tags)
        return {"op": f"sm4_{mode}_decrypt", **out, "ct": ct.hex(), "tag": tag.hex(), "tag_bytes": agreed}

    return make


def _changed(draw: Random, *parts: bytes) -> list[bytes]:
    """One bit of them is another one."""
    out = [bytearray(part) for part in parts]
    chosen = draw.choice([part for part in out if part])
    chosen[draw.randrange(len(chosen))] ^= 1 << draw.randrange(8)
    return [bytes(part) for part in out]


# -- SM2


def number(draw: Random) -> int:
    """A number of 32 bytes; one in six lies at an edge."""
    if draw.random() < 1 / 6:
        return draw.choice(_EDGES)
    return draw.randrange(1, N - 1) >> draw.choice((0, 0, 0, 0, 8, 128, 250))


_KEYS = tuple(Random("sm:keys").randrange(1, N - 1) for _ in range(200))


def private(draw: Random) -> int:
    """A good private key: now and then a small one, one near n or a new one, else one of those whose points are known."""
    if draw.random() < 0.9:
        return draw.choice(_KEYS)
    return draw.choice((1, 2, N - 2, N - 3, 1 << 128, draw.randrange(1, N - 1)))


@lru_cache(1000)
def point_of(d: int) -> curve.Point:
    return curve.multiply_base(d)


def _twisted(draw: Random, encoded: bytes) -> bytes:
    """The encoding of a point, changed in one of the ways that an import has to notice."""
    x, y = int.from_bytes(encoded[1:33]), int.from_bytes(encoded[33:65])
    kind = draw.randrange(9)
    if kind == 0:
        return bytes([draw.choice((0, 1, 2, 3, 5, 6, 7))]) + encoded[1:]
    if kind == 1:
        return encoded[: draw.randrange(65)]
    if kind == 2:
        return encoded + octets(draw, 1)
    if kind == 3:
        return b"\x04" + draw.choice(_EDGES).to_bytes(33)[-32:] + y.to_bytes(32)
    if kind == 4:
        return b"\x04" + x.to_bytes(32) + draw.choice(_EDGES).to_bytes(33)[-32:]
    if kind == 5:
        return b"\x04" + bytes(64)
    if kind == 6:
        return b"\0"
    if kind == 7:
        return bytes([draw.choice((2, 3))]) + number(draw).to_bytes(32)
    return _changed(draw, encoded)[0]


def _key(name: str, encoded: bytes) -> Request:
    """The field with a public key; a compressed one is asked only of those that offer it."""
    return {name: encoded.hex(), **({"compressed": True} if encoded[:1] in (b"\2", b"\3") else {})}


def _import_public(draw: Random) -> Request:
    encoded = _SM2.encode_point(point_of(private(draw)))
    kind, out = draw.random(), {"op": "sm2_import_public", "encoding": "point"}
    if kind < 0.25:
        short = bytes([2 + (encoded[64] & 1)]) + encoded[1:33]
        return {**out, "public": short.hex(), "compressed": True}
    if kind < 0.5:
        spki = encode_spki(encoded if draw.random() < 0.7 else _twisted(draw, encoded))
        if draw.random() < 0.2:
            spki = draw.choice((spki + b"\0", spki[:-1], _changed(draw, spki)[0]))
        return {"op": "sm2_import_public", "encoding": "spki", "public": spki.hex()}
    if kind < 0.75:
        encoded = _twisted(draw, encoded)
        return {**out, **_key("public", encoded)}
    return {**out, "public": encoded.hex()}


def _import_private(draw: Random) -> Request:
    data = number(draw).to_bytes(32)
    if draw.random() < 0.1:
        data = draw.choice((data[1:], b"\0" + data, b"", data[:16]))
    return {"op": "sm2_import_private", "private": data.hex()}


def _signed(draw: Random) -> tuple[Request, int, bytes, bytes]:
    """The common fields of a signature, the private key, the message and the digest."""
    d = private(draw)
    if draw.random() < 0.4:
        digest = octets(draw, off(draw, 32, 0.1))
        return {"input": "digest", "msg": digest.hex()}, d, digest, digest
    msg = octets(draw, size(draw))
    user = DEFAULT_ID if draw.random() < 0.7 else octets(draw, draw.choice((0, 1, 16, 100)))
    return {"msg": msg.hex(), "user_id": user.hex()}, d, msg, _SM2.digest(user, point_of(d), msg)


def _sign(draw: Random) -> Request:
    fields, d, _msg, _digest = _signed(draw)
    key = d if draw.random() < 0.9 else number(draw)
    return {"op": "sm2_sign", "private": f"{key:064x}", "encoding": draw.choice(("der", "raw")), **fields}


def _verify(draw: Random) -> Request:
    fields, d, _msg, digest = _signed(draw)
    public, encoding = _SM2.encode_point(point_of(d)), draw.choice(("der", "raw"))
    r, s = _SM2.sign_digest(d, digest.ljust(32, b"\0")[:32], draw.randrange(1, N))
    kind = draw.random()
    if kind < 0.15:
        r, s = draw.choice(((number(draw), s), (r, number(draw)), (r, (N - r) % N), (r, N - s), (r + N, s), (r, s + N)))
    signature = (
        der.sequence(der.integer(r), der.integer(s))
        if encoding == "der"
        else r.to_bytes(33)[-32:] + s.to_bytes(33)[-32:]
    )
    if 0.15 <= kind < 0.35:
        signature = _bent(draw, signature, encoding)
    if 0.35 <= kind < 0.4:
        public = _twisted(draw, public)
    return {"op": "sm2_verify", **_key("public", public), "sig": signature.hex(), "encoding": encoding, **fields}


def _bent(draw: Random, data: bytes, encoding: str) -> bytes:
    """An encoding that is not the one that the rules give."""
    kind = draw.randrange(6)
    if kind == 0:
        return data + octets(draw, 1)
    if kind == 1:
        return data[: draw.randrange(len(data))]
    if kind == 2 or encoding == "raw":
        return _changed(draw, data)[0]
    if kind == 3:
        return data[:1] + b"\x81" + data[1:]
    if kind == 4:
        return data[:1] + bytes([data[1] + 1]) + data[2:3] + bytes([data[3] + 1]) + b"\0" + data[4:]
    return data[:1] + b"\x80" + data[2:] + b"\0\0"


def _form(draw: Random) -> Request:
    encoding = draw.choice(("der", "raw"))
    return {"encoding": encoding, "order": draw.choice(("c1c3c2", "c1c2c3")) if encoding == "raw" else "c1c3c2"}


def _encrypt(draw: Random) -> Request:
    d = private(draw)
    public = _SM2.encode_point(point_of(d))
    if draw.random() < 0.1:
        public = _twisted(draw, public)
    # A key stream of zeros is replaced: for a short message that shows by the luck of the draw.
    msg = octets(draw, max(4, size(draw)))
    return {"op": "sm2_encrypt", **_key("public", public), "msg": msg.hex(), **_form(draw), "of": f"{d:064x}"}


def _decrypt(draw: Random) -> Request:
    d, form = private(draw), _form(draw)
    try:
        c1, c3, c2 = _SM2.encrypt(point_of(d), octets(draw, max(1, size(draw))), draw.randrange(1, N))
    except Refused:
        c1, c3, c2 = point_of(1), bytes(32), b"\0"
    kind = draw.random()
    if kind < 0.1:
        c3, c2 = _changed(draw, c3, c2)
    elif kind < 0.15:
        c3 = octets(draw, off(draw, 32, 1.0)) if form["encoding"] == "der" else c3
    ct = _SM2.encode_ciphertext(c1, c3, c2, form["encoding"], form["order"])
    if 0.15 <= kind < 0.25:
        ct = _bent(draw, ct, form["encoding"])
    elif 0.25 <= kind < 0.35 and c1 is not None:
        x, y = draw.choice(
            ((number(draw), c1[1]), (c1[0], number(draw)), (0, 0), (c1[0], P - c1[1]), (c1[0], c1[1] ^ 1))
        )
        if form["encoding"] == "der":
            ct = der.sequence(der.integer(x), der.integer(y), der.tlv(4, c3), der.tlv(4, c2))
        else:
            ct = b"\x04" + x.to_bytes(32) + y.to_bytes(32) + ct[65:]
    key = d if draw.random() < 0.95 else number(draw)
    return {"op": "sm2_decrypt", "private": f"{key:064x}", "ct": ct.hex(), **form}


def _exchange(draw: Random) -> Request:
    own = private(draw) if draw.random() < 0.95 else number(draw)
    ephemeral = draw.randrange(1, N) if draw.random() < 0.9 else draw.choice(_EDGES)
    peer, theirs = (_SM2.encode_point(point_of(private(draw))) for _ in range(2))
    if draw.random() < 0.1:
        peer, theirs = draw.choice(((_twisted(draw, peer), theirs), (peer, _twisted(draw, theirs))))
    elif draw.random() < 0.02:  # V at infinity: P = -[x]R
        point = _SM2.decode_point(theirs)
        assert point is not None
        theirs = _SM2.encode_point(point)
        peer = _SM2.encode_point(curve.negate(curve.multiply(_SM2.reduced(point[0]), point)))
    return {
        "op": "sm2_exchange", "role": draw.choice(("initiator", "responder")), "private": f"{own:064x}",
        "ephemeral": f"{ephemeral:064x}", **_key("peer_public", peer), **_key("peer_ephemeral", theirs),
        "user_id": octets(draw, draw.choice((1, 16, 40))).hex(), "peer_id": octets(draw, draw.choice((1, 16))).hex(),
        "size": _wanted(draw),
    }  # fmt: skip


def _keygen(_draw: Random) -> Request:
    return {"op": "sm2_keygen"}


SYMMETRIC: tuple[Draw, ...] = (
    _sm3, _sm3, _sm3, _stream, _hmac, _hkdf, _pbkdf2, _x963,
    *(_mode(mode) for mode in 3 * ("ecb", "cbc", "ctr", "ofb", "cfb", "xts")), *3 * (_aead("gcm"), _aead("ccm")),
)  # fmt: skip
SM2: tuple[Draw, ...] = (
    _import_public, _import_private, _sign, _verify, _verify, _encrypt, _decrypt, _decrypt, _exchange, _keygen,
)  # fmt: skip
