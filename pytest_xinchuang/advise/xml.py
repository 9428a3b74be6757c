"""XML files of a tree: elements with their lines; one with a document type is not read, for it may grow without a bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

_DEEPEST = 200
"""Elements within each other; a pom.xml has some ten."""


@dataclass
class Element:
    """An element: its name without a namespace, its attributes, its text, and the line on which it begins."""

    name: str
    attributes: dict[str, str]
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            yield from child.walk()

    def child(self, name: str) -> Element | None:
        return next((child for child in self.children if child.name == name), None)

    def said(self, name: str) -> str:
        """The text of a child; "" where there is none."""
        child = self.child(name)
        return child.text if child is not None else ""


def read_xml(text: str) -> Element:
    """The root of a document.

    Raises:
        ValueError: it is none, or one with a document type.
    """
    parser = expat.ParserCreate()
    top = Element("", {}, 0)
    above = [top]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(above) > _DEEPEST:
            raise ValueError("too deep")
        one = Element(name.rpartition(":")[2], attributes, parser.CurrentLineNumber)
        above[-1].children.append(one)
        above.append(one)

    def end(_name: str) -> None:
        one = above.pop()
        one.text = one.text.strip()

    def data(said: str) -> None:
        above[-1].text += said

    def doctype(*_words: object) -> None:
        raise ValueError("a document type")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = data, doctype
    try:
        parser.Parse(text.encode(errors="replace"), True)
    except expat.ExpatError as error:
        raise ValueError("no XML") from error
    if not top.children:
        raise ValueError("no element")
    return top.children[0]
