"""`xc platforms probe` and `compare`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.probe import read_probe
from tests.core.test_probe import SP3, probe
from tests.messages.english import english_in


@pytest.mark.tools
def test_a_probe_is_written_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "probe.txt"
    assert main(["platforms", "probe", "--output", str(path)]) == 0
    assert read_probe(path.read_bytes()).first("page_size")
    code = main(["platforms", "compare", str(path), "--format", "json"])
    told = json.loads(capsys.readouterr().out)
    assert told["arch"] in ("amd64", "arm64", "loong64")
    # Whoever runs the tests may have a machine of platforms.yaml, or none.
    assert code in ((0, 1) if told["cpus"] and told["systems"] else (1, 3))


def test_the_script_goes_to_boards_without_python(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["platforms", "probe", "--script"]) == 0
    assert capsys.readouterr().out == resources.probe_script().read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("lines", "code", "told"),
    [
        (SP3, 0, "same: systems.kylin_v10_sp3.page_size.arm64"),
        (("page_size\t4096",), 1, "DIFFERS: systems.kylin_v10_sp3.page_size.arm64: here 65536 (sourced), there 4096"),
        (SP3, 0, "not known here: systems.kylin_v10_sp3.software.compressors"),
        (SP3, 0, "docs/probe.md"),
    ],
)
def test_what_a_comparison_says(
    lines: tuple[str, ...], code: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "probe.txt"
    path.write_bytes(probe("hrw_86", "qdrant_6512", extra=lines))
    assert main(["platforms", "compare", str(path)]) == code
    assert told in capsys.readouterr().out


def test_an_unknown_machine_is_incomplete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "probe.txt"
    path.write_bytes(b"format\txc-probe/1\nmachine\tsw_64\nend\tyes\n")
    assert main(["platforms", "compare", str(path)]) == 3
    assert "CPU: none of platforms.yaml" in capsys.readouterr().out


def test_a_comparison_in_chinese(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "probe.txt"
    path.write_bytes(probe("hrw_86", "qdrant_6512", extra=("page_size\t4096", "container\tdocker", "virtual\tkvm")))
    main(["--language", "zh", "platforms", "compare", str(path)])
    told = capsys.readouterr().out
    # Names of features and versions stay.
    assert not english_in("\n".join(line for line in told.splitlines() if "features" not in line))


@pytest.mark.parametrize("machine", ["mips64", "sw_64", "riscv64"])
def test_a_machine_that_no_platform_can_be_made_of(
    machine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its owner is not asked to send a probe of what is known and not supported."""
    path = tmp_path / "probe.txt"
    path.write_bytes(f"format\txc-probe/1\nmachine\t{machine}\nend\tyes\n".encode())
    assert main(["platforms", "compare", str(path)]) == 3
    told = capsys.readouterr().out
    assert ("not supported: " in told) is (machine != "riscv64") and ("please send it" in told) is (
        machine == "riscv64"
    )
    main(["--language", "zh", "platforms", "compare", str(path)])
    assert not english_in(capsys.readouterr().out)
    main(["platforms", "compare", str(path), "--format", "json"])
    assert bool(json.loads(capsys.readouterr().out)["unsupported"]) is (machine != "riscv64")


@pytest.mark.parametrize("words", [["compare"], ["compare", "missing"], ["compare", "."]])
def test_what_cannot_be_compared(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["platforms", *words]) == 2
