"""Both ways to feed and read a program say the same."""

from __future__ import annotations

import os
import time

import pytest

from pytest_xinchuang.tools.streams import Capture, ThreadedCapture

WAYS = pytest.mark.parametrize("way", [Capture, ThreadedCapture])


@WAYS
def test_it_feeds_and_reads_at_once(way: type[Capture | ThreadedCapture]) -> None:
    in_r, in_w = os.pipe()
    out_r, out_w = os.pipe()
    capture = way(in_w, out_r, None, b"x" * 300_000, 1 << 20)
    assert not capture.pump(time.monotonic() + 0.05)
    fed = b""
    while len(fed) < 300_000:
        fed += os.read(in_r, 1 << 16)
        capture.pump(time.monotonic() + 0.01)
    os.write(out_w, b"answer")
    for fd in (in_r, out_w):
        os.close(fd)
    assert capture.pump(time.monotonic() + 5)
    assert (capture.stdout, capture.stderr, capture.truncated) == (b"answer", b"", False)
    capture.close()


@WAYS
def test_it_keeps_what_it_may_and_says_so(way: type[Capture | ThreadedCapture]) -> None:
    out_r, out_w = os.pipe()
    capture = way(None, None, out_r, b"", 4)
    os.write(out_w, b"123456")
    os.close(out_w)
    assert capture.pump(time.monotonic() + 5)
    assert (capture.stderr, capture.truncated) == (b"1234", True)
    capture.close()


@WAYS
def test_who_reads_nothing_is_no_error(way: type[Capture | ThreadedCapture]) -> None:
    in_r, in_w = os.pipe()
    os.close(in_r)
    capture = way(in_w, None, None, b"x", 4)
    assert capture.pump(time.monotonic() + 5)
    capture.close()
