"""Real implementations: good ones have no failure that is not explained here, and known defects are found where they are."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.generate import oracles
from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.judge import VectorResult
from pytest_xinchuang.packages.sm_crypto.runner import VectorRun, run_vectors
from pytest_xinchuang.packages.sm_crypto.vectors import Vector, load_directory
from pytest_xinchuang.sandbox.local import local

pytestmark = pytest.mark.slow


def vectors(*names: str) -> list[Vector]:
    loaded = load_directory(resources.fixtures_dir() / "vectors")
    return [v for one in loaded if not names or one.name in names for v in one.vectors() if not v.group.get("slow")]


def run(argv: list[str], *names: str) -> VectorRun:
    with SmClient(local(argv), timeout_s=30, start_timeout_s=60) as client:
        return run_vectors(client, vectors(*names))


def failed(result: VectorRun) -> dict[str, set[str]]:
    """File -> the comments of what failed in it; of files with a case in many forms, the flags."""
    found: dict[str, set[str]] = {}
    for seen in result.seen:
        assert seen.result is not VectorResult.UNDECIDED, seen
        if seen.result is VectorResult.FAILED:
            file, test = seen.vector.file, seen.vector.test
            found.setdefault(file, set()).update(test.flags if file.endswith("_forms") else {test.comment})
    return found


OPENSSL_3 = {
    "sm2_decrypt": {"a byte behind"},  # SMD-43
    "sm2_key_validation": {"x is not below p"},  # reduced modulo p instead of refused
    "sm2_verify": {"an id of 8191 bytes"},  # SMD-10
    # Ciphertexts are read as BER: lengths, zeros in front of numbers, numbers without sign, strings in pieces.
    "sm2_decrypt_forms": {"CiphertextTrailing", "BerCiphertext", "CiphertextIntegers", "CiphertextTags"},
    "sm2_key_validation_forms": {"InvalidCurveC1"},
    "sm2_verify_forms": {"LongId", "EntlEncoding"},
    "sm2_sign_forms": {"LongId"},
}
"""File -> what OpenSSL 3 fails in it."""


def made(prepare: Callable[[Path], list[str]], work: Path) -> list[str]:
    try:
        return prepare(work)
    except oracles.Missing as why:
        pytest.skip(str(why))


def test_cryptography(tmp_path: Path) -> None:
    result = run(made(oracles.ORACLES["cryptography"], tmp_path))
    assert failed(result) == {}
    assert result.count()[VectorResult.PASSED] > 1300


def test_tongsuopy(tmp_path: Path) -> None:
    result = run(made(oracles.ORACLES["tongsuopy"], tmp_path))
    assert failed(result) == {}
    assert result.count()[VectorResult.PASSED] > 1300


def test_openssl_of_this_host(tmp_path: Path) -> None:
    """3.x: real defects, each of them in the bank."""
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler and libcrypto")
    result = run(made(oracles.openssl, tmp_path))
    assert failed(result) == OPENSSL_3


def test_openssls_default_id_goes_by_its_version(tmp_path: Path) -> None:
    """Empty in 3.x (tested here), the standard's from 4.0 on (with XC_OPENSSL4's library), asked for in 1.1.1 (kunpeng)."""
    argv = made(oracles.openssl, tmp_path)
    with SmClient(local(argv)) as client:
        assert client.hello.version.startswith("OpenSSL 3.")
        assert client.hello.default_id == ""
        assert run_vectors(client, vectors("sm2_default_id")).count() == {VectorResult.PASSED: 12}


@pytest.mark.registry
def test_gmsm(tmp_path: Path) -> None:
    """Open deviations, and a memory error and a wrong tag that this suite found (docs/sm-crypto.md)."""
    argv = made(oracles.ORACLES["emmansun/gmsm"], tmp_path)
    every = {v.file for v in vectors()}
    xts = {"sm4_xts", "sm4_xts_matrix"}
    wrong = failed(run(argv, *(every - xts)))
    # It draws its own k: by chance, one byte is left in the clear once in 256 (SMD-28).
    assert wrong.pop("sm2_encrypt", set()) <= {"1 bytes"}
    assert wrong == {
        # Since 0.44 a message of no bytes is not signed.
        "sm2_sign": {"0 bytes"},
        "sm2_sign_forms": {"EmptyInput"},
        # A host name permits the mailboxes of that host alone (RFC 5280 4.2.1.10); a certificate has three parts.
        "sm2_certificate": {"a@b.example.cn is not permitted", "a fourth part"},
        "sm2_keys_forms": {"SpkiEncoding"},  # SMD-126: values more inside are passed over
        "sm4_forms": {"AeadBuffers", "InPlace"},  # SMD-167: sealing with CCM in place, the tag is of the ciphertext
        # SMD-180: golang.org/x/crypto/pbkdf2 takes no iterations for one; and gives nothing for no bytes.
        "pbkdf2_sm3_limits": {"no bytes", *(f"no iterations for {n} bytes" for n in (1, 32, 40))},
    }
    # Past four blocks with a tail, XTS decryption on amd64 touches memory behind the buffer: whether and by
    # which signal that ends the process depends on where the buffer lies. By itself, since it may spoil what comes after.
    for seen in run(argv, *xts).seen:
        assert seen.result is VectorResult.PASSED or "killed by SIG" in seen.detail or "exit code 2" in seen.detail, (
            seen
        )


@pytest.mark.registry
def test_bouncycastle(tmp_path: Path) -> None:
    result = run(made(oracles.java, tmp_path))
    assert failed(result) == {
        "sm2_decrypt": {"the key stream is a zero byte"},  # GB/T 32918.4-2016 7.1 B4
        "sm2_decrypt_forms": {"ZeroKeyStream"},
        "sm2_keys": {"n-1"},  # its low-level key parameters take any number below n
        "sm2_key_validation_forms": {"PrivateKeyRange", "OwnKeyRange"},
        "sm2_exchange_forms": {"ExchangeOwnKey"},
    }


def test_gmssl_of_pypi_is_red(tmp_path: Path) -> None:
    result = run(made(lambda work: oracles.python(work, "gmssl"), tmp_path))
    wrong = failed(result)
    assert "byte 0 of C3" in wrong["sm2_decrypt"]  # SMD-27: C3 is never looked at
    assert "GB/T 32918.5-2017 C.2" in wrong["sm2_standard"]  # SMD-13: lstrip("04") of the standard's own key
    assert {"C1 on another curve"} <= wrong["sm2_key_validation"]
    assert {"a byte more"} <= wrong["sm2_verify"]


@pytest.mark.registry
def test_tjfoc_gmsm_is_red(tmp_path: Path) -> None:
    argv = made(lambda work: oracles.go(work, "tjfoc"), tmp_path)
    chosen = [
        v for v in vectors("sm4_gcm", "sm4_cbc_pkcs7", "sm2_robustness") if v.file != "sm4_gcm" or v.test.tc_id < 20
    ]
    with SmClient(local(argv), timeout_s=3) as client:
        wrong = failed(run_vectors(client, chosen))
    assert "RFC 8998 appendix A.1" in wrong["sm4_gcm"]  # SMD-58: the lengths in GHASH
    assert "padding: zero" in wrong["sm4_cbc_pkcs7"]  # SMD-69
    assert "cut to 0 bytes" in wrong["sm2_robustness"]  # SMD-36


@pytest.mark.registry
def test_sm_crypto_of_npm(tmp_path: Path) -> None:
    result = run(made(oracles.node, tmp_path), "sm2_decrypt", "sm4_cbc_pkcs7", "sm3", "sm2_verify")
    wrong = failed(result)
    assert set(wrong) == {"sm2_decrypt", "sm4_cbc_pkcs7"}
    assert "padding: zero" in wrong["sm4_cbc_pkcs7"]


def test_libgcrypt_loses_leading_zeros(tmp_path: Path) -> None:
    """SMD-29 in 1.10 to 1.12: a valid ciphertext is refused when x2 or y2 begins with a zero byte."""
    result = run(made(oracles.libgcrypt, tmp_path), "sm2_decrypt")
    zeros = {"x2 begins with a zero byte", "y2 begins with a zero byte"}
    assert failed(result)["sm2_decrypt"] - {"the key stream is a zero byte"} == zeros


def test_the_python_template_needs_nothing_but_its_library() -> None:
    assert sys.version_info >= (3, 11)
    for path in (oracles.HARNESS / "python").glob("*.py"):
        assert "pytest_xinchuang" not in path.read_text()
