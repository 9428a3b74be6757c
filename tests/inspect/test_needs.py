"""Needs that nothing meets, by name: functions without a version, other series of libraries, what eBPF asks of kernels."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.inspect.bpf import MARK, bpf_needs
from pytest_xinchuang.inspect.elf import Needed
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.closure import Closure
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.inspect.rules.needs import check_series, check_undefined
from tests.inspect import containers
from tests.inspect.bpf import CALL_RINGBUF_OUTPUT, EXIT, LOAD_ADDRESS, bpf_object
from tests.inspect.test_rules import elf

OLD, NEW = "hygon_c86-uos_desktop_20", "kunpeng920-openeuler_22_03"


def found(path: Path, platforms: Platforms, name: str = OLD) -> list[Finding]:
    platform = platforms.get(name)
    return Verdicts(platform, platforms.file.architectures).of(Inspector().read(path))


@pytest.mark.parametrize(
    ("data", "needs"),
    [
        (bpf_object("kprobe/x", b""), {}),
        (bpf_object("kprobe/x", CALL_RINGBUF_OUTPUT), {"helper 130": "5.8"}),
        (bpf_object("kprobe/x", struct.pack("<BBhi", 0x85, 0x10, 0, 130)), {}),
        (bpf_object("kprobe/x", struct.pack("<BBhi", 0x85, 0x20, 0, 130)), {"kfunc": "5.13"}),
        (bpf_object("kprobe/x", struct.pack("<BBhi", 0x16, 0, 1, 0)), {"jmp32": "5.1"}),
        (bpf_object("kprobe/x", struct.pack("<BBhi", 0xDB, 0, 0, 1)), {"atomics": "5.12"}),
        (bpf_object("kprobe/x", struct.pack("<BBhi", 0xDB, 0, 0, 0)), {}),
        (bpf_object("kprobe/x", struct.pack("<BBhi", 0xBF, 0, 32, 0)), {"movsx": "6.6"}),
        (bpf_object("fentry/x", b""), {"type fentry": "5.5"}),
        (bpf_object("lsm.s/x", b""), {"type lsm": "5.7"}),
        (bpf_object("kprobe/x", LOAD_ADDRESS, data=".rodata"), {"data": "5.2"}),
        (bpf_object("kprobe/x", LOAD_ADDRESS, data=".maps"), {}),
        (bpf_object("kprobe/x", b"", core=True), {"btf": "5.2"}),
        # The second half of a wide instruction is no instruction.
        (bpf_object("kprobe/x", LOAD_ADDRESS[:8] + CALL_RINGBUF_OUTPUT), {}),
    ],
)  # fmt: skip
def test_what_an_object_asks_of_kernels(data: bytes, needs: dict[str, str]) -> None:
    assert bpf_needs(data) == {MARK + what: since for what, since in needs.items()}


@pytest.mark.parametrize("cut", [0, 5, 40, 63, 64, 90, 200])
def test_what_cannot_be_followed_asks_nothing(cut: int) -> None:
    assert bpf_needs(bpf_object("kprobe/x", CALL_RINGBUF_OUTPUT)[:cut]) == {}


def test_nonsense_in_its_headers_is_lived_with() -> None:
    whole = bytearray(bpf_object("kprobe/x", LOAD_ADDRESS, data=".bss", core=True))
    for at in range(40, len(whole), 3):
        broken = bytes(whole[:at]) + b"\xff" + bytes(whole[at + 1 :])
        assert isinstance(bpf_needs(broken), dict)


def test_bytes_that_all_headers_name_are_read_once() -> None:
    """A file of a few MiB whose thousands of sections are all of it would be read for hours."""
    whole = bytearray(bpf_object("kprobe/x", CALL_RINGBUF_OUTPUT))
    at, count = len(whole), 20_000
    row = struct.pack("<IIQQQQIIQQ", 1, 1, 4, 0, 0, 1 << 20, 0, 0, 8, 0)
    struct.pack_into("<Q", whole, 40, at)
    struct.pack_into("<3H", whole, 58, 64, count, 0)
    begun = time.process_time()
    bpf_needs(bytes(whole) + row * count)
    assert time.process_time() - begun < 10


def test_the_kernel_decides(tmp_path: Path, platforms: Platforms) -> None:
    path = tmp_path / "probe.o"
    path.write_bytes(bpf_object("kprobe/x", CALL_RINGBUF_OUTPUT))
    (late,) = [f for f in found(path, platforms) if f.code == "XC-SYS-003"]
    assert late.certainty is Certainty.GUARDED
    assert (late.params["since"], late.params["uses"]) == ("5.8", "the helper of number 130")
    assert "XC-SYS-003" not in {f.code for f in found(path, platforms, NEW)}


def test_an_object_among_a_program_s_data_is_found(tmp_path: Path, platforms: Platforms) -> None:
    inside = bpf_object("kprobe/x", CALL_RINGBUF_OUTPUT)
    path = tmp_path / "agent.bin"
    path.write_bytes(b"resources\n" + bytes(54) + inside + b"more" * 9)
    assert {f.code for f in found(path, platforms)} == {"XC-SYS-003"}
    # What stands there in place of its sections is none, and nothing is said of an object for another machine.
    path.write_bytes(b"resources\n" + bytes(54) + inside[: len(inside) // 2] + EXIT)
    assert "XC-SYS-003" not in {f.code for f in found(path, platforms)}


LIBC = (Needed("libc.so.6", "GLIBC_2.17", ("strlen",)),)


def library(name: str = "libx.so", **fields: object) -> ElfRecord:
    usual: dict[str, object] = {
        "soname": "libx.so",
        "libraries": ("libc.so.6",),
        "needed": LIBC,
        "unversioned": frozenset({"lost"}),
    }
    return ElfRecord(name, name, elf(**(usual | fields)))


NEIGHBOUR = library("liby.so", soname="liby.so", unversioned=frozenset())
DEFINES = library("liby.so", soname="liby.so", exports=frozenset({"lost"}), unversioned=frozenset())
PROGRAM = library("server", exports=frozenset({"lost"}), interpreter="/lib/ld.so", unversioned=frozenset())


@pytest.mark.parametrize(
    ("record", "others", "missing"),
    [
        (library(), (), True),
        # What is delivered with it defines the function: a library that it needs, or the program that it is a part of.
        (library(libraries=("liby.so",)), (DEFINES,), False),
        (library(), (PROGRAM,), False),
        (library(libraries=("liby.so",)), (NEIGHBOUR,), True),
        # A library that is not here may define it.
        (library(libraries=("libc.so.6", "libfontconfig.so.1")), (), False),
        # Plug-ins, programs, and what asks for versions of nothing.
        (library(soname=None), (), False),
        (library("x.cpython-311.so"), (), False),
        (library(needed=()), (), False),
        (library(interpreter="/lib/ld-linux-aarch64.so.1"), (), False),
        (library(unversioned=frozenset({"PyLong_FromLong", "_Py_NoneStruct", "napi_create_int32", "__asan_init"})), (), False),
        # A debugger has these.
        (library("libthread_db.so.1", soname="libthread_db.so.1"), (), False),
    ],
)  # fmt: skip
def test_functions_that_nothing_defines(
    record: ElfRecord, others: tuple[ElfRecord, ...], missing: bool, platforms: Platforms
) -> None:
    judge = Judge(platforms.get(NEW))
    check_undefined(judge, record, Closure([record, *others]))
    assert [f.code for f in judge.findings] == (["XC-ELF-044"] if missing else [])


def test_musl_has_no_versions_to_go_by(platforms: Platforms) -> None:
    judge = Judge(platforms.get("kunpeng920-openharmony_4_1"))
    check_undefined(judge, library(), None)
    assert judge.findings == []


@pytest.mark.parametrize(
    ("name", "platform", "other"),
    [
        ("libssl.so.10", NEW, "libssl.so.1.1"),
        ("libssl.so.3", NEW, "libssl.so.1.1"),
        ("libssl.so.1.1", NEW, ""),
        ("libcrypto.so.1.1", "kunpeng920-openeuler_24_03", "libcrypto.so.3"),
        ("libcrypto.so.3", "kunpeng920-openeuler_24_03", ""),
        # Nothing is known of any series of it.
        ("libncurses.so.5", NEW, ""),
        ("libssl.so.10", "kunpeng920-hce_2", ""),
        ("libX11.so", NEW, ""),
    ],
)
def test_another_series_of_a_library(name: str, platform: str, other: str, platforms: Platforms) -> None:
    judge = Judge(platforms.get(platform))
    check_series(judge, library(libraries=("libc.so.6", name)), frozenset())
    assert [f.params["other"] for f in judge.findings] == ([other] if other else [])
    shipped = Judge(platforms.get(platform))
    check_series(shipped, library(libraries=(name,)), frozenset({name}))
    assert shipped.findings == []


@pytest.mark.parametrize(
    ("tag", "platform", "taken"),
    [
        ("manylinux1_x86_64", "hygon", True),
        ("manylinux_2_5_x86_64", "hygon", True),
        ("manylinux1_aarch64", "kunpeng", False),
        ("manylinux2014_aarch64", "kunpeng", True),
        ("manylinux2010_aarch64.manylinux_2_17_aarch64", "kunpeng", True),
        ("manylinux_2_12_loongarch64", "loongson", False),
        ("manylinux_2_36_loongarch64", "loongson", True),
    ],
)
def test_the_oldest_tag_that_pip_takes(
    tag: str, platform: str, taken: bool, tmp_path: Path, platforms: Platforms
) -> None:
    path = tmp_path / f"thing-1.0-cp38-cp38-{tag}.whl"
    path.write_bytes(containers.zipped({"thing-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\n"}))
    assert ("XC-PKG-003" not in {f.code for f in found(path, platforms, platform)}) is taken
