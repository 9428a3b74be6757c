"""The reference as a subject: ``python -m pytest_xinchuang.packages.sm_crypto.reference_harness`` speaks the harness protocol.

See docs/harness.md for the protocol. Known-bad subjects are made from this one by changing one method.
"""

from __future__ import annotations

import copy
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

from pytest_xinchuang.packages.sm_crypto.certificates import ChainJudge
from pytest_xinchuang.packages.sm_crypto.fields import (
    MOST_BYTES,
    MOST_ROUNDS,
    as_number,
    choice,
    items,
    many_octets,
    number,
    octets,
    scalar,
)
from pytest_xinchuang.sm import curve, sm4
from pytest_xinchuang.sm.sm2 import DEFAULT_ID, Refused, Sm2
from pytest_xinchuang.sm.sm3 import HmacSm3, Sm3, hkdf_sm3, pbkdf2_sm3, x963kdf_sm3
from pytest_xinchuang.sm.sm4 import Sm4

Request = dict[str, Any]
Reply = dict[str, Any]
Keyed = TypeVar("Keyed")

LAST_SECOND = 253402300799
"""The end of 9999, in seconds of Unix: no certificate has a later time (RFC 5280, 4.1.2.5)."""

_BUFFERS = {"in_place": [True], "offset": [1, 2, 3, 7]}
_MODE = {"splits": [True], **_BUFFERS}
_AEAD = {**_MODE, "aad_splits": [True]}


REUSED = ("ecb", "cbc", "ctr", "ofb", "cfb", "gcm", "ccm")
"""The modes of which one key object can be asked for several things one after the other."""


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    """``data`` cut into parts of these sizes, and the rest. Raises ValueError: it has not so much."""
    out, at = [], 0
    for size in sizes:
        as_number(size, "splits", 0, len(data) - at)
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
        self._objects: dict[tuple[str, bytes], Any] = {}
        self._objects_lock = threading.Lock()

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
                "sm2_certificate_verify": {"purpose": ["server", "client"], "encryption": [True], "crls": [True]},
                "concurrent": {"threads": [1, 64], "shared": [False, True]},
                "forked": {},
                "timed": {},
                "self_test": {},
            },
        }

    def handle(self, request: Request) -> Reply:
        """The reply to one request, without its id."""
        if not isinstance(request, dict):
            return {"error": "a request is an object"}
        operation: Callable[[Request], Reply] | None = getattr(self, f"op_{request.get('op')}", None)
        if operation is None:
            return {"unsupported": f"there is no operation {str(request.get('op'))[:100]!r}"}
        try:
            return operation(request)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    # -- SM3

    def op_sm3(self, request: Request) -> Reply:
        state = self.sm3_type()
        parts = pieces(octets(request, "msg"), items(request, "splits"))
        for _ in range(number(request, "repeat", 1, MOST_ROUNDS, 1)):
            for part in parts:
                state.update(part)
        return {"digest": state.digest().hex()}

    def op_sm3_stream(self, request: Request) -> Reply:
        return self.stream(self.sm3_type, items(request, "steps"))

    def op_hmac_sm3_stream(self, request: Request) -> Reply:
        key = octets(request, "key")
        return self.stream(lambda: self.hmac_type(key), items(request, "steps"))

    def stream(self, start: Callable[[], Any], steps: list[Request]) -> Reply:
        state, outs = start(), []
        for step in steps:
            if "update" in step:
                state.update(octets(step, "update"))
            elif "clone" in step:
                twin = state.copy()
                twin.update(octets(step, "clone"))
                outs.append(twin.digest().hex())
            elif "reset" in step:
                state = start()
            else:
                outs.append(state.digest().hex())
        return {"outs": outs}

    def op_hmac_sm3(self, request: Request) -> Reply:
        mac = self.keyed(request, "hmac", octets(request, "key"), self.hmac_type).copy()
        mac.update(octets(request, "msg"))
        return {"mac": mac.digest().hex()}

    def op_hkdf_sm3(self, request: Request) -> Reply:
        ikm, salt, info = (octets(request, n) for n in ("ikm", "salt", "info"))
        return {"key": hkdf_sm3(ikm, salt, info, self.size(request)).hex()}

    def op_pbkdf2_sm3(self, request: Request) -> Reply:
        password, salt = octets(request, "password"), octets(request, "salt")
        iterations = number(request, "iterations", 1, MOST_ROUNDS)
        return {"key": pbkdf2_sm3(password, salt, iterations, self.size(request)).hex()}

    def op_x963kdf_sm3(self, request: Request) -> Reply:
        secret, info = octets(request, "secret"), octets(request, "info")
        return {"key": x963kdf_sm3(secret, info, self.size(request)).hex()}

    def size(self, request: Request) -> int:
        """Bytes of a key that is derived; what the algorithm itself does not give, it refuses."""
        return number(request, "size", 0, MOST_BYTES)

    # -- SM4

    def cipher(self, request: Request) -> Sm4:
        return self.keyed(request, "sm4", octets(request, "key"), self.sm4_type)

    def keyed(self, request: Request, kind: str, key: bytes, make: Callable[[bytes], Keyed]) -> Keyed:
        """The object of a key: its own, or one for all threads where the request is to share it."""
        if not request.get("shared"):
            return make(key)
        with self._objects_lock:
            if (kind, key) not in self._objects:
                self._objects[kind, key] = make(key)
            found: Keyed = self._objects[kind, key]
        return found

    def op_sm4_ecb_encrypt(self, request: Request) -> Reply:
        cipher, data = self.cipher(request), octets(request, "msg")
        data = self.padded(data, request)
        for _ in range(number(request, "times", 1, MOST_ROUNDS, 1)):
            data = sm4.ecb(cipher, data, encrypt=True)
        return {"ct": data.hex()}

    def op_sm4_ecb_decrypt(self, request: Request) -> Reply:
        data = sm4.ecb(self.cipher(request), octets(request, "ct"), encrypt=False)
        return {"msg": self.unpadded(data, request).hex()}

    def pads(self, request: Request) -> bool:
        return bool(choice(request, "padding", ("none", "pkcs7"), "none") == "pkcs7")

    def padded(self, data: bytes, request: Request) -> bytes:
        return sm4.pad(data) if self.pads(request) else data

    def unpadded(self, data: bytes, request: Request) -> bytes:
        return sm4.unpad(data) if self.pads(request) else data

    def op_sm4_cbc_encrypt(self, request: Request) -> Reply:
        data = self.padded(octets(request, "msg"), request)
        return {"ct": sm4.cbc(self.cipher(request), octets(request, "iv"), data, encrypt=True).hex()}

    def op_sm4_cbc_decrypt(self, request: Request) -> Reply:
        data = octets(request, "ct")
        data = sm4.cbc(self.cipher(request), octets(request, "iv"), data, encrypt=False)
        return {"msg": self.unpadded(data, request).hex()}

    def _both_ways(self, mode: Callable[[bytes], bytes], request: Request) -> Reply:
        encrypting = request["op"].endswith("encrypt")
        data = mode(octets(request, "msg" if encrypting else "ct"))
        return {"ct" if encrypting else "msg": data.hex()}

    def op_sm4_ctr_encrypt(self, request: Request) -> Reply:
        cipher, iv, wrap = self.cipher(request), octets(request, "iv"), choice(request, "wrap", (128, 32), 128)
        return self._both_ways(lambda data: sm4.ctr(cipher, iv, data, wrap=wrap), request)

    op_sm4_ctr_decrypt = op_sm4_ctr_encrypt

    def op_sm4_ofb_encrypt(self, request: Request) -> Reply:
        cipher, iv = self.cipher(request), octets(request, "iv")
        return self._both_ways(lambda data: sm4.ofb(cipher, iv, data), request)

    op_sm4_ofb_decrypt = op_sm4_ofb_encrypt

    def op_sm4_cfb_encrypt(self, request: Request) -> Reply:
        cipher, iv, encrypt = self.cipher(request), octets(request, "iv"), request["op"].endswith("encrypt")
        return self._both_ways(lambda data: sm4.cfb(cipher, iv, data, encrypt=encrypt), request)

    op_sm4_cfb_decrypt = op_sm4_cfb_encrypt

    def op_sm4_xts_encrypt(self, request: Request) -> Reply:
        key, iv, encrypt = octets(request, "key"), octets(request, "iv"), request["op"].endswith("encrypt")
        standard = choice(request, "standard", ("gb", "ieee"))

        def make(half: bytes) -> Sm4:
            return self.keyed(request, "sm4", half, self.sm4_type)

        return self._both_ways(
            lambda data: sm4.xts(key, iv, data, encrypt=encrypt, standard=standard, make=make), request
        )

    op_sm4_xts_decrypt = op_sm4_xts_encrypt

    def gcm(self, request: Request, data: bytes, *, encrypt: bool) -> tuple[bytes, bytes]:
        iv, aad = octets(request, "iv"), octets(request, "aad")
        return sm4.gcm(self.cipher(request), iv, aad, data, encrypt=encrypt)

    def ccm(self, request: Request, data: bytes, tag_bytes: int, *, encrypt: bool) -> tuple[bytes, bytes]:
        iv, aad = octets(request, "iv"), octets(request, "aad")
        sm4.ccm_check(iv, tag_bytes)
        return sm4.ccm(self.cipher(request), iv, aad, data, tag_bytes, encrypt=encrypt)

    def op_sm4_gcm_encrypt(self, request: Request) -> Reply:
        tag_bytes = self.tag_bytes(request)
        sm4.gcm_check(tag_bytes)
        ct, tag = self.gcm(request, octets(request, "msg"), encrypt=True)
        return {"ct": ct.hex(), "tag": tag[:tag_bytes].hex()}

    def op_sm4_gcm_decrypt(self, request: Request) -> Reply:
        agreed = self.tag_bytes(request)
        sm4.gcm_check(agreed)
        msg, tag = self.gcm(request, octets(request, "ct"), encrypt=False)
        return self.opened(msg, tag, octets(request, "tag"), agreed)

    def op_sm4_ccm_encrypt(self, request: Request) -> Reply:
        ct, tag = self.ccm(request, octets(request, "msg"), self.tag_bytes(request), encrypt=True)
        return {"ct": ct.hex(), "tag": tag.hex()}

    def op_sm4_ccm_decrypt(self, request: Request) -> Reply:
        given, agreed = octets(request, "tag"), self.tag_bytes(request)
        msg, tag = self.ccm(request, octets(request, "ct"), agreed, encrypt=False)
        return self.opened(msg, tag, given, agreed)

    def tag_bytes(self, request: Request) -> int:
        return number(request, "tag_bytes", 0, 16)

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
        return self.sm2.decode_point(octets(request, name))

    def user(self, request: Request, name: str = "user_id") -> bytes | None:
        return octets(request, name) if name in request else self.default_id

    def op_sm2_import_public(self, request: Request) -> Reply:
        data = octets(request, "public")
        spki = choice(request, "encoding", ("point", "spki"), "point") == "spki"
        point = self.sm2.decode_spki(data) if spki else self.sm2.decode_point(data)
        return {"public": self.sm2.encode_point(point).hex()}

    def op_sm2_import_private(self, request: Request) -> Reply:
        d = self.sm2.check_private(octets(request, "private"))
        return {"public": self.sm2.encode_point(self.sm2.public_of(d)).hex()}

    def op_sm2_keygen(self, _request: Request) -> Reply:
        d = self.sm2.generate()
        return {"private": d.to_bytes(32).hex(), "public": self.sm2.encode_point(self.sm2.public_of(d)).hex()}

    def private(self, request: Request) -> int:
        return self.sm2.check_private(octets(request, "private"))

    def message_digest(self, request: Request, point: curve.Point) -> bytes:
        msg = octets(request, "msg")
        if choice(request, "input", ("message", "digest"), "message") == "digest":
            return msg
        return self.sm2.digest(self.user(request), point, msg)

    def op_sm2_verify(self, request: Request) -> Reply:
        point = self.point(request)
        r, s = self.sm2.decode_signature(octets(request, "sig"), self.encoding(request))
        return {"valid": self.sm2.verify_digest(point, self.message_digest(request, point), r, s)}

    def op_sm2_sign(self, request: Request) -> Reply:
        d = self.private(request)
        digest = self.message_digest(request, self.sm2.public_of(d))
        k = scalar(request, "k") if "k" in request else None
        r, s = self.sm2.sign_digest(d, digest, k)
        return {"sig": self.sm2.encode_signature(r, s, self.encoding(request)).hex()}

    def encoding(self, request: Request) -> str:
        return str(choice(request, "encoding", ("der", "raw"), "der"))

    def order(self, request: Request) -> str:
        return str(choice(request, "order", ("c1c3c2", "c1c2c3"), "c1c3c2"))

    def op_sm2_encrypt(self, request: Request) -> Reply:
        k = scalar(request, "k") if "k" in request else None
        c1, c3, c2 = self.sm2.encrypt(self.point(request), octets(request, "msg"), k)
        return {"ct": self.sm2.encode_ciphertext(c1, c3, c2, self.encoding(request), self.order(request)).hex()}

    def op_sm2_decrypt(self, request: Request) -> Reply:
        parts = octets(request, "ct"), self.encoding(request), self.order(request)
        c1, c3, c2 = self.sm2.decode_ciphertext(*parts)
        return {"msg": self.sm2.decrypt(self.private(request), c1, c3, c2).hex()}

    def op_sm2_exchange(self, request: Request) -> Reply:
        done = self.sm2.exchange(
            initiator=choice(request, "role", ("initiator", "responder")) == "initiator",
            d=self.private(request),
            r=scalar(request, "ephemeral"),
            user=self.user(request),
            peer=self.point(request, "peer_public"),
            peer_ephemeral=self.point(request, "peer_ephemeral"),
            peer_user=self.user(request, "peer_id"),
            size=self.size(request),
        )
        return {"key": done.key.hex(), "confirm_a": done.confirm_a.hex(), "confirm_b": done.confirm_b.hex()}

    def op_sm2_certificate_verify(self, request: Request) -> Reply:
        chains = copy.copy(self.chains)  # its own: other threads judge with other ids
        chains.user = self.user(request)
        chain, roots = many_octets(request, "chain"), many_octets(request, "roots")
        usage = choice(request, "usage", ("sign", "encrypt"))
        more: dict[str, Any] = {}
        if "encryption" in request:
            more["encryption"] = octets(request, "encryption")
        if "purpose" in request:
            more["purpose"] = choice(request, "purpose", ("server", "client"))
        if "crls" in request:
            more["crls"] = many_octets(request, "crls")
        try:
            chains.judge(chain, roots, number(request, "time", 0, LAST_SECOND), usage, **more)
        except Refused as refused:
            return {"valid": False, "why": str(refused)}
        return {"valid": True}

    # -- many at once

    def inner(self, request: Request) -> list[Request]:
        """The requests inside of a request. Raises ValueError: one of them has requests inside itself."""
        found = items(request, "requests")
        for one in found:
            if not isinstance(one, dict) or "requests" in one:
                raise ValueError("requests inside of a request have none themselves")
        return found

    def op_concurrent(self, request: Request) -> Reply:
        """Every request ``repeat`` times from every thread: the different answers that each of them got."""
        shared = choice(request, "shared", (False, True), False)
        asked = [{**one, "shared": shared} for one in self.inner(request)]
        seen: list[dict[str, Reply]] = [{} for _ in asked]
        lock, repeat = threading.Lock(), number(request, "repeat", 1, MOST_ROUNDS)
        self._objects.clear()

        def work() -> None:
            for _ in range(repeat):
                for index, inner in enumerate(asked):
                    reply = self.handle(inner)
                    with lock:
                        seen[index][json.dumps(reply, sort_keys=True)] = reply

        threads = [threading.Thread(target=work) for _ in range(number(request, "threads", 1, 64))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"replies": [list(found.values())[:64] for found in seen]}

    def op_forked(self, request: Request) -> Reply:
        """What this process and a copy of it answer to the same requests."""
        asked = self.inner(request)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.close(reading)
                with open(writing, "wb") as out:  # noqa: PTH123 - a descriptor
                    out.write(json.dumps([self.handle(one) for one in asked]).encode())
            finally:
                os._exit(0)
        os.close(writing)
        mine = [self.handle(one) for one in asked]
        with open(reading, "rb") as pipe:  # noqa: PTH123 - a descriptor
            said = pipe.read()
        os.waitpid(child, 0)
        return {"parent": mine, "child": json.loads(said)}

    def op_timed(self, request: Request) -> Reply:
        """Nanoseconds of each request of two classes, asked for in a random order."""
        order, asked = random.Random(number(request, "seed", 0, 1 << 64)), self.inner(request)
        times: list[list[int]] = [[], []]
        if len(asked) != 2:
            raise ValueError("requests has to be a list of two")
        for _ in range(number(request, "rounds", 1, MOST_ROUNDS)):
            which = order.randrange(2)
            start = time.perf_counter_ns()
            self.handle(asked[which])
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
        try:
            request = json.loads(line)
            identity = request["id"]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            say({"id": None, "error": type(error).__name__})
            continue
        say({"id": identity, **harness.handle(request)})


if __name__ == "__main__":
    serve(ReferenceHarness(), sys.stdin.buffer, sys.stdout.buffer)
