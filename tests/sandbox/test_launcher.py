from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.sandbox.backends import launcher

HOST = platform.machine()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_both_are_elf_programs_with_the_marker(machine: str) -> None:
    for program in (launcher.launcher(machine, ["/x", "-0"]), launcher.refuser(machine, "no\n")):
        elf = read_elf(program, "x")
        assert elf.machine == {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}[machine]
        assert elf.padding[0] == 1


@pytest.mark.tools
@pytest.mark.skipif(not launcher.supported(HOST), reason="no launcher for this host")
def test_the_launcher_passes_every_argument_on(tmp_path: Path) -> None:
    program = tmp_path / "launcher"
    program.write_bytes(launcher.launcher(HOST, ["/usr/bin/printf", "%s|", "-cpu", "a b", "-0"]))
    program.chmod(0o755)
    # As the kernel calls an interpreter with flag P: itself, the program, the program's argv[0], its arguments.
    said = subprocess.run([program, "/bin/prog", "argv0", "one", "", "two"], capture_output=True, text=True, check=True)
    assert said.stdout == "-cpu|a b|-0|argv0|/bin/prog|one||two|"


@pytest.mark.tools
@pytest.mark.skipif(not launcher.supported(HOST), reason="no launcher for this host")
def test_the_refuser_says_why_and_ends_with_126(tmp_path: Path) -> None:
    program = tmp_path / "refuser"
    program.write_bytes(launcher.refuser(HOST, "not here\n"))
    program.chmod(0o755)
    said = subprocess.run([program, "x"], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (126, "not here\n")


def test_a_registration_fits_the_kernel_and_skips_the_marker() -> None:
    line = launcher.registration("xc", 183, "/tmp/helpers/launcher")
    assert len(line) < 1920  # fs/binfmt_misc.c, MAX_REGISTER_LENGTH
    _, name, kind, offset, magic, mask, interpreter, flags = line.decode().split(":")
    assert (name, kind, offset, interpreter, flags) == ("xc", "M", "", "/tmp/helpers/launcher", "PF")
    raw = [bytes.fromhex(part.replace("\\x", "")) for part in (magic, mask)]

    def matches(program: bytes) -> bool:
        return all((b & m) == (g & m) for b, g, m in zip(program, *raw, strict=False))

    emulated = read_bytes("aarch64")
    assert matches(emulated[:9] + b"\0" + emulated[10:])
    assert not matches(emulated)
    assert not matches(read_bytes("x86_64")[:9] + b"\0" * 11)


def read_bytes(machine: str) -> bytes:
    return launcher.refuser(machine, "x")
