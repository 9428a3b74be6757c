"""Whose failure ends a test: what the test itself calls one fails the product, what a plugin does decides nothing."""

from __future__ import annotations

import textwrap

import pytest

from tests.integration.planned import OPTIONS, PLUGIN, Came, came, vendor

pytestmark = pytest.mark.tools

CHECK = """
    import pytest

    @pytest.mark.xc_requirement("ACME-001")
    def test_one(xc_sandbox):
        xc_sandbox.run(["x"])
        {body}
"""
ODD = """
    import types

    class Raising(types.ModuleType):
        "Its file is not to be asked for."
        @property
        def __file__(self):
            raise RuntimeError("do not ask")

    def pytest_configure(config):
        config.pluginmanager.register(types.ModuleType("without_a_file"), "odd-1")
        config.pluginmanager.register(types.SimpleNamespace(), "odd-2")
        config.pluginmanager.register(Raising("raising"), "odd-3")
"""


@pytest.fixture(autouse=True)
def _ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def run(pytester: pytest.Pytester, text: str, *arguments: str) -> Came:
    vendor(pytester)
    pytester.makepyfile(test_one=text)
    found = came(pytester, pytester.runpytest_inprocess(*PLUGIN, *OPTIONS, *arguments))
    assert "INTERNALERROR" not in found.output, found.output
    return found


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("pytest.fail('mine')", "mine"),
        ("pytest.fail('mine', pytrace=False)", "mine"),
        ("raise pytest.fail.Exception('mine')", "mine"),
        ("with pytest.raises(ValueError): pass", "DID NOT RAISE"),
        ("pytest.raises(ValueError, int, '3')", "DID NOT RAISE"),
        ("with pytest.warns(UserWarning): pass", "DID NOT WARN"),
        ("assert 1 == 2", "assert 1 == 2"),
    ],
)
def test_what_the_test_calls_a_failure_fails_the_product(pytester: pytest.Pytester, body: str, told: str) -> None:
    found = run(pytester, CHECK.format(body=body))
    assert found.verdicts["ACME-001"] == "fail", found
    assert told in found.reasons["ACME-001"]


def test_what_pytest_says_of_a_test_that_it_cannot_run_decides_nothing(pytester: pytest.Pytester) -> None:
    found = run(pytester, CHECK.format(body="pass").replace("def test", "async def test"))
    assert found.verdicts["ACME-001"] == "inconclusive", found
    assert found.reasons["ACME-001"].startswith("pytest ended the test")


@pytest.mark.parametrize(("where", "verdict"), [("plugin", "inconclusive"), ("helper", "fail")])
def test_a_plugin_from_elsewhere_is_told_from_a_helper_of_the_repository(
    pytester: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory, where: str, verdict: str
) -> None:
    place = tmp_path_factory.mktemp("elsewhere") if where == "plugin" else pytester.path
    (place / "telling.py").write_text("import pytest\ndef tell(): pytest.fail('I say no')\n", encoding="utf-8")
    pytester.syspathinsert(place)
    loaded = ("-p", "telling") if where == "plugin" else ()
    found = run(pytester, CHECK.format(body="import telling; telling.tell()"), *loaded)
    assert found.verdicts["ACME-001"] == verdict, found


def test_a_plugin_without_a_file_is_no_fault(pytester: pytest.Pytester) -> None:
    vendor(pytester)
    pytester.makepyfile(odd=textwrap.dedent(ODD), test_one=CHECK.format(body="pytest.fail('mine')"))
    pytester.syspathinsert()
    found = came(pytester, pytester.runpytest_inprocess(*PLUGIN, "-p", "odd", *OPTIONS))
    assert found.verdicts["ACME-001"] == "fail", found.output


@pytest.mark.parametrize(
    ("returned", "verdict"), [("1 == 2", "inconclusive"), ("0", "pass"), ("1 == 1", "pass"), ("None", "pass")]
)
def test_what_is_returned_and_not_asserted_is_no_pass(pytester: pytest.Pytester, returned: str, verdict: str) -> None:
    found = run(pytester, CHECK.format(body=f"return {returned}"), "-W", "default::pytest.PytestReturnNotNoneWarning")
    assert found.verdicts["ACME-001"] == verdict, found
    assert ("returned False" in found.reasons["ACME-001"]) == (verdict != "pass")


@pytest.mark.parametrize("end", ["yield\n    raise RuntimeError('no')", "yield\n    pytest.skip('no')", "yield"])
def test_a_tear_down_takes_no_failure_back(pytester: pytest.Pytester, end: str) -> None:
    text = textwrap.dedent(CHECK).format(body="assert 0, 'the product is wrong'")
    found = run(pytester, f"import pytest\n@pytest.fixture(autouse=True)\ndef f():\n    {end}\n{text}")
    assert (found.verdicts["ACME-001"], found.reasons["ACME-001"]) == ("fail", "the product is wrong"), found


@pytest.mark.parametrize(("value", "status"), [("1", 4), ("2", 4), ("", 0)])
def test_nothing_is_graded_without_assertions(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, value: str, status: int
) -> None:
    monkeypatch.setenv("PYTHONOPTIMIZE", value)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    vendor(pytester)
    pytester.makepyfile(test_one=CHECK.format(body="pass"))
    found = came(
        pytester, pytester.runpytest_subprocess(*PLUGIN, *OPTIONS, "-W", "default::pytest.PytestConfigWarning")
    )
    assert found.ret == status, found
    assert ("takes assertions out of Python" in found.output) == (status == 4)
    assert ("mend: leave out -O" in found.output) == (status == 4)
