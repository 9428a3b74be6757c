"""Shared by all tests: real platforms, one cache, and sandboxes that are opened once."""

from __future__ import annotations

import functools
import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np  # noqa: F401 - it can be loaded once in a process: a pytester must not be the first, which unloads what it loaded
import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.packages.registry import shipped
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.refs import SANDBOX_HOST_UID
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.pool import Pool
from tests.others import INSIDE

pytest_plugins = ["pytester", "tests.tiers", "tests.durations"]


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs that tests read do not depend on who runs them."""
    for name in ("PY_COLORS", "FORCE_COLOR", "XC_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(INSIDE))
    # Most runs inside tests replace something of the suite in their own process, and all have to be quick.
    monkeypatch.setenv("XC_IN_PROCESS", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")  # else the texts would be in the language of whoever runs them
    # A pytester run has a HOME of its own; what was provisioned is found all the same.
    monkeypatch.setenv("XC_CACHE", str(SHARED_CACHE))


SHARED_CACHE = Cache().root
os.environ["XC_CACHE"] = str(SHARED_CACHE)
# Private caches link to the compiler's own, which is slow to fill; a link to what no build has made yet leads nowhere.
(SHARED_CACHE / "jailed-zig").mkdir(parents=True, exist_ok=True)


@pytest.fixture(scope="session")
def platforms() -> Platforms:
    return Platforms([resources.platforms_file()])


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return shipped().catalogue()


@pytest.fixture(scope="session")
def store(platforms: Platforms) -> Store:
    return Store(platforms, Cache(SHARED_CACHE))


@pytest.fixture(scope="session")
def pool(store: Store) -> Iterator[Pool]:
    opened = Pool(store, "qemu")
    yield opened
    opened.close()


@pytest.fixture
def small_cache(tmp_path: Path) -> Path:
    """A cache of the test's own with what Phytium's sandboxes need of the shared one."""
    cache = tmp_path / "small-cache"
    for name in ("emulator", "rootfs/bullseye-arm64", "rootfs/bullseye-amd64"):
        shutil.copytree(SHARED_CACHE / "entries" / name, cache / "entries" / name, symlinks=True)
    if os.geteuid() == 0:  # what root provisions belongs to the sandboxes' user
        for directory, inner, files in os.walk(cache / "entries/rootfs"):
            for one in (*inner, *files):
                os.chown(Path(directory, one), SANDBOX_HOST_UID, SANDBOX_HOST_UID, follow_symlinks=False)
    (cache / "jailed-zig").symlink_to(SHARED_CACHE / "jailed-zig")
    return cache


@pytest.fixture(scope="session")
def mutants_dir() -> Path:
    return Path(__file__).parent / "mutants"


@pytest.hookimpl(trylast=True)
def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes are named by how many they are: what gzip writes has the time in it, and two workers would collect two tests."""
    return f"{len(val)} bytes of {argname}" if isinstance(val, bytes) and len(val) > 16 else None


def pytest_collection_finish() -> None:
    """What stays to the end is not looked at by the garbage collector again.

    Thousands of tests are hundreds of thousands of objects, and each run inside a test collects twice: 0.2 s each time.
    """
    gc.collect()
    gc.freeze()


@functools.cache
def _why_not_whole() -> str:
    """Why the tests of the rootless sandbox cannot run on this host; empty where it is whole."""
    pool = Pool(Store(Platforms([resources.platforms_file()]), Cache(SHARED_CACHE)), "qemu")
    try:
        return str(pool.sandbox(pool.store.platforms.get("kunpeng")).fingerprint.degraded)
    except XcError as error:
        return str(error.told)
    finally:
        pool.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Outside of CI a host without a whole rootless sandbox, a default container for example, runs all other tests."""
    if item.get_closest_marker("sandbox") and not os.environ.get("CI") and (why := _why_not_whole()):
        pytest.skip(f"the rootless sandbox is not whole here: {why}")


_MUST_RUN = ("docker", "sandbox", "registry")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """In CI a test that needs Docker or a sandbox has to run: skipped is failed."""
    report = yield
    if report.skipped and os.environ.get("CI") and any(item.get_closest_marker(m) for m in _MUST_RUN):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} must run in CI and was skipped: {call.excinfo.value if call.excinfo else ''}"
    return report
