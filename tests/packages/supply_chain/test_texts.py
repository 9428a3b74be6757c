"""What is told of supply chains exists in both languages: findings with their details, errors, every form of a report."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Finding, load_findings
from pytest_xinchuang.packages.supply_chain.golang.chain import Options
from pytest_xinchuang.packages.supply_chain.golang.check import SupplyChain
from pytest_xinchuang.packages.supply_chain.golang.gofiles import read_go_sum, read_modules_txt
from pytest_xinchuang.packages.supply_chain.golang.hashes import digests_of_zip
from pytest_xinchuang.packages.supply_chain.golang.lints import lint
from pytest_xinchuang.packages.supply_chain.golang.proxy import Proxies
from pytest_xinchuang.packages.supply_chain.lists import Advisories
from pytest_xinchuang.packages.supply_chain.mirror import SIGNATURE, check_mirror, write_manifest
from pytest_xinchuang.packages.supply_chain.report import SupplyResult, as_sarif, as_text
from pytest_xinchuang.packages.supply_chain.sm2sign import new_key, private_key, public_key
from pytest_xinchuang.provision.cache import Cache
from tests.messages.english import english_in
from tests.packages.sdk_ast.trees import tree
from tests.packages.supply_chain.golang.test_check import TAMPERINGS

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def check(subject: Path, places: list[str]) -> list[Finding]:
    return SupplyChain(subject, Proxies(Cache(), places, offline=True), Options()).run()


def told(findings: list[Finding]) -> list[str]:
    catalogue = load_findings()
    return [text.render("zh") for f in findings for text in (catalogue.text(f), catalogue.mend(f))]


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampering_is_told_in_chinese(name: str, subject: Path, proxy: Path) -> None:
    TAMPERINGS[name][0](subject)
    chain = SupplyChain(subject, Proxies(Cache(), [str(proxy)], offline=True), Options())
    texts = told(chain.run())
    assert texts
    # What the go command says of a go.mod that it refuses are its own words.
    assert not [text for text in texts if not chain.refused and english_in(text)]


def test_what_cannot_be_fetched_is_told_in_chinese(subject: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for places in ([], [str(tmp_path / "empty")], ["https://proxy.invalid"]):
        texts = told(check(subject, places))
        assert texts and not [text for text in texts if english_in(text)]


@pytest.mark.parametrize(
    ("line", "english", "chinese"),
    [
        ("# x", "line 1: not a module: '# x'", "第 1 行：不是模块：'# x'"),
        ("x", "line 1: a package before the first module: 'x'", "第 1 行：第一个模块之前出现了包：'x'"),
    ],
)
def test_a_line_of_modules_txt_is_named(line: str, english: str, chinese: str, subject: Path, proxy: Path) -> None:
    (subject / "vendor/modules.txt").write_text(f"{line}\n")
    finding = next(f for f in check(subject, [str(proxy)]) if f.code == "XC-SUP-006")
    text = load_findings().text(finding)
    assert text == f"vendor/modules.txt: {english}"
    assert text.render("zh") == f"vendor/modules.txt：{chinese}"
    with pytest.raises(XcError, match=re.escape(f"modules.txt:1: {english.partition(': ')[2]}")):
        read_modules_txt(subject / "vendor/modules.txt")


def test_a_line_of_go_sum_is_told_in_both_languages(tmp_path: Path) -> None:
    path = tmp_path / "go.sum"
    path.write_text("a\na b\na b h1:AAAA\na b h2:x\n")
    lines, bad = read_go_sum(path)
    assert not lines
    assert [(number, str(why)) for number, why in bad] == [
        (1, "it has 1 field, not 3"),
        (2, "it has 2 fields, not 3"),
        (3, "h1:AAAA is no SHA-256 in base64"),
        (4, "h2:x does not begin with h1:, the only algorithm of go.sum"),
    ]
    assert not [why for _number, why in bad if english_in(why.render("zh"))]


@pytest.mark.tools
def test_uses_are_told_in_both_languages(tmp_path: Path) -> None:
    files = {
        "a.go": 'package m\n\nimport "time"\n\nvar start = time.Now()\n\nfunc f() { time.Now() }\n',
        "b.go": "package m\n\n)\n",
    }
    findings = lint(Cache(), tree(tmp_path / "m", files))
    english = [str(load_findings().text(f)) for f in findings]
    assert english[:2] == [
        "a.go:5: example.com/m (initialization) uses time.Now (called by way of example.com/m (initialization))",
        "a.go:7: example.com/m.f uses time.Now (called by way of -)",
    ]
    texts = told(findings)
    assert "a.go:5：example.com/m（初始化）用 time.Now（调用路径：example.com/m（初始化））" in texts
    assert [f.code for f in findings[2:]] == ["XC-SUP-069"]
    assert texts[4].startswith("b.go:3：语法错误：")


@pytest.fixture(scope="module")
def keys() -> tuple[str, str]:
    return new_key()


MIRRORS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda m: (m / "xc-mirror.json").unlink(), "xc-mirror.json：没有清单"),
    "no signature": (lambda m: (m / SIGNATURE).unlink(), f"{SIGNATURE}：没有签名"),
    "no form": (lambda m: (m / SIGNATURE).write_text("{}"), f"{SIGNATURE}：文件不符合 xc-mirror-signature/1 的格式"),
    "a file": (lambda m: (m / "a").write_text("b"), "a 的 sha256、sm3 不符"),
    "one more": (lambda m: (m / "b").write_text("b"), "b 不在清单"),
}


@pytest.mark.parametrize("name", MIRRORS)
def test_a_mirror_is_told_of_in_chinese(name: str, tmp_path: Path, keys: tuple[str, str]) -> None:
    edit, wanted = MIRRORS[name]
    (tmp_path / "a").write_text("a")
    write_manifest(tmp_path, private_key(keys[0]))
    edit(tmp_path)
    findings, _good = check_mirror(str(tmp_path), [public_key(keys[1])])
    texts = told(findings)
    assert texts[0].startswith(wanted)
    assert not [text for text in texts if english_in(text)]


@pytest.mark.parametrize(
    "key",
    ["no pem", "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----", "-----BEGIN X-----\nAA==\n-----END X-----"],
)
def test_a_key_that_is_none_is_told_in_chinese(key: str) -> None:
    for read in (private_key, public_key):
        with pytest.raises(XcError) as caught:
            read(key)
        text = caught.value.render("zh")
        assert CHINESE.search(text) and not english_in(text), text


def test_files_that_are_none_are_told_in_chinese(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("[{}]")
    for read in (Advisories, digests_of_zip):
        with pytest.raises(XcError) as caught:
            read(path)
        assert CHINESE.search(caught.value.render("zh"))


def test_a_report_is_chinese(subject: Path, proxy: Path) -> None:
    for name in ("one byte of a vendored file", "a second hash", "a line without a hash", "a workspace"):
        TAMPERINGS[name][0](subject)
    counts = {"modules": 1, "go.sum lines compared": 3, "vendored files compared": 2, "files verified": 1}
    result = SupplyResult("m", check(subject, [str(proxy)]), load_findings(), counts, "zh")
    text = as_text(result, notes=True)
    assert text.startswith("m：1 个模块、已比对 go.sum 3 行、已比对 vendor 文件 2 个、已核对 1 个文件\n")
    assert not english_in(text), text
    messages = [r["message"]["text"] for r in json.loads(as_sarif(result))["runs"][0]["results"]]
    assert messages and not [m for m in messages if english_in(m)]
    english = as_text(SupplyResult("m", [], load_findings(), counts))
    assert english.startswith("m: 1 module, 3 go.sum lines compared, 2 vendored files compared, 1 file verified\n")
