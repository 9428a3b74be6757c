"""Databases of RPM in three forms, whole and damaged."""

from __future__ import annotations

import pytest

from pytest_xinchuang.packages.supply_chain.images.rpm_database import BadDatabase, header, packages
from tests.packages.supply_chain.images.databases import BERKELEY, SQLITE, headers, ndb

FORMS = {"rpmdb.sqlite": SQLITE, "Packages": BERKELEY, "Packages.db": ndb(headers())}


@pytest.mark.parametrize("name", FORMS)
def test_all_packages_are_read(name: str) -> None:
    found = {p.tags["name"]: p for p in packages({name: FORMS[name]})}
    assert {n: (p.tags.get("epoch"), p.tags["version"], p.tags["release"]) for n, p in found.items()} == {
        "openssl": ("1", "1.1.1m", "15.ky10"),
        "bash": (None, "5.0", "2.ky10"),
        "kylin-release": (None, "10", "1.ky10"),
    }
    assert found["bash"].tags["license"] == "GPLv3+"
    assert found["openssl"].files == ("opt/openssl", "opt/openssl/data", "usr/bin/openssl")


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("keep", [0, 100, 600, 0.5, 0.9])
def test_a_database_that_is_cut_off_is_told(name: str, keep: float) -> None:
    data = FORMS[name]
    with pytest.raises(BadDatabase):
        list(packages({name: data[: int(keep if keep > 1 or not keep else keep * len(data))]}))


@pytest.mark.parametrize("name", FORMS)
def test_damage_anywhere_is_told_or_does_no_harm(name: str) -> None:
    for at in range(0, len(FORMS[name]), 257):
        data = bytearray(FORMS[name])
        data[at] ^= 0xFF
        try:
            found = list(packages({name: bytes(data)}))
        except BadDatabase:
            continue
        assert all(p.tags["name"] for p in found)


def test_without_a_database() -> None:
    with pytest.raises(BadDatabase, match="there is none of"):
        list(packages({"Index.db": b""}))


def test_a_key_of_a_signer_is_no_package() -> None:
    blob = headers()[0]
    name = b"openssl\0" if b"openssl\0" in blob else b"bash\0"
    assert header(blob).tags["name"]
    other = blob.replace(name, b"gpg-pubkey\0"[: len(name) - 1] + b"\0", 1)
    assert header(other).tags["name"] != header(blob).tags["name"]


@pytest.mark.parametrize("blob", [b"", bytes(8), b"\0\0\0\1\0\0\0\1", b"\xff" * 64])
def test_what_is_no_header(blob: bytes) -> None:
    with pytest.raises((BadDatabase, Exception)):
        header(blob)
    with pytest.raises(BadDatabase):
        list(packages({"Packages.db": ndb([blob])}))
