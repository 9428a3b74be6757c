"""Known differences between an emulator's answers and those of the target's kernel: data, each with its reason."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from pydantic import Field

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.kernel_calls import lacking_on
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.core.requirement import Text
from pytest_xinchuang.core.syscall_names import names_of
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import Message, _, joined
from pytest_xinchuang.sandbox.protocol import Outcome, Sandbox
from pytest_xinchuang.sandbox.tracing import Trace


class KnownDifference(FrozenData):
    """Probes that an emulator answers otherwise than a kernel.

    Attributes:
        probes: ids, or the beginning of ids with a final ``*``.
        archs: where; none means everywhere.
        believe: the fidelity of those whose answer holds.
    """

    probes: tuple[str, ...] = Field(min_length=1)
    archs: tuple[str, ...] = ()
    believe: Fidelity = Fidelity.EMULATED_SYSTEM
    reason: Text

    def covers(self, probe: str, arch: str) -> bool:
        if self.archs and arch not in self.archs:
            return False
        return any(probe == p or (p.endswith("*") and probe.startswith(p[:-1])) for p in self.probes)


class LackingCalls(FrozenData):
    """System calls that an emulator does not implement.

    Attributes:
        libc: libc itself tries them, and does without.
    """

    calls: tuple[str, ...] = Field(min_length=1)
    libc: bool = False
    reason: Text


class Emulator(FrozenData):
    """One emulator: calls that it does not implement, and probes that it answers otherwise than a kernel."""

    calls: tuple[LackingCalls, ...] = ()
    probes: tuple[KnownDifference, ...] = ()


class EmulatorsFile(FrozenData):
    format: str = Field(alias="schema", pattern=r"^xc-emulators/1$")
    emulators: dict[str, Emulator]


@functools.cache
def load_emulators() -> EmulatorsFile:
    """The shipped list. Raises DataFileError."""
    return YamlFile(resources.conformance_dir() / "emulators.yaml").parse(EmulatorsFile)


def lacking_calls(emulator: str = "qemu-user", *, libc: bool = True) -> frozenset[str]:
    """Calls that an emulator does not implement, whatever kernel is beneath it.

    Args:
        libc: with those that libc itself tries, and does without.
    """
    rows = load_emulators().emulators[emulator].calls
    return frozenset(name for row in rows if libc or not row.libc for name in row.calls)


ANSWERED_MEND = _("--xc-backend=system, or `xc kernel import` of the platform's own kernel")


def to_be_refused(sandbox: Sandbox, platform: Platform) -> frozenset[str]:
    """Calls that a trace has to show refused: the platform's kernel lacks or may lack them, and it is not that kernel."""
    return frozenset() if sandbox.fingerprint.own_kernel else lacking_on(platform).names


def answered_text(called: Sequence[str], platform: Platform) -> Message:
    """The reason to leave a program undecided that made such calls and was not refused."""
    calls, kernel = joined(called, _(", ")), platform.system.kernel.value
    if kernel is None:
        return _("it calls {calls}, which the platform's kernel may lack, and this sandbox answers", calls=calls)
    return _(
        "it calls {calls}, which Linux {kernel} lacks or may lack, and this sandbox answers",
        calls=calls,
        kernel=kernel,
    )


def not_emulated(traced: Outcome, platform: Platform) -> tuple[str, ...]:
    """System calls that the run made, the platform's kernel has, and qemu-user does not implement; and ``socket`` where the
    sandbox refused an address family that the kernel may have."""
    trace = Trace.of(traced)
    made = trace.counts(names_of(platform.architecture.names["go"]))
    lacking = made.keys() & lacking_calls(libc=False) - lacking_on(platform).absent.keys()
    return tuple(sorted(lacking | trace.refused_families()))


def known_difference(probe: str, arch: str, emulator: str) -> KnownDifference | None:
    """Why an emulator answers a probe otherwise, if that is known."""
    known = load_emulators().emulators.get(emulator)
    return next((d for d in known.probes if d.covers(probe, arch)), None) if known else None
