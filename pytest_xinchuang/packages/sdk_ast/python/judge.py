"""Judges a difference of two Python APIs by clients: both versions are imported, each behind a wall, and inspected."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_xinchuang.packages.sdk_ast.compare import Comparison
from pytest_xinchuang.packages.sdk_ast.judge.client import Client, Outcome, Trial
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.python.clients import Probe, clients_of, specials
from pytest_xinchuang.packages.sdk_ast.python.delivered import Delivered, Form, delivered, opened
from pytest_xinchuang.packages.sdk_ast.python.reader import DISTRIBUTION
from pytest_xinchuang.packages.sdk_ast.python.world import public
from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot
from pytest_xinchuang.packages.sdk_ast.source import Sources
from pytest_xinchuang.toolchain.jail import Isolation, Jail, Sights
from pytest_xinchuang.tools.process import Runner

PROBE = Path(__file__).with_name("probe.py")
TIMEOUT_S = 300
"""Seconds for the imports of all modules of the largest distributions, on a loaded machine."""


@dataclass
class Said:
    """What a probe has told of one version."""

    outcomes: dict[int, tuple[Outcome, str]] = field(default_factory=dict)
    modules: dict[str, tuple[Outcome, str, list[str]]] = field(default_factory=dict)


class PythonJudge:
    """Tries clients of the names that the old version has."""

    def __init__(self, sources: Sources) -> None:
        self.runner = sources.runner

    def trials(self, comparison: Comparison, policy: ApiPolicy) -> Sequence[Trial]:
        """Every client of every public name, tried with both versions.

        Raises:
            HostFault: Python cannot be isolated here.
            XcError: a version cannot be read any more.
        """
        probes = list(_probes(comparison.old, comparison.new, policy.package_map))
        if not probes:
            return ()
        with ExitStack() as held:
            here = [
                delivered(held.enter_context(opened(_place(side), whole=True)))
                for side in (comparison.old, comparison.new)
            ]
            scratch = Path(held.enter_context(tempfile.TemporaryDirectory())).resolve()
            modules = [name for name in here[0].modules if public(name.split("."))]
            tops = sorted({*here[0].tops, *here[1].tops})
            old, new = (
                _told(self.runner, side, tops, modules, probes, scratch / name)
                for side, name in zip(here, "on", strict=True)
            )
        return _weighed(probes, old, new, comparison.old)


def _place(side: Snapshot) -> Path:
    assert side.place is not None
    return side.place


def _probes(old: Snapshot, new: Snapshot, moved: Mapping[str, str]) -> list[Probe]:
    found: list[Probe] = []
    for path in old.packages:
        before, after = old.package(path, "python"), new.package(moved.get(path, path), "python")
        if path == DISTRIBUTION or before is None or after is None or before.record.source == after.record.source:
            continue
        found += clients_of(path, before.symbols, after.symbols)
        found += specials(path, before.symbols)
        before.forget()
        after.forget()
    return found


def _told(
    runner: Runner, here: Delivered, tops: list[str], modules: list[str], probes: list[Probe], scratch: Path
) -> Said:
    out = scratch / "out"
    out.mkdir(parents=True)
    orders, results = scratch / "orders.json", out / "results"
    compiled = [name for name, module in here.modules.items() if module.form is Form.EXTENSION]
    order = {
        "roots": [str(root.resolve()) for root in here.roots],
        "tops": tops,
        "modules": modules,
        "compiled": compiled,
        "probes": [probe.order for probe in probes],
        "results": str(results),
    }
    orders.write_text(json.dumps(order), encoding="utf-8")
    program = sys.executable
    homes = [
        Path(sys.base_prefix),
        Path(sys.prefix),
        *map(Path, ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache")),
    ]
    roots = [root.resolve() for root in here.roots]
    Jail(runner, (Isolation.NAMESPACES, Isolation.LANDLOCK)).run(
        [program, "-I", str(PROBE), str(orders)],
        Sights((*homes, Path(os.path.realpath(program)), Path(program), PROBE, orders, *roots), (out,)),
        scratch=scratch,
        cwd=out,
        env={"PATH": "/usr/bin:/bin", "HOME": str(out), "TMPDIR": str(out), "LC_ALL": "C.UTF-8"},
        timeout_s=TIMEOUT_S,
    )
    return _read(results)


def _read(results: Path) -> Said:
    """What the probe wrote; nothing of it when it did not come to its end: the subject's own code ran beside it."""
    said = Said()
    try:
        lines = results.read_text(encoding="utf-8").splitlines()
    except OSError:
        return said
    for line in lines:
        try:
            record: dict[str, Any] = json.loads(line)
            if record["record"] == "probe":
                said.outcomes[int(record["number"])] = Outcome(record["outcome"]), str(record["said"])
            elif record["record"] == "module":
                names = [str(name) for name in record["names"]]
                said.modules[str(record["name"])] = Outcome(record["outcome"]), str(record["said"]), names
        except (ValueError, KeyError, TypeError):
            continue  # what a module's own code has written there
    return said


def _weighed(probes: Sequence[Probe], old: Said, new: Said, before: Snapshot) -> list[Trial]:
    tool = f"Python {sysconfig.get_python_version()}"
    trials: list[Trial] = []
    broken: set[str] = set()
    nothing = Outcome.UNTRIED, ""
    for number, probe in enumerate(probes):
        then, now = old.outcomes.get(number, nothing), new.outcomes.get(number, nothing)
        label = probe.client.symbol
        if _held_by(label, broken):
            now = nothing  # it is told of what holds it
        trial = Trial(probe.client, then[0], now[0], said=now[1], tool=tool, alongside=True)
        if trial.breaks and probe.client.relation == "name":
            broken.add(label)
        trials.append(trial)
    trials = _whole(trials)
    known = {probe.client.symbol for probe in probes}
    for module, (outcome, _said, names) in old.modules.items():
        now_there, _why, offered = new.modules.get(module, (Outcome.UNTRIED, "", []))
        if outcome is not Outcome.HOLDS or now_there is not Outcome.HOLDS:
            continue
        for name in names:
            label = f"{module}.{name}"
            if label in known or name in offered or _is_known(before, label):
                continue
            text = f"from {module} import {name}\n"
            client = Client(label, "name", {"client.py": text})
            said = f"ImportError: cannot import name {name!r}"
            trials.append(Trial(client, Outcome.HOLDS, Outcome.FAILS, said=said, tool=tool, alongside=True))
    return trials


def _whole(trials: list[Trial]) -> list[Trial]:
    """Calls that fit say nothing where another call of the same function could not be tried: it may be the one that fails."""
    open_ = {t.client.symbol for t in trials if t.client.relation == "call" and not t.counts}
    return [
        replace(t, source=Outcome.UNTRIED)
        if t.client.relation == "call" and t.client.symbol in open_ and not t.breaks
        else t
        for t in trials
    ]


def _is_known(before: Snapshot, label: str) -> bool:
    top, _dot, rest = label.partition(".")
    package = before.package(top, "python")
    return package is not None and rest in package.symbols


def _held_by(label: str, broken: set[str]) -> bool:
    holder = label.rpartition(".")[0]
    while holder:
        if holder in broken:
            return True
        holder = holder.rpartition(".")[0]
    return False
