"""What chooses, in a wheel for every platform, among files for several architectures."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_xinchuang.core.platform import Architecture
from pytest_xinchuang.inspect.artifact import Node

_CALLS = frozenset({"machine", "uname", "get_platform", "processor"})
_MODULES = frozenset({"platform", "os", "sysconfig", "util", "distutils"})
_VARIABLES = frozenset({"MULTIARCH", "HOST_GNU_TYPE", "SOABI", "EXT_SUFFIX"})
"""Arguments of sysconfig.get_config_var that have the architecture in what they give."""


@dataclass(frozen=True)
class Chooser:
    """A source that asks for the machine.

    Attributes:
        words: the constant texts in it.
    """

    name: str
    words: frozenset[str]

    def may_choose(self, architecture: Architecture) -> bool | None:
        """Whether it has a word for an architecture; None: it has none for any, and uses what the machine is called."""
        if any(_names(word, architecture) for word in self.words):
            return True
        return False if any(other in word for word in self.words for other in _USUAL) else None


_USUAL = ("x86_64", "amd64", "x64", "aarch64", "arm64", "loongarch64", "loong64")
"""Words for the platforms' architectures."""


def _names(word: str, architecture: Architecture) -> bool:
    return any(alias in word.lower() for alias in architecture.aliases)


def choosers(node: Node) -> list[Chooser]:
    """The sources of a wheel that call what tells the machine."""
    found = []
    for name, text in sorted(node.texts.items()):
        if not name.endswith(".py"):
            continue
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if any(map(_asks, ast.walk(tree))):
            words = frozenset(
                n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
            )
            found.append(Chooser(name, words))
    return found


def _asks(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    if any(isinstance(a, ast.Constant) and a.value in _VARIABLES for a in node.args):
        return True
    names = list(_dotted(node.func))
    # From an attribute of the module, or imported by its name.
    return bool(names) and names[0] in _CALLS and (len(names) == 1 or names[1] in _MODULES)


def _dotted(node: ast.expr) -> Iterator[str]:
    """The names of ``a.b.c``, the last first."""
    while isinstance(node, ast.Attribute):
        yield node.attr
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
