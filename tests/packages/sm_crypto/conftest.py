"""Harnesses of this host, and engines that ask one of them in the place of a sandbox."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.engine import SmEngine
from pytest_xinchuang.sandbox.circumstances import CpuVariant
from pytest_xinchuang.sandbox.local import local

ROOT = Path(__file__).parents[3]
REFERENCE = [sys.executable, "-m", "pytest_xinchuang.packages.sm_crypto.reference_harness"]


class LocalEngine(SmEngine):
    """Decides from a harness on this host."""

    command: Sequence[str] = REFERENCE
    level = Fidelity.EMULATED_USER
    timeout_s = 20.0

    def client(self, variant: CpuVariant = CpuVariant.STRICT) -> SmClient:
        if variant not in self._clients:
            self._clients[variant] = SmClient(local(self.command, ROOT), timeout_s=self.timeout_s)
        return self._clients[variant]

    @property
    def fidelity(self) -> Fidelity:
        return self.level
