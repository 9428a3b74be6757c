"""Tries clients of crates: ``cargo check`` builds all of them at once, with the old version and with the new one.

A crate of clients has a module for each. What rustc complains of has a file, and so a client; errors of an early phase hide
those of later ones, so the crate is checked again without the clients that failed until nothing is left to complain of.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.compare import Comparison
from pytest_xinchuang.packages.sdk_ast.judge.client import Client, Outcome, Trial
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rust.clients import FILE, Writer
from pytest_xinchuang.packages.sdk_ast.rust.crates import ALL, MANIFEST, NONE, SETS, Crate, Opened, complaint, opened
from pytest_xinchuang.packages.sdk_ast.rust.reader import triples_of
from pytest_xinchuang.packages.sdk_ast.rust.tool import Cargo, find_cargo
from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot
from pytest_xinchuang.packages.sdk_ast.source import Sources

ROUNDS = 12
"""Checks of one crate of clients: rustc has fewer phases that end with their first errors."""
_CLIENT = re.compile(r"(?:^|/)src/c(\d+)\.rs$")


class RustJudge:
    """Tries clients of all that the old version offers, with the default features and with all of them."""

    def __init__(self, sources: Sources) -> None:
        self.runner, self.offline = sources.runner, sources.options.offline

    def trials(self, comparison: Comparison, _policy: ApiPolicy) -> Sequence[Trial]:
        """Every client of every item of the old version, for each target.

        Raises:
            ToolchainFault: there is no Rust, or it cannot be isolated here.
            XcError: a version cannot be read any more.
        """
        old, new = comparison.old, comparison.new
        if old.place is None or new.place is None:
            return ()
        cargo = find_cargo(self.runner)
        found: list[Trial] = []
        with ExitStack() as held:
            sides = [
                held.enter_context(opened(side.place, cargo, offline=self.offline)) for side in (old, new) if side.place
            ]
            for crate in sides[0].crates:
                after = _counterpart(crate, sides)
                if after is None or crate.proc_macro or not (crate.usable and after.usable):
                    continue
                for target, triple in triples_of(comparison.targets).items():
                    for features in SETS:
                        if features in crate.sets:
                            clients = _clients(old, new, crate, after, features, target)
                            bench = _Bench(cargo, triple, features)
                            found += bench.tried(clients, (crate, after), sides, target)
        return _whole(found)


def _whole(trials: Sequence[Trial]) -> list[Trial]:
    """Silence with some features says nothing where it could not be asked for with others: there it may break."""
    open_ = {(t.client.symbol, t.client.relation, t.target) for t in trials if not t.counts}
    return [
        replace(t, source=Outcome.UNTRIED)
        if (t.client.symbol, t.client.relation, t.target) in open_ and t.counts and not t.breaks
        else t
        for t in trials
    ]


def _counterpart(crate: Crate, sides: Sequence[Opened]) -> Crate | None:
    alone = len(sides[0].crates) == len(sides[1].crates) == 1
    return next((one for one in sides[1].crates if alone or one.name == crate.name), None)


def _clients(old: Snapshot, new: Snapshot, crate: Crate, after: Crate, features: str, target: str) -> list[Client]:
    before, now = old.package(crate.name + features, target), new.package(after.name + features, target)
    if before is None or now is None or before.record.partial or now.record.partial:
        return []
    found = Writer(crate.name, before.symbols, now.symbols).clients()
    before.forget()
    now.forget()
    return found


class _Bench:
    """Checks crates of clients.

    Attributes:
        features: the set that they depend on the crate with.
    """

    def __init__(self, cargo: Cargo, triple: str, features: str) -> None:
        self.cargo, self.triple, self.features = cargo, triple, features

    def tried(
        self, clients: Sequence[Client], crates: tuple[Crate, Crate], sides: Sequence[Opened], target: str
    ) -> Iterator[Trial]:
        """What became of each client."""
        if not clients:
            return
        numbers = list(range(len(clients)))
        was = self._checked(clients, numbers, crates[0], crates[0].name, sides[0])
        kept = [n for n in numbers if was.get(n, ("",))[0] is Outcome.HOLDS]
        now = self._checked(clients, kept, crates[1], crates[0].name, sides[1])
        beside = any(crate.runs_code for crate in crates)
        for number, client in enumerate(clients):
            before, _said = was.get(number, (Outcome.UNTRIED, ""))
            after, said = now.get(number, (Outcome.UNTRIED, ""))
            yield Trial(client, before, after, said=said, tool=self.cargo.told, target=target, alongside=beside)

    def _checked(
        self, clients: Sequence[Client], numbers: Sequence[int], crate: Crate, name: str, side: Opened
    ) -> dict[int, tuple[Outcome, str]]:
        place = side.scratch / f"clients{len(self.features)}"
        (place / "src").mkdir(parents=True, exist_ok=True)
        for number in numbers:
            (place / "src" / f"c{number}.rs").write_text(clients[number].files[FILE], encoding="utf-8")
        features = list(crate.features) if self.features == ALL else []
        text = _manifest(crate, name, [f for f in features if f != "default"], default=self.features != NONE)
        (place / MANIFEST).write_text(text, encoding="utf-8")
        lock = side.root / "Cargo.lock"
        if lock.is_file():
            shutil.copyfile(lock, place / "Cargo.lock")
        found: dict[int, tuple[Outcome, str]] = {}
        left = list(numbers)
        for _round in range(ROUNDS):
            lines = "".join(f"mod c{number};\n" for number in left)
            (place / "src" / "lib.rs").write_text(f"#![allow(warnings)]\n{lines}", encoding="utf-8")
            said, done, why = self._complaints(place, side)
            found |= {number: (Outcome.FAILS, text) for number, text in said.items()}
            left = [number for number in left if number not in said]
            if done:
                return found | dict.fromkeys(left, (Outcome.HOLDS, ""))
            if not said:
                raise ToolchainFault(_("cargo check of clients broke: {said}", said=verbatim(why)))
        return found

    def _complaints(self, place: Path, side: Opened) -> tuple[dict[int, str], bool, str]:
        """Client -> the first complaint of it; whether there was none at all; and what cargo says."""
        words = ["check", "--lib", "--target", self.triple, "--message-format", "json"]
        done = self.cargo.run(words, place, side.scratch, read=[side.root])
        found: dict[int, str] = {}
        for line in done.text.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue  # what a procedural macro has written there
            message = record.get("message") if record.get("reason") == "compiler-message" else None
            if not message or not str(message.get("level", "")).startswith("error"):
                continue
            for span in sorted(message["spans"], key=lambda one: not one["is_primary"]):
                match = _CLIENT.search(span["file_name"])
                if match:
                    code = (message.get("code") or {}).get("code", "")
                    found.setdefault(int(match[1]), f"{code}: {message['message']}".removeprefix(": "))
                    break
        return found, done.ok, complaint(done)


def _manifest(crate: Crate, name: str, features: Sequence[str], *, default: bool) -> str:
    wanted = f", features = {json.dumps(list(features))}" if features else ""
    wanted += "" if default else ", default-features = false"
    return (
        '[package]\nname = "xc-clients"\nversion = "1.0.0"\nedition = "2021"\n\n[workspace]\n\n[dependencies]\n'
        f'{name} = {{ package = "{crate.package}", path = {json.dumps(str(crate.directory))}{wanted} }}\n'
    )
