"""Snapshots of machines: found whole or not at all, bounded in number, and held while somebody uses them."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.messages import NOTHING, verbatim
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.sandbox.backends import kvm, snapshots
from pytest_xinchuang.sandbox.backends.monitor import Monitor
from pytest_xinchuang.sandbox.backends.snapshots import MEMORY, RECORD, STATE, Snapshots, key_of

MIB = 1 << 20


@pytest.fixture
def kept(tmp_path: Path) -> Snapshots:
    return Snapshots(Cache(tmp_path / "cache"))


def build(memory: Path, state: Path) -> None:
    with memory.open("wb") as file:
        file.truncate(64 * MIB)
        file.seek(9 * MIB + 5)
        file.write(b"what the kernel left")
    state.write_bytes(b"QEVM")


@pytest.fixture
def make(kept: Snapshots, tmp_path: Path) -> Callable[[str], None]:
    def made(key: str) -> None:
        scratch = tmp_path / f"scratch-{key}"
        scratch.mkdir()
        with kept.held(key):
            assert kept.make(key, build, scratch) is not None

    return made


def test_one_is_found_again_and_takes_no_room_for_zeros(kept: Snapshots, make: Callable[[str], None]) -> None:
    assert kept.find("one") is None
    make("one")
    for _turn in range(2):
        found = kept.find("one")
        assert found is not None and found.memory.stat().st_size == 64 * MIB
        assert found.memory.stat().st_blocks * 512 < 2 * MIB and found.memory.stat().st_mode & 0o777 == 0o400
        snapshots._verified.clear()


def rewrite(place: Path, at: int, data: bytes) -> None:
    place.chmod(0o600)
    with place.open("r+b") as file:
        file.seek(at)
        file.write(data)


def elsewhere(place: Path) -> None:
    place.rename(place.with_name("elsewhere"))
    place.symlink_to("elsewhere")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a byte of the memory": lambda place: rewrite(place / MEMORY, 9 * MIB + 6, b"X"),
    "a byte where there were zeros": lambda place: rewrite(place / MEMORY, 33 * MIB, b"\1"),
    "a zero in the place of a byte": lambda place: rewrite(place / MEMORY, 9 * MIB + 5, bytes(20)),
    "a longer memory": lambda place: os.truncate(place / MEMORY, 65 * MIB),
    "the state": lambda place: rewrite(place / STATE, 0, b"X"),
    "no state": lambda place: (place / STATE).unlink(),
    "no record": lambda place: (place / RECORD).unlink(),
    "a record that is no object": lambda place: (place / RECORD).write_text("[1"),
    "an empty record": lambda place: (place / RECORD).write_text("{}"),
    "another's record": lambda place: (place / RECORD).write_text(
        (place / RECORD).read_text().replace('"one"', '"two"')
    ),
    "a link for the memory": lambda place: elsewhere(place / MEMORY),
}


@pytest.mark.parametrize("fresh", [True, False], ids=["in another process", "in the process that made it"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_removed(damage: str, fresh: bool, kept: Snapshots, make: Callable[[str], None]) -> None:
    make("one")
    if fresh or "record" in damage:  # what one process has read as a whole it asks the kernel about
        snapshots._verified.clear()
    DAMAGES[damage](kept.root / "one")
    assert kept.find("one") is None and not (kept.root / "one").exists()


def test_the_digest_is_of_what_is_in_it_and_not_of_its_holes(tmp_path: Path) -> None:
    sparse, full = tmp_path / "sparse", tmp_path / "full"
    build(sparse, tmp_path / "state")
    full.write_bytes(sparse.read_bytes())
    assert snapshots._digest(sparse) == snapshots._digest(full)


def test_the_ones_used_least_lately_go(
    kept: Snapshots, make: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "MOST", 3)
    for age, key in enumerate(("new", "older", "oldest")):
        make(key)
        for name in (RECORD, "used"):
            (kept.root / key / name).touch()
            os.utime(kept.root / key / name, (1e9 - age, 1e9 - age))
    with kept.held("oldest"):
        make("another")
        assert {place.name for place in kept.root.iterdir()} == {"new", "oldest", "another"}
    monkeypatch.setattr(snapshots, "MOST_BYTES", 0)
    kept.prune()
    assert not list(kept.root.iterdir())


def test_where_there_is_no_room_none_is_made(kept: Snapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "ROOM_BYTES", 1 << 62)
    assert kept.make("one", build, tmp_path) is None

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots, "ROOM_BYTES", 0)
    assert kept.make("one", full, tmp_path) is None and kept.find("one") is None


def test_the_key_is_of_all_that_goes_in() -> None:
    assert key_of(["a", 1]) == key_of(["a", 1]) != key_of(["a", 2])


SAYS = [b'{"QMP": {}}\n', b'{"return": {}}\n', b'{"return": {}}\n']


def monitor(*says: bytes, timeout_s: float = 5.0) -> Monitor:
    ours, theirs = socket.socketpair()

    def answer() -> None:
        with theirs, contextlib.suppress(OSError):
            for line in says:
                theirs.sendall(line)
            if says and not says[-1].endswith(b"\n"):
                return
            threading.Event().wait(0.2)

    threading.Thread(target=answer, daemon=True).start()
    return Monitor(ours, timeout_s)


def test_the_monitor_waits_past_events_for_an_answer() -> None:
    asked = monitor(*SAYS, b'{"event": "STOP"}\n{"ret', b'urn": {"status": "completed"}}\n')
    asked.migrated()
    asked.close()


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ([], "closed its monitor"),
        ([*SAYS[:2], b'{"error": {"desc": "no such capability"}}\n'], "no such capability"),
        ([b"what\n"], "no answer"),
        ([b"[]\n"], "no answer"),
        ([b'{"QMP": '], "closed its monitor"),
        ([*SAYS, b'{"return": {"status": "failed", "error-desc": "disk full"}}\n'], "disk full"),
        ([b"x" * (3 << 20)], "closed its monitor"),
    ],
)
def test_a_monitor_that_does_not_work_is_a_fault(says: list[bytes], why: str) -> None:
    with pytest.raises(SandboxFault, match=why), contextlib.closing(monitor(*says)) as asked:
        asked.migrated()


def test_a_silent_monitor_is_not_waited_for() -> None:
    with pytest.raises(SandboxFault, match="monitor"):
        monitor(SAYS[0], timeout_s=0.05)


def test_what_came_of_kvm_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = kvm.Tried(tmp_path, ["a machine"])
    assert tried.known() is None
    tried.note(verbatim("it died"))
    assert kvm.Tried(tmp_path, ["a machine"]).known() == "it died"
    assert kvm.Tried(tmp_path, ["another machine"]).known() is None
    tried.note()
    assert tried.known() == NOTHING and tried.known() is not None
    monkeypatch.setattr(kvm, "_BOOT_ID", tmp_path / "none")
    assert kvm.Tried(tmp_path, ["a machine"]).known() is None  # the host has booted again


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", '{"why": 5}', '{"why": {"id": 3}}'])
def test_what_is_remembered_and_cannot_be_read_is_not_known(text: str, tmp_path: Path) -> None:
    tried = kvm.Tried(tmp_path, "a machine")
    tried.note()
    tried._file.write_text(text)
    assert tried.known() is None


def test_a_record_names_its_schema(kept: Snapshots, make: Callable[[str], None]) -> None:
    make("one")
    assert json.loads((kept.root / "one" / RECORD).read_text())["schema"] == snapshots.SCHEMA
