"""Known-bad subjects of what a path of certificates has to keep."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from pytest_xinchuang.packages.sm_crypto.certificates import Certificate, ChainJudge
from pytest_xinchuang.packages.sm_crypto.names import Subtrees
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness
from pytest_xinchuang.packages.sm_crypto.revocation import RevocationList
from pytest_xinchuang.sm import curve
from pytest_xinchuang.sm.curve import N, Point
from pytest_xinchuang.sm.sm2 import Refused
from tests.mutants.sm.registry import Defect, defect

FILES = ("sm2_cert",)


def chains(kind: type[ChainJudge]) -> Defect:
    """The reference with another judge of chains."""

    def make(harness: ReferenceHarness) -> None:
        harness.chains = kind(harness.sm2)

    return make


class OldIssuer(ChainJudge):
    def check_ca(self, issuer: Certificate) -> None:
        if issuer.version == "v3":
            super().check_ca(issuer)


class SameName(ChainJudge):
    def paths(self, leaf: Certificate, others: Any, anchors: Any) -> Any:
        yield next(super().paths(leaf, others, anchors))


class PathLengthZero(ChainJudge):
    def check_issuer(self, issuer: Certificate, below: int, *, anchor: bool = False) -> None:
        super().check_issuer(issuer, below if issuer.path_length else 0, anchor=anchor)


class CurveParameters(ChainJudge):
    """A certificate that comes along with a root's key is taken for the root, with the curve that it names."""

    def paths(self, leaf: Certificate, others: Any, anchors: Any) -> Any:
        by_key = {self.point(a) for a in anchors}
        for other in others:
            if self.base(other) is not None and self.point(other) in by_key and self.may_issue(other, leaf):
                yield [leaf, other]
        yield from super().paths(leaf, others, anchors)

    def point(self, certificate: Certificate) -> bytes:
        return certificate.spki[-64:]

    def base(self, certificate: Certificate) -> Point:
        parameters = certificate.asn1.public_key["algorithm"]["parameters"]
        if parameters.name != "specified":
            return None
        data = bytes(parameters.chosen["base"].contents)
        return int.from_bytes(data[1:33]), int.from_bytes(data[33:])

    def check_signature(self, certificate: Certificate, issuer: Certificate) -> None:
        base = self.base(issuer)
        if base is None:
            super().check_signature(certificate, issuer)
            return
        key = (int.from_bytes(issuer.spki[-64:-32]), int.from_bytes(issuer.spki[-32:]))
        r, s = self.sm2.decode_signature(certificate.signature, "der")
        found = curve.add(curve.multiply(s, base), curve.multiply((r + s) % N, key))
        if not self.sm2.agrees(int.from_bytes(self.sm2.digest(self.user, key, certificate.tbs)), found, r):
            raise Refused("the signature is wrong")


class NameMatching(ChainJudge):
    def may_issue(self, candidate: Certificate, certificate: Certificate) -> bool:
        subject, issuer = ({part for rdn in n for part in rdn} for n in (candidate.names[0], certificate.names[1]))
        return issuer <= subject


class NameConstraints(ChainJudge):
    def check_names(self, issuer: Certificate, below: Sequence[Certificate]) -> None:
        pass


class ExcludedNames(ChainJudge):
    def is_permitted(self, subtrees: Subtrees, form: str, name: Any) -> bool:
        return subtrees.permits(form, name)


class ValidityBoundary(ChainJudge):
    def check_time(self, certificate: Certificate, time: int) -> None:
        validity = certificate.asn1["tbs_certificate"]["validity"].native
        today = datetime.datetime.fromtimestamp(time, datetime.UTC).date()
        if not validity["not_before"].date() <= today <= validity["not_after"].date():
            raise Refused("not valid today")


class UtcTimeCentury(ChainJudge):
    def check_time(self, certificate: Certificate, time: int) -> None:
        ends = certificate.asn1["tbs_certificate"]["validity"]["not_after"]
        if ends.name == "general_time" or ends.native.year >= 2000:
            super().check_time(certificate, time)


class LateDate(ChainJudge):
    def check_time(self, certificate: Certificate, time: int) -> None:
        ends = int(certificate.asn1["tbs_certificate"]["validity"]["not_after"].native.timestamp())
        if ends % (1 << 32) - (ends & 1 << 31) * 2 < time:
            raise Refused("expired")
        super().check_time(certificate, time)


class AlgorithmMismatch(ChainJudge):
    def is_same_algorithm(self, certificate: Certificate) -> bool:
        return True


class DuplicateExtension(ChainJudge):
    def check_once(self, certificate: Certificate) -> None:
        pass


class ExtendedUsage(ChainJudge):
    def check_purpose(self, certificate: Certificate, purpose: str) -> None:
        pass


class TlcpPair(ChainJudge):
    def check_second(self, second: Certificate, *_more: Any) -> None:
        self.check_leaf(second, "encrypt")


class TlcpPairUsage(ChainJudge):
    def check_second(self, second: Certificate, others: Any, anchors: Any, time: int, purpose: str, lists: Any) -> None:
        usage = "encrypt" if "digital_signature" not in (second.usages or ()) else "sign"
        self.check_one(second, others, anchors, time, usage, purpose, lists)


class RevokedIssuer(ChainJudge):
    def check_revocation(self, path: Sequence[Certificate], lists: Sequence[RevocationList], time: int) -> None:
        super().check_revocation(path[:2], lists, time)


class CrlSignature(ChainJudge):
    def check_list_signature(self, one: RevocationList, issuer: Certificate) -> None:
        pass


class CrlExpired(ChainJudge):
    def check_list_time(self, one: RevocationList, time: int) -> None:
        pass


class CrlCritical(ChainJudge):
    def check_list_kind(self, one: RevocationList) -> None:
        pass


class CrlSerial(ChainJudge):
    def is_revoked(self, certificate: Certificate, one: RevocationList) -> bool:
        return certificate.serial % (1 << 64) in {serial % (1 << 64) for serial in one.serials}


for _number, _kind in enumerate(
    (
        OldIssuer,
        SameName,
        PathLengthZero,
        CurveParameters,
        NameMatching,
        NameConstraints,
        ExcludedNames,
        ValidityBoundary,
        UtcTimeCentury,
        LateDate,
        AlgorithmMismatch,
        DuplicateExtension,
        ExtendedUsage,
        TlcpPair,
        TlcpPairUsage,
        RevokedIssuer,
        CrlSignature,
        CrlExpired,
        CrlCritical,
        CrlSerial,
    ),
    210,
):
    defect(_number, *FILES)(chains(_kind))
