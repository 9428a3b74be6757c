"""What a delivery of Java says beside its members: modules, bundles, releases, annotations, and Kotlin's metadata."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from pytest_xinchuang.packages.sdk_ast.compare import compare
from pytest_xinchuang.packages.sdk_ast.java import kotlin
from pytest_xinchuang.packages.sdk_ast.java.classfile import BadClass
from pytest_xinchuang.packages.sdk_ast.java.delivery import exported_by, manifest_of
from pytest_xinchuang.packages.sdk_ast.java.signature import class_generic, member_generic, read_type, shown, written
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache

JAVAC = shutil.which("javac")
needs_javac = [pytest.mark.tools, pytest.mark.skipif(JAVAC is None, reason="needs javac")]
RULES = Rules()
HANDS_ON = "exports p; requires"
UNEXPORTED = {"JAVA-MODULE-EXPORTS-LOST": "breaking", "JAVA-PKG-REMOVED": "breaking"}


def compiled(directory: Path, files: dict[str, str], *words: str) -> Path:
    paths = []
    for name, text in files.items():
        path = directory / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        paths.append(str(path))
    argv = [str(JAVAC), "-nowarn", *words, "-d", str(directory / "classes"), *paths]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return directory / "classes"


def jar(path: Path, places: dict[str, Path], *, several: bool) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\nMulti-Release: {str(several).lower()}\n")
        for prefix, place in places.items():
            for file in sorted(place.rglob("*.class")):
                archive.write(file, prefix + file.relative_to(place).as_posix())
    return path


def weights(old: Path, new: Path, policy: ApiPolicy | None = None) -> dict[str, str]:
    with Sources(Cache(), ReadOptions(language="java")) as sources:
        sides = [sources.read(str(place)) for place in (old, new)]
        for snapshot in sides:
            for packages in snapshot.packages.values():
                assert packages[0].symbols is not None
        return {one.rule.id: one.weight for one in compare(sides[0], sides[1], RULES, policy).changes}


class TestPairs:
    pytestmark = needs_javac

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ("exports p; exports q;", "exports p;", UNEXPORTED),
            ("exports p;", "exports p; exports q;", {"JAVA-PKG-ADDED": "compatible"}),
            ("exports p;", "exports p to java.logging;", UNEXPORTED),
            ("exports p; opens q;", "exports p;", {"JAVA-MODULE-OPENS-LOST": "breaking"}),
            (f"{HANDS_ON} transitive java.sql;", f"{HANDS_ON} java.sql;", {"JAVA-MODULE-REQUIRES-LOST": "breaking"}),
            ("exports p; requires java.logging;", "exports p;", {}),
            ("exports p; provides Runnable with q.Q;", "exports p;", {"JAVA-MODULE-PROVIDES-LOST": "breaking"}),
        ],
    )  # fmt: skip
    def test_modules(self, tmp_path: Path, old: str, new: str, expected: dict[str, str]) -> None:
        sides = [
            compiled(
                tmp_path / age,
                {
                    "module-info.java": f"module m {{ {text} }}",
                    "p/P.java": "package p; public class P {}",
                    "q/Q.java": "package q; public class Q implements Runnable { public void run() {} }",
                },
            )
            for age, text in (("old", old), ("new", new))
        ]
        assert weights(sides[0], sides[1]) == expected

    @pytest.mark.parametrize(
        ("newer", "manifest", "expected"),
        [
            ("public class P { public void m() {} public void n() {} }", True, {}),
            ("public class P { public void m() {} public void n() {} public void more() {} }", True, {}),
            ("public class P { public void m() {} }", True, {"JAVA-METHOD-REMOVED": "breaking"}),
            ("public class P { public void m() {} void n() {} }", True, {"JAVA-METHOD-REMOVED": "breaking"}),
            (
                "public class P { public void m() {} public static void n() {} }",
                True,
                {"JAVA-METHOD-REMOVED": "breaking"},
            ),
            (
                "public final class P { public void m() {} public void n() {} }",
                True,
                {"JAVA-CLASS-FINAL-ADDED": "breaking"},
            ),
            ("public class P { public void m() {} }", False, {}),
        ],
    )
    def test_classes_for_newer_java(self, tmp_path: Path, newer: str, manifest: bool, expected: dict[str, str]) -> None:
        base = {"p/P.java": "package p; public class P { public void m() {} public void n() {} }"}
        old = jar(tmp_path / "old.jar", {"": compiled(tmp_path / "base", base)}, several=True)
        forms = {
            "": tmp_path / "base/classes",
            "META-INF/versions/11/": compiled(tmp_path / "newer", {"p/P.java": f"package p; {newer}"}),
        }
        new = jar(tmp_path / "new.jar", forms, several=manifest)
        found = weights(old, new)
        assert {rule: weight for rule, weight in found.items() if weight == "breaking"} == expected

    def test_a_module_that_is_renamed(self, tmp_path: Path) -> None:
        old, new = (
            compiled(
                tmp_path / name,
                {"module-info.java": f"module {name} {{ exports p; }}", "p/P.java": "package p; public class P {}"},
            )
            for name in ("m", "n")
        )
        assert weights(old, new)["JAVA-MODULE-REMOVED"] == "breaking"

    @pytest.mark.parametrize(
        ("manifest", "module", "weight"),
        [
            ("Export-Package: lib;version=1\n", "", "fragile"),
            ("Export-Package: lib;uses:=\"a,b\",lib\n .hidden\n", "", "breaking"),
            ("", "", "breaking"),
            ("", "module m { exports lib; }", "fragile"),
        ],
    )  # fmt: skip
    def test_packages_that_are_not_exported(self, tmp_path: Path, manifest: str, module: str, weight: str) -> None:
        jars = []
        for age, body in (("old", "public void m() {}"), ("new", "")):
            files = {
                "lib/L.java": "package lib; public class L {}",
                "lib/hidden/H.java": f"package lib.hidden; public class H {{ {body} }}",
                **({"module-info.java": module} if module else {}),
            }
            classes = compiled(tmp_path / age, files)
            jars.append(tmp_path / f"{age}.jar")
            with zipfile.ZipFile(jars[-1], "w") as jar:
                jar.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\n{manifest}\n")
                for path in classes.rglob("*.class"):
                    # A module's declaration of a multi-release jar stands below the versions.
                    name = path.relative_to(classes).as_posix()
                    jar.write(path, f"META-INF/versions/9/{name}" if name == "module-info.class" else name)
        assert set(weights(jars[0], jars[1]).values()) == {weight}

    def test_a_package_that_calls_itself_internal(self, tmp_path: Path) -> None:
        old, new = (
            compiled(
                tmp_path / age,
                {
                    "lib/internal/I.java": f"package lib.internal; public class I {{ {body} }}",
                    "lib/L.java": "package lib; public class L {}",
                },
            )
            for age, body in (("old", "public int x;"), ("new", ""))
        )
        assert weights(old, new) == {"JAVA-INTERNAL-CHANGED": "fragile"}
        assert weights(old, old) == {}

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ("RUNTIME", "CLASS", {"JAVA-ANNOTATION-RETENTION-REDUCED": "breaking"}),
            ("CLASS", "RUNTIME", {}),
        ],
    )
    def test_retention(self, tmp_path: Path, old: str, new: str, expected: dict[str, str]) -> None:
        text = "package lib; import java.lang.annotation.*; @Retention(RetentionPolicy.{}) public @interface L {{}}"
        sides = [compiled(tmp_path / name, {"lib/L.java": text.format(name)}) for name in (old, new)]
        assert weights(sides[0], sides[1]) == expected

    def test_the_number_of_serial_forms(self, tmp_path: Path) -> None:
        text = "package lib; public class L implements java.io.Serializable {{ {} }}"
        number = "private static final long serialVersionUID = "
        bodies = {"a": f"{number}1;", "b": f"{number}2;", "c": ""}
        a, b, c = (compiled(tmp_path / name, {"lib/L.java": text.format(body)}) for name, body in bodies.items())
        assert weights(a, b) == {"JAVA-SERIAL-CHANGED": "breaking"}
        assert weights(a, c) == weights(c, b) == {}

    def test_the_release_of_java(self, tmp_path: Path) -> None:
        files = {"lib/L.java": "package lib; public class L {}"}
        old, new = (compiled(tmp_path / n, files, "--release", n) for n in ("11", "17"))
        assert weights(old, new) == {"JAVA-RELEASE-RAISED": "breaking"}
        assert weights(new, old) == {}

    @pytest.mark.parametrize(
        ("exhaustive", "weight"), [("breaking", "breaking"), ("fragile", "fragile"), ("ignore", "compatible")]
    )
    def test_one_more_constant_is_weighed_by_the_policy(self, tmp_path: Path, exhaustive: str, weight: str) -> None:
        old, new = (
            compiled(tmp_path / f"{n}", {"lib/L.java": f"package lib; public enum L {{ {text} }}"})
            for n, text in enumerate(("A", "A, B"))
        )
        policy = ApiPolicy.model_validate({"exhaustive": exhaustive})
        assert weights(old, new, policy) == {"JAVA-ENUM-CONSTANT-ADDED": weight}

    def test_sealed_classes(self, tmp_path: Path) -> None:
        text = "package lib; public sealed interface L {{ record A() implements L {{}} {} }}"
        old, new = (
            compiled(tmp_path / f"{n}", {"lib/L.java": text.format(more)})
            for n, more in enumerate(("", "record B() implements L {}"))
        )
        assert weights(old, new)["JAVA-PERMITS-ADDED"] == "breaking"
        assert "JAVA-PERMITS-ADDED" not in weights(new, new)

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            # k 1 is a class: the flags are the field 1, of which 0 is internal and 6 public.
            ('@kotlin.Metadata(k = 1, d1 = {"\\0\\0\\b\\0"}) public class L { public void m() {} }', "", {}),
            (
                '@kotlin.Metadata(k = 1, d1 = {"\\0\\0\\b\\6"}) public class L { public void m() {} }',
                '@kotlin.Metadata(k = 1, d1 = {"\\0\\0\\b\\6"}) public class L { }',
                {"JAVA-METHOD-REMOVED": "breaking"},
            ),
            # k 2 is a file: a function is the field 3, with its name (2) and flags (9).
            (
                '@kotlin.Metadata(k = 2, d1 = {"\\0\\0\\32\\4\\20\\0H\\0"}, d2 = {"m"}) public class L { public void m() {} }',
                '@kotlin.Metadata(k = 2, d1 = {"\\0\\0"}) public class L { }',
                {},
            ),
            (
                '@kotlin.Metadata(k = 2, d1 = {"\\0\\0\\32\\4\\20\\0H\\6"}, d2 = {"m"}) public class L { public void m() {} }',
                '@kotlin.Metadata(k = 2, d1 = {"\\0\\0"}) public class L { }',
                {"JAVA-METHOD-REMOVED": "breaking"},
            ),
            # Names of internal functions of classes end in the module's; what defaults are called by is no such name.
            (
                '@kotlin.Metadata(k = 1) public class L { public void m$lib() {} }',
                '@kotlin.Metadata(k = 1) public class L { }',
                {},
            ),
            (
                '@kotlin.Metadata(k = 1) public class L { public void m$default() {} }',
                '@kotlin.Metadata(k = 1) public class L { }',
                {"JAVA-METHOD-REMOVED": "breaking"},
            ),
        ],
    )  # fmt: skip
    def test_kotlin(self, tmp_path: Path, old: str, new: str, expected: dict[str, str]) -> None:
        sides = []
        for age, text in (("old", old), ("new", new)):
            files = {
                "kotlin/Metadata.java": "package kotlin; public @interface Metadata"
                " { int k() default 1; String[] d1() default {}; String[] d2() default {}; }",
                "lib/M.java": "package lib; public class M {}",
                **({"lib/L.java": f"package lib; {text}"} if text else {}),
            }
            sides.append(compiled(tmp_path / age, files))
        assert weights(sides[0], sides[1]) == expected


@pytest.mark.parametrize(
    "d1",
    [
        "",
        "no marker",
        "\0",
        "\0\xff",
        "\0\0\x08",
        "\0\0\x0a\x7f",
        "\0\0\x0f",
        "\0\x05\x08",
        "\0" + "\xff" * 20,
        "\0\u4e2d",
    ],
)
@pytest.mark.parametrize("kind", [1, 2, 3, "x", None])
def test_metadata_that_is_malformed_hides_nothing(d1: str, kind: object) -> None:
    annotations = {kotlin.METADATA: {"k": kind, "d1": [d1], "d2": []}}
    assert not kotlin.is_internal(annotations) and not kotlin.internal_names(annotations)


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("Manifest-Version: 1.0\r\nExport-Package: a.b;version=\"1,2\",c\r\n .d\r\n\r\nName: x\r\n", {"a.b", "c.d"}),
        ("Export-Package: a;b;x:=y\n", {"a", "b"}),
        ("Manifest-Version: 1.0\n", None),
        ("", None),
        ("\0\xff: no manifest", None),
    ],
)  # fmt: skip
def test_manifests(text: str, packages: set[str] | None) -> None:
    assert exported_by(manifest_of(text.encode())) == packages


@pytest.mark.parametrize(
    "text",
    [
        "I",
        "[[J",
        "Ljava/util/List<TT;>;",
        "Ljava/util/Map<*-Ljava/lang/String;>;",
        "La/B<TT;>.C<+[I>;",
        "Ljava/lang/Object;",
    ],
)
def test_a_type_is_written_as_it_was_read(text: str) -> None:
    assert written(read_type(text)) == text
    assert shown(read_type(text))


@pytest.mark.parametrize("text", ["", "L", "Lx", "Lx<", "Lx<>", "[", "T", "Q;", "Lx<+>;", "<T"])
def test_signatures_that_are_malformed(text: str) -> None:
    with pytest.raises(BadClass):
        written(read_type(text))
    if text:
        with pytest.raises(BadClass):
            member_generic(f"({text}", "()V", {})


def test_variables_are_called_by_their_places() -> None:
    first = class_generic("<T:Ljava/lang/Object;E::Ljava/util/List<TT;>;>Ljava/lang/Object;", "java.lang.Object", ())
    second = class_generic("<A:Ljava/lang/Object;B::Ljava/util/List<TA;>;>Ljava/lang/Object;", "java.lang.Object", ())
    assert first[0] == second[0] and first[1] == {"T": "c0", "E": "c1"}


@pytest.mark.tools
@pytest.mark.skipif(JAVAC is None, reason="needs javac")
def test_a_class_with_a_malformed_signature_decides_nothing(tmp_path: Path) -> None:
    text = "package lib; import java.util.*; public class L { public List<String> m() { return null; } }"
    old = compiled(tmp_path / "old", {"lib/L.java": text})
    new = compiled(tmp_path / "new", {"lib/L.java": text})
    path = new / "lib" / "L.class"
    path.write_bytes(path.read_bytes().replace(b"List<Ljava/lang/String;>;", b"List<Ljava/lang/String;>>"))
    assert "breaking" not in (found := weights(old, new)).values()
    assert found["JAVA-UNVERIFIABLE"] == "undecided"
