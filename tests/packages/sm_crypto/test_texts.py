"""What SM checks tell, in both languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_xinchuang.core.errors import DataFileError, XcError
from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import Message, render, told, verbatim
from pytest_xinchuang.packages.sm_crypto.concurrency import check_concurrency
from pytest_xinchuang.packages.sm_crypto.defects import load_bank
from pytest_xinchuang.packages.sm_crypto.engine import vectors_dir
from pytest_xinchuang.packages.sm_crypto.judge import Ask, VectorResult
from pytest_xinchuang.packages.sm_crypto.nonces import biases
from pytest_xinchuang.packages.sm_crypto.protocol import Lack, LackKind
from pytest_xinchuang.packages.sm_crypto.report import as_text, endpoint_as_text, explain, list_files
from pytest_xinchuang.packages.sm_crypto.runner import VectorOutcome, VectorRun
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Endpoint, Spoken
from pytest_xinchuang.packages.sm_crypto.tls.probe import parse_address, probe, read_roots
from pytest_xinchuang.packages.sm_crypto.vectors import find, load_directory, load_file, told_vector
from pytest_xinchuang.sm import der, sm4
from pytest_xinchuang.sm.sm2 import Refused, Sm2
from tests.messages.english import english_in

BANK = load_bank()
LOADED = load_directory(vectors_dir())
VECTOR = find(LOADED, "sm2_verify/17")[0]


def is_chinese(message: str) -> bool:
    text = render(message, "zh")
    return isinstance(message, Message) and text != message and not english_in(text)


@pytest.mark.parametrize(
    ("ask", "reply"),
    [
        (Ask(VECTOR, {}, {"valid": True}), {"valid": False}),
        (Ask(VECTOR, {}, {"valid": True}), {"valid": False, "why": "no"}),
        (Ask(VECTOR, {}, {"msg": "00"}), {}),
        (Ask(VECTOR, {}, {"msg": "00"}), {"msg": "01"}),
        (Ask(VECTOR, {}, {}), {"error": "no"}),
        (Ask(VECTOR, {}, {}), {"unsupported": "no"}),
        (Ask(VECTOR, {}, {}), {"error": "no", "msg": "00"}),
        (Ask(VECTOR, {}, {}, refuse=True), {"msg": "00"}),
        (Ask(VECTOR, {}, {}, refuse=True), {}),
    ],
)
def test_failures_are_told_in_both_languages(ask: Ask, reply: dict[str, object]) -> None:
    result, detail = ask.judge(Answer(ReplyKind.REPLY, reply))
    assert result is VectorResult.FAILED and is_chinese(detail)


def test_a_comment_of_a_vector_is_data_and_quoted() -> None:
    named = told_vector(VECTOR)
    assert named == f"sm2_verify/17 ({VECTOR.test.comment})"
    assert named.render("zh") == f"sm2_verify/17（“{VECTOR.test.comment}”）"
    bare = replace(VECTOR, test=VECTOR.test.model_copy(update={"comment": ""}))
    assert told_vector(bare) == told_vector(bare).render("zh") == "sm2_verify/17"


def test_a_flag_is_told_with_its_meaning() -> None:
    defect = BANK.first_of(("Pseudorandom", "LongId"))
    assert defect is not None and defect.told == f"SMD-10 LongId: {defect.en}"
    assert defect.told.render("zh") == f"SMD-10 LongId：{defect.zh}"
    flag = BANK.first_of(("Unheard", "Pseudorandom"))
    assert flag is not None and flag.told.render("zh") == f"Pseudorandom：{flag.zh}"
    assert BANK.first_of(("Unheard",)) is None


def test_where_defects_were_met_is_told_in_both_languages() -> None:
    for defect in BANK.defects:
        assert not [o for o in defect.origins if english_in(o.render("zh"))]


def test_files_and_vectors_are_told_in_both_languages() -> None:
    assert list_files(LOADED).endswith("vectors in 38 files\n")
    assert list_files(LOADED, "zh").splitlines()[-1].startswith("38 个文件，共")
    assert not english_in(list_files(LOADED, "zh"))
    assert explain(VECTOR, BANK, "zh").splitlines()[-1].startswith("EntlEncoding：SMD-11")


def test_a_run_is_told_in_both_languages() -> None:
    outcomes = [VectorOutcome(VECTOR, VectorResult.FAILED, "sm2_verify", verbatim("?")) for _ in range(7)]
    outcomes.append(VectorOutcome.unsupported(VECTOR, Lack(LackKind.OPERATION, "sm3")))
    outcomes.append(VectorOutcome.unsupported(VECTOR, Lack(LackKind.GIVEN_K)))
    text = as_text(VectorRun(outcomes), BANK, "xc sm run", lang="zh")
    assert (
        "不通过 7、不支持 2" in text and "另有 2 条" in text and "测试程序不支持：sm3 操作（1）、k 的指定（1）" in text
    )
    assert not english_in(text)
    assert "the harness does not offer: operation sm3 (1), a given k (1)" in as_text(VectorRun(outcomes), BANK, "")


def test_what_a_server_speaks_is_told_in_both_languages() -> None:
    spoken = Spoken("TLCP 1.1", "ECC_SM4_CBC_SM3", certificates=[b"?"])
    endpoint = Endpoint("127.0.0.1:1", [spoken], {"TLS 1.2": verbatim("NO_CIPHERS")})
    text = endpoint_as_text(endpoint, "zh")
    assert "TLS 1.2：不支持（NO_CIPHERS）" in text and "无法读取：不是证书" in text
    assert "TLS 1.2: no (NO_CIPHERS)" in endpoint_as_text(endpoint)


def test_an_endpoint_that_cannot_be_reached_is_told_in_both_languages(tmp_path: Path) -> None:
    with pytest.raises(XcError) as unreachable:
        probe("127.0.0.1:1", timeout_s=5)
    assert is_chinese(unreachable.value.what)
    with pytest.raises(XcError) as missing:
        read_roots(tmp_path / "ca.pem")
    assert is_chinese(missing.value.what)
    with pytest.raises(XcError) as wrong:
        parse_address("nowhere")
    assert is_chinese(wrong.value.what)


def test_random_numbers_that_are_none_are_told_in_both_languages() -> None:
    found = [*biases([7] * 300), *biases(range(1, 300)), *biases([3**n for n in range(150)])]
    assert len(found) > 5 and all(map(is_chinese, found))


def test_refusals_of_the_reference_keep_their_languages() -> None:
    sm2 = Sm2()
    for refused in (b"", bytes(65), b"\x02" + b"\xff" * 32):
        with pytest.raises(Refused) as error:
            sm2.decode_point(refused)
        assert is_chinese(told(error.value))
    with pytest.raises(Refused) as error:
        sm2.decode_signature(b"\x30\x00", "der")
    assert told(error.value).render("zh") == "DER：应为标签 0x02"


@pytest.mark.parametrize(
    "call",
    [lambda: der.read_sequence(b"\x30\x81\x00"), lambda: sm4.unpad(b"\0"), lambda: sm4.whole(b"\0")],
    ids=["der", "padding", "blocks"],
)
def test_errors_of_the_reference_are_told_in_both_languages(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError) as error:
        call()
    assert is_chinese(told(error.value))


def test_a_vector_file_that_cannot_be_read_is_told_in_both_languages(tmp_path: Path) -> None:
    path = tmp_path / "x_test.json"
    for text in ("[]", "{}", '{"algorithm": "x", "numberOfTests": 1, "testGroups": []}'):
        path.write_text(text)
        with pytest.raises(DataFileError) as error:
            load_file(path)
        assert is_chinese(error.value.what)


def test_no_operation_to_run_at_once_is_told_in_both_languages() -> None:
    found = check_concurrency(SimpleNamespace(hello=SimpleNamespace(operations={})), [])  # type: ignore[arg-type]
    assert is_chinese(found.undecided) and is_chinese(found.mend)
