"""Known-bad subjects that show in a form of SM4 alone: parts, buffers, tags, lengths, paddings, and objects used again."""

from __future__ import annotations

import struct
from collections.abc import Callable

from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, Reply, Request, pieces
from pytest_xinchuang.sm import sm4
from pytest_xinchuang.sm.sm2 import Refused
from pytest_xinchuang.sm.sm4 import Sm4
from tests.mutants.sm.registry import defect

Handle = Callable[[Request], Reply]
PARTS = ("sm4_parts", "sm4_stream")


def around(h: ReferenceHarness, change: Callable[[Handle, Request], Reply]) -> None:
    """Have ``change`` answer each request of SM4; it is given what would answer it rightly."""
    good = h.handle

    def bad(request: Request) -> Reply:
        return change(good, request) if str(request.get("op")).startswith("sm4_") else good(request)

    h.handle = bad  # type: ignore[method-assign]


def text_of(request: Request) -> tuple[str, str]:
    """The names of the text that is given and of the one that comes back."""
    return ("msg", "ct") if "msg" in request else ("ct", "msg")


def mode_of(request: Request) -> str:
    return str(request["op"]).split("_")[1]


def joined(good: Handle, request: Request, parts: list[bytes]) -> Reply:
    """The reply for a text that was put together from ``parts``."""
    name, _ = text_of(request)
    plain = {n: value for n, value in request.items() if n != "splits"}
    return good({**plain, name: b"".join(parts).hex()})


def cut(request: Request) -> list[bytes]:
    return pieces(bytes.fromhex(request[text_of(request)[0]]), request["splits"])


# -- parts


@defect(150, *PARTS)
def part_of_block(h: ReferenceHarness) -> None:
    def change(good: Handle, request: Request) -> Reply:
        if mode_of(request) not in ("ecb", "cbc") or "splits" not in request:
            return good(request)
        *first, last = cut(request)
        return joined(good, request, [*(part[: len(part) // 16 * 16] for part in first), last])

    around(h, change)


@defect(151, "sm4_ecb_pkcs7", "sm4_padding", "sm4_cbc_pkcs7")
def padding_whole_block(h: ReferenceHarness) -> None:
    def change(good: Handle, request: Request) -> Reply:
        whole = len(request.get("msg", "0")) % 32 == 0
        return good({**request, "padding": "none"}) if request.get("padding") == "pkcs7" and whole else good(request)

    around(h, change)


@defect(152, *PARTS)
def padding_in_parts(h: ReferenceHarness) -> None:
    def change(good: Handle, request: Request) -> Reply:
        if request.get("padding") != "pkcs7" or "splits" not in request:
            return good(request)
        if "msg" in request:
            return joined(good, request, [sm4.pad(part) if part else part for part in cut(request)])
        reply = good(request)
        held = any(part and len(part) % 16 == 0 for part in cut(request)[:-1])
        return {"msg": reply["msg"][32:]} if held and "msg" in reply else reply

    around(h, change)


@defect(153, *PARTS)
def empty_part(h: ReferenceHarness) -> None:
    def change(good: Handle, request: Request) -> Reply:
        if "splits" not in request:
            return good(request)
        parts = cut(request)
        return joined(good, request, parts[: parts.index(b"")] if b"" in parts[:-1] else parts)

    around(h, change)


@defect(165, *PARTS)
def keystream_position(h: ReferenceHarness) -> None:
    def change(good: Handle, request: Request) -> Reply:
        if mode_of(request) not in ("ctr", "ofb", "cfb") or "splits" not in request:
            return good(request)
        name, other = text_of(request)
        out, filled = b"", b""
        for part in cut(request):
            reply = bytes.fromhex(good({**request, name: (filled + part).hex(), "splits": []})[other])
            out += reply[len(filled) :]
            filled = sm4.filled(filled + part)
        return {other: out.hex()}

    around(h, change)


@defect(168, *PARTS)
def aad_parts(h: ReferenceHarness) -> None:
    def change(good: Handle, request: Request) -> Reply:
        if not request.get("aad_splits"):
            return good(request)
        *first, last = pieces(bytes.fromhex(request["aad"]), request["aad_splits"])
        return good({**request, "aad": b"".join([*map(sm4.filled, first), last]).hex()})

    around(h, change)


@defect(169, *PARTS)
def aead_text_parts(h: ReferenceHarness) -> None:
    def change(good: Handle, request: Request) -> Reply:
        reply = good(request)
        if mode_of(request) not in ("gcm", "ccm") or not any(len(p) % 16 for p in cut({"splits": [], **request})[:-1]):
            return reply
        if "tag" not in reply:
            return {"error": "the tag is wrong"}
        return {**reply, "tag": bytes(b ^ 1 for b in bytes.fromhex(reply["tag"])).hex()}

    around(h, change)


# -- buffers


@defect(166, "sm4_forms", "sm4_buffers")
def in_place_feedback(h: ReferenceHarness) -> None:
    good = h.op_sm4_cfb_encrypt

    def bad(request: Request) -> Reply:
        if not request.get("in_place") or "ct" not in request:
            return good(request)
        cipher, last, out = h.cipher(request), bytes.fromhex(request["iv"]), b""
        for block in sm4.blocks(bytes.fromhex(request["ct"])):
            last = sm4.xor(block, cipher.encrypt(last.ljust(16, b"\0")))  # the ciphertext has been overwritten
            out += last
        return {"msg": out.hex()}

    h.op_sm4_cfb_decrypt = bad  # type: ignore[method-assign]


@defect(167, "sm4_forms")
def aead_buffers(h: ReferenceHarness) -> None:
    def change(good: Handle, request: Request) -> Reply:
        if mode_of(request) not in ("gcm", "ccm") or not request.get("in_place"):
            return good(request)
        reply = good(request)
        if "tag" in reply:
            again = good({**request, "msg": reply["ct"]})
            return {**reply, "tag": again["tag"]}
        return {"error": "the tag is wrong"} if request["ct"] else reply

    around(h, change)


# -- tags


def opening(h: ReferenceHarness, mode: str, accepts: Callable[[bytes, bytes | None, int], bool]) -> None:
    """Have a mode accept where ``accepts`` says so of the right tag, the one given, and the size that was agreed on."""

    def bad(request: Request) -> Reply:
        ct, agreed = bytes.fromhex(request["ct"]), request["tag_bytes"]
        given = bytes.fromhex(request["tag"]) if "tag" in request else None
        msg, tag = h.gcm(request, ct, encrypt=False) if mode == "gcm" else h.ccm(request, ct, agreed, encrypt=False)
        if not accepts(tag[:agreed], given, agreed):
            raise Refused("the tag is wrong")
        return {"msg": msg.hex()}

    setattr(h, f"op_sm4_{mode}_decrypt", bad)


@defect(156, "sm4_gcm")
def cut_tag(h: ReferenceHarness) -> None:
    opening(
        h,
        "gcm",
        lambda tag, given, agreed: bool(given) and len(given or b"") <= agreed and tag.startswith(given or b""),
    )


@defect(157, "sm4_gcm", "sm4_ccm_tags")
def empty_tag(h: ReferenceHarness) -> None:
    for mode in ("gcm", "ccm"):
        opening(h, mode, lambda tag, given, _agreed: given in (tag, b""))


@defect(158, "sm4_gcm", "sm4_ccm_tags")
def absent_tag(h: ReferenceHarness) -> None:
    for mode in ("gcm", "ccm"):
        opening(h, mode, lambda tag, given, _agreed: given in (tag, None))


@defect(159, "sm4_ccm_tags")
def ccm_cut_tag(h: ReferenceHarness) -> None:
    def bad(request: Request) -> Reply:
        given = bytes.fromhex(request["tag"])
        msg, tag = h.ccm(request, bytes.fromhex(request["ct"]), len(given), encrypt=False)
        return h.opened(msg, tag, given, len(given))

    h.op_sm4_ccm_decrypt = bad  # type: ignore[method-assign]


@defect(160, "sm4_gcm", "sm4_ccm_tags")
def long_tag(h: ReferenceHarness) -> None:
    for mode in ("gcm", "ccm"):
        opening(h, mode, lambda tag, given, agreed: (given or b"")[:agreed] == tag)


# -- lengths and counters


def with_iv(h: ReferenceHarness, change: Callable[[bytes], bytes]) -> None:
    """Have every mode with an IV of 16 bytes take another in its place."""

    def changed(good: Handle, request: Request) -> Reply:
        if mode_of(request) not in ("cbc", "ctr", "ofb", "cfb", "xts") or "iv" not in request:
            return good(request)
        return good({**request, "iv": change(bytes.fromhex(request["iv"])).hex()})

    around(h, changed)


LENGTHS = ("sm4_cbc_lengths", "sm4_chained", "sm4_xts_matrix")


@defect(154, *LENGTHS)
def short_iv(h: ReferenceHarness) -> None:
    with_iv(h, lambda iv: iv.ljust(16, b"\0"))


@defect(155, *LENGTHS)
def overlong_iv(h: ReferenceHarness) -> None:
    with_iv(h, lambda iv: iv[:16])


@defect(183, "sm4_cbc_lengths", "sm4_chained")
def key_length(h: ReferenceHarness) -> None:
    class Bad(Sm4):
        def __init__(self, key: bytes) -> None:
            super().__init__(key[:16].ljust(16, b"\0"))

    h.sm4_type = Bad


@defect(161, "sm4_gcm_ivs", "sm4_gcm_tags")
def gcm_iv_hashed(h: ReferenceHarness) -> None:
    good = h.gcm

    def bad(request: Request, data: bytes, *, encrypt: bool) -> tuple[bytes, bytes]:
        iv = bytes.fromhex(request["iv"])
        return good({**request, "iv": iv[:12].ljust(12, b"\0").hex() if iv else ""}, data, encrypt=encrypt)

    h.gcm = bad  # type: ignore[method-assign]


@defect(162, "sm4_xts")
def tweak_carry(h: ReferenceHarness) -> None:
    def doubled(tweak: bytes, standard: str) -> bytes:
        if standard == "gb":
            return (int.from_bytes(tweak) >> 1).to_bytes(16)
        return (int.from_bytes(tweak, "little") << 1 & ((1 << 128) - 1)).to_bytes(16, "little")

    def bad(request: Request) -> Reply:
        key, name = bytes.fromhex(request["key"]), text_of(request)[0]
        data = bytes.fromhex(request[name])
        if len(key) != 32 or len(data) % 16 or len(data) < 32:
            return good(request)
        cipher, tweak = Sm4(key[:16]), Sm4(key[16:]).encrypt(sm4.check_iv(bytes.fromhex(request["iv"])))
        one, out = cipher.encrypt if name == "msg" else cipher.decrypt, b""
        for block in sm4.blocks(data):
            out += sm4.xor(one(sm4.xor(block, tweak)), tweak)
            tweak = doubled(tweak, request["standard"])
        return {text_of(request)[1]: out.hex()}

    good = h.op_sm4_xts_encrypt
    h.op_sm4_xts_encrypt = h.op_sm4_xts_decrypt = bad  # type: ignore[method-assign]


@defect(163, "sm4_ctr", "sm4_chained")
def counter_carry_64(h: ReferenceHarness) -> None:
    def bad(request: Request) -> Reply:
        cipher, iv, wrap = h.cipher(request), bytes.fromhex(request["iv"]), request.get("wrap", 128)
        return h._both_ways(lambda data: sm4.ctr(cipher, iv, data, wrap=min(wrap, 64)), request)

    h.op_sm4_ctr_encrypt = h.op_sm4_ctr_decrypt = bad  # type: ignore[method-assign]


@defect(164, "sm4_chained")
def feedback_tail(h: ReferenceHarness) -> None:
    def change(good: Handle, request: Request) -> Reply:
        reply, other = good(request), text_of(request)[1]
        if mode_of(request) not in ("ctr", "ofb", "cfb") or other not in reply:
            return reply
        return {other: reply[other][: len(reply[other]) // 32 * 32]}

    around(h, change)


@defect(184, "sm4_ccm_matrix", "sm4_ccm_tags")
def ccm_long_aad(h: ReferenceHarness) -> None:
    def encode(aad: bytes) -> bytes:
        return sm4.filled(struct.pack(">H", len(aad)) + aad) if 0 < len(aad) < 1 << 16 else sm4.ccm_aad(aad)

    def bad(request: Request, data: bytes, tag_bytes: int, *, encrypt: bool) -> tuple[bytes, bytes]:
        iv, aad = bytes.fromhex(request["iv"]), bytes.fromhex(request["aad"])
        sm4.ccm_check(iv, tag_bytes)
        return sm4.ccm(h.cipher(request), iv, aad, data, tag_bytes, encrypt=encrypt, encode=encode)

    h.ccm = bad  # type: ignore[method-assign]


# -- padding


def unpadding(h: ReferenceHarness, accepts: Callable[[bytes, int], bool]) -> None:
    """Have padding be taken away where ``accepts`` says so of the text and its last byte."""

    def bad(data: bytes, request: Request) -> bytes:
        if request.get("padding") != "pkcs7":
            return data
        if not data or not accepts(data, data[-1]):
            raise Refused("wrong padding")
        return data[: len(data) - data[-1]] if data[-1] <= len(data) else b""

    h.unpadded = bad  # type: ignore[method-assign]


@defect(172, "sm4_padding", "sm4_cbc_pkcs7")
def padding_inner(h: ReferenceHarness) -> None:
    unpadding(h, lambda _data, last: 1 <= last <= 16)


@defect(173, "sm4_padding", "sm4_cbc_pkcs7")
def padding_range(h: ReferenceHarness) -> None:
    unpadding(h, lambda data, last: last > 16 or data.endswith(bytes([last]) * last))


# -- objects that are used again


@defect(170, "sm4_reuse")
def reuse_after_refusal(h: ReferenceHarness) -> None:
    good = h.op_sm4_reuse

    def bad(request: Request) -> Reply:
        outs, spoilt = [], False
        for out in good(request)["outs"]:
            outs.append({"error": "in a wrong state"} if spoilt else out)
            spoilt |= "error" in out
        return {"outs": outs}

    h.op_sm4_reuse = bad  # type: ignore[method-assign]


@defect(171, "sm4_reuse")
def reuse_iv(h: ReferenceHarness) -> None:
    def bad(request: Request) -> Reply:
        outs, kept = [], ""
        for step in request["steps"]:
            text = step.get("msg") or step.get("ct") or ""
            given = step.get("iv", "")
            shown = {**step, "iv": kept or given} if "iv" in step else {**step, text_of(step)[0]: kept[:32] + text}
            outs.append(h.reused(request["mode"], {**shown, "key": request["key"]}))
            kept = kept or given or text[:32]
        return {"outs": outs}

    h.op_sm4_reuse = bad  # type: ignore[method-assign]
