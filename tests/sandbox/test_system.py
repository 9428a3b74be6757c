"""Real kernels of the targets, booted: the protocol of every sandbox, and what only they can say."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import HostFault, SandboxFault
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.refs import KernelRef
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.backends import system
from pytest_xinchuang.sandbox.backends.system import SystemSandbox, open_system, open_system_reference
from pytest_xinchuang.sandbox.circumstances import Circumstances, CpuVariant
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Ended, Limits, Sandbox
from pytest_xinchuang.toolchain.builder import Builder, Target
from pytest_xinchuang.tools.process import DEVNULL, PIPE, Runner

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

PAGES = {"phytium": 4096, "loongson": 16384, "hygon": 4096}


@pytest.fixture(scope="module")
def machines(store: Store) -> Iterator[Pool]:
    opened = Pool(store, "system")
    yield opened
    opened.close()


@pytest.fixture
def own(platforms: Platforms, store: Store, tmp_path: Path) -> Store:
    """The store of a cache that nobody else writes to."""
    cache = Cache(tmp_path / "cache")
    for entry in ("system-emulator", "kernel", "rootfs"):
        (cache.root / "entries" / entry).mkdir(parents=True)
        for item in (store.cache.root / "entries" / entry).iterdir():
            (cache.root / "entries" / entry / item.name).symlink_to(item)
    return Store(platforms, cache)


@pytest.fixture(params=PAGES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sandbox(name: str, machines: Pool, platforms: Platforms) -> Sandbox:
    found = machines.sandbox(platforms.get(name))
    found.reset()
    return found


def test_it_says_what_it_is(name: str, sandbox: Sandbox, platforms: Platforms) -> None:
    said = sandbox.fingerprint
    assert said.backend == "system" and said.fidelity is Fidelity.EMULATED_SYSTEM and said.emulated and said.stand_in
    assert said.observed["page_size"] == str(PAGES[name])
    assert said.observed["uname_m"] == platforms.get(name).architecture.uname
    assert any("instead of the vendor's kernel" in text for text in said.differs)
    assert (
        said.isolation["kernel_floor"] and said.isolation["cpu_pinned"] and said.extra["accelerator"] in ("tcg", "kvm")
    )


@pytest.fixture(scope="module")
def reference(store: Store) -> Iterator[SystemSandbox]:
    with open_system_reference(Pool(store, "system"), Circumstances()) as opened:
        yield opened


def test_the_reference_is_no_native_machine(reference: SystemSandbox, platforms: Platforms) -> None:
    said = reference.fingerprint
    assert said.platform == "reference-amd64" and said.rootfs == platforms.file.reference
    assert said.backend == "system" and said.fidelity is Fidelity.EMULATED_SYSTEM and said.emulated
    assert said.observed["uname_m"] == "x86_64" and not said.degraded and said.differs == ()


def test_what_tells_the_system_is_put_until_the_next_reset(reference: SystemSandbox) -> None:
    places = ("/etc/os-release", "/usr/lib/os-release", "/proc/cpuinfo", "/etc/hosts")
    reference.reset()
    before = [reference.run(["cat", place]).stdout for place in places]
    for _turn in range(2):
        for place in places:
            reference.put(place, f"another {place}".encode())
            assert reference.run(["cat", place]).stdout == f"another {place}".encode()
            assert reference.run(["sh", "-c", f"echo forged > {place}"]).code
        assert reference.changes() == ()
        held = reference.start(["sh", "-c", "read line; cat"], cwd="/")  # what is still open does not keep it there
        reference.reset()
        held.kill()
        assert [reference.run(["cat", place]).stdout for place in places] == before
    for place in ("/bin/sh", "/etc/../bin/sh", "/etc", "/etc/none/file", "/proc/1/comm", "/.xc/file"):
        with pytest.raises(OSError, match="in the sandbox"):
            reference.put(place, b"")


def test_two_out_of_one_snapshot_have_nothing_of_a_run_in_common(
    name: str, machines: Pool, platforms: Platforms, sandbox: Sandbox
) -> None:
    """Also what the platform demands of each: the calls that it lacks, its identity, its network."""
    platform = platforms.get(name)
    script = "head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/boot_id; date +%s; ls -A /xc /tmp"
    said = []
    for wanted in (Circumstances(), Circumstances(loopback=True, floor=False)):
        with open_system(machines, platform, wanted) as other:
            assert other.fingerprint.extra["started"] == "restored" or other.fingerprint.extra["accelerator"] == "kvm"
            assert b"ID=" in other.run(["cat", "/etc/os-release"]).stdout
            assert other.run(["sleep", "0.01"]).ok and other.run(["cat", "/sys/class/net/lo/flags"]).ok
            said.append(other.run(["sh", "-c", script]).stdout.split())
            assert abs(int(said[-1][17]) - time.time()) < 60
            up = int(other.run(["cat", "/sys/class/net/lo/flags"]).stdout, 16) & 1
            assert up == wanted.loopback and other.fingerprint.isolation["kernel_floor"] is wanted.floor
    assert not {*said[0][:17]} >= {*said[1][:17]} and said[0][16] != said[1][16]


def test_every_processor_has_its_timer(sandbox: Sandbox) -> None:
    """One that is lost in a snapshot would let whatever sleeps there sleep for ever."""
    script = "for n in 1 2 3 4; do (sleep 0.05; echo $n) & done; wait"
    outcome = sandbox.run(["sh", "-c", script], limits=Limits(wall_s=5))
    assert sorted(outcome.stdout.split()) == [b"1", b"2", b"3", b"4"]


def test_a_snapshot_that_was_changed_is_made_anew(platforms: Platforms, own: Store) -> None:
    pool = Pool(own, "system")
    kept = own.cache.root / "snapshots"
    platform = platforms.get("hygon")
    open_system(pool, platform, Circumstances()).close()
    (one,) = kept.iterdir()
    record = (one / "record.json").read_text()
    for name in ("memory", "state"):
        place = one / name
        place.chmod(0o600)
        with place.open("r+b") as file:
            file.seek(0, os.SEEK_DATA)
            file.seek(file.tell() + 4096)
            file.write(b"forged")
        # Where the host is too busy for a snapshot the machine boots without one, and the next one makes it.
        for _attempt in range(3):
            with open_system(pool, platform, Circumstances()) as machine:
                assert machine.run(["true"]).ok
            if one.exists():
                break
        assert b"forged" not in (one / "state").read_bytes() and (one / "record.json").read_text() != record
        record = (one / "record.json").read_text()


def test_where_no_snapshot_can_be_used_the_machine_boots(
    platforms: Platforms, own: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise SandboxFault(verbatim("it does not come back"))

    monkeypatch.setattr(SystemSandbox, "_restore", refuse)
    with open_system(Pool(own, "system"), platforms.get("hygon"), Circumstances()) as machine:
        assert machine.fingerprint.extra["started"] == "booted" and machine.run(["true"]).ok
    assert not list((own.cache.root / "snapshots").iterdir())


@pytest.mark.parametrize("when", ["it boots for a snapshot", "it runs"])
def test_nothing_is_left_of_a_run_that_is_killed(when: str, own: Store, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pytest_xinchuang.core import resources\n"
        "from pytest_xinchuang.core.platform import Platforms\n"
        "from pytest_xinchuang.provision.cache import Cache\n"
        "from pytest_xinchuang.provision.store import Store\n"
        "from pytest_xinchuang.sandbox.pool import Pool\n"
        "platforms = Platforms([resources.platforms_file()])\n"
        f"pool = Pool(Store(platforms, Cache(Path({str(own.cache.root)!r}))), 'system')\n"
        "print('opens', flush=True)\n"
        "pool.sandbox(platforms.get('hygon'))\n"
        "print('opened', flush=True)\n"
        "sys.stdin.read()\n"
    )
    scratch = own.cache.root / "system"
    running = Runner().start([sys.executable, "-c", code], stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    assert running.stdin is not None and running.stdout is not None and running.stdout.readline() == b"opens\n"
    if when == "it runs":
        assert running.stdout.readline() == b"opened\n"
    while not (found := list(scratch.glob("**/system-*/console"))):
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGKILL)
    running.wait(10)
    running.stdin.close()
    running.stdout.close()
    for _turn in range(100):
        if not [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(found[0].parent).encode() in _read(p)]:
            break
        time.sleep(0.1)
    else:
        pytest.fail("its qemu runs on")
    with open_system(Pool(own, "system"), Platforms([resources.platforms_file()]).get("hygon"), Circumstances()) as one:
        assert one.run(["true"]).ok and len(list(scratch.glob("system-*"))) == 1
    assert not list(scratch.glob("system-*"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_disk_is_empty_at_first_and_the_machines_own(name: str, machines: Pool, platforms: Platforms) -> None:
    platform = platforms.get(name)
    if name == "loongson":  # its modules are in another package than its kernel, which is not taken yet
        with pytest.raises(SandboxFault, match="has no disk"):
            open_system(machines, platform, Circumstances(), disk_mb=16)
        return
    for _turn in range(2 if name == "hygon" else 1):
        with open_system(machines, platform, Circumstances(), disk_mb=16) as machine:
            assert machine.fingerprint.extra["disk"] == "whole" and machine.fingerprint.extra["disk_mb"] == 16
            assert machine.run(["cat", "/sys/block/nvme0n1/size"]).stdout == b"32768\n"
            script = "head -c 4 /dev/nvme0n1 | od -An -tx1; echo kept > /dev/nvme0n1; head -c 5 /dev/nvme0n1"
            assert machine.run(["sh", "-c", script]).stdout == b" 00 00 00 00\nkept\n"
            assert b"ext4" in machine.run(["cat", "/proc/filesystems"]).stdout


def test_security_modules_can_be_asked(sandbox: Sandbox) -> None:
    assert b"apparmor" in sandbox.run(["cat", "/sys/kernel/security/lsm"]).stdout
    assert sandbox.run(["ls", "/sys/kernel/security/apparmor/features"]).ok


def test_a_device_of_kvm_that_no_machine_survives_is_tried_once(
    platforms: Platforms, own: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[bool] = []
    start = SystemSandbox.__init__

    def counted(self: SystemSandbox, spec: system.SystemSpec) -> None:
        tried.append(spec.kvm)
        if spec.kvm:
            raise SandboxFault(verbatim("it died"))
        start(self, spec)

    monkeypatch.setattr(SystemSandbox, "__init__", counted)
    monkeypatch.setattr(system, "kvm_works", lambda: True)
    monkeypatch.setattr(system, "HOST_ARCH", Arch.AMD64)
    for _turn in range(2):
        with open_system(Pool(own, "system"), platforms.get("hygon"), Circumstances()) as machine:
            said = machine.fingerprint.extra
            assert said["accelerator"] == "tcg" and said["without_kvm"] == "it died"
    assert tried == [True, False, False]


CPUS = {
    # Each CPU model that platforms.yaml names, by a platform that has it: a kernel may boot on one and not on another.
    "a64fx": "kunpeng",
    "neoverse-n1": "phytium_d3000-kylin_v10_sp3",
    "neoverse-v1": "kunpeng920_v2-openeuler_24_03",
    "la464 without LASX": "loongson_2k3000-kylin_v11",
    "EPYC": "hygon_c86-uos_20",
    "YongFeng without AVX2": "zhaoxin",
    "YongFeng": "zhaoxin_kx7000-uos_20",
}


def test_every_cpu_model_is_booted_by_some_test(platforms: Platforms) -> None:
    cpus = {name: cpu.emulation.strict.value for name, cpu in platforms.file.cpus.items()}
    booted = {platforms.get(name).cpu.emulation.strict.value for name in (*PAGES, *CPUS.values())}
    assert {model for model in cpus.values() if model} == booted


@pytest.mark.parametrize("cpu", CPUS)
def test_a_kernel_boots_on_every_cpu_model(cpu: str, platforms: Platforms, store: Store) -> None:
    with open_system(Pool(store, "system"), platforms.get(CPUS[cpu]), Circumstances()) as machine:
        assert machine.run(["uname", "-m"]).ok and machine.fingerprint.isolation["cpu_pinned"]


def test_a_kernel_that_panics_early_is_not_waited_for(platforms: Platforms, store: Store) -> None:
    """An a64fx has no interrupt controller of the second version: the kernel stops before it has drivers, or can reboot."""
    found = platforms.get("kunpeng")
    assert found.architecture.system is not None
    machine = found.architecture.system.model_copy(update={"machine": "virt,gic-version=2"})
    other = found.model_copy(update={"architecture": found.architecture.model_copy(update={"system": machine})})
    with pytest.raises(SandboxFault, match=r"panicked.*Kernel panic - not syncing"):
        open_system(Pool(store, "system"), other, Circumstances())


def test_commands(sandbox: Sandbox) -> None:
    assert sandbox.run(["cat"], stdin=b"x" * 300_000).stdout == b"x" * 300_000
    outcome = sandbox.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (outcome.code, outcome.stdout, outcome.stderr) == (3, b"out\n", b"err\n")
    assert sandbox.run(["sh", "-c", "kill -SEGV $$"]).signal == signal.SIGSEGV
    assert sandbox.run(["/nowhere"]).code == 127
    assert sandbox.run(["sh", "-c", "sleep 60 & exit 0"]).leftovers == 1
    assert sandbox.run(["id", "-u"]).stdout == b"1000\n"


def test_a_command_that_takes_too_long_ends_nothing_else(sandbox: Sandbox) -> None:
    assert sandbox.run(["sleep", "60"], limits=Limits(wall_s=0.05)).ended is Ended.TIMED_OUT
    assert sandbox.run(["true"]).ok


def test_files_stay_where_commands_may_write(sandbox: Sandbox) -> None:
    sandbox.put("/xc/a/b", b"content", executable=True)
    assert sandbox.get("/xc/a/b") == b"content"
    assert sandbox.run(["sh", "-c", "echo x > /xc/a/c; echo y > /tmp/z; echo n > /usr/n; echo n > /n"]).code
    assert sandbox.changes() == ("/tmp/z",)
    with pytest.raises(OSError, match="in the sandbox"):
        sandbox.put("/usr/bin/true", b"")
    with pytest.raises(OSError, match="in the sandbox"):
        sandbox.get("/xc/nothing")
    sandbox.reset()
    assert sandbox.run(["ls", "/xc"]).stdout == b"" and sandbox.changes() == ()


def test_a_command_can_be_talked_to(sandbox: Sandbox) -> None:
    process = sandbox.start(["cat"])
    for word in (b"one\n", b"two\n"):
        process.stdin.write(word)
        process.stdin.flush()
        assert process.stdout.readline() == word
    process.stdin.close()
    outcome = process.wait(10)
    assert outcome is not None and outcome.code == 0


def test_system_calls_are_traced_in_children_too(sandbox: Sandbox) -> None:
    said = sandbox.run(["sh", "-c", "cat /nonexistent; :"], trace=True)
    assert said.log is not None and not said.log.lost
    assert any(
        call.name == "openat" and call.errno == 2 and '"/nonexistent"' in call.arguments for call in said.log.calls
    )
    assert len({call.thread for call in said.log.calls}) >= 2
    assert said.code == 0 and b"openat(" not in said.stderr


def test_the_tracer_is_out_of_the_commands_reach(sandbox: Sandbox) -> None:
    script = "kill -9 $PPID; echo forged > /proc/$PPID/fd/3; ls /proc/$PPID/fd; ls /proc/self/fd"
    said = sandbox.run(["sh", "-c", script], trace=True)
    assert said.log is not None and not said.log.lost and said.stdout.split() == [b"0", b"1", b"2", b"3"]
    assert said.stderr.count(b"ermi") >= 3, said.stderr


LEAVES = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/sem.h>
#include <sys/shm.h>
int main(void) {
    FILE *file = fopen("/dev/shm/left", "w");
    return file == NULL || shmget(0x77, 4096, IPC_CREAT | 0600) < 0 || semget(IPC_PRIVATE, 1, 0600) < 0 ||
           mq_open("/q", O_CREAT | O_RDWR, 0600, NULL) < 0;
}
"""


def test_what_is_left_in_memory_is_told_and_removed(
    sandbox: Sandbox, platforms: Platforms, tmp_path: Path, store: Store
) -> None:
    platform = platforms.get(sandbox.fingerprint.platform)
    (tmp_path / "leaves.c").write_text(LEAVES)
    target = Target(platform.arch, platform.architecture, "2.36" if platform.arch is Arch.LOONG64 else "2.28")
    program = Builder(store.cache).c(target, [tmp_path / "leaves.c"], libraries=("rt",))
    sandbox.put("/xc/leaves", program, executable=True)
    assert sandbox.run(["/xc/leaves"]).ok
    assert sandbox.changes() == (
        "/dev/mqueue/q",
        "/dev/shm/left",
        "/proc/sysvipc/sem#0x00000000",
        "/proc/sysvipc/shm#0x00000077",
    )
    sandbox.reset()
    assert sandbox.changes() == ()


def test_a_traced_command_ends_as_it_would(sandbox: Sandbox) -> None:
    assert sandbox.run(["sh", "-c", "kill -SEGV $$"], trace=True).signal == signal.SIGSEGV
    assert sandbox.run(["sh", "-c", "exit 7"], trace=True).code == 7
    assert sandbox.run(["/nowhere"], trace=True).code == 127


CALLS = """
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    long open2 = syscall(437, -1, 0, 0, 0), e1 = errno;   /* openat2, Linux 5.6 */
    long statx = syscall(SYS_statx, -1, 0, 0, 0, 0), e2 = errno;  /* Linux 4.11 */
    printf("%d %d\\n", open2 < 0 && e1 == ENOSYS, statx < 0 && e2 == ENOSYS);
    return 0;
}
"""


def test_calls_that_the_platform_lacks_are_not_there(
    machines: Pool, platforms: Platforms, tmp_path: Path, store: Store
) -> None:
    platform = platforms.get("phytium")  # Kylin V10 SP1: Linux 4.19
    (tmp_path / "calls.c").write_text(CALLS)
    program = Builder(store.cache).c(Target(platform.arch, platform.architecture, "2.28"), [tmp_path / "calls.c"])
    older = platforms.get("phytium_d2000-kylin_desktop_v10")  # Linux 4.4
    for where, floor, expected in ((platform, True, b"1 0\n"), (platform, False, b"0 0\n"), (older, True, b"1 1\n")):
        sandbox = machines.system(where, floor=floor)
        sandbox.put("/xc/calls", program, executable=True)
        assert sandbox.run(["/xc/calls"]).stdout == expected
        assert sandbox.fingerprint.isolation["kernel_floor"] is floor


def test_another_kernel_can_be_asked_for(machines: Pool, platforms: Platforms, store: Store) -> None:
    sandbox = machines.system(platforms.get("phytium"), store.kernel("debian-arm64-16k"))
    assert sandbox.fingerprint.observed["page_size"] == "16384"
    assert not sandbox.fingerprint.isolation["cpu_pinned"] and "16K granule" in sandbox.fingerprint.degraded


def test_a_cpu_that_a_kernel_cannot_have_is_a_fault(machines: Pool, platforms: Platforms, store: Store) -> None:
    wanted = Circumstances(CpuVariant.POOREST, kernel=store.kernel("debian-arm64-16k"))
    with pytest.raises(SandboxFault, match="neoverse-n1 alone"):
        open_system(machines, platforms.get("phytium"), wanted)


def test_another_vendors_name_can_be_had(machines: Pool, platforms: Platforms) -> None:
    with open_system(machines, platforms.get("hygon"), Circumstances(vendor="GenuineIntel")) as sandbox:
        assert b"GenuineIntel" in sandbox.run(["cat", "/proc/cpuinfo"]).stdout


def test_a_machine_that_is_killed_is_a_fault_and_is_started_again(machines: Pool, platforms: Platforms) -> None:
    platform = platforms.get("hygon")
    first = machines.sandbox(platform)
    assert isinstance(first, SystemSandbox) and first._process is not None
    running = first.start(["sleep", "60"])
    os.kill(first._process.pid, signal.SIGKILL)
    outcome = running.wait(10)
    assert outcome is not None and outcome.ended is Ended.HOST_FAULT and "stopped" in outcome.cause
    with pytest.raises(SandboxFault):
        first.run(["true"])
    assert machines.sandbox(platform).run(["true"]).ok


def broken(kernel: KernelRef, image: Path) -> KernelRef:
    return KernelRef("broken", image, "sha256:0", "", None, stand_in=False)


def test_a_kernel_that_does_not_boot_is_a_fault(
    platforms: Platforms, own: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "BOOT_TIMEOUT_S", 4.0)
    platform = platforms.get("phytium")
    image = tmp_path / "vmlinuz"
    image.write_bytes(own.kernel_for(platform).image.read_bytes()[:300_000])  # cut off
    with pytest.raises(SandboxFault, match=r"did not answer|stopped"):
        Pool(own, "system").system(platform, broken(own.kernel_for(platform), image))
    assert not list((own.cache.root / "system").glob("system-*"))


def test_a_panic_is_a_fault_that_tells_the_console(
    machines: Pool, platforms: Platforms, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An agent that is no program of the architecture: the kernel has nothing to run.
    platform = platforms.get("phytium")
    monkeypatch.setattr(system, "agent", lambda *_, **__: b"\x7fELF" + b"\0" * 100)
    with pytest.raises(SandboxFault, match="Kernel panic"):
        open_system(machines, platform, Circumstances())


def test_a_disk_that_is_full_is_a_fault(machines: Pool, platforms: Platforms, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(system, "write_files", full)
    monkeypatch.setattr(system, "_snapshots", lambda *_: None)  # one that is restored writes none
    with pytest.raises(SandboxFault, match="No space left on device") as caught:
        open_system(machines, platforms.get("phytium"), Circumstances())
    assert "XC_CACHE" in caught.value.mend


def test_an_imported_kernel_is_the_platforms_own(
    platforms: Platforms, store: Store, own: Store, tmp_path: Path
) -> None:
    platform = platforms.get("hygon")
    image = store.kernel_for(platform).image
    assert own.import_kernel(platform, image).facts["release"].startswith("6.")
    kernel = own.kernel_for(platform)
    assert kernel.name == f"vendor-{platform.id}" and not kernel.stand_in
    pool = Pool(own, "system")
    try:
        said = pool.sandbox(platform).fingerprint
        assert not any("vendor's kernel" in text for text in said.differs)
    finally:
        pool.close()
    kernel.image.write_bytes(b"MZ another")
    with pytest.raises(HostFault, match="not what was imported"):
        Store(platforms, Cache(tmp_path / "cache")).kernel_for(platform)


def test_nothing_is_left_behind(platforms: Platforms, store: Store) -> None:
    pool = Pool(store, "system")
    sandbox = pool.sandbox(platforms.get("hygon"))
    assert isinstance(sandbox, SystemSandbox) and sandbox._process is not None
    pid, place = sandbox._process.pid, sandbox._place
    pool.close()
    assert not place.exists()
    for _ in range(50):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()


def test_every_architecture_has_a_kernel_with_a_page_of_its_own(platforms: Platforms) -> None:
    assert {(k.arch, k.page_size) for k in platforms.file.kernels.values()} == {
        (Arch.ARM64, 4096),
        (Arch.ARM64, 16384),
        (Arch.LOONG64, 16384),
        (Arch.AMD64, 4096),
    }
