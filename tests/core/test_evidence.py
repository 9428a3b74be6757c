"""The facts of platforms.yaml and what they are known by: conformance/evidence.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.evidence import Evidence, Kind, facts_of, load_evidence, unfounded
from pytest_xinchuang.core.platform import Arch, Confidence, Cpu, OsProfile, Platforms

SHIPPED = resources.platforms_file()
EVIDENCE = load_evidence()
MACHINES = [(name, each) for name, each in EVIDENCE.items() if each.of is not None]


def matching(entries: dict[str, Any], text: str) -> set[str]:
    """The entries whose identity a machine's text matches."""
    return {
        name
        for name, entry in entries.items()
        if entry.identity.value and all(re.search(p, text, re.M) for p in entry.identity.value)
    }


def test_no_fact_is_surer_than_its_evidence(platforms: Platforms) -> None:
    assert [f"{place}: {why}" for place, why in unfounded(platforms.file, EVIDENCE)] == []


def test_no_evidence_is_forgotten(platforms: Platforms) -> None:
    assert set(EVIDENCE) == {name for _place, fact in facts_of(platforms.file) for name in fact.evidence}


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        ("[]", "names no evidence"),
        ("[nobody]", "there is no evidence called 'nobody'"),
        ("[uos_e_packages]", "names no evidence"),
        ("[uos_e_packages, uos_e_packages]", "names no evidence"),
        ("[uos_e_packages, kylin_java]", None),
        ("[rustfs_3276]", None),
    ],
)
def test_sourced_asks_for_what_can_be_found_again(tmp_path: Path, evidence: str, told: str | None) -> None:
    """One entry of an index that names no repository is not enough; two independent ones are."""
    path = tmp_path / "own.yaml"
    fact = f"{{value: '4.19', source: seen, confidence: sourced, evidence: {evidence}}}"
    path.write_text(f"schema: xc-platforms/1\nsystems: {{uos_20: {{kernel: {fact}}}}}\n")
    found = [
        str(why) for place, why in unfounded(Platforms([SHIPPED, path]).file, EVIDENCE) if "uos_20.kernel" in place
    ]
    assert (found == []) if told is None else any(told in why for why in found)


def test_what_is_measured_of_a_machine_has_two_probes(platforms: Platforms) -> None:
    """Emulators and compilers are measured here; a CPU or a system is when two probes agree."""
    for place, fact in facts_of(platforms.file):
        if fact.confidence is not Confidence.MEASURED or "emulation" in place or "c_flags" in place:
            continue
        probes = {EVIDENCE[name].reference for name in fact.evidence if EVIDENCE[name].kind is Kind.PROBE}
        assert len(probes) > 1, place


def test_an_heir_does_not_inherit_what_was_seen_of_another(platforms: Platforms) -> None:
    """A sourced fact that an entry takes over rests on something that was not seen of its parent alone."""
    written = yaml.safe_load(SHIPPED.read_text())
    for section in ("cpus", "systems"):
        for name, entry in written[section].items():
            if "inherits" not in entry:
                continue
            for place, fact in facts_of(getattr(platforms.file, section)[name]):
                own: Any = entry
                for step in place:
                    own = own.get(step, {}) if isinstance(own, dict) else {}
                if own == {} and fact.value and fact.confidence is Confidence.SOURCED:
                    assert any(EVIDENCE[each].of in (None, name) for each in fact.evidence), (name, place)


@pytest.mark.parametrize(("name", "each"), MACHINES, ids=[name for name, _each in MACHINES])
def test_a_real_machine_is_recognised_as_itself_alone(name: str, each: Evidence, platforms: Platforms) -> None:
    file = platforms.file
    if each.cpuinfo is not None:
        found = matching(dict(file.cpus), each.cpuinfo)
        assert each.of in found and found <= {each.of, *file.cpus[str(each.of)].twins}
    if each.os_release is not None:
        assert matching(dict(file.systems), each.os_release) == {each.of}


def test_what_is_shown_in_a_sandbox_is_recognised_as_itself_alone(platforms: Platforms) -> None:
    file = platforms.file
    for name, cpu in file.cpus.items():
        block = (cpu.cpuinfo.value or "").replace("{features}", " ".join(cpu.features.value or ()))
        found = matching(dict(file.cpus), f"processor\t: 0\n{block}\n")
        assert name in found and found <= {name, *cpu.twins}
    for name, system in file.systems.items():
        for arch in system.rootfs:
            release = system.of(arch).os_release.value
            assert release is None or matching(dict(file.systems), release) == {name}


def test_twins_say_so_of_one_another(platforms: Platforms) -> None:
    cpus = platforms.file.cpus
    for name, cpu in cpus.items():
        for twin in cpu.twins:
            assert name in cpus[twin].twins
            assert cpus[twin].features.value == cpu.features.value


BOARDS = {
    # A board that was taken for another platform once, or refused as itself.
    "a Kylin server is no desktop": ("systems", "supermin_22", "kylin_desktop_v10", False),
    "a UOS desktop is no server": ("systems", "gitbook_uos", "uos_20", False),
    "UOS Server a is not e": ("systems", "ansible_uelc20", "uos_20", False),
    "UOS Server d is no desktop": ("systems", "ansible_uos", "uos_desktop_20", False),
    "UOS Server d": ("systems", "ansible_uos", "uos_20_d", True),
    "Loongnix writes its ID with a capital": ("systems", "loongnix_1", "loongnix_20", True),
    "a Hygon 3185 has no AES": ("cpus", "inst_0900f02_3185", "hygon_c86", False),
    "a KH-40000 is no KX-7000": ("cpus", "inst_00507b3", "zhaoxin_kx7000", False),
    "a KX-7000": ("cpus", "inst_00607b1", "zhaoxin_kx7000", True),
    "a NeoKylin is no Kylin": ("systems", "neokylin_u6", "kylin_v10_sp1", False),
    "an openKylin is no Kylin desktop": ("systems", "ruyi_63", "kylin_desktop_v10", False),
    "a KeyarchOS is no Anolis, though it is like one": ("systems", "kos_machine", "anolis_8", False),
    "Alibaba's system is no Anolis": ("systems", "lynis_1572", "anolis_8", False),
    "a Loongnix server is no Loongnix 20": ("systems", "lns8_1", "loongnix_20", False),
    "a Deepin 23 is no Deepin 25": ("systems", "deepin_23_board", "deepin_25", False),
    "Anolis 23.0 is not 23.1, which has another kernel and libc": ("systems", "anolis_23_loong", "anolis_23_1", False),
    "a 3B6000 is no 3C6000": ("cpus", "fastfetch_1529", "loongson_3c6000", False),
    "a D2000 that tells its name is no S2500": ("cpus", "hrw_24", "phytium_s2500", False),
}


@pytest.mark.parametrize(("section", "evidence", "entry", "taken"), BOARDS.values(), ids=BOARDS)
def test_boards_that_were_mistaken(section: str, evidence: str, entry: str, taken: bool, platforms: Platforms) -> None:
    text = EVIDENCE[evidence].cpuinfo if section == "cpus" else EVIDENCE[evidence].os_release
    assert (entry in matching(dict(getattr(platforms.file, section)), text or "")) is taken


def test_a_hygon_7185_is_graded_as_one_without_aes(platforms: Platforms) -> None:
    text = "vendor_id\t: HygonGenuine\ncpu family\t: 24\nmodel\t\t: 0\nmodel name\t: Hygon C86 7185 32-core Processor\n"
    assert matching(dict(platforms.file.cpus), text) == {"hygon_dhyana"}
    assert "aes" not in (platforms.file.cpus["hygon_dhyana"].features.value or ())


def test_a_3b6000m_is_another_chip(platforms: Platforms) -> None:
    """It has no LASX; whoever took it for a 3B6000 would pass code that dies on it."""
    assert matching(dict(platforms.file.cpus), "processor\t: 0\nModel Name\t: Loongson-3B6000M\n") == set()


def test_a_cpu_without_a_list_of_features_decides_nothing(platforms: Platforms) -> None:
    for name in ("kunpeng950", "zhaoxin_kh50000"):
        cpu = platforms.file.cpus[name]
        assert {cpu.has(feature) for feature in ("sve", "sm4", "avx2", "aes", "fp")} == {
            None
        } and not cpu.emulation.exact


def test_the_page_of_kylin_sp3_is_known_and_that_of_desktops_is_not(platforms: Platforms) -> None:
    def page(system: str) -> tuple[int | None, Confidence]:
        fact = platforms.file.systems[system].page_size[Arch.ARM64]
        return fact.value, fact.confidence

    assert page("kylin_v10_sp1") == page("kylin_v10_sp3") == (65536, Confidence.SOURCED)
    assert page("kylin_v10_sp2") == page("openeuler_20_03") == (65536, Confidence.INFERRED)
    assert page("kylin_desktop_v10_sp1") == (None, Confidence.UNVERIFIED)


def test_an_entry_is_of_one_edition(platforms: Platforms) -> None:
    """What differs between editions that share a name stands together: os-release, kernel and image."""
    systems = platforms.file.systems

    def told(name: str) -> tuple[str, str, str]:
        system = systems[name]
        return system.os_release.value or "", system.kernel.source, system.image.value or ""

    release, kernel, image = told("kylin_v10_sp3")
    assert "(Halberd)" in release and "89.11.v2401" in kernel and image.endswith("v10sp3-2403")
    release, kernel, image = told("uos_20")
    assert "uel20" in release and "uel20" in kernel and image.endswith("1070e")
    release, kernel, image = told("uos_20_a")
    assert "uelc20" in release and "uelc20" in kernel and image.endswith("1070a")
    assert systems["uos_20_d"].packaging.value == "deb"


def test_a_system_can_differ_by_architecture(platforms: Platforms) -> None:
    def libc(platform: str) -> tuple[str | None, str | None]:
        system = platforms.get(platform).system
        return system.libc_version.value, system.glibcxx_max.value

    assert libc("kunpeng920-kylin_desktop_v10_sp1") == ("2.31", "3.4.28")
    assert libc("loongson_3a5000-kylin_desktop_v10_sp1") == ("2.28", "3.4.25")
    assert platforms.get("loongson_3a5000-kylin_desktop_v10_sp1").world == "old"
    assert libc("loongson_3a6000-kylin_desktop_v11") == ("2.38", "3.4.33")
    assert (
        platforms.get("kunpeng920-hce_2").system.os_release.value
        != platforms.get("hygon_dhyana-hce_2").system.os_release.value
    )


@pytest.mark.parametrize("short", ["kunpeng", "phytium", "hygon", "zhaoxin", "loongson"])
def test_a_default_platform_knows_what_every_program_needs(short: str, platforms: Platforms) -> None:
    platform = platforms.get(short)
    assert platform.page_size is not None
    facts = (platform.system.libc_version, platform.system.glibcxx_max, platform.page_size, platform.system.kernel)
    assert all(fact.value is not None for fact in facts)
    assert platform.cpu.features.confidence is Confidence.SOURCED


def test_the_ft_2000_plus_has_no_cryptographic_extension(platforms: Platforms) -> None:
    cpu = platforms.file.cpus["phytium_ft2000plus"]
    for feature in ("aes", "pmull", "sha1", "sha2", "atomics"):
        assert cpu.has(feature) is False
    assert cpu.go_env.value == {"GOARM64": "v8.0"}
    assert not cpu.emulation.exact and set(cpu.emulation.excess) == {"aes", "pmull", "sha1", "sha2"}


def test_what_is_inferred_or_disputed_is_not_known(platforms: Platforms) -> None:
    cpus = platforms.file.cpus
    assert cpus["phytium_d3000"].has("sm4") is True
    assert cpus["phytium_d3000"].has("sve") is False
    assert cpus["phytium_s5000c"].has("sm4") is cpus["phytium_s5000c"].has("sve") is None
    assert cpus["zhaoxin_kx6000"].has("sha_ni") is None
    assert cpus["zhaoxin_kx6000"].has("avx2") is False


def test_an_exact_model_has_no_more_and_no_less(platforms: Platforms) -> None:
    for cpu in platforms.file.cpus.values():
        if cpu.emulation.exact:
            assert cpu.features.confidence is Confidence.SOURCED and not cpu.emulation.excess


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "index", "reference": "https://example.org/"}, "is no reference of evidence of the kind index"),
        ({"reference": "index 12345678"}, "is no reference"),
        ({"reference": "somewhere"}, "is no reference"),
        ({"kind": "probe", "reference": "sha256:12"}, "is no reference"),
        ({"kind": "rumour"}, "kind"),
        ({"of": "kunpeng920"}, "go together"),
        ({"cpuinfo": "x"}, "go together"),
        ({"says": "x"}, "says"),
        ({"seen": "yesterday"}, "seen"),
        ({"colour": "red"}, "no such key"),
    ],
)
def test_malformed_evidence_is_told(tmp_path: Path, change: dict[str, str], told: str) -> None:
    entry = {"kind": "report", "reference": "https://example.org/1", "seen": "2026-11-29", "says": "something was seen"}
    path = tmp_path / "evidence.yaml"
    path.write_text(yaml.safe_dump({"schema": "xc-evidence/1", "evidence": {"a": entry}}))
    assert load_evidence(path)["a"].weight == 2
    path.write_text(yaml.safe_dump({"schema": "xc-evidence/1", "evidence": {"a": {**entry, **change}}}))
    with pytest.raises(DataFileError, match=told):
        load_evidence(path)


def test_a_twin_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("schema: xc-platforms/1\ncpus: {phytium_d2000: {twins: [phytium_d3001]}}\n")
    with pytest.raises(DataFileError, match=r"own.yaml:2: cpus.phytium_d2000.twins: 'phytium_d3001': no such CPU"):
        Platforms([SHIPPED, path])


def test_facts_are_found_wherever_they_stand(platforms: Platforms) -> None:
    system: OsProfile = platforms.file.systems["kylin_desktop_v10_sp1"]
    cpu: Cpu = platforms.file.cpus["kunpeng920"]
    places = {".".join(place) for place, _fact in facts_of(system)} | {".".join(p) for p, _f in facts_of(cpu)}
    assert {"kernel", "page_size.arm64", "software.gcc", "by_arch.loong64.libc_version", "emulation.strict"} <= places
