"""Real modules of the proxy: moves that users really had to make, and apidiff's own golden cases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare, compare_across
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.trees import read, rules_of

pytestmark = pytest.mark.registry


@pytest.fixture(scope="module")
def sources() -> Iterator[Sources]:
    with Sources(Cache(), ReadOptions()) as opened:
        yield opened


def published(sources: Sources, old: str, new: str, policy: ApiPolicy | None = None) -> Comparison:
    return compare(sources.read(old), sources.read(new), Rules(), policy)


def test_pgx_from_v4_to_v5(sources: Sources) -> None:
    """What openGauss users of pgx meet: the tracer takes the logger's place, and the types move."""
    comparison = published(sources, "github.com/jackc/pgx/v4@v4.18.3", "github.com/jackc/pgx/v5@v5.7.5")
    assert (comparison.old.grade, comparison.new.grade) == ("typed", "typed")
    assert not comparison.undecided
    found = rules_of(comparison, "breaking")
    assert {"Logger", "QuerySimpleProtocol", "QueryFuncRow"} <= set(found["GO-TYPE-REMOVED"])
    assert "Tx.BeginFunc" in found["GO-IFACE-METHOD-REMOVED"]
    assert "Rows.Conn" in found["GO-IFACE-METHOD-ADDED"]
    assert "ConnConfig.Logger" in found["GO-FIELD-REMOVED"]
    assert any(j.change.symbol == "ConnConfig.Tracer" for j in comparison.changes)


def test_tjfoc_gmsm_to_emmansun_gmsm_by_a_package_map(sources: Sources) -> None:
    names = {f"github.com/tjfoc/gmsm/{p}": f"github.com/emmansun/gmsm/{p}" for p in ("sm2", "sm3", "sm4")}
    policy = ApiPolicy(package_map=names)
    comparison = published(sources, "github.com/tjfoc/gmsm@v1.4.1", "github.com/emmansun/gmsm@v0.41.0", policy)
    found = rules_of(comparison, "breaking")
    assert "./sm2.PublicKey" in found["GO-TYPE-REMOVED"]
    assert "./sm3.Sm3Sum" in found["GO-FUNC-REMOVED"]
    assert "./sm2.Encrypt" in found["GO-FUNC-PARAM-TYPE-CHANGED"]
    assert not comparison.undecided


def test_gin_from_1_9_to_1_10(sources: Sources) -> None:
    found = rules_of(
        published(sources, "github.com/gin-gonic/gin@v1.9.1", "github.com/gin-gonic/gin@v1.10.1"), "breaking"
    )
    assert sorted(found["GO-FUNC-VARIADIC-ADDED"]) == ["Default", "New"]
    assert "./binding.JSON" in found["GO-VAR-TYPE-CHANGED"]
    assert set(found) == {"GO-FUNC-VARIADIC-ADDED", "GO-VAR-TYPE-CHANGED"}


def test_x_sys_across_architectures() -> None:
    options = ReadOptions(targets=("linux/amd64", "linux/arm64", "linux/loong64"))
    with Sources(Cache(), options) as sources:
        snapshot = sources.read("golang.org/x/sys@v0.36.0")
        found = rules_of(compare_across(snapshot, Rules()), "breaking")
        same = sources.read("github.com/emmansun/gmsm@v0.41.0")
        assert not compare_across(same, Rules()).changes
    assert "./unix.SYS_OPEN" in found["GO-CONST-REMOVED"]
    assert "./unix.SYS_READ" in found["GO-CONST-VALUE-CHANGED"]
    assert "./unix.Stat_t.Nlink" in found["GO-FIELD-TYPE-CHANGED"]


APIDIFF = ("golang.org/x/exp", "v0.0.0-20261113113407-e3970619a1a4")

# What apidiff calls incompatible and we fragile; each is a case of cases.yaml, where a compiled client shows what it does.
FRAGILE = {
    "types.I6": "interface becomes an alias of an equal foreign one: only a switch with a case for both notices",
    "variables.VS3": "anonymous struct var gains a field: only a client that spells the type out notices",
}


def _golden(directory: Path, target: Path) -> dict[str, tuple[set[str], set[str]]]:
    """Write apidiff's cases as two modules; returns what it calls incompatible and compatible, by file."""
    wanted = {}
    for file in sorted(directory.glob("*.go")):
        parts: dict[str, list[str]] = {"old": [], "new": []}
        where = ["old", "new"]
        said: dict[str, set[str]] = {"i": set(), "c": set()}
        for line in file.read_text().splitlines():
            if match := re.match(r"\s*//\s*(old|new|both|i|c)\b\s*(.*)", line):
                if match[1] in said:
                    said[match[1]].add(re.split(r"[:,]", match[2])[0])
                else:
                    where = ["old", "new"] if match[1] == "both" else [match[1]]
            for side in where:
                parts[side].append(line)
        wanted[file.stem] = (said["i"], said["c"])
        for side, lines in parts.items():
            place = target / side / file.stem
            place.mkdir(parents=True, exist_ok=True)
            (place / "p.go").write_text("\n".join(lines) + "\n")
            (target / side / "go.mod").write_text("module golden\n\ngo 1.22\n")
    return wanted


def _plain(name: str) -> str:
    """(*T).M and T[P].M are T.M."""
    return re.sub(r"\[[^]]*\]", "", name).replace("(*", "").replace(")", "")


def test_apidiffs_golden_cases(sources: Sources, tmp_path: Path) -> None:
    directory, _ = sources.download(*APIDIFF)
    wanted = _golden(directory / "apidiff" / "testdata", tmp_path)
    assert len(wanted) >= 15
    comparison = compare(read(tmp_path / "old"), read(tmp_path / "new"), Rules())
    ours: dict[str, dict[str, set[str]]] = {}
    for one in comparison.changes:
        stem, _, name = one.change.symbol.removeprefix("./").partition(".")
        ours.setdefault(stem, {}).setdefault(name, set()).add(one.weight)
    for stem, (incompatible, compatible) in wanted.items():
        if stem == "generic_methods":
            continue  # methods with type parameters need Go 1.27
        mine = ours.get(stem, {})
        broken = {name for name, weights in mine.items() if "breaking" in weights}
        for name in incompatible:
            plain = _plain(name)
            # What an embedded type loses is told of the types that embed it, too.
            owner, _, member = plain.rpartition(".")
            known = plain in broken or any(b.endswith(f".{member}") for b in broken if "." in plain)
            merged = owner == "t3"  # told of the variable whose type it was
            sealed = member[:1].islower() and owner in broken  # an unexported method is told of its interface
            assert known or merged or sealed or f"{stem}.{name}" in FRAGILE, (
                f"{stem}: apidiff calls {name} incompatible"
            )
        for name in compatible:
            assert "breaking" not in mine.get(_plain(name), set()), f"{stem}: apidiff calls {name} compatible"
        listed = {_plain(n) for n in incompatible}
        for name in broken:
            owner, _, member = name.rpartition(".")
            near = any(n == name or n.rpartition(".")[2] == member for n in listed) or owner in listed
            near = near or any(n.startswith(f"{name}.") for n in listed)
            assert near or name == "VT3", f"{stem}: we call {name} breaking, and apidiff does not"
