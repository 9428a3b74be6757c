"""What the words of a shell's script stand for, as far as that can be known without running it.

A word that was expanded is text with signs of no character's: for anything at all, for any part of a name, for a letter.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_xinchuang.inspect.shell import Unreadable, end_of

ANY, STAR, ONE, SPLIT = "\ue000", "\ue001", "\ue002", "\ue003"
"""Anything; a ``*``; a ``?``; where an unquoted word is split. Of Unicode's private use: who reads a script replaces them."""
MAGIC = frozenset((ANY, STAR, ONE, SPLIT))
_MAGIC = re.compile(f"[{ANY}{STAR}{ONE}{SPLIT}]")

LONGEST = 1 << 16
"""Characters of a word; a longer one may be anything."""
MOST_WORDS = 10_000

UNAMES = {"amd64": "x86_64", "arm64": "aarch64", "loong64": "loongarch64"}
"""Debian's architectures by what `uname -m` says there; rpm's are those already."""


@dataclass
class Variables:
    """The variables and arguments that a script has; one that is not among them may be anything."""

    values: dict[str, str] = field(default_factory=dict)
    arch: str = ""

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def set(self, name: str, value: str) -> None:
        self.values[name] = value if len(value) <= LONGEST else ANY

    def copy(self) -> Variables:
        return Variables(dict(self.values), self.arch)

    def joined(self, other: Variables) -> Variables:
        """What is the same in both."""
        names = {*self.values, *other.values}
        return Variables(
            {name: v if (v := self.values.get(name, ANY)) == other.values.get(name, ANY) else ANY for name in names},
            self.arch,
        )

    def forget_arguments(self) -> None:
        """Arguments are others now."""
        self.values = {name: value for name, value in self.values.items() if not (name.isdigit() or name == "#")}

    def called_with(self, arguments: Sequence[str]) -> Variables:
        """The variables in a function."""
        inner = self.copy()
        inner.forget_arguments()
        inner.values |= {str(number): word for number, word in enumerate(arguments, 1)}
        inner.values |= {"#": str(len(arguments)), "@": SPLIT.join(arguments)}
        return inner

    def returned_to(self, outer: Variables) -> Variables:
        """The variables after a function, with the arguments of whoever called it."""
        mine = {name: value for name, value in self.values.items() if not (name.isdigit() or name in "#@")}
        old = {name: value for name, value in outer.values.items() if name.isdigit() or name in "#@"}
        return Variables({**mine, **old}, self.arch)


def constant(word: str) -> bool:
    """Whether it stands for itself alone."""
    return _MAGIC.search(word) is None


def is_wholly_computed(word: str) -> bool:
    """Whether no name of a file can be read from a word."""
    return re.search(r"[\w]", _MAGIC.sub("", word)) is None and not constant(word)


def pattern_of(word: str) -> str:
    """A regular expression for the paths that a word stands for."""
    signs: Mapping[str, str] = {ANY: ".*", STAR: "[^/]*", ONE: "[^/]", SPLIT: " "}
    # Several in a row would be tried in every way.
    word = re.sub(f"[{STAR}{ANY}]*{ANY}[{STAR}{ANY}]*", ANY, re.sub(f"{STAR}+", STAR, word))
    if sum(word.count(sign) for sign in (ANY, STAR)) > 8:
        return ".*"
    return "".join(signs.get(sign) or re.escape(sign) for sign in word)


def fits(word: str, pattern: str) -> bool | None:
    """Whether a word is what a pattern of `case` stands for; None: that cannot be known."""
    if constant(word):
        found = re.fullmatch(pattern_of(pattern).replace("[^/]", "."), word, re.S) is not None
        return None if found and ANY in pattern else found
    return True if pattern == STAR else None


_PIECE = re.compile(
    r"\\(?P<escaped>.)|'(?P<single>[^']*)'|(?P<double>\")|\$(?P<name>[A-Za-z_]\w*|[0-9@*#?$!-])|(?P<braced>\$\{)|(?P<made>\$\(|`)"
    r"|(?P<star>\*)|(?P<one>\?)|(?P<range>\[)|(?P<choice>\{[^{}\s]*,[^{}\s]*\})|(?P<plain>[^\\'\"$`*?\[{]+|.)",
    re.S,
)


def expanded(raw: str, variables: Variables, *, split: bool = True) -> list[str]:
    """The words that a word of a script becomes."""
    if len(raw) > LONGEST:
        return [ANY]
    try:
        text, quoted = _pieces(raw, variables)
    except Unreadable:
        return [ANY]
    if len(text) > LONGEST:
        return [ANY]
    if not split:
        return [text.replace(SPLIT, " ")]
    words = [word for word in text.split(SPLIT) if word][:MOST_WORDS]
    return words or ([""] if quoted else [])


def _pieces(raw: str, variables: Variables) -> tuple[str, bool]:
    found: list[str] = []
    at, within, quoted = 0, False, False
    while at < len(raw):
        piece = _PIECE.match(raw, at)
        if piece is None:
            break
        kind, end = piece.lastgroup, piece.end()
        text = piece[0]
        if kind == "escaped":
            text = piece["escaped"] if not within or piece["escaped"] in '$`"\\\n' else text
        elif kind == "double":
            within, quoted, text = not within, True, ""
        elif kind == "single" and not within:
            text, quoted = piece["single"], True
        elif kind == "single":
            text, end = "'", at + 1
        elif kind in ("name", "braced", "made"):
            if kind != "name":
                end = end_of(raw, at, one=True)
            value = _value(raw[at:end], variables)
            whole = within and raw[at:end] not in ("$@", "${@}")
            text = value.replace(SPLIT, " ") if whole else re.sub(r"[ \t\n]+", SPLIT, value) if not within else value
        elif within:
            pass
        elif kind == "star":
            text = STAR
        elif kind == "one":
            text = ONE
        elif kind == "range" and raw not in ("[", "[["):
            text = ANY if "]" in raw[at:] else text
            end = raw.find("]", at) + 1 or end
        elif kind == "choice":
            text = ANY
        found.append(text)
        at = end
    return "".join(found), quoted


def _value(raw: str, variables: Variables) -> str:
    """What a variable or a substitution stands for."""
    if raw.startswith(("$((", "`")) or raw.startswith("$("):
        return ANY if raw.startswith("$((") else _output(raw[2:-1] if raw.startswith("$(") else raw[1:-1], variables)
    name = raw[2:-1] if raw.startswith("${") else raw[1:]
    match = re.fullmatch(r"([A-Za-z_]\w*|[0-9]+|[@*#])(?:(:?[-=])(.*))?", name, re.S)
    if match is None:
        return ANY
    value = variables.get("@" if match[1] == "*" else match[1])
    if value is not None and (value or match[2] is None):
        return value
    if value is None and not (match[1].isdigit() and variables.get("#") is not None):
        return ANY
    inside = expanded(match[3] or "", variables, split=False)
    return inside[0] if inside else ""


def _output(text: str, variables: Variables) -> str:
    """What a command writes, where that follows from its words; what stands below a directory that it names, else."""
    words = [word for raw in text.split() for word in expanded(raw, variables)]
    if not words or "|" in text or ";" in text:
        words = [word for raw in text.partition("|")[0].split() for word in expanded(raw, variables)]
        if not words or ";" in text or words[0] not in ("find", "ls"):
            return ANY
    name, rest = posixpath.basename(words[0]), [word for word in words[1:] if not word.startswith("-")]
    if variables.arch and (words == ["uname", "-m"] or words == ["arch"]):
        return UNAMES.get(variables.arch, variables.arch)
    if variables.arch and words == ["dpkg", "--print-architecture"]:
        return variables.arch
    if name in ("dirname", "basename") and len(rest) == 1 and constant(rest[0]):
        return posixpath.dirname(rest[0]) if name == "dirname" else posixpath.basename(rest[0])
    if name in ("mktemp", "tempfile"):
        return "/tmp/" + ANY
    if name in ("echo", "printf") and rest:
        return SPLIT.join(rest)
    if name == "find" and rest:
        at = words.index("-name") + 1 if "-name" in words[:-1] else 0
        last = words[at].replace("*", STAR).replace("?", ONE) if at else ANY
        return f"{rest[0]}/{ANY}{last}"
    if name == "ls" and rest:
        return SPLIT.join(f"{word}/{ANY}" if constant(word) else word.replace(STAR, ANY) for word in rest)
    return ANY
