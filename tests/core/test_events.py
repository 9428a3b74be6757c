"""Journal events: each comes back as it was written, and nothing that stands in a file breaks its reader."""

from __future__ import annotations

import datetime
import json
import string
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_xinchuang.core.events import (
    KINDS,
    CheckEnded,
    ChosenProfile,
    Decided,
    Event,
    EvidenceKept,
    FaultMet,
    GradedPlatform,
    GradedSubject,
    Planned,
    Required,
    Run,
    RunFinished,
    RunStarted,
    SandboxOpened,
    Suite,
    Surrounded,
    Unreadable,
    WaiverEntry,
    journal_schema,
    messages_of,
)
from pytest_xinchuang.core.grade import RunResult, grade_run
from pytest_xinchuang.core.journal import NotAJournal, read_journal
from pytest_xinchuang.core.requirement import Text
from pytest_xinchuang.core.surroundings import FixtureSeen, Installed, PluginSeen
from pytest_xinchuang.core.verdict import Cause, Fidelity, Level, Verdict
from pytest_xinchuang.messages import Message, _, both, joined, n_, verbatim
from pytest_xinchuang.report.json_report import report_text
from pytest_xinchuang.report.junit import junit_text
from pytest_xinchuang.report.terminal import write_table
from tests.core.test_grade import FINISHED, PLATFORM, all_pass, decided, started
from tests.journals import line_of, write_bare, write_journal

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=5)
PARAMETERS = st.dictionaries(NAMES, st.one_of(WORDS, st.integers(), st.builds(verbatim, WORDS)), max_size=2)
TEMPLATES = st.sampled_from(["no unit", "it needs {a}", "{a:>4} of {b}", "{a.b} {c[0]} {d!r}"])
MESSAGES: st.SearchStrategy[Message] = st.recursive(
    st.one_of(
        st.builds(lambda t, p: _(t, **p), TEMPLATES, PARAMETERS),
        st.builds(lambda t, p, n: n_(t, t + "s", n, **p), TEMPLATES, PARAMETERS, st.integers(0, 9)),
        st.builds(lambda en, zh: both({"en": en, "zh": zh}), *[st.text(string.ascii_letters + "中文", max_size=9)] * 2),
    ),
    lambda inner: st.builds(joined, st.lists(inner, min_size=1, max_size=3)),
    max_leaves=4,
)
TEXTS = st.one_of(WORDS, MESSAGES)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)
TIMES = st.just("2026-05-01T00:00:00.000Z")
BOTH = st.builds(Text, zh=WORDS, en=WORDS)


def _said(cls: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An event whose texts are messages or plain."""
    texts = ("reason", "mend", "what")

    def make(**values: Any) -> Any:
        said = {k: v for k, v in values.items() if k in texts}
        plain = {k: str(v) for k, v in said.items()}
        return cls(**{**values, **plain}, messages=messages_of(**said))

    return st.builds(make, **fields)


EVENTS: dict[str, st.SearchStrategy[Event]] = {
    "run_started": st.builds(
        RunStarted,
        t=TIMES,
        schema=st.just("xc-journal/1"),
        run=st.builds(
            Run,
            id=WORDS,
            host=st.dictionaries(WORDS, WORDS, max_size=2),
            argv=st.lists(WORDS, max_size=2),
            backend=WORDS,
        ),
        suite=st.builds(Suite, name=WORDS, version=WORDS, digest=WORDS),
        subject=st.builds(
            GradedSubject, name=WORDS, version=WORDS, digest=WORDS, units=st.lists(WORDS, max_size=2).map(tuple)
        ),
        profile=st.builds(
            ChosenProfile, id=WORDS, title=st.none() | BOTH, required_level=st.none() | st.sampled_from(Level)
        ),
        packages=st.lists(WORDS, max_size=2).map(tuple),
        platforms=st.lists(st.builds(GradedPlatform, id=WORDS, uname=WORDS, cpu=st.none() | BOTH), max_size=2).map(
            tuple
        ),
        required=st.lists(
            st.builds(
                Required,
                id=WORDS,
                package=WORDS,
                level=st.sampled_from(Level),
                title=BOTH,
                clause=WORDS,
                min_fidelity=st.sampled_from(Fidelity),
                mandatory=st.booleans(),
                may_not_apply=st.booleans(),
                mend=BOTH,
                needs=st.lists(WORDS, max_size=2).map(tuple),
            ),
            max_size=2,
        ).map(tuple),
        waivers=st.lists(
            st.builds(
                WaiverEntry,
                requirement=WORDS,
                subject=WORDS,
                version=WORDS,
                platform=WORDS,
                owner=WORDS,
                reason=WORDS,
                clause=WORDS,
                expires=st.dates(min_value=datetime.date(1000, 1, 1)),
            ),
            max_size=1,
        ).map(tuple),
    ),
    "planned": _said(
        Planned,
        t=TIMES,
        check=WORDS,
        node=WORDS,
        platform=WORDS,
        requirements=st.lists(WORDS, max_size=2).map(tuple),
        state=st.sampled_from(["selected", "deselected", "not_collected", "other_platforms"]),
        alternative=st.booleans(),
        reason=TEXTS,
    ),
    "check": st.builds(
        CheckEnded,
        t=TIMES,
        check=WORDS,
        platform=WORDS,
        phase=WORDS,
        outcome=WORDS,
        duration_s=st.floats(0, 1e6),
        worker=WORDS,
    ),
    "decision": _said(
        Decided,
        t=TIMES,
        requirement=WORDS,
        verdict=st.sampled_from(Verdict),
        cause=st.sampled_from(Cause),
        reason=TEXTS,
        mend=TEXTS,
        fidelity=st.sampled_from(Fidelity),
        evidence=st.lists(WORDS, max_size=2).map(tuple),
        platform=WORDS,
        check=WORDS,
        attempt=st.integers(1, 9),
    ),
    "sandbox": st.builds(
        SandboxOpened,
        t=TIMES,
        platform=WORDS,
        fidelity=st.sampled_from(Fidelity),
        stand_in=st.booleans(),
        differs=st.lists(WORDS, max_size=2).map(tuple),
        observed=st.dictionaries(WORDS, WORDS, max_size=2),
        extra=st.dictionaries(WORDS, JSON, max_size=2),
        messages=st.one_of(
            st.just({}), st.builds(lambda texts: {"differs": tuple(texts)}, st.lists(MESSAGES, min_size=1, max_size=2))
        ),
    ),
    "evidence": st.builds(
        EvidenceKept,
        t=TIMES,
        id=WORDS,
        data=st.builds(lambda d: {**d, "kind": "seen"}, st.dictionaries(WORDS, JSON, max_size=3)),
    ),
    "fault": _said(FaultMet, t=TIMES, what=TEXTS),
    "surroundings": st.builds(
        lambda texts, **fields: Surrounded(
            foreign=tuple(map(str, texts)), messages=messages_of(foreign=tuple(texts)), **fields
        ),
        texts=st.lists(TEXTS, max_size=3),
        t=TIMES,
        sealed=st.booleans(),
        distributions=st.tuples(st.builds(Installed, name=WORDS, version=WORDS, changed=st.tuples(WORDS))),
        plugins=st.tuples(st.builds(PluginSeen, name=WORDS, standing=st.just("foreign"), hooks=st.tuples(WORDS))),
        fixtures=st.tuples(st.builds(FixtureSeen, name=WORDS, file=WORDS)),
        environment=st.dictionaries(WORDS, WORDS, max_size=2),
    ),
    "run_finished": st.builds(RunFinished, t=TIMES, exit_status=st.integers(0, 12)),
}
SCHEMA = journal_schema()
CHECK = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)


def test_every_kind_is_tried() -> None:
    assert set(EVENTS) == set(KINDS)


@pytest.mark.parametrize("kind", EVENTS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_an_event_comes_back_as_it_was_written(kind: str, data: st.DataObject) -> None:
    event = data.draw(EVENTS[kind])
    line = json.loads(line_of(event))
    assert line["kind"] == kind
    CHECK.validate(line)
    again = KINDS[kind].model_validate(line)
    assert again == event
    # Two messages are equal when their English is: their Chinese has to come back as well.
    for name, text in getattr(event, "messages", {}).items():
        ours, theirs = (t if isinstance(t, tuple) else (t,) for t in (text, again.messages[name]))  # type: ignore[union-attr]
        assert [m.render("zh") for m in ours] == [m.render("zh") for m in theirs]


def test_texts_stay_english_strings_beside_their_messages() -> None:
    reason = _("it needs {needs}, which failed: {reason}", needs="X-001", reason=verbatim("wrong"))
    event = Decided(
        requirement="X-002", platform="p", reason=str(reason), messages=messages_of(reason=reason, mend="mend it")
    )
    line = json.loads(line_of(event))
    assert line["reason"] == "it needs X-001, which failed: wrong"
    assert set(line["messages"]) == {"reason"}
    read = Decided.model_validate(line)
    assert read.said("reason").render("zh") == "它以 X-001 为前提，而该项不通过：wrong"
    assert read.said("mend") == ""


def test_names_alone_need_no_messages() -> None:
    assert "messages" not in json.loads(line_of(FaultMet(what="x", messages=messages_of(what=verbatim("x")))))


def test_differences_are_told_in_either_language() -> None:
    told = (_("no check decided it"), verbatim("Debian 11"))
    event = SandboxOpened(platform="p", differs=tuple(map(str, told)), messages=messages_of(differs=told))
    again = SandboxOpened.model_validate(json.loads(line_of(event)))
    assert [m.render("zh") for m in again.said_all("differs")] == ["没有检查判定它", "Debian 11"]
    shorter = again.model_copy(update={"differs": ("one",)})
    assert shorter.said_all("differs") == ("one",)


@pytest.mark.parametrize("value", ["passed", None, 1, True, [], {}])
def test_what_is_none_of_its_enumeration_is_kept_as_that(value: Any) -> None:
    event = Decided.model_validate({"requirement": "X", "platform": "p", "verdict": value, "fidelity": value})
    assert isinstance(event.verdict, Unreadable) and isinstance(event.fidelity, Unreadable)
    assert Decided.model_validate({"requirement": "X", "platform": "p", "cause": value}).cause is Cause.HOST


# -- journals that nobody of ours has written


def every_report(result: RunResult) -> None:
    for language in ("en", "zh"):
        report_text(result, language)
        junit_text(result, language)
        write_table(result, lambda text, **_: None, language=language)


NESTED = "[" * 100_000
HUGE = "1" + "0" * 4000


@pytest.mark.parametrize(
    "line",
    [
        NESTED,
        '{"kind": ' + NESTED,
        '{"kind": "evidence", "id": "x", "data": ' + '{"a":' * 5000 + "1" + "}" * 5000 + "}",
        '{"kind": "evidence", "id": "x", "data": ' + '{"a":[' * 250 + "1" + "]}" * 250 + "}",
        '{"kind": []}',
        '{"kind": {}}',
        '{"kind": null}',
        '{"kind": "check", "check": "x"}',
        '{"kind": "check", "check": "x", "platform": "p", "duration_s": ' + HUGE + "}",
        '{"kind": "check", "check": "x", "platform": "p", "duration_s": NaN}',
        '{"kind": "check", "check": "x", "platform": "p", "duration_s": "long"}',
        '{"kind": "check", "check": "x", "platform": "p", "duration_s": 1' + HUGE * 2 + "}",
        '{"kind": "run_finished", "exit_status": []}',
        '{"kind": "decision", "platform": [], "requirement": {}}',
        '{"kind": "decision", "platform": "p", "requirement": "r", "evidence": [[]]}',
        '{"kind": "decision", "platform": "p", "requirement": "r", "evidence": 3}',
        '{"kind": "sandbox", "platform": "p", "observed": []}',
        '{"kind": "sandbox", "platform": "p", "stand_in": "no"}',
        '{"kind": "sandbox", "platform": "p", "differs": 3}',
        '{"kind": "evidence", "id": []}',
        '{"kind": "fault", "what": 3}',
        '{"kind": "fault", "what": "x", "messages": []}',
        '{"kind": "fault", "what": "x", "messages": {"what": {"id": "{", "params": {}}}}',
        '{"kind": "fault", "what": "x", "messages": {"what": {"texts": {"en": "x", "zh": "{a"}, "params": {"a": 1}}}}',
        '{"kind": "fault", "what": "x", "messages": {"what": {"id": "{n}", "plural": 3, "n": null, "params": {}}}}',
        '{"kind": "fault", "what": "x", "messages": {"what": {"id": "{n}", "plural": "x", "n": 0.5, "params": {}}}}',
        '{"kind": "fault", "what": "x", "messages": {"what": {"join": 3, "parts": []}}}',
    ],
    ids=lambda line: line[:60],
)
def test_an_evil_line_is_a_problem_and_no_traceback(line: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    for events in ([*all_pass()], [e for e in all_pass() if e["kind"] != "sandbox"]):
        write_journal(path, events, line)
        result = grade_run(read_journal(path))
        assert len(result.journal.problems) == 1, line[:60]
        assert [g.level for g in result.grades] == [None]
        every_report(result)


def _laughs(depth: int) -> Any:
    return "ha" if not depth else {"id": "{a}" * 10, "params": {"a": _laughs(depth - 1)}}


@pytest.mark.parametrize(
    "message",
    [
        _laughs(12),
        {"id": "{a}" * 100_000, "params": {"a": "x" * 100_000}},
        {"texts": {"en": "short", "zh": "{a}" * 150}, "params": {"a": "x" * 1000}},
        {"join": "x" * 90_000, "parts": ["a", "b", "c"]},
    ],
)
def test_a_message_that_would_burst_is_refused(message: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    evil = {"kind": "fault", "what": "x", "messages": {"what": message}}
    write_journal(path, [*all_pass()[:-1], evil, FINISHED])
    assert len(read_journal(path).problems) == 1


@pytest.mark.parametrize(
    "message",
    [
        {"id": "{a:f}", "params": {"a": int(HUGE)}},
        {"id": "{a:d} {b:5d}", "params": {"a": None, "b": [1]}},
        {"id": "{a.__class__.__mro__} {0} {a[0]!r}", "params": {"a": "x"}},
        {"id": "{a:{b}}", "params": {"a": "x", "b": "999999999"}},
        {"text": "\ud800"},
    ],
)
def test_a_strange_message_is_told_somehow(message: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    write_journal(path, [*all_pass()[:-1], {"kind": "fault", "what": "x", "messages": {"what": message}}, FINISHED])
    journal = read_journal(path)
    assert journal.problems == [] and len(journal.faults) == 1
    every_report(grade_run(journal))


@pytest.mark.parametrize(
    "change",
    [
        {"t": "yesterday"},
        {"t": None},
        {"schema": "xc-journal/2"},
        {"run": None},
        {"platforms": [{"id": "p"}]},
        {"platforms": [{"id": "p", "uname": "x", "facts": "believed"}]},
        {"required": [{"id": "T-1"}]},
        {"profile": {"id": "x", "required_level": "L9"}},
        {"packages": 3},
        {"waivers": [{"requirement": "T-1"}]},
    ],
    ids=str,
)
def test_a_start_that_is_no_start_is_no_journal(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    write_journal(path, [started(**change), FINISHED])
    with pytest.raises(NotAJournal):
        read_journal(path)


# -- no byte that changes betters a grade

RANK = {None: -1, "L0": 0, "L1": 1, "L2": 2, "L3": 3, "L4": 4}


def unfortunate() -> list[dict[str, Any]]:
    """A run with something of everything, in which one byte could do much: ids, levels and verdicts are next to others."""
    events = all_pass()
    items = [dict(item) for item in events[0]["required"]]
    items[2]["needs"] = ["T-2"]
    events[0] = started(required=items)
    events[4] = decided("T-2", "fail")
    return events


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, RunResult]:
    path = tmp_path_factory.mktemp("mutated") / "journal.ndjson"
    raw = write_journal(path, unfortunate())
    return path, raw, grade_run(read_journal(path))


def _never_better(path: Path, mutated: bytes, before: RunResult) -> None:
    path.write_bytes(mutated)
    try:
        after = grade_run(read_journal(path))
    except NotAJournal:
        return
    every_report(after)
    assert after.journal.problems, mutated
    assert all(RANK[g.level] <= RANK[before.grades[0].level] for g in after.grades)
    assert {g.level for g in after.grades} <= {None}


@given(data=st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_journal_with_one_other_byte_is_never_graded_better(
    original: tuple[Path, bytes, RunResult], data: st.DataObject
) -> None:
    path, raw, before = original
    place = data.draw(st.integers(0, len(raw) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda b: b != raw[place]))
    _never_better(path, raw[:place] + bytes([value]) + raw[place + 1 :], before)


@pytest.mark.parametrize(
    ("what", "becomes"),
    [
        (b'"verdict": "fail"', b'"verdict": "pass"'),
        (b'"requirement": "T-2"', b'"requirement": "T-9"'),
        (b'"needs": ["T-2"]', b'"needs": ["T-9"]'),
        (b'"mandatory": true', b'"mandatory": null'),
        (b'"level": "L2"', b'"level": "L4"'),
        (b'"crc32"', b'"crc33"'),
        (b"\n", b" "),
        (b'"kind"', b'"\nind"'),
    ],
)
def test_the_bytes_that_matter_most(original: tuple[Path, bytes, RunResult], what: bytes, becomes: bytes) -> None:
    path, raw, before = original
    assert what in raw
    _never_better(path, raw.replace(what, becomes, 1), before)


@pytest.mark.parametrize("checksums", [False, True])
def test_a_journal_without_a_chain_is_shown_and_has_no_grade(tmp_path: Path, checksums: bool) -> None:
    path = tmp_path / "journal.ndjson"
    write_bare(path, unfortunate(), checksums=checksums)
    result = grade_run(read_journal(path))
    assert [g.level for g in result.grades] == [None]
    assert "not chained" in result.grades[0].capped_by and "its grade is unproved" in result.grades[0].capped_by
    assert [str(p) for p in result.journal.problems] == [str(result.journal.problems[0])]
    every_report(result)
    write_journal(path, unfortunate())
    after = grade_run(read_journal(path))
    assert [r.verdict for r in result.requirements] == [r.verdict for r in after.requirements]
    assert after.of(PLATFORM)[2].cause is Cause.BLOCKED


def test_in_a_journal_with_checksums_a_line_without_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    write_bare(path, all_pass(), checksums=True)
    with path.open("a") as file:
        file.write(json.dumps(decided("T-1")) + "\n")
    assert any("has no checksum" in problem for problem in read_journal(path).problems)
