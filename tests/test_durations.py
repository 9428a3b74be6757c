"""The order in which tests begin where workers share them, and the table of the slowest."""

from __future__ import annotations

from tests.durations import FIRST_S, in_order, slowest, table


def test_the_slowest_begin_first_in_each_half_and_all_others_keep_their_order() -> None:
    names = [f"t{n}" for n in range(11)]
    seconds = {"t9": FIRST_S + 9, "t1": FIRST_S + 1, "t10": FIRST_S, "t3": FIRST_S - 0.1}
    order = in_order(names, seconds)
    assert sorted(order) == list(range(11))
    assert (order[0], order[1], order[5]) == (9, 10, 1)
    assert [n for n in order if n not in (1, 9, 10)] == [0, 2, 3, 4, 5, 6, 7, 8]
    assert in_order(names, {}) == list(range(11)) == in_order(names, {}, 3)
    assert in_order([], {}) == []


def test_more_slow_tests_than_others() -> None:
    names = [f"t{n}" for n in range(5)]
    order = in_order(names, {name: FIRST_S + n for n, name in enumerate(names)}, 2)
    assert sorted(order) == list(range(5)) and order[0] == 4


def test_the_table_is_sorted_and_of_tests_that_are_there() -> None:
    written = table()
    assert len(written) >= 20
    assert list(written.items()) == slowest(written.items(), 0)


def test_what_is_quick_is_not_kept() -> None:
    assert slowest([("a", 0.2), ("b", 3.14159), ("c", 9)]) == [("c", 9), ("b", 3.1)]
