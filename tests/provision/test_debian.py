"""Indexes of packages, and what packages need."""

from __future__ import annotations

import pytest

from pytest_xinchuang.core.errors import DataFileError, HostFault
from pytest_xinchuang.provision.debian import PackageIndex, compare_versions
from tests.messages.english import english_in
from tests.provision.packages import index, stanza


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.0~rc1", "1.0"),
        ("2", "1:0.1"),
        ("1.9", "1.10"),
        ("1.0-1", "1.0-1+b1"),
        ("1.0a", "1.0+b"),
        ("1.0~~", "1.0~"),
        ("1.0~~a", "1.0~"),
        ("1.0", "1.0a"),
        ("1.0-1~bpo", "1.0-1"),
        ("09", "10"),
    ],
)
def test_versions_are_ordered_as_dpkg_orders_them(older: str, newer: str) -> None:
    assert compare_versions(older, newer) < 0 < compare_versions(newer, older)


@pytest.mark.parametrize(("one", "other"), [("1.0", "1.0-0"), ("0:1", "1"), ("1.01", "1.1"), ("", "")])
def test_versions_that_are_the_same(one: str, other: str) -> None:
    assert compare_versions(one, other) == compare_versions(other, one) == 0


def names(text: str, *asked: str) -> list[str]:
    return [package.name for package in PackageIndex(text).closure(asked)]


def test_what_is_needed_comes_too_and_recommendations_do_not() -> None:
    text = index(
        stanza("a", Depends="b (>= 1), c:any", Pre_Depends="base-files", Recommends="d"),
        stanza("b", Depends="a"),
        *(stanza(name) for name in ("c", "d", "base-files")),
    )
    assert names(text, "a") == ["base-files", "a", "b", "c"]


@pytest.mark.parametrize(
    ("depends", "chosen"),
    [
        ("none | b", "b"),
        ("b (>= 2) | c", "c"),
        ("c | b", "c"),
        ("virtual", "important"),
        ("virtual | c", "important"),
        ("versioned (>= 2)", "c"),
        ("b (<< 1) | c (<= 1)", "c"),
        ("b (= 1)", "b"),
        ("b (>> 0)", "b"),
    ],
)
def test_of_alternatives_the_first_that_can_be_had(depends: str, chosen: str) -> None:
    text = index(
        stanza("a", Depends=depends),
        stanza("b"),
        stanza("c", Provides="versioned (= 3)"),
        stanza("another", Provides="virtual, versioned", Priority="optional"),
        stanza("important", Provides="virtual", Priority="required"),
    )
    assert names(text, "a") == sorted(["a", chosen])


def test_of_alternatives_the_one_that_is_there_anyway() -> None:
    text = index(stanza("a", Depends="b | c"), stanza("b"), stanza("c"))
    assert names(text, "a", "c") == ["a", "c"]


def test_of_several_versions_the_newest() -> None:
    old, new = stanza("a", b"old", Version="1.9"), stanza("a", b"new", Version="1.10")
    assert PackageIndex(index(old, new)).package("a") == PackageIndex(index(new, old)).package("a")
    assert PackageIndex(index(old, new)).package("a").size == 3


def test_a_kernel_brings_nothing_that_installs_it() -> None:
    text = index(
        stanza("linux-image-x", Depends="linux-image-6.1-x (= 1), initramfs-tools"),
        stanza("linux-image-6.1-x", Depends="kmod, linux-base (>= 4), linux-binary-6.1-x"),
        *(stanza(name) for name in ("kmod", "linux-base", "linux-binary-6.1-x", "initramfs-tools")),
    )
    found = [package.name for package in PackageIndex(text).images("linux-image-x")]
    assert found == ["linux-binary-6.1-x", "linux-image-6.1-x", "linux-image-x"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (index(stanza("python3")), "the archive has no package 'pyton3'.*python3"),
        (index(stanza("pyton3", Depends="gone | away")), "the package pyton3 needs gone, away, which"),
        (index(stanza("pyton3", Filename="../../etc/passwd")), "says no file of 'pyton3'"),
        (index(stanza("pyton3", Filename="pool/../../x.deb")), "says no file of 'pyton3'"),
        (index(stanza("pyton3", SHA256="0")), "says no file of 'pyton3'"),
        (index(stanza("pyton3", Size="-1")), "says no file of 'pyton3'"),
        ("", "the archive has no package 'pyton3'"),
    ],
)
def test_what_cannot_be_had_is_told(text: str, said: str) -> None:
    with pytest.raises((HostFault, DataFileError), match=said) as caught:
        PackageIndex(text).closure(["pyton3"])
    assert not english_in(caught.value.render("zh"))


@pytest.mark.parametrize("depends", ["(", "A B", "a (1)", "a (>= 1"])
def test_a_relation_that_is_none_is_refused(depends: str) -> None:
    with pytest.raises(DataFileError, match="not a relation to a package"):
        PackageIndex(index(stanza("a", Depends=depends))).closure(["a"])
    with pytest.raises(DataFileError, match="not a relation to a package") as caught:
        PackageIndex(index(stanza("a", Provides=depends)))
    assert not english_in(caught.value.render("zh"))


def test_a_field_before_every_package_is_nobodys() -> None:
    assert names(index("Provides: a\n", stanza("b")), "b") == ["b"]
