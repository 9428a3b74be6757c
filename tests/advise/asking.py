"""Small trees, and what a survey says of them."""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from pathlib import Path

from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import baseline
from pytest_xinchuang.advise.work import Survey, Work
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.advice import Surveyed
from pytest_xinchuang.core.finding import Certainty, Finding, load_findings
from pytest_xinchuang.core.platform import Arch, load_platforms

EM = {"x86_64": 62, "aarch64": 183, "loongarch64": 258}
"""e_machine (System V gABI)."""
PLATFORMS = load_platforms(resources.platforms_file())
ALL = ("kunpeng", "phytium", "hygon", "zhaoxin", "loongson")


def library(machine: str) -> bytes:
    """The least shared object: a header, and one segment that has it."""
    ident = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)
    head = ident + struct.pack("<HHIQQQIHHHHHH", 3, EM[machine], 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 120, 120, 0x1000)


class Asked:
    """What a survey says of a tree."""

    def __init__(self, said: Surveyed) -> None:
        self.said = said
        catalogue = load_findings()
        for finding in said.findings:  # all texts can be told in both languages
            for message in (catalogue.text(finding), catalogue.mend(finding)):
                assert "{" not in message.render("en") and message.render("zh")

    def found(self, platform: str, certainty: Certainty | None = None) -> list[tuple[str, str]]:
        """(code, place) of the findings for a short name; of a certainty, else all but notes."""
        name = PLATFORMS.get(platform).id
        return sorted((f.code, f.object) for f in self.of(name) if certainty in (None, f.certainty)
                      and (certainty is not None or f.certainty is not Certainty.NOTE))  # fmt: skip

    def of(self, platform: str) -> list[Finding]:
        return [f for f in self.said.findings if f.platform == platform]

    def certain(self, platform: str) -> list[tuple[str, str]]:
        return self.found(platform, Certainty.CERTAIN)

    def may(self, platform: str) -> list[tuple[str, str]]:
        return self.found(platform, Certainty.GUARDED)

    def judged(self, platform: str) -> list[tuple[int, int]]:
        """(judged, total) of the parts."""
        name = PLATFORMS.get(platform).id
        return [(part.judged, part.total) for part in self.said.parts.get(name, ())]

    def why(self, platform: str) -> str:
        """Why something was not judged, in English."""
        name = PLATFORMS.get(platform).id
        return "; ".join(f"{n}: {why.render('en')}" for part in self.said.parts.get(name, ()) for why, n in part.why)


def ask(
    survey: Survey,
    root: Path,
    files: Mapping[str, str | bytes],
    platforms: Collection[str] = ALL,
    *,
    offline: bool = True,
    build: bool = False,
) -> Asked:
    """Write a tree, and survey it. ``build``: what of it is run may be run."""
    tree, scratch = root / "tree", root / "scratch"
    for name, data in files.items():
        place = tree / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data if isinstance(data, bytes) else data.encode())
    scratch.mkdir()

    chosen = tuple(PLATFORMS.get(name) for name in platforms)
    base = baseline(chosen, PLATFORMS.file.architectures[Arch.AMD64])
    read = SourceTree(tree)
    assert survey.applies(read)
    return Asked(survey.survey(read, Work(chosen, base, scratch.resolve(), offline=offline, build=build)))
