"""npm packages: every rule's witness and every case of ``bench/verdicts/typescript`` through tsc and through the comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cases import Case, cases
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.packages.sdk_ast.compare import Comparison
from pytest_xinchuang.packages.sdk_ast.rules import Rule, Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.typescript.batch import Library, Seen, compiler_or_skip, diff, put, see

pytestmark = [pytest.mark.tools, pytest.mark.slow]


def _of_case(case: Case) -> Library:
    def below(side: str) -> dict[str, str]:
        return {name.removeprefix(side): text for name, text in case.files.items() if name.startswith(side)}

    return Library(case.name, below("old/"), below("new/"), below("client/"))


WITNESSED = [r for r in Rules().by_id.values() if r.id.startswith("TS-") and r.witness]
CASES = cases("typescript")
APART = [case for case in CASES if _of_case(case).alone]
TOGETHER = [case for case in CASES if case not in APART]


def _of_rule(rule: Rule) -> Library:
    witness = rule.witness
    assert witness is not None
    client = 'import * as lib from "lib";\n' + witness.client.replace('"./old/index.js"', '"lib"')
    return Library(rule.id, {"index.d.ts": witness.old}, {"index.d.ts": witness.new}, {"client.ts": client})


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    compiler = compiler_or_skip()
    libraries = [*map(_of_rule, WITNESSED), *map(_of_case, TOGETHER)]
    return see(libraries, tmp_path_factory.mktemp("typescript"), compiler)


@pytest.mark.parametrize("rule", WITNESSED, ids=lambda r: r.id)
def test_a_rules_witness(seen: Seen, rule: Rule) -> None:
    name, witness = rule.id, rule.witness
    assert witness is not None
    found = {one.rule.id: one.weight for one in seen.changes[name]}
    assert name in found
    assert name not in seen.old, seen.old[name]
    assert (name in seen.new) is witness.breaks, seen.new.get(name, "the client builds with the new version")
    assert ("breaking" in found.values()) is witness.breaks, found


@pytest.mark.parametrize("case", TOGETHER, ids=lambda c: c.name)
def test_a_case(seen: Seen, case: Case) -> None:
    _is_right(seen, case)


@pytest.mark.parametrize("case", APART, ids=lambda c: c.name)
def test_a_case_that_is_a_package(tmp_path: Path, case: Case) -> None:
    _is_right(see([_of_case(case)], tmp_path, compiler_or_skip()), case)


def _is_right(seen: Seen, case: Case) -> None:
    """Truth is tsc's; what it says breaks is called breaking, and nothing else is."""
    assert case.name not in seen.old, seen.old[case.name]
    assert (case.name in seen.new) is case.breaks, seen.new.get(case.name, "the client builds with the new version")
    found = [(one.rule.id, one.weight) for one in seen.changes[case.name]]
    assert ("breaking" in {weight for _rule, weight in found}) is case.breaks, found


def test_every_rule_has_a_witness_or_says_why() -> None:
    folder = Path("conformance/sdk_ast/rules/typescript")
    for rule in Rules().by_id.values():
        if rule.id.startswith("TS-") and rule.witness is None:
            assert "\n# " in (folder / rule.id / "rule.yaml").read_text(encoding="utf-8"), rule.id


def _pair(directory: Path, old: dict[str, str], new: dict[str, str]) -> Comparison:
    compiler_or_skip()
    return diff(put(directory / "old", old), put(directory / "new", new), fast=True)


def test_a_syntax_error_makes_nothing_compatible(tmp_path: Path) -> None:
    good = "export declare function f(): void;\n"
    found = _pair(tmp_path, {"index.d.ts": good}, {"index.d.ts": "export declare function g(: void;\n"})
    assert found.undecided and not found.breaking
    assert any("index.d.ts:1" in str(one) for one in found.new.problems)


def test_a_type_that_is_not_there_is_undecided(tmp_path: Path) -> None:
    head = 'import { T } from "not-here";\n'
    old = {"index.d.ts": head + "export declare function f(a: T): void;\nexport declare const b: T;"}
    new = {"index.d.ts": head + "export declare function f(a: T, b?: string): void;\nexport declare const b: T;"}
    found = _pair(tmp_path, old, new)
    assert found.undecided and [one.change.symbol for one in found.of("undecided")] == ["f"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"package.json": "{"}, "package.json"),
        ({"package.json": '{"name": "lib"}', "README.md": ""}, "delivers neither declarations nor JavaScript"),
        (
            {"package.json": '{"name": "lib", "types": "dist/index.d.ts"}'},
            "delivers neither declarations nor JavaScript",
        ),
    ],
)
def test_what_is_no_package_is_told(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    with pytest.raises(XcError, match=expected):
        _pair(tmp_path, files, files)


def test_an_archive_that_is_cut_off(tmp_path: Path) -> None:
    compiler_or_skip()
    archive = tmp_path / "lib-1.0.0.tgz"
    archive.write_bytes(b"\x1f\x8b no archive")
    with Sources(Cache(), ReadOptions()) as sources, pytest.raises(XcError, match=r"lib-1.0.0.tgz"):
        sources.read(str(archive))
