"""Java classes: every rule's witness compiled by javac, inheritance, and what cannot be read."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from pytest_xinchuang.errors import XcError
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.sdkapi.compare import Comparison, compare
from pytest_xinchuang.sdkapi.java import BadClass, parse_descriptor, read_class
from pytest_xinchuang.sdkapi.rules import Rules
from pytest_xinchuang.sdkapi.source import ReadOptions, Sources
from tests.sdkapi.trees import rules_of

WITNESSED = [r for r in Rules().by_id.values() if r.id.startswith("JAVA-") and r.witness]
JAVAC = shutil.which("javac")
needs_javac = pytest.mark.skipif(JAVAC is None, reason="needs javac")


def compiled(directory: Path, sources: dict[str, str], classpath: Path | None = None) -> tuple[bool, str]:
    """Compile sources by path; returns whether it went, and what javac said."""
    for name, text in sources.items():
        path = directory / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    out = directory / "classes"
    out.mkdir(exist_ok=True)
    argv = [str(JAVAC), "-nowarn", "-d", str(out), *(["-cp", str(classpath)] if classpath else [])]
    done = subprocess.run(
        [*argv, *(str(directory / "src" / n) for n in sources)], capture_output=True, text=True, check=False
    )
    return done.returncode == 0, done.stderr


def library(directory: Path, text: str) -> Path:
    good, said = compiled(directory, {"lib/L.java": f"package lib;\n{text}\n"})
    assert good, said
    return directory / "classes"


def diff(old: Path, new: Path) -> Comparison:
    with Sources(Cache(), ReadOptions(language="java")) as sources:
        sides = [sources.read(str(place)) for place in (old, new)]
        for snapshot in sides:
            for packages in snapshot.packages.values():
                assert packages[0].symbols is not None
        return compare(*sides, Rules())


@needs_javac
@pytest.mark.slow
@pytest.mark.parametrize("rule", WITNESSED, ids=lambda r: r.id)
def test_a_rules_witness(tmp_path: Path, rule: object) -> None:
    witness = rule.witness  # type: ignore[attr-defined]
    old, new = library(tmp_path / "old", witness.old), library(tmp_path / "new", witness.new)
    client = {"client/Use.java": f"package client;\nimport lib.*;\n{witness.client}\n"}
    assert compiled(tmp_path / "a", client, old)[0]
    good, said = compiled(tmp_path / "b", client, new)
    assert good is not witness.breaks, said
    found = {j.rule.id: j.weight for j in diff(old, new).changes}
    assert rule.id in found  # type: ignore[attr-defined]
    if not witness.breaks:
        assert "breaking" not in found.values()


@needs_javac
def test_a_method_that_moves_to_a_superclass_is_still_there(tmp_path: Path) -> None:
    old = library(tmp_path / "old", "public class L { public void m() {} }")
    new = library(tmp_path / "new", "public class L extends Base {}\nclass Base { public void m() {} }")
    assert not rules_of(diff(old, new), "breaking")


@needs_javac
def test_what_others_cannot_see_does_not_count(tmp_path: Path) -> None:
    old = library(
        tmp_path / "old",
        "public final class L { protected void a() {} void b() {} private int c; L() {} }\nclass Hidden { public void x() {} }",
    )
    new = library(tmp_path / "new", "public final class L { L() {} }")
    assert not diff(old, new).changes


@needs_javac
def test_jars_directories_and_broken_classes(tmp_path: Path) -> None:
    classes = library(tmp_path / "old", "public class L { public int f(long[] a, String b) { return 1; } }")
    jar = tmp_path / "lib.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for path in classes.rglob("*.class"):
            archive.write(path, path.relative_to(classes))
    assert not diff(jar, classes).changes
    with Sources(Cache(), ReadOptions()) as sources:
        found = sources.read(str(jar))
        assert "L#f([JLjava/lang/String;)I" in found.packages["lib"][0].symbols
    broken = tmp_path / "broken.jar"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("lib/L.class", b"\xca\xfe\xba\xbe\x00\x00\x00\x34\xff\xff")
    comparison = diff(jar, broken)
    assert comparison.undecided and not comparison.breaking
    assert "lib/L.class" in str(comparison.new.problems[0])


@pytest.mark.parametrize(
    "data", [b"", b"\xca\xfe", b"PK\x03\x04", b"\xca\xfe\xba\xbe" + b"\x00" * 4 + b"\x00\x02\x63\x00\x00"]
)
def test_what_is_no_class_file(data: bytes) -> None:
    with pytest.raises(BadClass):
        read_class(data)


def test_descriptors() -> None:
    assert parse_descriptor("([[ILjava/util/Map$Entry;)V") == {
        "kind": "func",
        "params": [
            {"kind": "slice", "elem": {"kind": "slice", "elem": {"kind": "basic", "name": "int"}}},
            {"kind": "named", "package": "java.util", "name": "Map$Entry"},
        ],
        "results": [{"kind": "basic", "name": "void"}],
    }
    for text in ("", "X", "II", "(I", "Lopen"):
        with pytest.raises(BadClass):
            parse_descriptor(text)


def test_what_holds_no_class(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "bad.jar").write_bytes(b"not a zip")
    with Sources(Cache(), ReadOptions(language="java")) as sources:
        with pytest.raises(XcError, match="no class file"):
            sources.read(str(tmp_path / "none"))
        with pytest.raises(XcError, match="not a jar"):
            sources.read(str(tmp_path / "bad.jar"))
