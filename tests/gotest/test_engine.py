"""A module's tests on a platform: what fails here alone, what fails everywhere, and what emulation cannot judge."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.gotest.engine import GoTestEngine
from pytest_xinchuang.gotest.result import TestVerdict, coverage_of, ends_of
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.tools.gomod import ModuleVersion
from tests.messages.english import english_in

MODULE = "example.com/probe"

GO_FILES = {
    "go.mod": f"module {MODULE}\n\ngo 1.21\n",
    "good/good.go": "package good\n\nfunc Add(a, b int) int {\n\tif a < 0 {\n\t\treturn b + a\n\t}\n\treturn a + b\n}\n",
    "good/good_test.go": (
        'package good\n\nimport (\n\t"os"\n\t"testing"\n)\n\n'
        "func TestAdd(t *testing.T) {\n\tif Add(1, 2) != 3 {\n\t\tt.Fatal()\n\t}\n}\n\n"
        'func TestData(t *testing.T) {\n\tif b, err := os.ReadFile("testdata/x"); err != nil || string(b) != "x" {\n'
        '\t\tt.Fatal(err)\n\t}\n}\n\n'
        'func TestSkipped(t *testing.T) {\n\tt.Skip("not now")\n}\n'
    ),
    "good/testdata/x": "x",
    "bad/bad_test.go": (
        'package bad\n\nimport (\n\t"net"\n\t"os"\n\t"runtime"\n\t"syscall"\n\t"testing"\n\t"time"\n\t"unsafe"\n)\n\n'
        'func TestHereAlone(t *testing.T) {\n\tif runtime.GOARCH != "amd64" {\n'
        '\t\tt.Fatal("want amd64, got", runtime.GOARCH)\n\t}\n}\n\n'
        'func TestEverywhere(t *testing.T) {\n\tt.Fatal("broken")\n}\n\n'
        'func TestNetwork(t *testing.T) {\n'
        '\tif _, err := net.DialTimeout("tcp", "192.0.2.1:80", time.Second); err != nil {\n\t\tt.Fatal(err)\n\t}\n}\n\n'
        'func TestClock(t *testing.T) {\n\tif runtime.GOARCH != "amd64" {\n\t\tt.Fatal("took longer than 1ms")\n\t}\n}\n\n'
        "func TestEndsAll(t *testing.T) {\n\tif runtime.GOARCH != \"amd64\" {\n\t\tos.Exit(3)\n\t}\n}\n\n"
        "func TestAIO(t *testing.T) {\n\tvar context uintptr\n"
        "\tif _, _, e := syscall.Syscall(syscall.SYS_IO_SETUP, 8, uintptr(unsafe.Pointer(&context)), 0); e != 0 {\n"
        "\t\tt.Fatal(e)\n\t}\n}\n\n"
        "func TestAfterIt(t *testing.T) {}\n"
    ),
    "arch/arch_amd64.go": "package arch\n\nconst Word = 8\n",
    "arch/arch_test.go": (
        'package arch\n\nimport "testing"\n\n'
        "func TestWord(t *testing.T) {\n\tif Word != 8 {\n\t\tt.Fatal()\n\t}\n}\n"
    ),
    "none/none.go": "package none\n",
}  # fmt: skip

VERSION = f"v1.0.{zlib.crc32(repr(GO_FILES).encode())}"
"""Another for other files: Go keeps what it has once fetched."""


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: Pool) -> Path:
    """A GOPROXY in a directory, with one module."""
    place = tmp_path / "proxy" / MODULE / "@v"
    place.mkdir(parents=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in GO_FILES.items():
            archive.writestr(f"{MODULE}@{VERSION}/{name}", text)
    (place / f"{VERSION}.zip").write_bytes(buffer.getvalue())
    (place / f"{VERSION}.mod").write_text(GO_FILES["go.mod"])
    (place / f"{VERSION}.info").write_text(json.dumps({"Version": VERSION, "Time": "2026-01-01T00:00:00Z"}))
    (place / "list").write_text(f"{VERSION}\n")
    monkeypatch.setenv("GOPROXY", f"file://{tmp_path / 'proxy'}")
    monkeypatch.setenv("GONOSUMDB", "*")
    monkeypatch.setenv("GONOSUMCHECK", "1")
    monkeypatch.setenv("GOSUMDB", "off")
    return tmp_path / "proxy"


@pytest.mark.sandbox
@pytest.mark.slow
@pytest.mark.parametrize("name", ["kunpeng", "loongson"])
def test_a_failure_is_told_from_what_cannot_be_judged(name: str, proxy: Path, platforms: Platforms, pool: Pool) -> None:
    engine = GoTestEngine(platforms.get(name), pool, cover=True)
    result = engine.run(ModuleVersion(MODULE, VERSION))
    assert not result.error
    packages = {p.path.rpartition("/")[2]: p for p in result.packages}
    assert set(packages) == {"good", "bad", "arch"}
    good = packages["good"]
    assert good.verdict is TestVerdict.PASS
    assert (good.count(TestVerdict.PASS), good.count(TestVerdict.SKIP)) == (2, 1)
    assert good.coverage == (2, 3)
    verdicts = {t.name: t.verdict for t in packages["bad"].tests}
    assert verdicts == {
        "TestHereAlone": TestVerdict.FAIL,
        "TestEverywhere": TestVerdict.FAILS_EVERYWHERE,
        "TestNetwork": TestVerdict.FAILS_EVERYWHERE,
        "TestClock": TestVerdict.NOT_JUDGED,
        "TestAIO": TestVerdict.NOT_JUDGED,
        "TestEndsAll": TestVerdict.FAIL,
        "TestAfterIt": TestVerdict.PASS,
    }
    assert packages["bad"].verdict is TestVerdict.FAIL
    assert "want amd64" in next(t.reason for t in packages["bad"].tests if t.name == "TestHereAlone")
    # It builds for amd64 alone.
    assert packages["arch"].verdict is TestVerdict.FAIL
    assert "undefined: Word" in packages["arch"].reason


@pytest.mark.sandbox
def test_the_command_reports_and_exits_accordingly(
    proxy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.json"
    words = [
        "go-test",
        f"{MODULE}@{VERSION}",
        "--platform=phytium",
        "--run=TestAdd|TestData|TestAfterIt",
        "--json",
        str(out),
    ]
    code = main(words)
    text = capsys.readouterr().out
    assert code == 1  # arch does not build
    assert "pass     example.com/probe/good" in text and "(emulated)" in text
    data = json.loads(out.read_text())["results"][0]
    assert data["platform"] == "phytium_d2000-kylin_v10_sp1" and data["go"].startswith("go version")
    assert main([*words, "--language=zh"]) == 1
    told = "".join(capsys.readouterr())
    assert "  通过     example.com/probe/good" in told
    assert f"xc：{MODULE}@{VERSION}：example.com/probe/bad，平台 phytium" in told
    assert not english_in(told)
    assert main(["go-test", f"{MODULE}@v9.9.9", "--platform=phytium"]) == 2
    assert "not tried: go mod download" in capsys.readouterr().out
    monkeypatch.setenv("GOPROXY", "off")
    assert main(["go-test", f"{MODULE}@v9.9.9", "--platform=phytium", "--offline"]) == 2


def test_what_is_no_module_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("gin", "github.com/x/y", "@v1", "github.com/x/y@", "../x.y@v1;rm"):
        with pytest.raises(XcError, match="MODULE@VERSION"):
            ModuleVersion.parse(text)
    assert main(["go-test"]) == 2
    assert "no module is named" in capsys.readouterr().err


def test_coverage_counts_a_block_once() -> None:
    profile = b"mode: atomic\na/b.go:1.1,2.2 3 1\na/b.go:3.1,4.2 2 0\na/b.go:1.1,2.2 3 0\nnonsense\n"
    assert coverage_of(profile) == (3, 5)
    assert coverage_of(b"mode: set\n") is None


def test_a_test_that_never_ended_is_not_passed() -> None:
    events = [
        {"Action": "run", "Test": "TestA"},
        {"Action": "output", "Test": "TestA/sub", "Output": "why\n"},
        {"Action": "run", "Test": "TestB"},
        {"Action": "pass", "Test": "TestB"},
        {"Action": "fail", "Test": "TestB/sub"},
        {"Action": "output", "Output": "panic: x"},
    ]
    assert {name: end[:2] for name, end in ends_of(events).items()} == {
        "TestA": ("unfinished", "why\n"),
        "TestB": ("pass", ""),
    }
