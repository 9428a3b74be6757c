"""Reads the API of protobuf schemas from descriptors, with the features of every edition resolved."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.packages.sdk_ast.protobuf.compiler import Schema, compile_schema
from pytest_xinchuang.packages.sdk_ast.writer import write_snapshot
from pytest_xinchuang.tools.process import Runner

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
    from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

TARGET = "protobuf"
OPTIONS = (
    "java_package", "java_outer_classname", "java_multiple_files", "go_package", "csharp_namespace", "objc_class_prefix",
    "swift_prefix", "php_class_prefix", "php_namespace", "php_metadata_namespace", "ruby_package", "optimize_for",
    "cc_generic_services", "java_generic_services", "py_generic_services", "cc_enable_arenas",
)  # fmt: skip
"""Options of a file that name or shape generated code (descriptor.proto, ``FileOptions``)."""

TYPES = {
    1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 6: "fixed64", 7: "fixed32", 8: "bool", 9: "string",
    10: "group", 11: "message", 12: "bytes", 13: "uint32", 14: "enum", 15: "sfixed32", 16: "sfixed64", 17: "sint32",
    18: "sint64",
}  # fmt: skip
"""``FieldDescriptorProto.Type`` of descriptor.proto."""


def extract_protobuf(place: Path, output: Path, *, version: str = "", runner: Runner | None = None) -> None:
    """Write the snapshot of the .proto files of a directory, a package of the schema each.

    Raises:
        XcError: there is no .proto file.
        HostFault: there is no protoc.
    """
    schema = compile_schema(place, runner or Runner())
    packages: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    sources: dict[str, Any] = defaultdict(hashlib.sha256)
    for file in schema.files:
        if file.name in schema.own:
            package = file.package or "."
            packages[package].update(_file(schema, file))
            sources[package].update(file.SerializeToString(deterministic=True))
    if schema.problems:
        # Nobody knows which package a file that does not compile belongs to.
        packages = packages or {".": {}}
    first = min(packages, default=".")
    header = {
        "language": "protobuf",
        "name": first,
        "version": version,
        "toolchain": schema.toolchain,
        "targets": [TARGET],
    }
    records = [
        (
            path,
            path,
            "" if schema.problems else "sha256:" + sources[path].hexdigest(),
            [(TARGET, symbols, schema.problems)],
        )
        for path, symbols in sorted(packages.items())
    ]
    write_snapshot(output, header, records)


def _file(schema: Schema, file: FileDescriptorProto) -> Iterator[tuple[str, dict[str, Any]]]:
    descriptor = schema.pool.FindFileByName(file.name)
    plain = type(file.options)()
    options = {name: _plain(getattr(file.options, name)) for name in OPTIONS if file.options.HasField(name)}
    # What is spelled out as it would be anyway shapes nothing; `optimize_for` and booleans have defaults.
    options = {name: value for name, value in options.items() if value != _plain(getattr(plain, name))}
    syntax = file.syntax or "proto2"
    if syntax == "editions":
        syntax = f"edition {file.edition}"
    public = sorted(file.dependency[n] for n in file.public_dependency)
    yield file.name, {"kind": "module", "facts": {"options": options, "syntax": syntax, "public": public}}
    lines = _lines(file)
    for number, message in enumerate(file.message_type):
        made = descriptor.message_types_by_name[message.name]
        yield from _message(message, made, file.name, lines, (4, number))  # FileDescriptorProto.message_type = 4
    for number, enum in enumerate(file.enum_type):
        symbol = _enum(enum, descriptor.enum_types_by_name[enum.name], file.name)
        yield enum.name, {**symbol, "at": _at(file.name, lines, (5, number))}  # FileDescriptorProto.enum_type = 5
    for number, service in enumerate(file.service):
        at = _at(file.name, lines, (6, number))  # FileDescriptorProto.service = 6
        deprecated = {"deprecated": True} if service.options.deprecated else {}
        yield service.name, {"kind": "class", "facts": {"of": "service", "file": file.name}, "at": at, **deprecated}
        for place, method in enumerate(service.method):
            facts = {
                "of": "rpc",
                "request": method.input_type.lstrip("."),
                "response": method.output_type.lstrip("."),
                "client_streaming": method.client_streaming,
                "server_streaming": method.server_streaming,
                "idempotency": method.options.idempotency_level,
            }
            deprecated = {"deprecated": True} if method.options.deprecated else {}
            at = _at(file.name, lines, (6, number, 2, place))  # ServiceDescriptorProto.method = 2
            yield f"{service.name}.{method.name}", {"kind": "method", "facts": facts, "at": at, **deprecated}
    yield from _extensions(descriptor.extensions_by_name.values(), "")


def _message(
    message: DescriptorProto, made: Descriptor, file: str, lines: dict[tuple[int, ...], int], path: tuple[int, ...]
) -> Iterator[tuple[str, dict[str, Any]]]:
    name = made.full_name.removeprefix(f"{made.file.package}.") if made.file.package else made.full_name
    # A field that is ``optional`` in proto3 stands in a oneof of its own, which no source names.
    synthetic = frozenset(message.oneof_decl[f.oneof_index].name for f in message.field if f.proto3_optional)
    facts: dict[str, Any] = {
        "of": "message",
        "file": file,
        "reserved": [[r.start, r.end - 1] for r in message.reserved_range],
        "reserved_names": sorted(message.reserved_name),
        "extensions": [[r.start, r.end - 1] for r in message.extension_range],
        "oneofs": sorted(o.name for o in made.oneofs if o.name not in synthetic),
        "message_set": message.options.message_set_wire_format,
        "fields": [_field(f, synthetic) for f in sorted(made.fields, key=lambda f: f.number)],
    }
    deprecated = {"deprecated": True} if message.options.deprecated else {}
    if not message.options.map_entry:
        yield name, {"kind": "class", "facts": facts, "at": _at(file, lines, path), **deprecated}
    for number, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            place = (*path, 3, number)  # DescriptorProto.nested_type = 3
            yield from _message(nested, made.nested_types_by_name[nested.name], file, lines, place)
    for number, enum in enumerate(message.enum_type):
        symbol = _enum(enum, made.enum_types_by_name[enum.name], file)
        yield (
            f"{name}.{enum.name}",
            {**symbol, "at": _at(file, lines, (*path, 4, number))},
        )  # DescriptorProto.enum_type = 4
    yield from _extensions(made.extensions_by_name.values(), f"{name}.")


def _field(field: FieldDescriptor, synthetic: frozenset[str] = frozenset()) -> dict[str, Any]:
    options = field.GetOptions()
    known: dict[str, Any] = {"name": field.name, "number": field.number, "json": field.json_name}
    entry = field.message_type if field.type == 11 and field.message_type.GetOptions().map_entry else None
    if entry is not None:
        known |= {
            "label": "map",
            "key": TYPES[entry.fields_by_name["key"].type],
            **_type(entry.fields_by_name["value"]),
        }
    else:
        known |= _type(field)
        known["label"] = "repeated" if field.is_repeated else "required" if field.is_required else "singular"
    if field.is_repeated and field.type not in (9, 10, 11, 12):
        known["packed"] = field.is_packed
    if not field.is_repeated:
        known["presence"] = field.has_presence
        if field.type not in (10, 11):
            known["default"] = _default(field)
    if field.containing_oneof is not None and field.containing_oneof.name not in synthetic:
        known["oneof"] = field.containing_oneof.name
    if field.type == 9:
        known["utf8"] = _validates(field)
    if options.HasField("jstype"):
        known["jstype"] = int(options.jstype)
    if options.HasField("ctype"):
        known["ctype"] = int(options.ctype)
    if options.deprecated:
        known["deprecated"] = True
    return known


def _type(field: FieldDescriptor) -> dict[str, Any]:
    found = {"type": TYPES[field.type]}
    if field.type in (10, 11):
        found["name_of_type"] = field.message_type.full_name
    elif field.type == 14:
        found["name_of_type"] = field.enum_type.full_name
    return found


def _default(field: FieldDescriptor) -> str:
    value = field.default_value
    if field.type == 14:
        named = field.enum_type.values_by_number.get(value)
        return f"{named.name if named else ''} = {value}"
    return value.hex() if isinstance(value, bytes) else str(value)


@lru_cache(maxsize=4096)
def _validates(field: FieldDescriptor) -> bool:
    """Whether readers refuse what is not UTF-8; the codec is asked, since features of any edition may say so."""
    with optional("sdk_ast"):
        from google.protobuf.message import DecodeError
        from google.protobuf.message_factory import GetMessageClass

    if field.containing_type is None or field.is_extension:
        return False
    # A length-delimited value has wire type 2 (protobuf encoding, "Message Structure"); 0xFF is in no UTF-8.
    tag, key = field.number << 3 | 2, b""
    while tag > 0x7F:
        key += bytes([tag & 0x7F | 0x80])
        tag >>= 7
    try:
        GetMessageClass(field.containing_type).FromString(key + bytes([tag, 1, 0xFF]))
    except DecodeError:
        return True
    return False


def _enum(enum: EnumDescriptorProto, made: EnumDescriptor, file: str) -> dict[str, Any]:
    facts = {
        "of": "enum",
        "file": file,
        "values": [[v.name, v.number] for v in enum.value],
        "deprecated_values": sorted(v.name for v in enum.value if v.options.deprecated),
        "closed": made.is_closed,
        "reserved": [[r.start, r.end] for r in enum.reserved_range],
        "reserved_names": sorted(enum.reserved_name),
    }
    return {"kind": "type", "facts": facts, **({"deprecated": True} if enum.options.deprecated else {})}


def _extensions(found: Iterable[FieldDescriptor], inside: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for field in found:
        facts = {"of": "extension", "extends": field.containing_type.full_name, "field": _field(field)}
        yield f"{inside}{field.name}", {"kind": "field", "facts": facts}


def _lines(file: FileDescriptorProto) -> dict[tuple[int, ...], int]:
    return {tuple(one.path): one.span[0] + 1 for one in file.source_code_info.location if one.span}


def _at(file: str, lines: dict[tuple[int, ...], int], path: tuple[int, ...]) -> str:
    return f"{file}:{lines[path]}" if path in lines else file


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | str) else int(value)
