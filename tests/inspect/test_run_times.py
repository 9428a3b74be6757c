"""Packages against what runs them: Java, Node.js, Python, .NET and the kernel; each fault beside its good twin."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Finding
from pytest_xinchuang.core.platform import Confidence, Fact, Platform, Platforms
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.formats.elsewhere import class_version, library_of
from pytest_xinchuang.inspect.go_build_info import GoBuildInfo
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.brought import java_number
from pytest_xinchuang.inspect.rules.interpreters import _takes, framework_of
from pytest_xinchuang.inspect.rules.java import LEAST
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.inspect.rules.kernels import check_kernel
from pytest_xinchuang.inspect.rules.npm import fetches
from pytest_xinchuang.loading.stub import stub
from tests.inspect import containers
from tests.inspect.test_rules import elf

HYGON = "hygon_dhyana-uos_20"
MULTI = b"Manifest-Version: 1.0\r\nMulti-Release: true\r\n\r\n"
MAIN = b"Manifest-Version: 1.0\r\nMain-Class: a.Ma\r\n in\r\n\r\n"


def cls(java: int) -> bytes:
    return b"\xca\xfe\xba\xbe\0\0" + (44 + java).to_bytes(2, "big") + bytes(24)


def dll(*, managed: bool = False, flags: int = 0x2000) -> bytes:
    """The headers of a library of Windows of 64 bits."""
    head = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0"
    coff = b"\x64\x86" + bytes(14) + (240).to_bytes(2, "little") + flags.to_bytes(2, "little")
    directories = bytearray(16 * 8)
    directories[14 * 8] = managed
    return head + coff + b"\x0b\x02" + bytes(110) + directories


DYLIB = b"\xcf\xfa\xed\xfe" + bytes(8) + (6).to_bytes(4, "little") + bytes(16)


def system(platforms: Platforms, name: str = HYGON, **facts: tuple[str | None, str]) -> Platform:
    """A platform whose system has these versions."""
    platform = platforms.get(name)
    own = {key: Fact[str](value=v, source="this test", confidence=Confidence(c)) for key, (v, c) in facts.items()}
    software = platform.system.software.model_copy(update=own)
    return platform.model_copy(update={"system": platform.system.model_copy(update={"software": software})})


def found(path: Path, platform: Platform, platforms: Platforms) -> list[Finding]:
    return Verdicts(platform, platforms.file.architectures).of(Inspector(isa=False).read(path))


def told(path: Path, platform: Platform, platforms: Platforms, *codes: str) -> list[tuple[str, str]]:
    return [(f.code, f.certainty.value) for f in found(path, platform, platforms) if f.code in codes]


def tree(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


# -- Java


@pytest.mark.parametrize(
    ("files", "fact", "expected"),
    [
        ({"a/A.class": cls(8)}, (None, "unverified"), None),
        ({"a/A.class": cls(11)}, (None, "unverified"), "undecided"),
        ({"a/A.class": cls(11)}, ("8", "inferred"), "undecided"),
        ({"a/A.class": cls(11)}, ("11", "inferred"), "undecided"),
        ({"a/A.class": cls(11)}, ("11", "sourced"), None),
        ({"a/A.class": cls(11)}, ("1.8.0", "sourced"), "guarded?"),
        # What no class path loads.
        ({"a/A.class": cls(8), "module-info.class": cls(9)}, ("8", "sourced"), None),
        # Of a multi-release jar each Java has its own classes; without the attribute none has.
        ({"a/A.class": cls(8), "META-INF/versions/11/a/A.class": cls(11)}, ("8", "sourced"), None),
        (
            {"a/A.class": cls(8), "META-INF/versions/9/a/A.class": cls(17), "META-INF/MANIFEST.MF": MULTI},
            ("11", "sourced"),
            "guarded?",
        ),
        (
            {"a/A.class": cls(8), "META-INF/versions/17/a/A.class": cls(17), "META-INF/MANIFEST.MF": MULTI},
            ("11", "sourced"),
            None,
        ),
        ({"a/A.class": cls(8), "META-INF/versions/9/a/A.class": cls(17)}, ("11", "sourced"), None),
        # One of a dependency that was shaded.
        ({**{f"a/A{n}.class": cls(8) for n in range(9)}, "b/B.class": cls(17)}, ("8", "sourced"), "guarded?"),
        # Not a class.
        ({"a/A.class": b"\xca\xfe\xba\xbe\0"}, (None, "unverified"), None),
    ],
)
def test_classes_against_the_systems_java(
    files: dict[str, bytes], fact: tuple[str | None, str], expected: str | None, tmp_path: Path, platforms: Platforms
) -> None:
    path = tmp_path / "a.jar"
    path.write_bytes(containers.zipped(files))
    said = told(path, system(platforms, java=fact), platforms, "XC-DIST-025")
    assert said == ([("XC-DIST-025", expected)] if expected else [])


JVM = stub("EM_X86_64", "libjvm.so", ["JNI_CreateJavaVM"])


@pytest.mark.parametrize(
    ("release", "java", "expected"),
    [
        (b'JAVA_VERSION="17.0.9"\n', 17, None),
        (b'JAVA_VERSION="1.8.0_402"\n', 17, "certain"),
        (b'JAVA_VERSION="1.8.0_402"\n', 8, None),
        (b"", 17, None),
    ],
)
def test_the_java_that_comes_along_counts(
    release: bytes, java: int, expected: str | None, tmp_path: Path, platforms: Platforms
) -> None:
    jar = containers.zipped({"a/Main.class": cls(java), "a/B.class": cls(8), "META-INF/MANIFEST.MF": MAIN})
    path = tree(tmp_path, {"lib/a.jar": jar, "jre/lib/server/libjvm.so": JVM, "jre/release": release})
    said = told(path, system(platforms, java=(None, "unverified")), platforms, "XC-DIST-025")
    assert said == ([("XC-DIST-025", expected)] if expected else [])
    # One for another machine is none.
    (tmp_path / "jre/lib/server/libjvm.so").write_bytes(stub("EM_AARCH64", "libjvm.so", ["JNI_CreateJavaVM"]))
    said = told(path, system(platforms, java=(None, "unverified")), platforms, "XC-DIST-025")
    assert said == ([("XC-DIST-025", "undecided")] if java > 8 else [])


def test_all_jars_of_a_delivery_are_one_finding(tmp_path: Path, platforms: Platforms) -> None:
    jars = {f"{n}.jar": containers.zipped({"A.class": cls(n)}) for n in (8, 11, 17, 21)}
    (finding,) = (
        f
        for f in found(tree(tmp_path, jars), system(platforms, java=("11", "sourced")), platforms)
        if f.code == "XC-DIST-025"
    )
    assert (finding.object.rpartition("/")[2], finding.params["wanted"], finding.params["others"]) == (
        "21.jar",
        "21",
        "1",
    )


@pytest.mark.parametrize(
    ("head", "expected"),
    [(cls(21), 65), (b"\xca\xfe\xba\xbe", None), (b"PK\3\4" + bytes(8), None), (b"", None)],
)
def test_class_versions(head: bytes, expected: int | None) -> None:
    assert class_version(head) == expected


def test_texts_that_were_made_to_take_long_do_not() -> None:
    begun = time.process_time()
    assert not fetches("node a " * 100_000)
    node = Node("wheel", "a.whl", "a-1-py3-none-any.whl")
    node.texts["a-1.dist-info/METADATA"] = b"Requires-Python: >=3" + b" " * 900_000 + b"x"
    assert _takes(node, (3, 9)) == (True, "")
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(("text", "expected"), [("1.8.0_402", (8, 0, 402)), ("17.0.9", (17, 0, 9)), ("8", (8,))])
def test_java_versions(text: str, expected: tuple[int, ...]) -> None:
    assert java_number(text) == expected


# -- for other systems alone


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (dll(), "windows"),
        (dll(managed=True), None),
        (dll(flags=0), None),
        (dll()[:60], None),
        (b"MZ" + bytes(58) + b"\xff" * 4, None),
        (DYLIB, "macos"),
        (DYLIB[:12] + (2).to_bytes(4, "little") + bytes(16), None),
        (b"\xca\xfe\xba\xbe" + (2).to_bytes(4, "big") + (0x01000007).to_bytes(4, "big") + bytes(40), "macos"),
        (cls(17), None),
        (b"", None),
    ],
)
def test_libraries_of_other_systems(head: bytes, expected: str | None) -> None:
    assert library_of(head) == expected


SO = stub("EM_X86_64", "libn.so", ["Java_a_A_f"])


@pytest.mark.parametrize(
    ("jars", "expected"),
    [
        ({"a.jar": {"native/n.dll": dll(), "native/libn.dylib": DYLIB}}, ["a.jar"]),
        ({"a.jar": {"native/n.dll": dll(), "native/linux-x86-64/libn.so": SO}}, []),
        ({"a.jar": {"Managed.dll": dll(managed=True), "setup.exe": dll(flags=0)}}, []),
        ({"n-1.0-natives-windows.jar": {"n.dll": dll()}}, ["n-1.0-natives-windows.jar"]),
        ({"n-1.0-natives-windows.jar": {"n.dll": dll()}, "n-1.0-natives-linux-arm64.jar": {"libn.so": SO}}, []),
        ({"n-1-win.jar": {"n.dll": dll()}, "m-1-linux.jar": {"libm.so": SO}}, ["n-1-win.jar"]),
        ({"netty-resolver-dns-native-macos-4.1.115.Final-osx-x86_64.jar": {"META-INF/native/libn.jnilib": DYLIB}}, []),
    ],
)
def test_jars_for_other_systems(
    jars: dict[str, dict[str, bytes]], expected: list[str], tmp_path: Path, platforms: Platforms
) -> None:
    path = tree(tmp_path, {name: containers.zipped(files) for name, files in jars.items()})
    findings = [f for f in found(path, platforms.get(HYGON), platforms) if f.code == "XC-JAR-024"]
    assert [Path(f.object).name for f in findings] == expected
    assert {f.certainty.value for f in findings} <= {"guarded?"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"prebuilds/win32-x64/a.node": dll(), "prebuilds/darwin-arm64/a.node": DYLIB}, 1),
        ({"prebuilds/win32-x64/a.node": dll(), "prebuilds/linux-x64/a.node": SO}, 0),
        ({"node_modules/b/a.node": DYLIB, "node_modules/b/package.json": b'{"os": ["darwin"]}'}, 0),
        ({"node_modules/b/a.node": DYLIB, "node_modules/b/package.json": b"{"}, 1),
        ({"node_modules/b/a.node": DYLIB, "node_modules/b/package.json": b"{}", "node_modules/c/a.node": SO}, 1),
    ],
)
def test_modules_for_other_systems(
    files: dict[str, bytes], expected: int, tmp_path: Path, platforms: Platforms
) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(
        containers.tar({"package/package.json": b"{}", **{f"package/{n}": d for n, d in files.items()}}, "w:gz")
    )
    assert told(path, platforms.get(HYGON), platforms, "XC-PKG-032") == [("XC-PKG-032", "guarded?")] * expected


def test_a_wheel_for_every_system_with_libraries_of_one(tmp_path: Path, platforms: Platforms) -> None:
    path = tmp_path / "a-1.0-py3-none-any.whl"
    path.write_bytes(containers.zipped({"a/n.dll": dll(), "a-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\n"}))
    assert told(path, platforms.get(HYGON), platforms, "XC-PKG-032") == [("XC-PKG-032", "guarded?")]


# -- Node.js

NODE = stub("EM_X86_64", "node", ["napi_create_object", "napi_module_register"])


@pytest.mark.parametrize(
    ("engines", "fact", "expected"),
    [
        (">=8", (None, "unverified"), None),
        (">=18", (None, "unverified"), "undecided"),
        (">=18.2", ("18", "sourced"), None),
        (">=18.2", ("18.1", "sourced"), "guarded?"),
        (">=18", ("20", "inferred"), "undecided"),
        ("*", (None, "unverified"), None),
    ],
)
def test_the_node_that_is_asked_for(
    engines: str, fact: tuple[str | None, str], expected: str | None, tmp_path: Path, platforms: Platforms
) -> None:
    path = tree(tmp_path, {"package.json": json.dumps({"engines": {"node": engines}}).encode()})
    platform = system(platforms, node=fact)
    assert told(path, platform, platforms, "XC-DIST-027") == ([("XC-DIST-027", expected)] if expected else [])
    tree(tmp_path, {"bin/node": NODE})
    assert told(path, platform, platforms, "XC-DIST-027") == []


def test_modules_that_are_bound_to_one_node(tmp_path: Path, platforms: Platforms) -> None:
    from pytest_xinchuang.inspect.rules.brought import Brought
    from pytest_xinchuang.inspect.rules.interpreters import _check_abi

    of_v8 = replace(elf(), imports=frozenset({"_ZN2v86Object3SetE"}), exports=frozenset({"node_register_module_v108"}))
    of_napi = replace(elf(), imports=frozenset({"napi_create_object"}), exports=frozenset({"napi_register_module_v1"}))
    for each, along, expected in (
        (of_v8, Brought(), ["108"]),
        (of_napi, Brought(), []),
        (of_v8, Brought({"node": ()}), []),
        (of_v8, Brought(whole=True), []),
    ):
        judge = Judge(platforms.get(HYGON))
        _check_abi(judge, [ElfRecord("a.node", "a.node", each)], along)
        assert [f.params["abi"] for f in judge.findings] == expected


# -- Python


def wheel(name: str, requires: str) -> bytes:
    head = f"Metadata-Version: 2.1\nName: a\n{requires}\nDescription: x\n\nRequires-Python: >=9\n".encode()
    return containers.zipped({f"{name}.dist-info/METADATA": head, f"{name}.dist-info/WHEEL": b"Wheel-Version: 1.0\n"})


PYTHON = stub("EM_X86_64", "libpython3.9.so.1.0", ["PyModule_Create2"])


@pytest.mark.parametrize(
    ("tags", "requires", "expected"),
    [
        ("py3-none-any", "Requires-Python: >=3.8", None),
        ("py3-none-any", "Requires-Python: >=3.7.1,<4", None),
        ("py3-none-any", "Requires-Python: >=3.10", "note"),
        ("py3-none-any", "Requires-Python: whatever", None),
        ("py3-none-any", "", None),
        ("cp38-abi3-linux_x86_64", "", None),
        ("cp311-abi3-linux_x86_64", "", "note"),
        ("cp310-cp310-linux_x86_64", "", "note"),
    ],
)
def test_wheels_against_a_python(
    tags: str, requires: str, expected: str | None, tmp_path: Path, platforms: Platforms
) -> None:
    path = tree(tmp_path, {f"a-1.0-{tags}.whl": wheel("a-1.0", requires)})
    platform = system(platforms, python=("3.9", "sourced"))
    codes = ("XC-DIST-003", "XC-DIST-026")
    assert told(path, platform, platforms, *codes) == ([("XC-DIST-003", expected)] if expected else [])
    # One that comes along is the one that counts.
    tree(tmp_path, {"python/lib/libpython3.9.so.1.0": PYTHON})
    platform = system(platforms, python=("3.13", "sourced"))
    assert told(path, platform, platforms, *codes) == ([("XC-DIST-026", "guarded?")] if expected else [])


# -- .NET


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"framework": {"name": "Microsoft.NETCore.App", "version": "8.0.0"}}, "8.0.0"),
        ({"frameworks": [{"version": "9.0.0"}, {"version": "10.0.1"}]}, "10.0.1"),
        ({"includedFrameworks": [{"version": "8.0.0"}]}, None),
        ({}, None),
        ({"framework": 3}, None),
        ({"frameworks": [{"version": "x"}]}, "x"),
    ],
)
def test_what_a_program_of_dotnet_asks_for(said: dict[str, object], expected: str | None) -> None:
    assert framework_of({"runtimeOptions": said}) == expected
    assert framework_of(said) is None and framework_of([]) is None


def test_dotnet_that_does_not_come_along(tmp_path: Path, platforms: Platforms) -> None:
    config = json.dumps({"runtimeOptions": {"framework": {"version": "10.0.0"}}}).encode()
    path = tree(tmp_path, {"app.runtimeconfig.json": config})
    assert told(path, platforms.get(HYGON), platforms, "XC-DIST-029") == [("XC-DIST-029", "undecided")]
    (finding,) = (
        f for f in found(path, platforms.get("hygon_dhyana-kylin_desktop_v10"), platforms) if f.code == "XC-DIST-029"
    )
    assert "2.27" in str(finding.params["why"])
    tree(tmp_path, {"shared/libcoreclr.so": stub("EM_X86_64", "libcoreclr.so", ["coreclr_initialize"])})
    assert told(path, platforms.get(HYGON), platforms, "XC-DIST-029") == []


# -- kernels


@pytest.mark.parametrize(
    ("go", "comment", "platform", "kernel", "expected"),
    [
        ("go1.24.1", "", HYGON, "3.1.0", [("XC-SYS-023", "certain")]),
        ("go1.24.1", "", HYGON, "4.19.90", []),
        ("go1.23.0", "", HYGON, "3.1.0", []),
        ("go1.22.0", "", "loongson", "5.10.0", [("XC-SYS-023", "certain")]),
        ("go1.22.0", "", "loongson", "6.6.0", []),
        ("devel +abc", "", HYGON, "2.6.0", []),
        ("", "rustc version 1.75.0 (82e1608df 2023-12-21)", HYGON, "3.1.0", [("XC-SYS-023", "guarded?")]),
        ("", "rustc version 1.60.0 (7737e0b5c 2022-04-04)", HYGON, "3.1.0", []),
        ("", "rustc version 1.75.0 (82e1608df 2023-12-21)", "kunpeng", "4.19.90", []),
        ("", "GCC: (GNU) 12", HYGON, "2.6.0", []),
    ],
)
def test_the_kernel_that_a_run_time_asks_for(
    go: str, comment: str, platform: str, kernel: str, expected: list[tuple[str, str]], platforms: Platforms
) -> None:
    chosen = platforms.get(platform)
    fact = Fact[str](value=kernel, source="this test", confidence=Confidence.SOURCED)
    chosen = chosen.model_copy(update={"system": chosen.system.model_copy(update={"kernel": fact})})
    judge = Judge(chosen)
    info = GoBuildInfo(go, "a", (), ()) if go else None
    each = replace(elf(machine=chosen.architecture.elf_machine), go=info, compilers=(comment,) if comment else ())
    check_kernel(judge, ElfRecord("x", "x", each))
    assert [(f.code, f.certainty.value) for f in judge.findings] == expected


def test_no_system_has_less_than_what_is_taken_for_granted(platforms: Platforms) -> None:
    for name in platforms.ids:
        software = platforms.get(name).system.software
        assert java_number(software.java.value or "8") >= (LEAST,), name
        assert int((software.node.value or "10").split(".")[0]) >= 10, name


def test_an_older_system_may_have_an_older_node(tmp_path: Path, platforms: Platforms) -> None:
    path = tree(tmp_path, {"package.json": b'{"engines": {"node": ">=8"}}'})
    for name, expected in ((HYGON, []), ("hygon_dhyana-kylin_desktop_v10", [("XC-DIST-027", "undecided")])):
        assert told(path, platforms.get(name), platforms, "XC-DIST-027") == expected
