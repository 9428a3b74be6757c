"""The register of known-bad subjects: number in the bank of defects -> what makes the reference one."""

from __future__ import annotations

from collections.abc import Callable

from pytest_xinchuang.packages.sm_crypto.certificates import ChainJudge
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness
from pytest_xinchuang.sm.sm2 import Sm2

Defect = Callable[[ReferenceHarness], None]
DEFECTS: dict[int, Defect] = {}
SCOPES: dict[int, tuple[str, ...]] = {}
"""Number -> beginnings of the names of the vector files that it can show in, where a subject gives them."""


def defect(number: int, *files: str) -> Callable[[Defect], Defect]:
    """Register a subject; ``files``: beginnings of the names of the vector files that its defect can show in."""

    def register(make: Defect) -> Defect:
        assert number not in DEFECTS
        DEFECTS[number] = make
        if files:
            SCOPES[number] = files
        return make

    return register


def use_sm2(harness: ReferenceHarness, kind: type[Sm2]) -> None:
    """Have the harness, its certificates too, compute with another SM2."""
    harness.sm2 = kind()
    harness.chains = ChainJudge(harness.sm2)
