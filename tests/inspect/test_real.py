"""What real tools wrote (tests/inspect/real), and hostile variants of it."""

from __future__ import annotations

import hashlib
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.inspect.formats.contained import CannotRead, ContainedFile, TooMuch
from pytest_xinchuang.inspect.formats.members import members
from pytest_xinchuang.inspect.formats.upx import is_packed, unpacked
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.inspect.walk import Bounds, Walker
from pytest_xinchuang.sandbox.wall.formats import refuser

REAL = Path(__file__).parent / "real"
OBJECT = refuser("x86_64", "no\n", b"\x01" + bytes(6))
LONG = OBJECT + bytes(9000) + b"end\n"[:3]
LOADED = {
    "amd64.upx": "88ca7afa1931dacac0162f93e0055cf5eb263b74cb0a5e3b95568d9ffe9c86b7",
    "arm64.upx": "bc0ed1d52ed122d8046613134fb47921f510408c377b64933399ac3bf7130020",
}
"""SHA-256 of what is loaded of the programs before they were packed, without their section headers' place."""

SORTER = "b977e0c733b9cebb6697df78ec67461ca2b31af062b92e4aec2bdfaa1d816d05"
"""The same of the program that the other files hold."""

WHOLE = {
    "amd64.upx": "6f72037a01a16ae5611e54445fa4140665a8ac6f1b94931460f3460316044e37",
    "arm64.upx": "54bfdc40190ac16018c84c42f28c50c95e63356b5b22aeb6c31efb5556732ff0",
}
"""SHA-256 of the programs before they were packed, as `upx -d` makes them again."""

WHOLE_SORTER = "fa8c0368ec1edefe6e860b38d8920218c6aa154f134fc900ee693e1d84186cc4"
"""The same of the program that the other files hold."""

LIBRARIES = {
    "amd64": "3d2250176013f4d14bf89d9e0ac0c54cdf9be1c0a4b7affa37ce75675b73340d",
    "arm64": "9e3f1f9e2385d90bf33b546a631b36f1935d41d14d3af2e77eea34e8fb76c73f",
}
"""SHA-256 of the executable segment of the libraries before they were packed."""


def content(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def account() -> Walker:
    return Walker(lambda *_: None, Bounds())


def whole(member: ContainedFile) -> bytes:
    member.peek(100)
    return b"".join(member.chunks())


@pytest.mark.parametrize("path", sorted([*REAL.glob("*.squashfs"), *REAL.glob("*.iso.xz")]), ids=lambda p: p.name)
def test_every_file_comes_out_as_it_went_in(path: Path) -> None:
    kind = "iso" if ".iso" in path.name else "squashfs"
    files, links, modes = {}, {}, {}
    for member in members(kind, content(path), account()):
        if member.link is not None:
            links[member.name] = member.link
        else:
            files[member.name] = whole(member)
            modes[member.name] = member.mode
    assert files == {"usr/lib/x.so": OBJECT, "usr/lib/a b/Long.Name-with.many.dots": LONG, "empty": b""}
    if path.name != "J.iso.xz":  # Joliet has neither
        assert links == {"usr/link": "../usr/lib/x.so"}
        assert modes["usr/lib/x.so"] == 0o755 and modes["empty"] == 0o644


def loaded(data: bytes) -> bytes:
    """What the segments load of an object of 64 bits."""
    (begin,) = struct.unpack_from("<Q", data, 32)
    (count,) = struct.unpack_from("<H", data, 56)
    found = b""
    for n in range(count):
        kind, _flags, offset, _address, _physical, size, _memory, _align = struct.unpack_from(
            "<IIQQQQQQ", data, begin + 56 * n
        )
        if kind == 1:
            found += data[offset : offset + size]
    return found


@pytest.mark.parametrize("path", sorted(REAL.glob("*.upx")), ids=lambda p: p.name)
def test_a_packed_program_is_unpacked_byte_for_byte(path: Path) -> None:
    """With what stands between and behind its segments; without that, and without section headers, where it is not there."""
    data = path.read_bytes()
    assert is_packed(data)
    assert hashlib.sha256(unpacked(data, account())).hexdigest() == WHOLE.get(path.name, WHOLE_SORTER)
    assert read_elf(unpacked(data, account()), "x").code[0].name != "(segment)"
    mark = bytes(4) + b"UPX!"  # of the block that ends all, and then of the last header
    ending = data.rindex(mark, 0, data.rindex(mark) + 4)
    less = unpacked(data[: ending + 4] + b"ABC!" + data[ending + 8 :], account())
    assert hashlib.sha256(loaded(less)).hexdigest() == LOADED.get(path.name, SORTER)
    assert read_elf(less, "x").code[0].name == "(segment)"


def test_a_packed_program_is_judged_by_what_it_unpacks_to(tmp_path: Path) -> None:
    found = Inspector().read(REAL / "nrv2e.upx")
    stub, program = found.records
    assert stub.isa is not None and not stub.isa.scanned, "its compressed code is no code"
    assert program.isa is not None and program.isa.scanned > 100
    assert program.elf.libraries == ("libc.so.6",) and not found.problems
    assert stub.sha256 == hashlib.sha256((REAL / "nrv2e.upx").read_bytes()).hexdigest(), "it is the file that is loaded"
    alone = Inspector().object((REAL / "nrv2e.upx").read_bytes(), "app")
    assert alone.isa is None and alone.isa_fault is not None, "who does not unpack it cannot judge it"
    assert program.place == f"{REAL}/nrv2e.upx!nrv2e.upx"


@pytest.mark.parametrize(
    ("arch", "platform", "code"), [("amd64", "zhaoxin", "XC-ISA-003"), ("arm64", "phytium", "XC-ISA-002")]
)
def test_a_packed_library_is_judged_by_what_it_unpacks_to(
    arch: str, platform: str, code: str, platforms: Platforms
) -> None:
    """The loader runs its decompressor first, as DT_INIT or the first constructor; then what it had in that place."""
    path = REAL / f"{arch}.upx-library"
    found = Inspector().read(path)
    data = unpacked(path.read_bytes(), account())
    text = b"".join(data[s.offset : s.offset + s.size] for s in read_elf(data, "x").segments if s.flags & 1)
    assert hashlib.sha256(text).hexdigest() == LIBRARIES[arch]
    stub, library = found.records
    assert not found.problems
    assert library.elf.exports >= {"sum", "f0", "f59"} and library.elf.libraries == stub.elf.libraries
    findings = Verdicts(platforms.get(platform), platforms.file.architectures).of(found)
    # Certain, for the constructor is known again.
    assert [(f.object, f.certainty) for f in findings if f.code == code] == [(library.place, Certainty.CERTAIN)]


HOSTILE_LIBRARY: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda data: data[: len(data) // 2],
    "its last header leads elsewhere": lambda data: data[:-4] + b"\x10\0\0\0",
    "its last header leads out": lambda data: data[:-4] + b"\xff\xff\xff\xff",
    "headers that are none": lambda data: put(data, 24, b"\xff" * 40),
    "a size beyond all bounds": lambda data: put(data, 4, b"\xff\xff\xff\x0f"),
    "a size too small": lambda data: put(data, 4, b"\x40\0\0\0"),
    "no blocks": lambda data: put(data, 12, bytes(12)),
    "a marked copy of its sections": lambda data: marked(data),
}


def put(data: bytes, place: int, new: bytes) -> bytes:
    """``new`` at a place from where p_info begins."""
    at = struct.unpack("<I", data[-4:])[0] + place
    return data[:at] + new + data[at + len(new) :]


def marked(data: bytes) -> bytes:
    entry = struct.unpack_from("<Q", data, 24)[0]
    data = data[:40] + struct.pack("<Q", 64) + data[48:60] + struct.pack("<H", 1) + data[62:]
    return data[: entry - 20] + b"\1" + data[entry - 19 :]


@pytest.mark.parametrize("name", HOSTILE_LIBRARY)
def test_a_packed_library_that_cannot_be_unpacked_is_undecided(name: str, tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(HOSTILE_LIBRARY[name]((REAL / "amd64.upx-library").read_bytes()))
    found = Inspector().read(path)
    assert {p.code for p in found.problems} in ({"XC-BAD-011"}, {"XC-BAD-001"}), found.problems
    assert all(r.isa is None or not r.isa.scanned for r in found.records)


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda data: data[: len(data) // 2],
    "its mark is gone from its beginning": lambda data: data.replace(b"UPX!", b"ABC!", 1),
    "an unknown filter": lambda data: edited(data, 10, b"\x77"),
    "an unknown compression": lambda data: edited(data, 8, b"\x63"),
    "a size beyond all bounds": lambda data: edited(data, -8, b"\xff\xff\xff\x7f"),
    "a block larger than its program": lambda data: edited(data, 0, b"\xff\xff\xff\x7f"),
    "noise": lambda data: edited(data, 200, bytes(range(256)) * 4),
}


def edited(data: bytes, place: int, new: bytes) -> bytes:
    """``new`` at a place from the first block that has a filter on; -8 is p_filesize."""
    first = data.find(b"UPX!") + 8
    if place < 0:
        at = first + 4
    else:
        at = first + 12
        while not data[at + 9]:
            at += 12 + struct.unpack_from("<I", data, at + 4)[0]
        if place == 10:
            place = 9
        at += place
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_packed_program_that_cannot_be_unpacked_is_undecided(name: str, tmp_path: Path) -> None:
    path = tmp_path / "app"
    path.write_bytes(HOSTILE[name]((REAL / "amd64.upx").read_bytes()))
    found = Inspector().read(path)
    assert "XC-BAD-011" in {p.code for p in found.problems}, found.problems
    assert all(r.isa is None or not r.isa.scanned for r in found.records)


def test_a_packer_that_is_not_known_is_seen_by_its_noise(tmp_path: Path) -> None:
    """The program of another packer, or of UPX with its marks taken away: no sections, and code that is noise."""
    noise = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(8000))
    head = bytearray((REAL / "nrv2e.upx").read_bytes()[:232])
    for n, flags in enumerate((4, 5)):
        struct.pack_into("<IIQQQQQQ", head, 64 + 56 * n, 1, flags, 0, 0, 0, 232 + len(noise), 232 + len(noise), 4096)
    struct.pack_into("<H", head, 56, 2)
    path = tmp_path / "app"
    path.write_bytes(bytes(head) + noise)
    found = Inspector().read(path)
    assert [p.code for p in found.problems] == ["XC-BAD-011"] and len(found.records) == 1
    path.write_bytes(bytes(head) + bytes(range(64)) * 4000)
    assert not Inspector().read(path).problems


SEEDS = {path.name: content(path) for path in sorted(REAL.iterdir()) if path.suffix != ".md"}


@pytest.mark.tools  # a squashfs of a compression that is not read here is handed to unsquashfs, where there is one
@settings(
    max_examples=300, deadline=4000, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    name=st.sampled_from(sorted(SEEDS)),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=6),
    cut=st.floats(0.05, 1),
)
def test_whatever_the_bytes_are_it_is_an_answer(
    name: str, edits: list[tuple[float, bytes]], cut: float, tmp_path: Path
) -> None:
    data = bytearray(SEEDS[name])
    # Most of an ISO image is zeros: its directory and descriptors are what is edited.
    begin = 32768 if ".iso" in name else 0
    for place, new in edits:
        at = begin + int(place * min(len(data) - begin, 20480))
        data[at : at + len(new)] = new
    path = tmp_path / "x"
    path.write_bytes(bytes(data[: max(int(cut * len(data)), 1)]))
    found = Inspector(bounds=Bounds(seconds=20), isa=False).read(path)
    assert all(p.code.startswith("XC-BAD-") for p in found.problems)


@settings(max_examples=300, deadline=4000)
@given(kind=st.sampled_from(["iso", "asar", "squashfs", "pyinstaller", "cpio"]), data=st.binary(max_size=400))
def test_readers_refuse_what_is_not_theirs(kind: str, data: bytes) -> None:
    try:
        for member in members(kind, data, account()):
            if member.link is None:
                whole(member)
    except (CannotRead, TooMuch):
        pass
