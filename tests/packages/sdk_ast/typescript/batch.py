"""Many small TypeScript libraries as entries of one package, so that a compiler is started a few times and not hundreds."""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, Judged, compare
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.packages.sdk_ast.typescript.tool import Compiler, find_compiler
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools.process import Runner

OPTIONS = {"strict": True, "noEmit": True, "skipLibCheck": True, "types": [], "module": "node16", "target": "esnext"}


@dataclass(frozen=True)
class Library:
    """Both versions of a library by file, and clients of it by file, which import ``lib``."""

    name: str
    old: Mapping[str, str]
    new: Mapping[str, str]
    clients: Mapping[str, str]

    @property
    def alone(self) -> bool:
        """Whether it cannot be an entry among others: it is a package, or adds to what all see."""
        texts = [*self.old.values(), *self.new.values()]
        ours = "package.json" in {*self.old, *self.new}
        return ours or any("declare global" in one or "declare module" in one for one in texts)


@dataclass
class Seen:
    """What the compiler said of the clients with either version, and what the comparison found; by the name of a library."""

    old: dict[str, str] = field(default_factory=dict)
    new: dict[str, str] = field(default_factory=dict)
    changes: dict[str, list[Judged]] = field(default_factory=lambda: defaultdict(list))


def compiler_or_skip() -> Compiler:
    """Node.js and the compiler; without them the tests are skipped, and say why."""
    try:
        return find_compiler(Cache(), Path.cwd(), offline=False, runner=Runner())
    except HostFault as fault:
        pytest.skip(f"TypeScript cannot be tried here: {fault}")


def diff(old: Path, new: Path, policy: ApiPolicy | None = None, *, fast: bool = False) -> Comparison:
    """Two directories compared, with clients."""
    rules, policy = Rules(), policy or ApiPolicy()
    with Sources(Cache(), ReadOptions(language="typescript")) as sources:
        found = compare(sources.read(str(old)), sources.read(str(new)), rules, policy)
        return found if fast else judged(found, sources, rules, policy)


def put(directory: Path, files: Mapping[str, str]) -> Path:
    """Write files below a directory."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory


def see(libraries: Sequence[Library], directory: Path, compiler: Compiler) -> Seen:
    """Compile the clients with tsc, and compare the versions."""
    seen = Seen()
    together = [one for one in libraries if not one.alone]
    if together:
        _together(together, directory / "together", compiler, seen)
    for one in libraries:
        if one.alone:
            _alone(one, directory / "alone" / one.name, compiler, seen)
    return seen


def _together(libraries: Sequence[Library], directory: Path, compiler: Compiler, seen: Seen) -> None:
    exports = {f"./c{n}": f"./c{n}/index.d.ts" for n in range(len(libraries))}
    manifest = json.dumps({"name": "lib", "version": "1.0.0", "exports": {k: {"types": v} for k, v in exports.items()}})
    for side in ("old", "new"):
        root = directory / side / "node_modules" / "lib"
        put(root, {"package.json": manifest})
        for number, one in enumerate(libraries):
            put(root / f"c{number}", getattr(one, side))
            for name, text in one.clients.items():
                put(directory / side, {f"c{number}_{name}": re.sub(r"(['\"])lib(?=['\"])", rf"\1lib/c{number}", text)})
        said = getattr(seen, side)
        for file, why in tsc(directory / side, compiler).items():
            said.setdefault(libraries[int(file[1:].split("_")[0])].name, why)
    found = diff(directory / "old" / "node_modules" / "lib", directory / "new" / "node_modules" / "lib")
    for change in found.changes:
        if match := re.match(r"\./c(\d+)\.", change.change.symbol + "."):
            seen.changes[libraries[int(match[1])].name].append(change)


def _alone(library: Library, directory: Path, compiler: Compiler, seen: Seen) -> None:
    name = json.loads(library.old.get("package.json", "{}")).get("name", "lib")
    for side in ("old", "new"):
        root = put(directory / side / "node_modules" / name, getattr(library, side))
        put(directory / side, library.clients)
        if (said := tsc(directory / side, compiler)) != {}:
            getattr(seen, side)[library.name] = next(iter(said.values()))
        elif (why := _run(directory / side, library, compiler)) is not None:
            getattr(seen, side)[library.name] = why
        assert root.is_dir()
    seen.changes[library.name] += diff(
        directory / "old" / "node_modules" / name, directory / "new" / "node_modules" / name
    ).changes


def _run(directory: Path, library: Library, compiler: Compiler) -> str | None:
    """Why a client in JavaScript does not run; None: it does, or there is none."""
    for name in library.clients:
        if name.endswith((".mjs", ".cjs")):
            done = subprocess.run([compiler.node, name], cwd=directory, capture_output=True, text=True, check=False)
            if done.returncode:
                return done.stderr
    return None


def tsc(directory: Path, compiler: Compiler) -> dict[str, str]:
    """The files of a directory's own that do not compile, with the first complaint."""
    names = sorted(path.name for path in directory.glob("*.*ts"))
    if not names:
        return {}
    put(directory, {"tsconfig.json": json.dumps({"compilerOptions": OPTIONS, "files": names})})
    words = [compiler.node, str(compiler.place / "lib" / "tsc.js"), "-p", ".", "--pretty", "false"]
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False)
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        if match := re.match(r"([^(\s]+)\(\d+,\d+\): error (.*)", line):
            found.setdefault(match[1], match[2])
        elif line.startswith("error "):
            raise AssertionError(line)
    return found
