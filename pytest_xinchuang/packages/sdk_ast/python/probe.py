"""Imports one version of a distribution and tries clients on it, without running its functions.

Started as ``python -I probe.py ORDERS`` behind a wall. ORDERS is JSON: ``roots`` (directories to import from), ``tops``
(names that are the distribution's own), ``modules`` (in order), ``compiled`` (extension modules), ``probes`` and ``results``,
a file that gets a JSON record a line: ``module`` with what became of its import and the names it has, ``probe`` with an
outcome. It uses the standard library alone.
"""

from __future__ import annotations

import collections.abc
import enum
import importlib
import importlib.abc
import importlib.machinery
import inspect
import io
import json
import resource
import sys
import types
import warnings
from typing import Any

HOLDS, FAILS, UNTRIED = "holds", "fails", "untried"
MEMORY = 4 << 30
"""Bytes of address space: what large scientific packages need to be imported."""


class Own(importlib.abc.MetaPathFinder):
    """Finds the distribution's own modules where it was delivered, and nowhere else: an installed copy is not asked."""

    def __init__(self, roots: list[str], tops: list[str]) -> None:
        self.roots, self.tops = roots, set(tops)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        top, _dot, rest = name.partition(".")
        if top not in self.tops:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path if rest else self.roots, target)
        # A package may bring a finder for submodules of its own; where its directory has none the others look there alone.
        if spec is None and not rest:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return spec


class Tried:
    """The modules of one version."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self.orders = orders
        self.tops = set(orders["tops"])
        self.modules: dict[str, types.ModuleType | str] = {}
        self.why: dict[str, str] = {}

    def load(self, name: str) -> str:
        """The outcome of an import: one that fails for a reason outside the distribution was not tried."""
        if name not in self.modules:
            try:
                self.modules[name] = importlib.import_module(name)
            except BaseException as error:
                self.modules[name] = FAILS if self.fault(error) else UNTRIED
                self.why[name] = f"{type(error).__name__}: {error}"
        found = self.modules[name]
        return found if isinstance(found, str) else HOLDS

    def fault(self, error: BaseException) -> bool:
        """Whether an error is the distribution's own: a name of its own that is not there."""
        if isinstance(error, ImportError):
            missing = error.name or ""
            if missing.partition(".")[0] not in self.tops:
                return False
            return missing not in self.orders["compiled"] and not (error.path or "").endswith((".so", ".pyd"))
        if isinstance(error, AttributeError):
            owner = getattr(error, "obj", None)
            return isinstance(owner, types.ModuleType) and owner.__name__.partition(".")[0] in self.tops
        return isinstance(error, NameError) and not isinstance(error, UnboundLocalError)

    def find(self, probe: dict[str, Any]) -> tuple[str, str, Any, Any]:
        """Outcome, complaint, object and what holds it."""
        outcome = self.load(probe["module"])
        if outcome != HOLDS:
            return outcome, self.why.get(probe["module"], ""), None, None
        holder: Any = None
        found: Any = self.modules[probe["module"]]
        for name in probe["path"]:
            holder = found
            try:
                found = inspect.getattr_static(found, name) if isinstance(found, type) else getattr(found, name)
            except AttributeError:
                try:
                    found = getattr(holder, name)
                except AttributeError as error:
                    return FAILS, f"AttributeError: {error}", None, None
                except Exception as error:
                    return UNTRIED, str(error), None, None
            except Exception as error:
                return (FAILS if self.fault(error) else UNTRIED), f"{type(error).__name__}: {error}", None, None
        return HOLDS, "", found, holder


def signature_of(found: Any, holder: Any) -> tuple[inspect.Signature | None, int, str, str]:
    """The signature of what is called, how many arguments come before those of the caller; else an outcome and why."""
    extra = 0
    if isinstance(holder, type):
        if isinstance(found, (staticmethod, classmethod)):
            found = found.__get__(None, holder)
        elif inspect.isfunction(found):
            extra = 1
        else:
            return None, 0, UNTRIED, "a descriptor"
    if not callable(found):
        return None, 0, FAILS, f"TypeError: {type(found).__name__!r} object is not callable"
    if not isinstance(found, type) and not inspect.isroutine(found) and not inspect.isfunction(type(found).__call__):
        return None, 0, UNTRIED, "a callable object that is compiled"
    try:
        return inspect.signature(found), extra, HOLDS, ""
    except (ValueError, TypeError) as error:
        return None, 0, UNTRIED, str(error)


def call(probe: dict[str, Any], found: Any, holder: Any) -> tuple[str, str]:
    """Bind arguments as a call would."""
    signature, extra, outcome, said = signature_of(found, holder)
    if signature is None:
        return outcome, said
    try:
        bound = signature.bind(*range(probe["positional"] + extra), **dict.fromkeys(probe["named"]))
    except TypeError as error:
        return FAILS, f"TypeError: {error}"
    variadic = {p.name for p in signature.parameters.values() if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    if variadic & set(bound.arguments) and not probe["variadic"]:
        return UNTRIED, "whatever it is given is passed on"
    return HOLDS, ""


def position(probe: dict[str, Any], found: Any, holder: Any) -> tuple[str, str]:
    """Which parameter takes an argument that is given by position: another one, where the parameter is still there."""
    signature, extra, _outcome, said = signature_of(found, holder)
    if signature is None:
        return UNTRIED, said
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    order = [p.name for p in signature.parameters.values() if p.kind in kinds][extra:]
    index, name = probe["positional"] - 1, probe["name"]
    if index >= len(order) or name not in order:
        return UNTRIED, ""
    taken = order[index]
    return (HOLDS, "") if taken == name else (FAILS, f"argument {index + 1} is taken as {taken!r}")


def special(probe: dict[str, Any], found: Any) -> tuple[str, str]:
    if not isinstance(found, type):
        return UNTRIED, ""
    # By the classes alone: what a metaclass has is no method of instances (language reference, 3.3.12).
    own = [vars(one) for one in found.__mro__]
    if any(next((names[name] for names in own if name in names), None) is not None for name in probe["names"]):
        return HOLDS, ""
    return FAILS, f"TypeError: {found.__name__!r} has no {probe['names'][0]}"


def base(probe: dict[str, Any], found: Any) -> tuple[str, str]:
    if not isinstance(found, type):
        return UNTRIED, ""
    names = {c.__name__ for c in found.__mro__}
    lost = [name for name in probe["names"] if name not in names]
    return (FAILS, f"it does not derive from {lost[0]}") if lost else (HOLDS, "")


def implement(probe: dict[str, Any], found: Any) -> tuple[str, str]:
    """A class that has what was asked of it: nothing abstract may be left."""
    if not isinstance(found, type):
        return UNTRIED, ""
    left = set(getattr(found, "__abstractmethods__", ())) - set(probe["names"])
    return (FAILS, f"TypeError: abstract methods {', '.join(sorted(left))}") if left else (HOLDS, "")


def hashed(_probe: dict[str, Any], found: Any) -> tuple[str, str]:
    if not isinstance(found, type):
        return UNTRIED, ""
    return (FAILS, f"TypeError: unhashable type: {found.__name__!r}") if found.__hash__ is None else (HOLDS, "")


def attribute(_probe: dict[str, Any], found: Any) -> tuple[str, str]:
    if not isinstance(found, type):
        return UNTRIED, ""
    return (HOLDS, "") if found.__dictoffset__ else (FAILS, "AttributeError: it has no attribute beyond its slots")


def frozen(_probe: dict[str, Any], found: Any) -> tuple[str, str]:
    params = getattr(found, "__dataclass_params__", None)
    return (
        (FAILS, "FrozenInstanceError: cannot assign to field") if params is not None and params.frozen else (HOLDS, "")
    )


def unpack(probe: dict[str, Any], found: Any) -> tuple[str, str]:
    fields = getattr(found, "_fields", None)
    if fields is None:
        return UNTRIED, ""
    return (HOLDS, "") if list(fields) == probe["names"] else (FAILS, f"its fields are {', '.join(map(str, fields))}")


def assign(_probe: dict[str, Any], found: Any) -> tuple[str, str]:
    if isinstance(found, property):
        return (HOLDS, "") if found.fset is not None else (FAILS, "AttributeError: can't set attribute")
    return (HOLDS, "") if hasattr(type(found), "__set__") or not hasattr(type(found), "__get__") else (UNTRIED, "")


def bound(_probe: dict[str, Any], found: Any) -> tuple[str, str]:
    if isinstance(found, (staticmethod, classmethod)):
        return HOLDS, ""
    return (FAILS, "TypeError: it needs an instance") if inspect.isfunction(found) else (UNTRIED, "")


def value(probe: dict[str, Any], found: Any) -> tuple[str, str]:
    if not isinstance(found, enum.Enum) or not isinstance(found.value, (int, str)):
        return UNTRIED, ""
    return (
        (HOLDS, "")
        if repr(found.value) == probe["value"]
        else (FAILS, f"ValueError: {probe['value']} is no valid member")
    )


def use(probe: dict[str, Any], found: Any) -> tuple[str, str]:
    """Whether a thing is still used as one of its kind."""
    kind = probe["kind"]
    if isinstance(found, (staticmethod, classmethod)):
        found = found.__func__
    if isinstance(found, property):
        return (FAILS, "TypeError: a property is not callable") if kind == "func" else (HOLDS, "")
    if kind == "class":
        return (HOLDS, "") if isinstance(found, type) else (FAILS, f"TypeError: {type(found).__name__!r} is no class")
    if kind == "func":
        return (
            (HOLDS, "") if callable(found) else (FAILS, f"TypeError: {type(found).__name__!r} object is not callable")
        )
    return UNTRIED, ""


WAYS: dict[str, Any] = {
    "special": special, "base": base, "implement": implement, "hash": hashed, "attribute": attribute, "frozen": frozen,
    "unpack": unpack, "assign": assign, "bound": bound, "value": value, "use": use,
}  # fmt: skip


def tried(modules: Tried, probe: dict[str, Any], loaded: dict[str, list[str]]) -> tuple[str, str]:
    """One client's outcome and complaint."""
    relation = probe["relation"]
    if relation == "loaded":
        if probe["module"] not in loaded:
            return UNTRIED, ""
        child = probe["path"][0]
        if child in loaded[probe["module"]]:
            return HOLDS, ""
        if hasattr(modules.modules[probe["module"]], "__getattr__"):
            return UNTRIED, "the module answers by __getattr__"  # PEP 562: it may load it when it is asked
        return FAILS, f"AttributeError: no attribute {child!r}"
    outcome, said, found, holder = modules.find(probe)
    if outcome != HOLDS or relation == "name":
        return outcome, said
    try:
        if relation in ("call", "position"):
            return (call if relation == "call" else position)(probe, found, holder)
        answer: tuple[str, str] = WAYS[relation](probe, found)
        return answer
    except Exception as error:
        return UNTRIED, f"{type(error).__name__}: {error}"


def names_of(module: types.ModuleType) -> list[str]:
    """What a module offers: its ``__all__``, else its own functions and classes without an underscore."""
    listed = getattr(module, "__all__", None)
    if isinstance(listed, collections.abc.Iterable):
        return sorted(name for name in listed if isinstance(name, str) and hasattr(module, name))
    found = []
    for name, one in list(vars(module).items()):
        home = getattr(one, "__module__", None)
        made = isinstance(one, type) or inspect.isroutine(one)
        if made and not name.startswith("_") and home == module.__name__:
            found.append(name)
    return sorted(found)


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as given:
        orders = json.load(given)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.path[:0] = orders["roots"]
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, Own(orders["roots"], orders["tops"]))
    warnings.simplefilter("ignore")
    sys.argv = ["client"]
    with open(orders["results"], "w", encoding="utf-8") as results:
        sys.stdout = io.StringIO()
        modules = Tried(orders)
        loaded: dict[str, list[str]] = {}
        for top in orders["tops"]:
            if modules.load(top) == HOLDS:
                loaded[top] = [name for name in dir(modules.modules[top]) if not name.startswith("_")]
        for name in orders["modules"]:
            outcome = modules.load(name)
            module = modules.modules[name]
            offered = names_of(module) if isinstance(module, types.ModuleType) else []
            said = {
                "record": "module",
                "name": name,
                "outcome": outcome,
                "names": offered,
                "said": modules.why.get(name, ""),
            }
            results.write(json.dumps(said) + "\n")
        for number, probe in enumerate(orders["probes"]):
            outcome, complaint = tried(modules, probe, loaded)
            results.write(
                json.dumps({"record": "probe", "number": number, "outcome": outcome, "said": complaint[:300]}) + "\n"
            )
        results.write(json.dumps({"record": "end"}) + "\n")


main()
