"""What packages and images say of machines, as it is written, and their twins that are for all."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.advise.builds.images import ImagesSurvey
from pytest_xinchuang.advise.builds.packaging import PackagingSurvey, of_control, of_spec
from pytest_xinchuang.core.advice import Standing
from pytest_xinchuang.core.platform import Platforms
from tests.advise.builds.trees import said, told, whole

SPEC = "Name: p\nVersion: 1\n{}\n%description\np\n"


@pytest.mark.parametrize(
    ("tags", "out"),
    [
        ("ExclusiveArch: x86_64", {"aarch64", "loongarch64"}),
        ("ExclusiveArch: x86_64 %{arm64}", {"loongarch64"}),
        ("ExclusiveArch: %{ix86} x86_64 aarch64 loongarch64", set()),
        ("ExcludeArch: loongarch64", {"loongarch64"}),
        ("ExcludeArch: %{ix86}", set()),
        ("%ifarch aarch64\nExcludeArch: aarch64\n%endif", {"aarch64"}),
        ("%ifnarch aarch64\nExclusiveArch: x86_64\n%else\nExclusiveArch: aarch64\n%endif", {"loongarch64"}),
        ("", set()),
    ],
)
def test_architectures_of_a_spec_file(tags: str, out: set[str]) -> None:
    found = {arch for arch in ("x86_64", "aarch64", "loongarch64") if list(of_spec(SPEC.format(tags), arch))}
    assert found == out


def test_a_macro_of_others_is_undecided() -> None:
    (one,) = of_spec(SPEC.format("ExclusiveArch: %{go_arches}"), "loongarch64")
    assert not one.sure and one.line == 3


@pytest.mark.parametrize(
    ("fields", "out"),
    [
        ("Architecture: amd64 i386", {"arm64", "loong64"}),
        ("Architecture: any", set()),
        ("Architecture: linux-any", set()),
        ("Architecture: any-amd64", {"arm64", "loong64"}),
        ("Architecture: all\n\nPackage: b\nArchitecture: amd64", {"arm64", "loong64"}),
        ("Architecture: any\n\nPackage: b\nArchitecture: amd64", set()),
    ],
)
def test_architectures_of_a_control_file(fields: str, out: set[str]) -> None:
    text = f"Source: s\n\nPackage: a\n{fields}\n"
    assert {arch for arch in ("amd64", "arm64", "loong64") if list(of_control(text, arch))} == out


def test_packages_are_told_at_their_line(platforms: Platforms, tmp_path: Path) -> None:
    files = {"rpm/p.spec": SPEC.format("ExclusiveArch: x86_64"), "x.spec": "a test of ruby\n"}
    found = said(platforms, tmp_path, files, PackagingSurvey())
    for name in ("kunpeng", "loongson"):
        assert told(found[name]) == [("XC-ADV-047", "guarded?", "rpm/p.spec:3")]
        assert found[name].standing is Standing.OPEN
    assert not found["hygon"].findings and whole(list(found.values()))


DOCKERFILES = [
    ("FROM --platform=linux/amd64 debian:12", [("XC-ADV-049", 1)]),
    ("FROM --platform=$BUILDPLATFORM golang AS b\nFROM debian", []),
    ("FROM amd64/debian:12", [("XC-ADV-049", 1)]),
    ("FROM debian:12", []),
    ("FROM debian\nADD https://x.org/t-linux-amd64.tar.gz /", [("XC-ADV-050", 2)]),
    ("FROM debian\nRUN set -e; \\\n  # why\n  curl -LO https://x.org/t_x86_64.zip && unzip t.zip", [("XC-ADV-050", 2)]),
    ("FROM debian\nARG A=amd64\nRUN curl -O https://x.org/t-$A", [("XC-ADV-050", 3)]),
    ("FROM debian\nARG TARGETARCH\nRUN curl -O https://x.org/t-${TARGETARCH}", []),
    ("FROM debian\nRUN case $(uname -m) in x86_64) u=http://x.org/amd64;; *) u=http://x.org/o;; esac; curl $u", []),
    ("FROM debian\nRUN if test -d /a; then curl https://x.org/t-arm64; else curl https://x.org/t-amd64; fi", []),
    (f"FROM debian@sha256:{'0' * 64}", [("XC-ADV-051", 1)]),
]


@pytest.mark.parametrize(("text", "wanted"), DOCKERFILES)
def test_dockerfiles(platforms: Platforms, tmp_path: Path, text: str, wanted: list[tuple[str, int]]) -> None:
    found = said(platforms, tmp_path, {"Dockerfile": f"{text}\n"}, ImagesSurvey())
    for name in ("kunpeng", "loongson"):
        assert [(c, p) for c, _how, p in told(found[name])] == [(c, f"Dockerfile:{line}") for c, line in wanted], name
        assert not found[name].stoppers
    own = [c for c, _how, _p in told(found["hygon"])]
    assert own == [c for c, _line in wanted if c == "XC-ADV-051"], "what is for x86-64 is for it"


def test_services_and_workflows(platforms: Platforms, tmp_path: Path) -> None:
    compose = "services:\n  a:\n    image: a\n    platform: linux/amd64\n  b:\n    image: b\n"
    workflow = (
        "jobs:\n  a:\n    steps:\n      - uses: docker/build-push-action@v5\n        with:\n          platforms: {}\n"
    )
    files = {
        "docker-compose.yml": compose,
        ".github/workflows/a.yml": workflow.format("linux/amd64"),
        ".github/workflows/b.yml": workflow.format("linux/amd64,linux/arm64"),
    }
    found = said(platforms, tmp_path, files, ImagesSurvey())
    assert told(found["kunpeng"]) == [
        ("XC-ADV-049", "guarded?", "docker-compose.yml:4"),
        ("XC-ADV-052", "note", ".github/workflows/a.yml:6"),
    ]
    assert not found["hygon"].findings


@pytest.mark.parametrize("text", ["a: [", "&a [*a]", "\t", "services: {a: {platform: [1]}}", "- " * 3000])
def test_a_broken_compose_file_is_no_error(platforms: Platforms, tmp_path: Path, text: str) -> None:
    assert not said(platforms, tmp_path, {"compose.yaml": text}, ImagesSurvey())["kunpeng"].findings
