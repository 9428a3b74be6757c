"""`xc sm tls` on a real server of TLCP: the Tongsuo that is inside of tongsuopy, by ctypes."""

from __future__ import annotations

import ctypes
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from asn1crypto import pem

from fixtures.generate.certificates import NOW, Template
from pytest_xinchuang.packages.sm_crypto.tls import probe as probing
from pytest_xinchuang.packages.sm_crypto.tls import tlcp_end
from pytest_xinchuang.packages.sm_crypto.tls.exchange import Flight
from pytest_xinchuang.packages.sm_crypto.tls.probe import probe
from pytest_xinchuang.packages.sm_crypto.tls.report import endpoint_as_text
from pytest_xinchuang.packages.sm_crypto.tls.wire import Channel, HandshakeReader
from pytest_xinchuang.sm import curve, der
from pytest_xinchuang.sm.sm2 import Sm2
from tests.packages.sm_crypto.tls_servers import Pki, serving

CURVE = der.tlv(6, bytes.fromhex("2a811ccf5501822d"))
"""1.2.156.10197.1.301."""
PEM = 1


@pytest.fixture(scope="module")
def tongsuo() -> ctypes.CDLL:
    backend = pytest.importorskip("tongsuopy.backends._tongsuo")
    library = ctypes.CDLL(backend.__file__)
    if not hasattr(library, "NTLS_server_method"):
        pytest.skip("this tongsuopy has no TLCP")
    for name in ("NTLS_server_method", "SSL_CTX_new", "SSL_new"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


@pytest.fixture(autouse=True)
def _then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing.time, "time", lambda: float(NOW))


def key_of(number: int) -> bytes:
    point = Sm2().encode_point(curve.multiply_base(number))
    public = der.tlv(0xA1, der.tlv(3, b"\0" + point))
    made = der.sequence(der.integer(1), der.tlv(4, number.to_bytes(32)), der.tlv(0xA0, CURVE), public)
    return bytes(pem.armor("EC PRIVATE KEY", made))


class Server:
    """A context of Tongsuo with both certificates."""

    def __init__(self, library: ctypes.CDLL, pki: Pki, place: Path, suites: bytes) -> None:
        self.library = library
        self.context = ctypes.c_void_p(library.SSL_CTX_new(ctypes.c_void_p(library.NTLS_server_method())))
        library.SSL_CTX_enable_ntls(self.context)
        for kind, certificate, key in (("sign", pki.sign, pki.sign_key), ("enc", pki.enc, pki.enc_key)):
            crt, prv = place / f"{kind}.crt", place / f"{kind}.key"
            crt.write_bytes(pem.armor("CERTIFICATE", certificate))
            prv.write_bytes(key_of(key))
            for what, path in (("certificate", crt), ("PrivateKey", prv)):
                use = getattr(library, f"SSL_CTX_use_{kind}_{what}_file")
                assert use(self.context, str(path).encode(), PEM) == 1, (kind, what)
        assert library.SSL_CTX_set_cipher_list(self.context, suites) == 1

    def serve(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        tls = ctypes.c_void_p(self.library.SSL_new(self.context))
        self.library.SSL_set_fd(tls, connection.fileno())
        self.library.SSL_accept(tls)
        self.library.SSL_free(tls)


@pytest.mark.parametrize(
    ("suites", "wanted"),
    [
        (b"ECC-SM2-SM4-GCM-SM3:ECC-SM2-SM4-CBC-SM3", ["ECC_SM4_GCM_SM3", "ECC_SM4_CBC_SM3"]),
        (b"ECC-SM2-SM4-CBC-SM3", ["ECC_SM4_CBC_SM3"]),
        (b"ECDHE-SM2-SM4-GCM-SM3:ECDHE-SM2-SM4-CBC-SM3", ["ECDHE_SM4_GCM_SM3", "ECDHE_SM4_CBC_SM3"]),
    ],
)
def test_tongsuo_speaks_tlcp(tongsuo: ctypes.CDLL, tmp_path: Path, suites: bytes, wanted: list[str]) -> None:
    pki = Pki()
    server = Server(tongsuo, pki, tmp_path, suites)
    with serving(server.serve) as address:
        endpoint = probe(address, [pki.root], timeout_s=30, survey=True)
    (spoken,) = endpoint.spoken
    assert not endpoint.fails, endpoint_as_text(endpoint)
    assert spoken.protocol == "TLCP 1.1" and sorted(spoken.suites) == sorted(wanted)
    assert spoken.certificates[:2] == [pki.sign, pki.enc]
    assert spoken.whole is wanted[0].startswith("ECC"), endpoint_as_text(endpoint)


def test_a_certificate_of_tongsuo_that_has_expired(tongsuo: ctypes.CDLL, tmp_path: Path) -> None:
    pki = Pki()
    pki.enc = pki.leaf(usage={"key_encipherment"}, key=pki.enc_key, end=Template("x").start)
    server = Server(tongsuo, pki, tmp_path, b"ECC-SM2-SM4-CBC-SM3")
    with serving(server.serve) as address:
        endpoint = probe(address, [pki.root], timeout_s=30, only=["TLCP 1.1"])
    assert {f.code for s in endpoint.spoken for f in s.failing} == {"XC-TLS-041"}


@pytest.mark.parametrize("suites", [b"ECC-SM2-SM4-GCM-SM3", b"ECC-SM2-SM4-CBC-SM3"])
def test_a_server_that_cannot_decrypt_with_its_key(tongsuo: ctypes.CDLL, tmp_path: Path, suites: bytes) -> None:
    """The certificate that is sent is another's: the secret that we encrypt is lost on the server."""
    pki = Pki()
    server = Server(tongsuo, pki, tmp_path, suites)
    with serving(server.serve) as address:
        good = probe(address, [pki.root], timeout_s=30, only=["TLCP 1.1"])
        with pytest.MonkeyPatch.context() as patch:
            another = pki.leaf(usage={"key_encipherment"}, key=pki.maker.key())
            finish = tlcp_end.finish

            def lost(flight: Flight, reader: HandshakeReader, channel: Channel) -> bool:
                return finish(replace(flight, certificates=[pki.sign, another]), reader, channel)

            patch.setattr(tlcp_end, "finish", lost)
            bad = probe(address, [pki.root], timeout_s=30, only=["TLCP 1.1"])
    assert good.spoken[0].whole and not good.fails
    assert not bad.spoken[0].whole and "XC-TLS-010" in {f.code for f in bad.all_findings}, endpoint_as_text(bad)
