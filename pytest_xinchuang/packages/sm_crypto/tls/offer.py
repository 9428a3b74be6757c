"""What a client of the subject offers: one ClientHello is waited for and read."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass, field

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import NOTHING, Message, _, system_error, told, verbatim
from pytest_xinchuang.packages.sm_crypto.tls import hello as h
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Found
from pytest_xinchuang.packages.sm_crypto.tls.hello import ClientHello
from pytest_xinchuang.packages.sm_crypto.tls.suites import (
    GROUPS,
    SCHEMES,
    SCSV,
    SUITES,
    WEAK_GROUPS,
    WEAK_SCHEMES,
    is_grease,
    named,
)
from pytest_xinchuang.packages.sm_crypto.tls.survey import judge_suites
from pytest_xinchuang.packages.sm_crypto.tls.wire import Deadline, HandshakeReader, TlsError

CLIENT_HELLO = 1
REFUSAL = b"\x15\x03\x01\x00\x02\x02\x28"
"""The alert handshake_failure, so that a client ends at once (RFC 8446 section 6.2)."""
EMPTY_PATIENCE = 8
"""Connections without a hello that are put up with: health checks of balancers, and whoever scans ports."""


@dataclass
class Offer(Found):
    """What a client offers.

    Attributes:
        versions: the best one first.
        suites, groups, schemes: in the client's order, without signals and without what is sent to be ignored.
    """

    peer: str
    versions: list[str]
    suites: list[str]
    groups: list[str] = field(default_factory=list)
    schemes: list[str] = field(default_factory=list)
    server_name: str = ""
    alpn: list[str] = field(default_factory=list)
    extensions: list[int] = field(default_factory=list)

    @property
    def fails(self) -> bool:
        return bool(self.failing)


class _Accepted:
    """A connection that was made to us."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection, self._deadline = connection, deadline

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._connection.sendall(data)

    def receive(self) -> bytes:
        if self._deadline.over:
            raise TimeoutError
        self._connection.settimeout(self._deadline.left)
        return self._connection.recv(1 << 16)

    def close(self) -> None:
        self._connection.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that waits for clients. Raises XcError: the port cannot be listened on."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, ValueError, OverflowError) as error:
        why = system_error(error) if isinstance(error, OSError) else told(error)
        raise XcError(
            _("port {port} of {host} cannot be listened on: {why}", port=port, host=verbatim(host), why=why),
            mend=_("name another port"),
        ) from None


def hear(listener: socket.socket, timeout_s: float) -> Offer:
    """The first ClientHello that comes; connections without one are passed over.

    Raises:
        XcError: none has come in time, or what came is no hello.
    """
    deadline = Deadline(timeout_s)
    said: Message = NOTHING
    for _turn in range(EMPTY_PATIENCE):
        if deadline.over:
            break
        listener.settimeout(deadline.left)
        try:
            connection, address = listener.accept()
        except OSError:
            break
        peer = str(address[0])
        channel = _Accepted(connection, deadline)
        try:
            return _read(channel, peer)
        except TlsError as error:
            said = _("{peer}: {why}", peer=verbatim(peer), why=told(error))
        finally:
            channel.close()
    seconds = f"{timeout_s:g}"
    why = _("the last client was {said}", said=said) if said else _("no client connected")
    raise XcError(
        _("no ClientHello has come within {n} seconds; {why}", n=seconds, why=why),
        mend=_("start the client while this waits, and have it connect here"),
    )


def _read(channel: _Accepted, peer: str) -> Offer:
    reader = HandshakeReader(channel)
    message = reader.message()
    if message.kind != CLIENT_HELLO:
        raise TlsError(_("sent handshake message {kind}, not a ClientHello", kind=message.kind), breach=True)
    hello, twice = h.read_client_hello(message.body, reader.record_version)
    channel.send(REFUSAL)
    return offer_of(hello, twice, peer)


def offer_of(hello: ClientHello, twice: list[int], peer: str) -> Offer:
    """What a hello offers, judged."""
    versions = _versions(hello)
    suites = [s for s in hello.suites if s not in SCSV and not is_grease(s)]
    groups = [g for g in hello.listed(h.GROUPS_EXT) if not is_grease(g)]
    schemes = hello.listed(h.SCHEMES_EXT)
    offer = Offer(
        peer,
        [h.VERSIONS.get(v, f"{v:#06x}") for v in versions],
        named(suites, SUITES),
        named(groups, GROUPS),
        named(schemes, SCHEMES),
        h.name_asked_for(hello),
        h.protocols_asked_for(hello),
        sorted(hello.offered),
    )
    if twice:
        offer.find("XC-TLS-008", n=", ".join(map(str, sorted(set(twice)))))
    for version in versions:
        if version == h.SSL3:
            offer.find("XC-TLS-001", version="SSL 3.0")
        elif version in (h.TLS10, h.TLS11):
            offer.find("XC-TLS-002", version=h.VERSIONS[version])
    if h.TLCP not in versions and not {0x00C6, 0x00C7} & set(suites):
        offer.find("XC-TLS-003")
    judge_suites(offer, offer.suites)
    for group in groups:
        if group in WEAK_GROUPS:
            offer.find("XC-TLS-025", group=GROUPS[group])
    for scheme in schemes:
        if scheme in WEAK_SCHEMES:
            offer.find("XC-TLS-026", scheme=SCHEMES[scheme])
    return offer


def _versions(hello: ClientHello) -> list[int]:
    """The versions that a hello offers: its list, or the one of its body alone."""
    listed = hello.listed(h.VERSIONS_EXT, 1)
    if listed:
        return [v for v in listed if not is_grease(v)]
    return [hello.version]
