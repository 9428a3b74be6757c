"""Progress of long steps: a line that is rewritten on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator
from io import TextIOBase
from typing import TextIO

from pytest_xinchuang.messages import Message, _, can_show, choose_language, displayed, render, verbatim

LOGGER = logging.getLogger("pytest_xinchuang.progress")


class ProgressStep:
    """One step, silent until it turns out that there is something to do."""

    def __init__(self, progress: Progress, name: str, *, usually_short: bool) -> None:
        self._progress, self.name, self.usually_short = progress, name, usually_short
        self.started = 0.0

    def starts(self) -> None:
        self.started = time.monotonic()
        self._progress._begin(self)

    def waits(self) -> None:
        self._progress._line(_("{step}: waiting for another process that is making it", step=verbatim(self.name)))


class Progress:
    """Writes to ``stream`` (default stderr) in a language (default: the locale's)."""

    def __init__(
        self, *, quiet: bool = False, stream: TextIO | TextIOBase | None = None, language: str | None = None
    ) -> None:
        self.quiet = quiet
        self._stream = stream or sys.stderr
        self._language = displayed(choose_language(language), self._stream)
        self._bar = not quiet and self._stream.isatty()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def step(self, name: str, *, usually_short: bool = False) -> Iterator[ProgressStep]:
        """A step; one that is ``usually_short`` is told only when it took longer than a second."""
        step = ProgressStep(self, name, usually_short=usually_short)
        ticking = threading.Event()
        ticker: threading.Thread | None = None
        if self._bar:
            ticker = threading.Thread(target=self._tick, args=(step, ticking), daemon=True)
            ticker.start()
        done = False
        try:
            yield step
            done = True
        finally:
            ticking.set()
            if ticker:
                ticker.join()
            if step.started:
                seconds = time.monotonic() - step.started
                LOGGER.info("%s: %.1f s", name, seconds)
                if not (done and usually_short and seconds < 1):
                    ended = {"step": verbatim(name), "seconds": seconds}
                    self._line(
                        _("{step}: done in {seconds:.1f} s", **ended)
                        if done
                        else _("{step}: failed in {seconds:.1f} s", **ended)
                    )

    def _begin(self, step: ProgressStep) -> None:
        if not self._bar and not step.usually_short:
            self._line(_("{step}: making it", step=verbatim(step.name)))

    def _tick(self, step: ProgressStep, stop: threading.Event) -> None:
        marks = next(m for m in ("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\") if can_show(m, self._stream))
        turn = 0
        while not stop.wait(0.1):
            if step.started:
                turn += 1
                seconds = time.monotonic() - step.started
                with self._lock:
                    self._stream.write(
                        f"\r\x1b[K{marks[turn % len(marks)]} {render(step.name, self._language)} {seconds:5.1f} s"
                    )
                    self._stream.flush()

    def _line(self, text: Message) -> None:
        if self.quiet:
            return
        with self._lock:
            told = _("xc: {text}", text=text).render(self._language)
            self._stream.write(("\r\x1b[K" if self._bar else "") + told + "\n")
            self._stream.flush()
