"""Kernels that a lab brings: what is taken, and what is refused."""

from __future__ import annotations

import gzip
import lzma
import struct
import sys
from pathlib import Path

import pytest
import zstandard

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.errors import DataFileError, MissingDependency
from pytest_xinchuang.provision.kernels import import_kernel, unpacked

ZSTD = zstandard.ZstdCompressor().compress


def zboot(payload: bytes, kind: bytes) -> bytes:
    header = b"MZ\0\0zimg" + struct.pack("<II", 64, len(payload)) + bytes(8) + kind.ljust(8, b"\0")
    return header.ljust(64, b"\0") + payload


@pytest.mark.parametrize(
    ("kind", "pack"), [(b"gzip", gzip.compress), (b"xz", lzma.compress), (b"zstd", ZSTD), (b"zstd22", ZSTD)]
)
def test_a_packed_kernel_is_unpacked_once(kind: bytes, pack: object) -> None:
    assert unpacked(zboot(pack(b"MZ the kernel"), kind)) == b"MZ the kernel"  # type: ignore[operator]


def test_what_cannot_be_unpacked_stays_as_it_is() -> None:
    whole = ZSTD(b"MZ the kernel" * 100)
    damaged = (zboot(b"not zstd", b"zstd"), zboot(whole[:-4], b"zstd"), zboot(b"not gzip", b"gzip"))
    for data in (*damaged, zboot(b"x", b"lz9"), b"MZ", b""):
        assert unpacked(data) == data


def test_without_the_reader_of_zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel boots all the same, and unpacks itself; a module cannot be taken as it is."""
    monkeypatch.setitem(sys.modules, "zstandard", None)
    data = zboot(ZSTD(b"MZ the kernel"), b"zstd")
    assert unpacked(data) == data
    (tmp_path / "vmlinuz").write_bytes(b"MZ kernel")
    (tmp_path / "m.ko.zst").write_bytes(ZSTD(b"\x7fELF module"))
    tree = tmp_path / "tree"
    tree.mkdir()
    with pytest.raises(MissingDependency, match="zstandard is not installed"):
        import_kernel(tmp_path / "vmlinuz", [tmp_path / "m.ko.zst"], tree)


def test_what_is_no_kernel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("a text")
    with pytest.raises(DataFileError, match="not a kernel"):
        import_kernel(tmp_path / "notes", [], tmp_path)
    with pytest.raises(DataFileError, match="cannot be read"):
        import_kernel(tmp_path / "missing", [], tmp_path)


def test_modules_are_unpacked_and_keep_their_order(tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(b"MZ kernel Linux version 4.19.90-23 (x) y")
    (tmp_path / "virtio_pci.ko.xz").write_bytes(lzma.compress(b"\x7fELF pci"))
    (tmp_path / "virtio_console.ko").write_bytes(b"\x7fELF console")
    tree = tmp_path / "tree"
    tree.mkdir()
    modules = [tmp_path / "virtio_pci.ko.xz", tmp_path / "virtio_console.ko"]
    assert import_kernel(tmp_path / "vmlinuz", modules, tree)[1] == {"release": "4.19.90-23"}
    names = sorted(p.name for p in (tree / "modules").iterdir())
    assert names == ["00-virtio_pci.ko", "01-virtio_console.ko"]
    assert (tree / "modules" / names[0]).read_bytes() == b"\x7fELF pci"


def test_a_module_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(b"MZ kernel")
    for number, content in enumerate(
        (b"text", b"\xfd7zXZ\0 cut off", b"\x28\xb5\x2f\xfd bad", ZSTD(b"\x7fELF" * 99)[:-4])
    ):
        module = tmp_path / "m.ko"
        module.write_bytes(content)
        tree = tmp_path / f"tree{number}"
        tree.mkdir()
        with pytest.raises(DataFileError, match=r"m\.ko"):
            import_kernel(tmp_path / "vmlinuz", [module], tree)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "notes").write_text("a text")
    assert main(["kernel", "import", "kunpeng", str(tmp_path / "notes")]) == 2
    assert main(["kernel", "import", "kunpeng"]) == 2
    (tmp_path / "vmlinuz").write_bytes(b"MZ kernel Linux version 4.19.90-23 (x) y")
    assert main(["kernel", "import", "kunpeng", str(tmp_path / "vmlinuz")]) == 0
    assert "now boots 4.19.90-23" in capsys.readouterr().out
    assert main(["kernel", "list"]) == 0
    assert "vendor" in capsys.readouterr().out
