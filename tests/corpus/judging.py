"""Judges an artifact as `xc inspect` does, once read for all platforms, and compares that with the truth."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty, Finding, FindingCatalogue, load_findings
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts, problems_as_findings
from pytest_xinchuang.inspect.kept import Kept
from pytest_xinchuang.loading.findings import loaded
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.provision.archive import pack
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.debian import Package
from pytest_xinchuang.provision.debs import unpack_all
from pytest_xinchuang.sandbox.pool import Pool
from tests.corpus.declared import FAMILIES, Corpus, Item, Truth
from tests.corpus.fetching import place_of, verify
from tests.inspect.containers import saved_image


class Outcome(StrEnum):
    """How a verdict stands to the truth."""

    RIGHT = "right"
    WRONG = "wrong"
    """A false pass, a false alarm, a refusal for want of what is told, or a claim to know what nobody can."""
    UNDECIDED = "undecided"
    """It is told that this is not decided, though it can be."""


@dataclass(frozen=True)
class Judged:
    """What was found of an artifact on one family's platform.

    Attributes:
        found: "clean", "undecided", or "refused" with the codes of what is certain.
        codes: of all findings that stand in the way or leave it open, with an object of each.
        known: why a wrong verdict stays for now; "": nobody knows of it.
    """

    file: str
    kind: str
    family: str
    outcome: Outcome
    expected: str
    found: str
    codes: dict[str, str] = field(default_factory=dict)
    why: str = ""
    known: str = ""

    @property
    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def verdict_of(findings: Iterable[Finding], catalogue: FindingCatalogue) -> Truth:
    """What findings come to, as the exit status of `xc inspect` has it."""
    seen = [f for f in findings if f.certainty is not Certainty.NOTE]
    certain = frozenset(f.code for f in seen if f.certainty is Certainty.CERTAIN and catalogue.get(f.code).level)
    if certain:
        return Truth("refused", certain)
    return Truth("undecided" if any(f.certainty is not Certainty.CERTAIN for f in seen) else "clean")


LOADER = frozenset({"XC-LOD-001", "XC-LOD-002"})
"""That an object dies when it is loaded, or is refused: it tells as much as any reason why."""


def compare(truth: Truth, found: Truth) -> Outcome:
    """Whether a verdict is right: of a refusal all codes that the truth has are told, and others may be told beside them."""
    if truth.verdict == found.verdict:
        return Outcome.RIGHT if truth.told_by(found.codes) or found.codes & LOADER else Outcome.WRONG
    return Outcome.UNDECIDED if found.verdict == "undecided" else Outcome.WRONG


class Judge:
    """Judges artifacts that are in the cache.

    Args:
        pool: sandboxes in which what is inspected is opened too; None: nothing is run.
    """

    def __init__(self, corpus: Corpus, cache: Cache, pool: Pool | None = None) -> None:
        self._corpus, self._cache, self._pool = corpus, cache, pool
        self._platforms = Platforms([resources.platforms_file()])
        self._catalogue = load_findings()

    def judge(self, item: Item) -> list[Judged]:
        """An artifact on all platforms.

        Raises:
            XcError: it is not in the cache, or another one than is declared.
        """
        platforms = {family: self._platforms.get(family) for family in FAMILIES}
        architectures = self._platforms.file.architectures
        with contextlib.ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xc-corpus-")))
            kept = Kept(scratch) if self._pool is not None else None
            machines = {platform.architecture.elf_machine for platform in platforms.values()}
            inspection = Inspector(machines=machines, kept=kept).read(self._path(item, scratch), item.file)
            judged = []
            for family, platform in platforms.items():
                findings = Verdicts(platform, architectures).of(inspection)
                findings += problems_as_findings(inspection.problems, platform.id)
                if self._pool is not None and kept is not None:
                    findings += loaded(self._pool, platform, architectures, kept, inspection)
                judged.append(self._compared(item, family, findings))
            return judged

    def _compared(self, item: Item, family: str, findings: Sequence[Finding]) -> Judged:
        truth, found = item.truth(family), verdict_of(findings, self._catalogue)
        outcome = compare(truth, found)
        codes = {f.code: f.object for f in reversed(findings) if f.certainty is not Certainty.NOTE}
        known = item.artifact.known.get(family, "") if outcome is not Outcome.RIGHT else ""
        return Judged(item.file, item.kind, family, outcome, str(truth), str(found), codes, item.why, known)

    def _path(self, item: Item, scratch: Path) -> Path:
        if item.artifact.parts:
            return self._made(item, scratch)
        path = place_of(self._cache, item.artifact)
        if not path.is_file():
            raise XcError(verbatim(f"{item.file} was not fetched"), mend=verbatim("scripts/corpus --fetch"))
        verify(path, item.artifact)
        return path

    def _made(self, item: Item, scratch: Path) -> Path:
        """What `docker save` writes of an image of Debian's packages: each is one layer. NAME.d is a directory of them."""
        path = scratch / item.file
        layers = []
        for part in item.artifact.parts:
            artifact = self._corpus.items[part].artifact
            package = Package(artifact.name, f"{artifact.source}/{part}", artifact.size, artifact.sha256)
            tree = path if path.suffix == ".d" else scratch / part.rpartition(".")[0]
            tree.mkdir(exist_ok=True)
            unpack_all([(package, self._path(self._corpus.items[part], scratch))], tree)
            if tree != path:
                pack(tree, tree.with_suffix(".tar"))
                layers.append(tree.with_suffix(".tar").read_bytes())
        if layers:
            path.write_bytes(saved_image(layers, item.artifact.parts[-1].rpartition("_")[2].partition(".")[0]))
        return path
