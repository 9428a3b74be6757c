"""``--run``: a program of the tree is built and run on x86-64 and on a platform, and what it does is compared.

What differs is certain. What is alike says something only of what an emulator shows, and only where the doubtful statement was
surely run: where each way through ``main`` comes to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_xinchuang.advise.c import hazards, hollow, signs, warned
from pytest_xinchuang.core.finding import Certainty, Finding

ARGUMENTS: tuple[tuple[str, ...], ...] = ((), ("-a", "-b", "x"))
"""What programs are started with: nothing, and options as getopt(3) takes them."""

SHOWN = frozenset(
    {
        hollow.NOTHING_DONE,
        hollow.UNSET,
        signs.NEGATIVE_CHAR,
        warned.UNDEFINED,
        warned.OTHERWISE,
        hazards.LONG_DOUBLE,
        hazards.ARGUMENTS,
    }
)
"""What qemu-user shows: it keeps the order of x86-64 and its page size, so that it shows neither barriers nor pages."""


@dataclass(frozen=True)
class Ran:
    """One run that came to its end.

    Attributes:
        ended: the exit code, or minus the number of the signal.
    """

    ended: int
    output: bytes


@dataclass(frozen=True)
class Program:
    """A program of the tree.

    Attributes:
        main: the source with ``main``; ``sources``: all that it is linked of, names in the tree, ``main`` first.
        words: the flags of its units.
        reached: places (``FILE:LINE``) of findings whose function is called on each way through ``main``.
    """

    main: str
    sources: tuple[str, ...]
    words: tuple[str, ...]
    reached: frozenset[str] = frozenset()


Bench = Callable[[Program, str, tuple[str, ...]], Ran | None]
"""Builds a program, and runs it on a platform ("" is x86-64) with arguments; None: it could not be built or run to its end."""


def tried(findings: Sequence[Finding], programs: Mapping[str, Program], bench: Bench) -> list[Finding]:
    """Findings as they are after the runs.

    Args:
        programs: the place of a finding -> a program in which it is.
    """
    said = []
    for finding in findings:
        program = programs.get(finding.object)
        if program is None or finding.certainty is not Certainty.GUARDED or finding.code not in SHOWN:
            said.append(finding)
            continue
        # What differs has one cause; where several are possible, nobody knows which.
        rivals = {
            f.object
            for f in findings
            if f.platform == finding.platform
            and f.certainty in (Certainty.GUARDED, Certainty.CERTAIN)
            and programs.get(f.object) is program
        }
        said.append(_tried(finding, program, bench, alone=len(rivals) == 1))
    return said


def _tried(finding: Finding, program: Program, bench: Bench, *, alone: bool) -> Finding:
    alike = 0
    for arguments in ARGUMENTS:
        first, again = bench(program, "", arguments), bench(program, "", arguments)
        if first is None or first != again:
            continue  # it does not do the same twice on x86-64
        here = bench(program, finding.platform, arguments)
        if here is None:
            continue
        if here == first:
            alike += here.ended == 0
            continue
        evidence = {
            "ran": [program.main, *arguments],
            "x86_64": {"ended": first.ended, "output": first.output[:500].decode(errors="backslashreplace")},
            "here": {"ended": here.ended, "output": here.output[:500].decode(errors="backslashreplace")},
        }
        certainty = Certainty.CERTAIN if alone else finding.certainty
        return replace(finding, certainty=certainty, evidence={**finding.evidence, **evidence})
    if not alike:
        return finding
    reached = finding.object in program.reached
    seen: dict[str, object] = {"ran": [program.main], "ran_alike": alike, "surely_reached": reached}
    certainty = Certainty.NOTE if reached and alike == len(ARGUMENTS) else finding.certainty
    return replace(finding, certainty=certainty, evidence={**finding.evidence, **seen})
