"""Reads OpenAPI 3.0 and 3.1: operations with all that they refer to, and schemas in one dialect (JSON Schema 2020-12)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import DataFileError, XcError
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.packages.sdk_ast.openapi.documents import Files, Unresolved, documents
from pytest_xinchuang.packages.sdk_ast.problems import UNREADABLE, problem_record
from pytest_xinchuang.packages.sdk_ast.writer import write_snapshot

TARGET = "openapi"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
"""OpenAPI 3.1, 4.8.9: the operations of a path item."""
_STYLES = {"query": "form", "cookie": "form", "path": "simple", "header": "simple"}
"""OpenAPI 3.1, 4.8.12.2: the style of a parameter that names none, by where it stands."""
_ASSERTED = frozenset(
    {
        "type", "enum", "const", "format", "pattern", "multipleOf", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum",
        "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minContains", "maxContains", "minProperties",
        "maxProperties", "required", "dependentRequired", "discriminator", "readOnly", "writeOnly", "default",
        "$dynamicRef", "$anchor", "$dynamicAnchor", "$id",
    }
)  # fmt: skip
"""Keywords that say which values are valid, or where; what is unknown is an annotation (JSON Schema 2020-12, "Core", 6.5)."""
_HOLDERS = ("properties", "patternProperties", "dependentSchemas", "$defs")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties",
           "unevaluatedItems")  # fmt: skip


def extract_openapi(place: Path, output: Path, *, version: str = "") -> None:
    """Write the snapshot of a document, or of all of a directory.

    Raises:
        XcError: there is none.
        DataFileError: the one that was named cannot be read.
    """
    found = documents(place) if place.is_dir() else [place]
    if not found:
        raise XcError(
            _("{place}: there is no OpenAPI 3 document in it", place=place),
            mend=_("name a YAML or JSON file that begins with {example}", example=verbatim("openapi: 3.1.0")),
        )
    root = place if place.is_dir() else place.parent
    files = Files(root)
    records, versions = [], []
    for file in found:
        path = "api" if len(found) == 1 else file.relative_to(root).with_suffix("").as_posix()
        document = _Document(files, file.resolve())
        symbols = document.symbols()
        versions.append(document.version)
        text = json.dumps([symbols, document.problems], sort_keys=True, default=str)
        source = "" if document.problems else "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        records.append((path, path, source, [(TARGET, symbols, document.problems)]))
    version = version or (versions[0] if len(versions) == 1 else "")
    header = {
        "language": "openapi",
        "name": records[0][0],
        "version": version,
        "toolchain": "OpenAPI",
        "targets": [TARGET],
    }
    write_snapshot(output, header, records)


class _Document:
    """One document, being read.

    Attributes:
        problems: what could not be read, as snapshots hold it.
    """

    def __init__(self, files: Files, path: Path) -> None:
        self.files, self.path = files, path
        data = files.load(path)
        if not isinstance(data, dict) or not re.match(r"3\.[012](\.|$)", str(data.get("openapi", ""))):
            what = data.get("openapi", data.get("swagger", "-")) if isinstance(data, dict) else "-"
            raise DataFileError(
                _("{path}: found OpenAPI {version}, expected 3.0, 3.1 or 3.2", path=path, version=verbatim(repr(what))),
                mend=_("convert it to OpenAPI 3"),
            )
        self.data: dict[str, Any] = data
        self.old_dialect = str(data["openapi"]).startswith("3.0")
        self.problems: list[dict[str, Any]] = []
        self.schemas: dict[str, Any] = {}
        self._waiting: list[tuple[str, Any, Path]] = []
        info = _mapping(data.get("info"))
        self.version = str(info.get("version", ""))

    def symbols(self) -> dict[str, dict[str, Any]]:
        """By name: operations, schemas that are referred to, schemes of security."""
        found: dict[str, dict[str, Any]] = {}
        for path, item in _mapping(self.data.get("paths")).items():
            for name, facts in self._item(path, item, self.path, ""):
                if name in found:
                    self._problem(_("{name} is given twice, with other names of parameters", name=verbatim(name)))
                found[name] = {"kind": "method", "facts": facts, **_deprecated(facts)}
        for path, item in _mapping(self.data.get("webhooks")).items():
            for name, facts in self._item(path, item, self.path, "WEBHOOK "):
                found[name] = {"kind": "method", "facts": facts, **_deprecated(facts)}
        schemes = _mapping(_mapping(self.data.get("components")).get("securitySchemes"))
        for name, scheme in schemes.items():
            value, _file = self._followed(scheme, self.path)
            kept = {
                key: one
                for key, one in value.items()
                if key in ("type", "in", "name", "scheme", "openIdConnectUrl", "flows")
            }
            found[f"security {name}"] = {"kind": "var", "facts": {"of": "security", "scheme": kept}}
        while self._waiting:  # one by one: a chain of references may be long, and lead back
            name, value, file = self._waiting.pop()
            self.schemas[name] = self.schema(value, file)
        for name, schema in self.schemas.items():
            found[f"schema {name}"] = {"kind": "type", "facts": {"of": "schema", "schema": schema}}
        return found

    def _problem(self, why: Message, file: Path | None = None) -> None:
        place = file or self.path
        name = place.relative_to(self.files.root).as_posix() if place.is_relative_to(self.files.root) else place.name
        record = problem_record(name, None, UNREADABLE, why=why)
        if record not in self.problems:
            self.problems.append(record)

    def _followed(self, value: Any, file: Path) -> tuple[dict[str, Any], Path]:
        """What a reference, or a chain of them, stands for; nothing, and a problem, where it leads nowhere."""
        seen: set[tuple[Path, str]] = set()
        while isinstance(value, dict) and isinstance(value.get("$ref"), str):
            more = {k: v for k, v in value.items() if k != "$ref"}
            try:
                file, pointer, value = self.files.resolve(file, value["$ref"])
            except Unresolved as error:
                self._problem(error.args[0], file)
                return {}, file
            if (file, pointer) in seen:
                self._problem(_("{pointer} refers to itself", pointer=verbatim(pointer)), file)
                return {}, file
            seen.add((file, pointer))
            if isinstance(value, dict) and more and "$ref" not in value:
                value = {**value, **{k: v for k, v in more.items() if k in METHODS or k == "parameters"}}
        if not isinstance(value, dict):
            if value is not None:
                self._problem(_("found {value}, expected a mapping", value=verbatim(repr(value)[:60])), file)
            return {}, file
        return value, file

    # -- operations

    def _item(self, path: str, item: Any, file: Path, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
        value, file = self._followed(item, file)
        for method in METHODS:
            if isinstance(value.get(method), dict):
                yield from self._operation(path, method, value, file, prefix)

    def _operation(
        self, path: str, method: str, item: Mapping[str, Any], file: Path, prefix: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        operation = item[method]
        names = re.findall(r"\{([^}]*)\}", path)
        key = f"{prefix}{method.upper()} " + re.sub(r"\{[^}]*\}", "{}", path)
        parameters: dict[str, dict[str, Any]] = {}
        for one in (*_list(item.get("parameters")), *_list(operation.get("parameters"))):
            parameter = self._parameter(one, file)
            if parameter is not None:
                place = (
                    f"{{{names.index(parameter['name'])}}}"
                    if parameter["in"] == "path" and parameter["name"] in names
                    else ""
                )
                name = parameter["name"].lower() if parameter["in"] == "header" else parameter["name"]
                parameters[f"{parameter['in']} {place or name}"] = parameter
        responses = _mapping(operation.get("responses"))
        security = operation.get("security", self.data.get("security"))
        servers = operation.get("servers") or item.get("servers") or self.data.get("servers") or [{"url": "/"}]
        facts: dict[str, Any] = {
            "of": "operation",
            "label": f"{prefix}{method.upper()} {path}",
            "flipped": bool(prefix),
            "deprecated": operation.get("deprecated") is True,
            "sunset": str(operation.get("x-sunset", "")),
            "id": str(operation.get("operationId", "")),
            "parameters": parameters,
            "body": self._body(operation["requestBody"], file) if "requestBody" in operation else None,
            "responses": {
                code.upper(): self._response(one, file) for code, one in responses.items() if code[:2] != "x-"
            },
            "security": [{k: sorted(map(str, _list(v))) for k, v in _mapping(one).items()} for one in _list(security)],
            "servers": sorted(_server(_mapping(one)) for one in _list(servers)),
        }
        yield key, facts
        for name, callback in _mapping(operation.get("callbacks")).items():
            value, where = self._followed(callback, file)
            for expression, one in value.items():
                if not expression.startswith("x-"):
                    yield from self._item(expression, one, where, f"CALLBACK {key} {name} ")

    def _parameter(self, one: Any, file: Path) -> dict[str, Any] | None:
        value, file = self._followed(one, file)
        name, place = value.get("name"), value.get("in")
        if not isinstance(name, str) or place not in _STYLES:
            if value:
                self._problem(
                    _("a parameter without a name, or in no known place: {value}", value=verbatim(repr(name))), file
                )
            return None
        style = str(value.get("style") or _STYLES[place])
        content = self._content(value.get("content"), file)
        schema = value.get("schema", True)
        return {
            "name": name,
            "in": place,
            "required": value.get("required") is True or place == "path",
            "schema": self.schema(schema, file) if not content else next(iter(content.values())),
            "style": next(iter(content))
            if content
            else f"{style} explode={bool(value.get('explode', style == 'form'))}".lower(),
            "default": _mapping(schema).get("default"),
            "deprecated": value.get("deprecated") is True,
        }

    def _body(self, one: Any, file: Path) -> dict[str, Any]:
        value, file = self._followed(one, file)
        return {"required": value.get("required") is True, "content": self._content(value.get("content"), file)}

    def _response(self, one: Any, file: Path) -> dict[str, Any]:
        value, file = self._followed(one, file)
        headers = {}
        for name, header in _mapping(value.get("headers")).items():
            made, where = self._followed(header, file)
            headers[name.lower()] = {
                "required": made.get("required") is True,
                "schema": self.schema(made.get("schema", True), where),
            }
        return {"content": self._content(value.get("content"), file), "headers": headers}

    def _content(self, value: Any, file: Path) -> dict[str, Any]:
        found = {}
        for name, one in _mapping(value).items():
            made, where = self._followed(one, file)
            found[name.lower().replace(" ", "")] = self.schema(made.get("schema", True), where)
        return found

    # -- schemas

    def schema(self, value: Any, file: Path) -> Any:
        """A schema in one dialect; what it refers to stands in :attr:`schemas`, under ``#/$defs/NAME``."""
        if isinstance(value, bool):
            return value
        if not isinstance(value, dict):
            self._problem(_("found {value}, expected a schema", value=verbatim(repr(value)[:60])), file)
            return True
        made: dict[str, Any] = {}
        if isinstance(value.get("$ref"), str):
            made["$ref"] = self._reference(value["$ref"], file)
            if self.old_dialect:
                return made  # OpenAPI 3.0.3, 4.7.23: what stands beside a reference is ignored
        for key, one in value.items():
            if key in _HOLDERS and isinstance(one, dict):
                made[key] = {name: self.schema(inner, file) for name, inner in one.items()}
            elif key in _LISTS and isinstance(one, list):
                made[key] = [self.schema(inner, file) for inner in one]
            elif key in _SINGLE and isinstance(one, dict | bool):
                made[key] = self.schema(one, file)
            elif key in _ASSERTED or (key == "nullable" and self.old_dialect):
                made[key] = one
        return _modern(made) if self.old_dialect else made

    def _reference(self, reference: str, file: Path) -> str:
        try:
            target, pointer, value = self.files.resolve(file, reference)
        except Unresolved as error:
            self._problem(error.args[0], file)
            return "#/$defs/"
        inside = target == self.path
        name = (
            pointer.removeprefix("/components/schemas/")
            if inside
            else target.relative_to(self.files.root).as_posix() + pointer
        )
        name = name.replace("~1", "_").replace("/", "_").replace("%", "_") or "document"
        if name not in self.schemas:
            self.schemas[name] = True
            self._waiting.append((name, value, target))
        return f"#/$defs/{name}"


def _server(server: Mapping[str, Any]) -> str:
    """Its URL, with the values that stand in it."""
    values = {
        name: sorted(map(str, [*_list(_mapping(one).get("enum")), _mapping(one).get("default", "")]))
        for name, one in _mapping(server.get("variables")).items()
    }
    return f"{server.get('url', '/')}" + (f" {json.dumps(values, sort_keys=True)}" if values else "")


def _modern(schema: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI 3.0 says otherwise than JSON Schema 2020-12: ``nullable``, and exclusive bounds as booleans."""
    if schema.pop("nullable", False) is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and bound in schema:
            schema[exclusive] = schema.pop(bound)
    return schema


def _deprecated(facts: Mapping[str, Any]) -> dict[str, bool]:
    return {"deprecated": True} if facts["deprecated"] else {}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
