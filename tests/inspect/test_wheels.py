"""Policies of real wheels: auditwheel's answer is ours, for several architectures and both libcs."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from bench.wheels import LIST, fetch_wheels
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.inspect.rules.wheels import glibc_of, needed_policy
from pytest_xinchuang.provision.cache import Cache

pytestmark = [pytest.mark.registry, pytest.mark.slow]

COUNT = sum(not line.startswith("#") for line in LIST.read_text().splitlines())

EXPLAINED: dict[str, str] = {}
"""Wheels for which another answer is right, and why. None is known."""


@pytest.fixture(scope="module")
def wheels() -> list[Path]:
    return fetch_wheels(Cache())


def by_auditwheel(path: Path, tag: str, arch: str) -> str:
    from auditwheel.architecture import Architecture
    from auditwheel.libc import Libc
    from auditwheel.wheel_abi import analyze_wheel_abi

    logging.disable(logging.CRITICAL)
    try:
        libc = Libc.MUSL if "musl" in tag else Libc.GLIBC
        found = analyze_wheel_abi(
            libc, Architecture(arch), path, frozenset(), disable_isa_ext_check=True, allow_graft=True
        )
        return str(found.overall_policy.name)
    finally:
        logging.disable(logging.NOTSET)


def test_thirty_wheels_of_several_architectures(wheels: list[Path]) -> None:
    assert len(wheels) == COUNT >= 30
    assert len({w.name[:-4].rpartition("_")[2] for w in wheels}) >= 5


@pytest.mark.parametrize("index", range(COUNT))
def test_policy_is_auditwheels(index: int, wheels: list[Path]) -> None:
    path = wheels[index]
    tag = path.name[:-4].split("-")[-1].split(".")[0]
    arch = next(a for a in ("x86_64", "aarch64", "armv7l", "ppc64le", "s390x", "i686") if tag.endswith(a))
    need = needed_policy(Inspector(isa=False).read(path).records)
    ours = need.policy if need.policy in ("linux", "any") else f"{need.policy}_{arch}"
    assert path.name in EXPLAINED or ours == by_auditwheel(path, tag, arch)


def test_what_is_promised_is_kept_and_judged_by_platform(wheels: list[Path], platforms: Platforms) -> None:
    """An aarch64 wheel up to manylinux_2_28 installs on Kylin V10 SP3, and needs nothing that it lacks."""
    for path in wheels:
        found = Verdicts(platforms.get("kunpeng"), platforms.file.architectures).of(Inspector(isa=False).read(path))
        codes = {f.code for f in found if f.certainty == "certain"}
        tags = path.name[:-4].split("-")[-1].split(".")
        fits = any(t.endswith("_aarch64") and (glibc_of(t) or (9, 9)) <= (2, 28) for t in tags)
        assert codes == (set() if fits else {"XC-PKG-003"}), (path.name, codes)
