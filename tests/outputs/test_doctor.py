"""``xc doctor`` on a host that has everything, and on one that has nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import Mock

import pytest
from syrupy.assertion import SnapshotAssertion

from pytest_xinchuang.cli import doctor, ways
from pytest_xinchuang.commands.context import Context
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.sandbox import situation as mends
from pytest_xinchuang.sandbox import ways as order
from pytest_xinchuang.tools.host import look
from pytest_xinchuang.tools.process import End, Finished
from tests.outputs.conftest import Said
from tests.sandbox.hosts import HOSTS


class Usage(NamedTuple):
    free: int


class Entry(NamedTuple):
    kind: str
    name: str


class Sandbox:
    """A sandbox that opens and runs children."""

    fingerprint = SimpleNamespace(
        degraded="", baseline_ms=27, rootfs="bullseye-arm64", extra={"children": "tracer", "layer": "overlay"}
    )

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
    return SimpleNamespace(
        platforms=platforms, cache=cache, rootfs=Path, emulator=Path, has_system=lambda platform: bool(entries)
    )


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
        seen = look(HOSTS["Debian 13" if good else "default container, root"].picture)
        refused = [] if good else [["create a user namespace", 1]]
        ended = Finished(("python",), End.EXITED, 0, stdout=json.dumps(refused).encode())
        booted = {"seconds": 2.7, "ms": 31, "accelerator": "kvm", "without_kvm": ""}
        which = SimpleNamespace(
            which=lambda name: f"/usr/bin/{name}" if good else None,
            disk_usage=lambda _: Usage(9 << 30 if good else 0),
        )
        replaced: dict[Any, dict[str, Any]] = {
            doctor: {
                "shutil": which,
                "importlib": SimpleNamespace(util=SimpleNamespace(find_spec=lambda name: good or None)),
                "find_zig": (lambda: "/usr/bin/zig") if good else missing,
                "find_go": (lambda: "/usr/bin/go") if good else missing,
                "version_of": lambda *_: "1.2.3",
                "gnu_compiler": lambda architecture: good,
                "install_extra": lambda name, missing: verbatim(f"pip install what-{name}-brings"),
                "situation": lambda: seen,
            },
            ways: {
                "shutil": which,
                "QemuSandbox": Sandbox,
                "HOST_ARCH": Arch.AMD64,
                "connect": (lambda: client) if good else missing,
                "kvm_works": lambda: good,
                "situation": lambda: seen,
                "machine": SimpleNamespace(
                    look=lambda _: SimpleNamespace(cpuinfo=""), HostReader=Mock, OS_RELEASE="", doubts=lambda *_: []
                ),
                "differences": lambda platform, *_: [] if good and platform.id == "hygon_dhyana-uos_20" else ["CPU"],
                "_boot": lambda *_: booted,
            },
            order: {"Runner": lambda: SimpleNamespace(run=lambda *_, **__: ended)},
            mends: {"situation": lambda: seen},
        }
        for module, values in replaced.items():
            for name, value in values.items():
                monkeypatch.setattr(module, name, value)
        monkeypatch.setattr(Context, "store", lambda self: made)

    return make


@pytest.mark.parametrize("good", [True, False], ids=["has everything", "has nothing"])
def test_doctor(good: bool, host: Callable[[bool], None], said: Said, snapshot: SnapshotAssertion) -> None:
    host(good)
    assert said("doctor") == snapshot
