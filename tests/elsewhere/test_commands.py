"""On Windows and macOS the package loads, what runs nothing of the target works, and the rest is told with a command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.journals import write_journal
from tests.others import SWITCHED_OFF
from tests.outputs.test_reports import everything
from tests.tiers import starts_programs

pytestmark = pytest.mark.tools

GUISE = Path(__file__).with_name("guise.py")
ROOT = Path(__file__).parents[2]
SYSTEMS = {"win32": "Windows", "darwin": "macOS"}

HARNESS = str(ROOT / "fixtures" / "harness" / "python" / "harness_cryptography.py")

LINUX_ALONE = {
    "pytest_xinchuang.advise.c.worker",
    "pytest_xinchuang.packages.sdk_ast.python.probe",
    "pytest_xinchuang.sandbox.backends.supervisor",
    "pytest_xinchuang.sandbox.backends.tracer",
    "pytest_xinchuang.sandbox.interactive",
    "pytest_xinchuang.toolchain.jailer",
}
"""Loaded where a sandbox or a compiler's wall is begun, or programs of their own."""

SAYS = {
    "platforms": (["platforms", "list"], 0, "kunpeng920-kylin_v10_sp3"),
    "explain": (["explain", "XC-ELF-010"], 0, "glibc"),
    "explained": (["--language", "zh", "explain", "XC-MRU-020"], 0, "修正"),
    "inspect": (["inspect", "dist", "--platform", "kunpeng"], 1, "XC-ELF-001"),
    "inspected": (["inspect", "dist", "--platform", "kunpeng", "--format", "sarif", "--output", "o.sarif"], 1, ""),
    "vectors": (["sm", "vectors"], 0, "HKDF-SM3"),
    "sm run": (["sm", "run", "--tc", "sm3_standard", "--", sys.executable, HARNESS], 0, "passed"),
    "table": (["syscalls", "table", "loong64"], 0, "statx"),
    "diff": (["syscalls", "diff", "amd64", "arm64"], 0, "renumbered"),
    "api c": (["api", "diff", "old", "new", "--kind", "c"], 1, "C-FUNC-PARAM-TYPE-CHANGED"),
    "api python": (["api", "diff", "old", "new", "--kind", "python"], 1, "PY-PARAM-ADDED-REQUIRED"),
    "api go": (["api", "diff", "old", "new", "--kind", "go"], 3, "only the syntax"),
    "api snapshot": (["api", "snapshot", "new", "--kind", "c", "--output", "new.json"], 0, "2 symbols"),
    "report": (["report", "journal.ndjson", "--output", "reports"], 3, "wrote reports"),
    "schema": (["report", "--schema"], 0, "xc-report/1"),
    "subject": (["subject", "init", "made"], 0, "unit.c"),
    "checked": (["subject", "check", "made"], 0, "1 unit"),
    "completion": (["completion", "bash"], 0, "xc"),
}
"""Command, exit code, and what is said."""

REFUSED = {
    "doctor": ["doctor"],
    "grade": ["grade", "--platform", "kunpeng", "--subject", "made"],
    "provision": ["provision", "kunpeng"],
    "shell": ["shell", "kunpeng", "--", "uname", "-m"],
    "trace": ["syscalls", "trace", "--platform", "kunpeng", "--", "true"],
}


@starts_programs
@pytest.fixture(scope="module", params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def guised(system: str, *words: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    """A program in the guise, where text without an encoding is ASCII: other systems have other ones than we."""
    told = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "XC_"))}
    places = {"XC_CACHE": str(cwd / "cache"), "PYTHONPATH": str(ROOT), "HOME": str(cwd)}
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, str(GUISE), system, *words],
        cwd=cwd,
        env={**told, **plain, **places, **more},
        capture_output=True,
        check=False,
    )


@pytest.fixture(scope="module")
def said(system: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[int, str, str]]:
    """What each command has said, all in one process; beside the commands is where they ran."""
    place = tmp_path_factory.mktemp(system)
    for name, kind, more in (("old", "int", ""), ("new", "long", ", b")):
        (place / name).mkdir()
        (place / name / "m.py").write_text(f"def f(a{more}) -> int:\n    return a\n")
        (place / name / "m.h").write_text(f"int f({kind} a);\n")
        (place / name / "go.mod").write_text("module example.com/m\n\ngo 1.21\n")
        (place / name / "m.go").write_text(f"package m\n\nfunc F(a{more} int) int {{ return a }}\n")
    (place / "dist").mkdir()
    shutil.copy("/bin/true", place / "dist" / "tool")
    write_journal(place / "journal.ndjson", everything())
    wanted = {name: words for name, (words, _code, _text) in SAYS.items()} | REFUSED
    (place / "wanted").write_text(json.dumps(wanted))
    done = guised(system, "commands", "wanted", cwd=place)
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads((place / "wanted.out").read_text(encoding="utf-8"))
    return {"place": (0, str(place), ""), **{name: tuple(told) for name, told in found.items()}}


@pytest.mark.parametrize("name", SAYS)
def test_what_runs_nothing_of_the_target_works(said: Mapping[str, tuple[int, str, str]], name: str) -> None:
    _words, code, text = SAYS[name]
    found, out, err = said[name]
    assert found == code, out + err
    assert text in out + err and "Traceback" not in err


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_linux_is_told_with_the_command(
    said: Mapping[str, tuple[int, str, str]], system: str, name: str
) -> None:
    code, out, err = said[name]
    assert code == 2 and not out
    first, mend = err.splitlines()
    assert first.endswith(f"needs Linux, and this is {SYSTEMS[system]}")
    command = " ".join(REFUSED[name])
    assert mend == f'  mend: docker run --rm -v "${{PWD}}:/work" -v xc-cache:/cache pytest-xinchuang xc {command}'


def test_files_are_written_as_on_linux(said: Mapping[str, tuple[int, str, str]]) -> None:
    place = Path(said["place"][1])
    (result,) = json.loads((place / "o.sarif").read_text(encoding="utf-8"))["runs"][0]["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "dist/tool"
    for name in ("o.sarif", "reports/report.json", "reports/junit.xml", "new.json"):
        assert b"\r" not in (place / name).read_bytes()


def test_every_module_can_be_loaded(system: str, tmp_path: Path) -> None:
    done = guised(system, str(Path(__file__).with_name("loading.py")), cwd=tmp_path)
    # What is inside is loaded by the first process of a sandbox.
    failed = {name for name in json.loads(done.stdout) if ".backends.inside." not in name}
    assert failed <= LINUX_ALONE, done.stdout.decode()


def test_plain_tests_run_beside_the_plugin(system: str, tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "def test_plain(tmp_path): assert tmp_path.is_dir()\n"
        "def test_platform(xc_platform): assert xc_platform.arch == 'arm64'\n"
        "def test_sandbox(xc_sandbox): xc_sandbox.run(['true'])\n",
        encoding="utf-8",
    )
    more = [*SWITCHED_OFF, "-p", "no:randomly", "-p", "no:cacheprovider"]
    done = guised(system, "pytest", *more, "-q", cwd=tmp_path)
    assert done.returncode == 0 and b"1 passed, 2 skipped" in done.stdout, done.stdout.decode()
    done = guised(system, "pytest", *more, "--xc-platform=kunpeng", "--xc-suite=none", cwd=tmp_path)
    text = done.stdout.decode()
    assert done.returncode == 1 and "2 passed" in text and "1 error" in text
    line = f"xinchuang: a sandbox needs Linux, and this is {SYSTEMS[system]}"
    assert line in text and "docker run --rm" in text and "pytest-xinchuang pytest " in text
    done = guised(system, "pytest", *more, "--collect-only", "-q", "--xc-platform=kunpeng", cwd=tmp_path)
    assert done.returncode == 0 and b"test_sandbox[kunpeng920-kylin_v10_sp3]" in done.stdout
