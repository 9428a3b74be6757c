"""Advice as text, JSON, SARIF, JUnit and Markdown."""

from __future__ import annotations

import datetime
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.accepted import NOTHING_ACCEPTED, Accepted, accept, fingerprint
from pytest_xinchuang.core.advice import OF_WHAT_IT_DOES, Advice, Part, Standing
from pytest_xinchuang.core.finding import Certainty, Finding, FindingCatalogue, load_findings
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.verdict import Level
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.report.advice import AdviceResult, as_json, as_junit, as_markdown, as_sarif, as_text

C = Part(verbatim("C"), 2, 2, by=verbatim("clang 22"), found=verbatim("compile_commands.json"))
SOME = Part(verbatim("C"), 1, 2, why=((verbatim("openssl/ssl.h is missing"), 1),))


def _finding(platform: str, certainty: Certainty = Certainty.CERTAIN, error: str = "no such thing") -> Finding:
    params = {"error": error, "units": "1 unit", "advice": "use SIMDe", "advice_zh": "改用 SIMDe"}
    return Finding("XC-ADV-001", certainty, "src/x.c:12", platform, params)


@pytest.fixture(name="pair")
def _pair(platforms: Platforms) -> tuple[str, str]:
    return platforms.get("kunpeng").id, platforms.get("loongson").id


def _result(platforms: Platforms, *advice: Advice, accepted: Accepted = NOTHING_ACCEPTED) -> AdviceResult:
    chosen = tuple(platforms.get(a.platform) for a in advice)
    return AdviceResult("src", chosen, advice, load_findings(), "en", accepted)


def test_a_tree_builds_only_where_all_of_it_was_judged(pair: tuple[str, str]) -> None:
    name = pair[0]
    assert Advice(name, (C,)).standing is Standing.BUILDS
    assert Advice(name, (C, SOME)).standing is Standing.OPEN
    assert Advice(name).standing is Standing.OPEN, "nothing was judged"
    assert Advice(name, (Part(verbatim("C"), 0, 0),)).standing is Standing.OPEN
    assert Advice(name, (C,), (_finding(name, Certainty.GUARDED),)).standing is Standing.OPEN
    assert Advice(name, (C,), (_finding(name, Certainty.NOTE),)).standing is Standing.BUILDS
    assert Advice(name, (C,), (_finding(name),)).standing is Standing.STOPPED
    assert Advice(name, (SOME,), (_finding(name),)).standing is Standing.STOPPED
    wrong = replace(_finding(name), code="XC-ADV-030")
    assert Advice(name, (C,), (wrong,)).standing is Standing.WRONG
    assert Advice(name, (C,), (wrong, _finding(name))).standing is Standing.STOPPED


def test_findings_about_what_code_does_are_those_above_l1() -> None:
    rules = FindingCatalogue(*resources.finding_files()).rules
    above = {code for code, rule in rules.items() if code.startswith("XC-ADV-") and rule.level not in (None, Level.L1)}
    assert above == OF_WHAT_IT_DOES


def test_text_has_a_line_for_each_platform(platforms: Platforms, pair: tuple[str, str]) -> None:
    kunpeng, loongson = pair
    result = _result(platforms, Advice(kunpeng, (C,)), Advice(loongson, (SOME,), (_finding(loongson),), minutes=120))
    text = as_text(result)
    assert f"{kunpeng} (" in text and "builds as it is" in text and "1 cause stops it, about 2 h" in text
    assert "C: 2 of 2 judged by clang 22 (compile_commands.json)" in text
    assert "not judged: 1: openssl/ssl.h is missing" in text
    assert "FAIL XC-ADV-001" in text and "src/x.c:12: no such thing" in text and "mend: " in text
    assert result.stopped and result.open


def test_what_is_accepted_is_shown_and_not_complained_of(platforms: Platforms, pair: tuple[str, str]) -> None:
    finding = _finding(pair[1])
    accepted = accept([finding], frozenset({fingerprint(finding)}), (), datetime.date(2026, 1, 1))
    result = _result(platforms, Advice(pair[1], (C,), (finding,), minutes=30), accepted=accepted)
    assert not result.stopped and not result.open
    assert "1 cause stops it, about 30 min; 1 of them accepted" in as_text(result), "it does not build all the same"
    data = json.loads(as_json(result))["platforms"][0]
    assert data["standing"] == "stopped" and "baseline" in data["findings"][0]["accepted"]["en"]
    assert json.loads(as_sarif(result))["runs"][0]["results"][0]["suppressions"][0]["kind"] == "external"
    assert "- XC-ADV-001" not in as_markdown(result)
    open_part = _result(platforms, Advice(pair[1], (SOME,), (finding,)), accepted=accepted)
    assert open_part.open, "what was not judged cannot be accepted"


def test_json_has_the_fingerprint_that_a_baseline_takes(platforms: Platforms, pair: tuple[str, str]) -> None:
    finding = _finding(pair[0])
    data = json.loads(as_json(_result(platforms, Advice(pair[0], (SOME,), (finding,)))))
    (platform,) = data["platforms"]
    assert data["schema"] == "xc-advice/1" and platform["findings"][0]["fingerprint"] == fingerprint(finding)
    assert platform["parts"][0]["not_judged"] == [
        {"why": {"zh": "openssl/ssl.h is missing", "en": "openssl/ssl.h is missing"}, "number": 1}
    ]


def test_sarif_has_file_and_line(platforms: Platforms, pair: tuple[str, str]) -> None:
    found = json.loads(as_sarif(_result(platforms, Advice(pair[0], (C,), (_finding(pair[0]),)))))
    place = found["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "src/x.c"}, "region": {"startLine": 12}}


def test_junit_errs_where_nothing_was_judged(platforms: Platforms, pair: tuple[str, str]) -> None:
    kunpeng, loongson = pair
    advice = (Advice(kunpeng), Advice(loongson, (SOME,), (_finding(loongson), _finding(loongson, Certainty.GUARDED))))
    root = ElementTree.fromstring(as_junit(_result(platforms, *advice)))
    assert [(s.get("tests"), s.get("errors"), s.get("failures")) for s in root] == [("1", "1", "0"), ("3", "2", "1")]


def test_markdown_is_safe_whatever_a_source_says(platforms: Platforms, pair: tuple[str, str]) -> None:
    finding = _finding(pair[0], error="`|<img src=x> @all\n\x1b[31m")
    text = as_markdown(_result(platforms, Advice(pair[0], (C,), (finding,), minutes=30)))
    assert "`|<" not in text and "\x1b" not in text and "| 2/2 |" in text
