"""The survey of builds: CMake, meson, configure scripts and make are run as each platform would run them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from pytest_xinchuang.advise.builds.canonical import survey_canonical
from pytest_xinchuang.advise.builds.gcc_options import CLANG, refused_by_gcc
from pytest_xinchuang.advise.builds.judge import Judged, Words, compare
from pytest_xinchuang.advise.builds.kinds import Build, Outcome, builds_of
from pytest_xinchuang.advise.builds.record import all_outcomes
from pytest_xinchuang.advise.builds.stops import LOADERS_OF_X86, Kind, Ran, Stop, loaders, page_sizes
from pytest_xinchuang.advise.c.hazards import PAGE_SIZE
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import Triple, triple_of
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.tools.process import Runner

BUILD_FILES = (
    "CMakeLists.txt",
    "*.cmake",
    "Makefile*",
    "makefile",
    "GNUmakefile",
    "*.mk",
    "meson.build",
    "configure",
    "configure.ac",
    "*.am",
)
"""Where an option may stand that a generated makefile hands to a compiler."""


OTHER_LANGUAGES = (
    "go.mod", "Cargo.toml", "package.json", "pom.xml", "build.gradle", "build.gradle.kts", "pyproject.toml", "setup.py",
)  # fmt: skip
"""What describes a product that is built by tools of its own."""

_WORD = re.compile(r"[^\s()\"';,\[\]]+")
"""A word of a build file, without what quotes or separates it."""


class BuildsSurvey:
    """Runs the tree's own builds."""

    name = "builds"

    def applies(self, tree: SourceTree) -> bool:
        return bool(builds_of(tree))

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        surveyed = Surveyed()
        builds = builds_of(tree)
        if not work.build:
            for build in builds:
                part = Part(
                    build.name, 0, 1, why=((_("builds are not run ({option})", option=verbatim("--no-build")), 1),)
                )
                surveyed.add((p.id for p in work.platforms), part)
            return surveyed
        done = all_outcomes(tree, work)
        words = Words(work.architectures.values())
        for platform in work.platforms:
            for part, findings in _of_platform(tree, work.baseline, platform, builds, done, words, work.runner):
                surveyed.add((platform.id,), part)
                surveyed.findings += findings
        survey_canonical(tree, work, builds, surveyed)
        return surveyed


def _of_platform(
    tree: SourceTree,
    baseline: Triple,
    platform: Platform,
    builds: Iterable[Build],
    done: Mapping[Triple, tuple[Outcome, ...] | Message],
    words: Words,
    runner: Runner,
) -> Iterator[tuple[Part, list[Finding]]]:
    base, other = done[baseline], done[triple_of(platform)]
    for index, build in enumerate(builds):
        lost = other if not isinstance(other, tuple) else base if not isinstance(base, tuple) else None
        if lost is not None or not isinstance(base, tuple) or not isinstance(other, tuple):
            judged = Judged(why=lost if isinstance(lost, str) else _("it does not come to its end"))
        else:
            judged = compare(base[index].ran, other[index].ran, words)
            if not judged.stops and not judged.why and not base[index].units and not other[index].units:
                if any(name in tree for name in OTHER_LANGUAGES):
                    continue  # it calls those languages' own tools, which others judge
                judged = Judged(why=_("it hands no source to a compiler"))
        findings = list(_findings(tree, platform, build, judged))
        if isinstance(other, tuple):
            findings += _passed_over(tree, platform, build, other[index].ran, runner)
            findings += _short_pages(tree, platform, build, other[index].ran)
            findings += _other_loaders(tree, platform, build, other[index].ran)
        sure = not judged.why and all(certainty is Certainty.CERTAIN for _stop, certainty in judged.stops)
        part = Part(
            build.name,
            judged=int(sure),
            total=1,
            by=verbatim(build.kind),
            found=_ran_for(platform, other[index] if isinstance(other, tuple) else None),
            why=((judged.why, 1),)
            if judged.why
            else ()
            if sure
            else ((_("it stops, and not for certain because of the machine"), 1),),
        )
        yield part, findings


def _ran_for(platform: Platform, outcome: Outcome | None) -> Message:
    machine = platform.architecture.uname
    options = [*outcome.build.settings, *(f"{name}=OFF" for name in outcome.ran.without)] if outcome is not None else []
    if not options:
        return _("run for {machine}", machine=machine)
    return _("run for {machine}, with {options}", machine=machine, options=verbatim(", ".join(options)))


def _findings(tree: SourceTree, platform: Platform, build: Build, judged: Judged) -> Iterator[Finding]:
    machine = platform.architecture.uname
    told: Counter[tuple[str, str, int]] = Counter()
    for stop, certainty in judged.stops:
        if stop.kind is Kind.REFUSED:
            for word in stop.refused:
                place = _place_of(tree, stop, build, word)
                if not told[(word, place, 0)]:
                    params = {"option": word, "machine": machine, "file": build.file}
                    yield Finding(
                        "XC-ADV-041",
                        certainty,
                        place,
                        platform.id,
                        params,
                        {"target": stop.target, "build": build.file},
                    )
                told[(word, place, 0)] += 1
            continue
        if told[(stop.kind.value, stop.file, stop.line)] and stop.line:
            continue
        told[(stop.kind.value, stop.file, stop.line)] += 1
        params = {"machine": machine, "said": stop.said, "file": build.file, "target": stop.target}
        evidence = {"target": stop.target, "build": build.file, "said": stop.said}
        code = "XC-ADV-040" if stop.kind is Kind.SAID else "XC-ADV-043"
        yield Finding(code, certainty, _own(tree, stop, build), platform.id, params, evidence)


def _passed_over(tree: SourceTree, platform: Platform, build: Build, ran: Ran, runner: Runner) -> Iterator[Finding]:
    """The options that clang passes over for the platform, and that its GCC has not."""
    by_word: dict[str, set[str]] = {}
    for call in ran.calls:
        if call.get("t") == "cc" and call.get("k") == "kept":
            for word in call.get("r") or ():
                by_word.setdefault(str(word), set()).add(str(call.get("n", "cc")))
    for word, names in sorted(by_word.items()):
        refused = refused_by_gcc(word, triple_of(platform), runner)
        if refused is False:
            continue
        # A build that asks for clang by its name gets clang.
        sure = refused and not all(CLANG.search(name) for name in names)
        certainty = Certainty.CERTAIN if sure else Certainty.GUARDED
        params = {"option": word, "machine": platform.architecture.uname, "file": build.file}
        place = _place_of(tree, Stop(Kind.REFUSED, build.file, 0, word), build, word)
        yield Finding("XC-ADV-044", certainty, place, platform.id, params, {"build": build.file})


def _short_pages(tree: SourceTree, platform: Platform, build: Build, ran: Ran) -> Iterator[Finding]:
    """What is linked for pages that are shorter than the platform's: its kernel loads no such program."""
    size = platform.page_size.value if platform.page_size is not None else None
    words = {word: told for call in ran.calls for word, told in page_sizes(call).items() if size and told < size}
    for word in sorted(words):
        place = _place_of(tree, Stop(Kind.COMMAND, build.file, 0, word), build, word)
        params = {"name": "ld", "what": word, "pages": str(size)}
        yield Finding(PAGE_SIZE, Certainty.GUARDED, place, platform.id, params, {"build": build.file})


def _other_loaders(tree: SourceTree, platform: Platform, build: Build, ran: Ran) -> Iterator[Finding]:
    """What is linked for a loader of x86: the linker takes it, and the platform has no such loader, so that nothing starts."""
    machine = platform.architecture.uname
    named = {word: path for call in ran.calls if not call.get("c") for word, path in loaders(call).items()}
    for word, path in sorted(named.items()):
        if path.rpartition("/")[2] in LOADERS_OF_X86 and platform.architecture.elf_machine != "EM_X86_64":
            place = _place_of(tree, Stop(Kind.COMMAND, build.file, 0, word), build, word)
            params = {"loader": path, "machine": machine}
            yield Finding("XC-ADV-053", Certainty.CERTAIN, place, platform.id, params, {"build": build.file})


def _own(tree: SourceTree, stop: Stop, build: Build) -> str:
    """The place of a stop, where it is a file of the tree; else what describes the build."""
    return stop.place if stop.file in tree else build.file


def _place_of(tree: SourceTree, stop: Stop, build: Build, word: str) -> str:
    """Where an option is written: the recipe's file where it names it, else the first build file that does."""
    first = [stop.file] if stop.file in tree else []
    for name in [*first, *tree.named(*BUILD_FILES)]:
        for number, line in enumerate((tree.text(name) or "").splitlines(), 1):
            text = line.partition("#")[0]
            if word in _WORD.findall(text) or word in text.split():
                return f"{name}:{number}"
    return stop.place if stop.file in tree else build.file
