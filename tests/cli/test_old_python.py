"""A Python below 3.11 is told so at once, in one line, with how to get another for this distribution."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pytest_xinchuang
from pytest_xinchuang import _python

ROOT = Path(pytest_xinchuang.__file__).parents[1]
FIRST = ("pytest_xinchuang/__init__.py", "pytest_xinchuang/__main__.py", "pytest_xinchuang/_python.py")


@pytest.mark.parametrize("name", [*FIRST, "scripts/backend/xinchuang_build.py"])
def test_what_runs_first_can_be_read_by_an_old_python(name: str) -> None:
    source = (ROOT / name).read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    assert "from __future__ import annotations" not in source, "3.7 has it first"


SYSTEMS = {
    "Ubuntu 22.04": ('ID=ubuntu\nVERSION_ID="22.04"', "sudo apt-get install python3.11 python3.11-venv"),
    "Rocky 9": ('ID="rocky"\nVERSION_ID="9.4"', "sudo dnf install python3.11"),
    "openSUSE": ("ID=opensuse-leap\nVERSION_ID='15.6'", "sudo zypper install python311"),
    "Kylin": ('ID="kylin"\nVERSION_ID="V10"', "uv venv --python 3.12 .venv"),
    "none": ("", "conda create -n xc python=3.12"),
    "garbage": ("=\nID\n\xff", "uv venv"),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_line_names_what_this_distribution_has(system: str, tmp_path: Path) -> None:
    text, how = SYSTEMS[system]
    place = tmp_path / "os-release"
    place.write_text(text, encoding="latin-1")
    for language, start in (
        ("C.UTF-8", "pytest-xinchuang needs Python 3.11"),
        ("zh_CN.UTF-8", "pytest-xinchuang 需要"),
    ):
        line = _python.refusal((3, 9, 2, "final", 0), "/usr/bin/python3", {"LANG": language}, str(place))
        assert line.startswith(start) and "3.9.2" in line and how in line and "\n" not in line
    assert _python.refusal((3, 9), "", {}, str(tmp_path / "none"))


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 14, 1), (4, 0, 0)])
def test_a_python_that_is_new_enough_is_not_refused(version: tuple[int, ...]) -> None:
    assert _python.refusal(version, "python3", {}) == ""


OLD = "import sys; sys.version_info = (3, 9, 18, 'final', 0); sys.path.insert(0, {root!r}); {then}"


@pytest.mark.tools
@pytest.mark.parametrize(
    "then",
    [
        "import pytest_xinchuang.plugin",
        "from pytest_xinchuang.cli import main",
        "import runpy; runpy.run_module('pytest_xinchuang', run_name='__main__')",
        "import os; os.chdir({root!r}); import runpy; runpy.run_path('scripts/backend/xinchuang_build.py')",
    ],
)
@pytest.mark.parametrize(("encoding", "zh"), [("utf-8", True), ("ascii", False)])
def test_every_entry_ends_with_one_line(then: str, encoding: str, zh: bool) -> None:
    code = OLD.format(root=str(ROOT), then=then.format(root=str(ROOT)))
    env = {"LC_ALL": "zh_CN.UTF-8", "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, check=False)
    said = done.stderr.decode()
    assert (done.returncode, said.count("\n")) == (2, 1), said
    assert ("需要" in said) is zh and "3.9.18" in said


def test_an_old_pip_has_nothing_to_look_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: lines for name, lines in project["optional-dependencies"].items() if name != "test"}
    for line in [*project["dependencies"], *(line for lines in extras.values() for line in lines)]:
        assert re.search(r"python_version >= '3\.1[1-9]'", line), line


@pytest.mark.tools
def test_setup_looks_for_a_python_before_it_installs(tmp_path: Path) -> None:
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    env = {"PATH": str(tmp_path), "LC_ALL": "zh_CN.UTF-8"}
    words = ["/bin/sh", str(ROOT / "scripts/grade")]
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (2, "xc: 没有 python3：请先安装 Python 3.11 或更新版本\n")
    old = tmp_path / "python3"
    code = OLD.format(root=str(ROOT), then="exec(sys.argv[2]) if sys.argv[1] == '-c' else __import__('runpy').run_path")
    old.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && exit 1\nexec {sys.executable} -c "{code}(sys.argv[1], run_name=\'__main__\')" "$@"\n'
    )
    old.chmod(0o755)
    done = subprocess.run(words, capture_output=True, text=True, env=env | {"PYTHONIOENCODING": "utf-8"}, check=False)
    assert done.returncode == 2 and "需要 Python 3.11" in done.stderr and done.stderr.count("\n") == 1, done.stderr
