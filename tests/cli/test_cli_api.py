"""`xc api`: what OLD and NEW may be, every format, and an exit code for each end."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from sarif_pydantic import Sarif

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.messages import verbatim
from tests.packages.sdk_ast.trees import tree
from tests.report.test_reports import ALLOWED

pytestmark = pytest.mark.tools

OLD: dict[str, str | bytes] = {"p.go": "package m\n\nfunc F() {}\n\nfunc G() {}\n"}
ADDED: dict[str, str | bytes] = {"p.go": "package m\n\nfunc F() {}\n\nfunc G() {}\n\nfunc H() {}\n"}
BROKEN: dict[str, str | bytes] = {"p.go": "package m\n\nfunc F(int) {}\n"}
UNREAD: dict[str, str | bytes] = {"p.go": "package m\n\nfunc F() {}\n", "q.go": "package m\n\nfunc G( {\n"}


@pytest.fixture
def old(tmp_path: Path) -> str:
    return str(tree(tmp_path / "old", OLD))


@pytest.mark.parametrize(("new", "code"), [(OLD, 0), (BROKEN, 1), (UNREAD, 3), (ADDED, 4)])
def test_an_exit_code_for_each_end(tmp_path: Path, old: str, new: dict[str, str | bytes], code: int) -> None:
    assert main(["api", "diff", "--offline", old, str(tree(tmp_path / "new", new))]) == code


def test_an_error_is_another_code(tmp_path: Path, old: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", "diff", "--offline", old, str(tmp_path / "none")]) == 2
    assert "mend:" in capsys.readouterr().err
    assert main(["api", "diff", "--offline", old]) == 2
    assert main(["api", "diff", "--offline", old, old, "--targets", "linux/vax"]) == 2
    assert "is not a target" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("new", "fail_on", "code"),
    [
        (ADDED, "breaking", 0),
        (ADDED, "any", 1),
        (BROKEN, "breaking", 1),
        (UNREAD, "breaking", 0),
        (UNREAD, "undecided", 3),
    ],
)
def test_fail_on(tmp_path: Path, old: str, new: dict[str, str | bytes], fail_on: str, code: int) -> None:
    assert main(["api", "diff", "--offline", old, str(tree(tmp_path / "new", new)), "--fail-on", fail_on]) == code


def test_every_format_tells_the_same_changes(tmp_path: Path, old: str, capsys: pytest.CaptureFixture[str]) -> None:
    new = str(tree(tmp_path / "new", BROKEN))
    said = {}
    for name in ("text", "json", "sarif", "junit", "markdown"):
        assert main(["api", "diff", "--offline", old, new, "--format", name]) == 1
        said[name] = capsys.readouterr().out
    data = json.loads(said["json"])
    assert {(c["rule"], c["symbol"]) for c in data["changes"]} == {
        ("GO-FUNC-PARAM-ADDED", "F"),
        ("GO-FUNC-REMOVED", "G"),
    }
    assert len({c["fingerprint"] for c in data["changes"]}) == 2
    sarif = Sarif.model_validate_json(said["sarif"])
    assert sarif.runs[0].results is not None
    assert {r.rule_id for r in sarif.runs[0].results} == {"GO-FUNC-PARAM-ADDED", "GO-FUNC-REMOVED"}
    root = ElementTree.fromstring(said["junit"])
    assert len(root.findall(".//failure")) == 2
    for element in root.iter():
        children, attributes = ALLOWED[element.tag]
        assert {c.tag for c in element} <= children
        assert set(element.attrib) <= attributes
    for name in ("text", "markdown"):
        assert "GO-FUNC-PARAM-ADDED" in said[name] and "GO-FUNC-REMOVED" in said[name]
    assert main(["api", "diff", "--offline", old, new, "--language", "zh"]) == 1
    assert "不再存在" in capsys.readouterr().out


def test_snapshots_as_baseline(tmp_path: Path, old: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("base.jsonl", "base.jsonl.gz"):
        file = str(tmp_path / name)
        assert main(["api", "snapshot", "--offline", old, "--output", file]) == 0
        assert main(["api", "diff", "--offline", file, old]) == 0
        assert main(["api", "diff", "--offline", file, str(tree(tmp_path / "new", BROKEN))]) == 1
    first = Path(tmp_path / "base.jsonl.gz").read_bytes()
    main(["api", "snapshot", "--offline", old, "--output", str(tmp_path / "base.jsonl.gz")])
    assert Path(tmp_path / "base.jsonl.gz").read_bytes() == first
    capsys.readouterr()
    # Of another target: nothing can be said.
    assert main(["api", "diff", "--offline", str(tmp_path / "base.jsonl"), old, "--targets", "arm64"]) == 2
    assert "make the snapshot again with the same --targets" in capsys.readouterr().err


def test_git_revisions_without_touching_the_working_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tree(tmp_path / "repo", {"sdk/p.go": OLD["p.go"], "sdk/go.mod": "module example.com/m\n\ngo 1.21\n"})

    def git(*words: str) -> None:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
        subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True)

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    git("tag", "v1.2.0")
    (root / "sdk/p.go").write_bytes(bytes(str(BROKEN["p.go"]), "ascii"))
    monkeypatch.chdir(root / "sdk")
    assert main(["api", "diff", "--offline", "v1.2.0", "."]) == 1
    assert "the next version is at least v2.0.0" in capsys.readouterr().out
    assert main(["api", "diff", "--offline", "v1.2.0", "HEAD"]) == 0
    assert "func F(int)" in (root / "sdk/p.go").read_text()
    assert main(["api", "diff", "--offline", "v9", "."]) == 2


def test_a_revision_may_have_links_that_lead_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tree(tmp_path / "repo", {"p.go": OLD["p.go"], "go.mod": "module example.com/m\n\ngo 1.21\n"})
    (root / "absolute").symlink_to("/etc/hostname")
    (root / "above").symlink_to("../..")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"], ["tag", "v1.2.0"]):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
        subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True)
    monkeypatch.chdir(root)
    assert main(["api", "diff", "--offline", "v1.2.0", "."]) == 0, capsys.readouterr().err


def test_across(tmp_path: Path, old: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", "diff", "--offline", old, "--across", "amd64,arm64,loong64"]) == 0
    files: dict[str, str | bytes] = {**OLD, "q_amd64.go": "package m\n\nfunc Fast() {}\n"}
    capsys.readouterr()
    assert main(["api", "diff", "--offline", str(tree(tmp_path / "x", files)), "--across", "amd64,arm64,loong64"]) == 1
    assert "Fast is gone" in (said := capsys.readouterr().out) and "[on linux/arm64, linux/loong64 alone]" in said
    assert main(["api", "diff", "--offline", old, old, "--across", "amd64,arm64"]) == 2
    assert main(["api", "diff", "--offline", old, "--across", "amd64"]) == 2


def test_rules_are_explained_with_their_witness(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", "rules"]) == 0
    assert "GO-IFACE-METHOD-ADDED" in capsys.readouterr().out
    assert main(["api", "rules", "go-iface-method-added", "--language", "zh"]) == 0
    said = capsys.readouterr().out
    assert "接口增加了方法" in said and "var _ p.I = t{}" in said
    assert main(["api", "rules", "GO-NONE"]) == 2


def test_without_go_it_says_so(old: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing(*_: object) -> None:
        raise ToolchainFault(verbatim("Go is not installed"))

    monkeypatch.setattr("pytest_xinchuang.tools.go.find_go", missing)
    assert main(["api", "diff", "--offline", old, old]) == 3
    assert "Go is not installed; only the syntax of Go was read" in capsys.readouterr().err
