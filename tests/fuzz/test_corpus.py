"""Everything that the fuzzer starts from, and all that it ever found, is accepted or refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.drive import CORPUS, Case, attempt_timed
from tests.fuzz.targets import TARGETS

# Artifacts are unpacked by squashfs-tools too.
NAMES = [pytest.param(name, marks=pytest.mark.tools if name == "inspect" else ()) for name in TARGETS]


@pytest.mark.parametrize("name", NAMES)
def test_the_corpus_is_read_or_refused_in_words(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    target.prepare()
    for case in target.every_seed():
        found = attempt_timed(target, case, tmp_path / "place")
        assert found is None, f"{case.name}: {found}"


def test_every_folder_of_the_corpus_is_of_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_a_mutant_is_the_same_each_time(name: str) -> None:
    target = TARGETS[name]
    target.prepare()
    seeds = target.every_seed()
    assert [target.mutant(seeds, 1, n) for n in range(5)] == [target.mutant(seeds, 1, n) for n in range(5)]
    assert any(target.mutant(seeds, 1, n).data not in {seed.data for seed in seeds} for n in range(5))


def test_the_good_seeds_are_accepted(tmp_path: Path) -> None:
    """Else mutants of them would test nothing but the first check."""
    refused: list[tuple[str, str]] = []
    for name in ("journal", "lists", "vectors", "api", "layouts", "go", "cache"):
        target = TARGETS[name]
        target.prepare()
        good = [Case(path.name.partition("--")[2], path.read_bytes()) for path in CORPUS.glob(f"{name}/seed-*")]
        for number, case in enumerate([*target.seeds(), *good]):
            place = tmp_path / name / str(number)
            place.mkdir(parents=True)
            try:
                target.run(case, place)
            except Exception as error:
                refused.append((case.name, str(error)))
    assert not refused
