"""Asks the reference and other libraries the same operations, and tells where they differ.

``python -m tests.fuzz.sm.differ --number 1000000`` runs in chunks, and goes on from a kept count where it was ended.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from fixtures.generate.oracles import ORACLES, Missing
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness
from pytest_xinchuang.sandbox.local import local
from pytest_xinchuang.sm.sm2 import Sm2
from tests.fuzz.sm.explained import explanation, refused, unaskable
from tests.fuzz.sm.operations import Request, operation

PEERS = ("OpenSSL", "emmansun/gmsm", "BouncyCastle", "cryptography")
CHUNK = 2000
KEPT = 1000
"""Differences that are kept whole."""

Reply = Mapping[str, Any]
_SM2 = Sm2()
_RESULTS = ("digest", "outs", "mac", "key", "ct", "tag", "msg", "public", "valid", "sig")


@dataclass
class Score:
    """What has been asked, and what differed.

    Attributes:
        operations: name -> how many.
        backed: number of other libraries that were asked -> operations.
        explained: why two may differ -> how often they did.
        differences: what nobody explains.
    """

    done: int = 0
    seconds: float = 0.0
    operations: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    backed: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    different: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)

    def text(self) -> str:
        sm2 = sum(n for name, n in self.operations.items() if name.startswith("sm2"))
        lines = [
            f"{self.done} operations ({sm2} of SM2, {self.refused} refused) in {self.seconds:.0f} s; "
            f"{self.different} unexplained differences",
            "asked of so many other libraries: " + ", ".join(f"{k}: {v}" for k, v in sorted(self.backed.items())),
            *(f"  {n:>7} x {why}" for why, n in self.explained.most_common()),
            *(f"  DIFFERENT {json.dumps(one)[:600]}" for one in self.differences[:10]),
        ]
        return "\n".join(lines)

    @classmethod
    def read(cls, path: Path) -> Score:
        """The score that was kept, or a new one."""
        if not path.exists():
            return cls()
        data = json.loads(path.read_text())
        counters = {name: Counter(data.pop(name)) for name in ("operations", "backed", "explained")}
        kept = data.pop("differences")
        score = cls(**data)
        score.operations, score.backed, score.explained = counters.values()
        score.different -= len(kept)
        for one in kept:  # what has been explained since
            score.count(one["peer"], one["number"], one["request"], one["reference"], one["other"])
        return score

    def count(self, peer: str, number: int, request: Request, mine: Reply, other: Reply) -> None:
        """Count an answer that differs, and keep it where nobody explains it."""
        if why := explanation(peer, request, mine, other):
            self.explained[f"{peer}: {why}"] += 1
            return
        self.different += 1
        if len(self.differences) < KEPT:
            self.differences.append(
                {"peer": peer, "number": number, "request": request, "reference": dict(mine), "other": dict(other)}
            )

    def keep(self, path: Path) -> None:
        path.write_text(json.dumps(self.__dict__, indent=1))


def _checked(request: Request, other: Reply) -> bool:
    """Whether a reply that holds a random number is right, by the reference."""
    try:
        if request["op"] == "sm2_keygen":
            d = _SM2.check_private(bytes.fromhex(other["private"]))
            return bool(_SM2.encode_point(_SM2.public_of(d)).hex() == other["public"])
        if request["op"] == "sm2_sign":
            point = _SM2.public_of(_SM2.check_private(bytes.fromhex(request["private"])))
            msg = bytes.fromhex(request["msg"])
            whole = request.get("input") == "digest"
            digest = msg if whole else _SM2.digest(bytes.fromhex(request["user_id"]), point, msg)
            r, s = _SM2.decode_signature(bytes.fromhex(other["sig"]), request["encoding"])
            return _SM2.verify_digest(point, digest, r, s)
        ct = _SM2.decode_ciphertext(bytes.fromhex(other["ct"]), request["encoding"], request["order"])
        if request["public"] != _SM2.encode_point(_SM2.public_of(int(request["of"], 16))).hex():
            return True  # another key by a change of the encoding: nobody knows its private one
        return bool(_SM2.decrypt(int(request["of"], 16), *ct).hex() == request["msg"])
    except (KeyError, ValueError, TypeError):
        return False


def same(request: Request, mine: Reply, other: Reply) -> bool:
    """Whether two replies say the same."""
    if refused(mine) or refused(other):
        return refused(mine) == refused(other)
    if request["op"] in ("sm2_keygen", "sm2_sign", "sm2_encrypt"):
        return _checked(request, other) and _checked(request, mine)
    return all(mine.get(name) == other.get(name) for name in _RESULTS)


def differ(
    score: Score, peers: Mapping[str, SmClient], seed: int, number: int, reference: ReferenceHarness | None = None
) -> None:
    """Ask ``number`` operations more than ``score`` has."""
    harness = reference or ReferenceHarness()
    began = time.monotonic()
    first = score.done
    while score.done < first + number:
        indices = range(score.done, min(score.done + CHUNK, first + number))
        asked = {index: operation(seed, index) for index in indices}
        mine = {index: harness.handle(request) for index, request in asked.items()}
        backed: Counter[int] = Counter()
        for name, client in random_order(peers, score.done):
            offered = [
                (index, {key: value for key, value in request.items() if key != "of"})
                for index, request in asked.items()
                if not client.hello.lacks(request) and not unaskable(name, request)
            ]
            # Two are enough: where more offer it, each is left out in turn.
            offered = [(index, request) for index, request in offered if backed[index] < 2]
            backed.update(index for index, _request in offered)
            for index, answer in client.run(offered):
                if answer.kind is ReplyKind.FAULT:
                    raise RuntimeError(f"{name}: operation {index}: {answer.detail}")
                # A panic gives no result: as far as that goes it refuses.
                reply = answer.reply if answer.kind is ReplyKind.REPLY else {"error": str(answer.detail)}
                if not same(asked[index], mine[index], reply):
                    score.count(name, index, asked[index], mine[index], reply)
        for index, request in asked.items():
            score.operations[request["op"]] += 1
            score.backed[str(backed[index])] += 1
            score.refused += refused(mine[index])
        score.done = indices[-1] + 1
    score.seconds += time.monotonic() - began


def random_order(peers: Mapping[str, SmClient], number: int) -> list[tuple[str, SmClient]]:
    """The peers, each as often before the others as they before it."""
    out = list(peers.items())
    Random(number).shuffle(out)
    return out


def started(stack: ExitStack, names: tuple[str, ...] = PEERS) -> dict[str, SmClient]:
    """The other libraries that are to be had on this host, made ready; they end with ``stack``."""
    work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    peers = {}
    for name in names:
        try:
            argv = ORACLES[name](work)
        except Missing as why:
            print(f"missing: {name}: {why}", file=sys.stderr)
            continue
        peers[name] = stack.enter_context(SmClient(local(argv), timeout_s=60, start_timeout_s=60))
    return peers


def main(words: list[str], tell: Callable[[str], object] = print) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.sm.differ", description=__doc__)
    parser.add_argument("--number", type=int, default=10_000, help="operations in all (default: 10000)")
    parser.add_argument("--chunk", type=int, default=0, help="ask so many at most this time")
    parser.add_argument("--seed", type=int, default=20, help="other seeds are other operations (default: 20)")
    parser.add_argument("--kept", type=Path, help="the file that the count is kept in, to go on from")
    options = parser.parse_args(words)
    score = Score.read(options.kept) if options.kept else Score()
    missing = max(0, options.number - score.done)
    with ExitStack() as stack:
        peers = started(stack)
        if len(peers) < 2:
            tell("two other libraries are needed")
            return 2
        last = score.done + min(missing, options.chunk or missing)
        while score.done < last:
            differ(score, peers, options.seed, min(CHUNK, last - score.done))
            if options.kept:
                score.keep(options.kept)
    tell(score.text())
    return 1 if score.different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
