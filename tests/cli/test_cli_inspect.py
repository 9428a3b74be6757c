"""`xc inspect`, `xc explain`, `xc flags` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sarif_pydantic

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.finding import Certainty, Finding, FindingCatalogue, load_findings
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import Builder, Target
from tests.tiers import starts_programs

HELLO = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'


@pytest.fixture
@starts_programs
def hello(tmp_path: Path, platforms: Platforms) -> dict[str, Path]:
    source = tmp_path / "hello.c"
    source.write_text(HELLO)
    made = {}
    for name, libc in (("old", "2.28"), ("new", "2.34")):
        target = Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], libc)
        made[name] = tmp_path / name
        made[name].write_bytes(Builder(Cache()).c(target, [source]))
    return made


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["inspect", *words])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_exit_codes_tell_clean_findings_errors_and_the_unknown(
    hello: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, str(hello["old"]), "--platform=kunpeng")[0] == 0
    assert run(capsys, str(hello["new"]), "--platform=kunpeng")[0] == 1
    code, _, err = run(capsys, str(tmp_path / "none"), "--platform=kunpeng")
    assert code == 2 and "No such file" in err
    assert run(capsys, str(hello["old"]), "--platform=nothing")[0] == 2
    broken = tmp_path / "broken.so"
    broken.write_bytes(hello["old"].read_bytes()[:200])
    assert run(capsys, str(broken), "--platform=kunpeng")[0] == 3
    # A failure weighs more than what is unknown, and an error more than a failure.
    assert run(capsys, str(broken), str(hello["new"]), "--platform=kunpeng")[0] == 1
    assert run(capsys, str(hello["new"]), str(tmp_path / "none"), "--platform=kunpeng")[0] == 2


def test_the_text_names_symbol_object_limit_and_mend(
    hello: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, str(hello["new"]), "--platform=kunpeng")
    assert "needs __libc_start_main@GLIBC_2.34 of libc.so.6; Kylin Server V10 SP3 has glibc 2.28" in out
    assert "zig cc -target aarch64-linux-gnu.2.28" in out
    _, out, _ = run(capsys, str(hello["new"]), "--platform=kunpeng", "--language=zh")
    assert "需要 libc.so.6 的 __libc_start_main@GLIBC_2.34" in out and "修正" in out


def test_one_artifact_is_judged_for_each_platform(hello: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, str(hello["new"]), "--platform=kunpeng920-kylin_v11,loongson,kunpeng", "--format=json")
    data = json.loads(out)
    codes = {
        p: {f["code"] for f in data["findings"] if f["platform"] == p and f["certainty"] == "certain"}
        for p in data["platforms"]
    }
    assert codes["kunpeng920-kylin_v11"] == set()
    assert codes["loongson_3a5000-kylin_v11"] == {"XC-ELF-001"}
    assert codes["kunpeng920-kylin_v10_sp3"] == {"XC-ELF-010"}
    assert data["artifacts"][0]["objects"][0]["sha256"]
    assert all(f["text"]["zh"] and f["mend"]["en"] for f in data["findings"])


def test_sarif_is_sarif(hello: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.sarif"
    code, out, _ = run(capsys, str(hello["new"]), "--platform=kunpeng", "--format=sarif", "--output", str(target))
    assert (code, out) == (1, "")
    text = target.read_text()
    sarif_pydantic.Sarif.model_validate_json(text)
    results = json.loads(text)["runs"][0]["results"]
    errors = [r for r in results if r["level"] == "error"]
    assert [r["ruleId"] for r in errors] == ["XC-ELF-010"]
    rules = json.loads(text)["runs"][0]["tool"]["driver"]["rules"]
    assert all(rules[r["ruleIndex"]]["id"] == r["ruleId"] for r in results)
    assert main(["inspect", str(hello["new"]), "--output", str(tmp_path / "none" / "x")]) == 2


@pytest.mark.tools
def test_strict_takes_guarded_for_a_finding(
    tmp_path: Path, platforms: Platforms, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "u.c"
    source.write_text("int close_range(unsigned, unsigned, int);\nint use(void) { return close_range(3, 4, 0); }\n")
    target = Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], "2.34")
    path = tmp_path / "libuse.so"
    path.write_bytes(Builder(Cache()).c(target, [source], flags=["-w"], shared=True))
    assert run(capsys, str(path), "--platform=kunpeng920-openeuler_22_03")[0] == 0
    code, out, _ = run(capsys, str(path), "--platform=kunpeng920-openeuler_22_03", "--strict")
    assert code == 0  # Linux 5.10 has close_range
    code, out, _ = run(capsys, str(path), "--platform=kunpeng", "--strict")
    assert code == 1 and "close_range is there since Linux 5.9" in out


def test_the_same_tool_from_two_sources_is_compared(
    hello: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("package", "archive"):
        (tmp_path / name).mkdir()
    (tmp_path / "package/tool").write_bytes(hello["old"].read_bytes())
    (tmp_path / "archive/tool").write_bytes(hello["new"].read_bytes())
    words = [
        str(tmp_path / "package"),
        str(tmp_path / "archive"),
        "--platform=kunpeng920-kylin_v11",
        "--compare",
        "--notes",
    ]
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "newest glibc symbol: GLIBC_2.17" in out and "GLIBC_2.34" in out


@pytest.mark.tools
def test_a_freestanding_object_with_undefined_symbols(
    tmp_path: Path, platforms: Platforms, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "u.c"
    source.write_text("void *memcpy(void *, void *, long);\nvoid copy(void *a, void *b, long n) { memcpy(a, b, n); }\n")
    target = Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], "2.28")
    path = tmp_path / "copy.o"
    path.write_bytes(Builder(Cache()).c(target, [source], flags=["-c", "-ffreestanding"]))
    assert run(capsys, str(path), "--platform=kunpeng")[0] == 0
    code, out, _ = run(capsys, str(path), "--platform=kunpeng", "--freestanding")
    assert code == 1 and "leaves memcpy undefined" in out


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(load_findings().rules)
    assert main(["explain", "xc-isa-002"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("cause:", "evidence:", "mend:", "-moutline-atomics", "24. Inlined LSE atomics"))
    assert main(["explain", "XC-ELF-999"]) == 2
    assert "no finding has the code" in capsys.readouterr().err


def test_every_text_can_be_filled_in_and_is_there_in_both_languages() -> None:
    catalogue = load_findings()
    for code, rule in catalogue.rules.items():
        finding = Finding(code, Certainty.NOTE, "object", "platform")
        for language in ("zh", "en"):
            assert catalogue.text(finding).render(language) and catalogue.mend(finding).render(language)
            assert getattr(rule.title, language) and getattr(rule.cause, language)
        assert any("一" <= c <= "鿿" for c in rule.title.zh + rule.cause.zh)


def test_each_code_is_used_somewhere() -> None:
    """A code that nothing can find would be a promise that is not kept."""
    package = Path(resources.__file__).parent.parent
    source = "".join(p.read_text() for p in package.rglob("*.py"))
    assert not [code for code, rule in load_findings().rules.items() if code not in source and rule.says is None]


@pytest.mark.tools
@pytest.mark.parametrize(
    ("platform", "flags", "codes"),
    [
        ("kunpeng", ["-O2", "-march=armv8-a", "-lm"], []),
        ("phytium", ["-march=armv8.2-a"], ["XC-FLAG-003"]),
        ("kunpeng", ["-march=armv8.2-a"], []),
        ("kunpeng", ["-mcpu=ft2000plus", "-march=native"], ["XC-FLAG-002", "XC-FLAG-003"]),
        ("kunpeng", ["-m64"], ["XC-FLAG-001"]),
        ("zhaoxin", ["-mavx2", "-mavx"], ["XC-FLAG-003"]),
        ("hygon", ["-mavx2"], []),
        ("loongson_2k3000-kylin_v11", ["-mlasx"], ["XC-FLAG-003"]),
        ("liteos_m", ["-pie", "-ldl", "-pthread", "-O2"], ["XC-FLAG-001", "XC-FLAG-001", "XC-FLAG-001"]),
        ("musl", ["-lresolv", "-pthread", "-ldl"], ["XC-FLAG-001"]),
        ("glibc", ["-lresolv", "-pthread"], []),
    ],
)
def test_flags(platform: str, flags: list[str], codes: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flags", platform, "--", *flags]) == (1 if codes else 0)
    out = capsys.readouterr().out
    assert [line.split()[1] for line in out.splitlines() if line.startswith("certain")] == codes


def test_flags_without_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flags", "kunpeng"]) == 2
    assert "no flags" in capsys.readouterr().err


def test_a_name_of_several_systems_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "/bin/true", "--platform=kunpeng920-kylin_v10"]) == 2
    err = capsys.readouterr().err
    assert all(word in err for word in ("glibc 2.23", "glibc 2.28", "glibc 2.31", "kylin_desktop_v10_sp1"))


def test_a_malformed_catalogue_is_told(tmp_path: Path) -> None:
    from pytest_xinchuang.core.errors import DataFileError

    path = tmp_path / "findings.yaml"
    text = (resources.conformance_dir() / "findings.yaml").read_text()
    path.write_text(text.replace("code: XC-ELF-002", "code: XC-ELF-001", 1))
    with pytest.raises(DataFileError, match="given twice"):
        FindingCatalogue(path)
    path.write_text(text)
    with pytest.raises(DataFileError, match=f"{path}:.* XC-ELF-001 is given twice"):
        FindingCatalogue(*resources.finding_files(), path)
    path.write_text(text.replace("code: XC-ELF-002", "code: ELF2", 1))
    with pytest.raises(DataFileError, match="pattern"):
        FindingCatalogue(path)


@pytest.mark.parametrize(("name", "language"), [("porting.md", "en"), ("porting.zh-CN.md", "zh")])
def test_the_document_of_failures_is_the_catalogues(
    name: str, language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Mend: xc explain --porting --language LANGUAGE > docs/NAME."""
    path = Path(__file__).parents[2] / "docs" / name
    assert main(["explain", "--porting", "--language", language]) == 0
    assert capsys.readouterr().out == path.read_text(encoding="utf-8")
