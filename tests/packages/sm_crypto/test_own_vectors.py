"""Vector files of users, in every way malformed: each is told, or run, and none ends in a fault."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.packages.sm_crypto.judge import TYPES, asks
from pytest_xinchuang.packages.sm_crypto.protocol import SmHello
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness
from pytest_xinchuang.packages.sm_crypto.vectors import find, load_directory, load_file
from tests.messages.english import english_in

VECTORS = resources.fixtures_dir() / "vectors"
MISSING = object()
WRONG: tuple[Any, ...] = (
    MISSING, None, 5, -1, 0, 1 << 62, 1 << 64, 1.5, True, False, "", "0", "zz", "00", "ab" * 40, "ABCDEF", "one", "\ud800",
    [], [1], [-1], ["zz"], [[]], [None], [{}], [{"update": 5}], [{"clone": "zz"}],
    {}, {"uncompressed": 5}, {"uncompressed": "zz"}, {"uncompressed": "04"},
)  # fmt: skip
HELLOS = (
    ReferenceHarness().hello(),
    {**ReferenceHarness().hello(), "default_id": None, "ids": "text"},
    {**ReferenceHarness().hello(), "operations": {n: {} for n in ReferenceHarness().hello()["operations"]}},
)
VALUES: tuple[Any, ...] = ("00", 5, None, [1], {})
REPLIES: tuple[dict[str, Any], ...] = (
    {},
    {"error": "no"},
    {"valid": True},
    {"valid": 1},
    *({name: value} for name in ("msg", "ct", "tag", "sig", "key", "public", "outs") for value in VALUES),
)  # fmt: skip


def samples() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """A group with one test, of every type and kind of result, and the file that it is of."""
    seen = set()
    for path in sorted(VECTORS.glob("*_test.json")):
        data = json.loads(path.read_text())
        for group in data["testGroups"]:
            for test in group["tests"]:
                kind = (group["type"], *sorted(set(group) | set(test)))
                if kind not in seen and len(json.dumps(test)) < 20000:
                    seen.add(kind)
                    yield data, {**group, "tests": [test]}


def written(path: Path, data: dict[str, Any], group: dict[str, Any]) -> Path:
    path.write_text(json.dumps({**data, "testGroups": [group], "numberOfTests": 1}))
    return path


def run(path: Path) -> int:
    """Read a file, ask all that it asks for, and judge all kinds of replies; returns how many requests there were."""
    try:
        loaded = load_file(path)
    except DataFileError as error:
        told = error.what.render("zh")
        return 0 if path.name in told and not english_in(told.replace(str(path), "")) else -1
    number = 0
    for vector in loaded.vectors():
        if vector.group.type not in TYPES:
            continue
        for said in HELLOS:
            hello = SmHello.model_validate(said)
            for ask in asks(vector, hello):
                number += 1
                json.dumps(ask.request)
                hello.lacks(ask.request)
                for reply in REPLIES:
                    ask.judge(Answer(ReplyKind.REPLY, reply))
    return number


def test_every_field_of_every_type_in_every_wrong_form(tmp_path: Path) -> None:
    path, told, asked = tmp_path / "x_test.json", 0, 0
    for data, group in samples():
        assert run(written(path, data, group)) > 0, group
        for place in ("group", "test"):
            fields = group if place == "group" else group["tests"][0]
            for name in [n for n in fields if n not in ("tests", "source")]:
                for value in WRONG:
                    changed = copy.deepcopy(group)
                    target = changed if place == "group" else changed["tests"][0]
                    if value is MISSING:
                        del target[name]
                    else:
                        target[name] = value
                    number = run(written(path, data, changed))
                    assert number >= 0, (changed, name, value)
                    asked, told = asked + bool(number), told + (not number)
    assert told > 1000 and asked > 100


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"testGroups": 5}', "\ud800", "[" * 9999])
def test_what_is_no_file_of_vectors_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "x_test.json").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(DataFileError):
        load_directory(tmp_path)


def test_every_type_that_is_asked_has_its_fields() -> None:
    assert {group["type"] for _data, group in samples()} == TYPES
    assert find(load_directory(VECTORS), "sm2_verify/1")


def test_hexadecimal_digits_in_upper_case_are_the_same(tmp_path: Path) -> None:
    for data, group in samples():
        upper = {
            **group,
            "tests": [
                {n: v.upper() if n in ("msg", "ct", "digest", "sig", "tag", "key") else v for n, v in t.items()}
                for t in group["tests"]
            ],
        }
        plain, raised = (
            [ask.request | dict(ask.expect) for v in load_file(written(tmp_path / "x_test.json", data, g)).vectors()
             for ask in asks(v, SmHello.model_validate(HELLOS[0]))]
            for g in (group, upper)
        )  # fmt: skip
        assert plain == raised
