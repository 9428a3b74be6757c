"""The house: files and rooms import in one direction, from floor to floor, and the top does not leak downward."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

import pytest_xinchuang
from tests import prose
from tests.house import House, circle, imports

ROOT = Path(pytest_xinchuang.__file__).parent
FILES = [p for p in sorted(ROOT.rglob("*.py")) if p.parent != ROOT or p.stem != "__init__"]
HOUSE = House(ROOT)

FLOORS: tuple[tuple[str, ...], ...] = (
    ("_python",),
    ("", "messages"),
    ("core", "sm"),
    ("tools",),
    ("provision",),
    ("inspect",),
    ("report", "toolchain"),
    ("sandbox",),
    ("commands",),
    ("advise", "building", "gotest", "harness", "loading", "packages"),
    tuple(sorted(name for name in HOUSE.rooms if name.startswith("packages."))),
    ("assessor",),
    ("cli", "run"),
    ("__main__", "api", "plugin"),
)
"""The rooms by floor, from the ground up: a room imports from lower floors alone. "" is ``pytest_xinchuang`` itself."""

EXCEPTIONS: dict[tuple[str, str], str] = {}
"""(importing room, imported room) that the floors do not allow, with the reason; one that is no longer needed has to go."""

RUNNER = "tools/process.py"
ALONE = (
    "advise/builds/stand_in.py",
    "advise/builds/stand_in_foreign.py",
    "advise/builds/stand_in_libraries.py",
    "advise/builds/stand_in_made.py",
    "advise/c/worker.py",
    "advise/python/evaluate.py",
    "sandbox/backends/supervisor.py",
    "toolchain/jailer.py",
)
"""Run by themselves behind a wall, where nothing of the package can be imported."""

FORKS = "inspect/side_by_side.py"
"""Forks itself, and starts no program."""

OF_PYTEST = {"run", "plugin"}
"""The rooms that may know of pytest."""
STARTS_PYTEST = "assessor/bootstrap.py"
"""The first file of a sealed process: pytest is what it starts."""


def room(path: Path) -> str:
    return HOUSE.room(".".join(path.relative_to(ROOT.parent).with_suffix("").parts))


def test_files_import_in_no_circle() -> None:
    found = circle(HOUSE.files)
    assert not found, " imports ".join(found)


def test_rooms_import_in_no_circle() -> None:
    allowed = {
        importing: frozenset(t for t in targets if (importing, t) not in EXCEPTIONS)
        for importing, targets in HOUSE.rooms.items()
    }
    found = circle(allowed)
    assert not found, f"{' imports '.join(found)}\n{HOUSE.why(found)}"


def test_every_room_has_its_floor() -> None:
    listed = [name for floor in FLOORS for name in floor]
    assert sorted(listed) == sorted(HOUSE.rooms)


def upward(house: House, floors: tuple[tuple[str, ...], ...]) -> dict[tuple[str, str], list[str]]:
    """The imports from the same floor or from a higher one, by rooms."""
    floor_of = {name: number for number, floor in enumerate(floors) for name in floor}
    wrong: dict[tuple[str, str], list[str]] = {}
    for importer, target in house.crossings():
        step = house.room(importer), house.room(target)
        if floor_of[step[1]] >= floor_of[step[0]]:
            wrong.setdefault(step, []).append(f"{importer} imports {target}")
    return wrong


def test_a_room_imports_from_lower_floors_alone() -> None:
    wrong = upward(HOUSE, FLOORS)
    unexpected = [line for step, lines in wrong.items() if step not in EXCEPTIONS for line in lines]
    assert not unexpected, "\n".join(unexpected)
    assert set(EXCEPTIONS) <= set(wrong), "these are no longer needed"


PLANTED = {
    "at the top": "from house.b.two import x",
    "for type checkers": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.b.two import x",
    "in a function": "def f():\n    import house.b.two",
    "a module of a package": "from house.b import two",
    "relative": "from ..b import two",
    "relative, by name": "from ..b.two import x",
    "by a literal": "import importlib\nimportlib.import_module('house.b.two')",
}


def _write(root: Path, files: dict[str, str]) -> None:
    """A house of files: name -> text."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_circle_is_seen_however_it_is_imported(planted: str, tmp_path: Path) -> None:
    root = tmp_path / "house"
    packages = {
        "b/two.py": "from house.packages.p import three\nfrom house.packages import registry",
        "packages/registry.py": "import os",
        "packages/p/__init__.py": "",
        "packages/p/three.py": "from house.a import one",
    }
    _write(root, {"__init__.py": "", "a/__init__.py": "", "a/one.py": planted, "b/__init__.py": "", **packages})
    house = House(root)
    files = circle(house.files)
    assert files[0] == files[-1] and set(files) == {"house.a.one", "house.b.two", "house.packages.p.three"}
    assert all(b in house.files[a] for a, b in pairwise(files))
    rooms = circle(house.rooms)
    assert set(rooms) == {"a", "b", "packages.p"} and "packages" in house.rooms["b"]
    assert "house.a.one imports house.b.two" in house.why(rooms)
    (root / "a/one.py").write_text("import os")
    assert not circle(House(root).files) and not circle(House(root).rooms)


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_an_import_upward_is_seen(planted: str, tmp_path: Path) -> None:
    root = tmp_path / "house"
    _write(root, {"__init__.py": "", "a/__init__.py": "", "a/one.py": planted, "b/__init__.py": "", "b/two.py": ""})
    house = House(root)
    step = {("a", "b"): ["house.a.one imports house.b.two"]}
    assert upward(house, (("",), ("a",), ("b",))) == step
    assert upward(house, (("",), ("a", "b"))) == step, "a neighbour"
    assert not upward(house, (("",), ("b",), ("a",)))


def test_the_pytest_side_alone_knows_of_pytest() -> None:
    for path in FILES:
        for module, _ in imports(ast.parse(path.read_text())):
            if module.split(".")[0] in ("pytest", "_pytest", "xdist"):
                starts = str(path.relative_to(ROOT)) == STARTS_PYTEST
                assert room(path) in OF_PYTEST or starts, (path, module)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_platform_is_named_in_code(path: Path) -> None:
    strings = [
        n.value
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Compare)
        for n in ast.walk(n)
        if isinstance(n, ast.Constant) and isinstance(n.value, str)
    ]
    for family in ("kunpeng", "phytium", "hygon", "zhaoxin", "loongson", "kylin", "uos"):
        assert not [s for s in strings if family in s.lower()]


_STARTS = re.compile(
    r"\b(?:subprocess|_posixsubprocess|multiprocessing|pexpect|plumbum)\b|\bpty\.(?:spawn|fork|\*)"
    r"|\b(?:os|posix)\.(?:exec|spawn|posix_spawn|popen|system|\*)"
    r"|\bcreate_subprocess|\bsubprocess_(?:exec|shell)\b|\bProcessPoolExecutor\b"
)


def starts_programs(source: str) -> list[str]:
    """What in a source starts programs: modules and functions of the standard library that do, however they are imported."""
    found = []
    tree = ast.parse(source)
    called = {
        alias.asname: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.asname
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            base, dot, rest = ast.unparse(node).partition(".")
            names = [f"{called.get(base, base)}{dot}{rest}"]
        elif isinstance(node, ast.Call):
            given = [*node.args, *(k.value for k in node.keywords)]
            texts = [a.value for a in given if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            of = ast.unparse(node.func)
            # Imported or looked up by its name; a text that only has such a word in it starts nothing.
            names = [x for x in texts if x in ("subprocess", "multiprocessing", "pty") and not of.endswith(".split")]
            if of == "getattr" and node.args and texts:
                names.append(f"{ast.unparse(node.args[0])}.{texts[0]}")
        else:
            continue
        found += [name for name in names if _STARTS.search(name)]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_programs_are_started_by_the_runner_alone(path: Path) -> None:
    if str(path.relative_to(ROOT)) not in (RUNNER, FORKS, *ALONE):
        assert not starts_programs(path.read_text()), f"use {RUNNER}"


@pytest.mark.parametrize(
    "planted",
    [
        "import subprocess",
        "import subprocess as s",
        "from subprocess import run",
        "def f():\n    from subprocess import Popen as P",
        "import os\nos.system('x')",
        "import os\nos.execvpe('x', [], {})",
        "import os\nos.posix_spawn('x', [], {})",
        "from os import popen",
        "import asyncio\nasyncio.create_subprocess_exec('x')",
        "from asyncio import create_subprocess_shell",
        "import importlib\nimportlib.import_module('subprocess')",
        "import multiprocessing.pool",
        "import pty\npty.spawn('x')",
        "import os\nos.spawnv(0, 'x', [])",
        "import os as o\no.system('x')",
        "from os import *",
        "import os\nrun = os.popen",
        "import os\ngetattr(os, 'system')('x')",
        "import posix\nposix.execv('x', [])",
        "async def f(loop):\n    await loop.subprocess_exec(p, 'x')",
        "from asyncio.subprocess import Process",
        "from concurrent.futures import ProcessPoolExecutor",
        "import concurrent.futures as c\nc.ProcessPoolExecutor()",
        "from importlib import import_module as i\ni('subprocess')",
        "import importlib\nimportlib.import_module(name='subprocess')",
        "__import__('subprocess').run('x')",
        "import pexpect",
    ],
)
def test_a_planted_start_of_a_program_is_seen(planted: str) -> None:
    assert starts_programs(planted), planted
    assert not starts_programs(
        "'subprocess'\nx.find('a subprocess')\nfrom os import path\nimport posixpath as p\np.system"
    )
    assert not starts_programs("import os\nos.kill(1, 9)\nx.system = 3\nos.path.join('a')")


_LITERAL = "a time-out is a named constant, scaled by a runner"


_WAITS = {
    "wait": 0, "join": 0, "settimeout": 0, "_await_agent": 0, "alarm": 0, "timeout": 0, "result": 0,
    "wait_for": 1, "create_connection": 1, "get": 1, "acquire": 1, "urlopen": 2, "select": 3,
}  # fmt: skip
"""What waits, and which of its arguments says how many seconds."""
_SECONDS = {"timeout", "timeout_s", "seconds"}


def _is_literal(node: ast.expr) -> bool:
    """Whether a value is a number of half a second or more that stands here itself."""
    match node:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int() | float() as number):
            return number >= 0.5
        case ast.UnaryOp(operand=inner):
            return _is_literal(inner)
        case ast.BinOp(left=one, right=other):
            return _is_literal(one) and _is_literal(other)
        case ast.IfExp(body=one, orelse=other):
            return _is_literal(one) or _is_literal(other)
    return False


def literal_timeouts(source: str) -> list[str]:
    """Waits of so many seconds that ``--xc-timeout-scale`` cannot reach: a number where a time-out is handed over."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            sides = (node.left, node.right)
            clock = any(re.search(r"\b(?:monotonic|time|perf_counter)\(\)", ast.unparse(side)) for side in sides)
            values: list[ast.expr] = list(sides) if clock else []
        elif isinstance(node, ast.Call):
            values = [k.value for k in node.keywords if k.arg in _SECONDS]
            at = _WAITS.get(ast.unparse(node.func).rpartition(".")[2])
            if at == 1 and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                at = None  # ``get`` of a mapping
            if at is not None and (isinstance(node.func, ast.Attribute) or at):
                values += node.args[at : at + 1]
        else:
            continue
        found += [ast.unparse(node) for value in values if _is_literal(value)]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_time_outs_are_no_literals(path: Path) -> None:
    if str(path.relative_to(ROOT)) not in ALONE:
        assert not literal_timeouts(path.read_text()), _LITERAL


@pytest.mark.parametrize(
    "planted",
    [
        "x.wait(5)",
        "t.join(timeout=10)",
        "d = time.monotonic() + 60",
        "d = 60 + time.monotonic()",
        "d = time.time() + 2 * 30",
        "r.run(a, timeout_s=60)",
        "r.run(a, timeout_s=60 if slow else 10)",
        "s.settimeout(3.0)",
        "f.result(5)",
        "q.get(True, 5)",
        "lock.acquire(True, 5)",
        "select.select([a], [], [], 5)",
        "signal.alarm(5)",
        "socket.create_connection(a, 5)",
        "urlopen(url, None, 60)",
        "asyncio.wait_for(x, 5)",
    ],
)
def test_a_planted_literal_time_out_is_seen(planted: str) -> None:
    assert literal_timeouts(planted)
    assert not literal_timeouts("data.get('n', 1)\ntime.sleep(5)\ntotal + 60\nx.get(True, A)")
    assert not literal_timeouts("x.wait(A)\nx.wait(0)\n','.join('a')\nd = time.monotonic() + r.seconds(A)\nx.wait(0.1)")


def test_most_files_are_short() -> None:
    lengths = {p: len(p.read_text().splitlines()) for p in FILES}
    # The supervisor runs by itself in a namespace and can import nothing of the package: it stays in one piece.
    assert max(n for p, n in lengths.items() if p.name != "supervisor.py") <= 600
    assert sum(n <= 300 for n in lengths.values()) >= 0.8 * len(lengths)


def test_the_plugin_holds_hooks_alone() -> None:
    tree = ast.parse((ROOT / "plugin.py").read_text())
    functions = [n.name for n in tree.body if isinstance(n, ast.FunctionDef)]
    assert functions
    assert all(name.startswith("pytest_") for name in functions)
    assert not [n for n in tree.body if isinstance(n, ast.ClassDef)]


_SHOWN = "chooses the line of a tool's output that is shown, and decides nothing"
_GO = "the one reader of the go command's words, which types them; no subject can write them (tests/tools/test_go.py)"
LOOKS_INTO_TEXTS: dict[tuple[str, str], str] = {
    ("advise/rust/cargo.py", "_why"): _SHOWN,
    ("packages/sdk_ast/rust/crates.py", "complaint"): _SHOWN,
    ("gotest/engine.py", "_reason"): _SHOWN,
    ("loading/nodejs.py", "_load"): "only the loader's words, which Node.js hands on, tell that a name is missing",
    (
        "packages/sdk_ast/protobuf/compiler.py",
        "_Compiler._run",
    ): "only Python's words tell that protoc is missing",
    ("provision/archive.py", "_why"): "words what is wrong with an archive that has been refused before",
    (
        "packages/mru/diagnosis.py",
        "what_it_said",
    ): "words the cause of a failure that has been decided before",
    (
        "packages/mru/installers.py",
        "wrong_requests",
    ): "a shell tells of a command that is not there by this line alone; "
    "a script that writes it itself harms itself alone",
    (
        "sandbox/emulator_faults.py",
        "classify",
    ): "only qemu's words tell its end from the program's: the wait status "
    "and another run have to bear them out (see the module)",
    ("tools/go.py", "telling_lines"): _GO,
    ("tools/go.py", "read_failure"): _GO,
    ("tools/go.py", "GoRun.matched_nothing"): _GO,
    ("tools/gomod.py", "read_go_mod"): _GO,
    ("toolchain/builder.py", "Builder._compile"): _SHOWN,
    ("toolchain/builder.py", "_need_whole"): "only the compiler's words tell a full disk of the host",
}
"""(file, function) that may look into a text, with the reason; one that no longer does has to go."""


def test_no_decision_looks_into_texts() -> None:
    rooms = [p.name for p in ROOT.iterdir() if p.is_dir() and p.name != "messages"]
    found = prose.in_files(ROOT, rooms)
    assert not found - LOOKS_INTO_TEXTS.keys(), "ask for an enumeration where it arises, and not for words"
    assert not LOOKS_INTO_TEXTS.keys() - found, "these are no longer needed"


@pytest.mark.parametrize(
    "planted",
    [
        'if fault.what.startswith("no stand-in"): pass',
        'if "SIGKILL" in crash.detail: pass',
        'if "SIGKILL" not in outcome.describe(): pass',
        "if decision.reason == other: pass",
        'return [p for p in seen if "[SMD-75 " in p.detail]',
        'text = outcome.stderr.decode(errors="replace")\nif "panic" in text.lower(): pass',
        'lines = outcome.stderr.splitlines()\nfor line in lines:\n    if line.endswith(b"x"): pass',
        'if re.search("no space", done.stderr): pass',
        "if PATTERN.fullmatch(run.output.strip()): pass",
        'if (said := one.end.text()) and said.find("x") > 0: pass',
        'try:\n    pass\nexcept OSError as error:\n    if "encrypted" in str(error): pass',
        'told = f"{found.undecided}; more"\nreturn told.count("x")',
        'return record["message"] == "x"',
        'if MARKS.sub("", run.output).startswith("x"): pass',
        'match decision.reason:\n    case "x": pass',
        'try:\n    pass\nexcept OSError as error:\n    match str(error):\n        case "x": pass',
        'try:\n    pass\nexcept OSError as error:\n    if error.args[0] == "x": pass',
        "if decision.reason in KNOWN: pass",
        "return KNOWN[decision.reason]",
        "return KNOWN.get(found.undecided)",
        'if operator.contains(outcome.stderr, b"x"): pass',
        'if fnmatch(decision.reason, "x*"): pass',
        'if decision.reason.render("en") == "x": pass',
        'if decision.reason.as_data()["id"] == "x": pass',
        'return [word for word in decision.reason.split() if word == "x"]',
        'return (lambda d: "x" in d.reason)(decision)',
    ],
)
def test_a_planted_look_into_a_text_is_seen(planted: str) -> None:
    body = "".join(f"        {line}\n" for line in planted.splitlines())
    assert [f for f, _ in prose.looks_into_texts(f"class A:\n    def f(self):\n{body}")] == ["A.f"], planted


@pytest.mark.parametrize(
    "planted",
    ['BAD = [d for d in ALL if "x" in d.reason]', 'bad = lambda d: "x" in d.reason', 'if "x" in D.reason:\n    pass'],
)
def test_a_look_outside_of_functions_is_seen(planted: str) -> None:
    assert [place for place, _ in prose.looks_into_texts(planted)] == [""]


def test_a_look_into_an_error_that_was_handed_on_is_seen() -> None:
    assert prose.looks_into_texts('def f(error: BuildError) -> bool:\n    return "full" in str(error)')
    assert not prose.looks_into_texts('def f(error: str) -> bool:\n    return error == "full"')


@pytest.mark.parametrize(
    "fine",
    [
        "if outcome.ended is Ended.EXITED and outcome.code == 3: pass",
        "if found.undecided or not crash.detail: pass",
        'if found.undecided != "": pass',
        'return f"{fault.what}: {outcome.describe()}"',
        "return sorted({s.detail for s in seen})",
        "try:\n    pass\nexcept OSError as error:\n    if error.errno == 2: pass",
        'if "key" in reply.values and name.startswith("x"): pass',
    ],
)
def test_what_decides_by_no_text_is_let_pass(fine: str) -> None:
    body = "".join(f"    {line}\n" for line in fine.splitlines())
    assert prose.looks_into_texts(f"def f():\n{body}") == []


def test_one_helper_alone_prints() -> None:
    """What users read is put into their language at the very end, in one place."""
    prints = {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert prints == {"commands/voice.py"}
