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

from pytest_xinchuang.core.journal import read_journal
from pytest_xinchuang.report.json_report import report_schema
from tests.integration.planned import CATALOGUE
from tests.others import LEFT_OUT

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

MINE = """
    import pytest
    @pytest.mark.xc_requirement("ACME-001")
    def test_units_answer(xc_sandbox):
        assert xc_sandbox.run(["echo", "a"]).stdout == b"a\\n"
    @pytest.mark.xc_requirement("ACME-002")
    def test_output_is_the_known_answer(xc_sandbox):
        assert xc_sandbox.run(["echo", "a"]).stdout == b"b\\n"
"""

PATCHED = """
    from pytest_xinchuang.packages.mru.engine import MruEngine
    from pytest_xinchuang.core.verdict import Decision, Fidelity, Verdict
    def decision(self, requirement_id):
        return Decision(Verdict.PASS, fidelity=Fidelity.STATIC, evidence=({"kind": "run"},))
    MruEngine.decision = decision
"""


ONCE_ONE_IS_DECIDED = """
        import os, pathlib, signal, time
        def pytest_runtest_setup(item):
            journal = pathlib.Path(".xc/sealed/journal.ndjson")
            for _ in range(60_000):
                if journal.exists() and b'{"kind": "decision"' in journal.read_bytes(): break
                time.sleep(0.001)
"""
"""How a plugin begins that does something when the sealed process has written its first decision."""

BRINGS = {
    "pytest_xc_platforms": "return []",
    "pytest_xc_packages": "return []",
    "pytest_xc_sandbox_backends": "return {}",
}
"""Hooks by which a run reaches what a sealed process does not have."""


@pytest.fixture
def vendor(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> pytest.Pytester:
    """A vendor's repository, in which a run does what it does for everybody; its temporary files are nobody else's."""
    monkeypatch.delenv("XC_IN_PROCESS")
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
    (pytester.path / "xinchuang.yaml").write_text(MANIFEST)
    return pytester


def plain(
    pytester: pytest.Pytester, *options: str, without: tuple[str, ...] = LEFT_OUT
) -> tuple[pytest.RunResult, dict[str, Any]]:
    arguments = (
        *without,
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


def told(data: dict[str, Any]) -> list[dict[str, Any]]:
    """All that is said of requirements, but for where their evidence stands in the file."""
    return [{name: value for name, value in r.items() if name != "evidence"} for r in data["requirements"]]


def sealed(place: Path) -> dict[str, Any]:
    """The report of the sealed process of a plain run."""
    data: dict[str, Any] = json.loads((place / ".xc/sealed/report.json").read_text())
    assert data["run"]["sealed"], data["run"]["standing"]
    return data


def assert_both_say_the_same(place: Path, honest: dict[str, str]) -> None:
    data, theirs = report(place), sealed(place)
    assert verdicts(theirs) == honest
    assert told(data) == told(theirs) and data["grades"] == theirs["grades"]
    seen = data["run"]["assessor"]
    assert seen["sealed"] and seen["finished"] and seen["run_id"] == theirs["run"]["id"]
    journal = read_journal(place / ".xc/journal.ndjson")
    assert not journal.problems and not journal.doubts
    assert read_journal(place / ".xc" / seen["reports"] / "journal.ndjson").head == seen["head"]
    assert not list(Path(os.environ["TMPDIR"]).glob("xc-grade-*"))


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


@pytest.mark.parametrize("trick", [*TRICKS, "patched"])
def test_foreign_code_does_not_reach_what_a_sealed_process_decides(
    vendor: pytest.Pytester, honest: dict[str, str], trick: str
) -> None:
    vendor.makepyfile(mine={**TRICKS, "patched": PATCHED}[trick])  # a conftest's hooks are for the tests below it alone
    result, data = plain(vendor, "-p", "mine")
    assert_both_say_the_same(vendor.path, honest)
    assert not data["run"]["sealed"] and data["run"]["foreign"]
    said = " ".join(result.stdout.str().split())  # in lines as long as the terminal is wide
    assert re.search(r"not sealed: .*a sealed process decided the checks of the suite: sealed/report\.json", said)
    assert "not sealed: " in (vendor.path / ".xc/junit.xml").read_text()
    assert result.ret == 1


@pytest.mark.parametrize("trick", TRICKS)
def test_beside_foreign_code_a_product_is_never_better(
    vendor: pytest.Pytester, honest: dict[str, str], trick: str
) -> None:
    vendor.makeconftest(TRICKS[trick])
    result, data = plain(vendor, "--xc-in-process")
    assert not (vendor.path / ".xc/sealed").exists()
    better = {i for i, v in verdicts(data).items() if v == "pass" and honest[i] != "pass"}
    assert not better
    assert not data["run"]["sealed"]
    assert any("conftest.py" in text for text in data["run"]["foreign"])
    said = " ".join(result.stdout.str().split())  # in lines as long as the terminal is wide
    assert re.search(r"not sealed: .*conftest\.py.*`xc grade` seals a run; .*in this process: --xc-in-process", said)


def test_an_engine_that_was_replaced_is_told(vendor: pytest.Pytester) -> None:
    vendor.makeconftest(PATCHED)
    _result, data = plain(vendor, "--xc-in-process")
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


@pytest.mark.parametrize("options", [(), ("-n", "2"), ("--forked",), ("--reruns=1",)], ids=str)
def test_sealed_and_plain_give_the_same_grade(
    vendor: pytest.Pytester, honest: dict[str, str], options: tuple[str, ...]
) -> None:
    # With Hypothesis, as whoever has our extra for SM, where nothing else is asked for.
    result, data = plain(vendor, *options, without=LEFT_OUT if options else ())
    assert_both_say_the_same(vendor.path, honest)
    assert not data["run"]["sealed"]
    assert result.ret == 1


def test_in_this_process_it_is_the_same_grade(vendor: pytest.Pytester, honest: dict[str, str]) -> None:
    vendor.makeini("[pytest]\nxc_in_process = true\n")
    _result, data = plain(vendor)
    assert verdicts(data) == honest
    assert data["run"]["assessor"] is None and data["run"]["in_process"] == "--xc-in-process was given"


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_vendors_own_checks_run_beside_it(vendor: pytest.Pytester, honest: dict[str, str], workers: str) -> None:
    vendor.makeconftest(
        "import pathlib\ndef pytest_xc_requirements(config): return [pathlib.Path(__file__).with_name('own.yaml')]\n"
    )
    vendor.makefile(".yaml", own=CATALOGUE)
    vendor.makepyfile(test_mru=MINE)  # as a file of the suite is called
    result, data = plain(vendor, "-n", workers, ".")
    found = verdicts(data)
    assert (found.pop("ACME-001"), found.pop("ACME-002")) == ("pass", "fail")
    assert found == honest == verdicts(sealed(vendor.path))
    assert data["run"]["assessor"]["finished"], result.stdout.str()


def test_what_was_not_selected_is_not_run_there(vendor: pytest.Pytester, honest: dict[str, str]) -> None:
    _result, data = plain(vendor, "-k", "known_answer")
    assert {i: v for i, v in verdicts(data).items() if v != "not_tested"} == {"XC-MRU-010": "fail"}
    chosen = (vendor.path / ".xc/sealed/selection.txt").read_text().splitlines()
    assert len(chosen) == 1 and "test_output_is_the_known_answer" in chosen[0]
    assert verdicts(sealed(vendor.path)) == verdicts(data)
    _result, data = plain(vendor, "-k", "nothing_of_it")
    assert not (vendor.path / ".xc/sealed/report.json").exists()
    assert data["run"]["assessor"] is None and not data["run"]["in_process"]


@pytest.mark.parametrize("option", ["--collect-only", "--setup-plan", "--setup-only"])
def test_nothing_is_started_where_nothing_is_run(vendor: pytest.Pytester, option: str) -> None:
    vendor.runpytest_subprocess("-p", "no:randomly", "--xc-platform=phytium", "--xc-suite=mru", option)
    assert not (vendor.path / ".xc/sealed").exists()


def test_nobody_waits_for_the_rest_after_the_first_failure(vendor: pytest.Pytester, honest: dict[str, str]) -> None:
    # On the platform that comes second, and not in the reference run, the program takes longer than all that is decided before.
    slow = 'program: /bin/sh, args: [-c, "test $(uname -m) != loongarch64 || sleep 25; echo bye"]'
    (vendor.path / "xinchuang.yaml").write_text(MANIFEST.replace("program: /bin/echo, args: [bye]", slow))
    result, data = plain(vendor, "-x", "--xc-platform=phytium,loongson")
    assert result.ret == 1
    first, last = [
        {r["id"]: r["verdict"] for r in data["requirements"] if r["platform"] == grade["platform"]}
        for grade in data["grades"]
    ]
    assert first["XC-MRU-010"] == "fail"
    # Whether it has ended well or was killed as it did not: what it would have come to is not tested.
    assert last["XC-MRU-010"] == "not_tested"
    assert data["grades"][-1]["level"] in (None, "L0")
    assert not [i for each in (first, last) for i, v in each.items() if v == "pass" and honest[i] != "pass"]


@pytest.mark.parametrize("hook", BRINGS)
def test_what_only_this_process_has_is_decided_here(vendor: pytest.Pytester, honest: dict[str, str], hook: str) -> None:
    vendor.makeconftest(f"def {hook}(config):\n    {BRINGS[hook]}\n")
    result, data = plain(vendor)
    assert verdicts(data) == honest
    assert data["run"]["assessor"] is None and hook in data["run"]["in_process"]
    assert f"in this process: {vendor.path}/conftest.py has the hook {hook}" in " ".join(result.stdout.str().split())


@pytest.mark.parametrize("workers", ["0", "2"])
def test_where_it_cannot_start_the_checks_are_decided_here(
    vendor: pytest.Pytester, honest: dict[str, str], workers: str
) -> None:
    vendor.makeconftest(
        """
        from pytest_xinchuang.assessor import starting
        from pathlib import Path
        starting._SCRIPT = Path(__file__).with_name("broken.py")
        """
    )
    vendor.makepyfile(broken="raise SystemExit('an Error of its own')")
    _result, data = plain(vendor, "-n", workers)
    assert verdicts(data) == honest
    assert data["run"]["in_process"] == "the sealed process ended without a decision: an Error of its own"


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_a_killed_process_had_not_decided_is_inconclusive(
    vendor: pytest.Pytester, honest: dict[str, str], workers: str
) -> None:
    vendor.makepyfile(
        mine=ONCE_ONE_IS_DECIDED
        + """\
            for place in os.listdir("/proc"):
                try: words = open(f"/proc/{place}/cmdline").read().split(chr(0))
                except OSError: continue
                if any(word.startswith("--xc-report=") and os.getcwd() in word and "sealed" in word for word in words):
                    os.kill(int(place), signal.SIGKILL)
        """
    )
    result, data = plain(vendor, "-p", "mine", "-n", workers)
    found = verdicts(data)
    assert "inconclusive" in {v for i, v in found.items() if honest[i] in ("pass", "fail")}
    assert all(v == honest[i] or v in ("inconclusive", "not_tested") for i, v in found.items())
    assert not data["run"]["assessor"]["finished"]
    assert "fail" not in {v for i, v in found.items() if honest[i] != "fail"}
    assert "did not finish: sealed/journal.ndjson" in " ".join(result.stdout.str().split())


def test_a_journal_that_somebody_else_writes_is_not_believed(vendor: pytest.Pytester) -> None:
    vendor.makepyfile(
        mine=ONCE_ONE_IS_DECIDED
        + """\
            with journal.open("ab") as file:
                file.write(journal.read_bytes().splitlines(keepends=True)[-1])
        """
    )
    result = vendor.runpytest_subprocess(
        "-p", "mine", "-p", "no:randomly", "--xc-platform=phytium", "--xc-suite=mru", "--xc-subject=."
    )
    assert result.ret == 12
    result.stdout.fnmatch_lines(["*no grade: the journal of the sealed process is not believed: *"])
    assert not (vendor.path / ".xc/report.json").exists()


def test_it_says_in_chinese_what_it_is(vendor: pytest.Pytester) -> None:
    done = grade(vendor.path, "--language", "zh")
    assert "已封闭：" in done.stdout
