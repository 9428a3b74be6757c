"""How sources write texts for users: messages that are put together wrongly, and English that is no message."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

TEMPLATES = {"_": 1, "N_": 1, "n_": 2}
"""What makes a message of the catalogues: how many of its first arguments are templates."""

MAKERS = {*TEMPLATES, "both", "joined", "verbatim"}

_SENTENCE = re.compile(
    r"(?<![\w/.=-])[A-Za-z][a-z']*[,;:]? (?:(?:\{\} )?[a-z][a-z'-]*[,;:]? )+(?:\{\} )?[a-z][a-z']*(?![\w/.=-])"
)
_COMMAND = re.compile(
    r"\s*(?:cd |eval )?(?:#|(?:xc|cc|docker|git|iconv|mvn|node|npm|pip|sudo)\b|go (?:build|get|mod|tool|vet|work)\b)"
)
_OF_RE = {"compile", "findall", "finditer", "fullmatch", "match", "search", "split", "sub"}
_LOGGED = {"debug", "info", "warning", "error", "exception", "critical"}
_LOOKED_FOR = {
    "endswith",
    "startswith",
    "removeprefix",
    "removesuffix",
    "partition",
    "rpartition",
    "replace",
    "index",
    "find",
}
_OURS = {
    "AssertionError",
    "AttributeError",
    "KeyError",
    "LookupError",
    "NotImplementedError",
    "RuntimeError",
    "TypeError",
    "ValueError",
}
"""Errors of programming, which no user sees; a ValueError in a module with pydantic's validators is shown to users."""
_VALIDATORS = {"field_validator", "model_validator", "AfterValidator", "BeforeValidator", "WrapValidator"}
_DOCUMENTED = {"description", "deprecated"}
"""Keywords that are written into JSON Schemas."""


@dataclass(frozen=True)
class Place:
    """Something that a scan has found; ``function`` is empty at a module's top level."""

    line: int
    function: str
    text: str


def _called(node: ast.AST) -> str:
    """The last name of what a call calls."""
    if not isinstance(node, ast.Call):
        return ""
    return ast.unparse(node.func).rpartition(".")[2] if isinstance(node.func, ast.Name | ast.Attribute) else ""


def _makes(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS


def wrong_messages(source: str) -> Iterator[Place]:
    """Messages without a literal template, and messages that are concatenated or formatted where they are made."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=name), args=args) if name in TEMPLATES:
                templates = args[: TEMPLATES[name]]
                literal = [isinstance(a, ast.Constant) and isinstance(a.value, str) for a in templates]
                wrong = len(literal) < TEMPLATES[name] or not all(literal)
            case ast.BinOp(left=left, right=right):
                wrong = _makes(left) or _makes(right)
            case ast.AugAssign(value=value):
                wrong = isinstance(node.op, ast.Add) and _makes(value)
            case ast.JoinedStr():  # what stands in one is not even extracted
                wrong = any(map(_makes, ast.walk(node)))
            case ast.Call(func=ast.Attribute(attr="format" | "format_map" | "replace", value=value)):
                wrong = _makes(value)
            case ast.Call(func=ast.Attribute(attr="join", value=ast.Constant(value=str())), args=[ast.expr() as parts]):
                every = parts.elts if isinstance(parts, ast.List | ast.Tuple) else [getattr(parts, "elt", parts)]
                wrong = any(map(_makes, every))
            case _:
                wrong = False
        if wrong:
            yield Place(getattr(node, "lineno", 0), "", ast.unparse(node))


def english(source: str) -> Iterator[Place]:
    """Sentences that no message holds: three words or more, outside of docstrings, logs, patterns, schemas and decisions."""
    tree = ast.parse(source)
    validates = any(isinstance(n, ast.Name) and n.id in _VALIDATORS for n in ast.walk(tree))
    yield from _scan(tree, "", _OURS - {"ValueError", "AssertionError"} if validates else _OURS)


def _scan(node: ast.AST, function: str, ours: set[str]) -> Iterator[Place]:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Compare() | ast.MatchValue() | ast.Assert():
            return
        case ast.Constant(value=str()) | ast.JoinedStr():
            text = _text(node)
            if _SENTENCE.search(text) and not _COMMAND.match(text):
                yield Place(node.lineno, function, text)
            for part in ast.walk(node):
                if isinstance(part, ast.FormattedValue):
                    yield from _scan(part.value, function, ours)
            return
        case ast.Call() if _is_ours(node, ours):
            return
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in TEMPLATES:
            for part in (*args[TEMPLATES[name] :], *(k.value for k in keywords)):
                yield from _scan(part, function, ours)
            return
        case ast.keyword(arg=name) if name in _DOCUMENTED:
            return
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            function = f"{function}.{name}" if function else name
    for child in ast.iter_child_nodes(node):
        yield from _scan(child, function, ours)


def _text(node: ast.expr) -> str:
    """A string, with ``{}`` where something is filled in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(v) for v in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "{}"


def _is_ours(call: ast.Call, ours: set[str]) -> bool:
    """Whether what a call is given is no text for users: a pattern, a log's line, what is looked for, a programmer's error."""
    name = _called(call)
    if isinstance(call.func, ast.Attribute):
        owner = ast.unparse(call.func.value)
        return (
            (name in _OF_RE and owner == "re")
            or (name in _LOGGED and owner in ("log", "logger", "logging", "self.log"))
            or (name in _LOOKED_FOR and all(isinstance(a, ast.Constant) for a in call.args))
        )
    return name in ours


_SAYS = {"told", "describe", "system_error", "reason_of", "render_error"}
"""Functions and methods whose messages lose their language when they are made a string."""
_ERROR = re.compile(r"(?:Error|Exception|Fault)\b")
_WORDS = re.compile(r"(?<![\w./={}:'\"`-])[a-z]{2,}(?![\w./={}:'\"`(-])")
_TOOL = re.compile(r"\s*(?:export|make|mvn|npm|pip|pytest|sudo|sysctl|unsquashfs|cd|git|docker|iconv|xc|go)\b")


def untold(source: str) -> Iterator[Place]:
    """Errors and messages that are made strings where users read them, and words within what is the same in every language."""
    yield from _untold(ast.parse(source), "", frozenset(), False)


def _untold(node: ast.AST, function: str, errors: frozenset[str], quoted: bool) -> Iterator[Place]:
    match node:
        case ast.ClassDef(name=name):
            function = f"{function}.{name}" if function else name
        case ast.FunctionDef(name=name, args=arguments) | ast.AsyncFunctionDef(name=name, args=arguments):
            function = f"{function}.{name}" if function else name
            every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
            errors = errors | {a.arg for a in every if a.annotation and _ERROR.search(ast.unparse(a.annotation))}
        case ast.ExceptHandler(name=str() as name):
            errors = errors | {name}
        case ast.Call() if _is_ours(node, _OURS - {"ValueError"}) or _called(node) in _LOGGED:
            return
        case ast.Call(func=ast.Name(id="str" | "repr"), args=[argument, *_rest]) if _speaks(argument, errors):
            yield Place(node.lineno, function, ast.unparse(node))
        case ast.JoinedStr(values=values):
            said = [v.value for v in values if isinstance(v, ast.FormattedValue)]
            text = _text(node)
            if any(_speaks(v, errors) for v in said) or (quoted and _WORDS.search(text) and not _TOOL.match(text)):
                yield Place(node.lineno, function, ast.unparse(node))
    quoted = _called(node) == "verbatim" if isinstance(node, ast.Call) else quoted
    for child in ast.iter_child_nodes(node):
        yield from _untold(child, function, errors, quoted)


def _speaks(node: ast.expr, errors: frozenset[str]) -> bool:
    return (isinstance(node, ast.Name) and node.id in errors) or (isinstance(node, ast.Call) and _called(node) in _SAYS)
