"""Runs of pytest inside tests, each in a process of its own that need not import everything first.

A server has imported what a run imports, in a run of its own, and forks for each run: nothing of one reaches another. The
forked process has the environment, the directory and the arguments that ``runpytest_subprocess`` would have started one with,
and ends as that one does. What looks at how a process was started (its command line, its first environment) needs one that was.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.others import INSIDE

_FIRST = (*INSIDE, "-p", "no:randomly", "-p", "no:cacheprovider", "-W", "error", "-q")
_ACTIVE = ("--xc-platform=phytium", "--xc-suite=mru", "--collect-only")


def run(pytester: pytest.Pytester, *arguments: str | os.PathLike[str]) -> pytest.RunResult:
    """As ``pytester.runpytest_subprocess``."""
    server = _Server.running()
    if os.environ.get("PYTHONPATH", "") != server.path:  # it would import something else
        return pytester.runpytest_subprocess(*arguments)

    def forked(*command: str | os.PathLike[str], timeout: float | None = None) -> pytest.RunResult:
        started = time.monotonic()
        words = [os.fspath(word) for word in command]
        assert words[:2] == [sys.executable, "-mpytest"] and timeout is None
        files = [str(pytester.path / name) for name in ("stdout", "stderr")]
        ret = server.ask(words[2:], files)
        out, err = (Path(file).read_text(encoding="utf-8").splitlines() for file in files)
        for line in out:
            print(line)
        for line in err:
            print(line, file=sys.stderr)
        status: int | pytest.ExitCode = ret
        if ret in list(pytest.ExitCode):
            status = pytest.ExitCode(ret)
        return pytest.RunResult(status, out, err, time.monotonic() - started)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytester, "run", forked)
        return pytester.runpytest_subprocess(*arguments)


class _Server:
    """The process that forks; it ends when this one does.

    Attributes:
        path: its PYTHONPATH.
    """

    _one: _Server | None = None

    def __init__(self) -> None:
        self.path = os.environ.get("PYTHONPATH", "")
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", str(theirs.fileno())],
                cwd=Path(__file__).parents[1],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._lines = ours.makefile("rw", encoding="utf-8")
        ours.close()
        atexit.register(self._end)

    def _end(self) -> None:
        self._lines.close()
        self._process.wait()

    @classmethod
    def running(cls) -> _Server:
        if cls._one is None or cls._one._process.poll() is not None:
            cls._one = cls()
        return cls._one

    def ask(self, arguments: list[str], files: list[str]) -> int:
        """Run pytest as this process is now, and return how it has ended, as ``subprocess`` has it."""
        asked = {"arguments": arguments, "files": files, "environment": dict(os.environ), "directory": str(Path.cwd())}
        self._lines.write(json.dumps(asked) + "\n")
        self._lines.flush()
        return int(json.loads(self._lines.readline()))


def serve(connection: socket.socket) -> dict[str, Any]:
    """Import everything, and fork for each line that comes.

    Returns:
        In a forked process: what it has to be.
    """
    with tempfile.TemporaryDirectory() as place:
        Path(place, "test_nothing.py").write_text("def test_nothing(): pass\n")
        before, path, here = dict(os.environ), list(sys.path), Path.cwd()
        os.chdir(place)
        os.environ["XC_IN_PROCESS"] = "1"
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            kept = os.dup(1)
            os.dup2(nowhere.fileno(), 1)
            status = pytest.main([*_FIRST, *_ACTIVE])
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)
        assert status == 0, status
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
        sys.path[:] = path
    # Of the run itself nothing is left: its tests, and those of the suite.
    for name in [name for name in sys.modules if name.startswith("test_") or name.partition(".")[0] == "conformance"]:
        del sys.modules[name]
    gc.collect()
    gc.freeze()
    lines = connection.makefile("rw", encoding="utf-8")
    for line in lines:
        asked: dict[str, Any] = json.loads(line)
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if not child:
            lines.detach()
            connection.close()
            return asked
        _pid, status = os.waitpid(child, 0)
        lines.write(f"{os.waitstatus_to_exitcode(status)}\n")
        lines.flush()
    os._exit(0)


def become(asked: dict[str, Any]) -> int:
    """Be what was asked for: ``python -m pytest ARGUMENTS``."""
    os.chdir(asked["directory"])
    environment = asked["environment"]
    old = environment.get("PYTHONPATH", "")
    environment["PYTHONPATH"] = ":".join(filter(None, [asked["directory"], old]))
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # it is asked for again
    for number, file in enumerate(asked["files"], 1):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    # -m puts the directory first, and so does PYTHONPATH of pytester's.
    sys.path[0:1] = [asked["directory"], asked["directory"]]
    sys.argv = [str(Path(pytest.__file__).with_name("__main__.py")), *asked["arguments"]]
    return int(pytest.console_main())


if __name__ == "__main__":
    # Not ``sys.exit`` in ``serve``: a run ends as every process does, and its parent's frames are gone.
    sys.exit(become(serve(socket.socket(fileno=int(sys.argv[1])))))
