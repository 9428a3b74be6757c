"""Instructions that a source writes by their bytes: every assembler takes them, and each machine reads something else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_xinchuang.advise.c.pairs import Pair, in_tree, place_of

ASSEMBLY = "XC-ADV-003"

_DATA = re.compile(r"(?:[\w.$]+:\s*)*\.(?:byte|short|hword|value|word|long|int|quad|[248]byte)\s+\S")
"""Directives that write numbers where they stand (GNU as manual, Pseudo Ops)."""
_ELSEWHERE = re.compile(r"\.(?:push)?section\b|\.subsection\b|\.data\b|\.bss\b|\.rodata\b")
"""Those that have them written elsewhere than into code."""


def machine_code(pair: Pair) -> Iterator[tuple[str, str]]:
    """The statements of assembler that write the same bytes into code for both machines: place and bytes."""
    if pair.here is None or pair.base is None:
        return
    here, base = pair.here.module, pair.base.module
    for function in here.functions.values():
        other = base.functions.get(function.name)
        if other is None or "asm " not in function.body:
            continue
        theirs = {i.assembler for i in other.instructions}
        for i in function.instructions:
            if i.assembler is None or i.assembler not in theirs or _ELSEWHERE.search(i.assembler):
                continue
            found = [part.strip() for part in re.split(r"[;\n]", i.assembler) if _DATA.match(part.strip())]
            file, line = here.spot(i)
            if found and in_tree(file):
                yield place_of(file, line), "; ".join(found)[:200]
