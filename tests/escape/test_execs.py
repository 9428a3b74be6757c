"""Native code in an emulator's place tries to start a program of the host past the tracer of exec; see ``execs.c``."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.provision.refs import EmulatorRef
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.backends.qemu import QemuSandbox, QemuSpec
from pytest_xinchuang.sandbox.circumstances import HOST_ARCH
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Ended, Outcome, Sandbox
from tests.escape.table import KILLED
from tests.escape.test_escape import compiled, elf

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(HOST_ARCH is not Arch.AMD64, reason="the attempts are written for an x86-64 host"),
]

SOURCE = Path(__file__).with_name("execs.c")
RIGHT = {
    **dict.fromkeys(("direct", "no-words", "null-words", "relative", "link", "script", "script-of-script"), "exit-126"),
    **dict.fromkeys(("descriptor", "directory", "by-proc", "by-dev", "memory", "thread", "vfork", "spawn"), "exit-126"),
    **dict.fromkeys(("filter", "filter-of-another-call", "filter-that-logs", "stopped", "emulator"), "exit-126"),
    **dict.fromkeys(("race-path", "race-memory", "race-file"), "exit-0"),
    **dict.fromkeys(("untraced", "untraced-thread", "untraced-own", "call-32", "call-x32"), "ENOSYS"),
    **dict.fromkeys(("no-words-there", "no-path", "no-stack"), "EFAULT"),
    "closed-descriptor": "ENOENT",
    "supervisor": "EACCES",
    "traced-by-itself": "EPERM",
    "listener": "EINVAL",
}


@pytest.fixture(scope="module")
def evil(store: Store, platforms: Platforms, tmp_path_factory: pytest.TempPathFactory) -> QemuSpec:
    place = tmp_path_factory.mktemp("evil")
    program = compiled(SOURCE.read_text(), "x86_64", place, "-Wl,--build-id", "-Wno-everything")
    (place / "qemu-evil").write_bytes(program)
    platform = platforms.get("phytium")
    emulator = EmulatorRef(place / "qemu-evil", "sha256:0", "evil")
    rootfs = store.rootfs_for(platform)
    return QemuSpec(platform.id, Arch.ARM64, rootfs, emulator, "cortex-a72", "4.19.90", 10, children="tracer")


def tried(sandbox: Sandbox, names: Iterable[str]) -> tuple[dict[str, str], Outcome]:
    sandbox.put("/xc/host", elf(62, b""), executable=True)  # ends with 42
    sandbox.put("/xc/script", b"#!/xc/host\n", executable=True)
    sandbox.put("/xc/script2", b"#! /xc/script x\n", executable=True)
    # The attempts' own file is a program of the platform for whoever looks at it; the emulator is what runs.
    sandbox.put("/xc/attempts", elf(183, b""), executable=True)
    done = sandbox.run(["/xc/attempts", *names])
    assert sandbox.run(["true"]).ok, "it goes on serving"
    said = [line.split(" ", 1) for line in done.stdout.decode().splitlines()]
    return {name: answer for name, answer in said if name in RIGHT}, done  # the emulator says something by itself, too


def nothing_gets_past(sandbox: Sandbox) -> None:
    races = {name: right for name, right in RIGHT.items() if name.startswith("race")}
    plain = {name: right for name, right in RIGHT.items() if name not in races}
    answers, done = tried(sandbox, plain)
    for name in ("call-32", "call-x32"):
        if answers[name] == KILLED:  # by an engine's own filter
            answers[name] = RIGHT[name]
    assert answers == plain and done.ok
    answers, done = tried(sandbox, races)
    # A race that is won is an end by SIGKILL, and a command of which nobody says that it passed.
    assert done.ended is Ended.HOST_FAULT or answers == races, (answers, done)
    assert "ESCAPED" not in answers.values()


def test_every_attempt_has_a_right_answer() -> None:
    assert set(re.findall(r'PROBE\("([^"]+)"\)', SOURCE.read_text())) == RIGHT.keys()


def test_no_program_of_the_host_gets_past_the_tracer(evil: QemuSpec) -> None:
    with QemuSandbox(evil) as sandbox:
        assert sandbox.fingerprint.extra["children"] == "tracer"
        nothing_gets_past(sandbox)


@pytest.mark.docker
def test_no_program_of_the_host_gets_past_the_agent(
    evil: QemuSpec, store: Store, platforms: Platforms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "emulator", lambda _name: evil.emulator)
    with contextlib.closing(Pool(store, "docker", run_id=f"evil{os.getpid()}")) as opened:
        try:
            sandbox = opened.sandbox(platforms.get("phytium"))
        except SandboxFault as fault:
            pytest.skip(str(fault))
        assert sandbox.fingerprint.isolation["host_refused"]
        nothing_gets_past(sandbox)
