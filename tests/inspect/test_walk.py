"""Containers of every kind, and what is wrong with some: an error for that object alone, in bounded time and memory."""

from __future__ import annotations

import gzip
import io
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.inspect.delivered import Inspection
from pytest_xinchuang.inspect.formats import unsquashfs
from pytest_xinchuang.inspect.formats.magic import UNREAD_FORMATS
from pytest_xinchuang.inspect.formats.pyinstaller import COOKIE
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts, problems_as_findings
from pytest_xinchuang.inspect.walk import Bounds
from pytest_xinchuang.sandbox.wall.formats import refuser
from tests.inspect import containers

ELF = refuser("x86_64", "no\n", b"\x01" + bytes(6))
PLATFORM = "zhaoxin"


def inspect(path: Path, **bounds: float) -> Inspection:
    return Inspector(bounds=Bounds(**bounds) if bounds else None).read(path)  # type: ignore[arg-type]


def write(tmp_path: Path, name: str, data: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def kinds_of_container() -> dict[str, bytes]:
    files = {"usr/lib/x.so": ELF}
    packed = containers.tar(files)
    made = {f"a.tar.{kind}": data for kind, data in containers.compressed(packed).items()}
    made |= {f"x.so.{kind}": data for kind, data in containers.compressed(ELF).items()}
    return made | {
        "plain": ELF,
        "a.tar": packed,
        "a.zip": containers.zipped(files),
        "a.jar": containers.zipped({"BOOT-INF/lib/b.jar": containers.zipped(files)}),
        "libx.a": containers.ar({"x.o": ELF, "y.o": b"text"}),
        "a.deb": containers.deb(files, "Package: a\nArchitecture: amd64\n"),
        "a.rpm": containers.rpm(files, "a", "x86_64"),
        "a.cpio": containers.cpio(files),
    }


@pytest.mark.parametrize("name", kinds_of_container())
def test_the_object_in_it_is_found(name: str, tmp_path: Path, platforms: Platforms) -> None:
    found = inspect(write(tmp_path, name, kinds_of_container()[name]))
    assert [r.elf.machine for r in found.records] == ["EM_X86_64"]
    assert not found.problems
    place = found.records[0].place
    assert place.startswith(str(tmp_path / name))
    if name == "a.deb":
        assert place == f"{tmp_path}/a.deb!usr/lib/x.so"
    for kind, arch in (("a.deb", "arm64"), ("a.rpm", "aarch64")):
        if name == kind:
            findings = Verdicts(platforms.get("kunpeng"), platforms.file.architectures).of(found)
            assert [f.code for f in findings] == ["XC-PKG-004"]
            assert findings[0].params["wanted"] == arch


@pytest.mark.parametrize("name", [n for n in kinds_of_container() if n != "plain"])
def test_cut_off_anywhere_it_is_damaged_and_no_more(name: str, tmp_path: Path) -> None:
    data = kinds_of_container()[name]
    for length in {len(data) // 3, len(data) // 2, len(data) - 30}:
        found = inspect(write(tmp_path, name, data[:length]))
        assert all(p.code.startswith("XC-BAD-") for p in found.problems)
        assert not found.records or not found.problems or found.records[0].elf.machine == "EM_X86_64"


def test_a_damaged_object_does_not_hide_the_others(tmp_path: Path) -> None:
    files = {"a.so": ELF, "b.so": ELF[:60], "c.so": ELF}
    found = inspect(write(tmp_path, "a.zip", containers.zipped(files)))
    assert [r.path for r in found.records] == ["a.so", "c.so"]
    assert [(p.code, p.place.rpartition("!")[2]) for p in found.problems] == [("XC-BAD-001", "b.so")]


def test_a_path_that_leaves_the_archive_is_named(tmp_path: Path) -> None:
    for name, data in {
        "a.tar": containers.tar({"../../etc/x.so": ELF}),
        "b.zip": containers.zipped({"/abs/x.so": ELF}),
        "c.cpio": containers.cpio({"a/../../x.so": ELF}),
    }.items():
        found = inspect(write(tmp_path, name, data))
        assert [p.code for p in found.problems] == ["XC-BAD-004"]
        assert len(found.records) == 1
    assert not (tmp_path.parent / "etc").exists()


SCRIPT = b"#!/bin/sh\ntail -n +4 $0 | tar x\nexit 0\n"


@pytest.mark.parametrize("name", kinds_of_container())
def test_what_stands_behind_a_script_is_looked_into(name: str, tmp_path: Path) -> None:
    """Makeself's installers, executable jars of Spring Boot, zipapps; alone and in a package."""
    behind = SCRIPT + kinds_of_container()[name]
    for path, data in (
        (f"{name}.run", behind),
        ("outer.tar.gz", gzip.compress(containers.tar({f"bin/{name}": behind}))),
    ):
        found = inspect(write(tmp_path, path, data))
        assert [r.elf.machine for r in found.records] == ["EM_X86_64"], (path, found.problems)
        assert not found.problems


def test_a_script_with_unknown_data_behind_it_is_undecided_and_plain_text_is_not(tmp_path: Path) -> None:
    files = {"a.so": ELF, "install.sh": SCRIPT + b"\x01\0\x02" * 100, "plain.sh": SCRIPT}
    found = inspect(write(tmp_path, "a.tar", containers.tar(files)))
    assert [(p.code, p.place.rpartition("!")[2]) for p in found.problems] == [("XC-BAD-006", "install.sh")]


def test_a_damaged_payload_is_damaged(tmp_path: Path) -> None:
    packed = gzip.compress(containers.tar({"a.so": ELF}))
    found = inspect(write(tmp_path, "a.run", SCRIPT + packed[: len(packed) // 2]))
    assert [p.code for p in found.problems] == ["XC-BAD-002"]


@pytest.mark.parametrize("magic", UNREAD_FORMATS)
def test_a_format_that_is_not_read_is_undecided_wherever_it_stands(magic: bytes, tmp_path: Path) -> None:
    data = magic + bytes(600)
    for name, outer in (("x", data), ("a.tar", containers.tar({"a.so": ELF, "x": data}))):
        found = inspect(write(tmp_path, name, outer))
        assert [p.code for p in found.problems] == ["XC-BAD-006"]
    (tmp_path / "dir").mkdir()
    write(tmp_path / "dir", "x", data)
    assert [p.code for p in inspect(tmp_path / "dir").problems] == ["XC-BAD-006"]


def test_a_tar_archive_without_a_magic_is_known_by_its_sum(tmp_path: Path) -> None:
    data = bytearray(containers.tar({"a.so": ELF}))
    data[257:265] = bytes(8)
    data[148:156] = bytes(8)
    data[148:156] = b"%06o\0 " % (sum(data[:512]) + 8 * 32)
    assert len(inspect(write(tmp_path, "old.tar", bytes(data))).records) == 1
    data[0] ^= 1
    # Then it is no archive, but data with an object in it.
    odd = inspect(write(tmp_path, "odd.tar", bytes(data)))
    assert [r.place for r in odd.records] == [f"{tmp_path}/odd.tar!0x200"] and not odd.problems


def test_where_nothing_could_be_judged_nothing_is_clean(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "loop").symlink_to("nowhere")
    for path in (
        tmp_path / "empty",
        write(tmp_path, "empty.so", b""),
        write(tmp_path, "empty.zip", containers.zipped({})),
        write(tmp_path, "texts.tar", containers.tar({"README": b"hello"})),
        write(tmp_path, "install.sh", SCRIPT),
    ):
        assert [p.code for p in inspect(path).problems] == ["XC-BAD-009"], path
    pure = {"a/__init__.py": b"", "a-1.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n"}
    assert not inspect(write(tmp_path, "a-1-py3-none-any.whl", containers.zipped(pure))).problems


def test_what_a_program_carries_behind_itself_is_looked_into_or_undecided(tmp_path: Path) -> None:
    packed = containers.zipped({"lib/x.so": ELF})
    for name, data in (("tool", ELF + packed), ("a.tar", containers.tar({"tool": ELF + packed}))):
        found = inspect(write(tmp_path, name, data))
        assert [r.path.rpartition("/")[2] for r in found.records] == ["tool", "x.so"] and not found.problems
    frozen = ELF + bytes(5000) + COOKIE + bytes(80)
    assert [p.code for p in inspect(write(tmp_path, "frozen", frozen)).problems] == ["XC-BAD-002"]


def test_a_program_that_only_knows_the_mark_of_zip_carries_none(tmp_path: Path) -> None:
    for tail in (b"PK\x05\x06", b"PK\x05\x06" + bytes(18), b"PK\x01\x02" + bytes(100) + b"PK\x05\x06" + bytes(60)):
        found = inspect(write(tmp_path, "unzip", ELF + tail))
        assert len(found.records) == 1 and not found.problems


def test_an_archive_of_ar_with_bytes_behind_its_last_member_is_damaged(tmp_path: Path) -> None:
    found = inspect(write(tmp_path, "libx.a", containers.ar({"x.o": ELF}) + b"nonsense"))
    assert len(found.records) == 1 and [p.code for p in found.problems] == ["XC-BAD-002"]


def test_ten_gigabytes_of_zeros_cost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "zeros"
    with path.open("wb") as file:
        file.truncate(10 << 30)
    found = inspect(path)
    assert not found.records and [p.code for p in found.problems] == ["XC-BAD-009"]
    info = tarfile.TarInfo("zeros")
    info.size = 3 << 30
    head = info.tobuf()
    sparse = tmp_path / "zeros.tar"
    with sparse.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + info.size + 1024)
    assert not inspect(sparse, seconds=60).records


def test_a_bomb_is_stopped(tmp_path: Path) -> None:
    zeros = gzip.compress(bytes(64 << 20), 9)
    info = tarfile.TarInfo("zeros")
    info.size = 512 << 20
    # Concatenated members of gzip are one stream.
    bomb = (
        gzip.compress(containers.tar({"x.so": ELF}).rstrip(b"\0").ljust(2048, b"\0")[:-1024] + info.tobuf()) + zeros * 8
    )
    found = inspect(write(tmp_path, "bomb.tar.gz", bomb), ratio=200, ratio_from=32 << 20)
    assert [p.code for p in found.problems] == ["XC-BAD-003"]
    big = ELF + bytes(96 << 20)
    found = inspect(write(tmp_path, "bomb.zip", containers.zipped({"a.so": big})), ratio=50, ratio_from=16 << 20)
    assert [p.code for p in found.problems] == ["XC-BAD-003"]
    found = inspect(write(tmp_path, "large.zip", containers.zipped({"a.so": big})), object_bytes=8 << 20)
    assert [p.code for p in found.problems] == ["XC-BAD-008"]


def test_archives_in_archives_have_a_floor(tmp_path: Path) -> None:
    data = containers.zipped({"x.so": ELF})
    for _ in range(12):
        data = containers.zipped({"inner.zip": data})
    found = inspect(write(tmp_path, "deep.zip", data))
    assert [p.code for p in found.problems] == ["XC-BAD-005"]
    assert not found.records


def test_many_members_have_an_end(tmp_path: Path) -> None:
    data = containers.zipped({f"{n}": b"" for n in range(300)})
    found = inspect(write(tmp_path, "many.zip", data), members=100)
    assert [p.code for p in found.problems] == ["XC-BAD-003"]


def test_an_encrypted_member_cannot_be_read(tmp_path: Path) -> None:
    data = bytearray(containers.zipped({"x.so": ELF}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    found = inspect(write(tmp_path, "secret.zip", bytes(data)))
    assert [p.code for p in found.problems] == ["XC-BAD-006"]


def test_links_in_a_circle_are_named_and_not_followed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a").symlink_to("b")
    (tree / "b").symlink_to("a")
    (tree / "up").symlink_to("..")
    (tree / "x.so").write_bytes(ELF)
    os.mkfifo(tree / "pipe")
    found = inspect(tree)
    assert [p.code for p in found.problems] == ["XC-BAD-007", "XC-BAD-007"]
    assert len(found.records) == 1
    with pytest.raises(XcError, match="symbolic links"):
        inspect(tree / "a")
    with pytest.raises(XcError, match="neither a regular file"):
        inspect(tree / "pipe")


def test_odd_names_can_be_printed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    odd = b"\xff\xfe\x1b[31m\n.so"
    (tree / os.fsdecode(odd)).write_bytes(ELF)
    info = tarfile.TarInfo(os.fsdecode(odd))
    info.size = len(ELF)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", encoding="utf-8", errors="surrogateescape") as archive:
        archive.addfile(info, io.BytesIO(ELF))
    (tree / "a.tar").write_bytes(buffer.getvalue())
    for record in inspect(tree).records:
        assert record.place.isprintable() and record.place.encode()
        assert "\\xff\\xfe\\x1b[31m\\n.so" in record.place


def test_an_unreadable_file_is_told_and_the_rest_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_xinchuang.inspect import walk

    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("a.so", "b.so"):
        (tree / name).write_bytes(ELF)
    real = walk.mapped

    def refuse(path: Path) -> object:
        if path.name == "a.so":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(walk, "mapped", refuse)
    found = inspect(tree)
    assert [(p.code, p.detail) for p in found.problems] == [("XC-BAD-006", "Permission denied")]
    assert len(found.records) == 1


def test_without_unsquashfs_a_squashfs_is_not_called_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/none")
    found = inspect(write(tmp_path, "image", b"hsqs" + bytes(200)))
    assert [p.code for p in found.problems] == ["XC-BAD-006"]
    assert "squashfs-tools" in found.problems[0].detail


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("mksquashfs") is None, reason="needs squashfs-tools")
def test_a_squashfs_that_would_fill_the_disk_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsquashfs, "MAX_UNSQUASHED", 256 << 20)
    tree = tmp_path / "tree"
    tree.mkdir()
    with (tree / "zeros").open("wb") as file:
        file.truncate(257 << 20)
    (tree / "x.so").write_bytes(ELF)
    image = tmp_path / "image"
    argv = ["mksquashfs", str(tree), str(image), "-quiet", "-no-progress", "-comp", "lz4"]
    subprocess.run(argv, check=True, capture_output=True)
    assert image.stat().st_size < 4 << 20
    found = inspect(image)
    assert [p.code for p in found.problems] == ["XC-BAD-003"]
    assert "257 MiB" in found.problems[0].detail


def test_a_full_disk_is_ours_and_not_the_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_xinchuang.inspect import walk

    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None: ...

        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(walk.tempfile, "TemporaryFile", Full)
    data = containers.zipped({"a.so": ELF + bytes(1 << 20), "b.so": ELF})
    found = inspect(write(tmp_path, "a.zip", data), in_memory=1 << 19)
    assert [(p.code, p.place.rpartition("!")[2]) for p in found.problems] == [("XC-BAD-006", "a.so")]
    assert "No space left" in found.problems[0].detail
    assert [r.path for r in found.records] == ["b.so"]


SEEDS = kinds_of_container()


@pytest.mark.tools  # an image of squashfs in the bytes is unpacked by unsquashfs
@settings(
    max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    name=st.sampled_from(sorted(SEEDS)),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=6),
    cut=st.floats(0.05, 1),
)
@example(name="x.so.zst", edits=[(0.0625, b"\0")], cut=1.0)
@example(name="x.so.zst", edits=[(0.5, b"\xff" * 8)], cut=1.0)
def test_whatever_the_bytes_are_it_is_an_answer(
    name: str, edits: list[tuple[float, bytes]], cut: float, tmp_path: Path, platforms: Platforms
) -> None:
    data = bytearray(SEEDS[name])
    for place, new in edits:
        at = int(place * len(data))
        data[at : at + len(new)] = new
    path = write(tmp_path, name, bytes(data[: max(int(cut * len(data)), 1)]))
    found = inspect(path, seconds=20)
    for platform in platforms.select(["kunpeng", "loongson"]):
        for finding in Verdicts(platform, platforms.file.architectures).of(found):
            assert finding.object.isprintable()
        assert all(f.code.startswith("XC-BAD-") for f in problems_as_findings(found.problems, platform.id))


CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())


@pytest.mark.tools
@pytest.mark.parametrize("path", CORPUS, ids=lambda p: p.name)
def test_the_corpus_gives_answers(path: Path, platforms: Platforms) -> None:
    """Inputs that once were trouble, or that tools of this kind stumble over."""
    found = inspect(path, seconds=20)
    Verdicts(platforms.get("kunpeng"), platforms.file.architectures).of(found)


@pytest.mark.tools
def test_memory_is_bounded(tmp_path: Path) -> None:
    """A 1.5 GiB object in an archive, with 600 MiB of address space for data."""
    path = tmp_path / "large.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.so", "w", force_zip64=True) as file,
    ):
        file.write(ELF)
        for _ in range(1536):
            file.write(bytes(1 << 20))
    script = (
        "import sys\nfrom pathlib import Path\nfrom pytest_xinchuang.inspect.inspector import Inspector\n"
        "from pytest_xinchuang.inspect.walk import Bounds\n"
        "i = Inspector(bounds=Bounds(ratio=2000)).read(Path(sys.argv[1]))\nprint(len(i.records), i.problems)\n"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (600 << 20, 600 << 20))

    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
        timeout=120,
    )
    assert done.stdout.strip() == "1 []", done.stderr[-500:]
