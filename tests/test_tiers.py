"""A unit test that starts a program fails by name; what is marked may start one."""

from __future__ import annotations

import pytest

from tests.others import SWITCHED_OFF

pytestmark = pytest.mark.tools

WAYS = {
    "run": "subprocess.run(['true'])",
    "in a thread": "t = threading.Thread(target=subprocess.run, args=(['true'],)); t.start(); t.join()",
    "swallowed": "suppressed(lambda: subprocess.run(['true']))",
    "fork": "os.fork()",
    "spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "shell": "os.system('true')",
}
HEAD = """
import os, subprocess, threading
import pytest
from tests.tiers import starts_programs

def suppressed(call):
    try:
        call()
    except BaseException:
        pass
"""


def run(pytester: pytest.Pytester, text: str, *words: str) -> pytest.RunResult:
    marks = "".join(f"\n    {name}" for name in ("unit", "tools", "slow", "sandbox", "docker", "registry"))
    pytester.makeini(f"[pytest]\nmarkers ={marks}\n")
    pytester.makepyfile(HEAD + text)
    return pytester.runpytest_inprocess(
        *SWITCHED_OFF, "-p", "tests.tiers", "-p", "no:randomly", "-p", "no:xinchuang", *words
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("way", WAYS)
def test_a_unit_test_starts_no_program(pytester: pytest.Pytester, way: str) -> None:
    done = run(pytester, f"def test_it():\n    {WAYS[way]}\n")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*::test_it is a unit test and starts a program: *", "Mark it with @pytest.mark.tools*"])


def test_one_that_is_marked_may(pytester: pytest.Pytester) -> None:
    text = """
@pytest.fixture
@starts_programs
def made():
    return subprocess.run(["true"]).returncode

@pytest.fixture
def user(made):
    return made

def test_by_fixture(user):
    assert user == 0

@pytest.mark.tools
def test_by_mark():
    assert subprocess.run(["true"]).returncode == 0

def test_neither():
    pass
"""
    run(pytester, text).assert_outcomes(passed=3)
    run(pytester, text, "-m", "unit").assert_outcomes(passed=1, deselected=2)
    run(pytester, text, "-m", "tools").assert_outcomes(passed=2, deselected=1)
