"""Paths of certificates: names and their constraints, malformed input, and an independent judge of every vector."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest
from asn1crypto import x509

from fixtures.generate.certificates import CA_USAGE, NOW, Maker, Template
from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.sm_crypto.certificates import ChainJudge, parse
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.judge import VectorResult
from pytest_xinchuang.packages.sm_crypto.names import prepared, within
from pytest_xinchuang.packages.sm_crypto.revocation import parse_list
from pytest_xinchuang.packages.sm_crypto.runner import run_vectors
from pytest_xinchuang.packages.sm_crypto.vectors import load_file
from pytest_xinchuang.sandbox.local import local
from pytest_xinchuang.sm import der
from pytest_xinchuang.sm.sm2 import Refused
from tests.messages.english import english_in
from tests.packages.sm_crypto.conftest import ROOT

FILE = resources.fixtures_dir() / "vectors" / "sm2_certificate_test.json"


@pytest.mark.parametrize(
    ("form", "name", "base", "inside"),
    [
        ("dns_name", "a.example.cn", "example.cn", True),
        ("dns_name", "aexample.cn", "example.cn", False),
        ("dns_name", "example.cn", ".example.cn", False),
        ("dns_name", "a.example.cn", ".example.cn", True),
        ("dns_name", "*.example.cn", "example.cn", True),
        ("dns_name", "A.EXAMPLE.CN.", "example.cn", True),
        ("dns_name", "example.cn", "", True),
        ("rfc822_name", "a@example.cn", "example.cn", True),
        ("rfc822_name", "a@b.example.cn", "example.cn", False),
        ("rfc822_name", "a@b.example.cn", ".example.cn", True),
        ("rfc822_name", "example.cn", "a@example.cn", False),
        ("uniform_resource_identifier", "https://u@a.example.cn:8/x", ".example.cn", True),
        ("uniform_resource_identifier", "https://evil.cn/@a.example.cn", ".example.cn", False),
        ("uniform_resource_identifier", "urn:x", ".example.cn", False),
        ("ip_address", bytes((10, 1, 2, 3)), bytes((10, 0, 0, 0, 255, 0, 0, 0)), True),
        ("ip_address", bytes((11, 1, 2, 3)), bytes((10, 0, 0, 0, 255, 0, 0, 0)), False),
        ("ip_address", bytes(16), bytes((10, 0, 0, 0, 0, 0, 0, 0)), False),
        ("other_name", b"", b"", True),
    ],
)
def test_a_name_is_in_a_subtree_or_not(form: str, name: Any, base: Any, inside: bool) -> None:
    assert within(form, name, base) is inside


def test_names_are_compared_by_their_meaning() -> None:
    def common(text: str, kind: str = "utf8_string") -> Any:
        return prepared(
            x509.Name(
                name="",
                value=x509.RDNSequence(
                    [
                        x509.RelativeDistinguishedName(
                            [x509.NameTypeAndValue({"type": "common_name", "value": x509.DirectoryString(kind, text)})]
                        )
                    ]
                ),
            )
        )

    assert common("A  b") == common("a B", "printable_string")
    assert common("ab") != common("a b")
    two = [
        x509.NameTypeAndValue({"type": "common_name", "value": x509.DirectoryString("utf8_string", t)}) for t in "ab"
    ]
    both = prepared(x509.Name(name="", value=x509.RDNSequence([x509.RelativeDistinguishedName(two)])))
    assert both != common("a") and both != common("b")


@pytest.fixture(scope="module")
def vectors() -> list[dict[str, Any]]:
    return [t for g in json.loads(FILE.read_text())["testGroups"] for t in g["tests"]]


def test_what_is_malformed_is_refused_and_never_a_fault(vectors: list[dict[str, Any]]) -> None:
    certificate = bytes.fromhex(vectors[0]["chain"][0])
    listed = bytes.fromhex(next(t["crls"][0] for t in vectors if t.get("crls")))
    for read, whole in ((parse, certificate), (parse_list, listed)):
        read(whole)
        for wrong in (
            b"",
            b"\x30",
            whole[:-1],
            whole + b"\0",
            der.sequence(),
            b"\x30\x80" + whole[4:] + b"\0\0",
            b"\xff" * 99,
        ):
            with pytest.raises(Refused) as refused:
                read(wrong)
            assert not english_in(refused.value.args[0].render("zh").partition("：")[0])
        for at in range(len(whole)):
            changed = bytearray(whole)
            changed[at] ^= 0x55
            try:
                read(bytes(changed))
            except Refused:
                pass


def test_many_certificates_of_one_name_take_no_time() -> None:
    """Ways from name to name that never come to a root: there are more than anybody can try."""
    maker = Maker()
    keys = [maker.key() for _ in range(12)]
    ca: dict[str, Any] = {"ca": True, "usage": CA_USAGE}
    circle = [maker.issue(Template("Same", **ca), key, "Same", key) for key in keys]
    leaf = maker.issue(Template("Leaf"), keys[0], "Same", keys[0])
    root = maker.issue(Template("Root", **ca), keys[1], "Root", keys[1])
    start = time.monotonic()
    with pytest.raises(Refused):
        ChainJudge().judge([leaf, *circle], [root], NOW, "sign")
    assert time.monotonic() - start < 20


@pytest.mark.tools
@pytest.mark.slow
def test_openssl_agrees_on_every_vector() -> None:
    """The path validation of OpenSSL, which shares no line with the judge here."""
    command = [sys.executable, "-m", "fixtures.generate.openssl_chains"]
    begun = subprocess.run(command, cwd=ROOT, input="", capture_output=True, text=True, check=False)
    if begun.returncode:
        pytest.skip("no libcrypto.so.3 here")
    vectors = list(load_file(FILE).vectors())
    with SmClient(local(command, ROOT), timeout_s=20) as client:
        seen = run_vectors(client, vectors).seen
    failed = {s.vector.test.comment for s in seen if s.result is VectorResult.FAILED}
    # OpenSSL 3 knows no id for the signature of a list, and takes the empty one.
    assert failed <= {"the list is signed under the empty id"}
    assert not [s for s in seen if s.result in (VectorResult.UNSUPPORTED, VectorResult.UNDECIDED)]
