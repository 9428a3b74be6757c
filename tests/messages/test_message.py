"""Messages: an id with parameters, put into words at the end."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from pydantic import BaseModel

from pytest_xinchuang.messages import Message, _, both, choose_language, joined, n_, render, verbatim

EVERY = [
    _("{program} needs {library}", program="a", library=verbatim("libz.so.1")),
    n_("{n} file is missing", "{n} files are missing", 3),
    both({"en": "{object} is old", "zh": "{object} 太旧"}, object="x"),
    verbatim("{not} a template"),
    joined([_("one"), "two"]),
    _("{why}: again", why=n_("{n} time", "{n} times", 1)),
]


@pytest.mark.parametrize("message", EVERY, ids=str)
def test_nothing_is_lost_on_the_way_into_the_journal_and_back(message: Message) -> None:
    back = Message.from_data(json.loads(json.dumps(message.as_data())))
    assert back.as_data() == message.as_data()
    assert [back.render(lang) for lang in ("en", "zh")] == [message.render(lang) for lang in ("en", "zh")]
    for same in (pickle.loads(pickle.dumps(message)), copy.deepcopy(message)):
        assert same == message and same.as_data() == message.as_data()


def test_as_a_string_it_is_english() -> None:
    assert [str(m) for m in EVERY] == [
        "a needs libz.so.1",
        "3 files are missing",
        "x is old",
        "{not} a template",
        "one; two",
        "1 time: again",
    ]


def test_a_text_of_a_data_file_has_both_languages() -> None:
    assert EVERY[2].render("zh") == "x 太旧"
    assert joined(["a", "b"]).render("zh") == "a；b"
    assert render("plain", "zh") == "plain"


def test_a_missing_parameter_stays_visible() -> None:
    assert _("{a} and {b}", a=1) == "1 and (b?)"


@pytest.mark.parametrize("template", ["{a.__class__}", "{a[0]}", "{0}", "{}", "{a:999999999}", "{a:{b}}"])
def test_a_template_of_a_foreign_journal_reaches_into_nothing(template: str) -> None:
    text = Message.from_data({"id": template, "params": {"a": "value", "b": 5}}).render("zh")
    assert "class" not in text and len(text) < 40


@pytest.mark.parametrize("data", [None, 5, [], {}, {"id": 1, "params": {}}, {"id": "x"}, {"join": 3, "parts": []}])
def test_what_is_no_message_is_refused(data: object) -> None:
    with pytest.raises(ValueError):
        Message.from_data(data)


def test_a_model_holds_messages() -> None:
    class Event(BaseModel):
        reason: Message

    event = Event(reason=EVERY[0])
    assert Event.model_validate_json(event.model_dump_json()).reason.as_data() == EVERY[0].as_data()
    assert Event.model_validate({"reason": "plain"}).reason == "plain"


@pytest.mark.parametrize(
    ("wanted", "environment", "language"),
    [
        ("zh", {}, "zh"),
        ("zh_CN.UTF-8", {"LANG": "en_US.UTF-8"}, "zh"),
        (None, {"LANG": "zh_CN.UTF-8"}, "zh"),
        (None, {"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        (None, {"LC_ALL": "", "LANG": "zh_CN.UTF-8"}, "zh"),
        ("fr", {"LANG": "zh"}, "zh"),
        (None, {}, "en"),
    ],
)
def test_the_language_is_what_is_asked_for_else_the_locales(
    wanted: str | None, environment: dict[str, str], language: str
) -> None:
    assert choose_language(wanted, environment) == language


def test_names_in_chinese_stand_close_and_those_in_latin_letters_do_not() -> None:
    texts = {"en": "{here} instead of {system}", "zh": "以 {here} 代替 {system}"}
    assert both(texts, here="Debian 11", system="银河麒麟 V10").render("zh") == "以 Debian 11 代替银河麒麟 V10"
    assert both(texts, here="统信", system=5).render("zh") == "以统信代替 5"
    assert both(texts, here="统信", system="麒麟").render("en") == "统信 instead of 麒麟"
    assert both({"zh": "{{here}} 的 {missing} 项"}, here="麒麟").render("zh") == "{here} 的 (missing?) 项"
