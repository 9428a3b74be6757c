"""Python packages: every rule's witness is run, names are weighted by ``__all__``, and nothing is imported to be read."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.trees import rules_of

pytestmark = pytest.mark.tools

WITNESSED = [r for r in Rules().by_id.values() if r.id.startswith("PY-") and r.witness]


def package(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = directory / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return directory


def diff(directory: Path, old: dict[str, str], new: dict[str, str]) -> Comparison:
    with Sources(Cache(), ReadOptions(language="python")) as sources:
        sides = [sources.read(str(package(directory / n, files))) for n, files in (("old", old), ("new", new))]
        for snapshot in sides:
            for packages in snapshot.packages.values():
                assert packages[0].symbols is not None
        return compare(sides[0], sides[1], Rules())


def runs(directory: Path, client: str) -> bool:
    code = client if "import *" in client else f"import lib\n{client}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(directory)!r})\n{code}"],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.parametrize("rule", WITNESSED, ids=lambda r: r.id)
def test_a_rules_witness(tmp_path: Path, rule: object) -> None:
    witness = rule.witness  # type: ignore[attr-defined]
    found = {
        j.rule.id: j.weight for j in diff(tmp_path, {"__init__.py": witness.old}, {"__init__.py": witness.new}).changes
    }
    assert rule.id in found  # type: ignore[attr-defined]
    assert runs(tmp_path / "old", witness.client)
    assert runs(tmp_path / "new", witness.client) is not witness.breaks
    if not witness.breaks:
        assert "breaking" not in found.values()


def test_private_names_are_not_missed(tmp_path: Path) -> None:
    old = {"__init__.py": "__all__ = ['f']\ndef f(): pass\ndef helper(a): pass\n_x = 1", "_impl.py": "def g(): pass"}
    comparison = diff(tmp_path, old, {"__init__.py": "__all__ = ['f']\ndef f(): pass"})
    assert not comparison.breaking
    assert set(rules_of(comparison)) == {"PY-PRIVATE-REMOVED"}


def test_a_name_that_is_passed_on_from_a_private_module(tmp_path: Path) -> None:
    old = {"__init__.py": "from ._impl import f\n__all__ = ['f']", "_impl.py": "def f(a, b=1): pass"}
    new = {"__init__.py": "from ._other import f\n__all__ = ['f']", "_other.py": "def f(a): pass"}
    assert rules_of(diff(tmp_path, old, new), "breaking") == {"PY-PARAM-REMOVED": ["lib.f(b)"]}
    same = {"__init__.py": "from ._other import f\n__all__ = ['f']", "_other.py": "def f(a, b=1): pass"}
    assert not diff(tmp_path / "same", old, same).breaking


def test_a_method_that_moves_to_a_base(tmp_path: Path) -> None:
    old = {"__init__.py": "class A:\n    def m(self, x): pass"}
    new = {"__init__.py": "class Base:\n    def m(self, x): pass\nclass A(Base): pass"}
    assert not diff(tmp_path, old, new).breaking


def test_nothing_is_imported_and_a_syntax_error_is_told(tmp_path: Path) -> None:
    old = {"__init__.py": f"open({str(tmp_path / 'ran')!r}, 'w')\ndef f(): pass", "m.py": "def g(): pass"}
    comparison = diff(tmp_path, old, {"__init__.py": "def f(): pass", "m.py": "def g(:"})
    assert not (tmp_path / "ran").exists()
    assert comparison.undecided and not comparison.breaking
    assert "lib/m.py:1: syntax error" in str(comparison.new.problems[0])


def test_a_wheel_and_a_src_directory(tmp_path: Path) -> None:
    place = package(tmp_path / "tree" / "src", {"__init__.py": "def f(): pass"})
    wheel = tmp_path / "lib-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(place / "lib/__init__.py", "lib/__init__.py")
    with Sources(Cache(), ReadOptions(language="python")) as sources:
        comparison = compare(sources.read(str(wheel)), sources.read(str(tmp_path / "tree")), Rules())
        assert not comparison.changes
        (tmp_path / "none").mkdir()
        with pytest.raises(XcError, match="no Python package"):
            sources.read(str(tmp_path / "none"))
        wheel.write_bytes(b"x")
        with pytest.raises(XcError, match="cannot be read as a wheel"):
            sources.read(str(wheel))
