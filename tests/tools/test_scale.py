"""`--xc-timeout-scale` reaches whoever runs programs or waits."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.run.session import XcSession
from pytest_xinchuang.sandbox.backends import direct, qemu, user_mode
from pytest_xinchuang.sandbox.circumstances import EMULATION_SCALE, Circumstances
from pytest_xinchuang.tools.process import Runner


@pytest.fixture
def session(pytester: pytest.Pytester) -> XcSession:
    config = pytester.parseconfigure("--xc-platform=kunpeng", "--xc-timeout-scale=0.5", "--xc-suite=none")
    return XcSession(config)


def test_engines_builders_and_provisioning(session: XcSession) -> None:
    half = Runner(0.5)
    pool: Any = session.pool
    assert pool.runner == pool.store.runner == session.builder.runner == half
    platform = session.platforms[0]
    for package in ("sdk_ast", "supply_chain"):
        engine: Any = session.engine(package, platform)
        assert engine.runner == half, package
    session.close()


@pytest.mark.sandbox
def test_sandboxes(session: XcSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are slower under an emulator too; the supervisor is not."""
    specs: list[qemu.QemuSpec] = []
    monkeypatch.setattr(user_mode, "QemuSandbox", specs.append)
    user_mode.open_user_mode(session.pool, session.platforms[0], Circumstances())
    (spec,) = specs
    assert (spec.timeout_scale, spec.runner) == (0.5 * EMULATION_SCALE, Runner(0.5))
    monkeypatch.setattr(direct, "calibrated", lambda sandbox: sandbox)
    with direct.open_emulated(spec, verbatim("why")) as opened:
        assert (opened._scale, opened._runner) == (0.5 * EMULATION_SCALE, Runner(0.5))
    session.close()
