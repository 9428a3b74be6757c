"""The cases of Go: what the compiler says about each, and what we say."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.cases import Case, cases
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools.go import find_go

pytestmark = pytest.mark.tools

CASES = cases("go")
RULES, POLICY = Rules(), ApiPolicy()
LEAST = 0.95
BUILDS: tuple[dict[str, str], ...] = (
    {},
    {"GOOS": "windows"},
    {"GOARCH": "arm64"},
    {"CGO_ENABLED": "0"},
    {"GOFLAGS": "-mod=mod -tags=extra"},
)
"""How clients are built: whoever builds one of these with the old version and not with the new one is broken."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """Case -> whether a build of its client is broken, by the compiler."""
    root = tmp_path_factory.mktemp("built")
    broken: dict[str, dict[int, set[str]]] = {"old": {}, "new": {}}
    for side, found in broken.items():
        _write(root / side, side)
        for number, changes in enumerate(BUILDS):
            found[number] = _broken(root / side, changes)
    return {
        case.name: any(
            case.name in broken["new"][number] and case.name not in broken["old"][number]
            for number in range(len(BUILDS))
        )
        for case in CASES
    }


def _write(root: Path, side: str) -> None:
    """One module with all libraries of a side and all clients, which the go command builds at once."""
    for case in CASES:
        for path, text in case.files.items():
            part, _slash, name = path.partition("/")
            if name in ("go.mod", "go.work") or part not in (side, "client"):
                continue
            place = root / case.name / ("p" if part == side else "client") / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text.replace('"example.com/p', f'"w/{case.name}/p'))
    (root / "go.mod").write_text("module w\n\ngo 1.24\n")


def _broken(root: Path, changes: dict[str, str]) -> set[str]:
    """The cases whose client does not build, or is not there for the target."""
    environment = {
        **os.environ,
        "GOFLAGS": "-mod=mod",
        "GOTOOLCHAIN": "local",
        "GOPROXY": "off",
        "GOWORK": "off",
        "CGO_ENABLED": "1",
        "GOCACHE": str(Cache().root / "gocache"),
        **changes,
    }
    argv = [find_go(), "list", "-e", "-export", "-f", "{{.ImportPath}} {{not .Error}} {{not .DepsErrors}}", "./..."]
    done = subprocess.run(argv, cwd=root, env=environment, capture_output=True, text=True, check=True)
    good = set()
    for line in done.stdout.splitlines():
        path, fine, all_fine = line.split()
        if path.endswith("/client") and (fine, all_fine) == ("true", "true"):
            good.add(path.split("/")[1])
    return {case.name for case in CASES} - good


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Comparison]:
    """Case -> what we say, with clients."""
    root = tmp_path_factory.mktemp("cases")
    found = {}
    for case in CASES:
        case.write(root / case.name)
        with Sources(Cache(), ReadOptions(targets=(), offline=True)) as sources:
            sides = sources.pair(str(root / case.name / "old"), str(root / case.name / "new"))
            found[case.name] = judged(compare(*sides, RULES, POLICY), sources, RULES, POLICY)
    return found


@dataclass(frozen=True)
class Verdict:
    """What we say of a case, by the side of what is true."""

    case: Case
    comparison: Comparison

    @property
    def missed(self) -> bool:
        """Whether a break is not told, or is told as less than it is."""
        told = {one.weight for one in self.comparison.changes}
        if self.case.breaks:
            return "breaking" not in told
        return bool(self.case.facts.truth) and not told & {"breaking", "fragile"}

    @property
    def false(self) -> bool:
        """Whether what nobody may count on, or nobody notices, is called breaking or left open."""
        return not self.case.breaks and bool({"breaking", "undecided"} & {c.weight for c in self.comparison.changes})


def test_truth_is_what_the_compiler_says(built: dict[str, bool]) -> None:
    assert {case.name: bool(case.facts.truth) for case in CASES} == built


def test_what_we_say_is_true(compared: dict[str, Comparison]) -> None:
    verdicts = [Verdict(case, compared[case.name]) for case in CASES]
    missed = [one.case.name for one in verdicts if one.missed]
    false = [one.case.name for one in verdicts if one.false]
    right = len(CASES) - len({*missed, *false})
    print(f"Go: {right} of {len(CASES)} right; missed: {missed}; false: {false}")
    assert len(CASES) >= 100
    assert right >= LEAST * len(CASES), (missed, false)


def test_clients_were_tried_and_nothing_is_unexplained(compared: dict[str, Comparison]) -> None:
    for name, comparison in compared.items():
        assert not comparison.unjudged, (name, str(comparison.unjudged))
        unexplained = {one.change.symbol for one in comparison.changes if one.rule.id == "GO-UNEXPLAINED"}
        assert unexplained == UNEXPLAINED.get(name, set()), name


UNEXPLAINED: dict[str, set[str]] = {"alias-generic-tight": {"L"}}
"""Case -> symbols that a client alone tells about, and no rule."""
