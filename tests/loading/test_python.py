"""Wheels that a real Python imports under the platform's CPU, and what is said where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.finding import Finding
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.inspector import Inspector
from pytest_xinchuang.inspect.kept import Kept
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.loading.engine import End, Loader, Loads, Opened
from pytest_xinchuang.loading.findings import findings_of
from pytest_xinchuang.loading.python import Imported, Importing, fits, read_report, summary, wheels_of
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.sandbox.pool import Pool
from tests.inspect import containers
from tests.inspect.test_rules import elf
from tests.inspect.test_rules import tools as tools
from tests.mutants.porting.tools import Tools

MODULE = """static struct {
    long count; void *type, *init; long index; void *copy; const char *name, *doc; long size; void *rest[5];
} definition = {1, 0, 0, 0, 0, "_f", 0, -1, {0}};
extern void *PyModule_Create2(void *, int);
static int v;
void *PyInit__f(void) { BODY return PyModule_Create2(&definition, 1013); }
"""
GOOD = MODULE.replace("BODY", "v = 1;")
ATOMIC = MODULE.replace(
    "BODY", 'int r; __asm__ volatile(".arch_extension lse\\n\\tldadd %w1, %w0, [%2]" : "=r"(r) : "r"(1), "r"(&v));'
)
NEWER = MODULE.replace("BODY", "extern int PyNobody_HasThis(void); v = PyNobody_HasThis();")


def wheel(tags: str, extension: bytes, init: str, *, suffix: str = "cpython-39-aarch64-linux-gnu") -> dict[str, bytes]:
    files = {
        "fast/__init__.py": init.encode(),
        f"fast/_f.{suffix}.so": extension,
        "fast-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\n",
    }
    return {f"fast-1.0-{tags}.whl": containers.zipped(files)}


def load(path: Path, platform: str, platforms: Platforms, pool: Pool) -> tuple[Loads, list[Finding]]:
    kept = path.parent / "kept"
    kept.mkdir()
    store = Kept(kept)
    inspection = Inspector(isa=False, kept=store).read(path, path.name)
    chosen = platforms.get(platform)
    loads = Loader(pool, chosen, platforms.file.architectures, store).load(inspection)
    return loads, findings_of(loads, chosen, path.name)


NOTES = ("XC-LOD-004", "XC-LOD-026", "XC-LOD-028")
CP39 = "cp39-cp39-linux_aarch64"
MEETS = "from fast import _f\n"


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("text", "init", "tags", "codes", "done"),
    [
        (GOOD, MEETS, CP39, [], 1),
        # Opening it runs nothing of this; importing it does.
        (ATOMIC, MEETS, CP39, ["XC-LOD-001"], 0),
        # Which no Python of this version has, though a stand-in gives it.
        (NEWER, MEETS, CP39, ["XC-LOD-003"], 0),
        (GOOD, "import nobody_has_this\n", CP39, [], 0),
        (GOOD, "raise RuntimeError('needs a newer CPU')\n", CP39, ["XC-LOD-027"], 0),
        # No suite has it.
        (GOOD, MEETS, "cp38-cp38-linux_aarch64", [], 0),
    ],
)
def test_a_wheel_is_imported(
    text: str, init: str, tags: str, codes: list[str], done: int, tools: Tools, platforms: Platforms, pool: Pool
) -> None:
    extension = tools.c(Arch.ARM64, text, shared=True)
    ((name, data),) = wheel(tags, extension, init, suffix=tags[:4].replace("cp3", "cpython-3") + "-x").items()
    if tags == CP39:
        ((name, data),) = wheel(tags, extension, init).items()
    path = tools.where / name
    path.write_bytes(data)
    _loads, found = load(path, "phytium", platforms, pool)
    assert [f.code for f in found if f.code not in NOTES] == codes
    assert ("XC-LOD-028" in [f.code for f in found]) is (not done and codes not in (["XC-LOD-001"], ["XC-LOD-003"]))
    (note,) = (f for f in found if f.code == "XC-LOD-026")
    assert (note.params["done"], note.params["all"]) == (done, 1)
    assert str(note.params["by"]).startswith("Python 3.9" if tags == CP39 else "a stand-in for Python")
    for finding in found:
        if finding.code == "XC-LOD-001":
            assert finding.certainty == "certain"
            assert (finding.params["function"], finding.params["signal"]) == ("PyInit__f", "SIGILL")
            assert "ldadd" in finding.params["instruction"]
        if finding.code == "XC-LOD-003":
            assert "PyNobody_HasThis" in str(finding.params["why"])


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("platform", "arch", "version", "suffix"),
    [
        ("loongson", Arch.LOONG64, "14", "loongarch64-linux-gnu"),
        ("hygon", Arch.AMD64, "9", "x86_64-linux-gnu"),
        ("kunpeng", Arch.ARM64, "11", "aarch64-linux-gnu"),
    ],
)
def test_each_architecture_has_a_python(
    platform: str, arch: Arch, version: str, suffix: str, tools: Tools, platforms: Platforms, pool: Pool
) -> None:
    tag = f"cp3{version}-cp3{version}-linux_{suffix.partition('-')[0]}"
    extension = tools.c(arch, GOOD, shared=True)
    ((name, data),) = wheel(tag, extension, MEETS, suffix=f"cpython-3{version}-{suffix}").items()
    path = tools.where / name
    path.write_bytes(data)
    _loads, found = load(path, platform, platforms, pool)
    assert [f.code for f in found] == ["XC-LOD-004", "XC-LOD-026"]
    assert (found[1].params["done"], str(found[1].params["by"])[:11].rstrip(".")) == (1, f"Python 3.{version}"[:11])


def test_which_python_takes_a_wheel() -> None:
    def takes(name: str, minor: int) -> bool:
        return fits(f"dist/{name}", (3, minor))

    assert takes("a-1-cp39-cp39-linux_aarch64.whl", 9) and not takes("a-1-cp39-cp39-linux_aarch64.whl", 11)
    assert takes("a-1-cp38-abi3-linux_aarch64.whl", 9) and not takes("a-1-cp311-abi3-linux_aarch64.whl", 9)
    assert takes("a-1-py3-none-any.whl", 9) and takes("a-1-py2.py3-none-any.whl", 11)
    assert not takes("a-1-pp39-pypy39_pp73-linux_aarch64.whl", 9) and not takes("a.whl", 9)


def record(path: str, *exports: str) -> ElfRecord:
    return ElfRecord(path, path, replace(elf(), exports=frozenset(exports)))


def importing() -> Importing:
    node = Node("wheel", "a.whl", "a-1-cp39-cp39-linux_aarch64.whl", members=["a/__init__.py"])
    node.objects = [
        record("a-1.data/platlib/a/_x.cpython-39-aarch64-linux-gnu.so", "PyInit__x"),
        record("a/_y.abi3.so", "PyInit__y"),
        record("a/libz.so", "z"),
        record("a/odd-name.so", "PyInit_odd-name"),
        record("b/_w.so", "PyInit__w"),
    ]
    (found,) = wheels_of(node, {id(r) for r in node.objects[:4]})
    return found


def test_what_of_a_wheel_is_imported() -> None:
    found = importing()
    assert found.packages == ["a"]
    assert sorted(found.modules) == ["a._x", "a._y"]
    assert list(wheels_of(found.node, set())) == []


def test_what_the_probe_reports() -> None:
    wheel = importing()
    lines = [
        "ready\t3.9.2",
        "begin\ta",
        "error\ta\tModuleNotFoundError\tnumpy.core\tNo module named 'numpy.core'",
        "begin\ta._x",
        "signal 4 1 10 /xc/site/a/_x.so",
        "ended\ta._x\t132",
        "begin\ta._y",
        "ok\ta._y",
        "error\ta",
        "begin\tother",
        "signal 4 1 10 /xc/site/other/x.so",
        "ok\tnobody",
        "",
    ]
    result = Imported(wheel.node, count=2)
    read_report(lines, wheel, result)
    assert result.done == {id(wheel.modules["a._y"])}
    assert [(r.path.rpartition("/")[2], line) for r, line in result.died] == [
        ("_x.cpython-39-aarch64-linux-gnu.so", "signal 4 1 10 /xc/site/a/_x.so")
    ]
    assert result.waiting == {"numpy"}
    ((_node, params),) = summary([result])
    assert str(params["why"]) == "numpy is not delivered"


@pytest.mark.parametrize(
    ("line", "refused", "raised"),
    [
        ("error\ta._x\tImportError\t\t/x.so: undefined symbol: PyX", 1, 0),
        ("error\ta._x\tImportError\t\tdynamic module does not define module export function", 0, 0),
        ("error\ta._x\tRuntimeError\t\tonly by its package", 0, 0),
        ("error\ta\tRuntimeError\t\tneeds a newer CPU", 0, 1),
        ("error\ta\tImportError\t\tsomething of the machine", 0, 0),
    ],
)
def test_what_an_error_says(line: str, refused: int, raised: int) -> None:
    wheel = importing()
    result = Imported(wheel.node)
    read_report([f"begin\t{line.split(chr(9))[1]}", line], wheel, result)
    assert (len(result.refused), len(result.raised)) == (refused, raised)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"end": End.OPEN, "why": verbatim("x.so: undefined symbol: PyX")}, End.LOADED),
        ({"end": End.OPEN, "why": verbatim("libc.so.6: version `GLIBC_2.33' not found")}, End.OPEN),
        (
            {"end": End.OPEN, "why": verbatim("the root filesystem here lacks libz.so.9"), "missing": "libz.so.9"},
            End.OPEN,
        ),
        ({"end": End.REFUSED}, End.REFUSED),
        ({"end": End.LATE}, End.LOADED),
        ({"end": End.DIED, "signal": 11}, End.LOADED),
        ({"end": End.DIED, "signal": 4}, End.DIED),
    ],
)
def test_an_import_replaces_what_a_stand_in_may_be_to_blame_for(before: dict[str, Any], after: End) -> None:
    each = record("a.so")
    loads = Loads(opened=[Opened(each, **before)], stood_in=[each])
    loads.take({}, {id(each)})
    assert (loads.opened[0].end, loads.stood_in) == (after, [])


def test_a_place_that_is_known_stays() -> None:
    each = record("a.so")
    loads = Loads(opened=[Opened(each, End.DIED, signal=4, culprit=each, function="f")])
    loads.take({id(each): Opened(each, End.DIED, signal=4)}, set())
    assert loads.opened[0].function == "f"
    loads = Loads(opened=[Opened(each, End.LOADED)])
    loads.take({id(each): Opened(each, End.DIED, signal=4)}, set())
    assert loads.opened[0].end is End.DIED
