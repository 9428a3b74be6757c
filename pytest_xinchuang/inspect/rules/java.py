"""Rules about jars against the Java that runs them.

Sources: JVMS 4.1 (class file formats), the JAR file specification (Main-Class, Multi-Release).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Confidence
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.rules.brought import Brought, java_number
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import Message, _, verbatim

LEAST = 8
"""The oldest Java that any system of platforms.yaml has as its default; what asks for no more needs no fact."""

_OF_FORMAT = 44
"""A class file's format above the number of its Java (JVMS 4.1: Java 8 has 52)."""

_VERSIONED = re.compile(r"(?:.*/)?META-INF/versions/([0-9]+)/")
_ENTRY = re.compile(r"^(Main-Class|Start-Class):[ \t]*([\w.$]+)", re.M)
_MULTI = re.compile(r"^Multi-Release:[ \t]*true[ \t]*\r?$", re.M | re.I)
_UNUSED = ("module-info.class", "package-info.class")
"""What no class path loads."""


@dataclass(frozen=True)
class Asked:
    """What the classes of one container ask for.

    Attributes:
        java: the Java without which it does not begin: of the classes that it starts with, else of most of its classes.
        most: the Java without which some of its classes are not loaded.
        example: a class that asks for ``most``.
    """

    java: int
    most: int
    example: str


def asked(node: Node, release: int | None) -> Asked | None:
    """What a container's classes ask for; None where they are content with Java 8.

    Args:
        release: the Java that runs it, whose versions of classes a multi-release jar gives; None where it is not known.
    """
    own = release if release is not None and is_multi_release(node) else None
    seen = {name: version - _OF_FORMAT for name, version in node.classes.items() if _is_loaded(name, own)}
    if not seen:
        return None
    example, most = max(seen.items(), key=lambda item: (item[1], item[0]))
    entries = [seen[name] for name in _entries(node) if name in seen]
    if entries:
        return Asked(max(entries), most, example)
    every = sum(name.endswith(".class") and not _VERSIONED.match(name) for name in node.members)
    ranked = sorted(seen[name] for name in seen if not _VERSIONED.match(name))
    newer = len(ranked)
    return Asked(ranked[newer // 2] if newer * 2 > every else LEAST, most, example)


def _is_loaded(name: str, release: int | None) -> bool:
    """Whether a Java of this release may load a class; None: it takes no version of its own from this container."""
    if name.rpartition("/")[2] in _UNUSED:
        return False
    versioned = _VERSIONED.match(name)
    if versioned is None:
        return True
    number = versioned[1]
    return release is not None and len(number) < 6 and 9 <= int(number) <= release


def _manifest(node: Node) -> str:
    text = node.texts.get("META-INF/MANIFEST.MF", b"").decode(errors="replace")
    return re.sub(r"\r?\n ", "", text)


def is_multi_release(node: Node) -> bool:
    """Whether Java looks for its own versions of classes in a jar."""
    main = re.split(r"\r?\n\r?\n", _manifest(node))[0]
    return _MULTI.search(main) is not None


def _entries(node: Node) -> list[str]:
    found = []
    for _key, name in _ENTRY.findall(_manifest(node)):
        path = f"{name.replace('.', '/')}.class"
        found += [path, f"BOOT-INF/classes/{path}", f"WEB-INF/classes/{path}"]
    return found


def check_java(judge: Judge, nodes: Sequence[Node], along: Brought) -> None:
    """The classes of all containers of a delivery against the Java that it brings, or else the system's own."""
    newest, fact = along.newest("java"), judge.platform.system.software.java
    if along.has("java") and newest is None:
        return
    if not along.has("java") and along.whole:
        return
    own = None if fact.value is None else java_number(fact.value)[0]
    release = newest[0] if newest else own
    found = [(need, node) for node in nodes if node.classes and (need := asked(node, release)) is not None]
    if not found:
        return
    if newest is not None:
        _against(judge, found, newest[0], _("the Java that comes along is {java}", java=newest[0]), Certainty.CERTAIN)
    elif own is None or fact.confidence is Confidence.INFERRED:
        why = (
            _("which Java {system} has is not known", system=judge.platform.system.title.message())
            if own is None
            else _(
                "that {system} has Java {java} is only inferred", system=judge.platform.system.title.message(), java=own
            )
        )
        _tell(judge, found, Certainty.UNDECIDED, why, LEAST)
    else:
        why = _("{system} has Java {java}", system=judge.platform.system.title.message(), java=own)
        _against(judge, found, own, why, Certainty.GUARDED)


def _against(judge: Judge, found: Sequence[tuple[Asked, Node]], java: int, why: Message, certainty: Certainty) -> None:
    """What asks for more than ``java``: what does not begin is as certain as said, what may never be loaded is not."""
    sure = [(need, node) for need, node in found if need.java > java]
    if sure:
        _tell(judge, sure, certainty, why, java)
    else:
        _tell(judge, [(need, node) for need, node in found if need.most > java], Certainty.GUARDED, why, java)


def _tell(judge: Judge, found: Sequence[tuple[Asked, Node]], certainty: Certainty, why: Message, java: int) -> None:
    """One finding for all of them: of the one that asks for most."""
    if not found:
        return
    need, node = max(found, key=lambda item: (item[0].java, item[0].most))
    wanted = need.java if need.java > java else need.most
    judge.find(
        "XC-DIST-025",
        certainty,
        node.place,
        {"containers": [each.place for _need, each in found[:50]], "class": need.example},
        package=node.package,
        others=len(found) - 1,
        how=_("needs") if wanted == need.java else _("in part needs"),
        wanted=wanted,
        example=verbatim(need.example if wanted == need.most else node.package),
        why=why,
    )
