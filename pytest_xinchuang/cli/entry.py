"""The ``xc`` command."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from pytest_xinchuang import __version__
from pytest_xinchuang.cli import advise, completion, data, grading, inspect, platforms, provisioning
from pytest_xinchuang.commands.common import Commands, Context, Exit, top
from pytest_xinchuang.commands.parser import UsageError
from pytest_xinchuang.commands.voice import speak
from pytest_xinchuang.core import interruption
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.optional import without_needed
from pytest_xinchuang.gotest import commands as gotest
from pytest_xinchuang.messages import LANGUAGES, _, add_catalogue, choose_language, displayed, told, verbatim


def main(arguments: list[str] | None = None) -> int:
    """Run ``xc``; returns the exit code. Problems are told on stderr in a line or two, never as a traceback."""
    words = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal without Chinese shows what it cannot as escapes: names, and output of other tools.
            stream.reconfigure(errors="backslashreplace")
    language = displayed(choose_language(_language_in(words)))
    forget = interruption.watch()
    try:
        commands = commands_of(language)
        completion.complete(commands.parser)
        options = commands.parser.parse_args(words)
        wanted = choose_language(options.language)
        language = wanted if getattr(options, "output", None) else displayed(wanted)
        options.language = language
        with Context(options, language) as context, _logging(options.verbose, words):
            context.obey_platforms_file()
            code: int = options.handler(context)
        sys.stdout.flush()  # here, while a full disk can still be told
        return int(code)
    except UsageError as error:
        speak(error.parser.format_usage(), language, end="", error=True)
        return _fail(error, language)
    except XcError as error:
        return _fail(error, language)
    except BrokenPipeError:
        _close_stdout()
        return Exit.ERROR
    except OSError as error:
        _close_stdout()
        return _fail(
            XcError(
                _("{error}; the command was not finished", error=told(error)),
                mend=_("see that what it names can be read and written, and the disk is not full"),
            ),
            language,
        )
    except KeyboardInterrupt:
        return _interrupted(language)
    except MemoryError:
        what = _("there is not enough memory; the command was not finished")
        return _fail(XcError(what, mend=_("give it more, or a smaller input")), language)
    except Exception as error:
        if isinstance(error, ImportError) and (fault := without_needed(error)) is not None:
            return _fail(fault, language)
        return _interrupted(language) if interruption.seen() else _unexpected(error, words, language)
    finally:
        forget()


def _interrupted(language: str) -> int:
    speak(_("xc: interrupted"), language, error=True)
    return Exit.INTERRUPTED


def _fail(error: XcError, language: str) -> int:
    speak(_("xc: {text}", text=error.told), language, error=True)
    return Exit.ERROR


def _unexpected(error: Exception, words: list[str], language: str) -> int:
    """An error of ours: a sentence, and a file for whoever mends it. Its traceback is for those who ask for it."""
    from pytest_xinchuang.core.mishap import mend_of, traceback_of, what_broke, write_report

    if _wants_traceback(words):
        speak(traceback_of(error), language, end="", error=True)
    return _fail(XcError(what_broke(error), mend=mend_of(write_report(error, ["xc", *words]))), language)


def _wants_traceback(words: list[str]) -> bool:
    """Whether ``--debug`` or ``-vv`` is among the words; they may not even have been parsed."""
    mine = words[: words.index("--")] if "--" in words else words
    told = sum(word.count("v") for word in mine if re.fullmatch("-v+", word)) + mine.count("--verbose")
    return "--debug" in mine or told > 1


def _close_stdout() -> None:
    """What can be written still is; the rest is let go, or Python would try again at exit and fail by a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _language_in(words: Iterable[str]) -> str | None:
    """The language that the words ask for: help texts and errors need it before anything is parsed."""
    found, follows = None, False
    for word in words:
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if follows and word in LANGUAGES:
            found = word
        # `--lang` is that of a program in some commands, and then none of ours.
        follows = len(name) > 4 and "--language".startswith(name)
        if follows and equals and value in LANGUAGES:
            found = value
    return found


def commands_of(language: str) -> Commands:
    """Every command. What is below a name is made when it is used."""
    text = _("Grades on Xinchuang platforms: provisioning, sandboxes, reports.")
    commands = top("xc", text, f"xc {__version__}", language)
    grading.add_grade(commands)
    platforms.add_platforms(commands)
    provisioning.add_doctor(commands)
    provisioning.add_commands(commands)
    data.add_subject(commands)
    inspect.add_commands(commands)
    advise.add_commands(commands)
    gotest.add_commands(commands)
    for name, add_commands in _package_commands():
        try:
            add_commands(commands)
        except Exception as error:  # a third party's module may raise anything, and is no reason to refuse the others
            told = verbatim(f"{type(error).__name__}: {error}")
            text = _("xc: the commands of the package {name} are left out: {error}", name=verbatim(name), error=told)
            speak(text, language, error=True)
    data.add_report(commands)
    completion.add_commands(commands)
    return commands


def _package_commands() -> Iterator[tuple[str, Callable[[Commands], None]]]:
    """(name, what adds the commands) of each conformance package."""
    from pytest_xinchuang.packages.base import loadable

    found = loadable()
    if not found:
        from pytest_xinchuang.packages.registry import installed

        yield "*", lambda _commands: _only_raise(installed)
    for package in sorted(found, key=lambda p: (p.order, p.name)):
        if package.locale is not None:
            add_catalogue(package.locale)
        yield package.name, package.add_commands


def _only_raise(installed: Callable[[], object]) -> None:
    """Ask for the packages where there are none: the error says why."""
    installed()


@contextmanager
def _logging(verbose: int, words: list[str]) -> Iterator[None]:
    """Tell on stderr what ``pytest_xinchuang`` logs, each with the seconds since the start; nothing unless asked to."""
    if not verbose:
        yield
        return
    import logging
    import shlex

    began = time.monotonic()

    class Told(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return f"xc: {time.monotonic() - began:8.3f} s  {record.name.rpartition('.')[2]}: {record.getMessage()}"

    logger = logging.getLogger("pytest_xinchuang")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Told())
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbose == 1 else logging.DEBUG)
    logger.info("xc %s", shlex.join(words))
    try:
        yield
    finally:
        logger.info("finished")
        logger.removeHandler(handler)
        logger.setLevel(before)


if __name__ == "__main__":
    sys.exit(main())
