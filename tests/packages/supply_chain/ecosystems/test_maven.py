"""What else Maven builds from: plugins, parents, imported poms, settings, extensions and wrappers, each with its twin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.finding import Certainty
from tests.packages.supply_chain.ecosystems.conftest import Check
from tests.packages.supply_chain.ecosystems.worlds import maven, put

C, U = Certainty.CERTAIN, Certainty.UNDECIDED
USUAL, EVIL = "https://maven.example.org/m2", "https://evil.example/m2"
PLUGIN = "<build><plugins><plugin><artifactId>p</artifactId>{}</plugin></plugins></build>"
MANAGED = (
    "<build><pluginManagement><plugins><plugin><artifactId>p</artifactId><version>1</version></plugin></plugins>"
    "</pluginManagement><plugins><plugin><artifactId>p</artifactId></plugin></plugins></build>"
)
PARENT = "<parent><groupId>g</groupId><artifactId>p</artifactId><version>{}</version><relativePath/></parent>"
BOM = (
    "<dependencyManagement><dependencies><dependency><groupId>g</groupId><artifactId>b</artifactId>"
    "<version>{}</version><type>pom</type><scope>import</scope></dependency></dependencies></dependencyManagement>"
)
EXTENSION = (
    "<build><extensions><extension><groupId>g</groupId><artifactId>e</artifactId><version>{}</version>"
    "</extension></extensions></build>"
)
REPOSITORY = "<{0}><{1}><url>{2}</url></{1}></{0}>"
SYSTEM = (
    "<dependencies><dependency><groupId>g</groupId><artifactId>s</artifactId><version>1</version>"
    "<scope>system</scope><systemPath>${{basedir}}/s.jar</systemPath></dependency></dependencies>"
)

POMS: dict[str, tuple[str, set[tuple[str, Certainty]]]] = {
    "a plugin with a version": (PLUGIN.format("<version>1.0</version>"), set()),
    "a plugin whose version is managed": (MANAGED, set()),
    "a plugin without a version": (PLUGIN.format(""), {("XC-SUP-160", U)}),
    "the latest plugin": (PLUGIN.format("<version>LATEST</version>"), {("XC-SUP-119", C)}),
    "an extension": (EXTENSION.format("1.0"), set()),
    "an extension by a range": (EXTENSION.format("[1,)"), {("XC-SUP-119", C)}),
    "a parent": (PARENT.format("1.0"), set()),
    "a parent that is a snapshot": (PARENT.format("1.0-SNAPSHOT"), {("XC-SUP-119", C)}),
    "a parent by a range": (PARENT.format("[1.0,2.0)"), {("XC-SUP-119", C)}),
    "an imported pom": (BOM.format("1.0"), set()),
    "an imported pom that is a snapshot": (BOM.format("1.0-SNAPSHOT"), {("XC-SUP-119", C)}),
    "another repository of plugins": (
        REPOSITORY.format("pluginRepositories", "pluginRepository", EVIL),
        {("XC-SUP-145", C)},
    ),
    "the usual repository": (REPOSITORY.format("repositories", "repository", USUAL), set()),
    "another repository of a profile": (
        f"<profiles><profile>{REPOSITORY.format('repositories', 'repository', EVIL)}</profile></profiles>",
        {("XC-SUP-145", C)},
    ),
    "where it is published to": (
        f"<distributionManagement><repository><url>{EVIL}</url></repository></distributionManagement>",
        set(),
    ),
}


def told(done: Any) -> set[tuple[str, Certainty]]:
    return {(f.code, f.certainty) for f in done.findings if f.certainty is not Certainty.NOTE}


@pytest.mark.parametrize("name", POMS)
def test_poms(name: str, tmp_path: Path, check: Check) -> None:
    maven(tmp_path)
    text, wanted = POMS[name]
    path = tmp_path / "product/pom.xml"
    path.write_text(path.read_text().replace("</project>", f"{text}</project>"))
    done = check("maven")
    assert (told(done), done.verified) == (wanted, 1)


OLD = "<dependency><groupId>old</groupId><artifactId>name</artifactId>{}</dependency>"
MOVED = "<project><distributionManagement><relocation>{}</relocation></distributionManagement></project>"


@pytest.mark.parametrize(
    ("version", "moved", "wanted"),
    [
        ("1.5", "<groupId>{g}</groupId><artifactId>{a}</artifactId>", set()),
        ("1.5", "<groupId>middle</groupId>", set()),
        ("", "<groupId>{g}</groupId><artifactId>{a}</artifactId>", set()),
        ("1.5", "<groupId>{g}</groupId><artifactId>elsewhere</artifactId>", {("XC-SUP-103", U)}),
        ("1.5", "<artifactId>name</artifactId>", {("XC-SUP-103", C)}),
        ("1.5", None, {("XC-SUP-103", C)}),
        ("1.5", "<", {("XC-SUP-103", U)}),
        ("1.5", "", {("XC-SUP-103", C)}),
        ("9", "<groupId>{g}</groupId><artifactId>{a}</artifactId>", {("XC-SUP-103", U)}),
        ("", None, {("XC-SUP-103", C)}),
    ],
)
def test_what_has_another_name_now(
    version: str, moved: str | None, wanted: set[tuple[str, Certainty]], tmp_path: Path, check: Check
) -> None:
    maven(tmp_path)
    path = tmp_path / "product/pom.xml"
    text = path.read_text()
    group, artifact = (text.rpartition(f"<{tag}>")[2].partition("<")[0] for tag in ("groupId", "artifactId"))
    asked = OLD.format(f"<version>{version}</version>" if version else "")
    path.write_text(text.replace("</dependencies>", f"{asked}</dependencies>", 1))
    here = MOVED.format(moved.format(g=group, a=artifact)) if moved is not None else "<project/>"
    put(tmp_path / "registry", {"old/name/1.5/name-1.5.pom": here})
    there = MOVED.format(f"<groupId>{group}</groupId><artifactId>{artifact}</artifactId>")
    put(tmp_path / "registry", {"middle/name/1.5/name-1.5.pom": there})
    found = told(check("maven"))
    assert found == wanted | ({("XC-SUP-119", C)} if not version else set())


def test_a_jar_of_the_system_comes_from_no_repository(tmp_path: Path, check: Check) -> None:
    maven(tmp_path)
    path = tmp_path / "product/pom.xml"
    one = SYSTEM.removeprefix("<dependencies>").removesuffix("</dependencies>")
    path.write_text(path.read_text().replace("</dependencies>", f"{one}</dependencies>"))
    assert told(check("maven")) == {("XC-SUP-113", C)}


CONFIG = (
    "-Daether.artifactResolver.postProcessor.trustedChecksums=true\n"
    "-Daether.artifactResolver.postProcessor.trustedChecksums.failIfMissing=true\n"
)
MIRROR = "<settings><mirrors><mirror><id>m</id><url>{}</url><mirrorOf>*</mirrorOf></mirror></mirrors></settings>"
FETCHED = "distributionUrl=https\\://x.example/maven.zip\n"

FILES: dict[str, tuple[dict[str, str], set[tuple[str, Certainty]]]] = {
    "a mirror": (
        {".mvn/maven.config": f"{CONFIG}-s\nours.xml\n", "ours.xml": MIRROR.format(EVIL)},
        {("XC-SUP-145", C)},
    ),
    "a mirror, in one word": (
        {".mvn/maven.config": f"{CONFIG}--settings=ours.xml\n", "ours.xml": MIRROR.format(EVIL)},
        {("XC-SUP-145", C)},
    ),
    "the usual repository": ({".mvn/maven.config": f"{CONFIG}-s ours.xml\n", "ours.xml": MIRROR.format(USUAL)}, set()),
    "settings that nobody names": ({"ours.xml": MIRROR.format(EVIL)}, set()),
    "settings that are not there": ({".mvn/maven.config": f"{CONFIG}-gs none.xml\n"}, {("XC-SUP-160", U)}),
    "settings that are none": ({".mvn/maven.config": f"{CONFIG}-s ours.xml\n", "ours.xml": "<a"}, {("XC-SUP-101", C)}),
    "extensions of Maven": ({".mvn/extensions.xml": "<extensions/>"}, {("XC-SUP-160", U)}),
    "a wrapper": ({".mvn/wrapper/maven-wrapper.properties": FETCHED}, {("XC-SUP-160", U)}),
    "a wrapper with a hash": (
        {".mvn/wrapper/maven-wrapper.properties": f"{FETCHED}distributionSha256Sum={'a' * 64}\n"},
        set(),
    ),
    "a wrapper of Gradle": ({"gradle/wrapper/gradle-wrapper.properties": FETCHED}, {("XC-SUP-160", U)}),
    "a repository of Gradle": (
        {"build.gradle": f"repositories {{\n  mavenCentral()\n  maven {{\n    url '{EVIL}'\n  }}\n}}\n"},
        {("XC-SUP-160", U)},
    ),
    "a repository of Gradle in Kotlin": (
        {"settings.gradle.kts": f'pluginManagement {{ repositories {{ maven("{EVIL}") }} }}\n'},
        {("XC-SUP-160", U)},
    ),
    "a repository of Gradle by a call": (
        {"build.gradle.kts": f'repositories {{ maven {{ url = uri("{EVIL}") }} }}\n'},
        {("XC-SUP-160", U)},
    ),
    "the usual repository of Gradle": ({"build.gradle": f"repositories {{ maven {{ url '{USUAL}' }} }}\n"}, set()),
    "where Gradle publishes to": (
        {"build.gradle": f"publishing {{ repositories {{ maven {{ url '{EVIL}' }} }} }}\n// url '{EVIL}'\n"},
        set(),
    ),
    "an address that takes nothing": ({"build.gradle": f"def home = '{EVIL}'\n"}, set()),
    "settings above that are not in effect": ({"../.mvn/extensions.xml": "<extensions/>"}, set()),
}


@pytest.mark.parametrize("name", FILES)
def test_files_beside_the_pom(name: str, tmp_path: Path, check: Check) -> None:
    maven(tmp_path)
    files, wanted = FILES[name]
    put(tmp_path / "product", files)
    assert told(check("maven")) == wanted


def test_settings_above_a_product_without_its_own(tmp_path: Path, check: Check) -> None:
    maven(tmp_path)
    (tmp_path / "product/.mvn").rename(tmp_path / ".mvn")
    found = [f for f in check("maven").findings if f.code == "XC-SUP-160" and ".mvn" in str(f.params)]
    assert [f.certainty for f in found] == [U]
