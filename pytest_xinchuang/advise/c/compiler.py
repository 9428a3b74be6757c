"""Asks clang what it makes of translation units: many at once, behind the wall, each answer kept by all that it depends on."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_xinchuang.advise.c.answers import Answers
from pytest_xinchuang.advise.c.diagnostics import Answer, Diagnostic, Place
from pytest_xinchuang.advise.c.said import FORM, diagnostics_in
from pytest_xinchuang.advise.c.targets import Targets
from pytest_xinchuang.advise.c.units import Language, Unit
from pytest_xinchuang.advise.c.words import sorted_out
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import Triple
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.provision.trees import remove_tree
from pytest_xinchuang.toolchain.jail import Sights
from pytest_xinchuang.toolchain.made import named_in
from pytest_xinchuang.toolchain.site import homes, plain_environment

WORKER = Path(__file__).with_name("worker.py")

EACH_S = 120
"""Seconds for one unit on a loaded machine: the slowest of LLVM itself take some 30 s."""
MOST_S = 3600
"""Seconds for one batch where the user gave no bound."""
_SLACK_S = 30
"""Seconds in which the wall is built and taken down."""
BATCH = 100
"""Units that are asked about before their answers are kept, and it is told how far we are."""
MOST_ERRORS = 5000
"""Errors after which clang stops: <immintrin.h> alone brings some 2,600 on another machine, and what follows counts too."""
LARGEST_OUTPUT = 64 << 20
"""Bytes of IR or of an object that are read back."""

WARNED = (
    "-Wimplicit-function-declaration",
    "-Wno-error=implicit-function-declaration",
    "-Wc++11-narrowing",
    "-Wno-error=c++11-narrowing",
    "-Wignored-attributes",
)
"""Two of clang's errors are warnings here, for GCC does not always share them: a function that is not declared (before GCC 14
the linker decides), what is narrowed in braces (GCC refuses constants alone). What clang passes over in attributes
(``target("avx2")``) GCC may refuse."""

CHECK = ("-O0", "-c", *WARNED)
"""Whole compilation without optimisation: what an assembler's statement says, and which features an intrinsic needs, is checked
when code is made, and not by -fsyntax-only."""

OPTIMISED = ("-O2", *CHECK[1:])
"""The same with the optimisation that most builds have."""

OF_THE_BACK_END = (" asm ", "llvm.read_register", "llvm.write_register", "musttail call")
"""Words of IR that may be refused when an object is made of it: assembler's statements, variables in registers, calls that must
not grow the stack (LLVM Language Reference). All else clang refuses before, and making an object takes a third of the time."""

HOST = tuple(Path(name) for name in ("/usr", "/bin", "/lib", "/lib64"))
"""Where Python, and the headers of this host, find what they need."""


@dataclass(frozen=True)
class Question:
    """What clang is asked about one unit for one triple.

    Attributes:
        words: flags behind the unit's own, and behind ``-Wno-everything``: ``-O1 -S -emit-llvm``, ``-Wconstant-conversion``.
            Paths below the work's scratch directory are to be the same for the same content.
        output: whether what it writes is wanted.
        machine: whether flags of one machine (``-mavx2``) are handed on.
        make: whether an object is to be made of the IR that it writes too (``Answer.made``).
    """

    unit: Unit
    triple: Triple
    words: tuple[str, ...] = CHECK
    output: bool = False
    machine: bool = False
    make: bool = False


@dataclass
class Compilers:
    """Clang for all triples.

    Args:
        tree: what the units are of.
        work: where the scratch directory, the wall, the time and what is kept are.
    """

    tree: SourceTree
    work: Work
    targets: Targets = field(init=False)
    _kept: Answers = field(init=False)
    _batches: int = field(default=0, init=False)
    _known: dict[str, Answer] = field(default_factory=dict, init=False)
    _names: dict[tuple[str, str], str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.work.scratch.mkdir(parents=True, exist_ok=True)
        self.targets = Targets(self.work.scratch, self.work.runner)
        # Within one run they are kept in any case: what is asked twice is compiled once.
        self._kept = Answers(self.tree, self.work.kept or self.work.scratch / "answers", self.work.scratch)

    @property
    def by(self) -> Message:
        """Which compiler this is, for people."""
        return _("clang {version}", version=self.targets.version)

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """The answers, in the order of the questions.

        What did not end in time, or broke the compiler, is ``lost``, and is not kept.

        Raises:
            ToolchainFault: zig is missing or broke, or nothing can be run here.
        """
        answers: dict[int, Answer] = {}
        missing: dict[str, list[int]] = {}
        argvs: dict[str, list[str]] = {}
        for index, question in enumerate(questions):
            argv = self._argv(question)
            key = self._key(question, argv)
            if key in missing:
                missing[key].append(index)
            elif (kept := self._known.get(key) or self._kept.load(key, question.unit, question.triple)) is not None:
                answers[index] = kept
                self._remember(key, kept)
            else:
                missing[key] = [index]
                argvs[key] = argv
        keys = list(missing)
        for start in range(0, len(keys), BATCH):
            part = keys[start : start + BATCH]
            self.work.tell("clang", start, len(keys))
            made = self._run([(questions[missing[key][0]], argvs[key]) for key in part])
            for key, answer in zip(part, made, strict=True):
                if not answer.lost:
                    self._kept.store(key, answer)
                    self._remember(key, answer)
                answers |= dict.fromkeys(missing[key], answer)
        return [answers[index] for index in range(len(questions))]

    def _remember(self, key: str, answer: Answer) -> None:
        if not answer.output:
            self._known[key] = answer

    def directory(self, unit: Unit) -> Path:
        """Where the compiler is run for a unit; the root where its own directory is not there."""
        place = self.tree.root / unit.directory
        return place if place.is_dir() else self.tree.root

    def source(self, unit: Unit) -> str:
        """The absolute path of a unit's source."""
        return str(self.tree.root / unit.source)

    def _argv(self, question: Question) -> list[str]:
        """The command, but for the files that it writes."""
        unit = question.unit
        own = sorted_out(unit.words)
        # What GCC only warns of (a function that is not declared, one pointer for another), it compiles.
        words = [*self.targets.clang, *self.targets.words(question.triple, unit.language), *own.meaning]
        words += own.machine if question.machine else ()
        words += [*FORM, f"-ferror-limit={MOST_ERRORS}", "-Wno-everything", *question.words]
        return [*words, "-x", unit.language.value, self.source(unit)]

    def _object(self, argv: Sequence[str], written: str) -> list[str]:
        """The command that makes an object of what another has written."""
        words = [word for word in argv[: argv.index("-x")] if word not in ("-S", "-emit-llvm")]
        return [*words, "-c", "-x", "ir", written, "-o", "/dev/null"]

    def _key(self, question: Question, argv: list[str]) -> str:
        places = (
            (str(self.work.scratch), "{scratch}"),
            (str(self.tree.root), "{tree}"),
            (str(self.targets.lib), "{lib}"),
        )
        words = []
        for word in [*argv[1:], str(self.directory(question.unit))]:
            for place, name in places:
                word = word.replace(place, name)
            words.append(word)
        return self._kept.key([self.targets.identity, words, question.output, question.make])

    def _run(self, asked: Sequence[tuple[Question, list[str]]]) -> list[Answer]:
        """Run the commands behind the wall."""
        over: Message = _("the time was over before it was compiled")
        if self.work.budget.spent:
            return [Answer(q.unit, q.triple, ok=False, lost=over) for q, _argv in asked]
        self._batches += 1
        here = self.work.scratch / f"batch-{self._batches}"
        out, tmp, jail = here / "out", here / "tmp", here / "jail"
        for place in (out, tmp, jail):
            place.mkdir(parents=True)
        tasks = []
        for index, (question, argv) in enumerate(asked):
            result = str(out / f"{index}.out") if question.output else "/dev/null"
            rules = [] if question.unit.language is Language.ASSEMBLER else _told_to_tell(out, index)
            tasks.append(
                {
                    "cwd": str(self.directory(question.unit)),
                    "argv": [*argv, *rules, "-o", result],
                    "said": str(out / f"{index}.said"),
                    "then": self._object(argv, result) if question.make else [],
                    "wrote": result,
                    "where": OF_THE_BACK_END,
                }
            )
        seconds = self.work.budget.within(MOST_S)
        orders = here / "orders.json"
        each = self.work.runner.seconds(EACH_S)
        orders.write_text(
            json.dumps({"jobs": self.work.jobs, "seconds": seconds, "each_s": each, "tasks": tasks}), encoding="utf-8"
        )
        python = os.path.realpath(sys.executable)
        read = [
            *HOST,
            Path(sys.base_prefix),
            Path(python),
            *homes(self.targets.zig, gnu=False),
            WORKER,
            self.tree.root,
        ]
        read += [Path(q.unit.directory) for q, _argv in asked if q.unit.directory.startswith("/")]
        sights = Sights((*dict.fromkeys(read), *self.own_files(here), orders), (out, tmp))
        try:
            run = self.work.jail.run(
                [python, "-I", "-S", str(WORKER), str(orders)],
                sights,
                scratch=jail,
                cwd=tmp,
                env=plain_environment(tmp),
                timeout_s=seconds + _SLACK_S,
            )
            if not run.finished.ok:
                raise ToolchainFault(_("compilers could not be run: {end}", end=run.finished.told()))
            codes = _codes(run.finished.text)
            return [self._answer(q, codes.get(i, (_UNASKED, None)), out, i, over) for i, (q, _argv) in enumerate(asked)]
        finally:
            remove_tree(here)

    def own_files(self, here: Path) -> list[Path]:
        """What was laid into the scratch directory for compilers to read: empty headers, what a build has made."""
        return [place for place in sorted(self.work.scratch.iterdir()) if place.is_dir() and place != here]

    def _answer(
        self, question: Question, codes: tuple[int | None, int | None], out: Path, index: int, over: Message
    ) -> Answer:
        unit, triple = question.unit, question.triple
        code, made = codes
        if code == _UNASKED:
            return Answer(unit, triple, ok=False, lost=over)
        if code is None:
            return Answer(unit, triple, ok=False, lost=_("clang did not end within {seconds} s", seconds=EACH_S))
        if code not in (0, 1):
            return Answer(unit, triple, ok=False, lost=_("clang broke (exit code {code})", code=code))
        text = _text(out / f"{index}.said")
        said = _distinct(
            diagnostics_in(text, self.source(unit), lambda path: self.named(path, unit)), f"{self.targets.lib}/"
        )
        if code == 1 and not any(d.stops for d in said):
            return Answer(unit, triple, ok=False, lost=_("clang refused it without a word"))
        output = b""
        if question.output and code == 0:
            result = out / f"{index}.out"
            if not result.is_file() or result.stat().st_size > LARGEST_OUTPUT:
                return Answer(unit, triple, ok=False, lost=_("what clang wrote is missing or too large"))
            output = result.read_bytes()
        read = [self.named(name, unit) for name in _read(out, index)]
        own = f"{self.targets.lib}/"
        read = [
            unit.source,
            *(name for name in dict.fromkeys(read) if name != unit.source and not name.startswith(own)),
        ]
        return Answer(unit, triple, code == 0, said, output, tuple(read), made == 0)

    def named(self, path: str, unit: Unit) -> str:
        """A file as a name in the tree, or as an absolute path."""
        if path.startswith("<"):  # <inline asm>, <command line>
            return path
        key = (unit.directory, path)
        if key not in self._names:
            whole = os.path.normpath(self.directory(unit) / path)
            self._names[key] = self.tree.relative(whole) or whole
        return self._names[key]


_UNASKED = 1 << 20
"""Stands for the exit code of what was not begun."""


def _distinct(said: Iterable[Diagnostic], lib: str) -> tuple[Diagnostic, ...]:
    """Diagnostics, with one alone of all that one ``#include`` of a header of the compiler or of libc brings."""
    found: list[Diagnostic] = []
    known: set[tuple[Place, ...]] = set()
    for diagnostic in said:
        if diagnostic.place.file.startswith(lib) and diagnostic.stops:
            way = tuple(place for place in diagnostic.included if not place.file.startswith(lib))
            if way in known:
                continue
            known.add(way)
        found.append(diagnostic)
    return tuple(found)


def _told_to_tell(out: Path, index: int) -> list[str]:
    """The flags with which clang writes down which files it reads.

    A rule for make is not written where a header is missing (clang, lib/Frontend/DependencyFile.cpp); the list of headers is.
    """
    listed = ("-header-include-file", str(out / f"{index}.h"), "-sys-header-deps")
    return ["-MD", "-MF", str(out / f"{index}.d"), "-MT", "x", *(w for word in listed for w in ("-Xclang", word))]


def _read(out: Path, index: int) -> list[str]:
    """The files that clang wrote down, as it names them."""
    rules = out / f"{index}.d"
    return named_in(_text(rules)) if rules.is_file() else _text(out / f"{index}.h").splitlines()


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _codes(text: str) -> dict[int, tuple[int | None, int | None]]:
    """The exit codes that the worker told, by the number of the task."""
    found: dict[int, tuple[int | None, int | None]] = {}
    for line in text.splitlines():
        try:
            index, code, then = json.loads(line)
        except (ValueError, TypeError):
            continue
        if isinstance(index, int) and all(c is None or isinstance(c, int) for c in (code, then)):
            found[index] = code, then
    return found
