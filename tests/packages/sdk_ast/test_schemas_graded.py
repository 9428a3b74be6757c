"""Schemas as a contract that is graded: kept, broken, and not to be read, which is never a pass."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Cause, Verdict
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.packages.sdk_ast.engine import SdkEngine
from pytest_xinchuang.provision.cache import Cache

pytestmark = pytest.mark.tools

PROTO = 'syntax = "proto3";\n\npackage acme;\n\nmessage M {\n  int32 a = 1;\n}\n'
OPENAPI = """openapi: 3.1.0
info: {title: Pets, version: 1.0.0}
paths: {/pets: {get: {responses: {"200": {content: {application/json: {schema: {type: string}}}}}}}}
"""
SQL = "-- dialect: sqlite\nCREATE TABLE t (a INT, b TEXT);\n"
CASES = [
    ("sql", "schema.sql", SQL, SQL.replace(", b TEXT", ""), Verdict.FAIL),
    ("sql", "schema.sql", SQL, SQL.replace("b TEXT", "b TEXT, c INT"), Verdict.PASS),
    ("sql", "schema.sql", SQL, SQL + "FROBNICATE t;\n", Verdict.INCONCLUSIVE),
    ("protobuf", "a.proto", PROTO, PROTO.replace("a = 1", "b = 1"), Verdict.FAIL),
    ("protobuf", "a.proto", PROTO, PROTO.replace("a = 1;", "a = 1;\n  int32 b = 2;"), Verdict.PASS),
    ("protobuf", "a.proto", PROTO, PROTO.replace("a = 1", "a"), Verdict.INCONCLUSIVE),
    ("openapi", "openapi.yaml", OPENAPI, OPENAPI.replace("type: string", "type: integer"), Verdict.FAIL),
    ("openapi", "openapi.yaml", OPENAPI, OPENAPI.replace("type: string", "type: string, minLength: 1"), Verdict.PASS),
    ("openapi", "openapi.yaml", OPENAPI, OPENAPI.replace("type: string", "$ref: 'x.yaml'"), Verdict.INCONCLUSIVE),
]


def decision(directory: Path, case: Any, platforms: Platforms, catalogue: Catalogue) -> Any:
    language, name, old, new, _verdict = case
    for side, text in (("old", old), ("new", new)):
        (directory / side).mkdir()
        (directory / side / name).write_text(text)
    sdk = {"language": language, "path": "new", "baseline": "old"}
    document = {"schema": "xc-subject/1", "name": "x", "version": "1.0.0", "sdk": sdk}
    (directory / "xinchuang.yaml").write_text(json.dumps(document))
    engine = SdkEngine(platforms.get("kunpeng"), load_subject(directory), catalogue, Cache(), offline=True)
    try:
        return engine.decision("XC-SDK-010")
    finally:
        engine.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[4].value}")
def test_a_contract(case: Any, tmp_path: Path, platforms: Platforms, catalogue: Catalogue) -> None:
    pytest.importorskip("grpc_tools")
    pytest.importorskip("jsonschema")
    pytest.importorskip("sqlglot")
    assert decision(tmp_path, case, platforms, catalogue).verdict is case[4]


def test_a_host_without_protoc_decides_nothing(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("google.protobuf")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    found = decision(tmp_path, next(case for case in CASES if case[0] == "protobuf"), platforms, catalogue)
    assert (found.verdict, found.cause) == (Verdict.INCONCLUSIVE, Cause.HOST)
