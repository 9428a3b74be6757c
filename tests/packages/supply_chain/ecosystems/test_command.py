"""The command finds the ecosystems of a product by itself, and writes bills of materials of all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.packages.supply_chain.licences import Licences, load_licences
from pytest_xinchuang.packages.supply_chain.lists import load_allow_list
from tests.packages.supply_chain.ecosystems.conftest import Check
from tests.packages.supply_chain.ecosystems.tampering import edit
from tests.packages.supply_chain.ecosystems.worlds import cargo, npm, pypi


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A product of two ecosystems, and the words that name what was published."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    npm(tmp_path)
    cargo(tmp_path)
    place = tmp_path / "registry"
    return ["supply-chain", "check", str(tmp_path / "product"), "--offline"] + [
        word for name in ("npm", "cargo") for word in ("--registry", f"{name}={place}")
    ]


def test_every_ecosystem_is_found(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert ": 3 packages, 3 packages verified, 6 installed files compared" in capsys.readouterr().out
    edit("vendor/lib-a/src/lib.rs", "a()", "b()")(tmp_path)
    assert main([*words, "--ecosystem", "npm"]) == 0
    capsys.readouterr()
    assert main([*words, "--language", "zh"]) == 1
    assert "安装或随附的文件被改动" in capsys.readouterr().out
    assert main(words[:4]) == 3


@pytest.mark.parametrize(
    "more",
    [
        ["--ecosystem", "nmp"],
        ["--ecosystem", "maven"],
        ["--registry", "npm"],
        ["--registry", "nmp=x"],
        ["--registry", "go=x"],
        ["--registry", "npm=/nowhere/at/all"],
        ["--licences", "/nowhere/at/all"],
    ],
)
def test_what_cannot_be_asked_for_is_an_error(
    more: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *more]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_bills_of_materials_name_the_packages_of_all(words: list[str], tmp_path: Path) -> None:
    bom = tmp_path / "bom.json"
    assert main([*words, "--sbom", str(bom)]) == 0
    parts = {c["purl"]: c for c in json.loads(bom.read_text())["components"]}
    assert set(parts) == {"pkg:npm/left@1.0.0", "pkg:npm/%40s/right@2.0.0", "pkg:cargo/lib-a@1.2.3"}
    assert {h["alg"] for h in parts["pkg:npm/left@1.0.0"]["hashes"]} >= {"SHA-256", "SHA-512"}
    assert parts["pkg:npm/left@1.0.0"]["licenses"] == [{"expression": "MIT"}]
    assert main([*words, "--sbom", str(bom), "--sbom-format", "spdx"]) == 0
    document = json.loads(bom.read_text())
    assert document["spdxVersion"] == "SPDX-2.3" and document["SPDXID"] == "SPDXRef-DOCUMENT"
    identifiers = {p["SPDXID"] for p in document["packages"]}
    assert len(identifiers) == 4
    assert all(
        {r["spdxElementId"], r["relatedSpdxElement"]} <= identifiers | {"SPDXRef-DOCUMENT"}
        for r in document["relationships"]
    )
    locators = {r["referenceLocator"] for p in document["packages"] for r in p.get("externalRefs", ())}
    assert locators == set(parts)


@pytest.mark.tools
def test_it_keeps_the_schema(words: list[str], tmp_path: Path) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    bom = tmp_path / "bom.json"
    assert main([*words, "--sbom", str(bom)]) == 0
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bom.read_text()) is None


@pytest.mark.parametrize(
    ("text", "allowed", "wanted"),
    [
        ("MIT", ["MIT"], True),
        ("MIT OR GPL-3.0-only", ["MIT"], True),
        ("MIT AND GPL-3.0-only", ["MIT"], False),
        ("MIT/Apache-2.0", ["Apache-2.0"], True),
        ("(MIT OR Apache-2.0) AND BSD-3-Clause", ["MIT", "BSD-3-Clause"], True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only"], False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only WITH Classpath-exception-2.0"], True),
        ("see LICENSE", ["MIT"], None),
        ("", ["MIT"], None),
    ],
)
def test_licences_are_weighed_as_expressions(text: str, allowed: list[str], wanted: bool | None) -> None:
    assert Licences(schema="xc-licences/1", allowed=tuple(allowed)).allows(text) is wanted


def test_a_licence_that_is_not_known_is_undecided(tmp_path: Path, check: Check) -> None:
    npm(tmp_path)
    found = check("npm", licences=Licences(schema="xc-licences/1", allowed=("Apache-2.0",))).findings
    told = {(f.code, f.certainty) for f in found if f.code in ("XC-SUP-140", "XC-SUP-141")}
    assert told == {("XC-SUP-140", Certainty.CERTAIN), ("XC-SUP-141", Certainty.UNDECIDED)}


def test_licences_of_wheels_and_crates_are_those_of_their_metadata(tmp_path: Path, check: Check) -> None:
    pypi(tmp_path / "a")
    cargo(tmp_path)
    only = Licences(schema="xc-licences/1", allowed=("MIT",))
    assert not [f for f in check("cargo", licences=only).findings if f.code.startswith("XC-SUP-14")]


@pytest.mark.parametrize(
    "line",
    [
        {"ecosystem": "nmp", "name": "x"},
        {"ecosystem": "npm"},
        {"ecosystem": "npm", "name": "x", "versions": ">=one"},
        {"ecosystem": "pypi", "name": "x", "versions": ">=1.0.0.0.x"},
    ],
)
def test_a_line_that_says_nothing_is_an_error(line: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "allow.yaml"
    path.write_text(yaml.safe_dump({"schema": "xc-allow-list/1", "packages": [line]}))
    with pytest.raises(DataFileError):
        load_allow_list(path)
    path.write_text("schema: xc-licences/1\nallowed: 1\n")
    with pytest.raises(DataFileError):
        load_licences(path)


def test_names_of_pypi_are_compared_as_the_index_does(tmp_path: Path) -> None:
    path = tmp_path / "allow.yaml"
    line = {"ecosystem": "pypi", "name": "Beta_X", "versions": ">=2, <3"}
    path.write_text(yaml.safe_dump({"schema": "xc-allow-list/1", "packages": [line]}))
    (found,) = load_allow_list(path).packages_of("pypi", "beta-x")
    assert found.covers("2.1") and not found.covers("3.0")
