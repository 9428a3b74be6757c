"""Whether a use of one generic type still holds with another (JLS 4.5.1, 4.10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.packages.sdk_ast.java.signature import (
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


def accepts(wide: Tree, narrow: Tree) -> bool:
    """Whether every expression of a type can stand where the other is asked for.

    Classes that are not equal are not compared: descriptors tell of those.
    """
    if wide == narrow:
        return True
    if isinstance(wide, Variable) or isinstance(narrow, Variable):
        # A method's own variable is inferred from what it is given; nothing but Object takes every value of a variable.
        own = isinstance(wide, Variable) and wide.name.startswith("m")
        return own or (isinstance(wide, ClassType) and wide.name == "java.lang.Object")
    if isinstance(wide, ArrayOf) and isinstance(narrow, ArrayOf):
        return accepts(wide.of, narrow.of)
    if isinstance(wide, ClassType) and isinstance(narrow, ClassType):
        if wide.name != narrow.name:
            return wide.name == "java.lang.Object"
        if not wide.arguments:
            return True
        given = narrow.arguments
        return len(given) == len(wide.arguments) and all(map(_contains, wide.arguments, given))
    return False


def _contains(wide: Tree, narrow: Tree) -> bool:
    """Whether a type argument contains another (JLS 4.5.1)."""
    if wide == narrow:
        return True
    if not isinstance(wide, Wildcard):
        return isinstance(wide, Variable) and wide.name.startswith("m")
    if wide.of is None or (wide.bound == "+" and wide.of == ClassType((("java.lang.Object", ()),))):
        return True
    inner = narrow.of if isinstance(narrow, Wildcard) else narrow
    if inner is None or (isinstance(narrow, Wildcard) and narrow.bound != wide.bound):
        return False
    return accepts(wide.of, inner) if wide.bound == "+" else accepts(inner, wide.of)


def returns(old: Tree, new: Tree) -> bool:
    """Whether what a method returns now can stand where its callers put what it returned."""
    if isinstance(new, Variable) and new.name.startswith("m"):
        return True
    if isinstance(new, ClassType) and isinstance(old, ClassType) and old.arguments and not new.arguments:
        return False  # raw: what is taken out of it is Object
    return accepts(old, new)


def loosened(old: Sequence[Tree], new: Sequence[Tree]) -> bool:
    """Whether a type parameter takes all arguments that it took."""
    kept = [bound for bound in new if written(bound) != "Ljava/lang/Object;"]
    return all(any(accepts(bound, one) for one in old) for bound in kept)
