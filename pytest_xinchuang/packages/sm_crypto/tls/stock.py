"""Whole handshakes by Python's own TLS, where it can: TLS 1.2 and 1.3, with what was said in them, and resumption."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.packages.sm_crypto.tls import hello as h
from pytest_xinchuang.packages.sm_crypto.tls import wire
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Spoken
from pytest_xinchuang.packages.sm_crypto.tls.exchange import read_list
from pytest_xinchuang.packages.sm_crypto.tls.legacy import readable
from pytest_xinchuang.packages.sm_crypto.tls.suites import GROUPS, SCHEMES, SUITES, WEAK_SCHEMES
from pytest_xinchuang.packages.sm_crypto.tls.wire import Connect, Parser, TlsError

VERSIONS = {"TLS 1.3": ssl.TLSVersion.TLSv1_3, "TLS 1.2": ssl.TLSVersion.TLSv1_2}
TICKET_WAIT = 3
"""Reads in which the tickets of TLS 1.3 have to come behind the handshake."""


def why(error: TlsError | OSError) -> Message:
    """Why a handshake failed: our words, or the library's own for its reason."""
    if isinstance(error, ssl.SSLError):
        return verbatim(error.reason or str(error))
    return _("no answer within the time-out") if isinstance(error, TimeoutError) else told(error)


@dataclass
class Whole:
    """A handshake that was gone through.

    Attributes:
        heard: the server's messages that were sent in clear or deciphered, by kind; empty where Python does not show them.
        session: to be resumed.
        resumed: it went on with a session that was given.
    """

    cipher: str
    leaf: bytes | None
    heard: dict[int, bytes] = field(default_factory=dict)
    session: ssl.SSLSession | None = None
    resumed: bool = False


def handshake(
    connect: Connect,
    host: str,
    protocol: str,
    *,
    identity: Identity | None = None,
    session: ssl.SSLSession | None = None,
    context: ssl.SSLContext | None = None,
    waits: bool = False,
) -> Whole:
    """A handshake in one version. No certificate is verified.

    Args:
        waits: wait for a ticket of TLS 1.3 behind it.

    Raises:
        TlsError, ssl.SSLError: it fails. OSError: it cannot be reached.
    """
    context = context or new_context(protocol, identity)
    heard: dict[int, bytes] = {}

    def hear(
        _connection: object, direction: str, _version: object, kind: object, _message: object, data: bytes
    ) -> None:
        if direction == "read" and kind == wire.HANDSHAKE and len(data) >= 4:
            heard[data[0]] = data[4:]

    # Python keeps it private, and has had it since 3.8: what a server says in TLS 1.3 is seen in no other way.
    if hasattr(context, "_msg_callback"):
        context._msg_callback = hear
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    name = "" if h.is_address(host) else h.in_ascii(host)
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name or None, session=session)
    channel = connect()
    try:
        _go(tls.do_handshake, channel, incoming, outgoing)
        cipher, leaf = tls.cipher(), tls.getpeercert(binary_form=True)
        channel.send(outgoing.read())
        if waits and protocol == "TLS 1.3":
            _wait_for_ticket(tls, channel, incoming)
        return Whole(cipher[0] if cipher else "?", leaf, heard, tls.session, bool(tls.session_reused))
    finally:
        channel.close()


Identity = tuple[Path, Path]
"""The files of a client's certificate and of its key (PEM)."""


def new_context(protocol: str, identity: Identity | None = None) -> ssl.SSLContext:
    """What bears any server that OpenSSL can speak with. Raises OSError: the identity cannot be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = VERSIONS[protocol]
    if protocol != "TLS 1.3":
        # A weak key or suite is told as such; refusing it here would hide it.
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)
    if identity is not None:
        # With a password at hand nobody is asked for one.
        context.load_cert_chain(identity[0], identity[1], password="")
    return context


def knows(suite: str) -> bool:
    """Whether Python's TLS 1.2 has a suite, by its name."""
    numbers = {c["id"] & 0xFFFF for c in new_context("TLS 1.2").get_ciphers()}
    return any(SUITES.get(number) == suite for number in numbers)


def _go(step: Callable[[], object], channel: wire.Channel, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
    total = 0
    while True:
        try:
            step()
            return
        except ssl.SSLWantReadError:
            channel.send(outgoing.read())
        data = wire.received(channel, total, _("no answer within the time-out"))
        total += len(data)
        incoming.write(data)


def _wait_for_ticket(tls: ssl.SSLObject, channel: wire.Channel, incoming: ssl.MemoryBIO) -> None:
    for _turn in range(TICKET_WAIT):
        try:
            tls.read(1)
            return
        except ssl.SSLWantReadError:
            if tls.session is not None and tls.session.has_ticket:
                return
        except ssl.SSLError:
            return
        try:
            data = channel.receive()
        except OSError:
            return
        if not data:
            return
        incoming.write(data)


def tell_heard(spoken: Spoken, whole: Whole) -> None:
    """What the messages of TLS 1.3 say: the chain, the group, the signature, what is asked of the client."""
    spoken.certificates = [whole.leaf] if whole.leaf else []
    try:
        if hello := whole.heard.get(wire.SERVER_HELLO):
            chosen = h.read_server_hello(hello)
            spoken.suite = SUITES.get(chosen.suite, spoken.suite)
            spoken.group = GROUPS.get(chosen.group, str(chosen.group) if chosen.group else "")
        if listed := whole.heard.get(wire.CERTIFICATE):
            spoken.certificates = read_certificates(listed)
        if verify := whole.heard.get(wire.CERTIFICATE_VERIFY):
            scheme = int.from_bytes(verify[:2])
            spoken.signature = SCHEMES.get(scheme, f"{scheme:#06x}")
            if scheme in WEAK_SCHEMES:
                spoken.find("XC-TLS-026", scheme=spoken.signature)
        if request := whole.heard.get(wire.CERTIFICATE_REQUEST):
            tell_request13(spoken, request)
    except TlsError as error:
        spoken.find("XC-TLS-009", message="Certificate", why=told(error))


def read_certificates(body: bytes) -> list[bytes]:
    """The chain of a Certificate message of TLS 1.3 (RFC 8446 section 4.4.2). Raises TlsError: it is malformed."""
    parts = Parser(body)
    parts.vector(1)
    listed, found = Parser(parts.vector(3)), []
    while listed.data:
        found.append(listed.vector(3))
        listed.vector(2)
    return found


def tell_request13(spoken: Spoken, body: bytes) -> None:
    """A CertificateRequest of TLS 1.3 (RFC 8446 section 4.3.2). Raises TlsError: it is malformed."""
    parts = Parser(body)
    parts.vector(1)
    extensions, _twice = h.read_extensions(parts)
    schemes = Parser(extensions.get(h.SCHEMES_EXT, b"\0\0")).vector(2)
    listed = [int.from_bytes(schemes[i : i + 2]) for i in range(0, len(schemes), 2)]
    spoken.client_types = [SCHEMES.get(n, f"{n:#06x}") for n in listed]
    authorities = Parser(extensions.get(47, b"\0\0")).vector(2)
    spoken.client_authorities = [readable(name) for name in read_list(authorities, 2)]
    spoken.find("XC-TLS-062")


def resumes(
    connect: Connect, host: str, protocol: str, identity: Identity | None = None
) -> tuple[str, bool | None] | None:
    """How a session is offered to be resumed, and whether that works; None: no session is offered.

    Raises:
        TlsError, ssl.SSLError, OSError: a handshake fails.
    """
    context = new_context(protocol, identity)
    first = handshake(connect, host, protocol, context=context, waits=True)
    session: Any = first.session
    if session is None or not (session.has_ticket or session.id):
        return None
    how = "PSK" if protocol == "TLS 1.3" else "ticket" if session.has_ticket else "session id"
    if protocol == "TLS 1.3" and not session.has_ticket:
        return None
    return how, handshake(connect, host, protocol, session=session, context=context).resumed
