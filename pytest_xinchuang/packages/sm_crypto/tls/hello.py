"""Hellos: what a client offers is written and read, and what a server chose is read (RFC 8446 4.1, RFC 5246 7.4.1)."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sm_crypto.tls.wire import HANDSHAKE, Parser, TlsError, vector

TLCP, SSL3, TLS10, TLS11, TLS12, TLS13 = 0x0101, 0x0300, 0x0301, 0x0302, 0x0303, 0x0304
VERSIONS = {TLCP: "TLCP 1.1", SSL3: "SSL 3.0", TLS10: "TLS 1.0", TLS11: "TLS 1.1", TLS12: "TLS 1.2", TLS13: "TLS 1.3"}

SERVER_NAME, STATUS, GROUPS_EXT, POINT_FORMATS, SCHEMES_EXT, ALPN = 0, 5, 10, 11, 13, 16
ETM, EMS, TICKET, PSK, VERSIONS_EXT, PSK_MODES, SCHEMES_CERT, KEY_SHARE = 22, 23, 35, 41, 43, 45, 50, 51
RENEGOTIATION = 0xFF01
"""Extension numbers (IANA, TLS ExtensionType Values)."""
UNKNOWN_EXTENSION = 0x7A7A
"""An extension number reserved for testing that unknown extensions are ignored (RFC 8701)."""
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a HelloRetryRequest (RFC 8446 section 4.1.3)."""
DOWNGRADE_12, DOWNGRADE_11 = b"DOWNGRD\x01", b"DOWNGRD\x00"
"""The end of the random of a server that could do TLS 1.3, and was asked for less (RFC 8446 section 4.1.3)."""

Extensions = tuple[tuple[int, bytes], ...]


def is_address(host: str) -> bool:
    """Whether it is an IP address, which no name may be asked for by (RFC 6066 section 3)."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def in_ascii(host: str) -> str:
    """A host's name as certificates have it: A-labels, small letters, no dot at the end; empty where there is none."""
    try:
        return host.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        return ""


def server_name(host: str) -> Extensions:
    """The name to ask for; nothing for an address."""
    name = "" if is_address(host) else in_ascii(host)
    return ((SERVER_NAME, vector(b"\0" + vector(name.encode(), 2), 2)),) if name else ()


def numbers(kind: int, values: Iterable[int]) -> Extensions:
    """An extension that is a list of numbers of two bytes: groups, signature schemes."""
    return ((kind, vector(b"".join(v.to_bytes(2) for v in values), 2)),)


@dataclass(frozen=True)
class ClientHello:
    """What a client offers.

    Attributes:
        version: the one in its body; TLS 1.3 has its own in an extension.
        record_version: the one of the record around it.
    """

    version: int
    suites: tuple[int, ...]
    extensions: Extensions = ()
    session: bytes = b""
    random: bytes = field(default_factory=lambda: os.urandom(32))
    compressions: bytes = b"\0"
    record_version: int = 0

    @property
    def message(self) -> bytes:
        """With the header of a handshake message."""
        suites = b"".join(s.to_bytes(2) for s in self.suites)
        body = self.version.to_bytes(2) + self.random + vector(self.session, 1)
        body += vector(suites, 2) + vector(self.compressions, 1)
        if self.extensions:
            body += vector(b"".join(kind.to_bytes(2) + vector(text, 2) for kind, text in self.extensions), 2)
        return b"\x01" + vector(body, 3)

    @property
    def record(self) -> bytes:
        version = self.record_version or min(self.version, TLS10)
        return bytes([HANDSHAKE]) + version.to_bytes(2) + vector(self.message, 2)

    @property
    def offered(self) -> set[int]:
        return {kind for kind, _text in self.extensions}

    def extension(self, kind: int) -> bytes | None:
        return next((text for number, text in self.extensions if number == kind), None)

    def listed(self, kind: int, width: int = 2) -> list[int]:
        """The numbers of an extension that lists some; none where it is absent or malformed."""
        try:
            text = Parser(Parser(self.extension(kind) or b"\0\0").vector(width)).data
        except TlsError:
            return []
        return [int.from_bytes(text[i : i + 2]) for i in range(0, len(text) - 1, 2)]


def read_extensions(parts: Parser) -> tuple[dict[int, bytes], list[int]]:
    """The extensions at the end of a hello, and the numbers of those that are there twice (RFC 8446 4.2 forbids it)."""
    found: dict[int, bytes] = {}
    twice = []
    if parts.data:
        rest = Parser(parts.vector(2))
        while rest.data:
            kind = rest.number(2)
            if kind in found:
                twice.append(kind)
            found[kind] = rest.vector(2)
    if parts.data:
        raise TlsError(_("a hello has {n} bytes behind its extensions", n=len(parts.data)), breach=True)
    return found, twice


@dataclass(frozen=True)
class ServerHello:
    """What a server chose.

    Attributes:
        twice: the numbers of extensions that it sent more than once.
    """

    version: int
    random: bytes
    session: bytes
    suite: int
    compression: int
    extensions: Mapping[int, bytes]
    twice: tuple[int, ...]

    @property
    def retries(self) -> bool:
        """It is a HelloRetryRequest."""
        return self.random == RETRY

    @property
    def chosen(self) -> int:
        """The version of the connection."""
        named = self.extensions.get(VERSIONS_EXT, b"")
        return int.from_bytes(named) if len(named) == 2 else self.version

    @property
    def group(self) -> int:
        """The group of its key share, or the one that it asks for; 0: none."""
        return int.from_bytes(self.extensions.get(KEY_SHARE, b"\0\0")[:2])


def read_server_hello(body: bytes) -> ServerHello:
    """Raises TlsError: it is malformed."""
    parts = Parser(body)
    version, random, session = parts.number(2), parts.take(32), parts.vector(1)
    suite, compression = parts.number(2), parts.number(1)
    extensions, twice = read_extensions(parts)
    return ServerHello(version, random, session, suite, compression, extensions, tuple(twice))


def read_client_hello(body: bytes, record_version: int = 0) -> tuple[ClientHello, list[int]]:
    """A client's hello without its header, and the numbers of extensions that are there twice.

    Raises:
        TlsError: it is malformed.
    """
    parts = Parser(body)
    version, random, session = parts.number(2), parts.take(32), parts.vector(1)
    suites, compressions = parts.vector(2), parts.vector(1)
    if len(suites) % 2:
        raise TlsError(_("the list of suites has an odd length: {n}", n=len(suites)), breach=True)
    extensions, twice = read_extensions(parts)
    listed = tuple(int.from_bytes(suites[i : i + 2]) for i in range(0, len(suites), 2))
    hello = ClientHello(version, listed, tuple(extensions.items()), session, random, compressions, record_version)
    return hello, twice


def name_asked_for(hello: ClientHello) -> str:
    """The host name of a client's hello; empty where there is none."""
    text = hello.extension(SERVER_NAME)
    try:
        listed = Parser(Parser(text or b"\0\0").vector(2))
        while listed.data:
            kind, name = listed.number(1), listed.vector(2)
            if kind == 0:
                return name.decode(errors="backslashreplace")
    except TlsError:
        pass
    return ""


def protocols_asked_for(hello: ClientHello) -> list[str]:
    """The protocols of a client's ALPN."""
    found = []
    try:
        listed = Parser(Parser(hello.extension(ALPN) or b"\0\0").vector(2))
        while listed.data:
            found.append(listed.vector(1).decode(errors="backslashreplace"))
    except TlsError:
        pass
    return found
