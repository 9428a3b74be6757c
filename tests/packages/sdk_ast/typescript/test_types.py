"""Types of TypeScript as trees, and what package.json promises: decided without a compiler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import DataFileError, ToolchainFault
from pytest_xinchuang.packages.sdk_ast.typescript import tool
from pytest_xinchuang.packages.sdk_ast.typescript.manifests import compare_promises, least
from pytest_xinchuang.packages.sdk_ast.typescript.tool import find_compiler, package_name
from pytest_xinchuang.packages.sdk_ast.typescript.trees import Relation, Text, Tree, Unprintable, nodes, same
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools.process import Runner

ANY, STRING, NUMBER, VOID, UNDEFINED = ({"k": "p", "n": n} for n in ("any", "string", "number", "void", "undefined"))
A: Tree = {"k": "l", "v": '"a"'}
UNKNOWN: Tree = {"k": "p", "n": "unknown"}
NOT_FOUND: Tree = {"k": "e", "s": "Gone"}


def union(*of: Tree) -> Tree:
    return {"k": "u", "of": list(of)}


def array(of: Tree, **more: Any) -> Tree:
    return {"k": "a", "of": of, **more}


def holder(**members: Tree) -> Tree:
    return {"k": "o", "members": {n: {"kind": "property", "t": t} for n, t in members.items()}}


def function(result: Tree, *params: Tree) -> Tree:
    return {"k": "o", "members": {}, "call": [{"params": [{"n": "p", "t": t} for t in params], "ret": result}]}


RELATION = Relation(lambda _: None, lambda _: None)


@pytest.mark.parametrize(
    ("value", "wanted", "expected"),
    [
        (STRING, STRING, True),
        (A, STRING, True),
        (STRING, A, False),
        (STRING, union(STRING, NUMBER), True),
        (union(STRING, NUMBER), STRING, False),
        (UNDEFINED, VOID, True),
        (STRING, UNKNOWN, True),
        (UNKNOWN, STRING, False),
        (ANY, STRING, False),
        (array(A), array(STRING), True),
        (array(A, ro=True), array(STRING), False),
        (array(A), array(STRING, ro=True), True),
        (holder(a=A, b=A), holder(a=STRING), True),
        (holder(b=A), holder(a=STRING), False),
        (function(A), function(VOID, STRING), True),
        (function(VOID, A), function(VOID, STRING), False),
        (function(VOID, STRING), function(VOID, A), True),
        (function(VOID, STRING), function(VOID), False),
        ({"k": "p", "n": "boolean"}, union({"k": "l", "v": "true"}, {"k": "l", "v": "false"}), True),
        ({"k": "p", "n": "boolean"}, {"k": "l", "v": "true"}, False),
        (NOT_FOUND, NOT_FOUND, None),
        (NOT_FOUND, STRING, None),
        ({"k": "h", "n": "Hidden"}, holder(a=STRING), None),
        ({"k": "r", "n": "Promise", "args": [A]}, {"k": "r", "n": "Promise", "args": [STRING]}, True),
        ({"k": "r", "n": "Box", "args": [A]}, {"k": "r", "n": "Box", "args": [STRING]}, None),
    ],
)  # fmt: skip
def test_a_value_where_another_type_is_expected(value: Tree, wanted: Tree, expected: bool | None) -> None:
    assert RELATION.holds(value, wanted) is expected


def test_names_of_parameters_are_no_part_of_a_type() -> None:
    one = {"params": [{"n": "a", "t": {"k": "T", "n": "T", "i": "1.0"}}], "tp": [{"n": "T", "i": "1.0"}], "ret": VOID}
    other = {"params": [{"n": "b", "t": {"k": "T", "n": "U", "i": "1.0"}}], "tp": [{"n": "U", "i": "1.0"}], "ret": VOID}
    assert same(one, other)
    assert not same(one, {**other, "ret": STRING})


@pytest.mark.parametrize("name", ["k", "params", "tp", "at", "tags", "of", "members", "e", "infer", "plain"])
def test_members_that_are_called_like_keys_of_ours(name: str) -> None:
    one, other = holder(**{name: STRING}), holder(**{name: NUMBER})
    assert same(one, one) and not same(one, other)
    assert RELATION.holds(one, other) is False
    assert STRING in list(nodes(one))


def test_what_has_no_name_is_no_text_of_a_program() -> None:
    hidden = {"k": "h", "n": "Hidden"}
    assert Text().type(hidden) == "Hidden"
    with pytest.raises(Unprintable):
        Text(strict=True).type(hidden)
    named = {"k": "r", "e": "lib/sub", "n": "N.O", "args": [STRING]}
    assert Text(strict=True).type(named) == 'import("lib/sub").N.O<string>'


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(">=18", (18, 0, 0)), ("^16.2 || >=20", (16, 2, 0)), ("*", ()), ("<5", ()), ("v3.1.4", (3, 1, 4)), ("", ())],
)
def test_the_least_version_of_a_range(wanted: str, expected: tuple[int, ...]) -> None:
    assert least(wanted) == expected


def promises(**more: Any) -> dict[str, Any]:
    plain = {"type": "commonjs", "engines": {}, "peers": {}, "optional": [], "bin": [], "closed": False, "files": []}
    return {**plain, "language": "", **more}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"engines": {"node": ">=16"}}, {"engines": {"node": ">=20"}}, ["TS-ENGINE-RAISED"]),
        ({"engines": {"node": ">=20"}}, {"engines": {"node": ">=16"}}, []),
        ({}, {"peers": {"react": "^18"}}, ["TS-PEER-ADDED"]),
        ({}, {"peers": {"react": "^18"}, "optional": ["react"]}, []),
        ({"peers": {"react": "^17 || ^18"}}, {"peers": {"react": "^18"}}, ["TS-PEER-RAISED"]),
        ({"peers": {"react": "^18"}}, {"peers": {"react": "^18 || ^19"}}, []),
        ({"bin": ["tool"]}, {}, ["TS-BIN-REMOVED"]),
        ({}, {"bin": ["tool"]}, ["TS-BIN-ADDED"]),
        ({"files": ["a.js", "b.js", "c.js"]}, {"closed": True}, ["TS-EXPORTS-CLOSED"]),
        ({"files": ["a.js", "b.js"]}, {"files": ["a.js"]}, ["TS-FILE-REMOVED"]),
        ({}, {"type": "module"}, ["TS-MODULE-TYPE-CHANGED"]),
        ({"language": "4.10"}, {"language": "5.0"}, ["TS-LANGUAGE-RAISED"]),
        ({"language": "5.0"}, {"language": "4.9"}, []),
    ],
)
def test_what_a_manifest_promises(old: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    assert [rule for rule, *_ in compare_promises(promises(**old), promises(**new), ())] == expected


@pytest.mark.parametrize("name", ['"lib"', '"@me/lib"', '"lib.js"'])
def test_a_package_and_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "package.json").write_text(f'{{"name": {name}}}')
    assert package_name(tmp_path) == name.strip('"')


@pytest.mark.parametrize("text", ['{"name": "../up"}', '{"name": 3}', '{"name": "a b"}', "[]", "{", '{"name": ".."}'])
def test_a_package_without_a_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "package.json").write_text(text)
    with pytest.raises(DataFileError, match=r"package\.json"):
        package_name(tmp_path)


def test_no_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool.shutil, "which", lambda _name: None)
    with pytest.raises(ToolchainFault, match=r"there is no Node\.js") as caught:
        find_compiler(Cache(tmp_path), tmp_path, offline=True, runner=Runner())
    assert "18" in str(caught.value.mend)


def test_an_old_node_and_no_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool.shutil, "which", lambda name: "/node" if name == "node" else None)
    monkeypatch.setattr(tool, "version_of", lambda *_, **__: "v16.3.0")
    with pytest.raises(ToolchainFault, match=r"16\.3\.0"):
        find_compiler(Cache(tmp_path), tmp_path, offline=True, runner=Runner())
    monkeypatch.setattr(tool, "version_of", lambda *_, **__: "v20.1.0")
    with pytest.raises(ToolchainFault, match="there is no npm") as caught:
        find_compiler(Cache(tmp_path), tmp_path, offline=True, runner=Runner())
    assert "npm install typescript" in str(caught.value.mend)


def test_another_compiler_beside_the_subject_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = tmp_path / "node_modules" / "typescript" / "lib"
    forged.mkdir(parents=True)
    (forged / "typescript.js").write_text("module.exports = { version: '5.9.3' };")
    monkeypatch.setattr(tool.shutil, "which", lambda name: "/node" if name == "node" else None)
    monkeypatch.setattr(tool, "version_of", lambda *_, **__: "v20.1.0")
    with pytest.raises(ToolchainFault, match="there is no npm"):
        find_compiler(Cache(tmp_path / "cache"), tmp_path, offline=True, runner=Runner())
