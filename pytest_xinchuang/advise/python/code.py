"""Code of Python that asks for the machine or loads native libraries, as it would go on each platform."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.advise.aside import is_aside
from pytest_xinchuang.advise.natives import natives_of, tell_load
from pytest_xinchuang.advise.python.source import Source, read_source
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.toolchain.jail import Sights

EVALUATE = Path(__file__).with_name("evaluate.py")
FILE_S = 3.0
"""Seconds for one file: what asks for the machine reads no more than a few files."""
ALL_S = 60.0
"""Seconds for all of one machine."""
MOST_FILES = 400
"""Files that are run; the largest trees have some dozen that ask for the machine."""


@dataclass(frozen=True)
class Run:
    """How something of a file ended for one machine.

    Attributes:
        function: its name; "": a statement at the top of the file.
        lines: those of the file that were run.
        error: the exception's type; "": it came to its end.
        at: the line that raised.
        explicit: that line says ``raise``, exits, or looks a machine up in a table.
        value: what a function returned.
    """

    function: str
    line: int
    lines: frozenset[int]
    error: str
    at: int
    explicit: bool
    value: str


Runs = Mapping[str, Mapping[tuple[str, int], Run]]
"""File -> (what, line) -> how it ended."""


def survey_code(tree: SourceTree, work: Work) -> Surveyed:
    """Read all files of Python, run what asks for the machine, and compare each platform with x86-64."""
    said = Surveyed()
    names = [n for n in tree.named("*.py", "*.pyw") if not n.endswith(".in")]
    sources: list[Source] = []
    for name in names:
        if work.budget.spent:
            break
        text = tree.text(name)
        sources.append(read_source(name, text) if text is not None else Source(name, broken=True))
    given = {s.module: s.gives for s in sources if s.gives}
    sources = [
        read_source(s.name, tree.text(s.name) or "", given) if not given.keys().isdisjoint(s.imports) else s
        for s in sources
    ]
    asking = [s.name for s in sources if s.asks and not s.broken][:MOST_FILES]
    machines = dict.fromkeys([work.baseline.architecture.uname, *(p.architecture.uname for p in work.platforms)])
    runs: dict[str, Runs] = {m: {} for m in machines}
    lost: Message | None = None
    if asking and work.build:
        try:
            for machine in machines:
                runs[machine] = evaluated(tree, asking, machine, work)
        except XcError as fault:
            lost = fault.what
    broken = [s for s in sources if s.broken]
    why: Counter[Message] = Counter()
    if broken:
        why[_("Python cannot read it")] = len(broken)
    if len(sources) < len(names):
        why[_("there was no time left")] = len(names) - len(sources)
    unsure = _unsure(sources, runs[work.baseline.architecture.uname])
    if unsure:
        why[_("it refuses by the machine's name, and compares it with what is not known before it is run")] = unsure
    for platform in work.platforms:
        judge = Judge(platform)
        _decisions(judge, sources, runs[work.baseline.architecture.uname], runs[platform.architecture.uname])
        _loads(judge, tree, sources)
        by = _("Python {version}", version=verbatim(sysconfig.get_python_version()))
        part = Part(_("Python"), len(sources) - len(broken) - unsure, len(names), by=by, why=tuple(why.items()))
        if lost is not None:
            left = max(0, part.judged - sum(s.asks and not s.broken for s in sources))
            part = Part(part.name, left, part.total, by, why=(*part.why, (lost, part.judged - left)))
        said.add([platform.id], part)
        said.findings += judge.findings
    return said


def _unsure(sources: list[Source], base: Runs) -> int:
    """How many files refuse by the machine in a way that can neither be read nor was run on x86-64."""
    number = 0
    for source in sources:
        ran = {line for run in base.get(source.name, {}).values() if not run.error for line in run.lines}
        left = [one for one in source.unsure if ran.isdisjoint(range(one[0], one[1] + 1))]
        number += bool(left) and not is_aside(source.name)
    return number


def evaluated(tree: SourceTree, files: Iterable[str], machine: str, work: Work) -> Runs:
    """How what asks for the machine ends on one machine, by file; a file that did not come to an end is not there.

    Raises:
        XcError: nothing could be run.
    """
    here = work.scratch / f"python-{machine}"
    out = here / "out"
    out.mkdir(parents=True, exist_ok=True)
    orders, results = here / "orders.json", out / "results"
    order = {"root": str(tree.root), "files": list(files), "machine": machine, "seconds": FILE_S}
    orders.write_text(json.dumps(order), encoding="utf-8")
    results.unlink(missing_ok=True)
    homes = [Path(sys.base_prefix), *map(Path, ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache"))]
    program = os.path.realpath(sys.executable)
    work.jail.run(
        [program, "-I", "-S", str(EVALUATE), str(orders), str(results)],
        Sights((*homes, Path(program), EVALUATE, orders, tree.root), (out,)),
        scratch=here,
        cwd=tree.root,
        env={"PATH": "/usr/bin:/bin", "HOME": str(out), "TMPDIR": str(out), "LC_ALL": "C.UTF-8"},
        timeout_s=work.budget.within(ALL_S),
    )
    found: dict[str, dict[tuple[str, int], Run]] = {}
    try:
        lines = results.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            said = json.loads(line)
            found[said["file"]] = {(r["what"], r["line"]): _run(r) for r in said["ran"]}
        except (ValueError, KeyError, TypeError):
            continue  # what the tree's own code has written there
    return found


def _run(said: Mapping[str, Any]) -> Run:
    return Run(
        str(said["what"]),
        int(said["line"]),
        frozenset(map(int, said["lines"])),
        str(said["error"] or ""),
        int(said["at"]),
        bool(said["explicit"]),
        str(said["value"]),
    )


def _decisions(judge: Judge, sources: list[Source], base: Runs, there: Runs) -> None:
    uname, aliases = judge.platform.architecture.uname, frozenset(judge.platform.architecture.aliases)
    if base is there:
        return
    for source in sources:
        settled: set[int] = set()
        ours = base.get(source.name, {})
        for key, run in there.get(source.name, {}).items():
            before = ours.get(key)
            if before is None or before.error:
                continue  # it does not run on x86-64 by itself either: nothing is known by this
            settled |= run.lines
            if run.error:
                _raised(judge, source, run, sources)
            elif run.function and before.value != "None" and run.value == "None":
                what = _("{function} returns nothing", function=verbatim(f"{run.function}()"))
                _find(judge, source, run.line, Certainty.GUARDED, what)
        for decision in source.decisions:
            if decision.knows(uname, aliases) or not settled.isdisjoint(range(decision.line, decision.end + 1)):
                continue
            what = (
                _("a table is looked up by the machine's name and has no entry for it")
                if decision.kind == "table"
                else _("what it does not name is refused")
            )
            _find(judge, source, decision.line, Certainty.GUARDED, what)


def _raised(judge: Judge, source: Source, run: Run, sources: list[Source]) -> None:
    """Something that raises on the platform alone. It stops the product where nobody catches it, and somebody comes there."""
    if run.function:
        ways = [s.calls[run.function] for s in sources if run.function in s.calls]
    else:
        ways = [s.imports[source.module] for s in sources if source.module in s.imports]
    # Whom nobody of the tree comes to, others do; where every way there is guarded, it may be meant so.
    sure = run.explicit and not (ways and all(ways))
    what = (
        _("{function} raises {error}", function=verbatim(f"{run.function}()"), error=verbatim(run.error))
        if run.function
        else _("the module raises {error} when it is loaded", error=verbatim(run.error))
    )
    _find(judge, source, run.at, Certainty.CERTAIN if sure else Certainty.GUARDED, what)


def _find(
    judge: Judge,
    source: Source,
    line: int,
    certainty: Certainty,
    what: Message,
) -> None:
    if is_aside(source.name):
        certainty = Certainty.NOTE
    place = f"{source.name}:{line}"
    if any(f.object == place and f.code == "XC-ADV-081" for f in judge.findings):
        return
    judge.find("XC-ADV-081", certainty, place, what=what, machine=judge.platform.architecture.uname)


def _loads(judge: Judge, tree: SourceTree, sources: list[Source]) -> None:
    if not any(s.loads for s in sources):
        return
    shipped = natives_of(tree)
    for source in sources:
        for load in source.loads:
            guarded = load.guarded or is_aside(source.name)
            place = f"{source.name}:{load.line}"
            tell_load(judge, tree, shipped.named(load.library), place, load.library, guarded=guarded)
