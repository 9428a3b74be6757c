"""Runs ``xc`` as a user does, and takes out of its words what differs from one machine to the next."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_xinchuang import __version__
from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core import resources

Said = Callable[..., str]
"""The words after ``xc`` -> the command, what it said, and its exit status."""

OWN_VERSION = re.compile(rf"(?<![\w.]){re.escape(__version__)}(?![\w.])")
SECONDS = re.compile(r"\b\d+(?:\.\d+)? ?(?=s\b|秒)")


@pytest.fixture(params=["en", "zh"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def normal(tmp_path: Path) -> Callable[[str], str]:
    """A text without versions of ours, directories and durations."""
    checkout = resources.platforms_file().parent
    places = {str(tmp_path): "TMP", str(checkout): "CHECKOUT", str(Path(sys.executable).parent): "BIN"}

    def make(text: str) -> str:
        for place, name in sorted(places.items(), key=lambda each: -len(each[0])):  # what lies in another goes first
            text = text.replace(place, name)
        return SECONDS.sub("N ", OWN_VERSION.sub("VERSION", text))

    return make


@pytest.fixture
def said(
    language: str,
    normal: Callable[[str], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Said:
    """Runs ``xc`` in a directory of the test's own, on a terminal of 100 columns."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LC_ALL", {"en": "C.UTF-8", "zh": "zh_CN.UTF-8"}[language])
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        capsys.readouterr()
        try:
            code = main(list(words))
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        errors = f"\n-- stderr --\n{err}" if err else ""
        return normal(f"$ xc {' '.join(words)}\n{out}{errors}\nexit status {int(code)}")

    return run
