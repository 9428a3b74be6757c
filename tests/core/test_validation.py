"""What pydantic finds wrong: its own English, and Chinese for what users can get wrong."""

from __future__ import annotations

import datetime
import errno
import os
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.validation import mistake
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import system_error
from tests.messages.english import english_in


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    name: str


class Model(BaseModel, extra="forbid"):
    """Every kind of field that our files have."""

    name: str = Field(default="a", min_length=2, max_length=3)
    letter: str = Field(default="a", pattern=r"^[a-z]$")
    count: int = Field(default=1, ge=0, lt=9)
    seconds: float = Field(default=1.0, gt=0.5, le=3600)
    flag: bool = False
    kind: Literal["c", "go", "it's"] = "c"
    one: Literal["one"] = "one"
    colour: Colour = Colour.RED
    day: datetime.date | None = None
    part: Part | None = None
    table: dict[str, int] = Field(default={}, min_length=1)
    several: tuple[int, ...] = Field(default=(), min_length=2)
    few: list[int] = Field(default=[], max_length=1)
    needed: int = 0
    either: int | Part = 0


WRONG: list[dict[str, Any]] = [
    {"name": "a"},
    {"name": "abcd"},
    {"name": 3},
    {"letter": "A"},
    {"count": -1},
    {"count": 9},
    {"count": 1.5},
    {"count": "x"},
    {"count": []},
    {"count": "1" * 5000},
    {"seconds": 0.5},
    {"seconds": 3601},
    {"seconds": "x"},
    {"seconds": []},
    {"flag": "perhaps"},
    {"flag": []},
    {"kind": "d"},
    {"one": "two"},
    {"colour": "green"},
    {"day": "2020-33-11"},
    {"day": []},
    {"day": "2020-03-11T11:00:00"},
    {"part": []},
    {"part": {}},
    {"table": []},
    {"table": {}},
    {"table": {1: 1}},
    {"several": 1},
    {"several": [1]},
    {"few": {}},
    {"few": [1, 2]},
    {"either": []},
    {"nobody": 1},
]


def problems(validate: Any, data: Any) -> list[Any]:
    with pytest.raises(ValidationError) as caught:
        validate(data)
    return caught.value.errors(include_url=False)


@pytest.mark.parametrize("data", WRONG, ids=repr)
def test_a_mistake_reads_as_pydantic_has_it_and_has_its_chinese(data: dict[str, Any]) -> None:
    for problem in problems(Model.model_validate, data):
        text = mistake(problem)
        assert str(text) == problem["msg"][0].lower() + problem["msg"][1:]
        assert text.render("zh") != str(text)
        assert not english_in(text.render("zh"))


@pytest.mark.parametrize("data", ["[]", '{"a": ', '{"several": 1}', '{"part": 3}', '{"table": []}', "nothing"])
def test_a_mistake_in_json_has_its_chinese(data: str) -> None:
    for problem in problems(Model.model_validate_json, data):
        text = mistake(problem)
        assert str(text) == problem["msg"][0].lower() + problem["msg"][1:]
        assert text.render("zh") != str(text)
        assert not english_in(text.render("zh"))


def test_a_type_of_mistake_that_nobody_has_translated_is_told_as_it_is() -> None:
    problem: Any = {"type": "uuid_parsing", "msg": "Input should be a valid UUID, no", "loc": (), "input": 1}
    assert mistake(problem).render("zh") == "input should be a valid UUID, no"


def test_a_mistake_without_its_context_is_told() -> None:
    problem: Any = {"type": "too_short", "msg": "List should have more", "loc": (), "input": 1}
    assert mistake(problem).render("zh")


def test_choices_are_put_apart() -> None:
    (problem,) = problems(Model.model_validate, {"kind": "d"})
    assert mistake(problem).render("zh") == "应为 'c'、'go' 或 \"it's\""


@pytest.mark.parametrize(
    "text",
    [
        "a: b: c",
        "a: [1, 2",
        "a:\n\t- b",
        "- a\nb: c",
        "a: *b",
        "a: 'b",
        'a: "\\q"',
        "a: {b",
        "a: 1\na: 2",
        "[]",
        "a: @",
    ],
)
def test_a_broken_yaml_file_is_told_in_chinese(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(DataFileError) as caught:
        YamlFile(path)
    assert not english_in(caught.value.render("zh").replace(str(path), ""))


def test_the_lines_of_a_file_are_told_in_chinese(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("name: abcd\nnobody: 1\npart: {}\n")
    with pytest.raises(DataFileError) as caught:
        YamlFile(path).parse(Model)
    assert caught.value.render("zh").splitlines() == [
        f"{path}:1: name：现为 'abcd'：字符串应至多有 3 个字符",
        f"{path}:3: part.name：缺少此项",
        f"{path}:2: nobody：现为 1：此处没有这个键",
    ]


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.ENOSPC, errno.ECONNREFUSED])
def test_the_systems_errors_have_their_chinese(number: int) -> None:
    error = OSError(number, os.strerror(number), "a")
    assert str(system_error(error)) == str(system_error(number)) == os.strerror(number)
    assert system_error(error).render("zh") != os.strerror(number)


def test_an_error_with_a_text_of_its_own_keeps_it() -> None:
    assert system_error(OSError(2, "there is none")).render("zh") == "there is none"
    assert system_error(OSError("no number")).render("zh") == "no number"
