"""Compares two snapshots, for each target, and says what the next version has to be."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_xinchuang.core.errors import DataFileError, XcError
from pytest_xinchuang.messages import NOTHING, Message, _, told, verbatim
from pytest_xinchuang.packages.sdk_ast.change import Change
from pytest_xinchuang.packages.sdk_ast.comparer import Comparer, Side
from pytest_xinchuang.packages.sdk_ast.judge.client import Trial
from pytest_xinchuang.packages.sdk_ast.languages import LANGUAGES
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy, Suppressed, Suppression, suppress
from pytest_xinchuang.packages.sdk_ast.rules import LEVELS, Level, Rule, Rules
from pytest_xinchuang.packages.sdk_ast.snapshot import Header, PackageRecord, Snapshot
from pytest_xinchuang.packages.sdk_ast.words import listed, sides
from pytest_xinchuang.tools.versions import toolchains


@dataclass(frozen=True)
class Judged:
    """A change with its rule, weighed by the policy and by clients.

    Attributes:
        trial: the client that shows it; None: none does, or none was asked.
        asked: clients that were tried for it, in all the ways that its rule names; 0: their silence says nothing.
    """

    change: Change
    rule: Rule
    level: Level
    harmless: bool
    trial: Trial | None = None
    asked: int = 0

    @property
    def unconfirmed(self) -> bool:
        """Whether clients were tried, and none shows it."""
        return self.asked > 0 and self.trial is None

    @property
    def breaking(self) -> bool:
        return self.level == "major" and not self.change.undecided and not self.unconfirmed

    @property
    def fragile(self) -> bool:
        hurts = bool(self.rule.axes) and not self.harmless and not self.change.undecided
        return hurts and not self.breaking

    @property
    def weight(self) -> str:
        """``breaking``, ``undecided``, ``fragile`` or ``compatible``."""
        if self.change.undecided:
            return "undecided" if self.level == "major" or self.rule.axes else "compatible"
        return "breaking" if self.breaking else "fragile" if self.fragile else "compatible"

    def sentence(self) -> Message:
        """The rule's sentence about this change, with the fact that is missing behind it."""
        change = self.change
        text = self.rule.found.message(
            symbol=change.symbol,
            old=change.old,
            new=change.new,
            undecided=change.undecided,
            targets=listed(change.targets),
            **change.params,
        )
        if not change.undecided or "{undecided}" in self.rule.found.en:
            return text
        return _("{found} ({undecided})", found=text, undecided=change.undecided)


WEIGHTS = ("breaking", "undecided", "fragile", "compatible")


@dataclass
class Comparison:
    """What was found.

    Attributes:
        changes: in order of weight and symbol.
        accepted: what a suppression covers.
        suppressions: all of the policy's, used or not.
        trials: the clients that were tried; empty: none was.
        unjudged: why none was; empty where some were, or where nobody asked.
    """

    old: Snapshot
    new: Snapshot
    targets: tuple[str, ...]
    changes: list[Judged]
    accepted: list[tuple[Judged, Suppression]] = field(default_factory=list)
    suppressions: list[Suppressed] = field(default_factory=list)
    across: bool = False
    trials: tuple[Trial, ...] = ()
    unjudged: Message = NOTHING

    def of(self, weight: str) -> list[Judged]:
        return [c for c in self.changes if c.weight == weight]

    @property
    def breaking(self) -> bool:
        return bool(self.of("breaking"))

    @property
    def undecided(self) -> bool:
        """Nothing breaks for certain, but something could not be told."""
        return bool(self.of("undecided"))

    @property
    def level(self) -> Level | None:
        """What the next version has to be; None: nothing changed."""
        levels = {
            "minor" if c.unconfirmed and c.level == "major" else c.level for c in self.changes if not c.change.undecided
        }
        return next((level for level in LEVELS if level in levels), None)

    @property
    def groups(self) -> list[tuple[str, list[Judged]]]:
        """Changes by their common cause, where at least two have one; the others each alone (cause "")."""
        counts: dict[str, int] = {}
        for one in self.changes:
            if one.change.cause:
                counts[one.change.cause] = counts.get(one.change.cause, 0) + 1
        groups: dict[str, list[Judged]] = {}
        for number, one in enumerate(self.changes):
            cause = one.change.cause
            groups.setdefault(cause if counts.get(cause, 0) > 1 else f"\0{number}", []).append(one)
        return [("" if key.startswith("\0") else key, group) for key, group in groups.items()]

    @property
    def next_version(self) -> str:
        """The least right version after the old one (semantic versioning 2.0.0); "" when the old one has none."""
        match = re.match(
            r"v?([0-9]{1,18})\.([0-9]{1,18})\.([0-9]{1,18})(-[0-9A-Za-z.-]+)?(?![0-9])", self.old.header.version
        )
        if match is None:
            return ""
        major, minor, patch = (int(n) for n in match.groups()[:3])
        level = self.level
        if match[4] and level in (None, "patch"):
            return f"v{major}.{minor}.{patch}"
        if level == "major":
            return f"v{major + 1}.0.0" if major else f"v0.{minor + 1}.0"
        if level == "minor":
            return f"v{major}.{minor + 1}.0"
        return f"v{major}.{minor}.{patch + 1}"


def compare(
    old: Snapshot, new: Snapshot, rules: Rules, policy: ApiPolicy | None = None, today: datetime.date | None = None
) -> Comparison:
    """Compare two versions of an API for every target that both were read for.

    Raises:
        XcError: they are of two languages, or have no target in common.
    """
    policy = policy or ApiPolicy()
    if old.header.language != new.header.language:
        raise XcError(
            _(
                "{old} is {language}, {new} is {other}",
                old=old.label,
                language=LANGUAGES[old.header.language].shown,
                new=new.label,
                other=LANGUAGES[new.header.language].shown,
            )
        )
    targets = tuple(t for t in old.header.targets if t in new.header.targets)
    if not targets:
        raise XcError(
            _(
                "{old} was read for {targets}, {new} for {others}",
                old=old.label,
                targets=listed(old.header.targets),
                new=new.label,
                others=listed(new.header.targets),
            ),
            mend=_("make the snapshot again with the same --targets"),
        )
    found: list[tuple[str, list[Change]]] = []
    compared: dict[tuple[int, ...], list[Change]] = {}
    for target in targets:
        # Targets that see the same records on both sides see the same changes.
        key = tuple(id(side.package(path, target)) for side in (old, new) for path in side.packages)
        if key not in compared:
            compared[key] = _compare_side(old, new, target, target, policy)
        found.append((target, compared[key]))
    changes = _merge(found, targets)
    if old.header.language == "go":
        changes = _of_what_was_read(old, new, changes)
        changes += _module_changes(old, new)
        if bare := [name for name, s in (("old", old), ("new", new)) if s.grade == "syntactic"]:
            why = _("only the syntax of the {sides} side was read, without Go", sides=sides(bare))
            changes = [replace(c, undecided=c.undecided or why) for c in changes]
            changes.append(Change("GO-UNVERIFIABLE", "go.mod", undecided=why))
    return _judge(old, new, targets, changes, rules, policy, today)


def compare_across(
    snapshot: Snapshot, rules: Rules, policy: ApiPolicy | None = None, today: datetime.date | None = None
) -> Comparison:
    """Compare the API of one version on its first target with that on each of the others."""
    first, *others = snapshot.header.targets
    if not others:
        raise XcError(
            _("a comparison across architectures needs at least two of them"),
            mend=verbatim("--across amd64,arm64,loong64"),
        )
    policy = policy or ApiPolicy()
    if snapshot.grade == "syntactic":
        raise XcError(
            _("architectures are compared by types, and only the syntax was read"),
            mend=toolchains(),
        )
    found = [(t, _compare_side(snapshot, snapshot, first, t, policy)) for t in others]
    comparison = _judge(snapshot, snapshot, tuple(snapshot.header.targets), _merge(found, ()), rules, policy, today)
    comparison.across = True
    return comparison


def _judge(
    old: Snapshot,
    new: Snapshot,
    targets: tuple[str, ...],
    changes: list[Change],
    rules: Rules,
    policy: ApiPolicy,
    today: datetime.date | None,
) -> Comparison:
    left, accepted, states = suppress(changes, policy, today or datetime.date.today())

    def judged(change: Change) -> Judged:
        rule = rules.get(change.rule)
        return Judged(change, rule, policy.level(rule), policy.harmless(rule))

    ordered = sorted((judged(c) for c in left), key=lambda j: (WEIGHTS.index(j.weight), j.change.order))
    return Comparison(old, new, targets, ordered, [(judged(c), s) for c, s in accepted], states)


def _merge(found: Sequence[tuple[str, list[Change]]], targets: tuple[str, ...]) -> list[Change]:
    """The same change seen by several targets is one; ``targets`` are those that all have."""
    seen: dict[tuple[object, ...], tuple[Change, list[str]]] = {}
    for target, changes in found:
        for change in changes:
            key = (*change.order, change.undecided)
            entry = seen.setdefault(key, (change, []))
            if target not in entry[1]:
                entry[1].append(target)
    return [c if tuple(by) == targets else c.seen_by(tuple(by)) for c, by in seen.values()]


def _comparer(old: Snapshot, new: Snapshot, target: str, new_target: str, names: Mapping[str, str]) -> Comparer:
    if old.header.language == "go":
        from pytest_xinchuang.packages.sdk_ast.golang.comparer import GoComparer
        from pytest_xinchuang.packages.sdk_ast.golang.side import GoSide

        return GoComparer(GoSide(old, target), GoSide(new, new_target), names)
    return _comparer_of(old.header.language)(Side(old, target), Side(new, new_target), names)


def _comparer_of(language: str) -> type[Comparer]:
    """That of a language, and of it alone: one of them loads a tenth of a second of what the others never need."""
    match language:
        case "c":
            from pytest_xinchuang.packages.sdk_ast.c.comparer import CComparer

            return CComparer
        case "cpp":
            from pytest_xinchuang.packages.sdk_ast.cpp.comparer import CppComparer

            return CppComparer
        case "java":
            from pytest_xinchuang.packages.sdk_ast.java.comparer import JavaComparer

            return JavaComparer
        case "python":
            from pytest_xinchuang.packages.sdk_ast.python.comparer import PythonComparer

            return PythonComparer
        case "typescript":
            from pytest_xinchuang.packages.sdk_ast.typescript.comparer import TypeScriptComparer

            return TypeScriptComparer
        case "rust":
            from pytest_xinchuang.packages.sdk_ast.rust.comparer import RustComparer

            return RustComparer
        case "protobuf":
            from pytest_xinchuang.packages.sdk_ast.protobuf.comparer import ProtobufComparer

            return ProtobufComparer
        case "sql":
            from pytest_xinchuang.packages.sdk_ast.sql.comparer import SqlComparer

            return SqlComparer
        case _:
            from pytest_xinchuang.packages.sdk_ast.openapi.comparer import OpenApiComparer

            return OpenApiComparer


def _compare_side(before: Snapshot, after: Snapshot, target: str, new_target: str, policy: ApiPolicy) -> list[Change]:
    comparer = _comparer(before, after, target, new_target, policy.package_map)
    return _compare_packages(comparer, comparer.old, comparer.new)


def _compare_packages(comparer: Comparer, old: Side, new: Side) -> list[Change]:
    rules, mapped = comparer.package_rules, set()
    changed_internal = _changed_internal(old, new, comparer)
    comparer.compare_whole()
    for path in old.snapshot.packages:
        before = old.package(path)
        if before is None:
            continue
        after = new.package(comparer.new_path(path))
        mapped.add(comparer.new_path(path))
        if before.record.internal or before.record.name == "main":
            if after is not None and before.record.hash != after.record.hash:
                comparer.compare_internal(before, after)
            if before.record.internal and after is not None and not after.record.internal:
                comparer.add(rules.added, comparer.label(path), "", after.record.name)
            continue
        if after is None or after.record.internal:
            _package_removed(comparer, path, new)
            continue
        if before.record.name != after.record.name and before.record.name and after.record.name:
            comparer.add(rules.name_changed, comparer.label(path), before.record.name, after.record.name)
        if _same_api(before.record, after.record):
            comparer.compare_exposed([i for i in before.record.exposes if i.rpartition(".")[0] in changed_internal])
            continue
        first = len(comparer.changes)
        try:
            comparer.compare_package(before, after)
        except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError) as error:
            # The schema lets parts of a symbol be left out that symbols of some kinds always have.
            raise DataFileError(
                _(
                    "{package}: its symbols in {old} and {new} cannot be compared: {why}",
                    package=path,
                    old=old.snapshot.label,
                    new=new.snapshot.label,
                    why=told(error),
                ),
                mend=_("snapshots are made by: xc api snapshot DIR --output FILE"),
            ) from error
        # What others still ask of it is parsed again, once; the memory of a large SDK is that of its largest package.
        before.forget()
        after.forget()
        if why := _unread(before.record, after.record):
            # What was not read may be what seems to be missing, or may be missing from the old side.
            found = [
                c if c.undecided or c.rule in rules.certain else replace(c, undecided=why)
                for c in comparer.changes[first:]
            ]
            comparer.changes[first:] = found
            comparer.add(rules.unverifiable, comparer.label(path), undecided=why)
    for path in new.snapshot.packages:
        package = new.package(path)
        if package is None or path in mapped or package.record.internal or package.record.name == "main":
            continue
        comparer.add(rules.added, comparer.label(path), "", package.record.name)
    return comparer.changes


def _unread(old: PackageRecord, new: PackageRecord) -> Message:
    """Which sides of a package have something that was not read; empty where both were read whole."""
    partial = [name for name, record in (("old", old), ("new", new)) if record.partial]
    return _("the {sides} package could not be read whole", sides=sides(partial)) if partial else NOTHING


def _same_api(old: PackageRecord, new: PackageRecord) -> bool:
    """Whether the symbols need not be looked at: unchanged sources, or equal texts that hide no fact.

    Hashes are over texts that name the module: after a move of its path they say nothing.
    """
    if old.path != new.path:
        return False
    if old.source == new.source and old.source and old.targets == new.targets:
        return True
    hides = old.unknown or new.unknown or old.partial or new.partial or old.stubs != new.stubs
    return old.hash == new.hash and not hides


def _changed_internal(old: Side, new: Side, comparer: Comparer) -> set[str]:
    """Internal packages whose types differ, or that show types of such ones."""
    changed = set()
    shows: dict[str, set[str]] = {}
    for path, packages in old.snapshot.packages.items():
        if not packages[0].record.internal and not packages[0].record.exposes:
            continue
        before, after = old.package(path), new.package(comparer.new_path(path))
        if before is None:
            continue
        shows[path] = {i.rpartition(".")[0] for i in before.record.exposes}
        if after is None or before.record.hash != after.record.hash:
            changed.add(path)
    grown = True
    while grown:
        more = {path for path, seen in shows.items() if path not in changed and seen & changed}
        changed |= more
        grown = bool(more)
    return changed


def _package_removed(comparer: Comparer, path: str, new: Side) -> None:
    module = new.snapshot.header.name
    relative = comparer.new_path(path)[len(module) + 1 :]
    for nested in new.snapshot.header.nested or ():
        if relative == nested or relative.startswith(nested + "/"):
            known = new.snapshot.header.requires.get(f"{module}/{nested}", "")
            rule = "GO-PKG-NESTED-MODULE-REQUIRED" if known else "GO-PKG-NESTED-MODULE"
            now = f"{module}/{nested} {known}".strip()
            comparer.add(rule, comparer.label(path), path, _("module {module}", module=now))
            return
    path_now = comparer.new_path(path)
    elsewhere = new.package(path_now) is None and any(p.record.targets for p in new.snapshot.packages.get(path_now, ()))
    rule = comparer.package_rules.target_removed if elsewhere else comparer.package_rules.removed
    comparer.add(rule, comparer.label(path), path, "", cause=f"- {comparer.label(path)}")


def _sides(old: Snapshot, new: Snapshot, which: Callable[[Header], bool]) -> list[str]:
    return [name for name, side in (("old", old), ("new", new)) if which(side.header)]


def _of_what_was_read(old: Snapshot, new: Snapshot, changes: list[Change]) -> list[Change]:
    """Packages that seem to be gone may stand in a directory that was not read, and those of the old side be unknown."""
    unread = _sides(old, new, lambda header: header.packages_are_unread)
    if not unread:
        return changes
    why = _("a directory of the {sides} side could not be read", sides=sides(unread))
    gone = {"GO-PKG-REMOVED", "GO-PKG-TARGET-REMOVED"} if "new" in unread else set()
    kept = [replace(c, undecided=why) if c.rule in gone and not c.undecided else c for c in changes]
    return [*kept, Change("GO-UNVERIFIABLE", ".", undecided=why)]


def _module_changes(old: Snapshot, new: Snapshot) -> Iterable[Change]:
    before, after = old.header, new.header
    unread = _sides(old, new, lambda header: header.minimum_is_unknown)
    if _go_version(after.minimum) > _go_version(before.minimum):
        why = _("no go.mod gives the go directive on the {sides} side", sides=sides(unread)) if unread else NOTHING
        was, now = f"go {before.minimum or '1.16'}", f"go {after.minimum}"
        yield Change("GO-MOD-GO-RAISED", "go.mod", was, now, undecided=why)
    taken = _sides(old, new, lambda header: header.name_is_taken)
    why = _("no go.mod gives the module's path on the {sides} side", sides=sides(taken)) if taken else NOTHING
    if before.name != after.name:
        yield Change("GO-MOD-PATH-CHANGED", "go.mod", before.name, after.name, undecided=why)
    elif len(taken) == 1:
        yield Change("GO-UNVERIFIABLE", "go.mod", undecided=why)
    match = re.match(r"v([0-9]{1,18})\.", after.version)
    if match and int(match[1]) >= 2 and "+incompatible" not in after.version:
        suffix = re.search(r"(?:/v|\.v)(\d+)$", after.name)
        if suffix is None or suffix[1] != match[1]:
            yield Change("GO-MOD-MAJOR-WITHOUT-SUFFIX", "go.mod", after.name, after.version)


def _go_version(text: str) -> tuple[int, ...]:
    # Without a go directive a module has the language of Go 1.16 (Go modules reference, go directive).
    return tuple(int(n) for n in re.findall("[0-9]{1,9}", text)[:3]) or (1, 16)
