"""A Linux in the guise of Windows or macOS: ``python guise.py win32|darwin PROGRAM [ARGUMENT...]``, in a fresh interpreter.

PROGRAM is ``xc``, ``pytest``, ``commands`` or the path of a script. What Python lacks there is taken away (modules, functions,
constants), /proc and its like are not there, and no program but Python can be started. The standard library and packages of
others are loaded before: that these run on Windows and macOS is for their makers to see to.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import fcntl
import importlib
import importlib.abc
import io
import json
import mmap
import os
import platform
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

STANDARD = """
argparse asyncio bz2 code codecs concurrent.futures.process concurrent.futures.thread contextlib copy csv
ctypes.util curses dataclasses decimal doctest email.message faulthandler getpass gettext glob gzip hashlib html
http.client http.server importlib.metadata inspect ipaddress json logging.handlers lzma multiprocessing.connection
multiprocessing.synchronize pdb pickle pkgutil platform plistlib pprint queue random readline secrets selectors
shlex shutil site socket socketserver sqlite3 ssl statistics string subprocess sysconfig tarfile tempfile timeit
tomllib trace tracemalloc typing unittest.mock urllib.request uuid venv warnings webbrowser weakref
xml.etree.ElementTree xml.sax xmlrpc.client zipfile zipimport zoneinfo
""".split()  # noqa: SIM905
OF_OTHERS = """
argcomplete asn1crypto.x509 asn1crypto.keys capstone clang.cindex cryptography.x509 cyclonedx docker execnet gmssl
hypothesis iced_x86 junit_xml numpy packaging pluggy pydantic pytest tree_sitter tree_sitter_go xdist.plugin
yaml zstandard
""".split()  # noqa: SIM905

NO_UNIX_MODULES = """
crypt fcntl grp nis posix pty pwd readline resource spwd syslog termios tty curses
""".split()  # noqa: SIM905
MODULES = {"win32": NO_UNIX_MODULES, "darwin": ["spwd", "ossaudiodev"]}

LINUX_ALONE = """
copy_file_range eventfd eventfd_read getxattr listxattr memfd_create pidfd_open posix_fadvise posix_fallocate
removexattr sched_getaffinity sched_setaffinity sched_getparam setns setxattr splice unshare waitid getresuid
setresuid O_CLOFORK O_DIRECT O_LARGEFILE O_NOATIME O_PATH O_RSYNC O_TMPFILE P_PIDFD WNOWAIT WEXITED P_PID
""".split()  # noqa: SIM905
"""Of ``os``; macOS had no waitid before Python 3.13."""
NOT_ON_WINDOWS = """
WEXITSTATUS WIFEXITED WIFSIGNALED WNOHANG WTERMSIG chown chroot fchdir fchmod fchown fork forkpty getegid geteuid
getgid getgroups getpgid getpgrp getpriority getsid getuid initgroups killpg lchown mkfifo mknod nice openpty
pathconf pipe2 posix_spawn posix_spawnp pread preadv pwrite pwritev sched_yield sendfile setegid seteuid setgid
setgroups setpgid setpriority setregid setreuid setsid setuid statvfs sync sysconf tcgetpgrp tcsetpgrp uname wait
wait3 wait4 register_at_fork readv writev confstr ctermid get_blocking set_blocking getloadavg lockf O_ACCMODE
O_ASYNC O_CLOEXEC O_DIRECTORY O_DSYNC O_NDELAY O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC
""".split()  # noqa: SIM905
FUNCTIONS = {"win32": [*LINUX_ALONE, *NOT_ON_WINDOWS], "darwin": LINUX_ALONE}

SIGNALS_OF_WINDOWS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN"}
SIGNALS_OF_LINUX_ALONE = {"SIGCLD", "SIGPOLL", "SIGPWR", "SIGRTMAX", "SIGRTMIN", "SIGSTKFLT"}

IDENTITY = {"win32": ("Windows", "10", "AMD64"), "darwin": ("Darwin", "24.0.0", "arm64")}

NOT_THERE = ("/proc", "/sys", "/dev/shm", "/dev/kvm", "/etc/os-release", "/usr/lib/os-release")


class Hidden(importlib.abc.MetaPathFinder):
    """Modules that are not to be found."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = set(names)

    def find_spec(self, name: str, *_more: Any) -> None:
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def put_on(system: str) -> None:
    """Take away what this system's Python has not got."""
    for name in (*STANDARD, *OF_OTHERS):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with contextlib.suppress(ImportError):
        importlib.import_module("clang.cindex").Index.create()  # which loads a library of another name there
    disk_usage = shutil.disk_usage("/")
    _identity(system)
    for name in MODULES[system]:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Hidden(MODULES[system]))
    _without(os, FUNCTIONS[system])
    _signals(system)
    change(ctypes, "CDLL", _library(system))
    if system == "win32":
        sys.modules["msvcrt"] = _msvcrt()
        _without(mmap, [name for name in dir(mmap) if name.startswith(("PROT_", "MAP_"))])
        _without(socket, ["AF_UNIX", "AF_VSOCK", "AF_NETLINK", "SOCK_CLOEXEC", "SOCK_NONBLOCK"])
        _without(select, ["poll", "epoll"])
        change(subprocess, "Popen", WindowsPopen)
        change(io, "_WindowsConsoleIO", type("_WindowsConsoleIO", (io.RawIOBase,), {}))
        change(shutil, "_use_fd_functions", False)
        change(shutil, "disk_usage", lambda _path: disk_usage)
    else:
        _without(select, ["epoll"])
        _without(socket, ["SOCK_CLOEXEC", "SOCK_NONBLOCK", "AF_VSOCK", "AF_NETLINK"])
    change(tempfile, "_O_TMPFILE_WORKS", False)
    sys.addaudithook(_audit)


class WindowsPopen(subprocess.Popen[bytes]):
    """A program that is started with what Windows takes alone."""

    def __init__(self, args: Any, bufsize: int = -1, creationflags: int = 0, **more: Any) -> None:
        assert not more.keys() & {"pass_fds", "preexec_fn", "start_new_session", "process_group"}
        super().__init__(args, bufsize, start_new_session=True, **more)

    def kill(self) -> None:
        self.send_signal(9)


def change(module: Any, name: str, value: Any) -> None:
    setattr(module, name, value)


def _without(module: Any, names: Sequence[str]) -> None:
    for name in names:
        if hasattr(module, name):
            delattr(module, name)


def _identity(system: str) -> None:
    name, release, machine = IDENTITY[system]
    change(sys, "platform", system)
    change(platform, "system", lambda: name)
    change(platform, "release", lambda: release)
    change(platform, "machine", lambda: machine)
    change(platform, "platform", lambda *_args, **_more: f"{name}-{release}-{machine}")
    change(platform, "freedesktop_os_release", _no_os_release)
    change(platform, "libc_ver", lambda *_args, **_more: ("", ""))
    if system == "darwin":
        told = {"sysname": name, "nodename": "mac", "release": release, "version": "", "machine": machine}
        change(os, "uname", lambda: SimpleNamespace(**told))


def _no_os_release() -> NoReturn:
    raise OSError("Unable to read files /etc/os-release, /usr/lib/os-release")


def _msvcrt() -> ModuleType:
    """What we use of it: locking(), by the lock that a file has here."""
    modes = {"LK_UNLCK": 0, "LK_LOCK": 1, "LK_NBLCK": 2}

    def locking(descriptor: int, mode: int, number: int) -> None:
        assert number > 0 and mode == modes["LK_NBLCK"]
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PermissionError(13, "Permission denied") from error  # EACCES, as the C runtime says

    module = ModuleType("msvcrt")
    for name, value in {**modes, "locking": locking}.items():
        change(module, name, value)
    return module


def _signals(system: str) -> None:
    names = [name for name in dir(signal) if name.startswith("SIG") and name.isupper()]
    _without(
        signal,
        [n for n in names if (n not in SIGNALS_OF_WINDOWS if system == "win32" else n in SIGNALS_OF_LINUX_ALONE)],
    )
    _without(signal, ["sigtimedwait", "sigwaitinfo"])
    if system == "win32":
        _without(signal, ["pthread_sigmask", "sigwait", "alarm", "setitimer", "getitimer", "pause", "siginterrupt"])
    # Other systems number their signals otherwise: nothing may be read off them about Linux.
    members = {
        "SIGINT": 2,
        "SIGILL": 4,
        "SIGABRT": 22 if system == "win32" else 6,
        "SIGFPE": 8,
        "SIGSEGV": 11,
        "SIGTERM": 15,
    }
    if system == "darwin":
        members |= {"SIGHUP": 1, "SIGQUIT": 3, "SIGKILL": 9, "SIGBUS": 10, "SIGUSR1": 30, "SIGCHLD": 20, "SIGSTOP": 17}
    kind: Any = enum.IntEnum
    change(signal, "Signals", kind("Signals", members))


def _library(system: str) -> type:
    real: Callable[..., Any] = ctypes.CDLL

    class Foreign:
        """A C library without what Linux's alone has."""

        def __init__(self, name: Any = None, *args: Any, **more: Any) -> None:
            if name is None and system == "win32":
                raise TypeError("LoadLibrary() argument 1 must be str, not None")
            self._of_process = name is None
            self._real = real(name, *args, **more)

        def __getattr__(self, name: str) -> Any:
            if self._of_process and name in ("prctl", "unshare", "mount", "umount2", "syscall", "personality"):
                raise AttributeError(f"dlsym(RTLD_DEFAULT, {name}): symbol not found")
            return getattr(self._real, name)

    return Foreign


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str | bytes | os.PathLike):
        path = os.fsdecode(arguments[0])
        if any(path == place or path.startswith(f"{place}/") for place in NOT_THERE):
            raise FileNotFoundError(2, "No such file or directory", path)
    if event in ("subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.system"):
        program = str(arguments[0] if arguments else event)
        if program != sys.executable:
            raise FileNotFoundError(2, "No such file or directory", program)


def commands(place: str) -> int:
    """Runs the commands of ``xc`` in a JSON file, one after the other; writes exit code and outputs of each beside it."""
    from pytest_xinchuang.tools import process

    change(process, "EXE", "")  # the compilers that are looked for here are Linux's
    from pytest_xinchuang.cli import main as xc

    found: dict[str, list[Any]] = {}
    wanted = json.loads(Path(place).read_text(encoding="utf-8"))
    for name, words in wanted.items():
        streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
        change(sys, "argv", ["C:/Scripts/xc.exe", *words])
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            code = xc(words)
        for stream in streams:
            stream.seek(0)
        found[name] = [code, *(stream.read() for stream in streams)]
    Path(f"{place}.out").write_text(json.dumps(found), encoding="utf-8")
    return 0


def main() -> int:
    system, program, *arguments = sys.argv[1:]
    put_on(system)
    sys.argv = [program, *arguments]
    if program == "xc":
        from pytest_xinchuang.cli import main as xc

        return xc(arguments)
    if program == "commands":
        return commands(arguments[0])
    if program == "pytest":
        import pytest

        return int(pytest.main(arguments))
    runpy.run_path(program, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
