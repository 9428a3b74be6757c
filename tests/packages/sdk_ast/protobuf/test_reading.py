"""Schemas that are read otherwise than one might think, and those that cannot be: each is told, and none passes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import ToolchainFault, XcError
from pytest_xinchuang.packages.sdk_ast.protobuf import compiler
from pytest_xinchuang.packages.sdk_ast.protobuf.compiler import compile_schema
from pytest_xinchuang.tools.process import Runner
from tests.packages.sdk_ast.protobuf.test_rules import diff
from tests.packages.sdk_ast.trees import rules_of

pytest.importorskip("grpc_tools")
pytestmark = [pytest.mark.tools, pytest.mark.skipif(not hasattr(os, "fork"), reason="as in the other tests")]

M = 'syntax = "proto3";\n\npackage acme;\n\nmessage M {\n  int32 a = 1;\n}\n'


def write(directory: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return directory


def pair(directory: Path, old: dict[str, str | bytes], new: dict[str, str | bytes]) -> Path:
    write(directory / "old", old)
    write(directory / "new", new)
    return directory


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("message M {", id="cut off"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param('syntax = "proto9";', id="a syntax that is none"),
        pytest.param('syntax = "proto3";\nimport "not/here.proto";', id="an import that is missing"),
        pytest.param('syntax = "proto3";\nimport "b.proto";', id="an import of itself"),
        pytest.param('syntax = "proto3";\nmessage A {\n  int32 a = 1;\n  int32 b = 1;\n}', id="a number twice"),
        pytest.param('syntax = "proto3";\nmessage A {\n  Nowhere a = 1;\n}', id="a type that is not there"),
        pytest.param("", id="nothing in it, which is fine"),
    ],
)
def test_a_file_that_does_not_compile_is_undecided(
    tmp_path: Path, broken: str | bytes, request: pytest.FixtureRequest
) -> None:
    pair(
        tmp_path, {"a.proto": M, "b.proto": M.replace("M", "N").replace("acme", "b")}, {"a.proto": M, "b.proto": broken}
    )
    comparison = diff(tmp_path)
    if "fine" in request.node.callspec.id:
        assert comparison.breaking
        return
    assert comparison.undecided
    assert not comparison.breaking
    assert comparison.new.problems
    assert all(str(problem) for problem in comparison.new.problems)
    assert "PROTO-UNVERIFIABLE" in rules_of(comparison)


def test_options_that_say_what_holds_anyway(tmp_path: Path) -> None:
    new = M.replace("message", "option java_multiple_files = false;\noption optimize_for = SPEED;\n\nmessage")
    assert not diff(pair(tmp_path, {"a.proto": M}, {"a.proto": new})).changes


def test_nothing_compiles(tmp_path: Path) -> None:
    pair(tmp_path, {"a.proto": "message {"}, {"a.proto": "message {"})
    assert diff(tmp_path).undecided


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(XcError, match=r"no \.proto file"):
        compile_schema(write(tmp_path, {"README": "nothing"}), Runner())


def test_a_host_without_protoc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(compiler.shutil, "which", lambda name: None)
    with pytest.raises(ToolchainFault, match="there is no protoc") as caught:
        compile_schema(write(tmp_path, {"a.proto": M}), Runner())
    assert caught.value.mend


def test_imports_begin_where_they_have_to(tmp_path: Path) -> None:
    base = 'syntax = "proto3";\n\npackage acme.base;\n\nmessage B {\n  int32 a = 1;\n}\n'
    user = 'syntax = "proto3";\n\npackage acme;\n\nimport "acme/base.proto";\n\nmessage M {\n  acme.base.B b = 1;\n}\n'
    files: dict[str, str | bytes] = {"proto/src/acme/base.proto": base, "proto/src/acme/user.proto": user}
    schema = compile_schema(write(tmp_path / "plain", files), Runner())
    assert not schema.problems
    assert schema.own == {"acme/base.proto", "acme/user.proto"}
    told = {**files, "buf.yaml": "version: v2\nmodules:\n  - path: proto/src\n"}
    assert compile_schema(write(tmp_path / "buf", told), Runner()).own == schema.own


def test_what_google_brings_is_found(tmp_path: Path) -> None:
    pytest.importorskip("google.api")
    text = (
        'syntax = "proto3";\n\nimport "google/api/annotations.proto";\nimport "google/protobuf/timestamp.proto";\n\n'
        "message M {\n  google.protobuf.Timestamp t = 1;\n}\n"
    )
    schema = compile_schema(write(tmp_path, {"a.proto": text}), Runner())
    assert not schema.problems
    assert schema.own == {"a.proto"}


def test_a_number_that_was_reserved_is_used(tmp_path: Path) -> None:
    old = M.replace("int32 a = 1;", "int32 a = 1;\n  reserved 2 to 5;")
    pair(tmp_path / "used", {"a.proto": old}, {"a.proto": M.replace("int32 a = 1;", "int32 a = 1;\n  int32 b = 3;")})
    found = rules_of(diff(tmp_path / "used"), "breaking")
    assert found == {"PROTO-RESERVED-REUSED": ["acme.M.b"]}
    pair(tmp_path / "kept", {"a.proto": old}, {"a.proto": old.replace("int32 a = 1;", "int32 a = 1;\n  int32 b = 6;")})
    assert not diff(tmp_path / "kept").breaking


def test_options_that_name_generated_code(tmp_path: Path) -> None:
    text = 'option go_package = "example.com/a/v1;av1";\noption java_package = "com.example.a";\n'
    old = M.replace("message", text + "\nmessage")
    pair(tmp_path / "go", {"a.proto": old}, {"a.proto": old.replace("a/v1", "a/v2")})
    assert rules_of(diff(tmp_path / "go"), "breaking") == {"PROTO-FILE-OPTION-CHANGED": ["a.proto(go_package)"]}
    pair(tmp_path / "same", {"a.proto": old}, {"a.proto": old})
    assert not diff(tmp_path / "same").changes


def test_presence_that_generated_go_shows(tmp_path: Path) -> None:
    pair(tmp_path, {"a.proto": M}, {"a.proto": M.replace("int32 a", "optional int32 a")})
    assert rules_of(diff(tmp_path), "breaking") == {"PROTO-FIELD-PRESENCE-ADDED": ["acme.M.a"]}


def test_what_is_in_a_map_is_compared_as_values(tmp_path: Path) -> None:
    """NaN is no other NaN, and an enumeration that gained its first name in common is no message."""
    old = M.replace("int32 a = 1;", "map<string, double> a = 1;\n  map<string, E> e = 2;") + "\nenum E {\n  Z = 0;\n}\n"
    new = old.replace("Z = 0;", "Z = 0;\n  Y = 1;")
    assert rules_of(diff(pair(tmp_path, {"a.proto": old}, {"a.proto": new}))) == {
        "PROTO-ENUM-VALUE-ADDED": ["acme.E.Y"]
    }
    other = old.replace("map<string, E>", "map<string, int32>")
    found = rules_of(diff(pair(tmp_path / "other", {"a.proto": old}, {"a.proto": other})), "breaking")
    assert found == {"PROTO-FIELD-TYPE-RELATED": ["acme.M.e"]}
    back = diff(pair(tmp_path / "back", {"a.proto": other}, {"a.proto": old}))
    assert rules_of(back, "breaking") == {"PROTO-FIELD-TYPE-RELATED": ["acme.M.e"]}
