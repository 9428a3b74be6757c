"""Which symbols a platform's glibc has: zig's own list, from which it makes the stubs that it links with.

The format is that of ziglang/libc-abi-tools (README.md, "abilists binary format").
"""

from __future__ import annotations

import functools
from pathlib import Path

from pytest_xinchuang.advise.triple import NEWEST_GLIBC, Triple
from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.tools.versions import toolchains

_LAST = 0x80
"""The bit of a library's index, and of a version's, that says that none comes behind it."""

NONSHARED = frozenset({"atexit", "at_quick_exit", "stat", "fstat", "lstat", "fstatat", "mknod", "mknodat"}) | {
    "stat64", "fstat64", "lstat64", "fstatat64", "pthread_atfork", "__stack_chk_fail_local",
}  # fmt: skip
"""What glibc has in libc_nonshared.a, where its shared library has not (glibc's Makerules: static-only-routines)."""

STARTED = frozenset({"_DYNAMIC", "_GLOBAL_OFFSET_TABLE_", "__dso_handle", "__ehdr_start", "_end", "end", "_edata", "edata"}) | {
    "_etext", "etext", "__bss_start", "__init_array_start", "__init_array_end", "__fini_array_start", "__fini_array_end",
    "__preinit_array_start", "__preinit_array_end", "__executable_start", "_init", "_fini", "_start", "__TMC_END__",
}  # fmt: skip
"""What linkers and start files define (GNU ld manual; crtbegin.o of GCC)."""


class LibcSymbols:
    """What glibc's libraries of each version define on each architecture.

    Args:
        lib: zig's directory of libraries, in which ``libc/glibc/abilists`` lies.

    Raises:
        ToolchainFault: the list is missing, or is not in the form that we know.
    """

    def __init__(self, lib: Path) -> None:
        self._lib = lib

    def of(self, triple: Triple) -> frozenset[str] | None:
        """The symbols that a program may link with; None: nobody knows, as for musl."""
        if triple.libc != "glibc":
            return None
        named = _read(self._lib / "libc/glibc/abilists").get(triple.architecture.zig)
        if not named:
            return None
        # glibc of LoongArch is upstream since 2.36, and its distributions have older ones with the same symbols.
        wanted = max(version_key(triple.libc_version or NEWEST_GLIBC), min(named.values()))
        return frozenset(name for name, since in named.items() if since <= wanted) | NONSHARED | STARTED


@functools.lru_cache(2)
def _read(path: Path) -> dict[str, dict[str, tuple[int, ...]]]:
    """Target -> symbol -> the version in which it first was there, as ``version_key`` has it."""
    try:
        return _parsed(path.read_bytes())
    except (OSError, IndexError, ValueError) as error:
        raise ToolchainFault(
            _("zig's list of glibc's symbols cannot be read: {path}: {why}", path=verbatim(str(path)), why=error),
            mend=toolchains(),
        ) from error


def _parsed(data: bytes) -> dict[str, dict[str, tuple[int, ...]]]:
    at = 0

    def byte() -> int:
        nonlocal at
        at += 1
        return data[at - 1]

    def text() -> str:
        nonlocal at
        end = data.index(0, at)
        said = data[at:end].decode("ascii")
        at = end + 1
        return said

    def number() -> int:
        value = shift = 0
        while True:
            now = byte()
            value |= (now & 0x7F) << shift
            shift += 7
            if now < 0x80:
                return value

    for _library in range(byte()):
        text()
    versions = [(byte(), byte(), byte()) for _version in range(byte())]
    targets = [text() for _target in range(byte())]
    found: dict[str, dict[str, tuple[int, ...]]] = {target: {} for target in targets}
    for sized in (False, True, True):  # functions, objects, thread-local objects
        if at == len(data):
            break
        left = byte() | byte() << 8
        while left:
            name, last = text(), False
            while not last:
                left -= 1
                mask = number()
                if sized:
                    number()
                last = bool(byte() & _LAST)
                since: list[tuple[int, ...]] = []
                ended = False
                while not ended:
                    index = byte()
                    ended = bool(index & _LAST)
                    since.append(version_key(".".join(map(str, versions[index & ~_LAST][:2]))))
                for bit, target in enumerate(targets):
                    if mask >> bit & 1:
                        found[target][name] = min([*since, *([found[target][name]] if name in found[target] else [])])
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes are left over")
    return found
