"""What compiles and is otherwise on a platform: chars, undefined values, order, addresses, pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.advise.c.comparing import surveyed, told
from tests.advise.c.test_hollow import both
from tests.advise.c.trees import ARM, LOONG

pytestmark = pytest.mark.tools


def arm(code: str, certainty: str, place: str) -> set[tuple[str, str, str, str]]:
    return {(ARM, code, certainty, place)}


_GETOPT = """\
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char c;
  int n = 0;
  while ((c = getopt(argc, argv, "ab")) != -1)
    if (++n > 1000) { puts("endless"); return 1; }
  return n;
}
"""


def test_the_end_of_getopt_in_a_char_is_never_seen(tmp_path: Path) -> None:
    said = surveyed(tmp_path, {"opt.c": _GETOPT})
    assert told(said) == arm("XC-ADV-030", "certain", "opt.c:6")
    assert "getopt" in said.findings[0].params["source"]


def test_its_twins(tmp_path: Path) -> None:
    kinds = ("int c", "signed char c")
    assert told(surveyed(tmp_path, {f"opt{n}.c": _GETOPT.replace("char c", k) for n, k in enumerate(kinds)})) == set()


def test_a_flag_of_the_build_makes_char_signed(tmp_path: Path) -> None:
    assert told(surveyed(tmp_path, {"opt.c": _GETOPT}, words=("-fsigned-char",))) == set()


_WRONG = (
    ("char c; while ((c = getchar()) != EOF) n += c;", "certain"),
    ("char c; for (;;) { c = fgetc(stdin); if (c == EOF) break; n++; }", "certain"),
    ("char c = fgetc(stdin); int v = c; while (v >= 0) { n++; v = getc(stdin); }", "certain"),
    ("char c = getchar(); switch (c) { case -1: n = 4; break; default: n = 5; }", "certain"),
    ("char *s = name; if (*s < 0) n = 3;", "guarded?"),
    ("int v = table[n & 3]; if (v < 0) n = 3;", "certain"),
    ("char c = *name; if (c == -1) n = 3;", "guarded?"),
    ("n += steps[n & 1];", "guarded?"),
)
_RIGHT = (
    "int c; while ((c = getchar()) != EOF) n++;",
    "char c = *name; if (c < 0 || c > 127) n = 3;",
    "char c = *name; if (c == 'x') n = 3;",
    "unsigned char c = *name; if (c >= 0x80) n = 3;",
    "signed char c = *name; if (c < 0) n = 3;",
    "if ((unsigned char)*name >= 0x80) n = 3;",
    "char *s = name; while (*s) n += *s++ == ' ';",
    "if (*name >= '0' && *name <= '9') n = 3;",
)


def test_tests_of_a_negative_char(tmp_path: Path) -> None:
    head = (
        "#include <stdio.h>\nextern char *name;\nstatic const char table[4] = {1, -1, 2, -1};\n"
        "static const char steps[2] = {-1, 1};\n"
    )
    bodies = [*(body for body, _certainty in _WRONG), *_RIGHT]
    files = {f"f{n}.c": f"{head}int f{n}(int n) {{\n  {body}\n  return n;\n}}\n" for n, body in enumerate(bodies)}
    assert told(surveyed(tmp_path, files)) == {
        found for n, (_body, certainty) in enumerate(_WRONG) for found in arm("XC-ADV-030", certainty, f"f{n}.c:6")
    }


def test_a_char_that_is_never_high_where_it_is_signed(tmp_path: Path) -> None:
    bodies = (
        "if (*name >= 0x80) n = 3;",
        "if (*name == 0xFF) n = 3;",
        "if (*name < 0 || *name >= 0x80) n = 3;",
        "if ((unsigned char)*name >= 0x80) n = 3;",
        "if (*name == 0x100) n = 3;",
        "if (*name >= 0x7f) n = 3;",
    )
    files = {
        f"f{n}.c": f"extern char *name;\nint f{n}(int n) {{\n  {body}\n  return n;\n}}\n"
        for n, body in enumerate(bodies)
    }
    said = surveyed(tmp_path, files)
    assert told(said) == arm("XC-ADV-032", "guarded?", "f0.c:3") | arm("XC-ADV-032", "guarded?", "f1.c:3")
    assert "x86-64" in said.findings[0].params["text"]


def test_a_value_that_only_x86_sets(tmp_path: Path) -> None:
    source = "int f(int a) {\n  int r;\n#ifdef __x86_64__\n  r = a * 2;\n#endif\n  return r;\n}\n"
    assert told(surveyed(tmp_path, {"f.c": source})) == both("XC-ADV-031", "certain", "f.c:6") | both(
        "XC-ADV-020", "guarded?", "f.c:1"
    )
    good = source.replace("#endif", "#else\n  r = a + a;\n#endif")
    (tmp_path / "twin").mkdir()
    assert told(surveyed(tmp_path / "twin", {"f.c": good})) == set()


_PUBLISHED = """\
struct ring { int item; volatile int ready; };
void put(struct ring *r, int v) {
  r->item = v;
  %s
  r->ready = 1;
}
int get(struct ring *r) {
  while (!r->ready) { }
  %s
  return r->item;
}
"""


def test_data_behind_a_volatile_flag_is_open(tmp_path: Path) -> None:
    assert told(surveyed(tmp_path, {"ring.c": _PUBLISHED % ("", "")})) == both("XC-ADV-033", "guarded?", "ring.c:5")
    globals_ = "int item; volatile int ready;\nvoid put(int v) {\n  item = v;\n  ready = 1;\n}\n"
    other = "extern int item; extern volatile int ready;\nint get(void) {\n  while (!ready) { }\n  return item;\n}\n"
    (tmp_path / "two").mkdir()
    said = surveyed(tmp_path / "two", {"put.c": globals_, "get.c": other})
    assert told(said) == both("XC-ADV-033", "guarded?", "put.c:4")
    assert said.findings[0].evidence["read_at"] == "get.c:3"


_RELAXED = """\
struct ring { int item; int ready; };
void put(struct ring *r, int v) {
  r->item = v;
  __atomic_store_n(&r->ready, 1, %s);
}
int get(struct ring *r) {
  while (!__atomic_load_n(&r->ready, %s)) { }
  return r->item;
}
"""


@pytest.mark.parametrize(
    ("store", "load", "open_"),
    [
        ("__ATOMIC_RELAXED", "__ATOMIC_RELAXED", True),
        ("__ATOMIC_RELAXED", "__ATOMIC_ACQUIRE", True),
        ("__ATOMIC_RELEASE", "__ATOMIC_RELAXED", True),
        ("__ATOMIC_RELEASE", "__ATOMIC_ACQUIRE", False),
        ("__ATOMIC_SEQ_CST", "__ATOMIC_SEQ_CST", False),
    ],
)
def test_an_atomic_flag_that_orders_nothing(tmp_path: Path, store: str, load: str, open_: bool) -> None:
    said = surveyed(tmp_path, {"ring.c": _RELAXED % (store, load)})
    assert told(said) == (both("XC-ADV-033", "guarded?", "ring.c:4") if open_ else set())


def test_a_relaxed_counter_publishes_nothing(tmp_path: Path) -> None:
    source = (
        "struct s { int item; int count; };\nvoid put(struct s *s, int v) {\n  s->item = v;\n"
        "  __atomic_store_n(&s->count, 1, __ATOMIC_RELAXED);\n}\n"
        "int count(struct s *s) { return __atomic_load_n(&s->count, __ATOMIC_RELAXED); }\n"
    )
    assert told(surveyed(tmp_path, {"s.c": source})) == set()


_GLOBAL = """\
int printf(const char *, ...); void lock(void);
static struct { int n; char text[8]; volatile int ready; } box;
void put(void) {
  lock();
  box.n = 5;
  box.ready = 1;
}
void show(void) {
  %s
  while (!box.ready) { %s }
  %s
  printf("%%d", box.n);
}
void *all[] = {(void *)put, (void *)show};
"""


def test_a_function_that_calls_others_as_well_reads_on_without_a_barrier(tmp_path: Path) -> None:
    """What is called before the wait, or behind the read, orders nothing; what stands between them may."""
    for number, calls in enumerate((("", "", ""), ("lock();", "", ""))):
        (tmp_path / str(number)).mkdir()
        said = surveyed(tmp_path / str(number), {"box.c": _GLOBAL % calls})
        assert told(said) == both("XC-ADV-033", "guarded?", "box.c:6"), calls
    for number, calls in enumerate((("", "lock();", "lock();"), ("", "", "__sync_synchronize();")), 2):
        (tmp_path / str(number)).mkdir()
        assert told(surveyed(tmp_path / str(number), {"box.c": _GLOBAL % calls})) == set(), calls


def test_its_twins_with_barriers_or_without_a_reader(tmp_path: Path) -> None:
    fence = "__atomic_thread_fence(__ATOMIC_SEQ_CST);"
    assert told(surveyed(tmp_path, {"ring.c": _PUBLISHED % (fence, fence)})) == set()
    atomic = (_PUBLISHED % ("", "")).replace("volatile int", "_Atomic int")
    (tmp_path / "two").mkdir()
    assert told(surveyed(tmp_path / "two", {"ring.c": atomic})) == set()
    handler = (
        "volatile int quit; int n;\nvoid stop(int s) { n = s; quit = 1; }\n"
        "int run(void) { int k = 0; while (!quit) k++; return k; }\n"
    )
    (tmp_path / "three").mkdir()
    assert told(surveyed(tmp_path / "three", {"quit.c": handler})) == set()


def test_pointers_with_tags(tmp_path: Path) -> None:
    source = """\
#include <stdint.h>
void *low47(uint64_t v) {
  return (void *)(v & 0x7fffffffffffULL);
}
void *spread(uint64_t v) {
  return (void *)((int64_t)(v << 16) >> 16);
}
void *low48(uint64_t v) {
  return (void *)(v & 0xffffffffffffULL);
}
void *aligned(void *p) {
  return (void *)((uintptr_t)p & ~(uintptr_t)15);
}
"""
    assert told(surveyed(tmp_path, {"tag.c": source})) == arm("XC-ADV-034", "guarded?", "tag.c:3") | arm(
        "XC-ADV-034", "guarded?", "tag.c:6"
    )


def test_pages_of_4096_bytes(tmp_path: Path) -> None:
    source = """\
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
int guard(char *p) {
  return mprotect(p + 4096, 4096, PROT_NONE);
}
int writable(void *f) {
  return mprotect((void *)((uintptr_t)f & ~4095UL), 1, PROT_READ | PROT_WRITE);
}
int right(char *p) {
  long page = sysconf(_SC_PAGESIZE);
  return mprotect(p + page, (size_t)page, PROT_NONE);
}
void *fresh(void) {
  return mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
"""
    said = surveyed(tmp_path, {"guard.c": source}, LOONG)
    assert told(said) == {
        (LOONG, "XC-ADV-035", "guarded?", "guard.c:5"),
        (LOONG, "XC-ADV-035", "guarded?", "guard.c:8"),
    }
    assert {f.params["pages"] for f in said.findings} == {"16384"}


def test_a_long_double_in_a_file(tmp_path: Path) -> None:
    source = """\
#include <stdio.h>
void save(FILE *f, long double v) {
  fwrite(&v, sizeof v, 1, f);
}
void right(FILE *f, long double v) {
  double d = (double)v;
  fwrite(&d, sizeof d, 1, f);
}
"""
    assert told(surveyed(tmp_path, {"save.c": source})) == both("XC-ADV-036", "guarded?", "save.c:3")


def test_a_long_double_in_a_structure_or_a_stream(tmp_path: Path) -> None:
    source = """\
#include <stdio.h>
#include <unistd.h>
struct inner { short kind; long double v[2]; };
struct record { int id; struct inner one; };
struct plain { int id; double v; };
struct record all; struct plain none;
void local(FILE *f) {
  struct record r = {1, {2, {3, 4}}};
  fwrite(&r, sizeof r, 1, f);
  fwrite(&r.one, sizeof r.one, 1, f);
  fwrite(&r.id, sizeof r.id, 1, f);
}
void global(int f) {
  write(f, &all, sizeof all);
  write(f, &none, sizeof none);
}
"""
    stream = "#include <fstream>\nvoid f(std::ostream &o, long double v) {\n  o.write((const char *)&v, sizeof v);\n}\n"
    said = surveyed(tmp_path, {"save.c": source, "s.cc": stream}, ARM)
    places = ["s.cc:3", "save.c:10", "save.c:14", "save.c:9"]
    assert told(said) == {(ARM, "XC-ADV-036", "guarded?", place) for place in places}
    assert {f.params["what"] for f in said.findings} == {"fwrite", "write", "std::ostream::write"}


_LISTS = """\
#include <stdarg.h>
#include <stdio.h>
%s
"""
_READ_ON = (
    "void f(const char *a, ...) {\n va_list ap;\n va_start(ap, a);\n vprintf(a, ap);\n int n = va_arg(ap, int);\n"
    ' printf("%d", n);\n va_end(ap);\n}',
    "void f(const char *a, va_list ap) {\n vprintf(a, ap);\n\n\n vprintf(a, ap);\n}",
    'void f(int n, va_list ap) {\n while (n--)\n\n\n  vprintf("%d", ap);\n}',
    "void f(const char *a, ...) {\n va_list ap, b;\n va_start(ap, a);\n vprintf(a, ap);\n va_copy(b, ap);\n"
    " vprintf(a, b);\n va_end(b);\n va_end(ap);\n}",
)
_NOT_READ_ON = (
    "void f(const char *a, ...) {\n va_list ap;\n va_start(ap, a);\n int n = va_arg(ap, int);\n vprintf(a, ap);\n"
    ' printf("%d", n);\n va_end(ap);\n}',
    "void f(const char *a, ...) {\n va_list ap;\n va_start(ap, a);\n vprintf(a, ap);\n va_end(ap);\n va_start(ap, a);\n"
    " vprintf(a, ap);\n va_end(ap);\n}",
    'void f(int n, va_list ap) {\n if (n) vprintf("%d", ap);\n else vfprintf(stderr, "%d", ap);\n}',
    "void f(const char *a, va_list ap) {\n va_list b;\n va_copy(b, ap);\n vprintf(a, b);\n va_end(b);\n vprintf(a, ap);\n}",
    "void g(va_list *);\nvoid f(const char *a, ...) {\n va_list ap;\n va_start(ap, a);\n g(&ap);\n vprintf(a, ap);\n"
    " va_end(ap);\n}",
    "void f(char *a, char *b) {\n puts(a);\n puts(a);\n puts(b);\n}",
)


def test_arguments_that_are_read_on(tmp_path: Path) -> None:
    files = {f"bad{n}.c": _LISTS % text for n, text in enumerate(_READ_ON)}
    files |= {f"good{n}.c": _LISTS % text for n, text in enumerate(_NOT_READ_ON)}
    found = told(surveyed(tmp_path, files))
    assert {(name, place.partition(":")[0]) for name, code, _c, place in found if code == "XC-ADV-037"} == {
        (name, f"bad{n}.c") for n in range(len(_READ_ON)) for name in (ARM, LOONG)
    }
    assert {line for _n, _c, certainty, place in found for line in [place.partition(":")[2], certainty]} == {
        "7",
        "guarded?",
    }


def test_an_instruction_by_its_bytes_is_another_one_elsewhere(tmp_path: Path) -> None:
    """Every assembler takes the bytes of rdtsc, in a function that is called everywhere."""
    source = """\
static inline void tick(void) {
  __asm__ volatile(".byte 0x0f, 0x31" ::: "memory");
}
int main(void) {
  tick();
  return 0;
}
"""
    assert told(surveyed(tmp_path, {"t.c": source})) == both("XC-ADV-003", "guarded?", "t.c:2")
    for number, twin in enumerate(
        (
            source.replace("__asm__", "\n#ifdef __x86_64__\n  __asm__").replace(
                ";\n}\nint", ';\n#else\n  __asm__ volatile("nop");\n#endif\n}\nint'
            ),
            source.replace('".byte 0x0f, 0x31"', '"1: nop\\n.pushsection .note.x\\n.byte 1\\n.popsection"'),
            source.replace('".byte 0x0f, 0x31"', '""'),
        )
    ):
        (tmp_path / str(number)).mkdir()
        assert not any(
            code == "XC-ADV-003" for _p, code, _c, _o in told(surveyed(tmp_path / str(number), {"t.c": twin}))
        ), twin
