"""Each way to tamper with what a module is built from is caught under its own code, and a good module has no finding."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sarif_pydantic import Sarif

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.errors import DataFileError, XcError
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.packages.supply_chain.golang.chain import Options
from pytest_xinchuang.packages.supply_chain.golang.check import SupplyChain
from pytest_xinchuang.packages.supply_chain.golang.proxy import Proxies
from pytest_xinchuang.packages.supply_chain.lists import Advisories, AllowList, load_allow_list
from pytest_xinchuang.packages.supply_chain.mirror import serve
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools.go import GoCommand
from tests.packages.supply_chain.notary import Notary
from tests.packages.supply_chain.published import LIB, publish

NOTARY = Notary()


def check(
    subject: Path, proxy: Path | None, *, offline: bool = True, sumdb: Path | None = None, **options: object
) -> list[Finding]:
    """The findings, with a checksum database that vouches for what the proxy has unless another one is given."""
    proxies = Proxies(Cache(), [str(proxy)] if proxy else [], offline=offline)
    if proxy is not None or sumdb is not None:
        place = sumdb or NOTARY.of_proxy(proxy or subject, subject.parent / "sumdb")
        options = {"vouching": NOTARY.vouching(proxies, place), **options}
    return SupplyChain(subject, proxies, Options(**options)).run()  # type: ignore[arg-type]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def swap_hash(subject: Path, of: str, like: str) -> None:
    """Give one line of go.sum the hash of another."""
    lines = (subject / "go.sum").read_text().splitlines()
    taken = next(line for line in lines if line.startswith(like)).split()[2]
    lines = [f"{line.rsplit(' ', 1)[0]} {taken}" if line.startswith(of) else line for line in lines]
    (subject / "go.sum").write_text("\n".join(lines) + "\n")


def add_sum(subject: Path, line: str) -> None:
    append(subject / "go.sum", line + "\n")


def one_byte(subject: Path) -> None:
    path = subject / "vendor/example.org/lib/lib.go"
    path.write_bytes(path.read_bytes().replace(b"used", b"useD"))


def extra_directory(subject: Path) -> None:
    place = subject / "vendor/example.org/lib2"
    place.mkdir()
    (place / "x.go").write_text("package lib2\n")


def link(subject: Path) -> None:
    path = subject / "vendor/example.org/base/base.go"
    path.unlink()
    path.symlink_to("/etc/hostname")


def link_away(subject: Path, name: str) -> None:
    """What is there is moved, edited, and linked to."""
    away = subject.parent / "away"
    (subject / name).rename(away)
    (subject / name).symlink_to(away)
    for path in away.rglob("lib.go"):
        path.write_bytes(path.read_bytes().replace(b"used", b"useD"))


ZERO = "h1:" + "A" * 43 + "="
TAMPERINGS: dict[str, tuple[Callable[[Path], object], dict[str, str]]] = {
    "one byte of a vendored file": (one_byte, {"XC-SUP-040": "vendor/example.org/lib/lib.go"}),
    "an extra file in a vendored package": (
        lambda s: (s / "vendor/example.org/lib/more.go").write_text("package lib\n"),
        {"XC-SUP-041": "vendor/example.org/lib/more.go"},
    ),
    "an extra file below a vendored package": (
        lambda s: (
            (s / "vendor/example.org/lib/data").mkdir(),
            (s / "vendor/example.org/lib/data/x.bin").write_text("x"),
        ),
        {"XC-SUP-041": "vendor/example.org/lib/data/x.bin"},
    ),
    "a vendored file that became a link": (link, {"XC-SUP-041": "vendor/example.org/base/base.go"}),
    "a vendored package that became a link": (
        lambda s: link_away(s, "vendor/example.org/lib"),
        {"XC-SUP-041": "vendor/example.org/lib"},
    ),
    "all of a host that became a link": (
        lambda s: link_away(s, "vendor/example.org"),
        {"XC-SUP-041": "vendor/example.org"},
    ),
    "an extra vendored directory": (extra_directory, {"XC-SUP-042": "vendor/example.org/lib2"}),
    "a vendored file for another architecture goes": (
        lambda s: (s / "vendor/example.org/lib/lib_arm64.go").unlink(),
        {"XC-SUP-043": "vendor/example.org/lib/lib_arm64.go"},
    ),
    "a forged hash": (
        lambda s: swap_hash(s, "example.org/lib v1.2.0 ", "example.org/base v1.0.0 "),
        {"XC-SUP-005": "go.sum:3"},
    ),
    "a forged hash of a go.mod": (
        lambda s: swap_hash(s, "example.org/base v1.0.0/go.mod", "example.org/lib v1.2.0/go.mod"),
        {"XC-SUP-005": "go.sum:2"},
    ),
    "a line without a hash": (lambda s: add_sum(s, "example.org/lib v1.2.0"), {"XC-SUP-004": "go.sum:5"}),
    "a line with a hash of another kind": (
        lambda s: add_sum(s, "example.org/lib v1.2.0 h2:abc"),
        {"XC-SUP-004": "go.sum:5"},
    ),
    "a line with a hash that is too short": (
        lambda s: add_sum(s, "example.org/lib v1.2.0 h1:AAAA"),
        {"XC-SUP-004": "go.sum:5"},
    ),
    "a line of a version that nobody published": (
        lambda s: add_sum(s, f"example.org/lib v9.9.9/go.mod {ZERO}"),
        {"XC-SUP-007": "go.sum:5"},
    ),
    "a second hash": (
        lambda s: add_sum(s, f"example.org/lib v1.2.0 {ZERO}"),
        {"XC-SUP-003": "go.sum:5", "XC-SUP-005": "go.sum:5"},
    ),
    "no go.sum": (lambda s: (s / "go.sum").unlink(), {"XC-SUP-001": "go.sum"}),
    "a line is missing": (
        lambda s: edit(s / "go.sum", (s / "go.sum").read_text().splitlines()[1] + "\n", ""),
        {"XC-SUP-002": "go.mod:7"},
    ),
    "another version in modules.txt": (
        lambda s: edit(s / "vendor/modules.txt", "# example.org/base v1.0.0", "# example.org/base v1.0.1"),
        {"XC-SUP-006": "vendor/modules.txt:1", "XC-SUP-044": "vendor/example.org/base"},
    ),
    "a module in modules.txt that nobody requires": (
        lambda s: append(s / "vendor/modules.txt", "# example.org/other v1.0.0\n"),
        {"XC-SUP-006": "vendor/modules.txt:7"},
    ),
    "no modules.txt": (
        lambda s: (s / "vendor/modules.txt").unlink(),
        {"XC-SUP-006": "vendor/modules.txt", "XC-SUP-042": "vendor/example.org/base"},
    ),
    "an old go directive": (lambda s: edit(s / "go.mod", "go 1.22", "go 1.21"), {"XC-SUP-010": "go.mod:3"}),
    "a branch": (lambda s: edit(s / "go.mod", "lib v1.2.0", "lib main"), {"XC-SUP-012": "go.mod:5"}),
    "a major version without its path": (
        lambda s: edit(s / "go.mod", "lib v1.2.0", "lib v2.0.0"),
        {"XC-SUP-015": "go.mod:5"},
    ),
    "a go.mod that is none": (lambda s: (s / "go.mod").write_text("modul x\n"), {"XC-SUP-009": "go.mod:1"}),
    "a workspace": (lambda s: (s / "go.work").write_text("go 1.22\n\nuse .\n"), {"XC-SUP-023": "go.work"}),
    "a local replace": (
        lambda s: append(s / "go.mod", "\nreplace example.org/lib => ../lib\n"),
        {"XC-SUP-020": "go.mod:5", "XC-SUP-006": "vendor/modules.txt"},
    ),
}


def test_a_good_module_has_no_finding(subject: Path, proxy: Path) -> None:
    proxies = Proxies(Cache(), [str(proxy)], offline=True)
    place = NOTARY.of_proxy(proxy, subject.parent / "sumdb")
    chain = SupplyChain(subject, proxies, Options(vouching=NOTARY.vouching(proxies, place)))
    assert chain.run() == []
    assert chain.checked_lines == 4
    assert chain.vouched == 2
    assert chain.checked_files == 4  # lib.go, lib_arm64.go, base.go, LICENSE; what no build can use is not vendored


@pytest.mark.parametrize("name", TAMPERINGS)
def test_what_was_tampered_with_is_named(subject: Path, proxy: Path, name: str) -> None:
    tamper, expected = TAMPERINGS[name]
    tamper(subject)
    found = check(subject, proxy)
    assert {f.code for f in found} == set(expected)
    for code, place in expected.items():
        assert place in [f.object for f in found if f.code == code]


@pytest.mark.parametrize(
    ("module", "certainty"),
    [
        ("example.org/lib v9.9.9", Certainty.CERTAIN),
        ("example.org/lib v1.1.0", Certainty.NOTE),
        ("example.org/elsewhere v1.0.0", Certainty.NOTE),
        ("../x v1.0.0", Certainty.CERTAIN),
    ],
)
def test_a_mirror_need_not_have_what_nothing_is_built_from(
    module: str, certainty: Certainty, subject: Path, proxy: Path
) -> None:
    """The lines of go.sum are of the whole graph of requirements, in which no version is above the one that is selected."""
    add_sum(subject, f"{module}/go.mod {ZERO}")
    (found,) = check(subject, proxy)
    assert (found.code, found.object, found.certainty) == ("XC-SUP-007", "go.sum:5", certainty)


def test_an_edit_together_with_a_forged_line_is_caught(subject: Path, proxy: Path) -> None:
    """Whoever edits a file can edit go.sum too; what was published he cannot."""
    one_byte(subject)
    swap_hash(subject, "example.org/lib v1.2.0 ", "example.org/base v1.0.0 ")
    assert {f.code for f in check(subject, proxy)} == {"XC-SUP-005", "XC-SUP-040"}


def test_what_cannot_be_fetched_is_undecided(subject: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(subject, None)  # offline, and the modules exist nowhere else
    assert {f.code for f in found} == {"XC-SUP-008", "XC-SUP-044"}
    assert {f.certainty for f in found} == {Certainty.UNDECIDED}


def test_a_proxy_that_serves_another_zip_is_caught_by_go_sum(subject: Path, proxy: Path) -> None:
    publish(proxy, "example.org/lib", "v1.2.0", {**LIB, "lib.go": LIB["lib.go"] + "// more\n"})
    assert {f.code for f in check(subject, proxy)} == {"XC-SUP-005", "XC-SUP-040"}


def test_a_broken_zip_is_ours_to_tell_and_decides_nothing(subject: Path, proxy: Path, tmp_path: Path) -> None:
    sumdb = NOTARY.of_proxy(proxy, tmp_path / "sumdb")
    (proxy / "example.org/lib/@v/v1.2.0.zip").write_bytes(b"PK\x03\x04 broken")
    found = check(subject, proxy, sumdb=sumdb)
    assert {f.certainty for f in found} == {Certainty.UNDECIDED}


def test_versions_replaces_and_the_platforms_go(subject: Path, proxy: Path) -> None:
    publish(proxy, "example.org/fork", "v1.2.1-rc.1", {**LIB, "go.mod": "module example.org/lib\n\ngo 1.22\n"})
    append(subject / "go.mod", "\nreplace example.org/lib => example.org/fork v1.2.1-rc.1\n")
    found = {f.code for f in check(subject, proxy, platform_go="1.21")}
    assert {"XC-SUP-011", "XC-SUP-014", "XC-SUP-021"} <= found
    allowed = AllowList.model_validate({"schema": "xc-allow-list/1", "modules": [{"module": "example.org/*"}]})
    assert "XC-SUP-021" not in {f.code for f in check(subject, proxy, allow_list=allowed)}


def test_a_replace_of_a_requirement_does_not_reach(subject: Path, proxy: Path) -> None:
    patched = LIB["go.mod"] + "\nreplace example.org/base => example.org/patched v1.0.1\n"
    publish(proxy, "example.org/lib", "v1.2.0", {**LIB, "go.mod": patched})
    (one,) = [f for f in check(subject, proxy) if f.code == "XC-SUP-022"]
    assert (one.params["old"], one.params["new"]) == ("example.org/base", "example.org/patched@v1.0.1")


class TestAllowList:
    TODAY = datetime.date(2026, 6, 1)

    def of(self, *modules: dict[str, str]) -> AllowList:
        return AllowList.model_validate({"schema": "xc-allow-list/1", "modules": modules})

    def codes(self, subject: Path, proxy: Path, *modules: dict[str, str]) -> set[str]:
        return {f.code for f in check(subject, proxy, allow_list=self.of(*modules), today=self.TODAY)}

    def test_each_way_not_to_be_allowed(self, subject: Path, proxy: Path) -> None:
        base = {"module": "example.org/base"}
        lib = {
            "module": "example.org/lib",
            "versions": ">=v1.0.0, <v2.0.0",
            "certificate": "XC-1",
            "expires": "2026-12-31",
        }
        assert self.codes(subject, proxy, base, lib) == set()
        assert self.codes(subject, proxy, base) == {"XC-SUP-030"}
        assert self.codes(subject, proxy, base, {**lib, "versions": ">=v1.3.0"}) == {"XC-SUP-031"}
        assert self.codes(subject, proxy, base, {**lib, "expires": "2026-05-31"}) == {"XC-SUP-032"}
        assert self.codes(subject, proxy, base, {**lib, "expires": "2026-06-01"}) == set()

    @pytest.mark.parametrize(
        ("text", "version", "good"),
        [
            (">=v1.2.0", "v1.2.0", True),
            (">v1.2.0", "v1.2.0", False),
            ("<v1.2.0", "v1.2.0-rc.1", True),
            (">=v1.2.0-rc.2", "v1.2.0-rc.10", True),
            ("!=v1.2.0", "v1.2.0", False),
            ("v1.2.0", "v1.2.0", True),
            (">=v1.2.0, <v1.10.0", "v1.9.0", True),
            ("", "v0.0.1", True),
        ],
    )
    def test_ranges(self, text: str, version: str, good: bool) -> None:
        assert self.of({"module": "m", "versions": text}).modules[0].covers(version) is good

    def test_a_malformed_list_names_its_place(self, tmp_path: Path) -> None:
        path = tmp_path / "allow.yaml"
        path.write_text("schema: xc-allow-list/1\nmodules:\n  - {module: x, versions: latest}\n")
        with pytest.raises(DataFileError, match=r"allow\.yaml:3.*expected a comparison"):
            load_allow_list(path)

    def test_a_pattern_that_would_take_hours_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "allow.yaml"
        path.write_text(f"schema: xc-allow-list/1\nmodules:\n  - {{module: '{'[' * 20_000}'}}\n")
        with pytest.raises(DataFileError, match=r"allow\.yaml:3.*1000"):
            load_allow_list(path)
        path.write_text(f"schema: xc-allow-list/1\nmodules:\n  - {{module: '{'[' * 1_000}'}}\n")
        assert load_allow_list(path).of("m") == []


class TestAdvisories:
    def write(self, path: Path, **entry: object) -> Advisories:
        path.write_text(json.dumps({"id": "GO-1", "summary": "bad", **entry}))
        return Advisories(path)

    @pytest.mark.parametrize(
        ("events", "hit"),
        [
            ([{"introduced": "0"}], True),
            ([{"introduced": "0"}, {"fixed": "1.2.0"}], False),
            ([{"introduced": "0"}, {"fixed": "1.2.1"}], True),
            ([{"introduced": "1.3.0"}], False),
            ([{"introduced": "0"}, {"fixed": "1.0.0"}, {"introduced": "1.1.0"}], True),
            ([{"introduced": "0"}, {"last_affected": "1.2.0"}], True),
            ([{"introduced": "0"}, {"last_affected": "1.1.9"}], False),
        ],
    )
    def test_ranges(self, subject: Path, proxy: Path, tmp_path: Path, events: list[dict[str, str]], hit: bool) -> None:
        affected = [
            {
                "package": {"ecosystem": "Go", "name": "example.org/lib"},
                "ranges": [{"type": "SEMVER", "events": events}],
            }
        ]
        advisories = self.write(tmp_path / "a.json", affected=affected)
        assert [f.code for f in check(subject, proxy, advisories=advisories)] == ["XC-SUP-033"] * hit

    def test_a_withdrawn_one_and_another_ecosystem(self, subject: Path, proxy: Path, tmp_path: Path) -> None:
        affected = [{"package": {"ecosystem": "npm", "name": "example.org/lib"}, "versions": ["1.2.0"]}]
        assert check(subject, proxy, advisories=self.write(tmp_path / "a.json", affected=affected)) == []
        affected[0]["package"]["ecosystem"] = "Go"  # type: ignore[index]
        withdrawn = self.write(tmp_path / "b.json", affected=affected, withdrawn="2026-01-01T00:00:00Z")
        assert check(subject, proxy, advisories=withdrawn) == []
        assert [
            f.code for f in check(subject, proxy, advisories=self.write(tmp_path / "c.json", affected=affected))
        ] == ["XC-SUP-033"]

    def test_what_is_no_advisory(self, tmp_path: Path) -> None:
        (tmp_path / "x.json").write_text("[1]")
        with pytest.raises(DataFileError, match="no id"):
            Advisories(tmp_path / "x.json")


@pytest.mark.tools
def test_a_directory_without_go_mod(tmp_path: Path) -> None:
    with pytest.raises(XcError, match=r"no go\.mod"):
        check(tmp_path, None)


def test_the_command_and_its_exit_codes(
    subject: Path, proxy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--proxy", str(proxy), "--offline"]
    assert main(["supply-chain", str(subject), *words]) == 3  # check is what is meant
    assert "consistent with the cache" in capsys.readouterr().out
    words += ["--sumdb", str(NOTARY.of_proxy(proxy, tmp_path / "sumdb")), "--sumdb-key", NOTARY.key]
    assert main(["supply-chain", str(subject), *words]) == 0
    assert "4 vendored files compared" in capsys.readouterr().out
    assert main(["supply-chain", "check", str(subject), "--offline"]) == 3
    one_byte(subject)
    for language, text in (("en", "A vendored file was edited"), ("zh", "vendor 中的源码被改动")):
        assert main(["supply-chain", "check", str(subject), *words, "--language", language]) == 1
        assert text in capsys.readouterr().out
    assert main(["supply-chain", "check", str(subject), *words, "--format", "sarif"]) == 1
    sarif = Sarif.model_validate_json(capsys.readouterr().out)
    assert sarif.runs[0].results and sarif.runs[0].results[0].rule_id == "XC-SUP-040"
    assert main(["supply-chain", "check", str(tmp_path / "none"), *words]) == 2


def test_what_a_proxy_does_not_have_may_still_be_in_a_repository(
    subject: Path, proxy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_sum(subject, f"example.org/own v1.0.0/go.mod {ZERO}")
    with serve(proxy, lambda _: None) as url:
        for value, code in ((url, "XC-SUP-007"), (f"{url},direct", "XC-SUP-008")):
            monkeypatch.setattr(GoCommand, "settings", {**GoCommand().settings, "GOPROXY": value})
            found = check(subject, None, offline=False, sumdb=NOTARY.of_proxy(proxy, subject.parent / "sumdb"))
            assert [f.code for f in found] == [code]
