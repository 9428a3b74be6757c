"""What is not installed is told by name with its mend: no traceback, no failure of the subject, nothing left out in silence."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path
from unittest.mock import Mock

import pytest

from pytest_xinchuang.core.errors import HostFault, MissingDependency
from pytest_xinchuang.core.optional import EXTRAS, optional
from pytest_xinchuang.packages.registry import shipped

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import sys
for name in sys.argv[1].strip(",").split(","):
    sys.modules[name] = None
from pytest_xinchuang.cli import main
sys.exit(main(sys.argv[2:]))
"""


def test_what_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "capstone", None)
    with pytest.raises(MissingDependency) as caught, optional("inspect"):
        import capstone  # noqa: F401
    fault = caught.value
    assert isinstance(fault, HostFault) and (fault.module, fault.extra) == ("capstone", "inspect")
    assert str(fault.mend) == "pip install 'pytest-xinchuang[inspect]'"
    assert "capstone" in fault.render("zh") and "not installed" not in fault.render("zh")


def test_a_module_of_ours_that_is_missing_is_a_defect() -> None:
    with pytest.raises(ModuleNotFoundError), optional("inspect"):
        importlib.import_module("pytest_xinchuang.no_such_module")


def test_every_extra_is_an_extra_of_the_distribution() -> None:
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    ours = {*EXTRAS, *(package.name for package in shipped() if getattr(package, "modules", ()))}
    assert ours <= said.keys()
    assert said["all"] == [f"pytest-xinchuang[{','.join(n for n in said if n in ours)}]"]


CASES = {
    # A certain finding of the host's Python is not what is tried here: 1 beside 3.
    "iced_x86": ("inspect", {1, 3}, ["inspect", "--platform", "hygon", "prog"]),
    "zstandard": ("inspect", {3}, ["inspect", "--platform", "hygon", "dir.tar.zst"]),
    "clang": ("sdk_ast", {2}, ["api", "snapshot", "headers", "--kind", "c"]),
    "griffe": ("sdk_ast", {2}, ["api", "snapshot", "python", "--kind", "python"]),
    "asn1crypto": ("sm_crypto", {2}, ["sm", "tls", "127.0.0.1:1", "--ca", "root.pem"]),
    "clang,": ("syscall_bridge", {2}, ["syscalls", "table", "amd64", "--headers", "/usr/include"]),
    "docker": ("docker", {2}, ["shell", "kunpeng", "--backend", "docker", "--", "true"]),
}


@pytest.mark.tools
@pytest.mark.parametrize("module", CASES)
def test_a_command_without_it_names_the_mend(module: str, tmp_path: Path) -> None:
    extra, status, words = CASES[module]
    (tmp_path / "prog").write_bytes(Path(sys.executable).resolve().read_bytes())
    (tmp_path / "dir.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(64))
    (tmp_path / "headers").mkdir()
    (tmp_path / "headers/a.h").write_text("int f(void);\n")
    (tmp_path / "python/p").mkdir(parents=True)
    (tmp_path / "python/p/__init__.py").write_text("def f(): ...\n")
    (tmp_path / "root.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    done = subprocess.run(
        [sys.executable, "-c", RUN, module, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    told = done.stdout + done.stderr
    assert "Traceback" not in told, told
    assert done.returncode in status, told
    assert f"pip install 'pytest-xinchuang[{extra}]'" in told, told


def test_engines_and_documents_without_it_are_a_fault_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_xinchuang.packages.sm_crypto.engine import SmEngine
    from pytest_xinchuang.packages.supply_chain.sbom import cyclonedx

    monkeypatch.delitem(sys.modules, "pytest_xinchuang.packages.sm_crypto.properties", raising=False)
    for name in ("cyclonedx.model.bom", "cyclonedx.model.component", "cyclonedx.output.json"):
        importlib.import_module(name)  # as an earlier test may have: what is blocked is gone all the same
    for gone in ("hypothesis", "cyclonedx"):
        for name in [gone, *(loaded for loaded in sys.modules if loaded.startswith(f"{gone}."))]:
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependency, match=r"\[sm_crypto\]"):
        SmEngine._properties(Mock())
    with pytest.raises(MissingDependency, match=r"\[supply_chain\]"):
        cyclonedx(Mock())


def test_doctor_has_a_line_for_each_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_xinchuang.cli.doctor import _extras

    monkeypatch.setitem(sys.modules, "griffe", None)
    lines = {str(line.feature): line for line in _extras()}
    assert lines["extra sdk_ast"].state == "missing"
    assert str(lines["extra sdk_ast"].mend) == "pip install 'pytest-xinchuang[sdk_ast]'"
    assert lines["extra inspect"].state == "ok"
    assert all(line.matters.render("zh") != str(line.matters) for line in lines.values())
