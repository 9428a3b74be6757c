"""Code of JavaScript that asks for the machine, loaded under each platform's process.arch.

Sources: Node.js's documentation of process.arch, os.arch and modules (CommonJS).
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.advise.aside import is_aside
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.errors import ToolchainFault, XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Architecture
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.toolchain.jail import Sights
from pytest_xinchuang.tools.versions import version_of

EVALUATE = Path(__file__).with_name("evaluate.js")
ALL_S = 30.0
"""Seconds for all files under one name."""
MOST_FILES = 200
"""Files that are loaded; the largest trees have some dozen that ask for the machine."""
SOURCES = ("*.js", "*.cjs", "*.mjs", "*.jsx", "*.ts", "*.mts", "*.cts", "*.tsx")
_ASKS = re.compile(r"\barch\b")
_MODULE = re.compile(r"^\s*(?:import\b[^(]*?\bfrom\b|import\s*['\"]|export\s)", re.M)
"""A module of ECMAScript by its own words: an import or an export at the beginning of a line."""


@dataclass(frozen=True)
class Run:
    """How loading a file ("" as function), or a function of it, ended."""

    function: str
    error: str
    at: int
    explicit: bool
    value: str


Runs = dict[str, dict[str, Run]]
"""File -> function -> how it ended."""
PASSED = "\0"
"""Stands as a function's name where functions of a file ask for the machine and nothing called them."""


def survey_code(tree: SourceTree, work: Work) -> Surveyed:
    """Load all modules that ask for the machine, and compare each platform with x86-64."""
    said = Surveyed()
    names = [name for name in tree.named(*SOURCES) if not name.endswith(".min.js")]
    if not names:
        return said
    asking = [n for n in names if asks(tree.text(n)) and not is_aside(n)]
    why: Counter[Message] = Counter()
    scripts: list[str] = []
    for name in asking:
        if not name.endswith((".js", ".cjs")) or _MODULE.search(tree.text(name) or ""):
            why[_("it asks for the machine, and is no module of CommonJS, which alone are loaded")] += 1
        elif len(scripts) < MOST_FILES:
            scripts.append(name)
    machines = dict.fromkeys(_npm(a) for a in (work.baseline.architecture, *(p.architecture for p in work.platforms)))
    runs: dict[str, Runs] = {name: {} for name in machines}
    by: Message = verbatim("Node.js")
    if scripts and not work.build:
        why[_("nothing of the tree may be run")] += len(scripts)
    elif scripts:
        try:
            by, runs = _evaluated(tree, work, scripts, machines)
        except XcError as fault:
            why[fault.what] += len(scripts)
        else:
            base = runs[_npm(work.baseline.architecture)]
            lost = sum(1 for name in scripts if name not in base or base[name].get("", _LOST).error)
            why[_("it cannot be loaded by itself on x86-64 either")] += lost
            passed = sum(1 for name in scripts if PASSED in base.get(name, {}) and not base[name].get("", _LOST).error)
            why[_("functions in it ask for the machine, and nothing here calls them")] += passed
    lost_files = sum(why.values())
    for platform in work.platforms:
        judge = Judge(platform)
        mine = _npm(platform.architecture)
        if mine != _npm(work.baseline.architecture):
            _compare(judge, runs[_npm(work.baseline.architecture)], runs[mine], mine)
        part = Part(_("JavaScript"), len(names) - lost_files, len(names), by=by, why=tuple((+why).items()))
        said.add([platform.id], part)
        said.findings += judge.findings
    return said


_LOST = Run("", "lost", 0, explicit=False, value="")


def _npm(architecture: Architecture) -> str:
    return architecture.names.get("npm", architecture.uname)


def asks(text: str | None) -> bool:
    """Whether a source has the words by which the machine is asked for."""
    return text is not None and _ASKS.search(text) is not None and re.search(r"\b(?:process|os)\b", text) is not None


def _evaluated(
    tree: SourceTree, work: Work, files: list[str], machines: Mapping[str, None]
) -> tuple[Message, dict[str, Runs]]:
    node = shutil.which("node")
    if node is None:
        raise ToolchainFault(_("there is no Node.js, and modules of JavaScript are loaded by it"))
    program = os.path.realpath(node)
    runs = {arch: _ran(tree, work, program, files, arch) for arch in machines}
    return verbatim(f"Node.js {version_of(program, '--version', runner=work.runner)}"), runs


def _ran(tree: SourceTree, work: Work, program: str, files: list[str], arch: str) -> Runs:
    here = work.scratch / f"node-{arch}"
    out = here / "out"
    out.mkdir(parents=True, exist_ok=True)
    orders, results = here / "orders.json", out / "results"
    system = [Path(n) for n in ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache")]
    found: Runs = {}
    waiting = list(files)
    while waiting:
        orders.write_text(json.dumps({"root": str(tree.root), "files": waiting, "arch": arch}), encoding="utf-8")
        results.unlink(missing_ok=True)
        try:
            work.jail.run(
                [program, "--no-warnings", "--max-old-space-size=512", str(EVALUATE), str(orders), str(results)],
                Sights((*system, Path(program).parent.parent, EVALUATE, orders, tree.root), (out,)),
                scratch=here,
                cwd=tree.root,
                env={"PATH": "/usr/bin:/bin", "HOME": str(out), "TMPDIR": str(out), "LC_ALL": "C.UTF-8"},
                timeout_s=work.budget.within(ALL_S),
            )
        except ToolchainFault:
            pass  # a file of the tree has broken it, or never came to an end: those before it are known
        began = _note(found, results)
        if began not in waiting:
            break
        found.pop(began, None)
        waiting = waiting[waiting.index(began) + 1 :]
        if work.budget.spent:
            break
    return found


def _note(found: Runs, results: Path) -> str:
    """Take over what was written; the file that was not done with, "" for none."""
    began = ""
    try:
        lines = results.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        try:
            said: dict[str, Any] = json.loads(line)
            if "began" in said:
                began = str(said["began"])
                continue
            if "passed" in said:
                found.setdefault(str(said["passed"]), {})[PASSED] = Run("", "", 0, explicit=False, value="")
                continue
            if "called" in said:
                found[str(said["called"])].pop(PASSED, None)
                continue
            run = Run(
                str(said["what"]), str(said["error"]), int(said["at"]), bool(said["explicit"]), str(said["value"])
            )
            found.setdefault(str(said["file"]), {})[run.function] = run
        except (ValueError, KeyError, TypeError):
            continue  # what the tree's own code has written there
    return began


def _compare(judge: Judge, base: Runs, there: Runs, arch: str) -> None:
    for file, runs in there.items():
        for function, run in runs.items():
            before = base.get(file, {}).get(function)
            if before is None or before.error:
                continue
            name = verbatim(f"{function}()")
            if run.error:
                error = verbatim(run.error)
                what = (
                    _("{function} raises {error}", function=name, error=error)
                    if function
                    else _("the module raises {error} when it is loaded", error=error)
                )
                certainty = Certainty.CERTAIN if run.explicit else Certainty.GUARDED
            elif function and before.value not in ("undefined", "null") and run.value in ("undefined", "null"):
                what, certainty = _("{function} returns nothing", function=name), Certainty.GUARDED
            else:
                continue
            place = f"{file}:{run.at}" if run.at else file
            if not any(f.object == place and f.code == "XC-ADV-081" for f in judge.findings):
                judge.find("XC-ADV-081", certainty, place, what=what, machine=arch)
