"""``xc grade``: what the sealed assessor is told, and what its exit code says."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.run import bootstrap

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


def report(tmp_path: Path, level: str | None, wanted: str | None, *verdicts: str) -> Path:
    requirements = [
        {"platform": "p", "id": f"T-{n}", "level": f"L{n}", "mandatory": True, "verdict": verdict}
        for n, verdict in enumerate(verdicts, 1)
    ]
    path = tmp_path / "report.json"
    grades = [{"platform": "p", "level": level, "required_level": wanted}]
    path.write_text(json.dumps({"grades": grades, "requirements": requirements}))
    return path


@pytest.mark.parametrize(
    ("status", "level", "wanted", "verdicts", "code"),
    [
        (0, "L3", "L3", ["pass"] * 3, 0),
        (1, "L3", "L3", ["pass", "pass", "pass", "fail"], 0),
        (1, "L1", "L3", ["pass", "fail", "pass"], 1),
        (1, "L1", "L3", ["pass", "inconclusive", "pass"], 3),
        (1, "L1", "L2", ["pass", "not_tested", "fail"], 3),
        (0, "L3", None, ["pass", "pass", "pass", "inconclusive"], 0),
        (1, "L0", None, ["fail"], 1),
        (0, None, None, ["pass"], 3),
        (2, "L3", "L3", ["pass"] * 3, 130),
        (3, "L3", "L3", ["pass"] * 3, 2),
        (4, "L3", "L3", ["pass"] * 3, 2),
        (12, "L3", "L3", ["pass"] * 3, 2),
    ],
)
def test_the_exit_code_says_what_those_of_every_command_say(
    tmp_path: Path, status: int, level: str | None, wanted: str | None, verdicts: list[str], code: int
) -> None:
    assert bootstrap.exit_code(status, report(tmp_path, level, wanted, *verdicts)) == code


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"grades": []}'])
def test_without_a_report_nothing_is_reached(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    assert bootstrap.exit_code(0, path) == 2
    path.write_text(text)
    assert bootstrap.exit_code(0, path) == 2


def test_only_the_suite_and_what_is_installed_can_be_imported(tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "pytest_xinchuang").mkdir(parents=True)
    package = tmp_path / "checkout" / "pytest_xinchuang"
    assert bootstrap.import_path(["std"], [str(site)], package) == ["std", str(site), str(package.parent)]
    (site / "pytest_xinchuang/__init__.py").touch()
    assert bootstrap.import_path(["std"], [str(site)], package) == ["std", str(package.parent), str(site)]
    assert bootstrap.import_path(["std"], [str(site)], site / "pytest_xinchuang") == ["std", str(site)]


def test_a_virtual_environment_is_found_without_site(tmp_path: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    place = tmp_path / "venv/lib" / version / "site-packages"
    place.mkdir(parents=True)
    python = tmp_path / "venv/bin/python"
    assert str(place) not in bootstrap.site_directories(str(python))
    (tmp_path / "venv/pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    assert bootstrap.site_directories(str(python)) == [str(place)]
    (tmp_path / "venv/pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = true\n")
    assert bootstrap.site_directories(str(python))[0] == str(place)


def test_workers_are_started_as_the_assessor_was(tmp_path: Path) -> None:
    assert bootstrap.workers(1, tmp_path) == []
    one, two = bootstrap.workers(2, tmp_path)
    assert one == "--dist=load" and two.startswith("--tx=2*popen//python=")
    assert " -I -P -S -X pycache_prefix=" in two and two.endswith("bootstrap.py --worker")
