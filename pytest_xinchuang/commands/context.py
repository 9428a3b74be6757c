"""What a command works with: its options, its voice, and the store, pool and builder, made when they are asked for."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pytest_xinchuang.commands.voice import speak
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, joined, render, system_error, verbatim

if TYPE_CHECKING:
    from pytest_xinchuang.core.platform import Platform, Platforms
    from pytest_xinchuang.provision.cache import Cache
    from pytest_xinchuang.provision.progress import Progress
    from pytest_xinchuang.provision.store import Store
    from pytest_xinchuang.sandbox.pool import Pool
    from pytest_xinchuang.toolchain.builder import Builder


class Context:
    """One call of one command; what it has opened is closed with it.

    Attributes:
        options: what the command line says.
        language: what the user reads: ``en`` or ``zh``.
    """

    def __init__(self, options: argparse.Namespace, language: str) -> None:
        self.options = options
        self.language = language
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._open.close()

    # What it says.

    def say(self, text: str = "", *, end: str = "\n") -> None:
        """A line of the result, to standard output."""
        speak(text, self.language, end=end)

    def tell(self, text: str) -> None:
        """A line about the work, to standard error: no part of the result."""
        speak(_("xc: {text}", text=verbatim(text)), self.language, error=True)

    def explain(self, text: str) -> None:
        """How a command is used, to standard error."""
        speak(text, self.language, end="", error=True)

    def write(self, text: str, output: str | Path | None = None) -> None:
        """A whole result: to the file of ``output``, else of ``--output``, else to standard output.

        Raises:
            XcError: the file cannot be written.
        """
        target = output or getattr(self.options, "output", None)
        if target is None:
            self.say(text, end="")
            return
        try:
            whole = render(text, self.language)
            Path(target).write_text(whole, encoding="utf-8", errors="backslashreplace", newline="\n")
        except OSError as error:
            raise XcError(
                _("{file}: cannot be written: {error}", file=verbatim(str(target)), error=system_error(error))
            ) from error

    def write_json(self, data: Any, output: str | Path | None = None) -> None:
        """A result as JSON, as :meth:`write` writes it."""
        self.write(as_json(data), output)

    def lines(self, texts: Iterable[str]) -> str:
        """Lines in the user's language, for :meth:`write`."""
        return "".join(f"{render(text, self.language)}\n" for text in texts)

    # What it works with.

    @cached_property
    def platforms(self) -> Platforms:
        """The shipped platforms, with those of ``--platforms-file`` merged over them.

        Raises:
            DataFileError: the file is malformed.
        """
        from pytest_xinchuang.core import resources
        from pytest_xinchuang.core.platform import load_platforms

        own = [Path(self.options.platforms_file)] if self.options.platforms_file else []
        return load_platforms(resources.platforms_file(), *own)

    def obey_platforms_file(self) -> None:
        """Read the file of ``--platforms-file``, for commands as well that need no platform.

        Raises:
            DataFileError: it is malformed.
        """
        if self.options.platforms_file:
            self.platforms.select(["all"])

    @property
    def offline(self) -> bool:
        """Nothing may be fetched."""
        return bool(getattr(self.options, "offline", False))

    @property
    def words(self) -> list[str]:
        """What stood after ``--``."""
        return list(self.options.words)

    def selected(self) -> tuple[Platform, ...]:
        """The platforms of ``--platform ID[,ID...]``.

        Raises:
            UnknownName: there is none of a name.
        """
        return self.platforms.select(self.options.platform.split(","))

    def place(self, mend: str) -> str:
        """The platform's name where a command takes it by place or by ``--platform``.

        Args:
            mend: an example, where none is given.

        Raises:
            XcError: it is given in neither way, or in both.
        """
        by_place, by_option = self.options.place, self.options.platform
        if by_place and by_option:
            raise XcError(
                _(
                    "a platform is given twice: {names}",
                    names=joined((verbatim(by_option), verbatim(by_place)), _(", ")),
                )
            )
        if not (by_place or by_option):
            raise XcError(_("no platform is named"), mend=verbatim(mend))
        return str(by_place or by_option)

    @cached_property
    def cache(self) -> Cache:
        from pytest_xinchuang.provision.cache import Cache

        cache = Cache()
        cache.clean()
        return cache

    @cached_property
    def progress(self) -> Progress:
        from pytest_xinchuang.provision.progress import Progress

        return Progress(quiet=bool(getattr(self.options, "quiet", False)), language=self.language)

    def store(self, packages: tuple[str, ...] = ()) -> Store:
        """Emulators and root filesystems; ``packages`` are what the latter get besides their own."""
        from pytest_xinchuang.provision.store import Store

        return Store(self.platforms, self.cache, self.progress, offline=self.offline, packages=packages)

    def pool(self, *, packages: tuple[str, ...] = (), backend: str = "auto", timeout_scale: float = 1.0) -> Pool:
        """A pool of sandboxes, closed with the context.

        Raises:
            UnknownName: there is no such backend.
        """
        from pytest_xinchuang.sandbox.pool import Pool

        pool = Pool(self.store(packages), backend, timeout_scale=timeout_scale)
        self._open.callback(pool.close)
        return pool

    def builder(self, pool: Pool) -> Builder:
        """A builder of target code with the time-outs of a pool."""
        from pytest_xinchuang.toolchain.builder import Builder

        return Builder(self.cache, self.progress, pool.runner)


def as_json(data: Any) -> str:
    """JSON as every command writes it."""
    import json

    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
