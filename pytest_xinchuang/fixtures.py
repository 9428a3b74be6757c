"""Fixtures. Importing this file costs nothing: what they need is imported when they are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_xinchuang.model.platform import Platform
    from pytest_xinchuang.model.subject import Subject
    from pytest_xinchuang.recording import Check, ItemRecord
    from pytest_xinchuang.sandbox.protocol import Limits, Outcome, Process, Sandbox
    from pytest_xinchuang.session import XcSession
    from pytest_xinchuang.toolchain.builder import Builder, Target


def _session(request: pytest.FixtureRequest) -> XcSession:
    if not request.config.pluginmanager.has_plugin("xinchuang-run"):
        pytest.skip("needs --xc-platform")
    from pytest_xinchuang.session import SESSION

    return request.config.stash[SESSION]


@pytest.fixture(scope="session")
def xc_platform(request: pytest.FixtureRequest) -> Platform:
    """The platform that this test runs for; a test that uses it runs once for each selected one."""
    _session(request)
    platform: Platform = request.param
    return platform


@pytest.fixture(scope="session")
def xc_subject(request: pytest.FixtureRequest) -> Subject:
    """The subject that is graded."""
    return _session(request).subject


class Evidence:
    """What a test has seen, for its requirement."""

    def __init__(self, record: ItemRecord, sandbox: Sandbox | None = None) -> None:
        self._record = record
        self._sandbox = sandbox

    def record(self, kind: str, **data: Any) -> None:
        """Keep an observation that was not made by running something in ``xc_sandbox``; its fidelity is ``static``."""
        from pytest_xinchuang.model.verdict import Fidelity

        self._record.add({"kind": kind, **data}, Fidelity.STATIC)


class RecordingSandbox:
    """A sandbox whose every run is kept as evidence of the test that made it."""

    def __init__(self, sandbox: Sandbox, record: ItemRecord) -> None:
        self._sandbox = sandbox
        self._record = record
        self.fingerprint = sandbox.fingerprint

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: str = "/work",
        limits: Limits | None = None,
        trace: bool = False,
    ) -> Outcome:
        """Run a command to its end; see the sandbox protocol.

        Raises:
            SandboxFault: the end was ours and not the command's, so that no assertion can mistake it.
        """
        from pytest_xinchuang.errors import SandboxFault
        from pytest_xinchuang.mru.engine import digest_of

        outcome = self._sandbox.run(argv, stdin=stdin, env=env, cwd=cwd, limits=limits, trace=trace)
        self._record.add({"kind": "run", **digest_of(outcome)}, self.fingerprint.fidelity)
        if outcome.is_fault:
            raise SandboxFault(f"{argv[0]}: {outcome.describe()}")
        return outcome

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/work",
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


@pytest.fixture
def xc_evidence(request: pytest.FixtureRequest) -> Evidence:
    """Keeps observations as evidence for the requirements that the test is marked with."""
    from pytest_xinchuang.recording import record_of

    return Evidence(record_of(request.node))


@pytest.fixture
def xc_sandbox(request: pytest.FixtureRequest, xc_platform: Platform) -> RecordingSandbox:
    """The sandbox of ``xc_platform``, emptied for this test."""
    from pytest_xinchuang.markers import least_fidelity
    from pytest_xinchuang.model.verdict import Fidelity
    from pytest_xinchuang.recording import record_of

    sandbox = _session(request).pool.sandbox(xc_platform)
    least = least_fidelity(request.node)
    if least is not None and sandbox.fingerprint.fidelity < Fidelity(least):
        pytest.skip(f"needs {least}; this sandbox is {sandbox.fingerprint.fidelity}")
    sandbox.reset()
    return RecordingSandbox(sandbox, record_of(request.node))


class Toolchain:
    """Builds C and Go for one platform."""

    def __init__(self, builder: Builder, target: Target) -> None:
        self._builder, self.target = builder, target

    def c(self, *sources: Any, flags: Sequence[str] = (), libraries: Sequence[str] = ()) -> bytes:
        """Compile and link C sources (paths); returns the program. Raises BuildFailed, ToolchainFault."""
        from pathlib import Path

        return self._builder.c(self.target, [Path(s) for s in sources], flags=flags, libraries=libraries)

    def go(self, directory: Any, *, cgo: bool = False) -> bytes:
        """Build the Go main package in ``directory``; returns the program. Raises BuildFailed, ToolchainFault."""
        from pathlib import Path

        return self._builder.go(self.target, Path(directory), cgo=cgo)


@pytest.fixture(scope="session")
def xc_toolchain(request: pytest.FixtureRequest, xc_platform: Platform) -> Toolchain:
    """Builds for ``xc_platform``: its CPU, and no newer libc than it has."""
    from pytest_xinchuang.mru.built import target_for

    session = _session(request)
    return Toolchain(session.builder, target_for(xc_platform, session.pool.store.rootfs_for(xc_platform)))


@pytest.fixture
def xc_mru(request: pytest.FixtureRequest, xc_platform: Platform) -> Check:
    """For the MRU checks: decides the requirements that the test is marked with."""
    from pytest_xinchuang.recording import Check

    return Check(request.node, _session(request).mru(xc_platform).decision)
