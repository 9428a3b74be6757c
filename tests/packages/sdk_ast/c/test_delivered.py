"""What is delivered beside headers of C: include paths, pkg-config's files, and libraries, sound and damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.ccases import build_libraries, compiler
from pytest_xinchuang.packages.sdk_ast.c.delivered import delivered
from pytest_xinchuang.packages.sdk_ast.c.libraries import read_libraries
from pytest_xinchuang.packages.sdk_ast.c.macrocompare import macro_change
from pytest_xinchuang.packages.sdk_ast.c.macros import guards_of
from pytest_xinchuang.packages.sdk_ast.c.release import goes_back, of_the_release
from pytest_xinchuang.packages.sdk_ast.c.types import declaration
from pytest_xinchuang.packages.sdk_ast.compare import compare_across
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.c.test_rules import ALL, diff
from tests.packages.sdk_ast.trees import rules_of

INT = {"kind": "basic", "name": "int"}
TEXT = {"kind": "array", "elem": {"kind": "basic", "name": "char"}}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_header_is_named_from_its_include_path(tmp_path: Path) -> None:
    files = {
        "usr/include/lib-1/lib/a.h": "",
        "usr/include/x86_64-linux-gnu/conf.h": "",
        "usr/include/other.h": "",
        "usr/lib/pkgconfig/lib.pc": "prefix=/usr\nincludedir=${prefix}/include\nCflags: -I${includedir}/lib-1 -DX\n",
    }
    source = delivered(write(tmp_path, files))
    assert sorted(source.name(header) for header in source.headers) == ["conf.h", "lib/a.h", "other.h"]


@pytest.mark.parametrize(
    "text",
    ["Cflags: -I${a}\na=${b}\nb=${a}\n", "Cflags: -I/etc -I../../.. -I\n", "\0\xff", "a=${a}${a}\nCflags: -I${a}\n"],
)
def test_a_pkg_config_file_that_leads_nowhere(tmp_path: Path, text: str) -> None:
    source = delivered(write(tmp_path, {"include/a.h": "", "lib/pkgconfig/x.pc": text}))
    assert [source.name(header) for header in source.headers] == ["a.h"]


def test_a_lost_include_path_is_a_removed_header(tmp_path: Path) -> None:
    old = {"include/lib/a.h": "int f(void);", "lib/pkgconfig/lib.pc": "Cflags: -I/usr/include/lib\n"}
    new = {**old, "lib/pkgconfig/lib.pc": "Cflags: -I/usr/include\n"}
    assert rules_of(diff(tmp_path, old, new)) == {"C-HEADER-REMOVED": ["<a.h>"], "C-SYMBOL-ADDED": ["<lib/a.h>"]}


def test_a_link_to_a_header_is_that_header(tmp_path: Path) -> None:
    pc = {"lib/pkgconfig/lib.pc": "Cflags: -I/usr/include/lib-1\n"}
    for side, text in (("old", "int f(void);\nint g(void);\n"), ("new", "int f(void);\n")):
        root = write(tmp_path / side, {"include/lib-1/a.h": text, **pc})
        (root / "include/a.h").symlink_to("lib-1/a.h")
    comparison = diff(tmp_path, {}, {})
    assert rules_of(comparison) == {"C-FUNC-REMOVED": ["g"]} and not comparison.undecided
    package = comparison.old.package("include", ALL[0])
    assert package is not None
    headers = [s for s in package.symbols.items() if s[1]["kind"] == "header"]
    assert [(name, symbol["facts"]["declares"]) for name, symbol in headers] == [("<a.h>", ["f", "g"])]


def test_examples_in_the_documentation_are_no_api(tmp_path: Path) -> None:
    old = {"include/a.h": "int f(void);", "share/doc/lib/examples/common.h": "int g(void);"}
    assert not diff(tmp_path, old, {"include/a.h": "int f(void);"}).changes
    assert rules_of(diff(tmp_path / "2", {**old, "share/b.h": ""}, old)) == {"C-HEADER-REMOVED": ["<share/b.h>"]}


FACADE = "#define LIB_INLINE\n#include <lib.h>\n"
PLAIN = (
    "#ifndef LIB_H\n#define LIB_H\n#ifdef LIB_INLINE\n"
    "static inline int lib_f({inline}) {{ return 1; }}\n#else\nint lib_f({plain});\n#endif\n#endif\n"
)


@pytest.mark.parametrize(("plain", "inline"), [("int a", "void"), ("void", "int a")])
def test_a_header_that_another_one_switches_is_read_by_itself_too(tmp_path: Path, plain: str, inline: str) -> None:
    old = {"lib.h": PLAIN.format(plain="void", inline="void"), "all.h": FACADE}
    new = {"lib.h": PLAIN.format(plain=plain, inline=inline), "all.h": FACADE}
    assert not diff(tmp_path, old, old).changes
    assert rules_of(diff(tmp_path / "2", old, new)) == {"C-FUNC-PARAMS-CHANGED": ["lib_f"]}


@pytest.mark.parametrize("switch", ["#define NO_F\n#include <lib.h>\n", "#include <lib.h>\n#undef F\n"])
def test_what_a_header_no_longer_gives_of_another_is_lost(tmp_path: Path, switch: str) -> None:
    lib = {"lib.h": "#ifndef NO_F\n#define F 1\n#endif\n"}
    old, new = {**lib, "all.h": "#include <lib.h>\n"}, {**lib, "all.h": switch}
    assert rules_of(diff(tmp_path, old, new))["C-HEADER-NAME-LOST"] == ["F"]
    assert "C-HEADER-NAME-LOST" not in rules_of(diff(tmp_path / "2", new, old))
    assert not diff(tmp_path / "3", new, new).changes


def test_a_header_that_needs_the_standards_before_it_is_read_after_them(tmp_path: Path) -> None:
    old = {"a.h": "FILE *f(size_t n);\nint g(void);\n"}
    assert not diff(tmp_path, old, old).changes
    comparison = diff(tmp_path / "2", old, {"a.h": "FILE *f(size_t n, int flags);\nint g(void);\n"})
    assert rules_of(comparison) == {"C-FUNC-PARAMS-CHANGED": ["f"]} and comparison.breaking and not comparison.undecided
    alone = diff(tmp_path / "3", {"a.h": "#include <stdio.h>\nFILE *f(size_t n);\n"}, {"a.h": "FILE *f(size_t n);\n"})
    assert "C-HEADER-BROKEN" in rules_of(alone) and alone.breaking
    other = diff(tmp_path / "4", old, {"a.h": "FILE *f(size_t n);\nint g(struct s, unknown);\n"})
    assert "C-HEADER-BROKEN" in rules_of(other) and other.breaking
    twin = diff(tmp_path / "5", {"a.h": "unknown f(void);"}, {"a.h": "unknown f(void);\nint g(void);"})
    assert twin.undecided and not twin.breaking


def test_a_header_that_refuses_this_target_may_go_and_nobody_knows(tmp_path: Path) -> None:
    old = {"a.h": "int f(void);", "other.h": "#error for other compilers\n"}
    comparison = diff(tmp_path, old, {"a.h": "int f(void);"})
    assert comparison.undecided and not comparison.breaking


@pytest.mark.tools
def test_exports_with_versions_and_sizes(tmp_path: Path) -> None:
    source = "int v[4] = { 1 };\n__thread int t;\nint f(void) { return 0; }\nstatic int s(void) { return f(); }\n"
    write(tmp_path, {"old/src/case.c": source, "old/src/case.map": "V1 { global: f; v; t; local: *; };\n"})
    build_libraries(tmp_path)
    place = tmp_path / "old"
    found, problems = read_libraries(place, [place / "lib/libcase.so.1"])
    assert not problems
    exports = {
        name: symbol["facts"] for name, symbol in next(iter(found.values())).items() if symbol["kind"] == "export"
    }
    assert set(exports) == {f"{name}@V1 (libcase.so.1)" for name in ("f", "v", "t")}
    assert exports["v@V1 (libcase.so.1)"]["size"] == 16
    assert exports["t@V1 (libcase.so.1)"]["type"] == "tls"


@pytest.mark.tools
@pytest.mark.parametrize("length", [4, 20, 63, 200, 4000])
def test_a_damaged_library_is_told_and_no_pass(tmp_path: Path, length: int) -> None:
    write(tmp_path, {"old/lib.h": "int f(void);", "new/lib.h": "int f(void);"})
    write(tmp_path, {f"{side}/src/case.c": "int f(void) { return 0; }" for side in ("old", "new")})
    build_libraries(tmp_path)
    library = tmp_path / "new/lib/libcase.so.1"
    library.write_bytes(library.read_bytes()[:length])
    comparison = diff(tmp_path, {}, {})
    assert comparison.breaking or comparison.undecided, comparison.changes


def test_a_file_that_is_called_a_library(tmp_path: Path) -> None:
    write(tmp_path, {"a.h": "", "libx.so": "INPUT(libx.so.1)"})
    assert read_libraries(tmp_path, delivered(tmp_path).libraries) == ({}, [])


@pytest.mark.parametrize(
    ("text", "guards"),
    [
        ("#ifndef A\n#define A\n#endif", {"A"}),
        ("/* #define B */\n#if !defined(A)\n# define A 1\n#endif", {"A"}),
        ("#pragma once\n#define A", set()),
        ("#ifndef A\n#define B\n#endif", set()),
        ('#ifdef __cplusplus\nextern "C" {\n#endif\n#ifndef A\n#define A\nint f(void);\n#endif\n', {"A"}),
        (
            "#ifndef A\n#define A\nint f(void);\n#endif\n"
            "#if defined(X) && !defined(B)\n#define B\nint g(void);\n#endif\n",
            {"A", "B"},
        ),
        ("int f(void);\n#ifndef API\n#define API\n#define OTHER\n#endif\n", set()),
        ("int f(void);\n#ifndef API\n#define API\nint h(void);\n#endif\nAPI int g(void);\n", set()),
        ("#ifndef A\n", set()),
        ("", set()),
    ],
)
def test_a_guard_is_asked_for_and_defined_next_and_used_for_nothing_else(
    tmp_path: Path, text: str, guards: set[str]
) -> None:
    (tmp_path / "a.h").write_text(text)
    assert guards_of(tmp_path / "a.h") == guards


@pytest.mark.parametrize(
    "name",
    [
        "ZLIB_VERNUM",
        "LIB_VER_MAJOR",
        "LIBXML_DOTTED_VERSION",
        "X_VERSION",
        "X_PATCHLEVEL",
        "X_PACKAGE_STRING",
        "X_SOURCE_ID",
    ],
)
def test_what_every_release_sets(name: str) -> None:
    assert of_the_release(name)


@pytest.mark.parametrize(
    "name", ["X_PROTOCOL_VERSION", "X_MAX_BUILD", "X_BUFFER", "X_COVER", "X_FILE_VERSION", "X_PACKAGE_SIZE"]
)
def test_what_no_release_sets_by_itself(name: str) -> None:
    assert not of_the_release(name)


def test_a_version_goes_back() -> None:
    assert goes_back('"1.10.2"', '"1.9.9"')
    assert not goes_back('"1.9.9"', '"1.10.0"')
    assert not goes_back("one", "two")


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ({"value": "f"}, {"value": "g"}, "C-MACRO-BODY-CHANGED"),
        ({"value": '"a"'}, {"value": '"b"'}, "C-MACRO-VALUE-CHANGED"),
        ({"value": "1", "type": INT}, {"value": "x ( )"}, "C-MACRO-VALUE-CHANGED"),
        ({"value": "1", "type": INT}, {"value": "1", "type": INT}, ""),
        ({"type": {**TEXT, "length": 6}}, {"type": {**TEXT, "length": 7}}, "C-MACRO-TYPE-CHANGED"),
    ],
)
def test_a_macro_without_arguments(old: dict[str, object], new: dict[str, object], rule: str) -> None:
    assert macro_change("M", old, new) == rule


def test_the_text_of_a_version_may_grow() -> None:
    assert macro_change("M_VERSION_STRING", {"type": {**TEXT, "length": 6}}, {"type": {**TEXT, "length": 7}}) == ""


def test_declarations_are_spelled_inside_out() -> None:
    callback = {"kind": "pointer", "elem": {"kind": "func", "params": [INT], "results": [INT]}}
    assert declaration(callback, "p") == "int (*p)(int )"
    assert declaration({"kind": "array", "length": 3, "elem": callback}, "a") == "int (*a[3])(int )"
    assert declaration({"kind": "pointer", "elem": {"kind": "array", "length": 2, "elem": INT}}, "p") == "int (*p)[2]"
    assert declaration({"kind": "struct", "fields": []}, "s") == ""


@pytest.mark.tools
def test_a_library_of_one_architecture_is_not_missed_on_another(tmp_path: Path) -> None:
    write(tmp_path, {"old/a.h": "int f(void);", "old/src/case.c": "int f(void) { return 0; }"})
    build_libraries(tmp_path)
    with Sources(Cache(), ReadOptions(targets=ALL, language="c")) as sources:
        assert not compare_across(sources.read(str(tmp_path / "old")), Rules()).changes


@pytest.mark.tools
def test_this_host_has_a_compiler() -> None:
    assert compiler()


def test_headers_of_cxx_are_not_passed_over(tmp_path: Path) -> None:
    files = {"a.h": "int f(void);", "b.hpp": "class A { int a; };"}
    assert not diff(tmp_path, files, files).changes
    comparison = diff(tmp_path / "2", files, {**files, "b.hpp": "class A { int a, b; };"})
    assert comparison.undecided and not comparison.breaking
    assert rules_of(diff(tmp_path / "3", files, {"a.h": files["a.h"]})) == {"C-HEADER-REMOVED": ["<b.hpp>"]}


def test_an_inline_function_may_be_exported_still_and_nobody_knows(tmp_path: Path) -> None:
    comparison = diff(tmp_path, {"a.h": "int f(void);"}, {"a.h": "inline int f(void) { return 1; }"})
    assert comparison.undecided and not comparison.breaking
    assert not diff(
        tmp_path / "2", {"a.h": "inline int f(void) { return 1; }"}, {"a.h": "inline int f(void) { return 2; }"}
    ).changes
