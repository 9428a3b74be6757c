"""Types of TypeScript as trees: what the reader writes of each, as text, and whether a value of one is one of another.

``k`` is the kind of a node: ``p`` a basic type, ``l`` a literal, ``u`` and ``i`` a union and an intersection, ``a`` an
array, ``t`` a tuple, ``o`` an object with ``members``, ``call``, ``new`` and ``index``, ``r`` a type by its name (``e``: the
entry that exports it, ``m``: the module), ``q`` the type of an exported value, ``T`` a type parameter, ``this``, ``keyof``,
``at`` an indexed access, ``c`` a conditional type, ``tpl`` a template, ``x`` a type as text, ``h`` one that has no name for
an importer, ``e`` one that could not be found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Tree = Mapping[str, Any]
Signature = Mapping[str, Any]
Resolve = Callable[[Tree], Tree | None]

OPAQUE = frozenset({"x", "h", "e"})
NAMED = frozenset({"members", "statics", "values"})
"""Keys behind which names of the package stand, which may be those of our own keys."""

ANY: Tree = {"k": "p", "n": "any"}
UNDEFINED: Tree = {"k": "p", "n": "undefined"}
_COVARIANT = frozenset(
    {"Promise", "PromiseLike", "Iterable", "Iterator", "AsyncIterable", "Readonly", "ReadonlySet", "Awaited"}
)
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")


class Unprintable(Exception):
    """A client has no way to write the type."""


def canonical(tree: Any) -> Any:
    """A tree without what is no part of a type: names of parameters and of type parameters, documentation."""
    if isinstance(tree, list):
        return [canonical(one) for one in tree]
    if not isinstance(tree, Mapping):
        return tree
    found = {key: _canonical_part(key, value) for key, value in tree.items() if key not in ("tags", "at")}
    if tree.get("k") == "T" or "params" in tree:
        found.pop("n", None)
    if "params" in found:
        found["params"] = [{k: v for k, v in one.items() if k != "n"} for one in found["params"]]
        for predicate in filter(None, [found.get("pred")]):
            predicate.pop("of", None)
    if "tp" in found:
        found["tp"] = [{k: v for k, v in one.items() if k != "n"} for one in found["tp"]]
    if tree.get("k") in ("u", "i"):
        found["of"] = sorted(found["of"], key=lambda one: json.dumps(one, sort_keys=True))
    return found


def _canonical_part(key: str, value: Any) -> Any:
    return {name: canonical(one) for name, one in value.items()} if key in NAMED else canonical(value)


def same(one: Any, other: Any) -> bool:
    """Whether two trees are one type."""
    return bool(one == other or canonical(one) == canonical(other))


def nodes(tree: Any) -> Iterator[Tree]:
    """Every node of a tree."""
    if isinstance(tree, list):
        for one in tree:
            yield from nodes(one)
    elif isinstance(tree, Mapping):
        if "k" in tree:
            yield tree
        for key, value in tree.items():
            yield from nodes(list(value.values()) if key in NAMED else value)


class Text:
    """Writes types.

    Args:
        strict: for a program: exported names are those of ``import("ENTRY")``, and what cannot be written is an error.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self._inferred: set[str] = set()

    def type(self, tree: Tree) -> str:
        """
        Raises:
            Unprintable: it has no name, and the text is to be a program's.
        """
        kind = tree["k"]
        if kind == "p":
            return str(tree["n"])
        if kind == "l":
            return str(tree["v"])
        if kind in ("u", "i"):
            return (" | " if kind == "u" else " & ").join(self._part(one) for one in tree["of"])
        if kind == "a":
            return ("readonly " if tree.get("ro") else "") + self._part(tree["of"]) + "[]"
        if kind == "t":
            return ("readonly " if tree.get("ro") else "") + f"[{', '.join(map(self._element, tree['of']))}]"
        if kind in ("r", "q"):
            return self._named(tree)
        if kind == "T":
            return self._parameter(tree)
        if kind == "this":
            return "this"
        if kind == "keyof":
            return f"keyof {self._part(tree['of'])}"
        if kind == "at":
            return f"{self._part(tree['o'])}[{self.type(tree['i'])}]"
        if kind == "tpl":
            inner = "".join(f"${{{self.type(t)}}}{text}" for t, text in zip(tree["of"], tree["texts"][1:], strict=True))
            return f"`{tree['texts'][0]}{inner}`"
        if kind == "c":
            return self._conditional(tree)
        if kind == "o":
            return self.shape(tree)
        if kind == "self":
            return ""
        if self.strict:
            raise Unprintable(kind)
        return str(tree.get("s") or tree.get("n") or "?")

    def _conditional(self, tree: Tree) -> str:
        self._inferred |= set(tree["infer"])
        wanted = self._part(tree["ext"])
        self._inferred -= set(tree["infer"])
        check, yes, no = self._part(tree["check"]), self.type(tree["yes"]), self.type(tree["no"])
        return f"{check} extends {wanted} ? {yes} : {no}"

    def _part(self, tree: Tree) -> str:
        text = self.type(tree)
        simple = tree["k"] in ("p", "l", "r", "T", "this") or (tree["k"] in ("a", "t") and not tree.get("ro"))
        return text if simple else f"({text})"

    def _element(self, part: Mapping[str, Any]) -> str:
        text = self._part(part["t"]) if part.get("opt") or part.get("rest") else self.type(part["t"])
        if part.get("rest"):
            return f"...{text}" + ("[]" if part["rest"] == "rest" else "")
        return text + ("?" if part.get("opt") else "")

    def _parameter(self, tree: Tree) -> str:
        if self.strict and tree["i"] == "?":
            raise Unprintable(tree["n"])
        infer = "infer " if tree["i"] in self._inferred else ""
        return infer + (f"{tree['n']}_{tree['i'].replace('.', '_')}" if self.strict else str(tree["n"]))

    def _named(self, tree: Tree) -> str:
        args = f"<{', '.join(map(self.type, tree['args']))}>" if tree.get("args") else ""
        before = "typeof " if tree["k"] == "q" else ""
        if not self.strict:
            return before + str(tree["n"]).removeprefix("export=").removeprefix(".") + args
        module = tree.get("e") or tree.get("m")
        if module is None:
            return f"{before}{tree['n']}{args}"
        name = tree["n"].removeprefix("export=")
        return f'{before}import("{module}")' + (f".{name.removeprefix('.')}" if name else "") + args

    def shape(self, shape: Mapping[str, Any]) -> str:
        """An object type, or a function type where it is one."""
        call, construct = shape.get("call") or [], shape.get("new") or []
        members, index = shape.get("members") or {}, shape.get("index") or []
        if len(call) + len(construct) == 1 and not members and not index:
            return ("new " if construct else "") + self.signature([*call, *construct][0], " => ")
        parts = [self.signature(one, ": ") for one in call]
        parts += ["new " + self.signature(one, ": ") for one in construct]
        for one in index:
            parts.append(f"{'readonly ' if one.get('ro') else ''}[key: {self.type(one['key'])}]: {self.type(one['t'])}")
        parts += [text for name, member in members.items() for text in self.member(name, member)]
        return f"{{ {'; '.join(parts)} }}" if parts else "{}"

    def member(self, name: str, member: Mapping[str, Any]) -> list[str]:
        """The declarations of a member of an object type: several for an overloaded method."""
        key, mark = self.key(name), "?" if member.get("opt") else ""
        if "call" in member:
            return [f"{key}{mark}{self.signature(one, ': ')}" for one in member["call"]]
        return [f"{'readonly ' if member.get('ro') else ''}{key}{mark}: {self.type(member['t'])}"]

    @staticmethod
    def key(name: str) -> str:
        """The name of a member as it stands in a declaration."""
        return name if _IDENTIFIER.fullmatch(name) or name.startswith("[") else json.dumps(name)

    def type_parameters(self, own: Sequence[Mapping[str, Any]]) -> str:
        """A list of type parameters, or nothing."""
        if not own:
            return ""
        texts = []
        for one in own:
            text = self._parameter(one)
            text += f" extends {self.type(one['ext'])}" if "ext" in one else ""
            texts.append(text + (f" = {self.type(one['def'])}" if "def" in one else ""))
        return f"<{', '.join(texts)}>"

    def parameters(self, signature: Signature) -> list[str]:
        """Each parameter as it is declared."""
        texts = []
        for number, one in enumerate(signature["params"]):
            name = one["n"] if _IDENTIFIER.fullmatch(one["n"]) and not self.strict else f"p{number}"
            texts.append(
                f"{'...' if one.get('rest') else ''}{name}{'?' if one.get('opt') else ''}: {self.type(one['t'])}"
            )
        return texts

    def signature(self, signature: Signature, arrow: str = ": ") -> str:
        """What stands behind a function's name."""
        listed = self.parameters(signature)
        if "this" in signature:
            listed.insert(0, f"this: {self.type(signature['this'])}")
        result = self.result(signature)
        return f"{self.type_parameters(signature.get('tp') or [])}({', '.join(listed)})" + (
            f"{arrow}{result}" if result else ""
        )

    def result(self, signature: Signature) -> str:
        """The type of the result, which may be a predicate."""
        predicate = signature.get("pred")
        if predicate is None:
            return self.type(signature["ret"])
        of = predicate["of"] if not self.strict or predicate["index"] < 0 else f"p{predicate['index']}"
        told = f" is {self.type(predicate['t'])}" if predicate["t"] else ""
        return f"{'asserts ' if predicate['asserts'] else ''}{of}{told}"


def is_basic(tree: Tree, *names: str) -> bool:
    """Whether it is one of the basic types."""
    return tree["k"] == "p" and tree["n"] in names


def _kind_of_literal(text: str) -> str:
    if text[0] == '"':
        return "string"
    if text in ("true", "false"):
        return "boolean"
    return "bigint" if text.endswith("n") else "number"


def _members_of(tree: Tree) -> list[Tree]:
    if tree["k"] == "u":
        return [part for one in tree["of"] for part in _members_of(one)]
    if is_basic(tree, "boolean"):
        return [{"k": "l", "v": "true"}, {"k": "l", "v": "false"}]
    return [tree]


class Relation:
    """Whether a value of one type can stand where another is expected (TypeScript handbook, "Type Compatibility", strict mode).

    ``any`` is taken for what it promises: as an old type it stands for everything that somebody may have used it for.

    Args:
        one, other: what a name stands for, on the side of the value and on that of the expectation; None: it is not known.
    """

    def __init__(self, one: Resolve, other: Resolve) -> None:
        self._one, self._other = one, other

    def holds(self, value: Tree, wanted: Tree, deep: int = 0) -> bool | None:
        """None: this cannot be told from the trees alone."""
        if same(value, wanted):
            return None if any(one["k"] == "e" for one in nodes(value)) else True
        if is_basic(wanted, "any", "unknown") or is_basic(value, "never"):
            return True
        if is_basic(value, "any", "unknown") or is_basic(wanted, "never"):
            return False
        if deep > 8 or value["k"] in OPAQUE or wanted["k"] in OPAQUE:
            return None
        if value["k"] == "r" and wanted["k"] == "r" and self._name(value) == self._name(wanted):
            return self._arguments(value, wanted, deep)
        if value["k"] == "r" and (known := self._one(value)) is not None:
            return self.holds(known, wanted, deep + 1)
        if wanted["k"] == "r" and (known := self._other(wanted)) is not None:
            return self.holds(value, known, deep + 1)
        values, places = _members_of(value), _members_of(wanted)
        if len(values) > 1 or len(places) > 1:
            return _every(self._among(one, places, deep) for one in values)
        if value["k"] == "i" or wanted["k"] == "i":
            if wanted["k"] == "i":
                return _every(self.holds(value, one, deep + 1) for one in wanted["of"])
            return _some(self.holds(one, wanted, deep + 1) for one in value["of"]) or None
        return self._single(values[0], places[0], deep)

    @staticmethod
    def _name(tree: Tree) -> tuple[Any, ...]:
        return (tree.get("e"), tree.get("m"), tree["n"])

    def _arguments(self, value: Tree, wanted: Tree, deep: int) -> bool | None:
        mine, theirs = value.get("args") or [], wanted.get("args") or []
        if len(mine) != len(theirs) or value["n"] not in _COVARIANT:
            return None
        return _every(self.holds(a, b, deep + 1) for a, b in zip(mine, theirs, strict=True))

    def _among(self, one: Tree, places: Sequence[Tree], deep: int) -> bool | None:
        return (
            _some(self.holds(one, place, deep + 1) for place in places)
            if len(places) > 1
            else self.holds(one, places[0], deep + 1)
        )

    def _single(self, value: Tree, wanted: Tree, deep: int) -> bool | None:
        kinds = (value["k"], wanted["k"])
        if kinds == ("l", "p"):
            return bool(wanted["n"] == _kind_of_literal(value["v"]))
        if kinds == ("p", "p"):
            return is_basic(value, "undefined") and is_basic(wanted, "void")
        if kinds in (("l", "l"), ("p", "l")):
            return False
        if kinds == ("tpl", "p"):
            return is_basic(wanted, "string")
        if kinds == ("a", "a"):
            if value.get("ro") and not wanted.get("ro"):
                return False
            return self.holds(value["of"], wanted["of"], deep + 1)
        if kinds == ("t", "t"):
            return self._tuples(value, wanted, deep)
        if kinds == ("t", "a") and (wanted.get("ro") or not value.get("ro")):
            return _every(
                self.holds(one["t"], wanted["of"], deep + 1) if not one.get("rest") else None for one in value["of"]
            )
        if kinds == ("a", "t"):
            return False
        if kinds == ("o", "o"):
            return self.shapes(value, wanted, deep)
        if value["k"] in ("p", "l") and wanted["k"] in ("a", "t"):
            return False
        if wanted["k"] in ("p", "l") and value["k"] in ("a", "t", "o"):
            return is_basic(wanted, "object")
        if value["k"] in ("p", "l") and wanted["k"] == "o" and is_basic(value, "undefined", "null", "void"):
            return False
        if value["k"] in ("p", "l") and wanted["k"] == "o" and (wanted.get("call") or wanted.get("new")):
            return False
        return None

    def _tuples(self, value: Tree, wanted: Tree, deep: int) -> bool | None:
        mine, theirs = value["of"], wanted["of"]
        if any(one.get("rest") for one in [*mine, *theirs]):
            return None
        if len(mine) > len(theirs) or (value.get("ro") and not wanted.get("ro")):
            return False
        if any(not one.get("opt") for one in theirs[len(mine) :]):
            return False
        if any(one.get("opt") and not other.get("opt") for one, other in zip(mine, theirs, strict=False)):
            return False
        return _every(self.holds(a["t"], b["t"], deep + 1) for a, b in zip(mine, theirs, strict=False))

    def shapes(self, value: Mapping[str, Any], wanted: Mapping[str, Any], deep: int = 0) -> bool | None:
        """Objects by their members."""
        found: list[bool | None] = []
        mine = value.get("members") or {}
        for name, member in (wanted.get("members") or {}).items():
            if name not in mine:
                found.append(bool(member.get("opt")))
                continue
            if mine[name].get("opt") and not member.get("opt"):
                return False
            found.append(self.members(mine[name], member, deep + 1))
        for part in ("call", "new"):
            if wanted.get(part):
                found.append(self.overloads(value.get(part) or [], wanted[part], deep + 1))
        if wanted.get("index") and not same(value.get("index"), wanted["index"]):
            found.append(None)
        return _every(found)

    def members(self, value: Mapping[str, Any], wanted: Mapping[str, Any], deep: int = 0) -> bool | None:
        """Members of one name."""
        mine, theirs = (one.get("t") or {"k": "o", "call": one["call"]} for one in (value, wanted))
        return self.holds(mine, theirs, deep)

    def overloads(self, value: Sequence[Signature], wanted: Sequence[Signature], deep: int = 0) -> bool | None:
        """Functions: each signature that is expected is one that is there."""
        return _every(_some(self.signatures(one, want, deep + 1) for one in value) for want in wanted)

    def signatures(self, value: Signature, wanted: Signature, deep: int = 0) -> bool | None:
        """Parameters are compared the other way round."""
        if (
            canonical(value.get("tp") or []) != canonical(wanted.get("tp") or [])
            or "this" in value
            or "pred" in value
            or "pred" in wanted
        ):
            return True if same(value, wanted) else None
        mine, theirs = value["params"], wanted["params"]
        if any(one.get("rest") for one in [*mine, *theirs]):
            return True if same(value, wanted) else None
        if sum(not one.get("opt") for one in mine) > len(theirs):
            return False
        turned = Relation(self._other, self._one)
        found = [turned.holds(_taken(b), _taken(a), deep + 1) for a, b in zip(mine, theirs, strict=False)]
        if is_basic(wanted["ret"], "void"):
            return _every(found)
        return _every([*found, self.holds(value["ret"], wanted["ret"], deep + 1)])


def _taken(parameter: Mapping[str, Any]) -> Tree:
    return {"k": "u", "of": [parameter["t"], UNDEFINED]} if parameter.get("opt") else parameter["t"]


def _every(found: Any) -> bool | None:
    results = list(found)
    return False if False in results else None if None in results else True


def _some(found: Any) -> bool | None:
    results = list(found)
    return True if True in results else None if None in results else False
