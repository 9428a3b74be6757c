"""Descriptors (JVMS 4.3) and generic signatures (JVMS 4.7.9.1), as trees and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.java.classfile import BadClass

BASE = {
    "B": "byte", "C": "char", "D": "double", "F": "float", "I": "int", "J": "long", "S": "short", "Z": "boolean", "V": "void",
}  # fmt: skip


def parse_descriptor(text: str) -> dict[str, Any]:
    """A field or method descriptor (JVMS 4.3) as a tree.

    Raises:
        BadClass: it is malformed.
    """
    if not text.startswith("("):
        found, rest = _field_type(text)
        if rest:
            raise _no_descriptor(text)
        return found
    rest = text[1:]
    params = []
    while rest and not rest.startswith(")"):
        one, rest = _field_type(rest)
        params.append(one)
    result, rest = _field_type(rest[1:])
    if rest:
        raise _no_descriptor(text)
    return {"kind": "func", "params": params, "results": [result]}


def _no_descriptor(text: str) -> BadClass:
    return BadClass(_("{text} is no descriptor", text=verbatim(repr(text))))


def _field_type(text: str) -> tuple[dict[str, Any], str]:
    if text[:1] in BASE:
        return {"kind": "basic", "name": BASE[text[0]]}, text[1:]
    if text[:1] == "[":
        inner, rest = _field_type(text[1:])
        return {"kind": "slice", "elem": inner}, rest
    if text[:1] == "L" and ";" in text:
        name, _rest, rest = text[1:].partition(";")
        package, _rest, short = name.replace("/", ".").rpartition(".")
        return {"kind": "named", "package": package, "name": short}, rest
    raise _no_descriptor(text)


# -- generic signatures


@dataclass(frozen=True)
class Base:
    """A primitive type, or void."""

    name: str


@dataclass(frozen=True)
class Variable:
    """A type variable. ``c0`` is the first of the class, ``m0`` that of the method: names are no part of a type."""

    name: str


@dataclass(frozen=True)
class ArrayOf:
    """An array."""

    of: Tree


@dataclass(frozen=True)
class Wildcard:
    """``?``, ``? extends T`` (bound ``+``) or ``? super T`` (``-``)."""

    bound: str = ""
    of: Tree | None = None


@dataclass(frozen=True)
class ClassType:
    """A class with its arguments.

    Attributes:
        parts: the name of the outermost class, with dots, then the simple names of those within; each with its arguments.
    """

    parts: tuple[tuple[str, tuple[Tree, ...]], ...]

    @property
    def name(self) -> str:
        """Its binary name, with dots and ``$``."""
        return "$".join(name for name, _arguments in self.parts)

    @property
    def arguments(self) -> tuple[Tree, ...]:
        return tuple(one for _name, arguments in self.parts for one in arguments)


Tree = Base | Variable | ArrayOf | Wildcard | ClassType
OBJECT = ClassType((("java.lang.Object", ()),))


@dataclass(frozen=True)
class Generic:
    """A class, method or field with its generic types.

    Attributes:
        bounds: of each type parameter.
        params, result, throws: of a method; ``result`` is a field's type.
        parents: superclass and superinterfaces of a class.
    """

    bounds: tuple[tuple[Tree, ...], ...] = ()
    params: tuple[Tree, ...] = ()
    result: Tree = OBJECT
    throws: tuple[Tree, ...] = ()
    parents: tuple[Tree, ...] = ()


@dataclass
class _Parser:
    """Reads a signature; variables get names by their places.

    Attributes:
        names: the variables that are in scope -> how they are called here.
    """

    text: str
    names: dict[str, str] = field(default_factory=dict)
    at: int = 0

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, wanted: str = "") -> str:
        found = self.peek()
        if not found or (wanted and found != wanted):
            raise BadClass(_("{text} is no signature", text=verbatim(repr(self.text))))
        self.at += 1
        return found

    def until(self, ends: str) -> str:
        start = self.at
        while self.peek() not in ends:
            self.take()
        return self.text[start : self.at]

    def parameters(self, kind: str) -> tuple[tuple[Tree, ...], ...]:
        if self.peek() != "<":
            return ()
        start = self.at
        # Bounds may name later parameters (JLS 8.1.2): the names come first.
        found: list[tuple[Tree, ...]] = []
        for again in (False, True):
            self.at = start
            self.take("<")
            found = []
            while self.peek() != ">":
                name = self.until(":")
                if not again:
                    self.names[name] = f"{kind}{len(found)}"
                bounds = []
                while self.peek() == ":":
                    self.take()
                    if self.peek() != ":":
                        bounds.append(self.type())
                found.append(tuple(bounds))
            self.take(">")
        return tuple(found)

    def type(self) -> Tree:
        first = self.take()
        if first in BASE:
            return Base(BASE[first])
        if first == "[":
            return ArrayOf(self.type())
        if first == "T":
            name = self.until(";")
            self.take(";")
            return Variable(self.names.get(name, name))
        if first != "L":
            raise BadClass(_("{text} is no signature", text=verbatim(repr(self.text))))
        parts: list[tuple[str, tuple[Tree, ...]]] = []
        while True:
            name = self.until(";<.").replace("/", ".")
            arguments: tuple[Tree, ...] = ()
            if self.peek() == "<":
                self.take()
                arguments = self.arguments()
            parts.append((name, arguments))
            if self.take() == ";":
                return ClassType(tuple(parts))

    def arguments(self) -> tuple[Tree, ...]:
        found: list[Tree] = []
        while self.peek() != ">":
            if self.peek() == "*":
                self.take()
                found.append(Wildcard())
            elif self.peek() in "+-":
                found.append(Wildcard(self.take(), self.type()))
            else:
                found.append(self.type())
        self.take(">")
        return tuple(found)


def class_generic(signature: str, parent: str, interfaces: Sequence[str]) -> tuple[Generic, dict[str, str]]:
    """A class's generic types, and how its type variables are called in them; by its erasure where it has no signature.

    Raises:
        BadClass: it is malformed.
    """
    if not signature:
        return Generic(parents=tuple(plain(name) for name in (parent, *interfaces) if name)), {}
    parser = _Parser(signature)
    bounds = parser.parameters("c")
    parents = []
    while parser.peek():
        parents.append(parser.type())
    return Generic(bounds, parents=tuple(parents)), parser.names


def member_generic(signature: str, descriptor: str, names: Mapping[str, str], throws: Sequence[str] = ()) -> Generic:
    """A method's or field's generic types; by its erasure where it has no signature.

    Args:
        names: the type variables of its class.
        throws: the classes of its ``throws``.

    Raises:
        BadClass: it is malformed.
    """
    parser = _Parser(signature or descriptor, dict(names))
    if parser.peek() not in "(<":
        return Generic(result=parser.type())
    bounds = parser.parameters("m")
    parser.take("(")
    params = []
    while parser.peek() != ")":
        params.append(parser.type())
    parser.take(")")
    result = parser.type()
    thrown = []
    while parser.peek() == "^":
        parser.take()
        thrown.append(parser.type())
    return Generic(bounds, tuple(params), result, tuple(thrown) or tuple(plain(name) for name in throws))


def plain(name: str) -> ClassType:
    """A class without arguments."""
    return ClassType(((name, ()),))


def substituted(tree: Tree, by: Mapping[str, Tree]) -> Tree:
    """A type with other types in the place of variables."""
    if isinstance(tree, Variable):
        return by.get(tree.name, tree)
    if isinstance(tree, ArrayOf):
        return ArrayOf(substituted(tree.of, by))
    if isinstance(tree, Wildcard):
        return Wildcard(tree.bound, substituted(tree.of, by)) if tree.of is not None else tree
    if isinstance(tree, ClassType):
        return ClassType(tuple((n, tuple(substituted(a, by) for a in arguments)) for n, arguments in tree.parts))
    return tree


def written(tree: Tree) -> str:
    """A type as its signature (JVMS 4.7.9.1)."""
    if isinstance(tree, Base):
        return next(letter for letter, name in BASE.items() if name == tree.name)
    if isinstance(tree, Variable):
        return f"T{tree.name};"
    if isinstance(tree, ArrayOf):
        return "[" + written(tree.of)
    if isinstance(tree, Wildcard):
        return tree.bound + written(tree.of) if tree.of is not None else "*"
    inner = (
        name.replace(".", "/") + (f"<{''.join(written(a) for a in arguments)}>" if arguments else "")
        for name, arguments in tree.parts
    )
    return f"L{'.'.join(inner)};"


def read_type(text: str) -> Tree:
    """What `written` writes.

    Raises:
        BadClass: it is malformed.
    """
    if text == "*":
        return Wildcard()
    if text[:1] in ("+", "-"):
        return Wildcard(text[0], read_type(text[1:]))
    return _Parser(text).type()


def shown(tree: Tree, *, source: bool = False) -> str:
    """A type as sources call it; with whole names for ``source``."""
    if isinstance(tree, Base | Variable):
        return tree.name
    if isinstance(tree, ArrayOf):
        return shown(tree.of, source=source) + "[]"
    if isinstance(tree, Wildcard):
        words = {"": "?", "+": "? extends ", "-": "? super "}[tree.bound]
        return words + (shown(tree.of, source=source) if tree.of is not None else "")
    parts = []
    for number, (name, arguments) in enumerate(tree.parts):
        text = name if source or number else name.rpartition(".")[2]
        text = text.replace("$", ".")
        parts.append(text + (f"<{', '.join(shown(a, source=source) for a in arguments)}>" if arguments else ""))
    return ".".join(parts)
