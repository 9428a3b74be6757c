"""Packages that are fixed to some machines: RPM's spec files and Debian's control files, as they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.messages import _

_TAG = re.compile(r"^(ExclusiveArch|ExcludeArch)\s*:\s*(.*)$", re.IGNORECASE)
_CONDITION = re.compile(r"^%(if\w*|else|elif\w*|endif)\b\s*(.*)$")
MACROS = {
    "ix86": ("i386", "i486", "i586", "i686"),
    "arm": ("armv5tel", "armv6hl", "armv7hl"),
    "arm32": ("armv5tel", "armv6hl", "armv7hl"),
    "arm64": ("aarch64",),
    "x86_64": ("x86_64",),
    "_arch": (),
    "loongarch64": ("loongarch64",),
    "power64": ("ppc64", "ppc64le"),
    "mips": ("mips", "mips64"),
    "sparc": ("sparc", "sparcv9"),
    "riscv": ("riscv64",),
    "riscv64": ("riscv64",),
}
"""RPM's own lists of architectures (rpm, macros.in)."""


@dataclass(frozen=True)
class Excluded:
    """A place that leaves a machine out; ``sure`` is False where a macro that we do not know may name it."""

    line: int
    listed: str
    sure: bool = True


def of_spec(text: str, arch: str) -> Iterator[Excluded]:
    """The tags of a spec file by which rpmbuild refuses an architecture (RPM Packaging, spec file format, ExclusiveArch)."""
    shown: list[bool] = []
    for number, line in enumerate(text.splitlines(), 1):
        condition = _CONDITION.match(line.strip())
        if condition:
            _step(shown, condition[1], condition[2], arch)
            continue
        tag = _TAG.match(line.strip())
        if tag is None or not all(shown):
            continue
        words = re.split(r"[\s,]+", tag[2].strip())
        names: set[str] = set()
        unknown = False
        for word in words:
            macro = re.fullmatch(r"%\{?\??(\w+)\}?", word)
            if macro is None:
                names.add(word)
            elif macro[1] in MACROS:
                names.update(MACROS[macro[1]] or (arch,))
            else:
                unknown = True
        only = tag[1].lower() == "exclusivearch"
        listed = tag[2].strip()[:200]
        if only and arch not in names and "noarch" not in names:
            yield Excluded(number, listed, sure=not unknown)
        elif not only and arch in names:
            yield Excluded(number, listed)


def _step(shown: list[bool], word: str, rest: str, arch: str) -> None:
    """One condition of a spec file; what depends on other things than the architecture is taken for so."""
    if word in ("ifarch", "ifnarch"):
        names = {n for w in re.split(r"[\s,]+", rest.strip()) for n in MACROS.get(w.strip("%{}"), (w,))}
        shown.append((arch in names) is (word == "ifarch"))
    elif word.startswith("if"):
        shown.append(True)
    elif word == "else" and shown:
        shown[-1] = not shown[-1]
    elif word == "endif" and shown:
        shown.pop()


def of_control(text: str, arch: str) -> Iterator[Excluded]:
    """The packages of a debian/control that are not for an architecture, where none of them is (Debian policy, 5.6.8, 11.1)."""
    found: list[Excluded] = []
    some = False
    for number, line in enumerate(text.splitlines(), 1):
        field, colon, value = line.partition(":")
        if not colon or field.lower() != "architecture":
            continue
        words = value.split()
        if any(_means(word, arch) for word in words):
            some = some or "all" not in words
            continue
        if words:
            found.append(Excluded(number, value.strip()[:200]))
    if not some:
        yield from found


def _means(word: str, arch: str) -> bool:
    system, dash, cpu = word.rpartition("-")
    return word in ("any", "all", arch) or (bool(dash) and system in ("any", "linux") and cpu in ("any", arch))


class PackagingSurvey:
    """Reads what packages are made of."""

    name = "packaging"

    def applies(self, tree: SourceTree) -> bool:
        return bool(_specs(tree) or _controls(tree))

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        surveyed = Surveyed()
        specs, controls = _specs(tree), _controls(tree)
        for platform in work.platforms:
            for name in specs:
                for one in of_spec(tree.text(name) or "", platform.package_arch("rpm")):
                    surveyed.findings.append(_finding("XC-ADV-047", name, one, platform, platform.package_arch("rpm")))
            for name in controls:
                for one in of_control(tree.text(name) or "", platform.package_arch("deb")):
                    surveyed.findings.append(_finding("XC-ADV-048", name, one, platform, platform.package_arch("deb")))
        number = len(specs) + len(controls)
        part = Part(_("packages"), number, number, found=_("as they are written"))
        surveyed.add((p.id for p in work.platforms), part)
        return surveyed


def _finding(code: str, name: str, one: Excluded, platform: Platform, arch: str) -> Finding:
    certainty = Certainty.GUARDED if one.sure else Certainty.UNDECIDED
    return Finding(code, certainty, f"{name}:{one.line}", platform.id, {"listed": one.listed, "arch": arch})


def _specs(tree: SourceTree) -> list[str]:
    """Spec files: others have that suffix too, and no tags of RPM's."""
    return [
        f
        for f in tree.named("*.spec", "*.spec.in")
        if re.search(r"^(?:Name|Summary|Version)\s*:", tree.text(f) or "", re.MULTILINE)
    ]


def _controls(tree: SourceTree) -> list[str]:
    return [f for f in tree.named("control", "control.in") if f.split("/")[-2:-1] == ["debian"]]
