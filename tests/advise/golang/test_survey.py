"""Go packages that stop a port, each beside its twin that does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pytest_xinchuang.advise.golang.command import GoJail
from pytest_xinchuang.advise.golang.survey import GoSurvey
from pytest_xinchuang.advise.triple import baseline
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Advice, Standing
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Arch, Platforms
from tests.advise.trees import advised, said, written
from tests.conftest import SHARED_CACHE

pytestmark = pytest.mark.tools

MOD = "module example.com/e\n\ngo 1.21\n"
Advise = Callable[..., Mapping[str, Advice]]


@pytest.fixture
def advise(tmp_path: Path, platforms: Platforms) -> Advise:
    """What is said of a tree of files, by platform; compilers' caches are shared."""

    def _advise(files: dict[str, str], *names: str) -> Mapping[str, Advice]:
        root = written(tmp_path / "tree", {"go.mod": MOD, **files})
        before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        found = advised(
            root,
            GoSurvey(),
            platforms,
            names or ("kunpeng", "loongson"),
            scratch=tmp_path / "scratch",
            kept=SHARED_CACHE / "advice",
        )
        assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
        return found

    return _advise


SUM = {
    "a.go": "package e\n\nfunc Sum() int { return sum() + K }\n",
    "a_amd64.go": "package e\n\nconst K = 3\n\nfunc sum() int { return 1 }\n",
}


def test_a_symbol_of_amd64_alone_stops_each_platform_that_lacks_it(advise: Advise) -> None:
    arm = "package e\n\nconst K = 3\n\nfunc sum() int { return 2 }\n"
    found = advise({**SUM, "a_arm64.go": arm}, "kunpeng", "loongson", "hygon")
    assert found["kunpeng"].standing is Standing.BUILDS and found["hygon"].standing is Standing.BUILDS
    assert said(found["loongson"]) == [("XC-ADV-060", "a.go:3")]
    (finding,) = found["loongson"].findings
    assert finding.certainty is Certainty.CERTAIN and finding.evidence["kind"] == "UndeclaredName"
    assert finding.evidence["places"] == ["a.go:3:25", "a.go:3:33"] and "a_amd64.go" in finding.params["advice"]


def test_what_go_itself_has_for_amd64_alone_is_not_to_be_declared_there(advise: Advise) -> None:
    text = 'package e\n\nimport "syscall"\n\nvar Number = syscall.SYS_%s\n'
    found = advise({"a.go": text % "OPEN"})
    assert said(found["kunpeng"], Certainty.CERTAIN) == [("XC-ADV-060", "a.go:5")]
    (finding,) = found["kunpeng"].findings
    assert "syscall/zsysnum_linux_amd64.go, which is not of this tree" in str(finding.params["advice"])
    assert advise({"a.go": text % "OPENAT"})["kunpeng"].standing is Standing.BUILDS


LINKED = """package main

// #cgo amd64 LDFLAGS: -L${SRCDIR}/lib
// #cgo LDFLAGS: -L${SRCDIR}/lib -lfoo
// int foo(void);
import "C"

func main() { println(C.foo()) }
"""


def test_a_library_of_x86_64_that_cgo_links_is_told_by_the_linkers_word(advise: Advise, tmp_path: Path) -> None:
    files = {"main.go": LINKED, "foo/foo.c": "int foo(void) { return 1; }\n"}
    source = written(tmp_path / "tree", files) / "foo/foo.c"
    library = tmp_path / "tree/lib/libfoo.so"
    library.parent.mkdir()
    zig = [sys.executable, "-m", "ziglang", "cc", "-shared", "-o", str(library), str(source)]
    subprocess.run([*zig, "-target", "x86_64-linux-gnu.2.28"], check=True)
    found = advise(files)
    assert said(found["kunpeng"], Certainty.CERTAIN) == [("XC-ADV-064", "main.go:4")] == said(found["kunpeng"])
    (finding,) = found["kunpeng"].findings
    assert str(finding.params["error"]).startswith("lib/libfoo.so is incompatible")
    assert finding.evidence["files"] == ["lib/libfoo.so"]
    made = advise({**files, "Makefile": "lib/libfoo.so: foo/foo.c\n"})
    assert said(made["kunpeng"], Certainty.GUARDED) == [("XC-ADV-064", "main.go:4")] == said(made["kunpeng"])
    (tmp_path / "tree/Makefile").unlink()
    subprocess.run([*zig, "-target", "aarch64-linux-gnu.2.28"], check=True)
    assert not said(advise(files)["kunpeng"])  # and for amd64 it does not link


def test_a_twin_for_all_others_is_clean(advise: Advise) -> None:
    twin = "//go:build !amd64\n\npackage e\n\nconst K = 3\n\nfunc sum() int { return 2 }\n"
    found = advise({**SUM, "a_other.go": twin})
    assert {a.standing for a in found.values()} == {Standing.BUILDS}
    (part,) = found["loongson"].parts
    assert (part.judged, part.total, part.why) == (1, 1, ())


def test_assembler_without_a_twin(advise: Advise) -> None:
    files = {
        "a.go": "package e\n\nfunc Add(x, y int) int { return add(x, y) }\n\nfunc add(x, y int) int\n",
        "a_amd64.s": "TEXT ·add(SB),4,$0-24\n\tMOVQ x+0(FP), AX\n\tADDQ y+8(FP), AX\n\tMOVQ AX, ret+16(FP)\n\tRET\n",
    }
    found = advise(files)
    assert said(found["kunpeng"]) == said(found["loongson"]) == [("XC-ADV-063", "a.go:5")]
    assert found["kunpeng"].stoppers[0].params["symbol"] == "add"
    assert "a_amd64.s defines it" in found["kunpeng"].stoppers[0].params["advice"]


def test_assembler_with_a_twin_in_go_is_clean(advise: Advise) -> None:
    files = {
        "a.go": "package e\n\nfunc Add(x, y int) int { return add(x, y) }\n",
        "a_amd64.go": "package e\n\nfunc add(x, y int) int\n",
        "a_amd64.s": "TEXT ·add(SB),4,$0-24\n\tRET\n",
        "a_generic.go": "//go:build !amd64\n\npackage e\n\nfunc add(x, y int) int { return x + y }\n",
    }
    assert {a.standing for a in advise(files).values()} == {Standing.BUILDS}


def test_assembler_for_the_target_that_lacks_a_symbol_stops_what_is_linked(advise: Advise) -> None:
    asm = "TEXT ·one(SB),4,$0\n\tRET\n"
    files = {
        "p/a.go": "package p\n\nfunc one()\n\nfunc two()\n\nfunc All() {\n\tone()\n\ttwo()\n}\n",
        "p/a_amd64.s": asm + "TEXT ·two(SB),4,$0\n\tRET\n",
        "p/a_loong64.s": asm,
        "p/a_arm64.s": asm + "TEXT ·two(SB),4,$0\n\tRET\n",
    }
    found = advise(files)
    assert said(found["loongson"]) == [("XC-ADV-063", "p/a.go:5")] and not found["loongson"].stoppers
    assert found["loongson"].standing is Standing.OPEN and found["kunpeng"].standing is Standing.BUILDS
    found = advise({**files, "c/c.go": 'package main\n\nimport "example.com/e/p"\n\nfunc main() { p.All() }\n'})
    assert said(found["loongson"], Certainty.CERTAIN) == [("XC-ADV-063", "p/a.go:5")] == said(found["loongson"])


def test_a_package_without_a_file_for_the_target(advise: Advise) -> None:
    files = {
        "fast/fast_amd64.go": "package fast\n\nfunc F() {}\n",
        "b/b.go": 'package main\n\nimport (\n\t"example.com/e/fast"\n)\n\nfunc main() { fast.F() }\n',
    }
    assert said(advise(files)["loongson"]) == [("XC-ADV-061", "b/b.go:4")]


def test_a_package_of_amd64_that_amd64_alone_imports_is_clean(advise: Advise) -> None:
    files = {
        "fast/fast_amd64.go": "package fast\n\nfunc F() {}\n",
        "b/b.go": "package main\n\nfunc main() { f() }\n",
        "b/b_amd64.go": 'package main\n\nimport "example.com/e/fast"\n\nfunc f() { fast.F() }\n',
        "b/b_other.go": "//go:build !amd64\n\npackage main\n\nfunc f() {}\n",
    }
    found = advise(files)["loongson"]
    assert found.standing is Standing.BUILDS and found.findings == ()


def test_a_program_of_amd64_alone_stops_and_a_library_may(advise: Advise) -> None:
    found = advise({"cmd/x/x.go": "//go:build amd64\n\npackage main\n\nfunc main() {}\n"})["loongson"]
    assert said(found, Certainty.CERTAIN) == [("XC-ADV-061", "cmd/x/x.go:1")]
    found = advise({"cmd/x/x.go": "package x\n", "lib/l_amd64.go": "package lib\n"})["loongson"]
    assert said(found, Certainty.GUARDED) == [("XC-ADV-061", "lib/l_amd64.go")] and not found.stoppers
    assert found.standing is Standing.OPEN


def test_what_fails_on_amd64_too_is_not_judged(advise: Advise) -> None:
    found = advise({"a/a.go": "package a\n\nvar X = missing\n", "b/b.go": "package b\n"})["loongson"]
    assert found.findings == () and found.standing is Standing.OPEN
    (part,) = found.parts
    assert (part.judged, part.total) == (1, 2) and "missing" in part.why[0][0]


def test_a_dependency_is_told_once_where_it_is_required(advise: Advise) -> None:
    files = {
        "go.mod": MOD + "\nrequire (\n\texample.org/dep v1.2.3\n)\n",
        "vendor/modules.txt": "# example.org/dep v1.2.3\n## explicit\nexample.org/dep\n",
        "vendor/example.org/dep/d.go": "package dep\n\nfunc F() { f(); f() }\n",
        "vendor/example.org/dep/d_amd64.go": "package dep\n\nfunc f() {}\n",
        "a/a.go": 'package a\n\nimport _ "example.org/dep"\n',
        "b/b.go": 'package b\n\nimport _ "example.org/dep"\n',
    }
    found = advise(files)["loongson"]
    assert said(found) == [("XC-ADV-062", "go.mod:6")]
    assert found.findings[0].params["module"] == "example.org/dep@v1.2.3"
    assert found.findings[0].evidence["stops"] == ["example.com/e/a", "example.com/e/b"]
    files["vendor/example.org/dep/d_other.go"] = "//go:build !amd64\n\npackage dep\n\nfunc f() {}\n"
    assert advise(files)["loongson"].standing is Standing.BUILDS


CGO = 'package c\n\n/*\n#include <immintrin.h>\nstatic int f(void) {{ return {}; }}\n*/\nimport "C"\n\n'
CGO += "func F() int {{ return int(C.f()) }}\n"


def test_c_of_cgo_is_compiled_for_the_target(advise: Advise) -> None:
    bad = CGO.format("_mm_cvtsi128_si32(_mm_setzero_si128())")
    assert said(advise({"c.go": bad})["kunpeng"]) == [("XC-ADV-064", "c.go:4")]
    good = bad.replace("#include <immintrin.h>", "").replace("_mm_cvtsi128_si32(_mm_setzero_si128())", "42")
    found = advise({"c.go": good, "go.mod": MOD})["kunpeng"]
    assert found.standing is Standing.BUILDS


def test_what_needs_cgo_on_the_target_is_a_note(advise: Advise) -> None:
    files = {
        "c.go": 'package c\n\n// static int f(void) { return 1; }\nimport "C"\n\nfunc f() int { return int(C.f()) }\n',
        "c_amd64.go": "//go:build !cgo\n\npackage c\n\nfunc f() int { return 1 }\n",
        "g.go": "package c\n\nfunc G() int { return f() }\n",
    }
    found = advise(files)["kunpeng"]
    assert said(found, Certainty.NOTE) == [("XC-ADV-065", "c.go")] == said(found)
    assert found.standing is Standing.BUILDS


def test_what_is_of_no_module_is_not_judged(advise: Advise, tmp_path: Path) -> None:
    found = advise({"go.mod": "", "a.go": "package a\n"})["kunpeng"]
    assert found.findings == () and found.standing is Standing.OPEN and found.parts[0].judged == 0
    (tmp_path / "tree/go.mod").unlink()


def test_modules_of_a_workspace_see_each_other(advise: Advise) -> None:
    found = advise(
        {
            "go.work": "go 1.21\n\nuse (\n\t.\n\t./m\n)\n",
            "a.go": 'package e\n\nimport _ "example.com/m"\n',
            "m/go.mod": "module example.com/m\n\ngo 1.21\n",
            "m/m.go": "package m\n\nfunc F() { f() }\n",
            "m/m_amd64.go": "package m\n\nfunc f() {}\n",
        }
    )["kunpeng"]
    assert said(found) == [("XC-ADV-060", "m/m.go:3")]
    assert (found.parts[0].judged, found.parts[0].total) == (2, 2)


def test_a_workspace_that_names_what_is_not_here_is_passed_over(advise: Advise) -> None:
    found = advise({"go.work": "go 1.21\n\nuse (\n\t.\n\t./none\n)\n", "a.go": "package e\n"})["kunpeng"]
    assert found.standing is Standing.BUILDS and found.parts[0].total == 1


def test_a_module_that_is_not_here_is_no_fault_of_the_tree(advise: Advise) -> None:
    found = advise(
        {
            "go.mod": MOD + "\nrequire example.org/none v1.0.0\n",
            "go.sum": "example.org/none v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
            "example.org/none v1.0.0/go.mod h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
            "a.go": "package e\n",
            "a_loong64.go": 'package e\n\nimport _ "example.org/none"\n',
        }
    )
    assert found["loongson"].findings == () and found["loongson"].standing is Standing.OPEN


def test_a_hollow_twin_may_stop_who_calls_it(advise: Advise) -> None:
    hollow = '//go:build !amd64\n\npackage e\n\nfunc F() int {\n\tpanic("unsupported")\n}\n'
    found = advise({"f_amd64.go": "package e\n\nfunc F() int {\n\treturn 1\n}\n", "f_other.go": hollow})["kunpeng"]
    assert said(found, Certainty.GUARDED) == [("XC-ADV-066", "f_other.go:5")] == said(found)
    assert found.standing is Standing.OPEN and found.parts[0].judged == 1


HEAD = """package e

import ("errors"; "os"; "runtime")

var known = map[string]bool{"amd64": true}
var _, _, _ = errors.New, os.Exit, runtime.GOOS
"""
REFUSES = {
    "a switch": ('switch runtime.GOARCH { case "amd64":\nreturn nil }\npanic("no")', 10),
    "its default": ('switch runtime.GOARCH { case "amd64":\ndefault:\npanic("no") }\nreturn nil', 10),
    "a condition": ('if runtime.GOARCH != "amd64" {\nreturn errors.New("no") }\nreturn nil', 9),
    "behind one": ('if runtime.GOARCH == "amd64" {\nreturn nil }\nreturn errors.New("no")', 10),
    "a table": ("if !known[runtime.GOARCH] {\nos.Exit(1) }\nreturn nil", 9),
}
SERVES = (
    'switch runtime.GOARCH { case "amd64", "arm64", "loong64":\nreturn nil }\npanic("no")',
    'if runtime.GOARCH != "amd64" && n > 3 {\npanic("may be") }\nreturn nil',
    'if n > 3 {\nreturn errors.New("too many") }\nreturn nil',
    'if runtime.GOOS == "windows" {\npanic("no") }\nreturn nil',
    'if runtime.GOARCH == "386" {\npanic("too old") }\nreturn nil',
)


@pytest.mark.parametrize(("text", "line"), REFUSES.values(), ids=REFUSES)
def test_an_arm_that_refuses_the_platform_when_it_runs(advise: Advise, text: str, line: int) -> None:
    found = advise({"a.go": f"{HEAD}func F() error {{\n{text}\n}}\n"}, "kunpeng", "loongson", "hygon")
    for name in ("kunpeng", "loongson"):
        assert said(found[name]) == [("XC-ADV-081", f"a.go:{line}")] and found[name].standing is Standing.OPEN
    assert found["hygon"].standing is Standing.BUILDS


def test_its_twins_serve_it_or_ask_something_else(advise: Advise) -> None:
    functions = "".join(f"func F{at}(n int) error {{\n{text}\n}}\n" for at, text in enumerate(SERVES))
    aside = HEAD.replace("package e", "package x") + f"func F() error {{\n{REFUSES['a condition'][0]}\n}}\n"
    for name, advice in advise({"a.go": HEAD + functions, "examples/e.go": aside}).items():
        assert not advice.findings and advice.standing is Standing.BUILDS, name


def test_a_source_that_no_reader_of_go_can_read_refuses_nobody(tmp_path: Path, platforms: Platforms) -> None:
    (tmp_path / "broken.go").write_text("package e\nfunc F() {\n")
    base = platforms.file.architectures[Arch.AMD64]
    work = Work((), baseline((), base), tmp_path / "scratch", kept=SHARED_CACHE / "advice", offline=True)
    jail = GoJail(tmp_path, work)
    assert jail.refusals([tmp_path / "broken.go", tmp_path / "none.go"], "arm64", "amd64") == []
