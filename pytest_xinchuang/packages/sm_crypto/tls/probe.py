"""Tries every protocol on an endpoint, and judges the certificates that it sends."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core.digits import number_in
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import Message, _, system_error, told, verbatim
from pytest_xinchuang.packages.sm_crypto.certificates import parse
from pytest_xinchuang.packages.sm_crypto.tls import hello as h
from pytest_xinchuang.packages.sm_crypto.tls import legacy, rfc8998, stock, tlcp
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Endpoint, Spoken
from pytest_xinchuang.packages.sm_crypto.tls.exchange import Flight
from pytest_xinchuang.packages.sm_crypto.tls.judging import SM_PROTOCOLS, judge
from pytest_xinchuang.packages.sm_crypto.tls.survey import Survey, judge_suites
from pytest_xinchuang.packages.sm_crypto.tls.wire import Connect, Deadline, SocketChannel, TlsError, resolve

TIMEOUT_S = 10.0
"""Seconds for one connection."""
TOTAL_S = 120.0
"""Seconds for all of them; the survey of a server a continent away has some 300 connections of a second round trip each."""
BRIEF_S = 3.0
"""Seconds for a connection that may have nothing more to say: a ticket comes at once or never."""
NAMES = {
    "tlcp": "TLCP 1.1",
    "rfc8998": "RFC 8998",
    "tls1.3": "TLS 1.3",
    "tls1.2": "TLS 1.2",
    "tls1.1": "TLS 1.1",
    "tls1.0": "TLS 1.0",
    "ssl3": "SSL 3.0",
}
"""Name of a protocol in options -> its name for people, in the order in which they are tried."""
EVERY = tuple(NAMES.values())
PROTOCOLS = EVERY[:4]
"""Those that a product may be wanted to speak: the names of manifests."""
OLD = {"SSL 3.0": "XC-TLS-001", "TLS 1.0": "XC-TLS-002", "TLS 1.1": "XC-TLS-002"}
LEGACY = {"TLS 1.2": h.TLS12, "TLS 1.1": h.TLS11, "TLS 1.0": h.TLS10, "SSL 3.0": h.SSL3}


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


@dataclass(frozen=True)
class Wish:
    """What is to be asked of an endpoint.

    Attributes:
        roots: DER of the root certificates; without one the chains are followed as far as they were sent.
        only: names of protocols.
        name: the host name that clients use; empty: the one of the address.
        survey: ask for all suites, groups, names and resumption as well.
        identity: a client's certificate and key, for servers that ask for one.
    """

    roots: Sequence[bytes] = ()
    only: Collection[str] = PROTOCOLS
    name: str = ""
    survey: bool = False
    identity: stock.Identity | None = None


def read_identity(certificate: str, key: str) -> stock.Identity | None:
    """A client's certificate and key, where they are given. Raises XcError: they cannot be read, or one is missing."""
    if not certificate and not key:
        return None
    found = Path(certificate), Path(key or certificate)
    try:
        if not certificate:
            raise OSError(_("a key alone is no identity"))
        stock.new_context("TLS 1.3", found)
    except (OSError, ValueError) as error:
        why = stock.why(error) if isinstance(error, OSError) else told(error)
        raise XcError(
            _("the client's certificate and key cannot be read: {why}", why=why),
            mend=verbatim("--cert client.pem --key client.key"),
        ) from None
    return found


def probe(
    address: str,
    roots: Sequence[bytes] = (),
    *,
    timeout_s: float = TIMEOUT_S,
    total_s: float = TOTAL_S,
    only: Collection[str] = PROTOCOLS,
    name: str = "",
    survey: bool = False,
    identity: stock.Identity | None = None,
) -> Endpoint:
    """Find which of ``only`` the endpoint at ``HOST:PORT`` speaks; each is tried over connections of its own.

    Args:
        timeout_s: seconds for one connection.
        total_s: seconds for everything: what is not reached by then is undecided.

    Raises:
        XcError: it cannot be reached.
    """
    host, port = parse_address(address)
    clock = Deadline(total_s)
    try:
        addresses = resolve(host, port, clock.part(timeout_s))
    except OSError as error:
        raise _unreachable(address, _why(error)) from None

    def connect(seconds: float = timeout_s) -> SocketChannel:
        return SocketChannel(addresses, clock.part(seconds))

    wish = Wish(roots, only, name, survey, identity)
    endpoint = ask(address, host, connect, wish=wish, clock=clock, briefly=lambda: connect(min(timeout_s, BRIEF_S)))
    if endpoint.unreachable:
        raise _unreachable(address, endpoint.unreachable)
    return endpoint


def _unreachable(address: str, why: Message) -> XcError:
    return XcError(_("{address} cannot be reached: {why}", address=verbatim(address), why=why))


def ask(
    address: str,
    host: str,
    connect: Connect,
    *,
    wish: Wish,
    clock: Deadline | None = None,
    briefly: Connect | None = None,
) -> Endpoint:
    """The same over any channel. ``unreachable`` of the result says why the first connection could not be made.

    Args:
        address: names the endpoint in the result.
        host: what was connected to: the name to ask for, where no other is wished.
        clock: when everything has to be done; None: the channels know it themselves.
        briefly: a connection for answers that may never come.
    """
    endpoint = Endpoint(address)
    asked = wish.name or host
    flights: dict[str, Flight] = {}

    def old(name: str) -> Spoken:
        spoken, flights[name] = legacy.speak(connect, asked, LEGACY[name])
        if name in stock.VERSIONS:
            _finish(spoken, connect, asked, wish.identity)
        return spoken

    speakers: dict[str, Callable[[], Spoken]] = {
        "TLCP 1.1": lambda: tlcp.speak(connect),
        "RFC 8998": lambda: rfc8998.speak(connect, asked),
        "TLS 1.3": lambda: _stock(connect, asked, "TLS 1.3", wish.identity),
        **{name: lambda name=name: old(name) for name in LEGACY},  # type: ignore[misc]
    }
    for name in (n for n in EVERY if n in wish.only):
        if clock is not None and clock.over:
            endpoint.unknown[name] = _not_reached(clock)
            continue
        try:
            endpoint.spoken.append(speakers[name]())
        except TlsError as error:
            _tell_refusal(endpoint, name, error, clock)
        except ssl.SSLError as error:
            endpoint.refused[name] = _("the handshake fails: {why}", why=stock.why(error))
        except OSError as error:
            if not endpoint.spoken and not endpoint.refused and not endpoint.unknown:
                endpoint.unreachable = _why(error)
                return endpoint
            endpoint.unknown[name] = _("no further connection could be made: {why}", why=_why(error))
    _tell_versions(endpoint, wish, flights)
    survey = Survey(endpoint, asked, connect, briefly or connect, wish.identity)
    for spoken in endpoint.spoken:
        judge(spoken, wish.roots, asked, named=bool(wish.name), now=time.time())
        if not wish.survey:
            judge_suites(spoken, [spoken.suite])
        elif clock is not None and clock.over:
            what = _("{protocol}: {what}", protocol=verbatim(spoken.protocol), what=_("suites"))
            endpoint.unknown[what] = _not_reached(clock)
        else:
            survey.of(spoken, flights.get(spoken.protocol))
    for part, why in endpoint.unknown.items():
        endpoint.find("XC-TLS-070", certainty=Certainty.UNDECIDED, what=part, why=why)
    return endpoint


def _not_reached(clock: Deadline) -> Message:
    seconds = f"{clock.seconds:g}"
    return _("not reached within {n} seconds (--timeout)", n=seconds)


def _tell_refusal(endpoint: Endpoint, name: str, error: TlsError, clock: Deadline | None) -> None:
    if error.late:
        endpoint.unknown[name] = _not_reached(clock) if clock is not None and clock.over else told(error)
        return
    endpoint.refused[name] = told(error)
    if error.breach:
        endpoint.find("XC-TLS-004", what=name, why=told(error))


def _tell_versions(endpoint: Endpoint, wish: Wish, flights: dict[str, Flight]) -> None:
    """What the versions say together."""
    spoken = {s.protocol: s for s in endpoint.spoken}
    for name, code in OLD.items():
        if name in spoken:
            spoken[name].find(code, version=name)
    tried = all(name in wish.only and name not in endpoint.unknown for name in SM_PROTOCOLS)
    if tried and spoken and not any(name in spoken for name in SM_PROTOCOLS):
        endpoint.find("XC-TLS-003")
    if "TLS 1.3" in spoken or "RFC 8998" in spoken:
        for name, flight in flights.items():
            wanted = h.DOWNGRADE_12 if name == "TLS 1.2" else h.DOWNGRADE_11
            if name in spoken and name != "SSL 3.0" and not flight.hello.random.endswith(wanted):
                spoken[name].find("XC-TLS-005")


def _why(error: OSError) -> Message:
    """Why a connection could not be made."""
    if isinstance(error, TimeoutError):
        return _("no answer within the time-out")
    if error.errno is None:
        return told(error) or verbatim(type(error).__name__)
    return system_error(error)


def _stock(connect: Connect, host: str, name: str, identity: stock.Identity | None) -> Spoken:
    whole = stock.handshake(connect, host, name, identity=identity)
    spoken = Spoken(name, whole.cipher, whole=True)
    stock.tell_heard(spoken, whole)
    if not spoken.certificates:
        spoken.find("XC-TLS-051")
    return spoken


def _finish(spoken: Spoken, connect: Connect, host: str, identity: stock.Identity | None) -> None:
    """Go through the whole of a handshake whose beginning was read, where Python's TLS can."""
    try:
        spoken.whole = bool(stock.handshake(connect, host, spoken.protocol, identity=identity).cipher)
    except (TlsError, OSError) as error:
        late = isinstance(error, TimeoutError) or (isinstance(error, TlsError) and error.late)
        # Without the suite, or the certificate that is asked for, it cannot come to an end.
        unable = (spoken.client_types is not None and identity is None) or not stock.knows(spoken.suite)
        spoken.find(
            "XC-TLS-010", certainty=Certainty.UNDECIDED if late or unable else Certainty.CERTAIN, why=stock.why(error)
        )
