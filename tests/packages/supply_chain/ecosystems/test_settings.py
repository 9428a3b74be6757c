"""What a Python or Rust product names beside its lock: indexes, patches, and workspaces above, each with its twin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.finding import Certainty
from tests.packages.supply_chain.ecosystems.conftest import Check
from tests.packages.supply_chain.ecosystems.worlds import cargo, put, pypi

C, U = Certainty.CERTAIN, Certainty.UNDECIDED
USUAL, EVIL = "https://pypi.example.org/simple", "https://evil.example/simple"
LOCK_OF_PIPENV = (
    '{"_meta": {"pipfile-spec": 6, "sources": [{"name": "p", "url": "%s", "verify_ssl": %s}]}, "default": {}}'
)


def told(done: Any) -> set[tuple[str, Certainty]]:
    return {(f.code, f.certainty) for f in done.findings if f.certainty is not Certainty.NOTE}


PYTHON: dict[str, tuple[str, str, set[tuple[str, Certainty]]]] = {
    "uv: another index": ("pyproject.toml", f'[[tool.uv.index]]\nname = "e"\nurl = "{EVIL}"\n', {("XC-SUP-145", C)}),
    "uv: the usual one": ("pyproject.toml", f'[[tool.uv.index]]\nname = "e"\nurl = "{USUAL}"\n', set()),
    "uv: an extra index": ("pyproject.toml", f'[tool.uv]\nextra-index-url = ["{EVIL}"]\n', {("XC-SUP-145", C)}),
    "uv: of its pip": ("pyproject.toml", f'[tool.uv.pip]\nindex-url = "{EVIL}"\n', {("XC-SUP-145", C)}),
    "uv: links": ("pyproject.toml", f'[tool.uv]\nfind-links = ["{EVIL}"]\n', {("XC-SUP-145", C)}),
    "uv.toml": ("uv.toml", f'index-url = "{EVIL}"\n', {("XC-SUP-145", C)}),
    "uv.toml with the usual one": ("uv.toml", f'index-url = "{USUAL}/"\n', set()),
    "uv.toml that is none": ("uv.toml", "index-url = [\n", {("XC-SUP-101", C)}),
    "poetry": ("pyproject.toml", f'[[tool.poetry.source]]\nname = "e"\nurl = "{EVIL}"\n', {("XC-SUP-145", C)}),
    "poetry: the usual one": ("pyproject.toml", f'[[tool.poetry.source]]\nname = "e"\nurl = "{USUAL}"\n', set()),
    "pdm": ("pyproject.toml", f'[[tool.pdm.source]]\nname = "e"\nurl = "{EVIL}"\n', {("XC-SUP-145", C)}),
    "pipenv": ("Pipfile", f'[[source]]\nname = "e"\nurl = "{EVIL}"\n', {("XC-SUP-145", C)}),
    "pipenv: the usual one": ("Pipfile", f'[[source]]\nname = "e"\nurl = "{USUAL}"\nverify_ssl = true\n', set()),
    "pipenv: no certificate": ("Pipfile", f'[[source]]\nurl = "{USUAL}"\nverify_ssl = false\n', {("XC-SUP-145", C)}),
    "pipenv: of the lock": ("Pipfile.lock", LOCK_OF_PIPENV % (EVIL, "true"), {("XC-SUP-145", C)}),
    "a workspace above": ("../pyproject.toml", '[tool.uv.workspace]\nmembers = ["prod*"]\n', {("XC-SUP-160", U)}),
    "a workspace above of others": ("../pyproject.toml", '[tool.uv.workspace]\nmembers = ["a"]\n', set()),
    "a project above": ("../pyproject.toml", '[project]\nname = "a"\n', set()),
}


@pytest.mark.parametrize("name", PYTHON)
def test_indexes_of_python(name: str, tmp_path: Path, check: Check) -> None:
    pypi(tmp_path)
    file, text, wanted = PYTHON[name]
    path = tmp_path / "product" / file
    path.write_text((path.read_text() if path.exists() else "") + text)
    done = check("pypi")
    assert (told(done), done.verified) == (wanted, 2)


PATCH = '\n[patch.crates-io]\nlib-a = {{ path = "{}" }}\n'
OWN = {"patched/Cargo.toml": '[package]\nname = "lib-a"\nversion = "1.2.3"\n'}
CARGO: dict[str, tuple[dict[str, str], set[tuple[str, Certainty]]]] = {
    "a patch": ({"Cargo.toml": PATCH.format("patched"), **OWN}, {("XC-SUP-113", C)}),
    "a patch of elsewhere": ({"Cargo.toml": PATCH.format("../patched")}, {("XC-SUP-113", C)}),
    "a patch in the settings": ({".cargo/config.toml": PATCH.format("patched"), **OWN}, {("XC-SUP-113", C)}),
    "a replacement": (
        {"Cargo.toml": '\n[replace]\n"lib-a:1.2.3" = { path = "patched" }\n', **OWN},
        {("XC-SUP-113", C)},
    ),
    "paths": ({".cargo/config": 'paths = ["patched"]\n'}, {("XC-SUP-113", C)}),
    "no patch": ({"Cargo.toml": '\n[patch.crates-io]\nlib-a = { version = "1.2.3" }\n'}, set()),
    "a workspace above": ({"../Cargo.toml": '[workspace]\nmembers = ["product"]\n'}, {("XC-SUP-160", U)}),
    "a workspace above that excludes it": ({"../Cargo.toml": '[workspace]\nexclude = ["product"]\n'}, set()),
    "a workspace above that excludes another": (
        {"../Cargo.toml": '[workspace]\nexclude = ["prod"]\n'},
        {("XC-SUP-160", U)},
    ),
    "a workspace of its own": ({"../Cargo.toml": "[workspace]\n", "Cargo.toml": "\n[workspace]\n"}, set()),
    "a package above": ({"../Cargo.toml": '[package]\nname = "above"\n'}, set()),
    "settings above with a patch": ({"../.cargo/config.toml": PATCH.format("x")}, {("XC-SUP-160", U)}),
    "settings above with another source": (
        {"../.cargo/config.toml": '[source.a]\nregistry = "https://a.example"\n'},
        set(),
    ),
}


@pytest.mark.parametrize("name", CARGO)
def test_what_stands_instead_of_crates(name: str, tmp_path: Path, check: Check) -> None:
    cargo(tmp_path)
    files, wanted = CARGO[name]
    for file, text in files.items():
        path = tmp_path / "product" / file
        put(tmp_path / "product", {file: (path.read_text() if path.exists() else "") + text})
    assert told(check("cargo")) == wanted


def test_settings_of_cargos_own_home_are_not_those_of_the_product(
    tmp_path: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    cargo(tmp_path)
    put(tmp_path, {".cargo/config.toml": PATCH.format("x")})
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / ".cargo"))
    assert told(check("cargo")) == set()
