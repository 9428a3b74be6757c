"""The packages that a tree's lock files pin, against what pip of a platform takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from pytest_xinchuang.advise.python.index import files_of, of_version
from pytest_xinchuang.advise.python.locks import Lock, Pinned, Reached, locks_of
from pytest_xinchuang.advise.python.wheels import MINORS, Lack, Release, lack, machine_of
from pytest_xinchuang.advise.registries import Registry, asked
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import triple_of
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Confidence, Platform
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim

_SHOWN = 3
"""So many Pythons or files are named."""


def survey_packages(tree: SourceTree, work: Work, registry: Registry) -> Surveyed:
    """Judge each pinned package for each platform."""
    said = Surveyed()
    locks = locks_of(tree)
    known = _from_index(locks, work, registry)
    for platform in work.platforms:
        judge = Judge(platform)
        why: Counter[Message] = Counter()
        judged, seen = 0, set()
        for lock in locks:
            if lock.broken:
                why[_("{file} is no lock file that can be read", file=verbatim(lock.name))] += 1
                continue
            reached = lock.reached(_environments(lock, platform))
            for package in lock.packages:
                how = reached.get((package.name, package.version), Reached.NO)
                key = (package.name, package.version, package.files is None)
                if how is Reached.NO or key in seen:
                    continue
                seen.add(key)
                files = _files(package, known)
                if isinstance(files, Message):
                    why[files] += 1
                    continue
                judged += 1
                _judge(judge, work, lock, package, Release.of(files), how)
        total = judged + sum(why.values())
        if total:
            said.add(
                [platform.id],
                Part(
                    _("Python packages"),
                    judged,
                    total,
                    found=joined([verbatim(lock.name) for lock in locks[:_SHOWN]], _(", ")),
                    why=tuple(why.items()),
                ),
            )
        said.findings += judge.findings
    return said


def _from_index(locks: list[Lock], work: Work, registry: Registry) -> Mapping[str, tuple[str, ...] | Message]:
    names = {p.name for lock in locks for p in lock.packages if p.files is None and p.indexed and p.version}
    if work.offline:
        return {name: _("the index was not asked (--offline)") for name in names}
    return asked(sorted(names), lambda name: files_of(registry, name), work.budget)


def _files(package: Pinned, known: Mapping[str, tuple[str, ...] | Message]) -> tuple[str, ...] | Message:
    """The files of a release, or why they are not known."""
    if not package.indexed:
        return _("it comes from a path, a repository or an address of its own")
    if package.files is not None:
        return package.files or _("the lock names no file of it")
    if not package.version:
        return _("no version of it is pinned")
    files = known.get(package.name, ())
    if isinstance(files, Message):
        return files
    return of_version(files, package.name, package.version) or _("the index has no such version of it")


def _minors(asked_for: str) -> list[int]:
    """The Pythons 3 that a specifier allows."""
    try:
        allowed = SpecifierSet(asked_for)
    except InvalidSpecifier:
        return list(MINORS)
    # Of a feature version some release may be allowed: 3.8 by >=3.8.1.
    return [m for m in MINORS if any(allowed.contains(f"3.{m}.{patch}") for patch in (0, 1, 2, 10, 20))]


def _environments(lock: Lock, platform: Platform) -> list[dict[str, str]]:
    """What markers are asked about: the platform under each Python that the lock is for."""
    return [
        {
            "platform_machine": platform.architecture.uname,
            "platform_system": "Linux",
            "sys_platform": "linux",
            "os_name": "posix",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "python_version": f"3.{minor}",
            "python_full_version": f"3.{minor}.0",
            "implementation_version": f"3.{minor}.0",
            "platform_release": platform.system.kernel.value or "",
            "platform_version": "",
        }
        for minor in _minors(lock.python)
    ]


def _judge(judge: Judge, work: Work, lock: Lock, package: Pinned, release: Release, how: Reached) -> None:
    platform = judge.platform
    target, minors = triple_of(platform), _minors(lock.python)
    python = platform.system.software.python.value
    number = version_key(python) if python else ()
    own = number[1] if len(number) > 1 and number[0] == 3 and number[1] in minors else None
    found = lack(release, target, work.baseline, minors, own)
    if found is None:
        return
    limit = platform.system.libc_version
    # That wheels of the architecture are too new for the system's C library is no surer than what is known of that.
    libc_known = not found.near or (limit.value is not None and limit.confidence is not Confidence.INFERRED)
    sure = found.none and not found.sdist and how is Reached.YES and libc_known and lock.sure_index
    judge.find(
        "XC-ADV-080",
        Certainty.CERTAIN if sure else Certainty.GUARDED,
        package.place,
        {"files": [name for name, _tags in release.wheels][:50], "sdist": release.sdist},
        package=package.name,
        version=package.version,
        wanted=_wanted(platform),
        rest=_rest(found, how),
    )


def _wanted(platform: Platform) -> Message:
    triple = triple_of(platform)
    machine = machine_of(triple)
    if triple.libc_version:
        return _("{machine} with {libc} {version}", machine=machine, libc=triple.libc, version=triple.libc_version)
    return _("{machine} with {libc}", machine=machine, libc=triple.libc)


def _rest(found: Lack, how: Reached) -> Message:
    """What becomes of it then."""
    pythons = NOTHING
    if not found.none:
        shown = ", ".join(f"3.{minor}" for minor in found.pythons[:_SHOWN])
        pythons = _("for Python {pythons}", pythons=verbatim(shown + (", ..." if len(found.pythons) > _SHOWN else "")))
    near = (
        _("{file} asks for a newer C library or another Python", file=verbatim(found.near[0]))
        if found.near
        else NOTHING
    )
    built = (
        _("it is built from its source there") if found.sdist else _("there is no source distribution to build it from")
    )
    maybe = _("it may be left out there") if how is Reached.MAYBE else NOTHING
    return joined([part for part in (pythons, near, built, maybe) if part])
