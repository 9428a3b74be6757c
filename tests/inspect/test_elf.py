from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.inspect.elf import Needed, NotElf
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.sandbox.wall.formats import refuser
from pytest_xinchuang.toolchain.builder import Builder, Target
from tests.tiers import starts_programs

SAMPLE = refuser("x86_64", "no\n", b"\x01" + bytes(6))


@pytest.fixture(scope="module")
@starts_programs
def built(tmp_path_factory: pytest.TempPathFactory, platforms: Platforms) -> dict[Arch, bytes]:
    from pytest_xinchuang.provision.cache import Cache

    source = tmp_path_factory.mktemp("elf") / "t.c"
    source.write_text(
        "#include <pthread.h>\n__thread int n;\nint main(void){pthread_t t;return pthread_create(&t,0,0,0)+n;}\n"
    )
    builder = Builder(Cache())
    versions = {Arch.AMD64: "2.28", Arch.ARM64: "2.34", Arch.LOONG64: "2.36"}
    return {a: builder.c(Target(a, platforms.file.architectures[a], v), [source]) for a, v in versions.items()}


def test_what_an_object_demands(built: dict[Arch, bytes], platforms: Platforms) -> None:
    for arch, data in built.items():
        elf = read_elf(data, "t")
        architecture = platforms.file.architectures[arch]
        assert elf.machine == architecture.elf_machine
        assert elf.interpreter in architecture.interpreters["new"]
        assert "libc.so.6" in elf.libraries
        assert "pthread_create" in elf.imports
        assert elf.has_tls
        assert elf.world(architecture)[0] == "new"
        assert min(elf.load_alignments) == (0x1000 if arch is Arch.AMD64 else 0x10000)


def test_which_symbol_is_too_new(built: dict[Arch, bytes]) -> None:
    needed = {n.version: n for n in read_elf(built[Arch.ARM64], "t").needed}
    assert "pthread_create" in needed["GLIBC_2.34"].symbols
    assert needed["GLIBC_2.34"].number == (2, 34) and needed["GLIBC_2.17"].number == (2, 17)


@pytest.mark.parametrize(
    ("version", "family", "number"),
    [("GLIBC_2.28", "GLIBC", (2, 28)), ("GLIBC_2.4", "GLIBC", (2, 4)), ("GLIBC_2.100", "GLIBC", (2, 100)),
     ("GLIBC_PRIVATE", "GLIBC", None), ("GLIBC_ABI_DT_RELR", "GLIBC", None), ("GLIBC_2.", "GLIBC", None),
     ("GLIBC_2.²", "GLIBC", None), ("GLIBC_2." + "9" * 5000, "GLIBC", (2, 10**18 - 1)),
     ("GLIBCXX_3.4.29", "GLIBCXX", (3, 4, 29)), ("OPENSSL_3.0.0", "OPENSSL", (3, 0, 0))],
)  # fmt: skip
def test_versions_are_numbers_not_words(version: str, family: str, number: tuple[int, ...] | None) -> None:
    needed = Needed("libc.so.6", version, ())
    assert (needed.family, needed.number) == (family, number)


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", b"MZ\x90", b"#!/bin/sh\n", SAMPLE[:30], SAMPLE[:70], b"\x7fELF" + b"\xff" * 200]
)
def test_what_is_no_elf_object_is_told_in_words(data: bytes) -> None:
    with pytest.raises(NotElf, match=r"^name: "):
        read_elf(data, "name")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=12), cut=st.integers(0, 4000))
def test_a_damaged_object_never_ends_in_a_traceback(
    built: dict[Arch, bytes], changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(built[Arch.LOONG64])
    for place, value in changes:
        data[place % len(data)] = value
    if cut < 3000:
        del data[cut:]
    try:
        read_elf(bytes(data), "x")
    except NotElf:
        pass


def test_a_script_of_the_suite_is_no_elf() -> None:
    with pytest.raises(NotElf):
        read_elf(Path(__file__).read_bytes(), "x")
