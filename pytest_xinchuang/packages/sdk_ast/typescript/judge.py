"""Tries clients of npm packages: by the compiler, a program a side, and by Node.js, which loads every entry."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_xinchuang.packages.sdk_ast.compare import Comparison
from pytest_xinchuang.packages.sdk_ast.comparer import Side
from pytest_xinchuang.packages.sdk_ast.judge.client import Client, Outcome, Trial
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.source import Sources
from pytest_xinchuang.packages.sdk_ast.typescript.clients import Writer
from pytest_xinchuang.packages.sdk_ast.typescript.comparer import TypeScriptComparer, unstable
from pytest_xinchuang.packages.sdk_ast.typescript.positions import IN, OUT, Positions
from pytest_xinchuang.packages.sdk_ast.typescript.reader import GLOBAL, MANIFEST, REQUIRE, TARGET
from pytest_xinchuang.packages.sdk_ast.typescript.tool import PROGRAMS, Compiler, find_compiler, installed
from pytest_xinchuang.packages.sdk_ast.typescript.trees import nodes
from pytest_xinchuang.tools.process import last_line

MOST_CLIENTS = 6000
"""One program with so many modules is checked in less than a minute."""
LOAD_S = 20
MOST_ENTRIES = 40


class TypeScriptJudge:
    """Writes clients for every symbol that both sides have, and tries them with both."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    def trials(self, comparison: Comparison, policy: ApiPolicy) -> Sequence[Trial]:
        """
        Raises:
            HostFault: Node.js or the compiler is not there, or broke.
        """
        old, new = comparison.old, comparison.new
        assert old.place is not None and new.place is not None
        if old.header.name != new.header.name:
            return ()
        compiler = find_compiler(
            self.sources.cache, old.place, offline=self.sources.options.offline, runner=self.sources.runner
        )
        book = _Book(comparison, policy)
        clients = book.clients()[:MOST_CLIENTS]
        with installed(old.place) as (before, _name, _), installed(new.place) as (after, _same, _):
            said_old, said_new = (_checked(compiler, home, clients) for home in (before, after))
            loads = list(_loaded(compiler, before, after, book))
        found = []
        for number, client in enumerate(clients):
            outcome = Outcome.FAILS if number in said_old else Outcome.HOLDS
            source = Outcome.FAILS if number in said_new else Outcome.HOLDS
            trial = Trial(client, outcome, source, said=said_new.get(number, ""), tool=compiler.told)
            if trial.breaks and book.follows(client):
                continue
            found.append(trial)
        return [*found, *loads]


class _Book:
    """What there is to use, and which changes it rests on."""

    def __init__(self, comparison: Comparison, policy: ApiPolicy) -> None:
        self.old, self.new = (Side(one, TARGET) for one in (comparison.old, comparison.new))
        self.comparer = TypeScriptComparer(self.old, self.new, policy.package_map)
        self.positions = Positions(comparison.old, TARGET)
        self.implemented = policy.interfaces == "users"
        self.changed = {one.change.symbol for one in comparison.changes}
        self.breaking = {one.change.symbol for one in comparison.changes if one.weight in ("breaking", "undecided")}
        self._rests: dict[str, set[str]] = defaultdict(set)

    def entries(self) -> Iterator[str]:
        """Paths that both sides have."""
        for path in self.old.snapshot.packages:
            if not path.endswith((GLOBAL, MANIFEST)) and self.old.package(path) and self.new.package(path):
                yield path

    def clients(self) -> list[Client]:
        """Those of symbols that differ come first."""
        found: list[Client] = []
        for path in self.entries():
            package, other = self.old.package(path), self.new.package(path)
            assert package is not None and other is not None
            plain = path.removesuffix(REQUIRE)
            twin, new_twin = self.old.package(plain + REQUIRE), self.new.package(plain + REQUIRE)
            if (
                path == plain
                and twin
                and new_twin
                and twin.symbols == package.symbols
                and new_twin.symbols == other.symbols
            ):
                continue  # the same declarations, with clients of their own
            writer = Writer(plain, by_require=path != plain, implemented=self.implemented)
            for name, symbol in package.symbols.items():
                facts = symbol["facts"]
                label = self.comparer.label(path, name)
                self._rests[label] |= {self.comparer.label(n["e"], n["n"]) for n in nodes(facts) if n.get("e")}
                if name in other.symbols and not unstable(facts):
                    found += self._of(writer, plain, label, name, facts, other.symbols[name]["facts"])
        return sorted(found, key=lambda client: not self._differs(client.symbol))

    def _of(
        self, writer: Writer, path: str, label: str, name: str, facts: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Iterator[Client]:
        members = sorted(
            {m for one in (facts, new) for part in ("type",) for m in ((one.get(part) or {}).get("members") or {})}
            | {m for one in (facts, new) for m in ((one.get("type") or {}).get("values") or {})}
        )
        only_in, only_out = (self.positions.only(path, name, one) for one in (IN, OUT))
        for client in writer.clients(label, name, facts, members, only_in=only_in, only_out=only_out):
            if not any(client.symbol == f"{label}.{m}" for m in members if _unstable_member(facts, m)):
                yield client

    def _differs(self, symbol: str) -> bool:
        return symbol in self.changed

    def follows(self, client: Client) -> bool:
        """Whether what a client shows follows from a breaking change of something that its symbol rests on, told there."""
        if client.symbol in self.changed or any(symbol in self.changed for symbol in client.also):
            return False
        owner = next(
            (label for label in sorted(self._rests, key=len, reverse=True) if _within(client.symbol, label)), ""
        )
        seen: set[str] = set()
        left = [owner]
        while left:
            label = left.pop()
            if label not in seen:
                seen.add(label)
                left += self._rests.get(label, ())
        return any(_within(symbol, label) for symbol in self.breaking for label in seen if label)


def _within(symbol: str, label: str) -> bool:
    return symbol == label or symbol.startswith((label + ".", label + "("))


def _unstable_member(facts: Mapping[str, Any], name: str) -> bool:
    return unstable(((facts.get("type") or {}).get("members") or {}).get(name) or {})


def _checked(compiler: Compiler, home: Path, clients: Sequence[Client]) -> dict[int, str]:
    """The number of each client that does not compile, with the first complaint."""
    for number, client in enumerate(clients):
        for name, text in client.files.items():
            (home / "client" / f"c{number}{Path(name).suffix}").write_text(text, encoding="utf-8")
    if not clients:
        return {}
    done = compiler.run("trial.cjs", [str(compiler.place), str(home)])
    records = [json.loads(line) for line in done.text.split("\n") if line]
    return {int(Path(one["file"]).stem[1:]): one["said"] for one in records}


def _loaded(compiler: Compiler, before: Path, after: Path, book: _Book) -> Iterator[Trial]:
    """Every entry loaded by Node.js, and the values that it exports then and now."""
    for path in list(book.entries())[:MOST_ENTRIES]:
        mode = "require" if path.endswith(REQUIRE) else "import"
        plain = path.removesuffix(REQUIRE)
        old = _load(compiler, before, mode, plain)
        if isinstance(old, str):
            continue
        new = _load(compiler, after, mode, plain)
        text = f'require("{plain}");' if mode == "require" else f'import "{plain}";'
        client = Client(book.comparer.label(path), mode, {"client.mjs": text})
        trial = Trial(client, Outcome.HOLDS, tool=compiler.told, alongside=True)
        if isinstance(new, str):
            yield replace(trial, binary=Outcome.FAILS, said=new)
            continue
        yield replace(trial, binary=Outcome.HOLDS)
        package = book.old.package(path)
        assert package is not None
        for name in old:
            facts = (package.symbols.get(name) or {}).get("facts") or {}
            if not facts.get("value") or unstable(facts):
                continue
            one = Client(book.comparer.label(path, name), mode, {"client.mjs": f'import {{ {name} }} from "{plain}";'})
            gone = name not in new
            said = f"{plain} exports no {name}" if gone else ""
            yield replace(trial, client=one, binary=Outcome.FAILS if gone else Outcome.HOLDS, said=said)


def _load(compiler: Compiler, home: Path, mode: str, specifier: str) -> list[str] | str:
    """The names that an entry exports, or why it cannot be loaded. It may read files, and write none and start nothing."""
    program = home / "client" / "load.mjs"
    if not program.exists():
        shutil.copy(PROGRAMS / "load.mjs", program)
    stable = compiler.node_version >= (23, 5) or (22, 13) <= compiler.node_version < (23,)
    guard = ["--permission" if stable else "--experimental-permission", "--allow-fs-read=*"]
    words = [compiler.node, *(guard if compiler.node_version >= (20,) else []), str(program), mode, specifier]
    done = compiler.runner.run(words, timeout_s=LOAD_S, cwd=home)
    try:
        said = json.loads(last_line(done.text))
    except ValueError:
        said = {}
    if done.ok and isinstance(said, dict) and "names" in said:
        names: list[str] = said["names"]
        return names
    why = said.get("why", "") if isinstance(said, dict) else ""
    return (str(why) or last_line(done.errors)).replace(str(home), "")
