"""Runs in a sandbox, by the Python there: unpacks wheels into one directory and imports modules, one after the other.

It is given a file with {"wheels": [...], "modules": [...], "site": DIRECTORY, "seconds": N}, and adds lines to the file that
XC_PROBE names: "begin NAME", then "ok NAME" or "error NAME KIND MISSING TEXT", apart by tabs. Whatever ends the process ends
one import: another process goes on behind it.
"""

import importlib
import json
import os
import signal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path


def unpacked(wheel: str, site: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            top, _slash, inside = info.filename.partition("/")
            where, _slash, rest = inside.partition("/")
            if top.endswith(".data") and where in ("purelib", "platlib") and rest:
                info.filename = rest
            archive.extract(info, site)


def imported(names: list[str], seconds: int, say: Callable[..., None]) -> None:
    for name in names:
        say("begin", name)
        signal.alarm(seconds)
        try:
            importlib.import_module(name)
        except BaseException as error:
            missing = getattr(error, "name", None) or ""
            say("error", name, type(error).__name__, missing, str(error)[:400])
        else:
            say("ok", name)
        signal.alarm(0)


def main() -> None:
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    place = os.environ["XC_PROBE"]
    report = os.open(place, os.O_WRONLY | os.O_APPEND)

    def say(*words: str) -> None:
        text = "\t".join(" ".join(word.split()) for word in words)
        os.write(report, (text + "\n").encode("utf-8", "replace"))

    for wheel in asked["wheels"]:
        unpacked(wheel, asked["site"])
    sys.path.insert(0, asked["site"])
    say("ready", ".".join(map(str, sys.version_info[:3])))
    left = asked["modules"]
    while left:
        child = os.fork()
        if child == 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            for fd in range(3):
                os.dup2(nothing, fd)
            imported(left, asked["seconds"], say)
            os._exit(0)
        _pid, status = os.waitpid(child, 0)
        lines = Path(place).read_text(encoding="utf-8", errors="replace").splitlines()
        begun = [line.split("\t")[1] for line in lines if line.startswith("begin\t")]
        after = asked["modules"].index(begun[-1]) + 1 if begun else len(asked["modules"])
        if status:
            say("ended", begun[-1] if begun else "", str(status))
        left = asked["modules"][after:] if status or len(begun) < len(asked["modules"]) else []


if __name__ == "__main__":
    main()
