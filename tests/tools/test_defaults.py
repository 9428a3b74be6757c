"""The registries that tools ask by default are what the tools say; a tool that is not here says nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import Message
from pytest_xinchuang.tools import defaults
from pytest_xinchuang.tools.defaults import Default
from pytest_xinchuang.tools.go import GoCommand

PROGRAMS = {"npm": "npm", "cargo": "cargo", "maven": "mvn"}


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    defaults._default.cache_clear()
    yield
    defaults._default.cache_clear()


def usual(ecosystem: str) -> Default:
    found = defaults.default(ecosystem)
    assert isinstance(found, Default), found
    return found


@pytest.mark.tools
@pytest.mark.parametrize("ecosystem", ["npm", "pypi", "cargo", "maven"])
def test_a_tool_that_is_here_says_it(ecosystem: str) -> None:
    if ecosystem in PROGRAMS and shutil.which(PROGRAMS[ecosystem]) is None:
        pytest.skip(f"there is no {PROGRAMS[ecosystem]}")
    found = usual(ecosystem)
    assert found.whole and found.is_it(found.url) is True and found.is_it(f"{found.url}/a/b") is True
    assert all(found.is_it(f"https://{host}/x") is True for host in found.hosts)
    assert all(found.is_it(each) is True for each in found.addresses)
    assert found.url == defaults.address(ecosystem) and not found.url.endswith("/")


@pytest.mark.tools
def test_npm_says_the_same_where_it_is_run(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm")
    env = {k: v for k, v in os.environ.items() if not k.lower().startswith("npm_")} | {"HOME": str(tmp_path)}
    words = [npm, "config", "get", "registry", f"--userconfig={tmp_path}/a", f"--globalconfig={tmp_path}/b"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip().rstrip("/") == usual("npm").url


@pytest.mark.tools
def test_pip_says_the_same_where_it_is_run() -> None:
    code = "from pip._internal.models.index import PyPI as p; print(p.simple_url, p.netloc, p.file_storage_domain)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("there is no pip")
    url, *hosts = done.stdout.split()
    assert usual("pypi") == Default(url, frozenset(hosts))


@pytest.mark.parametrize("ecosystem", PROGRAMS)
def test_a_tool_that_is_not_here_says_nothing(ecosystem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert isinstance(defaults.default(ecosystem), Message)
    with pytest.raises(HostFault, match=f"there is no {PROGRAMS[ecosystem]} here"):
        defaults.address(ecosystem)


@pytest.mark.parametrize("ecosystem", ["conan", "vcpkg", "nothing"])
def test_an_ecosystem_without_a_default(ecosystem: str) -> None:
    assert isinstance(defaults.default(ecosystem), Message)


def program(place: Path, text: str = "exit 1") -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


FETCH, LOCKS = "npm-registry-fetch/lib/default-opts.js", "@npmcli/arborist/lib/shrinkwrap.js"
ASKS = "module.exports = {\n  registry: 'https://npm.example.org/',\n}\n"
TAKES = r"const yarnRegRe = /^https?:\/\/yarn\.example\.org\//"


@pytest.mark.parametrize(
    ("inside", "files", "wanted"),
    [
        ("npm/node_modules", {FETCH: ASKS, LOCKS: TAKES}, ({"npm.example.org", "yarn.example.org"}, True)),
        ("", {FETCH: ASKS, LOCKS: TAKES}, ({"npm.example.org", "yarn.example.org"}, True)),
        ("npm/node_modules", {FETCH: ASKS}, ({"npm.example.org"}, None)),
        ("npm/node_modules", {LOCKS: TAKES}, None),
        ("npm/node_modules", {FETCH: ASKS.replace("https", "http")}, None),
        ("npm/node_modules", {}, None),
    ],
)
def test_what_npm_consists_of_is_read_as_npm_and_debian_lay_it_out(
    inside: str,
    files: dict[str, str],
    wanted: tuple[set[str], bool | None] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program(tmp_path / "lib/npm/bin/npm-cli.js")
    put(tmp_path / "lib/npm", {"package.json": "{}"})
    put(tmp_path / "lib" / inside, files)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/npm").symlink_to(tmp_path / "lib/npm/bin/npm-cli.js")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = defaults.default("npm")
    if wanted is None:
        assert isinstance(found, Message)
        return
    assert isinstance(found, Default)
    assert (set(found.hosts), found.url) == (wanted[0], "https://npm.example.org")
    # What npm does not say it takes for the same may be it, or not.
    assert found.is_it("https://other.example.org/a/-/a-1.tgz") is (False if wanted[1] else None)


CENTRAL = "<project><repositories><repository>\n<id>central</id>\n<url>https://m.example.org/m2/</url>\n</repository>"


@pytest.mark.parametrize(
    ("inside", "text", "good"),
    [
        ("org/apache/maven/model/pom-4.0.0.xml", CENTRAL, True),
        ("org/apache/maven/model/pom-4.0.0.xml", CENTRAL.replace("central", "other"), False),
        ("org/apache/maven/model/pom.xml", CENTRAL, False),
        ("", "no archive", False),
    ],
)
def test_the_super_pom_is_read(
    inside: str, text: str, good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "maven/bin/mvn")
    monkeypatch.setenv("PATH", str(tmp_path / "maven/bin"))
    monkeypatch.delenv("MAVEN_HOME", raising=False)
    jar = tmp_path / "maven/lib/maven-model-builder.jar"
    put(tmp_path / "maven/lib", {jar.name: text})
    if inside:
        with zipfile.ZipFile(jar, "w") as archive:
            archive.writestr(inside, text)
    found = defaults.default("maven")
    assert (found == Default("https://m.example.org/m2", frozenset({"m.example.org"}))) is good
    assert good or isinstance(found, Message)


@pytest.mark.tools
@pytest.mark.parametrize(
    "text",
    [
        "exit 1",
        "echo '`https://index.example.org/config.json`' >&2; exit 101",
        "printf 'source = \"registry+https://git.example.org/i\"\\n' > Cargo.lock",
    ],
)
def test_a_cargo_that_does_not_say_it_is_not_guessed(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "cargo", text)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert isinstance(defaults.default("cargo"), Message)


def test_settings_above_the_directory_in_which_cargo_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "cargo")
    put(tmp_path, {".cargo/config.toml": ""})
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(defaults.tempfile, "tempdir", str(tmp_path))
    found = defaults.default("cargo")
    assert isinstance(found, Message) and "has settings of it" in found


KNOWN = Default(
    "https://r.example.org/m2", frozenset({"r.example.org"}), frozenset({"https://git.example.org/a/index"})
)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://r.example.org", True),
        ("https://r.example.org:443/x", True),
        ("https://R.Example.org/x", True),
        ("https://git.example.org/a/index", True),
        ("https://git.example.org/a/index/", True),
        ("https://git.example.org/a/index.git", True),
        ("https://git.example.org/b/index", False),
        ("https://git.example.org/a/index/../../b", False),
        ("http://r.example.org/x", False),
        ("https://r.example.org:8443/x", False),
        ("https://r.example.org.evil.example/x", False),
        ("https://r.example.org@evil.example/x", False),
        ("https://user@r.example.org/x", False),
        ("https://r.example.org:x/", False),
        ("https://[r.example.org/", False),
        ("r.example.org", False),
        ("", False),
    ],
)
def test_which_addresses_are_of_a_registry(url: str, wanted: bool) -> None:
    assert KNOWN.is_it(url) is wanted


@pytest.mark.tools
def test_a_go_without_its_source_knows_no_database(tmp_path: Path) -> None:
    assert defaults.databases(GoCommand()).keys
    with pytest.raises(HostFault, match="does not say which checksum databases"):
        defaults._databases(tmp_path)
