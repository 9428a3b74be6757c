"""The pool opens backends from a table, and knows none of them by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_xinchuang.core.errors import HostFault, SandboxFault, UnknownName
from pytest_xinchuang.core.events import SandboxOpened
from pytest_xinchuang.core.platform import Platform, Platforms
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.refs import KernelRef
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.backend import Backend, BackendTable, Opening
from pytest_xinchuang.sandbox.circumstances import Circumstances, CpuVariant
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Fingerprint, Sandbox

KERNEL = KernelRef("other", Path("/none"), "", "5.10", 65536, True)


class Opened:
    """Stands for a sandbox, and remembers how it was opened."""

    def __init__(self, run: Opening, where: str, wanted: Circumstances | CpuVariant) -> None:
        self.run, self.where, self.wanted, self.open = run, where, wanted, True
        self.fingerprint = Fingerprint(
            "fake", where, Fidelity.NATIVE, False, "", "", False, (), "", "", "", {}, {}, "", 0.0
        )

    def alive(self) -> bool:
        return self.open

    def close(self) -> None:
        self.open = False


def opened(name: str) -> Any:
    return lambda run, platform, wanted: Opened(run, f"{name} {platform.id}", wanted)


def broken(run: Opening, platform: Platform, wanted: Circumstances) -> Sandbox:
    raise SandboxFault(verbatim("it does not start"))


TABLE = BackendTable(
    {
        "plain": Backend(opened("plain")),
        "bending": Backend(opened("bending"), adapts=True),
        "booting": Backend(opened("booting"), adapts=True, boots=True),
        "broken": Backend(broken),
    },
    lambda run, wanted: cast(Sandbox, Opened(run, "reference", wanted)),
)


@pytest.fixture
def store(platforms: Platforms, tmp_path: Path) -> Store:
    return Store(platforms, Cache(tmp_path))


def of(sandbox: Sandbox) -> Opened:
    assert isinstance(sandbox, Opened)
    return sandbox


@pytest.mark.tools
def test_loading_the_pool_loads_no_backend() -> None:
    code = "import sys, pytest_xinchuang.sandbox.pool\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    backends = {m for m in loaded if m.startswith("pytest_xinchuang.sandbox.backends.")}
    assert backends == {"pytest_xinchuang.sandbox.backends.shipped"}
    assert "docker" not in loaded


def test_each_platform_and_circumstance_is_opened_once(store: Store, platforms: Platforms) -> None:
    events: list[SandboxOpened] = []
    pool = Pool(store, "bending", table=TABLE, on_open=events.append)
    phytium = platforms.get("phytium")
    first = of(pool.sandbox(phytium, CpuVariant.POOREST, vendor="X", floor=False, loopback=True))
    assert first.run is pool and first.wanted == Circumstances(CpuVariant.POOREST, "X", False, True)
    assert pool.sandbox(phytium, CpuVariant.POOREST, vendor="X", floor=False, loopback=True) is first
    assert pool.sandbox(phytium) is not first
    assert [e.variant for e in events] == ["poorest,vendor=X,every system call,loopback", "strict"]
    pool.close()
    assert not first.open


def test_a_backend_that_adapts_to_nothing_is_not_asked_to(store: Store, platforms: Platforms) -> None:
    pool = Pool(store, "plain", table=TABLE)
    phytium = platforms.get("phytium")
    assert of(pool.sandbox(phytium, CpuVariant.SUPERSET)).where == f"plain {phytium.id}"
    for otherwise in ({"vendor": "X"}, {"floor": False}, {"loopback": True}):
        with pytest.raises(HostFault, match="the backend plain cannot run it under strict,"):
            pool.sandbox(phytium, **otherwise)


def test_a_real_kernel_is_booted_whatever_the_backend(store: Store, platforms: Platforms) -> None:
    phytium = platforms.get("phytium")
    for backend in ("plain", "booting"):
        pool = Pool(store, backend, table=TABLE)
        own, other = of(pool.system(phytium)), of(pool.system(phytium, KERNEL))
        assert own.where == other.where == f"booting {phytium.id}"
        assert own.wanted == Circumstances() and other.wanted == Circumstances(kernel=KERNEL)
        assert pool.system(phytium, KERNEL) is other
        assert (pool.sandbox(phytium) is own) is (backend == "booting")
    assert of(pool.reference(loopback=True)).wanted == Circumstances(loopback=True)


def test_what_does_not_open_is_tried_once(store: Store, platforms: Platforms) -> None:
    pool = Pool(store, "broken", table=TABLE)
    faults = []
    for _ in range(2):
        with pytest.raises(SandboxFault, match="it does not start") as caught:
            pool.sandbox(platforms.get("phytium"))
        faults.append(caught.value)
    assert faults[0] is faults[1]


def test_a_backend_of_others_gets_the_pool_and_the_variant(store: Store, platforms: Platforms) -> None:
    def board(pool: Pool, platform: Platform, variant: CpuVariant) -> Sandbox:
        return cast(Sandbox, Opened(pool, f"board {platform.id}", variant))

    pool = Pool(store, "board", table=TABLE, extra_backends={"board": board})
    found = of(pool.sandbox(platforms.get("hygon"), CpuVariant.POOREST))
    assert found.run is pool and found.wanted is CpuVariant.POOREST
    with pytest.raises(UnknownName, match=r"'bord' \(did you mean board\?\); there are plain, bending"):
        Pool(store, "bord", table=TABLE, extra_backends={"board": board})


def test_the_shipped_names() -> None:
    with pytest.raises(UnknownName, match="'none'; there are auto, qemu, docker, system, native"):
        Pool(cast(Store, SimpleNamespace()), "none")
