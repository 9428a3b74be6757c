"""Why a vector fails, by what happened: what the answer is right for, and whether it is the library or the harness around it.

A cause changes the sentence and the order of failures. It never changes a result: what failed has failed.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.packages.sm_crypto.defects import DefectBank
from pytest_xinchuang.packages.sm_crypto.judge import OUTPUTS, Ask, Request, VectorResult
from pytest_xinchuang.packages.sm_crypto.protocol import NUMBERS, RANGES
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness
from pytest_xinchuang.packages.sm_crypto.runner import Asked, VectorOutcome
from pytest_xinchuang.sm.sm2 import DEFAULT_ID, Sm2
from pytest_xinchuang.sm.sm3 import sm3

MOST_LOOKED_AT = 4
"""Failures of one operation and flag for which other answers are computed: the reference is slow, and they are alike."""

_SM2 = Sm2()
_REFERENCE = ReferenceHarness()
_FAULTS = (ValueError, KeyError, TypeError, AssertionError, OverflowError, AttributeError)


class Weight(IntEnum):
    """How bad a failure is, the worst first."""

    FORGERY = 0
    """What nobody has signed, or a key that is none, was accepted."""
    WRONG = 1
    """A wrong result, or none because the program died."""
    LEAK = 2
    """A refusal that gives something out."""
    REFUSAL = 3
    """A valid input was refused."""
    FORM = 4
    """A form of encoding, or an edge case, was accepted or refused."""


_FORMS = ("BER_ENCODING", "EDGE_CASE", "SIGNATURE_MALLEABILITY")


def weight(outcome: VectorOutcome, bank: DefectBank) -> Weight:
    """How bad a failed vector is."""
    asked = outcome.asked
    if asked is None or asked.answer.kind is not ReplyKind.REPLY:
        return Weight.WRONG
    flag = bank.first_of(outcome.vector.test.flags)
    form = flag is not None and flag.bug in _FORMS
    refused = is_refusal(asked.answer.reply)
    if refused and _results(asked.answer.reply):
        return Weight.LEAK
    if asked.ask.refuse and is_acceptance(asked.answer.reply):
        return Weight.FORM if form else Weight.FORGERY
    if refused:
        return Weight.FORM if form else Weight.REFUSAL
    return Weight.WRONG


def is_refusal(reply: Mapping[str, Any]) -> bool:
    """Whether a reply refuses."""
    return "error" in reply or reply.get("valid") is False


def is_acceptance(reply: Mapping[str, Any]) -> bool:
    """Whether a reply accepts: it gives a result, or says that something is valid."""
    return not is_refusal(reply) and (reply.get("valid") is True or bool(_results(reply)))


def _results(reply: Mapping[str, Any]) -> dict[str, Any]:
    return {n: reply[n] for n in OUTPUTS if reply.get(n) is not None}


class Causes:
    """The causes of the failures of one run."""

    def __init__(self, asked: Sequence[Asked]) -> None:
        self._of_operation: dict[str, list[Asked]] = {}
        for one in asked:
            self._of_operation.setdefault(one.ask.request["op"], []).append(one)
        self._known: dict[int, Message] = {}
        self._looked_at: dict[tuple[str, tuple[str, ...]], int] = {}

    def of(self, outcome: VectorOutcome) -> Message:
        """The cause of a failed vector; NOTHING where only its flag tells one."""
        one = outcome.asked
        if one is None or one.result is not VectorResult.FAILED:
            return NOTHING
        if id(one) not in self._known:
            self._known[id(one)] = self._cause(one)
        return self._known[id(one)]

    def replaces_flag(self, outcome: VectorOutcome) -> bool:
        """Whether the cause is told in the place of the flag's defect; an input that must not be accepted keeps both."""
        return bool(self.of(outcome)) and outcome.asked is not None and not outcome.asked.ask.refuse

    def _cause(self, one: Asked) -> Message:
        if one.answer.kind is not ReplyKind.REPLY:
            return self._all(one)
        if told := _truth(one.ask, one.answer.reply):
            return told
        if not is_refusal(one.answer.reply) and not one.ask.refuse:
            kind = (one.ask.request["op"], one.ask.vector.test.flags)
            self._looked_at[kind] = self._looked_at.get(kind, 0) + 1
            if self._looked_at[kind] <= MOST_LOOKED_AT and (found := right_for(one.ask, one.answer.reply)):
                return found
        if is_refusal(one.answer.reply) and not one.ask.refuse and (found := self._limit(one)):
            return found
        return self._all(one)

    # -- what the failures of one operation have in common

    def _peers(self, one: Asked) -> list[Asked]:
        """The requests of the same operation that had to be answered, or had to be refused, like this one."""
        mine = self._of_operation.get(one.ask.request["op"], [])
        return [a for a in mine if a.ask.refuse == one.ask.refuse and not a.ask.either and a.result in _DECIDED]

    def _all(self, one: Asked) -> Message:
        """Whether nothing of the operation is right: that is no single defect."""
        peers = self._peers(one)
        operation, n = one.ask.request["op"], len(peers)
        if n < 3 or any(a.result is not VectorResult.FAILED for a in peers):
            return NOTHING
        if one.ask.refuse:
            return _(
                "all {n} invalid requests of {operation} are accepted: nothing is checked", n=n, operation=operation
            )
        if all(is_refusal(a.answer.reply) for a in peers):
            return _(
                "all {n} valid requests of {operation} are refused: look at the harness, or leave it out of the hello",
                n=n,
                operation=operation,
            )
        if all(a.answer.kind is not ReplyKind.REPLY for a in peers):
            return _(
                "the harness ends at all {n} requests of {operation}: look at the harness", n=n, operation=operation
            )
        return _(
            "all {n} valid requests of {operation} fail: look at the harness before the library",
            n=n,
            operation=operation,
        )

    def _limit(self, one: Asked) -> Message:
        """The limit or feature that all refused requests like this one have, and no good one."""
        peers = self._peers(one)
        good = [a.ask.request for a in peers if a.result is VectorResult.PASSED]
        bad = [a.ask.request for a in peers if a.result is VectorResult.FAILED and is_refusal(a.answer.reply)]
        if len(bad) < 2 or not good:
            return NOTHING
        request = one.ask.request
        for field in _FEATURES:
            value = _feature(request, field)
            alike = [r for r in bad if _feature(r, field) == value]
            if value is not None and len(alike) > 1 and all(_feature(r, field) != value for r in good):
                return _feature_told(field, value, len(alike), request["op"])
        for field, limit in RANGES.items():
            if isinstance(request.get(field), str) and (found := _range(field, limit, request, good, bad)):
                return found
        for field in NUMBERS:
            if field in request and (found := _number(field, request, good, bad)):
                return found
        return NOTHING


_DECIDED = (VectorResult.PASSED, VectorResult.FAILED)
_FEATURES = (
    "encoding", "order", "input", "padding", "standard", "wrap", "k", "splits", "in_place", "offset", "compressed", "clone",
    "user_id", "purpose", "encryption", "crls",
)  # fmt: skip
_PRESENT = ("k", "splits", "in_place", "clone", "compressed", "encryption", "crls")


def _feature(request: Request, field: str) -> str | None:
    """The value of a feature in a request as a word; of some only that they are there."""
    value = request.get(field)
    if value is None:
        return None
    if field == "user_id":
        return None if value == DEFAULT_ID.hex() else "true"
    return "true" if field in _PRESENT else str(value)


def _feature_told(field: str, value: str, n: int, operation: str) -> Message:
    if field == "user_id":
        return _(
            "every one of the {n} with another user id than the default is refused: the harness does not hand `user_id` on, "
            'or the library takes its own alone (then declare "user_id": ["..."] for {operation})',
            n=n,
            operation=operation,
        )
    if field in _PRESENT:
        return _(
            "every one of the {n} with `{field}` is refused: if the library cannot do it, leave it out of {operation}",
            n=n,
            field=field,
            operation=operation,
        )
    return _(
        "every one of the {n} with {field} {value} is refused: if the library cannot do it, leave it out of {operation}",
        n=n,
        field=field,
        value=value,
        operation=operation,
    )


def _size(request: Request, field: str) -> int | None:
    value = request.get(field)
    return len(value) // 2 if isinstance(value, str) else None


def _range(field: str, limit: str, request: Request, good: Sequence[Request], bad: Sequence[Request]) -> Message:
    sizes = {s for r in good if (s := _size(r, field)) is not None}
    refused = [s for r in bad if (s := _size(r, field)) is not None]
    size = _size(request, field)
    assert size is not None
    if not sizes or len(refused) < 2 or sizes & set(refused):
        return NOTHING
    least, most = min(sizes), max(sizes)
    told = {"n": len(refused), "field": field, "size": size}
    if any(least <= s <= most for s in refused):
        if refused.count(size) < 2:
            return NOTHING  # one alone may be refused for anything
        return _("every one with {field} of {size} bytes is refused, and others are not", **told)
    declared = verbatim(f'"{limit}": [{least}, {most}]')
    return _(
        "{n} are refused for the length of {field}, this one has {size} bytes: if that is the library's limit, declare {limit}",
        **told,
        limit=declared,
    )


def _number(field: str, request: Request, good: Sequence[Request], bad: Sequence[Request]) -> Message:
    fine = {r[field] for r in good if field in r}
    refused = [r[field] for r in bad if field in r]
    if not fine or len(refused) < 2 or fine & set(refused) or any(min(fine) <= n <= max(fine) for n in refused):
        return NOTHING
    declared = verbatim(f'"{NUMBERS[field]}": [{min(fine)}, {max(fine)}]')
    return _(
        "{n} are refused for their {field}, this one has {value}: if that is the library's limit, declare {limit}",
        n=len(refused),
        field=field,
        value=request[field],
        limit=declared,
    )


# -- what one answer is right for


@dataclass(frozen=True)
class _Way:
    """Another question, to which the answer would be the right one.

    Attributes:
        of: the changed request; None where it is no other one.
    """

    label: Message
    of: Callable[[Request], Request | None]


def _with(field: str, change: Callable[[str], str | None]) -> Callable[[Request], Request | None]:
    def changed(request: Request) -> Request | None:
        value = request.get(field)
        if not isinstance(value, str) or (other := change(value)) is None or other == value:
            return None
        return {**request, field: other}

    return changed


def _set(field: str, value: Any, *operations: str) -> Callable[[Request], Request | None]:
    def changed(request: Request) -> Request | None:
        if not request["op"].startswith(operations) or request.get(field) == value:
            return None
        return {**request, field: value}

    return changed


def _without(field: str) -> Callable[[Request], Request | None]:
    return lambda request: {n: v for n, v in request.items() if n != field} if field in request else None


def _reversed(digits: str) -> str:
    return bytes.fromhex(digits)[::-1].hex()


def _words_reversed(digits: str) -> str:
    data = bytes.fromhex(digits)
    return b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4)).hex()


def _sized(size: int) -> Callable[[str], str]:
    return lambda digits: bytes.fromhex(digits)[:size].ljust(size, b"\0").hex()


def _as_text(digits: str) -> str:
    return digits.encode().hex()


def _without_z(request: Request) -> Request | None:
    if request["op"] not in ("sm2_sign", "sm2_verify") or request.get("input") == "digest":
        return None
    return {**request, "input": "digest", "msg": sm3(bytes.fromhex(request["msg"])).hex()}


def _hashed_again(request: Request) -> Request | None:
    if request.get("input") != "digest":
        return None
    return {**request, "msg": sm3(bytes.fromhex(request["msg"])).hex()}


def _with_z(request: Request) -> Request | None:
    if request.get("input") != "digest":
        return None
    return {**request, "input": "message", "user_id": DEFAULT_ID.hex()}


def _swapped(first: str, second: str) -> Callable[[Request], Request | None]:
    def changed(request: Request) -> Request | None:
        if first not in request or second not in request or request[first] == request[second]:
            return None
        return {**request, first: request[second], second: request[first]}

    return changed


def _other(field: str, first: str, second: str) -> Callable[[Request], Request | None]:
    return _with(field, lambda value: second if value == first else first)


def _part(which: int) -> Callable[[Request], Request | None]:
    """The first or the last of the parts that a message comes in, alone."""

    def changed(request: Request) -> Request | None:
        sizes = request.get("splits")
        if not sizes or "msg" not in request:
            return None
        data, size = bytes.fromhex(request["msg"]), sizes[0] if which == 0 else sum(sizes)
        rest = {n: v for n, v in request.items() if n != "splits"}
        return {**rest, "msg": (data[:size] if which == 0 else data[size:]).hex()}

    return changed


_WAYS = (
    _Way(_("little-endian k"), _with("k", _reversed)),
    _Way(_("the default id"), _set("user_id", DEFAULT_ID.hex(), "sm2_sign", "sm2_exchange")),
    _Way(_("the empty id"), _set("user_id", "", "sm2_sign", "sm2_exchange")),
    _Way(_("the id's hexadecimal digits as text"), _with("user_id", _as_text)),
    _Way(_("SM3 without Z"), _without_z),
    _Way(_("the digest of the digest"), _hashed_again),
    _Way(_("a message, where a digest was given"), _with_z),
    _Way(_("the other order of C1, C2 and C3"), _set("order", "c1c2c3", "sm2_encrypt", "sm2_decrypt")),
    _Way(_("the other order of C1, C2 and C3"), _without("order")),
    _Way(_("DER instead of raw"), lambda r: _set("encoding", "der", "sm2_")(r) if r.get("encoding") == "raw" else None),
    _Way(_("raw instead of DER"), lambda r: _set("encoding", "raw", "sm2_")(r) if r.get("encoding") == "der" else None),
    _Way(_("the other role"), _other("role", "initiator", "responder")),
    _Way(_("the two ids swapped"), _swapped("user_id", "peer_id")),
    _Way(_("a little-endian `ephemeral`"), _with("ephemeral", _reversed)),
    _Way(_("a little-endian private key"), _with("private", _reversed)),
    _Way(_("the key in another byte order"), _with("key", _reversed)),
    _Way(_("the key in another byte order within its words"), _with("key", _words_reversed)),
    _Way(_("an IV of zeros"), _with("iv", lambda iv: "00" * (len(iv) // 2))),
    _Way(_("an IV filled up with zeros to 16 bytes"), _with("iv", _sized(16))),
    _Way(_("an IV cut or filled to 12 bytes"), _with("iv", _sized(12))),
    _Way(_("an IV in reverse order"), _with("iv", _reversed)),
    _Way(_("a counter of 32 bits"), _set("wrap", 32, "sm4_ctr")),
    _Way(_("a counter of 128 bits"), _without("wrap")),
    _Way(_("the other standard of XTS"), _other("standard", "gb", "ieee")),
    _Way(_("no padding"), _without("padding")),
    _Way(_("PKCS #7 padding"), _set("padding", "pkcs7", "sm4_ecb", "sm4_cbc")),
    _Way(_("one round of `times`"), _without("times")),
    _Way(_("one round of `repeat`"), _without("repeat")),
    _Way(_("empty associated data"), _with("aad", lambda _aad: "")),
    _Way(_("the first of the parts alone"), _part(0)),
    _Way(_("the last of the parts alone"), _part(-1)),
    _Way(_("the hexadecimal digits of the message as text"), _with("msg", _as_text)),
    _Way(_("an empty salt"), _with("salt", lambda _salt: "")),
    _Way(_("empty `info`"), _with("info", lambda _info: "")),
)
"""Other questions, the likelier ones first."""


def right_for(ask: Ask, reply: Mapping[str, Any]) -> Message:
    """What a wrong answer would be right for; NOTHING where nobody knows. The answer is judged no better for it."""
    if told := _other_form(ask, reply):
        return told
    results = _results(reply)
    if not results:
        return NOTHING
    for way in _WAYS:
        try:
            changed = way.of(ask.request)
            if changed is None:
                continue
            found = _REFERENCE.handle(changed)
        except _FAULTS:
            continue
        names = set(ask.expect) & set(results) or set(results)
        if "error" not in found and all(name in found and found[name] == reply.get(name) for name in names):
            return _("right for {what}", what=way.label)
    return _signature(ask, reply) if ask.request["op"] == "sm2_sign" else _ciphertext(ask, reply)


def _forms(value: Any) -> Iterator[tuple[Message, str]]:
    """Bytes as they may be meant by something that is not lower-case hexadecimal, with what was meant."""
    if isinstance(value, list) and value and all(type(n) is int and 0 <= n < 256 for n in value):
        yield _("a list of numbers; the protocol has hexadecimal digits"), bytes(value).hex()
    if not isinstance(value, str):
        return
    plain = re.sub(r"[\s:,-]|0[xX]", "", value).lower()
    if plain != value and re.fullmatch("(?:[0-9a-f]{2})+", plain):
        if value.lower() == plain:
            yield _("hexadecimal digits in upper case; the protocol has them in lower case"), plain
        elif value.lower().startswith("0x"):
            yield _("hexadecimal digits behind 0x; the protocol has the digits alone"), plain
        else:
            yield _("hexadecimal digits with separators; the protocol has the digits alone"), plain
    try:
        decoded = base64.b64decode(value, altchars=b"-_" if set("-_") & set(value) else None, validate=True)
        yield _("base64; the protocol has lower-case hexadecimal digits"), decoded.hex()
    except (ValueError, binascii.Error):
        pass


def _other_form(ask: Ask, reply: Mapping[str, Any]) -> Message:
    """Another form of the right bytes."""
    for name, value in reply.items():
        for label, meant in _forms(value):
            if not _is_wrong(ask, {**reply, name: meant}):
                return _("right, as {form}", form=label)
        wanted = ask.expect.get(name)
        if not isinstance(value, str) or not isinstance(wanted, str) or not value:
            continue
        if len(value) < len(wanted) and wanted.startswith(value):
            return _("right, but cut: {name} has {n} of {of} bytes", name=name, n=len(value) // 2, of=len(wanted) // 2)
        if value.startswith(wanted) and wanted:
            rest = value[len(wanted) :]
            if rest == ask.expect.get("tag"):
                return _("right, with the tag behind it: the protocol has `ct` and `tag` apart")
            return _(
                "right, but longer: {name} has {n} bytes more than {of}",
                name=name,
                n=len(rest) // 2,
                of=len(wanted) // 2,
            )
        if len(value) == len(wanted) and len(value) % 2 == 0 and re.fullmatch("[0-9a-f]*", value):
            if _reversed(value) == wanted:
                return _("right, with all bytes in reverse order")
            if len(value) % 8 == 0 and _words_reversed(value) == wanted:
                return _("right, with the bytes of each word in reverse order")
            if len(value) == 128 and name == "sig" and value[64:] + value[:64] == wanted:
                return _("right, with s before r")
    result = _RESULTS.get(ask.request["op"])
    if result is not None and result not in reply:
        for other, value in reply.items():
            if not _is_wrong(ask, {result: value}):
                return _("right, under the name {other}: the protocol has {name}", other=verbatim(other), name=result)
    for name in ask.expect:
        # One of two names that are near is missing: the result stands under another one.
        for other, value in reply.items():
            if name not in reply and other not in OUTPUTS and value == ask.expect[name]:
                return _("right, under the name {other}: the protocol has {name}", other=verbatim(other), name=name)
    return NOTHING


_RESULTS = {"hmac_sm3": "mac", "sm2_sign": "sig", "sm2_encrypt": "ct"}
"""Operations whose result is checked, and not only compared -> its name."""


def _truth(ask: Ask, reply: Mapping[str, Any]) -> Message:
    """Another form of true or false."""
    said = str(reply.get("valid")).lower()
    if isinstance(reply.get("valid"), bool) or "valid" not in reply:
        return NOTHING
    if said in (("false", "0", "no") if ask.refuse else ("true", "1", "yes")) and (ask.refuse or "valid" in ask.expect):
        return _("right, as {value}: the protocol has true and false", value=verbatim(repr(reply["valid"])))
    return NOTHING


def _is_wrong(ask: Ask, reply: Mapping[str, Any]) -> bool:
    try:
        return bool(ask.wrong(reply))
    except _FAULTS:
        return True


def _signature(ask: Ask, reply: Mapping[str, Any]) -> Message:
    """What a signature is right for, as nobody but the signer knows its k."""
    request = ask.request
    try:
        data, private = bytes.fromhex(reply["sig"]), int(request["private"], 16)
        point = _SM2.public_of(private)
        msg = bytes.fromhex(request["msg"])
    except _FAULTS:
        return NOTHING
    user = bytes.fromhex(request["user_id"]) if "user_id" in request else DEFAULT_ID
    digests: list[tuple[Message, bytes]] = (
        [
            (NOTHING, msg),
            (_("the digest of the digest"), sm3(msg)),
            (_("a message, where a digest was given"), _SM2.digest(None, point, msg)),
        ]
        if request.get("input") == "digest"
        else [
            (NOTHING, _SM2.digest(user, point, msg)),
            (_("the default id"), _SM2.digest(None, point, msg)),
            (_("the empty id"), _SM2.digest(b"", point, msg)),
            (_("the id's hexadecimal digits as text"), _SM2.digest(user.hex().encode(), point, msg)),
            (_("SM3 without Z"), sm3(msg)),
            (_("the message itself, without SM3"), msg[:32]),
            (_("the hexadecimal digits of the message as text"), _SM2.digest(user, point, msg.hex().encode())),
        ]
    )
    wanted = request.get("encoding", "der")
    for encoding in (wanted, "raw" if wanted == "der" else "der"):
        try:
            r, s = _SM2.decode_signature(data, encoding)
        except _FAULTS:
            continue
        for way, (one, other) in (
            (NOTHING, (r, s)),
            (_("s before r"), (s, r)),
            (_("little-endian r and s"), (_turned(r), _turned(s))),
        ):
            for label, digest in digests:
                if len(digest) == 32 and _SM2.verify_digest(point, digest, one, other):
                    form = NOTHING if encoding == wanted else _ENCODINGS[encoding]
                    parts = [part for part in (label, way, form) if part]
                    if not parts and "k" in request:
                        return _(
                            "a right signature under another k: the library draws its own, and the harness must not offer `k`"
                        )
                    return _("right for {what}", what=parts[0]) if parts else NOTHING
    return NOTHING


_ENCODINGS = {"der": _("DER instead of raw"), "raw": _("raw instead of DER")}


def _turned(number: int) -> int:
    return int.from_bytes(number.to_bytes(32), "little")


def _ciphertext(ask: Ask, reply: Mapping[str, Any]) -> Message:
    """What a ciphertext of SM2 is right for."""
    request, private = ask.request, ask.vector.group.get("privateKey")
    if request["op"] != "sm2_encrypt" or not private:
        return NOTHING
    encoding, order = request.get("encoding", "der"), request.get("order", "c1c3c2")
    others = (("der", "c1c3c2"), ("raw", "c1c3c2"), ("raw", "c1c2c3"))
    for one in ((encoding, order), *others):
        for prefix in ("", "04"):
            try:
                parts = _SM2.decode_ciphertext(bytes.fromhex(prefix + reply["ct"]), *one)
                if _SM2.decrypt(int(private, 16), *parts).hex() != request["msg"]:
                    continue
            except _FAULTS:
                continue
            if prefix:
                return _("right, but without the 04 in front of C1")
            if one[0] != encoding:
                return _("right for {what}", what=_ENCODINGS[one[0]])
            if one != (encoding, order):
                return _("right for {what}", what=_("{order} order", order=one[1].upper()))
            if "k" in request:
                return _(
                    "a right ciphertext under another k: the library draws its own, and the harness must not offer `k`"
                )
    return NOTHING
