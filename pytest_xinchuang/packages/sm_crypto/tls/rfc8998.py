"""TLS 1.3 with the SM suites of RFC 8998: a handshake up to the server's Finished, decrypted and checked."""

from __future__ import annotations

import os
import secrets
import struct
from collections.abc import Sequence
from functools import partial

from pytest_xinchuang.messages import NOTHING, _, verbatim
from pytest_xinchuang.packages.sm_crypto.certificates import parse
from pytest_xinchuang.packages.sm_crypto.tls import hello as h
from pytest_xinchuang.packages.sm_crypto.tls import wire
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Spoken
from pytest_xinchuang.packages.sm_crypto.tls.exchange import attempt, check_offered, tell_intolerance, without
from pytest_xinchuang.packages.sm_crypto.tls.hello import ClientHello, ServerHello
from pytest_xinchuang.packages.sm_crypto.tls.legacy import UNKNOWN
from pytest_xinchuang.packages.sm_crypto.tls.stock import read_certificates, tell_request13
from pytest_xinchuang.packages.sm_crypto.tls.suites import TLS13_SUITES
from pytest_xinchuang.packages.sm_crypto.tls.wire import Connect, HandshakeReader, Parser, TlsError, vector
from pytest_xinchuang.sm import curve, sm4
from pytest_xinchuang.sm.curve import N
from pytest_xinchuang.sm.sm2 import DEFAULT_ID, Sm2
from pytest_xinchuang.sm.sm3 import hkdf_expand, hmac_sm3, sm3

NAME = "RFC 8998"
SUITES = {number: TLS13_SUITES[number] for number in (0x00C6, 0x00C7)}
GROUP, SIGNATURE = 41, 0x0708
"""curveSM2 and sm2sig_sm3 (RFC 8998 section 3.2; IANA)."""
ID = b"TLSv1.3+GM+Cipher+Suite"
"""The user id of CertificateVerify (RFC 8998 section 3.2.1)."""


def client_hello(point: bytes, host: str, suites: Sequence[int] = tuple(SUITES)) -> ClientHello:
    """A hello that offers RFC 8998 and nothing else.

    Args:
        point: of the key share; empty: none is sent, so that a server asks for one.
    """
    share = GROUP.to_bytes(2) + vector(point, 2) if point else b""
    extensions = (
        *h.server_name(host),
        (h.VERSIONS_EXT, vector(b"\x03\x04", 1)),
        *h.numbers(h.GROUPS_EXT, [GROUP]),
        *h.numbers(h.SCHEMES_EXT, [SIGNATURE]),
        (h.KEY_SHARE, vector(share, 2)),
        (h.UNKNOWN_EXTENSION, b"xc"),
    )
    return ClientHello(h.TLS12, tuple(suites), extensions, session=os.urandom(32))


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


def speak(connect: Connect, host: str = "") -> Spoken:
    """Do a handshake of RFC 8998 up to the server's Finished; where it is refused, without an unknown extension.

    Raises:
        TlsError: it does not speak it. OSError: it cannot be reached.
    """
    own = 1 + secrets.randbelow(N - 2)
    point = Sm2().encode_point(curve.multiply_base(own))
    hello = client_hello(point, host)
    less = without(hello, h.UNKNOWN_EXTENSION)
    variants = [(NOTHING, hello), (UNKNOWN, less)]
    spoken, lacks = attempt([(what, partial(_speak, connect, one, own)) for what, one in variants])
    tell_intolerance(spoken, lacks)
    return spoken


def _speak(connect: Connect, asked: ClientHello, own: int) -> Spoken:
    sm2 = Sm2()
    channel = connect()
    try:
        channel.send(asked.record)
        reader = HandshakeReader(channel)
        message = reader.server_hello()
        hello = h.read_server_hello(message.body)
        check_chosen(hello)
        spoken = Spoken(NAME, SUITES[hello.suite], group="curveSM2")
        check_offered(spoken, asked, hello)
        try:
            shared = curve.multiply(own, sm2.decode_point(Parser(hello.extensions[h.KEY_SHARE][2:]).vector(2)))
        except ValueError as error:
            raise TlsError(_("its key share is not a point of curveSM2: {why}", why=error), breach=True) from None
        assert shared is not None
        transcript = asked.message + message.raw
        keys = _Keys(shared[0].to_bytes(32), transcript, ccm=hello.suite == 0x00C7)
        reader.decrypt = keys.open
        while True:
            message = reader.message()
            if message.kind == wire.CERTIFICATE:
                spoken.certificates = read_certificates(message.body)
            elif message.kind == wire.CERTIFICATE_REQUEST:
                tell_request13(spoken, message.body)
            elif message.kind == wire.CERTIFICATE_VERIFY:
                _check_verify(spoken, message.body, transcript, sm2)
            elif message.kind == wire.FINISHED:
                if message.body != keys.finished(transcript):
                    spoken.find("XC-TLS-011")
                if not spoken.signature:
                    spoken.find("XC-TLS-012", message="CertificateVerify")
                if not spoken.certificates:
                    spoken.find("XC-TLS-051")
                return spoken
            transcript += message.raw
    finally:
        channel.close()


def check_chosen(hello: ServerHello) -> None:
    """Raises TlsError: what the server chose is not RFC 8998."""
    if hello.chosen != h.TLS13:
        raise TlsError(_("chose a version below TLS 1.3"))
    if hello.suite not in SUITES:
        raise TlsError(_("chose the suite {suite:#06x}, which was not offered", suite=hello.suite), breach=True)
    if hello.retries:
        raise TlsError(_("asks for another group than curveSM2"), breach=True)
    if h.KEY_SHARE not in hello.extensions:
        raise TlsError(_("gave no key share"), breach=True)
    if hello.group != GROUP:
        raise TlsError(_("chose the group {group}, but only curveSM2 (41) was offered", group=hello.group), breach=True)


def _check_verify(spoken: Spoken, body: bytes, transcript: bytes, sm2: Sm2) -> None:
    parts = Parser(body)
    scheme, signature = parts.number(2), parts.vector(2)
    spoken.signature = "sm2sig_sm3" if scheme == SIGNATURE else f"{scheme:#06x}"
    if scheme != SIGNATURE:
        what = _("signed with {scheme:#06x}, but only sm2sig_sm3 (0x0708) was offered", scheme=scheme)
        spoken.find("XC-TLS-014", why=what)
        return
    good = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + sm3(transcript)
    try:
        key = parse(spoken.certificates[0]).public_key(sm2)
        r, s = sm2.decode_signature(signature, "der")
    except (ValueError, IndexError) as error:
        spoken.find("XC-TLS-013", message="CertificateVerify", why=_("it cannot be checked: {why}", why=error))
        return

    def fits(content: bytes, user: bytes) -> bool:
        return sm2.verify_digest(key, sm2.digest(user, key, content), r, s)

    if fits(good, ID):
        return
    if fits(good, DEFAULT_ID):
        why = _(
            "made with the id {used}, and not {right} (RFC 8998 3.2.1)", used=DEFAULT_ID.decode(), right=ID.decode()
        )
    elif fits(good, b""):
        why = _("made with the empty id, and not {right} (RFC 8998 3.2.1)", right=ID.decode())
    elif fits(transcript, ID) or fits(transcript, DEFAULT_ID) or fits(sm3(transcript), ID):
        why = _("made over the raw transcript [{defect}] (RFC 8446 4.4.3)", defect=verbatim("SMD-74 TlsTranscript"))
    else:
        spoken.find(
            "XC-TLS-013", message="CertificateVerify", why=_("it does not verify with the key of the certificate")
        )
        return
    spoken.find("XC-TLS-014", why=why)
