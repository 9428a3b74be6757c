"""Modules of Node.js that a real one loads under the platform's CPU, and what is said where there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.loading.nodejs import abi_of
from pytest_xinchuang.sandbox.pool import Pool
from tests.inspect import containers
from tests.inspect.test_rules import elf
from tests.inspect.test_rules import tools as tools
from tests.loading.test_python import NOTES, load
from tests.mutants.porting.tools import Tools

MODULE = """static int v;
extern int napi_create_object(void *, void **);
void *napi_register_module_v1(void *env, void *exports) { void *o; napi_create_object(env, &o); BODY return exports; }
"""
GOOD = MODULE.replace("BODY", "v = 1;")
ATOMIC = MODULE.replace(
    "BODY", 'int r; __asm__ volatile(".arch_extension lse\\n\\tldadd %w1, %w0, [%2]" : "=r"(r) : "r"(1), "r"(&v));'
)
NEWER = MODULE.replace("BODY", "extern int napi_nobody_has_this(void); v = napi_nobody_has_this();")
OF_V8 = "extern void _ZN2v86Object3SetE(void); void node_register_module_v93(void) { _ZN2v86Object3SetE(); }\n"


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("text", "codes", "done", "by"),
    [
        (GOOD, [], 1, "Node.js v20"),
        # Opening it runs nothing of this; require does. Where it struck a Node.js does not tell.
        (ATOMIC, [("XC-LOD-001", "undecided")], 0, "Node.js v20"),
        (NEWER, [("XC-LOD-003", "undecided")], 0, "Node.js v20"),
        (OF_V8, [], 0, "a stand-in for Node.js"),
    ],
)
def test_a_module_is_loaded(
    text: str, codes: list[tuple[str, str]], done: int, by: str, tools: Tools, platforms: Platforms, pool: Pool
) -> None:
    module = tools.c(Arch.ARM64, text, shared=True)
    path = tools.where / "a.tgz"
    path.write_bytes(containers.tar({"package/package.json": b"{}", "package/build/a.node": module}, "w:gz"))
    _loads, found = load(path, "phytium", platforms, pool)
    assert [(f.code, f.certainty.value) for f in found if f.code not in NOTES] == codes
    (note,) = (f for f in found if f.code == "XC-LOD-026")
    assert (note.params["done"], note.params["all"]) == (done, 1)
    assert str(note.params["by"]).startswith(by)


def test_which_node_takes_a_module() -> None:
    def number(imports: str, exports: str) -> int | None:
        each = replace(elf(), imports=frozenset({imports}), exports=frozenset({exports}))
        return abi_of(ElfRecord("a.node", "a.node", each))

    assert number("napi_create_object", "napi_register_module_v1") == 0
    assert number("_ZN2v86Object3SetE", "node_register_module_v108") == 108
    assert number("_ZN4node10module_registerEPv", "x") is None
    assert number("_ZN2v86Object3SetE", "node_register_module_v99999") is None
