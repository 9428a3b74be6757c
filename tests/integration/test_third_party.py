"""A conformance package of another distribution: installed from its wheel, it is graded with as ours are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.report.json_report import report_schema

pytestmark = pytest.mark.tools

MANIFEST = 'schema: xc-subject/1\nname: greeter\nversion: "1"\nacme: {file: greeting.txt, expect: hello}\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of installed distributions with the package's wheel."""
    out = tmp_path_factory.mktemp("acme")
    source = shutil.copytree(resources.fixtures_dir() / "package", out / "source")
    into = ["--target", str(out / "site"), "acme-conformance"]
    for argv in (
        ["build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)],
        [
            "pip",
            "--disable-pip-version-check",
            "install",
            "-q",
            "--no-deps",
            "--no-index",
            "--find-links",
            str(out),
            *into,
        ],
    ):
        done = subprocess.run([sys.executable, "-m", *argv], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return out / "site"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "xinchuang.yaml").write_text(MANIFEST)
    (tmp_path / "greeting.txt").write_text("hello\n")
    return tmp_path


def call(site: Path, cwd: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(p for p in (str(site), os.environ.get("PYTHONPATH", "")) if p)
    given = {**os.environ, "PYTHONPATH": path, "LC_ALL": "C.UTF-8", **env}
    return subprocess.run([sys.executable, *argv], cwd=cwd, env=given, capture_output=True, text=True, check=False)


def grade(site: Path, cwd: Path, *options: str, **env: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    argv = [
        "-m",
        "pytest",
        "-W",
        "error",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "--xc-platform=kunpeng,loongson",
    ]
    done = call(site, cwd, *argv, "--xc-suite=acme", "--xc-subject=.", *options, **env)
    report = json.loads((cwd / ".xc/report.json").read_text())
    jsonschema.validate(report, report_schema())
    return done, report


def test_it_is_graded_with_and_adds_its_part_to_each_report(site: Path, place: Path) -> None:
    done, report = grade(site, place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {g["platform"].partition("-")[0]: g["level"] for g in report["grades"]} == {
        "kunpeng920": "L2",
        "loongson_3a5000": "L2",
    }
    assert [g["details"] for g in report["grades"]] == [{"acme": {"met": 2}}] * 2
    assert "acme: 2 requirements of greeters are met" in done.stdout
    assert '<property name="acme.met" value="2"' in (place / ".xc/junit.xml").read_text()


def test_what_it_needs_is_kept_by_grading_and_everything_is_said_in_chinese(site: Path, place: Path) -> None:
    (place / "greeting.txt").write_text("\n")
    done, report = grade(site, place, "--xc-language=zh")
    assert done.returncode == 1
    verdicts = {r["id"]: (r["verdict"], r["cause"]) for r in report["requirements"]}
    assert verdicts == {"ACME-001": ("fail", "subject"), "ACME-002": ("not_tested", "blocked")}
    assert report["requirements"][0]["reason"] == "问候语是空的"
    assert "acme：满足了 0 条问候语要求" in done.stdout


def test_its_option_and_its_files_count(site: Path, place: Path) -> None:
    done, report = grade(site, place, "--xc-acme-greeting=good day", "-n", "2")
    assert done.returncode == 1
    assert {r["id"]: r["verdict"] for r in report["requirements"]}["ACME-002"] == "fail"
    digest = report["subject"]["digest"]
    (place / "greeting.txt").write_text("good day\n")
    done, report = grade(site, place, "--xc-acme-greeting=good day")
    assert done.returncode == 0, done.stdout
    assert report["subject"]["digest"] != digest


def test_a_wrong_section_is_told_by_line(site: Path, place: Path) -> None:
    (place / "xinchuang.yaml").write_text(MANIFEST.replace("expect: hello", "expects: hello"))
    done = call(site, place, "-m", "pytest_xinchuang.cli", "subject", "check", ".")
    assert done.returncode == 2
    assert "xinchuang.yaml:4: acme.expects" in done.stderr


def test_without_it_its_section_is_no_key_of_the_manifest(place: Path) -> None:
    done = call(Path("/nonexistent"), place, "-m", "pytest_xinchuang.cli", "subject", "check", ".")
    assert done.returncode == 2
    assert "acme" in done.stderr and "no such key here" in done.stderr


def test_its_commands_are_xc_commands(site: Path, place: Path) -> None:
    done = call(site, place, "-m", "pytest_xinchuang.cli", "acme", "hello", "--name", "Lei")
    assert (done.returncode, done.stdout) == (0, "hello, Lei\n")
    done = call(site, place, "-m", "pytest_xinchuang.cli", "--language", "zh", "acme", "hello", "--name", "Lei")
    assert (done.returncode, done.stdout) == (0, "你好，Lei\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("raise RuntimeError('broken at import')", "cannot be loaded: RuntimeError: broken at import"),
        ("AcmePackage = object()", "is registered as a conformance package and is none"),
        (
            "from pytest_xinchuang.packages.base import Package\nclass AcmePackage(Package):\n    name = 'mru'",
            "two conformance packages are called mru",
        ),
        (
            "from pytest_xinchuang.packages.base import Package\nclass AcmePackage(Package):\n    name = 'Bad-Name'",
            "is no name of a conformance package",
        ),
        (
            "from pytest_xinchuang.packages.base import Package, PackageOption\nclass AcmePackage(Package):\n"
            "    name = 'acme'\n    options = (PackageOption('--xc-proxy', 'X', 'mine'),)",
            "both have the option --xc-proxy",
        ),
    ],
)
def test_a_broken_package_is_told_of_and_breaks_no_other_tests(
    site: Path, place: Path, tmp_path_factory: pytest.TempPathFactory, text: str, told: str
) -> None:
    broken = shutil.copytree(site, tmp_path_factory.mktemp("broken") / "site")
    (broken / "acme_conformance/__init__.py").write_text(text)
    (place / "test_own.py").write_text("def test_own(): pass\n")
    done = call(broken, place, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    done = call(broken, place, "-m", "pytest", "-q", "--xc-platform=kunpeng", "--xc-subject=.")
    assert done.returncode == 4 and told in done.stderr, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
