"""What commands do to files: rm, mv, ln, cp, install, find, dpkg-divert and update-alternatives."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence

from pytest_xinchuang.inspect.script_state import (
    DIRECTORIES,
    GONE,
    NONE,
    OTHER,
    PRESENT,
    Became,
    Effects,
    Files,
    Outcome,
    State,
    shown,
)
from pytest_xinchuang.inspect.script_words import ANY, ONE, STAR, constant, is_wholly_computed, pattern_of

FILES = re.compile(r"(?:^|/)(?:usr/|opt/|lib|bin|sbin)|\.so\b")
"""Names of files that a loader or a shell looks for; settings and logs are none."""


Deed = Callable[[list[str], State, bool], None]


class Deeds:
    """Commands by what they do to files. ``sure``: of a command all of whose words are known."""

    def __init__(self, files: Files, found: Effects) -> None:
        self.files, self.found = files, found

    def of(self, name: str) -> Deed | None:
        """What a command of this name does; None: nothing that is followed."""
        return {
            "dpkg-divert": self.divert, "update-alternatives": self.alternatives, "alternatives": self.alternatives,
            "ln": self.placed, "cp": self.placed, "install": self.placed, "mv": self.moved,
            "rm": self.removed, "unlink": self.removed, "shred": self.removed, "truncate": self.emptied, "dd": self.emptied,
            "find": self.find,
        }.get(name)  # fmt: skip

    def plain(self, words: Iterable[str], values: str = "") -> tuple[list[str], str]:
        """The words that are no options, and the letters of those that are; letters of ``values`` have a word of their own."""
        kept, options, skip, ended = [], "", False, False
        for word in words:
            if skip:
                skip = False
            elif word == "--":
                ended = True
            elif word.startswith("-") and not ended and len(word) > 1:
                letters = word[1:] if not word.startswith("--") else {"--force": "f", "--recursive": "r"}.get(word, "")
                options += letters
                skip = letters[-1:] in tuple(values)
                if word.startswith("--target-directory"):
                    options += "t"
            else:
                kept.append(word)
        return kept, options

    def removed(self, words: list[str], state: State, sure: bool) -> None:
        targets, options = self.plain(words[1:])
        deep = any(letter in options for letter in "rR")
        for word in targets:
            if is_wholly_computed(word):
                self.found.takes = self.found.takes or shown(words)
            paths, certain = self.files.matches(state, word, deep=deep)
            for path in paths:
                before = self.files.outcomes(state, path)
                if before == {NONE}:
                    continue
                gone = frozenset({GONE})
                self.files.put(state, path, gone if certain and sure else before | gone, words)

    def emptied(self, words: list[str], state: State, _sure: bool) -> None:
        targets = [
            word.removeprefix("of=") for word in words[1:] if word.startswith("of=") or words[0].endswith("truncate")
        ]
        for word in targets:
            self.overwritten(word, state, words)

    def overwritten(self, word: str, state: State, words: Sequence[str]) -> None:
        if word.startswith("/dev/"):
            return
        paths, certain = self.files.matches(state, word)
        for path in paths:
            before = self.files.outcomes(state, path)
            if before != {NONE}:
                self.files.put(state, path, {OTHER} if certain else before | {OTHER}, words)

    def placed(self, words: list[str], state: State, sure: bool) -> None:
        name = posixpath.basename(words[0])
        plain, options = self.plain(words[1:], "mogtS" if name == "install" else "tS")
        if name == "install" and ("d" in options or "--directory" in words):
            return
        if not all(map(constant, plain)) or len(plain) < 2 or "t" in options:
            relevant = [word for word in plain if not constant(word) or FILES.search(word)]
            self.found.computed = self.found.computed or bool(relevant)
            return
        targets, place = plain[:-1], plain[-1]
        path = self.files.path(state, place)
        if path is None or not constant(path):
            self.found.computed = self.found.computed or FILES.search(place) is not None
            return
        into = place.endswith("/") or len(targets) > 1 or self.is_directory(path, state)
        for each in targets:
            where = posixpath.join(path, posixpath.basename(each)) if into else path
            target = each
            if name != "ln" and not each.startswith("/"):
                source = self.files.path(state, each)
                target = "/" + source if source is not None else each
            if name != "ln" and target == "/dev/null":
                self.overwritten("/" + where, state, words)
                continue
            made, before = Outcome(Became.LINK, target), self.files.outcomes(state, where)
            if self.files.path(state, posixpath.join("/" + posixpath.dirname(where), target)) == where:
                continue  # itself
            if name == "ln" and "f" not in options:
                kept = {each for each in before if each.how in PRESENT}
                after = frozenset({*kept, *([made] if before - kept else [])})
            else:
                after = frozenset({made})
            self.files.put(state, where, after if sure else before | after, words)

    def is_directory(self, path: str, state: State) -> bool:
        if path in self.files.files or path in state.changes:
            return False
        return path in DIRECTORIES or bool(self.files.below(path))

    def moved(self, words: list[str], state: State, sure: bool) -> None:
        plain, options = self.plain(words[1:], "tS")
        if len(plain) < 2 or "t" in options:
            self.found.computed = self.found.computed or any(map(FILES.search, plain))
            for word in plain:
                self.removed(["rm", "-r", word], state, False)
            return
        place = self.files.path(state, plain[-1])
        into = plain[-1].endswith("/") or len(plain) > 2 or (place is not None and self.is_directory(place, state))
        for word in plain[:-1]:
            paths, certain = self.files.matches(state, word, deep=True)
            base = self.files.path(state, word) or ""
            known = place is not None and constant(place) and constant(base)
            if not paths or not known:
                self.found.computed = self.found.computed or bool(paths) or FILES.search(word) is not None
            for path in paths:
                before = self.files.outcomes(state, path)
                if before == {NONE}:
                    continue
                certainly = certain and sure and known
                moved = {o if o.how != Became.KEPT else self.kept_as(path) for o in before if o.how in PRESENT}
                self.files.put(state, path, {GONE} if certain and sure else before | {GONE}, words)
                if known and place is not None:
                    where = posixpath.join(place, posixpath.basename(base)) if into else place
                    where += path[len(base) :]
                    self.files.put(
                        state, where, moved if certainly else self.files.outcomes(state, where) | moved, words
                    )

    def kept_as(self, path: str) -> Outcome:
        target = self.files.there.links.get(path)
        return Outcome(Became.LINK, target) if target is not None else Outcome(Became.FILE, path)

    def divert(self, words: list[str], state: State, sure: bool) -> None:
        path, target, options = diversion(words[1:])
        if not path:
            return
        if not constant(path) or not constant(target):
            self.found.computed = True
            return
        if "--rename" not in options or self.files.name == "preinst":
            return
        if "--remove" not in options:
            self.moved(["mv", path, target], state, sure)
            return
        # It refuses to rename over a file that is there.
        if self.files.exists(state, path) is not True:
            self.moved(["mv", target, path], state, sure)

    def alternatives(self, words: list[str], state: State, _sure: bool) -> None:
        for at, word in enumerate(words):
            if word in ("--remove", "--remove-all"):
                self.without_alternative(words[at + 1 :], state, words)
            if word not in ("--install", "--slave", "--follower"):
                continue
            three = words[at + 1 : at + 4]
            if len(three) < 3 or not all(map(constant, three)):
                self.found.computed = True
                continue
            link, name, path = three
            where = self.files.real(link)
            made, before = Outcome(Became.LINK, f"/etc/alternatives/{name}"), self.files.outcomes(state, where)
            if any(each.how in (Became.KEPT, Became.FILE, Became.THERE) for each in before):
                continue  # it takes the place of no file
            self.files.put(state, where, {made}, words)
            self.files.put(state, f"etc/alternatives/{name}", {Outcome(Became.LINK, path)}, words)

    def without_alternative(self, said: list[str], state: State, words: list[str]) -> None:
        if not said or not constant(said[0]):
            return
        link = f"etc/alternatives/{said[0]}"
        now = state.changes.get(link)
        if now is None or (len(said) > 1 and Outcome(Became.LINK, said[1]) not in now.outcomes):
            return
        for path in [p for p, c in state.changes.items() if Outcome(Became.LINK, f"/{link}") in c.outcomes]:
            self.files.put(state, path, {GONE}, words)
        self.files.put(state, link, {GONE}, words)

    def find(self, words: list[str], state: State, sure: bool) -> None:
        """``find DIR... [tests] -delete`` or ``-exec rm``: tests other than of names and kinds leave open what it takes."""
        at = next((n for n, word in enumerate(words[1:], 1) if word.startswith("-") or word in ("!", "(")), len(words))
        tests = words[at:]
        exec_ = next((n for n, word in enumerate(tests) if word in ("-exec", "-execdir", "-ok")), None)
        deed = [posixpath.basename(word) for word in tests[exec_ + 1 :]] if exec_ is not None else []
        if "-delete" not in tests and not any(word in ("rm", "unlink", "mv", "shred", "sh", "bash") for word in deed):
            return
        name, decided = "", sure
        for number, word in enumerate(tests[:exec_] if exec_ is not None else tests):
            if word == "-name":
                name = tests[number + 1] if number + 1 < len(tests) else ""
            elif word in ("!", "(") or (word.startswith("-") and word not in ("-type", "-delete", "-print")):
                decided = False
        if "l" in tests or (deed and deed[0] not in ("rm", "unlink")):
            decided = False
        # A quoted pattern is one of find's, and no longer the shell's.
        wanted = re.compile(pattern_of(_as_pattern(name)), re.S) if name else None
        for directory in words[1:at]:
            paths, certain = self.files.matches(state, directory, deep=True)
            for path in paths:
                before = self.files.outcomes(state, path)
                if before != {NONE} and (wanted is None or wanted.fullmatch(posixpath.basename(path))):
                    gone = frozenset({GONE})
                    self.files.put(state, path, gone if decided and certain else before | gone, words)


def diversion(words: Sequence[str]) -> tuple[str, str, frozenset[str]]:
    """What a call of dpkg-divert(1) names: the path, where its file goes, the options. Empty: it only asks."""
    target, path, skip = "", "", ""
    for word in words:
        if skip:
            target = word if skip == "--divert" else target
            skip = ""
        elif word in ("--divert", "--package", "--admindir", "--instdir", "--root"):
            skip = word
        elif word.startswith("--divert="):
            target = word.partition("=")[2]
        elif not word.startswith("-"):
            path = word
    options = frozenset(word for word in words if word.startswith("--"))
    if options & {"--list", "--truename", "--listpackage"}:
        return "", "", options
    return path, target or f"{path}.distrib", options


def _as_pattern(name: str) -> str:
    from_shell = {"*": STAR, "?": ONE, "[": ANY}
    return "".join(from_shell.get(sign, sign) for sign in name)
