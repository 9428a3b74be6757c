"""Real kernels, from a distribution's packages or from a lab's own files."""

from __future__ import annotations

import gzip
import io
import lzma
import re
import struct
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from pytest_xinchuang.core.errors import DataFileError, HostFault, MissingDependency
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.core.platform import KernelRecipe
from pytest_xinchuang.messages import _, system_error, told
from pytest_xinchuang.provision.debian import Package
from pytest_xinchuang.provision.debs import Wanted
from pytest_xinchuang.provision.supply import Supply

_OF_A_KERNEL = re.compile(r"boot/(vmlinu[xz]|config)-[^/]+|usr/lib/modules/[^/]+/(vmlinuz|config)")


def wanted_of_a_kernel(_package: Package) -> Wanted:
    """What of a package is taken: the kernel and its configuration stand before the modules, which are most of it."""
    return Wanted(lambda member: _OF_A_KERNEL.fullmatch(member) is not None, most=2)


def build_kernel(supply: Supply, name: str, recipe: KernelRecipe, tree: Path) -> tuple[str, dict[str, str]]:
    """Fill ``tree`` with ``vmlinuz`` and ``config`` of a distribution's kernel package."""
    with tempfile.TemporaryDirectory(dir=tree.parent) as place:
        scratch = Path(place)
        supply.unpack(supply.kernel(name, recipe), scratch, wanted_of_a_kernel)
        found = [*scratch.glob("boot/vmlinu[xz]-*"), *scratch.glob("usr/lib/modules/*/vmlinuz")]
        if not found:
            raise HostFault(
                _(
                    "the package {package} of Debian {suite} brought no kernel",
                    package=recipe.package,
                    suite=recipe.suite,
                )
            )
        kernel = found[0]
        release = kernel.parent.name if kernel.name == "vmlinuz" else kernel.name.partition("-")[2]
        _write(tree / "vmlinuz", unpacked(kernel.read_bytes()))
        for config in (scratch / "boot" / f"config-{release}", kernel.with_name("config")):
            if config.is_file():
                _write(tree / "config", config.read_bytes())
    return f"Debian {recipe.suite} {recipe.package}", {"release": release}


_MODULE = re.compile(
    r"(usr/)?lib/modules/.*/(nvme|nvme-core|nvme-auth|nvme-keyring|ext4|jbd2|mbcache|crc16|libcrc32c|crc32c[-_](generic|cryptoapi)"
    r")\.ko(\.[a-z0-9]+)?"
)
"""The modules that are looked at for a disk: those below, and what they need in Debian's kernels."""

ON_DISK = ("nvme", "ext4")
"""Modules by which a machine has a disk and a file system on it; what they need comes with them."""

_LOADED_FIRST = ("crc32c_generic", "crc32c_cryptoapi", "libcrc32c")
"""What a module asks for by request_module and not by its symbols (fs/ext4 and fs/jbd2 want a checksum's driver)."""


def build_disk_modules(supply: Supply, name: str, recipe: KernelRecipe, tree: Path) -> tuple[str, dict[str, str]]:
    """Fill ``tree`` with the modules of ``ON_DISK`` that a kernel has not built in, unpacked, in the order of loading.

    Each module says itself what it needs (``depends=`` in its .modinfo: modinfo(8)); modules.dep is made at installation alone.
    """
    with tempfile.TemporaryDirectory(dir=tree.parent) as place:
        scratch = Path(place)
        wanted = Wanted(lambda member: _MODULE.fullmatch(member) is not None)
        supply.unpack(supply.kernel(name, recipe), scratch, lambda _package: wanted)
        found = {path.name.partition(".ko")[0].replace("-", "_"): path for path in sorted(scratch.rglob("*.ko*"))}
        order: dict[str, bytes] = {}

        def take(module: str) -> None:
            if module in order or module not in found:  # built in
                return
            data = _decompressed(found[module])
            for needed in re.findall(rb"\0depends=([^\0]*)\0", data)[:1]:
                for other in filter(None, needed.decode("ascii", "replace").split(",")):
                    take(other.replace("-", "_"))
            order[module] = data

        if any(module in found for module in ON_DISK):
            for module in (*_LOADED_FIRST, *ON_DISK):
                take(module)
        for number, (module, data) in enumerate(order.items()):
            _write(tree / f"disk-{number:02d}-{module}.ko", data)
    return f"Debian {recipe.suite} {recipe.package}", {"modules": " ".join(order)}


def _write(place: Path, data: bytes) -> None:
    place.write_bytes(data)
    place.chmod(0o644)


def import_kernel(kernel: Path, modules: Sequence[Path], tree: Path) -> tuple[str, dict[str, str]]:
    """Fill ``tree`` with a lab's kernel, and the modules that its virtio needs, in the order in which they are loaded.

    Raises:
        DataFileError: a file that is not what it is said to be.
    """
    data = _read(kernel)
    if not _is_kernel(data):
        raise DataFileError(
            _("{kernel}: not a kernel that qemu boots: neither an ELF or EFI image nor a bzImage", kernel=kernel),
            mend=_("give /boot/vmlinuz-* of the vendor's system"),
        )
    (tree / "vmlinuz").write_bytes(unpacked(data))
    (tree / "modules").mkdir()
    for number, module in enumerate(modules):
        content = _decompressed(module)
        if content[:4] != b"\x7fELF":
            raise DataFileError(_("{module}: not a kernel module: no ELF object in it", module=module))
        (tree / "modules" / f"{number:02d}-{module.name.partition('.')[0]}.ko").write_bytes(content)
    return f"imported from {kernel.name}", {"release": _release(data)}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataFileError(_("{path}: cannot be read: {why}", path=path, why=system_error(error))) from error


def _is_kernel(data: bytes) -> bool:
    """By the magic of an ELF image, a PE image (EFI stub), a bzImage (Documentation/arch/x86/boot.rst) or an arm64 Image."""
    return (
        data[:4] == b"\x7fELF"
        or data[:2] == b"MZ"
        or data[0x202:0x206] == b"HdrS"
        or data[0x38:0x3C] == b"ARM\x64"
        or data[:2] == b"\x1f\x8b"  # arm64's Image.gz
    )


MOST_UNPACKED = 512 << 20
"""Bytes of a kernel."""


def unpacked(data: bytes) -> bytes:
    """The kernel inside of an EFI "zboot" image: unpacked once here, and not under emulation at each boot.

    drivers/firmware/efi/libstub/zboot-header.S: "zimg" at byte 4, offset and size of the payload at 8, the compression's
    name at 24. Anything else is returned as it is, one that cannot be unpacked too: it still boots, and takes longer.
    """
    if data[4:8] != b"zimg":
        return data
    offset, size = struct.unpack_from("<II", data, 8)
    kind = data[24:32].rstrip(b"\0").decode("ascii", "replace")
    payload = data[offset : offset + size]
    try:
        if kind == "gzip":
            return _gunzip(payload)
        if kind in ("xz", "xzkern"):
            return _unxz(payload)
        if kind in ("zstd", "zstd22"):
            return _unzstd(payload)
    except (MissingDependency, lzma.LZMAError, zlib.error, OSError, EOFError, ValueError):
        return data
    return data


def _bounded(data: bytes | bytearray) -> None:
    """Raises ValueError: what was unpacked is more than any kernel."""
    if len(data) > MOST_UNPACKED:
        raise ValueError(_("it holds more than {n} MiB", n=MOST_UNPACKED >> 20))


def _gunzip(data: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        found = file.read(MOST_UNPACKED + 1)
    _bounded(found)
    return found


def _unxz(data: bytes) -> bytes:
    reader = lzma.LZMADecompressor(memlimit=MOST_UNPACKED)
    found = reader.decompress(data, MOST_UNPACKED + 1)
    _bounded(found)
    if not reader.eof:
        raise EOFError(_("the xz stream is cut off"))
    return found


def _unzstd(data: bytes) -> bytes:
    """What one zstd frame holds.

    Raises:
        MissingDependency: the reader of zstd is not installed.
        ValueError: the frame is damaged. EOFError: it is cut off.
    """
    with optional("inspect"):
        import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=MOST_UNPACKED).decompressobj()
    try:
        found = bytearray()
        for at in range(0, len(data), 1024):  # a block of 4 bytes may stand for 128 KiB
            found += reader.decompress(data[at : at + 1024])
            _bounded(found)
            if reader.eof:
                break
    except zstandard.ZstdError as error:
        raise ValueError(told(error)) from error
    if not reader.eof:
        raise EOFError(_("the zstd frame is cut off"))
    return bytes(found)


def _release(data: bytes) -> str:
    """The release that a bzImage's header or an uncompressed image names; empty where it shows at boot alone."""
    if data[0x202:0x206] == b"HdrS":
        (offset,) = struct.unpack_from("<H", data, 0x20E)
        return data[offset + 0x200 : offset + 0x280].split(b" ")[0].split(b"\0")[0].decode(errors="replace")
    found = re.search(rb"Linux version (\S+)", data)
    return found.group(1).decode(errors="replace") if found else ""


def _decompressed(path: Path) -> bytes:
    data = _read(path)
    try:
        if data[:6] == b"\xfd7zXZ\0":
            return _unxz(data)
        if data[:2] == b"\x1f\x8b":
            return _gunzip(data)
        if data[:4] == b"\x28\xb5\x2f\xfd":
            return _unzstd(data)
    except (lzma.LZMAError, zlib.error, OSError, EOFError, ValueError) as error:
        raise DataFileError(_("{path}: cannot be decompressed: {why}", path=path, why=error)) from error
    return data
