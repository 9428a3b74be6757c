"""Each template can be read, names what is there, and its own shell grades a subject and writes what the system shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_xinchuang.commands.exits import Exit
from pytest_xinchuang.core.elsewhere import IMAGE, in_container
from tests import named

ROOT = Path(__file__).parents[2]
CI = ROOT / "docs" / "ci"
ACTION, WORKFLOW = CI / "github" / "action.yml", ROOT / ".github" / "workflows" / "grade.yml"
COMPONENT, PLAIN = ROOT / "templates" / "grade.yml", CI / "gitlab.yml"
GITEE, JENKINS, IMAGE_FILE = CI / "gitee.yml", CI / "Jenkinsfile", CI / "Containerfile"
HOOKS = ROOT / ".pre-commit-hooks.yaml"
ALL = [ACTION, WORKFLOW, COMPONENT, PLAIN, GITEE, JENKINS, IMAGE_FILE, HOOKS]


def read(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)


def gitlab(text: str) -> Any:
    """A component's job with the defaults of its inputs."""
    spec, _line, body = text.partition("\n---\n")
    inputs = yaml.load(spec, yaml.CSafeLoader)["spec"]["inputs"]

    def default(found: re.Match[str]) -> str:
        return str(inputs[found[1]]["default"])

    return yaml.load(re.sub(r"\$\[\[ inputs\.(\w+) \]\]", default, body), yaml.CSafeLoader)


def of_github() -> str:
    (step,) = [step for step in read(ACTION)["runs"]["steps"] if step.get("id") == "grade"]
    return str(step["run"])


def of_component() -> str:
    return "\n".join(gitlab(COMPONENT.read_text(encoding="utf-8"))["xinchuang"]["script"])


def of_plain() -> str:
    return "\n".join(read(PLAIN)["xinchuang"]["script"])


def of_gitee() -> str:
    commands = read(GITEE)["stages"][0]["steps"][0]["commands"]
    return "\n".join(line for line in commands if not line.startswith("export "))


def of_jenkins() -> str:
    (text,) = re.findall(r"script: '''(.*?)'''", JENKINS.read_text(encoding="utf-8"), re.DOTALL)
    return str(text)


SHELLS: dict[str, Callable[[], str]] = {
    "github": of_github,
    "gitlab component": of_component,
    "gitlab": of_plain,
    "gitee": of_gitee,
    "jenkins": of_jenkins,
}


@pytest.fixture(scope="module")
def tree() -> named.Tree:
    return named.Tree()


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_template_names_is_there(path: Path, tree: named.Tree) -> None:
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    text = re.sub(r'xc --language "\$XC_LANG"', "xc", text)
    assert "xc " in text or "docs/ci/" in text
    assert not list(tree.wrong_commands(text))
    for name in re.findall(r"docs/ci/[\w/.-]+", text):
        assert (ROOT / name).exists(), name


def test_the_plain_file_is_the_component_with_its_defaults() -> None:
    assert read(PLAIN) == gitlab(COMPONENT.read_text(encoding="utf-8"))


def test_inputs_are_used_and_those_that_are_used_are_declared() -> None:
    for path, mark in ((ACTION, r"\$\{\{ inputs\.([\w-]+)"), (COMPONENT, r"\$\[\[ inputs\.([\w-]+)")):
        text = path.read_text(encoding="utf-8")
        declared = next(yaml.load_all(text, yaml.CSafeLoader))
        inputs = declared["spec"]["inputs"] if path == COMPONENT else declared["inputs"]
        assert set(re.findall(mark, text)) == set(inputs)
    # YAML 1.1 reads `on` as true.
    workflow = read(WORKFLOW)
    inputs = workflow[True]["workflow_call"]["inputs"]
    assert set(re.findall(r"inputs\.([\w-]+)", WORKFLOW.read_text(encoding="utf-8"))) == set(inputs)
    (step,) = [s for s in workflow["jobs"]["grade"]["steps"] if "docs/ci/github" in s.get("uses", "")]
    assert set(step["with"]) == set(read(ACTION)["inputs"])


def test_nothing_of_an_event_is_put_into_a_shell() -> None:
    for path in (ACTION, WORKFLOW):
        for step in _steps(read(path)):
            assert "${{" not in step.get("run", ""), "an expression becomes code: hand it on by env"


def _steps(data: Any) -> list[dict[str, Any]]:
    return list(data["runs"]["steps"] if "runs" in data else data["jobs"]["grade"]["steps"])


def test_what_the_system_shows_is_placed_where_it_looks() -> None:
    job = read(PLAIN)["xinchuang"]
    assert job["artifacts"]["reports"]["junit"] == ".xc/junit.xml" and job["artifacts"]["when"] == "always"
    assert job["allow_failure"]["exit_codes"] == [int(Exit.INCOMPLETE)]
    uploaded = {s["uses"].partition("@")[0]: s for s in _steps(read(WORKFLOW)) if "uses" in s}
    assert uploaded["github/codeql-action/upload-sarif"]["with"]["sarif_file"] == ".xc/inspect.sarif"
    assert uploaded["actions/upload-artifact"]["with"]["include-hidden-files"] is True
    jenkins = JENKINS.read_text(encoding="utf-8")
    assert "testResults: '.xc/junit.xml'" in jenkins and "sarif(pattern: '.xc/inspect.sarif')" in jenkins


def test_the_hooks_run_commands_of_ours(tree: named.Tree) -> None:
    hooks = read(HOOKS)
    assert [hook["id"] for hook in hooks] == ["xc-inspect", "xc-api-diff", "xc-supply-chain"]
    for hook in hooks:
        assert hook["language"] == "python"
        assert not list(tree.wrong_commands(f"{hook['entry']} {' '.join(hook['args'])}"))
        if "files" in hook:
            re.compile(hook["files"])
    inspected = re.compile(hooks[0]["files"])
    assert all(inspected.search(n) for n in ("a.so", "lib/libx.so.1.2", "x.whl", "y.tar.gz", "z.deb", "u.tgz"))
    assert not any(inspected.search(n) for n in ("a.c", "so", "x.sox", "README.md"))


def test_the_image_is_what_messages_name() -> None:
    text = IMAGE_FILE.read_text(encoding="utf-8")
    assert f"-t {IMAGE} ." in text
    assert in_container(["xc", "grade", "--platform", "kunpeng"]) in text
    stages = re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE)
    assert stages[-1] == "slim" and "tools" in stages
    assert text.count("USER 1001") == 2 and "VOLUME /cache" in text and "WORKDIR /work" in text
    assert "toolchains" not in text.split("AS built-tools")[0].partition("AS built")[2]


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A product that is graded by reading alone, an ``xc`` of this tree, and a ``pip`` that installs nothing."""
    place = tmp_path / "product"
    place.mkdir()
    (place / "xinchuang.yaml").write_text("schema: xc-subject/1\nname: small\nversion: '1'\nsupply_chain: {path: .}\n")
    (place / "go.mod").write_text("module example.com/m\n\ngo 1.22\n")
    (place / "m.go").write_text("package m\n\nfunc F() int { return 1 }\n")
    (place / "dist").mkdir()
    (place / "dist" / "tool").write_bytes(Path("/bin/true").read_bytes())
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in {
        "xc": f'exec {shlex.quote(sys.executable)} -m pytest_xinchuang.cli "$@"',
        "python3": "exit 0",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    return place


@pytest.mark.tools
@pytest.mark.slow
@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize("profile", ["", "government-portal"])
def test_its_shell_grades(name: str, profile: str, product: Path) -> None:
    step = {n: str(product.parent / n) for n in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    told = {
        "XC_PLATFORMS": "kunpeng",
        "XC_SUBJECT": ".",
        "XC_PROFILE": profile,
        "XC_ARTIFACTS": "dist/tool",
        "XC_ARGUMENTS": "--suite supply_chain --offline",
        "XC_INCOMPLETE": "true",
        "XC_PACKAGE": "pytest-xinchuang[all]",
        "XC_LANG": "zh",
    }
    places = {
        "PATH": f"{product.parent / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_RUN_ID": "1",
        "CI_JOB_URL": "https://gitlab.example/o/r/-/jobs/1",
        "BUILD_URL": "https://jenkins.example/job/1/",
    }
    # GitHub's and GitLab's shells end at the first command that fails; the others' are sh.
    shell = ["bash", "-eo", "pipefail", "-c"] if name != "jenkins" else ["sh", "-xe", "-c"]
    done = subprocess.run(
        [*shell, SHELLS[name]()],
        cwd=product,
        env={**os.environ, **places, **step, **told},
        capture_output=True,
        check=False,
    )
    # Without a profile, what is beyond L2 counts as well: no bill of materials is delivered.
    code = Exit.CLEAN if profile else Exit.FINDINGS
    assert done.returncode == code, done.stderr.decode()
    written = {path.name for path in (product / ".xc").iterdir()}
    assert {"journal.ndjson", "report.json", "junit.xml", "comment.md", "inspect.sarif"} <= written
    said = (product / ".xc" / "comment.md").read_text(encoding="utf-8")
    assert said.startswith("<!-- xc-report -->\n### `small` `1` 的信创评级")
    if name == "github":
        assert Path(step["GITHUB_OUTPUT"]).read_text() == f"exit-code={int(code)}\n"
        assert Path(step["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8") == said
    if name != "gitee":
        assert "](https://" in said


@pytest.mark.tools
def test_the_shells_are_sound(tmp_path: Path) -> None:
    for name, shell in SHELLS.items():
        place = tmp_path / f"{name}.sh"
        place.write_text(f"#!/bin/bash\n{shell()}")
        subprocess.run(["bash", "-n", place], check=True)
