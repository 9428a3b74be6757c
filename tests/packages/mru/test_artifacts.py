"""What is delivered, inspected and run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Cause, Decision, Verdict
from pytest_xinchuang.packages.mru.engine import MruEngine
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder, Target
from tests.inspect import containers

pytestmark = pytest.mark.sandbox

HEAD = 'schema: xc-subject/1\nname: x\nversion: "1"\n'
PROGRAM = '#include <stdio.h>\nint answer(void);\nint main(void) { return printf("%d\\n", answer()) < 0; }\n'
LIBRARY = "int answer(void) { return 42; }\n"


class Maker:
    """A subject whose artifacts are packages of a program and its library."""

    def __init__(self, place: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool) -> None:
        self.place, self.platforms, self.catalogue, self.pool = place, platforms, catalogue, pool
        self.builder = Builder(pool.store.cache)

    def built(self, arch: Arch, libc: str = "", library: str = LIBRARY) -> dict[str, bytes]:
        for name, text in (("program.c", PROGRAM), ("library.c", library)):
            (self.place / name).write_text(text)
        libc = libc or ("2.36" if arch is Arch.LOONG64 else "2.28")
        target = Target(arch, self.platforms.file.architectures[arch], libc)
        flags = ["-Wl,-soname,libanswer.so.1"]
        lib = self.builder.c(target, [self.place / "library.c"], flags=flags, shared=True)
        program = self.builder.c(target, [self.place / "program.c"], with_objects={"libanswer.so.1": lib})
        return {"opt/x/bin/tool": program, "opt/x/lib/libanswer.so.1": lib}

    def decide(self, manifest: str, name: str) -> dict[str, Decision]:
        (self.place / "xinchuang.yaml").write_text(HEAD + manifest)
        engine = MruEngine(self.platforms.get(name), load_subject(self.place), self.catalogue, self.pool, self.builder)
        return {r.id: engine.decision(r.id) for r in self.catalogue.of(frozenset({"mru"}))}


@pytest.fixture
def maker(tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool) -> Maker:
    return Maker(tmp_path, platforms, catalogue, pool)


RUN = (
    "units:\n  - {name: run, kind: artifact, artifact: tool, program: opt/x/bin/tool, "
    'expect: {stdout: "42\\n", source: text}}\n'
)


@pytest.mark.parametrize("name", ["kunpeng", "loongson", "zhaoxin"])
def test_a_package_is_inspected_and_its_program_run(name: str, maker: Maker) -> None:
    names = {Arch.ARM64: "arm64.rpm", Arch.LOONG64: "loong64.tar.gz", Arch.AMD64: "amd64.zip"}
    for arch, file in names.items():
        files = maker.built(arch)
        data = {
            "arm64.rpm": lambda files=files: containers.rpm(files, "tool", "aarch64"),
            "loong64.tar.gz": lambda files=files: containers.tar(files, "w:gz"),
            "amd64.zip": lambda files=files: containers.zipped(files),
        }[file]()
        (maker.place / file).write_bytes(data)
    manifest = (
        "artifacts:\n  - {name: tool, files: {arm64: arm64.rpm, loongson: loong64.tar.gz, amd64: amd64.zip}}\n" + RUN
    )
    decisions = maker.decide(manifest + "allowed_libraries: [libanswer.so.1]\n", name)
    open_ = {i: d.reason for i, d in decisions.items() if d.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE)}
    behaviours = {"XC-MRU-020", "XC-MRU-021", "XC-MRU-022", "XC-MRU-023", "XC-MRU-024"}
    # What comes built is not built twice here.
    assert set(open_) == {"XC-MRU-040", "XC-MRU-041", "XC-MRU-042"} | behaviours
    assert decisions["XC-MRU-010"].verdict is Verdict.PASS
    assert decisions["XC-MRU-008"].verdict is Verdict.PASS


def test_nothing_for_the_platform_is_a_failure_that_says_what_there_is(maker: Maker) -> None:
    (maker.place / "a.zip").write_bytes(containers.zipped(maker.built(Arch.AMD64)))
    decisions = maker.decide("artifacts:\n  - {name: tool, files: {amd64: a.zip}}\n", "kunpeng")
    assert decisions["XC-MRU-008"].verdict is Verdict.FAIL
    assert "nothing is delivered for kunpeng920-kylin_v10_sp3" in decisions["XC-MRU-008"].reason
    # Nothing was run: no requirement that asks for a run is passed.
    assert decisions["XC-MRU-005"].verdict is Verdict.NOT_TESTED


def test_the_wrong_package_under_the_right_name_is_a_failure(maker: Maker) -> None:
    (maker.place / "a.deb").write_bytes(containers.deb(maker.built(Arch.AMD64), "Package: x\nArchitecture: amd64\n"))
    decisions = maker.decide("artifacts:\n  - {name: tool, files: {arm64: a.deb}}\n" + RUN, "kunpeng")
    assert decisions["XC-MRU-008"].verdict is Verdict.FAIL
    assert "XC-PKG-004" in decisions["XC-MRU-008"].reason
    assert decisions["XC-MRU-001"].verdict is Verdict.FAIL


def test_what_cannot_be_read_is_inconclusive_and_no_pass(maker: Maker) -> None:
    data = containers.zipped(maker.built(Arch.ARM64))
    (maker.place / "a.zip").write_bytes(data[: len(data) // 2])
    decisions = maker.decide("artifacts:\n  - {name: tool, files: {arm64: a.zip}}\n", "kunpeng")
    assert (decisions["XC-MRU-008"].verdict, decisions["XC-MRU-008"].cause) == (Verdict.INCONCLUSIVE, Cause.HOST)


def test_guarded_instructions_need_a_run(maker: Maker) -> None:
    """A library that asks for LSE before it uses it, on a Phytium: the file alone does not decide."""
    library = (
        "unsigned long getauxval(unsigned long);\nint answer(void) {\n    int n = 41, one = 1;\n#ifdef __aarch64__\n"
        "    if (getauxval(16) & 256)\n"
        '        __asm__ volatile(".arch_extension lse\\n\\tldadd %w1, wzr, [%0]" :: "r"(&n), "r"(one) : "memory");\n    else\n'
        "#endif\n        n += one;\n    return n;\n}\n"
    )
    for arch, name in ((Arch.ARM64, "a.zip"), (Arch.AMD64, "x.zip")):
        (maker.place / name).write_bytes(containers.zipped(maker.built(arch, library=library)))
    artifacts = "artifacts:\n  - {name: tool, files: {arm64: a.zip, amd64: x.zip}}\n"
    decision = maker.decide(artifacts, "phytium")["XC-MRU-015"]
    assert (decision.verdict, decision.cause) == (Verdict.INCONCLUSIVE, Cause.FIDELITY)
    assert "XC-ISA-002" in decision.reason and "no unit runs the artifact" in decision.reason
    decisions = maker.decide(artifacts + RUN, "phytium")
    assert decisions["XC-MRU-015"].verdict is Verdict.PASS
    assert decisions["XC-MRU-013"].verdict is Verdict.PASS
    # On a Kunpeng, which has LSE, nothing is guarded.
    assert maker.decide(artifacts, "kunpeng")["XC-MRU-015"].verdict is Verdict.PASS


def test_a_program_that_is_not_in_the_artifact(maker: Maker) -> None:
    (maker.place / "a.zip").write_bytes(containers.zipped(maker.built(Arch.ARM64)))
    decisions = maker.decide(
        "artifacts:\n  - {name: tool, files: {arm64: a.zip}}\n"
        "units:\n  - {name: r, kind: artifact, artifact: tool, program: bin/none}\n",
        "kunpeng",
    )
    assert decisions["XC-MRU-004"].verdict is Verdict.FAIL
    assert "bin/none is not in the artifact a.zip" in decisions["XC-MRU-004"].reason


@pytest.mark.slow
def test_an_interpreter_can_be_asked_for(maker: Maker) -> None:
    """The stand-in root filesystem gets a package more, and an artifact runs by it."""
    from pytest_xinchuang.provision.store import Store

    (maker.place / "app").mkdir()
    (maker.place / "app/app.pl").write_text('print "perl says 42\\n";\n')
    manifest = (
        "artifacts:\n  - {name: app, files: {arm64: app, amd64: app}}\nrootfs_packages: [perl-base]\n"
        'units:\n  - {name: run, kind: artifact, artifact: app, command: [perl, "{here}/app.pl"], '
        'expect: {stdout: "perl says 42\\n", source: text}}\n'
    )
    (maker.place / "xinchuang.yaml").write_text(HEAD + manifest)
    store = Store(maker.platforms, maker.pool.store.cache, packages=("perl-base",))
    maker.pool = Pool(store, "qemu")
    try:
        decisions = maker.decide(manifest, "kunpeng")
    finally:
        maker.pool.close()
    assert decisions["XC-MRU-010"].verdict is Verdict.PASS, decisions["XC-MRU-010"]


def test_a_file_of_no_known_kind_is_not_called_good(maker: Maker) -> None:
    (maker.place / "README").write_text("nothing to inspect")
    decision = maker.decide("artifacts:\n  - {name: tool, files: {arm64: README}}\n", "kunpeng")["XC-MRU-008"]
    assert (decision.verdict, decision.cause) == (Verdict.INCONCLUSIVE, Cause.HOST)
    assert "it was not inspected" in decision.reason


def test_a_command_that_uses_nothing_of_the_artifact_is_refused(maker: Maker) -> None:
    from pytest_xinchuang.core.errors import DataFileError

    (maker.place / "a.zip").write_bytes(containers.zipped(maker.built(Arch.ARM64)))
    manifest = (
        "artifacts:\n  - {name: tool, files: {arm64: a.zip}}\n"
        "units:\n  - {name: r, kind: artifact, artifact: tool, command: [echo, '42']}\n"
    )
    with pytest.raises(DataFileError, match="uses nothing of its artifact"):
        maker.decide(manifest, "kunpeng")


def test_an_installer_that_asks_for_nothing_is_not_judged(maker: Maker) -> None:
    (maker.place / "install.sh").write_text("#!/bin/sh\necho done\n")
    decisions = maker.decide("units:\n  - {name: i, kind: installer, sources: [install.sh]}\n", "kunpeng")
    assert decisions["XC-MRU-032"].verdict is Verdict.INCONCLUSIVE
    assert decisions["XC-MRU-031"].verdict is Verdict.PASS


def image(layers: list[dict[str, bytes]], arch: str, *, saved: bool) -> bytes:
    """A docker-save archive or an OCI layout."""
    import hashlib
    import json

    blobs, names = {}, []
    for files in layers:
        data = containers.tar(files, "w:gz")
        names.append(f"blobs/sha256/{hashlib.sha256(data).hexdigest()}")
        blobs[names[-1]] = data
    config = json.dumps({"os": "linux", "architecture": arch}).encode()
    config_name = f"blobs/sha256/{hashlib.sha256(config).hexdigest()}"
    blobs[config_name] = config
    if saved:
        blobs["manifest.json"] = json.dumps([{"Config": config_name, "Layers": names}]).encode()
        return containers.tar(blobs)

    def descriptor(name: str) -> dict[str, str]:
        return {"digest": "sha256:" + name.rpartition("/")[2]}

    manifest = json.dumps({"config": descriptor(config_name), "layers": [descriptor(n) for n in names]}).encode()
    name = f"blobs/sha256/{hashlib.sha256(manifest).hexdigest()}"
    blobs[name] = manifest
    index = {"manifests": [{**descriptor(name), "platform": {"os": "linux", "architecture": arch}}]}
    blobs["index.json"] = json.dumps(index).encode()
    return containers.tar(blobs)


@pytest.mark.parametrize("saved", [True, False])
def test_an_image_is_inspected_and_its_program_run(saved: bool, maker: Maker) -> None:
    """Two layers: the second one replaces the library, and removes a file."""
    for arch in (Arch.ARM64, Arch.AMD64):
        files = maker.built(arch)
        first = {**files, "opt/x/lib/libanswer.so.1": b"older", "opt/x/old": b"x"}
        second = {"opt/x/lib/libanswer.so.1": files["opt/x/lib/libanswer.so.1"], "opt/x/.wh.old": b""}
        (maker.place / f"{arch}.tar").write_bytes(image([first, second], arch.value, saved=saved))
    manifest = "artifacts:\n  - {name: tool, files: {arm64: arm64.tar, amd64: amd64.tar}}\n" + RUN
    decisions = maker.decide(manifest + "allowed_libraries: [libanswer.so.1]\n", "kunpeng")
    for requirement in ("XC-MRU-008", "XC-MRU-010", "XC-MRU-011", "XC-MRU-015"):
        assert decisions[requirement].verdict is Verdict.PASS, decisions[requirement]
    wrong = maker.decide("artifacts:\n  - {name: tool, files: {loong64: arm64.tar}}\n", "loongson")["XC-MRU-008"]
    assert wrong.verdict is Verdict.FAIL and "XC-IMG-001" in wrong.reason


def test_packages_that_the_manifest_asks_for_show_in_the_grade(maker: Maker) -> None:
    from pytest_xinchuang.provision.store import Store

    store = Store(maker.platforms, maker.pool.store.cache, packages=("perl-base",))
    assert "with perl-base, as the manifest asks" in store.rootfs_for(maker.platforms.get("kunpeng")).differs
