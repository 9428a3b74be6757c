"""Functions that do nothing on a platform: which are faults, and which are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.advise.c.comparing import short, surveyed, told
from tests.advise.c.trees import ARM, LOONG

pytestmark = pytest.mark.tools

_RDTSC = """\
#include <stdint.h>
uint64_t ticks(void) {
  uint64_t t = 0;
#ifdef __x86_64__
  uint32_t lo, hi;
  __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
  t = ((uint64_t)hi << 32) | lo;
#endif
  return t;
}
"""


def both(code: str, certainty: str, place: str) -> set[tuple[str, str, str, str]]:
    return {(platform, code, certainty, place) for platform in (ARM, LOONG)}


def test_a_clock_that_stands_still_is_certain(tmp_path: Path) -> None:
    said = surveyed(tmp_path, {"tick.c": _RDTSC})
    assert told(said) == both("XC-ADV-020", "certain", "tick.c:2")
    assert all(f.params["does"] == "always returns 0" and "rdtsc" in f.params["words"] for f in said.findings)
    by = {short(f.platform): f.params["advice"] for f in said.findings}
    assert "cntvct_el0" in by[ARM] and "rdtime.d" in by[LOONG]


_CLOCKS = (
    'unsigned lo, hi; __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)); return ((unsigned long)hi << 32) | lo;',
    'unsigned lo, hi, c; __asm__("rdtscp" : "=a"(lo), "=d"(hi), "=c"(c)); return ((unsigned long)hi << 32) | lo;',
    'unsigned lo, hi; __asm__(".byte 0x0f, 0x31" : "=a"(lo), "=d"(hi)); return ((unsigned long)hi << 32) | lo;',
    "return __builtin_ia32_rdtsc();",
    'unsigned long r; __asm__("lfence; rdtsc; shl $32, %%rdx; or %%rdx, %0" : "=a"(r) :: "rdx"); return r;',
)


def test_each_spelling_of_a_clock(tmp_path: Path) -> None:
    files = {}
    for n, text in enumerate(_CLOCKS):
        files[f"now{n}.c"] = f"unsigned long now{n}(void) {{\n#ifdef __x86_64__\n  {text}\n#endif\n  return 0;\n}}\n"
        files[f"use{n}.c"] = (
            f"unsigned long now{n}(void);\nunsigned long since{n}(unsigned long then) {{ return now{n}() - then; }}\n"
        )
    assert told(surveyed(tmp_path, files)) == {
        found for n in range(len(_CLOCKS)) for found in both("XC-ADV-020", "certain", f"now{n}.c:1")
    }


def test_one_with_an_arm_for_each_machine_is_clean(tmp_path: Path) -> None:
    source = _RDTSC.replace(
        "#endif",
        '#elif defined(__aarch64__)\n  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));\n#else\n'
        '  __asm__ volatile("rdtime.d %0, $zero" : "=r"(t));\n#endif',
    )
    said = surveyed(tmp_path, {"tick.c": source})
    assert not said.findings
    assert all(part.whole for parts in said.parts.values() for part in parts)


def test_one_that_is_hollow_on_one_machine_alone(tmp_path: Path) -> None:
    source = _RDTSC.replace("#endif", '#elif defined(__aarch64__)\n  __asm__ ("mrs %0, cntvct_el0" : "=r"(t));\n#endif')
    assert told(surveyed(tmp_path, {"tick.c": source})) == {(LOONG, "XC-ADV-020", "certain", "tick.c:2")}


def test_a_constant_that_somebody_wrote_and_nobody_uses_may_be_meant(tmp_path: Path) -> None:
    source = "unsigned long now(void) {\n#ifdef __x86_64__\n  return __builtin_ia32_rdtsc();\n#else\n  return 0;\n#endif\n}\n"
    assert told(surveyed(tmp_path, {"now.c": source})) == both("XC-ADV-020", "guarded?", "now.c:1")


def test_a_macro_that_is_zero_elsewhere_may_be_meant(tmp_path: Path) -> None:
    source = (
        "#ifdef __x86_64__\n#define NOW() __builtin_ia32_rdtsc()\n#else\n#define NOW() 0\n#endif\n"
        "unsigned long now(void) {\n  return NOW();\n}\n"
    )
    assert told(surveyed(tmp_path, {"now.c": source})) == both("XC-ADV-020", "guarded?", "now.c:6")


def test_a_clock_behind_a_probe_may_never_be_read(tmp_path: Path) -> None:
    source = (
        "static unsigned long now(void) {\n#ifdef __x86_64__\n  return __builtin_ia32_rdtsc();\n#else\n  return 0;\n#endif\n}\n"
        "int has_clock(void);\nunsigned long since(unsigned long t) { if (has_clock()) return now() - t; return 7; }\n"
    )
    assert told(surveyed(tmp_path, {"now.c": source})) == both("XC-ADV-020", "guarded?", "now.c:1")


def test_probes_hints_and_barriers_of_the_compiler_are_no_fault(tmp_path: Path) -> None:
    source = """\
static inline int has_avx2(void) {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx2");
#else
  return 0;
#endif
}
static inline unsigned cpuid7(void) {
  unsigned a = 7, b = 0, c = 0, d;
#ifdef __x86_64__
  __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
#endif
  return b;
}
static inline void relax(void) {
#ifdef __x86_64__
  __asm__ volatile("pause" ::: "memory");
#endif
}
static inline void old_relax(void) {
#ifdef __x86_64__
  __asm__ volatile("rep; nop");
#endif
}
static inline void ahead(const void *p) {
#ifdef __x86_64__
  __asm__ volatile("prefetcht0 %0" :: "m"(*(const char *)p));
#else
  (void)p;
#endif
}
static inline void compiler_barrier(void) { __asm__ volatile("" ::: "memory"); }
int features;
int sum(const int *p, int n) {
  int s = 0;
  features |= cpuid7();
  compiler_barrier();
  for (int i = 0; i < n; i++) { ahead(p + i); relax(); old_relax(); s += has_avx2() ? p[i] * 2 / 2 : p[i]; }
  return s;
}
"""
    said = surveyed(tmp_path, {"sum.c": source})
    assert told(said) == set()
    assert {f.params["name"] for f in said.findings} == {"has_avx2", "cpuid7"}


def test_a_memory_barrier_that_is_none_is_open(tmp_path: Path) -> None:
    source = """\
static inline void full(void) {
#ifdef __x86_64__
  __asm__ volatile("mfence" ::: "memory");
#else
  __asm__ volatile("" ::: "memory");
#endif
}
static inline void locked(void) {
#ifdef __x86_64__
  __asm__ volatile("lock; addl $0,0(%%rsp)" ::: "memory", "cc");
#endif
}
static inline void good(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
int flag, data;
void put(int v) { data = v; full(); flag = 1; locked(); good(); }
"""
    assert told(surveyed(tmp_path, {"put.c": source})) == both("XC-ADV-022", "guarded?", "put.c:1") | both(
        "XC-ADV-022", "guarded?", "put.c:8"
    )


def test_a_checksum_by_an_instruction_that_is_used_as_data(tmp_path: Path) -> None:
    source = """\
#include <stdint.h>
static uint32_t step(uint32_t crc, uint64_t v) {
#ifdef __x86_64__
  uint64_t r = crc;
  __asm__("crc32q %1, %0" : "+r"(r) : "rm"(v));
  crc = (uint32_t)r;
#endif
  return crc;
}
uint32_t sum(const uint64_t *p, int n) {
  uint32_t c = ~0u;
  for (int i = 0; i < n; i++) c = step(c, p[i]) * 31u;
  return c;
}
"""
    said = surveyed(tmp_path, {"crc.c": source})
    assert {(p, c, o) for p, c, _s, o in told(said)} == {
        (ARM, "XC-ADV-020", "crc.c:2"),
        (LOONG, "XC-ADV-020", "crc.c:2"),
    }
    assert {f.params["does"] for f in said.findings} == {"returns its argument unchanged"}


def test_a_counter_in_cxx_that_counts_nothing(tmp_path: Path) -> None:
    source = """\
struct Counter {
  int n = 0;
  void up() {
#if defined(__x86_64__)
    __asm__ volatile("lock; incl %0" : "+m"(n));
#endif
  }
  int get() const { return n; }
};
int run(Counter &c) { c.up(); return c.get(); }
"""
    assert told(surveyed(tmp_path, {"counter.cc": source})) == both("XC-ADV-020", "certain", "counter.cc:3")


def test_what_chooses_code_for_x86_may_choose_nothing_elsewhere(tmp_path: Path) -> None:
    source = """\
int sum_c(const int *p), sum_sse(const int *p);
int (*sum)(const int *) = sum_c;
extern int has_sse;
void choose(void) {
#ifdef __x86_64__
  if (has_sse) sum = sum_sse;
#endif
}
void twice(int *p) {
#ifdef __x86_64__
  *p = *p * 2;
#endif
}
"""
    assert told(surveyed(tmp_path, {"sum.c": source})) == both("XC-ADV-020", "guarded?", "sum.c:9")


def test_a_time_that_is_written_through_a_pointer(tmp_path: Path) -> None:
    source = """\
#include <stdint.h>
void stamp(uint64_t *t) {
#ifdef __x86_64__
  uint32_t lo, hi;
  __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
  *t = ((uint64_t)hi << 32) | lo;
#endif
}
"""
    assert told(surveyed(tmp_path, {"stamp.c": source})) == both("XC-ADV-020", "certain", "stamp.c:2")


_PART = """\
#include <stdint.h>
#include <stdio.h>
uint64_t log_ticks(const char *what) {
  uint64_t t = 0;
#ifdef __x86_64__
  uint32_t lo, hi;
  __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
  t = ((uint64_t)hi << 32) | lo;
#endif
  printf("%s at %lu\\n", what, (unsigned long)t);
  return t;
}
"""


def test_a_variable_that_only_x86_sets_in_a_function_that_does_more(tmp_path: Path) -> None:
    said = surveyed(tmp_path, {"log.c": _PART})
    assert told(said) == both("XC-ADV-023", "certain", "log.c:10")
    assert {(f.params["variable"], f.params["value"]) for f in said.findings} == {("t", "0")}


def test_its_twins_that_set_it_or_only_ask_whether_it_is_there(tmp_path: Path) -> None:
    set_ = _PART.replace("#endif", "#else\n  t = (uint64_t)clock();\n#endif").replace(
        "#include <stdio.h>", "#include <stdio.h>\n#include <time.h>"
    )
    assert told(surveyed(tmp_path, {"log.c": set_})) == set()
    probe = """\
#include <stdio.h>
int run(void) {
  unsigned a = 7, b = 0, c = 0, d = 0;
#ifdef __x86_64__
  __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
#endif
  printf("%u\\n", a);
  return b & 32 ? 2 : 1;
}
"""
    (tmp_path / "probe").mkdir()
    assert told(surveyed(tmp_path / "probe", {"run.c": probe})) == set()


def test_a_structure_that_is_handed_over_in_another_way_is_no_hollow_function(tmp_path: Path) -> None:
    source = """\
typedef struct { unsigned long low, high; } Pair;
typedef union { unsigned long one; Pair both; } Wide;
Wide same(Wide w) { return w; }
Pair of(Wide w) { Pair p = w.both; return p; }
unsigned long one(Pair p) { Wide w; w.both = p; return w.one; }
"""
    assert not surveyed(tmp_path, {"pair.c": source}).findings


def test_the_same_function_of_a_header_is_told_once(tmp_path: Path) -> None:
    header = _RDTSC.replace("uint64_t ticks", "static inline uint64_t ticks")
    use = '#include "tick.h"\nuint64_t NAME(uint64_t t) { return ticks() - t; }\n'
    files = {"include/tick.h": header} | {f"{n}.c": use.replace("NAME", n) for n in ("one", "two")}
    assert told(surveyed(tmp_path, files)) == both("XC-ADV-020", "certain", "include/tick.h:2")
    assert len(surveyed(tmp_path, files).findings) == 2


def test_the_x86_platforms_and_a_unit_that_does_not_compile(tmp_path: Path) -> None:
    assert not surveyed(tmp_path, {"tick.c": _RDTSC}, "hygon").findings
    (tmp_path / "other").mkdir()
    said = surveyed(tmp_path / "other", {"bad.c": "int f( {\n", "good.c": "int g(void) { return 1; }\n"}, LOONG)
    ((part,),) = said.parts.values()
    assert (part.judged, part.total) == (1, 2) and sum(n for _why, n in part.why) == 1
