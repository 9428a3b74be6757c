"""Known-bad subjects that show in a form of SM3, HMAC or a key derivation alone: states, parts, keys and sizes."""

from __future__ import annotations

import struct

from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, Reply, Request
from pytest_xinchuang.sm.sm3 import HmacSm3, Sm3, hkdf_sm3, hmac_sm3, pbkdf2_sm3, sm3
from tests.mutants.sm.registry import defect


def starting_again(h: ReferenceHarness, operation: str, kept: type[Sm3] | type[HmacSm3], again: str) -> None:
    """Have a stream call ``again`` of its one state for a new start, instead of beginning with another state."""

    def stream(request: Request) -> Reply:
        state = kept(bytes.fromhex(request["key"])) if issubclass(kept, HmacSm3) else kept()
        outs = []
        for step in request["steps"]:
            if "update" in step:
                state.update(bytes.fromhex(step["update"]))
            elif "reset" in step:
                getattr(state, again)()
            else:
                twin = state.copy()
                twin.update(bytes.fromhex(step.get("clone", "")))
                outs.append(twin.digest().hex())
        return {"outs": outs}

    setattr(h, operation, stream)


@defect(174, "sm3_st")
def reset_keeps_length(h: ReferenceHarness) -> None:
    class Bad(Sm3):
        def reset(self) -> None:
            self.state, self.tail = Sm3().state, b""

        def padding(self) -> bytes:
            return b"\x80" + bytes((55 - len(self.tail)) % 64) + struct.pack(">Q", self.length * 8)

    starting_again(h, "op_sm3_stream", Bad, "reset")


@defect(175, "sm3_st")
def clone_shares(h: ReferenceHarness) -> None:
    class Bad(Sm3):
        def copy(self) -> Sm3:
            return self

        def digest(self) -> bytes:
            twin = Sm3()
            twin.state, twin.tail, twin.length = self.state, self.tail, self.length
            return twin.digest()

    h.sm3_type = Bad


@defect(176, "hmac_sm3_st")
def hmac_reset(h: ReferenceHarness) -> None:
    class Bad(HmacSm3):
        def reset(self) -> None:
            self.inner = Sm3()  # without the key's block in front

    starting_again(h, "op_hmac_sm3_stream", Bad, "reset")


@defect(182, "sm3")
def update_fills_block(h: ReferenceHarness) -> None:
    class Bad(Sm3):
        def update(self, data: bytes) -> None:
            if self.tail and len(self.tail) + len(data) == 64:
                self.length += len(data)
                self.tail = b""
            else:
                super().update(data)

    h.sm3_type = Bad


@defect(177, "hmac_sm3_keys", "hmac_sm3_test", "hmac_sm3")
def hmac_key_block(h: ReferenceHarness) -> None:
    class Bad(HmacSm3):
        def __init__(self, key: bytes) -> None:
            super().__init__(sm3(key) if len(key) == 64 else key)

    h.hmac_type = Bad


@defect(178, "hmac_sm3")
def hmac_long_key(h: ReferenceHarness) -> None:
    class Bad(HmacSm3):
        def __init__(self, key: bytes) -> None:
            super().__init__(key[:64])

    h.hmac_type = Bad


@defect(179, "hkdf")
def hkdf_too_long(h: ReferenceHarness) -> None:
    def bad(request: Request) -> Reply:
        ikm, salt, info = (bytes.fromhex(request[n]) for n in ("ikm", "salt", "info"))
        if request["size"] <= 8160:
            return {"key": hkdf_sm3(ikm, salt, info, request["size"]).hex()}
        prk, out, block, counter = hmac_sm3(salt or bytes(32), ikm), b"", b"", 1
        while len(out) < request["size"]:
            block = hmac_sm3(prk, block + info + bytes([counter % 256]))
            out += block
            counter += 1
        return {"key": out[: request["size"]].hex()}

    h.op_hkdf_sm3 = bad  # type: ignore[method-assign]


@defect(180, "pbkdf2")
def zero_iterations(h: ReferenceHarness) -> None:
    good = h.op_pbkdf2_sm3

    def bad(request: Request) -> Reply:
        return good({**request, "iterations": max(1, request["iterations"])})

    h.op_pbkdf2_sm3 = bad  # type: ignore[method-assign]


@defect(185, "pbkdf2")
def pbkdf2_blocks(h: ReferenceHarness) -> None:
    def bad(request: Request) -> Reply:
        password, salt = bytes.fromhex(request["password"]), bytes.fromhex(request["salt"])
        first = pbkdf2_sm3(password, salt, request["iterations"], min(request["size"], 32))
        return {"key": (first * (request["size"] // 32 + 1))[: request["size"]].hex()}

    h.op_pbkdf2_sm3 = bad  # type: ignore[method-assign]


@defect(181, "x963")
def x963_counter(h: ReferenceHarness) -> None:
    def bad(request: Request) -> Reply:
        secret, info, size = bytes.fromhex(request["secret"]), bytes.fromhex(request["info"]), request["size"]
        blocks = [sm3(secret + struct.pack(">I", n % 256) + info) for n in range(1, -(-size // 32) + 1)]
        return {"key": b"".join(blocks)[:size].hex()}

    h.op_x963kdf_sm3 = bad  # type: ignore[method-assign]
