"""Reads scripts of a shell into commands and what they stand under (POSIX.1-2017, XCU 2.3 to 2.10). Nothing is run.

Words stay as they were written, quotes and all: what they mean depends on variables, which whoever follows the script knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

DEPTH = 60
"""Commands in one another that are followed."""

MOST_COMMANDS = 10_000


class Unreadable(Exception):
    """A script that is no shell's, or that nests or goes on beyond what is read here."""


@dataclass(frozen=True)
class Command:
    """A simple command.

    Attributes:
        words: as they were written.
        assigned: (name, word) of the assignments before them.
        written: the words of files that its output replaces.
    """

    words: tuple[str, ...]
    assigned: tuple[tuple[str, str], ...] = ()
    written: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sequence:
    """Commands one after another; ``inner``: of a subshell, whose directory and variables are its own."""

    parts: tuple[Part, ...]
    inner: bool = False


@dataclass(frozen=True)
class Chain:
    """``left && right``, or ``left || right`` where ``either``."""

    left: Part
    right: Part
    either: bool


@dataclass(frozen=True)
class Not:
    """``! part``."""

    part: Part


@dataclass(frozen=True)
class Pipe:
    """Commands that hand their output on."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class If:
    """``if``; an ``elif`` is one in ``otherwise``."""

    condition: Part
    then: Part
    otherwise: Part


@dataclass(frozen=True)
class Case:
    """``case``: the first arm of which a pattern fits."""

    word: str
    arms: tuple[tuple[tuple[str, ...], Part], ...]


@dataclass(frozen=True)
class Loop:
    """``for name in words``, and ``while`` and ``until``, which have a condition and no name."""

    body: Part
    name: str = ""
    words: tuple[str, ...] = ()
    condition: Part | None = None


@dataclass(frozen=True)
class Function:
    """A function that is defined."""

    name: str
    body: Part


Part = Command | Sequence | Chain | Not | Pipe | If | Case | Loop | Function

_DOCUMENT = re.compile(r"(?<!<)<<-?\s*([\"'\\]?)([A-Za-z_]\w*)\1?")
_SHELL = re.compile(r"^\s*(?:\S*/)?(?:ba|da|k|z)?sh\b")


def without_documents(text: str) -> str:
    """A script without its here-documents (XCU 2.7.4): they are what a command reads, unless that is a shell."""
    kept, end = [], ""
    for line in text.split("\n"):
        if end:
            end = "" if line.strip() == end else end
            continue
        kept.append(line)
        begun = _DOCUMENT.search(line)
        if begun is not None and _SHELL.match(line) is None:
            end = begun[2]
    return text if end else "\n".join(kept)


def read_script(text: str) -> Part:
    """The commands of a script.

    Raises:
        Unreadable: a quotation or a compound command has no end, or there is more than is read.
    """
    return _Parser(list(_tokens(without_documents(text.replace("\\\n", " "))))).script()


def simple_commands(part: Part) -> Iterator[Command]:
    """All simple commands of a script, in their order, whatever they stand under."""
    match part:
        case Command():
            yield part
        case Sequence(parts=parts) | Pipe(parts=parts):
            for each in parts:
                yield from simple_commands(each)
        case Chain(left=first, right=second):
            yield from simple_commands(first)
            yield from simple_commands(second)
        case Not(part=inner) | Function(body=inner):
            yield from simple_commands(inner)
        case If(condition=condition, then=then, otherwise=otherwise):
            for each in (condition, then, otherwise):
                yield from simple_commands(each)
        case Case(arms=arms):
            for _patterns, body in arms:
                yield from simple_commands(body)
        case Loop(body=body, condition=asked):
            if asked is not None:
                yield from simple_commands(asked)
            yield from simple_commands(body)


_STEP = re.compile(r"\\.|\$\(|\$\{|['\"`(){}\\]|[^\\$'\"`(){}\s;&|<>]+|.", re.S)
_ENDS = frozenset(" \t\r\n;&|()<>")


def end_of(text: str, at: int, *, one: bool = False) -> int:
    """Where the word that begins at ``at`` ends; with ``one``, where the quotation or substitution that begins there does.

    Raises:
        Unreadable: it has no end.
    """
    open_: list[str] = []
    begin = at
    while at < len(text):
        if one and not open_ and at > begin:
            return at
        found = _STEP.match(text, at)
        if found is None:
            break
        step, top = found[0], open_[-1] if open_ else ""
        if step == "'" and top != '"':
            close = text.find("'", at + 1)
            if close < 0:
                raise Unreadable
            at = close + 1
            continue
        if step in ('"', "`"):
            open_.pop() if top == step else open_.append(step)
        elif step in ("$(", "${") or (step == "(" and top == "("):
            open_.append(step[-1])
        elif (step == ")" and top == "(") or (step == "}" and top == "{"):
            open_.pop()
        elif not open_ and step in _ENDS:
            return at
        at = found.end()
    if open_:
        raise Unreadable
    return at


_SPACE = re.compile(r"(?:[ \t\r]+|#[^\n]*)+")
_REDIRECTION = re.compile(r"\d*(&>>|&>|<<<|<<-?|>>|>\||>&|<&|<>|>|<)")
_OPERATOR = re.compile(r"&&|\|\||;;&?|;&|\|&|[;|&()\n]")


@dataclass(frozen=True)
class _Token:
    kind: str
    """``word``, ``operator`` or ``redirection``."""
    text: str


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        if (space := _SPACE.match(text, at)) is not None:
            at = space.end()
        elif (sign := _REDIRECTION.match(text, at)) is not None:
            yield _Token("redirection", sign[1])
            at = sign.end()
        elif (operator := _OPERATOR.match(text, at)) is not None:
            yield _Token("operator", operator[0])
            at = operator.end()
        else:
            end = end_of(text, at)
            if end == at:
                raise Unreadable
            yield _Token("word", text[at:end])
            at = end


_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.S)
_CLOSERS = frozenset({"then", "else", "elif", "fi", "do", "done", "esac", "}"})
_NONE = Sequence(())


class _Parser:
    """Recursive descent over tokens."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens, self.at, self.depth, self.commands = tokens, 0, 0, 0

    def script(self) -> Part:
        found = self._list(frozenset())
        if self.at < len(self.tokens):
            raise Unreadable
        return found

    @property
    def _next(self) -> _Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else _Token("end", "")

    def _is(self, *texts: str) -> bool:
        token = self._next
        return token.kind in ("operator", "word") and token.text in texts

    def _take(self, *texts: str) -> None:
        if not self._is(*texts):
            raise Unreadable
        self.at += 1

    def _lines(self) -> None:
        while self._is("\n"):
            self.at += 1

    def _list(self, ends: frozenset[str]) -> Part:
        """Commands until one of the words or operators that end the list, which is left."""
        self.depth += 1
        if self.depth > DEPTH:
            raise Unreadable
        parts: list[Part] = []
        while True:
            while self._is("\n", ";", "&"):
                self.at += 1
            if self._next.kind == "end" or self._is(*ends, *_CLOSERS, ")", ";;", ";&", ";;&"):
                break
            parts.append(self._chain())
        self.depth -= 1
        return Sequence(tuple(parts))

    def _chain(self) -> Part:
        left = self._pipe()
        while self._is("&&", "||"):
            either = self._next.text == "||"
            self.at += 1
            self._lines()
            left = Chain(left, self._pipe(), either)
        return left

    def _pipe(self) -> Part:
        if self._is("!"):
            self.at += 1
            return Not(self._pipe_of_commands())
        return self._pipe_of_commands()

    def _pipe_of_commands(self) -> Part:
        parts = [self._command()]
        while self._is("|", "|&"):
            self.at += 1
            self._lines()
            parts.append(self._command())
        return parts[0] if len(parts) == 1 else Pipe(tuple(parts))

    def _command(self) -> Part:
        token = self._next
        compound = {
            "if": self._if, "case": self._case, "for": self._for, "while": self._while, "until": self._while,
            "{": self._braces, "(": self._subshell, "function": self._function,
        }.get(token.text)  # fmt: skip
        if token.kind in ("word", "operator") and compound is not None:
            self.at += 1
            found = compound()
            while self._next.kind == "redirection":
                self._redirection()
            return found
        after = self.tokens[self.at + 1 : self.at + 3]
        if token.kind == "word" and [each.text for each in after] == ["(", ")"]:
            self.at += 3
            self._lines()
            return Function(token.text, self._command())
        return self._simple()

    def _simple(self) -> Part:
        self.commands += 1
        if self.commands > MOST_COMMANDS:
            raise Unreadable
        words: list[str] = []
        assigned: list[tuple[str, str]] = []
        written: list[str] = []
        begin = self.at
        double = False
        while True:
            token = self._next
            if token.kind == "redirection":
                sign, word = self._redirection()
                if sign in (">", ">|", "&>"):
                    written.append(word)
                continue
            if double and token.kind == "operator" and token.text != "\n":
                words.append(token.text)  # within [[ ]]
            elif token.kind != "word":
                break
            elif not words and (found := _ASSIGNMENT.fullmatch(token.text)) is not None:
                assigned.append((found[1], found[2]))
            else:
                words.append(token.text)
                double = words[0] == "[[" and token.text != "]]"
            self.at += 1
        if self.at == begin:
            raise Unreadable
        return Command(tuple(words), tuple(assigned), tuple(written))

    def _redirection(self) -> tuple[str, str]:
        sign = self._next.text
        self.at += 1
        if self._next.kind != "word":
            raise Unreadable
        word = self._next.text
        self.at += 1
        return sign, word

    def _if(self) -> Part:
        self.depth += 1
        if self.depth > DEPTH:
            raise Unreadable
        condition = self._list(frozenset({"then"}))
        self._take("then")
        then = self._list(frozenset())
        otherwise: Part = _NONE
        if self._is("elif"):
            self.at += 1
            otherwise = self._if()
            self.depth -= 1
            return If(condition, then, otherwise)
        if self._is("else"):
            self.at += 1
            otherwise = self._list(frozenset())
        self._take("fi")
        self.depth -= 1
        return If(condition, then, otherwise)

    def _case(self) -> Part:
        word = self._next.text
        if self._next.kind != "word":
            raise Unreadable
        self.at += 1
        self._lines()
        self._take("in")
        arms: list[tuple[tuple[str, ...], Part]] = []
        while True:
            while self._is("\n", ";"):
                self.at += 1
            if self._is("esac"):
                self.at += 1
                return Case(word, tuple(arms))
            if self._is("("):
                self.at += 1
            patterns = []
            while self._next.kind == "word":
                patterns.append(self._next.text)
                self.at += 1
                if self._is("|"):
                    self.at += 1
            self._take(")")
            body = self._list(frozenset({"esac"}))
            arms.append((tuple(patterns), body))
            if self._is(";;", ";&", ";;&"):
                self.at += 1
            elif not self._is("esac"):
                raise Unreadable

    def _for(self) -> Part:
        if self._next.kind != "word":
            raise Unreadable
        name = self._next.text
        self.at += 1
        self._lines()
        words: list[str] = ['"$@"']
        if self._is("in"):
            self.at += 1
            words = []
            while self._next.kind == "word":
                words.append(self._next.text)
                self.at += 1
        return Loop(self._body(), name, tuple(words))

    def _while(self) -> Part:
        condition = self._list(frozenset({"do"}))
        return Loop(self._body(), condition=condition)

    def _body(self) -> Part:
        while self._is("\n", ";"):
            self.at += 1
        self._take("do")
        found = self._list(frozenset())
        self._take("done")
        return found

    def _braces(self) -> Part:
        found = self._list(frozenset())
        self._take("}")
        return found

    def _subshell(self) -> Part:
        found = self._list(frozenset())
        self._take(")")
        return Sequence((found,), inner=True)

    def _function(self) -> Part:
        if self._next.kind != "word":
            raise Unreadable
        name = self._next.text
        self.at += 1
        if self._is("("):
            self.at += 1
            self._take(")")
        self._lines()
        return Function(name, self._command())
