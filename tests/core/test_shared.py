"""Results that engines share: by type and key, and no asker sees those of another type."""

from __future__ import annotations

from pytest_xinchuang.core.shared import SharedResults


class Runs(dict[str, int]):
    pass


class Answers(dict[str, int]):
    pass


def test_who_asks_with_the_same_type_and_key_gets_the_same() -> None:
    shared = SharedResults()
    shared.slot(Runs, "a")["x"] = 1
    assert shared.slot(Runs, "a") == {"x": 1}
    assert shared.slot(Runs, "a") is shared.slot(Runs, "a")


def test_another_type_key_or_run_has_its_own() -> None:
    shared = SharedResults()
    shared.slot(Runs, "a")["x"] = 1
    assert shared.slot(Answers, "a") == {}
    assert shared.slot(Runs, "b") == {}
    assert SharedResults().slot(Runs, "a") == {}
