"""What was not seen is open in every ecosystem, and what its authors withdrew is a note in every ecosystem."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.finding import Certainty
from tests.packages.supply_chain.ecosystems.conftest import Check
from tests.packages.supply_chain.ecosystems.test_standing import served
from tests.packages.supply_chain.ecosystems.worlds import WORLDS, put

ARCHIVES = {
    "npm": "left/left-1.0.0.tgz",
    "pypi": "alpha-1.0-py3-none-any.whl",
    "cargo": "lib-a-1.2.3.crate",
}
"""An archive of each world whose registry names its digest elsewhere."""


def checked(root: Path, ecosystem: str, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    words = ["--offline", "--registry", f"{ecosystem}={root / 'registry'}", "--ecosystem", ecosystem]
    status = main(["supply-chain", "check", str(root / "product"), *words, *more])
    return int(status), capsys.readouterr().out


@pytest.mark.parametrize("ecosystem", ARCHIVES)
def test_a_lock_that_the_registry_confirms_is_open_where_no_byte_was_seen(
    ecosystem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    WORLDS[ecosystem](tmp_path)
    for laid in ("node_modules", "vendor"):
        if (tmp_path / "product" / laid).exists():
            (tmp_path / "product" / laid).rename(tmp_path / laid)
    status, text = checked(tmp_path, ecosystem, capsys)
    assert (status, "XC-SUP-147" in text) == (0, False)
    whole = json.loads(checked(tmp_path, ecosystem, capsys, "--format", "json")[1])["looked_at"]
    (tmp_path / "registry" / ARCHIVES[ecosystem]).unlink()
    status, text = checked(tmp_path, ecosystem, capsys)
    assert status == 3 and "open XC-SUP-147" in text
    data = json.loads(checked(tmp_path, ecosystem, capsys, "--format", "json")[1])
    assert {(f["code"], f["certainty"]) for f in data["findings"] if f["certainty"] != "note"} == {
        ("XC-SUP-147", "undecided")
    }
    assert data["looked_at"]["packages verified"] == whole["packages verified"] - 1
    bom = tmp_path / "bom.json"
    checked(tmp_path, ecosystem, capsys, "--sbom", str(bom))
    said = [
        p["value"]
        for c in json.loads(bom.read_text())["components"]
        for p in c["properties"]
        if p["name"] == "xc:verified"
    ]
    assert said.count("false") == 1


def test_a_registry_that_names_a_digest_and_serves_the_file_is_seen(tmp_path: Path, check: Check) -> None:
    WORLDS["cargo"](tmp_path)
    crate = (tmp_path / "registry/lib-a-1.2.3.crate").read_bytes()
    index = (tmp_path / "registry/index/li/b-/lib-a").read_bytes()
    for answers, verified in (
        ({"/li/b-/lib-a": (200, index)}, 0),
        ({"/li/b-/lib-a": (200, index), "/crates/lib-a/lib-a-1.2.3.crate": (200, crate)}, 1),
        ({"/li/b-/lib-a": (200, index), "/crates/lib-a/lib-a-1.2.3.crate": (200, crate + b"x")}, 0),
    ):
        with served(answers) as (url, _asked):
            done = check("cargo", place=url)
        assert done.verified == verified
        assert any(f.certainty is not Certainty.NOTE for f in done.findings) is (verified == 0)


@pytest.mark.parametrize(
    ("dl", "path"),
    [
        ("{url}/files", "/files/lib-a/1.2.3/download"),
        ("{url}/f/{{crate}}-{{version}}.crate", "/f/lib-a-1.2.3.crate"),
        ("{url}/{{prefix}}/{{lowerprefix}}/{{crate}}/{{version}}", "/li/b-/li/b-/lib-a/1.2.3"),
        (None, "/crates/lib-a/lib-a-1.2.3.crate"),
    ],
)
def test_crates_are_where_the_index_says(dl: str | None, path: str, tmp_path: Path, check: Check) -> None:
    WORLDS["cargo"](tmp_path)
    answers = {
        "/li/b-/lib-a": (200, (tmp_path / "registry/index/li/b-/lib-a").read_bytes()),
        path: (200, (tmp_path / "registry/lib-a-1.2.3.crate").read_bytes()),
    }
    with served(answers) as (url, asked):
        if dl is not None:
            answers["/config.json"] = (200, json.dumps({"dl": dl.format(url=url)}).encode())
        done = check("cargo", place=url)
    assert done.verified == 1 and asked.count("/config.json") == 1


def _yank_pypi(root: Path, *, yanked: bool) -> None:
    path = root / "registry/simple/alpha/index.json"
    page = json.loads(path.read_text())
    page["files"][0]["yanked"] = "broken on some systems" if yanked else False
    put(root, {str(path.relative_to(root)): json.dumps(page)})


def _yank_cargo(root: Path, *, yanked: bool) -> None:
    path = root / "registry/index/li/b-/lib-a"
    path.write_text(json.dumps({**json.loads(path.read_text()), "yanked": yanked}) + "\n")


@pytest.mark.parametrize(("ecosystem", "yank"), [("pypi", _yank_pypi), ("cargo", _yank_cargo)])
@pytest.mark.parametrize("yanked", [True, False])
def test_a_version_that_was_withdrawn_is_a_note_whatever_ecosystem_it_is_of(
    ecosystem: str, yank: object, yanked: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ordinary clients install it where a lock has it, as Go builds with a retracted version: an advisory says more."""
    WORLDS[ecosystem](tmp_path)
    yank(tmp_path, yanked=yanked)  # type: ignore[operator]
    status, text = checked(tmp_path, ecosystem, capsys, "--notes")
    assert (status, "note XC-SUP-146" in text) == (0, yanked)
