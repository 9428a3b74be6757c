"""What is installed from the wheel is all that is needed: built, installed in a clean venv, used far from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.registry import shipped
from pytest_xinchuang.toolchain.builder import find_zig
from pytest_xinchuang.tools.go import find_go

CHECKOUT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]


def run(*argv: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV", "PYTHON"))}
    return subprocess.run(
        [str(a) for a in argv], cwd=cwd, env={**clean, **env}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, cwd=CHECKOUT)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_suite(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "pytest_xinchuang/platforms.yaml",
        "pytest_xinchuang/py.typed",
        *(
            f"pytest_xinchuang/{path.relative_to(CHECKOUT)}"
            for path in (*shipped().requirement_files(), *resources.finding_files())
        ),
        "pytest_xinchuang/conformance/profiles.yaml",
        "pytest_xinchuang/conformance/mru/test_mru.py",
        "pytest_xinchuang/fixtures_data/subjects/openssl/xinchuang.yaml",
        "pytest_xinchuang/fixtures_data/template/xinchuang.yaml",
        "pytest_xinchuang/sandbox/agent/main.go",
        "pytest_xinchuang/toolchain/goapi/main.go",
        "pytest_xinchuang/toolchain/goapi/go.mod",
        "pytest_xinchuang/conformance/sdk_ast/rules/go/GO-FUNC-REMOVED/rule.yaml",
        "pytest_xinchuang/conformance/sdk_ast/rules/go/GO-FUNC-REMOVED/client/client.go",
        "pytest_xinchuang/conformance/sdk_ast/rules/python/PY-REMOVED/old/lib.py",
        "pytest_xinchuang/conformance/sdk_ast/test_sdk_ast.py",
        "pytest_xinchuang/conformance/supply_chain/test_supply_chain.py",
    ):
        assert name in names
    assert not [n for n in names if n.startswith(("tests/", "conformance/", "bench/"))]


def test_it_grades_from_a_clean_venv_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    assert run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=tmp_path).returncode == 0
    pip = (sys.executable, "-m", "pip", "--python", venv / "bin/python", "--disable-pip-version-check")
    done = run(*pip, "install", "-q", "--no-compile", wheel, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    vendor = tmp_path / "vendor"
    vendor.mkdir()
    (vendor / "test_own.py").write_text("def test_own(): pass\n")
    tools = f"{Path(find_zig()).parent}:{Path(find_go()).parent}:/usr/bin:/bin:/usr/sbin:/sbin"
    (vendor / "sdk").mkdir()
    (vendor / "sdk/go.mod").write_text("module example.com/sdk\n\ngo 1.22\n")
    (vendor / "sdk/sdk.go").write_text("package sdk\n\nfunc F() {}\n")
    done = run(venv / "bin/xc", "api", "snapshot", "--offline", "sdk", "--output", "api.jsonl", cwd=vendor, PATH=tools)
    assert done.returncode == 0, done.stderr
    done = run(venv / "bin/xc", "api", "diff", "--offline", "api.jsonl", "sdk", cwd=vendor, PATH=tools)
    assert done.returncode == 0, done.stdout + done.stderr
    for workers in ("0", "2"):
        done = run(
            venv / "bin/pytest",
            "--xc-platform=phytium",
            "--xc-suite=mru",
            "--xc-offline",
            "-n",
            workers,
            cwd=vendor,
            PATH=tools,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
        report = json.loads((vendor / ".xc/report.json").read_text())
        assert [g["level"] for g in report["grades"]] == ["L3"]
        assert "26 passed" in done.stdout  # 25 checks that apply, and the vendor's own test
    sealed = [str(venv / "bin/xc"), "grade", "--platform=phytium", "--suite=mru", "--offline"]
    sealed += [f"--tools={place}" for place in tools.split(":")[:2]]
    done = run(*sealed, cwd=vendor)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    report = json.loads((vendor / ".xc/report.json").read_text())
    assert report["run"]["sealed"] and "as they were released" in report["run"]["standing"]
    (engine,) = venv.glob("lib/python*/site-packages/pytest_xinchuang/core/grade.py")
    engine.write_text(engine.read_text() + "\n# lenient\n")
    done = run(*sealed, cwd=vendor)
    report = json.loads((vendor / ".xc/report.json").read_text())
    assert not report["run"]["sealed"] and "pytest_xinchuang/core/grade.py" in report["run"]["standing"]
    assert run(venv / "bin/xc", "platforms", "validate", cwd=vendor).returncode == 0
