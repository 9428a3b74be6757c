"""Every rule's witness and every case of the table, compiled and compared."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.sdk_ast.compare import Judged, compare
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.witness import Case, broken, write

pytestmark = pytest.mark.tools

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases.yaml").read_text())
RULES = Rules()
WITNESSED = [rule for rule in RULES.by_id.values() if rule.id.startswith("GO-") and rule.witness]


def _cases() -> list[Case]:
    table = [Case(n, c["name"], c["old"], c["new"], c["client"], c["breaks"]) for n, c in enumerate(CASES)]
    for n, rule in enumerate(WITNESSED, len(table)):
        w = rule.witness
        assert w is not None
        table.append(Case(n, rule.id, w.old, w.new, w.client, w.breaks))
    return table


@dataclass
class Seen:
    """What compiler and comparison said, by the number of the case."""

    old: dict[str, str]
    new: dict[str, str]
    changes: dict[int, list[Judged]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    directory = tmp_path_factory.mktemp("witnesses")
    cache = Cache()
    cases = _cases()
    write(cases, directory)
    with Sources(cache, ReadOptions(offline=True)) as sources:
        old, new = (sources.read(str(directory / version)) for version in ("old", "new"))
        comparison = compare(old, new, RULES)
    changes: dict[int, list[Judged]] = defaultdict(list)
    for one in comparison.changes:
        changes[int(one.change.symbol.split("/")[1][1:])].append(one)
    return Seen(broken(directory / "old", cache.root), broken(directory / "new", cache.root), changes)


def _of(seen: Seen, number: int) -> list[Judged]:
    # The client is a package of the module, too.
    return [j for j in seen.changes[number] if f"/c{number}/client" not in j.change.symbol]


def _compiles_as_told(seen: Seen, case: Case) -> None:
    client, library = f"w/c{case.number}/client", f"w/c{case.number}/p"
    for said in (seen.old, seen.new):
        assert not [text for path, text in said.items() if path.startswith(library)]
    assert client not in seen.old, seen.old[client]
    assert (client in seen.new) is case.breaks, seen.new.get(client, "the client builds with the new version")


@pytest.mark.parametrize("case", _cases()[: len(CASES)], ids=lambda c: c.name)
def test_a_case_of_the_table(seen: Seen, case: Case) -> None:
    _compiles_as_told(seen, case)
    found = _of(seen, case.number)
    assert {j.rule.id for j in found} == set(CASES[case.number]["expect"])
    weights = {j.weight for j in found}
    assert "undecided" not in weights
    if "breaking" in weights:
        assert case.breaks, "a break that no client sees is a false alarm"
    if case.breaks:
        # What clients break by is never called compatible; literals without keys are the policy's.
        assert weights & {"breaking", "fragile"} or any(j.rule.policy == "unkeyed_literals" for j in found)


@pytest.mark.parametrize("case", _cases()[len(CASES) :], ids=lambda c: c.name)
def test_a_rules_witness(seen: Seen, case: Case) -> None:
    _compiles_as_told(seen, case)
    rule = RULES.get(case.name)
    assert rule.id in {j.rule.id for j in _of(seen, case.number)}
    if rule.breaking:
        assert case.breaks
    if not rule.axes:
        assert not case.breaks


def test_witnesses_build_where_they_stand() -> None:
    """What an editor makes of them: each client is one of the old library, and new libraries are sound by themselves."""
    assert broken(resources.conformance_dir() / "sdk_ast" / "rules" / "go", Cache().root) == {}


def test_every_rule_has_a_witness_or_is_shown_elsewhere() -> None:
    # Modules, targets and facts behind stubs are shown in test_modules; type parameters of methods need Go 1.27.
    # What no rule explains, a client of test_golang shows.
    elsewhere = {"GO-UNEXPLAINED", "GO-MOD-", "GO-PKG-NESTED-", "GO-PKG-TARGET-", "GO-UNVERIFIABLE"}
    future = {
        "GO-METHOD-TO-GENERIC",
        "GO-METHOD-TYPEPARAMS-CHANGED",
        "GO-METHOD-TYPEPARAMS-REORDERED",
        "GO-METHOD-CONSTRAINT-TIGHTENED",
        "GO-METHOD-CONSTRAINT-LOOSENED",
    }
    for rule in RULES.by_id.values():
        if rule.id.startswith("GO-") and rule.witness is None:
            assert rule.id in future or any(rule.id.startswith(prefix) for prefix in elsewhere), rule.id
