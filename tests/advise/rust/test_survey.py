"""Rust crates that stop a port, each beside its twin that does not."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_xinchuang.advise.rust.survey import RustSurvey
from pytest_xinchuang.core.advice import Advice, Standing
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.tools.defaults import Default, default
from tests.advise.trees import advised, said, written
from tests.conftest import SHARED_CACHE

pytestmark = pytest.mark.tools

TARGET = "aarch64-unknown-linux-gnu"
MANIFEST = '[package]\nname = "e"\nversion = "0.1.0"\nedition = "2021"\n'
Advise = Callable[[dict[str, str]], Advice]


@pytest.fixture(scope="session")
def target() -> str:
    """A target whose standard library is here."""
    rustc = shutil.which("rustc")
    if rustc is None:
        pytest.skip("there is no Rust")
    words = [rustc, "--print", "target-libdir", "--target", TARGET]
    place = Path(subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip())
    if not any(place.glob("libstd-*.rlib")):
        pytest.skip(f"Rust's standard library for {TARGET} is not here")
    return TARGET


@pytest.fixture
def advise(tmp_path: Path, platforms: Platforms, target: str) -> Advise:
    """What is said of a tree of files for Kunpeng."""

    def _advise(files: dict[str, str]) -> Advice:
        shutil.rmtree(tmp_path / "tree", ignore_errors=True)
        root = written(tmp_path / "tree", {"Cargo.toml": MANIFEST, **files})
        before = sorted(root.rglob("*"))
        scratch = tmp_path / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        found = advised(root, RustSurvey(), platforms, ["kunpeng"], scratch=scratch, kept=tmp_path / "kept")
        assert sorted(root.rglob("*")) == before
        return found["kunpeng"]

    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/zig").symlink_to(SHARED_CACHE / "jailed-zig")
    return _advise


GUARD = '#[cfg(target_arch = "x86_64")]\n'
OTHERS = '#[cfg(not(target_arch = "x86_64"))]\n'


OF_HOST = 'fn main() {\n    if cfg!(target_arch = "x86_64") {\n        println!("cargo:rustc-cfg=fast");\n    }\n}\n'
OF_TARGET = """fn main() {
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86_64") {
        println!("cargo:rustc-cfg=fast");
    }
}
"""
FAST = """#[cfg(fast)]
pub fn t() -> u64 {
    unsafe { core::arch::x86_64::_rdtsc() }
}
#[cfg(not(fast))]
pub fn t() -> u64 {
    0
}
"""


def test_a_build_script_that_asks_for_its_own_machine_goes_another_way_on_the_platform(advise: Advise) -> None:
    found = advise({"src/lib.rs": FAST, "build.rs": OF_HOST})
    assert said(found, Certainty.GUARDED) == [("XC-ADV-070", "src/lib.rs:3")] == said(found)
    assert advise({"src/lib.rs": FAST, "build.rs": OF_TARGET}).standing is Standing.BUILDS
    refuses = 'fn main() {\n    if !cfg!(target_arch = "x86_64") {\n        panic!("x86 alone");\n    }\n}\n'
    found = advise({"src/lib.rs": "", "build.rs": refuses})
    assert found.standing is Standing.OPEN and (found.parts[0].judged, found.parts[0].total) == (0, 1)


def test_what_a_build_script_panics_of_is_told_without_our_own_places(advise: Advise) -> None:
    text = 'fn main() {\n    match std::env::var("CARGO_CFG_TARGET_ARCH").unwrap().as_str() {\n        "x86_64" => {}\n'
    found = advise({"src/lib.rs": "", "build.rs": text + '        other => panic!("no {other}"),\n    }\n}\n'})
    assert said(found) == [("XC-ADV-072", "build.rs")]
    assert found.findings[0].params["error"].endswith("`e v0.1.0 (.)`: build.rs:4: no aarch64")


def test_an_intrinsic_without_a_guard_is_told_at_its_line(advise: Advise) -> None:
    ticks = "pub fn t() -> u64 {\n    unsafe { core::arch::x86_64::_rdtsc() }\n}\n"
    found = advise({"src/lib.rs": ticks})
    assert said(found, Certainty.CERTAIN) == [("XC-ADV-070", "src/lib.rs:2")] == said(found)
    assert found.findings[0].evidence["kind"] == "E0433"
    found = advise({"src/lib.rs": GUARD + ticks + OTHERS + "pub fn t() -> u64 {\n    0\n}\n"})
    assert found.standing is Standing.BUILDS and found.findings == ()
    assert (found.parts[0].judged, found.parts[0].total) == (1, 1)


def test_an_arm_that_refuses_others_is_told_where_it_is(advise: Advise) -> None:
    refused = 'compile_error!("x86-64 alone");\n'
    assert said(advise({"src/lib.rs": f"pub fn f() {{}}\n{OTHERS}{refused}"})) == [("XC-ADV-070", "src/lib.rs:3")]
    assert advise({"src/lib.rs": f'pub fn f() {{}}\n#[cfg(target_arch = "x86")]\n{refused}'}).findings == ()


def test_assembler_is_judged_by_an_assembler(advise: Advise) -> None:
    """`cargo check` takes any text for assembler."""
    text = 'pub fn f() {{\n    unsafe {{ core::arch::asm!("{}") }}\n}}\n'
    assert said(advise({"src/lib.rs": text.format("cpuid")})) == [("XC-ADV-070", "src/lib.rs:2")]
    assert advise({"src/lib.rs": text.format("nop")}).standing is Standing.BUILDS


def test_a_program_is_not_linked_for_the_target(advise: Advise) -> None:
    text = 'fn main() {\n    unsafe { core::arch::asm!("nop") }\n}\n'
    assert advise({"src/main.rs": text}).standing is Standing.BUILDS


def vendored(code: str) -> dict[str, str]:
    """A crate with a vendored one, locked as Cargo here names its registry."""
    usual = default("cargo")
    assert isinstance(usual, Default), usual
    (name,) = usual.addresses
    lock = VENDORED["Cargo.lock"].replace("REGISTRY", f"registry+{name}")
    return {**VENDORED, "Cargo.lock": lock, "vendor/dep/src/lib.rs": code}


VENDORED = {
    ".cargo/config.toml": '[source.crates-io]\nreplace-with = "here"\n\n[source.here]\ndirectory = "vendor"\n',
    "Cargo.toml": MANIFEST + '\n[dependencies]\ndep = "1.2.3"\n',
    "Cargo.lock": 'version = 3\n\n[[package]]\nname = "dep"\nversion = "1.2.3"\nsource = '
    '"REGISTRY"\nchecksum = '
    '"0000000000000000000000000000000000000000000000000000000000000000"\n\n[[package]]\nname = "e"\nversion = "0.1.0"\n'
    'dependencies = [\n "dep",\n]\n',
    "vendor/dep/Cargo.toml": '[package]\nname = "dep"\nversion = "1.2.3"\nedition = "2021"\n',
    "vendor/dep/.cargo-checksum.json": '{"files":{},"package":'
    '"0000000000000000000000000000000000000000000000000000000000000000"}',
    "src/lib.rs": "pub use dep::f;\n",
}


def test_a_dependency_is_told_where_it_is_required(advise: Advise) -> None:
    found = advise(vendored(f"{GUARD}pub fn f() {{}}\npub fn g() {{\n    f()\n}}\n"))
    assert said(found) == [("XC-ADV-071", "Cargo.toml:7")]
    assert found.findings[0].params["crate"] == "dep 1.2.3" and found.findings[0].evidence["stops"] == ["e"]
    assert advise(vendored("pub fn f() {}\n")).standing is Standing.BUILDS


def test_a_build_script_that_fails_for_the_target_alone_may_stop_it(advise: Advise) -> None:
    script = 'fn main() {{\n    assert_ne!(std::env::var("CARGO_CFG_TARGET_ARCH").unwrap(), "{}");\n}}\n'
    found = advise({"src/lib.rs": "", "build.rs": script.format("aarch64")})
    assert said(found, Certainty.GUARDED) == [("XC-ADV-072", "build.rs")] and found.standing is Standing.OPEN
    assert advise({"src/lib.rs": "", "build.rs": script.format("riscv64")}).standing is Standing.BUILDS
    found = advise({"src/lib.rs": "", "build.rs": script.format("x86_64")})
    assert found.findings == () and found.standing is Standing.OPEN and found.parts[0].judged == 0


def test_a_build_script_has_no_network_and_cannot_write_into_the_tree(advise: Advise, tmp_path: Path) -> None:
    script = f"""fn main() {{
    assert!(std::net::TcpStream::connect("127.0.0.1:1").is_err());
    assert!(std::fs::write("{tmp_path}/tree/written", "x").is_err());
}}
"""
    assert advise({"src/lib.rs": "", "build.rs": script}).standing is Standing.BUILDS


def test_what_fails_for_both_is_not_judged(advise: Advise) -> None:
    found = advise({"src/lib.rs": "pub fn f() -> u8 { missing }\n"})
    assert found.findings == () and found.standing is Standing.OPEN and found.parts[0].judged == 0
    found = advise({"Cargo.toml": "[package\n"})
    assert found.findings == () and found.standing is Standing.OPEN


def test_members_of_a_workspace_are_judged_each(advise: Advise) -> None:
    found = advise(
        {
            "Cargo.toml": '[workspace]\nmembers = ["a", "b"]\nresolver = "2"\n',
            "a/Cargo.toml": MANIFEST.replace('"e"', '"a"') + '\n[dependencies]\nb = { path = "../b" }\n',
            "a/src/lib.rs": "pub use b::f;\n",
            "b/Cargo.toml": MANIFEST.replace('"e"', '"b"'),
            "b/src/lib.rs": f"{GUARD}pub mod inner {{\n    pub fn f() {{}}\n}}\npub use inner::f;\n",
        }
    )
    assert said(found) == [("XC-ADV-070", "b/src/lib.rs:5")] and (found.parts[0].judged, found.parts[0].total) == (2, 2)
    assert found.findings[0].evidence["stops"] == ["a", "b"]


def test_flags_that_only_one_architecture_knows(advise: Advise) -> None:
    flags = '[{}]\nrustflags = ["-C", "target-cpu=haswell"]\n'
    found = advise({"src/lib.rs": "", ".cargo/config.toml": flags.format("build")})
    assert said(found, Certainty.NOTE) == [("XC-ADV-073", ".cargo/config.toml:2")] == said(found)  # it is passed over
    one = {"src/lib.rs": "", ".cargo/config.toml": flags.format("target.x86_64-unknown-linux-gnu")}
    assert advise(one).findings == ()
    one[".cargo/config.toml"] = flags.format("build").replace("haswell", "cortex-a57")
    assert ("XC-ADV-073", ".cargo/config.toml:2") not in said(advise(one))


def test_c_of_a_build_script_is_compiled_for_the_target(advise: Advise) -> None:
    """As the crate cc calls it: by CC_<target>, with a target that rustc knows."""
    script = """use std::process::Command;

fn main() {
    let target = std::env::var("TARGET").unwrap();
    let cc = std::env::var(format!("CC_{}", target.replace('-', "_"))).unwrap();
    let out = std::env::var("OUT_DIR").unwrap();
    let ours = format!("--target={target}");
    assert!(Command::new(cc).args([&ours, "-c", "x.c", "-o", &format!("{out}/x.o")]).status().unwrap().success());
}
"""
    files = {"src/lib.rs": "", "build.rs": script, "x.c": "#include <string.h>\nint f(void) { return 1; }\n"}
    assert advise(files).standing is Standing.BUILDS
    found = advise({**files, "x.c": "#include <immintrin.h>\nint f(void) { return 1; }\n"})
    assert said(found) == [("XC-ADV-072", "build.rs")] and found.standing is Standing.OPEN
