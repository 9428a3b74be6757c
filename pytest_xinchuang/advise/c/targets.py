"""How zig's clang is told a target: zig says it once for each triple and language, and clang is run with the same words."""

from __future__ import annotations

import itertools
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from pytest_xinchuang.advise.c.units import Language
from pytest_xinchuang.advise.triple import Triple
from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.toolchain.builder import find_zig
from pytest_xinchuang.toolchain.site import plain_environment
from pytest_xinchuang.tools.process import Runner, first_line
from pytest_xinchuang.tools.versions import TIMEOUT_S, stamp, toolchains, version_of


@dataclass
class Targets:
    """Asks zig how its clang is told a target; the answers are kept while this is.

    Attributes:
        scratch: a directory of this run's own.
        zig: the zig program.

    Raises:
        ToolchainFault: zig is missing, or does not say.
    """

    scratch: Path
    runner: Runner = field(default_factory=Runner)
    zig: str = field(default_factory=find_zig)
    _told: dict[tuple[str, bool], tuple[str, ...]] = field(default_factory=dict, init=False)

    @property
    def headers(self) -> Path:
        """Where the headers lie that belong to the compiler itself, as ``immintrin.h`` does."""
        return self.lib / "include"

    @property
    def lib(self) -> Path:
        """Where all headers of zig lie."""
        return Path(self.zig).resolve().parent / "lib"

    @property
    def clang(self) -> tuple[str, ...]:
        """The words that begin each command."""
        return (self.zig, "clang", "--no-default-config")

    @property
    def version(self) -> str:
        """The version of clang, e.g. "22.1.8"."""
        return version_of(self.zig, "clang", "--version", runner=self.runner).rpartition(" ")[2]

    @property
    def identity(self) -> list[object]:
        """What tells this compiler from another."""
        return [version_of(self.zig, "version", runner=self.runner), *stamp(self.zig)]

    def words(self, triple: Triple, language: Language) -> tuple[str, ...]:
        """The words for a triple: clang's own name of it, the directories of headers, and macros."""
        cxx = language is Language.CXX
        if (triple.zig, cxx) not in self._told:
            self._told[triple.zig, cxx] = self._ask(triple.zig, cxx)
        return self._told[triple.zig, cxx]

    def _ask(self, name: str, cxx: bool) -> tuple[str, ...]:
        source = self.scratch / ("ask.cc" if cxx else "ask.c")
        source.touch()
        argv = [self.zig, "c++" if cxx else "cc", "-target", name, "-###", "-c", str(source)]
        env = plain_environment(self.scratch) | {
            "ZIG_GLOBAL_CACHE_DIR": str(self.scratch / "zig"),
            "ZIG_LOCAL_CACHE_DIR": str(self.scratch / "zig"),
        }
        done = self.runner.run(argv, timeout_s=TIMEOUT_S, cwd=self.scratch, env=env).exited(ToolchainFault)
        words = _of_the_frontend(done.errors)
        if not done.ok or words is None or "-triple" not in words[:-1]:
            raise ToolchainFault(
                _(
                    "zig does not say how it compiles for {target}: {said}",
                    target=verbatim(name),
                    said=first_line(done.errors),
                ),
                mend=toolchains(),
            )
        told = ["-target", words[words.index("-triple") + 1], "-nostdinc", *(["-nostdinc++"] if cxx else [])]
        for option, value in itertools.pairwise(words):
            if option == "-isystem":
                told += [option, value]
            elif option == "-D":
                told.append(f"-D{value}")
        return (*told, *(_AS_LIBSTDCXX if cxx else ()))


_AS_LIBSTDCXX = tuple(
    f"-D_LIBCPP_ENABLE_{name}"
    for name in (
        "CXX17_REMOVED_AUTO_PTR",
        "CXX17_REMOVED_BINDERS",
        "CXX17_REMOVED_RANDOM_SHUFFLE",
        "CXX17_REMOVED_UNARY_BINARY_FUNCTION",
        "CXX17_REMOVED_UNEXPECTED_FUNCTIONS",
        "CXX20_REMOVED_BINDER_TYPEDEFS",
        "CXX20_REMOVED_NEGATORS",
        "CXX20_REMOVED_RAW_STORAGE_ITERATOR",
        "CXX20_REMOVED_SHARED_PTR_UNIQUE",
        "CXX20_REMOVED_TEMPORARY_BUFFER",
        "CXX20_REMOVED_TYPE_TRAITS",
        "CXX20_REMOVED_UNCAUGHT_EXCEPTION",
        "CXX26_REMOVED_ALLOCATOR_MEMBERS",
        "CXX26_REMOVED_CODECVT",
        "CXX26_REMOVED_STRING_RESERVE",
        "CXX26_REMOVED_STRSTREAM",
        "CXX26_REMOVED_WSTRING_CONVERT",
    )
)
"""What newer standards have taken away, and the platforms' own C++ library still has (libc++'s documentation, Removed Features;
libstdc++ manual, API Evolution and Deprecation History)."""


def _of_the_frontend(text: str) -> list[str] | None:
    """The words of ``-cc1`` in what ``-###`` prints: one command a line, each word in quotes (clang's Driver manual)."""
    for line in text.splitlines():
        if line.startswith(' "') and '"-cc1"' in line:
            try:
                return shlex.split(line)
            except ValueError:
                return None
    return None
