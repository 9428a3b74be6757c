"""npm packages: every rule's witness and every case of ``bench/verdicts/typescript`` through tsc and through the comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cases import Case, cases
from pytest_xinchuang.packages.sdk_ast.rules import Rule, Rules
from tests.packages.sdk_ast.ts_batch import Library, Seen, compiler_or_skip, see

pytestmark = [pytest.mark.tools, pytest.mark.slow]

WITNESSED = [r for r in Rules().by_id.values() if r.id.startswith("TS-") and r.witness]
CASES = cases("typescript")


def _of_rule(rule: Rule) -> Library:
    witness = rule.witness
    assert witness is not None
    client = 'import * as lib from "lib";\n' + witness.client.replace('"./old/index.js"', '"lib"')
    return Library(rule.id, {"index.d.ts": witness.old}, {"index.d.ts": witness.new}, {"client.ts": client})


def _of_case(case: Case) -> Library:
    def below(side: str) -> dict[str, str]:
        return {name.removeprefix(side): text for name, text in case.files.items() if name.startswith(side)}

    return Library(case.name, below("old/"), below("new/"), below("client/"))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    compiler = compiler_or_skip()
    libraries = [*map(_of_rule, WITNESSED), *map(_of_case, CASES)]
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


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_case(seen: Seen, case: Case) -> None:
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
