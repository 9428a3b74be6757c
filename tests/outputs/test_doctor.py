"""``xc doctor`` on a host that has everything, and on one that has nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from syrupy.assertion import SnapshotAssertion

from pytest_xinchuang.cli import doctor
from pytest_xinchuang.commands.context import Context
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.tools.process import End, Finished
from tests.outputs.conftest import Said


class Usage(NamedTuple):
    free: int


class Entry(NamedTuple):
    kind: str
    name: str


class Sandbox:
    """A sandbox that opens and runs children."""

    fingerprint = SimpleNamespace(degraded="", baseline_ms=27)

    def __init__(self, spec: object) -> None: ...

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None: ...


def store(platforms: Platforms, entries: list[Entry]) -> Any:
    names = {(e.kind, e.name) for e in entries}
    cache = SimpleNamespace(
        root=Path("/home/user/.cache/pytest-xinchuang"),
        entries=lambda: entries,
        peek=lambda kind, name: (kind, name) in names,
    )
    return SimpleNamespace(platforms=platforms, cache=cache, rootfs=Path, emulator=Path)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, platforms: Platforms) -> Callable[[bool], None]:
    def missing(*_words: object) -> Any:
        raise HostFault(_("not on PATH"), mend=verbatim("pip install ..."))

    def make(good: bool) -> None:
        entries = [
            Entry("rootfs", "bullseye-arm64"),
            Entry("emulator", "aarch64"),
            Entry("kernel", "debian-arm64"),
            Entry("system-emulator", "aarch64"),
        ]
        made = store(platforms, entries if good else [])
        client = SimpleNamespace(version=lambda: {"Version": "28.1.0"}, close=lambda: None)
        release = "6.12.0-1-amd64" if good else "5.10.0-8-amd64"
        ended = Finished(("unshare",), End.EXITED, 0 if good else 1, stderr=b"unshare: Operation not permitted\n")
        for name, value in {
            "host": SimpleNamespace(machine=lambda: "x86_64", release=lambda: release),
            "shutil": SimpleNamespace(
                which=lambda name: f"/usr/bin/{name}" if good else None,
                disk_usage=lambda _: Usage(9 << 30 if good else 0),
            ),
            "importlib": SimpleNamespace(util=SimpleNamespace(find_spec=lambda name: good or None)),
            "os": SimpleNamespace(access=lambda *_: False, R_OK=4, W_OK=2),
            "Path": lambda name: SimpleNamespace(exists=lambda: False, is_dir=lambda: True),
            "Runner": lambda: SimpleNamespace(run=lambda *_, **__: ended),
            "QemuSandbox": Sandbox,
            "find_zig": (lambda: "/usr/bin/zig") if good else missing,
            "find_go": (lambda: "/usr/bin/go") if good else missing,
            "version_of": lambda *_: "1.2.3",
            "gnu_compiler": lambda architecture: good,
            "connect": (lambda: client) if good else missing,
            "device_works": lambda: good,
            "kvm_problem": lambda _: "",
            "Pool": lambda _: None,
            "Store": lambda *_, **__: None,
        }.items():
            monkeypatch.setattr(doctor, name, value)
        monkeypatch.setattr(Context, "store", lambda self: made)

    return make


@pytest.mark.parametrize("good", [True, False], ids=["has everything", "has nothing"])
def test_doctor(good: bool, host: Callable[[bool], None], said: Said, snapshot: SnapshotAssertion) -> None:
    host(good)
    assert said("doctor") == snapshot
