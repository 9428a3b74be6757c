"""SM2 certificates and their chains (GB/T 20518-2018, RFC 5280), read with asn1crypto and judged by the reference."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import _, joined, verbatim
from pytest_xinchuang.packages.sm_crypto.names import Rdns, Subtrees, held, prepared
from pytest_xinchuang.packages.sm_crypto.revocation import RevocationList, parse_list
from pytest_xinchuang.packages.sm_crypto.signed import read_signed
from pytest_xinchuang.sm.curve import Point
from pytest_xinchuang.sm.sm2 import Refused, Sm2

SM2_SIGN_SM3 = "1.2.156.10197.1.501"
CURVE_SM2 = "1.2.156.10197.1.301"
USAGES = {
    "sign": {"digital_signature", "non_repudiation"},
    "encrypt": {"key_encipherment", "data_encipherment", "key_agreement"},
}
"""Purpose of a leaf -> the key usages of which it must have one (GB/T 38636-2020 clause 6.4.5.3)."""

PURPOSES = {"server": "server_auth", "client": "client_auth"}
"""Purpose of a leaf in TLS -> its extended key usage by asn1crypto's name (RFC 5280, 4.2.1.12)."""

KNOWN_CRITICAL = {
    "basic_constraints",
    "key_usage",
    "extended_key_usage",
    "subject_alt_name",
    "name_constraints",
    "certificate_policies",
}
"""Critical extensions that are looked at. Without policy constraints, which are not among them, no policy refuses a path."""

MOST_STEPS = 256
"""Steps of the search for paths: certificates of the same names can be put together in more ways than anybody has time for."""
LONGEST_PATH = 9
"""Certificates of a path, the leaf and the root among them."""


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
    def names(self) -> tuple[Rdns, Rdns]:
        """Subject and issuer as they are compared (RFC 5280, 7.1)."""
        return prepared(self.asn1.subject), prepared(self.asn1.issuer)

    @property
    def is_self_issued(self) -> bool:
        """Whether subject and issuer are the same, as in a certificate for a CA's next key: no path length counts it."""
        subject, issuer = self.names
        return subject == issuer

    @property
    def version(self) -> str:
        """``v1``, ``v2`` or ``v3``."""
        return str(self.asn1["tbs_certificate"]["version"].native)

    @property
    def serial(self) -> int:
        return int(self.asn1.serial_number)

    @property
    def extensions(self) -> list[str]:
        """The names of the extensions, as they stand there."""
        return [str(one["extn_id"].native) for one in self.asn1["tbs_certificate"]["extensions"] or ()]

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
    def algorithms(self) -> tuple[bytes, bytes]:
        """The same two with their parameters, as they are encoded."""
        return self.asn1["signature_algorithm"].dump(), self.asn1["tbs_certificate"]["signature"].dump()

    @property
    def spki(self) -> bytes:
        return bytes(self.asn1["tbs_certificate"]["subject_public_key_info"].dump())

    @property
    def usages(self) -> set[str] | None:
        """The key usages by asn1crypto's names; None where the extension is absent."""
        value = self.asn1.key_usage_value
        return None if value is None else set(value.native)

    @property
    def purposes(self) -> set[str] | None:
        """The extended key usages by asn1crypto's names; None where the extension is absent."""
        value = self.asn1.extended_key_usage_value
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

    found = read_signed(data, x509.Certificate, lambda why: _("not a certificate: {why}", why=why))
    return Certificate(data, found)


class ChainJudge:
    """Judges a chain. Each step that implementations leave out is a method of its own.

    Args:
        user: the id that signatures on certificates are made with; None: the default one, as GM/T 0015-2012 has it.
    """

    def __init__(self, sm2: Sm2 | None = None, user: bytes | None = None) -> None:
        self.sm2 = sm2 or Sm2()
        self.user = user

    def judge(
        self,
        chain: Sequence[bytes],
        roots: Sequence[bytes],
        time: int,
        usage: str,
        *,
        encryption: bytes = b"",
        purpose: str = "",
        crls: Sequence[bytes] | None = None,
    ) -> None:
        """Accept ``chain`` (the leaf first, the rest in any order) at ``time`` (seconds of Unix), or say why not.

        Args:
            usage: ``sign`` or ``encrypt``: what the leaf's key is used for.
            encryption: the second leaf of TLCP, by the same issuers: it must be good to encrypt, and of the same subject.
            purpose: ``server`` or ``client`` of TLS, which the leaf's extended key usage must allow.
            crls: revocation lists; with them every certificate below the root must have a good one that does not name it.

        Raises:
            Refused: with the first reason.
        """
        leaf, *others = [parse(c) for c in chain]
        anchors = [parse(r) for r in roots]
        lists = None if crls is None else [parse_list(one) for one in crls]
        self.check_one(leaf, others, anchors, time, usage, purpose, lists)
        if encryption:
            second = parse(encryption)
            self.check_pair(leaf, second)
            self.check_second(second, others, anchors, time, purpose, lists)

    def check_one(
        self,
        leaf: Certificate,
        others: Sequence[Certificate],
        anchors: Sequence[Certificate],
        time: int,
        usage: str,
        purpose: str,
        lists: Sequence[RevocationList] | None,
    ) -> None:
        """Find a path from the leaf to an anchor on which everything is right."""
        self.check_leaf(leaf, usage)
        if purpose:
            self.check_purpose(leaf, purpose)
        reason: Refused | None = None
        for path in self.paths(leaf, others, anchors):
            try:
                self.check_path(path, time)
                if purpose:
                    for issuer in path[1:-1]:
                        self.check_purpose(issuer, purpose)
                if lists is not None:
                    self.check_revocation(path, lists, time)
                return
            except Refused as refused:
                reason = reason or refused
        assert reason is not None  # paths raises where there is none
        raise reason

    def paths(
        self, leaf: Certificate, others: Sequence[Certificate], anchors: Sequence[Certificate]
    ) -> Iterator[list[Certificate]]:
        """The paths from the leaf to an anchor, by the names alone. Raises Refused: there is none."""
        waiting, found = [[leaf]], False
        reason: Refused | None = None
        for _step in range(MOST_STEPS):
            if not waiting:
                break
            path = waiting.pop()
            if any(path[-1].der == a.der for a in anchors):
                found = True
                yield path
                continue
            used = {one.der for one in path}
            longer = [[*path, c] for c in (*anchors, *others) if c.der not in used and self.may_issue(c, path[-1])]
            if not longer:
                reason = reason or Refused(_("no issuer {issuer} is known", issuer=verbatim(repr(path[-1].issuer))))
            elif len(path) >= LONGEST_PATH:
                reason = reason or Refused(_("the chain is longer than 8 certificates, or circular"))
            else:
                waiting.extend(reversed(longer))
        if not found:
            raise reason or Refused(_("the chain is longer than 8 certificates, or circular"))

    def may_issue(self, candidate: Certificate, certificate: Certificate) -> bool:
        """Whether the issuer that ``certificate`` names is ``candidate``'s subject."""
        return candidate.names[0] == certificate.names[1]

    def check_path(self, path: Sequence[Certificate], time: int) -> None:
        """Check a path from the leaf to the anchor, the leaf first (RFC 5280, 6.1)."""
        for at, certificate in enumerate(path):
            anchor = at == len(path) - 1
            self.check_time(certificate, time)
            if not anchor or at == 0:
                self.check_extensions(certificate)
            if at:
                # A self-issued certificate does not count (RFC 5280, 6.1.4 l).
                self.check_issuer(certificate, sum(not c.is_self_issued for c in path[1:at]), anchor=anchor)
                self.check_signature(path[at - 1], certificate)
                self.check_names(certificate, path[:at])

    def check_pair(self, leaf: Certificate, second: Certificate) -> None:
        """The two certificates of TLCP are of one subject (GB/T 38636-2020 clause 6.4.5.3)."""
        if leaf.names[0] != second.names[0]:
            raise Refused(_("the two certificates are of different subjects"))

    def check_second(
        self,
        second: Certificate,
        others: Sequence[Certificate],
        anchors: Sequence[Certificate],
        time: int,
        purpose: str,
        lists: Sequence[RevocationList] | None,
    ) -> None:
        """The encryption certificate of TLCP, with all that the signing one has to keep."""
        self.check_one(second, others, anchors, time, "encrypt", purpose, lists)

    def check_purpose(self, certificate: Certificate, purpose: str) -> None:
        purposes = certificate.purposes
        if purposes is not None and not purposes & {PURPOSES[purpose], "any_extended_key_usage"}:
            raise Refused(
                _(
                    "the extended key usage of {subject} ({purposes}) does not allow {wanted}",
                    subject=verbatim(repr(certificate.subject)),
                    purposes=joined(map(verbatim, sorted(purposes)), _(", ")),
                    wanted=verbatim(PURPOSES[purpose]),
                )
            )

    def check_names(self, issuer: Certificate, below: Sequence[Certificate]) -> None:
        """The names of all certificates below an issuer are within its name constraints (RFC 5280, 4.2.1.10)."""
        constraints = issuer.asn1.name_constraints_value
        if constraints is None:
            return
        subtrees = Subtrees(constraints)
        for at, certificate in enumerate(below):
            if at and certificate.is_self_issued:
                continue
            for form, name in held(certificate.asn1):
                if not self.is_permitted(subtrees, form, name):
                    raise Refused(
                        _(
                            "a name of {subject} is outside of what {issuer} may issue for",
                            subject=verbatim(repr(certificate.subject)),
                            issuer=verbatim(repr(issuer.subject)),
                        )
                    )

    def is_permitted(self, subtrees: Subtrees, form: str, name: Any) -> bool:
        return subtrees.permits(form, name) and not subtrees.excludes(form, name)

    # -- revocation

    def check_revocation(self, path: Sequence[Certificate], lists: Sequence[RevocationList], time: int) -> None:
        """No certificate below the anchor is revoked, and each issuer has a good list (RFC 5280, 6.3)."""
        for certificate, issuer in pairwise(path):
            mine = [one for one in lists if one.issuer == issuer.names[0]]
            if not mine:
                raise Refused(_("there is no revocation list of {issuer}", issuer=verbatim(repr(issuer.subject))))
            reason: Refused | None = None
            for one in mine:
                try:
                    self.check_list(one, issuer, time)
                except Refused as refused:
                    reason = reason or refused
                    continue
                if self.is_revoked(certificate, one):
                    raise Refused(_("{subject} is revoked", subject=verbatim(repr(certificate.subject))))
                break
            else:
                assert reason is not None
                raise reason

    def is_revoked(self, certificate: Certificate, one: RevocationList) -> bool:
        return certificate.serial in one.serials

    def check_list(self, one: RevocationList, issuer: Certificate, time: int) -> None:
        """A revocation list is its issuer's, current, and of a kind that is known."""
        self.check_list_kind(one)
        self.check_list_time(one, time)
        if issuer.usages is not None and "crl_sign" not in issuer.usages:
            raise Refused(
                _("the issuer {subject} may not sign revocation lists", subject=verbatim(repr(issuer.subject)))
            )
        self.check_list_signature(one, issuer)

    def check_list_kind(self, one: RevocationList) -> None:
        if one.critical:
            raise Refused(
                _("an unknown extension is critical: {name}", name=joined(map(verbatim, sorted(one.critical)), _(", ")))
            )

    def check_list_time(self, one: RevocationList, time: int) -> None:
        now = datetime.datetime.fromtimestamp(time, datetime.UTC)
        if now < one.since or (one.until is not None and now > one.until):
            raise Refused(_("a revocation list is of {since}, and not current", since=one.since))

    def check_list_signature(self, one: RevocationList, issuer: Certificate) -> None:
        outside, inside = one.algorithms
        point = issuer.public_key(self.sm2)
        r, s = self.sm2.decode_signature(one.signature, "der")
        digest = self.sm2.digest(self.user, point, one.signed)
        if outside != inside or not self.sm2.verify_digest(point, digest, r, s):
            raise Refused(_("the signature on a revocation list is not its issuer's"))

    # -- the parts of a certificate

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
        self.check_once(certificate)

    def check_once(self, certificate: Certificate) -> None:
        """No extension is there twice (RFC 5280, 4.2): readers would differ in which of them counts."""
        if twice := [name for name, n in Counter(certificate.extensions).items() if n > 1]:
            raise Refused(_("an extension is there twice: {name}", name=verbatim(twice[0])))

    def check_issuer(self, issuer: Certificate, below: int, *, anchor: bool = False) -> None:
        """Check that ``issuer`` may issue; ``below``: certificates between it and the leaf that are not self-issued."""
        if not (anchor and issuer.version == "v1"):  # no v1 root says that it is a CA: whoever trusts it does
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
        if not issuer.is_ca or issuer.version != "v3":
            raise Refused(_("the issuer {subject} is no CA", subject=verbatim(repr(issuer.subject))))

    def check_sign_usage(self, issuer: Certificate) -> None:
        if issuer.usages is not None and "key_cert_sign" not in issuer.usages:
            raise Refused(_("the issuer {subject} may not sign certificates", subject=verbatim(repr(issuer.subject))))

    def check_signature(self, certificate: Certificate, issuer: Certificate) -> None:
        outside, inside = certificate.signature_oids
        if outside != SM2_SIGN_SM3 or not self.is_same_algorithm(certificate):
            raise Refused(
                _("signed by {outside} (inside {inside}), not by SM2 with SM3", outside=outside, inside=inside)
            )
        point = issuer.public_key(self.sm2)
        r, s = self.sm2.decode_signature(certificate.signature, "der")
        if not self.sm2.verify_digest(point, self.sm2.digest(self.user, point, certificate.tbs), r, s):
            raise Refused(
                _("the signature on {subject} is not its issuer's", subject=verbatim(repr(certificate.subject)))
            )

    def is_same_algorithm(self, certificate: Certificate) -> bool:
        """Whether the algorithm is the same outside and inside, parameters and all (RFC 5280, 4.1.1.2)."""
        outside, inside = certificate.algorithms
        return outside == inside
