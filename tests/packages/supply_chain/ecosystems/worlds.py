"""A small world of each ecosystem: a directory that stands for its registry, and a product that is built from it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_xinchuang.tools.defaults import Default

USUAL = {
    "npm": Default("https://npm.example.org", frozenset({"npm.example.org", "yarn.example.org"})),
    "pypi": Default("https://pypi.example.org/simple", frozenset({"pypi.example.org", "files.example.org"})),
    "cargo": Default(
        "https://crates.example.org",
        frozenset({"crates.example.org"}),
        frozenset({"https://git.example.org/cargo/index"}),
    ),
    "maven": Default("https://maven.example.org/m2", frozenset({"maven.example.org"})),
}
"""What the tools ask by default, in the small worlds."""


def put(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files: name -> text or bytes."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)


def tar(files: Mapping[str, str]) -> bytes:
    """A gzipped archive."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return made.getvalue()


def zipped(files: Mapping[str, str]) -> bytes:
    """A zip."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return made.getvalue()


def sha(algorithm: str, data: bytes) -> str:
    return hashlib.new(algorithm, data).hexdigest()


def sri(data: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


LEFT = {"package.json": '{"name":"left","version":"1.0.0","license":"MIT"}', "index.js": "exports.left = 1\n"}
RIGHT = {
    "package.json": '{"name":"@s/right","version":"2.0.0","scripts":{"postinstall":"node x.js"}}',
    "x.js": "done\n",
}


def npm(root: Path) -> None:
    """Two packages, of which one has an install script, locked in package-lock.json and installed."""
    packages = {"": {"name": "product", "version": "1.0.0", "dependencies": {"left": "^1.0.0", "@s/right": "~2.0.0"}}}
    for name, version, files in (("left", "1.0.0", LEFT), ("@s/right", "2.0.0", RIGHT)):
        data = tar({f"package/{n}": text for n, text in files.items()})
        leaf = f"{name.rpartition('/')[2]}-{version}.tgz"
        said = json.loads(files["package.json"])
        dist = {
            "integrity": sri(data),
            "shasum": sha("sha1", data),
            "tarball": f"https://npm.example.org/{name}/-/{leaf}",
        }
        document = {"name": name, "versions": {version: {**said, "dist": dist}}}
        put(root / "registry", {f"{name}/package.json": json.dumps(document), f"{name}/{leaf}": data})
        put(root / "product", {f"node_modules/{name}/{n}": text for n, text in files.items()})
        entry: dict[str, object] = {"version": version, "resolved": dist["tarball"], "integrity": dist["integrity"]}
        if "scripts" in said:
            entry["hasInstallScript"] = True
        packages[f"node_modules/{name}"] = entry  # type: ignore[assignment]
    lock = {"name": "product", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": packages}
    put(
        root / "product",
        {"package.json": json.dumps(packages[""], indent=1), "package-lock.json": json.dumps(lock, indent=1)},
    )


def wheel(name: str, version: str, files: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """A wheel, and what an installer makes of it."""
    info = f"{name}-{version}.dist-info"
    inside = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: MIT\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
    }
    record = "".join(f"{n},,\n" for n in (*inside, f"{info}/RECORD"))
    laid = {**inside, f"{info}/RECORD": record + f"{info}/INSTALLER,,\n", f"{info}/INSTALLER": "pip\n"}
    return zipped({**inside, f"{info}/RECORD": record}), laid


def pypi(root: Path) -> None:
    """Two wheels, locked in requirements.txt and vendored."""
    lines = []
    for name, version in (("alpha", "1.0"), ("beta_x", "2.1")):
        data, laid = wheel(name, version, {f"{name}/__init__.py": f"NAME = {name!r}\n"})
        project, leaf = name.replace("_", "-"), f"{name}-{version}-py3-none-any.whl"
        page = {"name": project, "files": [{"filename": leaf, "url": leaf, "hashes": {"sha256": sha("sha256", data)}}]}
        put(root / "registry", {f"simple/{project}/index.json": json.dumps(page), leaf: data})
        put(root / "product", {f"vendor/{n}": text for n, text in laid.items()})
        lines.append(f"{project}=={version} \\\n    --hash=sha256:{sha('sha256', data)}\n")
    put(
        root / "product",
        {
            "pyproject.toml": '[project]\nname = "product"\ndependencies = ["alpha>=1", "Beta.X==2.*"]\n',
            "requirements.txt": "".join(lines),
        },
    )


CRATE = {
    "Cargo.toml": '[package]\nname = "lib-a"\nversion = "1.2.3"\nlicense = "MIT OR Apache-2.0"\n',
    "src/lib.rs": "pub fn a() {}\n",
    ".gitignore": "target\n",
}


def cargo(root: Path) -> None:
    """A crate, locked in Cargo.lock and vendored."""
    data = tar({f"lib-a-1.2.3/{n}": text for n, text in CRATE.items()})
    line = json.dumps({"name": "lib-a", "vers": "1.2.3", "cksum": sha("sha256", data), "yanked": False})
    put(root / "registry", {"index/li/b-/lib-a": line + "\n", "lib-a-1.2.3.crate": data})
    laid = {n: text for n, text in CRATE.items() if n != ".gitignore"}
    record = {"files": {n: sha("sha256", t.encode()) for n, t in laid.items()}, "package": sha("sha256", data)}
    put(root / "product", {f"vendor/lib-a/{n}": text for n, text in laid.items()})
    put(
        root / "product",
        {
            "vendor/lib-a/.cargo-checksum.json": json.dumps(record),
            "Cargo.toml": '[package]\nname = "product"\nversion = "0.1.0"\n\n[dependencies]\nlib-a = "1.2"\n',
            "Cargo.lock": "version = 4\n\n"
            '[[package]]\nname = "lib-a"\nversion = "1.2.3"\n'
            'source = "registry+https://git.example.org/cargo/index"\n'
            f'checksum = "{sha("sha256", data)}"\n\n'
            '[[package]]\nname = "product"\nversion = "0.1.0"\ndependencies = [\n "lib-a",\n]\n',
            ".cargo/config.toml": '[source.crates-io]\nreplace-with = "v"\n\n[source.v]\ndirectory = "vendor"\n',
        },
    )


def maven(root: Path) -> None:
    """A jar, pinned by Maven's trusted checksums, that lies in lib/ too."""
    data = zipped({"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n", "a/A.class": "A"})
    path = "org/example/a-lib/1.5/a-lib-1.5.jar"
    put(
        root / "registry",
        {path: data, f"{path}.sha1": sha("sha1", data), f"{path}.sha256": sha("sha256", data) + "  a-lib-1.5.jar\n"},
    )
    put(
        root / "product",
        {
            "pom.xml": "<project>\n<groupId>org.example</groupId><artifactId>product</artifactId><version>1</version>\n"
            "<properties><a.version>1.5</a.version></properties>\n<dependencies>\n<dependency>\n"
            "<groupId>org.example</groupId><artifactId>a-lib</artifactId><version>${a.version}</version>\n"
            "</dependency>\n</dependencies>\n</project>\n",
            ".mvn/checksums/checksums.sha256": f"{sha('sha256', data)}  {path}\n",
            "lib/a-lib-1.5.jar": data,
            ".mvn/maven.config": "-Daether.artifactResolver.postProcessor.trustedChecksums=true\n"
            "-Daether.artifactResolver.postProcessor.trustedChecksums.failIfMissing=true\n",
        },
    )


def conan(root: Path) -> None:
    """A product of Conan with its lock, and a recipe's sources."""
    (root / "registry").mkdir(parents=True)
    put(
        root / "product",
        {
            "conanfile.txt": "[requires]\nzlib/[>1.2]\n",
            "conan.lock": '{\n"version": "0.5",\n"requires": [\n'
            '"zlib/1.3.1#f52e03ae3d251dec704634230cd806a2%1706537521.0"\n]\n}\n',
            "conandata.yml": f'sources:\n  "1.0":\n    url: https://example.org/x-1.0.tar.gz\n    sha256: {"a" * 64}\n',
        },
    )


def vcpkg(root: Path) -> None:
    """A product of vcpkg with a baseline, and a port of its own."""
    (root / "registry").mkdir(parents=True)
    port = f"vcpkg_from_github(\n    OUT_SOURCE_PATH S\n    REPO a/b\n    REF v1\n    SHA512 {'b' * 128}\n)\n"
    manifest = {
        "name": "product",
        "dependencies": ["zlib", "fmt"],
        "builtin-baseline": "c" * 40,
        "overrides": [{"name": "zlib", "version": "1.3.1"}],
    }
    put(root / "product", {"vcpkg.json": json.dumps(manifest, indent=1), "ports/own/portfile.cmake": port})


WORLDS: dict[str, Callable[[Path], None]] = {
    "npm": npm,
    "pypi": pypi,
    "cargo": cargo,
    "maven": maven,
    "conan": conan,
    "vcpkg": vcpkg,
}
