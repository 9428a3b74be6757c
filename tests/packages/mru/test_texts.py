"""What units' findings tell, in both languages."""

from __future__ import annotations

import pytest

from pytest_xinchuang.core.finding import Certainty, Finding, load_findings
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.verdict import Cause, Fidelity, Verdict
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.packages.mru.checks import difference
from pytest_xinchuang.packages.mru.findings import UnitRecord, join_units
from pytest_xinchuang.packages.mru.installers import wrong_requests
from pytest_xinchuang.sandbox.protocol import Ended, Outcome
from tests.messages.english import english_in

SOURCE = verbatim("GB/T 32905-2016")


def test_a_line_is_quoted_where_it_differs() -> None:
    one = b"0" * 60 + b"1" + b"2" * 60
    found = difference(one, one.replace(b"1", b"x"), SOURCE)
    assert found == (f"line 1 is '...{'0' * 20}1{'2' * 39}', expected '...{'0' * 20}x{'2' * 39}' (GB/T 32905-2016)")
    assert found.render("zh").startswith("第 1 行为 '...00")


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        (b"a\nb\n", b"a\nc\n", "line 2 is 'b', expected 'c' (GB/T 32905-2016)"),
        (b"a" * 60, b"a" * 59, f"line 1 is '{'a' * 60}', expected '{'a' * 59}' (GB/T 32905-2016)"),
        (b"a" * 70, b"a" * 60, f"line 1 is '...{'a' * 30}', expected '...{'a' * 20}' (GB/T 32905-2016)"),
        (b"x" + b"a" * 90, b"y", f"line 1 is 'x{'a' * 59}', expected 'y' (GB/T 32905-2016)"),
        (b"a\n", b"a\nb\n", "1 line, expected 2 (GB/T 32905-2016)"),
        (b"", b"a\n", "0 lines, expected 1 (GB/T 32905-2016)"),
        (b"a", b"a\n", "the lines are the same, but not the characters that end them (GB/T 32905-2016)"),
        (b"\xff", b"\xfe", r"line 1 is '\\xff', expected '\\xfe' (GB/T 32905-2016)"),
    ],
)
def test_what_differs_is_told(ours: bytes, theirs: bytes, told: str) -> None:
    found = difference(ours, theirs, SOURCE)
    assert found == told
    assert not english_in(found.render("zh"))


def test_records_that_are_no_unit_have_a_name_in_both_languages() -> None:
    record = UnitRecord("artifact lib", _("artifact {name}", name="lib"))
    record.fails("R", _("nothing was observed"))
    unit = UnitRecord("hello")
    unit.blocked_by = unit.undecided("A", Cause.HOST, _("no test"))
    assert join_units("R", [record], verbatim("")).reason == "artifact lib: nothing was observed"
    assert join_units("R", [record], verbatim("")).reason.render("zh") == "制品 lib：什么也没有观察到"
    reason = join_units("R", [unit], verbatim("")).reason
    assert (reason, reason.render("zh")) == ("hello: A: no test", "hello：A：没有测试")


def test_a_decision_about_many_units_is_told_in_both_languages() -> None:
    units = []
    for number, name in enumerate("abcdefgh"):
        unit = UnitRecord(name)
        unit.saw(("R",), Fidelity.STATIC, {})
        unit.fails("R", _("exit code {code}", code=min(number, 4)))
        units.append(unit)
    decision = join_units("R", units, verbatim(""))
    assert decision.verdict is Verdict.FAIL
    assert decision.reason == "a: exit code 0; b: exit code 1; c: exit code 2; and 2 more"
    assert decision.reason.render("zh") == "a：退出码 0；b：退出码 1；c：退出码 2；另有 2 条"
    for unit in units:
        unit.findings.clear()
        unit.fails("R", _("it was not checked"))
    assert join_units("R", units, verbatim("")).reason.render("zh") == "a、b 及另外 6 个单元：未检查"


def test_decisions_without_findings_are_told_in_both_languages() -> None:
    for decision in (
        join_units("R", [], verbatim("")),
        join_units("R", [UnitRecord("a")], verbatim("")),
        join_units("R", [UnitRecord("a", looked_at={"R": Fidelity.STATIC})], verbatim("")),
    ):
        assert decision.verdict is not Verdict.PASS
        text = decision.reason.render("zh")
        assert text != decision.reason and not english_in(text)


def test_names_of_systems_in_findings_are_in_the_readers_language(platforms: Platforms) -> None:
    platform = platforms.get("hygon")
    outcome = Outcome(("x",), Ended.EXITED, 1, None, b"", b"./i.sh: 3: apt-get: not found\n", 1.0, 1.0)
    (wrong,) = wrong_requests(platform, platforms.file.architectures, [], outcome)
    found = Finding(wrong.code, Certainty.CERTAIN, "i", platform.id, wrong.params)
    text = load_findings().coded(found)
    assert platform.system.title.en in text
    assert platform.system.title.zh in text.render("zh") and not english_in(text.render("zh"))


def test_the_texts_of_the_rooms_findings_fit_an_end_of_a_run() -> None:
    catalogue, end = load_findings(), _("killed by {name} ({number})", name=verbatim("SIGBUS"), number=7)
    params: dict[str, str] = dict.fromkeys(
        ("how", "why", "other", "system", "calls", "model", "vendor", "page", "machine", "identifier"), end
    )
    for code in ("XC-RUN-006", "XC-RUN-007", "XC-RUN-008", "XC-RUN-030", "XC-INS-002", "XC-INS-004", "XC-INS-005"):
        found = Finding(code, Certainty.CERTAIN, "u", "p", params)
        text = catalogue.coded(found)
        assert isinstance(text, Message) and "被 SIGBUS（7）终止" in text.render("zh")
        assert "killed" not in text.render("zh") and "?)" not in text.render("zh")
