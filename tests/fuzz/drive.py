"""Runs mutants in children of bounded memory, one batch after the other; keeps, and makes small, what ends in an exception."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import mmap
import os
import resource
import select
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from pytest_xinchuang.commands.voice import speak
from pytest_xinchuang.core.errors import XcError
from tests.fuzz.mutate import mutated

CORPUS = Path(__file__).with_name("corpus")
SECONDS = 10.0
"""What one input may take."""
MEMORY = 2 << 30
"""Bytes of address space that a child may have."""
BATCH = 400


@dataclass(frozen=True)
class Case:
    """An input: the content of a file, and the name that it has."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Target:
    """A reader of what others wrote.

    Attributes:
        run: reads a case, in an empty directory that it may write to. XcError is how an input is refused.
        seeds: good inputs besides those of the corpus.
        seal: puts right what no blind change leaves right, checksums above all; used on most of the mutants.
        prepare: done once in the parent, before any child: imports and what is read once.
    """

    name: str
    run: Callable[[Case, Path], object]
    seeds: Callable[[], list[Case]] = list
    seal: Callable[[Case, Random], bytes] | None = None
    prepare: Callable[[], object] = lambda: None

    def corpus(self) -> list[Case]:
        return corpus_of(self.name)

    def every_seed(self) -> list[Case]:
        return [*self.seeds(), *self.corpus()]

    def mutant(self, seeds: list[Case], seed: int, number: int) -> Case:
        """The mutant of this number: the same for the same seeds."""
        random = Random(f"{seed}:{self.name}:{number}")
        chosen = random.choice(seeds)
        like = [one for one in seeds if one.name == chosen.name]
        data = mutated(chosen.data, chosen.name, random, lambda: random.choice(like).data)
        made = Case(chosen.name, data)
        if self.seal is not None and random.random() < 0.85:
            made = Case(chosen.name, self.seal(made, random))
        return made


def corpus_of(target: str) -> list[Case]:
    """The files of a target's corpus, seeds and finds."""
    return [
        Case(_plain_name(path), path.read_bytes()) for path in sorted((CORPUS / target).glob("*")) if path.is_file()
    ]


def _plain_name(path: Path) -> str:
    """``seed-1--go.mod`` is a file called go.mod."""
    return path.name.partition("--")[2] or path.name


class TooSlow(BaseException):
    """An input took more than its time. No ``except Exception`` of what is tested makes an ordinary error of it."""


@dataclass
class Find:
    """An input that ends as none may.

    Attributes:
        sign: what happened, and where: the same for the same fault.
        trace: the end of the traceback.
    """

    target: str
    case: Case
    sign: str
    trace: str
    number: int = -1

    @property
    def file_name(self) -> str:
        return f"find-{hashlib.sha256(self.sign.encode()).hexdigest()[:8]}--{self.case.name}"


def attempt(target: Target, case: Case, place: Path) -> tuple[str, str] | None:
    """Run one input; None when it is accepted or refused in words, else the sign of the fault and its traceback."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict", write_through=True)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                target.run(case, place)
            except XcError as error:
                for language in ("en", "zh"):
                    if not error.told.render(language).strip():
                        raise ValueError("refused without a word") from error
                    speak(error.told, language)
            out.flush()
    except (Exception, TooSlow, SystemExit) as error:
        return _sign(error), _trace(error)
    return None


def _trace(error: BaseException) -> str:
    frames = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)[-7:]]
    return f"    {' < '.join(reversed(frames))}\n    {type(error).__name__}: {str(error)[:200]!r}"


def _sign(error: BaseException) -> str:
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if "pytest_xinchuang" in f.filename or "/fuzz/targets" in f.filename
    ]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].name}" if frames else "?"
    return f"{type(error).__name__} in {where}"


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raises TooSlow after as many seconds, where Python code runs."""

    def late(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlow(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt_timed(target: Target, case: Case, place: Path) -> tuple[str, str] | None:
    """As ``attempt``, within ``SECONDS``, with an empty directory each time."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        with alarm(SECONDS):
            return attempt(target, case, place)
    except TooSlow as error:
        return "TooSlow", str(error)


# -- children


def in_child(
    work: Callable[[Callable[[bytes], None]], None], on_line: Callable[[bytes], None], silence_s: float
) -> str:
    """Run ``work`` in a child of bounded memory; what it tells comes line by line. Returns how it ended, "" for well."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.close(reading)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.close(0)
            os.open(os.devnull, os.O_RDONLY)
            work(lambda line: _write_all(writing, line + b"\n"))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    rest, killed = b"", False
    with open(reading, "rb", buffering=0) as pipe:  # noqa: PTH123
        while True:
            ready, _w, _x = select.select([pipe], [], [], silence_s)
            if not ready:
                os.kill(child, signal.SIGKILL)
                killed = True
                break
            data = pipe.read(1 << 16)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                on_line(line)
    _pid, status = os.waitpid(child, 0)
    if killed:
        return "silent"
    return "" if status == 0 else f"signal {status & 127}" if status & 127 else f"exit {status >> 8}"


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


@dataclass
class Score:
    """What a target has come through."""

    number: int = 0
    seconds: float = 0.0
    finds: dict[str, Find] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    peak_mb: int = 0
    slowest_s: float = 0.0


def fuzz(target: Target, *, first: int, number: int, seed: int, seconds: float, batch: int = BATCH) -> Score:
    """Try mutants ``first`` to ``first + number``, or as many as go in ``seconds``; 0 is no limit."""
    target.prepare()
    seeds = target.every_seed()
    score = Score()
    began = time.monotonic()
    at, end = first, first + number
    with tempfile.TemporaryDirectory(prefix="xc-fuzz-") as scratch:
        place = Path(scratch) / "place"
        # Where the child is, also after it was killed: index, and when it began with it.
        mark = mmap.mmap(-1, 16)
        while at < end and not (seconds and time.monotonic() - began > seconds):
            stop = min(at + batch, end)

            def work(tell: Callable[[bytes], None], at: int = at, stop: int = stop) -> None:
                for index in range(at, stop):
                    mark[:8] = struct.pack("<q", index)
                    start = time.monotonic()
                    if seconds and start - began > seconds:
                        break
                    case = target.mutant(seeds, seed, index)
                    start = time.monotonic()
                    if (found := attempt_timed(target, case, place)) is not None:
                        tell(json.dumps([index, *found]).encode())
                    took = time.monotonic() - start
                    if index % 50 == 0 or took > 1:
                        tell(json.dumps([-1, took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10]).encode())
                    mark[8:] = struct.pack("<q", index + 1)
                tell(json.dumps([-1, 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10]).encode())

            def on_line(line: bytes) -> None:
                index, *rest = json.loads(line)
                if index < 0:
                    score.slowest_s, score.peak_mb = max(score.slowest_s, rest[0]), max(score.peak_mb, rest[1])
                else:
                    sign, trace = rest
                    score.counts[sign] = score.counts.get(sign, 0) + 1
                    if sign not in score.finds:
                        case = target.mutant(seeds, seed, index)
                        score.finds[sign] = Find(target.name, case, sign, trace, index)

            how = in_child(work, on_line, SECONDS * 3)
            (reached,) = struct.unpack("<q", mark[:8])
            (finished,) = struct.unpack("<q", mark[8:])
            if how:
                sign = f"the process ended: {how}"
                score.counts[sign] = score.counts.get(sign, 0) + 1
                score.finds.setdefault(sign, Find(target.name, target.mutant(seeds, seed, reached), sign, "", reached))
                score.number += reached + 1 - at
                at = reached + 1
            else:
                score.number += finished - at if finished > at else 0
                if finished <= at:
                    break
                at = finished
    score.seconds = time.monotonic() - began
    return score


# -- making small


def minimised(target: Target, find: Find, seconds: float = 20.0) -> Find:
    """The find with as much cut away as leaves its sign the same, in a child each try."""
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="xc-fuzz-") as scratch:
        place = Path(scratch) / "place"

        def same(data: bytes) -> bool:
            signs: list[str] = []

            def work(tell: Callable[[bytes], None]) -> None:
                found = attempt_timed(target, Case(find.case.name, data), place)
                tell(json.dumps(found).encode())

            how = in_child(work, lambda line: signs.append((json.loads(line) or [""])[0]), SECONDS * 3)
            return (f"the process ended: {how}" if how else signs[0] if signs else "") == find.sign

        best = find.case.data
        if not same(best):
            return find
        for by_lines in (True, False):
            best = _reduced(best, same, deadline, by_lines=by_lines)
    return Find(find.target, Case(find.case.name, best), find.sign, find.trace, find.number)


def _reduced(data: bytes, same: Callable[[bytes], bool], deadline: float, *, by_lines: bool) -> bytes:
    """Delta debugging, its simple form: leave out ever smaller pieces."""
    pieces = data.splitlines(keepends=True) if by_lines else [data[i : i + 1] for i in range(len(data))]
    size = max(len(pieces) // 2, 1)
    while size and time.monotonic() < deadline:
        at = 0
        while at < len(pieces) and time.monotonic() < deadline:
            without = pieces[:at] + pieces[at + size :]
            if without and same(b"".join(without)):
                pieces = without
            else:
                at += size
        size //= 2
    return b"".join(pieces)


def keep(find: Find) -> Path | None:
    """Write a find into the corpus; None where it is too large for it."""
    if len(find.case.data) > 64 << 10:
        return None
    path = CORPUS / find.target / find.file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(find.case.data)
    return path


def told(name: str, score: Score) -> str:
    speed = score.number / score.seconds if score.seconds else 0
    return (
        f"{name:<12} {score.number:>8} mutants {score.seconds:>7.1f} s {speed:>7.0f}/s"
        f"  slowest {score.slowest_s:.2f} s  at most {score.peak_mb} MB  {len(score.finds)} finds"
    )


def main(words: list[str]) -> int:
    """See ``scripts/fuzz``."""
    import argparse

    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(
        prog="scripts/fuzz",
        description="Mutate inputs of every reader; anything but an accepted or a refused input is a find.",
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"default: all: {' '.join(TARGETS)}")
    parser.add_argument("--number", type=int, default=1_000, help="mutants of each target (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one (default: 0)")
    parser.add_argument("--seed", type=int, default=16, help="other seeds are other mutants (default: 16)")
    parser.add_argument("--seconds", type=float, default=0.0, help="at most as long for each target")
    parser.add_argument("--no-keep", action="store_true", help="do not write finds into tests/fuzz/corpus")
    options = parser.parse_args(words)
    if unknown := [name for name in options.targets if name not in TARGETS]:
        parser.error(f"unknown target {unknown[0]!r}")
    finds = 0
    for name in options.targets or TARGETS:
        target = TARGETS[name]
        score = fuzz(target, first=options.first, number=options.number, seed=options.seed, seconds=options.seconds)
        print(told(name, score), flush=True)
        for sign, find in score.finds.items():
            finds += 1
            print(f"  {score.counts[sign]} x {sign} (mutant {find.number})\n{find.trace}", flush=True)
            if not options.no_keep:
                print(f"  kept: {keep(minimised(target, find))}", flush=True)
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
