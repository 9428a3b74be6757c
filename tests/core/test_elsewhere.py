"""What other systems number, call or keep otherwise."""

from __future__ import annotations

import errno
import signal
import sys
from pathlib import Path

import pytest

from pytest_xinchuang.core import elsewhere, resources
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.linux import ERRORS, LinuxSignal
from pytest_xinchuang.core.locks import lock
from pytest_xinchuang.messages import _


def test_the_numbers_are_those_of_linux() -> None:
    ours = {name: int(member) for name, member in LinuxSignal.__members__.items()}
    assert ours == {name: int(member) for name, member in signal.Signals.__members__.items()}
    assert {number: name for name, number in ERRORS.items()} == errno.errorcode


def test_a_lock_is_one_process_s_until_its_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as first, path.open("w") as second:
        lock(first)
        for shared in (False, True):
            with pytest.raises(BlockingIOError):
                lock(second, shared=shared)
    with path.open() as first, path.open() as second:
        lock(first, shared=True)
        lock(second.fileno(), shared=True)
        first.close()
        lock(second, wait=True)


def test_caches_are_where_the_system_has_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("XC_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resources.cache_dir() == tmp_path / ".cache" / "pytest-xinchuang"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert resources.cache_dir() == tmp_path / "Library" / "Caches" / "pytest-xinchuang"
    monkeypatch.setattr(sys, "platform", "win32")
    assert resources.cache_dir() == tmp_path / "AppData" / "Local" / "pytest-xinchuang"
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert resources.cache_dir() == tmp_path / "local" / "pytest-xinchuang"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert resources.cache_dir() == tmp_path / "xdg" / "pytest-xinchuang"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["C:/Python/Scripts/xc.exe", "grade", "--subject", "sub\\one"], "xc grade --subject sub/one"),
        (["/usr/bin/xc", "shell", "kunpeng", "--", "sh", "-c", "a b"], "xc shell kunpeng -- sh -c 'a b'"),
        (["/x/pytest/__main__.py", "--xc-platform=kunpeng"], "pytest --xc-platform=kunpeng"),
        (["/x/pytest_xinchuang/cli/__main__.py", "doctor"], "xc doctor"),
        (["script.py"], "xc"),
    ],
)
def test_the_command_is_said_as_in_the_container(argv: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(HostFault) as caught:
        elsewhere.demand_linux(_("a sandbox"))
    assert caught.value.mend == f'docker run --rm -v "${{PWD}}:/work" -v xc-cache:/cache pytest-xinchuang {said}'
    monkeypatch.setattr(sys, "platform", "linux")
    elsewhere.demand_linux(_("a sandbox"))
