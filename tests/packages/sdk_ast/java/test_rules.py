"""Java classes: every rule's witness compiled by javac, inheritance, and what cannot be read."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.java.classfile import BadClass, read_class
from pytest_xinchuang.packages.sdk_ast.java.signature import parse_descriptor
from pytest_xinchuang.packages.sdk_ast.rules import Rule, Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.trees import rules_of
from tests.packages.sdk_ast.witness import SECTION

WITNESSED = [r for r in Rules().by_id.values() if r.id.startswith("JAVA-") and r.witness]
JAVAC = shutil.which("javac")
needs_javac = pytest.mark.skipif(JAVAC is None, reason="needs javac")


MANY = """
import java.io.*;
import javax.tools.ToolProvider;
class Many {
    public static void main(String[] none) throws IOException {
        BufferedReader jobs = new BufferedReader(new InputStreamReader(System.in));
        for (String job; (job = jobs.readLine()) != null; ) {
            ByteArrayOutputStream said = new ByteArrayOutputStream();
            int code = ToolProvider.getSystemJavaCompiler().run(null, said, said, job.split("\\t"));
            System.out.println(code + " " + said.toString().replace("\\n", " "));
        }
    }
}
"""
"""javac, of which each start takes a second, for many jobs: a line of its arguments each."""


def job(directory: Path, name: str, text: str, classpath: Path | None = None) -> list[str]:
    """javac's arguments for one source, which is written; classes go to ``classes`` in the directory."""
    path = directory / "src" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    (directory / "classes").mkdir()
    return ["-nowarn", "-d", str(directory / "classes"), *(["-cp", str(classpath)] if classpath else []), str(path)]


def library_job(directory: Path, text: str) -> list[str]:
    """Of a text whose further files follow in sections ``-- path --``."""
    first, *more = SECTION.split(text)
    words = job(directory, "lib/L.java", f"package lib;\n{first}\n")
    for name, content in zip(more[::2], more[1::2], strict=True):
        (directory / "src" / name).write_text(content)
        words.append(str(directory / "src" / name))
    return words


def library(directory: Path, text: str) -> Path:
    done = subprocess.run([str(JAVAC), *library_job(directory, text)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return directory / "classes"


def diff(old: Path, new: Path) -> Comparison:
    with Sources(Cache(), ReadOptions(language="java")) as sources:
        sides = [sources.read(str(place)) for place in (old, new)]
        for snapshot in sides:
            for packages in snapshot.packages.values():
                assert packages[0].symbols is not None
        return compare(sides[0], sides[1], Rules())


@pytest.fixture(scope="module")
def witnesses(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A directory with each rule's old and new library, and what javac says of these and of the client under each."""
    root = tmp_path_factory.mktemp("witnesses")
    jobs: dict[str, list[str]] = {}
    for rule in WITNESSED:
        assert rule.witness is not None
        place = root / rule.id
        client = f"package client;\nimport lib.*;\n{rule.witness.client}\n"
        for age, text in (("old", rule.witness.old), ("new", rule.witness.new)):
            jobs[f"{rule.id} {age}"] = library_job(place / age, text)
            use = job(place / f"use-{age}", "client/Use.java", client, place / age / "classes")
            jobs[f"{rule.id} use-{age}"] = use
    (root / "Many.java").write_text(MANY)
    done = subprocess.run(
        [str(Path(str(JAVAC)).with_name("java")), str(root / "Many.java")],
        input="".join("\t".join(words) + "\n" for words in jobs.values()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return root, dict(zip(jobs, done.stdout.splitlines(), strict=True))


@needs_javac
@pytest.mark.slow
@pytest.mark.parametrize("rule", WITNESSED, ids=lambda r: r.id)
def test_a_rules_witness(rule: Rule, witnesses: tuple[Path, dict[str, str]]) -> None:
    root, said = witnesses
    assert rule.witness is not None
    for part in ("old", "new", "use-old"):
        assert said[f"{rule.id} {part}"].startswith("0 "), said[f"{rule.id} {part}"]
    compiles = said[f"{rule.id} use-new"].startswith("0 ")
    assert compiles is not rule.witness.breaks, said[f"{rule.id} use-new"]
    found = {j.rule.id: j.weight for j in diff(root / rule.id / "old/classes", root / rule.id / "new/classes").changes}
    assert rule.id in found
    if not rule.witness.breaks:
        assert "breaking" not in found.values()


@pytest.mark.tools
@needs_javac
def test_a_method_that_moves_to_a_superclass_is_still_there(tmp_path: Path) -> None:
    old = library(tmp_path / "old", "public class L { public void m() {} }")
    new = library(tmp_path / "new", "public class L extends Base {}\nclass Base { public void m() {} }")
    assert not rules_of(diff(old, new), "breaking")


@pytest.mark.tools
@needs_javac
def test_what_others_cannot_see_does_not_count(tmp_path: Path) -> None:
    old = library(
        tmp_path / "old",
        "public final class L { protected void a() {} void b() {} private int c; L() {} }\nclass Hidden { public void x() {} }",
    )
    new = library(tmp_path / "new", "public final class L { L() {} }")
    assert not diff(old, new).changes


@pytest.mark.tools
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
        with pytest.raises(XcError, match="cannot be read as a jar"):
            sources.read(str(tmp_path / "bad.jar"))
