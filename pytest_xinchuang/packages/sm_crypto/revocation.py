"""Revocation lists that are signed by SM2 (RFC 5280, clause 5 and 6.3), read with asn1crypto."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sm_crypto.names import Rdns, prepared
from pytest_xinchuang.packages.sm_crypto.signed import read_signed


@dataclass(frozen=True)
class RevocationList:
    """A list of revoked certificates, parsed by :func:`parse_list`."""

    der: bytes
    asn1: Any

    @property
    def issuer(self) -> Rdns:
        """The issuer's name as it is compared."""
        return prepared(self.asn1.issuer)

    @property
    def signed(self) -> bytes:
        return bytes(self.asn1["tbs_cert_list"].dump())

    @property
    def signature(self) -> bytes:
        return bytes(self.asn1["signature"].native)

    @property
    def algorithms(self) -> tuple[bytes, bytes]:
        """The signature algorithm outside and inside of the signed part, as they are encoded."""
        return self.asn1["signature_algorithm"].dump(), self.asn1["tbs_cert_list"]["signature"].dump()

    @property
    def since(self) -> datetime.datetime:
        found: datetime.datetime = self.asn1["tbs_cert_list"]["this_update"].native
        return found

    @property
    def until(self) -> datetime.datetime | None:
        """When the next one is due; None: it does not say."""
        found: datetime.datetime | None = self.asn1["tbs_cert_list"]["next_update"].native
        return found

    @property
    def critical(self) -> set[str]:
        """The critical extensions of the list and of its entries. None is known here: a list of another kind has one."""
        tbs = self.asn1["tbs_cert_list"]
        found = [tbs["crl_extensions"], *(entry["crl_entry_extensions"] for entry in tbs["revoked_certificates"] or ())]
        return {one["extn_id"].native for part in found for one in part or () if one["critical"].native}

    @property
    def serials(self) -> set[int]:
        """The serial numbers of the certificates that are revoked."""
        return {int(one["user_certificate"].native) for one in self.asn1["tbs_cert_list"]["revoked_certificates"] or ()}


def parse_list(data: bytes) -> RevocationList:
    """The revocation list that ``data`` is the DER of. Raises Refused: it is something else, or more."""
    with optional("sm_crypto"):
        from asn1crypto import crl

    found = read_signed(data, crl.CertificateList, lambda why: _("not a revocation list: {why}", why=why))
    return RevocationList(data, found)
