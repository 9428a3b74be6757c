"""Writes clients of Go APIs, and type-checks them with the old and the new version: one run of the reader a version.

The reader writes the clients with go/types, out of the old version: what a signature, a field, a method set, a constraint
allows, spelled out as users do. A client that does not build with the old version is dropped there. What the users of a module
may not count on is not promised: literals without keys and embedding beside a type that has the same method
(https://go.dev/doc/go1compat; ``go vet`` warns of the first), and the spelling out of another package's struct type (the
documentation of golang.org/x/exp/apidiff, "Using an identical type externally"). Dot imports, which the same promise leaves
out, would fail with every name that is added, and are not tried.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_xinchuang.packages.sdk_ast.compare import Comparison
from pytest_xinchuang.packages.sdk_ast.golang.extractor import GoRequest, clients
from pytest_xinchuang.packages.sdk_ast.golang.questions import Asked, excluded
from pytest_xinchuang.packages.sdk_ast.judge.client import Client, Outcome, Trial
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot
from pytest_xinchuang.packages.sdk_ast.source import Sources


class GoJudge:
    """Asks the reader of Go APIs."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def trials(self, comparison: Comparison, policy: ApiPolicy) -> Sequence[Trial]:
        """Every client of every symbol that differs, tried with both versions for each target.

        Raises:
            HostFault: there is no Go that can do it, or the reader broke.
            XcError: a module cannot be read any more.
        """
        asked = Asked(comparison, policy)
        questions = [asdict(one) for one in asked]
        if not questions:
            return []
        wanted = {"questions": questions, "without": list(excluded(policy))}
        written = self._run(comparison.old, comparison.targets, wanted)
        tried = self._run(comparison.new, comparison.targets, {"clients": written, "moved": asked.moved})
        tool = f"go/types of {comparison.new.header.toolchain}"
        return [
            trial
            for old, new in zip(written, tried, strict=True)
            for trial in _trials(_client(old, asked), old["results"], new["results"], comparison.targets, tool)
        ]

    def _run(self, side: Snapshot, targets: Sequence[str], asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        assert side.place is not None
        options = self._sources.options
        request = GoRequest(
            side.place, path=side.header.name, targets=targets, tags=tuple(options.tags), cgo=options.cgo
        )
        with tempfile.TemporaryDirectory() as scratch:
            return clients(self._sources.cache, request, asked, Path(scratch) / "clients.jsonl", self._sources.runner)


def _client(record: Mapping[str, Any], asked: Asked) -> Client:
    symbol = record["symbol"]
    # A member is broken with its type, and a type with its members: what a rule tells of either explains it.
    also = {asked.label(name) for name in record.get("mentions") or ()} | set(asked.within(symbol))
    return Client(
        symbol,
        record["relation"],
        {"client.go": record["source"]},
        promised=record["promised"],
        also=tuple(sorted(also - {symbol})),
    )


def _trials(
    client: Client,
    old: Sequence[Mapping[str, str]],
    new: Sequence[Mapping[str, str]],
    targets: Sequence[str],
    tool: str,
) -> list[Trial]:
    before, after = ({one.get("target", ""): one for one in results} for results in (old, new))
    found = []
    for target in [""] if "" in before and "" in after else targets:
        was, now = before.get(target) or before.get(""), after.get(target) or after.get("")
        if was and now:
            source = Outcome(now["outcome"])
            found.append(
                Trial(client, Outcome(was["outcome"]), source, said=now.get("said", ""), tool=tool, target=target)
            )
    return found
