"""Overload sets of C++ in two versions: what calls, addresses, overriders and linked programs notice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.packages.sdk_ast.change import Change
from pytest_xinchuang.packages.sdk_ast.comparer import place_of
from pytest_xinchuang.packages.sdk_ast.cpp.text import function_text
from pytest_xinchuang.packages.sdk_ast.cpp.view import View
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol
from pytest_xinchuang.packages.sdk_ast.words import listed

Overloads = Mapping[str, Symbol]

_ATTRIBUTES = ("noreturn", "nodiscard", "deprecated", "weak")
_HIDES = ("hidden", "internal")


@dataclass
class FunctionComparer:
    """Compares the functions of one name.

    Attributes:
        bound: whether programs that were linked with a function find it still, by its linker name; None: no library says.
    """

    old: View
    new: View
    bound: Any

    def compare(self, base: str, before: Overloads, after: Overloads) -> Iterator[Change]:
        """What differs between two overload sets."""
        same = [name for name in before if name in after]
        gone = {n: s for n, s in before.items() if n not in after}
        came = {n: s for n, s in after.items() if n not in before}
        for name in same:
            yield from self._same(name, before[name], after[name])
        for name, symbol in list(gone.items()):
            if (other := self._successor(symbol, came)) is not None:
                yield from self._changed(name, symbol, came.pop(other))
                del gone[name]
        for name, symbol in gone.items():
            yield from self._gone(name, symbol, bool(after))
        for name, symbol in came.items():
            yield from self._came(base, name, symbol, before)

    # -- pairs

    @staticmethod
    def _successor(symbol: Symbol, came: Overloads) -> str | None:
        """Which new function stands in an old one's place: with the same parameters, then with more that have defaults, then
        the only one."""
        facts = symbol["facts"]
        for name, other in came.items():
            if other["facts"]["params"] == facts["params"]:
                return name
        for name, other in came.items():
            params, defaults = other["facts"]["params"], other["facts"].get("defaults") or []
            if (
                len(params) - len(defaults) <= len(facts["params"])
                and params[: len(facts["params"])] == facts["params"]
            ):
                return name
        alike = [n for n, s in came.items() if len(s["facts"]["params"]) == len(facts["params"])]
        if len(alike) == 1:
            return alike[0]
        return next(iter(came)) if len(came) == 1 else None

    def _same(self, name: str, old: Symbol, new: Symbol) -> Iterator[Change]:
        was, now = old["facts"], new["facts"]
        texts, at = (function_text(old), function_text(new)), place_of(new)

        def change(rule: str, before: str = texts[0], after: str = texts[1]) -> Change:
            return Change(rule, name, before, after, at=at)

        if was.get("deleted"):
            if not now.get("deleted"):
                yield change("CPP-SYMBOL-ADDED")
            return
        if now.get("deleted"):
            yield change("CPP-FUNC-DELETED")
            return
        if was.get("result") != now.get("result"):
            yield change("CPP-FUNC-RESULT-CHANGED")
        if old["kind"] == "method" and bool(was.get("static")) != bool(now.get("static")):
            yield change("CPP-METHOD-STATIC-CHANGED")
        yield from self._qualified(was, now, change)
        yield from self._defaults(was, now, change)
        yield from self._templates(was, now, change)
        yield from self._linked(was, now, change)
        changed = [a for a in _ATTRIBUTES if was.get(a) != now.get(a)]
        if changed:
            yield change("CPP-ATTRIBUTE-CHANGED", *(listed(a for a in changed if side.get(a)) for side in (was, now)))
        if now.get("unavailable") and not was.get("unavailable"):
            yield change("CPP-SYMBOL-UNAVAILABLE")

    def _qualified(self, was: Any, now: Any, change: Any) -> Iterator[Change]:
        if was.get("noexcept") and not now.get("noexcept"):
            yield change("CPP-NOEXCEPT-REMOVED")
        elif now.get("noexcept") and not was.get("noexcept") and not was.get("destructor"):
            yield change(
                "CPP-VIRTUAL-NOEXCEPT-ADDED" if now.get("virtual") and not now.get("final") else "CPP-NOEXCEPT-ADDED"
            )
        for word in ("constexpr", "consteval"):
            if was.get("constexpr") and not now.get("constexpr") and word == "constexpr" and not now.get("consteval"):
                yield change("CPP-CONSTEXPR-REMOVED")
            elif now.get(word) and not was.get(word):
                if word == "consteval":
                    yield change("CPP-CONSTEVAL-ADDED")
                elif not was.get("consteval"):
                    yield change("CPP-CONSTEXPR-ADDED")
        if now.get("explicit") and not was.get("explicit"):
            yield change("CPP-EXPLICIT-ADDED")
        elif was.get("explicit") and not now.get("explicit"):
            yield change("CPP-EXPLICIT-REMOVED")
        if was.get("variadic") != now.get("variadic"):
            yield change("CPP-FUNC-PARAMS-CHANGED")

    @staticmethod
    def _defaults(was: Any, now: Any, change: Any) -> Iterator[Change]:
        before, after = was.get("defaults") or [], now.get("defaults") or []
        if len(after) < len(before):
            yield change("CPP-DEFAULT-REMOVED")
        elif len(after) > len(before):
            yield change("CPP-DEFAULT-ADDED")
        pairs = zip(reversed(before), reversed(after), strict=False)
        if any(one != other for one, other in pairs):
            yield change("CPP-DEFAULT-CHANGED")

    @staticmethod
    def _templates(was: Any, now: Any, change: Any) -> Iterator[Change]:
        if rule := template_change(was.get("template"), now.get("template")):
            yield change(rule)
        if was.get("requires", "") != now.get("requires", ""):
            yield change("CPP-CONSTRAINT-CHANGED" if now.get("requires") else "CPP-CONSTRAINT-REMOVED")

    def _linked(self, was: Any, now: Any, change: Any) -> Iterator[Change]:
        """How a linked program finds it. Private functions matter as far as code in headers uses them."""
        if was.get("inline") or (was.get("access") == "private" and not was.get("inlined") and not was.get("virtual")):
            if was.get("inline") and not now.get("inline") and not was.get("static"):
                yield change("CPP-FUNC-OUTLINED")
            return
        link = was.get("link", "")
        bound = self.bound(link)
        if bound is not None or not link or was.get("pure"):
            return
        if now.get("link") and now["link"] != link:
            yield change("CPP-LINK-NAME-CHANGED", link, now["link"])
        elif now.get("inline"):
            yield change("CPP-FUNC-INLINED")
        elif now.get("visibility") in _HIDES and was.get("visibility") not in _HIDES:
            yield change("CPP-SYMBOL-HIDDEN")

    def _changed(self, name: str, old: Symbol, new: Symbol) -> Iterator[Change]:
        """A function that another one stands in for."""
        was, now = old["facts"], new["facts"]
        texts, at = (function_text(old), function_text(new)), place_of(new)
        if was.get("deleted"):
            yield Change("CPP-SYMBOL-ADDED", name, *texts, at=at)
            return
        if now.get("deleted"):
            yield Change("CPP-FUNC-DELETED", name, *texts, at=at)
            return
        more = now["params"][: len(was["params"])] == was["params"] and len(now["params"]) > len(was["params"])
        inline = bool(was.get("inline"))
        if now["params"] == was["params"]:
            if (old["kind"] == "method") and bool(was.get("static")) != bool(now.get("static")):
                yield Change("CPP-METHOD-STATIC-CHANGED", name, *texts, at=at)
            elif bool(was.get("template") is not None) != bool(now.get("template") is not None):
                yield Change("CPP-FUNC-TO-TEMPLATE", name, *texts, at=at)
            elif was.get("template") is not None and was.get("template") != now.get("template"):
                yield Change("CPP-TEMPLATE-PARAMS-CHANGED", name, *texts, at=at)
            elif now.get("const") and not was.get("const") and inline and not was.get("virtual"):
                yield Change("CPP-CONST-ADDED", name, *texts, at=at)
            else:
                yield Change("CPP-QUALIFIER-CHANGED", name, *texts, at=at)
        elif more and len(now.get("defaults") or ()) >= len(now["params"]) - len(was["params"]):
            rule = "CPP-PARAM-DEFAULTED" if inline and not was.get("virtual") else "CPP-FUNC-PARAMS-CHANGED"
            yield Change(rule, name, *texts, at=at)
        elif len(was["params"]) != len(now["params"]):
            yield Change("CPP-FUNC-PARAMS-CHANGED", name, *texts, at=at)
        else:
            yield Change("CPP-FUNC-PARAM-TYPE-CHANGED", name, *texts, at=at)
        if was.get("result") != now.get("result"):
            yield Change("CPP-FUNC-RESULT-CHANGED", name, *texts, at=at)
        yield from self._qualified(was, now, lambda rule: Change(rule, name, *texts, at=at))

    # -- those without a partner

    def _gone(self, name: str, symbol: Symbol, others: bool) -> Iterator[Change]:
        facts = symbol["facts"]
        text = function_text(symbol)
        if facts.get("deleted"):
            yield Change("CPP-DELETED-REMOVED", name, text, "")
            return
        owner, _colons, _rest = facts["base"].rpartition("::")
        member = name[len(owner) + 2 :] if owner else name
        if symbol["kind"] == "method" and not others and (there := self.new.inherited(owner, member)) is not None:
            if not facts.get("inline"):
                yield Change("CPP-MEMBER-MOVED-TO-BASE", name, text, there[0], at=place_of(there[1]))
            return
        if facts.get("constructor") or facts.get("destructor"):
            implied = not facts["params"] or facts.get("destructor") or _copies(facts, owner)
            if implied and self._implicit(owner, facts):
                if not facts.get("inline") and facts.get("link") and self.bound(facts["link"]) is None:
                    yield Change("CPP-FUNC-INLINED", name, text, "")
                return
        elif _assigns(facts, owner) and self._implicit(owner, facts):
            if not facts.get("inline") and facts.get("link") and self.bound(facts["link"]) is None:
                yield Change("CPP-FUNC-INLINED", name, text, "")
            return
        if facts.get("inline") and self._rewritten(facts):
            return
        rule = "CPP-OVERLOAD-REMOVED" if others else "CPP-FUNC-REMOVED"
        yield Change(rule, name, text, "", cause="" if others else f"- {facts['base']}")

    def _rewritten(self, facts: Any) -> bool:
        """Whether a comparison is made of another operator ([over.match.oper] in ISO C++20): then what it says is the clients'
        to find out."""
        name = str(facts["base"]).rpartition("::")[2]
        others = {"operator!=": ("operator==",), "operator==": ("operator<=>",)}.get(name, ("operator<=>",))
        if name not in ("operator<", "operator>", "operator<=", "operator>=", "operator==", "operator!="):
            return False
        return any(base.rpartition("::")[2] in others for base in self.new.sets)

    def _implicit(self, owner: str, facts: Any) -> bool:
        """Whether a class has a special member without a declaration, as the compiler says of the class as a whole."""
        if facts.get("destructor"):
            return True
        traits = (self.new.symbols.get(owner, {}).get("facts") or {}).get("traits")
        if traits is None:
            return False
        if facts.get("constructor"):
            key = "default" if not facts["params"] else "move" if facts["params"][0].endswith("&&") else "copy"
        else:
            key = "move_assign" if facts["params"][0].endswith("&&") else "assign"
        return bool(traits.get(key))

    def _came(self, base: str, name: str, symbol: Symbol, before: Overloads) -> Iterator[Change]:
        facts = symbol["facts"]
        text, at = function_text(symbol), place_of(symbol)
        if facts.get("destructor"):
            yield Change("CPP-SYMBOL-ADDED", name, "", text, at=at)
            return
        if _special(facts, base):
            return  # what the class as a whole can do says it
        defaults = len(facts.get("defaults") or ())
        if defaults and not facts.get("deleted"):
            least = len(facts["params"]) - defaults
            for other in before.values():
                params = other["facts"]["params"]
                if least <= len(params) < len(facts["params"]) and facts["params"][: len(params)] == params:
                    yield Change("CPP-OVERLOAD-AMBIGUOUS", base, function_text(other), text, at=at)
                    return
        rule = "CPP-OVERLOAD-DELETED-ADDED" if facts.get("deleted") else "CPP-OVERLOAD-ADDED"
        live = [o for o in before.values() if not o["facts"].get("deleted")]
        yield Change(rule if live else "CPP-SYMBOL-ADDED", base, "", text, at=at)


def _copies(facts: Any, owner: str) -> bool:
    """Whether a constructor copies or moves ([class.copy.ctor] in ISO C++)."""
    return len(facts["params"]) == 1 and facts["params"][0] in (f"const {owner} &", f"{owner} &&", f"{owner} &")


def _assigns(facts: Any, owner: str) -> bool:
    return str(facts["base"]).endswith("::operator=") and _copies(facts, owner)


def _special(facts: Any, base: str) -> bool:
    """Whether a class has such a member without a declaration, too."""
    owner = base.rpartition("::")[0]
    if facts.get("constructor"):
        return not facts["params"] or _copies(facts, owner)
    return _assigns(facts, owner)


def template_change(before: Any, after: Any) -> str:
    """The rule about the parameters of a template in two versions; "" where clients may name the same arguments."""
    if before is None or after is None or before == after:
        return ""
    kinds = [[(p["kind"], p["pack"]) for p in side] for side in (before, after)]
    if kinds[0] != kinds[1]:
        more = after[len(before) :]
        extends = kinds[1][: len(before)] == kinds[0] and all(p["default"] or p["pack"] for p in more)
        return "CPP-TEMPLATE-PARAM-ADDED" if extends else "CPP-TEMPLATE-PARAMS-CHANGED"
    if any(was["default"] and not now["default"] for was, now in zip(before, after, strict=True)):
        return "CPP-TEMPLATE-DEFAULT-REMOVED"
    if any(was["default"] and was["default"] != now["default"] for was, now in zip(before, after, strict=True)):
        return "CPP-TEMPLATE-DEFAULT-CHANGED"
    return ""
