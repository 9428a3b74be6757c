"""A short soak, one of each fault: ``scripts/soak`` is the long one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.faults import faults

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/soak"


@pytest.mark.sandbox
@pytest.mark.slow
def test_each_fault_once(tmp_path: Path) -> None:
    """In a process of its own: every process below it that is there in the end was left over."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    number = len(faults("qemu", Path("shim.so") if compiler else None))
    words = [sys.executable, str(SCRIPT), "--number", str(number), "--backend", "qemu", "--seed", "16"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.findall(r"(\d+) tried, (\d+) struck", done.stdout)
    assert sum(int(tried) for tried, _struck in counts) == number
    assert sum(int(struck) for _tried, struck in counts) >= number - 2
