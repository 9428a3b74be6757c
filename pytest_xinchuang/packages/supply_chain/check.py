"""Checks what a product is built from, over the common form of what locks say."""

from __future__ import annotations

import datetime
import urllib.parse
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import Message, _, joined, n_, system_error, verbatim
from pytest_xinchuang.packages.supply_chain.archives import BadArchive
from pytest_xinchuang.packages.supply_chain.ecosystem import Ecosystem, Layout, Tree, sha256_of
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone
from pytest_xinchuang.packages.supply_chain.licences import Licences
from pytest_xinchuang.packages.supply_chain.lists import Advisories, AllowList, Unordered, lapsed
from pytest_xinchuang.packages.supply_chain.locked import (
    LENGTHS,
    WEAK,
    Digest,
    Locked,
    LockedFile,
    Origin,
    Reading,
    digests_of,
    duplicates,
    told,
)
from pytest_xinchuang.packages.supply_chain.registries import Published, PublishedFile, Registries, Signed, Standing


@dataclass(frozen=True)
class Lists:
    """What whoever checks allows and forbids."""

    allow_list: AllowList | None = None
    advisories: Advisories | None = None
    licences: Licences | None = None
    today: datetime.date = field(default_factory=datetime.date.today)


@dataclass
class Seen:
    """What was seen of one locked package.

    Attributes:
        published: what the registry says; Gone: it was not told.
        paths: files whose bytes were seen and are those of the lock.
        good: whether the lock agrees with what was published.
    """

    published: Published | Gone
    paths: list[tuple[PublishedFile, Path]] = field(default_factory=list)
    good: bool = False

    @property
    def verified(self) -> bool:
        """Bytes were seen here, and they are those of the lock and those that the registry or its signature names."""
        known = isinstance(self.published, Published) and self.published.standing is not Standing.CACHED
        return self.good and known and bool(self.paths)


class PackageCheck:
    """One check of one ecosystem in one directory; the findings are made once, by :meth:`run`."""

    def __init__(
        self, directory: Path, ecosystem: Ecosystem, registries: Registries, lists: Lists | None = None
    ) -> None:
        self.directory, self.ecosystem, self.registries = directory, ecosystem, registries
        self.lists = lists or Lists()
        self.findings: list[Finding] = []
        self.seen: dict[Locked, Seen] = {}
        self._by_key: dict[tuple[object, ...], Seen] = {}
        self.checked_files = 0
        self.trees = 0

    @cached_property
    def reading(self) -> Reading:
        return self.ecosystem.read(self.directory, self.registries)

    @cached_property
    def entries(self) -> list[Locked]:
        """The locked packages that come from the registry, one for each name, version and set of files."""
        found: dict[tuple[object, ...], Locked] = {}
        for entry in self.reading.entries:
            if entry.origin is Origin.REGISTRY:
                found.setdefault(_key(entry), entry)
        return list(found.values())

    @property
    def verified(self) -> int:
        """How many locked packages are verified."""
        return sum(seen.verified for seen in self.seen.values())

    def run(self) -> list[Finding]:
        """All findings, in order of place.

        Raises:
            XcError: nothing can be looked at, such as a named place that is not there.
        """
        self.findings += self.reading.findings
        for entry, other in duplicates(self.reading.entries):
            self._add("XC-SUP-110", entry.where, module=str(entry), other=other.where)
        self._sources()
        with ThreadPoolExecutor(8) as pool:
            for entry, seen in zip(self.entries, pool.map(self._look, self.entries), strict=True):
                self.seen[entry] = self._by_key[_key(entry)] = seen
        self._trees()
        self._allowed()
        self._advisories()
        self._licences()
        self.findings = sorted(set_of(self.findings), key=lambda f: (f.object, f.code, str(f.params)))
        return self.findings

    def _add(self, code: str, where: str, certainty: Certainty = Certainty.CERTAIN, **params: object) -> None:
        self.findings.append(told(code, where, self.ecosystem.name, certainty, **params))

    def _sources(self) -> None:
        for entry in self.reading.entries:
            if entry.origin in (Origin.GIT, Origin.URL):
                self._add("XC-SUP-112", entry.where, module=str(entry), source=entry.source or "-")
            elif entry.origin is Origin.PATH:
                certainty = self._certainty_of_path(entry.source)
                self._add("XC-SUP-113", entry.where, certainty, module=str(entry), source=entry.source or "-")
            for url in sorted({file.url for file in entry.files if file.url} | {entry.source} - {""}):
                if entry.origin is Origin.REGISTRY and "://" in url:
                    self._source(entry, url)
            if entry.scripts:
                self._add("XC-SUP-116", entry.where, Certainty.NOTE, module=str(entry))

    def _certainty_of_path(self, source: str) -> Certainty:
        """A directory of the product is the product's own; an archive in it is somebody's that nobody vouches for."""
        path = (self.directory / source.partition("#")[0]).resolve()
        if not path.is_relative_to(self.directory.resolve()):
            return Certainty.CERTAIN
        return Certainty.NOTE if path.is_dir() else Certainty.UNDECIDED

    def _source(self, entry: Locked, url: str) -> None:
        """Tell where a package of a registry comes from another than those that are trusted."""
        trusted = self.registries.trusts(self.ecosystem.name, url)
        if trusted is True:
            return
        certainty = Certainty.UNDECIDED if isinstance(trusted, Message) else Certainty.CERTAIN
        shown = _("{url} ({why})", url=verbatim(url), why=trusted) if isinstance(trusted, Message) else url
        host = urllib.parse.urlsplit(url).hostname or "-"
        self._add("XC-SUP-111", entry.where, certainty, module=str(entry), url=shown, host=host)

    # -- hashes

    def _look(self, entry: Locked) -> Seen:
        published = self.ecosystem.published(entry, self.registries)
        if not entry.digests and not dict(entry.extra).get("unlocked"):
            self._add("XC-SUP-104", entry.where, module=str(entry))
        elif entry.digests and all(one.algorithm in WEAK for one in entry.digests):
            self._add("XC-SUP-105", entry.where, module=str(entry), algorithm=entry.digests[0].algorithm)
        seen = Seen(published)
        if isinstance(published, Gone):
            code, certainty = (
                ("XC-SUP-107", Certainty.CERTAIN) if published.certain else ("XC-SUP-108", Certainty.UNDECIDED)
            )
            self._add(code, entry.where, certainty, module=str(entry), detail=published.why)
            return seen
        for code, note in published.notes:
            self._add(code, entry.where, Certainty.NOTE, module=str(entry), detail=note)
        refuted = self._signature(entry, published)
        if published.withdrawn:
            self._add("XC-SUP-146", entry.where, module=str(entry))
        if published.scripts and entry.scripts is False:
            self._add("XC-SUP-117", entry.where, module=str(entry))
        self._bytes(entry, seen, published)
        if published.complete:
            agree = [self._agrees(entry, file, seen, published) for file in entry.files]
        else:
            agree = [self._admits(entry, published)]
        seen.good = bool(agree) and all(agree) and bool(entry.digests) and not refuted
        if seen.good and not seen.verified and not self._already_open(entry):
            if published.standing is Standing.CACHED:
                self._add("XC-SUP-109", entry.where, Certainty.UNDECIDED, module=str(entry))
            else:
                self._add("XC-SUP-147", entry.where, Certainty.UNDECIDED, module=str(entry))
        return seen

    def _signature(self, entry: Locked, published: Published) -> bool:
        """Tell what the publisher's signatures say; whether they refute it."""
        if published.signature is None or published.signature[0] is Signed.GOOD:
            return False
        verdict, why = published.signature
        if verdict is Signed.BAD:
            self._add("XC-SUP-152", entry.where, module=str(entry), detail=why)
            return True
        self._add("XC-SUP-151", entry.where, Certainty.UNDECIDED, module=str(entry), detail=why)
        return False

    def _already_open(self, entry: Locked) -> bool:
        """Whether a file that is here was told of: one that is not as published."""
        return any(f.code == "XC-SUP-125" and f.params.get("module") == str(entry) for f in list(self.findings))

    def _bytes(self, entry: Locked, seen: Seen, published: Published) -> None:
        """Look at the files that are here or can be had."""
        candidates = list(
            dict.fromkeys(p for file in entry.files or (LockedFile(()),) for p in published.matching(file))
        )
        for one in self.ecosystem.chosen(entry, candidates):
            path = one.path or self._fetched(one)
            if path is None:
                continue
            asked = [d for file in entry.files if not file.name or file.name == one.name for d in file.digests]
            try:
                mine = digests_of(
                    path, {"sha256", *(d.algorithm for d in (*asked, *one.digests) if d.algorithm in LENGTHS)}
                )
            except OSError:
                continue
            wrong = _contradicted(one.digests, mine)
            if wrong is not None:
                detail = _(
                    "{path} has {found}, published is {wanted}", path=path, found=mine[wrong.algorithm], wanted=wrong
                )
                self._add("XC-SUP-125", entry.where, module=str(entry), detail=detail)
                continue
            if not one.digests and published.standing is Standing.CACHED and asked and not _among(mine, asked):
                detail = _(
                    "{path} has {found}, the lock has {wanted}",
                    path=path,
                    found=mine[asked[0].algorithm],
                    wanted=asked[0],
                )
                self._add("XC-SUP-125", entry.where, module=str(entry), detail=detail)
                continue
            seen.paths.append((PublishedFile(one.name, tuple({*one.digests, *mine.values()}), path, one.url), path))

    def _fetched(self, one: PublishedFile) -> Path | None:
        """A file of the registry: one of our cache that is no longer what it was is fetched again."""
        for _try in range(2):
            got = self.registries.artifact(one.url) if one.url else None
            if not isinstance(got, Path):
                return None
            if _contradicted(one.digests, digests_of(got, {d.algorithm for d in one.digests})) is None:
                return got
            got.unlink(missing_ok=True)
        return None

    def _agrees(self, entry: Locked, file: LockedFile, seen: Seen, published: Published) -> bool:
        """Whether the digests of a locked file are among those that were published."""
        candidates = [
            *published.matching(file),
            *(p for p, _path in seen.paths if not file.name or p.name == file.name),
        ]
        if not candidates:
            detail = _("{file} was not published", file=verbatim(file.name or "-"))
            certain = published.standing is not Standing.CACHED
            certainty = Certainty.CERTAIN if certain else Certainty.UNDECIDED
            self._add(
                "XC-SUP-107" if certain else "XC-SUP-108", entry.where, certainty, module=str(entry), detail=detail
            )
            return False
        good = bool(file.digests)
        for mine in file.digests:
            known = {d for p in candidates for d in p.digests if d.algorithm == mine.algorithm}
            if mine in known:
                continue
            good = False
            if not known:
                wanted = joined(sorted({d.algorithm for p in candidates for d in p.digests}), _(", "))
                detail = _("the registry gives {wanted}, the lock {found}", wanted=wanted, found=mine.algorithm)
                self._add("XC-SUP-108", entry.where, Certainty.UNDECIDED, module=str(entry), detail=detail)
                continue
            # A cache alone cannot say that a lock is wrong: it may be the one that was changed.
            if published.standing is Standing.CACHED and not file.name and len(known) > 1:
                self._add(
                    "XC-SUP-108", entry.where, Certainty.UNDECIDED, module=str(entry), detail=_("no file of it is here")
                )
                continue
            self._add(
                "XC-SUP-106",
                entry.where,
                module=str(entry),
                found=mine,
                wanted=joined([verbatim(str(d)) for d in sorted(known)[:3]], _(", ")),
            )
        return good

    def _admits(self, entry: Locked, published: Published) -> bool:
        """Whether a lock admits the published files that are here, and no others that could not be compared."""
        here = {d for p in published.files for d in p.digests}
        names = {p.name for p in published.files}
        for one in published.files:
            asked = [f for f in entry.files if not f.name or f.name == one.name]
            mine = {d for f in asked for d in f.digests}
            known = {d.algorithm for d in one.digests}
            if asked and not mine & set(one.digests) and any(d.algorithm in known for d in mine):
                found = joined([verbatim(str(d)) for d in sorted(mine)[:3]], _(", "))
                wanted = joined(
                    [verbatim(str(d)) for d in one.digests if d.algorithm in {m.algorithm for m in mine}], _(", ")
                )
                self._add("XC-SUP-106", entry.where, module=str(entry), found=found, wanted=wanted)
                return False
        rest = [f for f in entry.files if not (f.name in names if f.name else set(f.digests) & here)]
        if rest:
            detail = n_(
                "{n} file of the lock was not to be compared: the place has some of the files alone",
                "{n} files of the lock were not to be compared: the place has some of the files alone",
                len(rest),
            )
            self._add("XC-SUP-108", entry.where, Certainty.UNDECIDED, module=str(entry), detail=detail)
        return not rest

    # -- what is laid out

    def _trees(self) -> None:
        trees, findings = self.ecosystem.trees(self.directory, self.reading)
        self.findings += findings
        for tree in trees:
            self.trees += 1
            self._tree(tree)

    def _tree(self, tree: Tree) -> None:
        if tree.entry is None:
            self._add("XC-SUP-122", tree.where, module=f"{tree.name}@{tree.version}" if tree.version else tree.name)
            return
        entry = tree.entry
        if entry.origin is not Origin.REGISTRY:
            why = _("it comes from no registry")
            self._add("XC-SUP-124", tree.where, Certainty.UNDECIDED, module=str(entry), detail=why)
            return
        if tree.version and tree.version != entry.version:
            self._add("XC-SUP-126", tree.where, module=str(entry), found=tree.version)
            return
        seen = self._seen_of(entry)
        artifact = self.ecosystem.artifact(tree, [p for p, _path in seen.paths]) if seen else None
        if artifact is None or artifact.path is None:
            why = _("no published file that it could be made of is here")
            if seen is not None and isinstance(seen.published, Gone):
                why = seen.published.why
            self._add("XC-SUP-124", tree.where, Certainty.UNDECIDED, module=str(entry), detail=why)
            return
        try:
            layout = self.ecosystem.layout(tree, artifact.path)
        except BadArchive as error:
            self._add("XC-SUP-124", tree.where, Certainty.UNDECIDED, module=str(entry), detail=error.what)
            return
        self._compare(tree, entry, layout)

    def _seen_of(self, entry: Locked) -> Seen | None:
        return self._by_key.get(_key(entry))

    def _compare(self, tree: Tree, entry: Locked, layout: Layout) -> None:
        for name, path in tree.files.items():
            where = f"{tree.where}/{name}" if tree.where else name
            forms = layout.files.get(name)
            if forms is None and layout.may_add(name) and not path.is_symlink():
                continue
            if path.is_symlink() or not path.is_file():
                self._add("XC-SUP-121", where, module=str(entry), detail=_("it is no regular file"))
                continue
            if forms is None:
                certainty = Certainty.UNDECIDED if layout.built else Certainty.CERTAIN
                detail = (
                    _("a script of the package may have written it")
                    if layout.built
                    else _("the published package has no such file")
                )
                self._add("XC-SUP-121", where, certainty, module=str(entry), detail=detail)
                continue
            try:
                mine = sha256_of(path)
            except OSError as error:
                self._add("XC-SUP-124", where, Certainty.UNDECIDED, module=str(entry), detail=system_error(error))
                continue
            if mine not in forms:
                certainty = Certainty.UNDECIDED if "" in forms else Certainty.CERTAIN
                self._add(
                    "XC-SUP-120", where, certainty, module=str(entry), found=mine, wanted=min(forms - {""}, default="-")
                )
            else:
                self.checked_files += 1
        for name in layout.files:
            if name not in tree.files and name not in layout.may_lack:
                where = f"{tree.where}/{name}" if tree.where else name
                self._add("XC-SUP-123", where, module=str(entry))

    # -- lists

    def _listed(self) -> Iterable[Locked]:
        """The packages that lists are asked of: all but the product's own."""
        return [e for e in self.reading.entries if e.origin not in (Origin.OWN, Origin.PATH)]

    def _allowed(self) -> None:
        allowed = self.lists.allow_list
        if allowed is None:
            return
        for entry in self._listed():
            lines = allowed.packages_of(self.ecosystem.name, self.ecosystem.same(entry.name))
            if not lines:
                self._add("XC-SUP-030", entry.where, module=str(entry))
                continue
            fitting = []
            unordered: Message | None = None
            for line in lines:
                try:
                    if line.covers(entry.version):
                        fitting.append(line)
                except ValueError:
                    unordered = _("{version} is no version of this ecosystem", version=verbatim(repr(entry.version)))
            if unordered is not None and not fitting:
                self._add("XC-SUP-134", entry.where, Certainty.UNDECIDED, module=str(entry), detail=unordered)
            elif not fitting:
                self._add("XC-SUP-031", entry.where, module=str(entry), versions=lines[0].versions)
            elif (run_out := lapsed(fitting, self.lists.today)) is not None:
                certificate, expires = run_out
                self._add("XC-SUP-032", entry.where, module=str(entry), certificate=certificate, expires=expires)

    def _advisories(self) -> None:
        if self.lists.advisories is None:
            return
        for entry in self._listed():
            try:
                found = self.lists.advisories.of_package(
                    self.ecosystem.osv, entry.name, entry.version, self.ecosystem.same, self.ecosystem.key
                )
            except Unordered as error:
                self._add("XC-SUP-134", entry.where, Certainty.UNDECIDED, module=str(entry), detail=error.what)
                continue
            for name, summary in found:
                self._add("XC-SUP-033", entry.where, module=str(entry), id=name, summary=summary)

    def _licences(self) -> None:
        if self.lists.licences is None:
            return
        for entry in self._listed():
            seen = self._seen_of(entry)
            text = seen.published.licence if seen and isinstance(seen.published, Published) else ""
            text = text or (self.ecosystem.licence(seen.paths[0][1]) if seen and seen.paths else "")
            if not text:
                self._add("XC-SUP-141", entry.where, Certainty.UNDECIDED, module=str(entry))
                continue
            allowed = self.lists.licences.allows(text)
            if allowed is None:
                self._add("XC-SUP-142", entry.where, Certainty.UNDECIDED, module=str(entry), licence=text)
            elif not allowed:
                self._add("XC-SUP-140", entry.where, module=str(entry), licence=text)


def _key(entry: Locked) -> tuple[object, ...]:
    """Entries of one key are of the same files, wherever they are laid out."""
    return entry.name, entry.version, entry.files, entry.extra


def set_of(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, each once."""
    found: dict[tuple[object, ...], Finding] = {}
    for one in findings:
        found.setdefault((one.code, one.object, one.platform, one.certainty, tuple(sorted(one.params.items()))), one)
    return list(found.values())


def _contradicted(published: Sequence[Digest], mine: dict[str, Digest]) -> Digest | None:
    return next((d for d in published if d.algorithm in mine and mine[d.algorithm] != d), None)


def _among(mine: dict[str, Digest], asked: Sequence[Digest]) -> bool:
    return any(mine.get(d.algorithm) == d for d in asked)
