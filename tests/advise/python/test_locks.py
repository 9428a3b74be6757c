"""Pinned packages: which of them pip of a platform finds a wheel for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_xinchuang.advise.python.survey import PythonSurvey
from pytest_xinchuang.advise.registries import Registry
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import verbatim
from tests.advise.asking import ALL, Asked, ask

X86 = "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
ARM = "cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64.whl"
LOONG = "cp311-cp311-manylinux_2_36_loongarch64.whl"

UV = """version = 1
requires-python = ">=3.11"

[[package]]
name = "product"
version = "0.1"
source = {{ virtual = "." }}
dependencies = [{{ name = "fast"{marker} }}]

[[package]]
name = "fast"
version = "1.0"
source = {{ registry = "https://pypi.example.org/simple" }}
{sdist}
wheels = [{wheels}]
"""


def uv(*wheels: str, sdist: bool = False, marker: str = "") -> str:
    listed = ", ".join(f'{{ url = "https://files/fast-1.0-{w}", hash = "sha256:0" }}' for w in wheels)
    archive = 'sdist = { url = "https://files/fast-1.0.tar.gz", hash = "sha256:0" }' if sdist else ""
    return UV.format(wheels=listed, sdist=archive, marker=f', marker = "{marker}"' if marker else "")


def asked(root: Path, **files: str) -> Asked:
    return ask(PythonSurvey(), root, {name.replace("_lock", ".lock"): text for name, text in files.items()})


FAST = ("XC-ADV-080", "uv.lock:10")


def test_no_wheel_and_no_source_is_certain_where_there_is_none(tmp_path: Path) -> None:
    said = asked(tmp_path, uv_lock=uv(X86, ARM))
    assert said.certain("loongson") == [FAST] and not said.may("loongson")
    assert not any(said.found(name) for name in ALL if name != "loongson")
    assert all(said.judged(name) == [(1, 1)] for name in ALL)


def test_a_source_distribution_may_be_built(tmp_path: Path) -> None:
    said = asked(tmp_path, uv_lock=uv(X86, sdist=True))
    for name in ("kunpeng", "phytium", "loongson"):
        assert said.may(name) == [FAST] and not said.certain(name)
    assert not said.found("hygon") and not said.found("zhaoxin")


def test_wheels_for_all_are_clean(tmp_path: Path) -> None:
    said = asked(tmp_path, uv_lock=uv(X86, ARM, LOONG))
    assert not said.said.findings


@pytest.mark.parametrize("wheels", [("py3-none-any.whl",), (X86, "py3-none-any.whl"), ("cp311-cp311-win_amd64.whl",)])
def test_what_is_no_difference_is_no_finding(tmp_path: Path, wheels: tuple[str, ...]) -> None:
    assert not asked(tmp_path, uv_lock=uv(*wheels)).said.findings


def test_a_wheel_of_a_newer_c_library_is_none_for_the_platform(tmp_path: Path) -> None:
    said = asked(tmp_path, uv_lock=uv(X86, "cp311-cp311-manylinux_2_34_aarch64.whl", LOONG))
    assert said.certain("kunpeng") == [FAST] and not said.found("loongson")


def test_an_abi3_wheel_is_taken_by_later_pythons(tmp_path: Path) -> None:
    said = asked(tmp_path, uv_lock=uv(X86, "cp39-abi3-manylinux_2_17_aarch64.whl"))
    assert not said.found("kunpeng") and said.certain("loongson")


@pytest.mark.parametrize(
    ("marker", "reached"),
    [
        ("platform_machine == 'x86_64'", False),
        ("sys_platform == 'win32'", False),
        ("python_full_version < '3.9'", False),
        ("sys_platform == 'linux'", True),
        ("platform_machine != 'aarch64'", True),
    ],
)
def test_a_marker_leaves_a_package_out(tmp_path: Path, marker: str, *, reached: bool) -> None:
    said = asked(tmp_path, uv_lock=uv(X86, marker=marker))
    assert said.certain("loongson") == ([FAST] if reached else [])


def test_what_an_extra_brings_is_not_certain(tmp_path: Path) -> None:
    said = asked(tmp_path, uv_lock=uv(X86, marker="extra == 'gpu'"))
    assert said.may("loongson") == [FAST] and not said.certain("loongson")


POETRY = """[[package]]
name = "Fast_Thing"
version = "1.0"
optional = false
groups = ["main"]
files = [
    {{file = "fast_thing-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", hash = "sha256:0"}},
    {other}
]

[metadata]
lock-version = "2.1"
python-versions = "^3.11"
"""


def test_poetry(tmp_path: Path) -> None:
    bad = asked(tmp_path / "bad", poetry_lock=POETRY.format(other=""))
    assert bad.certain("kunpeng") == [("XC-ADV-080", "poetry.lock:1")] == bad.certain("loongson")
    good = asked(tmp_path / "good", poetry_lock=POETRY.format(other='{file = "fast_thing-1.0-py3-none-any.whl"}'))
    assert not good.said.findings and good.judged("kunpeng") == [(1, 1)]


def test_poetry_follows_the_markers_of_who_asks(tmp_path: Path) -> None:
    asker = (
        '[[package]]\nname = "asker"\nversion = "1"\ngroups = ["main"]\nfiles = [{file = "asker-1-py3-none-any.whl"}]\n'
    )
    below = '[package.dependencies]\nfast-thing = {version = "*", markers = "platform_machine == \\"x86_64\\""}\n\n'
    said = asked(tmp_path, poetry_lock=asker + below + POETRY.format(other=""))
    assert not said.said.findings


def test_pdm_and_pylock(tmp_path: Path) -> None:
    pdm = (
        '[[package]]\nname = "fast"\nversion = "1.0"\ngroups = ["default"]\n'
        f'files = [{{file = "fast-1.0-{X86}", hash = "sha256:0"}}]\n'
    )
    said = ask(PythonSurvey(), tmp_path / "pdm", {"pdm.lock": pdm})
    assert said.certain("kunpeng") == [("XC-ADV-080", "pdm.lock:1")]
    pylock = (
        'lock-version = "1.0"\ncreated-by = "us"\nrequires-python = ">=3.11"\n[[packages]]\nname = "fast"\nversion = "1.0"\n'
        f'wheels = [{{name = "fast-1.0-{X86}"}}, {{name = "fast-1.0-{ARM}"}}]\n'
    )
    said = ask(PythonSurvey(), tmp_path / "pylock", {"pylock.toml": pylock})
    assert said.certain("loongson") == [("XC-ADV-080", "pylock.toml:4")] and not said.found("kunpeng")


def index(files: Mapping[str, list[str]]) -> Registry:
    def get(url: str, _headers: Mapping[str, str]) -> bytes | None:
        name = url.rstrip("/").rpartition("/")[2]
        if name not in files:
            return None
        return json.dumps({"files": [{"filename": f} for f in files[name]]}).encode()

    return Registry(get)


REQUIREMENTS = """# pinned
fast==1.0 \\
    --hash=sha256:0
-r more/requirements.txt
loose>=2
cuda==1.0; platform_machine == "x86_64"
"""


def test_requirements_ask_the_index(tmp_path: Path) -> None:
    known = index({"fast": [f"fast-1.0-{X86}", f"fast-1.0-{ARM}", f"fast-2.0-{LOONG}"], "more": ["more-2.tar.gz"]})
    files = {"requirements.txt": REQUIREMENTS, "more/requirements.txt": "more==2\n"}
    said = ask(PythonSurvey(known), tmp_path, files, offline=False)
    assert said.certain("loongson") == [("XC-ADV-080", "requirements.txt:2")] and not said.found("kunpeng")
    assert said.judged("loongson") == [(2, 3)] and "no version" in said.why("loongson")


def test_requirements_are_open_where_the_index_may_not_be_asked(tmp_path: Path) -> None:
    said = ask(PythonSurvey(), tmp_path, {"requirements.txt": "fast==1.0\n"})
    assert said.judged("kunpeng") == [(0, 1)] and "offline" in said.why("kunpeng") and not said.said.findings


def test_another_index_may_have_what_ours_has_not(tmp_path: Path) -> None:
    known = index({"fast": [f"fast-1.0-{X86}"]})
    text = "--extra-index-url https://wheels.example/simple\nfast==1.0\n"
    said = ask(PythonSurvey(known), tmp_path, {"requirements.txt": text}, offline=False)
    assert said.may("kunpeng") == [("XC-ADV-080", "requirements.txt:2")] and not said.certain("kunpeng")


def test_an_index_that_does_not_answer_leaves_it_open(tmp_path: Path) -> None:
    def get(_url: str, _headers: Mapping[str, str]) -> bytes | None:
        raise HostFault(verbatim("the line is down"))

    said = ask(PythonSurvey(Registry(get)), tmp_path, {"requirements.txt": "fast==1.0\n"}, offline=False)
    assert said.judged("kunpeng") == [(0, 1)] and "the line is down" in said.why("kunpeng")


@pytest.mark.parametrize("text", ["[[package]]\n", "[", "\0", "package = 3", "[[package]]\nname = {}\nversion = 1\n"])
@pytest.mark.parametrize("name", ["uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock"])
def test_what_is_no_lock_file_is_told_and_never_clean(tmp_path: Path, name: str, text: str) -> None:
    said = ask(PythonSurvey(), tmp_path, {name: text})
    assert said.judged("kunpeng") == [(0, 1)] and name in said.why("kunpeng")


PYPROJECT = '[project]\nname = "p"\ndependencies = [\n  "fast==1.0",\n  "loose>=2",\n]\n'
SETUP = "from setuptools import setup\nsetup(install_requires=['fast==1.0', 'loose'])\n"


@pytest.mark.parametrize(("name", "text", "line"), [("pyproject.toml", PYPROJECT, 4), ("setup.py", SETUP, 2)])
def test_what_no_lock_pins(tmp_path: Path, name: str, text: str, line: int) -> None:
    known = index({"fast": [f"fast-1.0-{X86}", f"fast-1.0-{ARM}"]})
    said = ask(PythonSurvey(known), tmp_path, {name: text}, offline=False)
    assert said.certain("loongson") == [("XC-ADV-080", f"{name}:{line}")] and not said.found("kunpeng")
    assert said.judged("loongson")[-1] == (1, 2) and "no version" in said.why("loongson")


def test_locks_of_tests_are_no_product(tmp_path: Path) -> None:
    files = {"uv.lock": uv(X86, ARM, LOONG), "tests/fixtures/uv.lock": uv(X86)}
    assert not ask(PythonSurvey(), tmp_path, files).said.findings


CFG = "[metadata]\nname = p\n[options]\npython_requires = >=3.11\ninstall_requires =\n    fast==1.0\n    loose>=2\n"
CONDA = "dependencies:\n  - python=3.11\n  - conda-forge::mkl=2023\n  - pip:\n    - fast==1.0\n"


@pytest.mark.parametrize(("name", "text", "line"), [("setup.cfg", CFG, 6), ("environment.yml", CONDA, 5)])
def test_what_setup_cfg_and_conda_ask_for(tmp_path: Path, name: str, text: str, line: int) -> None:
    known = index({"fast": [f"fast-1.0-{X86}", f"fast-1.0-{ARM}"]})
    said = ask(PythonSurvey(known), tmp_path, {name: text}, offline=False)
    assert said.found("loongson") == [("XC-ADV-080", f"{name}:{line}")] and not said.found("kunpeng")
    assert said.judged("loongson")[-1] == (1, 2)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("setup.py", "from setuptools import setup\nsetup(install_requires=open('r').read().split())\n"),
        ("setup.cfg", "[options]\ninstall_requires = file: r.txt\n"),
        ("pyproject.toml", '[project]\nname = "p"\ndynamic = ["dependencies"]\n'),
        ("setup.cfg", "no section\n"),
        ("environment.yml", "- a\n"),
        ("environment.yaml", "a: [\n"),
    ],
)
def test_packages_that_are_known_when_something_is_run_are_not_judged(tmp_path: Path, name: str, text: str) -> None:
    assert ask(PythonSurvey(), tmp_path, {name: text}).judged("kunpeng")[-1] == (0, 1)


@pytest.mark.parametrize("text", ["[flake8]\nmax = 1\n", "[options]\npackages = find:\n"])
def test_a_setup_cfg_without_packages_has_none(tmp_path: Path, text: str) -> None:
    assert ask(PythonSurvey(), tmp_path, {"setup.cfg": text, "a.py": ""}).judged("kunpeng") == [(1, 1)]


def test_a_lock_that_does_not_say_who_brings_what_in(tmp_path: Path) -> None:
    text = uv(X86, ARM).partition("[[package]]")
    alone = text[0] + "[[package]]" + text[2].partition("[[package]]")[2]
    assert asked(tmp_path, uv_lock=alone).may("loongson") == [("XC-ADV-080", "uv.lock:4")]
