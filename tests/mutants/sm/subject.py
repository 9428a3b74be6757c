"""Known-bad subjects: the reference with one defect of the bank. ``python -m tests.mutants.sm.subject 27`` serves one.

More arguments may follow: ``from FILE`` or ``to FILE`` names points that are not computed again (remembered.py); ``as NAME``
names what the subject offers of all that it has (narrower.py).
"""

from __future__ import annotations

import sys
from pathlib import Path

import tests.mutants.sm.defects  # noqa: F401 - each of its modules registers its subjects
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, serve
from tests.mutants.sm.narrower import narrow
from tests.mutants.sm.registry import DEFECTS, use_sm2
from tests.mutants.sm.remembered import remember
from tests.mutants.sm.steady import Steady


def make(number: int) -> ReferenceHarness:
    """The reference with one defect; 0: with none, and steady."""
    harness = ReferenceHarness()
    if number:
        DEFECTS[number](harness)
    else:
        use_sm2(harness, Steady)
    harness.name = f"mutant {number}"
    return harness


def main(arguments: list[str]) -> None:
    number, *more = arguments
    how = dict(zip(more[::2], more[1::2], strict=True))
    harness = make(int(number))
    for word in ("from", "to"):
        if word in how:
            remember(Path(how[word]), writing=word == "to")
    if "as" in how:
        narrow(harness, how["as"])
    serve(harness, sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main(sys.argv[1:])
