"""Fetches artifacts by the tools of their ecosystems into the cache: each is known by its SHA-256, and asked for once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from pytest_xinchuang.core.errors import DataFileError, HostFault
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.fetch import Downloads, Mirrors, Wish
from tests.corpus.declared import Artifact, Item

TIMEOUT_S = 600
AT_ONCE = 4
SNAPSHOT = "20261129T000000Z"
"""When Debian's archive had the packages that are declared."""


def place_of(cache: Cache, artifact: Artifact) -> Path:
    """Where the cache keeps an artifact, under the name that it was published by."""
    return cache.root / "corpus" / artifact.sha256[:16] / artifact.file


def verify(path: Path, artifact: Artifact) -> None:
    """Look whether a file is the one that is declared.

    Raises:
        DataFileError: it is another one.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != artifact.sha256:
        raise DataFileError(verbatim(f"{path}: its SHA-256 is {found}, and {artifact.sha256} is declared"))


def fetch(cache: Cache, items: Sequence[Item], on_file: Callable[[str], None] = lambda _name: None) -> dict[str, str]:
    """Fetch what the cache lacks. What could not be had is told: file name -> why."""
    missing = [item for item in items if item.artifact.sha256 and not place_of(cache, item.artifact).is_file()]
    jars = [item.artifact for item in missing if item.group.ecosystem == "maven"]
    faults: dict[str, str] = {}

    def one(artifact: Artifact, get: Callable[[Artifact, Path], Path]) -> None:
        on_file(artifact.file)
        try:
            _keep(cache, artifact, get)
        except (HostFault, DataFileError) as error:
            faults[artifact.file] = str(error)

    with _scratch(cache) as scratch:
        try:
            here = by_maven(jars, scratch) if jars else {}
        except HostFault as error:
            here, faults = {}, {jar.file: str(error) for jar in jars}
        for jar in jars:
            if jar.file not in faults:
                one(jar, lambda artifact, _scratch: here[artifact.file])
        with ThreadPoolExecutor(AT_ONCE) as pool:
            others = [item for item in missing if item.group.ecosystem in GETTERS]
            list(pool.map(lambda item: one(item.artifact, GETTERS[item.group.ecosystem]), others))
    return faults


def _keep(cache: Cache, artifact: Artifact, get: Callable[[Artifact, Path], Path]) -> None:
    """Put an artifact into the cache, whole and verified, or not at all."""
    place = place_of(cache, artifact)
    with cache.lock(f"corpus-{artifact.sha256[:16]}"), _scratch(cache) as scratch:
        if place.is_file():
            return
        found = get(artifact, scratch)
        verify(found, artifact)
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.part")
        shutil.move(found, part)
        part.replace(place)


@contextmanager
def _scratch(cache: Cache) -> Iterator[Path]:
    # Beside what is kept, so that nothing is copied; what is below the cache's own directory for such files, others may clear.
    place = cache.root / "corpus"
    place.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=place) as directory:
        yield Path(directory)


def _run(argv: Sequence[str], name: str, place: Path, environment: Mapping[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            argv,
            cwd=place,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostFault(verbatim(f"{name} cannot be fetched: {error}")) from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no message"]
        raise HostFault(verbatim(f"{name} cannot be fetched: {lines[-1]}"))
    return done.stdout


def _found(place: Path, artifact: Artifact) -> Path:
    path = place / artifact.file
    if not path.is_file():
        others = ", ".join(sorted(each.name for each in place.iterdir())) or "nothing"
        raise HostFault(verbatim(f"{artifact.file} was asked for, and {others} came"))
    return path


def by_pip(artifact: Artifact, scratch: Path) -> Path:
    """A wheel by its tags, or a source distribution."""
    argv = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--disable-pip-version-check",
        "--no-deps",
        "-d",
        str(scratch),
    ]
    if artifact.file.endswith(".whl"):
        python, abi, platforms = artifact.file[:-4].split("-")[-3:]
        argv += ["--only-binary", ":all:", "--implementation", "cp" if python.startswith("cp") else "py"]
        argv += ["--python-version", pip_version(python), "--abi", abi.split(".")[0]]
        argv += [word for one in platforms.split(".") for word in ("--platform", one)]
    else:
        argv += ["--no-binary", ":all:"]
    _run([*argv, f"{artifact.name}=={artifact.version}"], artifact.file, scratch)
    return _found(scratch, artifact)


def pip_version(tag: str) -> str:
    """The version of Python that a wheel's tag asks for, as pip is told it: "cp311" is "3.11"."""
    match = re.match(r"[a-z]+(\d)(\d*)", tag.split(".")[-1])
    if match is None:
        raise HostFault(verbatim(f"no tag of a Python: {tag}"))
    return f"{match[1]}.{match[2] or 11}"


def by_npm(artifact: Artifact, scratch: Path) -> Path:
    """What `npm publish` sent."""
    _run(["npm", "pack", "--silent", f"{artifact.name}@{artifact.version}"], artifact.file, scratch)
    return _found(scratch, artifact)


def by_go(artifact: Artifact, scratch: Path) -> Path:
    """A module as the Go command gets it: a zip file."""
    environment = {
        "GOMODCACHE": str(scratch / "mod"),
        "GOFLAGS": "-modcacherw -mod=mod",
        "GOSUMDB": "off",
        "GO111MODULE": "on",
    }
    text = _run(
        ["go", "mod", "download", "-json", f"{artifact.name}@{artifact.version}"], artifact.file, scratch, environment
    )
    try:
        return Path(json.loads(text)["Zip"]).rename(scratch / artifact.file)
    except (ValueError, KeyError, OSError) as error:
        raise HostFault(verbatim(f"{artifact.file} cannot be fetched: {error}")) from error


def by_debian(artifact: Artifact, scratch: Path) -> Path:
    """A package from the mirrors of this machine, or from an archive of snapshots."""
    urls = Mirrors.of_the_environment().urls(f"{artifact.source}/{artifact.file}", SNAPSHOT)
    got = Downloads(scratch / "files").one(Wish(urls, artifact.size, artifact.sha256))
    return got.rename(scratch / artifact.file)


GETTERS: dict[str, Callable[[Artifact, Path], Path]] = {
    "pypi": by_pip,
    "npm": by_npm,
    "go": by_go,
    "debian": by_debian,
}

_POM = """<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version>
<packaging>pom</packaging><build><plugins><plugin><groupId>org.apache.maven.plugins</groupId>
<artifactId>maven-dependency-plugin</artifactId><configuration><artifactItems>{items}</artifactItems></configuration>
</plugin></plugins></build></project>"""


def by_maven(artifacts: Sequence[Artifact], scratch: Path) -> dict[str, Path]:
    """Artifacts by one run of Maven, which starts slowly: file name -> file.

    Raises:
        HostFault: one of them cannot be had.
    """
    items = "".join(
        "<artifactItem>" + "".join(f"<{key}>{value}</{key}>" for key, value in fields.items()) + "</artifactItem>"
        for fields in map(coordinates, artifacts)
    )
    place = scratch / "jars"
    (scratch / "pom.xml").write_text(_POM.format(items=items), encoding="utf-8")
    argv = ["mvn", "-q", "-B", "dependency:copy", f"-DoutputDirectory={place}"]
    _run(argv, "what comes by Maven", scratch)
    return {artifact.file: _found(place, artifact) for artifact in artifacts}


def coordinates(artifact: Artifact) -> dict[str, str]:
    """Maven's coordinates of a file ARTIFACT-VERSION[-CLASSIFIER].TYPE.

    Raises:
        HostFault: the file is not called so.
    """
    group, _colon, name = artifact.name.partition(":")
    rest = re.fullmatch(
        rf"{re.escape(f'{name}-{artifact.version}')}(?:-([\w-]+))?\.(jar|war|exe|dll|so|zip|tar\.gz)", artifact.file
    )
    if not name or rest is None:
        raise HostFault(verbatim(f"{artifact.file} is no file of {artifact.name} {artifact.version}"))
    fields = {"groupId": group, "artifactId": name, "version": artifact.version, "type": rest[2]}
    return fields | ({"classifier": rest[1]} if rest[1] else {})
