"""What is done to a good product of each ecosystem: by name, the edit, and the codes with the places that tell of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.packages.supply_chain.ecosystems.worlds import put, sha, sri

Edit = Callable[[Path], object]


def edit(name: str, old: str, new: str) -> Edit:
    """Replace a text in a file of the product, once."""

    def change(root: Path) -> None:
        path = root / "product" / name
        text = path.read_text()
        assert old in text, (name, old)
        path.write_text(text.replace(old, new, 1))

    return change


def write(name: str, data: str | bytes) -> Edit:
    return lambda root: put(root / "product", {name: data})


def remove(name: str) -> Edit:
    return lambda root: (root / "product" / name).unlink()


def append(name: str, text: str) -> Edit:
    def change(root: Path) -> None:
        path = root / "product" / name
        path.write_text(path.read_text() + text)

    return change


def flip(name: str) -> Edit:
    """One bit of the last byte of a file below the world."""

    def change(root: Path) -> None:
        data = bytearray((root / name).read_bytes())
        data[-1] ^= 1
        (root / name).write_bytes(bytes(data))

    return change


def both(*edits: Edit) -> Edit:
    def change(root: Path) -> None:
        for one in edits:
            one(root)

    return change


def in_lock(place: str, **fields: Any) -> Edit:
    """Set fields of a package in package-lock.json; None takes one away."""

    def change(root: Path) -> None:
        path = root / "product/package-lock.json"
        data = json.loads(path.read_text())
        one = data["packages"].setdefault(place, {})
        for key, value in fields.items():
            one[key] = value
            if value is None:
                del one[key]
        path.write_text(json.dumps(data, indent=1))

    return change


LEFT = "node_modules/left"
LOCK, TREE = "package-lock.json", "node_modules/left/index.js"

NPM: dict[str, tuple[Edit, dict[str, str]]] = {
    "one byte of an installed file": (edit(TREE, "1", "2"), {"XC-SUP-120": TREE}),
    "a file more": (write("node_modules/left/more.js", "x"), {"XC-SUP-121": "node_modules/left/more.js"}),
    "a file less": (remove(TREE), {"XC-SUP-123": TREE}),
    "a package more": (
        write("node_modules/evil/package.json", '{"name":"evil","version":"1.0.0"}'),
        {"XC-SUP-122": "node_modules/evil"},
    ),
    "a loose file": (write("node_modules/loose.js", "x"), {"XC-SUP-121": "node_modules/loose.js"}),
    "a forged integrity": (in_lock(LEFT, integrity=sri(b"other")), {"XC-SUP-106": f"{LOCK}:15"}),
    "an edit with a forged integrity": (
        both(in_lock(LEFT, integrity=sri(b"other")), edit(TREE, "1", "2")),
        {"XC-SUP-106": f"{LOCK}:15", "XC-SUP-120": TREE},
    ),
    "no integrity": (in_lock(LEFT, integrity=None), {"XC-SUP-104": f"{LOCK}:15"}),
    "a malformed integrity": (
        in_lock(LEFT, integrity="sha512-AAAA"),
        {"XC-SUP-101": f"{LOCK}:15", "XC-SUP-104": f"{LOCK}:15"},
    ),
    "another host": (
        in_lock(LEFT, resolved="https://evil.example/left/-/left-1.0.0.tgz"),
        {"XC-SUP-111": f"{LOCK}:15"},
    ),
    "plain http": (
        in_lock(LEFT, resolved="http://npm.example.org/left/-/left-1.0.0.tgz"),
        {"XC-SUP-111": f"{LOCK}:15"},
    ),
    "another package's archive": (
        in_lock(LEFT, resolved="https://npm.example.org/evil/-/evil-1.0.0.tgz"),
        {"XC-SUP-115": f"{LOCK}:15"},
    ),
    "a bundle that no package brings": (
        in_lock(LEFT, integrity=None, resolved=None, inBundle=True),
        {"XC-SUP-104": f"{LOCK}:15"},
    ),
    "a link out of the product in the lock": (
        in_lock("node_modules/out", link=True, resolved="../out"),
        {"XC-SUP-113": f"{LOCK}:26"},
    ),
    "from git": (
        in_lock(LEFT, resolved="git+ssh://git@github.com/a/left.git#abc", integrity=None),
        {"XC-SUP-112": f"{LOCK}:15", "XC-SUP-124": LEFT},
    ),
    "a version that nobody published": (
        both(in_lock(LEFT, version="1.0.9", resolved=None), edit("node_modules/left/package.json", "1.0.0", "1.0.9")),
        {"XC-SUP-107": f"{LOCK}:15", "XC-SUP-124": LEFT},
    ),
    "another version is installed": (edit("node_modules/left/package.json", "1.0.0", "1.0.1"), {"XC-SUP-126": LEFT}),
    "a script that is hidden": (in_lock("node_modules/@s/right", hasInstallScript=None), {"XC-SUP-117": f"{LOCK}:20"}),
    "a manifest that asks for more": (
        edit("package.json", '"left": "^1.0.0"', '"left": "^1.0.0", "more": "1"'),
        {"XC-SUP-103": "package.json"},
    ),
    "a manifest that asks for another range": (
        edit("package.json", "^1.0.0", "^1.1.0"),
        {"XC-SUP-103": "package.json:5"},
    ),
    "a lock below the range": (
        both(edit("package.json", "^1.0.0", "^1.1.0"), edit(LOCK, "^1.0.0", "^1.1.0")),
        {"XC-SUP-103": "package.json:5"},
    ),
    "no lock": (
        both(remove(LOCK), lambda r: shutil.rmtree(r / "product/node_modules")),
        {"XC-SUP-100": "package.json"},
    ),
    "a key given twice": (
        edit(LOCK, '"lockfileVersion": 3', '"lockfileVersion": 3, "lockfileVersion": 3'),
        {"XC-SUP-101": LOCK, "XC-SUP-122": LEFT},
    ),
    "an index of one's own": (write(".npmrc", "registry=https://npm.evil.example/\n"), {"XC-SUP-145": ".npmrc:1"}),
    "a record of another install": (
        write(
            "node_modules/.package-lock.json",
            json.dumps({"packages": {LEFT: {"version": "1.0.0", "integrity": sri(b"other")}}}),
        ),
        {"XC-SUP-127": "node_modules/.package-lock.json"},
    ),
    "one byte of an archive that is here": (
        flip("registry/left/left-1.0.0.tgz"),
        {"XC-SUP-125": f"{LOCK}:15", "XC-SUP-124": LEFT},
    ),
    "a link out of the product": (
        lambda r: (r / "product/node_modules/out").symlink_to("/etc"),
        {"XC-SUP-121": "node_modules/out"},
    ),
}

SITE = "vendor/alpha/__init__.py"
REQ = "requirements.txt"
NONE = "0" * 64

PYPI: dict[str, tuple[Edit, dict[str, str]]] = {
    "one byte of an installed file": (edit(SITE, "alpha", "alphA"), {"XC-SUP-120": SITE}),
    "an edit that RECORD agrees with": (
        both(
            edit(SITE, "alpha", "alphA"),
            edit("vendor/alpha-1.0.dist-info/RECORD", "__init__.py,,", "__init__.py,sha256=x,9"),
        ),
        {"XC-SUP-120": SITE},
    ),
    "a path file": (write("vendor/evil.pth", "import os\n"), {"XC-SUP-121": "vendor/evil.pth"}),
    "a file that RECORD lists": (
        both(write("vendor/alpha/more.py", "x"), append("vendor/alpha-1.0.dist-info/RECORD", "alpha/more.py,,\n")),
        {"XC-SUP-121": "vendor/alpha/more.py"},
    ),
    "a file less": (remove(SITE), {"XC-SUP-123": SITE}),
    "compiled files": (write("vendor/alpha/__pycache__/__init__.cpython-311.pyc", "x"), {"XC-SUP-128": "vendor"}),
    "compiled without a source": (
        write("vendor/alpha/__pycache__/evil.cpython-311.pyc", "x"),
        {"XC-SUP-128": "vendor", "XC-SUP-121": "vendor/alpha/__pycache__/evil.cpython-311.pyc"},
    ),
    "a package more": (
        write("vendor/evil-1.0.dist-info/METADATA", "Name: evil\n"),
        {"XC-SUP-122": "vendor"},
    ),
    "a forged hash": (
        lambda r: edit(REQ, sha("sha256", (r / "registry/alpha-1.0-py3-none-any.whl").read_bytes()), NONE)(r),
        {"XC-SUP-106": f"{REQ}:1"},
    ),
    "no hash": (
        lambda r: edit(
            REQ, f" \\\n    --hash=sha256:{sha('sha256', (r / 'registry/alpha-1.0-py3-none-any.whl').read_bytes())}", ""
        )(r),
        {"XC-SUP-104": f"{REQ}:1"},
    ),
    "no version": (
        edit(REQ, "alpha==1.0", "alpha>=1.0"),
        {"XC-SUP-119": f"{REQ}:1", "XC-SUP-103": "pyproject.toml", "XC-SUP-122": "vendor"},
    ),
    "a hash that is none": (
        edit(REQ, "--hash=sha256:", "--hash=sha256:x"),
        {"XC-SUP-101": f"{REQ}:1", "XC-SUP-104": f"{REQ}:1"},
    ),
    "another index": (append(REQ, "--extra-index-url https://evil.example/simple\n"), {"XC-SUP-145": f"{REQ}:5"}),
    "from git": (append(REQ, "gamma @ git+https://github.com/a/gamma@main\n"), {"XC-SUP-112": f"{REQ}:5"}),
    "a version that nobody published": (
        edit(REQ, "alpha==1.0", "alpha==1.1"),
        {"XC-SUP-107": f"{REQ}:1", "XC-SUP-126": "vendor"},
    ),
    "a manifest that asks for more": (
        edit("pyproject.toml", '"alpha>=1"', '"alpha>=1", "more"'),
        {"XC-SUP-103": "pyproject.toml"},
    ),
    "a manifest that asks for a later one": (
        edit("pyproject.toml", "alpha>=1", "alpha>=3"),
        {"XC-SUP-103": "pyproject.toml"},
    ),
    "no lock": (
        both(remove(REQ), lambda r: shutil.rmtree(r / "product/vendor")),
        {"XC-SUP-100": "pyproject.toml"},
    ),
    "one byte of an archive that is here": (
        flip("registry/alpha-1.0-py3-none-any.whl"),
        {"XC-SUP-125": f"{REQ}:1", "XC-SUP-124": "vendor"},
    ),
}

CARGO_LOCK, LIB = "Cargo.lock", "vendor/lib-a/src/lib.rs"

CARGO: dict[str, tuple[Edit, dict[str, str]]] = {
    "one byte of a vendored file": (edit(LIB, "a()", "b()"), {"XC-SUP-120": LIB}),
    "an edit that the record agrees with": (
        both(
            edit(LIB, "a()", "b()"),
            edit(
                "vendor/lib-a/.cargo-checksum.json",
                sha("sha256", b"pub fn a() {}\n"),
                sha("sha256", b"pub fn b() {}\n"),
            ),
        ),
        {"XC-SUP-120": LIB},
    ),
    "a file more": (write("vendor/lib-a/build.rs", "fn main() {}"), {"XC-SUP-121": "vendor/lib-a/build.rs"}),
    "a file less": (remove(LIB), {"XC-SUP-123": LIB}),
    "a crate more": (
        write("vendor/evil/Cargo.toml", '[package]\nname = "evil"\nversion = "1.0.0"\n'),
        {"XC-SUP-122": "vendor/evil"},
    ),
    "a forged checksum": (
        lambda r: edit(CARGO_LOCK, sha("sha256", (r / "registry/lib-a-1.2.3.crate").read_bytes()), NONE)(r),
        {"XC-SUP-106": f"{CARGO_LOCK}:3", "XC-SUP-127": "vendor/lib-a/.cargo-checksum.json"},
    ),
    "no checksum": (
        lambda r: edit(
            CARGO_LOCK, f'checksum = "{sha("sha256", (r / "registry/lib-a-1.2.3.crate").read_bytes())}"\n', ""
        )(r),
        {"XC-SUP-104": f"{CARGO_LOCK}:3"},
    ),
    "another registry": (
        edit(CARGO_LOCK, "registry+https://git.example.org/cargo/index", "registry+https://evil.example/index"),
        {"XC-SUP-111": f"{CARGO_LOCK}:3"},
    ),
    "from git": (
        edit(CARGO_LOCK, "registry+https://git.example.org/cargo/index", "git+https://github.com/a/b?rev=1#abc"),
        {"XC-SUP-112": f"{CARGO_LOCK}:3", "XC-SUP-124": "vendor/lib-a"},
    ),
    "a manifest that asks for more": (append("Cargo.toml", 'more = "1"\n'), {"XC-SUP-103": "Cargo.toml:7"}),
    "a manifest that asks for a later one": (edit("Cargo.toml", '"1.2"', '"1.3"'), {"XC-SUP-103": "Cargo.toml:6"}),
    "no lock": (
        both(remove(CARGO_LOCK), lambda r: shutil.rmtree(r / "product/vendor")),
        {"XC-SUP-100": "Cargo.toml"},
    ),
    "one byte of an archive that is here": (
        flip("registry/lib-a-1.2.3.crate"),
        {"XC-SUP-125": f"{CARGO_LOCK}:3", "XC-SUP-124": "vendor/lib-a"},
    ),
}

SUMS = ".mvn/checksums/checksums.sha256"


def _other_sum(root: Path) -> None:
    put(root / "product", {SUMS: f"{NONE}  org/example/a-lib/1.5/a-lib-1.5.jar\n"})


MAVEN: dict[str, tuple[Edit, dict[str, str]]] = {
    "one byte of a jar": (flip("product/lib/a-lib-1.5.jar"), {"XC-SUP-120": "lib/a-lib-1.5.jar"}),
    "a jar more": (write("lib/evil-1.0.jar", "x"), {"XC-SUP-122": "lib"}),
    "a forged checksum": (_other_sum, {"XC-SUP-106": f"{SUMS}:1"}),
    "a weak checksum": (
        lambda r: both(
            remove(SUMS),
            write(
                ".mvn/checksums/checksums.md5",
                sha("md5", (r / "registry/org/example/a-lib/1.5/a-lib-1.5.jar").read_bytes())
                + "  org/example/a-lib/1.5/a-lib-1.5.jar\n",
            ),
        )(r),
        {"XC-SUP-105": ".mvn/checksums/checksums.md5:1"},
    ),
    "a Maven that refuses nothing": (remove(".mvn/maven.config"), {"XC-SUP-160": ".mvn/maven.config"}),
    "a line that is none": (append(SUMS, "nothing\n"), {"XC-SUP-101": f"{SUMS}:2"}),
    "a range": (edit("pom.xml", "<a.version>1.5<", "<a.version>[1.0,2.0)<"), {"XC-SUP-119": "pom.xml:5"}),
    "a snapshot": (
        edit("pom.xml", "<a.version>1.5<", "<a.version>1.5-SNAPSHOT<"),
        {"XC-SUP-119": "pom.xml:5", "XC-SUP-103": "pom.xml:5"},
    ),
    "no version": (edit("pom.xml", "<version>${a.version}</version>", ""), {"XC-SUP-119": "pom.xml:5"}),
    "another version": (edit("pom.xml", "<a.version>1.5<", "<a.version>1.6<"), {"XC-SUP-103": "pom.xml:5"}),
    "another repository": (
        edit(
            "pom.xml",
            "<dependencies>",
            "<repositories><repository><url>http://evil.example/m2</url></repository></repositories>\n<dependencies>",
        ),
        {"XC-SUP-145": "pom.xml:4"},
    ),
    "no lock": (remove(SUMS), {"XC-SUP-100": "pom.xml", "XC-SUP-160": "pom.xml"}),
    "a document type": (edit("pom.xml", "<project>", "<!DOCTYPE p>\n<project>"), {"XC-SUP-101": "pom.xml"}),
    "one byte of an archive that is here": (
        flip("registry/org/example/a-lib/1.5/a-lib-1.5.jar"),
        {"XC-SUP-125": f"{SUMS}:1", "XC-SUP-124": "lib"},
    ),
}

TAMPERINGS = {"npm": NPM, "pypi": PYPI, "cargo": CARGO, "maven": MAVEN}
EVERY = [(ecosystem, name) for ecosystem, found in TAMPERINGS.items() for name in found]
