"""The agents that come with the package: they are of its source, and what is not is never used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.sandbox import agents
from pytest_xinchuang.toolchain.builder import Builder
from pytest_xinchuang.tools.go import find_go
from pytest_xinchuang.tools.process import Runner
from pytest_xinchuang.tools.versions import version_of


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped agents, where a test may change them."""
    place = tmp_path / "agents"
    shutil.copytree(agents.BUILT, place)
    monkeypatch.setattr(agents, "BUILT", place)
    return place


def test_each_is_of_the_source_that_it_comes_with(platforms: Platforms) -> None:
    record = json.loads(agents.programs().record.read_text())
    assert record["source"] == agents.programs().source_digest(), (
        "the agent's source was changed: scripts/prebuilt update"
    )
    for arch, architecture in platforms.file.architectures.items():
        data = agents.programs().shipped(arch.value)
        assert data is not None and data[:4] == b"\x7fELF", arch
        assert int.from_bytes(data[18:20], "little") == {"amd64": 62, "arm64": 183, "loong64": 258}[arch.value]
        assert agents.agent(None, None, arch, architecture) == data  # type: ignore[arg-type]  # neither is asked


@pytest.mark.tools
def test_the_source_gives_the_same_bytes(platforms: Platforms) -> None:
    arch = Arch.LOONG64
    data = agents.built(Builder(Cache(), runner=Runner()), arch, platforms.file.architectures[arch])
    record = json.loads(agents.programs().record.read_text())
    if version_of(find_go(), "version") == record["by"]:
        assert data == agents.programs().shipped(arch.value)
    assert data[:4] == b"\x7fELF"


def test_one_of_another_source_is_not_used(copied: Path) -> None:
    record = json.loads(agents.programs().record.read_text())
    agents.programs().record.write_text(json.dumps({**record, "source": "sha256:" + "0" * 64}))
    assert agents.programs().shipped(Arch.ARM64.value) is None


def test_one_that_is_not_there_is_not_used(copied: Path) -> None:
    (copied / "arm64.xz").unlink()
    assert agents.programs().shipped(Arch.ARM64.value) is None
    agents.programs().record.unlink()
    assert agents.programs().shipped(Arch.AMD64.value) is None


@pytest.mark.parametrize("how", ["cut", "other", "empty", "record"])
def test_a_damaged_one_is_told_and_never_used(how: str, copied: Path) -> None:
    place = copied / "arm64.xz"
    match how:
        case "cut":
            place.write_bytes(place.read_bytes()[:-100])
        case "other":
            shutil.copy(copied / "amd64.xz", place)
        case "empty":
            place.write_bytes(b"")
        case "record":
            agents.programs().record.write_text("[]")
    with pytest.raises(HostFault, match="is damaged") as caught:
        agents.programs().shipped(Arch.ARM64.value)
    assert "pip install --force-reinstall" in caught.value.mend
