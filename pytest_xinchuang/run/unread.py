"""What a test file that was not collected would have decided, as far as its text tells."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Set
from fnmatch import fnmatch
from pathlib import Path

import pytest

MARKER = "xc_requirement"
MOST_FILES = 20_000
"""Files that are looked at: more is no repository of tests."""


def ids_in(path: Path, known: Set[str]) -> set[str]:
    """Those of the known ids that a Python file may decide: every one that it names.

    A file that puts the arguments of its markers together may mean any of them.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set(known)
    if MARKER not in text:
        return set()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {each for each in known if each in text} or set(known)
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node.func) == MARKER]
    arguments = [argument for call in calls for argument in call.args]
    found = words & known
    if all(isinstance(argument, ast.Constant) for argument in arguments):
        return found
    # A name stands for ids that are written somewhere; what is put together may be any.
    named = all(isinstance(argument, ast.Constant | ast.Name | ast.Starred) for argument in arguments)
    return found if named and found else set(known)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def left_out(config: pytest.Config, collected: Set[Path]) -> Iterator[Path]:
    """Test files under the directories that pytest was asked for, which were not collected all the same."""
    patterns = [str(pattern) for pattern in config.getini("python_files")]
    skipped = [str(pattern) for pattern in config.getini("norecursedirs")]
    here = config.invocation_params.dir
    seen = 0
    for place in dict.fromkeys(Path(here, argument.split("::")[0]) for argument in config.args):
        for directory, names, files in os.walk(place):
            names[:] = [name for name in sorted(names) if not _is_skipped(Path(directory, name), skipped)]
            for name in sorted(files):
                seen += 1
                path = Path(directory, name)
                if seen > MOST_FILES:
                    return
                if any(fnmatch(name, pattern) for pattern in patterns) and path.resolve() not in collected:
                    yield path


def _is_skipped(directory: Path, patterns: list[str]) -> bool:
    return (
        directory.name == "__pycache__"
        or any(fnmatch(directory.name, pattern) for pattern in patterns)
        or (directory / "pyvenv.cfg").is_file()
    )
