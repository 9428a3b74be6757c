"""Screens for times that depend on secrets, after dudect (Reparaz, Balasch, Verbauwhede, 2016). Only a native run decides."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count, pairwise
from typing import Any

from pytest_xinchuang.core.found import Found
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.harness.protocol import ProtocolError, ViolationKind
from pytest_xinchuang.messages import NOTHING, Message, _, told, verbatim
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.sm.curve import N, multiply_base
from pytest_xinchuang.sm.sm2 import DEFAULT_ID, Sm2
from pytest_xinchuang.sm.sm4 import Sm4, cbc

LIMIT_T = 10.0
"""dudect takes |t| above 10 for a leak beyond doubt (its README: 4.5 is "maybe", 10 is "definitely")."""
BATCHES, AGREE = 4, 3
"""Batches, and how many of them must show a difference in the same direction for a leak."""
KEPT = (0.5, 0.9)
"""Shares of the fastest times of each class that are compared: the slow ones come from other work of the host."""
FIRST_ROUNDS, MOST_ROUNDS, CHUNK = 250, 64_000, 5_000
"""Rounds of a batch at first and at most, and of one request at most."""
FEWEST = 30
"""Times of a class below which its mean says nothing."""
FINE, BLIND = 0.02, 0.10
"""Shares of the operation's time. FINE: the smallest difference that the screen tries to find. BLIND: if a difference as large
as this could hide in the noise, the result is inconclusive."""
BUDGET_S = 60.0
"""Seconds for one operation."""


def step_of(times: Iterable[float]) -> float:
    """The resolution of the clock: the smallest difference of two times; infinite when all are the same."""
    return min((b - a for a, b in pairwise(sorted(set(times)))), default=math.inf)


def trimmed_t(a: Sequence[float], b: Sequence[float], kept: float, step: float) -> tuple[float, float]:
    """Yuen's t of the means of each class's fastest times (Biometrika 61, 1974), trimmed on the slow side alone.

    Args:
        kept: share of each class's times that is compared.
        step: the resolution of the clock; a difference below it shows only where the times scatter by more.

    Returns: t; and the share of the time by which the classes have to differ for LIMIT_T. ``(0, inf)``: nothing is known.
    """
    if min(len(a), len(b)) < FEWEST or step == math.inf:
        return 0.0, math.inf
    means, variance, scatter = [], 0.0, math.inf
    for times in (sorted(a), sorted(b)):
        left = max(FEWEST - 1, int(len(times) * kept))
        means.append(sum(times[:left]) / left)
        winsorized = [*times[:left], *[times[left - 1]] * (len(times) - left)]
        center = sum(winsorized) / len(times)
        squares = sum((x - center) ** 2 for x in winsorized)
        # Yuen's variance of the mean; and a clock that counts in steps adds a twelfth of the step's square to each time's.
        variance += squares / (left * (left - 1)) + step * step / 12 / len(times)
        scatter = min(scatter, math.sqrt(squares / len(times)))
    error = math.sqrt(variance)
    needed = max(LIMIT_T * error, step if scatter < step else 0.0)
    return (means[0] - means[1]) / error, needed / min(means) if min(means) else math.inf


class Batch:
    """Nanoseconds of two classes of requests, asked for in a random order."""

    def __init__(self) -> None:
        self.times: tuple[list[float], list[float]] = ([], [])

    def score(self) -> tuple[float, float]:
        """The largest t, and the least difference (a share of the time) that would have been seen."""
        step = step_of(chain(*self.times))
        scores = [trimmed_t(*self.times, kept, step) for kept in KEPT]
        return max((t for t, _ in scores), key=abs), min(needed for _, needed in scores)


def pairs_of_keys() -> dict[str, list[dict[str, Any]]]:
    """A sparse and a dense private key, which take a leaking multiplication different times."""
    sparse, dense = (1 << 254) + 1, N - 2 - (1 << 200)
    sm2, msg = Sm2(), b"timing"
    out: dict[str, list[dict[str, Any]]] = {"sm2_sign": [], "sm2_decrypt": []}
    for d in (sparse, dense):
        ct = sm2.encode_ciphertext(*sm2.encrypt(multiply_base(d), msg, 12345678901234567890), "der", "c1c3c2")
        private = f"{d:064x}"
        out["sm2_sign"].append(
            {"op": "sm2_sign", "private": private, "msg": msg.hex(), "encoding": "der", "user_id": DEFAULT_ID.hex()}
        )
        out["sm2_decrypt"].append({"op": "sm2_decrypt", "private": private, "ct": ct.hex(), "encoding": "der"})
    return out


def pairs_of_errors() -> dict[str, list[dict[str, Any]]]:
    """Texts that are wrong at the beginning and at the end, which take a careless comparison different times."""
    key, iv = bytes(range(16)), bytes(16)
    cipher = Sm4(key)
    early = cbc(cipher, iv, bytes(64) + b"\x10" * 15 + b"\x11", encrypt=True)
    late = cbc(cipher, iv, bytes(64) + b"\x11" + b"\x10" * 15, encrypt=True)
    shared = {"op": "sm4_cbc_decrypt", "key": key.hex(), "iv": iv.hex(), "padding": "pkcs7"}
    d, sm2 = N // 3, Sm2()
    c1, c3, c2 = sm2.encrypt(multiply_base(d), bytes(32), 98765432109876543210)
    sm2s = []
    for at in (0, 31):
        wrong = bytearray(c3)
        wrong[at] ^= 1
        ct = sm2.encode_ciphertext(c1, bytes(wrong), c2, "der", "c1c3c2")
        sm2s.append({"op": "sm2_decrypt", "private": f"{d:064x}", "ct": ct.hex(), "encoding": "der"})
    return {"sm4_cbc_decrypt": [{**shared, "ct": early.hex()}, {**shared, "ct": late.hex()}], "sm2_decrypt": sm2s}


class Undecided(Exception):
    """An operation cannot be judged; the argument says why."""


class Screen:
    """Times one pair of requests in batches, until a leak shows, a small leak would have shown, or the budget is spent."""

    def __init__(self, client: SmClient, pair: list[dict[str, Any]], *, wrong: bool) -> None:
        """``wrong``: the requests have to be refused. Raises Undecided: they are not answered as they should be."""
        self.client, self.pair = client, pair
        self.batches = [Batch() for _ in range(BATCHES)]
        self.rounds, self.scores, self.least = 0, [0.0], math.inf
        self.elapsed_s = self.measured_s = 0.0
        self._seeds = count(1)
        self._one_s = max(self._ask(request, wrong=wrong)[1] for request in pair for _ in range(2))

    def _ask(self, request: Mapping[str, Any], *, wrong: bool = False) -> tuple[Mapping[str, Any], float]:
        """The reply, and the seconds until it came."""
        start = time.monotonic()
        answer = self.client.ask(request)
        elapsed_s = time.monotonic() - start
        if (
            answer.kind is not ReplyKind.REPLY
            or "unsupported" in answer.reply
            or ("error" in answer.reply and not wrong)
        ):
            raise Undecided(
                answer.detail or _("{operation} answers {reply}", operation=request["op"], reply=dict(answer.reply))
            )
        return answer.reply, elapsed_s

    def run(self) -> None:
        """Double the rounds until enough is known. Raises Undecided, ProtocolError."""
        more = min(FIRST_ROUNDS, int(BUDGET_S / BATCHES / self._one_s))
        while True:
            for batch in self.batches:
                self._add(batch, more)
            self.rounds += more
            scores = [batch.score() for batch in self.batches]
            self.scores = [t for t, _ in scores]
            # AGREE batches have to show it.
            self.least = sorted(needed for _, needed in scores)[AGREE - 1]
            more = self.rounds
            spent = self.elapsed_s * 2 > BUDGET_S or self.rounds + more > MOST_ROUNDS
            if spent or self.leaks or self.least <= FINE:
                return

    def _add(self, batch: Batch, rounds: int) -> None:
        while rounds > 0:
            # No request may come near the time-out: a slow host is not a harness that hangs.
            chunk = min(rounds, CHUNK, max(1, int(self.client.timeout_s / 10 / self._one_s)))
            request = {"op": "timed", "requests": self.pair, "rounds": chunk, "seed": next(self._seeds)}
            reply, elapsed_s = self._ask(request)
            for times, new in zip(batch.times, read_times(reply, chunk), strict=True):
                times += new
                self.measured_s += sum(new) / 1e9
            self.elapsed_s += elapsed_s
            self._one_s = max(elapsed_s / chunk, 1e-9)
            rounds -= chunk

    @property
    def leaks(self) -> bool:
        """Whether so many batches agree."""
        return max(sum(t > LIMIT_T for t in self.scores), sum(t < -LIMIT_T for t in self.scores)) >= AGREE

    def observation(self, name: str) -> dict[str, Any]:
        """What was seen, for the evidence."""
        least = round(100 * self.least, 1) if self.least < math.inf else None
        t = [round(t, 1) for t in self.scores]
        return {"kind": "timing", "operation": name, "t": t, "rounds": self.rounds, "least_percent": least}

    def doubt(self) -> tuple[Message, Message]:
        """Why a leak may have stayed unseen, and the mend; NOTHING when there is no doubt."""
        # Within a second, the latency and a pause of the host may be most of the time.
        too_little = self.elapsed_s > 1 and self.measured_s < self.elapsed_s / 10
        if too_little or self.measured_s > self.elapsed_s * 1.05:
            why = _(
                "the harness measured {measured_s:.1f} s, while its replies took {elapsed_s:.1f} s",
                measured_s=self.measured_s,
                elapsed_s=self.elapsed_s,
            )
            return why, _("time each request with a monotonic clock that counts in nanoseconds")
        if self.least > BLIND:
            seen = _("{least:.0%} of its time", least=self.least) if self.least < math.inf else _("any size")
            why = _(
                "after {rounds} rounds a difference of {seen} might hide in the noise or the steps of the clock",
                rounds=self.rounds,
                seen=seen,
            )
            return why, _("run on a quiet machine, with nothing else on its cores")
        return NOTHING, NOTHING


def read_times(reply: Mapping[str, Any], rounds: int) -> list[list[float]]:
    """The two lists of a reply to ``timed``. Raises ProtocolError: there are none, or the rounds are another number."""
    lists = reply.get("nanoseconds")
    if (
        not isinstance(lists, list)
        or len(lists) != 2
        or not all(
            isinstance(times, list) and all(type(x) in (int, float) and 0 <= x < math.inf for x in times)
            for times in lists
        )
        or sum(map(len, lists)) != rounds
    ):
        what = _(
            "`timed` was asked for {rounds} rounds and answers {reply}; "
            "it must answer two lists of nanoseconds, with one number for each round",
            rounds=rounds,
            reply=verbatim(str(dict(reply))[:120]),
        )
        mend = _("answer `timed` as docs/harness.md says; the shipped templates do")
        raise ProtocolError(ViolationKind.BAD_REPLY, what, mend=mend)
    return lists


def check_timing(client: SmClient, pairs: Mapping[str, list[dict[str, Any]]], *, wrong: bool = False) -> Found:
    """Time each pair. A leak is a difference that AGREE batches show in the same direction.

    Args:
        pairs: operation -> two requests that differ in a secret.
        wrong: the requests have to be refused (`pairs_of_errors`).

    Raises:
        ProtocolError: the harness offers `timed` and answers something else.
    """
    found = Found()
    if "timed" not in client.hello.operations:
        found.undecided = _("the harness has no operation `timed`")
        found.mend = _("offer `timed` (docs/harness.md); the shipped templates do")
        return found
    for name, pair in pairs.items():
        if client.hello.lacks(pair[0]):
            continue
        try:
            screen = Screen(client, pair, wrong=wrong)
            screen.run()
        except Undecided as reason:
            found.undecided = found.undecided or _("{operation}: {why}", operation=name, why=told(reason))
            continue
        found.evidence.append(screen.observation(name))
        if screen.leaks:
            seen = ", ".join(f"{t:.0f}" for t in screen.scores)
            found.wrong.append(
                _("{operation}: its time depends on the secret (t = {t})", operation=name, t=verbatim(seen))
            )
            continue
        doubt, mend = screen.doubt()
        if doubt and not found.undecided:
            found.undecided, found.mend = _("{operation}: {why}", operation=name, why=doubt), mend
    if found.wrong:
        # The mend of a doubt about another operation is not the mend of a leak.
        found.mend = NOTHING
    if not found.evidence and not found.undecided:
        found.lacking = _("the harness has no operation that uses a secret")
        found.evidence.append({"kind": "hello", "operations": sorted(client.hello.operations)})
    return found
