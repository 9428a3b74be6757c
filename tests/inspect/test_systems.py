"""Packages against the system that installs them, and code against what is not known of a CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Finding
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.inspect.isa import IsaScan, Site, Use
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.interpreters import _least
from pytest_xinchuang.inspect.rules.isa_rules import check_isa
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.inspect.rules.systems import ALWAYS, SUFFIXES
from pytest_xinchuang.packages.mru.static import BASELINE, REQUIREMENT_OF
from tests.inspect import containers
from tests.inspect.test_rules import elf

X86 = "hygon_dhyana"


def found(path: Path, platform: str, platforms: Platforms) -> list[Finding]:
    return Verdicts(platforms.get(platform), platforms.file.architectures).of(Inspector().read(path))


def told(path: Path, platform: str, platforms: Platforms) -> list[tuple[str, str]]:
    """What the rules of this module say: code and certainty."""
    return [(f.code, f.certainty.value) for f in found(path, platform, platforms) if f.code.startswith("XC-DIST")]


def deb(suffix: str) -> bytes:
    """A deb whose members have this suffix; what is in them is of no matter here."""
    tar = containers.tar({"control": b"Package: hello\nVersion: 1\nArchitecture: amd64\n"})
    packed = {"gz": "gz", "xz": "xz", "bz2": "bz2", "zst": "zst"}
    data = containers.compressed(tar)[packed[suffix]] if suffix else tar
    dot = f".{suffix}" if suffix else ""
    return containers.ar({"debian-binary": b"2.0\n", f"control.tar{dot}": data, f"data.tar{dot}": data})


# -- the family


@pytest.mark.parametrize(
    ("kind", "platform", "expected"),
    [
        ("deb", f"{X86}-uos_20", [("XC-DIST-001", "certain")]),
        ("deb", f"{X86}-uos_desktop_20", []),
        ("deb", f"{X86}-uos_20_d", []),
        ("deb", f"{X86}-kylin_v10_sp2", [("XC-DIST-001", "certain")]),
        ("rpm", f"{X86}-kylin_desktop_v10", [("XC-DIST-001", "undecided")]),
        ("rpm", f"{X86}-uos_20", []),
        ("rpm", f"{X86}-kylin_desktop_v11", [("XC-DIST-001", "certain")]),
    ],
)
def test_a_package_of_the_other_family(
    kind: str, platform: str, expected: list[tuple[str, str]], tmp_path: Path, platforms: Platforms
) -> None:
    data = deb("xz") if kind == "deb" else containers.rpm({"./usr/share/x": b"x"}, "hello", "x86_64")
    path = tmp_path / f"hello.{kind}"
    path.write_bytes(data)
    assert told(path, platform, platforms) == expected


def test_a_delivery_with_both_is_for_both(tmp_path: Path, platforms: Platforms) -> None:
    (tmp_path / "hello.deb").write_bytes(deb("zst"))
    (tmp_path / "hello.rpm").write_bytes(containers.rpm({"./usr/share/x": b"x"}, "hello", "x86_64"))
    assert told(tmp_path, f"{X86}-uos_20", platforms) == []


def test_a_package_in_another_is_a_file_of_it(tmp_path: Path, platforms: Platforms) -> None:
    path = tmp_path / "mirror.rpm"
    path.write_bytes(containers.rpm({"./srv/mirror/hello.deb": deb("xz")}, "mirror", "x86_64"))
    assert told(path, f"{X86}-uos_20", platforms) == []


def test_a_system_of_which_the_family_is_not_known(tmp_path: Path, platforms: Platforms) -> None:
    path = tmp_path / "hello.deb"
    path.write_bytes(deb("xz").replace(b"amd64", b"arm64"))
    assert told(path, "kunpeng920-openharmony_4_1", platforms) == []


# -- compressors


@pytest.mark.parametrize(
    ("suffix", "platform", "expected"),
    [
        ("zst", f"{X86}-uos_desktop_20", ("XC-DIST-002", "certain")),
        ("zst", f"{X86}-uos_20_d", ("XC-DIST-002", "undecided")),
        ("zst", f"{X86}-kylin_desktop_v10_sp1", ("XC-DIST-002", "undecided")),
        ("zst", f"{X86}-deepin_25", ("XC-DIST-002", "undecided")),
        ("xz", f"{X86}-uos_desktop_20", None),
        ("gz", f"{X86}-kylin_desktop_v10_sp1", None),
        ("", f"{X86}-uos_desktop_20", None),
    ],
)
def test_how_a_deb_is_compressed(
    suffix: str, platform: str, expected: tuple[str, str] | None, tmp_path: Path, platforms: Platforms
) -> None:
    path = tmp_path / "hello.deb"
    path.write_bytes(deb(suffix))
    # Both of its members are told.
    assert told(path, platform, platforms) == ([expected, expected] if expected else [])


@pytest.mark.parametrize(
    ("compressor", "platform", "expected"),
    [
        ("zstd", f"{X86}-uos_20", [("XC-DIST-002", "undecided")]),
        ("zstd", f"{X86}-openeuler_24_03", [("XC-DIST-002", "undecided")]),
        ("gzip", f"{X86}-uos_20", []),
        ("xz", f"{X86}-uos_20", []),
        ("", f"{X86}-uos_20", []),
    ],
)
def test_how_an_rpm_is_compressed(
    compressor: str, platform: str, expected: list[tuple[str, str]], tmp_path: Path, platforms: Platforms
) -> None:
    path = tmp_path / "hello.rpm"
    path.write_bytes(containers.rpm({"./usr/share/x": b"x"}, "hello", "x86_64", compressor))
    assert told(path, platform, platforms) == expected


def test_every_compressor_has_its_name(platforms: Platforms) -> None:
    names = {c for system in platforms.file.systems.values() for c in system.software.compressors.value or ()}
    assert names == set(SUFFIXES.values())
    for system in platforms.file.systems.values():
        assert not system.software.compressors.value or set(system.software.compressors.value) >= ALWAYS


# -- wheels


def wheel(tmp_path: Path, tags: str, extension: str, platforms: Platforms) -> Path:
    path = tmp_path / f"fast-1.0-{tags}.whl"
    data = _object()
    path.write_bytes(
        containers.zipped({f"fast/{extension}": data, "fast-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\n"})
    )
    return path


def _object() -> bytes:
    """The least of an ELF header: a shared object of x86-64 without segments."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + (3).to_bytes(2, "little") + (62).to_bytes(2, "little") + bytes(44)


def test_a_wheel_for_another_python_than_the_systems_is_told_and_no_failure(
    tmp_path: Path, platforms: Platforms
) -> None:
    path = wheel(tmp_path, "cp311-cp311-linux_x86_64", "_f.cpython-311-x86_64-linux-gnu.so", platforms)
    assert told(path, f"{X86}-uos_20", platforms) == [("XC-DIST-003", "note")]
    assert told(path, f"{X86}-openeuler_24_03", platforms) == []


# -- npm


@pytest.mark.parametrize("text", ["{", "[]", "3", "\x00", '{"os": ' + "[" * 3000])
def test_a_malformed_package_json_decides_nothing(text: str, tmp_path: Path, platforms: Platforms) -> None:
    (tmp_path / "package.json").write_text(text)
    assert told(tmp_path, f"{X86}-uos_20", platforms) == []


def test_node_that_does_not_start_there_is_told(tmp_path: Path, platforms: Platforms) -> None:
    (tmp_path / "package.json").write_text(json.dumps({"engines": {"node": ">=18.0.0"}}))
    assert told(tmp_path, f"{X86}-kylin_desktop_v10", platforms) == [
        ("XC-DIST-004", "note"),
        ("XC-DIST-027", "undecided"),
    ]


@pytest.mark.parametrize(
    ("text", "least"),
    [
        (">=18", (18,)),
        ("^16.14.0 || >=18", (16, 14, 0)),
        ("20.x", (20,)),
        ("v14", (14,)),
        (" >= 12.2", (12, 2)),
        ("<16", None),
        ("*", None),
        ("latest", None),
        (3, None),
        ("9" * 300, None),
    ],
)
def test_the_least_version_of_a_range(text: object, least: tuple[int, ...] | None) -> None:
    assert _least(text) == least


def test_a_product_that_asks_for_what_is_only_inferred(tmp_path: Path, platforms: Platforms) -> None:
    path = tmp_path / "mongodb.deb"
    control = "Package: mongodb-org-server\nVersion: 5.0.9\nArchitecture: arm64\n"
    path.write_bytes(containers.deb({"usr/bin/mongod": b"x"}, control))
    for cpu, sure in (("phytium_d2000", "certain"), ("phytium_s2500", "undecided"), ("kunpeng950", "undecided")):
        findings = found(path, f"{cpu}-uos_desktop_20", platforms)
        assert [(f.code, f.certainty.value) for f in findings] == [("XC-PKG-005", sure)]


# -- what is not known of a CPU


def judged(
    platform: str, feature: str, platforms: Platforms, *, certain: int = 0, guarded: int = 0
) -> list[tuple[str, str]]:
    judge = Judge(platforms.get(platform))
    use = Use(feature, certain, guarded, [Site("f", 16, "x")] * certain, [Site("g", 32, "y")] * guarded)
    machine = platforms.get(platform).architecture.elf_machine
    check_isa(judge, ElfRecord("x", "x", elf(machine=machine), IsaScan({feature: use}, "getauxval", scanned=100)))
    assert all(REQUIREMENT_OF[f.code] == BASELINE for f in judge.findings)
    return [(f.code, f.certainty.value) for f in judge.findings]


@pytest.mark.parametrize(
    ("platform", "feature", "certain", "guarded", "expected"),
    [
        # The FT-2000+ has no AES, and every emulated CPU of Armv8.0 has.
        ("phytium_ft2000plus-kylin_v10_sp1", "aes", 1, 0, [("XC-ISA-007", "certain")]),
        ("phytium_ft2000plus-kylin_v10_sp1", "aes", 0, 1, [("XC-CPU-002", "undecided")]),
        ("phytium_ft2000plus-kylin_v10_sp1", "aes", 1, 1, [("XC-CPU-002", "undecided"), ("XC-ISA-007", "certain")]),
        ("phytium_ft2000plus-kylin_v10_sp1", "atomics", 0, 1, [("XC-ISA-002", "guarded?")]),
        ("phytium_d2000-kylin_v10_sp1", "aes", 1, 0, []),
        # What the S5000C has is taken over from the D3000: neither a pass nor a failure rests on that.
        ("phytium_s5000c-kylin_v10_sp1", "sm4", 1, 0, [("XC-CPU-001", "undecided")]),
        ("phytium_s5000c-kylin_v10_sp1", "sve", 1, 0, [("XC-CPU-001", "undecided")]),
        ("phytium_s5000c-kylin_v10_sp1", "sve", 0, 1, [("XC-ISA-006", "guarded?")]),
        ("phytium_s5000c-kylin_v10_sp1", "sm4", 0, 1, []),
        ("phytium_d3000-kylin_v10_sp1", "sm4", 1, 0, []),
        ("phytium_d3000-kylin_v10_sp1", "sve", 1, 0, [("XC-ISA-006", "certain")]),
        # Two dumps of CPUID show it, and /proc/cpuinfo does not.
        ("zhaoxin", "sha_ni", 1, 0, [("XC-CPU-001", "undecided")]),
        ("zhaoxin_kx7000-uos_20", "sha_ni", 1, 0, []),
    ],
)
def test_code_against_what_is_known_of_a_cpu(
    platform: str, feature: str, certain: int, guarded: int, expected: list[tuple[str, str]], platforms: Platforms
) -> None:
    assert judged(platform, feature, platforms, certain=certain, guarded=guarded) == expected
