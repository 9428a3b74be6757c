"""Zips that the go command refuses are refused, for the same entries; what it takes is taken."""

from __future__ import annotations

import json
import os
import subprocess
import warnings
import zipfile
from pathlib import Path

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.packages.supply_chain.golang.modzip import MAX_FILE, path_fault, zip_faults
from pytest_xinchuang.packages.supply_chain.mirror import check_mirror, write_manifest
from pytest_xinchuang.packages.supply_chain.sm2sign import new_key, private_key, public_key
from pytest_xinchuang.tools.go import find_go
from pytest_xinchuang.tools.gomod import ModuleVersion

LIB = ModuleVersion("example.org/lib", "v1.2.0")
P = f"{LIB}/"
GOOD: dict[str, str | bytes] = {f"{P}go.mod": "module example.org/lib\n", f"{P}lib.go": "package lib\n"}

Entry = tuple[str | bytes | zipfile.ZipInfo, str | bytes]


def mode(name: str, bits: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = bits << 16
    return info


REFUSED: dict[str, tuple[Entry, str]] = {
    "traversal": ((f"{P}../../evil.go", "x"), "leads through"),
    "absolute": (("/etc/evil.go", "x"), "outside of"),
    "another module's": (("example.org/other@v1.0.0/x.go", "package x"), "outside of"),
    "another version's": (("example.org/lib@v1.2.1/x.go", "package x"), "outside of"),
    "an element that is empty": ((f"{P}a//b.go", "x"), "empty"),
    "a dot": ((f"{P}./b.go", "x"), "leads through"),
    "capitals": ((f"{P}LIB.go", "package lib\n"), "capitals"),
    "capitals of a directory": ((f"{P}Lib.go/x.go", "package lib\n"), "capitals"),
    "twice": ((f"{P}lib.go", "package evil\n"), "twice"),
    "a file that is a directory": ((f"{P}lib.go/x.go", "x"), "file and a directory"),
    "a go.mod below": ((f"{P}sub/go.mod", "module evil\n"), "not at the root"),
    "a go.mod in capitals below": ((f"{P}sub/GO.MOD", "module evil\n"), "not at the root"),
    "a reserved name": ((f"{P}aux.go", "package lib\n"), "Windows"),
    "a reserved name in between": ((f"{P}con/x.go", "package lib\n"), "Windows"),
    "a quote": ((f'{P}a"b.go', "x"), "not allowed"),
    "a colon": ((f"{P}a:b.go", "x"), "not allowed"),
    "a backslash": ((f"{P}a\\b.go", "x"), "not allowed"),
    "a control": ((f"{P}a\x01b.go", "x"), "not allowed"),
    "a bidirectional control": ((f"{P}a\u202eb.go", "x"), "not allowed"),
    "a dot at the end": ((f"{P}dir./x.go", "x"), "ends with a dot"),
    "a licence that is too large": ((f"{P}LICENSE", b"\0" * (MAX_FILE + 1)), "MiB"),
}
TAKEN: dict[str, Entry] = {
    "a letter of another script": (f"{P}\u6587\u4ef6.go", "package lib\n"),
    "spaces and signs": (f"{P}a b+c,(d)[e].txt", "x"),
    "dots": (f"{P}.hidden/..x", "x"),
    "vendor": (f"{P}vendor/modules.txt", ""),
    "a directory": (f"{P}sub/", ""),
    "a name like a reserved one": (f"{P}console.go", "package lib\n"),
    "a licence that is large": (f"{P}LICENSE", b"\0" * MAX_FILE),
    "permissions": (mode(f"{P}run.sh", 0o100755), "x"),
}


def write(place: Path, *entries: Entry) -> Path:
    """A proxy's directory with the module, whose zip has the entries besides."""
    versions = place / "example.org/lib/@v"
    versions.mkdir(parents=True)
    (versions / "v1.2.0.info").write_text(json.dumps({"Version": "v1.2.0"}))
    (versions / "v1.2.0.mod").write_text("module example.org/lib\n")
    with warnings.catch_warnings(), zipfile.ZipFile(versions / "v1.2.0.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for name, data in [*GOOD.items(), *entries]:
            archive.writestr(name, data)  # type: ignore[arg-type]
    return versions / "v1.2.0.zip"


def go_takes(place: Path, home: Path) -> bool:
    environment = {
        **os.environ,
        "GOPROXY": f"file://{place}",
        "GONOSUMDB": "*",
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
        "GOMODCACHE": str(home / "mod"),
        "HOME": str(home),
    }
    words = [find_go(), "mod", "download", str(LIB)]
    return subprocess.run(words, cwd="/", env=environment, capture_output=True, check=False).returncode == 0


@pytest.mark.tools
@pytest.mark.parametrize("name", REFUSED)
def test_what_go_refuses_is_refused(name: str, tmp_path: Path) -> None:
    entry, why = REFUSED[name]
    path = write(tmp_path / "proxy", entry)
    found = list(zip_faults(LIB, path))
    assert found and why in found[0][1]
    assert not go_takes(tmp_path / "proxy", tmp_path)


@pytest.mark.tools
@pytest.mark.parametrize("name", TAKEN)
def test_what_go_takes_is_taken(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "proxy", TAKEN[name])
    assert list(zip_faults(LIB, path)) == []
    assert go_takes(tmp_path / "proxy", tmp_path)


def test_a_link_is_refused_by_its_mode(tmp_path: Path) -> None:
    path = write(tmp_path / "proxy", (mode(f"{P}link.go", 0o120777), "/etc/passwd"))
    assert [why for _entry, why in zip_faults(LIB, path)] == ["it is a link or no regular file"]


def test_bytes_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "proxy", (f"{P}aXb.go", "x"))
    path.write_bytes(path.read_bytes().replace(b"aXb.go", b"a\xffb.go"))
    assert [why for _entry, why in zip_faults(LIB, path)] == ["the name is not UTF-8"]
    good = write(tmp_path / "other", (f"{P}aXXb.go", "x"))
    good.write_bytes(good.read_bytes().replace(b"aXXb.go", "a\u00e9b.go".encode()))
    assert list(zip_faults(LIB, good)) == []


def test_a_name_behind_a_nul_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path / "proxy", (f"{P}aXb.go", "x"))
    path.write_bytes(path.read_bytes().replace(b"aXb.go", b"a\0b.go"))
    assert [why for _entry, why in zip_faults(LIB, path)] == ["the character '\\x00' is not allowed"]


@pytest.mark.parametrize("name", ["a/b.go", "a.b/c", "\u00fc.go", "a~1.go"])
def test_names_that_are_allowed(name: str) -> None:
    assert path_fault(name) is None


@pytest.mark.parametrize("name", ["", "/a", "a/", "a/../b", "...", "a|b", "a\u2028b", "NUL", "lpt1.txt", "a*b"])
def test_names_that_are_not(name: str) -> None:
    assert path_fault(name) is not None


# -- signing and verifying


def test_a_mirror_with_such_a_zip_is_not_signed(tmp_path: Path) -> None:
    private, public = new_key()
    write(tmp_path / "bad", REFUSED["traversal"][0])
    with pytest.raises(XcError, match="the go command refuses it") as refused:
        write_manifest(tmp_path / "bad", private_key(private))
    assert refused.value.mend
    write(tmp_path / "good")
    write_manifest(tmp_path / "good", private_key(private))
    findings, files = check_mirror(str(tmp_path / "good"), [public_key(public)])
    assert (findings, files) == ([], 3)


def test_a_mirror_that_was_signed_nevertheless_is_not_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    private, public = new_key()
    (tmp_path / "key.pub").write_text(public)
    write(tmp_path / "bad", REFUSED["a go.mod below"][0])
    with monkeypatch.context() as other:
        other.setattr("pytest_xinchuang.packages.supply_chain.mirror._zip_fault", lambda *_: None)
        write_manifest(tmp_path / "bad", private_key(private))
    assert main(["supply-chain", "verify", str(tmp_path / "bad"), "--key", str(tmp_path / "key.pub")]) == 1
    assert "XC-SUP-070" in capsys.readouterr().out


def test_a_link_in_a_mirror_is_told(tmp_path: Path) -> None:
    private, public = new_key()
    write(tmp_path / "mirror")
    write_manifest(tmp_path / "mirror", private_key(private))
    (tmp_path / "mirror/more").symlink_to("/etc")
    findings, _files = check_mirror(str(tmp_path / "mirror"), [public_key(public)])
    assert [(f.code, f.object) for f in findings] == [("XC-SUP-087", "more")]
    with pytest.raises(XcError, match="symbolic link"):
        write_manifest(tmp_path / "mirror", private_key(private))
