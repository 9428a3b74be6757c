"""Who is right about which change: ours and peers on the case files in ``bench/verdicts``, whose truth tools found.

The peers are named by the environment, as each is to be had in another way: ``$XC_JAPICMP`` is japicmp's jar with its
dependencies, ``$XC_GRIFFE`` a Python that has griffe, ``$XC_BUF``, ``$XC_OASDIFF`` and ``$XC_ABIDIFF`` are programs. apidiff is
built by Go. One that is not named is left out, and the table says so. ``$XC_BENCH_LANGUAGES`` names some of the languages.

A tool is right where it calls a case breaking and a client breaks, or calls it no break and none does; otherwise it missed one,
or gave a false alarm. A tool that cannot read a case says nothing about it, which is not right either; how far ours is ahead of
a peer is counted only in the cases that the peer speaks of. A case whose client goes on and sees something else is open: a tool
may call that breaking or not, and the case is counted for nobody.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from bench.api import apidiff
from bench.cases import HERE, Case, cases
from bench.ccases import build_libraries
from bench.result import Result
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.packages.sdk_ast.compare import compare
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools.go import find_go

TIMEOUT_S = 120
GOAL, AHEAD = 0.95, 0.20
"""The share of cases that ours has to be right about, and how far ahead of a peer."""
LEAST = {"java": 150, "c": 150, "cpp": 150, "python": 150, "typescript": 150}
LEAST_OF_OTHERS = 60

Said = bool | None
"""Whether a tool calls a case breaking; None: it says nothing of it."""
Asker = Callable[[Path], Said]

GRIFFE = """
import sys, griffe
from pathlib import Path
found = []
names = {}
for side in ("old", "new"):
    places = [p for p in (Path(side, "src"), Path(side)) if p.is_dir()]
    here = [(p, str(top)) for top in places for p in top.iterdir() if p.suffix == ".py" or list(p.glob("__init__.py*"))]
    names[side] = {p.stem: top for p, top in here}
for name, top in names["old"].items():
    if name not in names["new"]:
        sys.exit(11)
    sides = [griffe.load(name, search_paths=[names[side][name]], resolve_aliases=True) for side in ("old", "new")]
    found += griffe.find_breaking_changes(*sides)
sys.exit(11 if found else 10)
"""
"""Ends with 11 for a break and with 10 for none, which no failure of Python's does."""


def _made(language: str, directory: Path) -> None:
    """Build what is compared in a compiled language: class files beside each side, or the libraries in it.

    Raises:
        RuntimeError: it does not build.
    """
    if language in ("c", "cpp"):
        build_libraries(directory)
    if language == "java":
        for side in ("old", "new"):
            sources = [str(path) for path in (directory / side).rglob("*.java")]
            argv = ["javac", "-nowarn", "-proc:none", "-d", str(directory / f"{side}.classes"), *sources]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{directory}: {side} does not build: {done.stderr}")


def ours(language: str, directory: Path) -> Said:
    """``xc api diff`` of the case, by rules and by clients. What it leaves undecided is nothing said."""
    options = ReadOptions(targets=() if language == "go" else ReadOptions().targets, language=language, offline=True)
    rules, policy, built = Rules(), ApiPolicy(), ".classes" if language == "java" else ""
    try:
        with Sources(Cache(), options) as sources:
            sides = sources.pair(*(str(directory / f"{side}{built}") for side in ("old", "new")))
            found = judged(compare(*sides, rules, policy), sources, rules, policy)
    except XcError as error:
        print(f"{directory}: {error}", file=sys.stderr)
        return None
    if found.unjudged:
        print(f"{directory}: no clients: {found.unjudged}", file=sys.stderr)
    return found.breaking or (None if found.undecided else False)


def _ran(argv: list[str], directory: Path) -> subprocess.CompletedProcess[str] | None:
    """None: it did not end."""
    try:
        return subprocess.run(argv, cwd=directory, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return None


def _code(argv: list[str], directory: Path, codes: dict[int, Said]) -> Said:
    done = _ran(argv, directory)
    return None if done is None else codes.get(done.returncode)


def _apidiff(directory: Path) -> Said:
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOPROXY": "off"}
    environment["PATH"] = f"{Path(find_go()).parent}:{environment['PATH']}"
    program, module = str(apidiff(Cache())), ""
    for side in ("old", "new"):
        module = (directory / side / "go.mod").read_text().split()[1]
        argv = [program, "-m", "-w", str(directory / f"{side}.export"), module]
        if subprocess.run(argv, cwd=directory / side, env=environment, capture_output=True, check=False).returncode:
            return None
    argv = [program, "-m", "-incompatible", "old.export", "new.export"]
    done = subprocess.run(argv, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    return None if done.returncode else bool(done.stdout.strip())


def _japicmp(directory: Path) -> Said:
    for side in ("old", "new"):
        argv = ["jar", "cf", str(directory / f"{side}.jar"), "-C", str(directory / f"{side}.classes"), "."]
        subprocess.run(argv, check=True)
    argv = ["java", "-jar", os.environ["XC_JAPICMP"], "-o", "old.jar", "-n", "new.jar", "--ignore-missing-classes"]
    argv += ["--error-on-binary-incompatibility", "--error-on-source-incompatibility"]
    if (done := _ran(argv, directory)) is None:
        return None
    # It ends with 1 for a break and for a failure alike.
    said = "There is at least one incompatibility" in done.stderr + done.stdout
    return said if done.returncode == said else None


def _griffe(directory: Path) -> Said:
    return _code([os.environ["XC_GRIFFE"], "-c", GRIFFE], directory, {10: False, 11: True})


def _buf(directory: Path) -> Said:
    return _code([os.environ["XC_BUF"], "breaking", "new", "--against", "old"], directory, {0: False, 100: True})


def _oasdiff(directory: Path) -> Said:
    names = [str(next(iter((directory / side).glob("openapi.*")))) for side in ("old", "new")]
    return _code([os.environ["XC_OASDIFF"], "breaking", "--fail-on", "ERR", *names], directory, {0: False, 1: True})


def _abidiff(bits: int, directory: Path) -> Said:
    libraries = [sorted((directory / side).rglob("*.so*")) for side in ("old", "new")]
    if not all(libraries):
        return None
    argv = [os.environ["XC_ABIDIFF"], "--headers-dir1", "old", "--headers-dir2", "new"]
    done = _ran([*argv, str(libraries[0][0]), str(libraries[1][0])], directory)
    # libabigail, abidiff(1), "RETURN VALUES": bits 0 and 1 are errors of use.
    return None if done is None or done.returncode & 3 else bool(done.returncode & bits)


PEERS: dict[str, dict[str, tuple[str, Asker]]] = {
    "go": {"apidiff": ("", _apidiff)},
    "java": {"japicmp": ("XC_JAPICMP", _japicmp)},
    "python": {"griffe": ("XC_GRIFFE", _griffe)},
    "protobuf": {"buf": ("XC_BUF", _buf)},
    "openapi": {"oasdiff": ("XC_OASDIFF", _oasdiff)},
    # libabigail, abidiff(1): bit 3 is a change that is incompatible for sure, bit 2 one that may be.
    "c": {
        "abidiff": ("XC_ABIDIFF", partial(_abidiff, 8)),
        "abidiff, any change": ("XC_ABIDIFF", partial(_abidiff, 12)),
    },
    "cpp": {
        "abidiff": ("XC_ABIDIFF", partial(_abidiff, 8)),
        "abidiff, any change": ("XC_ABIDIFF", partial(_abidiff, 12)),
    },
}
"""Language -> peer -> the variable that names it (empty: it is built here), and how it is asked."""


def _word(case: Case, said: Said) -> str:
    if case.facts.promised and case.facts.truth == ("behaviour",):
        return "open"
    if said is None:
        return "nothing"
    if said == case.breaks:
        return "right"
    return "missed" if case.breaks else "false"


def _asked(askers: dict[str, Asker], case: Case) -> dict[str, Said]:
    out = {}
    for name, ask in askers.items():
        with tempfile.TemporaryDirectory() as scratch:
            case.write(Path(scratch))
            _made(case.language, Path(scratch))
            out[name] = ask(Path(scratch))
    return out


def measure(_rounds: int = 0) -> Result:
    """Every case by every tool, one case at a time for each core."""
    result = Result("api-verdicts")
    only = frozenset(filter(None, os.environ.get("XC_BENCH_LANGUAGES", "").split(",")))
    for language in sorted(path.name for path in HERE.iterdir() if path.is_dir()):
        if only and language not in only:
            continue
        askers: dict[str, Asker] = {"xc": partial(ours, language)}
        for name, (variable, ask) in PEERS.get(language, {}).items():
            if variable and not os.environ.get(variable):
                result.notes.append(f"{language}: {name} was not asked: ${variable} names none")
            else:
                askers[name] = ask
        every, counts = cases(language), {name: Counter[str]() for name in askers}
        beside: Counter[str] = Counter()
        # Clients of some languages are forked, which a process with threads must not.
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
            for case, said in zip(every, pool.map(partial(_asked, askers), every), strict=True):
                for name, answer in said.items():
                    word = _word(case, answer)
                    counts[name][word] += 1
                    beside[name] += word not in ("nothing", "open") and _word(case, said["xc"]) == "right"
                    if name == "xc" and word not in ("right", "open"):
                        result.notes.append(f"{language}/{case.name}: {word} ({case.facts.why})")
                print(f"{language}/{case.name}: {said}", file=sys.stderr)
        _tell(result, language, len(every) - counts["xc"]["open"], counts, beside)
    return result


def _tell(
    result: Result, language: str, number: int, counts: Mapping[str, Counter[str]], beside: Mapping[str, int]
) -> None:
    """Rows and ratios.

    Args:
        number: how many cases are counted.
        beside: peer -> how many of the cases that it says something of ours is right about.
    """
    for name, count in counts.items():
        for word in ("right", "missed", "false", "nothing", "open"):
            result.add(f"{language}: {name}, {word}", [count[word]], "cases")
    key = f"{language}: right of {number}"
    result.ratios[key] = counts["xc"]["right"] / number
    result.goals[key] = f">= {GOAL}, of at least {LEAST.get(language, LEAST_OF_OTHERS)}"
    for name, count in counts.items():
        if name != "xc" and (answered := number - count["nothing"]):
            key = f"{language}: ahead of {name} in the {answered} cases that it speaks of"
            result.ratios[key], result.goals[key] = (beside[name] - count["right"]) / answered, f">= {AHEAD}"
