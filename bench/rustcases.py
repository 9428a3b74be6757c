"""What is true of the cases in Rust, by cargo.

``client/client.rs`` is the library of a crate that depends on the case by path, as its users have it: ``cargo check`` builds it
with the old version and then with the new one. A case whose client asks for features has a ``client/Cargo.toml``, in which
``SIDE`` stands for the directory of either version.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from pytest_xinchuang.packages.sdk_ast.rust.tool import find_cargo
from pytest_xinchuang.tools.process import Runner

MANIFEST = """[package]
name = "client"
version = "1.0.0"
edition = "2021"

[lib]
path = "client.rs"

[dependencies]
lib = { path = "SIDE" }
"""


def truth(directory: Path) -> tuple[str, ...]:
    """The axes on which the client breaks, in a directory where the case was written.

    Raises:
        RuntimeError: the client does not even build with the old version, or a version does not build by itself.
    """
    if said := _complaint(directory, "old"):
        raise RuntimeError(f"{directory}: the client does not build with the old version: {said}")
    return ("source",) if _complaint(directory, "new") else ()


def _complaint(directory: Path, side: str) -> str:
    client = directory / f"client-{side}"
    client.mkdir()
    for path in (directory / "client").iterdir():
        (client / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    given = client / "Cargo.toml"
    text = given.read_text(encoding="utf-8") if given.is_file() else MANIFEST
    given.write_text(text.replace("SIDE", str(directory / side)), encoding="utf-8")
    if said := _check(directory / side):
        raise RuntimeError(f"{directory / side} does not build: {said}")
    return _check(client)


def _check(crate: Path) -> str:
    cargo = find_cargo(Runner())
    done = subprocess.run(
        [str(cargo.program), "check", "--offline", "--quiet", "--lib", "--manifest-path", str(crate / "Cargo.toml")],
        cwd=crate,
        env={
            **os.environ,
            "PATH": f"{cargo.program.parent}:{os.environ['PATH']}",
            "CARGO_TARGET_DIR": str(crate / "target"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.stderr if done.returncode else ""
