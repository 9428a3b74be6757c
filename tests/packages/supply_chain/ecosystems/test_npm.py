"""What else decides what npm, pnpm and yarn install: other names, settings, patches, workspaces above, each with its twin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.finding import Certainty
from tests.packages.supply_chain.ecosystems.conftest import Check
from tests.packages.supply_chain.ecosystems.tampering import LEFT, in_lock
from tests.packages.supply_chain.ecosystems.worlds import npm, put, sha, sri, tar

C, U = Certainty.CERTAIN, Certainty.UNDECIDED
USUAL, EVIL = "https://npm.example.org", "https://evil.example"
LOCK = "lockfileVersion: '9.0'\n"

FILES: dict[str, tuple[dict[str, str], set[tuple[str, Certainty]]]] = {
    "a registry in quotes": ({".npmrc": f'"registry" = "{EVIL}/"\n'}, {("XC-SUP-145", C)}),
    "the usual one in quotes": ({".npmrc": f'"registry" = "{USUAL}/"\n'}, set()),
    "a registry behind a comment": ({".npmrc": f"; registry={EVIL}\n# registry={EVIL}\n"}, set()),
    "a comment behind a registry": ({".npmrc": f"registry={USUAL}/ ; ours\n"}, set()),
    "a scope's own": ({".npmrc": f"@s:registry={EVIL}\n"}, {("XC-SUP-145", C)}),
    "no lock": ({".npmrc": "package-lock=false\n"}, {("XC-SUP-145", C)}),
    "a lock": ({".npmrc": "package-lock=true\n"}, set()),
    "another authority": ({".npmrc": "cafile=ours.pem\n"}, {("XC-SUP-145", C)}),
    "no certificate": ({".npmrc": "strict-ssl = false\n"}, {("XC-SUP-145", C)}),
    "settings of no weight": ({".npmrc": "fund=false\nsave-exact=true\nstrict-ssl\n"}, set()),
    "yarn 1: a registry": ({".yarnrc": f'registry "{EVIL}"\n'}, {("XC-SUP-145", C)}),
    "yarn 1: the usual one": ({".yarnrc": f'# yarn\nregistry "{USUAL}"\nlastUpdateCheck 1\n'}, set()),
    "yarn 1: no certificate": ({".yarnrc": "strict-ssl false\n"}, {("XC-SUP-145", C)}),
    "yarn 1: no lock": ({".yarnrc": "--install.no-lockfile true\n"}, {("XC-SUP-145", C)}),
    "yarn 4: a registry": ({".yarnrc.yml": f"npmRegistryServer: {EVIL}\n"}, {("XC-SUP-145", C)}),
    "yarn 4: a scope's own": (
        {".yarnrc.yml": f"npmScopes:\n  s:\n    npmRegistryServer: {EVIL}\n"},
        {("XC-SUP-145", C)},
    ),
    "yarn 4: the usual one": ({".yarnrc.yml": f"npmRegistryServer: {USUAL}\nnodeLinker: node-modules\n"}, set()),
    "yarn 4: no checksum": ({".yarnrc.yml": "checksumBehavior: ignore\n"}, {("XC-SUP-145", C)}),
    "yarn 4: checksums": ({".yarnrc.yml": "checksumBehavior: throw\nenableStrictSsl: true\n"}, set()),
    "yarn 4: no certificate": ({".yarnrc.yml": "enableStrictSsl: false\n"}, {("XC-SUP-145", C)}),
    "yarn 4: malformed": ({".yarnrc.yml": "a: [\n"}, {("XC-SUP-101", C)}),
    "a program of pnpm": ({".pnpmfile.cjs": "module.exports = {}\n"}, {("XC-SUP-160", U)}),
    "patches of pnpm": (
        {"pnpm-workspace.yaml": "patchedDependencies:\n  left@1.0.0: patches/left.patch\n"},
        {("XC-SUP-113", C)},
    ),
    "no patches of pnpm": ({"pnpm-workspace.yaml": "packages: [a]\npatchedDependencies: {}\n"}, set()),
    "patches that nobody puts on": ({"patches/left+1.0.0.patch": "x"}, set()),
    "a workspace above": ({"../package.json": '{"workspaces": ["prod*"]}'}, {("XC-SUP-160", U)}),
    "a workspace above, as a table": (
        {"../package.json": '{"workspaces": {"packages": ["./**"]}}'},
        {("XC-SUP-160", U)},
    ),
    "a workspace above of others": ({"../package.json": '{"workspaces": ["packages/*"]}'}, set()),
    "a workspace above that is malformed": ({"../package.json": '{"workspaces": [1'}, set()),
    "a workspace of pnpm above": ({"../pnpm-workspace.yaml": "packages: ['*']\n"}, {("XC-SUP-160", U)}),
}


def told(done: Any) -> set[tuple[str, Certainty]]:
    return {(f.code, f.certainty) for f in done.findings if f.certainty is not Certainty.NOTE}


@pytest.mark.parametrize("name", FILES)
def test_settings(name: str, tmp_path: Path, check: Check) -> None:
    npm(tmp_path)
    files, wanted = FILES[name]
    put(tmp_path / "product", files)
    done = check("npm")
    assert (told(done), done.verified) == (wanted, 2)


def manifest(root: Path, **more: Any) -> None:
    path = root / "product/package.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}, indent=1))


def test_patches_that_a_script_puts_on(tmp_path: Path, check: Check) -> None:
    npm(tmp_path)
    manifest(tmp_path, scripts={"postinstall": "patch-package"})
    assert told(check("npm")) == set()
    put(tmp_path / "product", {"patches/@s+right+2.0.0.patch": "x"})
    (one,) = (f for f in check("npm").findings if f.code == "XC-SUP-113")
    assert one.certainty is C and one.params["module"] == "@s/right"


def test_patches_of_pnpm_in_the_manifest(tmp_path: Path, check: Check) -> None:
    npm(tmp_path)
    manifest(tmp_path, pnpm={"patchedDependencies": {"left": "patches/left.patch"}})
    assert told(check("npm")) == {("XC-SUP-113", C)}


def evil(root: Path, *, name: str = "evil") -> None:
    """Another package that the registry really has lies under the name of the one that is asked for."""
    said = json.dumps({"name": name, "version": "1.0.0"})
    data = tar({"package/package.json": said, "package/index.js": "steal()\n"})
    url = f"{USUAL}/{name}/-/{name}-1.0.0.tgz"
    dist = {"integrity": sri(data), "shasum": sha("sha1", data), "tarball": url}
    document = {"name": name, "versions": {"1.0.0": {**json.loads(said), "dist": dist}}}
    put(root / "registry", {f"{name}/package.json": json.dumps(document), f"{name}/{name}-1.0.0.tgz": data})
    put(root / "product", {f"{LEFT}/package.json": said, f"{LEFT}/index.js": "steal()\n"})
    in_lock(LEFT, name=name, resolved=url, integrity=sri(data))(root)


def asked_as(root: Path, spec: str) -> None:
    """The manifest and the lock's own copy of it ask for left as ``spec``."""
    manifest(root, dependencies={"left": spec, "@s/right": "~2.0.0"})
    in_lock("", dependencies={"left": spec, "@s/right": "~2.0.0"})(root)


def test_another_package_under_the_name_that_is_asked_for(tmp_path: Path, check: Check) -> None:
    npm(tmp_path)
    evil(tmp_path)
    assert told(check("npm")) == {("XC-SUP-103", C)}
    asked_as(tmp_path, "npm:evil@^1.0.0")
    done = check("npm")
    assert (told(done), done.verified) == (set(), 2)
    asked_as(tmp_path, "npm:other@^1.0.0")
    assert told(check("npm")) == {("XC-SUP-103", C)}
    asked_as(tmp_path, "^1.0.0")
    manifest(tmp_path, overrides={"left": "npm:evil@1.0.0"})
    assert told(check("npm")) == set()


def test_another_package_under_the_name_that_a_dependency_asks_for(tmp_path: Path, check: Check) -> None:
    npm(tmp_path)
    evil(tmp_path)
    manifest(tmp_path, dependencies={"@s/right": "~2.0.0"})
    in_lock("", dependencies={"@s/right": "~2.0.0"})(tmp_path)
    for spec, wanted in (
        ("^1.0.0", {("XC-SUP-103", C)}),
        ("npm:evil@1.0.0", set()),
        ("npm:evils@1.0.0", {("XC-SUP-103", C)}),
    ):
        in_lock("node_modules/@s/right", dependencies={"left": spec})(tmp_path)
        assert told(check("npm")) == wanted, spec


OLD = {"lockfileVersion": 1, "dependencies": {}}


def of_version_1(root: Path, **left: Any) -> None:
    path = root / "product/package-lock.json"
    packages: Mapping[str, Any] = json.loads(path.read_text())["packages"]
    entries = {name.removeprefix("node_modules/"): one for name, one in packages.items() if name}
    entries["left"] = {**entries["left"], **left}
    path.write_text(json.dumps({**OLD, "dependencies": entries}, indent=1))


@pytest.mark.parametrize(
    ("left", "wanted"),
    [
        ({}, set()),
        ({"bundled": True}, set()),
        ({"bundled": True, "integrity": ""}, {("XC-SUP-104", C)}),
        ({"version": "npm:evil@1.0.0", "resolved": ""}, {("XC-SUP-103", C), ("XC-SUP-107", C)}),
    ],
)
def test_locks_of_version_1(left: Mapping[str, Any], wanted: set[Any], tmp_path: Path, check: Check) -> None:
    npm(tmp_path)
    of_version_1(tmp_path, **left)
    put(tmp_path / "registry", {"evil/package.json": '{"name": "evil", "versions": {}}'})
    (tmp_path / "product/node_modules").rename(tmp_path / "elsewhere")
    assert told(check("npm")) == wanted


BERRY = """__metadata:
  version: 8
"product@workspace:.":
  version: 0.0.0-use.local
  resolution: "product@workspace:."
"left@npm:{asked}":
  version: 1.0.0
  resolution: "{name}@npm:1.0.0"
"""


@pytest.mark.parametrize(
    ("asked", "name", "wanted"),
    [
        ("^1.0.0", "left", set()),
        ("^1.0.0", "evil", {"XC-SUP-115", "XC-SUP-103"}),
        ("evil@^1.0.0", "evil", set()),
    ],
)
def test_yarn_has_the_package_that_is_asked_for(
    asked: str, name: str, wanted: set[str], tmp_path: Path, check: Check
) -> None:
    npm(tmp_path)
    (tmp_path / "product/node_modules").rename(tmp_path / "elsewhere")
    (tmp_path / "product/package-lock.json").unlink()
    spec = f"npm:{asked}" if "@" in asked else asked
    manifest(tmp_path, dependencies={"left": spec})
    put(tmp_path / "product", {"yarn.lock": BERRY.format(asked=asked, name=name)})
    assert {f.code for f in check("npm").findings} & {"XC-SUP-103", "XC-SUP-115"} == wanted
