"""What differs between two OpenAPI documents: requests must stay accepted, and responses must stay what clients expect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sdk_ast.comparer import Comparer, PackageRules
from pytest_xinchuang.packages.sdk_ast.openapi.schemas import Containment, Finding, directed
from pytest_xinchuang.packages.sdk_ast.snapshot import ApiPackage, Symbol

Facts = Mapping[str, Any]

FLOWS = {"REQUEST": "readOnly", "RESPONSE": "writeOnly"}
"""Direction -> the flag of properties that are not in it."""
_RULES = {
    ("REQUEST", "type"): "OPENAPI-REQUEST-TYPE",
    ("REQUEST", "null"): "OPENAPI-REQUEST-NULL",
    ("REQUEST", "enum"): "OPENAPI-REQUEST-ENUM",
    ("REQUEST", "format"): "OPENAPI-REQUEST-FORMAT",
    ("REQUEST", "pattern"): "OPENAPI-REQUEST-PATTERN",
    ("REQUEST", "length"): "OPENAPI-REQUEST-LENGTH",
    ("REQUEST", "range"): "OPENAPI-REQUEST-RANGE",
    ("REQUEST", "count"): "OPENAPI-REQUEST-COUNT",
    ("REQUEST", "required"): "OPENAPI-REQUEST-REQUIRED",
    ("REQUEST", "additional"): "OPENAPI-REQUEST-ADDITIONAL",
    ("REQUEST", "combination"): "OPENAPI-REQUEST-COMBINATION",
    ("REQUEST", "other"): "OPENAPI-REQUEST-OTHER",
    ("RESPONSE", "type"): "OPENAPI-RESPONSE-TYPE",
    ("RESPONSE", "null"): "OPENAPI-RESPONSE-NULL",
    ("RESPONSE", "enum"): "OPENAPI-RESPONSE-ENUM",
    ("RESPONSE", "format"): "OPENAPI-RESPONSE-FORMAT",
    ("RESPONSE", "pattern"): "OPENAPI-RESPONSE-PATTERN",
    ("RESPONSE", "length"): "OPENAPI-RESPONSE-LENGTH",
    ("RESPONSE", "range"): "OPENAPI-RESPONSE-RANGE",
    ("RESPONSE", "count"): "OPENAPI-RESPONSE-COUNT",
    ("RESPONSE", "required"): "OPENAPI-RESPONSE-REQUIRED",
    ("RESPONSE", "additional"): "OPENAPI-RESPONSE-ADDITIONAL",
    ("RESPONSE", "combination"): "OPENAPI-RESPONSE-COMBINATION",
    ("RESPONSE", "other"): "OPENAPI-RESPONSE-OTHER",
    ("REQUEST", "removed"): "OPENAPI-REQUEST-REQUIRED",
    ("RESPONSE", "removed"): "OPENAPI-RESPONSE-PROPERTY-LOST",
}
"""Direction and kind of a :class:`Finding` -> its rule."""


@dataclass(frozen=True)
class Exchanged:
    """Something that is sent: a body or a parameter, as both versions describe it.

    Attributes:
        label: the symbol, as reports have it.
        flow: ``REQUEST`` or ``RESPONSE``, as the API's server sees it.
        old, new: its schemas; None: that version has none.
    """

    label: str
    flow: str
    old: Any
    new: Any


class OpenApiComparer(Comparer):
    """Compares documents."""

    package_rules = PackageRules(
        added="OPENAPI-PKG-ADDED", removed="OPENAPI-PKG-REMOVED", unverifiable="OPENAPI-UNVERIFIABLE"
    )

    def label(self, path: str, name: str = "") -> str:
        return (name if path == "api" else f"{path} {name}") if name else path

    def new_path(self, path: str) -> str:
        return self.package_map.get(path, path)

    def compare_package(self, old: ApiPackage, new: ApiPackage) -> None:
        self._defs = {flow: tuple(defs_of(side.symbols, flow) for side in (old, new)) for flow in FLOWS}
        super().compare_package(old, new)

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        facts = symbol["facts"]
        if facts["of"] == "operation":
            rule = (
                "OPENAPI-OPERATION-REMOVED-DEPRECATED"
                if facts["sunset"] and facts["deprecated"]
                else "OPENAPI-OPERATION-REMOVED"
            )
            self.add(rule, self.label(path, facts["label"]), facts["sunset"])

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        if symbol["facts"]["of"] == "operation":
            self.add("OPENAPI-OPERATION-ADDED", self.label(path, symbol["facts"]["label"]))

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        before, after = old["facts"], new["facts"]
        if before["of"] == "security" and before["scheme"] != after["scheme"]:
            self.add(
                "OPENAPI-SECURITY-SCHEME-CHANGED",
                self.label(path, name),
                _shown(before["scheme"]),
                _shown(after["scheme"]),
            )
        if before["of"] != "operation":
            return
        label = self.label(path, before["label"])
        if after["deprecated"] and not before["deprecated"]:
            self.add(
                "OPENAPI-DEPRECATED" if after["sunset"] else "OPENAPI-DEPRECATED-WITHOUT-SUNSET",
                label,
                "",
                after["sunset"],
            )
        if before["id"] != after["id"] and before["id"]:
            self.add("OPENAPI-OPERATION-ID-CHANGED", label, before["id"], after["id"] or "-")
        for server in sorted({*before["servers"]} - {*after["servers"]}):
            self.add("OPENAPI-SERVER-REMOVED", label, server, ", ".join(after["servers"]), cause=f"- {server}")
        self._security(label, before["security"], after["security"])
        self._parameters(label, before["parameters"], after["parameters"])
        self._body(label, before, after)
        self._responses(label, before, after)
        for one in exchanged(label, before, after):
            self._schema(one)

    # -- operations

    def _security(self, label: str, before: list[dict[str, list[str]]], after: list[dict[str, list[str]]]) -> None:
        """Each of the old ways to authenticate has to be enough still (OpenAPI 3.1, 4.8.30: one of the list is enough)."""
        old, new = (before or [{}]), (after or [{}])

        def enough(way: dict[str, list[str]]) -> bool:
            return any(
                all(name in way and set(scopes) <= set(way[name]) for name, scopes in one.items()) for one in new
            )

        lost = [way for way in old if not enough(way)]
        if lost:
            named = {name for one in new for name in one}
            only_scopes = all(set(way) & named for way in lost)
            self.add(
                "OPENAPI-SECURITY-SCOPE-ADDED" if only_scopes else "OPENAPI-SECURITY-ADDED",
                label,
                _shown(lost),
                _shown(new),
            )
        elif old != new:
            self.add("OPENAPI-SECURITY-LOOSENED", label, _shown(old), _shown(new))

    def _parameters(self, label: str, before: Facts, after: Facts) -> None:
        for key, was in before.items():
            name, now = f"{label} {_named(key, was)}", after.get(key)
            if now is None:
                self.add("OPENAPI-PARAM-REMOVED", name, was["name"])
                continue
            if now["required"] and not was["required"]:
                self.add("OPENAPI-PARAM-REQUIRED", name, was["name"], now["name"])
            if was["style"] != now["style"]:
                self.add("OPENAPI-PARAM-STYLE-CHANGED", name, was["style"], now["style"])
            if was["default"] != now["default"] and not (was["default"] is None and now["required"]):
                self.add("OPENAPI-PARAM-DEFAULT-CHANGED", name, _shown(was["default"]), _shown(now["default"]))
            if now["deprecated"] and not was["deprecated"]:
                self.add("OPENAPI-DEPRECATED", name)
        for key, now in after.items():
            if key not in before:
                rule = "OPENAPI-PARAM-ADDED-REQUIRED" if now["required"] else "OPENAPI-PARAM-ADDED"
                self.add(rule, f"{label} {_named(key, now)}", "", now["name"])

    def _body(self, label: str, before: Facts, after: Facts) -> None:
        was, now, flipped = before["body"], after["body"], before["flipped"]
        name = f"{label} request"
        if was is None or now is None:
            if now is not None:
                self.add("OPENAPI-BODY-ADDED-REQUIRED" if now["required"] else "OPENAPI-BODY-ADDED", name)
            elif was is not None:
                self.add("OPENAPI-BODY-REMOVED", name)
            return
        if now["required"] and not was["required"] and not flipped:
            self.add("OPENAPI-BODY-REQUIRED", name)
        if was["required"] and not now["required"] and flipped:
            self.add("OPENAPI-BODY-REQUIRED", name)
        # What clients send, servers have to take; what servers send (webhooks), clients.
        sent, taken = (now, was) if flipped else (was, now)
        for media in sent["content"]:
            if _media(media, taken["content"]) is None:
                self.add("OPENAPI-REQUEST-MEDIA-REMOVED", f"{name} {media}", media, ", ".join(taken["content"]))
        for media in taken["content"]:
            if _media(media, sent["content"]) is None:
                self.add("OPENAPI-MEDIA-ADDED", f"{name} {media}", "", media)

    def _responses(self, label: str, before: Facts, after: Facts) -> None:
        old, new = before["responses"], after["responses"]
        for code, was in old.items():
            name, now = f"{label} {code}", new.get(code)
            if now is None:
                # Who gets 2XX, or the default, in the place of a code may still get the code.
                covered = _range(code) in new or (code != "DEFAULT" and "DEFAULT" in new)
                good = code[:1] == "2" or (code == "DEFAULT" and not any(c[:1] == "2" for c in new))
                rule = (
                    "OPENAPI-RESPONSE-STATUS-REMOVED"
                    if good and not covered
                    else "OPENAPI-RESPONSE-STATUS-ERROR-REMOVED"
                )
                self.add(rule, name, code, ", ".join(new))
                continue
            for media in was["content"]:
                if _media(media, now["content"]) is None:
                    self.add("OPENAPI-RESPONSE-MEDIA-REMOVED", f"{name} {media}", media, ", ".join(now["content"]))
            for media in now["content"]:
                if _media(media, was["content"]) is None:
                    self.add("OPENAPI-MEDIA-ADDED", f"{name} {media}", "", media)
            for header, said in was["headers"].items():
                there = now["headers"].get(header)
                if there is None or (said["required"] and not there["required"]):
                    rule = "OPENAPI-RESPONSE-HEADER-LOST" if said["required"] else "OPENAPI-RESPONSE-HEADER-REMOVED"
                    self.add(rule, f"{name} header {header}", header)
        for code in new:
            if code not in old:
                known = _range(code) in old or "DEFAULT" in old
                rule = "OPENAPI-RESPONSE-STATUS-ADDED-KNOWN" if known else "OPENAPI-RESPONSE-STATUS-ADDED"
                self.add(rule, f"{label} {code}", "", code)

    # -- what is sent

    def _schema(self, one: Exchanged) -> None:
        if one.old is None or one.new is None:
            return
        old, new = (
            directed(side, defs, FLOWS[one.flow])
            for side, defs in zip((one.old, one.new), self._defs[one.flow], strict=True)
        )
        old_defs, new_defs = self._defs[one.flow]
        request = one.flow == "REQUEST"
        sides = (new, old, new_defs, old_defs) if request else (old, new, old_defs, new_defs)
        narrow, wide, narrow_defs, wide_defs = sides
        broken = list(Containment(narrow_defs, wide_defs).findings(narrow, wide))
        for finding in broken:
            self._finding(one, finding, request)
        loosened = list(Containment(wide_defs, narrow_defs).findings(wide, narrow))
        for finding in loosened:
            if finding.kind == "undeclared":
                rule = "OPENAPI-REQUEST-PROPERTY-REMOVED" if request else "OPENAPI-RESPONSE-PROPERTY-ADDED"
                self.add(rule, one.label + finding.where)
        places = {finding.where for finding in broken}
        news = [f for f in loosened if f.kind != "undeclared" and f.where not in places]
        for finding in news:
            rule = "OPENAPI-REQUEST-LOOSENED" if request else "OPENAPI-RESPONSE-NARROWED"
            texts = (finding.narrow, finding.wide) if request else (finding.wide, finding.narrow)
            self.add(rule, one.label + finding.where, *texts)

    def _finding(self, one: Exchanged, finding: Finding, request: bool) -> None:
        label = one.label + finding.where
        texts = (finding.wide, finding.narrow) if request else (finding.narrow, finding.wide)
        if finding.kind == "undeclared":
            rule = "OPENAPI-REQUEST-PROPERTY-ADDED" if request else "OPENAPI-RESPONSE-PROPERTY-REMOVED"
            self.add(rule, label, *texts)
            return
        undecided = (
            _("the keyword is not one that is compared: {keyword}", keyword=finding.narrow)
            if finding.kind == "other"
            else ""
        )
        self.add(_RULES[one.flow, finding.kind], label, *texts, undecided=undecided)


def defs_of(symbols: Mapping[str, Symbol], flow: str) -> dict[str, Any]:
    """The schemas that others refer to, with what is sent in one direction alone."""
    found = {n.removeprefix("schema "): s["facts"]["schema"] for n, s in symbols.items() if n.startswith("schema ")}
    return {name: directed(schema, found, FLOWS[flow]) for name, schema in found.items()}


def exchanged(label: str, before: Facts, after: Facts) -> Iterator[Exchanged]:
    """Everything that an operation sends and is sent."""
    there, back = ("RESPONSE", "REQUEST") if before["flipped"] else ("REQUEST", "RESPONSE")
    for key, was in before["parameters"].items():
        now = after["parameters"].get(key)
        if now is not None:
            yield Exchanged(f"{label} {_named(key, was)}", there, was["schema"], now["schema"])
    if before["body"] is not None and after["body"] is not None:
        for media, schema in before["body"]["content"].items():
            now = _media(media, after["body"]["content"])
            yield Exchanged(f"{label} request {media}", there, schema, now)
    for code in {**before["responses"], **after["responses"]}:
        was, response = _of_code(before["responses"], code), _of_code(after["responses"], code)
        if was is None or response is None:
            continue
        for media, schema in was["content"].items():
            yield Exchanged(f"{label} {code} {media}", back, schema, _media(media, response["content"]))
        for header, said in was["headers"].items():
            if header in response["headers"]:
                now = response["headers"][header]["schema"]
                yield Exchanged(f"{label} {code} header {header}", back, said["schema"], now)


def _of_code(responses: Mapping[str, Any], code: str) -> Any:
    """The response of a status: by itself, by its range, or the default (OpenAPI 3.1, 4.8.16)."""
    return responses.get(code) or responses.get(_range(code)) or responses.get("DEFAULT")


def _media(media: str, content: Mapping[str, Any]) -> Any:
    """What a content says of a media type: by name, without parameters, or by a range (OpenAPI 3.1, 4.8.13.1)."""
    bare = media.partition(";")[0]
    for name in (media, bare, f"{bare.partition('/')[0]}/*", "*/*"):
        if name in content:
            return content[name]
    return next((schema for name, schema in content.items() if name.partition(";")[0] == bare), None)


def _range(code: str) -> str:
    return f"{code[:1]}XX"


def _named(key: str, parameter: Facts) -> str:
    return f"{parameter['in']} {parameter['name'] if parameter['in'] != 'header' else key.partition(' ')[2]}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " | ".join(_shown(one) for one in value) or "-"
    if isinstance(value, dict):
        return (
            ", ".join(f"{name}{': ' + _shown(one) if one not in ([], {}) else ''}" for name, one in value.items())
            or "-"
        )
    return "-" if value is None else str(value)
