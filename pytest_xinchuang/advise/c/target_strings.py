"""Functions that a source has compiled for a CPU of x86-64's, where the platform's preprocessor leaves them.

``__attribute__((target("avx2")))`` and ``#pragma GCC target("avx2")``: clang passes over them for another architecture or takes
them without a word. GCC for AArch64 refuses them (GCC manual, Function Attributes, Function Specific Option Pragmas), and for
LoongArch it has known them since 15: what GCC says decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_xinchuang.advise.c.causes import Cause, Kind
from pytest_xinchuang.advise.c.compiler import Compilers
from pytest_xinchuang.advise.c.diagnostics import Answer
from pytest_xinchuang.advise.c.preprocessed import rows
from pytest_xinchuang.advise.c.units import Unit

_STRINGS = r'(?P<strings>"[^"]*"(?:\s*,\s*"[^"]*")*)'
_PRAGMA = re.compile(rf"^\s*#\s*pragma\s+GCC\s+target\s*\(?\s*{_STRINGS}")
_ATTRIBUTE = re.compile(
    rf"(?:__attribute(?:__)?\s*\(\(|\[\[).*?\b(?:__)?target(?:_clones)?(?:__)?\s*\(\s*{_STRINGS}\s*\)"
)
_MENTIONED = re.compile(r'(?:\b|__)target(?:_clones)?(?:__)?\s*\(\s*\\?"|GCC\s+target')
_OF_X86 = re.compile(
    r"(?:no-)?(?:mmx|3dnowa?|sse\d?(?:\.\d)?a?|ssse3|avx[\w.-]*|fma4?|bmi2?|popcnt|lzcnt|abm|tbm|pclmul|movbe|f16c|fsgsbase|rdrnd"
    r"|rdseed|adx|xop|lwp|gfni|vaes|vpclmulqdq|amx-\w+|rtm|hle|xsave\w*|clflushopt|clwb|clzero|prfchw|mwaitx?|cx16|sahf|sgx|shstk|pku)"
    r"|(?:arch|tune)=(?:x86-64[\w-]*|core[\w-]*|[a-z]+lake[\w-]*|haswell|broadwell|nehalem|westmere|bonnell|silvermont|sandybridge"
    r"|ivybridge|kn[lm]|znver\d|[bz]tver\d|bdver\d|k8[\w-]*|opteron[\w-]*|athlon[\w-]*|atom|pentium[\w-]*|i[3-6]86)"
)
"""Features and CPUs that GCC knows for x86 and for no other architecture (GCC manual, x86 Function Attributes)."""


def found(
    compilers: Compilers, units: Sequence[tuple[Answer, tuple[str, ...]]], *, machine: bool
) -> Iterator[tuple[Unit, Cause]]:
    """Each such place, as a cause of a unit that reads it.

    Args:
        units: what the platform's compiler read of each, and flags beyond its own.
        machine: whether flags of one machine are handed on.
    """
    for row in rows(compilers, units, _MENTIONED, machine=machine, definitions=False):
        for one in filter(None, (_PRAGMA.match(row.text), *_ATTRIBUTE.finditer(row.text))):
            named = [item for item in re.split(r'[\s",]+', one["strings"]) if _OF_X86.fullmatch(item)]
            if named:
                yield row.unit, Cause(Kind.TARGET, row.place, named[0], f"target({one['strings']})", (row.place,))
