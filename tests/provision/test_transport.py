"""What is made at a time, and caches that are carried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import DataFileError, HostFault
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.provision.transport import export, import_export, provision
from tests.messages.english import english_in


class Recorder(Store):
    """A store that makes nothing, and tells what it was asked for."""

    def __init__(self, platforms: Platforms, cache: Cache) -> None:
        super().__init__(platforms, cache)
        self.made: list[str] = []

    def make_emulator(self, *, force: bool = False) -> Any:
        self.made.append("emulator")
        raise HostFault(verbatim("no emulator"))

    def rootfs_for(self, platform: Any, *, force: bool = False) -> Any:
        self.made.append(platform.rootfs_name)

    def rootfs(self, name: str, *, force: bool = False) -> Any:
        self.made.append(name)

    def make_system_emulator(self, *, force: bool = False) -> Any:
        self.made.append("system")

    def make_kernel(self, name: str, *, force: bool = False) -> Any:
        self.made.append(name)


def test_each_thing_is_made_once_and_what_fails_stops_nothing(platforms: Platforms, tmp_path: Path) -> None:
    store = Recorder(platforms, Cache(tmp_path))
    with pytest.raises(HostFault, match="no emulator"):
        provision(store, platforms.select(["kunpeng", "phytium", "loongson"]), system=True)
    kernels = list(platforms.file.kernels)
    wanted = ["emulator", "bullseye-arm64", "forky-loong64", "bullseye-amd64", "system", *kernels]
    assert sorted(store.made) == sorted(wanted)


def test_where_nothing_stands_in_there_is_no_emulator_to_make(platforms: Platforms, tmp_path: Path) -> None:
    store = Recorder(platforms, Cache(tmp_path))
    provision(store, [platform for platform in platforms.select(["all"]) if platform.rootfs_name is None])
    assert store.made == [platforms.file.reference]


def fill(tree: Path) -> tuple[str, dict[str, str]]:
    (tree / "a").write_text("x")
    return "test", {}


@pytest.mark.parametrize(
    "changes", [{"name": "../../x"}, {"kind": ".."}, {"name": ""}, {"facts": 3}, {"stand_in": False}, {"digest": 1}]
)
def test_an_export_that_says_what_no_entry_says_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    cache = Cache(tmp_path / "first")
    cache.make("rootfs", "x", "1", fill)
    export(cache, tmp_path / "export")
    assert import_export(Cache(tmp_path / "good"), tmp_path / "export") == ["x"]
    index = json.loads((tmp_path / "export/index.json").read_text())
    index["entries"][0]["entry"] |= changes
    (tmp_path / "export/index.json").write_text(json.dumps(index))
    with pytest.raises(DataFileError, match=r"index\.json: ") as caught:
        import_export(Cache(tmp_path / "second"), tmp_path / "export")
    assert not Cache(tmp_path / "second").entries() and not (tmp_path / "x").exists()
    assert not english_in(caught.value.render("zh").replace(str(tmp_path), ""))


def test_an_export_names_files_of_its_own_alone(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "first")
    cache.make("rootfs", "x", "1", fill)
    export(cache, tmp_path / "export")
    (tmp_path / "export/rootfs-x.tar").rename(tmp_path / "elsewhere.tar")
    index = json.loads((tmp_path / "export/index.json").read_text())
    index["entries"][0]["archive"] = "../elsewhere.tar"
    (tmp_path / "export/index.json").write_text(json.dumps(index))
    with pytest.raises((DataFileError, HostFault)):
        import_export(Cache(tmp_path / "second"), tmp_path / "export")
