"""What is delivered as one file system: layers, packages, search paths, and who takes which file."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty, Finding, load_findings
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.delivery import Delivery, Kind, Root
from pytest_xinchuang.inspect.go_build_info import GoBuildInfo
from pytest_xinchuang.inspect.images import images
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.roles import Choice, Roles
from pytest_xinchuang.inspect.rules import npm
from pytest_xinchuang.inspect.search import How, Search
from pytest_xinchuang.inspect.starting import interpreter_of
from tests.inspect import containers
from tests.inspect.test_rules import codes, elf, found
from tests.inspect.test_rules import tools as tools
from tests.mutants.porting.tools import Tools

PROGRAM = "int answer(void);\nint main(void) { return answer(); }\n"
LIBRARY = "int answer(void) { return 42; }\n"
ARM64_LOADER, X86_64_LOADER = "lib/ld-linux-aarch64.so.1", "lib64/ld-linux-x86-64.so.2"


def obj(path: str, machine: str = "EM_AARCH64", **fields: object) -> ElfRecord:
    return ElfRecord(f"top!{path}", path, elf(machine=machine, **fields))


def program(path: str, *libraries: str, **fields: object) -> ElfRecord:
    return obj(path, "EM_AARCH64", interpreter="/lib/ld-linux-aarch64.so.1", libraries=libraries, **fields)


def root(*records: ElfRecord, kind: Kind = Kind.TREE, links: dict[str, str] | None = None, others: str = "") -> Root:
    made = Root(kind, "top", links=links or {})
    made.files.update({record.path: record for record in records})
    made.files.update(dict.fromkeys(others.split()))
    return made


# -- roots


def layered(*layers: dict[str, bytes], links: dict[str, str] | None = None) -> list[bytes]:
    made = [containers.tar(files) for files in layers]
    if links:
        made[-1] = containers.linked_tar(layers[-1], links)
    return made


def paths(data: bytes, tmp_path: Path) -> list[set[str]]:
    from pytest_xinchuang.inspect.walk import Walker

    path = tmp_path / "image.tar"
    path.write_bytes(data)
    top = Walker(lambda *_: None).walk(path)
    return [set(r.files) | set(r.links) for r in Delivery(top).roots]


@pytest.mark.parametrize(
    ("layers", "there"),
    [
        ([{"a": b"1"}, {"b": b"2"}], {"a", "b"}),
        ([{"d/a": b"1", "d/b": b"2"}, {"d/.wh.a": b""}], {"d/b"}),
        ([{"d/a": b"1", "e": b"2"}, {".wh.d": b""}], {"e"}),
        # The directory is new: what it had goes, and what this layer puts there stays, wherever the mark stands in the archive.
        ([{"d/a": b"1"}, {"d/b": b"2", "d/.wh..wh..opq": b""}], {"d/b"}),
        ([{"d/a": b"1"}, {"d": b"now a file"}], {"d"}),
        ([{"a": b"1"}, {".wh.a": b""}, {"a": b"again"}], {"a"}),
        ([{"ab": b"1", "a/x": b"2"}, {".wh.a": b""}], {"ab"}),
    ],
)
def test_the_layers_of_an_image_are_one_root(layers: list[dict[str, bytes]], there: set[str], tmp_path: Path) -> None:
    assert paths(containers.saved_image(layered(*layers), "arm64"), tmp_path) == [there]
    packed = [gzip.compress(layer) for layer in layered(*layers)]
    assert paths(containers.oci_layout([("arm64", packed)]), tmp_path) == [there]


def test_images_that_share_a_layer_have_a_root_each(tmp_path: Path) -> None:
    common, one, two = layered({"etc/conf": b"c"}, {"one": b"1"}, {"two": b"2"})
    found = paths(containers.oci_layout([("arm64", [common, one]), ("amd64", [common, two])]), tmp_path)
    assert found == [{"etc/conf", "one"}, {"etc/conf", "two"}]


@pytest.mark.parametrize("index", [b"[]", b"{", b'{"manifests": [1, {"digest": 5}]}', b"[" * 100_000])
def test_an_index_that_leads_nowhere_has_no_images(index: bytes) -> None:
    assert images(Node("image", "x", "x", texts={"index.json": index, "manifest.json": index})) == []


def test_an_index_in_itself_has_an_end() -> None:
    index = b'{"manifests": [{"digest": "sha256:a"}]}'
    assert images(Node("image", "x", "x", texts={"index.json": index, "blobs/sha256/a": index})) == []


def test_packages_beside_each_other_are_installed_together(tmp_path: Path) -> None:
    from pytest_xinchuang.inspect.walk import Walker

    for name, arch, files in [
        ("libx.deb", "arm64", {"usr/lib/libx.so.1": b"x"}),
        ("app.deb", "arm64", {"usr/bin/app": b"x"}),
        ("conf.deb", "all", {"etc/app.conf": b"x"}),
        ("app-amd64.deb", "amd64", {"usr/bin/app": b"y"}),
    ]:
        (tmp_path / name).write_bytes(containers.deb(files, f"Package: x\nArchitecture: {arch}\n"))
    roots = {r.arch: set(r.files) for r in Delivery(Walker(lambda *_: None).walk(tmp_path)).roots if r.arch}
    assert roots["arm64"] >= {"usr/lib/libx.so.1", "usr/bin/app", "etc/app.conf"}
    assert "usr/lib/libx.so.1" not in roots["amd64"] and roots["amd64"] >= {"usr/bin/app", "etc/app.conf"}


@pytest.mark.parametrize(
    ("files", "kinds"),
    [
        ("etc/os-release usr/bin/a", {"": "system"}),
        ("usr/lib/os-release bin/a", {"": "system"}),
        (
            "rootfs/etc/os-release rootfs/usr/lib/os-release rootfs/usr/bin/a config.json",
            {"": "tree", "rootfs!": "system"},
        ),
        ("etc/x lib/ld-linux-aarch64.so.1 bin/a", {"": "system"}),
        # A program with its loader beside it is put anywhere.
        ("lib/ld-linux-aarch64.so.1 lib/libc.so.6 bin/a", {"": "tree"}),
        ("app/lib/ld-musl-aarch64.so.1 other/etc/app.conf", {"": "tree"}),
    ],
)
def test_which_directories_are_root_file_systems(files: str, kinds: dict[str, str]) -> None:
    top = Node("directory", "top", "top", members=files.split())
    assert {r.inside: r.kind.value for r in Delivery(top).roots} == kinds


@pytest.mark.parametrize(
    ("links", "path", "there"),
    [
        ({}, "usr/lib/a", "usr/lib/a"),
        ({"lib": "usr/lib"}, "/lib/a", "usr/lib/a"),
        ({"lib": "/usr/lib"}, "lib/a", "usr/lib/a"),
        ({"usr/bin/x": "../lib/a"}, "usr/bin/x", "usr/lib/a"),
        ({"usr/bin/x": "../../../../usr/lib/a"}, "usr/bin/x", "usr/lib/a"),
        ({"one": "two", "two": "one"}, "one", None),
        ({"out": "/nowhere"}, "out", None),
    ],
)
def test_links_lead_through_the_root_and_not_out_of_it(links: dict[str, str], path: str, there: str | None) -> None:
    assert root(links=links, others="usr/lib/a").resolve(path) == there


# -- the search for libraries


@pytest.mark.parametrize(
    ("fields", "at", "how"),
    [
        ({"runpath": ("$ORIGIN/../lib",)}, "lib/libx.so.1", How.FOUND),
        ({"runpath": ("${ORIGIN}/../lib",)}, "lib/libx.so.1", How.FOUND),
        ({"rpath": ("$ORIGIN/../lib",)}, "lib/libx.so.1", How.FOUND),
        # DT_RPATH does not count beside DT_RUNPATH.
        ({"rpath": ("$ORIGIN/../lib",), "runpath": ("/opt/none",)}, "lib/libx.so.1", How.NEARBY),
        ({}, "lib/libx.so.1", How.NEARBY),
        ({"runpath": ("$ORIGIN/../lib",)}, "lib/libx.so.1.0.0", How.RENAMED),
        ({"runpath": ("$ORIGIN/../lib",)}, "lib/other.so", How.ABSENT),
    ],
)
def test_where_a_loader_finds_a_library_of_a_tree(fields: dict[str, object], at: str, how: How) -> None:
    app = program("bin/app", "libx.so.1", **fields)
    library = obj(at, soname="other.so" if how is How.ABSENT else "libx.so.1")
    assert Search(root(app, library)).supply(app, "libx.so.1").how is how


def test_where_a_loader_finds_a_library_of_a_system() -> None:
    app = program("usr/bin/app", "libx.so.1")
    for at, how in {
        "usr/lib64/libx.so.1": How.FOUND,
        "usr/lib/aarch64-linux-gnu/libx.so.1": How.FOUND,
        "usr/lib64/libx.so.1.2": How.FOUND,  # ldconfig makes the link
        "usr/lib64/app/libx.so.1": How.NEARBY,
        "opt/x/lib/libx.so.1": How.NEARBY,
    }.items():
        there = root(app, obj(at, soname="libx.so.1"), kind=Kind.SYSTEM)
        assert Search(there).supply(app, "libx.so.1").how is how, at
    there.texts["etc/ld.so.conf.d/x.conf"] = b"# ours\n/opt/x/lib # here\n"
    assert Search(there).supply(app, "libx.so.1").how is How.FOUND
    hidden = program("usr/bin/app", "libx.so.1", nodeflib=True)
    there = root(hidden, obj("usr/lib/libx.so.1", soname="libx.so.1"), kind=Kind.SYSTEM)
    assert Search(there).supply(hidden, "libx.so.1").how is How.NEARBY


def test_rpath_counts_for_the_libraries_of_libraries_and_runpath_does_not() -> None:
    for field, how in (("rpath", How.FOUND), ("runpath", How.NEARBY)):
        app = program("bin/app", "liba.so", **{field: ("$ORIGIN/../lib",)})
        first, second = (
            obj("lib/liba.so", soname="liba.so", libraries=("libb.so",)),
            obj("lib/libb.so", soname="libb.so"),
        )
        found = {name: supply.how for _user, name, supply in Search(root(app, first, second)).closure(app)}
        assert found == {"liba.so": How.FOUND, "libb.so": how}


def test_a_file_for_another_machine_is_passed_over_and_one_that_is_none_ends_the_search() -> None:
    app = program("bin/app", "libx.so.1", runpath=("$ORIGIN/a", "$ORIGIN/b"))
    wrong, right = obj("bin/a/libx.so.1", "EM_X86_64"), obj("bin/b/libx.so.1")
    assert Search(root(app, wrong, right)).supply(app, "libx.so.1").record is right
    alone = Search(root(app, wrong)).supply(app, "libx.so.1")
    assert (alone.how, alone.machine, alone.instead) == (How.ABSENT, "EM_X86_64", wrong.place)
    text = root(app, right, others="bin/a/libx.so.1")
    assert Search(text).supply(app, "libx.so.1").how is How.NO_OBJECT


def test_libraries_in_a_circle_are_each_told_once() -> None:
    app = program("bin/app", "liba.so", runpath=("$ORIGIN",))
    one, two = obj("bin/liba.so", libraries=("libb.so",)), obj("bin/libb.so", libraries=("liba.so",))
    assert len(list(Search(root(app, one, two)).closure(app))) == 2


# -- roles


def choices(platforms: Platforms, platform: str, *records: ElfRecord, modes: dict[str, int] | None = None) -> list[str]:
    known = {id(record): modes[record.path] for record in records if modes and record.path in modes}
    there = [(record, record.path) for record in records]
    roles = Roles(there, platforms.get(platform), platforms.file.architectures, known)
    return [roles.choice(record).value for record in records]


X86, ARM = "EM_X86_64", "EM_AARCH64"


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        # No chooser: the one of another machine is a fault, wherever it stands.
        ({"bin/server": ARM, "bin/helper": X86}, [Choice.TAKEN, Choice.FOREIGN]),
        ({"a/b/server": ARM, "c/d/e/helper": X86}, [Choice.TAKEN, Choice.FOREIGN]),
        # Chosen by the path, by the file's name, by a jar's name, by a CPU's.
        ({"prebuilds/linux-x64/a.node": X86, "prebuilds/linux-arm64/a.node": ARM}, [Choice.PASSED_OVER, Choice.TAKEN]),
        ({"liba-x86_64.so": X86, "liba-aarch64.so": ARM}, [Choice.PASSED_OVER, Choice.TAKEN]),
        ({"n-linux-x86_64.jar!n.so": X86, "n-linux-aarch_64.jar!n.so": ARM}, [Choice.PASSED_OVER, Choice.TAKEN]),
        ({"linux-64/a.so": X86, "linux-aarch64/a.so": ARM}, [Choice.PASSED_OVER, Choice.TAKEN]),
        ({"tool-linux-64": X86, "other-linux-arm64": ARM}, [Choice.LACKING, Choice.TAKEN]),
        ({"lib/ggml-haswell.so": X86, "lib/ggml-armv8.2_1.so": ARM}, [Choice.PASSED_OVER, Choice.TAKEN]),
        ({"lib/libz.so.1": ARM, "lib/glibc-hwcaps/x86-64-v3/libz.so.1": X86}, [Choice.TAKEN, Choice.PASSED_OVER]),
        ({"tool": ARM, "tool_amd64": X86}, [Choice.TAKEN, Choice.PASSED_OVER]),
        # Its role has nothing for the platform.
        ({"linux-x64/a.node": X86, "linux-arm64/b.node": ARM}, [Choice.LACKING, Choice.TAKEN]),
        ({"linux-x64/a.node": X86, "linux-loong64/a.node": "EM_LOONGARCH"}, [Choice.LACKING, Choice.LACKING]),
        # A file for the platform in the place of another's: whoever looks for arm64 finds nothing.
        ({"linux-x64/a.node": ARM, "linux-s390x/a.node": "EM_S390"}, [Choice.TAKEN, Choice.LACKING]),
        # The same name elsewhere, and no word for an architecture.
        ({"one/a.so": X86, "two/a.so": ARM}, [Choice.UNKNOWN, Choice.TAKEN]),
        # Words that are no architecture's.
        ({"charm64/a": X86, "b": ARM}, [Choice.FOREIGN, Choice.TAKEN]),
        ({"a-v2.so": X86, "a-v3.so": ARM}, [Choice.FOREIGN, Choice.TAKEN]),
        # Code for devices, and a cross compiler's target.
        ({"usr/lib/x/prog.bpf.o": "EM_BPF", "bin/a": ARM}, [Choice.DATA, Choice.TAKEN]),
        ({"kernels/gfx90a.co": "machine 224", "bin/a": ARM}, [Choice.DATA, Choice.TAKEN]),
        ({"usr/x86_64-linux-gnu/lib/libc.so.6": X86, "bin/a": ARM}, [Choice.DATA, Choice.TAKEN]),
        ({"usr/lib/x86_64-linux-gnu/libc.so.6": X86, "bin/a": ARM}, [Choice.LACKING, Choice.TAKEN]),
    ],
)
def test_who_takes_which_file(files: dict[str, str], wanted: list[Choice], platforms: Platforms) -> None:
    records = [obj(path, machine) for path, machine in files.items()]
    assert choices(platforms, "kunpeng", *records) == [choice.value for choice in wanted]


def test_another_operating_systems_file_is_passed_over_unless_it_is_linuxs(platforms: Platforms) -> None:
    theirs, ours = obj("freebsd-arm64/a.so"), obj("windows/a.so", needed=(), libraries=("ld-musl-aarch64.so.1",))
    assert choices(platforms, "kunpeng", theirs, ours) == ["passed over", "taken"]
    for system, wanted in (("linux", "foreign"), ("android", "passed over")):
        go = GoBuildInfo("go1.22", "x", (), (("GOOS", system),))
        assert choices(platforms, "kunpeng", obj("android/agent", X86, needed=(), go=go)) == [wanted]


def test_firmware_is_data_where_it_may_not_be_executed(platforms: Platforms) -> None:
    firmware = obj("usr/share/qemu/fw_dynamic.elf", "EM_RISCV", kind="exec")
    helper = obj("usr/share/app/helper", X86, kind="exec")
    modes = {firmware.path: 0o644, helper.path: 0o755}
    assert choices(platforms, "kunpeng", firmware, helper, modes=modes) == ["data", "foreign"]
    # What is not known is not taken for data.
    assert choices(platforms, "kunpeng", firmware) == ["foreign"]


# -- the whole


def both(tools: Tools, text: str, *flags: str, **more: object) -> dict[Arch, bytes]:
    return {arch: tools.c(arch, text, *flags, **more) for arch in (Arch.ARM64, Arch.AMD64)}  # type: ignore[arg-type]


def test_an_image_with_its_own_libc_is_held_to_that(tools: Tools, platforms: Platforms) -> None:
    newer = tools.user_of(Arch.ARM64, "libc.so.6", "GLIBC_2.41", "shiny")
    libc = tools.stub(Arch.ARM64, "libc.so.6", "GLIBC_2.41", "shiny")
    lacking = tools.stub(Arch.ARM64, "libc.so.6", "GLIBC_2.40", "shiny")
    base = {"lib/libc.so.6": libc, ARM64_LOADER: tools.c(Arch.ARM64, LIBRARY, shared=True)}

    def image(name: str, *layers: dict[str, bytes]) -> Path:
        return tools.file(name, containers.saved_image(layered(*layers), "arm64"))

    app = {"app/plugin.so": newer}
    assert codes(image("one.tar", {**base, **app}), "kunpeng", platforms) == set()
    assert codes(image("two.tar", base, app), "kunpeng", platforms) == set()
    assert codes(image("three.tar", {**base, "lib/libc.so.6": lacking}, app), "kunpeng", platforms) == {"XC-ELF-014"}
    assert codes(image("none.tar", app), "kunpeng", platforms) == {"XC-ELF-010"}
    # A layer above removes it: the platform's is no longer stood in for.
    assert "XC-ELF-010" in codes(image("gone.tar", base, app, {"lib/.wh.libc.so.6": b""}), "kunpeng", platforms)


@pytest.mark.parametrize("arch", [Arch.ARM64, Arch.AMD64])
@pytest.mark.parametrize("linked", ["dynamic", "static", "named"])
@pytest.mark.parametrize("base", ["one layer", "two layers"])
def test_a_container_with_its_own_libc_is_held_to_the_kernel(
    base: str, linked: str, arch: Arch, tools: Tools, platforms: Platforms
) -> None:
    """io_uring_setup (425, Linux 5.1) and pidfd_open (5.3), raw or by the image's own libc; a call that the kernel has."""
    old, new, plain = {
        Arch.ARM64: ("kunpeng", "kunpeng920-kylin_v11", 172),
        Arch.AMD64: ("hygon_c86-kylin_v10_sp3", "hygon_c86-kylin_v11", 39),
    }[arch]
    loader = ARM64_LOADER if arch is Arch.ARM64 else X86_64_LOADER
    libc = tools.stub(arch, "libc.so.6", "GLIBC_2.41", "shiny")
    brought = {"lib/libc.so.6": libc, loader: tools.c(arch, LIBRARY, shared=True)}

    def app(number: int, function: str) -> bytes:
        if linked == "static":
            raw = {
                Arch.ARM64: 'register long n __asm__("x8") = NUMBER; __asm__ volatile("svc #0" :: "r"(n) : "x0", "memory");',
                Arch.AMD64: '__asm__ volatile("syscall" :: "a"(NUMBER) : "rcx", "r11", "memory");',
            }[arch]
            text = f"void _start(void) {{ {raw.replace('NUMBER', str(number))} for (;;) ; }}\n"
            return tools.c(arch, text, "-nostdlib", "-static")
        called = function if linked == "named" else "syscall"
        text = f"long {called}(long, ...); void _start(void) {{ {called}({number}, 1, 0); for (;;) ; }}\n"
        known = tools.stub(arch, "libc.so.6", "GLIBC_2.41", called)
        return tools.c(arch, text, "-nostdlib", "-no-pie", stubs={"libc.so.6": known})

    def told(program: bytes, platform: str) -> list[tuple[str, Certainty]]:
        mine = {"app/server": program}
        layers = layered({**brought, **mine}) if base == "one layer" else layered(brought, mine)
        image = tools.file("image.tar", containers.saved_image(layers, str(arch), Entrypoint=["/app/server"]))
        named = [f for f in found(image, platform, platforms) if f.object.endswith("app/server")]
        return [(f.code, f.certainty) for f in named if f.code.startswith(("XC-SYS", "XC-ELF-031", "XC-ELF-01"))]

    late, early = app(425, "pidfd_open"), app(plain, "shiny")
    code = "XC-ELF-031" if linked == "named" else "XC-SYS-001"
    assert told(late, old) == [(code, Certainty.GUARDED)]
    assert told(late, new) == told(early, old) == told(early, new) == []


def test_what_glibc_keeps_for_itself_comes_along_or_not(tools: Tools, platforms: Platforms) -> None:
    """libpthread with the libc of its own build, with that of another, and with none; and somebody else's library."""

    def part(soname: str, function: str) -> bytes:
        stub = tools.stub(Arch.ARM64, "libc.so.6", "GLIBC_PRIVATE", function)
        text = f"int {function}(void);\nint use(void) {{ return {function}(); }}\n"
        return tools.c(Arch.ARM64, text, "-nostdlib", f"-Wl,-soname,{soname}", shared=True, stubs={"libc.so.6": stub})

    keeps = "__libc_alloca_cutoff"
    mine, others = (
        tools.stub(Arch.ARM64, "libc.so.6", "GLIBC_PRIVATE", name) for name in (keeps, "__libc_pthread_init")
    )
    pthread = {"app/libpthread.so.0": part("libpthread.so.0", keeps)}
    plugin = {"app/libplugin.so.1": part("libplugin.so.1", keeps)}
    for files in (pthread, plugin):
        for more, wanted in (
            ({"app/libc.so.6": mine}, set()),
            ({"app/libc.so.6": others}, {"XC-ELF-040"}),
            ({}, {"XC-ELF-040"}),
        ):
            delivery = tools.zip("delivery.zip", {**files, **more})
            image = tools.file("image.tar", containers.saved_image(layered({**files, **more}), "arm64"))
            assert codes(delivery, "kunpeng", platforms) == wanted
            assert codes(image, "kunpeng", platforms) == wanted


@pytest.mark.parametrize(
    ("settings", "certain"),
    [
        ({"Entrypoint": ["/app/server"]}, True),
        ({"Cmd": ["server"], "Env": ["PATH=/usr/bin:/app"]}, True),
        ({"Entrypoint": ["./server"], "WorkingDir": "/app"}, True),
        ({"Entrypoint": ["/usr/bin/other"]}, False),
        ({"Cmd": ["server"]}, False),
        ({"Entrypoint": None, "Cmd": "server", "Env": "PATH=/app"}, False),
        ({"Entrypoint": [7], "Env": [7], "WorkingDir": []}, False),
        ({}, False),
    ],
)
def test_what_an_image_starts_needs_its_loader_and_libraries_there(
    settings: dict[str, object], certain: bool, tools: Tools, platforms: Platforms
) -> None:
    app = {"app/server": tools.c(Arch.ARM64, "int main(void) { return 0; }\n")}
    loader = {ARM64_LOADER: tools.c(Arch.ARM64, LIBRARY, shared=True)}
    libc = {"lib/aarch64-linux-gnu/libc.so.6": tools.stub(Arch.ARM64, "libc.so.6", "GLIBC_2.17", "__libc_start_main")}

    def told(*layers: dict[str, bytes]) -> set[tuple[str, bool]]:
        path = tools.file("image.tar", containers.saved_image(layered(*layers), "arm64", **settings))
        findings = found(path, "kunpeng", platforms)
        there = [f for f in findings if f.certainty is not Certainty.NOTE and f.code != "XC-DLV-009"]
        return {(f.code, f.certainty is Certainty.CERTAIN) for f in there}

    assert told(app) == {("XC-DLV-008", certain), ("XC-DLV-007", certain)}
    assert told({**app, **loader}) == {("XC-DLV-007", certain)}
    whole = {**loader, **libc, **app}
    assert told(whole) == set()
    assert told(whole, {"lib/aarch64-linux-gnu/.wh.libc.so.6": b""}) == {("XC-DLV-007", certain)}


def test_an_image_names_directories_of_libraries_by_its_environment(tools: Tools, platforms: Platforms) -> None:
    library = tools.c(Arch.ARM64, LIBRARY, "-Wl,-soname,libanswer.so.1", shared=True)
    app = tools.c(Arch.ARM64, PROGRAM, stubs={"libanswer.so.1": library})
    libc = tools.stub(Arch.ARM64, "libc.so.6", "GLIBC_2.17", "__libc_start_main")
    base = {"lib/libc.so.6": libc, ARM64_LOADER: tools.c(Arch.ARM64, LIBRARY, shared=True), "app": app}
    there, elsewhere = {**base, "opt/x/libanswer.so.1": library}, {**base, "opt/x/libother.so.1": library}

    def told(files: dict[str, bytes], **settings: object) -> set[str]:
        image = containers.saved_image(layered(files), "arm64", Entrypoint=["/app"], **settings)
        path = tools.file("image.tar", image)
        return {f"{f.code} {f.certainty}" for f in found(path, "kunpeng", platforms) if f.code.startswith("XC-DLV")}

    assert told(there, Env=["LD_LIBRARY_PATH=/opt/y:/opt/x"]) == set()
    # ld.so.cache may name any directory.
    assert told(there) == {f"XC-DLV-007 {Certainty.GUARDED}"}
    assert told(elsewhere) == {f"XC-DLV-002 {Certainty.CERTAIN}"}
    assert told(base) == {f"XC-DLV-007 {Certainty.CERTAIN}"}


def test_a_drivers_library_is_mounted_into_a_container(tools: Tools, platforms: Platforms) -> None:
    library = tools.c(Arch.ARM64, LIBRARY, "-Wl,-soname,libcuda.so.1", shared=True)
    app = tools.c(Arch.ARM64, PROGRAM, stubs={"libcuda.so.1": library})
    libc = tools.stub(Arch.ARM64, "libc.so.6", "GLIBC_2.17", "__libc_start_main")
    files = {"lib/libc.so.6": libc, ARM64_LOADER: tools.c(Arch.ARM64, LIBRARY, shared=True), "app": app}
    path = tools.file("image.tar", containers.saved_image(layered(files), "arm64", Entrypoint=["/app"]))
    told = [(f.code, f.certainty) for f in found(path, "kunpeng", platforms) if f.certainty is not Certainty.NOTE]
    assert told == [("XC-DLV-007", Certainty.GUARDED)]


def test_an_image_with_a_layer_that_is_not_there_is_not_whole(tools: Tools, platforms: Platforms) -> None:
    app = {"app": tools.c(Arch.ARM64, "int main(void) { return 0; }\n")}
    image = containers.saved_image(layered({"x": b""}, app), "arm64", Entrypoint=["/app"])
    with tarfile.open(fileobj=io.BytesIO(image)) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        kept = {m.name: archive.extractfile(m).read() for m in archive if m.name != manifest[0]["Layers"][0]}  # type: ignore[union-attr]
    assert not codes(tools.file("image.tar", containers.tar(kept)), "kunpeng", platforms) & {"XC-DLV-007", "XC-DLV-008"}


def test_a_root_file_system_names_its_loaders_directories(tools: Tools, platforms: Platforms) -> None:
    library = tools.c(Arch.ARM64, LIBRARY, "-Wl,-soname,libanswer.so.1", shared=True)
    app = tools.c(Arch.ARM64, PROGRAM, stubs={"libanswer.so.1": library})
    libc = tools.stub(Arch.ARM64, "libc.so.6", "GLIBC_2.17", "__libc_start_main")
    names = {"lib/libc.so.6": libc, ARM64_LOADER: library, "usr/bin/app": app, "opt/x/lib/libanswer.so.1": library}
    base = {**names, "etc/os-release": b"ID=x\n"}
    conf = {"etc/ld.so.conf": b"include ld.so.conf.d/*.conf\n", "etc/ld.so.conf.d/x.conf": b"/opt/x/lib\n"}
    assert "XC-DLV-007" in codes(tools.file("a.tar", containers.tar(base)), "kunpeng", platforms)
    assert "XC-DLV-007" not in codes(tools.file("b.tar", containers.tar({**base, **conf})), "kunpeng", platforms)


def test_a_program_that_an_upper_layer_replaces_is_not_judged(tools: Tools, platforms: Platforms) -> None:
    made = both(tools, "void _start(void) {}\n", "-nostdlib", "-static")
    wrong, right = {"app/server": made[Arch.AMD64]}, {"app/server": made[Arch.ARM64]}
    replaced = tools.file("a.tar", containers.saved_image(layered(wrong, right), "arm64"))
    assert codes(replaced, "kunpeng", platforms) == set()
    kept = tools.file("b.tar", containers.saved_image(layered(right, wrong), "arm64"))
    assert codes(kept, "kunpeng", platforms) == {"XC-ELF-001"}


def test_each_platform_has_its_own_image_of_an_index(tools: Tools, platforms: Platforms) -> None:
    made = both(tools, "void _start(void) {}\n", "-nostdlib", "-static")
    good = [("arm64", layered({"app": made[Arch.ARM64]})), ("amd64", layered({"app": made[Arch.AMD64]}))]
    path = tools.file("good.tar", containers.oci_layout(good))
    assert codes(path, "kunpeng", platforms) == set() and codes(path, "hygon", platforms) == set()
    swapped = [("arm64", good[1][1]), ("amd64", good[0][1])]
    path = tools.file("swapped.tar", containers.oci_layout(swapped))
    assert codes(path, "kunpeng", platforms) == {"XC-ELF-001"} == codes(path, "hygon", platforms)


def test_a_fat_jar_with_a_nested_jar_for_each_architecture(tools: Tools, platforms: Platforms) -> None:
    made = both(tools, LIBRARY, shared=True)
    inner = {
        f"BOOT-INF/lib/netty-{word}.jar": containers.zipped({f"META-INF/native/libnetty_{word}.so": made[arch]})
        for arch, word in ((Arch.ARM64, "linux-aarch_64"), (Arch.AMD64, "linux-x86_64"))
    }
    whole = tools.zip("app.jar", inner)
    assert codes(whole, "kunpeng", platforms) == set() == codes(whole, "hygon", platforms)
    assert codes(whole, "loongson", platforms) == {"XC-JAR-001"}


def test_one_of_two_native_files_of_a_jar_lacks_the_platform(tools: Tools, platforms: Platforms) -> None:
    made = both(tools, LIBRARY, shared=True)
    files = {"native/linux-x86_64/liba.so": made[Arch.AMD64], "native/linux-x86_64/libb.so": made[Arch.AMD64]}
    files["native/linux-aarch64/liba.so"] = made[Arch.ARM64]
    (finding,) = found(tools.zip("half.jar", files), "kunpeng", platforms)
    assert (finding.code, finding.certainty) == ("XC-JAR-001", "certain")
    assert [name.rpartition("/")[2] for name in finding.evidence["files"]] == ["libb.so"]


def test_prebuilt_files_that_an_installer_can_build_are_not_certain(tools: Tools, platforms: Platforms) -> None:
    made = tools.c(Arch.AMD64, LIBRARY, shared=True)
    files = {"node_modules/x/package.json": b"{}", "node_modules/x/prebuilds/linux-x64/x.node": made}
    (alone,) = found(tools.zip("a.zip", files), "kunpeng", platforms)
    assert (alone.code, alone.certainty) == ("XC-PKG-008", "certain")
    (built,) = found(tools.zip("b.zip", {**files, "node_modules/x/binding.gyp": b"{}"}), "kunpeng", platforms)
    assert (built.code, built.certainty) == ("XC-PKG-008", "guarded?")


def test_a_prebuilt_file_that_npm_tries_first_is_not_certain(tools: Tools, platforms: Platforms) -> None:
    made = tools.c(Arch.ARM64, "int answer(void) { return 42; }\n", "-Wl,-z,max-page-size=4096", shared=True)
    files = {"package/binding.gyp": b"{}", "package/prebuilds/linux-arm64/x.node": made}
    tried = ("node-gyp-build", "cmake-ts nativeonly", "node ./script/install.js", "node src/cnoke/cnoke.js --prebuild")
    for script in (*tried, "node-gyp-builder", "echo thanks", ""):
        certainty = "guarded?" if script in tried else "certain"
        said = json.dumps({"name": "x", "scripts": {"install": script}}).encode()
        findings = found(tools.zip("x.zip", {**files, "package/package.json": said}), "phytium", platforms)
        assert [f.certainty for f in findings if f.code == "XC-ELF-020"] == [certainty], script
    (installed,) = found(
        tools.zip("i.zip", {f"node_modules/x/{k.partition('/')[2]}": v for k, v in files.items()}), "phytium", platforms
    )
    assert (installed.code, installed.certainty) == ("XC-ELF-020", "certain"), "it was tried when it was installed"


def test_npm_builds_what_has_a_binding_gyp_wherever_its_files_are(tools: Tools, platforms: Platforms) -> None:
    files = {"package/package.json": b"{}", "package/lib/x-linux-x64.node": tools.c(Arch.AMD64, LIBRARY, shared=True)}
    (alone,) = found(tools.zip("alone.zip", files), "kunpeng", platforms)
    assert (alone.code, alone.certainty) == ("XC-PKG-008", "certain")
    (built,) = found(tools.zip("built.zip", {**files, "package/binding.gyp": b"{}"}), "kunpeng", platforms)
    assert (built.code, built.certainty) == ("XC-PKG-008", "guarded?")


def test_files_for_other_systems_lack_nothing(tools: Tools, platforms: Platforms) -> None:
    """JNA and JFFI: one directory for each system, and some of them for amd64 alone."""
    made = both(tools, "int answer(void) { return 42; }\n", "-nostdlib", shared=True)
    files = {"jni/aarch64-Linux/libj.so": made[Arch.ARM64]}
    for name in ("x86_64-DragonFlyBSD", "x86_64-kFreeBSD"):
        path = tools.zip(f"{name}.jar", {**files, f"jni/{name}/libj.so": made[Arch.AMD64]})
        assert codes(path, "kunpeng", platforms) == set(), name
    path = tools.zip("other.jar", {**files, "jni/x86_64-Dragon/libj.so": made[Arch.AMD64]})
    assert codes(path, "kunpeng", platforms) == {"XC-JAR-001"}


def test_the_word_linux_makes_no_other_role(tools: Tools, platforms: Platforms) -> None:
    """Old releases of sqlite-jdbc: native/ARM/lib.so beside native/Linux/x86_64/lib.so."""
    made = both(tools, LIBRARY, shared=True)
    files = {"native/AArch64/liba.so": made[Arch.ARM64], "native/Linux/x86_64/liba.so": made[Arch.AMD64]}
    assert codes(tools.zip("a.jar", files), "hygon", platforms) == set()
    files = {"native/AArch64/liba.so": made[Arch.ARM64], "plugin/Linux/x86_64/liba.so": made[Arch.AMD64]}
    assert codes(tools.zip("b.jar", files), "hygon", platforms) == {"XC-JAR-001"}


def test_a_static_library_is_there_for_something_and_not_its_members(tools: Tools, platforms: Platforms) -> None:
    """OpenSSL in a static library: it has other members on each architecture."""
    made = {arch: tools.c(arch, "int answer(void) { return 42; }\n", "-c") for arch in (Arch.ARM64, Arch.AMD64)}
    arm64 = containers.ar({"sum-armv8.o": made[Arch.ARM64], "all.o": made[Arch.ARM64]})
    amd64 = containers.ar({"sum-x86_64.o": made[Arch.AMD64], "all.o": made[Arch.AMD64]})
    mixed = containers.ar({"all-aarch64.o": made[Arch.ARM64], "all-x86_64.o": made[Arch.AMD64]})
    good = tools.zip("good.zip", {"lib/a_linux_arm64.a": arm64, "lib/a_linux_amd64.a": amd64})
    assert codes(good, "kunpeng", platforms) == set() == codes(good, "hygon", platforms)
    assert codes(good, "loongson", platforms) == {"XC-PKG-008"}
    assert codes(tools.zip("mixed.zip", {"lib/a.a": mixed}), "kunpeng", platforms), "a linker is given both"


def test_words_for_the_c_library_and_for_32_bits(platforms: Platforms) -> None:
    """Packages for npm that call their directories linuxglibc-x64 and linuxmusl-x64, or linux_arm32."""
    architectures = platforms.file.architectures
    for others, choice in (("linuxmusl-x64", Choice.PASSED_OVER), ("linux-x64-other", Choice.TAKEN)):
        records = [obj(f"prebuilds/{name}/x.node", "EM_X86_64") for name in ("linuxglibc-x64", others)]
        roles = Roles([(record, record.path) for record in records], platforms.get("hygon"), architectures)
        assert [roles.choice(record) for record in records] == [Choice.TAKEN, choice]
    records = [obj("build/linux_x64/x.node", "EM_X86_64"), obj("build/linux_arm32/x.node", "EM_ARM")]
    roles = Roles([(record, record.path) for record in records], platforms.get("hygon"), architectures)
    assert [roles.choice(record) for record in records] == [Choice.TAKEN, Choice.PASSED_OVER]


def test_what_tests_of_a_go_module_read_is_data(tools: Tools, platforms: Platforms) -> None:
    made = tools.c(Arch.AMD64, LIBRARY, shared=True)
    data = tools.zip("data.zip", {"example.org/m@v1.0.0/internal/testdata/vdso.bin": made})
    assert codes(data, "kunpeng", platforms) == set()
    for name in ("example.org/m@v1.0.0/internal/vdso.bin", "testdata/vdso.bin"):
        assert codes(tools.zip("code.zip", {name: made}), "kunpeng", platforms) == {"XC-ELF-001"}, name


def test_the_loader_finds_what_is_delivered_or_it_is_told(tools: Tools, platforms: Platforms) -> None:
    library = tools.c(Arch.ARM64, LIBRARY, "-Wl,-soname,libanswer.so.1", shared=True)
    stubs = {"libanswer.so.1": library}
    app = tools.c(Arch.ARM64, PROGRAM, "-Wl,-rpath,$ORIGIN/../lib", stubs=stubs)
    lost = tools.c(Arch.ARM64, PROGRAM, stubs=stubs)
    wrong = tools.c(Arch.AMD64, LIBRARY, "-Wl,-soname,libanswer.so.1", shared=True)
    for name, files, wanted in [
        ("good", {"bin/app": app, "lib/libanswer.so.1": library}, set()),
        ("nowhere", {"bin/app": lost, "lib/libanswer.so.1": library}, {"XC-DLV-004"}),
        ("renamed", {"bin/app": app, "lib/libanswer.so.1.0.0": library}, {"XC-DLV-002"}),
        ("text", {"bin/app": app, "lib/libanswer.so.1": b"libanswer.so.1.0.0"}, {"XC-DLV-003"}),
        ("wrong", {"bin/app": app, "lib/libanswer.so.1": wrong}, {"XC-ELF-001"}),
    ]:
        assert codes(tools.zip(f"{name}.zip", files), "kunpeng", platforms) == wanted, name
    linked = containers.linked_tar(
        {"bin/app": app, "lib/libanswer.so.1.0.0": library}, {"lib/libanswer.so.1": "libanswer.so.1.0.0"}
    )
    assert codes(tools.file("linked.tar", linked), "kunpeng", platforms) == set()


def test_a_library_that_nothing_brings_leaves_a_program_open(tools: Tools, platforms: Platforms) -> None:
    library = tools.c(Arch.LOONG64, LIBRARY, "-Wl,-soname,libanswer.so.7", shared=True)
    app = tools.c(Arch.LOONG64, PROGRAM, "-Wl,-rpath,$ORIGIN/../lib", stubs={"libanswer.so.7": library})
    unknown = {("XC-DLV-012", Certainty.UNDECIDED)}
    control = "Package: app\nVersion: 1\nArchitecture: loong64\nDepends: libanswer7\n"
    uos = "loongson_3a5000-uos_desktop_25"
    known = tools.c(Arch.LOONG64, LIBRARY, "-Wl,-soname,libz.so.1", shared=True)
    for name, path, platform, wanted in (
        ("alone", tools.file("app", app), "loongson", unknown),
        ("archive", tools.zip("a.zip", {"bin/app": app}), "loongson", unknown),
        ("below", tools.zip("b.zip", {"bin/app": app, "lib/libanswer.so.7": library}), "loongson", set()),
        # What a package depends on is its package manager's to bring, and a plug-in's is its program's.
        ("deb", tools.deb("app.deb", control, {"usr/bin/app": app}), uos, set()),
        ("library", tools.file("libuse.so", tools.c(Arch.LOONG64, PROGRAM.replace("main", "use"), shared=True,
                                                    stubs={"libanswer.so.7": library})), "loongson", set()),
        ("known", tools.file("known", tools.c(Arch.LOONG64, PROGRAM, stubs={"libz.so.1": known})), "loongson", set()),
    ):  # fmt: skip
        told = [f for f in found(path, platform, platforms) if f.certainty is not Certainty.NOTE]
        assert {(f.code, f.certainty) for f in told} == wanted, name
        assert all(f.params["library"] == "libanswer.so.7" for f in told)


def test_a_deb_that_brings_its_own_loader(tools: Tools, platforms: Platforms) -> None:
    # The path in the program is exchanged for one of the same length.
    app = tools.c(Arch.ARM64, "int main(void) { return 0; }\n")
    app = app.replace(b"/lib/ld-linux-aarch64.so.1\0", b"/opt/lib/ld-linux-arm.so.1\0")
    loader = tools.c(Arch.ARM64, LIBRARY, shared=True)
    control = "Package: app\nArchitecture: arm64\n"
    brought = {"opt/bin/app": app, "opt/lib/ld-linux-arm.so.1": loader}
    assert codes(tools.deb("a.deb", control, brought), "kunpeng920-uos_desktop_20", platforms) == set()
    # Below another directory it may be that one's content which is installed.
    for path, wanted in (("opt/lib", set()), ("app-1/opt/lib", {"guarded?"}), ("app-1/lib", {"certain"})):
        tree = tools.zip("tree.zip", {"app-1/opt/bin/app": app, f"{path}/ld-linux-arm.so.1": loader})
        told = [f for f in found(tree, "kunpeng", platforms) if f.code == "XC-ELF-006"]
        assert {f.certainty.value for f in told} == wanted, path
    alone = {"opt/bin/app": app}
    assert codes(tools.deb("b.deb", control, alone), "kunpeng920-uos_desktop_20", platforms) == {"XC-ELF-006"}


MACHO = b"\xcf\xfa\xed\xfe\x0c\0\0\1\0\0\0\0\x08\0\0\0" + bytes(64)
MODULE_OF_JAVA_21 = b"\xca\xfe\xba\xbe\0\0\0\x41" + bytes(64)


def told_of(path: Path, platform: str, platforms: Platforms) -> tuple[list[Finding], list[str]]:
    """What is found, and its texts in both languages with the object that they are about."""
    findings, catalogue = found(path, platform, platforms), load_findings()
    texts = [f"{f.object} {catalogue.text(f).render(language)}" for f in findings for language in ("en", "zh")]
    return findings, texts


@pytest.mark.parametrize("kind", ["deb", "rpm", "deb in an rpm", "deb in a zip", "two debs in a tar"])
def test_a_package_is_told_by_its_name(kind: str, tools: Tools, platforms: Platforms) -> None:
    """And not by that of the archive in it, whichever rule it is; each foreign file has one reason."""
    foreign = tools.user_of(Arch.AMD64, "libc.so.6", "GLIBC_2.99", "shiny")
    files = {
        "opt/app/libonly.so": foreign,
        "opt/app/linux-x86_64/libjni.so": foreign,
        "opt/app/lib/plugin.node": MACHO,
        "opt/app/linux-arm64/libother.so": tools.c(Arch.ARM64, LIBRARY, shared=True),
        "opt/app/package.json": b'{"cpu": ["x64"]}',
        "opt/app/app.runtimeconfig.json": b'{"runtimeOptions": {"tfm": "net9.0"}}',
        "opt/app/Main.class": MODULE_OF_JAVA_21,
    }
    deb = containers.deb(files, "Package: app\nArchitecture: all\n")
    rpm = containers.rpm(files, "app", "noarch")
    data = {
        "deb": deb,
        "rpm": rpm,
        "deb in an rpm": containers.rpm({"srv/app.deb": deb}, "outer", "noarch"),
        "deb in a zip": containers.zipped({"srv/app.deb": deb}),
        "two debs in a tar": containers.tar({"app.deb": deb, "app-2.deb": deb}),
    }[kind]
    name = {"deb": "app.deb", "rpm": "app.rpm"}.get(kind, "delivery")
    for platform in ("kunpeng", "loongson"):
        findings, texts = told_of(tools.file(name, data), platform, platforms)
        assert {"XC-ELF-001", "XC-PKG-008"} <= {f.code for f in findings}
        wrong = [text for text in texts if "data.tar" in text or "control.tar" in text]
        assert not wrong, wrong
        assert all(
            "app" in f.params["package"] for f in findings if f.code.startswith("XC-PKG") and "package" in f.params
        )
        certain = [f.object for f in findings if f.certainty is Certainty.CERTAIN and f.object.endswith("libonly.so")]
        assert certain and len(certain) == len(set(certain))
    # Where the files are the platform's, nothing is told.
    fine = {"opt/app/libonly.so": tools.c(Arch.ARM64, "int answer(void) { return 42; }\n", "-nostdlib", shared=True)}
    good = containers.deb(fine, "Package: app\nArchitecture: all\n")
    assert codes(tools.file("app.deb", good), "kunpeng920-uos_desktop_20", platforms) == set()


@pytest.mark.parametrize("kind", ["directory", "deb", "rpm", "zip"])
def test_a_foreign_object_has_one_reason(kind: str, tools: Tools, platforms: Platforms) -> None:
    """A program for another machine that would lack a glibc, a library, an instruction and a kernel as well."""
    text = "long syscall(long, ...); int shiny(void); typedef double v __attribute__((vector_size(32)));\n"
    text += "v add(v *a) { return a[0] + a[1]; }\nint main(void) { return shiny() + (int)syscall(425, 1, 0); }\n"
    stub = tools.stub(Arch.AMD64, "libbrought.so.1", "B_1", "shiny")
    made = tools.c(Arch.AMD64, text, "-O2", "-mavx2", stubs={"libbrought.so.1": stub})
    files = {"opt/app/server": made}
    control = "Package: app\nArchitecture: all\n"
    if kind == "directory":
        path = tools.where / "tree"
        (path / "opt/app").mkdir(parents=True)
        (path / "opt/app/server").write_bytes(made)
    else:
        data = {"deb": containers.deb(files, control), "rpm": containers.rpm(files, "app", "noarch")}
        path = tools.file(f"app.{kind}", data.get(kind, containers.zipped(files)))
    platform = "kunpeng920-uos_desktop_20" if kind == "deb" else "kunpeng"
    told = [f for f in found(path, platform, platforms) if f.object.endswith("server")]
    assert [(f.code, f.certainty) for f in told if f.certainty is not Certainty.NOTE] == [
        ("XC-ELF-001", Certainty.CERTAIN)
    ]
    # At home it has all its other faults, and not this one.
    at_home = {f.code for f in found(path, "zhaoxin", platforms) if f.object.endswith("server")}
    assert "XC-ELF-001" not in at_home and {"XC-SYS-001", "XC-ELF-042"} <= at_home


# -- npm and wheels


@pytest.mark.parametrize(
    ("wanted", "value", "taken"),
    [
        (["linux"], "linux", True),
        ("linux", "linux", True),
        (["x64", "arm64"], "loong64", False),
        (["!win32"], "linux", True),
        (["!linux"], "linux", False),
        (["linux", "!linux"], "linux", False),
        (["any"], "linux", True),
        ([], "linux", True),
        ({"linux": 1}, "linux", True),
        (["!arm", "x64"], "arm64", False),
    ],
)
def test_what_npm_reads_in_a_list(wanted: object, value: str, taken: bool) -> None:
    assert npm.accepts(wanted, value) is taken


PREBUILT = '{"scripts": {"install": "prebuild-install || node-gyp rebuild"}}'


@pytest.mark.parametrize(
    ("manifest", "found"),
    [
        ('{"name": "x"}', set()),
        ('{"os": ["linux"], "cpu": ["arm64"], "libc": ["glibc"]}', set()),
        ('{"cpu": ["x64"]}', {"XC-PKG-010"}),
        ('{"os": ["win32"]}', {"XC-PKG-010"}),
        ('{"libc": ["musl"]}', {"XC-PKG-010"}),
        (PREBUILT, {"XC-PKG-011"}),
        ('{"scripts": {"postinstall": "node install.js"}}', {"XC-PKG-011"}),
        ('{"scripts": {"postinstall": "node index.js --exec install"}}', {"XC-PKG-011"}),
        ('{"scripts": {"postinstall": "node index.js --exec installed"}}', set()),
        ('{"scripts": {"install": "install-from-cache --artifact x.node || node-gyp rebuild"}}', {"XC-PKG-011"}),
        ('{"scripts": {"install": "node-gyp-build", "test": "curl x"}}', set()),
        ('{"optionalDependencies": {"@x/linux-x64": "1", "@x/linux-arm64": "1", "@x/darwin-x64": "1"}}', set()),
        (
            '{"optionalDependencies": {"@x/linux-x64": "1", "@x/linux-loong64": "1", "@x/win32-arm64": "1"}}',
            {"XC-PKG-008"},
        ),
        (
            '{"optionalDependencies": {"x-linux-64": "1", "x-linux-32": "1", "x-darwin-64": "1"}}',
            {"XC-PKG-008"},
        ),
        ('{"optionalDependencies": {"x-linux-64": "1", "x-linux-arm64": "1", "x-darwin-64": "1"}}', set()),
        ("[]", set()),
        ("{", set()),
        ('{"scripts": [], "optionalDependencies": 5, "cpu": 7}', set()),
    ],
)
def test_whom_an_npm_package_is_for(manifest: str, found: set[str], tools: Tools, platforms: Platforms) -> None:
    files = {
        "package/package.json": manifest.encode(),
        "package/index.js": b"run();\n",
        "package/x.node": tools.c(Arch.ARM64, LIBRARY, shared=True),
    }
    assert codes(tools.file("x.tgz", tools.tar(files)), "kunpeng", platforms) == found
    installed = {name.replace("package/", "app/node_modules/x/"): data for name, data in files.items()}
    assert codes(tools.file("app.tgz", tools.tar(installed)), "kunpeng", platforms) == set()


GETS = "import https from 'node:https';\nhttps.get('https://example.org/' + process.arch, save);\n"
THANKS = "// curl is not needed\nconsole.log('Thank you! https://example.org/docs');\n"
GETS_BY_SHELL = "#!/bin/sh\nset -e\ncurl -fLO https://example.org/lib-$(uname -m).so\n"


@pytest.mark.parametrize(("step", "scripts", "fetched"), [
    ("node setup.mjs", {"setup.mjs": GETS}, True),
    ("node setup.mjs", {"setup.mjs": THANKS}, False),
    ("node --no-warnings ./scripts/setup", {"scripts/setup.js": GETS}, True),
    ("node --no-warnings ./scripts/setup", {"scripts/setup.js": THANKS}, False),
    ("node scripts", {"scripts/index.js": "const r = await fetch(url);\n"}, True),
    ("node scripts", {"scripts/index.js": "const fetched = 1;\n"}, False),
    ("sh scripts/get.sh", {"scripts/get.sh": GETS_BY_SHELL}, True),
    ("sh scripts/get.sh", {"scripts/get.sh": "#!/bin/sh\n# wget is not needed\nchmod +x bin/app\n"}, False),
    ("./scripts/get", {"scripts/get": GETS_BY_SHELL}, True),
    ("./scripts/get", {"scripts/get": "#!/bin/sh\nexit 0\n"}, False),
    ("node install.js", {"install.js": THANKS}, False),
    ("node install.js", {}, True),
    ("node lib/missing.mjs || true", {}, True),
    ("node setup.js", {"setup.js": "const { get } = require('./lib/get');\nget();\n", "lib/get.js": GETS}, True),
    ("node setup.js", {"setup.js": "const { get } = require('./lib/get');\nget();\n", "lib/get.js": THANKS}, False),
    ("node setup.js", {"setup.js": "execSync('sh scripts/get.sh');\n", "scripts/get.sh": GETS_BY_SHELL}, True),
    ("node setup.js", {"setup.js": "spawnSync('sh', ['scripts/get.sh']);\n", "scripts/get.sh": "echo done\n"}, False),
    ("npm run setup", {"setup.mjs": GETS}, True),
    ("npm run setup", {"setup.mjs": THANKS}, False),
    ("node -e \"require('https').get('https://example.org/x')\"", {}, True),
    ("node -e \"console.log('https: none')\"", {}, False),
    ("python3 tools/get.py", {"tools/get.py": "from urllib.request import urlretrieve\n"}, True),
    ("python3 tools/get.py", {"tools/get.py": "print('ready')\n"}, False),
    ("node a.js", {"a.js": "require('./b.js')\n", "b.js": "require('./a.js')\n"}, False),
])  # fmt: skip
def test_a_script_that_npm_runs_is_looked_into(
    step: str, scripts: dict[str, str], fetched: bool, tools: Tools, platforms: Platforms
) -> None:
    manifest = json.dumps({"name": "x", "scripts": {"postinstall": step, "setup": "node setup.mjs", "test": "curl x"}})
    files = {"package.json": manifest, **scripts, "src/other.js": GETS}
    native = tools.c(Arch.ARM64, LIBRARY, shared=True)
    package = {"package/x.node": native, **{f"package/{name}": text.encode() for name, text in files.items()}}
    wanted = {"XC-PKG-011"} if fetched else set()
    assert codes(tools.file("x.tgz", tools.tar(package)), "kunpeng", platforms) == wanted
    tree = tools.where / "checkout"
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    assert codes(tree, "kunpeng", platforms) == wanted


@pytest.mark.parametrize(
    ("wheel", "files", "found"),
    [
        ("cp311-cp311", ["x.cpython-311-aarch64-linux-gnu.so"], set()),
        ("cp311-cp311", ["x.cpython-311-x86_64-linux-gnu.so"], {"XC-PKG-009"}),
        ("cp311-cp311", ["x.cpython-39-aarch64-linux-gnu.so"], {"XC-PKG-009"}),
        ("cp311-cp311", ["x.cpython-39-aarch64-linux-gnu.so", "x.cpython-311-aarch64-linux-gnu.so"], set()),
        ("cp311-cp311", ["x.cpython-39-aarch64-linux-gnu.so", "x.abi3.so"], set()),
        ("cp311-abi3", ["x.abi3.so"], set()),
        ("cp313-cp313t", ["x.cpython-313t-aarch64-linux-gnu.so"], set()),
        # Another build, another C library, another system: no Python that takes the wheel looks for a file of that name.
        ("cp313-cp313", ["x.cpython-313t-aarch64-linux-gnu.so"], {"XC-PKG-009"}),
        ("cp313-cp313t", ["x.cpython-313-aarch64-linux-gnu.so"], {"XC-PKG-009"}),
        ("cp310-cp310", ["x.cpython-310d-aarch64-linux-gnu.so"], {"XC-PKG-009"}),
        ("cp36-cp36m", ["x.cpython-36m-aarch64-linux-gnu.so"], set()),
        ("cp310-cp310", ["x.cpython-310-aarch64-linux-musl.so"], {"XC-PKG-009"}),
        ("cp310-cp310", ["x.cpython-310-darwin.so"], {"XC-PKG-009"}),
        ("cp310-cp310", ["x.cpython-310-aarch64-linux-musl.so", "x.cpython-310-aarch64-linux-gnu.so"], set()),
        ("cp39.cp310-none", ["x.cpython-310-aarch64-linux-gnu.so"], set()),
        ("py3-none", ["x.cpython-310-aarch64-linux-gnu.so", "x.cpython-311-aarch64-linux-gnu.so"], set()),
        ("pp39-pypy39_pp73", ["x.pypy39-pp73-aarch64-linux-gnu.so"], set()),
        ("cp311-cp311", ["libplain.so"], set()),
    ],
)
def test_names_of_extension_modules(
    wheel: str, files: list[str], found: set[str], tools: Tools, platforms: Platforms
) -> None:
    data = tools.c(Arch.ARM64, LIBRARY, shared=True)
    path = tools.zip(f"x-1.0-{wheel}-manylinux2014_aarch64.whl", {f"x/{name}": data for name in files})
    assert codes(path, "kunpeng", platforms) == found


def test_a_file_for_another_libc_by_its_name_alone(tools: Tools, platforms: Platforms) -> None:
    glibc = tools.c(Arch.ARM64, '#include <stdio.h>\nint f(void) { return puts(""); }\n', shared=True)
    newer = tools.user_of(Arch.ARM64, "libstdc++.so.6", "GLIBCXX_3.4.32", "shiny")
    both = {"prebuilds/linux-arm64/x.glibc.node": glibc, "prebuilds/linux-arm64/x.musl.node": newer}
    assert codes(tools.zip("both.zip", both), "phytium", platforms) == set()
    alone = {"prebuilds/linux-arm64/x.glibc.node": newer}
    assert codes(tools.zip("one.zip", alone), "phytium", platforms) == {"XC-ELF-011"}


@pytest.mark.parametrize(
    ("settings", "above", "there"),
    [
        ({"Entrypoint": ["/srv/app"]}, {}, True),
        ({"Cmd": ["app"], "Env": ["PATH=/usr/bin:/srv"]}, {}, True),
        ({"Entrypoint": ["./app"], "WorkingDir": "/srv"}, {}, True),
        ({"Entrypoint": ["/srv/run.sh"]}, {}, True),
        ({}, {}, True),
        ({"Entrypoint": ["/srv/ap"]}, {}, False),
        ({"Cmd": ["app"]}, {}, False),
        ({"Entrypoint": ["./app"], "WorkingDir": "/opt"}, {}, False),
        ({"Entrypoint": ["/srv/app"]}, {"srv/.wh.app": b""}, False),
        ({"Entrypoint": ["/srv/app"]}, {".wh.srv": b""}, False),
    ],
)
def test_what_an_image_starts_is_in_it(
    settings: dict[str, object], above: dict[str, bytes], there: bool, tools: Tools, platforms: Platforms
) -> None:
    app = tools.c(Arch.ARM64, "void _start(void) {}\n", "-nostdlib", "-static")
    layers = layered({"srv/app": app, "srv/run.sh": b"#!/srv/app\n"}, {"etc/name": b"x\n", **above})
    path = tools.file("image.tar", containers.saved_image(layers, "arm64", **settings))
    told = [(f.code, f.certainty) for f in found(path, "kunpeng", platforms) if f.certainty is not Certainty.NOTE]
    assert told == ([] if there else [("XC-DLV-009", Certainty.UNDECIDED)])


def test_what_an_image_starts_is_for_the_platform_though_its_role_has_another(
    tools: Tools, platforms: Platforms
) -> None:
    made = both(tools, "void _start(void) {}\n", "-nostdlib", "-static")
    files = {"lib/app-x86_64": made[Arch.AMD64], "lib/app-aarch64": made[Arch.ARM64]}
    for target, wanted in (("app-aarch64", set()), ("app-x86_64", {"XC-ELF-001"})):
        layer = containers.linked_tar(files, {"app": f"lib/{target}"})
        path = tools.file(f"{target}.tar", containers.saved_image([layer], "arm64", Entrypoint=["/app"]))
        assert codes(path, "kunpeng", platforms) == wanted, target


def test_a_file_given_alone_is_judged_whatever_its_name_says(tools: Tools, platforms: Platforms) -> None:
    made = both(tools, "void _start(void) {}\n", "-nostdlib", "-static")
    assert codes(tools.file("app-android", made[Arch.AMD64]), "kunpeng", platforms) == {"XC-ELF-001"}
    assert codes(tools.file("app-freebsd", made[Arch.ARM64]), "kunpeng", platforms) == set()


def test_a_librarys_link_that_leads_nowhere_is_not_left_to_the_system(tools: Tools, platforms: Platforms) -> None:
    library = tools.c(Arch.ARM64, LIBRARY, "-Wl,-soname,libanswer.so.1", shared=True)
    app = tools.c(Arch.ARM64, PROGRAM, "-Wl,-rpath,$ORIGIN/../lib", stubs={"libanswer.so.1": library})
    for name, target, wanted in (
        ("good", "libanswer.so.1.0", set()),
        ("lost", "libanswer.so.1.1", {("XC-DLV-003", Certainty.UNDECIDED)}),
        ("system", "/usr/lib64/libanswer.so.1", {("XC-DLV-012", Certainty.UNDECIDED)}),
    ):
        files = {"bin/app": app, **({"lib/libanswer.so.1.0": library} if name == "good" else {})}
        path = tools.file(f"{name}.tar", containers.linked_tar(files, {"lib/libanswer.so.1": target}))
        told = {(f.code, f.certainty) for f in found(path, "kunpeng", platforms) if f.certainty is not Certainty.NOTE}
        assert told == wanted, name


@pytest.mark.parametrize("size", [1024, 10240])
def test_an_empty_layer_is_a_layer(size: int, tools: Tools, platforms: Platforms) -> None:
    """WORKDIR / makes one: an image with it is as whole as one without."""
    app = {"app": tools.c(Arch.ARM64, "int main(void) { return 0; }\n")}
    static = {"app": tools.c(Arch.ARM64, "void _start(void) {}\n", "-nostdlib", "-static")}
    for name, files, wanted in (("bad", app, {"XC-DLV-007", "XC-DLV-008"}), ("good", static, set())):
        layers = [*layered(files), bytes(size)]
        saved = tools.file(f"{name}.tar", containers.saved_image(layers, "arm64", Entrypoint=["/app"]))
        assert codes(saved, "kunpeng", platforms) == wanted, name
        layout = tools.file(f"{name}-oci.tar", containers.oci_layout([("arm64", layers)]))
        assert codes(layout, "kunpeng", platforms) == wanted, name


def test_a_link_without_a_word_for_an_architecture_has_chosen(tools: Tools, platforms: Platforms) -> None:
    made = both(tools, "void _start(void) {}\n", "-nostdlib", "-static")
    files = {"a/app-x86_64": made[Arch.AMD64], "a/app-aarch64": made[Arch.ARM64]}
    for link, target, wanted in (
        ("bin/app", "../a/app-aarch64", set()),
        ("bin/app", "../a/app-x86_64", {"XC-DLV-005"}),
        ("bin/x86_64/app", "../../a/app-x86_64", set()),
        ("bin/freebsd/app", "../../a/app-x86_64", set()),
    ):
        path = tools.file("a.tar", containers.linked_tar(files, {link: target}))
        told = [f for f in found(path, "kunpeng", platforms) if f.certainty is not Certainty.NOTE]
        assert {f.code for f in told} == wanted, (link, target)
        assert all(f.params["name"] == "app-aarch64" for f in told)


def test_a_wheels_data_lie_beside_the_directory_of_its_modules(tools: Tools, platforms: Platforms) -> None:
    library = tools.c(Arch.ARM64, LIBRARY, "-Wl,-soname,libanswer.so.1", shared=True)
    app = tools.c(Arch.ARM64, PROGRAM, "-Wl,-rpath,$ORIGIN/../lib", stubs={"libanswer.so.1": library})
    tag = "py3-none-manylinux_2_17_aarch64"
    meta = {"a-1.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()}
    for name, where, wanted in (
        ("good", "a-1.data/data/lib/libanswer.so.1", set()),
        ("bad", "a-1.data/data/share/libanswer.so.1", {"XC-DLV-004"}),
    ):
        path = tools.zip(f"{name}/a-1-{tag}.whl", {**meta, "a-1.data/scripts/app": app, where: library})
        assert codes(path, "kunpeng", platforms) == wanted, name


def test_a_packages_script_may_be_a_program(tools: Tools, platforms: Platforms) -> None:
    made = both(tools, "void _start(void) {}\n", "-nostdlib", "-static")
    control = "Package: app\nVersion: 1\nArchitecture: arm64\nMaintainer: a\nDescription: a\n"
    for arch, wanted in ((Arch.ARM64, set()), (Arch.AMD64, {"XC-ELF-001"})):
        package = containers.deb({"opt/app": made[Arch.ARM64]}, control, {"postinst": made[arch]})
        path = tools.file(f"{arch}.deb", package)
        assert codes(path, "phytium_d2000-uos_desktop_20", platforms) == wanted, arch


@pytest.mark.parametrize(("line", "wanted"), [
    (b"#!/bin/sh\n", ("/bin/sh", "")), (b"#! /usr/bin/env\tpython3 -u \n", ("/usr/bin/env", "python3 -u")),
    (b"#!/bin/sh\r\n", ("/bin/sh\r", "")), (b"#!/bin/sh -e\r\n", ("/bin/sh", "-e\r")), (b"#!\n", ("", "")),
    (b"#!/bin/sh", ("/bin/sh", "")),
    (b"#!" + b"/a" * 200, ("", "")), (b"#!/bin/x " + b"a" * 400, ("/bin/x", "a" * 247)),
])  # fmt: skip
def test_the_first_line_of_a_script_is_read_as_the_kernel_reads_it(line: bytes, wanted: tuple[str, str]) -> None:
    assert interpreter_of(line) == wanted


def scripted(tools: Tools) -> dict[str, bytes]:
    """The programs of an image by which scripts are run, linked statically."""
    program = tools.c(Arch.ARM64, "void _start(void) { for (;;) ; }\n", "-nostdlib", "-static")
    return {"bin/sh": program, "usr/bin/env": program, "usr/bin/python3": program, "usr/local/bin/node": program}


@pytest.mark.tools
@pytest.mark.parametrize(("first", "lacking"), [
    ("#!/bin/sh\n", False), ("#!/bin/sh -e\n", False), ("#! /usr/bin/env python3\n", False), ("#!/usr/bin/env node\n", False),
    ("#!/usr/bin/env -S python3 -u\n", False), ("#!/usr/bin/env -S A=1 python3\n", False), ("#!/usr/bin/python3", False),
    ("#!/bin/bash\n", True), ("#!/bin/sh\r\n", True), ("#!/bin/sh -e\r\n", True), ("#!/usr/bin/env python3\r\n", True),
    ("#!/usr/bin/env bash\n", True), ("#!/usr/bin/env python3 -u\n", True), ("#!/usr/bin/env -S bash -e\n", True),
    ("#!\n", True),
])  # fmt: skip
def test_what_runs_the_script_that_an_image_starts(
    first: str, lacking: bool, tools: Tools, platforms: Platforms
) -> None:
    files = {**scripted(tools), "entry": first.encode() + b"exec true\n" if first.endswith("\n") else first.encode()}

    def told(files: dict[str, bytes], *above: dict[str, bytes], **settings: object) -> list[tuple[str, Certainty]]:
        path = tools.file("image.tar", containers.saved_image(layered(files, *above), "arm64", **settings))
        return [(f.code, f.certainty) for f in found(path, "kunpeng", platforms) if f.certainty is not Certainty.NOTE]

    wanted = [("XC-DLV-011", Certainty.CERTAIN)] if lacking else []
    assert told(files, Entrypoint=["/entry"]) == wanted
    assert told(files, Cmd=["entry"], Env=["PATH=/:/usr/bin:/usr/local/bin"]) == wanted
    # Through another script; and it is not what is started.
    assert told({**files, "first": b"#!/entry\n"}, Entrypoint=["/first"]) == wanted
    assert told(files, Entrypoint=["/bin/sh"]) == []
    assert told(files, {".wh.entry": b""}, Entrypoint=["/entry"]) == [("XC-DLV-009", Certainty.UNDECIDED)]


@pytest.mark.tools
def test_what_runs_a_script_has_to_run_itself(tools: Tools, platforms: Platforms) -> None:
    shell = tools.c(Arch.ARM64, "int main(void) { return 0; }\n")
    other = tools.c(Arch.LOONG64, "void _start(void) { for (;;) ; }\n", "-nostdlib", "-static")
    entry = {"entry": b"#!/bin/bash\n"}

    def told(files: dict[str, bytes], *words: str) -> set[tuple[str, Certainty]]:
        path = tools.file("image.tar", containers.saved_image(layered(files), "arm64", Entrypoint=list(words)))
        return {(f.code, f.certainty) for f in found(path, "kunpeng", platforms) if f.certainty is not Certainty.NOTE}

    # Its loader is not there; it is for another machine; the scripts run each other without an end.
    assert ("XC-DLV-008", Certainty.CERTAIN) in told({**entry, "bin/bash": shell}, "/entry")
    assert ("XC-ELF-001", Certainty.CERTAIN) in told({**entry, "bin/bash": other}, "/entry")
    assert told({"entry": b"#!/entry\n"}, "/entry") == {("XC-DLV-011", Certainty.CERTAIN)}
    # The shell's form.
    static = scripted(tools)
    assert told({"bin/sh": static["bin/sh"], "app": static["bin/sh"]}, "/bin/sh", "-c", "exec /app --x") == set()
    assert told({"app": static["bin/sh"]}, "/bin/sh", "-c", "exec /app --x") == {("XC-DLV-011", Certainty.CERTAIN)}
    assert told({"bin/sh": static["bin/sh"]}, "/bin/sh", "-c", "exec /app") == {("XC-DLV-009", Certainty.UNDECIDED)}
    assert told({"bin/sh": static["bin/sh"]}, "/bin/sh", "-c", "cd /a && ./app") == set()
    assert ("XC-DLV-008", Certainty.CERTAIN) in told(
        {"bin/sh": static["bin/sh"], "app": shell}, "/bin/sh", "-c", "/app"
    )
