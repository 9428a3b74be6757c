"""Runs units: on the target in its sandbox, and once for all platforms as their twins on x86-64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from pytest_xinchuang.building.built import Built, build, reference_target, target_for
from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.finding import load_findings
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.core.subject import Subject, Unit
from pytest_xinchuang.packages.mru.recorded import Recorded
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Ended, Limits, Outcome, Sandbox, logs_apart
from pytest_xinchuang.sandbox.tracing import Trace, is_whole
from pytest_xinchuang.toolchain.builder import Builder

ELSEWHERE = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "CST-8"}
"""Another locale, and China's time zone as a POSIX string: both work without files that a minimal system may lack."""

_MANY_CALLS = 20_000
"""A run with more system calls may have come to our time-out by the tracing, which costs up to 0.1 ms for each."""


class ReferenceRuns(dict[str, Outcome | XcError]):
    """Runs of a subject's x86-64 twins by unit, or why a run is missing; all platforms share them."""


class Bench:
    """Runs the units of ``subject`` on ``platform``.

    Attributes:
        recorded: x86-64 runs of another machine, which are compared with instead of making them here.
        shown: behaviour that the manifest says does not apply -> the unit that showed it, and by what.
    """

    def __init__(
        self, platform: Platform, subject: Subject, pool: Pool, builder: Builder, recorded: Recorded | None = None
    ) -> None:
        self.platform = platform
        self.subject = subject
        self.pool = pool
        self.builder = builder
        self.recorded = recorded
        self.findings = load_findings()
        self.shown: dict[str, tuple[str, str]] = {}
        self._traced: tuple[Sandbox, Built, Outcome] | None = None

    @cached_property
    def subject_digest(self) -> str:
        return self.subject.digest

    def built(self, unit: Unit, salt: str = "") -> Built:
        """``unit`` as it is delivered to the platform.

        Raises:
            BuildFailed, ToolchainFault: see ``built.build``.
        """
        rootfs = self.pool.store.rootfs_for(self.platform)
        target = target_for(self.platform, rootfs)
        return build(self.builder, self.subject, unit, target, rootfs, salt, self.platform, self.short)

    @cached_property
    def short(self) -> str | None:
        return self.pool.store.platforms.file.short_of(self.platform.id)

    def execute(
        self,
        sandbox: Sandbox,
        built: Built,
        *,
        trace: bool = False,
        env: Mapping[str, str] | None = None,
        before: Callable[[Sandbox], None] | None = None,
    ) -> Outcome:
        """Run a unit in a sandbox that was reset; ``before`` changes the sandbox before the run."""
        sandbox.reset()
        for path, data in built.files.items():
            sandbox.put(path, data, executable=True)
        if before is not None:
            before(sandbox)
        return sandbox.run(
            built.argv,
            stdin=built.unit.stdin.encode(),
            env={**built.env, **(env or {})},
            cwd=built.directory,
            limits=Limits(wall_s=built.unit.limit_s),
            trace=trace,
        )

    def judged(self, sandbox: Sandbox, built: Built) -> Outcome:
        """The run that is judged: a traced one, where the trace is kept apart from the unit.

        So what is judged is what was traced: there is no other run on which a unit could do otherwise. One that the tracing
        may have spoilt is made again without.
        """
        if not logs_apart(sandbox):
            return self.execute(sandbox, built)
        outcome = self.execute(sandbox, built, trace=True)
        slow = outcome.ended is Ended.TIMED_OUT and outcome.log is not None and len(outcome.log.calls) > _MANY_CALLS
        spoilt = slow or outcome.ended is Ended.EMULATOR_FAULT
        if spoilt or is_whole(sandbox, outcome):
            self._traced = (sandbox, built, outcome)  # a spoilt one would be so again
        return self.execute(sandbox, built) if spoilt else outcome

    def traced(self, sandbox: Sandbox, built: Built) -> Outcome:
        """A traced run. The last one, which may be the one that was judged, is kept and answers later calls."""
        if (kept := self._traced) is not None and kept[0] is sandbox and kept[1] is built:
            return kept[2]
        outcome = Trace.whole(lambda: self.execute(sandbox, built, trace=True))
        if not outcome.is_fault:
            self._traced = (sandbox, built, outcome)
        return outcome

    def reference(self, unit: Unit, *, elsewhere: bool = False) -> Outcome | XcError:
        """The run of the unit's x86-64 twin (``elsewhere``: in another locale and time zone), or why it is missing."""
        key = self.reference_key(unit, elsewhere=elsewhere)
        if self.recorded is not None and key in self.recorded.runs:
            return self.recorded.runs[key]
        runs = self.pool.shared.slot(ReferenceRuns, self.subject_digest)
        if key not in runs:
            runs[key] = self._run_reference(unit, ELSEWHERE if elsewhere else {})
        return runs[key]

    def reference_key(self, unit: Unit, *, elsewhere: bool = False) -> str:
        """By what the x86-64 run of a unit is known; a script's depends on the system that it finds."""
        key = f"{unit.name} elsewhere" if elsewhere else unit.name
        return f"{key} on {self.platform.os_name}" if unit.kind in ("shell", "installer") else key

    def recorded_evidence(self, unit: Unit, *, elsewhere: bool = False) -> dict[str, str]:
        """Whose word the x86-64 run of a unit is, where it was not made here."""
        if self.recorded is None or self.reference_key(unit, elsewhere=elsewhere) not in self.recorded.runs:
            return {}
        return self.recorded.evidence

    @property
    def reference_emulated(self) -> bool:
        """Whether the x86-64 runs are an emulator's too: what takes long there says nothing of a real x86-64 machine.

        Raises:
            HostFault: there are no x86-64 runs.
        """
        if self.recorded is not None:
            return self.recorded.emulated
        return self.pool.reference().fingerprint.emulated

    def run_variant(self, unit: Unit, on_x86: bool) -> Outcome:
        """Build and run a variant of a unit, on the target or on x86-64.

        Raises:
            BuildFailed, HostFault: see ``built.build``; the x86-64 run is missing.
        """
        if on_x86:
            outcome = self._run_reference(unit, {})
            if isinstance(outcome, XcError):
                raise HostFault(outcome.what, mend=outcome.mend)
            return outcome
        return self.execute(self.pool.sandbox(self.platform), self.built(unit))

    def _run_reference(self, unit: Unit, env: Mapping[str, str]) -> Outcome | XcError:
        try:
            sandbox = self.pool.reference()
            name = self.pool.store.platforms.file.reference or ""
            rootfs = self.pool.store.rootfs(name)
            architecture = self.pool.store.platforms.file.architectures[Arch.AMD64]
            twin = build(self.builder, self.subject, unit, reference_target(architecture, rootfs), rootfs)
            return self.execute(sandbox, twin, env=env, before=lambda where: self._identify(where, unit))
        except XcError as error:
            return error

    def _identify(self, sandbox: Sandbox, unit: Unit) -> None:
        """Give the x86-64 sandbox the platform's os-release: a script's twin differs in the machine alone."""
        release = self.platform.system.os_release.value
        if unit.kind in ("shell", "installer") and release is not None:
            for path in ("/etc/os-release", "/usr/lib/os-release"):
                sandbox.put(path, release.encode())
