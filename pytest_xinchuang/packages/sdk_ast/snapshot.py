"""Snapshots: an SDK's exported API as JSON lines, one record a line (docs/api.md).

The first record tells what was read, the last one that all of it is there. Each package has a record with a hash over its
symbols, and the symbols follow. A snapshot of a large SDK has a hundred megabytes: packages are indexed when it is opened,
and the symbols of those that are compared are parsed alone.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import mmap
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.validation import mistake
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.packages.sdk_ast.languages import Language
from pytest_xinchuang.packages.sdk_ast.problems import problem_told
from pytest_xinchuang.toolchain.goproblems import GoProblemCode

SCHEMA = "xc-api/1"

Type = Mapping[str, Any]
"""A type as a tree: ``kind`` and what belongs to it; see the JSON Schema."""
Symbol = Mapping[str, Any]

Grade = Literal["typed", "stubbed", "syntactic"]
"""How much was known: types were checked; some came from stubs; only the syntax was read."""


_NAME_TAKEN = {GoProblemCode.NO_GO_MOD, GoProblemCode.PATH_TAKEN}
_UNREAD_DIRECTORIES = {GoProblemCode.UNREADABLE, GoProblemCode.UNUSABLE_DIRECTORY, GoProblemCode.UNNAMED_MODULE}


class _Record(FrozenData):
    model_config = ConfigDict(populate_by_name=True)


class Problem(_Record):
    """Something that could not be read as it should.

    Attributes:
        message: what is wrong with the file, in English.
        code: says the same to programs; empty where a compiler's own message tells it.
        params: what stands for the parts of the message that differ from case to case.
    """

    file: str
    line: int | None = None
    message: str
    code: str = ""
    params: dict[str, Message] = Field(default_factory=dict)

    @property
    def told(self) -> Message:
        """File, line and what is wrong."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return _("{place}: {what}", place=place, what=problem_told(self.code, self.params, self.message))

    def __str__(self) -> str:
        return str(self.told)


class Header(_Record):
    """The first record.

    Attributes:
        name: the module, library or distribution.
        minimum: the least version of the language that it asks for (Go's ``go`` directive).
        targets: what it was read for: GOOS/GOARCH, or a compiler's target triple.
        requires: module -> version of what it depends on.
        nested: directories with a module of their own.
    """

    record: Literal["snapshot"] = "snapshot"
    format: Literal["xc-api/1"] = Field(alias="schema", default="xc-api/1")
    language: Language
    name: str
    version: str = ""
    minimum: str = ""
    toolchain: str = ""
    targets: tuple[str, ...] = ()
    tags: tuple[str, ...] | None = ()
    cgo: bool = False
    requires: dict[str, str] = Field(default_factory=dict)
    nested: tuple[str, ...] | None = ()
    problems: tuple[Problem, ...] | None = ()

    @property
    def name_is_taken(self) -> bool:
        """Whether nothing says the module's path, and ``name`` is that of its directory."""
        return bool({p.code for p in self.problems or ()} & _NAME_TAKEN)

    @property
    def minimum_is_unknown(self) -> bool:
        """Whether no go.mod of a module could be read, which would give ``minimum``."""
        unread = any(p.code == GoProblemCode.UNREADABLE and p.file == "go.mod" for p in self.problems or ())
        return not self.minimum and (unread or self.name_is_taken)

    @property
    def packages_are_unread(self) -> bool:
        """Whether a directory was not read: packages that are not here may exist."""
        return any(p.code in _UNREAD_DIRECTORIES and p.file != "go.mod" for p in self.problems or ())


class PackageRecord(_Record):
    """A package as some targets see it.

    Attributes:
        hash: over the symbols without their places; equal hashes are equal APIs.
        source: over everything that the API follows from; with it unchanged nothing need be read again.
        unknown: how many of its symbols have a fact that a stub hides.
        partial: something was not read: a symbol that is not here may exist.
        exposes: types of internal packages that its symbols mention.
        stubs: package -> version of what could not be found and hides facts.
        same: the record stands for the one with the same ``source`` in the snapshot that was given as known.
    """

    record: Literal["package"] = "package"
    path: str
    name: str = ""
    directory: str = ""
    targets: tuple[str, ...] = ()
    grade: Grade = "typed"
    hash: str = ""
    source: str = ""
    symbols: int = 0
    unknown: int = 0
    internal: bool = False
    partial: bool = False
    same: bool = False
    problems: tuple[Problem, ...] = ()
    exposes: tuple[str, ...] = ()
    stubs: dict[str, str] = Field(default_factory=dict)


class TypeTree(BaseModel):
    """A type as a tree. Which members there are depends on ``kind``.

    ``typeparam`` refers by index to a parameter of the type, function or method around it: names are no part of a type.
    A struct lists its exported and embedded fields; ``hidden`` says that there are others. The methods and terms of an
    interface are those of its whole type set.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal[
        "basic", "named", "pointer", "slice", "array", "map", "chan", "func", "struct", "union", "interface",
        "typeparam", "tuple", "enum", "unknown",
    ]  # fmt: skip
    name: str | None = None
    package: str | None = None
    args: list[TypeTree] | None = None
    key: TypeTree | None = None
    elem: TypeTree | None = None
    elems: list[TypeTree] | None = None
    length: int | None = None
    direction: Literal["both", "send", "receive"] | None = None
    of: Literal["type", "func", "method"] | None = None
    index: int | None = None
    typeparams: list[TypeParameter] | None = None
    params: list[TypeTree] | None = None
    results: list[TypeTree] | None = None
    variadic: bool | None = None
    fields: list[Member] | None = None
    methods: list[Member] | None = None
    hidden: bool | list[str] | None = None
    comparable: bool | None = None
    terms: list[Term] | None = None
    qualifiers: list[str] | None = None


class TypeParameter(BaseModel):
    """A type parameter and what its arguments must keep."""

    model_config = ConfigDict(extra="forbid")
    name: str
    constraint: TypeTree


class Term(BaseModel):
    """One term of a type set."""

    model_config = ConfigDict(extra="forbid")
    tilde: bool
    type: TypeTree


class Member(BaseModel):
    """A field or method.

    Attributes:
        source: (``from``) the embedded field that it is promoted from; of an interface, the one that declares it.
        pointer: a method that T lacks and *T has.
        offset: bytes from the start (C); ``bits`` for a bit field: its first bit and its width.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    name: str
    type: TypeTree
    embedded: bool | None = None
    tag: str | None = None
    pointer: bool | None = None
    source: str | None = Field(default=None, alias="from")
    offset: int | None = None
    bits: tuple[int, int] | None = None


class SymbolRecord(BaseModel):
    """One symbol: a function, variable, constant, type, macro, class, field or method; in C a header, library or export too.

    Attributes:
        id: the package's path, a dot (``#`` for a member), the name; unique in a package.
        underlying: what an alias of another module's type is made of.
        value: a constant's exact value, as text.
        comparable: how ``==`` works: always, with a panic for some dynamic values, or not at all.
        lock: a copy of it copies a lock.
        unknown: facts that a stub hides.
        at: file and line.
    """

    model_config = ConfigDict(extra="forbid")
    record: Literal["symbol"]
    id: str
    kind: Literal["func", "var", "const", "type", "macro", "class", "field", "method", "module", "header", "library",
        "export",
    ]  # fmt: skip
    type: TypeTree | None = None
    typeparams: list[TypeParameter] | None = None
    alias: bool | None = None
    underlying: TypeTree | None = None
    value: str | None = None
    exported: bool | None = None
    methods: list[Member] | None = None
    promoted: list[Member] | None = None
    comparable: Literal["strict", "may_panic", "no"] | None = None
    lock: bool | None = None
    implements: list[dict[str, str]] | None = None
    deprecated: bool | None = None
    grade: Grade | None = None
    unknown: list[str] | None = None
    at: str | None = None
    size: int | None = None
    align: int | None = None
    facts: dict[str, Any] | None = None


class End(_Record):
    """The last record: a snapshot without it was cut off."""

    record: Literal["end"] = "end"
    packages: int
    symbols: int


Record = Annotated[Header | PackageRecord | SymbolRecord | End, Field(discriminator="record")]


def snapshot_schema() -> dict[str, Any]:
    """The JSON Schema of one line."""
    from pydantic import TypeAdapter

    return TypeAdapter(Record).json_schema(by_alias=True)


@dataclass
class ApiPackage:
    """A package of a snapshot; its symbols are parsed when they are first asked for."""

    record: PackageRecord
    _data: bytes | mmap.mmap = field(repr=False)
    _start: int = 0
    _end: int = 0
    _symbols: dict[str, Symbol] | None = None
    label: str = ""
    ours: bool = False

    @property
    def symbols(self) -> dict[str, Symbol]:
        """By name, in order."""
        if self._symbols is None:
            found = {}
            at = len(self.record.path) + 1
            for line in self._data[self._start : self._end].split(b"\n"):
                if line:
                    symbol = json.loads(line) if self.ours else self._read(line)
                    found[symbol["id"][at:]] = symbol
            self._symbols = found
        return self._symbols

    def _read(self, line: bytes) -> Symbol:
        try:
            SymbolRecord.model_validate_json(line)
            symbol: Symbol = json.loads(line)
            return symbol
        except ValidationError as error:
            first = error.errors()[0]
            raise DataFileError(
                _(
                    "{path}: a symbol of {package} is not a record of {schema}: {where}: {why}",
                    path=self.label,
                    package=self.record.path,
                    schema=SCHEMA,
                    where=verbatim(".".join(map(str, first["loc"]))),
                    why=mistake(first),
                ),
                mend=_("snapshots are made by: xc api snapshot DIR --output FILE"),
            ) from None

    def forget(self) -> None:
        """Let the parsed symbols go."""
        self._symbols = None


class Snapshot:
    """An API, read from its records.

    Args:
        known: where the packages are that ``path`` calls the same.
        ours: it was written a moment ago by this program, so that its symbols need no check.

    Attributes:
        place: the directory or file that it was read from and that clients can be built with; None: it is a baseline.

    Raises:
        DataFileError: it is no snapshot, was cut off, or is of another version.
    """

    def __init__(self, path: Path, label: str = "", known: Snapshot | None = None, *, ours: bool = False) -> None:
        self.path, self.label, self._ours = path, label or str(path), ours
        self.place: Path | None = None
        self._data = _read(path)
        self.packages: dict[str, list[ApiPackage]] = {}
        header: Header | None = None
        end: End | None = None
        last: ApiPackage | None = None
        at = number = 0
        size = len(self._data)
        while at < size:
            stop = self._data.find(b"\n", at)
            stop = size if stop < 0 else stop
            number += 1
            if self._data[at : at + 18] != b'{"record":"symbol"':
                line = self._data[at:stop]
                if last is not None:
                    last._end = at
                    last = None
                if line.startswith(b'{"record":"package"'):
                    record = self._parse(line, number, PackageRecord)
                    last = self._add(record, stop + 1, known)
                elif line.startswith(b'{"record":"end"'):
                    end = self._parse(line, number, End)
                elif header is None:
                    header = self._parse(line, number, Header)
                else:
                    raise DataFileError(
                        _(
                            "{path}:{number}: no record of a snapshot: {line}",
                            path=self.path,
                            number=number,
                            line=verbatim(repr(bytes(line[:60]))),
                        )
                    )
            elif last is None:
                raise DataFileError(
                    _("{path}:{number}: a symbol without a package before it", path=self.path, number=number)
                )
            at = stop + 1
        if header is None or end is None:
            raise DataFileError(
                (
                    _("{path}: the snapshot was cut off: its first record is missing", path=self.path)
                    if header is None
                    else _("{path}: the snapshot was cut off: its last record is missing", path=self.path)
                ),
                mend=_("make it again: xc api snapshot DIR --output FILE"),
            )
        self.header = header

    def _parse(self, line: bytes, number: int, model: type[Any]) -> Any:
        try:
            return model.model_validate_json(bytes(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise DataFileError(
                _(
                    "{path}:{number}: not a record of {schema}: {where}: {why}",
                    path=self.path,
                    number=number,
                    schema=SCHEMA,
                    where=where,
                    why=mistake(first),
                ),
                mend=_("snapshots are made by: xc api snapshot DIR --output FILE"),
            ) from None

    def _add(self, record: PackageRecord, start: int, known: Snapshot | None) -> ApiPackage | None:
        if record.same:
            if known is None or record.path not in known.packages:
                raise DataFileError(
                    _(
                        "{path}: the package {package} refers to a snapshot that is not here",
                        path=self.path,
                        package=record.path,
                    )
                )
            self.packages[record.path] = known.packages[record.path]
            return None
        package = ApiPackage(record, self._data, start, start, label=self.label, ours=self._ours)
        self.packages.setdefault(record.path, []).append(package)
        return package

    def package(self, path: str, target: str) -> ApiPackage | None:
        """The package as a target sees it; None when it is not there."""
        found = self.packages.get(path, [])
        return next((p for p in found if target in p.record.targets or not p.record.targets), None)

    @property
    def problems(self) -> list[Problem]:
        """All that could not be read as it should."""
        found = list(self.header.problems or ())
        for packages in self.packages.values():
            found += [p for p in packages[0].record.problems if p not in found]
        return found

    @property
    def grade(self) -> Grade:
        """The least grade of its packages."""
        grades = {p.record.grade for packages in self.packages.values() for p in packages}
        return next((g for g in ("syntactic", "stubbed") if g in grades), "typed")

    def sources(self) -> Iterator[tuple[str, str]]:
        """The packages with their source digests."""
        for path, packages in self.packages.items():
            yield path, packages[0].record.source

    @property
    def digest(self) -> str:
        """SHA-256 over the hashes of all packages: two snapshots with one digest have the same API."""
        total = hashlib.sha256()
        for path in sorted(self.packages):
            for package in self.packages[path]:
                total.update(f"{path} {package.record.targets} {package.record.hash}\n".encode())
        return "sha256:" + total.hexdigest()


MOST_UNPACKED = 256 << 20
"""Bytes of a packed snapshot; the largest SDK that was seen has 20 MiB."""


def _read(path: Path) -> bytes | mmap.mmap:
    try:
        if path.suffix == ".gz":
            with path.open("rb") as packed, gzip.GzipFile(fileobj=packed) as file:
                data = file.read(MOST_UNPACKED + 1)
            if len(data) > MOST_UNPACKED:
                raise DataFileError(
                    _("{path}: holds more than {n} MiB when it is unpacked", path=path, n=MOST_UNPACKED >> 20)
                )
            return data
        with path.open("rb") as file:
            if not file.seek(0, 2):
                return b""
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, EOFError, zlib.error) as error:
        raise DataFileError(_("{path}: cannot be read: {why}", path=path, why=error)) from error
