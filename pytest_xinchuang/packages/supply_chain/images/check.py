"""Checks what an image or a root filesystem is made of, and what a product's own images are built on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.supply_chain.ecosystem import Ecosystem, files_below
from pytest_xinchuang.packages.supply_chain.ecosystems.all import ECOSYSTEMS
from pytest_xinchuang.packages.supply_chain.images.part import Inside, Part
from pytest_xinchuang.packages.supply_chain.images.versions import ORDERS
from pytest_xinchuang.packages.supply_chain.lists import Advisories, Unordered
from pytest_xinchuang.packages.supply_chain.locked import told
from pytest_xinchuang.packages.supply_chain.versions import loose, semver
from pytest_xinchuang.tools import dockerfile

IMAGE = "image"
"""What the findings about images are of, in the place of an ecosystem."""

_DIGEST = re.compile(r"@sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})$")
"""OCI Image Format Specification 1.1, descriptors, registered algorithms."""
_LARGEST = 1 << 20
"""Bytes of a Dockerfile that is read."""
_SKIPPED = frozenset({".git", "node_modules", "vendor", ".venv"})
"""Directories whose Dockerfiles are not the product's own."""


@dataclass
class ImageCheck:
    """One check of what was found inside.

    Attributes:
        advisories: None: none were given, and nothing is said of them.
    """

    inside: Inside
    advisories: Advisories | None = None
    findings: list[Finding] = field(default_factory=list)

    def run(self) -> list[Finding]:
        """All findings, in order of place."""
        for where, why in self.inside.doubts:
            self._add("XC-SUP-190", where, Certainty.UNDECIDED, detail=why)
        for part in self.inside.parts:
            if part.kind == "generic":
                self._add("XC-SUP-193", part.where, Certainty.NOTE, module=_named(part))
        if self.advisories is not None:
            self._advised(self.advisories)
        self.findings.sort(key=lambda f: (f.object, f.code, str(f.params)))
        return self.findings

    def _add(self, code: str, where: str, certainty: Certainty = Certainty.CERTAIN, **params: object) -> None:
        self.findings.append(told(code, where, IMAGE, certainty, **params))

    def _advised(self, advisories: Advisories) -> None:
        for part in self.inside.parts:
            if not part.ecosystem:
                continue
            name, version = part.advised_as
            registry = _registry(part)
            key = registry.key if registry else ORDERS.get(part.kind, semver if part.kind == "golang" else loose)
            try:
                hits = advisories.of_package(part.ecosystem, name, version, registry.same if registry else str, key)
            except Unordered as error:
                self._add("XC-SUP-134", part.where, Certainty.UNDECIDED, module=_named(part), detail=error.what)
                continue
            for identifier, summary in hits:
                self._add("XC-SUP-033", part.where, module=_named(part), id=identifier, summary=summary)
        known = advisories.ecosystems
        for ecosystem in sorted({p.ecosystem for p in self.inside.parts if p.ecosystem}):
            if ecosystem not in known and ecosystem.partition(":")[0] not in known:
                count = str(sum(p.ecosystem == ecosystem for p in self.inside.parts))
                self._add("XC-SUP-194", ecosystem, Certainty.UNDECIDED, count=count)


def _named(part: Part) -> str:
    name, version = part.advised_as if part.kind not in ("deb", "rpm", "apk") else (part.name, part.version)
    return f"{name}@{version}" if version else name


def _registry(part: Part) -> Ecosystem | None:
    """The ecosystem whose registry a package of a language is from, where it is one that locks are read of."""
    return next((e for e in ECOSYSTEMS.values() if e.osv == part.ecosystem), None)


def check_bases(directory: Path) -> tuple[list[Finding], int]:
    """What is wrong with the base images of the Dockerfiles below a directory; and how many there are.

    A tag can be moved to another image at any time; a digest names one image for ever.
    """
    findings = []
    count = 0
    for where, base in _bases(directory):
        count += 1
        if _DIGEST.search(base.image):
            continue
        if "$" in base.image:
            why = _("whoever builds says what it is")
            findings.append(told("XC-SUP-195", where, IMAGE, Certainty.UNDECIDED, module=base.image, detail=why))
        else:
            findings.append(told("XC-SUP-192", where, IMAGE, module=base.image))
    return findings, count


def _bases(directory: Path) -> Iterator[tuple[str, dockerfile.Base]]:
    for name, path in files_below(directory, lambda n: n.rpartition("/")[2] in _SKIPPED).items():
        last = name.rpartition("/")[2]
        if any(fnmatchcase(last, pattern) for pattern in dockerfile.NAMES) and path.is_file() and not path.is_symlink():
            if path.stat().st_size > _LARGEST:
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            for base in dockerfile.bases(text):
                yield f"{name}:{base.line}", base
