"""Writes the snapshot of a crate or workspace: each library is a package for each set of features, and so is its Cargo.toml."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import HostFault, ToolchainFault, XcError
from pytest_xinchuang.messages import _, told, verbatim
from pytest_xinchuang.packages.sdk_ast.problems import DOES_NOT_BUILD, problem_record
from pytest_xinchuang.packages.sdk_ast.rust.crates import (
    ALL,
    DEFAULT,
    MANIFEST,
    NONE,
    SETS,
    Crate,
    Opened,
    complaint,
    opened,
)
from pytest_xinchuang.packages.sdk_ast.rust.items import Items
from pytest_xinchuang.packages.sdk_ast.rust.tool import FORMATS, MEND, TRIPLES, Cargo, find_cargo
from pytest_xinchuang.packages.sdk_ast.writer import Variant, write_snapshot
from pytest_xinchuang.tools.process import Runner

Symbols = Mapping[str, Any]

_RUSTDOC = ("-Z", "unstable-options", "--output-format", "json", "--document-private-items", "--document-hidden-items",
            "--cap-lints", "allow")  # fmt: skip


def extract_rust(
    place: Path,
    targets: Sequence[str],
    output: Path,
    *,
    version: str = "",
    offline: bool = False,
    runner: Runner | None = None,
) -> None:
    """Write the snapshot of a directory with a Cargo.toml, or of a ``.crate`` file.

    Raises:
        XcError: it is no crate, or a target is none of Rust's.
        ToolchainFault: there is no Rust, or none that this can read.
    """
    triples = triples_of(targets)
    cargo = find_cargo(runner or Runner())
    for triple in triples.values():
        if not cargo.has_target(triple):
            raise ToolchainFault(
                _("the standard library of Rust for {triple} is not installed", triple=triple),
                mend=verbatim(f"rustup target add {triple}"),
            )
    with opened(place, cargo, offline=offline) as here:
        packages: list[tuple[str, str, str, list[Variant]]] = []
        for crate in here.crates:
            for name in SETS if crate.usable else ():
                variants = [(t, *_read(crate, name, triple, here, cargo)) for t, triple in triples.items()]
                packages.append((crate.name + name, crate.name, _digest(variants), variants))
            facts = {"manifest": {"kind": "module", "facts": promises(crate)}}
            both: list[Variant] = [(t, facts, []) for t in triples]
            packages.append((f"{crate.name}/{MANIFEST}", crate.name, _digest(both), both))
        if here.problem:
            problem = problem_record(MANIFEST, None, DOES_NOT_BUILD, why=verbatim(here.problem))
            unread: list[Variant] = [(t, {}, [problem]) for t in triples]
            packages += [(here.named + name, "", "", unread) for name in (*SETS, f"/{MANIFEST}")]
        first = here.crates[0] if here.crates else None
        header = {
            "language": "rust",
            "name": first.name if first and len(here.crates) == 1 else here.named,
            "version": version or (str(first.facts["version"]) if first else ""),
            "minimum": str(first.facts.get("rust_version") or "") if first else "",
            "toolchain": cargo.told,
            "targets": list(triples),
        }
    write_snapshot(output, header, packages)


def triples_of(targets: Sequence[str]) -> dict[str, str]:
    """Target -> what rustc calls it.

    Raises:
        XcError: one of them is not known.
    """
    if unknown := [target for target in targets if target not in TRIPLES]:
        raise XcError(
            _("crates cannot be read for {target}", target=unknown[0]),
            mend=verbatim(", ".join(TRIPLES)),
        )
    return {target: TRIPLES[target] for target in targets}


def promises(crate: Crate) -> dict[str, Any]:
    """What Cargo.toml says to users."""
    kinds = crate.library["kind"]
    return {
        "k": "manifest",
        "features": crate.features,
        "defaults": crate.defaults,
        "rust_version": crate.facts.get("rust_version") or "",
        "edition": crate.facts["edition"],
        "proc_macro": crate.proc_macro,
        "kinds": sorted(set(kinds)),
        "links": crate.facts.get("links") or "",
        "package": crate.package,
        "runs_code": crate.runs_code,
        "own_code": crate.own_code,
    }


def _digest(variants: Sequence[Variant]) -> str:
    if any(problems for _target, _symbols, problems in variants):
        return ""
    return "sha256:" + hashlib.sha256(json.dumps(variants, sort_keys=True).encode()).hexdigest()


def _read(
    crate: Crate, name: str, triple: str, here: Opened, cargo: Cargo
) -> tuple[Symbols, Sequence[Mapping[str, Any]]]:
    """The symbols of a crate with a set of features, and what could not be read.

    Raises:
        ToolchainFault: rustdoc writes a format that is not known.
        HostFault: it writes something else than its format says.
    """
    if name not in crate.sets:
        # A set that does not differ from the default one has its symbols.
        return _read(crate, DEFAULT, triple, here, cargo)
    output = here.scratch / f"{crate.name}{name}{triple}.json"
    if not output.is_file() and (why := _documented(crate, name, triple, here, cargo, output)):
        if name == NONE:
            return {}, [_problem(f"--no-default-features: {why}")]
        return {}, [_problem(f"--all-features: {why}" if name == ALL else why)]
    try:
        described = json.loads(output.read_bytes())
        format_version = described["format_version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return {}, [_problem(f"rustdoc: {error}")]
    if format_version not in FORMATS:
        raise ToolchainFault(
            _(
                "rustdoc of {rust} writes format {found} of its JSON, and {known} can be read",
                rust=verbatim(cargo.told),
                found=verbatim(str(format_version)),
                known=verbatim(", ".join(map(str, sorted(FORMATS)))),
            ),
            mend=MEND,
        )
    try:
        return Items(described, crate.versions).symbols(), []
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError, StopIteration) as error:
        raise HostFault(_("the reader of Rust broke: {said}", said=told(error)), mend=MEND) from error


def _problem(why: str) -> dict[str, Any]:
    return problem_record(MANIFEST, None, DOES_NOT_BUILD, why=verbatim(why))


def _documented(crate: Crate, name: str, triple: str, here: Opened, cargo: Cargo, output: Path) -> str:
    """Have rustdoc describe a crate; why it does not, or nothing."""
    words = ["--lib", "--target", triple, *crate.sets[name]]
    words += ["--manifest-path", str(crate.directory / MANIFEST), "-p", crate.package]
    # rustdoc looks at no function's body, where opaque types and futures come from.
    done = cargo.run(["check", *words], here.root, here.scratch)
    if not done.ok:
        return complaint(done)
    rustdoc = _rustdoc(here.scratch, cargo)
    done = cargo.run(["rustdoc", *words], here.root, here.scratch, [rustdoc.parent], RUSTDOC=str(rustdoc))
    # Procedural macros are of the host, whatever the target.
    own = here.scratch / "out" / "target" / ("" if crate.proc_macro else triple)
    made = own / "doc" / f"{crate.name}.json"
    if not done.ok or not made.is_file():
        return complaint(done) if not done.ok else "rustdoc wrote nothing"
    made.rename(output)
    return ""


def _rustdoc(scratch: Path, cargo: Cargo) -> Path:
    """A program that is rustdoc with its unstable output: the compiler itself, and build scripts that ask it, stay stable."""
    # Not below out/, which build scripts can write to.
    program = scratch / "programs" / "rustdoc"
    if not program.is_file():
        program.parent.mkdir()
        real = shlex.quote(str(cargo.root / "bin" / "rustdoc"))
        program.write_text(f'#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec {real} "$@" {shlex.join(_RUSTDOC)}\n', encoding="utf-8")
        program.chmod(0o755)
    return program
