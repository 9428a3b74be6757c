"""The corpus: its declarations, how it is fetched, how verdicts are compared; and a small part of it, judged."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import DataFileError, HostFault, XcError
from pytest_xinchuang.core.finding import Certainty, Finding, load_findings
from pytest_xinchuang.provision.cache import Cache
from tests.corpus import fetching, run
from tests.corpus.declared import FAMILIES, Artifact, Corpus, Item, Truth
from tests.corpus.judging import Judge, Judged, Outcome, compare, verdict_of
from tests.corpus.results import outdated, table, unexplained, wrongs
from tests.inspect import containers

GOOD = """
jars without native files:
  kind: jar
  ecosystem: maven
  why: nothing of them depends on an architecture
  truth: {kunpeng: clean, phytium: clean, hygon: clean, zhaoxin: undecided, loongson: XC-JAR-001}
  artifacts:
    - {name: "org.example:app", version: "1.0", file: app-1.0.jar, size: 5, sha256: DIGEST}
""".replace("DIGEST", "a" * 64)


def corpus_of(tmp_path: Path, text: str) -> Corpus:
    (tmp_path / "jars.yaml").write_text(text, encoding="utf-8")
    return Corpus(tmp_path)


def artifact(data: bytes, file: str = "app-1.0.jar", **fields: str) -> Artifact:
    return Artifact(
        name=fields.pop("name", "org.example:app"),
        version="1.0",
        file=file,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        **fields,
    )


def item_of(one: Artifact, ecosystem: str = "maven", **truth: str) -> Item:
    fields = {
        "kind": "jar",
        "ecosystem": ecosystem,
        "why": "it is made for this test",
        "truth": dict.fromkeys(FAMILIES, "clean") | truth,
        "artifacts": (one,),
    }
    from tests.corpus.declared import Group

    return Item(Group.model_validate(fields), one)


# -- what is declared


def test_two_hundred_artifacts_of_every_kind() -> None:
    corpus = Corpus()
    items = corpus.items.values()
    assert len(items) >= 200
    assert sum(item.artifact.size for item in items) <= 1500 << 20
    assert max(item.artifact.size for item in items) <= 60 << 20
    assert {item.group.ecosystem for item in items} == {"pypi", "npm", "maven", "go", "debian", "made"}
    small = [item for item in items if item.artifact.small]
    assert 10 <= len(small) <= 18 and len({item.kind for item in small}) >= 14
    verdicts = Counter(item.truth(family).verdict for item in items for family in FAMILIES)
    assert min(verdicts["clean"], verdicts["refused"]) > 200, "a tool that always says one thing is seen"


@pytest.mark.parametrize(
    ("given", "instead", "told"),
    [
        ("jars without native files:", "- jars", "no mapping|mapping values"),
        ("  kind: jar\n", "", "kind"),
        ("  kind: jar\n", "  kind: jar\n  sort: jar\n", "sort"),
        ("ecosystem: maven", "ecosystem: docker", "ecosystem"),
        ("why: nothing of them depends on an architecture", "why: so", "why"),
        (", loongson: XC-JAR-001", "", "is told of kunpeng"),
        ("kunpeng: clean", "kunpeng: good", "neither clean nor undecided"),
        ("XC-JAR-001", "XC-JAR-999", "neither clean nor undecided"),
        ("XC-JAR-001", "XC-JAR-001|", "neither clean nor undecided"),
        ("XC-JAR-001", '""', "neither clean nor undecided"),
        ("a" * 64, "a" * 63, "sha256"),
        ("a" * 64, '""', "a size and a digest"),
        ("app-1.0.jar", "../app.jar", "file"),
        ("size: 5", "size: -5", "size"),
        ("size: 5", "size: 5, source: pool/main/a", "directory of the pool"),
        ("size: 5", "size: 5, truth: {kunpeng: clean}", "has a reason"),
        ("size: 5", "size: 5, why: because of this", "has a reason"),
        ("size: 5", "size: 5, known: {sunway: it is so}", "no family sunway"),
        ("size: 5", "size: 5, parts: [a.deb]", "what is made has parts"),
        ("ecosystem: maven", "ecosystem: made", "what is made has parts"),
        ("  artifacts:", "  artifacts: []\n  others:", "artifacts"),
        ("jars without", "a: [\njars without", "jars.yaml"),
    ],
)  # fmt: skip
def test_a_malformed_declaration_is_refused(tmp_path: Path, given: str, instead: str, told: str) -> None:
    assert given in GOOD
    corpus_of(tmp_path, GOOD)
    with pytest.raises(ValueError, match=told):
        corpus_of(tmp_path, GOOD.replace(given, instead, 1))


def test_what_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ValueError, match="declared twice"):
        corpus_of(tmp_path, GOOD)
    (tmp_path / "more.yaml").write_text(
        "a:\n  kind: image\n  ecosystem: made\n  why: it is made of them\n  truth: {kunpeng: clean, phytium: clean,"
        " hygon: clean, zhaoxin: clean, loongson: clean}\n  artifacts: [{name: a, file: a.tar, parts: [b.deb]}]\n",
        encoding="utf-8",
    )
    with pytest.raises(ValueError, match=r"no artifact b\.deb"):
        Corpus(tmp_path)


def test_artifacts_are_selected_by_kind_or_by_a_part_of_the_name(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, GOOD)
    assert (
        [item.file for item in corpus.select(("jar",))]
        == ["app-1.0.jar"]
        == [i.file for i in corpus.select(("app-1",))]
    )
    assert len(corpus.select(())) == 1
    with pytest.raises(ValueError, match="no kind and no artifact"):
        corpus.select(("wheel",))


# -- fetching


def getter(data: bytes) -> Callable[[Artifact, Path], Path]:
    def get(one: Artifact, scratch: Path) -> Path:
        (scratch / one.file).write_bytes(data)
        return scratch / one.file

    return get


def test_what_comes_is_kept_when_it_is_what_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, item = Cache(tmp_path), item_of(artifact(b"right", "a.tgz"), "npm")
    monkeypatch.setitem(fetching.GETTERS, "npm", getter(b"wrong"))
    faults = fetching.fetch(cache, [item])
    assert "SHA-256" in faults["a.tgz"] and not fetching.place_of(cache, item.artifact).exists()
    monkeypatch.setitem(fetching.GETTERS, "npm", getter(b"right"))
    assert fetching.fetch(cache, [item]) == {}
    assert fetching.place_of(cache, item.artifact).read_bytes() == b"right"

    def nobody(_artifact: Artifact, _scratch: Path) -> Path:
        raise HostFault("the network is gone")  # type: ignore[arg-type]

    monkeypatch.setitem(fetching.GETTERS, "npm", nobody)
    assert fetching.fetch(cache, [item]) == {}, "it is in the cache"
    assert list(fetching.place_of(cache, item.artifact).parent.iterdir()) == [fetching.place_of(cache, item.artifact)]
    other = item_of(artifact(b"other", "b.tgz"), "npm")
    assert fetching.fetch(cache, [other]) == {"b.tgz": "the network is gone"}


def test_what_maven_refuses_is_told_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(_artifacts: object, _scratch: Path) -> dict[str, Path]:
        raise HostFault("there is no such artifact")  # type: ignore[arg-type]

    monkeypatch.setattr(fetching, "by_maven", refuses)
    items = [item_of(artifact(b"a")), item_of(artifact(b"b", "app-1.0-linux.jar"))]
    assert set(fetching.fetch(Cache(tmp_path), items)) == {"app-1.0.jar", "app-1.0-linux.jar"}


def test_a_file_of_another_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_run", lambda *_words: (tmp_path / "b.tgz").write_bytes(b"") and "")
    with pytest.raises(HostFault, match=r"a\.tgz was asked for, and b\.tgz came"):
        fetching.by_npm(artifact(b"", "a.tgz"), tmp_path)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("app-1.0.jar", {"type": "jar"}),
        ("app-1.0-linux-x86_64.jar", {"type": "jar", "classifier": "linux-x86_64"}),
        ("app-1.0-bin.tar.gz", {"type": "tar.gz", "classifier": "bin"}),
        ("app-1.0-linux-aarch_64.exe", {"type": "exe", "classifier": "linux-aarch_64"}),
        ("app-1.1.jar", None),
        ("app-1.0.jar.sig", None),
    ],
)
def test_coordinates_of_maven(file: str, told: dict[str, str] | None) -> None:
    if told is None:
        with pytest.raises(HostFault, match="no file of"):
            fetching.coordinates(artifact(b"", file))
    else:
        found = fetching.coordinates(artifact(b"", file))
        assert found == {"groupId": "org.example", "artifactId": "app", "version": "1.0", **told}


def test_which_python_a_tag_asks_for() -> None:
    assert [fetching.pip_version(tag) for tag in ("cp311", "py3", "py2.py3", "cp39")] == ["3.11", "3.11", "3.11", "3.9"]
    with pytest.raises(HostFault):
        fetching.pip_version("any")


# -- verdicts


def finding(code: str, certainty: Certainty) -> Finding:
    return Finding(code, certainty, "a", "p")


def test_what_findings_come_to() -> None:
    catalogue = load_findings()
    certain, open_ = finding("XC-ELF-010", Certainty.CERTAIN), finding("XC-ISA-003", Certainty.GUARDED)
    note = finding("XC-ELF-016", Certainty.NOTE)
    assert str(verdict_of([note], catalogue)) == "clean"
    assert str(verdict_of([note, open_], catalogue)) == "undecided"
    assert str(verdict_of([open_, certain], catalogue)) == "refused XC-ELF-010"


@pytest.mark.parametrize(
    ("truth", "found", "outcome"),
    [
        ("clean", "clean", Outcome.RIGHT),
        ("clean", "undecided", Outcome.UNDECIDED),
        ("clean", "XC-ELF-010", Outcome.WRONG),
        ("undecided", "undecided", Outcome.RIGHT),
        ("undecided", "clean", Outcome.WRONG),
        ("undecided", "XC-ELF-010", Outcome.WRONG),
        ("XC-ELF-010", "clean", Outcome.WRONG),
        ("XC-ELF-010", "undecided", Outcome.UNDECIDED),
        ("XC-ELF-010", "XC-ELF-010 XC-ELF-011", Outcome.RIGHT),
        ("XC-ELF-010 XC-ELF-011", "XC-ELF-010", Outcome.WRONG),
        ("XC-ELF-010", "XC-ELF-011", Outcome.WRONG),
        ("XC-ELF-010|XC-ELF-011", "XC-ELF-011", Outcome.RIGHT),
        ("XC-ELF-010|XC-ELF-011", "XC-ELF-012", Outcome.WRONG),
        ("XC-ISA-003", "XC-LOD-001", Outcome.RIGHT),
        ("clean", "XC-LOD-001", Outcome.WRONG),
    ],
)
def test_verdicts_against_the_truth(truth: str, found: str, outcome: Outcome) -> None:
    assert compare(Truth.parse(truth), Truth.parse(found)) is outcome


def judged(outcome: Outcome, known: str = "") -> Judged:
    return Judged(
        "a.jar", "jar", "hygon", outcome, "clean", "refused XC-JAR-001", {"XC-JAR-001": "a.jar"}, "it loads", known
    )


def test_the_table_and_what_is_wrong() -> None:
    all_of_them = [
        judged(Outcome.RIGHT),
        judged(Outcome.UNDECIDED),
        judged(Outcome.WRONG),
        judged(Outcome.WRONG, "a reason"),
    ]
    last = table(all_of_them).splitlines()[-1].split()
    assert last == ["all", "1", "1", "2", "1"]
    assert unexplained(all_of_them) == [all_of_them[2]]
    told = wrongs(all_of_them)
    assert told.count("wrong: a.jar on hygon") == 2 and "listed: a reason" in told and "not explained" in told
    assert outdated([judged(Outcome.RIGHT, "a reason")]) and not outdated(all_of_them)


# -- judging


def kept(cache: Cache, data: bytes, **fields: str) -> Item:
    one = artifact(data)
    place = fetching.place_of(cache, one)
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    return item_of(one, **fields)


def test_an_artifact_is_judged_on_each_platform(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    item = kept(cache, containers.zipped({"org/example/App.class": b"\xca\xfe\xba\xbe"}), zhaoxin="XC-JAR-001")
    found = Judge(Corpus(), cache).judge(item)
    assert [each.family for each in found] == list(FAMILIES)
    assert [each.outcome for each in found].count(Outcome.RIGHT) == 4
    (wrong,) = unexplained(found)
    assert (wrong.family, wrong.expected, wrong.found) == ("zhaoxin", "refused XC-JAR-001", "clean")


def test_what_is_not_there_or_another_file_is_not_judged(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    judge = Judge(Corpus(), cache)
    with pytest.raises(XcError, match="was not fetched"):
        judge.judge(item_of(artifact(b"never")))
    item = kept(cache, containers.zipped({"a": b""}))
    fetching.place_of(cache, item.artifact).write_bytes(b"another")
    with pytest.raises(DataFileError, match="SHA-256"):
        judge.judge(item)


def test_the_command_lists_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--list", "deb-image"]) == 0
    assert "kunpeng" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run.main(["no-such-kind"])


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([judged(Outcome.RIGHT)], 0),
        ([judged(Outcome.WRONG)], 1),
        ([judged(Outcome.WRONG, "a reason")], 0),
        ("it is not there", 1),
    ],
)
def test_the_status_of_the_command(
    found: list[Judged] | str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    item = item_of(artifact(b"a"))
    monkeypatch.setattr(run, "fetch", lambda *_words: {})
    monkeypatch.setattr(run, "judged_all", lambda _items, load: [(item, found)])
    assert run.main(["--json", "deb-image"]) == status
    json.loads(capsys.readouterr().out)
    assert run.main(["deb-image"]) == status


@pytest.mark.registry
@pytest.mark.slow
def test_a_small_part_of_the_corpus() -> None:
    """One artifact of each kind; `scripts/corpus` judges all."""
    corpus, cache = Corpus(), Cache()
    items = [item for item in corpus.items.values() if item.artifact.small]
    assert fetching.fetch(cache, run.with_parts(corpus, items)) == {}
    judge = Judge(corpus, cache)
    found = [each for item in items for each in judge.judge(item)]
    assert not unexplained(found), wrongs(found)
