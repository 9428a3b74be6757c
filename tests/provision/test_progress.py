from __future__ import annotations

import io

import pytest

from pytest_xinchuang.provision.progress import Progress


def test_plain_lines_when_there_is_something_to_do() -> None:
    stream = io.StringIO()
    progress = Progress(stream=stream)
    with progress.step("idle"):
        pass
    with progress.step("work") as step:
        step.starts()
    assert stream.getvalue().splitlines() == ["xc: work: making it", "xc: work: done in 0.0 s"]


def test_what_is_usually_short_is_not_told() -> None:
    stream = io.StringIO()
    with Progress(stream=stream).step("work", usually_short=True) as step:
        step.starts()
    assert stream.getvalue() == ""


def test_a_failure_is_told() -> None:
    stream = io.StringIO()

    def broken() -> None:
        with Progress(stream=stream).step("work", usually_short=True) as step:
            step.starts()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert stream.getvalue() == "xc: work: failed in 0.0 s\n"


def test_quiet_is_quiet() -> None:
    stream = io.StringIO()
    with Progress(quiet=True, stream=stream).step("work") as step:
        step.starts()
        step.waits()
    assert stream.getvalue() == ""


def test_a_terminal_has_one_line_that_is_rewritten() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with Progress(stream=stream).step("work") as step:
        step.starts()
        __import__("time").sleep(0.25)
    assert "\r\x1b[K" in stream.getvalue()
    assert stream.getvalue().endswith("s\n")
