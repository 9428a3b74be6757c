"""Under xdist a platform's tests stay together, and no other platform's with them."""

from __future__ import annotations

import pytest

from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.run.scheduler import platform_of

PART = "kunpeng920-kylin_desktop_v10"


def test_a_platform_whose_id_is_part_of_anothers_keeps_its_own_worker() -> None:
    ids = [PART, f"{PART}_sp1"]
    for order in (ids, ids[::-1]):
        assert [platform_of(f"a/test_x.py::test_y[{i}]", order) for i in ids] == ids


@pytest.mark.parametrize(
    "form", ["t.py::test[{}]", "t.py::C::test[one-{}]", "t.py::test[{}-x[1]]", "t.py::test[a::b-{}-z]"]
)
def test_each_shipped_platform_is_found_among_other_parameters(form: str, platforms: Platforms) -> None:
    assert [platform_of(form.format(i), platforms.ids) for i in platforms.ids] == list(platforms.ids)


def test_the_longest_id_is_meant() -> None:
    assert platform_of("t.py::test[cpu-os-2024]", ["cpu-os", "cpu-os-2024", "os-2024"]) == "cpu-os-2024"


@pytest.mark.parametrize(
    "nodeid",
    [
        "t.py::test",
        "t.py::test[other]",
        f"t.py::test[x{PART}]",
        f"t.py::test[{PART}_]",
        f"{PART}/t.py::test",
        f"[{PART}]",
        "",
    ],
)
def test_a_test_without_a_platform_has_none(nodeid: str) -> None:
    assert platform_of(nodeid, [PART]) is None
