"""Runs what asks for the machine in files of Python, as one machine would: behind a wall, one process for each file.

Started as ``python -I -S evaluate.py ORDERS RESULTS``: ORDERS is a JSON file, ``{"root": DIR, "files": [NAME, ...],
"machine": NAME, "seconds": N}``; to RESULTS goes a line of JSON for each file: ``{"file": NAME, "ran": [{"what": NAME,
"line": N, "lines": [N, ...], "error": TYPE or null, "at": LINE, "explicit": BOOL, "value": TEXT or null}, ...]}``. ``lines``
are those of the file that were run.
It imports nothing of this package.

Every statement at the top of a file is run by itself, with stand-ins for what is not Python's own; then every function that
needs no argument and asks for the machine, by itself or by another one of its file.
"""

from __future__ import annotations
import __future__

import ast
import collections
import importlib
import json
import os
import platform
import signal
import sys
import sysconfig
from pathlib import Path
from typing import Any

_LATER = __future__.annotations.compiler_flag
"""Annotations are not evaluated: what they name may be no more than a stand-in."""
LARGEST_VALUE = 200
"""Characters of what a function returns."""
SOURCES = {"machine", "processor", "uname", "get_platform", "get_build_platform"}
"""Functions of platform, os, sysconfig and distutils that say which machine it is."""


class Absent:
    """Stands for whatever is not Python's own: it can be called, subscripted, entered, gone through."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Absent()

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        return Absent()

    def __getitem__(self, _key: object) -> Any:
        return Absent()

    def __iter__(self) -> Any:
        return iter(())

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def __mro_entries__(self, _bases: object) -> tuple[type, ...]:
        return (object,)


Uname = collections.namedtuple("Uname", ("system", "node", "release", "version", "machine", "processor"))


def pretend(machine: str) -> None:
    """Have Python say that it runs on Linux on this machine."""
    answer = Uname("Linux", "host", "5.10.0", "#1 SMP", machine, machine)
    platform.machine = platform.processor = lambda: machine
    platform.system = lambda: "Linux"
    platform.uname = lambda: answer  # type: ignore[assignment,return-value]
    os.uname = lambda: os.uname_result(answer[:5])
    sysconfig.get_platform = lambda: f"linux-{machine}"
    sys.platform = "linux"
    try:
        import distutils.util as util  # type: ignore[import-not-found,unused-ignore]

        util.get_platform = sysconfig.get_platform
    except ImportError:
        pass


def imported(node: ast.Import | ast.ImportFrom, names: dict[str, Any]) -> None:
    """Bind what an import binds: Python's own modules, and stand-ins for all others."""
    module = getattr(node, "module", None) or ""
    for alias in node.names:
        whole = alias.name if isinstance(node, ast.Import) else module
        own = whole.partition(".")[0] in sys.stdlib_module_names and not getattr(node, "level", 0)
        bound = alias.asname or (alias.name.partition(".")[0] if isinstance(node, ast.Import) else alias.name)
        if alias.name == "*":
            continue
        try:
            found: Any = importlib.import_module(whole) if own else Absent()
            if own and isinstance(node, ast.ImportFrom):
                found = getattr(found, alias.name)
            elif own and not alias.asname:
                found = importlib.import_module(bound)
        except (ImportError, AttributeError):
            found = Absent()
        names[bound] = found


def absorbed(tree: ast.Module) -> None:
    """Replace imports that stand within functions and blocks by what ``imported`` does."""

    class Importer(ast.NodeTransformer):
        def visit_Import(self, node: ast.Import) -> Any:
            return self._call(node)

        def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
            return self._call(node)

        def _call(self, node: ast.Import | ast.ImportFrom) -> Any:
            made = []
            for alias in node.names:
                if alias.name == "*":
                    continue
                bound = alias.asname or (alias.name.partition(".")[0] if isinstance(node, ast.Import) else alias.name)
                one = ast.unparse(type(node)(**{**{f: getattr(node, f) for f in node._fields}, "names": [alias]}))
                call = ast.parse(f"{bound} = __imported__({one!r}, {bound!r})").body[0]
                made.append(ast.copy_location(call, node))
            for each in made:
                for below in ast.walk(each):
                    ast.copy_location(below, node)
            return made or ast.copy_location(ast.Pass(), node)

    Importer().visit(tree)
    ast.fix_missing_locations(tree)


def asks(node: ast.AST, asking: set[str]) -> bool:
    """Whether something below a node asks for the machine, by itself or by a function of the file."""
    for below in ast.walk(node):
        if isinstance(below, ast.Call):
            name = below.func.attr if isinstance(below.func, ast.Attribute) else getattr(below.func, "id", "")
            if name in SOURCES or name in asking:
                return True
        if isinstance(below, ast.Name) and below.id in asking:
            return True
    return False


def attempt(what: str, node: ast.stmt, file: str, lines: dict[int, ast.AST], run: Any) -> dict[str, Any]:
    """Run something, and say how it ended."""
    said: dict[str, Any] = {"what": what, "line": node.lineno, "error": None, "at": node.lineno}
    said |= {"explicit": False, "value": None}
    ran: set[int] = set()

    def follow(frame: Any, event: str, _arg: object) -> Any:
        if frame.f_code.co_filename != file:
            return None
        if event == "line":
            ran.add(frame.f_lineno)
        return follow

    sys.settrace(follow)
    try:
        value = run()
        if value is None or isinstance(value, str | int | float | bool | tuple | list | dict):
            said["value"] = repr(value)[:LARGEST_VALUE]
        else:
            said["value"] = type(value).__name__
    except Stopped:
        raise
    except BaseException as error:
        said["error"] = type(error).__name__
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == file:
                said["at"] = trace.tb_lineno
            trace = trace.tb_next
        place = lines.get(said["at"])
        looked = isinstance(error, KeyError) and isinstance(place, ast.Subscript)
        said["explicit"] = isinstance(place, ast.Raise | ast.Assert) or isinstance(error, SystemExit) or looked
    finally:
        sys.settrace(None)
    said["lines"] = sorted(ran)
    return said


class Stopped(BaseException):
    """The time for a file is over."""


def stop(*_args: object) -> None:
    raise Stopped


def places(tree: ast.AST) -> dict[int, ast.AST]:
    """Line -> what of ``raise``, ``assert`` and a look-up in a table is on it, the first of them."""
    found: dict[int, ast.AST] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise | ast.Assert) or (isinstance(node, ast.Subscript) and node.lineno not in found):
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                found[line] = node
    return found


def judged(root: str, name: str) -> list[dict[str, Any]]:
    """What became of one file."""
    path = f"{root}/{name}"
    tree = ast.parse(Path(path).read_bytes(), path)
    lines = places(tree)
    asking: set[str] = set()
    for _again in range(4):
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and asks(node, asking):
                asking.add(node.name)
            elif isinstance(node, ast.Assign) and asks(node.value, asking):
                asking |= {t.id for t in node.targets if isinstance(t, ast.Name)}
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in asking]
    names: dict[str, Any] = {"__name__": "judged", "__file__": path, "__builtins__": __builtins__, "__package__": ""}

    def own_import(text: str, bound: str) -> Any:
        into: dict[str, Any] = {}
        imported(ast.parse(text).body[0], into)  # type: ignore[arg-type]
        return into.get(bound, Absent())

    names["__imported__"] = own_import
    absorbed(tree)
    ran = []
    for node in tree.body:
        code = compile(ast.Module([node], []), path, "exec", _LATER, dont_inherit=True)
        said = attempt("", node, path, lines, lambda code=code: exec(code, names))
        if asks(node, asking) and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            ran.append(said)
    for node in functions:
        given = node.args
        needed = len(given.args) + len(given.posonlyargs) - len(given.defaults) + given.kw_defaults.count(None)
        function = names.get(node.name)
        if needed <= 0 and callable(function) and not node.decorator_list:
            ran.append(attempt(node.name, node, path, lines, function))
    return ran


def main() -> None:
    orders = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    pretend(orders["machine"])
    with Path(os.devnull).open("r+b", buffering=0) as nothing:
        for number in (0, 1, 2):
            os.dup2(nothing.fileno(), number)
    os.chdir(orders["root"])
    for name in orders["files"]:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.signal(signal.SIGALRM, stop)
                signal.setitimer(signal.ITIMER_REAL, orders["seconds"])
                line = json.dumps({"file": name, "ran": judged(orders["root"], name)})
                signal.setitimer(signal.ITIMER_REAL, 0)
                with Path(sys.argv[2]).open("a", encoding="utf-8") as out:
                    out.write(line + "\n")
                code = 0
            finally:
                os._exit(code)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
