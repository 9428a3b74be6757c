"""Reading LLVM's IR: functions, what they call, where they are, and which of them are hollow."""

from __future__ import annotations

import pytest

from pytest_xinchuang.advise.c.flow import Hollow, Returned, Use, comparisons, follow, hollow, origins
from pytest_xinchuang.advise.c.ir import Module, unescaped
from pytest_xinchuang.advise.c.machine import Purpose, purposes_of

_TEXT = r"""; ModuleID = 'a.c'
source_filename = "a.c"
module asm ".globl from_asm"
module asm "from_asm: ret"
@shared = dso_local global i32 0, align 4
@own = internal constant [4 x i8] c"\01\FF\02\FF", align 1
@other = external global ptr, align 8
@table = internal constant [1 x ptr] [ptr @clock], align 8

; Function Attrs: noinline nounwind uwtable
define dso_local i64 @clock() #0 !dbg !5 {
  %1 = alloca i64, align 8
  store i64 0, ptr %1, align 8, !dbg !7
  %2 = load i64, ptr %1, align 8, !dbg !8
  ret i64 %2, !dbg !8
}

define internal i32 @_user(i32 noundef %0) #0 {
  %2 = call i64 @clock(), !dbg !8
  %3 = icmp ne i64 %2, 0
  br i1 %3, label %4, label %6

4:                                                ; preds = %1
  %5 = call i32 @"odd name"(i64 %2)
  switch i32 %5, label %6 [
    i32 -1, label %7
    i32 2, label %7
  ]

6:                                                ; preds = %1, %4
  call void asm sideeffect "mov x0, $$1\0A\09dmb ish", "~{memory}"()
  br label %7

7:                                                ; preds = %6, %4
  ret i32 %0
}

declare i32 @"odd name"(i64) #1
declare extern_weak i32 @maybe() #1
declare void @llvm.lifetime.start.p0(i64, ptr) #2

!3 = !DIFile(filename: "src/a.c", directory: "/")
!5 = distinct !DISubprogram(name: "clock", scope: !3, file: !3, line: 7, type: !6, scopeLine: 7)
!7 = !DILocation(line: 8, column: 3, scope: !5)
!8 = !DILocation(line: 9, column: 3, scope: !5)
"""


@pytest.fixture(scope="module")
def module() -> Module:
    return Module(_TEXT)


def test_what_a_unit_gives_and_takes(module: Module) -> None:
    assert list(module.functions) == ["clock", "_user"]
    assert module.exported == {"clock", "shared", "from_asm"}
    assert module.declared == {"odd name", "maybe", "other"} and module.weak == {"maybe"}
    assert module.named_by_data("clock") and not module.named_by_data("_user")
    assert module.has_high_bytes("own") and not module.has_high_bytes("shared")


def test_where_things_are(module: Module) -> None:
    clock = module.functions["clock"]
    assert module.place(clock) == ("src/a.c", 7) and module.title(clock) == "clock"
    assert module.lines(clock) == {("src/a.c", 8), ("src/a.c", 9)}


def test_blocks_and_calls(module: Module) -> None:
    user = module.functions["_user"]
    assert list(user.blocks) == ["", "4", "6", "7"] and user.follows["4"] == {"6", "7"}
    assert [user.always(label) for label in user.blocks] == [True, False, False, True]
    assert [i.callee for i in user.instructions if i.code == "call"] == ["clock", "odd name", ""]
    assert [i.assembler for i in user.instructions if i.assembler] == ["mov x0, $1\n\tdmb ish"]
    assert [(f.name, label) for f, label, _i in module.users("clock")] == [("_user", "")]


def test_what_becomes_of_a_value(module: Module) -> None:
    user = module.functions["_user"]
    assert follow(user, ["%2"]).uses == {Use.CONDITION, Use.DATA}
    assert [i.code for i in comparisons(user, "%5")] == ["switch"]
    assert [i.callee for i in origins(user)] == []


def test_hollow_functions(module: Module) -> None:
    assert hollow(module.functions["clock"]) == Hollow(Returned.CONSTANT, "0")
    assert hollow(module.functions["_user"]) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("  ret void", Hollow(Returned.VOID)),
        ("  unreachable", Hollow(Returned.VOID)),
        ("  store i32 1, ptr @g, align 4\n  ret void", None),
        ('  call void asm sideeffect "", "~{memory}"()\n  ret void', Hollow(Returned.VOID)),
        ('  call void asm sideeffect "dmb ish", "~{memory}"()\n  ret void', None),
        ("  fence seq_cst\n  ret void", None),
        ("  call void @exit(i32 1)\n  unreachable", None),
        ("  call void @llvm.trap()\n  unreachable", None),
        ("  %1 = alloca i32, align 4\n  store i32 1, ptr %1, align 4\n  ret void", Hollow(Returned.VOID)),
    ],
)
def test_what_has_an_effect_is_not_hollow(body: str, expected: Hollow | None) -> None:
    module = Module(f"; head\ndefine void @f() {{\n{body}\n}}\n")
    assert hollow(module.functions["f"]) == expected


def test_a_condition_on_an_argument_is_computing() -> None:
    body = (
        "  %2 = alloca i32, align 4\n  %3 = icmp ne i32 %0, 0\n  br i1 %3, label %4, label %5\n\n"
        "4:\n  store i32 1, ptr %2, align 4\n  br label %5\n\n5:\n  %6 = load i32, ptr %2, align 4\n  ret i32 %6\n"
    )
    assert hollow(Module(f"; head\ndefine i32 @f(i32 noundef %0) {{\n{body}}}\n").functions["f"]) is None


@pytest.mark.parametrize(
    "text", ["", "define i32 @f(", "\ndefine i32 @f() {\n", '\ndefine i32 @"f() {\n}\n', "\n@x = \n!1 = !DIFile("]
)
def test_what_is_cut_off_or_odd_is_read_as_far_as_it_goes(text: str) -> None:
    assert not Module(text).functions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rdtsc", {Purpose.CLOCK}),
        ("rep; nop", {Purpose.HINT}),
        ("pause\n", {Purpose.HINT}),
        ("mov %%rbx, %1\n\tcpuid\n\txchg %%rbx, %1", {Purpose.PROBE}),
        (".byte 0x0f, 0x01, 0xd0", {Purpose.PROBE}),
        ("lock; addl $0, 0(%%rsp)", {Purpose.FENCE}),
        ("lock xaddl %0, %1", {Purpose.ATOMIC}),
        ("bsrq %1, %0", {Purpose.BITS}),
        ("mulq %3", {Purpose.ARITHMETIC}),
        ("# nothing", set()),
        ("frobnicate", {Purpose.OTHER}),
    ],
)
def test_what_assembler_is_for(text: str, expected: set[Purpose]) -> None:
    assert purposes_of(text) == expected


def test_letters_beyond_ascii_are_bytes_in_the_ir() -> None:
    assert unescaped(r"\E6\BA\90 a\5Cb\0A") == "源 a\\b\n"
    assert unescaped(r"\FF") == "\N{REPLACEMENT CHARACTER}"
