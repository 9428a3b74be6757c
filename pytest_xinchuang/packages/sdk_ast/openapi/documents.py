"""Files of OpenAPI documents: which they are, and what stands in them and in those that they refer to. Nothing is fetched."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import _, system_error, verbatim

SUFFIXES = (".yaml", ".yml", ".json")
_MARK = re.compile(rb"""^[\s{]*["']?openapi["']?\s*:\s*["']?3\.""", re.MULTILINE)
"""The field that every document begins its description with (OpenAPI 3.1, 4.8.1)."""
_LOOKED_AT = 1 << 20
"""Bytes of a file in which that field is looked for."""
DEEPEST = 200
"""Levels of a document; the deepest that was seen has 40."""


class Unresolved(Exception):
    """A reference that leads nowhere; ``args[0]`` says why."""


def is_document(path: Path) -> bool:
    """Whether a file seems to be an OpenAPI 3 document."""
    try:
        with path.open("rb") as file:
            return _MARK.search(file.read(_LOOKED_AT)) is not None
    except OSError:
        return False


def documents(place: Path) -> list[Path]:
    """The OpenAPI 3 documents of a directory, in order; those of dependencies and hidden directories are left out."""
    found = (path for suffix in SUFFIXES for path in place.rglob(f"*{suffix}") if path.is_file())
    ours = (
        p
        for p in found
        if not {"node_modules"} & set(p.parts) and not any(x[0] == "." for x in p.relative_to(place).parts)
    )
    return sorted(path for path in ours if is_document(path))


class Files:
    """Parsed files, each read once.

    Args:
        root: the directory that references may not leave.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._known: dict[Path, Any] = {}

    def load(self, path: Path) -> Any:
        """
        Raises:
            DataFileError: it cannot be read, is neither YAML nor JSON, or is too deep.
        """
        if path not in self._known:
            data = _json(path) if path.suffix == ".json" else YamlFile(path).data
            self._known[path] = _plain(data, path, 0)
        return self._known[path]

    def resolve(self, file: Path, reference: str) -> tuple[Path, str, Any]:
        """The file, the JSON pointer (RFC 6901) and the value behind a ``$ref``.

        Raises:
            Unresolved: it leads nowhere, out of the directory, or to another host.
        """
        place, _hash, pointer = reference.partition("#")
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", place) or place.startswith("//"):
            raise Unresolved(_("{reference} is on another host, and nothing is fetched", reference=verbatim(reference)))
        target = file
        if place:
            target = (file.parent / unquote(place)).resolve()
            if not target.is_relative_to(self.root):
                raise Unresolved(
                    _("{reference} leads out of {root}", reference=verbatim(reference), root=self.root.name)
                )
        try:
            value = self.load(target)
        except DataFileError as error:
            raise Unresolved(error.what) from error
        for step in pointer.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and name in value:
                value = value[name]
            elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
                value = value[int(name)]
            else:
                raise Unresolved(
                    _(
                        "{reference} leads nowhere: there is no {name}",
                        reference=verbatim(reference),
                        name=verbatim(name),
                    )
                )
        return target, pointer, value


def _json(path: Path) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(name for name, _value in pairs if [n for n, _v in pairs].count(name) > 1)
            raise ValueError(_("the key {value} is given twice", value=verbatim(repr(twice))))
        return found

    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)
    except OSError as error:
        raise DataFileError(_("{path}: cannot be read: {why}", path=path, why=system_error(error))) from error
    except (ValueError, RecursionError) as error:
        raise DataFileError(_("{path}: not valid JSON: {why}", path=path, why=error)) from error


def _plain(value: Any, path: Path, depth: int) -> Any:
    """As JSON has it: keys and dates are text."""
    if depth > DEEPEST:
        raise DataFileError(_("{path}: deeper than {n} levels", path=path, n=DEEPEST))
    if isinstance(value, dict):
        return {_key(key): _plain(one, path, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(one, path, depth + 1) for one in value]
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _key(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)
