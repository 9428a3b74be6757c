"""What the compiler warns of for a platform and not for x86-64: the same statement means something else there."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_xinchuang.advise.c.diagnostics import Answer, Diagnostic
from pytest_xinchuang.advise.c.pairs import Pair
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import Message, _, verbatim

UNDEFINED = "XC-ADV-031"
OTHERWISE = "XC-ADV-032"

_OPTIONS: Mapping[str, tuple[str, Certainty]] = {
    # What is set for x86-64 alone is read as it lies there: clang warns of this one only where no way sets it.
    "-Wuninitialized": (UNDEFINED, Certainty.CERTAIN),
    # There may be a call before it that does not come back.
    "-Wreturn-type": (UNDEFINED, Certainty.GUARDED),
    # The way on which it is not set may never be taken.
    "-Wsometimes-uninitialized": (UNDEFINED, Certainty.GUARDED),
    # wchar_t is unsigned on ARM64 (AAPCS64 10.1); what is tested beside it may make up for it.
    "-Wtautological-unsigned-zero-compare": (OTHERWISE, Certainty.GUARDED),
    "-Wtautological-unsigned-enum-zero-compare": (OTHERWISE, Certainty.GUARDED),
    # A type has other bits; the statement may never be run.
    "-Wshift-count-overflow": (OTHERWISE, Certainty.GUARDED),
    "-Wshift-count-negative": (OTHERWISE, Certainty.GUARDED),
    "-Wliteral-range": (OTHERWISE, Certainty.GUARDED),
    "-Wbitfield-constant-conversion": (OTHERWISE, Certainty.GUARDED),
    # jmp_buf, va_list and long double are other types; GCC 14 refuses what older ones warn of.
    "-Wincompatible-pointer-types": (OTHERWISE, Certainty.GUARDED),
    "-Wint-conversion": (OTHERWISE, Certainty.GUARDED),
    "-Wvarargs": (OTHERWISE, Certainty.GUARDED),
    "-Wsizeof-pointer-div": (OTHERWISE, Certainty.GUARDED),
    "-Wfortify-source": (OTHERWISE, Certainty.GUARDED),
}
"""Option (Clang's diagnostics reference) -> how what it says of the platform alone is told. A char's sign: ``signs``."""

_NEVER_THERE = "-Wtautological-constant-out-of-range-compare"
"""A signed char is compared with what it never is, as in ``c >= 0x80``: where char is unsigned, it may be."""
_NEVER_HERE = "-Wtautological-unsigned-char-zero-compare"
"""An unsigned char is compared with zero: with the one before in a line, it asks for both signs."""

WARNINGS = (*_OPTIONS, _NEVER_THERE, _NEVER_HERE)


@dataclass(frozen=True)
class Warned:
    """A warning for the platform alone.

    Attributes:
        place: ``FILE:LINE`` in the tree.
    """

    code: str
    certainty: Certainty
    place: str
    option: str
    text: Message


def warned(pair: Pair, base: Answer, here: Answer) -> Iterator[Warned]:
    """The warnings of a unit for the platform alone.

    Args:
        base: the answer for x86-64; ``here``: the one for the platform.
    """
    if not base.ok or not here.ok:
        return
    there = {_key(d) for d in base.diagnostics}
    for d in here.diagnostics:
        rule = _OPTIONS.get(d.option)
        if rule is None or _key(d) in there or d.place.file.startswith(("/", "<")):
            continue
        code, certainty = rule
        if certainty is Certainty.CERTAIN and not _compiled_for_base(pair, d):
            certainty = Certainty.GUARDED
        yield Warned(code, certainty, f"{d.place.file}:{d.place.line}", d.option, verbatim(d.text))
    both = {(d.place.file, d.place.line) for d in here.diagnostics if d.option == _NEVER_HERE}
    mine = {_key(d) for d in here.diagnostics}
    for d in base.diagnostics:
        place = (d.place.file, d.place.line)
        if (
            d.option == _NEVER_THERE
            and _key(d) not in mine
            and place not in both
            and not place[0].startswith(("/", "<"))
        ):
            text = _("on x86-64 alone: {text}", text=d.text)
            yield Warned(OTHERWISE, Certainty.GUARDED, f"{place[0]}:{place[1]}", d.option, text)


def _key(d: Diagnostic) -> tuple[str, str, int, int]:
    return d.option, d.place.file, d.place.line, d.place.column


def _compiled_for_base(pair: Pair, d: Diagnostic) -> bool:
    """Whether the line is code for x86-64 too: an arm for another machine has its own ways."""
    if pair.base is None:
        return False
    module = pair.base.module
    wanted = (d.place.file, d.place.line)
    return any(
        (posixpath.normpath(file), line) == wanted for f in module.functions.values() for file, line in module.lines(f)
    )
