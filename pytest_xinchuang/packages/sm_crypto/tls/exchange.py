"""The flight of a server of SSL 3.0 to TLS 1.2 or TLCP, up to ServerHelloDone, which no key is needed to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.packages.sm_crypto.tls import hello as h
from pytest_xinchuang.packages.sm_crypto.tls import wire
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Found
from pytest_xinchuang.packages.sm_crypto.tls.hello import ClientHello, ServerHello
from pytest_xinchuang.packages.sm_crypto.tls.suites import Suite
from pytest_xinchuang.packages.sm_crypto.tls.wire import Channel, Connect, HandshakeReader, Parser, TlsError

CERTIFICATE_TYPES = {
    1: "rsa_sign",
    2: "dss_sign",
    3: "rsa_fixed_dh",
    4: "dss_fixed_dh",
    64: "ecdsa_sign",
    80: "ibc_params",
}
"""RFC 5246 section 7.4.4, RFC 8422 section 5.5, GB/T 38636-2020 clause 6.4.5.5."""


@dataclass
class Request:
    """What a server asks of a client's certificate."""

    types: list[str] = field(default_factory=list)
    authorities: list[bytes] = field(default_factory=list)


@dataclass
class Flight:
    """What came up to ServerHelloDone.

    Attributes:
        asked: the hello that it answers.
        key_exchange: the body of ServerKeyExchange; None: there was none.
        warnings: the names of alerts that did not end it.
        transcript: all messages so far, with their headers.
    """

    asked: ClientHello
    hello: ServerHello
    certificates: list[bytes] = field(default_factory=list)
    key_exchange: bytes | None = None
    request: Request | None = None
    warnings: list[str] = field(default_factory=list)
    transcript: bytes = b""

    @property
    def suite(self) -> Suite:
        return Suite(self.hello.suite)


def ask_hello(connect: Connect, hello: ClientHello) -> ServerHello:
    """The ServerHello, or HelloRetryRequest, that answers a hello. Raises TlsError, OSError."""
    channel = connect()
    try:
        channel.send(hello.record)
        return h.read_server_hello(HandshakeReader(channel).server_hello().body)
    finally:
        channel.close()


Then = Callable[[Flight, HandshakeReader, Channel], None]
"""What is done with a flight while its connection is there."""


def ask_flight(connect: Connect, hello: ClientHello, then: Then | None = None) -> Flight:
    """The flight that answers a hello.

    Raises:
        TlsError: it is refused, or malformed. OSError: there is no connection.
    """
    channel = connect()
    try:
        channel.send(hello.record)
        reader = HandshakeReader(channel)
        message = reader.server_hello()
        flight = Flight(hello, h.read_server_hello(message.body), transcript=hello.message + message.raw)
        check_version(hello, flight.hello)
        while (message := reader.message()).kind != wire.SERVER_HELLO_DONE:
            flight.transcript += message.raw
            if message.kind == wire.CERTIFICATE:
                flight.certificates += read_list(Parser(message.body).vector(3), 3)
            elif message.kind == wire.SERVER_KEY_EXCHANGE:
                flight.key_exchange = message.body
            elif message.kind == wire.CERTIFICATE_REQUEST:
                flight.request = _request(message.body, flight.hello.chosen)
            elif message.kind == wire.SERVER_HELLO:
                raise TlsError(_("sent two ServerHellos"), breach=True)
        flight.transcript += message.raw
        flight.warnings = reader.warnings
        if then is not None:
            then(flight, reader, channel)
        return flight
    finally:
        channel.close()


def check_version(asked: ClientHello, found: ServerHello) -> None:
    """Raises TlsError: the server chose another version, which is a breach if it is above the one that was offered."""
    if found.chosen == asked.version:
        return
    name = h.VERSIONS.get(found.chosen, f"{found.chosen:#06x}")
    if found.chosen < asked.version and (found.chosen == h.TLCP) == (asked.version == h.TLCP):
        raise TlsError(_("chose {version} in its place", version=verbatim(name)))
    raise TlsError(
        _("chose {found:#06x} ({name}), which was not offered", found=found.chosen, name=verbatim(name)), breach=True
    )


def read_list(data: bytes, width: int) -> list[bytes]:
    """Items with their lengths in front. Raises TlsError: one is cut off."""
    parts, found = Parser(data), []
    while parts.data:
        found.append(parts.vector(width))
    return found


def _request(body: bytes, version: int) -> Request:
    parts = Parser(body)
    types = [CERTIFICATE_TYPES.get(t, str(t)) for t in parts.vector(1)]
    if version == h.TLS12:
        parts.vector(2)
    authorities = read_list(parts.vector(2), 2) if parts.data else []
    return Request(types, authorities)


def check_offered(found: Found, asked: ClientHello, hello: ServerHello) -> None:
    """What was chosen must have been offered (RFC 5246 7.4.1.3 and 7.4.1.4, RFC 8446 4.1.3 and 4.2)."""
    if hello.suite not in asked.suites:
        found.find("XC-TLS-007", what=_("the suite {suite}", suite=Suite(hello.suite).name))
    if bytes([hello.compression]) not in asked.compressions:
        found.find("XC-TLS-007", what=_("the compression {n}", n=hello.compression))
    allowed = asked.offered | ({h.RENEGOTIATION} if 0x00FF in asked.suites else set())
    for kind in hello.extensions:
        if kind not in allowed and not (hello.retries and kind == 44):  # a cookie is not asked for
            found.find("XC-TLS-007", what=_("the extension {n}", n=kind))
    if hello.twice:
        found.find("XC-TLS-008", n=", ".join(map(str, sorted(set(hello.twice)))))


@dataclass
class KeyExchange:
    """What a ServerKeyExchange says.

    Attributes:
        group: its named curve; 0: it has none.
        prime_bits: the size of the prime of Diffie-Hellman, or of the modulus of a suite for export.
        scheme: the signature scheme of TLS 1.2; 0: there is none.
        parameters: what is signed, behind the randoms.
        signature: empty where nothing is signed.
    """

    group: int = 0
    prime_bits: int = 0
    scheme: int = 0
    parameters: bytes = b""
    signature: bytes = b""


def read_key_exchange(suite: Suite, version: int, body: bytes) -> KeyExchange:
    """A ServerKeyExchange of SSL 3.0 to TLS 1.2 (RFC 5246 7.4.3, RFC 8422 5.4). Raises TlsError: it is malformed."""
    parts, found = Parser(body), KeyExchange()
    if suite.exchange.startswith("ECDH"):
        kind = parts.number(1)
        if kind != 3:
            raise TlsError(_("it has the curve type {kind}; it must be 3 (named_curve)", kind=kind), breach=True)
        found.group = parts.number(2)
        parts.vector(1)
    else:
        found.prime_bits = int.from_bytes(parts.vector(2)).bit_length()
        parts.vector(2)
        if suite.exchange.startswith("DH"):
            parts.vector(2)
    found.parameters = body[: len(body) - len(parts.data)]
    if "anon" in suite.exchange:
        return found
    if version == h.TLS12:
        found.scheme = parts.number(2)
    found.signature = parts.vector(2)
    if parts.data:
        raise TlsError(_("it has {n} bytes behind its signature", n=len(parts.data)), breach=True)
    return found


Answer = TypeVar("Answer")


def attempt(variants: Sequence[tuple[Message, Callable[[], Answer]]]) -> tuple[Answer, Message | None]:
    """The first answer of hellos that offer less and less, each with what it leaves out of the one before.

    Returns:
        the answer, and what the server did not bear; None: it bore the first hello.

    Raises:
        TlsError: the first refusal, where none is answered. OSError.
    """
    first: TlsError | None = None
    for lacks, ask in variants:
        try:
            return ask(), lacks if first is not None else None
        except TlsError as error:
            if error.late or error.breach or error.alert == "protocol_version":
                raise (first or error) from None
            first = first or error
    assert first is not None
    raise first


def tell_intolerance(found: Found, lacks: Message | None) -> None:
    if lacks is not None:
        found.find("XC-TLS-006", what=lacks)


def without(hello: ClientHello, *kinds: int) -> ClientHello:
    """The same hello with less extensions, and a random of its own."""
    kept = tuple((kind, text) for kind, text in hello.extensions if kind not in kinds)
    return replace(hello, extensions=kept, random=h.ClientHello(0, ()).random)
