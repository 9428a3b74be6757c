"""What becomes of an error that nobody expected: a file with what a maintainer needs, and one sentence for whoever met it."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from pytest_xinchuang.core.resources import cache_dir
from pytest_xinchuang.messages import Message, _, told, verbatim

DISTRIBUTIONS = (
    "pytest-xinchuang",
    "pytest",
    "pydantic",
    "pydantic_core",
    "PyYAML",
    "libclang",
    "ziglang",
    "docker",
)
LONGEST = 300
"""Characters of an error that are told."""
KEPT = 20
"""Files in the cache; older ones go."""
_SECRETS = re.compile(r"(?<=://)[^/@\s'\"]+@")
"""User and password of a URL."""


def traceback_of(error: BaseException) -> str:
    """The whole traceback; what stands in URLs before the host is left out."""
    return _SECRETS.sub("***@", "".join(traceback.format_exception(error)))


def write_report(error: BaseException, doing: Sequence[str]) -> Path | None:
    """Write the traceback and the versions of all that takes part into the cache, else to TMPDIR; None: there is no room.

    Args:
        doing: the words of the command, or the names of what was being done.
    """
    lines = [
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        _SECRETS.sub("***@", " ".join(map(repr, doing))),
        f"Python {sys.version}",
        " ".join((platform.system(), platform.release(), platform.machine())),
        *_versions(),
        "",
        traceback_of(error),
    ]
    data = "\n".join(lines).encode("utf-8", "backslashreplace")
    name = f"xc-error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    for place in (cache_dir() / "errors", Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            # O_EXCL: in a directory that others write to, nothing of theirs is followed or overwritten.
            descriptor = os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            _forget_old(place)
            return place / name
    return None


def _versions() -> Iterator[str]:
    for name in DISTRIBUTIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            yield f"{name} {metadata.version(name)}"


def _forget_old(place: Path) -> None:
    for old in sorted(place.glob("xc-error-*.txt"))[:-KEPT]:
        with contextlib.suppress(OSError):
            old.unlink()


def what_broke(error: BaseException) -> Message:
    """The error in a few words."""
    said = told(error)
    shown = said if len(said) <= LONGEST else verbatim(said[:LONGEST])
    return _("pytest-xinchuang itself broke: {kind}: {error}", kind=verbatim(type(error).__name__), error=shown)


def mend_of(report: Path | None) -> Message:
    """What to do about it."""
    if report is None:
        return _("run it again with --debug, and send what it shows to the maintainers")
    return _("send {file} to the maintainers: it has the traceback and the versions", file=verbatim(str(report)))
