"""A parser of ``xc``: filled when it is used, obeys shared options wherever they stand, and speaks two languages."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from typing import Any

from pytest_xinchuang.commands.wording import columns, translated, wrapped
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.near import near, near_names
from pytest_xinchuang.messages import Message, _, joined, render, verbatim


class UsageError(XcError):
    """The command line says what no command understands.

    Attributes:
        parser: the parser of the command that it was said to.
    """

    def __init__(self, what: str, parser: XcParser, *, mend: str = "") -> None:
        super().__init__(verbatim(what), mend=verbatim(mend))
        self.parser = parser


class Speech:
    """What all parsers of one ``xc`` share: the language that they speak."""

    def __init__(self, language: str) -> None:
        self.language = language


class XcFormatter(argparse.HelpFormatter):
    """Puts messages into words, and breaks Chinese lines by the columns that they take."""

    def __init__(self, prog: str, language: str) -> None:
        super().__init__(prog, max_help_position=32)
        self._language = language
        self._headings: list[str] = []

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        shown = render(_("usage: ") if prefix is None else prefix, self._language)
        super().add_usage(usage, actions, groups, shown)

    def _format_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None) -> str:
        extra = columns(prefix or "") - len(prefix or "")  # argparse counts characters
        self._width -= extra
        try:
            return super()._format_usage(usage, actions, groups, prefix)
        finally:
            self._width += extra

    def start_section(self, heading: str | None) -> None:
        shown = render(heading or "", self._language)
        self._headings.append(shown)
        super().start_section(shown)

    def format_help(self) -> str:
        text = super().format_help()
        for heading in self._headings:  # argparse puts an English colon behind each
            shown = _("{heading}:", heading=verbatim(heading)).render(self._language)
            text = text.replace(f"\n{heading}:\n", f"\n{shown}\n", 1)
        return text

    def add_text(self, text: Any) -> None:
        super().add_text(render(text, self._language) if isinstance(text, str) else text)

    def _expand_help(self, action: argparse.Action) -> str:
        return render(action.help or "", self._language)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrapped(text, width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in wrapped(text, width - columns(indent)))

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        # What is to be run has a name; argparse would show an ellipsis.
        if action.nargs == argparse.REMAINDER:
            return f"[{action.metavar}]"
        return super()._format_args(action, default_metavar)


class XcParser(argparse.ArgumentParser):
    """The parser of ``xc``, of a group or of a command.

    Args:
        speech: shared by all parsers of one ``xc``.
        fill: adds arguments or commands; it is called when the parser is used for the first time.
    """

    def __init__(
        self, *, speech: Speech, fill: Callable[[XcParser], None] | None = None, prog: str | None = None, **more: Any
    ) -> None:
        super().__init__(
            prog=prog,
            add_help=False,
            formatter_class=lambda prog: XcFormatter(prog, speech.language),
            **more,
        )
        setattr(self, "color", False)  # noqa: B010 - Python 3.14 alone has it; Chinese headings have their own colon
        self.speech = speech
        self._fill = fill
        self._commands: argparse._SubParsersAction[XcParser] | None = None
        self._words: argparse.Action | None = None
        self.words_are_options = False
        self.default_command = ""
        self._positionals.title = _("arguments")
        self._optionals.title = _("options")
        self.add_argument("-h", "--help", action="help", help=_("show this help and exit"))

    def filled(self) -> XcParser:
        """The parser with everything that it understands."""
        if self._fill is not None:
            fill, self._fill = self._fill, None
            fill(self)
        return self

    def commands(self) -> argparse._SubParsersAction[XcParser]:
        """The commands below this parser; they are asked for with the first one."""
        if self._commands is None:
            self._commands = self.add_subparsers(
                title=_("commands"), metavar="COMMAND", prog=self.prog, parser_class=XcParser
            )
        return self._commands

    def add_words(self, metavar: str, help: Message, *, options: bool = False) -> None:
        """What is to be run, or is handed on: all after ``--``; without ``--``, all from the first word that is not ours.

        Args:
            options: the words are options of another program.
        """
        self._words = self.add_argument("words", nargs=argparse.REMAINDER, metavar=f"-- {metavar}", help=help)
        self.words_are_options = options

    def walk(self) -> Iterator[XcParser]:
        """This parser and all below it, filled."""
        yield self.filled()
        if self._commands is not None:
            for parser in self._commands.choices.values():
                yield from parser.walk()

    def options(self) -> Iterator[str]:
        """The options that the help text shows."""
        for action in self._actions:
            if action.help is not argparse.SUPPRESS:
                yield from action.option_strings

    # What argparse does differently here.

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            parser: XcParser = getattr(found, "parser", self)
            hints = [near(word.partition("=")[0], parser.options()) for word in rest if word.startswith("--")]
            hint = next((h for h in hints if h), verbatim(""))
            raise UsageError(
                _("unrecognized arguments: {words}{hint}", words=verbatim(" ".join(rest)), hint=hint), parser
            )
        return found

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        given = list(args)
        self.filled()
        if self.default_command:
            given = self._with_default(given)
        if self._words is None:
            return super().parse_known_args(given, namespace)
        return self._parse_words(self._words, given, namespace)

    def _with_default(self, given: list[str]) -> list[str]:
        """``xc supply-chain DIR`` is ``xc supply-chain check DIR``; our own options may stand before either."""
        at = 0
        while at < len(given) and (action := self._option_string_actions.get(given[at].partition("=")[0])):
            if isinstance(action, argparse._HelpAction):
                return given
            at += 1 if action.nargs == 0 or "=" in given[at] else 2
        names = list(self.commands().choices)
        if at >= len(given) or given[at] in names or self._is_misspelt(given[at], names):
            return given
        return [*given[:at], self.default_command, *given[at:]]

    @staticmethod
    def _is_misspelt(word: str, names: Iterable[str]) -> bool:
        from pathlib import Path

        return bool(near_names(word, names, cutoff=0.7)) and not Path(word).exists()

    def _parse_words(self, action: argparse.Action, given: list[str], namespace: Any) -> Any:
        divided = "--" in given
        at = given.index("--") if divided else len(given)
        own, after = given[:at], given[at + 1 :]

        def parse(nargs: str) -> tuple[argparse.Namespace, list[str]]:
            action.nargs = nargs
            try:
                return super(XcParser, self).parse_known_args(own, copy(namespace))
            finally:
                action.nargs = argparse.REMAINDER

        try:
            found, rest = parse("*")
            words = list(found.words or ())
        except UsageError:
            if divided:
                raise
            rest, words = own, []
        if not rest and not words:
            found.words = after
            return found, []
        if divided and not words:
            return found, rest
        found, rest = parse(argparse.REMAINDER)
        words = list(found.words or ())
        if words[:1] and words[0].startswith("-") and not self.words_are_options:
            return found, [*rest, *words]
        found.words = [*words, "--", *after] if divided else words
        return found, rest

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(c) for c in action.choices]
        given = {"value": verbatim(str(value)), "hint": near(str(value), known), "known": _names(known)}
        if action is self._commands:
            raise UsageError(_("there is no command {value}{hint}; there are {known}", **given), self)
        name = "/".join(action.option_strings) or str(action.metavar or action.dest)
        raise UsageError(_("{name}: {value} is none of {known}{hint}", name=verbatim(name), **given), self)

    def error(self, message: str) -> Any:
        raise UsageError(translated(message), self)


def _names(names: Sequence[str]) -> Message:
    return joined(map(verbatim, names), _(", "))
