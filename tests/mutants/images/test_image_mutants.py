"""Each known-bad image is caught by the requirement that is named for it, and by no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pytest_xinchuang.core.needs import InOrder
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Decision, Verdict
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.packages.supply_chain.asked import BASES, FROZEN_INSIDE, INSIDE, OF_IMAGES
from pytest_xinchuang.packages.supply_chain.engine import SupplyChainEngine, Trust
from pytest_xinchuang.provision.cache import Cache
from tests.inspect import containers
from tests.messages.english import english_in
from tests.packages.supply_chain.images.databases import BERKELEY
from tests.packages.supply_chain.images.test_check import DIGEST, advisory
from tests.packages.supply_chain.images.test_found import KYLIN

CAUGHT_BY: dict[str, dict[str, str]] = yaml.safe_load((Path(__file__).parent / "caught_by.yaml").read_text())

SYSTEM = "Kylin Linux Advanced Server:V10"
FLASK = {"app/Flask-2.0.dist-info/METADATA": b"Name: Flask\nVersion: 2.0\n"}
GOOD = {"etc/os-release": KYLIN, "var/lib/rpm/Packages": BERKELEY, **FLASK}


def image(root: Path, arm: dict[str, bytes], loong: dict[str, bytes] | None = None) -> None:
    files = containers.layout({"arm64": [containers.tar(arm)], "loong64": [containers.tar(loong or arm)]})
    (root / "image.tar").write_bytes(containers.tar(files))


def osv(root: Path, *more: dict[str, object]) -> None:
    (root / "osv.json").write_text(json.dumps([advisory(SYSTEM, "openssl", "1:1.1.1m-15.ky10", "OLD-1"), *more]))


def world(root: Path) -> None:
    image(root, GOOD)
    osv(root)
    (root / "Dockerfile").write_text(f"FROM kylin:v10{DIGEST}\nCOPY . /app\n")


MUTANTS: dict[str, Callable[[Path], object]] = {
    "a database without its end": lambda root: image(root, {**GOOD, "var/lib/rpm/Packages": BERKELEY[:9000]}),
    "a database taken away": lambda root: image(root, {"etc/os-release": KYLIN, **FLASK}),
    "a jar that is none": lambda root: image(root, {**GOOD, "app/x.jar": b"PK\x03\x04"}),
    "a base by its tag": lambda root: (root / "Dockerfile").write_text("FROM kylin:v10\n"),
    "a base of whoever builds": lambda root: (root / "Dockerfile").write_text("ARG BASE\nFROM $BASE\n"),
    "an affected package of the system": lambda root: osv(root, advisory(SYSTEM, "openssl", "1:1.1.1m-16.ky10")),
    "an affected package of a language": lambda root: osv(root, advisory("PyPI", "flask", "2.0.1")),
    "an affected package of the second platform": lambda root: (
        image(root, GOOD, {**GOOD, "app/x-1.dist-info/METADATA": b"Name: x\nVersion: 1\n"}),
        osv(root, advisory("PyPI", "x", "2")),
    ),
    "advisories of another system": lambda root: (root / "osv.json").write_text(
        json.dumps([advisory("Debian:12", "openssl", "9"), advisory("PyPI", "none", "1")])
    ),
}


def decisions(root: Path, catalogue: Catalogue) -> dict[str, Decision]:
    section = {"path": ".", "images": ["image.tar"]}
    subject = {"schema": "xc-subject/1", "name": "product", "version": "1", "supply_chain": section}
    (root / "xinchuang.yaml").write_text(yaml.safe_dump(subject))
    trust = Trust(advisories=root / "osv.json")
    engine = SupplyChainEngine(load_subject(root), catalogue, Cache(root / "cache"), trust, offline=True)
    order = InOrder(catalogue, engine.decision)
    return {name: order.decision(name) for name in OF_IMAGES}


def test_a_good_image_passes(tmp_path: Path, catalogue: Catalogue) -> None:
    world(tmp_path)
    osv(tmp_path, advisory("PyPI", "flask", "1.0"))
    found = decisions(tmp_path, catalogue)
    assert {n: d.verdict for n, d in found.items()} == dict.fromkeys(OF_IMAGES, Verdict.PASS), found


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_caught_by_its_requirement_alone(mutant: str, tmp_path: Path, catalogue: Catalogue) -> None:
    world(tmp_path)
    osv(tmp_path, advisory("PyPI", "flask", "1.0"))
    MUTANTS[mutant](tmp_path)
    found = decisions(tmp_path, catalogue)
    caught = CAUGHT_BY[mutant]
    assert found[caught["requirement"]].verdict is Verdict(caught["verdict"]), found
    others = {n: d.verdict for n, d in found.items() if n != caught["requirement"]}
    if caught["requirement"] == INSIDE:
        assert others.pop(FROZEN_INSIDE) is Verdict.INCONCLUSIVE, "of what is not read nobody knows"
    assert set(others.values()) == {Verdict.PASS}, found
    for decision in found.values():
        for text in (decision.reason, decision.mend):
            assert not english_in(text.render("zh").replace(str(tmp_path), "")), text


def test_the_table_is_full() -> None:
    assert sorted(CAUGHT_BY) == sorted(MUTANTS)
    assert {c["requirement"] for c in CAUGHT_BY.values()} == set(OF_IMAGES)


def test_without_advisories_without_images_and_without_dockerfiles(tmp_path: Path, catalogue: Catalogue) -> None:
    world(tmp_path)
    (tmp_path / "Dockerfile").unlink()
    subject = {"schema": "xc-subject/1", "name": "product", "version": "1", "supply_chain": {"path": "."}}
    (tmp_path / "xinchuang.yaml").write_text(yaml.safe_dump(subject))
    engine = SupplyChainEngine(load_subject(tmp_path), catalogue, Cache(tmp_path / "cache"), Trust(), offline=True)
    assert {engine.decision(n).verdict for n in OF_IMAGES} == {Verdict.NOT_APPLICABLE}
    subject["supply_chain"] = {"path": ".", "images": ["image.tar"]}
    (tmp_path / "xinchuang.yaml").write_text(yaml.safe_dump(subject))
    engine = SupplyChainEngine(load_subject(tmp_path), catalogue, Cache(tmp_path / "cache"), Trust(), offline=True)
    assert engine.decision(FROZEN_INSIDE).verdict is Verdict.INCONCLUSIVE
    assert engine.decision(BASES).verdict is Verdict.NOT_APPLICABLE
