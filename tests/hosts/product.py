"""What is graded on every host, and what a host is handed beside what it has: our distribution, the subject, a script."""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from pytest_xinchuang.building.built import build, plain_target, reference_target
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.core.resources import fixtures_dir
from pytest_xinchuang.packages.registry import shipped
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.toolchain.builder import Builder
from pytest_xinchuang.tools.process import Runner

CHECKOUT = Path(__file__).resolve().parents[2]
WHEEL_TIMEOUT_S = 120
COMPILE_TIMEOUT_S = 300

PLACE = "/opt/xc"
"""Where a host finds its payload: ``site`` is on the path of its Python (``userland``)."""

GRADE = """#!/bin/sh
# Grades the subject as a new user would, in the directory that is given: the host's own user runs it.
set -u
cd "$1" || exit 2
shift
begun=$(date +%s)
{ id; uname -a; echo "HOME=${HOME:-}"; cat /proc/self/status | grep -E 'Seccomp|NoNewPrivs|CapEff'; } >host.txt 2>&1
python3 -m pytest -q -p no:cacheprovider --color=no --xc-suite=mru --xc-subject=/opt/xc/subject --xc-offline "$@" >said.txt 2>&1
echo $? >status
echo $(($(date +%s) - begun)) >seconds
"""


def write_payload(place: Path, store: Store, platforms: list[Platform], names: Sequence[str], runner: Runner) -> None:
    """Fill ``place`` with ``site`` (the distribution), ``subject`` and ``grade``.

    Raises:
        XcError: something of it could not be built.
    """
    place.mkdir(parents=True)
    _install(place, runner)
    _write_subject(place / "subject", store, platforms, names, runner)
    (place / "grade").write_text(GRADE)
    (place / "grade").chmod(0o755)


def _install(place: Path, runner: Runner) -> None:
    """The wheel of this checkout, as pip would unpack it."""
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    done = runner.run(words, timeout_s=WHEEL_TIMEOUT_S, cwd=CHECKOUT)
    if not done.ok:
        raise XcError(done.told())
    wheel = next(place.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    wheel.unlink()
    compile_all(place / "site", [sys.executable], runner)


def compile_all(place: Path, python: Sequence[str], runner: Runner, inside: str = "") -> None:
    """Bytecode as pip leaves it; by digest, for not every copy keeps times. What is not this Python's is not looked at."""
    words = [*python, "-m", "compileall", "-q", "-j1", "--invalidation-mode=checked-hash", inside or str(place)]
    runner.run(words, timeout_s=COMPILE_TIMEOUT_S)


def _write_subject(place: Path, store: Store, platforms: list[Platform], names: Sequence[str], runner: Runner) -> None:
    """The units of the reference subject that have these names, prebuilt for the platforms' architectures and for x86-64."""
    reference = shipped().subject(fixtures_dir() / "subjects/openssl")
    builder = Builder(store.cache, runner=runner)
    architecture = store.platforms.file.architectures[Arch.AMD64]
    rootfs_name = store.platforms.file.reference
    assert rootfs_name is not None
    plain = store.rootfs(rootfs_name)
    targets = {Arch.AMD64: (reference_target(architecture, plain), plain)}
    for platform in platforms:
        if platform.arch not in targets:
            rootfs = store.rootfs_for(platform)
            targets[platform.arch] = (plain_target(platform, rootfs), rootfs)
    place.mkdir()
    units = []
    for unit in (unit for unit in reference.file.units if unit.name in names):
        said = unit.model_dump(mode="json", exclude_defaults=True)
        if unit.kind == "c":
            files = {}
            for arch, (target, rootfs) in targets.items():
                files[arch.value] = f"{arch.value}/{unit.name}"
                (place / arch.value).mkdir(exist_ok=True)
                built = build(builder, reference, unit, target, rootfs)
                (place / arch.value / unit.name).write_bytes(built.objects[unit.name])
            said = _prebuilt(said, files)
        for name in unit.sources if unit.kind == "shell" else ():
            (place / name).parent.mkdir(exist_ok=True)
            shutil.copy(reference.path(name), place / name)
        units.append(said)
    manifest = {
        "schema": "xc-subject/1",
        "name": "hosts",
        "version": "prebuilt units of the reference subject",
        "allowed_libraries": list(reference.file.allowed_libraries),
        "rootfs_objects": list(reference.file.rootfs_objects),
        "units": units,
    }
    (place / "xinchuang.yaml").write_text(yaml.safe_dump(manifest, allow_unicode=True, sort_keys=False))


def _prebuilt(said: dict[str, Any], files: dict[str, str]) -> dict[str, Any]:
    kept = {key: value for key, value in said.items() if key not in ("sources", "links", "c_flags")}
    return {**kept, "kind": "binary", "files": files}
