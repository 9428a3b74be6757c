"""Compilers that are asked what a line of flags makes them do: the clang that zig brings for all targets, GCC, rustc, Go.

A compiler is given an empty function on its standard input and writes to its standard output. It is handed flags of the
allow-list alone (``permitted.is_plain``), so that it writes, loads and reads no files, and nothing of the environment.
"""

from __future__ import annotations

import functools
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, ToolchainFault
from pytest_xinchuang.core.platform import Arch, Architecture
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.toolchain.builder import find_zig
from pytest_xinchuang.toolchain.flags.features import of_compiler, of_macros
from pytest_xinchuang.tools.go import GoCommand
from pytest_xinchuang.tools.process import Finished, Runner, environment
from pytest_xinchuang.tools.versions import toolchains

TIMEOUT_S = 60
"""Seconds for one answer on a loaded machine; it takes some 0.03."""

MOST_ASKED = 4000
"""Answers that are kept, and so many that one run may ask for: a build has few lines of flags that differ."""

_SOURCE = b"""enum xc_e { XC_E };
struct xc_s { char c; double d; };
int xc[] = { sizeof(enum xc_e), sizeof(struct xc_s) };
void xc_f(void) {}
"""

ABI_MACROS = (
    "__SIZEOF_POINTER__", "__SIZEOF_LONG__", "__SIZEOF_SIZE_T__", "__SIZEOF_INT__", "__SIZEOF_WCHAR_T__",
    "__SIZEOF_LONG_DOUBLE__", "__LDBL_MANT_DIG__", "__BYTE_ORDER__", "__SOFTFP__", "__loongarch_double_float",
    "__loongarch_soft_float", "__loongarch_single_float", "__loongarch_frlen", "__x86_64__", "__aarch64__", "__loongarch64",
    "__ILP32__", "_WIN32", "__APPLE__", "__linux__", "__ELF__",
)  # fmt: skip
"""Macros that tell of an ABI and not of a CPU: sizes, byte order, how floating point is passed, the operating system."""

_GO_TAGS = ("list", "-e", "-f", "{{context.GOARCH}} {{context.GOOS}} {{context.ToolTags}}", "unsafe")

_CPU = "-target-cpu"
"""cc1's own option for a CPU, which ``-Xclang`` hands on: past the driver, which would tell of its features."""

_FEATURES = re.compile(r'"target-features"="([^"]*)"')
_TRIPLE = re.compile(r'^target triple = "([^"]*)"', re.MULTILINE)
_SIZES = re.compile(r"^@xc = .*?\[2 x i32\] (\[[^\]]*\])", re.MULTILINE)
"""A sanitizer puts the array into a structure with what guards it, or bytes in its place: what is not seen is not compared."""
_ABI = re.compile(r'!"target-abi", !"([^"]*)"')
_DEFINE = re.compile(r"^#define (\w+) ?(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """What a compiler does with a line of flags.

    Attributes:
        by: which compiler, with its version.
        features: Linux's names of the extensions that it may use.
        unknown: its own names of those that Linux has none for.
        abi: what the ABI is made of: name -> value.
    """

    by: Message
    features: frozenset[str]
    unknown: frozenset[str] = frozenset()
    abi: Mapping[str, str] = field(default_factory=dict)


class Asker:
    """Asks the compilers that are here; one line is asked about once.

    Args:
        find: where a program of a name is; by default on PATH.
    """

    def __init__(self, runner: Runner | None = None, find: Callable[[str], str | None] = shutil.which) -> None:
        self._runner = runner or Runner()
        self._find = find
        self._asked = 0
        self._place = Path(tempfile.mkdtemp(prefix="xc-flags-"))
        weakref.finalize(self, shutil.rmtree, self._place, ignore_errors=True)
        self.clang_answer = functools.lru_cache(MOST_ASKED)(self._clang_answer)
        self.gcc_answer = functools.lru_cache(MOST_ASKED)(self._gcc_answer)
        self.rust_answer = functools.lru_cache(MOST_ASKED)(self._rust_answer)
        self.go_tags = functools.lru_cache(MOST_ASKED)(self._go_tags)

    # -- C

    @functools.cached_property
    def zig(self) -> str | None:
        """The zig program, whose clang knows every architecture."""
        try:
            return find_zig()
        except ToolchainFault:
            return None

    @functools.cached_property
    def clang(self) -> Message:
        """Which clang it is."""
        assert self.zig is not None
        return verbatim(self._first_line([self.zig, "clang", "--version"]) or "clang")

    def gcc(self, architecture: Architecture) -> str | None:
        """A GCC that makes code for an architecture."""
        return next((path for name in _gcc_names(architecture) if (path := self._gcc_for(name, architecture))), None)

    def _gcc_for(self, name: str, architecture: Architecture) -> str | None:
        path = self._find(name)
        return path if path and self._machine(path).split("-")[0] == architecture.uname else None

    @functools.lru_cache(16)  # noqa: B019 - there is one asker in a run
    def _machine(self, program: str) -> str:
        return self._first_line([program, "-dumpmachine"])

    def some_gcc(self) -> str | None:
        """A GCC of whatever architecture: it knows the flags that are of none."""
        return self._find("gcc")

    def _clang_answer(self, words: tuple[str, ...], arch: Arch, target: str) -> Answer | None:
        """What clang does with ``words``; None: it refuses them."""
        assert self.zig is not None
        argv = [self.zig, "clang", "--no-default-config", "-target", target, *words]
        made = self._run([*argv, "-w", "-S", "-emit-llvm", "-o", "-", "-x", "c", "-"])
        if made is None or (macros := self._run([*argv, "-w", "-dM", "-E", "-x", "c", "-"])) is None:
            return None
        found = _FEATURES.search(made)
        told = found[1].split(",") if found else []
        features, unknown = of_compiler([n[1:] for n in told if n.startswith("+")], arch)
        if _CPU in words:
            # What the CPU has is not among the features then, on AArch64 and LoongArch: code is made with it all the same.
            option = "-mcpu" if arch is Arch.ARM64 else "-march"
            last = words[len(words) - words[::-1].index(_CPU) + 1]
            mine = self.clang_answer((f"{option}={last}",), arch, target)
            if mine is None:
                return None
            without = of_compiler([n[1:] for n in told if n.startswith("-")], arch)[0]
            features, unknown = features | mine.features - without, unknown | mine.unknown
        abi = _abi_of(macros)
        for name, pattern in (("target", _TRIPLE), ("sizes", _SIZES), ("target-abi", _ABI)):
            if (match := pattern.search(made)) is not None or name != "sizes":
                abi[name] = match[1] if match else ""
        return Answer(self.clang, features, unknown, abi)

    def _gcc_answer(self, program: str, words: tuple[str, ...], arch: Arch | None) -> Answer | None:
        """What a GCC does with ``words``; None: it refuses them. ``arch`` None: it is only asked whether it takes them."""
        macros = self._run([program, *words, "-w", "-dM", "-E", "-x", "c", "-"])
        if macros is None:
            return None
        by = verbatim(self._first_line([program, "--version"]) or "gcc")
        defined = dict(_DEFINE.findall(macros))
        return Answer(by, of_macros(defined, arch) if arch else frozenset(), abi=_abi_of(macros))

    # -- Rust and Go

    @functools.cached_property
    def rustc(self) -> str | None:
        return self._find("rustc")

    def _rust_answer(self, words: tuple[str, ...], arch: Arch, target: str) -> Answer | None:
        """What rustc does with ``words`` (target-cpu, target-feature); None: it refuses them, or its target is not here."""
        assert self.rustc is not None
        # The features that are not stable yet are told to no other.
        env = {"RUSTC_BOOTSTRAP": "1"}
        told = self._run([self.rustc, "--print", "cfg", "--target", target, *words], env)
        if told is None:
            return None
        names = re.findall(r'^target_feature="([^"]*)"', told, re.MULTILINE)
        features, unknown = of_compiler(names, arch)
        machine = dict(
            re.findall(r'^(target_arch|target_os|target_env|target_abi|target_endian)="(.*)"', told, re.MULTILINE)
        )
        return Answer(verbatim(self._first_line([self.rustc, "--version"])), features, unknown, machine)

    @functools.lru_cache(64)  # noqa: B019 - there is one asker in a run
    def rust_knows(self, kind: str, target: str) -> frozenset[str]:
        """The ``target-cpus`` or ``target-features`` that rustc prints for a target."""
        assert self.rustc is not None
        told = self._run([self.rustc, "--print", kind, "--target", target]) or ""
        return frozenset(match[1] for line in told.splitlines() if (match := re.match(r"\s+([\w.+-]+)", line)))

    def _go_tags(self, settings: tuple[tuple[str, str], ...]) -> frozenset[str] | None:
        """The build tags that Go has under some settings; None: it refuses them."""
        done = GoCommand(self._runner, offline=True).run(
            _GO_TAGS, self._place, changes=dict(settings), timeout_s=TIMEOUT_S
        )
        told = done.finished.exited().text
        return frozenset(told.replace("[", " ").replace("]", " ").split()) if done.finished.ok else None

    # -- programs

    def _run(self, argv: Sequence[str], more: Mapping[str, str] | None = None) -> str | None:
        """What a program prints; None when it refuses.

        Raises:
            HostFault: it did not end by itself, or so many lines were asked about that we stop.
        """
        self._asked += 1
        if self._asked > 2 * MOST_ASKED:
            raise HostFault(_("{n} lines of flags that differ: no more are asked about", n=MOST_ASKED))
        done = self._start(argv, more).exited(mend=str(toolchains()))
        return done.text if done.ok else None

    def _first_line(self, argv: Sequence[str]) -> str:
        done = self._start(argv, None)
        return next(iter(done.text.splitlines()), "").strip() if done.ok else ""

    def _start(self, argv: Sequence[str], more: Mapping[str, str] | None) -> Finished:
        return self._runner.run(
            argv, timeout_s=TIMEOUT_S, env={**_environment(), **(more or {})}, stdin=_SOURCE, cwd=self._place
        )


def _gcc_names(architecture: Architecture) -> tuple[str, ...]:
    return (f"{architecture.triplet}-gcc", "gcc")


def _abi_of(macros: str) -> dict[str, str]:
    defined = dict(_DEFINE.findall(macros))
    return {name: defined[name] for name in ABI_MACROS if name in defined}


def _environment() -> dict[str, str]:
    """All that a compiler gets: where programs are, and what rustup and Windows need to start one."""
    kept = (
        "PATH",
        "HOME",
        "LC_ALL",
        "SYSTEMROOT",
        "TEMP",
        "TMP",
        "USERPROFILE",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
        "CARGO_HOME",
    )
    return {name: value for name, value in environment().items() if name.upper() in kept}
