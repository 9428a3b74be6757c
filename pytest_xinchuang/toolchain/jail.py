"""Where compilers run: they see what they are shown, write to one directory, and have no network.

A manifest decides what a compiler is made to do: ``-MF``, ``.incbin`` and links name any file. ``jailer.py`` builds the wall;
this module says what is behind it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.messages import _, joined, verbatim
from pytest_xinchuang.tools.process import End, Finished, Runner
from pytest_xinchuang.tools.versions import toolchains

JAILER = Path(__file__).with_name("jailer.py")

_KILLED = 128
"""jailer.py adds it to the number of the signal that killed the compiler."""


class Isolation(StrEnum):
    """What stands around a compiler, best first."""

    NAMESPACES = "namespaces"
    """A root directory of its own, in namespaces without a network."""
    LANDLOCK = "landlock"
    """The kernel's allow-list of files and of TCP, where namespaces are not to be had. Compilers' caches are shared."""
    NONE = "none"
    """Nothing: flags and dependencies are checked alone."""


@dataclass(frozen=True)
class Sights:
    """What a compiler sees and may write.

    Attributes:
        read: files and directories, read-only.
        written: directories that it may write to.
        layers: a directory that it may seem to write to -> where that is kept instead.
        instead: a file of ``/proc`` -> what is shown in its place, behind namespaces; Landlock bars such a file.
    """

    read: tuple[Path, ...]
    written: tuple[Path, ...]
    layers: Mapping[Path, Path] = field(default_factory=dict)
    instead: Mapping[Path, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Jailed:
    """A compiler's run.

    Attributes:
        refused: the better ways that this host bars -> what it says.
    """

    finished: Finished
    isolation: Isolation
    refused: Mapping[str, str]


@dataclass(frozen=True)
class Jail:
    """Runs compilers.

    Attributes:
        ways: those that are tried, in this order.
    """

    runner: Runner = field(default_factory=Runner)
    ways: tuple[Isolation, ...] = tuple(Isolation)

    def run(
        self,
        argv: Sequence[str],
        sights: Sights,
        *,
        scratch: Path,
        cwd: Path,
        env: Mapping[str, str],
        timeout_s: float,
    ) -> Jailed:
        """Run a program to its exit.

        Args:
            scratch: a directory of this run's own that the program does not see.
            env: its whole environment.

        Raises:
            ToolchainFault: there is no way to run it here, or it did not come to an exit of its own.
        """
        root, status = scratch / "root", scratch / "status.json"
        root.mkdir(exist_ok=True)
        status.unlink(missing_ok=True)
        orders = {
            "ways": [way.value for way in self.ways],
            "root": str(root),
            "read": [str(path) for path in dict.fromkeys(sights.read)],
            "write": [str(path) for path in sights.written],
            "layers": {str(path): str(above) for path, above in sights.layers.items()},
            "instead": {str(path): str(shown) for path, shown in sights.instead.items()},
            "cwd": str(cwd),
            "argv": list(argv),
        }
        words = [sys.executable, "-I", "-S", str(JAILER), json.dumps(orders), str(status)]
        done = self.runner.run(words, timeout_s=timeout_s, cwd="/", env=env)
        done.exited(ToolchainFault, mend=toolchains())
        try:
            told = json.loads(status.read_text(encoding="utf-8"))
            isolation, refused = told["isolation"], told["refused"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ToolchainFault(
                _("a compiler could not be started: {why}", why=verbatim(done.errors.strip()[-300:]) or error)
            ) from error
        if isolation is None:
            why = joined(_("{way}: {why}", way=way, why=verbatim(said)) for way, said in refused.items())
            raise ToolchainFault(
                _("a compiler cannot be isolated on this host: {why}", why=why),
                mend=_("allow user namespaces, or run a kernel with Landlock (Linux 6.7)"),
            )
        return Jailed(_of_the_compiler(argv, done), Isolation(isolation), refused)


def _of_the_compiler(argv: Sequence[str], done: Finished) -> Finished:
    """The end as the compiler's own.

    Raises:
        ToolchainFault: a signal killed it.
    """
    code = done.code or 0
    killed = code > _KILLED
    finished = Finished(
        tuple(argv),
        End.SIGNALED if killed else End.EXITED,
        None if killed else code,
        code - _KILLED if killed else None,
        done.stdout,
        done.stderr,
        done.seconds,
    )
    return finished.exited(ToolchainFault, mend=toolchains())
