"""TLCP 1.1 (GB/T 38636-2020): a handshake up to ServerHelloDone, with both certificates and the server's signature."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import NOTHING, _, n_, told, verbatim
from pytest_xinchuang.packages.sm_crypto.certificates import parse
from pytest_xinchuang.packages.sm_crypto.tls import tlcp_end
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Spoken
from pytest_xinchuang.packages.sm_crypto.tls.exchange import (
    Flight,
    ask_flight,
    attempt,
    check_offered,
    tell_intolerance,
)
from pytest_xinchuang.packages.sm_crypto.tls.hello import TLCP, ClientHello
from pytest_xinchuang.packages.sm_crypto.tls.legacy import tell_request
from pytest_xinchuang.packages.sm_crypto.tls.wire import Channel, Connect, HandshakeReader, Parser, TlsError, vector
from pytest_xinchuang.sm.sm2 import Sm2

NAME = "TLCP 1.1"
SUITES = (0xE011, 0xE051, 0xE013, 0xE053)
"""ECDHE and ECC with SM4 and SM3: the ones with SM2 certificates (GB/T 38636-2020 clause 6.4.5.2.1)."""
CURVE_SM2 = 41
"""The named curve in ECDHE parameters (GB/T 38636-2020 6.4.5.4; IANA has given curveSM2 the same number)."""


def client_hello(suites: Sequence[int]) -> ClientHello:
    """A hello of TLCP, which has no extensions."""
    return ClientHello(TLCP, tuple(suites), record_version=TLCP)


def speak(connect: Connect, suites: tuple[int, ...] = SUITES) -> Spoken:
    """Do a TLCP handshake up to ServerHelloDone; where it is refused, with less suites.

    Raises:
        TlsError: it does not speak TLCP. OSError: it cannot be reached.
    """
    ecc = tuple(s for s in suites if s in (0xE013, 0xE053))
    ecdhe = tuple(s for s in suites if s not in ecc)
    variants = [(NOTHING, suites)]
    if ecc and ecdhe:
        variants += [(_("suites with ECDHE"), ecc), (_("suites with ECC"), ecdhe)]
    ends: list[bool | TlsError | None] = []

    def end(flight: Flight, reader: HandshakeReader, channel: Channel) -> None:
        possible = flight.suite.number in tlcp_end.SUITES and len(flight.certificates) > 1
        try:
            ends.append(tlcp_end.finish(flight, reader, channel) if possible else None)
        except TlsError as error:
            ends.append(error)
        except (ValueError, OSError):
            ends.append(None)  # what is wrong with its certificate is told with it

    flight, lacks = attempt(
        [(what, partial(ask_flight, connect, client_hello(offered), end)) for what, offered in variants]
    )
    spoken = Spoken(NAME, flight.suite.name, signature="SM2 with SM3", certificates=flight.certificates)
    tell_intolerance(spoken, lacks)
    check_offered(spoken, flight.asked, flight.hello)
    tell_request(spoken, flight)
    _tell_end(spoken, ends[-1])
    if len(spoken.certificates) < 2:
        spoken.find("XC-TLS-052", n=n_("{n} certificate", "{n} certificates", len(spoken.certificates)))
    if flight.key_exchange is None:
        spoken.find("XC-TLS-012", message="ServerKeyExchange")
    elif len(spoken.certificates) >= 2:
        _check_key_exchange(spoken, flight, flight.key_exchange)
    return spoken


def _tell_end(spoken: Spoken, end: bool | TlsError | None) -> None:
    """What came behind our half of the handshake: its Finished shows that the server could decrypt with its key."""
    if end is None:
        return
    if not isinstance(end, TlsError):
        spoken.whole = end
        if not end:
            spoken.find("XC-TLS-011")
        return
    certainty = Certainty.CERTAIN if end.alert in tlcp_end.UNREADABLE or end.breach else Certainty.UNDECIDED
    # Who has said no word to it may be made to end with its first flight.
    spoken.find("XC-TLS-010", certainty=Certainty.NOTE if end.silent else certainty, why=told(end))


def _check_key_exchange(spoken: Spoken, flight: Flight, body: bytes) -> None:
    """The signature over randoms and parameters, or over randoms and the encryption certificate (6.4.5.4)."""
    sm2 = Sm2()
    randoms = flight.asked.random + flight.hello.random
    message = "ServerKeyExchange"
    try:
        parts = Parser(body)
        if flight.suite.exchange == "ECDHE":
            kind, curve = parts.number(1), parts.number(2)
            point = parts.vector(1)
            if kind != 3:
                spoken.find("XC-TLS-007", what=_("the curve type {n}, not 3 (named_curve)", n=kind))
            spoken.group = "curveSM2" if curve == CURVE_SM2 else f"{curve}"
            sm2.decode_point(point)
            signed = randoms + body[: 4 + len(point)]
        elif flight.suite.exchange == "ECC":
            signed = randoms + vector(spoken.certificates[1], 3)
        else:
            return  # it is of a suite that was not offered, which is told
        signature = parts.vector(2)
        if parts.data:
            spoken.find(
                "XC-TLS-009", message=message, why=_("it has {n} bytes behind its signature", n=len(parts.data))
            )
    except TlsError:
        why = _("a length field is missing or wrong [{defect}]", defect=verbatim("SMD-77 TlsLengthField"))
        spoken.find("XC-TLS-009", message=message, why=why)
        return
    except ValueError as error:
        why = _("the server's ephemeral key is not a point of the curve: {why}", why=error)
        spoken.find("XC-TLS-013", message=message, why=why)
        return
    try:
        certificate = parse(spoken.certificates[0])
    except ValueError:
        return  # it is told with the certificate
    try:
        key = certificate.public_key(sm2)
        r, s = sm2.decode_signature(signature, "der")
        if not sm2.verify_digest(key, sm2.digest(None, key, signed), r, s):
            raise ValueError(_("it does not verify with the key of the signing certificate"))
    except ValueError as error:
        spoken.find("XC-TLS-013", message=message, why=told(error))
