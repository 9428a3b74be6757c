"""What the scripts of a package do to its files: links, alternatives, copies, diversions, and what they take away.

A shell is not run. Its script is followed with all that may come of it: where a condition cannot be decided both ways are
taken, and a file is then one of several things. A command that computes what it makes leaves that open.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence

from pytest_xinchuang.inspect import shell
from pytest_xinchuang.inspect.script_deeds import FILES, Deeds, diversion
from pytest_xinchuang.inspect.script_state import (
    GONE,
    KEPT,
    NONE,
    THERE,
    Became,
    Change,
    Delivered,
    Effects,
    Files,
    State,
    shown,
)
from pytest_xinchuang.inspect.script_words import (
    ANY,
    MAGIC,
    Variables,
    constant,
    expanded,
    fits,
    is_wholly_computed,
)
from pytest_xinchuang.inspect.shell import Unreadable

SCRIPTS = ("preinst", "postinst")
"""Of a deb; those of an rpm (%pre and %pretrans, %post and %posttrans) are read under the same names."""

MOST = 1 << 20
"""Bytes of a script that are read: of a longer one it is left open what it makes."""
CALLS = 8
"""Functions in one another that are followed."""

_MAKERS = frozenset(
    {"tar", "unzip", "cpio", "curl", "wget", "base64", "bsdtar", "python", "python3", "perl", "gunzip", "rsync"}
)
"""Commands that make files which no word of theirs names."""
_SHELLS = frozenset({"sh", "bash", "dash", "ksh", "zsh"})
OF_FILES = frozenset({"-e", "-f", "-d", "-L", "-h", "-s", "-r", "-w", "-x"})
"""Questions about a file (XCU, test)."""
TAKES_AWAY = re.compile(r"\b(?:rm|unlink\w*|mv|rename\w*|remove\w*|rmtree|delete\w*|shred|truncate|move)\b")
"""Words by which scripts of whatever language take files away."""


def effects_of(texts: Mapping[str, bytes], there: Delivered | None = None) -> Effects:
    """What the scripts among the texts of a package do once it is installed."""
    there = there or Delivered()
    found = Effects()
    for name in SCRIPTS:
        for path, text in sorted(texts.items()):
            if path.rpartition("/")[2] == name:
                found.computed = found.computed or len(text) > MOST
                _follow(text[:MOST].decode(errors="replace").translate(_WITHOUT_MAGIC), name, there, found)
                if name == "preinst":
                    # What it takes away is of an earlier version: its own files are unpacked after it.
                    found.changes = {path: c for path, c in found.changes.items() if path not in there.own}
    return found


_WITHOUT_MAGIC = {ord(sign): "\ufffd" for sign in MAGIC}


def diverted_by(texts: Mapping[str, bytes]) -> dict[str, str]:
    """Path -> where the file of another package goes that has it."""
    found: dict[str, str] = {}
    for path, text in sorted(texts.items()):
        if path.rpartition("/")[2] not in SCRIPTS or b"dpkg-divert" not in text:
            continue
        try:
            script = shell.read_script(text[:MOST].decode(errors="replace").translate(_WITHOUT_MAGIC))
        except Unreadable:
            continue
        for command in shell.simple_commands(script):
            words = [word for raw in command.words for word in expanded(raw, Variables())]
            if words and posixpath.basename(words[0]) == "dpkg-divert":
                source, target, _options = diversion(words[1:])
                if source and constant(source) and constant(target) and "--remove" not in words:
                    found[source.strip("/")] = target.strip("/")
    return found


def _follow(text: str, name: str, there: Delivered, found: Effects) -> None:
    first = text.partition("\n")[0]
    program = posixpath.basename(first[2:].strip().partition(" ")[0].strip("<>"))
    if first.startswith("#!") and program in ("ldconfig", "true") and not text.partition("\n")[2].strip():
        return  # rpm's %post -p
    if first.startswith("#!") and not re.search(r"\b(?:ba|da|k|z|)sh\b", first):
        found.computed = True  # of another language
        _named(text, there, found)
        return
    try:
        script = shell.read_script(text)
        _Follower(name, there, found).run(script)
    except (Unreadable, RecursionError):
        found.computed = True
        _named(text, there, found)


def _named(text: str, there: Delivered, found: Effects) -> None:
    """Of a script that cannot be followed: files that it names, where it takes something away, may be gone."""
    taking = [line for line in text.splitlines() if TAKES_AWAY.search(line)]
    if not taking:
        return
    words = {word: line for line in text.splitlines() for word in _NAMES.findall(line) if word.startswith("/")}
    words |= {word: line for line in taking for word in _NAMES.findall(line)}
    for path in there.files:
        line = words.get("/" + path) or words.get(posixpath.basename(path))
        if line is not None:
            found.changes.setdefault(path, Change(frozenset({KEPT, GONE}), shown([line.strip()])))


_NAMES = re.compile(r"[\w.+/~-]+")


Way = tuple["State | None", "bool | None"]
"""The state after a command, None where nothing comes after it; and whether it succeeded, None where that is not known."""


class _Follower:
    """Follows one script."""

    def __init__(self, name: str, there: Delivered, found: Effects) -> None:
        self.name, self.there, self.found = name, there, found
        self.files = Files(name, there)
        self.deeds = Deeds(self.files, found)
        self.functions: dict[str, shell.Part] = {}
        self.calls = 0
        self.exits: list[State] = []
        self.returns: list[list[State]] = []
        self.breaks: list[list[State]] = []

    def run(self, script: shell.Part) -> None:
        # Debian Policy, 6.5: preinst install; postinst configure, with no version where none was there.
        # rpm-scriptlets(7): 1 of a first install.
        first = "1" if self.there.rpm else {"preinst": "install", "postinst": "configure"}[self.name]
        state = State(dict(self.found.changes), Variables({"1": first, "2": "", "#": "1"}, arch=self.there.arch))
        end, _status = self.part(script, state)
        states = [*self.exits, *([end] if end is not None else [])]
        if states:
            self.found.changes = self.files.joined(states).changes

    # -- what stands around commands

    def part(self, part: shell.Part, state: State) -> Way:
        self.files.count(1)
        match part:
            case shell.Command():
                return self.command(part, state)
            case shell.Sequence(parts=parts, inner=inner):
                return self.inner(parts, state) if inner else self.sequence(parts, state)
            case shell.Not(part=inside):
                after, status = self.part(inside, state)
                return after, None if status is None else not status
            case shell.Chain():
                return self.chain(part, state)
            case shell.If():
                return self.choice(part, state)
            case shell.Case():
                return self.case(part, state)
            case shell.Loop():
                return self.loop(part, state)
            case shell.Pipe(parts=parts):
                return self.pipe(parts, state)
            case shell.Function(name=name, body=body):
                self.functions[name] = body
                return state, True

    def sequence(self, parts: Sequence[shell.Part], state: State) -> Way:
        status: bool | None = True
        for each in parts:
            after, status = self.part(each, state)
            if after is None:
                return None, status
            state = after
        return state, status

    def inner(self, parts: Sequence[shell.Part], state: State) -> Way:
        """A subshell: what it exits from is itself alone."""
        before, self.exits = self.exits, []
        after, status = self.sequence(parts, state.copy())
        joined = self.files.either(after, *self.exits)
        status = status if not self.exits else None
        self.exits = before
        if joined is None:
            return None, status
        return State(joined.changes, state.variables, state.directory), status

    def chain(self, part: shell.Chain, state: State) -> Way:
        known = _asked(part.left)
        after, status = self.part(part.left, state)
        if after is None:
            return None, status
        if status is not None:
            return self.part(part.right, after) if status != part.either else (after, status)
        skipped = self.assumed(known, after, part.either)
        tried, then = self.part(part.right, self.assumed(known, after, not part.either))
        return self.files.either(skipped, tried), part.either if then is part.either else None

    def assumed(self, asked: shell.Command | None, state: State, status: bool) -> State:
        """A copy in which a question about a file has been answered."""
        state = state.copy()
        if asked is None:
            return state
        words = [word for raw in asked.words for word in expanded(raw, state.variables)]
        words = words[1:-1] if words[-1:] in (["]"], ["]]"]) else words[1:]
        while words[:1] == ["!"]:
            words, status = words[1:], not status
        if len(words) == 2 and words[0] in OF_FILES:
            path = self.files.path(state, words[1])
            if path is not None and constant(path) and self.files.outcomes(state, path) == {NONE}:
                self.files.put(state, path, {THERE if status else GONE}, ())
        return state

    def choice(self, part: shell.If, state: State) -> Way:
        known = _asked(part.condition)
        after, status = self.part(part.condition, state)
        if after is None:
            return None, status
        if status is not None:
            return self.part(part.then if status else part.otherwise, after)
        yes, _first = self.part(part.then, self.assumed(known, after, True))
        no, _second = self.part(part.otherwise, self.assumed(known, after, False))
        return self.files.either(yes, no), None

    def case(self, part: shell.Case, state: State) -> Way:
        words = expanded(part.word, state.variables)
        word = words[0] if len(words) == 1 else "" if not words else ANY
        ways: list[State | None] = []
        for patterns, body in part.arms:
            told = [fits(word, p) for raw in patterns for p in (expanded(raw, state.variables) or [""])]
            if any(each is True for each in told):
                ways.append(self.part(body, state.copy())[0])
                break
            if any(each is None for each in told):
                ways.append(self.part(body, state.copy())[0])
        else:
            ways.append(state)
        return self.files.either(*ways), None

    def loop(self, part: shell.Loop, state: State) -> Way:
        self.breaks.append([])
        end: State | None
        if part.condition is not None:
            before, _status = self.part(part.condition, state)
            body = self.part(part.body, before.copy())[0] if before is not None else None
            end = self.files.either(before, body)
        else:
            end = self.each(part, state)
        end = self.files.either(end, *self.breaks.pop())
        return end, None

    def each(self, part: shell.Loop, state: State) -> State | None:
        end: State | None = state
        for word in [word for raw in part.words for word in expanded(raw, state.variables)]:
            if is_wholly_computed(word) or ANY in word:
                once = end.copy() if end is not None else None
                if once is not None:
                    once.variables.set(part.name, word)
                    end = self.files.either(end, self.part(part.body, once)[0], *self.breaks[-1])
                    self.breaks[-1].clear()
                continue
            values = [word] if constant(word) else ["/" + path for path in self.files.matches(state, word)[0]]
            for value in values or [word]:
                if end is None:
                    break
                end.variables.set(part.name, value)
                end = self.files.either(self.part(part.body, end)[0], *self.breaks[-1])
                self.breaks[-1].clear()
        return end

    def pipe(self, parts: Sequence[shell.Part], state: State) -> Way:
        """The last of them takes away what the first has named: ``find ... | xargs rm``."""
        words = self.named(parts[0], state)
        for each in parts[:-1]:
            after, _status = self.part(each, state)
            state = after if after is not None else state
        last = parts[-1]
        if isinstance(last, shell.Command):
            told = [word for raw in last.words for word in expanded(raw, state.variables)]
            if told and posixpath.basename(told[0]) == "xargs":
                state = state.copy()
                self.simple(_after_options(told[1:]) + words, state, sure=False)
                return state, None
        if (
            isinstance(last, shell.Loop)
            and isinstance(last.condition, shell.Command)
            and "read" in last.condition.words
        ):
            return self.loop(shell.Loop(last.body, last.condition.words[-1], tuple(words)), state.copy())
        return self.part(last, state)[0], None

    def named(self, part: shell.Part, state: State) -> list[str]:
        if not isinstance(part, shell.Command):
            return [ANY]
        return expanded("$(" + " ".join(part.words) + ")", state.variables) or [ANY]

    # -- commands

    def command(self, part: shell.Command, state: State) -> Way:
        state = state.copy() if not part.words and part.assigned else state
        for name, raw in part.assigned:
            state.variables.set(name, " ".join(expanded(raw, state.variables, split=False)))
        for raw in part.written:
            for word in expanded(raw, state.variables):
                self.deeds.overwritten(word, state, part.words)
        words = [word for raw in part.words for word in expanded(raw, state.variables)]
        if not words:
            return state, True
        return self.simple(words, state)

    def simple(self, words: list[str], state: State, *, sure: bool = True) -> Way:
        words = _without_wrappers(words)
        if not words:
            return state, True
        name = posixpath.basename(words[0])
        if words[0] in self.functions:
            return self.call(words, state)
        match name:
            case "exit":
                self.exits.append(state)
                return None, True
            case "return":
                (self.returns[-1] if self.returns else self.exits).append(state)
                return None, True
            case "break" | "continue" if self.breaks:
                self.breaks[-1].append(state)
                return None, True
            case "cd":
                state.directory = "/" + path if len(words) == 2 and (path := self.files.path(state, words[1])) else None
                if state.directory is not None and not constant(state.directory):
                    state.directory = None
                return state, True
            case "[" | "[[" | "test":
                return state, self.test(words[1:-1] if name != "test" else words[1:], state)
            case "eval":
                return self.again(" ".join(words[1:]), state)
            case "set" | "shift":
                if name == "shift" or any(word == "--" or not word.startswith(("-", "+")) for word in words[1:]):
                    state.variables.forget_arguments()
                return state, True
            case "export" | "local" | "readonly" | "declare":
                for word in words[1:]:
                    if "=" in word:
                        state.variables.set(*word.partition("=")[::2])
                return state, True
            case "read":
                for word in words[1:]:
                    state.variables.set(word, ANY)
                return state, None
            case "true" | ":" | "echo" | "printf" | "ldconfig" | "mkdir" | "chmod" | "chown":
                return state, True
            case "false":
                return state, False
        if name in _SHELLS and "-c" in words[1:-1]:
            return self.again(words[words.index("-c") + 1], state)
        deed = self.deeds.of(name)
        if deed is not None:
            deed(words, state, sure)
            return state, True
        if self.is_delivered(words, state):
            self.found.computed = True  # nobody reads what a program makes
        elif name in _MAKERS:
            self.made(words, state)
        return state, None

    def call(self, words: list[str], state: State) -> Way:
        if self.calls >= CALLS:
            raise Unreadable
        self.calls += 1
        self.returns.append([])
        kept = state.variables
        inner = State(state.changes, kept.called_with(words[1:]), state.directory)
        after, status = self.part(self.functions[words[0]], inner)
        ends = self.returns.pop()
        self.calls -= 1
        joined = self.files.either(after, *ends)
        if joined is not None:
            joined.variables = joined.variables.returned_to(kept)
        return joined, status if not ends else None

    def again(self, text: str, state: State) -> Way:
        """A text that the shell reads as commands."""
        if not constant(text):
            self.found.computed = True
            text = text.translate({ord(sign): "\ufffd" for sign in MAGIC})
            _named(text, self.there, self.found)
            return state, None
        if self.calls >= CALLS:
            raise Unreadable
        self.calls += 1
        way = self.part(shell.read_script(text), state)
        self.calls -= 1
        return way

    def is_delivered(self, words: list[str], state: State) -> bool:
        """Whether a command is a delivered file, by itself or as what a shell is handed."""
        first = posixpath.basename(words[0])
        candidates = words[1:2] if first in _SHELLS or words[0] in (".", "source") else words[:1]
        for word in candidates:
            path = self.files.path(state, word) if "/" in word else None
            if path is not None and path in self.files.files:
                return True
        return False

    def made(self, words: list[str], state: State) -> None:
        if any(FILES.search(word) or not constant(word) for word in words[1:]):
            self.found.computed = True
        text = " ".join(words[1:])
        if TAKES_AWAY.search(text):
            named = Effects()
            _named(text.translate({ord(sign): "\ufffd" for sign in MAGIC}), self.there, named)
            for path, change in named.changes.items():
                self.files.put(state, path, self.files.outcomes(state, path) | change.outcomes, words)

    def test(self, words: list[str], state: State) -> bool | None:
        for joint, both in (("-o", any), ("||", any), ("-a", all), ("&&", all)):
            if joint in words:
                at = words.index(joint)
                told = [self.test(words[:at], state), self.test(words[at + 1 :], state)]
                decided = any(each is (both is any) for each in told)
                return (both is any) if decided else None if None in told else both is all
        if words[:1] == ["!"]:
            told_ = self.test(words[1:], state)
            return None if told_ is None else not told_
        if len(words) == 1:
            return bool(words[0]) if constant(words[0]) else None
        if len(words) == 2 and words[0] in OF_FILES:
            return self.of_file(words[0], words[1], state)
        if len(words) == 2 and words[0] in ("-z", "-n"):
            return (words[0] == "-z") is not bool(words[1]) if constant(words[1]) else None
        if len(words) == 1 or (len(words) == 2 and words[0] in ("=", "==", "!=")):
            return None
        if len(words) == 3:
            return _compared(*words)
        return None

    def of_file(self, option: str, word: str, state: State) -> bool | None:
        there = self.files.exists(state, word)
        path = self.files.path(state, word)
        if there is not True or path is None:
            return there
        found = self.files.outcomes(state, path)
        if option in ("-L", "-h"):
            return (
                path in self.there.links
                if found == {KEPT}
                else True
                if {o.how for o in found} == {Became.LINK}
                else None
            )
        if option == "-d":
            return path not in self.files.files if found <= {NONE, KEPT} and path not in self.there.links else None
        if option in ("-f", "-e"):
            return True if found == {KEPT} and path not in self.there.links else True if option == "-e" else None
        return None


def _asked(part: shell.Part) -> shell.Command | None:
    """The one question about a file that decides whether a condition holds."""
    while isinstance(part, shell.Sequence) and len(part.parts) == 1:
        part = part.parts[0]
    if isinstance(part, shell.Not):
        inner = _asked(part.part)
        return shell.Command(("[", "!", *inner.words[1:])) if inner is not None else None
    if isinstance(part, shell.Command) and part.words and part.words[0] in ("[", "[[", "test"):
        return part
    return None


_WRAPPERS = frozenset({"exec", "command", "time", "sudo", "env", "nohup", "nice", "builtin"})


def _without_wrappers(words: list[str]) -> list[str]:
    while words and posixpath.basename(words[0]) in _WRAPPERS:
        if words[0] == "command" and words[1:2] in (["-v"], ["-V"]):
            return words
        words = words[1:]
        while words and (words[0].startswith("-") or re.match(r"[A-Za-z_]\w*=", words[0])):
            words = words[1:]
    return words


def _after_options(words: list[str]) -> list[str]:
    at = next(
        (n for n, word in enumerate(words) if not word.startswith("-") and not word.isdigit() and word != "{}"),
        len(words),
    )
    return [word for word in words[at:] if word != "{}"]


def _compared(left: str, sign: str, right: str) -> bool | None:
    if not constant(left) or (not constant(right) and sign not in ("=", "==", "!=")):
        return None
    if sign in ("=", "==", "!="):
        same = fits(left, right)
        return None if same is None else same is (sign != "!=")
    try:
        a, b = int(left), int(right)
    except ValueError:
        return None
    return {"-eq": a == b, "-ne": a != b, "-gt": a > b, "-ge": a >= b, "-lt": a < b, "-le": a <= b}.get(sign)
