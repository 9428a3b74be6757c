"""What the scripts of a package do to the names of its files: links, alternatives, copies, diversions.

A shell is not run: a command whose words are constants is understood, and one that computes them leaves open what it makes.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import dropwhile

SCRIPTS = ("preinst", "postinst")
"""Of a deb; those of an rpm (%pre and %pretrans, %post and %posttrans) are read under the same names."""

MOST = 1 << 20
"""Bytes of a script that are read: of a longer one it is left open what it makes."""
MOST_COMMANDS = 10_000

_JOINTS = re.compile(r"\|\||&&|;;|[;|&\n(){}]")
_WORDS_BEFORE = frozenset(
    {"if", "then", "else", "elif", "do", "while", "until", "!", "exec", "command", "time", "eval", "sudo"}
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=\S*")
_MAKERS = frozenset(
    {"tar", "unzip", "cpio", "curl", "wget", "base64", "bsdtar", "python", "python3", "perl", "gunzip", "rsync"}
)
"""Commands that make files which no word of theirs names."""
_FILES = re.compile(r"(?:^|/)(?:usr/|opt/|lib|bin|sbin)|\.so\b")
"""Names of files that a loader or a shell looks for; settings and logs are none."""


@dataclass
class Effects:
    """What scripts do.

    Attributes:
        links: path -> target of the links and copies that are made, paths without a leading slash.
        forced: those of them that take the place of a file.
        diverted: path -> where the file of another package goes that has it.
        computed: a command makes files, or names of such, that cannot be read from its words.
    """

    links: dict[str, str] = field(default_factory=dict)
    forced: set[str] = field(default_factory=set)
    diverted: dict[str, str] = field(default_factory=dict)
    computed: bool = False


def effects_of(texts: Mapping[str, bytes]) -> Effects:
    """What the scripts among the texts of a package do once it is installed."""
    found = Effects()
    for name, text in sorted(texts.items()):
        if name.rpartition("/")[2] in SCRIPTS:
            found.computed = found.computed or len(text) > MOST
            _read(text[:MOST].decode(errors="replace"), found)
    return found


def _read(text: str, found: Effects) -> None:
    first = text.partition("\n")[0]
    if first.startswith("#!") and not re.search(r"\b(?:ba|da|k|z|)sh\b", first):
        found.computed = True  # of another language
        return
    for number, words in enumerate(_commands(text)):
        if number >= MOST_COMMANDS:
            found.computed = True
            return
        _command(words, found)


_DOCUMENT = re.compile(r"(?<!<)<<-?\s*([\"'\\]?)([A-Za-z_]\w*)\1?")
_SHELL = re.compile(r"^\s*(?:\S*/)?(?:ba|da|k|z)?sh\b")


def _without_documents(text: str) -> str:
    """A script without its here-documents (POSIX, 2.7.4): they are what a command reads, unless that is a shell."""
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


def _commands(text: str) -> Iterator[list[str]]:
    text = _without_documents(re.sub(r"\\\n", " ", text))
    text = re.sub(r"(?m)(?:^|(?<=\s))#.*$", "", text)
    for part in _JOINTS.split(text):
        try:
            words = shlex.split(part)
        except ValueError:  # a quotation that a joint has cut, or that is not closed
            words = part.split()
        command = dropwhile(lambda word: word in _WORDS_BEFORE or _ASSIGNMENT.fullmatch(word) is not None, words)
        if words := [word for word in command if not re.match(r"\d?[<>]", word)]:
            yield words


def _command(words: list[str], found: Effects) -> None:
    name = posixpath.basename(words[0])
    plain = [word for word in words[1:] if not word.startswith("-")]
    if name == "dpkg-divert":
        _divert(words[1:], found)
    elif name in ("update-alternatives", "alternatives"):
        _alternatives(words[1:], found)
    elif name in ("ln", "cp", "install", "mv"):
        if name == "install" and any(re.fullmatch(r"-[a-zA-Z]*d[a-zA-Z]*|--directory", word) for word in words[1:]):
            return
        _placed(name, words[1:], plain, found)
    elif name in _MAKERS and any(_FILES.search(word) or _computes(word) for word in words[1:]):
        found.computed = True


def _computes(word: str) -> bool:
    return any(sign in word for sign in "$`*?[")


def _placed(name: str, words: list[str], plain: list[str], found: Effects) -> None:
    options = "".join(word for word in words if re.fullmatch(r"-[a-zA-Z]+", word))
    if name == "install":
        # -m, -o, -g and -t have a word of their own.
        plain = _without_values(words, "mog")
    if any(map(_computes, plain)) or len(plain) < 2 or "t" in options:
        relevant = [word for word in plain if _computes(word) or _FILES.search(word)]
        found.computed = found.computed or bool(relevant)
        return
    targets, place = plain[:-1], plain[-1]
    into = place.endswith("/") or len(targets) > 1
    if not place.startswith("/"):
        found.computed = found.computed or bool(_FILES.search(place))
        return
    if name == "mv":
        found.computed = found.computed or any(map(_FILES.search, plain))
        return
    for each in targets:
        path = (posixpath.join(place, posixpath.basename(each)) if into else place).strip("/")
        found.links[path] = each
        if "f" in options or name != "ln":
            found.forced.add(path)


def _without_values(words: Iterable[str], letters: str) -> list[str]:
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = len(word) == 2 and word[1] in letters
        else:
            kept.append(word)
    return kept


def _divert(words: list[str], found: Effects) -> None:
    if any(word in ("--remove", "--list", "--truename", "--listpackage") for word in words):
        return
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
    if not path or _computes(path) or _computes(target):
        found.computed = True
        return
    found.diverted[path.strip("/")] = (target or f"{path}.distrib").strip("/")


def _alternatives(words: list[str], found: Effects) -> None:
    for at, word in enumerate(words):
        if word not in ("--install", "--slave"):
            continue
        three = words[at + 1 : at + 4]
        if len(three) < 3 or any(map(_computes, three)):
            found.computed = True
            continue
        link, name, path = three
        found.links[link.strip("/")] = f"/etc/alternatives/{name}"
        found.links[f"etc/alternatives/{name}"] = path
