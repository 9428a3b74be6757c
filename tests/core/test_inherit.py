"""``inherits`` in a platforms file: entries come out whole, and mistakes are told where they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.platform import Arch, Platforms

SHIPPED = resources.platforms_file()
DIGESTS = Path(__file__).parent / "data" / "platform_digests.json"


def with_own(tmp_path: Path, text: str) -> Platforms:
    path = tmp_path / "own.yaml"
    path.write_text("schema: xc-platforms/1\n" + text)
    return Platforms([SHIPPED, path])


def shipped_with(tmp_path: Path, *changes: tuple[str, str]) -> Platforms:
    """The shipped file with pieces of its text replaced."""
    text = SHIPPED.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "platforms.yaml").write_text(text)
    return Platforms([tmp_path / "platforms.yaml"])


def line_of(path: Path, text: str) -> int:
    return next(n for n, line in enumerate(path.read_text().splitlines(), 1) if line.startswith(text))


def test_every_platform_is_what_it_was(platforms: Platforms) -> None:
    """Who changes a fact sees here which platforms it changes, heirs among them.

    Mend: python -c "from tests.core.test_inherit import write; write()", and read what `git diff` says of it.
    """
    assert {name: platforms.get(name).digest for name in platforms.ids} == json.loads(DIGESTS.read_text())


def write() -> None:
    platforms = Platforms([SHIPPED])
    DIGESTS.write_text(json.dumps({name: platforms.get(name).digest for name in platforms.ids}, indent=0) + "\n")


def test_inherited_facts_keep_source_and_confidence(platforms: Platforms) -> None:
    cpus = platforms.file.cpus
    assert cpus["phytium_s2500"].emulation.strict == cpus["phytium_d2000"].emulation.strict
    assert cpus["phytium_s2500"].emulation.strict.confidence == "measured"
    assert cpus["phytium_s2500"].c_flags == cpus["phytium_d2000"].c_flags
    assert cpus["phytium_s2500"].features.source == "taken over from FT-2000/4"


def test_what_is_not_known_is_said_by_each_entry() -> None:
    """What becomes known of one entry must not become known of its heirs without a word."""
    data = yaml.safe_load(SHIPPED.read_text())
    platforms = Platforms([SHIPPED]).file
    for section in ("cpus", "systems"):
        for name, entry in data[section].items():
            if "inherits" not in entry:
                continue
            whole = getattr(platforms, section)[name].model_dump(mode="json")
            for key, fact in whole.items():
                parts: dict[tuple[str, ...], Any] = (
                    {(key,): fact} if not isinstance(fact, dict) else {(key, k): v for k, v in fact.items()}
                )
                for way, part in {**parts, (key,): fact}.items():
                    if isinstance(part, dict) and part.get("value", part) is None and part["source"] != "not given":
                        own = entry
                        for step in way:
                            assert step in own, (name, way)
                            own = own[step]


def test_an_own_entry_inherits_from_a_shipped_one(tmp_path: Path) -> None:
    own = "cpus:\n  lab: {inherits: phytium_s2500, emulation: {exact: false}}\n"
    platforms = with_own(tmp_path, own)
    lab, shipped = platforms.file.cpus["lab"], platforms.file.cpus["phytium_s2500"]
    assert lab == shipped.model_copy(update={"emulation": shipped.emulation.model_copy(update={"exact": False})})
    assert platforms.get("lab-kylin_v10_sp1").digest != platforms.get("phytium_s2500-kylin_v10_sp1").digest


def test_a_chain_from_the_end_to_the_beginning(tmp_path: Path) -> None:
    fact = "{value: '6.1', source: seen, confidence: measured}"
    own = f"systems:\n  c: {{inherits: b}}\n  b: {{inherits: a, kernel: {fact}}}\n  a: {{inherits: uos_20}}\n"
    systems = with_own(tmp_path, own).file.systems
    assert systems["c"] == systems["b"] != systems["a"] == systems["uos_20"]
    assert systems["c"].kernel.value == "6.1"


def test_an_own_file_inherits_from_what_it_made_of_a_shipped_entry(tmp_path: Path) -> None:
    fact = "{value: 65536, source: seen, confidence: measured}"
    own = f"systems:\n  lab: {{inherits: kylin_v10_sp1}}\n  kylin_v10_sp1: {{page_size: {{arm64: {fact}}}}}\n"
    systems = with_own(tmp_path, own).file.systems
    assert systems["lab"].page_size[Arch.ARM64].source == "seen"


def test_an_own_fact_of_one_entry_leaves_its_shipped_heirs_alone(tmp_path: Path) -> None:
    own = "cpus: {phytium_d2000: {emulation: {exact: false}}}\n"
    platforms = with_own(tmp_path, own)
    assert not platforms.file.cpus["phytium_d2000"].emulation.exact
    assert platforms.file.cpus["phytium_ft2000_4"].emulation.exact
    digests = json.loads(DIGESTS.read_text())
    changed = {name for name in platforms.ids if platforms.get(name).digest != digests[name]}
    assert changed == {name for name in platforms.ids if name.startswith("phytium_d2000-")}


def test_an_own_entry_that_inherits_starts_anew(tmp_path: Path) -> None:
    systems = with_own(tmp_path, "systems: {uos_20: {inherits: kylin_v11}}\n").file.systems
    assert systems["uos_20"] == systems["kylin_v11"]


def test_a_fact_is_inherited_whole_or_not_at_all(tmp_path: Path) -> None:
    own = "cpus:\n  lab:\n    inherits: kunpeng920\n    isa: {value: other}\n"
    with pytest.raises(DataFileError) as caught:
        with_own(tmp_path, own)
    told = str(caught.value).splitlines()
    assert [line.partition("own.yaml:")[2] for line in told] == [
        "5: cpus.lab.isa.source: field required",
        "5: cpus.lab.isa.confidence: field required",
    ]


def test_a_file_is_not_changed_by_those_after_it(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("schema: xc-platforms/1\ncpus: {lab: {inherits: kunpeng920}}\n")
    (tmp_path / "more.yaml").write_text("schema: xc-platforms/1\ncpus: {kunpeng920: {emulation: {exact: true}}}\n")
    cpus = Platforms([SHIPPED, tmp_path / "lab.yaml", tmp_path / "more.yaml"]).file.cpus
    assert cpus["kunpeng920"].emulation.exact
    assert not cpus["lab"].emulation.exact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "cpus:\n  a: {inherits: kunpeng92}\n",
            r"own.yaml:3: cpus.a.inherits: nothing in cpus is called 'kunpeng92' .*did you mean kunpeng920, kunpeng950, ",
        ),
        ("cpus:\n  a: {inherits: uos_20}\n", r"own.yaml:3: cpus.a.inherits: nothing in cpus is called 'uos_20'"),
        ("cpus:\n  a:\n    inherits: a\n", r"own.yaml:4: cpus.a.inherits: an entry cannot inherit from itself: a -> a"),
        (
            "cpus:\n  a: {inherits: c}\n  b: {inherits: a}\n  c: {inherits: b}\n",
            r"own.yaml:4: cpus.b.inherits: an entry cannot inherit from itself: a -> c -> b -> a",
        ),
        (
            "cpus:\n  x: {inherits: a}\n  a: {inherits: b}\n  b: {inherits: a}\n",
            r"own.yaml:5: cpus.b.inherits: an entry cannot inherit from itself: a -> b -> a",
        ),
        ("cpus:\n  a: {inherits: 3}\n", r"own.yaml:3: cpus.a.inherits: nothing in cpus is called 3"),
        (
            "cpus:\n  a: {inherits: [kunpeng920]}\n",
            r"own.yaml:3: cpus.a.inherits: nothing in cpus is called \['kunpeng920'\]",
        ),
        ("cpus:\n  a: {inherits: null}\n", r"own.yaml:3: cpus.a.inherits: nothing in cpus is called None"),
        ("cpus:\n  a: {inherits: b}\n  b: 3\n", r"own.yaml:3: cpus.a.inherits: nothing in cpus is called 'b'"),
        (
            "kernels:\n  a: {inherits: debian-amd64}\n",
            r"own.yaml:3: kernels.a.inherits: found 'debian-amd64': no such key",
        ),
        ("architectures: {amd64: {inherits: arm64}}\n", r"own.yaml:2: architectures.amd64.inherits: .*no such key"),
        ("cpus:\n  a: {inherits: kunpeng920, arch: mips}\n", r"own.yaml:3: cpus.a.arch: found 'mips'"),
        (
            "cpus:\n  a:\n    inherits: kunpeng920\n    emulation:\n      exact: perhaps\n",
            r"own.yaml:6: cpus.a.emulation.exact",
        ),
        (
            "cpus:\n  a:\n    inherits: kunpeng920\n    speed: 3\n",
            r"own.yaml:5: cpus.a.speed: found 3: no such key here",
        ),
        (
            "systems:\n  a:\n    inherits: uos_20\n    rootfs: {arm64: bulseye-arm64}\n",
            r"own.yaml:5: systems.a.rootfs.arm64: 'bulseye-arm64'",
        ),
        (
            "rootfs:\n  a: {inherits: bullseye}\n",
            r"own.yaml:3: rootfs.a.inherits: nothing in rootfs is called 'bullseye' .*did you mean",
        ),
    ],
)
def test_a_wrong_heir_is_told_by_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(DataFileError, match=expected):
        with_own(tmp_path, text)


def test_a_mistake_that_is_inherited_is_told_once_and_where_it_stands(tmp_path: Path) -> None:
    with pytest.raises(DataFileError) as caught:
        shipped_with(
            tmp_path, ('strict: {value: "la464", source: "QEMU 10.0, a strict', 'strict: {value: [], source: "QEMU')
        )
    line = line_of(tmp_path / "platforms.yaml", "      strict: {value: [], ")
    assert str(caught.value).count("\n") == 0
    assert f"platforms.yaml:{line}: cpus.loongson_3a5000.emulation.strict.value: found []" in str(caught.value)


def test_what_the_first_of_a_chain_lacks_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(DataFileError) as caught:
        shipped_with(tmp_path, ("    family: loongson\n", ""))
    line = line_of(tmp_path / "platforms.yaml", "  loongson_3a5000:")
    assert str(caught.value).endswith(f"platforms.yaml:{line}: cpus.loongson_3a5000.family: field required")
    assert str(caught.value).count("\n") == 0


def test_a_name_that_is_inherited_is_told_where_it_stands(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"systems\.kylin_v10_sp1\.rootfs\.arm64: 'nothing': no such root"):
        shipped_with(tmp_path, ("arm64: bullseye-arm64", "arm64: nothing"))


SCHEMA = json.loads((resources.schemas_dir() / "platforms.json").read_text())


def test_the_schema_takes_the_shipped_file() -> None:
    jsonschema.validate(yaml.safe_load(SHIPPED.read_text()), SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"cpus": {"a": {}}},
        {"cpus": {"a": {"inherits": 3}}},
        {"cpus": {"a": {"inherits": "kunpeng920", "speed": 3}}},
        {"cpus": {"a": {"inherits": "kunpeng920", "isa": {"value": "other"}}}},
        {"systems": {"a": {"libc": "glibc"}}},
        {"kernels": {"a": {"inherits": "debian-amd64"}}},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"schema": "xc-platforms/1", **change}, SCHEMA)
    with pytest.raises(DataFileError):
        with_own(tmp_path, yaml.safe_dump(change))
