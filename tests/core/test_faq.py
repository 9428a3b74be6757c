"""The examples of docs/faq.md are what they say they are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.profile import ProfilesFile, load_waivers
from pytest_xinchuang.core.requirement import load_catalogue
from pytest_xinchuang.core.yamlfile import YamlFile

FAQ = (Path(__file__).parents[2] / "docs/faq.md").read_text(encoding="utf-8")


def example(schema: str, place: Path) -> Path:
    (text,) = re.findall(rf"```yaml\n(schema: {schema}/1\n.*?)```", FAQ, re.DOTALL)
    path = place / "example.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_files_are_read(tmp_path: Path) -> None:
    assert load_catalogue(example("xc-requirements", tmp_path)).packages == ("acme",)
    assert [w.owner for w in load_waivers(example("xc-waivers", tmp_path))] == ["Han Meimei"]
    platforms = Platforms([resources.platforms_file(), example("xc-platforms", tmp_path)])
    fact = platforms.get("kunpeng").system.libc_version
    assert fact is not None and fact.value == "2.28" and fact.source == "ldd --version on the machine"


def test_the_profiles_are_those_that_are_shipped() -> None:
    profiles = YamlFile(resources.conformance_dir() / "profiles.yaml").parse(ProfilesFile).profiles
    (line,) = [line for line in FAQ.splitlines() if line.startswith("Profiles are the shipped ones")]
    assert set(re.findall(r"`([a-z-]+)`", line)) == set(profiles)


@pytest.mark.parametrize("text", re.findall(r"```python\n(.*?)```", FAQ, re.DOTALL))
def test_the_programs_are_programs(text: str) -> None:
    ast.parse(text)
