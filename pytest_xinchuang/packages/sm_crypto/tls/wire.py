"""Records and handshake messages (RFC 8446 5.1 and 4; GB/T 38636-2020 6.3 and 6.4)."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_xinchuang.messages import Message, _, told, verbatim

HANDSHAKE, ALERT, CHANGE_CIPHER_SPEC, APPLICATION = 22, 21, 20, 23
SERVER_HELLO, ENCRYPTED_EXTENSIONS, CERTIFICATE, SERVER_KEY_EXCHANGE = 2, 8, 11, 12
CERTIFICATE_REQUEST, SERVER_HELLO_DONE, CERTIFICATE_VERIFY, FINISHED = 13, 14, 15, 20
MAX_BYTES = 1 << 20
"""Bytes after which we stop reading; a handshake flight has some KiB."""
MAX_RECORD = (1 << 14) + 2048
"""The longest record, TLS 1.2's with a cipher's additions (RFC 5246 section 6.2.3)."""
MAX_IDLE = 64
"""Records without handshake messages that are put up with: empty ones, warnings, ChangeCipherSpec."""

ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
    200: "unsupported_site2site",
    201: "no_area",
    202: "unsupported_areatype",
    203: "bad_ibcparam",
    204: "unsupported_ibcparam",
    205: "identity_need",
}
"""RFC 8446 section 6, RFC 5246 section 7.2; from 200 on GB/T 38636-2020's own."""
CLOSE_NOTIFY, WARNING = 0, 1

OTHERS = {
    b"HTTP/": "HTTP",
    b"SSH-": "SSH",
    b"220": "SMTP, FTP",
    b"+OK": "POP3",
    b"* OK": "IMAP",
    b"RFB ": "VNC",
    b"<?xml": "XML",
    b"<html": "HTTP",
    b"<!DOC": "HTTP",
}
"""The first bytes of answers of other protocols -> their names."""


class TlsError(Exception):
    """The endpoint broke the protocol, or does not speak it.

    Attributes:
        silent: it closed the connection without an alert.
        alert: the name of the alert that it sent, if it sent one.
        late: it had not answered when the time was over, so that nothing is known.
        breach: it answered with what no client has to bear, which is a fault and no refusal.
    """

    def __init__(
        self, what: Message, *, silent: bool = False, alert: str = "", late: bool = False, breach: bool = False
    ) -> None:
        super().__init__(what)
        self.silent, self.alert, self.late, self.breach = silent, alert, late, breach


class Deadline:
    """A moment that nothing may go on behind."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, 0 when it is over."""
        return max(0.0, self._at - time.monotonic())

    @property
    def over(self) -> bool:
        return self.left <= 0

    def part(self, seconds: float) -> Deadline:
        """A deadline in so many seconds, and not behind this one."""
        return Deadline(min(seconds, self.left))


class Channel(Protocol):
    """Bytes to and from an endpoint."""

    def send(self, data: bytes) -> None: ...

    def receive(self) -> bytes:
        """The bytes that have come, at most 64 KiB; ``b""`` when the other side has closed. Raises TimeoutError."""

    def close(self) -> None: ...


Connect = Callable[[], Channel]


Address = tuple[int, Any]
"""A family and a socket address."""


def resolve(host: str, port: int, deadline: Deadline) -> Sequence[Address]:
    """The addresses of a host. The resolver obeys no time-out, so it is asked beside us.

    Raises:
        OSError: there is none, or not before the deadline.
    """
    found: list[Address] = []
    failed: list[OSError] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend((family, address) for family, *_more, address in answers)
        except OSError as error:
            failed.append(error)
        except ValueError as error:  # a name that IDNA cannot encode
            failed.append(OSError(_("{host} is not the name of a host: {why}", host=verbatim(host), why=told(error))))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(deadline.left)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError
    return found


class SocketChannel:
    """A TCP connection to the first address that answers; all that it does ends at its deadline.

    Raises:
        OSError: it could not be made.
    """

    def __init__(self, addresses: Sequence[Address], deadline: Deadline) -> None:
        self._deadline = deadline
        self._reset: ConnectionResetError | None = None
        for number, (family, address) in enumerate(addresses):
            self._socket = socket.socket(family, socket.SOCK_STREAM)
            try:
                self._arm()
                # One address that swallows everything leaves time for the others.
                self._socket.settimeout(self._deadline.left / (len(addresses) - number))
                self._socket.connect(address)
                return
            except ConnectionResetError as error:  # it was made, and reset before we could look
                self._reset = error
                return
            except OSError:
                self._socket.close()
                if number == len(addresses) - 1:
                    raise

    def _arm(self) -> None:
        if self._deadline.over:
            raise TimeoutError
        self._socket.settimeout(self._deadline.left)

    def send(self, data: bytes) -> None:
        # Who has closed may have answered before: that is read.
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            self._arm()
            self._socket.sendall(data)

    def receive(self) -> bytes:
        if self._reset is not None:
            raise self._reset
        self._arm()
        return self._socket.recv(1 << 16)

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
            raise TlsError(_("a message is {n} bytes too short", n=size - len(self.data)), breach=True)
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


def received(channel: Channel, before: int, late: Message) -> bytes:
    """The next bytes of a handshake.

    Args:
        before: how many have come already.
        late: what is said where nothing comes in time.

    Raises:
        TlsError: none come, or too many. ConnectionRefusedError: a relay knows only now that there is no connection.
    """
    try:
        chunk = channel.receive()
    except TimeoutError:
        raise TlsError(late, late=True) from None
    except ConnectionRefusedError:
        raise
    except ConnectionError:
        raise TlsError(_("reset the connection"), silent=True) from None
    if not chunk:
        raise TlsError(_("closed the connection silently"), silent=True)
    if before + len(chunk) > MAX_BYTES:
        raise TlsError(_("sent more than {most} MiB of handshake messages", most=MAX_BYTES >> 20), breach=True)
    return chunk


class HandshakeReader:
    """Reads handshake messages from the records of a channel.

    Attributes:
        warnings: the names of alerts that do not end the handshake.
        decrypt: opens records of application data, as TLS 1.3 has them.
        behind_change: opens all records behind ChangeCipherSpec, as older protocols have them.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._bytes = b""
        self._messages = b""
        self._alerts = b""
        self._total = self._idle = 0
        self.record_version = 0
        self.warnings: list[str] = []
        self.decrypt: Decrypt | None = None
        self.behind_change: Decrypt | None = None
        self._changed = False

    def _more(self) -> None:
        begun = _("began to answer, and did not come to an end in time")
        chunk = received(self._channel, self._total, begun if self._total else _("no answer within the time-out"))
        self._bytes += chunk
        self._total += len(chunk)

    def _record(self) -> tuple[int, bytes]:
        while len(self._bytes) < 5:
            if self._bytes and not self._may_be_tls():
                with contextlib.suppress(TlsError):
                    self._more()
                break
            self._more()
        kind, size = self._bytes[0], int.from_bytes(self._bytes[3:5])
        if not self._may_be_tls():
            self._raise_another()
        if size > MAX_RECORD:
            raise TlsError(_("sent a record of {n} bytes; {most} are allowed", n=size, most=MAX_RECORD), breach=True)
        while len(self._bytes) < 5 + size:
            self._more()
        header, body = self._bytes[:5], self._bytes[5 : 5 + size]
        self._bytes = self._bytes[5 + size :]
        self.record_version = int.from_bytes(header[1:3])
        if kind == APPLICATION and self.decrypt is not None:
            return self.decrypt(header, body)
        if self.behind_change is not None:
            if self._changed:
                return self.behind_change(header, body)
            self._changed = kind == CHANGE_CIPHER_SPEC
        return kind, body

    def _may_be_tls(self) -> bool:
        """A record's content type, and a version of SSL 3.0 to TLS 1.3 or TLCP."""
        start = self._bytes[:3]
        return start[0] in (HANDSHAKE, ALERT, CHANGE_CIPHER_SPEC, APPLICATION) and start[1:2] in (b"", b"\3", b"\1")

    def _raise_another(self) -> None:
        answer = self._bytes[:20]
        for beginning, name in OTHERS.items():
            if answer.lower().startswith(beginning.lower()):
                raise TlsError(_("the answer is not TLS but {protocol}", protocol=verbatim(name)))
        if answer[0] & 0x80 and answer[2:3] == b"\4":
            raise TlsError(_("the answer is a ServerHello of SSL 2.0 (RFC 6176 forbids it)"))
        if answer[0] & 0x80 and answer[2:3] == b"\1":
            raise TlsError(_("a ClientHello in the form of SSL 2.0 (RFC 5246 E.2), which is no longer sent"))
        raise TlsError(_("the answer is not TLS: {answer}", answer=verbatim(repr(answer))))

    def _alert(self, body: bytes) -> None:
        """Alerts are two bytes each, and may be cut or joined like all else (RFC 5246 section 6.2.1)."""
        self._alerts += body
        while len(self._alerts) >= 2:
            level, number, self._alerts = self._alerts[0], self._alerts[1], self._alerts[2:]
            if level not in (WARNING, 2) or len(body) > 2 + MAX_IDLE:
                raise TlsError(_("refused by an encrypted alert"), alert="encrypted")
            name = ALERTS.get(number, str(number))
            if level != WARNING:
                raise TlsError(_("refused by the alert {name}", name=verbatim(name)), alert=name)
            if number == CLOSE_NOTIFY:
                raise TlsError(_("refused by the alert {name}", name=verbatim(name)), alert=name, silent=True)
            self.warnings.append(name)

    def message(self) -> HandshakeMessage:
        """The next handshake message. Raises TlsError: an alert came, or the connection ended."""
        while True:
            if len(self._messages) >= 4:
                size = int.from_bytes(self._messages[1:4])
                if len(self._messages) >= 4 + size:
                    raw, self._messages = self._messages[: 4 + size], self._messages[4 + size :]
                    return HandshakeMessage(raw[0], raw[4:], raw)
                if size > MAX_BYTES:
                    raise TlsError(_("announced a message of {n} bytes", n=size), breach=True)
            kind, body = self._record()
            if kind == HANDSHAKE and body:
                self._messages += body
                continue
            if kind == ALERT:
                self._alert(body)
            elif kind == APPLICATION:
                raise TlsError(_("sent application data during the handshake"), breach=True)
            self._idle += 1
            if self._idle > MAX_IDLE:
                raise TlsError(_("sent more than {n} records without a handshake message", n=MAX_IDLE), breach=True)

    def server_hello(self) -> HandshakeMessage:
        """The next message, which has to be a ServerHello. Raises TlsError: it is another."""
        found = self.message()
        if found.kind != SERVER_HELLO:
            raise TlsError(_("answered with handshake message {kind}, not a ServerHello", kind=found.kind), breach=True)
        return found
