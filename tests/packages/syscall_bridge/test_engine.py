"""Verdicts about bridges: what is the subject's, what is the sandbox's, and what nobody can say here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.needs import InOrder
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.shared import SharedResults
from pytest_xinchuang.core.verdict import Cause, Fidelity, Verdict
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.packages.syscall_bridge import engine as engines
from pytest_xinchuang.packages.syscall_bridge.bridge import BridgeHello, ReplyFault
from pytest_xinchuang.packages.syscall_bridge.clocks import judge_clocks
from pytest_xinchuang.packages.syscall_bridge.engine import Asked, SyscallEngine
from pytest_xinchuang.packages.syscall_bridge.runner import ProbeOutcome, ProbeResult
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder

pytestmark = pytest.mark.sandbox

Make = Callable[..., SyscallEngine]


@pytest.fixture
def make(platforms: Platforms, catalogue: Catalogue, pool: Pool, tmp_path: Path) -> Make:
    def made(
        platform: str = "phytium", manifest: str = "", edit: tuple[str, str] = ("", ""), file: str = "harness.c"
    ) -> SyscallEngine:
        place = tmp_path / "subject"
        shutil.copytree(resources.fixtures_dir() / "bridge", place)
        if manifest:
            (place / "xinchuang.yaml").write_text((place / "xinchuang.yaml").read_text() + manifest)
        if edit[0]:
            source = place / "c" / file
            assert edit[0] in source.read_text()
            source.write_text(source.read_text().replace(*edit))
        return SyscallEngine(platforms.get(platform), load_subject(place), catalogue, pool, Builder(pool.store.cache))

    return made


def test_a_subject_without_a_bridge(platforms: Platforms, catalogue: Catalogue, pool: Pool) -> None:
    subject = load_subject(resources.fixtures_dir() / "subjects" / "openssl")
    engine = SyscallEngine(platforms.get("phytium"), subject, catalogue, pool, Builder(pool.store.cache))
    for requirement in catalogue.of(frozenset({"syscall_bridge"})):
        assert engine.decision(requirement.id).verdict is Verdict.NOT_APPLICABLE
    assert engine.decision("XC-SYS-999").verdict is Verdict.INCONCLUSIVE


def test_a_bridge_that_does_not_build(make: Make) -> None:
    engine = make(edit=("int main(", "int main(int)("))
    order = InOrder(engine.catalogue, engine.decision)
    later = order.decision("XC-SYS-020")
    assert later.verdict is Verdict.NOT_TESTED and later.cause is Cause.BLOCKED
    first = order.decision("XC-SYS-001")
    assert first.verdict is Verdict.FAIL and first.cause is Cause.SUBJECT
    assert engine.decision("XC-SYS-020").verdict is Verdict.INCONCLUSIVE


def test_what_the_reference_bridge_cannot_do_either_is_no_failure(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the sandbox answers one call wrongly, to both bridges."""
    real = engines.run_bridge

    def planted(*args: object, **kwargs: object) -> list[ProbeOutcome]:
        seen = real(*args, **kwargs)  # type: ignore[arg-type]
        return [
            ProbeOutcome(s.id, s.source, s.expected, verbatim("EMULATOR"), ProbeResult.FAILED, s.requirement)
            if s.id == "errno.open#1 openat"
            else s
            for s in seen
        ]

    monkeypatch.setattr(engines, "run_bridge", planted)
    engine = make()
    monkeypatch.setattr(engine.pool, "shared", SharedResults())
    decided = engine.decision("XC-SYS-020")
    assert decided.verdict is Verdict.INCONCLUSIVE and "reference bridge fails here as well" in decided.reason


@pytest.mark.parametrize(
    ("found", "error", "fault", "verdict"),
    [
        ("3", 0, None, Verdict.PASS),
        # By the number of the error, and by no word that the bridge can write.
        ("ENOSYS", 38, None, Verdict.FAIL),
        ("7 with another name for it", 38, None, Verdict.FAIL),
        ("it does not know ENOSYS", 0, ReplyFault.UNKNOWN_NAME, Verdict.PASS),
        ("died: exit code 1: ENOSYS", 0, None, Verdict.PASS),
        ("it does not know operation", 0, ReplyFault.UNKNOWN_OPERATION, Verdict.FAIL),
        ("it does not know close", 0, ReplyFault.UNKNOWN_OPERATION, Verdict.FAIL),
        ("it does not know operation is the name of a flag", 0, ReplyFault.UNKNOWN_NAME, Verdict.PASS),
    ],
)
def test_what_is_present_is_not_told_by_words(
    make: Make, found: str, error: int, fault: ReplyFault | None, verdict: Verdict
) -> None:
    engine = make()
    hello = {"hello": "xc-bridge/1", "name": "x", "version": "1", "operations": ["close"]}
    engine.__dict__["_first"] = BridgeHello.model_validate(hello)
    outcome = ProbeOutcome(
        "p#1 close", verbatim("a rule"), verbatim("0"), verbatim(found), ProbeResult.FAILED, "XC-SYS-020", error, fault
    )
    engine.__dict__["asked"] = Asked((outcome,), {}, Fidelity.EMULATED_USER, "linux", 4096, "qemu-user")
    engine._answered = lambda: ()  # type: ignore[method-assign]
    engine._not_emulated = lambda: ()  # type: ignore[method-assign]
    assert engine.decision("XC-SYS-002").verdict is verdict


def test_a_bridge_that_crashes_is_not_the_emulators_fault(make: Make) -> None:
    """Its last words are the emulator's; whose end it was is told by the signal that qemu has announced."""
    blame = r"""if (IS("lseek")) { fputs("qemu-aarch64: QEMU internal SIGABRT {code=SI_USER}\\n", stderr); abort(); }"""
    engine = make(edit=('if (IS("lseek"))', f'{blame.replace(chr(92) * 2, chr(92))} if (IS("lseek"))'))
    requirement = next(p.requirement for p in engine.probes.bridge.values() if any(s.do == "lseek" for s in p.steps))
    decided = engine.decision(requirement)
    assert (decided.verdict, decided.cause) == (Verdict.FAIL, Cause.SUBJECT), decided
    assert "SIGABRT" in decided.reason


def test_what_an_earlier_run_left_is_no_answer_of_this_one(make: Make) -> None:
    engine = make()
    engine.sandbox.put(f"{engine._built.directory}/d3/left", b"")
    assert engine.decision("XC-SYS-023").verdict is Verdict.PASS


def test_what_the_bridge_leaves_is_not_the_references_doing(make: Make) -> None:
    engine = make(edit=("syscall(SYS_unlinkat, dir, path, flags)", "0 * flags"), file="bridge.c")
    decided = engine.decision("XC-SYS-023")
    assert (decided.verdict, decided.cause) == (Verdict.FAIL, Cause.SUBJECT), decided


def test_an_answer_that_nobody_documents_is_no_pass(make: Make) -> None:
    engine = make(manifest="  os_profile: liteos-a\n")
    decided = engine.decision("XC-SYS-020")
    assert decided.verdict is Verdict.INCONCLUSIVE and decided.cause is Cause.MISSING_FACT
    assert "documented nowhere for liteos-a" in decided.reason


def test_a_profile_that_is_not_there(make: Make) -> None:
    decided = make(manifest="  os_profile: vxworks\n").decision("XC-SYS-020")
    assert decided.verdict is Verdict.INCONCLUSIVE and "vxworks" in decided.reason


def test_a_bridge_that_offers_nothing_of_what_is_asked(make: Make) -> None:
    engine = make(
        edit=(
            'static const char *OPERATIONS =\n    "openat',
            'static const char *OPERATIONS = "own"; static const char *NOT_OFFERED =\n    "openat',
        )
    )
    decided = {i: engine.decision(i) for i in ("XC-SYS-002", "XC-SYS-010", "XC-SYS-020", "XC-SYS-025")}
    assert not [i for i, d in decided.items() if d.verdict is Verdict.PASS]
    assert decided["XC-SYS-020"].verdict is Verdict.NOT_APPLICABLE
    assert decided["XC-SYS-002"].verdict is Verdict.INCONCLUSIVE


def test_a_kernel_that_cannot_be_had_is_no_failure(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise HostFault(verbatim("no kernel here"), mend=verbatim("xc provision --system"))

    monkeypatch.setattr(Pool, "system", none)
    decided = make("loongson").decision("XC-SYS-030")
    assert decided.verdict is Verdict.INCONCLUSIVE and decided.mend == "xc provision --system"


def test_pages_that_nobody_has_are_undecided(make: Make) -> None:
    decided = make("kunpeng920-kylin_v11").decision("XC-SYS-030")
    assert decided.verdict is Verdict.INCONCLUSIVE and decided.cause is Cause.MISSING_FACT


def test_a_call_that_the_kernel_may_lack_is_no_pass(make: Make) -> None:
    """LoongArch's fstat came back with 6.11 and 6.6.47: nobody knows of Kylin V11's 6.6.0, and the emulator answers it."""
    engine = make("loongson", edit=(" && !defined __loongarch__", ""), file="bridge_stat.c")
    decided = engine.decision("XC-SYS-002")
    assert decided.verdict is Verdict.INCONCLUSIVE and decided.cause is Cause.FIDELITY
    assert "it calls fstat, which Linux 6.6.0 lacks or may lack" in decided.reason and "kernel import" in decided.mend


def test_a_call_that_the_emulator_lacks_is_not_the_bridges_doing(make: Make) -> None:
    """A bridge on top of native AIO, which qemu-user has not got."""
    needs = 'if (IS("lseek")) { unsigned long c = 0; if (syscall(SYS_io_setup, 8, &c)) return -EIO; } if (IS("lseek"))'
    engine = make(edit=('if (IS("lseek"))', needs))
    requirement = next(p.requirement for p in engine.probes.bridge.values() if any(s.do == "lseek" for s in p.steps))
    decided = engine.decision(requirement)
    assert decided.verdict is Verdict.INCONCLUSIVE and decided.cause is Cause.FIDELITY
    assert "EIO" in decided.reason and "it calls io_setup, which the emulator does not implement" in decided.reason


def test_numbers_are_wrong_whatever_the_emulator_lacks(make: Make) -> None:
    """A bridge that asks for native AIO first has its numbers compiled in all the same."""
    first = "static void numbers(text *out) {"
    asks = "__attribute__((constructor)) static void aio(void) { unsigned long c = 0; syscall(SYS_io_setup, 8, &c); }"
    engine = make(edit=(first, f"#undef SYS_mmap\n#define SYS_mmap 9999\n{asks}\n{first}"))
    decided = engine.decision("XC-SYS-010")
    assert decided.verdict is Verdict.FAIL and decided.cause is Cause.SUBJECT
    assert "mmap" in decided.reason


def test_other_pages_than_the_platforms_blame_nobody(make: Make) -> None:
    """Kylin V10 SP1 has pages of 64K, the stand-in kernel has 4K: who counts on 64K fails here, and works there."""
    engine = make("phytium", edit=("return (long)getauxval(AT_PAGESZ);", "return 65536;"), file="bridge.c")
    decided = engine.decision("XC-SYS-030")
    assert decided.verdict is Verdict.INCONCLUSIVE and decided.cause is Cause.FIDELITY
    assert "ran with pages of 4096 bytes, the platform has 65536; there: pages.bridge#1 page_size" in decided.reason
    assert "xc kernel import" in decided.mend


CLOCK = {"samples": 10000, "backwards": 0, "mean_ns": 40, "worst_ns": 70_000}
TIMER = {"samples": 10000, "early": 0, "mean_ns": 60_000, "worst_ns": 900_000}


@pytest.mark.parametrize(
    ("clock", "timer", "seconds", "told"),
    [
        ({}, {}, 10.9, ""),
        ({"worst_ns": 1_000_001}, {}, 10.9, "the worst step of the clock among 10000 samples is 1000001 ns"),
        ({}, {"worst_ns": 10_000_001}, 10.9, "the worst lateness of a timer among 10000 samples is 10000001 ns"),
        ({"backwards": 2}, {}, 10.9, "backwards 2 times"),
        ({}, {"early": 1}, 10.9, "1 timer was early"),
        # Words that cannot be true.
        ({}, {}, 0.3, "said to be over after 0.3 s"),
        ({"samples": 10}, {}, 10.9, "10 of 10000"),
        ({"worst_ns": -1}, {}, 10.9, "worst_ns -1"),
        ({"worst_ns": "0"}, {}, 10.9, "worst_ns '0'"),
        ({"worst_ns": float("nan")}, {}, 10.9, "worst_ns nan"),
        ({}, {"worst_ns": None}, 10.9, "worst_ns None"),
        ({"backwards": False}, {}, 10.9, "backwards False"),
        ({}, {"early": []}, 10.9, "early []"),
    ],
)
def test_clocks(clock: dict[str, object], timer: dict[str, object], seconds: float, told: str) -> None:
    found = judge_clocks(CLOCK | clock, TIMER | timer, seconds)
    assert (told in "; ".join(found.wrong)) if told else found.wrong == []
    assert bool(told) is bool(found.wrong) and found.evidence


def test_clocks_that_nobody_reads() -> None:
    assert judge_clocks(None, TIMER, 10.9).lacking and engines.judge_clocks(CLOCK, None, 10.9).lacking


@pytest.mark.parametrize(
    ("said", "verdict", "told"),
    [
        ({"openat": 56, "read": 63}, Verdict.PASS, ""),
        ({"openat": 257}, Verdict.FAIL, "openat is 257, and 56 on arm64"),
        ({"open": 1024}, Verdict.FAIL, "open is no system call of arm64"),
        ({"invented": 300}, Verdict.FAIL, "invented is no system call"),
        ({"openat": "56"}, Verdict.FAIL, "'56', which is no number"),
        ({"of_linux_9": 500}, Verdict.INCONCLUSIVE, "of_linux_9 (500) is not in the table"),
        ({}, Verdict.NOT_APPLICABLE, "names no call"),
    ],
)
def test_numbers(
    said: dict[str, object], verdict: Verdict, told: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make()
    monkeypatch.setattr(engine, "_all_said", lambda *_: [said])
    decided = engine.decision("XC-SYS-010")
    assert decided.verdict is verdict and told in decided.reason


def test_a_layout_without_fields_says_too_little(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make()
    monkeypatch.setattr(engine, "_all_said", lambda *_: [{"size": 128, "align": 8}])
    decided = engine.decision("XC-SYS-011")
    assert decided.verdict is Verdict.INCONCLUSIVE and "no field of struct stat" in decided.reason


def test_clocks_are_decided_on_the_machine_alone(make: Make) -> None:
    decided = make().decision("XC-SYS-031")
    assert decided.verdict is Verdict.INCONCLUSIVE and "needs native" in decided.reason


def test_go_structures_of_a_subject(make: Make, tmp_path: Path) -> None:
    place = tmp_path / "own"
    shutil.copytree(resources.fixtures_dir() / "bridge", place)
    (place / "kernel").mkdir()
    (place / "kernel/k.go").write_text("package kernel\ntype Timespec struct { Sec int32; Nsec int32 }\n")
    (place / "xinchuang.yaml").write_text((place / "xinchuang.yaml").read_text() + "  go_structs: kernel\n")
    first = make()
    engine = SyscallEngine(first.platform, load_subject(place), first.catalogue, first.pool, first.builder)
    decided = engine.decision("XC-SYS-012")
    assert decided.verdict is Verdict.FAIL and "Timespec is not struct timespec" in decided.reason
    (place / "kernel/k.go").write_text("package kernel\ntype Timespec struct { Sec int64; Nsec int64 }\n")
    again = SyscallEngine(first.platform, load_subject(place), first.catalogue, first.pool, first.builder)
    assert again.decision("XC-SYS-012").verdict is Verdict.PASS
    # A package of which nothing is compared is no pass.
    (place / "kernel/k.go").write_text("package kernel\ntype FileInfo struct { Sec int32 }\n")
    again = SyscallEngine(first.platform, load_subject(place), first.catalogue, first.pool, first.builder)
    decided = again.decision("XC-SYS-012")
    assert decided.verdict is Verdict.INCONCLUSIVE and "no structure of kernel" in decided.reason
    assert "structs:" in decided.mend
    # Nor does naming a right structure hide a wrong one.
    (place / "kernel/k.go").write_text(
        "package kernel\ntype Timespec struct { Sec int32; Nsec int32 }\ntype Own struct { Row, Col, X, Y uint16 }\n"
    )
    (place / "xinchuang.yaml").write_text((place / "xinchuang.yaml").read_text() + "  structs: {Own: struct winsize}\n")
    again = SyscallEngine(first.platform, load_subject(place), first.catalogue, first.pool, first.builder)
    assert "Timespec is not struct timespec" in again.decision("XC-SYS-012").reason
