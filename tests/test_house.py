"""The house: a floor imports only from floors below it, and the top does not leak downward."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pytest_xinchuang

ROOT = Path(pytest_xinchuang.__file__).parent
FILES = [p for p in sorted(ROOT.rglob("*.py")) if p.parent != ROOT or p.stem != "__init__"]
OF_PYTEST = {"run", "plugin"}
"""The rooms that may know of pytest."""


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


def room_of(parts: tuple[str, ...]) -> str:
    """The room of a module below the package: a package's own room, or the first folder."""
    if parts[0] == "packages":
        return f"packages.{parts[1]}" if len(parts) > 2 or (ROOT / "packages" / parts[1]).is_dir() else "packages"
    return parts[0]


def room(path: Path) -> str:
    return room_of(path.relative_to(ROOT).with_suffix("").parts)


def test_the_pytest_side_alone_knows_of_pytest() -> None:
    for path in FILES:
        for module in imports(path):
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
