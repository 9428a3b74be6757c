"""The registries that tools ask where nobody tells them which: as the tools here say it, and never from memory.

npm, pip, Maven and Go have them in what is installed with them, which is read. Cargo is a program alone: it is asked in an
empty directory, behind a proxy on loopback at which nobody listens. Where a tool is not here, its default is not known.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
import os
import re
import shutil
import socket
import sysconfig
import tempfile
import threading
import urllib.parse
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.tools.go import GoCommand
from pytest_xinchuang.tools.process import Runner, environment

_ANSWER_S = 60
"""Seconds for Cargo to answer: it writes one small file."""

_RUNNER = Runner()
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Default:
    """What a tool asks by default.

    Attributes:
        url: the address, without a slash at its end.
        hosts: those that are the registry's own, and stand for it in locks.
        addresses: other names of it, without a slash at their end; a host of theirs may have much else.
        whole: whether the tool says which others it takes for the same.
    """

    url: str
    hosts: frozenset[str]
    addresses: frozenset[str] = frozenset()
    whole: bool = True

    def is_it(self, url: str) -> bool | None:
        """Whether an address is of this registry; None: it may be."""
        parts = _parts(url)
        if parts is None:
            return False
        scheme, host = parts
        if scheme == "https" and (host in self.hosts or _bare(url) in self.addresses):
            return True
        return False if self.whole else None


def _bare(url: str) -> str:
    return url.rstrip("/").removesuffix(".git")


def _parts(url: str) -> tuple[str, str] | None:
    """Scheme and host; None where it has none, a name of a user, or another port than the scheme's."""
    try:
        parts = urllib.parse.urlsplit(url)
        plain = parts.port in (None, 443 if parts.scheme == "https" else 80) and parts.username is None
    except ValueError:
        return None
    return (parts.scheme, parts.hostname) if plain and parts.hostname else None


def default(ecosystem: str) -> Default | Message:
    """The default of ``npm``, ``pypi``, ``cargo`` or ``maven``; why it is not known."""
    with _LOCK:
        return _default(ecosystem)


def address(ecosystem: str) -> str:
    """The address of a default, without a slash at its end.

    Raises:
        HostFault: it is not known.
    """
    found = default(ecosystem)
    if isinstance(found, Message):
        raise HostFault(found)
    return found.url


@functools.cache
def _default(ecosystem: str) -> Default | Message:
    ask = _ASKED.get(ecosystem)
    if ask is None:
        return _("no tool of {ecosystem} says which registry it asks", ecosystem=verbatim(ecosystem))
    try:
        return ask()
    except HostFault as fault:
        return fault.what
    except (OSError, ValueError, KeyError, RecursionError, zipfile.BadZipFile) as error:
        return _unsaid(ecosystem, told(error))


def _unsaid(tool: str, why: object) -> Message:
    return _("{tool} does not say which registry it asks by default: {why}", tool=verbatim(tool), why=why)


def _absent(tool: str) -> HostFault:
    return HostFault(_("there is no {tool} here that says which registry it asks by default", tool=verbatim(tool)))


def _program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise _absent(name)
    return Path(found).resolve()


def _host(url: str) -> str:
    host = urllib.parse.urlsplit(url).hostname
    if not url.startswith("https://") or not host:
        raise ValueError(url)
    return host


# -- npm


def _npm() -> Default:
    """npm's own source: npm-registry-fetch has the registry, @npmcli/arborist the one of yarn that it takes for the same."""
    places = list(_of_npm(_program("npm")))
    text = _first(places, "npm-registry-fetch/lib/default-opts.js", "npm-registry-fetch/config.js")
    match = re.search(r"""registry['"]?:[^'"`]{0,40}['"`](https://[^'"`\s]+)['"`]""", text or "")
    if match is None:
        raise HostFault(_unsaid("npm", _("its sources are not at {place}", place=verbatim(str(places[0])))))
    url = match[1].rstrip("/")
    locks = _first(places, "@npmcli/arborist/lib/shrinkwrap.js")
    same = re.search(r"yarnRegRe = /\^https\?:\\/\\/([^/]+)\\/", locks or "")
    hosts = {_host(url), *([same[1].replace("\\", "")] if same else [])}
    return Default(url, frozenset(hosts), whole=same is not None)


def _of_npm(program: Path) -> Iterator[Path]:
    """Where the packages that npm consists of lie: below it, or beside it as Debian has them."""
    yield program.parent / "node_modules" / "npm" / "node_modules"  # Windows: npm.cmd
    for parent in program.parents:
        if (parent / "package.json").is_file():
            yield parent / "node_modules"
            yield parent.parent  # Debian
            return


def _first(places: list[Path], *names: str) -> str | None:
    for name in names:
        for place in places:
            if (place / name).is_file():
                return (place / name).read_text(encoding="utf-8", errors="replace")
    return None


# -- pip


def _pip() -> Default:
    """pip's own source: ``PyPI`` of pip/_internal/models/index.py, of the pip here or of the one that Python comes with."""
    for text in _sources_of_pip():
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Call)
                and [t.id for t in node.targets if isinstance(t, ast.Name)] == ["PyPI"]
            ):
                given = [*node.value.args, *(keyword.value for keyword in node.value.keywords)]
                url, files = (str(one.value) for one in given if isinstance(one, ast.Constant))
                return Default(urllib.parse.urljoin(url, "simple"), frozenset({_host(url), files}))
    raise _absent("pip")


_INDEX = "_internal/models/index.py"


def _sources_of_pip() -> Iterator[str]:
    spec = importlib.util.find_spec("pip")
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (Path(place) / _INDEX).is_file():
            yield (Path(place) / _INDEX).read_text(encoding="utf-8")
    bundled = importlib.util.find_spec("ensurepip")
    places = [Path(p) / "_bundled" for p in (bundled.submodule_search_locations or ())] if bundled is not None else []
    if own := sysconfig.get_config_var("WHEEL_PKG_DIR"):  # Debian and Fedora keep pip's wheel apart
        places.append(Path(str(own)))
    for folder in places:
        for wheel in sorted(folder.glob("pip-*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                yield archive.read(f"pip/{_INDEX}").decode()


# -- Cargo


def _cargo() -> Default:
    """Cargo writes the name of its registry into a lock, and says which address of its index it could not reach."""
    program = shutil.which("cargo")
    if program is None:
        raise _absent("cargo")
    with tempfile.TemporaryDirectory(prefix="xc-cargo-") as name:
        place = Path(name)
        for parent in place.resolve().parents:
            if any((parent / ".cargo" / each).exists() for each in ("config", "config.toml")):
                raise HostFault(
                    _unsaid("cargo", _("{place} has settings of it", place=verbatim(str(parent / ".cargo"))))
                )
        _crates(place)
        locked = _run_cargo(place, program, "generate-lockfile", "--offline")
        lock = place / "Cargo.lock"
        match = re.search(r'^source = "registry\+(https://[^"]+)"$', lock.read_text() if lock.is_file() else "", re.M)
        if match is None:
            raise HostFault(_unsaid("cargo", verbatim(locked[-300:].strip() or "-")))
        lock.unlink()
        (place / ".cargo" / "config.toml").unlink()
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # a port that is taken, and at which nobody listens
            proxy = f"http://127.0.0.1:{nobody.getsockname()[1]}"
            asked = _run_cargo(place, program, "generate-lockfile", CARGO_HTTP_PROXY=proxy, CARGO_NET_RETRY="0")
    index = re.search(r"`(https://[^`\s]+)/config\.json`", asked)
    if index is None:
        raise HostFault(_unsaid("cargo", verbatim(asked[-300:].strip() or "-")))
    return Default(index[1], frozenset({_host(index[1])}), frozenset({_bare(match[1])}))


def _crates(place: Path) -> None:
    """A package that depends on another, which lies in a directory instead of the registry."""
    files = {
        "Cargo.toml": '[package]\nname = "asks"\nversion = "0.0.0"\n\n[workspace]\n\n[dependencies]\nasked = "1"\n',
        "src/lib.rs": "",
        "kept/asked/Cargo.toml": '[package]\nname = "asked"\nversion = "1.0.0"\n',
        "kept/asked/src/lib.rs": "",
        "kept/asked/.cargo-checksum.json": json.dumps({"files": {}, "package": "0" * 64}),
        ".cargo/config.toml": '[source.crates-io]\nreplace-with = "kept"\n\n[source.kept]\ndirectory = "kept"\n',
    }
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _run_cargo(place: Path, program: str, *words: str, **more: str) -> str:
    """What Cargo says, without a setting of anybody's."""
    told_to = ("CARGO", "HTTP", "HTTPS", "ALL_PROXY", "NO_PROXY")
    kept = {k: v for k, v in environment().items() if not k.upper().startswith(told_to)}
    env = {**kept, **more, "CARGO_HOME": str(place / "home"), "CARGO_REGISTRIES_CRATES_IO_PROTOCOL": "sparse"}
    return _RUNNER.run([program, *words], timeout_s=_ANSWER_S, cwd=place, env=env).exited().errors


# -- Maven


def _maven() -> Default:
    """The super POM, from which every POM inherits (Maven, POM reference, "The Super POM"): its repository is Central."""
    program = _program("mvn")
    homes = [program.parent.parent, *(Path(p) for p in (os.environ.get("MAVEN_HOME"),) if p)]
    for home in homes:
        for jar in sorted((home / "lib").glob("maven-*.jar")):
            with zipfile.ZipFile(jar) as archive:
                for name in archive.namelist():
                    if re.fullmatch(r"org/apache/maven/.*pom-4\.\d\.0\.xml", name):
                        text = archive.read(name).decode("utf-8", "replace")
                        match = re.search(r"<id>central</id>.{0,200}?<url>\s*(https://[^<\s]+)\s*</url>", text, re.S)
                        if match is not None:
                            url = match[1].rstrip("/")
                            return Default(url, frozenset({_host(url)}))
    raise HostFault(_unsaid("mvn", _("no super POM is at {place}", place=verbatim(str(homes[0] / "lib")))))


_ASKED: Mapping[str, Callable[[], Default]] = {"npm": _npm, "pypi": _pip, "cargo": _cargo, "maven": _maven}


# -- Go


@dataclass(frozen=True)
class Databases:
    """The checksum databases that the go command knows.

    Attributes:
        keys: name -> key, as GOSUMDB has it.
        aliases: other values of GOSUMDB -> what they stand for: a name and an address.
    """

    keys: Mapping[str, str]
    aliases: Mapping[str, str]


def databases(go: GoCommand) -> Databases:
    """Go's own source: cmd/go/internal/modfetch, knownGOSUMDB of key.go, and dbDial of sumdb.go.

    Raises:
        HostFault: there is no Go, or its source is not there.
    """
    place = Path(go.settings["GOROOT"], "src", "cmd", "go", "internal", "modfetch")
    return _databases(place)


@functools.cache
def _databases(place: Path) -> Databases:
    try:
        text = (place / "key.go").read_text(encoding="utf-8")
        dial = (place / "sumdb.go").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise HostFault(
            _("Go does not say which checksum databases it knows: {why}", why=told(error)),
            mend=verbatim("--sumdb-key NAME+HASH+KEY"),
        ) from error
    keys = dict(re.findall(r'^\s*"([^"]+)":\s*"([^"]+)",?$', text, re.M))
    aliases = re.findall(r'gosumdb == "([^"\s]+)" \{\s*gosumdb = "([^"]+)"', dial)
    return Databases(keys, dict(aliases))
