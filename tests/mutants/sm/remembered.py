"""What every subject would compute anew: these functions have no state, and the mutants change none of them.

All mutants are asked for the same vectors, and nearly all of their time goes into the same points and the same hashes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_xinchuang.sm import curve, sm2

FUNCTIONS = ((curve, "multiply"), (curve, "multiply_base"), (curve, "combine"), (sm2, "sm3"), (sm2, "x963kdf_sm3"))
Known = dict[tuple[Any, ...], Any]


def _remembering(name: str, compute: Callable[..., Any], known: Known, file: Path | None) -> Callable[..., Any]:
    def answered(*arguments: Any) -> Any:
        key = (name, *arguments)
        if key not in known:
            found = compute(*arguments)
            if file is None:
                return found
            known[key] = found
            with file.open("ab") as kept:
                pickle.dump((key, found), kept)
        return known[key]

    return answered


def remember(file: Path, *, writing: bool = False) -> None:
    """Take from a file in this process what it has, and, for ``writing``, add to it what it has not."""
    known: Known = {}
    if file.exists():
        with file.open("rb") as kept:
            while kept.peek(1):
                key, found = pickle.load(kept)
                known[key] = found
    for module, name in FUNCTIONS:
        setattr(module, name, _remembering(name, getattr(module, name), known, file if writing else None))
