"""Terminals that have no Chinese: nothing fails, and help is in the locale's language only where it can be shown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_xinchuang.messages import can_show, displayed
from tests.others import SWITCHED_OFF

CHINESE = {"LC_ALL": "zh_CN.UTF-8"}


def said(encoding: str, *argv: str, cwd: Path) -> tuple[int, str]:
    environment = {**os.environ, **CHINESE, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-m", *argv], env=environment, cwd=cwd, capture_output=True, check=False)
    text = (done.stdout + done.stderr).decode(encoding.partition(":")[0])
    assert "UnicodeEncodeError" not in text and "Traceback (most" not in text
    return done.returncode, text


@pytest.mark.tools
@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "gb18030", "utf-8"])
def test_help_is_told_in_what_the_terminal_can_show(encoding: str, tmp_path: Path) -> None:
    has_chinese = encoding in ("gb18030", "utf-8")
    code, text = said(encoding, "pytest_xinchuang.cli", "--help", cwd=tmp_path)
    assert code == 0 and ("信创" in text) == has_chinese and ("Grades on Xinchuang platforms" in text) != has_chinese
    code, text = said(encoding, "pytest_xinchuang.cli", "--language", "zh", "explain", "XC-MRU-020", cwd=tmp_path)
    assert code == 0 and ("修正" in text) == has_chinese
    code, text = said(encoding, "pytest", *SWITCHED_OFF, "--help", cwd=tmp_path)
    assert code == 0 and ("信创" in text) == has_chinese
    assert "\\u" not in text and len(text.splitlines()) > 100


@pytest.mark.tools
@pytest.mark.parametrize("encoding", ["ascii", "gb18030"])
def test_a_run_is_told_in_what_the_terminal_can_show(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("def test_x(): pass\n")
    code, text = said(encoding, "pytest", *SWITCHED_OFF, "--xc-platform=kunpeng", "--xc-language=zh", cwd=tmp_path)
    assert code == 0 and ("信创等级" in text) == (encoding == "gb18030")
    assert "\\u" not in text


class _Stream:
    def __init__(self, encoding: str | None) -> None:
        self.encoding = encoding


@pytest.mark.parametrize(
    ("encoding", "shows"), [("ascii", False), ("latin-1", False), ("gb2312", True), (None, True), ("no-such", False)]
)
def test_what_a_stream_can_show(encoding: str | None, shows: bool) -> None:
    stream: object = _Stream(encoding)
    assert can_show("信创", stream) == shows
    assert displayed("zh", stream) == ("zh" if shows else "en")
    assert displayed("en", stream) == "en"
    assert can_show("plain", stream) == (encoding != "no-such")
