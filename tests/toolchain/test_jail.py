"""The wall around compilers, in each way that a host allows; what runs behind it here is a shell."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.toolchain import jail as jails
from pytest_xinchuang.toolchain.jail import Isolation, Jail, Jailed, Sights
from pytest_xinchuang.tools.process import Runner

pytestmark = pytest.mark.tools

SYSTEM = tuple(Path(name) for name in ("/usr", "/bin", "/lib", "/lib64"))
WALLS = [Isolation.NAMESPACES, Isolation.LANDLOCK]


class Place:
    """A directory with a secret beside what the program may see."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("src", "out", "cache", "above", "jail"):
            (root / name).mkdir()
        (root / "src/seen").write_text("seen\n")
        (root / "cache/kept").write_text("kept\n")
        (root / "secret").write_text("secret\n")
        (root / "src/link").symlink_to(root / "secret")

    def sh(self, script: str, *ways: Isolation, seconds: float = 20) -> Jailed:
        sights = Sights((*SYSTEM, self.root / "src"), (self.root / "out",), {self.root / "cache": self.root / "above"})
        return Jail(Runner(), ways).run(
            ["/bin/sh", "-c", script],
            sights,
            scratch=self.root / "jail",
            cwd=self.root / "src",
            env={"PATH": "/usr/bin:/bin"},
            timeout_s=seconds,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(params=WALLS)
def wall(request: pytest.FixtureRequest, place: Place) -> Isolation:
    """One way; skipped where this host bars it."""
    way: Isolation = request.param
    try:
        place.sh("true", way)
    except ToolchainFault as fault:
        pytest.skip(str(fault))
    return way


def test_it_sees_what_it_is_shown_and_writes_where_it_may(place: Place, wall: Isolation) -> None:
    run = place.sh("cat seen ../cache/kept && echo x > ../out/made && echo said >&2 && exit 3", wall)
    assert (run.finished.code, run.finished.text, run.finished.errors) == (3, "seen\nkept\n", "said\n")
    assert run.isolation is wall and not run.refused
    assert (place.root / "out/made").read_text() == "x\n"
    assert (place.root / "out/made").stat().st_uid == os.geteuid()


@pytest.mark.parametrize(
    "script",
    [
        "cat ../secret",
        "cat link",
        "cat /proc/1/root/{root}/secret",
        "cat /proc/self/cwd/../secret",
        "cat /etc/passwd",
        "cat /root/.profile",
        "ls /home",
        "echo x > seen",
        "echo x > new",
        "rm seen",
        "mkdir ../new",
        "echo x > /new",
        "echo x > /usr/new",
        "echo x > ../secret",
        "echo x > /var/tmp/new",
        "ln ../secret ../out/secret && cat ../out/secret",
        "ln -s {root}/secret ../out/s && cat ../out/s",
        "mount --bind /usr {root}/src",
        "mount -o remount,rw {root}/src",
        "umount {root}/src",
        "chroot /proc/1/root cat {root}/secret",
    ],
)
def test_it_reaches_nothing_else(place: Place, wall: Isolation, script: str) -> None:
    run = place.sh(script.replace("{root}", str(place.root)), wall)
    assert run.finished.code, run.finished.text
    assert "secret" not in run.finished.text
    assert (place.root / "secret").read_text() == "secret\n"
    assert sorted(p.name for p in (place.root / "src").iterdir()) == ["link", "seen"]


def test_it_has_no_network(place: Place, wall: Isolation) -> None:
    script = "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 1), 5)' 2>&1"
    run = place.sh(script, wall)
    assert run.finished.code
    assert "Network is unreachable" in run.finished.text or "Permission denied" in run.finished.text, run.finished.text
    if wall is Isolation.NAMESPACES:
        assert place.sh("grep -c : /proc/net/dev", wall).finished.text == "1\n"


def test_what_it_writes_to_a_layer_does_not_reach_the_cache(place: Place) -> None:
    run = place.sh("echo x > ../cache/kept && echo x > ../cache/new && cat ../cache/new", *Isolation)
    if run.isolation is not Isolation.NAMESPACES:
        pytest.skip("no namespaces here")
    assert run.finished.text == "x\n"
    assert (place.root / "cache/kept").read_text() == "kept\n"
    assert not (place.root / "cache/new").exists()


def test_nothing_of_it_outlives_it(place: Place, wall: Isolation) -> None:
    with pytest.raises(ToolchainFault, match=r"did not end within 1 s"):
        place.sh("(sleep 60; echo x > ../out/late) & sleep 60", wall, seconds=1)
    assert not list((place.root / "out").iterdir())


def test_a_signal_that_kills_it_is_our_fault(place: Place, wall: Isolation) -> None:
    with pytest.raises(ToolchainFault, match="SIGKILL"):
        place.sh("kill -9 $$", wall)


def test_a_way_that_is_barred_is_told_and_the_next_is_taken(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = place.root / "jailer.py"
    text = jails.JAILER.read_text().replace('mount("tmpfs", "xc", root', 'mount("tmpfs", "xc", "/nowhere"')
    broken.write_text(
        text.replace(
            'call("landlock_create_ruleset", libc.syscall(LANDLOCK_CREATE',
            'call("landlock_create_ruleset", libc.syscall(9999',
        )
    )
    monkeypatch.setattr(jails, "JAILER", broken)
    run = place.sh("cat ../secret", *Isolation)
    assert run.isolation is Isolation.NONE and run.finished.text == "secret\n"
    assert list(run.refused) == ["namespaces", "landlock"] and all(run.refused.values())
    with pytest.raises(ToolchainFault, match=r"cannot be isolated on this host: landlock: landlock_create_ruleset"):
        place.sh("true", Isolation.LANDLOCK)


@pytest.mark.parametrize(
    "text",
    [
        "raise SystemExit(1)",
        "import sys; open(sys.argv[2], 'w').write('{')",
        "import sys; open(sys.argv[2], 'w').write('[]')",
    ],
)
def test_a_jailer_that_breaks_is_our_fault(place: Place, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (place.root / "jailer.py").write_text(text)
    monkeypatch.setattr(jails, "JAILER", place.root / "jailer.py")
    with pytest.raises(ToolchainFault, match="could not be started"):
        place.sh("true", *Isolation)


def test_a_program_that_is_not_there_is_our_fault(place: Place, wall: Isolation) -> None:
    with pytest.raises(ToolchainFault, match=r"No such file or directory"):
        Jail(Runner(), (wall,)).run(
            ["/nowhere/cc"],
            Sights((), ()),
            scratch=place.root / "jail",
            cwd=Path("/"),
            env={},
            timeout_s=20,
        )


def test_a_compiler_dies_with_its_jailer(place: Place, wall: Isolation) -> None:
    """The run may be killed: whatever it has started knows of it, in each of the processes between."""
    ended: list[object] = []
    thread = threading.Thread(
        target=lambda: ended.append(caught(lambda: place.sh("echo >../out/up; sleep 1000", wall)))
    )
    thread.start()
    while not (place.root / "out/up").exists():
        time.sleep(0.01)
    (jailer,) = (pid for pid in children_of(os.getpid()) if str(place.root) in command_of(pid))
    below = descendants(jailer)
    assert any("sleep" in command_of(pid) for pid in below)
    os.kill(jailer, signal.SIGKILL)
    thread.join(20)
    assert isinstance(ended[0], ToolchainFault)
    deadline = time.monotonic() + 10
    while any(map(command_of, below)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not list(filter(None, map(command_of, below)))


def caught(work: Callable[[], object]) -> object:
    try:
        return work()
    except ToolchainFault as fault:
        return fault


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def children_of(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    found = children_of(pid)
    return found + [below for child in found for below in descendants(child)]
