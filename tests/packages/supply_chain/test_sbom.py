"""The bill of materials keeps CycloneDX's own schema, and is the same for the same inputs."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.packages.supply_chain.golang.check import SupplyChain
from pytest_xinchuang.packages.supply_chain.golang.proxy import Proxies
from pytest_xinchuang.packages.supply_chain.sbom import cyclonedx
from pytest_xinchuang.provision.cache import Cache

pytestmark = pytest.mark.tools


def test_components_have_the_hashes_that_go_sum_has(subject: Path, proxy: Path) -> None:
    chain = SupplyChain(subject, Proxies(Cache(), [str(proxy)], offline=True))
    chain.run()
    text = cyclonedx(chain, "v1.0.0")
    assert text == cyclonedx(chain, "v1.0.0")
    data = json.loads(text)
    assert (data["bomFormat"], data["specVersion"]) == ("CycloneDX", "1.6")
    by_name = {c["name"]: c for c in data["components"]}
    assert set(by_name) == {"example.org/lib", "example.org/base"}
    lib = by_name["example.org/lib"]
    assert lib["purl"] == "pkg:golang/example.org/lib@v1.2.0"
    line = next(x for x in (subject / "go.sum").read_text().splitlines() if x.startswith("example.org/lib v1.2.0 "))
    assert lib["hashes"] == [{"alg": "SHA-256", "content": base64.b64decode(line.split("h1:")[1]).hex()}]
    (root,) = (d for d in data["dependencies"] if d["ref"].startswith("example.com/product"))
    assert sorted(root["dependsOn"]) == ["example.org/base@v1.0.0", "example.org/lib@v1.2.0"]


def test_it_validates(subject: Path, proxy: Path, tmp_path: Path) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    bom = tmp_path / "bom.json"
    assert main(["supply-chain", "check", str(subject), "--proxy", str(proxy), "--offline", "--sbom", str(bom)]) == 3
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bom.read_text()) is None
