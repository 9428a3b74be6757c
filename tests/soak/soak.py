"""Runs that are disturbed, one after the other, and what is looked at after each."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.grade import grade_run
from pytest_xinchuang.core.journal import read_journal
from pytest_xinchuang.provision.cache import Cache
from tests.soak import product
from tests.soak.faults import SHIM, Fault, descendants, faults, kill

HANGS_S = 180.0
"""Seconds after which a run is said to hang: forty times what one takes on an idle machine."""
GRACE_S = 15.0
"""Seconds that what a killed run has left may take to end by itself."""
PLATFORM = "kunpeng"
PR_SET_CHILD_SUBREAPER = 36
"""prctl(2): orphans below this process become its children, so that none is missed."""


@dataclass
class Count:
    """What was seen.

    Attributes:
        tried: by fault and backend. struck: of these, those in which the fault found something to disturb.
        wrong: every breach, in words.
    """

    tried: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Soak:
    """Disturbs runs of one backend in a directory of its own."""

    def __init__(self, directory: Path, backend: str, chance: random.Random) -> None:
        self.directory, self.backend, self.chance = directory, backend, chance
        self.count = Count()
        self.scratch = directory / "scratch"
        self.scratch.mkdir(parents=True)
        self.cache = directory / "cache"
        _copy_cache(Cache().root, self.cache)
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.faults = faults(backend, _shim(directory))
        self.length_s = self._undisturbed(directory / "first")
        self._cache = self._cached()
        self._mounts = _mounts()

    def _undisturbed(self, place: Path) -> float:
        started = time.monotonic()
        product.write(place)
        self._is_right(place, self._wait(self._start(place, self._pytest(0), {})))
        if self.count.wrong:
            raise SystemExit("an undisturbed run is not right: " + "; ".join(self.count.wrong))
        return time.monotonic() - started

    def _pytest(self, workers: int, report: str = ".xc") -> list[str]:
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
        words += [f"--xc-platform={PLATFORM}", "--xc-suite=none", "--xc-profile=government-portal"]
        words += [f"--xc-backend={self.backend}", f"--xc-report={report}"]
        return [*words, *(["-n", str(workers)] if workers else [])]

    def _start(self, place: Path, words: Sequence[str], changes: Mapping[str, str]) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "TMPDIR": str(self.scratch), "XC_CACHE": str(self.cache), **changes}
        with (place / "said.txt").open("ab") as said:
            return subprocess.Popen(words, cwd=place, env=environment, stdout=said, stderr=said, start_new_session=True)

    def _wait(self, process: subprocess.Popen[bytes]) -> int | None:
        """Its exit status; None: it hangs, and was killed."""
        try:
            return process.wait(HANGS_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None

    def disturb(self, number: int) -> None:
        """One fault, what the run says of itself, and the run after it."""
        fault = self.faults[number % len(self.faults)]
        name = f"{fault.name} ({self.backend})"
        place = self.directory / "place"
        shutil.rmtree(place, ignore_errors=True)
        product.write(place)
        self.count.tried[name] += 1
        before = len(self.count.wrong)
        end, struck = self._disturbed(fault, place)
        self.count.struck[name] += struck
        self.count.ends[f"{fault.name}: {end}"] += 1
        self._is_not_too_good(place / ".xc", end, name)
        shutil.rmtree(place / "other", ignore_errors=True)
        if fault.target == "dockerd":
            _wait_for_docker()
        self._is_right(place, self._wait(self._start(place, self._pytest(0), {})))
        self._left_over()
        self.count.wrong[before:] = [f"{name}: {wrong}" for wrong in self.count.wrong[before:]]
        if len(self.count.wrong) > before:
            shutil.copytree(place, self.directory / f"kept-{number}", symlinks=True, dirs_exist_ok=True)

    def _disturbed(self, fault: Fault, place: Path) -> tuple[int | None, bool]:
        words = self._pytest(fault.workers)
        changes = {key: value.format(scratch=self.scratch) for key, value in fault.environment.items()}
        if "SOAK_JUMP_S" in changes:
            changes["SOAK_BEGUN"] = str(int(time.monotonic() + self.chance.uniform(0, self.length_s)))
        if fault.wrap:
            report = place / ".xc"
            report.mkdir(exist_ok=True)
            full = self.scratch if "TMPDIR" in fault.environment else report
            size = 4096 * self.chance.choice([1, 2, 4, 8, 16])
            script = fault.wrap.format(place=full, size=size, inodes=self.chance.randrange(2, 6))
            words = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", *words]
        if fault.name == "out of memory":
            limit = self.chance.choice([64, 128, 256, 384]) << 20
            words = ["prlimit", f"--as={limit}", *words]
        if fault.unprivileged:
            place.chmod(0o777)
            words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *words]
            changes |= {"HOME": str(place)}
        process = self._start(place, words, changes)
        struck = True
        if fault.twice:
            self._wait(self._start(place, self._pytest(0), {}))
        elif fault.target:
            time.sleep(self.chance.uniform(0, self.length_s))
            struck = False
            while not struck and process.poll() is None:
                struck = kill(process.pid, fault.target, self.chance)
        return self._wait(process), struck

    def _is_not_too_good(self, report: Path, end: int | None, name: str) -> None:
        if end is None:
            self.count.wrong.append("the run hangs")
        if end == 0:
            self.count.wrong.append("exit status 0, and the profile asks for more than the product has")
        with contextlib.suppress(OSError, ValueError):
            self._judge(json.loads((report / "report.json").read_text()), "report.json")
        with contextlib.suppress(XcError):
            run = grade_run(read_journal(report / "journal.ndjson"))
            found: dict[str, list[dict[str, Any]]] = {
                "grades": [{"level": grade.level} for grade in run.grades],
                "requirements": [{"id": r.id, "verdict": r.verdict.value} for r in run.requirements],
            }
            self._judge(found, "its journal")

    def _judge(self, report: Mapping[str, list[dict[str, Any]]], where: str) -> None:
        for grade in report["grades"]:
            if grade["level"] not in (None, "L0", product.LEVEL):
                self.count.wrong.append(f"{where} grants {grade['level']}")
        for requirement in report["requirements"]:
            if requirement["verdict"] == "pass" and product.RIGHT[requirement["id"]] != "pass":
                self.count.wrong.append(f"{where} passes {requirement['id']}")
            if requirement["verdict"] == "fail" and product.RIGHT[requirement["id"]] != "fail":
                self.count.wrong.append(f"{where} fails {requirement['id']}, which is kept")

    def _is_right(self, place: Path, end: int | None) -> None:
        """The run after a fault: its grade, verdicts and exit status are those of the product."""
        try:
            report = json.loads((place / ".xc/report.json").read_text())
            found = {r["id"]: r["verdict"] for r in report["requirements"]}
            level = [grade["level"] for grade in report["grades"]]
        except (OSError, ValueError):
            found, level = {}, []
        if found != product.RIGHT or level != [product.LEVEL] or end in (0, None):
            self.count.wrong.append(f"the next run says {level} {found}, exit status {end}")

    def _left_over(self) -> None:
        deadline = time.monotonic() + GRACE_S
        while (left := self._leftovers()) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.count.wrong += [f"left over: {one}" for one in left]
        if left:
            self._cache, self._mounts = self._cached(), _mounts()

    def _leftovers(self) -> list[str]:
        _reap()
        found = [f"process {line[:120]}" for _pid, line in descendants(os.getpid()) if not _is_of_docker(line)]
        found += [f"temporary {path.name}" for path in self.scratch.iterdir() if not path.name.startswith("pytest-of-")]
        found += [f"mount {line}" for line in _mounts() - self._mounts if str(self.directory) in line]
        found += [f"in the cache: {path}" for path in self._cached() - self._cache]
        return found + [f"container {name}" for name in _containers(self.backend)]

    def _cached(self) -> frozenset[str]:
        places = [self.cache / "tmp", self.cache / "system"]
        return frozenset(str(path) for place in places if place.is_dir() for path in place.iterdir())


def _copy_cache(source: Path, target: Path) -> None:
    """A cache of the soak's own, with what its platform needs: others may be at work in the user's."""
    for path in source.glob("entries/*/*"):
        if "+" not in path.name and ("arm64" in path.name or "emulator" in path.parent.name):
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", "--reflink=auto", str(path), str(place)], check=True)
    for name in ("digests", "maps"):
        if (source / name).is_dir():
            subprocess.run(["cp", "-a", str(source / name), str(target / name)], check=True)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _mounts() -> frozenset[str]:
    return frozenset(Path("/proc/self/mounts").read_text().splitlines())


def _containers(backend: str) -> Iterator[str]:
    if backend == "docker":
        import docker

        for container in docker.from_env(timeout=30).containers.list(all=True, filters={"label": "pytest-xinchuang"}):
            yield str(container.name)


def _is_of_docker(line: str) -> bool:
    """Whether a process is the Docker Engine's, which the soak starts again and its own child is. Containers are listed."""
    return Path(line.partition(" ")[0]).name in ("dockerd", "containerd", "containerd-shim-runc-v2")


def _wait_for_docker() -> None:
    """Start the Docker Engine again when a fault has ended it."""
    import docker

    for _attempt in range(60):
        _reap()  # a new engine waits for the containerd that it had, for ever where that is a zombie
        try:
            docker.from_env(timeout=5).ping()
            return
        except docker.errors.DockerException:
            if not any("dockerd" in line.split(" ")[0] for _pid, line in descendants(1)):
                Path("/var/run/docker.pid").unlink(missing_ok=True)
                subprocess.Popen(
                    ["dockerd"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
                )
            time.sleep(1)


def _shim(directory: Path) -> Path | None:
    """The library that makes the clock on the wall jump, where a compiler is here."""
    source, out = directory / "shim.c", directory / "shim.so"
    source.write_text(SHIM)
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    done = subprocess.run([compiler, "-shared", "-fPIC", "-o", str(out), str(source), "-ldl"], check=False)
    return out if done.returncode == 0 else None


def main(words: Sequence[str]) -> int:
    """``scripts/soak``: exit status 0 where nothing was wrong."""
    import argparse

    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--number", type=int, default=1000, help="faults in all (default: 1000)")
    parser.add_argument("--backend", default="qemu,docker,system", help="backends, shared out evenly")
    parser.add_argument("--seed", type=int, default=None, help="of an earlier soak, to have it again")
    given = parser.parse_args(words)
    seed = given.seed if given.seed is not None else int.from_bytes(os.urandom(4))
    backends = given.backend.split(",")
    wrong: list[str] = []
    print(f"seed {seed}")
    for backend in backends:
        with tempfile.TemporaryDirectory(prefix="xc-soak-") as name:
            soak = Soak(Path(name), backend, random.Random(seed))
            number = given.number // len(backends)
            for one in range(number):
                before = len(soak.count.wrong)
                soak.disturb(one)
                for breach in soak.count.wrong[before:]:
                    print(f"  WRONG {breach}", flush=True)
                if (one + 1) % 25 == 0:
                    print(f"{backend}: {one + 1} of {number}, {len(soak.count.wrong)} wrong", flush=True)
            for fault in sorted(soak.count.tried):
                print(f"  {fault}: {soak.count.tried[fault]} tried, {soak.count.struck[fault]} struck")
            for end, times in sorted(soak.count.ends.items(), key=str):
                print(f"  end {end}: {times}")
            wrong += soak.count.wrong
    print(f"{len(wrong)} wrong")
    return 1 if wrong else 0
