"""TLCP 1.1 (GB/T 38636-2020): a handshake up to ServerHelloDone, with both certificates and the server's signature."""

from __future__ import annotations

import os

from pytest_xinchuang.messages import _, n_, verbatim
from pytest_xinchuang.packages.sm_crypto.certificates import parse
from pytest_xinchuang.packages.sm_crypto.tls import wire
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Spoken
from pytest_xinchuang.packages.sm_crypto.tls.wire import Connect, HandshakeReader, Parser, TlsError, vector
from pytest_xinchuang.sm.sm2 import Sm2

VERSION = 0x0101
SUITES = {
    0xE011: "ECDHE_SM4_CBC_SM3",
    0xE051: "ECDHE_SM4_GCM_SM3",
    0xE013: "ECC_SM4_CBC_SM3",
    0xE053: "ECC_SM4_GCM_SM3",
}
"""GB/T 38636-2020 clause 6.4.5.2.1."""
CURVE_SM2 = 41
"""The named curve in ECDHE parameters (GB/T 38636-2020 6.4.5.4; IANA has given curveSM2 the same number)."""


def client_hello(random: bytes, suites: tuple[int, ...]) -> bytes:
    """One record with a ClientHello. TLCP has no extensions."""
    offered = b"".join(s.to_bytes(2) for s in suites)
    body = VERSION.to_bytes(2) + random + vector(b"", 1) + vector(offered, 2) + vector(b"\0", 1)
    message = bytes([1]) + vector(body, 3)
    return bytes([wire.HANDSHAKE]) + VERSION.to_bytes(2) + vector(message, 2)


def speak(connect: Connect, suites: tuple[int, ...] = tuple(SUITES)) -> Spoken:
    """Do a TLCP handshake up to ServerHelloDone.

    Raises:
        TlsError: it does not speak TLCP. OSError: it cannot be reached.
    """
    random = os.urandom(32)
    channel = connect()
    try:
        channel.send(client_hello(random, suites))
        reader = HandshakeReader(channel)
        hello = reader.message()
        if hello.kind != wire.SERVER_HELLO:
            raise TlsError(_("answered with handshake message {kind}, not a ServerHello", kind=hello.kind))
        parts = Parser(hello.body)
        version, server_random = parts.number(2), parts.take(32)
        parts.vector(1)
        suite = parts.number(2)
        if version != VERSION:
            raise TlsError(_("chose the version {version:#06x}, but TLCP 1.1 is 0x0101", version=version))
        if suite not in suites:
            raise TlsError(_("chose the suite {suite:#06x}, which was not offered", suite=suite))
        spoken = Spoken("TLCP 1.1", SUITES[suite], signature="SM2 with SM3")
        asked = False
        while (message := reader.message()).kind != wire.SERVER_HELLO_DONE:
            if message.kind == wire.CERTIFICATE:
                listed = Parser(Parser(message.body).vector(3))
                while listed.data:
                    spoken.certificates.append(listed.vector(3))
            elif message.kind == wire.SERVER_KEY_EXCHANGE:
                asked = True
                _check_key_exchange(spoken, suite, message.body, random + server_random)
            elif message.kind == wire.CERTIFICATE_REQUEST:
                spoken.notes.append(_("asks for a client's certificate"))
    finally:
        channel.close()
    if len(spoken.certificates) < 2:
        spoken.problems.append(
            n_(
                "sent {n} certificate; TLCP has a signing and an encryption certificate (GB/T 38636-2020 6.4.5.3)",
                "sent {n} certificates; TLCP has a signing and an encryption certificate (GB/T 38636-2020 6.4.5.3)",
                len(spoken.certificates),
            )
        )
    if not asked:
        spoken.problems.append(
            _("sent no ServerKeyExchange: its signature could not be checked (GB/T 38636-2020 6.4.5.4)")
        )
    return spoken


def _check_key_exchange(spoken: Spoken, suite: int, body: bytes, randoms: bytes) -> None:
    """The signature over randoms and parameters, or over randoms and the encryption certificate (6.4.5.4)."""
    sm2 = Sm2()
    try:
        if len(spoken.certificates) < 2:
            return  # told already
        parts = Parser(body)
        if SUITES[suite].startswith("ECDHE"):
            kind, curve = parts.number(1), parts.number(2)
            point = parts.vector(1)
            if kind != 3:
                spoken.problems.append(
                    _("ServerKeyExchange has the curve type {kind}; it must be 3 (named_curve)", kind=kind)
                )
            spoken.group = "curveSM2" if curve == CURVE_SM2 else f"{curve}"
            sm2.decode_point(point)
            signed = randoms + body[: 4 + len(point)]
        else:
            signed = randoms + vector(spoken.certificates[1], 3)
        signature = parts.vector(2)
        if parts.data:
            spoken.problems.append(_("ServerKeyExchange has {n} bytes behind its signature", n=len(parts.data)))
    except TlsError:
        spoken.problems.append(
            _(
                "ServerKeyExchange cannot be parsed: a length field is missing or wrong [{defect}]",
                defect=verbatim("SMD-77 TlsLengthField"),
            )
        )
        return
    except ValueError as error:
        spoken.problems.append(_("the server's ephemeral key is not a point of the curve: {why}", why=error))
        return
    try:
        key = parse(spoken.certificates[0]).public_key(sm2)
        r, s = sm2.decode_signature(signature, "der")
        if not sm2.verify_digest(key, sm2.digest(None, key, signed), r, s):
            raise ValueError(_("it does not verify with the key of the signing certificate"))
    except ValueError as error:
        spoken.problems.append(_("the signature in ServerKeyExchange is wrong: {why}", why=error))
