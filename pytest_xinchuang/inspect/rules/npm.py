"""Rules about packages for npm: for whom they say that they are, and what they fetch only when they are installed.

Sources: npm's documentation of package.json (``os``, ``cpu``, ``libc``, ``optionalDependencies``, ``scripts``); for how the
lists are read, npm-install-checks 7.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Architecture
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.formats.fetching import ENDS, fetches_itself
from pytest_xinchuang.inspect.roles import architecture_named
from pytest_xinchuang.inspect.rules.judge import Judge

_FETCHING = re.compile(
    r"prebuild-install|install-from-cache|node-pre-gyp|prebuildify-ci|cmake-js|neon-load|electron-download|\b(?:curl|wget)\b|https?://"
    r"|\bnode\s+\S+\s(?:.*\s)?install\b|\bdownload\w*|\bfetch\w*|\bpostinstall\.[cm]?js|\binstall\.[cm]?js|\binstall/[\w./-]+\.js"
)
"""Scripts of an installation that bring files from elsewhere, or are programs that may: `npm install` runs them."""

MOST_SCRIPT = 8192
"""Characters of a step that are looked at: it is a command, and what it names is in a file."""

STEPS = ("preinstall", "install", "postinstall")


_RUNS = re.compile(r"\b(?:npm|pnpm|yarn|bun)\s+(?:run(?:-script)?\s+)?([\w:.-]+)")
_RUNNERS = frozenset(
    {"node", "nodejs", "sh", "bash", "dash", "zsh", "python", "python3", "perl", "bun", "tsx", "ts-node"}
)
_BETWEEN = re.compile(r"&&|\|\||[;|\n]")


def fetches(text: str, node: Node | None = None, directory: str = "", scripts: Mapping[str, Any] | None = None) -> bool:
    """Whether a step of an installation brings files from elsewhere, or may.

    Args:
        text: the command.
        node: the package, whose scripts are looked into that the command runs, and ``directory`` its place there.
        scripts: the other commands of its package.json, which a command may run by their names.
    """
    if node is None:
        return _FETCHING.search(text[:MOST_SCRIPT]) is not None
    return _Installing(node, directory, scripts or {}).fetches(text)


class _Installing:
    """What the commands of a package run, each of its files and commands looked into once."""

    def __init__(self, node: Node, directory: str, scripts: Mapping[str, Any]) -> None:
        self.node, self.directory, self.scripts = node, directory, scripts
        self.members = frozenset(node.members)
        self._seen: set[str] = set()

    def fetches(self, text: str) -> bool:
        left, found = [], False
        for command in _BETWEEN.split(text[:MOST_SCRIPT]):
            words = [word.strip("'\"") for word in command.split()]
            files = {word: path for word in words if (path := self._file(word, self.directory))}
            found = found or any(self._script(path) for path in files.values())
            runner = next((n for n, word in enumerate(words) if posixpath.basename(word) in _RUNNERS), None)
            script = next((w for w in words[runner + 1 :] if not w.startswith("-")), "") if runner is not None else ""
            if script and script not in files and not any(w in _INLINE for w in words) and not self._is_here(script):
                found = True  # what it would run was not seen
            # The name of a file that was looked into tells nothing more.
            left.append(" ".join(word for word in words if word not in files))
        rest = " ; ".join(left)
        if found or fetches_itself(rest) or _FETCHING.search(rest):
            return True
        return any(self._command(name) for name in _RUNS.findall(text))

    def _command(self, name: str) -> bool:
        text = self.scripts.get(name)
        if not isinstance(text, str) or f":{name}" in self._seen:
            return False
        self._seen.add(f":{name}")
        return self.fetches(text)

    def _script(self, path: str) -> bool:
        if path in self._seen:
            return False
        self._seen.add(path)
        known = self.node.installing.get(path)
        if known is None:
            return path.endswith(ENDS)  # too long, or too many: it was not read
        if known.fetches:
            return True
        directory = posixpath.dirname(path)
        named = (self._file(name, directory) or self._file(name, self.directory) for name in known.names)
        return any(self._script(each) for each in named if each)

    def _file(self, word: str, directory: str) -> str:
        """The script of the package that a word names, as Node.js and a shell look for it; empty where it names none."""
        path = posixpath.normpath(posixpath.join(directory, word))
        tried = (path, *(path + end for end in (".js", ".cjs", ".mjs", ".ts")), f"{path}/index.js", f"{path}/index.mjs")
        return next((each for each in tried if each in self.members and self._is_script(each)), "")

    def _is_script(self, path: str) -> bool:
        return path in self.node.installing or path.endswith(ENDS)

    def _is_here(self, word: str) -> bool:
        """Whether a word names a file of the package that is no script, or one of what it depends on."""
        path = posixpath.normpath(posixpath.join(self.directory, word))
        return path in self.members or "node_modules/" in word


_INLINE = frozenset({"-e", "-p", "-c", "--eval", "--print", "-m"})
"""Options behind which stands a program itself, or the name of a module."""


def manifest_of(node: Node) -> tuple[str, dict[str, Any] | None]:
    """The package.json of the package that a container is, and its name there; None: it is none that can be read."""
    name = next((name for name in ("package/package.json", "package.json") if name in node.texts), "")
    said = node.json(name)
    return name, said if isinstance(said, dict) else None


def check_npm(judge: Judge, node: Node, architectures: Mapping[Any, Architecture]) -> None:
    """The package that a tarball of `npm pack` or a checkout is. What stands in node_modules was installed before."""
    name, said = manifest_of(node)
    if said is None:
        return
    if _refused(judge, node, said):
        return
    _check_optional(judge, node, said, architectures)
    _check_scripts(judge, node, posixpath.dirname(name), said)


def _refused(judge: Judge, node: Node, said: dict[str, Any]) -> bool:
    platform = judge.platform
    mine = {"os": "linux", "cpu": platform.architecture.names.get("npm", ""), "libc": platform.system.libc}
    for field, value in mine.items():
        wanted = said.get(field)
        if wanted is not None and not accepts(wanted, value):
            shown = ", ".join(map(str, wanted)) if isinstance(wanted, list) else str(wanted)
            judge.find(
                "XC-PKG-010",
                Certainty.CERTAIN,
                node.place,
                package=node.package,
                field=field,
                wanted=shown,
                value=value,
            )
            return True
    return False


def accepts(wanted: Any, value: str) -> bool:
    """Whether npm takes a package that asks for ``wanted`` on a system of ``value``: a name or a list, ``!`` for not.

    A list of exclusions alone accepts all others; ``any`` alone accepts everything, and so does what is no list of names.
    """
    words = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(words, list) or not words or words == ["any"]:
        return True
    names = [str(word) for word in words]
    if f"!{value}" in names:
        return False
    return value in names or all(name.startswith("!") for name in names)


def _check_optional(judge: Judge, node: Node, said: dict[str, Any], architectures: Mapping[Any, Architecture]) -> None:
    """Packages of one family, one for each platform: npm installs that whose ``os`` and ``cpu`` fit, or says nothing."""
    listed = said.get("optionalDependencies")
    named = {name: architecture_named(name, architectures) for name in listed or ()} if isinstance(listed, dict) else {}
    families: dict[str, set[str]] = {}
    for name, arch in named.items():
        if arch is not None and "linux" in name.lower():
            families.setdefault(re.split(r"linux", name.lower())[0], set()).add(arch)
    for have in families.values():
        if len(have) > 0 and judge.arch_name not in have:
            judge.find(
                "XC-PKG-008",
                Certainty.GUARDED,
                node.place,
                {"optionalDependencies": sorted(named)},
                package=node.package,
                have=", ".join(sorted(have)),
                wanted=judge.arch_name,
            )
            return


def _check_scripts(judge: Judge, node: Node, directory: str, said: dict[str, Any]) -> None:
    scripts = said.get("scripts")
    if not isinstance(scripts, dict):
        return
    for step in STEPS:
        text = scripts.get(step)
        if isinstance(text, str) and fetches(text, node, directory, scripts):
            built = any(posixpath.join(directory, name) in node.members for name in ("binding.gyp", "CMakeLists.txt"))
            judge.find(
                "XC-PKG-011",
                Certainty.GUARDED,
                node.place,
                {"built": built},
                package=node.package,
                step=step,
                script=text,
            )
            return
