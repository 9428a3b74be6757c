"""Sources of Java that ask for os.arch, and libraries that they load."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_xinchuang.advise.java.survey import JavaSurvey
from tests.advise.asking import ALL, Asked, ask, library

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(shutil.which("javac") is None, reason="there is no JDK"),
]

NAMES = "src/main/java/p/Names.java"
SWITCH = """package p;

public class Names {{
    static String suffix({parameter}) {{
        String arch = System.getProperty("os.arch");
        if (arch.equals("amd64") || arch.equals("x86_64")) return "x";
        {arm}
        {rest}
    }}
}}
"""
BAD = SWITCH.format(parameter="", arm='if ("aarch64".equals(arch)) return "a";', rest="throw new Error(arch);")


def run(root: Path, text: str, name: str = NAMES, **files: str | bytes) -> Asked:
    return ask(JavaSurvey(), root, {name: text, **files}, ("kunpeng", "hygon", "loongson"), build=True)


def test_what_throws_on_the_platform_alone_is_certain(tmp_path: Path) -> None:
    said = run(tmp_path, BAD)
    assert said.certain("loongson") == [("XC-ADV-081", f"{NAMES}:8")] == said.found("loongson")
    assert not said.found("kunpeng") and not said.found("hygon") and said.judged("loongson") == [(1, 1)]


def test_an_arm_for_all_others_is_clean(tmp_path: Path) -> None:
    assert not run(tmp_path, SWITCH.format(parameter="", arm="", rest='return "generic";')).said.findings


def test_a_class_that_cannot_be_loaded(tmp_path: Path) -> None:
    text = """package p;
class Start {
    static final String KIND;
    static {
        switch (System.getProperty("os.arch")) {
            case "amd64": KIND = "x"; break;
            case "aarch64": KIND = "a"; break;
            default: throw new UnsupportedOperationException();
        }
    }
}
"""
    said = run(tmp_path / "bad", text, "src/p/Start.java")
    assert said.certain("loongson") == [("XC-ADV-081", "src/p/Start.java:8")] and not said.found("kunpeng")
    good = text.replace('case "aarch64"', 'case "aarch64": case "loongarch64"')
    assert not run(tmp_path / "good", good, "src/p/Start.java").said.findings


def test_the_end_of_the_virtual_machine_is_an_error_too(tmp_path: Path) -> None:
    text = SWITCH.format(parameter="", arm="", rest="System.exit(1); return null;")
    after = 'static String other() { return System.getProperty("os.arch").equals("amd64") ? "x" : null; }\n}\n'
    said = run(tmp_path, text.rstrip().removesuffix("}") + after)
    assert said.certain("kunpeng") == [("XC-ADV-081", f"{NAMES}:4")]
    assert [place for _code, place in said.may("kunpeng")] == [f"{NAMES}:10"]


def test_what_cannot_be_run_is_read(tmp_path: Path) -> None:
    bad = SWITCH.format(parameter="int x", arm='if (arch.startsWith("aarch")) return "a";', rest="throw new Error();")
    said = run(tmp_path / "bad", bad)
    assert said.may("loongson") == [("XC-ADV-081", f"{NAMES}:4")]
    assert not said.found("kunpeng") and not said.certain("loongson")
    good = bad.replace('arch.startsWith("aarch")', 'arch.contains("64")')
    assert not run(tmp_path / "good", good).said.findings


def test_tests_are_noted_alone(tmp_path: Path) -> None:
    assert not run(tmp_path, BAD, "src/test/java/p/Names.java").found("loongson")


LOAD = "package p;\nclass Load {{\n    static void load() {{\n        {call}\n    }}\n}}\n"
X86 = "src/main/resources/linux-x86_64/libfast.so"


@pytest.mark.parametrize("call", ['System.loadLibrary("fast");', 'System.load("/opt/libfast.so");'])
def test_a_library_for_x86_64_alone(tmp_path: Path, call: str) -> None:
    text = LOAD.format(call=call)
    bad = run(tmp_path / "bad", text, "src/p/Load.java", **{X86: library("x86_64")})
    for name in ("kunpeng", "loongson"):
        assert bad.certain(name) == [("XC-ADV-082", "src/p/Load.java:4")]
    assert not bad.found("hygon")
    others = {X86.replace("x86_64", m): library(m) for m in ("x86_64", "aarch64", "loongarch64")}
    assert not run(tmp_path / "good", text, "src/p/Load.java", **others).said.findings
    caught = LOAD.format(call=f"try {{ {call} }} catch (UnsatisfiedLinkError e) {{ }}")
    assert not run(tmp_path / "caught", caught, "src/p/Load.java", **{X86: library("x86_64")}).certain("kunpeng")


def test_natives_that_are_chosen_by_name(tmp_path: Path) -> None:
    text = LOAD.format(call="")
    both = {X86: library("x86_64"), X86.replace("x86_64", "aarch_64"): library("aarch64")}
    said = run(tmp_path, text, "src/p/Load.java", **both)
    assert said.may("loongson") == [("XC-ADV-083", X86)] and not said.found("kunpeng")


def test_a_native_method_and_its_source(tmp_path: Path) -> None:
    text = "package p;\nclass N {\n    static native int call();\n}\n"
    said = run(tmp_path, text, "src/p/N.java", **{"n.c": "JNIEXPORT int Java_p_N_call(void) { return 1; }\n"})
    assert not said.found("kunpeng") and {f.code for f in said.said.findings} == {"XC-ADV-085"}


@pytest.mark.parametrize("text", ["class {", "\x01\x02", "class A { int x = " + "(" * 3000 + "; }"])
def test_what_javac_cannot_read_is_not_judged(tmp_path: Path, text: str) -> None:
    said = ask(JavaSurvey(), tmp_path, {"A.java": text, "B.java": "class B {}"}, ("kunpeng",), build=True)
    assert said.judged("kunpeng") == [(1, 2)] and "javac cannot" in said.why("kunpeng")


def test_nothing_is_run_where_no_build_may_be_run(tmp_path: Path) -> None:
    said = ask(JavaSurvey(), tmp_path, {NAMES: BAD}, ALL)
    assert said.may("loongson") == [("XC-ADV-081", f"{NAMES}:4")] and not said.certain("loongson")


UNSURE = {
    "a table": """import java.util.*;
class A {
    static final Map<String, String> NAMES = Map.of("amd64", "x");
    String name() { return NAMES.get(System.getProperty("os.arch")).trim(); }
}
""",
    "an answer": """import com.sun.jna.Platform;
class A {
    void start(String name) { if (!Platform.isIntel()) throw new UnsupportedOperationException(name); }
}
""",
    "a path": """class A {
    void start(String where) { System.load(where + "/" + System.getProperty("os.arch") + "/liba.so"); }
}
""",
}


@pytest.mark.parametrize("kind", UNSURE)
def test_what_goes_by_os_arch_and_is_not_run_is_not_judged(tmp_path: Path, kind: str) -> None:
    said = run(tmp_path, UNSURE[kind], "A.java")
    assert said.judged("kunpeng") == [(0, 1)] and "were not run" in said.why("kunpeng")


@pytest.mark.parametrize(
    "text",
    [
        'class A { void tell() { System.out.println("on " + System.getProperty("os.arch")); } }\n',
        """import java.util.*;
class A {
    static String name() { return Map.of("amd64", "x").getOrDefault(System.getProperty("os.arch"), "any"); }
}
""",
    ],
)
def test_what_is_told_or_was_run_is_judged(tmp_path: Path, text: str) -> None:
    said = run(tmp_path, text, "A.java")
    assert said.judged("kunpeng") == [(1, 1)] and not said.said.findings
