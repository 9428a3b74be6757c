"""A tree that make builds on x86-64 with a setting alone is judged with it; one that builds as it is, or never, is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.advise.builds.record import recorded
from pytest_xinchuang.advise.builds.settings import compared
from pytest_xinchuang.advise.builds.survey import BuildsSurvey
from pytest_xinchuang.advise.c.survey import CSurvey
from pytest_xinchuang.core.advice import Standing
from pytest_xinchuang.core.platform import Platforms
from tests.advise.builds.trees import said, told

BACKENDS = """ifeq ($(BACKEND),soft)
OBJECTS = soft.o
else
OBJECTS = hard.o
endif
libp.a: common.o $(OBJECTS)
\tar rc $@ $^
"""
COMMON, HARD, SOFT = "int common(void) { return 0; }\n", "struct vm86 area;\n", "#include <sys/io.h>\nint s;\n"
PORTABLE = "int hard(void) { return 0; }\n"


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("ifeq ($(BACKEND),soft)\n", ("BACKEND=soft",)),
        ("ifneq (no,${WITH_X})\n", ("WITH_X=no",)),
        ("ifeq \"$(A)\" 'y'\n  else ifeq ($(strip $(B)), two)\n", ("A=y", "B=two")),
        ("A ?= n\nA = m\nifeq ($(A),y)\n", ("A=y",)),
        # What is computed, compared with another variable or with nothing, or names a machine or a system.
        ("A := $(shell uname -m)\nifeq ($(A),y)\n", ()),
        ("ifeq ($(A),$(B))\nifeq (,$(A))\nifeq ($(filter a,$(A)),a)\n", ()),
        ("ifeq ($(CPU),aarch64)\nifeq ($(CPU),i686)\nifeq ($(OS),Windows_NT)\nifeq ($(OS),FreeBSD)\n", ()),
        ("ifeq (\nifeq\nifeq ()\nifeq \"$(A)\nifdef A\n", ()),
        ("", ()),
    ],
)  # fmt: skip
def test_what_a_makefile_compares_a_variable_with(text: str, settings: tuple[str, ...]) -> None:
    assert compared(text) == settings


@pytest.mark.tools
def test_a_tree_that_builds_with_a_setting_alone(platforms: Platforms, tmp_path: Path) -> None:
    files = {"Makefile": BACKENDS, "common.c": COMMON, "hard.c": HARD, "soft.c": SOFT}
    found = said(platforms, tmp_path, files, BuildsSurvey(), CSurvey((recorded,)))
    for name in ("kunpeng", "loongson"):
        advice = found[name]
        assert told(advice) == [("XC-ADV-006", "certain", "soft.c:1")] and advice.standing is Standing.STOPPED
        assert [str(p.found) for p in advice.parts if "BACKEND=soft" in str(p.found)] == [
            str(p.found) for p in advice.parts
        ]
    assert not found["hygon"].findings and found["hygon"].standing is Standing.BUILDS


@pytest.mark.tools
@pytest.mark.parametrize(
    ("hard", "soft"),
    [(PORTABLE, SOFT), (HARD, "struct vm86 other;\n"), ("#include <nowhere.h>\n", SOFT)],
    ids=["as it is", "never", "for want of a header"],
)
def test_its_twins_are_judged_as_they_are(platforms: Platforms, tmp_path: Path, hard: str, soft: str) -> None:
    files = {"Makefile": BACKENDS, "common.c": COMMON, "hard.c": hard, "soft.c": soft}
    found = said(platforms, tmp_path, files, CSurvey((recorded,)))
    for advice in found.values():
        assert not advice.findings and not any("BACKEND" in str(p.found) for p in advice.parts)
        assert advice.standing is (Standing.BUILDS if hard is PORTABLE else Standing.OPEN)
