"""What an image starts: its program, what runs that where it is a script, and what of all this is not in the image.

Sources: Linux, fs/binfmt_script.c and fs/exec.c; execve(2); env(1) of GNU coreutils; OCI Image Format Specification 1.1,
Image Configuration.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pytest_xinchuang.inspect import shell
from pytest_xinchuang.inspect.delivery import SEARCHED, Root
from pytest_xinchuang.inspect.formats.elsewhere import LINE
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.script_words import Variables, constant, expanded
from pytest_xinchuang.inspect.shell import Unreadable
from pytest_xinchuang.messages import Message, _, verbatim

CHAIN = 5
"""Scripts that may run one another (Linux, fs/exec.c, exec_binprm: ELOOP beyond)."""

SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh", "busybox"})
"""Shells, which take a carriage return among their options for one that they do not know."""


@dataclass(frozen=True)
class Fault:
    """Why a script does not start.

    Attributes:
        script: its path, or the command of the shell's form.
    """

    script: str
    why: Message


@dataclass
class Startup:
    """What is started.

    Attributes:
        programs: the objects that run, in the order in which the kernel comes to them.
        lacking: the program itself, where it is not in an image whose layers are all there.
        faults: what keeps it from starting, where it is a script or a command of the shell's form.
    """

    programs: list[ElfRecord] = field(default_factory=list)
    lacking: str = ""
    faults: list[Fault] = field(default_factory=list)


def startup_of(root: Root) -> Startup:
    """What an image starts; nothing where it does not say so, or is none."""
    found = Startup()
    if root.start.words:
        _started(root, root.start.words, found, shells=1)
    return found


def _started(root: Root, words: Sequence[str], found: Startup, *, shells: int) -> None:
    path = next((p for each in _looked_for(root, words[0]) if (p := root.resolve(each)) is not None), None)
    if path is not None:
        _run(root, path, found)
    elif root.whole and tuple(words[:2]) == ("/bin/sh", "-c"):
        why = _(
            "the shell's form of a command needs {interpreter}, which is not in the image",
            interpreter=verbatim(words[0]),
        )
        found.faults.append(Fault(" ".join(words[2:3]), why))
    elif root.whole:
        found.lacking = words[0]
    if shells and posixpath.basename(words[0]) in SHELLS and words[1:2] == ("-c",) and len(words) > 2:
        inner = _only_command(words[2])
        if inner:
            _started(root, inner, found, shells=shells - 1)


def _looked_for(root: Root, program: str) -> Iterator[str]:
    """Where a program may be: along ``PATH`` for a name without a slash, else in the working directory."""
    if "/" in program:
        yield posixpath.join("/", root.start.directory, program)
        return
    for each in root.start.environment.get("PATH", SEARCHED).split(":"):
        yield posixpath.join(each, program)


def _only_command(text: str) -> tuple[str, ...]:
    """The words of a shell's text that is one command whose words are constants; none for any other."""
    try:
        part = shell.read_script(text)
    except (Unreadable, RecursionError):
        return ()
    while isinstance(part, shell.Sequence) and len(part.parts) == 1:
        part = part.parts[0]
    if not isinstance(part, shell.Command) or part.assigned:
        return ()
    words = [word for raw in part.words for word in expanded(raw, Variables())]
    words = words[1:] if words[:1] == ["exec"] else words
    return tuple(words) if words and constant(words[0]) and "/" in words[0] else ()


def _run(root: Root, path: str, found: Startup) -> None:
    """Follow what the kernel runs for a file."""
    for _turn in range(CHAIN + 1):
        record = root.files.get(path)
        if record is not None:
            found.programs.append(record)
            return
        line = root.scripts.get(path)
        if line is None:
            return  # of no kind that is known here
        following = _interpreter(root, path, line, found)
        if following is None:
            return
        path = following
    found.faults.append(Fault(f"/{path}", _("scripts run one another beyond what the kernel follows")))


def _interpreter(root: Root, path: str, line: bytes, found: Startup) -> str | None:
    """The file that runs a script; None where there is none, which is told."""

    def fault(why: Message) -> None:
        if root.whole:
            found.faults.append(Fault(f"/{path}", why))

    if not line.startswith(b"#!"):
        fault(_("it has no first line that names an interpreter: the kernel says 'exec format error'"))
        return None
    name, argument = interpreter_of(line)
    if not name:
        fault(_("its first line names no interpreter"))
        return None
    named = root.resolve(posixpath.join("/", root.start.directory, name))
    if named is None:
        if name.endswith("\r"):
            why = _(
                "its first line ends with a carriage return, which belongs to the name of its interpreter: {interpreter}",
                interpreter=verbatim(name.replace("\r", "\\r")),
            )
        else:
            why = _("its first line names {interpreter}, which is not in the image", interpreter=verbatim(name))
        fault(why)
        return None
    last = posixpath.basename(name)
    if last in SHELLS and argument.endswith("\r"):
        fault(
            _(
                "its first line ends with a carriage return, which {interpreter} takes for an option",
                interpreter=verbatim(name),
            )
        )
    if last != "env" or not argument:
        return named
    program = _program_of_env(argument)
    if program is None:
        return named
    if (record := root.files.get(named)) is not None:
        found.programs.append(record)  # env itself
    there = next((p for each in _looked_for(root, program) if (p := root.resolve(each)) is not None), None)
    if there is None:
        shown = verbatim(program.replace("\r", "\\r"))
        fault(
            _(
                "its first line has env look for {interpreter}, which is on no directory of PATH in the image",
                interpreter=shown,
            )
        )
    return there


def interpreter_of(line: bytes) -> tuple[str, str]:
    """The interpreter and the one argument that a script's first line names; empty where it names none.

    Args:
        line: the beginning of the script, with ``#!``.
    """
    text = line[2:LINE].split(b"\n")[0].decode(errors="replace").strip(" \t")
    whole = b"\n" in line[:LINE] or len(line) < LINE
    name = text.replace("\t", " ").partition(" ")[0].partition("\0")[0]
    if not whole and name == text:
        return "", ""  # the kernel runs no name that was cut off
    return name, text[len(name) :].strip(" \t")


def _program_of_env(argument: str) -> str | None:
    """The program that env looks for when a script's first line hands it one argument; None where that is not known."""
    if not argument.startswith("-"):
        return None if "=" in argument else argument  # one word, spaces and all
    for option in ("-S", "--split-string=", "-vS"):
        if argument.startswith(option):
            try:
                words = shlex.split(argument[len(option) :])
            except ValueError:
                return None
            # Options of env's own and assignments go before the program.
            return next((word for word in words if not word.startswith("-") and "=" not in word), None)
    return None
