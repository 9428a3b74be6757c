"""The house: a conformance package is one room, and nobody else names it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_xinchuang
from pytest_xinchuang.packages.registry import shipped

ROOT = Path(pytest_xinchuang.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


def names_in(source: str) -> set[str]:
    """The identifiers, and the words of strings, that a source uses."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str() as name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.ImportFrom(module=str() as name) | ast.alias(name=name):
                found.update(name.split("."))
            case ast.MatchAs(name=str() as name) | ast.ExceptHandler(name=str() as name):
                found.add(name)
            case ast.Constant(value=str() as text):
                found.update(re.findall(r"[A-Za-z_]\w*", text))
    return found


def test_no_package_is_named_outside_of_its_rooms() -> None:
    packages = {p.name: p for p in (ROOT / "packages").iterdir() if (p / "__init__.py").is_file()}
    options = {o.name: p.name for p in shipped() for o in p.options}
    told = {**{name: name for name in packages}, **{f"xc_{name}": name for name in packages}, **options}
    wrong = [
        f"{path.relative_to(ROOT)} names {told[name]} ({name})"
        for path in FILES
        for name in sorted(names_in(path.read_text()) & set(told))
        if not path.is_relative_to(packages[told[name]])
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "planted",
    [
        "from pytest_xinchuang.packages.mru.engine import Engine",
        "from pytest_xinchuang.packages import mru",
        "from pytest_xinchuang.packages import mru as one",
        "import pytest_xinchuang.packages.mru",
        "def f():\n    from ..packages import mru",
        "if package == 'mru': pass",
        "match package:\n    case 'mru': pass",
        "table = {'mru': 1}",
        "text = f'packages/mru/{name}'",
        "subject.file.mru",
        "getattr(subject, 'mru')",
        "def mru(): pass",
        "f(mru=1)",
    ],
)
def test_a_planted_name_of_a_package_is_seen(planted: str) -> None:
    assert "mru" in names_in(planted)
    assert "mru" not in names_in("x = 'mrus'\nmru_ = 1  # mru\nfrom a import mrux")


@pytest.mark.tools
def test_pages_are_made_from_the_packages_rooms_and_the_index_names_them() -> None:
    done = subprocess.run(
        [sys.executable, ROOT.parent / "scripts/docs", "check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert {path.parent.name for path in (ROOT.parent / "conformance").glob("*/page.md")} == set(shipped().names)
