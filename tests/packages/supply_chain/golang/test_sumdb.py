"""A record counts when a signed tree is shown to have it; without one a module is consistent with the cache alone."""

from __future__ import annotations

import base64
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.supply_chain.golang.chain import Options
from pytest_xinchuang.packages.supply_chain.golang.check import SupplyChain
from pytest_xinchuang.packages.supply_chain.golang.proxy import Proxies, covered
from pytest_xinchuang.packages.supply_chain.golang.sumdb import (
    DirectoryPlace,
    NotProven,
    SumDatabase,
    Verifier,
    read_record,
    root_with,
    setting,
    signed_tree,
    tile_path,
)
from pytest_xinchuang.packages.supply_chain.golang.vouching import vouching
from pytest_xinchuang.packages.supply_chain.mirror import serve, write_manifest
from pytest_xinchuang.packages.supply_chain.sm2sign import new_key, private_key, public_key
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools.defaults import Databases, databases
from pytest_xinchuang.tools.go import GoCommand
from pytest_xinchuang.tools.gomod import ModuleVersion
from tests.packages.supply_chain.notary import NAME, NOTARY, PADDING, Notary, key_of_go, latest, merkle
from tests.packages.supply_chain.published import LIB, publish

OTHER = Notary()
BASE = ModuleVersion("example.org/base", "v1.0.0")


@pytest.fixture
def database(proxy: Path, tmp_path: Path) -> Path:
    return NOTARY.of_proxy(proxy, tmp_path / "sumdb")


def read(place: Path, key: str = NOTARY.key) -> dict[bool, str]:
    return SumDatabase(Verifier.parse(key), [DirectoryPlace(place)]).hashes(BASE)


def check(
    subject: Path, proxy: Path, place: Path | str, key: str = NOTARY.key, *, offline: bool = True
) -> list[Finding]:
    proxies = Proxies(Cache(), [str(proxy)], offline=offline)
    return SupplyChain(subject, proxies, Options(vouching=vouching(proxies, places=[str(place)], key=key))).run()


def test_the_key_of_go_verifies_what_it_signed() -> None:
    verifier = Verifier.parse(key_of_go())
    head = latest(verifier.name)
    tree = signed_tree(head, verifier)
    assert (tree.size, base64.b64encode(tree.root)) == (72525630, b"lCeWXl//f2IAQIyqY7xCLe3ExAMUBjN57RXnyKOhjr0=")
    for old, new in ((b"72525630", b"72525631"), (b"\nlCe", b"\nmCe"), (b"tree\n", b"trees\n"), (b"Az3g", b"Az3h")):
        with pytest.raises(NotProven):
            signed_tree(head.replace(old, new), verifier)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 255, 256, 257, 300])
def test_a_root_is_that_of_the_definition(size: int) -> None:
    texts = [f"{n}\n".encode() for n in range(size)]
    leaves = [merkle_leaf(t) for t in texts]
    for number in {0, size // 2, size - 1}:
        root = root_with(texts[number], number, size, lambda level, at: merkle(leaves[at << level : (at + 1) << level]))
        assert root == merkle(leaves)


def merkle_leaf(text: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(b"\0" + text).digest()


@pytest.mark.parametrize(
    ("at", "name"),
    [
        ((0, 0, 256), "tile/8/0/000"),
        ((0, 5, 9), "tile/8/0/005.p/9"),
        ((1, 1234067, 256), "tile/8/1/x001/x234/067"),
        ((3, 4, 1), "tile/8/3/004.p/1"),
    ],
)
def test_names_of_tiles(at: tuple[int, int, int], name: str) -> None:
    assert tile_path(*at) == name


def test_a_record_is_proven(database: Path) -> None:
    assert set(read(database)) == {True, False}


def _edit(path: str, old: bytes, new: bytes) -> Callable[[Path], object]:
    def change(place: Path) -> None:
        data = (place / path).read_bytes()
        assert old in data
        (place / path).write_bytes(data.replace(old, new, 1))

    return change


def _flip(pattern: str) -> Callable[[Path], object]:
    def change(place: Path) -> None:
        for path in place.glob(pattern):
            data = bytearray(path.read_bytes())
            data[0] ^= 1
            path.write_bytes(bytes(data))

    return change


LOOKUP = "lookup/example.org/base@v1.0.0"
FORGERIES: dict[str, Callable[[Path], object]] = {
    "the record has another hash": _edit(LOOKUP, b" h1:", b" h1:A"),
    "the record has another number": _edit(LOOKUP, str(PADDING).encode() + b"\n", str(PADDING + 1).encode() + b"\n"),
    "the record has the number of none": _edit(LOOKUP, str(PADDING).encode() + b"\n", b"999999\n"),
    "the record has no number": _edit(LOOKUP, str(PADDING).encode() + b"\n", b"x\n"),
    "a tile was changed": _flip("tile/8/1/000.p/*"),
    "a partial tile was changed": _flip("tile/8/0/001.p/*"),
    "the tiles are gone": lambda place: shutil.rmtree(place / "tile"),
    "a tile is cut off": lambda place: next(place.glob("tile/8/0/001.p/*")).write_bytes(b"x" * 31),
    "the heads are of another key": lambda place: (
        OTHER.write(place.parent / "evil", {"example.org/base@v1.0.0": "example.org/base v1.0.0 h1:evil\n"}),
        shutil.rmtree(place),
        shutil.copytree(place.parent / "evil", place),
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_record_that_is_not_proven_counts_for_nothing(name: str, database: Path) -> None:
    FORGERIES[name](database)
    with pytest.raises(NotProven):
        read(database)


def test_a_wider_tile_and_a_later_head_prove_too(database: Path) -> None:
    """The go command keeps the tiles of the tree that was the latest then, which need not be the record's own."""
    path = database / LOOKUP
    text, _blank, _note = path.read_bytes().rpartition(b"\n\n")
    number, record, _rest = read_record(path.read_bytes()) or (0, b"", b"")
    early = NOTARY.note(number + 1, b"\0" * 32)  # a head whose edge nobody kept
    path.write_bytes(f"{number}\n".encode() + record + b"\n" + early)
    assert set(read(database)) == {True, False}
    (database / "latest").unlink()
    assert set(read(database)) == {True, False}, "the other record's head"
    shutil.rmtree(database / "lookup/example.org")
    path.parent.mkdir(parents=True)
    path.write_bytes(f"{number}\n".encode() + record + b"\n" + early)
    with pytest.raises(NotProven):
        read(database)
    assert text


@pytest.mark.parametrize("text", ["", "x", "a+b+c", "{shorter}", "{another}", "sum+00000000+AA=="])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(XcError):
        Verifier.parse(text.format(shorter=NOTARY.key[:-2], another=NOTARY.key.replace("+", "+f", 1)))


def test_values_of_gosumdb() -> None:
    go = GoCommand()
    assert setting("off", go) is None and setting("", go) is None
    known = databases(go)
    for name, key in known.keys.items():
        verifier = Verifier.parse(key)
        assert setting(name, go) == (verifier, f"https://{name}")
        assert setting(f"{name} https://sum.corp.example", go) == (verifier, "https://sum.corp.example")
    assert known.keys
    for name, stands in known.aliases.items():
        key, url = stands.split()
        assert setting(name, go) == (Verifier.parse(known.keys[key]), url) and name in url
    own = Verifier.parse(NOTARY.key)
    assert setting(f"{NOTARY.key} https://sum.corp.example", go) == (own, "https://sum.corp.example")
    assert setting(NOTARY.key, go) == (own, f"https://{NAME}")
    with pytest.raises(XcError):
        setting("sum.unknown.example", go)


def test_where_go_does_not_say_its_key_nobody_vouches(
    subject: Path, proxy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Go's source is not everywhere; a key that is given needs none."""
    go = Proxies(Cache(), [str(proxy)], offline=True).go
    name = next(iter(databases(go).keys))
    monkeypatch.setenv("GOSUMDB", name)

    def none(_go: GoCommand) -> Databases:
        raise HostFault(verbatim("no source of Go"))

    monkeypatch.setattr("pytest_xinchuang.packages.supply_chain.golang.sumdb.databases", none)
    proxies = Proxies(Cache(), [str(proxy)], offline=True)
    found = SupplyChain(subject, proxies, Options(vouching=vouching(proxies))).run()
    (open_,) = (f for f in found if f.code == "XC-SUP-072")
    assert open_.certainty is Certainty.UNDECIDED and "no source of Go" in str(open_.params)
    with pytest.raises(HostFault):
        vouching(proxies, key=name)
    assert vouching(proxies, key=NOTARY.key).database is not None


@pytest.mark.parametrize(
    ("patterns", "path", "private"),
    [
        ("corp.example", "corp.example/a/b", True),
        ("*.corp.example", "git.corp.example/a", True),
        ("*.corp.example", "corp.example/a", False),
        ("corp.example/a", "corp.example/ab", False),
        ("corp.example/*", "corp.example/a/b", True),
        ("corp.example/*/b", "corp.example/a/c", False),
        ("other.example,corp.example/", "corp.example/a", True),
        ("", "corp.example/a", False),
    ],
)
def test_which_modules_are_private(patterns: str, path: str, private: bool) -> None:
    assert covered(patterns, path) is private


# -- what a check says by it


def poison(subject: Path, proxy: Path) -> None:
    """Change what is published, go.sum and vendor/ together: nothing here contradicts anything else here."""
    evil = LIB["lib.go"] + "\nfunc init() { println() }\n"
    publish(proxy, "example.org/lib", "v1.2.0", {**LIB, "lib.go": evil})
    (subject / "vendor/example.org/lib/lib.go").write_text(evil)
    from tests.packages.supply_chain.notary import lines_of

    (subject / "go.sum").write_text("".join(text for _name, text in lines_of(proxy)))


def test_a_cache_that_was_poisoned_with_go_sum_and_vendor_is_caught(subject: Path, proxy: Path, database: Path) -> None:
    assert check(subject, proxy, database) == []
    poison(subject, proxy)
    (found,) = check(subject, proxy, database)
    assert (found.code, found.certainty, found.object) == ("XC-SUP-071", Certainty.CERTAIN, "go.sum:3")
    assert found.params["by"] == NAME


def test_without_anybody_who_vouches_it_is_consistent_with_the_cache(subject: Path, proxy: Path) -> None:
    for poisoned in (False, True):
        if poisoned:
            poison(subject, proxy)
        (found,) = SupplyChain(subject, Proxies(Cache(), [str(proxy)], offline=True)).run()
        assert (found.code, found.certainty, found.params["n"]) == ("XC-SUP-072", Certainty.UNDECIDED, "2")


def test_a_database_that_lacks_a_module_says_which(subject: Path, proxy: Path, database: Path) -> None:
    (database / LOOKUP).unlink()
    (found,) = check(subject, proxy, database)
    assert (found.code, found.params["n"], found.params["module"]) == ("XC-SUP-072", "1", str(BASE))


def test_a_record_of_another_key_decides_nothing(subject: Path, proxy: Path, database: Path) -> None:
    found = check(subject, proxy, database, OTHER.key)
    assert {(f.code, f.certainty) for f in found} == {("XC-SUP-073", Certainty.UNDECIDED)}


def test_a_line_of_a_version_that_is_not_built_from_must_not_contradict(
    subject: Path, proxy: Path, tmp_path: Path
) -> None:
    publish(proxy, "example.org/old", "v0.9.0", {"go.mod": "module example.org/old\n", "o.go": "package old\n"})
    database = NOTARY.of_proxy(proxy, tmp_path / "sumdb")
    wrong = "h1:" + "A" * 43 + "="
    good = (subject / "go.sum").read_text()
    (subject / "go.sum").write_text(f"{good}example.org/old v0.9.0 {wrong}\n")
    assert [f.code for f in check(subject, proxy, database)] == ["XC-SUP-071"]
    (subject / "go.sum").write_text(
        good + (database / "lookup/example.org/old@v0.9.0").read_text().splitlines()[1] + "\n"
    )
    assert check(subject, proxy, database) == []


@pytest.mark.parametrize("signed", [True, False])
def test_a_list_that_a_trusted_key_signed_vouches(signed: bool, subject: Path, proxy: Path) -> None:
    private, public = new_key()
    write_manifest(proxy, private_key(private if signed else new_key()[0]))
    proxies = Proxies(Cache(), [str(proxy)], offline=True)
    who = vouching(proxies, mirrors=[str(proxy)], trusted=[public_key(public)], places=[], key=NOTARY.key)
    found = SupplyChain(subject, proxies, Options(vouching=who)).run()
    assert [f.code for f in found] == ([] if signed else ["XC-SUP-072"])


def test_a_zip_that_is_not_as_the_signed_list_says_is_not_vouched_for(subject: Path, proxy: Path) -> None:
    private, public = new_key()
    write_manifest(proxy, private_key(private))
    poison(subject, proxy)
    proxies = Proxies(Cache(), [str(proxy)], offline=True)
    who = vouching(proxies, mirrors=[str(proxy)], trusted=[public_key(public)], key=NOTARY.key)
    (found,) = SupplyChain(subject, proxies, Options(vouching=who)).run()
    assert (found.code, found.params["n"]) == ("XC-SUP-072", "1")


def test_a_database_behind_a_url_is_asked_and_what_is_proven_is_kept(
    subject: Path, proxy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notary, asked = Notary(), list[str]()
    database = notary.of_proxy(proxy, tmp_path / "sumdb")
    tile = next(database.glob("tile/8/0/001.p/*"))
    good = tile.read_bytes()

    def found() -> list[Finding]:
        asked.clear()
        proxies = Proxies(Cache(), [str(proxy)])
        return SupplyChain(subject, proxies, Options(vouching=vouching(proxies))).run()

    with serve(database, lambda entry: asked.append(entry["path"])) as url:
        monkeypatch.setattr(GoCommand, "settings", {**GoCommand().settings, "GOSUMDB": f"{notary.key} {url}"})
        tile.write_bytes(good[::-1])
        assert {f.code for f in found()} == {"XC-SUP-073"}
        tile.write_bytes(good)
        assert found() == [] and {"/latest", "/lookup/example.org/base@v1.0.0"} <= set(asked), "a lie is not kept"
        assert found() == [] and set(asked) <= {"/latest"}
        monkeypatch.setattr(GoCommand, "settings", {**GoCommand().settings, "GONOSUMDB": "example.org/*"})
        (private,) = found()
        assert private.code == "XC-SUP-072" and "private" in private.params["detail"] and not asked


@pytest.mark.parametrize("value", ["off", ""])
def test_a_database_that_is_switched_off_vouches_for_nothing(
    value: str, subject: Path, proxy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GoCommand, "settings", {**GoCommand().settings, "GOSUMDB": value})
    proxies = Proxies(Cache(), [str(proxy)])
    (found,) = SupplyChain(subject, proxies, Options(vouching=vouching(proxies))).run()
    assert found.code == "XC-SUP-072" and "off" in found.params["detail"]


def test_without_what_verifies_signatures_nothing_is_vouched_for(
    subject: Path, proxy: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    (found,) = check(subject, proxy, database)
    assert found.code == "XC-SUP-072" and "cryptography" in found.params["detail"]


def test_words_of_the_command(
    subject: Path, proxy: Path, database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["supply-chain", "check", str(subject), "--proxy", str(proxy), "--offline", "--no-lint"]
    assert main([*words, "--sumdb", str(database), "--sumdb-key", "nonsense"]) == 2
    assert "NAME+HASH+KEY" in capsys.readouterr().err
    assert main([*words, "--sumdb", str(tmp_path / "none"), "--sumdb-key", NOTARY.key]) == 2
    assert "lookup" in capsys.readouterr().err
    private, public = new_key()
    (tmp_path / "key.pub").write_text(public)
    write_manifest(proxy, private_key(private))
    assert main([*words, "--mirror-key", str(tmp_path / "key.pub")]) == 0
    assert "2 modules vouched for" in capsys.readouterr().out
