from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import DataFileError, UnknownName
from pytest_xinchuang.core.platform import Arch, Confidence, Fact, Platforms

SHIPPED = resources.platforms_file()


def extended(tmp_path: Path, text: str) -> Platforms:
    path = tmp_path / "own.yaml"
    path.write_text("schema: xc-platforms/1\n" + text)
    return Platforms([SHIPPED, path])


def test_what_the_project_promises_is_there(platforms: Platforms) -> None:
    cpus = {"kunpeng920", "phytium_d2000", "phytium_ft2000plus", "phytium_s5000c", "hygon_dhyana", "hygon_c86"}
    cpus |= {"zhaoxin_kx6000", "zhaoxin_kx7000", "loongson_3a5000", "loongson_3a6000", "loongson_2k3000"}
    assert cpus <= set(platforms.file.cpus)
    systems = {
        "kylin_v10_sp1",
        "kylin_v10_sp2",
        "kylin_v10_sp3",
        "kylin_v11",
        "uos_20",
        "openeuler_22_03",
        "openeuler_24_03",
    }
    systems |= {"anolis_8", "anolis_23", "loongnix_20", "deepin_25", "opencloudos_9", "openharmony_4_1"}
    assert systems <= set(platforms.file.systems)
    assert set(platforms.file.shorts) == {"kunpeng", "phytium", "hygon", "zhaoxin", "loongson"}


def test_short_names_cover_five_families(platforms: Platforms) -> None:
    chosen = platforms.select(["all"])
    assert {p.cpu.family for p in chosen} == {"kunpeng", "phytium", "hygon", "zhaoxin", "loongson"}
    assert {p.arch for p in chosen} == set(Arch)


def test_all_combinations_is_the_matrix(platforms: Platforms) -> None:
    assert {p.id for p in platforms.select(["all-combinations"])} == set(platforms.ids)


def test_a_platform_named_twice_is_chosen_once(platforms: Platforms) -> None:
    assert len(platforms.select(["kunpeng", " kunpeng", "kunpeng920-kylin_v10_sp3"])) == 1


def test_the_worlds_of_loongarch(platforms: Platforms) -> None:
    assert platforms.get("loongson_3a5000-loongnix_20").world == "old"
    assert platforms.get("loongson_3a5000-loongnix_20").rootfs_name is None
    assert platforms.get("loongson").world == "new"


def test_kylin_v10_has_glibc_2_28_and_a_stand_in_with_openssl_1_1_1(platforms: Platforms) -> None:
    for name in ("kylin_v10_sp1", "kylin_v10_sp3", "uos_20"):
        system = platforms.file.systems[name]
        assert system.libc_version.value == "2.28"
        assert platforms.file.rootfs[system.rootfs[Arch.ARM64] or ""].suite == "bullseye"


@pytest.mark.parametrize("name", ["kunpen", "loongsen", "kunpeng920-kylin_v10_sp4"])
def test_near_matches_for_a_wrong_name(platforms: Platforms, name: str) -> None:
    with pytest.raises(UnknownName, match="did you mean"):
        platforms.get(name)


@pytest.mark.parametrize("names", [[], [""], [" ", ""]])
def test_no_name_at_all(platforms: Platforms, names: list[str]) -> None:
    with pytest.raises(UnknownName, match="no platform is named"):
        platforms.select(names)


def test_a_file_of_ones_own_overrides_one_fact(tmp_path: Path) -> None:
    own = "systems: {kylin_v10_sp3: {page_size: {arm64: {value: 65536, source: seen, confidence: measured}}}}\n"
    platform = extended(tmp_path, own).get("kunpeng")
    assert platform.page_size is not None
    assert platform.page_size.value == 65536
    assert platform.system.libc_version.value == "2.28"


def test_a_file_of_ones_own_adds_a_short_name(tmp_path: Path) -> None:
    platforms = extended(tmp_path, "shorts: {mine: kunpeng920-uos_20}\n")
    assert platforms.get("mine").id == "kunpeng920-uos_20"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "cpus: {kunpeng920: {arch: mips}}\n",
            r"own.yaml:2: cpus.kunpeng920.arch: found 'mips': .*'amd64', 'arm64' or 'loong64'",
        ),
        ("cpus:\n  kunpeng920:\n    speed: 3\n", r"own.yaml:4: cpus.kunpeng920.speed: found 3: no such key here"),
        ("shorts: {x: nothing-here}\n", r"own.yaml:2: shorts.x: 'nothing-here': no such platform"),
        (
            "systems: {uos_20: {rootfs: {arm64: bulseye-arm64}}}\n",
            r"no such root filesystem \(did you mean bullseye-arm64",
        ),
        ("reference: nope\n", r"reference: 'nope': no such root filesystem"),
        ("systems: {uos_20: {kernel: {value: null, source: seen, confidence: sourced}}}\n", r"unverified"),
        ("systems: {uos_20: {kernel: {value: new, source: seen, confidence: sourced}}}\n", r"found 'new'"),
        ("cpus: [1]\n", r"cpus: found \[1\]"),
        ("shorts: {a: b\n", r"own.yaml:3: not valid YAML"),
        ("shorts: {}\nshorts: {}\n", r"given twice"),
    ],
)
def test_a_wrong_file_is_told_by_line_and_path(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(DataFileError, match=expected):
        extended(tmp_path, text)


@pytest.mark.parametrize(
    "content", [b"", b"- 1\n", b"\xff\xfe", b"schema: xc-platforms/2\n", b"!!python/object:os.system {}\n"]
)
def test_a_file_that_is_no_platforms_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=r"own\.yaml"):
        Platforms([SHIPPED, path])


def test_unknown_and_unverified_go_together() -> None:
    with pytest.raises(ValueError, match="unverified"):
        Fact[int](value=None, source="somewhere", confidence=Confidence.SOURCED)
    with pytest.raises(ValueError, match="unverified"):
        Fact[int](value=1, source="somewhere", confidence=Confidence.UNVERIFIED)


def test_every_fact_has_a_source(platforms: Platforms) -> None:
    for system in platforms.file.systems.values():
        assert system.kernel.source
        assert system.libc_version.source


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("loongson_3a4000-kylin_v10_sp1", "'loongson_3a4000-kylin_v10_sp1' is not supported: Loongson's CPUs before"),
        ("loongson_3b4000", "is not supported"),
        ("sunway_sw3231-uos_20", "SW64"),
    ],
)
def test_what_no_platform_can_be_made_of_is_told_so(platforms: Platforms, name: str, told: str) -> None:
    """A near match would send its owner to a platform that is another architecture."""
    with pytest.raises(UnknownName, match=re.escape(told)) as raised:
        platforms.get(name)
    assert "did you mean" not in str(raised.value)
    for family in platforms.file.unsupported.values():
        assert not set(family.names) & set(platforms.file.cpus)
        assert not {each.uname for each in platforms.file.architectures.values()} & set(family.machines)


def test_an_unsupported_cpu_that_is_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("schema: xc-platforms/1\nunsupported: {sunway: {names: [kunpeng920]}}\n")
    with pytest.raises(
        DataFileError, match=r"own.yaml:2: unsupported.sunway.names: 'kunpeng920': is a CPU of this file"
    ):
        Platforms([resources.platforms_file(), path])
