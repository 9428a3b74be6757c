"""Whether lines of flags fit a platform: what the compilers say of them, against the facts of the platform."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Arch, Confidence, Platform
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.messages import NOTHING, Message, _, joined, n_, verbatim
from pytest_xinchuang.toolchain.flags.ask import Asker
from pytest_xinchuang.toolchain.flags.c import CLine, target_of
from pytest_xinchuang.toolchain.flags.features import LEVELS
from pytest_xinchuang.toolchain.flags.found import Found
from pytest_xinchuang.toolchain.flags.go import judge_go
from pytest_xinchuang.toolchain.flags.linking import Linking, is_emulation_of, read_linking
from pytest_xinchuang.toolchain.flags.manual import by_hand
from pytest_xinchuang.toolchain.flags.rust import judge_rust
from pytest_xinchuang.toolchain.flags.sources import Line
from pytest_xinchuang.toolchain.flags.words import Parts, take_apart

RELR_SINCE = (2, 36)
"""The glibc whose loader knows DT_RELR (its NEWS)."""

_BASELINES: dict[Arch, tuple[tuple[str, ...], ...]] = {
    Arch.AMD64: (("-march=x86-64-v4",), ("-march=x86-64-v3",), ("-march=x86-64-v2",), ("-march=x86-64",)),
    Arch.ARM64: (
        ("-mcpu=tsv110",),
        ("-march=armv8.2-a",),
        ("-march=armv8.1-a",),
        ("-march=armv8-a", "-moutline-atomics"),
    ),
    Arch.LOONG64: (("-march=la64v1.1",), ("-march=la464",), ("-march=la64v1.0",), ("-march=loongarch64",)),
}
"""Flags to advise, the most first: the first that a CPU runs is its baseline."""


def check_flags(
    flags: Sequence[str], libc: str, platform: Platform | None = None, asker: Asker | None = None
) -> list[Finding]:
    """The flags that do not fit ``libc`` and, where one is given, ``platform``; and those that nothing can be said of.

    Args:
        libc: one of ``LIBCS``.
        flags: the words of one line; a compiler's name, and variables like ``CFLAGS=...``, may stand before them.
    """
    return check_lines([Line(tuple(flags))], libc, platform, asker)


def check_lines(
    lines: Iterable[Line], libc: str, platform: Platform | None = None, asker: Asker | None = None
) -> list[Finding]:
    """The same of several lines; the findings of such as come from files name these."""
    asker = asker or Asker()
    found: dict[Finding_, list[tuple[Finding, Line]]] = {}
    judged: dict[tuple[str, ...], list[Finding]] = {}
    for line in lines:
        if line.words not in judged:
            judged[line.words] = _check(line.words, libc, platform, asker)
        for finding in judged[line.words]:
            found.setdefault(
                (finding.code, finding.certainty, finding.object, str(finding.params["reason"])), []
            ).append((finding, line))
        if line.unread:
            finding = _unread(line, libc, platform)
            found.setdefault((finding.code, finding.certainty, finding.object, str(line.unread)), []).append(
                (finding, line)
            )
    return [_placed(cases) for cases in found.values()]


Finding_ = tuple[str, Certainty, str, str]
"""What makes findings of several lines one."""


def _unread(line: Line, libc: str, platform: Platform | None) -> Finding:
    found = Found(platform, libc)
    found.add("XC-FLAG-007", line.certainty, line.place, line.unread, line.mend)
    return found.findings[0]


def _placed(cases: Sequence[tuple[Finding, Line]]) -> Finding:
    """A finding of one or more lines, with the place of the first."""
    finding, line = cases[0]
    if not line.place or finding.object == line.place:
        return finding
    places = list(dict.fromkeys(one.place for _finding, one in cases))
    more = len(places) - 1
    place: Message = verbatim(places[0])
    if more:
        place = n_("{place} and {n} more", "{place} and {n} more", more, place=place)
    shown = _("{flag} ({place})", flag=verbatim(finding.params["flag"]), place=place)
    evidence = {**finding.evidence, "places": places[:20], "count": len(places)}
    return replace(finding, params={**finding.params, "flag": shown}, evidence=evidence)


def _check(words: Sequence[str], libc: str, platform: Platform | None, asker: Asker) -> list[Finding]:
    parts = take_apart(words)
    found = Found(platform, libc, functools.partial(_baseline, platform, asker) if platform else lambda: NOTHING)
    found.findings += by_hand(parts.given, libc, platform, parts.compiler)
    try:
        _judge(parts, found, asker)
    except HostFault as fault:
        found.open(" ".join(words), verbatim(fault.what), verbatim(fault.mend))
    return found.findings


def _judge(parts: Parts, found: Found, asker: Asker) -> None:
    platform = found.platform
    for flag, why in parts.unknown:
        found.open(flag, why)
    linking = read_linking(parts.linker)
    for flag, why in linking.unknown:
        found.open(flag, why)
    if platform is None:
        _without_platform(parts, linking, found)
        return
    for line in judge_rust(parts, platform, found, asker) if parts.rust else []:
        _judge(line, found, asker)
    if parts.settings:
        judge_go(parts.settings, platform, found, asker)
    if parts.compiler != "rustc" or parts.asked:
        CLine(parts, platform, found, asker).judge()
    _linked(linking, platform, found, asker)


def _without_platform(parts: Parts, linking: Linking, found: Found) -> None:
    """What a libc alone cannot decide."""
    name = _("name a platform: xc platforms list")
    machine = [*(w for w in parts.asked if w[0].startswith(("-m", "-X"))), *((f,) for f in parts.rust)]
    for word in machine:
        found.open(" ".join(word), _("a libc has no CPU"), name)
    for variable, value in parts.settings.items():
        found.open(f"{variable}={value}", _("a libc has no CPU"), name)
    if linking.page:
        found.open(linking.page[1], _("a libc has no page size"), name)
    if linking.relr and found.libc == "glibc":
        _relr(linking, found, None)


# -- the linker


def _linked(linking: Linking, platform: Platform, found: Found, asker: Asker) -> None:
    if linking.page:
        _page(*linking.page, platform, found)
    if linking.relr:
        if platform.system.libc == "glibc":
            _relr(linking, found, platform.system.libc_version.value)
        else:
            found.open(linking.relr, _("it is not known whether the loader knows these relocations"))
    if linking.level:
        level, flag = linking.level
        wants = LEVELS.get(level, frozenset())
        found.uses(flag, wants, wants)
    if linking.loader:
        _loader(*linking.loader, platform, found)
    if linking.emulation and not is_emulation_of(linking.emulation[0], platform.arch):
        found.foreign(
            linking.emulation[1], _("it makes files of another architecture or kind: {name}", name=linking.emulation[0])
        )
    for text, flag in linking.cpus:
        _generated(text, flag, platform, found, asker)


def _page(size: int, flag: str, platform: Platform, found: Found) -> None:
    """The alignment of segments has to be a multiple of the kernel's page (glibc, elf/dl-load.c; Linux, fs/binfmt_elf.c)."""
    fact, most = platform.page_size, platform.architecture.max_page_size
    mend = verbatim(f"-Wl,-z,max-page-size={most}")
    if size == 0:
        found.add("XC-FLAG-005", Certainty.CERTAIN, flag, _("it is no size that a page can have"), mend)
    elif size >= most:
        return
    elif fact is None or fact.value is None:
        found.add(
            "XC-FLAG-005",
            Certainty.UNDECIDED,
            flag,
            _("the platform's page size is not known, it may be {n}", n=most),
            mend,
            lacks_fact=True,
        )
    elif size < fact.value:
        inferred = fact.confidence is Confidence.INFERRED
        reason = _(
            "segments are aligned to {size} bytes, and the kernel's pages have {page}", size=size, page=fact.value
        )
        if inferred:
            reason = joined([reason, _("the page size is inferred")])
        found.add("XC-FLAG-005", Certainty.GUARDED if inferred else Certainty.CERTAIN, flag, reason, mend)
    elif fact.confidence is Confidence.INFERRED:
        found.add("XC-FLAG-005", Certainty.UNDECIDED, flag, _("the page size is inferred"), mend, lacks_fact=True)


def _relr(linking: Linking, found: Found, version: str | None) -> None:
    if version is not None and version_key(version) >= RELR_SINCE:
        return
    certainty = Certainty.GUARDED if version is None else Certainty.CERTAIN
    reason = _("the loader knows these relocations since glibc 2.36")
    found.add("XC-FLAG-001", certainty, linking.relr, reason, verbatim("-Wl,-z,nopack-relative-relocs"))


def _loader(path: str, flag: str, platform: Platform, found: Found) -> None:
    worlds = platform.architecture.interpreters
    if path in worlds.get(platform.world, ()):
        return
    other = any(path in paths for paths in worlds.values())
    reason = _("the platform has no loader {path}", path=verbatim(repr(path)))
    if not other:
        reason = joined([reason, _("it has to be delivered with the program")])
    found.foreign(flag, reason, Certainty.CERTAIN if other else Certainty.GUARDED)


def _generated(text: str, flag: str, platform: Platform, found: Found, asker: Asker) -> None:
    """CPUs and extensions of code that is generated when it is linked (LTO)."""
    name, _equals, value = text.partition("=")
    if name == "mcpu":
        words: tuple[str, ...] = (
            (f"-march={value}",) if platform.arch in (Arch.AMD64, Arch.LOONG64) else (f"-mcpu={value}",)
        )
    else:
        words = tuple(w for f in value.split(",") if f for w in ("-Xclang", "-target-feature", "-Xclang", f))
    target = target_of(platform)
    answer = asker.clang_answer(words, platform.arch, target) if asker.zig else None
    if answer is None:
        found.open(flag, _("no compiler here knows it for {arch}", arch=platform.architecture.uname))
        return
    base = asker.clang_answer((), platform.arch, target)
    features = answer.features - (base.features if base else frozenset())
    found.uses(flag, features, features if name == "mattr" else frozenset())
    found.unknown(flag, answer.unknown)


# -- what to advise


def _baseline(platform: Platform, asker: Asker) -> Message:
    """The flags that name the most of a CPU, by the compilers' own words; empty where none can be asked."""
    has = platform.cpu.features.value
    if asker.zig is None or has is None:
        return NOTHING
    target = target_of(platform)
    base = asker.clang_answer((), platform.arch, target)
    for words in _BASELINES[platform.arch]:
        answer = asker.clang_answer(words, platform.arch, target)
        if answer and base and not answer.unknown and answer.features <= set(has):
            return verbatim(" ".join(words))
    return NOTHING
