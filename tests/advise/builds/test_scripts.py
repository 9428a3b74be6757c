"""Scripts run in each guise without their programs: an arm that ends is told at its line, and its twin stays clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.advise.builds.scripts import ScriptsSurvey
from pytest_xinchuang.core.advice import Standing
from pytest_xinchuang.core.platform import Platforms
from tests.advise.builds.trees import said, told, whole

pytestmark = pytest.mark.tools

INSTALL = """#!/bin/sh
set -e
case $(uname -m) in
x86_64) a=amd64 ;;
{arms}*) echo "unsupported: $(uname -m)" >&2; exit 1 ;;
esac
curl -fsSL -o t.tgz https://example.org/t-$a.tar.gz
tar xf t.tgz -C /opt
sudo install -m 755 t /usr/local/bin/t
"""


def test_an_arm_that_ends(platforms: Platforms, tmp_path: Path) -> None:
    found = said(platforms, tmp_path, {"install.sh": INSTALL.format(arms="aarch64) a=arm64 ;;\n")}, ScriptsSurvey())
    assert told(found["loongson"]) == [("XC-ADV-045", "certain", "install.sh:6")]
    assert found["loongson"].standing is Standing.STOPPED
    for name in ("kunpeng", "hygon"):
        assert not found[name].findings and whole([found[name]]), name


def test_an_arm_that_takes_the_other_machines_file(platforms: Platforms, tmp_path: Path) -> None:
    script = (
        "#!/bin/bash\nm=$(uname -m)\necho $m\nwget https://example.org/t-linux-x86_64.zip\nunzip t-linux-x86_64.zip\n"
    )
    twin = script.replace("x86_64", "$m").replace("t-linux-$m.zip\nunzip", "t-linux-$m.zip\nunzip")
    found = said(platforms, tmp_path, {"install.sh": script, "get.sh": twin}, ScriptsSurvey())
    for name in ("kunpeng", "loongson"):
        assert told(found[name]) == [("XC-ADV-046", "certain", "install.sh:4")], name
    assert not found["hygon"].findings


FETCHES = "#!/bin/sh\nset -e\ncurl -fsSLO https://example.org/t-linux-{}.tar.gz\ntar xf t-linux-{}.tar.gz\n"


@pytest.mark.parametrize(("name", "sure"), [("scripts/install.sh", "certain"), ("tools/deps.sh", "guarded?")])
def test_one_address_for_every_machine(platforms: Platforms, tmp_path: Path, name: str, sure: str) -> None:
    found = said(platforms, tmp_path, {name: FETCHES.format("x86_64", "x86_64")}, ScriptsSurvey())
    for platform in ("kunpeng", "loongson"):
        assert told(found[platform]) == [("XC-ADV-046", sure, f"{name}:3")], platform
    assert not found["hygon"].findings


def test_its_twins(platforms: Platforms, tmp_path: Path) -> None:
    """One for no machine, and what its makers run on their own."""
    files = {"install.sh": FETCHES.format("any", "any")}
    files |= dict.fromkeys((".github/install.sh", "ci/get.sh", "tests/get.sh"), FETCHES.format("amd64", "amd64"))
    found = said(platforms, tmp_path, files, ScriptsSurvey())
    assert not any(advice.findings for advice in found.values()) and whole(list(found.values()))


def test_a_script_that_ends_everywhere_is_not_judged(platforms: Platforms, tmp_path: Path) -> None:
    script = '#!/bin/sh\nuname -m\n[ $# -gt 0 ] || { echo "usage: $0 FILE"; exit 2; }\n'
    found = said(platforms, tmp_path, {"install.sh": script}, ScriptsSurvey())
    for advice in found.values():
        assert not advice.findings and advice.standing is Standing.OPEN


def test_a_script_that_never_ends_is_ours(
    platforms: Platforms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_xinchuang.advise.builds.scripts.SCRIPT_S", 1.0)
    found = said(platforms, tmp_path, {"install.sh": "#!/bin/sh\nuname -m\nwhile :; do :; done\n"}, ScriptsSurvey())
    for advice in found.values():
        assert not advice.findings and advice.standing is Standing.OPEN and advice.parts[0].why
