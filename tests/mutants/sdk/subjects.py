"""A good SDK with its supply chain, and what is done to it."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import yaml

from pytest_xinchuang.packages.supply_chain.golang.check import SupplyChain
from pytest_xinchuang.packages.supply_chain.golang.proxy import Proxies
from pytest_xinchuang.packages.supply_chain.mirror import SIGNATURE, write_manifest
from pytest_xinchuang.packages.supply_chain.sbom import cyclonedx
from pytest_xinchuang.packages.supply_chain.sm2sign import new_key, private_key
from pytest_xinchuang.provision.cache import Cache
from tests.advise.asking import library
from tests.packages.supply_chain.notary import lines_of
from tests.packages.supply_chain.published import LIB, go, publish, world

KEY, PUBLIC = new_key()
OTHER, _ = new_key()

SDK = """package product

import "example.org/lib"

// Client is what users implement.
type Client interface{ Call(string) error }

// Options are set by users.
type Options struct {
	Name string
	tags []string
}

// Run does it.
func Run() int { return lib.F() }

// Stop ends it.
func Stop() {}
"""


def good(directory: Path) -> Path:
    """A subject that has no failure: returns the directory of its manifest."""
    proxy, source = world(directory)
    subject = directory / "manifest"
    sdk = subject / "sdk"
    shutil.copytree(source, sdk)
    (sdk / "main.go").unlink()
    (sdk / "sdk.go").write_text(SDK)
    shutil.copytree(sdk, subject / "baseline")
    shutil.copytree(proxy, subject / "mirror")
    write_manifest(subject / "mirror", private_key(KEY))
    (subject / "mirror.pub").write_text(PUBLIC)
    allowed = {
        "schema": "xc-allow-list/1",
        "modules": [{"module": "example.org/*", "certificate": "XC-1", "expires": "2999-01-01"}],
    }
    (subject / "allow.yaml").write_text(yaml.safe_dump(allowed))
    (subject / "advisories.json").write_text("[]")
    chain = SupplyChain(sdk, Proxies(Cache(), [str(proxy)], offline=True))
    chain.run()
    (subject / "bom.json").write_text(cyclonedx(chain))
    manifest = {
        "schema": "xc-subject/1",
        "name": "product",
        "version": "1.0.0",
        "sdk": {"language": "go", "path": "sdk", "baseline": "baseline", "go": "1.22"},
        "supply_chain": {"path": "sdk", "mirror": "mirror", "sbom": "bom.json"},
    }
    (subject / "xinchuang.yaml").write_text(yaml.safe_dump(manifest))
    return subject


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def manifest(subject: Path, section: str, **values: object) -> None:
    path = subject / "xinchuang.yaml"
    data = yaml.safe_load(path.read_text())
    (data[section] if section else data).update(values)
    path.write_text(yaml.safe_dump(data))


def _published_baseline(subject: Path) -> None:
    """A baseline with a version, which only a published module or a snapshot has."""
    from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources

    options = ReadOptions(targets=("linux/amd64", "linux/arm64", "linux/loong64"), offline=True)
    with Sources(Cache(), options) as sources:
        found = sources.directory(subject / "baseline", "v1.0.0", version="v1.0.0")
        (subject / "baseline.jsonl").write_bytes(found.path.read_bytes())
    manifest(subject, "sdk", baseline="baseline.jsonl")


def _removed(subject: Path) -> None:
    change(subject / "sdk/sdk.go", "// Stop ends it.\nfunc Stop() {}\n", "")


def _version(subject: Path) -> None:
    _published_baseline(subject)
    with (subject / "sdk/sdk.go").open("a") as file:
        file.write("\n// More is new.\nfunc More() {}\n")
    manifest(subject, "", version="1.0.1")


def _forged(subject: Path) -> None:
    path = subject / "sdk/go.sum"
    lines = path.read_text().splitlines()
    taken = next(x for x in lines if x.startswith("example.org/base v1.0.0 ")).split()[2]
    path.write_text(
        "\n".join(f"{x.rsplit(' ', 1)[0]} {taken}" if x.startswith("example.org/lib v1.2.0 ") else x for x in lines)
        + "\n"
    )


def _rebuilt(subject: Path, edit: Callable[[Path], object]) -> None:
    """Change go.mod and let the go command follow; the mirror, the bill and the baseline follow, too."""
    sdk, mirror = subject / "sdk", subject / "mirror"
    shutil.rmtree(sdk / "vendor")
    edit(sdk)
    url, home = f"file://{mirror}", subject.parent / "home"
    go(["mod", "tidy"], sdk, url, home)
    go(["mod", "vendor"], sdk, url, home)
    write_manifest(mirror, private_key(KEY))
    chain = SupplyChain(sdk, Proxies(Cache(), [str(mirror)], offline=True))
    chain.run()
    (subject / "bom.json").write_text(cyclonedx(chain))


def _replace(subject: Path) -> None:
    files = {**LIB, "go.mod": LIB["go.mod"].replace("example.org/lib", "evil.org/fork")}
    publish(subject / "mirror", "evil.org/fork", "v1.2.0", files)
    (subject / "allow.yaml").unlink()  # with a list it would be the list that says so
    _rebuilt(
        subject,
        lambda sdk: change(sdk / "go.mod", "go 1.22\n", "go 1.22\n\nreplace example.org/lib => evil.org/fork v1.2.0\n"),
    )


def _prerelease(subject: Path) -> None:
    publish(subject / "mirror", "example.org/lib", "v1.3.0-rc.1", LIB)
    _rebuilt(subject, lambda sdk: change(sdk / "go.mod", "lib v1.2.0", "lib v1.3.0-rc.1"))


def _lacking_mirror(subject: Path) -> None:
    shutil.copytree(subject / "mirror", subject / "published")
    for path in (subject / "mirror/example.org/base/@v").iterdir():
        path.unlink()
    write_manifest(subject / "mirror", private_key(KEY))


def _extra(subject: Path) -> None:
    place = subject / "sdk/vendor/example.org/hidden"
    place.mkdir()
    (place / "h.go").write_text("package hidden\n")


def _sbom(subject: Path) -> None:
    path = subject / "bom.json"
    data = json.loads(path.read_text())
    data["components"] = [c for c in data["components"] if c["name"] != "example.org/base"]
    path.write_text(json.dumps(data))


def _allow(subject: Path, **line: str) -> None:
    data = {
        "schema": "xc-allow-list/1",
        "modules": [{"module": "example.org/base"}, {"module": "example.org/lib", **line}],
    }
    (subject / "allow.yaml").write_text(yaml.safe_dump(data))


def _frozen(subject: Path) -> None:
    affected = [
        {
            "package": {"ecosystem": "Go", "name": "example.org/lib"},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.2.1"}]}],
        }
    ]
    (subject / "advisories.json").write_text(json.dumps([{"id": "GO-2026-1", "summary": "bad", "affected": affected}]))


def _line(subject: Path, text: str) -> None:
    path = subject / "sdk/go.sum"
    path.write_text(path.read_text() + text)


def _another_go_mod(subject: Path) -> None:
    """A go.mod beside the zip that is not the one in it; go.sum follows, and the mirror is signed again."""
    mirror = subject / "mirror"
    change(mirror / "example.org/base/@v/v1.0.0.mod", "go 1.22", "go 1.22 // more")
    (subject / "sdk/go.sum").write_text("".join(text for _name, text in lines_of(mirror)))
    write_manifest(mirror, private_key(KEY))


def _in(subject: Path, language: str, files: dict[str, bytes], **values: object) -> None:
    """An SDK of files as they are delivered, with no baseline, in the place of the one in Go."""
    for name, data in files.items():
        place = subject / "delivered" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    manifest(subject, "sdk", language=language, path="delivered", baseline="", go="", **values)


def _class(java: int) -> bytes:
    """The head of a class file of a version (JVMS 4.1)."""
    return b"\xca\xfe\xba\xbe" + struct.pack(">HH", 0, 44 + java) + bytes(8)


MUTANTS: dict[str, Callable[[Path], object]] = {
    "native_files_for_x86_alone": lambda s: _in(
        s, "python", {"pkg/__init__.py": b"", "pkg/_fast.so": library("x86_64")}, python="3.11"
    ),
    "class_files_above_the_users": lambda s: _in(
        s, "java", {"a/A.class": _class(8), "a/B.class": _class(17)}, java="8"
    ),
    "python_above_the_users": lambda s: _in(
        s,
        "python",
        {"pkg/__init__.py": b"", "pyproject.toml": b'[project]\nrequires-python = ">=3.11"\n'},
        python="3.9",
    ),
    "does_not_build_on_the_architecture": lambda s: (s / "sdk/page_arm64.go").write_text(
        'package product\n\nconst page int = "64K"\n'
    ),
    "vet_complains": lambda s: (
        change(
            s / "sdk/sdk.go",
            "// Stop ends it.\nfunc Stop() {}",
            '// Stop ends it.\nfunc Stop() { fmt.Printf("%d", "x") }',
        )
        or change(s / "sdk/sdk.go", 'import "example.org/lib"', 'import (\n\t"fmt"\n\n\t"example.org/lib"\n)')
    ),
    "go_directive_above_the_users": lambda s: manifest(s, "sdk", go="1.21"),
    "users_go_does_not_know_the_architecture": lambda s: (
        change(s / "sdk/go.mod", "go 1.22", "go 1.18"),
        manifest(s, "sdk", go="1.18"),
        manifest(s, "", supply_chain=None),
    ),
    "function_removed": _removed,
    "interface_method_added": lambda s: change(
        s / "sdk/sdk.go", "Call(string) error }", "Call(string) error; Close() }"
    ),
    "gone_on_the_architecture": lambda s: [
        (s / part / "amd64_only.go").write_text(
            "//go:build amd64\n\npackage product\n\n// Fast is fast.\nfunc Fast() {}\n"
        )
        for part in ("sdk", "baseline")
    ],
    "version_too_small": _version,
    "no_go_sum": lambda s: (s / "sdk/go.sum").unlink(),
    "modules_txt_of_another_version": lambda s: (
        change(s / "sdk/vendor/modules.txt", "## explicit; go 1.22\nexample.org/lib\n", "example.org/lib\n"),
        manifest(s, "", sdk=None),  # the go command sees this one, too, and does not build
    ),
    "bogus_line": lambda s: _line(s, "example.org/lib v9.9.9/go.mod h1:" + "A" * 43 + "=\n"),
    "forged_hash": _forged,
    "edited_vendored_file": lambda s: change(s / "sdk/vendor/example.org/lib/lib.go", "used", "useD"),
    "extra_vendored_directory": _extra,
    "unlisted_replace": _replace,
    "prerelease": _prerelease,
    "not_allowed": lambda s: _allow(s, versions=">=v2.0.0"),
    "admission_expired": lambda s: _allow(s, expires="2020-01-01"),
    "frozen_version": _frozen,
    "mirror_signed_by_another": lambda s: write_manifest(s / "mirror", private_key(OTHER)),
    "mirror_not_signed": lambda s: (s / "mirror" / SIGNATURE).unlink(),
    "mirror_lacks_a_module": _lacking_mirror,
    "no_sbom": lambda s: manifest(s, "supply_chain", sbom=""),
    "sbom_of_another_build": _sbom,
    "go_mod_that_is_not_in_the_zip": _another_go_mod,
    "a_line_that_reads_otherwise": lambda s: change(s / "sdk/sdk.go", "// Stop ends it.", "// Stop ends \u202e it."),
}
