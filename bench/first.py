"""How soon the first grade comes: a prebuilt product from an empty cache and again, and the reference on five families.

The product is two small programs, which need no tool chain; what is fetched is told apart. The reference builds its units: from
an empty build cache, and again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.result import Result
from pytest_xinchuang.core import resources

ROUNDS = 3
_XC = [sys.executable, "-P", "-m", "pytest_xinchuang.cli"]
_OURS = Path(__file__).resolve().parent.parent


def measure(rounds: int) -> Result:
    """Seconds of each phase; the goals are for two cores."""
    result = Result("first")
    with tempfile.TemporaryDirectory(prefix="xc-first-") as name:
        place = Path(name)
        _product(place / "acme/dist")
        cache = {"XC_CACHE": str(place / "cache")}
        fetched = result.add(
            "provision one platform, from nothing", [_timed(["provision", "kunpeng"], place, cache)], "s"
        )
        words = ["grade", "dist", "--platform", "kunpeng", "--offline"]
        first = result.add("first grade of what is prebuilt", [_graded(words, place / "acme", cache)], "s")
        warm = [_graded(words, place / "acme", cache) for _round in range(rounds or ROUNDS)]
        result.ratios["first_grade_s"] = round(fetched + first, 1)
        result.goals["first_grade_s"] = "<= 60, download in it"
        result.ratios["first_grade_warm_s"] = round(result.add("the same again", warm, "s"), 1)
        result.goals["first_grade_warm_s"] = "<= 10"
        rest = result.add("provision the other platforms", [_timed(["provision"], place, cache)], "s")
        subject = str(resources.fixtures_dir() / "subjects/openssl")
        words = ["grade", "--platform", "all", "--suite", "mru", "--subject", subject, "-n", "2", "--offline"]
        cold = result.add("the reference on five families, nothing built", [_graded(words, place, cache)], "s")
        warm = [_graded(words, place, cache) for _round in range(rounds or ROUNDS)]
        result.ratios["reference_s"] = round(fetched + rest + cold, 1)
        result.goals["reference_s"] = "<= 120, download in it, installation apart"
        result.ratios["reference_warm_s"] = round(result.add("the same again ", warm, "s"), 1)
        result.goals["reference_warm_s"] = "<= 10"
        size = sum(path.lstat().st_size for path in (place / "cache").rglob("*") if not path.is_dir()) >> 20
        result.notes.append(f"the cache holds {size} MiB in the end")
    return result


def _product(dist: Path) -> None:
    from tests.integration.test_first import program

    dist.mkdir(parents=True)
    for machine, arch in ((62, "amd64"), (183, "arm64")):
        (dist / f"acme-{arch}").write_bytes(program(machine))


def _timed(words: list[str], place: Path, more: dict[str, str], *, good: tuple[int, ...] = (0,)) -> float:
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(_OURS), **more}
    run = subprocess.run([*_XC, *words], cwd=place, env=environment, capture_output=True, text=True, check=False)
    if run.returncode not in good:
        raise RuntimeError(f"xc {words[0]}: {run.returncode}\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    return time.perf_counter() - started


def _graded(words: list[str], place: Path, more: dict[str, str]) -> float:
    shutil.rmtree(place / ".xc", ignore_errors=True)
    return _timed(words, place, more)
