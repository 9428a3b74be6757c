"""Needs that nothing meets, by name: functions without a version, other series of libraries, what eBPF asks of kernels."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.inspect.bpf import MARK, bpf_needs
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from tests.inspect.bpf import CALL_RINGBUF_OUTPUT, EXIT, LOAD_ADDRESS, bpf_object

OLD, NEW = "hygon_c86-uos_desktop_20", "kunpeng920-openeuler_22_03"


def found(path: Path, platforms: Platforms, name: str = OLD) -> list[Finding]:
    platform = platforms.get(name)
    return Verdicts(platform, platforms.file.architectures).of(Inspector().read(path))


@pytest.mark.parametrize(
    ("data", "needs"),
    [
        (bpf_object("kprobe/x", b""), {}),
        (bpf_object("kprobe/x", CALL_RINGBUF_OUTPUT), {"the helper of number 130": "5.8"}),
        (bpf_object("kprobe/x", struct.pack("<BBhi", 0x85, 0x10, 0, 130)), {}),
        (bpf_object("kprobe/x", struct.pack("<BBhi", 0x85, 0x20, 0, 130)), {"calls of kernel functions": "5.13"}),
        (bpf_object("kprobe/x", struct.pack("<BBhi", 0x16, 0, 1, 0)), {"32-bit jumps (-mcpu=v3)": "5.1"}),
        (bpf_object("kprobe/x", struct.pack("<BBhi", 0xDB, 0, 0, 1)), {"atomic operations other than an addition": "5.12"}),
        (bpf_object("kprobe/x", struct.pack("<BBhi", 0xDB, 0, 0, 0)), {}),
        (bpf_object("kprobe/x", struct.pack("<BBhi", 0xBF, 0, 32, 0)), {"sign-extending moves (-mcpu=v4)": "6.6"}),
        (bpf_object("fentry/x", b""), {"programs of the type fentry": "5.5"}),
        (bpf_object("lsm.s/x", b""), {"programs of the type lsm": "5.7"}),
        (bpf_object("kprobe/x", LOAD_ADDRESS, data=".rodata"), {"global data": "5.2"}),
        (bpf_object("kprobe/x", LOAD_ADDRESS, data=".maps"), {}),
        (bpf_object("kprobe/x", b"", core=True), {"relocations against the kernel's own BTF": "5.2"}),
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
