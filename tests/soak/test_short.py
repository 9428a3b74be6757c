"""A short soak, one of each fault: ``scripts/soak`` is the long one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.soak.soak import Soak


@pytest.mark.sandbox
@pytest.mark.slow
def test_each_fault_once(tmp_path: Path) -> None:
    soak = Soak(tmp_path / "soak", "qemu", random.Random(16))
    for number in range(len(soak.faults)):
        soak.disturb(number)
    assert not soak.count.wrong
    assert sum(soak.count.struck.values()) >= len(soak.faults) - 2
