"""Tries every protocol on an endpoint, and judges the certificates that it sends."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from pytest_xinchuang.core.digits import number_in
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import Message, _, system_error, told, verbatim
from pytest_xinchuang.packages.sm_crypto.certificates import ChainJudge, parse
from pytest_xinchuang.packages.sm_crypto.tls import rfc8998, tlcp
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Endpoint, Spoken
from pytest_xinchuang.packages.sm_crypto.tls.wire import Connect, SocketChannel, TlsError

TIMEOUT_S = 10.0
NAMES = {"tlcp": "TLCP 1.1", "rfc8998": "RFC 8998", "tls1.3": "TLS 1.3", "tls1.2": "TLS 1.2"}
"""Name of a protocol in options and manifests -> its name for people, in the order in which they are tried."""
PROTOCOLS = tuple(NAMES.values())
TLS_UNKNOWN_EXTENSION = verbatim("SMD-75 TlsUnknownExtension")
SM_PROTOCOLS = PROTOCOLS[:2]
"""The protocols with SM2 certificates."""


def parse_address(text: str) -> tuple[str, int]:
    """The host and port of ``HOST:PORT`` or ``[::1]:443``. Raises XcError: it is neither."""
    host, _colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    number = number_in(port)
    if not host or number is None or not 0 < number < 65536:
        raise XcError(
            _("{text} is not HOST:PORT", text=verbatim(repr(text))), mend=verbatim("xc sm tls example.cn:443")
        )
    return host, number


def read_roots(path: Path) -> list[bytes]:
    """The certificates of a PEM or DER file, as DER. Raises XcError: there is none."""
    with optional("sm_crypto"):
        from asn1crypto import pem

    try:
        data = path.read_bytes()
        if pem.detect(data):
            return [der for kind, _rest, der in pem.unarmor(data, multiple=True) if kind == "CERTIFICATE"]
        parse(data)
    except (OSError, ValueError) as error:
        why = system_error(error) if isinstance(error, OSError) else error
        raise XcError(_("{path}: there is no certificate: {why}", path=path, why=why)) from None
    return [data]


def probe(
    address: str, roots: Sequence[bytes] = (), *, timeout_s: float = TIMEOUT_S, only: Collection[str] = PROTOCOLS
) -> Endpoint:
    """Find which of ``only`` the endpoint at ``HOST:PORT`` speaks; each is tried over a connection of its own.

    Raises:
        XcError: it cannot be reached.
    """
    host, port = parse_address(address)
    endpoint = ask(address, host, lambda: SocketChannel(host, port, timeout_s), roots, only)
    if endpoint.unreachable:
        raise XcError(_("{address} cannot be reached: {why}", address=address, why=endpoint.unreachable))
    return endpoint


def ask(
    address: str, host: str, connect: Connect, roots: Sequence[bytes] = (), only: Collection[str] = PROTOCOLS
) -> Endpoint:
    """The same over any channel. ``unreachable`` of the result says why the first connection could not be made.

    Args:
        address: names the endpoint in the result.
        host: the name to ask for (SNI).
        roots: DER of the root certificates; without one the chains are not verified.
    """
    endpoint = Endpoint(address)

    speakers: dict[str, Callable[[], Spoken]] = {
        "TLCP 1.1": lambda: tlcp.speak(connect),
        "RFC 8998": lambda: _rfc8998(connect, host),
        "TLS 1.3": lambda: _stock(connect, host, "TLS 1.3", ssl.TLSVersion.TLSv1_3),
        "TLS 1.2": lambda: _stock(connect, host, "TLS 1.2", ssl.TLSVersion.TLSv1_2),
    }
    for name in PROTOCOLS:
        if name not in only:
            continue
        try:
            endpoint.spoken.append(speakers[name]())
        except TlsError as error:
            endpoint.refused[name] = told(error)
        except ssl.SSLError as error:
            endpoint.refused[name] = _("the handshake fails: {why}", why=verbatim(error.reason or str(error)))
        except OSError as error:
            endpoint.refused[name] = _why(error)
            if not endpoint.spoken and len(endpoint.refused) == 1:
                endpoint.unreachable = endpoint.refused[name]
                return endpoint
    for spoken in endpoint.spoken:
        judge(spoken, roots)
    return endpoint


def _why(error: OSError) -> Message:
    """Why a connection could not be made."""
    if isinstance(error, TimeoutError):
        return _("no answer within the time-out")
    if error.errno is None:
        return told(error) or verbatim(type(error).__name__)
    return system_error(error)


def _rfc8998(connect: Connect, host: str) -> Spoken:
    try:
        return rfc8998.speak(connect, host)
    except TlsError as error:
        if not error.silent:
            raise
        # It may be silent because of the unknown extension, which is a fault of its own.
        spoken = rfc8998.speak(connect, host, unknown=False)
        fault = _("closes the connection silently at an unknown extension [{defect}]", defect=TLS_UNKNOWN_EXTENSION)
        spoken.intolerances.append(fault)
        return spoken


def _stock(connect: Connect, host: str, name: str, version: ssl.TLSVersion) -> Spoken:
    """A handshake by Python's own TLS. No certificate is verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=host)
    channel = connect()
    try:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                channel.send(outgoing.read())
                try:
                    data = channel.receive()
                except TimeoutError:
                    raise TlsError(_("no answer within the time-out")) from None
                if not data:
                    raise TlsError(_("closed the connection silently"), silent=True) from None
                incoming.write(data)
        channel.send(outgoing.read())
        cipher = tls.cipher()
        der = tls.getpeercert(binary_form=True)
        return Spoken(name, cipher[0] if cipher else "?", certificates=[der] if der else [])
    finally:
        channel.close()


def judge(spoken: Spoken, roots: Sequence[bytes], now: float | None = None) -> None:
    """Judge the certificates that came with a protocol, and add the faults to its problems."""
    if spoken.protocol not in SM_PROTOCOLS or not spoken.certificates:
        if not spoken.certificates:
            spoken.problems.append(_("sent no certificate"))
        return
    chains = [("sign", [spoken.certificates[0], *spoken.certificates[1:]])]
    if spoken.protocol == "TLCP 1.1" and len(spoken.certificates) > 1:
        signing, encryption, *rest = spoken.certificates
        chains = [("sign", [signing, *rest]), ("encrypt", [encryption, *rest])]
    when = int(time.time() if now is None else now)
    for usage, chain in chains:
        try:
            leaf = parse(chain[0])
            judge_of = ChainJudge()
            if roots:
                judge_of.judge(chain, roots, when, usage)
            else:
                judge_of.check_leaf(leaf, usage)
                judge_of.check_time(leaf, when)
        except ValueError as error:
            spoken.problems.append(
                _("the signing certificate: {why}", why=error)
                if usage == "sign"
                else _("the encryption certificate: {why}", why=error)
            )
    if not roots:
        spoken.notes.append(_("no root was given: the chain was not verified (--ca FILE)"))
