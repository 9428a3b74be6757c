"""The survey of Fortran: each source is compiled by the GNU compilers for x86-64 and for the platform, where both are here.

Source: the GNU Fortran compiler's manual (suffixes, ``-fsyntax-only``, ``-J``).
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import triple_of
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.toolchain.jail import Sights
from pytest_xinchuang.toolchain.site import homes, plain_environment

SUFFIXES = tuple(
    f"*.{s}" for s in ("f", "for", "f77", "f90", "f95", "f03", "f08", "F", "FOR", "F90", "F95", "F03", "F08")
)
UNIT_S = 60.0
"""Seconds for one source."""


@dataclass(frozen=True)
class FortranSurvey:
    """Sources of Fortran."""

    name: str = "fortran"

    def applies(self, tree: SourceTree) -> bool:
        return bool(tree.named(*SUFFIXES))

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        said = Surveyed()
        sources = tree.named(*SUFFIXES)
        ours = compiler_of(work.baseline.gnu)
        known: dict[str, dict[str, bool | Message]] = {}
        for platform in work.platforms:
            judge, why = Judge(platform), Counter[Message]()
            triple = triple_of(platform).gnu
            theirs = compiler_of(triple)
            missing = next((t for t, c in ((work.baseline.gnu, ours), (triple, theirs)) if c is None), None)
            if missing is not None or ours is None or theirs is None:
                why[_("there is no Fortran compiler for {triple}", triple=verbatim(missing or triple))] = len(sources)
            else:
                for gnu, program in ((work.baseline.gnu, ours), (triple, theirs)):
                    if gnu not in known:
                        known[gnu] = {name: _compiles(tree, work, program, gnu, name) for name in sources}
                for name in sources:
                    before, now = known[work.baseline.gnu][name], known[triple][name]
                    if isinstance(before, Message) or isinstance(now, Message):
                        why[before if isinstance(before, Message) else _message(now)] += 1
                    elif not before:
                        why[_("it does not compile for x86-64 either")] += 1
                    elif not now:
                        judge.find("XC-ADV-110", Certainty.CERTAIN, name, triple=triple)
            judged = len(sources) - sum(why.values())
            part = Part(verbatim("Fortran"), judged, len(sources), by=verbatim("gfortran"), why=tuple(why.items()))
            said.add([platform.id], part)
            said.findings += judge.findings
        return said


def _message(value: bool | Message) -> Message:
    assert isinstance(value, Message)
    return value


def compiler_of(triple: str) -> str | None:
    """The GNU Fortran compiler for a triple, when it is installed."""
    return shutil.which(f"{triple}-gfortran")


def _compiles(tree: SourceTree, work: Work, program: str, triple: str, name: str) -> bool | Message:
    """Whether a source compiles by itself; a message where that is not known."""
    if work.budget.spent:
        return _("there was no time left")
    here = work.scratch / f"fortran-{triple}"
    out = here / "out"
    out.mkdir(parents=True, exist_ok=True)
    words = [
        program,
        "-fsyntax-only",
        "-cpp",
        f"-J{out}",
        f"-I{out}",
        f"-I{(tree.root / name).parent}",
        str(tree.root / name),
    ]
    try:
        run = work.jail.run(
            words,
            Sights((*homes(program, gnu=True), Path("/etc/alternatives"), tree.root), (out,)),
            scratch=here,
            cwd=out,
            env=plain_environment(out),
            timeout_s=work.budget.within(UNIT_S),
        )
    except XcError as fault:
        return fault.what
    return run.finished.ok
