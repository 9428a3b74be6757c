"""The order of ways to open a sandbox: the first that is whole on this host is taken, and it tells what was passed over."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pytest_xinchuang.core.errors import HostFault, SandboxFault
from pytest_xinchuang.messages import Message, _, joined, system_error, verbatim
from pytest_xinchuang.sandbox import trial
from pytest_xinchuang.sandbox.backend import Hindrances
from pytest_xinchuang.sandbox.protocol import Sandbox
from pytest_xinchuang.sandbox.situation import WITHOUT_EFFECT, Hindrance, hindrances, mend_for, why_refused
from pytest_xinchuang.tools.process import Runner

TRIAL_TIMEOUT_S = 10
ROOTLESS = _("rootless qemu-user")
KERNEL = _("a real kernel under qemu-system")

Refused = list[tuple[Hindrance, Message]]
"""What of a rootless sandbox the kernel refuses, with its words."""


def refused() -> Refused | None:
    """Try the steps of a rootless sandbox, without one; None: they could not be tried."""
    done = Runner().run([sys.executable, "-I", "-S", trial.__file__], timeout_s=TRIAL_TIMEOUT_S, cwd="/")
    if not done.ok:
        return None
    return [(why_refused(step, number), system_error(number)) for step, number in json.loads(done.text)]


def foreseen() -> Message:
    """Which way `auto` will take on this host, as far as can be told before anything is opened, and what would be quicker."""
    found = refused()
    if Hindrance.MACHINE in hindrances():
        found = [(Hindrance.MACHINE, _("another architecture"))]
    if found is None:
        return _("it shows when the first sandbox opens")
    against = next((hindrance for hindrance, _why in found if hindrance not in WITHOUT_EFFECT), None)
    if against is None:
        return ROOTLESS
    return _("{way}, since {why}; quicker: {mend}", way=KERNEL, why=against.word, mend=mend_for(against))


@dataclass(frozen=True)
class Way:
    """One way to open a sandbox.

    Attributes:
        name: for people.
        key: under which it is remembered for the run that the host hinders it; "": it is tried each time.
        hindered: whether a fault means that the host does not allow this way, so that the next one is tried.
        telling: whether what hinders it now hinders it for the rest of the run.
    """

    name: Message
    open: Callable[[], Sandbox]
    key: str = ""
    hindered: Callable[[HostFault], bool] = lambda _fault: True
    telling: bool = True


def refuses_namespaces(fault: HostFault) -> bool:
    """Whether the host refuses what a rootless sandbox is made of."""
    return isinstance(fault, SandboxFault) and fault.namespaces


def open_first_whole(
    ways: Sequence[Way], known: Hindrances, last_resort: Callable[[], Sandbox] | None = None
) -> Sandbox:
    """Open the first way that is whole: its sandbox is not degraded. Where none is, the first that opened degraded.

    The fingerprint of what is opened names each better way with the reason why it was not taken.

    Args:
        known: what the host has been seen to hinder, by the keys of ways; it is added to.
        last_resort: opens what is left where no way opened at all.

    Raises:
        HostFault: no way can be opened here; or one failed for a reason that lies not in this way.
    """
    passed_over: list[tuple[Way, Message]] = []
    degraded: tuple[Sandbox, int] | None = None
    first: HostFault | None = None
    try:
        for way in ways:
            why = known.get(way.key) if way.key else None
            if why is None:
                try:
                    sandbox = way.open()
                except HostFault as fault:
                    if not way.hindered(fault):
                        raise
                    why, first = fault.what, first or fault
                else:
                    if not sandbox.fingerprint.degraded:
                        return _noted(sandbox, passed_over)
                    why = sandbox.fingerprint.degraded
                    if degraded is None:
                        degraded = sandbox, len(passed_over)
                    else:
                        sandbox.close()
                if way.key and way.telling:
                    known[way.key] = why
            passed_over.append((way, why))
        if degraded is not None:
            (sandbox, at), degraded = degraded, None
            return _noted(sandbox, [*passed_over[:at], *passed_over[at + 1 :]])
    finally:
        if degraded is not None:
            degraded[0].close()
    if last_resort is not None:
        return _noted(last_resort(), passed_over)
    raise SandboxFault(
        joined([_told(*one) for one in passed_over]), mend=first.mend if first else verbatim("xc doctor")
    ) from first


def _told(way: Way, why: Message) -> Message:
    return _("{way}: {why}", way=way.name, why=why)


def _noted(sandbox: Sandbox, passed_over: Sequence[tuple[Way, Message]]) -> Sandbox:
    told = (*sandbox.fingerprint.passed_over, *(_told(*one) for one in passed_over))
    sandbox.fingerprint = replace(sandbox.fingerprint, passed_over=told)
    return sandbox
