"""Compares two declarations of one Go type: underlying type, fields, methods, what it can be used for."""

from __future__ import annotations

from typing import Any

from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sdk_ast.golang.side import GoCorrespondence, Name
from pytest_xinchuang.packages.sdk_ast.golang.signatures import METHOD
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol, Type
from pytest_xinchuang.packages.sdk_ast.typetext import GoText

_CONSTRAINT_RULES = {"tightened": "GO-TYPE-CONSTRAINT-TIGHTENED", "loosened": "GO-TYPE-CONSTRAINT-LOOSENED"}
"""What became of a type parameter's constraint -> the rule; the worst first."""
_RANKS = {
    # Types that hold every value of those before them in their row; int and uint have 64 bits on the platforms graded here,
    # and at least 32 everywhere (Go specification, Numeric types).
    "signed": ("int8", "int16", "int32", "int", "int64"),
    "unsigned": ("uint8", "uint16", "uint32", "uint", "uint64"),
    "float": ("float32", "float64"),
    "complex": ("complex64", "complex128"),
}

SPECIAL_METHODS = {
    # Methods by which the standard library treats a value otherwise once it has them: name -> what changes.
    "MarshalJSON": "encoding/json",
    "UnmarshalJSON": "encoding/json",
    "MarshalText": "encoding",
    "UnmarshalText": "encoding",
    "AppendText": "encoding",
    "MarshalBinary": "encoding",
    "UnmarshalBinary": "encoding",
    "MarshalXML": "encoding/xml",
    "UnmarshalXML": "encoding/xml",
    "GobEncode": "encoding/gob",
    "GobDecode": "encoding/gob",
    "Scan": _("database/sql or fmt"),
    "Value": "database/sql/driver",
    "LogValue": "log/slog",
    "Error": "error",
    "Is": "errors",
    "As": "errors",
    "Unwrap": "errors",
    "String": "fmt",
    "GoString": "fmt",
    "Format": "fmt",
}


class TypeComparison:
    """One comparison; changes go to the comparer."""

    def __init__(self, comparer: GoCorrespondence, old_name: Name, new_name: Name, old: Symbol, new: Symbol) -> None:
        self.c, self.old, self.new = comparer, old, new
        self.path, self.new_path = old_name[0], new_name[0]
        self.label = comparer.label(*old_name)
        self.names = (
            {"type": [p["name"] for p in old.get("typeparams") or []]},
            {"type": [p["name"] for p in new.get("typeparams") or []]},
        )
        self.at = str(new.get("at", ""))

    def run(self) -> None:
        """Compare all that a client can see."""
        if not self._type_params():
            return
        before, after = self.old["type"], self.new["type"]
        if before["kind"] == after["kind"] == "struct":
            self._structs(before, after)
        elif before["kind"] == after["kind"] == "interface":
            self._interfaces(before, after)
            self._implements()
            return
        elif not self._underlying(before, after):
            return
        self._methods()
        self._uses()

    def _text(self, old: Type | None, new: Type | None) -> tuple[str, str]:
        return (
            GoText(self.path).type(old, self.names[0]) if old else "",
            GoText(self.new_path).type(new, self.names[1]) if new else "",
        )

    def _add(self, rule: str, member: str = "", old: str = "", new: str = "", cause: str = "", **params: str) -> None:
        label = f"{self.label}.{member}" if member else self.label
        self.c.add(rule, label, old, new, cause=cause, at=self.at, **params)

    def _type_params(self) -> bool:
        before, after = self.old.get("typeparams") or [], self.new.get("typeparams") or []
        text, new_text = GoText(self.path), GoText(self.new_path)
        if len(before) != len(after):
            old, new = text.parameters(before, self.names[0]), new_text.parameters(after, self.names[1])
            self._add("GO-TYPE-TO-GENERIC" if not before else "GO-TYPE-TYPEPARAMS-CHANGED", "", old, new)
            return False
        judged = [self.c.constraint(a["constraint"], b["constraint"]) for a, b in zip(before, after, strict=True)]
        rule = next((rule for how, rule in _CONSTRAINT_RULES.items() if how in judged), None)
        if rule is not None:
            old, new = text.parameters(before, self.names[0]), new_text.parameters(after, self.names[1])
            self._add(rule, "", old, new)
        return True

    # -- underlying types

    def _underlying(self, before: Type, after: Type) -> bool:
        """Whether it is still worth comparing the methods."""
        if before["kind"] == after["kind"] == "basic" and before["name"] != after["name"]:
            self._add(self._basic(before["name"], after["name"]), "", *self._text(before, after))
            return True
        if before["kind"] == after["kind"] == "chan" and before["direction"] != after["direction"]:
            loosened = after["direction"] == "both" and self.c.same(before["elem"], after["elem"]) is None
            rule = "GO-CHAN-LOOSENED" if loosened else "GO-CHAN-TIGHTENED"
            self._add(rule, "", *self._text(before, after))
            return True
        if found := self.c.same(before, after):
            self._add("GO-TYPE-UNDERLYING-CHANGED", "", *self._text(before, after), cause=self.c.cause_of(found))
            return bool(before["kind"] == after["kind"])
        return True

    @staticmethod
    def _basic(before: str, after: str) -> str:
        for row in _RANKS.values():
            if before in row and after in row:
                return "GO-TYPE-WIDENED" if row.index(after) > row.index(before) else "GO-TYPE-UNDERLYING-CHANGED"
        unsigned, signed = _RANKS["unsigned"], _RANKS["signed"]
        if before in unsigned and after in signed and signed.index(after) >= unsigned.index(before):
            return "GO-TYPE-SIGNED"
        return "GO-TYPE-UNDERLYING-CHANGED"

    # -- structs

    def _structs(self, before: Type, after: Type) -> None:
        direct = {f["name"]: f for f in before["fields"]}
        now = {f["name"]: f for f in after["fields"]}
        promoted = {f["name"]: f for f in self.old.get("promoted") or []}
        promoted_now = {f["name"]: f for f in self.new.get("promoted") or []}
        methods_now = {m["name"] for m in self.new.get("methods") or []}
        for name, field in direct.items():
            self._direct_field(name, field, now.get(name), promoted_now.get(name), name in methods_now)
        for name, field in promoted.items():
            other = now.get(name) or promoted_now.get(name)
            embed = field["from"].split(".")[0]
            if other is None:
                cause = f"- {self.label}.{embed}" if embed in direct and embed not in now else ""
                self._add("GO-PROMOTED-REMOVED", name, *self._text(field["type"], None), cause=cause)
            elif found := self.c.same(field["type"], other["type"]):
                rule = "GO-FIELD-SHADOWED" if name in now else "GO-FIELD-TYPE-CHANGED"
                cause = self.c.cause_of(found) or self._member_cause(name, field["from"])
                self._add(rule, name, *self._text(field["type"], other["type"]), cause=cause)
        self._added_fields(before, after, direct, now, {*promoted, *direct})
        # With an unexported field nobody else writes literals without keys, or lays memory over it.
        kept = [name for name in direct if name in now]
        if not before.get("hidden") and kept != [name for name in now if name in direct]:
            self._add("GO-FIELDS-REORDERED", "", ", ".join(direct), ", ".join(now))

    def _direct_field(self, name: str, field: Any, new: Any, promoted: Any, method: bool) -> None:
        if new is None and promoted is not None and self.c.same(field["type"], promoted["type"]) is None:
            texts = self._text(field["type"], promoted["type"])
            self._add("GO-FIELD-MOVED-TO-EMBEDDED", name, *texts, embedded=promoted["from"])
            return
        if new is None:
            rule = (
                "GO-FIELD-TO-METHOD" if method else "GO-EMBED-REMOVED" if field.get("embedded") else "GO-FIELD-REMOVED"
            )
            self._add(rule, name, *self._text(field["type"], None), cause=f"- {self.label}.{name}")
            return
        if found := self.c.same(field["type"], new["type"]):
            texts = self._text(field["type"], new["type"])
            cause = self.c.cause_of(found) or self._member_cause(name, "")
            self._add("GO-FIELD-TYPE-CHANGED", name, *texts, cause=cause)
        elif field.get("embedded") and not new.get("embedded"):
            self._add("GO-EMBED-TO-FIELD", name, *self._text(field["type"], new["type"]))
        if field.get("tag", "") != new.get("tag", ""):
            self._add("GO-FIELD-TAG-CHANGED", name, field.get("tag", ""), new.get("tag", ""))

    def _added_fields(self, before: Type, after: Type, direct: Any, now: Any, selectable: set[str]) -> None:
        # Outside of the package a literal without keys is possible only while all fields are exported.
        literals = not before.get("hidden") and before["fields"]
        for name, field in now.items():
            if name not in direct:
                rule = "GO-FIELD-ADDED-UNKEYED" if literals else "GO-FIELD-ADDED"
                if name in selectable:
                    rule = "GO-FIELD-ADDED-UNKEYED" if literals else ""
                if rule:
                    self._add(rule, name, *self._text(None, field["type"]))
        if literals and after.get("hidden"):
            self._add("GO-FIELD-HIDDEN-ADDED", "", *self._text(before, after))

    # -- methods of other than interfaces

    def _methods(self) -> None:
        before = {m["name"]: m for m in self.old.get("methods") or []}
        after = {m["name"]: m for m in self.new.get("methods") or []}
        fields_now = set()
        if self.new["type"]["kind"] == "struct":
            fields_now = {f["name"] for f in [*self.new["type"]["fields"], *(self.new.get("promoted") or [])]}
            direct = {f["name"] for f in self.old["type"].get("fields", ())}
            now = {f["name"] for f in self.new["type"]["fields"]}
        else:
            direct = now = set()
        for name, method in before.items():
            other = after.get(name)
            if other is None:
                rule = "GO-METHOD-TO-FIELD" if name in fields_now else "GO-METHOD-REMOVED"
                embed = method.get("from", "").split(".")[0]
                lost = embed in direct and embed not in now
                cause = f"- {self.label}.{embed}" if lost else self._member_cause(name, method.get("from", ""))
                self._add(
                    rule, name, "func" + GoText(self.path).signature(method["type"], self.names[0]), "", cause=cause
                )
                continue
            if other.get("pointer") and not method.get("pointer"):
                self._add("GO-METHOD-POINTER-RECEIVER", name, f"({self.label}).{name}", f"(*{self.label}).{name}")
            self.c.compare_signature(
                METHOD,
                self.path,
                self.new_path,
                f"{self.label}.{name}",
                method["type"],
                other["type"],
                at=self.at,
                cause=self._member_cause(name, method.get("from", "")),
                names=self.names,
            )
        for name, method in after.items():
            if name not in before:
                text = "func" + GoText(self.new_path).signature(method["type"], self.names[1])
                if name in SPECIAL_METHODS:
                    self._add("GO-METHOD-SPECIAL-ADDED", name, "", text, package=SPECIAL_METHODS[name])
                else:
                    self._add("GO-METHOD-ADDED", name, "", text)

    def _member_cause(self, name: str, promoted_from: str) -> str:
        """Where a member that changed is declared: with the types that embed it, it is one cause."""
        owner = self.label
        fields = self.old["type"].get("fields") or []
        for step in promoted_from.split(".") if promoted_from else []:
            found = next((f["type"] for f in fields if f["name"] == step), None)
            if found is not None and found["kind"] == "pointer":
                found = found["elem"]
            if found is None or found["kind"] != "named":
                return ""
            owner = self.c.label(found["package"], found["name"])
            symbol = self.c.old.symbol((found["package"], found["name"]))
            fields = (symbol["type"].get("fields") or []) if symbol else []
        return f"{owner}.{name}"

    def _uses(self) -> None:
        before, after = self.old.get("comparable"), self.new.get("comparable")
        unknown = {*self.old.get("unknown", ()), *self.new.get("unknown", ())}
        if before and after and "comparable" not in unknown:
            if before != "no" and after == "no":
                self._add("GO-TYPE-COMPARABLE-LOST")
            elif before == "strict" and after == "may_panic":
                self._add("GO-TYPE-COMPARISON-MAY-PANIC")
        if self.new.get("lock") and not self.old.get("lock"):
            self._add("GO-TYPE-LOCK-ADDED")
        self._implements()

    def _implements(self) -> None:
        """Interfaces of the package that are lost, where nothing else says so: see the Go reader."""
        has = {i["interface"]: i["by"] for i in self.new.get("implements") or []}
        for one in self.old.get("implements") or []:
            path, _, name = one["interface"].rpartition(".")
            new_path = self.c.new_path(path)
            now = has.get(f"{new_path}.{name}")
            if now == "value" or now == one["by"]:
                continue
            before, after = self.c.old.symbol((path, name)), self.c.new.symbol((new_path, name))
            if before is None or after is None or after.get("type", {}).get("kind") != "interface":
                continue
            known = {m["name"] for m in before["type"].get("methods") or []}
            gained = [m["name"] for m in after["type"].get("methods") or [] if m["name"] not in known]
            label = self.c.label(path, name)
            if before["type"].get("hidden"):
                self._add("GO-IMPLEMENTS-LOST", "", label, "")
            elif gained:
                self._add("GO-IMPLEMENTS-LOST", "", label, "", cause=f"{label}.{gained[0]}")

    # -- interfaces

    def _interfaces(self, before: Type, after: Type) -> None:
        sealed = bool(before.get("hidden")) or not all(
            self.c.old.writable(m["type"]) for m in before.get("methods") or []
        )
        old = {m["name"]: m for m in before.get("methods") or []}
        new = {m["name"]: m for m in after.get("methods") or []}
        for name, method in old.items():
            other = new.get(name)
            text = "func" + GoText(self.path).signature(method["type"], self.names[0])
            if other is None:
                self._add("GO-IFACE-METHOD-REMOVED", name, text, "", cause=self._declared(name, method))
            elif found := self.c.same(method["type"], other["type"]):
                now = "func" + GoText(self.new_path).signature(other["type"], self.names[1])
                cause = self.c.cause_of(found) or self._declared(name, method)
                self._add("GO-IFACE-METHOD-CHANGED", name, text, now, cause=cause)
        for name, method in new.items():
            if name not in old:
                text = "func" + GoText(self.new_path).signature(method["type"], self.names[1])
                rule = "GO-IFACE-METHOD-ADDED-SEALED" if sealed else "GO-IFACE-METHOD-ADDED"
                self._add(rule, name, "", text, cause=self._declared(name, method))
        if after.get("hidden") and not sealed:
            self._add("GO-IFACE-SEALED", "", "", ", ".join(after["hidden"]))
        elif before.get("hidden") and not after.get("hidden"):
            self._add("GO-IFACE-UNSEALED", "", ", ".join(before["hidden"]), "")
        self._type_sets(before, after)

    def _declared(self, name: str, method: Any) -> str:
        """Where an interface's method stands: with all interfaces that embed that one, it is one cause."""
        path, _, owner = method.get("from", "").rpartition(".")
        return f"{self.c.label(path, owner) if owner else self.label}.{name}"

    def _type_sets(self, before: Type, after: Type) -> None:
        texts = self._text(before, after)
        terms, now = before.get("terms"), after.get("terms")
        constraint = terms is not None or before.get("comparable")
        if not constraint and (now is not None or after.get("comparable")):
            comparable = now is None
            self._add("GO-IFACE-COMPARABLE-ADDED" if comparable else "GO-IFACE-TO-CONSTRAINT", "", *texts)
            return
        if terms is not None and now is not None:
            if not self.c.covers(terms, now):
                self._add("GO-CONSTRAINT-NARROWED", "", *texts)
            elif not self.c.covers(now, terms, swapped=True):
                self._add("GO-CONSTRAINT-WIDENED", "", *texts)
        elif terms is None and now is not None:
            self._add("GO-CONSTRAINT-NARROWED", "", *texts)
        elif terms is not None and now is None:
            self._add("GO-CONSTRAINT-WIDENED", "", *texts)
            return
        if terms is None and now is None and bool(before.get("comparable")) != bool(after.get("comparable")):
            self._add("GO-IFACE-COMPARABLE-ADDED" if after.get("comparable") else "GO-CONSTRAINT-WIDENED", "", *texts)
