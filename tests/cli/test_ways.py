"""The ways of ``xc doctor``: what a trial says is what counts, and each hindrance has its own mend."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_xinchuang.cli import doctor, ways
from pytest_xinchuang.cli.features import HostFeature
from pytest_xinchuang.core.errors import HostFault, MissingDependency, SandboxFault
from pytest_xinchuang.messages import NOTHING, Message, verbatim
from pytest_xinchuang.sandbox import situation as mends
from pytest_xinchuang.sandbox import trial
from pytest_xinchuang.sandbox.situation import Hindrance
from pytest_xinchuang.tools.host import look
from pytest_xinchuang.tools.process import End, Finished
from tests.sandbox.hosts import HOSTS


def on(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    seen = look(HOSTS[name].picture)
    for module in (ways, mends, doctor):
        monkeypatch.setattr(module, "situation", lambda: seen)


def line(state: str, name: str = "x", mend: str = "do it") -> HostFeature:
    return HostFeature(verbatim(name), state, verbatim(f"{name} {state}"), NOTHING, verbatim(mend))


@pytest.mark.parametrize(
    ("rootless", "system", "refused", "state", "told", "mend"),
    [
        ("ok", "ok", [], "ok", "rootless", ""),
        ("ok", "missing", [], "ok", "rootless", ""),
        ("missing", "ok", [Hindrance.FILTERED], "ok", "system; rootless would be faster", ""),
        ("unknown", "unknown", [], "unknown", "rootless unknown", "mend rootless"),
        ("unknown", "unknown", [Hindrance.NO_BINFMT], "unknown", "rootless unknown", "mend rootless"),
        ("unknown", "unknown", [Hindrance.FILTERED], "unknown", "system unknown", "mend system"),
        ("missing", "unknown", [Hindrance.MASKED], "unknown", "system unknown", "mend system"),
        ("missing", "missing", [Hindrance.MASKED], "missing", "none of them", "mend rootless"),
    ],
)
def test_auto_takes_the_first_that_is_whole(
    rootless: str, system: str, refused: list[Hindrance], state: str, told: str, mend: str
) -> None:
    found = ways._auto(
        line(rootless, "rootless", "mend rootless"),
        line(system, "system", "mend system"),
        [(each, verbatim("no")) for each in refused],
    )
    assert (found.state, str(found.mend)) == (state, mend)
    assert told in found.detail


def ran(monkeypatch: pytest.MonkeyPatch, stdout: bytes, code: int = 0) -> None:
    ended = Finished(("python",), End.EXITED, code, stdout=stdout)
    monkeypatch.setattr("pytest_xinchuang.sandbox.ways.Runner", lambda: SimpleNamespace(run=lambda *_, **__: ended))


def test_a_refused_step_names_the_hindrance_of_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "default container, user")
    ran(monkeypatch, json.dumps([["create a user namespace", 1]]).encode())
    found = ways._user_namespaces(ways.refused())
    assert found.state == "missing" and "docker run --security-opt seccomp=unconfined" in found.mend
    assert "seccomp" in found.detail and "Operation not permitted" in found.detail


def test_what_the_sandbox_gets_around_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "Debian 11")
    steps = [["mount a private binfmt_misc", 1], ["mount the writable layer (overlay)", 1]]
    ran(monkeypatch, json.dumps(steps).encode())
    assert ways._user_namespaces(ways.refused()).ok
    assert ways._binfmt(ways.refused()).state == "missing"


def test_a_trial_that_breaks_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "Debian 13")
    ran(monkeypatch, b"", 1)
    assert ways.refused() is None
    assert ways._user_namespaces(None).state == "unknown"


@pytest.mark.tools
def test_the_trial_by_itself() -> None:
    """On a host with user namespaces switched off, which is tried where there are any."""
    argv = [sys.executable, "-I", "-S", trial.__file__]
    here = subprocess.run(argv, capture_output=True, check=True)
    assert isinstance(json.loads(here.stdout), list)
    if json.loads(here.stdout) == []:
        inner = f"echo 0 > /proc/sys/user/max_user_namespaces && exec {' '.join(argv)}"
        off = subprocess.run(["unshare", "-Urm", "sh", "-c", inner], capture_output=True, check=True)
        assert json.loads(off.stdout) == [["create a user namespace", 28]]


@pytest.mark.parametrize(
    ("cause", "dockerd", "mend"),
    [
        (PermissionError(13, "Permission denied"), None, "sudo usermod -aG docker $USER"),
        (FileNotFoundError(2, "No such file"), "/usr/bin/dockerd", "sudo dockerd &"),
        (FileNotFoundError(2, "No such file"), None, "sudo dnf install docker-engine"),
    ],
)
def test_docker_that_does_not_answer(
    cause: OSError, dockerd: str | None, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, "openEuler 22.03")

    def connect() -> Any:
        raise SandboxFault(verbatim("no Docker engine answers")) from cause

    monkeypatch.setattr(ways, "connect", connect)
    monkeypatch.setattr(ways.shutil, "which", lambda name: dockerd)
    assert mend in ways._docker().mend


def test_docker_whose_client_is_not_there_or_that_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    def without() -> Any:
        raise MissingDependency("docker", "docker")

    monkeypatch.setattr(ways, "connect", without)
    assert (ways._docker().state, "docker" in ways._docker().mend) == ("unknown", True)
    old = SimpleNamespace(version=lambda: {"Version": "20.10.5+dfsg1"}, close=lambda: None)
    monkeypatch.setattr(ways, "connect", lambda: old)
    assert "XC-HOST-001" in ways._docker().detail


@pytest.mark.parametrize(
    ("accelerator", "without", "state"), [("kvm", "", "ok"), ("tcg", "it stopped", "missing"), ("", "", "missing")]
)
def test_kvm_is_what_a_kernel_that_was_booted_says(
    accelerator: str, without: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, "Debian 13")
    monkeypatch.setattr(ways, "kvm_works", lambda: False)
    found = ways._kvm(accelerator, without)
    assert found.state == state and (found.ok or found.mend)


def test_a_board_is_told_to_run_natively(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "a LoongArch board")
    store: Any = SimpleNamespace(platforms=SimpleNamespace(file=SimpleNamespace(shorts={"x": "y"}), get=Kernels.refuse))
    for found in (ways._rootless(store, []), ways._system(store)[0], ways._binfmt([])):
        assert found.state == "missing" and "--xc-backend=native" in found.mend, found


class Kernels:
    """A pool whose sandboxes are counted."""

    opened = 0

    def __init__(self, *_words: object) -> None: ...

    def sandbox(self, _platform: object) -> Any:
        Kernels.opened += 1
        extra = {"accelerator": "tcg", "without_kvm": verbatim("it stopped")}
        return SimpleNamespace(fingerprint=SimpleNamespace(baseline_ms=31.0, extra=extra))

    def close(self) -> None: ...

    @staticmethod
    def refuse(_name: str) -> Any:
        raise HostFault(verbatim("no emulator can be provisioned"))


def test_a_kernel_that_has_booted_is_booted_again_when_something_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, "Debian 13")
    monkeypatch.setattr(ways, "Pool", Kernels)
    monkeypatch.setattr(Kernels, "opened", 0)
    entries = [SimpleNamespace(kind="kernel", digest="a"), SimpleNamespace(kind="rootfs", digest="r")]
    store: Any = SimpleNamespace(cache=SimpleNamespace(root=tmp_path, entries=lambda: entries))
    platform: Any = SimpleNamespace(id="p")
    first = ways._boot(store, platform)
    assert first["accelerator"] == "tcg" and first["without_kvm"] == "it stopped"
    assert ways._boot(store, platform) == first and Kernels.opened == 1
    entries[0] = SimpleNamespace(kind="kernel", digest="b")
    ways._boot(store, platform)
    assert Kernels.opened == 2
    for broken in ("", "[]", "{}", '{"key": 1}', "\udcff"):
        (tmp_path / ways.REMEMBERED).write_text(broken, errors="surrogateescape")
        ways._boot(store, platform)
    assert Kernels.opened == 7
    on(monkeypatch, "Debian 12")
    ways._boot(store, platform)
    assert Kernels.opened == 8


def test_too_little_memory_is_told_for_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "container of control groups of version 1, 512 MiB")
    found = doctor._host()
    assert (found.state, str(found.mend)) == ("missing", "docker run --memory 2g ...")
    on(monkeypatch, "Debian 13")
    assert doctor._host().ok


def test_gnu_compilers_are_installed_as_the_system_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    store: Any = SimpleNamespace(platforms=SimpleNamespace(file=SimpleNamespace(architectures={})))
    mend: dict[str, Message] = {}
    for name in ("Debian 12", "openEuler 22.03"):
        on(monkeypatch, name)
        mend[name] = doctor._gnu(store).mend
    assert mend["Debian 12"] == "sudo apt-get install gcc-aarch64-linux-gnu"
    assert "zig does the same" in mend["openEuler 22.03"]
