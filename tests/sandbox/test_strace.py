"""Which call an answer in qemu-user's log belongs to, and where that is not certain."""

from __future__ import annotations

import itertools
import random

import pytest

from pytest_xinchuang.core.kernel_calls import LATE_CALLS, UNSURE
from pytest_xinchuang.sandbox.emulators import lacking_calls
from pytest_xinchuang.sandbox.strace import ALWAYS_THERE, Call, read_calls

ENOSYS = "-1 errno=38 (Function not implemented)"


def answers(text: str) -> dict[str, str | None]:
    return {f"{c.thread} {c.name}": c.answer for c in read_calls(text.splitlines())}


def test_a_log_of_one_thread() -> None:
    first, second, third = read_calls(
        [
            '7 openat(AT_FDCWD,"a (b) = 5",O_RDONLY) = 3',
            f"7 openat2(-100,0x1,0x2,24) = {ENOSYS}",
            "noise = 5",
            "7 exit_group(0)",
        ]
    )
    assert str(first) == 'openat(AT_FDCWD,"a (b) = 5",O_RDONLY) = 3' and first.errno is None and not first.refused
    assert second.refused and (second.thread, second.errno) == (7, 38)
    assert str(third) == "exit_group(0)" and third.answer is None


def test_a_thread_that_waits_does_not_take_the_answer_of_another() -> None:
    """As a Go program logs it: the line begins with the call of a thread that sleeps."""
    text = f"17 futex(0x10,0)13 io_setup(8,1) = {ENOSYS}\n13 write(1,0x1,4) = 4\n13 exit_group(1)\n"
    found = answers(text)
    assert found["13 io_setup"] == ENOSYS and found["17 futex"] is None
    # What it answers in the end is known, as nothing else is left.
    assert answers(f"{text} = 0\n17 exit(0)\n")["17 futex"] == "0"
    # The order of the lines proves nothing: here the sleeper's answer came first.
    found = answers(f"17 futex(0x10,0)13 io_setup(8,1) = 0\n17 close(1) = 0\n = {ENOSYS}\n17 exit(0)\n13 exit(0)\n")
    assert found["17 futex"] == "0"


def test_what_is_not_certain_is_left_open() -> None:
    """Both threads wait at both answers, and go on after them."""
    text = f"16 statx(1)13 openat2(2) = {ENOSYS}\n = 0\n16 close(1) = 0\n13 close(2) = 0\n16 exit(0)\n13 exit(0)\n"
    found = answers(text)
    assert (found["16 statx"], found["13 openat2"]) == (None, None)
    assert (found["16 close"], found["13 close"]) == ("0", "0")


def test_a_child_answers_a_call_that_it_never_made() -> None:
    made = f"7 clone(0x11) = 8\n7 openat2(1) = 0\n = {ENOSYS}\n"
    # The child's 0 came in between; without the child's next call, it may be still to come, and the 0 be its parent's.
    assert answers(made + "8 close(1) = 0\n7 exit(0)\n8 exit(0)\n")["7 openat2"] == ENOSYS
    assert answers(made + "7 exit(0)\n")["7 openat2"] is None
    # It may also call before its parent is back.
    early = f"7 clone(0x11) = 0\n8 openat2(1) = {ENOSYS}\n8 exit(0)\n = 8\n7 wait4(8) = 8\n7 exit(0)\n"
    assert answers(early)["8 openat2"] == ENOSYS and answers(early)["7 clone"] == "8"
    early = early.replace("8 exit(0)\n = 8\n", " = 8\n8 exit(0)\n")
    assert answers(early)["8 openat2"] is None  # clone's, for all that the lines tell


def test_a_thread_has_no_answer_of_its_own() -> None:
    text = f"7 clone(CLONE_VM|CLONE_THREAD,0x1) = 8\n7 close(1) = 0\n8 openat2(1) = {ENOSYS}\n7 exit(0)\n8 exit(0)\n"
    assert answers(text)["7 close"] == "0" and answers(text)["8 openat2"] == ENOSYS
    failed = "7 clone(0x11) = -1 errno=11 (Resource temporarily unavailable)\n7 close(1) = 0\n"
    assert answers(failed)["7 close"] == "0"


def test_calls_that_are_always_there_are_not_refused() -> None:
    """A Go program's threads sleep beside the one that works."""
    sleep = "17 futex(0x10,FUTEX_PRIVATE_FLAG|FUTEX_WAIT,0)16 nanosleep(0x1,0)"
    text = f"{sleep}13 io_setup(8,1) = {ENOSYS}\n = 0\n = 0\n13 close(1) = 0\n"
    assert answers(text)["13 io_setup"] == ENOSYS
    # But for an operation that is not known.
    assert answers(text.replace("FUTEX_PRIVATE_FLAG|FUTEX_WAIT", "0x63"))["13 io_setup"] is None
    # A return from a signal says so, and nothing else does.
    text = "13 rt_sigreturn(0)14 read(1) = -1 errno=513 (Successful exit from sigreturn)\n = 5\n"
    assert answers(text)["14 read"] == "5"
    late = lacking_calls() | LATE_CALLS.keys() | {name for names in UNSURE.values() for name in names}
    assert not ALWAYS_THERE & late


def test_calls_that_do_not_return_take_no_answer() -> None:
    text = f'8 execve("/bin/x",{{"x",NULL}})9 openat2(1) = {ENOSYS}\n8 brk(NULL) = 0x10\n9 exit(0)\n8 exit(0)\n'
    assert answers(text) == {"8 execve": None, "9 openat2": ENOSYS, "8 brk": "0x10", "9 exit": None, "8 exit": None}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        " = ",
        " = 5",
        "7 ",
        "7 read(",
        "= -1 errno=38",
        ") = 3",
        '7 open("',
        "7 Unknown syscall",
        "\x00\x01(",
        "read",
    ],
)
def test_broken_lines_answer_nothing(text: str) -> None:
    assert all(call.answer is None for call in read_calls([text]))


def test_a_call_is_torn_from_its_thread() -> None:
    first, second = read_calls(['7 8 execve("/bin/x",{NULL})statx(1,2) = 0'])
    assert (first.thread, first.name, second.thread, second.name) == (8, "execve", None, "statx")
    # "inet_addr(" is no call, nor is what a program writes.
    assert [c.name for c in read_calls(["7 bind(3,{inet_addr(1)},16) = 0", "panic: open_it(1)"])] == ["bind"]


def interleaved(processes: int, calls: int, seed: int) -> tuple[list[str], list[Call]]:
    """A log of processes at once, some of which make others, and what their calls really answered."""
    chance = random.Random(seed)
    truth: list[Call] = []
    waiting: dict[int, Call] = {}
    left = dict.fromkeys(range(1, processes + 1), calls)
    born: set[int] = set()
    numbers = itertools.count(10)
    text = ""
    while left:
        process = chance.choice(sorted(left))
        if process in born:
            born.discard(process)
            text += " = 0\n"
        elif (call := waiting.pop(process, None)) is not None:
            child = next(numbers)
            can = {"fork": [str(child), ENOSYS], "read": ["0", "9"]}.get(call.name, ["0", "9", ENOSYS])
            call.answer = chance.choice(can)
            if call.answer == str(child):
                left[child] = 2
                born.add(child)
            text += f" = {call.answer}\n"
        else:
            left[process] -= 1
            name = "exit" if left[process] < 0 else chance.choice(["read", "openat2", "statx", "fork"])
            truth.append(Call(process, name))
            text += f"{process} {name}()"
            if name == "exit":
                del left[process]
                text += "\n"
            else:
                waiting[process] = truth[-1]
    return text.splitlines(), truth


@pytest.mark.parametrize("processes", range(1, 6))
def test_what_is_told_is_true(processes: int) -> None:
    for seed in range(100):
        lines, truth = interleaved(processes, 10, seed)
        found = read_calls(lines)
        assert [(c.thread, c.name) for c in found] == [(c.thread, c.name) for c in truth]
        told = [(seen.answer, real.answer) for seen, real in zip(found, truth, strict=True) if seen.answer is not None]
        assert all(seen == real for seen, real in told), seed
        assert told


def test_without_others_everything_is_told() -> None:
    text = "".join(f"7 read({n}) = {n}\n" for n in range(9)) + "7 exit(0)"
    assert [c.answer for c in read_calls(text.splitlines())] == [*map(str, range(9)), None]


def test_a_call_is_what_was_logged() -> None:
    assert str(Call(1, "read", "3,0x1,5)", "5")) == "read(3,0x1,5) = 5"
