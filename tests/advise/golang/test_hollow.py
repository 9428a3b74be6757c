"""Functions that do nothing on the target."""

from __future__ import annotations

import pytest

from pytest_xinchuang.advise.golang.hollow import Hollow, hollow, real_ones

AMD64 = """package p

func Sum(p []byte) (uint32, error) {
	return sum(p), nil
}

func sum(p []byte) uint32

func (d *Disk) Read(
	p []byte,
) error {
	return read(p)
}

func (d *Disk) Close() error { return ErrClosed }
"""


def test_what_does_something_on_amd64() -> None:
    assert real_ones(AMD64) == {"Sum", "sum"}


@pytest.mark.parametrize(
    ("body", "is_hollow"),
    [
        ('\n\tpanic("unsupported")\n', True),
        ("\n\t// not here\n\treturn 0, ErrUnsupported\n", True),
        (' return 0, errors.New("unsupported") ', True),
        ("\n\treturn 0, syscall.ENOSYS\n", True),
        ('\n\tif len(p) == 0 {\n\t\tpanic("empty")\n\t}\n\treturn 1, nil\n', False),
        ("\n\treturn 0, nil\n", False),
        ("\n\treturn generic(p)\n", False),
    ],
)
def test_a_twin_that_does_nothing(body: str, *, is_hollow: bool) -> None:
    source = f"package p\n\nfunc Sum(p []byte) (uint32, error) {{{body}}}\n"
    assert hollow(source, {"Sum"}) == ([Hollow("Sum", 3, exported=True)] if is_hollow else [])
    assert hollow(source, set()) == []


def test_what_the_package_alone_calls_may_be_guarded() -> None:
    source = 'package p\n\nfunc sum(p []byte) uint32 {\n\tpanic("unreachable")\n}\n'
    assert hollow(source, {"sum"}) == [Hollow("sum", 3, exported=False)]
