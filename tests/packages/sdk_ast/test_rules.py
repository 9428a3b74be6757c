"""The folders of rules: what they say is what they said before, and mistakes in them are told."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.packages.sdk_ast.languages import LANGUAGES
from pytest_xinchuang.packages.sdk_ast.rules import WITNESSES, Rules

SHIPPED = resources.conformance_dir() / "sdk_ast" / "rules"


def test_the_shipped_rules_and_witnesses_say_what_they_did() -> None:
    """Who adds or changes a rule changes this line with it: a move between files must not."""
    rules = {
        rule.id: {
            **rule.model_dump(mode="json", exclude={"format", "breaks"}),
            "witness": rule.witness and rule.witness.model_dump(),
        }
        for rule in Rules().by_id.values()
    }
    text = json.dumps(rules, sort_keys=True, ensure_ascii=False)
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "f0b00f637cd27ad5ce9579957e2487efe63bc6a6f667fbeea4a76b742730b26c"
    )


def test_rules_are_listed_by_language_and_name() -> None:
    ids = list(Rules().by_id)
    prefixes = [f"{language.prefix}-" for language in LANGUAGES.values()]
    assert ids == [i for prefix in prefixes for i in sorted(i for i in ids if i.startswith(prefix))]
    assert {path.name for path in SHIPPED.iterdir() if path.is_dir()} == set(LANGUAGES) == set(WITNESSES)


def test_a_folder_holds_a_rule_and_its_witness_alone() -> None:
    for rule in Rules().by_id.values():
        files = WITNESSES[next(name for name, one in LANGUAGES.items() if rule.id.startswith(f"{one.prefix}-"))]
        folder = next(SHIPPED.glob(f"*/{rule.id}"))
        found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc"}
        libraries = {f"{version}/{files.library}" for version in ("old", "new")}
        wanted = {files.client, *libraries} if rule.breaks is not None else set()
        further = {name for name in found if name.split("/")[0] in ("old", "new")} if wanted else set()
        assert wanted | {"rule.yaml"} | further == found, rule.id


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A catalogue of a rule for each language, to be spoilt."""
    for rule in ("go/GO-PKG-REMOVED", "c/C-FUNC-REMOVED", "java/JAVA-METHOD-REMOVED", "python/PY-REMOVED"):
        shutil.copytree(SHIPPED / rule, tmp_path / rule)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("go/GO-PKG-REMOVED/rule.yaml", ("id: GO-PKG-REMOVED", "id: GO-OTHER"), r"rule.yaml:2: id: found GO-OTHER, .*GO-PKG-"),
        ("go/GO-PKG-REMOVED/rule.yaml", ("id: GO-PKG-REMOVED", "id: go"), "found 'go'"),
        ("go/GO-PKG-REMOVED/rule.yaml", ("level: major", "level: huge"), r"rule.yaml:4: level: found 'huge'"),
        ("go/GO-PKG-REMOVED/rule.yaml", ("breaks: true", "breaks: perhaps"), "breaks: found 'perhaps'"),
        ("go/GO-PKG-REMOVED/rule.yaml", ("breaks: true", "witness: here"), "witness: found 'here': no such key here"),
        ("go/GO-PKG-REMOVED/rule.yaml", ("schema: xc-api-rule/1", "schema: xc-api-rules/1"), "schema: found"),
        ("go/GO-PKG-REMOVED/rule.yaml", ("  en:", "  EN:"), "no such key here"),
        ("go/GO-PKG-REMOVED/old/p.go", ("package p\n", "package q\n"), r"old/p.go:1: expected to begin with 'package p"),
        ("go/GO-PKG-REMOVED/client/client.go", ("old\"\n", "new\"\n"), r"client.go:1: expected to begin with 'package cl"),
        ("c/C-FUNC-REMOVED/client.c", ("old/lib.h", "lib.h"), r"client.c:1: expected to begin with '#include"),
        ("java/JAVA-METHOD-REMOVED/new/lib/L.java", ("package lib;", ""), r"L.java:1: expected to begin with 'package"),
        ("python/PY-REMOVED/client.py", ("from old ", ""), r"client.py:1: expected to begin with 'from old"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_told_by_file(rules: Path, name: str, change: tuple[str, str], expected: str) -> None:
    path = rules / name
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(DataFileError, match=expected):
        [rule.witness for rule in Rules(rules).by_id.values()]


def test_a_rule_among_those_of_another_language(rules: Path) -> None:
    (rules / "go/GO-PKG-REMOVED").rename(rules / "c/GO-PKG-REMOVED")
    with pytest.raises(DataFileError, match=r"rule.yaml:2: id: found GO-PKG-REMOVED: rules of c begin with C-"):
        Rules(rules)


@pytest.mark.parametrize("lost", ["rule.yaml", "old/p.go", "new/p.go", "client/client.go"])
def test_a_file_that_is_missing(rules: Path, lost: str) -> None:
    (rules / "go/GO-PKG-REMOVED" / lost).unlink()
    with pytest.raises(DataFileError, match=rf"{lost}: cannot be read: No such file"):
        [rule.witness for rule in Rules(rules).by_id.values()]


def test_a_source_that_is_not_utf_8(rules: Path) -> None:
    (rules / "c/C-FUNC-REMOVED/old/lib.h").write_bytes(b"/* \xff */")
    with pytest.raises(DataFileError, match=r"lib.h: not UTF-8 \(byte 3\)"):
        [rule.witness for rule in Rules(rules).by_id.values()]


def test_texts_of_rules_do_not_wait_for_witnesses(rules: Path) -> None:
    shutil.rmtree(rules / "go/GO-PKG-REMOVED/old")
    assert Rules(rules).get("GO-PKG-REMOVED").title.en == "A package was removed"
