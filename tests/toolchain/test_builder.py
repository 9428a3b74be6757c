from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import BuildFailed
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain import builder as toolchain
from pytest_xinchuang.toolchain.builder import Builder, Target, ToolchainFault, find_c_compiler, gnu_libc_version

pytestmark = pytest.mark.tools

HELLO = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "u.c"
    path.write_text(HELLO)
    return path


def target(platforms: Platforms, arch: Arch = Arch.ARM64, libc: str = "2.28") -> Target:
    return Target(arch, platforms.file.architectures[arch], libc)


@pytest.fixture
def no_zig(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise ToolchainFault(verbatim("zig is not installed"), mend=verbatim("pip install it"))

    monkeypatch.setattr(toolchain, "find_zig", missing)


def test_the_same_inputs_are_built_once(source: Path, platforms: Platforms, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = Builder(Cache())
    first = builder.c(target(platforms), [source])

    def never(*_: object) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr(builder, "_jailed", never)
    assert builder.c(target(platforms), [source]) == first


def test_another_source_flag_or_libc_is_another_build(source: Path, platforms: Platforms) -> None:
    builder = Builder(Cache())
    first = builder.c(target(platforms), [source])
    assert builder.c(target(platforms), [source], flags=["-DX"]) is not first
    newer = read_elf(builder.c(target(platforms, libc="2.34"), [source]), "x")
    assert "GLIBC_2.34" in {n.version for n in newer.needed}
    assert "GLIBC_2.34" not in {n.version for n in read_elf(first, "x").needed}


def test_a_damaged_build_is_made_again(source: Path, platforms: Platforms, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    # The compiler's own cache is slow to fill: only the builds are private here.
    (cache.root / "jailed-zig").symlink_to(Cache().root / "jailed-zig")
    first = Builder(cache).c(target(platforms), [source])
    (entry,) = (cache.root / "builds").glob("*/out")
    entry.write_bytes(entry.read_bytes()[:-1] + b"x")
    assert Builder(cache).c(target(platforms), [source]) == first


@pytest.mark.parametrize(
    ("text", "expected"),
    [("int main(void) { return x; }", "undeclared"), ("#include <none.h>\n", "none.h"), ("", "main")],
)
def test_what_does_not_build_says_why(tmp_path: Path, platforms: Platforms, text: str, expected: str) -> None:
    path = tmp_path / "u.c"
    path.write_text(text)
    with pytest.raises(BuildFailed, match=expected):
        Builder(Cache()).c(target(platforms), [path])


def test_a_source_that_is_missing(tmp_path: Path, platforms: Platforms) -> None:
    with pytest.raises(BuildFailed, match="cannot read the source"):
        Builder(Cache()).c(target(platforms), [tmp_path / "none.c"])


@pytest.mark.usefixtures("no_zig")
def test_a_gnu_compiler_is_used_when_its_libc_is_old_enough(source: Path, platforms: Platforms) -> None:
    compiler = toolchain.gnu_compiler(platforms.file.architectures[Arch.AMD64])
    libc = gnu_libc_version(compiler) if compiler else None
    if compiler is None or libc is None:
        pytest.skip("no x86_64-linux-gnu-gcc with a libc")
    program = Builder(Cache()).c(target(platforms, Arch.AMD64, libc), [source])
    assert read_elf(program, "x").machine == "EM_X86_64"
    with pytest.raises(ToolchainFault, match=f"links against glibc {libc}, newer than 2.17"):
        find_c_compiler(target(platforms, Arch.AMD64, "2.17"))


@pytest.mark.usefixtures("no_zig")
def test_no_compiler_at_all_names_the_mend(platforms: Platforms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ToolchainFault, match="zig is not installed"):
        find_c_compiler(target(platforms))


def test_go_fetches_nothing(tmp_path: Path, platforms: Platforms) -> None:
    (tmp_path / "go.mod").write_text("module example.invalid/x\n\ngo 1.22\n\nrequire example.invalid/y v1.0.0\n")
    (tmp_path / "main.go").write_text('package main\n\nimport _ "example.invalid/y"\n\nfunc main() {}\n')
    with pytest.raises(BuildFailed, match=r"example\.invalid/y"):
        Builder(Cache()).go(target(platforms), tmp_path)


def test_a_build_is_given_what_it_includes_and_nothing_else(tmp_path: Path, platforms: Platforms) -> None:
    place = tmp_path / "subject"
    (place / "src").mkdir(parents=True)
    (place / "include").mkdir()
    (place / "src/u.c").write_text('#include "x.h"\n#ifdef AWAY\n#include AWAY\n#endif\nint main(void) { return X; }\n')
    (place / "include/x.h").write_text("#define X 0\n")
    (tmp_path / "away.h").write_text("")
    builder, flags = Builder(Cache()), ["-I{here}/../include"]
    first = builder.c(target(platforms), [place / "src/u.c"], flags=flags, within=place)
    assert builder.c(target(platforms), [place / "src/u.c"], flags=["-Iinclude"], within=place) == first
    (place / "include/x.h").write_text("#define X 1\n")
    assert builder.c(target(platforms), [place / "src/u.c"], flags=flags, within=place) != first
    for away in ("../../away.h", "../unnamed.h"):
        (place / "unnamed.h").write_text("")
        with pytest.raises(BuildFailed, match="file not found"):
            builder.c(target(platforms), [place / "src/u.c"], flags=[*flags, f'-DAWAY="{away}"'], within=place)


def test_a_go_build_is_given_its_replacements_and_nothing_beside(tmp_path: Path, platforms: Platforms) -> None:
    files = {
        "app/go.mod": "module app\n\ngo 1.22\n\nrequire example.com/y v0.0.0\n\nreplace example.com/y => ../y\n",
        "app/cmd/main.go": 'package main\n\nimport "example.com/y"\n\nfunc main() { print(y.Y) }\n',
        "y/go.mod": "module example.com/y\n\ngo 1.22\n",
        "y/y.go": "package y\n\nconst Y = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    builder = Builder(Cache())
    first = builder.go(target(platforms), tmp_path / "app/cmd", within=tmp_path)
    (tmp_path / "y/y.go").write_text("package y\n\nconst Y = 2\n")
    assert builder.go(target(platforms), tmp_path / "app/cmd", within=tmp_path) != first


@pytest.mark.slow
@pytest.mark.parametrize(("c", "same"), [("return 42;", True), ("return __TIME__[0] * 10 + __TIME__[1];", False)])
def test_a_cgo_program_is_the_same_when_zig_has_made_nothing_yet(
    c: str, same: bool, tmp_path: Path, platforms: Platforms
) -> None:
    """Zig makes its start files in the first build's directory, and their debugging information names it."""
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module example.com/m\n\ngo 1.21\n")
    preamble = f"// #cgo CFLAGS: -Wno-error=date-time\n// static int answer(void) {{ {c} }}\n"
    text = f'package main\n\n{preamble}import "C"\n\nfunc main() {{ println(C.answer()) }}\n'
    (module / "main.go").write_text(text)
    cache = Cache(tmp_path / "cache")
    for name in ("jailed-gocache", "jailed-gocache-again"):  # of the standard library; only zig's own are private here
        (Cache().root / name).mkdir(exist_ok=True)
        (cache.root / name).symlink_to(Cache().root / name)
    builder = Builder(cache)
    first, second = (builder.go(target(platforms), module, cgo=True, salt=salt) for salt in ("", "again"))
    assert (first == second) is same
