"""How programs of a rootless sandbox are started: by the kernel's binfmt_misc and by our tracer alike."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import multiprocessing
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.core.syscall_names import tables
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.backends.inside import confinement, programs
from pytest_xinchuang.sandbox.backends.qemu import QemuSandbox, QemuSpec
from pytest_xinchuang.sandbox.circumstances import HOST_ARCH
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Limits, Sandbox
from pytest_xinchuang.sandbox.wall import bpf, calls, formats
from pytest_xinchuang.toolchain.builder import Builder, Target
from tests.sandbox.test_wall import PLACES, chosen, head

SOURCE = Path(__file__).with_name("execs.c")
CASES = re.findall(r'CASE\("([^"]+)"\)', SOURCE.read_text())
NAMED_BY_FILE = ("descriptor", "descriptor-script", "memory")
"""Where the name of the process is that of a file since Linux 6.14, of the emulator's where binfmt_misc has opened it."""
KINDS = formats.kinds("arm64", "amd64")
PROGRAM, HOST = head(183), head(62)


def planned(files: Mapping[bytes, bytes | None], path: bytes = b"/p") -> programs.Plan:
    def look(wanted: bytes) -> programs.Seen:
        if wanted not in files:
            raise FileNotFoundError(errno.ENOENT, "")
        return wanted == b"/own", files[wanted]

    return programs.plan(path, look, KINDS)


def failure(files: Mapping[bytes, bytes | None], path: bytes = b"/p") -> int | None:
    try:
        planned(files, path)
    except OSError as error:
        return error.errno
    return 0


@pytest.mark.parametrize(
    ("wanted", "native"), [("arm64", "amd64"), ("amd64", "amd64"), ("loong64", "arm64"), ("arm64", "arm64")]
)
def test_the_tracer_tells_programs_as_the_kernel_does(wanted: str, native: str) -> None:
    lines = [
        line
        for line in formats.registrations(wanted, native, bytes(range(0x11, 0x18)), PLACES)
        if b"logging" not in line
    ]
    kinds = formats.kinds(wanted, native)
    heads = [
        head(machine, padding, bits=bits, kind=kind, order=order)
        for machine in (62, 183, 258, 3, 6, 40, 243)
        for padding in (b"", b"\x01", b"\xff" * 7)
        for bits in (32, 64)
        for kind in (1, 2, 3, 4)
        for order in (1, 2)
    ]
    for each in (*heads, b"", b"\x7fELF", b"MZ", PROGRAM[:18]):

        def look(_path: bytes, found: bytes = each) -> programs.Seen:
            return False, found

        try:
            kind = programs.plan(b"/p", look, kinds).kind
        except OSError as error:
            kind = "nothing" if error.errno == errno.ENOEXEC else str(error)
        assert kind == chosen(lines, each).replace("the kernel", "nothing"), each


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"#!/i\n", (b"/i", b"/p")),
        (b"#! \t/i \t\n", (b"/i", b"/p")),
        (b"#!/i a b\t\nx", (b"/i", b"a b", b"/p")),
        (b"#!/i\ta", (b"/i", b"a", b"/p")),
        (b"#!/i\0a\n", (b"/i", b"/p")),
        (b"#!/i a\0b\n", (b"/i", b"a", b"/p")),
        (b"#!/i " + b"a" * 300, (b"/i", b"a" * 250, b"/p")),
    ],
)
def test_a_script_is_started_by_its_interpreter(text: bytes, words: tuple[bytes, ...]) -> None:
    assert planned({b"/p": text, b"/i": PROGRAM}) == programs.Plan("emulator", b"/i", words)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"", errno.ENOEXEC),
        (b"#", errno.ENOEXEC),
        (b"#!\n", errno.ENOEXEC),
        (b"#!  \t", errno.EACCES),
        (b"#!", errno.EACCES),
        (b"#!" + b" " * 300, errno.ENOEXEC),
        (b"#!/" + b"i" * 300, errno.ENOEXEC),
        (b"#!/none\n", errno.ENOENT),
        (b"#!/p\n", errno.ELOOP),
        (b"#!/own\n", errno.ENOEXEC),
    ],
)
def test_what_cannot_be_started_fails_as_in_the_kernel(text: bytes, number: int) -> None:
    assert failure({b"/p": text, b"/own": HOST}) == number


def test_programs_of_the_host_are_refused_by_way_of_scripts_too() -> None:
    assert planned({b"/p": HOST}).kind == planned({b"/p": b"#!/h\n", b"/h": HOST}).kind == "refuser"
    assert planned({b"/own": HOST}, b"/own").kind == "own"
    assert planned({b"/p": None}).kind == "emulator", "who cannot read it either says so"


def test_a_chain_of_scripts_may_have_four() -> None:
    chain = {b"/0": PROGRAM, **{b"/%d" % n: b"#!/%d %d\n" % (n - 1, n) for n in range(1, 6)}}
    assert planned(chain, b"/4").words == (b"/0", b"1", b"/1", b"2", b"/2", b"3", b"/3", b"4", b"/4")
    assert failure(chain, b"/5") == errno.ELOOP


# -- in sandboxes


@pytest.fixture(scope="module")
def spec(store: Store, platforms: Platforms) -> QemuSpec:
    phytium = platforms.get("phytium")
    rootfs, emulator = store.rootfs_for(phytium), store.emulator("qemu-aarch64")
    return QemuSpec(phytium.id, Arch.ARM64, rootfs, emulator, "cortex-a72", "4.19.90", 10)


@pytest.fixture(scope="module")
def probes(store: Store, platforms: Platforms) -> bytes:
    target = Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], "2.28")
    return Builder(store.cache).c(target, [SOURCE], flags=("-w", "-pthread"))


def answers(sandbox: Sandbox, children: str, probes: bytes) -> dict[str, str]:
    assert sandbox.fingerprint.extra["children"] == children
    sandbox.put("/xc/p", probes, executable=True)
    done = sandbox.run(["/xc/p", *CASES], limits=Limits(wall_s=30))
    assert done.ok, (done.describe_with_tail(), done.stdout)
    said = done.stdout.decode(errors="replace")
    found = dict(re.findall(rf"^({'|'.join(CASES)}): (.*?  ends \w+)$", said, re.DOTALL | re.MULTILINE))
    for name in NAMED_BY_FILE:
        found[name] = re.sub(r"^\S+ \S+ ", "", found[name])
    return found


@pytest.fixture(scope="module")
def traced(spec: QemuSpec, probes: bytes) -> dict[str, str]:
    with QemuSandbox(replace(spec, children="tracer")) as sandbox:
        return answers(sandbox, "tracer", probes)


def different(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, tuple[str, str | None]]:
    return {name: (answer, other.get(name)) for name, answer in one.items() if answer != other.get(name)}


@pytest.mark.sandbox
def test_every_way_to_start_a_program_ends_as_with_binfmt_misc(
    spec: QemuSpec, probes: bytes, traced: dict[str, str]
) -> None:
    """The kernel's own registrations are the measure; where it has none, the tracer stands alone."""
    assert list(traced) == CASES
    assert traced["plain"].startswith("p p pid=same [shown] [show] [one] [] [two] 5")
    assert traced["missing"].startswith("errno 2") and traced["text"].startswith("errno 8")
    with QemuSandbox(replace(spec, children="")) as sandbox:
        if sandbox.fingerprint.extra["children"] == "binfmt_misc":
            assert different(traced, answers(sandbox, "binfmt_misc", probes)) == {}


def _where_nobody_may_trace(spec: QemuSpec, results: Any) -> None:
    number = tables()[HOST_ARCH.value if HOST_ARCH else ""]["ptrace"]
    refused = {number: bpf.refusal(errno.EPERM)}
    ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    confinement.install_filter(bpf.assemble(calls.AUDIT_ARCH[platform.machine()], refused, bpf.ALLOW))
    try:
        with QemuSandbox(spec) as sandbox:
            sandbox.put("/xc/host", HOST, executable=True)
            codes = [sandbox.run(argv).code for argv in (["true"], ["/xc/host"], ["sh", "-c", "/bin/true"])]
            results.put((sandbox.fingerprint, codes))
    except Exception as error:
        results.put((repr(error), []))


@pytest.mark.sandbox
def test_where_we_may_not_trace_children_are_not_emulated_and_it_is_told(spec: QemuSpec) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=_where_nobody_may_trace, args=(replace(spec, children="tracer"), results))
    process.start()
    fingerprint, codes = results.get(timeout=60)
    process.join()
    assert fingerprint.degraded == "children are not emulated: trace processes: Operation not permitted"
    assert fingerprint.extra["children"] == "none"
    assert not any(fingerprint.isolation[name] for name in ("children_emulated", "cpu_pinned", "host_refused"))
    assert codes[:2] == [0, 126] and codes[2] != 0


@pytest.mark.sandbox
@pytest.mark.docker
def test_a_container_starts_programs_in_the_same_way(
    store: Store, platforms: Platforms, probes: bytes, traced: dict[str, str]
) -> None:
    with contextlib.closing(Pool(store, "docker", run_id=f"execs{os.getpid()}")) as opened:
        try:
            container = opened.sandbox(platforms.get("phytium"))
        except SandboxFault as fault:
            pytest.skip(str(fault))
        # The agent passes by no rights of files: what only its owner could make readable, the emulator has to refuse.
        assert different(traced, answers(container, "tracer", probes)).keys() == {"unreadable"}
