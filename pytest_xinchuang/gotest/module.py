"""A Go module as a tree to build from: fetched once, with what its tests need."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import ToolchainFault, XcError
from pytest_xinchuang.provision.cache import Cache, remove_tree
from pytest_xinchuang.toolchain.builder import find_go

TIMEOUT_S = 900


@dataclass(frozen=True)
class ModuleVersion:
    """A module path with a version, as in ``github.com/gin-gonic/gin@v1.10.0``."""

    path: str
    version: str

    @classmethod
    def parse(cls, text: str) -> ModuleVersion:
        """
        Raises:
            XcError: it is not MODULE@VERSION.
        """
        path, _, version = text.partition("@")
        if not re.fullmatch(r"[A-Za-z0-9._~/-]+\.[A-Za-z0-9._~/-]+", path) or not re.fullmatch(
            r"[A-Za-z0-9.+_-]+", version
        ):
            raise XcError(
                f"{text!r} is not MODULE@VERSION",
                mend="e.g. xc go-test github.com/gin-gonic/gin@v1.10.0 --platform kunpeng",
            )
        return cls(path, version)

    def __str__(self) -> str:
        return f"{self.path}@{self.version}"


@dataclass(frozen=True)
class Package:
    """A package with tests; ``directory`` is its place below the module's root."""

    path: str
    directory: str


class GoModule:
    """A module's source in the cache, writable, and the go command over it.

    Raises:
        XcError: the module cannot be had; the message is the go command's.
        ToolchainFault: there is no Go.
    """

    def __init__(self, cache: Cache, wanted: ModuleVersion, *, offline: bool = False) -> None:
        self.cache = cache
        self.go = find_go()
        self.environment = {
            "GOCACHE": str(cache.root / "gocache"),
            "GOMODCACHE": str(cache.root / "gomodcache"),
            "GOFLAGS": "-mod=mod",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            **({"GOPROXY": "off"} if offline else {}),
        }
        scratch = cache.root / "gotest"
        scratch.mkdir(parents=True, exist_ok=True)
        for left in scratch.glob("*.test"):
            if not Path(f"/proc/{left.suffixes[-2][1:]}").exists():
                left.unlink(missing_ok=True)  # of a run that was killed
        found = json.loads(self.run(["mod", "download", "-json", str(wanted)], scratch, {"GO111MODULE": "on"}))
        self.version = ModuleVersion(str(found["Path"]), str(found["Version"]))
        self.root = scratch / re.sub(r"[^A-Za-z0-9._-]", "_", str(self.version))
        with cache.lock(f"gotest-{self.root.name[:60]}"):
            if not (self.root / ".xc-complete").exists():
                self._unpack(Path(str(found["Dir"])))

    def _unpack(self, source: Path) -> None:
        remove_tree(self.root)
        # The module cache is read-only, and the go command has to write into go.mod and go.sum.
        shutil.copytree(source, self.root, symlinks=True, copy_function=shutil.copyfile)
        for directory, _, _ in os.walk(self.root):
            Path(directory).chmod(0o755)
        if not (self.root / "go.mod").is_file():
            self.run(["mod", "init", self.version.path], self.root)
            self.run(["mod", "tidy"], self.root)
        self.run(["list", "-deps", "-test", "./..."], self.root, {"CGO_ENABLED": "0"})
        (self.root / ".xc-complete").touch()

    def run(self, words: list[str], cwd: Path, extra: Mapping[str, str] | None = None) -> str:
        """Run the go command; returns its standard output.

        Raises:
            XcError: it failed; the first line that tells why.
        """
        try:
            done = subprocess.run(
                [self.go, *words],
                cwd=cwd,
                env={**os.environ, **self.environment, **(extra or {})},
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ToolchainFault(f"go {words[0]} did not finish within {TIMEOUT_S} s") from error
        if done.returncode:
            lines = [
                line
                for line in (done.stderr + done.stdout).splitlines()
                if line.strip() and not line.startswith(("go: downloading", "#"))
            ]
            raise XcError(f"go {' '.join(words[:3])}: {lines[0] if lines else 'no message'}")
        return done.stdout

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
                directory = os.path.relpath(item["Dir"], self.root)
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
        done = subprocess.run(
            [self.go, "tool", "test2json", "-p", package.path],
            input=output,
            capture_output=True,
            env={**os.environ, **self.environment},
            check=True,
            timeout=120,
        )
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]
