"""What ``xc completion`` prints makes a shell complete: tried in bash; zsh and fish are tried where they are installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_xinchuang.cli.completion import SHELLS
from pytest_xinchuang.cli.entry import main

pytestmark = pytest.mark.tools


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_of_its_shell(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    assert "_ARGCOMPLETE" in text and "xc" in text
    if (program := shutil.which(shell)) is None:
        assert text.count("{") == text.count("}") and text.count('"') % 2 == 0
        return
    file = tmp_path / "script"
    file.write_text(text)
    subprocess.run([program, "-n", str(file)], check=True)


TRIES = {
    "xc pl": {"platforms"},
    "xc syscalls layout s": {"snapshot", "show"},
    "xc supply-chain ch": {"check"},
    "xc platforms sh": {"show"},
    "xc platforms show loongs": {"loongson"},
    "xc shell kunpen": {"kunpeng", "kunpeng920-kylin_v10_sp3"},
    "xc inspect --platform kunpeng,phyt": {"kunpeng,phytium"},
    "xc inspect --platf": {"--platform", "--platforms-file"},
    "xc explain XC-ELF-01": {"XC-ELF-010"},
    "xc api rules GO-FUNC-REM": {"GO-FUNC-REMOVED"},
    "xc api diff --format s": {"sarif"},
    "xc sm run --lan": {"--language"},
    "xc sm run --js": set(),
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands, options, values and platforms; older spellings are not offered."""
    xc = tmp_path / "xc"
    xc.write_text(f"#!{sys.executable}\nimport sys\nfrom pytest_xinchuang.cli import main\nsys.exit(main())\n")
    xc.chmod(0o755)
    lines = [
        script("bash", capsys),
        f"export PATH={tmp_path}:$PATH",
        "try() {",
        '  COMP_LINE="$1"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; COMP_WORDS=($COMP_LINE)',
        "  COMP_CWORD=$((${#COMP_WORDS[@]}-1)); COMPREPLY=(); _python_argcomplete xc",
        '  echo "$1|${COMPREPLY[*]}"',
        "}",
        *(f'try "{line}"' for line in TRIES),
    ]
    done = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    found = dict(line.split("|") for line in done.stdout.splitlines())
    for line, wanted in TRIES.items():
        words = set(found[line].split())
        assert wanted <= words if wanted else not words, (line, words)
        assert all(word.startswith(line.rpartition(" ")[2]) for word in words), (line, words)
