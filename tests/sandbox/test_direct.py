"""``qemu -L`` and native runs: less isolation, and the fingerprint says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_xinchuang.building.built import Built
from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.core.subject import Unit
from pytest_xinchuang.core.syscall_names import names_of
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.mru.behaviours import Ran
from pytest_xinchuang.sandbox.agent_client import AGENT_SOURCE
from pytest_xinchuang.sandbox.backends import qemu
from pytest_xinchuang.sandbox.backends.direct import (
    DirectSandbox,
    NativeTracer,
    differences,
    open_emulated,
    open_native,
)
from pytest_xinchuang.sandbox.backends.qemu import QemuSpec
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Ended, Limits, logs_apart
from pytest_xinchuang.sandbox.tracing import Trace
from pytest_xinchuang.toolchain.builder import Builder, Target
from pytest_xinchuang.tools.process import UNSCALED


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


NATIVE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
static void handle(int number) { (void)number; }
static void *work(void *text) { return text; }
int main(void) {
    char path[64];
    pthread_t thread;
    if (fork() == 0)
        _exit(0);
    wait(NULL);
    pthread_create(&thread, NULL, work, NULL);
    pthread_join(thread, NULL);
    signal(SIGUSR1, handle);
    raise(SIGUSR1);
    for (int fd = 3; fd < 64; fd++) {
        if (write(fd, "7 439 0 0 0 0 0 0 0 0\\n", 22) > 0)
            puts("written");
        snprintf(path, sizeof path, "/proc/%d/fd/%d", getppid(), fd);
        if (getuid() && open(path, O_WRONLY) >= 0)
            puts("opened");
    }
    return 0;
}
"""


@pytest.mark.sandbox
def test_natively_the_agent_takes_down_the_system_calls(pool: Pool, platforms: Platforms, tmp_path: Path) -> None:
    architecture = platforms.file.architectures[Arch.AMD64]
    builder = Builder(pool.store.cache)
    agent = tmp_path / "agent"
    agent.write_bytes(builder.go(Target(Arch.AMD64, architecture, architecture.libc_base), AGENT_SOURCE))
    agent.chmod(0o755)
    (tmp_path / "u.c").write_text(NATIVE)
    program = builder.c(Target(Arch.AMD64, architecture, "2.28"), [tmp_path / "u.c"], libraries=("pthread",))
    fingerprint = pool.reference().fingerprint
    tracer = NativeTracer(agent, names_of("amd64"))
    with DirectSandbox(fingerprint, [], Path("/"), 1, UNSCALED, lambda: tracer) as native:
        native.put("/xc/u", program, executable=True)
        outcome = native.run(["/xc/u"], trace=True)
        assert logs_apart(native) and outcome.ok and outcome.stdout == b"" and outcome.log is not None
        unit = Unit(name="u", kind="c", sources=("u.c",))
        ran = Ran(unit, Built(unit, ("/xc/u",)), outcome.log, native)
        assert all(ran.shows(behaviour) for behaviour in ("children", "threads", "signals"))
        assert not ran.shows("dlopen") and Trace.of(outcome).is_whole
        assert native.run(["sh", "-c", "exit 3"], trace=True).code == 3
        assert native.run(["/none"], trace=True).code == 127
        assert native.run(["sleep", "100"], trace=True, limits=Limits(wall_s=0.2)).ended is Ended.TIMED_OUT
    with DirectSandbox(fingerprint, [], Path("/"), 1, UNSCALED) as native:
        assert not logs_apart(native) and native.run(["true"], trace=True).log is None
