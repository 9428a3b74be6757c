"""Each known-bad product of an ecosystem of packages is caught by the requirement that is named for it, and by no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pytest_xinchuang.core.needs import InOrder
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Decision, Verdict
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.packages.supply_chain.asked import ASKED
from pytest_xinchuang.packages.supply_chain.ecosystems.all import ECOSYSTEMS
from pytest_xinchuang.packages.supply_chain.engine import SupplyChainEngine, Trust
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools import defaults
from tests.messages.english import english_in
from tests.packages.supply_chain.ecosystems.tampering import TAMPERINGS, Edit, append, edit
from tests.packages.supply_chain.ecosystems.worlds import USUAL, WORLDS

CAUGHT_BY: dict[str, dict[str, str]] = yaml.safe_load((Path(__file__).parent / "caught_by.yaml").read_text())
EVERY = [(ecosystem, name) for ecosystem, names in CAUGHT_BY.items() for name in names]

NAMED = {
    "npm": ("left", "1.0.0"),
    "pypi": ("alpha", "1.0"),
    "cargo": ("lib-a", "1.2.3"),
    "maven": ("org.example:a-lib", "1.5"),
    "conan": ("zlib", "1.3.1"),
    "vcpkg": ("zlib", "1.3.1"),
}
"""A package of each world."""

OF_RECIPES: dict[str, dict[str, Edit]] = {
    "conan": {
        "a requirement more": append("conanfile.txt", "more/1.0\n"),
        "a source without a hash": edit("conandata.yml", "    sha256: " + "a" * 64 + "\n", ""),
        "a recipe without a revision": edit("conan.lock", "#f52e03ae3d251dec704634230cd806a2%1706537521.0", ""),
    },
    "vcpkg": {
        "no baseline": edit("vcpkg.json", "builtin-baseline", "$comment"),
        "a source without a hash": edit("ports/own/portfile.cmake", "    SHA512 " + "b" * 128 + "\n", "    SHA512 0\n"),
        "another registry": edit(
            "vcpkg.json",
            '"name"',
            '"vcpkg-configuration": {"default-registry": {"kind": "git", "repository": "https://evil.example/v"}}, "name"',
        ),
    },
}


@pytest.fixture(autouse=True)
def _usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tools ask the registries of the small worlds by default."""
    monkeypatch.setattr(defaults, "default", lambda name: USUAL.get(name, verbatim("nobody says")))


def lists(root: Path, ecosystem: str) -> tuple[Path, Path]:
    """An allow-list that admits all of a world, and advisories about none of it."""
    name, _version = NAMED[ecosystem]
    allow, osv = root / "allow.yaml", root / "osv.json"
    line = {"ecosystem": ecosystem, "name": "*", "certificate": "XC-2026-001", "expires": "2999-12-31"}
    allow.write_text(yaml.safe_dump({"schema": "xc-allow-list/1", "packages": [line]}))
    osv.write_text(json.dumps([advisory(ecosystem, name, "0.0.1")]))
    return allow, osv


def advisory(ecosystem: str, name: str, fixed: str) -> dict[str, object]:
    package = {"ecosystem": ECOSYSTEMS[ecosystem].osv, "name": name}
    events = [{"introduced": "0"}, {"fixed": fixed}]
    return {"id": "X-1", "affected": [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]}


def mutate(root: Path, ecosystem: str, mutant: str) -> None:
    if mutant in ("not allowed", "admission expired"):
        path = root / "allow.yaml"
        text = path.read_text()
        new = text.replace("'*'", "other") if mutant == "not allowed" else text.replace("2999", "2001")
        assert new != text
        path.write_text(new)
    elif mutant == "frozen":
        name, _version = NAMED[ecosystem]
        (root / "osv.json").write_text(json.dumps([advisory(ecosystem, name, "99")]))
        if ecosystem in ("npm", "cargo"):
            (root / "osv.json").write_text(json.dumps([advisory(ecosystem, name, "99.0.0")]))
    elif ecosystem in OF_RECIPES:
        OF_RECIPES[ecosystem][mutant](root)
    else:
        TAMPERINGS[ecosystem][mutant][0](root)


def decisions(root: Path, ecosystem: str, catalogue: Catalogue) -> dict[str, Decision]:
    subject = {"schema": "xc-subject/1", "name": "product", "version": "1", "supply_chain": {"path": "product"}}
    (root / "xinchuang.yaml").write_text(yaml.safe_dump(subject))
    trust = Trust(
        registries=(f"{ecosystem}={root / 'registry'}",),
        allow_list=root / "allow.yaml",
        advisories=root / "osv.json",
    )
    engine = SupplyChainEngine(load_subject(root), catalogue, Cache(root / "cache"), trust, offline=True)
    order = InOrder(catalogue, engine.decision)
    return {name: order.decision(name) for name in ASKED}


def open_in(ecosystem: str) -> set[str]:
    """What stays open of a good product: nobody vouches for recipes."""
    return {"XC-CHAIN-141"} if ecosystem in OF_RECIPES else set()


@pytest.mark.parametrize("ecosystem", WORLDS)
def test_a_good_product_passes_what_is_asked_of_it(ecosystem: str, tmp_path: Path, catalogue: Catalogue) -> None:
    WORLDS[ecosystem](tmp_path)
    lists(tmp_path, ecosystem)
    found = decisions(tmp_path, ecosystem, catalogue)
    for name, (ecosystems, _codes) in ASKED.items():
        if ecosystem not in ecosystems:
            assert found[name].verdict is Verdict.NOT_APPLICABLE
        elif name in open_in(ecosystem):
            assert found[name].verdict is Verdict.INCONCLUSIVE
        else:
            assert found[name].verdict is Verdict.PASS, (name, str(found[name].reason))


@pytest.mark.parametrize(("ecosystem", "mutant"), EVERY, ids=[f"{e}-{n}" for e, n in EVERY])
def test_a_mutant_is_caught_by_its_requirement_alone(
    ecosystem: str, mutant: str, tmp_path: Path, catalogue: Catalogue
) -> None:
    WORLDS[ecosystem](tmp_path)
    lists(tmp_path, ecosystem)
    mutate(tmp_path, ecosystem, mutant)
    found = decisions(tmp_path, ecosystem, catalogue)
    assert {n for n, d in found.items() if d.verdict is Verdict.FAIL} == {CAUGHT_BY[ecosystem][mutant]}
    for decision in found.values():
        for text in (decision.reason, decision.mend):
            assert not english_in(text.render("zh").replace(str(tmp_path), "")), text


def test_every_requirement_has_a_mutant() -> None:
    assert {name for names in CAUGHT_BY.values() for name in names.values()} == set(ASKED)


def test_what_the_registry_names_and_nobody_saw_is_no_pass(tmp_path: Path, catalogue: Catalogue) -> None:
    """The other package is verified: that is no evidence for this one."""
    WORLDS["npm"](tmp_path)
    lists(tmp_path, "npm")
    (tmp_path / "registry/left/left-1.0.0.tgz").unlink()
    (tmp_path / "product/node_modules").rename(tmp_path / "elsewhere")
    decision = decisions(tmp_path, "npm", catalogue)["XC-CHAIN-101"]
    assert decision.verdict is Verdict.INCONCLUSIVE and "XC-SUP-147" in str(decision.reason)


def test_what_nobody_vouches_for_is_no_pass(tmp_path: Path, catalogue: Catalogue) -> None:
    WORLDS["npm"](tmp_path)
    subject = {"schema": "xc-subject/1", "name": "product", "version": "1", "supply_chain": {"path": "product"}}
    (tmp_path / "xinchuang.yaml").write_text(yaml.safe_dump(subject))
    engine = SupplyChainEngine(load_subject(tmp_path), catalogue, Cache(tmp_path / "cache"), Trust(), offline=True)
    for name in ("XC-CHAIN-101", "XC-CHAIN-102", "XC-CHAIN-103", "XC-CHAIN-104"):
        assert engine.decision(name).verdict is Verdict.INCONCLUSIVE
