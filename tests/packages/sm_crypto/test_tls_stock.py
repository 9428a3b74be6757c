"""`xc sm tls` on servers of Python's own TLS: right ones, and ones that are configured badly."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.packages.sm_crypto.tls import probe as probing
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Endpoint
from pytest_xinchuang.packages.sm_crypto.tls.probe import EVERY, probe
from pytest_xinchuang.packages.sm_crypto.tls.report import endpoint_as_text
from tests.packages.sm_crypto.tls_legacy import CLIENTS, HOST, THEN, YEAR, Issued, issue, rsa_key


@dataclass(frozen=True)
class Authority:
    """An authority, a server of it and a client, with their files."""

    root: Issued
    place: Path

    def pem(self, name: str, issued: Issued) -> Path:
        path = self.place / f"{name}.pem"
        path.write_bytes(issued.pem)
        return path

    @property
    def ca(self) -> Path:
        path = self.place / "ca.pem"
        path.write_bytes(self.root.certificate.public_bytes(serialization.Encoding.PEM))
        return path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(issue(None, "Root", names=(), ca=True, end=THEN + 50 * YEAR), tmp_path_factory.mktemp("pki"))


@pytest.fixture(autouse=True)
def _then(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time at which the certificates of the fixtures are valid."""
    monkeypatch.setattr(probing.time, "time", lambda: THEN.timestamp())


@contextmanager
def server(context: ssl.SSLContext) -> Iterator[str]:
    """Shakes hands with whoever comes, each in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError):
            connection.settimeout(60)
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(1)

    def accept() -> None:
        while True:
            try:
                connection, _peer = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def context_of(path: Path, **changes: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(changes.pop("ciphers", "ECDHE+AESGCM"))
    context.load_cert_chain(path)
    for name, value in changes.items():
        setattr(context, name, value)
    return context


def asked(context: ssl.SSLContext, authority: Authority, **more: Any) -> Endpoint:
    with server(context) as address:
        return probe(
            address, [authority.root.der], timeout_s=30, **{"only": EVERY, "name": HOST, "survey": True, **more}
        )


def failing(endpoint: Endpoint) -> set[str]:
    return {f.code for s in endpoint.spoken for f in s.failing} | {f.code for f in endpoint.failing}


def test_a_good_server(authority: Authority, capsys: pytest.CaptureFixture[str]) -> None:
    path = authority.pem("good", issue(authority.root))
    endpoint = asked(context_of(path), authority)
    assert [s.protocol for s in endpoint.spoken] == ["TLS 1.3", "TLS 1.2"], endpoint_as_text(endpoint)
    assert not failing(endpoint) and not endpoint.incomplete, endpoint_as_text(endpoint)
    new, old = endpoint.spoken
    assert new.whole and old.whole and new.resumption == {"PSK": True} and old.resumption == {"ticket": True}
    assert (
        new.signature == old.signature == "ecdsa_secp256r1_sha256"
        and "x25519" in new.groups
        and "secp256r1" in old.groups
    )
    assert "TLS_AES_128_GCM_SHA256" in new.suites and len(old.suites) == 2 and old.own_order is not None
    with server(context_of(path)) as address:
        words = ["sm", "tls", address, "--name", HOST, "--ca", str(authority.ca)]
        assert main(words) == 0, capsys.readouterr().out
        assert main([*words, "--quick", "--expect", "tls1.3,tls1.2"]) == 0
        assert main([*words, "--quick", "--expect", "tlcp"]) == 1
        capsys.readouterr()
        assert main(["sm", "tls", address, "--name", "other.example", "--quick", "--json"]) == 1
        data = json.loads(capsys.readouterr().out)
        assert {f["code"] for f in data["findings"] if f["certainty"] == "certain"} == {"XC-TLS-044"}
        assert {f["protocol"] for f in data["findings"] if f["code"] == "XC-TLS-044"} == {"TLS 1.3", "TLS 1.2"}


def test_certificates_of_tls_1_3_are_judged_with_their_chain(authority: Authority) -> None:
    middle = issue(authority.root, "Middle", names=(), ca=True)
    leaf = issue(middle)
    path = authority.pem("chain", leaf)
    path.write_bytes(leaf.pem + middle.certificate.public_bytes(serialization.Encoding.PEM))
    endpoint = asked(context_of(path), authority, only=["TLS 1.3"])
    assert not failing(endpoint) and len(endpoint.spoken[0].certificates) == 2
    short = asked(context_of(authority.pem("short", leaf)), authority, only=["TLS 1.3"])
    assert failing(short) == {"XC-TLS-050"}


def bad(authority: Authority, name: str) -> tuple[set[str], ssl.SSLContext]:
    path = authority.pem("bad", issue(authority.root))
    weak = authority.pem("weak", issue(authority.root, key=rsa_key(1024)))
    everything = "ALL:@SECLEVEL=0"
    one, two = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2
    made: dict[str, Callable[[], tuple[set[str], ssl.SSLContext]]] = {
        "TLS 1.0": lambda: (
            {"XC-TLS-002", "XC-TLS-020", "XC-TLS-026"},
            context_of(path, ciphers=everything, minimum_version=one),
        ),
        "1024 bits": lambda: (
            {"XC-TLS-042"},
            context_of(weak, ciphers="ECDHE+AESGCM:@SECLEVEL=0", minimum_version=two),
        ),
        "for clients": lambda: (
            {"XC-TLS-047"},
            context_of(authority.pem("c", issue(authority.root, extended=[CLIENTS]))),
        ),
        "anonymous": lambda: (
            {"XC-TLS-020"},
            context_of(path, ciphers="AECDH-AES128-SHA:@SECLEVEL=0", maximum_version=two, minimum_version=two),
        ),
    }
    return made[name]()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated")
@pytest.mark.parametrize("name", ["TLS 1.0", "1024 bits", "for clients", "anonymous"])
def test_bad_servers(authority: Authority, name: str) -> None:
    wanted, context = bad(authority, name)
    found = failing(asked(context, authority))
    # Which hashes sign in TLS 1.2 at this level is the library's own; the signature of the lower versions is SHA-1 anyway.
    assert found - {"XC-TLS-026"} == wanted - {"XC-TLS-026"}


def test_certificates_by_name(authority: Authority) -> None:
    one, two = (context_of(authority.pem(n, issue(authority.root, names=[n]))) for n in (HOST, "fallback.example"))

    def choose(tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        if name == HOST:
            tls.context = one
        elif name is not None and strict:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        return None

    two.sni_callback = choose
    for strict in (False, True):
        endpoint = asked(two, authority)
        codes = {f.code for f in endpoint.all_findings}
        assert not failing(endpoint) and "XC-TLS-060" in codes and ("XC-TLS-063" in codes) is strict
    assert "XC-TLS-060" not in {f.code for f in asked(one, authority).all_findings}


def test_client_certificates(authority: Authority, capsys: pytest.CaptureFixture[str]) -> None:
    context = context_of(authority.pem("asks", issue(authority.root)), verify_mode=ssl.CERT_REQUIRED)
    context.load_verify_locations(authority.ca)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    endpoint = asked(context, authority)
    assert {s.protocol for s in endpoint.spoken if s.client_types} == {"TLS 1.3", "TLS 1.2"}
    assert not failing(endpoint) and endpoint.incomplete  # TLS 1.2 does not come to its end without one
    client = authority.pem(
        "client", issue(authority.root, "client", names=("client.example",), start=_now(-1), end=_now(1))
    )
    with server(context) as address:
        words = ["sm", "tls", address, "--name", HOST, "--only", "tls1.2", "--quick"]
        assert main([*words, "--cert", str(client)]) in (0, 3), capsys.readouterr().out
        for wrong in (["--cert", str(authority.ca)], ["--cert", "none.pem"], ["--key", str(client)]):
            assert main([*words, *wrong]) == 2


def _now(days: int) -> Any:
    import datetime

    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
