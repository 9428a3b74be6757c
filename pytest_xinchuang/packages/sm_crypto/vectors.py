"""Reads and checks vector files of Wycheproof's form; a vector's id is ``sm2_verify/117``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.errors import DataFileError, UnknownName
from pytest_xinchuang.core.near import near
from pytest_xinchuang.core.validation import mistake
from pytest_xinchuang.messages import Message, _, system_error, verbatim


class _Published(FrozenData):
    """A part of a file of Wycheproof's form; fields that are not read here are kept."""

    model_config = ConfigDict(extra="allow")


class Note(_Published):
    """The meaning of a flag."""

    bug_type: str = Field(alias="bugType")
    description: str = ""
    effect: str = ""
    links: tuple[str, ...] = ()
    cves: tuple[str, ...] = ()


class Test(_Published):
    """One vector; its other fields depend on the type of the group."""

    __test__ = False

    tc_id: int = Field(alias="tcId", ge=1)
    comment: str = ""
    flags: tuple[str, ...] = ()
    result: Literal["valid", "invalid", "acceptable"]

    def get(self, name: str, default: Any = None) -> Any:
        return (self.model_extra or {}).get(name, default)

    def __getitem__(self, name: str) -> Any:
        return (self.model_extra or {})[name]

    def __contains__(self, name: str) -> bool:
        return name in (self.model_extra or {})


class Group(_Published):
    """Vectors that share a key or a setting."""

    type: str
    tests: tuple[Test, ...]

    def get(self, name: str, default: Any = None) -> Any:
        return (self.model_extra or {}).get(name, default)

    def __getitem__(self, name: str) -> Any:
        return (self.model_extra or {})[name]


class VectorFile(_Published):
    """A whole file.

    Attributes:
        requirement: the requirement that it decides; for Wycheproof's own files, which have none, the algorithm tells.
    """

    algorithm: str
    format: str = Field(alias="schema", default="")
    number_of_tests: int = Field(alias="numberOfTests")
    header: tuple[str, ...] = ()
    notes: dict[str, Note] = Field(default_factory=dict)
    requirement: str = ""
    groups: tuple[Group, ...] = Field(alias="testGroups")


BY_ALGORITHM = {"SM4-GCM": "XC-SM-015", "SM4-CCM": "XC-SM-016", "HMACSM3": "XC-SM-011", "HMAC-SM3": "XC-SM-011"}
"""Wycheproof's name of an algorithm -> the requirement that its vectors decide."""


@dataclass(frozen=True)
class Vector:
    """One vector with its group and file."""

    file: str
    algorithm: str
    requirement: str
    group: Group
    test: Test

    @property
    def id(self) -> str:
        return f"{self.file}/{self.test.tc_id}"


def told_vector(vector: Vector) -> Message:
    """The id of a vector, with its comment, which is data of its file and in the language of that."""
    if not vector.test.comment:
        return verbatim(vector.id)
    return _("{vector} ({comment})", vector=vector.id, comment=vector.test.comment)


@dataclass(frozen=True)
class Loaded:
    """A file that was read; its name is the file name without ``_test.json``."""

    name: str
    data: VectorFile

    def vectors(self) -> Iterator[Vector]:
        requirement = self.data.requirement or BY_ALGORITHM.get(self.data.algorithm, "")
        for group in self.data.groups:
            for test in group.tests:
                yield Vector(self.name, self.data.algorithm, requirement, group, test)


def load_file(path: Path) -> Loaded:
    """Read one file.

    Raises:
        DataFileError: it is not JSON or not of this form, a flag has no note, a tcId is given twice, or the count is wrong.
    """
    name = path.name.removesuffix(".json").removesuffix("_test")
    try:
        data = VectorFile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise DataFileError(
            _("{path}: {key}: {problem}", path=path, key=".".join(map(str, first["loc"])), problem=mistake(first))
            if first["loc"]
            else _("{path}: {problem}", path=path, problem=mistake(first))
        ) from None
    except OSError as error:
        raise DataFileError(_("{path}: cannot be read: {why}", path=path, why=system_error(error))) from error
    ids: set[int] = set()
    for group in data.groups:
        _to_lower_case(group.model_extra)
        for test in group.tests:
            if why := _not_whole(group, test):
                raise DataFileError(_("{path}: tcId {tc_id}: {why}", path=path, tc_id=test.tc_id, why=why))
            _to_lower_case(test.model_extra)
            if test.tc_id in ids:
                raise DataFileError(_("{path}: two vectors have the tcId {tc_id}", path=path, tc_id=test.tc_id))
            ids.add(test.tc_id)
            if unknown := [f for f in test.flags if f not in data.notes]:
                raise DataFileError(
                    _(
                        "{path}: tcId {tc_id}: the flag {flag} has no note",
                        path=path,
                        tc_id=test.tc_id,
                        flag=verbatim(repr(unknown[0])),
                    )
                )
    if len(ids) != data.number_of_tests:
        raise DataFileError(
            _(
                "{path}: numberOfTests is {given}, and there are {n} vectors",
                path=path,
                given=data.number_of_tests,
                n=len(ids),
            )
        )
    return Loaded(name, data)


_HEX = re.compile("(?:[0-9a-fA-F]{2})*")

_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Sm3Test": ((), ("msg", "digest")),
    "HashStreamTest": (("hash",), ("steps", "outs")),
    "MacTest": (("tagSize",), ("key", "msg", "tag")),
    "HkdfTest": ((), ("ikm", "salt", "info", "size", "okm")),
    "PbkdfTest": ((), ("password", "salt", "iterationCount", "dkLen", "dk")),
    "X963KdfTest": ((), ("secret", "info", "size", "okm")),
    "IndCpaTest": (("mode",), ("key", "msg", "ct")),
    "BlockCipherTest": (("mode",), ("key", "msg", "ct")),
    "AeadTest": (("tagSize",), ("key", "iv", "aad", "msg", "ct", "tag")),
    "CipherReuseTest": (("mode",), ("key", "steps", "outs")),
    "Sm2Verify": ((), ("msg", "sig")),
    "Sm2DefaultId": (("publicKey",), ("msg", "sig", "defaultId")),
    "Sm2Sign": (("privateKey", "publicKey"), ("msg", "sig")),
    "Sm2Encrypt": ((), ("msg",)),
    "Sm2Decrypt": (("privateKey",), ("ct",)),
    "Sm2Exchange": ((), ("role", "private", "ephemeral", "peerPublic", "peerEphemeral", "size")),
    "Sm2PrivateKey": ((), ("private",)),
    "Sm2PublicKey": ((), ("public",)),
    "Sm2Certificate": (("roots", "time"), ("chain", "usage")),
}
"""Type of a group -> the fields that the group and each of its tests have to have."""

_TEXTS = (
    "aad", "confirmA", "confirmB", "ct", "digest", "dk", "encryption", "ephemeral", "ikm", "info", "iv", "k", "key", "msg",
    "okm", "password", "peerEphemeral", "peerId", "peerPublic", "private", "privateKey", "public", "salt", "secret",
    "sharedKey", "sig", "tag", "uncompressed", "userId",
)  # fmt: skip
"""Fields that are hexadecimal digits."""
_CHOICES: dict[str, tuple[str, ...]] = {
    "encoding": ("der", "raw", "point", "spki"),
    "input": ("message", "digest"),
    "order": ("c1c3c2", "c1c2c3"),
    "purpose": ("server", "client"),
    "role": ("initiator", "responder"),
    "usage": ("sign", "encrypt"),
    "ways": ("encrypt", "decrypt"),
}
"""Fields that are one of these words, or a list of them."""
_WORDS = ("defaultId", "hash", "mode", "padding", "standard", *_CHOICES)
_NUMBERS = (
    "dkLen",
    "iterationCount",
    "ivSize",
    "keySize",
    "offset",
    "repeat",
    "size",
    "tagSize",
    "time",
    "times",
    "wrap",
)
_LISTS = ("aad_splits", "absent", "chain", "crls", "outs", "roots", "splits", "steps", "ways")
_MOST = 1 << 31
"""No number but a time is as large: what asks for so many bytes or rounds is a mistake, and not the harness's to survive."""
_KINDS: dict[str, type] = {
    **dict.fromkeys((*_TEXTS, *_WORDS), str),
    **dict.fromkeys(_NUMBERS, int),
    **dict.fromkeys(_LISTS, list),
    **dict.fromkeys(("in_place", "compressed", "slow"), bool),
    "publicKey": dict,
}


def _not_whole(group: Group, test: Test) -> Message | None:
    """Why a vector cannot be asked: a field is missing, or is not what it has to be. None: it can."""
    fields = {**(group.model_extra or {}), **(test.model_extra or {})}
    in_group, in_test = _FIELDS.get(group.type, ((), ()))
    missing = [n for n in in_group if n not in (group.model_extra or {})] + [n for n in in_test if n not in test]
    if group.type in ("Sm2Verify", "Sm2Encrypt") and not test.get("public") and "publicKey" not in fields:
        missing.append("publicKey")
    if group.type == "Sm2Encrypt" and "k" in test and "ct" not in test:
        missing.append("ct")
    if missing:
        return _("{field}: field required", field=missing[0])
    for name, value in fields.items():
        if group.type == "CipherReuseTest" and name in _REUSED:
            good = type(value) is list and all(map(_REUSED[name], value))
        else:
            good = name not in _KINDS or (type(value) is _KINDS[name] and _is_readable(name, value))
        if not good:
            return _("{field}: {value} is not what it has to be", field=name, value=_short(value))
    return None


def _to_lower_case(fields: dict[str, Any] | None) -> None:
    """Hexadecimal digits as harnesses get and give them; a file may have them in upper case."""
    for name, value in (fields or {}).items():
        if name in _TEXTS and isinstance(value, str):
            fields[name] = value.lower()  # type: ignore[index]
        elif name == "publicKey" and isinstance(value, dict):
            _to_lower_case(value)
        elif name in _LISTS and isinstance(value, list) and name not in _ITEMS:
            fields[name] = [one.lower() if isinstance(one, str) else one for one in value]  # type: ignore[index]


def _short(value: object) -> Message:
    return verbatim(repr(value)[:80])


def _is_readable(name: str, value: Any) -> bool:
    match value:
        case str() if name in _WORDS:
            return value in _CHOICES.get(name, (value,))
        case str():
            return _is_hex(value)
        case dict():
            return _is_hex(value.get("uncompressed"))
        case bool():
            return True
        case int():
            return 0 <= value < (1 << 40 if name == "time" else _MOST)
        case list():
            return all(map(_ITEMS.get(name, _is_hex), value))
    return True


def _is_hex(value: Any) -> bool:
    return isinstance(value, str) and _HEX.fullmatch(value) is not None


def _is_step(value: Any) -> bool:
    """One step of a stream: what goes in is hexadecimal, and what asks for something is true."""
    return (
        isinstance(value, dict)
        and len(value) == 1
        and all(_is_hex(v) if n in ("update", "clone") else v is True for n, v in value.items())
    )


def _is_cipher_step(value: Any) -> bool:
    """One step with a key object: which way, and what goes in."""
    return (
        isinstance(value, dict)
        and value.get("op") in _CHOICES["ways"]
        and all(_is_size(v) if n == "tag_bytes" else _is_hex(v) for n, v in value.items() if n != "op")
    )


def _is_cipher_out(value: Any) -> bool:
    """What a step gives: fields of hexadecimal digits; none for a refusal."""
    return isinstance(value, dict) and all(_is_hex(v) or v is True for v in value.values())


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST


_REUSED: dict[str, Callable[[Any], bool]] = {"steps": _is_cipher_step, "outs": _is_cipher_out}
_ITEMS: dict[str, Callable[[Any], bool]] = {
    "splits": _is_size,
    "aad_splits": _is_size,
    "absent": lambda value: isinstance(value, str),
    "steps": _is_step,
    "ways": lambda value: value in _CHOICES["ways"],
}
"""Lists of something else than hexadecimal digits -> whether one of their items is right."""


def load_directory(directory: Path) -> list[Loaded]:
    """Read every ``*_test.json`` of a directory that is about SM2, SM3 or SM4; Wycheproof's other files are left out.

    Raises:
        DataFileError: there is none, or one is malformed.
    """
    paths = sorted(path for path in directory.glob("*_test.json") if _is_ours(path))
    if not paths:
        raise DataFileError(
            _("{directory}: there is no vector file about SM2, SM3 or SM4", directory=directory),
            mend=_("put *_test.json of Wycheproof's form there"),
        )
    return [load_file(path) for path in paths]


def _is_ours(path: Path) -> bool:
    """Whether a file is about an SM algorithm. One that cannot be read counts as such, and is reported when it is loaded."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return True
    return not isinstance(data, dict) or "requirement" in data or str(data.get("algorithm")) in BY_ALGORITHM


def find(loaded: Sequence[Loaded], identifier: str) -> list[Vector]:
    """The vector ``file/tcId``, or all vectors of ``file``.

    Raises:
        UnknownName: there is none of that name.
    """
    name, _slash, number = identifier.partition("/")
    for one in loaded:
        if one.name == name:
            found = [v for v in one.vectors() if not number or str(v.test.tc_id) == number]
            if found:
                return found
            raise UnknownName(
                _(
                    "{id}: {file} has no vector {number}",
                    id=verbatim(identifier),
                    file=verbatim(name),
                    number=verbatim(number),
                )
            )
    raise UnknownName(
        _(
            "{id}: there is no vector file {file}{hint}",
            id=verbatim(identifier),
            file=verbatim(name),
            hint=near(name, [one.name for one in loaded]),
        ),
        mend=verbatim("xc sm vectors"),
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a vector file."""
    return VectorFile.model_json_schema(by_alias=True)


def dump(data: dict[str, Any]) -> str:
    """The text of a vector file, one test a line, so that a diff can be read."""
    head = {k: v for k, v in data.items() if k != "testGroups"}
    text = json.dumps(head, indent=1, ensure_ascii=False)[:-2] + ',\n "testGroups": [\n'
    groups = []
    for group in data["testGroups"]:
        inner = json.dumps({k: v for k, v in group.items() if k != "tests"}, ensure_ascii=False)[:-1]
        tests = ",\n".join("   " + json.dumps(t, ensure_ascii=False) for t in group["tests"])
        groups.append(f'  {inner}, "tests": [\n{tests}\n  ]}}')
    return text + ",\n".join(groups) + "\n ]\n}\n"
