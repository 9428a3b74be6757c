"""Clients in Java: what javac and the linker say, what no client can say, and a host without a JDK."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.java.jdk import Platform, platform
from pytest_xinchuang.packages.sdk_ast.java.trier import find_jdk, package_of, try_clients
from pytest_xinchuang.packages.sdk_ast.judge.client import Outcome
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools.process import Finished, Runner
from tests.packages.sdk_ast.java.truth import JAVAC

needs_javac = pytest.mark.skipif(JAVAC is None, reason="needs javac")
HOLDS, FAILS, UNTRIED = Outcome.HOLDS, Outcome.FAILS, Outcome.UNTRIED


def library(directory: Path, text: str) -> Path:
    source = directory / "src" / "lib" / "L.java"
    source.parent.mkdir(parents=True)
    source.write_text(f"package lib;\n{text}\n")
    words = [str(JAVAC), "-nowarn", "-d", str(directory / "classes"), str(source)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return directory / "classes"


def diff(old: Path, new: Path) -> Comparison:
    with Sources(Cache(), ReadOptions(language="java")) as sources:
        sides = [sources.read(str(place)) for place in (old, new)]
        return judged(compare(sides[0], sides[1], Rules()), sources, Rules(), ApiPolicy())


@pytest.mark.tools
@needs_javac
def test_what_becomes_of_clients(tmp_path: Path) -> None:
    old = library(
        tmp_path / "old", "public class L { public static void m() { throw new Error(); } public static long k; }"
    )
    new = library(
        tmp_path / "new", "public class L { public static int m() { throw new Error(); } public static int k; }"
    )
    texts = [
        "class Use { void use() { lib.L.m(); } }",
        "class Use { long use() { return lib.L.k; } }",
        "class Use { void use() { lib.L.gone(); } }",
        "class Use { this is no Java",
        "class Use { static { System.exit(3); } void use() { new lib.L(); } }",
    ]
    clients = [{"Use.java": f"package {package_of(n)};\n{text}\n"} for n, text in enumerate(texts)]
    jdk = find_jdk(Runner())
    tried = try_clients(Cache(), Runner(), jdk, (old, new), clients, tmp_path / "work")
    # Nothing of a client or a library is run, and a syntax error of one is no matter of the others.
    assert [(one.old, one.source, one.binary) for one in tried] == [
        (HOLDS, HOLDS, FAILS),
        (HOLDS, HOLDS, FAILS),
        (FAILS, UNTRIED, UNTRIED),
        (FAILS, UNTRIED, UNTRIED),
        (HOLDS, HOLDS, HOLDS),
    ]
    assert "NoSuchMethod" in tried[0].said and "@" not in tried[0].said


@pytest.mark.tools
@needs_javac
def test_a_client_of_ours_that_cannot_be_read_is_no_break(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = library(tmp_path / "lib", "public class L { public static void m() {} }")
    client = {"Use.java": f"package {package_of(0)};\nclass Use {{ void use() {{ lib.L.m(); }} }}\n"}
    runner = Runner()
    jdk = find_jdk(runner)
    assert try_clients(Cache(), runner, jdk, (place, place), [client], tmp_path / "first")[0].source is HOLDS
    run = Runner.run

    def after_the_sources_are_gone(self: Runner, argv: Sequence[str], **options: Any) -> Finished:
        for source in (tmp_path / "work/clients").rglob("*.java"):
            source.unlink()
            source.symlink_to(tmp_path / "nowhere")
        return run(self, argv, **options)

    monkeypatch.setattr(Runner, "run", after_the_sources_are_gone)
    with pytest.raises(HostFault, match="error reading"):
        try_clients(Cache(), runner, jdk, (place, place), [client], tmp_path / "work")


@pytest.mark.tools
@needs_javac
def test_clients_confirm_and_refute(tmp_path: Path) -> None:
    old = library(tmp_path / "old", "public class L { public void gone() {} public void same() {} }")
    new = library(tmp_path / "new", "public class L { public void same() {} public void more() {} }")
    found = diff(old, new)
    assert not found.unjudged and found.trials
    shown = {one.rule.id: one.trial.client.relation for one in found.changes if one.trial is not None}
    assert shown == {"JAVA-METHOD-REMOVED": "call"}


@pytest.mark.tools
@needs_javac
def test_a_host_without_a_jdk_judges_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = library(tmp_path / "old", "public class L { public void m() {} }")
    new = library(tmp_path / "new", "public class L { }")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = diff(old, new)
    assert "no JDK" in str(found.unjudged) and found.breaking
    with pytest.raises(HostFault, match="no JDK"):
        find_jdk(Runner())


@pytest.mark.parametrize("data", [None, b"", b"PK\x03\x04 no archive"])
def test_a_platform_that_cannot_be_read_says_nothing(tmp_path: Path, data: bytes | None) -> None:
    archive = tmp_path / "ct.sym"
    if data is not None:
        archive.write_bytes(data)
    nothing = Platform(archive)
    assert not nothing.known and nothing.find("java.lang.String") is None
    assert nothing.supertypes("java.util.List") == {"java.util.List"}


@needs_javac
def test_what_the_platform_says() -> None:
    assert "java.lang.Iterable" in platform().supertypes("java.util.ArrayList")
    assert platform().method("java.util.ArrayList", "containsAll(Ljava/util/Collection;)Z")
    assert platform().method("java.util.ArrayList", "of()Ljava/util/List;") is None  # a static of an interface
    assert platform().find("no.such.Type") is None


@pytest.mark.tools
@needs_javac
def test_a_dependency_that_is_not_here_is_no_break(tmp_path: Path) -> None:
    old = library(tmp_path / "old", "public class L { public static void m() {} }")
    new = library(
        tmp_path / "new",
        "public class L extends Absent { public static void m() {} public static void more() {} }\nclass Absent {}",
    )
    (new / "lib" / "Absent.class").unlink()
    found = diff(old, new)
    assert not found.unjudged and not found.of("breaking")
