"""Declarations of C++ as text."""

from __future__ import annotations

from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol


def text_of(symbol: Symbol) -> str:
    """A declaration, near enough to be read."""
    facts = symbol.get("facts") or {}
    kind = symbol["kind"]
    if kind in ("func", "method"):
        return function_text(symbol)
    if kind == "class":
        head = f"template {_parameters(facts['template'])} " if facts.get("template") is not None else ""
        bases = ", ".join(
            f"{'virtual ' * virtual}{access} {base}" for base, access, virtual in facts.get("bases") or ()
        )
        return f"{head}{facts['tag']}{' final' * bool(facts.get('final'))}{' : ' * bool(bases)}{bases}"
    if kind in ("field", "var"):
        return str(facts.get("type", ""))
    if kind == "type":
        if facts.get("enum"):
            return f"enum{' class' * bool(facts.get('scoped'))} : {facts['underlying']}"
        return str(facts.get("concept") or facts.get("using") or facts.get("type") or "")
    if kind == "module":
        return str(facts.get("alias") or facts.get("directive") or "namespace")
    return str(symbol.get("value", ""))


def function_text(symbol: Symbol) -> str:
    """A function's declaration with its qualifiers."""
    facts = symbol["facts"]
    before = [word for word in ("static", "virtual", "explicit", "constexpr") if facts.get(word)]
    defaults = facts.get("defaults") or []
    required = len(facts["params"]) - len(defaults)
    params = [*facts["params"][:required]]
    params += [f"{t} = {d}" if d else t for t, d in zip(facts["params"][required:], defaults, strict=True)]
    if facts.get("variadic"):
        params.append("...")
    after = [word for word in ("const", "volatile") if facts.get(word)]
    after += [facts["ref"]] if facts.get("ref") else []
    after += [word for word in ("noexcept", "final") if facts.get(word) and not facts.get("destructor")]
    after += [f"= {word}" for word, fact in (("0", "pure"), ("delete", "deleted")) if facts.get(fact)]
    name = facts.get("base", "").rpartition("::")[2]
    head = f"template {_parameters(facts['template'])} " if facts.get("template") is not None else ""
    return head + " ".join(
        [*before, *([facts["result"]] if facts["result"] else []), f"{name}({', '.join(params)})", *after]
    )


def _parameters(parameters: list[dict[str, object]]) -> str:
    def one(p: dict[str, object]) -> str:
        default = f" = {p['default']}" if p["default"] else ""
        return f"{p['kind']}{'...' if p['pack'] else ''}{default}"

    return "<" + ", ".join(map(one, parameters)) + ">"
