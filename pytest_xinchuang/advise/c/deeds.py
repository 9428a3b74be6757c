"""What compiled code does: the same units as IR for x86-64 and for each platform's architecture, compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_xinchuang.advise.c import cache_lines, hazards, hollow, link, signs, warned, whole
from pytest_xinchuang.advise.c.compiler import Compilers, Question
from pytest_xinchuang.advise.c.diagnostics import Answer
from pytest_xinchuang.advise.c.emulated import Emulated
from pytest_xinchuang.advise.c.ir import Module
from pytest_xinchuang.advise.c.libc_symbols import LibcSymbols
from pytest_xinchuang.advise.c.machine_code import ASSEMBLY, machine_code
from pytest_xinchuang.advise.c.machines import machines_of
from pytest_xinchuang.advise.c.pairs import Pairs
from pytest_xinchuang.advise.c.programs import programs
from pytest_xinchuang.advise.c.sources import Text
from pytest_xinchuang.advise.c.trial import tried
from pytest_xinchuang.advise.c.units import ASSEMBLERS, Unit, Units
from pytest_xinchuang.advise.c.whole import Wanted
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import Triple, triple_of
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim

_OPTIMISED = ("-O2", "-S", "-emit-llvm")
"""As builds compile: what is still needed then is needed by what is linked."""


@dataclass(frozen=True)
class Deeds:
    """Compares what code does.

    Attributes:
        compilers: what compiles.
        units: a tree's translation units for a triple.
        words: flags beyond their own that units are compiled with, for libraries' headers.
    """

    tree: SourceTree
    work: Work
    compilers: Compilers
    units: Callable[[Triple], Units]
    words: Callable[[Sequence[Unit]], Sequence[tuple[str, ...]]] = lambda units: [()] * len(units)
    _texts: dict[str, Text] = field(default_factory=dict)

    def surveyed(self) -> Surveyed:
        """What is said of each platform.

        Raises:
            ToolchainFault: zig is missing or broke.
        """
        said = Surveyed()
        for triple, platforms in _groups(self.work.platforms).items():
            if triple.arch is self.work.baseline.arch:
                self._of_base(platforms, said)
            else:
                self._of(triple, platforms, said)
        return said

    def _of(self, triple: Triple, platforms: Sequence[Platform], said: Surveyed) -> None:
        units, theirs = self.units(triple), self.units(self.work.baseline)
        own = units is not theirs and units.units != theirs.units
        written = [u for u in units.units if u.language not in ASSEMBLERS]
        # Where the build was seen to run for each, a source is one unit: its flags are those of either.
        mine = {u.source: u for u in written}
        alone = [u for u in theirs.units if own and u.language not in ASSEMBLERS and u.source not in mine]
        by_source = {u.source: u for u in theirs.units}
        base = self._ir(
            [by_source.get(u.source, u) if own else u for u in written] + alone,
            self.work.baseline,
        )
        here = self._ir(written, triple, own=own)
        here += [Answer(u, triple, ok=False) for u in alone]
        pairs = Pairs(triple, base, here, self._conditions)
        both = sum(pair.both for pair in pairs)
        part = Part(
            _("what C and C++ code does"),
            judged=both,
            total=len(written),
            by=self.compilers.by,
            found=units.found,
            why=_reasons(base[: len(written)], here[: len(written)]),
        )
        names = [p.id for p in platforms]
        if written:
            said.add(names, part)
        told = _Told(platforms)
        empty: dict[int, list[str]] = {}
        accesses: list[hazards.Access] = []
        for number, pair in enumerate(pairs):
            empty[number] = hollow.candidates(pair)
            accesses += hazards.accesses(pair)
            for variable in hollow.unset(pairs, pair):
                told.add(_unset(variable))
            for sign in signs.signs(pair):
                told.add(_sign(sign))
            for warning in warned.warned(pair, base[number], here[number]):
                told.add(_warning(warning))
            for hazard in hazards.hazards(pair, triple.arch):
                told.hazard(hazard)
            # Where no object can be made of it, what the assembler refuses is told.
            for place, bytes_ in machine_code(pair) if here[number].made else ():
                told.add(_machine_code(pair.unit.source, place, bytes_))
        for hazard in hazards.publications(accesses):
            told.hazard(hazard)
        if any(_line_of(platform) for platform in platforms):
            read = list(zip(here[: len(written)], self.words(written), strict=True))
            for hazard in cache_lines.sizes(self.compilers, read, machine=own):
                told.hazard(hazard)
        for found in hollow.empties(pairs, empty):
            told.add(_hollow(found))
        self._link(units, pairs, here, platforms, said)
        findings = told.findings()
        if self.work.running is not None:
            places = [f.object for f in findings if f.certainty in (Certainty.GUARDED, Certainty.CERTAIN)]
            findings = tried(findings, programs(pairs, places), Emulated(self.tree, self.work))
        said.findings += findings

    def _of_base(self, platforms: Sequence[Platform], said: Surveyed) -> None:
        """x86-64 itself: its code does what it does, and only the age of the C library may be in the way."""
        triple = self.work.baseline
        units = self.units(triple)
        answers = self._ir([u for u in units.units if u.language not in ASSEMBLERS], triple)
        self._link(units, Pairs(triple, answers, answers), answers, platforms, said)

    def _ir(self, units: Sequence[Unit], triple: Triple, *, own: bool = False) -> list[Answer]:
        """The units as IR.

        Args:
            own: their flags are those of a build for this machine.
        """
        machine = own or triple.arch is Arch.AMD64
        beyond = zip(units, self.words(units), strict=True)
        return whole.as_written(self.compilers, [Wanted(u, triple, more, machine) for u, more in beyond])

    def _link(
        self, units: Units, pairs: Pairs, here: Sequence[Answer], platforms: Sequence[Platform], said: Surveyed
    ) -> None:
        sources = dict.fromkeys((*units.units, *self.units(self.work.baseline).units))
        assembled = self._assembled([u for u in sources if u.language in ASSEMBLERS], pairs.triple)
        lacking, libraries = link.needs(pairs, assembled)
        symbols = LibcSymbols(self.compilers.targets.lib)
        newest = symbols.of(self.work.baseline) or frozenset()
        for triple, group in _by_libc(platforms).items():
            there = symbols.of(triple)
            if there is None:
                continue
            older = frozenset(libraries & newest - there)
            still = self._still(pairs, lacking - there | older)
            found = link.missing(
                self.tree,
                pairs,
                assembled,
                still - older,
                guessed=units.guessed,
                older=still & older,
                outside=self._outside(here),
                told=lambda source: not self._for_others(source, pairs.arch),
            )
            for each in found:
                said.findings += [_missing(each, p, triple) for p in group]

    def _conditions(self, file: str, line: int) -> frozenset[str]:
        if file not in self._texts:
            self._texts[file] = Text(self.tree.text(file) or "")
        return self._texts[file].conditions(line)

    def _outside(self, answers: Sequence[Answer]) -> list[str]:
        """The headers of libraries that units read."""
        lib = f"{self.compilers.targets.lib}/"
        names = dict.fromkeys(
            name for a in answers for name in a.read if name.startswith("/") and not name.startswith(lib)
        )
        return list(names)

    def _for_others(self, source: str, arch: Arch) -> bool:
        """Whether a source is for other machines by its name: a build leaves it out, and nothing is said of it for certain."""
        machines = machines_of(source, {p.arch: p.architecture for p in self.work.platforms})
        return bool(machines) and arch.value not in machines

    def _still(self, pairs: Pairs, names: Iterable[str]) -> frozenset[str]:
        """Those of some symbols that the platform's code needs when it is optimised: dead branches are gone then."""
        wanted = frozenset(names)
        if not wanted:
            return wanted
        using = [p.unit for p in pairs if p.here is not None and wanted & p.here.needed]
        left: set[str] = set()
        machine = pairs.triple.arch is Arch.AMD64
        beyond = zip(using, self.words(using), strict=True)
        asked = [Question(u, pairs.triple, (*_OPTIMISED, *w), output=True, machine=machine) for u, w in beyond]
        for answer in self.compilers.ask(asked):
            if answer.ok:
                left |= Module(answer.output.decode(errors="replace")).declared
        return wanted & left

    def _assembled(self, units: Sequence[Unit], triple: Triple) -> list[link.Assembled]:
        sides = []
        for side in (self.work.baseline, triple):
            own = side.arch is Arch.AMD64
            sides.append(self.compilers.ask([Question(u, side, ("-c",), output=True, machine=own) for u in units]))
        return [
            link.Assembled(
                b.unit.source, link.defined_by(b.output) if b.ok else None, link.defined_by(h.output) if h.ok else None
            )
            for b, h in zip(*sides, strict=True)
        ]


@dataclass
class _Told:
    """Findings, each place once under each code and the surest of them, for some platforms."""

    platforms: Sequence[Platform]
    _found: dict[tuple[str, str, str], Finding] = field(default_factory=dict)

    def add(self, finding: Finding, platforms: Sequence[Platform] | None = None) -> None:
        for platform in self.platforms if platforms is None else platforms:
            key = (platform.id, finding.code, finding.object)
            known = self._found.get(key)
            if known is None or _SURE.index(finding.certainty) < _SURE.index(known.certainty):
                self._found[key] = replace(finding, platform=platform.id)

    def hazard(self, hazard: hazards.Hazard) -> None:
        """A hazard, for those that it is one of: a platform's pages or lines may be as long as the code takes them for."""
        for platform in self.platforms:
            paged = hazard.pages and platform.page_size is not None and platform.page_size.value == hazard.pages
            if not paged and not (hazard.line and hazard.line >= _line_of(platform)):
                self.add(_hazard(hazard, platform), [platform])

    def findings(self) -> list[Finding]:
        return list(self._found.values())


_SURE = (Certainty.CERTAIN, Certainty.GUARDED, Certainty.UNDECIDED, Certainty.NOTE)


def _groups(platforms: Iterable[Platform]) -> dict[Triple, list[Platform]]:
    """Platforms by architecture and kind of C library; the oldest library stands for all: code does the same with each."""
    groups: dict[tuple[Arch, str], list[Platform]] = {}
    for platform in platforms:
        triple = triple_of(platform)
        groups.setdefault((triple.arch, triple.libc), []).append(platform)
    return {min((triple_of(p) for p in group), key=_age): group for group in groups.values()}


def _age(triple: Triple) -> tuple[bool, tuple[int, ...]]:
    return not triple.libc_version, version_key(triple.libc_version or "0")


def _by_libc(platforms: Iterable[Platform]) -> Mapping[Triple, list[str]]:
    groups: dict[Triple, list[str]] = {}
    for platform in platforms:
        groups.setdefault(triple_of(platform), []).append(platform.id)
    return groups


def _reasons(base: Sequence[Answer], here: Sequence[Answer]) -> tuple[tuple[Message, int], ...]:
    """Why units were not compared -> how many."""
    reasons: dict[Message, int] = {}
    for b, h in zip(base, here, strict=True):
        if b.ok and h.ok:
            continue
        lost = b.lost or h.lost
        why = lost or (_("it does not compile for the platform") if b.ok else _("it does not compile for x86-64"))
        reasons[why] = reasons.get(why, 0) + 1
    return tuple(reasons.items())


def _hollow(empty: hollow.Empty) -> Finding:
    words = "; ".join(empty.words)[:200]
    return Finding(
        empty.code,
        empty.certainty,
        empty.place,
        "",
        params={
            "name": empty.name,
            "does": empty.returns,
            "words": words or "-",
            "calls": str(empty.users.calls),
            "advice": empty.mend,
        },
        evidence={
            "symbol": empty.symbol,
            "x86_64": list(empty.words),
            "purposes": sorted(empty.purposes),
            "calls": empty.users.calls,
            "called_at": empty.users.places,
            "used_as": sorted(empty.users.uses),
            "no_line_of_its_own": empty.forgotten,
        },
    )


def _unset(unset: hollow.Unset) -> Finding:
    return Finding(
        hollow.UNSET,
        unset.certainty,
        unset.place,
        "",
        params={
            "name": unset.name,
            "variable": unset.variable,
            "value": unset.value,
            "words": "; ".join(unset.words)[:200],
            "advice": unset.mend,
        },
        evidence={"x86_64": list(unset.words), "purposes": sorted(unset.purposes)},
    )


def _missing(found: link.Missing, platform: str, triple: Triple) -> Finding:
    return Finding(
        found.code,
        found.certainty,
        found.place,
        platform,
        params={
            "symbol": ", ".join(found.symbols[:5]) + (" ..." if len(found.symbols) > 5 else ""),
            "units": str(found.users),
            "definers": ", ".join(found.definers[:3]) or "-",
            "named": _("; {file} names it too", file=verbatim(found.named)) if found.named else NOTHING,
            "libc": f"{triple.libc} {triple.libc_version}",
        },
        evidence={
            "symbols": list(found.symbols[:100]),
            "program": found.program,
            "defined_for_x86_64_by": list(found.definers),
            "named_by": found.named,
        },
    )


def _sign(sign: signs.Sign) -> Finding:
    return Finding(
        signs.NEGATIVE_CHAR,
        sign.certainty,
        sign.place,
        "",
        params={
            "name": sign.name,
            "test": sign.test,
            "source": sign.source,
        },
        evidence={"x86_64": "sext i8", "here": "zext i8", "source": sign.source.render("en")},
    )


def _machine_code(source: str, place: str, bytes_: str) -> Finding:
    error = _("the same machine code for every machine: {bytes}", bytes=verbatim(bytes_))
    params = {"error": error, "units": "1", "name": "", "unit": source, "about": ""}
    return Finding(
        ASSEMBLY, Certainty.GUARDED, place, "", params=params, evidence={"cause": "assembly", "bytes": bytes_}
    )


def _warning(warning: warned.Warned) -> Finding:
    params = {"text": warning.text, "option": warning.option}
    evidence = {"option": warning.option, "text": warning.text}
    return Finding(warning.code, warning.certainty, warning.place, "", params=params, evidence=evidence)


def _line_of(platform: Platform) -> int:
    """Bytes of the longest line of its caches; 0 where that is not known."""
    line = platform.cpu.cache_line
    return (line.value or 0) if line is not None else 0


def _hazard(hazard: hazards.Hazard, platform: Platform) -> Finding:
    pages = platform.page_size.value if platform.page_size is not None else None
    return Finding(
        hazard.code,
        hazard.certainty,
        hazard.place,
        platform.id,
        params={
            "name": hazard.name,
            "what": hazard.what,
            "pages": str(pages or "?"),
            "line": str(_line_of(platform) or "?"),
        },
        evidence=dict(hazard.evidence),
    )
