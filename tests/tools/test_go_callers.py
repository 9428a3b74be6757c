"""Whoever calls the go command: a missing network, proxy or tool chain is never the subject's failure; offline nobody dials."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.errors import BuildFailed, HostFault, ToolchainFault
from pytest_xinchuang.core.needs import InOrder
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Cause, Decision, Verdict
from pytest_xinchuang.gotest.engine import GoTestEngine
from pytest_xinchuang.gotest.module import ModuleTree
from pytest_xinchuang.gotest.result import TestVerdict
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.packages.sdk_ast.engine import SdkEngine
from pytest_xinchuang.packages.supply_chain.asked import ASKED, OF_IMAGES
from pytest_xinchuang.packages.supply_chain.engine import SupplyChainEngine, Trust
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder, Target
from pytest_xinchuang.tools.gomod import ModuleVersion
from tests.tools.dialing import Listener

DEAD = "http://127.0.0.1:9"
LATER = "module example.com/m\n\ngo 1.99\n"
LATER_TOOL = "module example.com/m\n\ngo 1.22\n\ntoolchain go1.99.0\n"
NEEDS = "module example.com/m\n\ngo 1.22\n\nrequire example.com/other v1.2.3\n"
PLAIN = "module example.com/m\n\ngo 1.22\n"

CODE = "package m\n\n// F is there.\nfunc F() {}\n"
USES = CODE + '\nimport _ "example.com/other"\n'


def module(place: Path, go_mod: str, code: str = CODE) -> Path:
    place.mkdir(parents=True)
    (place / "go.mod").write_text(go_mod)
    (place / "m.go").write_text(code.replace(CODE + "\nimport", "package m\n\nimport"))
    return place


def subject(place: Path, go_mod: str, code: str = CODE, **chain: str) -> Path:
    module(place / "sdk", go_mod, code)
    manifest = {
        "schema": "xc-subject/1",
        "name": "m",
        "version": "1.0.0",
        "sdk": {"language": "go", "path": "sdk", "go": "1.26"},
        "supply_chain": {"path": "sdk", **chain},
    }
    (place / "xinchuang.yaml").write_text(yaml.safe_dump(manifest))
    return place


def decide(place: Path, platforms: Platforms, catalogue: Catalogue, *ids: str, offline: bool) -> list[Decision]:
    loaded = load_subject(place)
    sdk = SdkEngine(platforms.get("kunpeng"), loaded, catalogue, Cache(), offline=offline)
    chain = SupplyChainEngine(loaded, catalogue, Cache(), Trust(), offline=offline)
    try:
        return [(sdk if "SDK" in one else chain).decision(one) for one in ids]
    finally:
        sdk.close()


# -- `xc supply-chain check`


@pytest.mark.tools
@pytest.mark.parametrize("go_mod", [LATER, LATER_TOOL], ids=["go", "toolchain"])
@pytest.mark.parametrize("words", [["--offline"], [], ["--no-lint"]], ids=["offline", "online", "no lint"])
def test_a_check_fetches_no_tool_chain(
    go_mod: str,
    words: list[str],
    tmp_path: Path,
    listener: Listener,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(module(tmp_path / "m", go_mod))
    assert main(["supply-chain", "check", ".", *words]) == 0
    assert "XC-SUP-009" not in capsys.readouterr().out
    assert not listener.asked


@pytest.mark.tools
def test_a_dead_proxy_is_no_line_of_go_mod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platforms: Platforms, catalogue: Catalogue
) -> None:
    """Its port, 9, was taken for one of a file of three lines."""
    monkeypatch.setenv("GOPROXY", DEAD)
    monkeypatch.setenv("GOTOOLCHAIN", "auto")
    monkeypatch.chdir(tmp_path)
    for offline in (True, False):
        (found,) = decide(
            subject(tmp_path / str(offline), LATER), platforms, catalogue, "XC-CHAIN-001", offline=offline
        )
        assert found.verdict is Verdict.PASS, found.reason


@pytest.mark.tools
def test_a_malformed_go_mod_fails_by_its_true_line(
    tmp_path: Path, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    place = module(tmp_path / "m", PLAIN + "\nnonsense 127.0.0.1:9: x\n")
    assert main(["supply-chain", "check", str(place), "--offline", "--no-lint"]) == 1
    out = capsys.readouterr().out
    assert "go.mod:5" in out and "unknown directive" in out and "go.mod:9" not in out
    assert not listener.asked


@pytest.mark.tools
@pytest.mark.parametrize(
    "line",
    ["nonsense", "require example.com/a 1.2.3", "require example.com/a v2.0.0"],
    ids=["syntax", "version", "major"],
)
def test_a_go_mod_that_is_refused_is_not_readable_and_nothing_else_is_tested(
    line: str, tmp_path: Path, platforms: Platforms, catalogue: Catalogue
) -> None:
    place = subject(tmp_path / "s", f"{PLAIN}{line}\n", sbom="sbom.json")
    (place / "sbom.json").write_text('{"components": [{"name": "example.com/b", "version": "v1.0.0"}]}')
    others = {"XC-CHAIN-024", "XC-CHAIN-030", *ASKED, *OF_IMAGES}
    ids = [r.id for r in catalogue.of(frozenset({"supply_chain"})) if r.id not in others]
    found = dict(zip(ids, decide(place, platforms, catalogue, *ids, offline=True), strict=True))
    readable = found.pop("XC-CHAIN-001")
    assert (readable.verdict, readable.cause) == (Verdict.FAIL, Cause.SUBJECT) and "go.mod:4" in readable.reason
    assert readable.mend and "tidy" not in readable.mend, "go mod tidy refuses it too"
    assert {d.verdict for d in found.values()} == {Verdict.INCONCLUSIVE} and not [
        d for d in found.values() if d.cause is Cause.BLOCKED
    ], "what blocks what is said by the catalogue"
    engine = SupplyChainEngine(load_subject(place), catalogue, Cache(), Trust(), offline=True)
    order = InOrder(catalogue, engine.decision)
    run = {one: order.decision(one) for one in found}
    assert {(d.verdict, d.cause) for d in run.values()} == {(Verdict.NOT_TESTED, Cause.BLOCKED)}, run
    assert {d.mend for d in run.values()} == {readable.mend}


@pytest.mark.tools
def test_a_check_offline_asks_nobody(
    tmp_path: Path, listener: Listener, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOPRIVATE", "corp.example/*")
    place = module(tmp_path / "m", NEEDS + "require corp.example/own v1.0.0\n", USES)
    zero = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    lines = [
        f"{m}{kind} {zero}\n"
        for m in ("example.com/other v1.2.3", "corp.example/own v1.0.0")
        for kind in ("", "/go.mod")
    ]
    (place / "go.sum").write_text("".join(lines))
    assert main(["supply-chain", "check", str(place), "--offline", "--notes"]) == 3
    assert not listener.asked
    assert main(["supply-chain", "check", str(place), "--no-lint"]) == 3  # a proxy that is out of order
    assert listener.asked


def test_a_mirror_behind_a_url_is_not_asked_offline(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, listener: Listener
) -> None:
    from pytest_xinchuang.packages.supply_chain.sm2sign import new_key

    (tmp_path / "key.pub").write_text(new_key()[1])
    loaded = load_subject(subject(tmp_path / "s", PLAIN, mirror="http://mirror.invalid/x"))
    trust = Trust(mirror_key=tmp_path / "key.pub")
    chain = SupplyChainEngine(loaded, catalogue, Cache(), trust, offline=True)
    found = chain.decision("XC-CHAIN-031")
    assert (found.verdict, found.cause) == (Verdict.INCONCLUSIVE, Cause.HOST)
    assert "nothing may be fetched" in found.reason
    assert not listener.asked


# -- building and vetting an SDK


@pytest.mark.tools
@pytest.mark.parametrize("offline", [True, False])
def test_an_sdk_for_a_later_go_is_undecided(
    offline: bool, tmp_path: Path, platforms: Platforms, catalogue: Catalogue, listener: Listener
) -> None:
    place = subject(tmp_path / "s", LATER)
    builds, vets, go = decide(place, platforms, catalogue, "XC-SDK-001", "XC-SDK-002", "XC-SDK-003", offline=offline)
    for found in (builds, vets):
        assert (found.verdict, found.cause) == (Verdict.INCONCLUSIVE, Cause.HOST), found.reason
        assert "Go 1.99" in found.reason and "1.99" in found.mend
    # The users' Go is older than what go.mod asks: that is written down, and no host has a part in it.
    assert (go.verdict, go.cause) == (Verdict.FAIL, Cause.SUBJECT)
    assert not listener.asked


@pytest.mark.tools
def test_an_sdk_whose_modules_cannot_be_had_is_undecided(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    place = subject(tmp_path / "s", NEEDS, USES)
    (place / "sdk/go.sum").write_text(
        "".join(
            f"example.com/other v1.2.3{kind} h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
            for kind in ("", "/go.mod")
        )
    )
    for offline in (True, False):
        for found in decide(place, platforms, catalogue, "XC-SDK-001", "XC-SDK-002", offline=offline):
            assert (found.verdict, found.cause) == (Verdict.INCONCLUSIVE, Cause.HOST), found.reason
        assert bool(listener.asked) is not offline
    monkeypatch.setenv("GOPROXY", DEAD)
    (found,) = decide(place, platforms, catalogue, "XC-SDK-001", offline=False)
    assert (found.verdict, found.cause) == (Verdict.INCONCLUSIVE, Cause.HOST)


@pytest.mark.tools
def test_an_sdk_that_does_not_compile_fails_all_the_same(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOPROXY", DEAD)
    bad = "package m\n\nvar X int = `dial tcp 127.0.0.1:9: connect: connection refused`\n"
    for found in decide(
        subject(tmp_path / "s", PLAIN, bad), platforms, catalogue, "XC-SDK-001", "XC-SDK-002", offline=False
    ):
        assert (found.verdict, found.cause) == (Verdict.FAIL, Cause.SUBJECT)
    (found,) = decide(
        subject(tmp_path / "t", "module example.com/m\n\ngo nonsense\n"),
        platforms,
        catalogue,
        "XC-SDK-001",
        offline=True,
    )
    assert (found.verdict, found.cause) == (Verdict.FAIL, Cause.SUBJECT)


@pytest.mark.tools
def test_a_package_of_another_architecture_alone_is_no_failure(
    tmp_path: Path, platforms: Platforms, catalogue: Catalogue
) -> None:
    place = subject(tmp_path / "s", PLAIN, "//go:build amd64\n\npackage m\n")
    for found in decide(place, platforms, catalogue, "XC-SDK-001", "XC-SDK-002", offline=True):
        assert (found.verdict, found.cause) == (Verdict.INCONCLUSIVE, Cause.SUBJECT)
        assert "no package for arm64" in found.reason


# -- a unit that is built for a sandbox


@pytest.mark.tools
def test_a_unit_for_a_later_go_does_not_fail_to_build(tmp_path: Path, platforms: Platforms, listener: Listener) -> None:
    target = Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], "2.28")
    main_go = "package main\n\nfunc main() {}\n"
    with pytest.raises(ToolchainFault, match=r"Go 1\.99 is asked for"):
        Builder(Cache()).go(target, module(tmp_path / "later", LATER, main_go))
    with pytest.raises(BuildFailed, match="undefined: x"):
        Builder(Cache()).go(target, module(tmp_path / "bad", PLAIN, "package main\n\nfunc main() { x() }\n"))
    with pytest.raises(BuildFailed, match=r"go\.mod:3"):
        Builder(Cache()).go(target, module(tmp_path / "malformed", "module example.com/m\n\ngo x\n", main_go))
    assert not listener.asked


# -- `xc api`, `xc go-test`


@pytest.mark.tools
def test_an_api_diff_offline_asks_nobody(
    tmp_path: Path, listener: Listener, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = module(tmp_path / "old", LATER)
    new = module(tmp_path / "new", NEEDS, USES + "\nfunc G() {}\n")
    monkeypatch.chdir(old)
    main(["api", "diff", str(old), str(new), "--offline"])
    assert main(["api", "diff", "example.com/never@v1.0.0", str(new), "--offline"]) == 2
    assert "example.com/never@v1.0.0 cannot be had" in capsys.readouterr().err
    assert not listener.asked
    assert main(["api", "diff", "example.com/never@v1.0.0", str(new)]) == 2
    assert "could not be fetched" in capsys.readouterr().err
    assert listener.asked


@pytest.mark.tools
def test_a_go_test_offline_asks_nobody(
    listener: Listener, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(module(tmp_path / "here", LATER))
    assert main(["go-test", "example.com/never@v1.0.0", "--platform=phytium", "--offline"]) == 2
    assert "not in the module cache" in capsys.readouterr().out
    assert not listener.asked


def test_a_test_program_that_the_host_cannot_build_is_not_judged(
    platforms: Platforms, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pytest_xinchuang.gotest.module import Package

    def lacking(*_: object, **__: object) -> Path:
        raise HostFault(verbatim("a module could not be fetched: dial tcp"))

    monkeypatch.setattr(ModuleTree, "__init__", lambda self, *_, **__: None)
    monkeypatch.setattr(ModuleTree, "version", ModuleVersion("example.com/m", "v1.0.0"), raising=False)
    monkeypatch.setattr(ModuleTree, "packages", lambda *_: [Package("example.com/m", "")])
    monkeypatch.setattr(ModuleTree, "go", type("Go", (), {"version": "go version x"}), raising=False)
    monkeypatch.setattr(ModuleTree, "test_binary", lacking)
    engine = GoTestEngine(platforms.get("phytium"), pool)
    (package,) = engine.run(ModuleVersion("example.com/m", "v1.0.0")).packages
    assert (package.verdict, package.reason) == (TestVerdict.NOT_JUDGED, "a module could not be fetched: dial tcp")


@pytest.mark.tools
def test_results_of_json_are_not_taken_for_errors(tmp_path: Path, listener: Listener) -> None:
    """`go mod download -json` tells its error in its output, and exits with 1."""
    with pytest.raises(HostFault, match=r"^go mod download -json: a module could not be fetched"):
        ModuleTree(Cache(tmp_path / "cache"), ModuleVersion("example.com/never", "v1.0.0"))
    assert json.dumps(str(listener.asked[0])).find("never") > 0
