"""Grades one subject on hosts as users have them, and compares the grades."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pytest_xinchuang.core.platform import load_platforms
from pytest_xinchuang.core.resources import platforms_file
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.tools.process import Runner
from tests.hosts import container, machine
from tests.hosts.declared import Declared, Host, Kind, read
from tests.hosts.product import write_payload
from tests.hosts.results import Row, read_row, table, wrong
from tests.hosts.userland import provisioned, userland


class Matrix:
    """Makes hosts and runs them, in a directory of its own."""

    def __init__(
        self,
        declared: Declared,
        place: Path,
        *,
        backend: str = "",
        platforms: Sequence[str] = (),
        units: Sequence[str] = (),
        options: Sequence[str] = (),
        runner: Runner | None = None,
    ) -> None:
        self.declared, self.place = declared, place
        self.backend, self.chosen, self.options = backend, platforms, options
        self.runner = runner or Runner()
        self.store = Store(load_platforms(platforms_file()), runner=self.runner)
        self.platforms = [self.store.platforms.get(name) for name in declared.platforms]
        self.cache = Cache(self.store.cache.root / "hosts")
        self.payload = place / "payload"
        write_payload(self.payload, self.store, self.platforms, units or declared.units, self.runner)
        self.provisioned = place / "cache"
        provisioned(self.store, self.platforms, self.provisioned)

    def run(self, name: str) -> Row:
        """One host, from nothing to its row."""
        host = self.declared.hosts[name]
        begun, used = time.monotonic(), _cpu_s()
        place = self.place / name
        tree = userland(self.cache, host.userland, self.declared.userlands[host.userland], host.arch, self.runner)
        platforms = host.platforms or self.chosen or self.declared.platforms
        arguments = [
            f"--xc-platform={','.join(platforms)}",
            f"--xc-backend={self.backend or host.backend}",
            *self.options,
        ]
        ended = (
            self._machine(host, tree, arguments, place)
            if host.kind is Kind.MACHINE
            else self._container(host, tree, arguments, place)
        )
        row = read_row(name, host, ended, time.monotonic() - begun)
        return replace(row, cpu_s=round(_cpu_s() - used, 1))

    def _machine(self, host: Host, tree: Path, arguments: list[str], place: Path) -> machine.Ended:
        declared = self.declared.kernels[host.kernel]
        kernel = machine.kernel(self.cache, declared, host.arch, self.runner)
        image = machine.disk(self.cache, tree, *self._made(host), self.provisioned, self.runner)
        scaled = [*arguments, f"--xc-timeout-scale={machine.SLOWER}"]
        return machine.run(self.store, host, declared, kernel, tree, image, self.payload, scaled, place)

    def _container(self, host: Host, tree: Path, arguments: list[str], place: Path) -> machine.Ended:
        image = container.image(tree, *self._made(host), self.provisioned, host, self.runner)
        return container.run(host, image, self.payload, arguments, place, self.runner)

    def _made(self, host: Host) -> tuple[str, str]:
        """The name of a host's userland, and a digest of it with the provisioned cache."""
        name = f"{host.userland}-{host.arch}"
        made = self.cache.peek("userland", name)
        assert made is not None
        inside = sorted(path.read_text() for path in self.provisioned.glob("entries/**/entry.json"))
        return name, hashlib.sha256("\0".join(("2", made.digest, *inside)).encode()).hexdigest()


def _cpu_s() -> float:
    """Processor time of this process and of those that it has waited for: a container's is the engine's."""
    return sum(os.times()[:4])


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def main(words: Sequence[str]) -> int:
    """``scripts/hosts``; 0: every grade is that of the best host, or differs by the host's hardware alone."""
    declared = read()
    parser = argparse.ArgumentParser(prog="scripts/hosts", description=__doc__)
    parser.add_argument("hosts", nargs="*", metavar="NAME", help="hosts to grade on (default: all)")
    parser.add_argument("--list", action="store_true", help="show the hosts and what they stand for")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument(
        "--backend", metavar="NAME", default="", help="what --xc-backend is given instead of what a host declares"
    )
    parser.add_argument(
        "--platform", metavar="ID[,ID...]", default="", help="platforms to grade for instead of those declared"
    )
    parser.add_argument(
        "--units", metavar="NAME[,NAME...]", default="", help="units of the subject instead of those declared"
    )
    parser.add_argument(
        "--in-process", action="store_true", help="with --xc-in-process: half the time where Python is slow"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep consoles, outputs and reports there")
    chosen = parser.parse_args(words)
    for name in chosen.hosts:
        if name not in declared.hosts:
            parser.error(f"no host {name}; there are {', '.join(declared.hosts)}")
    if chosen.list:
        for name, host in declared.hosts.items():
            print(f"{name:22} {host.stands_for}")
        return 0
    scratch = Path(tempfile.mkdtemp(prefix="xc-hosts-"))
    rows = []
    try:
        matrix = Matrix(
            declared,
            scratch,
            backend=chosen.backend,
            platforms=_names(chosen.platform),
            units=_names(chosen.units),
            options=["--xc-in-process"] if chosen.in_process else [],
        )
        for name in chosen.hosts or declared.hosts:
            rows.append(matrix.run(name))
            print(f"{name}: {rows[-1].told}", file=sys.stderr, flush=True)
            if chosen.keep and (scratch / name).is_dir():
                shutil.copytree(scratch / name, chosen.keep / name, symlinks=True, dirs_exist_ok=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(json.dumps([row.as_json for row in rows], indent=1) if chosen.json else table(rows, declared.level))
    return 1 if wrong(rows, declared.level) else 0
