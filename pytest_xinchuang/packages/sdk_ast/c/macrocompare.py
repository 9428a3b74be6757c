"""What a macro's change means for its users."""

from __future__ import annotations

import re

from pytest_xinchuang.packages.sdk_ast.c.release import goes_back, of_the_release
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol

_LITERAL = re.compile(r"""[(\s]*-?\s*([0-9]|\.[0-9]|(u8|u|U|L)?["']).*""", re.S)
_NAME = re.compile(r"\(*\s*[A-Za-z_]\w*\s*\)*")


def macro_change(name: str, old: Symbol, new: Symbol) -> str:
    """The rule about a macro in two versions; "" where it is the same."""
    was, now = old.get("facts") or {}, new.get("facts") or {}
    if was.get("takes") or now.get("takes"):
        return _with_arguments(old, new)
    if old.get("value") == new.get("value"):
        same = of_the_release(name) or old.get("type") == new.get("type") or not old.get("type") or not new.get("type")
        return "" if same else "C-MACRO-TYPE-CHANGED"
    before, after = str(old.get("value", "")), str(new.get("value", ""))
    if of_the_release(name):
        return "C-MACRO-VERSION-BACK" if goes_back(before, after) else "C-MACRO-VERSION-CHANGED"
    if _LITERAL.fullmatch(before) or _LITERAL.fullmatch(after):
        return "C-MACRO-VALUE-CHANGED"
    if old.get("type") != new.get("type"):
        return "C-MACRO-VALUE-CHANGED"
    return "C-MACRO-BODY-CHANGED"


def _with_arguments(old: Symbol, new: Symbol) -> str:
    was, now = old.get("facts") or {}, new.get("facts") or {}
    if not was.get("takes"):
        return "C-MACRO-ARITY-CHANGED"
    if not now.get("takes"):
        # Another name in its place is called with the same arguments.
        return "C-MACRO-BODY-CHANGED" if _NAME.fullmatch(str(new.get("value", ""))) else "C-MACRO-ARITY-CHANGED"
    if now["variadic"]:
        if was["params"] < now["params"]:
            return "C-MACRO-ARITY-CHANGED"
    elif was["variadic"] or was["params"] != now["params"]:
        return "C-MACRO-ARITY-CHANGED"
    same = (was["body"], was["params"], was["variadic"]) == (now["body"], now["params"], now["variadic"])
    return "" if same else "C-MACRO-BODY-CHANGED"
