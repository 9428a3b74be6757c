"""Each known-bad SDK or supply chain is caught by the requirement that is named for it, and by no other."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_xinchuang.core.needs import InOrder
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Cause, Decision, Verdict
from pytest_xinchuang.messages import Message
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.packages.sdk_ast.engine import SdkEngine
from pytest_xinchuang.packages.supply_chain.asked import ASKED, OF_IMAGES
from pytest_xinchuang.packages.supply_chain.engine import SupplyChainEngine, Trust
from pytest_xinchuang.provision.cache import Cache
from tests.messages.english import english_in
from tests.mutants.sdk.subjects import MUTANTS, good, manifest

pytestmark = pytest.mark.tools

CAUGHT_BY = yaml.safe_load((Path(__file__).parent / "caught_by.yaml").read_text())
NAMES = {**CAUGHT_BY["sdk"], **CAUGHT_BY["supply_chain"]}


@pytest.fixture(scope="module")
def _good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return good(tmp_path_factory.mktemp("sdk"))


@pytest.fixture
def subject(_good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(_good, tmp_path / "subject", symlinks=True))


def trust_in(subject: Path) -> Trust:
    """What a lab would give: what was published, its lists, the key of the mirror."""
    published, allowed = subject / "published", subject / "allow.yaml"
    return Trust(
        proxies=(str(published if published.is_dir() else subject / "mirror"),),
        allow_list=allowed if allowed.exists() else None,
        advisories=subject / "advisories.json",
        mirror_key=subject / "mirror.pub",
    )


def decisions(
    subject: Path, platforms: Platforms, catalogue: Catalogue, platform: str = "kunpeng", trust: Trust | None = None
) -> dict[str, Decision]:
    found: dict[str, Decision] = {}
    loaded = load_subject(subject)
    sdk = SdkEngine(platforms.get(platform), loaded, catalogue, Cache(), offline=True)
    chain = SupplyChainEngine(loaded, catalogue, Cache(), trust or trust_in(subject), offline=True)
    order = {
        "sdk_ast": InOrder(catalogue, sdk.decision),
        "supply_chain": InOrder(catalogue, chain.decision),
    }
    try:
        for requirement in catalogue.of(frozenset(order)):
            found[requirement.id] = order[requirement.package].decision(requirement.id)
    finally:
        sdk.close()
    return found


def texts_of(found: dict[str, Decision]) -> list[tuple[str, Message]]:
    return [(i, text) for i, decision in found.items() for text in (decision.reason, decision.mend)]


@pytest.mark.parametrize("platform", ["kunpeng", "loongson", "hygon"])
def test_the_good_subject_has_no_failure(
    subject: Path, platforms: Platforms, catalogue: Catalogue, platform: str
) -> None:
    found = decisions(subject, platforms, catalogue, platform)
    verdicts = {name: decision.verdict for name, decision in found.items()}
    # A directory has no version; amd64 is what the others are compared with.
    lacking = {"XC-SDK-004", "XC-SDK-005", "XC-SDK-012", *(["XC-SDK-011"] if platform == "hygon" else [])}
    lacking |= {*ASKED, *OF_IMAGES}  # it has no packages of other ecosystems, and no images
    assert {name for name, verdict in verdicts.items() if verdict is Verdict.NOT_APPLICABLE} == lacking
    assert {v for name, v in verdicts.items() if name not in lacking} == {Verdict.PASS}, found


@pytest.mark.parametrize("name", NAMES)
def test_a_mutant_is_caught_by_name(name: str, subject: Path, platforms: Platforms, catalogue: Catalogue) -> None:
    MUTANTS[name](subject)
    platform = "loongson" if name == "users_go_does_not_know_the_architecture" else "kunpeng"
    found = decisions(subject, platforms, catalogue, platform)
    assert {i for i, d in found.items() if d.verdict is Verdict.FAIL} == set(NAMES[name])
    for identifier in NAMES[name]:
        assert found[identifier].mend
        assert found[identifier].cause is Cause.SUBJECT
    # What Go's compiler and vet say of the subject stays in their words.
    told = {d.render("zh") for i, d in texts_of(found) if i not in ("XC-SDK-001", "XC-SDK-002")}
    assert not {text: english_in(text) for text in told if english_in(text)}


def test_every_requirement_has_a_mutant(catalogue: Catalogue) -> None:
    assert set(NAMES) == set(MUTANTS)
    # Those of the ecosystems of packages are in tests/mutants/chains, those of images in tests/mutants/images.
    wanted = {r.id for r in catalogue.of(frozenset({"sdk_ast", "supply_chain"}))} - {*ASKED, *OF_IMAGES}
    assert {i for caught in NAMES.values() for i in caught} == wanted


@pytest.mark.parametrize(
    ("lacks", "identifier"),
    [
        ("allow_list", "XC-CHAIN-024"),
        ("advisories", "XC-CHAIN-030"),
        ("mirror_key", "XC-CHAIN-031"),
        ("proxies", "XC-CHAIN-020"),
        ("proxies", "XC-CHAIN-021"),
    ],
)
def test_what_nobody_vouches_for_is_no_pass(
    lacks: str, identifier: str, subject: Path, platforms: Platforms, catalogue: Catalogue
) -> None:
    without: dict[str, Any] = {lacks: () if lacks == "proxies" else None}
    trust = replace(trust_in(subject), **without)
    found = decisions(subject, platforms, catalogue, trust=trust)[identifier]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert not english_in(found.reason.render("zh"))
    # The manifest has no such keys: it is for whoever grades to give them.
    if lacks != "proxies":
        assert found.mend.partition(" ")[0] == f"--xc-{lacks.replace('_', '-')}"


def test_a_proxy_that_has_nothing_decides_nothing(subject: Path, platforms: Platforms, catalogue: Catalogue) -> None:
    trust = replace(trust_in(subject), proxies=(str(subject / "sdk"),))
    found = decisions(subject, platforms, catalogue, trust=trust)
    assert {found[i].verdict for i in ("XC-CHAIN-020", "XC-CHAIN-021")} == {Verdict.INCONCLUSIVE}


def test_no_baseline_and_an_empty_one_are_no_contract(
    subject: Path, platforms: Platforms, catalogue: Catalogue
) -> None:
    manifest(subject, "sdk", baseline="")
    assert decisions(subject, platforms, catalogue)["XC-SDK-010"].verdict is Verdict.INCONCLUSIVE
    manifest(subject, "sdk", baseline="sdk")
    assert decisions(subject, platforms, catalogue)["XC-SDK-010"].reason == "the baseline is the SDK itself"
    empty = subject / "empty"
    empty.mkdir()
    (empty / "go.mod").write_text("module example.com/product\n")
    manifest(subject, "sdk", baseline="empty")
    assert decisions(subject, platforms, catalogue)["XC-SDK-010"].verdict is Verdict.INCONCLUSIVE


def test_a_baseline_of_another_architecture_decides_nothing(
    subject: Path, platforms: Platforms, catalogue: Catalogue
) -> None:
    from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources

    with Sources(Cache(), ReadOptions(offline=True)) as sources:
        (subject / "amd64.jsonl").write_bytes(sources.read(str(subject / "baseline")).path.read_bytes())
    manifest(subject, "sdk", baseline="amd64.jsonl")
    found = decisions(subject, platforms, catalogue)["XC-SDK-010"]
    assert (found.verdict, found.cause) == (Verdict.INCONCLUSIVE, Cause.SUBJECT)
    assert "linux/arm64" in found.reason


def test_without_a_section_nothing_applies(platforms: Platforms, catalogue: Catalogue) -> None:
    from pytest_xinchuang.core import resources

    found = decisions(resources.fixtures_dir() / "subjects" / "openssl", platforms, catalogue)
    assert {d.verdict for d in found.values()} == {Verdict.NOT_APPLICABLE}


def test_an_sdk_with_nothing_for_the_architecture_does_not_build(
    subject: Path, platforms: Platforms, catalogue: Catalogue
) -> None:
    path = subject / "sdk/sdk.go"
    path.write_text("//go:build amd64\n\n" + path.read_text())
    found = decisions(subject, platforms, catalogue)
    assert found["XC-SDK-001"].verdict is not Verdict.PASS
    assert found["XC-SDK-011"].verdict is Verdict.FAIL


def test_another_module_path_breaks_every_import(subject: Path, platforms: Platforms, catalogue: Catalogue) -> None:
    path = subject / "sdk/go.mod"
    path.write_text(path.read_text().replace("example.com/product", "example.com/other"))
    assert "GO-MOD-PATH-CHANGED" in decisions(subject, platforms, catalogue)["XC-SDK-010"].reason


@pytest.mark.parametrize(
    ("language", "file", "old", "broken"),
    [
        ("c", "api.h", "struct s { int a; };\nint f(void);\n", "struct s { int x; int a; };\nint f(void);\n"),
        ("python", "lib/__init__.py", "def f(a, b=1): pass\n", "def f(a): pass\n"),
    ],
)
def test_sdks_of_other_languages_keep_their_contract(
    language: str, file: str, old: str, broken: str, tmp_path: Path, platforms: Platforms, catalogue: Catalogue
) -> None:
    for name in ("old", "new"):
        path = tmp_path / name / file
        path.parent.mkdir(parents=True)
        path.write_text(old)
    sdk = {"language": language, "path": "new", "baseline": "old"}
    document = {"schema": "xc-subject/1", "name": "x", "version": "1.0.0", "sdk": sdk}
    (tmp_path / "xinchuang.yaml").write_text(yaml.safe_dump(document))
    trust = Trust()
    found = decisions(tmp_path, platforms, catalogue, "loongson", trust)
    assert found["XC-SDK-010"].verdict is Verdict.PASS
    assert found["XC-SDK-001"].verdict is Verdict.NOT_APPLICABLE
    (tmp_path / "new" / file).write_text(broken)
    assert decisions(tmp_path, platforms, catalogue, "loongson", trust)["XC-SDK-010"].verdict is Verdict.FAIL
