"""scripts/new: each kind of new thing comes with its skeleton, and with a test that fails until it is filled in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.tools

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout, as git has it and with what is not committed yet."""
    place = tmp_path_factory.mktemp("checkout")
    listed = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard")
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place / name)
    git(place, "init", "-q")
    git(place, "add", "--all")
    git(place, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "-m", "x")
    return place


@pytest.fixture
def checkout(copied: Path) -> Iterator[Path]:
    """The copy, put back after the test."""
    yield copied
    git(copied, "reset", "-q", "--hard")
    git(copied, "clean", "-q", "-f", "-d")


def git(place: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=place, capture_output=True, text=True, check=True).stdout


def new(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(place / "scripts/new"), *words]
    return subprocess.run(argv, cwd=place, capture_output=True, text=True, check=False)


def changed(place: Path) -> set[str]:
    """What differs from the commit, folders of new files by their name."""
    return {line[3:].rstrip("/") for line in git(place, "status", "--short").splitlines()}


def failing(place: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *tests]
    env = {**os.environ, "PYTHONPATH": str(place)}
    return subprocess.run(argv, cwd=place, env=env, capture_output=True, text=True, check=False)


def test_a_package_touches_its_rooms_one_line_and_the_index(checkout: Path) -> None:
    done = new(checkout, "package", "middleware")
    assert done.returncode == 0, done.stderr
    assert changed(checkout) == {
        "pytest_xinchuang/packages/middleware",
        "conformance/middleware",
        "tests/packages/middleware",
        "pyproject.toml",
        "docs/README.md",
    }
    added = [
        line
        for line in git(checkout, "diff", "-U0").splitlines()
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    assert added == [
        "+| [middleware.md](middleware.md) | `middleware` | middleware |",
        '+middleware = "pytest_xinchuang.packages.middleware.package:MiddlewarePackage"',
    ]
    assert "3 failed" in failing(checkout, "tests/packages/middleware").stdout
    again = new(checkout, "package", "middleware")
    assert again.returncode == 1 and "is already there" in again.stderr


@pytest.mark.parametrize(
    ("words", "files", "tests"),
    [
        (
            ["requirement", "XC-MRU-950", "L2"],
            {
                "conformance/mru/requirements.yaml",
                "conformance/mru/test_mru.py",
                "tests/packages/mru/test_xc_mru_950.py",
            },
            "tests/packages/mru/test_xc_mru_950.py",
        ),
        (
            ["finding", "XC-ELF-950"],
            {"conformance/findings.yaml", "tests/inspect/test_xc_elf_950.py"},
            "tests/inspect/test_xc_elf_950.py",
        ),
        (
            ["rule", "PY-SOME-THING"],
            {"conformance/sdk_ast/rules/python/PY-SOME-THING"},
            "tests/packages/sdk_ast/python/test_rules.py",
        ),
        (
            ["platform", "kunpeng950", "kylin_v95"],
            {"platforms.yaml", "tests/core/test_platform_kunpeng950_kylin_v95.py"},
            "tests/core/test_platform_kunpeng950_kylin_v95.py",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_it_comes_with_a_test_that_fails(checkout: Path, words: list[str], files: set[str], tests: str) -> None:
    done = new(checkout, *words)
    assert done.returncode == 0, done.stderr
    assert changed(checkout) == files
    run = failing(checkout, tests, "-k", words[1] if words[0] == "rule" else "test")
    assert run.returncode == 1 and " failed" in run.stdout, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "scripts/new package NAME"),
        (["package"], "scripts/new package NAME"),
        (["package", "Bad-Name"], "no name of a package"),
        (["package", "mru"], "already there"),
        (["requirement", "XC-MRU-001", "L1"], "an id never changes its meaning"),
        (["requirement", "XC-NONE-001", "L1"], "no package has requirements"),
        (["requirement", "XC-MRU-950", "L9"], "level"),
        (["finding", "XC-ELF-001"], "codes are never reused"),
        (["finding", "elf"], "expected a code"),
        (["rule", "RUST-X"], "expected an id"),
        (["rule", "GO-FUNC-REMOVED"], "already there"),
        (["thing", "x"], "scripts/new package NAME"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(checkout: Path, words: list[str], told: str) -> None:
    done = new(checkout, *words)
    assert done.returncode in (1, 2) and told in done.stderr
    assert not changed(checkout)
