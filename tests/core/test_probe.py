"""Probes of real machines: what the script writes, what is read of it, and how it compares with platforms.yaml."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.evidence import load_evidence
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.core.probe import MOST_BYTES, Agreement, Compared, Comparison, compare, read_probe

EVIDENCE = load_evidence()


def probe(cpu: str, system: str, machine: str = "aarch64", extra: Sequence[str] = ()) -> bytes:
    """What the script would write on the machines of two entries of the evidence."""
    lines = ["format\txc-probe/1", f"machine\t{machine}"]
    lines += [f"os_release\t{line}" for line in (EVIDENCE[system].os_release or "").splitlines()]
    lines += [f"cpuinfo\t{line.replace(chr(9), ' ')}" for line in (EVIDENCE[cpu].cpuinfo or "").splitlines()]
    return "\n".join([*lines, *extra, "end\tyes", ""]).encode()


SP3 = (
    "kernel.release\t4.19.90-89.11.v2401.ky10.aarch64",
    "page_size\t65536",
    "libc.version\tglibc 2.28",
    "libstdcxx.symbols\tGLIBCXX_3.4.9",
    "libstdcxx.symbols\tGLIBCXX_3.4.24",
    "openssl\tOpenSSL 1.1.1f  31 Mar 2020",
    "rpm.version\tRPM version 4.15.1",
    "rpm.packages\tglibc-2.28-66.p01.ky10.aarch64",
    "rpm.features\trpmlib(PayloadIsXz)",
    'java\topenjdk version "1.8.0_312"',
)


def compared(platforms: Platforms, *, without: str = "", extra: Sequence[str] = ()) -> Comparison:
    lines = [line for line in SP3 if not without or not line.startswith(without)]
    return compare(read_probe(probe("hrw_86", "qdrant_6512", extra=(*lines, *extra))), platforms.file)


def of(found: Comparison, end: str) -> Compared:
    return next(each for each in found.facts if each.fact.endswith(end))


def test_a_machine_that_is_as_it_is_told(platforms: Platforms) -> None:
    found = compared(platforms)
    assert (found.arch, found.cpus, found.systems) == (Arch.ARM64, ("kunpeng920",), ("kylin_v10_sp3",))
    assert not found.differs and not found.doubts
    same = {each.fact.rpartition(".")[2] for each in found.facts if each.agreement is Agreement.SAME}
    assert {"features", "kernel", "libc_version", "glibcxx_max", "openssl", "arm64", "packaging", "java"} <= same
    new = of(found, "compressors")
    assert (new.agreement, new.seen) == (Agreement.NEW, "gzip none xz")
    assert of(found, "software.node").agreement is Agreement.UNTOLD


@pytest.mark.parametrize(
    ("without", "line", "fact"),
    [
        ("page_size", "page_size\t4096", "page_size.arm64"),
        ("libc.version", "libc.version\tglibc 2.34", "libc_version"),
        ("libc.version", "libc.version\tglibc 2.2", "libc_version"),
        ("libstdcxx", "libstdcxx.symbols\tGLIBCXX_3.4.29", "glibcxx_max"),
        ("kernel", "kernel.release\t4.19.9-1", "kernel"),
        ("kernel", "kernel.release\t4.19.901", "kernel"),
        ("openssl", "openssl\tOpenSSL 3.0.12", "openssl"),
        ("java", 'java\topenjdk version "17.0.1"', "software.java"),
    ],
)
def test_what_differs_is_told(without: str, line: str, fact: str, platforms: Platforms) -> None:
    found = compared(platforms, without=without, extra=[line])
    assert found.differs and of(found, fact).agreement is Agreement.DIFFERS


@pytest.mark.parametrize(
    ("cpu", "system", "entries"),
    [
        ("hrw_86", "lynis_1572", ("kunpeng920", "alinux_3")),
        ("hrw_86", "tailscale_9010", ("kunpeng920", "alinux_3")),
        ("hrw_86", "alinux4_machine", ("kunpeng920", "alinux_4")),
        ("hrw_24", "kos_machine", ("phytium_d2000", "kos_5_8")),
        ("hrw_86", "ruyi_237", ("kunpeng920", "openeuler_25_03")),
        ("hrw_116", "ruyi_63", ("phytium_d3000", "openkylin_2")),
        ("hrw_86", "tencentos_33", ("kunpeng920", "tencentos_3")),
        ("hrw_86", "oneinstack_565", ("kunpeng920", "tencentos_4")),
        ("hrw_86", "deepin_23_board_2", ("kunpeng920", "deepin_23")),
        ("fastfetch_1529", "lns8_1", ("loongson_3b6000", "loongnix_server_8")),
        ("hygon_440", "neokylin_u6", ("hygon_c86", "neokylin_7")),
        ("hygon_3450m", "neokylin_v7", ("hygon_c86_4g", "neokylin_7")),
    ],
)
def test_probes_of_systems_that_users_ask_for(
    cpu: str, system: str, entries: tuple[str, str], platforms: Platforms
) -> None:
    machine = {"fastfetch_1529": "loongarch64"}.get(cpu, "x86_64" if cpu.startswith("hygon") else "aarch64")
    found = compare(read_probe(probe(cpu, system, machine)), platforms.file)
    assert entries[0] in found.cpus and found.systems == (entries[1],)
    features = next(iter(found.facts))
    assert features.agreement in (Agreement.SAME, Agreement.UNTOLD) and features.fact.startswith(
        f"cpus.{found.cpus[0]}."
    )


def test_features_that_a_machine_lacks_or_has_more(platforms: Platforms) -> None:
    data = probe("hrw_86", "qdrant_6512").replace(b" jscvt", b" sve").replace(b" dcpop", b" unheard_of")
    features = of(compare(read_probe(data), platforms.file), "features")
    assert features.agreement is Agreement.DIFFERS
    assert {"+sve", "-jscvt", "-dcpop"} <= set(features.seen.split()) and "unheard_of" not in features.seen


def test_all_features_of_a_cpu_that_has_no_list_are_news(platforms: Platforms) -> None:
    data = probe("hrw_86", "qdrant_6512").replace(b"0xd01", b"0xd06").replace(b" dcpop", b" sve2 dcpop")
    features = of(compare(read_probe(data), platforms.file), "features")
    assert features.fact == "cpus.kunpeng950.features" and features.agreement is Agreement.NEW
    assert {"fp", "sve2", "dcpop"} <= set(features.seen.split()) and "+" not in features.seen and not features.stronger


def test_names_of_features_that_linux_writes_otherwise(platforms: Platforms) -> None:
    found = compare(read_probe(probe("spu_158", "packagekit_547", "x86_64")), platforms.file)
    assert (found.cpus, found.systems) == (("hygon_c86",), ("uos_20",))
    assert of(found, "features").agreement is Agreement.SAME
    # No kernel names the instructions of LoongArch v1.1.
    found = compare(read_probe(probe("cockpit_22678", "loongnix_1", "loongarch64")), platforms.file)
    assert of(found, "cpus.loongson_3c6000.features").agreement is Agreement.SAME


def test_what_a_feature_is_disputed_by_shows_in_a_comparison(platforms: Platforms) -> None:
    features = of(compare(read_probe(probe("openblas_3295", "ansible_kylin", "x86_64")), platforms.file), "features")
    assert "-sha_ni" in features.seen


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["container\tdocker"], "container (docker)"),
        (["virtual\tkvm"], "under kvm"),
        (["virtual\tnone"], None),
        (["container\tdocker", "virtual\tdocker"], "container (docker)"),
        (["dmi.sys_vendor\tQEMU"], "emulator"),
    ],
)
def test_a_machine_that_may_be_another(lines: list[str], told: str | None, platforms: Platforms) -> None:
    doubts = [str(doubt) for doubt in compared(platforms, extra=lines).doubts]
    assert (doubts == []) if told is None else (len(doubts) == 1 and told in doubts[0])


def test_a_machine_of_no_entry(platforms: Platforms) -> None:
    found = compare(read_probe(b"format\txc-probe/1\nmachine\triscv64\nend\tyes\n"), platforms.file)
    assert found == Comparison(None, (), ())
    for machine, told in (("sw_64", "SW64"), ("mips64", "before the 3A5000 are MIPS64")):
        found = compare(read_probe(f"format\txc-probe/1\nmachine\t{machine}\nend\tyes\n".encode()), platforms.file)
        assert (found.arch, found.cpus, found.systems) == (None, (), ()) and told in found.unsupported
    found = compare(read_probe(b"format\txc-probe/1\nmachine\taarch64\nend\tyes\n"), platforms.file)
    assert (found.cpus, found.systems, found.facts) == ((), (), ())


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no probe"),
        (b"format\txc-probe/2\nend\tyes\n", "no probe"),
        (b"format\txc-probe/1\nformat\txc-probe/1\nend\tyes\n", "no probe"),
        (b"format\txc-probe/1\nmachine\taarch64\n", "cut off"),
        (b"format\txc-probe/1\nmachine aarch64\nend\tyes\n", "line 2"),
        (b"format\txc-probe/1\nMACHINE\taarch64\nend\tyes\n", "line 2"),
        (b"\x7fELF\x00\x01", "line 1"),
        (b"format\txc-probe/1\n" + b"a\tb\n" * 6000 + b"end\tyes\n", "too long"),
        (b"a\t" + b"x" * MOST_BYTES, "too long"),
    ],
)
def test_what_is_no_probe(data: bytes, told: str) -> None:
    with pytest.raises(XcError, match=told):
        read_probe(data)


def test_control_characters_reach_no_terminal() -> None:
    found = read_probe(b"format\txc-probe/1\nmachine\taarch64\x1b[2J\xff\nend\tyes\n")
    assert found.first("machine").isprintable()


SHELLS = [shell for shell in (["sh"], ["dash"], ["bash", "--posix"], ["busybox", "sh"]) if shutil.which(shell[0])]


@pytest.mark.tools
@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_the_script_tells_what_this_machine_is(shell: list[str]) -> None:
    done = subprocess.run(
        [*shell, str(resources.probe_script())], capture_output=True, timeout=120, check=True, stdin=subprocess.DEVNULL
    )
    found = read_probe(done.stdout)
    assert done.stderr == b""
    assert found.first("machine") == os.uname().machine
    assert found.first("page_size") == str(os.sysconf("SC_PAGESIZE"))
    assert found.first("kernel.release") == os.uname().release
    assert re.search("^ID=", found.os_release, re.M)


@pytest.mark.tools
def test_the_script_tells_no_name_and_no_address() -> None:
    done = subprocess.run(["sh", str(resources.probe_script())], capture_output=True, timeout=120, check=True)
    text = done.stdout.decode("utf-8", "replace")
    told = [
        value
        for value in (socket.gethostname(), os.environ.get("HOME"), os.environ.get("USER"))
        if value and len(value) > 3
    ]
    assert not [value for value in told if value in text]
    assert not re.search(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w.])", text), "an IPv4 address"
    assert not re.search(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", text), "a hardware address"
    assert not re.search(r"serial(?!ize)|uuid", text, re.I)


@pytest.mark.tools
def test_the_script_tells_no_serial_number_of_a_board() -> None:
    script = resources.probe_script().read_text(encoding="utf-8")
    program = re.search(r"tell cpuinfo awk '([^']+)'", script)
    assert program is not None
    text = "processor\t: 0\nSerial\t\t: 10000000abcdef\nCPU part\t: 0x663\n\nprocessor\t: 1\nSerial\t: 1\n"
    done = subprocess.run(["awk", program.group(1)], input=text, capture_output=True, text=True, check=True)
    assert done.stdout == "processor\t: 0\nCPU part\t: 0x663\n"
    # Kernels of LoongArch begin with a block that is no processor.
    text = "system type\t\t: generic-loongson-machine\n\nprocessor\t\t: 0\nModel Name\t\t: Loongson-3A5000\n\nprocessor\t: 1\n"
    done = subprocess.run(["awk", program.group(1)], input=text, capture_output=True, text=True, check=True)
    assert done.stdout == "processor\t\t: 0\nModel Name\t\t: Loongson-3A5000\n"
