"""What an endpoint can do beside the one handshake: suites and groups by its own choice, names, resumption."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.packages.sm_crypto.tls import hello as h
from pytest_xinchuang.packages.sm_crypto.tls import legacy, rfc8998, stock, tlcp
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Endpoint, Found, Spoken
from pytest_xinchuang.packages.sm_crypto.tls.exchange import (
    Flight,
    KeyExchange,
    ask_flight,
    ask_hello,
    read_key_exchange,
)
from pytest_xinchuang.packages.sm_crypto.tls.hello import ClientHello
from pytest_xinchuang.packages.sm_crypto.tls.suites import (
    GROUPS,
    SCHEMES,
    SUITES,
    TLCP_SUITES,
    TLS13_GROUPS,
    TLS13_SUITES,
    Suite,
    Weakness,
    named,
)
from pytest_xinchuang.packages.sm_crypto.tls.wire import Connect, TlsError, vector

ANOTHER_NAME = "xc-another-name.invalid"
"""A name that no server has (RFC 2606 section 2)."""


@dataclass
class Survey:
    """Asks one endpoint for what it can do.

    Attributes:
        connect: a connection.
        connect_briefly: one for answers that may never come.
    """

    endpoint: Endpoint
    host: str
    connect: Connect
    connect_briefly: Connect
    identity: stock.Identity | None = None

    def of(self, spoken: Spoken, flight: Flight | None) -> None:
        """Ask for all that a protocol has."""
        name = spoken.protocol
        if flight is not None:
            self._step(_("suites"), spoken, lambda: self._legacy_suites(spoken, flight))
            self._step(_("groups"), spoken, lambda: self._legacy_groups(spoken, flight))
            self._step(_("signature schemes"), spoken, lambda: self._legacy_schemes(spoken, flight))
            self._step(_("names"), spoken, lambda: self._legacy_names(spoken, flight))
        elif name == "TLCP 1.1":
            self._step(_("suites"), spoken, lambda: self._suites(spoken, list(TLCP_SUITES), tlcp.client_hello))
        elif name == "RFC 8998":
            suites = list(rfc8998.SUITES)
            self._step(
                _("suites"),
                spoken,
                lambda: self._suites(spoken, suites, lambda s: rfc8998.client_hello(b"", self.host, s)),
            )
        else:
            suites = [s for s in TLS13_SUITES if s not in rfc8998.SUITES]
            self._step(
                _("suites"), spoken, lambda: self._suites(spoken, suites, lambda s: hello13(self.host, s, TLS13_GROUPS))
            )
            self._step(_("groups"), spoken, lambda: self._groups13(spoken, suites))
            self._step(_("names"), spoken, lambda: self._names13(spoken))
        if name in stock.VERSIONS and spoken.whole:
            self._step(_("resumption"), spoken, lambda: self._resumption(spoken))
        judge_suites(spoken, spoken.suites or [spoken.suite])

    def _step(self, what: Message, spoken: Spoken, work: Callable[[], None]) -> None:
        """Do a part; what keeps it from its end is told, and keeps nothing else."""
        try:
            work()
        except (TlsError, OSError) as error:
            part = _("{protocol}: {what}", protocol=verbatim(spoken.protocol), what=what)
            self.endpoint.unknown[part] = stock.why(error)

    def _ordered(self, offered: Sequence[int], ask: Callable[[list[int]], int]) -> list[int]:
        """What a server takes of an offer, in the order of its choice: each time without what it has taken.

        Raises:
            TlsError: it did not answer in time. OSError: there is no connection.
        """
        rest, found = list(offered), list[int]()
        while rest:
            try:
                taken = ask(rest)
            except TlsError as error:
                if error.late:
                    raise
                return found
            if taken not in rest:
                return found
            rest.remove(taken)
            found.append(taken)
        return found

    def _suites(self, spoken: Spoken, offered: list[int], hello: Callable[[list[int]], ClientHello]) -> None:
        def ask(suites: list[int]) -> int:
            asked = hello(suites)
            answer = ask_hello(self.connect, asked)
            version = asked.version if h.VERSIONS_EXT not in asked.offered else h.TLS13
            if answer.chosen != version:
                raise TlsError(_("chose another version"))
            if answer.suite not in suites:
                spoken.find("XC-TLS-007", what=_("the suite {suite}", suite=Suite(answer.suite).name))
            return answer.suite

        found = self._ordered(offered, ask)
        if spoken.intolerances:
            # It stumbles over what some hellos have: what is left is asked for by kinds of key exchange.
            for exchange in sorted({Suite(s).exchange for s in offered if s not in found}):
                found += self._ordered([s for s in offered if s not in found and Suite(s).exchange == exchange], ask)
        spoken.suites = named(found, SUITES)
        if len(found) > 1:
            first, second = found[:2]
            spoken.own_order = ask([second, first]) == first
            if not spoken.own_order:
                spoken.find("XC-TLS-024")

    def _legacy_suites(self, spoken: Spoken, flight: Flight) -> None:
        version = flight.asked.version
        extended = bool(flight.asked.extensions)

        def hello(suites: list[int]) -> ClientHello:
            made = legacy.client_hello(version, self.host, suites)
            kept = tuple(e for e in made.extensions if e[0] in flight.asked.offered)
            return replace(made, extensions=kept if extended else ())

        self._suites(spoken, list(legacy.ORDERED if version > h.SSL3 else legacy.WITHOUT_CURVES), hello)

    def _legacy_groups(self, spoken: Spoken, flight: Flight) -> None:
        elliptic = [s for s in _numbers(spoken.suites) if Suite(s).exchange.startswith("ECDHE")]
        finite = [s for s in _numbers(spoken.suites) if Suite(s).exchange.startswith(("DHE", "DH_anon"))]
        version = flight.asked.version

        def exchange(suites: list[int], groups: Sequence[int] = legacy.CURVES) -> KeyExchange:
            made = ask_flight(self.connect, legacy.client_hello(version, self.host, suites, groups=groups))
            return read_key_exchange(made.suite, version, made.key_exchange or b"")

        if elliptic and version != h.SSL3:
            found = self._ordered(legacy.CURVES, lambda groups: exchange(elliptic, groups).group)
            spoken.groups = named(found, GROUPS)
            for group in found:
                legacy.tell_groups(spoken, KeyExchange(group=group))
        if finite:
            legacy.tell_groups(spoken, exchange(finite))

    def _legacy_schemes(self, spoken: Spoken, flight: Flight) -> None:
        signed = [s for s in _numbers(spoken.suites) if Suite(s).exchange.startswith(("ECDHE", "DHE"))]
        if flight.asked.version != h.TLS12 or not signed:
            return

        def ask(schemes: list[int]) -> int:
            hello = legacy.client_hello(h.TLS12, self.host, signed, schemes=schemes)
            made = ask_flight(self.connect, hello)
            return read_key_exchange(made.suite, h.TLS12, made.key_exchange or b"").scheme

        found = self._ordered(list(SCHEMES), ask)
        spoken.schemes = named(found, SCHEMES)
        for scheme in found:
            if scheme in legacy.WEAK_SCHEMES:
                spoken.find("XC-TLS-026", scheme=SCHEMES[scheme])

    def _legacy_names(self, spoken: Spoken, flight: Flight) -> None:
        if not flight.asked.extensions:
            return

        def certificate(host: str) -> list[bytes]:
            hello = replace(legacy.client_hello(flight.asked.version, host), suites=flight.asked.suites)
            made = ask_flight(self.connect, hello)
            if "unrecognized_name" in made.warnings:
                spoken.find("XC-TLS-061", certainty=Certainty.NOTE)
            return made.certificates[:1]

        self._tell_names(spoken, certificate)

    def _names13(self, spoken: Spoken) -> None:
        def certificate(host: str) -> list[bytes]:
            made = stock.handshake(self.connect, host, spoken.protocol, identity=self.identity)
            return [made.leaf] if made.leaf else []

        self._tell_names(spoken, certificate)

    def _tell_names(self, spoken: Spoken, certificate: Callable[[str], list[bytes]]) -> None:
        for host in ("", ANOTHER_NAME):
            what = _("the name {name}", name=verbatim(host)) if host else _("no name")
            try:
                if certificate(host) != spoken.certificates[:1]:
                    spoken.find("XC-TLS-060", what=what)
            except (TlsError, ssl.SSLError) as error:
                if isinstance(error, TlsError) and error.late:
                    raise
                spoken.find("XC-TLS-063", what=what, why=stock.why(error))

    def _groups13(self, spoken: Spoken, suites: list[int]) -> None:
        def ask(groups: list[int]) -> int:
            return ask_hello(self.connect, hello13(self.host, suites, groups)).group

        spoken.groups = named(self._ordered(TLS13_GROUPS, ask), GROUPS)

    def _resumption(self, spoken: Spoken) -> None:
        found = stock.resumes(self.connect_briefly, self.host, spoken.protocol, self.identity)
        if found is not None:
            spoken.resumption = dict([found])


def hello13(host: str, suites: Sequence[int], groups: Sequence[int]) -> ClientHello:
    """A hello of TLS 1.3 without a key share: the server says which group it wants one of (RFC 8446 section 4.2.8)."""
    extensions = (
        *h.server_name(host),
        (h.VERSIONS_EXT, vector(b"\x03\x04", 1)),
        *h.numbers(h.GROUPS_EXT, groups),
        *h.numbers(h.SCHEMES_EXT, SCHEMES),
        (h.KEY_SHARE, vector(b"", 2)),
        (h.UNKNOWN_EXTENSION, b"xc"),
    )
    return ClientHello(h.TLS12, tuple(suites), extensions, session=bytes(32))


def _numbers(names: Iterable[str]) -> list[int]:
    by_name = {name: number for number, name in SUITES.items()}
    return [by_name[name] for name in names if name in by_name]


CODES = {
    Weakness.BROKEN: "XC-TLS-020",
    Weakness.WEAK: "XC-TLS-021",
    Weakness.OLD_MAC: "XC-TLS-022",
    Weakness.STATIC: "XC-TLS-023",
}


def judge_suites(found: Found, suites: Sequence[str]) -> None:
    """Tell the weak ones among the suites, those with one weakness together."""
    weak: dict[Weakness, list[str]] = {}
    for number in _numbers(suites):
        for weakness in Suite(number).weaknesses:
            weak.setdefault(weakness, []).append(SUITES[number])
    for weakness, names in weak.items():
        found.find(CODES[weakness], suites=", ".join(names))
