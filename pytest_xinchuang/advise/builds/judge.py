"""What it means that a build stops in the guise of a platform, and how it ran in that of x86-64."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.advise.builds.stops import Kind, Ran, Stop
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Architecture
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim


@dataclass(frozen=True)
class Judged:
    """What is said of one build for one platform.

    Attributes:
        stops: what stops it there and not on x86-64, with how sure that is.
        why: why the build as a whole was not judged; nothing where it was.
    """

    stops: tuple[tuple[Stop, Certainty], ...] = ()
    why: Message = NOTHING


class Words:
    """Knows the words of machines, so that the same target of two machines is known again."""

    def __init__(self, architectures: Iterable[Architecture]) -> None:
        words = {w for a in architectures for w in (a.uname, *a.aliases, *a.names.values()) if w}
        ordered = sorted(words, key=len, reverse=True)
        self._any = re.compile(
            rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, ordered))})(?![A-Za-z0-9])", re.IGNORECASE
        )

    def plain(self, text: str) -> str:
        return self._any.sub("*", text)


def compare(base: Ran, other: Ran, words: Words) -> Judged:
    """Compare a build on a platform with that on x86-64.

    A stop is certain where the build tool or a compiler has decided it, the same build went on at that place on x86-64,
    and nothing of how we run it can be the reason.
    """
    if other.lost:
        return Judged(why=other.lost)
    known = {_key(stop, words) for stop in base.stops}
    found: list[tuple[Stop, Certainty]] = []
    ours: Message = NOTHING
    for stop in other.stops:
        if _key(stop, words) in known:
            continue
        if stop.kind is Kind.LACKING:
            ours = _("a program is lacking on this host, or does not run on it: {said}", said=verbatim(stop.said))
        elif other.unstarted and stop.kind is not Kind.REFUSED:
            ours = _(
                "the build starts a program that it has made, which this host cannot run: {said}",
                said=verbatim(stop.said),
            )
        else:
            found.append((stop, _certainty(stop, base, other)))
    if found:
        return Judged(tuple(found))
    if base.lost:
        return Judged(why=base.lost)
    if ours:
        return Judged(why=ours)
    if base.whole_without and other.whole_without:
        return Judged()  # tests, whose libraries are not here, stop it on both
    if not base.whole:
        said = base.stops[0].said if base.stops else ""
        return Judged(why=_("it stops on x86-64 too: {said}", said=verbatim(said)))
    if not other.whole:
        return Judged(why=_("it does not come to its end"))
    return Judged()


def _key(stop: Stop, words: Words) -> tuple[str, str, int, str]:
    return stop.kind.value, words.plain(stop.file), stop.line, words.plain(stop.target)


def _certainty(stop: Stop, base: Ran, other: Ran) -> Certainty:
    if stop.kind is Kind.REFUSED:
        # clang takes the option for x86-64 and refuses it for the platform, and the recipe ended with that.
        return Certainty.CERTAIN
    if base.lost:
        return Certainty.UNDECIDED
    if not _went_past(stop, base):
        return Certainty.GUARDED
    if stop.kind is Kind.COMMAND and _by_a_stand_in(base.calls, other.calls):
        return Certainty.GUARDED
    return Certainty.CERTAIN


def _went_past(stop: Stop, base: Ran) -> bool:
    """Whether the build on x86-64 went on behind the place."""
    if base.whole or base.seen.get(stop.file, 0) > stop.line > 0:
        return True
    # Makefiles are read before a recipe is run: what stops in recipes on x86-64 has passed what stops their reading.
    later = (Kind.COMMAND, Kind.NO_RULE, Kind.LACKING, Kind.REFUSED)
    return (
        stop.kind is Kind.SAID
        and bool(base.stops)
        and not base.seen
        and all(s.kind in later and s.target for s in base.stops)
    )


def _by_a_stand_in(base: Iterable[Mapping[str, Any]], other: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the command may have failed because of how we stand in for tools.

    That is so where a trial fails there alone, or a tool reads what an empty object cannot tell.
    """

    def failed(calls: Iterable[Mapping[str, Any]]) -> int:
        return sum(1 for c in calls if c.get("t") == "cc" and c.get("k") == "tried" and c.get("c"))

    return failed(other) > failed(base) or any(c.get("t") == "reads" for c in other)
