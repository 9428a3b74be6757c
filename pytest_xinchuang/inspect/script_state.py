"""The files of a system while the scripts of a package are followed: what each may have become by then."""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import reduce

from pytest_xinchuang.inspect.script_words import ANY, MAGIC, Variables, constant, is_wholly_computed, pattern_of
from pytest_xinchuang.inspect.shell import Unreadable

MOST_STEPS = 2_000_000
"""Files that are looked at while a script is followed."""


class Became(StrEnum):
    """What may have become of a path."""

    KEPT = "kept"
    """It is as it was delivered."""
    FILE = "file"
    """Another file was moved there."""
    LINK = "link"
    """A link, or a copy."""
    GONE = "gone"
    OTHER = "other"
    """Something that is no object was written there."""
    THERE = "there"
    """The system has it."""
    NONE = "none"
    """Nothing is delivered there."""


@dataclass(frozen=True)
class Outcome:
    """What a path is once the scripts have run; ``target``: the path of the file that was moved, or the link's target."""

    how: Became
    target: str = ""


KEPT, GONE, OTHER, THERE, NONE = map(Outcome, (Became.KEPT, Became.GONE, Became.OTHER, Became.THERE, Became.NONE))
PRESENT = frozenset({Became.KEPT, Became.FILE, Became.LINK, Became.OTHER, Became.THERE})


@dataclass(frozen=True)
class Change:
    """What became of a path: one of ``outcomes``, by the last ``command`` that had to do with it."""

    outcomes: frozenset[Outcome]
    command: str = ""


@dataclass
class Effects:
    """What scripts do.

    Attributes:
        changes: path without a leading slash -> what becomes of it.
        computed: a command makes files, or names of such, that cannot be read from its words.
        takes: the command that takes away files of which no word says anything; empty: there is none.
    """

    changes: dict[str, Change] = field(default_factory=dict)
    computed: bool = False
    takes: str = ""

    @property
    def links(self) -> dict[str, str]:
        """The links and copies that are made for certain: path -> target."""
        sure = ((path, next(iter(c.outcomes))) for path, c in self.changes.items() if len(c.outcomes) == 1)
        return {path: outcome.target for path, outcome in sure if outcome.how == Became.LINK}


@dataclass(frozen=True)
class Delivered:
    """The file system that scripts run in.

    Attributes:
        files: the paths of its files and links.
        links: path -> target of the latter.
        own: the paths that the scripts' own package delivers: not there yet when its preinst runs.
        arch: the architecture by Debian's or rpm's name, or nothing.
        rpm: the first argument is the number of installed packages, and no word.
    """

    files: Collection[str] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    own: Collection[str] = ()
    arch: str = ""
    rpm: bool = False


def shown(words: Iterable[str]) -> str:
    """A command as a person reads it."""
    text = "".join(c if c.isprintable() and c not in MAGIC else "?" for c in " ".join(words))
    return text if len(text) <= 120 else text[:117] + "..."


@dataclass
class State:
    """One way in which a script may have gone so far."""

    changes: dict[str, Change]
    variables: Variables
    directory: str | None = "/"
    """Where dpkg and rpm run scripts (Debian Policy, 6.1: none is promised; both change into the root)."""

    def copy(self) -> State:
        return State(dict(self.changes), self.variables.copy(), self.directory)


class Files:
    """The files that a script finds, and what it does to them.

    Args:
        name: of the script, ``preinst`` or ``postinst``.
    """

    def __init__(self, name: str, there: Delivered) -> None:
        self.name, self.there = name, there
        self.files = there.files if isinstance(there.files, (set, frozenset, dict)) else frozenset(there.files)
        self.sorted = sorted(self.files)
        self.steps = 0

    def count(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MOST_STEPS:
            raise Unreadable

    def joined(self, states: Sequence[State]) -> State:
        """One state that stands for all of them."""

        def two(a: State, b: State) -> State:
            self.count(len(a.changes) + len(b.changes))
            changes = {}
            for path in {*a.changes, *b.changes}:
                mine, other = (s.changes.get(path) or Change(self.before(path)) for s in (a, b))
                changes[path] = Change(mine.outcomes | other.outcomes, mine.command or other.command)
            directory = a.directory if a.directory == b.directory else None
            return State(changes, a.variables.joined(b.variables), directory)

        return reduce(two, states)

    def either(self, *states: State | None) -> State | None:
        there = [state for state in states if state is not None]
        return self.joined(there) if there else None

    def before(self, path: str) -> frozenset[Outcome]:
        there = path in self.files and not (self.name == "preinst" and path in self.there.own)
        return frozenset({KEPT if there else NONE})

    def outcomes(self, state: State, path: str) -> frozenset[Outcome]:
        change = state.changes.get(path)
        return change.outcomes if change is not None else self.before(path)

    def below(self, directory: str) -> list[str]:
        """The delivered paths in a directory."""
        prefix = directory + "/" if directory else ""
        begin = bisect_left(self.sorted, prefix)
        end = bisect_left(self.sorted, prefix[:-1] + "0") if prefix else len(self.sorted)  # "0" comes after "/"
        self.count(end - begin + 1)
        return self.sorted[begin:end]

    def real(self, path: str) -> str:
        """A path with the delivered links among its directories followed, without a leading slash."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        here: list[str] = []
        turns = 0
        while parts:
            part = parts.pop(0)
            if part == "..":
                here = here[:-1]
                continue
            here.append(part)
            target = self.there.links.get("/".join(here)) if parts else None
            if target is not None and turns < 40:
                turns += 1
                parts = [p for p in target.split("/") if p not in ("", ".")] + parts
                here = [] if target.startswith("/") else here[:-1]
        return "/".join(here)

    def path(self, state: State, word: str) -> str | None:
        """The path that a word names, without a leading slash; None: it is not known."""
        if is_wholly_computed(word):
            return None
        if not word.startswith(("/", ANY)):
            if state.directory is None:
                return ANY + "/" + word
            word = posixpath.join(state.directory, word)
        return self.real(word) if constant(word) else word.strip("/")

    def matches(self, state: State, word: str, *, deep: bool = False) -> tuple[list[str], bool]:
        """The paths that a word stands for, with what is below them when ``deep``; and whether it is sure that it does."""
        path = self.path(state, word)
        if path is None:
            return [], False
        if constant(path):
            for each, sure in ((path, True), *((other, False) for other in _merged(path))):
                found = [each] if each in self.files or each in state.changes else []
                if deep:
                    self.count(len(state.changes))
                    found += self.below(each)
                    found += [p for p in state.changes if p.startswith(each + "/") and p not in self.files]
                if found:
                    return found, sure
            return [], True
        wanted = re.compile(pattern_of(path) + ("(?:/.*)?" if deep else ""), re.S)
        self.count(len(self.sorted) + len(state.changes))
        known = {*self.sorted, *state.changes}
        return [each for each in sorted(known) if wanted.fullmatch(each)], ANY not in path

    def put(self, state: State, path: str, outcomes: Iterable[Outcome], words: Sequence[str]) -> None:
        self.count(1)
        state.changes[path] = Change(frozenset(outcomes), shown(words))

    def exists(self, state: State, word: str) -> bool | None:
        path = self.path(state, word)
        if path is None or not constant(path):
            return None
        found = self.outcomes(state, path)
        if all(each.how in PRESENT for each in found):
            return True
        if found == {NONE}:
            return True if any(self.outcomes(state, each) == {KEPT} for each in self.below(path)[:50]) else None
        return False if found == {GONE} else None


DIRECTORIES = frozenset(
    ["etc", "usr", "opt"]
    + [f"{top}{name}" for top in ("", "usr/", "usr/local/") for name in ("bin", "sbin", "lib", "lib64", "share")]
)
"""Directories that every system has (FHS 3.0)."""


def _merged(path: str) -> tuple[str, ...]:
    """The other name of a path where /bin, /sbin and /lib are links into /usr (Debian Policy, 10.1; Fedora's UsrMove)."""
    if re.match(r"(?:lib|lib64|bin|sbin)/", path):
        return (f"usr/{path}",)
    return (path[4:],) if re.match(r"usr/(?:lib|lib64|bin|sbin)/", path) else ()
