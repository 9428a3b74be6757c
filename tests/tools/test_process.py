"""The one runner: how programs end, what is left of them, and what they are given."""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import HostFault, ToolchainFault
from pytest_xinchuang.messages import _
from pytest_xinchuang.tools import process
from pytest_xinchuang.tools.process import DEVNULL, PIPE, End, Finished, Runner, environment, first_line, last_line


def run(*argv: str, timeout_s: float = 20, **options: object) -> Finished:
    return Runner().run(argv, timeout_s=timeout_s, **options)  # type: ignore[arg-type]


def shell(text: str, **options: object) -> Finished:
    return run("/bin/sh", "-c", text, **options)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(pid)


@pytest.mark.tools
def test_an_exit_with_its_outputs() -> None:
    done = shell("echo out; echo 错 >&2; exit 3")
    assert (done.end, done.code, done.signal, done.ok) == (End.EXITED, 3, None, False)
    assert (done.text, done.errors) == ("out\n", "错\n")
    assert done.exited() is done
    assert done.told() == "sh ended with exit code 3"
    assert done.told().render("zh") == "sh 以退出码 3 结束"


@pytest.mark.tools
def test_what_is_fed_and_much_of_it() -> None:
    data = os.urandom(1 << 20)
    done = run("cat", stdin=data)
    assert done.stdout == data
    assert run("cat").stdout == b""


@pytest.mark.tools
def test_a_signal_is_no_exit_code() -> None:
    done = shell("kill -SEGV $$")
    assert (done.end, done.code, done.signal) == (End.SIGNALED, None, 11)
    with pytest.raises(ToolchainFault, match=r"reading failed: sh was killed by SIGSEGV"):
        done.exited(ToolchainFault, doing=_("reading failed"))


@pytest.mark.tools
def test_a_time_out_ends_grandchildren_too(tmp_path: Path) -> None:
    # In a process group of its own, as a shell with job control makes them.
    done = shell(f"set -m; (sleep 600 & echo $! > {tmp_path}/pid; wait) & sleep 600", timeout_s=1)
    assert (done.end, done.code, done.limit) == (End.TIMED_OUT, None, 1)
    assert done.seconds < 10
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.tools
def test_what_was_printed_before_a_time_out_is_kept() -> None:
    assert shell("echo so far; sleep 600", timeout_s=1).text == "so far\n"


@pytest.mark.tools
def test_time_outs_are_scaled() -> None:
    started = time.monotonic()
    done = Runner(0.01).run(["sleep", "600"], timeout_s=50)
    assert (done.end, done.limit) == (End.TIMED_OUT, 0.5)
    assert time.monotonic() - started < 10
    assert done.told() == "sleep did not end within 0.5 s"


@pytest.mark.tools
def test_what_a_program_leaves_behind_is_ended_and_not_waited_for(tmp_path: Path) -> None:
    done = shell(f"sleep 600 & echo $! > {tmp_path}/pid; echo said; exit 4", timeout_s=60)
    assert (done.end, done.code, done.text) == (End.EXITED, 4, "said\n")
    assert done.seconds < 20
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.tools
def test_what_is_started_can_be_interrupted_though_we_cannot() -> None:
    """As where a shell has started us in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        running = Runner().start(["/bin/sleep", "30"], stdout=DEVNULL, stderr=DEVNULL, dies_with_us=True)
        running.interrupt(20)
    finally:
        signal.signal(signal.SIGINT, before)
    assert running.status == -signal.SIGINT


@pytest.mark.tools
def test_an_interruption_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> bool:
        deadline = time.monotonic() + 10
        while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "_watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        shell(f"sleep 600 & echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; wait")
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.tools
def test_a_shell_does_not_go_on_when_its_command_is_ended(tmp_path: Path) -> None:
    for number in range(20):
        late = tmp_path / str(number)
        done = run(
            "/bin/sh", "-c", f"(sleep 60; echo x >{late}) & (sleep 60; echo x >{late}); echo x >{late}", timeout_s=0.1
        )
        assert done.end is End.TIMED_OUT and not late.exists()


@pytest.mark.tools
def test_a_program_dies_with_us(tmp_path: Path) -> None:
    script = "import sys; from pytest_xinchuang.tools.process import Runner; Runner().run(sys.argv[1:], timeout_s=100)"
    noted = tmp_path / "pid"
    words = [sys.executable, "-c", script, "/bin/sh", "-c", f"echo $$ >{noted}; exec sleep 100"]
    ours = Runner().start(words, stdout=DEVNULL, stderr=DEVNULL)
    while not noted.exists() or not noted.read_text():
        time.sleep(0.01)
    os.kill(ours.pid, signal.SIGKILL)
    assert gone(int(noted.read_text()))
    assert ours.wait(10) == -signal.SIGKILL


@pytest.mark.tools
def test_an_output_that_is_too_large() -> None:
    done = run("cat", "/dev/zero", output_limit=1 << 20)
    assert (done.end, done.code, len(done.stdout)) == (End.TOO_LARGE, None, 1 << 20)
    assert done.told() == "cat wrote more than 1 MiB"
    assert run("head", "-c", str(1 << 20), "/dev/zero", output_limit=1 << 20).ok


@pytest.mark.tools
def test_an_output_into_a_file_has_no_limit(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        done = run("head", "-c", "100000", "/dev/zero", stdout=file, output_limit=10)
    assert done.ok and done.stdout == b""
    assert (tmp_path / "out").stat().st_size == 100000


@pytest.mark.tools
def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    for name in ("xc-no-such-program", str(tmp_path / "none")):
        done = run(name)
        assert done.end is End.NOT_FOUND
        with pytest.raises(HostFault, match="there is no program"):
            done.exited()


@pytest.mark.tools
def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "script").write_text("#!/no/such/interpreter\n")
    (tmp_path / "script").chmod(0o755)
    (tmp_path / "garbage").write_bytes(b"\x00\x01")
    (tmp_path / "garbage").chmod(0o755)
    for name, problem in (("text", "Permission denied"), ("script", "No such file"), ("garbage", "Exec format error")):
        done = run(str(tmp_path / name))
        assert done.end is End.NOT_STARTABLE, name
        assert problem in done.told()
    assert "null byte" in run("echo", "a\0b").told()


@pytest.mark.tools
def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        done = run("true", cwd=tmp_path / name)
        assert done.end is End.NOT_STARTABLE
        assert str(tmp_path / name) in done.told()


@pytest.mark.tools
def test_tools_speak_english(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("LANG", "zh_CN.UTF-8"),
        ("LANGUAGE", "zh:en"),
        ("LC_MESSAGES", "zh_CN.UTF-8"),
        ("LC_ALL", "C"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XC_KEPT", "kept")
    lines = run("env").text.splitlines()
    assert "LC_ALL=C.UTF-8" in lines and "XC_KEPT=kept" in lines
    assert not [line for line in lines if line.startswith(("LANG", "LC_MESSAGES"))]
    assert "XC_OWN=1" in run("env", env=environment({"XC_OWN": "1"})).text
    assert run("/usr/bin/env", env={"A": "1"}).text == "A=1\n"
    assert "No such file or directory" in run("cat", "/none").errors


@pytest.mark.tools
def test_each_run_is_logged(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with caplog.at_level(logging.INFO, "pytest_xinchuang.process"):
        run("sh", "-c", "exit 3", cwd=tmp_path)
        run("xc-no-such-program")
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith(f"sh -c 'exit 3' (in {tmp_path}): exit code 3 after ")
    assert caplog.messages[1] == "xc-no-such-program (in .): not-found"


@pytest.mark.tools
def test_a_program_that_stays_up(tmp_path: Path) -> None:
    running = Runner().start(["cat"], stdin=PIPE, buffered=False)
    assert running.stdin is not None and running.stdout is not None and running.stderr is not None
    running.stdin.write(b"hello\n")
    assert running.stdout.readline() == b"hello\n"
    assert running.status is None and running.wait(0.05) is None
    running.stdin.close()
    assert running.wait(20) == 0 and running.status == 0 and running.left == 0
    running.kill()
    running.stdout.close()
    running.stderr.close()


@pytest.mark.tools
def test_what_stays_up_is_ended_with_its_session(tmp_path: Path) -> None:
    running = Runner().start(["sh", "-c", "sleep 600 & echo $!; wait"])
    assert running.stdout is not None and running.stderr is not None
    child = int(running.stdout.readline())
    # Several threads may ask at once.
    threads = [threading.Thread(target=running.kill) for _n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert running.status == -9 and running.left == 1
    assert gone(child)
    running.stdout.close()
    running.stderr.close()


@pytest.mark.tools
def test_limits_of_a_program() -> None:
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_FSIZE)[0])"
    running = Runner().start([sys.executable, "-c", code], limits={resource.RLIMIT_FSIZE: 4096})
    assert running.stdout is not None and running.stderr is not None
    assert running.stdout.read() == b"4096\n"
    assert running.wait(20) == 0
    running.stdout.close()
    running.stderr.close()


def test_lines_of_an_output() -> None:
    assert (first_line("\n a \nb\n"), last_line("a\n b\n\n")) == ("a", "b")
    assert first_line(" \n").render("zh") == "没有任何信息"
