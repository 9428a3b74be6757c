"""What x86-64 makes of the units: what does not compile there is not judged, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_xinchuang.advise.c import whole
from pytest_xinchuang.advise.c.causes import Reader, missing_headers
from pytest_xinchuang.advise.c.compiler import Compilers
from pytest_xinchuang.advise.c.diagnostics import Answer
from pytest_xinchuang.advise.c.gcc import taken_by
from pytest_xinchuang.advise.c.host import HostHeaders
from pytest_xinchuang.advise.c.units import Unit
from pytest_xinchuang.advise.c.whole import Wanted
from pytest_xinchuang.advise.triple import Triple, triple_of
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.platform import Arch
from pytest_xinchuang.messages import Message, _, verbatim

ROUNDS = 8
"""Times that missing headers are put in place by empty ones: each brings to light those behind it."""


@dataclass(frozen=True)
class Compiled:
    """A unit, as x86-64 compiles it.

    Attributes:
        answer: for x86-64.
        words: flags beyond its own with which it was compiled, for libraries' headers of this host.
        stubs: headers that had to be empty to see further; its answer is then of little worth.
        gcc: which GCC compiles it for x86-64 where clang does not; "" for none.
    """

    unit: Unit
    answer: Answer
    words: tuple[str, ...] = ()
    stubs: tuple[str, ...] = ()
    stubbed: Answer | None = None
    gcc: str = ""

    @property
    def ok(self) -> bool:
        """Whether x86-64 compiles it."""
        return self.answer.ok or bool(self.gcc)

    def why(self, reader: Reader) -> Message:
        """Why it is not judged."""
        if self.answer.lost:
            return self.answer.lost
        missing = missing_headers(self.answer, reader)
        if missing:
            return _("{header} is missing", header=verbatim(missing[0]))
        first = next((d.text for d in self.answer.diagnostics if d.stops), "")
        return _("it does not compile for x86-64 either: {error}", error=verbatim(first))


def all_of_x86(work: Work) -> list[Triple]:
    """The x86-64s that there are, a platform's first: what its older glibc compiles need not be compiled with a newer one."""
    older = [triple for p in work.platforms if (triple := triple_of(p)).arch is Arch.AMD64]
    return list(dict.fromkeys([*older[:1], work.baseline]))


class Baseline:
    """Compiles units for x86-64, each once.

    Args:
        triples: the x86-64s that there are; a unit that one of them compiles, x86-64 compiles, and the next are not asked.
    """

    def __init__(self, compilers: Compilers, reader: Reader, triples: Sequence[Triple]) -> None:
        self._compilers, self._reader, self._triples = compilers, reader, triples
        self.host = HostHeaders(compilers.work.scratch, compilers.targets.lib)
        self._known: dict[tuple[Unit, bool], Compiled] = {}

    def compile(self, units: Sequence[Unit], *, machine: bool) -> list[Compiled]:
        """The units as x86-64 compiles them, in their order.

        Args:
            machine: whether their flags of one machine are those of x86-64.
        """
        new = [unit for unit in dict.fromkeys(units) if (unit, machine) not in self._known]
        done = {c.unit: c for c in self._plain(new, machine)}
        done |= {c.unit: c for c in self._with_host(self._failed(done.values()), machine)}
        done |= {c.unit: c for c in self._with_stubs(self._failed(done.values()), machine)}
        done |= {c.unit: c for c in self._by_gcc(list(done.values()), machine)}
        self._known |= {(unit, machine): compiled for unit, compiled in done.items()}
        return [self._known[unit, machine] for unit in units]

    def _failed(self, compiled: Iterable[Compiled]) -> list[Compiled]:
        return [
            c for c in compiled if not c.answer.ok and not c.answer.lost and missing_headers(c.answer, self._reader)
        ]

    def _ask(self, units: Sequence[Unit], words: tuple[str, ...], machine: bool) -> list[Answer]:
        found: dict[Unit, Answer] = {}
        for triple in self._triples:
            # What is wrong with an older one may be its age alone, as where a function is not declared.
            left = [unit for unit in units if unit not in found or found[unit].diagnostics or not found[unit].ok]
            wanted = [Wanted(unit, triple, words, machine) for unit in left]
            found |= dict(zip(left, whole.compiled(self._compilers, wanted), strict=True))
        return [found[unit] for unit in units]

    def _plain(self, units: Sequence[Unit], machine: bool) -> list[Compiled]:
        return [Compiled(unit, answer) for unit, answer in zip(units, self._ask(units, (), machine), strict=True)]

    def _with_host(self, failed: Sequence[Compiled], machine: bool) -> list[Compiled]:
        """With what this host has of libraries' headers; where that changes nothing, as before."""
        words = self.host.words() if failed else ()
        if not words:
            return []
        answers = self._ask([c.unit for c in failed], words, machine)
        return [
            Compiled(c.unit, answer, words)
            for c, answer in zip(failed, answers, strict=True)
            if answer.ok or missing_headers(answer, self._reader) != missing_headers(c.answer, self._reader)
        ]

    def _by_gcc(self, compiled: Sequence[Compiled], machine: bool) -> list[Compiled]:
        """What clang refuses for a reason that is no missing header, and GCC compiles."""
        refused = [c for c in compiled if not c.answer.ok and not c.answer.lost and not c.stubs]
        asked = [(c.unit, c.words) for c in refused]
        said = taken_by(self._compilers, asked, self._triples[-1], machine=machine)
        return [replace(c, gcc=gcc) for c, gcc in zip(refused, said, strict=True) if gcc]

    def _with_stubs(self, failed: Sequence[Compiled], machine: bool) -> list[Compiled]:
        """With empty headers in the place of missing ones, until none is missing: what is seen then is seen on both sides."""
        current = list(failed)
        done: list[Compiled] = []
        stubs: set[str] = set()
        for _round in range(ROUNDS):
            missing = {n for c in current for n in missing_headers(c.stubbed or c.answer, self._reader)}
            if not missing - stubs:
                break
            stubs |= missing
            words = (*self.host.words(), *self.host.stubs(stubs))
            answers = self._ask([c.unit for c in current], words, machine)
            after = [
                replace(c, words=words, stubs=tuple(sorted(stubs)), stubbed=answer)
                for c, answer in zip(current, answers, strict=True)
                if not answer.lost
            ]
            done += after
            current = [c for c in after if c.stubbed is not None and missing_headers(c.stubbed, self._reader)]
            if not current:
                break
        return done
