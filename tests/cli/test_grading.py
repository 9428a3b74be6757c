"""``xc grade``: what the sealed assessor is told."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.assessor import bootstrap
from pytest_xinchuang.cli.entry import main

Started = dict[str, Any]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Started:
    """What would take the place of ``xc``; nothing is started."""
    seen: Started = {}

    def become(argv: list[str], env: Mapping[str, str], cwd: str) -> int:
        seen.update(argv=argv, env=dict(env), cwd=cwd)
        Path(cwd).rmdir()
        return 0

    monkeypatch.setattr("pytest_xinchuang.tools.process.become", become)
    monkeypatch.chdir(tmp_path)
    return seen


def test_it_is_started_without_anything_of_this_environment(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = {
        **dict.fromkeys(("PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "PYTHONUSERBASE", "LD_PRELOAD"), "/evil"),
        **dict.fromkeys(("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "LD_LIBRARY_PATH", "CPATH", "XYZ"), "-p evil"),
        "PATH": "/evil:/usr/bin",
        "XC_CACHE": "/c",
        "https_proxy": "http://p:1",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    assert main(["grade", "--platform", "kunpeng", "--suite", "mru"]) == 0
    environment = started["env"]
    assert not [n for n in environment if n.startswith(("PYTHON", "LD_")) or n in ("CPATH", "XYZ", "PYTEST_PLUGINS")]
    assert "/evil" not in " ".join(environment.values())
    assert environment["XC_CACHE"] == "/c" and environment["https_proxy"] == "http://p:1"
    assert environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] == "1" and environment["XC_ONLY_PACKAGES"] == ""
    assert started["argv"][:4] == [sys.executable, "-I", "-P", "-S"]
    assert started["argv"][6] == str(Path(bootstrap.__file__))
    assert Path(started["cwd"]) != Path.cwd()


def test_compilers_may_stand_elsewhere(started: Started, tmp_path: Path) -> None:
    (tmp_path / "go").mkdir()
    assert main(["grade", "--platform", "kunpeng", "--suite", "mru", "--tools", "go"]) == 0
    assert started["env"]["PATH"].startswith(f"{tmp_path}/go:")


def test_paths_are_made_absolute_and_the_manifest_here_is_found(started: Started, tmp_path: Path) -> None:
    (tmp_path / "xinchuang.yaml").write_text("")
    (tmp_path / "proxy").mkdir()
    words = "--platform kunpeng --suite mru --waivers w.yaml --report out --sm-vectors v --proxy proxy,https://p -n 3"
    assert main(["grade", *words.split(), "--platforms-file", "", "--timeout-scale", "2", "--offline"]) == 0
    arguments = started["argv"][8:]
    for expected in (
        "--xc-platform=kunpeng",
        "--xc-suite=mru",
        f"--xc-subject={tmp_path}",
        f"--xc-waivers={tmp_path}/w.yaml",
        f"--xc-report={tmp_path}/out",
        f"--xc-sm-vectors={tmp_path}/v",
        f"--xc-proxy={tmp_path}/proxy,https://p",
        "--xc-timeout-scale=2",
        "--xc-offline",
        "--workers=3",
    ):
        assert expected in arguments
    assert main(["grade", "--platform", "kunpeng", "--xc-sm-vectors", "v"]) == 0
    assert f"--xc-report={tmp_path}/.xc" in started["argv"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--platform kunpen", "did you mean kunpeng"),
        ("--platform kunpeng --suite acme", "no conformance package 'acme'"),
        ("--platform kunpeng -n 0", "a number from 1 to 512"),
        ("--platform kunpeng -n many", "a number from 1 to 512"),
        ("--platform kunpeng -n ²", "a number from 1 to 512"),
        ("--platform kunpeng -n " + "9" * 5000, "a number from 1 to 512"),
        ("--platform kunpeng", "no product is named"),
        ("--platform kunpeng --suite mru --tools none", "--tools=none: no such directory"),
        ("", "--platform"),
    ],
)
def test_errors_of_use_are_told_before_anything_starts(
    started: Started, capsys: pytest.CaptureFixture[str], words: str, says: str
) -> None:
    assert main(["grade", *words.split()]) == 2
    assert says in capsys.readouterr().err
    assert not started
