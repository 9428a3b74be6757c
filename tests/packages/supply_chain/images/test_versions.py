"""The order of versions of distributions: as their own tools have it, where those are here."""

from __future__ import annotations

import random
import shutil
import subprocess

import pytest

from pytest_xinchuang.packages.supply_chain.images.versions import ORDERS

ASCENDING = {
    "deb": [
        "1.0~rc1",
        "1.0",
        "1.0-1~bpo1",
        "1.0-1",
        "1.0-1+b1",
        "1.0-1.1",
        "1.0a",
        "1.0+dfsg",
        "1.0.1",
        "1.09",
        "1.10",
        "1:0.1",
    ],
    "rpm": [
        "1.0~rc1-1",
        "1.0-1.ky10",
        "1.0-2.ky10",
        "1.0^git1-1",
        "1.0.1-1",
        "1.1.1m-15.p09.ky10",
        "1.10-1",
        "2.0-1",
        "1:0.1-1",
    ],
    "apk": [
        "1.0_alpha",
        "1.0_rc1",
        "1.0",
        "1.0-r1",
        "1.0_git20200101",
        "1.0_p1",
        "1.0_p2",
        "1.0a",
        "1.0.1",
        "1.05",
        "1.1",
        "1.10",
    ],
}
EQUAL = [("deb", "1.0", "0:1.0-0"), ("deb", "1.0-1", "1.00-01"), ("rpm", "1.0", "1.0-7"), ("rpm", "1.0-1", "0:1.00-1")]


@pytest.mark.parametrize("kind", ASCENDING)
def test_versions_ascend(kind: str) -> None:
    keys = [ORDERS[kind](version) for version in ASCENDING[kind]]
    for n, low in enumerate(keys):
        for high in keys[n + 1 :]:
            assert low < high
            assert not high < low


@pytest.mark.parametrize(("kind", "one", "two"), EQUAL)
def test_versions_that_are_the_same(kind: str, one: str, two: str) -> None:
    assert ORDERS[kind](one) == ORDERS[kind](two)
    assert not ORDERS[kind](one) < ORDERS[kind](two)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("deb", ""),
        ("deb", "x:1"),
        ("deb", "1 2"),
        ("rpm", ""),
        ("rpm", "x:1"),
        ("apk", "v1"),
        ("apk", "1.0_beter"),
        ("apk", ""),
    ],
)
def test_what_is_no_version(kind: str, text: str) -> None:
    with pytest.raises(ValueError, match="no version of"):
        ORDERS[kind](text)


@pytest.mark.tools
def test_dpkg_has_the_same_order() -> None:
    dpkg = shutil.which("dpkg")
    if dpkg is None:
        pytest.skip("dpkg is not here")
    draw = random.Random(20)
    for _number in range(80):
        one, two = (
            f"{draw.randrange(10)}" + "".join(draw.choices("0019a.+~-b", k=draw.randrange(1, 7))) + "1" for _ in "ab"
        )
        less = (
            subprocess.run([dpkg, "--compare-versions", one, "lt", two], check=False, capture_output=True).returncode
            == 0
        )
        assert (ORDERS["deb"](one) < ORDERS["deb"](two)) is less, (one, two)
