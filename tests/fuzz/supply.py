"""What modules are built from, and entries of the cache."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

from pytest_xinchuang.commands.voice import speak
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import verbatim
from tests.fuzz.common import put, say
from tests.fuzz.drive import Case
from tests.fuzz.readers import finding_rules


def read_supply(case: Case, place: Path) -> None:
    from pytest_xinchuang.packages.supply_chain import lists, mirror, sm2sign
    from pytest_xinchuang.tools.gomod import ModuleVersion

    module = ModuleVersion("example.org/m", "v1.2.3")
    if case.name == "allow.yaml":
        for allowed in lists.load_allow_list(put(case, place)).of(module.path):
            allowed.covers(module.version)
    elif case.name == "osv.json":
        print(lists.Advisories(put(case, place)).of(module))
    elif case.name.startswith("xc-mirror"):
        (place / "a").write_bytes(b"a")
        for name, data in good_mirror().items():
            (place / name).write_bytes(data)
        put(case, place)
        findings, _good = mirror.check_mirror(str(place), [_good_key()])
        for finding in findings:
            say(finding_rules().text(finding), finding_rules().mend(finding))
    elif case.name == "key.pem":
        sm2sign.public_key(_text(case))
    else:
        sm2sign.private_key(_text(case))


def _text(case: Case) -> str:
    try:
        return case.data.decode()
    except UnicodeDecodeError as error:
        raise XcError(verbatim("not UTF-8")) from error


@cache
def _good_keys() -> tuple[str, str]:
    from pytest_xinchuang.packages.supply_chain.sm2sign import new_key

    return new_key()


def _good_key() -> Any:
    from pytest_xinchuang.packages.supply_chain.sm2sign import public_key

    return public_key(_good_keys()[1])


@cache
def good_mirror() -> dict[str, bytes]:

    from pytest_xinchuang.packages.supply_chain.mirror import write_manifest
    from pytest_xinchuang.packages.supply_chain.sm2sign import private_key

    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        (place / "a").write_bytes(b"a")
        write_manifest(place, private_key(_good_keys()[0]))
        return {path.name: path.read_bytes() for path in place.iterdir() if path.name != "a"}


def supply_seeds() -> list[Case]:
    osv = {
        "id": "GO-2026-1", "summary": "bad", "details": "d", "affected": [{
            "package": {"ecosystem": "Go", "name": "example.org/m"}, "versions": ["1.2.4"],
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.3.0-rc.1"}]}, {"type": "ECOSYSTEM", "events": [{"introduced": "1.0.0"}, {"last_affected": "1.9.0"}]}],
        }],
    }  # fmt: skip
    allow = "schema: xc-allow-list/1\nmodules:\n- {module: example.org/*, versions: '>=v1.0.0, <v2.0.0', certificate: A-1, expires: 2030-01-01}\n- {module: golang.org/x/net}\n"
    private, public = _good_keys()
    mirror = [Case(name.replace("json.sig", "json.sig"), data) for name, data in good_mirror().items()]
    return [
        Case("osv.json", json.dumps(osv).encode()),
        Case("allow.yaml", allow.encode()),
        Case("key.pem", public.encode()),
        Case("private.pem", private.encode()),
        *mirror,
    ]


def read_go_files(case: Case, place: Path) -> None:
    """go.sum, modules.txt, what the go command says of a go.mod, and go.mod and sources as the manifest's reader sees them."""
    from pytest_xinchuang.core import inputs
    from pytest_xinchuang.packages.supply_chain.golang.gofiles import read_go_sum, read_modules_txt
    from pytest_xinchuang.packages.supply_chain.golang.hashes import digests_of_zip
    from pytest_xinchuang.packages.supply_chain.golang.modzip import zip_faults
    from pytest_xinchuang.packages.supply_chain.golang.sources import traits
    from pytest_xinchuang.toolchain.tree import Tree
    from pytest_xinchuang.tools.gomod import ModuleVersion, go_key, read_go_mod

    path = put(case, place)
    if case.name in ("a.go", "a.c"):
        print(list(traits(case.name, case.data)))
    if case.name in ("record", "note", "key"):
        _read_database(case)
        return
    if case.name == "module.zip":
        try:
            say(*(why for _entry, why in zip_faults(ModuleVersion("a.b/c", "v1.0.0"), path)))
        except zipfile.BadZipFile:
            raise XcError(verbatim("no zip")) from None
        print(digests_of_zip(path))
        return
    if case.name == "go.sum":
        lines, bad = read_go_sum(path)
        say(*(why for _n, why in bad))
        modules = [line.module for line in lines]
    elif case.name == "modules.txt":
        modules = [one for vendored in read_modules_txt(path).modules for one in (vendored.module, vendored.real)]
    elif case.name == "edit.json":
        (place / "go.mod").write_text("module m\n")
        found = read_go_mod(place / "go.mod", _Answers(case.data))  # type: ignore[arg-type]
        go_key(found.go)
        modules = [require.module for require in found.requires]
        print([(found.replacement(module), found.retracted(module.version)) for module in modules], found.path)
    else:
        sources = [path] if case.name != "go.mod" else []
        print(inputs.included(sources, [place], place), inputs.go_directories(place), Tree.of_go(place, place).files)
        modules = []
    for module in modules:
        print(
            module,
            module.semantic,
            module.pseudo,
            module.prerelease,
            module.fits_its_path,
            module.key >= ModuleVersion("", "v1.2.3").key,
        )


def _read_database(case: Case) -> None:
    from pytest_xinchuang.packages.supply_chain.golang.sumdb import Verifier, read_record, setting, signed_tree
    from pytest_xinchuang.tools.go import GoCommand
    from tests.packages.supply_chain.notary import NOTARY

    if case.name == "key":
        print(setting(case.data.decode("utf-8", "replace"), GoCommand()))
    elif case.name == "note":
        print(signed_tree(case.data, Verifier.parse(NOTARY.key)))
    else:
        print(read_record(case.data))


class _Answers:
    """A go command that says what the mutant says."""

    code = 0

    def __init__(self, data: bytes) -> None:
        self.finished, self.text, self.errors = self, data.decode(errors="replace"), ""

    def run(self, *_words: Any, **_more: Any) -> _Answers:
        return self


def _zip() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("go.mod", "a/b.go", "LICENSE"):
            archive.writestr(zipfile.ZipInfo(f"a.b/c@v1.0.0/{name}"), "module a.b/c\n" * 9)
    return data.getvalue()


def go_seeds() -> list[Case]:
    from tests.packages.supply_chain.notary import NOTARY, latest

    digest = "h1:" + "A" * 43 + "="
    edit = {
        "Module": {"Path": "example.org/m"}, "Go": "1.22.3", "Require": [{"Path": "golang.org/x/net", "Version": "v0.1.0-pre.1+incompatible", "Indirect": True}],
        "Replace": [{"Old": {"Path": "golang.org/x/net"}, "New": {"Path": "../net"}}],
    }  # fmt: skip
    mod = 'module example.org/m\n\ngo 1.22\n\nrequire (\n\tgolang.org/x/net v0.1.0 // indirect\n)\n\nreplace golang.org/x/net v0.1.0 => ./net\nreplace "a.b/c" => "../c"\n'
    code = 'package a\n\n// #cgo LDFLAGS: -L${SRCDIR}/../lib -lx\n// #include "x.h"\nimport "C"\n'
    plain = '#include <stdio.h>\n#include "x.h" \\\n\n# include_next <y.h>\n#embed "z.bin"\n__asm__(".incbin \\"blob.bin\\"");\n'
    return [
        Case(
            "go.sum",
            f"golang.org/x/net v0.1.0 {digest}\ngolang.org/x/net v0.1.0/go.mod {digest}\ngopkg.in/yaml.v3 v3.0.1 {digest}\n".encode(),
        ),
        Case(
            "modules.txt",
            b"# golang.org/x/net v0.1.0 => ./net\n## explicit; go 1.17\ngolang.org/x/net/html\n# a.b/c/v2 v2.0.0+incompatible\na.b/c/v2\n",
        ),
        Case("edit.json", json.dumps(edit).encode()),
        Case("record", b"300\na.b/c v1.0.0 h1:x\na.b/c v1.0.0/go.mod h1:y\n\n" + latest()),
        Case("note", NOTARY.note(300, bytes(32))),
        Case("key", NOTARY.key.encode()),
        Case("module.zip", _zip()),
        Case("go.mod", mod.encode()),
        Case("a.go", code.encode()),
        Case("a.c", plain.encode()),
    ]


def read_entry(case: Case, place: Path) -> None:
    from pytest_xinchuang.provision.cache import Cache, tree_digest

    cache = Cache(place)
    entry = place / "entries" / "rootfs" / "x"
    (entry / "tree").mkdir(parents=True)
    data = case.data.replace(b"DIGEST", tree_digest(entry / "tree").encode())
    (entry / "entry.json").write_bytes(data)
    for found in (*cache.entries(), cache.peek("rootfs", "x"), cache.verified("rootfs", "x", "r")):
        if found is not None:
            facts = " ".join(f"{name} {value}" for name, value in sorted(found.facts.items()))
            speak(
                f"{found.kind} {found.name} {found.source} {found.stand_in} {found.digest[:20]} {found.recipe[:8]} {facts}",
                "en",
            )


def cache_seeds() -> list[Case]:
    entry = {
        "kind": "rootfs",
        "name": "x",
        "recipe": "r",
        "digest": "DIGEST",
        "source": "Debian",
        "stand_in": True,
        "facts": {"glibc": "2.31"},
    }
    return [Case("entry.json", json.dumps(entry).encode())]
