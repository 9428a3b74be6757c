"""What the fixtures hand to a vendor's test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import _
from pytest_xinchuang.run.recording import ItemRecord, record_of
from pytest_xinchuang.sandbox.protocol import Limits, Outcome, Process, Sandbox
from pytest_xinchuang.toolchain.builder import Builder, Target

RUNNING: pytest.StashKey[pytest.Item] = pytest.StashKey()
"""The test that is running, or is set up."""
LASTING: pytest.StashKey[dict[str, LastingRecord]] = pytest.StashKey()
"""What the sandboxes that last were seen to do, by platform."""


class Evidence:
    """What a test has seen, for its requirement."""

    def __init__(self, record: ItemRecord) -> None:
        self._record = record

    def record(self, kind: str, **data: Any) -> None:
        """Keep an observation that was not made by running something in ``xc_sandbox``; its fidelity is ``static``."""
        self._record.add({"kind": kind, **data}, Fidelity.STATIC)


class RecordingSandbox:
    """A sandbox whose every run is kept as evidence of the test that made it."""

    def __init__(self, sandbox: Sandbox, record: ItemRecord | LastingRecord) -> None:
        self._sandbox = sandbox
        self._record = record
        self.fingerprint = sandbox.fingerprint

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: str = "/xc",
        limits: Limits | None = None,
        trace: bool = False,
    ) -> Outcome:
        """Run a command to its end; see the sandbox protocol.

        Raises:
            SandboxFault: the end was ours and not the command's, so that no assertion can mistake it.
        """
        outcome = self._sandbox.run(argv, stdin=stdin, env=env, cwd=cwd, limits=limits, trace=trace)
        self._record.add({"kind": "run", **outcome.as_evidence()}, self.fingerprint.fidelity)
        if outcome.is_fault:
            raise SandboxFault(_("{argv}: {describe}", argv=argv[0], describe=outcome.describe()))
        return outcome

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/xc",
        limits: Limits | None = None,
    ) -> Process:
        """Start a command and leave it running."""
        self._record.add({"kind": "start", "argv": list(argv)}, self.fingerprint.fidelity)
        return self._sandbox.start(argv, env=env, cwd=cwd, limits=limits)

    def put(self, path: str, data: bytes, *, executable: bool = False) -> None:
        self._sandbox.put(path, data, executable=executable)

    def get(self, path: str) -> bytes:
        return self._sandbox.get(path)

    def changes(self) -> tuple[str, ...] | None:
        return self._sandbox.changes()

    def reset(self) -> None:
        self._sandbox.reset()


class LastingRecord:
    """Records for whichever test is running, and keeps what was seen while one was set up: it is evidence of all of them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._before: list[tuple[dict[str, Any], Fidelity]] = []

    def add(self, observation: dict[str, Any], fidelity: Fidelity) -> None:
        record = self._current()
        record.add(observation, fidelity)
        if not record.running:
            self._before.append((observation, fidelity))

    def _current(self) -> ItemRecord:
        return record_of(self._config.stash[RUNNING])

    def hand_on(self) -> None:
        """Give the running test what was seen before it."""
        record = self._current()
        for observation, fidelity in self._before:
            if not any(observation is known for known in record.evidence):
                record.add(observation, fidelity)


class Toolchain:
    """Builds C and Go for one platform."""

    def __init__(self, builder: Builder, target: Target) -> None:
        self._builder, self.target = builder, target

    def c(self, *sources: Any, flags: Sequence[str] = (), libraries: Sequence[str] = ()) -> bytes:
        """Compile and link C sources (paths); returns the program. Raises BuildFailed, ToolchainFault."""
        return self._builder.c(self.target, [Path(s) for s in sources], flags=flags, libraries=libraries)

    def go(self, directory: Any, *, cgo: bool = False) -> bytes:
        """Build the Go main package in ``directory``; returns the program. Raises BuildFailed, ToolchainFault."""
        return self._builder.go(self.target, Path(directory), cgo=cgo)
