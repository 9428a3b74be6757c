"""Pinned packages of npm, pnpm and Yarn: what is installed on a platform."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.advise.node.survey import NodeSurvey
from tests.advise.asking import Asked, ask


def asked(root: Path, **files: str) -> Asked:
    return ask(NodeSurvey(), root, {name.replace("__", "."): text for name, text in files.items()})


def npm(*machines: str, parent: dict[str, Any] | None = None, more: dict[str, Any] | None = None) -> str:
    """A package-lock.json of a package with one package for each machine."""
    names = {f"@fast/linux-{m}": "1.0" for m in machines}
    packages: dict[str, Any] = {
        "": {"name": "product", "dependencies": {"fast": "1"}},
        "node_modules/fast": {"version": "1.0", "optionalDependencies": names, **(parent or {})},
    }
    for machine in machines:
        own = {"version": "1.0", "cpu": [machine], "os": ["linux"], "optional": True}
        packages[f"node_modules/@fast/linux-{machine}"] = own
    return json.dumps({"lockfileVersion": 3, "packages": {**packages, **(more or {})}}, indent=2)


FAST = ("XC-ADV-090", "package-lock.json:10")


def test_a_package_with_one_for_each_machine(tmp_path: Path) -> None:
    said = asked(tmp_path, **{"package-lock__json": npm("x64", "arm64", "ppc64")})
    assert said.certain("loongson") == [FAST] == said.found("loongson")
    assert not said.found("kunpeng") and not said.found("hygon") and said.judged("kunpeng") == [(4, 4)]


def test_all_machines_are_there(tmp_path: Path) -> None:
    assert not asked(tmp_path, **{"package-lock__json": npm("x64", "arm64", "loong64")}).said.findings


def test_nothing_for_linux_on_x64_is_no_difference(tmp_path: Path) -> None:
    assert not asked(tmp_path, **{"package-lock__json": npm("ia32")}).said.findings


@pytest.mark.parametrize(
    ("parent", "more"),
    [
        ({"optional": True}, {}),
        ({"hasInstallScript": True}, {}),
        ({}, {"node_modules/@fast/wasm": {"version": "1.0", "cpu": ["wasm32"], "optional": True}}),
    ],
)
def test_what_may_do_without_is_not_certain(tmp_path: Path, parent: dict[str, Any], more: dict[str, Any]) -> None:
    text = npm("x64", parent=parent, more=more)
    if more:
        text = text.replace('"@fast/linux-x64": "1.0"', '"@fast/linux-x64": "1.0", "@fast/wasm": "1.0"')
    said = asked(tmp_path, **{"package-lock__json": text})
    assert said.may("kunpeng") == [FAST] and not said.certain("kunpeng")


def test_what_is_not_installed_on_the_platform_lacks_nothing_there(tmp_path: Path) -> None:
    below = {
        "node_modules/@fast/linux-x64": {
            "version": "1.0", "cpu": ["x64"], "os": ["linux"], "optional": True,
            "optionalDependencies": {"@fast/lib-linux-x64": "1.0"},
        },
        "node_modules/@fast/lib-linux-x64": {"version": "1.0", "cpu": ["x64"], "os": ["linux"], "optional": True},
    }  # fmt: skip
    assert not asked(tmp_path, **{"package-lock__json": npm("x64", "arm64", "loong64", more=below)}).said.findings


def test_a_lock_that_was_written_on_one_machine(tmp_path: Path) -> None:
    text = npm("x64").replace('"@fast/linux-x64": "1.0"', '"@fast/linux-x64": "1.0", "@fast/linux-arm64": "1.0"')
    said = asked(tmp_path, **{"package-lock__json": text})
    assert said.may("kunpeng") == [FAST] and said.certain("loongson") == [FAST]


def test_a_package_that_refuses_the_machine(tmp_path: Path) -> None:
    more = {"node_modules/only": {"version": "2.0", "cpu": ["x64", "arm64"]}}
    said = asked(tmp_path, **{"package-lock__json": npm("x64", "arm64", "loong64", more=more)})
    assert [code for code, _place in said.certain("loongson")] == ["XC-ADV-090"] and not said.found("kunpeng")


def test_a_package_that_fetches_may_have_nothing(tmp_path: Path) -> None:
    more = {"node_modules/old": {"version": "2.0", "hasInstallScript": True, "dependencies": {"prebuild-install": "7"}}}
    said = asked(tmp_path, **{"package-lock__json": npm("x64", "arm64", "loong64", more=more)})
    assert [code for code, _place in said.may("kunpeng")] == ["XC-ADV-091"] and not said.found("hygon")


PNPM = """lockfileVersion: '9.0'

packages:

  '@fast/linux-x64@1.0.0':
    resolution: {{integrity: sha512-0}}
    cpu: [x64]
    os: [linux]
{other}
  fast@1.0.0:
    resolution: {{integrity: sha512-0}}

snapshots:

  '@fast/linux-x64@1.0.0':
    optional: true

  fast@1.0.0:
    optionalDependencies:
      '@fast/linux-x64': 1.0.0
      '@fast/linux-arm64': 1.0.0
"""
ARM = "\n  '@fast/linux-arm64@1.0.0':\n    resolution: {integrity: sha512-0}\n    cpu: [arm64]\n    os: [linux]\n"


def test_pnpm(tmp_path: Path) -> None:
    said = asked(tmp_path, **{"pnpm-lock__yaml": PNPM.format(other=ARM)})
    # Whether something is run when it is installed, which may build it, is not said from pnpm 9 on.
    assert said.found("loongson") == [("XC-ADV-090", "pnpm-lock.yaml:15")] == said.may("loongson")
    assert not said.found("kunpeng")
    old = PNPM.format(other=ARM).replace("'9.0'", "'6.0'").replace('"9.0"', '"6.0"')
    assert old != PNPM.format(other=ARM)
    assert asked(tmp_path / "old", **{"pnpm-lock__yaml": old}).certain("loongson")
    built = old.replace("  fast@1.0.0:\n    resolution", "  fast@1.0.0:\n    requiresBuild: true\n    resolution", 1)
    assert not asked(tmp_path / "built", **{"pnpm-lock__yaml": built}).certain("loongson")


def test_pnpm_warns_of_a_package_that_is_not_for_the_machine(tmp_path: Path) -> None:
    text = PNPM.format(other=ARM).replace(
        "  fast@1.0.0:\n    resolution", "  fast@1.0.0:\n    cpu: [x64]\n    resolution", 1
    )
    said = asked(tmp_path, **{"pnpm-lock__yaml": text})
    assert said.may("kunpeng") == said.found("kunpeng") == [("XC-ADV-090", "pnpm-lock.yaml:15")]


BERRY = """__metadata:
  version: 8

"@fast/linux-x64@npm:1.0.0":
  version: 1.0.0
  resolution: "@fast/linux-x64@npm:1.0.0"
  conditions: os=linux & cpu=x64
  languageName: node

"@fast/linux-{machine}@npm:1.0.1":
  version: 1.0.1
  resolution: "@fast/linux-{machine}@npm:1.0.1"
  conditions: os=linux & cpu={machine}
  languageName: node

"fast@npm:^1.0.0":
  version: 1.0.0
  resolution: "fast@npm:1.0.0"
  dependencies:
    "@fast/linux-x64": "npm:1.0.0"
    "@fast/linux-{machine}": "npm:1.0.1"
  dependenciesMeta:
    "@fast/linux-x64":
      optional: true
    "@fast/linux-{machine}":
      optional: true
  languageName: node
"""


def test_yarn(tmp_path: Path) -> None:
    said = asked(tmp_path, yarn__lock=BERRY.format(machine="arm64"))
    assert said.may("loongson") == [("XC-ADV-090", "yarn.lock:16")] == said.found("loongson") and not said.found(
        "kunpeng"
    )


YARN = """# yarn lockfile v1


fast@^1.0.0:
  version "1.0.0"
  optionalDependencies:
    "@fast/linux-x64" "1.0.0"
    "@fast/linux-arm64" "1.0.0"
"""


def test_yarn_of_old_knows_names_alone(tmp_path: Path) -> None:
    said = asked(tmp_path, yarn__lock=YARN)
    assert said.may("loongson") == [("XC-ADV-090", "yarn.lock:4")] and not said.found("kunpeng")
    assert said.judged("loongson") == [(0, 1)]


@pytest.mark.parametrize("text", ["", "{", "[1]", "\0", '{"lockfileVersion": 3, "packages": [1]}', "a: &a [*a]", "- {"])
@pytest.mark.parametrize("name", ["package-lock__json", "pnpm-lock__yaml", "yarn__lock"])
def test_what_is_no_lock_file_is_told_and_never_clean(tmp_path: Path, name: str, text: str) -> None:
    said = asked(tmp_path, **{name: text})
    assert said.judged("kunpeng") == [(0, 1)] and not said.said.findings


def test_without_a_lock_nothing_is_judged(tmp_path: Path) -> None:
    names = {f"@fast/linux-{m}": "1" for m in ("x64", "arm64")}
    text = json.dumps({"name": "fast", "dependencies": {"a": "1"}, "optionalDependencies": names}, indent=2)
    said = asked(tmp_path, package__json=text)
    assert said.judged("kunpeng") == [(0, 4)] and not said.found("kunpeng")
    assert said.may("loongson") == [("XC-ADV-090", "package.json:6")]


def test_a_lock_of_a_workspace_locks_what_is_below_it(tmp_path: Path) -> None:
    files = {"package-lock.json": npm("x64", "arm64", "loong64"), "a/package.json": '{"dependencies": {"x": "1"}}'}
    said = ask(NodeSurvey(), tmp_path, files)
    assert said.judged("loongson") == [(4, 4)]


def own(*cpu: str, **more: Any) -> str:
    return json.dumps({"name": "own", "version": "1.0.0", **({"cpu": list(cpu)} if cpu else {}), **more}, indent=1)


def test_a_project_that_says_for_which_machines_it_is(tmp_path: Path) -> None:
    said = asked(tmp_path / "bad", package__json=own("x64", "arm64"))
    assert said.certain("loongson") == [("XC-ADV-090", "package.json:4")] and not said.found("kunpeng")
    assert not asked(tmp_path / "good", package__json=own("x64", "arm64", "loong64")).said.findings
    assert not asked(tmp_path / "all", package__json=own("!ia32")).said.findings
    warned = asked(tmp_path / "pnpm", package__json=own("x64"), **{"pnpm-lock__yaml": "lockfileVersion: '9.0'\n"})
    assert warned.may("kunpeng") == [("XC-ADV-090", "package.json:4")] and not warned.certain("kunpeng")


def test_a_workspace_is_installed_with_it_and_a_package_for_one_machine_is_not(tmp_path: Path) -> None:
    files = {"package.json": own(workspaces=["packages/*"]), "packages/b/package.json": own("x64")}
    assert ask(NodeSurvey(), tmp_path / "bad", files).certain("kunpeng") == [
        ("XC-ADV-090", "packages/b/package.json:4")
    ]
    files = {"package.json": own(workspaces=["packages/*"]), "npm/linux-x64/package.json": own("x64")}
    assert not ask(NodeSurvey(), tmp_path / "good", files).said.findings
    files = {"package.json": own(workspaces={"packages": 3}), "packages/b/package.json": own("x64")}
    assert not ask(NodeSurvey(), tmp_path / "broken", files).said.findings
