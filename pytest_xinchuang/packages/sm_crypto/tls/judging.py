"""The certificates of every protocol: dates, keys, algorithms, names, usages, chains, and the two of TLCP."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import Message, _, joined, told, verbatim
from pytest_xinchuang.packages.sm_crypto.certificates import SM2_SIGN_SM3, Certificate, ChainJudge, parse
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Spoken
from pytest_xinchuang.packages.sm_crypto.tls.hello import is_address
from pytest_xinchuang.packages.sm_crypto.tls.names import names_of
from pytest_xinchuang.packages.sm_crypto.tls.signatures import Unchecked, certificate_verifies
from pytest_xinchuang.packages.sm_crypto.tls.suites import SUITES, Suite
from pytest_xinchuang.sm.sm2 import Refused

SM_PROTOCOLS = ("TLCP 1.1", "RFC 8998")
"""The protocols with SM2 certificates."""
LEAST_RSA, LEAST_EC = 2048, 224
"""Bits for 112 bits of strength (NIST SP 800-57 part 1, table 2)."""
WEAK_HASHES = {"md2", "md5", "sha1"}
"""RFC 9155 and RFC 6151."""
MAX_CHAIN = 32
"""As many certificates of a chain are looked at; a path has no more than eight."""
SERVER_AUTH = {"server_auth", "any_extended_key_usage"}


class PathJudge(ChainJudge):
    """Judges a chain of any algorithm; dates are told, and do not end the judgement."""

    def __init__(self, sm: bool) -> None:
        super().__init__()
        self.sm = sm
        self.dates: list[Refused] = []
        self.unchecked: list[tuple[Certificate, Unchecked]] = []
        self.path: list[Certificate] = []

    def check_leaf(self, leaf: Certificate, usage: str) -> None:
        """It is judged apart from its chain."""

    def check_time(self, certificate: Certificate, time: int) -> None:
        try:
            super().check_time(certificate, time)
        except Refused as refused:
            self.dates.append(refused)

    def check_signature(self, certificate: Certificate, issuer: Certificate) -> None:
        self.path.append(issuer)
        outside, inside = certificate.signature_oids
        if self.sm or outside == inside == SM2_SIGN_SM3:
            super().check_signature(certificate, issuer)
            return
        if outside != inside:
            raise Refused(_("signed by {outside}, but {inside} inside", outside=outside, inside=inside))
        try:
            verifies = certificate_verifies(certificate, issuer)
        except Unchecked as error:
            self.unchecked.append((certificate, error))
            return
        if not verifies:
            raise Refused(
                _("the signature on {subject} is not its issuer's", subject=verbatim(repr(certificate.subject)))
            )


def judge(
    spoken: Spoken, roots: Sequence[bytes], host: str = "", *, named: bool = True, now: float | None = None
) -> None:
    """Judge the certificates that came with a protocol.

    Args:
        host: the name that they have to have; empty: names are not judged.
        named: the user said this name; an address that was only connected to may be known by another.
    """
    if not spoken.certificates:
        return  # told with the handshake
    when = int(time.time() if now is None else now)
    chains = [("sign", spoken.certificates[:MAX_CHAIN])]
    if spoken.protocol == "TLCP 1.1" and len(spoken.certificates) > 1:
        signing, encryption, *rest = spoken.certificates[:MAX_CHAIN]
        chains = [("sign", [signing, *rest]), ("encrypt", [encryption, *rest])]
        _judge_pair(spoken, signing, encryption)
    for usage, chain in chains:
        which = _("the signing certificate") if usage == "sign" else _("the encryption certificate")
        if spoken.protocol not in SM_PROTOCOLS:
            which = _("the certificate")
        try:
            leaf = parse(chain[0])
        except ValueError as error:
            spoken.find("XC-TLS-040", which=which, why=told(error))
            continue
        _judge_leaf(spoken, leaf, usage, which)
        if host:
            _judge_name(spoken, leaf, which, host, named)
        _judge_chain(spoken, chain, roots, when, usage, which)
    if not roots:
        spoken.find("XC-TLS-058", certainty=Certainty.NOTE)


def _judge_leaf(spoken: Spoken, leaf: Certificate, usage: str, which: Message) -> None:
    if spoken.protocol in SM_PROTOCOLS:
        try:
            ChainJudge().check_leaf(leaf, usage)
        except ValueError as error:
            spoken.find("XC-TLS-046", which=which, why=told(error))
    elif leaf.usages is not None and not leaf.usages & (wanted := _wanted_usages(spoken)):
        usages = joined(map(verbatim, sorted(leaf.usages)), _(", "))
        why = _("the key usage is {usages}; the suite needs {wanted}", usages=usages, wanted=verbatim(min(wanted)))
        spoken.find("XC-TLS-046", which=which, why=why)
    extended = _read(lambda: leaf.asn1.extended_key_usage_value)
    if extended is not None and not set(extended) & SERVER_AUTH:
        spoken.find("XC-TLS-047", which=which, usages=", ".join(map(str, extended)))
    if leaf.is_ca:
        spoken.find("XC-TLS-048", which=which)


def _wanted_usages(spoken: Spoken) -> set[str]:
    number = next((n for n, name in SUITES.items() if name == spoken.suite), 0)
    exchange = Suite(number).exchange
    if exchange.startswith("RSA"):
        return {"key_encipherment"}
    return {"key_agreement"} if exchange.startswith(("ECDH_", "DH_")) else {"digital_signature"}


def _read(value: Callable[[], object]) -> list[object] | None:
    try:
        found = value()
        return None if found is None else list(found.native)  # type: ignore[attr-defined]
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def _judge_name(spoken: Spoken, leaf: Certificate, which: Message, host: str, named: bool) -> None:
    names = names_of(leaf)
    if names.fit(host):
        return
    if not names.alternative and names.fit_common(host):
        spoken.find("XC-TLS-045", which=which, host=host)
        return
    certainty = Certainty.CERTAIN
    if not named and (is_address(host) or host == "localhost"):
        # Clients may know the server by a name that nobody has told us; this machine's own names are nobody's.
        loopback = host == "localhost" or ipaddress.ip_address(host.partition("%")[0]).is_loopback
        certainty = Certainty.NOTE if loopback else Certainty.UNDECIDED
    spoken.find("XC-TLS-044", certainty=certainty, which=which, names=names.told, host=host)


def _judge_pair(spoken: Spoken, signing: bytes, encryption: bytes) -> None:
    """The two certificates of TLCP are one subject's, of one issuer, with a key each."""
    try:
        one, two = parse(signing), parse(encryption)
    except ValueError:
        return  # told by each
    if one.names[0] != two.names[0]:
        # Test authorities put the purpose into the name; the host's names say whose they are.
        first, second = names_of(one), names_of(two)
        same = bool(first.alternative and (first.hosts, first.addresses) == (second.hosts, second.addresses))
        certainty = Certainty.NOTE if same else Certainty.CERTAIN
        spoken.find("XC-TLS-053", certainty=certainty, signing=one.subject, encryption=two.subject)
    if one.names[1] != two.names[1]:
        spoken.find("XC-TLS-054", signing=one.issuer, encryption=two.issuer)
    if one.spki == two.spki:
        spoken.find("XC-TLS-055")


def _judge_chain(
    spoken: Spoken, chain: Sequence[bytes], roots: Sequence[bytes], when: int, usage: str, which: Message
) -> None:
    sent = []
    for der in chain:
        try:
            sent.append(parse(der))
        except ValueError as error:
            spoken.find("XC-TLS-040", which=_("a certificate of the chain"), why=told(error))
    _judge_order(spoken, sent)
    judge = PathJudge(spoken.protocol in SM_PROTOCOLS)
    anchors = list(roots) or [_top(sent).der]
    try:
        judge.judge([c.der for c in sent], anchors, when, usage)
    except ValueError as error:
        spoken.find("XC-TLS-050", which=which, why=told(error))
    for refused in judge.dates:
        spoken.find("XC-TLS-041", which=which, why=told(refused))
    for certificate, unchecked in judge.unchecked:
        what = _("the signature on {subject}", subject=verbatim(repr(certificate.subject)))
        spoken.find("XC-TLS-059", certainty=Certainty.UNDECIDED, what=what, why=told(unchecked))
    trusted = set(roots)
    for certificate in {c.der: c for c in [sent[0], *judge.path]}.values():
        if certificate.der not in trusted:
            _judge_strength(spoken, certificate)
    if sent[0].names[0] == sent[0].names[1] and sent[0].der not in trusted:
        spoken.find("XC-TLS-057", which=which, subject=sent[0].subject)


def _top(sent: Sequence[Certificate]) -> Certificate:
    """The last certificate above the leaf that was sent: without a root the chain is followed so far."""
    path, seen = sent[0], {sent[0].der}
    while issuer := next((c for c in sent if c.names[0] == path.names[1] and c.der not in seen), None):
        path = issuer
        seen.add(issuer.der)
    return path


def _judge_order(spoken: Spoken, sent: Sequence[Certificate]) -> None:
    """Each certifies the one before it (RFC 5246 section 7.4.2)."""
    for below, above in pairwise(sent):
        if below.names[1] != above.names[0]:
            spoken.find("XC-TLS-049", above=above.subject, below=below.subject)
            return


def _judge_strength(spoken: Spoken, certificate: Certificate) -> None:
    try:
        key = certificate.asn1.public_key
        kind, bits = str(key.algorithm), int(key.bit_size or 0)
    except (ValueError, TypeError, LookupError, AttributeError, NotImplementedError):
        kind, bits = "", 0
    least = {"rsa": LEAST_RSA, "rsassa_pss": LEAST_RSA, "dsa": LEAST_RSA, "ec": LEAST_EC}.get(kind, 0)
    if 0 < bits < least:
        spoken.find("XC-TLS-042", subject=certificate.subject, kind=kind.upper(), bits=bits, least=least)
    if certificate.names[0] == certificate.names[1]:
        return  # nobody trusts it for its signature
    try:
        used = str(certificate.asn1["signature_algorithm"].hash_algo)
    except (ValueError, KeyError):
        return
    if used in WEAK_HASHES:
        spoken.find("XC-TLS-043", subject=certificate.subject, hash=used.upper())
