"""Hosts that are no Linux: what needs one is told in a line, with the command that does it in a container."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import Message, _, verbatim

IMAGE = "pytest-xinchuang"
"""What the pages call the image that is built from docs/ci/Containerfile."""

_NAMES = {"Darwin": "macOS"}


def is_linux() -> bool:
    """Whether target code can be run on this host itself."""
    return sys.platform.startswith("linux")


def host_name() -> str:
    """What people call this system."""
    system = platform.system() or sys.platform
    return _NAMES.get(system, system)


def in_container(words: Sequence[str]) -> str:
    """The command that runs another in a container, in this directory, for PowerShell, bash and zsh alike.

    The cache outlives it, in a volume.
    """
    command = shlex.join(word.replace("\\", "/") if sys.platform == "win32" else word for word in words)
    return f'docker run --rm -v "${{PWD}}:/work" -v xc-cache:/cache {IMAGE} {command}'


def our_words() -> list[str]:
    """The command line of this process, as it would be said in the container."""
    program = Path(sys.argv[0])
    name = program.parent.name if program.stem == "__main__" else program.stem
    return ["pytest" if name in ("pytest", "py.test") else "xc", *sys.argv[1:]]


def demand_linux(what: Message) -> None:
    """Refuse what cannot be done on this host.

    Args:
        what: e.g. ``a sandbox``.

    Raises:
        HostFault: it is no Linux.
    """
    if not is_linux():
        raise _refused(what)


def no_sandbox() -> HostFault:
    """What is told where target code cannot run."""
    return _refused(_("a sandbox"))


def _refused(what: Message) -> HostFault:
    return HostFault(
        _("{what} needs Linux, and this is {system}", what=what, system=verbatim(host_name())),
        mend=verbatim(in_container(our_words())),
    )
