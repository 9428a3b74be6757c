"""Signed mirrors: every way to change one is caught, in its directory and over HTTP; and Go itself fetches through ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.packages.supply_chain.golang.hashes import digests_of_zip, h1, h1_of_go_mod
from pytest_xinchuang.packages.supply_chain.mirror import MANIFEST, SIGNATURE, check_mirror, serve, write_manifest
from pytest_xinchuang.packages.supply_chain.sm2sign import new_key, private_key, public_key, sign, sm3, verifies
from pytest_xinchuang.sm.sm3 import sm3 as reference_sm3
from tests.packages.supply_chain.published import go

KEY, PUBLIC = new_key()
OTHER, OTHER_PUBLIC = new_key()
ZIP = "example.org/lib/@v/v1.2.0.zip"


@pytest.fixture
def mirror(proxy: Path) -> Path:
    write_manifest(proxy, private_key(KEY))
    return proxy


def codes(place: str | Path, **options: Any) -> set[str]:
    return {f.code for f in check_mirror(str(place), [public_key(PUBLIC)], **options)[0]}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def rewrite(mirror: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads((mirror / MANIFEST).read_text())
    edit(data)
    (mirror / MANIFEST).write_text(json.dumps(data))


CHANGES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "one bit of a zip": (lambda m: flip(m / ZIP), {"XC-SUP-053"}),
    "a file goes": (lambda m: (m / ZIP).unlink(), {"XC-SUP-054"}),
    "a file comes": (lambda m: (m / "example.org/lib/@v/v1.2.1.mod").write_text("module m\n"), {"XC-SUP-055"}),
    "no signature": (lambda m: (m / SIGNATURE).unlink(), {"XC-SUP-050"}),
    "no manifest": (lambda m: (m / MANIFEST).unlink(), {"XC-SUP-050"}),
    "signed again by another key": (lambda m: write_manifest(m, private_key(OTHER)), {"XC-SUP-052"}),
    "changed, and signed again by another key": (
        lambda m: (flip(m / ZIP), write_manifest(m, private_key(OTHER))),
        {"XC-SUP-052"},
    ),
    "the manifest follows a changed file": (
        lambda m: (flip(m / ZIP), write_manifest(m), shutil.copy(m / MANIFEST, m / SIGNATURE)),
        {"XC-SUP-051"},
    ),
    "a line of the manifest goes": (lambda m: rewrite(m, lambda d: d["files"].pop()), {"XC-SUP-051", "XC-SUP-055"}),
    "a signature that is garbage": (lambda m: (m / SIGNATURE).write_text("{}"), {"XC-SUP-051"}),
    "a link in the place of a file": (
        lambda m: ((m / ZIP).rename(m.parent / "moved.zip"), (m / ZIP).symlink_to(m.parent / "moved.zip")),
        {"XC-SUP-054", "XC-SUP-087"},
    ),
}


def test_a_good_mirror(mirror: Path) -> None:
    findings, good = check_mirror(str(mirror), [public_key(OTHER_PUBLIC), public_key(PUBLIC)])
    assert (findings, good) == ([], 8)


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_is_named(mirror: Path, name: str) -> None:
    change, expected = CHANGES[name]
    change(mirror)
    assert codes(mirror) == expected


def test_over_http_with_the_manifest_kept_apart(mirror: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in (MANIFEST, SIGNATURE):
        shutil.copy(mirror / name, kept / name)
    seen: list[dict[str, Any]] = []
    with serve(mirror, seen.append) as url:
        assert codes(url, manifest_from=kept) == set()
        flip(mirror / ZIP)
        write_manifest(mirror, private_key(OTHER))
        assert codes(url) == {"XC-SUP-052"}
        assert codes(url, manifest_from=kept) == {"XC-SUP-053"}
    assert {entry["status"] for entry in seen} == {200}
    assert any(entry["path"] == f"/{ZIP}" and len(entry["sha256"]) == 64 for entry in seen)
    with pytest.raises(HostFault):
        check_mirror(url, [public_key(PUBLIC)])


@pytest.mark.tools
def test_go_fetches_through_the_served_mirror_and_every_request_is_written_down(mirror: Path, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    work = tmp_path / "work"
    work.mkdir()
    with serve(mirror, seen.append) as url:
        said = json.loads(go(["mod", "download", "-json", "example.org/lib@v1.2.0"], work, url, tmp_path))
        listed = go(["list", "-m", "-versions", "example.org/lib"], work, url, tmp_path)
    assert listed.split() == ["example.org/lib", "v1.2.0"]
    assert said["Sum"] == h1(digests_of_zip(mirror / ZIP).items())
    assert said["GoModSum"] == h1_of_go_mod((mirror / "example.org/lib/@v/v1.2.0.mod").read_bytes())
    assert {e["path"] for e in seen} >= {f"/{ZIP}", "/example.org/lib/@v/list"}


def test_the_server_leaves_its_directory_to_nobody(mirror: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    seen: list[dict[str, Any]] = []
    with serve(mirror, seen.append) as url:
        for path in ("/../secret", "/%2e%2e/secret", "/example.org/../../secret", "/nothing"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(url + path, timeout=10)
    assert [e["status"] for e in seen] == [404] * 4


def test_keys_and_signatures() -> None:
    d = private_key(KEY)
    signature = sign(b"manifest", d)
    assert verifies(b"manifest", signature, public_key(PUBLIC))
    assert not verifies(b"manifesT", signature, public_key(PUBLIC))
    assert not verifies(b"manifest", signature, public_key(OTHER_PUBLIC))
    assert not verifies(b"manifest", signature[:-1], public_key(PUBLIC))
    assert sm3(b"abc") == reference_sm3(b"abc")
    longer = KEY.replace("KEY-----\n", "KEY-----\nAAAA", 1)
    for text, why in (("no pem", "not PEM"), (PUBLIC, "no private key"), (longer, "private key")):
        with pytest.raises(XcError, match=why):
            private_key(text)
    with pytest.raises(XcError, match="no public key"):
        public_key(KEY)


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, to verify what we sign")
def test_openssl_verifies_what_we_sign(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(PUBLIC)
    (tmp_path / "message").write_bytes(b"manifest")
    (tmp_path / "signature").write_bytes(sign(b"manifest", private_key(KEY)))
    argv = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "key.pub",
        "-rawin",
        "-digest",
        "sm3",
        "-in",
        "message",
    ]
    argv += ["-sigfile", "signature", "-pkeyopt", "distid:1234567812345678"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Signature Verified Successfully" in done.stdout, done.stderr


def test_by_the_command(proxy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key.pem"
    assert main(["supply-chain", "keygen", str(key)]) == 0
    assert key.stat().st_mode & 0o077 == 0
    assert main(["supply-chain", "keygen", str(key)]) == 2  # a key is never overwritten
    assert main(["supply-chain", "sign", str(proxy), "--key", str(key)]) == 0
    assert main(["supply-chain", "verify", str(proxy), "--key", f"{key}.pub"]) == 0
    flip(proxy / ZIP)
    capsys.readouterr()
    assert main(["supply-chain", "verify", str(proxy), "--key", f"{key}.pub", "--format", "json"]) == 1
    (one,) = json.loads(capsys.readouterr().out)["findings"]
    assert (one["code"], one["object"]) == ("XC-SUP-053", ZIP)
