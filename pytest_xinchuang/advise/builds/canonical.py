"""config.sub and config.guess, by which configure scripts know machines: those that are too old are asked, and told of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_xinchuang.advise.builds.guise import Guise
from pytest_xinchuang.advise.builds.kinds import SHORT_S, Build
from pytest_xinchuang.advise.builds.record import guises
from pytest_xinchuang.advise.builds.site import Site, open_site
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import triple_of
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Surveyed
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Arch

SINCE = {Arch.ARM64: "2012-02-10", Arch.LOONG64: "2020-12-22"}
"""The timestamp of the first config.sub and config.guess that know a machine (GNU config, changes d6f39af and c8ddc84)."""
_TIMESTAMP = re.compile(r"^timestamp='([0-9-]+)'", re.MULTILINE)
_USES = re.compile(r"config\.(?:sub|guess)")


@dataclass(frozen=True)
class _Answer:
    ok: bool
    lost: bool


def survey_canonical(tree: SourceTree, work: Work, builds: Iterable[Build], surveyed: Surveyed) -> None:
    """Ask each of them that a configure script uses for each platform; what does not know one is a finding."""
    directories = [b.directory for b in builds if b.kind == "configure" and _USES.search(tree.text(b.file) or "")]
    files = [
        file
        for file in tree.named("config.sub", "config.guess")
        if any(not directory or file.startswith(f"{directory}/") for directory in directories)
    ]
    if not files:
        return
    wanted = guises(work)
    answers: dict[tuple[str, str], _Answer] = {}
    for triple, guise in wanted.items():
        place = work.scratch / "builds" / f"canonical-{len(answers)}"
        try:
            site = open_site(tree, guise, work, place, work.baseline, compiles=False)
        except XcError:
            return  # each build has said so
        for file in files:
            answers[(triple.zig, file)] = _ask(site, guise, file)
    for platform in work.platforms:
        for file in files:
            base, own = answers[(work.baseline.zig, file)], answers[(triple_of(platform).zig, file)]
            if own.ok or own.lost or not base.ok:
                continue
            stamp = _TIMESTAMP.search(tree.text(file) or "")
            params = {
                "machine": platform.architecture.uname,
                "triplet": platform.architecture.triplet,
                "date": stamp[1] if stamp else "?",
                "since": SINCE.get(platform.arch, "?"),
                "file": file,
            }
            surveyed.findings.append(Finding("XC-ADV-042", Certainty.CERTAIN, file, platform.id, params))


def _ask(site: Site, guise: Guise, file: str) -> _Answer:
    words = ["/bin/sh", file]
    if file.endswith("config.sub"):
        words.append(guise.triple.gnu)
    step = site.step(words, seconds=SHORT_S)
    return _Answer(step.ok, bool(step.lost))
