"""What make, CMake, meson and configure scripts say of where they stop, as it is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_xinchuang.advise.builds import stand_in
from pytest_xinchuang.advise.builds.judge import Words, compare
from pytest_xinchuang.advise.builds.kinds import builds_of
from pytest_xinchuang.advise.builds.stops import Kind, Ran, Stop, of_cmake, of_configure, of_make, of_meson
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.messages import verbatim
from tests.advise.builds.trees import written


def test_an_error_of_a_makefile_has_its_place() -> None:
    (stop,) = of_make("make: Entering directory '.'\nMakefile:3: *** unsupported machine aarch64.  Stop.\n", ())
    assert stop == Stop(Kind.SAID, "Makefile", 3, "unsupported machine aarch64")


def test_a_make_below_is_told_by_its_own_place_alone() -> None:
    text = (
        "make: Entering directory '.'\nmake -C deps\nmake[1]: Entering directory 'deps'\ncc -c a.c\n"
        "make[1]: *** [rules.mk:7: a.o] Error 1\nmake[1]: Leaving directory 'deps'\nmake: *** [Makefile:2: deps] Error 2\n"
    )
    assert of_make(text, ()) == (Stop(Kind.COMMAND, "deps/rules.mk", 7, "cc -c a.c", "deps/a.o"),)


def test_an_error_that_make_ignores_stops_nothing() -> None:
    assert not of_make("make: [Makefile:2: clean] Error 1 (ignored)\n", ())


def test_a_program_that_is_not_there_is_no_fault_of_the_tree() -> None:
    (stop,) = of_make("/bin/sh: 1: nasm: not found\nmake: *** [Makefile:4: a.o] Error 127\n", ())
    assert stop.kind is Kind.LACKING and "nasm" in stop.said


def test_a_recipe_that_ends_by_a_refused_option_names_it() -> None:
    calls = [{"t": "cc", "k": "refused", "a": ["-mavx2", "-c", "src/a.c", "-o", "src/a.o"], "r": ["-mavx2"], "d": "/x"}]
    (stop,) = of_make("make: *** [Makefile:7: src/a.o] Error 1\n", calls)
    assert stop.kind is Kind.REFUSED and stop.refused == ("-mavx2",) and stop.line == 7
    (other,) = of_make("make: *** [Makefile:9: src/b.o] Error 1\n", calls)
    assert other.kind is Kind.COMMAND, "another recipe's"


def test_a_rule_that_waits_for_what_a_refused_option_has_not_made_names_it() -> None:
    text = "make: *** No rule to make target 'obj/a.d', needed by 'obj/a.o'.\n"
    calls = [{"t": "cc", "k": "refused", "a": ["-MM", "-fcf-protection", "a.c"], "r": ["-fcf-protection"]}]
    (stop,) = of_make(text, calls)
    assert (stop.kind, stop.refused, stop.target) == (Kind.REFUSED, ("-fcf-protection",), "obj/a.d")
    (stop,) = of_make(text.replace("a.d", "b.d"), calls)
    assert stop.kind is Kind.NO_RULE


def test_a_file_that_is_not_there_for_the_machine() -> None:
    (stop,) = of_make("make: *** No rule to make target 'arch/loongarch64.o', needed by 'all'.  Stop.\n", ())
    assert stop.kind is Kind.NO_RULE and stop.target == "arch/loongarch64.o"


def test_an_error_of_cmake_is_told_at_the_trees_innermost_place() -> None:
    text = (
        "-- The C compiler identification is Clang 21\n"
        "CMake Error at /usr/share/cmake/Find.cmake:230 (message):\n  Could NOT find Foo\n"
        "Call Stack (most recent call first):\n  /usr/share/cmake/Find.cmake:600 (_fail)\n  cmake/own.cmake:12 (find_package)\n"
        "  CMakeLists.txt:5 (include)\n\n\nCMake Error at CMakeLists.txt:9 (message):\n  no arm\n  for it\n\n"
        "-- Configuring incomplete, errors occurred!\n"
    )
    assert of_cmake(text) == (
        Stop(Kind.SAID, "cmake/own.cmake", 12, "Could NOT find Foo"),
        Stop(Kind.SAID, "CMakeLists.txt", 9, "no arm for it"),
    )


def test_an_autoconf_script_has_its_line_in_its_log() -> None:
    assert of_configure("configure", "configure: error: no", "configure:2212: error: no\n") == Stop(
        Kind.SAID, "configure", 2212, "no"
    )
    assert of_configure("configure", "checking\nERROR: Unknown CPU\n", "").said == "Unknown CPU"
    assert of_configure("configure", "unsupported CPU x\n", "") == Stop(
        Kind.COMMAND, "configure", 0, "unsupported CPU x"
    )


def test_an_error_of_meson_has_its_place() -> None:
    (stop,) = of_meson("\nsrc/meson.build:14:2: ERROR: Problem encountered: unsupported cpu family\n\nA full log ...")
    assert stop.place == "src/meson.build:14" and "unsupported" in stop.said


def test_a_build_below_another_is_none_of_its_own(tmp_path: Path) -> None:
    files = {"CMakeLists.txt": "project(p)\n", "util/Makefile": "all:\n", "deps/x/configure": "#!/bin/sh\n"}
    assert [b.file for b in builds_of(SourceTree(written(tmp_path, files)))] == ["CMakeLists.txt"]
    (tmp_path / "CMakeLists.txt").unlink()
    assert {b.file for b in builds_of(SourceTree(tmp_path))} == {"util/Makefile", "deps/x/configure"}


def test_a_build_of_an_example_is_none_of_the_product(tmp_path: Path) -> None:
    tree = SourceTree(written(tmp_path, {"examples/Makefile": "all:\n", "src/Makefile": "all:\n"}))
    assert [b.file for b in builds_of(tree)] == ["src/Makefile"]


def test_a_makefile_beside_a_configure_script_is_its(tmp_path: Path) -> None:
    files = {"configure": "#!/bin/sh\n", "Makefile": "all:\n", "meson.build": "project('p')\n"}
    assert [b.kind for b in builds_of(SourceTree(written(tmp_path, files)))] == ["meson", "configure"]


SAID = Stop(Kind.SAID, "Makefile", 3, "no")


def _certainties(base: Ran, other: Ran, platforms: Platforms) -> list[Certainty]:
    return [c for _stop, c in compare(base, other, Words(platforms.file.architectures.values())).stops]


def test_what_stops_on_the_platform_alone_is_certain(platforms: Platforms) -> None:
    assert _certainties(Ran(whole=True), Ran(False, (SAID,)), platforms) == [Certainty.CERTAIN]


def test_what_stops_on_x86_64_too_is_no_finding_and_not_judged(platforms: Platforms) -> None:
    judged = compare(Ran(False, (SAID,)), Ran(False, (SAID,)), Words(platforms.file.architectures.values()))
    assert not judged.stops and judged.why


def test_the_same_target_of_two_machines_is_one(platforms: Platforms) -> None:
    one = Stop(Kind.COMMAND, "Makefile", 9, "x", "obj/x86_64/a.o")
    other = Stop(Kind.COMMAND, "Makefile", 9, "x", "obj/aarch64/a.o")
    assert not _certainties(Ran(False, (one,)), Ran(False, (other,)), platforms)


def test_where_x86_64_stopped_elsewhere_it_may_be(platforms: Platforms) -> None:
    earlier = Stop(Kind.SAID, "CMakeLists.txt", 4, "no NASM")
    later = Stop(Kind.SAID, "CMakeLists.txt", 20, "no Qt")
    assert _certainties(Ran(False, (earlier,), seen={"CMakeLists.txt": 4}), Ran(False, (later,)), platforms) == [
        Certainty.GUARDED
    ]
    assert _certainties(Ran(False, (later,), seen={"CMakeLists.txt": 20}), Ran(False, (earlier,)), platforms) == [
        Certainty.CERTAIN
    ], "x86-64 went past it"


def test_what_we_cannot_run_is_never_the_trees_fault(platforms: Platforms) -> None:
    words = Words(platforms.file.architectures.values())
    for other in (
        Ran(False, (Stop(Kind.LACKING, "Makefile", 2, "nasm: not found"),)),
        Ran(False, (Stop(Kind.COMMAND, "Makefile", 2, "x"),), unstarted=True),
        Ran(False, lost=verbatim("no end in time")),
        Ran(
            False,
            (of_configure("configure", "", "configure:2: error: cannot run test program while cross compiling\n"),),
        ),
    ):
        judged = compare(Ran(whole=True), other, words)
        assert not judged.stops and judged.why


def test_a_trial_that_fails_on_the_platform_alone_leaves_a_command_open(platforms: Platforms) -> None:
    failed = {"t": "cc", "k": "tried", "c": 1}
    stop = Stop(Kind.COMMAND, "Makefile", 2, "x", "a")
    assert _certainties(Ran(whole=True), Ran(False, (stop,), (failed,)), platforms) == [Certainty.GUARDED]
    assert _certainties(Ran(whole=True, calls=(failed,)), Ran(False, (stop,), (failed,)), platforms) == [
        Certainty.CERTAIN
    ]


def test_a_stand_in_writes_json_as_json_does() -> None:
    values: tuple[object, ...] = ('a"b\n\udc80é', 3, -1, True, None, ["a", {"b": [False, 2]}], {}, ())
    for value in values:
        assert json.loads(stand_in.as_json(value)) == json.loads(json.dumps(value))


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/t/conftest.c", True),
        ("/t/conftest.dir/a.c", True),
        ("/t/CMakeFiles/CMakeScratch/TryCompile-x1/a.c", True),
        ("/t/CMakeFiles/3.25/CompilerIdC/a.c", True),
        ("/t/src/myconftest.c", False),
        ("/t/CMakeScratches/a.c", False),
    ],
)
def test_where_things_are_tried_out(path: str, wanted: bool) -> None:
    assert stand_in.in_scratch(path) is wanted


@pytest.mark.parametrize(
    ("word", "wanted"),
    [("-msse2", True), ("-m64", True), ("-march=armv8-a", True), ("-march=native", False), ("-macosx-version", False),
     ("-mtune=generic", False), ("-m", False), ("-MD", False), ("-fcf-protection=full", True), ("-f", False)],
)  # fmt: skip
def test_which_options_are_of_a_machine(word: str, wanted: bool) -> None:
    assert stand_in.asks_clang(word) is wanted
