"""Fixtures. Importing this file costs nothing: what they need is imported when they are used."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_xinchuang.core.platform import Platform
    from pytest_xinchuang.core.subject import Subject
    from pytest_xinchuang.packages.protocol import ConformancePackage
    from pytest_xinchuang.run.handles import Evidence, RecordingSandbox, Toolchain
    from pytest_xinchuang.run.recording import Check
    from pytest_xinchuang.run.session import XcSession


def _session(request: pytest.FixtureRequest) -> XcSession:
    if not request.config.pluginmanager.has_plugin("xinchuang-run"):
        pytest.skip("needs --xc-platform")
    from pytest_xinchuang.run.session import SESSION

    return request.config.stash[SESSION]


@pytest.fixture(scope="session")
def xc_platform(request: pytest.FixtureRequest) -> Platform:
    """The platform that this test runs for; a test that uses it runs once for each selected one."""
    session = _session(request)
    chosen: Platform | None = getattr(request, "param", None)
    if chosen is None and len(session.platforms) == 1:
        chosen = session.platforms[0]
    if chosen is None:
        from pytest_xinchuang.core.errors import XcError
        from pytest_xinchuang.messages import _, verbatim

        raise XcError(
            _("several platforms are selected, and pytest does not see that this test runs for each of them"),
            mend=_("add {mark} to the test", mark=verbatim('@pytest.mark.usefixtures("xc_platform")')),
        )
    return chosen


@pytest.fixture(scope="session")
def xc_subject(request: pytest.FixtureRequest) -> Subject:
    """The subject that is graded."""
    return _session(request).subject


@pytest.fixture
def xc_evidence(request: pytest.FixtureRequest) -> Evidence:
    """Keeps observations as evidence for the requirements that the test is marked with."""
    from pytest_xinchuang.run.handles import Evidence
    from pytest_xinchuang.run.recording import record_of

    return Evidence(record_of(request.node))


@pytest.fixture
def xc_sandbox(request: pytest.FixtureRequest, xc_platform: Platform) -> RecordingSandbox:
    """The sandbox of ``xc_platform``, emptied for this test."""
    from pytest_xinchuang.core.verdict import Fidelity
    from pytest_xinchuang.messages import _
    from pytest_xinchuang.run.handles import RecordingSandbox
    from pytest_xinchuang.run.markers import least_fidelity
    from pytest_xinchuang.run.recording import record_of

    sandbox = _session(request).pool.sandbox(xc_platform)
    least = least_fidelity(request.node)
    if least is not None and sandbox.fingerprint.fidelity < Fidelity(least):
        pytest.skip(_("needs {least}; this sandbox is {fidelity}", least=least, fidelity=sandbox.fingerprint.fidelity))
    sandbox.reset()
    return RecordingSandbox(sandbox, record_of(request.node))


@pytest.fixture(scope="session")
def xc_sandbox_session(request: pytest.FixtureRequest, xc_platform: Platform) -> RecordingSandbox:
    """A second sandbox of ``xc_platform``, which lasts for the whole run and is never emptied.

    It is for what several tests share, such as a server that a fixture of your own starts, of whichever scope. What it is seen
    to do is evidence of the test that is running; what it did in a set-up is evidence of each test that uses it.
    """
    from pytest_xinchuang.run.handles import LASTING, LastingRecord, RecordingSandbox

    record = request.config.stash.setdefault(LASTING, {})[xc_platform.id] = LastingRecord(request.config)
    return RecordingSandbox(_session(request).pool.lasting(xc_platform), record)


@pytest.fixture(scope="session")
def xc_toolchain(request: pytest.FixtureRequest, xc_platform: Platform) -> Toolchain:
    """Builds for ``xc_platform``: its CPU, and no newer libc than it has."""
    from pytest_xinchuang.building.built import target_for
    from pytest_xinchuang.run.handles import Toolchain

    session = _session(request)
    return Toolchain(session.builder, target_for(xc_platform, session.pool.store.rootfs_for(xc_platform)))


@pytest.fixture
def xc_check(request: pytest.FixtureRequest, xc_platform: Platform) -> Check:
    """For the tests of a conformance package: decides the requirements that the test is marked with.

    The package is the one that the requirement is of in the catalogue.
    """
    from pytest_xinchuang.run.recording import Check

    session = _session(request)
    return Check(request.node, lambda requirement_id: session.decision(requirement_id, xc_platform))


def of_packages(packages: Iterable[ConformancePackage]) -> ModuleType:
    """A plugin with the fixture ``xc_<package>`` of each package: older names of ``xc_check``."""
    plugin = ModuleType("xinchuang-packages")
    for package in packages:
        setattr(plugin, f"xc_{package.name}", _fixture_of(package.name))
    return plugin


def _fixture_of(name: str) -> object:
    @pytest.fixture(name=f"xc_{name}")
    def fixture(request: pytest.FixtureRequest, xc_platform: Platform) -> Check:
        """Decides the requirements that the test is marked with, by the engine of one package."""
        from pytest_xinchuang.run.recording import Check

        session = _session(request)
        return Check(request.node, lambda requirement_id: session.engine(name, xc_platform).decision(requirement_id))

    return fixture
