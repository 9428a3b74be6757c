"""Makes the requests of a vector, and judges the replies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.packages.sm_crypto.protocol import SmHello
from pytest_xinchuang.packages.sm_crypto.vectors import Group, Test, Vector
from pytest_xinchuang.sm.sm2 import DEFAULT_ID, Sm2

Request = dict[str, Any]
_SM2 = Sm2()

OUTPUTS = ("msg", "ct", "tag", "sig", "key", "public", "digest", "mac", "outs")
"""Reply fields that hold a result: for an invalid vector there may be none of them."""


class VectorResult(StrEnum):
    """The result of one vector."""

    PASSED = "passed"
    FAILED = "failed"
    ACCEPTABLE = "acceptable"
    """A vector that may be accepted or refused, and was one of the two."""
    UNSUPPORTED = "unsupported"
    """The harness declares in its hello that it does not do this."""
    UNDECIDED = "undecided"
    """Our side broke, or it was never asked."""

    @property
    def word(self) -> Message:
        """The result for people."""
        return _WORDS[self]


_WORDS: Mapping[VectorResult, Message] = {
    VectorResult.PASSED: _("passed"),
    VectorResult.FAILED: _("failed"),
    VectorResult.ACCEPTABLE: _("acceptable"),
    VectorResult.UNSUPPORTED: _("unsupported"),
    VectorResult.UNDECIDED: _("undecided"),
}


@dataclass(frozen=True)
class Ask:
    """One request of a vector, and the reply that it must get.

    Attributes:
        expect: fields that the reply must have, with these values.
        check: checks a reply whose value cannot be known beforehand; returns what is wrong with it, or NOTHING.
        refuse: the reply must be an error, with no result in it.
        either: the reply may be an error; a result must still be the right one.
    """

    vector: Vector
    request: Request
    expect: Mapping[str, Any]
    check: Callable[[Mapping[str, Any]], Message] | None = None
    refuse: bool = False
    either: bool = False

    def judge(self, answer: Answer) -> tuple[VectorResult, Message]:
        """The result, and for a failure what was expected and what was answered."""
        if answer.kind is ReplyKind.FAULT:
            return VectorResult.UNDECIDED, answer.detail
        if answer.kind is not ReplyKind.REPLY:
            died = answer.kind is ReplyKind.DIED
            return VectorResult.FAILED, (
                _("the harness died: {why}", why=answer.detail)
                if died
                else _("the harness hung: {why}", why=answer.detail)
            )
        reply = answer.reply
        if "unsupported" in reply:
            return VectorResult.FAILED, _(
                "declared supported in its hello, but answered as unsupported: {why}", why=_quoted(reply["unsupported"])
            )
        results = {k: reply[k] for k in OUTPUTS if reply.get(k) is not None}
        refused = "error" in reply or reply.get("valid") is False
        if refused and results:
            return VectorResult.FAILED, _("refused, but gave out {results}", results=_short(results))
        if self.refuse:
            if refused:
                return VectorResult.PASSED, NOTHING
            if not reply or (not results and reply.get("valid") is not True):
                return VectorResult.FAILED, _(
                    "expected a refusal, got neither a refusal nor a result: {reply}", reply=_short(reply)
                )
            return VectorResult.FAILED, _("expected a refusal, got {results}", results=_short(results or reply))
        if refused:
            if self.either:
                return VectorResult.ACCEPTABLE, NOTHING
            said = reply.get("error") or reply.get("why")
            return VectorResult.FAILED, (
                _("expected {wanted}, got a refusal: {why}", wanted=self._wanted(), why=_quoted(said))
                if said
                else _("expected {wanted}, got a refusal", wanted=self._wanted())
            )
        wrong = self.wrong(reply)
        if wrong:
            return VectorResult.FAILED, wrong
        return (VectorResult.ACCEPTABLE if self.either else VectorResult.PASSED), NOTHING

    def _wanted(self) -> Message:
        return verbatim(_short(self.expect)) if self.expect else _("a result")

    def wrong(self, reply: Mapping[str, Any]) -> Message:
        """What is wrong with a reply that does not refuse; NOTHING: it is right."""
        for name, value in self.expect.items():
            found = reply.get(name)
            if found != value or type(found) is not type(value):  # 1 is not true
                return (
                    _("expected {name} {value}, got none", name=name, value=_short(value))
                    if found is None
                    else _("expected {name} {value}, got {found}", name=name, value=_short(value), found=_short(found))
                )
        return self.check(reply) if self.check else NOTHING


def _quoted(said: Any) -> Message:
    """What a harness says, cut to a readable length."""
    return verbatim(str(said)[:200])


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{k} {_short(v)}" for k, v in value.items())
    text = str(value)
    return text if len(text) <= 160 else f"{text[:120]}...({len(text)})"


FEATURES = (
    "splits", "aad_splits", "in_place", "offset", "repeat", "times", "wrap", "standard", "order", "encoding", "input",
)  # fmt: skip


def _plain(group: Group, test: Test, *names: str) -> Request:
    """The fields that the test, or else its group, has."""
    out: Request = {}
    for name in (*names, *FEATURES):
        value = test.get(name, group.get(name))
        if value is not None:
            out[name] = value
    return out


def asks(vector: Vector, hello: SmHello) -> Iterator[Ask]:
    """The requests of ``vector`` to a harness whose hello is ``hello``.

    Raises:
        KeyError: the suite does not know the type of the group, or a field is missing.
    """
    yield from _MAKERS[vector.group.type](vector, hello)


def _ask(vector: Vector, request: Request, expect: Mapping[str, Any], **more: Any) -> Ask:
    result = vector.test.result
    refuse, either = result == "invalid", result == "acceptable"
    return Ask(vector, request, {} if refuse else expect, refuse=refuse, either=either, **more)


def _sm3(vector: Vector, _hello: SmHello) -> Iterator[Ask]:
    request = {"op": "sm3", **_plain(vector.group, vector.test, "msg")}
    yield _ask(vector, request, {"digest": vector.test["digest"]})


def _stream(vector: Vector, _hello: SmHello) -> Iterator[Ask]:
    request = {"op": f"{vector.group['hash']}_stream", **_plain(vector.group, vector.test, "key", "steps")}
    if any("clone" in step for step in request["steps"]):
        request["clone"] = True
    yield _ask(vector, request, {"outs": vector.test["outs"]})


def _mac(vector: Vector, _hello: SmHello) -> Iterator[Ask]:
    size = vector.group["tagSize"] // 4
    tag, result = vector.test["tag"], vector.test.result

    def compare(reply: Mapping[str, Any]) -> Message:
        mac = reply.get("mac")
        if not isinstance(mac, str) or len(mac) != 64:
            return _("expected a MAC of 32 bytes, got {found}", found=_short(mac))
        if (mac[:size] == tag) != (result != "invalid"):
            return (
                _("expected a MAC other than {tag}, got that one", tag=tag)
                if result == "invalid"
                else _("expected the MAC {tag}, got {found}", tag=tag, found=mac[:size])
            )
        return NOTHING

    # The mac is computed and compared here: for a tag that is wrong, the right one must come.
    request = {"op": "hmac_sm3", "key": vector.test["key"], "msg": vector.test["msg"]}
    yield Ask(vector, request, {}, check=compare)


def _kdf(operation: str, output: str, **names: str) -> Callable[[Vector, SmHello], Iterator[Ask]]:
    def make(vector: Vector, _hello: SmHello) -> Iterator[Ask]:
        test = vector.test
        request = {"op": operation, **{ours: test[theirs] for ours, theirs in names.items()}}
        yield _ask(vector, request, {"key": test[output]})

    return make


def _cipher(vector: Vector, _hello: SmHello) -> Iterator[Ask]:
    """Block modes. A valid vector is asked in both directions; an invalid one is decrypted, or as its ``ways`` say."""
    group, test = vector.group, vector.test
    mode = group["mode"]
    shared = _plain(group, test, "key", "iv")
    if (padding := group.get("padding")) is not None:
        shared["padding"] = padding
    ways = test.get("ways", ["decrypt"] if test.result == "invalid" else ["encrypt", "decrypt"])
    if "encrypt" in ways:
        request = {"op": f"sm4_{mode}_encrypt", **shared, "msg": test["msg"]}
        yield _ask(vector, _in_parts(request, "msg"), {"ct": test["ct"]})
    if "decrypt" in ways:
        request = {"op": f"sm4_{mode}_decrypt", **shared, "ct": test["ct"]}
        yield _ask(vector, _in_parts(request, "ct"), {"msg": test["msg"]})


def _in_parts(request: Request, text: str) -> Request:
    """The request with its parts cut to the size of its text: the parts of a vector are those of its longer text."""
    for name, whole in (("splits", text), ("aad_splits", "aad")):
        if name in request:
            left, sizes = len(request.get(whole, "")) // 2, []
            for size in request[name]:
                sizes.append(min(size, left))
                left -= sizes[-1]
            request = {**request, name: sizes}
    return request


_BAD_PARAMETERS = {"ZeroLengthIv", "InvalidNonceSize", "InvalidTagSize", "InsecureTagSize", "WrongLength"}
"""Flags of vectors that must also be refused when encrypting: their parameters are wrong, not their text."""


def _aead(vector: Vector, _hello: SmHello) -> Iterator[Ask]:
    group, test = vector.group, vector.test
    mode = group.get("mode") or vector.algorithm.removeprefix("SM4-").lower()
    shared = _plain(group, test, "key", "iv", "aad")
    tag_bytes = group["tagSize"] // 8
    if test.result != "invalid" or _BAD_PARAMETERS & set(test.flags):
        request = {"op": f"sm4_{mode}_encrypt", **shared, "msg": test["msg"], "tag_bytes": tag_bytes}
        yield _ask(vector, _in_parts(request, "msg"), {"ct": test["ct"], "tag": test["tag"]})
    request = {"op": f"sm4_{mode}_decrypt", **shared, "ct": test["ct"], "tag": test["tag"], "tag_bytes": tag_bytes}
    for name in test.get("absent", []):
        request.pop(name, None)
    yield _ask(vector, _in_parts(request, "ct"), {"msg": test["msg"]})


def _reuse(vector: Vector, _hello: SmHello) -> Iterator[Ask]:
    """One key object does several things one after the other; ``outs`` has an empty object for what must be refused."""
    group, test = vector.group, vector.test
    request: Request = {"op": "sm4_reuse", **_plain(group, test, "mode", "key", "padding", "steps")}
    if "padding" in request:
        request["steps"] = [{**step, "padding": request["padding"]} for step in request["steps"]]
    expected: list[Mapping[str, Any]] = test["outs"]

    def compare(reply: Mapping[str, Any]) -> Message:
        outs = reply.get("outs")
        if not isinstance(outs, list) or len(outs) != len(expected) or not all(isinstance(o, dict) for o in outs):
            return _("expected {n} results, got {found}", n=len(expected), found=_short(outs))
        for number, (out, wanted) in enumerate(zip(outs, expected, strict=True), start=1):
            results = {k: out[k] for k in OUTPUTS if out.get(k) is not None}
            if not wanted and "error" not in out:
                return _("step {number}: expected a refusal, got {results}", number=number, results=_short(out))
            if "error" in out and results:
                return _("step {number}: refused, but gave out {results}", number=number, results=_short(results))
            if wanted and results != wanted:
                got = results or out
                told = {"wanted": _short(wanted), "found": _short(got)}
                return _("step {number}: expected {wanted}, got {found}", number=number, **told)
        return NOTHING

    yield Ask(vector, request, {}, check=compare)


def _user(request: Request, test: Test, hello: SmHello, name: str = "userId", field: str = "user_id") -> Request:
    """Adds the vector's id to the request; without one the standard's default, unless the harness has the same default."""
    if name in test:
        request[field] = test[name]
    elif hello.default_id != DEFAULT_ID.hex():
        request[field] = DEFAULT_ID.hex()
    return request


def _sm2_verify(vector: Vector, hello: SmHello) -> Iterator[Ask]:
    group, test = vector.group, vector.test
    request: Request = {"op": "sm2_verify", "public": test.get("public") or group["publicKey"]["uncompressed"]}
    request |= _plain(group, test, "msg", "sig")
    if request.get("input") != "digest":
        _user(request, test, hello)
    yield _ask(vector, request, {"valid": True})


def _sm2_default_id(vector: Vector, hello: SmHello) -> Iterator[Ask]:
    """The request gives no id: the library must take the default that the hello of the harness declares."""
    test = vector.test
    request = {"op": "sm2_verify", "public": vector.group["publicKey"]["uncompressed"], "msg": test["msg"]}
    request |= {"sig": test["sig"], "encoding": vector.group.get("encoding", "der")}
    if hello.default_id is None:
        yield Ask(vector, request, {}, refuse=True)
    elif hello.default_id == test["defaultId"]:
        yield Ask(vector, request, {"valid": True})
    else:
        yield Ask(vector, request, {}, refuse=True)


def _number(point: str, private: str) -> tuple[Any, int]:
    return _SM2.decode_point(bytes.fromhex(point)), int(private, 16)


def _sm2_sign(vector: Vector, hello: SmHello) -> Iterator[Ask]:
    """Signs with the vector's k where the harness takes one; else the harness's own signature is verified here."""
    group, test = vector.group, vector.test
    request: Request = {"op": "sm2_sign", "private": group["privateKey"], **_plain(group, test, "msg")}
    if request.get("input") != "digest":
        _user(request, test, hello)
    takes_k = not hello.lacks({**request, "k": "00"})
    if takes_k and "k" in test:
        yield _ask(vector, {**request, "k": test["k"]}, {"sig": test["sig"]})
        return
    if test.result == "invalid" and "k" in test:
        return
    encoding = group.get("encoding", "der")

    def verify(reply: Mapping[str, Any]) -> Message:
        try:
            signature = bytes.fromhex(reply["sig"])
            r, s = _SM2.decode_signature(signature, encoding)
        except (KeyError, TypeError, ValueError) as error:
            return _("not a signature: {why}", why=error)
        point, _rest = _number(group["publicKey"]["uncompressed"], group["privateKey"])
        msg = bytes.fromhex(test["msg"])
        user = bytes.fromhex(request["user_id"]) if "user_id" in request else None
        digest = msg if request.get("input") == "digest" else _SM2.digest(user, point, msg)
        if not _SM2.verify_digest(point, digest, r, s):
            return _("the signature {signature} is wrong", signature=signature.hex())
        return NOTHING

    yield _ask(vector, request, {}, check=verify)


def _sm2_encrypt(vector: Vector, hello: SmHello) -> Iterator[Ask]:
    group, test = vector.group, vector.test
    request: Request = {"op": "sm2_encrypt", **_plain(group, test, "msg")}
    request["public"] = test.get("public") or group["publicKey"]["uncompressed"]
    if "k" in test and not hello.lacks({**request, "k": "00"}):
        yield _ask(vector, {**request, "k": test["k"]}, {"ct": test["ct"]})
        return
    if test.result == "invalid" and "k" in test:
        return
    private = group.get("privateKey")
    encoding, order = group.get("encoding", "der"), group.get("order", "c1c3c2")

    def decrypt(reply: Mapping[str, Any]) -> Message:
        if test.result == "acceptable" and reply.get("ct") == "":
            return NOTHING  # nothing for nothing: as good as a refusal
        try:
            parts = _SM2.decode_ciphertext(bytes.fromhex(reply["ct"]), encoding, order)
            found = _SM2.decrypt(int(private, 16), *parts)
        except (KeyError, TypeError, ValueError) as error:
            return _("the ciphertext does not decrypt: {why}", why=error)
        return (
            NOTHING
            if found.hex() == test["msg"]
            else _("the ciphertext decrypts to {found}", found=_short(found.hex()))
        )

    yield _ask(vector, request, {}, check=decrypt if private else None)


def _sm2_decrypt(vector: Vector, _hello: SmHello) -> Iterator[Ask]:
    group, test = vector.group, vector.test
    request = {"op": "sm2_decrypt", "private": group["privateKey"], **_plain(group, test, "ct")}
    yield _ask(vector, request, {"msg": test.get("msg", "")})


def _sm2_exchange(vector: Vector, hello: SmHello) -> Iterator[Ask]:
    test = vector.test
    request: Request = {
        "op": "sm2_exchange",
        "role": test["role"],
        "private": test["private"],
        "ephemeral": test["ephemeral"],
        "peer_public": test["peerPublic"],
        "peer_ephemeral": test["peerEphemeral"],
        "size": test["size"],
    }
    _user(request, test, hello)
    _user(request, test, hello, "peerId", "peer_id")
    expect = {"key": test.get("sharedKey")}
    if not hello.lacks({**request, "confirm": True}):
        expect |= {"confirm_a": test.get("confirmA"), "confirm_b": test.get("confirmB")}
    yield _ask(vector, request, expect)


def _sm2_public(vector: Vector, _hello: SmHello) -> Iterator[Ask]:
    test = vector.test
    request: Request = {"op": "sm2_import_public", **_plain(vector.group, test, "public")}
    if test.get("compressed"):
        request["compressed"] = True
    yield _ask(vector, request, {"public": test.get("uncompressed")})


def _sm2_private(vector: Vector, _hello: SmHello) -> Iterator[Ask]:
    test = vector.test
    request = {"op": "sm2_import_private", "private": test["private"]}
    yield _ask(vector, request, {"public": test.get("uncompressed")})


def _sm2_certificate(vector: Vector, hello: SmHello) -> Iterator[Ask]:
    test = vector.test
    fields = ("chain", "roots", "time", "usage", "purpose", "encryption", "crls")
    request: Request = {"op": "sm2_certificate_verify", **_plain(vector.group, test, *fields)}
    _user(request, test, hello)
    yield _ask(vector, request, {"valid": True})


_MAKERS: Mapping[str, Callable[[Vector, SmHello], Iterator[Ask]]] = {
    "Sm3Test": _sm3,
    "HashStreamTest": _stream,
    "MacTest": _mac,
    "HkdfTest": _kdf("hkdf_sm3", "okm", ikm="ikm", salt="salt", info="info", size="size"),
    "PbkdfTest": _kdf("pbkdf2_sm3", "dk", password="password", salt="salt", iterations="iterationCount", size="dkLen"),
    "X963KdfTest": _kdf("x963kdf_sm3", "okm", secret="secret", info="info", size="size"),
    "IndCpaTest": _cipher,
    "BlockCipherTest": _cipher,
    "AeadTest": _aead,
    "CipherReuseTest": _reuse,
    "Sm2Verify": _sm2_verify,
    "Sm2DefaultId": _sm2_default_id,
    "Sm2Sign": _sm2_sign,
    "Sm2Encrypt": _sm2_encrypt,
    "Sm2Decrypt": _sm2_decrypt,
    "Sm2Exchange": _sm2_exchange,
    "Sm2PublicKey": _sm2_public,
    "Sm2PrivateKey": _sm2_private,
    "Sm2Certificate": _sm2_certificate,
}
TYPES = frozenset(_MAKERS)
