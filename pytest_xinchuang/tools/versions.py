"""What a program says of its version."""

from __future__ import annotations

import functools
from pathlib import Path

from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.core.installing import install_extra
from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.tools.process import Runner, environment, first_line

TIMEOUT_S = 60

NO_TELEMETRY = {"XDG_CONFIG_HOME": "/dev/null"}
"""Where there can be no directory: the go command finds no mode of telemetry that a user has set, and uploads nothing
(golang.org/x/telemetry: the mode is a file below the user's configuration)."""


def toolchains() -> Message:
    """What brings the tool chains that builds are made with."""
    return install_extra("toolchains")


def stamp(program: str) -> tuple[int, int]:
    """What tells one installation of a program from the next under the same path: time of change (ns) and size (bytes)."""
    try:
        info = Path(program).stat()
    except OSError:
        return (0, 0)
    return (info.st_mtime_ns, info.st_size)


def version_of(program: str, *arguments: str, runner: Runner | None = None) -> str:
    """The first line that a tool prints of its version.

    Raises:
        ToolchainFault: it does not say.
    """
    return _version(program, arguments, stamp(program), runner or Runner())


@functools.cache
def _version(program: str, arguments: tuple[str, ...], _stamp: tuple[int, int], runner: Runner) -> str:
    # In a module's directory the go command would answer for the tool chain that go.mod names, and fetch it.
    env = environment({"GOTOOLCHAIN": "local", **NO_TELEMETRY})
    done = runner.run([program, *arguments], timeout_s=TIMEOUT_S, cwd="/", env=env)
    if not done.ok or not done.text.strip():
        why = done.told() if not done.ok else _("it printed nothing")
        raise ToolchainFault(
            _("{program} does not say its version: {why}", program=program, why=why), mend=toolchains()
        )
    return str(first_line(done.text))
