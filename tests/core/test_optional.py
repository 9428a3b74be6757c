"""What is not installed is told by name with its mend: no traceback, no failure of the subject, nothing left out in silence."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from unittest.mock import Mock

import pytest

from pytest_xinchuang.core import installing
from pytest_xinchuang.core.errors import HostFault, MissingDependency, ToolchainFault
from pytest_xinchuang.core.installing import install_extra
from pytest_xinchuang.core.optional import EXTRAS, optional, without_needed
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Cause, Verdict
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.registry import load_subject, shipped
from pytest_xinchuang.packages.sdk_ast.engine import SdkEngine
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import Builder, Target
from tests.packages.sm_crypto.conftest import LocalEngine

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import sys
module = sys.argv[1].strip(",")
sys.modules[module] = None
if module.startswith("tree_sitter"):
    from pytest_xinchuang.core.errors import ToolchainFault
    from pytest_xinchuang.messages import verbatim
    from pytest_xinchuang.tools import go
    def find_go():
        raise ToolchainFault(verbatim("no Go"))
    go.find_go = find_go
from pytest_xinchuang.cli import main
sys.exit(main(sys.argv[2:]))
"""


def block(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """As if it were not installed, whatever was loaded before."""
    for name in [module, *(loaded for loaded in sys.modules if loaded.startswith(f"{module}."))]:
        monkeypatch.setitem(sys.modules, name, None)


def test_what_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "capstone", None)
    with pytest.raises(MissingDependency) as caught, optional("inspect"):
        import capstone  # noqa: F401
    fault = caught.value
    assert isinstance(fault, HostFault) and (fault.module, fault.extra) == ("capstone", "inspect")
    assert fault.mend == install_extra("inspect") and "capstone" in fault.mend
    assert "capstone" in fault.render("zh") and "not installed" not in fault.render("zh")


def test_a_module_of_ours_that_is_missing_is_a_defect() -> None:
    with pytest.raises(ModuleNotFoundError), optional("inspect"):
        importlib.import_module("pytest_xinchuang.no_such_module")


def test_every_extra_is_an_extra_of_the_distribution() -> None:
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    ours = {*EXTRAS, *(package.name for package in shipped() if getattr(package, "modules", ()))}
    assert ours <= said.keys()
    every = f"pytest-xinchuang[{','.join(n for n in said if n in ours)}]"
    assert said["all"] == [f"{every}; python_version >= '3.11'"]


CASES = {
    "numpy": ("inspect", {3}, ["inspect", "--platform", "phytium", "lse.so"]),
    "capstone": ("inspect", {3}, ["inspect", "--platform", "phytium", "lse.so"]),
    # A certain finding of the host's Python is not what is tried here: 1 beside 3.
    "iced_x86": ("inspect", {1, 3}, ["inspect", "--platform", "hygon", "prog"]),
    "zstandard": ("inspect", {3}, ["inspect", "--platform", "hygon", "dir.tar.zst"]),
    "clang": ("sdk_ast", {2}, ["api", "snapshot", "headers", "--kind", "c"]),
    # Where there is no Go, its syntax is read.
    "tree_sitter": ("sdk_ast", {2}, ["api", "snapshot", "go", "--kind", "go", "--offline"]),
    "tree_sitter_go": ("sdk_ast", {2}, ["api", "snapshot", "go", "--kind", "go", "--offline"]),
    "cyclonedx": ("supply_chain", {2}, ["supply-chain", "check", "go", "--offline", "--sbom", "bom.json"]),
    "asn1crypto": ("sm_crypto", {2}, ["sm", "tls", "127.0.0.1:1", "--ca", "root.pem"]),
    "clang,": ("syscall_bridge", {2}, ["syscalls", "table", "amd64", "--headers", "/usr/include"]),
    "docker": ("docker", {2}, ["shell", "kunpeng", "--backend", "docker", "--", "true"]),
}


@pytest.mark.tools
@pytest.mark.parametrize("module", CASES)
def test_a_command_without_it_names_the_mend(module: str, tmp_path: Path, platforms: Platforms) -> None:
    extra, status, words = CASES[module]
    if "/usr/include" in words and not list(Path("/usr/include").glob("**/asm/unistd.h")):
        pytest.skip("no headers of Linux on this host")
    if "lse.so" in words:
        (tmp_path / "lse.c").write_text("int f(int *n) { return __atomic_fetch_add(n, 1, 5); }\n")
        target = Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], "2.17")
        flags = ["-mcpu=generic+lse", "-nostdlib"]
        (tmp_path / "lse.so").write_bytes(Builder(Cache()).c(target, [tmp_path / "lse.c"], flags=flags, shared=True))
    (tmp_path / "prog").write_bytes(Path(sys.executable).resolve().read_bytes())
    (tmp_path / "dir.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(64))
    (tmp_path / "headers").mkdir()
    (tmp_path / "headers/a.h").write_text("int f(void);\n")
    (tmp_path / "go").mkdir()
    (tmp_path / "go/go.mod").write_text("module example.com/m\n\ngo 1.22\n")
    (tmp_path / "go/m.go").write_text("package m\n\nfunc F() {}\n")
    (tmp_path / "root.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    done = subprocess.run(
        [sys.executable, "-c", RUN, module, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    told = done.stdout + done.stderr
    assert "Traceback" not in told, told
    assert done.returncode in status, told
    assert str(install_extra(extra)) in told, told


SDKS = {
    "clang": ("c", "x.h", "int f(void);\n"),
    "tree_sitter": ("go", "go.mod", "module example.com/m\n\ngo 1.22\n"),
}


@pytest.mark.tools
@pytest.mark.parametrize("module", SDKS)
def test_a_contract_that_cannot_be_read_is_inconclusive(
    module: str, tmp_path: Path, platforms: Platforms, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> str:
        raise ToolchainFault(verbatim("no Go"))

    language, file, text = SDKS[module]
    for name in ("old", "new"):
        (tmp_path / name / file).parent.mkdir(parents=True)
        (tmp_path / name / file).write_text(text)
    sdk = {"language": language, "path": "new", "baseline": "old"}
    document = {"schema": "xc-subject/1", "name": "x", "version": "1.0.0", "sdk": sdk}
    (tmp_path / "xinchuang.yaml").write_text(json.dumps(document))
    block(monkeypatch, module)
    monkeypatch.setattr("pytest_xinchuang.tools.go.find_go", missing)
    engine = SdkEngine(platforms.get("kunpeng"), load_subject(tmp_path), catalogue, Cache(), offline=True)
    decision = engine.decision("XC-SDK-010")
    engine.close()
    assert (decision.verdict, decision.cause) == (Verdict.INCONCLUSIVE, Cause.HOST), decision
    assert decision.mend == install_extra("sdk_ast")


def test_properties_that_cannot_be_tried_are_inconclusive(
    platforms: Platforms, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "pytest_xinchuang.packages.sm_crypto.properties", raising=False)
    block(monkeypatch, "hypothesis")
    subject = load_subject(ROOT / "fixtures/subjects/openssl")
    engine = LocalEngine(platforms.get("kunpeng"), subject, catalogue, Mock(), Mock())
    decision = engine.decision("XC-SM-034")
    assert (decision.verdict, decision.cause) == (Verdict.INCONCLUSIVE, Cause.HOST), decision
    assert decision.mend == install_extra("sm_crypto")


def test_engines_and_documents_without_it_are_a_fault_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_xinchuang.packages.sm_crypto.engine import SmEngine
    from pytest_xinchuang.packages.supply_chain.sbom import cyclonedx

    monkeypatch.delitem(sys.modules, "pytest_xinchuang.packages.sm_crypto.properties", raising=False)
    for name in ("cyclonedx.model.bom", "cyclonedx.model.component", "cyclonedx.output.json"):
        importlib.import_module(name)  # as an earlier test may have: what is blocked is gone all the same
    for gone in ("hypothesis", "cyclonedx"):
        block(monkeypatch, gone)
    with pytest.raises(MissingDependency, match="hypothesis"):
        SmEngine._properties(Mock())
    with pytest.raises(MissingDependency, match="cyclonedx"):
        cyclonedx(None)


def test_doctor_has_a_line_for_each_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_xinchuang.cli.doctor import _extras

    monkeypatch.setitem(sys.modules, "clang", None)
    lines = {str(line.feature): line for line in _extras()}
    assert lines["extra sdk_ast"].state == "missing"
    assert lines["extra sdk_ast"].mend == install_extra("sdk_ast") and "libclang" in lines["extra sdk_ast"].mend
    assert lines["extra inspect"].state == "ok"
    assert all(line.matters.render("zh") != str(line.matters) for line in lines.values())


WITHOUT = "No module named 'pydantic_core._pydantic_core'"


@pytest.mark.parametrize(
    ("machine", "mend"),
    [("x86_64", "pydantic-core"), ("loongarch64", "python3-pydantic-core"), ("riscv64", "docs/boards.md")],
)
def test_a_machine_without_wheels_is_told_what_its_system_has(
    machine: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing.platform, "machine", lambda: machine)
    fault = without_needed(ModuleNotFoundError(WITHOUT, name="pydantic_core._pydantic_core"))
    assert fault is not None and mend in fault.mend and "pydantic_core" in fault.what
    assert "everything" not in fault.render("zh")


def test_an_import_of_something_else_is_no_such_fault() -> None:
    assert without_needed(ImportError("cannot import name x", name="pytest_xinchuang.core")) is None
    assert without_needed(ImportError("odd")) is None


@pytest.mark.tools
@pytest.mark.parametrize(
    "words", [["-m", "pytest_xinchuang", "doctor"], ["-m", "pytest", "--xc-platform=kunpeng", "-q"]]
)
def test_without_pydantics_core_the_one_line_says_so(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "pydantic_core").mkdir()
    (tmp_path / "pydantic_core/__init__.py").write_text(
        f'raise ModuleNotFoundError("{WITHOUT}", name="pydantic_core._core")'
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, env=env, check=False)
    assert "pydantic_core, which everything here needs, cannot be loaded" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr and "INTERNALERROR" not in done.stdout + done.stderr


INSTALLED = {
    "pipx": ("pipx_metadata.json", "pipx inject pytest-xinchuang 'x>=1'"),
    "uvx": ("archive-v0/abc/pyvenv.cfg", "give uvx --with 'x>=1' as well"),
    "a virtual environment": ("pyvenv.cfg", "pip install 'x>=1'"),
}


@pytest.mark.parametrize("how", INSTALLED)
def test_packages_are_installed_as_the_suite_was(how: str, tmp_path: Path) -> None:
    name, mend = INSTALLED[how]
    place = tmp_path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("")
    assert mend in installing.install(["x>=1"], str(place.parent))


def test_packages_are_installed_without_pip_and_into_a_system_that_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(installing.shutil, "which", lambda name: f"/bin/{name}")
    assert "uv pip install --python" in installing.install(["x"], str(tmp_path))
    monkeypatch.setattr(installing.shutil, "which", lambda _: None)
    assert "-m ensurepip && " in installing.install(["x"], str(tmp_path))
    monkeypatch.undo()
    monkeypatch.setattr(installing.sysconfig, "get_path", lambda _: str(tmp_path))
    (tmp_path / "EXTERNALLY-MANAGED").write_text("")
    assert "python3 -m venv" in installing.install(["x"], sys.base_prefix)


def test_an_extra_that_has_no_wheels_here_names_the_systems_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "numpy>=1; extra == 'inspect' and python_version < '3'",
        "iced-x86>=1; extra == 'inspect' and python_version < '3'",
        "odd>=1; extra == 'x' and python_version < '3'",
        "tree-sitter>=0.23; extra == 'sdk-ast'",
        "libclang>=18; extra == 'sdk-ast' and python_version < '3'",
    ]
    monkeypatch.setattr(installing.metadata, "requires", lambda _: lines)
    installing._wanted.cache_clear()
    try:
        assert "python3-numpy" in installing.install_extra("inspect")
        assert "another host has to do this" in installing.install_extra("x")
        assert "another host has to do this" in installing.install_extra("inspect", ["iced_x86"])
        assert "python3-clang" in installing.install_extra("sdk_ast", ["clang"])
        assert "tree-sitter>=0.23" in installing.install_extra("sdk_ast", ["clang", "tree_sitter"])
        assert installing.install_extra("nothing").endswith("'pytest-xinchuang[nothing]'")
    finally:
        installing._wanted.cache_clear()
