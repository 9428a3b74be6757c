"""Snapshots: each line keeps the JSON Schema, unchanged packages are taken from the baseline, and damage is told."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.packages.sdk_ast.compare import compare
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.trees import read, tree

pytestmark = pytest.mark.tools

FILES: dict[str, str | bytes] = {
    "a/a.go": """package a

import "io"

// Deprecated: gone soon.
const C = 1 << 40

var V, W = make(map[string][]*T), [3]chan<- int{}

type T struct {
	io.Reader `json:"r"`
	A         func(x int, more ...string) (err error)
	b         struct{ c int }
}

func (*T) M() {}

type hidden struct{ X int }

func New[K comparable, V ~int | ~string](k K) (hidden, *T) { return hidden{}, nil }

type I interface {
	M()
	x()
}

type G[E any] struct{ e E }

func (G[E]) Get() (e E) { return }

type Alias = T
""",
    "b/b.go": 'package b\n\nimport "example.com/m/a"\n\ntype B struct{ a.T }\n\nfunc F(a.G[int]) {}\n',
    "internal/c/c.go": "package c\n\ntype C struct{}\n",
}


def test_every_line_keeps_the_schema(tmp_path: Path) -> None:
    schema = json.loads((resources.schemas_dir() / "api.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    read(tree(tmp_path / "m", FILES), keep=tmp_path / "m.jsonl", targets=("linux/amd64", "linux/arm64"))
    kinds = []
    for line in (tmp_path / "m.jsonl").read_text().splitlines():
        record = json.loads(line)
        validator.validate(record)
        kinds.append(record["record"])
    assert kinds[0] == "snapshot" and kinds[-1] == "end"
    assert kinds.count("package") == 3


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    tree(tmp_path / "one" / "m", FILES)
    shutil.copytree(tmp_path / "one" / "m", tmp_path / "two" / "m")
    for name in ("one", "two"):
        read(tmp_path / name / "m", keep=tmp_path / f"{name}.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_what_is_unchanged_is_taken_from_the_baseline(tmp_path: Path) -> None:
    root = tree(tmp_path / "m", FILES)
    baseline = read(root, keep=tmp_path / "base.jsonl")
    with Sources(Cache(), ReadOptions(offline=True)) as sources:
        same = sources.read(str(root), known=baseline)
        assert same.path.read_text().count('"same":true') == 3
        assert same.digest == baseline.digest
        assert not compare(baseline, same, Rules()).changes
        # b embeds a type of a: when a changes, b is read again, though its own file is as before.
        (root / "a/a.go").write_text(str(FILES["a/a.go"]).replace("func (*T) M() {}", "func (*T) M(int) {}"))
        new = sources.read(str(root), known=baseline)
        assert new.path.read_text().count('"same":true') == 1
        symbols = {j.change.symbol for j in compare(baseline, new, Rules()).changes}
    assert symbols == {"./a.T.M", "./b.B.M"}


def test_a_compressed_one(tmp_path: Path) -> None:
    plain = read(tree(tmp_path / "m", FILES))
    packed = tmp_path / "m.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.path.read_bytes()))
    assert Snapshot(packed).digest == plain.digest
    assert Snapshot(packed).packages["example.com/m/a"][0].symbols["T"]["kind"] == "type"


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda t: "\n".join(t.splitlines()[:-1]), "cut off: its last record is missing"),
        (lambda t: "\n".join(t.splitlines()[1:]), "cut off: its first record is missing"),
        (lambda t: t.replace("xc-api/1", "xc-api/9"), "not a record of xc-api/1"),
        (lambda t: "hello\n" + t, "not a record of xc-api/1"),
        (lambda t: t.replace('"record":"package"', '"record":"parcel"', 1), "no record of a snapshot"),
        (lambda _: "", "cut off"),
        (lambda t: t + "more\n", "no record of a snapshot"),
    ],
)
def test_damage_is_told_by_line(tmp_path: Path, damage: object, expected: str) -> None:
    plain = read(tree(tmp_path / "m", FILES))
    bad = tmp_path / "bad.jsonl"
    bad.write_text(damage(plain.path.read_text()))  # type: ignore[operator]
    with pytest.raises(DataFileError, match=expected):
        Snapshot(bad)


def test_a_snapshot_that_leans_on_another_is_none_by_itself(tmp_path: Path) -> None:
    root = tree(tmp_path / "m", FILES)
    baseline = read(root)
    with Sources(Cache(), ReadOptions(offline=True)) as sources:
        (tmp_path / "leaning.jsonl").write_bytes(sources.read(str(root), known=baseline).path.read_bytes())
    with pytest.raises(DataFileError, match="refers to a snapshot that is not here"):
        Snapshot(tmp_path / "leaning.jsonl")
