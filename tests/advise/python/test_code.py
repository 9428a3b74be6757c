"""Code of Python that asks for the machine, and libraries that it loads."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.advise.python.survey import PythonSurvey
from tests.advise.asking import ALL, Asked, ask, library

SWITCH = """import platform
from elsewhere import anything


def suffix():
    machine = platform.machine()
    if machine == "x86_64":
        return "x"
    {arm}
    {rest}
"""
BAD = SWITCH.format(arm='if machine in ("aarch64", "arm64"):\n        return "a"', rest="raise RuntimeError(machine)")
CLEAN = SWITCH.format(arm="", rest='return "generic"')


def run(root: Path, **files: str) -> Asked:
    return ask(PythonSurvey(), root, {f"{name}.py": text for name, text in files.items()}, build=True)


def read(root: Path, **files: str) -> Asked:
    return ask(PythonSurvey(), root, {f"{name}.py": text for name, text in files.items()})


@pytest.mark.tools
def test_what_raises_on_the_platform_alone_is_certain(tmp_path: Path) -> None:
    said = run(tmp_path, names=BAD)
    assert said.certain("loongson") == [("XC-ADV-081", "names.py:11")]
    assert not any(said.found(name) for name in ALL if name != "loongson")


@pytest.mark.tools
@pytest.mark.parametrize("text", [CLEAN, CLEAN.replace('"x86_64"', '"never"')])
def test_an_arm_for_all_others_is_clean(tmp_path: Path, text: str) -> None:
    said = run(tmp_path, names=text)
    assert not said.said.findings and said.judged("loongson") == [(1, 1)]


@pytest.mark.tools
def test_where_everybody_catches_it_it_may_be_meant(tmp_path: Path) -> None:
    user = "from names import suffix\n\ntry:\n    s = suffix()\nexcept RuntimeError:\n    s = ''\n"
    said = run(tmp_path, names=BAD, user=user)
    assert said.may("loongson") == [("XC-ADV-081", "names.py:11")] and not said.certain("loongson")


MODULES = {
    "a table": ("import os\nTABLE = {'x86_64': 1, 'aarch64': 2}\nKIND = TABLE[os.uname().machine]\n", 3),
    "an exit": ("import sys, platform as p\nif p.machine() not in ('x86_64', 'aarch64'):\n    sys.exit('no')\n", 3),
    "a tag": (
        "from sysconfig import get_platform\nNAME = get_platform()\nassert NAME in ('linux-x86_64', 'linux-aarch64')\n",
        3,
    ),
    "uname": (
        "import platform\nM = platform.uname()[4].lower()\nif M not in ('x86_64', 'aarch64'):\n    raise OSError\n",
        4,
    ),
}


@pytest.mark.tools
@pytest.mark.parametrize("name", MODULES)
def test_a_module_that_cannot_be_loaded(tmp_path: Path, name: str) -> None:
    text, line = MODULES[name]
    bad = run(tmp_path / "bad", module=text)
    assert bad.certain("loongson") == [("XC-ADV-081", f"module.py:{line}")] and not bad.found("kunpeng")
    good = run(tmp_path / "good", module=text.replace("'aarch64'", "'aarch64', 'loongarch64'").replace("'loongarch64': 2",
        "'loongarch64': 3, 'aarch64': 2").replace("'linux-aarch64'", "'linux-aarch64', 'linux-loongarch64'")
        if name != "a table" else text.replace("{", "{'loongarch64': 3, "))  # fmt: skip
    assert not good.said.findings


@pytest.mark.tools
def test_a_function_that_returns_nothing_may_be_meant(tmp_path: Path) -> None:
    text = "import platform\ndef name():\n    return {'x86_64': 'x', 'aarch64': 'a'}.get(platform.machine())\n"
    assert run(tmp_path / "bad", a=text).may("loongson") == [("XC-ADV-081", "a.py:2")]
    assert not run(tmp_path / "good", a=text.replace("machine())", "machine(), 'g')")).said.findings


@pytest.mark.tools
@pytest.mark.parametrize(
    "text",
    [
        "import os, platform\nif platform.machine() != 'x86_64':\n    os._exit(0)\n",
        "import platform\nwhile platform.machine() != 'x86_64':\n    pass\n",
        "import platform\nX = 'a' * (10 ** 12) if platform.machine() else ''\n",
    ],
)
def test_what_comes_to_no_end_is_no_finding_of_the_platform(tmp_path: Path, text: str) -> None:
    assert not run(tmp_path, a=text, names=BAD).certain("kunpeng")


def test_what_cannot_be_run_is_read(tmp_path: Path) -> None:
    text = BAD.replace("def suffix():", "def suffix(wanted):")
    said = read(tmp_path, names=text)
    assert not said.certain("loongson") and not said.found("kunpeng")


CHAIN = """import platform

def url(version):
    machine = platform.machine()
    if machine in ("x86_64", "amd64"):
        name = "x64"
    elif machine.startswith({word}):
        name = "other"
    else:
        raise ValueError(machine)
    return name + version
"""


def test_a_chain_whose_rest_refuses(tmp_path: Path) -> None:
    bad = read(tmp_path / "bad", a=CHAIN.format(word='"aarch"'))
    assert bad.may("loongson") == [("XC-ADV-081", "a.py:5")] and not bad.found("kunpeng") and not bad.found("hygon")
    assert not read(tmp_path / "good", a=CHAIN.format(word='("aarch", "loong")')).said.findings


def test_an_x86_branch_alone_is_no_finding(tmp_path: Path) -> None:
    text = "import platform\ndef f(x):\n    if platform.machine() == 'x86_64':\n        x += 1\n    return x\n"
    assert not read(tmp_path, a=text).said.findings


def test_tests_are_noted_alone(tmp_path: Path) -> None:
    said = ask(PythonSurvey(), tmp_path, {"tests/test_a.py": CHAIN.format(word='"aarch"')})
    assert not said.found("loongson") and len(said.said.findings) == 1


LOAD = "import ctypes, os\n{guard}\nHERE = os.path.dirname(__file__)\nLIB = ctypes.CDLL(os.path.join(HERE, 'libfast.so'))\n"


def test_a_library_for_x86_64_alone(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"pkg/a.py": LOAD.format(guard=""), "pkg/libfast.so": library("x86_64")}
    bad = ask(PythonSurvey(), tmp_path / "bad", files)
    for name in ("kunpeng", "loongson"):
        assert bad.certain(name) == [("XC-ADV-082", "pkg/a.py:4")]
    assert not bad.found("hygon")
    made = ask(PythonSurvey(), tmp_path / "made", {**files, "Makefile": "libfast.so: fast.c\n"})
    assert made.may("kunpeng") and not made.certain("kunpeng")
    caught = "try:\n    import ctypes\n    L = ctypes.CDLL('pkg/libfast.so')\nexcept OSError:\n    L = None\n"
    assert not ask(PythonSurvey(), tmp_path / "caught", {**files, "pkg/a.py": caught}).certain("kunpeng")


def test_a_library_of_each_machine_is_clean(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"pkg/a.py": LOAD.format(guard="")}
    libraries = {f"pkg/{m}/libfast.so": library(m) for m in ("x86_64", "aarch64", "loongarch64")}
    assert not ask(PythonSurvey(), tmp_path, {**files, **libraries}).said.findings
    assert not ask(PythonSurvey(), tmp_path / "none", files).said.findings  # it comes from elsewhere


REFUSALS = {
    "an attribute": """import platform
class Loader:
    def __init__(self):
        self.machine = platform.machine()
    def load(self, name):
        if self.machine not in ({names}):
            raise RuntimeError(name)
""",
    "an answer": """import platform
KNOWN = platform.machine() in ({names})
def load(name):
    if not KNOWN:
        raise RuntimeError(name)
""",
    "a function": """import platform
def machine():
    return platform.machine().lower()
def load(name):
    if machine() in ({names}):
        return name
    raise RuntimeError(name)
""",
    "an assertion": """from os import uname
def load(name):
    assert uname().machine in ({names}), name
""",
    "a table that is asked": """import platform
KINDS = {{{table}}}
def load(name):
    return KINDS.get(platform.machine()) + name
""",
    "a program": """import subprocess
if subprocess.check_output(["uname", "-m"], text=True).strip() not in ({names}):
    raise SystemExit("no")
""",
    "a coroutine": """import platform
async def load(name):
    if platform.machine() not in ({names}):
        raise RuntimeError(name)
""",
    "a function within a block": """import platform, sys
if sys.platform == "linux":
    def load(name):
        if platform.machine() not in ({names}):
            raise RuntimeError(name)
""",
    "a constant": """import platform
SUPPORTED = ({names})
def load(name):
    if platform.machine() not in SUPPORTED:
        raise RuntimeError(name)
""",
    "an attribute of the class": """import os
class Loader:
    arch = os.uname().machine
    def load(self, name):
        if self.arch in ({names}):
            return name
        raise OSError(name)
""",
    "another name": """import platform as p
machine = p.machine
def load(name):
    if machine() not in ({names}):
        raise OSError(name)
""",
    "everything of a module": """from platform import *
def load(name):
    if machine() not in ({names}):
        raise OSError(name)
""",
    "an arm that was not run": """import platform
def load(name=None):
    machine = platform.machine()
    if name:
        if machine not in ({names}):
            raise RuntimeError(name)
    return 1
""",
}


@pytest.mark.tools
@pytest.mark.parametrize("kind", REFUSALS)
def test_what_is_not_run_is_read(tmp_path: Path, kind: str) -> None:
    for where, names in (("bad", ("x86_64", "AMD64")), ("good", ("x86_64", "aarch64", "loongarch64"))):
        given = ", ".join(f'"{name}"' for name in names)
        said = run(tmp_path / where, a=REFUSALS[kind].format(names=given, table=given.replace(",", ": 1,") + ": 2"))
        found = [code for code, _place in said.may("kunpeng")], [code for code, _place in said.may("loongson")]
        assert found == ((["XC-ADV-081"], ["XC-ADV-081"]) if where == "bad" else ([], [])), where
        assert not said.certain("kunpeng") and not said.found("hygon")


@pytest.mark.tools
@pytest.mark.parametrize("asks", ["import info\nif not info.{}:", "from info import {} as known\nif not known:"])
def test_what_another_file_has_asked_for_counts(tmp_path: Path, asks: str) -> None:
    info = "import platform\nX86 = platform.machine() == 'x86_64'\nUSED = 'x'\n"
    text = asks + "\n    raise SystemExit('no')\n"
    said = run(tmp_path / "bad", info=info, a=text.format("X86"))
    assert said.may("kunpeng") == [("XC-ADV-081", "a.py:2")] == said.may("loongson")
    assert not run(tmp_path / "good", info=info, a=text.format("USED")).said.findings


def test_a_tag_is_the_machine_behind_its_system(tmp_path: Path) -> None:
    text = """import platform
TAG = f"linux_{platform.machine()}"
KNOWN = {"linux_x86_64": "a", "linux_aarch64": "b"}
def load(name):
    if TAG not in KNOWN:
        raise RuntimeError(name)
"""
    said = read(tmp_path, a=text)
    assert said.may("loongson") == [("XC-ADV-081", "a.py:5")] and not said.found("kunpeng")


@pytest.mark.tools
def test_what_is_compared_with_something_unknown_is_not_judged(tmp_path: Path) -> None:
    text = "import platform\nfrom settings import KNOWN\ndef load(name):\n    if platform.machine() not in KNOWN:\n"
    said = run(tmp_path / "not", a=text + "        raise OSError(name)\n")
    assert said.judged("kunpeng") == [(0, 1)] and "not known before it is run" in said.why("kunpeng")
    assert run(tmp_path / "told", a=text + "        print(name)\n").judged("kunpeng") == [(1, 1)]


@pytest.mark.tools
def test_what_is_told_to_people_decides_nothing(tmp_path: Path) -> None:
    text = "import platform\nprint(platform.machine())\ndef agent(x):\n    return f'm ({platform.machine()}) {x}'\n"
    assert not run(tmp_path, a=text).said.findings


@pytest.mark.tools
def test_a_class_whose_body_raises(tmp_path: Path) -> None:
    text = "import platform\nclass A:\n    KIND = {'x86_64': 1, 'aarch64': 2}[platform.machine()]\n"
    assert run(tmp_path, a=text).certain("loongson") == [("XC-ADV-081", "a.py:3")]


@pytest.mark.parametrize("text", ["print 'x'\n", "(" * 5000, "x = '\0'", "def f(:\n"])
def test_what_python_cannot_read_is_not_judged(tmp_path: Path, text: str) -> None:
    said = read(tmp_path, a=text)
    assert said.judged("kunpeng") == [(0, 1)] and "cannot read" in said.why("kunpeng")
