"""Kernel modules against the symbols of a kernel: CRCs, what it lacks, and what it keeps from others."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty, Finding, load_findings
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.inspect import kernel_module
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.inspect.kernel_module import (
    Kernel,
    kernel_of,
    misfits,
    module_name,
    of_tree,
    read_module,
    read_symvers,
    release_of,
)
from pytest_xinchuang.inspect.rules import judge
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import Builder, Target

RELEASE = "4.19.90-89.11.v2401.ky10.aarch64"
OTHER = "4.19.90-23.8.v2101.ky10.aarch64"
TABLE = (
    "0x11111111\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\n"
    "0x22222222\tprintk\tvmlinux\tEXPORT_SYMBOL\n"
    "0x33333333\tof_gpl\tvmlinux\tEXPORT_SYMBOL_GPL\n"
    "0x44444444\tin_space\tdrivers/a/a-b\tEXPORT_SYMBOL\tCRYPTO_INTERNAL\n"
    "0x55555555\tof_module\tdrivers/a/a-b\tEXPORT_SYMBOL_GPL\t\n"
)
FITS = {"module_layout": 0x11111111, "printk": 0x22222222}

Built = Callable[..., bytes]


@pytest.fixture
def module(tmp_path: Path, platforms: Platforms) -> Built:
    def build(
        versions: dict[str, int] | None,
        *,
        needs: tuple[str, ...] = ("printk",),
        release: str = RELEASE,
        info: tuple[str, ...] = ("license=GPL",),
        extended: bool = False,
        exports: str = "",
    ) -> bytes:
        """A module as the kernel's build makes it."""
        lines = "\\0".join([*info, f"vermagic={release} SMP mod_unload modversions aarch64", "depends="])
        text = f'const char info[] __attribute__((section(".modinfo"), used)) = "{lines}";\n'
        if versions is not None and extended:
            names = "\\0".join(versions)
            crcs = ",".join(map(hex, versions.values()))
            text += f'const char names[] __attribute__((section("__version_ext_names"), used)) = "{names}";\n'
            text += f'const unsigned crcs[] __attribute__((section("__version_ext_crcs"), used)) = {{{crcs}}};\n'
        elif versions is not None:
            rows = ",".join(f'{{{crc:#x}ul, "{name}"}}' for name, crc in versions.items())
            text += (
                'const struct { unsigned long crc; char name[56]; } v[] __attribute__((section("__versions"), used)) ='
                f" {{{rows}}};\n"
            )
        text += "".join(f"void {name}(void);\n" for name in needs)
        text += "void init_module(void) {" + "".join(f" {name}();" for name in needs) + " }\n" + exports
        path = tmp_path / "m.c"
        path.write_text(text)
        target = Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], "2.28")
        return Builder(Cache()).c(target, [path], flags=["-w", "-O1", "-c"])

    return build


def kernel(text: str = TABLE) -> Kernel:
    read = read_symvers(text.encode(), f"usr/src/kernels/{RELEASE}/Module.symvers")
    assert read is not None
    assert read.release == RELEASE
    return read


def found(tree: Path, platforms: Platforms, platform: str = "phytium") -> list[Finding]:
    findings = Verdicts(platforms.get(platform), platforms.file.architectures).of(Inspector().read(tree))
    catalogue = load_findings()
    for finding in findings:
        assert "{" not in catalogue.text(finding).render("zh")
    return [f for f in findings if f.code.startswith("XC-SYS")]


def only(findings: list[Finding]) -> list[tuple[str, Certainty]]:
    return [(f.code, f.certainty) for f in findings]


@pytest.mark.tools
@pytest.mark.parametrize("extended", [False, True])
def test_what_a_kernel_has_against_a_module(module: Built, extended: bool) -> None:
    def said(versions: dict[str, int] | None, **how: object) -> dict[str, tuple[str, ...]]:
        made = read_module(module(versions, extended=extended, **how), "m.ko")
        assert made is not None
        return {name: names for name, names in vars(misfits(made, kernel())).items() if names}

    assert said(FITS) == {}
    assert said({**FITS, "printk": 0x22222223}) == {"differ": ("printk",)}
    assert said({**FITS, "module_layout": 1}) == {"differ": ("module_layout",)}
    assert said(None) == {"unversioned": ("printk",)}
    assert said({**FITS, "gone": 1}, needs=("printk", "gone")) == {"absent": ("gone",)}
    gpl = {**FITS, "of_gpl": 0x33333333}
    assert said(gpl, needs=("of_gpl",)) == {}
    assert said(gpl, needs=("of_gpl",), info=("license=Proprietary",)) == {"closed": ("of_gpl",)}
    assert said(gpl, needs=("of_gpl",), info=("author=x",)) == {"closed": ("of_gpl",)}
    space = {**FITS, "in_space": 0x44444444}
    assert said(space, needs=("in_space",)) == {"spaces": ("CRYPTO_INTERNAL",)}
    assert said(space, needs=("in_space",), info=("license=GPL", "import_ns=CRYPTO_INTERNAL")) == {}


@pytest.mark.tools
def test_a_module_beside_has_what_the_kernel_lacks(module: Built) -> None:
    absolute = '__asm__(".globl __crc_mine\\n.set __crc_mine, 0x77777777");'
    placed = '__asm__(".section __kcrctab,\\"a\\"\\n.long 1\\n__crc_mine: .long 0x77777777\\n.text");'
    table = 'const char __ksymtab_mine __attribute__((section("__ksymtab"), used)) = 0;'
    asks = read_module(module({**FITS, "mine": 0x77777777}, needs=("printk", "mine")), "m.ko")
    assert asks is not None
    for exports in (absolute, placed, f"{table}{placed}"):
        brings = read_module(module(FITS, exports=exports), "n.ko")
        assert brings is not None
        assert brings.exports == {"mine": 0x77777777}
        assert misfits(asks, kernel(), [brings]) == kernel_module.Misfits()
    # Two builds of one pair.
    other = read_module(module(FITS, exports=absolute.replace("0x77777777", "0x77777778")), "n.ko")
    assert other is not None
    assert misfits(asks, kernel(), [other]).differ == ("mine",)
    unknown = read_module(module(FITS, exports=table), "n.ko")
    assert unknown is not None
    assert misfits(asks, kernel(), [unknown]) == kernel_module.Misfits()


@pytest.mark.tools
def test_the_table_of_the_platforms_own_kernel_decides(
    module: Built, tmp_path: Path, platforms: Platforms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an imported root filesystem with kernel-devel or /boot/symvers-* has it."""
    root, tree = tmp_path / "root", tmp_path / "tree"
    (root / "boot").mkdir(parents=True)
    tree.mkdir()
    (root / f"boot/symvers-{RELEASE}.gz").write_bytes(gzip.compress(TABLE.encode()))
    assert [(k.release, len(k.symbols)) for k in of_tree(root)] == [(RELEASE, 5)]
    monkeypatch.setattr(judge, "own_rootfs", lambda platform: root)
    put = tree / "m.ko"
    for versions, needs, wanted in (
        (FITS, ("printk",), []),
        ({**FITS, "printk": 5}, ("printk",), [("XC-SYS-013", Certainty.CERTAIN)]),
        ({**FITS, "gone": 5}, ("gone",), [("XC-SYS-013", Certainty.CERTAIN)]),
    ):
        # Of another build of the same kernel: with CRCs the release does not count.
        put.write_bytes(module(versions, needs=needs, release=OTHER))
        assert only(found(tree, platforms)) == wanted
    depends = ("license=GPL", "depends=not_here")
    put.write_bytes(module({**FITS, "gone": 5}, needs=("gone",), info=depends))
    assert only(found(tree, platforms)) == [("XC-SYS-013", Certainty.UNDECIDED)]


@pytest.mark.tools
def test_a_table_that_comes_along_is_of_its_own_kernel(module: Built, tmp_path: Path, platforms: Platforms) -> None:
    tree = tmp_path / "tree"
    headers = tree / f"usr/src/kernels/{RELEASE}"
    headers.mkdir(parents=True)
    (tree / "m.ko").write_bytes(module(FITS))
    # No table at all: open, and said.
    assert only(found(tree, platforms)) == [("XC-SYS-014", Certainty.UNDECIDED)]
    (headers / "Module.symvers").write_text(TABLE)
    assert only(found(tree, platforms)) == [("XC-SYS-014", Certainty.UNDECIDED)]  # whether it is the platform's is open
    (tree / "m.ko").write_bytes(module({**FITS, "printk": 1}))
    assert only(found(tree, platforms)) == [("XC-SYS-013", Certainty.CERTAIN)]
    # The kernel itself comes along.
    (tree / "boot").mkdir()
    (tree / f"boot/vmlinuz-{RELEASE}").write_bytes(b"MZ\0\0kernel")
    (tree / "m.ko").write_bytes(module(FITS))
    assert only(found(tree, platforms)) == [("XC-SYS-002", Certainty.NOTE)]
    assert only(found(tree, platforms, "kunpeng920-kylin_v11")) == [("XC-SYS-002", Certainty.GUARDED)]
    # A module for a kernel with another last number, where CRCs may be the same; and one of another series.
    for release, code, certainty in (
        ("4.19.117-generic", "XC-SYS-014", Certainty.UNDECIDED),
        ("5.10.0-1", "XC-SYS-002", Certainty.CERTAIN),
    ):
        (tree / "m.ko").write_bytes(module(FITS, release=release))
        assert only(found(tree, platforms)) == [(code, certainty)]


def test_names_of_kernels_and_of_their_tables() -> None:
    assert release_of("x.rpm!/usr/src/kernels/4.19.90-1.aarch64/Module.symvers") == "4.19.90-1.aarch64"
    assert release_of("usr/src/linux-headers-6.1.0-50-arm64/Module.symvers") == "6.1.0-50-arm64"
    assert release_of("boot/symvers-4.18.0-80.el8.x86_64.gz") == "4.18.0-80.el8.x86_64"
    assert release_of("boot/symvers-4.18.0-80.el8.x86_64.gz!(content)") == "4.18.0-80.el8.x86_64"
    assert release_of("lib/modules/5.14.0-1/symvers.xz") == "5.14.0-1"
    assert release_of("driver/Module.symvers") == ""
    assert (
        kernel_of("boot/vmlinuz-6.1.0-50-arm64") == kernel_of("lib/modules/6.1.0-50-arm64/vmlinuz") == "6.1.0-50-arm64"
    )
    assert kernel_of("usr/share/doc/kernel-4.txt") == kernel_of("boot/config-6.1") == ""
    assert module_name("drivers/a/a-b.ko.xz") == module_name("a_b") == "a_b"


def test_tables_behind_links_and_cut_off_ones(tmp_path: Path) -> None:
    """A link in a root filesystem means what it means there; of a part of a table it would be told that symbols lack."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    for place in (root / "boot", outside):
        place.mkdir(parents=True)
    whole = gzip.compress(TABLE.encode())
    (outside / f"symvers-{RELEASE}").write_bytes(TABLE.encode())
    (root / f"boot/symvers-{RELEASE}").symlink_to(outside / f"symvers-{RELEASE}")
    assert of_tree(root) == []
    (root / "boot").rename(root / "own")
    (root / "boot").symlink_to("/own")
    (root / f"own/symvers-{RELEASE}").unlink()
    (root / f"own/symvers-{RELEASE}.gz").write_bytes(whole[:-20])
    assert of_tree(root) == []


def test_damaged_tables_and_modules() -> None:
    assert read_symvers(b"", "Module.symvers") is None
    assert read_symvers(b"0x1\tmine\t/home/me/mine\tEXPORT_SYMBOL\n", "Module.symvers") is None
    odd = read_symvers(b"0xzz\ta\tb\n0x1\tgood\tvmlinux\n\xff\xfe\n0x1\n", "Module.symvers")
    assert odd is not None
    assert set(odd.symbols) == {"good"}
    for data in (b"", b"\x7fELF", b"\x7fELF\x02\x01\x01" + b"\xff" * 90 + b"vermagic=1", b"vermagic=1" * 9):
        assert read_module(data, "m.ko") is None
