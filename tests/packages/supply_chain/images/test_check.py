"""Findings of images, and their bills of materials."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.packages.supply_chain.images.check import ImageCheck, check_bases
from pytest_xinchuang.packages.supply_chain.images.found import look_inside
from pytest_xinchuang.packages.supply_chain.lists import Advisories
from tests.packages.supply_chain.images.databases import BERKELEY
from tests.packages.supply_chain.images.test_found import DEBIAN, ELF, KYLIN, STATUS, tree

OPEN_SSL = "3.0.11-1~deb12u3"


def advisory(ecosystem: str, name: str, fixed: str, identifier: str = "X-1") -> dict[str, object]:
    events = [{"introduced": "0"}, {"fixed": fixed}]
    affected = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": identifier, "summary": "bad", "affected": [affected]}


def found(place: Path, files: dict[str, bytes], *advisories: dict[str, object]) -> set[tuple[str, str, str]]:
    (place / "osv").mkdir()
    (place / "osv" / "a.json").write_text(json.dumps(list(advisories)))
    inside = look_inside(tree(place / "root", files))
    findings = ImageCheck(inside, Advisories(place / "osv")).run()
    return {(f.code, f.certainty.value, str(f.params.get("module", f.object))) for f in findings}


DEBIAN_ROOT = {"etc/os-release": DEBIAN, "var/lib/dpkg/status": STATUS}
LIBSSL = "libssl3@3.0.11-1~deb12u2+b1"


@pytest.mark.parametrize(
    ("one", "wanted"),
    [
        (advisory("Debian:12", "openssl", OPEN_SSL), {("XC-SUP-033", "certain", LIBSSL)}),
        (advisory("Debian", "openssl", OPEN_SSL), {("XC-SUP-033", "certain", LIBSSL)}),
        (advisory("Debian:12", "openssl", "3.0.11-1~deb12u2"), set()),
        (advisory("Debian:12", "libssl3", "9"), set()),
        (advisory("Debian:11", "openssl", "9"), {("XC-SUP-194", "undecided", "Debian:12")}),
        (advisory("npm", "openssl", "9"), {("XC-SUP-194", "undecided", "Debian:12")}),
        (advisory("Debian:12", "openssl", "no version"), {("XC-SUP-134", "undecided", LIBSSL)}),
    ],
)
def test_advisories_name_source_packages_of_a_release(
    one: dict[str, object], wanted: set[tuple[str, str, str]], tmp_path: Path
) -> None:
    assert found(tmp_path, DEBIAN_ROOT, one) == wanted


def test_a_system_that_osv_does_not_know_is_named_by_itself(tmp_path: Path) -> None:
    files = {"etc/os-release": KYLIN, "var/lib/rpm/Packages": BERKELEY, "opt/own": ELF}
    name = "Kylin Linux Advanced Server:V10"
    assert found(tmp_path, files, advisory(name, "openssl", "1:1.1.1m-16.ky10")) == {
        ("XC-SUP-033", "certain", "openssl@1:1.1.1m-15.ky10"),
        ("XC-SUP-193", "note", "own"),
    }


def test_packages_of_languages(tmp_path: Path) -> None:
    files = {
        "app/Flask-1.0.dist-info/METADATA": b"Name: Flask\nVersion: 1.0\n",
        "app/node_modules/@s/b/package.json": b'{"name": "@s/b", "version": "2.0.0"}',
    }
    osv = [advisory("PyPI", "flask", "1.1"), advisory("npm", "@s/b", "2.0.1"), advisory("npm", "b", "9.0.0")]
    assert found(tmp_path, files, *osv) == {
        ("XC-SUP-033", "certain", "flask@1.0"),
        ("XC-SUP-033", "certain", "@s/b@2.0.0"),
    }


DIGEST = "@sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("FROM debian:12\n", [("XC-SUP-192", "debian:12")]),
        (f"FROM debian:12{DIGEST}\n", []),
        (f"ARG BASE=debian:12{DIGEST}\nFROM $BASE\n", []),
        ("ARG BASE\nFROM $BASE\n", [("XC-SUP-195", "$BASE")]),
        ("FROM debian@sha256:abc\n", [("XC-SUP-192", "debian@sha256:abc")]),
        (f"FROM a{DIGEST} AS b\nFROM b\nFROM scratch\n", []),
        ("", []),
    ],
)
def test_base_images_are_named_by_their_digests(text: str, wanted: list[tuple[str, str]], tmp_path: Path) -> None:
    tree(
        tmp_path,
        {"deploy/Dockerfile": text.encode(), "node_modules/x/Dockerfile": b"FROM x\n", "Makefile": b"FROM y\n"},
    )
    findings, count = check_bases(tmp_path)
    assert [(f.code, f.params["module"]) for f in findings] == wanted
    assert all(f.object.startswith("deploy/Dockerfile:") for f in findings)
    assert count == text.replace("FROM b\n", "").replace("FROM scratch", "").count("FROM")
    assert all((f.certainty is Certainty.UNDECIDED) is (f.code == "XC-SUP-195") for f in findings)


@pytest.mark.parametrize("form", ["cyclonedx", "spdx"])
def test_the_command(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tree(tmp_path / "root", {**DEBIAN_ROOT, "opt/own": ELF, "opt/same": ELF})
    bom = tmp_path / "bom.json"
    assert main(["supply-chain", "image", str(root), "--sbom", str(bom), "--sbom-format", form, "--notes"]) == 0
    assert "2 packages" in capsys.readouterr().out
    text = bom.read_text()
    data = json.loads(text)
    names = {c["name"]: c for c in data["components" if form == "cyclonedx" else "packages"]}
    assert {"bash", "libssl3", "own", "same"} <= set(names)
    assert "pkg:deb/debian/libssl3@3.0.11-1~deb12u2%2Bb1?arch=arm64&distro=debian-12" in text
    if form == "cyclonedx":
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator

        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
        assert data["metadata"]["component"]["type"] == "container"


@pytest.mark.parametrize(("path", "status"), [("none", 2), ("bad.tar", 2)])
def test_what_is_no_image(path: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.tar").write_bytes(b"\x1f\x8b broken")
    assert main(["supply-chain", "image", str(tmp_path / path)]) == status
    assert path in capsys.readouterr().err


def test_what_cannot_be_read_leaves_it_open(tmp_path: Path) -> None:
    root = tree(tmp_path, {"etc/os-release": KYLIN, "var/lib/rpm/Packages": BERKELEY[:9000]})
    assert main(["supply-chain", "image", str(root)]) == 3
