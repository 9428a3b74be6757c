"""Records and handshake messages (RFC 8446 5.1 and 4; GB/T 38636-2020 6.3 and 6.4)."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pytest_xinchuang.messages import Message, _, verbatim

HANDSHAKE, ALERT, CHANGE_CIPHER_SPEC, APPLICATION = 22, 21, 20, 23
SERVER_HELLO, ENCRYPTED_EXTENSIONS, CERTIFICATE, SERVER_KEY_EXCHANGE = 2, 8, 11, 12
CERTIFICATE_REQUEST, SERVER_HELLO_DONE, CERTIFICATE_VERIFY, FINISHED = 13, 14, 15, 20
MAX_BYTES = 1 << 20
"""Bytes after which we stop reading; a handshake flight has some KiB."""

ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    40: "handshake_failure",
    42: "bad_certificate",
    47: "illegal_parameter",
    50: "decode_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    109: "missing_extension",
    112: "unrecognized_name",
    116: "certificate_required",
}
"""RFC 8446 section 6."""


class TlsError(Exception):
    """The endpoint broke the protocol, or does not speak it.

    Attributes:
        silent: it closed the connection without an alert.
        alert: the name of the alert that it sent, if it sent one.
    """

    def __init__(self, what: Message, *, silent: bool = False, alert: str = "") -> None:
        super().__init__(what)
        self.silent, self.alert = silent, alert


class Channel(Protocol):
    """Bytes to and from an endpoint."""

    def send(self, data: bytes) -> None: ...

    def receive(self) -> bytes:
        """The bytes that have come, at most 64 KiB; ``b""`` when the other side has closed. Raises TimeoutError."""

    def close(self) -> None: ...


Connect = Callable[[], Channel]


class SocketChannel:
    """A TCP connection. Raises OSError: it could not be made."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._socket = socket.create_connection((host, port), timeout_s)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except ConnectionResetError:
            return b""

    def close(self) -> None:
        self._socket.close()


def vector(data: bytes, width: int) -> bytes:
    """``data`` with its length in front, in ``width`` bytes."""
    return len(data).to_bytes(width) + data


class Parser:
    """Parses a message; raises TlsError where it is too short."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, size: int) -> bytes:
        if len(self.data) < size:
            raise TlsError(_("a message is {n} bytes too short", n=size - len(self.data)))
        out, self.data = self.data[:size], self.data[size:]
        return out

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width))

    def vector(self, width: int) -> bytes:
        return self.take(self.number(width))


@dataclass(frozen=True)
class HandshakeMessage:
    """A handshake message; ``raw`` is its part of the transcript."""

    kind: int
    body: bytes
    raw: bytes


Decrypt = Callable[[bytes, bytes], tuple[int, bytes]]
"""(record header, record body) -> content type and content, for records that are protected."""


class HandshakeReader:
    """Reads handshake messages from the records of a channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._bytes = b""
        self._messages = b""
        self._total = 0
        self.record_version = 0
        self.decrypt: Decrypt | None = None

    def _more(self) -> None:
        try:
            chunk = self._channel.receive()
        except TimeoutError:
            raise TlsError(_("no answer within the time-out")) from None
        if not chunk:
            raise TlsError(_("closed the connection silently"), silent=True)
        self._bytes += chunk
        self._total += len(chunk)
        if self._total > MAX_BYTES:
            raise TlsError(_("sent more than {most} MiB of handshake messages", most=MAX_BYTES >> 20))

    def _record(self) -> tuple[int, bytes]:
        while len(self._bytes) < 5:
            self._more()
        kind, size = self._bytes[0], int.from_bytes(self._bytes[3:5])
        if kind not in (HANDSHAKE, ALERT, CHANGE_CIPHER_SPEC, APPLICATION):
            raise TlsError(_("the answer is not TLS: {answer}", answer=verbatim(repr(self._bytes[:20]))))
        while len(self._bytes) < 5 + size:
            self._more()
        header, body = self._bytes[:5], self._bytes[5 : 5 + size]
        self._bytes = self._bytes[5 + size :]
        self.record_version = int.from_bytes(header[1:3])
        if kind == APPLICATION and self.decrypt is not None:
            return self.decrypt(header, body)
        return kind, body

    def message(self) -> HandshakeMessage:
        """The next handshake message. Raises TlsError: an alert came, or the connection ended."""
        while True:
            if len(self._messages) >= 4:
                size = int.from_bytes(self._messages[1:4])
                if len(self._messages) >= 4 + size:
                    raw, self._messages = self._messages[: 4 + size], self._messages[4 + size :]
                    return HandshakeMessage(raw[0], raw[4:], raw)
            kind, body = self._record()
            if kind == ALERT:
                if len(body) != 2:
                    raise TlsError(_("refused by an encrypted alert"), alert="encrypted")
                name = ALERTS.get(body[1], str(body[1]))
                raise TlsError(_("refused by the alert {name}", name=verbatim(name)), alert=name)
            if kind == HANDSHAKE:
                self._messages += body
            elif kind == APPLICATION:
                raise TlsError(_("sent application data during the handshake"))
