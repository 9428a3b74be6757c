"""C, C++ and assembler: what compiles for x86-64 and not for a platform."""

from __future__ import annotations

import functools
import json
import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from pytest_xinchuang.advise.c import target_strings, whole
from pytest_xinchuang.advise.c.baseline import Baseline, Compiled, all_of_x86
from pytest_xinchuang.advise.c.causes import ROOTS, Cause, Failing, Kind, Reader
from pytest_xinchuang.advise.c.certainty import CERTAINTIES, Doubt, Doubted, Doubts, Needed
from pytest_xinchuang.advise.c.compiler import OPTIMISED, Compilers, Question
from pytest_xinchuang.advise.c.database import databases
from pytest_xinchuang.advise.c.diagnostics import Answer
from pytest_xinchuang.advise.c.flags import flags_of_one_machine
from pytest_xinchuang.advise.c.gather import Gatherer, Recorder
from pytest_xinchuang.advise.c.gcc import Opinion, opinions, taken_by
from pytest_xinchuang.advise.c.ir import Module
from pytest_xinchuang.advise.c.libc import since
from pytest_xinchuang.advise.c.units import ASSEMBLERS, Units, language_of, of_c
from pytest_xinchuang.advise.c.whole import Wanted
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import Triple, triple_of
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Arch
from pytest_xinchuang.messages import Message, _, verbatim

HEADERS = (".h", ".hh", ".hpp", ".hxx")
UNREAD = {
    **dict.fromkeys((".m", ".mm"), "Objective-C"),
    **dict.fromkeys((".cu", ".cuh"), "CUDA"),
    ".cl": "OpenCL",
    **dict.fromkeys((".cppm", ".ixx", ".mpp"), "C++ modules"),
    ".hip": "HIP",
    ".ispc": "ISPC",
}
"""Ends of names of sources that this compiler is not asked about -> what they are."""

OF_NASM = dict.fromkeys((".asm", ".nasm", ".yasm"), "NASM")
"""The same for x86's own assemblers (NASM manual, 2.1.3; yasm, MASM), of which a build for the platform may need nothing."""

BUILDS = (
    "compile_commands.json",
    "CMakeLists.txt",
    "meson.build",
    "configure*",
    "[Mm]akefile*",
    "GNUmakefile",
    "*.mk",
    "*.pro",
    "SConstruct",
    "wscript",
    "xmake.lua",
    "BUILD",
    "BUILD.*",
    "build.ninja",
    "setup.py",
    "binding.gyp",
    "*.spec",
)
"""Names of files that say how a tree is built: where there is one, to compile each source without configuration is a guess."""

CODES = {
    Kind.INTRINSICS: "XC-ADV-002",
    Kind.ASSEMBLY: "XC-ADV-003",
    Kind.ERROR: "XC-ADV-004",
    Kind.BUILTIN: "XC-ADV-005",
    Kind.HEADER: "XC-ADV-006",
    Kind.CONTEXT: "XC-ADV-008",
    Kind.TYPE: "XC-ADV-009",
    Kind.ASSERTION: "XC-ADV-010",
    Kind.UNDECLARED: "XC-ADV-011",
    Kind.ASSEMBLER: "XC-ADV-012",
    Kind.NARROWING: "XC-ADV-017",
    Kind.TARGET: "XC-ADV-001",
    Kind.FLAG: "XC-ADV-001",
    Kind.OTHER: "XC-ADV-001",
}
OF_LIBC, OF_MACHINE, OF_FLAGS, OF_CONFIGURATION, OF_STUBS = (
    "XC-ADV-007",
    "XC-ADV-013",
    "XC-ADV-014",
    "XC-ADV-015",
    "XC-ADV-016",
)

_SHOWN = 20
"""Units that are named in a finding's evidence."""


@dataclass
class _Group:
    """A cause, and what fails by it.

    Attributes:
        first: one unit that does, with its answer.
        stubbed: it shows with empty headers alone.
    """

    cause: Cause
    first: Compiled
    doubted: Doubted
    units: dict[str, None] = field(default_factory=dict)
    stubbed: bool = False


@dataclass(frozen=True)
class _Told:
    """A finding, for every platform of a triple."""

    code: str
    certainty: Certainty
    place: str
    params: Mapping[str, str]
    evidence: Mapping[str, object]

    def of(self, platform: str) -> Finding:
        return Finding(self.code, self.certainty, self.place, platform, self.params, self.evidence)


class CSurvey:
    """Compiles each unit for x86-64 and for each platform, and tells what only the platform refuses.

    Args:
        recorders: what runs builds and says which units they compile.
        needed: whether a unit for another machine is needed on a triple, as linkers know; by default nothing is known.
    """

    name = "c"

    def __init__(self, recorders: Sequence[Recorder] = (), needed: Needed = lambda _unit, _triple: False) -> None:
        self._recorders, self._needed = recorders, needed

    def applies(self, tree: SourceTree) -> bool:
        return any(language_of(f) or PurePosixPath(f).suffix in (*UNREAD, *OF_NASM, *HEADERS) for f in of_c(tree.files))

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        return _Judging(tree, work, self._recorders, self._needed).judge()


class _Judging:
    """One survey of one tree."""

    def __init__(self, tree: SourceTree, work: Work, recorders: Sequence[Recorder], needed: Needed) -> None:
        self._tree, self._work = tree, work
        self._compilers = Compilers(tree, work)
        self._reader = Reader(tree, self._compilers.targets.lib)
        self._gatherer = Gatherer(tree, work, self._compilers.targets.lib, recorders)
        self._baseline = Baseline(self._compilers, self._reader, all_of_x86(work))
        self._doubts = Doubts(tree, self._reader, work.architectures, needed, self._made_for_x86)

    def judge(self) -> Surveyed:
        said = Surveyed()
        triples: dict[Triple, list[str]] = {}
        for platform in self._work.platforms:
            triples.setdefault(triple_of(platform), []).append(platform.id)
        for triple, platforms in triples.items():
            units = self._gatherer.units(triple)
            part, findings = self._judge(triple, units)
            said.add(platforms, part)
            said.findings += [told.of(platform) for platform in platforms for told in findings]
        return said

    def _judge(self, triple: Triple, units: Units) -> tuple[Part, list[_Told]]:
        compiled = self._on_x86(units)
        own = units.own or triple.arch is Arch.AMD64
        answers = whole.compiled(self._compilers, [Wanted(c.unit, triple, c.words, own) for c in compiled])
        unread = self._unread(units)
        why = unread.copy()
        if units.lost:
            why[_("its source is not there, or its command cannot be understood")] += units.lost
        judged = parts = 0
        groups: dict[tuple[object, ...], _Group] = {}
        for mine, answer in zip(compiled, answers, strict=True):
            causes = self._reader.causes(answer)
            if mine.unit.source in units.parts and not answer.ok and not mine.ok:
                parts += 1  # of those that include it
            elif answer.lost:
                why[answer.lost] += 1
            elif mine.stubs:
                why[mine.why(self._reader)] += 1
                self._note(groups, mine, answer, self._beyond(causes, mine), units)
            elif answer.ok or mine.answer.ok:
                judged += 1
                self._note(groups, mine, answer, self._beyond(causes, mine), units)
            elif mine.gcc and (beyond := tuple(self._beyond(causes, mine))):
                judged += 1
                self._note(groups, mine, answer, iter(beyond), units)
            elif mine.gcc and any(taken_by(self._compilers, [(mine.unit, mine.words)], triple, machine=own)):
                judged += 1
            elif mine.gcc:
                why[_("{gcc} compiles it for x86-64, and clang does not", gcc=verbatim(mine.gcc))] += 1
            else:
                why[mine.why(self._reader)] += 1
        self._note_targets(groups, compiled, answers, units, triple)
        total = len(units.units) - parts + unread.total() + units.lost
        if parts and not total:
            why[_("it is included by another source, and none that includes it is there")] += parts
            total = parts
        elif not total:
            headers = sum(f.endswith(HEADERS) for f in of_c(self._tree.files))
            why[_("there are headers and no source that includes them")] += headers
            total = headers
        part = Part(
            _("C and C++"),
            judged,
            total,
            by=self._compilers.by,
            found=units.found,
            why=tuple(why.most_common()),
            guessed=units.guessed and bool(self._tree.named(*BUILDS)),
        )
        findings = self._findings(list(groups.values()), triple, machine=own)
        if not own:
            findings += self._of_flags(triple, units)
        return part, findings

    def _made_for_x86(self) -> frozenset[str]:
        """The files that the build makes in the guise of x86-64, as names in the tree."""
        units = self._gatherer.units(self._work.baseline)
        overlays = {u.words[1] for u in units.units if units.own and u.words[:1] == ("-ivfsoverlay",)}
        return frozenset(name for overlay in overlays for name in _shown_by(overlay, f"{self._tree.root}/"))

    def _on_x86(self, units: Units) -> list[Compiled]:
        """Each unit as x86-64 compiles it: its own there, where a build for x86-64 has one of the same source."""
        if not units.own:
            return self._guessed_again(self._baseline.compile(units.units, machine=True), units)
        there = self._gatherer.units(self._work.baseline)
        of_source = {unit.source: unit for unit in there.units} if there.own else {}
        pairs = [(unit, of_source.get(unit.source)) for unit in units.units]
        known = iter(self._baseline.compile([other for _unit, other in pairs if other is not None], machine=True))
        alone = iter(self._baseline.compile([unit for unit, other in pairs if other is None], machine=False))
        found = []
        for unit, other in pairs:
            one = next(alone) if other is None else next(known)
            found.append(replace(one, unit=unit))
        return found

    def _guessed_again(self, compiled: list[Compiled], units: Units) -> list[Compiled]:
        """Where units are a guess and x86-64 does not compile one, another guess may do better."""
        failed = [c.unit for c in compiled if units.guessed and not c.ok and not c.answer.lost]
        others = [unit for unit in self._gatherer.another(failed) if unit not in failed]
        better = {c.unit.source: c for c in self._baseline.compile(others, machine=True) if c.answer.ok}
        return [better.get(c.unit.source, c) for c in compiled]

    def _unread(self, units: Units) -> Counter[Message]:
        """Sources of languages that this compiler is not asked about."""
        languages = UNREAD if units.own else UNREAD | OF_NASM
        kinds = Counter(
            languages[end] for f in self._tree.files if (end := PurePosixPath(f).suffix.lower()) in languages
        )
        return Counter({_("{language} is not judged", language=verbatim(kind)): n for kind, n in kinds.items()})

    def _beyond(self, causes: tuple[Cause, ...], mine: Compiled) -> Iterator[Cause]:
        """The causes that x86-64 does not have; of a file in assembler the first."""
        there = mine.stubbed or mine.answer
        known: set[tuple[object, ...]] = {cause.key for cause in self._reader.causes(there)}
        for cause in causes:
            if cause.key in known:
                continue
            if cause.kind is Kind.ASSEMBLER:
                if _matter(cause) in known:
                    continue
                known.add(_matter(cause))
            yield cause

    def _note(
        self,
        groups: dict[tuple[object, ...], _Group],
        mine: Compiled,
        answer: Answer,
        causes: Iterator[Cause],
        units: Units,
    ) -> None:
        for cause in causes:
            doubted = self._doubts.of(cause, answer, units)
            sure = mine.unit.language in ASSEMBLERS or cause.kind in ROOTS
            if mine.gcc and not sure and doubted.doubt is Doubt.NONE:
                doubted = Doubted(Doubt.COMPILER, mine.gcc)  # clang reads on behind what it does not know
            stubbed = bool(mine.stubs)
            # A source that a build leaves out is one matter, whatever is wrong with it.
            alone = doubted.doubt is Doubt.MACHINE
            key = (OF_MACHINE, mine.unit.source, stubbed) if alone else (*_matter(cause), stubbed)
            group = groups.setdefault(key, _Group(cause, mine, doubted, stubbed=stubbed))
            if doubted.doubt is Doubt.NONE and group.doubted.doubt is not Doubt.NONE:
                group.doubted, group.first = doubted, mine
            group.units[mine.unit.source] = None

    def _note_targets(
        self,
        groups: dict[tuple[object, ...], _Group],
        compiled: Sequence[Compiled],
        answers: Sequence[Answer],
        units: Units,
        triple: Triple,
    ) -> None:
        """What clang takes without a word, and GCC may refuse; where clang has words for one, these are told."""
        if triple.arch is Arch.AMD64:
            return
        told = {unit for g in groups.values() if g.cause.kind is Kind.TARGET for unit in g.units}
        pairs = zip(compiled, answers, strict=True)
        taken = {a.unit: (mine, a) for mine, a in pairs if mine.ok and a.ok and a.unit.source not in told}
        read = [(a, mine.words) for mine, a in taken.values()]
        for unit, cause in target_strings.found(self._compilers, read, machine=units.own):
            mine, answer = taken[unit]
            self._note(groups, mine, answer, iter([cause]), units)

    def _findings(self, groups: Sequence[_Group], triple: Triple, *, machine: bool) -> list[_Told]:
        """What is said of each group; a few more compilations tell what a libc or an optimiser has to do with it."""
        plain = [g for g in groups if not g.stubbed and g.doubted.doubt is Doubt.NONE]
        failing = {id(g): Failing(g.cause, g.first.unit, g.first.words) for g in plain}
        newest = self._work.baseline.libc_version
        libc = since(self._compilers, self._reader, list(dict.fromkeys(failing.values())), triple, newest)
        statements = [g for g in plain if g.cause.kind is Kind.ASSEMBLY]
        asked = [Question(g.first.unit, triple, (*OPTIMISED, *g.first.words), machine=machine) for g in statements]
        dead = {id(g) for g, answer in zip(statements, self._compilers.ask(asked), strict=True) if answer.ok}
        dead |= self._of_nobody([g for g in statements if id(g) not in dead])
        of_libc = {id(g): version for g in plain if (version := libc.get(failing[id(g)]))}
        gcc = self._by_gcc([g for g in groups if id(g) not in dead | of_libc.keys()], triple, machine=machine)
        found = []
        for group in groups:
            told = self._told(group)
            if id(group) in dead:
                # No code is left of it once code is optimised, as most builds have it.
                told = replace(told, certainty=Certainty.GUARDED)
            elif id(group) in of_libc:
                told = replace(told, code=OF_LIBC, params={**told.params, "libc": of_libc[id(group)]})
            elif (opinion := gcc.get(id(group))) is not None:
                certainty = Certainty.GUARDED if opinion.takes else Certainty.CERTAIN
                said = {"gcc": opinion.by, "gcc_compiles_it": opinion.takes}
                told = replace(told, certainty=certainty, evidence={**told.evidence, **said})
            found.append(told)
        return found

    def _of_nobody(self, groups: Sequence[_Group]) -> set[int]:
        """Those in an inline function that x86-64 makes no code of: clang alone looks into what nobody calls."""
        asked = {
            id(g): Wanted(g.first.unit, self._work.baseline, g.first.words, True)
            for g in groups
            if g.cause.place.line and self._reader.text(g.cause.place.file).macro(g.cause.place.line) is None
        }
        units = list(dict.fromkeys(asked.values()))
        answers = whole.as_written(self._compilers, units)
        made = {w: _Made.of(a) for w, a in zip(units, answers, strict=True) if a.output}
        return {
            id(g)
            for g in groups
            if (found := made.get(asked.get(id(g)))) is not None and not found.has(g.cause)  # type: ignore[arg-type]
        }

    def _by_gcc(self, groups: Sequence[_Group], triple: Triple, *, machine: bool) -> dict[int, Opinion]:
        """What the platform's GCC says of what clang alone has decided, by the identity of the group."""
        asked = [g for g in groups if not g.stubbed and g.doubted.doubt in (Doubt.NONE, Doubt.COMPILER)]
        doubtful = [Failing(g.cause, g.first.unit, g.first.words) for g in asked]
        said = opinions(self._compilers, doubtful, triple, machine=machine)
        return {id(g): opinion for g, opinion in zip(asked, said, strict=True) if opinion is not None}

    def _told(self, group: _Group) -> _Told:
        cause, doubted = group.cause, group.doubted
        code, certainty = CODES[cause.kind], CERTAINTIES[doubted.doubt]
        if group.stubbed:
            code, certainty = OF_STUBS, Certainty.GUARDED
        elif doubted.doubt is Doubt.MACHINE:
            code = OF_MACHINE
        elif doubted.doubt is Doubt.CONFIGURATION:
            code = OF_CONFIGURATION
        params = {
            "error": cause.text,
            "units": str(len(group.units)),
            "name": cause.name,
            "unit": group.first.unit.source,
            "about": doubted.about,
        }
        evidence = {
            "cause": cause.kind.value,
            "compiler": cause.text,
            "doubt": doubted.doubt.value,
            "units": list(group.units)[:_SHOWN],
        }
        place = f"{cause.place.file}:{cause.place.line}" if cause.place.line else cause.place.file
        return _Told(code, certainty, place, params, evidence)

    def _of_flags(self, triple: Triple, units: Units) -> list[_Told]:
        names = databases(self._tree)
        return [
            _Told(
                OF_FLAGS,
                Certainty.GUARDED,
                names[0] if names else flag.first,
                {"flag": flag.flag, "units": str(flag.units)},
                {"refused": flag.refused},
            )
            for flag in flags_of_one_machine(self._compilers, units.units, triple)
        ]


def _matter(cause: Cause) -> tuple[object, ...]:
    """What two causes are one matter by: a file in another architecture's assembler is one, however many lines it has."""
    return (cause.kind.value, cause.place.file) if cause.kind is Kind.ASSEMBLER else cause.key


@dataclass(frozen=True)
class _Made:
    """What code a compiler made of a unit.

    Attributes:
        spans: of its functions: the file, and the first and the last line that they have in it.
        registers: the global variables' that are registers, by their names.
    """

    spans: tuple[tuple[str, int, int], ...]
    registers: frozenset[str]

    @classmethod
    def of(cls, answer: Answer) -> _Made:
        module = Module(answer.output.decode(errors="replace"))
        found = []
        for function in module.functions.values():
            begins = module.place(function)
            lines: dict[str, list[int]] = {}
            for file, line in (*module.lines(function), begins if function.instructions else ("", 0)):
                if file and line:
                    lines.setdefault(posixpath.normpath(file), []).append(line)
            found += [(file, min(numbers), max(numbers)) for file, numbers in lines.items()]
        return cls(tuple(found), module.registers)

    def has(self, cause: Cause) -> bool:
        """Whether code was made of the place of a cause, or of the register that it names."""
        place = cause.place
        within = any(file == place.file and low <= place.line <= high for file, low, high in self.spans)
        return within or any(f"'{register}'" in cause.text for register in self.registers)


@functools.lru_cache(64)
def _shown_by(overlay: str, root: str) -> tuple[str, ...]:
    """The names in the tree of what a file for ``-ivfsoverlay`` shows."""
    try:
        roots = json.loads(Path(overlay).read_text(encoding="utf-8"))["roots"]
        return tuple(str(one["name"]).removeprefix(root) for one in roots)
    except (OSError, ValueError, KeyError, TypeError):
        return ()
