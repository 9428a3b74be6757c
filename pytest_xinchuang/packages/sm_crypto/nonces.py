"""Screens the random numbers k of SM2 signatures, which the known private key gives back from each signature."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from pytest_xinchuang.core.found import Found
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.sm.curve import N, multiply_base
from pytest_xinchuang.sm.sm2 import DEFAULT_ID, Sm2

COUNT = 10000
PRIVATE = 0x128B2FA8BD433C6C068C8D803DFF79792A519A55171B1B650C23661D15897263
"""The private key of GB/T 32918.2-2016 annex A; any other would do."""

LIMIT_Z = 7.0
"""Standard deviations. Of some 800 tests of good numbers one exceeds this once in 10**9 runs."""


def biases(numbers: Sequence[int]) -> list[Message]:
    """The ways in which numbers are not evenly spread from 1 to n-1."""
    count = len(numbers)
    found = []
    if (twice := count - len(set(numbers))) > 0:
        found.append(
            _("k repeats: {twice} of {count} signatures have the k of an earlier one", twice=twice, count=count)
        )
    steps = Counter((b - a) % N for a, b in pairwise(numbers))
    if steps and (most := steps.most_common(1)[0])[1] > 2 and not twice:
        found.append(_("k goes up by a step: the difference {step:#x} occurs {n} times", step=most[0], n=most[1]))
    ratios = Counter(b * pow(a, -1, N) % N for a, b in pairwise(numbers[:200]))
    if ratios and (most := ratios.most_common(1)[0])[1] > 2 and not twice:
        found.append(
            _(
                "each k is a multiple of the one before: the factor {factor:#x} occurs {n} times",
                factor=most[0],
                n=most[1],
            )
        )
    for bit in range(256):
        ones = sum(k >> bit & 1 for k in numbers)
        # n is 2**256 less some 2**224: every bit is as often 1 as 0, but for one part in 2**32.
        if abs(2 * ones - count) > LIMIT_Z * math.sqrt(count):
            found.append(_("bit {bit} of k is 1 in {ones} of {count}", bit=bit, ones=ones, count=count))
            break
    for shift in (248, 0):
        bins = Counter(k >> shift & 255 for k in numbers)
        expected = count / 256
        chi = sum((bins[i] - expected) ** 2 / expected for i in range(256))
        if chi > 255 + LIMIT_Z * math.sqrt(2 * 255):
            found.append(
                _("the highest byte of k is not evenly spread (chi-square {chi:.0f}, 255 is usual)", chi=chi)
                if shift
                else _("the lowest byte of k is not evenly spread (chi-square {chi:.0f}, 255 is usual)", chi=chi)
            )
    return found


def check_nonces(client: SmClient, count: int = COUNT) -> Found:
    """Sign ``count`` different messages, and screen the k of every signature."""
    found, sm2 = Found(), Sm2()
    request = {"op": "sm2_sign", "private": f"{PRIVATE:064x}", "encoding": "der", "user_id": DEFAULT_ID.hex()}
    for encoding in ("der", "raw"):
        request["encoding"] = encoding
        lacking = client.hello.lacks({**request, "msg": "00"})
        if lacking is None:
            break
    if lacking is not None:
        found.lacking = _("the harness does not sign: it does not offer {lack}", lack=lacking.text)
        found.evidence.append({"kind": "hello", "operations": sorted(client.hello.operations)})
        return found
    point = multiply_base(PRIVATE)
    asked = ((n, {**request, "msg": n.to_bytes(8).hex()}) for n in range(count))
    numbers: dict[int, int] = {}
    for n, answer in client.run(asked):
        if answer.kind is ReplyKind.FAULT:
            found.undecided = answer.detail
            return found
        try:
            r, s = sm2.decode_signature(bytes.fromhex(answer.reply["sig"]), request["encoding"])
        except (KeyError, TypeError, ValueError) as error:
            found.wrong.append(
                _("message {n}: no signature: {why}", n=n, why=answer.detail or answer.reply.get("error") or error)
            )
            if len(found.wrong) > 3:
                break
            continue
        numbers[n] = (s * (1 + PRIVATE) + r * PRIVATE) % N
    ordered = [numbers[n] for n in sorted(numbers)]
    found.evidence.append({"kind": "nonces", "signatures": len(ordered), "different": len(set(ordered))})
    # The k that comes out is the one that was used only if the signature is right: some are verified.
    for n in sorted(numbers)[:: max(1, count // 50)]:
        k = numbers[n]
        base = multiply_base(k) if k else None
        e = int.from_bytes(sm2.digest(DEFAULT_ID, point, n.to_bytes(8)))
        if base is None or (e + base[0]) % N == 0:
            found.wrong.append(_("message {n}: the signature is wrong", n=n))
    if len(ordered) == count:
        found.wrong += biases(ordered)
    return found
