"""What a build tries out is linked with libraries that this host has, for a machine that has them not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_xinchuang.advise.builds import stand_in_libraries as libraries
from pytest_xinchuang.advise.builds.stand_in import Call, without_system_headers
from pytest_xinchuang.toolchain.builder import find_zig

pytestmark = pytest.mark.tools


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of libraries for x86-64: libdeep.so, and libwide.so, which is a script of ld that names it."""
    place = tmp_path_factory.mktemp("libraries")
    (place / "deep.c").write_text(
        "int deep(void) { return 1; }\nstatic int own(void) { return 2; }\nint (*p)(void) = own;\n"
    )
    argv = [find_zig(), "cc", "-target", "x86_64-linux-gnu.2.28", "-shared", "-o", "libdeep.so", "deep.c"]
    subprocess.run(argv, cwd=place, check=True, capture_output=True)
    (place / "libwide.so").write_text("/* GNU ld script */\nINPUT(libdeep.so -lnowhere)\n")
    (place / "libbroken.so").write_bytes(b"\x7fELF\x02\x01")
    (place / "libloop.so").write_text("INPUT(-lloop)\n")
    return place


def test_which_words_name_a_library_of_this_host(hosts: Path) -> None:
    places = ["/nowhere", str(hosts)]
    assert libraries.hosts_library("-ldeep", places) == f"{hosts}/libdeep.so"
    assert libraries.hosts_library(f"{hosts}/libdeep.so", places) == f"{hosts}/libdeep.so"
    for word in (
        "-lnowhere",
        "-lm",
        "-lpthread",
        "-l:libdeep.so",
        "/elsewhere/libdeep.so",
        f"{hosts}/libm.so.6",
        "main.o",
    ):
        assert libraries.hosts_library(word, places) is None, word


def test_what_a_library_defines(hosts: Path) -> None:
    for name in ("libdeep.so", "libwide.so"):
        found = libraries.exported(f"{hosts}/{name}", [str(hosts)])
        assert {"deep", "p"} <= found and "own" not in found, name
    for name in ("libbroken.so", "libloop.so", "deep.c", "missing.so"):
        assert libraries.exported(f"{hosts}/{name}", [str(hosts)]) == set(), name


def linked(hosts: Path, tmp_path: Path, text: str, *words: str, name: str = "conftest.c") -> int:
    (tmp_path / "conftest.c").write_text(text)
    call = Call([name, "-o", "conftest", *words], cxx=False)
    plain = [find_zig(), "cc", "-target", "aarch64-linux-gnu.2.28"]
    guise = {"libraries": [str(hosts)], "state": str(tmp_path)}

    def run(argv: object) -> int:
        assert isinstance(argv, list)
        return subprocess.run(argv, cwd=tmp_path, capture_output=True, check=False).returncode

    if name.endswith(".o"):
        assert run([*plain, "-c", "conftest.c", "-o", name]) == 0
    return libraries.linked(guise, call, call.flags, plain, run, of_cxx=False)


@pytest.mark.parametrize("word", ["-ldeep", "-lwide"])
def test_a_trial_is_linked_for_another_machine(hosts: Path, tmp_path: Path, word: str) -> None:
    text = "int deep(void);\nint main(void) { return deep(); }\n"
    assert linked(hosts, tmp_path, text, word) == 0
    assert (tmp_path / "conftest").read_bytes()[18] == 183, "EM_AARCH64"
    assert linked(hosts, tmp_path, text) != 0, "without the library it is not there"


@pytest.mark.parametrize("name", ["conftest.c", "conftest.o"])
@pytest.mark.parametrize("word", ["-fopenmp", "-fopenmp=libomp", "-lgomp"])
def test_a_trial_has_the_library_of_openmp_where_it_asks_for_it(
    hosts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "int omp_get_max_threads(void);\nint main(void) { return omp_get_max_threads(); }\n"
    assert linked(hosts, tmp_path, text, word, name=name) == 0
    assert linked(hosts, tmp_path, text, name=name) != 0, "it is not asked for"
    assert linked(hosts, tmp_path, text.replace("omp_get", "nothing_get"), word, name=name) != 0


def test_what_the_library_has_not_is_not_there(hosts: Path, tmp_path: Path) -> None:
    assert linked(hosts, tmp_path, "int nothing(void);\nint main(void) { return nothing(); }\n", "-ldeep") != 0
    assert linked(hosts, tmp_path, "int main(void) { return 0; }\n", "-lnowhere") != 0


def test_directories_of_the_system_are_left_out() -> None:
    words = [
        "-I",
        "/usr/include",
        "-I/usr/include",
        "-isystem/usr/local/include",
        "-I/opt/usr/include",
        "-Iinc",
        "-isystem",
        "/usr/include",
        "-idirafter",
        "/usr/include/x",
        "a.c",
    ]
    assert without_system_headers(words) == ["-I/opt/usr/include", "-Iinc", "-idirafter", "/usr/include/x", "a.c"]
