"""What a wheel or a source tree delivers to those who import it: modules, and the facts of the distribution.

Sources: import packages, namespace packages and stubs (PEP 420, PEP 561), wheels (binary distribution format of PyPA),
``METADATA`` (core metadata), ``entry_points.txt`` (entry points specification), ``pyproject.toml`` (PEP 621).
"""

from __future__ import annotations

import ast
import configparser
import email.parser
import re
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import Message, _, told

EXTENSIONS = (".so", ".pyd")
ENTRY_POINTS = "entry_points.txt"
"""What a wheel offers to installers and to others (entry points specification, "File format")."""
TYPED = "py.typed"
"""The file by which a package says that its types may be relied on (PEP 561, "Packaging Type Information")."""
_READ = (".py", ".pyi", *EXTENSIONS, f"/{TYPED}")
_NOT_DELIVERED = {
    "tests", "test", "testing_data", "docs", "doc", "examples", "example", "benchmarks", "bench", "scripts", "tools", "build",
    "dist", "ci", "tasks", "noxfile", "setup", "conftest", "node_modules", "__pycache__", "venv", "fuzz",
}  # fmt: skip
"""Names at the top of a tree that its wheel does not hold, or that nobody imports."""


class Form(StrEnum):
    """How a module is delivered."""

    SOURCE = "source"
    STUB = "stub"
    EXTENSION = "extension"
    NAMESPACE = "namespace"


@dataclass
class Module:
    """One importable module.

    Attributes:
        package: it may have submodules.
        typed: it says that its types may be relied on.
        source, stub, extension: its files; a namespace package has none.
    """

    name: str
    package: bool = False
    typed: bool = False
    source: Path | None = None
    stub: Path | None = None
    extension: Path | None = None

    @property
    def form(self) -> Form:
        if self.source is not None:
            return Form.SOURCE
        if self.stub is not None:
            return Form.STUB
        return Form.EXTENSION if self.extension is not None else Form.NAMESPACE

    @property
    def files(self) -> list[Path]:
        return [path for path in (self.source, self.stub, self.extension) if path is not None]


@dataclass
class Distribution:
    """What its metadata promise.

    Attributes:
        known: some metadata were found.
        entry_points: ``group:name`` -> object reference.
        problems: file that describes it and could not be read -> why.
    """

    known: bool = False
    name: str = ""
    version: str = ""
    requires_python: str = ""
    entry_points: dict[str, str] = field(default_factory=dict)
    extras: set[str] = field(default_factory=set)
    problems: dict[str, Message] = field(default_factory=dict)


@dataclass
class Delivered:
    """Importable modules by dotted name, below ``roots``."""

    roots: tuple[Path, ...]
    modules: dict[str, Module]
    distribution: Distribution

    @property
    def tops(self) -> list[str]:
        """The names of packages and modules that ``import`` begins with."""
        return sorted({name.partition(".")[0] for name in self.modules})


@contextmanager
def opened(place: Path, *, whole: bool = False) -> Iterator[Path]:
    """The directory behind a place; a wheel is unpacked for as long as that takes.

    Args:
        whole: with the data that modules read as they run.

    Raises:
        XcError: it is no wheel.
    """
    if not place.is_file():
        yield place
        return
    with tempfile.TemporaryDirectory() as name:
        try:
            with zipfile.ZipFile(place) as wheel:
                read = [n for n in wheel.namelist() if whole or n.endswith(_READ) or ".dist-info/" in n]
                wheel.extractall(name, read)  # members outside are renamed inward by zipfile
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise XcError(_("{place}: cannot be read as a wheel: {why}", place=place, why=told(error))) from error
        yield Path(name)


def delivered(place: Path) -> Delivered:
    """What a directory delivers: an unpacked wheel, a source tree, or a package itself.

    Raises:
        XcError: nothing in it can be imported.
    """
    modules: dict[str, Module] = {}
    roots: tuple[Path, ...]
    if (place / "__init__.py").exists() or (place / "__init__.pyi").exists():
        roots = (place.resolve().parent,)
        _package(place, _plain(place.name), modules)
        distribution = metadata_of(place.resolve().parent)
    else:
        installed = any(place.glob("*.dist-info"))
        roots = _roots(place, installed)
        for root in roots:
            _tops(root, modules, whole=installed)
        distribution = metadata_of(place)
    if not modules:
        raise XcError(
            _("{place}: there is no Python package in it", place=place),
            mend=_("name the package, or the directory that it is in"),
        )
    return Delivered(roots, dict(sorted(modules.items())), distribution)


def _plain(name: str) -> str:
    return name.removesuffix("-stubs")


def _roots(place: Path, installed: bool) -> tuple[Path, ...]:
    if installed:
        # Wheels may keep what belongs into site-packages below NAME.data (binary distribution format, "The .data directory").
        return (place, *sorted(place.glob("*.data/purelib")), *sorted(place.glob("*.data/platlib")))
    project = _toml(place / "pyproject.toml")
    setuptools = _table(project, "tool", "setuptools")
    named = [str(w) for w in _list(_table(setuptools, "packages", "find").get("where"))]
    if isinstance(directory := _table(setuptools, "package-dir").get(""), str):
        named.append(directory)
    named += [
        str(p["from"])
        for p in _list(_table(project, "tool", "poetry").get("packages"))
        if isinstance(p, dict) and "from" in p
    ]
    inside = [place / name for name in named if ".." not in name and (place / name).is_dir()]
    if (place / "src").is_dir() and place / "src" not in inside:
        inside.append(place / "src")
    return tuple(dict.fromkeys(inside)) or (place,)


def _tops(root: Path, modules: dict[str, Module], *, whole: bool) -> None:
    skipped = {"tests", "test", "docs", "setup", "conftest", "noxfile"} if whole else _NOT_DELIVERED
    loose = []
    for path in sorted(root.iterdir()):
        if path.is_dir():
            name = _plain(path.name)
            if not name.isidentifier() or name in skipped:
                continue
            if _is_regular(path):
                _package(path, name, modules)
            else:
                loose.append(path)
        else:
            _file(path, "", modules, skipped)
    for path in loose:
        if whole or root.name == "src" or not modules or any(_is_regular(p) for p in path.iterdir() if p.is_dir()):
            _package(path, _plain(path.name), modules)


def _is_regular(path: Path) -> bool:
    return (path / "__init__.py").is_file() or (path / "__init__.pyi").is_file()


def _package(directory: Path, name: str, modules: dict[str, Module]) -> bool:
    """Note a package with all that is in it; whether there was anything."""
    found: dict[str, Module] = {}
    for path in sorted(directory.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if path.name.isidentifier() and path.name not in ("__pycache__", "tests", "test"):
                _package(path, f"{name}.{path.name}", found)
        elif path.is_file():
            _file(path, f"{name}.", found, set())
    own = found.pop(f"{name}.__init__", None)
    if own is None and not found:
        return False
    module = modules.setdefault(name, Module(name, package=True))
    module.package = True
    module.typed |= (directory / TYPED).is_file() or directory.name.endswith("-stubs")
    if own is not None:
        module.source, module.stub = own.source or module.source, own.stub or module.stub
        module.extension = own.extension or module.extension
    for key, one in found.items():
        other = modules.setdefault(key, one)
        other.source, other.stub = other.source or one.source, other.stub or one.stub
        other.extension, other.package = other.extension or one.extension, other.package or one.package
    return True


def _file(path: Path, prefix: str, modules: dict[str, Module], skipped: set[str]) -> None:
    stem, suffix = path.name.partition(".")[0], path.suffix
    if not stem.isidentifier() or stem in skipped or suffix not in (".py", ".pyi", *EXTENSIONS):
        return
    if suffix in (".py", ".pyi") and path.stem != stem:
        return
    module = modules.setdefault(prefix + stem, Module(prefix + stem))
    if suffix == ".py":
        module.source = path
    elif suffix == ".pyi":
        module.stub = path
    else:
        module.extension = path


# -- the distribution


def metadata_of(place: Path) -> Distribution:
    """What an unpacked wheel or the directory of a project says of its distribution."""
    for directory in sorted(place.glob("*.dist-info")):
        if (directory / "METADATA").is_file():
            return _of_metadata(directory)
    found = Distribution()
    try:
        _of_project(tomllib.loads(_text(place / "pyproject.toml")), found)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found.problems["pyproject.toml"] = told(error)
    _of_setup_cfg(place / "setup.cfg", found)
    _of_setup_py(place / "setup.py", found)
    return found


def _of_metadata(directory: Path) -> Distribution:
    head = email.parser.Parser().parsestr(_text(directory / "METADATA"), headersonly=True)
    found = Distribution(
        True, str(head.get("Name", "")), str(head.get("Version", "")), str(head.get("Requires-Python", ""))
    )
    found.extras = {_normal(str(e)) for e in head.get_all("Provides-Extra", ())}
    _entry_points(_text(directory / ENTRY_POINTS), found, ENTRY_POINTS)
    return found


def _normal(name: str) -> str:
    """A name as PEP 503 and PEP 685 compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _entry_points(text: str, found: Distribution, file: str) -> None:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names of entry points have a case
    try:
        parser.read_string(text)
    except configparser.Error as error:
        found.problems[file] = told(error)
        return
    for group in parser.sections():
        found.entry_points |= {f"{group}:{name}": value.strip() for name, value in parser.items(group)}


def _of_project(project: Mapping[str, Any], found: Distribution) -> None:
    table, poetry = _table(project, "project"), _table(project, "tool", "poetry")
    if not table and not poetry:
        return
    found.known = True
    found.name, found.version = (str(table.get(k) or poetry.get(k) or "") for k in ("name", "version"))
    found.requires_python = str(table.get("requires-python") or _table(poetry, "dependencies").get("python") or "")
    found.extras |= {_normal(e) for e in (*_table(table, "optional-dependencies"), *_table(poetry, "extras"))}
    groups = {
        "console_scripts": {**_table(table, "scripts"), **_table(poetry, "scripts")},
        "gui_scripts": _table(table, "gui-scripts"),
        **_table(table, "entry-points"),
        **_table(poetry, "plugins"),
    }
    for group, names in groups.items():
        if isinstance(names, dict):
            found.entry_points |= {f"{group}:{name}": str(value) for name, value in names.items()}


def _of_setup_cfg(path: Path, found: Distribution) -> None:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    try:
        parser.read_string(_text(path))
    except configparser.Error as error:
        found.problems[path.name] = told(error)
        return
    if parser.has_section("options"):
        found.known = True
        found.requires_python = found.requires_python or parser.get("options", "python_requires", fallback="").strip()
    if parser.has_section("options.extras_require"):
        found.extras |= {_normal(e) for e in parser.options("options.extras_require")}
    if parser.has_section("options.entry_points"):
        for group, lines in parser.items("options.entry_points"):
            _entry_points(f"[{group}]\n" + "\n".join(line.strip() for line in lines.splitlines()), found, path.name)


def _of_setup_py(path: Path, found: Distribution) -> None:
    try:
        tree = ast.parse(_text(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        found.problems[path.name] = told(error)
        return
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) in ("setup", "setuptools.setup")):
            continue
        found.known = True
        for keyword in node.keywords:
            try:
                value = ast.literal_eval(keyword.value)
            except (ValueError, TypeError, SyntaxError, RecursionError):
                continue
            if keyword.arg == "python_requires" and isinstance(value, str):
                found.requires_python = found.requires_python or value
            elif keyword.arg == "extras_require" and isinstance(value, dict):
                found.extras |= {_normal(str(e)) for e in value}
            elif keyword.arg == "entry_points" and isinstance(value, dict):
                for group, lines in value.items():
                    listed = lines.splitlines() if isinstance(lines, str) else _list(lines)
                    _entry_points(f"[{group}]\n" + "\n".join(str(line).strip() for line in listed), found, path.name)
            elif keyword.arg == "entry_points" and isinstance(value, str):
                _entry_points(value, found, path.name)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _table(table: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    found: Any = table
    for key in keys:
        found = found.get(key, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
