"""Builds are run as each platform: what stops there is told at its place, and its twin with an arm for all stays clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.advise.builds import kinds
from pytest_xinchuang.advise.builds.record import recorded
from pytest_xinchuang.advise.builds.survey import BuildsSurvey
from pytest_xinchuang.advise.c.code import CodeSurvey
from pytest_xinchuang.advise.c.survey import CSurvey
from pytest_xinchuang.advise.c.units import Language
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import triple_of
from pytest_xinchuang.core.advice import Standing
from pytest_xinchuang.core.platform import Platforms
from tests.advise.builds.trees import ASKED, said, told, whole, work_for, written

pytestmark = pytest.mark.tools


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where zig keeps what it makes, and builds are kept."""
    return tmp_path_factory.mktemp("kept")


C = "int f(void) { return 0; }\n"
CMAKE = """cmake_minimum_required(VERSION 3.13)
project(p C)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(CPU x86)
{arm}else()
  message(FATAL_ERROR "unknown processor ${{CMAKE_SYSTEM_PROCESSOR}}")
endif()
configure_file(config.h.in config.h)
add_library(p STATIC a.c)
target_include_directories(p PRIVATE ${{CMAKE_CURRENT_BINARY_DIR}})
{more}"""


def cmake(arm: str = "", more: str = "") -> dict[str, str]:
    return {
        "CMakeLists.txt": CMAKE.format(arm=arm, more=more),
        "config.h.in": '#define CPU "@CPU@"\n',
        "a.c": '#include "config.h"\n' + C,
    }


def test_cmake_that_knows_no_other_processor(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    found = said(platforms, tmp_path, cmake(), BuildsSurvey(), kept=kept)
    for name in ("kunpeng", "loongson"):
        assert told(found[name]) == [("XC-ADV-040", "certain", "CMakeLists.txt:6")], name
        assert found[name].standing is Standing.STOPPED
    assert not found["hygon"].findings and whole([found["hygon"]])


def test_cmake_with_an_arm_for_each(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    arm = 'elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|loongarch64")\n  set(CPU other)\n'
    found = said(platforms, tmp_path, cmake(arm), BuildsSurvey(), kept=kept)
    assert not any(a.findings for a in found.values()) and whole(list(found.values()))
    tree = SourceTree(tmp_path / "tree")
    work = work_for(platforms, tmp_path / "scratch", kept=kept)
    for platform in work.platforms:
        units = recorded(tree, work, triple_of(platform))
        assert units is not None and not units.guessed
        (unit,) = units.units
        assert (unit.source, unit.language) == ("a.c", Language.C)
        assert unit.words[0] == "-ivfsoverlay" and "xc-build/config.h" in Path(unit.words[1]).read_text()
        assert f"-I{tree.root}/xc-build" in unit.words


def test_cmake_that_lacks_a_package_everywhere_is_not_judged(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    arm = "elseif(TRUE)\n  set(CPU any)\n"
    found = said(platforms, tmp_path, cmake(arm, "find_package(Nowhere REQUIRED)\n"), BuildsSurvey(), kept=kept)
    for advice in found.values():
        assert not advice.findings and advice.standing is Standing.OPEN and advice.parts[0].why


def test_cmake_that_gives_an_option_to_every_compiler(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    arm = "elseif(TRUE)\n  set(CPU any)\n"
    found = said(
        platforms, tmp_path, cmake(arm, "target_compile_options(p PRIVATE -mavx2)\n"), BuildsSurvey(), kept=kept
    )
    for name in ("kunpeng", "loongson"):
        assert told(found[name]) == [("XC-ADV-041", "certain", "CMakeLists.txt:13")], name
    assert not found["hygon"].findings


def test_cmake_that_asks_the_compiler_first(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    arm = "elseif(TRUE)\n  set(CPU any)\n"
    more = (
        "include(CheckCCompilerFlag)\ncheck_c_compiler_flag(-mavx2 HAS_AVX2)\n"
        "if(HAS_AVX2)\n  target_compile_options(p PRIVATE -mavx2)\nendif()\n"
    )
    found = said(platforms, tmp_path, cmake(arm, more), BuildsSurvey(), kept=kept)
    assert not any(a.findings for a in found.values()) and whole(list(found.values()))


def test_cmake_that_lacks_what_its_tests_need_is_run_without_them(
    platforms: Platforms, tmp_path: Path, kept: Path
) -> None:
    more = 'option(P_BUILD_TESTS "" ON)\nif(P_BUILD_TESTS)\n  add_subdirectory(third_party/gtest)\nendif()\n'
    found = said(platforms, tmp_path, cmake("elseif(TRUE)\n  set(CPU any)\n", more), BuildsSurvey(), kept=kept)
    for advice in found.values():
        assert not advice.findings and whole([advice])
        assert "P_BUILD_TESTS=OFF" in str(advice.parts[0].found)


def test_cmake_whose_tests_know_one_machine_is_told_of_them(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    """Without its tests it would build: what x86-64 has of the product is not the platform's."""
    more = (
        'option(P_BUILD_TESTS "" ON)\n'
        'if(P_BUILD_TESTS AND NOT CPU STREQUAL x86)\n  message(FATAL_ERROR "no tests")\nendif()\n'
    )
    found = said(platforms, tmp_path, cmake("elseif(TRUE)\n  set(CPU any)\n", more), BuildsSurvey(), kept=kept)
    for name in ("kunpeng", "loongson"):
        assert told(found[name]) == [("XC-ADV-040", "certain", "CMakeLists.txt:15")], name
    assert not found["hygon"].findings and whole([found["hygon"]])


MAKEFILE = """ARCH := $(shell uname -m)
ifeq ($(ARCH),x86_64)
FLAGS = -DX86
{arm}else
$(error unsupported machine $(ARCH))
endif
all: a.o table.h
a.o: a.c
\t$(CC) $(FLAGS) -c a.c -o a.o
gen: gen.c
\t$(CC) -o gen gen.c
table.h: gen
\t./gen > table.h
"""
GEN = '#include <stdio.h>\nint main(void) { puts("#define T 1"); return 0; }\n'


def test_a_makefile_that_knows_no_other_machine(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    files = {"Makefile": MAKEFILE.format(arm=""), "a.c": C, "gen.c": GEN}
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    for name in ("kunpeng", "loongson"):
        assert told(found[name]) == [("XC-ADV-040", "certain", "Makefile:5")], name
    assert not found["hygon"].findings and whole([found["hygon"]])


def test_a_makefile_with_an_arm_for_one(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    files = {"Makefile": MAKEFILE.format(arm="else ifeq ($(ARCH),aarch64)\nFLAGS = -DARM\n"), "a.c": C, "gen.c": GEN}
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    assert not found["kunpeng"].findings and whole([found["kunpeng"]]), "its generator is run"
    assert told(found["loongson"]) == [("XC-ADV-040", "certain", "Makefile:7")]
    tree, work = SourceTree(tmp_path / "tree"), work_for(platforms, tmp_path / "scratch", kept=kept)
    units = recorded(tree, work, triple_of(work.platforms[0]))
    assert units is not None and {u.source for u in units.units} == {"a.c", "gen.c"}
    assert "-DARM" in next(u for u in units.units if u.source == "a.c").words
    assert "table.h" in Path(units.units[0].words[1]).read_text()


def test_what_a_build_makes_is_seen_by_each_survey(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    makefile = "all: a.o\na.o: a.c\n\techo '#define ANSWER 42' > made.h\n\t$(CC) -c a.c -o a.o\n"
    files = {"Makefile": makefile, "a.c": '#include "made.h"\nint f(void) { return ANSWER; }\n'}
    for survey in (CSurvey((recorded,)), CodeSurvey((recorded,))):
        assert whole(list(said(platforms, tmp_path, files, survey, kept=kept).values())), survey.name


def test_an_option_that_the_compiler_refuses(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    makefile = "CFLAGS = -O2 -mavx2\nall: a.o\na.o: a.c\n\t$(CC) $(CFLAGS) -c a.c -o a.o\n"
    found = said(platforms, tmp_path, {"Makefile": makefile, "a.c": C}, BuildsSurvey(), kept=kept)
    for name in ("kunpeng", "loongson"):
        assert told(found[name]) == [("XC-ADV-041", "certain", "Makefile:1")], name
    assert not found["hygon"].findings and whole([found["hygon"]])


def test_an_option_for_code_that_the_compiler_refuses(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    makefile = "CFLAGS = -O2 -fPIC -fno-plt -fcf-protection=full\nall: a.o\na.o: a.c\n\t$(CC) $(CFLAGS) -c a.c -o a.o\n"
    found = said(platforms, tmp_path, {"Makefile": makefile, "a.c": C}, BuildsSurvey(), kept=kept)
    for name in ("kunpeng", "loongson"):
        assert [f.params["option"] for f in found[name].findings] == ["-fcf-protection=full"], name
        assert told(found[name])[0][1] == "certain"
    assert not found["hygon"].findings and whole([found["hygon"]])


def test_an_option_that_gcc_has_for_x86_alone(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    makefile = "CFLAGS = -O2 -m64 -msse4.2\nall: a.o\na.o: a.c\n\t$(CC) $(CFLAGS) -c a.c -o a.o\n"
    found = said(platforms, tmp_path, {"Makefile": makefile, "a.c": C}, BuildsSurvey(), kept=kept)
    for name in ("kunpeng", "loongson"):
        assert told(found[name]) == [("XC-ADV-044", "certain", "Makefile:1")] * 2, name
    assert not found["hygon"].findings and whole([found["hygon"]])


def test_an_option_of_x86_where_clang_is_asked_for_by_its_name(
    platforms: Platforms, tmp_path: Path, kept: Path
) -> None:
    makefile = "CFLAGS = -O2 -m64\nall: a.o\na.o: a.c\n\tclang $(CFLAGS) -c a.c -o a.o\n"
    found = said(platforms, tmp_path, {"Makefile": makefile, "a.c": C}, BuildsSurvey(), kept=kept)
    for name in ("kunpeng", "loongson"):
        assert told(found[name]) == [("XC-ADV-044", "guarded?", "Makefile:1")], name
        assert found[name].standing is Standing.OPEN


def test_an_option_that_is_tried_first_is_answered_as_gcc_does(
    platforms: Platforms, tmp_path: Path, kept: Path
) -> None:
    makefile = (
        "ifeq ($(shell $(CC) -msse4.2 -E - < /dev/null > /dev/null 2>&1 && echo yes),yes)\nCFLAGS = -msse4.2\nendif\n"
        "all: a.o\na.o: a.c\n\t$(CC) $(CFLAGS) -c a.c -o a.o\n"
    )
    found = said(platforms, tmp_path, {"Makefile": makefile, "a.c": C}, BuildsSurvey(), kept=kept)
    assert not any(a.findings for a in found.values()) and whole(list(found.values()))
    tree, work = SourceTree(tmp_path / "tree"), work_for(platforms, tmp_path / "scratch", kept=kept)
    words = [u.units[0].words for p in work.platforms if (u := recorded(tree, work, triple_of(p)))]
    assert ["-msse4.2" in w for w in words] == [False, False, True]


def test_options_that_every_compiler_takes(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    makefile = "CFLAGS = -O2 -march=native -mtune=generic -Wall\nall: a.o\na.o: a.c\n\t$(CC) $(CFLAGS) -c a.c -o a.o\n"
    found = said(platforms, tmp_path, {"Makefile": makefile, "a.c": C}, BuildsSurvey(), kept=kept)
    assert not any(a.findings for a in found.values()) and whole(list(found.values()))


def test_a_file_that_only_x86_64_has(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    makefile = "ARCH := $(shell uname -m)\nall: arch/$(ARCH).o\narch/%.o: arch/%.c\n\t$(CC) -c $< -o $@\n"
    found = said(
        platforms, tmp_path, {"Makefile": makefile, "arch/x86_64.c": C, "arch/aarch64.c": C}, BuildsSurvey(), kept=kept
    )
    assert not found["kunpeng"].findings
    assert told(found["loongson"]) == [("XC-ADV-043", "certain", "Makefile")]


def test_what_is_broken_everywhere_under_each_machines_name(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    makefile = (
        "ARCH := $(subst x86_64,amd64,$(shell uname -m))\nall: a.o Linux-$(ARCH)/x.tar\n"
        "a.o: a.c\n\t$(CC) -c a.c\nLinux-$(ARCH)/x.tar:\n\tcp nowhere.tar $@\n"
    )
    found = said(platforms, tmp_path, {"Makefile": makefile, "a.c": C}, BuildsSurvey(), kept=kept)
    for advice in found.values():
        assert not advice.findings and advice.standing is Standing.OPEN


def test_what_is_broken_everywhere_is_no_fault_of_a_platform(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    found = said(platforms, tmp_path, {"Makefile": "all:\n\texit 1\n"}, BuildsSurvey(), kept=kept)
    for advice in found.values():
        assert not advice.findings and advice.standing is Standing.OPEN


def test_a_build_that_compiles_nothing_is_never_clean(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    found = said(platforms, tmp_path, {"Makefile": "all:\n\techo usage\n"}, BuildsSurvey(), kept=kept)
    assert all(a.standing is Standing.OPEN and a.parts[0].why for a in found.values())


def test_a_makefile_whose_first_target_tells_how_to_use_it(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    makefile = "help:\n\t@echo use make all\nall: a.o\na.o: a.c\n\t$(CC) -mavx2 -c a.c -o a.o\n"
    found = said(platforms, tmp_path, {"Makefile": makefile, "a.c": C}, BuildsSurvey(), kept=kept)
    for name in ("kunpeng", "loongson"):
        assert told(found[name]) == [("XC-ADV-041", "certain", "Makefile:5")], name
    assert not found["hygon"].findings and whole([found["hygon"]])


def test_nothing_is_run_where_that_was_asked_for(platforms: Platforms, tmp_path: Path) -> None:
    found = said(platforms, tmp_path, {"Makefile": "$(shell touch ran)\nall:\n"}, BuildsSurvey(), build=False)
    assert all(a.standing is Standing.OPEN and a.parts[0].why for a in found.values())


def test_a_build_sees_nothing_of_the_tree_itself_and_ends(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    makefile = f"all:\n\ttouch {tmp_path}/tree/written; cat {secret} && exit 1 || true\n"
    said(platforms, tmp_path, {"Makefile": makefile}, BuildsSurvey(), kept=kept)
    assert not (tmp_path / "tree/written").exists()


CONFIGURE = """#!/bin/sh
# Generated by GNU Autoconf 2.69.
host=
for word do case $word in --host=*) host=${word#--host=} ;; esac; done
host=`/bin/sh ./config.sub $host` || { echo "configure: error: config.sub failed" >&2; exit 1; }
case $host in
ARMS) ;;
*) echo "configure:9: error: unsupported host $host" > config.log
   echo "configure: error: unsupported host $host" >&2; exit 1 ;;
esac
cat > conftest.c <<EOF
int main(void) { return 0; }
EOF
gcc conftest.c -o conftest || exit 1
printf 'all: a.o\\na.o: a.c\\n\\t$(CC) -c a.c -o a.o\\n' > Makefile
"""
OLD = """#!/bin/sh
timestamp='2009-11-20'
case $1 in
x86_64-*) echo x86_64-pc-linux-gnu ;;
KNOWN) echo $1 ;;
*) echo "Invalid configuration \\`$1'" >&2; exit 1 ;;
esac
"""


def test_a_configure_script_that_refuses(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    files = {
        "configure": CONFIGURE.replace("ARMS", "x86_64*|aarch64*"),
        "config.sub": OLD.replace("KNOWN", "*-linux-gnu"),
        "a.c": C,
    }
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    assert told(found["loongson"]) == [("XC-ADV-040", "certain", "configure:9")]
    for name in ("kunpeng", "hygon"):
        assert not found[name].findings and whole([found[name]]), name


def test_a_configure_script_that_is_to_be_made_first(
    platforms: Platforms, tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``make -fi`` reads the makefile ``i``: it stands in for ``autoreconf -fi``, which not every host has."""
    program = kinds._program
    monkeypatch.setattr(kinds, "_program", lambda name: program("make" if name == "autoreconf" else name))
    files = {
        "configure.ac": "AC_INIT([p], [1])\n",
        "i": "all:\n\tcp made.in configure\n",
        "made.in": CONFIGURE.replace("ARMS", "x86_64*|aarch64*"),
        "config.sub": OLD.replace("KNOWN", "*-linux-gnu"),
        "Makefile": "all:\n\texit 1\n",
        "a.c": C,
    }
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    assert told(found["loongson"]) == [("XC-ADV-040", "certain", "configure.ac")]
    for name in ("kunpeng", "hygon"):
        assert not found[name].findings and whole([found[name]]), name


def test_a_configure_script_that_cannot_be_made_is_not_judged(
    platforms: Platforms, tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = kinds._program
    monkeypatch.setattr(kinds, "_program", lambda name: None if name == "autoreconf" else program(name))
    found = said(platforms, tmp_path, {"configure.ac": "AC_INIT([p], [1])\n", "a.c": C}, BuildsSurvey())
    for advice in found.values():
        assert not advice.findings and "autoreconf" in str(advice.parts[0].why[0][0])


SETUP = """from setuptools import Extension, setup
import platform
flags = {"x86_64": ["-DX86"], ARMS}[platform.machine()]
setup(name="p", version="1", ext_modules=[Extension("p", ["p.c"], extra_compile_args=flags)])
"""
PYTHON_C = "#include <Python.h>\nPyObject *PyInit_p(void) { return NULL; }\n"


def test_a_setup_py_that_knows_one_machine_less(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    files = {"setup.py": SETUP.replace("ARMS", '"aarch64": ["-DARM"]'), "p.c": PYTHON_C}
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    assert told(found["loongson"]) == [("XC-ADV-043", "certain", "setup.py")]
    for name in ("kunpeng", "hygon"):
        assert not found[name].findings and whole([found[name]]), name
    tree, work = SourceTree(tmp_path / "tree"), work_for(platforms, tmp_path / "scratch", kept=kept)
    units = recorded(tree, work, triple_of(work.platforms[0]))
    assert units is not None and "-DARM" in units.units[0].words
    survey = said(platforms, tmp_path, files, CSurvey((recorded,)), kept=kept)
    assert whole([survey["kunpeng"]]), "Python's own headers are found"


NESTED = """#!/bin/sh
# Generated by GNU Autoconf 2.71.
cross_compiling=no
test -r "$CONFIG_SITE" && . "$CONFIG_SITE"
cat > conftest.c <<EOF
int main(void) { return 0; }
EOF
cc -o conftest conftest.c || exit 1
if test "$cross_compiling" != yes; then
  ./conftest || { echo "configure: error: cannot run C compiled programs." >&2; exit 1; }
fi
echo "#define MADE 1" > made.h
"""


def test_a_configure_script_that_a_makefile_starts(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    makefile = "all: a.o\na.o: a.c\n\tcd deps && sh ./configure\n\t$(CC) -Ideps -c a.c -o a.o\n"
    files = {"Makefile": makefile, "deps/configure": NESTED, "a.c": '#include "made.h"\nint f(void) { return MADE; }\n'}
    for survey in (BuildsSurvey(), CSurvey((recorded,))):
        found = said(platforms, tmp_path, files, survey, kept=kept)
        assert not any(a.findings for a in found.values()) and whole(list(found.values())), survey.name


def test_a_header_that_the_build_makes_for_x86_64_is_the_builds_matter(
    platforms: Platforms, tmp_path: Path, kept: Path
) -> None:
    makefile = (
        "ARCH := $(shell uname -m)\nall: b.o a.o\nb.o: b.c\n\ttest $(ARCH) = x86_64\n\techo '#define A' > made.h\n"
        "\t$(CC) -c b.c -o b.o\na.o: a.c\n\t$(CC) -c a.c -o a.o\n"
    )
    files = {"Makefile": makefile, "a.c": '#include "made.h"\n' + C, "b.c": C}
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    assert told(found["kunpeng"]) == [("XC-ADV-043", "certain", "Makefile:4")]
    found = said(platforms, tmp_path, files, CSurvey((recorded,)), kept=kept)
    assert told(found["kunpeng"]) == [("XC-ADV-006", "guarded?", "a.c:1")]


def test_a_setup_py_whose_python_lacks_something_is_not_judged(
    platforms: Platforms, tmp_path: Path, kept: Path
) -> None:
    files = {"setup.py": "import nowhere_at_all\next_modules = []\n", "p.c": C}
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    for advice in found.values():
        assert not advice.findings and "nowhere_at_all" in str(advice.parts[0].why[0][0])


def test_a_trial_in_the_c_of_old_scripts(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    """Autoconf before 2.50 tries ``main(){return(0);}``, which GCC before 14 takes."""
    files = {
        "configure": CONFIGURE.replace("ARMS", "*").replace("int main(void) { return 0; }", "main(){return(0);}"),
        "config.sub": OLD.replace("KNOWN", "*-linux-gnu"),
        "a.c": C,
    }
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    assert not any(a.findings for a in found.values()) and whole(list(found.values()))


def test_a_config_sub_that_is_too_old(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    files = {"configure": CONFIGURE.replace("ARMS", "*"), "config.sub": OLD.replace("KNOWN", "aarch64-*"), "a.c": C}
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    assert told(found["loongson"]) == [("XC-ADV-042", "certain", "config.sub")]
    (finding,) = found["loongson"].findings
    assert finding.params["date"] == "2009-11-20" and finding.params["since"] == "2020-12-22"
    assert whole([found["loongson"]]), "what comes after it was seen too"
    assert not found["kunpeng"].findings


def test_a_config_sub_that_no_script_uses_is_none_of_the_build(
    platforms: Platforms, tmp_path: Path, kept: Path
) -> None:
    files = {"Makefile": "all: a.o\n", "a.c": C, "old/config.sub": OLD}
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    assert not any(a.findings for a in found.values())


def test_a_build_is_run_once_and_taken_from_what_is_kept(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    tree = SourceTree(written(tmp_path / "tree", {"Makefile": "all: a.o\n", "a.c": C}))
    for number in range(2):
        scratch = tmp_path / f"scratch{number}"
        scratch.mkdir()
        work = work_for(platforms, scratch, kept=kept)
        units = [recorded(tree, work, triple_of(p)) for p in work.platforms]
        assert all(u is not None and [x.source for x in u.units] == ["a.c"] for u in units)
        assert any((scratch / "builds").rglob("state")) is False, "nothing of the run itself is left"
    assert len(ASKED) == len(units)


@pytest.mark.parametrize("word", ["-Wl,-z,max-page-size=4096", "-z max-page-size=0x1000"])
def test_what_is_linked_for_short_pages(platforms: Platforms, tmp_path: Path, kept: Path, word: str) -> None:
    makefile = f"LDFLAGS = -no-pie\nLDFLAGS += {word}\nprog: a.o\n\t$(CC) $(LDFLAGS) -o $@ a.o\n"
    files = {"Makefile": makefile, "a.c": "int main(void) { return 0; }\n"}
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    for name in ("kunpeng", "loongson"):
        assert told(found[name]) == [("XC-ADV-035", "guarded?", "Makefile:2")], name
    assert found["kunpeng"].findings[0].params["pages"] == "65536"
    assert not found["hygon"].findings


def test_its_twin_is_linked_for_the_longest(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    makefile = "prog: a.o\n\t$(CC) -Wl,-z,max-page-size=65536 -o $@ a.o\n"
    files = {"Makefile": makefile, "a.c": "int main(void) { return 0; }\n"}
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    assert not any(advice.findings for advice in found.values())
