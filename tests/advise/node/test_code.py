"""Modules of JavaScript that ask for the machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_xinchuang.advise.node.survey import NodeSurvey
from tests.advise.asking import Asked, ask, library

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js"),
]


def run(root: Path, *, build: bool = True, **files: str | bytes) -> Asked:
    named = {f"{name}.js": text for name, text in files.items()}
    return ask(NodeSurvey(), root, {"package.json": "{}", **named}, ("kunpeng", "hygon", "loongson"), build=build)


SWITCH = """const missing = require("not-installed");
const { platform, arch } = process;
let binding;
switch (arch) {
  case "x64": binding = require("@fast/binding-linux-x64"); break;
  case "arm64": binding = require("./fast.linux-arm64.node"); break;
  default: %s
}
module.exports = { binding };
"""


def test_a_module_that_throws_on_the_platform_alone(tmp_path: Path) -> None:
    said = run(tmp_path / "bad", index=SWITCH % "throw new Error(`no ${arch}`);")
    assert said.certain("loongson") == [("XC-ADV-081", "index.js:7")] == said.found("loongson")
    assert not said.found("kunpeng") and said.judged("kunpeng") == [(1, 1)]
    assert not run(tmp_path / "good", index=SWITCH % "binding = null;").said.findings


def test_a_function_that_is_exported(tmp_path: Path) -> None:
    text = "const os = require('os');\nexports.name = () => {\n  if (os.arch() === 'x64') return 'x';\n  %s\n};\n"
    assert run(tmp_path / "bad", a=text % "throw new TypeError();").certain("kunpeng") == [("XC-ADV-081", "a.js:4")]
    assert run(tmp_path / "may", a=text % "return null;").may("kunpeng") == [("XC-ADV-081", "a.js")]
    assert not run(tmp_path / "good", a=text % "return 'any';").said.findings


@pytest.mark.parametrize(
    "text",
    [
        "module.exports = { start(options) { return pick(); } };\nfunction pick() { if (process.arch !== 'x64') throw 1; }\n",
        "const A = require('os').arch();\nmodule.exports = class { load(x) { if (A !== 'x64') throw new Error(); } };\n",
    ],
)
def test_functions_that_ask_and_that_nothing_calls_are_not_judged(tmp_path: Path, text: str) -> None:
    said = run(tmp_path / "not", a=text)
    assert said.judged("kunpeng") == [(0, 1)] and "nothing here calls them" in said.why("kunpeng")
    said = run(
        tmp_path / "called", a=text, b="const a = require('./a'); a.start ? a.start() : new a().load(); process.arch;"
    )
    assert said.judged("kunpeng") == [(2, 2)] and said.found("kunpeng") and not said.found("hygon")
    said = run(tmp_path / "at once", a="const A = process.arch;\nexports.name = A;\nexports.other = (x) => x;\n")
    assert said.judged("kunpeng") == [(1, 1)] and not said.said.findings


def test_an_exit_of_the_process_is_an_error_too(tmp_path: Path) -> None:
    said = run(tmp_path, a="if (process.arch !== 'x64') {\n  process.exit(1);\n}\n")
    assert said.certain("kunpeng") == [("XC-ADV-081", "a.js:2")] and not said.found("hygon")


def test_what_cannot_be_loaded_is_not_judged(tmp_path: Path) -> None:
    said = run(tmp_path, a="require('./made-by-the-build'); process.arch;", b="import x from 'y'; process.arch;", c="1")
    assert said.judged("kunpeng") == [(1, 3)] and not said.said.findings


def test_nothing_is_run_where_no_build_may_be_run(tmp_path: Path) -> None:
    said = run(tmp_path, build=False, index=SWITCH % "throw new Error();")
    assert said.judged("loongson") == [(0, 1)] and not said.said.findings


def test_what_ends_the_process_leaves_the_others(tmp_path: Path) -> None:
    ends = "if (process.arch === 'arm64') process.reallyExit(0);"
    said = run(tmp_path, a=ends, b=SWITCH % "throw new Error();")
    assert said.certain("loongson") == [("XC-ADV-081", "b.js:7")]


def test_modules_that_were_built_before(tmp_path: Path) -> None:
    files = {f"prebuilds/linux-{a}/fast.node": library(m) for a, m in (("x64", "x86_64"), ("arm64", "aarch64"))}
    said = ask(NodeSurvey(), tmp_path, {"package.json": "{}", **files}, ("kunpeng", "loongson"))
    assert said.may("loongson") == [("XC-ADV-083", "prebuilds/linux-x64/fast.node")] and not said.found("kunpeng")
