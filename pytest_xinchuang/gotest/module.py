"""A Go module as a tree to build from: fetched once, with what its tests need."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.provision.cache import Cache, remove_tree
from pytest_xinchuang.tools.go import GoCommand, GoRun, read_failure
from pytest_xinchuang.tools.gomod import ModuleVersion
from pytest_xinchuang.tools.process import Runner

TIMEOUT_S = 900
"""Seconds for fetching or building a module."""
EVENTS_TIMEOUT_S = 120
"""Seconds for reading the output of a test program."""


@dataclass(frozen=True)
class Package:
    """A package with tests; ``directory`` is its place below the module's root."""

    path: str
    directory: str


class ModuleTree:
    """A module's source in the cache, writable, and the go command over it.

    Raises:
        XcError: there is no such module; the message is the go command's.
        HostFault: it could not be fetched, or there is no Go.
    """

    def __init__(
        self, cache: Cache, wanted: ModuleVersion, *, offline: bool = False, runner: Runner | None = None
    ) -> None:
        self.cache = cache
        self.go = GoCommand(
            runner or Runner(), offline, build_cache=cache.root / "gocache", module_cache=cache.root / "gomodcache"
        )
        scratch = cache.root / "gotest"
        scratch.mkdir(parents=True, exist_ok=True)
        for left in scratch.glob("*.test"):
            if not Path(f"/proc/{left.suffixes[-2][1:]}").exists():
                left.unlink(missing_ok=True)  # of a run that was killed
        found = self._download(wanted, scratch)
        self.version = ModuleVersion(str(found["Path"]), str(found["Version"]))
        self.root = scratch / re.sub(r"[^A-Za-z0-9._-]", "_", str(self.version))
        with cache.lock(f"gotest-{self.root.name[:60]}"):
            if not (self.root / ".xc-complete").exists():
                self._unpack(Path(str(found["Dir"])))

    def _download(self, wanted: ModuleVersion, cwd: Path) -> dict[str, Any]:
        run = self._go(["mod", "download", "-json", str(wanted)], cwd)
        try:
            found: dict[str, Any] = json.loads(run.finished.text)
        except ValueError:
            found = {}
        if run.code or "Dir" not in found:
            raise read_failure(str(found.get("Error") or run.finished.errors)).error(_command(run))
        return found

    def _go(self, words: list[str], cwd: Path, changes: Mapping[str, str] | None = None) -> GoRun:
        return self.go.run(words, cwd, changes=changes, mod="mod", timeout_s=TIMEOUT_S)

    def _unpack(self, source: Path) -> None:
        remove_tree(self.root)
        # The module cache is read-only, and the go command has to write into go.mod and go.sum.
        shutil.copytree(source, self.root, symlinks=True, copy_function=shutil.copyfile)
        for directory, _names, _files in os.walk(self.root):
            Path(directory).chmod(0o755)
        if not (self.root / "go.mod").is_file():
            self.run(["mod", "init", self.version.path], self.root)
            self.run(["mod", "tidy"], self.root)
        self.run(["list", "-deps", "-test", "./..."], self.root, {"CGO_ENABLED": "0"})
        (self.root / ".xc-complete").touch()

    def run(self, words: list[str], cwd: Path, changes: Mapping[str, str] | None = None) -> str:
        """Run the go command; returns its standard output.

        Raises:
            XcError: it failed; the first line that tells why.
            HostFault: it failed for what this host lacks.
        """
        run = self._go(words, cwd, changes)
        if run.failure is not None:
            raise run.failure.error(_command(run))
        return run.finished.text

    def packages(self, goarch: str) -> list[Package]:
        """The packages that have tests on this architecture."""
        text = self.run(
            ["list", "-e", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles", "./..."], self.root, self._target(goarch)
        )
        found = []
        decoder, at = json.JSONDecoder(), 0
        while at < len(text):
            item: dict[str, Any]
            item, at = decoder.raw_decode(text, at)
            while at < len(text) and text[at].isspace():
                at += 1
            if item.get("TestGoFiles") or item.get("XTestGoFiles"):
                directory = os.path.relpath(item["Dir"], self.root).replace(os.sep, "/")
                found.append(Package(str(item["ImportPath"]), "" if directory == "." else directory))
        return found

    @staticmethod
    def _target(goarch: str) -> dict[str, str]:
        return {"GOOS": "linux", "GOARCH": goarch, "CGO_ENABLED": "0"}

    def test_binary(self, package: Package, goarch: str, levels: Mapping[str, str], *, cover: bool, race: bool) -> Path:
        """Build the package's test binary.

        Raises:
            XcError: it does not build.
        """
        # One for each process: another one may run the same module on another platform.
        name = re.sub(r"[^A-Za-z0-9]", "_", package.path)
        out = self.root.parent / f"{name[-80:]}.{goarch}.{os.getpid()}.test"
        flags = ["-cover", "-covermode=atomic"] if cover else []
        flags += ["-race"] if race else []
        environment = {**self._target(goarch), **levels, **({"CGO_ENABLED": "1"} if race else {})}
        self.run(["test", "-c", "-trimpath", "-vet=off", *flags, "-o", str(out), package.path], self.root, environment)
        return out

    def events(self, package: Package, output: bytes) -> list[dict[str, Any]]:
        """A test binary's output (-test.v=test2json) as events of `go tool test2json`."""
        run = self.go.run(
            ["tool", "test2json", "-p", package.path], self.root, timeout_s=EVENTS_TIMEOUT_S, stdin=output
        )
        if not run.finished.ok:
            raise HostFault(_("{command} failed: {why}", command="go tool test2json", why=run.telling[0]))
        return [json.loads(line) for line in run.finished.stdout.splitlines() if line.startswith(b"{")]


def _command(run: GoRun) -> Message:
    return verbatim(" ".join(run.argv[:4]))
