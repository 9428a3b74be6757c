"""Artifacts by classifier: whether a repository has the platform's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_xinchuang.advise.java.survey import JavaSurvey
from pytest_xinchuang.advise.registries import Registry
from tests.advise.asking import Asked, ask


def central(*paths: str) -> Registry:
    def get(url: str, _headers: Mapping[str, str]) -> bytes | None:
        return b"digest" if any(url.endswith(f"/{path}.sha1") for path in paths) else None

    return Registry(get)


def asked(root: Path, registry: Registry, **files: str) -> Asked:
    named = {name.replace("__", "."): text for name, text in files.items()}
    return ask(JavaSurvey(registry), root, named, offline=False)


POM = """<?xml version="1.0"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <properties><v>3.21.7</v></properties>
  <dependencies>
    <dependency>
      <groupId>com.example</groupId><artifactId>fast</artifactId><version>1.0</version>
      <classifier>{classifier}</classifier>
    </dependency>
  </dependencies>
  <build><plugins><plugin><configuration>
    <protocArtifact>com.google.protobuf:protoc:${{v}}:exe:${{os.detected.classifier}}</protocArtifact>
  </configuration></plugin></plugins></build>
</project>
"""
DETECTED = POM.format(classifier="${os.detected.classifier}")
PROTOC = tuple(f"protoc-3.21.7-linux-{m}.exe" for m in ("x86_64", "aarch_64"))
FAST = tuple(f"fast-1.0-linux-{m}.jar" for m in ("x86_64", "aarch_64", "loongarch_64"))


def test_the_detected_classifier_has_to_be_there(tmp_path: Path) -> None:
    said = asked(tmp_path, central(*PROTOC, *FAST), pom__xml=DETECTED)
    assert said.certain("loongson") == [("XC-ADV-084", "pom.xml:11")] == said.found("loongson")
    assert not said.found("kunpeng") and not said.found("hygon") and said.judged("kunpeng") == [(2, 2)]


def test_all_are_there(tmp_path: Path) -> None:
    known = central(*PROTOC, "protoc-3.21.7-linux-loongarch_64.exe", *FAST)
    assert not asked(tmp_path, known, pom__xml=DETECTED).said.findings


def test_a_fixed_classifier_is_that_of_x86_64_on_every_machine(tmp_path: Path) -> None:
    said = asked(tmp_path, central(*PROTOC, *FAST), pom__xml=POM.format(classifier="linux-x86_64"))
    assert said.may("kunpeng") == [("XC-ADV-084", "pom.xml:5")] and not said.certain("kunpeng")


def test_what_no_repository_that_was_asked_has_is_open(tmp_path: Path) -> None:
    said = asked(tmp_path, central(), pom__xml=DETECTED)
    assert not said.said.findings and said.judged("loongson") == [(0, 2)]


def test_offline_is_open(tmp_path: Path) -> None:
    said = ask(JavaSurvey(), tmp_path, {"pom.xml": DETECTED})
    assert not said.said.findings and said.judged("loongson") == [(0, 2)] and "offline" in said.why("loongson")


GRADLE = """// artifact = "com.google.protobuf:protoc:9.9"
def v = '3.21.7'
protobuf {
    protoc { artifact = "com.google.protobuf:protoc:$v" }
}
"""


def test_gradle(tmp_path: Path) -> None:
    said = asked(tmp_path, central(*PROTOC), build__gradle=GRADLE)
    assert said.certain("loongson") == [("XC-ADV-084", "build.gradle:4")] and not said.found("kunpeng")
    unknown = asked(tmp_path / "unknown", central(*PROTOC), build__gradle=GRADLE.replace("def v", "def w"))
    assert unknown.judged("loongson") == [(0, 1)] and not unknown.said.findings


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><project>&b;</project>'


@pytest.mark.parametrize("text", ["", "<project>", BOMB, "<a>" * 5000, "\0"])
def test_what_is_no_pom_is_not_judged(tmp_path: Path, text: str) -> None:
    said = asked(tmp_path, central(), pom__xml=text)
    assert said.judged("kunpeng") == [(0, 1)] and "cannot be read" in said.why("kunpeng")


def test_dependencies_that_nobody_opens_are_never_clean(tmp_path: Path) -> None:
    one = "<dependency><groupId>g</groupId><artifactId>a</artifactId><version>1</version></dependency>"
    files = {"pom__xml": f"<project><dependencies>{one}</dependencies></project>", "A__kt": "class A"}
    said = asked(tmp_path, central(), build__gradle='dependencies { implementation("g:b:1") }', **files)
    assert said.judged("kunpeng") == [(0, 2), (0, 1)] and not said.said.findings


PLAIN = {
    "a catalog": {
        "gradle/libs.versions.toml": '[versions]\nv = "1"\n[libraries]\nn = { module = "io.n:n", version.ref = "v" }\n',
        "build.gradle.kts": "dependencies { implementation(libs.n) }\n",
    },
    "a catalog of short names": {"gradle/libs.versions.toml": '[libraries]\nn = "io.n:n:1"\n', "build.gradle": ""},
    "parts": {"build.gradle": "dependencies { implementation group: 'io.n', name: 'n', version: '1' }\n"},
    "a catalog that is broken": {
        "gradle/libs.versions.toml": "[[[",
        "build.gradle": "dependencies {\n  implementation libs.n\n}\n",
    },
}


@pytest.mark.parametrize("kind", PLAIN)
def test_dependencies_that_are_written_elsewhere_are_not_judged(tmp_path: Path, kind: str) -> None:
    said = ask(JavaSurvey(central()), tmp_path, PLAIN[kind])
    assert said.judged("kunpeng") == [(0, 1)] and "when it is fetched" in said.why("kunpeng")


@pytest.mark.parametrize(
    "text", ["dependencies { implementation project(':a') }\n", "dependencies { }\n", "plugins { }\n"]
)
def test_a_build_of_gradle_without_dependencies_has_none(tmp_path: Path, text: str) -> None:
    assert not ask(JavaSurvey(central()), tmp_path, {"build.gradle": text}).said.parts
