"""Encodings of the LoongArch instructions beyond the plain LA64 baseline, by extension.

Rows are (Linux's HWCAP name, the instructions, mask, value). Source: LoongArch Reference Manual volume 1 (v1.10), appendix B,
and the LSX and LASX encodings as LLVM's assembler writes them. LSX and LASX are optional parts; LoongArch v1.1 added byte and
halfword atomics, AMCAS, SC.Q, LLACQ, SCREL and the approximate reciprocals.
"""

from __future__ import annotations

from pytest_xinchuang.messages import _

LOONG64: tuple[tuple[str, str, int, int], ...] = (
    ("?", "CPUCFG", 0xFFFFFC00, 0x00006C00),
    # LoongArch v1.1. Before LSX and LASX, whose ranges hold the vector forms.
    ("frecipe", "FRECIPE", 0xFFFFFC00, 0x01147400),
    ("frecipe", "FRECIPE", 0xFFFFFC00, 0x01147800),
    ("frecipe", "FRSQRTE", 0xFFFFFC00, 0x01148400),
    ("frecipe", "FRSQRTE", 0xFFFFFC00, 0x01148800),
    ("frecipe", "VFRECIPE, VFRSQRTE", 0xFFFFF000, 0x729D1000),
    ("frecipe", "VFRSQRTE", 0xFFFFF800, 0x729D2000),
    ("frecipe", "VFRSQRTE", 0xFFFFFC00, 0x729D2800),
    ("frecipe", "XVFRECIPE", 0xFFFFF000, 0x769D1000),
    ("frecipe", "XVFRSQRTE", 0xFFFFF800, 0x769D2000),
    ("frecipe", "XVFRSQRTE", 0xFFFFFC00, 0x769D2800),
    ("lam_bh", _("AMSWAP, AMADD of bytes and halfwords"), 0xFFFC0000, 0x385C0000),
    ("lamcas", "AMCAS", 0xFFFC0000, 0x38580000),
    ("scq", "SC.Q", 0xFFFF8000, 0x38570000),
    ("llacq_screl", "LLACQ, SCREL", 0xFFFFC000, 0x38578000),
    # LASX
    ("lasx", "LASX", 0xFC000000, 0x74000000),
    ("lasx", "XVLD, XVST", 0xFF800000, 0x2C800000),
    ("lasx", "XVLDX, XVSTX", 0xFFFB8000, 0x38480000),
    ("lasx", "XVLDREPL", 0xFF000000, 0x32000000),
    ("lasx", "XVSTELM", 0xFF000000, 0x33000000),
    ("lasx", _("XVFMADD and its kin"), 0xFF000000, 0x0A000000),
    ("lasx", "XVFCMP", 0xFFC00000, 0x0C800000),
    ("lasx", "XVBITSEL, XVSHUF", 0xFFB00000, 0x0D200000),
    # LSX
    ("lsx", "LSX", 0xFC000000, 0x70000000),
    ("lsx", "VLD, VST", 0xFF800000, 0x2C000000),
    ("lsx", "VLDX, VSTX", 0xFFFB8000, 0x38400000),
    ("lsx", "VLDREPL", 0xFF000000, 0x30000000),
    ("lsx", "VSTELM", 0xFF000000, 0x31000000),
    ("lsx", _("VFMADD and its kin"), 0xFF000000, 0x09000000),
    ("lsx", "VFCMP", 0xFFC00000, 0x0C400000),
    ("lsx", "VBITSEL, VSHUF", 0xFFB00000, 0x0D100000),
    # LBT, the binary translation extension
    ("lbt_x86", _("binary translation"), 0xFFFF0000, 0x00290000),
    ("lbt_x86", _("binary translation"), 0xFFFC0000, 0x00300000),
    ("lbt_x86", _("binary translation"), 0xFFFE0000, 0x00340000),
    ("lbt_x86", _("binary translation"), 0xFFFF0000, 0x00360000),
    ("lbt_arm", _("binary translation of Arm"), 0xFFFF0000, 0x00370000),
    ("lbt_x86", _("binary translation of x86"), 0xFFFE0000, 0x003E0000),
    ("crc32", "CRC", 0xFFFC0000, 0x00240000),
)  # fmt: skip
