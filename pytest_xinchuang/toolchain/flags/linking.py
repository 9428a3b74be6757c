"""What flags tell the linker: the size of pages, relocations that old loaders do not know, the loader's name, the target."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pytest_xinchuang.core.platform import Arch
from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.toolchain.flags.texts import of
from pytest_xinchuang.toolchain.permitted import is_plain_of_linker

_WITH_WORD = of(
    "-h -e -u -L -l -o -R -y -Map -soname --soname -rpath --rpath -rpath-link --rpath-link --wrap --defsym "
    "--version-script --dynamic-list --entry --undefined --exclude-libs --trace-symbol --build-id --hash-style "
    "-init -fini --init --fini -F --require-defined --retain-symbols-file --just-symbols"
)
_HARMLESS = re.compile(
    r"""
      -[LlohyR].+ | -?-Map(?:=.*)? | --(?:cref|stats|trace|verbose|version|print-[a-z-]+
        |no-undefined|error-[a-z-]+|color-diagnostics.*)
    | -?-(?:soname|rpath|rpath-link|version-script|dynamic-list|out-implib
        |dependency-file|reproduce|threads|no-threads|thinlto-cache-.*
        |thinlto-jobs|time-trace.*|why-extract|repro|undefined-glob|require-defined|exclude-libs|trace-symbol|wrap
        |build-id|plugin-opt=O\d)(?:=.*)?
    | -?-(?:no-)?(?:mmap-output-file|keep-files-mapped|ld-generated-unwind-info|demangle|gdb-index|call-graph-profile-sort
        |merge-exidx-entries|optimize-bb-jumps|check-sections|accept-unknown-input-arch|print-gc-sections|omagic-default
        |rosegment
        |warn-backrefs|apply-dynamic-relocs|lto-[a-z-]+|fix-cortex-a53-(?:835769|843419)|relax|dynamic-linker|pie
        |export-dynamic.*)
    | -t | -v | -V | -M | -G\d* | -i | -r | -Ur | -\( | -\) | -static | -shared | -pie | -no-pie | -Bshareable | -Bgroup
    | -dy | -dn | -dc | -dp | -non_shared | -call_shared | -fuse-ld=.* | -w | --no-warnings | -fini=.* | -init=.*
    | -O\d | --strip-.*
    | --icf=.* | --lto-O\d | -mllvm=-?(?:inline|unroll)[a-z-]+=\d+
    """,
    re.X | re.S,
)
_Z = of(
    "relro norelro now lazy noexecstack execstack defs nodefs muldefs origin nodelete nodlopen nodump initfirst "
    "interpose loadfltr nodefaultlib combreloc nocombreloc separate-code noseparate-code separate-loadable-"
    "segments text notext textoff global nognustack unique nounique ibt ibtplt shstk lam-u48 lam-u57 force-ibt "
    "retpolineplt keep-text-section-prefix nokeep-text-section-prefix copyreloc nocopyreloc nopack-relative-"
    "relocs undefs start-stop-gc nostart-stop-gc dead-reloc-in-nonalloc rodynamic wxneeded hazardplt ifunc-noplt "
    "memory-seal nomemory-seal sectionheader nosectionheader mark-plt nomark-plt indirect-extern-access "
    "noindirect-extern-access dynamic-undefined-weak nodynamic-undefined-weak call-nop report-relative-reloc "
    "force-bti pac-plt bti gcs nobtcfi common nocommon one-rosegment noone-rosegment"
)
"""Words of ``-z`` that make no difference to whether a CPU or a loader takes the file (ld(1), ld.lld(1))."""
_Z_VALUE = re.compile(
    r"(?:stack-size|start-stop-visibility|cet-report|bti-report|pauth-report|gcs(?:-report(?:-dynamic)?)?|noreloc-overflow|lam-report.*"
    r"|dead-reloc-in-nonalloc|zicfilp.*|common-page-size)=.*|unique-symbol|nounique-symbol"
)
_PAGE = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)([kKmM]?)")
_SCALE = {"": 1, "k": 1 << 10, "m": 1 << 20}

_EMULATIONS = {
    Arch.AMD64: ("elf_x86_64", "elf_x86_64_fbsd", "elf_amd64"),
    Arch.ARM64: ("aarch64linux", "aarch64elf"),
    Arch.LOONG64: ("elf64loongarch",),
}


@dataclass
class Linking:
    """What a line tells the linker.

    Attributes:
        page: the last max-page-size, bytes, and the flag; 0: it is no number that a page can have.
        relr: the flag that asks for relative relocations that are packed.
        marked: whether the linker marks them by GLIBC_ABI_DT_RELR, so that an old loader says why it refuses.
        level: the micro-architecture level that the loader is told to ask for, and the flag.
        loader: the loader's path, and the flag.
        emulation: what the linker is told to make, and the flag.
        cpus: CPUs and features that code is generated for when it links.
        unknown: flags that nobody can be asked about.
    """

    page: tuple[int, str] | None = None
    relr: str = ""
    marked: bool = True
    level: tuple[str, str] | None = None
    loader: tuple[str, str] | None = None
    emulation: tuple[str, str] | None = None
    cpus: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[tuple[str, Message]] = field(default_factory=list)


def read_linking(tokens: Sequence[tuple[str, str]]) -> Linking:
    """Read what a line hands to the linker: pairs of the flag and one of its words."""
    found = Linking()
    left = iter(tokens)
    for shown, token in left:
        _one(shown, token, left, found)
    return found


def _value(token: str, left: Iterator[tuple[str, str]]) -> str:
    _name, equals, value = token.partition("=")
    return value if equals else next(left, ("", ""))[1]


def _one(shown: str, token: str, left: Iterator[tuple[str, str]], found: Linking) -> None:
    name = "-" + token.lstrip("-").partition("=")[0] if token.startswith("-") else token
    if token == "-z":
        after = next(left, (shown, ""))
        _z(after[1], shown if shown == after[0] else f"{shown} {after[0]}", found)
    elif token.startswith("-z") and len(token) > 2 and not token.startswith("--"):
        _z(token[2:], shown, found)
    elif name in ("-max-page-size", "-common-page-size"):
        _z(f"{name[1:]}={_value(token, left)}", shown, found)
    elif name == "-pack-dyn-relocs":
        kind = _value(token, left)
        found.relr, found.marked = (shown, False) if "relr" in kind else ("", True)
    elif name in ("-dynamic-linker", "-I") and not token.startswith("-I="):
        found.loader = (_value(token, left), shown)
    elif token == "-m" or (token.startswith("-m") and token[2:3].isalpha() and token[2:6] in ("elf_", "elf6", "aarc")):
        found.emulation = (_value(token, left) if token == "-m" else token[2:], shown)
    elif name in ("-plugin-opt", "-mllvm"):
        _backend(_value(token, left), shown, found)
    elif token in ("-n", "-N", "--nmagic", "--omagic"):
        found.unknown.append((shown, _("segments are then not aligned to pages")))
    elif token in ("-T", "--script", "-dT", "--default-script", "-plugin") or token.startswith(
        ("-T", "--script=", "--default-script=")
    ):
        found.unknown.append((shown, _("a linker script or plugin was not read")))
    elif token in _WITH_WORD:
        next(left, None)
    elif token.startswith("@"):
        found.unknown.append((shown, _("the file with more flags was not read")))
    elif token.startswith("-") and not _HARMLESS.fullmatch(token) and not is_plain_of_linker(token):
        found.unknown.append((shown, _("it is no flag of the linker that is known here")))


def _z(word: str, shown: str, found: Linking) -> None:
    name, _equals, value = word.partition("=")
    if name == "max-page-size":
        match = _PAGE.fullmatch(value)
        size = int(match[1], 0 if match[1][:2].lower() == "0x" else 10) * _SCALE[match[2].lower()] if match else 0
        found.page = (size if size & (size - 1) == 0 else 0, shown)
    elif name == "pack-relative-relocs":
        found.relr, found.marked = shown, True
    elif name == "nopack-relative-relocs":
        found.relr = ""
    elif re.fullmatch(r"x86-64-(?:baseline|v[234])", name):
        found.level = (name, shown)
    elif name not in _Z and not _Z_VALUE.fullmatch(word):
        found.unknown.append((shown, _("it is no word of -z that is known here")))


def _backend(word: str, shown: str, found: Linking) -> None:
    """What the code generator is told when it works at the time of linking (LTO)."""
    name, _equals, value = word.lstrip("-").partition("=")
    if name in ("mcpu", "mattr") and re.fullmatch(r"[\w.,+-]+", value):
        found.cpus.append((f"{name}={value}", shown))
    elif not re.fullmatch(
        r"O\d|jobs=\w+|cache-dir=.*|thinlto.*|save-temps.*|obj-path=.*|pass-through=.*|fresolution=.*|stats-file=.*",
        word.lstrip("-"),
    ):
        found.unknown.append((shown, _("it changes what the compiler does, and it cannot be asked about it")))


def is_emulation_of(name: str, arch: Arch) -> bool:
    """Whether the linker makes files of an architecture when it is told ``-m NAME``."""
    return name in _EMULATIONS[arch]
