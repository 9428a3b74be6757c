"""The survey of .NET."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_xinchuang.advise.dotnet.projects import TARGETS, Project, locked_rids, projects_of, rid_arch, rids_of
from pytest_xinchuang.advise.natives import Native, natives_of
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import Message, _, verbatim

_RUNTIMES = re.compile(r"(?:^|/|!)runtimes/([\w.\-]+)/native/([^!]+)$")
"""Where a package has native files for a runtime identifier (NuGet: runtimes/RID/native)."""
_BUILDS = "*.sln"


@dataclass(frozen=True)
class DotnetSurvey:
    """Projects, what they lock, and natives."""

    name: str = "dotnet"

    def applies(self, tree: SourceTree) -> bool:
        return bool(tree.named("*.csproj", "*.fsproj", "*.vbproj", _BUILDS))

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        said = Surveyed()
        projects = projects_of(tree)
        locks = tree.named("packages.lock.json")
        for platform in work.platforms:
            judge = Judge(platform)
            why: Counter[Message] = Counter()
            judged = 0
            mine = rids_of(platform.architecture, platform.system.libc)
            base = rids_of(work.baseline.architecture, work.baseline.libc)
            for project in projects:
                if project.broken:
                    why[_("it cannot be read")] += 1
                else:
                    judged += 1
                    _project(judge, project, mine, base)
            for name in locks:
                try:
                    graphs = locked_rids(tree.text(name) or "")
                except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
                    why[_("{file} is no lock file that can be read", file=verbatim(name))] += 1
                else:
                    judged += 1
                    _lock(judge, name, graphs, mine, base)
            _natives(judge, tree, mine, base)
            total = judged + sum(why.values())
            if total:
                said.add([platform.id], Part(_(".NET projects"), judged, total, why=tuple(why.items())))
            _unread(said, platform.id, tree, projects)
            said.findings += judge.findings
        return said


def _unread(said: Surveyed, platform: str, tree: SourceTree, projects: Sequence[Project]) -> None:
    """What nothing here judges is said to be there: packages of NuGet, and sources."""
    packages = {package for project in projects for package in project.packages}
    if packages:
        why = _("which native files are in it is known when it is restored: xc inspect judges what was published")
        said.add([platform], Part(_("NuGet packages"), 0, len(packages), why=((why, len(packages)),)))
    sources = len(tree.named("*.cs", "*.fs", "*.vb"))
    if sources:
        why = _("it is not read for what asks for the machine or loads native files")
        said.add([platform], Part(_("C#, F# and Visual Basic"), 0, sources, why=((why, sources),)))


def _project(judge: Judge, project: Project, mine: tuple[str, ...], base: tuple[str, ...]) -> None:
    if mine == base:
        return
    for key in ("RuntimeIdentifier", "RuntimeIdentifiers"):
        named = [s for s in project.said if s.key == key and "$(" not in s.value]
        plain = [s for s in named if not s.conditional]
        if plain and any(s.value in base for s in plain) and not any(s.value in mine for s in named):
            # On the command line (-r) another one may be asked for, where several are a list of what is restored.
            told = ", ".join(dict.fromkeys(s.value for s in plain))
            what = _("{key} is {value}, and not {wanted}", key=verbatim(key), value=verbatim(told), wanted=_own(mine))
            judge.find("XC-ADV-100", Certainty.GUARDED, plain[0].place, what=what, rid=_own(mine))
    targets = [s for s in project.said if s.key == "PlatformTarget" and s.value.lower() in TARGETS]
    arch = rid_arch(judge.platform.architecture)
    plain = [s for s in targets if not s.conditional]
    if plain and not any(s.value.lower() == arch for s in targets):
        what = _("{key} is {value}, and not {wanted}", key=verbatim("PlatformTarget"), value=verbatim(plain[0].value),
            wanted=verbatim("AnyCPU"))  # fmt: skip
        judge.find("XC-ADV-100", Certainty.GUARDED, plain[0].place, what=what, rid=_own(mine))


def _own(mine: tuple[str, ...]) -> Message:
    return verbatim(next(rid for rid in mine if rid.count("-")))


def _lock(judge: Judge, name: str, graphs: dict[str, set[str]], mine: tuple[str, ...], base: tuple[str, ...]) -> None:
    """A lock that has a graph for x86-64 and none for the platform: restoring in locked mode fails there (NU1004)."""
    for framework, rids in graphs.items():
        if rids.intersection(base) and not rids.intersection(mine):
            what = _(
                "for {framework} it has {rids}", framework=verbatim(framework), rids=verbatim(", ".join(sorted(rids)))
            )
            judge.find("XC-ADV-100", Certainty.GUARDED, name, what=what, rid=_own(mine))
            return


def _natives(judge: Judge, tree: SourceTree, mine: tuple[str, ...], base: tuple[str, ...]) -> None:
    """Native files below runtimes/RID/native: for one that x86-64 takes there has to be one that the platform takes."""
    if mine == base:
        return
    groups: dict[tuple[str, str], dict[str, Native]] = {}
    for native in natives_of(tree).all:
        match = _RUNTIMES.search(native.path)
        if match is not None:
            groups.setdefault((native.path[: match.start()], match[2]), {})[match[1]] = native
    for have in groups.values():
        ours = next((have[rid] for rid in base if rid in have), None)
        if ours is None:
            continue
        theirs = next((have[rid] for rid in mine if rid in have), None)
        if theirs is not None and theirs.machine == judge.platform.architecture.elf_machine:
            continue
        machine = judge.platform.architecture.uname
        files: dict[str, object] = {"files": [native.path for native in have.values()][:50]}
        judge.find("XC-ADV-083", Certainty.GUARDED, ours.path, files, file=ours.path, machine=machine)
