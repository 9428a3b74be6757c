"""What a test file that was not collected would have decided, as far as its text tells."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Sequence, Set
from fnmatch import fnmatch
from pathlib import Path

import pytest

MARKER = "xc_requirement"
MOST_IMPORTED = 200
"""Modules of the repository that are followed from one test file."""
MOST_FILES = 20_000
"""Files that are looked at: more is no repository of tests."""


def ids_in(path: Path, known: Set[str], places: Sequence[Path] = (), *, guess: bool = True) -> set[str]:
    """Those of the known ids that a file may decide: every one that it names, also in markers that it imports.

    Args:
        places: where modules of the repository are looked for.
        guess: a file that puts the arguments of its markers together may mean any id, and so may one that cannot be read.
    """
    found, unclear = _ids_in(path, None, known, places, set())
    return set(known) if unclear and guess else found


def _ids_in(
    path: Path, wanted: Set[str] | None, known: Set[str], places: Sequence[Path], seen: set[Path]
) -> tuple[set[str], bool]:
    """The ids in what a file defines under the wanted names, None: in all of it; and whether it may mean others."""
    if path in seen or len(seen) > MOST_IMPORTED:
        return set(), False
    seen.add(path)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set(), True
    if path.suffix != ".py":
        return {each for each in known if each in text}, False
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = {each for each in known if each in text} if MARKER in text else set()
        return found, MARKER in text and not found
    if wanted is not None:
        tree = _defining(tree, wanted)
    found, unclear = _named(tree, known) if MARKER in text else (set(), False)
    for module, names in _imported(tree, path, places):
        more, more_unclear = _ids_in(module, names, known, places, seen)
        found, unclear = found | more, unclear or more_unclear
    return found, unclear


def _named(tree: ast.Module, known: Set[str]) -> tuple[set[str], bool]:
    nodes = list(ast.walk(tree))
    calls = [node for node in nodes if isinstance(node, ast.Call) and _name(node.func) == MARKER]
    called = {id(call.func) for call in calls}
    renamed = any(isinstance(n, ast.expr) and _name(n) == MARKER and id(n) not in called for n in nodes)
    if not calls and not renamed:
        return set(), False
    found = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)} & known
    arguments = [argument for call in calls for argument in call.args]
    if all(isinstance(argument, ast.Constant) for argument in arguments):
        return found, renamed and not found
    # A name stands for ids that are written somewhere; what is put together may be any.
    named = all(isinstance(argument, ast.Constant | ast.Name | ast.Starred) for argument in arguments)
    return found, not (named and found)


def _defining(tree: ast.Module, wanted: Set[str]) -> ast.Module:
    """The statements of a module that define the wanted names, and what they use; the whole where a name is not found."""
    defined: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        for name in _defined_by(statement):
            defined.setdefault(name, []).append(statement)
    if not wanted <= set(defined):
        return tree
    body: dict[int, ast.stmt] = {}
    left = set(wanted)
    while left:
        for statement in defined.pop(left.pop(), []):
            if id(statement) not in body:
                body[id(statement)] = statement
                left |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)} & set(defined)
    return ast.Module(list(body.values()), [])


def _defined_by(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _imported(tree: ast.Module, path: Path, places: Sequence[Path]) -> Iterator[tuple[Path, set[str] | None]]:
    """The files of the repository that a module imports, wherever in it, and the names that it uses of each."""
    used: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used.setdefault(node.value.id, set()).add(node.attr)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                of = used.get(alias.asname or alias.name, set()) if alias.asname or "." not in alias.name else None
                yield from ((file, of) for file in _files(alias.name, (path.parent, *places)))
        elif isinstance(node, ast.ImportFrom):
            above = [path.parents[node.level - 1]] if 0 < node.level <= len(path.parents) else []
            where = above if node.level else (path.parent, *places)
            names = {alias.name for alias in node.names}
            yield from ((file, None if "*" in names else names) for file in _files(node.module or "", where))
            for alias in node.names:
                name = ".".join(filter(None, (node.module, alias.name)))
                yield from ((file, used.get(alias.asname or alias.name, set())) for file in _files(name, where))


def _files(module: str, places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        stem = place.joinpath(*filter(None, module.split(".")))
        yield from (each for each in (Path(f"{stem}.py"), stem / "__init__.py") if each.is_file())


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def places_of(config: pytest.Config, path: Path) -> list[Path]:
    """Where modules of the repository stand that a file may import: its directory and those above it, and ``pythonpath``."""
    above = [parent for parent in path.parents if parent.is_relative_to(config.rootpath)]
    return [*above, config.rootpath, *map(Path, config.getini("pythonpath"))]


def left_out(config: pytest.Config, collected: Set[Path]) -> Iterator[tuple[Path, bool]]:
    """Test files that were not collected, and whether pytest was asked for the place in which they stand.

    Where it was asked for a part of the repository, the whole is what it collects when it is asked for nothing.
    """
    here = config.invocation_params.dir
    asked_for = list(dict.fromkeys(Path(here, argument.split("::")[0]) for argument in config.args))
    whole: list[Path] = []
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        patterns = config.getini("testpaths") if here == config.rootpath else []
        named = [found for each in patterns if not Path(each).is_absolute() for found in sorted(here.glob(each))]
        whole = named or [here]
    seen = set(collected)
    for place in (*asked_for, *whole):
        for path in _test_files(config, place):
            if (real := path.resolve()) not in seen:
                seen.add(real)
                yield path, place in asked_for


def _test_files(config: pytest.Config, place: Path) -> Iterator[Path]:
    patterns = [str(pattern) for pattern in config.getini("python_files")]
    skipped = [str(pattern) for pattern in config.getini("norecursedirs")]
    looked_at = 0
    for directory, names, files in os.walk(place):
        names[:] = [name for name in sorted(names) if not _is_skipped(Path(directory, name), skipped)]
        for name in sorted(files):
            looked_at += 1
            if looked_at > MOST_FILES:
                return
            if any(fnmatch(name, pattern) for pattern in patterns):
                yield Path(directory, name)


def _is_skipped(directory: Path, patterns: list[str]) -> bool:
    return (
        directory.name == "__pycache__"
        or any(fnmatch(directory.name, pattern) for pattern in patterns)
        or (directory / "pyvenv.cfg").is_file()
    )
