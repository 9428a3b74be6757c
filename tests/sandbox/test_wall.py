"""The wall's parts: the filter of system calls, the formats of programs, the emulator with its CPU model in it."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_xinchuang.core.syscall_names import tables
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.sandbox.backends.inside import confinement
from pytest_xinchuang.sandbox.wall import bpf, calls, formats, pinned

HOST = platform.machine()
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def answer(machine: str, call: str, *arguments: int, absent: tuple[int, ...] = ()) -> int | None:
    """What a call answers: an errno, or None if it may be made."""
    program = calls.seccomp_program(machine, absent)
    value = bpf.run(program, calls.AUDIT_ARCH[machine], tables()[MACHINES[machine]][call], arguments)
    return None if value == bpf.ALLOW else value & 0xFFFF


# -- system calls


def test_every_call_of_the_table_has_the_answer_of_its_list(machine: str) -> None:
    for name in tables()[MACHINES[machine]].keys() - calls.CHECKED.keys():
        wanted = None if name in calls.ALLOWED else errno.EPERM if name in calls.NOT_PERMITTED else errno.ENOSYS
        assert answer(machine, name) == wanted, name


def test_the_lists_hold_calls_and_do_not_overlap() -> None:
    known = set().union(*tables().values())
    assert not (calls.ALLOWED | calls.NOT_PERMITTED | calls.CHECKED.keys()) - known
    assert not calls.ALLOWED & calls.NOT_PERMITTED
    assert not calls.CHECKED.keys() & (calls.ALLOWED | calls.NOT_PERMITTED)


@pytest.mark.parametrize(
    ("call", "arguments", "wanted"),
    [
        ("socket", (1, 1, 0), None),
        ("socket", (2, 2, 0), None),
        ("socket", (10, 1, 6), None),
        ("socket", (16, 3, 0), None),
        ("socket", (16, 3, 9), errno.EAFNOSUPPORT),  # NETLINK_AUDIT
        ("socket", (16, 2, 12), errno.EAFNOSUPPORT),  # NETLINK_NETFILTER
        ("socket", (17, 3, 768), errno.EPERM),
        ("socket", (38, 5, 0), errno.EAFNOSUPPORT),  # AF_ALG
        ("socket", (40, 1, 0), errno.EAFNOSUPPORT),  # AF_VSOCK
        ("socket", (1 << 32 | 40, 1, 0), errno.EAFNOSUPPORT),
        ("socketpair", (1, 1, 0), None),
        ("socketpair", (2, 1, 0), None),
        ("socketpair", (30, 1, 0), errno.EAFNOSUPPORT),
        ("clone", (0x3D0F00,), None),  # a thread of glibc
        ("clone", (0x10000011,), errno.EPERM),  # CLONE_NEWUSER
        ("clone", (0x40000011,), errno.EPERM),
        ("unshare", (0x200,), None),
        ("unshare", (0x20000,), errno.EPERM),
        ("unshare", (0x80,), errno.EPERM),
        ("personality", (0xFFFFFFFF,), None),
        ("personality", (0x40000,), None),
        ("personality", (0x400000,), errno.EPERM),  # READ_IMPLIES_EXEC
        ("ioctl", (0, 0x5413), None),
        ("ioctl", (0, 0x5412), errno.EPERM),
        ("ioctl", (0, 1 << 32 | 0x5412), errno.EPERM),
    ],
)
def test_arguments_decide(machine: str, call: str, arguments: tuple[int, ...], wanted: int | None) -> None:
    assert answer(machine, call, *arguments) == wanted


def test_what_the_platform_lacks_is_missing_although_it_is_allowed(machine: str) -> None:
    number = tables()[MACHINES[machine]]["statx"]
    assert answer(machine, "statx") is None
    assert answer(machine, "statx", absent=(number,)) == errno.ENOSYS


def test_a_tracer_is_asked_for_programs_and_nobody_is_asked_before(machine: str) -> None:
    numbers = tables()[MACHINES[machine]]

    def value(call: str, *arguments: int, absent: tuple[int, ...] = ()) -> int:
        program = calls.seccomp_program(machine, absent, traced=True)
        return bpf.run(program, calls.AUDIT_ARCH[machine], numbers[call], arguments)

    assert value("execve") == value("execveat") == bpf.TRACE
    assert value("execveat", absent=(numbers["execveat"],)) == bpf.refusal(errno.ENOSYS)
    assert value("seccomp", 1, 8) == value("seccomp", 1, 9) == bpf.refusal(errno.EINVAL)
    assert value("seccomp", 1, 1) == value("seccomp", 0, 0) == value("openat") == bpf.ALLOW
    program = calls.seccomp_program(machine, seen=True)
    for arguments, wanted in (((4, 0), bpf.refusal(0)), ((4, 1), bpf.ALLOW), ((15, 0), bpf.ALLOW)):
        assert bpf.run(program, calls.AUDIT_ARCH[machine], numbers["prctl"], arguments) == wanted
    plain, traced = calls.seccomp_program(machine), calls.seccomp_program(machine, traced=True)
    for name in numbers.keys() - calls.TRACED.keys():
        asked = (calls.AUDIT_ARCH[machine], numbers[name])
        assert bpf.run(plain, *asked) == bpf.run(traced, *asked), name


def test_calls_of_another_architecture_and_unknown_numbers_are_missing(machine: str) -> None:
    program, own = calls.seccomp_program(machine), calls.AUDIT_ARCH[machine]
    missing = bpf.refusal(errno.ENOSYS)
    assert bpf.run(program, 0x40000003, 3) == missing  # AUDIT_ARCH_I386
    for number in (0x40000000, 0x40000001, 0xFFFFFFFF, 999, 2000):
        assert bpf.run(program, own, number) == missing


def test_the_assembler_decides_every_number_as_it_was_told() -> None:
    actions: dict[int, bpf.Action] = {n: bpf.refusal(n % 7 + 1) for n in range(0, 900, 3)}
    program = bpf.assemble(1, actions, bpf.ALLOW)
    assert all(bpf.run(program, 1, n) == actions.get(n, bpf.ALLOW) for n in range(1000))


def test_a_program_that_is_too_long_is_an_error() -> None:
    with pytest.raises(ValueError, match="instructions"):
        bpf.assemble(1, {n: bpf.refusal(n % 2 + 1) for n in range(5000)}, bpf.ALLOW)


@pytest.mark.tools
@pytest.mark.skipif(not calls.supported(HOST), reason="no filter for this host")
def test_the_kernel_takes_the_filter_and_python_goes_on_in_it(tmp_path: Path) -> None:
    script = tmp_path / "x.py"
    script.write_text(
        f"import sys, socket, ctypes\nsys.path.insert(0, {str(Path(confinement.__file__).parent)!r})\nimport confinement\n"
        "ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)\n"
        f"confinement.install_filter(bytes.fromhex({calls.seccomp_program(HOST).hex()!r}))\n"
        "socket.socket(socket.AF_INET)\n"
        "try: socket.socket(40, socket.SOCK_STREAM)\nexcept OSError as error: print(error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-I", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{errno.EAFNOSUPPORT}\n"


def test_dockers_profile_allows_the_same_but_clone3() -> None:
    rules = calls.docker_profile()["syscalls"]
    plain = {n for rule in rules if rule["action"] == "SCMP_ACT_ALLOW" and "args" not in rule for n in rule["names"]}
    assert plain == (calls.ALLOWED - {"clone3"}) | {"ioctl", "ptrace"}
    assert calls.docker_profile()["defaultErrnoRet"] == errno.ENOSYS


# -- formats

MARKER = bytes(range(0x11, 0x18))
PLACES = formats.Interpreters("emulator", "logging", "refuser", "nothing")


def chosen(lines: list[bytes], program: bytes) -> str:
    """The interpreter that the kernel takes for a program: of the lines that match, the last."""
    for line in reversed(lines):
        _, _name, kind, offset, magic, mask, interpreter, flags = line.decode().split(":")
        assert (kind, offset, flags) == ("M", "", "PF") and len(line) < 1920  # fs/binfmt_misc.c, MAX_REGISTER_LENGTH
        raw = [bytes.fromhex(part.replace("\\x", "")) for part in (magic, mask)]
        assert len(raw[0]) == len(raw[1])
        padded = program.ljust(128, b"\0")  # BINPRM_BUF_SIZE is 256
        if all((b & m) == (g & m) for b, g, m in zip(padded, *raw, strict=False)):
            return interpreter
    return "the kernel"


def head(machine: int, padding: bytes = b"", *, bits: int = 64, kind: int = 2, order: int = 1) -> bytes:
    start = b"\x7fELF" + bytes([bits // 32, order, 1, 0, 0]) + padding.ljust(7, b"\0")
    return start + struct.pack("<HH" if order == 1 else ">HH", kind, machine)


@pytest.mark.parametrize(
    ("wanted", "native"), [("arm64", "amd64"), ("amd64", "amd64"), ("loong64", "arm64"), ("arm64", "arm64")]
)
def test_only_the_marker_is_the_kernels_own(wanted: str, native: str) -> None:
    lines = formats.registrations(wanted, native, MARKER, PLACES)
    assert chosen(lines, head(formats.ELF_MACHINE[wanted])) == "logging"
    lines = [line for line in lines if not line.startswith(b":" + formats.LOGGING.encode())]
    own, host = formats.ELF_MACHINE[wanted], formats.ELF_MACHINE[native]
    for padding in (b"", b"\x01", b"\xff" * 7, MARKER[:6], MARKER[:6] + bytes([MARKER[6] ^ 0x80])):
        assert chosen(lines, head(own, padding)) == "emulator"
        assert chosen(lines, head(own, padding, kind=3)) == "emulator"
        if own != host:
            assert chosen(lines, head(host, padding)) == ("nothing" if padding else "refuser")
        for other in (6, 3, 40, 8, 243, 0xFFFF):
            assert chosen(lines, head(other, padding, bits=32)) in ("nothing", "refuser")
            assert chosen(lines, head(other, padding)) == "nothing"
        assert chosen(lines, head(own, padding, order=2)) == "nothing"
    assert chosen(lines, head(host, MARKER)) == "the kernel"
    assert chosen(lines, b"#!/bin/sh\n") == "the kernel"


def test_markers_differ() -> None:
    assert len({formats.new_marker() for _ in range(100)}) == 100


def test_the_refuser_is_an_elf_program_with_the_marker(machine: str) -> None:
    elf = read_elf(formats.refuser(machine, "no\n", MARKER), "x")
    assert elf.machine == {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}[machine]
    assert elf.padding == MARKER


@pytest.mark.tools
@pytest.mark.skipif(HOST not in MACHINES, reason="no refuser for this host")
def test_the_refuser_says_why_and_ends_with_126(tmp_path: Path) -> None:
    program = tmp_path / "refuser"
    program.write_bytes(formats.refuser(HOST, "not here\n", MARKER))
    program.chmod(0o755)
    said = subprocess.run([program, "x"], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (126, "not here\n")


# -- the emulator

SOURCE = """
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
int main(int argc, char **argv, char **envp) {
    for (int i = 0; i < argc; i++) printf("%s|", argv[i]);
    printf("%d|%s|%ld|%ld|%d", argc, getenv("A"), getauxval(AT_FLAGS), getauxval(AT_PAGESZ) > 0, prctl(PR_GET_DUMPABLE));
}
"""


def patched(program: Path, machine: str, arguments: list[str]) -> Path:
    data = bytearray(program.read_bytes())
    for patch in pinned.pin(program, machine, arguments, MARKER):
        data.extend(bytes(max(0, patch.offset + len(patch.data) - len(data))))
        data[patch.offset : patch.offset + len(patch.data)] = patch.data
    there = program.with_name("patched")
    there.write_bytes(data)
    there.chmod(0o111)
    return there


@pytest.mark.tools
@pytest.mark.skipif(not pinned.supported(HOST) or not shutil.which("gcc"), reason="no compiler for this host")
@pytest.mark.parametrize("link", ["-static-pie", "-static"])
@pytest.mark.parametrize("arguments", [["-cpu", "a b"], ["-cpu", "max", "-r"], []])
def test_a_pinned_program_always_has_its_arguments(tmp_path: Path, link: str, arguments: list[str]) -> None:
    (tmp_path / "p.c").write_text(SOURCE)
    subprocess.run(["gcc", link, "-o", tmp_path / "p", tmp_path / "p.c"], check=True)
    program = patched(tmp_path / "p", HOST, arguments)
    # As the kernel calls an interpreter with flag P: itself, the program, the program's argv[0], its arguments.
    command = ["emulator", "/bin/prog", "argv0", "one", "", "two"]
    said = subprocess.run(command, executable=program, env={"A": "b"}, capture_output=True, text=True, check=True)
    words = ["emulator", *arguments, "-0", "argv0", "/bin/prog", "one", "", "two"]
    assert said.stdout == "".join(f"{word}|" for word in words) + f"{len(words)}|b|0|1|1"


@pytest.mark.tools
@pytest.mark.skipif(not pinned.supported(HOST) or not shutil.which("gcc"), reason="no compiler for this host")
@pytest.mark.parametrize("command", [["x"], ["x", "/bin/true"], ["x", "-cpu", "max", "/bin/true"]])
def test_a_pinned_program_takes_no_options(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "p.c").write_text(SOURCE)
    subprocess.run(["gcc", "-static", "-o", tmp_path / "p", tmp_path / "p.c"], check=True)
    said = subprocess.run(command, executable=patched(tmp_path / "p", HOST, []), capture_output=True, check=False)
    assert said.returncode == 126 and not said.stdout and said.stderr.startswith(b"xc: refused")


@pytest.mark.parametrize("arguments", [[], ["-cpu", "cortex-a72", "-r", "4.19.90"]])
def test_the_other_doors_of_a_pinned_program_lead_to_its_first_instruction(machine: str, arguments: list[str]) -> None:
    capstone = pytest.importorskip("capstone")
    architecture, mode, branch, name = {
        "x86_64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64, "jmp", "lea rsi, [rsp - 0x40]"),
        "aarch64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM, "b", "sub x1, sp, #0x40"),
    }[machine]
    refusal = formats.refusal(machine, "no\n")
    tail, doors = pinned.doors(machine, arguments, refusal)
    code = list(capstone.Cs(architecture, mode).disasm(tail[: doors.refused - doors.named], doors.named))
    assert f"{code[0].mnemonic} {code[0].op_str}" == name
    last = next(step for step in code if step.mnemonic == branch)
    assert int(last.op_str.removeprefix("#"), 16) == 0
    assert tail[doors.refused - doors.named :] == refusal and doors.named % 16 == doors.refused % 16 == 0


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF\x02\x01" + bytes(60), head(62).ljust(64, b"\xff")])
def test_what_is_no_emulator_cannot_be_pinned(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ValueError, match="x: "):
        pinned.pin(tmp_path / "x", "x86_64", [], MARKER)


# -- what the supervisor does


def test_long_messages_travel_as_files() -> None:
    import socket

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        for size in (10, 300 << 10, 5 << 20):
            read, write = os.pipe()
            confinement.send(ours, {"text": "x" * size}, [read])
            os.close(read)
            message, fds = confinement.receive(theirs)
            assert message == {"text": "x" * size} and len(fds) == 1
            os.close(fds[0])
            os.close(write)
        ours.close()
        assert confinement.receive(theirs) == (None, [])


def test_memory_in_open_files_is_counted() -> None:
    before = confinement.unmapped_mb([os.getpid()])
    with os.fdopen(os.memfd_create("x"), "wb") as file:
        file.write(bytes(8 << 20))
        file.flush()
        assert confinement.unmapped_mb([os.getpid(), 0]) == before + 8
    assert confinement.unmapped_mb([os.getpid()]) == before
