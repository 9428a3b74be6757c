"""What is graded is what the subject's files make, and not what was built before or what the caller's environment makes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from pytest_xinchuang.core import inputs
from pytest_xinchuang.core.errors import BuildFailed, ToolchainFault
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain import builder as toolchain
from pytest_xinchuang.toolchain.builder import Builder, Target
from pytest_xinchuang.toolchain.jail import Isolation, Jail
from pytest_xinchuang.tools.process import Runner

pytestmark = pytest.mark.tools

MANIFEST = """schema: xc-subject/1
name: honest
version: "1"
units: [{name: plain, kind: c, sources: [%s]}]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    found = tmp_path / "subject"
    found.mkdir()
    return found


@pytest.fixture
def arm64(platforms: Platforms) -> Target:
    return Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], "2.28")


def write(place: Path, **files: str) -> None:
    for name, text in files.items():
        path = place / name.replace("__", "/").replace("_h", ".h").replace("_c", ".c")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


STALE = {
    "a header of its own": ('#include "inc/val.h"', "inc/val.h"),
    "a header beside the source's directory": ('#include "../inc/val.h"', "inc/val.h"),
    "a file of data": ('#include "val.inc"', "src/val.inc"),
    "an included source": ('#include "val.c"', "src/val.c"),
    "an X-macro": ('#include "val.def"', "src/val.def"),
    "one that a macro names": ('#define VAL "val.h"\n#include VAL', "src/val.h"),
    "one that a macro with arguments names": ("#define Q(x) #x\n#define P(x) Q(x)\n#include P(val.h)", "src/val.h"),
    "one that a macro makes of two": (
        "#define DIR inc\n#define H(x) #x\n#define G(x) H(x/val.h)\n#include G(DIR)",
        "src/inc/val.h",
    ),
    "one that a continued line names": ('#include \\\n  "val.h"', "src/val.h"),
}


@pytest.mark.parametrize(("text", "name"), STALE.values(), ids=STALE)
def test_another_included_file_is_another_build_and_another_subject(
    place: Path, arm64: Target, text: str, name: str
) -> None:
    source = place / "src/u.c"
    first = "src/" if name == "inc/val.h" and ".." not in text else ""
    write(place, src__u_c=f"{text}\nint main(void) {{ return VALUE; }}\n")
    (place / first / name).parent.mkdir(parents=True, exist_ok=True)
    (place / "xinchuang.yaml").write_text(MANIFEST % "src/u.c")
    found = []
    for value in (1, 0):
        (place / first / name).write_text(f"#define VALUE {value}\n")
        found.append((Builder(Cache()).c(arm64, [source], within=place), load_subject(place).digest))
    assert found[0][0] != found[1][0] and found[0][1] != found[1][1]


@pytest.mark.parametrize("asked", ['"flag.h"', "<flag.h>", "FLAG"])
def test_a_file_that_is_asked_about_is_a_part_of_the_build(place: Path, arm64: Target, asked: str) -> None:
    """Whether it is there decides what the product does: also where nothing is read of it."""
    text = '#ifndef FLAG\n#define FLAG "flag.h"\n#endif\n'
    text += f"#if __has_include({asked})\n#define VALUE 1\n#else\n#define VALUE 0\n#endif\n"
    write(place, u_c=f"{text}int main(void) {{ return VALUE; }}\n")
    (place / "xinchuang.yaml").write_text(MANIFEST % "u.c")
    flags = ["-I."]
    without = Builder(Cache()).c(arm64, [place / "u.c"], flags=flags, within=place), load_subject(place).digest
    (place / "flag.h").write_text("")
    found = Builder(Cache()).c(arm64, [place / "u.c"], flags=flags, within=place), load_subject(place).digest
    assert found[0] != without[0]
    if "<" not in asked:  # the manifest has no -I
        assert found[1] != without[1]
    (place / "flag.h").unlink()
    (place / "other.h").write_text("")
    assert Builder(Cache()).c(arm64, [place / "u.c"], flags=flags, within=place) == without[0]


def test_a_library_of_the_subject_is_linked_and_another_is_another_build(place: Path, arm64: Target) -> None:
    write(place, src__u_c="int value(void);\nint main(void) { return value(); }\n", src__v_c="")
    flags, found = ["-L{here}/../lib", "-lvalue"], []
    (place / "lib").mkdir()
    for value in (0, 1):
        (place / "src/v.c").write_text(f"int value(void) {{ return {value}; }}\n")
        made = Builder(Cache()).c(
            arm64, [place / "src/v.c"], flags=["-Wl,-soname,libvalue.so"], shared=True, within=place
        )
        (place / "lib/libvalue.so").write_bytes(made + bytes([value]))
        builder = Builder(Cache())
        out = builder.c(arm64, [place / "src/u.c"], flags=flags, within=place)
        told = builder.made(out)
        assert told is not None
        found.append(told.given)
    assert [set(given) for given in found] == [{"src/u.c", "lib/libvalue.so"}] * 2 and found[0] != found[1]


def test_a_library_outside_is_refused(place: Path, arm64: Target) -> None:
    write(place, src__u_c="int main(void) { return 0; }\n")
    (place / "lib").mkdir()
    (place.parent / "libout.a").write_text("!<arch>\n")
    (place / "lib/libout.a").symlink_to(place.parent / "libout.a")
    with pytest.raises(BuildFailed, match="outside of"):
        Builder(Cache()).c(arm64, [place / "src/u.c"], flags=["-Llib", "-lout"], within=place)


def test_what_a_file_of_data_includes_counts_too(place: Path, arm64: Target) -> None:
    write(place, u_c='#include "a.def"\nint main(void) { return VALUE; }\n')
    (place / "a.def").write_text('#include "b.h"\n')
    (place / "xinchuang.yaml").write_text(MANIFEST % "u.c")
    digests = set()
    for value in (1, 2):
        write(place, b_h=f"#define VALUE {value}\n")
        Builder(Cache()).c(arm64, [place / "u.c"], within=place)
        digests.add(load_subject(place).digest)
    assert len(digests) == 2


@pytest.mark.parametrize(
    "name", ["CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "ZIG_LIB_DIR", "SDKROOT", "GCC_EXEC_PREFIX"]
)
def test_the_callers_environment_makes_nothing_of_a_build(
    place: Path, arm64: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(place, u_c="#include <stdlib.h>\nint main(void) { abort(); }\n")
    clean = Builder(Cache()).c(arm64, [place / "u.c"], within=place)
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil/stdlib.h").write_text("static inline void abort(void) {}\n")
    monkeypatch.setenv(name, str(tmp_path / "evil"))
    shutil.rmtree(Cache().root / "builds" / _name_of(Builder(Cache()), arm64, place))
    again = Builder(Cache())
    assert again.c(arm64, [place / "u.c"], within=place) == clean
    made = again.made(clean)
    assert made is not None and name not in made.environment
    assert set(made.environment) == {
        "PATH", "HOME", "TMPDIR", "TZ", "LC_ALL", "ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR",
    }  # fmt: skip


def _name_of(builder: Builder, target: Target, place: Path) -> str:
    """The directory of a build that is there."""
    data = builder.c(target, [place / "u.c"], within=place)
    made = builder.made(data)
    assert made is not None
    for record in (builder.cache.root / "builds").glob("*/made.json"):
        kept = json.loads(record.read_text())["made"]
        if kept["sha256"] == made.sha256 and kept["given"] == dict(made.given):
            return record.parent.name
    raise AssertionError("it is not there")


def test_the_environment_of_go_is_ours_alone(
    place: Path, arm64: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (place / "go.mod").write_text("module x\n\ngo 1.22\n")
    (place / "main.go").write_text(
        'package main\n\n// int f(void) { return 3; }\nimport "C"\n\nfunc main() { print(C.f()) }\n'
    )
    (tmp_path / "evil").mkdir()
    for name, value in {
        "GOFLAGS": "-tags=evil", "CGO_CFLAGS": "-DEVIL", "CPATH": str(tmp_path / "evil"), "GODEBUG": "gocachehash=0",
        "CC": "false", "GOWORK": str(tmp_path / "go.work"), "GOROOT": str(tmp_path),
        "PKG_CONFIG": "false", "LD_LIBRARY_PATH": "x",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    builder = Builder(Cache())
    made = builder.made(builder.go(arm64, place, cgo=True, within=place))
    assert made is not None
    assert not {"CGO_CFLAGS", "CPATH", "GODEBUG", "GOROOT", "PKG_CONFIG", "LD_LIBRARY_PATH"} & made.environment.keys()
    assert made.environment["GOFLAGS"] == "-buildvcs=false" and made.environment["CC"] != "false"
    assert {tool.package.split("-")[0] for tool in made.tools} >= {"ziglang"} and len(made.tools) == 2
    assert {"main.go", "go.mod"} <= made.given.keys()
    assert any(path.endswith("/runtime/proc.go") for path in made.read)


def test_another_file_of_the_compiler_is_another_build(
    place: Path, arm64: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(place, u_c=f'#include <stdio.h>\nint main(void) {{ return puts("{os.getpid()}") < 0; }}\n')
    builder = Builder(Cache())
    made = builder.made(builder.c(arm64, [place / "u.c"], within=place))
    assert made is not None
    headers = [path for path in made.read if path.endswith("/stdio.h")]
    assert headers and made.isolation is not Isolation.NONE
    fresh = Builder(Cache())
    built = []
    monkeypatch.setattr(fresh, "_jailed", lambda *_, **__: built.append(1))
    fresh.c(arm64, [place / "u.c"], within=place)
    assert not built
    real = fresh._digests.is_still
    monkeypatch.setattr(fresh._digests, "is_still", lambda path, *rest: path != headers[0] and real(path, *rest))
    with pytest.raises(AttributeError):  # the stand-in for a compiler gives nothing back
        fresh.c(arm64, [place / "u.c"], within=place)
    assert built


SECRET = "the host's own"

WAYS_OUT = {
    "an absolute .incbin": '__asm__(".incbin \\"{out}/secret\\"");',
    "a relative .incbin": '__asm__(".incbin \\"../secret\\"");',
    "an .incbin in pieces": '#define I ".inc" "bin"\n__asm__(I " \\"{out}/secret\\"");',
    "an .incbin by a macro": '__asm__(".macro m x\\n.inc\\\\x \\"{out}/secret\\"\\n.endm\\nm bin");',
    "an .include": '__asm__(".include \\"{out}/secret\\"");',
    "an absolute #include": '#include "{out}/secret"',
    "a relative #include": '#include "../secret"',
    "an #embed": 'const char x[] = {{\n#embed "{out}/secret"\n}};',
    "a link to a file": '#include "leads_away.h"',
    "a link to a directory": '#include "away/secret"',
    "__has_include": '#if __has_include("{out}/secret")\nint found;\n#else\n#error not there\n#endif',
}


@pytest.mark.parametrize("way", [Isolation.NAMESPACES, Isolation.LANDLOCK])
@pytest.mark.parametrize("text", WAYS_OUT.values(), ids=WAYS_OUT)
def test_a_build_reads_nothing_of_the_host(
    place: Path, arm64: Target, tmp_path: Path, text: str, way: Isolation
) -> None:
    (tmp_path / "secret").write_text(f'static const char secret[] = "{SECRET}";\n')
    (place / "leads_away.h").symlink_to(tmp_path / "secret")
    (place / "away").symlink_to(tmp_path)
    write(place, u_c=text.format(out=tmp_path) + "\nint main(void) { return 0; }\n")
    builder = Builder(Cache(), jail=Jail(Runner(), (way,)))
    with pytest.raises((BuildFailed, ToolchainFault)) as failed:
        builder.c(arm64, [place / "u.c"], within=place)
    if isinstance(failed.value, ToolchainFault) and not os.environ.get("CI"):
        pytest.skip(f"this host has no {way.value}: {failed.value.what}")
    assert isinstance(failed.value, BuildFailed)
    assert SECRET not in str(failed.value) + failed.value.output


IN_LISTS = [name for name in WAYS_OUT if "pieces" not in name and "by a macro" not in name and name != "__has_include"]


@pytest.mark.parametrize("name", IN_LISTS)
def test_without_a_wall_what_is_read_outside_is_refused(place: Path, arm64: Target, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text(f'static const char secret[] = "{SECRET}";\n')
    (place / "leads_away.h").symlink_to(tmp_path / "secret")
    (place / "away").symlink_to(tmp_path)
    write(place, u_c=WAYS_OUT[name].format(out=tmp_path) + "\nint main(void) { return 0; }\n")
    builder = Builder(Cache(), jail=Jail(Runner(), (Isolation.NONE,)))
    with pytest.raises(BuildFailed, match=r"outside of|not found|could not find"):
        builder.c(arm64, [place / "u.c"], within=place)


def test_a_build_without_a_wall_says_so(place: Path, arm64: Target) -> None:
    write(place, u_c=f"int main(void) {{ return {os.getpid()} & 1; }}\n")
    builder = Builder(Cache(), jail=Jail(Runner(), (Isolation.NONE,)))
    made = builder.made(builder.c(arm64, [place / "u.c"], within=place))
    assert made is not None and made.told()["isolation"] == "none"


@pytest.mark.parametrize("way", list(Isolation))
def test_a_flag_writes_nowhere(place: Path, arm64: Target, tmp_path: Path, way: Isolation) -> None:
    write(place, u_c="int main(void) { return 0; }\n")
    builder = Builder(Cache(), jail=Jail(Runner(), (way,)))
    with pytest.raises(BuildFailed, match="not among those that a build may use"):
        builder.c(arm64, [place / "u.c"], flags=["-MMD", "-MF", str(tmp_path / "written")], within=place)
    assert not (tmp_path / "written").exists()


def test_a_wall_that_cannot_be_built_is_our_fault(place: Path, arm64: Target) -> None:
    write(place, u_c="int main(void) { return 7; }\n")
    builder = Builder(Cache(), jail=Jail(Runner(), ()))
    with pytest.raises(ToolchainFault, match="cannot be isolated"):
        builder.c(arm64, [place / "u.c"], within=place)


def test_several_sources_are_accounted_for_together(place: Path, arm64: Target) -> None:
    write(
        place,
        a_c='#include "a.h"\nint b(void);\nint main(void) { return A + b(); }\n',
        b_c='#include <stdio.h>\nint b(void) { return puts(""); }\n',
    )
    write(place, a_h="#define A 0\n")
    builder = Builder(Cache())
    made = builder.made(builder.c(arm64, [place / "a.c", place / "b.c"], within=place))
    assert made is not None and set(made.given) == {"a.c", "a.h", "b.c"}
    assert any(path.endswith("/stdio.h") for path in made.read)


def test_a_source_that_changes_while_it_is_built_is_no_build(
    place: Path, arm64: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(place, u_c=f"int main(void) {{ return {os.getpid()} % 7; }}\n")
    builder = Builder(Cache())
    real = builder._identities.check_package

    def late(path: str) -> None:
        write(place, u_c="int main(void) { return 2; }\n")
        real(path)

    monkeypatch.setattr(builder._identities, "check_package", late)
    with pytest.raises(ToolchainFault, match="was changed while it was being built"):
        builder.c(arm64, [place / "u.c"], within=place)


def test_a_fake_compiler_on_pythonpath_is_another_build_and_is_told(
    place: Path, arm64: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(place, u_c="int main(void) { return 0; }\n")
    clean = Builder(Cache()).c(arm64, [place / "u.c"], within=place)
    fake = tmp_path / "ziglang"
    fake.mkdir()
    (fake / "__init__.py").write_text("")
    real = toolchain.find_zig()
    (fake / "zig").write_text(
        f'#!/bin/sh\n[ "$1" = version ] && exec {real} version\n'
        'while [ $# -gt 0 ]; do case $1 in -o) echo FAKE > "$2" ;; -MF) echo \'x: u.c\' > "$2" ;; esac; shift; done\n'
    )
    (fake / "zig").chmod(0o755)
    monkeypatch.setattr(toolchain, "find_zig", lambda: str(fake / "zig"))
    builder = Builder(Cache(), jail=Jail(Runner(), (Isolation.NONE,)))
    data = builder.c(arm64, [place / "u.c"], within=place)
    made = builder.made(data)
    assert data == b"FAKE\n" and made is not None
    assert made.tools[0].told()["path"] == str(fake / "zig") and made.tools[0].package == ""
    monkeypatch.undo()
    honest = Builder(Cache())
    assert honest.c(arm64, [place / "u.c"], within=place) == clean
    told = honest.made(clean)
    assert told is not None and told.tools[0].recorded


def test_links_that_lead_out_of_a_go_module_are_not_given(place: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/secret.go").write_text("package main\n")
    (place / "go.mod").write_text("module x\n")
    (place / "main.go").write_text("package main\n")
    (place / "link.go").symlink_to(tmp_path / "out/secret.go")
    (place / "away").symlink_to(tmp_path / "out")
    assert [path.name for path in inputs.of_go(place, place)] == ["go.mod", "main.go"]
