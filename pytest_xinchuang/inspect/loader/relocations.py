"""The relocation types that loaders know, and since when; anything else is "unexpected reloc type" at load time."""

from __future__ import annotations

from collections.abc import Mapping

ALWAYS = (0, 0)

# glibc, sysdeps/*/dl-machine.h of each release: number -> name, first release.
GLIBC: Mapping[str, Mapping[int, tuple[str, tuple[int, int]]]] = {
    "EM_X86_64": {
        0: ("NONE", ALWAYS),
        1: ("64", ALWAYS),
        2: ("PC32", ALWAYS),
        5: ("COPY", ALWAYS),
        6: ("GLOB_DAT", ALWAYS),
        7: ("JUMP_SLOT", ALWAYS),
        8: ("RELATIVE", ALWAYS),
        10: ("32", ALWAYS),
        16: ("DTPMOD64", ALWAYS),
        17: ("DTPOFF64", ALWAYS),
        18: ("TPOFF64", ALWAYS),
        32: ("SIZE32", (2, 18)),
        33: ("SIZE64", (2, 18)),
        36: ("TLSDESC", ALWAYS),
        37: ("IRELATIVE", ALWAYS),
        38: ("RELATIVE64", ALWAYS),
    },
    "EM_AARCH64": {
        0: ("NONE", ALWAYS),
        257: ("ABS64", ALWAYS),
        258: ("ABS32", ALWAYS),
        1024: ("COPY", ALWAYS),
        1025: ("GLOB_DAT", ALWAYS),
        1026: ("JUMP_SLOT", ALWAYS),
        1027: ("RELATIVE", ALWAYS),
        1028: ("TLS_DTPMOD", ALWAYS),
        1029: ("TLS_DTPREL", ALWAYS),
        1030: ("TLS_TPREL", ALWAYS),
        1031: ("TLSDESC", ALWAYS),
        1032: ("IRELATIVE", ALWAYS),
    },
    "EM_LOONGARCH": {
        0: ("NONE", ALWAYS),
        2: ("64", ALWAYS),
        3: ("RELATIVE", ALWAYS),
        4: ("COPY", ALWAYS),
        5: ("JUMP_SLOT", ALWAYS),
        7: ("TLS_DTPMOD64", ALWAYS),
        9: ("TLS_DTPREL64", ALWAYS),
        11: ("TLS_TPREL64", ALWAYS),
        12: ("IRELATIVE", ALWAYS),
        14: ("TLS_DESC64", (2, 40)),
    },
}

# musl, arch/*/reloc.h: no IRELATIVE anywhere; descriptors of LoongArch came after 1.2.5.
MUSL: Mapping[str, Mapping[int, tuple[str, tuple[int, ...]]]] = {
    machine: {
        number: (name, (1, 2, 6) if name == "TLS_DESC64" else ALWAYS)
        for number, (name, _since) in known.items()
        if name not in ("IRELATIVE", "SIZE32", "SIZE64", "RELATIVE64", "32", "ABS32")
    }
    for machine, known in GLIBC.items()
}
