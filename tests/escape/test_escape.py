"""Attempts to get out of each backend's sandbox, as root and as an ordinary user; see ``table.py`` and ``probes.c``."""

from __future__ import annotations

import copy
import multiprocessing
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.backends import qemu
from pytest_xinchuang.sandbox.backends.qemu import QemuSandbox, QemuSpec
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Ended, Limits, Sandbox
from tests.escape.table import KILLED, PROBES, REFUSALS

pytestmark = pytest.mark.sandbox

SOURCE = Path(__file__).with_name("probes.c")
ORDINARY = 54321
USERS = ("root", "ordinary", "root old", "ordinary old")
"""Whose sandboxes, and whether as on an old kernel: programs start by the tracer, and the layer is a copy."""
HOST_PATH = "/root/.cache"


def compiled(source: str, machine: str, place: Path, *flags: str) -> bytes:
    """A static program for a machine."""
    (place / "source.c").write_text(source)
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-target",
        f"{machine}-linux-musl",
        "-static",
        "-O1",
        "-s",
        *flags,
    ]
    own = {
        **os.environ,
        "ZIG_GLOBAL_CACHE_DIR": str(Cache().root / "zig"),
    }  # with the C libraries that builds have made
    subprocess.run([*command, "-o", place / "program", place / "source.c"], check=True, capture_output=True, env=own)
    return (place / "program").read_bytes()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The attempts, built for arm64 and for x86-64, static."""
    place = tmp_path_factory.mktemp("probes")
    return {
        name: compiled(SOURCE.read_text(), machine, place)
        for name, machine in (("arm64", "aarch64"), ("amd64", "x86_64"))
    }


def attempts(sandbox: Sandbox, program: bytes) -> dict[str, str]:
    """What each attempt was answered."""
    sandbox.put("/xc/probes", program, executable=True)
    argv = ["/xc/probes", HOST_PATH, *(p.name for p in PROBES)]
    done = sandbox.run(argv)
    assert done.ok, (done.describe(), done.stderr)
    lines = [line.split(" ", 1) for line in done.stdout.decode(errors="replace").splitlines()]
    return {name: rest[0] for name, *rest in lines}


def wrong(answers: dict[str, str], *, exact: bool, x86: bool, own_kernel: bool = False) -> dict[str, str]:
    """The attempts whose answer is not the right one, each with what it tried."""
    found = {}
    for probe in PROBES:
        if probe.x86 and not x86:
            continue
        answer = answers.get(probe.name, "nothing").split(" ")[0]
        right = answer in probe.answer.split("|") if exact else answer in REFUSALS or answer == KILLED
        if not right and not (own_kernel and probe.its_own):
            found[probe.name] = f"{probe.tries}: {answers.get(probe.name)}, not {probe.answer}"
    return found


def test_every_attempt_is_in_the_table() -> None:
    assert sorted(re.findall(r'PROBE\("([^"]+)"', SOURCE.read_text())) == sorted(p.name for p in PROBES)
    assert len(PROBES) >= 60


# -- the rootless sandbox, as root and as an ordinary user


class Places:
    """What sandboxes are made of, for a user of this host."""

    def __init__(self, store: Store, platforms: Platforms) -> None:
        phytium = platforms.get("phytium")
        reference = platforms.file.reference
        assert reference is not None
        rootfs = store.rootfs_for(phytium)
        self.emulated = QemuSpec(
            phytium.id, Arch.ARM64, rootfs, store.emulator("qemu-aarch64"), "cortex-a72", "4.19.90", 10
        )
        self.native = QemuSpec("reference-amd64", Arch.AMD64, store.rootfs(reference), None, "", "6.1.0")
        self.python, self.script = sys.executable, qemu.__file__

    def old(self) -> Places:
        own = copy.copy(self)
        own.emulated = replace(self.emulated, children="tracer", layer="copy")
        return own

    def copied(self, place: Path) -> Places:
        """The same in files of an ordinary user's."""
        own = object.__new__(Places)
        backends = Path(qemu.__file__).parent
        shutil.copytree(backends, place / "backends", ignore=shutil.ignore_patterns("__pycache__"))
        for name, spec in (("emulated", self.emulated), ("native", self.native)):
            shutil.copytree(spec.rootfs.path, place / name, symlinks=True)
            setattr(own, name, replace(spec, rootfs=replace(spec.rootfs, path=place / name)))
        assert own.emulated.emulator is not None
        shutil.copy(own.emulated.emulator.path, place / "qemu-aarch64")
        own.emulated = replace(own.emulated, emulator=replace(own.emulated.emulator, path=place / "qemu-aarch64"))
        for directory, names, files in os.walk(place):
            for entry in (directory, *(f"{directory}/{n}" for n in names + files)):
                os.chown(entry, ORDINARY, ORDINARY, follow_symlinks=False)
        own.python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
        own.script = str(place / "backends/qemu.py")
        return own


@pytest.fixture(scope="module")
def places(store: Store, platforms: Platforms) -> Iterator[dict[str, Places]]:
    found = {"root": Places(store, platforms)}
    with tempfile.TemporaryDirectory() as directory:
        if os.geteuid() == 0:
            found["ordinary"] = found["root"].copied(Path(directory))
        yield found


def as_user(places: dict[str, Places], user: str, work: Callable[[Places], Any]) -> Any:
    """The result of work on sandboxes that a user of this host makes; ``user`` is one of ``USERS``."""
    user, _space, old = user.partition(" ")
    if old:
        places = {name: own.old() for name, own in places.items()}
    if user == "root":
        return work(places["root"])
    if "ordinary" not in places:
        pytest.skip("the tests are run by an ordinary user: see root")
    results: Any = multiprocessing.get_context("fork").Queue()

    def child() -> None:
        os.setgroups([])
        os.setresgid(ORDINARY, ORDINARY, ORDINARY)
        os.setresuid(ORDINARY, ORDINARY, ORDINARY)
        own = places["ordinary"]
        sys.executable, qemu.__file__ = own.python, own.script
        try:
            results.put((work(own), None))
        except BaseException as error:
            results.put((None, repr(error)))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    answer, problem = results.get(timeout=120)
    process.join()
    assert problem is None, problem
    return answer


@pytest.mark.parametrize("user", USERS[:2])
def test_native_code_behind_the_wall(places: dict[str, Places], programs: dict[str, bytes], user: str) -> None:
    """What took the emulator over runs natively, with the emulator's rights: those of the native reference."""

    def work(own: Places) -> dict[str, str]:
        with QemuSandbox(own.native) as sandbox:
            return attempts(sandbox, programs["amd64"])

    answers = as_user(places, user, work)
    assert not wrong(answers, exact=True, x86=True)


@pytest.mark.parametrize("user", USERS)
def test_emulated_code(places: dict[str, Places], programs: dict[str, bytes], user: str) -> None:
    def work(own: Places) -> dict[str, str]:
        with QemuSandbox(own.emulated) as sandbox:
            return attempts(sandbox, programs["arm64"])

    assert not wrong(as_user(places, user, work), exact=False, x86=False)


def elf(machine: int, padding: bytes, *, bits: int = 64) -> bytes:
    """A program that would end with 42."""
    code = b"\xbf\x2a\0\0\0\xb8\x3c\0\0\0\x0f\x05" if bits == 64 else b"\xbb\x2a\0\0\0\xb8\x01\0\0\0\xcd\x80"
    ident = b"\x7fELF" + bytes([bits // 32, 1, 1, 0, 0]) + padding.ljust(7, b"\0")
    if bits == 64:
        head = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120 + len(code), 120 + len(code), 0x1000)
    else:
        head = struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, 0x8048054, 52, 0, 0, 52, 32, 1, 0, 0, 0)
        segment = struct.pack("<IIIIIIII", 1, 0, 0x8048000, 0x8048000, 84 + len(code), 84 + len(code), 5, 0x1000)
    return ident + head + segment + code


FOREIGN = {
    "plain": elf(62, b""),
    "the marker of old": elf(62, b"\x01"),
    "all bits": elf(62, b"\xff" * 7),
    "a marker": elf(62, b"\x8a\x01\x02\x03\x04\x05\x06"),
    "i386": elf(3, b"", bits=32),
    "i386 with a marker": elf(3, b"\x01", bits=32),
    "i486": elf(6, b"", bits=32),
    "mips": elf(8, b""),
}


@pytest.mark.parametrize("user", USERS)
def test_no_program_of_the_host_runs(places: dict[str, Places], user: str) -> None:
    def work(own: Places) -> dict[str, int | None]:
        with QemuSandbox(own.emulated) as sandbox:
            for n, program in enumerate(FOREIGN.values()):
                sandbox.put(f"/xc/f{n}", program, executable=True)
            direct = {name: sandbox.run([f"/xc/f{n}"]).code for n, name in enumerate(FOREIGN)}
            children = sandbox.run(
                ["sh", "-c", "".join(f"/xc/f{n} 2>/dev/null; echo $?;" for n in range(len(FOREIGN)))]
            )
            said = [int(word) for word in children.stdout.split()]
            return direct | {f"{name} as a child": said[n] for n, name in enumerate(FOREIGN)}

    assert set(as_user(places, user, work).values()) <= {126, 2}, "2: the shell takes it for a script"


FEATURES = """
#include <stdio.h>
#include <sys/auxv.h>
int main(void) { printf("%lx\\n", getauxval(AT_HWCAP)); }
"""

EMULATOR = """
wanted=$(grep -m1 Features /proc/cpuinfo)
for link in /proc/$$/exe /proc/$PPID/exe; do
    cat $link >/xc/copy 2>/dev/null && head -c 20 /xc/copy | od -An -tx1 | head -1
    (: >$link) 2>/dev/null && echo written
    $link -cpu max /xc/features 2>/dev/null
    $link - x max /xc/features 2>/dev/null
done
cp /xc/features ./-cpu; PATH=; -cpu max /xc/features; QEMU_CPU=max /xc/features
"""


@pytest.mark.parametrize("user", USERS)
def test_nobody_gets_another_cpu_by_the_emulators_file(places: dict[str, Places], user: str, tmp_path: Path) -> None:
    """``/proc/PID/exe`` names the emulator to whoever looks: it cannot be read or written, and has its CPU within itself."""
    features = compiled(FEATURES, "aarch64", tmp_path)

    def work(own: Places) -> tuple[bytes, bytes]:
        with QemuSandbox(own.emulated) as sandbox:
            sandbox.put("/xc/features", features, executable=True)
            return sandbox.run(["/xc/features"]).stdout, sandbox.run(["sh", "-c", EMULATOR]).stdout

    alone, said = as_user(places, user, work)
    assert set(said.split()) <= {alone.strip()} and alone.strip() in said.split(), said


# -- wedges, floods, memory


def quickly(work: Callable[[], object]) -> object:
    started = time.monotonic()
    try:
        answer = work()
    except OSError as error:
        answer = error
    assert time.monotonic() - started < 10
    return answer


def wedge(sandbox: Sandbox) -> None:
    """Whatever is done to the first process's files, it goes on serving."""
    made = sandbox.run(
        ["sh", "-c", ": >/xc/file; ln -s /proc/1/environ /xc/link; ln -s /xc/link2 /xc/link2; mkdir /xc/dir"]
    )
    assert made.ok
    for path in ("/xc/link", "/xc/link2", "/xc/dir", "/xc/none", "/dev/zero", "/dev/null/x"):
        assert isinstance(quickly(lambda: sandbox.get(path)), OSError), path  # noqa: B023
    assert isinstance(quickly(lambda: sandbox.put("/xc/dir", b"")), OSError)
    assert isinstance(quickly(lambda: sandbox.put("/xc/link", b"")), OSError)
    long = ["x" * 1000] * 300
    said = sandbox.run(["sh", "-c", "echo $#", "sh", *long])
    assert said.stdout == b"300\n"
    assert sandbox.run(["/bin/echo", "x" * 300_000]).code == 126
    assert sandbox.run(["true"], env={"X": "y" * 100_000}).ok
    assert sandbox.run(["/xc/dir"]).code == 126 and sandbox.run(["/xc/none"]).code == 127
    name = "n" * 240
    many = f"cd /tmp; n=0; while [ $n -lt 1000 ]; do : >{name}$n; n=$((n+1)); done"
    assert sandbox.run(["sh", "-c", many]).ok
    assert len(quickly(sandbox.changes) or ()) >= 1000  # type: ignore[arg-type]
    sandbox.reset()
    assert sandbox.run(["true"]).ok


FIFO = """
#include <sys/stat.h>
int main(void) { return mkfifo("/xc/fifo", 0777); }
"""


@pytest.fixture(scope="module")
def fifo(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compiled(FIFO, "aarch64", tmp_path_factory.mktemp("fifo"))


def fifos(sandbox: Sandbox, program: bytes) -> None:
    sandbox.put("/xc/make", program, executable=True)
    assert sandbox.run(["/xc/make"]).ok
    assert isinstance(quickly(lambda: sandbox.get("/xc/fifo")), OSError)
    assert isinstance(quickly(lambda: sandbox.put("/xc/fifo", b"x")), OSError)
    assert sandbox.run(["/xc/fifo"]).code == 126
    # With a reader it can be opened, and still is no file.
    reader = sandbox.start(["sh", "-c", "read line </xc/fifo"])
    assert isinstance(quickly(lambda: sandbox.put("/xc/fifo", b"x\n")), OSError)
    reader.kill()
    assert sandbox.run(["true"]).ok


@pytest.mark.parametrize("user", USERS)
def test_nothing_wedges_the_rootless_sandbox(places: dict[str, Places], fifo: bytes, user: str) -> None:
    def work(own: Places) -> None:
        with QemuSandbox(own.emulated) as sandbox:
            wedge(sandbox)
            fifos(sandbox, fifo)

    as_user(places, user, work)


HOG = """
#define _GNU_SOURCE
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>
static char page[1 << 20];
int main(int count, char **words) {
    memset(page, 1, sizeof page);
    for (int n = 0; n < 40; n++) {
        if (words[1][0] == 'm') {
            int file = memfd_create("hog", 0);
            for (int k = 0; k < 100; k++) if (write(file, page, sizeof page) < 0) return 3;
        } else {
            char *place = shmat(shmget(IPC_PRIVATE, 100 << 20, 0600 | IPC_CREAT), 0, 0);
            if (place == (void *)-1) return 3;
            memset(place, 1, 100 << 20);
            shmdt(place);
        }
    }
    sleep(20);
}
"""


@pytest.mark.parametrize("user", USERS)
def test_memory_of_no_process_is_counted(places: dict[str, Places], user: str, tmp_path: Path) -> None:
    hog = compiled(HOG, "aarch64", tmp_path)

    def work(own: Places) -> list[tuple[str, int | None]]:
        found = []
        with QemuSandbox(own.emulated) as sandbox:
            sandbox.put("/xc/hog", hog, executable=True)
            for how in ("memfd", "sysv"):
                done = sandbox.run(["/xc/hog", how], limits=Limits(memory_mb=512, wall_s=15))
                found.append((str(done.ended), done.code))
            assert sandbox.run(["true"]).ok
        return found

    memfd, sysv = as_user(places, user, work)
    assert memfd[0] == Ended.OVER_LIMIT
    # Where the namespace's owner may set it, the kernel refuses what is over its limit of SysV memory.
    assert sysv[0] == Ended.OVER_LIMIT or sysv[1] == 3


# -- containers and virtual machines


@pytest.fixture(scope="module")
def container(store: Store, platforms: Platforms) -> Iterator[Sandbox]:
    opened = Pool(store, "docker", run_id=f"escape{os.getpid()}")
    try:
        yield opened.sandbox(platforms.get("phytium"))
    except SandboxFault as fault:
        pytest.skip(str(fault))
    finally:
        opened.close()


@pytest.mark.docker
def test_code_in_a_container(container: Sandbox, programs: dict[str, bytes]) -> None:
    assert not wrong(attempts(container, programs["arm64"]), exact=False, x86=False)
    container.put("/xc/host", programs["amd64"], executable=True)
    for refused in (container.run(["/xc/host"]), container.run(["sh", "-c", "/xc/host"])):
        assert refused.code == 126 and b"refused: a program for the host" in refused.stderr


@pytest.mark.docker
def test_nothing_wedges_a_container(container: Sandbox, fifo: bytes) -> None:
    container.reset()
    fifos(container, fifo)
    assert container.run(["/bin/echo", "x" * 300_000]).code == 126
    many = f"cd /tmp; n=0; while [ $n -lt 1000 ]; do : >{'n' * 240}$n; n=$((n+1)); done"
    assert container.run(["sh", "-c", many]).ok
    assert len(container.changes() or ()) == 1000
    container.reset()
    assert container.changes() == () and container.alive()


@pytest.mark.docker
def test_what_a_command_leaves_cannot_be_kept_from_removal(container: Sandbox) -> None:
    """Its own directories without rights, and links to what is not its own."""
    script = "umask 777; cd /xc"
    assert container.run(["sh", "-c", f"{script}; : >locked"]).ok
    container.reset()
    assert isinstance(quickly(lambda: container.get("/xc/locked")), FileNotFoundError)


@pytest.mark.slow
def test_code_in_a_virtual_machine(store: Store, platforms: Platforms, programs: dict[str, bytes], fifo: bytes) -> None:
    opened = Pool(store, "system")
    try:
        machine = opened.sandbox(platforms.get("phytium"))
        assert not wrong(attempts(machine, programs["arm64"]), exact=False, x86=False, own_kernel=True)
        fifos(machine, fifo)
    finally:
        opened.close()


def test_a_socket_of_the_host_with_an_abstract_name_is_out_of_reach(
    places: dict[str, Places], programs: dict[str, bytes]
) -> None:
    with socket.socket(socket.AF_UNIX) as there, socket.socket(socket.AF_UNIX) as client:
        there.bind("\0xc-escape")
        there.listen()
        with QemuSandbox(places["root"].native) as sandbox:
            assert attempts(sandbox, programs["amd64"])["unix-abstract"] == "ECONNREFUSED"
        client.connect("\0xc-escape")
