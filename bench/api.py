"""Our API comparison and golang.org/x/exp/cmd/apidiff on the same pairs, interleaved: processor, clock, peak memory, verdicts.

Cold means: an empty build cache for apidiff, which compiles what it reads, and nothing kept of ours but the built reader.
Requirements are fetched beforehand for both. With a baseline, the old version was read before: apidiff's export data and our
snapshot, and the new version is the same.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.result import Result
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.goprograms import GOAPI, go_program
from pytest_xinchuang.tools.go import find_go

APIDIFF = "golang.org/x/exp/cmd/apidiff@v0.0.0-20261113113407-e3970619a1a4"
PAIRS = {
    "gmsm": ("github.com/emmansun/gmsm", "v0.40.1", "v0.41.0"),
    "pgx": ("github.com/jackc/pgx/v5", "v5.6.0", "v5.7.5"),
    "client-go": ("k8s.io/client-go", "v0.33.0", "v0.34.0"),
    "aws-sdk-go": ("github.com/aws/aws-sdk-go", "v1.54.20", "v1.55.8"),
}
ROUNDS = 3
LARGE = {"aws-sdk-go": 1, "client-go": 1}
XC = [sys.executable, "-m", "pytest_xinchuang.cli.entry", "api", "diff", "--offline", "--format", "json"]


@dataclass
class Run:
    """One process with its children: seconds of processor and clock, MiB at the peak of the largest process."""

    cpu: float
    wall: float
    peak: float
    code: int
    output: str


def _run(argv: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Run:
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(
            argv,
            cwd=cwd,
            env={**os.environ, **environment},
            stdout=out,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - start
        out.seek(0)
        text = out.read().decode(errors="replace")
    return Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, child.returncode, text)


def apidiff(cache: Cache) -> Path:
    """The program, built once into our cache."""
    place = cache.root / "bench" / "apidiff"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GOBIN": str(place.parent), "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
        with tempfile.TemporaryDirectory() as empty:
            done = subprocess.run(
                [find_go(), "install", APIDIFF], cwd=empty, env=environment, capture_output=True, text=True, check=False
            )
        if done.returncode:
            raise HostFault(f"apidiff does not build: {done.stderr.strip()[-300:]}")
    return place


class Pair:
    """Two versions of a module in writable directories, with everything that they need in the module cache."""

    def __init__(self, scratch: Path, module: str, old: str, new: str) -> None:
        self.module, self.scratch = module, scratch
        self.directories = {}
        with Sources(Cache(), ReadOptions()) as sources:
            for name, version in (("old", old), ("new", new)):
                source, _ = sources.download(module, version)
                target = scratch / name
                shutil.copytree(source, target, copy_function=shutil.copyfile)
                for directory, _, _ in os.walk(target):
                    Path(directory).chmod(0o755)
                environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
                subprocess.run(
                    [find_go(), "list", "-deps", "./..."],
                    cwd=target,
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    check=False,
                )
                self.directories[name] = target

    def _environment(self, gocache: str) -> dict[str, str]:
        path = f"{Path(find_go()).parent}:{os.environ['PATH']}"
        return {"GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOCACHE": gocache, "PATH": path}

    def peer(self, program: Path, gocache: str) -> tuple[list[Run], str]:
        """apidiff: export data of both versions, then the comparison."""
        runs = []
        for name in ("old", "new"):
            export = str(self.scratch / f"{name}.export")
            argv = [str(program), "-m", "-w", export, self.module]
            runs.append(_run(argv, self.directories[name], self._environment(gocache)))
        exports = [str(self.scratch / f"{name}.export") for name in ("old", "new")]
        runs.append(_run([str(program), "-m", *exports], self.scratch, self._environment(gocache)))
        return runs, runs[-1].output

    def peer_unchanged(self, program: Path, gocache: str) -> Run:
        """apidiff: the old version's export data against the old version."""
        argv = [str(program), "-m", str(self.scratch / "old.export"), self.module]
        return _run(argv, self.directories["old"], self._environment(gocache))

    def ours(self) -> Run:
        return _run([*XC, str(self.directories["old"]), str(self.directories["new"])], self.scratch, {})

    def ours_unchanged(self) -> Run:
        baseline = self.scratch / "old.jsonl"
        if not baseline.exists():
            argv = [*XC[:4], "snapshot", "--offline", str(self.directories["old"]), "--output", str(baseline)]
            _run(argv, self.scratch, {})
        return _run([*XC, str(baseline), str(self.directories["old"])], self.scratch, {})


def _incompatible(text: str) -> int:
    part = text.split("Compatible changes:")[0]
    return len(re.findall(r"^- ", part, re.M))


def measure(rounds: int = 0) -> Result:
    """Run every pair."""
    result = Result("api")
    cache = Cache()
    program = apidiff(cache)
    go_program(cache, GOAPI)  # built before the clock runs, as apidiff is
    for name, (module, old, new) in PAIRS.items():
        with tempfile.TemporaryDirectory() as scratch:
            pair = Pair(Path(scratch), module, old, new)
            seen: dict[str, list[Run]] = {}
            verdicts = {}
            for _ in range(rounds or LARGE.get(name, ROUNDS)):
                with tempfile.TemporaryDirectory() as gocache:
                    runs, text = pair.peer(program, gocache)
                    seen.setdefault("apidiff cold", []).append(_sum(runs))
                    warm, _ = pair.peer(program, gocache)
                    seen.setdefault("apidiff warm", []).append(_sum(warm))
                verdicts["apidiff"] = f"{_incompatible(text)} incompatible, exit {runs[-1].code}"
                ours = pair.ours()
                seen.setdefault("xc cold", []).append(ours)
                summary = json.loads(ours.output)["summary"] if ours.output else {}
                verdicts["xc"] = ", ".join(f"{v} {k}" for k, v in summary.items()) + f", exit {ours.code}"
                with tempfile.TemporaryDirectory() as gocache:
                    seen.setdefault("apidiff baseline", []).append(pair.peer_unchanged(program, gocache))
                seen.setdefault("xc baseline", []).append(pair.ours_unchanged())
            _tell(result, name, seen)
            result.notes += [f"{name}: {who}: {what}" for who, what in verdicts.items()]
    return result


def _sum(runs: Sequence[Run]) -> Run:
    return Run(sum(r.cpu for r in runs), sum(r.wall for r in runs), max(r.peak for r in runs), runs[-1].code, "")


def _tell(result: Result, name: str, seen: Mapping[str, Sequence[Run]]) -> None:
    medians: dict[tuple[str, str], float] = {}
    for who, runs in seen.items():
        medians[who, "cpu"] = result.add(f"{name}: {who}, processor", [r.cpu for r in runs], "s")
        medians[who, "wall"] = result.add(f"{name}: {who}, clock", [r.wall for r in runs], "s")
        medians[who, "peak"] = result.add(f"{name}: {who}, peak", [r.peak for r in runs], "MiB")
    goals = {
        "cold processor": ("xc cold", "apidiff cold", "cpu", "<= 0.5"),
        "baseline processor": ("xc baseline", "apidiff baseline", "cpu", "<= 0.1"),
        "cold processor, apidiff's build cache warm": ("xc cold", "apidiff warm", "cpu", "-"),
        "peak memory": ("xc cold", "apidiff cold", "peak", "<= 0.3" if name == "aws-sdk-go" else "-"),
    }
    for goal, (ours, theirs, what, limit) in goals.items():
        key = f"{name}: {goal}"
        result.ratios[key] = medians[ours, what] / medians[theirs, what]
        result.goals[key] = limit
