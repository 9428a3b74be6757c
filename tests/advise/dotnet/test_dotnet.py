"""Projects of .NET: the machines that they are for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_xinchuang.advise.dotnet.survey import DotnetSurvey
from tests.advise.asking import ask, library

PROJECT = """<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    {said}
  </PropertyGroup>
</Project>
"""
BAD = {
    "one": "<RuntimeIdentifier>linux-x64</RuntimeIdentifier>",
    "several": "<RuntimeIdentifiers>win-x64;linux-x64</RuntimeIdentifiers>",
    "target": "<PlatformTarget>x64</PlatformTarget>",
}


@pytest.mark.parametrize("name", BAD)
def test_a_project_for_x64_alone(tmp_path: Path, name: str) -> None:
    said = ask(DotnetSurvey(), tmp_path, {"a/A.csproj": PROJECT.format(said=BAD[name])})
    for platform in ("kunpeng", "loongson"):
        assert said.may(platform) == [("XC-ADV-100", "a/A.csproj:3")] and not said.certain(platform)
    assert not said.found("hygon") and said.judged("kunpeng") == [(1, 1)]


@pytest.mark.parametrize(
    "text",
    [
        "<RuntimeIdentifiers>linux-x64;linux-arm64;linux-loongarch64</RuntimeIdentifiers>",
        "<PlatformTarget>AnyCPU</PlatformTarget>",
        "<RuntimeIdentifier>win-x64</RuntimeIdentifier>",
        "<RuntimeIdentifier Condition=\"'$(Arch)'=='x64'\">linux-x64</RuntimeIdentifier>",
        "<RuntimeIdentifier>$(Rid)</RuntimeIdentifier>",
        "<TargetFramework>net8.0</TargetFramework>",
    ],
)
def test_projects_for_all(tmp_path: Path, text: str) -> None:
    assert not ask(DotnetSurvey(), tmp_path, {"A.csproj": PROJECT.format(said=text)}).said.findings


def test_a_lock_without_the_platform(tmp_path: Path) -> None:
    def lock(*rids: str) -> str:
        return json.dumps({"version": 1, "dependencies": {"net8.0": {}, **{f"net8.0/{rid}": {} for rid in rids}}})

    files = {"A.csproj": PROJECT.format(said=""), "packages.lock.json": lock("linux-x64", "linux-arm64")}
    said = ask(DotnetSurvey(), tmp_path / "bad", files)
    assert said.may("loongson") == [("XC-ADV-100", "packages.lock.json")] and not said.found("kunpeng")
    files["packages.lock.json"] = lock()
    assert not ask(DotnetSurvey(), tmp_path / "good", files).said.findings


def test_natives_by_runtime_identifier(tmp_path: Path) -> None:
    machines = {"linux-x64": "x86_64", "linux-arm64": "aarch64", "linux-loongarch64": "loongarch64"}
    files = {f"runtimes/{rid}/native/libfast.so": library(m) for rid, m in machines.items()}
    project = {"A.csproj": PROJECT.format(said="")}
    assert not ask(DotnetSurvey(), tmp_path / "good", {**project, **files}).said.findings
    del files["runtimes/linux-loongarch64/native/libfast.so"]
    said = ask(DotnetSurvey(), tmp_path / "bad", {**project, **files})
    place = "runtimes/linux-x64/native/libfast.so"
    assert said.may("loongson") == [("XC-ADV-083", place)] and not said.found("kunpeng")
    # A directory of the right name with the wrong file is no file for the platform.
    files["runtimes/linux-loongarch64/native/libfast.so"] = library("x86_64")
    assert ask(DotnetSurvey(), tmp_path / "wrong", {**project, **files}).may("loongson") == [("XC-ADV-083", place)]


@pytest.mark.parametrize("text", ["", "<Project>", "{}", "<!DOCTYPE a><Project/>", "\0"])
def test_what_is_no_project_is_not_judged(tmp_path: Path, text: str) -> None:
    said = ask(DotnetSurvey(), tmp_path, {"A.csproj": text})
    assert said.judged("kunpeng") == [(0, 1)] and not said.said.findings


def test_packages_and_sources_that_nobody_reads_are_never_clean(tmp_path: Path) -> None:
    project = (
        '<Project><ItemGroup><PackageReference Include="A" /><PackageReference Include="B" /></ItemGroup></Project>'
    )
    said = ask(DotnetSurvey(), tmp_path, {"A.csproj": project, "a.cs": "class A {}"})
    assert said.judged("kunpeng") == [(1, 1), (0, 2), (0, 1)] and not said.said.findings
