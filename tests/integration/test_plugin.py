"""The plugin as a vendor meets it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import tests
from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.report.json_report import report_schema
from pytest_xinchuang.run.controller import EXIT_BELOW_REQUIRED, EXIT_NO_REPORT
from tests import warm
from tests.integration.planned import CATALOGUE
from tests.others import INSIDE

pytestmark = pytest.mark.tools

HELLO = """
    schema: xc-subject/1
    name: hello
    version: "1"
    units:
      - {name: hello, kind: rootfs, program: /bin/echo, args: [hello],
         expect: {stdout: "hello\\n", source: POSIX echo}}
"""
CONFTEST = """
    import pathlib
    def pytest_xc_requirements(config):
        return [pathlib.Path(__file__).with_name("own.yaml")]
"""


@pytest.fixture
def vendor(pytester: pytest.Pytester) -> pytest.Pytester:
    """A vendor's repository with requirements of its own."""
    pytester.makefile(".yaml", own=CATALOGUE)
    pytester.makeconftest(CONFTEST)
    return pytester


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    alone = (*INSIDE, "-p", "no:randomly", "-p", "no:cacheprovider")
    return warm.run(pytester, *alone, "-W", "error", *arguments)


def report(pytester: pytest.Pytester) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((pytester.path / ".xc/report.json").read_text())
    jsonschema.validate(data, report_schema())
    return data


def verdicts(data: dict[str, Any]) -> dict[str, str]:
    return {r["id"]: r["verdict"] for r in data["requirements"]}


def comparable(data: dict[str, Any]) -> dict[str, Any]:
    """A report without what differs from run to run: times, ids and places in the journal."""
    requirements = [{**r, "evidence": len(r["evidence"])} for r in data["requirements"]]
    return {**data, "run": None, "requirements": requirements}


def test_the_inactive_plugin_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("def test_x(): pass\n")
    code = (
        "import sys, pytest\n"
        "assert pytest.main(['-q', '-p', 'no:randomly', '-p', 'no:hypothesispytest']) == 0\n"
        "heavy = {'docker', 'pydantic', 'elftools', 'yaml', 'junit_xml', 'jsonschema'}\n"
        "assert 'pytest_xinchuang.plugin' in sys.modules\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "light = {'pytest_xinchuang.core', 'pytest_xinchuang.core.errors', 'pytest_xinchuang.core.resources'}\n"
        "core = {m for m in sys.modules if m.startswith('pytest_xinchuang.core')}\n"
        "assert core <= light, core - light\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_the_option_its_fixtures_skip(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_x(xc_sandbox): pass\ndef test_y(): pass")
    run(pytester).assert_outcomes(passed=1, skipped=1)


def test_help_and_markers(pytester: pytest.Pytester) -> None:
    run(pytester, "--help").stdout.fnmatch_lines(["*--xc-platform=ID*", "*--xc-backend*", "*--xc-waivers*"])
    run(pytester, "--markers").stdout.fnmatch_lines(["@pytest.mark.xc_platform(*", "@pytest.mark.xc_requirement(*"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--xc-platform=kunpen"], "*unknown platform 'kunpen' (did you mean kunpeng*"),
        (["--xc-platform=,"], "*no platform is named*"),
        (
            ["--xc-platform=kunpeng", "--xc-suite=mruu"],
            "*no conformance package 'mruu' (did you mean mru?); there are mru*",
        ),
        (["--xc-platform=kunpeng", "--xc-profile=finanse"], "*unknown profile 'finanse' (did you mean finance?)*"),
        (["--xc-platform=kunpeng", "--xc-subject=/none"], "*no such manifest*"),
        (["--xc-platform=kunpeng", "--xc-timeout-scale=fast"], "*expected a number above 0*"),
        (["--xc-platform=kunpeng", "--xc-timeout-scale=nan"], "*expected a number above 0*"),
        (["--xc-platform=kunpeng", "--xc-waivers=/none"], "*cannot be read*"),
        (["--xc-platform=kunpeng", "--xc-language=de"], "*--xc-language=de: expected en, zh*"),
        (["--xc-platform=kunpeng", "--xc-platforms-file=/none"], "*cannot be read*"),
        (["--xc-platform=kunpeng", "--xc-report=/dev/null/x"], "*cannot be written*"),
        (["--xc-platform=kunpeng", "-n1", "--dist=each"], "*--dist=each cannot grade*"),
    ],
)
def test_a_wrong_option_is_an_error_in_words(pytester: pytest.Pytester, arguments: list[str], expected: str) -> None:
    pytester.makepyfile("def test_x(): pass")
    result = run(pytester, *arguments)
    assert result.ret not in (0, 1)
    text = result.stdout.lines + result.stderr.lines
    assert any(__import__("fnmatch").fnmatch(line, expected) for line in text), text
    if "--dist=each" not in arguments:
        assert not any("Traceback" in line for line in text)


@pytest.mark.parametrize("suite", ["none", "mru"])
def test_an_unknown_backend_is_an_error_in_words(vendor: pytest.Pytester, suite: str) -> None:
    vendor.makepyfile("def test_x(xc_sandbox): pass")
    result = run(vendor, "--xc-platform=kunpeng", f"--xc-suite={suite}", "--xc-backend=qemuu")
    result.stderr.fnmatch_lines(
        ["ERROR: unknown backend 'qemuu' (did you mean qemu?); there are auto, qemu, docker, system, native"]
    )
    assert "Traceback" not in result.stdout.str() + result.stderr.str() and result.ret != 0


@pytest.mark.parametrize("mark", ["xc_platform()", "xc_platform(3)", "xc_platform('kunpeng', cpu='x')"])
def test_a_wrong_marker_quotes_its_signature(vendor: pytest.Pytester, mark: str) -> None:
    vendor.makepyfile(f"import pytest\n@pytest.mark.{mark}\ndef test_x(xc_platform): pass")
    result = run(vendor, "--xc-platform=kunpeng", "--xc-suite=none")
    assert result.ret != 0
    assert "xc_platform(*ids, arch=None, os=None)" in result.stdout.str() + result.stderr.str()


def test_collect_only_writes_nothing(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--xc-platform=kunpeng", "--xc-suite=mru", "--collect-only", "-q")
    result.stdout.fnmatch_lines(["*test_units_answer[[]kunpeng920-kylin_v10_sp3]*"])
    assert not (pytester.path / ".xc").exists()


@pytest.mark.parametrize(
    "ini",
    [
        "python_files = *_test.py",
        "python_functions = none",
        "norecursedirs = *",
        "empty_parameter_set_mark = fail_at_collect",
    ],
)
def test_no_ini_of_a_vendor_keeps_the_suites_checks_from_being_collected(pytester: pytest.Pytester, ini: str) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.makepyfile(own_test="import pytest\n@pytest.mark.xc_platform('loongson')\ndef test_own(xc_sandbox): pass")
    asked = ("--xc-platform=kunpeng", "--xc-suite=mru", "--collect-only", "-q")
    result = run(pytester, *asked, "--ignore-glob=*mru*")
    assert result.ret == 0
    found = [line for line in result.stdout.lines if "test_mru.py::test_" in line]
    pytester.makeini("[pytest]\n")
    assert found == [line for line in run(pytester, *asked).stdout.lines if "test_mru.py::test_" in line]
    assert len(found) == 34


@pytest.mark.sandbox
def test_a_vendors_own_test_runs_once_for_each_platform(vendor: pytest.Pytester) -> None:
    vendor.makepyfile(
        """
        import pytest
        def test_machine(xc_sandbox, xc_platform):
            assert xc_sandbox.run(["uname", "-m"]).stdout.decode().strip() == xc_platform.architecture.uname
        @pytest.mark.xc_platform(arch="loong64")
        def test_loongson_alone(xc_sandbox): pass
        @pytest.mark.xc_platform("kunpeng")
        def test_kunpeng_alone(xc_sandbox): pass
        def test_plain(): pass
        """
    )
    result = run(vendor, "--xc-platform=kunpeng,loongson", "--xc-suite=none", "-v")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(
        ["*test_machine[[]kunpeng920-kylin_v10_sp3] PASSED*", "*test_machine[[]loongson_3a5000-kylin_v11] PASSED*"]
    )


@pytest.mark.sandbox
@pytest.mark.parametrize("suite", ["none", "mru"])
def test_a_test_of_ones_own_decides_no_requirement_of_the_suite(vendor: pytest.Pytester, suite: str) -> None:
    vendor.makepyfile(
        """
        import pytest
        @pytest.mark.xc_requirement("XC-MRU-004", "XC-MRU-005", "ACME-001")
        def test_mine(xc_sandbox):
            assert xc_sandbox.run(["true"]).ok
        """
    )
    result = run(vendor, "--xc-platform=kunpeng", f"--xc-suite={suite}", "-k", "test_mine")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*test_mine*XC-MRU-004, XC-MRU-005: of the package mru, whose own tests alone decide it*"]
    )
    found = report(vendor)
    assert not set(verdicts(found).values()) & {"pass", "not_applicable"}
    assert not {g["level"] for g in found["grades"]} - {None, "L0"}


def test_a_vendors_requirements_are_decided_by_outcome_and_evidence(vendor: pytest.Pytester) -> None:
    vendor.makepyfile(
        """
        import pytest
        @pytest.mark.xc_requirement("ACME-001")
        def test_one(xc_sandbox):
            assert xc_sandbox.run(["echo", "x"]).stdout == b"x\\n"
        @pytest.mark.xc_requirement("ACME-002")
        def test_two(xc_sandbox):
            assert xc_sandbox.run(["echo", "x"]).stdout == b"y\\n", "the answer is wrong"
        """
    )
    result = run(vendor, "--xc-platform=kunpeng", "--xc-suite=none")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    data = report(vendor)
    assert verdicts(data) == {"ACME-001": "pass", "ACME-002": "fail"}
    assert data["grades"][0]["level"] == "L1"
    assert "the answer is wrong" in data["requirements"][1]["reason"]


VENDORS_TESTS = """
    import pytest
    @pytest.mark.xc_requirement("ACME-001")
    def test_one(xc_sandbox):
        assert xc_sandbox.run(["echo", "x"]).stdout == b"y\\n", "the answer is wrong"
    @pytest.mark.xc_requirement("ACME-002")
    def test_two(xc_sandbox):
        assert xc_sandbox.run(["echo", "x"]).stdout == b"x\\n"
"""


@pytest.mark.sandbox
@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_vendors_requirement_that_needs_a_failed_one_is_not_tested(vendor: pytest.Pytester, workers: str) -> None:
    vendor.makefile(".yaml", own=CATALOGUE.rstrip().removesuffix("}") + ", needs: [ACME-001]}")
    vendor.makepyfile(VENDORS_TESTS)
    result = run(vendor, "--xc-platform=kunpeng", "--xc-suite=none", workers)
    result.stdout.fnmatch_lines(["*not tested, because what it needs has failed: ACME-002"])
    data = report(vendor)
    assert verdicts(data) == {"ACME-001": "fail", "ACME-002": "not_tested"}
    blocked = data["requirements"][1]
    assert (blocked["cause"], blocked["attempts"], len(blocked["evidence"])) == ("blocked", 1, 1)
    assert blocked["reason"] == "it needs ACME-001, which failed: the answer is wrong"
    # What its own check decided is in the journal all the same.
    assert '"requirement": "ACME-002", "verdict": "pass"' in (vendor.path / ".xc/journal.ndjson").read_text()


@pytest.mark.sandbox
@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_run_speaks_the_language_that_is_asked_for(
    vendor: pytest.Pytester, workers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor.makepyfile(VENDORS_TESTS)
    result = run(vendor, "--xc-platform=kunpeng", "--xc-suite=none", "--xc-language=zh", workers)
    text = result.stdout.str()
    assert "没有运行任何一致性测试包" not in text and "信创等级" in text and "后端 auto" in text
    assert "ACME-001 L1 不通过：甲" in text and "修正：修" in text
    assert report(vendor)["requirements"][0]["mend"] == "修"
    journal = vendor.path / ".xc/journal.ndjson"
    for language in ("zh", "en"):
        main(["report", str(journal), "--language", language, "--output", str(vendor.path / language)])
        told = capsys.readouterr().out
        assert ("不通过：甲" in told) == (language == "zh") == ("已写出" in told)
    for name in ("report.json", "junit.xml"):
        assert (vendor.path / "zh" / name).read_bytes() == (vendor.path / ".xc" / name).read_bytes()
    assert json.loads((vendor.path / "en/report.json").read_text())["requirements"][0]["mend"] == "mend"


def test_the_language_comes_from_the_option_the_ini_file_or_the_locale(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile("def test_x(): pass")
    arguments = ["--xc-platform=kunpeng", "--xc-suite=none", "-k", "none"]
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    run(pytester, *arguments).stdout.fnmatch_lines(["xinchuang: kunpeng*; backend auto; *"])
    run(pytester, *arguments, "--xc-language=zh").stdout.fnmatch_lines(["xinchuang：kunpeng*；后端 auto；*"])
    pytester.makeini("[pytest]\nxc_language = zh\n")
    run(pytester, *arguments).stdout.fnmatch_lines(["xinchuang：kunpeng*；后端 auto；*"])
    run(pytester, *arguments, "--xc-language=en").stdout.fnmatch_lines(["xinchuang: kunpeng*"])
    pytester.makeini("[pytest]\n")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    run(pytester, *arguments).stdout.fnmatch_lines(["xinchuang：kunpeng*"])


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("pass", "inconclusive"),  # passed, but saw nothing
        ("raise RuntimeError('ours')", "inconclusive"),
        ("import pytest; pytest.skip('later')", "not_tested"),
        ("assert False", "fail"),
        (
            "from pytest_xinchuang.sandbox.protocol import Limits; xc_sandbox.run(['sleep', '9'], limits=Limits(wall_s=0.01))",
            "inconclusive",
        ),
    ],
)
def test_what_is_no_evidence_is_no_pass(vendor: pytest.Pytester, body: str, verdict: str) -> None:
    vendor.makepyfile(
        f"import pytest\n@pytest.mark.xc_requirement('ACME-001')\ndef test_one(xc_sandbox, xc_platform):\n    {body}\n"
    )
    run(vendor, "--xc-platform=kunpeng", "--xc-suite=none")
    data = report(vendor)
    assert verdicts(data)["ACME-001"] == verdict
    assert data["grades"][0]["level"] == "L0"


@pytest.mark.sandbox
def test_a_lost_worker_is_inconclusive_and_the_rest_goes_on(vendor: pytest.Pytester) -> None:
    vendor.makepyfile(
        """
        import os, signal, pytest
        @pytest.mark.xc_requirement("ACME-001")
        def test_one(xc_sandbox):
            xc_sandbox.run(["true"])
            os.kill(os.getpid(), signal.SIGKILL)
        @pytest.mark.xc_requirement("ACME-002")
        def test_two(xc_sandbox):
            assert xc_sandbox.run(["true"]).ok
        """
    )
    result = vendor.runpytest_subprocess("-p", "no:randomly", "--xc-platform=kunpeng", "--xc-suite=none", "-n", "2")
    assert result.ret != 0
    data = report(vendor)
    assert verdicts(data) == {"ACME-001": "inconclusive", "ACME-002": "pass"}
    assert "worker was lost" in data["run"]["faults"][0]
    assert data["grades"][0]["level"] == "L0"


@pytest.mark.sandbox
@pytest.mark.slow
def test_the_reference_subject_is_graded_the_same_with_and_without_workers(pytester: pytest.Pytester) -> None:
    reports = []
    for arguments in (["-n", "2"], ["-p", "no:xdist"]):
        result = run(
            pytester, "--xc-platform=phytium,loongson", "--xc-suite=mru", "--xc-subject", _openssl(), *arguments
        )
        result.assert_outcomes(passed=50, skipped=14)
        assert result.ret == 0
        result.stdout.fnmatch_lines(
            ["phytium_d2000-kylin_v10_sp1 *L3 *", "*stand-in root filesystem", "*needs native*"]
        )
        reports.append(comparable(report(pytester)))
    assert reports[0] == reports[1]
    for grade in reports[0]["grades"]:
        assert (grade["level"], grade["rootfs"], grade["fidelity"]) == ("L3", "stand-in", "emulated-user")
        assert grade["blocking"] == ["XC-MRU-040", "XC-MRU-041"]
        assert grade["differs"]
    assert "fail" not in {r["verdict"] for r in reports[0]["requirements"]}


def _openssl() -> str:
    from pytest_xinchuang.core import resources

    return str(resources.fixtures_dir() / "subjects" / "openssl")


@pytest.mark.sandbox
def test_reports_are_rebuilt_byte_for_byte(pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    pytester.makefile(".yaml", xinchuang=HELLO)
    run(pytester, "--xc-platform=kunpeng", "--xc-subject=.")
    first = {name: (pytester.path / ".xc" / name).read_bytes() for name in ("report.json", "junit.xml")}
    assert main(["report", str(pytester.path / ".xc/journal.ndjson"), "--output", str(pytester.path / "again")]) == 0
    for name, content in first.items():
        assert (pytester.path / "again" / name).read_bytes() == content
    assert "kunpeng920-kylin_v10_sp3" in capsys.readouterr().out


@pytest.mark.sandbox
def test_deselection_leaves_not_tested_and_grants_nothing(pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", xinchuang=HELLO)
    run(pytester, "--xc-platform=kunpeng", "--xc-subject=.", "-k", "not test_units_answer")
    data = report(pytester)
    assert verdicts(data)["XC-MRU-006"] == "not_tested"
    assert data["grades"][0]["level"] == "L0"


@pytest.mark.sandbox
def test_exit_status_below_the_required_level(pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", xinchuang=HELLO)
    result = run(pytester, "--xc-platform=kunpeng", "--xc-subject=.", "--xc-profile=finance", "-k", "test_units_answer")
    assert result.ret == EXIT_BELOW_REQUIRED


@pytest.mark.sandbox
@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_checks_of_the_suite_beyond_the_profile_are_skipped_with_their_reason(
    pytester: pytest.Pytester, workers: str
) -> None:
    pytester.makefile(".yaml", xinchuang=HELLO)
    gate = ("--xc-platform=kunpeng", "--xc-subject=.", "-x", "--junitxml=all.xml", workers)
    result = run(pytester, *gate, "--xc-profile=government-portal", "-rs")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*XC-MRU-020 L3 not_tested*",
            "*mend: add a unit with*",
            "*SKIPPED*beyond the profile government-portal (L2): no unit of the subject covers this*",
        ]
    )
    result.stdout.no_fnmatch_line("*FAILED*")
    assert 'errors="0" failures="0"' in (pytester.path / "all.xml").read_text()
    # What is demanded fails as ever.
    failed = (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)  # the latter: -x of workers
    assert run(pytester, *gate, "--xc-profile=e-licence").ret in failed
    assert 'failures="0"' not in (pytester.path / "all.xml").read_text()


@pytest.mark.sandbox
def test_a_report_that_cannot_be_written_is_a_failure(pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", xinchuang=HELLO)
    pytester.makepyfile("import pathlib\ndef test_x(): pathlib.Path('.xc/report.json').mkdir()")
    result = run(pytester, "--xc-platform=kunpeng", "--xc-subject=.", "--xc-suite=mru", "-k", "test_x or answer")
    assert result.ret == EXIT_NO_REPORT
    result.stdout.fnmatch_lines(["*no grade: *report.json cannot be written*"])


@pytest.mark.sandbox
def test_a_subject_that_fails_is_told_with_its_mend(pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", xinchuang=HELLO.replace("args: [hello]", "args: [goodbye]"))
    result = run(pytester, "--xc-platform=kunpeng", "--xc-subject=.")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*XC-MRU-010 L2 fail: Its output is the known answer*",
            "*line 1 is 'goodbye', expected 'hello' (POSIX echo)*",
            "*mend: *",
        ]
    )
    assert verdicts(report(pytester))["XC-MRU-010"] == "fail"


@pytest.mark.sandbox
def test_a_waiver_shows_on_the_grade(pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", xinchuang=HELLO.replace("args: [hello]", "args: [goodbye]"))
    pytester.makefile(
        ".yaml",
        waivers="""
        schema: xc-waivers/1
        waivers:
          - {requirement: XC-MRU-010, subject: hello, version: "1", platform: kunpeng920-kylin_v10_sp3, owner: Han Meimei,
             reason: agreed with the lab, clause: "7.3", expires: 2099-12-31}
        """,
    )
    run(pytester, "--xc-platform=kunpeng", "--xc-subject=.", "--xc-waivers=waivers.yaml")
    data = report(pytester)
    assert data["grades"][0]["with_waivers"] == ["XC-MRU-010"]
    assert data["grades"][0]["level"] == "L2"  # L3 asks for behaviours that this subject does not show


@pytest.mark.sandbox
def test_facts_of_ones_own_show_on_the_grade(pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", xinchuang=HELLO)
    pytester.makefile(
        ".yaml",
        facts="""
        schema: xc-platforms/1
        systems: {kylin_v10_sp3: {libc_version: {value: "2.99", source: wishful thinking, confidence: measured}}}
        """,
    )
    result = run(pytester, "--xc-platform=kunpeng,hygon", "--xc-subject=.", "--xc-platforms-file=facts.yaml")
    assert [g["facts"] for g in report(pytester)["grades"]] == ["overridden", "shipped"]
    result.stdout.fnmatch_lines(["kunpeng920-kylin_v10_sp3 *", "*facts overridden"])


@pytest.mark.sandbox
def test_an_interrupted_run_has_no_grade(pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", xinchuang=HELLO)
    pytester.makepyfile("def test_x(): raise KeyboardInterrupt")
    run(pytester, "--xc-platform=kunpeng", "--xc-subject=.")
    assert [g["level"] for g in report(pytester)["grades"]] == [None]


@pytest.mark.sandbox
def test_an_old_world_platform_is_inconclusive_and_says_why(pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", xinchuang=HELLO)
    result = run(pytester, "--xc-platform=loongson_3a5000-loongnix_20", "--xc-suite=mru", "--xc-subject=.")
    assert set(verdicts(report(pytester)).values()) == {"inconclusive"}
    result.stdout.fnmatch_lines(["*loongson_3a5000-loongnix_20*L0*", "*new-world kernel*"])


@pytest.mark.sandbox
def test_offline_without_a_cache_is_inconclusive(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XC_CACHE", str(pytester.path / "empty"))
    pytester.makefile(".yaml", xinchuang=HELLO)
    run(pytester, "--xc-platform=kunpeng", "--xc-suite=mru", "--xc-subject=.", "--xc-offline")
    data = report(pytester)
    assert set(verdicts(data).values()) <= {"inconclusive", "not_tested"}
    assert "is not in the cache" in data["requirements"][1]["reason"]
    assert data["grades"][0]["level"] == "L0"


@pytest.mark.sandbox
@pytest.mark.parametrize("delay", [0.2, 1.0, 2.0, 3.0])
def test_a_killed_run_leaves_no_grade_and_no_process(pytester: pytest.Pytester, delay: float) -> None:
    (pytester.path / ".xc").mkdir()
    (pytester.path / ".xc/report.json").write_text("a grade of another run")
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "--xc-platform=kunpeng",
        "--xc-subject",
        _openssl(),
        "-p",
        "no:cacheprovider",
    ]
    process = subprocess.Popen(
        argv, cwd=pytester.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    journal = pytester.path / ".xc/journal.ndjson"
    if journal.exists() and journal.stat().st_size:
        assert not (pytester.path / ".xc/report.json").exists()
        assert main(["report", str(journal)]) == 1
        data = report(pytester)
        assert [g["level"] for g in data["grades"]] == [None]
        assert "the run did not finish" in data["run"]["problems"]
    deadline = time.monotonic() + 60
    while left := _in_directory(pytester.path):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def _in_directory(path: Path) -> list[str]:
    """Processes that were started in ``path`` or hold it in their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if (entry / "cwd").readlink() == path:
                    found.append((entry / "cmdline").read_text())
            except OSError:
                continue
    return found


@pytest.mark.sandbox
def test_sm_cryptography_is_graded_with_vectors_of_ones_own(pytester: pytest.Pytester) -> None:
    from tests.packages.sm_crypto.test_vectors import SMALL

    wrong = json.loads(json.dumps(SMALL))
    wrong["algorithm"] = "HMAC-SM3"
    group = wrong["testGroups"][0] | {"type": "MacTest", "tagSize": 256}
    group["tests"] = [{"tcId": 1, "flags": [], "key": "00", "msg": "", "tag": "00" * 32, "result": "valid"}]
    wrong["testGroups"] = [group]
    (pytester.mkdir("own") / "hmac_sm3_test.json").write_text(json.dumps(wrong))
    arguments = ["--xc-platform=phytium", "--xc-suite=sm_crypto", "--xc-subject", _openssl()]
    result = run(pytester, *arguments, "--xc-sm-vectors=own", "-k", "sample or says_what or hmac_sm3 or tls_server")
    found = verdicts(report(pytester))
    passed = {"XC-SM-001", "XC-SM-002", "XC-SM-003", "XC-SM-004", "XC-SM-005"}
    assert {i for i, v in found.items() if v == "pass"} == passed
    assert found["XC-SM-011"] == "fail" and found["XC-SM-022"] == "not_tested"
    assert [g["level"] for g in report(pytester)["grades"]] == ["L1"]
    result.stdout.fnmatch_lines(["*own:hmac_sm3/1*", "*again: xc sm run --tc hmac_sm3/1 --vectors*"])
    assert run(pytester, *arguments, "--xc-sm-vectors=none").ret == pytest.ExitCode.USAGE_ERROR


def test_an_sdk_and_its_supply_chain_are_graded(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """Nothing is started in a sandbox: it is read and built, and what vouches for it is given by options."""
    from tests.mutants.sdk.subjects import good

    subject = good(tmp_path / "good")
    arguments = [
        "--xc-platform=kunpeng,loongson",
        "--xc-suite=sdk_ast,supply_chain",
        f"--xc-subject={subject}",
        "--xc-offline",
    ]
    trust = {"proxy": "mirror", "allow-list": "allow.yaml", "advisories": "advisories.json", "mirror-key": "mirror.pub"}
    vouched = [f"--xc-{name}={subject / file}" for name, file in trust.items()]
    assert run(pytester, *arguments, *vouched, "-n2").ret == pytest.ExitCode.OK
    assert [g["level"] for g in report(pytester)["grades"]] == ["L4", "L4"]
    # The same subject without anybody who vouches for it.
    assert run(pytester, *arguments).ret != pytest.ExitCode.OK
    data = report(pytester)
    assert [g["level"] for g in data["grades"]] == ["L2", "L2"]
    assert {r["verdict"] for r in data["requirements"] if r["id"] in ("XC-CHAIN-020", "XC-CHAIN-031")} == {
        "inconclusive"
    }
    # The baseline of whoever grades goes before the manifest's own.
    other = tmp_path / "other"
    (other / "x").mkdir(parents=True)
    (other / "go.mod").write_text("module example.com/product\n\ngo 1.22\n")
    (other / "sdk.go").write_text("package product\n\nfunc Gone() {}\n")
    run(pytester, *arguments, *vouched, f"--xc-sdk-baseline={other}")
    assert {r["verdict"] for r in report(pytester)["requirements"] if r["id"] == "XC-SDK-010"} == {"fail"}
    assert run(pytester, *arguments, "--xc-allow-list=none.yaml").ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.sandbox
@pytest.mark.slow
def test_a_program_with_4k_assumptions_fails_under_a_16k_kernel(pytester: pytest.Pytester) -> None:
    """It passes under qemu-user, whose pages are the host's; a real kernel names the cause."""
    shutil.copytree(Path(tests.__path__[0]) / "scripts" / "four-k", pytester.path, dirs_exist_ok=True)
    found = {}
    for backend in ("qemu", "system"):
        arguments = [
            "--xc-platform=loongson",
            "--xc-suite=mru",
            f"--xc-subject={pytester.path}",
            f"--xc-backend={backend}",
        ]
        pytester.runpytest_subprocess(*arguments, f"--xc-report={backend}", "-p", "no:cacheprovider")
        report = json.loads(pytester.path.joinpath(backend, "report.json").read_text())
        found[backend] = {r["id"]: r for r in report["requirements"]}
    assert found["qemu"]["XC-MRU-005"]["verdict"] == "pass"
    assert found["qemu"]["XC-MRU-041"]["verdict"] == "inconclusive"
    decided = found["system"]["XC-MRU-041"]
    assert decided["verdict"] == "fail" and "XC-RUN-030" in str(decided) and "16384" in str(decided)
    assert [i for i, r in found["system"].items() if r["verdict"] == "fail" and i < "XC-MRU-020"] == []
