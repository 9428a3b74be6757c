"""Each form of a lock is read into the same entries, and its malformed twin is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.packages.supply_chain.ecosystems.all import ECOSYSTEMS
from pytest_xinchuang.packages.supply_chain.locked import Locked, Origin, Reading
from pytest_xinchuang.packages.supply_chain.registries import Registries
from pytest_xinchuang.provision.cache import Cache
from tests.packages.supply_chain.ecosystems.worlds import put, sri

PACKAGE_JSON = '{"name": "p", "dependencies": {"left": "^1.0.0", "@s/right": "~2.0.0"}}'
LEFT, RIGHT = sri(b"left"), sri(b"right")
SUM = "sha256:" + "1" * 64

PACKAGE_LOCK_1 = f"""{{"lockfileVersion": 1, "dependencies": {{
"left": {{"version": "1.0.0", "integrity": "{LEFT}"}},
"@s/right": {{"version": "2.0.0", "integrity": "{RIGHT}"}}}}}}
"""
YARN_1 = f"""# yarn lockfile v1


left@^1.0.0:
  version "1.0.0"
  resolved "https://yarn.example.org/left/-/left-1.0.0.tgz#{"0" * 40}"
  integrity {LEFT}

"@s/right@~2.0.0":
  version "2.0.0"
  resolved "https://yarn.example.org/@s/right/-/right-2.0.0.tgz#{"0" * 40}"
  integrity {RIGHT}
  dependencies:
    left "^1.0.0"
"""
BERRY = f"""__metadata:
  version: 8
  cacheKey: 10c0

"left@npm:^1.0.0":
  version: 1.0.0
  resolution: "left@npm:1.0.0"
  checksum: 10c0/{"a" * 128}
  languageName: node
  linkType: hard

"@s/right@npm:~2.0.0":
  version: 2.0.0
  resolution: "@s/right@npm:2.0.0"
  checksum: 10c0/{"b" * 128}
  languageName: node
  linkType: hard

"p@workspace:.":
  version: 0.0.0-use.local
  resolution: "p@workspace:."
  languageName: unknown
  linkType: soft
"""
PNPM_5 = f"""lockfileVersion: 5.4
specifiers:
  left: ^1.0.0
  '@s/right': ~2.0.0
dependencies:
  left: 1.0.0
  '@s/right': 2.0.0
packages:
  /left/1.0.0:
    resolution: {{integrity: {LEFT}}}
    dev: false
  /@s/right/2.0.0:
    resolution: {{integrity: {RIGHT}}}
    requiresBuild: true
"""
PNPM_6 = f"""lockfileVersion: '6.0'
dependencies:
  left:
    specifier: ^1.0.0
    version: 1.0.0
  '@s/right':
    specifier: ~2.0.0
    version: 2.0.0(left@1.0.0)
packages:
  /left@1.0.0:
    resolution: {{integrity: {LEFT}}}
  /@s/right@2.0.0(left@1.0.0):
    resolution: {{integrity: {RIGHT}}}
"""
PNPM_9 = f"""lockfileVersion: '9.0'
importers:
  .:
    dependencies:
      left:
        specifier: ^1.0.0
        version: 1.0.0
      '@s/right':
        specifier: ~2.0.0
        version: 2.0.0(left@1.0.0)
packages:
  left@1.0.0:
    resolution: {{integrity: {LEFT}}}
  '@s/right@2.0.0':
    resolution: {{integrity: {RIGHT}}}
snapshots:
  left@1.0.0: {{}}
"""
NPM = {
    "package-lock.json of version 1": ("package-lock.json", PACKAGE_LOCK_1),
    "yarn 1": ("yarn.lock", YARN_1),
    "yarn 4": ("yarn.lock", BERRY),
    "pnpm 5": ("pnpm-lock.yaml", PNPM_5),
    "pnpm 6": ("pnpm-lock.yaml", PNPM_6),
    "pnpm 9": ("pnpm-lock.yaml", PNPM_9),
}

PYPROJECT = '[project]\nname = "p"\ndependencies = ["left>=1", "Right_X~=2.0"]\n'
UV = "".join(
    f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ registry = "https://pypi.example.org/simple" }}\n'
    f'wheels = [{{ url = "https://files.example.org/{name}-{version}-py3-none-any.whl", hash = "{SUM}" }}]\n'
    for name, version in (("left", "1.0.0"), ("right-x", "2.0.0"))
)
POETRY = "".join(
    f'[[package]]\nname = "{name}"\nversion = "{version}"\n'
    f'files = [{{file = "{name}-{version}-py3-none-any.whl", hash = "{SUM}"}}]\n'
    for name, version in (("left", "1.0.0"), ("right-x", "2.0.0"))
)
PYLOCK = 'lock-version = "1.0"\ncreated-by = "x"\n' + "".join(
    f'[[packages]]\nname = "{name}"\nversion = "{version}"\n'
    f'[[packages.wheels]]\nname = "{name}-{version}-py3-none-any.whl"\nhashes = {{sha256 = "{"1" * 64}"}}\n'
    for name, version in (("left", "1.0.0"), ("right-x", "2.0.0"))
)
PIPFILE = (
    '{"_meta": {"pipfile-spec": 6}, "default": {'
    f'"left": {{"hashes": ["{SUM}"], "version": "==1.0.0"}}, "right-x": {{"hashes": ["{SUM}"], "version": "==2.0.0"}}}}}}'
)
PYTHON = {
    "uv": ("uv.lock", "version = 1\n" + UV),
    "poetry": ("poetry.lock", POETRY + '[metadata]\nlock-version = "2.1"\n'),
    "PEP 751": ("pylock.toml", PYLOCK),
    "pipenv": ("Pipfile.lock", PIPFILE),
}


def read(root: Path, ecosystem: str, files: dict[str, str]) -> Reading:
    put(root, files)
    return ECOSYSTEMS[ecosystem].read(root, Registries(Cache(root / "cache"), offline=True))


def registry(reading: Reading) -> list[Locked]:
    return sorted((e for e in reading.entries if e.origin is Origin.REGISTRY), key=lambda e: e.version)


def codes(reading: Reading) -> set[str]:
    return {f.code for f in reading.findings if f.certainty is not Certainty.NOTE}


@pytest.mark.parametrize("name", NPM)
def test_a_lock_of_npm_is_read_and_covers_its_manifest(name: str, tmp_path: Path) -> None:
    file, text = NPM[name]
    reading = read(tmp_path, "npm", {"package.json": PACKAGE_JSON, file: text})
    assert [(e.name, e.version) for e in registry(reading)] == [("left", "1.0.0"), ("@s/right", "2.0.0")]
    assert all(e.digests for e in registry(reading))
    assert codes(reading) == set()


@pytest.mark.parametrize("name", NPM)
def test_a_lock_of_npm_without_what_is_asked_for_is_told(name: str, tmp_path: Path) -> None:
    file, text = NPM[name]
    more = PACKAGE_JSON.replace('"left"', '"more": "^1.0.0", "left"')
    assert codes(read(tmp_path, "npm", {"package.json": more, file: text})) == {"XC-SUP-103"}


@pytest.mark.parametrize("name", PYTHON)
def test_a_lock_of_python_is_read_and_covers_its_manifest(name: str, tmp_path: Path) -> None:
    file, text = PYTHON[name]
    reading = read(tmp_path, "pypi", {"pyproject.toml": PYPROJECT, file: text})
    assert [(e.name, e.version) for e in registry(reading)] == [("left", "1.0.0"), ("right-x", "2.0.0")]
    assert {str(d) for e in registry(reading) for d in e.digests} == {SUM}
    assert codes(reading) == set()


@pytest.mark.parametrize("name", ["uv", "poetry", "PEP 751"])
def test_a_lock_of_python_without_what_is_asked_for_is_told(name: str, tmp_path: Path) -> None:
    file, text = PYTHON[name]
    more = PYPROJECT.replace('"left>=1"', '"more", "left>=1"')
    assert codes(read(tmp_path, "pypi", {"pyproject.toml": more, file: text})) == {"XC-SUP-103"}


NEWER = {
    "npm": ("npm", "package-lock.json", '{"lockfileVersion": 4, "packages": {}}'),
    "yarn": ("npm", "yarn.lock", "__metadata:\n  version: 99\n"),
    "pnpm": ("npm", "pnpm-lock.yaml", "lockfileVersion: '12.0'\n"),
    "uv": ("pypi", "uv.lock", "version = 7\n"),
    "poetry": ("pypi", "poetry.lock", '[metadata]\nlock-version = "9.0"\n'),
    "PEP 751": ("pypi", "pylock.toml", 'lock-version = "2.0"\n'),
    "Cargo": ("cargo", "Cargo.lock", "version = 9\n"),
    "Conan": ("conan", "conan.lock", '{"version": "0.9"}'),
}


@pytest.mark.parametrize("name", NEWER)
def test_a_version_that_is_not_known_is_undecided(name: str, tmp_path: Path) -> None:
    ecosystem, file, text = NEWER[name]
    found = read(tmp_path, ecosystem, {file: text}).findings
    assert [(f.code, f.certainty) for f in found] == [("XC-SUP-102", Certainty.UNDECIDED)]


MALFORMED = {
    "npm": ("package-lock.json", "{"),
    "pypi": ("uv.lock", "version = "),
    "cargo": ("Cargo.lock", "[["),
    "maven": ("pom.xml", "<project>"),
    "conan": ("conan.lock", "[]"),
    "vcpkg": ("vcpkg.json", '{"name": 1, "name": 2}'),
}


@pytest.mark.parametrize("ecosystem", MALFORMED)
def test_a_file_that_is_malformed_is_told(ecosystem: str, tmp_path: Path) -> None:
    file, text = MALFORMED[ecosystem]
    assert "XC-SUP-101" in codes(read(tmp_path, ecosystem, {file: text}))


def test_an_alias_is_told_and_asked_for_by_its_own_name(tmp_path: Path) -> None:
    lock = f'{{"lockfileVersion": 3, "packages": {{"": {{"dependencies": {{"l": "npm:left@^1.0.0"}}}}, \
"node_modules/l": {{"name": "left", "version": "1.0.0", "integrity": "{LEFT}"}}}}}}'
    manifest = '{"dependencies": {"l": "npm:left@^1.0.0"}}'
    reading = read(tmp_path, "npm", {"package.json": manifest, "package-lock.json": lock})
    assert [e.name for e in registry(reading)] == ["left"]
    assert [f.code for f in reading.findings] == ["XC-SUP-114"]


def test_gradle_locks_versions_and_its_metadata_pin_files(tmp_path: Path) -> None:
    metadata = (
        "<verification-metadata><components><component group='g' name='a' version='1'>"
        f"<artifact name='a-1.jar'><sha256 value='{'1' * 64}'/></artifact></component></components></verification-metadata>"
    )
    lock = "g:a:1=compileClasspath\ng:b:2=compileClasspath\nempty=\n"
    files = {"build.gradle": "", "gradle.lockfile": lock, "gradle/verification-metadata.xml": metadata}
    reading = read(tmp_path, "maven", files)
    assert {(e.name, bool(e.digests)) for e in reading.entries} == {("g:a", True), ("g:b", False)}
