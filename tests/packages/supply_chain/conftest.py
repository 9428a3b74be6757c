"""The published world is made once; each test edits a copy of the subject."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.packages.supply_chain.published import world
from tests.tiers import starts_programs


@pytest.fixture(scope="session")
@starts_programs
def _world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return world(tmp_path_factory.mktemp("published"))


@pytest.fixture
def proxy(_world: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(_world[0], tmp_path / "proxy"))


@pytest.fixture
def subject(_world: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(_world[1], tmp_path / "subject", symlinks=True))
