from __future__ import annotations

import pytest

from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.loading.stub import EACH, MACHINES, stub

MANY = [f"PyObject_{number}" for number in range(3000)]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("names", [[], ["PyExc_ValueError"], MANY], ids=["none", "one", "many"])
def test_a_stub_is_an_object_that_has_the_names(machine: str, names: list[str]) -> None:
    data = stub(machine, "host.so", names)
    read = read_elf(data, "host.so")
    assert (read.machine, read.soname, read.exports, read.kind) == (machine, "host.so", frozenset(names), "dyn")
    assert len(data) < (1 << 16) + (EACH + 64) * (len(names) + 1)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        stub("EM_X86_64", "host.so", ["good", name])
