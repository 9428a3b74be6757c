"""A product that fails, and ways to have it pass that do not touch it: sealed they reach nothing, else they are told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pytest_xinchuang.report.json_report import report_schema

pytestmark = pytest.mark.sandbox

MANIFEST = """
schema: xc-subject/1
name: hello
version: "1"
units:
  - {name: hello, kind: rootfs, program: /bin/echo, args: [bye],
     expect: {stdout: "hello\\n", source: POSIX echo}}
"""
FAILS = "XC-MRU-012"
"""The requirement that the product breaks: its units do what they should."""

TRICKS = {
    "fixture": """
        import pytest
        class Good:
            def __init__(self, sandbox): self.sandbox = sandbox
            def decide(self): assert self.sandbox.run(["true"]).ok
        @pytest.fixture
        def xc_check(xc_sandbox): return Good(xc_sandbox)
        @pytest.fixture
        def xc_mru(xc_sandbox): return Good(xc_sandbox)
    """,
    "fixture_setup": """
        import pytest
        class Good:
            def decide(self): pass
        @pytest.hookimpl(wrapper=True)
        def pytest_fixture_setup(fixturedef, request):
            result = yield
            if fixturedef.argname == "xc_check":
                fixturedef.cached_result = (Good(), *fixturedef.cached_result[1:])
                return Good()
            return result
        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call(pyfuncitem):
            if "xc_check" in pyfuncitem.funcargs: pyfuncitem.funcargs["xc_check"] = Good()
    """,
    "evidence": """
        import pytest
        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call(pyfuncitem):
            if "xc_check" not in pyfuncitem.funcargs: return None
            sandbox = pyfuncitem._request.getfixturevalue("xc_sandbox")
            assert sandbox.run(["true"]).ok
            return True
    """,
    "report": """
        import pytest
        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            note = getattr(report, "xc", None)
            for decision in (note or {}).get("decisions", []):
                decision.update(verdict="pass", cause="none", reason="", fidelity="native", messages={})
            for n, evidence in enumerate((note or {}).get("evidence", [])):
                note["evidence"][n] = [{"kind": "run"}]
            return report
    """,
    "record": """
        import pytest
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_call(item):
            from pytest_xinchuang.run.recording import record_of
            from pytest_xinchuang.core.verdict import Decision, Fidelity, Verdict
            try:
                return (yield)
            finally:
                for mark in item.iter_markers("xc_requirement"):
                    good = Decision(Verdict.PASS, fidelity=Fidelity.NATIVE, evidence=({"kind": "run"},))
                    record_of(item).settle(mark.args[0], good)
    """,
}

PATCHED = """
    from pytest_xinchuang.packages.mru.engine import MruEngine
    from pytest_xinchuang.core.verdict import Decision, Fidelity, Verdict
    def decision(self, requirement_id):
        return Decision(Verdict.PASS, fidelity=Fidelity.STATIC, evidence=({"kind": "run"},))
    MruEngine.decision = decision
"""


@pytest.fixture
def vendor(pytester: pytest.Pytester) -> pytest.Pytester:
    (pytester.path / "xinchuang.yaml").write_text(MANIFEST)
    return pytester


def plain(pytester: pytest.Pytester, *options: str) -> tuple[pytest.RunResult, dict[str, Any]]:
    arguments = (
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "--xc-platform=phytium",
        "--xc-suite=mru",
        "--xc-subject=.",
    )
    result = pytester.runpytest_subprocess(*arguments, *options)
    return result, report(pytester.path)


def report(place: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((place / ".xc/report.json").read_text())
    jsonschema.validate(data, report_schema())
    return data


def grade(place: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "pytest_xinchuang.cli", "grade", "--platform", "phytium", "--suite", "mru"]
    environment = {**os.environ, **env}
    return subprocess.run([*command, *options], cwd=place, env=environment, capture_output=True, text=True, check=False)


def verdicts(data: dict[str, Any]) -> dict[str, str]:
    return {r["id"]: r["verdict"] for r in data["requirements"]}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a sealed run says of the product."""
    place = tmp_path_factory.mktemp("honest")
    (place / "xinchuang.yaml").write_text(MANIFEST)
    done = grade(place)
    assert done.returncode == 1, done.stdout + done.stderr
    data = report(place)
    assert data["run"]["sealed"], data["run"]["standing"]
    found = verdicts(data)
    assert "fail" in found.values()
    return found


@pytest.mark.parametrize("trick", TRICKS)
def test_beside_foreign_code_a_product_is_never_better(
    vendor: pytest.Pytester, honest: dict[str, str], trick: str
) -> None:
    vendor.makeconftest(TRICKS[trick])
    result, data = plain(vendor)
    better = {i for i, v in verdicts(data).items() if v == "pass" and honest[i] != "pass"}
    assert not better
    assert not data["run"]["sealed"]
    assert any("conftest.py" in text for text in data["run"]["foreign"])
    told = " ".join(result.stdout.str().split())  # in lines as long as the terminal is wide
    assert re.search(r"not sealed: .*conftest\.py.*`xc grade` seals a run", told)


def test_an_engine_that_was_replaced_is_told(vendor: pytest.Pytester) -> None:
    vendor.makeconftest(PATCHED)
    _result, data = plain(vendor)
    assert any("MruEngine.decision" in text for text in data["run"]["foreign"])
    assert "MruEngine.decision" in (vendor.path / ".xc/junit.xml").read_text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_nothing_of_a_vendor_reaches_a_sealed_run(
    vendor: pytest.Pytester, honest: dict[str, str], workers: str
) -> None:
    evil = PATCHED + '\n    print("EVIL")\n'
    vendor.makeconftest(evil)
    for name in ("usercustomize", "mine", "pytest_randomly", "six"):
        vendor.makepyfile(**{name: evil})
    vendor.makepyfile(sitecustomize=PATCHED)  # xc itself has it; what takes its place has not
    vendor.makeini("[pytest]\naddopts = -p mine -k nothing\npython_files = *.none\n")
    there = str(vendor.path)
    done = grade(
        vendor.path,
        "-n",
        workers,
        PYTHONPATH=f"{Path(__file__).parents[2]}:{there}",
        PYTEST_ADDOPTS="-p mine",
        PYTEST_PLUGINS="mine",
        PYTHONSTARTUP=f"{there}/mine.py",
        LD_LIBRARY_PATH=there,
    )
    assert done.returncode == 1 and "EVIL" not in done.stdout + done.stderr, done.stdout + done.stderr
    data = report(vendor.path)
    assert data["run"]["sealed"] and not data["run"]["foreign"], data["run"]
    assert verdicts(data) == honest
    assert "sealed: " in done.stdout


def test_sealed_and_plain_give_the_same_grade(vendor: pytest.Pytester, honest: dict[str, str]) -> None:
    _result, data = plain(vendor)
    assert verdicts(data) == honest
    assert not data["run"]["sealed"]


def test_it_says_in_chinese_what_it_is(vendor: pytest.Pytester) -> None:
    done = grade(vendor.path, "--language", "zh")
    assert "已封闭：" in done.stdout
