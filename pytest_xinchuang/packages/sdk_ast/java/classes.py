"""What two versions of a class are, beside their members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pytest_xinchuang.messages import NOTHING, _, verbatim
from pytest_xinchuang.packages.sdk_ast.java.generics import loosened
from pytest_xinchuang.packages.sdk_ast.java.hierarchy import Hierarchy
from pytest_xinchuang.packages.sdk_ast.java.jdk import OBJECT_METHODS
from pytest_xinchuang.packages.sdk_ast.java.signature import read_type, shown
from pytest_xinchuang.packages.sdk_ast.java.text import JavaText
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol


class Compared(Protocol):
    """What the comparer of Java has for the comparison of two classes."""

    before: Hierarchy
    after: Hierarchy
    generics: bool

    def members(self, owner: str, *, new: bool) -> dict[str, Symbol]: ...

    def label(self, path: str, name: str = "") -> str: ...

    def add(self, rule: str, symbol: str, old: str = "", new: str = "", *, undecided: str = "") -> None: ...


Facts = Mapping[str, Any]

_DECLARATIONS = frozenset(
    {"ANNOTATION_TYPE", "CONSTRUCTOR", "FIELD", "LOCAL_VARIABLE", "METHOD", "MODULE", "PACKAGE", "PARAMETER",
     "RECORD_COMPONENT", "TYPE", "TYPE_PARAMETER"}
)  # fmt: skip
"""Where an annotation without @Target may stand (JLS 9.6.4.1)."""
_COVERS = {"TYPE": {"ANNOTATION_TYPE"}, "TYPE_USE": {"TYPE", "ANNOTATION_TYPE", "TYPE_PARAMETER"}}
_INTERFACES = ("interface", "annotation")


def compare_class(comparer: Compared, label: str, name: str, before: Facts, after: Facts) -> None:
    """Note how a class itself differs."""
    texts = JavaText().symbol({"kind": "class", "facts": before}), JavaText().symbol({"kind": "class", "facts": after})
    kinds = before["kind"], after["kind"]
    if kinds[0] != kinds[1] and any(kind in _INTERFACES for kind in kinds):
        comparer.add("JAVA-CLASS-KIND-CHANGED", label, *kinds)
        return
    if after["final"] and not before["final"] and before["open"]:
        comparer.add("JAVA-CLASS-FINAL-ADDED", label, *texts)
    if after["sealed"] and not before["sealed"] and before["open"]:
        comparer.add("JAVA-CLASS-SEALED", label, *texts)
    made = [m for key, m in comparer.members(name, new=False).items() if key.startswith("<init>")]
    if after["abstract"] and not before["abstract"] and any(m["facts"]["access"] == "public" for m in made):
        comparer.add("JAVA-CLASS-ABSTRACT-ADDED", label, *texts)
    if before["static"] != after["static"]:
        comparer.add("JAVA-CLASS-STATIC-CHANGED", label, *texts)
    _supertypes(comparer, label, before, after)
    _abstract_of_platform(comparer, label, name, before, after)
    _functional(comparer, label, name, before, after)
    if before["sealed"] and "permits" in before:
        more = sorted(set(after.get("permits", ())) - set(before["permits"]))
        if more or not after["sealed"]:
            comparer.add("JAVA-PERMITS-ADDED", label, "", ", ".join(more) or "non-sealed")
    if "components" in before and "components" in after and before["components"] != after["components"]:
        was, now = (
            ", ".join(f"{shown(read_type(t))} {n}" for n, t in facts["components"]) for facts in (before, after)
        )
        comparer.add("JAVA-RECORD-COMPONENTS-CHANGED", label, was, now)
    if "serial" in before and after.get("serial", before["serial"]) != before["serial"]:
        comparer.add("JAVA-SERIAL-CHANGED", label, before["serial"], after["serial"])
    if "annotation" in before and "annotation" in after:
        _annotation(comparer, label, before["annotation"], after["annotation"])
    if comparer.generics:
        _parameters(comparer, label, before, after)


def _supertypes(comparer: Compared, label: str, before: Facts, after: Facts) -> None:
    was, now = comparer.before.closed(before["super"]), comparer.after.closed(after["super"])
    lost = sorted(name for name in was - now - {"java.lang.Object"} if not comparer.before.hides(name))
    if lost:
        unknown = [name for name in comparer.after.unknown_supertypes(after) if name not in was]
        why = _("nothing is known of {type}, which may extend it", type=verbatim(unknown[0])) if unknown else NOTHING
        comparer.add("JAVA-SUPERTYPE-REMOVED", label, ", ".join(lost), "", undecided=why)
    if not comparer.generics:
        return
    both = (set(before["super"]) & set(after["super"])) - {n for n in before["super"] if comparer.before.hides(n)}
    for name in sorted(both):
        old, new = before["parents"].get(name, ""), after["parents"].get(name, "")
        if not old and not comparer.before.is_generic(name):
            continue  # told of the supertype, which became generic
        if old != new and len(before["bounds"]) == len(after["bounds"]):
            was_text, now_text = (shown(read_type(text)) if text else name for text in (old, new))
            comparer.add("JAVA-SUPERTYPE-ARGUMENTS-CHANGED", label, was_text, now_text)


def _abstract_of_platform(comparer: Compared, label: str, name: str, before: Facts, after: Facts) -> None:
    """Methods that subclasses have to write because of a new supertype of the platform."""
    if not (before["open"] and after["abstract"]):
        return
    had, have = comparer.before.abstract_of_platform(before), comparer.after.abstract_of_platform(after)
    members = comparer.members(name, new=True)
    for key in sorted(have.keys() - had.keys()):
        if key not in members and comparer.before.inherited(before, key) is None:
            path = label.removesuffix(name).removesuffix(".")
            comparer.add("JAVA-ABSTRACT-METHOD-ADDED", comparer.label(path, f"{name}#{key}"), "", key)


def _functional(comparer: Compared, label: str, name: str, before: Facts, after: Facts) -> None:
    """Whether a lambda can still be one (JLS 9.8)."""
    if before["kind"] != "interface":
        return

    def methods(facts: Facts, *, new: bool) -> set[str]:
        side = comparer.after if new else comparer.before
        members = comparer.members(name, new=new)
        own = {key for key, m in members.items() if m["kind"] == "method" and m["facts"]["abstract"]}
        return (own | {key for key in side.abstract_of_platform(facts) if key not in members}) - OBJECT_METHODS

    was, now = methods(before, new=False), methods(after, new=True)
    if len(was) == 1 and not now:
        comparer.add("JAVA-FUNCTIONAL-LOST", label, next(iter(was)), "")


def _annotation(comparer: Compared, label: str, before: Facts, after: Facts) -> None:
    was, now = (_targets(facts) for facts in (before, after))
    if lost := sorted(was - now):
        comparer.add("JAVA-ANNOTATION-TARGET-LOST", label, ", ".join(lost), "")
    if before.get("repeatable") and not after.get("repeatable"):
        comparer.add("JAVA-ANNOTATION-REPEATABLE-LOST", label)
    ranks = ("SOURCE", "CLASS", "RUNTIME")
    if ranks.index(after["retention"]) < ranks.index(before["retention"]):
        comparer.add("JAVA-ANNOTATION-RETENTION-REDUCED", label, before["retention"], after["retention"])


def _targets(facts: Facts) -> set[str]:
    found = set(facts.get("targets", _DECLARATIONS))
    return found.union(*(_COVERS.get(name, set()) for name in found))


def _parameters(comparer: Compared, label: str, before: Facts, after: Facts) -> None:
    was, now = ([tuple(map(read_type, bounds)) for bounds in facts["bounds"]] for facts in (before, after))
    if was == now:
        return
    texts = tuple(f"<{', '.join(' & '.join(map(shown, b)) or 'Object' for b in bounds)}>" for bounds in (was, now))
    if was and not now:
        comparer.add("JAVA-CLASS-GENERIC-LOST", label, *texts)
    elif not was:
        comparer.add("JAVA-CLASS-GENERIC-ADDED", label, "", texts[1])
    elif len(was) != len(now) or not all(
        loosened(w, n, comparer.after.supertypes) for w, n in zip(was, now, strict=True)
    ):
        comparer.add("JAVA-TYPE-PARAMETERS-CHANGED", label, *texts)
