"""Real pairs of versions, a dozen a language: how many breaking findings a client confirms, and how long the judge takes.

Every pair is fetched by the ordinary client of its language: the go command, Maven, pip, npm; those of C are Debian's ``-dev``
packages of two releases, with the libraries that they name. ``$XC_BENCH_LANGUAGES`` names some of the languages. A pair that
cannot be had is told and left out. What the judge adds to the rules is timed by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bench.result import Result
from bench.sources import packages_of
from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.fetch import Downloads, Mirrors, Wish

PAIRS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "go": (
        ("github.com/emmansun/gmsm", "v0.40.1", "v0.41.0"),
        ("github.com/jackc/pgx/v5", "v5.6.0", "v5.7.5"),
        ("github.com/tjfoc/gmsm", "v1.4.0", "v1.4.1"),
        ("github.com/gorilla/mux", "v1.7.4", "v1.8.1"),
        ("github.com/spf13/cobra", "v1.5.0", "v1.8.0"),
        ("github.com/spf13/pflag", "v1.0.5", "v1.0.9"),
        ("github.com/redis/go-redis/v9", "v9.0.5", "v9.7.0"),
        ("github.com/prometheus/client_golang", "v1.14.0", "v1.19.0"),
        ("github.com/go-sql-driver/mysql", "v1.7.1", "v1.8.1"),
        ("github.com/nats-io/nats.go", "v1.30.0", "v1.37.0"),
        ("golang.org/x/net", "v0.20.0", "v0.30.0"),
        ("google.golang.org/protobuf", "v1.31.0", "v1.35.1"),
    ),
    "java": (
        ("com.google.code.gson:gson", "2.8.9", "2.11.0"),
        ("org.apache.commons:commons-lang3", "3.12.0", "3.14.0"),
        ("commons-io:commons-io", "2.11.0", "2.16.1"),
        ("com.squareup.okio:okio", "1.17.5", "1.17.6"),
        ("org.slf4j:slf4j-api", "1.7.36", "2.0.13"),
        ("com.fasterxml.jackson.core:jackson-core", "2.15.0", "2.17.2"),
        ("org.bouncycastle:bcprov-jdk18on", "1.76", "1.78.1"),
        ("com.alibaba:fastjson", "1.2.76", "1.2.83"),
        ("com.zaxxer:HikariCP", "4.0.3", "5.1.0"),
        ("org.jsoup:jsoup", "1.15.4", "1.18.1"),
        ("com.google.guava:guava", "31.1-jre", "33.2.1-jre"),
        ("org.yaml:snakeyaml", "1.33", "2.2"),
    ),
    "python": (
        ("httpx", "0.24.1", "0.27.2"),
        ("requests", "2.28.2", "2.32.3"),
        ("click", "8.0.4", "8.1.7"),
        ("attrs", "22.2.0", "23.2.0"),
        ("packaging", "21.3", "24.1"),
        ("pluggy", "1.0.0", "1.5.0"),
        ("jinja2", "3.0.3", "3.1.4"),
        ("werkzeug", "2.2.3", "3.0.3"),
        ("idna", "3.4", "3.7"),
        ("urllib3", "1.26.18", "2.2.2"),
        ("pyyaml", "6.0", "6.0.2"),
        ("cryptography", "41.0.7", "42.0.8"),
    ),
    "typescript": (
        ("commander", "10.0.1", "12.1.0"),
        ("yaml", "2.2.2", "2.5.0"),
        ("zod", "3.21.4", "3.23.8"),
        ("semver", "7.3.8", "7.6.3"),
        ("axios", "1.3.6", "1.7.4"),
        ("date-fns", "2.29.3", "3.6.0"),
        ("chalk", "4.1.2", "5.3.0"),
        ("rxjs", "7.5.7", "7.8.1"),
        ("uuid", "9.0.1", "10.0.0"),
        ("immer", "9.0.21", "10.1.1"),
        ("sm-crypto", "0.3.12", "0.3.13"),
        ("execa", "7.2.0", "9.3.1"),
    ),
    "c": tuple(
        (name, "bookworm", "trixie")
        for name in (
            "zlib1g-dev", "libpng-dev", "libxxhash-dev", "liblz4-dev", "libcurl4-openssl-dev", "libevent-dev", "libuv1-dev",
            "libexpat1-dev", "libsqlite3-dev", "libjansson-dev", "libhiredis-dev", "libzstd-dev",
        )
    ),
}  # fmt: skip
"""Language -> name, old and new version (of C: Debian's releases)."""


def _run(argv: list[str], cwd: Path) -> None:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise HostFault(verbatim(f"{' '.join(argv[:3])}: {(done.stderr or done.stdout).strip()[-200:]}"))


def _go(name: str, version: str, _place: Path) -> str:
    return f"{name}@{version}"


def _java(name: str, version: str, place: Path) -> str:
    artifact = f"{name}:{version}:jar"
    plugin = "org.apache.maven.plugins:maven-dependency-plugin:copy"
    _run(["mvn", "-q", "-B", plugin, f"-Dartifact={artifact}", f"-DoutputDirectory={place}"], place)
    return str(next(place.glob("*.jar")))


def _python(name: str, version: str, place: Path) -> str:
    argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", f"{name}=={version}"]
    _run(argv, place)
    return str(next(place.glob("*.whl")))


def _typescript(name: str, version: str, place: Path) -> str:
    _run(["npm", "pack", "--silent", f"{name}@{version}"], place)
    with tarfile.open(next(place.glob("*.tgz"))) as tar:
        tar.extractall(place, filter="data")
    return str(next(path for path in place.iterdir() if path.is_dir()))


def _c(name: str, suite: str, place: Path) -> str:
    """The package with those that it depends on exactly: the library whose headers it has."""
    known = packages_of(suite, "amd64")
    wanted = known[name]
    exact = [d.strip().split()[0] for d in wanted.get("Depends", "").split(",") if "(=" in d]
    for one in (wanted, *(known[d] for d in exact if d in known)):
        urls = tuple(f"{mirror.rstrip('/')}/{one['Filename']}" for mirror in Mirrors.of_the_environment().mirrors)
        (archive,) = Downloads(Cache().root / "downloads").all([Wish(urls, int(one["Size"]), one["SHA256"])])
        _run(["dpkg-deb", "-x", str(archive), str(place)], place)
    return str(place / "usr")


FETCHERS: dict[str, Callable[[str, str, Path], str]] = {
    "go": _go, "java": _java, "python": _python, "typescript": _typescript, "c": _c,
}  # fmt: skip


def _told(result: Result, name: str, comparison: Comparison, counts: Counter[str]) -> None:
    breaking = comparison.of("breaking")
    shown = [one for one in breaking if one.trial is not None]
    counts["pairs"] += 1
    counts["breaking"] += len(breaking)
    counts["confirmed"] += len(shown)
    counts["unconfirmed"] += sum(one.unconfirmed for one in comparison.changes)
    counts["unexplained"] += sum(one.rule.id.endswith("-UNEXPLAINED") for one in breaking)
    clients = f"{sum(t.counts for t in comparison.trials)} of {len(comparison.trials)} clients counted"
    result.notes.append(
        f"{name}: {len(breaking)} breaking, {len(shown)} shown by clients ({clients}) {comparison.unjudged}"
    )
    for one in breaking:
        if one.trial is None:
            result.notes.append(f"  not shown: {one.rule.id} {one.change.symbol}")


def measure(_rounds: int = 0) -> Result:
    """Every pair, by rules alone and with clients."""
    result, rules, policy = Result("api-pairs"), Rules(), ApiPolicy()
    only = frozenset(filter(None, os.environ.get("XC_BENCH_LANGUAGES", "").split(",")))
    for language, pairs in PAIRS.items():
        if only and language not in only:
            continue
        counts, added, read = Counter[str](), [0.0], [0.0]
        for name, old, new in pairs:
            with tempfile.TemporaryDirectory() as scratch:
                try:
                    places = []
                    for side, version in (("old", old), ("new", new)):
                        place = Path(scratch) / side
                        place.mkdir()
                        places.append(FETCHERS[language](name, version, place))
                    with Sources(Cache(), ReadOptions(language=language)) as sources:
                        start = time.perf_counter()
                        before, after = (sources.read(place) for place in places)
                        found = compare(before, after, rules, policy)
                        middle = time.perf_counter()
                        found = judged(found, sources, rules, policy)
                        read.append(middle - start)
                        added.append(time.perf_counter() - middle)
                        _told(result, f"{language}: {name} {old} {new}", found, counts)
                except (XcError, OSError, KeyError, StopIteration, subprocess.TimeoutExpired) as error:
                    result.notes.append(f"{language}: {name} {old} {new}: not had: {error!r}"[:300])
        for word in ("pairs", "breaking", "confirmed", "unconfirmed", "unexplained"):
            result.add(f"{language}: {word}", [counts[word]], "")
        result.add(f"{language}: by rules", read[1:] or read, "s")
        result.add(f"{language}: by clients, beside that", added[1:] or added, "s")
        if counts["breaking"]:
            key = f"{language}: confirmed of breaking"
            result.ratios[key], result.goals[key] = counts["confirmed"] / counts["breaking"], "1"
    return result
