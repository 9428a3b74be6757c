"""What the platform's loader says of objects, in a sandbox under the platform's CPU: each fault beside its good twin."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Finding
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.inspect.inspector import Inspector
from pytest_xinchuang.inspect.kept import Kept
from pytest_xinchuang.loading.engine import Loader, Loads
from pytest_xinchuang.loading.findings import findings_of
from pytest_xinchuang.sandbox.pool import Pool
from tests.inspect import containers
from tests.inspect.test_rules import tools as tools
from tests.mutants.porting.tools import Tools

pytestmark = pytest.mark.sandbox

GOOD = "static int v; __attribute__((constructor)) static void begin(void) { v = 1; }\nint answer(void) { return v; }\n"
ATOMIC = """static int v;
__attribute__((constructor)) static void begin(void) {
    int r;
    __asm__ volatile(".arch_extension lse\\n\\tldadd %w1, %w0, [%2]" : "=r"(r) : "r"(1), "r"(&v));
}
int answer(void) { return v; }
"""
CALLED = ATOMIC.replace("__attribute__((constructor)) static void begin", "void begin")
"""The same instruction where nothing runs it while it is loaded."""
CRASH = (
    "__attribute__((constructor)) static void begin(void) { *(volatile int *)0 = 1; }\nint answer(void) { return 1; }\n"
)
ASKS = """#include <sys/auxv.h>
static int v;
__attribute__((constructor)) static void begin(void) {
    int r;
    if (getauxval(16) & 256)
        __asm__ volatile(".arch_extension lse\\n\\tldadd %w1, %w0, [%2]" : "=r"(r) : "r"(1), "r"(&v));
}
int answer(void) { return v; }
"""
MAIN = "int answer(void);\nint main(void) { return answer(); }\n"


def load(path: Path, platform: str, platforms: Platforms, pool: Pool, kept: Path) -> tuple[Loads, list[Finding]]:
    kept.mkdir(exist_ok=True)
    store = Kept(kept)
    inspection = Inspector(isa=False, kept=store).read(path, path.name)
    chosen = platforms.get(platform)
    loads = Loader(pool, chosen, platforms.file.architectures, store).load(inspection)
    return loads, findings_of(loads, chosen, path.name)


def ends(
    tools: Tools, files: dict[str, bytes], platforms: Platforms, pool: Pool, platform: str = "phytium"
) -> dict[str, str]:
    path = tools.zip("a.zip", files)
    loads, _found = load(path, platform, platforms, pool, tools.where / "kept")
    return {each.record.path: each.end.value for each in loads.opened}


@pytest.mark.parametrize(
    ("text", "end"), [(GOOD, "loaded"), (ATOMIC, "died"), (CALLED, "loaded"), (ASKS, "loaded"), (CRASH, "died")]
)
def test_a_library_and_the_program_that_needs_it(
    text: str, end: str, tools: Tools, platforms: Platforms, pool: Pool
) -> None:
    library = tools.c(Arch.ARM64, text, "-Wl,-soname,libanswer.so.1", shared=True)
    app = tools.c(Arch.ARM64, MAIN, "-Wl,-rpath,$ORIGIN/../lib", stubs={"libanswer.so.1": library})
    files = {"bin/app": app, "lib/libanswer.so.1": library}
    assert ends(tools, files, platforms, pool) == {"bin/app": end, "lib/libanswer.so.1": end}


def test_a_crash_is_brought_back_to_function_and_instruction(tools: Tools, platforms: Platforms, pool: Pool) -> None:
    library = tools.c(Arch.ARM64, ATOMIC, "-Wl,-soname,libanswer.so.1", shared=True)
    app = tools.c(Arch.ARM64, MAIN, "-Wl,-rpath,$ORIGIN/../lib", stubs={"libanswer.so.1": library})
    path = tools.zip("a.zip", {"bin/app": app, "lib/libanswer.so.1": library})
    _loads, found = load(path, "phytium", platforms, pool, tools.where / "kept")
    deaths = [f for f in found if f.code == "XC-LOD-001"]
    assert {f.object for f in deaths} == {"a.zip!bin/app", "a.zip!lib/libanswer.so.1"}
    assert {f.certainty for f in deaths} == {"certain"}
    assert all("ldadd" in f.params["instruction"] and f.params["culprit"].endswith("libanswer.so.1") for f in deaths)
    # A Kunpeng has the instruction.
    loads, _found = load(path, "kunpeng", platforms, pool, tools.where / "kept")
    assert {each.end.value for each in loads.opened} == {"loaded"}


def test_a_signal_that_another_library_may_be_to_blame_for_is_not_certain(
    tools: Tools, platforms: Platforms, pool: Pool
) -> None:
    path = tools.zip("a.zip", {"lib/a.so": tools.c(Arch.ARM64, CRASH, shared=True)})
    _loads, found = load(path, "phytium", platforms, pool, tools.where / "kept")
    (death,) = (f for f in found if f.code == "XC-LOD-001")
    assert (death.certainty, death.params["signal"]) == ("undecided", "SIGSEGV")


def test_a_model_that_lacks_more_than_the_cpu_decides_nothing(tools: Tools, platforms: Platforms, pool: Pool) -> None:
    text = ATOMIC.replace(".arch_extension lse\\n\\tldadd %w1, %w0, [%2]", ".word 0x04a04000")  # index z0.s, #0, #0
    path = tools.zip("a.zip", {"lib/a.so": tools.c(Arch.ARM64, text, shared=True)})
    for platform, certainty in (("kunpeng", "undecided"), ("phytium", "certain")):
        _loads, found = load(path, platform, platforms, pool, tools.where / "kept")
        assert [f.certainty for f in found if f.code == "XC-LOD-001"] == [certainty]


def test_what_the_loader_refuses(tools: Tools, platforms: Platforms, pool: Pool) -> None:
    good = tools.c(Arch.ARM64, GOOD, shared=True)
    # e_ident: a version of the ABI that no loader has.
    damaged = good[:8] + b"\7" + good[9:]
    files = {"good.so": good, "damaged.so": damaged}
    assert ends(tools, files, platforms, pool) == {"good.so": "loaded", "damaged.so": "refused"}


def test_a_plug_in_is_opened_with_its_program_stood_in_for(tools: Tools, platforms: Platforms, pool: Pool) -> None:
    text = """extern int PyExc_ValueError; extern void *PyModule_Create2(void *, int);
int *error = &PyExc_ValueError;
__attribute__((constructor)) static void begin(void) { PyModule_Create2(&error, 1013); }
"""
    other = "extern int nobody_has_this; int *p = &nobody_has_this;\n"
    late = "extern int nobody_has_this(void); int f(void) { return nobody_has_this(); }\n"
    texts = {"m.so": text, "o.so": other, "l.so": late}
    files = {name: tools.c(Arch.ARM64, one, "-Wl,-z,lazy", shared=True) for name, one in texts.items()}
    assert ends(tools, files, platforms, pool) == {"m.so": "loaded", "o.so": "open", "l.so": "late"}


def test_what_is_missing_here_may_be_there(tools: Tools, platforms: Platforms, pool: Pool) -> None:
    stub = tools.stub(Arch.ARM64, "libelsewhere.so.3", "E_1", "f")
    user = tools.user_of(Arch.ARM64, "libelsewhere.so.3", "E_1", "f")
    assert ends(tools, {"lib/user.so": user}, platforms, pool) == {"lib/user.so": "open"}
    # Delivered beside it, on no path of the loader's: whoever loads the one has loaded the other.
    both = {"lib/user.so": user, "other/libelsewhere.so.3": stub}
    assert set(ends(tools, both, platforms, pool).values()) == {"loaded"}


def test_packages_stand_at_their_place(tools: Tools, platforms: Platforms, pool: Pool) -> None:
    library = tools.c(Arch.ARM64, GOOD, "-Wl,-soname,libanswer.so.1", shared=True)
    app = tools.c(Arch.ARM64, MAIN, stubs={"libanswer.so.1": library})
    path = tools.deb(
        "a.deb",
        "Package: a\nArchitecture: arm64\n",
        {"usr/bin/xc-test-app": app, "usr/lib/aarch64-linux-gnu/libanswer.so.1": library},
    )
    loads, _found = load(path, "phytium", platforms, pool, tools.where / "kept")
    assert {each.end.value for each in loads.opened} == {"loaded"}
    # Nothing of it is left for what comes next.
    assert pool.sandbox(platforms.get("phytium")).run(["/bin/ls", "/usr/bin/xc-test-app"]).ok
    pool.sandbox(platforms.get("phytium")).reset()
    assert not pool.sandbox(platforms.get("phytium")).run(["/bin/ls", "/usr/bin/xc-test-app"]).ok


def test_a_static_program_is_started(tools: Tools, platforms: Platforms, pool: Pool) -> None:
    begin = 'void _start(void) {{ {0} register long x8 __asm__("x8") = 93; register long x0 __asm__("x0") = 0; '
    begin += '__asm__ volatile("svc 0" :: "r"(x8), "r"(x0)); for (;;) ; }}\n'
    flags = ("-nostdlib", "-static", "-no-pie", "-ffreestanding")
    good = tools.c(Arch.ARM64, begin.format(""), *flags)
    bad = tools.c(Arch.ARM64, begin.format('__asm__ volatile(".word 0");'), *flags)
    assert ends(tools, {"good": good, "bad": bad}, platforms, pool) == {"good": "loaded", "bad": "died"}
    pie = tools.c(Arch.ARM64, begin.format(""), "-nostdlib", "-static-pie", "-ffreestanding")
    assert ends(tools, {"pie": pie}, platforms, pool) == {"pie": "loaded"}


def test_an_image_is_opened_by_its_own_loader(tools: Tools, platforms: Platforms, pool: Pool) -> None:
    name = platforms.get("phytium").rootfs_name
    assert name is not None
    tree = pool.store.rootfs(name).path

    def of_tree(name: str) -> bytes:
        return next(path for path in tree.rglob(name) if path.is_file()).read_bytes()

    library = tools.c(Arch.ARM64, GOOD, "-Wl,-soname,libanswer.so.1", shared=True)
    dies = tools.c(Arch.ARM64, ATOMIC, "-Wl,-soname,libanswer.so.1", shared=True)
    app = tools.c(Arch.ARM64, MAIN, stubs={"libanswer.so.1": library})
    libc = {"lib/ld-linux-aarch64.so.1": of_tree("ld-linux-aarch64.so.1"), "lib/libc.so.6": of_tree("libc.so.6")}
    dl = {"lib/libdl.so.2": of_tree("libdl.so.2")}

    def opened(*layers: dict[str, bytes]) -> dict[str, str]:
        path = tools.file("image.tar", containers.saved_image([containers.tar(files) for files in layers], "arm64"))
        loads, _found = load(path, "phytium", platforms, pool, tools.where / "kept")
        return {each.record.file_name: each.end.value for each in loads.opened}

    good = opened(
        {**libc, **dl}, {"usr/bin/app": app, "opt/x/libanswer.so.1": library, "usr/lib/libanswer.so.1": library}
    )
    assert good == dict.fromkeys(
        ("ld-linux-aarch64.so.1", "libc.so.6", "libdl.so.2", "app", "libanswer.so.1"), "loaded"
    )
    bad = opened({**libc, **dl}, {"usr/bin/app": app, "usr/lib/libanswer.so.1": dies})
    assert (bad["app"], bad["libanswer.so.1"], bad["libc.so.6"]) == ("died", "died", "loaded")
    # What it lacks is not taken of the sandbox: neither a library, nor the C library, nor the loader.
    assert opened({**libc, **dl}, {"usr/bin/app": app})["app"] == "open"
    assert opened({**libc, **dl}, {"usr/bin/app": app, "opt/x/libanswer.so.1": library})["app"] == "open"
    without = opened({**libc, **dl}, {"usr/bin/app": app, "usr/lib/libanswer.so.1": library, "lib/.wh.libc.so.6": b""})
    assert without["app"] == "open"
    assert opened({"usr/bin/app": app, "usr/lib/libanswer.so.1": library}) == {"app": "open", "libanswer.so.1": "open"}
