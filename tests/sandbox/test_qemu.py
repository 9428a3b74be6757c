"""The rootless sandbox, for real: one of each architecture."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.backends import qemu
from pytest_xinchuang.sandbox.backends.qemu import QemuSandbox, QemuSpec
from pytest_xinchuang.sandbox.backends.qemu_spec import CHILDREN, LAYER
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Ended, Limits, Sandbox
from pytest_xinchuang.toolchain.builder import Builder, Target

pytestmark = pytest.mark.sandbox

UNAME = {"phytium": "aarch64", "zhaoxin": "x86_64", "loongson": "loongarch64"}


OLD = "old kernel"
"""Programs start by the tracer, and the layer is a copy, as on a kernel that gives us neither binfmt_misc nor overlay."""


@pytest.fixture(params=(*UNAME, f"phytium {OLD}", f"zhaoxin {OLD}"))
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def name(way: str) -> str:
    return way.split()[0]


@pytest.fixture(scope="module")
def old_pool(store: Store) -> Iterator[Pool]:
    with contextlib.closing(Pool(store, "qemu")) as opened:
        yield opened


@pytest.fixture
def sandbox(
    way: str, name: str, pool: Pool, old_pool: Pool, platforms: Platforms, monkeypatch: pytest.MonkeyPatch
) -> Sandbox:
    old = way.endswith(OLD)
    with monkeypatch.context() as patch:
        if old:
            patch.setenv(CHILDREN, "tracer")
            patch.setenv(LAYER, "copy")
        found = (old_pool if old else pool).sandbox(platforms.get(name))
    assert not old or (found.fingerprint.extra["children"], found.fingerprint.extra["layer"]) == ("tracer", "copy")
    found.reset()
    return found


@pytest.fixture
def spec(pool: Pool, platforms: Platforms) -> QemuSpec:
    platform = platforms.get("phytium")
    return QemuSpec(
        platform.id,
        Arch.ARM64,
        pool.store.rootfs_for(platform),
        pool.store.emulator("qemu-aarch64"),
        "cortex-a72",
        "4.19.90",
        10,
    )


@pytest.fixture
def own(spec: QemuSpec) -> Iterator[QemuSandbox]:
    with QemuSandbox(spec) as opened:
        yield opened


def test_a_host_without_a_launcher_says_so_and_has_another_way(spec: QemuSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu.host, "machine", lambda: "loongarch64")
    with pytest.raises(SandboxFault, match="on a loongarch64 host") as caught:
        QemuSandbox(spec)
    assert caught.value.namespaces and "--xc-backend=native" in caught.value.mend


def shell(sandbox: Sandbox, script: str, **more: object) -> str:
    outcome = sandbox.run(["sh", "-c", script], **more)  # type: ignore[arg-type]
    assert outcome.ok, (outcome.describe(), outcome.stderr)
    return outcome.stdout.decode()


def c_program(builder: Builder, platforms: Platforms, arch: Arch, source: str, tmp_path: Path, *flags: str) -> bytes:
    path = tmp_path / "p.c"
    path.write_text(source)
    target = Target(arch, platforms.file.architectures[arch], "2.36" if arch is Arch.LOONG64 else "2.28")
    return builder.c(target, [path], flags=flags)


def test_children_are_emulated_with_a_cleared_environment_too(sandbox: Sandbox, name: str) -> None:
    assert shell(sandbox, "env -i /bin/sh -c 'uname -m; :'").strip() == UNAME[name]


def test_it_says_what_it_is(sandbox: Sandbox, name: str) -> None:
    print_ = sandbox.fingerprint
    assert print_.observed["uname_m"] == UNAME[name]
    assert print_.fidelity is Fidelity.EMULATED_USER
    assert print_.stand_in
    assert print_.differs
    assert all(print_.isolation.values())
    assert print_.rootfs_digest.startswith("sha256:")
    assert "10." in print_.emulator


def test_stdin_stdout_stderr_and_status(sandbox: Sandbox) -> None:
    outcome = sandbox.run(["sh", "-c", "cat; echo err >&2; exit 3"], stdin=b"in\0\xff")
    assert (outcome.stdout, outcome.stderr, outcome.code, outcome.ended) == (b"in\0\xff", b"err\n", 3, Ended.EXITED)


def test_big_input_and_output(sandbox: Sandbox) -> None:
    data = os.urandom(3 << 20)
    assert sandbox.run(["cat"], stdin=data).stdout == data


def test_output_beyond_its_limit_is_cut_and_said_to_be(sandbox: Sandbox) -> None:
    outcome = sandbox.run(["head", "-c", "3000000", "/dev/zero"], limits=Limits(output_mb=1))
    assert (len(outcome.stdout), outcome.truncated, outcome.code) == (1 << 20, True, 0)


def test_a_signal_of_the_program_is_told_as_such(sandbox: Sandbox) -> None:
    outcome = sandbox.run(["sh", "-c", "kill -SEGV $$"])
    assert (outcome.ended, outcome.signal, outcome.stderr) == (Ended.SIGNALED, signal.SIGSEGV, b"")


@pytest.mark.parametrize(("argv", "code"), [(["none"], 127), (["/etc/passwd"], 126), (["/xc"], 126)])
def test_what_cannot_be_executed(sandbox: Sandbox, argv: list[str], code: int) -> None:
    assert sandbox.run(argv).code == code


def test_a_time_out_is_ours(sandbox: Sandbox) -> None:
    outcome = sandbox.run(["sh", "-c", "echo before; sleep 100 & wait"], limits=Limits(wall_s=0.05))
    assert (outcome.ended, outcome.is_fault, outcome.stdout) == (Ended.TIMED_OUT, True, b"before\n")
    assert sandbox.run(["true"]).ok


def test_what_is_left_behind_is_counted_and_killed(sandbox: Sandbox) -> None:
    outcome = sandbox.run(["sh", "-c", "(sleep 100 >/dev/null 2>&1 &) ; sleep 0.3"])
    assert outcome.leftovers == 1
    assert shell(sandbox, "ls /proc | grep -c '^[0-9]'").strip() in ("4", "5")  # ourselves: pid 1, sh, ls, grep


def test_memory_over_its_limit_is_told(sandbox: Sandbox) -> None:
    outcome = sandbox.run(
        ["sh", "-c", "head -c 400000000 /dev/zero | tail -c 400000000 | sleep 20"], limits=Limits(memory_mb=150)
    )
    assert outcome.ended is Ended.OVER_LIMIT
    assert "memory" in outcome.cause


def test_a_fork_bomb_is_stopped(sandbox: Sandbox) -> None:
    outcome = sandbox.run(["sh", "-c", "f() { f | f & }; f; sleep 30"], limits=Limits(processes=30, wall_s=2))
    assert outcome.is_fault or not outcome.ok or outcome.leftovers
    assert sandbox.run(["true"]).ok


def test_a_full_disk_is_only_its_own(sandbox: Sandbox) -> None:
    outcome = sandbox.run(["sh", "-c", "for i in 1 2 3 4; do head -c 200000000 /dev/zero > /xc/f$i; done"])
    assert b"No space left" in outcome.stderr
    sandbox.reset()
    assert sandbox.run(["sh", "-c", "echo x > /xc/f"]).ok


def test_there_is_no_network(sandbox: Sandbox) -> None:
    assert "lo" in shell(sandbox, "cat /proc/net/dev")
    assert len(shell(sandbox, "cat /proc/net/dev").splitlines()) == 3
    assert shell(sandbox, "cat /proc/net/route | wc -l").strip() in ("0", "1")


def test_it_runs_as_nobody_in_particular(sandbox: Sandbox) -> None:
    assert shell(sandbox, "id -u; grep -E 'CapEff|NoNewPrivs' /proc/self/status | tr -d '\\t'") == (
        "1000\nCapEff:0000000000000000\nNoNewPrivs:1\n"
    )


def test_no_other_namespace_can_be_made(sandbox: Sandbox) -> None:
    assert shell(sandbox, "cat /proc/sys/user/max_user_namespaces").strip() == "0"


def test_the_host_is_not_there(sandbox: Sandbox) -> None:
    outcome = sandbox.run(
        ["sh", "-c", "ls /old /lower /upper /helpers /proc/1/root/ 2>&1; cat /proc/1/environ; ls /.xc"]
    )
    assert b"passwd" not in outcome.stdout
    assert outcome.stdout.count(b"ermission denied") + outcome.stderr.count(b"ermission denied") >= 2


def test_writes_are_private_seen_and_undone(sandbox: Sandbox, pool: Pool, platforms: Platforms, name: str) -> None:
    shell(
        sandbox,
        "echo x > /etc/new; echo y >> /etc/passwd; rm -f /etc/group; mkdir -p /opt/d; echo z > /xc/mine; : > /tmp/t",
    )
    changed = sandbox.changes()
    assert changed is not None
    assert {"/etc/group", "/etc/new", "/etc/passwd", "/tmp/t"} <= set(changed)
    assert any(path.startswith("/opt") for path in changed)
    assert not any(path.startswith("/xc") for path in changed)
    tree = pool.store.rootfs_for(platforms.get(name)).path
    assert not (tree / "etc/new").exists()
    assert (tree / "etc/group").exists()
    sandbox.reset()
    assert sandbox.changes() == ()
    assert shell(sandbox, "cat /etc/passwd /etc/group | grep -c y$; ls /xc; test -e /etc/new || echo gone").endswith(
        "gone\n"
    )


def test_files_in_and_out(sandbox: Sandbox) -> None:
    data = os.urandom(200_000)
    sandbox.put("/xc/a/b/file", data)
    assert sandbox.get("/xc/a/b/file") == data
    with pytest.raises(FileNotFoundError):
        sandbox.get("/xc/none")
    with pytest.raises(OSError, match="Invalid"):
        sandbox.get("/xc")


def test_a_link_does_not_lead_put_or_get_outside(sandbox: Sandbox) -> None:
    shell(sandbox, "ln -s /etc/shadow-of-host /xc/out; ln -s / /xc/root")
    sandbox.put("/xc/out", b"x")
    assert not Path("/etc/shadow-of-host").exists()
    assert b"xc:x:1000" in sandbox.get("/xc/root/etc/passwd")


def test_a_command_can_be_kept_alive(sandbox: Sandbox) -> None:
    process = sandbox.start(["cat"])
    for n in range(20):
        process.stdin.write(b"line %d\n" % n)
        assert process.stdout.readline() == b"line %d\n" % n
    assert sandbox.run(["echo", "beside"]).stdout == b"beside\n"
    process.stdin.write(b"still\n")
    assert process.stdout.readline() == b"still\n"
    process.stdin.close()
    outcome = process.wait()
    assert outcome is not None
    assert outcome.ok


def test_a_kept_command_can_be_killed(sandbox: Sandbox) -> None:
    process = sandbox.start(["sleep", "100"])
    assert process.wait(0.1) is None
    assert not process.kill().ok


def test_threads_can_share_a_sandbox(sandbox: Sandbox) -> None:
    seen: list[bytes] = []

    def work(number: int) -> None:
        seen.append(sandbox.run(["echo", str(number)]).stdout)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [b"%d\n" % n for n in range(8)]


def test_a_program_for_the_host_is_refused(own: QemuSandbox, platforms: Platforms, pool: Pool, tmp_path: Path) -> None:
    """Else the kernel would run it natively: a false pass for a helper of the wrong architecture."""
    builder = Builder(pool.store.cache)
    native = c_program(
        builder, platforms, Arch.AMD64, '#include <unistd.h>\nint main(void){write(1,"native",6);return 0;}', tmp_path
    )
    own.put("/xc/helper", native, executable=True)
    outcome = own.run(["sh", "-c", "/xc/helper; echo $?"])
    assert outcome.stdout == b"126\n"
    assert b"refused" in outcome.stderr


def test_a_child_cannot_choose_another_cpu(own: QemuSandbox, platforms: Platforms, pool: Pool, tmp_path: Path) -> None:
    """QEMU_CPU in the environment loses against the launcher's command line."""
    source = '#include <sys/auxv.h>\n#include <stdio.h>\nint main(void){printf("%d\\n",(getauxval(AT_HWCAP)>>8)&1);return 0;}'
    own.put("/xc/p", c_program(Builder(pool.store.cache), platforms, Arch.ARM64, source, tmp_path), executable=True)
    assert own.run(["sh", "-c", "QEMU_CPU=max /xc/p"], env={"QEMU_CPU": "max"}).stdout == b"0\n"  # HWCAP_ATOMICS


def test_a_model_that_qemu_does_not_know_is_a_fault_of_ours(spec: QemuSpec) -> None:
    with pytest.raises(SandboxFault, match="emulator-fault: qemu-aarch64: unable to find CPU model"):
        QemuSandbox(replace(spec, cpu_model="z80"))


def test_a_property_that_a_model_has_not_is_a_fault_of_ours(spec: QemuSpec) -> None:
    with pytest.raises(SandboxFault, match="emulator-fault: qemu-aarch64: can't apply global"):
        QemuSandbox(replace(spec, cpu_model="cortex-a72,crypto=off"))


def test_a_root_filesystem_that_is_not_there_is_a_fault_of_ours(spec: QemuSpec, tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(SandboxFault, match=r"could not prepare .*none: No such file"):
        QemuSandbox(replace(spec, rootfs=replace(spec.rootfs, path=tmp_path / "none")))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_an_empty_root_filesystem_is_a_fault_of_ours(spec: QemuSpec, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(SandboxFault):
        QemuSandbox(replace(spec, rootfs=replace(spec.rootfs, path=tmp_path)))


def test_a_killed_emulator_is_no_failure_of_the_program(own: QemuSandbox) -> None:
    process = own.start(["sleep", "100"])
    time.sleep(0.2)
    own.run(["sh", "-c", "kill -KILL -1"])
    outcome = process.wait(10)
    assert outcome is not None
    assert outcome.ended is Ended.HOST_FAULT


def test_a_killed_supervisor_is_a_fault_and_leaves_nothing(spec: QemuSpec) -> None:
    sandbox = QemuSandbox(spec)
    sandbox.start(["sleep", "1000"])
    children = _descendants_once_there(sandbox._supervisor.pid, 2)
    sandbox._supervisor.kill()
    time.sleep(0.5)
    with pytest.raises(SandboxFault, match="gone"):
        sandbox.run(["true"])
    assert not sandbox.alive()
    sandbox.close()
    _gone(children)


def test_an_owner_that_dies_leaves_nothing(spec: QemuSpec) -> None:
    code = (
        "import sys, time\nfrom pytest_xinchuang.sandbox.backends.qemu import *\nfrom pathlib import Path\n"
        "from pytest_xinchuang.core.platform import Arch\nfrom pytest_xinchuang.provision.refs import EmulatorRef, RootfsRef\n"
        f"s = QemuSandbox(QemuSpec('x', Arch.ARM64, RootfsRef('x', Path({str(spec.rootfs.path)!r}), 'd', '2.31', True, ()), "
        f"EmulatorRef(Path({str(spec.emulator.path if spec.emulator else '')!r}), 'd', 'v'), 'cortex-a72', '4.19.0'))\n"
        "s.start(['sleep', '1000'])\nprint(s._supervisor.pid, flush=True)\ntime.sleep(1000)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    supervisor = int(owner.stdout.readline())
    children = [supervisor, *_descendants_once_there(supervisor, 2)]
    owner.kill()
    owner.wait()
    owner.stdout.close()
    _gone(children)


def _mounts() -> list[str]:
    """The mounts of this host, without those of containers: other tests start and end them beside this one."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in lines if "/docker" not in line]


def test_closing_leaves_nothing(spec: QemuSpec) -> None:
    fds = len(list(Path("/proc/self/fd").iterdir()))
    mounts = _mounts()
    with QemuSandbox(spec) as sandbox:
        process = sandbox.start(["sleep", "1000"])
        children = [sandbox._supervisor.pid, *_descendants_once_there(sandbox._supervisor.pid, 2)]
        process.kill()
    _gone(children)
    assert len(list(Path("/proc/self/fd").iterdir())) == fds
    assert _mounts() == mounts
    with pytest.raises(SandboxFault, match="closed"):
        sandbox.run(["true"])


def _descendants(pid: int) -> list[int]:
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *_descendants(int(child))]
    return found


def _descendants_once_there(pid: int, count: int) -> list[int]:
    deadline = time.monotonic() + 60
    while len(found := _descendants(pid)) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def _gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 60

    def lives(pid: int) -> bool:
        try:
            return " Z " not in Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return False

    while alive := [p for p in pids if lives(p)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)


def _as_ordinary_user(spec: QemuSpec, python: str, script: Path, results: Any) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(ORDINARY, ORDINARY, ORDINARY)
        os.setresuid(ORDINARY, ORDINARY, ORDINARY)
    sys.executable = python
    qemu.__file__ = str(script)
    try:
        with QemuSandbox(spec) as sandbox:
            said = sandbox.run(["sh", "-c", "env -i uname -m; id -u; grep CapEff /proc/self/status; echo x > /etc/new"])
            sandbox.put("/xc/f", b"content")
            results.put((sandbox.fingerprint.degraded, said.stdout, sandbox.changes(), sandbox.get("/xc/f")))
    except Exception as error:
        results.put(repr(error))


ORDINARY = 54321


def test_an_ordinary_user_gets_the_whole_sandbox(spec: QemuSpec) -> None:
    """Root's runs take another way through the namespaces: this one is tried as somebody else, over files of theirs."""
    assert spec.emulator is not None
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        shutil.copytree(spec.rootfs.path, place / "tree", symlinks=True)
        shutil.copy(spec.emulator.path, place / "qemu-aarch64")
        for script in ("supervisor.py", "tracer.py"):
            shutil.copy(Path(qemu.__file__).with_name(script), place)
        shutil.copytree(Path(qemu.__file__).with_name("inside"), place / "inside")
        if os.geteuid() == 0:
            for directory, names, files in os.walk(place):
                for entry in (directory, *(f"{directory}/{n}" for n in names + files)):
                    os.chown(entry, ORDINARY, ORDINARY, follow_symlinks=False)
        own = replace(
            spec,
            rootfs=replace(spec.rootfs, path=place / "tree"),
            emulator=replace(spec.emulator, path=place / "qemu-aarch64"),
        )
        python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
        context = multiprocessing.get_context("fork")
        results = context.Queue()
        process = context.Process(target=_as_ordinary_user, args=(own, python, place / "qemu.py", results))
        process.start()
        answer = results.get(timeout=60)
        process.join()
        process.close()
    assert answer == (
        "",
        b"aarch64\n1000\nCapEff:\t0000000000000000\n",
        ("/etc/new",),
        b"content",
    )


def test_it_is_the_platforms_system_and_cpu(sandbox: Sandbox, platforms: Platforms) -> None:
    platform = platforms.get(sandbox.fingerprint.platform)
    assert sandbox.get("/etc/os-release").decode() == platform.system.os_release.value
    cpuinfo = sandbox.run(["cat", "/proc/cpuinfo"]).stdout.decode()
    assert platform.cpu.identity.value is not None
    assert all(re.search(pattern, cpuinfo, re.M) for pattern in platform.cpu.identity.value)
    assert sandbox.fingerprint.isolation["identity"]


def test_changing_the_identity_is_seen_and_undone(sandbox: Sandbox) -> None:
    assert sandbox.changes() == ()
    shell(sandbox, "echo 'ID=debian' > /etc/os-release")
    assert "/etc/os-release" in (sandbox.changes() or ())
    sandbox.reset()
    assert sandbox.changes() == ()
    assert b"ID=debian" not in sandbox.get("/etc/os-release")


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("mkdir /etc/ssl/gone; rmdir /etc/ssl/gone", ("/etc/ssl",)),
        ("ln -s /etc l; echo > l/gone; rm l/gone l", ("/etc",)),
        ("cd /etc; cd /xc; echo > /proc/self/root/var/lib/gone; rm /var/lib/gone", ("/var/lib",)),
        ("echo > /gone; rm /gone", ("/",)),
        ("echo > /etc/left; chmod 600 /etc/left", ("/etc/left",)),
        ("chmod 600 /etc/passwd; chmod 644 /etc/passwd", ("/etc/passwd",)),
        (": >> /etc/passwd", ("/etc/passwd",)),
        ("rm -r /etc/ssl; mkdir /etc/ssl", ("/etc/ssl",)),
        ("rm -r /etc/ssl", ("/etc/ssl",)),
        ("rm /etc/group; cp /etc/passwd /etc/group", ("/etc/group",)),
        ("ln /etc/passwd /xc/p", ("/etc/passwd",)),
        ("touch -d @1 /etc/passwd; chmod 700 /etc/ssl", ("/etc/passwd", "/etc/ssl")),
        ("chmod 700 /etc/ssl; chmod 755 /etc/ssl; cat /etc/passwd; ls -lR /etc", ()),
        ("mkdir -p /opt/a/b; : > /opt/a/b/f; chmod 0 /opt/a/b", ("/opt", "/opt/a", "/opt/a/b", "/opt/a/b/f")),
        ("mkdir d; echo > d/f; rm -r d; echo > /tmp/gone; rm /tmp/gone; mkdir -p /etc/ssl; ls /etc /var", ()),
    ],
)
def test_what_was_made_and_removed_again_shows_in_its_directory(
    sandbox: Sandbox, script: str, found: tuple[str, ...]
) -> None:
    """By whatever name it was reached: the layer tells, and no system call has to be understood."""
    sandbox.reset()
    shell(sandbox, f"set -e; {script}")
    assert sandbox.changes() == found


MAPS = """
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int count, char **words) {
    int file = open("/etc/passwd", O_RDWR);
    volatile char *text = mmap(0, 100, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (text == MAP_FAILED) return 1;
    char first = text[0];
    if (count > 1) text[0] = first + 1;
    return 0;
}
"""


def test_what_a_command_puts_in_the_place_of_directories_leads_reset_nowhere(
    sandbox: Sandbox, name: str, pool: Pool, platforms: Platforms
) -> None:
    """The supervisor's own root has the provisioned root filesystem at /lower."""
    tree = pool.store.rootfs_for(platforms.get(name)).path
    before = sorted((tree / "etc").iterdir())
    shell(
        sandbox,
        "mkdir /xc/d; cd /; mv /xc /opt/xc; ln -s /lower/etc /xc; mv /etc /etc2; ln -s /lower/etc /etc; chmod 0 /run /tmp",
    )
    sandbox.reset()
    assert sandbox.changes() == ()
    assert sorted((tree / "etc").iterdir()) == before
    shell(sandbox, "test -d /xc && test ! -L /xc && : > /xc/f && : > /tmp/f && : > /run/f && test ! -L /etc")
    shell(sandbox, "rm -r /xc; rmdir /run || :", cwd="/")
    sandbox.reset()
    shell(sandbox, ": > /xc/f; : > /run/f")


MARKS = """
#include <sys/xattr.h>
int main(int count, char **words) { return setxattr(words[1], "user.mark", "1", 1, 0) != 0; }
"""


def test_what_is_marked_is_seen(sandbox: Sandbox, name: str, pool: Pool, platforms: Platforms, tmp_path: Path) -> None:
    program = c_program(Builder(pool.store.cache), platforms, platforms.get(name).arch, MARKS, tmp_path)
    for path in ("/etc", "/etc/passwd"):
        sandbox.put("/xc/p", program, executable=True)
        done = sandbox.run(["/xc/p", path])
        assert done.ok or not sandbox.fingerprint.extra["user_attributes"]
        assert sandbox.changes() == ((path,) if done.ok else ())
        sandbox.reset()
        assert sandbox.changes() == ()


def test_what_is_written_by_way_of_memory_is_seen(
    sandbox: Sandbox, name: str, pool: Pool, platforms: Platforms, tmp_path: Path
) -> None:
    """It changes no times on a file system in memory."""
    program = c_program(Builder(pool.store.cache), platforms, platforms.get(name).arch, MAPS, tmp_path)
    sandbox.put("/xc/p", program, executable=True)
    before = sandbox.get("/etc/passwd")
    for argv in (["/xc/p", "x"], ["/xc/p"]):
        assert sandbox.run(argv).ok
        assert sandbox.changes() == ("/etc/passwd",)
        sandbox.reset()
        sandbox.put("/xc/p", program, executable=True)
        assert sandbox.get("/etc/passwd") == before
        assert sandbox.changes() == ()


def test_a_system_call_that_the_kernel_lacks_answers_enosys(pool: Pool, platforms: Platforms, tmp_path: Path) -> None:
    """pidfd_open (434) came with 5.3: not there on a 4.19, there on a 6.6."""
    from pytest_xinchuang.toolchain.builder import Builder, Target

    source = tmp_path / "u.c"
    source.write_text(
        "#include <errno.h>\n#include <stdio.h>\n#include <unistd.h>\n"
        'int main(void) { long r = syscall(434, getpid(), 0); printf("%d\\n", r < 0 ? errno : 0); return 0; }\n'
    )
    answers = {}
    for name, floor in (("kunpeng", True), ("kunpeng", False), ("kunpeng920-kylin_v11", True)):
        platform = platforms.get(name)
        program = Builder(pool.store.cache).c(Target(platform.arch, platform.architecture, "2.28"), [source])
        found = pool.sandbox(platform, floor=floor)
        found.reset()
        found.put("/xc/u", program, executable=True)
        answers[name, floor] = found.run(["/xc/u"]).stdout
    assert answers == {("kunpeng", True): b"38\n", ("kunpeng", False): b"0\n", ("kunpeng920-kylin_v11", True): b"0\n"}


def test_what_cannot_be_taken_away_is_answered(pool: Pool, platforms: Platforms, tmp_path: Path) -> None:
    """Linux 4.4 has neither copy_file_range (4.5) nor statx (4.11); qemu-user answers the latter whatever the host has."""
    from pytest_xinchuang.toolchain.builder import Builder, Target

    source = tmp_path / "u.c"
    source.write_text(
        "#include <errno.h>\n#include <stdio.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n"
        "static int error(long r) { return r < 0 ? errno : 0; }\n"
        "int main(void) {\n"
        "    char room[512];\n"
        "    int copy = error(syscall(SYS_copy_file_range, -1, 0, -1, 0, 1, 0));\n"
        '    printf("%d %d\\n", copy, error(syscall(SYS_statx, 0, "/", 0, 0, room)));\n'
        "    return 0;\n"
        "}\n"
    )
    answers = {}
    for name in ("phytium_d2000-kylin_desktop_v10", "phytium", "hygon_dhyana-kylin_desktop_v10"):
        platform = platforms.get(name)
        program = Builder(pool.store.cache).c(Target(platform.arch, platform.architecture, "2.28"), [source])
        found = pool.sandbox(platform)
        found.reset()
        found.put("/xc/u", program, executable=True)
        answers[name] = found.run(["/xc/u"]).stdout
    assert list(answers.values()) == [b"38 0\n", b"9 0\n", b"38 0\n"]


def test_another_vendor_can_be_asked_for(pool: Pool, platforms: Platforms) -> None:
    for vendor in ("GenuineIntel", "  Shanghai  "):
        assert pool.sandbox(platforms.get("zhaoxin"), vendor=vendor).run(["true"]).ok


def test_loopback_is_down_unless_it_is_asked_for(pool: Pool, platforms: Platforms) -> None:
    platform = platforms.get("phytium")
    script = "exec 3<>/dev/tcp/127.0.0.1/9"
    assert b"unreachable" in pool.sandbox(platform).run(["bash", "-c", script]).stderr
    assert b"refused" in pool.sandbox(platform, loopback=True).run(["bash", "-c", script]).stderr
