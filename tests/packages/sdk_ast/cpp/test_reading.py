"""Headers in C++ as they are delivered: their standard, their libraries, and what cannot be read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.ccases import compiler
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.packages.sdk_ast.cpp.reader import only_in_cpp
from pytest_xinchuang.packages.sdk_ast.cpp.standard import named
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources, language_of
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.cpp.pairs import diff, put, told


@pytest.mark.parametrize(
    ("text", "standard"),
    [
        ("Cflags: -std=c++20 -I/x", 20),
        ("-std=gnu++2a", 20),
        ("target_compile_features(x PUBLIC cxx_std_14)", 14),
        ("set_target_properties(x PROPERTIES CXX_STANDARD 23)", 23),
        ("-std=c++17 -std=c++11", 17),
        ("-std=c99", 0),
        ("-std=c++zz", 0),
        ("", 0),
    ],
)
def test_a_standard_that_is_named(text: str, standard: int) -> None:
    assert named(text) == standard


@pytest.mark.parametrize(
    ("files", "language"),
    [
        ({"a.hpp": "int f();"}, "cpp"),
        ({"a.hh": "int f();"}, "cpp"),
        ({"a.h": "namespace n { int f(); }"}, "cpp"),
        ({"a.h": "#include <vector>\nint f();"}, "cpp"),
        ({"a.h": "struct A {\nprivate:\nint x;\n};"}, "cpp"),
        ({"a.h": "int f(void);"}, "c"),
        ({"a.h": "#include <stdint.h>\nint f(int class_);"}, "c"),
        ({"a.h": '#ifdef __cplusplus\nextern "C" {\nnamespace n { }\n#endif\nint f(void);'}, "c"),
        ({"a.h": "/* namespace n { } */\nint f(void);"}, "c"),
        ({"a.h": b"\xff\xfe\x00\x01"}, "c"),
    ],
)
def test_cpp_is_told_from_c(tmp_path: Path, files: dict[str, str | bytes], language: str) -> None:
    put(tmp_path, files)
    assert language_of(tmp_path) == language
    assert only_in_cpp(tmp_path) is (language == "cpp")


def test_the_standard_that_works_is_found_and_told(tmp_path: Path) -> None:
    old = {"a.hpp": "template <class T> int f(T);"}
    new = {"a.hpp": "template <class T> concept C = true;\ntemplate <C T> int f(T);"}
    found = diff(tmp_path, old, new)
    assert (found.old.header.minimum, found.new.header.minimum) == ("C++17", "C++20")
    assert "CPP-STANDARD-RAISED" in told(found, "breaking")


def test_concepts_and_constraints(tmp_path: Path) -> None:
    pc = {"a.pc": "Cflags: -std=c++20\n"}
    old = {
        "a.hpp": "template <class T> concept C = sizeof(T) > 1;\ntemplate <class T> requires (sizeof(T) > 1) struct S { };"
    }
    new = {
        "a.hpp": "template <class T> concept C = sizeof(T) > 2;\ntemplate <class T> requires (sizeof(T) > 2) struct S { };"
    }
    assert told(diff(tmp_path, pc | old, pc | new)) >= {"CPP-CONCEPT-CHANGED", "CPP-CONSTRAINT-CHANGED"}


def test_a_using_declaration_of_a_class(tmp_path: Path) -> None:
    base = "struct B { int f(int); };\n"
    old = {"a.hpp": base + "struct A : B { using B::f; int f(char *); };"}
    new = {"a.hpp": base + "struct A : B { int f(char *); };"}
    assert diff(tmp_path, old, new).breaking


@pytest.mark.parametrize(
    "broken",
    ["int f() { return 1 }", "struct {{{", "template <class", "\x00\x01\x02\x7fELF", "#error no\nint f();", "class A : B { };"],
    ids=["body", "braces", "cut", "binary", "error", "base"],
)  # fmt: skip
def test_a_header_that_does_not_compile(tmp_path: Path, broken: str) -> None:
    good = {"a.hpp": "int f();\nclass B;"}
    found = diff(tmp_path / "1", good, {"a.hpp": broken}, clients=True)
    assert found.breaking
    assert found.new.problems
    back = diff(tmp_path / "2", {"a.hpp": broken}, good, clients=True)
    assert back.breaking or back.undecided
    same = diff(tmp_path / "3", {"a.hpp": broken}, {"a.hpp": broken + "\n// more"}, clients=True)
    assert same.undecided or same.breaking


def test_a_header_that_is_missing(tmp_path: Path) -> None:
    found = diff(tmp_path, {"a.hpp": "int f();"}, {"a.hpp": "#include <nowhere.hpp>\nint f();"}, clients=True)
    assert found.undecided and not found.breaking
    assert "a.hpp:1: 'nowhere.hpp' file not found" in str(found.new.problems[0])


def test_no_header(tmp_path: Path) -> None:
    put(tmp_path, {"readme.txt": "no"})
    with (
        Sources(Cache(), ReadOptions(language="cpp")) as sources,
        pytest.raises(XcError, match="there is no header in it"),
    ):
        sources.read(str(tmp_path))


def test_a_target_that_is_not_known(tmp_path: Path) -> None:
    put(tmp_path, {"a.hpp": "int f();"})
    with (
        Sources(Cache(), ReadOptions(language="cpp", targets=("linux/mips",))) as sources,
        pytest.raises(XcError, match="is no target that C can be read for"),
    ):
        sources.read(str(tmp_path))


@pytest.mark.tools
def test_a_library_that_is_none_or_stripped(tmp_path: Path) -> None:
    header = {"a.hpp": "int f();\nint g();"}
    for side, functions in (("old", "int f() { return 1; } int g() { return 2; }"), ("new", "int f() { return 1; }")):
        put(tmp_path / side, {**header, "a.cc": functions})
        argv = [*compiler(cxx=True), "-shared", "-fPIC", "-o", "liba.so", "a.cc"]
        subprocess.run(argv, cwd=tmp_path / side, check=True)
        if strip := shutil.which("strip"):
            subprocess.run([strip, "liba.so"], cwd=tmp_path / side, check=True)
    found = diff(tmp_path, {}, {}, clients=True)
    assert [one.change.symbol for one in found.changes if one.rule.id == "C-EXPORT-REMOVED"] == ["g()"]
    (tmp_path / "new/liba.so").write_bytes(b"\x7fELF garbage")
    assert diff(tmp_path, {}, {}, clients=True).undecided


def test_what_is_private_or_a_librarys_own_breaks_nobody(tmp_path: Path) -> None:
    old = {"a.hpp": "namespace n { namespace detail { int h(); } class A { int x; int p(); public: int f(); }; }"}
    new = {"a.hpp": "namespace n { namespace detail { int k(); } class A { int y; int q(); public: int f(); }; }"}
    found = diff(tmp_path, old, new, clients=True)
    assert not found.breaking and not found.undecided
    assert told(found, "fragile") == {"CPP-INTERNAL-CHANGED"}


def test_layouts_differ_by_architecture(tmp_path: Path) -> None:
    put(tmp_path, {"a.hpp": "#include <cstddef>\nstruct A { long double x; std::size_t n; };"})
    targets = ("linux/amd64", "linux/arm64", "linux/loong64")
    with Sources(Cache(), ReadOptions(language="cpp", targets=targets)) as sources:
        found = sources.read(str(tmp_path))
        assert not found.problems
        for target in targets:
            package = found.package("include", target)
            assert package is not None and package.symbols["A"]["size"] == 32


FACADE = "#define LIB_INLINE\n#include <lib.hpp>\n"
SWITCHED = (
    "#ifndef LIB_HPP\n#define LIB_HPP\n#ifdef LIB_INLINE\n"
    "inline int lib_f({inline}) {{ return 1; }}\n#else\nint lib_f({plain});\n#endif\n#endif\n"
)


@pytest.mark.parametrize(("plain", "inline"), [("int a", ""), ("", "int a")])
def test_a_header_that_another_one_switches_is_read_by_itself_too(tmp_path: Path, plain: str, inline: str) -> None:
    old = {"lib.hpp": SWITCHED.format(plain="", inline=""), "all.hpp": FACADE}
    new = {"lib.hpp": SWITCHED.format(plain=plain, inline=inline), "all.hpp": FACADE}
    assert not diff(tmp_path, old, old).changes
    comparison = diff(tmp_path / "2", old, new)
    assert comparison.breaking and not comparison.undecided


def test_a_header_that_needs_the_standards_before_it_is_read_after_them(tmp_path: Path) -> None:
    old = {"a.hpp": "int f(std::string n);\nint g();\n"}
    assert not diff(tmp_path, old, old, clients=True).changes
    comparison = diff(tmp_path / "2", old, {"a.hpp": "int f(std::vector<int> n);\nint g();\n"}, clients=True)
    assert comparison.breaking and not comparison.undecided
    lost = {"a.hpp": "#include <string>\nint f(std::string n);\nint g();\n"}
    assert "C-HEADER-BROKEN" in told(diff(tmp_path / "3", lost, old))
    twin = diff(tmp_path / "4", {"a.hpp": "unknown f();"}, {"a.hpp": "unknown f();\nint g();"})
    assert twin.undecided and not twin.breaking


def test_a_link_to_a_header_is_that_header(tmp_path: Path) -> None:
    for side, text in (("old", "int f();\nint g();\n"), ("new", "int f();\n")):
        root = put(
            tmp_path / side, {"include/lib-1/a.hpp": text, "lib/pkgconfig/lib.pc": "Cflags: -I/usr/include/lib-1\n"}
        )
        (root / "include/a.hpp").symlink_to("lib-1/a.hpp")
    comparison = diff(tmp_path, {}, {})
    assert told(comparison) == {"CPP-FUNC-REMOVED"} and not comparison.undecided
