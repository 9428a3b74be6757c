"""What the system and libraries say of an error, in both languages."""

from __future__ import annotations

import errno
import json
import os
import socket
import urllib.error

import pytest

from pytest_xinchuang.messages import system_cause, system_error, told
from tests.messages.english import english_in

GONE = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/a/b")
UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _of_json(text: str) -> ValueError:
    with pytest.raises(ValueError) as caught:
        json.loads(text)
    return caught.value


@pytest.mark.parametrize(
    ("error", "english", "chinese"),
    [
        (GONE, "/a/b: No such file or directory", "/a/b：没有该文件或目录"),
        (OSError(errno.ECONNREFUSED, "Connection refused"), "Connection refused", "连接被拒绝"),
        (UNKNOWN, "Name or service not known", "无法解析该主机名或服务名"),
        (urllib.error.URLError(UNKNOWN), "Name or service not known", "无法解析该主机名或服务名"),
        (urllib.error.URLError(TimeoutError("timed out")), "timed out", "超时"),
        (urllib.error.URLError("no host given"), "<urlopen error no host given>", "<urlopen error no host given>"),
        (_of_json("{"), "not JSON at line 1, column 2", "第 1 行第 2 列不是 JSON"),
        (KeyError("components"), "there is no components", "没有 components"),
        (UnicodeDecodeError("utf-8", b"x", 3, 4, "odd"), "not UTF-8 at byte 3", ""),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply", ""),
        (ValueError("odd"), "odd", "odd"),
        (ValueError(), "ValueError", "ValueError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_is_told_by_its_kind(error: BaseException, english: str, chinese: str) -> None:
    said = told(error)
    assert str(said) == english
    assert said.render("zh") == chinese or (not chinese and said.render("zh") != english)


@pytest.mark.parametrize("name", [name for name in dir(socket) if name.startswith("EAI_")])
def test_what_the_name_service_says_is_told(name: str) -> None:
    number = getattr(socket, name)
    known = system_error(socket.gaierror(number, f"the words of {name} here"))
    if name in ("EAI_AGAIN", "EAI_FAIL", "EAI_FAMILY", "EAI_NODATA", "EAI_NONAME", "EAI_SERVICE"):
        assert not english_in(known.render("zh")) and known.render("zh") != known
    else:
        assert known == f"the words of {name} here"


def test_the_call_that_failed_is_found_behind_a_librarys_error() -> None:
    outer = RuntimeError("Error while fetching server API version")
    outer.__cause__ = ConnectionError(ValueError("Connection aborted.", GONE), "no number")
    assert system_cause(outer) is GONE
    assert system_cause(ValueError("odd")) is None
    circle = ValueError("odd")
    circle.__cause__ = circle
    assert system_cause(circle) is None
