"""Explains an output that differs from x86-64's, by building the same source with other flags."""

from __future__ import annotations

from collections.abc import Callable

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.platform import Arch
from pytest_xinchuang.core.subject import Subject, Unit
from pytest_xinchuang.sandbox.protocol import Ended, Outcome

RunVariant = Callable[[Unit, bool], Outcome]
"""Builds and runs a variant of a unit: on x86-64 when the second argument is true, else on the target."""


def cause_of_difference(
    subject: Subject, unit: Unit, arch: Arch, target: Outcome, reference: Outcome, run: RunVariant
) -> str | None:
    """The XC-DIF code of a difference, or None when no counterfactual build explains it."""
    if unit.kind != "c":
        return None

    def variant(flags: tuple[str, ...], on: Arch) -> Unit:
        return unit.model_copy(update={"c_flags": {**unit.c_flags, on: (*unit.c_flags.get(on, ()), *flags)}})

    def same(flags: tuple[str, ...], *, on_x86: bool, expected: Outcome) -> bool:
        try:
            outcome = run(variant(flags, Arch.AMD64 if on_x86 else arch), on_x86)
        except XcError:
            return False
        return outcome.ended is Ended.EXITED and outcome.stdout == expected.stdout and outcome.code == expected.code

    if same(("-funsigned-char",), on_x86=True, expected=target) or same(
        ("-fsigned-char",), on_x86=False, expected=reference
    ):
        return "XC-DIF-001"
    if same(("-ffp-contract=off",), on_x86=False, expected=reference):
        return "XC-DIF-002"
    try:
        trapped = run(variant(("-fsanitize=float-cast-overflow", "-fsanitize-trap=all"), Arch.AMD64), True)
        if trapped.ended is Ended.SIGNALED:
            return "XC-DIF-003"
    except XcError:
        pass
    text = "".join(subject.path(s).read_text(errors="replace") for s in unit.sources if subject.path(s).is_file())
    return "XC-DIF-004" if "long double" in text else None
