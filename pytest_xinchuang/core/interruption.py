"""Interrupts that native code took for an error: Python raises KeyboardInterrupt wherever its main thread happens to be.

A serializer or a validator that compiled code has called is such a place: pydantic_core 2 turns whatever its callbacks raise
into an error of its own, without the cause. Who catches every error therefore asks here first whether it was an interrupt.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

_seen = False


def watch() -> Callable[[], None]:
    """Remember interrupts that Python's own handler raises; returns what ends that, and forgets them.

    Nothing is changed where somebody else handles or ignores SIGINT, nor outside the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return lambda: None
    signal.signal(signal.SIGINT, _handle)
    return _forget


def seen() -> bool:
    """Whether the user has interrupted this process since ``watch``: the error at hand may be that interrupt."""
    return _seen


def _handle(number: int, frame: FrameType | None) -> None:
    global _seen
    _seen = True
    signal.default_int_handler(number, frame)


def _forget() -> None:
    global _seen
    _seen = False
    if signal.getsignal(signal.SIGINT) is _handle:
        signal.signal(signal.SIGINT, signal.default_int_handler)
