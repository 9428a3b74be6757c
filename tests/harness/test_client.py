"""The client loses nothing: harnesses that die, hang, babble and lie."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.harness.client import Answer, HarnessClient
from pytest_xinchuang.harness.ends import EndKind, ReplyKind
from pytest_xinchuang.harness.lines import Lines
from pytest_xinchuang.harness.protocol import HarnessProtocol, ProtocolError, ViolationKind
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.sandbox.local import local
from pytest_xinchuang.sandbox.protocol import Ended, Outcome, Process

pytestmark = pytest.mark.tools


class Hello(BaseModel):
    hello: Literal["xc-test-harness/1"]
    name: str
    version: str
    operations: dict[str, Any] = Field(min_length=1)


PROTOCOL = HarnessProtocol("xc-test-harness/1", Hello, "docs/harness.md")
HELLO = """
import json, os, sys, time
def say(x): sys.stdout.write(json.dumps(x) + "\\n"); sys.stdout.flush()
say({"hello": "xc-test-harness/1", "name": "x", "version": "1", "operations": {"sm3": {}}})
count = 0
for line in sys.stdin:
    r = json.loads(line); m = r["msg"]; count += 1
"""


def client(
    tmp_path: Path, body: str, *, timeout_s: float = 20.0, start_timeout_s: float = 30.0
) -> HarnessClient[Hello]:
    script = tmp_path / "harness.py"
    script.write_text(HELLO + "".join(f"    {line}\n" for line in body.splitlines()))
    return HarnessClient(
        PROTOCOL, local([sys.executable, str(script)]), timeout_s=timeout_s, start_timeout_s=start_timeout_s
    )


def ask_all(harness: HarnessClient[Hello], count: int) -> dict[int, Answer]:
    return dict(harness.run((n, {"op": "sm3", "msg": f"{n:04x}"}) for n in range(count)))


ECHO = 'say({"id": r["id"], "digest": m})'


def test_many_requests_and_every_answer(tmp_path: Path) -> None:
    with client(tmp_path, ECHO) as harness:
        answers = ask_all(harness, 3000)
        assert all(a.reply["digest"] == f"{n:04x}" for n, a in answers.items())
        assert len(answers) == 3000
        assert (harness.restarts, harness.crashes, harness.violations) == (0, [], [])


def test_the_one_that_kills_is_blamed_and_no_other(tmp_path: Path) -> None:
    body = (
        f"if m == '0100': os._exit(3)\nif m == '0200': os.kill(os.getpid(), 11)\nif m == '0101': time.sleep(60)\n{ECHO}"
    )
    with client(tmp_path, body, timeout_s=4) as harness:
        answers = ask_all(harness, 1000)
    assert len(answers) == 1000
    other = {n: a for n, a in answers.items() if a.kind is not ReplyKind.REPLY}
    assert {n: a.kind for n, a in other.items()} == {
        0x100: ReplyKind.DIED,
        0x200: ReplyKind.DIED,
        0x101: ReplyKind.HUNG,
    }
    assert "exit code 3" in other[0x100].detail and "SIGSEGV" in other[0x200].detail
    assert harness.crashes == []


def test_a_death_that_nothing_repeats_is_told(tmp_path: Path) -> None:
    # It dies after 500 requests, whatever they are.
    with client(tmp_path, f"if count > 500: os._exit(9)\n{ECHO}") as harness:
        answers = ask_all(harness, 1500)
    assert all(a.kind is ReplyKind.REPLY for a in answers.values())
    assert len(answers) == 1500
    assert harness.crashes and "none of them repeats it alone" in str(harness.crashes[0])


def test_replies_in_any_order(tmp_path: Path) -> None:
    body = "kept = globals().setdefault('kept', [])\nkept.append(r)\n"
    body += (
        "if len(kept) == 50:\n    for k in reversed(kept): say({'id': k['id'], 'digest': k['msg']})\n    kept.clear()"
    )
    with client(tmp_path, body) as harness:
        answers = ask_all(harness, 500)
    assert all(a.reply["digest"] == f"{n:04x}" for n, a in answers.items())


@pytest.mark.parametrize(
    "line", ["print('debug: hashing')", "say([1, 2])", "say({'id': 10**9})", "say({'digest': m})", "print('{' * 50)"]
)
def test_babble_between_replies_is_a_violation_and_loses_nothing(tmp_path: Path, line: str) -> None:
    with client(tmp_path, f"{line}\n{ECHO}") as harness:
        answers = ask_all(harness, 100)
        assert all(a.kind is ReplyKind.REPLY for a in answers.values())
        assert harness.violations and harness.violations[0].kind is ViolationKind.UNASKED


def test_two_replies_to_one_request_are_a_violation(tmp_path: Path) -> None:
    with client(tmp_path, f"{ECHO}\n{ECHO}") as harness:
        assert len(ask_all(harness, 10)) == 10
        harness.ask({"op": "sm3", "msg": "00"})
        assert harness.violations


def test_one_that_always_hangs_is_given_up(tmp_path: Path) -> None:
    with client(tmp_path, "time.sleep(60)", timeout_s=0.15) as harness:
        answers = ask_all(harness, 60)
    came = [a.kind for a in answers.values()]
    assert len(came) == 60
    assert came.count(ReplyKind.HUNG) == 12
    assert came.count(ReplyKind.FAULT) == 48  # undecided, and not failed


@pytest.mark.parametrize(
    ("program", "kind", "what"),
    [
        ("", ViolationKind.NO_HELLO, "ended before its hello: exit code 0"),
        ("import sys; sys.exit('no library')", ViolationKind.NO_HELLO, "no library"),
        ("import time; time.sleep(60)", ViolationKind.NO_HELLO, "no hello within"),
        ("print('hello')", ViolationKind.BAD_HELLO, "is not a hello"),
        ("print('{}')", ViolationKind.BAD_HELLO, "hello: field required"),
        ("print('[' * 100000)", ViolationKind.BAD_HELLO, "is not a hello"),
        ("print('{\"hello\": [1]}')", ViolationKind.BAD_HELLO, "is not a hello"),
        ('print(\'{"hello": "xc-other/1"}\')', ViolationKind.BAD_HELLO, "is not a hello"),
        (
            'print(\'{"hello":"xc-test-harness/1","name":"x","version":"1","operations":{}}\')',
            ViolationKind.BAD_HELLO,
            "operations: dictionary should have at least 1 item",
        ),
        (
            'print(\'{"hello":"xc-test-harness/2","name":"x","version":"1","operations":{"sm3":{}}}\')',
            ViolationKind.OTHER_VERSION,
            "is not a hello of xc-test-harness/1: it speaks xc-test-harness/2",
        ),
    ],
)
def test_what_is_no_hello(program: str, kind: ViolationKind, what: str) -> None:
    seconds = 1 if "sleep" in program else 30
    with (
        HarnessClient(PROTOCOL, local([sys.executable, "-c", program]), start_timeout_s=seconds) as harness,
        pytest.raises(ProtocolError) as error,
    ):
        _ = harness.hello
    assert error.value.kind is kind and what in error.value.what


@pytest.mark.parametrize(
    ("body", "kind", "hosts"),
    [
        ("print('SIGSEGV in worker', file=sys.stderr); os.abort()", EndKind.SIGNALED, False),
        ("print('watchdog would send SIGKILL', file=sys.stderr); os.abort()", EndKind.SIGNALED, False),
        ("print('no reply for 20 s', file=sys.stderr); os._exit(9)", EndKind.EXITED, False),
        ("os.kill(os.getpid(), 9)", EndKind.KILLED, True),
        ("os.close(1); time.sleep(60)", EndKind.CLOSED, False),
        ("time.sleep(60)", EndKind.SILENT, True),
    ],
)
def test_an_end_is_told_by_what_came_and_not_by_what_was_said(
    tmp_path: Path, body: str, kind: EndKind, hosts: bool
) -> None:
    # What sleeps is waited for until the time-out. It ends so once, under many requests; a mark tells the next one not to.
    mark = tmp_path / "mark"
    once = f"if count == 20 and not os.path.exists({str(mark)!r}): open({str(mark)!r}, 'w').close(); {body}\n{ECHO}"
    seconds = 3.0 if "sleep" in body else 20.0
    with client(tmp_path, once, timeout_s=seconds) as harness:
        answers = ask_all(harness, 100)
        assert len(answers) == 100 and all(a.kind is ReplyKind.REPLY for a in answers.values())
        (crash,) = harness.crashes
    assert crash.end.kind is kind and kind.may_be_the_hosts is hosts


def test_an_answer_that_did_not_come_has_its_end(tmp_path: Path) -> None:
    with client(tmp_path, f"if m == '0003': os.abort()\n{ECHO}") as harness:
        answers = ask_all(harness, 10)
    end = answers[3].end
    assert end is not None and end.kind is EndKind.SIGNALED and end.outcome is not None and end.outcome.signal == 6


def test_a_line_without_an_end_is_the_end(tmp_path: Path) -> None:
    """A harness that floods is not read for ever, and what it has done is told."""
    body = "sys.stdout.write('x' * (18 << 20)); sys.stdout.flush(); time.sleep(60)"
    with client(tmp_path, body, timeout_s=5) as harness:
        answer = harness.ask({"op": "sm3", "msg": "00"})
    assert answer.kind is ReplyKind.DIED and answer.end is not None and answer.end.kind is EndKind.FLOODED


def test_a_sandbox_that_breaks_blames_nobody(tmp_path: Path) -> None:
    """The process ended by a fault of ours: everything that was in flight is undecided, and nothing failed."""
    inner = client(tmp_path, "os._exit(1)")._launch

    class Broken:
        def __init__(self, process: Process) -> None:
            self.process = process

        def __getattr__(self, name: str) -> Any:
            return getattr(self.process, name)

        def wait(self, timeout_s: float | None = None) -> Outcome | None:
            found = self.process.wait(timeout_s)
            return found and replace(found, ended=Ended.HOST_FAULT, code=None, cause=verbatim("killed from outside"))

    with HarnessClient(PROTOCOL, lambda: Broken(inner()), timeout_s=20) as harness:
        answers = ask_all(harness, 10)
    assert len(answers) == 10
    assert {a.kind for a in answers.values()} == {ReplyKind.FAULT} and harness.crashes == []


def test_another_hello_after_a_restart_is_a_violation(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    script = tmp_path / "h.py"
    script.write_text(
        HELLO.replace('"name": "x"', f'"name": "x" if not os.path.exists({str(mark)!r}) else "y"')
        + f"    open({str(mark)!r}, 'w').close()\n    os._exit(1)\n"
    )
    with HarnessClient(PROTOCOL, local([sys.executable, str(script)]), timeout_s=20) as harness:
        assert harness.ask({"op": "sm3", "msg": ""}).kind is ReplyKind.DIED
        assert {v.kind for v in harness.violations} == {ViolationKind.OTHER_HELLO}


def test_a_program_that_is_not_there() -> None:
    with (
        HarnessClient(PROTOCOL, local(["/nowhere/harness"])) as harness,
        pytest.raises(XcError, match="could not be started"),
    ):
        _ = harness.hello


def test_an_early_end_of_asking_leaves_no_answer_behind(tmp_path: Path) -> None:
    with client(tmp_path, ECHO) as harness:
        for n, _ in harness.run((n, {"op": "sm3", "msg": f"{n:04x}"}) for n in range(1000)):
            if n > 3:
                break
        assert harness.ask({"op": "sm3", "msg": "aa"}).reply["digest"] == "aa"
        assert harness.violations == []


FLOOD = "if m == '0003':\n    while True: sys.stdout.write('x' * 60 + chr(10))"


@pytest.mark.parametrize(
    "flood", [FLOOD, FLOOD.replace("'x' * 60 + chr(10)", "chr(10)"), FLOOD.replace("+ chr(10)", "")]
)
def test_a_flood_of_lines_ends_and_blames_the_one_that_began_it(tmp_path: Path, flood: str) -> None:
    with client(tmp_path, f"{flood}\n{ECHO}") as harness:
        answers = ask_all(harness, 40)
    assert len(answers) == 40
    other = {n: a for n, a in answers.items() if a.kind is not ReplyKind.REPLY}
    assert list(other) == [3] and other[3].end is not None and other[3].end.kind is EndKind.FLOODED
    assert "without end" in other[3].detail and len(harness.violations) <= 20


def test_babble_that_never_answers_is_as_silence(tmp_path: Path) -> None:
    body = "while True:\n    print('still at it', flush=True); time.sleep(0.2)"
    with client(tmp_path, body, timeout_s=1.0) as harness:
        answer = harness.ask({"op": "sm3", "msg": "00"})
    assert answer.kind is ReplyKind.HUNG and answer.end is not None and answer.end.kind is EndKind.SILENT


def test_lines_wait_for_room() -> None:
    import queue
    import threading

    lines = Lines(most=10)
    lines.put([b"x" * 11])
    more = threading.Thread(target=lines.put, args=([b"y"],))
    more.start()
    more.join(0.1)
    assert more.is_alive()
    assert lines.get(1) == [b"x" * 11] and lines.get(1) == [b"y"]
    more.join()
    with pytest.raises(queue.Empty):
        lines.get(0)
    lines.put([b"x" * 11])
    lines.close()
    lines.put(None)  # does not wait


def test_a_run_has_a_longest_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_xinchuang.harness.client.MAX_RUN_SCALE", 0.05)
    with client(tmp_path, f"time.sleep(0.4)\n{ECHO}") as harness:
        answers = ask_all(harness, 400)
    assert len(answers) == 400 and answers[399].kind is ReplyKind.FAULT and "asked for more" in answers[399].detail
