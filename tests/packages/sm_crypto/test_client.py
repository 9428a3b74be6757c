"""The runner loses nothing: harnesses that die, hang, babble and lie."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.packages.sm_crypto.client import Answer, Came, HarnessClient
from pytest_xinchuang.packages.sm_crypto.protocol import ProtocolError
from pytest_xinchuang.sandbox.local import local

HELLO = """
import json, os, sys, time
def say(x): sys.stdout.write(json.dumps(x) + "\\n"); sys.stdout.flush()
say({"hello": "xc-sm-harness/1", "name": "x", "version": "1", "operations": {"sm3": {}}})
count = 0
for line in sys.stdin:
    r = json.loads(line); m = r["msg"]; count += 1
"""


def client(tmp_path: Path, body: str, *, timeout_s: float = 20.0, start_timeout_s: float = 30.0) -> HarnessClient:
    script = tmp_path / "harness.py"
    script.write_text(HELLO + "".join(f"    {line}\n" for line in body.splitlines()))
    return HarnessClient(local([sys.executable, str(script)]), timeout_s=timeout_s, start_timeout_s=start_timeout_s)


def ask_all(harness: HarnessClient, count: int) -> dict[int, Answer]:
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
    other = {n: a for n, a in answers.items() if a.came is not Came.REPLY}
    assert {n: a.came for n, a in other.items()} == {0x100: Came.DIED, 0x200: Came.DIED, 0x101: Came.HUNG}
    assert "exit code 3" in other[0x100].detail and "SIGSEGV" in other[0x200].detail
    assert harness.crashes == []


def test_a_death_that_nothing_repeats_is_told(tmp_path: Path) -> None:
    # It dies after 500 requests, whatever they are.
    with client(tmp_path, f"if count > 500: os._exit(9)\n{ECHO}") as harness:
        answers = ask_all(harness, 1500)
    assert all(a.came is Came.REPLY for a in answers.values())
    assert len(answers) == 1500
    assert harness.crashes and "none of them repeats it alone" in harness.crashes[0]


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
        assert all(a.came is Came.REPLY for a in answers.values())
        assert harness.violations and "answers nothing that was asked" in harness.violations[0]


def test_two_replies_to_one_request_are_a_violation(tmp_path: Path) -> None:
    with client(tmp_path, f"{ECHO}\n{ECHO}") as harness:
        assert len(ask_all(harness, 10)) == 10
        harness.ask({"op": "sm3", "msg": "00"})
        assert harness.violations


def test_one_that_always_hangs_is_given_up(tmp_path: Path) -> None:
    with client(tmp_path, "time.sleep(60)", timeout_s=0.15) as harness:
        answers = ask_all(harness, 60)
    came = [a.came for a in answers.values()]
    assert len(came) == 60
    assert came.count(Came.HUNG) == 12
    assert came.count(Came.FAULT) == 48  # undecided, and not failed


@pytest.mark.parametrize(
    ("program", "what"),
    [
        ("", "ended before its hello: exit code 0"),
        ("import sys; sys.exit('no library')", "no library"),
        ("print('hello')", "is not a hello"),
        ("print('{}')", "is not a hello"),
        ('print(\'{"hello":"xc-sm-harness/2","name":"x","version":"1","operations":{"sm3":{}}}\')', "is not a hello"),
        ('print(\'{"hello":"xc-sm-harness/1","name":"x","version":"1","operations":{}}\')', "is not a hello"),
        ("import time; time.sleep(60)", "no hello within"),
    ],
)
def test_what_is_no_hello(program: str, what: str) -> None:
    with (
        HarnessClient(
            local([sys.executable, "-c", program]), start_timeout_s=1 if "sleep" in program else 30
        ) as harness,
        pytest.raises(ProtocolError) as error,
    ):
        _ = harness.hello
    assert what in str(error.value)


def test_another_hello_after_a_restart_is_a_violation(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    script = tmp_path / "h.py"
    script.write_text(
        HELLO.replace('"name": "x"', f'"name": "x" if not os.path.exists({str(mark)!r}) else "y"')
        + f"    open({str(mark)!r}, 'w').close()\n    os._exit(1)\n"
    )
    with HarnessClient(local([sys.executable, str(script)]), timeout_s=20) as harness:
        assert harness.ask({"op": "sm3", "msg": ""}).came is Came.DIED
        assert "another hello" in harness.violations[0]


def test_a_program_that_is_not_there() -> None:
    with HarnessClient(local(["/nowhere/harness"])) as harness, pytest.raises(XcError, match="could not be started"):
        _ = harness.hello


def test_an_early_end_of_asking_leaves_no_answer_behind(tmp_path: Path) -> None:
    with client(tmp_path, ECHO) as harness:
        for n, _ in harness.run((n, {"op": "sm3", "msg": f"{n:04x}"}) for n in range(1000)):
            if n > 3:
                break
        assert harness.ask({"op": "sm3", "msg": "aa"}).reply["digest"] == "aa"
        assert harness.violations == []
