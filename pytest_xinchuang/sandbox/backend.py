"""What a backend is, and what it may ask of the run that opens it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.messages import Message
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.circumstances import Circumstances
from pytest_xinchuang.sandbox.protocol import Sandbox
from pytest_xinchuang.tools.process import Runner

Hindrances = dict[str, Message]
"""What a host has been seen to hinder, by a name: the reason."""


class Opening(Protocol):
    """What the run that opens a sandbox says of itself; the pool is one.

    Attributes:
        store: emulators, root filesystems and kernels.
        timeout_scale: by what the run multiplies every time-out.
        runner: runs programs with time-outs that are scaled so.
        image: the container image that was named instead of the platform's own.
        run_id: tells the sandboxes of this run from those of another.
        keep: whether a sandbox is left as it is when it is closed, to be looked at.
        hindrances: what this run has found the host to hinder, so that it is not tried for each sandbox again.
    """

    @property
    def store(self) -> Store: ...
    @property
    def timeout_scale(self) -> float: ...
    @property
    def runner(self) -> Runner: ...
    @property
    def image(self) -> str | None: ...
    @property
    def run_id(self) -> str: ...
    @property
    def keep(self) -> bool: ...
    @property
    def hindrances(self) -> Hindrances: ...


@dataclass(frozen=True)
class Backend:
    """One way to open the sandbox of a platform.

    Attributes:
        open: opens it; raises HostFault when it cannot be opened here.
        adapts: whether it can open under other circumstances than the platform's own; a variant of the CPU is asked of all.
        boots: whether it boots a real kernel, and can boot another than the platform's own.
    """

    open: Callable[[Opening, Platform, Circumstances], Sandbox]
    adapts: bool = False
    boots: bool = False


@dataclass(frozen=True)
class BackendTable:
    """The backends of a run by the names that ``--xc-backend`` takes.

    Attributes:
        reference: opens the place of the x86-64 runs that a target's output is compared with.
    """

    backends: Mapping[str, Backend]
    reference: Callable[[Opening, Circumstances], Sandbox]

    @property
    def booting(self) -> Backend:
        """The backend that boots a real kernel."""
        return next(backend for backend in self.backends.values() if backend.boots)
