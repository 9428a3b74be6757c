"""The first file of a sealed process: what it can import, how its workers start, what its exit code says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pytest_xinchuang.assessor import bootstrap


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
