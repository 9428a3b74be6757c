"""What a run shows, and with which exit status it ends, in a vendor's repository without a real sandbox."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from tests.integration.planned import CATALOGUE, OPTIONS, PLUGIN, Came, came, report_of, vendor

pytestmark = pytest.mark.tools

TESTS = """
    import pytest
    from product import see

    @pytest.mark.xc_requirement("ACME-001")
    def test_one(xc_sandbox):
        xc_sandbox.run(["x"])

    @pytest.mark.xc_requirement("ACME-002")
    def test_two(xc_sandbox):
        see(xc_sandbox)
"""
WAIVER = """
    schema: xc-waivers/1
    waivers:
      - {requirement: ACME-002, subject: openssl, version: as in the target's root filesystem,
         platform: kunpeng920-kylin_v10_sp3, owner: Han Meimei, reason: agreed with the lab, clause: "7.3", expires: 2099-12-31}
"""


@pytest.fixture(autouse=True)
def _ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def run(pytester: pytest.Pytester, *arguments: str) -> Came:
    return came(pytester, pytester.runpytest_inprocess(*PLUGIN, *OPTIONS, *arguments))


def junit(pytester: pytest.Pytester) -> dict[str, list[str]]:
    root = ElementTree.fromstring((pytester.path / ".xc/junit.xml").read_text(encoding="utf-8"))
    return {str(case.get("name")): [child.tag for child in case] for case in root.iter("testcase")}


# -- the profile is the gate


@pytest.mark.parametrize(
    ("profile", "how", "status", "case"),
    [
        ("connect", "passes", 0, []),
        ("connect", "fails", 0, ["skipped"]),  # L1 is asked for, and it is L2 that fails
        ("connect", "errs", 0, ["skipped"]),
        ("government-portal", "passes", 0, []),
        ("government-portal", "fails", 1, ["failure"]),
        ("government-portal", "errs", 1, ["error"]),
        ("e-licence", "passes", 10, []),  # nothing failed, and L3 is not reached
        ("report", "fails", 1, ["failure"]),
    ],
)
def test_exit_status_and_junit_follow_the_profile(
    pytester: pytest.Pytester, profile: str, how: str, status: int, case: list[str]
) -> None:
    vendor(pytester, how)
    pytester.makepyfile(test_it=TESTS)
    found = run(pytester, f"--xc-profile={profile}", "--junitxml=own.xml", "-rs")
    assert found.ret == status, found.output
    assert junit(pytester)["ACME-002"] == case
    # What was decided is told as it was, whatever the profile asks for.
    assert found.verdicts["ACME-002"] == {"passes": "pass", "fails": "fail", "errs": "inconclusive"}[how]
    if profile == "connect" and how == "fails":
        assert "beyond the profile connect (L1): the product is wrong" in found.output
        assert "<failure" not in (pytester.path / "own.xml").read_text(encoding="utf-8")


def test_a_test_of_ones_own_that_fails_is_no_matter_of_the_profile(pytester: pytest.Pytester) -> None:
    vendor(pytester, "fails")
    pytester.makepyfile(test_it=TESTS, test_own="def test_own(): assert 0")
    assert run(pytester, "--xc-profile=connect").ret == pytest.ExitCode.TESTS_FAILED


def test_what_is_beyond_the_profile_does_not_end_the_run(pytester: pytest.Pytester) -> None:
    vendor(pytester, "fails")
    pytester.makepyfile(test_it=TESTS, test_later="def test_later(): print('it came to this')")
    assert "1 skipped" in run(pytester, "--xc-profile=connect", "-x").output
    assert "2 passed" in run(pytester, "--xc-profile=connect", "-x").output


def test_what_is_waived_fails_no_gate(pytester: pytest.Pytester) -> None:
    vendor(pytester, "fails")
    pytester.makefile(".yaml", waivers=WAIVER)
    pytester.makepyfile(test_it=TESTS)
    assert run(pytester, "--xc-profile=government-portal", "--xc-waivers=waivers.yaml").ret == 0
    assert run(pytester, "--xc-profile=government-portal").ret == 1


# -- tracebacks


def test_an_exception_has_its_traceback_and_its_line_in_the_summary(pytester: pytest.Pytester) -> None:
    vendor(pytester, "errs")
    pytester.makepyfile(test_it=TESTS)
    found = run(pytester)
    assert "    def test_two(xc_sandbox):" in found.output and "RuntimeError: the check is wrong" in found.output
    line = "INCONCLUSIVE test_it.py::test_two[kunpeng920-kylin_v10_sp3] - RuntimeError: the check is wrong"
    assert found.output.count(line) == 1
    assert "def test_two" not in run(pytester, "--tb=no").output
    assert "product.py:12: RuntimeError: the check is wrong" in run(pytester, "--tb=line").output
    assert "INCONCLUSIVE" in run(pytester, "-v").output


def test_a_pass_without_evidence_says_why_it_is_none(pytester: pytest.Pytester) -> None:
    vendor(pytester)
    pytester.makepyfile("import pytest\n@pytest.mark.xc_requirement('ACME-001')\ndef test_one(xc_sandbox): pass")
    assert "[kunpeng920-kylin_v10_sp3] - the test passed and recorded no evidence" in run(pytester).output


# -- what is run when no package is named

UNITS = """
    schema: xc-subject/1
    name: hello
    version: "1"
    units:
      - {name: hello, kind: rootfs, program: /bin/echo, args: [hello], expect: {stdout: "hello", source: POSIX echo}}
"""
HOST = """
    schema: xc-subject/1
    name: hello
    version: "1"
    host: {sysctls: {vm.max_map_count: "262144"}}
"""


def header(pytester: pytest.Pytester, *arguments: str) -> str:
    result = pytester.runpytest_inprocess(*PLUGIN, "--xc-platform=kunpeng", "--collect-only", *arguments)
    return next(line for line in result.stdout.lines if line.startswith("xinchuang: "))


def test_the_manifest_in_the_root_says_which_packages_are_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_x(): pass")
    assert header(pytester).endswith("subject openssl; packages none")
    pytester.makefile(".yaml", xinchuang=UNITS)
    assert header(pytester).endswith("subject hello; packages mru")
    assert header(pytester, "--xc-suite=none").endswith("subject hello; packages none")
    assert "packages mru, sm_crypto" in header(pytester, "--xc-suite=all")
    assert header(pytester, "--xc-suite=sm_crypto").endswith("packages sm_crypto")
    (path,) = pytester.path.glob("test_*.py")
    assert header(pytester, path.name).endswith("packages none")
    pytester.makefile(".yaml", xinchuang=HOST)
    assert header(pytester).endswith("packages syscall_bridge")
    pytester.path.joinpath("xinchuang.yaml").rename(pytester.mkdir("elsewhere") / "xinchuang.yaml")
    assert header(pytester, "--xc-subject=elsewhere").endswith("subject hello; packages syscall_bridge")


def test_without_a_manifest_a_line_says_how_to_go_on(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_x(): pass")
    result = pytester.runpytest_inprocess(*PLUGIN, "--xc-platform=kunpeng", "-q")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["there is no xinchuang.yaml here: `xc subject init .` writes one; `--xc-suite=all` grades *"]
    )
    quiet = pytester.runpytest_inprocess(*PLUGIN, "--xc-platform=kunpeng", "-q", "--xc-suite=none")
    quiet.stdout.no_fnmatch_line("there is no xinchuang.yaml*")


# -- workers

GROUPS = """
    import os
    import pathlib
    import pytest

    @pytest.fixture(scope="module")
    def server():
        with pathlib.Path(__file__).with_suffix(".started").open("a") as file:
            file.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")

    @pytest.mark.parametrize("i", range(6))
    def test_it(server, xc_sandbox, i):
        xc_sandbox.run(["x"])
"""


@pytest.mark.parametrize("dist", ["loadfile", "loadscope", "worksteal", "load"])
def test_the_way_that_tests_are_distributed_is_the_users(pytester: pytest.Pytester, dist: str) -> None:
    vendor(pytester)
    pytester.makepyfile(test_a=GROUPS, test_b=GROUPS)
    found = run(pytester, "-p", "xdist.plugin", "-n2", f"--dist={dist}", "--xc-platform=kunpeng,loongson")
    assert "24 passed" in found.output, found.output
    started = [len((pytester.path / f"test_{x}.started").read_text().splitlines()) for x in "ab"]
    if dist in ("loadfile", "loadscope"):
        assert started == [1, 1]


# -- a sandbox that lasts

SERVER = """
    import pytest

    @pytest.fixture(scope="module")
    def server(xc_sandbox_session):
        xc_sandbox_session.put("/xc/state", b"started")
        xc_sandbox_session.run(["server", "--start"])
        return xc_sandbox_session

    @pytest.mark.xc_requirement("ACME-001")
    def test_one(server, xc_sandbox):
        assert server.get("/xc/state") == b"started"
        assert server.run(["client", "1"]).ok

    @pytest.mark.xc_requirement("ACME-002")
    def test_two(server, xc_sandbox):
        assert server.get("/xc/state") == b"started"
"""


def test_a_sandbox_may_last_and_what_its_server_did_is_evidence_of_each_test(pytester: pytest.Pytester) -> None:
    vendor(pytester)
    pytester.makepyfile(test_it=SERVER)
    found = run(pytester)
    assert found.verdicts == {"ACME-001": "pass", "ACME-002": "pass"}, found.output
    report = report_of(pytester)
    assert report is not None
    assert [len(r["evidence"]) for r in report["requirements"]] == [2, 1]


# -- secrets, and what else a run leaves


def test_secrets_are_not_kept(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TOKEN", "tok-0123456789")
    monkeypatch.setattr("sys.argv", ["pytest", "--xc-proxy=https://user:sesame@host", "--password", "sesame"])
    vendor(pytester, "fails")
    pytester.makepyfile(
        test_it=TESTS.replace('run(["x"])', 'run(["curl", "https://user:sesame@host/tok-0123456789"])'),
        product="def see(sandbox): assert False, 'https://user:sesame@host said tok-0123456789'",
    )
    found = run(pytester)
    assert found.verdicts == {"ACME-001": "pass", "ACME-002": "fail"}
    assert found.reasons["ACME-002"] == "https://***@host said ***"
    for path in (pytester.path / ".xc").iterdir():
        text = path.read_text(encoding="utf-8")
        assert "sesame" not in text and "tok-0123456789" not in text, path
    assert (pytester.path / ".xc/.gitignore").read_text() == "*\n"


def test_a_report_that_tells_less_than_the_one_before_says_so(pytester: pytest.Pytester) -> None:
    vendor(pytester, "fails")
    pytester.makepyfile(test_it=TESTS)
    assert "left out" not in run(pytester).output
    found = run(pytester, "--lf")
    assert "1 check was left out, so this report tells less" in found.output
    assert (pytester.path / ".xc/previous-journal.ndjson").is_file()


# -- the hooks, and the ini file


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("str(OWN)", "the hook pytest_xc_requirements returned '*own.yaml', and not a list of paths"),
        ("OWN", "the hook pytest_xc_requirements returned *own.yaml*, and not a list of paths"),
        ("3", "the hook pytest_xc_requirements returned 3, and not a list of paths"),
        ("[3]", "the hook pytest_xc_requirements returned 3, which is no path"),
    ],
)
def test_a_hook_that_returns_something_else_is_told(pytester: pytest.Pytester, returned: str, told: str) -> None:
    pytester.makefile(".yaml", own=CATALOGUE)
    pytester.makeconftest(
        f"import pathlib\nOWN = pathlib.Path(__file__).with_name('own.yaml')\n"
        f"def pytest_xc_requirements(config): return {returned}"
    )
    result = pytester.runpytest_inprocess(*PLUGIN, *OPTIONS)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {told}*"])


def test_a_catalogue_that_is_returned_twice_is_one(pytester: pytest.Pytester) -> None:
    vendor(pytester)
    pytester.makepyfile(
        test_it=TESTS,
        again=(
            "import pathlib\nOWN = pathlib.Path(__file__).parent / 'x/../own.yaml'\n"
            "def pytest_xc_requirements(config): return [str(OWN)] * 2"
        ),
    )
    pytester.mkdir("x")
    pytester.syspathinsert()
    assert run(pytester, "-p", "again").level == "L2"


def test_flags_work_in_the_ini_file(pytester: pytest.Pytester) -> None:
    vendor(pytester)
    pytester.makeini("[pytest]\nxc_offline = true\nxc_keep_sandbox = yes\n")
    pytester.makepyfile(
        """
        def test_it(request):
            from pytest_xinchuang.run.session import SESSION
            session = request.config.stash[SESSION]
            assert session.offline and session.pool.keep
        """
    )
    assert run(pytester).ret == 0


def test_a_platform_is_shown_by_its_id(pytester: pytest.Pytester) -> None:
    vendor(pytester)
    pytester.makepyfile(
        "def test_it(xc_platform): assert repr(xc_platform) == \"Platform('kunpeng920-kylin_v10_sp3')\""
    )
    assert run(pytester).ret == 0


@pytest.mark.parametrize(
    ("arguments", "added", "status"),
    [
        (["--xc-platform=", "--xc-profile=finance"], "", 4),
        (["--xc-platform=,"], "", 4),
        (["--xc-suite=mru"], "", 4),
        ([], "--xc-profile=finance", 4),
        ([], "--xc-platform= --xc-profile=finance", 4),
        ([], "-q --tb=short", 0),
        ([], "", 0),
    ],
)
def test_what_asks_for_a_grade_without_a_platform_is_an_error(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: list[str], added: str, status: int
) -> None:
    pytester.makepyfile("def test_own(): pass")
    monkeypatch.setenv("PYTEST_ADDOPTS", added)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    found = pytester.runpytest_inprocess(*PLUGIN, *arguments)
    assert found.ret == status
    assert ("no platform is named" in found.stderr.str()) == (status == 4)
