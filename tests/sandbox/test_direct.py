"""``qemu -L`` and native runs: less isolation, and the fingerprint says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.sandbox.backends import qemu
from pytest_xinchuang.sandbox.backends.direct import DirectSandbox, differences, open_emulated, open_native
from pytest_xinchuang.sandbox.backends.qemu import QemuSpec
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Ended, Limits


@pytest.fixture(params=["phytium", "zhaoxin", "loongson"])
def direct(request: pytest.FixtureRequest, pool: Pool, platforms: Platforms) -> Iterator[DirectSandbox]:
    platform = platforms.get(request.param)
    emulator = pool.store.emulator(platform.architecture.qemu)
    model = platform.cpu.emulation.strict.value or ""
    spec = QemuSpec(platform.id, platform.arch, pool.store.rootfs_for(platform), emulator, model, "4.19.90", 10)
    with open_emulated(spec, verbatim("the host refuses namespaces")) as sandbox:
        yield sandbox


@pytest.mark.sandbox
def test_single_programs_run_and_the_fingerprint_says_what_is_missing(
    direct: DirectSandbox, platforms: Platforms
) -> None:
    assert direct.fingerprint.observed["uname_m"] == platforms.get(direct.fingerprint.platform).architecture.uname
    assert not any(direct.fingerprint.isolation.values())
    assert "the host refuses namespaces" in direct.fingerprint.degraded
    assert direct.changes() is None


@pytest.mark.sandbox
def test_it_keeps_the_protocol(direct: DirectSandbox) -> None:
    direct.put("/xc/d/f", b"content")
    assert direct.get("/xc/d/f") == b"content"
    assert direct.run(["cat", "f"], cwd="/xc/d").stdout == b"content"
    assert direct.run(["sh", "-c", "exit 3"]).code == 3
    assert direct.run(["sh", "-c", "kill -SEGV $$"]).signal == 11
    assert direct.run(["/none"]).code in (1, 127)
    assert direct.run(["sleep", "100"], limits=Limits(wall_s=0.05)).ended is Ended.TIMED_OUT
    process = direct.start(["cat"])
    process.stdin.write(b"x\n")
    assert process.stdout.readline() == b"x\n"
    process.stdin.close()
    outcome = process.wait(10)
    assert outcome is not None
    assert outcome.ok
    direct.reset()
    with pytest.raises(FileNotFoundError):
        direct.get("/xc/d/f")
    with pytest.raises(PermissionError, match="no private layer"):
        direct.put("/etc/x", b"")


@pytest.mark.sandbox
def test_the_pool_falls_back_when_namespaces_are_refused(
    pool: Pool, platforms: Platforms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: object, spec: object) -> None:
        raise SandboxFault(
            verbatim("the sandbox could not create a user namespace: Operation not permitted"), namespaces=True
        )

    monkeypatch.setattr(qemu.QemuSandbox, "__init__", refused)
    fallback = Pool(pool.store, "qemu")
    try:
        sandbox = fallback.sandbox(platforms.get("phytium"))
        assert sandbox.fingerprint.backend == "qemu -L"
        assert "create a user namespace" in sandbox.fingerprint.degraded
    finally:
        fallback.close()


def test_a_host_that_is_not_the_platform_is_refused(platforms: Platforms) -> None:
    with pytest.raises(SandboxFault, match="this host is not loongson_3a5000-kylin_v11: its machine is"):
        open_native(platforms.get("loongson"))


def test_how_a_platform_is_recognised(platforms: Platforms) -> None:
    platform = platforms.get("kunpeng920-openeuler_22_03")
    cpuinfo = "CPU implementer\t: 0x48\nCPU part\t: 0xd01\n"
    release = 'NAME="openEuler"\nVERSION_ID="22.03"\nID="openEuler"\n'
    assert differences(platform, "aarch64", cpuinfo, release) == []
    assert len(differences(platform, "aarch64", cpuinfo.replace("0x48", "0x70"), release)) == 1
    assert len(differences(platform, "aarch64", cpuinfo, release.replace("22.03", "24.03"))) == 1
    assert len(differences(platform, "x86_64", "", "")) == 5
    unknown = platforms.get("kunpeng920-openharmony_4_1")
    assert "does not know how to recognise" in differences(unknown, "aarch64", cpuinfo, "")[0]
