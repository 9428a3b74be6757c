"""Judges what differs between two versions of a Java library by clients."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from pytest_xinchuang.packages.sdk_ast.compare import Comparison
from pytest_xinchuang.packages.sdk_ast.comparer import Side
from pytest_xinchuang.packages.sdk_ast.java.clients import write_clients
from pytest_xinchuang.packages.sdk_ast.java.comparer import JavaComparer
from pytest_xinchuang.packages.sdk_ast.java.trier import find_jdk, package_of, try_clients
from pytest_xinchuang.packages.sdk_ast.judge.client import Trial
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.source import Sources

MOST_CLIENTS = 20_000
"""Clients of one comparison: javac holds all of them in memory."""


class JavaJudge:
    """Writes clients of what differs, and tries them with javac and the virtual machine's linker."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def trials(self, comparison: Comparison, policy: ApiPolicy) -> Sequence[Trial]:
        """Every client, tried with both versions; those of a relation only if all that were written for it could be tried.

        Raises:
            HostFault: there is no JDK, or it broke.
        """
        runner = self._sources.runner
        jdk = find_jdk(runner)
        target = comparison.targets[0]
        comparer = JavaComparer(Side(comparison.old, target), Side(comparison.new, target), policy.package_map)
        uses = list(islice(write_clients(comparer), MOST_CLIENTS))
        if not uses:
            return ()
        clients = [use.client(package_of(number)) for number, use in enumerate(uses)]
        sides = comparison.old.place, comparison.new.place
        assert sides[0] is not None and sides[1] is not None
        with self._sources.scratch() as scratch:
            tried = try_clients(
                self._sources.cache, runner, jdk, (sides[0], sides[1]), [one.files for one in clients], scratch
            )
        trials = [
            Trial(c, t.old, t.source, t.binary, t.said, jdk.version, "jvm") for c, t in zip(clients, tried, strict=True)
        ]
        # The silence of some ways to use a symbol says nothing of those that could not be tried.
        untried = {(one.client.symbol, one.client.relation) for one in trials if not one.counts}
        return [one for one in trials if one.breaks or (one.client.symbol, one.client.relation) not in untried]
