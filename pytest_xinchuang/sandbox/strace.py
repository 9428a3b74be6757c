"""Reads what qemu-user logs of system calls: which call got which answer, where that is certain."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_xinchuang.core.syscall_names import tables

_QUOTED = re.compile(r'"[^"]*"')
_TOKEN = re.compile(
    r"(?P<lacking>[0-9]{1,10}) Unknown syscall (?P<number>[0-9]{1,10})\b"
    r"|(?:(?P<thread>[0-9]{1,10}) )?\b(?P<name>[a-z_][a-z_0-9]*)\("
    r"|(?:^|(?<=\))) = (?P<answer>\S*(?: errno=\d+ \([^)]*\))?)"
)
_ENDS = frozenset({"exit", "exit_group"})
_SIGNAL_RETURNS = frozenset({"rt_sigreturn", "sigreturn"})
_MAY_NOT_RETURN = frozenset({"execve", "execveat"}) | _SIGNAL_RETURNS
MAKING = frozenset({"clone", "clone3", "fork", "vfork"})
"""Calls that make a process or a thread."""
OPENING = frozenset({"open", "openat", "openat2"})
"""Calls that open a file by its name."""
NOT_IMPLEMENTED = "-1 errno=38 (Function not implemented)"
_RESTORED = "-1 errno=513 "
"""qemu-user's own QEMU_ESIGRETURN (linux-user/generic/target_errno_defs.h), which the returns from signals alone answer."""

MOST_WAITING = 300
"""Calls that may wait at once; a sandbox has 256 processes and threads (``Limits.processes``)."""

ALWAYS_THERE = frozenset(
    {
        *("brk", "madvise", "mmap", "mprotect", "munmap"),
        *("close", "dup", "fcntl", "getcwd", "ioctl", "lseek", "openat"),
        *("pread64", "pwrite64", "read", "readv", "recvfrom", "sendto", "write", "writev"),
        *("epoll_ctl", "epoll_pwait", "epoll_wait", "poll", "ppoll", "pselect6"),
        *("clock_gettime", "clock_nanosleep", "gettimeofday", "nanosleep"),
        *("futex", "sched_getaffinity", "sched_yield", "set_tid_address", "wait4", "waitid"),
        *("kill", "rt_sigaction", "rt_sigprocmask", "rt_sigtimedwait", "sigaltstack", "tgkill"),
        *("getegid", "geteuid", "getgid", "getpid", "getppid", "gettid", "getuid", "uname"),
    }
)
"""Calls that runtimes make all the time, and wait in: every kernel of platforms.yaml and the emulator have them, so that ENOSYS
is not theirs."""


@dataclass(eq=False, slots=True)
class Call:
    """One system call of a traced run.

    Attributes:
        thread: its number; None where the log is torn before the call.
        name: or the number of a call that the emulator does not know.
        arguments: as they are logged.
        answer: as it is logged (``3``, ``-1 errno=2 (No such file or directory)``); None where there is none, or where it may
            be that of another call.
    """

    thread: int | None
    name: str
    arguments: str = ""
    answer: str | None = None

    @property
    def refused(self) -> bool:
        """Whether it certainly answered ENOSYS."""
        return self.errno == 38

    @property
    def returned(self) -> int | None:
        """What it answered, where that is a number alone."""
        return as_number(self.answer or "")

    @property
    def errno(self) -> int | None:
        """The number of the error that it certainly answered."""
        found = re.search(r"errno=([0-9]{1,5})\b", self.answer or "")
        return int(found.group(1)) if found else None

    def __str__(self) -> str:
        return f"{self.name}({self.arguments}" + (f" = {self.answer}" if self.answer is not None else "")


@dataclass(eq=False, slots=True)
class _Answer:
    text: str
    waiting: set[_Waiting]


@dataclass(eq=False, slots=True)
class _Waiting:
    """A call whose answer is not known yet.

    Attributes:
        answers: those of which one may be its.
        returned: its thread has made another call since.
        child: of a call that makes a process: the new one's end of it.
        parent: of the new process's end: the call.
    """

    call: Call
    answers: set[_Answer] = field(default_factory=set)
    returned: bool = False
    child: _Waiting | None = None
    parent: _Waiting | None = None

    @property
    def key(self) -> object:
        return self if self.call.thread is None else self.call.thread

    def takes(self, text: str) -> bool:
        """Whether it can be answered so."""
        if not text:  # torn from the line
            return True
        if self.parent is not None or self.call.name in MAKING:
            # What makes a process answers 0 to the new one, and never to the old one.
            return (text == "0") is (self.parent is not None)
        if text.startswith(_RESTORED) or self.call.name in _SIGNAL_RETURNS:
            return text.startswith(_RESTORED) and self.call.name in _SIGNAL_RETURNS
        if text != NOT_IMPLEMENTED or self.call.name not in ALWAYS_THERE:
            return True
        # An operation that is not known is refused with ENOSYS too (futex(2)).
        return self.call.name == "futex" and "FUTEX_" not in self.call.arguments


class _Pairing:
    """Finds whose an answer is.

    qemu-user logs a call when it begins and its answer when it ends, without the thread. An answer belongs to one of the calls
    that wait when it comes, and a thread that makes its next call has had its answer. What follows from these two is certain;
    what does not is left open, as the order of the lines proves nothing.
    """

    def __init__(self) -> None:
        self._lost = False
        self._waiting: dict[object, _Waiting] = {}
        self._seen: set[int] = set()

    def begins(self, call: Call) -> None:
        waiting = _Waiting(call)
        self.returns(waiting.key)
        if self._lost:
            return
        if call.thread is not None:
            self._seen.add(call.thread)
        if call.name in _ENDS:
            return
        self._waiting[waiting.key] = waiting
        if call.name in MAKING and not re.search(r"CLONE_VM\b(?!.*CLONE_VFORK)", call.arguments):
            waiting.child = _Waiting(Call(None, call.name), parent=waiting)
            self._waiting[waiting.child.key] = waiting.child

    def returns(self, key: object) -> None:
        """A thread is back from its call, whatever that answered."""
        if (former := self._waiting.pop(key, None)) is not None:
            former.returned = former.call.name not in _MAY_NOT_RETURN
            self._settle({former})

    def answers(self, text: str) -> None:
        if len(self._waiting) > MOST_WAITING:
            # More than a sandbox lets run: the log is torn, or made to burst us. Whose an answer is can be known no more.
            self._lost = True
            self._waiting.clear()
        if self._lost:
            return
        if len(self._waiting) == 1:
            ((key, only),) = self._waiting.items()
            if not only.answers and only.child is None and only.takes(text):
                only.call.answer = text
                del self._waiting[key]
                return
        answer = _Answer(text, {w for w in self._waiting.values() if w.takes(text)})
        for waiting in answer.waiting:
            waiting.answers.add(answer)
        if len(answer.waiting) == 1:
            self._settle(set(answer.waiting))

    def _settle(self, changed: set[_Waiting]) -> None:
        """Give a call its answer where there is one left, and see what that leaves to others."""
        while changed:
            waiting = changed.pop()
            if len(waiting.answers) != 1:
                continue
            (answer,) = waiting.answers
            if not waiting.returned and len(answer.waiting) > 1:
                continue
            waiting.call.answer = answer.text
            changed |= self._drop(waiting)
            for other in answer.waiting:
                other.answers.discard(answer)
            answer.waiting.clear()
            if waiting.child is not None:
                changed |= self._born(waiting.child, answer.text)

    def _drop(self, waiting: _Waiting) -> set[_Waiting]:
        """It waits no more: those that may have one of its answers now."""
        if self._waiting.get(waiting.key) is waiting:
            del self._waiting[waiting.key]
        left: set[_Waiting] = set()
        for answer in waiting.answers:
            answer.waiting.discard(waiting)
            left |= answer.waiting
        waiting.answers.clear()
        return left

    def _born(self, child: _Waiting, answer: str) -> set[_Waiting]:
        """The number of a new process is known, or that there is none."""
        if not re.fullmatch("[0-9]{1,10}", answer):
            return self._drop(child)
        if self._waiting.get(child.key) is child:
            del self._waiting[child.key]
            child.call.thread = int(answer)
            child.returned = child.call.thread in self._seen
            if not child.returned:
                self._waiting[child.key] = child
        return {child}


def as_number(word: str) -> int | None:
    """A number as it is logged, in any base; None: it is none."""
    with contextlib.suppress(ValueError):
        return int(word, 0)
    return None


def has_flag(word: str, name: str, bit: int) -> bool:
    """Whether an argument has a flag, which is logged by its name or in a number."""
    return name in word.split("|") or bool((as_number(word) or 0) & bit)


@functools.cache
def _names() -> frozenset[str]:
    return frozenset(name for table in tables().values() for name in table)


def read_calls(lines: Iterable[str]) -> tuple[Call, ...]:
    """The calls of a log, in the order in which they began. Lines of the program's own are passed over."""
    calls = []
    pairing = _Pairing()
    for line in lines:
        # What is within quotes is the program's.
        masked = _QUOTED.sub(_mask, line) if '"' in line else line
        tokens = list(_TOKEN.finditer(masked))
        for number, token in enumerate(tokens, 1):
            if token.lastgroup == "answer":
                pairing.answers(token["answer"])
            elif token.lastgroup == "number":
                pairing.returns(int(token["lacking"]))
                calls.append(Call(int(token["lacking"]), token["number"], answer=NOT_IMPLEMENTED))
            elif token["thread"] is not None or token["name"] in _names():
                arguments = line[token.end() : tokens[number].start() if number < len(tokens) else None]
                calls.append(Call(int(token["thread"]) if token["thread"] else None, token["name"], arguments))
                pairing.begins(calls[-1])
    return tuple(calls)


def _mask(quoted: re.Match[str]) -> str:
    return '"' + "x" * (len(quoted.group()) - 2) + '"'
