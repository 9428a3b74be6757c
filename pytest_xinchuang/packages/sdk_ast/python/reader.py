"""Reads Python packages by griffe without importing them, weighted by ``__all__``."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import _, told, verbatim
from pytest_xinchuang.packages.sdk_ast.problems import SYNTAX_ERROR, UNREADABLE, problem_record
from pytest_xinchuang.packages.sdk_ast.writer import write_snapshot


def extract_python(place: Path, output: Path, *, version: str = "") -> None:
    """Write the snapshot of a wheel, or of a directory of packages (its ``src`` is looked into).

    Raises:
        XcError: there is no package in it.
    """
    if place.is_file():
        with tempfile.TemporaryDirectory() as name:
            try:
                with zipfile.ZipFile(place) as wheel:
                    wheel.extractall(name)  # members outside are renamed inward by zipfile
            except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
                raise XcError(_("{place}: cannot be read as a wheel: {why}", place=place, why=error)) from error
            extract_python(Path(name), output, version=version)
        return
    root = place / "src" if (place / "src").is_dir() and not (place / "__init__.py").exists() else place
    if (place / "__init__.py").exists():
        root, names = place.parent, [place.name]
    else:
        names = sorted(
            p.parent.name for p in root.glob("*/__init__.py") if p.parent.name not in ("tests", "test", "docs")
        )
        names += sorted(p.stem for p in root.glob("*.py") if p.stem not in ("setup", "conftest", "noxfile"))
    if not names:
        raise XcError(
            _("{place}: there is no Python package in it", place=place),
            mend=_("name the package, or the directory that it is in"),
        )
    records = [record for name in names for record in _package(root, name)]
    first = {"language": "python", "name": names[0], "version": version, "toolchain": "griffe", "targets": ["python"]}
    write_snapshot(output, first, records)


def _package(root: Path, name: str) -> Iterator[tuple[str, str, str, list[tuple[str, dict[str, Any], list[Any]]]]]:
    with optional("sdk_ast"):
        import griffe

    place = root / name if (root / name).is_dir() else root / f"{name}.py"
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    source = hashlib.sha256()
    problems = []
    for file in files:
        data = file.read_bytes()
        source.update(file.relative_to(root).as_posix().encode() + b"\0" + data + b"\0")
        try:
            compile(data, str(file), "exec", dont_inherit=True, flags=0x0400)  # PyCF_ONLY_AST: nothing is run
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            why = verbatim(str(getattr(error, "msg", error)))
            relative = file.relative_to(root).as_posix()
            problems.append(problem_record(relative, line, SYNTAX_ERROR, why=why))
    try:
        loaded = griffe.load(
            name, search_paths=[str(root)], allow_inspection=False, resolve_aliases=True, resolve_external=False
        )
    except Exception as error:  # griffe raises what its parser raises
        loaded = None
        problems = problems or [problem_record(name, None, UNREADABLE, why=told(error))]
    symbols = dict(_members(loaded, loaded, root)) if loaded is not None else {}
    yield name, name, "sha256:" + source.hexdigest(), [("python", symbols, problems)]


def _members(top: Any, module: Any, root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything of a module and of its submodules, by dotted path below the package."""
    for name, member in sorted(module.members.items()):
        path = f"{module.path}.{name}".removeprefix(f"{top.path}.")
        target = member
        if member.is_alias:
            if not _exports(module, name):
                continue  # an import for its own use
            try:
                target = member.final_target
            except Exception:  # of another distribution: griffe has several errors for that
                yield path, {"kind": "var", "facts": {"public": True, "alias": str(member.target_path)}}
                continue
        facts = {"public": _public(module, name, path)}
        kind = target.kind.value
        if kind == "module":
            if not member.is_alias:
                yield path, {"kind": "module", "facts": facts}
                yield from _members(top, target, root)
        elif kind == "class":
            yield (
                path,
                _described(
                    target, root, {"kind": "class", "facts": {**facts, "bases": [str(b) for b in target.bases]}}
                ),
            )
            yield from _class_members(target, path, facts["public"], root)
        elif kind == "function":
            yield path, _function(target, facts, root)
        elif kind == "attribute":
            yield path, _attribute(target, facts, root)


def _class_members(owner: Any, path: str, public: bool, root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        members = {**owner.inherited_members, **owner.members}
    except Exception:  # a base of another distribution
        members = dict(owner.members)
    for name, member in sorted(members.items()):
        if name.startswith("__") and name not in (
            "__init__",
            "__call__",
            "__enter__",
            "__exit__",
            "__iter__",
            "__len__",
            "__getitem__",
        ):
            continue
        target = member
        if member.is_alias:
            try:
                target = member.final_target
            except Exception:
                continue
        facts = {"public": public and (not name.startswith("_") or name.startswith("__")), "member": True}
        if target.kind.value == "function":
            yield f"{path}.{name}", _function(target, facts, root)
        elif target.kind.value == "attribute":
            yield f"{path}.{name}", _attribute(target, facts, root)


def _exports(module: Any, name: str) -> bool:
    exports = module.exports
    if exports is not None:
        return name in {str(e) for e in exports}
    # Without __all__, `from .x import y` in an __init__ is how packages offer names (PEP 484: `as` the same name in stubs).
    return (module.is_package and not name.startswith("_")) or (module.is_init_module and not name.startswith("_"))


def _public(module: Any, name: str, path: str) -> bool:
    if any(part.startswith("_") for part in path.split(".")):
        return False
    exports = module.exports
    return exports is None or name in {str(e) for e in exports} or module.members[name].kind.value == "module"


def _described(target: Any, root: Path, symbol: dict[str, Any]) -> dict[str, Any]:
    try:
        file = Path(str(target.filepath)).relative_to(root).as_posix()
    except (ValueError, TypeError):
        file = ""
    if file and target.lineno:
        symbol["at"] = f"{file}:{target.lineno}"
    if target.deprecated or any("deprecated" in str(d.value).lower() for d in getattr(target, "decorators", ())):
        symbol["deprecated"] = True
    return symbol


def _function(target: Any, facts: Mapping[str, Any], root: Path) -> dict[str, Any]:
    params = [
        {
            "name": p.name,
            "kind": p.kind.value if p.kind else "",
            "default": None if p.default is None else str(p.default),
        }
        for p in target.parameters
    ]
    static = any(str(d.value) == "staticmethod" for d in target.decorators)
    if facts.get("member") and not static and params:
        params = params[1:]
    awaits = "async" in target.labels
    return _described(target, root, {"kind": "func", "facts": {**facts, "params": params, "async": awaits}})


def _attribute(target: Any, facts: Mapping[str, Any], root: Path) -> dict[str, Any]:
    symbol: dict[str, Any] = {"kind": "var", "facts": {**facts, "property": "property" in target.labels}}
    if target.value is not None and len(str(target.value)) < 500:
        symbol["value"] = str(target.value)
    return _described(target, root, symbol)
