"""What `xc sm tls` says of endpoints: right ones, ones with one fault, ones that are no TLS at all, and real servers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fixtures.generate.certificates import NOW
from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.packages.sm_crypto.tls import probe as probing
from pytest_xinchuang.packages.sm_crypto.tls.probe import parse_address, probe, read_roots
from tests.messages.english import english_in
from tests.packages.sm_crypto.tls_servers import Pki, serving, tlcp, tls13


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture(autouse=True)
def _then(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time at which the certificates of the fixtures are valid."""
    monkeypatch.setattr(probing.time, "time", lambda: float(NOW))


@pytest.mark.parametrize("suite", [0xE013, 0xE053, 0xE011])
def test_a_right_tlcp_server(pki: Pki, suite: int) -> None:
    with serving(tlcp(pki, suite=suite)) as address:
        endpoint = probe(address, [pki.root], timeout_s=30, only=["TLCP 1.1"])
    (spoken,) = endpoint.spoken
    assert spoken.suite.endswith("SM3") and spoken.problems == []
    assert spoken.certificates == [pki.sign, pki.enc]


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("one certificate", "sent 1 certificate;"),
        ("swapped", "the signing certificate"),
        ("forged encryption certificate", "the encryption certificate: the signature"),
        ("signature of another", "the signature in ServerKeyExchange is wrong"),
        ("no length", "SMD-77"),
        ("no key exchange", "sent no ServerKeyExchange"),
    ],
)
def test_faults_of_tlcp(pki: Pki, fault: str, what: str) -> None:
    with serving(tlcp(pki, fault)) as address:
        endpoint = probe(address, [pki.root], timeout_s=30, only=["TLCP 1.1"])
    assert any(what in p for p in endpoint.spoken[0].all_problems), endpoint.spoken[0].all_problems
    assert all(p.render("zh") != p and not english_in(p.render("zh")) for p in endpoint.spoken[0].all_problems)


def test_another_version_is_not_tlcp(pki: Pki) -> None:
    with serving(tlcp(pki, "version")) as address:
        endpoint = probe(address, timeout_s=30, only=["TLCP 1.1"])
    assert not endpoint.spoken and "0x0303" in endpoint.refused["TLCP 1.1"]


def test_a_right_rfc8998_server(pki: Pki) -> None:
    with serving(tls13(pki)) as address:
        endpoint = probe(address, [pki.root], timeout_s=30, only=["RFC 8998"])
    (spoken,) = endpoint.spoken
    assert (spoken.suite, spoken.group, spoken.signature) == ("TLS_SM4_GCM_SM3", "curveSM2", "sm2sig_sm3")
    assert spoken.problems == []


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("raw transcript", "SMD-74"),
        ("default id", "the id 1234567812345678"),
        ("empty id", "the empty id"),
        ("wrong signature", "the signature in CertificateVerify is wrong"),
        ("scheme", "signed with 0x0403"),
        ("finished", "its Finished is not"),
        ("expired", "the signing certificate"),
        ("silent at unknown", "SMD-75"),
    ],
)
def test_faults_of_rfc8998(pki: Pki, fault: str, what: str) -> None:
    with serving(tls13(pki, fault)) as address:
        endpoint = probe(address, [pki.root], timeout_s=30, only=["RFC 8998"])
    assert any(what in p for p in endpoint.spoken[0].all_problems), endpoint.spoken[0].all_problems
    assert all(p.render("zh") != p and not english_in(p.render("zh")) for p in endpoint.spoken[0].all_problems)
    # A good hello that is not borne is about the handshake; all else is about certificates and signatures.
    assert bool(endpoint.spoken[0].intolerances) is (fault == "silent at unknown")


@pytest.mark.parametrize(("fault", "what"), [("another group", "chose the group 23"), ("tag", "tag is wrong")])
def test_what_is_not_rfc8998(pki: Pki, fault: str, what: str) -> None:
    with serving(tls13(pki, fault)) as address:
        endpoint = probe(address, timeout_s=30, only=["RFC 8998"])
    assert not endpoint.spoken and what in endpoint.refused["RFC 8998"]


def answer(data: bytes):  # type: ignore[no-untyped-def]
    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(data)

    return serve


NO_TLS = {
    "nothing": b"",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9\r\n",
    "alert": b"\x15\x01\x01\x00\x02\x02\x28",
    "large record": b"\x16\x01\x01\xff\xff" + bytes(65535),
    "empty hello": b"\x16\x01\x01\x00\x04\x02\x00\x00\x00",
    "short hello": b"\x16\x01\x01\x00\x06\x02\x00\x00\x02\x01\x01",
    "endless message": b"\x16\x01\x01\x00\x04\x02\xff\xff\xff" + b"\x16\x01\x01\x40\x00" * 3,
    "zeros": bytes(100),
    "random": os.urandom(500),
}


@pytest.mark.parametrize("name", NO_TLS)
def test_what_is_no_tls_at_all_is_no_traceback(name: str) -> None:
    with serving(answer(NO_TLS[name])) as address:
        endpoint = probe(address, timeout_s=1)
    assert not endpoint.spoken
    assert set(endpoint.refused) == {"TLCP 1.1", "RFC 8998", "TLS 1.3", "TLS 1.2"}
    assert not any(english_in(why.render("zh")) for why in endpoint.refused.values())


def test_a_server_that_never_stops_is_left() -> None:
    def endless(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"\x16\x01\x01\x40\x00" + bytes(0x4000))

    with serving(endless) as address:
        assert not probe(address, timeout_s=1, only=["TLCP 1.1"]).spoken


def test_addresses_and_roots(tmp_path: Path) -> None:
    assert parse_address("[::1]:443") == ("::1", 443)
    for bad in ("host", "host:", ":443", "host:0", "host:70000", "host:x", "host:٤٤", "host:" + "9" * 5000):
        with pytest.raises(XcError):
            parse_address(bad)
    (tmp_path / "ca").write_bytes(b"no certificate")
    for path in (tmp_path / "ca", tmp_path / "none"):
        with pytest.raises(XcError):
            read_roots(path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(XcError, match="cannot be reached"):
        probe(f"127.0.0.1:{port}", timeout_s=1)


def test_the_command(pki: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "root.der").write_bytes(pki.root)
    with serving(tlcp(pki)) as address:
        arguments = ["sm", "tls", address, "--only", "tlcp", "--ca", str(tmp_path / "root.der"), "--timeout", "60"]
        assert main(arguments) == 0
        assert "TLCP 1.1: ECC_SM4_CBC_SM3" in capsys.readouterr().out
        assert main([*arguments, "--json"]) == 0
        assert '"protocol": "TLCP 1.1"' in capsys.readouterr().out
        assert main([*arguments, "--expect", "rfc8998"]) == 1
        assert main([*arguments, "--expect", "ssl2"]) == 2


@contextmanager
def process(*argv: str, cwd: Path, port: int, probes: bool = True, **env: str) -> Iterator[str]:
    """A real server, once it listens."""
    with subprocess.Popen(
        argv,
        cwd=cwd,
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            deadline = time.monotonic() + 60
            while probes and time.monotonic() < deadline:
                with socket.socket() as attempt:
                    if attempt.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            if not probes:
                time.sleep(1.5)  # it serves one connection alone
            yield f"127.0.0.1:{port}"
        finally:
            server.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.mark.tools
def test_openssl_of_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl program")
    make = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    subprocess.run(
        [*make, "-subj", "/CN=x", "-keyout", "k.pem", "-out", "c.pem"], cwd=tmp_path, check=True, capture_output=True
    )
    port = free_port()
    with process(
        openssl, "s_server", "-accept", str(port), "-cert", "c.pem", "-key", "k.pem", "-quiet", cwd=tmp_path, port=port
    ) as a:
        endpoint = probe(a, timeout_s=30)
    assert {s.protocol for s in endpoint.spoken} == {"TLS 1.3", "TLS 1.2"}
    assert all(s.certificates and not s.problems for s in endpoint.spoken)
    assert set(endpoint.refused) == {"TLCP 1.1", "RFC 8998"}


# Heavy servers are run where their programs are named. docs/sm-crypto.md tells how to get and start them.


@pytest.mark.tools
@pytest.mark.skipif("XC_OPENSSL4" not in os.environ, reason="XC_OPENSSL4 names no openssl program of 4.0 or later")
def test_openssl_4_speaks_rfc8998(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    program, port = os.environ["XC_OPENSSL4"], free_port()
    make = [program, "req", "-x509", "-newkey", "SM2", "-nodes", "-sm3", "-days", "2", "-subj", "/CN=x"]
    subprocess.run([*make, "-keyout", "k.pem", "-out", "c.pem"], cwd=tmp_path, check=True, capture_output=True)
    with process(
        *(program, "s_server", "-accept", str(port), "-cert", "c.pem", "-key", "k.pem", "-tls1_3", "-quiet"),
        *("-ciphersuites", "TLS_SM4_GCM_SM3:TLS_SM4_CCM_SM3", "-groups", "curveSM2", "-sigalgs", "sm2sig_sm3"),
        cwd=tmp_path,
        port=port,
    ) as address:
        endpoint = probe(address, read_roots(tmp_path / "c.pem"), timeout_s=30, only=["RFC 8998"])
    assert [(s.suite, s.signature, s.problems) for s in endpoint.spoken] == [("TLS_SM4_GCM_SM3", "sm2sig_sm3", [])]


@pytest.mark.tools
@pytest.mark.skipif("XC_GMSSL" not in os.environ, reason="XC_GMSSL names no gmssl program of 3.1 or later")
@pytest.mark.parametrize(("server", "protocol"), [("tlcp_server", "TLCP 1.1"), ("tls13_server", "RFC 8998")])
def test_gmssl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, protocol: str) -> None:
    monkeypatch.undo()
    program, port = os.environ["XC_GMSSL"], free_port()
    libraries = {"LD_LIBRARY_PATH": str(Path(program).parent)}

    def gmssl(*words: str) -> None:
        env = {**os.environ, **libraries}
        subprocess.run([program, *words], cwd=tmp_path, env=env, check=True, capture_output=True)

    name = ["-C", "CN", "-ST", "B", "-L", "H", "-O", "X", "-OU", "Y", "-CN"]
    gmssl("sm2keygen", "-pass", "1", "-out", "ca.key")
    own = ["-days", "3", "-key", "ca.key", "-pass", "1", "-out", "ca.pem", "-key_usage", "keyCertSign", "-ca"]
    gmssl("certgen", *name, "CA", *own)
    for leaf, usage in (("sign", "digitalSignature"), ("enc", "keyEncipherment")):
        gmssl("sm2keygen", "-pass", "1", "-out", f"{leaf}.key")
        gmssl("reqgen", *name, "localhost", "-key", f"{leaf}.key", "-pass", "1", "-out", f"{leaf}.req")
        signer = ["-cacert", "ca.pem", "-key", "ca.key", "-pass", "1"]
        gmssl("reqsign", "-in", f"{leaf}.req", "-days", "2", "-key_usage", usage, *signer, "-out", f"{leaf}.pem")
    second = ["-ex_key", "enc.key", "-ex_pass", "1"] if server == "tlcp_server" else []
    chain = (tmp_path / "sign.pem").read_text() + ((tmp_path / "enc.pem").read_text() if second else "")
    (tmp_path / "chain.pem").write_text(chain + (tmp_path / "ca.pem").read_text())
    argv = [program, server, "-port", str(port), "-cert", "chain.pem", "-key", "sign.key", "-pass", "1", *second]
    with process(*argv, cwd=tmp_path, port=port, probes=False, **libraries) as address:
        endpoint = probe(address, read_roots(tmp_path / "ca.pem"), timeout_s=30, only=[protocol])
    assert [(s.protocol, s.problems) for s in endpoint.spoken] == [(protocol, [])], endpoint.refused
