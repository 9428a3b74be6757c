"""A real machine beside what is written of its platform, before the first unit runs on it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.platform import Platform, Platforms, load_platforms
from pytest_xinchuang.sandbox.backends import direct
from pytest_xinchuang.sandbox.machine import HostReader
from pytest_xinchuang.sandbox.pool import fingerprint_event
from pytest_xinchuang.sandbox.probed import PROBE_S, Probed, probed
from tests.core.test_probe import probe
from tests.messages.english import english_in

pytestmark = pytest.mark.tools

BOARD = (
    "kernel.release\t4.19.90-23.55.v2101.ky10.aarch64",
    "page_size\t65536",
    "libc.version\tglibc 2.28",
    "libstdcxx.symbols\tGLIBCXX_3.4.24",
)


@pytest.fixture
def kunpeng(platforms: Platforms) -> Platform:
    return platforms.get("kunpeng920-kylin_v10_sp1")


def script(monkeypatch: pytest.MonkeyPatch, directory: Path, text: str) -> None:
    path = directory / "probe.sh"
    path.write_text(text)
    monkeypatch.setattr(resources, "probe_script", lambda: path)


def told(
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    directory: Path,
    lines: Sequence[str] = BOARD,
    cpu: str = "hrw_86",
) -> Probed:
    """What is made of a board that prints these lines."""
    (directory / "seen").write_bytes(probe(cpu, "supermin_22", extra=lines))
    script(monkeypatch, directory, f"cat '{directory}/seen'\n")
    found = probed(platform, load_platforms(resources.platforms_file()).file.cpus.values(), HostReader())
    assert found.data["whole"] is True
    assert not [text for text in (*found.differs, *found.contradicts) if english_in(text.render("zh"))]
    return found


def changed(old: str, new: str) -> tuple[str, ...]:
    assert any(old in line for line in BOARD)
    return tuple(line.replace(old, new) for line in BOARD)


def test_a_board_that_is_as_it_is_written(kunpeng: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = told(kunpeng, monkeypatch, tmp_path)
    assert (found.differs, found.contradicts, found.own_kernel) == ((), (), True)
    assert {each["agreement"] for each in found.data["facts"]} == {"same"}
    assert found.data["digest"].startswith("sha256:")


@pytest.mark.parametrize(
    ("old", "new", "fact", "contradicts"),
    [
        ("4.19.90-23.55", "5.10.0-136", "kernel is 4.19.90", True),
        ("4.19.90-23.55", "4.19.91-26", "kernel is 4.19.90", False),
        ("4.19.90-23.55", "4.18.0-477", "kernel is 4.19.90", False),
        ("65536", "4096", "page_size.arm64 is 65536", True),
        ("glibc 2.28", "glibc 2.38", "libc_version is 2.28", True),
        ("glibc 2.28", "glibc 2.17", "libc_version is 2.28", False),
        ("3.4.24", "3.4.30", "glibcxx_max is 3.4.24", True),
        ("3.4.24", "3.4.9", "glibcxx_max is 3.4.24", False),
    ],
)
def test_what_a_board_has_otherwise(
    kunpeng: Platform,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    old: str,
    new: str,
    fact: str,
    contradicts: bool,
) -> None:
    """What has more than the platform decides nothing for it; what has less is told."""
    found = told(kunpeng, monkeypatch, tmp_path, changed(old, new))
    assert len(found.differs) == 1 and fact in found.differs[0] and new.split()[-1] in found.differs[0]
    assert found.contradicts == (found.differs if contradicts else ())
    assert found.own_kernel is not (contradicts and "kernel" in fact)


def test_a_processor_with_more_features(
    kunpeng: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platforms: Platforms
) -> None:
    found = told(kunpeng, monkeypatch, tmp_path, cpu="hrw_116")
    assert len(found.contradicts) == 1 and "cpus.kunpeng920.features" in found.contradicts[0]
    older = told(platforms.get("phytium_d3000-kylin_v10_sp1"), monkeypatch, tmp_path, cpu="hrw_24")
    assert len(older.differs) == 1 and "-atomics" in older.differs[0] and older.contradicts == ()


def test_a_guess_of_ours_is_told_and_contradicts_nothing(
    platforms: Platforms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The kernel of UOS Server a is inferred: a later one contradicts nothing, but the calls that it has are no floor."""
    platform = platforms.get("kunpeng920-uos_20_a")
    assert platform.system.kernel.confidence == "inferred"
    lines = (*changed("4.19.90-23.55.v2101", "5.10.0-46.uelc20")[:1], "page_size\t4096", "libc.version\tglibc 2.28")
    found = told(platform, monkeypatch, tmp_path, lines)
    assert found.contradicts == () and not found.own_kernel
    assert len(found.differs) == 1 and "kernel" in found.differs[0] and "inferred" in found.differs[0]


def test_a_container_is_told(kunpeng: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = told(kunpeng, monkeypatch, tmp_path, (*BOARD, "container\tdocker"))
    assert len(found.differs) == 1 and "container (docker)" in found.differs[0] and found.own_kernel


@pytest.mark.parametrize(
    "text", ["exit 3\n", "echo nonsense\n", "printf 'format\\txc-probe/1\\n'\n", "yes\n", "kill -9 $$\n", ""]
)
def test_a_probe_that_fails_is_made_up_for(
    kunpeng: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    """What this process knows of the machine itself is compared all the same, and that it was no more is told."""
    script(monkeypatch, tmp_path, text)
    found = probed(kunpeng, (), HostReader())
    assert found.data["whole"] is False and "the probe of this machine told little" in found.differs[-1]
    assert not english_in(found.differs[-1].render("zh").partition("：")[0])
    seen = {each["fact"].split(".")[2]: each["seen"] for each in found.data["facts"]}
    assert seen["kernel"] and seen["page_size"] and seen["libc_version"]


def test_a_probe_takes_no_more_than_a_second(
    kunpeng: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script(monkeypatch, tmp_path, "sleep 60\n")
    begun = time.monotonic()
    found = probed(kunpeng, (), HostReader())
    assert time.monotonic() - begun < PROBE_S + 2
    assert not found.data["whole"]


def test_the_script_is_brief_here(kunpeng: Platform) -> None:
    """On a loaded machine it may be cut off; then this process answers."""
    found = probed(kunpeng, (), HostReader())
    assert {each["fact"].split(".")[2] for each in found.data["facts"]} >= {"features", "kernel", "page_size"}


def test_the_fingerprint_of_a_native_sandbox_has_it(
    kunpeng: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "seen").write_bytes(probe("hrw_86", "supermin_22", extra=changed("65536", "4096")))
    script(monkeypatch, tmp_path, f"cat '{tmp_path}/seen'\n")

    def none(*_: Any) -> list[Any]:
        return []

    monkeypatch.setattr(direct, "differences", none)
    monkeypatch.setattr("pytest_xinchuang.sandbox.machine.doubts", none)
    with direct.open_native(kunpeng) as sandbox:
        seen = sandbox.fingerprint
        assert seen.contradicts == seen.differs and "page_size" in seen.contradicts[0]
        event = fingerprint_event(seen, "")
    assert event.contradicts == tuple(map(str, seen.contradicts))
    assert event.extra["probe"]["facts"] and "page_size" in event.said_all("contradicts")[0].render("zh")
