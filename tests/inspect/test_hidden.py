"""What stands inside of something else is looked into or told: another machine's program beside good files is never clean."""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import lzma
import pickle
import random
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.inspect.delivered import Inspection
from pytest_xinchuang.inspect.formats.encoded import decoded_by_script
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts, problems_as_findings
from pytest_xinchuang.inspect.walk import Bounds
from pytest_xinchuang.sandbox.wall.formats import refuser
from tests.inspect import containers

BAD = refuser("x86_64", "no\n", bytes(7))
GOOD = refuser("aarch64", "no\n", bytes(7))
REAL = Path(__file__).parent / "real"
JUNK = bytes(range(256)) * 40
PEM = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(JUNK) + b"-----END CERTIFICATE-----\n"


def read(path: Path) -> Inspection:
    return Inspector().read(path)


def told(path: Path, platforms: Platforms) -> set[tuple[str, Certainty]]:
    """Codes of what is said of an artifact on a platform of arm64, notes left out."""
    platform = platforms.get("kunpeng")
    inspection = read(path)
    found = Verdicts(platform, platforms.file.architectures).of(inspection)
    found += problems_as_findings(inspection.problems, platform.id)
    return {(f.code, f.certainty) for f in found if f.certainty is not Certainty.NOTE}


def with_data(data: bytes, program: bytes = GOOD) -> bytes:
    """A program with these bytes in its segment, among others."""
    whole = bytearray(program.ljust(4096, b"\0") + data + b"behind it")
    (begin,) = struct.unpack_from("<Q", whole, 32)
    struct.pack_into("<I", whole, begin + 4, 4)  # no code is in it
    struct.pack_into("<QQ", whole, begin + 32, len(whole), len(whole))
    return bytes(whole)


def uuencoded(data: bytes) -> bytes:
    lines = b"".join(binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45))
    return b"begin 755 app\n" + lines + b"`\nend\n"


def lines_of(length: int, letters: bytes) -> bytes:
    """A text in lines of so many letters. 44 is the least in which the first line of base64 is known by gzip's mark."""
    return b"".join(letters[at : at + length] + b"\n" for at in range(0, len(letters), length))


def iso(files: dict[str, bytes]) -> bytes:
    """A plain ISO 9660 image without directories."""
    block, first = 2048, 20
    records, body, at = b"", b"", first

    def record(name: bytes, extent: int, size: int, flags: int) -> bytes:
        both = struct.pack("<I", extent) + struct.pack(">I", extent) + struct.pack("<I", size) + struct.pack(">I", size)
        raw = bytes([0, 0]) + both + bytes(7) + bytes([flags, 0, 0, 1, 0, 0, 1, len(name)]) + name
        raw += bytes(len(raw) % 2)
        return bytes([len(raw)]) + raw[1:]

    root = record(b"\0", 18, block, 2) + record(b"\1", 18, block, 2)
    for name, data in files.items():
        records += record(name.upper().encode() + b";1", at, len(data), 0)
        body += data + bytes(-len(data) % block)
        at += -(-len(data) // block)
    volume = bytearray(block)
    volume[:7] = b"\1CD001\1"
    volume[128:132] = struct.pack("<H", block) + struct.pack(">H", block)
    volume[156:190] = record(b"\0", 18, block, 2)
    end = bytearray(block)
    end[:7] = b"\xffCD001\1"
    return bytes(16 * block) + volume + end + (root + records).ljust(2 * block, b"\0") + body


def hiding(elf: bytes) -> dict[str, bytes]:
    """A program in every place where one has been hidden."""
    script = b"#!/bin/sh\nsed '1,/^__DATA__$/d' \"$0\" | base64 -d > /opt/app && exec /opt/app\nexit\n__DATA__\n"
    kernel = containers.cpio({"kernel/x86/microcode/GenuineIntel.bin": b"x" * 100})
    packed = gzip.compress(containers.tar({"bin/app": elf}))
    return {
        "app.asar": containers.asar({"node_modules/b.node": elf, "main.js": b"x()"}),
        "initrd.img": kernel + containers.cpio({"bin/init": elf}),
        "initrd-padded.img": kernel + bytes(512) + gzip.compress(containers.cpio({"bin/init": elf})),
        "initrd-xz.img": kernel + bytes(64) + lzma.compress(containers.cpio({"bin/init": elf}), lzma.FORMAT_XZ),
        "initrd-packed-twice.img": gzip.compress(kernel + bytes(4)) + gzip.compress(containers.cpio({"bin/init": elf})),
        "initrd-other.img": gzip.compress(kernel) + bytes(8) + lzma.compress(containers.cpio({"bin/init": elf})),
        "tool": GOOD.ljust(4096, b"\0") + elf + bytes(40),
        "tool-gzip": with_data(gzip.compress(elf) + bytes(40)),
        "tool-xz": with_data(lzma.compress(JUNK) + b"#" + lzma.compress(elf)),
        "tool-bzip2": with_data(bz2.compress(elf) + bytes(40)),
        "tool-zstd": with_data(zstandard.compress(elf) + bytes(40)),
        "tool-tar": with_data(packed + b"#"),
        "resources.bin": b"RES\0" + JUNK + elf + JUNK,
        "self.sh": script + base64.encodebytes(elf),
        "long-line.sh": script + base64.b64encode(elf),
        "packed.sh": script + base64.encodebytes(packed),
        "lines-of-44.sh": script + lines_of(44, base64.b64encode(packed)),
        "uu.sh": b"#!/bin/sh\nuudecode $0\n" + uuencoded(elf),
        "app.uu": uuencoded(elf),
        "hex.sh": b"#!/bin/sh\nxxd -r -p <<E\n" + binascii.hexlify(elf) + b"\nE\n",
        "loader.py": b"import base64\nDATA = (\n'" + b"'\n    '".join(base64.encodebytes(elf).split()) + b"')\n",
        "escapes.sh": b"#!/bin/sh\nprintf '" + b"".join(b"\\%03o" % c for c in elf) + b"' > app\n",
        "escapes.py": b"open('app', 'wb').write(" + repr(elf).encode() + b")\n",
        "numbers.js": b"write(new Uint8Array([" + b", ".join(b"%d" % c for c in elf) + b"]))",
        "numbers.py": b"DATA = bytes([" + b",\n ".join(b"0x%02x" % c for c in elf) + b"])",
        "NUMBERS.js": b"write(new Uint8Array([" + b",".join(b"0x%02X" % c for c in elf) + b"]))",
        "b85.py": b'import base64\nD = base64.b85decode("' + base64.b85encode(packed) + b'")\n',
        "b32.py": b'import base64\nD = base64.b32decode("' + base64.b32encode(packed) + b'")\n',
        "b32.sh": b"#!/bin/sh\nbase32 -d <<E > app\n" + base64.b32encode(elf) + b"\nE\n",
        "a85.py": b"import base64\nD = base64.a85decode(" + repr(base64.a85encode(packed)).encode() + b")\n",
        "zlib.py": b'import base64, zlib\nD = zlib.decompress(base64.b64decode("'
        + base64.b64encode(zlib.compress(elf + bytes(range(256)), 9))
        + b'"))\n',
        "inflate.js": b'run(zlib.inflateSync(Buffer.from("'
        + base64.b64encode(zlib.compress(elf + bytes(range(256)), 1))
        + b'", "base64")))\n',
        "echoes.sh": b"#!/bin/sh\n: > t\n"
        + b"".join(b"echo '%s' >> t\n" % line for line in base64.encodebytes(elf).split())
        + b"base64 -d t > app\n",
        "sums.sh": b"#!/bin/sh\n"
        + b"".join(b'P="${P}%s"\n' % line for line in base64.encodebytes(packed).split())
        + b'echo "$P" | base64 -d | tar xz\n',
        "tool.pyc": b"\xa7\r\r\n" + bytes(12) + b"s" + struct.pack("<I", len(elf)) + elf + b"N" * 9,
        "bundle.js": b'const d="' + base64.b64encode(elf) + b'"; run(Buffer.from(d, "base64"))',
        "inst.iso": iso({"app": elf, "readme.txt": b"read me"}),
        "frozen": GOOD + containers.pyinstaller({"lib/x.so": elf}),
        "appended": GOOD + gzip.compress(containers.tar({"bin/app": elf})),
        "two.tar": containers.tar({"readme": b"read me"}) + containers.tar({"bin/app": elf}),
        "module.jmod": b"JM\1\0" + containers.zipped({"lib/x.so": elf}),
        "odd.dat": b"\1\2\0\3" + JUNK + containers.zipped({"lib/x.so": elf}),
    }


@pytest.mark.parametrize("name", hiding(BAD))
@pytest.mark.parametrize("outer", ["directory", "tar", "zip"])
def test_a_program_of_another_machine_is_not_clean_wherever_it_hides(
    name: str, outer: str, tmp_path: Path, platforms: Platforms
) -> None:
    for elf, clean in ((BAD, False), (GOOD, True)):
        files = {"server": GOOD, name: hiding(elf)[name]}
        place = tmp_path / f"delivery-{clean}"
        if outer == "directory":
            place.mkdir()
            for path, data in files.items():
                (place / path).write_bytes(data)
        else:
            place.write_bytes(containers.tar(files) if outer == "tar" else containers.zipped(files))
        found = told(place, platforms)
        if name == "odd.dat" and outer != "directory":
            # Its beginning is gone when its end shows what it is.
            assert found == {("XC-BAD-006", Certainty.UNDECIDED)}
        elif clean:
            assert not found
        else:
            assert found and {code for code, _certainty in found} <= {"XC-ELF-001", "XC-BAD-010", "XC-PKG-008"}


def test_an_object_for_each_machine_among_the_data_is_a_choice(tmp_path: Path, platforms: Platforms) -> None:
    path = tmp_path / "tool"
    path.write_bytes(GOOD.ljust(4096, b"\0") + BAD + bytes(100) + GOOD)
    assert not told(path, platforms)


HARMLESS = {
    "a picture": b"\x89PNG\r\n\x1a\n" + JUNK + BAD,
    "the magic alone": JUNK + b"\x7fELF" + JUNK,
    "the identification alone": JUNK + BAD[:20] + bytes(400),
    "code for a GPU": JUNK + BAD[:18] + struct.pack("<H", 190) + BAD[20:],
    "an eBPF program": JUNK + BAD[:18] + struct.pack("<H", 247) + BAD[20:],
    "an object that is linked later": JUNK + BAD[:16] + b"\1\0" + BAD[18:],
    "data for zlib": b"import base64, zlib\nD = zlib.decompress(base64.b64decode('"
    + base64.b64encode(zlib.compress(JUNK))
    + b"'))\n",
    "words in base32": b"#!/bin/sh\nbase32 -d <<E\n" + base64.b32encode(b"nothing but words " * 40) + b"\nE\n",
    "a picture in lines": b"#!/bin/sh\n"
    + b"".join(b"echo %s >> t\n" % line for line in base64.encodebytes(b"\x89PNG\r\n\x1a\n" + JUNK).split())
    + b"base64 -d t\n",
    "a signature": b"-----BEGIN PGP SIGNATURE-----\n\n" + base64.encodebytes(JUNK) + b"-----END PGP SIGNATURE-----\n",
    "a certificate": b"#!/bin/sh\nbase64 -d <<E | openssl x509\n" + PEM + b"E\n",
    "text of base64 letters": b"#!/bin/sh\n" + b"f0VMR is how it begins\n" * 20,
    "a picture that a script decodes": b"#!/bin/sh\nbase64 -d <<E\n"
    + base64.encodebytes(b"\x89PNG\r\n\x1a\n" + JUNK)
    + b"E\n",
    "the magic in a program's text": b"#!/usr/bin/python3\nif data[:4] == b'\\x7fELF': ok()\nMAGIC = [127, 69, 76, 70]\n",
    "a header of C": b"static const unsigned char helper[] = {" + b",".join(b"%d" % c for c in BAD) + b"};\n",
    "a script of words": b"#!/bin/sh\nbase64 -d $1\n" + b"echo word; " * 2000,
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_looks_like_it_is_no_matter(name: str, tmp_path: Path, platforms: Platforms) -> None:
    (tmp_path / "server").write_bytes(GOOD)
    (tmp_path / "data").write_bytes(HARMLESS[name])
    assert not told(tmp_path, platforms)


def partitions() -> bytes:
    table = bytearray(1024)
    table[446:462] = b"\x80\0\0\0\x83\0\0\0" + struct.pack("<II", 2048, 4096)
    table[510:512] = b"\x55\xaa"
    return bytes(table)


def ext4() -> bytes:
    data = bytearray(4096)
    data[1024 + 24 : 1024 + 28] = struct.pack("<I", 2)
    data[1080:1082] = b"\x53\xef"
    data[1100] = 1
    return bytes(data)


CLOSED = {
    "a disk": partitions(),
    "ext4": ext4(),
    "EROFS": bytes(1024) + b"\xe2\xe1\xf5\xe0" + bytes(4000),
    "FAT": bytes(54) + b"FAT16   " + bytes(448) + b"\x55\xaa" + bytes(4000),
    "UDF": bytes(32769) + b"BEA01" + bytes(4000),
    "btrfs": bytes(65600) + b"_BHRfS_M" + bytes(4000),
    "a message of PGP": b"-----BEGIN PGP MESSAGE-----\n\n" + base64.encodebytes(JUNK) + b"-----END PGP MESSAGE-----\n",
    "a file of age": b"age-encryption.org/v1\n-> X25519 x\n" + JUNK,
    "what openssl enc writes": b"Salted__" + JUNK,
    "lines that a script puts together": b"#!/bin/sh\n"
    + b"".join(b"echo %s >> t\n" % line for line in base64.encodebytes(random.Random(3).randbytes(6000)).split())
    + b"base64 -d t | openssl enc -d -aes256 > app\n",
    "LUKS": b"LUKS\xba\xbe\0\2" + bytes(1000),
    "a script that decodes anything": b"#!/bin/sh\nbase64 -d <<E | openssl enc -d > app\n"
    + base64.encodebytes(JUNK)
    + b"E\n",
    "data behind a program": GOOD + bytes(range(1, 256)) * 40,
    "an initrd with something else": containers.cpio({"a": b"b"}) + b"\x04\x22\x4d\x18" + bytes(100),
    "data behind an archive": containers.tar({"a": b"b"}) + JUNK,
    "data behind a stream": lzma.compress(containers.tar({"a": b"b"})) + JUNK,
}


@pytest.mark.parametrize("name", CLOSED)
def test_what_cannot_be_read_is_undecided(name: str, tmp_path: Path, platforms: Platforms) -> None:
    for outer in ("directory", "tar"):
        place = tmp_path / outer
        if outer == "directory":
            place.mkdir()
            (place / "server").write_bytes(GOOD)
            (place / "data").write_bytes(CLOSED[name])
        else:
            place.write_bytes(containers.tar({"server": GOOD, "data": CLOSED[name]}))
        found = told(place, platforms)
        assert found and all(certainty is Certainty.UNDECIDED for _code, certainty in found), (outer, found)


def test_the_kernels_own_image_is_no_disk(tmp_path: Path, platforms: Platforms) -> None:
    kernel = bytearray(partitions())
    kernel[514:518] = b"HdrS"
    (tmp_path / "vmlinuz").write_bytes(bytes(kernel))
    (tmp_path / "server").write_bytes(GOOD)
    assert not told(tmp_path, platforms)


def test_a_signed_kernel_module_and_a_short_rest_are_no_matter(tmp_path: Path, platforms: Platforms) -> None:
    signature = JUNK + b"~Module signature appended~\n"
    for name, rest in (("a.ko", signature), ("b", b"check sum"), ("c", bytes(9000))):
        (tmp_path / name).write_bytes(GOOD + rest)
    assert not told(tmp_path, platforms)


@pytest.mark.parametrize("data", [
    gzip.compress(BAD[:18] + struct.pack("<H", 190) + BAD[20:]), zstandard.compress(BAD[:18] + b"\xe0\0" + BAD[20:]),
    gzip.compress(BAD[:18] + struct.pack("<H", 247) + BAD[20:]), gzip.compress(BAD[:16] + b"\1\0" + BAD[18:]),
    zstandard.compress(b"!<arch>\n" + JUNK),
    gzip.compress(JUNK), lzma.compress(b"text " * 99), gzip.compress(b""), gzip.compress(b"\x7fELF"), b"\x1f\x8b\x08" * 99,
    gzip.compress(containers.tar({"page.1": b".TH"})), b"\xfd7zXZ\0\0\4" + JUNK, b"BZh91AY&SY" + JUNK,
    b"\x28\xb5\x2f\xfd" + JUNK, gzip.compress(gzip.compress(JUNK)),
])  # fmt: skip
def test_compressed_data_of_a_program_are_no_matter(data: bytes, tmp_path: Path, platforms: Platforms) -> None:
    (tmp_path / "server").write_bytes(with_data(data))
    assert not told(tmp_path, platforms)


def test_a_compressed_program_among_data_is_undecided(tmp_path: Path, platforms: Platforms) -> None:
    """Whether it is started cannot be seen: an agent may carry one for each machine."""
    both = containers.tar({"linux-amd64/helper": BAD, "linux-arm64/helper": GOOD})
    for data, wanted in (
        (gzip.compress(BAD, mtime=0), {("XC-BAD-010", Certainty.UNDECIDED)}),
        (gzip.compress(containers.tar({"bin/app": BAD}), mtime=0), {("XC-BAD-010", Certainty.UNDECIDED)}),
        (gzip.compress(GOOD, mtime=0), set()),
        (gzip.compress(both, mtime=0), set()),
        (
            gzip.compress(BAD + random.Random(1).randbytes(9000))[:-3000] + bytes(6000),
            {("XC-BAD-002", Certainty.UNDECIDED)},
        ),
    ):
        (tmp_path / "server").write_bytes(with_data(data))
        assert told(tmp_path, platforms) == wanted


def test_compressed_data_without_end_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.write_bytes(with_data(gzip.compress(BAD + bytes(1 << 30), 1)))
    begun = time.monotonic()
    found = Inspector(bounds=Bounds(expanded=64 << 20)).read(path)
    assert "XC-BAD-003" in {p.code for p in found.problems}
    assert time.monotonic() - begun < 30
    path.write_bytes(with_data(b"\x1f\x8b\x08\0\0\0\0\0\0\3" * 30_000))
    assert "XC-BAD-003" in {p.code for p in read(path).problems}


def test_many_hidden_objects_have_an_end(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"\0" + (BAD + bytes(16)) * 100)
    found = read(tmp_path / "data")
    assert len(found.records) == 64 and [p.code for p in found.problems] == ["XC-BAD-003"]


def test_sparse_files_cost_what_is_in_them(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"\2\0")
        file.seek(6 << 30)
        file.write(BAD)
        file.truncate(8 << 30)
    assert [r.place for r in read(path).records] == [f"{path}!0x{6 << 30:x}"]


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"x": {"size": 10, "offset": "999999"}}, "leaves"),
        ({"x": {"size": -1, "offset": "0"}}, "leaves"),
        ({"x": {"size": 10, "offset": "-5"}}, "leaves"),
        ({"x": {"size": "ten", "offset": "0"}}, "no place"),
        ({"x": 5}, "neither"),
        ({"x": {}}, "no place"),
    ],
)
def test_a_bad_header_of_electrons_is_damaged(extra: dict[str, object], said: str, tmp_path: Path) -> None:
    path = tmp_path / "app.asar"
    path.write_bytes(containers.asar({"a/b.node": BAD}, extra))
    found = read(path)
    assert [p.code for p in found.problems] == ["XC-BAD-002"] and said in found.problems[0].detail


def test_what_electron_keeps_beside_its_archive_is_not_missed_in_it(tmp_path: Path) -> None:
    path = tmp_path / "app.asar"
    path.write_bytes(
        containers.asar({"a.node": BAD}, {"b.node": {"size": 9, "unpacked": True}, "c": {"link": "a.node"}})
    )
    found = read(path)
    assert not found.problems and found.root.members == ["a.node"] and found.root.links == {"c": "/a.node"}
    deep = b'{"files":' * 5000 + b"{}" + b"}" * 5000
    path.write_bytes(struct.pack("<IIII", 4, len(deep) + 8, len(deep) + 4, len(deep)) + deep)
    assert [p.code for p in read(path).problems] == ["XC-BAD-002"]


TEDIOUS = {
    "magics": b"\0\1" + b"\x7fELF" * 500_000,
    "identifications": b"\0\1" + BAD[:7] * 300_000,
    "headers that overlap": b"\0\1" + (BAD[:56] + b"\xff\xff" + BAD[58:64]) * 60_000,
    "spaces between quotes": b"#!/bin/sh\nbase64 -d\n" + (b"f0VMRgIB" + b"A" * 60 + b'"' + b" " * 500_000) * 4,
    "a command again and again": b"#!/bin/sh\n" + b"openssl enc " * 200_000,
    "beginnings of uuencode": b"#!/bin/sh\n" + b"begin 644 a\n" * 200_000,
    "base64 again and again": b"#!/bin/sh\nbase64 -d\n" + (b"H4sI" + b"A" * 200 + b"\n.\n") * 20_000,
    "escapes": b"#!/bin/sh\n" + b"\\x7fELF" * 200_000,
    "strings that begin": b"#!/bin/sh\n" + b"'\\x7fELF'\n" * 100_000,
    "numbers": b"#!/bin/sh\n" + b"127,69,76,70," * 100_000,
    "base85": b"#!/bin/sh\nb85decode\n" + (b"A" * 4000 + b" ") * 500,
    "lines of one frame": b"#!/bin/sh\nbase64 -d\n" + (b"echo " + b"A" * 60 + b" >> t\n") * 60_000,
    "letters and quotes": b"#!/bin/sh\na85decode\n" + (b"'" + b"\\" * 159) * 5_000,
    "zlib again and again": b"#!/bin/sh\nzlib\n" + (b"eJw" + b"A" * 200 + b"\n.\n") * 20_000,
    "base32": b"#!/bin/sh\nbase32 -d\n" + (b"A" * 4000 + b" ") * 500,
    "long words": b"#!/bin/sh\nbase64 -d\n" + (b"A" * 59 + b" ") * 60_000,
}


@pytest.mark.parametrize("name", TEDIOUS)
def test_what_was_made_to_take_long_does_not(name: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(TEDIOUS[name])
    begun = time.process_time()
    read(tmp_path / "x")
    assert time.process_time() - begun < 8


ANYTHING = random.Random(7).randbytes(8000)
"""Bytes of no kind that is known."""


@pytest.mark.parametrize(
    ("name", "rest", "decodes"),
    [
        ("font.py", "font = load(data)\n", False),
        ("font.py", "# the system's fonts; evaluate them\nfont = load(data)\n", False),
        ("loader.py", "subprocess.run([write(data)])\n", True),
        ("loader.py", "ctypes.CDLL(write(data))\n", True),
        ("loader.py", "exec (data)\n", True),
        ("loader.js", "require('child_process').spawnSync(write(data))\n", True),
        # A script of a shell has nothing else to do with it.
        ("install.sh", "", True),
        ("install", "", True),
    ],
)
def test_constants_of_modules_are_no_programs(name: str, rest: str, decodes: bool) -> None:
    text = f"data = base64.b64decode('{base64.b64encode(ANYTHING).decode()}')\n{rest}"
    assert decoded_by_script(text.encode(), name) is decodes


def test_a_text_that_is_decoded_has_lines_of_sixty_letters() -> None:
    script = b"#!/bin/sh\nbase64 -d > /opt/app <<E\n"
    letters = base64.b64encode(ANYTHING)
    assert decoded_by_script(script + lines_of(60, letters) + b"E\n")
    assert not decoded_by_script(script + lines_of(59, letters) + b"E\n")
    assert not decoded_by_script(lines_of(60, letters))


def large(program: bytes) -> bytes:
    """A program that takes several pages."""
    return with_data(bytes(range(256)) * 64, program)


@pytest.mark.parametrize("packed", [bytes, gzip.compress, lzma.compress, zstandard.compress, bz2.compress])
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_program_in_a_database(
    packed: Callable[[bytes], bytes], journal: str, platforms: Platforms, tmp_path: Path
) -> None:
    path = tmp_path / "a.zip"
    other = [("XC-BAD-010", Certainty.UNDECIDED)]
    for values, wanted in (
        ((b"x" * 5000, packed(large(BAD))), other),
        ((base64.b64encode(large(BAD)).decode(),), other),
        ((containers.tar({"bin/app": BAD}),), other),
        ((packed(large(GOOD)), packed(large(BAD))), []),
        ((packed(b"text " * 1000), None, 7, 1.5, "text", b"y" * 9000), []),
    ):
        path.write_bytes(
            containers.zipped({"good": GOOD, "data/store.db": containers.database(*values, journal=journal, page=512)})
        )
        assert sorted(told(path, platforms)) == wanted, values
        # By itself too.
        (tmp_path / "store.db").write_bytes(containers.database(*values, journal=journal))
        assert bool(told(tmp_path / "store.db", platforms)) is bool(wanted) or not wanted


def test_a_database_that_cannot_be_read_is_open(platforms: Platforms, tmp_path: Path) -> None:
    whole = containers.database(large(BAD))
    path = tmp_path / "a.zip"
    for damaged in (
        whole[:3000],
        whole[:100],
        whole[:4096] + bytes(len(whole) - 4096),
        whole.replace(b"CREATE", b"CREASE"),
    ):
        path.write_bytes(containers.zipped({"good": GOOD, "store.db": damaged}))
        assert {certainty for _code, certainty in told(path, platforms)} == {Certainty.UNDECIDED}


def test_programs_in_what_python_and_git_keep(platforms: Platforms, tmp_path: Path) -> None:
    """Pickles and arrays have a program's bytes as they are; a pack of Git's has them compressed, and is open."""
    path = tmp_path / "a.zip"
    for name, data, wanted in (
        ("a.pkl", pickle.dumps({"app": large(BAD)}), "XC-BAD-010"),
        ("a.pkl", pickle.dumps({"app": JUNK}), ""),
        ("pack-1.pack", b"PACK\0\0\0\2\0\0\0\1" + zlib.compress(large(BAD)), "XC-BAD-006"),
    ):
        path.write_bytes(containers.zipped({"good": GOOD, name: data}))
        assert [code for code, _certainty in told(path, platforms)] == ([wanted] if wanted else [])
