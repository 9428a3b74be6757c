"""Java's symbols as people write them."""

from __future__ import annotations

from pytest_xinchuang.packages.sdk_ast.java.signature import parse_descriptor
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol, Type


class JavaText:
    """Writes Java types."""

    def type(self, t: Type | None) -> str:
        if t is None:
            return "?"
        if t["kind"] == "slice":
            return self.type(t["elem"]) + "[]"
        if t["kind"] == "func":
            return f"{self.type(t['results'][0])} ({', '.join(self.type(p) for p in t['params'])})"
        return str(t["name"]).replace("$", ".")

    def symbol(self, s: Symbol) -> str:
        facts = s.get("facts") or {}
        words = [w for w in (facts.get("access"), *(w for w in ("static", "abstract", "final") if facts.get(w))) if w]
        if s["kind"] in ("class", "module"):
            return " ".join([*words, str(facts.get("kind", s["kind"]))])
        return " ".join([*words, self.type(s.get("type"))]) + (f" = {s['value']}" if "value" in s else "")


def shown(name: str) -> str:
    """``T#m(IJ)V`` as ``T#m(int, long)``."""
    owner, mark, member = name.partition("#")
    if not mark or "(" not in member:
        return name
    method, _, rest = member.partition("(")
    params = parse_descriptor(f"({rest}")["params"]
    called = owner.rpartition(".")[2] if method == "<init>" else method
    return f"{owner}#{called}({', '.join(JavaText().type(p) for p in params)})"
