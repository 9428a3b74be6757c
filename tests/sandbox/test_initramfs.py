"""The first file system of a kernel, read back by the cpio program where there is one, and by its own fields."""

from __future__ import annotations

import io
import stat
from pathlib import Path

from pytest_xinchuang.sandbox.backends.initramfs import write_files, write_tree
from pytest_xinchuang.sandbox.tracing import read_agent


def entries(data: bytes) -> dict[str, tuple[int, int, bytes]]:
    """name -> mode, user, content; the format is that of the kernel's buffer-format.rst."""
    found, at = {}, 0
    while at < len(data):
        if data[at : at + 6] != b"070701":
            at += 4  # padding between archives
            continue
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name = data[at + 110 : at + 110 + fields[11] - 1].decode()
        start = -(-(at + 110 + fields[11]) // 4) * 4
        found[name] = (fields[1], fields[2], data[start : start + fields[6]])
        at = -(-(start + fields[6]) // 4) * 4
    return found


def test_a_tree_with_files_on_top(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/tool").write_bytes(b"abc")
    (tmp_path / "usr/bin/tool").chmod(0o4755)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "tmp").mkdir()
    buffer = io.BytesIO()
    write_tree(tmp_path, buffer)
    assert len(buffer.getvalue()) % 512 == 0
    write_files({"/etc/os-release": (b"ID=x\n", 0o644), "/init": (b"\x7fELF", 0o755)}, buffer)
    found = entries(buffer.getvalue())
    assert found["usr/bin/tool"] == (stat.S_IFREG | 0o755, 0, b"abc")  # the set-id bit is dropped
    assert found["bin"] == (stat.S_IFLNK | 0o777, 0, b"usr/bin")
    assert found["tmp"][0] == stat.S_IFDIR | 0o1777
    assert found["dev/console"][0] == stat.S_IFCHR | 0o600
    assert found["etc/os-release"] == (stat.S_IFREG | 0o644, 0, b"ID=x\n") and found["etc"][0] == stat.S_IFDIR | 0o755
    assert found["init"] == (stat.S_IFREG | 0o755, 0, b"\x7fELF")
    assert {"proc", "sys", "run", "xc", ".xc", "var/tmp"} <= set(found)


def test_a_trace_reads_as_that_of_qemu() -> None:
    trace = b"7 56 ffffffffffffff9c 7f 0 0 0 0 fffffffffffffffe 1\n7 999 0 0 0 0 0 0 0 0\n"
    trace += b"7 222 0 1000 1 1 3 0 7fff0000 0\nhalf a li\n"
    trace += b"9 56 ffffffffffffff9c 7f 0 0 0 0 3 0 0x2f6c6962\n9 435 7f 58 0 0 0 0 a 0 0x0001000000000000\n"
    trace += b"9 134 a 7f 0 8 0 0 0 0\n9 S 10\n9 S 77\n"
    log = read_agent(trace, {56: "openat", 222: "mmap", 134: "rt_sigaction", 435: "clone3"})
    told = [str(call) for call in log.calls]
    assert told[0] == "openat(0xffffffffffffff9c,0x7f,0x0,0x0,0x0,0x0) = -1 errno=2 (No such file or directory)"
    assert (log.calls[1].name, log.calls[1].answer) == ("999", "0") and told[2].endswith(" = 0x7fff0000")
    assert told[3].startswith('openat(0xffffffffffffff9c,"/lib",') and told[4].startswith("clone3(0x100,")
    assert told[5].startswith("rt_sigaction(SIGUSR1,0x7f,")
    assert [(taken.signal, taken.before) for taken in log.taken] == [("SIGUSR1", 6), ("SIG77", 6)]
