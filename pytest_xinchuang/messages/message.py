"""What a message is: a template with parameters, a text in both languages, a name as it is, or several of these joined."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_xinchuang.messages.catalogues import LANGUAGES, translate

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

_SPEC = re.compile(r"[<>^]?#?[0-9]{0,2}(\.[0-9])?[dfgsxX%,]?")
"""Format specifications that templates may have: alignment, a width below 100, a precision, a type."""

_CHINESE = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
_SPACED = re.compile(r"(?:(?<=[\u4e00-\u9fff]) )?\{(\w+)\}(?: (?=[\u4e00-\u9fff]))?")

LONGEST = 100_000
"""Characters of a message that is read from a journal."""
_MOST = 200
"""Fields of a template, and parts of a list, that are read from a journal."""

Parameter = Any
"""What a template is filled in with: a string, a number or a message."""


class _Lenient(string.Formatter):
    """A parameter that nobody gave stays visible instead of raising: a report must be written."""

    def get_value(self, key: int | str, args: Any, kwargs: Any) -> Any:  # noqa: ARG002 - the base class's signature
        return kwargs.get(key, f"({key}?)") if isinstance(key, str) else ""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        # A journal may come from anywhere: its templates name parameters, and reach into nothing.
        name = field_name if field_name.isidentifier() else ""
        return self.get_value(name, args, kwargs), name

    def format_field(self, value: Any, format_spec: str) -> str:
        try:
            return str(super().format_field(value, format_spec)) if _SPEC.fullmatch(format_spec) else str(value)
        except (ValueError, TypeError, OverflowError):
            return str(value)


def _fill(template: str, params: Mapping[str, Parameter], language: str) -> str:
    filled = {name: _parameter(value, language) for name, value in params.items()}
    if language == "zh":
        template = _SPACED.sub(lambda found: _close(found, filled), template)
    return _Lenient().vformat(template, (), filled)


def _close(found: re.Match[str], params: Mapping[str, Any]) -> str:
    """Translations have spaces around names in Latin letters; what begins or ends in Chinese stands close."""
    field, value = f"{{{found.group(1)}}}", str(params.get(found.group(1), ""))
    before = "" if _CHINESE.match(value[:1]) else found.group().partition("{")[0]
    after = "" if _CHINESE.match(value[-1:]) else found.group().rpartition("}")[2]
    return f"{before}{field}{after}"


def _parameter(value: Parameter, language: str) -> Any:
    return value.render(language) if isinstance(value, Message) else value


# Plain classes: this module is imported by every pytest run that has the plugin, and dataclasses take a millisecond each.
class _Template:
    """A text of the catalogues; ``plural`` with ``n`` where it depends on a number."""

    __slots__ = ("id", "n", "params", "plural")

    def __init__(self, template: str, params: Mapping[str, Parameter], plural: str = "", n: int = 1) -> None:
        self.id, self.params, self.plural, self.n = template, params, plural, n

    def render(self, language: str) -> str:
        return _fill(translate(language, self.id, self.plural, self.n), self.params, language)

    def data(self) -> dict[str, Any]:
        counted = {"plural": self.plural, "n": self.n} if self.plural else {}
        return {"id": self.id, **counted, "params": {k: _as_data(v) for k, v in self.params.items()}}


class _Texts:
    """A text that a data file has in both languages, e.g. a finding's."""

    __slots__ = ("params", "texts")

    def __init__(self, texts: Mapping[str, str], params: Mapping[str, Parameter]) -> None:
        self.texts, self.params = texts, params

    def render(self, language: str) -> str:
        template = self.texts.get(language) or self.texts.get(LANGUAGES[0]) or next(iter(self.texts.values()), "")
        return _fill(template, self.params, language) if self.params else template

    def data(self) -> dict[str, Any]:
        return {"texts": dict(self.texts), "params": {k: _as_data(v) for k, v in self.params.items()}}


class _Verbatim:
    """A name, a number, or what a tool has printed: the same in every language."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def render(self, language: str) -> str:  # noqa: ARG002 - every form is rendered alike
        return self.text

    def data(self) -> dict[str, Any]:
        return {"text": self.text}


class _Joined:
    """Several messages with a separator that has its own form in each language."""

    __slots__ = ("parts", "separator")

    def __init__(self, separator: Message, parts: Sequence[Message]) -> None:
        self.separator, self.parts = separator, parts

    def render(self, language: str) -> str:
        return self.separator.render(language).join(part.render(language) for part in self.parts)

    def data(self) -> dict[str, Any]:
        return {"join": self.separator.as_data(), "parts": [part.as_data() for part in self.parts]}


_Form = _Template | _Texts | _Verbatim | _Joined


class Message(str):
    """A text for users that can be put into any language later. As a string it is the English text.

    Never look into it to decide something: causes and ends have enumerations.
    """

    _form: _Form

    def __new__(cls, form: _Form) -> Message:
        self = super().__new__(cls, form.render(LANGUAGES[0]))
        self._form = form
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (Message, (self._form,))

    def render(self, language: str) -> str:
        """The text in a language: ``en`` or ``zh``."""
        return self._form.render(language)

    def as_data(self) -> dict[str, Any]:
        """The message as the journal holds it: JSON-serialisable, without loss."""
        return self._form.data()

    @classmethod
    def of(cls, template: str) -> Message:
        """The message of a template that was marked elsewhere, by ``N_``."""
        return cls(_Template(template, {}))

    @classmethod
    def from_data(cls, data: Any) -> Message:
        """What :meth:`as_data` has written; a plain string is taken as it is.

        Raises:
            ValueError: it is neither, or cannot be put into one of the languages.
        """
        message = cls._read(data)
        # Templates that are filled in with one another grow by powers: no report may be made to burst.
        if any(len(message.render(language)) > LONGEST for language in LANGUAGES):
            raise ValueError("a message that is too long")
        return message

    @classmethod
    def _read(cls, data: Any) -> Message:
        match data:
            case Message():
                return data
            case str():
                return verbatim(data)
            case {"text": str() as text}:
                return verbatim(text)
            case {"id": str() as template, "params": dict() as params}:
                plural, n = data.get("plural", ""), data.get("n", 1)
                if isinstance(plural, str) and type(n) is int and _is_short(template, plural):
                    return cls(_Template(template, _from_parameters(params), plural, n))
            case {"texts": dict() as texts, "params": dict() as params} if _is_short(*map(str, texts.values())):
                return cls(_Texts({str(k): str(v) for k, v in texts.items()}, _from_parameters(params)))
            case {"join": separator, "parts": list() as parts} if len(parts) <= _MOST:
                return cls(_Joined(cls.from_data(separator), tuple(cls.from_data(part) for part in parts)))
        raise ValueError(f"not a message: {data!r}")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema  # messages are imported by what has to start quickly

        written = core_schema.no_info_after_validator_function(
            cls.from_data, core_schema.union_schema([core_schema.str_schema(), core_schema.dict_schema()])
        )
        return core_schema.json_or_python_schema(
            json_schema=written,
            python_schema=core_schema.union_schema(
                [core_schema.is_instance_schema(cls), written], mode="left_to_right"
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(cls.as_data),
        )


def _as_data(value: Parameter) -> Any:
    if isinstance(value, Message):
        return value.as_data()
    return value if isinstance(value, (int, float)) else str(value)


def _is_short(*templates: str) -> bool:
    return all(template.count("{") <= _MOST for template in templates)


def _from_parameters(params: Mapping[str, Any]) -> dict[str, Parameter]:
    return {str(k): Message.from_data(v) if isinstance(v, dict) else v for k, v in params.items()}


def _(template: str, /, **params: Parameter) -> Message:
    """A message of the catalogues: an English template, which is its id, and what ``{name}`` in it stands for."""
    return Message(_Template(template, _told(params)))


def n_(singular: str, plural: str, n: int, /, **params: Parameter) -> Message:
    """A message that depends on a number, which both templates may use as ``{n}``."""
    return Message(_Template(singular, {"n": n, **_told(params)}, plural, n))


def both(texts: Mapping[str, str], /, **params: Parameter) -> Message:
    """A message that a data file has in both languages: ``{"en": ..., "zh": ...}``."""
    return Message(_Texts(texts, _told(params)))


_known_errors: list[Callable[[BaseException], Message | None]] = []


def knows_errors(words: Callable[[BaseException], Message | None]) -> Callable[[BaseException], Message | None]:
    """Have ``told`` ask a function for its words for an error of a library; None: it has none."""
    _known_errors.append(words)
    return words


def told(error: BaseException) -> Message:
    """What an error says: the message that it was raised with, the words for its kind, else its text as it is."""
    said = error.args[0] if error.args else None
    if isinstance(said, Message):
        return said
    known = next((found for words in _known_errors if (found := words(error)) is not None), None)
    return known if known is not None else verbatim(str(error) or type(error).__name__)


def _told(params: Mapping[str, Parameter]) -> Mapping[str, Parameter]:
    """Errors among parameters keep their languages."""
    return {name: told(value) if isinstance(value, BaseException) else value for name, value in params.items()}


def verbatim(text: str) -> Message:
    """A name, an id, a command, or what a tool has printed: the same in every language."""
    return text if isinstance(text, Message) else Message(_Verbatim(text))


def joined(parts: Iterable[str], separator: Message | None = None) -> Message:
    """Messages after each other; by default as a list of clauses (``; `` in English, ``；`` in Chinese)."""
    return Message(_Joined(_("; ") if separator is None else separator, tuple(verbatim(part) for part in parts)))


def render(text: str, language: str) -> str:
    """A message in a language; a plain string as it is."""
    return text.render(language) if isinstance(text, Message) else text


NOTHING = verbatim("")
"""No text."""
