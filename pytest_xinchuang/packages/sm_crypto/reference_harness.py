"""The reference as a subject: ``python -m pytest_xinchuang.packages.sm_crypto.reference_harness`` speaks the harness protocol.

See docs/harness.md for the protocol. Known-bad subjects are made from this one by changing one method.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

from pytest_xinchuang.packages.sm_crypto.certificates import ChainJudge
from pytest_xinchuang.sm import curve, sm4
from pytest_xinchuang.sm.sm2 import DEFAULT_ID, Refused, Sm2
from pytest_xinchuang.sm.sm3 import HmacSm3, Sm3, hkdf_sm3, pbkdf2_sm3, x963kdf_sm3
from pytest_xinchuang.sm.sm4 import Sm4

Request = dict[str, Any]
Reply = dict[str, Any]

_BUFFERS = {"in_place": [True], "offset": [1, 2, 3, 7]}
_MODE = {"splits": [True], **_BUFFERS}
_AEAD = {**_MODE, "aad_splits": [True]}


REUSED = ("ecb", "cbc", "ctr", "ofb", "cfb", "gcm", "ccm")
"""The modes of which one key object can be asked for several things one after the other."""


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    """``data`` cut into parts of these sizes, and the rest."""
    out, at = [], 0
    for size in sizes:
        out.append(data[at : at + size])
        at += size
    return [*out, data[at:]]


class ReferenceHarness:
    """Answers one request at a time; every method named ``op_*`` is an operation."""

    name = "reference"
    version = "1"
    default_id: bytes | None = DEFAULT_ID
    sm3_type: type[Sm3] = Sm3
    hmac_type: type[HmacSm3] = HmacSm3
    sm4_type: type[Sm4] = Sm4

    def __init__(self) -> None:
        self.sm2 = Sm2()
        self.chains = ChainJudge(self.sm2)

    def hello(self) -> Reply:
        forms = {"encoding": ["der", "raw"]}
        signing = {**forms, "input": ["message", "digest"]}
        return {
            "hello": "xc-sm-harness/1",
            "name": self.name,
            "version": self.version,
            "language": "Python",
            "default_id": None if self.default_id is None else self.default_id.hex(),
            "parses_der": "library",
            "operations": {
                "sm3": {"splits": [True], "repeat": [1, 1000]},
                "sm3_stream": {"clone": [True]},
                "hmac_sm3": {},
                "hmac_sm3_stream": {"clone": [True]},
                "hkdf_sm3": {},
                "pbkdf2_sm3": {},
                "x963kdf_sm3": {},
                **{f"sm4_{mode}_{way}": _MODE for mode in ("ofb", "cfb") for way in ("encrypt", "decrypt")},
                "sm4_ecb_encrypt": {**_MODE, "padding": ["none", "pkcs7"], "times": [1, 100000]},
                "sm4_ecb_decrypt": {**_MODE, "padding": ["none", "pkcs7"]},
                "sm4_cbc_encrypt": {**_MODE, "padding": ["none", "pkcs7"]},
                "sm4_cbc_decrypt": {**_MODE, "padding": ["none", "pkcs7"]},
                "sm4_ctr_encrypt": {**_MODE, "wrap": [128, 32]},
                "sm4_ctr_decrypt": {**_MODE, "wrap": [128, 32]},
                **{f"sm4_{mode}_{way}": _AEAD for mode in ("gcm", "ccm") for way in ("encrypt", "decrypt")},
                "sm4_xts_encrypt": {"standard": ["gb", "ieee"], **_BUFFERS},
                "sm4_xts_decrypt": {"standard": ["gb", "ieee"], **_BUFFERS},
                "sm4_reuse": {"mode": list(REUSED), "padding": ["none", "pkcs7"]},
                "sm2_import_public": {"encoding": ["point", "spki"], "compressed": [True]},
                "sm2_import_private": {},
                "sm2_keygen": {},
                "sm2_verify": signing,
                "sm2_sign": {**signing, "k": [True]},
                "sm2_encrypt": {**forms, "order": ["c1c3c2", "c1c2c3"], "k": [True]},
                "sm2_decrypt": {**forms, "order": ["c1c3c2", "c1c2c3"]},
                "sm2_exchange": {"confirm": [True]},
                "sm2_certificate_verify": {},
                "concurrent": {"threads": [1, 64]},
                "timed": {},
                "self_test": {},
            },
        }

    def handle(self, request: Request) -> Reply:
        """The reply to one request, without its id."""
        operation: Callable[[Request], Reply] | None = getattr(self, f"op_{request.get('op')}", None)
        if operation is None:
            return {"unsupported": f"there is no operation {request.get('op')!r}"}
        try:
            return operation(request)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    # -- SM3

    def op_sm3(self, request: Request) -> Reply:
        state = self.sm3_type()
        unit = bytes.fromhex(request["msg"])
        for _ in range(request.get("repeat", 1)):
            for part in pieces(unit, request.get("splits", [])):
                state.update(part)
        return {"digest": state.digest().hex()}

    def op_sm3_stream(self, request: Request) -> Reply:
        return self.stream(self.sm3_type, request["steps"])

    def op_hmac_sm3_stream(self, request: Request) -> Reply:
        key = bytes.fromhex(request["key"])
        return self.stream(lambda: self.hmac_type(key), request["steps"])

    def stream(self, start: Callable[[], Any], steps: list[Request]) -> Reply:
        state, outs = start(), []
        for step in steps:
            if "update" in step:
                state.update(bytes.fromhex(step["update"]))
            elif "clone" in step:
                twin = state.copy()
                twin.update(bytes.fromhex(step["clone"]))
                outs.append(twin.digest().hex())
            elif "reset" in step:
                state = start()
            else:
                outs.append(state.digest().hex())
        return {"outs": outs}

    def op_hmac_sm3(self, request: Request) -> Reply:
        mac = self.hmac_type(bytes.fromhex(request["key"]))
        mac.update(bytes.fromhex(request["msg"]))
        return {"mac": mac.digest().hex()}

    def op_hkdf_sm3(self, request: Request) -> Reply:
        ikm, salt, info = (bytes.fromhex(request[n]) for n in ("ikm", "salt", "info"))
        return {"key": hkdf_sm3(ikm, salt, info, request["size"]).hex()}

    def op_pbkdf2_sm3(self, request: Request) -> Reply:
        password, salt = bytes.fromhex(request["password"]), bytes.fromhex(request["salt"])
        return {"key": pbkdf2_sm3(password, salt, request["iterations"], request["size"]).hex()}

    def op_x963kdf_sm3(self, request: Request) -> Reply:
        secret, info = bytes.fromhex(request["secret"]), bytes.fromhex(request["info"])
        return {"key": x963kdf_sm3(secret, info, request["size"]).hex()}

    # -- SM4

    def cipher(self, request: Request) -> Sm4:
        return self.sm4_type(bytes.fromhex(request["key"]))

    def op_sm4_ecb_encrypt(self, request: Request) -> Reply:
        cipher, data = self.cipher(request), bytes.fromhex(request["msg"])
        if request.get("padding") == "pkcs7":
            data = sm4.pad(data)
        for _ in range(request.get("times", 1)):
            data = sm4.ecb(cipher, data, encrypt=True)
        return {"ct": data.hex()}

    def op_sm4_ecb_decrypt(self, request: Request) -> Reply:
        data = sm4.ecb(self.cipher(request), bytes.fromhex(request["ct"]), encrypt=False)
        return {"msg": self.unpadded(data, request).hex()}

    def unpadded(self, data: bytes, request: Request) -> bytes:
        return sm4.unpad(data) if request.get("padding") == "pkcs7" else data

    def op_sm4_cbc_encrypt(self, request: Request) -> Reply:
        data = bytes.fromhex(request["msg"])
        if request.get("padding") == "pkcs7":
            data = sm4.pad(data)
        return {"ct": sm4.cbc(self.cipher(request), bytes.fromhex(request["iv"]), data, encrypt=True).hex()}

    def op_sm4_cbc_decrypt(self, request: Request) -> Reply:
        data = bytes.fromhex(request["ct"])
        data = sm4.cbc(self.cipher(request), bytes.fromhex(request["iv"]), data, encrypt=False)
        return {"msg": self.unpadded(data, request).hex()}

    def _both_ways(self, mode: Callable[[bytes], bytes], request: Request) -> Reply:
        encrypting = request["op"].endswith("encrypt")
        data = mode(bytes.fromhex(request["msg" if encrypting else "ct"]))
        return {"ct" if encrypting else "msg": data.hex()}

    def op_sm4_ctr_encrypt(self, request: Request) -> Reply:
        cipher, iv, wrap = self.cipher(request), bytes.fromhex(request["iv"]), request.get("wrap", 128)
        return self._both_ways(lambda data: sm4.ctr(cipher, iv, data, wrap=wrap), request)

    op_sm4_ctr_decrypt = op_sm4_ctr_encrypt

    def op_sm4_ofb_encrypt(self, request: Request) -> Reply:
        cipher, iv = self.cipher(request), bytes.fromhex(request["iv"])
        return self._both_ways(lambda data: sm4.ofb(cipher, iv, data), request)

    op_sm4_ofb_decrypt = op_sm4_ofb_encrypt

    def op_sm4_cfb_encrypt(self, request: Request) -> Reply:
        cipher, iv, encrypt = self.cipher(request), bytes.fromhex(request["iv"]), request["op"].endswith("encrypt")
        return self._both_ways(lambda data: sm4.cfb(cipher, iv, data, encrypt=encrypt), request)

    op_sm4_cfb_decrypt = op_sm4_cfb_encrypt

    def op_sm4_xts_encrypt(self, request: Request) -> Reply:
        key, iv, encrypt = bytes.fromhex(request["key"]), bytes.fromhex(request["iv"]), "msg" in request
        standard = request.get("standard", "gb")
        return self._both_ways(
            lambda data: sm4.xts(key, iv, data, encrypt=encrypt, standard=standard, make=self.sm4_type), request
        )

    op_sm4_xts_decrypt = op_sm4_xts_encrypt

    def gcm(self, request: Request, data: bytes, *, encrypt: bool) -> tuple[bytes, bytes]:
        iv, aad = bytes.fromhex(request["iv"]), bytes.fromhex(request["aad"])
        return sm4.gcm(self.cipher(request), iv, aad, data, encrypt=encrypt)

    def ccm(self, request: Request, data: bytes, tag_bytes: int, *, encrypt: bool) -> tuple[bytes, bytes]:
        iv, aad = bytes.fromhex(request["iv"]), bytes.fromhex(request["aad"])
        sm4.ccm_check(iv, tag_bytes)
        return sm4.ccm(self.cipher(request), iv, aad, data, tag_bytes, encrypt=encrypt)

    def op_sm4_gcm_encrypt(self, request: Request) -> Reply:
        ct, tag = self.gcm(request, bytes.fromhex(request["msg"]), encrypt=True)
        return {"ct": ct.hex(), "tag": tag[: request["tag_bytes"]].hex()}

    def op_sm4_gcm_decrypt(self, request: Request) -> Reply:
        msg, tag = self.gcm(request, bytes.fromhex(request["ct"]), encrypt=False)
        return self.opened(msg, tag, bytes.fromhex(request["tag"]), request["tag_bytes"])

    def op_sm4_ccm_encrypt(self, request: Request) -> Reply:
        ct, tag = self.ccm(request, bytes.fromhex(request["msg"]), request["tag_bytes"], encrypt=True)
        return {"ct": ct.hex(), "tag": tag.hex()}

    def op_sm4_ccm_decrypt(self, request: Request) -> Reply:
        given, agreed = bytes.fromhex(request["tag"]), request["tag_bytes"]
        msg, tag = self.ccm(request, bytes.fromhex(request["ct"]), agreed, encrypt=False)
        return self.opened(msg, tag, given, agreed)

    def opened(self, msg: bytes, tag: bytes, given: bytes, agreed: int) -> Reply:
        """The plaintext, where the tag given is the right one, of the length that was agreed on."""
        if len(given) != agreed or tag[:agreed] != given:
            raise Refused("the tag is wrong")
        return {"msg": msg.hex()}

    def op_sm4_reuse(self, request: Request) -> Reply:
        return {"outs": [self.reused(request["mode"], {**step, "key": request["key"]}) for step in request["steps"]]}

    def reused(self, mode: str, step: Request) -> Reply:
        """The reply to one step of an object that is used again."""
        return self.handle({**step, "op": f"sm4_{mode}_{step['op']}"})

    # -- SM2

    def point(self, request: Request, name: str = "public") -> curve.Point:
        return self.sm2.decode_point(bytes.fromhex(request[name]))

    def user(self, request: Request, name: str = "user_id") -> bytes | None:
        return bytes.fromhex(request[name]) if name in request else self.default_id

    def op_sm2_import_public(self, request: Request) -> Reply:
        data = bytes.fromhex(request["public"])
        spki = request.get("encoding", "point") == "spki"
        point = self.sm2.decode_spki(data) if spki else self.sm2.decode_point(data)
        return {"public": self.sm2.encode_point(point).hex()}

    def op_sm2_import_private(self, request: Request) -> Reply:
        d = self.sm2.check_private(bytes.fromhex(request["private"]))
        return {"public": self.sm2.encode_point(self.sm2.public_of(d)).hex()}

    def op_sm2_keygen(self, _request: Request) -> Reply:
        d = self.sm2.generate()
        return {"private": d.to_bytes(32).hex(), "public": self.sm2.encode_point(self.sm2.public_of(d)).hex()}

    def private(self, request: Request) -> int:
        return self.sm2.check_private(bytes.fromhex(request["private"]))

    def message_digest(self, request: Request, point: curve.Point) -> bytes:
        msg = bytes.fromhex(request["msg"])
        if request.get("input", "message") == "digest":
            return msg
        return self.sm2.digest(self.user(request), point, msg)

    def op_sm2_verify(self, request: Request) -> Reply:
        point = self.point(request)
        r, s = self.sm2.decode_signature(bytes.fromhex(request["sig"]), request.get("encoding", "der"))
        return {"valid": self.sm2.verify_digest(point, self.message_digest(request, point), r, s)}

    def op_sm2_sign(self, request: Request) -> Reply:
        d = self.private(request)
        digest = self.message_digest(request, self.sm2.public_of(d))
        k = int(request["k"], 16) if "k" in request else None
        r, s = self.sm2.sign_digest(d, digest, k)
        return {"sig": self.sm2.encode_signature(r, s, request.get("encoding", "der")).hex()}

    def op_sm2_encrypt(self, request: Request) -> Reply:
        k = int(request["k"], 16) if "k" in request else None
        c1, c3, c2 = self.sm2.encrypt(self.point(request), bytes.fromhex(request["msg"]), k)
        encoding, order = request.get("encoding", "der"), request.get("order", "c1c3c2")
        return {"ct": self.sm2.encode_ciphertext(c1, c3, c2, encoding, order).hex()}

    def op_sm2_decrypt(self, request: Request) -> Reply:
        encoding, order = request.get("encoding", "der"), request.get("order", "c1c3c2")
        c1, c3, c2 = self.sm2.decode_ciphertext(bytes.fromhex(request["ct"]), encoding, order)
        return {"msg": self.sm2.decrypt(self.private(request), c1, c3, c2).hex()}

    def op_sm2_exchange(self, request: Request) -> Reply:
        done = self.sm2.exchange(
            initiator=request["role"] == "initiator",
            d=self.private(request),
            r=int(request["ephemeral"], 16),
            user=self.user(request),
            peer=self.point(request, "peer_public"),
            peer_ephemeral=self.point(request, "peer_ephemeral"),
            peer_user=self.user(request, "peer_id"),
            size=request["size"],
        )
        return {"key": done.key.hex(), "confirm_a": done.confirm_a.hex(), "confirm_b": done.confirm_b.hex()}

    def op_sm2_certificate_verify(self, request: Request) -> Reply:
        self.chains.user = self.user(request)
        chain, roots = ([bytes.fromhex(c) for c in request[n]] for n in ("chain", "roots"))
        try:
            self.chains.judge(chain, roots, request["time"], request["usage"])
        except Refused as refused:
            return {"valid": False, "why": str(refused)}
        return {"valid": True}

    # -- many at once

    def op_concurrent(self, request: Request) -> Reply:
        """Every request ``repeat`` times from every thread: the different answers that each of them got."""
        seen: list[dict[str, Reply]] = [{} for _ in request["requests"]]
        lock = threading.Lock()

        def work() -> None:
            for _ in range(request["repeat"]):
                for index, inner in enumerate(request["requests"]):
                    reply = self.handle(inner)
                    with lock:
                        seen[index][json.dumps(reply, sort_keys=True)] = reply

        threads = [threading.Thread(target=work) for _ in range(request["threads"])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"replies": [list(found.values())[:64] for found in seen]}

    def op_timed(self, request: Request) -> Reply:
        """Nanoseconds of each request of two classes, asked for in a random order."""
        order = random.Random(request["seed"])
        times: list[list[int]] = [[], []]
        for _ in range(request["rounds"]):
            which = order.randrange(2)
            start = time.perf_counter_ns()
            self.handle(request["requests"][which])
            times[which].append(time.perf_counter_ns() - start)
        return {"nanoseconds": times}

    def op_self_test(self, _request: Request) -> Reply:
        good = self.sm3_type(b"abc").digest().hex().startswith("66c7f0f4")
        return {"passed": good}


def serve(harness: ReferenceHarness, lines: BinaryIO, out: BinaryIO) -> None:
    """Say hello, then answer each line, until there are no more."""

    def say(reply: Reply) -> None:
        out.write(json.dumps(reply, separators=(",", ":")).encode() + b"\n")
        out.flush()

    say(harness.hello())
    for line in lines:
        request = json.loads(line)
        say({"id": request["id"], **harness.handle(request)})


if __name__ == "__main__":
    serve(ReferenceHarness(), sys.stdin.buffer, sys.stdout.buffer)
