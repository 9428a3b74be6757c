"""YAML files whose mistakes are reported by file, line and path."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.validation import mistake
from pytest_xinchuang.messages import NOTHING, Message, _, joined, system_error, verbatim

Model = TypeVar("Model", bound=BaseModel)
KeyPath = tuple[str | int, ...]


# libyaml's loader is ten times faster, where PyYAML was built with it.
if TYPE_CHECKING:
    from yaml import SafeLoader as _Base
else:
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):
    """SafeLoader that refuses a key given twice: YAML keeps the last one, which hides a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, _("a key that is no text: a list or a mapping"), key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, _("the key {value} is given twice", value=verbatim(repr(key.value))), key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


MOST_MISTAKES = 100
"""Mistakes of one file that are told."""

MOST_VALUES = 200_000
"""Values of a file, with what aliases stand for counted each time: nine lists of nine aliases each are 400 million."""


def _unfolded(node: yaml.Node, known: dict[int, int | None]) -> int:
    """How many values a node is, its aliases unfolded; ``known`` has those of nodes that were counted, None while they are.

    Raises:
        ConstructorError: too many, or it holds itself.
    """
    if id(node) in known:
        found = known[id(node)]
        if found is None:
            what = _("an alias of what it stands in")
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
        return found
    known[id(node)] = None
    inner: Iterable[yaml.Node] = ()
    if isinstance(node, yaml.MappingNode):
        inner = (part for pair in node.value for part in pair)
    elif isinstance(node, yaml.SequenceNode):
        inner = node.value
    total = 1 + sum(_unfolded(part, known) for part in inner)
    if total > MOST_VALUES:
        what = _("more than {most} values, with what aliases stand for", most=MOST_VALUES)
        raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
    known[id(node)] = total
    return total


class YamlFile:
    """A parsed YAML file that knows on which line each of its values stands.

    Raises:
        DataFileError: the file is missing, is not UTF-8, is not YAML, or is not a mapping.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise DataFileError(_("{path}: cannot be read: {why}", path=path, why=system_error(error))) from error
        except UnicodeDecodeError as error:
            raise DataFileError(
                _("{path}: not UTF-8 (byte {start})", path=path, start=error.start),
                mend=verbatim(f"iconv -t UTF-8 {path.name}"),
            ) from error
        loader = _Loader(text)
        try:
            self._root: yaml.Node | None = loader.get_single_node()
            if self._root is not None:
                _unfolded(self._root, {})
            self.data: Any = loader.construct_document(self._root) if self._root is not None else None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            raise DataFileError(
                _("{path}:{line}: not valid YAML: {value}", path=path, line=line, value=_yaml_fault(error))
            ) from error
        # The library's constructors of tagged values (!!timestamp, !!bool) raise anything where the value is none of the tag.
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            why = _("a value that is not what its tag says")
            raise DataFileError(_("{path}: not valid YAML: {why}", path=path, why=why)) from error
        except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
            raise DataFileError(_("{path}: not valid YAML: {why}", path=path, why=error)) from error
        finally:
            loader.dispose()
        if not isinstance(self.data, dict):
            raise DataFileError(
                _(
                    "{path}:1: found {name}, expected a mapping of keys to values",
                    path=path,
                    name=_KINDS.get(type(self.data), verbatim(type(self.data).__name__)),
                )
            )

    def line_of(self, where: KeyPath) -> int:
        """The 1-based line of the value at ``where``, or of its nearest ancestor that is there."""
        node, line = self._root, 1
        for step in where:
            if isinstance(node, yaml.MappingNode):
                found = next(((k, v) for k, v in node.value if k.value == str(step)), None)
                if found is None:
                    return line
                node, line = found[1], found[0].start_mark.line + 1
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
            else:
                return line
        return line

    def error(self, where: KeyPath, found: Message, *, mend: Message = NOTHING) -> DataFileError:
        """An error at ``where`` that names file, line and path."""
        path = ".".join(str(step) for step in where) or "(top)"
        place = verbatim(f"{self.path}:{self.line_of(where)}: {path}")
        return DataFileError(_("{place}: {found}", place=place, found=found), mend=mend)

    def parse(
        self,
        model: type[Model],
        data: Any = None,
        at: KeyPath = (),
        written: Callable[[KeyPath], KeyPath] = lambda where: where,
    ) -> Model:
        """Validate ``data`` (default: the whole file) as ``model``.

        Args:
            at: where in the file ``data`` stands.
            written: tells where in the file the value at a place of ``data`` is written, if not there.

        Raises:
            DataFileError: with one line for each mistake: file, line, path, what was found and what is allowed.
        """
        try:
            return model.model_validate(self.data if data is None else data)
        except ValidationError as error:
            lines = []
            problems = error.errors(include_url=False)
            for problem in problems[:MOST_MISTAKES]:
                where = at + tuple(problem["loc"])
                allowed = _("no such key here") if problem["type"] == "extra_forbidden" else mistake(problem)
                if problem["type"] != "missing":
                    allowed = _("found {value}: {allowed}", value=_brief(problem["input"]), allowed=allowed)
                lines.append(self.error(written(where), allowed).what)
            if len(problems) > MOST_MISTAKES:
                lines.append(_("and {n} more", n=len(problems) - MOST_MISTAKES))
            raise DataFileError(joined(dict.fromkeys(lines), verbatim("\n"))) from error


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 4, 120, 120, 120
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 20


def _brief(value: object) -> Message:
    text = _SHORT.repr(value)
    return verbatim(text if len(text) <= 60 else text[:57] + "...")


def _yaml_fault(error: yaml.MarkedYAMLError) -> Message:
    """What the YAML library found, in words of ours where the mistake is a common one."""
    said = error.problem or error.context or ""
    return said if isinstance(said, Message) else _YAML_FAULTS.get(said, verbatim(said))


_KINDS: dict[type, Message] = {
    str: _("a text"),
    list: _("a list"),
    int: _("a number"),
    float: _("a number"),
    bool: _("true or false"),
    type(None): _("nothing"),
}
"""Of what a document is, where it is no mapping."""

_YAML_FAULTS: dict[str, Message] = {
    fault: fault
    for fault in (
        _("block sequence entries are not allowed in this context"),
        _("could not find expected ':'"),
        _("did not find expected ',' or ']'"),
        _("did not find expected ',' or '}}'"),
        _("did not find expected '-' indicator"),
        _("did not find expected key"),
        _("did not find expected node content"),
        _("found character that cannot start any token"),
        _("found unexpected end of stream"),
        _("found undefined alias"),
        _("found unknown escape character"),
        _("mapping keys are not allowed in this context"),
        _("mapping values are not allowed in this context"),
    )
}
"""libyaml's own words for the common mistakes."""
