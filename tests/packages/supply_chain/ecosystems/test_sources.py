"""Where packages come from: the registry that the tool asks by default, or one that whoever checks names; or nobody knows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.supply_chain.check import PackageCheck
from pytest_xinchuang.packages.supply_chain.ecosystems.all import ECOSYSTEMS
from pytest_xinchuang.packages.supply_chain.registries import Registries
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools import defaults
from tests.packages.supply_chain.ecosystems.conftest import Check
from tests.packages.supply_chain.ecosystems.tampering import LEFT, append, edit, in_lock, write
from tests.packages.supply_chain.ecosystems.worlds import USUAL, WORLDS

INDEX = "registry+https://git.example.org/cargo/index"
REPOSITORY = "<dependencies>", "<repositories><repository><url>{}</url></repository></repositories>\n<dependencies>"

NAMING: dict[str, tuple[str, Callable[[str], Callable[[Path], object]]]] = {
    "npm: resolved": ("npm", lambda url: in_lock(LEFT, resolved=f"{url}/left/-/left-1.0.0.tgz")),
    "npm: .npmrc": ("npm", lambda url: write(".npmrc", f"registry={url}/\n")),
    "npm: .npmrc of a scope": ("npm", lambda url: write(".npmrc", f"@s:registry = {url}\n")),
    "pypi: --index-url": ("pypi", lambda url: append("requirements.txt", f"--index-url {url}/simple\n")),
    "pypi: -i": ("pypi", lambda url: append("requirements.txt", f"-i {url}/simple\n")),
    "cargo: source": ("cargo", lambda url: edit("Cargo.lock", INDEX, f"sparse+{url}/")),
    "maven: repository": ("maven", lambda url: edit("pom.xml", REPOSITORY[0], REPOSITORY[1].format(url))),
}
"""Each way in which a product names the registry that it takes packages from."""


def told(done: PackageCheck) -> set[tuple[str, Certainty]]:
    return {(f.code, f.certainty) for f in done.findings if f.certainty is not Certainty.NOTE}


@pytest.mark.parametrize("name", NAMING)
def test_a_registry_that_is_named_is_the_usual_one_or_another(name: str, tmp_path: Path, check: Check) -> None:
    ecosystem, naming = NAMING[name]
    usual = USUAL[ecosystem].url.removesuffix("/simple")
    for url, wanted in (
        (usual, set()),
        (usual.replace("https", "http"), {Certainty.CERTAIN}),
        (usual.replace(".example.org", ".example.org.evil.example"), {Certainty.CERTAIN}),
        ("https://evil.example", {Certainty.CERTAIN}),
    ):
        shutil.rmtree(tmp_path / "product", ignore_errors=True)
        WORLDS[ecosystem](tmp_path)
        naming(url)(tmp_path)
        found = told(check(ecosystem))
        assert {code for code, _c in found} <= {"XC-SUP-111", "XC-SUP-145"}, url
        assert {certainty for _code, certainty in found} == wanted, url


@pytest.mark.parametrize("name", NAMING)
def test_where_the_tool_does_not_say_what_it_asks_it_is_open(
    name: str, tmp_path: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecosystem, naming = NAMING[name]
    monkeypatch.setattr(defaults, "default", lambda _name: verbatim("there is no such tool"))
    WORLDS[ecosystem](tmp_path)
    naming("https://any.example")(tmp_path)
    done = check(ecosystem)
    assert {c for _code, c in told(done)} == {Certainty.UNDECIDED}
    why = [f for f in done.findings if f.certainty is Certainty.UNDECIDED]
    assert all("there is no such tool" in str(f.params) for f in why)
    # Over plain http it is nobody's default, and what is asked for by name needs no default.
    shutil.rmtree(tmp_path / "product")
    WORLDS[ecosystem](tmp_path)
    naming("http://any.example")(tmp_path)
    assert Certainty.CERTAIN in {c for _code, c in told(check(ecosystem))}


def test_where_the_tool_says_no_equals_another_host_is_open(
    tmp_path: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults, "default", lambda name: replace(USUAL[name], whole=False))
    WORLDS["npm"](tmp_path)
    assert told(check("npm")) == set()
    in_lock(LEFT, resolved="https://any.example/left/-/left-1.0.0.tgz")(tmp_path)
    assert told(check("npm")) == {("XC-SUP-111", Certainty.UNDECIDED)}


@pytest.mark.parametrize("name", NAMING)
def test_a_registry_that_whoever_checks_names_is_no_other(name: str, tmp_path: Path) -> None:
    ecosystem, naming = NAMING[name]
    WORLDS[ecosystem](tmp_path)
    naming("https://mirror.example")(tmp_path)
    for url, wanted in (("https://mirror.example/x", set()), ("https://other.example", {Certainty.CERTAIN})):
        places = {ecosystem: [str(tmp_path / "registry"), url]}
        done = PackageCheck(
            tmp_path / "product", ECOSYSTEMS[ecosystem], Registries(Cache(tmp_path / "c"), places, offline=True)
        )
        done.run()
        found = {c for code, c in told(done) if code in ("XC-SUP-111", "XC-SUP-145")}
        assert found == wanted


@pytest.mark.parametrize("ecosystem", ["npm", "pypi", "cargo", "maven"])
def test_a_tool_that_is_not_here_is_asked_for_and_its_registry_is_not_guessed(
    ecosystem: str, tmp_path: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults, "default", lambda _name: verbatim("there is no such tool"))
    WORLDS[ecosystem](tmp_path)
    done = check(ecosystem, place=None, offline=False)
    assert {c for _code, c in told(done)} == {Certainty.UNDECIDED} and done.verified == 0
    assert any(f.code == "XC-SUP-108" and "there is no such tool" in str(f.params) for f in done.findings)


def test_another_repository_of_the_same_host_is_not_cargos_registry(tmp_path: Path, check: Check) -> None:
    WORLDS["cargo"](tmp_path)
    edit("Cargo.lock", INDEX, "registry+https://git.example.org/evil/index")(tmp_path)
    assert told(check("cargo")) == {("XC-SUP-111", Certainty.CERTAIN)}
