"""Screens the random numbers of generated keys and of encryption: in one process, after starts, and in a forked process.

The k of an encryption cannot be computed from what it gives. What can be seen of it is the point C1 = kG: whether it comes
again, whether it follows from another one or is near it, and whether k has so few random bits that a table finds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from pytest_xinchuang.core.found import Found
from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.nonces import (
    AT_START,
    OTHER,
    PRIVATE,
    STARTS,
    biases,
    public_numbers,
)
from pytest_xinchuang.packages.sm_crypto.smallness import TABLE_BITS, WALK_BITS, WORD_BITS, Multiples
from pytest_xinchuang.sm.curve import Point, add, multiply_base, negate
from pytest_xinchuang.sm.sm2 import DEFAULT_ID, Sm2
from pytest_xinchuang.sm.sm3 import sm3

KEYS = 2000
"""Generated keys: a bit that is 1 in 58 of 100 is seen (the limit of 7 standard deviations is 1157 of 2000)."""
ENCRYPTIONS = 500
THREADS, ROUNDS = 16, 4
STEPS = 64
"""Points C1 in a row, of which each is compared with the one before."""
FACTORS = 8
"""By which a k may be a multiple of the one before, or of the one behind."""
NEAR = 128
"""Points of which every two are compared."""

MESSAGE = b"the same message"
_SM2 = Sm2()


class _Undecided(Exception):
    """Our side broke."""


class _Wrong(Exception):
    """An answer that is no key, ciphertext or signature."""


def _text(point: Point) -> str:
    return _SM2.encode_point(point).hex()


class Randomness:
    """The random numbers of one harness, and what is wrong with them."""

    def __init__(self, client: SmClient, table: tuple[int, int] = (TABLE_BITS, WALK_BITS)) -> None:
        self.client, self.table, self.found = client, table, Found()
        self.form: dict[str, str] | None = None
        for encoding, order in (("der", "c1c3c2"), ("raw", "c1c3c2"), ("raw", "c1c2c3")):
            form = {"encoding": encoding, "order": order}
            if self.form is None and not client.hello.lacks(self.encryption(PRIVATE, MESSAGE, form)):
                self.form = form
        self.makes_keys = "sm2_keygen" in client.hello.operations

    @staticmethod
    def encryption(private: int, msg: bytes, form: Mapping[str, str] | None) -> dict[str, Any]:
        return {"op": "sm2_encrypt", "public": _text(multiply_base(private)), "msg": msg.hex(), **(form or {})}

    def ask(self, requests: Iterable[Mapping[str, Any]]) -> list[Answer]:
        """The answers, in the order of the requests."""
        answers: dict[int, Answer] = {}
        for n, answer in self.client.run(enumerate(map(dict, requests))):
            if answer.kind is ReplyKind.FAULT:
                raise _Undecided(answer.detail)
            if answer.kind is not ReplyKind.REPLY:
                raise _Wrong(_("the harness gave no random number: {why}", why=answer.detail))
            answers[n] = answer
        return [answers[n] for n in sorted(answers)]

    def key(self, answer: Answer) -> int:
        """The private key of an answer."""
        try:
            return _SM2.check_private(bytes.fromhex(answer.reply["private"]))
        except (KeyError, TypeError, ValueError) as error:
            raise _Wrong(_("no key: {why}", why=answer.reply.get("error") or error)) from None

    def c1(self, answer: Answer) -> Point:
        """The point C1 of an answer."""
        assert self.form is not None
        try:
            ct = bytes.fromhex(answer.reply["ct"])
            return _SM2.decode_ciphertext(ct, self.form["encoding"], self.form["order"])[0]
        except (KeyError, TypeError, ValueError) as error:
            raise _Wrong(_("no ciphertext: {why}", why=answer.reply.get("error") or error)) from None

    # -- in one process

    def keys(self, count: int) -> None:
        """Keys that are generated in a row."""
        numbers = []
        for n, answer in enumerate(self.ask({"op": "sm2_keygen"} for _n in range(count))):
            numbers.append(self.key(answer))
            if n % max(1, count // 20) == 0 and answer.reply.get("public") != _text(multiply_base(numbers[-1])):
                raise _Wrong(_("the public key does not belong to the private key: {reply}", reply=dict(answer.reply)))
        self.found.evidence.append({"kind": "keys", "keys": count, "different": len(set(numbers))})
        self.found.wrong += biases(numbers, _("the private key"))

    def encryptions(self, count: int) -> None:
        """Encryptions of one message under one key, and of it under another."""
        points = [self.c1(a) for a in self.ask(self.encryption(PRIVATE, MESSAGE, self.form) for _n in range(count))]
        others = [self.c1(a) for a in self.ask(self.encryption(OTHER, MESSAGE, self.form) for _n in range(STEPS))]
        every = points + others
        repeated = len(every) - len(set(every))
        self.found.evidence.append({"kind": "encryptions", "encryptions": len(every), "different C1": len(set(every))})
        if repeated:
            self.found.wrong.append(
                _("C1 repeats: {n} of {count} encryptions have the k of another one", n=repeated, count=len(every))
            )
            return
        if told_by_before := _from_the_one_before(points[:STEPS]):
            self.found.wrong.append(told_by_before)
            return
        digests = {"Z": _SM2.digest(DEFAULT_ID, multiply_base(PRIVATE), MESSAGE), "": sm3(MESSAGE)}
        seen = set(points)
        for digest in digests.values():
            for name, number in public_numbers(MESSAGE, digest):
                if multiply_base(number) in seen:
                    about = {"name": verbatim(name)}
                    self.found.wrong.append(
                        _("the k of an encryption is {name}: whoever guesses the message is sure of it", **about)
                    )
                    return
        self.small(points)

    def small(self, points: Sequence[Point]) -> None:
        """Whether k, or what two of them are apart, is a small number; or k a random word among zeros, or among its copies."""
        multiples = Multiples(*self.table)
        self.found.evidence.append(
            {"kind": "small k", "searched": len(points), "bits": multiples.bits, "word": multiples.word_bits}
        )
        if (k := next((k for k in map(multiples.at_once, points) if k is not None), None)) is None:
            k = multiples.of(points[0])
        apart = multiples.apart(points[:NEAR]) if k is None else None
        if k is None and apart is None:
            apart = multiples.of(add(points[1], negate(points[0])), bits=multiples.bits - 1, negative=True)
        if k is not None or apart is not None:
            about = {"k": apart if k is None else k, "bits": multiples.bits}
            self.found.wrong.append(
                _("the k of an encryption is {k:#x}: a table finds what has at most {bits} bits", **about)
                if k is not None
                else _("the k of two encryptions differ by {k:#x}: a table finds what has at most {bits} bits", **about)
            )
            return
        for at in range(WORD_BITS, 256, WORD_BITS):
            if (word := multiples.shaped(points[0], 1 << at)) is not None:
                about = {"word": word, "at": at}
                self.found.wrong.append(
                    _("the k of an encryption has no more than the bits {word:#x} from bit {at} on, and zeros", **about)
                )
                return
        if (word := multiples.shaped(points[0], sum(1 << at for at in range(0, 256, WORD_BITS)))) is not None:
            self.found.wrong.append(_("the k of an encryption is {word:#x} eight times over", word=word))

    # -- after starts, and in a copy

    def drawn(self, answers: Sequence[Answer]) -> list[Point]:
        """The points kG of the answers to :meth:`few`."""
        return [self.drawn_by(request, answer) for request, answer in zip(self.few(), answers, strict=True)]

    def drawn_by(self, request: Mapping[str, Any], answer: Answer) -> Point:
        return multiply_base(self.key(answer)) if request["op"] == "sm2_keygen" else self.c1(answer)

    def few(self) -> list[dict[str, Any]]:
        """Some requests of each operation."""
        out: list[dict[str, Any]] = []
        for _n in range(AT_START):
            if self.form is not None:
                out.append(self.encryption(PRIVATE, MESSAGE, self.form))
            if self.makes_keys:
                out.append({"op": "sm2_keygen"})
        return out

    def starts(self) -> None:
        """Whether a harness that is started again draws the same numbers once more."""
        points: list[Point] = []
        for start in range(STARTS):
            self.client.close()
            requests = self.few()
            # A seed shows too where the first number of one operation is the first of another one.
            order = range(len(requests)) if start % 2 == 0 else range(len(requests) - 1, -1, -1)
            answers = dict(zip(order, self.ask(requests[i] for i in order), strict=True))
            points += self.drawn([answers[i] for i in range(len(requests))])
        again = len(points) - len(set(points))
        self.found.evidence.append({"kind": "starts", "starts": STARTS, "numbers": len(points), "again": again})
        if again:
            self.found.wrong.append(
                _(
                    "after a start the same random numbers come again: of {count} keys and encryptions of {starts} starts, "
                    "{n} have the number of another one",
                    count=len(points),
                    starts=STARTS,
                    n=again,
                )
            )

    def threads(self) -> None:
        """Whether threads that run at the same time draw the same numbers: a state that they share without a lock shows."""
        offered = self.client.hello.operations.get("concurrent")
        if offered is None:
            self.found.evidence.append({"kind": "threads", "offered": False})
            return
        requests = self.few()[: 2 if self.makes_keys and self.form is not None else 1]
        threads = int(
            max(offered.get("threads", (1, THREADS))[0], min(THREADS, offered.get("threads", (1, THREADS))[1]))
        )
        points: list[Point] = []
        for _round in range(ROUNDS):
            asked = {"op": "concurrent", "requests": requests, "threads": threads, "repeat": 1}
            (answer,) = self.ask([asked])
            replies = answer.reply.get("replies")
            if not isinstance(replies, list) or len(replies) != len(requests):
                why = answer.reply.get("error") or _("the answer has no list of replies")
                raise _Wrong(_("{threads} threads: {what}", threads=threads, what=why))
            for request, different in zip(requests, replies, strict=True):
                drawn = [Answer(ReplyKind.REPLY, reply) for reply in different if isinstance(reply, dict)]
                points += [self.drawn_by(request, one) for one in drawn]
        wanted = ROUNDS * threads * len(requests)
        self.found.evidence.append(
            {"kind": "threads", "threads": threads, "numbers": wanted, "different": len(set(points))}
        )
        if len(set(points)) < wanted:
            self.found.wrong.append(
                _(
                    "{threads} threads draw the same random numbers: {n} different ones of {count}",
                    threads=threads,
                    n=len(set(points)),
                    count=wanted,
                )
            )

    def forked(self) -> None:
        """Whether a forked process draws the numbers that its parent draws."""
        if "forked" not in self.client.hello.operations:
            self.found.evidence.append({"kind": "forked", "offered": False})
            return
        (answer,) = self.ask([{"op": "forked", "requests": self.few()}])
        sides = [answer.reply.get("parent"), answer.reply.get("child")]
        points: list[Point] = []
        for side in sides:
            if not isinstance(side, list) or len(side) != len(self.few()) or not all(isinstance(r, dict) for r in side):
                why = answer.reply.get("error") or _("the answer has no two lists of replies")
                raise _Wrong(_("forked: {why}", why=why))
            points += self.drawn([Answer(ReplyKind.REPLY, reply) for reply in side])
        again = len(points) - len(set(points))
        self.found.evidence.append({"kind": "forked", "offered": True, "numbers": len(points), "again": again})
        if again:
            self.found.wrong.append(
                _(
                    "a forked process draws the random numbers of its parent: {n} of {count}",
                    n=again,
                    count=len(points) // 2,
                )
            )

    def run(self, keys: int, encryptions: int) -> Found:
        if not self.makes_keys and self.form is None:
            self.found.lacking = _("the harness neither generates keys nor encrypts")
            self.found.evidence.append({"kind": "hello", "operations": sorted(self.client.hello.operations)})
            return self.found
        checks = [self.threads, self.starts, self.forked]
        if self.form is not None:
            checks.insert(0, lambda: self.encryptions(encryptions))
        if self.makes_keys:
            checks.insert(0, lambda: self.keys(keys))
        for check in checks:
            try:
                check()
            except _Wrong as wrong:
                self.found.wrong.append(told(wrong))
            except _Undecided as fault:
                self.found.undecided = told(fault)
                break
        return self.found


def _from_the_one_before(points: Sequence[Point]) -> Message | None:
    """How the k of each encryption follows from the one before, where it does so by a sum or by a small factor."""
    steps = Counter(add(b, negate(a)) for a, b in pairwise(points))
    if steps and steps.most_common(1)[0][1] > 1:
        return _("C1 goes up by a step: the k of each encryption follows from the one before")
    factors: Counter[int] = Counter()
    for a, b in pairwise(points):
        for first, second, sign in ((a, b, 1), (b, a, -1)):
            # A point and its negative have one x: both factors are seen.
            multiple = first
            for factor in range(1, FACTORS + 1):
                if multiple is not None and second is not None and multiple[0] == second[0]:
                    factors[sign * factor] += 1
                multiple = add(multiple, first)
    if factors and factors.most_common(1)[0][1] > 1:
        return _("C1 is a small multiple of the one before: the k of each encryption follows from the one before")
    return None


def check_randomness(
    client: SmClient,
    keys: int = KEYS,
    encryptions: int = ENCRYPTIONS,
    table: tuple[int, int] = (TABLE_BITS, WALK_BITS),
) -> Found:
    """Have the harness generate keys and encrypt, and screen the random numbers that show.

    Args:
        table: the bits of the table of small multiples, and of the giant steps over it (smallness.py).
    """
    return Randomness(client, table).run(keys, encryptions)
