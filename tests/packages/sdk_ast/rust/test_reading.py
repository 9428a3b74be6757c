"""Crates that are read otherwise than one might think, and those that cannot be: each is told, and none passes."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import ToolchainFault, XcError
from pytest_xinchuang.packages.sdk_ast.rust import reader, tool
from pytest_xinchuang.packages.sdk_ast.rust.reader import extract_rust
from pytest_xinchuang.packages.sdk_ast.rust.tool import find_cargo
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources, language_of
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools.process import Runner
from tests.packages.sdk_ast.rust.crates import MANIFEST, compared, crate, diff, needs_rust
from tests.packages.sdk_ast.trees import rules_of

pytestmark = [pytest.mark.tools, pytest.mark.slow, needs_rust]

LIBRARY = "pub fn f() {}\n"


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"src/lib.rs": "pub fn f( {"}, id="a syntax error"),
        pytest.param({"src/lib.rs": "pub fn f() -> u8 { 'x' }"}, id="a body with a wrong type"),
        pytest.param({"src/lib.rs": b"\xff\xfe"}, id="no text"),
        pytest.param({"src/lib.rs": LIBRARY, "build.rs": "fn main() { panic!() }"}, id="a build script that fails"),
        pytest.param({"Cargo.toml": MANIFEST + "\n[dependencies]\nno = { path = 'no' }\n"}, id="a dependency that is missing"),
        pytest.param({"Cargo.toml": MANIFEST.replace("1.0.0", "one")}, id="a version that is none"),
    ],
)  # fmt: skip
def test_a_crate_that_does_not_build_is_undecided(tmp_path: Path, broken: dict[str, str | bytes]) -> None:
    for old, new in ((LIBRARY, {"src/lib.rs": LIBRARY, **broken}), ({"src/lib.rs": LIBRARY, **broken}, LIBRARY)):
        place = tmp_path / ("a" if isinstance(old, str) else "b")
        found = diff(place, old, new)
        assert found.undecided
        assert not found.breaking
        assert "RUST-UNVERIFIABLE" in rules_of(found)
        assert found.old.problems or found.new.problems


def test_both_are_broken(tmp_path: Path) -> None:
    assert diff(tmp_path, "fn f(", "fn f(").undecided


def test_features_that_exclude_each_other(tmp_path: Path) -> None:
    """Nobody knows what is behind them, and the rest is compared as ever."""
    both = 'compile_error!("one of them");'
    text = f'#[cfg(all(feature = "a", feature = "b"))]\n{both}\npub fn f() {{}}\n'
    manifest = MANIFEST + "\n[features]\na = []\nb = []\n"
    old: dict[str, str | bytes] = {"Cargo.toml": manifest, "src/lib.rs": text}
    assert diff(tmp_path / "same", old, old).undecided
    found = diff(tmp_path / "other", old, {**old, "src/lib.rs": text.replace("fn f", "fn k")})
    assert rules_of(found, "breaking") == {"RUST-REMOVED": ["lib::f"]}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"README": "nothing"}, "no Cargo.toml"),
        ({"Cargo.toml": "[package"}, "cannot be read"),
        ({"Cargo.toml": b"\xff"}, "cannot be read"),
        ({"Cargo.toml": MANIFEST, "src/main.rs": "fn main() {}"}, "no library"),
    ],
)
def test_what_is_no_crate(tmp_path: Path, files: dict[str, str | bytes], said: str) -> None:
    for name, content in files.items():
        path = tmp_path / "x" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(XcError, match=said) as caught:
        extract_rust(tmp_path / "x", ("linux/amd64",), tmp_path / "out", offline=True)
    assert caught.value.mend


def test_a_target_without_a_standard_library(tmp_path: Path) -> None:
    crate(tmp_path / "x", LIBRARY)
    with pytest.raises(XcError, match="cannot be read for linux/mips"):
        extract_rust(tmp_path / "x", ("linux/mips",), tmp_path / "out")
    if not find_cargo(Runner()).has_target("loongarch64-unknown-linux-gnu"):
        with pytest.raises(ToolchainFault, match="is not installed") as caught:
            extract_rust(tmp_path / "x", ("linux/loong64",), tmp_path / "out")
        assert "rustup target add" in str(caught.value.mend)


def test_a_format_that_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "FORMATS", frozenset({1}))
    crate(tmp_path / "x", LIBRARY)
    with pytest.raises(ToolchainFault, match=r"format \d+ of its JSON, and 1 can be read") as caught:
        extract_rust(tmp_path / "x", ("linux/amd64",), tmp_path / "out", offline=True)
    assert caught.value.mend


def test_a_host_without_rust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool.shutil, "which", lambda *_words, **_more: None)
    with pytest.raises(ToolchainFault, match="there is no Rust") as caught:
        find_cargo(Runner())
    assert caught.value.mend


def test_the_language_is_that_of_the_directory(tmp_path: Path) -> None:
    assert language_of(crate(tmp_path, LIBRARY)) == "rust"


def test_an_archive_of_cargo_package(tmp_path: Path) -> None:
    for side, text in (("old", LIBRARY), ("new", "pub fn k() {}\n")):
        crate(tmp_path / side, text)
        with tarfile.open(tmp_path / f"lib-{side}.crate", "w:gz") as archive:
            archive.add(tmp_path / side, f"lib-{side}")
    with Sources(Cache(), ReadOptions(offline=True)) as sources:
        old, new = (sources.read(str(tmp_path / f"lib-{side}.crate")) for side in ("old", "new"))
        assert old.header.language == "rust"
        assert set(old.packages) == set(new.packages)
        assert "f=" in old.packages["lib"][0].symbols


def test_a_workspace(tmp_path: Path) -> None:
    def member(name: str) -> dict[str, str | bytes]:
        return {f"{name}/Cargo.toml": MANIFEST.replace('"lib"', f'"{name}"'), f"{name}/src/lib.rs": LIBRARY}

    top: dict[str, str | bytes] = {"Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["*"]\n'}
    found = diff(tmp_path, {**top, **member("a"), **member("b")}, {**top, **member("b"), **member("c")}, fast=True)
    assert set(rules_of(found, "breaking")) == {"RUST-CRATE-REMOVED"}
    assert "RUST-CRATE-ADDED" in rules_of(found)


def test_a_workspace_that_cannot_be_read(tmp_path: Path) -> None:
    top: dict[str, str | bytes] = {"Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["*"]\n'}
    member: dict[str, str | bytes] = {"a/Cargo.toml": MANIFEST.replace('"lib"', '"a"'), "a/src/lib.rs": LIBRARY}
    found = diff(tmp_path, {**top, **member}, {**top, **member, "a/Cargo.toml": "[package]"}, fast=True)
    assert found.undecided
    assert not found.breaking


def test_dependencies_of_tests_are_not_needed(tmp_path: Path) -> None:
    tests = '\n[dev-dependencies]\nnowhere-to-be-had = "9"\n[dev-dependencies.other-one]\nversion = "9"\n'
    files: dict[str, str | bytes] = {"Cargo.toml": MANIFEST + tests + "\n[features]\nx = []\n", "src/lib.rs": LIBRARY}
    found = diff(tmp_path, files, files, fast=True)
    assert not found.changes
    assert set(found.old.packages["lib/Cargo.toml"][0].symbols["manifest"]["facts"]["features"]) == {"x"}


def test_another_name_of_the_library(tmp_path: Path) -> None:
    new: dict[str, str | bytes] = {"Cargo.toml": MANIFEST.replace('"lib"', '"other"'), "src/lib.rs": LIBRARY}
    found = diff(tmp_path, LIBRARY, new, fast=True)
    assert "RUST-CRATE-RENAMED" in rules_of(found, "breaking")


def test_arms_of_a_macro_that_nobody_can_compare(tmp_path: Path) -> None:
    macro = "#[macro_export]\nmacro_rules! m { ($a:ident) => {}; }\n"
    found = diff(tmp_path, macro, macro.replace("$a:ident", "$a:ident, $b:ident"), fast=True)
    assert rules_of(found, "undecided") == {"RUST-MACRO-CHANGED": ["lib::m!"]}


def test_the_least_rust(tmp_path: Path) -> None:
    old = MANIFEST + 'rust-version = "1.70"\n'
    found = diff(
        tmp_path,
        {"Cargo.toml": old, "src/lib.rs": LIBRARY},
        {"Cargo.toml": old.replace("1.70", "1.80"), "src/lib.rs": LIBRARY},
        fast=True,
    )
    assert rules_of(found, "fragile") == {"RUST-MSRV-RAISED": ["lib(rust-version)"]}


def test_a_build_script_cannot_leave_its_wall(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine")
    script = f'fn main() {{ let _ = std::fs::write({str(kept)!r}, "theirs"); }}\n'.replace("'", '"')
    files: dict[str, str | bytes] = {"src/lib.rs": LIBRARY, "build.rs": script}
    found = diff(tmp_path, files, files)
    assert not found.changes
    assert kept.read_text() == "mine"
    assert all(trial.alongside for trial in found.trials)


def test_a_toolchain_that_the_product_names_is_not_run(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "src/lib.rs": LIBRARY,
        "rust-toolchain.toml": '[toolchain]\npath = "/tmp/theirs"\n',
    }
    assert not diff(tmp_path, files, files).undecided


def test_a_lockfile_is_not_written_beside_the_sources(tmp_path: Path) -> None:
    diff(tmp_path, LIBRARY, LIBRARY)
    assert not (tmp_path / "old" / "Cargo.lock").exists()
    assert compared(tmp_path).old.header.version == "1.0.0"
