"""Generated code of two versions, with one client each: what a program and what data of one make of the other.

Run as a program: it reads a JSON list of directories (``old/``, ``new/``, ``client.py`` or ``client/client.py``, and
``client/next.py`` for a program of the new version) and writes the axes that break, in the same order.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def axes_of(directories: Sequence[Path]) -> list[list[str]]:
    """What breaks in each, found with protoc, its generated Python code, and the codec."""
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps([str(d) for d in directories]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found


def _forked(work: Callable[[], Any]) -> Any:
    """What ``work`` returns in a process of its own, whose pool of descriptors nobody else uses; an error as text."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            result: Any = (True, work())
        except BaseException as error:
            result = (False, repr(error))
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(result, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        result = pickle.load(pipe)
    os.waitpid(child, 0)
    return result


def _load(side: Path, client: Path) -> Any:
    from grpc_tools import protoc

    made = side / "made"
    made.mkdir(exist_ok=True)
    files = [p.relative_to(side).as_posix() for p in side.rglob("*.proto")]
    if protoc.main(["", f"-I{side}", f"--python_out={made}", *files]):
        raise AssertionError(f"protoc refuses {side}")
    sys.path[:0] = [str(made), str(client.parent)]
    return importlib.import_module(client.stem)


def _axes(directory: Path) -> list[str]:
    client = directory / "client.py"
    client = client if client.is_file() else directory / "client" / "client.py"
    later = directory / "client" / "next.py"
    old, new = directory / "old", directory / "new"

    def own(side: Path, program: Path) -> Any:
        module = _load(side, program)
        data = module.write()
        module.read(data)
        return data

    def reads(side: Path, program: Path, data: Any) -> None:
        _load(side, program).read(data)

    holds, written = _forked(lambda: own(old, client))
    assert holds, f"{directory}: the client is wrong with the old version: {written}"
    found = []
    now_holds, now = _forked(lambda: own(new, client))
    if not now_holds:
        found.append("source")
    if later.is_file():
        now_holds, now = _forked(lambda: own(new, later))
        assert now_holds, f"{directory}: next.py is wrong with the new version: {now}"
    if now_holds:
        program = later if later.is_file() else client
        there = _forked(lambda: reads(new, program, written))[0]
        back = _forked(lambda: reads(old, client, now))[0]
        if not (there and back):
            found.append("wire")
    return found


def main() -> None:
    """Answer for every directory on standard input."""
    for module in ("google.protobuf.json_format", "grpc_tools.protoc"):
        importlib.import_module(module)  # once, before the forks

    print(json.dumps([_axes(Path(d)) for d in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
