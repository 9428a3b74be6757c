"""Broken servers of TLS 1.2 and below, each with its finding; their good twins draw none that fails."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from fixtures.generate.certificates import NOW
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.packages.sm_crypto.tls import probe as probing
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Endpoint
from pytest_xinchuang.packages.sm_crypto.tls.probe import EVERY, NAMES, probe
from pytest_xinchuang.packages.sm_crypto.tls.report import as_sarif, endpoint_as_dict, endpoint_as_text
from pytest_xinchuang.packages.sm_crypto.tls.wire import vector
from tests.messages.english import english_in
from tests.packages.sm_crypto.tls_legacy import (
    CLIENTS,
    HOST,
    THEN,
    YEAR,
    Flight,
    Issued,
    issue,
    name,
    rsa_key,
    signed_with,
)
from tests.packages.sm_crypto.tls_servers import Pki, message, serving, tlcp, tls13

DAY = YEAR / 365
TLS12 = ["TLS 1.2"]
NO_END = ("a suite of its own", "malformed certificate")
"""Faults of TLCP with which nobody comes to the end of a handshake."""


@pytest.fixture(autouse=True)
def _then(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time at which the certificates of the fixtures are valid."""
    monkeypatch.setattr(probing.time, "time", lambda: float(NOW))
    monkeypatch.setattr(probing, "_finish", lambda *_arguments: None)


class Authority:
    """An authority, one between, and what they issue."""

    @cached_property
    def root(self) -> Issued:
        return issue(None, "Root", names=(), ca=True, key=rsa_key())

    @cached_property
    def middle(self) -> Issued:
        return issue(self.root, "Middle", names=(), ca=True)

    @cached_property
    def good(self) -> Issued:
        return issue(self.root)

    @cached_property
    def rsa(self) -> Issued:
        return issue(self.root, key=rsa_key())

    @cached_property
    def flight(self) -> Flight:
        return Flight(self.good)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def asked(flight: Flight, authority: Authority, **more: Any) -> Endpoint:
    options: dict[str, Any] = {"only": TLS12, "timeout_s": 30, "name": HOST, **more}
    with serving(flight.serve) as address:
        return probe(address, [authority.root.der], **options)


def codes(endpoint: Endpoint) -> set[str]:
    return {f.code for f in endpoint.all_findings if f.certainty is not Certainty.NOTE}


def failing(endpoint: Endpoint) -> set[str]:
    return {f.code for s in endpoint.spoken for f in s.failing} | {f.code for f in endpoint.failing}


def test_a_good_server_draws_nothing(authority: Authority) -> None:
    for flight in (
        authority.flight,
        Flight(authority.rsa, scheme=0x0401, suites=(0xC02F,)),
        authority.flight.but(cut=50),
    ):
        endpoint = asked(flight, authority, survey=True)
        (spoken,) = endpoint.spoken
        assert not failing(endpoint) and not endpoint.incomplete, endpoint_as_text(endpoint)
        assert spoken.group == "secp256r1"


def chains(authority: Authority) -> dict[str, tuple[str, Flight]]:
    """Fault of a certificate -> its code, and a server with it."""
    root, middle = authority.root, authority.middle
    flight = authority.flight

    def leaf(signer: Issued = root, **changes: Any) -> Flight:
        return flight.but(identity=issue(signer, **changes))

    weak = rsa_key(1024)
    other = issue(None, "Root", names=(), ca=True)
    static = Flight(authority.rsa, suites=(0x009C,))
    sha1 = signed_with("sha1", authority.rsa, root)
    md5 = signed_with("md5", authority.rsa, root)

    def der(data: bytes) -> Flight:
        return Flight(_Raw(authority.rsa.key, data), scheme=0x0401, suites=(0xC02F,))

    return {
        "expired": ("XC-TLS-041", leaf(end=THEN - DAY)),
        "not yet valid": ("XC-TLS-041", leaf(start=THEN + DAY)),
        "RSA of 1024 bits": ("XC-TLS-042", Flight(issue(root, key=weak), scheme=0x0401, suites=(0xC02F,))),
        "a curve of 192 bits": ("XC-TLS-042", leaf(key=ec.generate_private_key(ec.SECP192R1()))),
        "SHA-1": ("XC-TLS-043", der(sha1)),
        "MD5": ("XC-TLS-043", der(md5)),
        "another name": ("XC-TLS-044", leaf(names=["other.example"])),
        "a name below": ("XC-TLS-044", leaf(names=["a." + HOST])),
        "a star above": ("XC-TLS-044", leaf(names=["*." + HOST])),
        "a star of everybody": ("XC-TLS-044", leaf(names=["*.example"])),
        "a star in a label": ("XC-TLS-044", leaf(names=["s*.example"])),
        "an address for a name": ("XC-TLS-044", leaf(names=["127.0.0.1"])),
        "no name but another common one": ("XC-TLS-044", leaf(names=(), subject="other.example")),
        "usage": ("XC-TLS-046", leaf(usages={"key_agreement"})),
        "usage of static RSA": (
            "XC-TLS-046",
            static.but(identity=issue(root, key=rsa_key(), usages={"digital_signature"})),
        ),
        "for clients": ("XC-TLS-047", leaf(extended=[CLIENTS])),
        "forged": ("XC-TLS-050", leaf(forged=True)),
        "another root of the same name": ("XC-TLS-050", leaf(other)),
        "the one between is missing": ("XC-TLS-050", leaf(middle)),
        "the one between is no authority": (
            "XC-TLS-050",
            leaf(authority.good).but(chain=[authority.good.der]),
        ),
        "the one between has expired": (
            "XC-TLS-041",
            (lambda old: leaf(old).but(chain=[old.der]))(issue(root, "Old", names=(), ca=True, end=THEN - DAY)),
        ),
        "malformed": ("XC-TLS-040", der(b"\x30\x82\x01")),
        "empty": ("XC-TLS-040", der(b"")),
    }


class _Raw(Issued):
    """A key with bytes that need be no certificate."""

    def __init__(self, key: Any, data: bytes) -> None:
        self.key, self.data = key, data

    @property
    def der(self) -> bytes:
        return self.data


CHAINS = (
    *(
        "expired",
        "not yet valid",
        "RSA of 1024 bits",
        "a curve of 192 bits",
        "SHA-1",
        "MD5",
        "another name",
        "a name below",
    ),
    *(
        "a star above",
        "a star of everybody",
        "a star in a label",
        "an address for a name",
        "no name but another common one",
    ),
    *("usage", "usage of static RSA", "for clients", "forged", "another root of the same name"),
    *(
        "the one between is missing",
        "the one between is no authority",
        "the one between has expired",
        "malformed",
        "empty",
    ),
)


@pytest.fixture(scope="module")
def made(authority: Authority) -> dict[str, tuple[str, Flight]]:
    found = chains(authority)
    assert set(found) == set(CHAINS)
    return found


@pytest.mark.parametrize("fault", CHAINS)
def test_faults_of_certificates(authority: Authority, made: dict[str, tuple[str, Flight]], fault: str) -> None:
    code, flight = made[fault]
    endpoint = asked(flight, authority)
    assert failing(endpoint) == {code}, endpoint_as_text(endpoint)
    if code != "XC-TLS-040":  # a library's own words stand behind ours
        assert not english_in(endpoint_as_text(endpoint, "zh"))


@pytest.mark.parametrize(
    "changes",
    [
        {"names": ["*.example.org", HOST]},
        {"names": [HOST.upper()]},
        {"names": (), "subject": HOST},
        {"names": [HOST], "extended": [CLIENTS, __import__("cryptography").x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]},
    ],
)
def test_good_twins_of_certificates(authority: Authority, changes: dict[str, Any]) -> None:
    endpoint = asked(authority.flight.but(identity=issue(authority.root, **changes)), authority)
    assert not failing(endpoint), endpoint_as_text(endpoint)


@pytest.mark.parametrize(("host", "fits"), [("a.b.example", True), ("a.c.b.example", False), ("b.example", False)])
def test_a_star_is_one_label(authority: Authority, host: str, fits: bool) -> None:
    flight = authority.flight.but(identity=issue(authority.root, names=["*.b.example"]))
    assert ("XC-TLS-044" in failing(asked(flight, authority, name=host))) is not fits


def test_names_in_chinese_are_compared_as_they_are_encoded(authority: Authority) -> None:
    flight = authority.flight.but(identity=issue(authority.root, names=["xn--fsqu00a.xn--fiqs8s"]))
    assert not failing(asked(flight, authority, name="例子.中国"))
    assert "XC-TLS-044" in failing(asked(flight, authority, name="另一个.中国"))


def test_an_address_that_nobody_named_is_not_held_against_a_certificate(authority: Authority) -> None:
    endpoint = asked(authority.flight, authority, name="")
    assert not failing(endpoint)
    assert "XC-TLS-044" in {f.code for f in endpoint.all_findings}
    twin = authority.flight.but(identity=issue(authority.root, names=["127.0.0.1", "::1"]))
    assert "XC-TLS-044" not in {f.code for f in asked(twin, authority, name="").all_findings}
    assert "XC-TLS-044" in failing(asked(authority.flight, authority, name="192.0.2.1"))


def test_chains_are_followed(authority: Authority) -> None:
    middle = authority.middle
    flight = authority.flight.but(identity=issue(middle), chain=[middle.der])
    assert not failing(asked(flight, authority))
    # Without a root what was sent is verified as far as it goes.
    with serving(flight.serve) as address:
        endpoint = probe(address, only=TLS12, timeout_s=30, name=HOST)
    assert not failing(endpoint) and "XC-TLS-058" in {f.code for f in endpoint.all_findings}
    forged = authority.flight.but(identity=issue(middle, forged=True), chain=[middle.der])
    with serving(forged.serve) as address:
        assert failing(probe(address, only=TLS12, timeout_s=30, name=HOST)) == {"XC-TLS-050"}
    disordered = flight.but(chain=[authority.root.der, middle.der])
    assert "XC-TLS-049" in {f.code for f in asked(disordered, authority).all_findings}
    alone = authority.flight.but(identity=issue(None))
    assert failing(asked(alone, authority)) == {"XC-TLS-050"}


def extension(kind: int, text: bytes = b"") -> bytes:
    return kind.to_bytes(2) + vector(text, 2)


REQUEST = message(
    13, vector(b"\x01\x40", 1) + vector(b"\x04\x03", 2) + vector(vector(name("Clients").public_bytes(), 2), 2)
)


def flights(good: Flight, authority: Authority) -> dict[str, tuple[str, Flight]]:
    """Fault of a handshake -> its code, and a server with it."""
    rsa = Flight(authority.rsa, scheme=0x0401, suites=(0xC02F,))
    downgraded = authority.flight.but(extensions=extension(0xFF01, b"\0"))
    return {
        "a suite that was not offered": ("XC-TLS-007", good.but(suites=(0x1301,), any_suite=True)),
        "a compression": ("XC-TLS-007", good.but(compression=1)),
        "an extension that was not offered": ("XC-TLS-007", good.but(extensions=good.extensions + extension(0x3333))),
        "a group that was not offered": ("XC-TLS-007", good.but(group=0x1234)),
        "a scheme that was not offered": ("XC-TLS-007", good.but(scheme=0x0423)),
        "an extension twice": ("XC-TLS-008", good.but(extensions=good.extensions * 2)),
        "a cut ServerKeyExchange": ("XC-TLS-009", good.but(edit=lambda flight: cut(flight, 12))),
        "a long ServerKeyExchange": ("XC-TLS-009", good.but(edit=lambda flight: longer(flight, 12))),
        "no ServerKeyExchange": ("XC-TLS-012", good.but(key_exchange=False)),
        "a wrong signature": ("XC-TLS-013", good.but(wrong_signature=True)),
        "a wrong signature of RSA": ("XC-TLS-013", rsa.but(wrong_signature=True)),
        "RC4": ("XC-TLS-020", rsa.but(suites=(0x0005,))),
        "no cipher": ("XC-TLS-020", rsa.but(suites=(0x003B,))),
        "for export": ("XC-TLS-020", rsa.but(suites=(0x0008,))),
        "DES": ("XC-TLS-020", rsa.but(suites=(0x0009,))),
        "anonymous": ("XC-TLS-020", rsa.but(suites=(0x0034,))),
        "3DES": ("XC-TLS-021", rsa.but(suites=(0x000A,))),
        "a small prime": ("XC-TLS-025", rsa.but(suites=(0x009E,), prime_bits=1024)),
        "a weak curve": ("XC-TLS-025", good.but(group=19)),
        "SHA-1 in the handshake": ("XC-TLS-026", good.but(scheme=0x0203)),
        "no secure renegotiation": ("XC-TLS-027", downgraded.but(extensions=b"")),
        "no certificate": ("XC-TLS-051", good.but(edit=lambda flight: emptied(flight))),
        "fails on many suites": ("XC-TLS-006", good.but(refuses=lambda offered: len(offered.suites) > 100)),
        "fails on an unknown extension": ("XC-TLS-006", good.but(refuses=lambda offered: 0x7A7A in offered.offered)),
        "fails on ECDHE": ("XC-TLS-006", rsa.but(suites=(0x009E,), refuses=lambda offered: 0xC02F in offered.suites)),
        "fails on any extension": (
            "XC-TLS-006",
            Flight(authority.rsa, suites=(0x009C,), refuses=lambda o: bool(o.extensions)),
        ),
    }


def parts_of(flight: bytes) -> list[tuple[int, bytes]]:
    found = []
    while flight:
        size = int.from_bytes(flight[1:4])
        found.append((flight[0], flight[4 : 4 + size]))
        flight = flight[4 + size :]
    return found


def cut(flight: bytes, kind: int) -> bytes:
    return b"".join(message(k, body[:-3] if k == kind else body) for k, body in parts_of(flight))


def longer(flight: bytes, kind: int) -> bytes:
    return b"".join(message(k, body + b"more" if k == kind else body) for k, body in parts_of(flight))


def emptied(flight: bytes) -> bytes:
    return b"".join(message(k, b"\0\0\0" if k == 11 else body) for k, body in parts_of(flight))


FLIGHTS = (
    *(
        "a suite that was not offered",
        "a compression",
        "an extension that was not offered",
        "a group that was not offered",
    ),
    *("a scheme that was not offered", "an extension twice", "a cut ServerKeyExchange", "a long ServerKeyExchange"),
    *("no ServerKeyExchange", "a wrong signature", "a wrong signature of RSA", "RC4", "no cipher", "for export", "DES"),
    *("anonymous", "3DES", "a small prime", "a weak curve", "SHA-1 in the handshake", "no secure renegotiation"),
    *(
        "no certificate",
        "fails on many suites",
        "fails on an unknown extension",
        "fails on ECDHE",
        "fails on any extension",
    ),
)


@pytest.fixture(scope="module")
def flown(authority: Authority) -> dict[str, tuple[str, Flight]]:
    found = flights(authority.flight, authority)
    assert set(found) == set(FLIGHTS)
    return found


@pytest.mark.parametrize("fault", FLIGHTS)
def test_faults_of_handshakes(authority: Authority, flown: dict[str, tuple[str, Flight]], fault: str) -> None:
    code, flight = flown[fault]
    endpoint = asked(flight, authority)
    found = failing(endpoint)
    others = {"a suite that was not offered": {"XC-TLS-013"}, "for export": {"XC-TLS-012"}}
    also = {"fails on any extension": {"XC-TLS-027"}, "a scheme that was not offered": {"XC-TLS-013"}}
    assert code in found and found <= {code} | others.get(fault, set()) | also.get(fault, set()), endpoint_as_text(
        endpoint
    )
    assert not english_in(endpoint_as_text(endpoint, "zh"))


def test_what_is_worth_knowing(authority: Authority) -> None:
    def notes(flight: Flight, **more: Any) -> set[str]:
        endpoint = asked(flight, authority, **more)
        assert not failing(endpoint), endpoint_as_text(endpoint)
        return {f.code for f in endpoint.all_findings}

    good = authority.flight
    rsa = Flight(authority.rsa, scheme=0x0401)
    assert "XC-TLS-023" in notes(rsa.but(suites=(0x009C,))) and "XC-TLS-023" not in notes(good)
    assert "XC-TLS-022" in notes(rsa.but(suites=(0xC013,))) and "XC-TLS-022" not in notes(good)
    assert "XC-TLS-062" in notes(good.but(request=REQUEST)) and "XC-TLS-062" not in notes(good)
    warning = b"\x15\x03\x03\x00\x02\x01\x70"
    assert "XC-TLS-061" in notes(good.but(warns=warning)) and "XC-TLS-061" not in notes(good)
    many = (0xC02B, 0xC02C, 0xC009)
    assert "XC-TLS-024" in notes(good.but(suites=many, own_order=False), survey=True)
    assert "XC-TLS-024" not in notes(good.but(suites=many), survey=True)


def test_suites_are_listed_in_the_order_of_the_servers_choice(authority: Authority) -> None:
    many = (0xC009, 0xC02C, 0xC02B)
    (spoken,) = asked(authority.flight.but(suites=many, request=REQUEST), authority, survey=True).spoken
    names = ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]
    assert spoken.suites == [*names, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"] and spoken.own_order is True
    assert spoken.groups == ["secp256r1"] and spoken.client_types == ["rsa_sign", "ecdsa_sign"]
    assert spoken.client_authorities == ["Common Name: Clients"]


@pytest.mark.parametrize(
    ("version", "protocol", "code"),
    [(0x0300, "SSL 3.0", "XC-TLS-001"), (0x0301, "TLS 1.0", "XC-TLS-002"), (0x0302, "TLS 1.1", "XC-TLS-002")],
)
def test_old_versions(authority: Authority, version: int, protocol: str, code: str) -> None:
    flight = Flight(authority.rsa, versions=(version,), suites=(0xC013, 0x002F))
    endpoint = asked(flight, authority, only=EVERY)
    assert [s.protocol for s in endpoint.spoken] == [protocol] and code in failing(endpoint)
    if version > 0x0300:
        assert failing(endpoint) == {code}, endpoint_as_text(endpoint)
    assert set(endpoint.refused) == set(EVERY) - {protocol}
    wrong = failing(asked(flight.but(wrong_signature=True), authority, only=[protocol]))
    assert ("XC-TLS-013" in wrong) is (
        version > 0x0300
    )  # SSL 3.0 has no extensions, and so no ECDHE: nothing is signed


def test_another_version_than_the_asked_one(authority: Authority) -> None:
    higher = authority.flight.but(edit=lambda flight: flight[:4] + b"\x03\x04" + flight[6:])
    endpoint = asked(higher, authority)
    assert not endpoint.spoken and failing(endpoint) == {"XC-TLS-004"} and "0x0304" in endpoint.refused["TLS 1.2"]
    lower = authority.flight.but(edit=lambda flight: flight[:4] + b"\x03\x01" + flight[6:])
    endpoint = asked(lower, authority)
    assert not endpoint.spoken and not failing(endpoint) and "TLS 1.0" in endpoint.refused["TLS 1.2"]


def test_a_downgrade_is_signed(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    pki = Pki()
    strict, old = tls13(pki), authority.flight
    signed = old.but(random=os.urandom(24) + b"DOWNGRD\x01")

    def both(flight: Flight) -> Any:
        def serve(connection: Any) -> None:
            import socket

            first = connection.recv(1 << 16, socket.MSG_PEEK)
            (strict if b"\x00\xc6\x00\xc7" in first else flight.serve)(connection)

        return serve

    for flight, told in ((old, True), (signed, False)):
        with serving(both(flight)) as address:
            endpoint = probe(
                address, [authority.root.der, pki.root], only=["RFC 8998", "TLS 1.2"], timeout_s=30, name=HOST
            )
        assert len(endpoint.spoken) == 2
        assert ("XC-TLS-005" in failing(endpoint)) is told
    assert "XC-TLS-005" not in failing(asked(old, authority, only=["RFC 8998", "TLS 1.2"]))


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("fails on ECDHE", "XC-TLS-006"),
        ("a suite of its own", "XC-TLS-007"),
        ("two subjects", "XC-TLS-053"),
        ("one key", "XC-TLS-055"),
        ("another key", "XC-TLS-010"),
        ("tag", "XC-TLS-010"),
        ("finished", "XC-TLS-011"),
        ("ends with its flight", ""),
        ("expired encryption certificate", "XC-TLS-041"),
        ("malformed certificate", "XC-TLS-040"),
        ("", ""),
    ],
)
def test_faults_of_tlcp(fault: str, code: str) -> None:
    pki = Pki()
    suite = 0xE01A if code == "XC-TLS-007" else 0xE013
    with serving(tlcp(pki, fault, suite)) as address:
        endpoint = probe(address, [pki.root], timeout_s=30, only=["TLCP 1.1"], survey=True)
    assert code in failing(endpoint) if code else not failing(endpoint), endpoint_as_text(endpoint)
    assert endpoint.spoken[0].whole is (
        fault not in ("another key", "tag", "finished", "ends with its flight", *NO_END)
    )
    if code != "XC-TLS-040":
        assert not english_in(endpoint_as_text(endpoint, "zh"))


def test_a_server_that_never_signs_in_tls_1_3() -> None:
    pki = Pki()
    with serving(tls13(pki, "no CertificateVerify")) as address:
        endpoint = probe(address, [pki.root], timeout_s=30, only=["RFC 8998"])
    assert "XC-TLS-012" in failing(endpoint)
    with serving(tls13(pki)) as address:
        endpoint = probe(address, [pki.root], timeout_s=30, only=["RFC 8998"], survey=True)
    assert not failing(endpoint) and endpoint.spoken[0].suites == ["TLS_SM4_GCM_SM3"]


def test_reports_have_clauses(authority: Authority) -> None:
    endpoint = asked(authority.flight.but(wrong_signature=True), authority, only=list(NAMES.values()))
    data = endpoint_as_dict(endpoint)
    assert all(f["clause"] and f["text"]["zh"] != f["text"]["en"] for f in data["findings"])
    assert {f["certainty"] for f in data["findings"] if f["code"] == "XC-TLS-013"} == {"certain"}
    text = endpoint_as_text(endpoint)
    assert "GB/T 38636-2020 6.4.5.4" in text and "neither TLCP nor RFC 8998" in text
    for language in ("en", "zh"):
        sarif = as_sarif(endpoint.all_findings, endpoint.address, "xc sm tls", language)
        assert '"ruleId": "XC-TLS-013"' in sarif and "tls://127.0.0.1" in sarif
