"""``python -m bench advise``: what stops a port, as we say it, as AWS's porting advisor and as migrate-ease do, on real trees.

The trees are those of ``bench/sources.yaml``. Whether one builds for an architecture is what Debian's archive has, put right
in ``bench/sources_truth.yaml`` where a build by hand showed otherwise. A pair of tree and architecture is the unit: precision
is how many of the pairs that a tool calls stopped are, recall how many of those that are it names. The peers know arm64 alone.

``$XC_PORTING_ADVISOR`` and ``$XC_MIGRATE_EASE`` name checkouts of theirs, with a ``.venv`` of what they need.
``$XC_BENCH_TREES`` names some of the trees, with commas between them. Headers of libraries (``bench/sources.py``, ``OF_X86``)
are to be installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from bench.result import Result
from bench.sources import Source, declared, unpacked
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.provision.cache import Cache

TRUTH = Path(__file__).with_name("sources_truth.yaml")
PLATFORMS = {"arm64": "kunpeng", "loong64": "loongson"}
SCANNERS = ("cpp", "go", "java", "js", "python", "rust")
TIMEOUT_S = 900
GOAL = 0.95
COLD_S, WARM_S = 60.0, 15.0


@dataclass
class Said:
    """What a tool says of one tree.

    Attributes:
        stopped: the architectures for which it names something certain that stops the tree; None: it is not decided.
        findings: how many it names.
    """

    stopped: dict[str, bool | None] = field(default_factory=dict)
    findings: int = 0
    seconds: float = 0.0


def truth() -> dict[tuple[str, str], bool]:
    """(source, architecture) -> whether its build stops there."""
    found = {(s.name, arch): arch not in s.builds for s in declared() for arch in PLATFORMS}
    for entry in yaml.safe_load(TRUTH.read_text(encoding="utf-8")) or ():
        found |= {(entry["name"], arch): entry["stops"] for arch in entry["arches"]}
    return found


def _run(argv: list[str], cwd: Path | None = None, **more: str) -> tuple[str, float]:
    """What a tool printed, and its seconds; one that is not done in ``TIMEOUT_S`` printed nothing."""
    started = time.perf_counter()
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return "", time.perf_counter() - started
    return done.stdout, time.perf_counter() - started


def ours(tree: Path, cache: str = "") -> Said:
    """By ``xc advise``; ``cache``: a cache of this benchmark's own."""
    more = {"XC_CACHE": cache} if cache else {}
    names = ",".join(PLATFORMS.values())
    words = [
        sys.executable,
        "-m",
        "pytest_xinchuang",
        "advise",
        str(tree),
        "--platform",
        names,
        "--format",
        "json",
        "--quiet",
    ]
    text, seconds = _run(words, **more)
    said = Said(seconds=seconds)
    if not text:
        said.stopped = dict.fromkeys(PLATFORMS)
        return said
    for arch, platform in zip(PLATFORMS, json.loads(text)["platforms"], strict=True):
        said.stopped[arch] = {"stopped": True, "builds": False}.get(platform["standing"])
        said.findings += sum(f["certainty"] == "certain" for f in platform["findings"])
    return said


def _peer(checkout: Path, words: list[str], findings_in: Callable[[dict[str, object]], int], cwd: Path) -> Said:
    said = Said()
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "out.json"
        argv = [str(checkout / ".venv/bin/python"), *[w.replace("OUTPUT", str(output)) for w in words]]
        said.seconds = _run(argv, cwd, PYTHONPATH=str(checkout))[1]
        if output.is_file():
            said.findings = findings_in(json.loads(output.read_text(errors="replace")))
    said.stopped = {"arm64": said.findings > 0}
    return said


def porting_advisor(checkout: Path, tree: Path) -> Said:
    def located(data: dict[str, object]) -> int:
        issues = data.get("issues")
        return sum(1 for i in issues if f": {tree}/" in str(i)) if isinstance(issues, list) else 0

    return _peer(checkout, ["src/porting-advisor.py", "--output", "OUTPUT", str(tree)], located, checkout)


def migrate_ease(checkout: Path, tree: Path) -> Said:
    def located(data: dict[str, object]) -> int:
        issues = data.get("issues")
        return len(issues) if isinstance(issues, list) else 0

    whole = Said(stopped={"arm64": False})
    for scanner in SCANNERS:
        said = _peer(
            checkout, ["-m", scanner, "--output", "OUTPUT", "--march", "armv8-a", str(tree)], located, checkout
        )
        whole.findings += said.findings
        whole.seconds += said.seconds
    whole.stopped["arm64"] = whole.findings > 0
    return whole


def readers() -> dict[str, Callable[[Path], Said]]:
    found: dict[str, Callable[[Path], Said]] = {"xc advise": ours}
    for name, variable, reader in (
        ("AWS porting advisor", "XC_PORTING_ADVISOR", porting_advisor),
        ("migrate-ease", "XC_MIGRATE_EASE", migrate_ease),
    ):
        if place := os.environ.get(variable):
            found[name] = lambda tree, reader=reader, place=place: reader(Path(place), tree)  # type: ignore[misc]
    return found


@dataclass
class Score:
    """Pairs: rightly and wrongly called stopped, missed, and left open."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    open: int = 0

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)


def score(
    sources: list[Source], said: dict[str, Said], stops: dict[tuple[str, str], bool], arches: tuple[str, ...]
) -> Score:
    found = Score()
    for source in sources:
        for arch in arches:
            named, really = said[source.name].stopped.get(arch), stops[source.name, arch]
            found.right += named is True and really
            found.wrong += named is True and not really
            found.missed += named is not True and really
            found.open += named is None
    return found


def measure(rounds: int) -> Result:
    """Every tree by each reader in turn; ``rounds`` above 1 repeat ours, whose second round is warm."""
    result = Result("advise")
    only = frozenset(filter(None, os.environ.get("XC_BENCH_TREES", "").split(",")))
    sources, stops, cache = [s for s in declared() if not only or s.name in only], truth(), Cache()
    said: dict[str, dict[str, Said]] = {}
    warm: dict[str, float] = {}
    for source in list({s.name: s for s in sources}.values()):
        try:
            tree = unpacked(source, cache)
        except HostFault as fault:
            result.notes.append(f"{source.name}: not fetched: {fault}")
            continue
        for name, reader in readers().items():
            said.setdefault(name, {})[source.name] = one = reader(tree)
            result.notes.append(
                f"{source.name:24} {name:20} {one.findings:6} {one.seconds:7.1f} s  {_words(one, stops, source)}"
            )
            print(result.notes[-1], file=sys.stderr, flush=True)
        if rounds > 1:
            warm[source.name] = ours(tree).seconds
    seen = [s for s in {s.name: s for s in sources}.values() if s.name in said["xc advise"]]
    for name, by_source in said.items():
        for arches in (("arm64",), ("loong64",)) if name == "xc advise" else (("arm64",),):
            scored = score(seen, by_source, stops, arches)
            result.ratios[f"{name} {arches[0]}: precision"] = scored.precision
            result.ratios[f"{name} {arches[0]}: recall"] = scored.recall
            result.notes.append(f"{name} {arches[0]}: {scored}")
            if name == "xc advise":
                result.goals |= dict.fromkeys(list(result.ratios)[-2:], f">= {GOAL}")
        result.add(f"{name}: a tree", [one.seconds for one in by_source.values()], "s")
    if warm:
        result.add("xc advise, warm: a tree", list(warm.values()), "s")
    return result


def _words(said: Said, stops: dict[tuple[str, str], bool], source: Source) -> str:
    words = {True: "stops", False: "builds", None: "open"}
    return ", ".join(
        f"{arch} {words[named]}{'' if named is None or named == stops[source.name, arch] else ' (WRONG)'}"
        for arch, named in said.stopped.items()
    )
