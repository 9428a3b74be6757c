"""Types as text, in the language's own notation: for messages, never for comparing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol, Type

_CHAN = {"both": "chan ", "send": "chan<- ", "receive": "<-chan "}


class GoText:
    """Writes Go types.

    Args:
        home: the package whose own names need no qualifier.
    """

    def __init__(self, home: str = "") -> None:
        self.home = home

    def type(self, t: Type | None, params: Mapping[str, Sequence[str]] | None = None) -> str:
        """One type. ``params`` are the names of type parameters in reach, by owner."""
        if t is None:
            return "?"
        names = params or {}
        kind = t["kind"]
        if kind == "basic":
            return str(t["name"])
        if kind == "named":
            package = t["package"]
            name = t["name"] if package == self.home else f"{_short(package)}.{t['name']}"
            args = t.get("args")
            return name + (f"[{', '.join(self.type(a, names) for a in args)}]" if args else "")
        if kind == "pointer":
            return "*" + self.type(t["elem"], names)
        if kind == "slice":
            return "[]" + self.type(t["elem"], names)
        if kind == "array":
            return f"[{t['length']}]" + self.type(t["elem"], names)
        if kind == "map":
            return f"map[{self.type(t['key'], names)}]{self.type(t['elem'], names)}"
        if kind == "chan":
            return _CHAN[t["direction"]] + self.type(t["elem"], names)
        if kind == "func":
            return "func" + self.signature(t, names)
        if kind == "struct":
            return self._struct(t, names)
        if kind == "interface":
            return self._interface(t, names)
        if kind == "typeparam":
            known = names.get(t["of"], ())
            return known[t["index"]] if t["index"] < len(known) else f"T{t['index']}"
        if kind == "tuple":
            return f"({', '.join(self.type(e, names) for e in t['elems'])})"
        return "?"

    def signature(self, t: Type, params: Mapping[str, Sequence[str]] | None = None, owner: str = "func") -> str:
        """What stands behind ``func NAME``."""
        names = dict(params or {})
        own = t.get("typeparams") or []
        if own:
            names[owner] = [p["name"] for p in own]
            names.setdefault("method", names[owner])
        listed = [self.type(p, names) for p in t.get("params") or []]
        if t.get("variadic") and listed:
            listed[-1] = "..." + listed[-1].removeprefix("[]")
        results = [self.type(r, names) for r in t.get("results") or []]
        text = self.parameters(own, names) + f"({', '.join(listed)})"
        if len(results) == 1:
            return f"{text} {results[0]}"
        return f"{text} ({', '.join(results)})" if results else text

    def parameters(self, own: Sequence[Mapping[str, Any]], names: Mapping[str, Sequence[str]]) -> str:
        """A list of type parameters, or nothing."""
        if not own:
            return ""
        return "[" + ", ".join(f"{p['name']} {self.constraint(p['constraint'], names)}" for p in own) + "]"

    def constraint(self, t: Type, names: Mapping[str, Sequence[str]]) -> str:
        """A constraint without the ``interface{...}`` that may be left out."""
        if t["kind"] == "interface" and not t.get("methods") and not t.get("hidden"):
            terms = t.get("terms")
            if terms is None:
                return "comparable" if t.get("comparable") else "any"
            if not t.get("comparable"):
                return " | ".join(self._term(term, names) for term in terms) or "interface{}"
        return self.type(t, names)

    def _term(self, term: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> str:
        return ("~" if term["tilde"] else "") + self.type(term["type"], names)

    def _struct(self, t: Type, names: Mapping[str, Sequence[str]]) -> str:
        parts = []
        for f in t["fields"]:
            text = self.type(f["type"], names) if f.get("embedded") else f"{f['name']} {self.type(f['type'], names)}"
            parts.append(text + (f" `{f['tag']}`" if f.get("tag") else ""))
        if t.get("hidden"):
            parts.append("...")
        return "struct{" + "; ".join(parts) + "}"

    def _interface(self, t: Type, names: Mapping[str, Sequence[str]]) -> str:
        parts = [m["name"] + self.signature(m["type"], names, "method") for m in t.get("methods") or []]
        parts += [f"{name}(...)" for name in t.get("hidden") or []]
        if t.get("comparable"):
            parts.append("comparable")
        if t.get("terms") is not None:
            parts.append(" | ".join(self._term(term, names) for term in t["terms"]))
        return "interface{" + "; ".join(parts) + "}" if parts else "any"

    def symbol(self, s: Symbol) -> str:
        """A declaration, on one line."""
        names = {"type": [p["name"] for p in s.get("typeparams") or []]}
        if s["kind"] == "func":
            return "func" + self.signature(s["type"], names)
        if s["kind"] == "const":
            return f"const {self.type(s.get('type'))}" + (f" = {s['value']}" if "value" in s else "")
        if s["kind"] == "type":
            listed = self.parameters(s.get("typeparams") or [], names)
            return f"type{listed} {'= ' if s.get('alias') else ''}{self.type(s.get('type'), names)}"
        return f"{s['kind']} {self.type(s.get('type'), names)}"


def _short(path: str) -> str:
    parts = path.split("/")
    last = parts[-1]
    if len(parts) > 1 and last[:1] == "v" and last[1:].isdigit():
        last = parts[-2]
    return last.removeprefix("go-").removesuffix(".go").split(".v")[0] if len(parts) > 1 else last
