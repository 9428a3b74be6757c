"""Who says what was published decides what a lock that agrees with it is worth."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.packages.supply_chain.ecosystems.npm import signatures
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone
from pytest_xinchuang.packages.supply_chain.registries import Registries
from pytest_xinchuang.provision.cache import Cache
from tests.packages.supply_chain.ecosystems.conftest import Check
from tests.packages.supply_chain.ecosystems.worlds import cargo, maven, npm, put, sri


def codes(done: object) -> set[str]:
    return {f.code for f in done.findings if f.certainty is not Certainty.NOTE}  # type: ignore[attr-defined]


def stored(cache: Path, url: str, data: bytes) -> None:
    """Put an answer into npm's cache, as npm does."""
    digits = hashlib.sha512(data).hexdigest()
    put(cache / "_cacache", {f"content-v2/sha512/{digits[:2]}/{digits[2:4]}/{digits[4:]}": data})
    key = f"make-fetch-happen:request-cache:{url}"
    name = hashlib.sha256(key.encode()).hexdigest()
    line = json.dumps({"key": key, "integrity": sri(data)})
    checksum = hashlib.sha1(line.encode(), usedforsecurity=False).hexdigest()
    put(cache / "_cacache", {f"index-v5/{name[:2]}/{name[2:4]}/{name[4:]}": f"\n{checksum}\t{line}"})


def npm_cache(root: Path, sign: bool = False) -> None:
    """The cache of whoever builds the small world of npm; ``sign`` has the registry sign it."""
    for name, leaf in (("left", "left-1.0.0.tgz"), ("@s/right", "right-2.0.0.tgz")):
        document = json.loads((root / "registry" / name / "package.json").read_text())
        (version,) = document["versions"]
        dist = document["versions"][version]["dist"]
        if sign:
            dist["signatures"] = [signed(f"{name}@{version}:{dist['integrity']}")]
        stored(root / "home", f"https://npm.example.org/{name.replace('/', '%2f')}", json.dumps(document).encode())
        stored(root / "home", dist["tarball"], (root / "registry" / name / leaf).read_bytes())


def signed(message: str) -> dict[str, str]:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    return {"keyid": "ours", "sig": base64.b64encode(_key().sign(message.encode(), ECDSA(SHA256()))).decode()}


def _key() -> Any:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key

    return derive_private_key(4711, SECP256R1())


@pytest.fixture
def known_key(monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = _key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    monkeypatch.setitem(signatures.KEYS, "ours", base64.b64encode(der).decode())


def test_what_agrees_with_the_cache_alone_is_undecided(tmp_path: Path, check: Check) -> None:
    npm(tmp_path)
    npm_cache(tmp_path)
    done = check("npm", place=None)
    assert (codes(done), done.verified) == ({"XC-SUP-109"}, 0)


def test_a_poisoned_cache_with_its_lock_is_not_verified(tmp_path: Path, check: Check) -> None:
    """Whoever changed the package changed the lock, the installed tree and the cache with it."""
    cargo(tmp_path)
    (tmp_path / "registry").rename(tmp_path / "home")
    put(tmp_path / "home", {"registry/cache/x/lib-a-1.2.3.crate": (tmp_path / "home/lib-a-1.2.3.crate").read_bytes()})
    done = check("cargo", place=None)
    assert (codes(done), done.verified) == ({"XC-SUP-109"}, 0)


def test_a_local_repository_alone_is_consistent_with_the_cache(tmp_path: Path, check: Check) -> None:
    maven(tmp_path)
    put(tmp_path / "home", {"x": ""})
    (tmp_path / "registry").rename(tmp_path / "home" / "repository")
    (tmp_path / "home" / ".m2").mkdir()
    (tmp_path / "home" / "repository").rename(tmp_path / "home" / ".m2" / "repository")
    assert codes(check("maven", place=None)) == {"XC-SUP-109"}


@pytest.mark.usefixtures("known_key")
def test_what_the_registry_signed_is_verified_without_asking_it(tmp_path: Path, check: Check) -> None:
    npm(tmp_path)
    npm_cache(tmp_path, sign=True)
    done = check("npm", place=None)
    assert (codes(done), done.verified) == (set(), 2)


@pytest.mark.usefixtures("known_key")
def test_a_signature_over_something_else_verifies_nothing(
    tmp_path: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm(tmp_path)
    right = signed
    monkeypatch.setitem(globals(), "signed", lambda message: right(message + "x"))
    npm_cache(tmp_path, sign=True)
    done = check("npm", place=None)
    assert done.verified == 0
    assert {f.certainty for f in done.findings if f.code in codes(done)} == {Certainty.UNDECIDED}


def test_signed_by_a_key_that_is_not_known_is_no_more_than_the_cache(tmp_path: Path, check: Check) -> None:
    npm(tmp_path)
    npm_cache(tmp_path, sign=True)
    done = check("npm", place=None)
    assert (codes(done), done.verified) == ({"XC-SUP-109"}, 0)
    assert "XC-SUP-151" in {f.code for f in done.findings}


@contextmanager
def served(answers: dict[str, tuple[int, bytes]]) -> Iterator[tuple[str, list[str]]]:
    """A registry on loopback: path -> status and body (for 302 the address); the paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, body = answers.get(self.path, (404, b""))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", body.decode())
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def test_a_registry_on_loopback_is_asked_and_what_it_denies_is_certain(tmp_path: Path, check: Check) -> None:
    npm(tmp_path)
    document = (tmp_path / "registry/left/package.json").read_bytes()
    with served({"/left": (200, document)}) as (url, asked):
        done = check("npm", place=url)
    assert set(asked) == {"/left", "/@s%2Fright"}
    found = {(f.code, f.certainty) for f in done.findings if f.params.get("module") == "@s/right@2.0.0"}
    assert ("XC-SUP-107", Certainty.CERTAIN) in found
    # What the registry names agrees with the lock; its archive lies elsewhere, and offline nobody is asked there.
    assert "XC-SUP-147" in {f.code for f in done.findings if f.params.get("module") == "left@1.0.0"}
    assert done.verified == 0


def test_offline_no_redirect_leads_out(tmp_path: Path) -> None:
    with served({"/a": (302, b"https://registry.example/a")}) as (url, asked):
        found = Registries(Cache(tmp_path), {"npm": [url]}, offline=True).get(f"{url}/a")
    assert isinstance(found, Gone) and not found.certain
    assert asked == ["/a"]


def test_an_answer_that_is_none_decides_nothing(tmp_path: Path, check: Check) -> None:
    npm(tmp_path)
    with served({"/left": (200, b"<html>"), "/@s%2Fright": (500, b"")}) as (url, _asked):
        done = check("npm", place=url)
    assert codes(done) == {"XC-SUP-108", "XC-SUP-124"}
