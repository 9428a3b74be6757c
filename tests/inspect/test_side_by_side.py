"""What several processes have read is what one has read."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import zipfile
from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.finding import Finding
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.inspect import side_by_side
from pytest_xinchuang.inspect.artifact import ReadProblem
from pytest_xinchuang.inspect.delivered import Inspection
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.inspect.objects import ObjectReader, Outcome, Task
from pytest_xinchuang.sandbox.wall.formats import refuser

REAL = Path(__file__).parent / "real"

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked"),
]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are started for the first two objects, whatever threads the tests' own runner has."""
    monkeypatch.setattr(side_by_side, "WORTH", 0)
    monkeypatch.setattr(side_by_side, "can_fork", lambda: True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Objects in a directory and in an archive, the same ones under other names, and damaged ones between them."""
    tree = tmp_path / "tree"
    for number, path in enumerate(sorted(p for p in REAL.iterdir() if p.is_file())):
        place = tree / f"d{number % 3}" / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
        if path.read_bytes()[:4] == b"\x7fELF":
            other = tree / "lib" / "avx2" / f"again-{path.name}"
            other.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, other)
            (tree / f"damaged-{path.name}").write_bytes(path.read_bytes()[: 70 + number])
    for machine in ("x86_64", "aarch64"):
        for name in (f"{machine}.so", f"lib/avx2/{machine}.so", f"z/{machine}-again.so"):
            place = tree / name
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(refuser(machine, "no\n", b"\x01" + bytes(6)))
    with zipfile.ZipFile(tree / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(REAL.iterdir()):
            if path.is_file():
                archive.write(path, f"inner/{path.name}")
    return tree


def _findings(inspection: Inspection) -> list[Finding]:
    platforms = Platforms([resources.platforms_file()])
    names = ("kunpeng", "hygon", "loongson")
    return [f for n in names for f in Verdicts(platforms.get(n), platforms.file.architectures).of(inspection)]


def test_the_same_is_read(tree: Path) -> None:
    alone, together = Inspector().read(tree, "tree"), Inspector(jobs=3).read(tree, "tree")
    assert len(alone.records) > 20
    assert together.records == alone.records
    assert together.problems == alone.problems
    assert _findings(together) == _findings(alone)


def test_an_object_is_named_and_judged_by_its_own_place(tree: Path) -> None:
    for jobs in (1, 2):
        records = [r for r in Inspector(jobs=jobs).read(tree, str(tree)).records if "!" not in r.place]
        assert any("/avx2/" in record.place for record in records)
        for record in records:
            data = Path(record.place).read_bytes()
            assert record == ObjectReader().read(data, record.place, record.path, unpacks=True)


@pytest.mark.parametrize("way", ["memory", "no memory", "no descriptors", "no room"])
def test_large_objects_of_an_archive_are_the_same_by_each_way(
    way: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Inspector().read(tree / "all.zip", "all")
    sizes: list[int] = []

    def written(memory: int, data: bytes) -> None:
        sizes.append(len(data))
        original(memory, data)
        if way == "no room":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    original = side_by_side._written
    monkeypatch.setattr(side_by_side, "_written", written)
    monkeypatch.setattr(side_by_side, "BATCH", 1)
    if way == "no memory":
        monkeypatch.delattr(os, "memfd_create")
    if way == "no descriptors":
        monkeypatch.setattr(side_by_side, "DESCRIPTORS", "/nowhere")
    before = len(list(Path("/proc/self/fd").iterdir()))
    together = Inspector(jobs=2).read(tree / "all.zip", "all")
    assert together.records == expected.records
    assert together.problems == expected.problems
    assert bool(sizes) is (way in ("memory", "no room"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_a_process_that_died_had_is_read_here(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Inspector().read(tree, "tree")
    us = os.getpid()
    seen: list[str] = []

    def read(reader: ObjectReader, task: Task) -> Outcome:
        if os.getpid() != us and len(seen) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        seen.append(task.place)
        return original(reader, task)

    original = side_by_side._read
    monkeypatch.setattr(side_by_side, "_read", read)
    monkeypatch.setattr(side_by_side, "BATCH", 1)
    assert Inspector(jobs=2).read(tree, "tree").records == expected.records
    assert seen


def test_a_fault_of_the_reader_is_told_here(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(reader: ObjectReader, task: Task) -> Outcome:
        raise MemoryError

    monkeypatch.setattr(side_by_side, "_read", read)
    with pytest.raises(MemoryError):
        Inspector(jobs=2).read(tree, "tree")


def test_a_file_that_goes_away_is_undecided(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "WORTH", 0)
    with side_by_side.SideBySide(ObjectReader(), 2) as reading:
        for number in range(3):
            path = tree / f"gone-{number}"
            reading.add(Task(str(path), 100, str(path), path.name, f"{number:064x}"), b"")
        outcomes = reading.outcomes()
    assert [each.code for each in outcomes if isinstance(each, ReadProblem)] == ["XC-BAD-006"] * 3


def test_no_process_is_left(tree: Path) -> None:
    with side_by_side.SideBySide(ObjectReader(), 2) as reading:
        path = next(p for p in sorted(REAL.iterdir()) if p.is_file())
        for number in range(2):
            reading.add(Task(str(path), 100, "x", "x", f"{number:064x}"), path.read_bytes())
        started = [worker.process for worker in reading._workers]
    assert len(started) == 2
    assert not any(process.is_alive() for process in started)


@pytest.mark.parametrize("size", [100, side_by_side.BATCH + 1])
def test_no_process_is_started_for_a_single_object(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "WORTH", 1000)
    path = next(p for p in sorted(REAL.iterdir()) if p.is_file())
    data = path.read_bytes()

    def task(number: int, size: int) -> Task:
        return Task(str(path), size, f"place-{number}", f"name-{number}", f"{number:064x}")

    with side_by_side.SideBySide(ObjectReader(), 2) as reading:
        for number in range(5):
            reading.add(task(number, 100), data)  # these are not worth it together
        reading.add(task(5, 1000 + size), data)
        reading.add(task(5, 1000 + size), data)  # the same once more
        assert not reading._workers
        outcomes = reading.outcomes()
        assert not reading._workers
    assert len(outcomes) == 7
    assert [outcome.place for outcome in outcomes] == [f"place-{number}" for number in (0, 1, 2, 3, 4, 5, 5)]
    assert outcomes == [task(n, 0).outcome(ObjectReader(), data) for n in (0, 1, 2, 3, 4, 5, 5)]


def test_a_waiting_object_is_read_where_nothing_can_be_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "can_fork", lambda: False)
    path = next(p for p in sorted(REAL.iterdir()) if p.is_file())
    tasks = [Task(str(path), 100, f"place-{n}", f"name-{n}", f"{n:064x}") for n in range(3)]
    with side_by_side.SideBySide(ObjectReader(), 2) as reading:
        for task in tasks:
            reading.add(task, path.read_bytes())
        assert not reading._workers
        outcomes = reading.outcomes()
    assert outcomes == [task.outcome(ObjectReader(), path.read_bytes()) for task in tasks]
