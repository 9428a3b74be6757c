"""Each known-bad subject is caught by the requirement that is named for it, and by no other."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.subject import Subject
from pytest_xinchuang.core.verdict import Decision, Verdict
from pytest_xinchuang.packages.mru.engine import MruEngine
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder, Target
from tests.messages.english import english_in

HERE = Path(__file__).parent
CAUGHT_BY = yaml.safe_load((HERE / "caught_by.yaml").read_text())

ARTIFACTS = {
    "artifact_newer_libc": (
        Arch.ARM64,
        "2.34",
        "#include <pthread.h>\nint use(pthread_t t) { return pthread_join(t, 0); }\n",
        (),
    ),
    "artifact_beyond_cpu": (
        Arch.AMD64,
        "2.28",
        "void add(int *a, const int *b) { for (int i = 0; i < 64; i++) a[i] += b[i]; }\n",
        ("-O3", "-mavx2"),
    ),
    "artifact_dies_when_loaded": (
        Arch.ARM64,
        "2.28",
        "#include <sys/auxv.h>\nstatic int count;\n"
        'static void add(void) { int r; __asm__ volatile(".arch_extension lse\\n\\tldadd %w1, %w0, [%2]"'
        ' : "=r"(r) : "r"(1), "r"(&count)); }\n'
        "static void (*volatile chosen)(void) = add;\n"
        "__attribute__((constructor)) static void begin(void) { if (!(getauxval(AT_HWCAP) & 1 << 8)) chosen(); }\n",
        (),
    ),
    "artifact_static_tls": (
        Arch.ARM64,
        "2.28",
        "static __thread char block[4096];\nchar *use(int n) { block[n] = 1; return block + n; }\n",
        ("-ftls-model=initial-exec", "-fPIC"),
    ),
}

OF_TOOLS = re.compile(r"errno=[0-9]+ \([^)]*\)|(?<=error: )[^；]*")
"""What qemu-user prints of a call, and a compiler of a source: no texts of ours."""

pytestmark = pytest.mark.sandbox


def prepare(name: str, tmp_path: Path, builder: Builder, platforms: Platforms) -> Subject:
    """The mutant in a directory of its own; binaries that no repository should hold are built there."""
    place = tmp_path / name
    shutil.copytree(HERE / name, place)
    if name == "wrong_architecture":
        source = place / "hello.c"
        source.write_text('#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n')
        target = Target(Arch.AMD64, platforms.file.architectures[Arch.AMD64], "2.28", ("-mcpu=x86_64",))
        (place / "hello.elf").write_bytes(builder.c(target, [source]))
    elif name in ARTIFACTS:
        arch, libc, text, flags = ARTIFACTS[name]
        source = place / "lib.c"
        source.write_text(text)
        target = Target(arch, platforms.file.architectures[arch], libc)
        (place / "lib.so").write_bytes(builder.c(target, [source], flags=flags, shared=True))
    return load_subject(place)


def decisions_of(
    subject: Subject, name: str, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> dict[str, Decision]:
    platform = platforms.get(CAUGHT_BY[name]["platform"])
    engine = MruEngine(platform, subject, catalogue, pool, Builder(pool.store.cache))
    return {r.id: engine.decision(r.id) for r in catalogue.of(frozenset({"mru"}))}


def test_every_mutant_is_in_the_table() -> None:
    assert sorted(CAUGHT_BY) == sorted(p.name for p in HERE.iterdir() if (p / "xinchuang.yaml").is_file())


def test_every_requirement_that_can_fail_here_has_a_mutant(catalogue: Catalogue) -> None:
    # A start-up budget and a real page size are decided on a real machine alone.
    ids = {r.id for r in catalogue.of(frozenset({"mru"}))} - {"XC-MRU-040", "XC-MRU-041"}
    planted = {"XC-MRU-030", "XC-MRU-031", "XC-MRU-032", "XC-MRU-033"}  # in porting/
    assert ids == {entry["requirement"] for entry in CAUGHT_BY.values()} | planted


@pytest.mark.parametrize("name", CAUGHT_BY)
def test_mutant_is_caught_by_its_requirement_alone(
    name: str, tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    builder = Builder(pool.store.cache)
    subject = prepare(name, tmp_path, builder, platforms)
    decisions = decisions_of(subject, name, platforms, catalogue, pool)
    failed = {i: d.reason for i, d in decisions.items() if d.verdict is Verdict.FAIL}
    named, verdict = CAUGHT_BY[name]["requirement"], Verdict(CAUGHT_BY[name].get("verdict", "fail"))
    assert decisions[named].verdict is verdict, decisions[named].reason
    assert list(failed) == ([named] if verdict is Verdict.FAIL else []), failed
    assert not [i for i, d in decisions.items() if d.verdict is Verdict.PASS and not d.evidence]
    told = {OF_TOOLS.sub("", text.render("zh")) for d in decisions.values() for text in (d.reason, d.mend)}
    assert not {text: english_in(text) for text in told if english_in(text)}


@pytest.mark.parametrize("name", [name for name in CAUGHT_BY if (HERE / name / "twin.c").is_file()])
def test_its_twin_passes(name: str, tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool) -> None:
    """What differs from the mutant in the fault alone meets the requirement, and fails none."""
    shutil.copytree(HERE / name, tmp_path / name)
    (tmp_path / name / "twin.c").replace(tmp_path / name / "unit.c")
    decisions = decisions_of(load_subject(tmp_path / name), name, platforms, catalogue, pool)
    assert not {i: d.reason for i, d in decisions.items() if d.verdict is Verdict.FAIL}
    named = decisions[CAUGHT_BY[name]["requirement"]]
    assert named.verdict is Verdict.PASS, named.reason
