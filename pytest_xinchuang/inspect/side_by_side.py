"""Objects read side by side, by processes that are forked for it. The records come back as if one process had read them all."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import heapq
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.inspect.artifact import ReadProblem
from pytest_xinchuang.inspect.held import mapped
from pytest_xinchuang.inspect.objects import ObjectReader, Outcome, Task, preloaded
from pytest_xinchuang.messages import system_error
from pytest_xinchuang.tools.sessions import KILLED, PR_SET_PDEATHSIG

WORTH = 8 << 20
"""Bytes of objects from which on processes are started for those that follow, be they two or more."""

MOST = 64 << 20
"""Bytes of objects in memory that wait to be read."""

BATCH = 256 << 10
"""Bytes of small objects that are handed over together."""

AHEAD = 2
"""Batches of files that a process has at hand: their paths are short, and never fill the pipe."""

MOST_TASKS = 16
"""Objects in a batch."""

LONGEST = 2048
"""Characters of an object's names: two batches of files with such are less than what a pipe takes."""


def can_fork() -> bool:
    """Whether processes can be forked here without a thread that holds a lock."""
    return sys.platform == "linux" and threading.active_count() == 1 and not multiprocessing.current_process().daemon


DESCRIPTORS = "/proc/self/fd"
"""Where a process finds its open files (proc(5)), those that it has from us among them."""


@dataclass(eq=False)
class _Worker:
    """A process. ``memory``: a file in memory that it has from us, for one object at a time; None: there can be none."""

    process: Any
    pipe: Connection
    memory: int | None
    given: list[_Batch] = field(default_factory=list)

    def close(self) -> None:
        self.pipe.close()
        if self.memory is not None:
            os.close(self.memory)

    def send(self, batch: _Batch) -> None:
        """Hand over a batch. The bytes of a large object go by the memory: through the pipe they would be copied five times."""
        tasks = batch.tasks
        if self.memory is not None and batch.held > BATCH and len(tasks) == 1:
            data = tasks[0].source
            assert isinstance(data, bytes)
            try:
                _written(self.memory, data)
                tasks = [replace(tasks[0], source=f"{DESCRIPTORS}/{self.memory}")]
            except OSError:  # there is no room for it
                os.ftruncate(self.memory, 0)
        self.pipe.send(tasks)

    def forget(self, batch: _Batch) -> None:
        """Give back the room that the bytes of a batch took."""
        if self.memory is not None and batch.held > BATCH:
            os.ftruncate(self.memory, 0)


@dataclass(eq=False)
class _Batch:
    """Tasks that are handed over together, and the places of their outcomes."""

    tasks: list[Task]
    places: list[int]

    @property
    def size(self) -> int:
        return sum(task.size for task in self.tasks)

    @property
    def held(self) -> int:
        """The bytes of it that are in memory."""
        return sum(task.size for task in self.tasks if isinstance(task.source, bytes))


class SideBySide:
    """Reads the objects of a walk; what they give is asked for once it is over.

    Args:
        jobs: processes; with one all are read where they are met.
    """

    def __init__(self, reader: ObjectReader, jobs: int = 1) -> None:
        self._reader, self._jobs = reader, jobs
        self._seen = 0
        self._outcomes: list[Outcome | None] = []
        self._same: dict[tuple[str, bool, bool], int] = {}
        self._copies: list[tuple[int, int, Task]] = []
        self._workers: list[_Worker] = []
        self._small: _Batch = _Batch([], [])
        # The largest first: what is left at the end is short.
        self._waiting: list[tuple[int, int, _Batch]] = []
        self._held = 0

    def add(self, task: Task, data: Any) -> None:
        """Have an object read. ``data``: its bytes, which are at hand only now."""
        number = len(self._outcomes)
        self._outcomes.append(None)
        first = self._same.setdefault(task.key, number)
        if first != number:
            self._copies.append((number, first, replace(task, source=None)))
            return
        self._seen += task.size
        many = self._seen > WORTH and self._jobs > 1 and _is_sent(task)
        alone = many and not self._workers and not self._waiting and not self._small.tasks
        if many and not self._workers and not alone:
            self._start()
        if not alone and (not self._workers or not _is_sent(task)):
            self._outcomes[number] = task.outcome(self._reader, data)
            self._serve()
            return
        if task.size > BATCH:
            self._put(_Batch([task], [number]))
        else:
            self._small.tasks.append(task)
            self._small.places.append(number)
            if self._small.size > BATCH or len(self._small.tasks) >= MOST_TASKS:
                self._put_small()
        if alone:
            return  # it waits for a second one: processes for a single object take longer than they save
        self._serve()
        while self._held > MOST:
            self._serve(block=True)

    def outcomes(self) -> list[Outcome]:
        """What each object gave, in the order in which they were added."""
        self._put_small()
        while self._waiting or any(worker.given for worker in self._workers):
            self._serve(block=True)
        for number, first, task in self._copies:
            found = self._outcomes[first]
            assert found is not None
            self._outcomes[number] = task.named(found)
        return [outcome for outcome in self._outcomes if outcome is not None]

    def __enter__(self) -> SideBySide:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.close()
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
        self._workers.clear()

    # -- the processes

    def _start(self) -> None:
        if not can_fork():
            self._jobs = 1
            return
        with contextlib.suppress(HostFault, ImportError):
            preloaded(self._reader.machines)
        context = multiprocessing.get_context("fork")
        for _number in range(self._jobs):
            ours, theirs = context.Pipe()
            memory = _memory()
            others = [worker.pipe for worker in self._workers]
            process = context.Process(
                target=_work, args=(self._reader, theirs, [ours, *others], os.getpid()), daemon=True
            )
            try:
                process.start()
            except OSError:  # no more processes or memory for us
                _Worker(process, ours, memory).close()
                theirs.close()
                break
            theirs.close()
            self._workers.append(_Worker(process, ours, memory))
        if not self._workers:
            self._jobs = 1

    def _put(self, batch: _Batch) -> None:
        self._held += batch.held
        heapq.heappush(self._waiting, (-batch.size, batch.places[0], batch))

    def _put_small(self) -> None:
        if self._small.tasks:
            self._put(self._small)
            self._small = _Batch([], [])

    def _serve(self, *, block: bool = False) -> None:
        """Take what has been read, and hand out what waits. ``block``: not before something has been read."""
        self._hand_out()
        busy: list[Any] = [worker.pipe for worker in self._workers if worker.given]
        ready = wait(busy, None if block else 0) if busy else []
        for worker in [worker for worker in self._workers if worker.pipe in ready]:
            try:
                outcomes: Sequence[Outcome] = worker.pipe.recv()
            except (OSError, EOFError):
                self._lost(worker)
                continue
            batch = worker.given.pop(0)
            worker.forget(batch)
            self._take(batch, outcomes)
        self._hand_out()

    def _take(self, batch: _Batch, outcomes: Sequence[Outcome]) -> None:
        self._held -= batch.held
        for place, outcome in zip(batch.places, outcomes, strict=True):
            self._outcomes[place] = outcome

    def _hand_out(self) -> None:
        for worker in list(self._workers):
            while self._waiting and len(worker.given) < AHEAD:
                batch = self._waiting[0][2]
                # Who waits for large bytes to be taken must not wait for who waits for an answer to be taken; and a process
                # has the bytes of one object at a time.
                if worker.given and (batch.held or worker.given[-1].held):
                    break
                heapq.heappop(self._waiting)
                worker.given.append(batch)
                try:
                    worker.send(batch)
                except OSError:
                    self._lost(worker)
                    break
        if not self._workers:
            while self._waiting:
                self._read_here(heapq.heappop(self._waiting)[2])

    def _lost(self, worker: _Worker) -> None:
        """A process has died: what it had is read here, where what kills it is seen."""
        self._workers.remove(worker)
        worker.close()
        worker.process.kill()
        worker.process.join()
        for batch in worker.given:
            self._read_here(batch)

    def _read_here(self, batch: _Batch) -> None:
        self._take(batch, [_read(self._reader, task) for task in batch.tasks])


def _memory() -> int | None:
    """A file in memory, for a process that is forked next."""
    try:
        memory = os.memfd_create("xc-inspect")
    except (OSError, AttributeError):
        return None
    if Path(DESCRIPTORS, str(memory)).exists():
        return memory
    os.close(memory)
    return None


def _written(memory: int, data: bytes) -> None:
    """Make ``data`` the content of a file."""
    at = 0
    while at < len(data):
        at += os.pwrite(memory, memoryview(data)[at:], at)
    os.ftruncate(memory, len(data))


def _is_sent(task: Task) -> bool:
    if isinstance(task.source, str):
        return len(task.source) + len(task.place) + len(task.name) <= LONGEST
    return task.source is not None


def _read(reader: ObjectReader, task: Task) -> Outcome:
    assert task.source is not None
    if isinstance(task.source, bytes):
        return task.outcome(reader, task.source)
    try:
        with mapped(task.source) as data:
            return task.outcome(reader, data)
    except OSError as error:  # it has just been there
        return ReadProblem("XC-BAD-006", task.place, system_error(error))


def _work(reader: ObjectReader, pipe: Connection, others: Sequence[Connection], parent: int) -> None:
    """One process: it reads what it is given until nobody gives anything more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, KILLED, 0, 0, 0)
    if os.getppid() != parent:  # it was killed before the signal was asked for
        os._exit(1)
    for other in others:
        other.close()
    gc.freeze()
    # Whatever goes wrong goes wrong again where it is told.
    with contextlib.suppress(BaseException):
        while True:
            tasks: Sequence[Task] = pipe.recv()
            pipe.send([_read(reader, task) for task in tasks])
    os._exit(1)
