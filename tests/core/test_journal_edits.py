"""Edits of a journal, as somebody would make them by hand, and with every line sealed anew.

An edit alone breaks the chain, and is always refused. Whoever seals every line anew has a good chain: what can be derived from
other lines, or from the installed suite, is refused all the same. The rest needs a signature (README, "What a journal proves"),
and stands in UNSEEN.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang import __version__
from pytest_xinchuang.core.chain import CHECKSUM, with_checksum
from pytest_xinchuang.core.grade import RunResult, grade_run
from pytest_xinchuang.core.journal import NotAJournal, read_journal
from pytest_xinchuang.core.proof import SUITE, Known, prove
from pytest_xinchuang.core.verdict import Cause, Verdict
from pytest_xinchuang.packages.registry import installed
from tests.core.test_grade import SANDBOX, WAIVER
from tests.journals import Events, chained, complete

KUNPENG = "kunpeng920-kylin_v10_sp3"
PHYTIUM = "phytium_d2000-kylin_v10_sp1"
Edit = Callable[[Events], object]


@pytest.fixture(scope="module")
def known() -> Known:
    return Known.installed(installed().catalogue())


def graded_platform(known: Known, name: str) -> dict[str, Any]:
    platform = known.platforms.get(name)
    return {
        "id": platform.id,
        "digest": platform.digest,
        "arch": platform.arch.value,
        "uname": platform.architecture.uname,
        "facts": "shipped",
        "cpu": platform.cpu.title.model_dump(),
        "system": platform.system.title.model_dump(),
    }


def a_run(known: Known) -> Events:
    """A run in which all was good but for one failure, on two platforms, as complete events."""
    requirements = known.catalogue.of(frozenset({"mru"}))
    platforms = (KUNPENG, PHYTIUM)
    events: Events = [
        {
            "kind": "run_started",
            "t": "2026-05-01T00:00:00.000Z",
            "schema": "xc-journal/1",
            "run": {"id": "r", "host": {"name": "h"}, "argv": ["pytest"]},
            "suite": {"name": SUITE, "version": __version__, "digest": known.catalogue.digest},
            "subject": {"name": "product", "version": "1", "digest": "d"},
            "profile": {"id": "finance", **known.profiles["finance"].model_dump(mode="json")},
            "packages": ["mru"],
            "platforms": [graded_platform(known, name) for name in platforms],
            "required": [r.model_dump(mode="json") for r in requirements],
            "waivers": [{**WAIVER, "requirement": requirements[1].id}],
        }
    ]
    for number, item in enumerate(requirements):
        check = f"conformance/mru/test_mru.py::test_{number}"
        events += [
            {"kind": "planned", "check": check, "platform": p, "requirements": [item.id], "state": "selected"}
            for p in platforms
        ]
    for platform in platforms:
        events.append({**SANDBOX, "platform": platform})
        events.append({**SANDBOX, "platform": platform, "fidelity": "native", "emulated": False})
    for number, item in enumerate(requirements):
        for platform in platforms:
            data = {"kind": "run", "sandbox": platform, "number": number, "stdout": "ok"}
            name = f"{platform}/{number}"
            events.append({"kind": "evidence", "id": name, "data": data})
            failed = number == 0 and platform == KUNPENG
            events.append(
                {
                    "kind": "decision",
                    "requirement": item.id,
                    "verdict": "fail" if failed else "pass",
                    "cause": "subject" if failed else "none",
                    "reason": "wrong" if failed else "",
                    "mend": "",
                    "fidelity": max(item.min_fidelity, item.min_fidelity.EMULATED_USER).value,
                    "evidence": [name],
                    "platform": platform,
                    "check": f"conformance/mru/test_mru.py::test_{number}",
                }
            )
    events.append({"kind": "run_finished", "exit_status": 1})
    return complete(events)


def of_kind(events: Events, kind: str) -> Events:
    return [e for e in events if e["kind"] == kind]


def the_failure(events: Events) -> dict[str, Any]:
    return next(e for e in of_kind(events, "decision") if e["verdict"] == "fail")


def setting(find: Callable[[Events], dict[str, Any]], **values: Any) -> Edit:
    return lambda events: find(events).update(values)


def first(kind: str, number: int = 0) -> Callable[[Events], dict[str, Any]]:
    return lambda events: of_kind(events, kind)[number]


def head(events: Events) -> dict[str, Any]:
    return events[0]


def in_head(name: str, change: Callable[[Any], Any]) -> Edit:
    def edit(events: Events) -> None:
        events[0][name] = change(events[0][name])

    return edit


def each(**values: Any) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    return lambda items: [{**items[0], **values}, *items[1:]]


def evidence_data(events: Events) -> None:
    of_kind(events, "evidence")[0]["data"]["stdout"] = "other"


def of_another_platform(events: Events) -> None:
    decision = next(e for e in of_kind(events, "decision") if e["platform"] == KUNPENG and e["verdict"] == "pass")
    other = next(e for e in of_kind(events, "evidence") if e["data"]["sandbox"] == PHYTIUM)
    decision["evidence"] = [other["id"]]


def dropped(kind: str, number: int = 0) -> Edit:
    return lambda events: events.remove(of_kind(events, kind)[number])


def doubled(kind: str) -> Edit:
    def edit(events: Events) -> None:
        event = of_kind(events, kind)[0]
        events.insert(events.index(event), dict(event))

    return edit


def moved(kind: str, to: int, number: int = 0) -> Edit:
    def edit(events: Events) -> None:
        event = of_kind(events, kind)[number]
        events.remove(event)
        events.insert(to, event)

    return edit


def appended(events: Events) -> None:
    decision = the_failure(events)
    events.append({**decision, "verdict": "pass", "cause": "none", "reason": "", "attempt": 2})


def second_attempt_alone(events: Events) -> None:
    the_failure(events).update(verdict="pass", cause="none", reason="", attempt=2)


def forgiven(events: Events) -> None:
    """The verdict alone, as the first thing that anybody tries."""
    the_failure(events).update(verdict="pass", cause="none", reason="")


def forgiven_whole(events: Events) -> None:
    """With the end of its check: nothing else of the file speaks against it."""
    decision = the_failure(events)
    decision.update(verdict="pass", cause="none", reason="")
    end = next(e for e in of_kind(events, "check") if (e["check"], e["platform"]) == (decision["check"], KUNPENG))
    end["outcome"] = "passed"


EDITS: dict[str, tuple[Edit, str]] = {
    "verdict": (forgiven, "its check failed, and it says pass"),
    "skipped and passed": (
        lambda events: [e.update(outcome="skipped") for e in of_kind(events, "check")],
        "its check was skipped, and it says pass",
    ),
    "an emulator that is native": (
        lambda events: [e.update(emulated=True) for e in of_kind(events, "sandbox")],
        "it says native, and no sandbox of the platform that was open by then is more than emulated-system",
    ),
    "evidence id of another platform": (of_another_platform, "is of a sandbox of phytium_d2000"),
    "evidence id that is not there": (
        setting(the_failure, evidence=["ev-0"], verdict="pass"),
        "names the evidence ev-0",
    ),
    "evidence id renamed": (setting(first("evidence"), id="ev-0"), "its digest is"),
    "evidence data": (evidence_data, "its digest is"),
    "required entry removed": (in_head("required", lambda items: items[1:]), "is missing; the catalogue"),
    "required entry doubled": (in_head("required", lambda items: [items[0], *items]), "is there twice"),
    "level": (in_head("required", each(level="L4")), "level / XC-"),
    "mandatory": (in_head("required", each(mandatory=False)), "mandatory / XC-"),
    "least fidelity": (
        in_head("required", lambda items: [{**i, "min_fidelity": "static"} for i in items]),
        "min_fidelity / XC-",
    ),
    "needs": (in_head("required", lambda items: [{**i, "needs": []} for i in items]), "needs / XC-"),
    "package of an entry": (in_head("required", each(package="other")), "is of the package other"),
    "packages": (in_head("packages", lambda _p: ["mru", "sdk_ast"]), "the package sdk_ast has no requirement"),
    "suite digest": (in_head("suite", lambda suite: {**suite, "digest": "sha256:0"}), "suite.digest is sha256:0"),
    "suite version": (in_head("suite", lambda suite: {**suite, "version": "0.0.1"}), "only the same version knows"),
    "suite name": (in_head("suite", lambda suite: {**suite, "name": "other"}), "it was written by other"),
    "profile level": (in_head("profile", lambda p: {**p, "required_level": "L1"}), "profile.required_level is L1"),
    "profile": (in_head("profile", lambda p: {**p, "id": "easy"}), "there is no profile easy"),
    "platform digest": (in_head("platforms", each(digest="sha256:0")), f"digest / {KUNPENG}"),
    "platform uname": (in_head("platforms", each(uname="x86_64")), f"uname / {KUNPENG}"),
    "platform overridden": (in_head("platforms", each(facts="overridden")), "no file is named"),
    "platform unknown": (in_head("platforms", each(id="lab-lab")), "the suite has no platform lab-lab"),
    "plan of another platform": (
        setting(first("planned"), platform="lab-lab"),
        "the platform lab-lab is not in this run",
    ),
    "platform dropped": (in_head("platforms", lambda items: items[1:]), "is not in this run"),
    "run id": (in_head("run", lambda run: {**run, "id": "other"}), "run_started is of the run other"),
    "fidelity": (setting(first("decision", 1), platform="lab-lab"), "the platform lab-lab is not in this run"),
    "start dropped": (dropped("run_started"), "no run_started"),
    "end dropped": (dropped("run_finished"), "the run did not finish"),
    "evidence dropped": (dropped("evidence"), "which does not stand before it"),
    "sandboxes dropped": (
        lambda events: [events.remove(e) for e in of_kind(events, "sandbox")],
        "no sandbox of the platform that was open by then is more than static",
    ),
    "start doubled": (lambda events: events.insert(1, dict(events[0])), "a second run_started"),
    "evidence doubled": (doubled("evidence"), "is there already"),
    "decision doubled": (doubled("decision"), "attempt 1 at XC-"),
    "evidence after its decision": (moved("evidence", -1), "which does not stand before it"),
    "sandbox after its use": (
        lambda events: [moved("sandbox", -1)(events) for _ in range(4)],
        "no sandbox of the platform that was open by then",
    ),
    "check before its decision": (moved("check", 1, 1), "the end of its check is not in the journal"),
    "end before the last decision": (moved("run_finished", -3), "follows the end of the run"),
    "start later": (moved("run_started", 2), "stands before run_started"),
    "appended": (appended, "follows the end of the run"),
    "second attempt alone": (second_attempt_alone, "attempt 2 at XC-"),
    "no date": (setting(first("decision"), t="tomorrow"), "'tomorrow' is no time"),
    "interrupted": (setting(first("run_finished"), exit_status=2), "the run was interrupted"),
}
"""What is refused even where every line was sealed anew, with a part of what is said."""

UNSEEN: dict[str, Edit] = {
    "plan": dropped("planned"),
    "verdict and the end of its check": forgiven_whole,
    "cause": setting(the_failure, cause="host"),
    "waivers": in_head("waivers", lambda items: [{**items[0], "expires": "2036-01-01"}]),
    "subject": in_head("subject", lambda subject: {**subject, "version": "2"}),
    "host": in_head("run", lambda run: {**run, "host": {"name": "other"}}),
    "exit status": setting(first("run_finished"), exit_status=0),
    "fidelity below that of the sandbox": setting(first("decision", 1), fidelity="native"),
    "every date": lambda events: [e.update(t=e["t"].replace("2026-05", "2026-04")) for e in events],
}
"""What only a signature shows, once every line was sealed anew."""


def result_of(path: Path, known: Known) -> RunResult:
    journal = read_journal(path)
    prove(journal, known)
    return grade_run(journal)


def said_by(result: RunResult) -> str:
    reasons = [str(r.reason) for r in result.requirements]
    return "\n".join([*map(str, result.journal.problems), *map(str, result.journal.doubts.values()), *reasons])


def unsealed(events: Events, lines: list[bytes], edited: Events) -> bytes:
    """The lines of a run after an edit that keeps the seals as they are, and whose checksums were mended."""
    seals = {id(event): line for event, line in zip(events, lines, strict=True)}
    content = b""
    for event in edited:
        line = seals.get(event.pop("was", 0), lines[-1])
        seal = line[line.index(b', "run_id": ') : CHECKSUM.search(line).start()]  # type: ignore[union-attr]
        content += with_checksum(json.dumps(event).encode()[:-1] + seal + b"}")
    return content


def test_the_run_itself_is_believed(known: Known, tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"".join(chained(a_run(known))))
    result = result_of(path, known)
    assert result.journal.problems == [] and result.journal.doubts == {} and result.journal.notes == []
    assert [g.level for g in result.grades] == ["L0", "L4"]


@pytest.mark.parametrize("name", [*EDITS, *UNSEEN])
def test_an_edit_that_keeps_the_seals_is_refused(name: str, known: Known, tmp_path: Path) -> None:
    edit = EDITS[name][0] if name in EDITS else UNSEEN[name]
    events = a_run(known)
    lines = chained(events)
    edited = [{**copy.deepcopy(e), "was": id(e)} for e in events]
    ending = json.loads(lines[-1])
    edited[-1] |= {"events": ending["events"], "head": ending["head"]}
    edit(edited)
    path = tmp_path / "journal.ndjson"
    path.write_bytes(unsealed(events, lines, edited))
    try:
        result = result_of(path, known)
    except NotAJournal:
        return
    assert result.journal.refused or name == "end dropped"
    assert {g.level for g in result.grades} == {None}
    assert any("line " in str(p) for p in result.journal.problems) or name == "end dropped"


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_with_every_line_sealed_anew_is_refused_by_what_it_contradicts(
    name: str, known: Known, tmp_path: Path
) -> None:
    edit, expected = EDITS[name]
    events = a_run(known)
    edit(events)
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"".join(chained(events)))
    if name == "start dropped":
        with pytest.raises(NotAJournal, match=expected):
            result_of(path, known)
        return
    result = result_of(path, known)
    assert expected in said_by(result)
    # A problem takes every grade; a doubt takes that of the platform whose decision it is about.
    doubted = {platform for platform, *_rest in result.journal.doubts}
    if result.journal.problems:
        assert all(g.level is None for g in result.grades)
    else:
        assert doubted and all(g.level in ("L0", "L3") for g in result.grades if g.platform in doubted)


@pytest.mark.parametrize("name", UNSEEN)
def test_what_only_a_signature_shows(name: str, known: Known, tmp_path: Path) -> None:
    events = a_run(known)
    UNSEEN[name](events)
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"".join(chained(events)))
    assert result_of(path, known).journal.problems == []


def test_a_verdict_that_its_check_contradicts_is_open(known: Known, tmp_path: Path) -> None:
    events = a_run(known)
    forgiven(events)
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"".join(chained(events)))
    result = result_of(path, known)
    doubted = result.of(KUNPENG)[0]
    assert (doubted.verdict, doubted.cause) == (Verdict.INCONCLUSIVE, Cause.HOST)


# -- edits of bytes and lines


def spliced(lines: list[bytes], known: Known) -> list[bytes]:
    other = chained(a_run(known), run_id="another")
    return [*lines[:20], other[20], *lines[21:]]


LINES: dict[str, tuple[Callable[[list[bytes], Known], list[bytes]], str]] = {
    "dropped": (
        lambda lines, _k: [*lines[:9], *lines[10:]],
        "line 10 (byte {10}, {k10}) is event 10, and event 9 was expected",
    ),
    "two dropped": (lambda lines, _k: [*lines[:9], *lines[11:]], "2 events are missing before it"),
    "doubled": (
        lambda lines, _k: [*lines[:9], lines[8], *lines[9:]],
        "is event 8, and event 9 was expected: it is doubled",
    ),
    "swapped": (lambda lines, _k: [*lines[:8], lines[9], lines[8], *lines[10:]], "line 9 (byte"),
    "spliced": (spliced, "is of the run another, this journal of the run r"),
    "truncated": (lambda lines, _k: lines[:-3], "the run did not finish"),
    "cut off": (lambda lines, _k: [*lines[:-1], lines[-1][:40]], "was cut off"),
    "appended": (lambda lines, _k: [*lines, lines[8]], "follows the end of the run"),
    "half a line appended": (lambda lines, _k: [*lines, b'{"kind": "dec'], "follows the end of the run"),
    "without seal": (
        lambda lines, _k: [*lines[:9], with_checksum(b'{"kind": "fault", "what": "x"}'), *lines[9:]],
        "has no chain",
    ),
    "without checksum": (
        lambda lines, _k: [*lines[:9], CHECKSUM.sub(b"}\n", lines[9]), *lines[10:]],
        "has no checksum",
    ),
    "an empty line": (lambda lines, _k: [*lines[:9], b"\n", *lines[9:]], "has no chain"),
    "the first without chain": (
        lambda lines, _k: [lines[0][: lines[0].index(b', "run_id": "r", "seq"')] + b"}\n", *lines[1:]],
        "not chained",
    ),
    "another end": (
        lambda lines, _k: [*lines[:-1], lines[-1].replace(b'"exit_status": 1', b'"exit_status": 0')],
        "is damaged",
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_lines_that_are_not_as_they_were_written_are_named(name: str, known: Known, tmp_path: Path) -> None:
    change, expected = LINES[name]
    lines = chained(a_run(known))
    offset, kind = sum(map(len, lines[:9])), json.loads(lines[10])["kind"]
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"".join(change(lines, known)))
    result = result_of(path, known)
    assert {g.level for g in result.grades} == {None}
    assert expected.replace("{10}", str(offset)).replace("{k10}", kind) in said_by(result)


def test_two_runs_in_one_file(known: Known, tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    lines = chained(a_run(known))
    path.write_bytes(b"".join([*lines, *chained(a_run(known), run_id="another")]))
    journal = read_journal(path)
    assert "a second run_started" in "\n".join(map(str, journal.problems)) or "of the run another" in str(
        journal.problems
    )
    assert len(journal.problems) == 21 and "problems more" in journal.problems[-1]


def test_another_file_in_its_place(known: Known, tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    lines = chained(a_run(known))
    path.write_bytes(b"".join(lines))
    assert read_journal(path, json.loads(lines[-1])["chain"]).problems == []
    assert "another in its place" in read_journal(path, "0" * 64).problems[0]


# -- what the run has brought along


OWN = {"name": "own.yaml", "digest": "sha256:1", "ids": ["ACME-001"]}


def with_own(events: Events, *, told: bool) -> None:
    item = {**events[0]["required"][0], "id": "ACME-001", "package": "acme", "needs": []}
    events[0]["required"].append(item)
    events[0]["packages"].append("acme")
    if told:
        events[0]["own_requirements"] = [OWN]


def test_own_requirements_are_told_with_their_file(known: Known, tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    for told in (True, False):
        events = a_run(known)
        with_own(events, told=told)
        path.write_bytes(b"".join(chained(events)))
        journal = result_of(path, known).journal
        assert (journal.problems == []) is told
        if told:
            assert journal.notes == ["not requirements of the suite, but of own.yaml (sha256:1): ACME-001"]
        else:
            assert "ACME-001 is not in the catalogue of the package acme" in journal.problems[0]


def test_a_shipped_requirement_is_none_of_an_own_file(known: Known, tmp_path: Path) -> None:
    events = a_run(known)
    sdk = known.catalogue.of(frozenset({"sdk_ast"}))[0]
    events[0]["required"].append({**sdk.model_dump(mode="json"), "package": "mru"})
    events[0]["own_requirements"] = [{**OWN, "ids": [sdk.id]}]
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"".join(chained(events)))
    assert f"{sdk.id} is not in the catalogue" in str(result_of(path, known).journal.problems)


def test_overridden_facts_are_told_with_their_file(known: Known, tmp_path: Path) -> None:
    events = a_run(known)
    events[0]["platforms"][0] |= {"facts": "overridden", "digest": "sha256:2"}
    events[0]["platform_files"] = [{"name": "lab.yaml", "digest": "sha256:3"}]
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"".join(chained(events)))
    journal = result_of(path, known).journal
    assert journal.problems == []
    assert journal.notes == ["facts of lab.yaml (sha256:3) were merged over the platforms of the suite"]
