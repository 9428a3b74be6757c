"""TLS 1.3 with the SM suites of RFC 8998: a handshake up to the server's Finished, decrypted and checked."""

from __future__ import annotations

import os
import secrets
import struct

from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sm_crypto.certificates import parse
from pytest_xinchuang.packages.sm_crypto.tls import wire
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Spoken
from pytest_xinchuang.packages.sm_crypto.tls.wire import (
    Connect,
    HandshakeMessage,
    HandshakeReader,
    Parser,
    TlsError,
    vector,
)
from pytest_xinchuang.sm import curve, sm4
from pytest_xinchuang.sm.curve import N
from pytest_xinchuang.sm.sm2 import DEFAULT_ID, Sm2
from pytest_xinchuang.sm.sm3 import hkdf_expand, hmac_sm3, sm3

SUITES = {0x00C6: "TLS_SM4_GCM_SM3", 0x00C7: "TLS_SM4_CCM_SM3"}
GROUP, SIGNATURE = 41, 0x0708
"""curveSM2 and sm2sig_sm3 (RFC 8998 section 3.2; IANA)."""
ID = b"TLSv1.3+GM+Cipher+Suite"
"""The user id of CertificateVerify (RFC 8998 section 3.2.1)."""
UNKNOWN_EXTENSION = 0x7A7A
"""An extension number reserved for testing that unknown extensions are ignored (RFC 8701)."""
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a HelloRetryRequest (RFC 8446 section 4.1.3)."""


def client_hello(random: bytes, point: bytes, name: str, *, unknown: bool) -> bytes:
    """One record with a ClientHello that offers RFC 8998 and nothing else."""
    extensions = b""

    def add(kind: int, body: bytes) -> None:
        nonlocal extensions
        extensions += kind.to_bytes(2) + vector(body, 2)

    if name and not name.replace(".", "").isdigit() and ":" not in name:
        add(0, vector(b"\0" + vector(name.encode("idna"), 2), 2))
    add(43, vector(b"\x03\x04", 1))
    add(10, vector(GROUP.to_bytes(2), 2))
    add(13, vector(SIGNATURE.to_bytes(2), 2))
    add(51, vector(GROUP.to_bytes(2) + vector(point, 2), 2))
    if unknown:
        add(UNKNOWN_EXTENSION, b"xc")
    suites = b"".join(s.to_bytes(2) for s in SUITES)
    body = (
        b"\x03\x03" + random + vector(os.urandom(32), 1) + vector(suites, 2) + vector(b"\0", 1) + vector(extensions, 2)
    )
    message = bytes([1]) + vector(body, 3)
    return bytes([wire.HANDSHAKE]) + b"\x03\x01" + vector(message, 2)


def expand_label(secret: bytes, label: str, context: bytes, size: int) -> bytes:
    """HKDF-Expand-Label with SM3 (RFC 8446 section 7.1)."""
    info = size.to_bytes(2) + vector(b"tls13 " + label.encode(), 1) + vector(context, 1)
    return hkdf_expand(secret, info, size)


class _Keys:
    """The server's handshake keys: opens its records (RFC 8446 section 5.2)."""

    def __init__(self, shared: bytes, transcript: bytes, *, ccm: bool) -> None:
        early = hmac_sm3(bytes(32), bytes(32))
        handshake = hmac_sm3(expand_label(early, "derived", sm3(b""), 32), shared)
        self.secret = expand_label(handshake, "s hs traffic", sm3(transcript), 32)
        self._cipher = sm4.Sm4(expand_label(self.secret, "key", b"", 16))
        self._iv = expand_label(self.secret, "iv", b"", 12)
        self._ccm, self._number = ccm, 0

    def open(self, header: bytes, body: bytes) -> tuple[int, bytes]:
        nonce = sm4.xor(self._iv, struct.pack(">IQ", 0, self._number))
        self._number += 1
        ct, tag = body[:-16], body[-16:]
        if self._ccm:
            text, made = sm4.ccm(self._cipher, nonce, header, ct, 16, encrypt=False)
        else:
            text, made = sm4.gcm(self._cipher, nonce, header, ct, encrypt=False)
        if made != tag:
            raise TlsError(_("sent a record whose tag is wrong under the agreed key"))
        text = text.rstrip(b"\0")
        if not text:
            raise TlsError(_("sent a record without a content type"))
        return text[-1], text[:-1]

    def finished(self, transcript: bytes) -> bytes:
        return hmac_sm3(expand_label(self.secret, "finished", b"", 32), sm3(transcript))


def speak(connect: Connect, name: str = "", *, unknown: bool = True) -> Spoken:
    """Do a handshake of RFC 8998 up to the server's Finished.

    Args:
        unknown: send an unknown extension, as RFC 8701 does.

    Raises:
        TlsError: it does not speak it. OSError: it cannot be reached.
    """
    sm2 = Sm2()
    own = 1 + secrets.randbelow(N - 2)
    point = sm2.encode_point(curve.multiply_base(own))
    channel = connect()
    try:
        record = client_hello(os.urandom(32), point, name, unknown=unknown)
        channel.send(record)
        reader = HandshakeReader(channel)
        hello = reader.message()
        if hello.kind != wire.SERVER_HELLO:
            raise TlsError(_("answered with handshake message {kind}, not a ServerHello", kind=hello.kind))
        suite, share = _server_hello(hello.body)
        try:
            shared = curve.multiply(own, sm2.decode_point(share))
        except ValueError as error:
            raise TlsError(_("its key share is not a point of curveSM2: {why}", why=error)) from None
        assert shared is not None
        transcript = record[5:] + hello.raw
        keys = _Keys(shared[0].to_bytes(32), transcript, ccm=suite == 0x00C7)
        reader.decrypt = keys.open
        spoken = Spoken("RFC 8998", SUITES[suite], group="curveSM2")
        while True:
            message = reader.message()
            if message.kind == wire.CERTIFICATE:
                spoken.certificates = _certificates(message)
            elif message.kind == wire.CERTIFICATE_REQUEST:
                spoken.notes.append(_("asks for a client's certificate"))
            elif message.kind == wire.CERTIFICATE_VERIFY:
                _check_verify(spoken, message.body, transcript, sm2)
            elif message.kind == wire.FINISHED:
                if message.body != keys.finished(transcript):
                    spoken.problems.append(_("its Finished is not the MAC of the transcript (RFC 8446 4.4.4)"))
                return spoken
            transcript += message.raw
    finally:
        channel.close()


def _server_hello(body: bytes) -> tuple[int, bytes]:
    parts = Parser(body)
    parts.number(2)
    if parts.take(32) == RETRY:
        raise TlsError(_("asks for another group than curveSM2"))
    parts.vector(1)
    suite = parts.number(2)
    parts.number(1)
    share, version = b"", 0
    extensions = Parser(parts.vector(2)) if parts.data else Parser(b"")
    while extensions.data:
        kind, content = extensions.number(2), Parser(extensions.vector(2))
        if kind == 43:
            version = content.number(2)
        elif kind == 51:
            group, share = content.number(2), content.vector(2)
            if group != GROUP:
                raise TlsError(_("chose the group {group}, but only curveSM2 (41) was offered", group=group))
    if version != 0x0304:
        raise TlsError(_("chose a version below TLS 1.3"))
    if suite not in SUITES or not share:
        raise TlsError(_("chose the suite {suite:#06x}, which was not offered, or gave no key share", suite=suite))
    return suite, share


def _certificates(message: HandshakeMessage) -> list[bytes]:
    parts = Parser(message.body)
    parts.vector(1)
    listed, found = Parser(parts.vector(3)), []
    while listed.data:
        found.append(listed.vector(3))
        listed.vector(2)
    return found


def _check_verify(spoken: Spoken, body: bytes, transcript: bytes, sm2: Sm2) -> None:
    parts = Parser(body)
    scheme, signature = parts.number(2), parts.vector(2)
    spoken.signature = "sm2sig_sm3" if scheme == SIGNATURE else f"{scheme:#06x}"
    if scheme != SIGNATURE:
        spoken.problems.append(_("signed with {scheme:#06x}, but only sm2sig_sm3 (0x0708) was offered", scheme=scheme))
        return
    good = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + sm3(transcript)
    try:
        key = parse(spoken.certificates[0]).public_key(sm2)
        r, s = sm2.decode_signature(signature, "der")
    except (ValueError, IndexError) as error:
        spoken.problems.append(_("CertificateVerify cannot be checked: {why}", why=error))
        return

    def fits(content: bytes, user: bytes) -> bool:
        return sm2.verify_digest(key, sm2.digest(user, key, content), r, s)

    if fits(good, ID):
        return
    if fits(good, DEFAULT_ID):
        spoken.problems.append(
            _(
                "CertificateVerify is made with the id {used}, and not {right} (RFC 8998 3.2.1)",
                used=DEFAULT_ID.decode(),
                right=ID.decode(),
            )
        )
    elif fits(good, b""):
        spoken.problems.append(
            _("CertificateVerify is made with the empty id, and not {right} (RFC 8998 3.2.1)", right=ID.decode())
        )
    elif fits(transcript, ID) or fits(transcript, DEFAULT_ID) or fits(sm3(transcript), ID):
        spoken.problems.append(
            _(
                "CertificateVerify is made over the raw transcript [{defect}] (RFC 8446 4.4.3)",
                defect=verbatim("SMD-74 TlsTranscript"),
            )
        )
    else:
        spoken.problems.append(_("the signature in CertificateVerify is wrong"))
