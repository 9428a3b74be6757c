"""Who is right about which change: ours and peers on the case files in ``bench/verdicts``, whose truth tools found.

The peers are named by the environment, as each is to be had in another way: ``$XC_JAPICMP`` is japicmp's jar with its
dependencies, ``$XC_GRIFFE`` a Python that has griffe, ``$XC_BUF``, ``$XC_OASDIFF`` and ``$XC_ABIDIFF`` are programs. apidiff is
built by Go. One that is not named is left out, and the table says so. ``$XC_BENCH_LANGUAGES`` names some of the languages.

A tool is right where it calls a case breaking and a client breaks, or calls it no break and none does; otherwise it missed one,
or gave a false alarm. A tool that cannot read a case says nothing about it, which is not right either.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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
sides = []
for side in ("old", "new"):
    name = sorted(p.stem for p in Path(side).iterdir() if p.suffix == ".py" or (p / "__init__.py").exists())[0]
    sides.append(griffe.load(name, search_paths=[side], resolve_aliases=True))
sys.exit(1 if list(griffe.find_breaking_changes(*sides)) else 0)
"""


def ours(language: str, directory: Path) -> Said:
    """``xc api diff`` of the case, by rules and by clients."""
    options, rules, policy = ReadOptions(language=language, offline=True), Rules(), ApiPolicy()
    try:
        with Sources(Cache(), options) as sources:
            old, new = (sources.read(str(directory / side)) for side in ("old", "new"))
            return judged(compare(old, new, rules, policy), sources, rules, policy).breaking
    except XcError:
        return None


def _ran(argv: list[str], directory: Path, codes: dict[int, Said]) -> Said:
    try:
        done = subprocess.run(argv, cwd=directory, capture_output=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return None
    return codes.get(done.returncode)


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
        sources = [str(path) for path in (directory / side).rglob("*.java")]
        classes = directory / f"{side}.classes"
        if subprocess.run(["javac", "-d", str(classes), *sources], capture_output=True, check=False).returncode:
            return None
        subprocess.run(["jar", "cf", str(directory / f"{side}.jar"), "-C", str(classes), "."], check=True)
    argv = ["java", "-jar", os.environ["XC_JAPICMP"], "-o", "old.jar", "-n", "new.jar", "--ignore-missing-classes"]
    argv += ["--error-on-binary-incompatibility", "--error-on-source-incompatibility"]
    return _ran(argv, directory, {0: False, 1: True})


def _griffe(directory: Path) -> Said:
    return _ran([os.environ["XC_GRIFFE"], "-c", GRIFFE], directory, {0: False, 1: True})


def _buf(directory: Path) -> Said:
    return _ran([os.environ["XC_BUF"], "breaking", "new", "--against", "old"], directory, {0: False, 100: True})


def _oasdiff(directory: Path) -> Said:
    names = [str(next(iter((directory / side).glob("openapi.*")))) for side in ("old", "new")]
    return _ran([os.environ["XC_OASDIFF"], "breaking", "--fail-on", "ERR", *names], directory, {0: False, 1: True})


def _abidiff(directory: Path) -> Said:
    libraries = [sorted((directory / side).rglob("*.so*")) for side in ("old", "new")]
    if not all(libraries):
        return None
    argv = [os.environ["XC_ABIDIFF"], str(libraries[0][0]), str(libraries[1][0])]
    try:
        done = subprocess.run(argv, cwd=directory, capture_output=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return None
    # libabigail, abidiff(1): bits 0 and 1 are errors of use, bit 3 (8) is an incompatible change.
    return None if done.returncode & 3 else bool(done.returncode & 8)


PEERS: dict[str, dict[str, tuple[str, Asker]]] = {
    "go": {"apidiff": ("", _apidiff)},
    "java": {"japicmp": ("XC_JAPICMP", _japicmp)},
    "python": {"griffe": ("XC_GRIFFE", _griffe)},
    "protobuf": {"buf": ("XC_BUF", _buf)},
    "openapi": {"oasdiff": ("XC_OASDIFF", _oasdiff)},
    "c": {"abidiff": ("XC_ABIDIFF", _abidiff)},
    "cpp": {"abidiff": ("XC_ABIDIFF", _abidiff)},
}
"""Language -> peer -> the variable that names it (empty: it is built here), and how it is asked."""


def _word(case: Case, said: Said) -> str:
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
            if case.language in ("c", "cpp"):
                build_libraries(Path(scratch))
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
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for case, said in zip(every, pool.map(partial(_asked, askers), every), strict=True):
                for name, answer in said.items():
                    word = _word(case, answer)
                    counts[name][word] += 1
                    if name == "xc" and word != "right":
                        result.notes.append(f"{language}/{case.name}: {word} ({case.facts.why})")
                print(f"{language}/{case.name}: {said}", file=sys.stderr)
        _tell(result, language, len(every), counts)
    return result


def _tell(result: Result, language: str, number: int, counts: dict[str, Counter[str]]) -> None:
    for name, count in counts.items():
        for word in ("right", "missed", "false", "nothing"):
            result.add(f"{language}: {name}, {word}", [count[word]], "cases")
    share = counts["xc"]["right"] / number
    result.ratios[f"{language}: right of {number}"] = share
    result.goals[f"{language}: right of {number}"] = f">= {GOAL}, of at least {LEAST.get(language, LEAST_OF_OTHERS)}"
    for name, count in counts.items():
        if name != "xc":
            key = f"{language}: ahead of {name}"
            result.ratios[key], result.goals[key] = share - count["right"] / number, f">= {AHEAD}"
