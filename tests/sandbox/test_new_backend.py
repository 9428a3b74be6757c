"""CONTRIBUTING.md, "A backend", followed literally: a module and a line, planted in a copy of the package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_xinchuang

ROOT = Path(pytest_xinchuang.__file__).parent

MODULE = '''
"""Single programs under ``qemu -L``, without namespaces, on whatever host there is."""

from __future__ import annotations

import platform as host

from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.sandbox.backend import Opening
from pytest_xinchuang.sandbox.backends.direct import DirectSandbox, calibrated
from pytest_xinchuang.sandbox.circumstances import EMULATION_SCALE, Circumstances
from pytest_xinchuang.sandbox.protocol import Fingerprint, Sandbox

NOTHING_IS_KEPT_APART = ("children_emulated", "cpu_pinned", "no_network", "private_layer", "kernel_floor", "identity")


def open_bare(run: Opening, platform: Platform, wanted: Circumstances) -> Sandbox:
    model = getattr(platform.cpu.emulation, wanted.variant).value
    rootfs, emulator = run.store.rootfs_for(platform), run.store.emulator(platform.architecture.qemu)
    fingerprint = Fingerprint(
        backend="bare",
        platform=platform.id,
        fidelity=Fidelity.EMULATED_USER,
        emulated=True,
        rootfs=rootfs.name,
        rootfs_digest=rootfs.digest,
        stand_in=rootfs.stand_in,
        differs=rootfs.differs,
        emulator=emulator.version,
        emulator_digest=emulator.digest,
        cpu_model=model,
        isolation=dict.fromkeys(NOTHING_IS_KEPT_APART, False),
        observed={},
        host_kernel=host.release(),
        baseline_ms=0.0,
    )
    prefix = [str(emulator.path), "-cpu", model, "-L", str(rootfs.path)]
    return calibrated(DirectSandbox(fingerprint, prefix, rootfs.path, EMULATION_SCALE * run.timeout_scale, run.runner))
'''

LINES = """
def _bare(run: Opening, platform: Platform, wanted: Circumstances) -> Sandbox:
    from pytest_xinchuang.sandbox.backends.bare import open_bare

    return open_bare(run, platform, wanted)
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout with the new backend; data beside the package is the real one."""
    place = tmp_path / "checkout"
    shutil.copytree(ROOT, place / ROOT.name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (ROOT.parent / "conformance", ROOT.parent / "fixtures", ROOT.parent / "platforms.yaml"):
        (place / path.name).symlink_to(path)
    backends = place / ROOT.name / "sandbox" / "backends"
    (backends / "bare.py").write_text(MODULE)
    table = backends / "shipped.py"
    text = table.read_text()
    line = '        "native": Backend(_native),\n'
    assert line in text and "SHIPPED = " in text
    text = text.replace("SHIPPED = ", f"{LINES.lstrip()}\n\nSHIPPED = ").replace(
        line, f'{line}        "bare": Backend(_bare),\n'
    )
    table.write_text(text)
    return place


@pytest.mark.sandbox
def test_a_new_backend_is_a_module_and_a_line(copy: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    report = tmp_path / "report"
    words = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(copy / "conformance" / "mru"),
        "-k",
        "test_units_load_and_start or test_units_answer",
    ]
    options = ["--xc-platform=kunpeng", "--xc-suite=mru", "--xc-backend=bare", f"--xc-report={report}"]
    done = subprocess.run(
        [sys.executable, *words, *options], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert (report / "report.json").is_file(), done.stdout + done.stderr
    told = json.loads((report / "report.json").read_text())
    verdicts = {r["verdict"] for r in told["requirements"]}
    assert "pass" in verdicts and "fail" not in verdicts, done.stdout
    assert told["grades"][0]["fidelity"] == "emulated-user"
