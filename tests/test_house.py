"""The house: files and rooms import in one direction, from floor to floor, and the top does not leak downward."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

import pytest_xinchuang
from pytest_xinchuang.packages.registry import shipped
from tests.house import House, circle, imports

ROOT = Path(pytest_xinchuang.__file__).parent
FILES = [p for p in sorted(ROOT.rglob("*.py")) if p.parent != ROOT or p.stem != "__init__"]
HOUSE = House(ROOT)

FLOORS: tuple[tuple[str, ...], ...] = (
    ("", "messages", "sm"),
    ("core",),
    ("commands", "inspect", "provision"),
    ("report", "toolchain"),
    ("sandbox",),
    ("building", "gotest", "packages"),
    tuple(sorted(name for name in HOUSE.rooms if name.startswith("packages."))),
    ("cli", "run"),
    ("api", "plugin"),
)
"""The rooms by floor, from the ground up: a room imports from lower floors alone. "" is ``pytest_xinchuang`` itself."""

_GO_FILES = "both read Go's module files and environment, which get a room of their own"
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("packages.supply_chain", "packages.sdk_ast"): _GO_FILES,
    ("packages.sdk_ast", "packages.supply_chain"): _GO_FILES,
}
"""(importing room, imported room) that the floors do not allow, with the reason; one that is no longer needed has to go."""

OF_PYTEST = {"run", "plugin"}
"""The rooms that may know of pytest."""


def room(path: Path) -> str:
    return HOUSE.room(".".join(path.relative_to(ROOT.parent).with_suffix("").parts))


def test_files_import_in_no_circle() -> None:
    found = circle(HOUSE.files)
    assert not found, " imports ".join(found)


def test_rooms_import_in_no_circle() -> None:
    allowed = {
        importing: frozenset(t for t in targets if (importing, t) not in EXCEPTIONS)
        for importing, targets in HOUSE.rooms.items()
    }
    found = circle(allowed)
    assert not found, f"{' imports '.join(found)}\n{HOUSE.why(found)}"


def test_every_room_has_its_floor() -> None:
    listed = [name for floor in FLOORS for name in floor]
    assert sorted(listed) == sorted(HOUSE.rooms)


def test_a_room_imports_from_lower_floors_alone() -> None:
    floor_of = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    wrong: dict[tuple[str, str], list[str]] = {}
    for importer, target in HOUSE.crossings():
        step = HOUSE.room(importer), HOUSE.room(target)
        if floor_of[step[1]] >= floor_of[step[0]]:
            wrong.setdefault(step, []).append(f"{importer} imports {target}")
    unexpected = [line for step, lines in wrong.items() if step not in EXCEPTIONS for line in lines]
    assert not unexpected, "\n".join(unexpected)
    assert set(EXCEPTIONS) <= set(wrong), "these are no longer needed"


PLANTED = {
    "at the top": "from house.b.two import x",
    "for type checkers": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.b.two import x",
    "in a function": "def f():\n    import house.b.two",
    "a module of a package": "from house.b import two",
    "relative": "from ..b import two",
    "relative, by name": "from ..b.two import x",
    "by a literal": "import importlib\nimportlib.import_module('house.b.two')",
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_circle_is_seen_however_it_is_imported(planted: str, tmp_path: Path) -> None:
    root = tmp_path / "house"
    for name, text in {
        "__init__.py": "",
        "a/__init__.py": "",
        "a/one.py": planted,
        "b/__init__.py": "",
        "b/two.py": "from house.packages.p import three\nfrom house.packages import registry",
        "packages/registry.py": "import os",
        "packages/p/__init__.py": "",
        "packages/p/three.py": "from house.a import one",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    house = House(root)
    files = circle(house.files)
    assert files[0] == files[-1] and set(files) == {"house.a.one", "house.b.two", "house.packages.p.three"}
    assert all(b in house.files[a] for a, b in pairwise(files))
    rooms = circle(house.rooms)
    assert set(rooms) == {"a", "b", "packages.p"} and "packages" in house.rooms["b"]
    assert "house.a.one imports house.b.two" in house.why(rooms)
    (root / "a/one.py").write_text("import os")
    assert not circle(House(root).files) and not circle(House(root).rooms)


def test_the_pytest_side_alone_knows_of_pytest() -> None:
    for path in FILES:
        for module, _ in imports(ast.parse(path.read_text())):
            if module.split(".")[0] in ("pytest", "_pytest", "xdist"):
                assert room(path) in OF_PYTEST, (path, module)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_platform_is_named_in_code(path: Path) -> None:
    strings = [
        n.value
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Compare)
        for n in ast.walk(n)
        if isinstance(n, ast.Constant) and isinstance(n.value, str)
    ]
    for family in ("kunpeng", "phytium", "hygon", "zhaoxin", "loongson", "kylin", "uos"):
        assert not [s for s in strings if family in s.lower()]


def test_most_files_are_short() -> None:
    lengths = {p: len(p.read_text().splitlines()) for p in FILES}
    # The supervisor runs by itself in a namespace and can import nothing of the package: it stays in one piece.
    assert max(n for p, n in lengths.items() if p.name != "supervisor.py") <= 600
    assert sum(n <= 300 for n in lengths.values()) >= 0.8 * len(lengths)


def test_the_plugin_holds_hooks_alone() -> None:
    tree = ast.parse((ROOT / "plugin.py").read_text())
    functions = [n.name for n in tree.body if isinstance(n, ast.FunctionDef)]
    assert functions
    assert all(name.startswith("pytest_") for name in functions)
    assert not [n for n in tree.body if isinstance(n, ast.ClassDef)]


def names_in(path: Path) -> set[str]:
    """The identifiers, and the words of strings, that a file uses."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str() as name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.ImportFrom(module=str() as name) | ast.alias(name=name):
                found.update(name.split("."))
            case ast.Constant(value=str() as text):
                found.update(re.findall(r"[A-Za-z_]\w*", text))
    return found


@pytest.mark.xfail(
    reason="the command line still lists the packages' commands, and two packages share readers of Go files"
)
def test_no_package_is_named_outside_of_its_rooms() -> None:
    packages = {p.name: p for p in (ROOT / "packages").iterdir() if (p / "__init__.py").is_file()}
    options = {o.name: p.name for p in shipped() for o in p.options}
    told = {**{name: name for name in packages}, **{f"xc_{name}": name for name in packages}, **options}
    wrong = [
        f"{path.relative_to(ROOT)} names {told[name]} ({name})"
        for path in FILES
        for name in sorted(names_in(path) & set(told))
        if not path.is_relative_to(packages[told[name]])
    ]
    assert not wrong, "\n".join(wrong)
