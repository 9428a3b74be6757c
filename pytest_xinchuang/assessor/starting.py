"""How a sealed process is started: by its own first file, with nothing of the environment but an allow-list."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.assessor import bootstrap
from pytest_xinchuang.core.locks import lock as take
from pytest_xinchuang.packages.base import ONLY
from pytest_xinchuang.packages.option import PackageOption

PREFIX = "xc-grade-"
"""How the directory of a sealed process begins, in which it works; it removes it at its end."""

PLACES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/go/bin")
"""Where a sealed assessor finds programs, besides those that are installed beside its Python."""

_KEPT = frozenset(
    {
        *("HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
        *("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES"),
        *("TERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "CI"),
        *("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "PIP_INDEX_URL"),
        *("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"),
        *("GOPATH", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE"),
    }
)
"""What is handed on of the environment, besides ``XC_*``: who and where the user is, how to speak, and ways to fetch."""

_PATHS = frozenset({"PATH", "FILE", "DIR", "DIRECTORY"})
"""Metavars of options whose values are paths: the assessor stands elsewhere, so they are made absolute."""

_SCRIPT = Path(bootstrap.__file__).resolve()


_YOUNG_S = 60.0
"""Seconds in which a directory was made and may not be locked yet."""


@dataclass(frozen=True)
class Place:
    """The directory of one sealed process.

    Attributes:
        lock: a descriptor that the process has to inherit: while it is open, the directory is somebody's.
    """

    path: Path
    lock: int

    @classmethod
    def make(cls) -> Place:
        """A new one; those that killed processes have left behind are removed.

        Raises:
            OSError: it cannot be made.
        """
        _sweep(Path(tempfile.gettempdir()))
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        take(lock, wait=True)
        os.set_inheritable(lock, True)
        return cls(path, lock)

    def hand_on(self) -> None:
        """The process has its descriptor; ours is closed."""
        os.close(self.lock)

    def remove(self) -> None:
        """The process has ended, and may not have removed it."""
        shutil.rmtree(self.path, ignore_errors=True)


def _sweep(temporary: Path) -> None:
    for path in temporary.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it is another user's, in use, or gone by now
            seen = path.lstat()
            if seen.st_uid != os.geteuid() or time.time() - seen.st_mtime < _YOUNG_S:
                continue
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                take(lock)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def command(place: Path | str, arguments: Iterable[str]) -> list[str]:
    """What starts a sealed process.

    Args:
        place: an empty directory, which is its own.
        arguments: of pytest, and ``--workers=N``.
    """
    flags = [*bootstrap.FLAGS, "-X", f"pycache_prefix={place}/pycache"]
    return [sys.executable, *flags, str(_SCRIPT), str(place), *arguments]


def absolute(option: PackageOption, value: str, here: Path) -> str:
    """An option's value with the paths in it made absolute; a word that may be a path is one where it is there.

    Args:
        here: what paths are relative to.
    """
    if option.metavar in _PATHS:
        return str(here / value)
    parts = value.split(",") if "," in option.metavar else [value]
    return ",".join(str(here / part) if part and (here / part).exists() else part for part in parts)


def sealed_environment(told: Mapping[str, str], named: Iterable[str] = (), tools: Iterable[str] = ()) -> dict[str, str]:
    """The environment of a sealed assessor: an allow-list, and fixed places of programs.

    Args:
        named: the packages of others that take part.
        tools: more directories of programs; the journal tells PATH.
    """
    kept = {name: value for name, value in told.items() if name in _KEPT or name.startswith("XC_")}
    return {
        **kept,
        "PATH": sealed_path(tools),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        ONLY: ",".join(named),
    }


def sealed_path(tools: Iterable[str] = ()) -> str:
    """Where a sealed assessor looks for programs."""
    return ":".join(dict.fromkeys((*tools, str(Path(sys.executable).parent), *PLACES)))
