"""A crate as a contract that is graded: kept, broken, and not to be read, which is never a pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Cause, Decision, Verdict
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.packages.sdk_ast.engine import SdkEngine
from pytest_xinchuang.packages.sdk_ast.rust import reader, tool
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.rust.crates import MANIFEST, crate, needs_rust

pytestmark = [pytest.mark.tools, pytest.mark.slow, needs_rust]

OLD = "pub fn f() {}\n"


def decisions(
    directory: Path, new: str, wanted: tuple[str, ...], platforms: Platforms, catalogue: Catalogue, **more: Any
) -> list[Decision]:
    crate(directory / "old", OLD)
    crate(directory / "new", {"src/lib.rs": new, "Cargo.toml": MANIFEST + 'rust-version = "1.70"\n'})
    sdk = {"language": "rust", "path": "new", "baseline": "old", **more}
    document = {"schema": "xc-subject/1", "name": "x", "version": "1.1.0", "sdk": sdk}
    (directory / "xinchuang.yaml").write_text(json.dumps(document))
    engine = SdkEngine(platforms.get("zhaoxin"), load_subject(directory), catalogue, Cache(), offline=True)
    try:
        return [engine.decision(one) for one in wanted]
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("new", "verdict"),
    [
        (OLD + "pub fn k() {}\n", Verdict.PASS),
        ("pub fn k() {}\n", Verdict.FAIL),
        ("pub fn f( {}\n", Verdict.INCONCLUSIVE),
    ],
)
def test_a_contract(new: str, verdict: Verdict, tmp_path: Path, platforms: Platforms, catalogue: Catalogue) -> None:
    (found,) = decisions(tmp_path, new, ("XC-SDK-010",), platforms, catalogue)
    assert found.verdict is verdict


FORGER = """
use std::{fs, path::Path};
fn main() {
    let out = std::env::var("CARGO_TARGET_DIR").unwrap_or_default();
    let program = Path::new(&out).join("../rustdoc");
    let _ = fs::write(&program, "#!/bin/sh\\nexit 0\\n");
}
"""


@pytest.mark.parametrize(
    ("files", "new", "verdict"),
    [
        ({"build.rs": FORGER}, OLD, Verdict.INCONCLUSIVE),
        ({"build.rs": FORGER}, "pub fn k() {}\n", Verdict.FAIL),
        ({".cargo/config.toml": '[build]\nrustdocflags = ["--cfg", "x"]\n'}, OLD, Verdict.INCONCLUSIVE),
        ({".cargo/config.toml": "[net]\noffline = true\n"}, OLD, Verdict.PASS),
    ],
)
def test_code_of_its_own_that_runs_beside_rustdoc_vouches_for_nothing(
    files: dict[str, str], new: str, verdict: Verdict, tmp_path: Path, platforms: Platforms, catalogue: Catalogue
) -> None:
    crate(tmp_path / "new", files)
    found = decisions(tmp_path, new, ("XC-SDK-010", "XC-SDK-012"), platforms, catalogue)
    assert found[0].verdict is verdict
    assert (found[1].verdict is Verdict.PASS) == (verdict is Verdict.PASS)


@pytest.mark.parametrize(
    ("users", "verdict"), [("1.80", Verdict.PASS), ("1.60", Verdict.FAIL), ("", Verdict.NOT_APPLICABLE)]
)
def test_the_rust_of_the_users(
    users: str, verdict: Verdict, tmp_path: Path, platforms: Platforms, catalogue: Catalogue
) -> None:
    native, run_time = decisions(tmp_path, OLD, ("XC-SDK-004", "XC-SDK-005"), platforms, catalogue, rust=users)
    assert (native.verdict, run_time.verdict) == (Verdict.NOT_APPLICABLE, verdict)


@pytest.mark.parametrize("lost", ["rust", "format"])
def test_a_host_that_cannot_read_it_decides_nothing(
    lost: str, tmp_path: Path, platforms: Platforms, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lost == "rust":
        monkeypatch.setattr(tool.shutil, "which", lambda *_words, **_more: None)
    else:
        monkeypatch.setattr(reader, "FORMATS", frozenset({1}))
    (found,) = decisions(tmp_path, OLD, ("XC-SDK-010",), platforms, catalogue)
    assert (found.verdict, found.cause) == (Verdict.INCONCLUSIVE, Cause.HOST)
