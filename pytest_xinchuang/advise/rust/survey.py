"""The survey of Rust: the workspaces of a tree, each checked for x86-64 and for the platforms' targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pytest_xinchuang.advise.judged import Found, Judged, part_of
from pytest_xinchuang.advise.rust.cargo import ARCHES, CargoJail, flags_in
from pytest_xinchuang.advise.rust.events import Checked, Crate
from pytest_xinchuang.advise.rust.judge import Comparison
from pytest_xinchuang.advise.tree import SourceTree, text_of
from pytest_xinchuang.advise.triple import Triple, triple_of
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Arch
from pytest_xinchuang.messages import Message, _, verbatim


class RustSurvey:
    """Knows Rust."""

    name = "rust"

    def applies(self, tree: SourceTree) -> bool:
        return bool(tree.named("Cargo.toml"))

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        """Judge the crates of each workspace.

        Raises:
            ToolchainFault: there is no Rust.
        """
        surveyed = Surveyed()
        if not work.build:
            why = _("build scripts and macros of the tree would run; --no-build forbids that")
            surveyed.add((p.id for p in work.platforms), Part(verbatim("Rust"), 0, 1, why=((why, 1),)))
            return surveyed
        jail = CargoJail(tree, work)
        places = jail.workspaces()
        told: dict[str, list[Judged]] = {platform.id: [] for platform in work.platforms}
        for number, place in enumerate(places):
            work.tell(f"cargo {place or '.'}", number, len(places))
            workspace = _Workspace(tree, work, jail, place)
            for platform in work.platforms:
                judged = workspace.judged(platform.arch, triple_of(platform))
                told[platform.id].append(judged)
                surveyed.findings += [found.on(platform.id) for found in judged.found]
        by, found = verbatim(jail.version), verbatim("cargo metadata")
        for platform in work.platforms:
            surveyed.add([platform.id], part_of(verbatim("Rust"), told[platform.id], by=by, found=found))
        return surveyed


class _Workspace:
    """One workspace, for all platforms: each target is checked once."""

    def __init__(self, tree: SourceTree, work: Work, jail: CargoJail, place: str) -> None:
        self._tree, self._work, self._jail, self._place = tree, work, jail, place
        self._said: dict[str, Judged] = {}
        self._crates: dict[str, dict[str, Crate]] = {}
        self._checked: dict[str, tuple[Checked, str]] = {}

    def judged(self, arch: Arch, triple: Triple) -> Judged:
        """What is said for an architecture; platforms of one share it."""
        triple = self._work.baseline if arch is Arch.AMD64 else triple
        target = self._jail.triple(triple)
        if target not in self._said:
            try:
                self._said[target] = self._compared(arch, triple)
            except XcError as fault:
                self._said[target] = self._lost(fault.what)
        return self._said[target]

    def _compared(self, arch: Arch, triple: Triple) -> Judged:
        baseline = self._work.baseline
        base, target = self._jail.triple(baseline), self._jail.triple(triple)
        crates, target_crates = self._metadata(base), self._metadata(target)
        if not self._jail.ready(base):
            return self._lost(_no_std(base))
        if not self._jail.ready(target):
            return self._lost(_no_std(target))
        checked, last = self._check(baseline)
        told, target_last = self._check(triple)
        stopped = arch is not Arch.AMD64 and checked.done and not (told.done or told.faults or told.scripts)
        flags = list(self._flags(arch, target, target_last if stopped else ""))
        if stopped and flags:
            total = sum(len(crate.targets) for crate in crates.values() if crate.member)
            return Judged(total, total, found=flags)
        comparison = Comparison(
            root=self._jail.copy.resolve(),
            directory=self._jail.copy / self._place,
            arch=ARCHES[str(arch)],
            crates=crates,
            target_crates=target_crates,
            base=checked,
            target=told,
            last=(last, target_last),
            text=text_of,
        )
        judged = comparison.judge()
        judged.found += flags
        return judged

    def _metadata(self, target: str) -> dict[str, Crate]:
        if target not in self._crates:
            self._crates[target] = self._jail.crates(self._place, target)
        return self._crates[target]

    def _check(self, triple: Triple) -> tuple[Checked, str]:
        """What cargo says of a target; where there is inline assembler, code is generated as well."""
        target = self._jail.triple(triple)
        if target not in self._checked:
            checked, last = self._jail.check(self._place, triple)
            if self._jail.has_assembler(list(self._metadata(target).values())):
                whole, said = self._jail.check(self._place, triple, whole=True)
                last = last or said
                for package, errors in whole.faults.items():
                    placed = [error for error in errors if error.spans]
                    if placed and package not in checked.faults:  # linking, which has no place, is not asked about
                        checked.faults[package] = placed
                        checked.done -= {one for one in checked.done if one[0] == package}
            self._checked[target] = (checked, last)
        return self._checked[target]

    def _flags(self, arch: Arch, target: str, stopped: str) -> Iterator[Found]:
        """Flags for a CPU that rustc does not know for the target: it passes over them, unless it has stopped at once.

        Args:
            stopped: its last words, where nothing was compiled.
        """
        for file, line, flag in flags_in(self._tree):
            if not self._jail.knows(target, flag):
                certainty = Certainty.CERTAIN if stopped else Certainty.NOTE
                params = {"flag": flag, "arch": ARCHES[str(arch)]}
                yield Found("XC-ADV-073", certainty, f"{file}:{line}", params, {"flag": flag, "said": stopped})

    def _lost(self, why: Message) -> Judged:
        crates = self._crates.get(self._jail.triple(self._work.baseline), {})
        total = max(1, sum(len(crate.targets) for crate in crates.values() if crate.member))
        return Judged(total=total, why=Counter({why: total}))


def _no_std(target: str) -> Message:
    return _(
        "Rust's standard library for {target} is not here: rustup target add {target} brings it where it is to be had",
        target=verbatim(target),
    )
