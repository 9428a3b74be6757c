"""Servers of SSL 3.0 to TLS 1.2 that answer one flight, right or with one fault, and certificates of RSA and ECDSA for them."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fixtures.generate.certificates import NOW
from pytest_xinchuang.packages.sm_crypto.tls.hello import RENEGOTIATION, ClientHello
from pytest_xinchuang.packages.sm_crypto.tls.suites import Suite
from pytest_xinchuang.packages.sm_crypto.tls.wire import vector
from tests.packages.sm_crypto.tls_servers import REFUSAL, message, offer_of, read_hello, record

HOST = "server.example"
THEN = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
YEAR = datetime.timedelta(days=365)
Serve = Callable[[socket.socket], None]


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


@dataclass
class Issued:
    """A certificate with its key."""

    key: Any
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        private = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        return bytes(private + self.certificate.public_bytes(serialization.Encoding.PEM))


def issue(
    signer: Issued | None,
    subject: str = HOST,
    *,
    key: Any = None,
    names: Sequence[str] = (HOST,),
    start: datetime.datetime = THEN - YEAR,
    end: datetime.datetime = THEN + YEAR,
    hash: Any = None,
    ca: bool = False,
    usages: set[str] | None = None,
    extended: Sequence[Any] = (),
    forged: bool = False,
) -> Issued:
    """A certificate; a good one for servers with the defaults, of an authority without ``signer``."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    by = signer or Issued(key, None)  # type: ignore[arg-type]
    builder = x509.CertificateBuilder(
        name(subject) if signer is None else signer.certificate.subject,
        name(subject),
        key.public_key(),
        x509.random_serial_number(),
        start,
        end,
    )
    if names:
        listed = [_general(n) for n in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(listed), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    allowed = (
        {"key_cert_sign", "crl_sign"}
        if ca
        else usages
        if usages is not None
        else {"digital_signature", "key_encipherment"}
    )
    fields = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    every = (*fields, "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    builder = builder.add_extension(x509.KeyUsage(**{f: f in allowed for f in every}), critical=True)
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(extended)), critical=False)
    signing = ec.generate_private_key(ec.SECP256R1()) if forged else by.key
    return Issued(key, builder.sign(signing, hash or hashes.SHA256()))


def _general(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


CLIENTS = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass
class Flight:
    """What a server answers with; ``change`` of it is its fault.

    Attributes:
        suites: in its order.
        scheme: of its signature in TLS 1.2.
    """

    identity: Issued
    chain: Sequence[bytes] = ()
    versions: tuple[int, ...] = (0x0303,)
    suites: tuple[int, ...] = (0xC02B, 0xC02F, 0x009C)
    scheme: int = 0x0403
    group: int = 23
    extensions: bytes = RENEGOTIATION.to_bytes(2) + b"\x00\x01\x00"
    random: bytes = field(default_factory=lambda: os.urandom(32))
    compression: int = 0
    warns: bytes = b""
    prime_bits: int = 2048
    wrong_signature: bool = False
    key_exchange: bool = True
    request: bytes = b""
    cut: int = 0
    own_order: bool = True
    any_suite: bool = False
    refuses: Callable[[ClientHello], bool] = lambda offered: False
    edit: Callable[[bytes], bytes] = lambda flight: flight

    def but(self, **changes: Any) -> Flight:
        return replace(self, **changes)

    def serve(self, connection: socket.socket) -> None:
        hello = read_hello(connection)
        offered = offer_of(hello)
        ordered = self.suites if self.own_order else tuple(s for s in offered.suites if s in self.suites)
        suite = next((s for s in ordered if s in offered.suites or self.any_suite), None)
        if offered.version not in self.versions or suite is None or self.refuses(offered):
            connection.sendall(REFUSAL)
            return
        flight = self.edit(self.flight(offered, suite))
        cuts = [flight[i : i + self.cut] for i in range(0, len(flight), self.cut)] if self.cut else [flight]
        connection.sendall(self.warns + b"".join(record(22, part, offered.version) for part in cuts))
        connection.recv(1 << 16)

    def flight(self, offered: ClientHello, suite: int) -> bytes:
        chosen = suite.to_bytes(2) + bytes([self.compression])
        extensions = vector(self.extensions, 2) if self.extensions and offered.version > 0x0300 else b""
        made = message(2, offered.version.to_bytes(2) + self.random + vector(b"", 1) + chosen + extensions)
        exchange = Suite(suite).exchange
        if "anon" not in exchange:
            listed = [self.identity.der, *self.chain]
            made += message(11, vector(b"".join(vector(c, 3) for c in listed), 3))
        if exchange.startswith(("ECDHE", "DHE", "DH_anon")) and self.key_exchange:
            made += message(12, self._key_exchange(offered, exchange))
        return made + self.request + message(14, b"")

    def _key_exchange(self, offered: ClientHello, exchange: str) -> bytes:
        if exchange.startswith("ECDHE"):
            point = ec.generate_private_key(ec.SECP256R1()).public_key()
            raw = point.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
            params = b"\x03" + self.group.to_bytes(2) + vector(raw, 1)
        else:
            prime = (1 << (self.prime_bits - 1)) + 1
            number = vector(prime.to_bytes((self.prime_bits + 7) // 8), 2)
            params = number + vector(b"\x02", 2) + number
        if "anon" in exchange:
            return params
        content = offered.random + self.random + params
        if self.wrong_signature:
            content = b"another"
        old = offered.version < 0x0303
        return params + (b"" if old else self.scheme.to_bytes(2)) + vector(self._sign(content, old), 2)

    def _sign(self, content: bytes, old: bool) -> bytes:
        key = self.identity.key
        chosen = hashes.SHA1() if old or self.scheme >> 8 == 2 else hashes.SHA256()
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(content, ec.ECDSA(chosen))
        if old:
            from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo

            digest = hashlib.md5(content).digest() + hashlib.sha1(content).digest()
            return bytes(key.sign(digest, padding.PKCS1v15(), NoDigestInfo()))
        return bytes(key.sign(content, padding.PKCS1v15(), chosen))


def rsa_key(bits: int = 2048) -> Any:
    return rsa.generate_private_key(65537, bits)


DIGEST_INFO = {
    "md5": bytes.fromhex("3020300c06082a864886f70d020505000410"),
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
}
"""What stands in front of a digest in a signature of RSA (RFC 8017 section 9.2, note 1)."""


def signed_with(hash: str, issued: Issued, signer: Issued) -> bytes:
    """The certificate signed again by an RSA key with a hash that libraries no longer sign with."""
    from asn1crypto import x509 as asn1
    from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo

    made = asn1.Certificate.load(issued.der)
    algorithm = {"algorithm": f"{hash}_rsa"}
    made["tbs_certificate"]["signature"] = algorithm
    made["signature_algorithm"] = algorithm
    digest = hashlib.new(hash, made["tbs_certificate"].dump(force=True)).digest()
    signature = signer.key.sign(DIGEST_INFO[hash] + digest, padding.PKCS1v15(), NoDigestInfo())
    made["signature_value"] = signature
    return bytes(made.dump(force=True))
