"""Types and symbols of C as text."""

from __future__ import annotations

from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol, Type


class CText:
    """Writes C types, near enough to be read."""

    def type(self, t: Type | None) -> str:
        if t is None:
            return "?"
        words = " ".join([*(t.get("qualifiers") or []), ""])
        kind = t["kind"]
        if kind in ("basic", "named"):
            return words + str(t["name"])
        if kind == "pointer":
            return f"{self.type(t['elem'])} *{' '.join(t.get('qualifiers') or [])}".rstrip()
        if kind == "array":
            return f"{self.type(t['elem'])}[{'' if t['length'] < 0 else t['length']}]"
        if kind == "func":
            params = [self.type(p) for p in t.get("params") or []] + (["..."] if t.get("variadic") else [])
            return f"{self.type(t['results'][0])} ({', '.join(params) or 'void'})"
        if kind in ("struct", "union"):
            inner = "; ".join(f"{self.type(f['type'])} {f['name']}" for f in t["fields"])
            return f"{kind} {{ {'...' if t.get('hidden') else inner} }}"
        return f"{kind} {self.type(t.get('elem'))}" if kind == "enum" else "?"

    def symbol(self, s: Symbol) -> str:
        if s["kind"] in ("macro", "const", "header", "library", "export"):
            return str(s.get("value", ""))
        return self.type(s.get("type"))
