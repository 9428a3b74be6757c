"""The packages that a tree's lock files pin, against what npm installs on a platform (npm-install-checks 7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pytest_xinchuang.advise.natives import architectures
from pytest_xinchuang.advise.node.locks import FETCHERS, Lock, Package, locks_of
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Architecture
from pytest_xinchuang.inspect.roles import architecture_named
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.inspect.rules.npm import accepts
from pytest_xinchuang.messages import Message, _, joined, verbatim

_SHOWN = 3
"""So many lock files are named."""


def survey_packages(tree: SourceTree, work: Work) -> Surveyed:
    """Judge each package of each lock for each platform."""
    said = Surveyed()
    locks = locks_of(tree)
    if not locks:
        return said
    base = _system(work.baseline.architecture, "glibc")
    for platform in work.platforms:
        judge = Judge(platform)
        why: Counter[Message] = Counter()
        judged = 0
        mine = _system(platform.architecture, platform.system.libc)
        for lock in locks:
            if lock.broken:
                why[_("{file} is no lock file that can be read", file=verbatim(lock.name))] += 1
                continue
            _judge(judge, lock, base, mine)
            if lock.told:
                judged += len(lock.packages)
            elif lock.name.endswith("package.json"):
                why[_("no lock file says which version is installed")] += len(lock.packages)
            else:
                why[_("the lock does not say for which machines packages are")] += len(lock.packages)
        total = judged + sum(+n for n in why.values())
        if total:
            found = joined([verbatim(lock.name) for lock in locks[:_SHOWN]], _(", "))
            said.add([platform.id], Part(_("npm packages"), judged, total, found=found, why=tuple((+why).items())))
        said.findings += judge.findings
    return said


def _system(architecture: Architecture, libc: str) -> dict[str, str]:
    return {"cpu": architecture.names.get("npm", ""), "os": "linux", "libc": libc}


def _fits(package: Package, system: Mapping[str, str]) -> bool:
    return all(accepts(list(words), system[key]) for key, words in package.limits or ())


def _judge(judge: Judge, lock: Lock, base: Mapping[str, str], mine: Mapping[str, str]) -> None:
    known: dict[str, list[Package]] = {}
    for package in lock.packages:
        known.setdefault(package.name, []).append(package)
    told: set[tuple[str, str, str]] = set()
    for package in lock.packages:
        before = len(judge.findings)
        if package.limits and not package.optional and _fits(package, base) and not _fits(package, mine):
            limits = "; ".join(f"{key}: {', '.join(words)}" for key, words in package.limits)
            certainty = Certainty.CERTAIN if lock.refused else Certainty.GUARDED
            _tell(judge, package, certainty, _("it says that it is for {limits}", limits=verbatim(limits)))
        elif package.variants and _fits(package, mine):
            _variants(judge, package, known, base, mine, told=lock.told)
        if len(judge.findings) == before and package.script is not False and package.needs & FETCHERS:
            _tell_script(judge, package, mine, base)
        if len(judge.findings) > before:
            key = (judge.findings[-1].code, package.name, package.version)
            if key in told:
                judge.findings.pop()
            told.add(key)


def _variants(
    judge: Judge,
    package: Package,
    known: Mapping[str, list[Package]],
    base: Mapping[str, str],
    mine: Mapping[str, str],
    *,
    told: bool,
) -> None:
    """A package with one package for each machine, of which there is one for x86-64 and none for the platform."""
    words = architectures()
    if not told:
        named = {
            arch
            for name in package.variants
            if "linux" in name.lower() and (arch := architecture_named(name, words)) is not None
        }
        if "amd64" in named and judge.arch_name not in named:
            _tell(judge, package, Certainty.GUARDED, _("by their names none of its packages is for this machine"))
        return
    limited = [v for name in package.variants for v in known.get(name, ()) if v.limits]
    if not any(_fits(v, base) for v in limited) or any(_fits(v, mine) for v in limited):
        return
    left = [n for n in package.variants if n not in known and architecture_named(n, words) == judge.arch_name]
    if any("linux" in name for name in left):
        what = _("the lock leaves {name} out, which {package} names", name=verbatim(left[0]), package=package.name)
        _tell(judge, package, Certainty.GUARDED, what)
        return
    other = next((v for v in limited if ("cpu", ("wasm32",)) in (v.limits or ()) or "wasm" in v.name), None)
    other = other or next((v for name in package.variants for v in known.get(name, ()) if "wasm" in v.name), None)
    if other is not None:
        what = _("{name}, for every machine, may serve instead", name=verbatim(other.name))
    elif package.script is not False:
        what = _("what is run when it is installed may build it, or fetch another one")
    elif package.optional:
        what = _("it is optional itself, and what asks for it may do without")
    else:
        what = _("none of its packages is for this machine")
    sure = other is None and not package.optional and package.script is False
    _tell(judge, package, Certainty.CERTAIN if sure else Certainty.GUARDED, what)


def _tell(judge: Judge, package: Package, certainty: Certainty, what: Message) -> None:
    judge.find(
        "XC-ADV-090",
        certainty,
        package.place,
        {"variants": list(package.variants)},
        package=package.name,
        version=package.version,
        what=what,
        cpu=judge.platform.architecture.names.get("npm", ""),
    )


def _tell_script(judge: Judge, package: Package, mine: Mapping[str, str], base: Mapping[str, str]) -> None:
    if mine == base:
        return
    tool = sorted(package.needs & FETCHERS)[0]
    place = package.place
    judge.find("XC-ADV-091", Certainty.GUARDED, place, package=package.name, version=package.version, tool=tool)
