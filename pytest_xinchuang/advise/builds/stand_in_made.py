"""Starts what a build has made and now runs: where this host can, and else what it is compiled of is compiled for this host.

A part of ``stand_in.py``, which loads it where a program is started, with its own names in place. It uses the standard library
alone and imports nothing of this package.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pytest_xinchuang.advise.builds.stand_in import MARK, Call, note, plain_of, run, without


def started(guise: dict[str, Any], _name: str, words: list[str]) -> int:
    """A program that the build has made and now starts: run where the host can."""
    path = words[0] if words else ""
    try:
        with open(path, encoding="utf-8") as file:
            file.readline()
            told = json.loads(file.readline())
    except (OSError, ValueError):
        told = {"elf": path}
    program = told.get("elf")
    if program is None:
        program = made_for_host(guise, told, path)
    elif not guise["host"]:
        program = None
    note(guise, t="started", n=path, c=None if program else 126)
    if program is None:
        sys.stderr.write(f"{path}: ENOEXEC\n")
        return 126
    os.execv(program, [path, *words[1:]])
    return 127


def made_for_host(guise: dict[str, Any], told: dict[str, Any], path: str) -> str | None:
    """Compile for this host what a build has made of its own sources, in order to run it; None: that fails.

    What generators write is taken for the same on both machines: it is a help to get on, and the log says that it happened.
    """
    out = f"{guise['state']}/{hashlib.sha256(os.path.abspath(path).encode()).hexdigest()[:24]}.host"
    if os.path.exists(out):
        return out
    link = Call(told["a"], told["x"])
    calls: list[dict[str, Any]] = [told | {"s": name} for name, _ in link.sources]
    for name, language in link.inputs:
        if language is None:
            calls += calls_in(os.path.join(told["d"], name))
    if any(c["x"] for c in calls) or told["x"]:
        return None
    objects, here = list[str](), os.getcwd()
    for index, call in enumerate(calls):
        objects.append(f"{out}.{index}.o")
        flags = [w for w in Call(call["a"], cxx=False).flags if w not in ("-MD", "-MMD", "-MP") and not plain_of(w)]
        flags = [w for w in without(flags, ("-MF", "-MT", "-MQ")) if not w.startswith(("-Wl,", "-l", "-L", "-m"))]
        argv = [guise["zig"], "cc", "-target", guise["host_target"], "-O2", "-s", "-w", *flags]
        argv += ["-c", call["s"], "-o", objects[-1]]
        os.chdir(call["d"])
        failed = run(argv, quiet=True)
        os.chdir(here)
        if failed:
            return None
    libraries = [w for w in link.flags if w.startswith("-l")]
    argv = [guise["zig"], "cc", "-target", guise["host_target"], "-O2", "-s", *objects, *libraries, "-o", out]
    return None if run(argv, quiet=True) else out


def calls_in(path: str) -> list[dict[str, Any]]:
    """The calls behind an object, or behind each member of an archive."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return []
    found = []
    for piece in data.split(MARK)[1:]:
        try:
            found.append(json.JSONDecoder().raw_decode(piece.decode(errors="replace"))[0])
        except ValueError:
            continue
    return found
