"""Which calls a program makes on a platform, and whether it copes without those that the platform lacks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.errors import DataFileError, XcError
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.packages.syscall_bridge.usage import read_used, trace
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder, Target

COPES = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    unsigned long long how[3] = {O_RDONLY, 0, 0};
    int fd = (int)syscall(437, AT_FDCWD, "/etc/passwd", how, sizeof how);
    if (fd < 0 && errno == ENOSYS FALLBACK) fd = open("/etc/passwd", O_RDONLY);
    printf("%s\\n", fd >= 0 ? "opened" : "failed");
    return fd < 0;
}
"""


def build(store: Store, platforms: Platforms, name: str, text: str, place: Path) -> Path:
    platform = platforms.get(name)
    (place / "p.c").write_text(text)
    target = Target(platform.arch, platform.architecture, "2.36" if platform.arch == "loong64" else "2.28")
    program = place / "program"
    program.write_bytes(Builder(store.cache).c(target, [place / "p.c"]))
    return program


@pytest.mark.sandbox
def test_a_child_with_another_environment_is_traced(pool: Pool, platforms: Platforms) -> None:
    usage = trace(pool, platforms.get("phytium"), ["env", "-i", "/bin/true"])
    assert not usage.undecided and usage.calls["execve"] == 1 and usage.calls["exit_group"] == 1
    assert not trace(pool, platforms.get("phytium"), ["env", "A=b", "/bin/true"]).undecided


@pytest.mark.sandbox
def test_a_call_that_the_emulator_answers_anyway_decides_nothing(
    pool: Pool, store: Store, platforms: Platforms, tmp_path: Path
) -> None:
    text = (
        "#include <stdio.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n"
        'int main(void) { char room[512]; printf("%ld\\n", syscall(SYS_statx, 0, "/", 0, 0, room)); return 0; }\n'
    )
    program = build(store, platforms, "phytium", text, tmp_path)
    usage = trace(pool, platforms.get("phytium_d2000-kylin_desktop_v10"), [str(program)])
    assert (
        "calls statx, which Linux 4.4.131 lacks or may lack, and this sandbox answers" in usage.undecided
        and not usage.copes
    )
    assert not trace(pool, platforms.get("phytium"), [str(program)]).undecided


@pytest.mark.sandbox
@pytest.mark.parametrize(("fallback", "copes"), [("", True), ("&& 0", False)])
def test_a_program_that_copes_and_one_that_does_not(
    fallback: str, copes: bool, pool: Pool, store: Store, platforms: Platforms, tmp_path: Path
) -> None:
    program = build(store, platforms, "phytium", COPES.replace("FALLBACK", fallback), tmp_path)
    usage = trace(pool, platforms.get("phytium"), [str(program)])
    assert usage.lacking == ("openat2",) and not usage.undecided and usage.copes is copes
    assert usage.calls["write"] == 1 and "openat2" in "\n".join(usage.lines())
    assert usage.as_dict()["copes"] is copes
    if copes:
        assert "it does the same without them" in "\n".join(usage.lines())
    else:
        assert "does not cope" in "\n".join(usage.lines())


@pytest.mark.sandbox
@pytest.mark.slow
def test_by_ptrace_on_a_real_kernel(store: Store, platforms: Platforms, tmp_path: Path) -> None:
    program = build(store, platforms, "phytium", COPES.replace("FALLBACK", ""), tmp_path)
    opened = Pool(store, "system")
    try:
        usage = trace(opened, platforms.get("phytium"), [str(program)])
    finally:
        opened.close()
    assert usage.sandbox == "system" and usage.fidelity == "emulated-system" and not usage.emulator
    assert usage.lacking == ("openat2",) and usage.copes


@pytest.mark.sandbox
def test_a_program_that_is_none(pool: Pool, platforms: Platforms) -> None:
    with pytest.raises(XcError, match="cannot execute"):
        trace(pool, platforms.get("phytium"), ["/nowhere"])


@pytest.mark.sandbox
def test_what_is_not_known_is_undecided(pool: Pool, platforms: Platforms, store: Store, tmp_path: Path) -> None:
    unknown = next(
        p
        for i in platforms.ids
        if (p := platforms.get(i)).system.kernel.value is None and p.rootfs_name and p.arch == "arm64"
    )
    usage = trace(pool, unknown, ["true"])
    assert "is not known" in usage.undecided and usage.copes is False and usage.as_dict()["copes"] is None


def test_what_a_program_uses_is_read_from_both_forms(tmp_path: Path) -> None:
    (tmp_path / "u.json").write_text(json.dumps({"calls": {"read": 3, "write": 1}}))
    assert read_used(tmp_path / "u.json") == ["read", "write"]
    (tmp_path / "strace").write_text(
        'openat(AT_FDCWD, "x") = 3\n[pid 12] read(3, "", 1) = 0\n12 write(1) = 1\n--- SIGCHLD ---\n'
    )
    assert read_used(tmp_path / "strace") == ["openat", "read", "write"]
    for text in ("", "{}", "{", "no calls here"):
        (tmp_path / "bad").write_text(text)
        with pytest.raises(DataFileError):
            read_used(tmp_path / "bad")
    with pytest.raises(DataFileError, match="cannot be read"):
        read_used(tmp_path / "missing")


# -- the command


@pytest.mark.tools
def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["syscalls", "table", "arm64", "--json"]) == 0
    table = tmp_path / "arm64.json"
    table.write_text(capsys.readouterr().out)
    assert main(["syscalls", "table", "aarch64", "--check"]) == 0
    assert "calls of Linux" in capsys.readouterr().err
    assert main(["syscalls", "diff", str(table), "arm64"]) == 0
    assert "0 added, 0 removed, 0 renumbered, 100.0% the same" in capsys.readouterr().out
    assert main(["syscalls", "diff", "amd64", "arm64", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"]["open"] == 2
    (tmp_path / "used").write_text("1 open(x) = 0\n1 read(x) = 0\n")
    assert main(["syscalls", "diff", "amd64", "arm64", "--used", str(tmp_path / "used")]) == 1
    assert "lost open" in capsys.readouterr().out
    assert main(["syscalls", "gen", "loong64", "--lang", "go", "--output", str(tmp_path / "n.go")]) == 0
    assert "SYS_READ" in (tmp_path / "n.go").read_text()
    assert main(["syscalls", "layout", "show", "stat"]) == 0
    assert "144/8" in capsys.readouterr().out
    assert main(["syscalls", "layout", "assert", "arm64", "--struct", "struct stat"]) == 0
    assert "_Static_assert(sizeof(struct stat) == 128" in capsys.readouterr().out
    for words in (
        ["table", "vax"],
        ["table", "arm64", "--headers", str(tmp_path)],
        ["gen", "arm64", "--lang", "cobol"],
        ["layout", "show", "nothing"],
        ["layout", "diff", str(tmp_path / "used"), str(tmp_path / "used")],
        ["diff", str(tmp_path / "used"), "arm64"],
        ["trace", "--platform", "phytium"],
        ["bridge", "run"],
    ):
        assert main(["syscalls", *words]) == 2, words
        assert "Traceback" not in capsys.readouterr().err


def test_layouts_of_two_trees_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, body in (("old", "long a; int b;"), ("new", "long a; long c; int b;")):
        (tmp_path / name / "asm").mkdir(parents=True)
        (tmp_path / name / "asm/unistd.h").write_text("#define __NR_a 1\n")
        (tmp_path / name / "linux").mkdir()
        (tmp_path / name / "linux/s.h").write_text(f"struct s {{ {body} }};\n")
    words = ["syscalls", "layout", "diff", str(tmp_path / "old"), str(tmp_path / "new"), "--arch", "arm64"]
    assert main(words) == 1
    assert "arm64: struct s b: offset 8 -> 16 (breaks binary, wire)" in capsys.readouterr().out
    assert main([*words[:3], words[3], words[3], "--arch", "arm64", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shifts"] == []
    snapshot = tmp_path / "s.jsonl"
    made = main(["syscalls", "layout", "snapshot", "--arch", "arm64", "--headers", words[3], "--output", str(snapshot)])
    assert made == 0 and main(["syscalls", "layout", "diff", str(snapshot), words[4]]) in (1, 2)


@pytest.mark.tools
def test_templates_are_written_and_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil
    import subprocess

    from pytest_xinchuang.packages.registry import load_subject

    for lang in ("c", "go"):
        place = tmp_path / lang
        assert main(["syscalls", "bridge", "init", "--lang", lang, str(place)]) == 0
        assert getattr(load_subject(place).file, "syscall_bridge") is not None  # noqa: B009 - a package's section
        assert main(["syscalls", "bridge", "init", "--lang", lang, str(place)]) == 2
    cc = shutil.which("cc")
    if cc is None:
        pytest.skip("no C compiler on this host")
    sources = [str(p) for p in sorted((tmp_path / "c").glob("*.c"))]
    subprocess.run([cc, "-O1", *sources, "-lpthread", "-lrt", "-o", "harness"], cwd=tmp_path / "c", check=True)
    capsys.readouterr()
    assert main(["syscalls", "bridge", "run", "--", str(tmp_path / "c/harness")]) == 0
    said = capsys.readouterr().out
    assert "failed" not in said and " passed" in said
    # Nobody documents LiteOS-A: that is no pass.
    assert main(["syscalls", "bridge", "run", "--os-profile", "liteos-a", "--", str(tmp_path / "c/harness")]) == 3
    assert main(["syscalls", "bridge", "run", "--", "/bin/true"]) == 2
