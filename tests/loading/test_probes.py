from __future__ import annotations

import json

import pytest

from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.loading import probes
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import Builder, find_zig
from pytest_xinchuang.tools.versions import version_of


def test_each_is_of_the_source_that_it_comes_with(platforms: Platforms) -> None:
    known = probes.programs()
    record = json.loads(known.record.read_text())
    assert record["source"] == known.source_digest(), "a probe's source was changed: scripts/prebuilt update"
    for arch in platforms.file.architectures:
        for name in (probes.OPEN, probes.START):
            data = known.shipped(f"{name}-{arch.value}")
            assert data is not None and data[:4] == b"\x7fELF"


@pytest.mark.tools
def test_the_source_gives_the_same_bytes(platforms: Platforms) -> None:
    known = probes.programs()
    if f"zig {version_of(find_zig(), 'version')}" != known.built_by():
        pytest.skip("another zig proves nothing")
    for name in (probes.OPEN, probes.START):
        data = probes.built(Builder(Cache()), name, Arch.LOONG64, platforms.file.architectures[Arch.LOONG64])
        assert data == known.shipped(f"{name}-loong64")
