"""What compiles for x86-64 and not for a platform: each cause by its code, at its place, and its twin that is clean."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_xinchuang.advise.c import gcc
from pytest_xinchuang.advise.c.survey import CSurvey
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.core.advice import Surveyed
from pytest_xinchuang.core.finding import Certainty
from tests.advise.c.trees import ARM, LOONG, X86, platforms, tree_of, work_of

pytestmark = pytest.mark.tools


@pytest.fixture(autouse=True)
def no_gcc(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a machine's GCCs say of it too is tested beside (test_gcc.py)."""
    monkeypatch.setattr(gcc, "gnu_compiler", lambda _architecture: None)


Said = dict[str, list[tuple[str, str, str]]]


def survey(tree: SourceTree, root: Path, *names: str) -> tuple[Said, Surveyed]:
    """Short name of the platform -> (code, certainty, place) of each finding."""
    chosen = names or (ARM, LOONG)
    said = CSurvey().survey(tree, work_of(root, *chosen))
    ids = dict(zip(chosen, (p.id for p in platforms(*chosen)), strict=True))
    told = {
        name: sorted((f.code, f.certainty.value, f.object) for f in said.findings if f.platform == platform)
        for name, platform in ids.items()
    }
    return told, said


def both(code: str, place: str, certainty: Certainty = Certainty.CERTAIN) -> Said:
    return {ARM: [(code, certainty.value, place)], LOONG: [(code, certainty.value, place)]}


GUARD = "#if defined(__x86_64__)\n{}\n#endif\n"
CAUSES = {
    "intrinsics": (
        {"a.c": "\n#include <immintrin.h>\nint f(void) { return _mm_movemask_epi8(_mm_setzero_si128()); }\n"},
        "XC-ADV-002",
        "a.c:2",
    ),
    "intrinsics in a header": (
        {"x.h": "#pragma once\n#include <emmintrin.h>\n", "a.c": '#include "x.h"\n', "b.cc": '#include "x.h"\n'},
        "XC-ADV-002",
        "x.h:2",
    ),
    "registers": (
        {"a.c": "#include <cpuid.h>\nint a, b, c, d;\nvoid f(void) { __cpuid(0, a, b, c, d); }\n"},
        "XC-ADV-002",
        "a.c:1",
    ),
    "constraints": (
        {"a.c": 'int f(void) {\n unsigned a, d;\n __asm__ ("rdtsc" : "=a"(a), "=d"(d));\n return a; }\n'},
        "XC-ADV-003",
        "a.c:3",
    ),
    "instructions": ({"a.c": 'void f(void) {\n  asm volatile("pause");\n}\n'}, "XC-ADV-003", "a.c:2"),
    "instructions on lines of their own": (
        {"a.c": 'void f(void) {\n  __asm__ volatile(\n    "nop\\n\\t"\n    "mfence"\n  );\n}\n'},
        "XC-ADV-003",
        "a.c:3",
    ),
    "a macro of instructions": (
        {
            "r.h": '#define RELAX() __asm__ volatile("pause")\n',
            "a.c": '#include "r.h"\nvoid f(void) { RELAX(); }\nvoid g(void) { RELAX(); }\n',
        },
        "XC-ADV-003",
        "r.h:1",
    ),
    "a builtin": ({"a.c": "void f(void) {\n  __builtin_ia32_pause();\n}\n"}, "XC-ADV-005", "a.c:2"),
    "a builtin in C++": ({"a.cc": "void f() {\n  __builtin_ia32_pause();\n}\n"}, "XC-ADV-005", "a.cc:2"),
    "a header": (
        {"a.c": "#include <stdio.h>\n#include <sys/io.h>\nint f(void) { return inb(0x70); }\n"},
        "XC-ADV-006",
        "a.c:2",
    ),
    "a context": (
        {
            "a.c": "#define _GNU_SOURCE\n#include <ucontext.h>\nlong f(ucontext_t *u) {\n"
            "  return u->uc_mcontext.gregs[REG_RIP];\n}\n"
        },
        "XC-ADV-008",
        "a.c:4",
    ),
    "an assertion": (
        {"a.c": '\n_Static_assert(sizeof(__builtin_va_list) == 24 && __LDBL_MANT_DIG__ == 64, "x87");\n'},
        "XC-ADV-010",
        "a.c:2",
    ),
    "a function of one architecture": (
        {
            "a.h": "#ifdef __x86_64__\nvoid fast(void);\n#endif\n",
            "a.c": '#include "a.h"\nvoid f(void) {\n  fast();\n}\n',
        },
        "XC-ADV-011",
        "a.c:3",
    ),
    "assembler": ({"a.S": ".globl f\nf: movq %rax, %rbx\n ret\n"}, "XC-ADV-012", "a.S:2"),
    "another error": ({"a.c": "#ifdef __x86_64__\ntypedef int word;\n#endif\nword w;\n"}, "XC-ADV-001", "a.c:4"),
}


@pytest.mark.parametrize(("files", "code", "place"), CAUSES.values(), ids=CAUSES)
def test_a_cause_and_its_twin(files: dict[str, str], code: str, place: str, tmp_path: Path) -> None:
    told, said = survey(tree_of(tmp_path / "tree", files), tmp_path)
    assert told == both(code, place), said.findings
    guarded = {name: GUARD.format(text) if not name.endswith(".h") else text for name, text in files.items()}
    clean, said = survey(tree_of(tmp_path / "clean", guarded), tmp_path)
    assert clean == {ARM: [], LOONG: []}
    assert all(part.whole for parts in said.parts.values() for part in parts)


def test_an_error_that_one_platform_meets(tmp_path: Path) -> None:
    text = "#if defined(__x86_64__) || defined(__aarch64__)\n#else\n#error no spin hint\n#endif\n"
    told, said = survey(tree_of(tmp_path / "tree", {"a.c": text, "b.c": text}), tmp_path, ARM, LOONG, X86)
    assert told == {ARM: [], LOONG: [("XC-ADV-004", "certain", "a.c:3"), ("XC-ADV-004", "certain", "b.c:3")], X86: []}
    assert {part.judged for parts in said.parts.values() for part in parts} == {2}


def test_what_follows_from_a_cause_is_none(tmp_path: Path) -> None:
    text = "#include <immintrin.h>\n__m128i v;\nvoid f(void) { v = _mm_setzero_si128(); }\n"
    text += 'void g(void) {\n __asm__("rdtsc":::"eax");\n}\n'
    told, _said = survey(tree_of(tmp_path / "tree", {"a.c": text}), tmp_path, ARM)
    assert told[ARM] == [("XC-ADV-002", "certain", "a.c:1"), ("XC-ADV-003", "certain", "a.c:5")]


def test_one_cause_of_many_units_is_told_once(tmp_path: Path) -> None:
    files = {f"u{i}.c": '#include "r.h"\n' for i in range(4)} | {"r.h": "#ifndef __x86_64__\n#error x86 only\n#endif\n"}
    told, said = survey(tree_of(tmp_path / "tree", files), tmp_path, ARM)
    assert told[ARM] == [("XC-ADV-004", "certain", "r.h:2")]
    assert said.findings[0].params["units"] == "4" and said.findings[0].evidence["units"] == [
        "u0.c",
        "u1.c",
        "u2.c",
        "u3.c",
    ]


def test_what_is_narrowed_in_braces(tmp_path: Path) -> None:
    files = {
        "a.cc": "char table[] = {\n  1, -1 };\n",
        "b.cc": "char f(char c) {\n  signed char s[] = {c};\n  return s[0]; }\n",
        "c.cc": "signed char table[] = {1, -1};\n",
        "d.c": "char table[] = {1, -1};\n",
    }
    told, said = survey(tree_of(tmp_path / "tree", files), tmp_path)
    assert told == {ARM: [("XC-ADV-017", "certain", "a.cc:2"), ("XC-ADV-017", "undecided", "b.cc:2")], LOONG: []}
    assert [part.judged for parts in said.parts.values() for part in parts] == [4, 4]


def test_a_type_that_gcc_may_have(tmp_path: Path) -> None:
    told, _said = survey(tree_of(tmp_path / "tree", {"a.c": "__float128 x;\n"}), tmp_path)
    assert told == {ARM: [("XC-ADV-009", "certain", "a.c:1")], LOONG: [("XC-ADV-009", "undecided", "a.c:1")]}


def test_a_dialect_of_the_platforms_own_is_gccs_to_judge(tmp_path: Path) -> None:
    text = '#ifdef __aarch64__\nvoid f(void) { __asm__("nosuchinsn x0"); }\n#else\nvoid f(void) {}\n#endif\n'
    told, _said = survey(tree_of(tmp_path / "tree", {"a.c": text}), tmp_path)
    assert told == {ARM: [("XC-ADV-003", "undecided", "a.c:2")], LOONG: []}


def test_an_inline_function_that_nobody_calls_stops_no_gcc(tmp_path: Path) -> None:
    clock = (
        "static inline unsigned long long clock(void)\n{\n    unsigned long long x;\n"
        '    __asm__ volatile("rdtsc"\n        : "=A"(x));\n    return x;\n}\n'
    )
    files = {"inc/c.h": clock, "dead.c": '#include "inc/c.h"\nint d;\n', "inc/d.h": clock.replace("clock", "tick"),
             "live.c": '#include "inc/d.h"\nunsigned long long l(void) { return tick(); }\n'}  # fmt: skip
    told, _said = survey(tree_of(tmp_path / "tree", files), tmp_path, LOONG)
    assert told[LOONG] == [("XC-ADV-003", "certain", "inc/d.h:5"), ("XC-ADV-003", "guarded?", "inc/c.h:5")]


def test_an_example_stops_nobody_and_what_it_includes_does(tmp_path: Path) -> None:
    files = {
        "examples/a.c": 'void a(void) { __asm__("cpuid"); }\n',
        "tests/b.c": '#include "../inc/b.h"\n',
        "inc/b.h": 'void b(void) { __asm__("cpuid"); }\n',
    }
    told, _said = survey(tree_of(tmp_path / "tree", files), tmp_path, ARM)
    assert told[ARM] == [("XC-ADV-003", "certain", "inc/b.h:1"), ("XC-ADV-003", "guarded?", "examples/a.c:1")]


def test_what_x86_does_not_compile_is_not_judged(tmp_path: Path) -> None:
    files = {
        "a.c": "#include <no/such/header.h>\n#ifndef __x86_64__\n#error x86\n#endif\n",
        "b.c": "int b(void) { return missing; }\n",
        "c.c": "int c;\n",
    }
    told, said = survey(tree_of(tmp_path / "tree", files), tmp_path, ARM)
    assert told[ARM] == [("XC-ADV-016", "guarded?", "a.c:3")]
    (part,) = next(iter(said.parts.values()))
    assert (part.judged, part.total) == (1, 3)
    assert {(str(why), n) for why, n in part.why} == {
        ("no/such/header.h is missing", 1),
        ("it does not compile for x86-64 either: use of undeclared identifier 'missing'", 1),
    }


def test_what_the_platform_alone_compiles_is_judged(tmp_path: Path) -> None:
    files = {"neon.c": "#include <arm_neon.h>\nuint8x16_t f(uint8x16_t a) { return vaddq_u8(a, a); }\n"}
    told, said = survey(tree_of(tmp_path / "tree", files), tmp_path)
    assert told == {ARM: [], LOONG: []}
    assert [part.judged for parts in said.parts.values() for part in parts] == [1, 0]


@pytest.mark.parametrize(
    "name", ["src/x86/fast.c", "fast_sse2.c", "amd64/fast.c", "fast-x86_64.c", "fast_x86dispatch.c"]
)
def test_a_file_named_for_a_machine_may_be_left_out(name: str, tmp_path: Path) -> None:
    text = "#include <emmintrin.h>\n"
    told, _said = survey(tree_of(tmp_path / "tree", {name: text}), tmp_path, ARM)
    assert told[ARM] == [("XC-ADV-013", "guarded?", f"{name}:1")]
    tree = SourceTree(tmp_path / "tree")
    work = work_of(tmp_path, ARM)
    needed = CSurvey(needed=lambda unit, triple: True).survey(tree, work)
    assert [(f.code, f.certainty) for f in needed.findings] == [("XC-ADV-002", Certainty.CERTAIN)]


def test_a_function_that_is_newer_than_the_platforms_libc(tmp_path: Path) -> None:
    text = "#define _GNU_SOURCE\n#include <string.h>\nvoid f(char *a) {\n  strlcpy(a, a, 1);\n}\n"
    told, said = survey(tree_of(tmp_path / "tree", {"a.c": text}), tmp_path, ARM, X86)
    assert told == {ARM: [("XC-ADV-007", "certain", "a.c:4")], X86: [("XC-ADV-007", "certain", "a.c:4")]}
    assert {f.params["libc"] for f in said.findings} == {"glibc 2.38"}


def _database(root: Path, *entries: dict[str, object]) -> None:
    (root / "compile_commands.json").write_text(json.dumps(entries))


def test_the_commands_of_a_build_say_what_is_compiled(tmp_path: Path) -> None:
    files = {
        "src/a.c": '#include "inc.h"\n#ifdef FAST\n#include <immintrin.h>\n#endif\n',
        "inc/inc.h": "",
        "src/unused.c": "#error no\n",
    }
    tree_of(tmp_path / "tree", files)
    command = "gcc -DFAST -I../inc -O2 -mavx2 -m64 -o a.o -c ../src/a.c"
    _database(tmp_path / "tree", {"directory": "/elsewhere/project/build", "file": "../src/a.c", "command": command})
    told, said = survey(SourceTree(tmp_path / "tree"), tmp_path, ARM)
    # What -DFAST switches on may be off in a build for the platform; both flags are x86-64's.
    assert told[ARM] == [
        ("XC-ADV-014", "guarded?", "compile_commands.json"),
        ("XC-ADV-014", "guarded?", "compile_commands.json"),
        ("XC-ADV-015", "guarded?", "src/a.c:3"),
    ]
    assert [part.total for parts in said.parts.values() for part in parts] == [1]
    assert {f.params.get("flag") for f in said.findings} == {None, "-mavx2", "-m64"}


def test_what_a_template_has_configured_may_be_otherwise_on_the_platform(tmp_path: Path) -> None:
    files = {
        "config.h": "#define HAVE_CPUID_H 1\n",
        "config.h.in": "#undef HAVE_CPUID_H\n",
        "a.c": '#include "config.h"\n#ifdef HAVE_CPUID_H\n#include <cpuid.h>\n#endif\n',
    }
    told, _said = survey(tree_of(tmp_path / "tree", files), tmp_path, ARM)
    assert told[ARM] == [("XC-ADV-015", "guarded?", "a.c:3")]
    (tmp_path / "tree/config.h.in").unlink()  # then somebody has written it, and it is so on each machine
    told, _said = survey(SourceTree(tmp_path / "tree"), tmp_path, ARM)
    assert told[ARM] == [("XC-ADV-002", "certain", "a.c:3")]


def test_headers_are_found_where_they_lie(tmp_path: Path) -> None:
    files = {
        "lib/src/a.c": '#include <proj/api.h>\n#include "util.h"\n#include <string.h>\n',
        "lib/include/proj/api.h": '#include "proj/more.h"\n',
        "lib/include/proj/more.h": "",
        "lib/common/util.h": "",
        "compat/string.h": "#error ours\n",
        "lib/src/part.c": "#error included alone\n",
        "lib/src/whole.c": '#ifdef PARTS\n#include "part.c"\n#endif\n',
    }
    told, said = survey(tree_of(tmp_path / "tree", files), tmp_path, ARM)
    (part,) = next(iter(said.parts.values()))
    assert told[ARM] == [] and (part.judged, part.total) == (2, 2), part


def test_other_languages_and_headers_alone_are_not_judged(tmp_path: Path) -> None:
    _told, said = survey(tree_of(tmp_path / "tree", {"a.mm": "", "b.cu": "", "c.c": ""}), tmp_path, ARM)
    (part,) = next(iter(said.parts.values()))
    assert (part.judged, part.total) == (1, 3) and not part.whole
    _told, said = survey(tree_of(tmp_path / "headers", {"a.h": "", "b.hpp": ""}), tmp_path, ARM)
    (part,) = next(iter(said.parts.values()))
    assert (part.judged, part.total) == (0, 2) and not part.whole


def test_a_compiler_that_breaks_is_no_fault_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_xinchuang.advise.c.compiler.EACH_S", 0.001)
    told, said = survey(tree_of(tmp_path / "tree", {"a.c": "int a;\n"}), tmp_path, ARM)
    (part,) = next(iter(said.parts.values()))
    assert told[ARM] == [] and part.judged == 0 and part.total == 1 and part.why


def test_hostile_commands_are_no_traceback(tmp_path: Path) -> None:
    tree_of(tmp_path / "tree", {"a.c": "int a;\n"})
    _database(
        tmp_path / "tree",
        {"directory": 3, "file": "a.c"},
        {"directory": ".", "file": "a.c", "command": "cc 'unclosed"},
        {"directory": ".", "file": "a\0.c", "arguments": ["cc"]},
        {"directory": ".", "file": "a.c", "arguments": ["cc", "-I", "-o", "/etc/passwd", "@a.c", "-include"]},
        {"directory": "/", "file": "/etc/passwd", "arguments": ["cc", "-x", "c", "/etc/passwd"]},
    )
    _told, said = survey(SourceTree(tmp_path / "tree"), tmp_path, ARM)
    (part,) = next(iter(said.parts.values()))
    assert part.total == 5 and part.judged <= 1
    (tmp_path / "tree/compile_commands.json").write_text("[" * 100_000)
    work = work_of(tmp_path, ARM)
    CSurvey().survey(SourceTree(tmp_path / "tree"), replace(work))


def test_hostile_sources_are_no_traceback(tmp_path: Path) -> None:
    files = {
        "zero.c": '#include "/dev/zero"\n',
        "self.c": "#include __FILE__\n",
        "endless.cc": "template<int N> struct A { A<N + 1> a; A<N - 1> b; }; A<0> x;\n",
        '\u00e9 "q" $(x).c': "int a;\n",
        "good.c": "int b;\n",
    }
    told, said = survey(tree_of(tmp_path / "tree", files), tmp_path, ARM)
    (part,) = next(iter(said.parts.values()))
    assert told[ARM] == [] and (part.judged, part.total) == (3, 5)


def test_what_another_assembler_defines_is_not_judged(tmp_path: Path) -> None:
    """A program that needs it is never said to build; a build of the platform's own knows whether it is needed."""
    files = {"x86/f.asm": "global f\nf: ret\n", "m.c": "int f(void);\nint main(void) { return f(); }\n"}
    told, said = survey(tree_of(tmp_path / "tree", files), tmp_path)
    assert told == {ARM: [], LOONG: []}
    for parts in said.parts.values():
        (part,) = parts
        assert (part.judged, part.total, part.whole) == (1, 2, False) and "NASM" in part.why[0][0].render("en")


def test_a_source_that_only_others_include_is_told_where_there_is_no_other(tmp_path: Path) -> None:
    _told, said = survey(tree_of(tmp_path / "tree", {"a.c": '#include "a.c"\nint a;\n'}), tmp_path, ARM)
    (((part,)),) = said.parts.values()
    assert (part.judged, part.total) == (0, 1) and "included by another" in part.why[0][0].render("en")


@pytest.mark.parametrize(("database", "guessed"), [('[{"directory":', True), ("", False)])
def test_commands_that_cannot_be_read_leave_a_guess(database: str, guessed: bool, tmp_path: Path) -> None:
    files = {"a.c": "int a;\n"} | ({"compile_commands.json": database} if database else {})
    _told, said = survey(tree_of(tmp_path / "tree", files), tmp_path, ARM)
    (((part,)),) = said.parts.values()
    assert (part.judged, part.total, part.guessed, part.whole) == (1, 1, guessed, not guessed)


def test_a_name_in_chinese_is_the_name_of_a_source(tmp_path: Path) -> None:
    """Code is made of the function, as the IR says under the name of the file, each of whose bytes it escapes."""
    files = {"源 码/时钟.c": 'int main(void) {\n  __asm__("cpuid" ::: "eax", "ebx", "ecx", "edx");\n  return 0;\n}\n'}
    told, _said = survey(tree_of(tmp_path / "tree", files), tmp_path)
    assert told == both("XC-ADV-003", "源 码/时钟.c:2")


def test_a_register_of_x86_as_a_global_variable(tmp_path: Path) -> None:
    files = {"a.c": 'register unsigned long top __asm__("rsp");\nunsigned long f(void) { return top; }\n'}
    told, _said = survey(tree_of(tmp_path / "tree", files), tmp_path)
    assert told == both("XC-ADV-003", "a.c:1")


HEADER = "#if {}\n#include <immintrin.h>\n#endif\nint main(void) {{ return 0; }}\n"


@pytest.mark.parametrize(
    ("condition", "certainty"),
    [
        ("__has_include(<immintrin.h>) /* as GCC */", Certainty.UNDECIDED),
        ("defined(NOTHING) || !defined(__arm__)", Certainty.CERTAIN),
        ("__has_include(<stdio.h>)", Certainty.CERTAIN),
    ],
)
def test_a_header_that_is_asked_for_is_found_by_clang_alone(
    condition: str, certainty: Certainty, tmp_path: Path
) -> None:
    told, _said = survey(tree_of(tmp_path / "tree", {"a.c": HEADER.format(condition)}), tmp_path)
    assert told == both("XC-ADV-002", "a.c:2", certainty)


def test_a_function_for_another_cpu_is_gccs_to_judge(tmp_path: Path) -> None:
    """Clang passes over the attribute, or refuses it; what GCC does depends on its version."""
    clones = '__attribute__((target_clones("avx2", "default")))\nint f(int a) { return a + 1; }\n'
    files = {
        "a.c": '__attribute__((target("avx2"))) int f(int a) { return a + 1; }\n',
        "b.c": clones,
        "c.c": f"#ifdef __x86_64__\n{clones}#endif\nint g;\n",
    }
    told, _said = survey(tree_of(tmp_path / "tree", files), tmp_path, LOONG)
    assert told[LOONG] == [("XC-ADV-001", "undecided", "a.c:1"), ("XC-ADV-001", "undecided", "b.c:2")]


def test_assembler_outside_of_functions(tmp_path: Path) -> None:
    """Clang names no line of it."""
    text = '__asm__(".globl now\\nnow: rdtsc\\n ret\\n");\n'
    files = {"a.c": f"int a;\n{text}", "b.c": f"#ifdef __x86_64__\n{text.replace('now', 'then')}#endif\nint b;\n"}
    told, _said = survey(tree_of(tmp_path / "tree", files), tmp_path)
    assert told == both("XC-ADV-003", "a.c")
