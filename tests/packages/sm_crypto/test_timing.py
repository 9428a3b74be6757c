"""The timing screen: its statistics on numbers whose nature is known, and what it makes of harnesses that measure or lie."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_xinchuang.core.found import Found
from pytest_xinchuang.core.verdict import Fidelity, Verdict
from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.harness.protocol import ProtocolError
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.sm_crypto import timing
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.timing import (
    LIMIT_T,
    check_timing,
    pairs_of_errors,
    pairs_of_keys,
    step_of,
    trimmed_t,
)
from pytest_xinchuang.sandbox.local import local

PAIR = {"sm2_sign": pairs_of_keys()["sm2_sign"]}
MEAN_NS = 10_000


def draws(seed: int, count: int = 3000, sigma: float = 300) -> list[int]:
    draw = random.Random(seed)
    return [int(draw.gauss(MEAN_NS, sigma)) for _ in range(count)]


def test_a_leak_is_told_from_noise() -> None:
    a, b = draws(3), draws(4)
    for kept in timing.KEPT:
        assert abs(trimmed_t(a, b, kept, 1)[0]) < LIMIT_T
        assert trimmed_t(a, [x + 150 for x in b], kept, 1)[0] < -LIMIT_T
        assert trimmed_t([x + 150 for x in a], b, kept, 1)[0] > LIMIT_T
        # A few slow moments of the host are nobody's leak, and hide none.
        slow = [*a, *([10**7] * 20)]
        assert abs(trimmed_t(slow, b, kept, 1)[0]) < LIMIT_T
        assert trimmed_t(slow, [x + 150 for x in b], kept, 1)[0] < -LIMIT_T


def test_what_would_have_been_seen_is_what_is_seen() -> None:
    a, b = draws(5), draws(6)
    for kept in timing.KEPT:
        _, needed = trimmed_t(a, b, kept, 1)
        assert 0.002 < needed < 0.02
        assert trimmed_t(a, [x + 1.5 * needed * MEAN_NS for x in b], kept, 1)[0] < -LIMIT_T
        assert abs(trimmed_t(a, [x + 0.5 * needed * MEAN_NS for x in b], kept, 1)[0]) < LIMIT_T
    # Four times as many see half as much.
    assert trimmed_t(draws(7, 12000), draws(8, 12000), 0.9, 1)[1] == pytest.approx(needed / 2, rel=0.2)


def test_a_clock_sees_no_less_than_its_step() -> None:
    assert step_of([300, 100, 100, 250]) == 50
    assert step_of([7, 7]) == step_of([]) == math.inf
    same = [1000] * 500
    assert trimmed_t(same, same, 0.5, math.inf) == (0.0, math.inf)
    # Without scatter a difference below the step does not show, however often it is measured.
    assert trimmed_t(same, same, 0.5, 100) == (0.0, 0.1)
    assert trimmed_t(same, [1100] * 500, 0.5, 100)[0] < -LIMIT_T
    assert trimmed_t([0] * 500, [0] * 500, 0.5, 100)[1] == math.inf
    assert trimmed_t([1.0] * 29, draws(1), 0.5, 1) == (0.0, math.inf)


def test_the_pairs_differ_in_their_secret_alone() -> None:
    for pair in (*pairs_of_keys().values(), *pairs_of_errors().values()):
        first, second = pair
        assert first.keys() == second.keys()
        assert {k for k in first if first[k] != second[k]} <= {"private", "ct"}
        assert all(len(str(first[k])) == len(str(second[k])) for k in first)


class Fake:
    """A harness whose operation takes given times, by a clock that moves when it is asked."""

    timeout_s = 10.0

    def __init__(self, monkeypatch: pytest.MonkeyPatch, second: int = 0, sigma: float = 100, told: Any = None) -> None:
        self.now, self.draw, self.second, self.sigma, self.told = 0.0, random.Random(9), second, sigma, told
        self.reply: dict[str, Any] = {"sig": "00"}
        self.chunks: list[float] = []
        self.mean_ns, self.factor = MEAN_NS, 1.0
        self.hello = SimpleNamespace(operations={"timed": {}, "sm2_sign": {}}, lacks=lambda _: "")
        monkeypatch.setattr(timing, "time", SimpleNamespace(monotonic=lambda: self.now))

    def ask(self, request: dict[str, Any]) -> Answer:
        if request["op"] != "timed":
            self.now += self.mean_ns / 1e9
            return Answer(ReplyKind.REPLY, self.reply)
        times: list[list[float]] = [[], []]
        for _ in range(request["rounds"]):
            which = self.draw.randrange(2)
            times[which].append(max(0, round(self.draw.gauss(self.mean_ns + self.second * which, self.sigma))))
        spent = sum(map(sum, times)) / 1e9
        self.now += spent
        self.chunks.append(spent)
        if self.told is not None:
            return (
                self.told
                if isinstance(self.told, Answer)
                else Answer(ReplyKind.REPLY, {"nanoseconds": self.told(times)})
            )
        return Answer(ReplyKind.REPLY, {"nanoseconds": [[x * self.factor for x in part] for part in times]})


def screened(fake: Fake) -> Found:
    return check_timing(fake, PAIR)  # type: ignore[arg-type]


def verdict(found: Found) -> Verdict:
    return found.decision(Fidelity.NATIVE, verbatim("")).verdict


def test_a_large_leak_ends_it_soon_and_a_small_one_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    large = screened(Fake(monkeypatch, second=3000))
    assert verdict(large) is Verdict.FAIL and large.evidence[0]["rounds"] == timing.FIRST_ROUNDS
    small = screened(Fake(monkeypatch, second=300, sigma=1000))
    assert verdict(small) is Verdict.FAIL and small.evidence[0]["rounds"] > timing.FIRST_ROUNDS
    none = screened(Fake(monkeypatch, sigma=1000))
    assert verdict(none) is Verdict.PASS
    assert none.evidence[0]["least_percent"] <= 100 * timing.FINE


def test_too_much_noise_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = screened(Fake(monkeypatch, sigma=MEAN_NS * 20))
    assert verdict(found) is Verdict.INCONCLUSIVE
    assert "might hide in the noise" in found.undecided and "quiet" in found.mend


def test_slow_operations_stay_within_the_budget_and_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(monkeypatch, sigma=1e6)
    fake.mean_ns = 60_000_000
    assert verdict(screened(fake)) is Verdict.PASS
    assert fake.now < timing.BUDGET_S * 1.5
    assert max(fake.chunks) < fake.timeout_s / 5
    fake = Fake(monkeypatch)
    fake.mean_ns = 3_000_000_000
    assert verdict(screened(fake)) is Verdict.INCONCLUSIVE


def lies() -> Iterator[Any]:
    yield lambda _: [[], []]
    yield lambda times: times[:1]
    yield lambda times: [times[0], times[1][1:]]
    yield lambda times: [[str(x) for x in part] for part in times]
    yield lambda times: [[-x for x in part] for part in times]
    yield lambda times: [[math.inf for _ in part] for part in times]
    yield lambda times: [[True for _ in part] for part in times]
    yield lambda times: {"a": times[0], "b": times[1]}
    yield lambda times: None


@pytest.mark.parametrize("told", list(lies()))
def test_what_is_no_measurement_breaks_the_protocol(monkeypatch: pytest.MonkeyPatch, told: Any) -> None:
    with pytest.raises(ProtocolError, match="two lists of nanoseconds"):
        screened(Fake(monkeypatch, told=told))


def test_no_time_that_cannot_be_makes_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    same = screened(Fake(monkeypatch, told=lambda times: [[MEAN_NS] * len(part) for part in times]))
    assert verdict(same) is Verdict.INCONCLUSIVE and "steps of the clock" in same.undecided
    for factor in (0.05, 1.2):
        fake = Fake(monkeypatch, sigma=10_000)
        fake.mean_ns, fake.factor = 100_000, factor
        found = screened(fake)
        assert (
            verdict(found) is Verdict.INCONCLUSIVE
            and "while its replies took" in found.undecided
            and "clock" in found.mend
        )


def test_what_is_not_answered_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(monkeypatch)
    fake.reply = {"error": "no such key"}
    found = screened(fake)
    assert verdict(found) is Verdict.INCONCLUSIVE and "no such key" in found.undecided and not fake.chunks
    # What is wrong on purpose may be refused.
    assert verdict(check_timing(fake, PAIR, wrong=True)) is Verdict.PASS  # type: ignore[arg-type]
    fake.reply = {"unsupported": "no such key"}
    assert verdict(check_timing(fake, PAIR, wrong=True)) is Verdict.INCONCLUSIVE  # type: ignore[arg-type]
    for told in (
        Answer(ReplyKind.HUNG, detail=verbatim("no reply")),
        *(Answer(ReplyKind.REPLY, {w: "no reply"}) for w in ("error", "unsupported")),
    ):
        found = screened(Fake(monkeypatch, told=told))
        assert verdict(found) is Verdict.INCONCLUSIVE and "no reply" in found.undecided


def test_a_leak_is_told_beside_a_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    class Half(Fake):
        def ask(self, request: dict[str, Any]) -> Answer:
            refused = request["op"] == "sm2_decrypt"
            return Answer(ReplyKind.REPLY, {"error": "no such key"}) if refused else super().ask(request)

    pairs = {"sm2_decrypt": pairs_of_keys()["sm2_decrypt"], **PAIR}
    found = check_timing(Half(monkeypatch, second=3000), pairs)  # type: ignore[arg-type]
    assert verdict(found) is Verdict.FAIL and "no such key" in found.undecided and not found.mend


@pytest.mark.slow
def test_a_steady_signature_is_no_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counterpart of mutant 24, which is this one with a leak."""
    # As many rounds as show mutant 24.
    monkeypatch.setattr(timing, "MOST_ROUNDS", timing.FIRST_ROUNDS)
    argv = [sys.executable, "-m", "tests.mutants.sm.subject", "0"]
    with SmClient(local(argv, Path(__file__).parents[3]), timeout_s=30) as client:
        found = check_timing(client, PAIR)
    assert not found.wrong and found.evidence[0]["rounds"] >= 100
