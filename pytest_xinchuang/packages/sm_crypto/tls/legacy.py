"""SSL 3.0 to TLS 1.2: a handshake up to ServerHelloDone, whatever its suite, and what is judged of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import NOTHING, _, told, verbatim
from pytest_xinchuang.packages.sm_crypto.certificates import parse
from pytest_xinchuang.packages.sm_crypto.tls import hello as h
from pytest_xinchuang.packages.sm_crypto.tls import signatures
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Spoken
from pytest_xinchuang.packages.sm_crypto.tls.exchange import (
    Flight,
    KeyExchange,
    ask_flight,
    attempt,
    check_offered,
    read_key_exchange,
    tell_intolerance,
    without,
)
from pytest_xinchuang.packages.sm_crypto.tls.hello import ClientHello
from pytest_xinchuang.packages.sm_crypto.tls.suites import (
    CURVES,
    GROUPS,
    RFC_SUITES,
    SCHEMES,
    WEAK_GROUPS,
    WEAK_SCHEMES,
    Suite,
    Weakness,
)
from pytest_xinchuang.packages.sm_crypto.tls.wire import Connect, TlsError

UNKNOWN = _("an unknown extension [{defect}]", defect=verbatim("SMD-75 TlsUnknownExtension"))
FEW = 24
"""As many suites as the hello of a browser has."""
WEAK_BITS = 2048
"""Bits that a prime of Diffie-Hellman has at least (RFC 9325 section 4.5)."""


def _rank(number: int) -> tuple[bool, bool, bool, bool, bool, int]:
    suite = Suite(number)
    weak = set(suite.weaknesses)
    aead = suite.name.endswith(("GCM_SHA256", "GCM_SHA384", "POLY1305_SHA256"))
    finite = suite.exchange.startswith("DH")
    return Weakness.BROKEN in weak, Weakness.WEAK in weak, not suite.ephemeral, not aead, finite, -number


ORDERED = tuple(sorted((n for n in RFC_SUITES if n), key=_rank))
"""The suites as a careful client prefers them: nothing weak is chosen by a server that goes by our order."""
WITHOUT_CURVES = tuple(s for s in ORDERED if not Suite(s).exchange.startswith("ECDH"))
"""Curves are agreed on in extensions, which SSL 3.0 has none of."""
RENEGOTIATION_SIGNAL = 0x00FF
"""TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746 section 3.3)."""


def client_hello(
    version: int,
    host: str,
    suites: Sequence[int] = ORDERED,
    *,
    groups: Sequence[int] = CURVES,
    schemes: Sequence[int] = tuple(SCHEMES),
) -> ClientHello:
    """A hello of a version below TLS 1.3; SSL 3.0 has no extensions."""
    offered = (*suites, RENEGOTIATION_SIGNAL)
    if version == h.SSL3:
        return ClientHello(version, offered, record_version=version)
    extensions = h.server_name(host)
    if any(Suite(s).exchange.startswith("ECDH") for s in suites):
        extensions += (*h.numbers(h.GROUPS_EXT, groups), (h.POINT_FORMATS, b"\x01\x00"))
    if version == h.TLS12:
        extensions += h.numbers(h.SCHEMES_EXT, schemes)
    extensions += ((h.TICKET, b""), (h.EMS, b""), (h.UNKNOWN_EXTENSION, b"xc"))
    return ClientHello(version, offered, extensions)


def speak(connect: Connect, host: str, version: int) -> tuple[Spoken, Flight]:
    """Do a handshake of a version up to ServerHelloDone; where it is refused, with hellos that offer less.

    Raises:
        TlsError: it does not speak it. OSError: it cannot be reached.
    """
    whole = client_hello(version, host, ORDERED if version > h.SSL3 else WITHOUT_CURVES)
    no_curves = client_hello(version, host, WITHOUT_CURVES)
    few = client_hello(version, host, ORDERED[:FEW])
    static = client_hello(version, host, [s for s in ORDERED if Suite(s).exchange == "RSA"][:FEW])
    variants = [(NOTHING, whole)]
    if version != h.SSL3:
        variants.append((UNKNOWN, without(whole, h.UNKNOWN_EXTENSION)))
    variants += [
        (_("suites with ECDHE"), without(no_curves, h.UNKNOWN_EXTENSION)),
        (_("more than {n} suites", n=FEW), without(few, h.UNKNOWN_EXTENSION)),
        (_("suites with ephemeral keys, and extensions"), replace(static, extensions=())),
    ]
    flight, lacks = attempt([(what, partial(ask_flight, connect, hello)) for what, hello in variants])
    spoken = Spoken(h.VERSIONS[version], flight.suite.name, certificates=flight.certificates)
    tell_intolerance(spoken, lacks)
    check_flight(spoken, flight)
    return spoken, flight


def check_flight(spoken: Spoken, flight: Flight) -> None:
    """Judge what came besides certificates."""
    check_offered(spoken, flight.asked, flight.hello)
    if h.RENEGOTIATION not in flight.hello.extensions and flight.hello.chosen > h.SSL3:
        spoken.find("XC-TLS-027")
    if "unrecognized_name" in flight.warnings:
        spoken.find("XC-TLS-061")
    tell_request(spoken, flight)
    if not flight.certificates and "anon" not in flight.suite.exchange:
        spoken.find("XC-TLS-051")
    if flight.key_exchange is not None:
        _check_key_exchange(spoken, flight, flight.key_exchange)
    elif flight.suite.exchange.startswith(("ECDHE", "DHE", "ECDH_anon", "DH_anon")):
        spoken.find("XC-TLS-012", message="ServerKeyExchange")


def tell_request(spoken: Spoken, flight: Flight) -> None:
    """What is asked of a client's certificate."""
    if flight.request is None:
        return
    spoken.client_types = flight.request.types
    spoken.client_authorities = [readable(name) for name in flight.request.authorities]
    spoken.find("XC-TLS-062")


def readable(der: bytes) -> str:
    """A distinguished name for people."""
    with optional("sm_crypto"):
        from asn1crypto import x509

    try:
        return str(x509.Name.load(der).human_friendly)
    except (ValueError, TypeError, LookupError, AttributeError):
        return der.hex()


def _check_key_exchange(spoken: Spoken, flight: Flight, body: bytes) -> None:
    version = flight.hello.chosen
    try:
        found = read_key_exchange(flight.suite, version, body)
    except TlsError as error:
        spoken.find("XC-TLS-009", message="ServerKeyExchange", why=told(error))
        return
    tell_groups(spoken, found)
    if found.group:
        spoken.group = GROUPS.get(found.group, f"{found.group}")
        if found.group not in flight.asked.listed(h.GROUPS_EXT) and flight.asked.extension(h.GROUPS_EXT):
            spoken.find("XC-TLS-007", what=_("the group {group}", group=spoken.group))
    if found.scheme:
        spoken.signature = SCHEMES.get(found.scheme, f"{found.scheme:#06x}")
        if found.scheme not in flight.asked.listed(h.SCHEMES_EXT) and flight.asked.extension(h.SCHEMES_EXT):
            spoken.find("XC-TLS-007", what=_("the signature scheme {scheme}", scheme=spoken.signature))
        if found.scheme in WEAK_SCHEMES:
            spoken.find("XC-TLS-026", scheme=spoken.signature)
    if found.signature and flight.certificates:
        _check_signature(spoken, flight, found)


def tell_groups(spoken: Spoken, found: KeyExchange) -> None:
    """Whether the group of a key exchange is weak."""
    if found.group in WEAK_GROUPS:
        spoken.find("XC-TLS-025", group=GROUPS.get(found.group, str(found.group)))
    if 0 < found.prime_bits < WEAK_BITS:
        spoken.find("XC-TLS-025", group=_("a prime of {n} bits", n=found.prime_bits))


def _check_signature(spoken: Spoken, flight: Flight, found: KeyExchange) -> None:
    content = flight.asked.random + flight.hello.random + found.parameters
    try:
        certificate = parse(flight.certificates[0])
        if not signatures.handshake_verifies(certificate, found.scheme, content, found.signature):
            why = _("it does not verify with the key of the certificate")
            spoken.find("XC-TLS-013", message="ServerKeyExchange", why=why)
    except signatures.Unchecked as error:
        unchecked = _("the signature in {message}", message=verbatim("ServerKeyExchange"))
        spoken.find("XC-TLS-059", certainty=Certainty.UNDECIDED, what=unchecked, why=told(error))
    except ValueError:
        return  # the certificate cannot be read, which is told with it
