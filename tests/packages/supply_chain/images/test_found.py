"""What root filesystems and images are made of."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.packages.supply_chain.ecosystems.cargo.locks import OSV
from pytest_xinchuang.packages.supply_chain.images.found import look_inside
from pytest_xinchuang.packages.supply_chain.images.part import Inside
from pytest_xinchuang.packages.supply_chain.images.systems import ecosystem_of, os_release
from tests.inspect import containers
from tests.packages.supply_chain.images.databases import BERKELEY, SQLITE

DEBIAN = b'ID=debian\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\n'
KYLIN = b'NAME="Kylin Linux Advanced Server"\nVERSION="V10 (Lance)"\nID="kylin"\nVERSION_ID="V10"\n'
STATUS = b"""Package: libssl3
Status: install ok installed
Architecture: arm64
Source: openssl (3.0.11-1~deb12u2)
Version: 3.0.11-1~deb12u2+b1
Description: a
 long
 one

Package: gone
Status: deinstall ok config-files
Version: 1

Package: bash
Status: hold ok installed
Version: 5.2-1
"""
APK = b"""C:Q1x=
P:musl
V:1.2.4-r2
A:aarch64
L:MIT
o:musl
F:lib
R:libc.musl-aarch64.so.1

P:busybox
V:1.36.1-r5
o:busybox
"""


def tree(place: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    return place


def named(inside: Inside) -> list[tuple[str, str, str, str]]:
    return [
        (p.ecosystem, p.kind, f"{p.namespace}/{p.name}" if p.namespace else p.name, p.version) for p in inside.parts
    ]


def jar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def pom(group: str, artifact: str, version: str) -> dict[str, bytes]:
    text = f"#Generated\r\ngroupId={group}\r\nartifactId={artifact}\r\nversion={version}\r\n"
    return {f"META-INF/maven/{group}/{artifact}/pom.properties": text.encode()}


def test_dpkg(tmp_path: Path) -> None:
    inside = look_inside(tree(tmp_path, {"etc/os-release": DEBIAN, "var/lib/dpkg/status": STATUS}))
    assert named(inside) == [
        ("Debian:12", "deb", "debian/bash", "5.2-1"),
        ("Debian:12", "deb", "debian/libssl3", "3.0.11-1~deb12u2+b1"),
    ]
    bash, libssl = inside.parts
    assert libssl.advised_as == ("openssl", "3.0.11-1~deb12u2")
    assert bash.advised_as == ("bash", "5.2-1")
    assert not inside.doubts


def test_distroless_keeps_a_file_for_each_package(tmp_path: Path) -> None:
    files = {
        "etc/os-release": DEBIAN,
        "var/lib/dpkg/status.d/base": b"Package: base-files\nVersion: 12.4\n",
        "var/lib/dpkg/status.d/base.md5sums": b"abc  usr/x\n",
    }
    assert named(look_inside(tree(tmp_path, files))) == [("Debian:12", "deb", "debian/base-files", "12.4")]


@pytest.mark.parametrize(
    "files",
    [{"var/lib/rpm/Packages": BERKELEY}, {"usr/lib/sysimage/rpm/rpmdb.sqlite": SQLITE}],
    ids=["berkeley", "sqlite"],
)
def test_rpm(files: dict[str, bytes], tmp_path: Path) -> None:
    inside = look_inside(tree(tmp_path, {"etc/os-release": KYLIN, **files, "usr/bin/openssl": ELF, "opt/own": ELF}))
    ecosystem = "Kylin Linux Advanced Server:V10"
    assert named(inside) == [
        ("", "generic", "own", ""),
        (ecosystem, "rpm", "kylin/bash", "5.0-2.ky10"),
        (ecosystem, "rpm", "kylin/kylin-release", "10-1.ky10"),
        (ecosystem, "rpm", "kylin/openssl", "1:1.1.1m-15.ky10"),
    ], "what a package owns is that package's"
    assert inside.parts[3].advised_as == ("openssl", "1:1.1.1m-15.ky10")


def test_apk(tmp_path: Path) -> None:
    release = b"ID=alpine\nVERSION_ID=3.18.4\n"
    inside = look_inside(
        tree(tmp_path, {"etc/os-release": release, "lib/apk/db/installed": APK, "lib/libc.musl-aarch64.so.1": ELF})
    )
    assert named(inside) == [
        ("Alpine:v3.18", "apk", "alpine/busybox", "1.36.1-r5"),
        ("Alpine:v3.18", "apk", "alpine/musl", "1.2.4-r2"),
    ]


@pytest.mark.parametrize(
    ("release", "ecosystem"),
    [
        (b'ID="openEuler"\nVERSION_ID="22.03"\nVERSION="22.03 (LTS-SP3)"\n', "openEuler:22.03-LTS-SP3"),
        (b'ID="openEuler"\nVERSION_ID="23.09"\nVERSION="23.09"\n', "openEuler:23.09"),
        (b'ID=ubuntu\nVERSION_ID="22.04"\nVERSION="22.04.3 LTS (Jammy)"\n', "Ubuntu:22.04:LTS"),
        (b"ID=ubuntu\nVERSION_ID='23.10'\nVERSION='23.10 (Mantic)'\n", "Ubuntu:23.10"),
        (b"ID=rocky\nVERSION_ID=9.3\n", "Rocky Linux:9"),
        (b"ID=uos\nNAME=UOS\nVERSION_ID=20\n", "UOS:20"),
        (b"ID=arch\nNAME=Arch\n", "Arch"),
        (b"\xff\xfe#!", ""),
    ],
)
def test_systems_have_the_names_of_osv(release: bytes, ecosystem: str) -> None:
    assert ecosystem_of(os_release({"etc/os-release": release}))[0] == ecosystem


ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0\xb7\0\1\0\0\0" + bytes(40)


def _python(version: str) -> bytes:
    return f"Metadata-Version: 2.1\nName: Flask_Login\nVersion: {version}\nLicense: MIT\n\nbody\n".encode()


LANGUAGES: list[tuple[str, dict[str, bytes], list[tuple[str, str, str, str]]]] = [
    (
        "wheel",
        {"usr/lib/python3/dist-packages/Flask_Login-0.6.dist-info/METADATA": _python("0.6")},
        [("PyPI", "pypi", "flask-login", "0.6")],
    ),
    ("egg", {"app/Flask_Login.egg-info/PKG-INFO": _python("0.5")}, [("PyPI", "pypi", "flask-login", "0.5")]),
    ("egg file", {"app/Flask_Login-0.5.egg-info": _python("0.5")}, [("PyPI", "pypi", "flask-login", "0.5")]),
    (
        "npm",
        {
            "app/node_modules/a/package.json": b'{"name": "a", "version": "1.0.0", "license": {"type": "MIT"}}',
            "app/node_modules/@s/b/package.json": b'{"name": "@s/b", "version": "2.0.0"}',
            "app/node_modules/a/node_modules/c/package.json": b'{"name": "c", "version": "3.0.0"}',
            "app/node_modules/a/esm/package.json": b'{"type": "module"}',
            "app/package.json": b'{"name": "own", "version": "0.0.1"}',
        },
        [("npm", "npm", "a", "1.0.0"), ("npm", "npm", "c", "3.0.0"), ("npm", "npm", "@s/b", "2.0.0")],
    ),
    ("jar", {"app/x.jar": jar(pom("org.a", "x", "1.2"))}, [("Maven", "maven", "org.a/x", "1.2")]),
    (
        "jar in jar",
        {"app/boot.jar": jar({**pom("org.b", "boot", "1"), "BOOT-INF/lib/x.jar": jar(pom("org.a", "x", "1.2"))})},
        [("Maven", "maven", "org.a/x", "1.2"), ("Maven", "maven", "org.b/boot", "1")],
    ),
    ("jar without a name", {"app/y-3.1.jar": jar({"A.class": b""})}, [("", "generic", "y", "3.1")]),
    ("jar with nothing in it", {"app/y-3.1.jar": jar({"META-INF/MANIFEST.MF": b""})}, []),
    ("gem", {"usr/share/gems/specifications/rack-2.2.8.gemspec": b"x"}, [("RubyGems", "gem", "rack", "2.2.8")]),
    (
        "composer",
        {
            "app/vendor/composer/installed.json": json.dumps(
                {"packages": [{"name": "a/b", "version": "v1.2.0"}]}
            ).encode()
        },
        [("Packagist", "composer", "a/b", "1.2.0")],
    ),
    (
        ".NET",
        {
            "app/own.deps.json": json.dumps(
                {"libraries": {"own/1.0": {"type": "project"}, "X.Y/2.0": {"type": "package"}}}
            ).encode()
        },
        [("NuGet", "nuget", "X.Y", "2.0")],
    ),
]


@pytest.mark.parametrize(("files", "wanted"), [x[1:] for x in LANGUAGES], ids=[x[0] for x in LANGUAGES])
def test_packages_of_languages(
    files: dict[str, bytes], wanted: list[tuple[str, str, str, str]], tmp_path: Path
) -> None:
    inside = look_inside(tree(tmp_path, files))
    assert named(inside) == wanted
    assert not inside.doubts


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("usr/lib/python3/x-1.dist-info/METADATA", b"Name: x\n"),
        ("app/node_modules/a/package.json", b'{"name": "a",'),
        ("app/x.jar", b"PK\x03\x04 cut off"),
        ("app/vendor/composer/installed.json", b"\xff"),
        ("app/own.deps.json", b"[" * 100_000),
        ("app/own", b"\x7fELF\x09"),
        ("var/lib/rpm/Packages", BERKELEY[:9000]),
        ("var/lib/dpkg/status", b"Package: x\nStatus: install ok installed\n"),
        ("lib/apk/db/installed", b"P:x\n"),
    ],
)
def test_what_cannot_be_read_is_told(name: str, data: bytes, tmp_path: Path) -> None:
    inside = look_inside(tree(tmp_path, {name: data}))
    assert [where for where, _why in inside.doubts] == [name]


def test_a_system_without_its_database_is_told(tmp_path: Path) -> None:
    assert [w for w, _ in look_inside(tree(tmp_path, {"etc/os-release": DEBIAN})).doubts] == ["etc/os-release"]


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert look_inside(tmp_path) == Inside()


@pytest.mark.parametrize("form", ["saved", "layout", "directory", "rootfs"])
def test_an_image_is_what_its_layers_leave(form: str, tmp_path: Path) -> None:
    base = containers.tar(
        {"etc/os-release": DEBIAN, "var/lib/dpkg/status": STATUS, "opt/x/node_modules/a/package.json": b"{"}
    )
    above = containers.tar({"var/lib/dpkg/status": STATUS.replace(b"5.2-1", b"5.2-2"), "opt/.wh.x": b""})
    path = tmp_path / "image.tar"
    match form:
        case "saved":
            path.write_bytes(containers.saved_image([base, above], "arm64"))
        case "layout":
            path.write_bytes(containers.tar(containers.layout({"arm64": [base, above]})))
        case "directory":
            path = tree(tmp_path / "image", containers.layout({"arm64": [base, above]}))
        case _:
            path.write_bytes(
                containers.tar({"etc/os-release": DEBIAN, "var/lib/dpkg/status": STATUS.replace(b"5.2-1", b"5.2-2")})
            )
    inside = look_inside(path, "arm64")
    assert [(p.name, p.version) for p in inside.parts] == [("bash", "5.2-2"), ("libssl3", "3.0.11-1~deb12u2+b1")]
    assert not inside.doubts
    if form == "layout":
        with pytest.raises(XcError, match="leads to no manifest"):
            look_inside(path, "loong64")


def test_a_web_application_has_a_manifest_too(tmp_path: Path) -> None:
    files = {"manifest.json": b'{"name": "app"}', "node_modules/a/package.json": b'{"name": "a", "version": "1.0.0"}'}
    assert named(look_inside(tree(tmp_path, files))) == [("npm", "npm", "a", "1.0.0")]


def elf_with(name: str, content: bytes) -> bytes:
    """A 64-bit program of ARM64 with one section."""
    names = b"\0" + name.encode() + b"\0.shstrtab\0"
    at = 64 + len(content)
    sections = [(0, 0, 0, 0), (1, 1, 64, len(content)), (len(name) + 2, 3, at, len(names))]
    table = b"".join(
        struct.pack("<IIQQQQIIQQ", n, kind, 0, 0, where, size, 0, 0, 1, 0) for n, kind, where, size in sections
    )
    head = ELF[:16] + struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, 0, 0, at + len(names), 0, 64, 56, 0, 64, 3, 2)
    return head + content + names + table


def test_modules_of_a_program(tmp_path: Path) -> None:
    lines = [
        "path\texample.com/own",
        "mod\texample.com/own\t(devel)\t",
        "dep\tgolang.org/x/net\tv0.17.0\th1:x",
        "dep\tgo.uber.org/zap\tv1.0.0",
        "=>\texample.com/fork\tv1.0.1\th1:x",
    ]
    marked = b"0" * 16 + "\n".join([*lines, ""]).encode() + b"1" * 16

    def inline(data: bytes) -> bytes:
        return bytes([len(data) & 0x7F | 0x80, len(data) >> 7]) + data

    info = b"\xff Go buildinf:" + bytes([8, 2]) + bytes(16) + inline(b"go1.21.3") + inline(marked)
    assert named(look_inside(tree(tmp_path, {"app/own": elf_with(".go.buildinfo", info)}))) == [
        ("Go", "golang", "stdlib", "1.21.3"),
        ("Go", "golang", "example.com/fork", "v1.0.1"),
        ("Go", "golang", "golang.org/x/net", "v0.17.0"),
    ]


def test_crates_of_a_program(tmp_path: Path) -> None:
    crates = {
        "packages": [
            {"name": "own", "version": "0.1.0", "source": "local"},
            {"name": "serde", "version": "1.0.2", "source": OSV},
        ]
    }
    program = elf_with(".dep-v0", zlib.compress(json.dumps(crates).encode()))
    assert named(look_inside(tree(tmp_path, {"app/own": program}))) == [(OSV, "cargo", "serde", "1.0.2")]
    broken = look_inside(tree(tmp_path, {"app/own": elf_with(".dep-v0", b"\0broken")}))
    assert [w for w, _ in broken.doubts] == ["app/own"]
