"""SM2 certificates and their chains (GB/T 20518-2018, RFC 5280), read with asn1crypto and judged by the reference."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import _, joined, verbatim
from pytest_xinchuang.sm.curve import Point
from pytest_xinchuang.sm.sm2 import Refused, Sm2

SM2_SIGN_SM3 = "1.2.156.10197.1.501"
CURVE_SM2 = "1.2.156.10197.1.301"
USAGES = {
    "sign": {"digital_signature", "non_repudiation"},
    "encrypt": {"key_encipherment", "data_encipherment", "key_agreement"},
}
"""Purpose of a leaf -> the key usages of which it must have one (GB/T 38636-2020 clause 6.4.5.3)."""

KNOWN_CRITICAL = {"basic_constraints", "key_usage", "extended_key_usage", "subject_alt_name"}


@dataclass(frozen=True)
class Certificate:
    """A certificate, parsed by :func:`parse`."""

    der: bytes
    asn1: Any

    @property
    def subject(self) -> str:
        return str(self.asn1.subject.human_friendly)

    @property
    def issuer(self) -> str:
        return str(self.asn1.issuer.human_friendly)

    @property
    def names(self) -> tuple[bytes, bytes]:
        """Subject and issuer as they are encoded."""
        return self.asn1.subject.dump(), self.asn1.issuer.dump()

    @property
    def tbs(self) -> bytes:
        return bytes(self.asn1["tbs_certificate"].dump())

    @property
    def signature(self) -> bytes:
        return bytes(self.asn1["signature_value"].native)

    @property
    def signature_oids(self) -> tuple[str, str]:
        """The signature algorithm outside and inside of the signed part; both must be the same (RFC 5280, 4.1.1.2)."""
        return (
            self.asn1["signature_algorithm"]["algorithm"].dotted,
            self.asn1["tbs_certificate"]["signature"]["algorithm"].dotted,
        )

    @property
    def spki(self) -> bytes:
        return bytes(self.asn1["tbs_certificate"]["subject_public_key_info"].dump())

    @property
    def usages(self) -> set[str] | None:
        """The key usages by asn1crypto's names; None where the extension is absent."""
        value = self.asn1.key_usage_value
        return None if value is None else set(value.native)

    @property
    def is_ca(self) -> bool:
        value = self.asn1.basic_constraints_value
        return bool(value is not None and value["ca"].native)

    @property
    def path_length(self) -> int | None:
        value = self.asn1.basic_constraints_value
        found = None if value is None else value["path_len_constraint"].native
        return None if found is None else int(found)

    def public_key(self, sm2: Sm2) -> Point:
        """The key. Raises Refused: it is not an SM2 key, or its point is not on the curve."""
        return sm2.decode_spki(self.spki)


def parse(data: bytes) -> Certificate:
    """The certificate that ``data`` is the DER of. Raises Refused: it is something else, or more."""
    with optional("sm_crypto"):
        from asn1crypto import x509

    try:
        found = x509.Certificate.load(data, strict=True)
        found.native  # noqa: B018 - asn1crypto parses when it is asked
        return Certificate(data, found)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise Refused(_("not a certificate: {why}", why=verbatim(str(error)[:180]))) from None


class ChainJudge:
    """Judges a chain. Each step that implementations leave out is a method of its own.

    Args:
        user: the id that signatures on certificates are made with; None: the default one, as GM/T 0015-2012 has it.
    """

    def __init__(self, sm2: Sm2 | None = None, user: bytes | None = None) -> None:
        self.sm2 = sm2 or Sm2()
        self.user = user

    def judge(self, chain: Sequence[bytes], roots: Sequence[bytes], time: int, usage: str) -> None:
        """Accept ``chain`` (the leaf first, the rest in any order) at ``time`` (seconds of Unix), or say why not.

        Raises:
            Refused: with the first reason.
        """
        leaf, *others = [parse(c) for c in chain]
        anchors = [parse(r) for r in roots]
        self.check_leaf(leaf, usage)
        current, path = leaf, [leaf]
        while True:
            self.check_time(current, time)
            self.check_extensions(current)
            if any(current.der == a.der for a in anchors):
                return
            issuer = next((c for c in anchors + others if c.names[0] == current.names[1]), None)
            if issuer is None:
                raise Refused(_("no issuer {issuer} is known", issuer=verbatim(repr(current.issuer))))
            if len(path) > 8:
                raise Refused(_("the chain is longer than 8 certificates, or circular"))
            self.check_issuer(issuer, len(path) - 1)
            self.check_signature(current, issuer)
            if any(issuer.der == a.der for a in anchors):
                self.check_time(issuer, time)
                return
            current = issuer
            path.append(issuer)

    def check_leaf(self, leaf: Certificate, usage: str) -> None:
        leaf.public_key(self.sm2)
        self.check_usage(leaf, usage)

    def check_usage(self, leaf: Certificate, usage: str) -> None:
        if leaf.usages is not None and not leaf.usages & USAGES[usage]:
            usages = joined(map(verbatim, sorted(leaf.usages)), _(", "))
            raise Refused(
                _("the key usage ({usages}) does not allow signatures", usages=usages)
                if usage == "sign"
                else _("the key usage ({usages}) does not allow encryption", usages=usages)
            )

    def check_time(self, certificate: Certificate, time: int) -> None:
        validity = certificate.asn1["tbs_certificate"]["validity"].native
        now = datetime.datetime.fromtimestamp(time, datetime.UTC)
        if not validity["not_before"] <= now <= validity["not_after"]:
            raise Refused(
                _(
                    "{subject} is valid from {start} to {end}",
                    subject=verbatim(repr(certificate.subject)),
                    start=validity["not_before"],
                    end=validity["not_after"],
                )
            )

    def check_extensions(self, certificate: Certificate) -> None:
        for name in certificate.asn1.critical_extensions:
            if name not in KNOWN_CRITICAL:
                raise Refused(_("an unknown extension is critical: {name}", name=verbatim(name)))

    def check_issuer(self, issuer: Certificate, below: int) -> None:
        self.check_ca(issuer)
        self.check_sign_usage(issuer)
        if issuer.path_length is not None and below > issuer.path_length:
            raise Refused(
                _(
                    "{subject} allows a path length of {most}, this one is {below}",
                    subject=verbatim(repr(issuer.subject)),
                    most=issuer.path_length,
                    below=below,
                )
            )

    def check_ca(self, issuer: Certificate) -> None:
        if not issuer.is_ca:
            raise Refused(_("the issuer {subject} is no CA", subject=verbatim(repr(issuer.subject))))

    def check_sign_usage(self, issuer: Certificate) -> None:
        if issuer.usages is not None and "key_cert_sign" not in issuer.usages:
            raise Refused(_("the issuer {subject} may not sign certificates", subject=verbatim(repr(issuer.subject))))

    def check_signature(self, certificate: Certificate, issuer: Certificate) -> None:
        outside, inside = certificate.signature_oids
        if outside != SM2_SIGN_SM3 or inside != outside:
            raise Refused(
                _("signed by {outside} (inside {inside}), not by SM2 with SM3", outside=outside, inside=inside)
            )
        point = issuer.public_key(self.sm2)
        r, s = self.sm2.decode_signature(certificate.signature, "der")
        if not self.sm2.verify_digest(point, self.sm2.digest(self.user, point, certificate.tbs), r, s):
            raise Refused(
                _("the signature on {subject} is not its issuer's", subject=verbatim(repr(certificate.subject)))
            )
