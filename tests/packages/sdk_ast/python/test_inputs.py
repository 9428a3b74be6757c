"""Python as it comes: what cannot be read is told, what is odd is read, and what could not be tried says nothing."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.judge.client import Outcome
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.python.delivered import delivered
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache

pytestmark = pytest.mark.tools


def tree(directory: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return directory


def diff(
    directory: Path, old: dict[str, str | bytes], new: dict[str, str | bytes], *, tried: bool = False
) -> Comparison:
    with Sources(Cache(), ReadOptions(language="python")) as sources:
        sides = [sources.read(str(tree(directory / n, files))) for n, files in (("old", old), ("new", new))]
        found = compare(sides[0], sides[1], Rules())
        return judged(found, sources, Rules(), ApiPolicy()) if tried else found


def weights(comparison: Comparison) -> set[tuple[str, str]]:
    return {(one.rule.id, one.weight) for one in comparison.changes}


@pytest.mark.parametrize(
    "bad",
    [b"def f(:\n", b"x = 1\0\n", b"x = '\xff'\n", b"x = " + b"(" * 5000 + b")" * 5000, b"# coding: nothing\nx = 1\n"],
    ids=["syntax", "nul", "encoding", "depth", "coding"],
)
def test_a_module_that_cannot_be_read_makes_it_undecided(tmp_path: Path, bad: bytes) -> None:
    old: dict[str, str | bytes] = {"lib/__init__.py": "", "lib/m.py": "def f(): pass\n"}
    found = diff(tmp_path, old, {"lib/__init__.py": "", "lib/m.py": bad})
    assert found.undecided and not found.breaking
    assert any("lib/m.py" in str(problem) for problem in found.new.problems)
    assert diff(tmp_path / "turned", {"lib/__init__.py": "", "lib/m.py": bad}, old).undecided


@pytest.mark.parametrize(
    "text",
    [
        "class A(A): pass\n",
        "class A(B): pass\nclass B(A): pass\n",
        "from .m import *\n",
        "from . import m\nfrom .m import x\nx = x\n",
        "A = B\nB = A\n",
        "def __getattr__(name): return getattr(name, name)\n",
        "__all__ = [n for n in dir()] + unknown\n",
        "from collections import namedtuple\nP = namedtuple('P')\nQ = namedtuple(*x)\nR = namedtuple('R', 5)\n",
        "import dataclasses\n@dataclasses.dataclass(**options)\nclass A(*bases, **kw):\n    x: int = dataclasses.field(*a)\n",
        "class A:\n    def m(): pass\n    @x.setter\n    def x(*a): pass\n",
    ],
)
def test_what_is_odd_is_read(tmp_path: Path, text: str) -> None:
    files: dict[str, str | bytes] = {"lib/__init__.py": text, "lib/m.py": "from . import *\nfrom lib import x\n"}
    assert not diff(tmp_path, files, {**files, "lib/other.py": ""}).breaking


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", b"[project\n\xff"),
        ("pyproject.toml", b"project = 1\n"),
        ("pyproject.toml", b"[project]\nscripts = 1\noptional-dependencies = []\n"),
        ("setup.cfg", b"[options\nx"),
        ("setup.py", b"setup(entry_points={1: 2}, extras_require=3)\n"),
        ("setup.py", b"import setuptools\nsetuptools.setup(entry_points={'console_scripts': 5})\n"),
        ("lib-1.dist-info/METADATA", b"\xff\0"),
        ("lib-1.dist-info/entry_points.txt", b"nothing [\n"),
    ],
)
def test_metadata_that_cannot_be_read_promise_nothing(tmp_path: Path, name: str, text: bytes) -> None:
    delivered(tree(tmp_path, {"lib/__init__.py": "", name: text}))


PROJECT = "[project]\nname = 'lib'\nscripts = {c = 'lib:f'}\n[tool.setuptools]\npackage-dir = {'' = 'python'}\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", b"[project\n\xff"),
        ("setup.cfg", b"[options\nx"),
        ("setup.py", b"setup(\n"),
        ("lib-1.dist-info/entry_points.txt", b"nothing [\n"),
    ],
)
def test_what_describes_a_distribution_and_cannot_be_read_makes_it_undecided(
    tmp_path: Path, name: str, text: bytes
) -> None:
    old: dict[str, str | bytes] = {"lib/__init__.py": "", "lib-1.dist-info/METADATA": "Name: lib\n"}
    if "dist-info" in name:
        old["lib-1.dist-info/entry_points.txt"] = "[console_scripts]\nc = lib:f\n"
    else:
        del old["lib-1.dist-info/METADATA"]
    for before, after in ((old, {**old, name: text}), ({**old, name: text}, old), *[({**old, name: text},) * 2]):
        found = diff(tmp_path / str(len(list(tmp_path.iterdir()))), before, after)
        assert found.undecided and not found.breaking, found.changes
        assert any(name.rpartition("/")[2] in str(one) for one in (*found.old.problems, *found.new.problems))


def test_packages_in_a_directory_that_nothing_names_any_longer_are_undecided(tmp_path: Path) -> None:
    old: dict[str, str | bytes] = {"python/lib/__init__.py": "def f(): pass\n", "pyproject.toml": PROJECT}
    found = diff(tmp_path / "1", old, {**old, "pyproject.toml": PROJECT + "]"})
    assert found.undecided and not found.breaking
    twin = diff(tmp_path / "2", old, {"other/__init__.py": "", "pyproject.toml": PROJECT.replace("python'", ".'")})
    assert twin.breaking


def test_a_package_that_says_no_longer_that_it_is_typed(tmp_path: Path) -> None:
    old: dict[str, str | bytes] = {"lib/__init__.py": "def f(a: int) -> int: ...\n", "lib/py.typed": ""}
    new: dict[str, str | bytes] = {"lib/__init__.py": old["lib/__init__.py"]}
    assert weights(diff(tmp_path / "1", old, new)) == {("PY-TYPED-LOST", "fragile")}
    assert not diff(tmp_path / "2", new, old).changes and not diff(tmp_path / "3", old, old).changes


def test_metadata_on_one_side_alone_are_no_difference(tmp_path: Path) -> None:
    project = "[project]\nname = 'lib'\n[project.scripts]\nc = 'lib:f'\n"
    old: dict[str, str | bytes] = {"lib/__init__.py": "", "pyproject.toml": project}
    assert not diff(tmp_path, old, {"lib/__init__.py": ""}).changes


def test_a_wheel_that_names_files_outside(tmp_path: Path) -> None:
    wheel = tmp_path / "lib-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("../../lib/__init__.py", "def f(): pass\n")
        archive.writestr("lib/__init__.py", "def g(): pass\n")
    with Sources(Cache(), ReadOptions(language="python")) as sources:
        assert sources.read(str(wheel)).packages["lib"]
    assert not (tmp_path.parent / "lib").exists()


def test_stubs_are_read_where_there_is_no_source(tmp_path: Path) -> None:
    old: dict[str, str | bytes] = {"lib-stubs/__init__.pyi": "def f(a: int) -> int: ...\ndef g() -> None: ...\n"}
    found = diff(tmp_path, old, {"lib-stubs/__init__.pyi": "def f(a: int) -> int: ...\n"})
    assert weights(found) == {("PY-REMOVED", "breaking")}


def test_a_module_that_lacks_a_requirement_is_not_tried(tmp_path: Path) -> None:
    text = "import no_such_distribution\ndef f({}): pass\n"
    found = diff(tmp_path, {"lib/__init__.py": text.format("a")}, {"lib/__init__.py": text.format("")}, tried=True)
    assert found.trials and not any(trial.counts for trial in found.trials)
    assert weights(found) == {("PY-PARAM-REMOVED", "breaking")}


def test_calls_that_are_passed_on_say_nothing(tmp_path: Path) -> None:
    text = "def _on(g):\n    def inner(*args, **kw): return g(*args, **kw)\n    return inner\n@_on\ndef f({}): pass\n"
    found = diff(
        tmp_path, {"lib/__init__.py": text.format("a=1, b=2")}, {"lib/__init__.py": text.format("a=1")}, tried=True
    )
    assert weights(found) == {("PY-PARAM-REMOVED", "breaking")}


def test_submodules_that_a_finder_of_its_own_makes_are_tried(tmp_path: Path) -> None:
    made = (
        "import sys, types\nfrom importlib import abc, machinery\n"
        "class Finder(abc.MetaPathFinder, abc.Loader):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        return machinery.ModuleSpec(name, self) if name == 'lib.made' else None\n"
        "    def exec_module(self, module): module.value = 1\n"
        "sys.meta_path.append(Finder())\nfrom lib.made import value\ndef f({}): pass\n"
    )
    files: list[dict[str, str | bytes]] = [{"lib/__init__.py": made.format(p)} for p in ("a", "")]
    found = diff(tmp_path, files[0], files[1], tried=True)
    assert [one.change.symbol for one in found.of("breaking") if one.trial is not None] == ["lib.f(a)"]


def test_a_parameter_that_moved_is_shown_by_its_position(tmp_path: Path) -> None:
    old: dict[str, str | bytes] = {
        "lib/__init__.py": "def f(a=1, b=2): pass\nclass C:\n    def g(self, a, b=2): pass\n"
    }
    new: dict[str, str | bytes] = {
        "lib/__init__.py": "def f(b=2, a=1): pass\nclass C:\n    def g(self, a, n=1, b=2): pass\n"
    }
    found = diff(tmp_path, old, new, tried=True)
    shown = {one.change.symbol for one in found.changes if one.trial is not None and one.breaking}
    assert shown == {"lib.f(a)", "lib.f(b)", "lib.C.g(b)"}
    assert not any(one.rule.id == "PY-UNEXPLAINED" for one in found.changes)
    renamed: dict[str, str | bytes] = {
        "lib/__init__.py": "def f(a=1, *, b=2): pass\nclass C:\n    def g(self, a, b=2): pass\n"
    }
    other = diff(tmp_path / "2", old, renamed, tried=True)
    assert not any(trial.breaks for trial in other.trials if trial.client.relation == "position")


def test_what_a_run_gives_is_only_fragile(tmp_path: Path) -> None:
    made = "import sys\nfor n in 'fg':\n    setattr(sys.modules[__name__], n, lambda a: a)\n"
    found = diff(tmp_path, {"lib/__init__.py": "def f(a): pass\n"}, {"lib/__init__.py": made}, tried=True)
    assert ("PY-REMOVED", "fragile") in weights(found) and not found.breaking


def test_an_import_that_ends_the_process_is_no_evidence(tmp_path: Path) -> None:
    new = "import os\nos._exit(0)\ndef f(): pass\n"
    found = diff(tmp_path, {"lib/__init__.py": "def f(a): pass\n"}, {"lib/__init__.py": new}, tried=True)
    assert all(trial.source is Outcome.UNTRIED for trial in found.trials)
    assert found.breaking
