"""The house: an id stands literally where it is used, and data is written so that a diff of it can be read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_xinchuang
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.finding import FindingCatalogue
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.packages.sdk_ast.languages import LANGUAGES
from pytest_xinchuang.packages.sdk_ast.rules import Rules

ROOT = Path(pytest_xinchuang.__file__).parent
CHECKOUT = ROOT.parent
WITNESSES = resources.conformance_dir() / "sdk_ast" / "rules"
OWN = sorted(ROOT.rglob("*.py"))
FILES = [
    *OWN,
    *(
        path
        for folder in ("tests", "conformance", "fixtures", "bench")
        for path in sorted((CHECKOUT / folder).rglob("*.py"))
        if not path.is_relative_to(WITNESSES)
    ),
]
PREFIXES = "|".join(language.prefix for language in LANGUAGES.values())
"""Of the rules of each language."""
ID = re.compile(
    rf"(?<![A-Za-z0-9-])(?:XC-[A-Z]+-[0-9]{{3}}|SMD-[0-9]{{2,3}}|(?:{PREFIXES})(?:-[A-Z0-9]+)+)(?![A-Za-z0-9-])"
)
BEGUN = re.compile(rf"(?<![A-Za-z0-9-])(?:XC-[A-Z]+-[0-9]{{0,2}}|SMD-[0-9]{{0,2}}|(?:{PREFIXES})-[A-Z0-9-]*)$")
"""A text that ends in the middle of an id."""
ENDED = re.compile(r"^-[A-Z]{3,}(?![a-z])")
"""A text that goes on with the end of one."""


def literal(paths: list[Path]) -> set[str]:
    """The ids in the string constants of files."""
    return {
        found
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for found in ID.findall(node.value)
    }


def made(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of every string that puts an id together of a constant and a value."""
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.JoinedStr):
            parts = node.values
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
            parts = [node.left, node.right]
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "format"
            and isinstance(node.func.value, ast.Constant)
        ):
            parts = [node.func.value, *node.args]
        for at, part in enumerate(parts):
            if not isinstance(part, ast.Constant) or not isinstance(part.value, str):
                continue
            pieces = re.split(r"\{[^}]*\}|%[0-9]*[sd]", part.value)
            followed = pieces[:-1] if at + 1 == len(parts) else pieces
            preceded = pieces[1:] if at == 0 else pieces
            if any(map(BEGUN.search, followed)) or any(map(ENDED.search, preceded)):
                yield getattr(node, "lineno", 0), ast.unparse(node)


def test_no_id_is_put_together() -> None:
    assert not [
        f"{path.relative_to(CHECKOUT)}:{line}: {text}"
        for path in FILES
        for line, text in made(ast.parse(path.read_text()))
    ]


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ('f"XC-ISA-00{n}"', True),
        ('f"XC-SUP-{end}"', True),
        ('f"GO-{what}-{rule}"', True),
        ('f"{rule}-REMOVED"', True),
        ('f"SMD-{n:02}"', True),
        ('f"told of {rule}-REMOVED"', True),
        ('"XC-MRU-" + number', True),
        ('kind + "-CHANGED"', True),
        ('"XC-SM-%s" % number', True),
        ('"JAVA-{}-REMOVED".format(kind)', True),
        ('"XC-SM-{}".format(number)', True),
        ('f"{text} [XC-RUN-009]"', False),
        ('f"-L{place}"', False),
        ('f"{name}-amd64"', False),
        ('f"--{name}"', False),
        ('"XC-MRU-001" + text', False),
        ('f"{a}-{b}"', False),
    ],
)
def test_what_puts_an_id_together_is_seen(code: str, seen: bool) -> None:
    assert bool(list(made(ast.parse(code)))) is seen


def test_every_rule_is_where_it_is_found() -> None:
    assert not set(Rules().by_id) - literal(OWN)


def test_every_finding_is_where_it_is_found() -> None:
    """What a run says names some; those are found by the regular expression that the catalogue has for them."""
    rules = FindingCatalogue(*resources.finding_files()).rules
    assert not {code for code, rule in rules.items() if rule.says is None} - literal(OWN)


def test_every_requirement_is_where_it_is_decided(catalogue: Catalogue) -> None:
    """In an engine, or in vectors and probes; the test that reads like it names it in any case."""
    assert not {r.id for r in catalogue.requirements} - literal(FILES)


def test_what_is_named_is_there(catalogue: Catalogue) -> None:
    """An id in our sources that nothing defines is a mistake in spelling."""
    known = {r.id for r in catalogue.requirements} | set(FindingCatalogue(*resources.finding_files()).rules)
    found = {i for i in literal(OWN) if i.startswith("XC-")}
    assert not found - known
    rules = set(Rules().by_id)
    named = literal([p for p in OWN if p.is_relative_to(ROOT / "packages" / "sdk_ast")])
    assert not {i for i in named if re.match(rf"({PREFIXES})-", i)} - rules


def test_each_language_of_a_text_has_its_line() -> None:
    paths = [resources.platforms_file(), *sorted(resources.conformance_dir().rglob("*.yaml"))]
    assert not [
        f"{path.relative_to(CHECKOUT)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"[{,]\s*(zh|en):\s", line)
    ]
