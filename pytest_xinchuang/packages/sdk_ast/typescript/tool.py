"""Node.js and the ``typescript`` package that declarations are read with, and how our programs are run by them."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pytest_xinchuang.core.errors import DataFileError, HostFault, ToolchainFault, XcError
from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.provision.archive import unpack
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools.process import End, Finished, Runner, last_line
from pytest_xinchuang.tools.versions import version_of

PROGRAMS = Path(__file__).parent
TIMEOUT_S = 600

VERSION = "5.9.3"
"""The last release line of the compiler that has an API in JavaScript; TypeScript 7 is a program of another kind."""
INTEGRITY = "sha512-jl1vZzPDinLr9eUt3J/t7V6FgNEw9QjvBPdysz9KfQDD41fQrC2Y4vKQdiaUpFT4bXlb1RHhLpp8wtm6M5TgSw=="
"""Of its archive, as npm locks have it."""
COMPILER_SHA256 = "3ae902c92cc44dace175c0e69e13a4b0899f6983c6121d76b9ab8dd5795e7675"
"""Of its ``lib/typescript.js``. A copy that stands beside a subject may be the subject's own work: only this one is used."""

LEAST_NODE = 18
"""The oldest release that this was tried with; the older ones are without support."""


@dataclass(frozen=True)
class Compiler:
    """Node.js with the ``typescript`` package.

    Attributes:
        node: the program.
        node_version: its release, as numbers.
        place: the directory of the package.
    """

    node: str
    node_version: tuple[int, ...]
    place: Path
    runner: Runner

    @property
    def told(self) -> str:
        """Both, with their versions."""
        return f"typescript {VERSION}, node {'.'.join(map(str, self.node_version))}"

    def run(self, program: str, words: Sequence[str], stdin: bytes | None = None) -> Finished:
        """Run a program of ours.

        Raises:
            HostFault: it broke, or did not end.
        """
        argv = [self.node, "--max-old-space-size=4096", str(PROGRAMS / program), *words]
        done = self.runner.run(argv, timeout_s=TIMEOUT_S, stdin=stdin).exited()
        if not done.ok:
            said = verbatim(last_line(done.errors) or str(done.code))
            raise HostFault(_("the reader of TypeScript broke: {said}", said=said))
        return done


def find_compiler(cache: Cache, place: Path, *, offline: bool, runner: Runner) -> Compiler:
    """The compiler beside a subject, if it is the one that we know, else the cache's, which npm brings there once.

    Raises:
        ToolchainFault: there is no Node.js, or npm cannot bring the package.
    """
    node = shutil.which("node")
    if node is None:
        raise ToolchainFault(_("there is no Node.js (node)"), mend=_("install Node.js 18 or later with npm"))
    numbers = tuple(int(n) for n in re.findall(r"\d+", version_of(node, "--version", runner=runner))[:3])
    if numbers < (LEAST_NODE,):
        raise ToolchainFault(
            _("Node.js is {version}, and 18 or later is needed", version=".".join(map(str, numbers))),
            mend=_("install Node.js 18 or later with npm"),
        )
    for directory in (place, *place.parents):
        beside = directory / "node_modules" / "typescript"
        if _is_known(beside):
            return Compiler(node, numbers, beside, runner)
    recipe = f"typescript {VERSION} {INTEGRITY}"

    def bring(tree: Path) -> tuple[str, dict[str, str]]:
        _bring(tree, offline, runner)
        return "npm", {"version": VERSION}

    cache.make("npm", "typescript", recipe, bring)
    return Compiler(node, numbers, cache.tree("npm", "typescript") / "node_modules" / "typescript", runner)


def _is_known(place: Path) -> bool:
    try:
        return hashlib.sha256((place / "lib" / "typescript.js").read_bytes()).hexdigest() == COMPILER_SHA256
    except OSError:
        return False


def _bring(tree: Path, offline: bool, runner: Runner) -> None:
    """Have npm install the package from its registry or its cache, checked against the digest that we know."""
    mend = _("npm install typescript@{version} beside the subject, or once with a registry in reach", version=VERSION)
    npm = shutil.which("npm")
    if npm is None:
        raise ToolchainFault(_("there is no npm to fetch the package typescript with"), mend=mend)
    root = {"name": "xc", "version": "1.0.0", "dependencies": {"typescript": VERSION}}
    locked = {"version": VERSION, "integrity": INTEGRITY}
    lock = {**root, "lockfileVersion": 3, "packages": {"": root, "node_modules/typescript": locked}}
    (tree / "package.json").write_text(json.dumps(root), encoding="utf-8")
    (tree / "package-lock.json").write_text(json.dumps(lock), encoding="utf-8")
    words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-bin-links"]
    done = runner.run([*words, *(["--offline"] if offline else [])], timeout_s=TIMEOUT_S, cwd=tree)
    if done.end is not End.EXITED or not done.ok:
        said: Message | str = done.told() if done.end is not End.EXITED else _npm_said(done.errors)
        raise ToolchainFault(_("npm cannot bring typescript {version}: {said}", version=VERSION, said=said), mend=mend)
    if not _is_known(tree / "node_modules" / "typescript"):
        raise ToolchainFault(_("npm brought another typescript {version} than is known", version=VERSION), mend=mend)


def _npm_said(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.startswith("npm error") and "log" not in line]
    return lines[0] if lines else last_line(errors)


def package_name(directory: Path) -> str:
    """The name that a package is imported by; ``lib`` where no package.json tells one.

    Raises:
        DataFileError: its package.json is malformed.
    """
    path = directory / "package.json"
    if not path.is_file():
        return "lib"
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataFileError(_("{path}: cannot be read: {why}", path=path, why=told(error))) from error
    name = found.get("name", "lib") if isinstance(found, dict) else None
    if not isinstance(name, str) or not re.fullmatch(
        r"(@[A-Za-z0-9._~-]+/)?[A-Za-z0-9._~-]*[A-Za-z0-9][A-Za-z0-9._~-]*", name
    ):
        raise DataFileError(
            _("{path}: name: found {name}, expected the name of a package", path=path, name=verbatim(repr(name)[:60])),
            mend=_("packages are called NAME or @SCOPE/NAME"),
        )
    return name


@contextmanager
def installed(place: Path) -> Iterator[tuple[Path, str, Path]]:
    """A directory in which a package is installed as a consumer has it, the package's name, and its real directory.

    Args:
        place: its directory, or the archive that ``npm pack`` makes.

    Raises:
        XcError: it cannot be unpacked, or is no package.
    """
    with TemporaryDirectory(prefix="xc-ts-") as temporary:
        home = Path(temporary).resolve()
        directory = place.resolve()
        if place.is_file():
            (home / "unpacked").mkdir()
            unpack(place, home / "unpacked")
            inside = sorted((home / "unpacked").glob("*/package.json"))
            if not inside:
                raise XcError(_("{place}: there is no package.json in it", place=place), mend=verbatim("npm pack"))
            directory = inside[0].parent
        name = package_name(directory)
        link = home / "node_modules" / name
        link.parent.mkdir(parents=True)
        link.symlink_to(directory, target_is_directory=True)
        (home / "client").mkdir()
        types = directory.parent / "@types"
        if types.is_dir() and directory.parent.name == "node_modules" and not name.startswith("@"):
            (home / "node_modules" / "@types").symlink_to(types, target_is_directory=True)
        yield home, name, directory
