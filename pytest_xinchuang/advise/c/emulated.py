"""Builds programs of a tree and runs them in sandboxes, on x86-64 and on platforms."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_xinchuang.advise.c.trial import Program, Ran
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.errors import BuildFailed, HostFault
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.sandbox.protocol import WORK_DIR, Ended, Limits, Outcome, Sandbox
from pytest_xinchuang.toolchain.builder import Target

LIMITS = Limits(wall_s=20.0, output_mb=1)
"""A program that shows something does so within seconds, and what never ends is not waited for."""

_LIBRARIES = ("m", "pthread", "dl")
_PROGRAM = f"{WORK_DIR}/program"


@dataclass
class Emulated:
    """A ``trial.Bench``."""

    tree: SourceTree
    work: Work
    _built: dict[tuple[str, str], bytes | None] = field(default_factory=dict)

    def __call__(self, program: Program, platform: str, arguments: tuple[str, ...]) -> Ran | None:
        running = self.work.running
        if running is None or self.work.budget.spent:
            return None
        known = next((p for p in self.work.platforms if p.id == platform), None)
        data = self._build(program, known)
        if data is None:
            return None
        try:
            sandbox = running.pool.sandbox(known) if known is not None else running.pool.reference()
            return _ended(_run(sandbox, data, arguments))
        except HostFault:
            return None

    def _build(self, program: Program, platform: Platform | None) -> bytes | None:
        running = self.work.running
        architecture = platform.architecture if platform is not None else self.work.baseline.architecture
        arch = platform.arch if platform is not None else self.work.baseline.arch
        key = (program.main, arch.value)
        if running is not None and key not in self._built:
            root = self.tree.root
            sources = [root / source for source in program.sources]
            target = Target(arch, architecture, architecture.libc_base)
            try:
                self._built[key] = running.builder.c(
                    target, sources, flags=program.words, libraries=_LIBRARIES, within=root
                )
            except (BuildFailed, HostFault):
                self._built[key] = None
        return self._built.get(key)


def _run(sandbox: Sandbox, data: bytes, arguments: tuple[str, ...]) -> Outcome:
    sandbox.reset()
    sandbox.put(_PROGRAM, data, executable=True)
    return sandbox.run([_PROGRAM, *arguments], limits=LIMITS)


def _ended(outcome: Outcome) -> Ran | None:
    if outcome.ended is Ended.EXITED and outcome.code is not None:
        return Ran(outcome.code, outcome.stdout)
    if outcome.ended is Ended.SIGNALED and outcome.signal is not None:
        return Ran(-outcome.signal, outcome.stdout)
    return None
