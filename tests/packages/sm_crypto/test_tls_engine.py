"""What XC-SM-005 and XC-SM-026 decide of a manifest's TLS server, by what the probe saw."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_xinchuang.core.found import Found
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.packages.sm_crypto.engine import SmEngine
from pytest_xinchuang.packages.sm_crypto.manifest import SmCrypto
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Endpoint
from pytest_xinchuang.packages.sm_crypto.tls.probe import probe
from tests.packages.sm_crypto.conftest import ROOT
from tests.packages.sm_crypto.test_tls_deadline import SLOW, Serve
from tests.packages.sm_crypto.tls_servers import Pki, serving, tlcp, tls13

PKI = Pki()
SECTION = load_subject(ROOT / "fixtures" / "subjects" / "openssl").section(SmCrypto)


class Asked(SmEngine):
    """An engine that has asked its server."""

    def __init__(self, endpoint: Endpoint, expect: Sequence[str]) -> None:
        assert SECTION is not None and SECTION.tls is not None
        self._given = SECTION.model_copy(update={"tls": SECTION.tls.model_copy(update={"expect": tuple(expect)})})
        self.__dict__["_endpoint"] = endpoint

    @property
    def section(self) -> SmCrypto:
        return self._given

    @property
    def both(self) -> tuple[Found, Found]:
        return self._handshake(), self._tls_certificates()


def decided(serve: Serve, *expect: str, timeout_s: float = 30.0) -> tuple[Found, Found]:
    with serving(serve) as address:
        return Asked(probe(address, [PKI.root], timeout_s=timeout_s), expect).both


def test_right_servers_pass() -> None:
    for serve, expect in ((tlcp(PKI), "tlcp"), (tls13(PKI), "rfc8998")):
        handshake, certificates = decided(serve, expect)
        assert not handshake.wrong and not handshake.undecided and handshake.evidence
        assert not certificates.wrong and not certificates.undecided and not certificates.lacking
        assert any(e.get("findings") for e in certificates.evidence)


@pytest.mark.parametrize(
    ("serve", "expect", "of_handshake"),
    [
        (tlcp(PKI), "tls1.2", True),
        (tlcp(PKI, "fails on ECDHE"), "tlcp", True),
        (tlcp(PKI, "another key"), "tlcp", True),
        (tlcp(PKI, "tag"), "tlcp", True),
        (tlcp(PKI, "finished"), "tlcp", False),
        (tlcp(PKI, "one certificate"), "tlcp", False),
        (tlcp(PKI, "signature of another"), "tlcp", False),
        (tlcp(PKI, "no length"), "tlcp", False),
        (tlcp(PKI, "one key"), "tlcp", False),
        (tls13(PKI, "silent at unknown"), "rfc8998", True),
        (tls13(PKI, "no CertificateVerify"), "rfc8998", False),
        (tls13(PKI, "default id"), "rfc8998", False),
        (tls13(PKI, "expired"), "rfc8998", False),
    ],
)
def test_faults_fail_the_requirement_that_they_are_of(serve: Serve, expect: str, of_handshake: bool) -> None:
    handshake, certificates = decided(serve, expect)
    assert (bool(handshake.wrong), bool(certificates.wrong)) == (of_handshake, not of_handshake)


def test_what_a_name_in_a_certificate_says_is_not_graded() -> None:
    handshake, certificates = decided(tlcp(PKI, "two subjects"), "tlcp")
    assert not handshake.wrong and not certificates.wrong
    assert any("XC-TLS-053" in e["findings"] for e in certificates.evidence)


def test_a_server_that_ends_with_its_first_flight_is_undecided() -> None:
    handshake, certificates = decided(tlcp(PKI, "ends with its flight"), "tlcp")
    assert not handshake.wrong and handshake.undecided and not certificates.wrong


def test_a_server_that_does_not_answer_is_undecided_and_no_failure() -> None:
    handshake, certificates = decided(SLOW["says nothing"], "tlcp", timeout_s=0.3)
    assert not handshake.wrong and handshake.undecided
    assert certificates.undecided and not certificates.lacking
