"""What the engine makes of faults that are ours, and of claims that are false."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.shared import SharedResults
from pytest_xinchuang.core.verdict import Cause, Decision, Verdict
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.mru.behaviours import of_the_program
from pytest_xinchuang.packages.mru.engine import MruEngine
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.sandbox.backends.qemu import QemuSandbox
from pytest_xinchuang.sandbox.call_log import CallLog, Taken
from pytest_xinchuang.sandbox.circumstances import CpuVariant
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Outcome
from pytest_xinchuang.sandbox.strace import Call
from pytest_xinchuang.sandbox.tracing import Trace
from pytest_xinchuang.toolchain import builder as toolchain
from pytest_xinchuang.toolchain.builder import Builder, Target

pytestmark = pytest.mark.sandbox

HEAD = 'schema: xc-subject/1\nname: x\nversion: "1"\n'
HELLO = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'


def decide(
    tmp_path: Path,
    manifest: str,
    source: str,
    platforms: Platforms,
    catalogue: Catalogue,
    pool: Pool,
    name: str = "kunpeng",
) -> dict[str, Decision]:
    place = tmp_path / "subject"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / "xinchuang.yaml").write_text(HEAD + manifest)
    (place / "u.c").write_text(source)
    engine = MruEngine(platforms.get(name), load_subject(place), catalogue, pool, Builder(pool.store.cache))
    return {r.id: engine.decision(r.id) for r in catalogue.of(frozenset({"mru"}))}


def verdicts(decisions: dict[str, Decision]) -> set[Verdict]:
    return {d.verdict for d in decisions.values()}


UNIT = 'units:\n  - {name: u, kind: c, sources: [u.c], expect: {stdout: "hello\\n", source: its own text}}\n'


def test_no_tool_chain_is_no_failure(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> str:
        raise toolchain.ToolchainFault(verbatim("zig is not installed"), mend=verbatim("pip install it"))

    monkeypatch.setattr(toolchain, "find_zig", missing)
    decisions = decide(tmp_path, UNIT, HELLO, platforms, catalogue, pool)
    assert Verdict.FAIL not in verdicts(decisions)
    assert decisions["XC-MRU-004"].cause is Cause.HOST
    assert decisions["XC-MRU-005"].verdict is Verdict.INCONCLUSIVE
    assert "zig is not installed" in decisions["XC-MRU-005"].reason


def test_no_root_filesystem_is_no_failure(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise HostFault(verbatim("the mirror does not answer"))

    monkeypatch.setattr(pool.store, "rootfs_for", missing)
    decisions = decide(tmp_path, UNIT, HELLO, platforms, catalogue, pool)
    assert verdicts(decisions) == {Verdict.INCONCLUSIVE}
    assert all("mirror" in d.reason for d in decisions.values())


def test_a_sandbox_that_dies_is_no_failure(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    own = Pool(pool.store, "qemu")
    try:
        sandbox = own.sandbox(platforms.get("kunpeng"))
        assert isinstance(sandbox, QemuSandbox)
        real = sandbox.put

        def kill(path: str, data: bytes, *, executable: bool = False) -> None:
            real(path, data, executable=executable)
            sandbox._supervisor.kill()
            sandbox._supervisor.wait()

        sandbox.put = kill  # type: ignore[method-assign]
        decisions = decide(tmp_path, UNIT, HELLO, platforms, catalogue, own)
    finally:
        own.close()
    assert Verdict.FAIL not in verdicts(decisions)
    assert decisions["XC-MRU-005"].cause is Cause.HOST


def test_no_x86_64_twin_is_no_pass(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise HostFault(verbatim("no reference"), mend=verbatim("make room"))

    monkeypatch.setattr(pool, "reference", missing)
    monkeypatch.setattr(pool, "shared", SharedResults())
    decisions = decide(tmp_path, UNIT, HELLO, platforms, catalogue, pool)
    assert decisions["XC-MRU-011"].verdict is Verdict.INCONCLUSIVE
    assert decisions["XC-MRU-011"].mend == "make room"
    assert decisions["XC-MRU-010"].verdict is Verdict.PASS


def test_over_a_limit_of_ours_is_no_failure(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    source = (
        "#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n"
        "static char *volatile p;\n"
        "int main(void) { for (int i = 0; i < 2000; i++) if ((p = malloc(1 << 20))) memset(p, 1, 1 << 20); pause(); }\n"
    )
    decisions = decide(tmp_path, UNIT, source, platforms, catalogue, pool)
    assert Verdict.FAIL not in verdicts(decisions)
    assert "memory" in decisions["XC-MRU-005"].reason


def test_slow_under_emulation_alone_is_no_failure(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    source = (
        "#include <stdio.h>\n#include <unistd.h>\nint main(void) {\n#ifndef __x86_64__\n    sleep(60);\n#endif\n"
        '    return puts("hello") < 0;\n}\n'
    )
    manifest = UNIT.replace("sources: [u.c],", "sources: [u.c], limit_s: 0.2,")
    decisions = decide(tmp_path, manifest, source, platforms, catalogue, pool)
    assert Verdict.FAIL not in verdicts(decisions)
    assert decisions["XC-MRU-007"].cause is Cause.FIDELITY


def test_an_instruction_between_two_models_needs_a_board(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    """UDOT: the Kunpeng 920 has it, its strict model has not, a richer one has."""
    udot = '__asm__ volatile(".arch_extension dotprod\\n\\tudot v0.4s, v1.16b, v2.16b" ::: "v0");'
    source = HELLO.replace("return", f"\n#ifdef __aarch64__\n{udot}\n#endif\nreturn")
    decisions = decide(tmp_path, UNIT, source, platforms, catalogue, pool)
    assert (decisions["XC-MRU-013"].verdict, decisions["XC-MRU-013"].cause) == (Verdict.INCONCLUSIVE, Cause.FIDELITY)
    decisions = decide(tmp_path, UNIT, source, platforms, catalogue, pool, "phytium")
    assert decisions["XC-MRU-013"].verdict is Verdict.FAIL


def test_an_instruction_that_no_model_has_needs_a_board(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    """SM3 by PadLock: a Zhaoxin has it, QEMU has not. Without the instruction's bytes the same end is a failure."""
    padlock = '\n#ifdef __x86_64__\n__asm__ volatile(".byte 0xf3, 0x0f, 0xa6, 0xe8");\n#endif\nreturn'
    decision = decide(tmp_path, UNIT, HELLO.replace("return", padlock), platforms, catalogue, pool, "zhaoxin")[
        "XC-MRU-013"
    ]
    assert (decision.verdict, decision.cause) == (Verdict.INCONCLUSIVE, Cause.FIDELITY)
    undefined = padlock.replace(".byte 0xf3, 0x0f, 0xa6, 0xe8", "ud2")
    decision = decide(tmp_path, UNIT, HELLO.replace("return", undefined), platforms, catalogue, pool, "zhaoxin")[
        "XC-MRU-013"
    ]
    assert decision.verdict is Verdict.FAIL


def test_a_claim_that_something_does_not_apply_is_checked(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    claim = "not_applicable:\n  - {requirement: XC-MRU-021, reason: it has no threads at all}\n"
    decisions = decide(tmp_path, UNIT + claim, HELLO, platforms, catalogue, pool)
    assert decisions["XC-MRU-021"].verdict is Verdict.NOT_APPLICABLE
    work = "#include <pthread.h>\nstatic void *w(void *a) { return a; }\n"
    start = "pthread_t t; pthread_create(&t, NULL, w, NULL); pthread_join(t, NULL); return"
    threads = work + HELLO.replace("return", start)
    decisions = decide(tmp_path, UNIT + claim, threads, platforms, catalogue, pool)
    assert decisions["XC-MRU-021"].verdict is Verdict.INCONCLUSIVE
    assert "imports pthread_create" in decisions["XC-MRU-021"].reason


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("int none(void) { return 0; }", ""),
        (
            "#include <pthread.h>\nint w(pthread_t *t, void *f) { return pthread_create(t, 0, f, 0); }",
            "imports pthread_create",
        ),
        (
            "#include <sys/types.h>\n#include <unistd.h>\nint t(void) { return timer_create(0, 0, 0); }",
            "imports timer_create",
        ),
        (None, "could not be read whole"),
    ],
)
def test_a_claim_is_checked_against_what_is_delivered_and_never_run(
    text: str | None, says: str, tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    """Without a single unit that runs it: the objects of the artifact count."""
    platform = platforms.get("kunpeng")
    place = tmp_path / "subject"
    place.mkdir()
    if text is None:
        (place / "lib.so").write_text("no object at all")
    else:
        (place / "lib.c").write_text(text)
        target = Target(platform.arch, platform.architecture, "2.28")
        flags = ("-Wno-implicit-function-declaration",)
        built = Builder(pool.store.cache).c(target, [place / "lib.c"], flags=flags, libraries=("rt",), shared=True)
        (place / "lib.so").write_bytes(built)
    claim = "not_applicable:\n  - {requirement: XC-MRU-021, reason: it has no threads at all}\n"
    (place / "xinchuang.yaml").write_text(f"{HEAD}artifacts:\n  - {{name: lib, files: {{arm64: lib.so}}}}\n{claim}")
    engine = MruEngine(platform, load_subject(place), catalogue, pool, Builder(pool.store.cache))
    decision = engine.decision("XC-MRU-021")
    assert decision.verdict is (Verdict.INCONCLUSIVE if says else Verdict.NOT_APPLICABLE), decision.reason
    assert says in decision.reason


_BY_NUMBER = {
    "XC-MRU-020": "if (syscall(SYS_clone, 17, 0, 0, 0, 0) == 0) _exit(0); waitid(P_ALL, 0, NULL, WEXITED);",
    "XC-MRU-023": "struct { void (*handler)(int); long more[19]; } action = {handled};"
    " syscall(SYS_rt_sigaction, 10, &action, NULL, 8); raise(10);",
}


@pytest.mark.parametrize("requirement", _BY_NUMBER)
@pytest.mark.parametrize("does", [True, False])
def test_a_claim_is_checked_against_what_ran(
    requirement: str, does: bool, tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    """A call that is made by its number is in no table of the object, and in the log."""
    claim = f"not_applicable:\n  - {{requirement: {requirement}, reason: it has nothing of this}}\n"
    heads = "#include <signal.h>\n#include <sys/syscall.h>\n#include <sys/wait.h>\n#include <unistd.h>\n"
    handler = "static void handled(int number) { (void)number; }\n"
    does_it = f"volatile int does = {int(does)}; if (does) {{ {_BY_NUMBER[requirement]} }} return"
    text = heads + handler + HELLO.replace("return", does_it)
    decision = decide(tmp_path, UNIT + claim, text, platforms, catalogue, pool)[requirement]
    assert decision.verdict is (Verdict.INCONCLUSIVE if does else Verdict.NOT_APPLICABLE), decision.reason
    assert ("has shown it" in decision.reason) is does


def test_what_other_programs_do_is_no_doing_of_the_unit() -> None:
    calls = (
        Call(7, "write", "1)", "1"),
        Call(7, "clone", "0x11)", "8"),
        Call(8, "execve", '"/bin/sort")', None),
        Call(8, "clone", "0x10f00)", "9"),
        Call(9, "futex", ")", "0"),
        Call(7, "wait4", "8)", "8"),
    )
    log = CallLog(calls, (Taken(7, "SIGCHLD", 6), Taken(8, "SIGUSR1", 4), Taken(7, "SIGUSR1", 1)))
    found = of_the_program(log)
    assert [(call.thread, call.name) for call in found.calls] == [
        (7, "write"),
        (7, "clone"),
        (8, "execve"),
        (7, "wait4"),
    ]
    assert found.taken == (Taken(7, "SIGCHLD", 4), Taken(7, "SIGUSR1", 1))
    assert of_the_program(CallLog((Call(7, "execve", '"/xc/u")', "0"), *calls))).calls[1] is calls[0]


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ("#!/usr/bin/env perl\nuse Fcntl;\nprint qq(hello\\n);\n", True),
        ("#!/usr/bin/perl -w\nuse List::Util;\nprint qq(hello\\n);\n", True),
        ("#!/bin/sh\necho hello\n", False),
    ],
)
def test_what_an_interpreter_opens_for_a_script_is_seen(
    script: str, seen: bool, tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    unit = '  - {name: s, kind: shell, sources: [u.c], behaviour: dlopen, expect: {stdout: "hello\\n", source: its text}}\n'
    decisions = decide(tmp_path, f"units:\n{unit}", script, platforms, catalogue, pool)
    assert decisions["XC-MRU-024"].verdict is (Verdict.PASS if seen else Verdict.FAIL), decisions["XC-MRU-024"].reason


def test_a_script_starts_children_whatever_is_claimed(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    claim = "not_applicable:\n  - {requirement: XC-MRU-020, reason: it has no children}\n"
    script = '  - {name: s, kind: shell, sources: [u.c], expect: {stdout: "hello\\n", source: its own text}}\n'
    decisions = decide(tmp_path, f"units:\n{script}{claim}", "#!/bin/sh\necho hello\n", platforms, catalogue, pool)
    assert decisions["XC-MRU-020"].verdict is Verdict.INCONCLUSIVE and "is a script" in decisions["XC-MRU-020"].reason


def test_a_claim_about_anything_else_has_no_effect(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    claim = "not_applicable:\n  - {requirement: XC-MRU-010, reason: we do not like this one}\n"
    decisions = decide(tmp_path, UNIT + claim, HELLO.replace("hello", "other"), platforms, catalogue, pool)
    assert decisions["XC-MRU-010"].verdict is Verdict.FAIL


def test_a_marker_in_the_elf_padding_is_no_way_out_of_the_emulator(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    place = tmp_path / "s"
    place.mkdir()
    builder = Builder(pool.store.cache)
    (place / "u.c").write_text(HELLO)
    platform = platforms.get("zhaoxin")
    target = toolchain.Target(platform.arch, platform.architecture, "2.28")
    program = bytearray(builder.c(target, [place / "u.c"]))
    program[9] = 1
    (place / "u").write_bytes(program)
    (place / "xinchuang.yaml").write_text(
        HEAD + 'units:\n  - {name: u, kind: binary, files: {amd64: u}, expect: {stdout: "hello\\n", source: text}}\n'
    )
    engine = MruEngine(platform, load_subject(place), catalogue, pool, builder)
    decision = engine.decision("XC-MRU-001")
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "padding" in decision.reason


@pytest.mark.parametrize("name", ["kunpeng", "phytium", "hygon", "zhaoxin", "loongson"])
def test_the_reference_subject_has_no_false_failure(
    name: str, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    subject = load_subject(resources.fixtures_dir() / "subjects" / "openssl")
    engine = MruEngine(platforms.get(name), subject, catalogue, pool, Builder(pool.store.cache))
    decisions = {r.id: engine.decision(r.id) for r in catalogue.of(frozenset({"mru"}))}
    undecided = {i for i, d in decisions.items() if d.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE)}
    assert undecided == {"XC-MRU-040", "XC-MRU-041"}, {i: decisions[i].reason for i in undecided}
    assert all(decisions[i].cause is Cause.FIDELITY for i in undecided)


def test_every_cpu_model_of_the_default_platforms_runs(platforms: Platforms, pool: Pool) -> None:
    for platform in platforms.select(["all"]):
        for variant in CpuVariant:
            if getattr(platform.cpu.emulation, variant).value is not None:
                assert pool.sandbox(platform, variant).run(["true"]).ok


def test_an_unknown_fact_is_inconclusive_and_is_named(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    source = "#include <math.h>\n" + HELLO.replace("puts", "pow(argc, 0.3) < 0 || puts").replace(
        "(void)", "(int argc, char **argv)"
    )
    manifest = UNIT.replace("sources: [u.c],", "sources: [u.c], links: [m],")
    decisions = decide(tmp_path, manifest, source, platforms, catalogue, pool, "kunpeng920-anolis_23")
    decision = decisions["XC-MRU-003"]
    assert (decision.verdict, decision.cause) == (Verdict.INCONCLUSIVE, Cause.MISSING_FACT)
    assert "does not know libc_version of anolis_23" in decision.reason
    assert "systems.anolis_23.libc_version" in decision.mend


def test_a_page_size_that_is_not_known_matters_only_below_the_largest(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    inferred = "kunpeng920-kylin_v10_sp2"
    assert platforms.get(inferred).page_size is not None
    assert decide(tmp_path, UNIT, HELLO, platforms, catalogue, pool, inferred)["XC-MRU-014"].verdict is Verdict.PASS
    manifest = UNIT.replace("sources: [u.c],", 'sources: [u.c], c_flags: {arm64: ["-Wl,-z,max-page-size=4096"]},')
    # Of SP3 the vendor says that pages have 64 KiB.
    sourced = decide(tmp_path, manifest, HELLO, platforms, catalogue, pool, "kunpeng")["XC-MRU-014"]
    assert (sourced.verdict, sourced.cause) == (Verdict.FAIL, Cause.SUBJECT)
    decision = decide(tmp_path, manifest, HELLO, platforms, catalogue, pool, inferred)["XC-MRU-014"]
    assert (decision.verdict, decision.cause) == (Verdict.INCONCLUSIVE, Cause.MISSING_FACT)
    assert "page_size.arm64" in decision.mend


NEWFSTATAT = """
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    char room[512];
    long answer = syscall(SYS_newfstatat, 0, "/", room, 0);
    return answer ? 1 : puts("hello") < 0;
}
"""


def test_a_call_that_the_kernel_may_lack_is_no_pass(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    """New-world LoongArch has newfstatat again since 6.11 and 6.6.47: of Kylin V11's 6.6.0 nobody knows."""
    decided = decide(tmp_path, UNIT, NEWFSTATAT, platforms, catalogue, pool, "loongson")["XC-MRU-033"]
    assert decided.verdict is Verdict.INCONCLUSIVE and decided.cause is Cause.FIDELITY
    assert "u: it calls newfstatat, which Linux 6.6.0 lacks or may lack" in decided.reason
    assert decide(tmp_path, UNIT, HELLO, platforms, catalogue, pool, "loongson")["XC-MRU-033"].verdict is Verdict.PASS
    assert decide(tmp_path, UNIT, NEWFSTATAT, platforms, catalogue, pool)["XC-MRU-033"].verdict is Verdict.PASS


AIO = """
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    unsigned long context = 0;
    int without = syscall(SYS_io_setup, 8, &context) != 0;
    if (without) puts("no native AIO");
    return EXIT || puts("hello") < 0;
}
"""


@pytest.mark.parametrize("provisioned", [True, False])
@pytest.mark.parametrize("exit_", ["without", "0"])
def test_a_call_that_the_emulator_lacks_is_not_the_subjects_doing(
    exit_: str,
    provisioned: bool,
    tmp_path: Path,
    platforms: Platforms,
    catalogue: Catalogue,
    pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """qemu-user has no io_setup, which every kernel has: a data base on libaio fails there, and not on the platform."""
    if not provisioned:
        monkeypatch.setattr(pool.store, "has_system", lambda *_: False)
    decisions = decide(tmp_path, UNIT, AIO.replace("EXIT", exit_), platforms, catalogue, pool)
    assert Verdict.FAIL not in verdicts(decisions)
    decided = decisions["XC-MRU-005"]
    assert decided.verdict is Verdict.INCONCLUSIVE and decided.cause is Cause.FIDELITY
    assert (
        "io_setup, which the platform has and the emulator lacks" in decided.reason
        and "--xc-backend=system" in decided.mend
    )


@pytest.mark.parametrize("ends", ["0", "3"])
def test_one_trace_serves_all_who_ask_of_a_unit(
    ends: str, tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, traced = QemuSandbox.run, []

    def run(self: QemuSandbox, *args: Any, **kwargs: Any) -> Outcome:
        outcome = real(self, *args, **kwargs)
        if kwargs.get("trace"):
            traced.append(outcome)
        return outcome

    monkeypatch.setattr(QemuSandbox, "run", run)
    source = HELLO.replace("return", "syscall(SYS_pidfd_open, 1, 0); return").replace("< 0", f"< 0 ? 1 : {ends}")
    source = "#include <sys/syscall.h>\n#include <unistd.h>\n" + source
    two = UNIT + UNIT.partition("\n")[2].replace("name: u", "name: v")
    decided = decide(tmp_path, two, source, platforms, catalogue, pool)["XC-MRU-006"]
    assert decided.verdict is (Verdict.FAIL if ends == "3" else Verdict.PASS)
    assert [Trace.of(outcome).missing_calls() for outcome in traced] == [("pidfd_open",)] * 2


def test_what_fails_on_a_real_kernel_as_well_is_the_subjects_doing(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    decisions = decide(tmp_path, UNIT, AIO.replace("EXIT", "1"), platforms, catalogue, pool)
    assert decisions["XC-MRU-006"].verdict is Verdict.FAIL and "exit code 1" in decisions["XC-MRU-006"].reason


@pytest.mark.parametrize("how", ["", "env -i ", "exec 2>&-; env -i "])
def test_a_program_without_environment_or_stderr_is_traced_all_the_same(
    how: str, tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    unit = 'units:\n  - name: u\n    kind: shell\n    sources: [u.c]\n    expect: {stdout: "hello\\n", source: its own text}\n'
    decided = decide(tmp_path, unit, f"#!/bin/sh\n{how}/bin/echo hello\n", platforms, catalogue, pool)
    assert decided["XC-MRU-005"].verdict is Verdict.PASS
    assert decided["XC-MRU-033"].verdict is Verdict.PASS, decided["XC-MRU-033"].reason
