"""Screens the random numbers k of SM2 signatures, which the known private key gives back from each signature."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from pytest_xinchuang.core.found import Found
from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.sm.curve import N, Point, multiply_base
from pytest_xinchuang.sm.sm2 import DEFAULT_ID, Sm2
from pytest_xinchuang.sm.sm3 import sm3

COUNT = 10000
PRIVATE = 0x128B2FA8BD433C6C068C8D803DFF79792A519A55171B1B650C23661D15897263
"""The private key of GB/T 32918.2-2016 annex A; any other would do."""
OTHER = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
"""The private key of GB/T 32918.5-2017 annex B, for what two keys may not have in common."""

AMONG = 100
"""Signatures that are compared with those of the other key, and k's that are compared with hashes of their messages."""
STARTS, AT_START = 4, 4
"""How often the harness is started anew, and how many numbers of each start are looked at. Four starts of a tenth of a second
each are too quick for a seed of whole seconds."""

LIMIT_Z = 7.0
"""Standard deviations. Of some 600 tests of good numbers one exceeds this once in 10**9 runs; every other test of
:func:`biases` sees good numbers, of which 10,000 have 40,000 words of 64 bits, once in 10**10 runs."""

_WORDS = 4
_RELATED = 200
"""Numbers whose relations to the ones before are looked at: a generator that has one has it always."""


def biases(numbers: Sequence[int], name: Message | None = None) -> list[Message]:
    """The ways in which numbers are not evenly spread from 1 to n-1, and not independent of one another.

    Args:
        name: of the numbers in what is told; the k of signatures without it.
    """
    name, count = name or verbatim("k"), len(numbers)
    found = []
    if (twice := count - len(set(numbers))) > 0:
        found.append(_("{name} repeats: {twice} of {count} were there before", name=name, twice=twice, count=count))
    else:
        found += _relations(numbers, name)
    for how, bits in ((_bit_is, numbers), (_bit_changes, [a ^ b for a, b in pairwise(numbers)])):
        for bit in range(256):
            ones = sum(k >> bit & 1 for k in bits)
            # n is 2**256 less some 2**224: every bit is as often 1 as 0, but for one part in 2**32.
            if abs(2 * ones - len(bits)) > LIMIT_Z * math.sqrt(len(bits)):
                found.append(how(name, bit, ones, len(bits)))
                break
    for shift in (248, 0):
        bins = Counter(k >> shift & 255 for k in numbers)
        expected = count / 256
        chi = sum((bins[i] - expected) ** 2 / expected for i in range(256))
        if chi > 255 + LIMIT_Z * math.sqrt(2 * 255):
            about = {"name": name, "chi": chi}
            found.append(
                _("the highest byte of {name} is not evenly spread (chi-square {chi:.0f}, 255 is usual)", **about)
                if shift
                else _("the lowest byte of {name} is not evenly spread (chi-square {chi:.0f}, 255 is usual)", **about)
            )
    return found


def _bit_is(name: Message, bit: int, ones: int, count: int) -> Message:
    return _("bit {bit} of {name} is 1 in {ones} of {count}", bit=bit, name=name, ones=ones, count=count)


def _bit_changes(name: Message, bit: int, ones: int, count: int) -> Message:
    return _(
        "bit {bit} of {name} is another one than before in {ones} of {count}",
        bit=bit,
        name=name,
        ones=ones,
        count=count,
    )


def _relations(numbers: Sequence[int], name: Message) -> list[Message]:
    """How numbers that are all different follow from the ones before, and which parts of them come again."""
    found = []
    steps = Counter((b - a) % N for a, b in pairwise(numbers))
    if steps and (most := steps.most_common(1)[0])[1] > 2:
        about = {"name": name, "step": most[0], "n": most[1]}
        return [_("{name} goes up by a step: the difference {step:#x} occurs {n} times", **about)]
    ratios = Counter(b * pow(a, -1, N) % N for a, b in pairwise(numbers[:_RELATED]) if a % N)
    if ratios and (most := ratios.most_common(1)[0])[1] > 2:
        about = {"name": name, "factor": most[0], "n": most[1]}
        return [_("{name} is a multiple of the one before: the factor {factor:#x} occurs {n} times", **about)]
    # x -> a * x + c modulo m has differences of which each is a times the one before.
    first = numbers[:_RELATED]
    for modulus in (N, 1 << 256, 1 << 255, 1 << 64, 1 << 32):
        differences = [(b - a) % modulus for a, b in pairwise(first)]
        triples = zip(differences, differences[1:], differences[2:], strict=False)
        if len(first) > 8 and all((a * c - b * b) % modulus == 0 for a, b, c in triples):
            about = {"name": name, "m": modulus}
            found.append(
                _("{name} follows from the one before by a multiplication and an addition modulo {m:#x}", **about)
            )
            break
    words = Counter(k >> 64 * i & 0xFFFFFFFFFFFFFFFF for k in numbers for i in range(_WORDS))
    if words and (most := words.most_common(1)[0])[1] > 1:
        about = {"name": name, "word": most[0], "n": most[1]}
        found.append(_("the 64 bits {word:#x} occur {n} times in {name}", **about))
    return found


def lacks_signing(client: SmClient, request: dict[str, Any]) -> Message | None:
    """Sets the encoding that the harness signs in, and what it takes. Returns what it lacks, where it signs in no way."""
    for more in ({}, {"input": "digest"}):
        for encoding in ("der", "raw"):
            form = {"encoding": encoding, **more}
            lacking = client.hello.lacks({**request, **form, "msg": "00" * 32})
            if lacking is None:
                request.update(form)
                return None
    return _("the harness does not sign: it does not offer {lack}", lack=lacking.text) if lacking else None


def secret_of(answer: Answer, private: int, encoding: str) -> int:
    """The k of a signature. Raises KeyError, TypeError, ValueError: the answer is no signature."""
    r, s = _SM2.decode_signature(bytes.fromhex(answer.reply["sig"]), encoding)
    return (s * (1 + private) + r * private) % N


_SM2 = Sm2()


class _Undecided(Exception):
    """Our side broke."""


class _Nonces:
    """The k's of one harness, and what is wrong with them."""

    def __init__(self, client: SmClient) -> None:
        self.client, self.found = client, Found()
        self.request: dict[str, Any] = {"op": "sm2_sign", "user_id": DEFAULT_ID.hex()}
        self.seen: set[int] = set()

    def of(self, asked: Iterable[tuple[int, str]], private: int, more: Mapping[str, Any]) -> dict[int, int]:
        """The k of each message that is signed; at the fourth that is none the rest is left."""
        numbers: dict[int, int] = {}
        request = {**self.request, **more, "private": f"{private:064x}"}
        wrong = 0
        for n, answer in self.client.run((n, {**request, "msg": msg}) for n, msg in asked):
            if answer.kind is ReplyKind.FAULT:
                raise _Undecided(answer.detail)
            try:
                numbers[n] = secret_of(answer, private, request["encoding"])
            except (KeyError, TypeError, ValueError) as error:
                why = answer.detail or answer.reply.get("error") or error
                self.found.wrong.append(_("message {n}: no signature: {why}", n=n, why=why))
                if (wrong := wrong + 1) > 3:
                    break
        return numbers

    def digest(self, point: Point, msg: bytes) -> bytes:
        """What is signed of a message, or of a digest where the harness takes digests alone."""
        return msg if self.request.get("input") == "digest" else _SM2.digest(DEFAULT_ID, point, msg)

    def spread(self, count: int) -> None:
        """The k's of as many messages."""
        numbers = self.of(((n, text(n).hex()) for n in range(count)), PRIVATE, {})
        ordered = [numbers[n] for n in sorted(numbers)]
        self.seen.update(ordered)
        self.found.evidence.append({"kind": "nonces", "signatures": len(ordered), "different": len(set(ordered))})
        # The k that comes out is the one that was used only if the signature is right: some are verified.
        point = multiply_base(PRIVATE)
        for n in sorted(numbers)[:: max(1, count // 50)]:
            k = numbers[n]
            base = multiply_base(k) if k else None
            e = int.from_bytes(self.digest(point, text(n)))
            if base is None or (e + base[0]) % N == 0:
                self.found.wrong.append(_("message {n}: the signature is wrong", n=n))
        if len(ordered) == count:
            self.found.wrong += biases(ordered)
        for n in sorted(numbers)[:AMONG]:
            if name := hash_of(numbers[n], text(n), self.digest(point, text(n))):
                self.found.wrong.append(
                    _("k is {name}: whoever sees the message computes the private key", name=verbatim(name))
                )
                break

    def two_keys(self) -> None:
        """Whether one k is used under two keys: for the same messages, and in the order of the signatures."""
        more: dict[str, Any] = {}
        if self.client.hello.lacks({**self.request, "input": "digest", "msg": "00" * 32}) is None:
            more = {"input": "digest"}
        texts = [(n, text(n).hex()) for n in range(AMONG)]
        here, there = (self.of(texts, key, more) for key in (PRIVATE, OTHER))
        common = (self.seen | set(here.values())) & set(there.values())
        self.found.evidence.append({"kind": "two keys", "signatures": len(here), "common": len(common), **more})
        if common:
            self.found.wrong.append(
                _(
                    "{n} of {count} k are the same under two keys: k does not depend on the key, and whoever has one of "
                    "the keys computes the other",
                    n=len(common),
                    count=len(there),
                )
            )

    def starts(self) -> None:
        """Whether a harness that is started again draws the same numbers once more. A k that follows from the key and the
        message (RFC 6979) is the same each time, and good."""
        same = [(n, text(0).hex()) for n in range(AT_START)]
        seen: list[list[int]] = []
        for _start in range(STARTS):
            self.client.close()
            numbers = self.of(same, PRIVATE, {})
            seen.append([numbers[n] for n in sorted(numbers)])
        every = [k for one in seen for k in one]
        deterministic = len(every) > 1 and len(set(every)) == 1
        self.found.evidence.append(
            {"kind": "starts", "starts": STARTS, "signatures": len(every), "deterministic": deterministic}
        )
        if not deterministic and len(set(every)) < len(every):
            self.found.wrong.append(
                _(
                    "k comes again: of {count} signatures of one message, after {starts} starts, {n} have the k of another",
                    count=len(every),
                    starts=STARTS,
                    n=len(every) - len(set(every)),
                )
            )

    def forked(self) -> None:
        """Whether a forked process signs with the k of its parent. A k that follows from the key and the message is good."""
        if "forked" not in self.client.hello.operations:
            self.found.evidence.append({"kind": "forked", "offered": False})
            return
        request = {**self.request, "private": f"{PRIVATE:064x}", "msg": text(0).hex()}
        ((_n, answer),) = self.client.run([(0, {"op": "forked", "requests": [request] * AT_START})])
        if answer.kind is ReplyKind.FAULT:
            raise _Undecided(answer.detail)
        sides: list[set[int]] = []
        try:
            for who in ("parent", "child"):
                replies = [Answer(ReplyKind.REPLY, dict(reply)) for reply in answer.reply[who]]
                sides.append({secret_of(one, PRIVATE, request["encoding"]) for one in replies})
        except (KeyError, TypeError, ValueError) as error:
            why = answer.detail or answer.reply.get("error") or error
            self.found.wrong.append(_("forked: no signature: {why}", why=why))
            return
        common = len(sides[0] & sides[1])
        deterministic = len(sides[0] | sides[1]) == 1
        self.found.evidence.append(
            {"kind": "forked", "offered": True, "common": common, "deterministic": deterministic}
        )
        if common and not deterministic:
            self.found.wrong.append(
                _(
                    "a forked process signs with the k of its parent ({n} of {count}): two signatures with one k give the "
                    "private key",
                    n=common,
                    count=AT_START,
                )
            )


def text(number: int) -> bytes:
    """The message of this number, which is as good as a digest: 32 bytes, all different."""
    return sm3(number.to_bytes(8))


def hash_of(k: int, msg: bytes, digest: bytes) -> str:
    """The name of the function of a message that k is; empty for none of those that are tried."""
    return next((name for name, number in public_numbers(msg, digest) if number == k % N), "")


def public_numbers(msg: bytes, digest: bytes) -> Iterator[tuple[str, int]]:
    """Numbers that careless programs take for random ones, with their names: whoever has the message has them too.

    Args:
        digest: e of GB/T 32918.2-2016 clause 6.1 A2, or what else is made of the message.
    """
    parts = {"SM3(M)": sm3(msg), "SHA-256(M)": hashlib.sha256(msg).digest(), "M": msg[:32]}
    parts |= {"e": digest, "SM3(e)": sm3(digest), "SHA-256(e)": hashlib.sha256(digest).digest()}
    for name, octets in parts.items():
        number = int.from_bytes(octets)
        yield name, number % N
        yield f"{name} mod (n-1) + 1", number % (N - 1) + 1
        yield f"{name} (LE)", int.from_bytes(octets, "little") % N


def check_nonces(client: SmClient, count: int = COUNT) -> Found:
    """Sign ``count`` different messages, and screen the k of every signature; then under two keys, and after a start."""
    nonces = _Nonces(client)
    lacking = lacks_signing(client, nonces.request)
    if lacking is not None:
        nonces.found.lacking = lacking
        nonces.found.evidence.append({"kind": "hello", "operations": sorted(client.hello.operations)})
        return nonces.found
    try:
        nonces.spread(count)
        if not nonces.found.wrong:
            nonces.two_keys()
            nonces.starts()
            nonces.forked()
    except _Undecided as fault:
        nonces.found.undecided = told(fault)
    return nonces.found
