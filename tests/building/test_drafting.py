"""A manifest from what is delivered: roles, architectures, and units only where a run has shown how a program starts."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from pytest_xinchuang.building.drafting import Delivery, write_manifest
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.sandbox.protocol import Ended, Outcome
from tests.inspect import containers

MACHINES = {Arch.AMD64: 62, Arch.ARM64: 183, Arch.LOONG64: 258}


def program(arch: Arch) -> bytes:
    """The smallest static program: a header and one segment (elf(5))."""
    head = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 2, MACHINES[arch], 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    )
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 120, 120, 0x10000)


def ended(code: int | None, how: Ended = Ended.EXITED, said: bytes = b"") -> Outcome:
    return Outcome(("x",), how, code, None if code is not None else 4, said, b"", 1.0, 1.0)


class Tried:
    """Programs by what they take for the question which version they are."""

    def __init__(self, **takes: str) -> None:
        self.takes, self.asked = takes, list[tuple[str, str, str]]()

    def __call__(self, file: Path, name: str, word: str) -> Outcome:
        self.asked.append((file.name, name, word))
        wanted = self.takes.get(name.rpartition("/")[2].partition("-")[0], "")
        if wanted in ("unloadable", "killed"):
            return ended(127) if wanted == "unloadable" else ended(None, Ended.SIGNALED)
        if wanted == "silent":
            return ended(0)
        return ended(0 if word == wanted else 2, said=b"1.0\n")


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    place = tmp_path / "acme-server" / "dist"
    place.mkdir(parents=True)
    return place


def delivery(path: Path, platforms: Platforms) -> Delivery:
    return Delivery(path, path.parent, platforms.file.architectures)


def drafted(path: Path, platforms: Platforms, tried: Tried, language: str = "en") -> tuple[dict[str, object], str]:
    found = delivery(path, platforms)
    text = found.manifest(found.starts(Arch.ARM64, tried), language)
    return yaml.safe_load(text), text


def test_one_program_for_each_architecture_is_one_role_and_one_unit(dist: Path, platforms: Platforms) -> None:
    for arch, name in (
        (Arch.AMD64, "tool-linux-x86_64"),
        (Arch.ARM64, "tool-linux-aarch64"),
        (Arch.LOONG64, "tool-linux-loong64"),
    ):
        (dist / name).write_bytes(program(arch))
    data, _text = drafted(dist, platforms, Tried(tool="version"))
    files = {
        "amd64": "dist/tool-linux-x86_64",
        "arm64": "dist/tool-linux-aarch64",
        "loong64": "dist/tool-linux-loong64",
    }
    assert data["name"] == "acme-server"
    assert data["artifacts"] == [{"name": "tool-linux", "files": files}]
    assert data["units"] == [{"name": "tool-linux", "kind": "binary", "files": files, "args": ["version"]}]


def test_directories_are_told_apart_by_their_names(dist: Path, platforms: Platforms) -> None:
    for arch in (Arch.AMD64, Arch.ARM64):
        (dist / arch.value / "bin").mkdir(parents=True)
        (dist / arch.value / "bin/srv").write_bytes(program(arch))
    data, _text = drafted(dist, platforms, Tried(srv="--version"))
    assert data["artifacts"] == [{"name": "acme-server", "files": {"amd64": "dist/amd64", "arm64": "dist/arm64"}}]
    unit = {
        "name": "acme-server-srv",
        "kind": "artifact",
        "artifact": "acme-server",
        "program": "bin/srv",
        "args": ["--version"],
    }
    assert data["units"] == [unit]


def test_a_package_in_which_there_is_no_object_is_for_every_architecture(dist: Path, platforms: Platforms) -> None:
    (dist / "app.jar").write_bytes(
        containers.zipped({"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\n", "A.class": b"x"})
    )
    data, _text = drafted(dist, platforms, Tried())
    assert data["artifacts"] == [
        {"name": "app-jar", "files": dict.fromkeys(("amd64", "arm64", "loong64"), "dist/app.jar")}
    ]
    assert "units" not in data


@pytest.mark.parametrize("takes", ["", "silent"])
def test_a_program_that_nobody_knows_how_to_start_is_told_and_is_no_unit(
    takes: str, dist: Path, platforms: Platforms
) -> None:
    (dist / "daemon-arm64").write_bytes(program(Arch.ARM64))
    tried = Tried(daemon=takes)
    data, text = drafted(dist, platforms, tried)
    assert "units" not in data
    assert "# Nobody knows how these are started: daemon: daemon-arm64" in text
    assert [word for _file, _name, word in tried.asked] == ["--version", "-version", "version", "-V"]


@pytest.mark.parametrize("how", ["unloadable", "killed"])
def test_a_program_that_the_platform_cannot_load_is_a_unit_so_that_the_grade_says_why(
    how: str, dist: Path, platforms: Platforms
) -> None:
    (dist / "bad-arm64").write_bytes(program(Arch.ARM64))
    data, _text = drafted(dist, platforms, Tried(bad=how))
    assert data["units"] == [
        {"name": "bad", "kind": "binary", "files": {"arm64": "dist/bad-arm64"}, "args": ["--version"]}
    ]


def test_two_things_of_one_role_keep_apart(dist: Path, platforms: Platforms) -> None:
    for name in ("a", "b"):
        (dist / f"{name}-arm64").mkdir()
        (dist / f"{name}-arm64/x").write_bytes(program(Arch.ARM64))
    (dist / "arm64").write_bytes(program(Arch.ARM64))
    (dist / "aarch64").write_bytes(program(Arch.ARM64))
    data, _text = drafted(dist, platforms, Tried())
    artifacts = data["artifacts"]
    assert isinstance(artifacts, list)
    assert [a["name"] for a in artifacts] == ["a", "acme-server", "acme-server-2", "b"]


def test_what_is_no_product_is_told(dist: Path, platforms: Platforms) -> None:
    (dist / "README.txt").write_text("x")
    (dist / "t-arm64").write_bytes(program(Arch.ARM64))
    _data, text = drafted(dist, platforms, Tried(t="-V"), "zh")
    assert "dist/README.txt" in text
    assert "Nothing" not in text


def test_a_directory_without_a_product_is_refused(dist: Path, platforms: Platforms) -> None:
    (dist / "README.txt").write_text("x")
    with pytest.raises(XcError, match="no program, library, package or image in it"):
        delivery(dist, platforms)


def test_a_name_that_means_something_in_yaml_is_a_name(dist: Path, platforms: Platforms) -> None:
    name = 'x", kind: shell, y: "{here}: #-arm64'
    (dist / name).write_bytes(program(Arch.ARM64))
    data, text = drafted(dist, platforms, Tried(**{name.removesuffix("-arm64"): "--version"}))
    assert data["artifacts"][0]["files"] == {"arm64": f"dist/{name}"}  # type: ignore[index]
    write_manifest(text, dist.parent)
    assert load_subject(dist.parent).file.units[0].kind == "binary"


def test_a_manifest_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "xinchuang.yaml").write_text("mine")
    with pytest.raises(XcError, match="cannot be written"):
        write_manifest("theirs", tmp_path)
    assert (tmp_path / "xinchuang.yaml").read_text() == "mine"


WHEEL = {
    "demo/__init__.py": b"",
    "demo/core.py": b"",
    "_fast.cpython-39-aarch64-linux-gnu.so": b"",
    "helper.py": b"",
    "demo-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "demo-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
    "demo-1.0.data/scripts/tool": b"#!python\n",
    "two-words.py": b"",
}


@pytest.mark.parametrize(
    ("outcome", "unit"),
    [
        (ended(0, said=b"imported\n"), True),
        (ended(None, Ended.SIGNALED), True),
        (ended(1), False),
        (ended(0), False),
        (None, False),
    ],
)
def test_a_wheel_is_a_unit_where_an_import_was_seen(
    outcome: Outcome | None, unit: bool, dist: Path, platforms: Platforms
) -> None:
    (dist / "demo-1.0-py3-none-any.whl").write_bytes(containers.zipped(WHEEL))
    found = delivery(dist, platforms)
    assert found.wheels(Arch.ARM64) == ["dist/demo-1.0-py3-none-any.whl"]
    asked: list[tuple[str, str]] = []

    def try_one(file: Path, words: Sequence[str]) -> Outcome:
        assert outcome is not None
        asked.append((file.name, words[-1]))
        return outcome

    with_python = {} if outcome is None else {"dist/demo-1.0-py3-none-any.whl": try_one}
    text = found.manifest(found.imports(Arch.ARM64, with_python), "en")
    data = yaml.safe_load(text)
    assert asked == ([] if outcome is None else [("demo-1.0-py3-none-any.whl", "{here}")])
    if not unit:
        assert "units" not in data and "rootfs_packages" not in data
        assert "how these are started: demo-1-0-py3-none-any-whl: import _fast, demo, helper" in text
        return
    assert data["rootfs_packages"] == ["python3"]
    (made,) = data["units"]
    assert (made["name"], made["kind"]) == ("demo-1-0-py3-none-any-whl-import", "artifact")
    assert "import _fast, demo, helper;" in made["command"][3] and made["command"][-1] == "{here}"
    load_subject(write_manifest(text, dist.parent).parent)


def test_what_is_no_wheel_is_imported_by_nobody(dist: Path, platforms: Platforms) -> None:
    (dist / "app.jar").write_bytes(containers.zipped({"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\n", "a.py": b""}))
    found = delivery(dist, platforms)
    assert found.wheels(Arch.ARM64) == [] and found.imports(Arch.ARM64, {}) == []
