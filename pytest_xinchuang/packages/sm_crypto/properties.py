"""Properties that hold for every input, tested on random ones: round trips, and agreement with the reference both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from pytest_xinchuang.core.found import Found
from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness
from pytest_xinchuang.sm.curve import N, multiply_base
from pytest_xinchuang.sm.sm2 import DEFAULT_ID, Sm2

EXAMPLES = 40
ONE_BYTE = 2000
"""Encryptions of one byte: a missing retry stays unseen with probability (255/256)**2000, 4 in 10,000."""
_KEYS = st.binary(min_size=16, max_size=16)
_TEXTS = st.binary(max_size=200)
_PRIVATE = st.integers(1, N - 2)


class _Broken(AssertionError):
    """A property does not hold."""


class _Fault(Exception):
    """Our side broke: nothing is known about the subject."""


def _expected(asked: object, expected: object, got: object) -> Message:
    return _("{asked}: expected {expected}, got {got}", asked=str(asked), expected=str(expected), got=str(got))


def _try(found: Found, name: str, test: Callable[[], None]) -> None:
    try:
        test()
    except _Broken as broken:
        found.wrong.append(_("{name}: {broken}", name=name, broken=told(broken)))
    except _Fault as fault:
        found.undecided = found.undecided or told(fault)
        return
    except Flaky as flaky:
        # The subject's own random number (its k) decides too: one failure is enough.
        seen = [e for e in getattr(flaky, "exceptions", ()) if isinstance(e, _Broken)]
        found.wrong.append(_("{name}, not every time: {why}", name=name, why=told(seen[0] if seen else flaky)))
    found.evidence.append({"kind": "property", "name": name, "examples": EXAMPLES})


def _examples(test: Callable[..., None]) -> Callable[[], None]:
    """Runs ``test`` with Hypothesis, without a database, on the same examples every time."""
    wanted = settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        print_blob=False,
    )
    made: Callable[[], None] = wanted(test)
    return made


class Properties:
    """The properties of one harness."""

    def __init__(self, client: SmClient) -> None:
        self.client = client
        self.hello = client.hello
        self.reference = ReferenceHarness()
        self.sm2 = Sm2()
        self.found = Found()

    def ask(self, operation: str, **fields: Any) -> dict[str, Any]:
        answer: Answer = self.client.ask({"op": operation, **fields})
        if answer.kind is ReplyKind.FAULT:
            raise _Fault(answer.detail)
        if answer.kind is not ReplyKind.REPLY:
            raise _Broken(
                _("{operation}: the harness died: {why}", operation=operation, why=answer.detail)
                if answer.kind is ReplyKind.DIED
                else _("{operation}: the harness hung: {why}", operation=operation, why=answer.detail)
            )
        return dict(answer.reply)

    def need(self, operation: str, name: str, **fields: Any) -> Any:
        reply = self.ask(operation, **fields)
        if reply.get(name) is None:
            given_ = {k: v for k, v in fields.items() if k in ("msg", "ct", "sig", "private", "public")}
            raise _Broken(
                _(
                    "{operation} of {given} gives no {name}: {reply}",
                    operation=operation,
                    given=given_,
                    name=name,
                    reply=str(reply.get("error") or reply),
                )
            )
        return reply[name]

    def offers(self, operation: str, **fields: Any) -> bool:
        return not self.hello.lacks({"op": operation, **fields})

    def run(self) -> Found:
        """Test every property whose operations the harness has."""
        if self.offers("sm3", msg=""):
            _try(self.found, _("SM3 agrees with the reference"), self._hash())
        for mode in ("ecb", "cbc", "ctr", "ofb", "cfb", "xts"):
            if self.offers(f"sm4_{mode}_encrypt", **self._mode(mode)) and self.offers(
                f"sm4_{mode}_decrypt", **self._mode(mode)
            ):
                _try(
                    self.found,
                    _("SM4-{mode} decrypts what it encrypts, and agrees with the reference", mode=mode.upper()),
                    self._cipher(mode),
                )
        for mode in ("gcm", "ccm"):
            shape = {"iv": "00" * 12, "aad": "", "tag_bytes": 16, "tag": "00" * 16}
            if self.offers(f"sm4_{mode}_encrypt", **shape) and self.offers(f"sm4_{mode}_decrypt", **shape):
                _try(
                    self.found,
                    _("SM4-{mode} decrypts what it encrypts, and refuses changed data", mode=mode.upper()),
                    self._aead(mode),
                )
        if self.offers("sm2_keygen"):
            _try(self.found, _("a generated key pair is valid"), self._keys())
        for encoding in ("der", "raw"):
            if self.offers("sm2_sign", encoding=encoding):
                _try(
                    self.found,
                    _("SM2 signs what the reference verifies ({encoding})", encoding=encoding),
                    self._sign(encoding),
                )
            if self.offers("sm2_verify", encoding=encoding):
                _try(
                    self.found,
                    _("SM2 verifies what the reference signs, and nothing else ({encoding})", encoding=encoding),
                    self._verify(encoding),
                )
        for encoding, order in (("der", "c1c3c2"), ("raw", "c1c3c2"), ("raw", "c1c2c3")):
            form = {"encoding": encoding, "order": order}
            if self.offers("sm2_encrypt", **form):
                _try(
                    self.found,
                    _("SM2 encrypts what the reference decrypts ({encoding}, {order})", encoding=encoding, order=order),
                    self._encrypt(form),
                )
                if not self.offers("sm2_encrypt", **form, k="00"):
                    self._zero_stream(form)
            if self.offers("sm2_decrypt", **form):
                _try(
                    self.found,
                    _("SM2 decrypts what the reference encrypts ({encoding}, {order})", encoding=encoding, order=order),
                    self._decrypt(form),
                )
        if not self.found.evidence and not self.found.wrong and not self.found.undecided:
            self.found.lacking = _("the harness has no operation that a property tests")
            self.found.evidence.append({"kind": "hello", "operations": sorted(self.hello.operations)})
        return self.found

    @staticmethod
    def _mode(mode: str) -> dict[str, Any]:
        out: dict[str, Any] = {} if mode == "ecb" else {"iv": "00" * 16}
        if mode in ("ecb", "cbc"):
            out["padding"] = "none"
        if mode == "xts":
            out["standard"] = "ieee"
        return out

    def _hash(self) -> Callable[[], None]:
        @given(_TEXTS)
        def test(msg: bytes) -> None:
            expected = self.reference.op_sm3({"msg": msg.hex()})["digest"]
            if (got := self.need("sm3", "digest", msg=msg.hex())) != expected:
                raise _Broken(_expected(f"sm3 {msg.hex()}", expected, got))

        return _examples(test)

    def _cipher(self, mode: str) -> Callable[[], None]:
        whole = mode in ("ecb", "cbc")
        least = 16 if mode == "xts" else 0

        @given(st.binary(min_size=32, max_size=32), _KEYS, st.binary(min_size=least, max_size=160))
        def test(key: bytes, iv: bytes, msg: bytes) -> None:
            msg = msg[: len(msg) // 16 * 16] if whole else msg
            fields = self._mode(mode) | {"key": (key if mode == "xts" else key[:16]).hex()}
            if "iv" in fields:
                fields["iv"] = iv.hex()
            request = {"op": f"sm4_{mode}_encrypt", **fields, "msg": msg.hex()}
            expected = self.reference.handle(request)["ct"]
            ct = self.need(f"sm4_{mode}_encrypt", "ct", **fields, msg=msg.hex())
            if ct != expected:
                raise _Broken(_expected(f"{fields} {msg.hex()}", expected, ct))
            if (back := self.need(f"sm4_{mode}_decrypt", "msg", **fields, ct=ct)) != msg.hex():
                raise _Broken(_("{fields}: {msg} came back as {back}", fields=fields, msg=msg.hex(), back=back))

        return _examples(test)

    def _aead(self, mode: str) -> Callable[[], None]:
        @given(_KEYS, st.binary(min_size=12, max_size=12), st.binary(max_size=40), _TEXTS, st.integers(0, 1 << 30))
        def test(key: bytes, iv: bytes, aad: bytes, msg: bytes, where: int) -> None:
            fields = {"key": key.hex(), "iv": iv.hex(), "aad": aad.hex()}
            request = {**fields, "msg": msg.hex(), "tag_bytes": 16}
            reply = self.ask(f"sm4_{mode}_encrypt", **request)
            expected = self.reference.handle({"op": f"sm4_{mode}_encrypt", **request})
            if (reply.get("ct"), reply.get("tag")) != (expected["ct"], expected["tag"]):
                raise _Broken(_expected(request, expected, reply))
            back = self.need(f"sm4_{mode}_decrypt", "msg", **fields, ct=reply["ct"], tag=reply["tag"], tag_bytes=16)
            if back != msg.hex():
                raise _Broken(_("{request}: came back as {back}", request=request, back=back))
            both = bytearray.fromhex(reply["ct"] + reply["tag"])
            both[where % len(both)] ^= 1 << where % 7
            wrong = {"ct": both[:-16].hex(), "tag": both[-16:].hex(), "tag_bytes": 16}
            changed = self.ask(f"sm4_{mode}_decrypt", **fields, **wrong)
            if changed.get("msg") is not None or "error" not in changed:
                raise _Broken(
                    _("{request}: it accepts {changed}: {reply}", request=request, changed=both.hex(), reply=changed)
                )

        return _examples(test)

    def _keys(self) -> Callable[[], None]:
        @given(st.integers())
        def test(_number: int) -> None:
            reply = self.ask("sm2_keygen")
            try:
                d = self.sm2.check_private(bytes.fromhex(reply["private"]))
                point = self.sm2.decode_point(bytes.fromhex(reply["public"]))
            except (KeyError, TypeError, ValueError) as error:
                raise _Broken(_("not a key pair: {why}: {reply}", why=error, reply=reply)) from None
            if point != multiply_base(d):
                raise _Broken(_("the public key does not belong to the private key: {reply}", reply=reply))

        return _examples(test)

    def _sign(self, encoding: str) -> Callable[[], None]:
        @given(_PRIVATE, _TEXTS)
        def test(d: int, msg: bytes) -> None:
            fields = {"private": f"{d:064x}", "msg": msg.hex(), "encoding": encoding, "user_id": DEFAULT_ID.hex()}
            sig = self.need("sm2_sign", "sig", **fields)
            point = multiply_base(d)
            try:
                r, s = self.sm2.decode_signature(bytes.fromhex(sig), encoding)
            except ValueError as error:
                raise _Broken(_("{fields}: {why}: {signature}", fields=fields, why=error, signature=sig)) from None
            if not self.sm2.verify_digest(point, self.sm2.digest(DEFAULT_ID, point, msg), r, s):
                raise _Broken(_("{fields}: the signature {signature} is wrong", fields=fields, signature=sig))

        return _examples(test)

    def _verify(self, encoding: str) -> Callable[[], None]:
        @given(_PRIVATE, _TEXTS, st.integers(1, N - 1), st.integers(0, 255))
        def test(d: int, msg: bytes, k: int, bit: int) -> None:
            point = multiply_base(d)
            r, s = self.sm2.sign_digest(d, self.sm2.digest(DEFAULT_ID, point, msg), k)
            fields = {"public": self.sm2.encode_point(point).hex(), "msg": msg.hex(), "encoding": encoding}
            fields["user_id"] = DEFAULT_ID.hex()
            good = self.sm2.encode_signature(r, s, encoding).hex()
            if self.ask("sm2_verify", **fields, sig=good).get("valid") is not True:
                raise _Broken(_("{fields}: the valid signature {signature} is refused", fields=fields, signature=good))
            other = (s ^ 1 << bit) % (1 << 256)
            if self.sm2.verify_digest(point, self.sm2.digest(DEFAULT_ID, point, msg), r, other):
                return  # -R has the x of R: for a few tiny numbers the changed one is good too
            bad = self.sm2.encode_signature(r, other, encoding).hex()
            if self.ask("sm2_verify", **fields, sig=bad).get("valid") is True:
                raise _Broken(
                    _("{fields}: the changed signature {signature} is accepted", fields=fields, signature=bad)
                )

        return _examples(test)

    def _encrypt(self, form: dict[str, str]) -> Callable[[], None]:
        @given(_PRIVATE, st.binary(min_size=4, max_size=200))
        def test(d: int, msg: bytes) -> None:
            public = self.sm2.encode_point(multiply_base(d)).hex()
            ct = self.need("sm2_encrypt", "ct", public=public, msg=msg.hex(), **form)
            try:
                back = self.sm2.decrypt(
                    d, *self.sm2.decode_ciphertext(bytes.fromhex(ct), form["encoding"], form["order"])
                )
            except ValueError as error:
                raise _Broken(
                    _(
                        "private key {key}, message {msg}: {ct}: {why}",
                        key=d.to_bytes(32).hex(),
                        msg=msg.hex(),
                        ct=ct,
                        why=error,
                    )
                ) from None
            if back != msg:
                raise _Broken(
                    _(
                        "private key {key}: {msg} decrypts to {found}",
                        key=d.to_bytes(32).hex(),
                        msg=msg.hex(),
                        found=back.hex(),
                    )
                )

        return _examples(test)

    def _zero_stream(self, form: dict[str, str]) -> None:
        """Whether an all-zero key stream is replaced, where no k can be given: for one byte it comes 1 time in 256."""
        public, msg = self.sm2.encode_point(multiply_base(12345)).hex(), b"!"
        request = {"op": "sm2_encrypt", "public": public, "msg": msg.hex(), **form}
        bare = 0
        for _number, answer in self.client.run((n, request) for n in range(ONE_BYTE)):
            if answer.kind is ReplyKind.FAULT:
                self.found.undecided = self.found.undecided or answer.detail
                return
            try:
                ct = bytes.fromhex(answer.reply["ct"])
                bare += self.sm2.decode_ciphertext(ct, form["encoding"], form["order"])[2] == msg
            except (KeyError, TypeError, ValueError) as error:
                self.found.wrong.append(
                    _("sm2_encrypt of one byte: {why}", why=answer.detail or answer.reply.get("error") or error)
                )
                return
        self.found.evidence.append({"kind": "one byte", "encryptions": ONE_BYTE, "in the clear": bare, **form})
        if bare:
            self.found.wrong.append(
                _(
                    "{bare} of {total} encryptions of one byte ({encoding}) leave it in the clear: an all-zero key "
                    "stream is not replaced [{defect}]",
                    bare=bare,
                    total=ONE_BYTE,
                    encoding=form["encoding"],
                    defect=verbatim("SMD-28 ZeroKeyStream"),
                )
            )

    def _decrypt(self, form: dict[str, str]) -> Callable[[], None]:
        @given(_PRIVATE, st.binary(min_size=2, max_size=200), st.integers(1, N - 1), st.integers(0, 1 << 30))
        def test(d: int, msg: bytes, k: int, where: int) -> None:
            try:
                c1, c3, c2 = self.sm2.encrypt(multiply_base(d), msg, k)
            except ValueError:
                return  # this k has to be replaced
            fields = {"private": f"{d:064x}", **form}
            ct = self.sm2.encode_ciphertext(c1, c3, c2, form["encoding"], form["order"]).hex()
            if (back := self.need("sm2_decrypt", "msg", ct=ct, **fields)) != msg.hex():
                raise _Broken(_expected(f"{fields}: {ct}", msg.hex(), back))
            wrong = bytearray(c2)
            wrong[where % len(wrong)] ^= 1 << where % 8
            ct = self.sm2.encode_ciphertext(c1, c3, bytes(wrong), form["encoding"], form["order"]).hex()
            reply = self.ask("sm2_decrypt", ct=ct, **fields)
            if reply.get("msg") is not None or "error" not in reply:
                raise _Broken(_("{fields}: the changed {ct} is accepted: {reply}", fields=fields, ct=ct, reply=reply))

        return _examples(test)


def check_properties(client: SmClient) -> Found:
    """All properties of one harness."""
    return Properties(client).run()
