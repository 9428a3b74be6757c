"""What SDKs deliver beside their source: native files, class files, and the run time that they ask for."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.core.verdict import Decision, Fidelity, Verdict
from pytest_xinchuang.messages import NOTHING
from pytest_xinchuang.packages.sdk_ast.delivered import (
    class_version,
    java_is_new_enough,
    native_files,
    python_is_new_enough,
    python_wanted,
)
from pytest_xinchuang.packages.sdk_ast.java import delivery
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import Builder, Target
from pytest_xinchuang.tools.process import Runner
from tests.advise.asking import library


def classes(java: int) -> bytes:
    return b"\xca\xfe\xba\xbe" + struct.pack(">HH", 0, 44 + java)


def jar(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def native(place: Path, language: str, platforms: Platforms, platform: str = "kunpeng") -> Decision:
    return native_files(place, language, platforms.get(platform), Runner()).decision(Fidelity.STATIC, NOTHING)


def test_native_files_of_another_machine(platforms: Platforms, tmp_path: Path) -> None:
    path = jar(tmp_path / "sdk.jar", {"a/A.class": classes(8), "lib/libx.so": library("x86_64")})
    other, own = (native(path, "java", platforms, platform) for platform in ("kunpeng", "hygon"))
    assert other.verdict is Verdict.FAIL and "arm64" in other.reason
    assert "cannot be mapped" in own.reason, "it is of no other machine, and for the rest an ELF file without segments"


@pytest.mark.tools
def test_a_library_that_is_linked_for_the_platform(platforms: Platforms, tmp_path: Path) -> None:
    architecture = platforms.get("kunpeng").architecture
    source = tmp_path / "x.c"
    source.write_text("int answer(void) { return 42; }\n")
    target = Target(Arch.ARM64, architecture, "2.17")
    data = Builder(Cache(tmp_path / "cache")).c(target, [source], shared=True)
    path = jar(tmp_path / "sdk.jar", {"a/A.class": classes(8), "lib/libx.so": data})
    assert native(path, "java", platforms).verdict is Verdict.PASS
    assert native(path, "java", platforms, "hygon").verdict is Verdict.FAIL


def test_a_jar_of_classes_is_for_no_machine(platforms: Platforms, tmp_path: Path) -> None:
    assert native(jar(tmp_path / "sdk.jar", {"a/A.class": classes(8)}), "java", platforms).verdict is Verdict.PASS


def test_headers_alone_deliver_nothing_native(platforms: Platforms, tmp_path: Path) -> None:
    (tmp_path / "lib.h").write_text("int f(void);\n")
    assert native(tmp_path, "c", platforms).verdict is Verdict.NOT_APPLICABLE


def test_a_damaged_library_is_open(platforms: Platforms, tmp_path: Path) -> None:
    (tmp_path / "libx.so").write_bytes(library("aarch64")[:40])
    assert native(tmp_path, "c", platforms).verdict is Verdict.INCONCLUSIVE


def test_later_versions_of_a_multi_release_jar_do_not_count(tmp_path: Path) -> None:
    files = {"A.class": classes(8), "META-INF/versions/17/A.class": classes(17), "module-info.class": classes(9)}
    assert class_version(jar(tmp_path / "sdk.jar", files)) == (8, "")
    assert class_version(jar(tmp_path / "new.jar", {**files, "B.class": classes(11)})) == (11, "")
    assert class_version(jar(tmp_path / "none.jar", {"A.class": b"\xca\xfe"})) == (0, "A.class")


@pytest.mark.parametrize("bad", [b"", b"\xca\xfe", b"no class"])
def test_a_class_file_that_cannot_be_read_is_no_pass(tmp_path: Path, bad: bytes) -> None:
    path = jar(tmp_path / "sdk.jar", {"A.class": classes(8), "B.class": bad})
    assert java_is_new_enough(path, "8").decision(Fidelity.STATIC, NOTHING).verdict is Verdict.INCONCLUSIVE
    newer = jar(tmp_path / "newer.jar", {"A.class": classes(11), "B.class": bad})
    assert java_is_new_enough(newer, "8").decision(Fidelity.STATIC, NOTHING).verdict is Verdict.FAIL


def test_a_class_file_that_is_too_large_is_no_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "LARGEST", 8)
    path = jar(tmp_path / "sdk.jar", {"A.class": classes(8), "B.class": classes(21) + b"\0"})
    assert java_is_new_enough(path, "8").decision(Fidelity.STATIC, NOTHING).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("java", "users", "verdict"),
    [
        (8, "8", Verdict.PASS),
        (11, "8", Verdict.FAIL),
        (11, "", Verdict.NOT_APPLICABLE),
        (None, "8", Verdict.INCONCLUSIVE),
    ],
)
def test_javas(java: int | None, users: str, verdict: Verdict, tmp_path: Path) -> None:
    path = jar(tmp_path / "sdk.jar", {} if java is None else {"A.class": classes(java)})
    assert java_is_new_enough(path, users).decision(Fidelity.STATIC, NOTHING).verdict is verdict


def test_what_is_no_jar(tmp_path: Path) -> None:
    (tmp_path / "sdk.jar").write_bytes(b"no zip")
    with pytest.raises(XcError, match="cannot be read as a jar"):
        class_version(tmp_path)


@pytest.mark.parametrize(
    ("wanted", "users", "verdict"),
    [
        (">=3.9", "3.9", Verdict.PASS),
        ("", "3.6", Verdict.PASS),
        (">=3.9,<3.12", "3.12.1", Verdict.FAIL),
        (">=3.9", "", Verdict.NOT_APPLICABLE),
        ("three", "3.9", Verdict.FAIL),
    ],
)
def test_pythons(wanted: str, users: str, verdict: Verdict, tmp_path: Path) -> None:
    said = f"Requires-Python: {wanted}\n" if wanted else ""
    wheel = jar(tmp_path / "sdk-1-py3-none-any.whl", {"sdk-1.dist-info/METADATA": f"Name: sdk\n{said}".encode()})
    assert python_is_new_enough(wheel, users).decision(Fidelity.STATIC, NOTHING).verdict is verdict
    (tmp_path / "pyproject.toml").write_text(f'[project]\nrequires-python = "{wanted}"\n')
    (tmp_path / "src").mkdir()
    assert python_wanted(tmp_path) == python_wanted(tmp_path / "src") == wanted


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("setup.cfg", "[options]\npython_requires = >=3.11\n"),
        ("setup.py", "from setuptools import setup\nsetup(name='sdk', python_requires='>=3.11')\n"),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = ">=3.11"\n'),
    ],
)
def test_whatever_describes_a_project_is_read(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert python_wanted(tmp_path) == ">=3.11"
    assert python_is_new_enough(tmp_path, "3.9").decision(Fidelity.STATIC, NOTHING).verdict is Verdict.FAIL


def test_metadata_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project")
    (tmp_path / "sdk.whl").write_bytes(b"no zip")
    for place in (tmp_path, tmp_path / "sdk.whl"):
        with pytest.raises(XcError, match="cannot be read"):
            python_wanted(place)
