"""Whether the platform's GCC has an option that clang takes for x86-64 and passes over for the platform."""

from __future__ import annotations

import functools
import re

from pytest_xinchuang.advise.triple import Triple
from pytest_xinchuang.toolchain.builder import gnu_compiler
from pytest_xinchuang.tools.process import Runner
from pytest_xinchuang.tools.versions import TIMEOUT_S, stamp

_OF_X86 = re.compile(
    r"-m(?:64|32|x32|16)|-m(?:no-)?(?:mmx|sse[\w.]*|ssse3|3dnowa?|avx[\w.]*|aes|pclmul|popcnt|lzcnt|abm|bmi2?|adx|f16c|fma4?|"
    r"rdrnd|rdseed|sha|cx16|movbe|fxsr|xsave\w*|red-zone|accumulate-outgoing-args|push-args|sahf|ieee-fp)|"
    r"-m(?:fpmath|preferred-stack-boundary|incoming-stack-boundary|regparm|asm|stringop-strategy)=.+|-mstackrealign|-mrtd"
)
"""GCC manual, x86 Options: none of them is among AArch64 Options or LoongArch Options, and GCC refuses what it does
not know."""

CLANG = re.compile(r"(?:^|-)clang(?:\+\+)?(?:-\d+)?$")
"""Names by which a build asks for clang and for nothing else."""


def refused_by_gcc(word: str, triple: Triple, runner: Runner) -> bool | None:
    """Whether GCC for a triple refuses an option; None: there is none on this machine, and its manual does not decide it."""
    compiler = gnu_compiler(triple.architecture)
    if compiler is not None:
        return _refuses(compiler, word, stamp(compiler), runner)
    return True if _OF_X86.fullmatch(word) else None


@functools.cache
def _refuses(compiler: str, word: str, _stamp: tuple[int, int], runner: Runner) -> bool:
    argv = [compiler, word, "-c", "-x", "c", "/dev/null", "-o", "/dev/null"]
    return not runner.run(argv, timeout_s=TIMEOUT_S, cwd="/").ok
