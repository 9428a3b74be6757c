"""Runs our driver of javac and of the virtual machine's linker, which is compiled once for each JDK."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, ToolchainFault
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.judge.client import Outcome
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools.process import Runner, last_line
from pytest_xinchuang.tools.versions import stamp, version_of

SOURCE = Path(__file__).with_name("Trier.java")
TIMEOUT_S = 600
"""Seconds for all clients of a comparison; a thousand take some ten."""
_OPTIONS = ("-Xmx1g", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xss8m", "-XX:-UsePerfData")


@dataclass(frozen=True)
class Tried:
    """What became of one client; ``said`` is the first complaint."""

    old: Outcome
    source: Outcome
    binary: Outcome
    said: str


@dataclass(frozen=True)
class Jdk:
    """A JDK with a compiler.

    Attributes:
        version: what javac says of itself.
    """

    java: str
    javac: str
    version: str


def find_jdk(runner: Runner) -> Jdk:
    """
    Raises:
        ToolchainFault: there is none.
    """
    javac = shutil.which("javac")
    java = Path(os.path.realpath(javac)).with_name("java") if javac else None
    if javac is None or java is None or not java.is_file():
        raise ToolchainFault(
            _("there is no JDK, and clients in Java are tried with its compiler and its linker"),
            mend=_("install a JDK of version 17 or later"),
        )
    return Jdk(str(java), os.path.realpath(javac), version_of(javac, "--version", runner=runner))


def _driver(cache: Cache, jdk: Jdk, runner: Runner) -> Path:
    """The directory of the compiled driver.

    Raises:
        ToolchainFault: it does not compile.
    """
    recipe = hashlib.sha256(f"{jdk.version} {jdk.javac} {stamp(jdk.javac)}".encode() + SOURCE.read_bytes()).hexdigest()

    def build(tree: Path) -> tuple[str, dict[str, str]]:
        run = runner.run([jdk.javac, "-proc:none", "-d", str(tree), str(SOURCE)], timeout_s=TIMEOUT_S)
        if not run.exited(ToolchainFault).ok:
            raise ToolchainFault(
                _(
                    "the driver of javac does not compile with {version}: {why}",
                    version=jdk.version,
                    why=last_line(run.errors),
                ),
                mend=_("install a JDK of version 17 or later"),
            )
        return "Trier.java", {}

    cache.make("java", "trier", recipe, build)
    return cache.tree("java", "trier")


def class_path(place: Path) -> str:
    """What clients are compiled with: a jar, or a directory with the jars in it."""
    if place.is_file():
        return str(place.resolve())
    return os.pathsep.join(str(path.resolve()) for path in (place, *sorted(place.rglob("*.jar"))))


def try_clients(
    cache: Cache,
    runner: Runner,
    jdk: Jdk,
    sides: tuple[Path, Path],
    clients: Sequence[Mapping[str, str]],
    scratch: Path,
) -> list[Tried]:
    """Compile clients with both versions, and link them.

    Args:
        sides: what the two versions were read from.
        clients: path -> text of each; its package is `package_of` its number.
        scratch: a directory that is ours.

    Raises:
        HostFault: the JDK broke.
    """
    driver = _driver(cache, jdk, runner)
    sources, out, results = (scratch / name for name in ("clients", "classes", "results"))
    out.mkdir(parents=True)
    for number, files in enumerate(clients):
        directory = sources / package_of(number)
        directory.mkdir(parents=True)
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8", errors="replace")
    paths = [class_path(side) for side in sides]
    words = [jdk.java, *_OPTIONS, "-cp", str(driver), "Trier", *paths, str(sources), str(out), str(results)]
    run = runner.run(words, timeout_s=TIMEOUT_S, cwd=scratch).exited(doing=_("clients could not be tried"))
    if not run.ok or not results.is_file():
        raise HostFault(
            _("the driver of javac broke: {said}", said=verbatim(run.errors.strip()[-400:])),
            mend=_("xc api diff --fast compares by rules alone"),
        )
    found = [Tried(Outcome.UNTRIED, Outcome.UNTRIED, Outcome.UNTRIED, "")] * len(clients)
    for line in results.read_text(encoding="utf-8").splitlines():
        name, *said = line.split("\t")
        outcomes = [_OUTCOMES.get(one, Outcome.FAILS) for one in said]
        found[int(name.removeprefix(_PACKAGE))] = Tried(
            outcomes[0], outcomes[1], outcomes[2], next((one for one in said if one not in _OUTCOMES), "")
        )
    return found


_PACKAGE = "xcclient"
_OUTCOMES = {"-": Outcome.HOLDS, "?": Outcome.UNTRIED}


def package_of(number: int) -> str:
    """The package of a client, which is that of no library."""
    return f"{_PACKAGE}{number}"
