"""Whether a use of one generic type still holds with another (JLS 4.5.1, 4.10)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.packages.sdk_ast.java.signature import (
    OBJECT,
    ArrayOf,
    Base,
    ClassType,
    Tree,
    Variable,
    Wildcard,
    member_generic,
    read_type,
    shown,
    written,
)
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol

Above = Callable[[str], Collection[str]]
"""A class -> its supertypes."""


@dataclass(frozen=True)
class MemberTypes:
    """The types of a method or field, as `Generic` has them."""

    bounds: tuple[tuple[Tree, ...], ...]
    params: tuple[Tree, ...]
    result: Tree

    def shown(self) -> str:
        """As sources write them."""
        parameters = (" & ".join(["m" + str(n), *map(shown, bounds)]) for n, bounds in enumerate(self.bounds))
        head = f"<{', '.join(parameters)}> " if self.bounds else ""
        return f"{head}{shown(self.result)}({', '.join(map(shown, self.params))})"


def member_types(name: str, symbol: Symbol) -> MemberTypes:
    """Those of a symbol in a snapshot; its erasure where it has no signature."""
    facts: Mapping[str, Any] = symbol["facts"]
    descriptor = name.partition("#")[2]
    erased = member_generic("", descriptor[descriptor.index("(") :], {}) if "(" in descriptor else None
    if erased is None:
        return MemberTypes((), (), read_type(facts["result"]) if "result" in facts else _erased(symbol["type"]))
    if "result" not in facts:
        return MemberTypes((), erased.params, erased.result)
    params = tuple(map(read_type, facts["params"]))
    bounds = tuple(tuple(map(read_type, one)) for one in facts["bounds"])
    # Signatures of some constructors leave out what the compiler adds (JVMS 4.7.9.1).
    return MemberTypes(
        bounds, params if len(params) == len(erased.params) else erased.params, read_type(facts["result"])
    )


def _erased(tree: Mapping[str, Any]) -> Tree:
    if tree["kind"] == "slice":
        return ArrayOf(_erased(tree["elem"]))
    if tree["kind"] == "basic":
        return Base(tree["name"])
    return ClassType((((f"{tree['package']}." if tree["package"] else "") + tree["name"], ()),))


def accepts(wide: Tree, narrow: Tree, above: Above, *, infers: bool = True) -> bool:
    """Whether every expression of a type can stand where the other is asked for.

    Args:
        above: the names of a class's supertypes. Those with arguments of their own are not followed: the answer is no.
        infers: ``wide`` is a parameter's type, in which a method's own variables are what it is given.
    """
    if wide == narrow:
        return True
    if isinstance(wide, Variable) or isinstance(narrow, Variable):
        # Nothing but Object takes every value of a variable.
        own = infers and isinstance(wide, Variable) and wide.name.startswith("m")
        return own or (isinstance(wide, ClassType) and wide.name == "java.lang.Object")
    if isinstance(wide, ArrayOf) and isinstance(narrow, ArrayOf):
        return accepts(wide.of, narrow.of, above, infers=infers)
    if isinstance(wide, ClassType) and isinstance(narrow, ClassType):
        if not wide.arguments:
            return wide.name == "java.lang.Object" or wide.name in {narrow.name, *above(narrow.name)}
        given = narrow.arguments
        same = wide.name == narrow.name and len(given) == len(wide.arguments)
        return same and all(_contains(w, n, above, infers) for w, n in zip(wide.arguments, given, strict=True))
    return False


def _contains(wide: Tree, narrow: Tree, above: Above, infers: bool) -> bool:
    """Whether a type argument contains another (JLS 4.5.1)."""
    if wide == narrow:
        return True
    if not isinstance(wide, Wildcard):
        return infers and isinstance(wide, Variable) and wide.name.startswith("m")
    if wide.of is None or (wide.bound == "+" and wide.of == OBJECT):
        return True
    inner = narrow.of if isinstance(narrow, Wildcard) else narrow
    if inner is None or (isinstance(narrow, Wildcard) and narrow.bound != wide.bound):
        return False
    return (
        accepts(wide.of, inner, above, infers=infers)
        if wide.bound == "+"
        else accepts(inner, wide.of, above, infers=infers)
    )


def returns(old: Tree, new: Tree, above: Above) -> bool:
    """Whether what a method returns now can stand where its callers put what it returned."""
    if old == new or (isinstance(new, Variable) and new.name.startswith("m") and not isinstance(old, Variable)):
        return True
    return not erased(old, new) and accepts(old, new, above, infers=False)


def erased(old: Tree, new: Tree) -> bool:
    """Whether a class lost its arguments: what is taken out of it is Object then (JLS 4.8)."""
    if isinstance(old, ArrayOf) and isinstance(new, ArrayOf):
        return erased(old.of, new.of)
    if not isinstance(old, ClassType) or not isinstance(new, ClassType):
        return False
    if not old.arguments or not new.arguments:
        return bool(old.arguments) and old.name == new.name
    return len(old.arguments) == len(new.arguments) and any(map(erased, old.arguments, new.arguments))


def loosened(old: Sequence[Tree], new: Sequence[Tree], above: Above) -> bool:
    """Whether a type parameter takes all arguments that it took."""
    kept = [bound for bound in new if written(bound) != "Ljava/lang/Object;"]
    return all(any(accepts(bound, one, above) for one in old) for bound in kept)
