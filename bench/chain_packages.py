"""``xc supply-chain check`` on products of more than 100 packages of npm, PyPI, Cargo and Maven; ``bench.chain`` does Go.

Their own clients fetch them: no false alarm, and one byte is caught in what is laid out and in the lock.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.result import Result
from pytest_xinchuang.core.finding import Certainty, Finding, load_findings
from pytest_xinchuang.packages.supply_chain.check import Lists, PackageCheck
from pytest_xinchuang.packages.supply_chain.ecosystems.all import ECOSYSTEMS
from pytest_xinchuang.packages.supply_chain.registries import Registries
from pytest_xinchuang.provision.cache import Cache

TIMEOUT_S = 1200
NPM, PYPI, CRATE = "webpack-dev-server@5", ("jupyterlab==4.4.3", "poetry==2.1.3"), ("bat", "0.25.0")
STARTERS = ("web", "webflux", "data-jpa", "data-redis", "security", "actuator")
"""Starters of Spring Boot 3.3.5, to which Kafka's client comes."""
LOCKFILE_PLUGIN = "io.github.chains-project:maven-lockfile:5.5.2:generate"


@dataclass(frozen=True)
class Product:
    """A product as its client made it.

    Attributes:
        registry: what the client fetched, as published; None: the client's own registry is asked.
        laid_out: a pattern of files that are laid out, of which the first is changed.
        lock: its lock, in which the first match of ``digest`` is changed.
    """

    place: Path
    registry: Path | None
    laid_out: str
    lock: str
    digest: str


def _run(words: list[str], cwd: Path, **env: str) -> str:
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert not done.returncode, f"{words[0]}: {done.stderr[-2000:]}"
    return done.stdout


def _npm(place: Path) -> Product:
    product, kept = place / "npm", place / "npm-cache"
    product.mkdir()
    (product / "package.json").write_text('{"name": "product", "version": "1.0.0", "private": true}\n')
    words = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", NPM]
    _run(words, product, npm_config_cache=str(kept))
    return Product(product, kept, "node_modules/*/*.js", "package-lock.json", r"sha512-(\w)")


def _pypi(place: Path) -> Product:
    product = place / "pypi"
    product.mkdir()
    # What a virtual environment begins with is in no lock, and what Python compiles nobody published: both would be open.
    _run([sys.executable, "-m", "venv", "--without-pip", ".venv"], product)
    words = [sys.executable, "-m", "pip", "--python", ".venv/bin/python", "install", "--quiet", "--no-compile"]
    report = json.loads(_run([*words, "--dry-run", "--ignore-installed", "--report", "-", *PYPI], product))
    lines = []
    for one in report["install"]:
        said, hashes = one["metadata"], one["download_info"]["archive_info"]["hashes"]
        lines.append(f"{said['name']}=={said['version']} --hash=sha256:{hashes['sha256']}\n")
    (product / "requirements.txt").write_text("".join(lines))
    _run([*words, "--require-hashes", "-r", "requirements.txt"], product)
    laid_out = ".venv/lib/python*/site-packages/jupyterlab/*.py"
    return Product(product, None, laid_out, "requirements.txt", r"sha256:(\w)")


def _cargo(place: Path) -> Product:
    home, asks = place / "cargo-home", place / "asks"
    asks.mkdir()
    name, version = CRATE
    (asks / "lib.rs").write_text("")
    (asks / "Cargo.toml").write_text(
        f'[package]\nname = "asks"\nversion = "0.1.0"\nedition = "2021"\n'
        f'[lib]\npath = "lib.rs"\n[dependencies]\n{name} = "={version}"\n'
    )
    _run(["cargo", "fetch"], asks, CARGO_HOME=str(home))
    product = Path(shutil.copytree(next(home.glob(f"registry/src/*/{name}-{version}")), place / "cargo"))
    settings = _run(["cargo", "vendor", "--locked"], product, CARGO_HOME=str(home))
    (product / ".cargo").mkdir(exist_ok=True)
    (product / ".cargo/config.toml").write_text(settings)
    return Product(product, home, "vendor/*/src/lib.rs", "Cargo.lock", r'checksum = "(\w)')


def _maven(place: Path) -> Product:
    product, kept = place / "maven", place / "repository"
    product.mkdir()
    asked = [("org.springframework.boot", f"spring-boot-starter-{one}") for one in STARTERS]
    asked.append(("org.springframework.kafka", "spring-kafka"))
    inner = "".join(f"<dependency><groupId>{g}</groupId><artifactId>{a}</artifactId></dependency>\n" for g, a in asked)
    (product / "pom.xml").write_text(
        "<project><modelVersion>4.0.0</modelVersion>\n<parent><groupId>org.springframework.boot</groupId>"
        "<artifactId>spring-boot-starter-parent</artifactId><version>3.3.5</version><relativePath/></parent>\n"
        "<groupId>com.example</groupId><artifactId>product</artifactId><version>1.0.0</version>\n"
        f"<dependencies>\n{inner}</dependencies></project>\n"
    )
    words = ["mvn", "-q", "-B", f"-Dmaven.repo.local={kept}"]
    _run([*words, "dependency:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime"], product)
    _run([*words, LOCKFILE_PLUGIN], product)
    return Product(product, kept, "lib/*.jar", "lockfile.json", r'"checksum": "(\w)')


MAKERS: Mapping[str, Callable[[Path], Product]] = {"npm": _npm, "pypi": _pypi, "cargo": _cargo, "maven": _maven}


def measure(rounds: int) -> Result:
    """Seconds of a check of each, and whether each planted byte is caught, by which code."""
    result = Result("chain-packages")
    caught = planted = 0
    for ecosystem, make in MAKERS.items():
        with tempfile.TemporaryDirectory() as place:
            product = make(Path(place))
            seconds: list[float] = []
            for _n in range(rounds or 3):
                check, took = _check(ecosystem, product)
                seconds.append(took)
            result.add(f"{ecosystem}: {check.verified} packages", seconds, "s")
            result.notes.append(f"{ecosystem}: false alarms: {', '.join(sorted(_grave(check.findings))) or 'none'}")
            for name, path, data in _plants(product):
                kept = path.read_bytes()
                path.write_bytes(data)
                told = sorted(_grave(_check(ecosystem, product)[0].findings))
                path.write_bytes(kept)
                planted += 1
                caught += bool(told)
                result.notes.append(f"{ecosystem}: one byte in {name}: {', '.join(told) or 'NOT CAUGHT'}")
    result.ratios["caught"] = caught / planted
    result.goals["caught"] = "1.000"
    return result


def _check(ecosystem: str, product: Product) -> tuple[PackageCheck, float]:
    places = {ecosystem: [str(product.registry)]} if product.registry is not None else None
    check = PackageCheck(product.place, ECOSYSTEMS[ecosystem], Registries(Cache(), places), Lists())
    started = time.perf_counter()
    check.run()
    return check, time.perf_counter() - started


def _grave(findings: list[Finding]) -> set[str]:
    """What stands in the way or leaves the check open."""
    rules = load_findings()
    return {f"{f.code} {f.object}" for f in findings if rules.fails(f) or f.certainty is Certainty.UNDECIDED}


def _plants(product: Product) -> list[tuple[str, Path, bytes]]:
    """What is changed: its name, the file, and its bytes with one changed."""
    laid_out = sorted(product.place.glob(product.laid_out))[0]
    data = laid_out.read_bytes()
    middle = len(data) // 2
    lock = product.place / product.lock
    text = lock.read_text(encoding="utf-8")
    found = re.search(product.digest, text)
    assert found is not None
    other = "a" if found[1] != "a" else "b"
    changed = text[: found.start(1)] + other + text[found.end(1) :]
    return [
        (
            str(laid_out.relative_to(product.place)),
            laid_out,
            data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        ),
        (product.lock, lock, changed.encode()),
    ]
